/*
 * judge.h: exact retrieval over rows in memory and how good it was: nDCG@10 and
 * recall@10 with binary gains, for judging adapters on data held out from
 * their fit. Any thread; nothing is kept.
 */
#ifndef INV_ENCODERS_ADAPTERS_JUDGE_H
#define INV_ENCODERS_ADAPTERS_JUDGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INV_JUDGE_DEPTH 10 /* the k of nDCG@k and recall@k */

/* Query i is answered by gallery rows document[start[i] .. start[i + 1]). A
 * query without any is not judged: its measures are 0 and mean nothing. */
struct inv_judgements {
    const uint32_t *document;
    const size_t *start; /* queries + 1 */
    size_t queries;
};

/* The best `depth` rows of each query by inner product, best first, equal
 * scores by the smaller row. ids: count x depth, scores: the same or NULL.
 * depth <= gallery_count. INV_INVALID, INV_MEMORY. */
enum inv_status inv_judge_rank(const float *queries, size_t count,
                               const float *gallery, size_t gallery_count,
                               size_t dim, size_t depth, uint32_t *ids,
                               float *scores, struct inv_err *err) INV_MUST_USE;

/* The same among gallery rows which[0 .. which_count), ascending; no other row
 * is read. */
enum inv_status inv_judge_rank_some(const float *queries, size_t count,
                                    const float *gallery, const uint32_t *which,
                                    size_t which_count, size_t dim,
                                    size_t depth, uint32_t *ids, float *scores,
                                    struct inv_err *err) INV_MUST_USE;

/* Each query's nDCG@10 and recall@10 of a ranking (count x depth, depth >= 1);
 * recall may be NULL. */
void inv_judge_measure(const uint32_t *ids, size_t depth,
                       const struct inv_judgements *judgements, double *ndcg,
                       double *recall);

/* Mean nDCG@10 of normalise(W x + b) for the pairs which[0 .. count), of which
 * pair i has one answer, document[i], and the standard error of that mean. w:
 * rows x cols, gallery of `rows`. */
enum inv_status inv_judge_pairs(const float *w, const float *b, size_t rows,
                                size_t cols, const float *queries,
                                const uint32_t *document, const uint32_t *which,
                                size_t count, const float *gallery,
                                size_t gallery_count, double *ndcg,
                                double *error,
                                struct inv_err *err) INV_MUST_USE;

/* The cascade: a list of `depth` rows that the bridge found (ids, with its
 * scores), of which those with covered[row] get the new model's score: fresh[i]
 * is that of ids[i], only covered ones are read. With three or more of them
 * (and not all), an affine map of this list carries new scores to the bridge's
 * scale: the mean and the deviation of the covered documents are equal in both;
 * the others keep their bridge score. With fewer the order stays. ids is
 * reordered in place; scratch: depth numbers. covered NULL: all. */
void inv_judge_cascade(const double *fresh, const bool *covered,
                       const float *bridge, size_t depth, uint32_t *ids,
                       double *scratch);

#endif
