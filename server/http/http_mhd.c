/*
 * http_mhd.c: the front door's side that faces libmicrohttpd; the only file
 * that includes microhttpd.h. It does not know how the daemon starts and stops
 * (front_door.c) or how handlers run (exchange.c).
 *
 * libmicrohttpd calls on_target, on_request (once at the headers, once for
 * every piece of the body, once at its end, and once more after a suspended
 * connection was resumed) and on_completed on the connection's I/O thread. A
 * connection is suspended while a worker has its request, while a bulk reader
 * is behind, and while the linger thread says goodbye; a suspended one is
 * never completed, so its exchange cannot go away. A suspension is always
 * declared before the thread that will end it can know of the exchange.
 */
#include "server/http/exchange.h"
#include "server/http/request.h"

#include "base/log.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Memory of one connection: the request's head must fit, and half of it is
 * the read buffer, so that a piece of a body is up to 32 KiB. */
#define CONNECTION_MEMORY ((size_t)64 << 10)
/* Set aside for a body at once, whatever Content-Length says. */
#define BODY_FIRST ((size_t)1 << 20)
#define ALL_METHODS "GET, HEAD, PUT, POST, PATCH, DELETE"

void inv_http_resume(struct inv_exchange *exchange) {
    MHD_resume_connection(exchange->connection);
}

static void resume(void *arg) { inv_http_resume(arg); }

static void pause_body(void *arg) {
    struct inv_exchange *exchange = arg;
    MHD_suspend_connection(exchange->connection);
}

static enum inv_http_phase phase_of(const struct inv_exchange *exchange) {
    return (enum inv_http_phase)atomic_load(&exchange->http->phase);
}

/* ---- answering ---- */

/* The linger thread is done. What was already in the read buffer may have made
 * libmicrohttpd close the connection meanwhile, in the pass that suspended it:
 * then there is nothing to resume. */
static void end_of_linger(void *arg) {
    struct inv_exchange *exchange = arg;
    struct inv_http *http = exchange->http;
    pthread_mutex_lock(&http->lock);
    if (!exchange->closed)
        inv_http_resume(exchange);
    pthread_mutex_unlock(&http->lock);
    inv_ref_put(exchange);
}

/* Answers while the client is still sending, and parts from it. */
static enum MHD_Result depart(struct inv_exchange *exchange) {
    struct MHD_Connection *connection = exchange->connection;
    struct inv_buf out = INV_BUF_INIT;
    inv_exchange_write(exchange, &out);
    if (out.failed) {
        inv_buf_release(&out);
        return MHD_NO;
    }
    exchange->leaving = true;
    inv_exchange_report(exchange, exchange->response.status,
                        exchange->response.body.len);
    inv_exchange_leave(exchange);
    MHD_suspend_connection(connection);
    inv_ref_get(exchange);
    if (!inv_linger_add(exchange->http->linger, exchange->fd, &out,
                        end_of_linger, exchange)) {
        inv_ref_put(exchange);
        /* Too many are lingering: say it and hang up. */
        if (send(exchange->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) <
            0)
            inv_log(INV_LOG_DEBUG, "http", "a client left without its answer");
        inv_buf_release(&out);
        MHD_resume_connection(connection);
    }
    return MHD_YES;
}

