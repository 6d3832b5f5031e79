/*
 * swap.c: see swap.h. The checks and the changes run on the writer thread,
 * inside the transaction: nothing can change between them.
 */
#include "server/upgrade/swap.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/upgrade/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what a step is made of ---- */

struct step {
    struct inv_collection *collection;
    const struct inv_activation *activation;
    const char *model; /* whose vectors go */
    int64_t space;     /* that a cutover goes to */
    bool force;
    char note[400]; /* for the journal, in words */
};

static struct inv_upgrade_row row_of(const struct inv_models *now) {
    return (struct inv_upgrade_row){
        .state = now->state == INV_UPGRADE_NONE
                     ? ""
                     : inv_upgrade_state_name(now->state),
        .target = now->target,
        .adapter = now->adapter,
        .undo = now->undo};
}

/* Writes the journal and the new state. after.undo 0: cannot be rolled back,
 * -1: this step can. */
static enum inv_status record(struct step *step, struct inv_db *db,
                              const struct inv_models *now, const char *action,
                              struct inv_upgrade_row after,
                              const char *settings_before,
                              struct inv_err *err) {
    struct inv_collection *c = step->collection;
    struct inv_journal_row journal = {.at_ms = inv_wall_ms(),
                                      .action = action,
                                      .after = after,
                                      .before = row_of(now),
                                      .settings_before = settings_before,
                                      .forced = step->force,
                                      .note = step->note};
    enum inv_status status = inv_db_add_journal(db, c->id, &journal, err);
    if (after.undo == -1)
        after.undo = journal.id;
    if (status == INV_OK)
        status = inv_db_set_upgrade(db, c->id, &after, err);
    if (status != INV_OK)
        return inv_gallery_undo(c->gallery, status);
    inv_log(INV_LOG_INFO, "upgrade", "%s: %s, %s -> %s%s%s%s", c->name, action,
            inv_upgrade_state_name(now->state),
            after.state[0] == '\0' ? "NONE" : after.state,
            step->force ? ", forced" : "", step->note[0] == '\0' ? "" : ": ",
            step->note);
    return INV_OK;
}

static enum inv_status
run(struct step *step,
    enum inv_status (*apply)(void *ctx, struct inv_db *db,
                             const struct inv_models *, struct inv_err *err),
    struct inv_err *err) {
    struct inv_models_change change = {.collection = step->collection,
                                       .apply = apply,
                                       .ctx = step,
                                       .alone = true};
    return inv_models_run(&change, err);
}

/* ---- activate ---- */

/* The newest adapter from the target to the gallery that was not refused;
 * where there are only refused ones, the newest of them. */
static const struct inv_stored_adapter *newest(const struct inv_models *now,
                                               int64_t target) {
    const struct inv_stored_adapter *found = NULL;
    for (size_t i = 0; i < now->adapter_count; i++) {
        const struct inv_stored_adapter *adapter = now->adapters[i];
        bool refused = strcmp(adapter->verdict, "REFUSE") == 0;
        if (adapter->from == target && adapter->to == now->spaces[0].space &&
            (found == NULL || !refused ||
             strcmp(found->verdict, "REFUSE") == 0))
            found = adapter;
    }
    return found;
}

static enum inv_status choose_adapter(const struct inv_activation *a,
                                      const struct inv_models *now,
                                      const struct inv_space *target,
                                      const struct inv_stored_adapter **out,
                                      struct inv_err *err) {
    const char *gallery = now->spaces[0].name;
    if (a->adapter == NULL) {
        *out = newest(now, target->space);
        if (*out != NULL || a->state == INV_UPGRADE_SHADOW)
            return INV_OK;
        return inv_fail(err, INV_CONFLICT,
                        "there is no adapter from %s to %s: fit one first "
                        "(POST .../adapters)",
                        target->name, gallery);
    }
    *out = inv_models_adapter(now, a->adapter);
    if (*out == NULL)
        return inv_fail(err, INV_NOT_FOUND, "there is no adapter \"%.64s\"",
                        a->adapter);
    if ((*out)->from == target->space && (*out)->to == now->spaces[0].space)
        return INV_OK;
    const struct inv_space *from = inv_models_space(now, (*out)->from);
    const struct inv_space *to = inv_models_space(now, (*out)->to);
    return inv_fail(err, INV_SPACE_MISMATCH,
                    "the adapter \"%s\" goes from %s to %s; needed is one from "
                    "%s to %s",
                    (*out)->name, from == NULL ? "?" : from->name,
                    to == NULL ? "?" : to->name, target->name, gallery);
}

