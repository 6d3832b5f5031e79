/*
 * swap_undo.h: what a rollback would undo, shared by swap.c, which does it, and
 * swap_show.c, which says whether it can be done.
 */
#ifndef INV_SERVER_UPGRADE_SWAP_UNDO_H
#define INV_SERVER_UPGRADE_SWAP_UNDO_H

#include "server/upgrade/swap.h"

struct inv_undo {
    bool found, cutover;
    char state[16];
    int64_t target, adapter, undo;
    uint64_t gallery; /* hash of the gallery's space before a cutover */
    enum inv_status status;
};

/* The journal's row that `now` would come back to; found false: there is none.
 */
enum inv_status inv_upgrade_find_undo(struct inv_collection *collection,
                                      struct inv_db *db,
                                      const struct inv_models *now,
                                      struct inv_undo *undo,
                                      struct inv_err *err) INV_MUST_USE;
/* Is what a rollback would come back to still there? Models and adapters are:
 * they cannot be deleted before. Vectors may be gone: INV_CONFLICT. *old: the
 * gallery's space before a cutover, NULL for another step. */
enum inv_status inv_upgrade_check_undo(struct inv_collection *collection,
                                       const struct inv_models *now,
                                       const struct inv_undo *undo,
                                       const struct inv_space **old,
                                       struct inv_err *err) INV_MUST_USE;

#endif
