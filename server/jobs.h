/*
 * jobs.h: long work that an operator asks for and follows: rebuild, compact,
 * fit (an adapter), cutover (to another model).
 * A job is a row in the catalog; what was queued or running when the daemon
 * stopped is queued again from its start. One builder thread works them off,
 * and between them does the maintenance: sealing fresh entries when it is
 * quiet or a fresh segment is full, compacting logs with much dead weight. Fits
 * have a thread of their own: they take minutes, and only read until they
 * store what they found.
 */
#ifndef INV_SERVER_JOBS_H
#define INV_SERVER_JOBS_H

#include "server/app.h"

enum inv_status inv_jobs_start(struct inv_app *app, struct inv_jobs **out,
                               struct inv_err *err) INV_MUST_USE;
void inv_jobs_stop(struct inv_jobs *jobs);

/* Queues a job and writes its JSON. `request` is the body to be kept ("{}" when
 * there was none); it has been checked. A second job on a collection:
 * INV_CONFLICT that names the first, unless it carries the same idempotency
 * key (may be NULL), which gives the first job again. */
enum inv_status inv_jobs_add(struct inv_jobs *jobs, const char *kind,
                             struct inv_collection *collection,
                             const char *request, const char *idempotency_key,
                             int64_t *id, struct inv_buf *out,
                             struct inv_err *err) INV_MUST_USE;
/* Appends {"jobs":[...]} newest first / one job. INV_NOT_FOUND. */
void inv_jobs_list(struct inv_jobs *jobs, struct inv_buf *out);
enum inv_status inv_jobs_show(struct inv_jobs *jobs, int64_t id,
                              struct inv_buf *out,
                              struct inv_err *err) INV_MUST_USE;
/* Asks a job to stop. One that has ended: INV_CONFLICT. */
enum inv_status inv_jobs_cancel(struct inv_jobs *jobs, int64_t id,
                                struct inv_buf *out,
                                struct inv_err *err) INV_MUST_USE;
size_t inv_jobs_waiting(struct inv_jobs *jobs);

#endif
