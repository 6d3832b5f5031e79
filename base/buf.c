/*
 * buf.c: see buf.h. Capacity doubles, so that appending is linear over all.
 * Knows no other module but status; the buffer's owner is the one thread.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inv_buf_release(struct inv_buf *buf) {
    free(buf->data);
    *buf = (struct inv_buf)INV_BUF_INIT;
}

void inv_buf_reset(struct inv_buf *buf) {
    buf->len = 0;
    buf->failed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

bool inv_buf_reserve(struct inv_buf *buf, size_t more) {
    if (buf->failed)
        return false;
    if (more < buf->cap - buf->len)
        return true;
    size_t cap = buf->cap < 128 ? 128 : buf->cap;
    while (cap - buf->len <= more) {
        if (cap > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *data = realloc(buf->data, cap);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->data[buf->len] = '\0';
    buf->cap = cap;
    return true;
}

void inv_buf_append(struct inv_buf *buf, const void *bytes, size_t len) {
    if (!inv_buf_reserve(buf, len))
        return;
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void inv_buf_puts(struct inv_buf *buf, const char *text) {
    inv_buf_append(buf, text, strlen(text));
}

void inv_buf_putc(struct inv_buf *buf, char c) { inv_buf_append(buf, &c, 1); }

void inv_buf_printf(struct inv_buf *buf, const char *fmt, ...) {
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
    } else if (inv_buf_reserve(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

enum inv_status inv_buf_read_file(struct inv_buf *buf, const char *path,
                                  size_t max, struct inv_err *err) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return inv_fail_errno(err, errno, "cannot open %s", path);
    enum inv_status status = INV_OK;
    char chunk[65536];
    size_t n;
    size_t left = max;
    while (!buf->failed && (n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        if (n > left) {
            status = inv_fail(err, INV_TOO_LARGE, "%s is larger than %zu bytes",
                              path, max);
            break;
        }
        left -= n;
        inv_buf_append(buf, chunk, n);
    }
    if (status == INV_OK && ferror(file))
        status = inv_fail_errno(err, errno, "cannot read %s", path);
    if (status == INV_OK && buf->failed)
        status = inv_fail(err, INV_MEMORY, "out of memory reading %s", path);
    fclose(file);
    return status;
}
