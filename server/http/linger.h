/*
 * linger.h: sending a final answer to a client that is still sending.
 *
 * libmicrohttpd can answer only before the body or after it. A body that is
 * refused in the middle, or one whose rest nobody wants, is answered here: the
 * bytes of the answer go straight to the socket, then what still comes in is
 * read and dropped for a while. Closing at once would reset the connection,
 * and the reset can destroy the answer before the client has read it.
 */
#ifndef INV_SERVER_HTTP_LINGER_H
#define INV_SERVER_HTTP_LINGER_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>

#define INV_LINGER_MAX 64  /* clients at once */
#define INV_LINGER_MS 5000 /* for one client */

struct inv_linger;

/* tick(ctx) is called about once a second on the linger thread. */
enum inv_status inv_linger_new(void (*tick)(void *ctx), void *ctx,
                               struct inv_linger **out,
                               struct inv_err *err) INV_MUST_USE;

/* Takes the answer's memory and a duplicate of a non-blocking socket's
 * descriptor until gone(arg) is called, once, on the linger thread. By then the
 * socket is shut down in both directions. false: no place, or stopping; then
 * nothing was taken. Any thread. */
bool inv_linger_add(struct inv_linger *linger, int fd, struct inv_buf *answer,
                    void (*gone)(void *arg), void *arg);

/* Lets go of everyone, joins the thread, frees. NULL is fine. */
void inv_linger_free(struct inv_linger *linger);

#endif
