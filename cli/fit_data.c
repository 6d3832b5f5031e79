/*
 * fit_data.c: reads the vectors that `invar fit` is given and lays them out for
 * the fit; see fit.h. Knows no method. Main thread.
 */
#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"
#include "cli/fit.h"
#include "cli/lines.h"
#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                          "needed; --tokens reads multi-vectors",
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

/* ---- single vectors ---- */

/* What the parts of the queries are read into before they are joined. */
struct parts {
    struct inv_matrix new_queries, old_queries; /* the judged ones */
    struct inv_matrix titles, extra_new, extra_old;
    struct inv_fit_judged_rows judged;
};

static void parts_release(struct parts *p) {
    free(p->new_queries.data);
    free(p->old_queries.data);
    free(p->titles.data);
    free(p->extra_new.data);
    free(p->extra_old.data);
    inv_fit_judged_rows_release(&p->judged);
}

static enum inv_status read_documents(const struct inv_fit_files *f,
                                      struct inv_fit_input *in, struct parts *p,
                                      struct inv_err *err) {
    enum inv_status status =
        read_matrix(f->new_documents, &in->new_documents, err);
    if (status == INV_OK)
        status = read_matrix(f->old_documents, &in->old_documents, err);
    if (status == INV_OK)
        status = same_rows(f->new_documents, &in->new_documents,
                           f->old_documents, &in->old_documents, err);
    if (status == INV_OK)
        status = read_matrix(f->titles, &p->titles, err);
    if (status == INV_OK && f->titles != NULL)
        status = same_rows(f->titles, &p->titles, f->new_documents,
                           &in->new_documents, err);
    if (status == INV_OK && f->titles != NULL)
        status = same_dim(f->titles, &p->titles, f->new_documents,
                          &in->new_documents, err);
    return status;
}

/* Two files of the same items, in the documents' models. */
static enum inv_status read_both(const char *new_path, const char *old_path,
                                 const struct inv_fit_files *f,
                                 const struct inv_fit_input *in,
                                 struct inv_matrix *new, struct inv_matrix *old,
                                 struct inv_err *err) {
    if (new_path == NULL)
        return INV_OK;
    enum inv_status status = read_matrix(new_path, new, err);
    if (status == INV_OK)
        status = read_matrix(old_path, old, err);
    if (status == INV_OK)
        status = same_rows(new_path, new, old_path, old, err);
    if (status == INV_OK)
        status =
            same_dim(new_path, new, f->new_documents, &in->new_documents, err);
    if (status == INV_OK)
        status =
            same_dim(old_path, old, f->old_documents, &in->old_documents, err);
    return status;
}

static void append(struct inv_matrix *to, const struct inv_matrix *from,
                   const uint32_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        memcpy(to->data + (to->rows + i) * to->dim,
               from->data + (rows != NULL ? rows[i] : i) * from->dim,
               to->dim * sizeof *to->data);
    to->rows += count;
}

/* Room for what is said of `count` queries with `answers` answers. */
static enum inv_status reserve(struct inv_fit_input *in, size_t count,
                               size_t answers, struct inv_err *err) {
    in->relevant = malloc((answers + 1) * sizeof *in->relevant);
    in->relevant_start = calloc(count + 1, sizeof *in->relevant_start);
    in->has_old = calloc(count + 1, sizeof *in->has_old);
    in->unseen = calloc(count + 1, sizeof *in->unseen);
    in->use = calloc(count + 1, sizeof *in->use);
    if (in->relevant == NULL || in->relevant_start == NULL ||
        in->has_old == NULL || in->unseen == NULL || in->use == NULL)
        return no_memory("queries", count, err);
    return INV_OK;
}

/* The judged queries come first. */
static void say_judged(struct inv_fit_input *in,
                       const struct inv_fit_judged_rows *judged) {
    for (size_t i = 0; i < judged->count; i++) {
        in->relevant_start[i + 1] = judged->start[i + 1];
        in->has_old[i] = true;
        in->unseen[i] = judged->unseen[i];
        in->use[i] = INV_FIT_USE_JUDGE_ONLY;
    }
    if (judged->count > 0)
        memcpy(in->relevant, judged->document,
               judged->start[judged->count] * sizeof *in->relevant);
}

