/*
 * json_write.c: JSON text straight into a buffer. Numbers come out as the
 * shortest decimal that reads back as the same float or double, whatever the
 * process's locale. Out of memory shows in out->failed. Pure functions, any
 * thread.
 */
#include "base/kernels.h"
#include "base/utf8.h"
#include "server/json/json_internal.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_escape(struct inv_buf *out, unsigned char c) {
    switch (c) {
    case '"':
        inv_buf_append(out, "\\\"", 2);
        return;
    case '\\':
        inv_buf_append(out, "\\\\", 2);
        return;
    case '\n':
        inv_buf_append(out, "\\n", 2);
        return;
    case '\t':
        inv_buf_append(out, "\\t", 2);
        return;
    case '\r':
        inv_buf_append(out, "\\r", 2);
        return;
    default:
        inv_buf_printf(out, "\\u%04x", (unsigned)c);
    }
}

static void put_valid(struct inv_buf *out, const char *text, size_t len) {
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        inv_buf_append(out, text + from, i - from);
        put_escape(out, c);
        from = i + 1;
    }
    inv_buf_append(out, text + from, len - from);
}

void inv_json_put_string(struct inv_buf *out, const char *text, size_t len) {
    inv_buf_putc(out, '"');
    size_t bad;
    while (len > 0 && !inv_utf8_valid(text, len, &bad)) {
        /* Error texts may cut a character in two: an answer is UTF-8 all the
         * same. */
        put_valid(out, text, bad);
        inv_buf_puts(out, "\\ufffd");
        text += bad + 1;
        len -= bad + 1;
    }
    if (len > 0)
        put_valid(out, text, len);
    inv_buf_putc(out, '"');
}

/* Writes n / 10^decimals so that it ends at `end`; returns where it begins. At
 * most 20 digits, a point and, before it, a zero. */
static char *fixed_text(char *end, uint64_t n, int decimals) {
    while (decimals > 0 && n % 10 == 0) {
        n /= 10;
        decimals--;
    }
    char *p = end;
    for (int i = 0; i < decimals; i++, n /= 10)
        *--p = (char)('0' + n % 10);
    if (decimals > 0)
        *--p = '.';
    do
        *--p = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    return p;
}

static const double tens[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};

/* |x| in [1e-5, 1e9): the shortest of 6 to 9 significant digits, without
 * printf (scores of a thousand hits: 23 ns each instead of 370). A decimal of
 * 6 digits or fewer always shows as 6 digits that end in zeros, because a float
 * knows 7. False when 9 digits could not be proved to read back. */
static bool put_fixed(struct inv_buf *out, float x) {
    double a = (double)fabsf(x);
    int before = 0; /* a < 10^before; negative for zeros behind the point */
    if (a >= 1)
        for (before = 1; a >= tens[before]; before++)
            ;
    else
        while (before > -5 && a * tens[1 - before] < 1)
            before--;
    for (int digits = 6; digits <= 9; digits++) {
        int decimals = digits > before ? digits - before : 0;
        uint64_t n = (uint64_t)(a * tens[decimals] + 0.5);
        double back = (double)n / tens[decimals];
        uint64_t bits;
        memcpy(&bits, &back, sizeof bits);
        /* In the middle between two floats a second rounding could differ. */
        if ((double)(float)back != a ||
            (bits & UINT64_C(0x1fffffff)) == UINT64_C(0x10000000))
            continue;
        char room[32];
        char *end = room + sizeof room;
        char *text = fixed_text(end, n, decimals);
        if (x < 0)
            inv_buf_putc(out, '-');
        inv_buf_append(out, text, (size_t)(end - text));
        return true;
    }
    return false;
}

/* Prints with the fewest digits that read back, in the C locale (a constant of
 * the C library: nothing to free). */
static void put_slowly(struct inv_buf *out, double x, int digits, int most,
                       bool single) {
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = uselocale(c_locale);
    char text[40];
    for (; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        bool same =
            single ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x;
        if (same)
            break;
    }
    uselocale(before);
    inv_buf_puts(out, text);
}

void inv_json_put_float(struct inv_buf *out, float x) {
    if (!isfinite(x)) {
        inv_buf_puts(out, "null"); /* JSON has no other word for it */
        return;
    }
    float a = fabsf(x);
    if (x == 0.0f)
        inv_buf_puts(out, signbit(x) ? "-0" : "0");
    else if (a < 1e-5f || a >= 1e9f || !put_fixed(out, x))
        put_slowly(out, (double)x, a < FLT_MIN ? 1 : 6, 9, true);
}

