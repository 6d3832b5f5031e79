/*
 * cutover.h: the job that makes the new model's space the gallery's: what its
 * encoder learns, an index over all of it, and then the step itself (swap.h).
 */
#ifndef INV_SERVER_UPGRADE_CUTOVER_H
#define INV_SERVER_UPGRADE_CUTOVER_H

#include "server/work.h"

/* The body of POST .../activate with mode cutover: {"model","mode","adapter",
 * "force"}. Before the job is queued: INV_SPACE_MISMATCH for an unknown model,
 * INV_CONFLICT when no upgrade to it is under way, or while documents have no
 * vector in it (both numbers), unless forced. */
enum inv_status inv_work_check_cutover(struct inv_collection *collection,
                                       const char *request, size_t len,
                                       struct inv_err *err) INV_MUST_USE;

/* The job (work.h). Stages learn, those of a build, cutover. Searches and
 * writes go on; documents that are written meanwhile are in the new space's
 * fresh segment or are missed by the step, which then says how many. result:
 * {"model","documents"}. */
enum inv_status inv_work_cutover(const struct inv_work *work,
                                 const char *request, struct inv_buf *result,
                                 struct inv_err *err) INV_MUST_USE;

#endif
