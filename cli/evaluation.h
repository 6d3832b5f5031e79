/*
 * evaluation.h: asks every judged query once, on one connection, and measures
 * the rankings and the times.
 */
#ifndef INV_CLI_EVALUATION_H
#define INV_CLI_EVALUATION_H

#include "cli/queries.h"

#include <stdio.h>

struct inv_evaluation {
    size_t queries;
    double ndcg10, recall10, recall100, mrr10; /* means */
    double p50_ms, p95_ms, per_second;         /* as the client sees it */
    bool has_recall100;                        /* the limit was 100 or more */
};

/* The hits of the queries, for comparing two runs: ids by query. */
struct inv_run {
    char ***ids; /* queries x hits */
    size_t *counts;
    size_t queries;
};
void inv_run_release(struct inv_run *run);
/* Mean share of b's first k that are among a's first k: recall@k of a against
 * b. Both of the same queries. */
double inv_run_overlap(const struct inv_run *a, const struct inv_run *b,
                       size_t k);

struct inv_evaluation_plan {
    const char *collection, *label;
    const struct inv_queries *queries;
    const size_t *chosen; /* places of the queries to ask */
    size_t count;
    const struct inv_qrels *qrels;
    const struct inv_buf *tail;
    uint32_t limit;
    bool binary;
    FILE *trec; /* NULL: no run file */
};

/* Exit code; what went wrong has been said. run is to be released also then. */
int inv_evaluate(struct inv_cli *cli, const struct inv_evaluation_plan *plan,
                 struct inv_evaluation *evaluation, struct inv_run *run);

#endif
