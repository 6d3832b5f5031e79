/*
 * muvera_encode.c: one token matrix to one encoding. Signs of all hyperplanes
 * by GEMM, then, repetition by repetition, sums per cell in d dimensions, fill
 * of empty cells, and one sketch per cell that holds something. Knows nothing
 * of how the matrices were drawn. Any thread; all scratch memory belongs to
 * the call.
 *
 * A GEMM call never holds tokens of two documents and its shape depends on
 * this document alone: encoding one by one, in batches or on many threads
 * cannot differ in a single bit.
 */
#include "encoders/muvera_internal.h"

#include "base/kernels.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Floats of signs alive at once: 1 MB, so that they stay in the second-level
 * cache and a long document does not take rows * R * k of them. */
#define SIGNS_MAX ((size_t)1 << 18)

/* A cell of the current repetition that holds tokens. */
struct occupied {
    const float *sum; /* a token itself, or a row of `sums` */
    uint32_t cell;
    uint32_t count;
    uint32_t first; /* its first token */
};

/* Everything one call needs, out of one allocation. */
struct encoding {
    const struct inv_muvera *muvera;
    const float *tokens; /* rows x dim, no zero row, centred */
    size_t rows;
    bool document;
    float *out;
    void *memory;
    float *kept;            /* room for a changed copy of the tokens */
    float *signs;           /* chunk x planes_count */
    size_t chunk;           /* rows hashed by one GEMM */
    uint16_t *codes;        /* repetitions x rows */
    uint32_t *slot;         /* of a cell: 1 + its place in occupied; or 0 */
    struct occupied *cells; /* at most min(rows, 2^k) */
    size_t occupied;        /* how many */
    float *sums;            /* dim floats for each of them */
    uint32_t *listed;       /* places in `cells`, as many at most */
    float *filling;         /* dim */
    float *signed_x;        /* x, -x, 0: what a sketch reads */
    float *block;           /* width; with a final sketch */
};

/* Cuts `bytes` out of the allocation at *at, 64-byte aligned; with base NULL
 * only measures. */
static void *carve(char *base, size_t *at, size_t bytes) {
    size_t start = *at;
    *at = (start + bytes + 63) & ~(size_t)63;
    return base == NULL ? NULL : base + start;
}

static size_t lay_out(struct encoding *e, char *base, bool copy) {
    const struct inv_muvera *muvera = e->muvera;
    size_t dim = muvera->params.dim;
    size_t held = e->rows < muvera->cells ? e->rows : muvera->cells;
    size_t row = dim * sizeof(float);
    size_t at = 0;
    e->kept = carve(base, &at, copy ? e->rows * row : 0);
    e->signs =
        carve(base, &at, e->chunk * muvera->planes_count * sizeof *e->signs);
    e->codes = carve(base, &at,
                     e->rows * muvera->params.repetitions * sizeof *e->codes);
    e->slot = carve(base, &at, muvera->cells * sizeof *e->slot);
    e->cells = carve(base, &at, held * sizeof *e->cells);
    e->listed = carve(base, &at, held * sizeof *e->listed);
    e->sums = carve(base, &at, held * row);
    e->filling = carve(base, &at, row);
    e->signed_x = carve(base, &at, 2 * row + sizeof *e->signed_x);
    e->block = carve(base, &at, muvera->params.width * sizeof *e->block);
    return at;
}

static enum inv_status allocate(struct encoding *e, bool copy,
                                struct inv_err *err) {
    size_t planes = e->muvera->planes_count;
    e->chunk = planes == 0 ? 0 : SIGNS_MAX / planes;
    if (planes != 0 && e->chunk == 0)
        e->chunk = 1;
    if (e->chunk > e->rows)
        e->chunk = e->rows;
    size_t bytes = lay_out(e, NULL, copy);
    e->memory = malloc(bytes + 63);
    if (e->memory == NULL)
        return inv_fail(err, INV_MEMORY,
                        "out of memory encoding %zu tokens (%zu bytes)",
                        e->rows, bytes);
    char *base = e->memory;
    lay_out(e, base + (-(uintptr_t)base & 63), copy);
    return INV_OK;
}

