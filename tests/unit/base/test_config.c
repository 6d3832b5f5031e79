/*
 * test_config.c: base/config.h: what is read, and what every error says.
 */
#include "base/config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct inv_config config;
static struct inv_err err;

static enum inv_status parse(const char *text) {
    return inv_config_parse(&config, "f.conf", text, strlen(text), &err);
}

static void fails(const char *text, const char *why) {
    ck_assert_msg(parse(text) == INV_INVALID, "accepted: %s", text);
    ck_assert_str_eq(err.text, why);
    ck_assert_ptr_null(config.text);
}

START_TEST(keys_values_comments_and_lines_are_read) {
    ck_assert_int_eq(parse("# head\n"
                           "\n"
                           "listen = 127.0.0.1:7411\n"
                           "  a.b-c_D9\t=two words  # behind\r\n"
                           "hash = a#b\n"
                           "quoted = \" # \\\"x\\\\ \" # behind\n"
                           "empty = \"\"\n"
                           "last = 1"),
                     INV_OK);
    static const struct inv_config_entry want[] = {
        {"listen", "127.0.0.1:7411", 3},
        {"a.b-c_D9", "two words", 4},
        {"hash", "a#b", 5},
        {"quoted", " # \"x\\ ", 6},
        {"empty", "", 7},
        {"last", "1", 8},
    };
    ck_assert_uint_eq(config.count, 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(config.entries[i].key, want[i].key);
        ck_assert_str_eq(config.entries[i].value, want[i].value);
        ck_assert_uint_eq(config.entries[i].line, want[i].line);
        ck_assert_ptr_eq(inv_config_find(&config, want[i].key),
                         &config.entries[i]);
    }
    ck_assert_ptr_null(inv_config_find(&config, "list"));
    inv_config_release(&config);
}
END_TEST

START_TEST(a_file_without_a_pair_is_empty) {
    static const char *const texts[] = {"", "\n", "# a", " \t\n#\n\n"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(parse(texts[i]), INV_OK);
        ck_assert_uint_eq(config.count, 0);
        inv_config_release(&config);
    }
}
END_TEST

START_TEST(errors_name_file_line_and_reason) {
    fails("a = 1\nlisten\n", "f.conf:2: expected key = value");
    fails("= 1", "f.conf:1: expected key = value");
    fails("a b = 1", "f.conf:1: expected key = value");
    fails("\n\n[server]",
          "f.conf:3: sections are not supported; keys stand alone");
    fails("a = # nothing",
          "f.conf:1: the key has no value; write \"\" for an empty one");
    fails("a =", "f.conf:1: the key has no value; write \"\" for an empty one");
    fails("a = \"x", "f.conf:1: the quoted value has no closing quote");
    fails("a = \"x\\", "f.conf:1: a backslash in quotes stands before \" or "
                       "\\ only");
    fails("a = \"x\\n\"", "f.conf:1: a backslash in quotes stands before \" or "
                          "\\ only");
    fails("a = \"x\" y", "f.conf:1: there is text behind the closing quote");
    fails("a = x\"y\"",
          "f.conf:1: a quote inside a value: quote the whole of it");
    fails("a = 1\nb = 2\na = 3", "f.conf:3: 'a' was given before, on line 1");
    fails("a = 1\nb = \x01", "f.conf:2: control character 0x01");
    fails("a = 1\rb = 2", "f.conf:1: control character 0x0d");
    fails("a = 1\nb = \xff", "f.conf:2: byte 0xff is not UTF-8 (offset 10)");
}
END_TEST

