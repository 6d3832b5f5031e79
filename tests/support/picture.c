/*
 * picture.c: see picture.h.
 */
#include "tests/support/picture.h"

#include "server/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t space_of(const struct inv_models *models, const char *name) {
    const struct inv_space *space = NULL;
    struct inv_err err = {0};
    enum inv_status status = inv_models_find(models, name, &space, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    return space->space;
}

static struct inv_adapter *make(const struct picture_adapter *from,
                                bool forward) {
    struct inv_adapter *adapter = NULL;
    struct inv_err err = {0};
    struct inv_adapter_parts parts = {
        .kind = INV_ADAPTER_PROCRUSTES,
        .direction = forward ? INV_ADAPTER_FORWARD : INV_ADAPTER_BACKWARD,
        .from = forward ? from->to : from->from,
        .to = forward ? from->from : from->to,
        .rows = forward ? from->cols : from->rows,
        .cols = forward ? from->rows : from->cols,
        .matrix = forward ? from->back : from->matrix,
        .bias = forward ? NULL : from->bias,
        .normalise = from->normalise,
    };
    enum inv_status status = inv_adapter_new(&parts, &adapter, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    return adapter;
}

static struct inv_stored_adapter *store(const struct inv_models *models,
                                        const struct picture_adapter *from,
                                        int64_t id) {
    struct inv_stored_adapter *adapter = inv_stored_adapter_new();
    ck_assert_ptr_nonnull(adapter);
    adapter->id = id;
    adapter->from = space_of(models, from->from);
    adapter->to = space_of(models, from->to);
    snprintf(adapter->name, sizeof adapter->name, "%s", from->name);
    snprintf(adapter->kind, sizeof adapter->kind, "procrustes");
    snprintf(adapter->verdict, sizeof adapter->verdict, "ACTIVATE");
    adapter->request = strdup("{}");
    adapter->report = strdup("{}");
    ck_assert(adapter->request != NULL && adapter->report != NULL);
    adapter->backward = (struct inv_bridge){.from = adapter->from,
                                            .to = adapter->to,
                                            .adapter = make(from, false),
                                            .scores = from->scores};
    adapter->forward =
        (struct inv_bridge){.from = adapter->to, .to = adapter->from};
    struct inv_score_map *scores = &adapter->forward.scores;
    scores->count = from->scores.count;
    memcpy(scores->from, from->scores.to, sizeof scores->from);
    memcpy(scores->to, from->scores.from, sizeof scores->to);
    if (from->back != NULL)
        adapter->forward.adapter = make(from, true);
    return adapter;
}

static struct inv_models *copy_models(const struct inv_models *now) {
    struct inv_models *models = inv_models_new(now->settings);
    ck_assert_ptr_nonnull(models);
    models->space_count = now->space_count;
    for (size_t i = 0; i < now->space_count; i++) {
        models->spaces[i] = now->spaces[i];
        inv_ref_get(models->spaces[i].settings);
    }
    models->asks = now->spaces[0].space;
    return models;
}

struct hanging {
    struct inv_collection *collection;
    struct inv_models *models;
};

static enum inv_status hang(void *ctx, struct inv_db *db, struct inv_err *err) {
    struct hanging *hanging = ctx;
    (void)db;
    return inv_gallery_set_context(hanging->collection->gallery,
                                   &hanging->models->ref, err);
}

void picture_show(struct api *api, const char *collection,
                  enum inv_upgrade_state state, const char *target,
                  const struct picture_adapter *adapters, size_t count) {
    struct inv_collection *c = NULL;
    struct inv_err err = {0};
    enum inv_status status = inv_app_find_ready(api->app, collection, &c, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    struct inv_view *view = inv_gallery_view(c->gallery);
    struct inv_models *models = copy_models(inv_view_models(view));
    models->state = state;
    models->adapters = calloc(count + 1, sizeof(struct inv_stored_adapter *));
    ck_assert_ptr_nonnull(models->adapters);
    for (size_t i = 0; i < count; i++)
        models->adapters[models->adapter_count++] =
            store(models, &adapters[i], (int64_t)i + 1);
    models->adapter = count > 0 ? 1 : 0;
    if (target != NULL)
        models->target = space_of(models, target);
    if (state == INV_UPGRADE_BRIDGED || state == INV_UPGRADE_CASCADE)
        models->asks = models->target;
    struct hanging hanging = {c, models};
    struct inv_operation op = {
        .gallery = c->gallery, .apply = hang, .ctx = &hanging};
    status = inv_writer_run(api->app->writer, &op, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    inv_ref_put(models);
    inv_ref_put(view);
    inv_ref_put(c);
}
