/*
 * kernels_avx512.c: the kernels for AVX-512 F, BW, VL and DQ. Each function
 * stands beside its twin in kernels_scalar.c under the same name. Loads are
 * unaligned, and masked at the end of a row: no byte outside a row is read.
 * Any thread. Called only where kernels.c saw the instructions.
 */
#include "base/kernels_table.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")
#define LANES 16
/* Rows ahead of the one being read; see rows() */
#define AHEAD 8
/* Floats of document tokens decoded at a time by MaxSim: 16 KB, which leaves
 * the larger part of L1 to the query. */
#define TILE 4096

INLINE __mmask16 first_lanes(size_t n) {
    return (__mmask16)((1U << n) - 1); /* n < 16 */
}

INLINE size_t width_of(enum inv_dtype dtype) {
    return dtype == INV_F32 ? 4 : dtype == INV_F16 ? 2 : 1;
}

/* Sixteen elements of a row as floats; i8 without its scale. `dtype` is a
 * constant wherever this is used. */
INLINE __m512 load(enum inv_dtype dtype, const char *at) {
    switch (dtype) {
    case INV_F16:
        return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)at));
    case INV_I8:
        return _mm512_cvtepi32_ps(
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)at)));
    case INV_F32:
        break;
    }
    return _mm512_loadu_ps(at);
}

/* The first lanes of them, then zeros. */
INLINE __m512 load_some(enum inv_dtype dtype, const char *at, __mmask16 mask) {
    switch (dtype) {
    case INV_F16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
    case INV_I8:
        return _mm512_cvtepi32_ps(
            _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, at)));
    case INV_F32:
        break;
    }
    return _mm512_maskz_loadu_ps(mask, at);
}

INLINE float f32_of(uint16_t half) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

/* acc += q * x or (q - x)^2 */
INLINE __m512 step(bool l2sq, __m512 acc, __m512 q, __m512 x) {
    if (!l2sq)
        return _mm512_fmadd_ps(q, x, acc);
    __m512 difference = _mm512_sub_ps(q, x);
    return _mm512_fmadd_ps(difference, difference, acc);
}

INLINE __m128 fold(__m512 acc) {
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(acc),
                                _mm512_extractf32x8_ps(acc, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half),
                      _mm256_extractf128_ps(half, 1));
}

/* The sums of four vectors, each in the order that one alone would have. */
INLINE __m128 sum4(const __m512 acc[4]) {
    return _mm_hadd_ps(_mm_hadd_ps(fold(acc[0]), fold(acc[1])),
                       _mm_hadd_ps(fold(acc[2]), fold(acc[3])));
}

INLINE float sum1(__m512 acc) {
    __m128 x = fold(acc);
    x = _mm_hadd_ps(x, x);
    return _mm_cvtss_f32(_mm_hadd_ps(x, x));
}

/* `n` (1 or 4) rows at once, two sums for each, which with four rows are the
 * eight chains that hide the latency of a multiply-add. */
INLINE void reduce(enum inv_dtype dtype, bool l2sq, size_t n, const char *query,
                   const char *row, size_t pitch, float scale, size_t dim,
                   __m512 sum[]) {
    size_t width = width_of(dtype);
    __m512 even[4];
    __m512 odd[4];
    __m512 factor = _mm512_set1_ps(scale);
    bool scaled = dtype == INV_I8;
    for (size_t r = 0; r < n; r++)
        even[r] = odd[r] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        __m512 q0 = _mm512_loadu_ps(query + i * 4);
        __m512 q1 = _mm512_loadu_ps(query + (i + LANES) * 4);
        UNROLL for (size_t r = 0; r < n; r++) {
            const char *at = row + r * pitch + i * width;
            __m512 x0 = load(dtype, at);
            __m512 x1 = load(dtype, at + LANES * width);
            if (scaled) {
                x0 = _mm512_mul_ps(x0, factor);
                x1 = _mm512_mul_ps(x1, factor);
            }
            even[r] = step(l2sq, even[r], q0, x0);
            odd[r] = step(l2sq, odd[r], q1, x1);
        }
    }
    for (bool first = true; i < dim; i += LANES, first = false) {
        size_t left = dim - i;
        __mmask16 mask = left < LANES ? first_lanes(left) : 0xffff;
        __m512 q = _mm512_maskz_loadu_ps(mask, query + i * 4);
        UNROLL for (size_t r = 0; r < n; r++) {
            __m512 x = load_some(dtype, row + r * pitch + i * width, mask);
            if (scaled)
                x = _mm512_mul_ps(x, factor);
            if (first)
                even[r] = step(l2sq, even[r], q, x);
            else
                odd[r] = step(l2sq, odd[r], q, x);
        }
    }
    for (size_t r = 0; r < n; r++)
        sum[r] = _mm512_add_ps(even[r], odd[r]);
}

