/*
 * base64.c: see base64.h. Vectors come this way in JSON, so decoding is a hot
 * path: four table look-ups make three bytes, and only a quad with a bad
 * character leaves the loop. Knows nothing of what the bytes mean. Any thread.
 */
#include "base/base64.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0..63, or BAD: one bit that no value has, so that four can be or-ed. The
 * table holds value + 1, because what is not named is 0. */
#define BAD UINT32_C(0x80)

static const uint8_t plus_one[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
    ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

/* 0 - 1 wraps to all ones and so carries the BAD bit, and many others: only
 * used where a BAD quad is never stored. */
static inline uint32_t value(uint8_t c) { return plus_one[c] - UINT32_C(1); }

void inv_base64_encode(struct inv_buf *out, const void *bytes, size_t len) {
    if (len > SIZE_MAX / 2) {
        out->failed = true;
        return;
    }
    if (!inv_buf_reserve(out, (len + 2) / 3 * 4))
        return;
    const uint8_t *in = bytes;
    char *to = out->data + out->len;
    size_t i = 0;
    for (; len - i >= 3; i += 3, to += 4) {
        uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 |
                        (uint32_t)in[i + 2];
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = alphabet[bits >> 6 & 63];
        to[3] = alphabet[bits & 63];
    }
    size_t rest = len - i;
    if (rest > 0) {
        uint32_t bits = (uint32_t)in[i] << 16;
        if (rest == 2)
            bits |= (uint32_t)in[i + 1] << 8;
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = rest == 2 ? alphabet[bits >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    out->len = (size_t)(to - out->data);
    *to = '\0';
}

static size_t padding(const char *text, size_t len) {
    if (len < 4 || text[len - 1] != '=')
        return 0;
    return text[len - 2] == '=' ? 2 : 1;
}

size_t inv_base64_size(const char *text, size_t len) {
    return len / 4 * 3 - padding(text, len);
}

/* Names the first character at or after `from` that is not in the alphabet. */
static enum inv_status bad_character(const uint8_t *in, size_t from,
                                     struct inv_err *err) {
    while (plus_one[in[from]] != 0)
        from++;
    uint8_t c = in[from];
    if (c == '=')
        return inv_fail(err, INV_INVALID,
                        "base64: padding '=' at position %zu, before the end",
                        from);
    if (c > ' ' && c < 0x7f)
        return inv_fail(err, INV_INVALID,
                        "base64: character '%c' at position %zu is not in the "
                        "standard alphabet",
                        c, from);
    return inv_fail(err, INV_INVALID,
                    "base64: byte 0x%02x at position %zu is not in the "
                    "standard alphabet",
                    (unsigned)c, from);
}

/* The last quad of a padded text, at `at`: one or two bytes. */
static enum inv_status decode_last(const uint8_t *in, size_t at, size_t pad,
                                   uint8_t *out, struct inv_err *err) {
    for (size_t j = 0; j < 4 - pad; j++)
        if (plus_one[in[at + j]] == 0)
            return bad_character(in, at + j, err);
    uint32_t bits = value(in[at]) << 18 | value(in[at + 1]) << 12;
    if (pad == 1)
        bits |= value(in[at + 2]) << 6;
    if (bits & (pad == 1 ? UINT32_C(0xff) : UINT32_C(0xffff)))
        return inv_fail(err, INV_INVALID,
                        "base64: the character at position %zu carries bits "
                        "beyond the last byte",
                        at + 3 - pad);
    out[0] = (uint8_t)(bits >> 16);
    if (pad == 1)
        out[1] = (uint8_t)(bits >> 8);
    return INV_OK;
}

enum inv_status inv_base64_decode(const char *text, size_t len, void *out,
                                  size_t cap, size_t *size,
                                  struct inv_err *err) {
    const uint8_t *in = (const uint8_t *)text;
    uint8_t *to = out;
    if (len % 4 != 0)
        return inv_fail(err, INV_INVALID,
                        "base64: %zu characters are not a multiple of 4 "
                        "(padding with '=' is required)",
                        len);
    size_t pad = padding(text, len);
    size_t want = inv_base64_size(text, len);
    if (want > cap)
        return inv_fail(err, INV_TOO_LARGE,
                        "base64: %zu bytes do not fit into %zu", want, cap);
    size_t full = pad > 0 ? len - 4 : len;
    for (size_t i = 0; i < full; i += 4, to += 3) {
        uint32_t a = value(in[i]), b = value(in[i + 1]);
        uint32_t c = value(in[i + 2]), d = value(in[i + 3]);
        if ((a | b | c | d) & BAD)
            return bad_character(in, i, err);
        to[0] = (uint8_t)(a << 2 | b >> 4);
        to[1] = (uint8_t)(b << 4 | c >> 2);
        to[2] = (uint8_t)(c << 6 | d);
    }
    if (pad > 0) {
        enum inv_status status = decode_last(in, full, pad, to, err);
        if (status != INV_OK)
            return status;
    }
    *size = want;
    return INV_OK;
}
