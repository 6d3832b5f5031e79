/*
 * qrels.c: relevance judgements; see beir.h. One thread.
 */
#include "cli/beir.h"
#include "cli/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_qrels_find(const char *folder, struct inv_buf *path,
                               struct inv_err *err) {
    static const char *const names[] = {"qrels/test.tsv", "qrels.tsv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (inv_beir_find(folder, names[i], path, NULL) == INV_OK)
            return INV_OK;
    return inv_fail(err, INV_NOT_FOUND,
                    "there are no judgements: neither %s/qrels/test.tsv nor "
                    "%s/qrels.tsv (or .gz); --qrels FILE says where",
                    folder, folder);
}

/* Cuts a line at tabs (ids may hold blanks), or at blanks when it has no tab,
 * in place. The number of fields; more than max counts as max + 1. */
static size_t cut(char *line, char **fields, size_t max) {
    const char *ends = strchr(line, '\t') != NULL ? "\t" : " ";
    size_t count = 0;
    for (char *p = line; p != NULL; count++) {
        char *end = strpbrk(p, ends);
        if (end != NULL)
            *end++ = '\0';
        if (count == max)
            return max + 1;
        fields[count] = p;
        p = end;
    }
    return count;
}

struct row {
    const char *query, *document;
    double gain;
};

static bool read_row(char *line, struct row *row) {
    char *fields[4];
    char *end;
    size_t count = cut(line, fields, 4);
    if (count != 3 && count != 4)
        return false;
    *row = (struct row){fields[0], fields[count - 2], 0};
    row->gain = strtod(fields[count - 1], &end);
    return end != fields[count - 1] && *end == '\0' && row->gain > -1e6 &&
           row->gain < 1e6;
}

static enum inv_status add(struct inv_qrels *qrels, size_t *cap,
                           const struct row *row, struct inv_err *err) {
    if (qrels->count == *cap) {
        *cap = *cap == 0 ? 256 : *cap * 2;
        struct inv_judgement *more = realloc(qrels->items, *cap * sizeof *more);
        if (more == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for %zu judgements",
                            *cap);
        qrels->items = more;
    }
    struct inv_judgement item = {strdup(row->query), strdup(row->document),
                                 row->gain};
    if (item.query == NULL || item.document == NULL) {
        free(item.query);
        free(item.document);
        return inv_fail(err, INV_MEMORY, "out of memory for a judgement");
    }
    qrels->items[qrels->count++] = item;
    return INV_OK;
}

static int by_query(const void *a, const void *b) {
    const struct inv_judgement *x = a;
    const struct inv_judgement *y = b;
    int order = strcmp(x->query, y->query);
    if (order != 0)
        return order;
    if (x->gain != y->gain)
        return x->gain > y->gain ? -1 : 1;
    return strcmp(x->document, y->document);
}

static enum inv_status read_rows(struct inv_lines *lines, bool binary,
                                 struct inv_qrels *qrels, struct inv_err *err) {
    size_t cap = 0;
    enum inv_status status = INV_OK;
    while (status == INV_OK) {
        char *line;
        size_t len;
        struct row row;
        status = inv_lines_next(lines, &line, &len, err);
        if (status != INV_OK || line == NULL)
            break;
        if (len == 0)
            continue;
        bool heading = inv_lines_number(lines) == 1;
        if (!read_row(line, &row)) {
            if (heading)
                continue;
            return inv_fail(err, INV_INVALID,
                            "%s, line %" PRIu64 ": expected query, document "
                            "and grade, divided by tabs",
                            inv_lines_path(lines), inv_lines_number(lines));
        }
        if (binary && row.gain > 0)
            row.gain = 1;
        if (row.gain > 0)
            status = add(qrels, &cap, &row, err);
    }
    return status;
}

enum inv_status inv_qrels_read(const char *path, bool binary,
                               struct inv_qrels *qrels, struct inv_err *err) {
    struct inv_lines *lines = NULL;
    *qrels = (struct inv_qrels){.count = 0};
    enum inv_status status = inv_lines_open(path, &lines, err);
    if (status == INV_OK)
        status = read_rows(lines, binary, qrels, err);
    inv_lines_close(lines);
    if (status != INV_OK) {
        inv_qrels_release(qrels);
        return status;
    }
    if (qrels->count > 0)
        qsort(qrels->items, qrels->count, sizeof *qrels->items, by_query);
    return INV_OK;
}

void inv_qrels_release(struct inv_qrels *qrels) {
    for (size_t i = 0; i < qrels->count; i++) {
        free(qrels->items[i].query);
        free(qrels->items[i].document);
    }
    free(qrels->items);
    *qrels = (struct inv_qrels){.count = 0};
}

const struct inv_judgement *inv_qrels_of(const struct inv_qrels *qrels,
                                         const char *query, size_t *count) {
    size_t low = 0;
    size_t high = qrels->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(qrels->items[middle].query, query) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < qrels->count && strcmp(qrels->items[end].query, query) == 0)
        end++;
    *count = end - low;
    return end == low ? NULL : &qrels->items[low];
}

double inv_qrels_gain(const struct inv_judgement *judgements, size_t count,
                      const char *document) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(judgements[i].document, document) == 0)
            return judgements[i].gain;
    return 0;
}