/* Does the gate permit the state? The note says on what grounds. */
static enum inv_status pass_gate(struct step *step,
                                 const struct inv_stored_adapter *adapter,
                                 int64_t target, struct inv_err *err) {
    enum inv_upgrade_state state = step->activation->state;
    if (state == INV_UPGRADE_SHADOW || adapter == NULL)
        return INV_OK;
    struct inv_view *view = inv_gallery_view(step->collection->gallery);
    struct inv_model_counts counts = inv_model_count(view, target);
    inv_ref_put(view);
    const char *verdict = adapter->verdict;
    int len = snprintf(step->note, sizeof step->note, "%s: verdict %s",
                       adapter->name, verdict);
    if (adapter->break_even <= 1)
        len += snprintf(step->note + len, sizeof step->note - (size_t)len,
                        ", break-even at a coverage of %.1f %%",
                        100 * adapter->break_even);
    snprintf(step->note + len, sizeof step->note - (size_t)len,
             ", covered %.1f %% (%zu of %zu documents)", 100 * counts.coverage,
             counts.covered, counts.documents);
    bool cascade = state == INV_UPGRADE_CASCADE;
    bool enough =
        adapter->break_even <= 1 && counts.coverage >= adapter->break_even;
    if (strcmp(verdict, "ACTIVATE") == 0 ||
        (cascade && strcmp(verdict, "CASCADE_ONLY") == 0 && enough)) {
        step->force = false; /* it was not needed */
        return INV_OK;
    }
    if (step->force)
        return INV_OK;
    if (strcmp(verdict, "CASCADE_ONLY") == 0)
        return inv_fail(err, INV_CONFLICT,
                        "%s. %s; mode shadow keeps the old model answering "
                        "while vectors are asked for; \"force\":true goes on "
                        "regardless",
                        step->note,
                        cascade ? "Fewer than the break-even are covered"
                                : "It permits the cascade, not the bridge "
                                  "alone");
    return inv_fail(err, INV_CONFLICT,
                    "%s. See its report; \"force\":true goes on regardless",
                    step->note);
}

static enum inv_status apply_activation(void *ctx, struct inv_db *db,
                                        const struct inv_models *now,
                                        struct inv_err *err) {
    struct step *step = ctx;
    const struct inv_activation *a = step->activation;
    const struct inv_space *target = NULL;
    const struct inv_stored_adapter *adapter = NULL;
    step->force = a->force;
    enum inv_status status = inv_models_find(now, a->model, &target, err);
    if (status == INV_OK && target == &now->spaces[0])
        status = inv_fail(err, INV_CONFLICT,
                          "%s is the gallery's model already", target->name);
    if (status == INV_OK)
        status = choose_adapter(a, now, target, &adapter, err);
    if (status == INV_OK)
        status = pass_gate(step, adapter, target->space, err);
    if (status != INV_OK)
        return status;
    struct inv_upgrade_row after = {.state = inv_upgrade_state_name(a->state),
                                    .target = target->space,
                                    .adapter =
                                        adapter == NULL ? 0 : adapter->id,
                                    .undo = -1};
    if (a->state == now->state && after.target == now->target &&
        after.adapter == now->adapter)
        return INV_OK;
    return record(step, db, now, "activate", after, NULL, err);
}

enum inv_status inv_upgrade_activate(struct inv_collection *collection,
                                     const struct inv_activation *activation,
                                     struct inv_err *err) {
    struct step step = {.collection = collection, .activation = activation};
    return run(&step, apply_activation, err);
}

/* ---- the gallery's space ---- */

/* Makes `next` the gallery's settings and its space the gallery's; the model
 * that was the gallery's keeps its settings in its own row. *before: them as
 * JSON, for the journal. */
