/*
 * log.h: one line on standard error for each event, for people (text) or for
 * machines (JSON lines). UTC time in RFC 3339 with milliseconds.
 *
 *   2025-03-01T12:00:00.123Z warn  vlog: cut 312 bytes file=00000004.vlog
 *   {"time":"2025-03-01T12:00:00.123Z","level":"warn","component":"vlog",
 *    "message":"cut 312 bytes","file":"00000004.vlog"}
 *
 * A line is at most INV_LOG_LINE_MAX bytes with its newline (longer ones end
 * in "..."), and goes out in one write(2), so lines of several threads or
 * processes never mix, on a pipe either; there is no lock. Control characters
 * and bytes that are not UTF-8 are escaped: text from outside cannot forge a
 * line. A line that cannot be written is lost, errno is preserved.
 *
 * This module holds the process's one log setting (level, format, descriptor)
 * as atomics. Set it once at start; all functions are safe from any thread.
 */
#ifndef INV_BASE_LOG_H
#define INV_BASE_LOG_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define INV_LOG_LINE_MAX 4096 /* PIPE_BUF: writes up to here are atomic */

enum inv_log_level {
    INV_LOG_DEBUG,
    INV_LOG_INFO, /* the default */
    INV_LOG_WARN,
    INV_LOG_ERROR,
};

enum inv_log_format { INV_LOG_TEXT, INV_LOG_JSON };

void inv_log_setup(enum inv_log_level level, enum inv_log_format format);
/* Where lines go; 2 (standard error) unless set. The descriptor stays the
 * caller's. */
void inv_log_to_fd(int fd);

/* "debug", "info", "warn", "error" / "text", "json"; -1 if unknown. */
int inv_log_level_parse(const char *name);
int inv_log_format_parse(const char *name);

/* Would a line of this level be written? To skip costly preparation. */
bool inv_log_enabled(enum inv_log_level level);

/* component: a short constant name of the module, "http", "vlog". */
void inv_log(enum inv_log_level level, const char *component, const char *fmt,
             ...) INV_PRINTF(3, 4);

struct inv_log_field {
    const char *key; /* a constant: not escaped */
    enum { INV_LOG_FIELD_TEXT, INV_LOG_FIELD_INT, INV_LOG_FIELD_REAL } kind;
    const char *text; /* NULL is written as "" */
    int64_t integer;
    double real;
};

#define INV_LOG_STR(k, v)                                                      \
    { .key = (k), .kind = INV_LOG_FIELD_TEXT, .text = (v) }
#define INV_LOG_INT(k, v)                                                      \
    { .key = (k), .kind = INV_LOG_FIELD_INT, .integer = (int64_t)(v) }
#define INV_LOG_REAL(k, v)                                                     \
    { .key = (k), .kind = INV_LOG_FIELD_REAL, .real = (double)(v) }

void inv_log_fields(enum inv_log_level level, const char *component,
                    const char *message, const struct inv_log_field *fields,
                    size_t count);

/* inv_log_kv(INV_LOG_INFO, "http", "request", INV_LOG_STR("route", route),
 *            INV_LOG_INT("status", 200), INV_LOG_REAL("ms", 1.25)); */
#define inv_log_kv(level, component, message, ...)                             \
    inv_log_fields((level), (component), (message),                            \
                   (const struct inv_log_field[]){__VA_ARGS__},                \
                   sizeof((const struct inv_log_field[]){__VA_ARGS__}) /       \
                       sizeof(struct inv_log_field))

#endif