INLINE float one(enum inv_dtype dtype, bool l2sq, const void *query,
                 const void *row, float scale, size_t dim) {
    __m512 sum[1];
    reduce(dtype, l2sq, 1, query, row, 0, scale, dim, sum);
    return sum1(sum[0]);
}

/* Asks for the first bytes of four rows. Reading four rows at a time is four
 * streams of addresses, more than the hardware follows well. Medians of 15
 * alternating runs from memory (Zen 5, a busy machine), with and without:
 * scans of f32 24 and 17 GB/s in 128 dimensions, 22 and 20 in 768; MaxSim of
 * one query row, 128 dimensions, f32 21 and 11, f16 19 and 10. No gain for
 * scans of f16 in 128 dimensions, and int8 rows below 200 bytes lose 10 %. */
INLINE void fetch4(const char *row, size_t pitch, size_t bytes) {
    for (size_t r = 0; r < 4; r++)
        for (size_t b = 0; b < bytes; b += 64)
            _mm_prefetch(row + r * pitch + b, _MM_HINT_T0);
}

INLINE void rows(enum inv_dtype dtype, bool l2sq, const void *query,
                 const void *data, size_t stride, size_t count, size_t dim,
                 float *out) {
    size_t pitch = stride * width_of(dtype);
    size_t bytes = dim * width_of(dtype);
    const char *row = data;
    size_t i = 0;
    for (; i + 4 <= count; i += 4, row += 4 * pitch) {
        if (count - i > AHEAD + 4)
            fetch4(row + AHEAD * pitch, pitch, bytes);
        __m512 sum[4];
        reduce(dtype, l2sq, 4, query, row, pitch, 1, dim, sum);
        _mm_storeu_ps(out + i, sum4(sum));
    }
    for (; i < count; i++, row += pitch)
        out[i] = one(dtype, l2sq, query, row, 1, dim);
}

static float dot_f32(const float *query, const float *row, size_t dim) {
    return one(INV_F32, false, query, row, 1, dim);
}

static float dot_f16(const float *query, const uint16_t *row, size_t dim) {
    return one(INV_F16, false, query, row, 1, dim);
}

static float dot_i8(const float *query, const int8_t *row, float scale,
                    size_t dim) {
    return one(INV_I8, false, query, row, scale, dim);
}

static float l2sq_f32(const float *query, const float *row, size_t dim) {
    return one(INV_F32, true, query, row, 1, dim);
}

static float l2sq_f16(const float *query, const uint16_t *row, size_t dim) {
    return one(INV_F16, true, query, row, 1, dim);
}

static float l2sq_i8(const float *query, const int8_t *row, float scale,
                     size_t dim) {
    return one(INV_I8, true, query, row, scale, dim);
}

static void dot_rows_f32(const float *query, const float *data, size_t stride,
                         size_t count, size_t dim, float *out) {
    rows(INV_F32, false, query, data, stride, count, dim, out);
}

static void dot_rows_f16(const float *query, const uint16_t *data,
                         size_t stride, size_t count, size_t dim, float *out) {
    rows(INV_F16, false, query, data, stride, count, dim, out);
}

static void l2sq_rows_f32(const float *query, const float *data, size_t stride,
                          size_t count, size_t dim, float *out) {
    rows(INV_F32, true, query, data, stride, count, dim, out);
}

static void l2sq_rows_f16(const float *query, const uint16_t *data,
                          size_t stride, size_t count, size_t dim, float *out) {
    rows(INV_F16, true, query, data, stride, count, dim, out);
}

