/*
 * json_row.c: the values that a payload holds for the fields of a schema. A
 * dotted key walks nested objects, a literal dotted key wins over the walk, and
 * arrays on the way or at the end stand for each of their elements. It does not
 * know filters or postings. Pure functions, any thread.
 */
#include "server/json/json_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct collector {
    struct inv_row_item *items; /* malloc'ed; strings belong to the payload */
    size_t count, room;
    const struct inv_field *field;
    uint32_t field_index;
    const char *at;
    struct inv_err *err;
};

static enum inv_status add(struct collector *collector,
                           struct inv_value value) {
    if (collector->count == collector->room) {
        size_t room = collector->room == 0 ? 16 : collector->room * 2;
        struct inv_row_item *items =
            realloc(collector->items, room * sizeof *items);
        if (items == NULL)
            return inv_fail(collector->err, INV_MEMORY,
                            "out of memory for %zu payload values", room);
        collector->items = items;
        collector->room = room;
    }
    collector->items[collector->count++] =
        (struct inv_row_item){collector->field_index, value};
    return INV_OK;
}

static enum inv_status wrong_type(const struct collector *collector,
                                  const char *got) {
    const struct inv_field *field = collector->field;
    enum inv_status status = inv_fail(
        collector->err, INV_INVALID, "field \"%.64s\" is indexed as %s, got %s",
        field->key, inv_field_type_name(field->type), got);
    return inv_json_point(collector->err, status, collector->at, field->key);
}

/* What the JSON says; false for null, arrays and objects. */
static bool plain_value(const inv_json *value, struct inv_value *out) {
    switch (inv_json_kind(value)) {
    case INV_JSON_STRING:
        out->kind = INV_VALUE_STRING;
        out->as.string.text = inv_json_string(value, &out->as.string.len);
        return true;
    case INV_JSON_INT:
        out->kind = INV_VALUE_INT;
        out->as.integer = inv_json_int(value);
        return true;
    case INV_JSON_REAL:
        out->kind = INV_VALUE_FLOAT;
        out->as.number = inv_json_real(value);
        return true;
    case INV_JSON_BOOL:
        out->kind = INV_VALUE_BOOL;
        out->as.boolean = inv_json_bool(value);
        return true;
    case INV_JSON_NULL:
    case INV_JSON_ARRAY:
    case INV_JSON_OBJECT:
        break;
    }
    return false;
}

/* Converts to the type of the field; false if it does not fit. */
static bool convert(struct inv_value *value, enum inv_field_type type) {
    switch (type) {
    case INV_FIELD_KEYWORD:
        return value->kind == INV_VALUE_STRING;
    case INV_FIELD_BOOL:
        return value->kind == INV_VALUE_BOOL;
    case INV_FIELD_INTEGER:
        if (value->kind == INV_VALUE_FLOAT &&
            value->as.number == floor(value->as.number) &&
            fabs(value->as.number) <= 9007199254740992.0) {
            int64_t whole = (int64_t)value->as.number; /* 2020.0 */
            value->kind = INV_VALUE_INT;
            value->as.integer = whole;
        }
        return value->kind == INV_VALUE_INT;
    case INV_FIELD_FLOAT:
        if (value->kind == INV_VALUE_INT) {
            double number = (double)value->as.integer;
            value->kind = INV_VALUE_FLOAT;
            value->as.number = number;
        }
        return value->kind == INV_VALUE_FLOAT;
    case INV_FIELD_DATETIME: {
        int64_t micros;
        if (value->kind != INV_VALUE_STRING ||
            !inv_time_parse(value->as.string.text, value->as.string.len,
                            &micros))
            return false;
        value->kind = INV_VALUE_INT;
        value->as.integer = micros;
        return true;
    }
    case INV_FIELD_ANY:
        break;
    }
    return true;
}

static enum inv_status take(struct collector *collector, const inv_json *value,
                            bool element) {
    enum inv_json_kind kind = inv_json_kind(value);
    if (kind == INV_JSON_NULL)
        return INV_OK;
    if (kind == INV_JSON_ARRAY && !element) {
        enum inv_status status = INV_OK;
        for (size_t i = 0; i < inv_json_size(value) && status == INV_OK; i++)
            status = take(collector, inv_json_at(value, i), true);
        return status;
    }
    struct inv_value taken;
    enum inv_field_type type = collector->field->type;
    if (!plain_value(value, &taken))
        return type == INV_FIELD_ANY
                   ? INV_OK /* nothing a condition could compare with */
                   : wrong_type(collector, inv_json_kind_name(kind));
    if (!convert(&taken, type))
        return wrong_type(collector,
                          type == INV_FIELD_DATETIME && kind == INV_JSON_STRING
                              ? "text that is not an RFC 3339 time"
                              : inv_json_kind_name(kind));
    return add(collector, taken);
}

/* `key` is what is left of the field's key below `value`. */
static enum inv_status walk(struct collector *collector, const inv_json *value,
                            const char *key) {
    if (inv_json_kind(value) == INV_JSON_ARRAY) {
        enum inv_status status = INV_OK;
        for (size_t i = 0; i < inv_json_size(value) && status == INV_OK; i++) {
            const inv_json *element = inv_json_at(value, i);
            if (inv_json_kind(element) == INV_JSON_OBJECT)
                status = walk(collector, element, key);
        }
        return status;
    }
    if (inv_json_kind(value) != INV_JSON_OBJECT)
        return INV_OK;
    const inv_json *found = inv_json_get(value, key);
    if (found != NULL)
        return take(collector, found, false);
    const char *dot = strchr(key, '.');
    if (dot == NULL)
        return INV_OK;
    const inv_json *below = inv_json_getn(value, key, (size_t)(dot - key));
    return below == NULL ? INV_OK : walk(collector, below, dot + 1);
}

enum inv_status inv_json_row(const inv_json *payload, const char *at,
                             const struct inv_field *schema, size_t field_count,
                             struct inv_row **out, struct inv_err *err) {
    struct collector collector = {.at = at, .err = err};
    enum inv_status status = INV_OK;
    *out = NULL;
    if (payload == NULL || inv_json_kind(payload) != INV_JSON_OBJECT)
        return INV_OK;
    for (size_t i = 0; i < field_count && status == INV_OK; i++) {
        collector.field = &schema[i];
        collector.field_index = (uint32_t)i;
        status = walk(&collector, payload, schema[i].key);
    }
    if (status == INV_OK && collector.count > 0) {
        *out = inv_row_new(collector.items, collector.count);
        if (*out == NULL)
            status = inv_fail(err, INV_MEMORY,
                              "out of memory for %zu payload values",
                              collector.count);
    }
    free(collector.items);
    return status;
}
