/*
 * test_rng.c: the generators' exact numbers, which stored encodings depend on,
 * and their distributions. The golden numbers of inv_stream were computed by
 * an independent program with integers of any size and the usual logarithm.
 */
#include "base/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

START_TEST(stream_gives_the_numbers_of_its_definition) {
    static const uint64_t expected[] = {
        UINT64_C(0xbac6ad2dfe89d438), UINT64_C(0x058f3aa14f255ee6),
        UINT64_C(0xee5ccf541c03fdd1), UINT64_C(0xab120d6b94ecd0aa)};
    struct inv_stream stream;
    inv_stream_init(&stream, 42, "hyperplanes", 7);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(inv_stream_next(&stream), expected[i]);
    inv_stream_init(&stream, 0, "", 0);
    ck_assert_uint_eq(inv_stream_next(&stream), UINT64_C(0x41e5779b7cf5e194));
    ck_assert_uint_eq(inv_stream_next(&stream), UINT64_C(0xff324ddec2f4b5bc));
}
END_TEST

START_TEST(normals_are_the_numbers_of_their_definition) {
    static const double expected[] = {1.7247689118074507, 0.2884288821265788,
                                      0.22033851409653923, 0.5566722019506131};
    struct inv_stream stream;
    inv_stream_init(&stream, 42, "hyperplanes", 7);
    for (size_t i = 0; i < 4; i++) {
        float nearest = (float)expected[i];
        float drawn = inv_stream_normal(&stream);
        ck_assert_mem_eq(&drawn, &nearest, sizeof drawn);
    }
}
END_TEST

/* Against the C library's logarithm. Two logarithms that are right to 1e-15
 * hardly ever round to different floats; one right to 1e-9 does it 139 times
 * in these draws. */
START_TEST(normals_agree_with_the_polar_formula) {
    struct inv_stream stream;
    struct inv_stream bits;
    inv_stream_init(&stream, 3, "polar", 0);
    inv_stream_init(&bits, 3, "polar", 0);
    int different = 0;
    for (int i = 0; i < 100000; i++) {
        double u;
        double v;
        double s;
        do {
            uint64_t word = inv_stream_next(&bits);
            u = (double)(word >> 40) * 0x1p-23 - 1;
            v = (double)(word & 0xffffff) * 0x1p-23 - 1;
            s = u * u + v * v;
        } while (s >= 1 || s == 0);
        double factor = sqrt(-2 * log(s) / s);
        float first = inv_stream_normal(&stream);
        float second = inv_stream_normal(&stream);
        ck_assert_double_eq_tol((double)first, u * factor,
                                1e-7 * fabs(u * factor));
        ck_assert_double_eq_tol((double)second, v * factor,
                                1e-7 * fabs(v * factor));
        different += first != (float)(u * factor);
        different += second != (float)(v * factor);
    }
    ck_assert_int_le(different, 3);
}
END_TEST

START_TEST(seed_purpose_and_index_each_make_another_stream) {
    struct inv_stream stream;
    uint64_t first[4];
    inv_stream_init(&stream, 1, "sketch", 1);
    first[0] = inv_stream_next(&stream);
    inv_stream_init(&stream, 2, "sketch", 1);
    first[1] = inv_stream_next(&stream);
    inv_stream_init(&stream, 1, "sketci", 1);
    first[2] = inv_stream_next(&stream);
    inv_stream_init(&stream, 1, "sketch", 2);
    first[3] = inv_stream_next(&stream);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(first[i], first[j]);
}
END_TEST

START_TEST(a_stream_does_not_depend_on_other_draws) {
    struct inv_stream alone;
    struct inv_stream other;
    struct inv_stream late;
    inv_stream_init(&alone, 5, "fill", 3);
    inv_stream_init(&other, 5, "fill", 2);
    for (int i = 0; i < 101; i++)
        (void)inv_stream_normal(&other);
    inv_stream_init(&late, 5, "fill", 3);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(inv_stream_next(&alone), inv_stream_next(&late));
    /* init forgets the second number of a pair that was left over */
    (void)inv_stream_normal(&late);
    inv_stream_init(&late, 5, "fill", 3);
    ck_assert_int_eq(late.has_spare, 0);
}
END_TEST

/* Neighbouring streams, as repetitions use them: correlation of n pairs has a
 * standard deviation of 1 / sqrt(n), here .0032. */
START_TEST(neighbouring_streams_are_uncorrelated) {
    enum { n = 100000 };
    struct inv_stream a;
    struct inv_stream b;
    for (uint64_t index = 0; index < 4; index++) {
        double sum = 0;
        inv_stream_init(&a, 11, "sign", index);
        inv_stream_init(&b, 11, "sign", index + 1);
        for (int i = 0; i < n; i++)
            sum +=
                (double)inv_stream_normal(&a) * (double)inv_stream_normal(&b);
        ck_assert_double_lt(fabs(sum / n), .016);
    }
}
END_TEST

