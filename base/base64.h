/*
 * base64.h: bytes as text, RFC 4648 section 4: the alphabet with + and /,
 * padded with =, no line breaks. Pure functions, any thread.
 */
#ifndef INV_BASE_BASE64_H
#define INV_BASE_BASE64_H

#include "base/buf.h"
#include "base/status.h"

#include <stddef.h>

/* Appends the text of len bytes. Out of memory: out->failed, as ever. */
void inv_base64_encode(struct inv_buf *out, const void *bytes, size_t len);

/* The bytes that a text decodes to, from its length and padding alone; exact
 * when the text is valid. Allocate this much before decoding. */
size_t inv_base64_size(const char *text, size_t len);

/* Decodes into out, which holds `cap` bytes, and sets *size. Strict, so that
 * one value has one text: INV_INVALID with the position (from 0) for a
 * character outside the alphabet, for padding elsewhere than at the end, for
 * unused bits that are not 0, and when len is not a multiple of 4;
 * INV_TOO_LARGE with both numbers when cap is too small. On error the content
 * of out is undefined and *size untouched. */
enum inv_status inv_base64_decode(const char *text, size_t len, void *out,
                                  size_t cap, size_t *size,
                                  struct inv_err *err) INV_MUST_USE;

#endif
