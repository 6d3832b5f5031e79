/*
 * test_filter.c: binding filters to a schema and testing rows against them,
 * by hand and against a naive evaluation of the literals as they were written.
 */
#include "index/filter.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_field schema[] = {
    {"lang", INV_FIELD_KEYWORD}, {"year", INV_FIELD_INTEGER},
    {"price", INV_FIELD_FLOAT},  {"at", INV_FIELD_DATETIME},
    {"open", INV_FIELD_BOOL},
};
enum { LANG, YEAR, PRICE, AT, OPEN, FIELDS };

static struct inv_err err;
static struct inv_field unindexed[16];

static struct inv_value s(const char *text) {
    return (struct inv_value){.kind = INV_VALUE_STRING,
                              .as.string = {text, strlen(text)}};
}
static struct inv_value n(int64_t integer) {
    return (struct inv_value){.kind = INV_VALUE_INT, .as.integer = integer};
}
static struct inv_value d(double number) {
    return (struct inv_value){.kind = INV_VALUE_FLOAT, .as.number = number};
}
static struct inv_value b(bool boolean) {
    return (struct inv_value){.kind = INV_VALUE_BOOL, .as.boolean = boolean};
}

static struct inv_condition cond(enum inv_condition_kind kind, const char *key,
                                 struct inv_value *values, size_t count) {
    return (struct inv_condition){
        .kind = kind, .key = key, .values = values, .value_count = count};
}

/* op: one of "gt", "gte", "lt", "lte" */
static struct inv_condition range(const char *key, const char *op,
                                  struct inv_value bound) {
    struct inv_condition c = {.kind = INV_COND_RANGE, .key = key};
    bool open = op[2] == '\0';
    if (op[0] == 'g')
        c.range =
            (struct inv_range){.low = bound, .has_low = true, .low_open = open};
    else
        c.range = (struct inv_range){
            .high = bound, .has_high = true, .high_open = open};
    return c;
}

static enum inv_status bind_must(struct inv_condition *c) {
    struct inv_filter filter = {
        .must = c, .must_count = 1, .unindexed = unindexed};
    err = (struct inv_err){0};
    return inv_filter_bind(&filter, schema, FIELDS, &err);
}

/* Does a document with this one value match, after binding? */
static bool holds(struct inv_condition c, uint32_t field,
                  struct inv_value value) {
    struct inv_row_item item = {field, value};
    struct inv_row *row = inv_row_new(&item, 1);
    ck_assert_ptr_nonnull(row);
    ck_assert_msg(bind_must(&c) == INV_OK, "%s", err.text);
    bool scan = (c.field & INV_FIELD_UNINDEXED) != 0;
    bool yes = inv_condition_matches(&c, "id", 2, scan ? NULL : row,
                                     scan ? row : NULL);
    free(row);
    return yes;
}

#define MATCH(key, literal)                                                    \
    cond(INV_COND_MATCH, key, (struct inv_value[]){literal}, 1)

START_TEST(type_names_go_both_ways) {
    for (int i = INV_FIELD_KEYWORD; i < INV_FIELD_ANY; i++)
        ck_assert_int_eq(
            inv_field_type_parse(inv_field_type_name((enum inv_field_type)i)),
            i);
    ck_assert_int_eq(inv_field_type_parse("any"), -1);
    ck_assert_int_eq(inv_field_type_parse("Keyword"), -1);
}
END_TEST

START_TEST(a_row_is_a_copy_of_its_own) {
    char text[] = "en";
    struct inv_row_item items[] = {
        {LANG, s(text)}, {YEAR, n(7)}, {PRICE, d((double)NAN)}, {LANG, s("")}};
    struct inv_row *row = inv_row_new(items, 4);
    memset(text, 'x', 2);
    ck_assert_uint_eq(row->count, 3); /* without NaN */
    ck_assert_mem_eq(row->items[0].value.as.string.text, "en", 2);
    ck_assert_int_eq(row->items[1].value.as.integer, 7);
    ck_assert_uint_eq(row->items[2].value.as.string.len, 0);
    ck_assert_uint_ge(row->bytes, sizeof *row + 4 * sizeof *items + 2);
    free(row);
    row = inv_row_new(NULL, 0);
    ck_assert_uint_eq(row->count, 0);
    free(row);
}
END_TEST

