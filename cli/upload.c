/*
 * upload.c: see upload.h. Threads, each with a connection of its own, take the
 * next batch under one lock, send it without, and enter the outcome under the
 * lock. The main thread paints the progress and hears Ctrl-C.
 */
#include "cli/upload.h"

#include "base/clock.h"
#include "cli/answers.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define POLL_MS 20

struct upload {
    const struct inv_cli *cli;
    const char *path;
    struct inv_source *source;
    struct inv_resume *resume; /* NULL: not remembered */
    pthread_mutex_t lock; /* of all that follows, and of source and resume */
    struct inv_upload_result *result;
    uint64_t units;
    uint32_t running;
    bool stop, ended;
};

/* ---- outcomes, under the lock ---- */

static void stop_with(struct upload *upload, int exit, const char *text) {
    upload->stop = true;
    if (upload->result->exit != 0)
        return;
    upload->result->exit = exit;
    snprintf(upload->result->failure, sizeof upload->result->failure, "%s",
             text);
}

/* The first error of a document: "document 17: text (code, at /vector)". */
static void keep_first_error(struct upload *upload,
                             const struct inv_batch *batch,
                             const inv_json *answer) {
    const inv_json *list;
    struct inv_upload_result *result = upload->result;
    if (inv_list_of(answer, "errors", &list) == 0 ||
        result->first_error[0] != '\0')
        return;
    const inv_json *first = inv_json_at(list, 0);
    const char *pointer = inv_text_of(first, "pointer");
    snprintf(result->first_error, sizeof result->first_error,
             "document %" PRIu64 ": %.600s (%.40s%s%.200s)",
             batch->from + inv_uint_of(first, "item") + 1,
             inv_text_of(first, "detail"), inv_text_of(first, "code"),
             *pointer == '\0' ? "" : ", at ", pointer);
}

static void acknowledge(struct upload *upload, const struct inv_batch *batch,
                        const inv_json *answer) {
    struct inv_upload_result *result = upload->result;
    uint64_t failed = inv_uint_of(answer, "failed");
    struct inv_err err;
    result->sent += batch->count;
    result->upserted += inv_uint_of(answer, "upserted");
    result->failed += failed;
    upload->units += batch->units;
    keep_first_error(upload, batch, answer);
    if (upload->resume != NULL && inv_resume_add(upload->resume, batch->from,
                                                 batch->count, &err) != INV_OK)
        stop_with(upload, INV_EXIT_FAILED, err.text);
}

/* ---- the threads ---- */

