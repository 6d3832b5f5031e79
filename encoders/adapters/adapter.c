/*
 * adapter.c: see adapter.h. Knows nothing of fitting, files or collections.
 * Any thread.
 */
#include "encoders/adapters/adapter.h"

#include "base/kernels.h"
#include "base/limits.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of one GEMM: cblas counts in an int. */
#define ROWS_AT_ONCE ((size_t)1 << 16)
/* Rows of a fold at once: it needs room for each. */
#define ROWS_FOLDED 256
/* Below this |sin| of the angle, slerp is a straight blend: its weights lose
 * half of their digits there. */

struct inv_adapter {
    struct inv_adapter_parts parts;
    float *matrix, *bias;
    float *fold; /* s_new, s_new_bias, s_old; NULL: none */
    char from[INV_SPACE_NAME_MAX + 1], to[INV_SPACE_NAME_MAX + 1];
    bool degraded;
};

const char *inv_adapter_kind_name(enum inv_adapter_kind kind) {
    static const char *const names[INV_ADAPTER_KINDS] = {
        "procrustes", "ridge",   "path",    "contrastive",
        "paper",      "simplex", "composed"};
    return kind < INV_ADAPTER_KINDS ? names[kind] : "unknown";
}

enum inv_adapter_kind inv_adapter_kind_parse(const char *name) {
    int kind = 0;
    while (kind < INV_ADAPTER_KINDS &&
           strcmp(name, inv_adapter_kind_name((enum inv_adapter_kind)kind)) !=
               0)
        kind++;
    return (enum inv_adapter_kind)kind;
}

const char *inv_adapter_direction_name(enum inv_adapter_direction direction) {
    return direction == INV_ADAPTER_BACKWARD ? "backward" : "forward";
}

/* ---- making ---- */

static enum inv_status check_name(const char *what, const char *name,
                                  struct inv_err *err) {
    size_t len = name == NULL ? 0 : strlen(name);
    if (len < 1 || len > INV_SPACE_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "the %s space has a name of 1 to %d bytes, not %zu",
                        what, INV_SPACE_NAME_MAX, len);
    return INV_OK;
}

static enum inv_status not_finite(struct inv_err *err) {
    return inv_fail(err, INV_NOT_FINITE,
                    "the adapter holds a number that is not finite or beyond "
                    "%g",
                    (double)INV_VALUE_ABS_MAX);
}

static enum inv_status check_fold(const struct inv_adapter_parts *parts,
                                  struct inv_err *err) {
    const struct inv_adapter_fold *fold = &parts->fold;
    if (fold->dim == 0)
        return INV_OK;
    if (parts->kind != INV_ADAPTER_SIMPLEX || !parts->normalise)
        return inv_fail(err, INV_INVALID,
                        "only an adapter of kind simplex that normalises is "
                        "folded, this is %s",
                        inv_adapter_kind_name(parts->kind));
    if (fold->dim > INV_DIM_MAX)
        return inv_fail(err, INV_DIMENSION,
                        "a simplex of %zu dimensions; %d are possible",
                        fold->dim, INV_DIM_MAX);
    if (!(fold->beta >= 0 && fold->beta <= 1))
        return inv_fail(err, INV_INVALID, "beta is 0 to 1, not %g",
                        (double)fold->beta);
    if (!inv_all_within(fold->s_new, fold->dim * parts->cols,
                        INV_VALUE_ABS_MAX) ||
        !inv_all_within(fold->s_old, fold->dim * parts->rows,
                        INV_VALUE_ABS_MAX) ||
        (fold->s_new_bias != NULL &&
         !inv_all_within(fold->s_new_bias, fold->dim, INV_VALUE_ABS_MAX)))
        return not_finite(err);
    return INV_OK;
}

static enum inv_status check_blend(const struct inv_adapter_parts *parts,
                                   struct inv_err *err) {
    const struct inv_adapter_blend *blend = &parts->blend;
    if (blend->base == 0)
        return INV_OK;
    if (parts->kind != INV_ADAPTER_SIMPLEX || !parts->normalise ||
        parts->fold.dim > 0)
        return inv_fail(err, INV_INVALID,
                        "only an adapter of kind simplex that normalises and "
                        "has no fold is a blend, this is %s",
                        inv_adapter_kind_name(parts->kind));
    if (blend->base >= parts->rows)
        return inv_fail(err, INV_DIMENSION,
                        "a blend keeps fewer dimensions beside than the %zu "
                        "there are, not %zu",
                        parts->rows, blend->base);
    if (!(blend->share >= 0 && blend->share <= 1))
        return inv_fail(err, INV_INVALID,
                        "the share of a simplex is 0 to 1, not %g",
                        (double)blend->share);
    return INV_OK;
}

