/*
 * test_filter_parse.c: filters from JSON: every kind of condition, every limit,
 * and everything that must not pass for a condition.
 */
#include "server/requests.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct inv_arena arena;
static inv_json *tree;
static struct inv_filter *filter;
static struct inv_err err;

static void begin(void) {
    inv_arena_init(&arena, (size_t)64 << 20);
    tree = NULL;
}

static void end(void) {
    inv_json_free(tree);
    inv_arena_release(&arena);
}

static enum inv_status parse(const char *text) {
    inv_json_free(tree);
    tree = NULL;
    filter = NULL;
    ck_assert_int_eq(inv_json_parse_plain(text, strlen(text), &tree, &err),
                     INV_OK);
    return inv_parse_filter(tree, "/filter", &arena, &filter, &err);
}

static const struct inv_condition *must(const char *condition) {
    char text[512];
    snprintf(text, sizeof text, "{\"must\":[%s]}", condition);
    ck_assert_msg(parse(text) == INV_OK, "%s: %s", text, err.text);
    ck_assert_uint_eq(filter->must_count, 1);
    return filter->must;
}

START_TEST(every_kind_of_condition_is_read) {
    const struct inv_condition *c = must("{\"key\":\"l\",\"match\":\"en\"}");
    ck_assert_int_eq(c->kind, INV_COND_MATCH);
    ck_assert_str_eq(c->key, "l");
    ck_assert_uint_eq(c->value_count, 1);
    ck_assert_uint_eq(c->values[0].as.string.len, 2);
    c = must("{\"key\":\"l\",\"match\":[1,2.5,true,\"\"]}");
    ck_assert_uint_eq(c->value_count, 4);
    ck_assert_int_eq(c->values[0].kind, INV_VALUE_INT);
    ck_assert_int_eq(c->values[1].kind, INV_VALUE_FLOAT);
    ck_assert_int_eq(c->values[2].kind, INV_VALUE_BOOL);
    ck_assert_int_eq(c->values[3].kind, INV_VALUE_STRING);
    c = must("{\"key\":\"y\",\"range\":{\"gte\":2020,\"lt\":\"2024-01-01\"}}");
    ck_assert_int_eq(c->kind, INV_COND_RANGE);
    ck_assert(c->range.has_low && !c->range.low_open);
    ck_assert(c->range.has_high && c->range.high_open);
    ck_assert_int_eq(c->range.low.as.integer, 2020);
    ck_assert_int_eq(c->range.high.kind, INV_VALUE_STRING);
    c = must("{\"range\":{\"gt\":-0.5},\"key\":\"y\"}");
    ck_assert(c->range.has_low && c->range.low_open && !c->range.has_high);
    c = must("{\"range\":{\"lte\":7},\"key\":\"y\"}");
    ck_assert(!c->range.has_low && c->range.has_high && !c->range.high_open);
    c = must("{\"key\":\"a.b\",\"exists\":true}");
    ck_assert_int_eq(c->kind, INV_COND_EXISTS);
    ck_assert_str_eq(c->key, "a.b");
    c = must("{\"key\":\"t\",\"prefix\":\"ab\"}");
    ck_assert_int_eq(c->kind, INV_COND_PREFIX);
    ck_assert_uint_eq(c->values[0].as.string.len, 2);
    c = must("{\"ids\":[\"a\",12]}");
    ck_assert_int_eq(c->kind, INV_COND_IDS);
    ck_assert_ptr_null(c->key);
    ck_assert_uint_eq(c->value_count, 2);
    ck_assert_int_eq(c->values[1].kind, INV_VALUE_STRING);
    ck_assert_str_eq(c->values[1].as.string.text, "12");
}
END_TEST

