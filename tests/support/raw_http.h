/*
 * raw_http.h: a client for tests that shows what goes over the wire: it sends
 * the bytes it is given and reads one response at a time. Every wait ends
 * after RAW_HTTP_TIMEOUT_S seconds. One thread per connection.
 */
#ifndef TESTS_SUPPORT_RAW_HTTP_H
#define TESTS_SUPPORT_RAW_HTTP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define RAW_HTTP_TIMEOUT_S 20

struct raw_response {
    int status; /* 0: none came */
    char head[4096];
    struct inv_buf body;
};

/* To 127.0.0.1. */
int raw_try_connect(uint16_t port); /* -1: refused */
int raw_connect(uint16_t port);     /* aborts the test on failure */
/* false when the server does not take the bytes. */
bool raw_send(int fd, const void *bytes, size_t len);
bool raw_puts(int fd, const char *fmt, ...) INV_PRINTF(2, 3);
/* `count` bytes of 'x'. */
bool raw_send_many(int fd, size_t count);

/* Reads one response; 1xx responses count as one. Returns its status, 0 when
 * the connection ended or nothing came in time. raw_read_head leaves the body,
 * of which a HEAD request has none. */
int raw_read(int fd, struct raw_response *response);
int raw_read_head(int fd, struct raw_response *response);
void raw_release(struct raw_response *response);
/* A header's value in a static buffer of the calling thread, or NULL. */
const char *raw_header(const struct raw_response *response, const char *name);
/* Sends bytes until none has been taken for `idle_ms`; gives their number. */
size_t raw_fill(int fd, size_t most, unsigned idle_ms);
/* true when the server has closed the connection and nothing more comes. */
bool raw_at_end(int fd);

/* Connects, sends, reads, closes. The body's text must be shorter than size. */
int raw_once(uint16_t port, const char *request, char *body, size_t size);

#endif
