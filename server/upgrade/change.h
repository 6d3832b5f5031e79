/*
 * change.h: changing what a collection knows of models, adapters and its
 * upgrade: rows and the picture made of them (models.h) become visible in one
 * commit.
 */
#ifndef INV_SERVER_UPGRADE_CHANGE_H
#define INV_SERVER_UPGRADE_CHANGE_H

#include "server/app.h"
#include "server/upgrade/models.h"

struct inv_models_change {
    struct inv_collection *collection;
    /* Writer thread, inside the transaction: checks against `now`, then changes
     * rows or the gallery. An error before the first change concerns this
     * operation alone; one after a change of rows goes through
     * inv_gallery_undo. */
    enum inv_status (*apply)(void *ctx, struct inv_db *db,
                             const struct inv_models *now, struct inv_err *err);
    void *ctx;
    bool alone; /* as in struct inv_operation */
};

/* Runs it and waits. Any thread but the writer's. A collection that was
 * deleted: INV_NOT_FOUND. */
enum inv_status inv_models_run(const struct inv_models_change *change,
                               struct inv_err *err) INV_MUST_USE;

/* Inside an operation of the collection's gallery: the picture is read again
 * and will be published with it. settings: of the collection from now on, NULL:
 * as they are (their row is the caller's business). */
enum inv_status inv_models_refresh(struct inv_collection *collection,
                                   struct inv_db *db,
                                   struct inv_shared_settings *settings,
                                   struct inv_err *err) INV_MUST_USE;

/* Inside such an operation, before its first change: edits the settings of a
 * space (0: the gallery's) as they are at that moment, keeps them as its row or
 * as the collection's, and refreshes the picture. What is prepared outside from
 * settings of an earlier moment would undo what came between: another edit, or
 * a rollback that has made another space the gallery's. INV_SPACE_MISMATCH for
 * a space that is gone, and whatever `edit` returns, change nothing. */
enum inv_status inv_models_edit(
    struct inv_collection *collection, struct inv_db *db, int64_t space,
    enum inv_status (*edit)(void *ctx, struct inv_settings *settings,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;

/* Inside an operation: the number of the next encoder state; they are numbered
 * per collection. */
enum inv_status inv_models_next_state(struct inv_collection *collection,
                                      struct inv_db *db, uint32_t *out,
                                      struct inv_err *err) INV_MUST_USE;

#endif