static void axpy(float a, const float *x, float *y, size_t dim) {
    __m512 factor = _mm512_set1_ps(a);
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
        __m512 sum = _mm512_fmadd_ps(factor, _mm512_maskz_loadu_ps(mask, x + i),
                                     _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

static void f16_from_f32(const float *in, uint16_t *out, size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        __mmask16 mask = count - i < LANES ? first_lanes(count - i) : 0xffff;
        __m256i half =
            _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, in + i),
                            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(out + i, mask, half);
    }
}

static void f32_from_f16(const uint16_t *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        __mmask16 mask = count - i < LANES ? first_lanes(count - i) : 0xffff;
        _mm512_mask_storeu_ps(out + i, mask,
                              load_some(INV_F16, (const char *)(in + i), mask));
    }
}

static float max_abs(const float *x, size_t dim) {
    __m512 max = _mm512_setzero_ps();
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
        __m512 value = _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i));
        max = _mm512_max_ps(value, max); /* a NaN is passed over */
    }
    return _mm512_reduce_max_ps(max);
}

static void i8_from_f32(const float *in, int8_t *out, float inverse,
                        size_t dim) {
    __m512 factor = _mm512_set1_ps(inverse);
    __m512 limit = _mm512_set1_ps(127);
    __m512 negative = _mm512_set1_ps(-127);
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
        __m512 value = _mm512_maskz_loadu_ps(mask, in + i);
        value = _mm512_min_ps(_mm512_mul_ps(value, factor), limit);
        value = _mm512_max_ps(value, negative);
        __m512i number = _mm512_cvtps_epi32(value);
        _mm_mask_storeu_epi8(out + i, mask, _mm512_cvtepi32_epi8(number));
    }
}

static void f32_from_i8(const int8_t *in, float scale, float *out, size_t dim) {
    __m512 factor = _mm512_set1_ps(scale);
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
        __m512 value = load_some(INV_I8, (const char *)(in + i), mask);
        _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(value, factor));
    }
}

static double sum_squares(const float *x, size_t dim) {
    __m512d sum[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    for (size_t i = 0; i < dim; i += LANES) {
        __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
        __m512 value = _mm512_maskz_loadu_ps(mask, x + i);
        __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(value));
        __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1));
        sum[0] = _mm512_fmadd_pd(low, low, sum[0]);
        sum[1] = _mm512_fmadd_pd(high, high, sum[1]);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(sum[0], sum[1]));
}

static void multiply(float *x, double factor, size_t dim) {
    __m512d by = _mm512_set1_pd(factor);
    for (size_t i = 0; i < dim; i += 8) {
        __mmask8 mask = dim - i < 8 ? (__mmask8)first_lanes(dim - i) : 0xff;
        __m512d value = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x + i));
        _mm256_mask_storeu_ps(x + i, mask,
                              _mm512_cvtpd_ps(_mm512_mul_pd(value, by)));
    }
}

static bool all_within(const float *x, size_t count, float limit) {
    __m512 most = _mm512_set1_ps(limit);
    for (size_t i = 0; i < count; i += LANES) {
        __mmask16 mask = count - i < LANES ? first_lanes(count - i) : 0xffff;
        __m512 value = _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i));
        if (_mm512_mask_cmp_ps_mask(mask, value, most, _CMP_LE_OQ) != mask)
            return false;
    }
    return true;
}

/* Some document tokens, as stored or decoded into a tile. */
struct tokens {
    const char *data;
    const char *scales; /* f16, read for i8 only */
    size_t pitch;       /* bytes from one token to the next */
    size_t count;
};

