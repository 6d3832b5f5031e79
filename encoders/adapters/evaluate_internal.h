/*
 * evaluate_internal.h: what methods.c, evaluate_source.c, evaluate_view.c and
 * evaluate.c share. Not for others; see evaluate.h.
 */
#ifndef INV_ENCODERS_ADAPTERS_EVALUATE_INTERNAL_H
#define INV_ENCODERS_ADAPTERS_EVALUATE_INTERNAL_H

#include "encoders/adapters/evaluate.h"
#include "encoders/adapters/pairs.h"

/* ---- telling the caller how far it is ---- */

struct inv_fit_watch {
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
    char stage[80];
};

void inv_fit_stage(struct inv_fit_watch *watch, const char *fmt, ...)
    INV_PRINTF(2, 3);
/* INV_CANCELLED when the caller wants an end. */
enum inv_status inv_fit_tell(struct inv_fit_watch *watch, size_t done,
                             size_t total, struct inv_err *err) INV_MUST_USE;

/* ---- the data (evaluate_source.c) ---- */

/* Shapes, ranges and counts; see inv_fit_judge. */
enum inv_status inv_fit_check(const struct inv_fit_data *data,
                              struct inv_err *err) INV_MUST_USE;
bool inv_fit_covered(const struct inv_fit_data *data, size_t document);
bool inv_fit_has_old(const struct inv_fit_data *data, size_t query);
enum inv_fit_use inv_fit_use_of(const struct inv_fit_data *data, size_t query);
/* Relevant documents of a query; *count may be 0. */
const uint32_t *inv_fit_relevant(const struct inv_fit_data *data, size_t query,
                                 size_t *count);
/* May a fit that must not see `excluded` (NULL: sees all) see this query? */
bool inv_fit_query_fits(const struct inv_fit_data *data, size_t query,
                        const bool *excluded);
void inv_fit_decode(const struct inv_codes *codes, size_t row, float *out);

/* Rows of both models of one item: a document, or documents + a query. Single:
 * one. Tokens come normalised, pairs with a zero token are left out. x and y
 * have room for all of them; returns how many. */
size_t inv_fit_item_rows(const struct inv_fit_data *data, size_t item);
size_t inv_fit_item_copy(const struct inv_fit_data *data, size_t item, float *x,
                         float *y);

/* What a fit reads: vector pairs and their moments. */
struct inv_fit_source {
    const struct inv_fit_data *data;
    const struct inv_fit_options *options;
    const bool *excluded; /* documents that take no part; NULL: all do */
    /* Of contrastive, chosen by another part; steps 0, NULL: choose. */
    const struct inv_contrastive_choice *chosen;
    uint32_t *items; /* the vector pairs, as of inv_fit_item_rows */
    size_t item_count, longest;
    size_t document_pairs, query_pairs; /* of items */
    size_t rows;                        /* of all items */
    struct inv_moments all;             /* new -> old */
    struct inv_moments most;            /* without the held rows */
    struct inv_moments forward;         /* old -> new; only when asked for */
    float *held_x, *held_y;             /* every tenth row, 1,000 at most */
    size_t held;
};
enum inv_status inv_fit_source_init(struct inv_fit_source *source,
                                    const struct inv_fit_data *data,
                                    const struct inv_fit_options *options,
                                    const bool *excluded, bool forward,
                                    struct inv_fit_watch *watch,
                                    struct inv_err *err) INV_MUST_USE;
void inv_fit_source_release(struct inv_fit_source *source);

/* At most `most` rows of the vector pairs, of labelled documents only when
 * labels is not NULL (which gets them). *x, *y and *labels are the caller's. */
enum inv_status inv_fit_source_rows(const struct inv_fit_source *source,
                                    size_t most, float **x, float **y,
                                    uint32_t **labels, size_t *count,
                                    struct inv_err *err) INV_MUST_USE;

/* Relevance pairs of single vectors, ready for inv_fit_contrastive. */
struct inv_fit_relevance {
    struct inv_relevance given;
    float *queries, *gallery;
    uint32_t *document;
};
enum inv_status inv_fit_relevance_init(struct inv_fit_relevance *relevance,
                                       const struct inv_fit_source *source,
                                       struct inv_err *err) INV_MUST_USE;
void inv_fit_relevance_release(struct inv_fit_relevance *relevance);

/* ---- one fit (methods.c) ---- */

struct inv_fit_fitted {
    struct inv_map map;
    struct inv_map s_new, s_old; /* rows 0: no fold */
    double beta;
    struct inv_contrastive_choice choice;
    size_t relevance_pairs;
};
void inv_fit_fitted_release(struct inv_fit_fitted *fitted);

/* Is the method possible with these data at all? INV_INVALID. */
enum inv_status inv_fit_method_check(const struct inv_fit_data *data,
                                     const struct inv_fit_method *method,
                                     struct inv_err *err) INV_MUST_USE;
enum inv_status inv_fit_method_run(const struct inv_fit_source *source,
                                   const struct inv_fit_method *method,
                                   struct inv_fit_watch *watch,
                                   struct inv_fit_fitted *fitted,
                                   struct inv_err *err) INV_MUST_USE;
enum inv_status inv_fit_backward(const struct inv_fit_source *source,
                                 const struct inv_fit_method *method,
                                 const struct inv_fit_fitted *fitted,
                                 struct inv_adapter **out,
                                 struct inv_err *err) INV_MUST_USE;
