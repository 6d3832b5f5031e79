/*
 * map.c: fitted maps and what is measured on them; see fit.h. Any thread.
 */
#include "encoders/adapters/fit.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COSINES_AT_ONCE 128

enum inv_status inv_map_init(struct inv_map *map, size_t rows, size_t cols,
                             struct inv_err *err) {
    *map = (struct inv_map){.rows = rows, .cols = cols};
    map->w = calloc(rows * cols, sizeof *map->w);
    map->b = calloc(rows, sizeof *map->b);
    if (map->w != NULL && map->b != NULL)
        return INV_OK;
    inv_map_release(map);
    return inv_fail(err, INV_MEMORY, "out of memory for a map of %zu x %zu",
                    rows, cols);
}

void inv_map_release(struct inv_map *map) {
    free(map->w);
    free(map->b);
    *map = (struct inv_map){.rows = 0};
}

enum inv_status inv_map_copy(const struct inv_map *from, struct inv_map *to,
                             struct inv_err *err) {
    enum inv_status status = inv_map_init(to, from->rows, from->cols, err);
    if (status != INV_OK)
        return status;
    double *w = to->w;
    double *b = to->b;
    memcpy(w, from->w, from->rows * from->cols * sizeof *w);
    memcpy(b, from->b, from->rows * sizeof *b);
    *to = *from;
    to->w = w;
    to->b = b;
    return INV_OK;
}

void inv_map_floats(const struct inv_map *map, float *w, float *b) {
    for (size_t i = 0; i < map->rows * map->cols; i++)
        w[i] = (float)map->w[i];
    for (size_t i = 0; i < map->rows; i++)
        b[i] = (float)map->b[i];
}

double inv_map_r(const double *w, size_t rows, size_t cols, double *gram) {
    size_t d = rows < cols ? rows : cols;
    cblas_dsyrk(CblasRowMajor, CblasLower,
                rows <= cols ? CblasNoTrans : CblasTrans, (int)d,
                (int)(rows <= cols ? cols : rows), 1, w, (int)cols, 0, gram,
                (int)d);
    double sum = 0;
    for (size_t i = 0; i < d; i++) {
        gram[i * d + i] -= 1;
        sum += gram[i * d + i] * gram[i * d + i];
        for (size_t j = 0; j < i; j++) {
            sum += 2 * gram[i * d + j] * gram[i * d + j];
            gram[j * d + i] = gram[i * d + j];
        }
    }
    return sqrt(sum);
}

/* Singular values are the roots of the eigenvalues of the Gram matrix: half of
 * the digits, which a condition number does not need. */
enum inv_status inv_map_measure(struct inv_map *map, struct inv_err *err) {
    size_t d = map->rows < map->cols ? map->rows : map->cols;
    double *gram = malloc(d * d * sizeof *gram);
    double *values = malloc(d * sizeof *values);
    enum inv_status status = INV_OK;
    if (gram == NULL || values == NULL) {
        status = inv_fail(err, INV_MEMORY,
                          "out of memory measuring a map of %zu x %zu",
                          map->rows, map->cols);
        goto done;
    }
    map->r = inv_map_r(map->w, map->rows, map->cols, gram);
    lapack_int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'N', 'L', (lapack_int)d,
                                     gram, (lapack_int)d, values);
    if (info != 0) {
        status = inv_fail(err, INV_INTERNAL,
                          "the singular values of a map of %zu x %zu were not "
                          "found (%d)",
                          map->rows, map->cols, (int)info);
        goto done;
    }
    double least = values[0] + 1;
    map->condition =
        least > 0 ? sqrt((values[d - 1] + 1) / least) : (double)INFINITY;
done:
    free(gram);
    free(values);
    return status;
}

/* Sum of the cosines of count rows of W x + b (in out) and y. */
static double cosines(const double *out, const float *y, size_t count,
                      size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double dot = 0, xx = 0, yy = 0;
        for (size_t j = 0; j < dim; j++) {
            double mapped = out[i * dim + j];
            double target = (double)y[i * dim + j];
            dot += mapped * target;
            xx += mapped * mapped;
            yy += target * target;
        }
        sum += xx > 0 && yy > 0 ? dot / sqrt(xx * yy) : 0;
    }
    return sum;
}

/* In blocks: row by row W is read for each, which took 2.0 s for 2,000 pairs
 * and six maps of 768 dimensions, and takes .9 s so. */
enum inv_status inv_map_cosine(const struct inv_map *map, const float *x,
                               const float *y, size_t count, double *cosine,
                               struct inv_err *err) {
    size_t rows = map->rows;
    size_t cols = map->cols;
    double *in = malloc(COSINES_AT_ONCE * (rows + cols) * sizeof *in);
    double sum = 0;
    if (in == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for vectors of %zu",
                        cols);
    double *out = in + COSINES_AT_ONCE * cols;
    for (size_t at = 0; at < count; at += COSINES_AT_ONCE) {
        size_t part =
            count - at < COSINES_AT_ONCE ? count - at : (size_t)COSINES_AT_ONCE;
        for (size_t i = 0; i < part * cols; i++)
            in[i] = (double)x[at * cols + i];
        for (size_t i = 0; i < part; i++)
            memcpy(out + i * rows, map->b, rows * sizeof *out);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)part,
                    (int)rows, (int)cols, 1, in, (int)cols, map->w, (int)cols,
                    1, out, (int)rows);
        sum += cosines(out, y + at * rows, part, rows);
    }
    *cosine = count > 0 ? sum / (double)count : 0;
    free(in);
    return INV_OK;
}
