/*
 * kernels_table.h: one set of kernels for one instruction set. Internal to
 * base/kernels*.c and to their test; everyone else includes base/kernels.h.
 *
 * Within one set, <query, row> and |query - row|^2 of the same numbers are the
 * same bits whether a row is computed alone or among others.
 */
#ifndef INV_BASE_KERNELS_TABLE_H
#define INV_BASE_KERNELS_TABLE_H

#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_kernels {
    const char *name;
    float (*dot_f32)(const float *query, const float *row, size_t dim);
    float (*dot_f16)(const float *query, const uint16_t *row, size_t dim);
    float (*dot_i8)(const float *query, const int8_t *row, float scale,
                    size_t dim);
    float (*l2sq_f32)(const float *query, const float *row, size_t dim);
    float (*l2sq_f16)(const float *query, const uint16_t *row, size_t dim);
    float (*l2sq_i8)(const float *query, const int8_t *row, float scale,
                     size_t dim);
    void (*dot_rows_f32)(const float *query, const float *rows, size_t stride,
                         size_t count, size_t dim, float *out);
    void (*dot_rows_f16)(const float *query, const uint16_t *rows,
                         size_t stride, size_t count, size_t dim, float *out);
    void (*l2sq_rows_f32)(const float *query, const float *rows, size_t stride,
                          size_t count, size_t dim, float *out);
    void (*l2sq_rows_f16)(const float *query, const uint16_t *rows,
                          size_t stride, size_t count, size_t dim, float *out);
    void (*axpy)(float a, const float *x, float *y, size_t dim);
    void (*f16_from_f32)(const float *in, uint16_t *out, size_t count);
    void (*f32_from_f16)(const uint16_t *in, float *out, size_t count);
    float (*max_abs)(const float *x, size_t dim);
    /* out = in * inverse, to the nearest (ties to even), within +-127 */
    void (*i8_from_f32)(const float *in, int8_t *out, float inverse,
                        size_t dim);
    void (*f32_from_i8)(const int8_t *in, float scale, float *out, size_t dim);
    double (*sum_squares)(const float *x, size_t dim);
    void (*multiply)(float *x, double factor, size_t dim);
    bool (*all_within)(const float *x, size_t count, float limit);
    void (*maxsim)(const float *query, size_t query_rows,
                   const struct inv_codes *codes, size_t dim, float *best);
};

/* The kernels of that name, or NULL: not compiled in, or not for this CPU. */
const struct inv_kernels *inv_kernels_find(const char *name);
/* The best set for this CPU that is not above `wanted`; NULL or a name that
 * is none of them: the best. */
const struct inv_kernels *inv_kernels_choose(const char *wanted);

extern const struct inv_kernels inv_kernels_scalar;
#if defined(__x86_64__)
extern const struct inv_kernels inv_kernels_avx2;
extern const struct inv_kernels inv_kernels_avx512;
#endif

#endif
