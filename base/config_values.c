/*
 * config_values.c: typed values of a parsed configuration; see config.h. Knows
 * forms of values (numbers with units), no key by name. Start-up only.
 */
#include "base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit size_units[] = {{"", 1},
                                         {"K", UINT64_C(1) << 10},
                                         {"M", UINT64_C(1) << 20},
                                         {"G", UINT64_C(1) << 30}};
static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

enum outcome { READ, TOO_MUCH, NOT_A_NUMBER };

/* Decimal digits at the front of *text, which is moved behind them. */
static enum outcome take_digits(const char **text, uint64_t *out) {
    const char *p = *text;
    bool overflow = false;
    uint64_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        overflow |= __builtin_mul_overflow(n, UINT64_C(10), &n) ||
                    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    bool any = p > *text;
    *text = p;
    *out = n;
    return !any ? NOT_A_NUMBER : overflow ? TOO_MUCH : READ;
}

/* Digits and one of the units, nothing else. */
static enum outcome take_quantity(const char *text, const struct unit *units,
                                  size_t count, uint64_t *out) {
    enum outcome outcome = take_digits(&text, out);
    if (outcome == NOT_A_NUMBER)
        return outcome;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, units[i].suffix) != 0)
            continue;
        if (outcome == READ &&
            __builtin_mul_overflow(*out, units[i].factor, out))
            outcome = TOO_MUCH;
        return outcome;
    }
    return NOT_A_NUMBER;
}

/* Fails naming the place, the pair and what was expected there. */
static enum inv_status wrong(const struct inv_config *config,
                             const struct inv_config_entry *entry,
                             const char *expected, struct inv_err *err) {
    return inv_fail(err, INV_INVALID, "%s:%zu: %s = %.60s: expected %s",
                    config->name, entry->line, entry->key, entry->value,
                    expected);
}

enum inv_status inv_config_string(const struct inv_config *config,
                                  const char *key, const char **value,
                                  struct inv_err *err) {
    (void)err; /* every value is a string; the signature is that of the rest */
    const struct inv_config_entry *entry = inv_config_find(config, key);
    if (entry != NULL)
        *value = entry->value;
    return INV_OK;
}

enum inv_status inv_config_bool(const struct inv_config *config,
                                const char *key, bool *value,
                                struct inv_err *err) {
    static const char *const words[] = {"false", "true", "no",
                                        "yes",   "off",  "on"};
    const struct inv_config_entry *entry = inv_config_find(config, key);
    if (entry == NULL)
        return INV_OK;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(entry->value, words[i]) == 0) {
            *value = i % 2 == 1;
            return INV_OK;
        }
    }
    return wrong(config, entry, "true, yes, on, false, no or off", err);
}

enum inv_status inv_config_integer(const struct inv_config *config,
                                   const char *key, int64_t min, int64_t max,
                                   int64_t *value, struct inv_err *err) {
    const struct inv_config_entry *entry = inv_config_find(config, key);
    if (entry == NULL)
        return INV_OK;
    const char *text = entry->value;
    bool negative = *text == '-';
    text += negative;
    uint64_t n;
    enum outcome outcome = take_digits(&text, &n);
    /* one more below zero than above it */
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (outcome == READ && *text == '\0' && n <= most) {
        int64_t number = negative ? (int64_t)(0 - n) : (int64_t)n;
        if (number >= min && number <= max) {
            *value = number;
            return INV_OK;
        }
    }
    char expected[96];
    snprintf(expected, sizeof expected,
             "an integer from %" PRId64 " to %" PRId64, min, max);
    return wrong(config, entry, expected, err);
}

enum inv_status inv_config_size(const struct inv_config *config,
                                const char *key, size_t min, size_t max,
                                size_t *value, struct inv_err *err) {
    const struct inv_config_entry *entry = inv_config_find(config, key);
    if (entry == NULL)
        return INV_OK;
    uint64_t n;
    enum outcome outcome = take_quantity(
        entry->value, size_units, sizeof size_units / sizeof size_units[0], &n);
    if (outcome == READ && n >= min && n <= max) {
        *value = (size_t)n;
        return INV_OK;
    }
    char expected[128];
    snprintf(expected, sizeof expected, "bytes from %zu to %zu%s", min, max,
             outcome == NOT_A_NUMBER ? ", with K, M, G or no unit" : "");
    return wrong(config, entry, expected, err);
}

enum inv_status inv_config_duration(const struct inv_config *config,
                                    const char *key, uint64_t min_ms,
                                    uint64_t max_ms, uint64_t *ms,
                                    struct inv_err *err) {
    const struct inv_config_entry *entry = inv_config_find(config, key);
    if (entry == NULL)
        return INV_OK;
    uint64_t n;
    enum outcome outcome = take_quantity(
        entry->value, time_units, sizeof time_units / sizeof time_units[0], &n);
    if (strcmp(entry->value, "0") == 0) { /* the same in every unit */
        n = 0;
        outcome = READ;
    }
    if (outcome == READ && n >= min_ms && n <= max_ms) {
        *ms = n;
        return INV_OK;
    }
    char expected[160];
    snprintf(expected, sizeof expected,
             "a time from %" PRIu64 "ms to %" PRIu64 "ms%s", min_ms, max_ms,
             outcome == NOT_A_NUMBER ? ", with the unit ms, s, m or h" : "");
    return wrong(config, entry, expected, err);
}