START_TEST(match_compares_in_the_type_of_the_field) {
    ck_assert(holds(MATCH("lang", s("en")), LANG, s("en")));
    ck_assert(!holds(MATCH("lang", s("en")), LANG, s("eng")));
    ck_assert(!holds(MATCH("lang", s("en")), LANG, s("EN")));
    ck_assert(holds(MATCH("year", d(2020.0)), YEAR, n(2020)));
    ck_assert(holds(MATCH("price", n(3)), PRICE, d(3.0)));
    ck_assert(holds(MATCH("price", n(0)), PRICE, d(-0.0)));
    ck_assert(holds(MATCH("at", s("2024-05-01T14:00:00+02:00")), AT,
                    n(INT64_C(1714564800000000))));
    ck_assert(holds(MATCH("open", b(false)), OPEN, b(false)));
    ck_assert(!holds(MATCH("open", b(true)), OPEN, b(false)));
}
END_TEST

START_TEST(match_finds_any_of_many_in_any_order) {
    struct inv_value values[101];
    for (int i = 0; i < 101; i++)
        values[i] = n((i * 37) % 101 * 2); /* even numbers, shuffled */
    values[100] = values[3];               /* and one twice */
    struct inv_condition c = cond(INV_COND_MATCH, "year", values, 101);
    ck_assert_int_eq(bind_must(&c), INV_OK);
    int64_t lost = (100 * 37) % 101 * 2;
    for (int i = -3; i < 210; i++) {
        struct inv_row_item item = {YEAR, n(i)};
        struct inv_row *row = inv_row_new(&item, 1);
        bool want = i >= 0 && i <= 200 && i % 2 == 0 && i != lost;
        ck_assert_int_eq(inv_condition_matches(&c, "", 0, row, NULL), want);
        free(row);
    }
    c = cond(INV_COND_MATCH, "year", NULL, 0);
    ck_assert(!holds(c, YEAR, n(1))); /* none of no values */
}
END_TEST

