/*
 * pairs.c: see pairs.h. Sums in fp64: at a million pairs fp32 would lose the
 * small eigenvalues that ridge and the path divide by. Knows no solver. Jobs
 * and tools call it.
 */
#include "encoders/adapters/pairs.h"

#include "base/kernels.h"
#include "base/limits.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

/* Pairs turned to fp64 at a time: 6 MB at twice 384 dimensions. */
#define PAIRS_AT_ONCE 1024

static double *zeros(size_t count) { return calloc(count, sizeof(double)); }

enum inv_status inv_pairs_init(struct inv_pairs *pairs, size_t x_dim,
                               size_t y_dim, struct inv_err *err) {
    *pairs = (struct inv_pairs){.x_dim = x_dim, .y_dim = y_dim};
    if (x_dim < 1 || x_dim > INV_DIM_MAX || y_dim < 1 || y_dim > INV_DIM_MAX)
        return inv_fail(err, INV_DIMENSION,
                        "pairs of %zu and %zu dimensions; 1 to %d are possible",
                        x_dim, y_dim, INV_DIM_MAX);
    pairs->sum_x = zeros(x_dim);
    pairs->sum_y = zeros(y_dim);
    pairs->xx = zeros(x_dim * x_dim);
    pairs->yx = zeros(y_dim * x_dim);
    pairs->yy = zeros(y_dim * y_dim);
    if (pairs->sum_x != NULL && pairs->sum_y != NULL && pairs->xx != NULL &&
        pairs->yx != NULL && pairs->yy != NULL)
        return INV_OK;
    inv_pairs_release(pairs);
    return inv_fail(err, INV_MEMORY,
                    "out of memory for the sums of %zu and %zu dimensions",
                    x_dim, y_dim);
}

void inv_pairs_release(struct inv_pairs *pairs) {
    free(pairs->sum_x);
    free(pairs->sum_y);
    free(pairs->xx);
    free(pairs->yx);
    free(pairs->yy);
    *pairs = (struct inv_pairs){.count = 0};
}

static void widen(const float *in, size_t count, size_t dim, double *out,
                  double *sum) {
    for (size_t i = 0; i < count * dim; i++)
        out[i] = (double)in[i];
    for (size_t i = 0; i < count; i++)
        cblas_daxpy((int)dim, 1, out + i * dim, 1, sum, 1);
}

static void add_block(struct inv_pairs *p, const double *x, const double *y,
                      size_t count) {
    int n = (int)count;
    int dx = (int)p->x_dim;
    int dy = (int)p->y_dim;
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, dx, n, 1, x, dx, 1,
                p->xx, dx);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, dy, n, 1, y, dy, 1,
                p->yy, dy);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dy, dx, n, 1, y, dy, x,
                dx, 1, p->yx, dx);
    p->count += count;
}

enum inv_status inv_pairs_add(struct inv_pairs *pairs, const float *x,
                              const float *y, size_t count,
                              struct inv_err *err) {
    size_t dx = pairs->x_dim;
    size_t dy = pairs->y_dim;
    double *wide = malloc(PAIRS_AT_ONCE * (dx + dy) * sizeof *wide);
    if (wide == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %d pairs",
                        PAIRS_AT_ONCE);
    enum inv_status status = INV_OK;
    for (size_t at = 0; at < count && status == INV_OK; at += PAIRS_AT_ONCE) {
        size_t part =
            count - at < PAIRS_AT_ONCE ? count - at : (size_t)PAIRS_AT_ONCE;
        const float *px = x + at * dx;
        const float *py = y + at * dy;
        for (size_t i = 0; i < part && status == INV_OK; i++)
            if (!inv_all_within(px + i * dx, dx, INV_VALUE_ABS_MAX) ||
                !inv_all_within(py + i * dy, dy, INV_VALUE_ABS_MAX))
                status = inv_fail(err, INV_NOT_FINITE,
                                  "pair %zu of %zu holds a number that is not "
                                  "finite or beyond %g",
                                  at + i, count, (double)INV_VALUE_ABS_MAX);
        if (status != INV_OK)
            break;
        widen(px, part, dx, wide, pairs->sum_x);
        widen(py, part, dy, wide + part * dx, pairs->sum_y);
        add_block(pairs, wide, wide + part * dx, part);
    }
    free(wide);
    return status;
}