static bool row_is_zero(const float *row, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        if (row[i] != 0.0f)
            return false;
    return true;
}

static enum inv_status out_of_range(const float *tokens, size_t rows,
                                    size_t dim, struct inv_err *err) {
    for (size_t i = 0; i < rows * dim; i++)
        if (!(fabsf(tokens[i]) <= INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "row %zu, column %zu is %g; finite numbers up to "
                            "%g are possible",
                            i / dim, i % dim, (double)tokens[i],
                            (double)INV_VALUE_ABS_MAX);
    return INV_OK;
}

/* Checks the matrix and counts the rows that are not all zero. */
static enum inv_status check_tokens(const float *tokens, size_t rows,
                                    size_t dim, size_t *kept,
                                    struct inv_err *err) {
    if (rows < 1 || rows > UINT32_MAX)
        return inv_fail(err, INV_INVALID,
                        "a token matrix of %zu rows; 1 to %lu are possible",
                        rows, (unsigned long)UINT32_MAX);
    if (!inv_all_within(tokens, rows * dim, INV_VALUE_ABS_MAX))
        return out_of_range(tokens, rows, dim, err);
    *kept = 0;
    for (size_t i = 0; i < rows; i++)
        *kept += !row_is_zero(tokens + i * dim, dim);
    if (*kept == 0)
        return inv_fail(err, INV_INVALID,
                        "all %zu tokens are zero; at least 1 other is needed",
                        rows);
    return INV_OK;
}

/* Copies the rows that count and takes the mean direction out of them. */
static void keep_tokens(struct encoding *e, const float *tokens, size_t rows) {
    size_t dim = e->muvera->params.dim;
    const float *center = e->muvera->center;
    float *to = e->kept;
    for (size_t i = 0; i < rows; i++) {
        const float *from = tokens + i * dim;
        if (row_is_zero(from, dim))
            continue;
        memcpy(to, from, dim * sizeof *to);
        if (center != NULL)
            inv_axpy_f32(-inv_dot_f32(from, center, dim), center, to, dim);
        to += dim;
    }
    e->tokens = e->kept;
}

/* The cell of every (repetition, token): bit j is <x, g_j> > 0, strictly, the
 * first bit the highest. */
static void hash_tokens(struct encoding *e) {
    const struct inv_muvera *muvera = e->muvera;
    size_t dim = muvera->params.dim, planes = muvera->planes_count;
    size_t bits = muvera->params.bits;
    if (planes == 0) {
        memset(e->codes, 0,
               e->rows * muvera->params.repetitions * sizeof *e->codes);
        return;
    }
    for (size_t from = 0; from < e->rows; from += e->chunk) {
        size_t rows = e->rows - from < e->chunk ? e->rows - from : e->chunk;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows,
                    (int)planes, (int)dim, 1.0f, e->tokens + from * dim,
                    (int)dim, muvera->planes, (int)planes, 0.0f, e->signs,
                    (int)planes);
        const float *sign = e->signs;
        for (size_t i = from; i < from + rows; i++) {
            for (size_t r = 0; r < muvera->params.repetitions; r++) {
                uint32_t code = 0;
                for (size_t j = 0; j < bits; j++)
                    code = code << 1 | (*sign++ > 0.0f);
                e->codes[r * e->rows + i] = (uint16_t)code;
            }
        }
    }
}

/* Sums of the tokens of every cell of one repetition. A cell of one token
 * points at it: no copy. */
static void gather_cells(struct encoding *e, const uint16_t *codes) {
    size_t dim = e->muvera->params.dim;
    memset(e->slot, 0, e->muvera->cells * sizeof *e->slot);
    e->occupied = 0;
    for (size_t i = 0; i < e->rows; i++) {
        const float *token = e->tokens + i * dim;
        uint32_t slot = e->slot[codes[i]];
        if (slot == 0) {
            e->cells[e->occupied] =
                (struct occupied){token, codes[i], 1, (uint32_t)i};
            e->slot[codes[i]] = (uint32_t)++e->occupied;
            continue;
        }
        struct occupied *cell = &e->cells[slot - 1];
        float *sum = e->sums + (slot - 1) * dim;
        if (cell->count++ == 1) {
            memcpy(sum, cell->sum, dim * sizeof *sum);
            cell->sum = sum;
        }
        inv_axpy_f32(1.0f, token, sum, dim);
    }
}

