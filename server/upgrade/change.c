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

static enum inv_status keep(struct inv_collection *c, struct inv_db *db,
                            const struct inv_space *space, bool gallery,
                            struct inv_shared_settings *next,
                            struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    inv_settings_write(&next->settings, &text);
    if (text.failed) /* half of them would be kept for ever */
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    else if (gallery)
        status = inv_db_set_settings(db, c->id, text.data, err);
    else
        status = inv_db_set_space(db, space->space, text.data, err);
    inv_buf_release(&text);
    return status == INV_OK
               ? inv_models_refresh(c, db, gallery ? next : NULL, err)
               : status;
}

enum inv_status inv_models_edit(
    struct inv_collection *c, struct inv_db *db, int64_t space,
    enum inv_status (*edit)(void *ctx, struct inv_settings *settings,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    struct inv_ref *context = inv_gallery_context(c->gallery);
    const struct inv_models *now = (const struct inv_models *)context;
    const struct inv_space *known =
        space == 0 ? &now->spaces[0] : inv_models_space(now, space);
    struct inv_shared_settings *next =
        known == NULL ? NULL : inv_settings_copy(known->settings);
    enum inv_status status = inv_collection_check(c, err);
    if (status == INV_OK && known == NULL)
        status =
            inv_fail(err, INV_SPACE_MISMATCH,
                     "the model was removed from the collection meanwhile");
    if (status == INV_OK && next == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (status == INV_OK)
        status = edit(ctx, &next->settings, err);
    if (status == INV_OK)
        status = keep(c, db, known, known == &now->spaces[0], next, err);
    inv_ref_put(next);
    inv_ref_put(context);
    return status;
}

static enum inv_status highest_state(void *ctx, const struct inv_state_row *row,
                                     struct inv_err *err) {
    uint32_t *highest = ctx;
    (void)err;
    if (row->state > *highest)
        *highest = row->state;
    return INV_OK;
}

enum inv_status inv_models_next_state(struct inv_collection *collection,
                                      struct inv_db *db, uint32_t *out,
                                      struct inv_err *err) {
    uint32_t highest = 0;
    enum inv_status status =
        inv_db_states(db, collection->id, highest_state, &highest, err);
    *out = highest + 1;
    return status;
}

static enum inv_status apply(void *ctx, struct inv_db *db,
                             struct inv_err *err) {
    const struct inv_models_change *change = ctx;
    struct inv_collection *c = change->collection;
    enum inv_status status = inv_collection_check(c, err);
    if (status != INV_OK)
        return status;
    struct inv_ref *now = inv_gallery_context(c->gallery);
    status =
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
