/*
 * filter_bind.c: fits a parsed filter to a collection's schema: keys become
 * field numbers, literals get the type of their field. Afterwards a condition
 * holds exactly when it is true of the stored value as mathematics has it:
 * year >= 2.5 on integers becomes year >= 3, x < 2^53 + 1 on floats becomes
 * x <= 2^53. Bind once: a bound literal no longer says how it was written.
 * Works on the caller's filter only; any thread.
 */
#include "index/filter.h"

#include "index/value.h"

#include <math.h>
#include <string.h>

#define TWO_63 9223372036854775808.0

static const char *const kind_names[] = {
    [INV_COND_MATCH] = "match",   [INV_COND_RANGE] = "range",
    [INV_COND_EXISTS] = "exists", [INV_COND_PREFIX] = "prefix",
    [INV_COND_IDS] = "ids",
};

static enum inv_status wrong_type(const struct inv_field *field,
                                  const struct inv_value *got,
                                  struct inv_err *err) {
    return inv_fail(err, INV_INVALID, "the field \"%.160s\" is %s, got %s",
                    field->key, inv_field_type_name(field->type),
                    inv_value_kind_name(got));
}

static enum inv_status not_a_time(const struct inv_field *field,
                                  const struct inv_value *got,
                                  struct inv_err *err) {
    size_t len = got->as.string.len < 40 ? got->as.string.len : 40;
    /* never cut inside a character */
    while (len > 0 && len < got->as.string.len &&
           ((unsigned char)got->as.string.text[len] & 0xc0) == 0x80)
        len--;
    return inv_fail(err, INV_INVALID,
                    "the field \"%.160s\" is compared with an RFC 3339 time, "
                    "got \"%.*s\"",
                    field->key, (int)len, got->as.string.text);
}

static enum inv_status to_time(const struct inv_field *field,
                               struct inv_value *value, struct inv_err *err) {
    int64_t micros;
    if (value->kind != INV_VALUE_STRING)
        return wrong_type(field, value, err);
    if (!inv_time_parse(value->as.string.text, value->as.string.len, &micros))
        return not_a_time(field, value, err);
    *value = (struct inv_value){.kind = INV_VALUE_INT, .as.integer = micros};
    return INV_OK;
}

static bool is_number(const struct inv_value *value) {
    return value->kind == INV_VALUE_INT || value->kind == INV_VALUE_FLOAT;
}

/* ---- match ---- */

/* *possible becomes false for a literal that no value of the type equals. */
static enum inv_status convert_match(const struct inv_field *field,
                                     struct inv_value *value, bool *possible,
                                     struct inv_err *err) {
    switch (field->type) {
    case INV_FIELD_KEYWORD:
        return value->kind == INV_VALUE_STRING ? INV_OK
                                               : wrong_type(field, value, err);
    case INV_FIELD_BOOL:
        return value->kind == INV_VALUE_BOOL ? INV_OK
                                             : wrong_type(field, value, err);
    case INV_FIELD_DATETIME:
        return to_time(field, value, err);
    case INV_FIELD_INTEGER:
        if (value->kind == INV_VALUE_INT)
            return INV_OK;
        if (value->kind != INV_VALUE_FLOAT)
            return wrong_type(field, value, err);
        if (value->as.number != trunc(value->as.number) ||
            value->as.number < -TWO_63 || value->as.number >= TWO_63)
            return inv_fail(err, INV_INVALID,
                            "the field \"%.160s\" is integer, got %.17g",
                            field->key, value->as.number);
        *value = (struct inv_value){.kind = INV_VALUE_INT,
                                    .as.integer = (int64_t)value->as.number};
        return INV_OK;
    case INV_FIELD_FLOAT:
        if (!is_number(value))
            return wrong_type(field, value, err);
        if (value->kind == INV_VALUE_INT) {
            int64_t integer = value->as.integer;
            *value = (struct inv_value){.kind = INV_VALUE_FLOAT,
                                        .as.number = (double)integer};
            /* 2^53 + 1 is no double: nothing equals it */
            *possible = inv_value_compare_mixed(integer, value->as.number) == 0;
        }
        return INV_OK;
    case INV_FIELD_ANY:
        break;
    }
    return INV_OK;
}

static enum inv_status refuse_nan(const struct inv_field *field,
                                  const struct inv_value *value,
                                  struct inv_err *err) {
    if (!inv_value_is_nan(value))
        return INV_OK;
    return inv_fail(err, INV_NOT_FINITE,
                    "the field \"%.160s\" cannot be compared with NaN",
                    field->key);
}

