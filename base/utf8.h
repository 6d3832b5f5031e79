/*
 * utf8.h: is this text well-formed UTF-8 (RFC 3629)? Overlong forms,
 * surrogates and numbers above U+10FFFF are not. NUL is a character like any
 * other. Pure functions, any thread.
 */
#ifndef INV_BASE_UTF8_H
#define INV_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* False: *bad_at (when not NULL) is the offset of the first byte of the first
 * sequence that is ill-formed or cut off. True: *bad_at is untouched. */
bool inv_utf8_valid(const char *text, size_t len, size_t *bad_at);

#endif
