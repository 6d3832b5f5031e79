/*
 * adapters.c: storing and removing adapters, see adapters.h. What a report
 * says is read by adapters_show.c.
 */
#include "server/upgrade/adapters.h"

#include "base/clock.h"
#include "server/json/adapter_file.h"
#include "server/upgrade/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

/* Other characters become '-', and what is too long loses its end. */
static void clean_name(const char *proposal, char *out, size_t room) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = 0;
    for (; proposal[len] != '\0' && len + 1 < room; len++)
        out[len] = strchr(allowed, proposal[len]) != NULL ? proposal[len] : '-';
    out[len] = '\0';
}

/* The adapter's name: the one asked for if it is free, else the first free one
 * of NAME, NAME-2, NAME-3 ... */
static enum inv_status pick_name(const struct inv_models *models,
                                 const struct inv_new_adapter *adapter,
                                 char name[INV_NAME_MAX + 1],
                                 struct inv_err *err) {
    if (adapter->name != NULL) {
        snprintf(name, INV_NAME_MAX + 1, "%s", adapter->name);
        if (inv_models_adapter(models, name) == NULL)
            return INV_OK;
        return inv_fail(err, INV_CONFLICT,
                        "there is an adapter %s already: another name, or "
                        "DELETE it first",
                        name);
    }
    char base[INV_NAME_MAX - 8];
    clean_name(adapter->proposal, base, sizeof base);
    snprintf(name, INV_NAME_MAX + 1, "%s", base);
    for (unsigned i = 2; inv_models_adapter(models, name) != NULL; i++)
        snprintf(name, INV_NAME_MAX + 1, "%s-%u", base, i);
    return INV_OK;
}

/* ---- storing ---- */

struct addition {
    const struct inv_new_adapter *adapter;
    struct inv_collection *collection;
    struct inv_buf backward, forward;
    char *name; /* INV_NAME_MAX + 1 */
};

static enum inv_status apply_add(void *ctx, struct inv_db *db,
                                 const struct inv_models *now,
                                 struct inv_err *err) {
    struct addition *add = ctx;
    const struct inv_new_adapter *a = add->adapter;
    if (inv_models_space(now, a->from) == NULL ||
        inv_models_space(now, a->to) == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "a model of the adapter has been removed meanwhile");
    enum inv_status status = pick_name(now, a, add->name, err);
    if (status != INV_OK)
        return status;
    double scores[2 * INV_SCORE_KNOTS];
    size_t numbers =
        a->scores == NULL ? 0 : inv_score_map_write(a->scores, scores);
    struct inv_adapter_row row = {
        .name = add->name,
        .from = a->from,
        .to = a->to,
        .kind = a->kind,
        .verdict = a->verdict,
        .break_even = a->break_even,
        .degraded = a->degraded,
        .request = a->request,
        .report = a->report,
        .backward = add->backward.data,
        .backward_len = add->backward.len,
        .forward = add->forward.len > 0 ? add->forward.data : NULL,
        .forward_len = add->forward.len,
        .backward_scores = numbers > 0 ? scores : NULL,
        .backward_scores_len = numbers * sizeof *scores,
        .created_ms = inv_wall_ms()};
    return inv_db_add_adapter(db, add->collection->id, &row, err);
}

enum inv_status inv_adapters_add(struct inv_collection *collection,
                                 const struct inv_new_adapter *adapter,
                                 char name[INV_NAME_MAX + 1],
                                 struct inv_err *err) {
    struct addition add = {
        .adapter = adapter, .collection = collection, .name = name};
    enum inv_status status = inv_adapter_write(
        adapter->backward, INV_ADAPTER_SAFETENSORS, NULL, &add.backward, err);
    if (status == INV_OK && adapter->forward != NULL)
        status = inv_adapter_write(adapter->forward, INV_ADAPTER_SAFETENSORS,
                                   NULL, &add.forward, err);
    if (status == INV_OK) {
        struct inv_models_change change = {
            .collection = collection, .apply = apply_add, .ctx = &add};
        status = inv_models_run(&change, err);
    }
    inv_buf_release(&add.backward);
    inv_buf_release(&add.forward);
    return status;
}

/* ---- removing ---- */

struct removal {
    struct inv_collection *collection;
    const char *name;
};

static enum inv_status apply_delete(void *ctx, struct inv_db *db,
                                    const struct inv_models *now,
                                    struct inv_err *err) {
    struct removal *removal = ctx;
    const struct inv_stored_adapter *adapter =
        inv_models_adapter(now, removal->name);
    bool needed = false;
    if (adapter == NULL)
        return inv_fail(err, INV_NOT_FOUND, "there is no adapter \"%.64s\"",
                        removal->name);
    if (inv_adapters_in_use(now, adapter))
        return inv_fail(err, INV_CONFLICT,
                        "adapter %s is in use (state %s): activate another "
                        "one, or roll back, first",
                        adapter->name, inv_upgrade_state_name(now->state));
    enum inv_status status = inv_upgrade_comes_back(
        removal->collection, db, now, 0, adapter->id, &needed, err);
    if (status == INV_OK && needed)
        return inv_fail(err, INV_CONFLICT,
                        "a rollback would come back to adapter %s",
                        adapter->name);
    if (status == INV_OK)
        status = inv_db_delete_adapter(db, adapter->id, err);
    return status;
}

