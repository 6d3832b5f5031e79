/*
 * test_postings.c: what postings select must be what inv_filter_matches says
 * row by row: on thousands of random filters over random rows of every type,
 * and in a few cases by hand.
 */
#include "base/bitset.h"
#include "index/postings.h"
#include "index/postings_impl.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_field schema[] = {
    {"lang", INV_FIELD_KEYWORD}, {"year", INV_FIELD_INTEGER},
    {"price", INV_FIELD_FLOAT},  {"at", INV_FIELD_DATETIME},
    {"open", INV_FIELD_BOOL},    {"empty", INV_FIELD_KEYWORD},
};
enum { LANG, YEAR, PRICE, AT, OPEN, EMPTY, FIELDS };

static struct inv_err err;

static uint64_t state;
static uint64_t draw(void) {
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- random values: few enough to collide, wild enough to hurt ---- */

static struct inv_value some_string(void) {
    static const struct {
        const char *text;
        size_t len;
    } pool[] = {{"", 0},         {"a", 1},        {"ab", 2},       {"abc", 3},
                {"abd", 3},      {"b", 1},        {"\0", 1},       {"a\0b", 3},
                {"a\xff", 2},    {"\xff\xff", 2}, {"\xc3\xa9", 2}, {"A", 1},
                {"abcdefgh", 8}, {"en", 2},       {"de", 2},       {"~", 1}};
    size_t i = draw() % 16;
    return (struct inv_value){.kind = INV_VALUE_STRING,
                              .as.string = {pool[i].text, pool[i].len}};
}

static struct inv_value some_integer(void) {
    static const int64_t pool[] = {INT64_MIN,
                                   INT64_MIN + 1,
                                   INT64_MAX,
                                   INT64_MAX - 1,
                                   (INT64_C(1) << 53) + 1,
                                   (INT64_C(1) << 53) - 1,
                                   -(INT64_C(1) << 53) - 1};
    size_t i = draw() % 21;
    return (struct inv_value){.kind = INV_VALUE_INT,
                              .as.integer = i < 7 ? pool[i] : (int64_t)i - 14};
}

static struct inv_value some_number(void) {
    static const double pool[] = {DBL_MAX,
                                  -DBL_MAX,
                                  DBL_TRUE_MIN,
                                  -0.0,
                                  0.0,
                                  9007199254740992.0,
                                  9007199254740994.0,
                                  -9007199254740994.0,
                                  9223372036854775808.0,
                                  -9223372036854775808.0};
    size_t i = draw() % 30;
    return (struct inv_value){.kind = INV_VALUE_FLOAT,
                              .as.number =
                                  i < 10 ? pool[i] : ((double)i - 20) / 4};
}

/* The same instants in several writings. */
static const char *const times[] = {
    "2024-05-01T12:00:00Z",
    "2024-05-01T14:00:00+02:00",
    "2024-05-01",
    "2024-05-01T12:00:00.000001Z",
    "1969-12-31T23:59:59.5Z",
    "1970-01-01T00:00:00Z",
    "0000-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "2024-04-30T23:59:59.999Z",
};

static struct inv_value some_time(void) {
    const char *text = times[draw() % 9];
    return (struct inv_value){.kind = INV_VALUE_STRING,
                              .as.string = {text, strlen(text)}};
}

static struct inv_value some_bool(void) {
    return (struct inv_value){.kind = INV_VALUE_BOOL, .as.boolean = draw() % 2};
}

static struct inv_value some_numeric(void) {
    return draw() % 2 ? some_integer() : some_number();
}

/* As a row holds it. */
static struct inv_value value_for(uint32_t field) {
    struct inv_value value;
    switch (field) {
    case LANG:
        return some_string();
    case YEAR:
        return some_integer();
    case PRICE:
        return some_number();
    case OPEN:
        return some_bool();
    default:
        value = some_time();
        ck_assert(inv_time_parse(value.as.string.text, value.as.string.len,
                                 &value.as.integer));
        value.kind = INV_VALUE_INT;
        return value;
    }
}

/* As a request writes it. An integer field refuses 2.5 in match. */
static struct inv_value literal_for(uint32_t field, bool bound) {
    switch (field) {
    case YEAR:
        return bound ? some_numeric() : some_integer();
    case PRICE:
        return some_numeric();
    case AT:
        return some_time();
    case OPEN:
        return some_bool();
    default:
        return some_string();
    }
}

/* ---- random rows ---- */

struct segment {
    size_t entries;
    struct inv_row **rows, **others; /* NULL: no values; by entry */
    char (*ids)[12];
    bool *added;
    struct inv_postings *postings;
};

static struct inv_row *some_row(void) {
    struct inv_row_item items[8];
    size_t count = draw() % 8;
    for (size_t i = 0; i < count; i++) {
        items[i].field = (uint32_t)(draw() % EMPTY); /* may repeat: arrays */
        items[i].value = value_for(items[i].field);
    }
    return count == 0 && draw() % 2 ? NULL : inv_row_new(items, count);
}

static struct inv_row *some_other_row(void) {
    struct inv_row_item item = {0, draw() % 2 ? some_string() : some_numeric()};
    return inv_row_new(&item, draw() % 2);
}

/* All but a few entries are added, in a shuffled order; a few ids repeat. */
static void make_segment(struct segment *seg, size_t entries) {
    struct inv_postings_builder *builder = NULL;
    seg->entries = entries;
    seg->rows = calloc(entries, sizeof *seg->rows);
    seg->others = calloc(entries, sizeof *seg->others);
    seg->ids = calloc(entries, sizeof *seg->ids);
    seg->added = calloc(entries, sizeof *seg->added);
    ck_assert_int_eq(
        inv_postings_builder_new(schema, FIELDS, entries, &builder, &err),
        INV_OK);
    uint32_t *order = calloc(entries, sizeof *order);
    for (uint32_t i = 0; i < entries; i++) {
        size_t j = draw() % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t k = 0; k < entries; k++) {
        uint32_t i = order[k];
        snprintf(seg->ids[i], sizeof seg->ids[i], "%x",
                 (unsigned)(draw() % (entries * 4)));
        if (draw() % 50 == 0)
            continue;
        seg->added[i] = true;
        seg->rows[i] = some_row();
        seg->others[i] = some_other_row();
        ck_assert_int_eq(inv_postings_builder_add(builder, i, seg->ids[i],
                                                  strlen(seg->ids[i]),
                                                  seg->rows[i], &err),
                         INV_OK);
    }
    free(order);
    ck_assert_int_eq(inv_postings_build(builder, &seg->postings, &err), INV_OK);
}

static void free_segment(struct segment *seg) {
    for (size_t i = 0; i < seg->entries; i++) {
        free(seg->rows[i]);
        free(seg->others[i]);
    }
    free(seg->rows);
    free(seg->others);
    free(seg->ids);
    free(seg->added);
    inv_postings_free(seg->postings);
}

/* ---- random filters ---- */

#define GROUP_MAX 3
#define VALUES_MAX 6

struct some_filter {
    struct inv_filter filter;
    struct inv_condition conditions[3][GROUP_MAX];
    struct inv_value values[3][GROUP_MAX][VALUES_MAX];
    struct inv_field unindexed[3 * GROUP_MAX];
};

static struct inv_range some_range(uint32_t field) {
    uint64_t ends = draw() % 3; /* low, high, both */
    return (struct inv_range){.has_low = ends != 1,
                              .has_high = ends != 0,
                              .low_open = draw() % 2,
                              .high_open = draw() % 2,
                              .low = literal_for(field, true),
                              .high = literal_for(field, true)};
}

static void some_condition(struct inv_condition *c, struct inv_value *values,
                           const struct segment *seg, bool with_scan) {
    uint32_t field = (uint32_t)(draw() % (FIELDS + with_scan));
    bool scan = field == FIELDS;
    *c = (struct inv_condition){.key = scan ? "other" : schema[field].key,
                                .values = values,
                                .value_count = 1 + draw() % VALUES_MAX};
    switch (draw() % 8) {
    case 0:
    case 1:
    case 2:
        c->kind = INV_COND_RANGE;
        c->range = some_range(scan ? PRICE : field);
        if (scan || (field != LANG && field != OPEN && field != EMPTY))
            return;
        c->kind = INV_COND_EXISTS; /* these have no range */
        return;
    case 3:
        c->kind = INV_COND_EXISTS;
        return;
    case 4:
        c->kind = INV_COND_IDS;
        c->key = NULL;
        for (size_t i = 0; i < c->value_count; i++) {
            const char *id = seg->ids[draw() % seg->entries];
            values[i] = (struct inv_value){.kind = INV_VALUE_STRING,
                                           .as.string = {id, strlen(id)}};
        }
        return;
    case 5:
        if (field == LANG || field == EMPTY || scan) {
            c->kind = INV_COND_PREFIX;
            c->value_count = 1;
            values[0] = some_string();
            return;
        }
        break;
    default:
        break;
    }
    c->kind = INV_COND_MATCH;
    for (size_t i = 0; i < c->value_count; i++)
        values[i] = literal_for(scan ? (uint32_t)(draw() % 3) : field, false);
}

static void make_filter(struct some_filter *f, const struct segment *seg,
                        bool with_scan) {
    size_t counts[3];
    for (int g = 0; g < 3; g++) {
        counts[g] = draw() % (GROUP_MAX + 1);
        for (size_t i = 0; i < counts[g]; i++)
            some_condition(&f->conditions[g][i], f->values[g][i], seg,
                           with_scan);
    }
    f->filter = (struct inv_filter){.must = f->conditions[0],
                                    .must_not = f->conditions[1],
                                    .should = f->conditions[2],
                                    .must_count = counts[0],
                                    .must_not_count = counts[1],
                                    .should_count = counts[2],
                                    .unindexed = f->unindexed};
    err = (struct inv_err){0};
    ck_assert_msg(inv_filter_bind(&f->filter, schema, FIELDS, &err) == INV_OK,
                  "%s", err.text);
}

/* Filters with a scan: a superset; others: exactly what matches. Returns how
 * many matched. */
static size_t compare(const struct segment *seg,
                      const struct inv_filter *filter, const uint64_t *got,
                      size_t *extra) {
    size_t matched = 0;
    bool scan = inv_filter_needs_scan(filter);
    for (size_t i = 0; i < seg->entries; i++) {
        bool want = seg->added[i] &&
                    inv_filter_matches(filter, seg->ids[i], strlen(seg->ids[i]),
                                       seg->rows[i], seg->others[i]);
        bool has = inv_bitset_has(got, i);
        /* a passing ck_assert costs a system call, millions of them a minute */
        if (has != want && !(scan && has && seg->added[i]))
            ck_abort_msg("entry %zu: %d, not %d", i, has, want);
        matched += want;
        *extra += has && !want;
    }
    /* nothing behind the last entry */
    ck_assert_uint_eq(inv_bitset_count(got, seg->entries),
                      inv_bitset_count(got, (seg->entries + 63) / 64 * 64));
    return matched;
}

static void run(size_t entries, int filters, bool with_scan) {
    struct segment seg;
    struct some_filter f;
    size_t words = inv_bitset_words(entries);
    uint64_t *got = malloc(words * sizeof *got);
    uint64_t *windowed = malloc(words * sizeof *got);
    uint64_t scratch[3];
    size_t some = 0;
    size_t extra = 0;
    make_segment(&seg, entries);
    for (int i = 0; i < filters; i++) {
        make_filter(&f, &seg, with_scan);
        memset(got, 0xa5, words * sizeof *got);
        inv_postings_select(seg.postings, &f.filter, got);
        some += compare(&seg, &f.filter, got, &extra) > 0;
        /* the way without memory gives the same */
        inv_postings_select_within(seg.postings, &f.filter, windowed, scratch,
                                   1 + draw() % 3);
        ck_assert_mem_eq(windowed, got, words * sizeof *got);
    }
    /* the test can fail: many filters let something through */
    ck_assert_uint_gt(some * 10, (size_t)filters);
    ck_assert_int_eq(extra > 0, with_scan);
    free(got);
    free(windowed);
    free_segment(&seg);
}

START_TEST(postings_agree_with_rows_one_by_one) {
    static const size_t sizes[] = {63, 64, 65, 200, 1000};
    state = 7;
    for (int round = 0; round < 4; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            run(sizes[i], 400, false);
}
END_TEST

START_TEST(scans_get_a_superset) {
    state = 8;
    for (int round = 0; round < 4; round++)
        run(300, 600, true);
}
END_TEST

START_TEST(large_segments_use_memory_of_their_own) {
    state = 9;
    run(40000, 60, false); /* more than the stack has room for */
}
END_TEST

/* ---- by hand ---- */

static struct inv_postings_builder *new_builder(size_t entries) {
    struct inv_postings_builder *builder = NULL;
    ck_assert_int_eq(
        inv_postings_builder_new(schema, FIELDS, entries, &builder, &err),
        INV_OK);
    return builder;
}

START_TEST(nothing_selected_from_nothing) {
    struct inv_postings *postings = NULL;
    struct inv_filter all = {0};
    uint64_t out[2] = {7, 7};
    ck_assert_int_eq(inv_postings_build(new_builder(0), &postings, &err),
                     INV_OK);
    inv_postings_select(postings, &all, out);
    ck_assert_uint_eq(out[0], 7); /* no words to write */
    inv_postings_free(postings);
    /* entries that were never added are in no set */
    ck_assert_int_eq(inv_postings_build(new_builder(70), &postings, &err),
                     INV_OK);
    inv_postings_select(postings, &all, out);
    ck_assert_uint_eq(out[0] | out[1], 0);
    inv_postings_free(postings);
    inv_postings_free(NULL);
}
END_TEST

START_TEST(rows_may_go_after_adding) {
    struct inv_postings_builder *builder = new_builder(2);
    struct inv_postings *postings = NULL;
    char text[] = "en";
    struct inv_row_item item = {
        LANG, {.kind = INV_VALUE_STRING, .as.string = {text, 2}}};
    struct inv_row *row = inv_row_new(&item, 1);
    ck_assert_int_eq(inv_postings_builder_add(builder, 1, "x", 1, row, &err),
                     INV_OK);
    memset(row, 0, row->bytes);
    free(row);
    ck_assert_int_eq(inv_postings_build(builder, &postings, &err), INV_OK);
    struct inv_value en = {.kind = INV_VALUE_STRING, .as.string = {"en", 2}};
    struct inv_condition c = {
        .kind = INV_COND_MATCH, .key = "lang", .values = &en, .value_count = 1};
    struct inv_filter filter = {.must = &c, .must_count = 1};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err), INV_OK);
    uint64_t out;
    inv_postings_select(postings, &filter, &out);
    ck_assert_uint_eq(out, 2);
    inv_postings_free(postings);
}
END_TEST

