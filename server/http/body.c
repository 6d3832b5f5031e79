/*
 * body.c: see body.h. One mutex and one condition per stream: bytes come in
 * pieces of some ten kilobytes, so the lock costs nothing beside the copy. It
 * does not know what a connection is.
 */
#include "server/http/body.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inv_body_stream {
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* bytes, the end, or an abort */
    struct inv_body_hooks hooks;
    bool ended, aborted, discarded, paused;
    size_t first, len, cap;
    char ring[];
};

struct inv_body_stream *inv_body_new(size_t cap,
                                     const struct inv_body_hooks *hooks) {
    struct inv_body_stream *stream = malloc(sizeof *stream + cap);
    if (stream == NULL)
        return NULL;
    *stream = (struct inv_body_stream){.hooks = *hooks, .cap = cap};
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->arrived, NULL);
    return stream;
}

void inv_body_free(struct inv_body_stream *stream) {
    if (stream == NULL)
        return;
    pthread_cond_destroy(&stream->arrived);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

static void copy_in(struct inv_body_stream *stream, const char *bytes,
                    size_t len) {
    size_t at = (stream->first + stream->len) % stream->cap;
    size_t straight = stream->cap - at < len ? stream->cap - at : len;
    memcpy(stream->ring + at, bytes, straight);
    memcpy(stream->ring, bytes + straight, len - straight);
    stream->len += len;
}

static void copy_out(struct inv_body_stream *stream, char *out, size_t len) {
    size_t at = stream->first;
    size_t straight = stream->cap - at < len ? stream->cap - at : len;
    memcpy(out, stream->ring + at, straight);
    memcpy(out + straight, stream->ring, len - straight);
    stream->first = (at + len) % stream->cap;
    stream->len -= len;
}

/* Under the lock. */
static void unpause(struct inv_body_stream *stream) {
    if (!stream->paused)
        return;
    stream->paused = false;
    stream->hooks.resume(stream->hooks.ctx);
}

size_t inv_body_push(struct inv_body_stream *stream, const void *bytes,
                     size_t len) {
    pthread_mutex_lock(&stream->lock);
    size_t taken = len;
    if (!stream->aborted && !stream->discarded) {
        size_t room = stream->cap - stream->len;
        taken = len < room ? len : room;
        copy_in(stream, bytes, taken);
        if (taken < len) {
            stream->paused = true;
            stream->hooks.pause(stream->hooks.ctx);
        }
        pthread_cond_signal(&stream->arrived);
    }
    pthread_mutex_unlock(&stream->lock);
    return taken;
}

void inv_body_end(struct inv_body_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    pthread_cond_broadcast(&stream->arrived);
    pthread_mutex_unlock(&stream->lock);
}

bool inv_body_ended(struct inv_body_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    bool ended = stream->ended;
    pthread_mutex_unlock(&stream->lock);
    return ended;
}

bool inv_body_paused(struct inv_body_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    bool paused = stream->paused;
    pthread_mutex_unlock(&stream->lock);
    return paused;
}

void inv_body_abort(struct inv_body_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    if (!stream->ended) {
        stream->aborted = true;
        unpause(stream);
        pthread_cond_broadcast(&stream->arrived);
    }
    pthread_mutex_unlock(&stream->lock);
}

void inv_body_discard(struct inv_body_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->discarded = true;
    unpause(stream);
    pthread_mutex_unlock(&stream->lock);
}

ptrdiff_t inv_body_read(struct inv_body_stream *stream, void *out, size_t cap) {
    pthread_mutex_lock(&stream->lock);
    while (stream->len == 0 && !stream->ended && !stream->aborted)
        pthread_cond_wait(&stream->arrived, &stream->lock);
    ptrdiff_t got = -1;
    if (!stream->aborted) {
        size_t n = stream->len < cap ? stream->len : cap;
        copy_out(stream, out, n);
        got = (ptrdiff_t)n;
        /* Half a ring of room: a pause costs two system calls and a wake-up,
         * so it should buy more than one read's worth of bytes. */
        if (stream->len <= stream->cap / 2)
            unpause(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    return got;
}