enum inv_status inv_adapters_delete(struct inv_collection *collection,
                                    const char *name, struct inv_err *err) {
    struct removal removal = {collection, name};
    struct inv_models_change change = {
        .collection = collection, .apply = apply_delete, .ctx = &removal};
    return inv_models_run(&change, err);
}

/* ---- files ---- */

/* The adapter with the names of this collection's models; what it is made of
 * stays. */
static enum inv_status rename_ends(const struct inv_adapter *adapter,
                                   const struct inv_space *from,
                                   const struct inv_space *to,
                                   struct inv_adapter **out,
                                   struct inv_err *err) {
    struct inv_adapter_parts parts = inv_adapter_parts(adapter);
    size_t from_dim = from->settings->settings.dim;
    size_t to_dim = to->settings->settings.dim;
    if (parts.direction != INV_ADAPTER_BACKWARD)
        return inv_fail(err, INV_INVALID,
                        "the file holds the forward direction, %s to %s: "
                        "import the backward one (new to old)",
                        parts.from, parts.to);
    if (from == to)
        return inv_fail(err, INV_INVALID,
                        "from and to are the same model, %s: an adapter joins "
                        "two",
                        from->name);
    if (parts.cols != from_dim || parts.rows != to_dim)
        return inv_fail(err, INV_DIMENSION,
                        "the file maps %zu to %zu dimensions, %s has %zu and "
                        "%s has %zu",
                        parts.cols, parts.rows, from->name, from_dim, to->name,
                        to_dim);
    parts.normalise = to->settings->settings.metric == INV_COSINE;
    parts.from = from->name;
    parts.to = to->name;
    return inv_adapter_new(&parts, out, err);
}

static enum inv_status import_into(struct inv_collection *collection,
                                   const struct inv_models *models,
                                   const struct inv_adapter_import *wanted,
                                   const struct inv_adapter *file,
                                   const char *report, char *name,
                                   struct inv_err *err) {
    const struct inv_space *from = NULL;
    const struct inv_space *to = NULL;
    struct inv_adapter *adapter = NULL;
    struct inv_adapter_parts parts = inv_adapter_parts(file);
    char proposal[4 * INV_MODEL_NAME_MAX + 64];
    enum inv_status status = inv_models_find(
        models, wanted->from != NULL ? wanted->from : parts.from, &from, err);
    if (status == INV_OK)
        status = inv_models_find(
            models, wanted->to != NULL ? wanted->to : parts.to, &to, err);
    if (status == INV_OK && from == &models->spaces[0])
        status = inv_fail(err, INV_INVALID,
                          "the wrong direction: %s is the gallery's model; an "
                          "adapter goes from the new model to it",
                          from->name);
    if (status == INV_OK)
        status = rename_ends(file, from, to, &adapter, err);
    if (status != INV_OK)
        return status;
    const char *kind = inv_adapter_kind_name(parts.kind);
    snprintf(proposal, sizeof proposal, "%s-to-%s-%s", from->name, to->name,
             kind);
    struct inv_new_adapter new = {.name = wanted->name,
                                  .proposal = proposal,
                                  .from = from->space,
                                  .to = to->space,
                                  .kind = kind,
                                  .verdict = "NONE",
                                  .break_even = 2,
                                  .degraded = inv_adapter_degraded(adapter),
                                  .request = "{\"imported\":true}",
                                  .report = report,
                                  .backward = adapter};
    status = inv_adapters_add(collection, &new, name, err);
    inv_adapter_free(adapter);
    return status;
}

enum inv_status inv_adapters_import(struct inv_collection *collection,
                                    const struct inv_adapter_import *wanted,
                                    char name[INV_NAME_MAX + 1],
                                    struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    struct inv_adapter *file = NULL;
    struct inv_buf report = INV_BUF_INIT;
    /* What numpy.savez writes says nothing of itself: then the names of both
     * models must have been given, and the matrix counts as least squares. */
    struct inv_adapter_parts unless = {.kind = INV_ADAPTER_RIDGE,
                                       .direction = INV_ADAPTER_BACKWARD,
                                       .from = wanted->from,
                                       .to = wanted->to,
                                       .normalise = true};
    bool named = wanted->from != NULL && wanted->to != NULL;
    enum inv_status status =
        inv_adapter_read(wanted->bytes, wanted->len, named ? &unless : NULL,
                         &file, &report, err);
    if (status == INV_OK)
        status = import_into(collection, inv_view_models(view), wanted, file,
                             report.data, name, err);
    inv_adapter_free(file);
    inv_buf_release(&report);
    inv_ref_put(view);
    return status;
}