START_TEST(the_three_clauses_are_kept_apart_and_an_empty_filter_is_fine) {
    ck_assert_int_eq(parse("{}"), INV_OK);
    ck_assert_uint_eq(
        filter->must_count + filter->must_not_count + filter->should_count, 0);
    ck_assert(inv_filter_matches(filter, "a", 1, NULL, NULL));
    ck_assert_int_eq(parse("{\"must\":[],\"should\":[{\"ids\":[1]}],"
                           "\"must_not\":[{\"ids\":[2]},{\"ids\":[3]}]}"),
                     INV_OK);
    ck_assert_uint_eq(filter->must_count, 0);
    ck_assert_uint_eq(filter->should_count, 1);
    ck_assert_uint_eq(filter->must_not_count, 2);
    ck_assert(inv_filter_matches(filter, "1", 1, NULL, NULL));
    ck_assert(!inv_filter_matches(filter, "2", 1, NULL, NULL));
    ck_assert(!inv_filter_matches(filter, "4", 1, NULL, NULL));
}
END_TEST

START_TEST(a_parsed_filter_binds_with_room_for_every_key) {
    char text[12000];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"must\":[");
    for (int i = 0; i < INV_FILTER_CONDITIONS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"key\":\"k%d\",\"match\":1}",
                                 i == 0 ? "" : ",", i);
    snprintf(text + used, sizeof text - used, "]}");
    ck_assert_int_eq(parse(text), INV_OK);
    ck_assert_int_eq(inv_filter_bind(filter, NULL, 0, &err), INV_OK);
    ck_assert_uint_eq(filter->unindexed_count, INV_FILTER_CONDITIONS_MAX);
}
END_TEST

