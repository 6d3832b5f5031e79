/*
 * buf.h: a growable byte buffer that remembers that it failed.
 *
 * Appending to a failed buffer does nothing, so a writer appends freely and
 * checks `failed` once at the end. The bytes are always followed by a NUL that
 * `len` does not count. Not for sharing between threads.
 */
#ifndef INV_BASE_BUF_H
#define INV_BASE_BUF_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
    bool failed;
};

#define INV_BUF_INIT                                                           \
    { NULL, 0, 0, false }

void inv_buf_release(struct inv_buf *buf); /* frees, leaves it empty */
void inv_buf_reset(struct inv_buf *buf);   /* empties, keeps the memory */
bool inv_buf_reserve(struct inv_buf *buf, size_t more);
void inv_buf_append(struct inv_buf *buf, const void *bytes, size_t len);
void inv_buf_puts(struct inv_buf *buf, const char *text);
void inv_buf_putc(struct inv_buf *buf, char c);
void inv_buf_printf(struct inv_buf *buf, const char *fmt, ...) INV_PRINTF(2, 3);

/* Reads the whole of a file; refuses more than `max` bytes. */
enum inv_status inv_buf_read_file(struct inv_buf *buf, const char *path,
                                  size_t max, struct inv_err *err) INV_MUST_USE;

#endif
