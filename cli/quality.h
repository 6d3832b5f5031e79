/*
 * quality.h: how good a ranking is, and how fast: the measures of eval and
 * bench. `gains` are the judged gains of the hits in their order (0: not
 * relevant, not judged); `ideal` those of all relevant documents of the query,
 * highest first. Pure functions, any thread.
 */
#ifndef INV_CLI_QUALITY_H
#define INV_CLI_QUALITY_H

#include <stddef.h>

/* DCG@k = sum over ranks r = 1..k of gain_r / log2(r + 1); nDCG = DCG over that
 * of the ideal order. 0 without relevant documents. */
double inv_quality_ndcg(const double *gains, size_t count, const double *ideal,
                        size_t ideal_count, size_t k);
/* Relevant documents among the first k, of all relevant ones. */
double inv_quality_recall(const double *gains, size_t count, size_t ideal_count,
                          size_t k);
/* 1 / rank of the first relevant hit within k, else 0. */
double inv_quality_reciprocal_rank(const double *gains, size_t count, size_t k);
/* The value below which a share p (0..1) of `sorted` (ascending) lies: the
 * nearest rank, ceil(p n). 0 when empty. */
double inv_quality_percentile(const double *sorted, size_t count, double p);
/* Sorts ascending, for percentiles. */
void inv_quality_sort(double *values, size_t count);

#endif