START_TEST(normal_has_the_moments_of_a_normal) {
    enum { n = 1000000 };
    struct inv_stream stream;
    double sum[5] = {0};
    int beyond = 0;
    inv_stream_init(&stream, 1, "moments", 0);
    for (int i = 0; i < n; i++) {
        double x = (double)inv_stream_normal(&stream);
        double power = 1;
        for (int k = 1; k <= 4; k++) {
            power *= x;
            sum[k] += power;
        }
        beyond += fabs(x) > 1.959964;
    }
    /* five standard deviations of each mean */
    ck_assert_double_lt(fabs(sum[1] / n), 5 * 1e-3);
    ck_assert_double_lt(fabs(sum[2] / n - 1), 5 * 1.42e-3);
    ck_assert_double_lt(fabs(sum[3] / n), 5 * 3.9e-3);
    ck_assert_double_lt(fabs(sum[4] / n - 3), 5 * 9.8e-3);
    ck_assert_double_lt(fabs((double)beyond / n - .05), 5 * 2.2e-4);
}
END_TEST

START_TEST(below_is_uniform_and_in_range) {
    static const uint32_t sizes[] = {1, 2, 3, 7, 10, 64};
    enum { n = 70000 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct inv_stream stream;
        int count[64] = {0};
        double expected = (double)n / sizes[s];
        inv_stream_init(&stream, 9, "below", s);
        for (int i = 0; i < n; i++) {
            uint32_t x = inv_stream_below(&stream, sizes[s]);
            ck_assert_uint_lt(x, sizes[s]);
            count[x]++;
        }
        for (uint32_t x = 0; x < sizes[s]; x++)
            ck_assert_double_lt(fabs(count[x] - expected), 5 * sqrt(expected));
    }
}
END_TEST

/* Of 2^32 draws without rejection, 3 * 2^30 would take every third result
 * twice: the lower third of the range would come half of the time. */
START_TEST(below_is_unbiased_for_large_ranges) {
    enum { n = 90000 };
    const uint32_t size = UINT32_C(3) << 30;
    struct inv_stream stream;
    int third[3] = {0};
    int residue[3] = {0};
    inv_stream_init(&stream, 9, "large", 0);
    for (int i = 0; i < n; i++) {
        uint32_t x = inv_stream_below(&stream, size);
        ck_assert_uint_lt(x, size);
        third[x >> 30]++;
        residue[x % 3]++;
    }
    for (int k = 0; k < 3; k++) {
        ck_assert_int_lt(abs(third[k] - n / 3), 710); /* 5 deviations */
        ck_assert_int_lt(abs(residue[k] - n / 3), 710);
    }
}
END_TEST

START_TEST(uniform_fills_the_unit_interval) {
    enum { n = 100000 };
    struct inv_stream stream;
    int count[10] = {0};
    inv_stream_init(&stream, 4, "uniform", 0);
    for (int i = 0; i < n; i++) {
        double x = inv_stream_uniform(&stream);
        ck_assert(x >= 0 && x < 1);
        count[(int)(x * 10)]++;
    }
    for (int k = 0; k < 10; k++)
        ck_assert_int_lt(abs(count[k] - n / 10), 500);
}
END_TEST

START_TEST(mt19937_gives_the_published_ten_thousandth_number) {
    struct inv_mt mt;
    uint32_t x = 0;
    inv_mt_init(&mt, 5489);
    for (int i = 0; i < 10000; i++) {
        x = inv_mt_next(&mt);
        if (i == 0)
            ck_assert_uint_eq(x, UINT32_C(3499211612));
    }
    ck_assert_uint_eq(x, UINT32_C(4123659995));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base/rng");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, stream_gives_the_numbers_of_its_definition);
    tcase_add_test(all, normals_are_the_numbers_of_their_definition);
    tcase_add_test(all, normals_agree_with_the_polar_formula);
    tcase_add_test(all, seed_purpose_and_index_each_make_another_stream);
    tcase_add_test(all, a_stream_does_not_depend_on_other_draws);
    tcase_add_test(all, neighbouring_streams_are_uncorrelated);
    tcase_add_test(all, normal_has_the_moments_of_a_normal);
    tcase_add_test(all, below_is_uniform_and_in_range);
    tcase_add_test(all, below_is_unbiased_for_large_ranges);
    tcase_add_test(all, uniform_fills_the_unit_interval);
    tcase_add_test(all, mt19937_gives_the_published_ten_thousandth_number);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