void inv_json_put_double(struct inv_buf *out, double x) {
    if (!isfinite(x))
        inv_buf_puts(out, "null");
    else if (x == 0.0)
        inv_buf_puts(out, signbit(x) ? "-0" : "0");
    else if (fabs(x) < 1e15 && x == floor(x))
        inv_buf_printf(out, "%" PRId64, (int64_t)x);
    else
        put_slowly(out, x, fabs(x) < DBL_MIN ? 1 : 15, 17, false);
}

/* A real stays a real: 1.0 is not written as 1. */
static void write_real(double x, struct inv_buf *out) {
    size_t from = out->len;
    inv_json_put_double(out, x);
    for (size_t i = from; i < out->len; i++)
        if (out->data[i] == '.' || out->data[i] == 'e')
            return;
    inv_buf_puts(out, ".0");
}

static void write_array(const inv_json *value, struct inv_buf *out) {
    inv_buf_putc(out, '[');
    for (size_t i = 0; i < inv_json_size(value); i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        inv_json_write(inv_json_at(value, i), out);
    }
    inv_buf_putc(out, ']');
}

static void write_object(const inv_json *value, struct inv_buf *out) {
    void *iter = NULL;
    const char *key;
    inv_json *member;
    char mark = '{';
    while (inv_json_next(value, &iter, &key, &member)) {
        inv_buf_putc(out, mark);
        inv_json_put_string(out, key, strlen(key));
        inv_buf_putc(out, ':');
        inv_json_write(member, out);
        mark = ',';
    }
    if (mark == '{')
        inv_buf_putc(out, '{');
    inv_buf_putc(out, '}');
}

/* As deep as the text that was parsed: INV_JSON_DEPTH_MAX. */
void inv_json_write(const inv_json *value, struct inv_buf *out) {
    size_t len;
    const char *text;
    switch (inv_json_kind(value)) {
    case INV_JSON_NULL:
        inv_buf_puts(out, "null");
        break;
    case INV_JSON_BOOL:
        inv_buf_puts(out, inv_json_bool(value) ? "true" : "false");
        break;
    case INV_JSON_INT:
        inv_buf_printf(out, "%" PRId64, inv_json_int(value));
        break;
    case INV_JSON_REAL:
        write_real(inv_json_real(value), out);
        break;
    case INV_JSON_STRING:
        text = inv_json_string(value, &len);
        inv_json_put_string(out, text, len);
        break;
    case INV_JSON_ARRAY:
        write_array(value, out);
        break;
    case INV_JSON_OBJECT:
        write_object(value, out);
        break;
    }
}

/* Elements [from, from + count) of a row, as floats. */
static void decode(const struct inv_codes *codes, size_t row, size_t from,
                   size_t count, float *out) {
    size_t at = row * codes->dim + from;
    switch (codes->dtype) {
    case INV_F32:
        memcpy(out, (const char *)codes->data + at * sizeof *out,
               count * sizeof *out);
        break;
    case INV_F16:
        inv_f32_from_f16((const uint16_t *)codes->data + at, out, count);
        break;
    case INV_I8:
        inv_f32_from_i8((const int8_t *)codes->data + at, codes->scales[row],
                        out, count);
        break;
    }
}

static void put_row(struct inv_buf *out, const struct inv_codes *codes,
                    size_t row) {
    float part[256];
    const size_t most = sizeof part / sizeof *part;
    inv_buf_putc(out, '[');
    for (size_t from = 0; from < codes->dim; from += most) {
        size_t count = codes->dim - from < most ? codes->dim - from : most;
        decode(codes, row, from, count, part);
        for (size_t i = 0; i < count; i++) {
            if (from + i > 0)
                inv_buf_putc(out, ',');
            inv_json_put_float(out, part[i]);
        }
    }
    inv_buf_putc(out, ']');
}

void inv_json_put_codes(struct inv_buf *out, const struct inv_codes *codes,
                        bool plural) {
    if (!plural) {
        put_row(out, codes, 0);
        return;
    }
    inv_buf_putc(out, '[');
    for (size_t row = 0; row < codes->rows; row++) {
        if (row > 0)
            inv_buf_putc(out, ',');
        put_row(out, codes, row);
    }
    inv_buf_putc(out, ']');
}
