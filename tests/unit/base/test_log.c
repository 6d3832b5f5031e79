/*
 * test_log.c: base/log.h, read back through a pipe.
 */
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int ends[2];

static void open_pipe(void) {
    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    inv_log_to_fd(ends[1]);
    inv_log_setup(INV_LOG_INFO, INV_LOG_TEXT);
}

static void close_pipe(void) {
    inv_log_to_fd(2);
    close(ends[0]);
    close(ends[1]);
}

/* What has been written since the last call. */
static const char *output(void) {
    static char text[1 << 20];
    ssize_t n = read(ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define STAMP "2000-01-01T00:00:00.000Z"

START_TEST(text_line_has_time_level_component_and_message) {
    inv_log(INV_LOG_WARN, "vlog", "cut %d of %d bytes", 3, 9);
    const char *line = output();
    struct tm utc = {0};
    ck_assert_ptr_nonnull(strptime(line, "%Y-%m-%dT%H:%M:%S.", &utc));
    long age = (long)(time(NULL) - timegm(&utc));
    ck_assert(age >= -1 && age <= 5);
    ck_assert_int_eq(line[strlen(STAMP) - 1], 'Z');
    ck_assert_str_eq(line + strlen(STAMP), " warn  vlog: cut 3 of 9 bytes\n");
}
END_TEST

START_TEST(lower_levels_are_silent) {
    inv_log(INV_LOG_DEBUG, "a", "no");
    ck_assert_str_eq(output(), "");
    ck_assert(!inv_log_enabled(INV_LOG_DEBUG));
    inv_log_setup(INV_LOG_ERROR, INV_LOG_TEXT);
    inv_log(INV_LOG_WARN, "a", "no");
    inv_log_kv(INV_LOG_WARN, "a", "no", INV_LOG_INT("n", 1));
    ck_assert_str_eq(output(), "");
    inv_log(INV_LOG_ERROR, "a", "yes");
    ck_assert_str_eq(output() + strlen(STAMP), " error a: yes\n");
}
END_TEST

START_TEST(json_line_is_one_object) {
    inv_log_setup(INV_LOG_DEBUG, INV_LOG_JSON);
    inv_log(INV_LOG_DEBUG, "http", "a \"b\" \\ c\n\x01");
    const char *line = output();
    ck_assert_int_eq(strncmp(line, "{\"time\":\"2", 10), 0);
    ck_assert_str_eq(line + strlen("{\"time\":\"") + strlen(STAMP),
                     "\",\"level\":\"debug\",\"component\":\"http\","
                     "\"message\":\"a \\\"b\\\" \\\\ c\\n\\u0001\"}\n");
}
END_TEST

START_TEST(fields_follow_the_message) {
    inv_log_kv(INV_LOG_INFO, "http", "request", INV_LOG_STR("route", "search"),
               INV_LOG_INT("status", 200), INV_LOG_REAL("ms", 1.25),
               INV_LOG_STR("q", "a b\"c"), INV_LOG_STR("none", NULL));
    ck_assert_str_eq(output() + strlen(STAMP),
                     " info  http: request route=search status=200 ms=1.25 "
                     "q=\"a b\\\"c\" none=\"\"\n");
    inv_log_setup(INV_LOG_INFO, INV_LOG_JSON);
    inv_log_kv(INV_LOG_INFO, "http", "request", INV_LOG_STR("route", "a\tb"),
               INV_LOG_INT("low", INT64_MIN), INV_LOG_REAL("bad", 0.0 / 0.0));
    ck_assert_ptr_nonnull(
        strstr(output(), "\"message\":\"request\",\"route\":\"a\\tb\","
                         "\"low\":-9223372036854775808,\"bad\":null}\n"));
}
END_TEST

START_TEST(text_from_outside_cannot_forge_a_line) {
    inv_log(INV_LOG_INFO, "http", "id %s", "x\n2025 error http: fake\r\x1b[2J");
    const char *line = output();
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    ck_assert_ptr_null(strchr(line, '\r'));
    ck_assert_ptr_null(strchr(line, '\x1b'));
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_replaced) {
    inv_log_setup(INV_LOG_INFO, INV_LOG_JSON);
    /* good two, three and four bytes; overlong, surrogate, cut short, stray */
    inv_log(INV_LOG_INFO, "a", "%s",
            "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|\xc0\x80|\xed\xa0\x80|"
            "\xf4\x90\x80\x80|\xe2\x82");
    ck_assert_ptr_nonnull(
        strstr(output(), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|"
                         "\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|"
                         "\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\"}"));
}
END_TEST

START_TEST(long_lines_are_cut_and_stay_well_formed) {
    char text[INV_LOG_LINE_MAX * 2];
    inv_log_setup(INV_LOG_INFO, INV_LOG_JSON);
    /* every length around the limit: no overrun, always closed */
    for (size_t n = INV_LOG_LINE_MAX - 200; n < INV_LOG_LINE_MAX + 40; n++) {
        memset(text, 'x', n);
        text[n] = '\0';
        inv_log_kv(INV_LOG_INFO, "a", "m", INV_LOG_STR("k", text),
                   INV_LOG_INT("number", 123456789),
                   INV_LOG_STR("other", "text"));
        const char *line = output();
        size_t len = strlen(line);
        ck_assert_uint_le(len, INV_LOG_LINE_MAX);
        ck_assert_str_eq(line + len - 2, "}\n");
        /* quotes pair up: nothing here needs an escape */
        size_t quotes = 0;
        for (size_t i = 0; i < len; i++)
            quotes += line[i] == '"';
        ck_assert_uint_eq(quotes % 2, 0);
        if (n >= INV_LOG_LINE_MAX)
            ck_assert_str_eq(line + len - 6, "...\"}\n");
    }
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = '\0';
    inv_log(INV_LOG_INFO, "a", "%s", text);
    const char *line = output();
    ck_assert_str_eq(line + strlen(line) - 6, "...\"}\n");
    inv_log_fields(INV_LOG_INFO, "a", text, NULL, 0);
    line = output();
    ck_assert_str_eq(line + strlen(line) - 6, "...\"}\n");
    ck_assert_uint_le(strlen(line), INV_LOG_LINE_MAX);
}
END_TEST

START_TEST(errno_is_preserved) {
    inv_log_to_fd(-1); /* the write fails */
    errno = ENOSPC;
    inv_log(INV_LOG_ERROR, "a", "lost");
    ck_assert_int_eq(errno, ENOSPC);
}
END_TEST

START_TEST(names_are_parsed) {
    ck_assert_int_eq(inv_log_level_parse("debug"), INV_LOG_DEBUG);
    ck_assert_int_eq(inv_log_level_parse("error"), INV_LOG_ERROR);
    ck_assert_int_eq(inv_log_level_parse("fatal"), -1);
    ck_assert_int_eq(inv_log_format_parse("json"), INV_LOG_JSON);
    ck_assert_int_eq(inv_log_format_parse("text"), INV_LOG_TEXT);
    ck_assert_int_eq(inv_log_format_parse(""), -1);
}
END_TEST

static void *chatter(void *arg) {
    char text[600];
    memset(text, *(const char *)arg, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 100; i++)
        inv_log(INV_LOG_INFO, "a", "%s", text);
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix) {
    char letters[] = "abcd";
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, chatter, &letters[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    const char *text = output();
    int lines = 0;
    for (const char *end; *text != '\0'; text = end + 1, lines++) {
        end = strchr(text, '\n');
        ck_assert_ptr_nonnull(end);
        ck_assert_int_eq(end - text, strlen(STAMP " info  a: ") + 599);
        for (const char *c = end - 599; c < end; c++)
            ck_assert_int_eq(*c, end[-1]);
    }
    ck_assert_int_eq(lines, 400);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base/log");
    TCase *tc = tcase_create("log");
    tcase_add_checked_fixture(tc, open_pipe, close_pipe);
    tcase_add_test(tc, text_line_has_time_level_component_and_message);
    tcase_add_test(tc, lower_levels_are_silent);
    tcase_add_test(tc, json_line_is_one_object);
    tcase_add_test(tc, fields_follow_the_message);
    tcase_add_test(tc, text_from_outside_cannot_forge_a_line);
    tcase_add_test(tc, bytes_that_are_not_utf8_are_replaced);
    tcase_add_test(tc, long_lines_are_cut_and_stay_well_formed);
    tcase_add_test(tc, errno_is_preserved);
    tcase_add_test(tc, names_are_parsed);
    tcase_add_test(tc, lines_of_several_threads_do_not_mix);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
