/*
 * ann_cases.h: for the contract suites of index/ann.h: every kind of index
 * with the recall it owes, clustered rows to build from, and sources over them
 * that can fail or cancel.
 */
#ifndef INV_TESTS_ANN_CASES_H
#define INV_TESTS_ANN_CASES_H

#include "index/ann.h"

struct ann_case {
    const char *name;
    enum inv_ann_type type;
    enum inv_metric metric;
    enum inv_dtype dtype;
    uint32_t pq_bits;
    /* Of the exact top 10, how many must be among the first 10 and 100. */
    double recall10, recall100;
};

extern const struct ann_case ann_cases[];
extern const int ann_case_count;

struct inv_ann_config ann_config(const struct ann_case *which, size_t dim);

/* Rows around a few dozen centres, then normalised (so that both metrics have
 * neighbours worth finding); the same for the same arguments. */
struct ann_rows {
    float *data;
    size_t count, dim;
    /* What a source over them does at its n-th read or progress call, counted
     * from 1; 0: never. */
    size_t fail_read_at, cancel_at;
    size_t reads, calls;
};

void ann_rows_init(struct ann_rows *rows, size_t count, size_t dim,
                   uint64_t seed);
void ann_rows_release(struct ann_rows *rows);
struct inv_ann_source ann_source(struct ann_rows *rows);

/* Builds or stops the test. */
struct inv_ann *ann_must_build(const struct ann_case *which,
                               struct ann_rows *rows, size_t count);
/* Searches or stops the test; checks order, ties and range of what comes. */
size_t ann_must_search(const struct inv_ann *ann, const float *query, size_t k,
                       const struct inv_ann_params *params,
                       struct inv_ann_hit *hits);

/* How many of `want` are in `got`. */
size_t ann_common(const struct inv_ann_hit *want, size_t want_count,
                  const struct inv_ann_hit *got, size_t got_count);

#endif
