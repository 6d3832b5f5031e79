/*
 * sampling.h: which documents to embed again for a fit, when each one costs:
 * `want` of `count`, without replacement, ascending, the same for the same
 * seed. Pure functions; any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_SAMPLING_H
#define INV_ENCODERS_ADAPTERS_SAMPLING_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Every subset is equally likely. out: want <= count < 2^32 numbers. */
void inv_sample_uniform(size_t count, size_t want, uint64_t seed,
                        uint32_t *out);

/* Subsets that span much volume are more likely (generalized volume sampling,
 * arXiv 2312.14057): the first dim rows come from the determinantal process of
 * the projection onto the centred rows' column space, in which row i appears
 * with the probability of its leverage x_i^T (X^T X)^-1 x_i; the others are
 * drawn by leverage. Of more than INV_SAMPLE_ROWS rows, these many at random
 * take part, or 2 `want` when that is more. Work count x dim x min(want, dim).
 * INV_INVALID when want > count or either is 0, INV_NOT_FINITE, INV_MEMORY,
 * INV_INTERNAL. */
#define INV_SAMPLE_ROWS 16384
enum inv_status inv_sample_leverage(const float *rows, size_t count, size_t dim,
                                    size_t want, uint64_t seed, uint32_t *out,
                                    struct inv_err *err) INV_MUST_USE;

#endif
