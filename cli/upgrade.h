/*
 * upgrade.h: `invar upgrade`: one model replaced by another, step by step, each
 * step skipped when it is done already; and what its neighbours `models` and
 * `adapters` share with it: the bodies of their requests and the table of
 * reports. Main thread.
 */
#ifndef INV_CLI_UPGRADE_H
#define INV_CLI_UPGRADE_H

#include "base/limits.h"
#include "cli/answers.h"
#include "cli/backfill.h"
#include "cli/migration.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- bodies ---- */

/* NULL and 0: not given. */
struct inv_model_flags {
    uint32_t dim;
    const char *prompt;
    const char *encoder, *index; /* JSON objects */
};
/* Of PUT models/{m}. INV_INVALID when encoder or index is no object. */
enum inv_status inv_model_body(const struct inv_model_flags *flags,
                               struct inv_buf *out,
                               struct inv_err *err) INV_MUST_USE;

struct inv_fit_wish {
    const char *from, *to, *name, *label_field; /* NULL: not given */
    double kappa, margin;                       /* negative: not given */
    uint32_t steps, seed;                       /* 0: not given */
};
#define INV_FIT_WISH_INIT                                                      \
    { .kappa = -1, .margin = -1 }
/* Of POST adapters: one method as `invar fit` names it ("path:0.1"). */
enum inv_status inv_fit_body(const char *method,
                             const struct inv_fit_wish *wish,
                             struct inv_buf *out,
                             struct inv_err *err) INV_MUST_USE;
/* "minilm-6-to-minilm-3-path-0.1": what a name may hold, 64 bytes at most (a
 * longer one ends in a hash). The same every time, so that a second run finds
 * what the first has fitted. */
void inv_adapter_name(const char *from, const char *to, const char *method,
                      char out[INV_NAME_MAX + 1]);

bool inv_sample_known(const char *how); /* "leverage", "uniform" */
/* Where nothing was said: leverage, which is for single vectors, else uniform.
 */
const char *inv_sample_usual(const struct inv_target *target);

/* ---- reports ---- */

/* Adapters (GET adapters/{a}) side by side; the one of the name `chosen` gets a
 * star. What the gate says of it follows in words, and of those with another
 * verdict; of each where none is chosen. */
void inv_upgrade_table(const inv_json *const *adapters, size_t count,
                       const char *chosen, struct inv_buf *out);
/* GET adapters: a line each. */
void inv_upgrade_list(const inv_json *answer, struct inv_buf *out);
/* GET compatibility. */
void inv_upgrade_matrix(const inv_json *answer, struct inv_buf *out);

/* Which to use: those the gate permits most come first (ACTIVATE, then
 * CASCADE_ONLY, then the rest), then the best held out nDCG@10; within
 * INV_UPGRADE_NOISE of it the simplest, in the order procrustes, growing kappa,
 * ridge, what descends. count 0: NULL. */
#define INV_UPGRADE_NOISE .005
const inv_json *inv_upgrade_choose(const inv_json *const *adapters,
                                   size_t count);

/* ---- queries ---- */

struct inv_upgrade_query_files {
    const char *new_queries, *new_offsets; /* .npy, new model */
    const char *old_queries, *old_offsets; /* .npy, old model */
    const char *ids;                       /* row i is line i */
    const char *qrels;
    const char *titles; /* .npy, new model: row i belongs to document i */
    const char *folder; /* texts of a BEIR folder instead */
};

struct inv_upgrade_queries {
    uint64_t queries, judged, titles; /* that there are */
    uint64_t posted;
};

/* Posts queries that have an old vector or relevant documents, and titles as
 * relevance pairs of fits only ("title:" and the document's id). Ids of a
 * folder's documents and of the titles' rows are those of `documents`. With
 * count_only nothing is sent. Exit code; errors are said. */
int inv_upgrade_queries_post(struct inv_cli *cli, const char *collection,
                             const char *model, const char *old_model,
                             const struct inv_upgrade_query_files *files,
                             const struct inv_embeddings *documents,
                             bool count_only,
                             struct inv_upgrade_queries *result);

/* ---- the command ---- */

enum inv_upgrade_step {
    INV_STEP_REGISTER,
    INV_STEP_SAMPLE,
    INV_STEP_QUERIES,
    INV_STEP_FIT,
    INV_STEP_ACTIVATE,
    INV_STEP_BACKFILL,
    INV_STEP_CUTOVER,
    INV_STEP_COUNT
};
extern const char *const inv_upgrade_step_names[INV_STEP_COUNT];

struct inv_upgrade_options {
    const char *collection, *model;
    struct inv_model_flags flags;
    struct inv_embedding_files files;
    struct inv_upgrade_query_files queries;
    uint32_t pairs;      /* documents to embed before the fit; 0: all */
    const char *sample;  /* NULL: the usual */
    const char *methods; /* NULL: the usual ones */
    struct inv_fit_wish wish;
    bool refit;
    const char *adapter; /* rather than the one that would be chosen */
    const char *mode;    /* NULL: what the verdict permits */
    bool yes, force;
    enum inv_upgrade_step last; /* the last step to take */
};

/* Exit code; everything has been said. */
int inv_upgrade(struct inv_cli *cli, const struct inv_upgrade_options *options);

#endif
