/*
 * kernels_avx2.c: the kernels for AVX2 with FMA and F16C. Each function stands
 * beside its twin in kernels_scalar.c under the same name. Loads are
 * unaligned, and the end of a row is read in pieces: no byte outside a row is
 * read. Any thread. Called only where kernels.c saw the instructions.
 */
#include "base/kernels_table.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")
#define LANES 8
/* Rows ahead of the one being read; see rows() */
#define AHEAD 8
/* Floats of document tokens decoded at a time by MaxSim: 16 KB, which leaves
 * the larger part of L1 to the query. */
#define TILE 4096

INLINE __m256i first_lanes(size_t n) { /* n <= 8 */
    static const int32_t lanes[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const void *)(lanes + LANES - n));
}

INLINE size_t width_of(enum inv_dtype dtype) {
    return dtype == INV_F32 ? 4 : dtype == INV_F16 ? 2 : 1;
}

/* The first `bytes` < 16 of a vector, then zeros. */
INLINE __m128i load_bytes(const char *at, size_t bytes) {
    char part[16] = {0};
    char *to = part;
    for (size_t piece = 8; piece > 0; piece /= 2) {
        if (bytes & piece) {
            memcpy(to, at, piece);
            to += piece;
            at += piece;
        }
    }
    return _mm_loadu_si128((const void *)part);
}

/* Eight elements of a row as floats; i8 without its scale. `dtype` is a
 * constant wherever this is used. */
INLINE __m256 load(enum inv_dtype dtype, const char *at) {
    switch (dtype) {
    case INV_F16:
        return _mm256_cvtph_ps(_mm_loadu_si128((const void *)at));
    case INV_I8:
        return _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)at)));
    case INV_F32:
        break;
    }
    return _mm256_loadu_ps((const float *)(const void *)at);
}

/* The first n < 8 of them, then zeros. */
INLINE __m256 load_some(enum inv_dtype dtype, const char *at, size_t n) {
    switch (dtype) {
    case INV_F16:
        return _mm256_cvtph_ps(load_bytes(at, n * 2));
    case INV_I8:
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_bytes(at, n)));
    case INV_F32:
        break;
    }
    return _mm256_maskload_ps((const float *)(const void *)at, first_lanes(n));
}

/* Up to eight of them: `left` may be more. */
INLINE __m256 load_upto(enum inv_dtype dtype, const char *at, size_t left) {
    return left >= LANES ? load(dtype, at) : load_some(dtype, at, left);
}

INLINE void store_upto(float *at, size_t left, __m256 x) {
    if (left >= LANES)
        _mm256_storeu_ps(at, x);
    else
        _mm256_maskstore_ps(at, first_lanes(left), x);
}

INLINE __m256 absolute(__m256 x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

INLINE float f32_of(uint16_t half) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
}

/* acc += q * x or (q - x)^2 */
INLINE __m256 step(bool l2sq, __m256 acc, __m256 q, __m256 x) {
    if (!l2sq)
        return _mm256_fmadd_ps(q, x, acc);
    __m256 difference = _mm256_sub_ps(q, x);
    return _mm256_fmadd_ps(difference, difference, acc);
}

INLINE __m128 fold(__m256 acc) {
    return _mm_add_ps(_mm256_castps256_ps128(acc),
                      _mm256_extractf128_ps(acc, 1));
}

/* The sums of four vectors, each in the order that one alone would have. */
INLINE __m128 sum4(const __m256 acc[4]) {
    return _mm_hadd_ps(_mm_hadd_ps(fold(acc[0]), fold(acc[1])),
                       _mm_hadd_ps(fold(acc[2]), fold(acc[3])));
}

INLINE float sum1(__m256 acc) {
    __m128 x = fold(acc);
    x = _mm_hadd_ps(x, x);
    return _mm_cvtss_f32(_mm_hadd_ps(x, x));
}

/* `n` (1 or 4) rows at once, two sums for each, which with four rows are the
 * eight chains that hide the latency of a multiply-add. */
INLINE void reduce(enum inv_dtype dtype, bool l2sq, size_t n, const char *query,
                   const char *row, size_t pitch, float scale, size_t dim,
                   __m256 sum[]) {
    size_t width = width_of(dtype);
    __m256 even[4];
    __m256 odd[4];
    __m256 factor = _mm256_set1_ps(scale);
    bool scaled = dtype == INV_I8;
    for (size_t r = 0; r < n; r++)
        even[r] = odd[r] = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        __m256 q0 = load(INV_F32, query + i * 4);
        __m256 q1 = load(INV_F32, query + (i + LANES) * 4);
        UNROLL for (size_t r = 0; r < n; r++) {
            const char *at = row + r * pitch + i * width;
            __m256 x0 = load(dtype, at);
            __m256 x1 = load(dtype, at + LANES * width);
            if (scaled) {
                x0 = _mm256_mul_ps(x0, factor);
                x1 = _mm256_mul_ps(x1, factor);
            }
            even[r] = step(l2sq, even[r], q0, x0);
            odd[r] = step(l2sq, odd[r], q1, x1);
        }
    }
    for (bool first = true; i < dim; i += LANES, first = false) {
        __m256 q = load_upto(INV_F32, query + i * 4, dim - i);
        UNROLL for (size_t r = 0; r < n; r++) {
            const char *at = row + r * pitch + i * width;
            __m256 x = load_upto(dtype, at, dim - i);
            if (scaled)
                x = _mm256_mul_ps(x, factor);
            if (first)
                even[r] = step(l2sq, even[r], q, x);
            else
                odd[r] = step(l2sq, odd[r], q, x);
        }
    }
    for (size_t r = 0; r < n; r++)
        sum[r] = _mm256_add_ps(even[r], odd[r]);
}

