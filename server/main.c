/*
 * main.c: invard, the daemon: options, configuration, start and stop. The
 * work is done by app.c (inside) and http/ (front door).
 */
#include "server/api.h"
#include "server/options.h"

#include "base/blas.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void openblas_set_num_threads(int threads);

static void log_done(void *ctx, const struct inv_request *request, int status,
                     double seconds, size_t bytes_out) {
    (void)ctx;
    inv_log_kv(INV_LOG_DEBUG, "http", "request",
               INV_LOG_STR("path", request == NULL ? "" : request->path),
               INV_LOG_INT("status", status), INV_LOG_REAL("ms", seconds * 1e3),
               INV_LOG_INT("bytes", bytes_out),
               INV_LOG_STR("id", request == NULL ? "" : request->request_id));
}

static int complain(const struct inv_err *err) {
    fprintf(stderr, "invard: %s\n", err->text);
    return err->status == INV_INVALID ? 2 : 1;
}

/* Without a key the daemon listens on loopback only. */
static enum inv_status check_exposure(const struct inv_options *options,
                                      struct inv_err *err) {
    static const char *const loopback[] = {"127.0.0.1", "::1", "localhost"};
    if (options->app.key != NULL)
        return INV_OK;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(options->host, loopback[i]) == 0)
            return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "listening on %s needs a key (key = ... in the "
                    "configuration, or INVAR_KEY): without one only loopback "
                    "is allowed",
                    options->host);
}

static int serve(const struct inv_options *options, const sigset_t *signals) {
    struct inv_err err = {0};
    struct inv_app *app = NULL;
    struct inv_http *http = NULL;
    if (check_exposure(options, &err) != INV_OK ||
        inv_app_open(&options->app, &app, &err) != INV_OK)
        return complain(&err);
    struct inv_http_config config = {.host = options->host,
                                     .port = options->port,
                                     .io_threads = options->io_threads,
                                     .workers = options->workers,
                                     .queue_limit = options->queue,
                                     .connections = options->connections,
                                     .bulk_streams = options->bulk_streams,
                                     .idle_timeout_s = options->idle_timeout_s,
                                     .arena_cap = INV_REQUEST_ARENA_MAX,
                                     .ctx = app,
                                     .limits = inv_app_limits,
                                     .handle = inv_app_handle,
                                     .problem = inv_app_problem,
                                     .done = log_done};
    if (inv_http_start(&config, &http, &err) != INV_OK) {
        inv_app_close(app);
        return complain(&err);
    }
    app->http = http;
    bool v6 = strchr(options->host, ':') != NULL;
    printf("listening on http://%s%s%s:%u\n", v6 ? "[" : "", options->host,
           v6 ? "]" : "", inv_http_port(http));
    fflush(stdout);
    int signal = 0;
    sigwait(signals, &signal);
    inv_log(INV_LOG_INFO, "main", "%s: finishing running requests",
            strsignal(signal));
    inv_http_stop(http, options->drain_ms);
    app->http = NULL;
    inv_app_close(app);
    inv_log(INV_LOG_INFO, "main", "stopped");
    return 0;
}

int main(int argc, char **argv) {
    struct inv_options options;
    struct inv_err err = {0};
    bool stop = false;
    inv_blas_choose(argv);
    enum inv_status status =
        inv_options_read(&options, argc, argv, &stop, &err);
    if (status != INV_OK)
        return complain(&err);
    if (stop) {
        inv_options_release(&options);
        return 0;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    openblas_set_num_threads(1);
    inv_log_setup(options.log_level, options.log_format);
    inv_metrics_start();
    int code = serve(&options, &signals);
    inv_options_release(&options);
    return code;
}
