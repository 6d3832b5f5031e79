/*
 * log.c: see log.h. A line is put together in a fixed buffer on the stack and
 * written at once: no allocation, so that "out of memory" can be logged too.
 * Any thread.
 */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Kept free for what closes a line: the "..." of a cut text, '"', '}', '\n'. */
#define TAIL 16
/* The longest message of inv_log before it is escaped. */
#define MESSAGE_MAX 2048

static atomic_int current_level = INV_LOG_INFO;
static atomic_int current_format = INV_LOG_TEXT;
static atomic_int current_fd = 2;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct line {
    char bytes[INV_LOG_LINE_MAX];
    size_t len;
};

void inv_log_setup(enum inv_log_level level, enum inv_log_format format) {
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

void inv_log_to_fd(int fd) { atomic_store(&current_fd, fd); }

int inv_log_level_parse(const char *name) {
    for (int i = INV_LOG_DEBUG; i <= INV_LOG_ERROR; i++)
        if (strcmp(level_names[i], name) == 0)
            return i;
    return -1;
}

int inv_log_format_parse(const char *name) {
    if (strcmp(name, "text") == 0)
        return INV_LOG_TEXT;
    return strcmp(name, "json") == 0 ? INV_LOG_JSON : -1;
}

bool inv_log_enabled(enum inv_log_level level) {
    return (int)level >=
           atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* All of it, or nothing when it would reach into the tail. */
static bool put(struct line *line, const char *bytes, size_t len) {
    if (line->len + len > INV_LOG_LINE_MAX - TAIL)
        return false;
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
    return true;
}

static bool put_text(struct line *line, const char *text) {
    return put(line, text, strlen(text));
}

/* Into the reserved tail; the callers stay within TAIL bytes. */
static void put_tail(struct line *line, const char *text) {
    size_t len = strlen(text);
    memcpy(line->bytes + line->len, text, len);
    line->len += len;
}

/* Bytes of the well-formed UTF-8 sequence at text, 0 when it is not one. The
 * second byte's range is what rules out overlong forms and surrogates. */
static size_t utf8_length(const unsigned char *text) {
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) /* a NUL stops here as well */
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* Escapes as JSON does; a plain text message keeps its quotes. */
static bool put_escaped(struct line *line, const char *text, bool quoted) {
    for (size_t len; *text != '\0'; text += len) {
        unsigned char c = (unsigned char)*text;
        char code[8];
        bool fits;
        len = utf8_length((const unsigned char *)text);
        if (len == 0) {
            len = 1;
            fits = put_text(line, "\\ufffd");
        } else if (c == '\n' || c == '\t') {
            fits = put_text(line, c == '\n' ? "\\n" : "\\t");
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(code, sizeof code, "\\u%04x", c);
            fits = put_text(line, code);
        } else if (quoted && (c == '"' || c == '\\')) {
            fits = put(line, (char[]){'\\', (char)c}, 2);
        } else {
            fits = put(line, text, len);
        }
        if (!fits)
            return false;
    }
    return true;
}

static void put_time(struct line *line) {
    int64_t ms = inv_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[40];
    if (gmtime_r(&seconds, &utc) == NULL)
        return;
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ms % 1000));
    put_text(line, text);
}

/* Quoted in text lines only where a reader could not tell where it ends. */
static bool needs_quotes(const char *text) {
    return *text == '\0' || strpbrk(text, " \"=\n\t\\") != NULL;
}

static bool put_value(struct line *line, const struct inv_log_field *field,
                      bool json) {
    char number[40];
    const char *text = field->text == NULL ? "" : field->text;
    switch (field->kind) {
    case INV_LOG_FIELD_INT:
        snprintf(number, sizeof number, "%lld", (long long)field->integer);
        return put_text(line, number);
    case INV_LOG_FIELD_REAL:
        if (!isfinite(field->real)) /* JSON has no such number */
            return put_text(line, json ? "null" : "nan");
        snprintf(number, sizeof number, "%.9g", field->real);
        return put_text(line, number);
    case INV_LOG_FIELD_TEXT:
        break;
    }
    bool quotes = json || needs_quotes(text);
    if (quotes && !put(line, "\"", 1))
        return false;
    bool fits = put_escaped(line, text, quotes);
    if (!fits)
        put_tail(line, "...");
    if (quotes)
        put_tail(line, "\"");
    return fits;
}

/* One " key=value" or ",\"key\":value"; taken back when the key does not fit,
 * so that a JSON line stays well-formed. */
static bool put_field(struct line *line, const struct inv_log_field *field,
                      bool json) {
    size_t start = line->len;
    if (put_text(line, json ? ",\"" : " ") && put_text(line, field->key) &&
        put_text(line, json ? "\":" : "=")) {
        size_t value = line->len;
        if (put_value(line, field, json))
            return true;
        if (line->len > value)
            return false; /* a text, cut and closed */
    }
    line->len = start;
    return false;
}

static void put_head(struct line *line, enum inv_log_level level,
                     const char *component, bool json) {
    if (json)
        put_text(line, "{\"time\":\"");
    put_time(line);
    put_text(line, json ? "\",\"level\":\"" : " ");
    put_text(line, level_names[level]);
    if (json)
        put_text(line, "\",\"component\":\"");
    else
        put_text(line, strlen(level_names[level]) == 4 ? "  " : " ");
    put_escaped(line, component, json);
    put_text(line, json ? "\",\"message\":\"" : ": ");
}

static void write_line(const struct line *line) {
    int fd = atomic_load_explicit(&current_fd, memory_order_relaxed);
    ssize_t n;
    do {
        n = write(fd, line->bytes, line->len);
    } while (n < 0 && errno == EINTR);
}

void inv_log_fields(enum inv_log_level level, const char *component,
                    const char *message, const struct inv_log_field *fields,
                    size_t count) {
    if (!inv_log_enabled(level))
        return;
    int saved_errno = errno;
    bool json = atomic_load_explicit(&current_format, memory_order_relaxed) ==
                INV_LOG_JSON;
    struct line line;
    line.len = 0;
    put_head(&line, level, component, json);
    bool fits = put_escaped(&line, message, json);
    if (!fits)
        put_tail(&line, "...");
    if (json)
        put_tail(&line, "\"");
    for (size_t i = 0; i < count && fits; i++)
        fits = put_field(&line, &fields[i], json);
    put_tail(&line, json ? "}\n" : "\n");
    write_line(&line);
    errno = saved_errno;
}

void inv_log(enum inv_log_level level, const char *component, const char *fmt,
             ...) {
    if (!inv_log_enabled(level))
        return;
    int saved_errno = errno;
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (n < 0)
        message[0] = '\0';
    else if ((size_t)n >= sizeof message)
        memcpy(message + sizeof message - 4, "...", 4);
    inv_log_fields(level, component, message, NULL, 0);
    errno = saved_errno;
}