START_TEST(a_nul_does_not_hide_the_rest_of_a_line) {
    ck_assert_int_eq(inv_config_parse(&config, "f", "a = 1\0b", 7, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "f:1: control character 0x00");
}
END_TEST

START_TEST(a_key_that_is_not_given_keeps_its_default) {
    ck_assert_int_eq(parse("other = 1"), INV_OK);
    const char *text = "default";
    bool flag = true;
    int64_t number = -7;
    size_t size = 9;
    uint64_t ms = 11;
    ck_assert_int_eq(inv_config_string(&config, "k", &text, &err), INV_OK);
    ck_assert_int_eq(inv_config_bool(&config, "k", &flag, &err), INV_OK);
    ck_assert_int_eq(inv_config_integer(&config, "k", 0, 1, &number, &err),
                     INV_OK);
    ck_assert_int_eq(inv_config_size(&config, "k", 0, 1, &size, &err), INV_OK);
    ck_assert_int_eq(inv_config_duration(&config, "k", 0, 1, &ms, &err),
                     INV_OK);
    ck_assert_str_eq(text, "default");
    ck_assert(flag);
    ck_assert_int_eq(number, -7);
    ck_assert_uint_eq(size, 9);
    ck_assert_uint_eq(ms, 11);
    inv_config_release(&config);
}
END_TEST

START_TEST(strings_and_booleans_are_read) {
    ck_assert_int_eq(parse("a = yes\nb = off\nc = True\nd = text"), INV_OK);
    bool flag = false;
    ck_assert_int_eq(inv_config_bool(&config, "a", &flag, &err), INV_OK);
    ck_assert(flag);
    ck_assert_int_eq(inv_config_bool(&config, "b", &flag, &err), INV_OK);
    ck_assert(!flag);
    ck_assert_int_eq(inv_config_bool(&config, "c", &flag, &err), INV_INVALID);
    ck_assert_str_eq(err.text, "f.conf:3: c = True: expected true, yes, on, "
                               "false, no or off");
    const char *text = NULL;
    ck_assert_int_eq(inv_config_string(&config, "d", &text, &err), INV_OK);
    ck_assert_str_eq(text, "text");
    inv_config_release(&config);
}
END_TEST

START_TEST(integers_are_read_to_both_ends_of_their_range) {
    ck_assert_int_eq(parse("min = -9223372036854775808\n"
                           "max = 9223372036854775807\n"
                           "over = 9223372036854775808\n"
                           "under = -9223372036854775809\n"
                           "huge = 99999999999999999999999\n"
                           "n = 8\nword = 8x\nminus = -\nplus = +1"),
                     INV_OK);
    int64_t n = 0;
    ck_assert_int_eq(
        inv_config_integer(&config, "min", INT64_MIN, INT64_MAX, &n, &err),
        INV_OK);
    ck_assert(n == INT64_MIN);
    ck_assert_int_eq(
        inv_config_integer(&config, "max", INT64_MIN, INT64_MAX, &n, &err),
        INV_OK);
    ck_assert(n == INT64_MAX);
    static const char *const bad[] = {"over", "under", "huge",
                                      "word", "minus", "plus"};
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(
            inv_config_integer(&config, bad[i], INT64_MIN, INT64_MAX, &n, &err),
            INV_INVALID);
    ck_assert(n == INT64_MAX);
    ck_assert_int_eq(inv_config_integer(&config, "n", 8, 8, &n, &err), INV_OK);
    ck_assert_int_eq(n, 8);
    ck_assert_int_eq(inv_config_integer(&config, "n", 1, 7, &n, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text,
                     "f.conf:6: n = 8: expected an integer from 1 to 7");
    ck_assert_int_eq(inv_config_integer(&config, "n", 9, 20, &n, &err),
                     INV_INVALID);
    inv_config_release(&config);
}
END_TEST

START_TEST(sizes_take_binary_suffixes) {
    ck_assert_int_eq(parse("a = 17\nb = 3K\nc = 64M\nd = 2G\ne = 2T\nf = K\n"
                           "g = 18446744073709551615G\nh = 1 K\ni = -1"),
                     INV_OK);
    static const size_t want[] = {17, 3072, 67108864, 2147483648};
    for (size_t i = 0; i < 4; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        size_t size = 0;
        ck_assert_int_eq(
            inv_config_size(&config, key, 0, SIZE_MAX, &size, &err), INV_OK);
        ck_assert_uint_eq(size, want[i]);
    }
    for (char c = 'e'; c <= 'i'; c++) {
        char key[2] = {c, '\0'};
        size_t size = 5;
        ck_assert_int_eq(
            inv_config_size(&config, key, 0, SIZE_MAX, &size, &err),
            INV_INVALID);
        ck_assert_uint_eq(size, 5);
    }
    size_t size;
    ck_assert_int_eq(inv_config_size(&config, "c", 1, 1024, &size, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text,
                     "f.conf:3: c = 64M: expected bytes from 1 to 1024");
    inv_config_release(&config);
}
END_TEST

START_TEST(durations_need_a_unit) {
    ck_assert_int_eq(parse("a = 250ms\nb = 30s\nc = 5m\nd = 2h\ne = 0\n"
                           "f = 30\ng = 30sec\nh = 99999999999999999h"),
                     INV_OK);
    static const uint64_t want[] = {250, 30000, 300000, 7200000, 0};
    for (size_t i = 0; i < 5; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        uint64_t ms = 1;
        ck_assert_int_eq(
            inv_config_duration(&config, key, 0, 86400000, &ms, &err), INV_OK);
        ck_assert_uint_eq(ms, want[i]);
    }
    uint64_t ms = 1;
    for (char c = 'f'; c <= 'h'; c++) {
        char key[2] = {c, '\0'};
        ck_assert_int_eq(
            inv_config_duration(&config, key, 0, UINT64_MAX, &ms, &err),
            INV_INVALID);
    }
    ck_assert_int_eq(inv_config_duration(&config, "f", 1, 60000, &ms, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "f.conf:6: f = 30: expected a time from 1ms to "
                               "60000ms, with the unit ms, s, m or h");
    ck_assert_int_eq(inv_config_duration(&config, "b", 1, 29999, &ms, &err),
                     INV_INVALID);
    ck_assert_uint_eq(ms, 1);
    inv_config_release(&config);
}
END_TEST

START_TEST(an_unknown_key_is_reported_with_the_nearest_known_one) {
    static const char *const known[] = {"listen", "data_dir", "body_max",
                                        "bulk_max"};
    ck_assert_int_eq(parse("listen = x\ndata-dir = y"), INV_OK);
    ck_assert_int_eq(inv_config_check_keys(&config, known, 4, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "f.conf:2: unknown key 'data-dir'; did you mean "
                               "'data_dir'?");
    inv_config_release(&config);
    ck_assert_int_eq(parse("bdy_max = 1"), INV_OK);
    ck_assert_int_eq(inv_config_check_keys(&config, known, 4, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "f.conf:1: unknown key 'bdy_max'; did you mean "
                               "'body_max'?");
    inv_config_release(&config);
    ck_assert_int_eq(parse("colour = red"), INV_OK);
    ck_assert_int_eq(inv_config_check_keys(&config, known, 4, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "f.conf:1: unknown key 'colour'");
    inv_config_release(&config);
    ck_assert_int_eq(parse("bulk_max = 1\nlisten = 2"), INV_OK);
    ck_assert_int_eq(inv_config_check_keys(&config, known, 4, &err), INV_OK);
    inv_config_release(&config);
}
END_TEST

START_TEST(a_file_is_opened_by_its_path) {
    char path[] = "/tmp/invar-test-config-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "a = 1\nb\n", 8), 8);
    ck_assert_int_eq(inv_config_open(&config, path, &err), INV_INVALID);
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
    ck_assert_str_eq(err.text + strlen(path), ":2: expected key = value");
    ck_assert_int_eq(ftruncate(fd, 6), 0);
    ck_assert_int_eq(inv_config_open(&config, path, &err), INV_OK);
    ck_assert_uint_eq(config.count, 1);
    inv_config_release(&config);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(inv_config_open(&config, path, &err), INV_OK);
    ck_assert_uint_eq(config.count, 0);
    inv_config_release(&config);
    close(fd);
    unlink(path);
    ck_assert_int_eq(inv_config_open(&config, path, &err), INV_IO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, keys_values_comments_and_lines_are_read);
    tcase_add_test(tcase, a_file_without_a_pair_is_empty);
    tcase_add_test(tcase, errors_name_file_line_and_reason);
    tcase_add_test(tcase, a_nul_does_not_hide_the_rest_of_a_line);
    tcase_add_test(tcase, a_key_that_is_not_given_keeps_its_default);
    tcase_add_test(tcase, strings_and_booleans_are_read);
    tcase_add_test(tcase, integers_are_read_to_both_ends_of_their_range);
    tcase_add_test(tcase, sizes_take_binary_suffixes);
    tcase_add_test(tcase, durations_need_a_unit);
    tcase_add_test(tcase,
                   an_unknown_key_is_reported_with_the_nearest_known_one);
    tcase_add_test(tcase, a_file_is_opened_by_its_path);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
