/*
 * coverage.h: a gallery of which part holds new-model vectors: the cascade over
 * it, orders in which documents could get theirs, and what is known for that:
 * how often a document was found, how far the adapter is off for it. One
 * thread; failures end the program, as in upgrade.h.
 */
#ifndef INV_BENCH_COVERAGE_H
#define INV_BENCH_COVERAGE_H

#include "bench/upgrade.h"

/* The bridge's lists of the judged queries, the best `depth` of each. */
struct coverage {
    const struct upgrade *u;
    size_t depth;
    uint32_t *ids;
    float *scores;
    double bridge; /* nDCG@10 of the lists as they are */
};

/* queries: the judged ones in the gallery's space; not kept. */
void coverage_open(struct coverage *c, const struct upgrade *u,
                   const float *queries, size_t depth);
void coverage_close(struct coverage *c);

/* Mean nDCG@10 of the cascade over the first n of each list; of the queries
 * with only[q] where only is not NULL. ndcg (all queries) may be NULL. */
double coverage_cascade(const struct coverage *c, const bool *covered, size_t n,
                        const bool *only, double *ndcg);
/* Mean number of documents of the first n that are not covered. */
double coverage_missing(const struct coverage *c, const bool *covered,
                        size_t n);

/* covered[] of `documents`: the first `count` of an order. */
void coverage_first(const uint32_t *order, size_t count, size_t documents,
                    bool *covered);
/* Documents by falling a x b, equal ones by falling b; a or b NULL: 1. */
uint32_t *coverage_order(const double *a, const double *b, size_t count);

/* How often each document stands in the first n for queries of the gallery's
 * space. */
double *coverage_accesses(const struct upgrade *u, const float *queries,
                          size_t count, size_t n);
/* |y - B x|^2 of each document, B renormalised. */
double *coverage_residuals(const struct upgrade *u, const struct inv_map *map);
/* The same as residual.h predicts it from the old vector alone, fitted on the
 * documents rows[0 .. count). */
double *coverage_predicted(const struct upgrade *u, const struct inv_map *map,
                           const uint32_t *rows, size_t count);
/* Spearman's rank correlation. */
double coverage_correlation(const double *a, const double *b, size_t count);

#endif