/* Sleeps, in steps, so that a stop is heard. False: stopped. */
static bool sleep_unless_stopped(struct upload *upload, uint32_t seconds) {
    const struct timespec step = {.tv_nsec = 100000000};
    for (uint32_t i = 0; i < seconds * 10; i++) {
        pthread_mutex_lock(&upload->lock);
        bool stop = upload->stop;
        pthread_mutex_unlock(&upload->lock);
        if (stop)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}

/* Sends one batch; a daemon that is busy is asked again. */
static enum inv_exit send_batch(struct upload *upload,
                                struct inv_client *client,
                                const struct inv_batch *batch,
                                struct inv_answer *answer) {
    const struct inv_call call = {.method = "POST",
                                  .path = upload->path,
                                  .type = upload->source->ops->content_type,
                                  .body = batch->body.data,
                                  .len = batch->body.len};
    enum inv_exit exit = INV_EXIT_OK;
    for (int tries = 1;; tries++) {
        exit = inv_client_send(client, &call, answer);
        bool busy = answer->http == 503 || answer->http == 429;
        if (exit == INV_EXIT_OK || !busy || tries == INV_UPLOAD_TRIES)
            return exit;
        uint32_t wait = answer->retry_after_s;
        wait = wait == 0 ? 1 : wait > 30 ? 30 : wait;
        if (!sleep_unless_stopped(upload, wait))
            return exit;
    }
}

/* Takes the next batch; false when there is none for this thread. */
static bool take_batch(struct upload *upload, struct inv_batch *batch) {
    struct inv_err err;
    pthread_mutex_lock(&upload->lock);
    bool some = !upload->stop && !upload->ended;
    if (some && inv_source_next(upload->source, batch, &err) != INV_OK) {
        stop_with(upload, INV_EXIT_FAILED, err.text);
        some = false;
    } else if (some && batch->count == 0) {
        upload->ended = true;
        some = false;
    }
    pthread_mutex_unlock(&upload->lock);
    return some;
}

static void send_all(struct upload *upload, struct inv_client *client) {
    struct inv_batch batch = {.body = INV_BUF_INIT};
    struct inv_answer answer = INV_ANSWER_INIT;
    while (take_batch(upload, &batch)) {
        enum inv_exit exit = send_batch(upload, client, &batch, &answer);
        pthread_mutex_lock(&upload->lock);
        if (exit == INV_EXIT_OK)
            acknowledge(upload, &batch, answer.json);
        else
            stop_with(upload, exit, answer.message);
        pthread_mutex_unlock(&upload->lock);
        if (exit != INV_EXIT_OK)
            break;
    }
    inv_buf_release(&batch.body);
    inv_answer_release(&answer);
}

static void *worker(void *ctx) {
    struct upload *upload = ctx;
    struct inv_client *client = NULL;
    struct inv_err err;
    enum inv_status status =
        inv_client_open(upload->cli->url, upload->cli->key,
                        upload->cli->timeout_s, &client, &err);
    if (status == INV_OK)
        send_all(upload, client);
    inv_client_close(client);
    pthread_mutex_lock(&upload->lock);
    if (status != INV_OK)
        stop_with(upload, INV_EXIT_USAGE, err.text);
    upload->running--;
    pthread_mutex_unlock(&upload->lock);
    return NULL;
}

/* ---- the main thread ---- */

static void watch(struct upload *upload, struct inv_progress *progress) {
    bool running = true;
    uint64_t first = 0;
    while (running) {
        bool interrupted = inv_interrupt_watch(POLL_MS, &first);
        pthread_mutex_lock(&upload->lock);
        if (interrupted) {
            upload->stop = true;
            upload->result->interrupted = true;
        }
        running = upload->running > 0;
        uint64_t done = upload->units + upload->source->skipped_units;
        uint64_t sent = upload->result->sent;
        progress->first = upload->source->skipped_units;
        pthread_mutex_unlock(&upload->lock);
        inv_progress_update(progress, done, sent);
    }
    inv_progress_end(progress);
}

void inv_upload(struct inv_cli *cli, const char *path,
                struct inv_source *source, struct inv_resume *resume,
                uint32_t connections, struct inv_upload_result *result) {
    pthread_t threads[INV_CONNECTIONS_MAX];
    uint32_t started = 0;
    *result = (struct inv_upload_result){.exit = 0};
    struct upload upload = {.cli = cli,
                            .path = path,
                            .source = source,
                            .resume = resume,
                            .result = result};
    pthread_mutex_init(&upload.lock, NULL);
    inv_interrupt_block();
    struct inv_progress progress;
    inv_progress_start(&progress, "import", "documents", source->total_units, 0,
                       false);
    uint64_t start = inv_now_ns();
    pthread_mutex_lock(&upload.lock);
    for (; started < connections && started < INV_CONNECTIONS_MAX; started++) {
        if (pthread_create(&threads[started], NULL, worker, &upload) != 0)
            break;
        upload.running++;
    }
    if (started == 0)
        stop_with(&upload, INV_EXIT_FAILED, "no thread can be started");
    pthread_mutex_unlock(&upload.lock);
    watch(&upload, &progress);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    inv_interrupt_unblock();
    pthread_mutex_destroy(&upload.lock);
    result->seconds = (double)(inv_now_ns() - start) / 1e9;
    result->failed += source->local_errors;
    if (result->first_error[0] == '\0' && source->local_errors > 0)
        snprintf(result->first_error, sizeof result->first_error,
                 "%" PRIu64 " documents have no vectors", source->local_errors);
}