static enum inv_status turn(struct inv_collection *c, struct inv_db *db,
                            const struct inv_models *now,
                            const struct inv_space *next,
                            struct inv_buf *before, struct inv_err *err) {
    struct inv_buf after = INV_BUF_INIT;
    inv_settings_write(&now->settings->settings, before);
    inv_settings_write(&next->settings->settings, &after);
    enum inv_status status = INV_OK;
    if (before->failed || after.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (status == INV_OK)
        status = inv_gallery_set_space(c->gallery, next->space, err);
    if (status == INV_OK) {
        status = inv_db_set_settings(db, c->id, after.data, err);
        if (status == INV_OK)
            status =
                inv_db_set_space(db, now->spaces[0].space, before->data, err);
        if (status != INV_OK)
            status = inv_gallery_undo(c->gallery, status);
    }
    inv_buf_release(&after);
    return status;
}

enum inv_status inv_upgrade_check_cutover(const struct inv_view *view,
                                          int64_t space, bool force,
                                          struct inv_err *err) {
    const struct inv_models *models = inv_view_models(view);
    const struct inv_space *wanted = inv_models_space(models, space);
    const struct inv_space *target = inv_models_space(models, models->target);
    if (wanted == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "the model was removed from the collection meanwhile");
    if (wanted == &models->spaces[0])
        return inv_fail(err, INV_CONFLICT, "%s is the gallery's model already",
                        wanted->name);
    if (wanted != target)
        return inv_fail(err, INV_CONFLICT,
                        "the upgrade's model is %s, not %s (state %s): "
                        "activate it in mode shadow, bridge or cascade first",
                        target == NULL ? "none" : target->name, wanted->name,
                        inv_upgrade_state_name(models->state));
    struct inv_coverage coverage = inv_view_coverage(view, space);
    if (force || coverage.both == coverage.gallery)
        return INV_OK;
    return inv_fail(err, INV_CONFLICT,
                    "%zu of %zu documents have a vector of %s: a cutover needs "
                    "all of them (GET .../backfill lists the others), or "
                    "\"force\":true",
                    coverage.both, coverage.gallery, wanted->name);
}

static enum inv_status apply_cutover(void *ctx, struct inv_db *db,
                                     const struct inv_models *now,
                                     struct inv_err *err) {
    struct step *step = ctx;
    struct inv_collection *c = step->collection;
    struct inv_view *view = inv_gallery_view(c->gallery);
    struct inv_coverage coverage = inv_view_coverage(view, step->space);
    enum inv_status status =
        inv_upgrade_check_cutover(view, step->space, step->force, err);
    inv_ref_put(view);
    if (status != INV_OK)
        return status;
    const struct inv_space *target = inv_models_space(now, step->space);
    snprintf(step->note, sizeof step->note,
             "%zu of %zu documents have a vector of %s", coverage.both,
             coverage.gallery, target->name);
    step->force = step->force && coverage.both < coverage.gallery;
    struct inv_buf before = INV_BUF_INIT;
    struct inv_upgrade_row after = {
        .state = inv_upgrade_state_name(INV_UPGRADE_CUTOVER),
        .target = now->target,
        .adapter = now->adapter,
        .undo = -1};
    status = turn(c, db, now, target, &before, err);
    if (status == INV_OK)
        status = record(step, db, now, "cutover", after, before.data, err);
    if (status == INV_OK)
        status = inv_models_refresh(c, db, target->settings, err);
    inv_buf_release(&before);
    return status;
}

enum inv_status inv_upgrade_cutover(struct inv_collection *collection,
                                    int64_t space, bool force,
                                    struct inv_err *err) {
    struct step step = {
        .collection = collection, .space = space, .force = force};
    return run(&step, apply_cutover, err);
}

/* ---- rollback ---- */

struct undo {
    bool found, cutover;
    char state[16];
    int64_t target, adapter, undo;
    uint64_t gallery; /* hash of the gallery's space before a cutover */
    enum inv_status status;
};

static enum inv_status read_undo(void *ctx, const struct inv_journal_row *row,
                                 struct inv_err *err) {
    struct undo *undo = ctx;
    undo->found = true;
    snprintf(undo->state, sizeof undo->state, "%s", row->before.state);
    undo->target = row->before.target;
    undo->adapter = row->before.adapter;
    undo->undo = row->before.undo;
    undo->cutover = row->settings_before != NULL;
    if (!undo->cutover)
        return INV_OK;
    inv_json *json = NULL;
    struct inv_shared_settings *settings = NULL;
    enum inv_status status = inv_json_parse_plain(
        row->settings_before, strlen(row->settings_before), &json, err);
    if (status == INV_OK)
        status = inv_settings_parse(json, &settings, err);
    if (status == INV_OK)
        undo->gallery = inv_settings_space(&settings->settings);
    inv_json_free(json);
    inv_ref_put(settings);
    return status;
}

static enum inv_status find_undo(struct inv_collection *c, struct inv_db *db,
                                 const struct inv_models *now,
                                 struct undo *undo, struct inv_err *err) {
    *undo = (struct undo){.found = false};
    enum inv_status status = INV_OK;
    if (now->undo != 0)
        status = inv_db_journal(db, c->id, now->undo, 1, read_undo, undo, err);
    return status;
}

struct way_back {
    int64_t space, adapter, undo;
    bool needed;
};

static enum inv_status read_way_back(void *ctx,
                                     const struct inv_journal_row *row,
                                     struct inv_err *err) {
    struct way_back *back = ctx;
    (void)err;
    back->needed = (back->space != 0 && row->before.target == back->space) ||
                   (back->adapter != 0 && row->before.adapter == back->adapter);
    back->undo = row->before.undo;
    return INV_OK;
}

enum inv_status inv_upgrade_comes_back(const struct inv_collection *collection,
                                       struct inv_db *db,
                                       const struct inv_models *now,
                                       int64_t space, int64_t adapter,
                                       bool *needed, struct inv_err *err) {
    struct way_back back = {
        .space = space, .adapter = adapter, .undo = now->undo};
    enum inv_status status = INV_OK;
    while (status == INV_OK && back.undo != 0 && !back.needed) {
        int64_t step = back.undo;
        back.undo = 0; /* a step that is not there ends the way */
        status = inv_db_journal(db, collection->id, step, 1, read_way_back,
                                &back, err);
    }
    *needed = back.needed;
    return status;
}

static const struct inv_space *by_hash(const struct inv_models *models,
                                       uint64_t hash) {
    for (size_t i = 0; i < models->space_count; i++)
        if (models->spaces[i].hash == hash)
            return &models->spaces[i];
    return NULL;
}

static size_t vectors_in(struct inv_collection *c, int64_t space) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    size_t vectors = inv_view_vectors(view, space);
    inv_ref_put(view);
    return vectors;
}

