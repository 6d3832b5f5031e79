/*
 * status.h: the one list of things that can go wrong, and the text that goes
 * with them.
 *
 * Every function that can fail returns an `enum inv_status` and takes a
 * caller-owned `struct inv_err *` as its last parameter (which may be NULL).
 * The code is for the program, the text for the person. On success the error
 * is left untouched.
 */
#ifndef INV_BASE_STATUS_H
#define INV_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>

#define INV_MUST_USE __attribute__((warn_unused_result))
#define INV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(name, stable code shown to clients, HTTP status, title) */
#define INV_STATUS_LIST(X)                                                     \
    X(OK, "ok", 200, "OK")                                                     \
    X(INVALID, "invalid_request", 400, "Invalid request")                      \
    X(MALFORMED, "malformed_json", 400, "Malformed JSON")                      \
    X(DIMENSION, "dimension_mismatch", 400, "Wrong dimension")                 \
    X(NOT_FINITE, "value_out_of_range", 400, "Value out of range")             \
    X(UNAUTHORIZED, "unauthorized", 401, "Unauthorized")                       \
    X(FORBIDDEN, "forbidden", 403, "Forbidden")                                \
    X(NOT_FOUND, "not_found", 404, "Not found")                                \
    X(METHOD, "method_not_allowed", 405, "Method not allowed")                 \
    X(CONFLICT, "conflict", 409, "Conflict")                                   \
    X(SPACE_MISMATCH, "space_mismatch", 409, "Wrong model")                    \
    X(PRECONDITION, "precondition_failed", 412, "Precondition failed")         \
    X(TOO_LARGE, "too_large", 413, "Too large")                                \
    X(MEDIA_TYPE, "unsupported_media_type", 415, "Unsupported media type")     \
    X(CANCELLED, "cancelled", 499, "Cancelled")                                \
    X(CORRUPT, "corrupt", 500, "Stored data is damaged")                       \
    X(INTERNAL, "internal", 500, "Internal error")                             \
    X(IO, "io_error", 500, "Input or output failed")                           \
    X(UNSUPPORTED, "unsupported", 501, "Unsupported")                          \
    X(MEMORY, "out_of_memory", 503, "Out of memory")                           \
    X(BUSY, "busy", 503, "Busy")                                               \
    X(READ_ONLY, "read_only", 503, "Read-only")                                \
    X(TIMEOUT, "timeout", 504, "Timed out")                                    \
    X(NO_SPACE, "no_space", 507, "Disk full")

enum inv_status {
#define X(name, code, http, title) INV_##name,
    INV_STATUS_LIST(X)
#undef X
        INV_STATUS_COUNT
};

struct inv_err {
    enum inv_status status;
    char text[320];    /* a sentence, with both numbers where there are two */
    char pointer[128]; /* JSON pointer into the request, or "" */
};

/* The stable code, HTTP status and title of a status. Static storage. */
const char *inv_status_code(enum inv_status status);
int inv_status_http(enum inv_status status);
const char *inv_status_title(enum inv_status status);

/* Fills *err (when not NULL) and returns `status`: `return inv_fail(...)`.
 * The pointer is emptied. */
enum inv_status inv_fail(struct inv_err *err, enum inv_status status,
                         const char *fmt, ...) INV_PRINTF(3, 4);

/* Like inv_fail, and appends strerror(errno_value) to the text. ENOSPC and
 * EDQUOT become INV_NO_SPACE, ENOMEM INV_MEMORY, whatever `status` says. */
enum inv_status inv_fail_errno(struct inv_err *err, int errno_value,
                               const char *fmt, ...) INV_PRINTF(3, 4);

/* Sets the JSON pointer of an error that was just filled; err may be NULL. */
void inv_err_at(struct inv_err *err, const char *fmt, ...) INV_PRINTF(2, 3);

#endif
