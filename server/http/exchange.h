/*
 * exchange.h: one request and its answer, from the first header to the last
 * byte; private to the front door. exchange.c holds what does not concern
 * libmicrohttpd, http_mhd.c what does, front_door.c starts and stops it all.
 *
 * An exchange has two owners at most: the connection (until
 * libmicrohttpd reports the request as completed) and, for a streaming route,
 * the handler's job. A normal route's job needs no share of its own: the
 * connection is suspended while it runs, and a suspended connection is never
 * completed.
 */
#ifndef INV_SERVER_HTTP_EXCHANGE_H
#define INV_SERVER_HTTP_EXCHANGE_H

#include "base/pool.h"
#include "base/ref.h"
#include "server/http/body.h"
#include "server/http/http.h"
#include "server/http/linger.h"
#include "server/http/listener.h"

#include <pthread.h>
#include <stdatomic.h>

/* How much of an unwanted body is read before the answer goes out with the
 * connection still good for the next request; beyond it the client is answered
 * in the middle and the connection closed. */
#define INV_DRAIN_MAX ((size_t)8 << 20)

enum inv_http_phase {
    INV_HTTP_SERVING,
    INV_HTTP_DRAINING, /* new requests get 503, those begun may finish */
    INV_HTTP_REFUSING, /* only handlers that run already finish */
};

struct MHD_Connection;
struct MHD_Daemon;

struct inv_http {
    struct inv_http_config config;
    struct MHD_Daemon *daemon;
    struct inv_listener *listener;
    struct inv_linger *linger;
    struct inv_pool *workers;
    struct inv_pool *bulk;
    uint16_t port;
    atomic_int phase;        /* enum inv_http_phase */
    atomic_size_t streams;   /* bulk handlers queued or running */
    atomic_long connections; /* accepted and not closed */
    uint64_t doubt_since_ns; /* listener's thread only, see on_full */
    pthread_mutex_t lock;    /* the next three, and `waiting` of exchanges */
    pthread_cond_t quiet;    /* in_flight has reached 0 */
    struct inv_exchange *open;
    size_t in_flight;
};

struct inv_exchange {
    struct inv_ref ref;
    struct inv_http *http;
    struct MHD_Connection *connection;
    struct inv_exchange *next, *previous; /* in http->open */

    struct inv_request request;
    struct inv_response response;
    struct inv_arena head; /* path, query, header values: kept for `done` */
    struct inv_arena work; /* request.arena: freed when the handler is back */
    struct inv_route_limits limits;
    uint64_t declared; /* Content-Length, 0 if not given */
    bool has_body;     /* one was announced */

    /* I/O thread only */
    bool begun;    /* the headers have arrived: it counts as a request */
    bool entered;  /* in http->open */
    bool complete; /* the body has ended */
    bool leaving;  /* the linger thread has it: nothing more to do */
    bool closed;   /* libmicrohttpd is done with it; under http->lock */
    struct inv_buf body;
    size_t dropped;
    struct inv_err refusal; /* status INV_OK: none */

    /* While a body is on its way another thread may cut the client off
     * (hang_up.c). Who turns `receiving` from true to false answers. */
    int fd;
    atomic_bool receiving;
    atomic_bool reported;   /* `done` was called */
    atomic_size_t received; /* bytes of the body */
    size_t suspected;       /* hang_up.c: received + 1 at the last look, or 0 */

    /* Streaming: set by the handler's job when the response is complete. Other
     * routes: set before the connection is resumed. */
    atomic_bool answered;
    bool waiting; /* suspended at the end of the body until `answered` */
    struct inv_body_stream *stream;
};

/* NULL: out of memory. `target` as in inv_request_target. */
struct inv_exchange *inv_exchange_new(struct inv_http *http,
                                      const char *target);
/* Gives up the connection's share. */
void inv_exchange_close(struct inv_exchange *exchange);

/* Joins or leaves those that a shutdown waits for. */
void inv_exchange_enter(struct inv_exchange *exchange);
void inv_exchange_leave(struct inv_exchange *exchange);

/* Fills the response with an error of the front door. */
void inv_exchange_fail(struct inv_exchange *exchange,
                       const struct inv_err *err);
/* Calls the handler, here and now. */
void inv_exchange_handle(struct inv_exchange *exchange);
/* Pool jobs (arg: the exchange). They end with inv_http_resume where the
 * connection waits. */
void inv_exchange_run(void *arg);
void inv_exchange_run_stream(void *arg);
/* Takes a place among the bulk streams and starts the handler. */
enum inv_status inv_exchange_stream(struct inv_exchange *exchange,
                                    const struct inv_body_hooks *hooks,
                                    struct inv_err *err) INV_MUST_USE;

/* Tells `done`, once. */
void inv_exchange_report(struct inv_exchange *exchange, int status,
                         size_t bytes_out);
/* The whole answer as it goes over the wire, closing the connection. */
void inv_exchange_write(const struct inv_exchange *exchange,
                        struct inv_buf *out);
/* May the caller answer before the body has ended? True once, for whoever
 * comes first. */
bool inv_exchange_claim(struct inv_exchange *exchange);

/* ---- hang_up.c ---- */

/* Finds clients that have left without libmicrohttpd noticing, and tells it.
 * To be called once a second; ctx is the struct inv_http. */
void inv_http_find_lost(void *ctx);
/* Answers 503 to all whose bodies are still on their way, and hangs up. Only
 * when no handler runs any more. */
void inv_http_cut_off(struct inv_http *http);

/* ---- http_mhd.c ---- */

/* Lets a suspended connection go on. */
void inv_http_resume(struct inv_exchange *exchange);

/* Starts and stops the I/O threads. No connection may be suspended for longer
 * than a callback takes when they stop. */
enum inv_status inv_mhd_start(struct inv_http *http,
                              struct inv_err *err) INV_MUST_USE;
void inv_mhd_stop(struct inv_http *http);
/* Takes over a socket; closes it and returns false when that fails. */
bool inv_mhd_add(struct inv_http *http, int fd, const struct sockaddr *address,
                 socklen_t len);
const char *inv_mhd_reason(int status); /* "Not Found" */
/* What libmicrohttpd counts: not those that it was given a moment ago. */
long inv_mhd_connections(const struct inv_http *http);

#endif
