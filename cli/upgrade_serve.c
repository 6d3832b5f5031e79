/*
 * upgrade_serve.c: the steps of an upgrade that change what searches are
 * answered with: activation, backfill, cutover. See upgrade_internal.h. Each
 * can be undone by `invar rollback` until the old vectors are dropped.
 */
#include "cli/upgrade_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool state_is(const struct inv_upgrade_run *run, const char *state) {
    return strcmp(run->migration.state, state) == 0;
}

/* Swaps, and reads where that has led. */
static int swap(struct inv_upgrade_run *run, const char *mode, bool force) {
    struct inv_answer answer;
    bool cutover = strcmp(mode, "cutover") == 0;
    int exit = inv_migration_activate(
        run->cli, run->o->collection, run->o->model,
        cutover ? NULL : inv_text_of(run->chosen, "name"), mode, force, &answer,
        &run->interrupted);
    inv_answer_release(&answer);
    if (exit == INV_EXIT_OK)
        exit = inv_migration_get(run->cli, run->o->collection, &run->migration);
    return exit;
}

/* ---- activate ---- */

/* What the verdict permits now; NULL: nothing without force. */
static const char *mode_for(const struct inv_upgrade_run *run) {
    const char *verdict = inv_text_of(run->chosen, "verdict");
    if (run->o->mode != NULL)
        return run->o->mode;
    if (strcmp(verdict, "ACTIVATE") == 0 || run->o->force)
        return "cascade";
    if (strcmp(verdict, "CASCADE_ONLY") == 0)
        return run->backfill.coverage >= inv_upgrade_break_even(run) ? "cascade"
                                                                     : "shadow";
    return NULL;
}

static const char *explain(const char *mode) {
    return strcmp(mode, "shadow") == 0
               ? "the old model answers until enough documents have new "
                 "vectors"
           : strcmp(mode, "bridge") == 0
               ? "the new model's queries, adapted to the old vectors"
               : "adapted queries; hits with a new vector are ranked by it";
}

/* What a yes leads to: from shadow the backfill goes on to the cascade. */
static const char *promise(const struct inv_upgrade_run *run, const char *mode,
                           char plan[160]) {
    double even = inv_upgrade_break_even(run);
    if (strcmp(mode, "shadow") != 0 || run->o->mode != NULL ||
        !run->has_embeddings || even > 1)
        return explain(mode);
    snprintf(plan, 160,
             "the old model answers until %.0f %% of the documents have a "
             "vector\nof the new one, then the cascade",
             even * 100);
    return plan;
}

static void refuse(struct inv_upgrade_run *run) {
    inv_upgrade_say(run, INV_STEP_ACTIVATE, "not activated: the gate says %s",
                    inv_text_of(run->chosen, "verdict"));
    inv_upgrade_next(run,
                     "more pairs (--pairs N --refit), judged queries or titles "
                     "may change that;\n"
                     "--force activates against the gate, and the journal "
                     "keeps it;\n"
                     "a new collection with the new model's vectors needs no "
                     "adapter");
    run->finished = true;
}

static const char *mode_of_state(const char *state) {
    return strcmp(state, "SHADOW") == 0    ? "shadow"
           : strcmp(state, "BRIDGED") == 0 ? "bridge"
           : strcmp(state, "CASCADE") == 0 ? "cascade"
                                           : "";
}

int inv_step_activate(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    int exit = inv_migration_get(run->cli, o->collection, &run->migration);
    if (exit != INV_EXIT_OK)
        return exit;
    bool ours = strcmp(run->migration.model, o->model) == 0;
    const char *now = mode_of_state(run->migration.state);
    const char *mode = mode_for(run);
    char plan[160];
    if (ours && *now != '\0' && (o->mode == NULL || strcmp(mode, now) == 0)) {
        inv_upgrade_say(run, INV_STEP_ACTIVATE, "%s serves already (%s)",
                        o->model, run->migration.state);
        return INV_EXIT_OK;
    }
    if (mode == NULL) {
        refuse(run);
        return INV_EXIT_OK;
    }
    if (!inv_upgrade_confirm(run, "%s: %s.\nActivate it as %s?", o->model,
                             promise(run, mode, plan), mode)) {
        if (!run->interrupted)
            inv_upgrade_next(run,
                             "nothing was activated; to do so: the same "
                             "command with --yes, or\n"
                             "invar activate %s %s --adapter %s --mode %s",
                             o->collection, o->model,
                             inv_text_of(run->chosen, "name"), mode);
        return INV_EXIT_OK;
    }
    exit = swap(run, mode, o->force);
    if (exit != INV_EXIT_OK)
        return exit;
    inv_upgrade_say(run, INV_STEP_ACTIVATE, "%s: %s", run->migration.state,
                    explain(mode));
    inv_upgrade_say(run, INV_STEP_ACTIVATE, "to go back: invar rollback %s",
                    o->collection);
    return INV_EXIT_OK;
}

