/*
 * kernels_scalar.c: the kernels in plain C: what every other set is compared
 * with, and what machines without another set use. Sums run in eight lanes,
 * which compilers turn into whatever vectors the baseline has. Every element
 * is read through memcpy, since rows in a mapped log may lie anywhere. Any
 * thread.
 */
#include "base/kernels_table.h"

#include <math.h>
#include <string.h>

#define LANES 8
/* Floats of document tokens decoded at a time by MaxSim: 16 KB, half of L1 */
#define TILE 4096

static inline float get_f32(const void *row, size_t i) {
    float value;
    memcpy(&value, (const char *)row + i * sizeof value, sizeof value);
    return value;
}

static inline void put_f32(void *row, size_t i, float value) {
    memcpy((char *)row + i * sizeof value, &value, sizeof value);
}

static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* No step makes or reads a subnormal float: the result is right even where a
 * library has switched those off. */
static inline float f32_of(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = half & 0x7fff;
    uint32_t bits;
    if (rest >= 0x7c00) /* infinity, NaN (quieted, as hardware does) */
        bits = 0x7f800000 | rest << 13 | (rest > 0x7c00 ? 0x400000U : 0U);
    else if (rest >= 0x0400)
        bits = (rest << 13) + (112U << 23);
    else /* 0.5 + rest * 2^-24 has `rest` in its last bits */
        bits = bits_of_float(float_of_bits(0x3f000000 | rest) - 0.5f);
    return float_of_bits(sign | bits);
}

static inline uint16_t f16_of(float value) {
    uint32_t bits = bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    uint32_t half;
    if (bits > 0x7f800000) /* NaN */
        half = 0x7e00 | (bits >> 13 & 0x3ff);
    else if (bits >= 0x477ff000) /* 65520 and above round to infinity */
        half = 0x7c00;
    else if (bits < 0x38800000) /* subnormal: the addition rounds */
        half = bits_of_float(float_of_bits(bits) + 0.5f) - 0x3f000000;
    else
        half = (bits - (112U << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

static inline float get_f16(const void *row, size_t i) {
    uint16_t half;
    memcpy(&half, (const char *)row + i * sizeof half, sizeof half);
    return f32_of(half);
}

static inline float get(enum inv_dtype dtype, const void *row, size_t i) {
    switch (dtype) {
    case INV_F16:
        return get_f16(row, i);
    case INV_I8:
        return ((const int8_t *)row)[i];
    case INV_F32:
        break;
    }
    return get_f32(row, i);
}

static inline size_t width_of(enum inv_dtype dtype) {
    return dtype == INV_F32 ? 4 : dtype == INV_F16 ? 2 : 1;
}

static inline float sum_lanes(const float *lane) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* With constant dtype and l2sq, one tight loop each. */
static inline float reduce(enum inv_dtype dtype, bool l2sq, const float *query,
                           const void *row, float scale, size_t dim) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            float x = get(dtype, row, i + k) * scale;
            float q = get_f32(query, i + k);
            lane[k] += l2sq ? (q - x) * (q - x) : q * x;
        }
    }
    for (size_t k = 0; i < dim; i++, k++) {
        float x = get(dtype, row, i) * scale;
        float q = get_f32(query, i);
        lane[k] += l2sq ? (q - x) * (q - x) : q * x;
    }
    return sum_lanes(lane);
}

static float dot_f32(const float *query, const float *row, size_t dim) {
    return reduce(INV_F32, false, query, row, 1, dim);
}

static float dot_f16(const float *query, const uint16_t *row, size_t dim) {
    return reduce(INV_F16, false, query, row, 1, dim);
}

static float dot_i8(const float *query, const int8_t *row, float scale,
                    size_t dim) {
    return reduce(INV_I8, false, query, row, scale, dim);
}

static float l2sq_f32(const float *query, const float *row, size_t dim) {
    return reduce(INV_F32, true, query, row, 1, dim);
}

static float l2sq_f16(const float *query, const uint16_t *row, size_t dim) {
    return reduce(INV_F16, true, query, row, 1, dim);
}

static float l2sq_i8(const float *query, const int8_t *row, float scale,
                     size_t dim) {
    return reduce(INV_I8, true, query, row, scale, dim);
}

static void dot_rows_f32(const float *query, const float *rows, size_t stride,
                         size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++)
        put_f32(out, i, dot_f32(query, rows + i * stride, dim));
}

static void dot_rows_f16(const float *query, const uint16_t *rows,
                         size_t stride, size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++)
        put_f32(out, i, dot_f16(query, rows + i * stride, dim));
}

static void l2sq_rows_f32(const float *query, const float *rows, size_t stride,
                          size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++)
        put_f32(out, i, l2sq_f32(query, rows + i * stride, dim));
}

static void l2sq_rows_f16(const float *query, const uint16_t *rows,
                          size_t stride, size_t count, size_t dim, float *out) {
    for (size_t i = 0; i < count; i++)
        put_f32(out, i, l2sq_f16(query, rows + i * stride, dim));
}