static struct MHD_Response *build_response(struct inv_exchange *exchange) {
    struct inv_response *from = &exchange->response;
    size_t len = from->body.len;
    struct MHD_Response *response =
        len == 0 ? MHD_create_response_from_buffer(0, (void *)(uintptr_t) "",
                                                   MHD_RESPMEM_PERSISTENT)
                 : MHD_create_response_from_buffer(len, from->body.data,
                                                   MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return NULL;
    if (len > 0)
        from->body = (struct inv_buf)INV_BUF_INIT; /* the response has it */
    bool fine = true;
    if (from->content_type != NULL)
        fine &= MHD_YES == MHD_add_response_header(response, "Content-Type",
                                                   from->content_type);
    fine &= MHD_YES == MHD_add_response_header(response, "X-Request-ID",
                                               exchange->request.request_id);
    for (size_t i = 0; i < from->header_count; i++)
        fine &=
            MHD_YES == MHD_add_response_header(response, from->headers[i].name,
                                               from->headers[i].value);
    if (phase_of(exchange) != INV_HTTP_SERVING)
        fine &=
            MHD_YES == MHD_add_response_header(response, "Connection", "close");
    if (!fine)
        inv_log(INV_LOG_WARN, "http", "a header of the answer to %s was lost",
                exchange->request.path);
    return response;
}

/* The body has ended: the usual way to answer. MHD_NO closes the connection,
 * which is what remains when there is no memory for a response. */
static enum MHD_Result respond(struct inv_exchange *exchange) {
    int status = exchange->response.status;
    size_t bytes =
        exchange->request.method == INV_HEAD ? 0 : exchange->response.body.len;
    struct MHD_Response *response = build_response(exchange);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    if (result == MHD_YES)
        inv_exchange_report(exchange, status, bytes);
    return result;
}

/* ---- the head of a request ---- */

struct framing {
    size_t lengths, encodings;
    bool chunked;
};

static enum MHD_Result look_at_framing(void *cls, enum MHD_ValueKind kind,
                                       const char *key, const char *value) {
    struct framing *framing = cls;
    (void)kind;
    if (strcasecmp(key, "Content-Length") == 0) {
        framing->lengths++;
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->chunked = value != NULL && strcasecmp(value, "chunked") == 0;
    }
    return MHD_YES;
}

static const char *header(const struct inv_exchange *exchange,
                          const char *name) {
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                       name);
}

/* Where the body ends must be beyond doubt: what two servers in a row read
 * differently lets one client put a request into another's mouth. */
static enum inv_status read_framing(struct inv_exchange *exchange,
                                    struct inv_err *err) {
    struct framing framing = {0};
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND,
                              look_at_framing, &framing);
    if (framing.lengths > 0) /* digits only: libmicrohttpd has checked */
        exchange->declared =
            strtoull(header(exchange, "Content-Length"), NULL, 10);
    exchange->has_body = exchange->declared > 0 || framing.encodings > 0;
    if (framing.lengths + framing.encodings > 1)
        return inv_fail(err, INV_INVALID,
                        "the body's end is ambiguous: %zu Content-Length and "
                        "%zu Transfer-Encoding headers",
                        framing.lengths, framing.encodings);
    if (framing.encodings > 0 && !framing.chunked)
        return inv_fail(err, INV_UNSUPPORTED,
                        "Transfer-Encoding can only be chunked");
    return INV_OK;
}

/* Sets *out to a copy of a header's value, NULL if it was not sent. */
static bool copy_header(struct inv_exchange *exchange, const char *name,
                        const char **out) {
    const char *value = header(exchange, name);
    *out = NULL;
    if (value == NULL)
        return true;
    *out = inv_arena_strndup(&exchange->head, value, strlen(value));
    return *out != NULL;
}

static enum inv_status read_headers(struct inv_exchange *exchange,
                                    struct inv_err *err) {
    struct inv_request *request = &exchange->request;
    struct inv_arena *head = &exchange->head;
    const char *id =
        inv_http_request_id(head, header(exchange, "X-Request-ID"));
    const char *type =
        inv_request_media_type(head, header(exchange, "Content-Type"));
    if (id != NULL)
        request->request_id = id;
    if (type != NULL)
        request->content_type = type;
    bool fine = copy_header(exchange, "Authorization", &request->authorization);
    fine &= copy_header(exchange, "X-API-Key", &request->api_key);
    fine &= copy_header(exchange, "If-Match", &request->if_match);
    fine &= copy_header(exchange, "Idempotency-Key", &request->idempotency_key);
    if (id == NULL || type == NULL || !fine)
        return inv_fail(err, INV_MEMORY, "out of memory for the headers");
    return read_framing(exchange, err);
}

static enum inv_status check_size(struct inv_exchange *exchange,
                                  struct inv_err *err) {
    size_t most = exchange->limits.max_body;
    uint64_t declared = exchange->declared;
    if (declared > most)
        return inv_fail(err, INV_TOO_LARGE,
                        "the body has %llu bytes, at most %zu are allowed",
                        (unsigned long long)declared, most);
    /* Out of memory shows in body.failed when the first bytes arrive. */
    if (declared > 0)
        inv_buf_reserve(&exchange->body,
                        declared < BODY_FIRST ? declared : BODY_FIRST);
    return INV_OK;
}

