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

/* Is there such a step where the gallery is in a simplex? INV_CONFLICT for any
 * but BRIDGED, which says what an unlabelled query is of; in other collections
 * there are all. */
enum inv_status inv_upgrade_check_simplex(const struct inv_models *models,
                                          const struct inv_space *target,
                                          enum inv_upgrade_state state,
                                          struct inv_err *err) INV_MUST_USE;

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

/* Inside an operation: would rollbacks, one after the other, come to a state
 * whose target is `space` or whose adapter is `adapter` (0: do not ask)? What
 * they come to must not be removed: an unlabelled query would be of a model
 * that is not there. */
enum inv_status inv_upgrade_comes_back(const struct inv_collection *collection,
                                       struct inv_db *db,
                                       const struct inv_models *now,
                                       int64_t space, int64_t adapter,
                                       bool *needed,
                                       struct inv_err *err) INV_MUST_USE;

/* May the gallery go over to `space`? INV_SPACE_MISMATCH when it is gone;
 * INV_CONFLICT when it is the gallery's, when it is not the upgrade's target,
 * and, unless forced, while documents have no vector in it (both numbers). */
enum inv_status inv_upgrade_check_cutover(const struct inv_view *view,
                                          int64_t space, bool force,
                                          struct inv_err *err) INV_MUST_USE;

/* The last operation of a cutover job, whose index has been built: `space`
 * becomes the gallery's. Asks inv_upgrade_check_cutover once more: somebody may
 * have activated another model, or written documents, during the build. */
enum inv_status inv_upgrade_cutover(struct inv_collection *collection,
                                    int64_t space, bool force,
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