START_TEST(float_bounds_on_integers_are_not_truncated) {
    static const struct {
        const char *op;
        double bound;
        int64_t value;
        bool want;
    } rows[] = {
        {"gte", 2.5, 2, false},
        {"gte", 2.5, 3, true},
        {"gt", 2.5, 3, true},
        {"gt", 2.5, 2, false},
        {"lte", 2.5, 2, true},
        {"lte", 2.5, 3, false},
        {"lt", 2.5, 2, true},
        {"lt", 2.5, 3, false},
        {"gte", -2.5, -2, true},
        {"gte", -2.5, -3, false},
        {"lt", -2.5, -3, true},
        {"lt", -2.5, -2, false},
        {"gt", 3.0, 3, false},
        {"gte", 3.0, 3, true},
        {"lt", 3.0, 3, false},
        {"lte", 3.0, 3, true},
        {"lt", 0.5, 0, true},
        {"gt", -0.5, 0, true},
        {"gt", 1e300, INT64_MAX, false},
        {"gte", 1e300, INT64_MAX, false},
        {"lt", 1e300, INT64_MAX, true},
        {"lte", 1e300, INT64_MAX, true},
        {"gt", -1e300, INT64_MIN, true},
        {"lt", -1e300, INT64_MIN, false},
        {"lte", -1e300, INT64_MIN, false},
        /* 2^63 is one more than INT64_MAX, -2^63 is INT64_MIN */
        {"gte", 9223372036854775808.0, INT64_MAX, false},
        {"lt", 9223372036854775808.0, INT64_MAX, true},
        {"gte", -9223372036854775808.0, INT64_MIN, true},
        {"gt", -9223372036854775808.0, INT64_MIN, false},
        {"gt", -9223372036854775808.0, INT64_MIN + 1, true},
        {"lte", -9223372036854775808.0, INT64_MIN, true},
        {"lt", -9223372036854775808.0, INT64_MIN, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(holds(range("year", rows[i].op, d(rows[i].bound)), YEAR,
                            n(rows[i].value)) == rows[i].want,
                      "row %zu", i);
}
END_TEST

START_TEST(integer_extremes_compare_exactly) {
    ck_assert(holds(range("year", "gte", n(INT64_MAX)), YEAR, n(INT64_MAX)));
    ck_assert(!holds(range("year", "gt", n(INT64_MAX)), YEAR, n(INT64_MAX)));
    ck_assert(
        !holds(range("year", "gte", n(INT64_MAX)), YEAR, n(INT64_MAX - 1)));
    ck_assert(holds(range("year", "lte", n(INT64_MIN)), YEAR, n(INT64_MIN)));
    ck_assert(!holds(range("year", "lt", n(INT64_MIN)), YEAR, n(INT64_MIN)));
    ck_assert(holds(MATCH("year", n(INT64_MAX)), YEAR, n(INT64_MAX)));
    ck_assert(!holds(MATCH("year", n(INT64_MAX)), YEAR, n(INT64_MAX - 1)));
    ck_assert(
        holds(MATCH("year", d(-9223372036854775808.0)), YEAR, n(INT64_MIN)));
}
END_TEST

START_TEST(integers_beyond_2_53_bound_floats_exactly) {
    const int64_t big = INT64_C(9007199254740993); /* 2^53 + 1: no double */
    const double below = 9007199254740992.0;
    const double above = 9007199254740994.0;
    for (int sign = -1; sign <= 1; sign += 2) {
        bool up = sign > 0;
        struct inv_value x = n(sign * big);
        double inner = sign * below;
        double outer = sign * above;
        ck_assert(holds(range("price", "lt", x), PRICE, d(inner)) == up);
        ck_assert(holds(range("price", "lte", x), PRICE, d(inner)) == up);
        ck_assert(holds(range("price", "gt", x), PRICE, d(inner)) == !up);
        ck_assert(holds(range("price", "gte", x), PRICE, d(inner)) == !up);
        ck_assert(holds(range("price", "gte", x), PRICE, d(outer)) == up);
        ck_assert(holds(range("price", "gt", x), PRICE, d(outer)) == up);
        ck_assert(holds(range("price", "lt", x), PRICE, d(outer)) == !up);
        ck_assert(holds(range("price", "lte", x), PRICE, d(outer)) == !up);
        ck_assert(!holds(MATCH("price", x), PRICE, d(inner)));
        ck_assert(!holds(MATCH("price", x), PRICE, d(outer)));
    }
    /* INT64_MAX rounds up to 2^63 */
    const double two63 = 9223372036854775808.0;
    ck_assert(holds(range("price", "gt", n(INT64_MAX)), PRICE, d(two63)));
    ck_assert(!holds(range("price", "lte", n(INT64_MAX)), PRICE, d(two63)));
    ck_assert(holds(range("price", "lte", n(INT64_MAX)), PRICE,
                    d(nextafter(two63, 0))));
    ck_assert(holds(range("price", "lte", n(INT64_MIN)), PRICE, d(-two63)));
    ck_assert(!holds(range("price", "lt", n(INT64_MIN)), PRICE, d(-two63)));
    ck_assert(!holds(MATCH("price", n(INT64_MAX)), PRICE, d(two63)));
    ck_assert(holds(MATCH("price", n(INT64_MIN)), PRICE, d(-two63)));
}
END_TEST

START_TEST(both_ends_of_a_range_count) {
    struct inv_condition c = range("year", "gte", n(2));
    c.range.high = d(4.5);
    c.range.has_high = true;
    c.range.high_open = true;
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(holds(c, YEAR, n(i)), i >= 2 && i <= 4);
    c.range.low = n(9); /* nothing lies between 9 and 4.5 */
    for (int i = 0; i < 12; i++)
        ck_assert(!holds(c, YEAR, n(i)));
}
END_TEST

START_TEST(time_ranges_compare_instants) {
    struct inv_value noon = n(INT64_C(1714564800000000));
    ck_assert(holds(range("at", "gte", s("2024-05-01T12:00:00Z")), AT, noon));
    ck_assert(!holds(range("at", "gt", s("2024-05-01T12:00:00Z")), AT, noon));
    ck_assert(holds(range("at", "gte", s("2024-05-01")), AT, noon));
    ck_assert(!holds(range("at", "lt", s("2024-05-01")), AT, noon));
    ck_assert(
        holds(range("at", "lt", s("2024-05-01T13:00:00-01:00")), AT, noon));
}
END_TEST

START_TEST(prefix_is_bytewise) {
    struct inv_value p = s("ab");
    struct inv_condition c = cond(INV_COND_PREFIX, "lang", &p, 1);
    ck_assert(holds(c, LANG, s("ab")));
    ck_assert(holds(c, LANG, s("abc")));
    ck_assert(!holds(c, LANG, s("a")));
    ck_assert(!holds(c, LANG, s("Ab")));
    ck_assert(!holds(c, LANG, s("xab")));
    p = s("");
    ck_assert(holds(c, LANG, s("")));
    ck_assert(holds(c, LANG, s("z")));
}
END_TEST

START_TEST(ids_match_the_document) {
    struct inv_value ids[] = {s("b"), s("a"), s("b"), s("")};
    struct inv_condition c = cond(INV_COND_IDS, NULL, ids, 4);
    ck_assert_int_eq(bind_must(&c), INV_OK);
    ck_assert(inv_condition_matches(&c, "a", 1, NULL, NULL));
    ck_assert(inv_condition_matches(&c, "b", 1, NULL, NULL));
    ck_assert(!inv_condition_matches(&c, "ab", 2, NULL, NULL));
    struct inv_filter filter = {
        .must = &c, .must_count = 1, .unindexed = unindexed};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err), INV_OK);
    ck_assert(!inv_filter_needs_scan(&filter));
}
END_TEST

