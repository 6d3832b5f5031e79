/*
 * matryoshka.h: shorter vectors out of longer ones. A prefix of a vector is
 * searched, the whole vector scores (MRL, arXiv 2205.13147). For models that
 * were not trained so, an orthogonal rotation (uncentred PCA) orders the
 * directions by variance; full-dimension inner products stay the same.
 *
 * Everything here is pure: no state, any thread.
 */
#ifndef INV_ENCODERS_MATRYOSHKA_H
#define INV_ENCODERS_MATRYOSHKA_H

#include "base/status.h"

#include <stddef.h>

/* Learns the rotation from `count` >= 1 rows of `dim` floats. rotation: dim x
 * dim, row-major, row j is the direction with the j-th largest second moment,
 * signs fixed (largest component positive) so that it is reproducible. Uses
 * LAPACK's dsyevd in fp64; INV_MEMORY, INV_INTERNAL when it does not converge.
 */
enum inv_status inv_pca_learn(const float *rows, size_t count, size_t dim,
                              float *rotation,
                              struct inv_err *err) INV_MUST_USE;

/* out = rotation * x for each of `count` rows (one GEMM). Not in place. */
void inv_rotate(const float *rotation, const float *rows, size_t count,
                size_t dim, float *out);

/* Copies the first `prefix` of dim floats to out and, when `normalize`,
 * divides by the prefix's own norm (a zero prefix stays zero). */
void inv_prefix(const float *x, size_t prefix, int normalize, float *out);

#endif
