/*
 * request_filter.c: the tree of a filter from its JSON. Checks form, counts
 * and literals; types are checked when the filter is bound to a collection's
 * fields (index/filter.h). Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
    struct inv_arena *arena;
    size_t values; /* of all conditions so far */
    struct inv_err *err;
};

static enum inv_status fail_value(struct inv_err *err, const inv_json *value,
                                  const char *at, const char *wanted) {
    enum inv_status status =
        inv_fail(err, INV_INVALID, "expected %s, got %s", wanted,
                 inv_json_kind_name(inv_json_kind(value)));
    inv_err_at(err, "%s", at);
    return status;
}

/* A literal that a field can be compared with. */
static enum inv_status read_literal(const struct reader *reader,
                                    const inv_json *value, const char *at,
                                    struct inv_value *out) {
    switch (inv_json_kind(value)) {
    case INV_JSON_STRING:
        out->kind = INV_VALUE_STRING;
        out->as.string.text = inv_json_string(value, &out->as.string.len);
        return INV_OK;
    case INV_JSON_INT:
        out->kind = INV_VALUE_INT;
        out->as.integer = inv_json_int(value);
        return INV_OK;
    case INV_JSON_REAL:
        out->kind = INV_VALUE_FLOAT;
        out->as.number = inv_json_real(value);
        return INV_OK;
    case INV_JSON_BOOL:
        out->kind = INV_VALUE_BOOL;
        out->as.boolean = inv_json_bool(value);
        return INV_OK;
    case INV_JSON_NULL:
    case INV_JSON_ARRAY:
    case INV_JSON_OBJECT:
        break;
    }
    return fail_value(reader->err, value, at,
                      "a string, a number or a boolean");
}

static enum inv_status read_id(const struct reader *reader,
                               const inv_json *value, const char *at,
                               struct inv_value *out) {
    out->kind = INV_VALUE_STRING;
    return inv_request_id(value, at, reader->arena, &out->as.string.text,
                          &out->as.string.len, reader->err);
}

/* One value, or an array of at least one, into condition->values. */
static enum inv_status read_values(struct reader *reader, const inv_json *given,
                                   const char *at, bool ids,
                                   struct inv_condition *out) {
    bool list = inv_json_kind(given) == INV_JSON_ARRAY;
    size_t count = list ? inv_json_size(given) : 1;
    enum inv_status status = INV_OK;
    reader->values += count;
    if (count == 0)
        status = inv_fail(reader->err, INV_INVALID,
                          "an empty list would match nothing: give 1 to %d "
                          "values",
                          INV_FILTER_VALUES_MAX);
    else if (reader->values > INV_FILTER_VALUES_MAX)
        status = inv_fail(reader->err, INV_INVALID,
                          "a filter may hold %d values, got at least %zu",
                          INV_FILTER_VALUES_MAX, reader->values);
    if (status != INV_OK) {
        inv_err_at(reader->err, "%s", at);
        return status;
    }
    out->values = inv_arena_calloc(reader->arena, count, sizeof *out->values);
    if (out->values == NULL)
        return inv_fail(reader->err, INV_MEMORY,
                        "out of memory for %zu filter values", count);
    out->value_count = count;
    for (size_t i = 0; i < count && status == INV_OK; i++) {
        char below[INV_POINTER_MAX];
        snprintf(below, sizeof below, list ? "%s/%zu" : "%s", at, i);
        const inv_json *value = list ? inv_json_at(given, i) : given;
        status = ids ? read_id(reader, value, below, &out->values[i])
                     : read_literal(reader, value, below, &out->values[i]);
    }
    return status;
}

static enum inv_status read_bound(const struct reader *reader,
                                  const inv_json *object, const char *at,
                                  const char *open, const char *closed,
                                  struct inv_value *out, bool *has,
                                  bool *is_open) {
    const inv_json *a = inv_json_get(object, open);
    const inv_json *b = inv_json_get(object, closed);
    const char *key = a != NULL ? open : closed;
    const inv_json *value = a != NULL ? a : b;
    if (value == NULL)
        return INV_OK;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, key);
    if (a != NULL && b != NULL) {
        enum inv_status status =
            inv_fail(reader->err, INV_INVALID,
                     "\"%s\" and \"%s\" exclude each other", open, closed);
        inv_err_at(reader->err, "%s", below);
        return status;
    }
    enum inv_json_kind kind = inv_json_kind(value);
    if (kind != INV_JSON_INT && kind != INV_JSON_REAL &&
        kind != INV_JSON_STRING)
        return fail_value(reader->err, value, below,
                          "a number or an RFC 3339 time");
    *has = true;
    *is_open = a != NULL;
    return read_literal(reader, value, below, out);
}

static enum inv_status read_range(const struct reader *reader,
                                  const inv_json *object, const char *at,
                                  struct inv_range *out) {
    static const char *const fields[] = {"gt", "gte", "lt", "lte", NULL};
    enum inv_status status = inv_request_object(object, at, reader->err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, reader->err);
    if (status == INV_OK)
        status = read_bound(reader, object, at, "gt", "gte", &out->low,
                            &out->has_low, &out->low_open);
    if (status == INV_OK)
        status = read_bound(reader, object, at, "lt", "lte", &out->high,
                            &out->has_high, &out->high_open);
    if (status == INV_OK && !out->has_low && !out->has_high) {
        status = inv_fail(reader->err, INV_INVALID,
                          "a range needs at least one of \"gt\", \"gte\", "
                          "\"lt\" and \"lte\"");
        inv_err_at(reader->err, "%s", at);
    }
    return status;
}

