/*
 * pairs.h: vector pairs (x_i of the source model, y_i of the target model, of
 * the same item) reduced to sums: counts, means and second moments in fp64, one
 * pass, any number of pairs in memory that does not grow. From these sums
 * procrustes, ridge and the path are fitted, in either direction.
 *
 * One writer at a time; moments are immutable: any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_PAIRS_H
#define INV_ENCODERS_ADAPTERS_PAIRS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_pairs {
    size_t x_dim, y_dim;
    uint64_t count;
    double *sum_x, *sum_y;
    double *xx, *yx, *yy; /* sums of x x^T, y x^T, y y^T, row-major; of the
                             symmetric ones the lower triangle */
};

/* INV_DIMENSION, INV_MEMORY. */
enum inv_status inv_pairs_init(struct inv_pairs *pairs, size_t x_dim,
                               size_t y_dim, struct inv_err *err) INV_MUST_USE;
void inv_pairs_release(struct inv_pairs *pairs); /* zeroed: does nothing */

/* count pairs; the rows are used as they are: normalise first when the metric
 * is cosine. INV_NOT_FINITE names the row and adds none of the block of 1,024
 * it is in (earlier blocks are added). INV_MEMORY. */
enum inv_status inv_pairs_add(struct inv_pairs *pairs, const float *x,
                              const float *y, size_t count,
                              struct inv_err *err) INV_MUST_USE;

/* What fits read: means and covariances, row-major and full. Not centred: the
 * means are zero and the moments are about the origin. */
struct inv_moments {
    size_t x_dim, y_dim;
    uint64_t count;
    double *mean_x, *mean_y;
    double *cxx, *cyx, *cyy; /* x_dim^2, y_dim x x_dim, y_dim^2 */
};

/* swapped false: x -> y; true: y -> x. INV_INVALID for fewer
 * than 2 pairs, INV_MEMORY. */
enum inv_status inv_pairs_moments(const struct inv_pairs *pairs, bool centred,
                                  bool swapped, struct inv_moments *moments,
                                  struct inv_err *err) INV_MUST_USE;
void inv_moments_release(struct inv_moments *moments);

#endif