/* y = -x. Through a block of eight that nothing can alias: so -O2 vectorises
 * it, a fifth of the time of an encoding. */
static void negate(const float *x, float *y, size_t dim) {
    size_t i = 0;
    for (; i + 8 <= dim; i += 8) {
        float block[8];
        memcpy(block, x + i, sizeof block);
        for (size_t j = 0; j < 8; j++)
            block[j] = -block[j];
        memcpy(y + i, block, sizeof block);
    }
    for (; i < dim; i++)
        y[i] = -x[i];
}

/* out[j] = sum of bucket j. */
static void sketch(const uint16_t *table, const float *signed_x, size_t width,
                   float *out) {
    const uint16_t *entry = table + width;
    uint32_t group = 0;
    for (size_t j = 0; j < width; j++) {
        float sum = 0.0f, sum2 = 0.0f;
        for (; group < table[j]; group++, entry += INV_SKETCH_GROUP) {
            sum += signed_x[entry[0]] + signed_x[entry[1]];
            sum2 += signed_x[entry[2]] + signed_x[entry[3]];
        }
        out[j] = sum + sum2;
    }
}

/* Writes scale * projection(x) as the block of a cell. */
static void put_block(struct encoding *e, size_t repetition, size_t cell,
                      const float *x, float scale) {
    const struct inv_muvera *muvera = e->muvera;
    size_t width = muvera->params.width;
    size_t at = (repetition * muvera->cells + muvera->position[cell]) * width;
    float *block = muvera->last != NULL ? e->block : e->out + at;
    if (muvera->sketches == NULL) {
        memcpy(block, x, width * sizeof *block);
    } else {
        size_t which = muvera->params.sketch_per_cell
                           ? repetition * muvera->cells + cell
                           : repetition;
        size_t dim = muvera->params.dim;
        memcpy(e->signed_x, x, dim * sizeof *x);
        negate(x, e->signed_x + dim, dim);
        sketch(muvera->sketches + which * muvera->sketch_stride, e->signed_x,
               width, block);
    }
    if (scale != 1.0f)
        for (size_t j = 0; j < width; j++)
            block[j] *= scale;
    if (muvera->last == NULL)
        return;
    const uint32_t *last = muvera->last + at;
    for (size_t j = 0; j < width; j++)
        e->out[last[j] >> 1] += (last[j] & 1) != 0 ? -block[j] : block[j];
}

/* Hamming distance to the nearest occupied cell. Rings around the cell are
 * probed while that is less work than going through all occupied cells: at
 * k = 16 and thousands of tokens the difference is a factor of hundreds. */
static uint32_t nearest_distance(const struct encoding *e, size_t cell) {
    const struct inv_muvera *muvera = e->muvera;
    for (uint32_t t = 1; muvera->ring[t + 1] <= e->occupied; t++)
        for (uint32_t i = muvera->ring[t]; i < muvera->ring[t + 1]; i++)
            if (e->slot[cell ^ muvera->near[i]] != 0)
                return t;
    uint32_t nearest = UINT32_MAX;
    for (size_t i = 0; i < e->occupied; i++) {
        uint32_t t = muvera->distance[cell ^ e->cells[i].cell];
        nearest = t < nearest ? t : nearest;
    }
    return nearest;
}

/* Lists the occupied cells at distance t, the shorter way. */
static size_t list_at(struct encoding *e, size_t cell, uint32_t t) {
    const struct inv_muvera *muvera = e->muvera;
    size_t count = 0;
    if (muvera->ring[t + 1] - muvera->ring[t] <= e->occupied) {
        for (uint32_t i = muvera->ring[t]; i < muvera->ring[t + 1]; i++) {
            uint32_t slot = e->slot[cell ^ muvera->near[i]];
            if (slot != 0)
                e->listed[count++] = slot - 1;
        }
        return count;
    }
    for (uint32_t i = 0; i < e->occupied; i++)
        if (muvera->distance[cell ^ e->cells[i].cell] == t)
            e->listed[count++] = i;
    return count;
}