INLINE float one(enum inv_dtype dtype, bool l2sq, const void *query,
                 const void *row, float scale, size_t dim) {
    __m256 sum[1];
    reduce(dtype, l2sq, 1, query, row, 0, scale, dim, sum);
    return sum1(sum[0]);
}

/* Asks for the first bytes of four rows. Reading four rows at a time is four
 * streams of addresses, more than the hardware follows well. Measured in
 * kernels_avx512.c. */
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
        __m256 sum[4];
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
    __m256 factor = _mm256_set1_ps(a);
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 by = load_upto(INV_F32, (const char *)(x + i), dim - i);
        __m256 to = load_upto(INV_F32, (const char *)(y + i), dim - i);
        store_upto(y + i, dim - i, _mm256_fmadd_ps(factor, by, to));
    }
}

static void f16_from_f32(const float *in, uint16_t *out, size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = count - i < LANES ? count - i : LANES;
        __m256 x = load_upto(INV_F32, (const char *)(in + i), n);
        __m128i half = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
        memcpy(out + i, &half, n * sizeof *out);
    }
}

static void f32_from_f16(const uint16_t *in, float *out, size_t count) {
    for (size_t i = 0; i < count; i += LANES)
        store_upto(out + i, count - i,
                   load_upto(INV_F16, (const char *)(in + i), count - i));
}

static float max_abs(const float *x, size_t dim) {
    __m256 max = _mm256_setzero_ps();
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 value = load_upto(INV_F32, (const char *)(x + i), dim - i);
        max = _mm256_max_ps(absolute(value), max); /* a NaN is passed over */
    }
    float most = 0;
    float lane[LANES];
    _mm256_storeu_ps(lane, max);
    for (size_t k = 0; k < LANES; k++)
        most = lane[k] > most ? lane[k] : most;
    return most;
}

static void i8_from_f32(const float *in, int8_t *out, float inverse,
                        size_t dim) {
    __m256 factor = _mm256_set1_ps(inverse);
    __m256 limit = _mm256_set1_ps(127);
    __m256 negative = _mm256_set1_ps(-127);
    for (size_t i = 0; i < dim; i += LANES) {
        size_t n = dim - i < LANES ? dim - i : LANES;
        __m256 value = load_upto(INV_F32, (const char *)(in + i), n);
        value = _mm256_min_ps(_mm256_mul_ps(value, factor), limit);
        value = _mm256_max_ps(value, negative);
        __m256i wide = _mm256_cvtps_epi32(value);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide),
                                        _mm256_extracti128_si256(wide, 1));
        __m128i bytes = _mm_packs_epi16(words, words);
        memcpy(out + i, &bytes, n);
    }
}

static void f32_from_i8(const int8_t *in, float scale, float *out, size_t dim) {
    __m256 factor = _mm256_set1_ps(scale);
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 value = load_upto(INV_I8, (const char *)(in + i), dim - i);
        store_upto(out + i, dim - i, _mm256_mul_ps(value, factor));
    }
}

static double sum_squares(const float *x, size_t dim) {
    __m256d sum[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 value = load_upto(INV_F32, (const char *)(x + i), dim - i);
        __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(value));
        __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1));
        sum[0] = _mm256_fmadd_pd(low, low, sum[0]);
        sum[1] = _mm256_fmadd_pd(high, high, sum[1]);
    }
    double lane[4];
    _mm256_storeu_pd(lane, _mm256_add_pd(sum[0], sum[1]));
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

static void multiply(float *x, double factor, size_t dim) {
    __m256d by = _mm256_set1_pd(factor);
    for (size_t i = 0; i < dim; i += LANES) {
        __m256 value = load_upto(INV_F32, (const char *)(x + i), dim - i);
        __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(value));
        __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1));
        value = _mm256_set_m128(_mm256_cvtpd_ps(_mm256_mul_pd(high, by)),
                                _mm256_cvtpd_ps(_mm256_mul_pd(low, by)));
        store_upto(x + i, dim - i, value);
    }
}

/* The zeros that fill the last vector are within any limit that a number can
 * be within. */
