/*
 * json_number.c: one RFC 8259 number into a correctly rounded float. Digits are
 * taken eight at a time from one 64-bit word; the value is then computed in
 * double, whose error is bounded, and only where that error could change the
 * float (or the float is subnormal) does strtof decide. It knows nothing of
 * what is around a number. Pure functions, any thread.
 */
#include "server/json/json_internal.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POWER_MIN (-64)
#define POWER_MAX 38

/* 10^-64 .. 10^38. Beyond: 2^64 * 10^-65 is below half the least float, and
 * 1 * 10^39 above the greatest. */
static const double power_of_ten[POWER_MAX - POWER_MIN + 1] = {
    1e-64, 1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54,
    1e-53, 1e-52, 1e-51, 1e-50, 1e-49, 1e-48, 1e-47, 1e-46, 1e-45, 1e-44, 1e-43,
    1e-42, 1e-41, 1e-40, 1e-39, 1e-38, 1e-37, 1e-36, 1e-35, 1e-34, 1e-33, 1e-32,
    1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21,
    1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10,
    1e-9,  1e-8,  1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,
    1e2,   1e3,   1e4,   1e5,   1e6,   1e7,   1e8,   1e9,   1e10,  1e11,  1e12,
    1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,  1e21,  1e22,  1e23,
    1e24,  1e25,  1e26,  1e27,  1e28,  1e29,  1e30,  1e31,  1e32,  1e33,  1e34,
    1e35,  1e36,  1e37,  1e38,
};

/* What the digits of a number said: value * 10^exponent, where `value` holds
 * at least 18 of them when some were left out. */
struct decimal {
    uint64_t value;
    long exponent;
};

static uint64_t load_eight(const char *p, const char *end) {
    uint64_t word = 0;
    if (end - p >= 8)
        memcpy(&word, p, 8);
    else
        memcpy(&word, p, (size_t)(end - p));
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Eight bytes 0..9, the first the lowest: neighbours are joined to two digits,
 * then to four, then to eight. */
static uint32_t join_eight(uint64_t v) {
    v = (v * 10 + (v >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v * 100 + (v >> 16)) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(v * 10000 + (v >> 32));
}

/* Takes the digits that do not fit the fast way: 19 fit 64 bits, later ones
 * only move the exponent. *dropped counts those. */
static void take_slowly(const char *p, int count, uint64_t *value,
                        long *dropped) {
    for (int i = 0; i < count; i++) {
        if (*value < UINT64_C(1000000000000000000))
            *value = *value * 10 + (uint64_t)(p[i] - '0');
        else
            ++*dropped;
    }
}

/* Takes all digits at p; returns where they end. */
static inline const char *take_digits(const char *p, const char *end,
                                      uint64_t *value, long *dropped) {
    static const uint32_t tens[9] = {1,      10,      100,      1000,     10000,
                                     100000, 1000000, 10000000, 100000000};
    for (;;) {
        uint64_t v = load_eight(p, end) ^ UINT64_C(0x3030303030303030);
        /* The high bit of every byte above 9; a carry only reaches bytes
         * behind one that is marked already. */
        uint64_t other = ((v + UINT64_C(0x7676767676767676)) | v) &
                         UINT64_C(0x8080808080808080);
        int count = other == 0 ? 8 : __builtin_ctzll(other) >> 3;
        if (count == 0)
            return p;
        if (*value < UINT64_C(100000000000))
            *value = *value * tens[count] + join_eight(v << (64 - 8 * count));
        else
            take_slowly(p, count, value, dropped);
        p += count;
        if (count < 8)
            return p;
    }
}

static const char *take_exponent(const char *p, const char *end, long *out) {
    bool negative = false;
    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    const char *first = p;
    long exponent = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (exponent < LONG_MAX / 100)
            exponent = exponent * 10 + (*p - '0');
    if (p == first)
        *out = LONG_MIN; /* no digit: malformed */
    else
        *out = negative ? -exponent : exponent;
    return p;
}

/* strtof in the C locale, on a copy that ends with NUL. */
static enum inv_status read_slowly(const char *text, size_t len, float *out) {
    char small[128];
    char *copy = len < sizeof small ? small : malloc(len + 1);
    if (copy == NULL)
        return INV_MEMORY;
    memcpy(copy, text, len);
    copy[len] = '\0';
    /* The C locale is a constant of the C library: nothing to free. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale != (locale_t)0)
        *out = strtof_l(copy, NULL, c_locale);
    if (copy != small)
        free(copy);
    return c_locale == (locale_t)0 ? INV_MEMORY : INV_OK;
}

/* False when double arithmetic cannot tell which float is the nearest. Three
 * roundings (value, power, product) and the digits left out move the double by
 * less than 4 units in its last place; the float is wrong only if that carries
 * it over the middle between two floats, which is bit 28 alone of the 29 bits
 * that are dropped. About 1 number in 60 million is sent the slow way. */
static inline bool to_float(const struct decimal *decimal, float *out) {
    if (decimal->value == 0 || decimal->exponent < POWER_MIN) {
        *out = 0.0f;
        return true;
    }
    if (decimal->exponent > POWER_MAX) {
        *out = INFINITY;
        return true;
    }
    double x =
        (double)decimal->value * power_of_ten[decimal->exponent - POWER_MIN];
    if (x < (double)FLT_MIN || x > (double)FLT_MAX)
        return false;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t dropped = bits & UINT64_C(0x1fffffff);
    if (dropped - UINT64_C(0x0ffffffc) <= 8)
        return false;
    *out = (float)x;
    return true;
}

static enum inv_status malformed(const char **text, const char *at) {
    *text = at;
    return INV_MALFORMED;
}

static inline bool is_digit(const char *p, const char *end) {
    return p < end && *p >= '0' && *p <= '9';
}

enum inv_status inv_number_read(const char **text, const char *end,
                                float *out) {
    const char *start = *text;
    const char *p = start;
    bool negative = *p == '-';
    p += negative;
    if (!is_digit(p, end))
        return malformed(text, p);
    struct decimal decimal = {0, 0};
    if (*p != '0')
        p = take_digits(p, end, &decimal.value, &decimal.exponent);
    else if (is_digit(++p, end))
        return malformed(text, p); /* 01 */
    if (p < end && *p == '.') {
        const char *first = ++p;
        long dropped = 0;
        p = take_digits(p, end, &decimal.value, &dropped);
        if (p == first)
            return malformed(text, p);
        decimal.exponent -= (long)(p - first) - dropped;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        long exponent;
        p = take_exponent(p + 1, end, &exponent);
        if (exponent == LONG_MIN)
            return malformed(text, p);
        decimal.exponent += exponent;
    }
    *text = p;
    if (!to_float(&decimal, out))
        return read_slowly(start, (size_t)(p - start), out);
    if (negative)
        *out = -*out;
    return INV_OK;
}