static enum inv_status join(struct inv_fit_input *in, const struct parts *p,
                            struct inv_err *err) {
    size_t judged = p->judged.count;
    size_t count = judged + p->titles.rows + p->extra_new.rows;
    size_t answers = judged > 0 ? p->judged.start[judged] : 0;
    struct inv_matrix *new = &in->new_queries;
    struct inv_matrix *old = &in->old_queries;
    *new = (struct inv_matrix){NULL, 0, in->new_documents.dim};
    *old = (struct inv_matrix){NULL, 0, in->old_documents.dim};
    new->data = malloc((count + 1) * new->dim * sizeof *new->data);
    old->data = calloc((count + 1) * old->dim, sizeof *old->data);
    if (new->data == NULL || old->data == NULL)
        return no_memory("queries", count, err);
    enum inv_status status = reserve(in, count, answers + p->titles.rows, err);
    if (status != INV_OK)
        return status;
    append(new, &p->new_queries, p->judged.row, judged);
    append(old, &p->old_queries, p->judged.row, judged);
    say_judged(in, &p->judged);
    append(new, &p->titles, NULL, p->titles.rows);
    old->rows += p->titles.rows; /* titles have no old vector */
    for (size_t i = 0; i < p->titles.rows; i++) {
        in->relevant[answers + i] = (uint32_t)i;
        in->relevant_start[judged + i + 1] = answers + i + 1;
        in->use[judged + i] = INV_FIT_USE_FIT_ONLY;
    }
    append(new, &p->extra_new, NULL, p->extra_new.rows);
    append(old, &p->extra_old, NULL, p->extra_old.rows);
    for (size_t i = judged + p->titles.rows; i < count; i++) {
        in->relevant_start[i + 1] = answers + p->titles.rows;
        in->has_old[i] = true;
        in->use[i] = INV_FIT_USE_FIT_ONLY;
    }
    return INV_OK;
}

/* A Matryoshka gallery that is cut takes an adapter fitted on what is left. */
static enum inv_status cut_old(size_t dims, struct inv_fit_input *in,
                               struct inv_err *err) {
    struct inv_matrix *const sides[] = {&in->old_documents, &in->old_queries};
    if (dims > in->old_documents.dim)
        return inv_fail(err, INV_DIMENSION,
                        "--old-dims %zu, the old vectors have %zu", dims,
                        in->old_documents.dim);
    for (size_t i = 0; i < sizeof sides / sizeof *sides && dims > 0; i++) {
        struct inv_matrix *side = sides[i];
        if (side->rows > 0)
            inv_rows_prefix(side->data, side->rows, side->dim, dims,
                            side->data);
        side->dim = dims;
    }
    return INV_OK;
}

static enum inv_status read_single(const struct inv_fit_files *f,
                                   struct inv_fit_input *in,
                                   struct inv_err *err) {
    struct parts p = {.titles = {NULL, 0, 0}};
    enum inv_status status = read_documents(f, in, &p, err);
    if (status == INV_OK)
        status = read_both(f->extra_new, f->extra_old, f, in, &p.extra_new,
                           &p.extra_old, err);
    if (status == INV_OK)
        status = read_both(f->new_queries, f->old_queries, f, in,
                           &p.new_queries, &p.old_queries, err);
    if (status == INV_OK && f->new_queries != NULL)
        status = inv_fit_judged_rows_read(
            f, p.new_queries.rows, in->new_documents.rows, &p.judged, err);
    if (status == INV_OK)
        status = join(in, &p, err);
    if (status == INV_OK)
        status = cut_old(f->old_dims, in, err);
    parts_release(&p);
    if (status != INV_OK)
        return status;
    in->data.cosine = true;
    in->data.new_dim = in->new_documents.dim;
    in->data.old_dim = in->old_documents.dim;
    in->data.documents = in->new_documents.rows;
    in->data.new_documents = in->new_documents.data;
    in->data.old_documents = in->old_documents.data;
    in->data.queries = in->new_queries.rows;
    in->data.new_queries = in->new_queries.data;
    in->data.old_queries = in->old_queries.data;
    return INV_OK;
}