START_TEST(arrays_match_on_any_element_and_missing_keys_on_none) {
    struct inv_row_item items[] = {
        {LANG, s("de")}, {YEAR, n(1)}, {LANG, s("fr")}};
    struct inv_row *row = inv_row_new(items, 3);
    struct inv_condition c = MATCH("lang", s("fr"));
    ck_assert_int_eq(bind_must(&c), INV_OK);
    ck_assert(inv_condition_matches(&c, "", 0, row, NULL));
    c = MATCH("open", b(true));
    ck_assert_int_eq(bind_must(&c), INV_OK);
    ck_assert(!inv_condition_matches(&c, "", 0, row, NULL));
    ck_assert(!inv_condition_matches(&c, "", 0, NULL, NULL));
    c = cond(INV_COND_EXISTS, "open", NULL, 0);
    ck_assert_int_eq(bind_must(&c), INV_OK);
    ck_assert(!inv_condition_matches(&c, "", 0, row, NULL));
    c = cond(INV_COND_EXISTS, "lang", NULL, 0);
    ck_assert_int_eq(bind_must(&c), INV_OK);
    ck_assert(inv_condition_matches(&c, "", 0, row, NULL));
    free(row);
}
END_TEST

START_TEST(unindexed_fields_compare_what_is_there) {
    ck_assert(holds(MATCH("x", n(3)), 0, d(3.0)));
    ck_assert(holds(MATCH("x", d(3.0)), 0, n(3)));
    ck_assert(!holds(MATCH("x", n(3)), 0, s("3")));
    ck_assert(!holds(MATCH("x", b(true)), 0, n(1)));
    ck_assert(holds(MATCH("x", b(true)), 0, b(true)));
    /* an integer stays exact where the JSON had integers */
    ck_assert(!holds(MATCH("x", n(INT64_MAX)), 0, n(INT64_MAX - 1)));
    ck_assert(!holds(MATCH("x", n(INT64_MAX)), 0, d(9223372036854775808.0)));
    ck_assert(holds(range("x", "lt", d(2.5)), 0, n(2)));
    ck_assert(!holds(range("x", "lt", d(2.5)), 0, s("1")));
    ck_assert(!holds(range("x", "lt", d(2.5)), 0, b(false)));
    ck_assert(holds(range("x", "gt", s("2024-05-01T00:00:00Z")), 0,
                    s("2024-05-01T00:30:00+00:00")));
    ck_assert(!holds(range("x", "gt", s("2024-05-01T00:00:00Z")), 0,
                     s("2024-05-01T00:30:00+01:00")));
    ck_assert(!holds(range("x", "gt", s("2024-05-01")), 0, s("tomorrow")));
    ck_assert(!holds(range("x", "gt", s("2024-05-01")), 0, n(INT64_MAX)));
    struct inv_value p = s("a");
    ck_assert(holds(cond(INV_COND_PREFIX, "x", &p, 1), 0, s("abc")));
    ck_assert(!holds(cond(INV_COND_PREFIX, "x", &p, 1), 0, n(1)));
}
END_TEST

