/*
 * writer.c: group commit, see writer.h. A batch that fails as a whole is run
 * again operation by operation, so that one request's disk-full or corrupt row
 * does not fail its neighbours.
 */
#include "index/writer.h"

#include <pthread.h>
#include <stdlib.h>

#define BATCH_MAX 64

struct pending {
    const struct inv_operation *operation;
    struct inv_err *err;
    enum inv_status status;
    bool done;
    struct pending *next;
};

struct inv_writer {
    struct inv_catalog *catalog;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    struct pending *head, *tail;
    bool stopping;
    pthread_mutex_t commit_lock; /* held around COMMIT and publication */
};

/* The distinct galleries of a batch. */
static size_t galleries_of(struct pending **batch, size_t count,
                           struct inv_gallery **out) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct inv_gallery *gallery = batch[i]->operation->gallery;
        bool known = gallery == NULL;
        for (size_t j = 0; j < n && !known; j++)
            known = out[j] == gallery;
        if (!known)
            out[n++] = gallery;
    }
    return n;
}

static enum inv_status apply_all(struct inv_db *db, struct pending **batch,
                                 size_t count, struct inv_err *err) {
    for (size_t i = 0; i < count; i++) {
        const struct inv_operation *op = batch[i]->operation;
        struct inv_err own = {0};
        batch[i]->status = op->apply(op->ctx, db, &own);
        if (batch[i]->status == INV_OK)
            continue;
        if (batch[i]->err != NULL)
            *batch[i]->err = own;
        if (inv_db_failed(db) ||
            (op->gallery != NULL && inv_gallery_poisoned(op->gallery))) {
            if (err != NULL)
                *err = own;
            return batch[i]->status;
        }
    }
    return INV_OK;
}

/* One transaction. INV_OK: committed; each operation has its own status. */
static enum inv_status run_batch(struct inv_writer *writer,
                                 struct pending **batch, size_t count,
                                 struct inv_err *err) {
    struct inv_db *db = inv_catalog_writer(writer->catalog);
    struct inv_gallery *galleries[BATCH_MAX];
    size_t gallery_count = galleries_of(batch, count, galleries);
    enum inv_status status = inv_db_begin(db, err);
    if (status == INV_OK)
        status = apply_all(db, batch, count, err);
    for (size_t i = 0; status == INV_OK && i < gallery_count; i++)
        status = inv_gallery_prepare(galleries[i], db, err);
    pthread_mutex_lock(&writer->commit_lock);
    if (status == INV_OK)
        status = inv_db_commit(db, err);
    if (status != INV_OK)
        inv_db_rollback(db);
    for (size_t i = 0; i < gallery_count; i++) {
        if (status == INV_OK)
            inv_gallery_publish(galleries[i]);
        else
            inv_gallery_discard(galleries[i]);
    }
    pthread_mutex_unlock(&writer->commit_lock);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        if (batch[i]->status == INV_OK &&
            batch[i]->operation->committed != NULL)
            batch[i]->operation->committed(batch[i]->operation->ctx);
    return status;
}

static void run_all(struct inv_writer *writer, struct pending **batch,
                    size_t count) {
    struct inv_err err = {0};
    enum inv_status status = run_batch(writer, batch, count, &err);
    if (status == INV_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        if (count > 1)
            status = run_batch(writer, &batch[i], 1, &err);
        if (status != INV_OK) {
            batch[i]->status = status;
            if (batch[i]->err != NULL)
                *batch[i]->err = err;
        }
    }
}

static size_t take(struct inv_writer *writer, struct pending **batch) {
    size_t count = 0;
    pthread_mutex_lock(&writer->lock);
    while (writer->head == NULL && !writer->stopping)
        pthread_cond_wait(&writer->work, &writer->lock);
    bool more = true;
    while (writer->head != NULL && count < BATCH_MAX && more) {
        bool alone = writer->head->operation->alone;
        if (alone && count > 0)
            break;
        batch[count++] = writer->head;
        writer->head = writer->head->next;
        more = !alone;
    }
    if (writer->head == NULL)
        writer->tail = NULL;
    pthread_mutex_unlock(&writer->lock);
    return count;
}

static void *writer_main(void *arg) {
    struct inv_writer *writer = arg;
    struct pending *batch[BATCH_MAX];
    size_t count;
    while ((count = take(writer, batch)) > 0) {
        run_all(writer, batch, count);
        pthread_mutex_lock(&writer->lock);
        for (size_t i = 0; i < count; i++)
            batch[i]->done = true;
        pthread_cond_broadcast(&writer->finished);
        pthread_mutex_unlock(&writer->lock);
    }
    return NULL;
}

enum inv_status inv_writer_start(struct inv_catalog *catalog,
                                 struct inv_writer **out, struct inv_err *err) {
    struct inv_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for the writer");
    writer->catalog = catalog;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_mutex_init(&writer->commit_lock, NULL);
    pthread_cond_init(&writer->work, NULL);
    pthread_cond_init(&writer->finished, NULL);
    int code = pthread_create(&writer->thread, NULL, writer_main, writer);
    if (code != 0) {
        free(writer);
        return inv_fail_errno(err, code, "cannot start the writer thread");
    }
    pthread_setname_np(writer->thread, "inv-writer");
    *out = writer;
    return INV_OK;
}

void inv_writer_stop(struct inv_writer *writer) {
    if (writer == NULL)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->work);
    pthread_cond_destroy(&writer->finished);
    pthread_mutex_destroy(&writer->lock);
    pthread_mutex_destroy(&writer->commit_lock);
    free(writer);
}

enum inv_status inv_writer_run(struct inv_writer *writer,
                               const struct inv_operation *operation,
                               struct inv_err *err) {
    struct pending pending = {.operation = operation, .err = err};
    pthread_mutex_lock(&writer->lock);
    if (writer->stopping) {
        pthread_mutex_unlock(&writer->lock);
        return inv_fail(err, INV_BUSY, "the daemon is shutting down");
    }
    if (writer->tail != NULL)
        writer->tail->next = &pending;
    else
        writer->head = &pending;
    writer->tail = &pending;
    pthread_cond_signal(&writer->work);
    while (!pending.done)
        pthread_cond_wait(&writer->finished, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
    return pending.status;
}

void inv_writer_hold(struct inv_writer *writer) {
    pthread_mutex_lock(&writer->commit_lock);
}

void inv_writer_release(struct inv_writer *writer) {
    pthread_mutex_unlock(&writer->commit_lock);
}
