/*
 * fit_data.c: reads what `invar fit` is given; see fit.h. Knows no method.
 * Main thread.
 */
#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"
#include "cli/beir.h"
#include "cli/fit.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROXY_QUERIES 300

/* ---- matrices ---- */

static enum inv_status no_memory(const char *what, size_t count,
                                 struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory for %zu %s", count, what);
}

/* Rows as unit vectors in fp32. */
static enum inv_status read_rows(const char *path,
                                 const struct inv_vectors *vectors,
                                 struct inv_matrix *out, struct inv_err *err) {
    size_t dim = vectors->dim;
    *out = (struct inv_matrix){NULL, vectors->count, dim};
    out->data = malloc((vectors->count * dim + 1) * sizeof *out->data);
    if (out->data == NULL)
        return no_memory("vectors", vectors->count, err);
    for (size_t i = 0; i < vectors->count; i++) {
        struct inv_codes codes = inv_vectors_at(vectors, i);
        float *row = out->data + i * dim;
        if (codes.dtype == INV_F16)
            inv_f32_from_f16(codes.data, row, dim);
        else
            memcpy(row, codes.data, dim * sizeof *row);
        if (!inv_all_within(row, dim, INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "%s: row %zu holds a number that is not finite or "
                            "beyond %g",
                            path, i, (double)INV_VALUE_ABS_MAX);
        if (inv_normalize_f32(row, dim) <= 0)
            return inv_fail(err, INV_INVALID,
                            "%s: row %zu is zero and has no direction", path,
                            i);
    }
    return INV_OK;
}

static enum inv_status read_matrix(const char *path, struct inv_matrix *out,
                                   struct inv_err *err) {
    struct inv_vectors vectors;
    *out = (struct inv_matrix){NULL, 0, 0};
    if (path == NULL)
        return INV_OK;
    enum inv_status status = inv_vectors_open(path, NULL, NULL, &vectors, err);
    if (status != INV_OK)
        return status;
    if (vectors.dtype == INV_I8 || vectors.rows_each != 1)
        status = inv_fail(err, INV_INVALID,
                          "%s: one vector a row in float32 or float16 is "
                          "needed; multi-vector models are fitted by their "
                          "tokens, given as such rows",
                          path);
    else
        status = read_rows(path, &vectors, out, err);
    inv_vectors_close(&vectors);
    return status;
}

static enum inv_status same_rows(const char *a, const struct inv_matrix *x,
                                 const char *b, const struct inv_matrix *y,
                                 struct inv_err *err) {
    if (x->rows == y->rows)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s has %zu rows, %s %zu: row i of both must be the same "
                    "item",
                    a, x->rows, b, y->rows);
}

static enum inv_status same_dim(const char *a, const struct inv_matrix *x,
                                const char *b, const struct inv_matrix *y,
                                struct inv_err *err) {
    if (x->dim == y->dim)
        return INV_OK;
    return inv_fail(err, INV_DIMENSION,
                    "%s has %zu dimensions, %s of the same model %zu", a,
                    x->dim, b, y->dim);
}

static enum inv_status read_documents(const struct inv_fit_files *f,
                                      struct inv_fit_data *d,
                                      struct inv_err *err) {
    enum inv_status status =
        read_matrix(f->new_documents, &d->new_documents, err);
    if (status == INV_OK)
        status = read_matrix(f->old_documents, &d->old_documents, err);
    if (status == INV_OK)
        status = same_rows(f->new_documents, &d->new_documents,
                           f->old_documents, &d->old_documents, err);
    if (status == INV_OK)
        status = read_matrix(f->titles, &d->titles, err);
    if (status == INV_OK && f->titles != NULL)
        status = same_rows(f->titles, &d->titles, f->new_documents,
                           &d->new_documents, err);
    if (status == INV_OK && f->titles != NULL)
        status = same_dim(f->titles, &d->titles, f->new_documents,
                          &d->new_documents, err);
    return status;
}

