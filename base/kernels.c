/*
 * kernels.c: the public side of kernels.h: chooses the kernels before main()
 * starts and hands every call on. Knows the int8 scale rule and how a stored
 * row is addressed; knows no instruction set. Any thread: the choice is never
 * written again.
 */
#include "base/kernels.h"

#include "base/kernels_table.h"
#include "base/limits.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_kernels *chosen = &inv_kernels_scalar;

/* Runs before main(), hence before there are threads. Code of other
 * constructors that comes first gets the scalar set. */
__attribute__((constructor)) static void choose(void) {
    chosen = inv_kernels_choose(getenv("INV_KERNELS"));
}

const struct inv_kernels *inv_kernels_find(const char *name) {
    if (strcmp(name, "scalar") == 0)
        return &inv_kernels_scalar;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
    if (strcmp(name, "avx2") == 0 && avx2)
        return &inv_kernels_avx2;
    if (strcmp(name, "avx512") == 0 && avx2 &&
        __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &inv_kernels_avx512;
#endif
    return NULL;
}

const struct inv_kernels *inv_kernels_choose(const char *wanted) {
    static const char *const names[] = {"avx512", "avx2", "scalar"};
    size_t first = 0;
    for (size_t i = 0; wanted != NULL && i < 3; i++)
        if (strcmp(wanted, names[i]) == 0)
            first = i;
    for (size_t i = first; i < 3; i++) {
        const struct inv_kernels *kernels = inv_kernels_find(names[i]);
        if (kernels != NULL)
            return kernels;
    }
    return &inv_kernels_scalar;
}

const char *inv_kernels_name(void) { return chosen->name; }

float inv_dot_f32(const float *a, const float *b, size_t dim) {
    return chosen->dot_f32(a, b, dim);
}

float inv_l2sq_f32(const float *a, const float *b, size_t dim) {
    return chosen->l2sq_f32(a, b, dim);
}

void inv_dot_rows_f32(const float *query, const float *rows, size_t stride,
                      size_t count, size_t dim, float *out) {
    chosen->dot_rows_f32(query, rows, stride, count, dim, out);
}

void inv_dot_rows_f16(const float *query, const uint16_t *rows, size_t stride,
                      size_t count, size_t dim, float *out) {
    chosen->dot_rows_f16(query, rows, stride, count, dim, out);
}

void inv_l2sq_rows_f32(const float *query, const float *rows, size_t stride,
                       size_t count, size_t dim, float *out) {
    chosen->l2sq_rows_f32(query, rows, stride, count, dim, out);
}

void inv_l2sq_rows_f16(const float *query, const uint16_t *rows, size_t stride,
                       size_t count, size_t dim, float *out) {
    chosen->l2sq_rows_f16(query, rows, stride, count, dim, out);
}

void inv_axpy_f32(float a, const float *x, float *y, size_t dim) {
    chosen->axpy(a, x, y, dim);
}

void inv_f16_from_f32(const float *in, uint16_t *out, size_t count) {
    chosen->f16_from_f32(in, out, count);
}

void inv_f32_from_f16(const uint16_t *in, float *out, size_t count) {
    chosen->f32_from_f16(in, out, count);
}

static float f32_of(uint16_t half) {
    float value;
    chosen->f32_from_f16(&half, &value, 1);
    return value;
}

/* max / 127 in half precision. Where half precision is subnormal (max < .0078)
 * rounding down may lose more than the half step that 127.5 allows: then the
 * next number above is taken, so that nothing is clipped and the scale of a
 * row that is not zero is never 0. Rows beyond 127 * 65504 are clipped. */
static uint16_t scale_of(float max) {
    if (!(max > 0))
        return 0;
    float exact = max / 127;
    if (exact > INV_F16_MAX)
        exact = INV_F16_MAX;
    uint16_t half;
    chosen->f16_from_f32(&exact, &half, 1);
    if (f32_of(half) * 127.5f < max && exact < INV_F16_MAX)
        half++;
    return half;
}

void inv_i8_from_f32(const float *in, int8_t *out, uint16_t *scale,
                     size_t dim) {
    *scale = scale_of(chosen->max_abs(in, dim));
    if (*scale == 0)
        memset(out, 0, dim);
    else
        chosen->i8_from_f32(in, out, 1 / f32_of(*scale), dim);
}

void inv_f32_from_i8(const int8_t *in, uint16_t scale, float *out, size_t dim) {
    chosen->f32_from_i8(in, f32_of(scale), out, dim);
}

/* In double: the squares of numbers below 1e-23 are 0 in float. */
float inv_normalize_f32(float *x, size_t dim) {
    double norm = sqrt(chosen->sum_squares(x, dim));
    if (norm > 0 && norm <= DBL_MAX)
        chosen->multiply(x, 1 / norm, dim);
    return (float)norm;
}

bool inv_all_within(const float *x, size_t count, float limit) {
    return chosen->all_within(x, count, limit);
}

void inv_maxsim_best(const float *query, size_t query_rows,
                     const struct inv_codes *codes, size_t dim, float *best) {
    chosen->maxsim(query, query_rows, codes, dim, best);
}

static float scale_at(const struct inv_codes *codes, size_t row) {
    uint16_t half; /* may lie at an odd address */
    memcpy(&half, (const char *)codes->scales + row * sizeof half, sizeof half);
    return f32_of(half);
}

float inv_dot_code(const float *query, const struct inv_codes *codes,
                   size_t row, size_t dim) {
    size_t at = row * codes->dim;
    switch (codes->dtype) {
    case INV_F32:
        return chosen->dot_f32(query, (const float *)codes->data + at, dim);
    case INV_F16:
        return chosen->dot_f16(query, (const uint16_t *)codes->data + at, dim);
    case INV_I8:
        return chosen->dot_i8(query, (const int8_t *)codes->data + at,
                              scale_at(codes, row), dim);
    }
    return 0;
}

float inv_l2sq_code(const float *query, const struct inv_codes *codes,
                    size_t row, size_t dim) {
    size_t at = row * codes->dim;
    switch (codes->dtype) {
    case INV_F32:
        return chosen->l2sq_f32(query, (const float *)codes->data + at, dim);
    case INV_F16:
        return chosen->l2sq_f16(query, (const uint16_t *)codes->data + at, dim);
    case INV_I8:
        return chosen->l2sq_i8(query, (const int8_t *)codes->data + at,
                               scale_at(codes, row), dim);
    }
    return 0;
}
