/*
 * api.c: see api.h. One thread; the daemon's own threads run beside it.
 */
#include "tests/support/api.h"

#include "base/file.h"
#include "base/log.h"
#include "server/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void openblas_set_num_threads(int threads);

/* ---- the daemon ---- */

void api_init(struct api *api) {
    *api = (struct api){.fd = -1};
    api->config = (struct inv_app_config){
        .max_body = (size_t)8 << 20,
        .max_doc_tokens = 64,
        .max_query_tokens = 16,
        .build_threads = 1,
        .seal_idle_ns = INT64_C(3600) * 1000000000, /* not by itself */
        .seal_idle_entries = 1u << 30,
    };
    /* In memory where that can be: here it is not asked what a crash leaves,
     * and a sync of a busy disk takes a tenth of a second. */
    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL || strlen(tmp) > 40)
        tmp = "/tmp";
    if (access("/dev/shm", W_OK) == 0)
        tmp = "/dev/shm";
    snprintf(api->dir, sizeof api->dir, "%s/invar-api-XXXXXX", tmp);
    ck_assert_ptr_nonnull(mkdtemp(api->dir));
    api->config.data_dir = api->dir;
}

static void open_daemon(struct api *api) {
    struct inv_err err = {0};
    enum inv_status status = inv_app_open(&api->config, &api->app, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    struct inv_http_config config = {.host = "127.0.0.1",
                                     .io_threads = 1,
                                     .workers = 2,
                                     .queue_limit = 64,
                                     .connections = 64,
                                     .bulk_streams = 2,
                                     .idle_timeout_s = 60,
                                     .arena_cap = INV_REQUEST_ARENA_MAX,
                                     .ctx = api->app,
                                     .limits = inv_app_limits,
                                     .handle = inv_app_handle,
                                     .problem = inv_app_problem};
    status = inv_http_start(&config, &api->http, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    api->app->http = api->http;
    api->port = inv_http_port(api->http);
    inv_app_wait_loaded(api->app);
}

static void close_daemon(struct api *api) {
    if (api->fd >= 0)
        close(api->fd);
    api->fd = -1;
    inv_http_stop(api->http, 2000);
    api->app->http = NULL;
    inv_app_close(api->app);
}

void api_start(struct api *api) {
    static bool counting;
    openblas_set_num_threads(1);
    inv_log_setup(INV_LOG_ERROR, INV_LOG_TEXT);
    if (!counting)
        inv_metrics_start();
    counting = true;
    open_daemon(api);
}

void api_restart(struct api *api) {
    close_daemon(api);
    open_daemon(api);
}

void api_stop(struct api *api) {
    struct inv_err err = {0};
    close_daemon(api);
    inv_json_free(api->json);
    api->json = NULL;
    raw_release(&api->reply);
    ck_assert_msg(inv_file_remove_tree(api->dir, &err) == INV_OK, "%s",
                  err.text);
}

/* ---- requests ---- */

/* Head and body in one piece: two small ones would wait 40 ms for each other
 * (Nagle and delayed acknowledgements). */
static bool exchange(struct api *api, const struct api_request *request,
                     const struct inv_buf *whole) {
    bool bodiless = strcmp(request->method, "HEAD") == 0;
    if (api->fd < 0)
        api->fd = raw_connect(api->port);
    bool sent = raw_send(api->fd, whole->data, whole->len);
    /* A server that refuses a body early may close before it has it all. */
    int status = bodiless ? raw_read_head(api->fd, &api->reply)
                          : raw_read(api->fd, &api->reply);
    const char *connection = raw_header(&api->reply, "Connection");
    if (!sent || status == 0 ||
        (connection != NULL && strcasecmp(connection, "close") == 0)) {
        close(api->fd);
        api->fd = -1;
    }
    return status != 0;
}

int api_send(struct api *api, const struct api_request *request) {
    struct inv_buf whole = INV_BUF_INIT;
    inv_json_free(api->json);
    api->json = NULL;
    inv_buf_printf(&whole, "%s %s HTTP/1.1\r\nHost: localhost\r\n",
                   request->method, request->path);
    if (request->body != NULL)
        inv_buf_printf(&whole, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                       request->type == NULL ? "application/json"
                                             : request->type,
                       request->len);
    inv_buf_puts(&whole, request->headers == NULL ? "" : request->headers);
    inv_buf_puts(&whole, "\r\n");
    if (request->len > 0)
        inv_buf_append(&whole, request->body, request->len);
    bool fresh = api->fd < 0;
    raw_release(&api->reply);
    bool answered = exchange(api, request, &whole);
    if (!answered && !fresh) { /* the idle connection had been closed */
        raw_release(&api->reply);
        answered = exchange(api, request, &whole);
    }
    ck_assert_msg(answered, "no answer to %s %s", request->method,
                  request->path);
    inv_buf_release(&whole);
    if (api->reply.body.len > 0 && api->reply.body.data[0] == '{')
        ck_assert_int_eq(inv_json_parse_plain(api->reply.body.data,
                                              api->reply.body.len, &api->json,
                                              NULL),
                         INV_OK);
    return api->reply.status;
}

static int send_text(struct api *api, const char *method, const char *path,
                     const char *fmt, va_list args) {
    struct api_request request = {.method = method, .path = path};
    char *text = NULL;
    if (fmt != NULL) {
        int n = vasprintf(&text, fmt, args);
        ck_assert_int_ge(n, 0);
        request.body = text;
        request.len = (size_t)n;
    }
    int status = api_send(api, &request);
    free(text);
    return status;
}

int api_do(struct api *api, const char *method, const char *path,
           const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int status = send_text(api, method, path, fmt, args);
    va_end(args);
    return status;
}

void api_ok(struct api *api, const char *method, const char *path,
            const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int status = send_text(api, method, path, fmt, args);
    va_end(args);
    ck_assert_msg(status / 100 == 2, "%s %s: %d %.1000s", method, path, status,
                  api_body(api));
}

const char *api_body(const struct api *api) {
    return api->reply.body.data == NULL ? "" : api->reply.body.data;
}

/* ---- replies ---- */

const inv_json *api_at(const struct api *api, const char *pointer) {
    const inv_json *value = api->json;
    while (value != NULL && *pointer == '/') {
        char key[128];
        size_t n = strcspn(++pointer, "/");
        ck_assert_uint_lt(n, sizeof key);
        memcpy(key, pointer, n);
        key[n] = '\0';
        pointer += n;
        enum inv_json_kind kind = inv_json_kind(value);
        if (kind == INV_JSON_ARRAY)
            value = inv_json_at(value, strtoul(key, NULL, 10));
        else
            value = kind == INV_JSON_OBJECT ? inv_json_get(value, key) : NULL;
    }
    return value;
}

static const inv_json *need(const struct api *api, const char *pointer,
                            bool right, const char *what) {
    const inv_json *value = api_at(api, pointer);
    ck_assert_msg(value != NULL && right, "%s is not %s in %d %.1000s", pointer,
                  what, api->reply.status, api_body(api));
    return value;
}

static enum inv_json_kind kind_at(const struct api *api, const char *pointer) {
    const inv_json *value = api_at(api, pointer);
    return value == NULL ? INV_JSON_NULL : inv_json_kind(value);
}

const char *api_string(const struct api *api, const char *pointer) {
    bool right = kind_at(api, pointer) == INV_JSON_STRING;
    return inv_json_string(need(api, pointer, right, "a string"), NULL);
}

int64_t api_int(const struct api *api, const char *pointer) {
    bool right = kind_at(api, pointer) == INV_JSON_INT;
    return inv_json_int(need(api, pointer, right, "an integer"));
}

double api_number(const struct api *api, const char *pointer) {
    enum inv_json_kind kind = kind_at(api, pointer);
    bool right = kind == INV_JSON_INT || kind == INV_JSON_REAL;
    return inv_json_real(need(api, pointer, right, "a number"));
}

size_t api_size(const struct api *api, const char *pointer) {
    enum inv_json_kind kind = kind_at(api, pointer);
    bool right = kind == INV_JSON_ARRAY || kind == INV_JSON_OBJECT;
    return inv_json_size(need(api, pointer, right, "an array or object"));
}

void api_refused(const struct api *api, int status, const char *code,
                 const char *pointer, const char *pieces) {
    const char *body = api_body(api);
    ck_assert_msg(api->reply.status == status, "expected %d, got %d %.1000s",
                  status, api->reply.status, body);
    ck_assert_str_eq(raw_header(&api->reply, "Content-Type"),
                     "application/problem+json");
    ck_assert_msg(strcmp(api_string(api, "/code"), code) == 0,
                  "expected the code %s, got %.1000s", code, body);
    ck_assert_int_eq(api_int(api, "/status"), status);
    ck_assert_str_eq(api_string(api, "/request_id"),
                     raw_header(&api->reply, "X-Request-ID"));
    if (pointer == NULL)
        ck_assert_msg(api_at(api, "/errors") == NULL, "unexpected errors: %s",
                      body);
    else
        ck_assert_msg(strcmp(api_string(api, "/errors/0/pointer"), pointer) ==
                          0,
                      "expected an error at %s, got %.1000s", pointer, body);
    const char *detail = api_string(api, "/detail");
    while (pieces != NULL && *pieces != '\0') {
        size_t n = strcspn(pieces, "|");
        ck_assert_msg(memmem(detail, strlen(detail), pieces, n) != NULL,
                      "\"%.*s\" is not in: %s", (int)n, pieces, detail);
        pieces += n + (pieces[n] == '|');
    }
}

char *api_state(struct api *api, const char *collection) {
    char path[256];
    struct inv_buf state = INV_BUF_INIT;
    snprintf(path, sizeof path, "/v1/collections/%s/documents/count",
             collection);
    api_ok(api, "POST", path, "{}");
    inv_buf_puts(&state, api_body(api));
    snprintf(path, sizeof path, "/v1/collections/%s/documents/scroll",
             collection);
    api_ok(api, "POST", path,
           "{\"limit\":10000,\"with\":{\"payload\":true,"
           "\"vectors\":true}}");
    inv_buf_puts(&state, api_body(api));
    ck_assert(!state.failed);
    return state.data;
}

const char *api_wait_job(struct api *api) {
    char path[64];
    snprintf(path, sizeof path, "/v1/jobs/%s", api_string(api, "/id"));
    for (int i = 0; i < 20000; i++) {
        const char *state = api_string(api, "/state");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
            return state;
        usleep(5000);
        api_ok(api, "GET", path, NULL);
    }
    ck_abort_msg("%s did not end: %s", path, api_body(api));
    return "";
}

void api_rebuild(struct api *api, const char *collection, const char *body) {
    char path[128];
    snprintf(path, sizeof path, "/v1/admin/collections/%s/rebuild", collection);
    api_ok(api, "POST", path, "%s", body == NULL ? "{}" : body);
    ck_assert_int_eq(api->reply.status, 202);
    const char *state = api_wait_job(api);
    ck_assert_msg(strcmp(state, "succeeded") == 0, "%s", api_body(api));
}

int api_run_tests(const char *name, const TTest *const *tests, size_t count,
                  SFun setup, SFun teardown) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create("api");
    tcase_set_timeout(tcase, 30); /* whole daemons, on a busy machine */
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
