/*
 * upgrade_internal.h: what the steps of `invar upgrade` share. Main thread.
 */
#ifndef INV_CLI_UPGRADE_INTERNAL_H
#define INV_CLI_UPGRADE_INTERNAL_H

#include "cli/upgrade.h"

#define INV_UPGRADE_METHODS_MAX 16

struct inv_upgrade_run {
    struct inv_cli *cli;
    const struct inv_upgrade_options *o;
    struct inv_target target;
    struct inv_migration migration; /* as last read */
    struct inv_embeddings embeddings;
    bool has_embeddings;
    struct inv_backfill backfill; /* its coverage is that of the model, even
                                     without embeddings */
    struct inv_upgrade_queries queries; /* what the files hold */
    /* The adapters from the new model to the old one, whole. */
    struct inv_answer adapters[INV_UPGRADE_METHODS_MAX];
    size_t adapter_count;
    const inv_json *chosen; /* one of them */
    bool finished;          /* nothing is left of this step or any other */
    bool interrupted;
    bool declined;       /* a question was answered with no, or not asked */
    struct inv_buf log;  /* JSON: [{"step","text"},...] without brackets */
    struct inv_buf next; /* what to do next, in words */
};

/* A line for people (on standard error with --json) that is also part of the
 * JSON object at the end. */
void inv_upgrade_say(struct inv_upgrade_run *run, enum inv_upgrade_step step,
                     const char *fmt, ...) INV_PRINTF(3, 4);
/* What the user should do next; said at the end. */
void inv_upgrade_next(struct inv_upgrade_run *run, const char *fmt, ...)
    INV_PRINTF(2, 3);

/* Yes or no, from the terminal; --yes is yes. Without a terminal: no. Ctrl-C
 * sets run->interrupted. */
bool inv_upgrade_confirm(struct inv_upgrade_run *run, const char *fmt, ...)
    INV_PRINTF(2, 3);

/* Reads what is fitted of the methods wanted, fits what is missing (a job
 * each), chooses, and shows the table. */
int inv_step_fit(struct inv_upgrade_run *run);
int inv_step_activate(struct inv_upgrade_run *run);
int inv_step_backfill(struct inv_upgrade_run *run);
int inv_step_cutover(struct inv_upgrade_run *run);

/* The break-even coverage of the chosen adapter; above 1: none. */
double inv_upgrade_break_even(const struct inv_upgrade_run *run);

#endif