/* Four vectors to one: 128-bit lane t holds four partial sums of acc[t]. */
INLINE __m512 fold_tokens(const __m512 acc[4]) {
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(acc[0], acc[1], 0x44),
                              _mm512_shuffle_f32x4(acc[0], acc[1], 0xee));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(acc[2], acc[3], 0x44),
                              _mm512_shuffle_f32x4(acc[2], acc[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
                         _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/* Lane t * 4 + q of the result is the sum of acc[q][t]. */
INLINE __m512 fold_all(__m512 acc[4][4]) {
    __m512 q0 = fold_tokens(acc[0]);
    __m512 q1 = fold_tokens(acc[1]);
    __m512 q2 = fold_tokens(acc[2]);
    __m512 q3 = fold_tokens(acc[3]);
    __m512 q01 =
        _mm512_add_ps(_mm512_unpacklo_ps(q0, q1), _mm512_unpackhi_ps(q0, q1));
    __m512 q23 =
        _mm512_add_ps(_mm512_unpacklo_ps(q2, q3), _mm512_unpackhi_ps(q2, q3));
    return _mm512_add_ps(_mm512_shuffle_ps(q01, q23, 0x44),
                         _mm512_shuffle_ps(q01, q23, 0xee));
}

/* The scales of four tokens, each in four lanes. */
INLINE __m512 four_scales(const struct tokens *tokens, const size_t token[4]) {
    uint16_t half[8] = {0};
    for (size_t t = 0; t < 4; t++)
        memcpy(&half[t], tokens->scales + token[t] * 2, 2);
    __m512 scale = _mm512_castps128_ps512(
        _mm_cvtph_ps(_mm_loadu_si128((const void *)half)));
    return _mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
        scale);
}

/* acc[q][t] += 16 elements, from the i-th on, of query row q and token t */
INLINE void multiply_add(size_t nq, const char *const query[4], size_t i,
                         __mmask16 mask, const __m512 x[4], __m512 acc[4][4]) {
    UNROLL for (size_t q = 0; q < nq; q++) {
        __m512 y = _mm512_maskz_loadu_ps(mask, query[q] + i * 4);
        UNROLL for (size_t t = 0; t < 4; t++) acc[q][t] =
            _mm512_fmadd_ps(x[t], y, acc[q][t]);
    }
}

/* Up to four query rows against all tokens, four tokens at a time. Where rows
 * or tokens are missing the last one is taken again, which changes no
 * maximum. Returns lane t * 4 + q: the best of query row q. */
INLINE __m128 best4(enum inv_dtype dtype, size_t nq, const char *const query[4],
                    const struct tokens *tokens, size_t dim, bool fetch) {
    size_t width = width_of(dtype);
    size_t whole = dim / LANES * LANES;
    __mmask16 mask = first_lanes(dim - whole);
    __m512 best = _mm512_set1_ps(-INFINITY);
    for (size_t first = 0; first < tokens->count; first += 4) {
        size_t token[4];
        const char *row[4];
        __m512 acc[4][4];
        __m512 x[4];
        if (fetch && tokens->count - first > AHEAD + 4)
            fetch4(tokens->data + (first + AHEAD) * tokens->pitch,
                   tokens->pitch, dim * width);
        UNROLL for (size_t t = 0; t < 4; t++) {
            token[t] =
                first + t < tokens->count ? first + t : tokens->count - 1;
            row[t] = tokens->data + token[t] * tokens->pitch;
            UNROLL for (size_t q = 0; q < 4; q++) acc[q][t] =
                _mm512_setzero_ps();
        }
        for (size_t i = 0; i < whole; i += LANES) {
            UNROLL for (size_t t = 0; t < 4; t++) x[t] =
                load(dtype, row[t] + i * width);
            multiply_add(nq, query, i, 0xffff, x, acc);
        }
        if (mask != 0) {
            UNROLL for (size_t t = 0; t < 4; t++) x[t] =
                load_some(dtype, row[t] + whole * width, mask);
            multiply_add(nq, query, whole, mask, x, acc);
        }
        __m512 sums = fold_all(acc);
        if (dtype == INV_I8)
            sums = _mm512_mul_ps(sums, four_scales(tokens, token));
        best = _mm512_max_ps(best, sums);
    }
    __m256 half = _mm256_max_ps(_mm512_castps512_ps256(best),
                                _mm512_extractf32x8_ps(best, 1));
    return _mm_max_ps(_mm256_castps256_ps128(half),
                      _mm256_extractf128_ps(half, 1));
}

/* best[q] = max(best[q], ...) for all query rows. Meanwhile `bytes` at `next`
 * are fetched, a slice with each group of query rows. */
INLINE void maxsim_tokens(enum inv_dtype dtype, const float *query,
                          size_t query_rows, const struct tokens *tokens,
                          size_t dim, const char *next, size_t bytes,
                          float *best) {
    size_t lines = bytes / 64 * 4 / query_rows + 1;
    size_t fetched = 0;
    for (size_t first = 0; first < query_rows; first += 4) {
        size_t n = query_rows - first < 4 ? query_rows - first : 4;
        const char *row[4];
        for (size_t q = 0; q < 4; q++)
            row[q] =
                (const char *)(query + (first + (q < n ? q : n - 1)) * dim);
        for (size_t k = 0; k < lines && fetched < bytes; k++, fetched += 64)
            _mm_prefetch(next + fetched, _MM_HINT_T0);
        __m128 found = n == 1   ? best4(dtype, 1, row, tokens, dim, bytes == 0)
                       : n == 2 ? best4(dtype, 2, row, tokens, dim, bytes == 0)
                                : best4(dtype, 4, row, tokens, dim, bytes == 0);
        __mmask8 mask = (__mmask8)first_lanes(n);
        __m128 old = _mm_maskz_loadu_ps(mask, best + first);
        _mm_mask_storeu_ps(best + first, mask, _mm_max_ps(old, found));
    }
}

INLINE void decode(enum inv_dtype dtype, const struct tokens *tokens,
                   size_t dim, float *tile, size_t pitch) {
    for (size_t t = 0; t < tokens->count; t++) {
        const char *row = tokens->data + t * tokens->pitch;
        __m512 scale = _mm512_set1_ps(1);
        if (dtype == INV_I8) {
            uint16_t half;
            memcpy(&half, tokens->scales + t * 2, 2);
            scale = _mm512_set1_ps(f32_of(half));
        }
        for (size_t i = 0; i < dim; i += LANES) {
            __mmask16 mask = dim - i < LANES ? first_lanes(dim - i) : 0xffff;
            __m512 x = load_some(dtype, row + i * width_of(dtype), mask);
            if (dtype == INV_I8)
                x = _mm512_mul_ps(x, scale);
            _mm512_store_ps(tile + t * pitch + i, x);
        }
    }
}

/* Where many query rows read the same tokens, those are taken a tile at a time
 * so that they stay in L1, and are decoded once for all rows. */
INLINE void maxsim_dtype(enum inv_dtype dtype, const float *query,
                         size_t query_rows, const struct inv_codes *codes,
                         size_t dim, float *best) {
    _Alignas(64) float tile[TILE];
    struct tokens all = {codes->data, (const char *)codes->scales,
                         codes->dim * width_of(dtype), codes->rows};
    size_t pitch = (dim + LANES - 1) / LANES * LANES;
    /* Decoding costs 20 % at 8 query rows, nothing at 16, and gains 10 % at 32;
     * f32 needs none. Fetching the next tile from memory meanwhile makes 176
     * GFLOP/s of 129 (f16, 32 x 180 x 128). */
    size_t few = dtype == INV_F32 ? 4 : 8;
    if (query_rows <= few || dim == 0 || dim > TILE / 4) {
        maxsim_tokens(dtype, query, query_rows, &all, dim, NULL, 0, best);
        return;
    }
    size_t most = TILE / pitch / 4 * 4;
    for (size_t first = 0; first < all.count; first += most) {
        size_t left = all.count - first;
        struct tokens some = all;
        some.data += first * all.pitch;
        some.count = left < most ? left : most;
        const char *next = some.data + some.count * all.pitch;
        size_t after = left - some.count < most ? left - some.count : most;
        if (dtype == INV_F32) {
            maxsim_tokens(INV_F32, query, query_rows, &some, dim, next,
                          after * all.pitch, best);
            continue;
        }
        if (dtype == INV_I8)
            some.scales += first * 2;
        decode(dtype, &some, dim, tile, pitch);
        some.data = (const char *)tile;
        some.pitch = pitch * sizeof *tile;
        maxsim_tokens(INV_F32, query, query_rows, &some, dim, next,
                      after * all.pitch, best);
    }
}

static void maxsim(const float *query, size_t query_rows,
                   const struct inv_codes *codes, size_t dim, float *best) {
    for (size_t q = 0; q < query_rows; q++)
        best[q] = -INFINITY;
    switch (codes->dtype) {
    case INV_F32:
        maxsim_dtype(INV_F32, query, query_rows, codes, dim, best);
        break;
    case INV_F16:
        maxsim_dtype(INV_F16, query, query_rows, codes, dim, best);
        break;
    case INV_I8:
        maxsim_dtype(INV_I8, query, query_rows, codes, dim, best);
        break;
    }
}

const struct inv_kernels inv_kernels_avx512 = {
    .name = "avx512",
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

#endif
