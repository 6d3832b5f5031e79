/*
 * api.h: the whole daemon inside a test program (application and front door,
 * as server/main.c puts them together) on a free port and a fresh directory,
 * and a client that speaks real HTTP to it over one connection. Failures abort
 * the test with the answer in the message.
 */
#ifndef TESTS_SUPPORT_API_H
#define TESTS_SUPPORT_API_H

#include "server/app.h"
#include "tests/support/raw_http.h"

#include <check.h>

struct api {
    struct inv_app_config config;
    struct inv_app *app;
    struct inv_http *http;
    uint16_t port;
    char dir[64];
    int fd; /* -1: not connected */
    struct raw_response reply;
    inv_json *json; /* of the reply, NULL when it is not JSON */
};

/* Sensible limits, no models, no key; may be changed before api_start. */
void api_init(struct api *api);
void api_start(struct api *api);
/* Stops the daemon and starts it on the same directory. */
void api_restart(struct api *api);
void api_stop(struct api *api); /* removes the directory */

struct api_request {
    const char *method, *path;
    const char *type;    /* Content-Type; NULL: application/json */
    const char *headers; /* whole lines with \r\n, or NULL */
    const void *body;    /* NULL: none */
    size_t len;
};

/* Sends, reads, parses; returns the status. The reply is api->reply until the
 * next one. */
int api_send(struct api *api, const struct api_request *request);
/* JSON in a format; NULL: no body. */
int api_do(struct api *api, const char *method, const char *path,
           const char *fmt, ...) INV_PRINTF(4, 5);
/* Like api_do, and fails the test unless the status is 2xx. */
void api_ok(struct api *api, const char *method, const char *path,
            const char *fmt, ...) INV_PRINTF(4, 5);
const char *api_body(const struct api *api);

/* A value of the reply by JSON pointer; NULL: not there. */
const inv_json *api_at(const struct api *api, const char *pointer);
/* Fail the test when the value is not there or of another kind. */
const char *api_string(const struct api *api, const char *pointer);
int64_t api_int(const struct api *api, const char *pointer);
double api_number(const struct api *api, const char *pointer);
size_t api_size(const struct api *api, const char *pointer);

/* The reply is problem+json with this status and code; `pointer` is that of
 * its first error (NULL: it has none); every one of the `pieces` (parted by
 * '|') stands in its detail. */
void api_refused(const struct api *api, int status, const char *code,
                 const char *pointer, const char *pieces);

/* Everything that clients can see of a collection: count, and every document
 * with its sequence, version, payload and vectors. malloc'ed. */
char *api_state(struct api *api, const char *collection);

/* POST .../rebuild with a body (NULL: none), and waits until it has ended;
 * fails the test unless it succeeded. */
void api_rebuild(struct api *api, const char *collection, const char *body);
/* Waits for the job in the reply to end; its state. */
const char *api_wait_job(struct api *api);

/* Runs the tests, each with its own daemon; what main returns. */
int api_run_tests(const char *name, const TTest *const *tests, size_t count,
                  SFun setup, SFun teardown);

#endif