START_TEST(unindexed_keys_are_listed_once) {
    struct inv_condition must[] = {MATCH("x", n(1)), MATCH("year", n(1)),
                                   MATCH("y", n(1))};
    struct inv_condition should[] = {MATCH("x", n(2))};
    struct inv_filter filter = {.must = must,
                                .must_count = 3,
                                .should = should,
                                .should_count = 1,
                                .unindexed = unindexed};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err), INV_OK);
    ck_assert(inv_filter_needs_scan(&filter));
    ck_assert_uint_eq(filter.unindexed_count, 2);
    ck_assert_str_eq(filter.unindexed[0].key, "x");
    ck_assert_int_eq(filter.unindexed[0].type, INV_FIELD_ANY);
    ck_assert_str_eq(filter.unindexed[1].key, "y");
    ck_assert_uint_eq(must[0].field, INV_FIELD_UNINDEXED);
    ck_assert_uint_eq(must[1].field, YEAR);
    ck_assert_uint_eq(must[2].field, INV_FIELD_UNINDEXED | 1);
    ck_assert_uint_eq(should[0].field, INV_FIELD_UNINDEXED);
    /* the two rows are not mixed up */
    struct inv_row_item indexed_items[] = {{YEAR, n(1)}};
    struct inv_row_item other_items[] = {{0, n(1)}, {0, n(2)}, {1, n(1)}};
    struct inv_row *indexed = inv_row_new(indexed_items, 1);
    struct inv_row *other = inv_row_new(other_items, 3);
    ck_assert(inv_filter_matches(&filter, "", 0, indexed, other));
    ck_assert(!inv_filter_matches(&filter, "", 0, other, indexed));
    ck_assert(!inv_filter_matches(&filter, "", 0, indexed, NULL));
    free(indexed);
    free(other);
}
END_TEST

START_TEST(groups_combine_as_documented) {
    struct inv_row_item item = {YEAR, n(1)};
    struct inv_row *row = inv_row_new(&item, 1);
    /* each group: absent, true, false, or one of both kinds */
    for (int m = 0; m < 4; m++)
        for (int x = 0; x < 4; x++)
            for (int o = 0; o < 4; o++) {
                struct inv_condition c[3][2] = {
                    {MATCH("year", n(m != 2)), MATCH("year", n(0))},
                    {MATCH("year", n(x != 2)), MATCH("year", n(0))},
                    {MATCH("year", n(o != 2)), MATCH("year", n(0))}};
                static const size_t counts[] = {0, 1, 1, 2};
                struct inv_filter f = {.must = c[0],
                                       .must_count = counts[m],
                                       .must_not = c[1],
                                       .must_not_count = counts[x],
                                       .should = c[2],
                                       .should_count = counts[o],
                                       .unindexed = unindexed};
                ck_assert_int_eq(inv_filter_bind(&f, schema, FIELDS, &err),
                                 INV_OK);
                bool want = m < 2 && (x == 0 || x == 2) && o != 2;
                ck_assert_msg(inv_filter_matches(&f, "", 0, row, NULL) == want,
                              "must %d, must_not %d, should %d", m, x, o);
            }
    free(row);
}
END_TEST

