/*
 * test_write.c: numbers and strings as JSON text, against printf and strtof.
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "server/json/json_internal.h"

#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct inv_buf out;

static void begin(void) { out = (struct inv_buf)INV_BUF_INIT; }
static void end(void) { inv_buf_release(&out); }

static int digits_of(const char *text) {
    int digits = 0;
    int zeros = 0; /* at the end: they carry nothing */
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (digits == 0 && *text == '0'))
            continue;
        digits++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return digits - zeros;
}

static void check_float(float x) {
    inv_buf_reset(&out);
    inv_json_put_float(&out, x);
    float back = strtof(out.data, NULL);
    ck_assert_msg(back == x && signbit(back) == signbit(x), "%s is not %.9g",
                  out.data, (double)x);
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    ck_assert_msg(digits_of(out.data) <= digits_of(text) ||
                      out.len <= strlen(text),
                  "%s for %s", out.data, text);
    /* and our own reader agrees */
    const char *p = out.data;
    ck_assert_int_eq(inv_number_read(&p, out.data + out.len, &back), INV_OK);
    ck_assert_ptr_eq(p, out.data + out.len);
    ck_assert(back == x && signbit(back) == signbit(x));
}

START_TEST(a_float_is_written_with_the_fewest_digits_that_read_back) {
    static const float some[] = {
        0.0f,        -0.0f,         1.0f,         -1.0f,
        0.5f,        0.1f,          1e-5f,        1e-6f,
        9.9999e-6f,  1e9f,          999999936.0f, 1e15f,
        16777216.0f, 3.4028235e38f, 1.4e-45f,     1.17549435e-38f,
        0.3f,        100.0f,        123456.7f,    0.99999994f,
        1.0000001f,  9.999999f,     33554432.0f,  10000000.0f,
        67108864.0f, 999999.94f};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        check_float(some[i]);
    struct inv_stream stream;
    inv_stream_init(&stream, 3, "floats", 0);
    for (int i = 0; i < 40000; i++) {
        uint32_t bits = (uint32_t)inv_stream_next(&stream);
        float x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x))
            check_float(x);
        check_float(inv_stream_normal(&stream));
        check_float((float)inv_stream_below(&stream, 1000000) / 1000);
    }
}
END_TEST