/* Everything that can be said about a request before its body. */
static enum inv_status admit(struct inv_exchange *exchange, const char *method,
                             struct inv_err *err) {
    struct inv_request *request = &exchange->request;
    const struct inv_http_config *config = &exchange->http->config;
    enum inv_status status = read_headers(exchange, err);
    if (!inv_method_parse(method, &request->method))
        return inv_fail(err, INV_METHOD,
                        "the method must be one of " ALL_METHODS);
    if (status == INV_OK)
        status = inv_request_split(request, request->path, err);
    if (status == INV_OK)
        status = inv_request_parse_query(request, err);
    if (status != INV_OK)
        return status;
    exchange->limits =
        config->limits(config->ctx, request->method, request->path);
    if (phase_of(exchange) != INV_HTTP_SERVING && !exchange->limits.immediate)
        return inv_fail(err, INV_BUSY, "the server is shutting down");
    if (!exchange->limits.stream)
        return check_size(exchange, err);
    const struct inv_body_hooks hooks = {exchange, pause_body, resume};
    return inv_exchange_stream(exchange, &hooks, err);
}

static enum MHD_Result begin(struct inv_exchange *exchange,
                             struct MHD_Connection *connection,
                             const char *method) {
    struct inv_err err;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return MHD_NO;
    exchange->begun = true;
    exchange->connection = connection;
    exchange->fd = info->connect_fd;
    inv_exchange_enter(exchange);
    enum inv_status status = admit(exchange, method, &err);
    if (status == INV_OK) {
        atomic_store(&exchange->receiving, exchange->has_body);
        return MHD_YES;
    }
    inv_exchange_fail(exchange, &err);
    if (status == INV_METHOD)
        inv_response_header(&exchange->response, "Allow", ALL_METHODS);
    atomic_store(&exchange->answered, true);
    return exchange->has_body ? depart(exchange) : MHD_YES;
}

/* ---- the body and its end ---- */

/* Collects a piece, or sets the refusal. */
static void keep(struct inv_exchange *exchange, const char *bytes, size_t len) {
    struct inv_err *refusal = &exchange->refusal;
    size_t most = exchange->limits.max_body;
    size_t received = exchange->body.len + len;
    if (phase_of(exchange) == INV_HTTP_REFUSING)
        inv_fail(refusal, INV_BUSY, "the server is shutting down");
    else if (received > most)
        inv_fail(refusal, INV_TOO_LARGE,
                 "the body has more than the %zu bytes that are allowed: %zu "
                 "when it was refused",
                 most, received);
    else
        inv_buf_append(&exchange->body, bytes, len);
    if (exchange->body.failed)
        inv_fail(refusal, INV_MEMORY,
                 "out of memory for the body after %zu bytes", received);
    if (refusal->status != INV_OK)
        inv_buf_release(&exchange->body);
}

/* A piece of the body; *len becomes what was left of it. */
static enum MHD_Result take(struct inv_exchange *exchange, const char *bytes,
                            size_t *len) {
    size_t n = *len;
    *len = 0;
    if (exchange->stream != NULL && !atomic_load(&exchange->answered)) {
        size_t taken = inv_body_push(exchange->stream, bytes, n);
        atomic_fetch_add(&exchange->received, taken);
        *len = n - taken;
        return MHD_YES;
    }
    atomic_fetch_add(&exchange->received, n);
    if (exchange->stream == NULL && exchange->refusal.status == INV_OK) {
        keep(exchange, bytes, n);
        if (exchange->refusal.status == INV_OK)
            return MHD_YES;
    }
    exchange->dropped += n;
    if (exchange->dropped <= INV_DRAIN_MAX &&
        phase_of(exchange) != INV_HTTP_REFUSING)
        return MHD_YES;
    if (!inv_exchange_claim(exchange))
        return MHD_NO;
    if (exchange->stream == NULL)
        inv_exchange_fail(exchange, &exchange->refusal);
    return depart(exchange);
}