static void assert_refused(struct inv_condition c, const char *text,
                           const char *pointer) {
    ck_assert_int_eq(bind_must(&c), INV_INVALID);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    ck_assert_str_eq(err.pointer, pointer);
}

START_TEST(wrong_types_are_named) {
    const char *match = "/filter/must/0/match";
    const char *bounds = "/filter/must/0/range";
    const char *prefix = "/filter/must/0/prefix";
    struct inv_value list[] = {n(1), s("x")};
    struct inv_value a = s("a");
    struct inv_value one = n(1);
    assert_refused(MATCH("lang", n(1)), "\"lang\" is keyword, got an integer",
                   match);
    assert_refused(MATCH("year", s("1")), "\"year\" is integer, got a string",
                   match);
    assert_refused(MATCH("year", d(2.5)), "is integer, got 2.5", match);
    assert_refused(MATCH("year", d(1e19)), "is integer, got 1e+19", match);
    assert_refused(MATCH("price", b(true)), "is float, got a bool", match);
    assert_refused(MATCH("at", n(5)), "is datetime, got an integer", match);
    assert_refused(MATCH("at", s("soon")), "RFC 3339 time, got \"soon\"",
                   match);
    assert_refused(MATCH("open", n(1)), "is bool, got an integer", match);
    assert_refused(cond(INV_COND_MATCH, "year", list, 2), "got a string",
                   "/filter/must/0/match/1");
    assert_refused(range("lang", "gt", s("a")), "is keyword: a range", bounds);
    assert_refused(range("open", "gt", b(true)), "is bool: a range", bounds);
    assert_refused(range("year", "gt", s("2020")), "is integer, got a string",
                   bounds);
    assert_refused(range("at", "lt", n(1)), "is datetime, got an integer",
                   bounds);
    assert_refused(range("x", "lt", b(true)), "got a bool", bounds);
    assert_refused(range("x", "lt", s("a")), "RFC 3339", bounds);
    struct inv_condition mixed = range("x", "lt", n(1));
    mixed.range.has_low = true;
    mixed.range.low = s("2024-05-01");
    assert_refused(mixed, "from a string to an integer", bounds);
    struct inv_condition empty = {.kind = INV_COND_RANGE, .key = "year"};
    assert_refused(empty, "at least one", bounds);
    assert_refused(cond(INV_COND_PREFIX, "year", &a, 1),
                   "is integer: a prefix needs keyword", prefix);
    assert_refused(cond(INV_COND_PREFIX, "lang", &one, 1), "got an integer",
                   prefix);
    assert_refused(cond(INV_COND_PREFIX, "lang", list, 2), "got 2", prefix);
    assert_refused(cond(INV_COND_IDS, NULL, &one, 1), "got an integer",
                   "/filter/must/0/ids/0");
    struct inv_condition nan = MATCH("price", d((double)NAN));
    ck_assert_int_eq(bind_must(&nan), INV_NOT_FINITE);
    nan = range("year", "gt", d((double)NAN));
    ck_assert_int_eq(bind_must(&nan), INV_NOT_FINITE);
}
END_TEST

START_TEST(errors_point_at_their_group_and_number) {
    struct inv_condition good[] = {MATCH("year", n(1)), MATCH("year", n(1))};
    struct inv_condition bad[] = {MATCH("year", n(1)),
                                  range("lang", "gt", n(1))};
    struct inv_filter filter = {.must = good,
                                .must_count = 2,
                                .must_not = bad,
                                .must_not_count = 2,
                                .unindexed = unindexed};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/filter/must_not/1/range");
    filter = (struct inv_filter){
        .should = bad, .should_count = 2, .unindexed = unindexed};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/filter/should/1/range");
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, NULL),
                     INV_INVALID);
}
END_TEST

/* ---- random: numbers against long double, which holds both kinds exactly */

