/*
 * work.h: what the builder thread does, one function a kind of job. They block
 * for as long as it takes and call `progress`, which asks them to stop by
 * returning true.
 */
#ifndef INV_SERVER_WORK_H
#define INV_SERVER_WORK_H

#include "server/app.h"

struct inv_work {
    struct inv_collection *collection;
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
};

/* The body of POST .../rebuild: {"index":{},"encoder":{},"relearn":false}.
 * Checks it against the collection without doing anything. */
enum inv_status inv_work_check_rebuild(struct inv_collection *collection,
                                       const char *request, size_t len,
                                       struct inv_err *err) INV_MUST_USE;
/* One segment of everything, with other settings where asked. result: JSON. */
enum inv_status inv_work_rebuild(const struct inv_work *work,
                                 const char *request, struct inv_buf *result,
                                 struct inv_err *err) INV_MUST_USE;
/* Fresh entries of a space into a segment, with everything all of it; its
 * encoder learns first where it has not. */
enum inv_status inv_work_seal(const struct inv_work *work, int64_t space,
                              bool everything,
                              struct inv_err *err) INV_MUST_USE;
/* Space of dead records given back. */
enum inv_status inv_work_compact(const struct inv_work *work,
                                 struct inv_buf *result,
                                 struct inv_err *err) INV_MUST_USE;
/* Seals or compacts where it is due. *did says whether there was something. */
enum inv_status inv_work_maintain(const struct inv_work *work, bool *did,
                                  struct inv_err *err) INV_MUST_USE;

#endif
