/*
 * body.h: the body of a streaming request as a bounded ring between the I/O
 * thread that receives and the handler that reads (inv_body_read, http.h). A
 * full ring pauses the connection, so a slow reader slows the client down
 * instead of filling memory.
 *
 * pause and resume run under the stream's lock, pause on the I/O thread inside
 * inv_body_push, resume on whichever thread made room. Every resume follows
 * one pause.
 */
#ifndef INV_SERVER_HTTP_BODY_H
#define INV_SERVER_HTTP_BODY_H

#include "server/http/http.h"

#define INV_BODY_RING ((size_t)1 << 20)

struct inv_body_hooks {
    void *ctx;
    void (*pause)(void *ctx);
    void (*resume)(void *ctx);
};

/* A ring of `cap` bytes (>= 2). NULL: out of memory. */
struct inv_body_stream *inv_body_new(size_t cap,
                                     const struct inv_body_hooks *hooks);
void inv_body_free(struct inv_body_stream *stream); /* NULL is fine */

/* I/O thread. Takes what fits, returns how much that was; less than `len`
 * means that the connection was paused. After abort or discard everything is
 * taken and dropped. */
size_t inv_body_push(struct inv_body_stream *stream, const void *bytes,
                     size_t len);
/* The declared end has arrived: a reader gets 0 after the last byte. */
void inv_body_end(struct inv_body_stream *stream);
bool inv_body_ended(struct inv_body_stream *stream);
bool inv_body_paused(struct inv_body_stream *stream);
/* The client has left, or the daemon stops: readers get -1 from now on. No
 * effect once the end has arrived. Any thread. */
void inv_body_abort(struct inv_body_stream *stream);
/* The handler will read no more. Any thread. */
void inv_body_discard(struct inv_body_stream *stream);

#endif
