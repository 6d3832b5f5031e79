/*
 * evaluate.h: fits adapters between two models by several methods, judges each
 * by retrieval on what its fit did not see, and lets a gate say what that
 * permits. Works on memory: knows neither files nor collections.
 *
 *   struct inv_fit_data data = {.old_dim = 384, ...};   borrowed pointers
 *   struct inv_fit_options options = inv_fit_options_defaults();
 *   struct inv_fit_report *report = calloc(1, sizeof *report);
 *   options.from = "minilm@6"; options.to = "minilm@3";
 *   inv_fit_methods_default(&data, methods, &count);
 *   status = inv_fit_judge(&data, methods, count, &options, progress, ctx,
 *                          report, err);
 *   result = &report->results[report->chosen];
 *   adapter = result->backward; result->backward = NULL;   taken over
 *   inv_fit_report_json(report, &buf);             server/json/report.h
 *   inv_fit_report_release(report);                also after a failure
 *
 * One thread a call, which takes what OpenBLAS is set to. Everything random
 * follows from the seed.
 */
#ifndef INV_ENCODERS_ADAPTERS_EVALUATE_H
#define INV_ENCODERS_ADAPTERS_EVALUATE_H

#include "base/vector.h"
#include "encoders/adapters/adapter.h"
#include "encoders/adapters/contrastive.h"
#include "encoders/adapters/fit.h"
#include "encoders/adapters/gate.h"
#include "encoders/adapters/judge.h"
#include "encoders/adapters/score_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what is there ---- */

#define INV_FIT_NO_LABEL UINT32_MAX

/* What a query is for. */
enum inv_fit_use {
    INV_FIT_USE_BOTH,       /* fitted, and judged by fits that did not see it */
    INV_FIT_USE_FIT_ONLY,   /* titles; queries of a log nobody judged */
    INV_FIT_USE_JUDGE_ONLY, /* kept out of every fit */
};

/* Borrowed for the call. Single vectors are rows of floats. Multi-vectors are
 * codes, one entry a document or query, whose rows are tokens; query tokens
 * carry their weight as their norm. cosine: single rows have norm 1 (the caller
 * sees to that), and so has what the adapters give; else inner products count
 * (l2 is not judged here). Tokens are scored as they are stored. */
struct inv_fit_data {
    bool multi;
    bool cosine;
    size_t old_dim, new_dim;

    /* Documents: the gallery, all with an old vector. Row i of a document
     * without a new vector is not read (multi: may be zeroed). */
    size_t documents;
    const float *old_documents, *new_documents;      /* single */
    const struct inv_codes *old_tokens, *new_tokens; /* multi */
    const bool *has_new;                             /* NULL: all */
    const uint32_t *pair_rows; /* documents that are vector pairs, if not all
                                  that have both; must have both */
    size_t pair_count;         /* of pair_rows */
    const uint32_t *labels;    /* of documents, INV_FIT_NO_LABEL: none; NULL */
    size_t classes;            /* labels are below it */

    /* Queries: all with a new vector. Those with an old one too are vector
     * pairs, those with relevant documents relevance pairs, those with both are
     * judged: each if its use permits. */
    size_t queries;
    const float *new_queries, *old_queries; /* old NULL: none has one */
    const struct inv_codes *new_query_tokens, *old_query_tokens;
    const bool *has_old;          /* NULL: all, where there are old ones */
    const uint32_t *relevant;     /* documents of query i: relevant[start[i] ..
                                     start[i + 1]) */
    const size_t *relevant_start; /* queries + 1; NULL: none has any */
    const uint8_t *use;           /* enum inv_fit_use; NULL: INV_FIT_USE_BOTH */
    const uint32_t *slice;        /* for the gate, below `slices`; NULL: none */
    size_t slices;
    const bool *unseen; /* judged ones to be measured apart as well; NULL */
};

/* ---- methods ---- */

#define INV_FIT_METHODS_MAX 16

struct inv_fit_method {
    char name[32]; /* as it was given: "path:0.35" */
    enum inv_adapter_kind kind;
    double knob; /* kappa, rho, temperature or beta; negative: not given */
};

/* "procrustes,ridge,path:0.1,contrastive:0.02,simplex:0.1"; room for
 * INV_FIT_METHODS_MAX; INV_INVALID names the wrong one. */
enum inv_status inv_fit_methods_parse(const char *text,
                                      struct inv_fit_method *methods,
                                      size_t *count,
                                      struct inv_err *err) INV_MUST_USE;
/* procrustes, path:0.1, path:0.35, ridge, and contrastive where single vectors
 * come with relevance pairs. */
void inv_fit_methods_default(const struct inv_fit_data *data,
                             struct inv_fit_method *methods, size_t *count);