static enum inv_status apply_rollback(void *ctx, struct inv_db *db,
                                      const struct inv_models *now,
                                      struct inv_err *err) {
    struct step *step = ctx;
    struct inv_collection *c = step->collection;
    struct undo undo;
    struct inv_buf before = INV_BUF_INIT;
    const struct inv_space *old = NULL;
    enum inv_status status = find_undo(c, db, now, &undo, err);
    if (status == INV_OK && !undo.found)
        status = inv_fail(err, INV_CONFLICT,
                          "there is no step of an upgrade to roll back (state "
                          "%s)",
                          inv_upgrade_state_name(now->state));
    if (status == INV_OK && undo.cutover) {
        old = by_hash(now, undo.gallery);
        if (old == NULL || vectors_in(c, old->space) == 0)
            status = inv_fail(err, INV_CONFLICT,
                              "the old model's vectors are gone: the cutover "
                              "cannot be rolled back");
    }
    if (status == INV_OK && old != NULL)
        status = turn(c, db, now, old, &before, err);
    if (status == INV_OK)
        status = record(step, db, now, "rollback",
                        (struct inv_upgrade_row){.state = undo.state,
                                                 .target = undo.target,
                                                 .adapter = undo.adapter,
                                                 .undo = undo.undo},
                        NULL, err);
    if (status == INV_OK && old != NULL)
        status = inv_models_refresh(c, db, old->settings, err);
    inv_buf_release(&before);
    return status;
}

enum inv_status inv_upgrade_rollback(struct inv_collection *collection,
                                     struct inv_err *err) {
    struct step step = {.collection = collection};
    return run(&step, apply_rollback, err);
}

/* ---- dropping vectors ---- */

static enum inv_status apply_drop(void *ctx, struct inv_db *db,
                                  const struct inv_models *now,
                                  struct inv_err *err) {
    struct step *step = ctx;
    struct inv_collection *c = step->collection;
    const struct inv_space *space = NULL;
    struct undo undo;
    enum inv_status status = inv_models_find(now, step->model, &space, err);
    if (status == INV_OK)
        status = find_undo(c, db, now, &undo, err);
    if (status != INV_OK)
        return status;
    bool under_way = now->state != INV_UPGRADE_NONE;
    if (space == &now->spaces[0])
        return inv_fail(err, INV_CONFLICT,
                        "%s is the gallery's model: its vectors are what "
                        "searches find",
                        space->name);
    if (under_way && space->space == now->target)
        return inv_fail(err, INV_CONFLICT,
                        "%s is the model of the upgrade (state %s): roll it "
                        "back first",
                        space->name, inv_upgrade_state_name(now->state));
    bool done = now->state == INV_UPGRADE_CUTOVER && undo.cutover &&
                undo.gallery == space->hash;
    snprintf(step->note, sizeof step->note, "%zu vectors of %s dropped",
             vectors_in(c, space->space), space->name);
    status = inv_gallery_drop_space(c->gallery, db, space->space, err);
    if (status != INV_OK)
        return status;
    struct inv_upgrade_row after = row_of(now);
    if (done) {
        after.state = inv_upgrade_state_name(INV_UPGRADE_DONE);
        after.undo = 0;
    }
    return record(step, db, now, done ? "done" : "drop", after, NULL, err);
}