static void axpy(float a, const float *x, float *y, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        put_f32(y, i, get_f32(y, i) + a * get_f32(x, i));
}

static void f16_from_f32(const float *in, uint16_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half = f16_of(get_f32(in, i));
        memcpy((char *)out + i * sizeof half, &half, sizeof half);
    }
}

static void f32_from_f16(const uint16_t *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        put_f32(out, i, get_f16(in, i));
}

static float max_abs(const float *x, size_t dim) {
    float max = 0;
    for (size_t i = 0; i < dim; i++) {
        float value = fabsf(get_f32(x, i));
        max = value > max ? value : max; /* a NaN is passed over */
    }
    return max;
}

static void i8_from_f32(const float *in, int8_t *out, float inverse,
                        size_t dim) {
    for (size_t i = 0; i < dim; i++) {
        float value = get_f32(in, i) * inverse;
        value = value < 127 ? value : 127;
        value = value > -127 ? value : -127;
        out[i] = (int8_t)lrintf(value);
    }
}

static void f32_from_i8(const int8_t *in, float scale, float *out, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        put_f32(out, i, in[i] * scale);
}

static double sum_squares(const float *x, size_t dim) {
    double lane[4] = {0};
    for (size_t i = 0; i < dim; i++) {
        double value = (double)get_f32(x, i);
        lane[i % 4] += value * value;
    }
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

static void multiply(float *x, double factor, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        put_f32(x, i, (float)((double)get_f32(x, i) * factor));
}

static bool all_within(const float *x, size_t count, float limit) {
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(get_f32(x, i)) <= limit))
            return false;
    return true;
}

static float scale_at(const struct inv_codes *codes, size_t row) {
    return codes->dtype == INV_I8 ? get_f16(codes->scales, row) : 1;
}

/* Row by row where a token does not fit the tile. */
static void maxsim_long(const float *query, size_t query_rows,
                        const struct inv_codes *codes, size_t dim,
                        float *best) {
    size_t pitch = codes->dim * width_of(codes->dtype);
    for (size_t t = 0; t < codes->rows; t++) {
        const void *row = (const char *)codes->data + t * pitch;
        float scale = scale_at(codes, t);
        for (size_t q = 0; q < query_rows; q++) {
            const float *x = query + q * dim;
            float score = codes->dtype == INV_F32 ? dot_f32(x, row, dim)
                          : codes->dtype == INV_F16
                              ? dot_f16(x, row, dim)
                              : dot_i8(x, row, scale, dim);
            if (score > get_f32(best, q))
                put_f32(best, q, score);
        }
    }
}

static void maxsim(const float *query, size_t query_rows,
                   const struct inv_codes *codes, size_t dim, float *best) {
    float tile[TILE];
    for (size_t q = 0; q < query_rows; q++)
        put_f32(best, q, -INFINITY);
    if (dim == 0 || dim > TILE) {
        maxsim_long(query, query_rows, codes, dim, best);
        return;
    }
    size_t pitch = codes->dim * width_of(codes->dtype);
    size_t step = TILE / dim;
    for (size_t first = 0; first < codes->rows; first += step) {
        size_t count = codes->rows - first < step ? codes->rows - first : step;
        for (size_t t = 0; t < count; t++) {
            const char *row = (const char *)codes->data + (first + t) * pitch;
            float scale = scale_at(codes, first + t);
            for (size_t i = 0; i < dim; i++)
                tile[t * dim + i] = get(codes->dtype, row, i) * scale;
        }
        for (size_t q = 0; q < query_rows; q++) {
            float most = get_f32(best, q);
            for (size_t t = 0; t < count; t++) {
                float score = dot_f32(query + q * dim, tile + t * dim, dim);
                most = score > most ? score : most;
            }
            put_f32(best, q, most);
        }
    }
}

const struct inv_kernels inv_kernels_scalar = {
    .name = "scalar",
    .dot_f32 = dot_f32,
    .dot_f16 = dot_f16,
    .dot_i8 = dot_i8,
    .l2sq_f32 = l2sq_f32,
    .l2sq_f16 = l2sq_f16,
    .l2sq_i8 = l2sq_i8,
    .dot_rows_f32 = dot_rows_f32,
    .dot_rows_f16 = dot_rows_f16,
    .l2sq_rows_f32 = l2sq_rows_f32,
    .l2sq_rows_f16 = l2sq_rows_f16,
    .axpy = axpy,
    .f16_from_f32 = f16_from_f32,
    .f32_from_f16 = f32_from_f16,
    .max_abs = max_abs,
    .i8_from_f32 = i8_from_f32,
    .f32_from_i8 = f32_from_i8,
    .sum_squares = sum_squares,
    .multiply = multiply,
    .all_within = all_within,
    .maxsim = maxsim,
};
