/*
 * matryoshka.c: prefixes, and the rotation that makes prefixes of ordinary
 * embeddings useful: the eigenvectors of the gallery's second moments, largest
 * first. Knows nothing of collections. Any thread; the caller sets how many
 * threads OpenBLAS takes.
 */
#include "encoders/matryoshka.h"

#include "base/kernels.h"
#include "base/limits.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows turned to fp64 at a time: at d = 384 that is 3 MB, and the GEMM behind
 * dsyrk is long enough to run at full speed. */
#define ROWS_AT_ONCE 1024
/* cblas counts rows in an int; no call is given more than this many. */
#define GEMM_ROWS ((size_t)1 << 20)

/* moments += X^T X (lower triangle, column-major; symmetric), in fp64: 16k
 * rows summed in fp32 would lose the small eigenvalues. */
static void add_moments(const float *rows, size_t count, size_t dim,
                        double *wide, double *moments) {
    while (count > 0) {
        size_t part = count < ROWS_AT_ONCE ? count : ROWS_AT_ONCE;
        for (size_t i = 0; i < part * dim; i++)
            wide[i] = (double)rows[i];
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, (int)dim,
                    (int)part, 1.0, wide, (int)dim, 1.0, moments, (int)dim);
        rows += part * dim;
        count -= part;
    }
}

/* An eigenvector's sign is arbitrary: the largest component, the first of
 * equals, is made positive. */
static void store_direction(const double *vector, size_t dim, float *out) {
    size_t largest = 0;
    for (size_t i = 1; i < dim; i++)
        if (fabs(vector[i]) > fabs(vector[largest]))
            largest = i;
    double sign = vector[largest] < 0.0 ? -1.0 : 1.0;
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)(sign * vector[i]);
}

static enum inv_status check_rows(const float *rows, size_t count, size_t dim,
                                  struct inv_err *err) {
    if (dim < 1 || dim > INV_DIM_MAX)
        return inv_fail(err, INV_INVALID,
                        "a rotation of %zu dimensions; 1 to %d are possible",
                        dim, INV_DIM_MAX);
    if (count < 1)
        return inv_fail(err, INV_INVALID,
                        "a rotation is learned from at least 1 row, not %zu",
                        count);
    for (size_t i = 0; i < count; i++)
        if (!inv_all_within(rows + i * dim, dim, INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "row %zu of %zu holds a number that is not finite "
                            "or beyond %g",
                            i, count, (double)INV_VALUE_ABS_MAX);
    return INV_OK;
}

enum inv_status inv_pca_learn(const float *rows, size_t count, size_t dim,
                              float *rotation, struct inv_err *err) {
    enum inv_status status = check_rows(rows, count, dim, err);
    if (status != INV_OK)
        return status;
    size_t part = count < ROWS_AT_ONCE ? count : ROWS_AT_ONCE;
    double *wide = malloc(part * dim * sizeof *wide);
    double *moments = calloc(dim * dim, sizeof *moments);
    double *variances = malloc(dim * sizeof *variances);
    lapack_int info = LAPACK_WORK_MEMORY_ERROR;
    if (wide != NULL && moments != NULL && variances != NULL) {
        add_moments(rows, count, dim, wide, moments);
        info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)dim,
                              moments, (lapack_int)dim, variances);
    }
    if (info == 0) {
        /* ascending eigenvalues; eigenvector j is column j */
        for (size_t j = 0; j < dim; j++)
            store_direction(moments + (dim - 1 - j) * dim, dim,
                            rotation + j * dim);
    } else if (info == LAPACK_WORK_MEMORY_ERROR) {
        status = inv_fail(err, INV_MEMORY,
                          "out of memory learning a rotation of %zu "
                          "dimensions from %zu rows",
                          dim, count);
    } else {
        status = inv_fail(err, INV_INTERNAL,
                          "the rotation of %zu dimensions from %zu rows did "
                          "not converge (dsyevd: %d)",
                          dim, count, (int)info);
    }
    free(wide);
    free(moments);
    free(variances);
    return status;
}

void inv_rotate(const float *rotation, const float *rows, size_t count,
                size_t dim, float *out) {
    while (count > 0) {
        size_t part = count < GEMM_ROWS ? count : GEMM_ROWS;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)part,
                    (int)dim, (int)dim, 1.0f, rows, (int)dim, rotation,
                    (int)dim, 0.0f, out, (int)dim);
        rows += part * dim;
        out += part * dim;
        count -= part;
    }
}

void inv_prefix(const float *x, size_t prefix, int normalize, float *out) {
    memcpy(out, x, prefix * sizeof *out);
    if (normalize)
        inv_normalize_f32(out, prefix);
}
