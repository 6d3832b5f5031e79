/*
 * json_get.c: typed access to the members of an object, with errors that say
 * what was wanted, what was given, and where. Sees the tree only through
 * json.h; knows no field names. Pure functions, any thread.
 */
#include "server/json/json_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *inv_json_kind_name(enum inv_json_kind kind) {
    static const char *const names[] = {
        [INV_JSON_NULL] = "null",       [INV_JSON_BOOL] = "a boolean",
        [INV_JSON_INT] = "an integer",  [INV_JSON_REAL] = "a real number",
        [INV_JSON_STRING] = "a string", [INV_JSON_ARRAY] = "an array",
        [INV_JSON_OBJECT] = "an object"};
    return names[kind];
}

enum inv_status inv_json_point(struct inv_err *err, enum inv_status status,
                               const char *at, const char *key) {
    if (err == NULL)
        return status;
    char escaped[sizeof err->pointer];
    size_t used = 0;
    for (; *key != '\0' && used + 3 < sizeof escaped; key++) {
        if (*key == '~' || *key == '/') {
            escaped[used++] = '~';
            escaped[used++] = *key == '~' ? '0' : '1';
        } else {
            escaped[used++] = *key;
        }
    }
    escaped[used] = '\0';
    inv_err_at(err, "%s/%s", at, escaped);
    return status;
}

enum inv_status inv_json_wrong_type(struct inv_err *err, const inv_json *value,
                                    const char *at, const char *key,
                                    const char *wanted) {
    enum inv_status status =
        inv_fail(err, INV_INVALID, "\"%.64s\" must be %s, got %s", key, wanted,
                 inv_json_kind_name(inv_json_kind(value)));
    return inv_json_point(err, status, at, key);
}

enum inv_status inv_json_get_int(const inv_json *object, const char *at,
                                 const char *key, int64_t min, int64_t max,
                                 int64_t *out, struct inv_err *err) {
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    if (inv_json_kind(value) != INV_JSON_INT) {
        char wanted[80];
        snprintf(wanted, sizeof wanted,
                 "an integer from %" PRId64 " to %" PRId64, min, max);
        return inv_json_wrong_type(err, value, at, key, wanted);
    }
    int64_t given = inv_json_int(value);
    if (given < min || given > max) {
        enum inv_status status = inv_fail(err, INV_INVALID,
                                          "\"%.64s\" must be from %" PRId64
                                          " to %" PRId64 ", got %" PRId64,
                                          key, min, max, given);
        return inv_json_point(err, status, at, key);
    }
    *out = given;
    return INV_OK;
}

enum inv_status inv_json_get_bool(const inv_json *object, const char *at,
                                  const char *key, bool *out,
                                  struct inv_err *err) {
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    if (inv_json_kind(value) != INV_JSON_BOOL)
        return inv_json_wrong_type(err, value, at, key, "true or false");
    *out = inv_json_bool(value);
    return INV_OK;
}

enum inv_status inv_json_get_string(const inv_json *object, const char *at,
                                    const char *key, size_t max_len,
                                    const char **out, size_t *len,
                                    struct inv_err *err) {
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    if (inv_json_kind(value) != INV_JSON_STRING)
        return inv_json_wrong_type(err, value, at, key, "a string");
    size_t given;
    const char *text = inv_json_string(value, &given);
    if (given == 0 || given > max_len) {
        enum inv_status status = inv_fail(
            err, INV_INVALID, "\"%.64s\" must have 1 to %zu bytes, got %zu",
            key, max_len, given);
        return inv_json_point(err, status, at, key);
    }
    *out = text;
    if (len != NULL)
        *len = given;
    return INV_OK;
}

enum inv_status inv_json_get_object(const inv_json *object, const char *at,
                                    const char *key, inv_json **out,
                                    struct inv_err *err) {
    inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    if (inv_json_kind(value) != INV_JSON_OBJECT)
        return inv_json_wrong_type(err, value, at, key, "an object");
    *out = value;
    return INV_OK;
}

