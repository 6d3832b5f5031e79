/*
 * test_options.c: cli/options.h: what is taken, what is refused, and what is
 * suggested.
 */
#include "cli/create.h"
#include "cli/options.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int do_nothing(struct inv_cli *cli, struct inv_args *args) {
    (void)cli;
    (void)args;
    return 0;
}

static const struct inv_command command = {"search", "", do_nothing,
                                           "usage: invar search\n"};

struct given {
    bool exact;
    const char *filter;
    uint32_t limit, connections;
    double seconds;
    struct inv_option_list fields;
};

struct parsed {
    struct inv_cli cli;
    struct inv_args args;
    char *words[16];
    int exit;
    bool go;
};

/* Parses words divided by blanks. */
static struct parsed parse(const char *line, struct given *given, int min,
                           int max) {
    static char text[256];
    struct parsed parsed = {.args = {.command = &command}};
    const struct inv_option options[] = {
        {"exact", INV_OPTION_FLAG, NULL, "", &given->exact},
        {"filter", INV_OPTION_TEXT, "JSON", "", &given->filter},
        {"limit", INV_OPTION_UINT, "N", "", &given->limit},
        {"c", INV_OPTION_UINT, "N", "", &given->connections},
        {"seconds", INV_OPTION_REAL, "S", "", &given->seconds},
        {"field", INV_OPTION_LIST, "KEY=TYPE", "", &given->fields},
    };
    *given = (struct given){.limit = 10};
    snprintf(text, sizeof text, "%s", line);
    for (char *p = text; *p != '\0' && parsed.args.argc < 16;) {
        char *end = p + strcspn(p, " ");
        parsed.words[parsed.args.argc++] = p;
        p = *end == '\0' ? end : end + 1;
        *end = '\0';
    }
    parsed.args.argv = parsed.words;
    parsed.go = inv_options_parse(&parsed.cli, &parsed.args, options,
                                  sizeof options / sizeof *options, min, max,
                                  &parsed.exit);
    return parsed;
}

START_TEST(options_may_stand_anywhere) {
    struct given g;
    struct parsed p = parse(
        "papers --limit 3 gene --exact --filter={} -c 4 therapy", &g, 1, -1);
    ck_assert(p.go);
    ck_assert_int_eq(p.args.argc, 3);
    ck_assert_str_eq(p.words[0], "papers");
    ck_assert_str_eq(p.words[1], "gene");
    ck_assert_str_eq(p.words[2], "therapy");
    ck_assert_uint_eq(g.limit, 3);
    ck_assert_uint_eq(g.connections, 4);
    ck_assert(g.exact);
    ck_assert_str_eq(g.filter, "{}");
}
END_TEST

START_TEST(global_options_reach_the_command_line) {
    struct given g;
    struct parsed p =
        parse("--json --url http://h:1 --key=k --timeout 7", &g, 0, 0);
    ck_assert(p.go);
    ck_assert(p.cli.json);
    ck_assert_str_eq(p.cli.url, "http://h:1");
    ck_assert_str_eq(p.cli.key, "k");
    ck_assert_uint_eq(p.cli.timeout_s, 7);
}
END_TEST

START_TEST(words_behind_two_dashes_are_no_options) {
    struct given g;
    struct parsed p = parse("papers -- --exact -c", &g, 3, 3);
    ck_assert(p.go);
    ck_assert(!g.exact);
    ck_assert_str_eq(p.words[1], "--exact");
    ck_assert_str_eq(p.words[2], "-c");
}
END_TEST

START_TEST(a_single_dash_is_a_word) {
    struct given g;
    struct parsed p = parse("papers -", &g, 2, 2);
    ck_assert(p.go);
    ck_assert_str_eq(p.words[1], "-");
}
END_TEST

START_TEST(lists_keep_their_order) {
    struct given g;
    struct parsed p = parse("--field a=int --field b=bool", &g, 0, 0);
    ck_assert(p.go);
    ck_assert_uint_eq(g.fields.count, 2);
    ck_assert_str_eq(g.fields.items[0], "a=int");
    ck_assert_str_eq(g.fields.items[1], "b=bool");
}
END_TEST

START_TEST(wrong_usage_exits_with_two) {
    static const char *const lines[] = {
        "--limt 3",        "--limit",       "--limit x",
        "--limit -1",      "--limit 3x",    "--limit 99999999999",
        "--exact=yes",     "--seconds nan", "--seconds inf",
        "-limit 3",        "--c 3",         "one two three four",
        "--seconds 1e400",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct given g;
        struct parsed p = parse(lines[i], &g, 0, 3);
        ck_assert_msg(!p.go, "%s was taken", lines[i]);
        ck_assert_int_eq(p.exit, INV_EXIT_USAGE);
    }
    struct given g;
    struct parsed p = parse("one", &g, 2, 3);
    ck_assert(!p.go);
    ck_assert_int_eq(p.exit, INV_EXIT_USAGE);
}
END_TEST