/* ---- backfill ---- */

static int fill(struct inv_upgrade_run *run, double fraction,
                enum inv_backfill_end *end) {
    int exit = inv_backfill_run(&run->backfill, fraction, end);
    run->interrupted = *end == INV_BACKFILL_INTERRUPTED;
    if (exit == INV_EXIT_OK)
        exit = inv_migration_get(run->cli, run->o->collection, &run->migration);
    return exit;
}

/* In SHADOW the old model answers until the break-even is reached: so far, then
 * the cascade, then the rest. */
static int leave_shadow(struct inv_upgrade_run *run,
                        enum inv_backfill_end *end) {
    double even = inv_upgrade_break_even(run);
    if (run->o->mode != NULL || !state_is(run, "SHADOW") || even > 1)
        return INV_EXIT_OK;
    int exit = fill(run, even, end);
    if (exit != INV_EXIT_OK || run->interrupted ||
        run->migration.coverage < even)
        return exit;
    exit = swap(run, "cascade", run->o->force);
    if (exit == INV_EXIT_OK)
        inv_upgrade_say(run, INV_STEP_ACTIVATE,
                        "%s at a coverage of %.0f %%, the break-even is %.0f "
                        "%%",
                        run->migration.state, run->migration.coverage * 100,
                        even * 100);
    return exit;
}

int inv_step_backfill(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    enum inv_backfill_end end = INV_BACKFILL_REACHED;
    struct inv_buf told = INV_BUF_INIT;
    if (run->migration.coverage >= 1) {
        int exit = leave_shadow(run, &end);
        inv_upgrade_say(run, INV_STEP_BACKFILL,
                        "every document has a vector of %s", o->model);
        return exit;
    }
    if (!run->has_embeddings) {
        inv_upgrade_next(run,
                         "%.1f %% of the documents have a vector of %s; the "
                         "rest: invar backfill\n%s --new FILE --ids FILE, then "
                         "this command again",
                         run->migration.coverage * 100, o->model,
                         o->collection);
        run->finished = true;
        return INV_EXIT_OK;
    }
    int exit = leave_shadow(run, &end);
    if (exit == INV_EXIT_OK && !run->interrupted)
        exit = fill(run, 1, &end);
    if (exit != INV_EXIT_OK)
        return exit;
    inv_backfill_tell(&run->backfill, &told);
    inv_upgrade_say(run, INV_STEP_BACKFILL,
                    "%.1f %% of the documents have a vector of %s; %s",
                    run->migration.coverage * 100, o->model,
                    told.failed ? "" : told.data);
    inv_buf_release(&told);
    if (end == INV_BACKFILL_MISSING) {
        inv_upgrade_next(run,
                         "the vectors given reach no further; when there are "
                         "more: invar backfill %s --new FILE --ids FILE",
                         o->collection);
        run->finished = true;
    }
    return INV_EXIT_OK;
}

/* ---- cutover ---- */

int inv_step_cutover(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    if (o->mode != NULL && strcmp(o->mode, "cascade") != 0 && !o->yes) {
        run->finished = true; /* who asks for less than that wants to look */
        return INV_EXIT_OK;
    }
    if (!inv_upgrade_confirm(run,
                             "Build the index of %s and make it the "
                             "collection's (the old vectors\nstay)?",
                             o->model)) {
        if (!run->interrupted)
            inv_upgrade_next(run,
                             "to cut over later: invar activate %s %s --mode "
                             "cutover",
                             o->collection, o->model);
        return INV_EXIT_OK;
    }
    char old[sizeof run->migration.gallery_model];
    snprintf(old, sizeof old, "%s", run->migration.gallery_model);
    int exit = swap(run, "cutover", o->force);
    if (exit != INV_EXIT_OK || run->interrupted)
        return exit;
    inv_upgrade_say(run, INV_STEP_CUTOVER, "%s: the index holds %s",
                    run->migration.state, run->migration.gallery_model);
    inv_upgrade_next(run,
                     "to go back: invar rollback %s\n"
                     "to free the old vectors, with no way back: "
                     "invar models %s drop %s",
                     o->collection, o->collection, old);
    run->finished = true;
    return INV_EXIT_OK;
}
