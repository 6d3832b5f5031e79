/*
 * exchange.c: see exchange.h. Life of an exchange, the jobs that run handlers
 * on the pools, and answers in wire form. It knows connections only as
 * something that inv_http_resume wakes. I/O threads create and close
 * exchanges; workers run them.
 */
#include "server/http/exchange.h"

#include "base/clock.h"
#include "server/http/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Path, query string, arguments and header values of one request. They fit the
 * connection's 64 KiB in libmicrohttpd; here each piece starts a new 64 bytes,
 * and the shortest argument takes libmicrohttpd about as much. */
#define HEAD_CAP ((size_t)1 << 20)

static void free_exchange(void *self) {
    struct inv_exchange *exchange = self;
    inv_body_free(exchange->stream);
    inv_buf_release(&exchange->body);
    inv_buf_release(&exchange->response.body);
    inv_arena_release(&exchange->work);
    inv_arena_release(&exchange->head);
    free(exchange);
}

static void reset_response(struct inv_response *response) {
    inv_buf_release(&response->body);
    response->status = 200;
    response->content_type = "application/json";
    response->header_count = 0;
}

struct inv_exchange *inv_exchange_new(struct inv_http *http,
                                      const char *target) {
    struct inv_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    inv_ref_init(&exchange->ref, free_exchange);
    exchange->http = http;
    inv_arena_init(&exchange->head, HEAD_CAP);
    inv_arena_init(&exchange->work, http->config.arena_cap);
    reset_response(&exchange->response);
    atomic_init(&exchange->answered, false);
    exchange->request.arena = &exchange->head;
    exchange->request.received_ns = (int64_t)inv_now_ns();
    exchange->request.request_id = "";
    exchange->request.content_type = "";
    if (inv_request_target(&exchange->request, target, NULL) != INV_OK) {
        free_exchange(exchange);
        return NULL;
    }
    return exchange;
}

void inv_exchange_enter(struct inv_exchange *exchange) {
    struct inv_http *http = exchange->http;
    pthread_mutex_lock(&http->lock);
    exchange->next = http->open;
    if (http->open != NULL)
        http->open->previous = exchange;
    http->open = exchange;
    http->in_flight++;
    exchange->entered = true;
    pthread_mutex_unlock(&http->lock);
}

void inv_exchange_leave(struct inv_exchange *exchange) {
    struct inv_http *http = exchange->http;
    if (!exchange->entered)
        return;
    pthread_mutex_lock(&http->lock);
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        http->open = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    exchange->entered = false;
    if (--http->in_flight == 0)
        pthread_cond_broadcast(&http->quiet);
    pthread_mutex_unlock(&http->lock);
}

void inv_exchange_close(struct inv_exchange *exchange) {
    if (exchange->stream != NULL)
        inv_body_abort(exchange->stream);
    if (exchange->begun)
        inv_exchange_report(exchange, inv_status_http(INV_CANCELLED), 0);
    inv_exchange_leave(exchange);
    pthread_mutex_lock(&exchange->http->lock);
    exchange->closed = true;
    pthread_mutex_unlock(&exchange->http->lock);
    inv_ref_put(exchange);
}

