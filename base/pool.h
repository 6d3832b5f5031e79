/*
 * pool.h: a fixed number of threads that work off one bounded queue, first in,
 * first out. Submitting never waits: a full queue is an answer (503), not a
 * growing delay.
 */
#ifndef INV_BASE_POOL_H
#define INV_BASE_POOL_H

#include "base/status.h"

#include <stddef.h>

struct inv_pool;

typedef void inv_pool_fn(void *arg);

/* workers and queue_limit >= 1, else INV_INVALID. `name` is copied; it names
 * the threads (15 bytes of it) and appears in errors. Workers block all
 * signals: the main thread handles them. */
enum inv_status inv_pool_new(const char *name, size_t workers,
                             size_t queue_limit, struct inv_pool **out,
                             struct inv_err *err) INV_MUST_USE;

/* Queues fn(arg). INV_BUSY when queue_limit jobs are waiting (both numbers in
 * the text) or when the pool is stopping; then fn is never called. Any thread,
 * jobs included. */
enum inv_status inv_pool_submit(struct inv_pool *pool, inv_pool_fn *fn,
                                void *arg, struct inv_err *err) INV_MUST_USE;

/* Refuses new jobs, finishes all that are queued, ends the threads. A second
 * call does nothing. From one thread that is not a worker. */
void inv_pool_stop(struct inv_pool *pool);
/* Stops, then frees. NULL is fine. */
void inv_pool_free(struct inv_pool *pool);

size_t inv_pool_depth(struct inv_pool *pool);   /* jobs waiting */
size_t inv_pool_running(struct inv_pool *pool); /* jobs being worked on */
size_t inv_pool_limit(const struct inv_pool *pool);

#endif
