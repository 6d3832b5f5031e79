/*
 * fit_qrels.c: which queries of `invar fit` are judged, and on what: ids, lines
 * and judgements to rows; see fit.h. Knows no vectors. Main thread.
 */
#include "cli/beir.h"
#include "cli/fit.h"
#include "cli/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum inv_status no_memory(const char *what, size_t count,
                                 struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory for %zu %s", count, what);
}

/* ---- ids ---- */

struct name {
    char *id;
    uint32_t row;
};

struct names {
    struct name *items;
    size_t count;
    bool sorted;
};

static void names_release(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].id);
    free(names->items);
    *names = (struct names){.count = 0};
}

/* The id of a line: of a JSON object "_id" or "id", else the line. */
static enum inv_status id_of(const struct inv_lines *lines, const char *line,
                             size_t len, char **id, struct inv_err *err) {
    if (line[0] != '{') {
        *id = strdup(line);
        return *id != NULL ? INV_OK : no_memory("ids", 1, err);
    }
    inv_json *tree = NULL;
    enum inv_status status = inv_json_parse_plain(line, len, &tree, err);
    if (status != INV_OK)
        return status;
    const inv_json *value = inv_json_get(tree, "_id");
    if (value == NULL)
        value = inv_json_get(tree, "id");
    size_t id_len;
    if (value != NULL && inv_json_kind(value) == INV_JSON_STRING)
        *id = strdup(inv_json_string(value, &id_len));
    else
        status = inv_fail(err, INV_INVALID,
                          "%s, line %" PRIu64 ": no \"_id\" or \"id\" that is "
                          "a string",
                          inv_lines_path(lines), inv_lines_number(lines));
    inv_json_free(tree);
    if (status == INV_OK && *id == NULL)
        status = no_memory("ids", 1, err);
    return status;
}

/* ids of `rows` rows: lines of a file, or row numbers. */
static enum inv_status read_names(const char *path, size_t rows,
                                  struct names *names, struct inv_err *err) {
    struct inv_lines *lines = NULL;
    enum inv_status status = INV_OK;
    names->items = calloc(rows + 1, sizeof *names->items);
    if (names->items == NULL)
        return no_memory("ids", rows, err);
    if (path != NULL)
        status = inv_lines_open(path, &lines, err);
    while (status == INV_OK && names->count < rows) {
        char number[24];
        char *line = number;
        size_t len =
            (size_t)snprintf(number, sizeof number, "%zu", names->count);
        char *id = NULL;
        if (path != NULL)
            status = inv_lines_next(lines, &line, &len, err);
        if (status == INV_OK && line == NULL)
            status =
                inv_fail(err, INV_INVALID, "%s has %zu lines for %zu vectors",
                         path, names->count, rows);
        if (status == INV_OK)
            status = id_of(lines, line, len, &id, err);
        if (status == INV_OK) {
            names->items[names->count].id = id;
            names->items[names->count].row = (uint32_t)names->count;
            names->count++;
        }
    }
    inv_lines_close(lines);
    return status;
}

static int by_id(const void *a, const void *b) {
    const struct name *x = a;
    const struct name *y = b;
    return strcmp(x->id, y->id);
}

static const struct name *find(const struct names *names, const char *id) {
    char *key = NULL;
    memcpy(&key, &id, sizeof key); /* only read */
    struct name wanted = {key, 0};
    return bsearch(&wanted, names->items, names->count, sizeof *names->items,
                   by_id);
}

/* ---- judgements ---- */

/* Keeps the queries that have an answer in the gallery: rows[] of the new
 * order. */
static enum inv_status keep_answered(const struct names *queries,
                                     const struct names *documents,
                                     const struct inv_qrels *qrels,
                                     struct inv_fit_judged_rows *j,
                                     struct inv_err *err) {
    size_t answers = 0;
    j->row = calloc(queries->count + 1, sizeof *j->row);
    j->document = calloc(qrels->count + 1, sizeof *j->document);
    j->start = calloc(queries->count + 1, sizeof *j->start);
    j->unseen = calloc(queries->count + 1, sizeof *j->unseen);
    if (j->row == NULL || j->document == NULL || j->start == NULL ||
        j->unseen == NULL)
        return no_memory("judgements", qrels->count, err);
    for (size_t q = 0; q < queries->count; q++) {
        size_t count;
        const struct inv_judgement *list =
            inv_qrels_of(qrels, queries->items[q].id, &count);
        size_t before = answers;
        for (size_t i = 0; i < count && answers < qrels->count; i++) {
            const struct name *found = find(documents, list[i].document);
            if (found != NULL)
                j->document[answers++] = found->row;
        }
        if (answers == before)
            continue;
        j->row[j->count++] = (uint32_t)q;
        j->start[j->count] = answers;
    }
    if (j->count < 2)
        return inv_fail(err, INV_INVALID,
                        "only %zu of %zu queries have a relevant document: do "
                        "--queries and --corpus name the ids that the "
                        "judgements use?",
                        j->count, queries->count);
    return INV_OK;
}

