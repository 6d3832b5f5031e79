/*
 * inside.c: see inside.h.
 */
#include "tests/support/inside.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "server/verify.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void openblas_set_num_threads(int threads);

void inside_init(struct inside *in) {
    *in = (struct inside){0};
    in->config = (struct inv_app_config){
        .max_body = (size_t)8 << 20,
        .max_doc_tokens = 64,
        .max_query_tokens = 64,
        .build_threads = 1,
        .seal_idle_ns = INT64_C(3600) * 1000000000,
        .seal_idle_entries = 1u << 30,
    };
    /* in memory where that can be: no test here asks what a power cut leaves */
    snprintf(in->dir, sizeof in->dir, "%s/invar-inside-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(in->dir));
    in->config.data_dir = in->dir;
    openblas_set_num_threads(1);
    inv_log_setup(INV_LOG_ERROR, INV_LOG_TEXT);
}

enum inv_status inside_try_open(struct inside *in, struct inv_err *err) {
    enum inv_status status = inv_app_open(&in->config, &in->app, err);
    if (status == INV_OK)
        inv_app_wait_loaded(in->app);
    return status;
}

void inside_open(struct inside *in) {
    struct inv_err err = {0};
    enum inv_status status = inside_try_open(in, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
}

void inside_close(struct inside *in) {
    inv_app_close(in->app);
    in->app = NULL;
}

void inside_reopen(struct inside *in) {
    inside_close(in);
    inside_open(in);
}

void inside_free(struct inside *in) {
    inside_close(in);
    inv_buf_release(&in->body);
    ck_assert_int_eq(inv_file_remove_tree(in->dir, NULL), INV_OK);
}

/* ---- requests ---- */

static const char *no_query(void *ctx, const char *name) {
    (void)ctx;
    (void)name;
    return NULL;
}

int inside_call(struct inv_app *app, enum inv_method method, const char *path,
                const char *body, size_t len, struct inv_buf *out) {
    struct inv_arena arena;
    inv_arena_init(&arena, (size_t)256 << 20);
    struct inv_request request = {.method = method,
                                  .path = path,
                                  .body = body == NULL ? "" : body,
                                  .body_len = len,
                                  .content_type = "application/json",
                                  .request_id = "test",
                                  .arena = &arena,
                                  .received_ns = (int64_t)inv_now_ns(),
                                  .query = no_query};
    struct inv_response response = {.status = 200,
                                    .content_type = "application/json"};
    struct inv_err err = {0};
    if (inv_request_split(&request, path, &err) != INV_OK)
        inv_app_problem(app, &err, "test", &response);
    else
        inv_app_handle(app, &request, &response);
    if (out != NULL)
        inv_buf_append(out, response.body.data, response.body.len);
    inv_buf_release(&response.body);
    inv_arena_release(&arena);
    return response.status;
}

static int do_args(struct inside *in, enum inv_method method, const char *path,
                   const char *fmt, va_list args) {
    char *text = NULL;
    int len = 0;
    if (fmt != NULL)
        len = vasprintf(&text, fmt, args);
    ck_assert_int_ge(len, 0);
    inv_buf_reset(&in->body);
    int status =
        inside_call(in->app, method, path, text, (size_t)len, &in->body);
    free(text);
    return status;
}

int inside_do(struct inside *in, enum inv_method method, const char *path,
              const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int status = do_args(in, method, path, fmt, args);
    va_end(args);
    return status;
}

void inside_ok(struct inside *in, enum inv_method method, const char *path,
               const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int status = do_args(in, method, path, fmt, args);
    va_end(args);
    ck_assert_msg(status / 100 == 2, "%s: %d %s", path, status,
                  in->body.data == NULL ? "" : in->body.data);
}

bool inside_says(const struct inside *in, const char *text) {
    return in->body.data != NULL && strstr(in->body.data, text) != NULL;
}

bool inside_wait(struct inside *in, const char *path, const char *text) {
    for (int i = 0; i < 2000; i++) {
        (void)inside_do(in, INV_GET, path, NULL);
        if (inside_says(in, text))
            return true;
        usleep(10000);
    }
    return false;
}

bool inside_verify(struct inside *in) {
    bool clean = false;
    struct inv_err err = {0};
    inv_buf_reset(&in->body);
    enum inv_status status =
        inv_verify_data(in->dir, false, &in->body, &clean, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    return clean;
}

char *inside_state(struct inside *in, const char *collection) {
    char path[128];
    struct inv_buf all = INV_BUF_INIT;
    char cursor[32] = "";
    snprintf(path, sizeof path, "/v1/collections/%s/documents/count",
             collection);
    inside_ok(in, INV_POST, path, "{}");
    inv_buf_puts(&all, in->body.data);
    snprintf(path, sizeof path, "/v1/collections/%s/documents/scroll",
             collection);
    for (;;) {
        inside_ok(in, INV_POST, path,
                  "{\"limit\":100%s%s%s,\"with\":{\"payload\":true,"
                  "\"vectors\":true}}",
                  cursor[0] == '\0' ? "" : ",\"cursor\":\"", cursor,
                  cursor[0] == '\0' ? "" : "\"");
        inv_buf_puts(&all, in->body.data);
        const char *next = strstr(in->body.data, "\"cursor\":\"");
        if (next == NULL)
            return all.data;
        snprintf(cursor, sizeof cursor, "%s", next + strlen("\"cursor\":\""));
        cursor[strcspn(cursor, "\"")] = '\0';
    }
}

void inside_path(const struct inside *in, const char *sub, char *out,
                 size_t size) {
    snprintf(out, size, "%s/collections", in->dir);
    DIR *dir = opendir(out);
    ck_assert_ptr_nonnull(dir);
    struct dirent *entry = readdir(dir);
    while (entry != NULL && entry->d_name[0] == '.')
        entry = readdir(dir);
    ck_assert_ptr_nonnull(entry);
    snprintf(out, size, "%s/collections/%s/%s", in->dir, entry->d_name, sub);
    closedir(dir);
}
