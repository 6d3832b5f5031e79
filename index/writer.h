/*
 * writer.h: the one thread that changes what is stored. Operations of many
 * requests that wait at the same time share one transaction and one sync of
 * each log (group commit); an answer is given when both are on disk and the
 * new views are published.
 *
 *   apply (all operations) -> sync logs -> COMMIT -> publish -> committed
 */
#ifndef INV_INDEX_WRITER_H
#define INV_INDEX_WRITER_H

#include "index/gallery.h"

struct inv_writer;

struct inv_operation {
    struct inv_gallery *gallery; /* that it changes, or NULL */
    /* Writer thread, inside the transaction. Checks first, then changes: an
     * error before the first change concerns this operation alone. May be
     * called again after a discarded attempt. */
    enum inv_status (*apply)(void *ctx, struct inv_db *db, struct inv_err *err);
    /* Writer thread, after the commit and the new view; may be NULL. */
    void (*committed)(void *ctx);
    void *ctx;
    /* Shares its transaction with no other: for a change that reads again what
     * others of the same transaction might just have written. */
    bool alone;
};

enum inv_status inv_writer_start(struct inv_catalog *catalog,
                                 struct inv_writer **out,
                                 struct inv_err *err) INV_MUST_USE;
/* Finishes what is queued, then ends the thread. */
void inv_writer_stop(struct inv_writer *writer);

/* Queues the operation and waits for its end. Any thread but the writer's. */
enum inv_status inv_writer_run(struct inv_writer *writer,
                               const struct inv_operation *operation,
                               struct inv_err *err) INV_MUST_USE;

/* While held no transaction commits and no view is published: for a reader
 * that needs catalog and view of the same moment. Short. */
void inv_writer_hold(struct inv_writer *writer);
void inv_writer_release(struct inv_writer *writer);

#endif