enum inv_status inv_json_get_array(const inv_json *object, const char *at,
                                   const char *key, size_t max_count,
                                   inv_json **out, struct inv_err *err) {
    inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    if (inv_json_kind(value) != INV_JSON_ARRAY)
        return inv_json_wrong_type(err, value, at, key, "an array");
    size_t count = inv_json_size(value);
    if (count > max_count) {
        enum inv_status status = inv_fail(
            err, INV_INVALID, "\"%.64s\" may have at most %zu items, got %zu",
            key, max_count, count);
        return inv_json_point(err, status, at, key);
    }
    *out = value;
    return INV_OK;
}

enum inv_status inv_json_get_ints(const inv_json *object, const char *at,
                                  const char *key, int64_t min, int64_t max,
                                  uint32_t *out, size_t out_max, size_t *count,
                                  struct inv_err *err) {
    inv_json *array = NULL;
    enum inv_status status =
        inv_json_get_array(object, at, key, out_max, &array, err);
    if (status != INV_OK || array == NULL)
        return status;
    size_t n = inv_json_size(array);
    for (size_t i = 0; i < n; i++) {
        const inv_json *value = inv_json_at(array, i);
        bool whole = inv_json_kind(value) == INV_JSON_INT;
        int64_t given = whole ? inv_json_int(value) : 0;
        if (whole && given >= min && given <= max) {
            out[i] = (uint32_t)given;
            continue;
        }
        char got[32];
        snprintf(got, sizeof got, "%" PRId64, given);
        status =
            inv_fail(err, INV_INVALID,
                     "\"%.64s\" must hold integers from %" PRId64 " to %" PRId64
                     ", got %s",
                     key, min, max,
                     whole ? got : inv_json_kind_name(inv_json_kind(value)));
        inv_err_at(err, "%s/%s/%zu", at, key, i);
        return status;
    }
    *count = n;
    return INV_OK;
}

#define GUESS_MAX 32 /* bytes of a field name that suggestions look at */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many letters must be changed, added or left out to make b from a. */
static size_t edit_distance(const char *a, const char *b) {
    size_t rows[2][GUESS_MAX + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > GUESS_MAX || b_len > GUESS_MAX)
        return GUESS_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        const size_t *above = rows[(i - 1) % 2];
        size_t *row = rows[i % 2];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(changed, least(above[j], row[j - 1]) + 1);
        }
    }
    return rows[a_len % 2][b_len];
}

static enum inv_status unknown_field(const char *key, const char *at,
                                     const char *const *allowed,
                                     struct inv_err *err) {
    const char *best = NULL;
    size_t best_distance = strlen(key) < 4 ? 2 : 3; /* must be below */
    for (; *allowed != NULL; allowed++) {
        size_t distance = edit_distance(key, *allowed);
        if (distance < best_distance) {
            best = *allowed;
            best_distance = distance;
        }
    }
    enum inv_status status =
        best == NULL
            ? inv_fail(err, INV_INVALID, "unknown field \"%.64s\"", key)
            : inv_fail(err, INV_INVALID,
                       "unknown field \"%.64s\"; did you mean \"%s\"?", key,
                       best);
    return inv_json_point(err, status, at, key);
}

enum inv_status inv_json_allow(const inv_json *object, const char *at,
                               const char *const *allowed,
                               struct inv_err *err) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    while (inv_json_next(object, &iter, &key, &value)) {
        size_t i = 0;
        while (allowed[i] != NULL && strcmp(allowed[i], key) != 0)
            i++;
        if (allowed[i] == NULL)
            return unknown_field(key, at, allowed, err);
    }
    return INV_OK;
}

enum inv_status inv_json_body(const inv_json *body, const char *const *allowed,
                              struct inv_err *err) {
    if (inv_json_kind(body) != INV_JSON_OBJECT)
        return inv_fail(err, INV_INVALID, "the body must be an object");
    return inv_json_allow(body, "", allowed, err);
}
