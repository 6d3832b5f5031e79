/*
 * ann_plan.h: the numbers of a FAISS index, chosen before FAISS is asked:
 * every 0 of a configuration resolved for a given number of rows. Pure
 * arithmetic; no FAISS.
 */
#ifndef INV_INDEX_ANN_PLAN_H
#define INV_INDEX_ANN_PLAN_H

#include "index/ann.h"

/* Rows below which ivf_pq keeps whole rows: a product quantizer would have
 * almost as many centroids as there are rows, and fast scan does not return
 * the very worst of its codes, which shows when k is near the row count. */
#define INV_ANN_PQ_ROWS_MIN 1024

/* Fills every 0 of `config` (not flat, not auto) for count >= 1 rows. A given
 * nlist or train_size is lowered to what the rows can train. */
void inv_ann_plan(struct inv_ann_config *config, size_t count);

/* enum inv_ann_caps of a planned configuration. */
unsigned inv_ann_plan_caps(const struct inv_ann_config *config);

/* FAISS' index_factory string of a planned configuration. */
void inv_ann_plan_factory(const struct inv_ann_config *config, char *out,
                          size_t size);

/* Bytes of memory of the finished index, and extra bytes while building. */
size_t inv_ann_plan_bytes(const struct inv_ann_config *config, size_t count);
size_t inv_ann_plan_scratch(const struct inv_ann_config *config, size_t count);

#endif
