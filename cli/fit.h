/*
 * fit.h: what `invar fit` works with: vectors of the same documents and queries
 * in two models, methods, and how each was judged. Files and words are here,
 * the mathematics is in encoders/adapters. Main thread.
 */
#ifndef INV_CLI_FIT_H
#define INV_CLI_FIT_H

#include "base/vector.h"
#include "cli/cli.h"
#include "encoders/adapters/adapter.h"
#include "encoders/adapters/contrastive.h"
#include "encoders/adapters/fit.h"
#include "encoders/adapters/gate.h"
#include "encoders/adapters/judge.h"

/* ---- what was given ---- */

struct inv_fit_files {
    const char *new_documents, *old_documents;
    const char *new_queries, *old_queries; /* judged; NULL: neighbours */
    const char *qrels, *unseen;            /* unseen: a part, told apart */
    const char *corpus, *queries;          /* ids, else row numbers */
    const char *titles;                    /* new vectors; row i = document i */
    const char *extra_new, *extra_old;     /* vector pairs of anything else */
    const char *pair_rows; /* rows of the documents that are pairs */
    uint32_t old_dims;     /* the gallery is cut to these; 0: as it is */
    uint32_t pairs;        /* else so many at random; 0: all */
    uint64_t seed;
};

struct inv_fit_data {
    struct inv_matrix new_documents, old_documents;
    struct inv_matrix new_queries, old_queries;     /* the judged ones */
    struct inv_matrix titles, extra_new, extra_old; /* rows 0: none */
    struct inv_judgements judged;
    uint32_t *judged_document;
    size_t *judged_start;
    bool *unseen; /* of each judged query; NULL: no such split */
    size_t unseen_count;
    uint32_t *pair_rows; /* documents whose two vectors are pairs */
    size_t pair_count;
    bool proxy;          /* queries are documents, answers their neighbours */
    uint32_t *proxy_row; /* which ones */
};

/* Reads and normalises everything. All that goes wrong says which file. */
enum inv_status inv_fit_data_open(const struct inv_fit_files *files,
                                  struct inv_fit_data *data,
                                  struct inv_err *err) INV_MUST_USE;
void inv_fit_data_close(struct inv_fit_data *data);

/* ---- methods ---- */

#define INV_FIT_METHODS_MAX 16

struct inv_fit_method {
    char name[32]; /* as it was given: "path:0.35" */
    enum inv_adapter_kind kind;
    double knob; /* kappa, rho or temperature; negative: not given */
};

/* "procrustes,ridge,path:0.1,contrastive:0.02"; INV_INVALID names the wrong
 * one. */
enum inv_status inv_fit_methods_parse(const char *text,
                                      struct inv_fit_method *methods,
                                      size_t *count,
                                      struct inv_err *err) INV_MUST_USE;

struct inv_fit_options {
    double kappa;   /* of contrastive */
    uint32_t steps; /* of contrastive and paper */
    uint64_t seed;
    double margin;
    bool keep_vectors; /* held out: only relevance, vector pairs stay */
};

/* excluded: documents that take no part (NULL: all do). */
enum inv_status inv_fit_run(const struct inv_fit_data *data,
                            const struct inv_fit_method *method,
                            const struct inv_fit_options *options,
                            const bool *excluded, struct inv_map *map,
                            struct inv_contrastive_choice *choice,
                            struct inv_err *err) INV_MUST_USE;

/* ---- judging ---- */

#define INV_FIT_CASCADES 3  /* N = 50, 100, 200 */
#define INV_FIT_COVERAGES 6 /* 0 .1 .25 .5 .75 1, at N = 200 */
extern const size_t inv_fit_cascade_depths[INV_FIT_CASCADES];
extern const double inv_fit_coverages[INV_FIT_COVERAGES];

struct inv_fit_quality {
    double *ndcg;                /* per judged query */
    double mean, recall, unseen; /* unseen 0 when there is no such split */
};

struct inv_fit_result {
    struct inv_fit_method method;
    struct inv_map map; /* fitted on everything */
    struct inv_contrastive_choice choice;
    double seconds, cosine;
    struct inv_fit_quality in_fit, held_out;
    double cascade[INV_FIT_CASCADES];   /* of in_fit, everything re-embedded */
    double coverage[INV_FIT_COVERAGES]; /* of held_out */
    double ac, am, update_gain, flips;  /* of held_out */
    struct inv_gate gate;               /* of held_out */
};

struct inv_fit_report {
    struct inv_fit_quality old_old, new_new;
    size_t folds, left_out; /* documents left out of a fold, at most */
    struct inv_fit_result results[INV_FIT_METHODS_MAX];
    size_t count, chosen;
};

/* Fits and judges every method; says what it does on standard error unless
 * quiet. report is to be released also after a failure. */
enum inv_status inv_fit_judge(const struct inv_fit_data *data,
                              const struct inv_fit_method *methods,
                              size_t count,
                              const struct inv_fit_options *options, bool quiet,
                              struct inv_fit_report *report,
                              struct inv_err *err) INV_MUST_USE;
void inv_fit_report_release(struct inv_fit_report *report);

/* ---- telling ---- */

void inv_fit_table(const struct inv_fit_data *data,
                   const struct inv_fit_report *report, struct inv_buf *out);
void inv_fit_json(const struct inv_fit_data *data,
                  const struct inv_fit_report *report, struct inv_buf *out);
/* One result as a JSON object. */
void inv_fit_result_json(const struct inv_fit_data *data,
                         const struct inv_fit_result *result,
                         struct inv_buf *out);

#endif