static enum inv_status check_parts(const struct inv_adapter_parts *parts,
                                   struct inv_err *err) {
    enum inv_status status = check_name("source", parts->from, err);
    if (status == INV_OK)
        status = check_name("target", parts->to, err);
    if (status != INV_OK)
        return status;
    if (strcmp(parts->from, parts->to) == 0)
        return inv_fail(err, INV_INVALID,
                        "an adapter joins two spaces, not \"%s\" with itself",
                        parts->from);
    if (parts->rows < 1 || parts->rows > INV_DIM_MAX || parts->cols < 1 ||
        parts->cols > INV_DIM_MAX)
        return inv_fail(err, INV_DIMENSION,
                        "an adapter from %zu to %zu dimensions; 1 to %d are "
                        "possible",
                        parts->cols, parts->rows, INV_DIM_MAX);
    if (!inv_all_within(parts->matrix, parts->rows * parts->cols,
                        INV_VALUE_ABS_MAX) ||
        (parts->bias != NULL &&
         !inv_all_within(parts->bias, parts->rows, INV_VALUE_ABS_MAX)))
        return not_finite(err);
    status = check_blend(parts, err);
    return status == INV_OK ? check_fold(parts, err) : status;
}

/* Copies the fold into one block. */
static bool keep_fold(struct inv_adapter *adapter,
                      const struct inv_adapter_parts *parts) {
    const struct inv_adapter_fold *fold = &parts->fold;
    size_t new_cells = fold->dim * parts->cols;
    size_t old_cells = fold->dim * parts->rows;
    adapter->parts.fold = *fold;
    if (fold->dim == 0)
        return true;
    float *block = calloc(new_cells + fold->dim + old_cells, sizeof *block);
    adapter->fold = block;
    if (block == NULL)
        return false;
    memcpy(block, fold->s_new, new_cells * sizeof *block);
    if (fold->s_new_bias != NULL)
        memcpy(block + new_cells, fold->s_new_bias, fold->dim * sizeof *block);
    memcpy(block + new_cells + fold->dim, fold->s_old,
           old_cells * sizeof *block);
    adapter->parts.fold.s_new = block;
    adapter->parts.fold.s_new_bias = block + new_cells;
    adapter->parts.fold.s_old = block + new_cells + fold->dim;
    return true;
}

/* Whole cache lines: rows that straddle them cost a query 20 % more. */
static float *lines_of(size_t cells) {
    size_t bytes = cells * sizeof(float);
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

enum inv_status inv_adapter_new(const struct inv_adapter_parts *parts,
                                struct inv_adapter **out, struct inv_err *err) {
    enum inv_status status = check_parts(parts, err);
    if (status != INV_OK)
        return status;
    size_t cells = parts->rows * parts->cols;
    struct inv_adapter *adapter = calloc(1, sizeof *adapter);
    if (adapter != NULL) {
        adapter->matrix = lines_of(cells);
        adapter->bias = calloc(parts->rows, sizeof *adapter->bias);
        adapter->parts = *parts;
        adapter->degraded = parts->kind == INV_ADAPTER_COMPOSED;
    }
    if (adapter == NULL || adapter->matrix == NULL || adapter->bias == NULL ||
        !keep_fold(adapter, parts)) {
        inv_adapter_free(adapter);
        return inv_fail(err, INV_MEMORY,
                        "out of memory for an adapter of %zu x %zu",
                        parts->rows, parts->cols);
    }
    memcpy(adapter->matrix, parts->matrix, cells * sizeof *adapter->matrix);
    if (parts->bias != NULL)
        memcpy(adapter->bias, parts->bias, parts->rows * sizeof *parts->bias);
    memcpy(adapter->from, parts->from, strlen(parts->from) + 1);
    memcpy(adapter->to, parts->to, strlen(parts->to) + 1);
    adapter->parts.matrix = adapter->matrix;
    adapter->parts.bias = adapter->bias;
    adapter->parts.from = adapter->from;
    adapter->parts.to = adapter->to;
    *out = adapter;
    return INV_OK;
}

void inv_adapter_free(struct inv_adapter *adapter) {
    if (adapter == NULL)
        return;
    free(adapter->matrix);
    free(adapter->bias);
    free(adapter->fold);
    free(adapter);
}

struct inv_adapter_parts inv_adapter_parts(const struct inv_adapter *adapter) {
    return adapter->parts;
}

bool inv_adapter_degraded(const struct inv_adapter *adapter) {
    return adapter->degraded;
}

/* ---- using ---- */

enum inv_status inv_adapter_check(const struct inv_adapter *adapter,
                                  enum inv_adapter_direction direction,
                                  const char *from, size_t from_dim,
                                  const char *to, size_t to_dim,
                                  struct inv_err *err) {
    const struct inv_adapter_parts *p = &adapter->parts;
    if (direction != p->direction)
        return inv_fail(err, INV_INVALID,
                        "this adapter is %s (%s -> %s), a %s one is needed",
                        inv_adapter_direction_name(p->direction), p->from,
                        p->to, inv_adapter_direction_name(direction));
    if (strcmp(from, p->from) != 0 || strcmp(to, p->to) != 0)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "this adapter goes from \"%s\" to \"%s\", not from "
                        "\"%s\" to \"%s\"",
                        p->from, p->to, from, to);
    if (from_dim != p->cols || to_dim != p->rows)
        return inv_fail(err, INV_DIMENSION,
                        "this adapter goes from %zu to %zu dimensions, not "
                        "from %zu to %zu",
                        p->cols, p->rows, from_dim, to_dim);
    return INV_OK;
}

