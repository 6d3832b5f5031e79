/*
 * hang_up.c: ending exchanges whose bodies will not come to an end. It works on
 * sockets that libmicrohttpd polls, from other threads, so it only looks, says
 * a last word and shuts down: libmicrohttpd then sees the end and closes.
 *
 * A socket stays open as long as its exchange is in http->open: it is closed
 * after the exchange has left, and leaving takes http->lock.
 *
 * Clients get lost because libmicrohttpd 0.9.75 waits edge-triggered and takes
 * a read that did not fill its buffer for the last before the next event. When
 * the end of the connection had arrived together with the last bytes, there is
 * no next event: a killed bulk import would hold its stream until the idle
 * timeout. Runs on the linger thread (find) and the stopping thread (cut).
 */
#include "server/http/exchange.h"

#include <sys/socket.h>

static bool is_at_end(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Has it been at its end for a second, without a byte in between? Within that
 * second an I/O thread takes whatever it has read already, unless the reader
 * of the stream has stopped it. */
static bool is_lost(struct inv_exchange *exchange) {
    if (!atomic_load(&exchange->receiving) || !is_at_end(exchange->fd) ||
        (exchange->stream != NULL && inv_body_paused(exchange->stream))) {
        exchange->suspected = 0;
        return false;
    }
    size_t mark = atomic_load(&exchange->received) + 1;
    if (exchange->suspected == mark)
        return true;
    exchange->suspected = mark;
    return false;
}

void inv_http_find_lost(void *ctx) {
    struct inv_http *http = ctx;
    pthread_mutex_lock(&http->lock);
    for (struct inv_exchange *e = http->open; e != NULL; e = e->next)
        if (is_lost(e) && inv_exchange_claim(e))
            shutdown(e->fd, SHUT_RDWR);
    pthread_mutex_unlock(&http->lock);
}

static void cut_off(struct inv_exchange *exchange) {
    struct inv_err err;
    struct inv_buf out = INV_BUF_INIT;
    inv_fail(&err, INV_BUSY, "the server is shutting down");
    inv_exchange_fail(exchange, &err);
    inv_exchange_write(exchange, &out);
    ssize_t sent = -1;
    if (!out.failed)
        sent =
            send(exchange->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    inv_buf_release(&out);
    if (sent > 0)
        inv_exchange_report(exchange, exchange->response.status,
                            exchange->response.body.len);
    shutdown(exchange->fd, SHUT_RDWR);
}

void inv_http_cut_off(struct inv_http *http) {
    pthread_mutex_lock(&http->lock);
    for (struct inv_exchange *e = http->open; e != NULL; e = e->next)
        if (inv_exchange_claim(e))
            cut_off(e);
    pthread_mutex_unlock(&http->lock);
}
