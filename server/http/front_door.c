/*
 * front_door.c: starting and stopping the front door, see http.h, and the
 * count of its connections. Between the two it has nothing to do: the
 * listener's thread hands sockets to libmicrohttpd, which calls http_mhd.c.
 * inv_http_start and inv_http_stop belong to the main thread.
 */
#include "server/http/exchange.h"

#include "base/clock.h"

#include <stdlib.h>

/* How long answers may take to leave once all handlers are back. */
#define FLUSH_MS 1000

static bool on_full(void *ctx) {
    struct inv_http *http = ctx;
    long limit = (long)http->config.connections;
    if (atomic_load(&http->connections) < limit) {
        http->doubt_since_ns = 0;
        return false;
    }
    /* libmicrohttpd drops a connection without a word when it has no memory
     * for it. Its own count, which lags behind by what it has just been given,
     * then says so: believe it when it has done so for five seconds. */
    long theirs = inv_mhd_connections(http);
    uint64_t now = inv_now_ns();
    if (theirs < 0 || theirs >= limit)
        http->doubt_since_ns = 0;
    else if (http->doubt_since_ns == 0)
        http->doubt_since_ns = now;
    else if (now - http->doubt_since_ns > UINT64_C(5000000000))
        atomic_store(&http->connections, theirs);
    return atomic_load(&http->connections) >= limit;
}

static void on_accepted(void *ctx, int fd, const struct sockaddr *address,
                        socklen_t len) {
    struct inv_http *http = ctx;
    atomic_fetch_add(&http->connections, 1);
    if (!inv_mhd_add(http, fd, address, len))
        atomic_fetch_sub(&http->connections, 1);
}

static void free_http(struct inv_http *http) {
    inv_listener_close(http->listener);
    inv_linger_free(http->linger);
    inv_mhd_stop(http);
    inv_pool_free(http->workers);
    inv_pool_free(http->bulk);
    pthread_cond_destroy(&http->quiet);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

static enum inv_status check_config(const struct inv_http_config *config,
                                    struct inv_err *err) {
    if (config->io_threads < 1 || config->workers < 1)
        return inv_fail(err, INV_INVALID,
                        "at least one I/O thread and one worker are needed, "
                        "got %d and %d",
                        config->io_threads, config->workers);
    if (config->connections < 1 || config->connections > 1000000)
        return inv_fail(err, INV_INVALID,
                        "connections must be 1 to 1000000, got %zu",
                        config->connections);
    return INV_OK;
}

enum inv_status inv_http_start(const struct inv_http_config *config,
                               struct inv_http **out, struct inv_err *err) {
    enum inv_status status = check_config(config, err);
    if (status != INV_OK)
        return status;
    struct inv_http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for the front door");
    http->config = *config;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&http->quiet, &attributes);
    pthread_condattr_destroy(&attributes);
    const struct inv_listener_hooks hooks = {http, on_full, on_accepted};
    size_t bulk = config->bulk_streams > 0 ? config->bulk_streams : 1;
    status =
        inv_listener_open(config->host, config->port, &http->listener, err);
    if (status == INV_OK)
        status = inv_linger_new(inv_http_find_lost, http, &http->linger, err);
    if (status == INV_OK)
        status = inv_pool_new("http-worker", (size_t)config->workers,
                              config->queue_limit, &http->workers, err);
    if (status == INV_OK)
        status = inv_pool_new("http-bulk", bulk, bulk, &http->bulk, err);
    if (status == INV_OK)
        status = inv_mhd_start(http, err);
    if (status == INV_OK)
        status = inv_listener_start(http->listener, &hooks, err);
    if (status != INV_OK) {
        free_http(http);
        return status;
    }
    http->port = inv_listener_port(http->listener);
    *out = http;
    return INV_OK;
}

uint16_t inv_http_port(const struct inv_http *http) { return http->port; }

size_t inv_http_queue_depth(const struct inv_http *http) {
    return inv_pool_depth(http->workers);
}

/* Waits until no request is under way, for `ms` at most. */
static void wait_quiet(struct inv_http *http, unsigned ms) {
    uint64_t end = inv_now_ns() + (uint64_t)ms * 1000000;
    const struct timespec until = {
        .tv_sec = (time_t)(end / UINT64_C(1000000000)),
        .tv_nsec = (long)(end % UINT64_C(1000000000)),
    };
    int late = 0;
    pthread_mutex_lock(&http->lock);
    while (http->in_flight > 0 && late == 0)
        late = pthread_cond_timedwait(&http->quiet, &http->lock, &until);
    pthread_mutex_unlock(&http->lock);
}

void inv_http_stop(struct inv_http *http, unsigned drain_ms) {
    inv_listener_close(http->listener);
    http->listener = NULL;
    atomic_store(&http->phase, INV_HTTP_DRAINING);
    wait_quiet(http, drain_ms);

    pthread_mutex_lock(&http->lock);
    atomic_store(&http->phase, INV_HTTP_REFUSING);
    for (struct inv_exchange *e = http->open; e != NULL; e = e->next)
        if (e->stream != NULL)
            inv_body_abort(e->stream);
    pthread_mutex_unlock(&http->lock);
    /* Handlers that run come back; those that wait answer 503. After this
     * nothing suspends a connection for longer than one callback. */
    inv_pool_stop(http->workers);
    inv_pool_stop(http->bulk);
    inv_http_cut_off(http);
    wait_quiet(http, FLUSH_MS);
    free_http(http);
}