/* From source->forward. *r gets r of its matrix. */
enum inv_status inv_fit_forward(const struct inv_fit_source *source,
                                const struct inv_fit_method *method,
                                const struct inv_fit_fitted *fitted,
                                struct inv_adapter **out, double *r,
                                struct inv_err *err) INV_MUST_USE;

/* ---- what is judged, and on what (evaluate_view.c) ---- */

/* Queries of one model: query i has rows start[i] .. start[i + 1]. */
struct inv_fit_queries {
    float *rows;
    size_t *start;
    size_t count, dim;
};

/* A gallery and what is relevant there. */
struct inv_fit_view {
    const uint32_t *which; /* the documents it has, ascending; NULL: all */
    size_t count;
    struct inv_judgements judged; /* of the documents it has */
    uint32_t *document;           /* judged.document, owned */
    size_t *start;
    size_t measured; /* queries with a relevant document here */
};

struct inv_fit_judged {
    const struct inv_fit_data *data;
    bool proxy;
    uint32_t *query; /* which ones; proxy: documents that ask */
    size_t count;
    bool any_fitted; /* one of them takes part in fits */
    struct inv_fit_queries new_queries, old_queries;
    uint32_t *covered; /* documents with a new vector; NULL: all */
    size_t covered_count;
    struct inv_fit_view whole, part; /* part: the covered documents */
    bool same;                       /* part is whole: nothing stands in it */
};
enum inv_status inv_fit_judged_init(struct inv_fit_judged *judged,
                                    const struct inv_fit_data *data,
                                    const struct inv_fit_options *options,
                                    struct inv_fit_watch *watch,
                                    struct inv_err *err) INV_MUST_USE;
void inv_fit_judged_release(struct inv_fit_judged *judged);

enum inv_fit_side { INV_FIT_OLD, INV_FIT_NEW };

/* The best `depth` documents of a view for queries laid out as `like` says; as
 * inv_judge_rank, ids are rows of the data. scores may be NULL. */
enum inv_status
inv_fit_rank(const struct inv_fit_data *data, const struct inv_fit_view *view,
             enum inv_fit_side side, const struct inv_fit_queries *like,
             const float *rows, size_t depth, uint32_t *ids, float *scores,
             struct inv_fit_watch *watch, struct inv_err *err) INV_MUST_USE;
/* The score of one document for query i. best: its rows, scratch. */
float inv_fit_score(const struct inv_fit_data *data, enum inv_fit_side side,
                    const struct inv_fit_queries *like, const float *rows,
                    size_t query, size_t document, float *best);
/* Rows of the longest query. */
size_t inv_fit_longest(const struct inv_fit_queries *queries);

/* ---- judging (evaluate_judge.c) ---- */

/* Relevant documents are left out all at once when they are at most a fifth of
 * those that are fitted, else in this many parts. */
#define INV_FIT_FOLDS 5

/* Sums of <B x, y>, for the drift watch. */
struct inv_fit_drift {
    double sum, squares;
    size_t count;
};

/* One call of inv_fit_judge. */
struct inv_fit_trial {
    const struct inv_fit_data *data;
    const struct inv_fit_options *options;
    struct inv_fit_watch *watch;
    struct inv_fit_report *report;
    struct inv_fit_judged judged;
    size_t depth, part_depth; /* of rankings of the whole and of the part */
    bool part;                /* something is measured on the part */
    float *mapped;            /* in fit: queries in the old space */
    float *held[INV_FIT_METHODS_MAX]; /* held out, of each method */
    struct inv_fit_drift drift[INV_FIT_METHODS_MAX];
    uint32_t *ids, *again; /* queries x the larger depth */
    float *scores;         /* the bridge's */
    double *fresh;         /* the new model's for the same lists */
    double *recall, *scratch;
    double *cascaded, *gain;  /* per measured query of the part */
    bool *excluded, *covered; /* of documents */
    uint8_t *fold;            /* of judged queries */
    float *best;              /* MaxSim of one query's tokens */
};

/* For trial->judged, depths and `part`, which are set. */
enum inv_status inv_fit_trial_reserve(struct inv_fit_trial *trial,
                                      size_t methods,
                                      struct inv_err *err) INV_MUST_USE;
void inv_fit_trial_release(struct inv_fit_trial *trial);
/* The part, or the whole when that is the same. */
const struct inv_fit_view *inv_fit_part(const struct inv_fit_trial *trial);
/* What needs no adapter. */
enum inv_status inv_fit_judge_models(struct inv_fit_trial *trial,
                                     struct inv_err *err) INV_MUST_USE;
/* The queries of one fold (INV_FIT_FOLDS: of all) into the old space. */
enum inv_status inv_fit_map_queries(const struct inv_fit_trial *trial,
                                    const struct inv_adapter *adapter,
                                    size_t fold, float *mapped,
                                    struct inv_err *err) INV_MUST_USE;
double inv_fit_cosine(const float *a, const float *b, size_t dim);
/* Adds cosines of mapped and old queries of a fold, where both have as many
 * rows. */
void inv_fit_drift_queries(const struct inv_fit_trial *trial,
                           const float *mapped, size_t fold,
                           struct inv_fit_drift *drift);
/* result->backward on everything; then method i by trial->held[i]. */
enum inv_status inv_fit_judge_in_fit(struct inv_fit_trial *trial,
                                     struct inv_fit_result *result,
                                     struct inv_err *err) INV_MUST_USE;
enum inv_status inv_fit_judge_held_out(struct inv_fit_trial *trial,
                                       size_t method,
                                       struct inv_err *err) INV_MUST_USE;

#endif