static uint64_t state = 20240501;
static uint64_t draw(void) {
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Near the places where conversions go wrong. */
static int64_t some_integer(void) {
    static const int64_t around[] = {0,
                                     INT64_C(1) << 53,
                                     -(INT64_C(1) << 53),
                                     INT64_C(1) << 62,
                                     INT64_MIN + 2,
                                     INT64_MAX - 2,
                                     INT64_MAX - 512,
                                     INT64_MAX - 1024};
    return around[draw() % 8] + ((int64_t)(draw() % 5) - 2);
}

static double some_number(void) {
    static const double halves[] = {0, 0.5, -0.5, 0.25};
    switch (draw() % 6) {
    case 0:
        return (double)some_integer();
    case 1:
        return nextafter((double)some_integer(), DBL_MAX);
    case 2:
        return nextafter((double)some_integer(), -DBL_MAX);
    case 3:
        return draw() % 2 ? DBL_MAX : -DBL_MAX;
    case 4:
        return draw() % 2 ? DBL_TRUE_MIN : -0.0;
    default:
        return (double)(int64_t)(draw() % 7) - 3 + halves[draw() % 4];
    }
}

static long double exact(struct inv_value v) {
    return v.kind == INV_VALUE_INT ? (long double)v.as.integer
                                   : (long double)v.as.number;
}

/* op: an index into gt, gte, lt, lte, match. */
static bool compares(long double left, size_t op, long double right) {
    const bool answers[] = {left > right, left >= right, left < right,
                            left <= right, left == right};
    return answers[op];
}

START_TEST(numbers_compare_as_mathematics_has_it) {
    static const char *const ops[] = {"gt", "gte", "lt", "lte"};
    static const char *const keys[] = {"year", "price", "x"};
    static const uint32_t fields[] = {YEAR, PRICE, 0};
    int yes = 0;
    for (int i = 0; i < 100000; i++) {
        size_t f = draw() % 3;
        size_t op = draw() % 5;
        struct inv_value bound =
            draw() % 2 ? n(some_integer()) : d(some_number());
        bool integral = f == 0 || (f == 2 && draw() % 2);
        struct inv_value value =
            integral ? n(some_integer()) : d(some_number());
        long double left = exact(value);
        long double right = exact(bound);
        bool want = compares(left, op, right);
        struct inv_condition c =
            op < 4 ? range(keys[f], ops[op], bound) : MATCH(keys[f], bound);
        if (op == 4 && f == 0 && bound.kind == INV_VALUE_FLOAT &&
            (truncl(right) != right || right < (long double)INT64_MIN ||
             right > (long double)INT64_MAX))
            ck_assert_int_eq(bind_must(&c), INV_INVALID);
        else
            ck_assert_msg(holds(c, fields[f], value) == want,
                          "%s: %.21Lg %s %.21Lg", keys[f], left,
                          op < 4 ? ops[op] : "match", right);
        yes += want;
    }
    ck_assert_int_gt(yes, 10000);
    ck_assert_int_lt(yes, 90000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("index/filter");
    TCase *tc = tcase_create("filter");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, type_names_go_both_ways);
    tcase_add_test(tc, a_row_is_a_copy_of_its_own);
    tcase_add_test(tc, match_compares_in_the_type_of_the_field);
    tcase_add_test(tc, match_finds_any_of_many_in_any_order);
    tcase_add_test(tc, float_bounds_on_integers_are_not_truncated);
    tcase_add_test(tc, integer_extremes_compare_exactly);
    tcase_add_test(tc, integers_beyond_2_53_bound_floats_exactly);
    tcase_add_test(tc, both_ends_of_a_range_count);
    tcase_add_test(tc, time_ranges_compare_instants);
    tcase_add_test(tc, prefix_is_bytewise);
    tcase_add_test(tc, ids_match_the_document);
    tcase_add_test(tc, arrays_match_on_any_element_and_missing_keys_on_none);
    tcase_add_test(tc, unindexed_fields_compare_what_is_there);
    tcase_add_test(tc, unindexed_keys_are_listed_once);
    tcase_add_test(tc, groups_combine_as_documented);
    tcase_add_test(tc, wrong_types_are_named);
    tcase_add_test(tc, errors_point_at_their_group_and_number);
    tcase_add_test(tc, numbers_compare_as_mathematics_has_it);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