/* ---- multi-vectors ---- */

/* "x/docs.i8.npy" -> "x/docs" + ending. */
static void beside(const char *path, const char *ending, struct inv_buf *out) {
    size_t len = strlen(path);
    for (int dots = 0; dots < 2; dots++) {
        size_t at = len;
        while (at > 0 && path[at - 1] != '.' && path[at - 1] != '/')
            at--;
        if (at > 1 && path[at - 1] == '.')
            len = at - 1;
    }
    inv_buf_reset(out);
    inv_buf_append(out, path, len);
    inv_buf_puts(out, ending);
}

static enum inv_status open_tokens(const char *path,
                                   struct inv_vectors *vectors,
                                   struct inv_codes **codes,
                                   struct inv_err *err) {
    struct inv_buf offsets = INV_BUF_INIT;
    struct inv_buf scales = INV_BUF_INIT;
    size_t len = strlen(path);
    bool i8 = len > 7 && strcmp(path + len - 7, ".i8.npy") == 0;
    enum inv_status status = INV_OK;
    beside(path, ".offsets.i64.npy", &offsets);
    beside(path, ".scale.f16.npy", &scales);
    if (offsets.failed || scales.failed)
        status = no_memory("names", 2, err);
    else
        status = inv_vectors_open(path, offsets.data, i8 ? scales.data : NULL,
                                  vectors, err);
    if (status == INV_OK) {
        *codes = malloc((vectors->count + 1) * sizeof **codes);
        if (*codes == NULL)
            status = no_memory("documents", vectors->count, err);
    }
    for (size_t i = 0; i < vectors->count && status == INV_OK; i++)
        (*codes)[i] = inv_vectors_at(vectors, i);
    inv_buf_release(&offsets);
    inv_buf_release(&scales);
    return status;
}

static enum inv_status same_count(const char *a, const struct inv_vectors *x,
                                  const char *b, const struct inv_vectors *y,
                                  struct inv_err *err) {
    if (x->count == y->count)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s has %zu items, %s %zu: item i of both must be the same",
                    a, x->count, b, y->count);
}

static enum inv_status judge_tokens(const struct inv_fit_files *f,
                                    struct inv_fit_input *in,
                                    struct inv_err *err) {
    struct inv_fit_judged_rows judged;
    enum inv_status status = inv_fit_judged_rows_read(
        f, in->tokens[2].count, in->tokens[0].count, &judged, err);
    if (status == INV_OK)
        status = reserve(in, judged.count, judged.start[judged.count], err);
    if (status == INV_OK) {
        say_judged(in, &judged);
        for (size_t i = 0; i < judged.count; i++) {
            in->codes[2][i] = in->codes[2][judged.row[i]];
            in->codes[3][i] = in->codes[3][judged.row[i]];
        }
        in->data.queries = judged.count;
        in->data.new_query_tokens = in->codes[2];
        in->data.old_query_tokens = in->codes[3];
    }
    inv_fit_judged_rows_release(&judged);
    return status;
}

static enum inv_status read_multi(const struct inv_fit_files *f,
                                  struct inv_fit_input *in,
                                  struct inv_err *err) {
    const char *const paths[4] = {f->new_documents, f->old_documents,
                                  f->new_queries, f->old_queries};
    enum inv_status status = INV_OK;
    if (f->titles != NULL || f->extra_new != NULL || f->old_dims > 0)
        return inv_fail(err, INV_INVALID,
                        "--titles, --extra-new and --old-dims are for single "
                        "vectors, not with --tokens");
    for (size_t i = 0; i < 4 && status == INV_OK; i++)
        if (paths[i] != NULL)
            status = open_tokens(paths[i], &in->tokens[i], &in->codes[i], err);
    for (size_t i = 0; i < 4 && status == INV_OK; i += 2)
        if (paths[i] != NULL)
            status = same_count(paths[i], &in->tokens[i], paths[i + 1],
                                &in->tokens[i + 1], err);
    if (status == INV_OK && f->new_queries != NULL)
        status = judge_tokens(f, in, err);
    in->data.multi = true;
    in->data.new_dim = in->tokens[0].dim;
    in->data.old_dim = in->tokens[1].dim;
    in->data.documents = in->tokens[0].count;
    in->data.new_tokens = in->codes[0];
    in->data.old_tokens = in->codes[1];
    return status;
}

