/*
 * client.h: requests to the daemon. client.c is the only file of the command
 * line that includes curl. One client is one kept-alive connection and belongs
 * to one thread at a time.
 */
#ifndef INV_CLI_CLIENT_H
#define INV_CLI_CLIENT_H

#include "base/buf.h"
#include "base/status.h"
#include "server/json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_exit {
    INV_EXIT_OK = 0,
    INV_EXIT_FAILED = 1, /* the server said no, or something here failed */
    INV_EXIT_USAGE = 2,
    INV_EXIT_UNREACHABLE = 3,
};

struct inv_call {
    const char *method;
    const char *path; /* from the slash, percent-encoded */
    const char *type; /* of the body; NULL: application/json */
    const void *body; /* NULL: none */
    size_t len;
    bool raw; /* leave answer->json NULL: measuring, not reading */
};

#define INV_MESSAGE_MAX 1024

struct inv_answer {
    long http; /* 0 when nothing came back */
    struct inv_buf body;
    inv_json *json;                /* NULL when the body is no JSON */
    uint32_t retry_after_s;        /* 0: the header was not there */
    double seconds;                /* from sending to the last byte */
    char message[INV_MESSAGE_MAX]; /* on failure: one line for a person */
};

#define INV_ANSWER_INIT                                                        \
    { .body = INV_BUF_INIT }

void inv_answer_release(struct inv_answer *answer);

/* Once, before any thread. */
enum inv_status inv_client_global_init(struct inv_err *err) INV_MUST_USE;
void inv_client_global_release(void);

struct inv_client;

/* url: http[s]://host[:port][/prefix]; INV_INVALID for anything else, and for a
 * key that holds control characters. */
enum inv_status inv_client_open(const char *url, const char *key,
                                uint32_t timeout_s, struct inv_client **out,
                                struct inv_err *err) INV_MUST_USE;
void inv_client_close(struct inv_client *client); /* NULL is fine */

/* Sends and waits. INV_EXIT_OK for a 2xx; else INV_EXIT_FAILED (the daemon
 * answered) or INV_EXIT_UNREACHABLE, with answer->message set: from
 * problem+json "<detail> (<code>, HTTP 400, at /documents/3/vector)". The
 * answer's earlier content is replaced; release it at the end. */
enum inv_exit inv_client_send(struct inv_client *client,
                              const struct inv_call *call,
                              struct inv_answer *answer) INV_MUST_USE;

/* The message of a refusal, from its body. */
void inv_client_explain(long http, const char *body, size_t len, char *out,
                        size_t cap);

/* Appends one path segment, percent-encoded: everything but A-Z a-z 0-9
 * - . _ ~. */
void inv_client_escape(struct inv_buf *out, const char *text, size_t len);

#endif