/* On failure *at is the place of the literal. */
static enum inv_status bind_match(struct inv_condition *condition,
                                  const struct inv_field *field, size_t *at,
                                  struct inv_err *err) {
    size_t kept = 0;
    for (size_t i = 0; i < condition->value_count; i++) {
        struct inv_value value = condition->values[i];
        bool possible = true;
        *at = i;
        enum inv_status status = refuse_nan(field, &value, err);
        if (status == INV_OK)
            status = convert_match(field, &value, &possible, err);
        if (status != INV_OK)
            return status;
        if (possible)
            condition->values[kept++] = value;
    }
    condition->value_count = inv_value_sort(condition->values, kept);
    return INV_OK;
}

/* ---- range ---- */

/* The whole number that bounds integers as `value` does. low: x >= 2.5 is
 * x >= 3; high: x < 2.5 is x <= 2. Beyond 64 bits: all or nothing. */
static void bound_integers(struct inv_value *value, bool *open, bool low) {
    if (value->kind == INV_VALUE_INT)
        return;
    double wanted = value->as.number;
    double whole = low ? ceil(wanted) : floor(wanted);
    if (whole != wanted)
        *open = false;
    *value = (struct inv_value){.kind = INV_VALUE_INT};
    if (whole >= TWO_63) {
        value->as.integer = INT64_MAX;
        *open = low; /* x > INT64_MAX: nothing; x <= INT64_MAX: all */
    } else if (whole < -TWO_63) {
        value->as.integer = INT64_MIN;
        *open = !low;
    } else {
        value->as.integer = (int64_t)whole;
    }
}

/* The double that bounds doubles as an integer does, which may lie between two
 * of them. */
static void bound_floats(struct inv_value *value, bool *open, bool low) {
    if (value->kind == INV_VALUE_FLOAT)
        return;
    int64_t wanted = value->as.integer;
    double near = (double)wanted;
    int order = inv_value_compare_mixed(wanted, near); /* wanted - near */
    if (order != 0)
        *open = low ? order > 0 : order < 0;
    *value = (struct inv_value){.kind = INV_VALUE_FLOAT, .as.number = near};
}

static enum inv_status bind_bound(const struct inv_field *field,
                                  struct inv_value *value, bool *open, bool low,
                                  struct inv_err *err) {
    int64_t micros;
    enum inv_status status = refuse_nan(field, value, err);
    if (status != INV_OK)
        return status;
    switch (field->type) {
    case INV_FIELD_INTEGER:
        if (!is_number(value))
            return wrong_type(field, value, err);
        bound_integers(value, open, low);
        break;
    case INV_FIELD_FLOAT:
        if (!is_number(value))
            return wrong_type(field, value, err);
        bound_floats(value, open, low);
        break;
    case INV_FIELD_DATETIME:
        return to_time(field, value, err);
    case INV_FIELD_ANY: /* numbers, or times that stay text */
        if (value->kind == INV_VALUE_STRING &&
            !inv_time_parse(value->as.string.text, value->as.string.len,
                            &micros))
            return not_a_time(field, value, err);
        if (value->kind == INV_VALUE_BOOL)
            return inv_fail(err, INV_INVALID,
                            "a range on the field \"%.160s\" needs numbers or "
                            "times, got a bool",
                            field->key);
        break;
    case INV_FIELD_KEYWORD:
    case INV_FIELD_BOOL:
        return inv_fail(err, INV_INVALID,
                        "the field \"%.160s\" is %s: a range needs integer, "
                        "float or datetime",
                        field->key, inv_field_type_name(field->type));
    }
    return INV_OK;
}

static enum inv_status bind_range(struct inv_range *range,
                                  const struct inv_field *field,
                                  struct inv_err *err) {
    enum inv_status status = INV_OK;
    if (!range->has_low && !range->has_high)
        return inv_fail(err, INV_INVALID,
                        "the range on the field \"%.160s\" needs at least one "
                        "of gt, gte, lt, lte",
                        field->key);
    if (range->has_low && range->has_high &&
        is_number(&range->low) != is_number(&range->high))
        return inv_fail(err, INV_INVALID,
                        "the range on the field \"%.160s\" goes from %s to %s",
                        field->key, inv_value_kind_name(&range->low),
                        inv_value_kind_name(&range->high));
    if (range->has_low)
        status = bind_bound(field, &range->low, &range->low_open, true, err);
    if (status == INV_OK && range->has_high)
        status = bind_bound(field, &range->high, &range->high_open, false, err);
    return status;
}