START_TEST(a_typo_gets_the_nearest_name) {
    static const char *const names[] = {"limit", "filter", "offsets", "json"};
    ck_assert_str_eq(inv_nearest("limt", names, 4), "limit");
    ck_assert_str_eq(inv_nearest("fliter", names, 4), "filter");
    ck_assert_str_eq(inv_nearest("ofset", names, 4), "offsets");
    ck_assert_ptr_null(inv_nearest("zzzzzz", names, 4));
    ck_assert_ptr_null(inv_nearest("", names, 4));
    ck_assert_ptr_null(inv_nearest("x", names, 4));
}
END_TEST

START_TEST(numbers_are_whole_and_within_their_range) {
    uint64_t n = 7;
    uint32_t list[3];
    size_t count = 0;
    ck_assert(inv_parse_uint("18446744073709551615", UINT64_MAX, &n));
    ck_assert(n == UINT64_MAX);
    ck_assert(!inv_parse_uint("18446744073709551616", UINT64_MAX, &n));
    ck_assert(!inv_parse_uint("5", 4, &n));
    ck_assert(!inv_parse_uint("", 4, &n));
    ck_assert(inv_parse_uints("24,48,96", list, 3, &count));
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(list[2], 96);
    ck_assert(!inv_parse_uints("24,48,96,1", list, 3, &count));
    ck_assert(!inv_parse_uints("24,,96", list, 3, &count));
    ck_assert(!inv_parse_uints("24,", list, 3, &count));
}
END_TEST

/* ---- collections create ---- */

static struct inv_buf body;

static enum inv_status make(const struct inv_create_flags *flags) {
    struct inv_err err;
    inv_buf_release(&body);
    return inv_create_body(flags, &body, &err);
}

START_TEST(flags_become_the_body) {
    static const char *const fields[] = {"year=integer", "a=b=bool"};
    const struct inv_create_flags flags = {.kind = "single",
                                           .dim = 96,
                                           .metric = "cosine",
                                           .model = "static@2",
                                           .dims = "24,96",
                                           .index_dims = 24,
                                           .rotate = "pca",
                                           .index = "hnsw",
                                           .fields = fields,
                                           .field_count = 2};
    ck_assert_int_eq(make(&flags), INV_OK);
    ck_assert_str_eq(
        body.data,
        "{\"kind\":\"single\",\"dim\":96,\"metric\":\"cosine\","
        "\"model\":{\"name\":\"static\",\"revision\":\"2\"},"
        "\"encoder\":{\"type\":\"matryoshka\",\"dims\":[24,96],"
        "\"index_dims\":24,\"rotate\":\"pca\"},\"index\":{\"type\":\"hnsw\"},"
        "\"payload_index\":{\"year\":\"integer\",\"a=b\":\"bool\"}}");
    inv_buf_release(&body);
}
END_TEST

START_TEST(what_is_not_given_is_left_to_the_daemon) {
    const struct inv_create_flags flags = {
        .kind = "multi", .dim = 128, .preset = "quality", .dtype = "i8"};
    ck_assert_int_eq(make(&flags), INV_OK);
    ck_assert_str_eq(body.data,
                     "{\"kind\":\"multi\",\"dim\":128,"
                     "\"encoder\":{\"type\":\"muvera\","
                     "\"preset\":\"quality\"},\"tokens\":{\"dtype\":\"i8\"}}");
    inv_buf_release(&body);
}
END_TEST

START_TEST(flags_that_say_nothing_are_refused) {
    static const char *const fields[] = {"year"};
    ck_assert_int_eq(make(&(struct inv_create_flags){.model = "@2"}),
                     INV_INVALID);
    ck_assert_int_eq(make(&(struct inv_create_flags){.model = "x@"}),
                     INV_INVALID);
    ck_assert_int_eq(make(&(struct inv_create_flags){.dims = "a"}),
                     INV_INVALID);
    ck_assert_int_eq(
        make(&(struct inv_create_flags){.fields = fields, .field_count = 1}),
        INV_INVALID);
    inv_buf_release(&body);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/options");
    TCase *tests = tcase_create("options");
    tcase_add_test(tests, options_may_stand_anywhere);
    tcase_add_test(tests, global_options_reach_the_command_line);
    tcase_add_test(tests, words_behind_two_dashes_are_no_options);
    tcase_add_test(tests, a_single_dash_is_a_word);
    tcase_add_test(tests, lists_keep_their_order);
    tcase_add_test(tests, wrong_usage_exits_with_two);
    tcase_add_test(tests, a_typo_gets_the_nearest_name);
    tcase_add_test(tests, numbers_are_whole_and_within_their_range);
    tcase_add_test(tests, flags_become_the_body);
    tcase_add_test(tests, what_is_not_given_is_left_to_the_daemon);
    tcase_add_test(tests, flags_that_say_nothing_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
