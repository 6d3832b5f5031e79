/*
 * http.h: requests and responses as plain structs, and the daemon's front door
 * (http_mhd.c is the only file that includes microhttpd.h). Handlers see no
 * sockets, so tests can call them without a network.
 *
 * Threads: I/O threads (epoll) only copy bytes. A complete request is handed
 * to a bounded worker pool; its connection is suspended meanwhile. A full queue
 * answers 503 with Retry-After. Handlers run on a worker, one request each.
 */
#ifndef INV_SERVER_HTTP_HTTP_H
#define INV_SERVER_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_method { INV_GET, INV_PUT, INV_POST, INV_PATCH, INV_DELETE, INV_HEAD };

#define INV_PATH_PARTS_MAX 12

struct inv_body_stream; /* the body of a streaming request */

struct inv_request {
    enum inv_method method;
    const char *path; /* as sent, without the query string */
    /* The path split at '/', each part percent-decoded afterwards (an id may
     * hold a slash as %2F); NUL-terminated and with a length. */
    const char *parts[INV_PATH_PARTS_MAX];
    size_t part_lens[INV_PATH_PARTS_MAX];
    size_t part_count;
    const char *body; /* whole body; NULL for a streaming route */
    size_t body_len;
    struct inv_body_stream *stream; /* of a streaming route, else NULL */
    /* Media type, lower case, without parameters; "" if none was sent. */
    const char *content_type;
    const char *request_id;    /* X-Request-ID as sent, or generated */
    const char *authorization; /* header values or NULL */
    const char *api_key;
    const char *if_match;
    const char *idempotency_key;
    struct inv_arena *arena; /* freed after the response is sent */
    int64_t received_ns;     /* monotonic */
    void *query_ctx;         /* see inv_request_query */
    const char *(*query)(void *query_ctx, const char *name);
};

/* The decoded value of a query-string argument ("" for a bare name), or NULL.
 */
const char *inv_request_query(const struct inv_request *request,
                              const char *name);

/* Every argument of the query string must be among `names` (ended by NULL):
 * INV_INVALID naming the first that is not, and those that are. */
enum inv_status inv_request_query_allow(const struct inv_request *request,
                                        const char *const *names,
                                        struct inv_err *err) INV_MUST_USE;

/* Blocks until bytes arrive: 0 at the end of the body, -1 when the client left
 * before the declared end (change nothing more then), else the count read. */
ptrdiff_t inv_body_read(struct inv_body_stream *stream, void *out, size_t cap);

#define INV_RESPONSE_HEADERS_MAX 8

struct inv_response {
    int status;               /* 200 to begin with */
    const char *content_type; /* "application/json" to begin with; static */
    struct inv_buf body;
    struct {
        char name[32];
        char value[256];
    } headers[INV_RESPONSE_HEADERS_MAX];
    size_t header_count;
};

void inv_response_header(struct inv_response *response, const char *name,
                         const char *fmt, ...) INV_PRINTF(3, 4);

/* What is known of a request when its headers have arrived. */
struct inv_route_limits {
    size_t max_body; /* 413 above it, at the headers if they say so */
    bool stream;     /* handler reads the body itself (bulk); runs on the bulk
                        pool; max_body does not apply */
    bool immediate;  /* livez, readyz, metrics: answered on the I/O thread */
};

struct inv_http_config {
    const char *host;
    uint16_t port; /* 0: any free one */
    int io_threads, workers;
    size_t queue_limit, connections, bulk_streams;
    unsigned idle_timeout_s;
    size_t arena_cap;
    void *ctx;
    /* I/O thread; must be quick. */
    struct inv_route_limits (*limits)(void *ctx, enum inv_method method,
                                      const char *path);
    /* Worker thread (I/O thread for immediate routes). Fills the response. */
    void (*handle)(void *ctx, struct inv_request *request,
                   struct inv_response *response);
    /* Any thread: writes the problem+json answer of an error the front door
     * itself found (413, 503, 400 ...). */
    void (*problem)(void *ctx, const struct inv_err *err,
                    const char *request_id, struct inv_response *response);
    /* Any thread, after a response is queued: for log and metrics. `status` as
     * sent; NULL: not wanted. */
    void (*done)(void *ctx, const struct inv_request *request, int status,
                 double seconds, size_t bytes_out);
};

struct inv_http;

enum inv_status inv_http_start(const struct inv_http_config *config,
                               struct inv_http **out,
                               struct inv_err *err) INV_MUST_USE;
uint16_t inv_http_port(const struct inv_http *http);
size_t inv_http_queue_depth(const struct inv_http *http);
/* Stops accepting, lets running requests finish for up to drain_ms, answers
 * the rest 503, joins all threads, frees. */
void inv_http_stop(struct inv_http *http, unsigned drain_ms);

/* Splits and decodes a path into request->parts (memory from the arena).
 * INV_INVALID for a bad percent escape or an embedded NUL, naming the byte. */
enum inv_status inv_request_split(struct inv_request *request, const char *path,
                                  struct inv_err *err) INV_MUST_USE;

#endif