/* The first of the tokens at the nearest distance. */
static void fill_nearest(struct encoding *e, size_t repetition, size_t cell) {
    size_t count = list_at(e, cell, nearest_distance(e, cell));
    uint32_t first = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        uint32_t token = e->cells[e->listed[i]].first;
        first = token < first ? token : first;
    }
    put_block(e, repetition, cell,
              e->tokens + (size_t)first * e->muvera->params.dim, 1.0f);
}

/* damping[t] * mean of all tokens at the nearest distance t. */
static void fill_damped(struct encoding *e, size_t repetition, size_t cell) {
    size_t dim = e->muvera->params.dim;
    uint32_t nearest = nearest_distance(e, cell);
    float weight = e->muvera->damping[nearest];
    if (!(weight > 0.0f))
        return;
    size_t count = list_at(e, cell, nearest), tokens = 0;
    const float *sum = e->cells[e->listed[0]].sum;
    if (count > 1) {
        memcpy(e->filling, sum, dim * sizeof *e->filling);
        sum = e->filling;
    }
    for (size_t i = 0; i < count; i++) {
        const struct occupied *other = &e->cells[e->listed[i]];
        if (i > 0)
            inv_axpy_f32(1.0f, other->sum, e->filling, dim);
        tokens += other->count;
    }
    put_block(e, repetition, cell, sum, weight / (float)tokens);
}

static void fill_cells(struct encoding *e, size_t repetition) {
    enum inv_muvera_fill fill = e->muvera->params.fill;
    for (size_t cell = 0; cell < e->muvera->cells; cell++) {
        if (e->slot[cell] != 0)
            continue;
        if (fill == INV_FILL_NEAREST)
            fill_nearest(e, repetition, cell);
        else
            fill_damped(e, repetition, cell);
    }
}

static void write_encoding(struct encoding *e) {
    const struct inv_muvera *muvera = e->muvera;
    e->signed_x[2 * muvera->params.dim] = 0.0f;
    memset(e->out, 0, inv_muvera_dim(muvera) * sizeof *e->out);
    hash_tokens(e);
    for (size_t r = 0; r < muvera->params.repetitions; r++) {
        gather_cells(e, e->codes + r * e->rows);
        for (size_t i = 0; i < e->occupied; i++) {
            const struct occupied *cell = &e->cells[i];
            float scale = e->document ? 1.0f / (float)cell->count : 1.0f;
            put_block(e, r, cell->cell, cell->sum, scale);
        }
        if (e->document && muvera->params.fill != INV_FILL_NONE)
            fill_cells(e, r);
    }
}

static enum inv_status encode(const struct inv_muvera *muvera, bool document,
                              const float *tokens, size_t rows, float *out,
                              struct inv_err *err) {
    struct encoding e = {
        .muvera = muvera, .tokens = tokens, .document = document, .out = out};
    enum inv_status status =
        check_tokens(tokens, rows, muvera->params.dim, &e.rows, err);
    if (status != INV_OK)
        return status;
    bool copy = e.rows < rows || muvera->center != NULL;
    status = allocate(&e, copy, err);
    if (status != INV_OK)
        return status;
    if (copy)
        keep_tokens(&e, tokens, rows);
    write_encoding(&e);
    free(e.memory);
    return INV_OK;
}

enum inv_status inv_muvera_encode_query(const struct inv_muvera *muvera,
                                        const float *tokens, size_t rows,
                                        float *out, struct inv_err *err) {
    return encode(muvera, false, tokens, rows, out, err);
}

enum inv_status inv_muvera_encode_document(const struct inv_muvera *muvera,
                                           const float *tokens, size_t rows,
                                           float *out, struct inv_err *err) {
    return encode(muvera, true, tokens, rows, out, err);
}