static enum inv_status read_exists(const struct reader *reader,
                                   const inv_json *value, const char *at) {
    if (inv_json_kind(value) != INV_JSON_BOOL)
        return fail_value(reader->err, value, at, "true");
    if (inv_json_bool(value))
        return INV_OK;
    enum inv_status status =
        inv_fail(reader->err, INV_INVALID,
                 "\"exists\" can only be true; put the condition under "
                 "\"must_not\" to ask for documents without the key");
    inv_err_at(reader->err, "%s", at);
    return status;
}

static enum inv_status read_prefix(struct reader *reader, const inv_json *value,
                                   const char *at, struct inv_condition *out) {
    if (inv_json_kind(value) != INV_JSON_STRING)
        return fail_value(reader->err, value, at, "a string");
    return read_values(reader, value, at, false, out);
}

static enum inv_status read_operand(struct reader *reader,
                                    const inv_json *value, const char *at,
                                    struct inv_condition *out) {
    switch (out->kind) {
    case INV_COND_MATCH:
        return read_values(reader, value, at, false, out);
    case INV_COND_RANGE:
        return read_range(reader, value, at, &out->range);
    case INV_COND_EXISTS:
        return read_exists(reader, value, at);
    case INV_COND_PREFIX:
        return read_prefix(reader, value, at, out);
    case INV_COND_IDS:
        break;
    }
    if (inv_json_kind(value) != INV_JSON_ARRAY)
        return fail_value(reader->err, value, at,
                          "an array of strings or integers");
    return read_values(reader, value, at, true, out);
}

/* "key" must stand beside every operator but ids. */
static enum inv_status read_key(const struct reader *reader,
                                const inv_json *object, const char *at,
                                struct inv_condition *out) {
    enum inv_status status = inv_json_get_string(
        object, at, "key", INV_FIELD_KEY_MAX, &out->key, NULL, reader->err);
    if (status != INV_OK)
        return status;
    bool wanted = out->kind != INV_COND_IDS;
    if (wanted == (out->key != NULL))
        return INV_OK;
    status = inv_fail(reader->err, INV_INVALID,
                      wanted ? "a condition needs a \"key\""
                             : "\"ids\" compares the id: it takes no \"key\"");
    inv_err_at(reader->err, "%s", at);
    return status;
}

static enum inv_status read_condition(struct reader *reader,
                                      const inv_json *object, const char *at,
                                      struct inv_condition *out) {
    static const char *const fields[] = {"match", "range", "exists", "prefix",
                                         "ids",   "key",   NULL};
    static const enum inv_condition_kind kinds[] = {
        INV_COND_MATCH, INV_COND_RANGE, INV_COND_EXISTS, INV_COND_PREFIX,
        INV_COND_IDS};
    enum inv_status status = inv_request_object(object, at, reader->err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, reader->err);
    if (status != INV_OK)
        return status;
    size_t operators = 0;
    size_t which = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (inv_json_get(object, fields[i]) != NULL) {
            operators++;
            which = i;
        }
    }
    if (operators != 1) {
        status = inv_fail(reader->err, INV_INVALID,
                          "a condition needs exactly 1 of match, range, "
                          "exists, prefix and ids, got %zu",
                          operators);
        inv_err_at(reader->err, "%s", at);
        return status;
    }
    out->kind = kinds[which];
    status = read_key(reader, object, at, out);
    if (status != INV_OK)
        return status;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, fields[which]);
    return read_operand(reader, inv_json_get(object, fields[which]), below,
                        out);
}

/* One of must, must_not and should; absent: untouched. */
static enum inv_status read_clause(struct reader *reader,
                                   const inv_json *filter, const char *at,
                                   const char *key, struct inv_condition **out,
                                   size_t *count) {
    inv_json *list = NULL;
    enum inv_status status = inv_json_get_array(
        filter, at, key, INV_FILTER_CONDITIONS_MAX, &list, reader->err);
    if (status != INV_OK || list == NULL)
        return status;
    size_t n = inv_json_size(list);
    struct inv_condition *conditions =
        inv_arena_calloc(reader->arena, n, sizeof *conditions);
    if (conditions == NULL)
        return inv_fail(reader->err, INV_MEMORY,
                        "out of memory for %zu conditions", n);
    for (size_t i = 0; i < n && status == INV_OK; i++) {
        char below[INV_POINTER_MAX];
        inv_request_path_at(below, at, key, i);
        status =
            read_condition(reader, inv_json_at(list, i), below, &conditions[i]);
    }
    *out = conditions;
    *count = n;
    return status;
}

enum inv_status inv_parse_filter(const inv_json *object, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_filter **out, struct inv_err *err) {
    static const char *const fields[] = {"must", "must_not", "should", NULL};
    struct reader reader = {.arena = arena, .err = err};
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status != INV_OK)
        return status;
    struct inv_filter *filter = inv_arena_calloc(arena, 1, sizeof *filter);
    if (filter == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a filter");
    status = read_clause(&reader, object, at, "must", &filter->must,
                         &filter->must_count);
    if (status == INV_OK)
        status = read_clause(&reader, object, at, "must_not", &filter->must_not,
                             &filter->must_not_count);
    if (status == INV_OK)
        status = read_clause(&reader, object, at, "should", &filter->should,
                             &filter->should_count);
    if (status != INV_OK)
        return status;
    size_t count =
        filter->must_count + filter->must_not_count + filter->should_count;
    if (count > INV_FILTER_CONDITIONS_MAX) {
        status = inv_fail(err, INV_INVALID,
                          "a filter may have %d conditions, got %zu",
                          INV_FILTER_CONDITIONS_MAX, count);
        inv_err_at(err, "%s", at);
        return status;
    }
    /* Room for every key, as inv_filter_bind asks. */
    filter->unindexed =
        inv_arena_calloc(arena, count, sizeof *filter->unindexed);
    if (filter->unindexed == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu conditions",
                        count);
    *out = filter;
    return INV_OK;
}