static enum inv_status check_dim(const struct inv_adapter *adapter, size_t dim,
                                 struct inv_err *err) {
    if (dim == adapter->parts.cols)
        return INV_OK;
    return inv_fail(err, INV_DIMENSION,
                    "the adapter takes vectors of %zu dimensions (\"%s\"), got "
                    "%zu",
                    adapter->parts.cols, adapter->from, dim);
}

/* out = in W^T + b, before any normalisation. One query is bound by reading W:
 * with these kernels 7 us at 384 dimensions, where OpenBLAS' sgemv, which does
 * not know this CPU well, takes 35 (768: 70 and 144, 1,024: 154 and 262;
 * bench_adapter_apply). */
static void affine(const float *w, const float *b, size_t rows, size_t cols,
                   const float *in, size_t count, float *out) {
    if (count == 1) {
        inv_dot_rows_f32(in, w, cols, rows, cols, out);
        inv_axpy_f32(1, b, out, rows);
        return;
    }
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * rows, b, rows * sizeof *out);
    if (count > 1)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count,
                    (int)rows, (int)cols, 1, in, (int)cols, w, (int)cols, 1,
                    out, (int)rows);
}

/* Blends what went to the simplex and back into out (normalised rows). room:
 * dim + rows numbers a row. */
static void blend_fold(const struct inv_adapter_parts *p, const float *in,
                       size_t count, float *out, float *room) {
    const struct inv_adapter_fold *fold = &p->fold;
    float *z = room;
    float *back = room + count * fold->dim;
    affine(fold->s_new, fold->s_new_bias, fold->dim, p->cols, in, count, z);
    for (size_t i = 0; i < count; i++)
        inv_normalize_f32(z + i * fold->dim, fold->dim);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count,
                (int)p->rows, (int)fold->dim, 1, z, (int)fold->dim, fold->s_old,
                (int)p->rows, 0, back, (int)p->rows);
    for (size_t i = 0; i < count; i++) {
        float *y = out + i * p->rows;
        const float *other = back + i * p->rows;
        inv_normalize_f32(back + i * p->rows, p->rows);
        for (size_t j = 0; j < p->rows; j++)
            y[j] *= 1 - fold->beta;
        inv_axpy_f32(fold->beta, other, y, p->rows);
        inv_normalize_f32(y, p->rows);
    }
}

/* To length 1, of a blend each part to its own. */
static void normalise_row(const struct inv_adapter_parts *p, float *y) {
    size_t base = p->blend.base;
    if (base == 0) {
        inv_normalize_f32(y, p->rows);
        return;
    }
    float left = sqrtf(1 - p->blend.share);
    float right = sqrtf(p->blend.share);
    inv_normalize_f32(y, base);
    inv_normalize_f32(y + base, p->rows - base);
    for (size_t j = 0; j < p->rows; j++)
        y[j] *= j < base ? left : right;
}

/* Rows through the whole map. room: what blend_fold takes for as many rows as
 * ROWS_FOLDED, or NULL without a fold. */
static void transform(const struct inv_adapter_parts *p, const float *in,
                      size_t count, bool normalise, float *out, float *room) {
    size_t most = p->fold.dim > 0 ? (size_t)ROWS_FOLDED : ROWS_AT_ONCE;
    while (count > 0) {
        size_t part = count < most ? count : most;
        affine(p->matrix, p->bias, p->rows, p->cols, in, part, out);
        for (size_t i = 0; i < part && normalise; i++)
            normalise_row(p, out + i * p->rows);
        if (p->fold.dim > 0)
            blend_fold(p, in, part, out, room);
        in += part * p->cols;
        out += part * p->rows;
        count -= part;
    }
}

