/*
 * filter.c: rows of values and the test of a bound filter against one. Knows
 * nothing about JSON or segments. Pure functions, any thread.
 */
#include "index/filter.h"

#include "index/value.h"

#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [INV_FIELD_KEYWORD] = "keyword", [INV_FIELD_INTEGER] = "integer",
    [INV_FIELD_FLOAT] = "float",     [INV_FIELD_DATETIME] = "datetime",
    [INV_FIELD_BOOL] = "bool",       [INV_FIELD_ANY] = "any",
};

const char *inv_field_type_name(enum inv_field_type type) {
    return type_names[type];
}

int inv_field_type_parse(const char *name) {
    for (int i = INV_FIELD_KEYWORD; i < INV_FIELD_ANY; i++)
        if (strcmp(type_names[i], name) == 0)
            return i;
    return -1;
}

/* NaN equals nothing and would break the order of sorted values: a row does
 * not hold it. */
struct inv_row *inv_row_new(const struct inv_row_item *items, size_t count) {
    size_t bytes = sizeof(struct inv_row);
    if (count > (SIZE_MAX / 2 - bytes) / sizeof *items)
        return NULL;
    bytes += count * sizeof *items;
    for (size_t i = 0; i < count; i++) {
        if (items[i].value.kind != INV_VALUE_STRING)
            continue;
        if (items[i].value.as.string.len > SIZE_MAX / 2 - bytes)
            return NULL;
        bytes += items[i].value.as.string.len;
    }
    struct inv_row *row = malloc(bytes);
    if (row == NULL)
        return NULL;
    row->bytes = bytes;
    row->count = 0;
    char *text = (char *)(row->items + count);
    for (size_t i = 0; i < count; i++) {
        if (inv_value_is_nan(&items[i].value))
            continue;
        struct inv_row_item *item = &row->items[row->count++];
        *item = items[i];
        if (item->value.kind != INV_VALUE_STRING)
            continue;
        size_t len = item->value.as.string.len;
        if (len > 0)
            memcpy(text, item->value.as.string.text, len);
        item->value.as.string.text = text;
        text += len;
    }
    return row;
}

static bool starts_with(const struct inv_value *value,
                        const struct inv_value *prefix) {
    return value->kind == INV_VALUE_STRING &&
           value->as.string.len >= prefix->as.string.len &&
           inv_value_compare_bytes(value->as.string.text, prefix->as.string.len,
                                   prefix->as.string.text,
                                   prefix->as.string.len) == 0;
}

static bool value_matches(const struct inv_condition *condition,
                          const struct inv_value *value) {
    switch (condition->kind) {
    case INV_COND_MATCH:
        return inv_value_in(value, condition->values, condition->value_count);
    case INV_COND_RANGE:
        return inv_value_in_range(value, &condition->range);
    case INV_COND_EXISTS:
        return true;
    case INV_COND_PREFIX:
        return starts_with(value, &condition->values[0]);
    case INV_COND_IDS:
        break; /* not about a value */
    }
    return false;
}

bool inv_condition_matches(const struct inv_condition *condition,
                           const char *id, size_t id_len,
                           const struct inv_row *indexed,
                           const struct inv_row *unindexed) {
    if (condition->kind == INV_COND_IDS) {
        struct inv_value value = {.kind = INV_VALUE_STRING,
                                  .as.string = {id, id_len}};
        return inv_value_in(&value, condition->values, condition->value_count);
    }
    bool scan = (condition->field & INV_FIELD_UNINDEXED) != 0;
    uint32_t field = condition->field & ~INV_FIELD_UNINDEXED;
    const struct inv_row *row = scan ? unindexed : indexed;
    for (size_t i = 0; row != NULL && i < row->count; i++)
        if (row->items[i].field == field &&
            !inv_value_is_nan(&row->items[i].value) &&
            value_matches(condition, &row->items[i].value))
            return true;
    return false;
}

bool inv_filter_matches(const struct inv_filter *filter, const char *id,
                        size_t id_len, const struct inv_row *indexed,
                        const struct inv_row *unindexed) {
    for (size_t i = 0; i < filter->must_count; i++)
        if (!inv_condition_matches(&filter->must[i], id, id_len, indexed,
                                   unindexed))
            return false;
    for (size_t i = 0; i < filter->must_not_count; i++)
        if (inv_condition_matches(&filter->must_not[i], id, id_len, indexed,
                                  unindexed))
            return false;
    for (size_t i = 0; i < filter->should_count; i++)
        if (inv_condition_matches(&filter->should[i], id, id_len, indexed,
                                  unindexed))
            return true;
    return filter->should_count == 0;
}

bool inv_filter_needs_scan(const struct inv_filter *filter) {
    return filter->unindexed_count > 0;
}