static enum inv_status mark_unseen(const char *path,
                                   const struct names *queries,
                                   struct inv_fit_judged_rows *j,
                                   struct inv_err *err) {
    struct inv_qrels part;
    if (path == NULL)
        return INV_OK;
    enum inv_status status = inv_qrels_read(path, true, &part, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < j->count; i++) {
        size_t count;
        inv_qrels_of(&part, queries->items[j->row[i]].id, &count);
        j->unseen[i] = count > 0;
    }
    inv_qrels_release(&part);
    return INV_OK;
}

enum inv_status inv_fit_judged_rows_read(const struct inv_fit_files *f,
                                         size_t query_rows,
                                         size_t document_rows,
                                         struct inv_fit_judged_rows *out,
                                         struct inv_err *err) {
    struct names queries = {.count = 0};
    struct names documents = {.count = 0};
    struct inv_qrels qrels = {.count = 0};
    *out = (struct inv_fit_judged_rows){.count = 0};
    enum inv_status status = read_names(f->queries, query_rows, &queries, err);
    if (status == INV_OK)
        status = read_names(f->corpus, document_rows, &documents, err);
    if (status == INV_OK)
        status = inv_qrels_read(f->qrels, true, &qrels, err);
    if (status == INV_OK) {
        qsort(documents.items, documents.count, sizeof *documents.items, by_id);
        status = keep_answered(&queries, &documents, &qrels, out, err);
    }
    if (status == INV_OK)
        status = mark_unseen(f->unseen, &queries, out, err);
    inv_qrels_release(&qrels);
    names_release(&documents);
    names_release(&queries);
    if (status != INV_OK)
        inv_fit_judged_rows_release(out);
    return status;
}

void inv_fit_judged_rows_release(struct inv_fit_judged_rows *rows) {
    free(rows->row);
    free(rows->document);
    free(rows->start);
    free(rows->unseen);
    *rows = (struct inv_fit_judged_rows){.count = 0};
}

/* ---- labels ---- */

/* A line a document; what it says, whole, is its label. */
enum inv_status inv_fit_labels_read(const char *path, size_t rows,
                                    uint32_t **labels, size_t *classes,
                                    struct inv_err *err) {
    struct names names = {.count = 0};
    struct inv_lines *lines = NULL;
    uint32_t *out = malloc((rows + 1) * sizeof *out);
    *labels = NULL;
    *classes = 0;
    names.items = calloc(rows + 1, sizeof *names.items);
    enum inv_status status = out == NULL || names.items == NULL
                                 ? no_memory("labels", rows, err)
                                 : inv_lines_open(path, &lines, err);
    while (status == INV_OK && names.count < rows) {
        char *line;
        size_t len;
        status = inv_lines_next(lines, &line, &len, err);
        if (status == INV_OK && line == NULL)
            status =
                inv_fail(err, INV_INVALID, "%s has %zu lines for %zu documents",
                         path, names.count, rows);
        if (status != INV_OK)
            break;
        char *text = strdup(line);
        if (text == NULL) {
            status = no_memory("labels", rows, err);
            break;
        }
        names.items[names.count] = (struct name){text, (uint32_t)names.count};
        names.count++;
    }
    if (status == INV_OK) {
        qsort(names.items, names.count, sizeof *names.items, by_id);
        for (size_t i = 0; i < names.count; i++) {
            const char *text = names.items[i].id;
            bool fresh = text[0] != '\0' &&
                         (i == 0 || strcmp(text, names.items[i - 1].id) != 0);
            *classes += fresh;
            out[names.items[i].row] =
                text[0] == '\0' ? INV_FIT_NO_LABEL : (uint32_t)*classes - 1;
        }
        *labels = out;
        out = NULL;
    }
    free(out);
    names_release(&names);
    inv_lines_close(lines);
    return status;
}
