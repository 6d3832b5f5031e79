/*
 * pool.c: see pool.h. A ring of jobs under one mutex; a job is handed over in
 * well under a microsecond, which is nothing beside the work of a request. It
 * does not know what its jobs do.
 */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    inv_pool_fn *fn;
    void *arg;
};

struct inv_pool {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct job *ring; /* `limit` places */
    size_t limit;
    size_t first, waiting; /* under the lock, as are the next two */
    size_t running;
    bool stopping;
    pthread_t *threads;
    size_t thread_count; /* started and not joined */
    char name[32];
};

static void *work(void *arg) {
    struct inv_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->stopping)
            pthread_cond_wait(&pool->arrived, &pool->lock);
        if (pool->waiting == 0)
            break;
        struct job job = pool->ring[pool->first];
        pool->first = (pool->first + 1) % pool->limit;
        pool->waiting--;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        job.fn(job.arg);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static enum inv_status start_threads(struct inv_pool *pool, size_t workers,
                                     struct inv_err *err) {
    char name[16];
    sigset_t all;
    sigset_t before;
    snprintf(name, sizeof name, "%.15s", pool->name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (failed == 0 && pool->thread_count < workers) {
        pthread_t *thread = &pool->threads[pool->thread_count];
        failed = pthread_create(thread, NULL, work, pool);
        if (failed == 0) {
            pool->thread_count++;
            pthread_setname_np(*thread, name);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        return INV_OK;
    return inv_fail_errno(err, failed, "cannot start thread %zu of %zu for %s",
                          pool->thread_count + 1, workers, pool->name);
}

enum inv_status inv_pool_new(const char *name, size_t workers,
                             size_t queue_limit, struct inv_pool **out,
                             struct inv_err *err) {
    if (workers == 0 || queue_limit == 0)
        return inv_fail(err, INV_INVALID,
                        "the pool %s needs at least one worker and one place "
                        "in its queue, got %zu and %zu",
                        name, workers, queue_limit);
    struct inv_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for the pool %s", name);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->arrived, NULL);
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pool->limit = queue_limit;
    pool->ring = calloc(queue_limit, sizeof *pool->ring);
    pool->threads = calloc(workers, sizeof *pool->threads);
    enum inv_status status;
    if (pool->ring == NULL || pool->threads == NULL)
        status =
            inv_fail(err, INV_MEMORY, "out of memory for the pool %s", name);
    else
        status = start_threads(pool, workers, err);
    if (status != INV_OK) {
        inv_pool_free(pool);
        return status;
    }
    *out = pool;
    return INV_OK;
}

enum inv_status inv_pool_submit(struct inv_pool *pool, inv_pool_fn *fn,
                                void *arg, struct inv_err *err) {
    pthread_mutex_lock(&pool->lock);
    bool stopping = pool->stopping;
    size_t waiting = pool->waiting;
    bool taken = !stopping && waiting < pool->limit;
    if (taken) {
        size_t last = (pool->first + waiting) % pool->limit;
        pool->ring[last] = (struct job){fn, arg};
        pool->waiting++;
        pthread_cond_signal(&pool->arrived);
    }
    pthread_mutex_unlock(&pool->lock);
    if (taken)
        return INV_OK;
    if (stopping)
        return inv_fail(err, INV_BUSY, "%s is shutting down", pool->name);
    return inv_fail(err, INV_BUSY,
                    "the queue of %s is full: %zu of %zu waiting", pool->name,
                    waiting, pool->limit);
}

void inv_pool_stop(struct inv_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->arrived);
    pthread_mutex_unlock(&pool->lock);
    while (pool->thread_count > 0)
        pthread_join(pool->threads[--pool->thread_count], NULL);
}

void inv_pool_free(struct inv_pool *pool) {
    if (pool == NULL)
        return;
    inv_pool_stop(pool);
    pthread_cond_destroy(&pool->arrived);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ring);
    free(pool->threads);
    free(pool);
}

size_t inv_pool_depth(struct inv_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

size_t inv_pool_running(struct inv_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    size_t running = pool->running;
    pthread_mutex_unlock(&pool->lock);
    return running;
}

size_t inv_pool_limit(const struct inv_pool *pool) { return pool->limit; }
