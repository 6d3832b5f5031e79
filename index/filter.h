/*
 * filter.h: conditions on payload fields and ids: the tree a request is parsed
 * into, the typed values of a document's indexed fields, and the test of one
 * against the other. postings.h answers the same question for a whole segment.
 *
 * A filter matches when every `must` holds, no `must_not` holds and, when there
 * is any `should`, at least one holds. A missing key matches nothing (so it
 * passes must_not). Arrays match when any element does. Nothing here locks;
 * structures are immutable once made.
 */
#ifndef INV_INDEX_FILTER_H
#define INV_INDEX_FILTER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_field_type {
    INV_FIELD_KEYWORD,
    INV_FIELD_INTEGER,
    INV_FIELD_FLOAT,
    INV_FIELD_DATETIME, /* RFC 3339 text; microseconds since 1970 UTC */
    INV_FIELD_BOOL,
    INV_FIELD_ANY, /* of a field that is not indexed: what the JSON says */
};

const char *inv_field_type_name(enum inv_field_type type);
int inv_field_type_parse(const char *name); /* -1 if unknown; not "any" */

struct inv_field {
    const char *key; /* "year", dotted for nested objects: "author.name" */
    enum inv_field_type type;
};

struct inv_value {
    enum {
        INV_VALUE_STRING,
        INV_VALUE_INT,
        INV_VALUE_FLOAT,
        INV_VALUE_BOOL
    } kind;
    union {
        struct {
            const char *text; /* not necessarily NUL-terminated */
            size_t len;
        } string;
        int64_t integer; /* INTEGER, DATETIME */
        double number;
        bool boolean;
    } as;
};

/* The values of one document: (field index, value) pairs in one block. Field
 * index i is the i-th of the schema the row was made for. */
struct inv_row_item {
    uint32_t field;
    struct inv_value value;
};

struct inv_row {
    size_t count;
    size_t bytes; /* of the whole block */
    struct inv_row_item items[];
};

/* Copies items and their strings into one malloc'ed block; free() it. */
struct inv_row *inv_row_new(const struct inv_row_item *items, size_t count);

enum inv_condition_kind {
    INV_COND_MATCH, /* equals any of values */
    INV_COND_RANGE,
    INV_COND_EXISTS, /* the key holds at least one value (null is none) */
    INV_COND_PREFIX, /* keyword begins with values[0] */
    INV_COND_IDS,    /* the document's id is any of values; no key */
};

struct inv_range {
    struct inv_value low, high;
    bool has_low, low_open;   /* gt: open */
    bool has_high, high_open; /* lt: open */
};

struct inv_condition {
    enum inv_condition_kind kind;
    const char *key;
    /* Index into the schema of the indexed fields, or INV_FIELD_UNINDEXED |
     * index into filter->unindexed. Set by inv_filter_bind. */
    uint32_t field;
    struct inv_value *values;
    size_t value_count;
    struct inv_range range;
};

#define INV_FIELD_UNINDEXED UINT32_C(0x80000000)

struct inv_filter {
    struct inv_condition *must, *must_not, *should;
    size_t must_count, must_not_count, should_count;
    struct inv_field *unindexed; /* keys that are not in the schema, type ANY */
    size_t unindexed_count;
};

/* Resolves keys against the schema and converts literals to the field's type
 * (an integer literal on a float field, RFC 3339 text on a datetime field, an
 * integral float on an integer field...). A wrong type, a range without bound
 * or on a keyword/bool, a prefix on a non-keyword: INV_INVALID with pointer
 * "/filter/must/2/range" style and both types in the text. `unindexed` must
 * have room for every condition. Sorts match values where that helps.
 *
 * Afterwards a condition holds exactly when it is true of the stored value:
 * nothing is rounded on the way (2.5 against integers, 2^53 + 1 against
 * floats). A number that no value of an integer field can equal is an error in
 * match and fine in range. Bind once: a bound filter, or one whose binding
 * failed, cannot be bound again. */
enum inv_status inv_filter_bind(struct inv_filter *filter,
                                const struct inv_field *schema,
                                size_t field_count,
                                struct inv_err *err) INV_MUST_USE;

/* One condition / the filter against one document. `indexed` is its row for
 * the schema (NULL: no values); `unindexed` its row for filter->unindexed
 * (NULL: no values), whose values are of whatever kind the JSON had. */
bool inv_condition_matches(const struct inv_condition *condition,
                           const char *id, size_t id_len,
                           const struct inv_row *indexed,
                           const struct inv_row *unindexed);
bool inv_filter_matches(const struct inv_filter *filter, const char *id,
                        size_t id_len, const struct inv_row *indexed,
                        const struct inv_row *unindexed);
/* Any condition on a field that is not indexed? */
bool inv_filter_needs_scan(const struct inv_filter *filter);

/* RFC 3339 ("2024-05-01T12:00:00Z", offsets, fractions, date alone = midnight
 * UTC) to microseconds since 1970; false if it is not one. */
bool inv_time_parse(const char *text, size_t len, int64_t *micros);

#endif