static bool has_header(const struct inv_response *response, const char *name) {
    for (size_t i = 0; i < response->header_count; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return true;
    return false;
}

void inv_exchange_fail(struct inv_exchange *exchange,
                       const struct inv_err *err) {
    const struct inv_http_config *config = &exchange->http->config;
    struct inv_response *response = &exchange->response;
    reset_response(response);
    response->status = inv_status_http(err->status);
    config->problem(config->ctx, err, exchange->request.request_id, response);
    if (response->body.failed) /* the status alone has to do */
        inv_buf_release(&response->body);
    if ((response->status == 503 || response->status == 429) &&
        !has_header(response, "Retry-After"))
        inv_response_header(response, "Retry-After", "1");
}

void inv_exchange_handle(struct inv_exchange *exchange) {
    const struct inv_http_config *config = &exchange->http->config;
    struct inv_request *request = &exchange->request;
    if (exchange->stream == NULL) {
        request->body = exchange->body.len > 0 ? exchange->body.data : "";
        request->body_len = exchange->body.len;
    }
    request->stream = exchange->stream;
    request->arena = &exchange->work;
    config->handle(config->ctx, request, &exchange->response);
    /* A slow reader of the answer holds on to none of this. */
    request->body = exchange->stream == NULL ? "" : NULL;
    request->body_len = 0;
    inv_buf_release(&exchange->body);
    inv_arena_release(&exchange->work);
    if (exchange->response.body.failed) {
        struct inv_err err;
        inv_fail(&err, INV_MEMORY, "out of memory for the answer");
        inv_exchange_fail(exchange, &err);
    }
}

static void fail_stopping(struct inv_exchange *exchange) {
    struct inv_err err;
    inv_fail(&err, INV_BUSY, "the server is shutting down");
    inv_exchange_fail(exchange, &err);
}

void inv_exchange_run(void *arg) {
    struct inv_exchange *exchange = arg;
    if (atomic_load(&exchange->http->phase) == INV_HTTP_REFUSING)
        fail_stopping(exchange);
    else
        inv_exchange_handle(exchange);
    atomic_store(&exchange->answered, true);
    /* From here on the connection may be completed and everything freed. */
    inv_http_resume(exchange);
}

void inv_exchange_run_stream(void *arg) {
    struct inv_exchange *exchange = arg;
    struct inv_http *http = exchange->http;
    bool refusing = atomic_load(&http->phase) == INV_HTTP_REFUSING;
    if (!refusing) {
        inv_exchange_handle(exchange);
        refusing = atomic_load(&http->phase) == INV_HTTP_REFUSING &&
                   !inv_body_ended(exchange->stream);
    }
    if (refusing)
        fail_stopping(exchange);
    atomic_fetch_sub(&http->streams, 1);
    inv_body_discard(exchange->stream);
    pthread_mutex_lock(&http->lock);
    atomic_store(&exchange->answered, true);
    bool waiting = exchange->waiting;
    pthread_mutex_unlock(&http->lock);
    if (waiting)
        inv_http_resume(exchange);
    inv_ref_put(exchange);
}

/* Takes a place, unless all are taken or a shutdown has begun. */
static enum inv_status take_place(struct inv_http *http, struct inv_err *err) {
    size_t most = http->config.bulk_streams;
    size_t taken = atomic_load(&http->streams);
    do {
        if (taken >= most)
            return inv_fail(err, INV_BUSY, "%zu of %zu bulk streams are in use",
                            taken, most);
    } while (!atomic_compare_exchange_weak(&http->streams, &taken, taken + 1));
    return INV_OK;
}

/* Gives the exchange its stream, unless a shutdown aborts streams already: it
 * aborts those that it finds under the lock, and one that it cannot see yet
 * must see the shutdown. */
static bool set_stream(struct inv_exchange *exchange,
                       struct inv_body_stream *stream) {
    struct inv_http *http = exchange->http;
    pthread_mutex_lock(&http->lock);
    bool allowed =
        stream == NULL || atomic_load(&http->phase) != INV_HTTP_REFUSING;
    if (allowed)
        exchange->stream = stream;
    pthread_mutex_unlock(&http->lock);
    return allowed;
}

static enum inv_status start_stream(struct inv_exchange *exchange,
                                    struct inv_body_stream *stream,
                                    struct inv_err *err) {
    if (!set_stream(exchange, stream))
        return inv_fail(err, INV_BUSY, "the server is shutting down");
    inv_ref_get(exchange);
    enum inv_status status = inv_pool_submit(
        exchange->http->bulk, inv_exchange_run_stream, exchange, err);
    if (status != INV_OK) {
        set_stream(exchange, NULL);
        inv_ref_put(exchange); /* never the last: the connection has one */
    }
    return status;
}

enum inv_status inv_exchange_stream(struct inv_exchange *exchange,
                                    const struct inv_body_hooks *hooks,
                                    struct inv_err *err) {
    enum inv_status status = take_place(exchange->http, err);
    if (status != INV_OK)
        return status;
    struct inv_body_stream *stream = inv_body_new(INV_BODY_RING, hooks);
    if (stream == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a bulk stream");
    else
        status = start_stream(exchange, stream, err);
    if (status != INV_OK) {
        inv_body_free(stream);
        atomic_fetch_sub(&exchange->http->streams, 1);
    }
    return status;
}

void inv_exchange_report(struct inv_exchange *exchange, int status,
                         size_t bytes_out) {
    const struct inv_http_config *config = &exchange->http->config;
    if (atomic_exchange(&exchange->reported, true) || config->done == NULL)
        return;
    int64_t now = (int64_t)inv_now_ns();
    config->done(config->ctx, &exchange->request, status,
                 (double)(now - exchange->request.received_ns) * 1e-9,
                 bytes_out);
}

/* By hand: strftime writes names in the language of the locale. */
static void put_date(struct inv_buf *out) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
                                   "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(inv_wall_ms() / 1000);
    struct tm tm;
    if (gmtime_r(&now, &tm) == NULL)
        return;
    inv_buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                   days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

bool inv_exchange_claim(struct inv_exchange *exchange) {
    return atomic_exchange(&exchange->receiving, false);
}

void inv_exchange_write(const struct inv_exchange *exchange,
                        struct inv_buf *out) {
    const struct inv_response *response = &exchange->response;
    inv_buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status,
                   inv_mhd_reason(response->status));
    put_date(out);
    inv_buf_puts(out, "Connection: close\r\n");
    inv_buf_printf(out, "X-Request-ID: %s\r\n", exchange->request.request_id);
    if (response->content_type != NULL)
        inv_buf_printf(out, "Content-Type: %s\r\n", response->content_type);
    for (size_t i = 0; i < response->header_count; i++)
        inv_buf_printf(out, "%s: %s\r\n", response->headers[i].name,
                       response->headers[i].value);
    inv_buf_printf(out, "Content-Length: %zu\r\n\r\n", response->body.len);
    if (exchange->request.method != INV_HEAD)
        inv_buf_append(out, response->body.data, response->body.len);
}
