/*
 * front_door.c: see front_door.h.
 */
#include "tests/support/front_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_at(const struct inv_request *request, size_t i,
                  const char *part) {
    return request->part_count > i && strcmp(request->parts[i], part) == 0;
}

static struct inv_route_limits limits(void *ctx, enum inv_method method,
                                      const char *path) {
    (void)ctx;
    (void)method;
    return (struct inv_route_limits){
        .max_body = DOOR_BODY_MAX,
        .stream = strncmp(path, "/stream", 7) == 0,
        .immediate = strcmp(path, "/live") == 0,
    };
}

static size_t number(const struct inv_request *request, const char *name) {
    const char *text = inv_request_query(request, name);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static void put(struct inv_buf *out, const char *name, const char *value) {
    inv_buf_printf(out, "%s=%s\n", name, value == NULL ? "(none)" : value);
}

static unsigned checksum(const char *bytes, size_t len, unsigned sum) {
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + (unsigned char)bytes[i];
    return sum;
}

static void echo(const struct inv_request *request, struct inv_buf *out) {
    inv_buf_printf(out, "method=%d\nparts=%zu\n", (int)request->method,
                   request->part_count);
    for (size_t i = 0; i < request->part_count; i++)
        inv_buf_printf(out, "part%zu=%zu:%s\n", i, request->part_lens[i],
                       request->parts[i]);
    put(out, "path", request->path);
    put(out, "q", inv_request_query(request, "q"));
    put(out, "bare", inv_request_query(request, "bare"));
    put(out, "type", request->content_type);
    put(out, "authorization", request->authorization);
    put(out, "key", request->api_key);
    put(out, "if_match", request->if_match);
    put(out, "idempotency", request->idempotency_key);
    put(out, "id", request->request_id);
    inv_buf_printf(out, "body=%zu:%08x\n", request->body_len,
                   checksum(request->body, request->body_len, 0));
}

static void wait_open(struct door *door) {
    pthread_mutex_lock(&door->lock);
    while (!door->open)
        pthread_cond_wait(&door->opened, &door->lock);
    pthread_mutex_unlock(&door->lock);
}

static void read_stream(struct door *door, struct inv_request *request,
                        struct inv_response *response) {
    bool some = is_at(request, 1, "some");
    size_t most = some ? number(request, "bytes") : SIZE_MAX;
    size_t count = 0;
    unsigned sum = 0;
    char block[40000];
    if (is_at(request, 1, "gate"))
        wait_open(door);
    while (count < most) {
        size_t want = most - count < sizeof block ? most - count : sizeof block;
        ptrdiff_t n = inv_body_read(request->stream, block, want);
        if (n < 0) {
            atomic_fetch_add(&door->aborted, 1);
            return;
        }
        if (n == 0)
            break;
        sum = checksum(block, (size_t)n, sum);
        count += (size_t)n;
    }
    if (some)
        response->status = 400;
    inv_buf_printf(&response->body, "%zu:%08x", count, sum);
    inv_buf_reserve(&response->body, number(request, "answer"));
    while (response->body.len < number(request, "answer"))
        inv_buf_putc(&response->body, '.');
}

static void handle(void *ctx, struct inv_request *request,
                   struct inv_response *response) {
    struct door *door = ctx;
    struct inv_buf *out = &response->body;
    atomic_fetch_add(&door->handled, 1);
    response->content_type = "text/plain";
    if (request->stream != NULL) {
        read_stream(door, request, response);
    } else if (is_at(request, 0, "echo")) {
        inv_response_header(response, "X-Test", "a\r\nX-Smuggled: b");
        inv_response_header(response, "Server-Timing", "parse;dur=%d", 1);
        echo(request, out);
    } else if (is_at(request, 0, "big")) {
        size_t n = number(request, "bytes");
        inv_buf_reserve(out, n);
        while (out->len < n)
            inv_buf_putc(out, (char)('a' + out->len % 26));
    } else if (is_at(request, 0, "gate")) {
        wait_open(door);
        inv_buf_puts(out, "through");
    } else if (is_at(request, 0, "memory")) {
        inv_buf_puts(out, "half an ans");
        out->failed = true;
    } else if (is_at(request, 0, "live")) {
        inv_buf_puts(out, "alive");
    } else {
        response->status = 404;
    }
    if (inv_arena_alloc(request->arena, 100000) == NULL)
        response->status = 500;
    atomic_fetch_add(&door->finished, 1);
}

static void problem(void *ctx, const struct inv_err *err,
                    const char *request_id, struct inv_response *response) {
    (void)ctx;
    (void)request_id;
    response->status = inv_status_http(err->status);
    response->content_type = "text/plain";
    inv_buf_puts(&response->body, err->text);
}

static void done(void *ctx, const struct inv_request *request, int status,
                 double seconds, size_t bytes_out) {
    struct door *door = ctx;
    (void)bytes_out;
    if (request->path == NULL || seconds < 0 || status < 200 || status > 599)
        abort();
    atomic_fetch_add(&door->done_by_class[status / 100], 1);
    atomic_fetch_add(&door->done, 1);
}

struct inv_http_config door_config(struct door *door) {
    return (struct inv_http_config){
        .host = "127.0.0.1",
        .port = 0,
        .io_threads = 2,
        .workers = 2,
        .queue_limit = 64,
        .connections = 1024,
        .bulk_streams = 2,
        .idle_timeout_s = 30,
        .arena_cap = (size_t)1 << 20,
        .ctx = door,
        .limits = limits,
        .handle = handle,
        .problem = problem,
        .done = done,
    };
}

void door_start(struct door *door, const struct inv_http_config *config) {
    *door = (struct door){0};
    pthread_mutex_init(&door->lock, NULL);
    pthread_cond_init(&door->opened, NULL);
    struct inv_http_config usual = door_config(door);
    struct inv_err err;
    if (inv_http_start(config == NULL ? &usual : config, &door->http, &err) !=
        INV_OK) {
        fprintf(stderr, "inv_http_start: %s\n", err.text);
        abort();
    }
    door->port = inv_http_port(door->http);
}

void door_stop(struct door *door, unsigned drain_ms) {
    if (door->http == NULL)
        return;
    inv_http_stop(door->http, drain_ms);
    door->http = NULL;
    pthread_cond_destroy(&door->opened);
    pthread_mutex_destroy(&door->lock);
}

void door_open(struct door *door) {
    pthread_mutex_lock(&door->lock);
    door->open = true;
    pthread_cond_broadcast(&door->opened);
    pthread_mutex_unlock(&door->lock);
}

bool door_wait(atomic_int *value, int least) {
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000 && atomic_load(value) < least; i++)
        nanosleep(&pause, NULL);
    return atomic_load(value) >= least;
}
