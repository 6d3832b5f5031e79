/*
 * sampling.c: see sampling.h. Knows rows, not documents. Any thread.
 */
#include "encoders/adapters/sampling.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Of the mean eigenvalue, added to all: rows that span fewer dimensions than
 * they have. */
#define RIDGE 1e-6
/* Volume that is left when this share of it is: rounding. */
#define LEFT_MIN 1e-4

void inv_sample_uniform(size_t count, size_t want, uint64_t seed,
                        uint32_t *out) {
    struct inv_stream stream;
    size_t taken = 0;
    inv_stream_init(&stream, seed, "sample.uniform", 0);
    for (size_t i = 0; i < count && taken < want; i++)
        if (inv_stream_below(&stream, (uint32_t)(count - i)) < want - taken)
            out[taken++] = (uint32_t)i;
}

/* The rows that take part, whitened, and what is drawn from them. */
struct urn {
    size_t count, dim, want;
    float *u;         /* count x dim, columns orthonormal */
    double *leverage; /* |u_i|^2 */
    double *left;     /* what of it the drawn ones do not explain */
    float *basis;     /* directions of the drawn ones, dim x dim */
    float *along;     /* count */
    bool *drawn;
};

static void urn_release(struct urn *urn) {
    free(urn->u);
    free(urn->leverage);
    free(urn->left);
    free(urn->basis);
    free(urn->along);
    free(urn->drawn);
}

static bool urn_reserve(struct urn *urn) {
    size_t steps = urn->want < urn->dim ? urn->want : urn->dim;
    urn->u = malloc(urn->count * urn->dim * sizeof *urn->u);
    urn->leverage = calloc(urn->count, sizeof *urn->leverage);
    urn->left = calloc(urn->count, sizeof *urn->left);
    urn->basis = calloc(steps * urn->dim, sizeof *urn->basis);
    urn->along = calloc(urn->count, sizeof *urn->along);
    urn->drawn = calloc(urn->count, sizeof *urn->drawn);
    return urn->u != NULL && urn->leverage != NULL && urn->left != NULL &&
           urn->basis != NULL && urn->along != NULL && urn->drawn != NULL;
}

/* A map with a bias fits what is left without the mean. */
static void centre(struct urn *urn) {
    for (size_t j = 0; j < urn->dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < urn->count; i++)
            sum += (double)urn->u[i * urn->dim + j];
        float mean = (float)(sum / (double)urn->count);
        for (size_t i = 0; i < urn->count; i++)
            urn->u[i * urn->dim + j] -= mean;
    }
}

/* u = X L^-T with X^T X = L L^T, whose columns are orthonormal. */
static enum inv_status whiten(struct urn *urn, struct inv_err *err) {
    int d = (int)urn->dim;
    float *gram = malloc(urn->dim * urn->dim * sizeof *gram);
    double trace = 0;
    if (gram == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu dimensions",
                        urn->dim);
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, d, (int)urn->count, 1,
                urn->u, d, 0, gram, d);
    for (size_t i = 0; i < urn->dim; i++)
        trace += (double)gram[i * urn->dim + i];
    for (size_t i = 0; i < urn->dim; i++)
        gram[i * urn->dim + i] +=
            (float)(RIDGE * trace / (double)urn->dim) + 1e-30f;
    lapack_int info = LAPACKE_spotrf(LAPACK_ROW_MAJOR, 'L', d, gram, d);
    if (info == 0)
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans,
                    CblasNonUnit, (int)urn->count, d, 1, gram, d, urn->u, d);
    free(gram);
    return info == 0 ? INV_OK
                     : inv_fail(err, INV_INTERNAL,
                                "the rows' covariance of %zu dimensions was "
                                "not factored (%d)",
                                urn->dim, (int)info);
}

/* One index with probability weights[i] / total. */
static size_t draw(const double *weights, size_t count, double total,
                   struct inv_stream *stream) {
    double at = inv_stream_uniform(stream) * total;
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] <= 0)
            continue;
        last = i;
        at -= weights[i];
        if (at < 0)
            break;
    }
    return last;
}

/* The direction of row i that the `steps` before it do not span, made
 * orthogonal twice: once loses digits. */
static void extend(struct urn *urn, size_t i, size_t steps) {
    float *v = urn->basis + steps * urn->dim;
    memcpy(v, urn->u + i * urn->dim, urn->dim * sizeof *v);
    for (int twice = 0; twice < 2; twice++)
        for (size_t k = 0; k < steps; k++) {
            const float *b = urn->basis + k * urn->dim;
            inv_axpy_f32(-inv_dot_f32(b, v, urn->dim), b, v, urn->dim);
        }
    inv_normalize_f32(v, urn->dim);
}