START_TEST(scores_look_the_way_a_person_writes_them) {
    static const struct {
        float x;
        const char *text;
    } cases[] = {{0.5f, "0.5"},       {-12.25f, "-12.25"},   {0.1f, "0.1"},
                 {100.0f, "100"},     {0.00012f, "0.00012"}, {7.0f, "7"},
                 {0.8312f, "0.8312"}, {123456.0f, "123456"}, {0.0f, "0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        inv_buf_reset(&out);
        inv_json_put_float(&out, cases[i].x);
        ck_assert_str_eq(out.data, cases[i].text);
    }
    inv_buf_reset(&out);
    inv_json_put_float(&out, NAN);
    inv_json_put_float(&out, INFINITY);
    inv_json_put_double(&out, (double)INFINITY);
    ck_assert_str_eq(out.data, "nullnullnull");
}
END_TEST

START_TEST(a_double_reads_back_the_same) {
    struct inv_stream stream;
    inv_stream_init(&stream, 4, "doubles", 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = inv_stream_next(&stream);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        if (i % 2 == 0)
            x = inv_stream_uniform(&stream) * 1000;
        inv_buf_reset(&out);
        inv_json_put_double(&out, x);
        ck_assert(strtod(out.data, NULL) == x);
    }
    inv_buf_reset(&out);
    inv_json_put_double(&out, 0.1);
    inv_buf_putc(&out, ' ');
    inv_json_put_double(&out, 3);
    inv_buf_putc(&out, ' ');
    inv_json_put_double(&out, -0.0);
    ck_assert_str_eq(out.data, "0.1 3 -0");
}
END_TEST

START_TEST(a_locale_with_a_decimal_comma_changes_nothing) {
    /* Where no such locale is installed this shows no more than the others. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    inv_json_put_float(&out, 1.5e-9f);
    inv_buf_putc(&out, ' ');
    inv_json_put_double(&out, 2.25);
    ck_assert_str_eq(out.data, "1.5e-09 2.25");
    const char *text = "1.4e-45"; /* the slow way */
    const char *p = text;
    float x = 0;
    ck_assert_int_eq(inv_number_read(&p, text + 7, &x), INV_OK);
    ck_assert(x > 0);
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(strings_are_escaped_and_never_break_the_encoding) {
    static const struct {
        const char *in;
        size_t len;
        const char *text;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"\"\\\n\t\r\x01\x7f", 7, "\"\\\"\\\\\\n\\t\\r\\u0001\x7f\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\xc3\xa9", 2, "\"\xc3\xa9\""},
        {"cut \xc3", 5, "\"cut \\ufffd\""},
        {"\xff\xfe!", 3, "\"\\ufffd\\ufffd!\""},
        {"\xed\xa0\x80\"", 4, "\"\\ufffd\\ufffd\\ufffd\\\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        inv_buf_reset(&out);
        inv_json_put_string(&out, cases[i].in, cases[i].len);
        ck_assert_str_eq(out.data, cases[i].text);
    }
    inv_buf_reset(&out);
    inv_json_put_string(&out, NULL, 0);
    ck_assert_str_eq(out.data, "\"\"");
}
END_TEST

START_TEST(codes_are_written_as_the_numbers_they_stand_for) {
    float x[600];
    uint16_t half[600];
    int8_t small[600];
    uint16_t scales[2];
    for (int i = 0; i < 600; i++)
        x[i] = (float)(i % 64) / 8 - 3;
    inv_f16_from_f32(x, half, 600);
    inv_i8_from_f32(x, small, &scales[0], 300);
    inv_i8_from_f32(x + 300, small + 300, &scales[1], 300);
    struct inv_codes codes[] = {{x, NULL, INV_F32, 2, 300},
                                {half, NULL, INV_F16, 2, 300},
                                {small, scales, INV_I8, 2, 300}};
    for (size_t c = 0; c < 3; c++) {
        inv_buf_reset(&out);
        inv_json_put_codes(&out, &codes[c], true);
        float want[600];
        memcpy(want, x, sizeof want);
        if (c == 2)
            for (size_t r = 0; r < 2; r++)
                inv_f32_from_i8(small + 300 * r, scales[r], want + 300 * r,
                                300);
        inv_json *tree = NULL;
        ck_assert_int_eq(inv_json_parse_plain(out.data, out.len, &tree, NULL),
                         INV_OK);
        ck_assert_uint_eq(inv_json_size(tree), 2);
        for (size_t i = 0; i < 600; i++) {
            const inv_json *row = inv_json_at(tree, i / 300);
            ck_assert_uint_eq(inv_json_size(row), 300);
            double got = inv_json_real(inv_json_at(row, i % 300));
            ck_assert((float)got == want[i]);
        }
        inv_json_free(tree);
    }
    inv_buf_reset(&out);
    struct inv_codes one = {x, NULL, INV_F32, 1, 2};
    inv_json_put_codes(&out, &one, false);
    ck_assert_str_eq(out.data, "[-3,-2.875]");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("write");
    TCase *tcase = tcase_create("write");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase,
                   a_float_is_written_with_the_fewest_digits_that_read_back);
    tcase_add_test(tcase, scores_look_the_way_a_person_writes_them);
    tcase_add_test(tcase, a_double_reads_back_the_same);
    tcase_add_test(tcase, a_locale_with_a_decimal_comma_changes_nothing);
    tcase_add_test(tcase, strings_are_escaped_and_never_break_the_encoding);
    tcase_add_test(tcase, codes_are_written_as_the_numbers_they_stand_for);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