static enum inv_status read_extra(const struct inv_fit_files *f,
                                  struct inv_fit_data *d, struct inv_err *err) {
    if (f->extra_new == NULL)
        return INV_OK;
    enum inv_status status = read_matrix(f->extra_new, &d->extra_new, err);
    if (status == INV_OK)
        status = read_matrix(f->extra_old, &d->extra_old, err);
    if (status == INV_OK)
        status = same_rows(f->extra_new, &d->extra_new, f->extra_old,
                           &d->extra_old, err);
    if (status == INV_OK)
        status = same_dim(f->extra_new, &d->extra_new, f->new_documents,
                          &d->new_documents, err);
    if (status == INV_OK)
        status = same_dim(f->extra_old, &d->extra_old, f->old_documents,
                          &d->old_documents, err);
    return status;
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
static enum inv_status judge_queries(const struct names *queries,
                                     const struct names *documents,
                                     const struct inv_qrels *qrels,
                                     struct inv_fit_data *d, uint32_t *rows,
                                     struct inv_err *err) {
    size_t kept = 0, answers = 0;
    d->judged_document = calloc(qrels->count + 1, sizeof *d->judged_document);
    d->judged_start = calloc(queries->count + 1, sizeof *d->judged_start);
    if (d->judged_document == NULL || d->judged_start == NULL)
        return no_memory("judgements", qrels->count, err);
    for (size_t q = 0; q < queries->count; q++) {
        size_t count;
        const struct inv_judgement *list =
            inv_qrels_of(qrels, queries->items[q].id, &count);
        size_t before = answers;
        for (size_t j = 0; j < count && answers < qrels->count; j++) {
            const struct name *found = find(documents, list[j].document);
            if (found != NULL)
                d->judged_document[answers++] = found->row;
        }
        if (answers == before)
            continue;
        rows[kept++] = (uint32_t)q;
        d->judged_start[kept] = answers;
    }
    d->judged =
        (struct inv_judgements){d->judged_document, d->judged_start, kept};
    if (kept < 2)
        return inv_fail(err, INV_INVALID,
                        "only %zu of %zu queries have a relevant document: do "
                        "--queries and --corpus name the ids that the "
                        "judgements use?",
                        kept, queries->count);
    return INV_OK;
}

static void keep_rows(struct inv_matrix *matrix, const uint32_t *rows,
                      size_t count) {
    for (size_t i = 0; i < count; i++) /* rows ascend: nothing is overwritten */
        memmove(matrix->data + i * matrix->dim,
                matrix->data + (size_t)rows[i] * matrix->dim,
                matrix->dim * sizeof *matrix->data);
    matrix->rows = count;
}

static enum inv_status mark_unseen(const char *path,
                                   const struct names *queries,
                                   const uint32_t *rows, struct inv_fit_data *d,
                                   struct inv_err *err) {
    struct inv_qrels part;
    if (path == NULL)
        return INV_OK;
    enum inv_status status = inv_qrels_read(path, true, &part, err);
    if (status != INV_OK)
        return status;
    d->unseen = calloc(d->judged.queries, sizeof *d->unseen);
    if (d->unseen == NULL)
        status = no_memory("queries", d->judged.queries, err);
    for (size_t i = 0; i < d->judged.queries && status == INV_OK; i++) {
        size_t count;
        inv_qrels_of(&part, queries->items[rows[i]].id, &count);
        d->unseen[i] = count > 0;
        d->unseen_count += count > 0;
    }
    inv_qrels_release(&part);
    return status;
}

static enum inv_status read_query_vectors(const struct inv_fit_files *f,
                                          struct inv_fit_data *d,
                                          struct inv_err *err) {
    enum inv_status status = read_matrix(f->new_queries, &d->new_queries, err);
    if (status == INV_OK)
        status = read_matrix(f->old_queries, &d->old_queries, err);
    if (status == INV_OK)
        status = same_rows(f->new_queries, &d->new_queries, f->old_queries,
                           &d->old_queries, err);
    if (status == INV_OK)
        status = same_dim(f->new_queries, &d->new_queries, f->new_documents,
                          &d->new_documents, err);
    if (status == INV_OK)
        status = same_dim(f->old_queries, &d->old_queries, f->old_documents,
                          &d->old_documents, err);
    return status;
}

static enum inv_status read_judged(const struct inv_fit_files *f,
                                   struct inv_fit_data *d,
                                   struct inv_err *err) {
    struct names queries = {.count = 0};
    struct names documents = {.count = 0};
    struct inv_qrels qrels = {.count = 0};
    uint32_t *rows = NULL;
    enum inv_status status = read_query_vectors(f, d, err);
    if (status == INV_OK)
        status = read_names(f->queries, d->new_queries.rows, &queries, err);
    if (status == INV_OK)
        status = read_names(f->corpus, d->new_documents.rows, &documents, err);
    if (status == INV_OK)
        status = inv_qrels_read(f->qrels, true, &qrels, err);
    if (status == INV_OK) {
        qsort(documents.items, documents.count, sizeof *documents.items, by_id);
        rows = malloc((queries.count + 1) * sizeof *rows);
        status = rows == NULL ? no_memory("queries", queries.count, err)
                              : judge_queries(&queries, &documents, &qrels, d,
                                              rows, err);
    }
    if (status == INV_OK)
        status = mark_unseen(f->unseen, &queries, rows, d, err);
    if (status == INV_OK) {
        keep_rows(&d->new_queries, rows, d->judged.queries);
        keep_rows(&d->old_queries, rows, d->judged.queries);
    }
    free(rows);
    inv_qrels_release(&qrels);
    names_release(&documents);
    names_release(&queries);
    return status;
}

/* ---- which documents are pairs, which ask for their neighbours ---- */

static int ascending(const void *a, const void *b) {
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* `count` of `rows` at random, ascending. */
static uint32_t *sample(size_t rows, size_t count, uint64_t seed,
                        const char *purpose) {
    struct inv_stream stream;
    uint32_t *all = malloc((rows + 1) * sizeof *all);
    if (all == NULL)
        return NULL;
    inv_stream_init(&stream, seed, purpose, 0);
    for (size_t i = 0; i < rows; i++)
        all[i] = (uint32_t)i;
    for (size_t i = 0; i < count; i++) {
        size_t j = i + inv_stream_below(&stream, (uint32_t)(rows - i));
        uint32_t keep = all[i];
        all[i] = all[j];
        all[j] = keep;
    }
    qsort(all, count, sizeof *all, ascending);
    return all;
}

static enum inv_status read_pair_rows(const char *path, size_t rows,
                                      struct inv_fit_data *d,
                                      struct inv_err *err) {
    struct inv_lines *lines = NULL;
    d->pair_rows = malloc((rows + 1) * sizeof *d->pair_rows);
    if (d->pair_rows == NULL)
        return no_memory("pairs", rows, err);
    enum inv_status status = inv_lines_open(path, &lines, err);
    while (status == INV_OK) {
        char *line;
        size_t len;
        uint64_t row;
        status = inv_lines_next(lines, &line, &len, err);
        if (status != INV_OK || line == NULL)
            break;
        if (!inv_parse_uint(line, rows - 1, &row) || d->pair_count == rows)
            status =
                inv_fail(err, INV_INVALID,
                         "%s, line %" PRIu64 ": expected at most %zu row "
                         "numbers from 0 to %zu, got \"%.40s\"",
                         path, inv_lines_number(lines), rows, rows - 1, line);
        else
            d->pair_rows[d->pair_count++] = (uint32_t)row;
    }
    inv_lines_close(lines);
    return status;
}

static enum inv_status choose_pairs(const struct inv_fit_files *f,
                                    struct inv_fit_data *d,
                                    struct inv_err *err) {
    size_t rows = d->new_documents.rows;
    if (rows < 11)
        return inv_fail(err, INV_INVALID,
                        "a fit needs at least 11 documents, got %zu", rows);
    if (f->pair_rows != NULL)
        return read_pair_rows(f->pair_rows, rows, d, err);
    d->pair_count = f->pairs == 0 || f->pairs > rows ? rows : f->pairs;
    d->pair_rows = sample(rows, d->pair_count, f->seed, "fit.pairs");
    return d->pair_rows != NULL ? INV_OK : no_memory("pairs", rows, err);
}

static float *take_rows(const struct inv_matrix *from, const uint32_t *rows,
                        size_t count) {
    float *out = malloc((count * from->dim + 1) * sizeof *out);
    for (size_t i = 0; i < count && out != NULL; i++)
        memcpy(out + i * from->dim, from->data + (size_t)rows[i] * from->dim,
               from->dim * sizeof *out);
    return out;
}

/* No judged queries: documents ask, and their ten neighbours in the new space
 * are the answers. */
static enum inv_status make_proxy(const struct inv_fit_files *f,
                                  struct inv_fit_data *d, struct inv_err *err) {
    size_t rows = d->new_documents.rows;
    size_t count = rows / 2 < PROXY_QUERIES ? rows / 2 : PROXY_QUERIES;
    d->proxy = true;
    d->proxy_row = sample(rows, count, f->seed, "fit.proxy");
    d->judged_document =
        malloc(count * INV_JUDGE_DEPTH * sizeof *d->judged_document);
    d->judged_start = calloc(count + 1, sizeof *d->judged_start);
    if (d->proxy_row == NULL || d->judged_document == NULL ||
        d->judged_start == NULL)
        return no_memory("queries", count, err);
    for (size_t i = 0; i <= count; i++)
        d->judged_start[i] = i * INV_JUDGE_DEPTH;
    d->new_queries =
        (struct inv_matrix){take_rows(&d->new_documents, d->proxy_row, count),
                            count, d->new_documents.dim};
    d->old_queries =
        (struct inv_matrix){take_rows(&d->old_documents, d->proxy_row, count),
                            count, d->old_documents.dim};
    if (d->new_queries.data == NULL || d->old_queries.data == NULL)
        return no_memory("queries", count, err);
    d->judged =
        (struct inv_judgements){d->judged_document, d->judged_start, count};
    return inv_judge_rank(d->new_queries.data, count, d->new_documents.data,
                          rows, d->new_documents.dim, INV_JUDGE_DEPTH,
                          d->judged_document, NULL, err);
}

/* A Matryoshka gallery that is cut takes an adapter fitted on what is left. */
static enum inv_status cut_old(size_t dims, struct inv_fit_data *d,
                               struct inv_err *err) {
    struct inv_matrix *const sides[] = {&d->old_documents, &d->old_queries,
                                        &d->extra_old};
    if (dims > d->old_documents.dim)
        return inv_fail(err, INV_DIMENSION,
                        "--old-dims %zu, the old vectors have %zu", dims,
                        d->old_documents.dim);
    for (size_t i = 0; i < sizeof sides / sizeof *sides && dims > 0; i++) {
        struct inv_matrix *side = sides[i];
        if (side->rows > 0)
            inv_rows_prefix(side->data, side->rows, side->dim, dims,
                            side->data);
        side->dim = dims;
    }
    return INV_OK;
}

enum inv_status inv_fit_data_open(const struct inv_fit_files *files,
                                  struct inv_fit_data *data,
                                  struct inv_err *err) {
    *data = (struct inv_fit_data){.pair_count = 0};
    enum inv_status status = read_documents(files, data, err);
    if (status == INV_OK)
        status = choose_pairs(files, data, err);
    if (status == INV_OK)
        status = read_extra(files, data, err);
    if (status == INV_OK)
        status = files->new_queries != NULL ? read_judged(files, data, err)
                                            : make_proxy(files, data, err);
    if (status == INV_OK)
        status = cut_old(files->old_dims, data, err);
    if (status != INV_OK)
        inv_fit_data_close(data);
    return status;
}

void inv_fit_data_close(struct inv_fit_data *data) {
    free(data->new_documents.data);
    free(data->old_documents.data);
    free(data->new_queries.data);
    free(data->old_queries.data);
    free(data->titles.data);
    free(data->extra_new.data);
    free(data->extra_old.data);
    free(data->judged_document);
    free(data->judged_start);
    free(data->unseen);
    free(data->pair_rows);
    free(data->proxy_row);
    *data = (struct inv_fit_data){.pair_count = 0};
}
