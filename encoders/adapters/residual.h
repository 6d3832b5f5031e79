/*
 * residual.h: which documents the bridge serves badly, from their old vectors
 * alone: a ridge model of log |y - B x|^2 over y, fitted on documents that have
 * both vectors. What is re-embedded first follows from it. Immutable once
 * fitted: any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_RESIDUAL_H
#define INV_ENCODERS_ADAPTERS_RESIDUAL_H

#include "encoders/adapters/adapter.h"
#include "encoders/adapters/fit.h"

/* Rank correlation with the true residual of documents that were not fitted,
 * procrustes of 500 pairs, rho .1 / 1 / 3 / 10: scifact l3 -> l6 .34 .41 .43
 * .43, e5 -> l6 .34 .47 .51 .51, cranfield l3 -> l6 .60 .68 .69 .68. */
#define INV_RESIDUAL_RHO 3

struct inv_residual {
    struct inv_map map; /* 1 x dim of the old space */
};

/* x: count x cols of the adapter (which goes backward), y: count x rows, both
 * normalised for cosine. rho > 0 as of inv_fit_ridge. INV_INVALID for another
 * direction or fewer than 2 pairs, INV_NOT_FINITE, INV_MEMORY, INV_INTERNAL. */
enum inv_status inv_residual_fit(const struct inv_adapter *backward,
                                 const float *x, const float *y, size_t count,
                                 double rho, struct inv_residual *residual,
                                 struct inv_err *err) INV_MUST_USE;
void inv_residual_release(struct inv_residual *residual); /* zeroed: nothing */

/* Expected log |y - B x|^2 of count rows y: higher is worse served. */
void inv_residual_predict(const struct inv_residual *residual, const float *y,
                          size_t count, float *out);

#endif