/* ---- moments ---- */

/* Full symmetric covariance from the lower triangle of a sum. */
static void symmetric(const double *sum, const double *mean, size_t dim,
                      double n, double *out) {
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j <= i; j++) {
            double value = sum[i * dim + j] / n - mean[i] * mean[j];
            out[i * dim + j] = value;
            out[j * dim + i] = value;
        }
}

/* out = E[b a^T]; the sum is of y x^T, a is x unless swapped. */
static void cross(const struct inv_pairs *p, const struct inv_moments *m,
                  bool swapped) {
    double n = (double)p->count;
    for (size_t i = 0; i < m->y_dim; i++)
        for (size_t j = 0; j < m->x_dim; j++) {
            double sum =
                swapped ? p->yx[j * p->x_dim + i] : p->yx[i * p->x_dim + j];
            m->cyx[i * m->x_dim + j] = sum / n - m->mean_y[i] * m->mean_x[j];
        }
}

static enum inv_status reserve(struct inv_moments *m, struct inv_err *err) {
    m->mean_x = zeros(m->x_dim);
    m->mean_y = zeros(m->y_dim);
    m->cxx = zeros(m->x_dim * m->x_dim);
    m->cyx = zeros(m->y_dim * m->x_dim);
    m->cyy = zeros(m->y_dim * m->y_dim);
    if (m->mean_x != NULL && m->mean_y != NULL && m->cxx != NULL &&
        m->cyx != NULL && m->cyy != NULL)
        return INV_OK;
    return inv_fail(err, INV_MEMORY,
                    "out of memory for moments of %zu and %zu dimensions",
                    m->x_dim, m->y_dim);
}

enum inv_status inv_pairs_moments(const struct inv_pairs *pairs, bool centred,
                                  bool swapped, struct inv_moments *moments,
                                  struct inv_err *err) {
    struct inv_moments m = {
        .x_dim = swapped ? pairs->y_dim : pairs->x_dim,
        .y_dim = swapped ? pairs->x_dim : pairs->y_dim,
        .count = pairs->count,
    };
    *moments = (struct inv_moments){.count = 0};
    if (pairs->count < 2)
        return inv_fail(err, INV_INVALID,
                        "a fit needs at least 2 pairs, there are %zu",
                        (size_t)pairs->count);
    enum inv_status status = reserve(&m, err);
    if (status != INV_OK) {
        inv_moments_release(&m);
        return status;
    }
    double n = (double)pairs->count;
    double share = centred ? 1 / n : 0;
    const double *sum_x = swapped ? pairs->sum_y : pairs->sum_x;
    const double *sum_y = swapped ? pairs->sum_x : pairs->sum_y;
    for (size_t i = 0; i < m.x_dim; i++)
        m.mean_x[i] = sum_x[i] * share;
    for (size_t i = 0; i < m.y_dim; i++)
        m.mean_y[i] = sum_y[i] * share;
    symmetric(swapped ? pairs->yy : pairs->xx, m.mean_x, m.x_dim, n, m.cxx);
    symmetric(swapped ? pairs->xx : pairs->yy, m.mean_y, m.y_dim, n, m.cyy);
    cross(pairs, &m, swapped);
    *moments = m;
    return INV_OK;
}

void inv_moments_release(struct inv_moments *moments) {
    free(moments->mean_x);
    free(moments->mean_y);
    free(moments->cxx);
    free(moments->cyx);
    free(moments->cyy);
    *moments = (struct inv_moments){.count = 0};
}