/* ---- prefix, ids ---- */

static enum inv_status bind_prefix(const struct inv_condition *condition,
                                   const struct inv_field *field,
                                   struct inv_err *err) {
    if (field->type != INV_FIELD_KEYWORD && field->type != INV_FIELD_ANY)
        return inv_fail(err, INV_INVALID,
                        "the field \"%.160s\" is %s: a prefix needs keyword",
                        field->key, inv_field_type_name(field->type));
    if (condition->value_count != 1)
        return inv_fail(err, INV_INVALID, "a prefix is one string, got %zu",
                        condition->value_count);
    if (condition->values[0].kind != INV_VALUE_STRING)
        return inv_fail(err, INV_INVALID, "a prefix is a string, got %s",
                        inv_value_kind_name(&condition->values[0]));
    return INV_OK;
}

static enum inv_status bind_ids(struct inv_condition *condition, size_t *at,
                                struct inv_err *err) {
    condition->field = 0;
    for (*at = 0; *at < condition->value_count; (*at)++)
        if (condition->values[*at].kind != INV_VALUE_STRING)
            return inv_fail(err, INV_INVALID, "an id is a string, got %s",
                            inv_value_kind_name(&condition->values[*at]));
    condition->value_count =
        inv_value_sort(condition->values, condition->value_count);
    return INV_OK;
}

/* ---- the whole ---- */

static const struct inv_field *resolve(struct inv_filter *filter,
                                       struct inv_condition *condition,
                                       const struct inv_field *schema,
                                       size_t field_count) {
    for (uint32_t i = 0; i < field_count; i++)
        if (strcmp(schema[i].key, condition->key) == 0) {
            condition->field = i;
            return &schema[i];
        }
    size_t n = 0;
    while (n < filter->unindexed_count &&
           strcmp(filter->unindexed[n].key, condition->key) != 0)
        n++;
    if (n == filter->unindexed_count)
        filter->unindexed[filter->unindexed_count++] =
            (struct inv_field){.key = condition->key, .type = INV_FIELD_ANY};
    condition->field = INV_FIELD_UNINDEXED | (uint32_t)n;
    return &filter->unindexed[n];
}

/* `group` and `number` only say where an error is. */
static enum inv_status bind_one(struct inv_filter *filter,
                                struct inv_condition *condition,
                                const struct inv_field *schema,
                                size_t field_count, const char *group,
                                size_t number, struct inv_err *err) {
    const struct inv_field *field = NULL;
    enum inv_status status = INV_OK;
    size_t at = 0;
    size_t given = condition->value_count;
    if (condition->kind != INV_COND_IDS)
        field = resolve(filter, condition, schema, field_count);
    switch (condition->kind) {
    case INV_COND_MATCH:
        status = bind_match(condition, field, &at, err);
        break;
    case INV_COND_RANGE:
        status = bind_range(&condition->range, field, err);
        break;
    case INV_COND_EXISTS:
        break;
    case INV_COND_PREFIX:
        status = bind_prefix(condition, field, err);
        break;
    case INV_COND_IDS:
        status = bind_ids(condition, &at, err);
        break;
    }
    if (status == INV_OK)
        return INV_OK;
    const char *kind = kind_names[condition->kind];
    if (condition->kind == INV_COND_IDS ||
        (condition->kind == INV_COND_MATCH && given > 1))
        inv_err_at(err, "/filter/%s/%zu/%s/%zu", group, number, kind, at);
    else
        inv_err_at(err, "/filter/%s/%zu/%s", group, number, kind);
    return status;
}

enum inv_status inv_filter_bind(struct inv_filter *filter,
                                const struct inv_field *schema,
                                size_t field_count, struct inv_err *err) {
    const struct {
        struct inv_condition *conditions;
        size_t count;
        const char *name;
    } groups[] = {
        {filter->must, filter->must_count, "must"},
        {filter->must_not, filter->must_not_count, "must_not"},
        {filter->should, filter->should_count, "should"},
    };
    filter->unindexed_count = 0;
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            enum inv_status status =
                bind_one(filter, &groups[g].conditions[i], schema, field_count,
                         groups[g].name, i, err);
            if (status != INV_OK)
                return status;
        }
    return INV_OK;
}
