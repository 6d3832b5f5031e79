/*
 * test_time_parse.c: inv_time_parse against timegm and by hand.
 */
#include "index/filter.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S INT64_C(1000000)

static int64_t parsed(const char *text) {
    int64_t micros = -1;
    ck_assert_msg(inv_time_parse(text, strlen(text), &micros), "%s", text);
    return micros;
}

static bool refused(const char *text) {
    int64_t micros = 42;
    return !inv_time_parse(text, strlen(text), &micros) && micros == 42;
}

START_TEST(known_times_have_known_numbers) {
    ck_assert_int_eq(parsed("1970-01-01T00:00:00Z"), 0);
    ck_assert_int_eq(parsed("2024-05-01T12:00:00Z"), 1714564800 * S);
    ck_assert_int_eq(parsed("2024-05-01"), 1714521600 * S);
    ck_assert_int_eq(parsed("1969-12-31T23:59:59.999999Z"), -1);
    ck_assert_int_eq(parsed("0001-01-01"), INT64_C(-62135596800) * S);
    ck_assert_int_eq(parsed("0000-01-01"), INT64_C(-62167219200) * S);
    ck_assert_int_eq(parsed("9999-12-31T23:59:59Z"), INT64_C(253402300799) * S);
}
END_TEST

START_TEST(every_day_agrees_with_the_c_library) {
    char text[40];
    int64_t expected = 0;
    for (int year = 0; year <= 9999;
         year += year >= 1890 && year < 2110 ? 1 : 97)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= 31; day++) {
                struct tm tm = {.tm_year = year - 1900,
                                .tm_mon = month - 1,
                                .tm_mday = day};
                expected = (int64_t)timegm(&tm) * S;
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
                if (tm.tm_mday == day)
                    ck_assert_int_eq(parsed(text), expected);
                else /* the library moved it into the next month */
                    ck_assert_msg(refused(text), "%s", text);
            }
}
END_TEST

START_TEST(offsets_lead_to_utc) {
    int64_t noon = parsed("2024-05-01T12:00:00Z");
    ck_assert_int_eq(parsed("2024-05-01T14:00:00+02:00"), noon);
    ck_assert_int_eq(parsed("2024-05-01T06:30:00-05:30"), noon);
    ck_assert_int_eq(parsed("2024-04-30T23:00:00-13:00"), noon);
    ck_assert_int_eq(parsed("2024-05-01T12:00:00-00:00"), noon);
    ck_assert_int_eq(parsed("2024-05-02T11:59:00+23:59"), noon);
    ck_assert_int_eq(parsed("0000-01-01T00:00:00+01:00"),
                     parsed("0000-01-01") - 3600 * S);
}
END_TEST

START_TEST(fractions_are_cut_at_the_microsecond) {
    int64_t second = parsed("2024-05-01T12:00:00Z");
    ck_assert_int_eq(parsed("2024-05-01T12:00:00.5Z"), second + 500000);
    ck_assert_int_eq(parsed("2024-05-01T12:00:00.000001Z"), second + 1);
    ck_assert_int_eq(parsed("2024-05-01T12:00:00.1234567899Z"),
                     second + 123456);
    ck_assert_int_eq(parsed("2024-05-01T12:00:00.000000999+00:00"), second);
    /* also before 1970 time runs forward */
    ck_assert_int_eq(parsed("1960-01-01T00:00:00.25Z"),
                     parsed("1960-01-01") + 250000);
}
END_TEST

START_TEST(case_and_a_space_are_free) {
    int64_t noon = parsed("2024-05-01T12:00:00Z");
    ck_assert_int_eq(parsed("2024-05-01t12:00:00z"), noon);
    ck_assert_int_eq(parsed("2024-05-01 12:00:00Z"), noon);
}
END_TEST

START_TEST(a_leap_second_is_the_second_after_it) {
    ck_assert_int_eq(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01"));
    ck_assert_int_eq(parsed("2017-01-01T01:59:60+02:00"), parsed("2017-01-01"));
    ck_assert_int_eq(parsed("2016-12-31T15:59:60-08:00"), parsed("2017-01-01"));
    ck_assert(refused("2016-12-31T23:58:60Z"));
    ck_assert(refused("2016-12-31T23:59:61Z"));
}
END_TEST

START_TEST(what_is_not_a_time_is_refused) {
    static const char *const texts[] = {
        "",
        "2024",
        "2024-05",
        "2024-5-01",
        "24-05-01",
        "2024-13-01",
        "2024-00-01",
        "2024-01-00",
        "2023-02-29",
        "1900-02-29",
        "2024-02-30",
        "2024-05-01T",
        "2024-05-01T12:00Z",
        "2024-05-01T12:00:00",
        "2024-05-01T24:00:00Z",
        "2024-05-01T12:60:00Z",
        "2024-05-01T12:00:00.Z",
        "2024-05-01T12:00:00,5Z",
        "2024-05-01T12:00:00+0200",
        "2024-05-01T12:00:00+24:00",
        "2024-05-01T12:00:00+02:60",
        "2024-05-01T12:00:00+2:00",
        "2024-05-01T12:00:00Zz",
        "2024-05-01T12:00:00Z ",
        " 2024-05-01",
        "2024-05-01Z",
        "2024-05-01x12:00:00Z",
        "-2024-05-01",
        "+2024-05-01",
        "12024-05-01",
        "2024/05/01",
        "now",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(refused(texts[i]), "\"%s\" is not a time", texts[i]);
}
END_TEST

START_TEST(only_len_bytes_are_read) {
    static const char whole[] = "2024-05-01T12:00:00.25+02:00";
    int64_t micros;
    for (size_t len = 0; len < strlen(whole); len++) {
        char *copy = malloc(len + 1); /* a sanitizer sees one byte too many */
        memcpy(copy, whole, len);
        char *exact = realloc(copy, len == 0 ? 1 : len);
        ck_assert_int_eq(inv_time_parse(exact, len, &micros), len == 10);
        free(exact);
    }
    ck_assert(!inv_time_parse("2024-05-01\0", 11, &micros));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("index/time_parse");
    TCase *tc = tcase_create("time_parse");
    tcase_add_test(tc, known_times_have_known_numbers);
    tcase_add_test(tc, every_day_agrees_with_the_c_library);
    tcase_add_test(tc, offsets_lead_to_utc);
    tcase_add_test(tc, fractions_are_cut_at_the_microsecond);
    tcase_add_test(tc, case_and_a_space_are_free);
    tcase_add_test(tc, a_leap_second_is_the_second_after_it);
    tcase_add_test(tc, what_is_not_a_time_is_refused);
    tcase_add_test(tc, only_len_bytes_are_read);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
