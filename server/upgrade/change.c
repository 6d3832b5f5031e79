/*
 * change.c: see change.h. Writer thread, except for inv_models_run.
 */
#include "server/upgrade/change.h"

enum inv_status inv_models_refresh(struct inv_collection *collection,
                                   struct inv_db *db,
                                   struct inv_shared_settings *settings,
                                   struct inv_err *err) {
    struct inv_models *models = NULL;
    struct inv_ref *context =
        inv_gallery_context(collection->gallery); /* of what is edited */
    const struct inv_models *now = (const struct inv_models *)context;
    enum inv_status status = inv_models_load(
        collection, db, settings == NULL ? now->settings : settings, now,
        &models, err);
    if (status == INV_OK)
        status =
            inv_gallery_set_context(collection->gallery, &models->ref, err);
    inv_ref_put(models);
    inv_ref_put(context);
    return status == INV_OK ? INV_OK
                            : inv_gallery_undo(collection->gallery, status);
}

static enum inv_status apply(void *ctx, struct inv_db *db,
                             struct inv_err *err) {
    const struct inv_models_change *change = ctx;
    struct inv_collection *c = change->collection;
    pthread_mutex_lock(&c->lock);
    bool deleted = c->deleted;
    pthread_mutex_unlock(&c->lock);
    if (deleted)
        return inv_fail(err, INV_NOT_FOUND, "collection %s was deleted",
                        c->name);
    struct inv_ref *now = inv_gallery_context(c->gallery);
    enum inv_status status =
        change->apply(change->ctx, db, (const struct inv_models *)now, err);
    inv_ref_put(now);
    return status == INV_OK ? inv_models_refresh(c, db, NULL, err) : status;
}

enum inv_status inv_models_run(const struct inv_models_change *change,
                               struct inv_err *err) {
    struct inv_operation op = {.gallery = change->collection->gallery,
                               .apply = apply,
                               .ctx = (void *)(size_t)change,
                               .alone = change->alone};
    return inv_writer_run(change->collection->app->writer, &op, err);
}
