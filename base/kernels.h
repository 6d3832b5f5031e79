/*
 * kernels.h: the hot loops over vectors. The one place with intrinsics: each
 * function exists as scalar code and for the instruction sets of the machine,
 * chosen once at run time (scalar, AVX2+FMA+F16C, AVX-512). INV_KERNELS=scalar
 * or avx2 in the environment asks for less, for tests and comparisons.
 *
 * All pointers may be unaligned unless said otherwise. No function allocates,
 * fails or takes a lock; all are safe from any thread.
 */
#ifndef INV_BASE_KERNELS_H
#define INV_BASE_KERNELS_H

#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "scalar", "avx2" or "avx512": what this process uses. */
const char *inv_kernels_name(void);

float inv_dot_f32(const float *a, const float *b, size_t dim);
float inv_l2sq_f32(const float *a, const float *b, size_t dim);

/* out[i] = <query, row i>; rows are `stride` elements apart (stride >= dim),
 * which is how a prefix of every row is scanned. */
void inv_dot_rows_f32(const float *query, const float *rows, size_t stride,
                      size_t count, size_t dim, float *out);
void inv_dot_rows_f16(const float *query, const uint16_t *rows, size_t stride,
                      size_t count, size_t dim, float *out);
/* out[i] = |query - row i|^2 */
void inv_l2sq_rows_f32(const float *query, const float *rows, size_t stride,
                       size_t count, size_t dim, float *out);
void inv_l2sq_rows_f16(const float *query, const uint16_t *rows, size_t stride,
                       size_t count, size_t dim, float *out);

/* y += a * x */
void inv_axpy_f32(float a, const float *x, float *y, size_t dim);

/* IEEE half precision, round to nearest even. */
void inv_f16_from_f32(const float *in, uint16_t *out, size_t count);
void inv_f32_from_f16(const uint16_t *in, float *out, size_t count);
/* int8 with one scale: scale = max |x| / 127 rounded to f16; an all-zero row
 * gets scale 0. Scale is never subnormal-small enough to make infinities. */
void inv_i8_from_f32(const float *in, int8_t *out, uint16_t *scale, size_t dim);
void inv_f32_from_i8(const int8_t *in, uint16_t scale, float *out, size_t dim);

/* Divides by the L2 norm; returns the norm it had (0: left as it was). */
float inv_normalize_f32(float *x, size_t dim);

/* true when every |x| <= limit (false for NaN and infinities). */
bool inv_all_within(const float *x, size_t count, float limit);

/* MaxSim's inner part (Chamfer, arXiv 2405.19504 eq. 1):
 * best[i] = max over the document's tokens t of <query_i, t[0..dim)>, for
 * query rows i; `dim` <= codes.dim reads a prefix of every token. Query rows
 * are `dim` floats, contiguous. codes.rows >= 1, query_rows >= 1. Exact for
 * the values as stored (i8 is int8 * scale in fp32). */
void inv_maxsim_best(const float *query, size_t query_rows,
                     const struct inv_codes *codes, size_t dim, float *best);

/* <query, row> and |query - row|^2 for one stored row of any dtype. */
float inv_dot_code(const float *query, const struct inv_codes *codes,
                   size_t row, size_t dim);
float inv_l2sq_code(const float *query, const struct inv_codes *codes,
                    size_t row, size_t dim);

#endif
