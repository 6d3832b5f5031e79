/*
 * inside.h: the daemon without its front door: a data directory, and requests
 * handed to the application as its workers would. inside_call may be used by
 * many threads at a time.
 */
#ifndef TESTS_SUPPORT_INSIDE_H
#define TESTS_SUPPORT_INSIDE_H

#include "server/app.h"

struct inside {
    struct inv_app_config config;
    char dir[64];
    struct inv_app *app;
    /* the last answer of inside_do */
    struct inv_buf body;
};

/* A fresh directory; nothing is sealed by itself. */
void inside_init(struct inside *in);
enum inv_status inside_try_open(struct inside *in, struct inv_err *err);
void inside_open(struct inside *in); /* and waits until all is loaded */
void inside_close(struct inside *in);
void inside_reopen(struct inside *in);
void inside_free(struct inside *in); /* closes, removes the directory */

/* One request; returns the status, appends the answer to `out`. */
int inside_call(struct inv_app *app, enum inv_method method, const char *path,
                const char *body, size_t len, struct inv_buf *out);
/* With a formatted body (NULL: none); the answer is in->body. */
int inside_do(struct inside *in, enum inv_method method, const char *path,
              const char *fmt, ...) INV_PRINTF(4, 5);
/* Likewise, and fails the test unless the status is 2xx. */
void inside_ok(struct inside *in, enum inv_method method, const char *path,
               const char *fmt, ...) INV_PRINTF(4, 5);
/* Does the last answer hold this text? */
bool inside_says(const struct inside *in, const char *text);

/* Asks again until the answer of a GET holds the text; false after 20 s. */
bool inside_wait(struct inside *in, const char *path, const char *text);

/* inv_verify_data on the closed directory: its report is in->body. */
bool inside_verify(struct inside *in);

/* All a client can see of a collection, as one text: documents in order, with
 * vectors, and the count. malloc'ed. */
char *inside_state(struct inside *in, const char *collection);

/* The first directory below collections/ (there is but one collection), with
 * `sub` behind it. */
void inside_path(const struct inside *in, const char *sub, char *out,
                 size_t size);

#endif
