/*
 * cutover.h: the job that makes the new model's space the gallery's: what its
 * encoder learns, an index over all of it, and then the step itself (swap.h).
 */
#ifndef INV_SERVER_UPGRADE_CUTOVER_H
#define INV_SERVER_UPGRADE_CUTOVER_H

#include "server/work.h"

/* The job (work.h); request: the body of POST .../activate with mode cutover,
 * {"model","mode","adapter","force"}. Stages learn, those of a build, cutover.
 * Searches and writes go on. INV_SPACE_MISMATCH for a model that is not there
 * any more, INV_CONFLICT when no upgrade to it is under way, or while documents
 * have no vector in it (both numbers), unless forced: checked before the build
 * and again with the step. result: {"model","documents"}. */
enum inv_status inv_work_cutover(const struct inv_work *work,
                                 const char *request, struct inv_buf *result,
                                 struct inv_err *err) INV_MUST_USE;

#endif
