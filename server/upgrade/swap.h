/*
 * swap.h: the steps of an upgrade: which model an unlabelled query means and
 * how it is served. Each step is one transaction that writes the journal and
 * publishes the new picture with its commit; nothing is reindexed, and searches
 * under way finish on the picture they began with.
 *
 *   NONE -> SHADOW | BRIDGED | CASCADE -> CUTOVER -> DONE
 *
 * Every step but the last can be rolled back.
 */
#ifndef INV_SERVER_UPGRADE_SWAP_H
#define INV_SERVER_UPGRADE_SWAP_H

#include "server/upgrade/change.h"

struct inv_activation {
    const char *model;   /* "name@revision" of the new model */
    const char *adapter; /* its name, NULL: the newest one from the model to the
                            gallery that was not refused */
    enum inv_upgrade_state state; /* SHADOW, BRIDGED, CASCADE (CUTOVER is a job,
                                     inv_upgrade_cutover) */
    bool force;                   /* against the gate */
};

/* What the gate permits (decisions 15): BRIDGED needs ACTIVATE; CASCADE needs
 * ACTIVATE, or CASCADE_ONLY with at least its break-even coverage; SHADOW needs
 * no verdict. Otherwise INV_CONFLICT with the verdict, both coverages and what
 * would help; `force` is recorded in the journal. A degraded adapter is served
 * and said to be. INV_NOT_FOUND for the adapter, INV_SPACE_MISMATCH for a
 * model. The same state again changes nothing. */
enum inv_status inv_upgrade_activate(struct inv_collection *collection,
                                     const struct inv_activation *activation,
                                     struct inv_err *err) INV_MUST_USE;

/* Undoes the last step that is not undone yet. INV_CONFLICT when there is
 * none, or when the model, the adapter or the old vectors that it would come
 * back to are gone. */
enum inv_status inv_upgrade_rollback(struct inv_collection *collection,
                                     struct inv_err *err) INV_MUST_USE;

/* The last operation of a cutover job, whose index has been built: the target's
 * space becomes the gallery's. Needs a vector of the new model for every
 * document (INV_CONFLICT with both numbers), unless forced. */
enum inv_status inv_upgrade_cutover(struct inv_collection *collection,
                                    bool force,
                                    struct inv_err *err) INV_MUST_USE;

/* Drops the vectors of a space that is not the gallery's. Of the space that a
 * rollback would need: only in state CUTOVER, and then the upgrade is DONE.
 * INV_CONFLICT while a document has no other vector, with their number. */
enum inv_status inv_upgrade_drop(struct inv_collection *collection,
                                 const char *model,
                                 struct inv_err *err) INV_MUST_USE;

/* {"state","model","adapter","query_model","gallery_model","documents",
 * "covered","coverage","alone","break_even","degraded","can_roll_back",
 * "journal":[...]} */
enum inv_status inv_upgrade_show(struct inv_collection *collection,
                                 struct inv_db *db, struct inv_buf *out,
                                 struct inv_err *err) INV_MUST_USE;

#endif
