/*
 * status.c: see status.h. Knows no other module; any thread.
 */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    int http;
    const char *title;
} statuses[INV_STATUS_COUNT] = {
#define X(name, code, http, title) {code, http, title},
    INV_STATUS_LIST(X)
#undef X
};

const char *inv_status_code(enum inv_status status) {
    return statuses[status].code;
}

int inv_status_http(enum inv_status status) { return statuses[status].http; }

const char *inv_status_title(enum inv_status status) {
    return statuses[status].title;
}

/* By way of a copy: callers put an error's own text or pointer into the longer
 * one that replaces it. Returns what vsnprintf does; size <= 320. */
static int INV_PRINTF(3, 0)
    format(char *to, size_t size, const char *fmt, va_list args) {
    char copy[sizeof((struct inv_err *)NULL)->text];
    int n = vsnprintf(copy, size, fmt, args);
    if (n >= 0)
        memcpy(to, copy, strlen(copy) + 1);
    return n;
}

enum inv_status inv_fail(struct inv_err *err, enum inv_status status,
                         const char *fmt, ...) {
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        format(err->text, sizeof err->text, fmt, args);
        va_end(args);
        err->status = status;
        err->pointer[0] = '\0';
    }
    return status;
}

static enum inv_status status_of_errno(int errno_value) {
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return INV_NO_SPACE;
    case ENOMEM:
        return INV_MEMORY;
    default:
        return INV_IO;
    }
}

enum inv_status inv_fail_errno(struct inv_err *err, int errno_value,
                               const char *fmt, ...) {
    enum inv_status status = status_of_errno(errno_value);
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        int n = format(err->text, sizeof err->text, fmt, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->text) {
            char reason[96];
            snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s",
                     strerror_r(errno_value, reason, sizeof reason));
        }
        err->status = status;
        err->pointer[0] = '\0';
    }
    return status;
}

void inv_err_at(struct inv_err *err, const char *fmt, ...) {
    if (err == NULL)
        return;
    va_list args;
    va_start(args, fmt);
    format(err->pointer, sizeof err->pointer, fmt, args);
    va_end(args);
}