enum inv_status inv_adapters_export(const struct inv_stored_adapter *adapter,
                                    enum inv_adapter_format format,
                                    bool forward, struct inv_buf *out,
                                    struct inv_err *err) {
    const struct inv_bridge *bridge =
        forward ? &adapter->forward : &adapter->backward;
    if (bridge->adapter == NULL)
        return inv_fail(err, INV_NOT_FOUND,
                        "adapter %s has no %s direction: it was imported",
                        adapter->name, forward ? "forward" : "backward");
    return inv_adapter_write(bridge->adapter, format, adapter->report, out,
                             err);
}

/* ---- composing ---- */

/* A score through both calibrations, knot by knot of the first. */
static void compose_scores(const struct inv_score_map *first,
                           const struct inv_score_map *second,
                           struct inv_score_map *out) {
    double to[INV_SCORE_KNOTS];
    for (size_t i = 0; i < first->count; i++)
        to[i] = inv_score_map_apply(second, first->to[i]);
    inv_score_map_init(out, first->from, to, first->count);
}

static enum inv_status find_both(const struct inv_models *models,
                                 const char *names[2],
                                 const struct inv_stored_adapter *found[2],
                                 struct inv_err *err) {
    for (size_t i = 0; i < 2; i++) {
        found[i] = inv_models_adapter(models, names[i]);
        if (found[i] == NULL)
            return inv_fail(err, INV_NOT_FOUND, "there is no adapter \"%.64s\"",
                            names[i]);
    }
    if (found[0]->to != found[1]->from)
        return inv_fail(
            err, INV_INVALID,
            "%s ends at %s, %s begins at %s: they do not join", found[0]->name,
            inv_models_space(models, found[0]->to)->name, found[1]->name,
            inv_models_space(models, found[1]->from)->name);
    return INV_OK;
}

static enum inv_status compose_into(struct inv_collection *collection,
                                    const struct inv_models *models,
                                    const struct inv_stored_adapter *pair[2],
                                    const char *name, char *out,
                                    struct inv_err *err) {
    struct inv_adapter *backward = NULL;
    struct inv_adapter *forward = NULL;
    struct inv_score_map scores;
    struct inv_buf report = INV_BUF_INIT;
    char proposal[2 * INV_NAME_MAX + 16];
    enum inv_status status = inv_adapter_compose(
        pair[0]->backward.adapter, pair[1]->backward.adapter, &backward, err);
    if (status == INV_OK && pair[0]->forward.adapter != NULL &&
        pair[1]->forward.adapter != NULL)
        status = inv_adapter_compose(pair[1]->forward.adapter,
                                     pair[0]->forward.adapter, &forward, err);
    compose_scores(&pair[0]->backward.scores, &pair[1]->backward.scores,
                   &scores);
    inv_buf_printf(&report, "{\"composed\":[\"%s\",\"%s\"]}", pair[0]->name,
                   pair[1]->name);
    if (status == INV_OK && report.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for a report");
    snprintf(proposal, sizeof proposal, "%s-then-%s", pair[0]->name,
             pair[1]->name);
    struct inv_new_adapter new = {.name = name,
                                  .proposal = proposal,
                                  .from = pair[0]->from,
                                  .to = pair[1]->to,
                                  .kind = "composed",
                                  .verdict = "NONE",
                                  .break_even = 2,
                                  .degraded = true,
                                  .request = report.data,
                                  .report = report.data,
                                  .backward = backward,
                                  .forward = forward,
                                  .scores = &scores};
    if (status == INV_OK && pair[0]->from == models->spaces[0].space)
        status = inv_fail(err, INV_INVALID,
                          "%s begins at the gallery's model, %s: an adapter "
                          "goes from the new model to it",
                          pair[0]->name, models->spaces[0].name);
    if (status == INV_OK)
        status = inv_adapters_add(collection, &new, out, err);
    inv_adapter_free(backward);
    inv_adapter_free(forward);
    inv_buf_release(&report);
    return status;
}

enum inv_status inv_adapters_compose(struct inv_collection *collection,
                                     const char *first, const char *second,
                                     const char *name,
                                     char out[INV_NAME_MAX + 1],
                                     struct inv_err *err) {
    const char *names[2] = {first, second};
    const struct inv_stored_adapter *pair[2];
    struct inv_view *view = inv_gallery_view(collection->gallery);
    const struct inv_models *models = inv_view_models(view);
    enum inv_status status = find_both(models, names, pair, err);
    if (status == INV_OK)
        status = compose_into(collection, models, pair, name, out, err);
    inv_ref_put(view);
    return status;
}