/* Room for `rows` rows of a fold and `extra` numbers after it. */
static enum inv_status reserve(const struct inv_adapter_parts *p, size_t rows,
                               size_t extra, float **room,
                               struct inv_err *err) {
    size_t each = p->fold.dim > 0 ? p->fold.dim + p->rows : 0;
    *room = malloc((rows * each + extra + 1) * sizeof **room);
    if (*room != NULL)
        return INV_OK;
    return inv_fail(err, INV_MEMORY,
                    "out of memory for %zu vectors of %zu dimensions", rows,
                    p->rows);
}

enum inv_status inv_adapter_apply(const struct inv_adapter *adapter,
                                  const float *in, size_t count, size_t dim,
                                  float *out, struct inv_err *err) {
    const struct inv_adapter_parts *p = &adapter->parts;
    float *room;
    enum inv_status status = check_dim(adapter, dim, err);
    if (status == INV_OK)
        status = reserve(p, count < ROWS_FOLDED ? count : (size_t)ROWS_FOLDED,
                         0, &room, err);
    if (status != INV_OK)
        return status;
    transform(p, in, count, p->normalise, out, room);
    free(room);
    return INV_OK;
}

enum inv_status inv_adapter_apply_tokens(const struct inv_adapter *adapter,
                                         const float *in, size_t count,
                                         size_t dim, float *out,
                                         struct inv_err *err) {
    const struct inv_adapter_parts *p = &adapter->parts;
    float *unit;
    enum inv_status status = check_dim(adapter, dim, err);
    if (status == INV_OK)
        status = reserve(p, 1, dim, &unit, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        float *y = out + i * p->rows;
        memcpy(unit, in + i * dim, dim * sizeof *unit);
        float weight = inv_normalize_f32(unit, dim);
        transform(p, unit, 1, true, y, unit + dim);
        for (size_t j = 0; j < p->rows; j++)
            y[j] *= weight;
    }
    free(unit);
    return INV_OK;
}

/* ---- composing ---- */

static enum inv_status check_chain(const struct inv_adapter *first,
                                   const struct inv_adapter *second,
                                   struct inv_err *err) {
    if (first->fold != NULL || second->fold != NULL ||
        first->parts.blend.base > 0 || second->parts.blend.base > 0)
        return inv_fail(err, INV_INVALID,
                        "an adapter with a simplex fold or blend is not "
                        "composed; refit on documents that hold vectors of "
                        "both ends");
    if (first->degraded || second->degraded)
        return inv_fail(err, INV_INVALID,
                        "at most two adapters are composed; refit on documents "
                        "that hold vectors of both ends");
    if (first->parts.direction != second->parts.direction)
        return inv_fail(err, INV_INVALID, "a %s adapter cannot follow a %s one",
                        inv_adapter_direction_name(second->parts.direction),
                        inv_adapter_direction_name(first->parts.direction));
    if (strcmp(first->to, second->from) != 0)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "the first adapter ends in \"%s\", the second begins "
                        "in \"%s\"",
                        first->to, second->from);
    if (first->parts.rows != second->parts.cols)
        return inv_fail(err, INV_DIMENSION,
                        "the first adapter gives %zu dimensions, the second "
                        "takes %zu",
                        first->parts.rows, second->parts.cols);
    return INV_OK;
}

enum inv_status inv_adapter_compose(const struct inv_adapter *first,
                                    const struct inv_adapter *second,
                                    struct inv_adapter **out,
                                    struct inv_err *err) {
    enum inv_status status = check_chain(first, second, err);
    if (status != INV_OK)
        return status;
    size_t rows = second->parts.rows;
    size_t middle = first->parts.rows;
    size_t cols = first->parts.cols;
    float *matrix = malloc(rows * cols * sizeof *matrix);
    float *bias = malloc(rows * sizeof *bias);
    if (matrix == NULL || bias == NULL) {
        status = inv_fail(err, INV_MEMORY,
                          "out of memory composing %zu x %zu with %zu x %zu",
                          rows, middle, middle, cols);
        goto done;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols,
                (int)middle, 1, second->matrix, (int)middle, first->matrix,
                (int)cols, 0, matrix, (int)cols);
    memcpy(bias, second->bias, rows * sizeof *bias);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)middle, 1,
                second->matrix, (int)middle, first->bias, 1, 1, bias, 1);
    struct inv_adapter_parts parts = second->parts;
    parts.kind = INV_ADAPTER_COMPOSED;
    parts.from = first->from;
    parts.cols = cols;
    parts.matrix = matrix;
    parts.bias = bias;
    status = inv_adapter_new(&parts, out, err);
done:
    free(matrix);
    free(bias);
    return status;
}

/* ---- helpers of serving ---- */

void inv_rows_prefix(const float *in, size_t count, size_t dim, size_t prefix,
                     float *out) {
    for (size_t i = 0; i < count; i++) {
        memmove(out + i * prefix, in + i * dim, prefix * sizeof *out);
        inv_normalize_f32(out + i * prefix, prefix);
    }
}