START_TEST(what_is_no_condition_is_refused_where_it_stands) {
    static const struct {
        const char *text, *pointer, *first, *second;
    } cases[] = {
        {"[]", "/filter", "an object", "an array"},
        {"{\"most\":[]}", "/filter/most", "most", "must"},
        {"{\"must\":{}}", "/filter/must", "an array", "an object"},
        {"{\"must\":[7]}", "/filter/must/0", "an object", "an integer"},
        {"{\"must\":[{}]}", "/filter/must/0", "exactly 1", "0"},
        {"{\"must\":[{\"key\":\"a\"}]}", "/filter/must/0", "exactly 1", "0"},
        {"{\"must\":[{\"key\":\"a\",\"match\":1,\"prefix\":\"b\"}]}",
         "/filter/must/0", "exactly 1", "2"},
        {"{\"must\":[{\"match\":1}]}", "/filter/must/0", "key", ""},
        {"{\"must\":[{\"key\":\"a\",\"ids\":[1]}]}", "/filter/must/0", "ids",
         "key"},
        {"{\"must\":[{\"key\":\"a\",\"matches\":1}]}", "/filter/must/0/matches",
         "matches", "match"},
        {"{\"must\":[{\"key\":\"\",\"match\":1}]}", "/filter/must/0/key", "128",
         "0"},
        {"{\"must\":[{\"key\":5,\"match\":1}]}", "/filter/must/0/key",
         "a string", "an integer"},
        {"{\"must_not\":[{\"key\":\"a\",\"match\":null}]}",
         "/filter/must_not/0/match", "a string", "null"},
        {"{\"must\":[{\"key\":\"a\",\"match\":{}}]}", "/filter/must/0/match",
         "a string", "an object"},
        {"{\"must\":[{\"key\":\"a\",\"match\":[]}]}", "/filter/must/0/match",
         "empty", "65536"},
        {"{\"must\":[{\"key\":\"a\",\"match\":[1,[2]]}]}",
         "/filter/must/0/match/1", "a number", "an array"},
        {"{\"should\":[{\"ids\":[1]},{\"key\":\"a\",\"range\":{}}]}",
         "/filter/should/1/range", "at least one", "lte"},
        {"{\"must\":[{\"key\":\"a\",\"range\":5}]}", "/filter/must/0/range",
         "an object", "an integer"},
        {"{\"must\":[{\"key\":\"a\",\"range\":{\"gt\":1,\"gte\":1}}]}",
         "/filter/must/0/range/gt", "gt", "gte"},
        {"{\"must\":[{\"key\":\"a\",\"range\":{\"lt\":1,\"lte\":1}}]}",
         "/filter/must/0/range/lt", "lt", "lte"},
        {"{\"must\":[{\"key\":\"a\",\"range\":{\"gt\":true}}]}",
         "/filter/must/0/range/gt", "a number", "a boolean"},
        {"{\"must\":[{\"key\":\"a\",\"range\":{\"lte\":null}}]}",
         "/filter/must/0/range/lte", "a number", "null"},
        {"{\"must\":[{\"key\":\"a\",\"range\":{\"ge\":1}}]}",
         "/filter/must/0/range/ge", "ge", "mean"},
        {"{\"must\":[{\"key\":\"a\",\"exists\":false}]}",
         "/filter/must/0/exists", "true", "must_not"},
        {"{\"must\":[{\"key\":\"a\",\"exists\":1}]}", "/filter/must/0/exists",
         "true", "an integer"},
        {"{\"must\":[{\"key\":\"a\",\"prefix\":5}]}", "/filter/must/0/prefix",
         "a string", "an integer"},
        {"{\"must\":[{\"key\":\"a\",\"prefix\":[\"b\"]}]}",
         "/filter/must/0/prefix", "a string", "an array"},
        {"{\"must\":[{\"ids\":\"a\"}]}", "/filter/must/0/ids", "an array",
         "a string"},
        {"{\"must\":[{\"ids\":[]}]}", "/filter/must/0/ids", "empty", "1"},
        {"{\"must\":[{\"ids\":[\"\"]}]}", "/filter/must/0/ids/0", "512", "0"},
        {"{\"must\":[{\"ids\":[1.5]}]}", "/filter/must/0/ids/0", "an integer",
         "a real number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse(cases[i].text) == INV_INVALID, "%s", cases[i].text);
        ck_assert_ptr_null(filter);
        ck_assert_msg(strcmp(err.pointer, cases[i].pointer) == 0, "%s: %s (%s)",
                      cases[i].text, err.pointer, err.text);
        ck_assert_msg(strstr(err.text, cases[i].first) != NULL &&
                          strstr(err.text, cases[i].second) != NULL,
                      "%s: %s", cases[i].text, err.text);
    }
}
END_TEST

START_TEST(conditions_and_values_are_counted_over_the_whole_filter) {
    struct inv_buf text = INV_BUF_INIT;
    for (int n = 256; n <= 257; n++) { /* spread over two clauses */
        inv_buf_reset(&text);
        for (int i = 0; i < n; i++)
            inv_buf_puts(&text, i == 0     ? "{\"must\":[{\"ids\":[1]}"
                                : i == 200 ? "],\"should\":[{\"ids\":[1]}"
                                           : ",{\"ids\":[1]}");
        inv_buf_puts(&text, "]}");
        ck_assert_int_eq(parse(text.data), n == 256 ? INV_OK : INV_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "257"));
    ck_assert_ptr_nonnull(strstr(err.text, "256"));
    for (int n = 65536; n <= 65537; n++) {
        inv_buf_reset(&text);
        inv_buf_puts(&text, "{\"must\":[{\"ids\":[1]},{\"ids\":[1");
        for (int i = 2; i < n; i++)
            inv_buf_puts(&text, ",1");
        inv_buf_puts(&text, "]}]}");
        ck_assert_int_eq(parse(text.data), n == 65536 ? INV_OK : INV_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "65537"));
    ck_assert_ptr_nonnull(strstr(err.text, "65536"));
    inv_buf_release(&text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("filter_parse");
    TCase *tcase = tcase_create("filter_parse");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, every_kind_of_condition_is_read);
    tcase_add_test(
        tcase, the_three_clauses_are_kept_apart_and_an_empty_filter_is_fine);
    tcase_add_test(tcase, a_parsed_filter_binds_with_room_for_every_key);
    tcase_add_test(tcase, what_is_no_condition_is_refused_where_it_stands);
    tcase_add_test(tcase,
                   conditions_and_values_are_counted_over_the_whole_filter);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