struct inv_fit_options {
    const char *from, *to; /* the new space and the old one */
    double kappa;          /* of contrastive, and of F beside it */
    uint32_t steps;        /* of contrastive */
    uint64_t seed;
    double margin;     /* nDCG@10 that may be lost */
    bool keep_vectors; /* held out: only relevance, vector pairs stay */
    size_t judged_max; /* queries judged, at random; 0: 1,000, or 100 of tokens;
                          SIZE_MAX: all */
    size_t pairs_max;  /* vector pairs (of tokens) of a fit, at random; 0:
                          200,000; SIZE_MAX: all */
};
struct inv_fit_options inv_fit_options_defaults(void);

/* ---- what comes out ---- */

#define INV_FIT_CASCADES 3  /* N = 50, 100, 200 */
#define INV_FIT_COVERAGES 6 /* 0 .1 .25 .5 .75 1, at N = 200 */
extern const size_t inv_fit_cascade_depths[INV_FIT_CASCADES];
extern const double inv_fit_coverages[INV_FIT_COVERAGES];

struct inv_fit_quality {
    double *ndcg; /* of each judged query; NULL: not measured */
    size_t count;
    double mean, recall, unseen; /* unseen 0 when there is no such split */
};

/* backward: new -> old. forward: old -> new, of the closed forms by the same
 * method, else by the path at the options' kappa. Both are the report's until
 * they are taken (set the pointer to NULL). */
struct inv_fit_result {
    struct inv_fit_method method;
    struct inv_adapter *backward, *forward;
    struct inv_contrastive_choice choice; /* steps 0: not contrastive */
    double r, condition, knob;            /* of backward's matrix */
    double forward_r;
    double seconds;         /* the fit of backward on everything */
    size_t pairs;           /* vector pairs (of tokens) it was fitted on */
    size_t relevance_pairs; /* that contrastive could read; else 0 */
    double cosine;          /* mean of B x and y over the judged queries */
    struct inv_fit_quality in_fit, held_out; /* on the whole gallery */
    /* On documents that have a new vector, as if these were all there are: */
    struct inv_fit_quality held_out_covered;
    double cascade[INV_FIT_CASCADES];   /* of in_fit, everything re-embedded */
    double coverage[INV_FIT_COVERAGES]; /* of held_out */
    double ac, am, update_gain, flips;  /* of held_out_covered */
    struct inv_score_map scores;        /* new-space score -> bridge score */
    double fit_mean, fit_deviation; /* of <B x, y> over pairs held out (cosine
                                       between tokens): fresh pairs whose mean
                                       is below fit_mean - 3 sd have drifted */
    size_t fit_count;
    struct inv_gate gate; /* of held_out */
};

struct inv_fit_report {
    bool multi, provisional; /* provisional: documents asked, for want of
                                judged queries; never ACTIVATE */
    size_t old_dim, new_dim;
    size_t documents, covered; /* covered: with new vectors */
    size_t pairs;              /* documents that are vector pairs */
    size_t extra_pairs;        /* queries that are */
    size_t titles;             /* queries with relevance that are fitted on */
    size_t queries;            /* judged */
    size_t covered_queries;    /* with a relevant document that is covered */
    size_t unseen_queries;
    struct inv_fit_quality old_old; /* on the whole gallery */
    struct inv_fit_quality none;    /* new queries on old vectors, no adapter;
                                       not measured where dimensions differ */
    /* On the covered documents; old_covered equals old_old when all are. */
    struct inv_fit_quality old_covered, new_new;
    size_t folds, left_out; /* documents left out of a fold, at most */
    struct inv_fit_result results[INV_FIT_METHODS_MAX];
    size_t count, chosen;
};

/* Fits and judges every method. Held out: no query is judged by a fit that saw
 * one of its relevant documents, as positive, negative or vector pair, nor
 * another query that has one of them. Where judged queries are fitted on too,
 * in five folds of documents; else all at once when their documents are at most
 * a fifth of the gallery. Without two judged queries, documents ask for their
 * neighbours in the new space.
 *
 * progress (may be NULL) is called often and stops everything by returning
 * true: INV_CANCELLED. Only a closed form is not interrupted; on a busy
 * machine, with an OpenBLAS that does not know the CPU, the longest took .2 s
 * at 384 dimensions, 1.3 s at 768 and 2.8 s at 1,024. `stage` lives as long as
 * the call.
 *
 * *report is overwritten, and to be released also after a failure. INV_INVALID
 * (too few pairs, documents out of range, a method that cannot be: each with
 * its numbers), INV_DIMENSION, INV_NOT_FINITE, INV_CONFLICT for a document or
 * query whose token counts differ (with both), INV_MEMORY, INV_INTERNAL. */
enum inv_status inv_fit_judge(
    const struct inv_fit_data *data, const struct inv_fit_method *methods,
    size_t count, const struct inv_fit_options *options,
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total),
    void *ctx, struct inv_fit_report *report, struct inv_err *err) INV_MUST_USE;
void inv_fit_report_release(struct inv_fit_report *report);

#endif