static enum MHD_Result finish_stream(struct inv_exchange *exchange) {
    struct inv_http *http = exchange->http;
    inv_body_end(exchange->stream);
    pthread_mutex_lock(&http->lock);
    bool answered = atomic_load(&exchange->answered);
    if (!answered) {
        exchange->waiting = true;
        MHD_suspend_connection(exchange->connection);
    }
    pthread_mutex_unlock(&http->lock);
    return answered ? respond(exchange) : MHD_YES;
}

/* The request is complete, or its answer is. */
static enum MHD_Result finish(struct inv_exchange *exchange) {
    if (exchange->stream != NULL)
        return finish_stream(exchange);
    if (atomic_load(&exchange->answered))
        return respond(exchange);
    if (exchange->refusal.status != INV_OK) {
        inv_exchange_fail(exchange, &exchange->refusal);
        return respond(exchange);
    }
    if (exchange->limits.immediate) {
        inv_exchange_handle(exchange);
        return respond(exchange);
    }
    struct inv_err err;
    MHD_suspend_connection(exchange->connection);
    if (inv_pool_submit(exchange->http->workers, inv_exchange_run, exchange,
                        &err) != INV_OK) {
        inv_exchange_fail(exchange, &err);
        atomic_store(&exchange->answered, true);
        inv_http_resume(exchange);
    }
    return MHD_YES;
}

/* ---- what libmicrohttpd calls ---- */

/* The request line has arrived; what is returned becomes *context below. */
static void *on_target(void *cls, const char *target,
                       struct MHD_Connection *connection) {
    (void)connection;
    return inv_exchange_new(cls, target);
}

/* Leaves text alone: request.c splits first and decodes then. */
static size_t on_unescape(void *cls, struct MHD_Connection *connection,
                          char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result no_memory(struct MHD_Connection *connection) {
    static const char text[] = "out of memory\n";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof text - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, 503, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *bytes,
                                  size_t *len, void **context) {
    (void)cls;
    (void)url;
    (void)version;
    struct inv_exchange *exchange = *context;
    if (exchange == NULL)
        return no_memory(connection);
    if (exchange->leaving)
        return MHD_NO;
    if (!exchange->begun)
        return begin(exchange, connection, method);
    if (*len > 0)
        return take(exchange, bytes, len);
    if (exchange->has_body && !exchange->complete) {
        if (!inv_exchange_claim(exchange))
            return MHD_NO;
        exchange->complete = true;
    }
    return finish(exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection,
                         void **context,
                         enum MHD_RequestTerminationCode reason) {
    (void)cls;
    (void)connection;
    (void)reason;
    if (*context != NULL)
        inv_exchange_close(*context);
    *context = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection,
                          void **context,
                          enum MHD_ConnectionNotificationCode what) {
    struct inv_http *http = cls;
    (void)connection;
    (void)context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        atomic_fetch_sub(&http->connections, 1);
}

/* ---- starting and stopping ---- */

enum inv_status inv_mhd_start(struct inv_http *http, struct inv_err *err) {
    const struct inv_http_config *config = &http->config;
    unsigned threads = (unsigned)config->io_threads;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, on_request, http, MHD_OPTION_URI_LOG_CALLBACK, on_target,
        http, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        /* Shared out evenly among the threads, while connections are not:
         * the listener enforces the limit, and closed ones are counted until
         * the thread gets round to freeing them. */
        MHD_OPTION_CONNECTION_LIMIT,
        threads * (unsigned)(config->connections + 64),
        MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_THREAD_POOL_SIZE, threads,
        MHD_OPTION_END);
    int failed = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon == NULL)
        return inv_fail_errno(err, failed, "cannot start %u I/O threads",
                              threads);
    return INV_OK;
}

const char *inv_mhd_reason(int status) {
    return MHD_get_reason_phrase_for((unsigned)status);
}

void inv_mhd_stop(struct inv_http *http) {
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
}

bool inv_mhd_add(struct inv_http *http, int fd, const struct sockaddr *address,
                 socklen_t len) {
    return MHD_add_connection(http->daemon, fd, address, len) == MHD_YES;
}

long inv_mhd_connections(const struct inv_http *http) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info == NULL ? -1 : (long)info->num_connections;
}