enum inv_status inv_upgrade_drop(struct inv_collection *collection,
                                 const char *model, struct inv_err *err) {
    struct step step = {.collection = collection, .model = model};
    return run(&step, apply_drop, err);
}

/* ---- showing ---- */

#define JOURNAL_SHOWN 50

struct showing {
    const struct inv_models *models;
    struct inv_buf *out;
    size_t count;
};

static const char *space_name(const struct inv_models *models, int64_t space) {
    const struct inv_space *known = inv_models_space(models, space);
    return known == NULL ? "" : known->name;
}

static const char *adapter_name(const struct inv_models *models, int64_t id) {
    const struct inv_stored_adapter *known = inv_models_adapter_of(models, id);
    return known == NULL ? "" : known->name;
}

static void put_string(struct inv_buf *out, const char *text) {
    if (text[0] == '\0')
        inv_buf_puts(out, "null");
    else
        inv_json_put_string(out, text, strlen(text));
}

static void put_place(const struct showing *showing, const char *key,
                      const struct inv_upgrade_row *row) {
    inv_buf_printf(showing->out, ",\"%s\":{\"state\":\"%s\",\"model\":", key,
                   row->state[0] == '\0' ? "NONE" : row->state);
    put_string(showing->out, space_name(showing->models, row->target));
    inv_buf_puts(showing->out, ",\"adapter\":");
    put_string(showing->out, adapter_name(showing->models, row->adapter));
    inv_buf_putc(showing->out, '}');
}

static enum inv_status show_step(void *ctx, const struct inv_journal_row *row,
                                 struct inv_err *err) {
    struct showing *showing = ctx;
    (void)err;
    inv_buf_printf(
        showing->out,
        "%s{\"id\":%" PRId64 ",\"at_ms\":%" PRId64 ",\"action\":\"%s\"",
        showing->count++ == 0 ? "" : ",", row->id, row->at_ms, row->action);
    put_place(showing, "from", &row->before);
    put_place(showing, "to", &row->after);
    inv_buf_printf(showing->out,
                   ",\"forced\":%s,\"note\":", row->forced ? "true" : "false");
    inv_json_put_string(showing->out, row->note, strlen(row->note));
    inv_buf_putc(showing->out, '}');
    return INV_OK;
}

/* After a cutover the target is the gallery's, and all of it is covered. */
static void put_coverage(const struct inv_models *models,
                         const struct inv_view *view, struct inv_buf *out) {
    struct inv_model_counts counts = inv_model_count(view, models->target);
    inv_buf_printf(out,
                   ",\"documents\":%zu,\"covered\":%zu,\"coverage\":%.4f,"
                   "\"alone\":%zu",
                   inv_view_live(view), counts.covered, counts.coverage,
                   counts.alone);
}

enum inv_status inv_upgrade_show(struct inv_collection *collection,
                                 struct inv_db *db, struct inv_buf *out,
                                 struct inv_err *err) {
    struct inv_view *view = NULL;
    enum inv_status status = inv_collection_moment(collection, db, &view, err);
    if (status != INV_OK) {
        inv_ref_put(view);
        return status;
    }
    const struct inv_models *m = inv_view_models(view);
    const struct inv_stored_adapter *adapter =
        inv_models_adapter_of(m, m->adapter);
    struct showing showing = {.models = m, .out = out};
    inv_buf_printf(
        out, "{\"state\":\"%s\",\"model\":", inv_upgrade_state_name(m->state));
    put_string(out, space_name(m, m->target));
    inv_buf_puts(out, ",\"adapter\":");
    put_string(out, adapter == NULL ? "" : adapter->name);
    inv_buf_puts(out, ",\"query_model\":");
    put_string(out, space_name(m, m->asks));
    inv_buf_puts(out, ",\"gallery_model\":");
    put_string(out, m->spaces[0].name);
    put_coverage(m, view, out);
    if (adapter != NULL && adapter->break_even <= 1)
        inv_buf_printf(out, ",\"break_even\":%.4f", adapter->break_even);
    else
        inv_buf_puts(out, ",\"break_even\":null");
    inv_buf_printf(out, ",\"degraded\":%s,\"can_roll_back\":%s,\"journal\":[",
                   adapter != NULL && adapter->degraded ? "true" : "false",
                   m->undo != 0 ? "true" : "false");
    status = inv_db_journal(db, collection->id, 0, JOURNAL_SHOWN, show_step,
                            &showing, err);
    inv_buf_puts(out, "]}");
    inv_ref_put(view);
    return status;
}