static bool all_within(const float *x, size_t count, float limit) {
    __m256 most = _mm256_set1_ps(limit);
    for (size_t i = 0; i < count; i += LANES) {
        __m256 value = load_upto(INV_F32, (const char *)(x + i), count - i);
        __m256 within = _mm256_cmp_ps(absolute(value), most, _CMP_LE_OQ);
        if (_mm256_movemask_ps(within) != 0xff)
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

INLINE float scale_at(const struct tokens *tokens, size_t token) {
    uint16_t half;
    memcpy(&half, tokens->scales + token * sizeof half, sizeof half);
    return f32_of(half);
}

/* Lane t * 4 + q of the result is the sum of acc[q][t]. */
INLINE __m256 fold_all(__m256 acc[4][2]) {
    __m256 t0 = _mm256_hadd_ps(_mm256_hadd_ps(acc[0][0], acc[1][0]),
                               _mm256_hadd_ps(acc[2][0], acc[3][0]));
    __m256 t1 = _mm256_hadd_ps(_mm256_hadd_ps(acc[0][1], acc[1][1]),
                               _mm256_hadd_ps(acc[2][1], acc[3][1]));
    return _mm256_add_ps(_mm256_permute2f128_ps(t0, t1, 0x20),
                         _mm256_permute2f128_ps(t0, t1, 0x31));
}

/* Up to four query rows against all tokens, two tokens at a time: eight sums,
 * two elements and a query fit the sixteen registers. Where rows or tokens are
 * missing the last one is taken again, which changes no maximum. Returns the
 * best of each query row. */
INLINE __m128 best4(enum inv_dtype dtype, size_t nq, const char *const query[4],
                    const struct tokens *tokens, size_t dim, bool fetch) {
    size_t width = width_of(dtype);
    size_t whole = dim / LANES * LANES;
    __m256 best = _mm256_set1_ps(-INFINITY);
    for (size_t first = 0; first < tokens->count; first += 2) {
        size_t second = first + 1 < tokens->count ? first + 1 : first;
        const char *row0 = tokens->data + first * tokens->pitch;
        const char *row1 = tokens->data + second * tokens->pitch;
        __m256 acc[4][2];
        if (fetch && first % 4 == 0 && tokens->count - first > AHEAD + 4)
            fetch4(row0 + AHEAD * tokens->pitch, tokens->pitch, dim * width);
        UNROLL for (size_t q = 0; q < 4; q++) acc[q][0] = acc[q][1] =
            _mm256_setzero_ps();
        for (size_t i = 0; i < whole; i += LANES) {
            __m256 x0 = load(dtype, row0 + i * width);
            __m256 x1 = load(dtype, row1 + i * width);
            UNROLL for (size_t q = 0; q < nq; q++) {
                __m256 y = load(INV_F32, query[q] + i * 4);
                acc[q][0] = _mm256_fmadd_ps(x0, y, acc[q][0]);
                acc[q][1] = _mm256_fmadd_ps(x1, y, acc[q][1]);
            }
        }
        if (whole < dim) {
            size_t left = dim - whole;
            __m256 x0 = load_some(dtype, row0 + whole * width, left);
            __m256 x1 = load_some(dtype, row1 + whole * width, left);
            UNROLL for (size_t q = 0; q < nq; q++) {
                __m256 y = load_some(INV_F32, query[q] + whole * 4, left);
                acc[q][0] = _mm256_fmadd_ps(x0, y, acc[q][0]);
                acc[q][1] = _mm256_fmadd_ps(x1, y, acc[q][1]);
            }
        }
        __m256 sums = fold_all(acc);
        if (dtype == INV_I8)
            sums = _mm256_mul_ps(
                sums, _mm256_set_m128(_mm_set1_ps(scale_at(tokens, second)),
                                      _mm_set1_ps(scale_at(tokens, first))));
        best = _mm256_max_ps(best, sums);
    }
    return _mm_max_ps(_mm256_castps256_ps128(best),
                      _mm256_extractf128_ps(best, 1));
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
        __m128i mask = _mm256_castsi256_si128(first_lanes(n));
        __m128 old = _mm_maskload_ps(best + first, mask);
        _mm_maskstore_ps(best + first, mask, _mm_max_ps(old, found));
    }
}

INLINE void decode(enum inv_dtype dtype, const struct tokens *tokens,
                   size_t dim, float *tile, size_t pitch) {
    for (size_t t = 0; t < tokens->count; t++) {
        const char *row = tokens->data + t * tokens->pitch;
        __m256 scale = _mm256_set1_ps(1);
        if (dtype == INV_I8)
            scale = _mm256_set1_ps(scale_at(tokens, t));
        for (size_t i = 0; i < dim; i += LANES) {
            __m256 x = load_upto(dtype, row + i * width_of(dtype), dim - i);
            if (dtype == INV_I8)
                x = _mm256_mul_ps(x, scale);
            _mm256_store_ps(tile + t * pitch + i, x);
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
    /* The choices of kernels_avx512.c, not tuned again here. */
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

const struct inv_kernels inv_kernels_avx2 = {
    .name = "avx2",
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