/* ---- which documents are pairs ---- */

static int ascending(const void *a, const void *b) {
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* `count` of `rows` at random, ascending. */
static uint32_t *sample(size_t rows, size_t count, uint64_t seed) {
    struct inv_stream stream;
    uint32_t *all = malloc((rows + 1) * sizeof *all);
    if (all == NULL)
        return NULL;
    inv_stream_init(&stream, seed, "fit.pairs", 0);
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
                                      struct inv_fit_input *in,
                                      struct inv_err *err) {
    struct inv_lines *lines = NULL;
    in->pair_rows = malloc((rows + 1) * sizeof *in->pair_rows);
    if (in->pair_rows == NULL)
        return no_memory("pairs", rows, err);
    enum inv_status status = inv_lines_open(path, &lines, err);
    while (status == INV_OK) {
        char *line;
        size_t len;
        uint64_t row;
        status = inv_lines_next(lines, &line, &len, err);
        if (status != INV_OK || line == NULL)
            break;
        if (!inv_parse_uint(line, rows - 1, &row) ||
            in->data.pair_count == rows)
            status =
                inv_fail(err, INV_INVALID,
                         "%s, line %" PRIu64 ": expected at most %zu row "
                         "numbers from 0 to %zu, got \"%.40s\"",
                         path, inv_lines_number(lines), rows, rows - 1, line);
        else
            in->pair_rows[in->data.pair_count++] = (uint32_t)row;
    }
    inv_lines_close(lines);
    in->data.pair_rows = in->pair_rows;
    return status;
}

static enum inv_status choose_pairs(const struct inv_fit_files *f,
                                    struct inv_fit_input *in,
                                    struct inv_err *err) {
    size_t rows = in->data.documents;
    if (rows < 11)
        return inv_fail(err, INV_INVALID,
                        "a fit needs at least 11 documents, got %zu", rows);
    if (f->pair_rows != NULL)
        return read_pair_rows(f->pair_rows, rows, in, err);
    if (f->pairs == 0 || f->pairs >= rows)
        return INV_OK;
    in->data.pair_count = f->pairs;
    in->pair_rows = sample(rows, f->pairs, f->seed);
    in->data.pair_rows = in->pair_rows;
    return in->pair_rows != NULL ? INV_OK : no_memory("pairs", rows, err);
}

/* ---- all of it ---- */

enum inv_status inv_fit_input_open(const struct inv_fit_files *files,
                                   struct inv_fit_input *input,
                                   struct inv_err *err) {
    struct inv_fit_input *in = input;
    *in = (struct inv_fit_input){.data = {.documents = 0}};
    enum inv_status status = files->tokens ? read_multi(files, in, err)
                                           : read_single(files, in, err);
    if (status == INV_OK)
        status = choose_pairs(files, in, err);
    if (status == INV_OK && files->labels != NULL)
        status = inv_fit_labels_read(files->labels, in->data.documents,
                                     &in->labels, &in->data.classes, err);
    in->data.labels = in->labels;
    in->data.has_old = in->has_old;
    in->data.relevant = in->relevant;
    in->data.relevant_start = in->relevant_start;
    in->data.use = in->use;
    in->data.unseen = files->unseen != NULL ? in->unseen : NULL;
    if (status != INV_OK)
        inv_fit_input_close(in);
    return status;
}

void inv_fit_input_close(struct inv_fit_input *input) {
    free(input->new_documents.data);
    free(input->old_documents.data);
    free(input->new_queries.data);
    free(input->old_queries.data);
    for (size_t i = 0; i < 4; i++) {
        inv_vectors_close(&input->tokens[i]);
        free(input->codes[i]);
    }
    free(input->relevant);
    free(input->pair_rows);
    free(input->labels);
    free(input->relevant_start);
    free(input->has_old);
    free(input->unseen);
    free(input->use);
    *input = (struct inv_fit_input){.data = {.documents = 0}};
}
