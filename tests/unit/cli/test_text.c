/*
 * test_text.c: cli/text.h and cli/progress.h: widths, wrapping, tables,
 * numbers, and the progress line.
 */
#include "cli/progress.h"
#include "cli/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct inv_buf out;

static const char *clean(const char *text, size_t max) {
    inv_buf_release(&out);
    inv_text_clean(&out, text, strlen(text), max);
    return out.data == NULL ? "" : out.data;
}

START_TEST(width_counts_characters_not_bytes) {
    ck_assert_uint_eq(inv_text_width("abc", 3), 3);
    ck_assert_uint_eq(inv_text_width("äöü", 6), 3);
    ck_assert_uint_eq(inv_text_width("日本", 6), 2);
    ck_assert_uint_eq(inv_text_width("\xff\x80", 2), 2);
    ck_assert_uint_eq(inv_text_width("", 0), 0);
}
END_TEST

START_TEST(control_characters_never_come_through) {
    ck_assert_str_eq(clean("a\x1b[31mb\nc\t d", 99), "a [31mb c d");
    ck_assert_str_eq(clean("a\xc2\x9b"
                           "2Jb",
                           99),
                     "a 2Jb");
    ck_assert_str_eq(clean("  a  ", 99), "a");
    ck_assert_str_eq(clean("\x7f\x01", 99), "");
}
END_TEST

START_TEST(a_long_text_is_cut_at_a_character) {
    ck_assert_str_eq(clean("äöüß", 4), "äöüß");
    ck_assert_str_eq(clean("äöüßx", 4), "äöü…");
    ck_assert_str_eq(clean("ab cd", 3), "ab…");
    ck_assert_uint_eq(inv_text_width(clean("ab cde fgh", 5), out.len), 5);
}
END_TEST

START_TEST(lines_break_at_blanks_within_the_width) {
    const char *text = "one two three fourteenlongword five äääää öööö";
    inv_buf_release(&out);
    inv_text_wrap(&out, text, strlen(text), 2, 14);
    ck_assert_str_eq(out.data, "  one two\n"
                               "  three\n"
                               "  fourteenlong\n"
                               "  word five\n"
                               "  äääää öööö\n");
}
END_TEST

START_TEST(a_text_that_fits_stays_on_its_line) {
    inv_buf_release(&out);
    inv_text_wrap(&out, "0123456789", 10, 0, 10);
    ck_assert_str_eq(out.data, "0123456789\n");
    inv_buf_release(&out);
    inv_text_wrap(&out, "", 0, 4, 80);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(numbers_read_as_people_write_them) {
    char text[INV_NUMBER_MAX];
    ck_assert_str_eq(inv_text_count(text, 0), "0");
    ck_assert_str_eq(inv_text_count(text, 999), "999");
    ck_assert_str_eq(inv_text_count(text, 1000), "1,000");
    ck_assert_str_eq(inv_text_count(text, UINT64_MAX),
                     "18,446,744,073,709,551,615");
    ck_assert_str_eq(inv_text_bytes(text, 999), "999 B");
    ck_assert_str_eq(inv_text_bytes(text, 1000), "1.0 kB");
    ck_assert_str_eq(inv_text_bytes(text, 350123456), "350 MB");
    ck_assert_str_eq(inv_text_bytes(text, 999999), "1.0 MB");
    ck_assert_str_eq(inv_text_duration(text, 7.2), "0:07");
    ck_assert_str_eq(inv_text_duration(text, 59.6), "1:00");
    ck_assert_str_eq(inv_text_duration(text, 3723), "1:02:03");
    ck_assert_str_eq(inv_text_duration(text, -1), "0:00");
}
END_TEST

START_TEST(columns_of_a_table_line_up) {
    static const char *const rows[][3] = {
        {"name", ">size", "state"},
        {"büro", "7", "ready"},
        {"b", "1,234", NULL},
    };
    struct inv_table table;
    inv_table_init(&table, 3);
    for (size_t i = 0; i < 3; i++)
        inv_table_row(&table, rows[i]);
    inv_buf_release(&out);
    inv_table_write(&table, &out);
    inv_table_release(&table);
    ck_assert_str_eq(out.data, "name   size  state\n"
                               "büro      7  ready\n"
                               "b     1,234  \n");
}
END_TEST

START_TEST(progress_shows_share_rate_and_time_left) {
    const struct inv_progress progress = {
        .label = "import", .items = "documents", .total = 1000, .first = 200};
    inv_buf_release(&out);
    inv_progress_line(&progress, 600, 400, 2, 79, &out);
    ck_assert_str_eq(out.data,
                     "import   60 %  400 documents  200/s  0:02 left");
}
END_TEST

START_TEST(progress_bar_fits_the_terminal) {
    const struct inv_progress progress = {
        .label = "import", .items = "documents", .total = 10, .terminal = true};
    for (size_t columns = 39; columns < 120; columns += 5) {
        inv_buf_release(&out);
        inv_progress_line(&progress, 5, 5, 1, columns, &out);
        ck_assert_uint_le(inv_text_width(out.data, out.len), columns);
    }
    ck_assert_ptr_nonnull(strstr(out.data, "[###############.............."));
}
END_TEST

START_TEST(progress_without_a_total_only_counts) {
    struct inv_progress progress = {.label = "import", .items = "documents"};
    inv_buf_release(&out);
    inv_progress_line(&progress, 0, 0, 1, 79, &out);
    ck_assert_str_eq(out.data, "import ...");
    inv_buf_release(&out);
    inv_progress_line(&progress, 50, 5, 2, 79, &out);
    ck_assert_str_eq(out.data, "import  5 documents  2.5/s");
}
END_TEST

static void release(void) { inv_buf_release(&out); }

int main(void) {
    Suite *suite = suite_create("cli/text");
    TCase *tests = tcase_create("text");
    tcase_add_checked_fixture(tests, NULL, release);
    tcase_add_test(tests, width_counts_characters_not_bytes);
    tcase_add_test(tests, control_characters_never_come_through);
    tcase_add_test(tests, a_long_text_is_cut_at_a_character);
    tcase_add_test(tests, lines_break_at_blanks_within_the_width);
    tcase_add_test(tests, a_text_that_fits_stays_on_its_line);
    tcase_add_test(tests, numbers_read_as_people_write_them);
    tcase_add_test(tests, columns_of_a_table_line_up);
    tcase_add_test(tests, progress_shows_share_rate_and_time_left);
    tcase_add_test(tests, progress_bar_fits_the_terminal);
    tcase_add_test(tests, progress_without_a_total_only_counts);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