START_TEST(nan_is_no_value) {
    struct inv_postings_builder *builder = new_builder(2);
    struct inv_postings *postings = NULL;
    /* a row that was not made by inv_row_new, which drops NaN itself */
    struct inv_row *row = malloc(sizeof *row + 1 * sizeof(struct inv_row_item));
    row->count = 1;
    row->items[0] = (struct inv_row_item){
        PRICE, {.kind = INV_VALUE_FLOAT, .as.number = (double)NAN}};
    ck_assert_int_eq(inv_postings_builder_add(builder, 0, "x", 1, row, &err),
                     INV_OK);
    ck_assert_int_eq(inv_postings_build(builder, &postings, &err), INV_OK);
    struct inv_condition c = {.kind = INV_COND_EXISTS, .key = "price"};
    struct inv_filter filter = {.must = &c, .must_count = 1};
    ck_assert_int_eq(inv_filter_bind(&filter, schema, FIELDS, &err), INV_OK);
    uint64_t out;
    inv_postings_select(postings, &filter, &out);
    ck_assert_uint_eq(out, 0);
    ck_assert(!inv_filter_matches(&filter, "x", 1, row, NULL));
    free(row);
    inv_postings_free(postings);
}
END_TEST

START_TEST(misuse_is_refused_with_numbers) {
    struct inv_postings_builder *builder = new_builder(5);
    struct inv_field any = {"x", INV_FIELD_ANY};
    struct inv_postings_builder *none = NULL;
    char id[600] = "";
    ck_assert_int_eq(inv_postings_builder_new(&any, 1, 5, &none, &err),
                     INV_INVALID);
    ck_assert_int_eq(inv_postings_builder_new(
                         schema, FIELDS, (size_t)UINT32_MAX + 1, &none, &err),
                     INV_TOO_LARGE);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(inv_postings_builder_add(builder, 5, "a", 1, NULL, &err),
                     INV_INTERNAL);
    ck_assert_str_eq(err.text, "entry 5 of 5");
    ck_assert_int_eq(inv_postings_builder_add(builder, 4, "a", 1, NULL, &err),
                     INV_OK);
    ck_assert_int_eq(inv_postings_builder_add(builder, 4, "a", 1, NULL, &err),
                     INV_INTERNAL);
    ck_assert_int_eq(
        inv_postings_builder_add(builder, 3, id, sizeof id, NULL, &err),
        INV_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "600 bytes, at most 512"));
    struct inv_row_item item = {YEAR, some_bool()};
    struct inv_row *row = inv_row_new(&item, 1);
    ck_assert_int_eq(inv_postings_builder_add(builder, 2, "a", 1, row, &err),
                     INV_INTERNAL);
    ck_assert_str_eq(err.text, "field 1 of entry 2 is integer, got a bool");
    row->items[0].field = FIELDS;
    ck_assert_int_eq(inv_postings_builder_add(builder, 2, "a", 1, row, &err),
                     INV_INTERNAL);
    free(row);
    inv_postings_builder_free(builder);
    inv_postings_builder_free(NULL);
}
END_TEST

START_TEST(bytes_grow_with_what_is_held) {
    struct segment small;
    struct segment large;
    state = 10;
    make_segment(&small, 100);
    make_segment(&large, 10000);
    size_t bytes = inv_postings_bytes(large.postings);
    ck_assert_uint_gt(bytes, 10000 * 14); /* ids alone: 8 + 2 + 4 */
    ck_assert_uint_lt(bytes, 10000 * 14 + 10000 * 8 * 16);
    ck_assert_uint_gt(bytes, 20 * inv_postings_bytes(small.postings));
    free_segment(&small);
    free_segment(&large);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("index/postings");
    TCase *tc = tcase_create("postings");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, postings_agree_with_rows_one_by_one);
    tcase_add_test(tc, scans_get_a_superset);
    tcase_add_test(tc, large_segments_use_memory_of_their_own);
    tcase_add_test(tc, nothing_selected_from_nothing);
    tcase_add_test(tc, rows_may_go_after_adding);
    tcase_add_test(tc, nan_is_no_value);
    tcase_add_test(tc, misuse_is_refused_with_numbers);
    tcase_add_test(tc, bytes_grow_with_what_is_held);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
