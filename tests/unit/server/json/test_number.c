/*
 * test_number.c: numbers to floats against strtof, where rounding is easy and
 * where it is hard.
 */
#include "base/rng.h"
#include "server/json/json_internal.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void check_number(const char *text) {
    size_t len = strlen(text);
    char *copy = malloc(len);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    const char *p = copy;
    float got = NAN;
    ck_assert_int_eq(inv_number_read(&p, copy + len, &got), INV_OK);
    ck_assert_uint_eq((size_t)(p - copy), len);
    free(copy);
    float want = strtof(text, NULL);
    ck_assert_msg(bits_of(got) == bits_of(want), "%s: got %.9g, want %.9g",
                  text, (double)got, (double)want);
}

static float random_float(struct inv_stream *stream) {
    for (;;) {
        uint32_t bits = (uint32_t)inv_stream_next(stream);
        float x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x))
            return x;
    }
}

START_TEST(a_hundred_thousand_numbers_round_as_strtof_does) {
    struct inv_stream stream;
    inv_stream_init(&stream, 7, "numbers", 0);
    char text[400];
    for (int i = 0; i < 100000; i++) {
        double x = (double)random_float(&stream);
        double small = (double)(int64_t)inv_stream_next(&stream) * 0x1p-63;
        switch (i % 8) {
        case 0:
            snprintf(text, sizeof text, "%.9g", x);
            break;
        case 1:
            snprintf(text, sizeof text, "%.17g", small);
            break;
        case 2:
            snprintf(text, sizeof text, "%.6f", small);
            break;
        case 3:
            snprintf(text, sizeof text, "%.*e", i % 23, x);
            break;
        case 4:
            snprintf(text, sizeof text, "%.*f", i % 60, small * 100);
            break;
        case 5:
            snprintf(text, sizeof text, "%.60g", x);
            break;
        case 6:
            snprintf(text, sizeof text, "%.*fE-%d", i % 9, small * 1e6, i % 55);
            break;
        default:
            snprintf(text, sizeof text, "%llu%llue-%d",
                     1 + (unsigned long long)inv_stream_next(&stream),
                     (unsigned long long)inv_stream_next(&stream), i % 70);
        }
        check_number(text);
    }
}
END_TEST

START_TEST(numbers_in_the_middle_between_two_floats_round_to_even) {
    struct inv_stream stream;
    inv_stream_init(&stream, 8, "middles", 0);
    char text[400];
    for (int i = 0; i < 20000; i++) {
        float x = random_float(&stream);
        float next = nextafterf(x, INFINITY);
        if (!isfinite(next))
            continue;
        double middle = ((double)x + (double)next) / 2; /* exact */
        snprintf(text, sizeof text, "%.170g", middle);
        check_number(text);
        /* one digit far behind decides */
        if (strchr(text, 'e') == NULL && strchr(text, '.') != NULL) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "00000000000000000001");
            check_number(text);
        }
        snprintf(text, sizeof text, "%.17g", nextafter(middle, 0));
        check_number(text);
        snprintf(text, sizeof text, "%.18g", nextafter(middle, INFINITY));
        check_number(text);
    }
}
END_TEST

START_TEST(odd_but_valid_numbers_are_read) {
    static const char *const texts[] = {
        "0",
        "-0",
        "-0.0",
        "0e5",
        "0E+5",
        "1e5",
        "1E+5",
        "1e-5",
        "1.5e05",
        "123456789012345678901234567890",
        "0.00000000000000000000000000001",
        "9007199254740993",
        "16777217",
        "16777219",
        "3.4028235e38",
        "3.4028236e38",
        "3.40282357e38",
        "1e39",
        "-1e39",
        "1e400",
        "1e-400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1.4e-45",
        "7e-46",
        "7.1e-46",
        "1.17549435e-38",
        "1.1754943e-38",
        "0.1e1",
        "12345678",
        "123456789",
        "1234567890123456789",
        "12345678901234567890",
        "99999999999999999999e-19",
        "0.30000000000000000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_number(texts[i]);
    char many[2000];
    memset(many, '3', sizeof many);
    many[1] = '.';
    many[sizeof many - 1] = '\0';
    check_number(many);
    memset(many + 2, '0', sizeof many - 4);
    check_number(many);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("number");
    TCase *tcase = tcase_create("number");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_hundred_thousand_numbers_round_as_strtof_does);
    tcase_add_test(tcase,
                   numbers_in_the_middle_between_two_floats_round_to_even);
    tcase_add_test(tcase, odd_but_valid_numbers_are_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