/* The determinantal process, row after row: each has the probability of the
 * volume that it adds. Returns how many were drawn. */
static size_t draw_volume(struct urn *urn, struct inv_stream *stream) {
    size_t most = urn->want < urn->dim ? urn->want : urn->dim;
    memcpy(urn->left, urn->leverage, urn->count * sizeof *urn->left);
    for (size_t step = 0; step < most; step++) {
        double total = 0;
        for (size_t i = 0; i < urn->count; i++)
            total += urn->left[i];
        if (total < LEFT_MIN)
            return step;
        size_t i = draw(urn->left, urn->count, total, stream);
        urn->drawn[i] = true;
        extend(urn, i, step);
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)urn->count, (int)urn->dim,
                    1, urn->u, (int)urn->dim, urn->basis + step * urn->dim, 1,
                    0, urn->along, 1);
        for (size_t k = 0; k < urn->count; k++) {
            urn->left[k] -= (double)urn->along[k] * (double)urn->along[k];
            if (urn->left[k] < 0 || urn->drawn[k])
                urn->left[k] = 0;
        }
    }
    return most;
}

static void draw_leverage(struct urn *urn, size_t drawn,
                          struct inv_stream *stream) {
    for (; drawn < urn->want; drawn++) {
        double total = 0;
        for (size_t i = 0; i < urn->count; i++) {
            /* rows at the mean have none, and may be wanted all the same */
            urn->left[i] = urn->drawn[i] ? 0 : urn->leverage[i] + 1e-12;
            total += urn->left[i];
        }
        urn->drawn[draw(urn->left, urn->count, total, stream)] = true;
    }
}

static enum inv_status sample(struct urn *urn, uint64_t seed,
                              struct inv_err *err) {
    struct inv_stream stream;
    centre(urn);
    enum inv_status status = whiten(urn, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < urn->count; i++) {
        const float *row = urn->u + i * urn->dim;
        urn->leverage[i] = (double)inv_dot_f32(row, row, urn->dim);
    }
    inv_stream_init(&stream, seed, "sample.leverage", 0);
    draw_leverage(urn, draw_volume(urn, &stream), &stream);
    return INV_OK;
}

/* Rows which[i] (NULL: i) of the caller into the urn. */
static enum inv_status fill(struct urn *urn, const float *rows,
                            const uint32_t *which, struct inv_err *err) {
    for (size_t i = 0; i < urn->count; i++) {
        size_t at = which != NULL ? which[i] : i;
        const float *row = rows + at * urn->dim;
        if (!inv_all_within(row, urn->dim, INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "row %zu holds a number that is not finite or "
                            "beyond %g",
                            at, (double)INV_VALUE_ABS_MAX);
        memcpy(urn->u + i * urn->dim, row, urn->dim * sizeof *row);
    }
    return INV_OK;
}

/* All rows, or these of them: draws `want` into out. */
static enum inv_status sample_from(const float *rows, const uint32_t *which,
                                   size_t count, size_t dim, size_t want,
                                   uint64_t seed, uint32_t *out,
                                   struct inv_err *err) {
    struct urn urn = {.count = count, .dim = dim, .want = want};
    size_t taken = 0;
    enum inv_status status =
        urn_reserve(&urn)
            ? fill(&urn, rows, which, err)
            : inv_fail(err, INV_MEMORY, "out of memory for %zu rows", count);
    if (status == INV_OK)
        status = sample(&urn, seed, err);
    for (size_t i = 0; i < count && status == INV_OK; i++)
        if (urn.drawn[i])
            out[taken++] = which != NULL ? which[i] : (uint32_t)i;
    urn_release(&urn);
    return status;
}

enum inv_status inv_sample_leverage(const float *rows, size_t count, size_t dim,
                                    size_t want, uint64_t seed, uint32_t *out,
                                    struct inv_err *err) {
    size_t most = 2 * want > INV_SAMPLE_ROWS ? 2 * want : INV_SAMPLE_ROWS;
    if (want < 1 || want > count || dim < 1 || count >= UINT32_MAX)
        return inv_fail(err, INV_INVALID,
                        "%zu of %zu rows of %zu dimensions cannot be drawn",
                        want, count, dim);
    if (count <= most)
        return sample_from(rows, NULL, count, dim, want, seed, out, err);
    uint32_t *which = calloc(most, sizeof *which);
    if (which == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu rows", most);
    inv_sample_uniform(count, most, seed, which);
    enum inv_status status =
        sample_from(rows, which, most, dim, want, seed, out, err);
    free(which);
    return status;
}
