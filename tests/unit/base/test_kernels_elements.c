/*
 * test_kernels_elements.c: conversions and the other functions that work
 * element by element, in every set of kernels that this machine can run, and
 * the choice between the sets.
 */
#include "base/kernels.h"
#include "tests/unit/base/kernels_support.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(every_half_converts_to_its_value_and_back) {
    SET_OR_RETURN(_i);
    static uint16_t half[65536], back[65536];
    static float value[65536];
    for (size_t i = 0; i < 65536; i++)
        half[i] = (uint16_t)i;
    k->f32_from_f16(half, value, 65536);
    k->f16_from_f32(value, back, 65536);
    for (size_t i = 0; i < 65536; i++) {
        float expected = half_value(half[i]);
        if (isnan(expected)) {
            ck_assert(isnan(value[i]));
            ck_assert_uint_eq(back[i], half[i] | 0x200); /* a quiet NaN */
        } else {
            ck_assert_mem_eq(&value[i], &expected, sizeof expected);
            ck_assert_uint_eq(back[i], half[i]);
        }
    }
}
END_TEST

/* Between two neighbours, just at and on either side of the middle. */
START_TEST(conversion_to_half_rounds_to_nearest_even) {
    SET_OR_RETURN(_i);
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double low = (double)half_value((uint16_t)h);
        double high =
            h == 0x7bff ? 65536 : (double)half_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2); /* exact */
        float in[3] = {nextafterf(middle, 0), middle,
                       nextafterf(middle, INFINITY)};
        uint16_t out[3];
        k->f16_from_f32(in, out, 3);
        ck_assert_uint_eq(out[0], h);
        ck_assert_uint_eq(out[1], h % 2 == 0 ? h : h + 1);
        ck_assert_uint_eq(out[2], h + 1);
        for (int j = 0; j < 3; j++)
            in[j] = -in[j];
        k->f16_from_f32(in, out, 3);
        ck_assert_uint_eq(out[0], 0x8000 | h);
        ck_assert_uint_eq(out[2], 0x8000 | (h + 1));
    }
    float big[4] = {65520, 1e15f, FLT_MAX, INFINITY};
    uint16_t out[4];
    k->f16_from_f32(big, out, 4);
    for (int j = 0; j < 4; j++)
        ck_assert_uint_eq(out[j], 0x7c00);
}
END_TEST

/* All the functions that work element by element give the bits of the scalar
 * ones, touch nothing behind the end, and read nothing there. */
START_TEST(element_functions_match_scalar_in_every_length) {
    SET_OR_RETURN(_i);
    const struct inv_kernels *s = &inv_kernels_scalar;
    struct guarded memory = guarded_new(256 * 4);
    uint32_t seed = 3;
    for (size_t n = 0; n <= 200; n++) {
        float *in = guarded_tail(&memory, n * 4);
        for (size_t i = 0; i < n; i++)
            in[i] = fraction(&seed) * (i % 7 == 3 ? 1e-6f : 40000);
        if (n > 2)
            in[n / 2] = n % 3 == 0 ? INFINITY : -5e14f;
        uint16_t half[2][201] = {{0}};
        int8_t byte[2][201] = {{0}};
        float out[2][201] = {{0}};
        s->f16_from_f32(in, half[0], n);
        k->f16_from_f32(in, half[1], n);
        ck_assert_mem_eq(half[0], half[1], sizeof half[0]);
        s->i8_from_f32(in, byte[0], .003f, n);
        k->i8_from_f32(in, byte[1], .003f, n);
        ck_assert_mem_eq(byte[0], byte[1], sizeof byte[0]);
        float max[2] = {s->max_abs(in, n), k->max_abs(in, n)};
        ck_assert_mem_eq(&max[0], &max[1], sizeof max[0]);

        memcpy(guarded_tail(&memory, n), byte[0], n);
        s->f32_from_i8(guarded_tail(&memory, n), .37f, out[0], n);
        k->f32_from_i8(guarded_tail(&memory, n), .37f, out[1], n);
        ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
        memcpy(guarded_tail(&memory, n * 2), half[0], n * 2);
        s->f32_from_f16(guarded_tail(&memory, n * 2), out[0], n);
        k->f32_from_f16(guarded_tail(&memory, n * 2), out[1], n);
        ck_assert_mem_eq(out[0], out[1], sizeof out[0]);
        memcpy(guarded_tail(&memory, n * 4), out[0], n * 4);
        s->multiply(out[0], 1 / 3.0, n);
        k->multiply(guarded_tail(&memory, n * 4), 1 / 3.0, n);
        ck_assert_mem_eq(out[0], guarded_tail(&memory, n * 4), n * 4);
    }
    guarded_free(&memory);
}
END_TEST

START_TEST(axpy_is_exact_for_whole_numbers) {
    SET_OR_RETURN(_i);
    struct guarded memory = guarded_new(2 * 201 * 4);
    uint32_t seed = 8;
    for (size_t n = 0; n <= 200; n++) {
        float *x = guarded_tail(&memory, n * 4);
        float y[201];
        int expected[201];
        for (size_t i = 0; i < n; i++) {
            int a = whole(&seed, 100);
            int b = whole(&seed, 100);
            x[i] = (float)a;
            y[i] = (float)b;
            expected[i] = b - 3 * a;
        }
        y[n] = 77;
        k->axpy(-3, x, y, n);
        for (size_t i = 0; i < n; i++)
            assert_same(y[i], (float)expected[i]);
        assert_same(y[n], 77);
    }
    guarded_free(&memory);
}
END_TEST

START_TEST(all_within_sees_every_place) {
    SET_OR_RETURN(_i);
    static const float bad[] = {NAN,       -NAN,       INFINITY,
                                -INFINITY, 10.000001f, -10.000001f};
    struct guarded memory = guarded_new(64 * 4);
    for (size_t n = 0; n <= 40; n++) {
        float *x = guarded_tail(&memory, n * 4);
        for (size_t i = 0; i < n; i++)
            x[i] = i % 2 == 0 ? 10 : -10;
        ck_assert(k->all_within(x, n, 10));
        for (size_t i = 0; i < n; i++) {
            float kept = x[i];
            for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
                x[i] = bad[j];
                ck_assert(!k->all_within(x, n, 10));
            }
            x[i] = kept;
        }
    }
    guarded_free(&memory);
}
END_TEST

START_TEST(int8_loses_at_most_half_a_step) {
    uint32_t seed = 21;
    for (int e = -14; e <= 6; e++) {
        float in[131];
        float out[131];
        int8_t code[131];
        uint16_t scale;
        float max = 0;
        for (size_t i = 0; i < 131; i++) {
            in[i] = fraction(&seed) * powf(10, (float)e) *
                    (1 + (float)(random_bits(&seed) % 100) / 100);
            max = fmaxf(max, fabsf(in[i]));
        }
        inv_i8_from_f32(in, code, &scale, 131);
        inv_f32_from_i8(code, scale, out, 131);
        float step = half_value(scale);
        ck_assert(step > 0);
        if (max > .01f) /* where half precision is normal */
            ck_assert_uint_eq(scale, half_of(max / 127));
        for (size_t i = 0; i < 131; i++)
            ck_assert(fabsf(in[i] - out[i]) <= step * .50001f);
    }
}
END_TEST

START_TEST(int8_of_a_zero_row_has_scale_zero) {
    float in[19] = {0};
    int8_t code[19];
    uint16_t scale = 1;
    memset(code, 5, sizeof code);
    inv_i8_from_f32(in, code, &scale, 19);
    ck_assert_uint_eq(scale, 0);
    for (size_t i = 0; i < 19; i++)
        ck_assert_int_eq(code[i], 0);
}
END_TEST

START_TEST(int8_scale_is_finite_for_the_largest_and_smallest_rows) {
    static const float sizes[] = {FLT_TRUE_MIN, 1e-30f, 1e-7f, 8.3e6f, 1e15f};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        float in[17] = {0};
        float out[17];
        int8_t code[17];
        uint16_t scale;
        in[3] = sizes[s];
        in[16] = -sizes[s];
        inv_i8_from_f32(in, code, &scale, 17);
        ck_assert_uint_ge(scale, 1);
        ck_assert_uint_le(scale, 0x7bff);
        inv_f32_from_i8(code, scale, out, 17);
        ck_assert(inv_all_within(out, 17, 127 * 65504.0f));
        ck_assert_int_eq(code[3], -code[16]);
        ck_assert_int_eq(code[0], 0);
        if (sizes[s] >= 8.3e6f)
            ck_assert_int_eq(code[3], 127);
    }
}
END_TEST

START_TEST(normalize_gives_unit_length_at_any_scale) {
    static const float sizes[] = {1e-38f, 1e-25f, 1, 1e15f};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t dim = 1; dim <= 200; dim++) {
            float x[200];
            uint32_t seed = (uint32_t)dim;
            double squares = 0;
            for (size_t i = 0; i < dim; i++) {
                x[i] = (fraction(&seed) + 1.5f) * sizes[s];
                squares += (double)x[i] * (double)x[i];
            }
            float first = x[0];
            float norm = inv_normalize_f32(x, dim);
            ck_assert_double_eq_tol((double)norm / sqrt(squares), 1, 1e-6);
            ck_assert_double_eq_tol((double)x[0], (double)first / sqrt(squares),
                                    1e-6);
            ck_assert_double_eq_tol((double)inv_dot_f32(x, x, dim), 1, 1e-5);
        }
}
END_TEST

START_TEST(normalize_leaves_what_has_no_direction) {
    float zero[21] = {0};
    assert_same(inv_normalize_f32(zero, 21), 0);
    for (size_t i = 0; i < 21; i++)
        assert_same(zero[i], 0);
    float infinite[3] = {1, INFINITY, 2};
    assert_same(inv_normalize_f32(infinite, 3), INFINITY);
    assert_same(infinite[0], 1);
    float not_a_number[3] = {1, NAN, 2};
    ck_assert(isnan(inv_normalize_f32(not_a_number, 3)));
    assert_same(not_a_number[0], 1);
}
END_TEST

START_TEST(public_functions_reach_their_kernels) {
    float query[3] = {1, 2, 3};
    float rows[6] = {1, 0, 0, 0, 1, 1};
    uint16_t half[6];
    float back[6];
    float out[2];
    inv_f16_from_f32(rows, half, 6);
    inv_f32_from_f16(half, back, 6);
    ck_assert_mem_eq(back, rows, sizeof rows);
    assert_same(inv_dot_f32(query, rows + 3, 3), 5);
    assert_same(inv_l2sq_f32(query, rows + 3, 3), 6);
    inv_dot_rows_f32(query, rows, 3, 2, 3, out);
    ck_assert(out[0] == 1 && out[1] == 5);
    inv_dot_rows_f16(query, half, 3, 2, 2, out);
    ck_assert(out[0] == 1 && out[1] == 2);
    inv_l2sq_rows_f32(query, rows, 3, 2, 3, out);
    ck_assert(out[0] == 13 && out[1] == 6);
    inv_l2sq_rows_f16(query, half, 3, 2, 2, out);
    ck_assert(out[0] == 4 && out[1] == 2);
    inv_axpy_f32(2, query, rows, 3);
    ck_assert(rows[0] == 3 && rows[1] == 4 && rows[2] == 6);
    struct inv_codes codes = {half, NULL, INV_F16, 2, 3};
    inv_maxsim_best(query, 1, &codes, 3, out);
    assert_same(out[0], 5);
}
END_TEST

START_TEST(choice_is_never_above_what_was_asked_for) {
    ck_assert_str_eq(inv_kernels_choose("scalar")->name, "scalar");
    ck_assert_str_ne(inv_kernels_choose("avx2")->name, "avx512");
    const struct inv_kernels *best = inv_kernels_choose(NULL);
    ck_assert_ptr_eq(inv_kernels_choose("avx512"), best);
    ck_assert_ptr_eq(inv_kernels_choose("no such set"), best);
    ck_assert_ptr_null(inv_kernels_find("no such set"));
    for (int i = SETS - 1; i >= 0; i--) { /* the best is the last there is */
        const struct inv_kernels *k = inv_kernels_find(set_names[i]);
        if (k == NULL)
            continue;
        ck_assert_ptr_eq(k, best);
        ck_assert_str_eq(k->name, set_names[i]);
        break;
    }
}
END_TEST

/* The test program again, asked by its first argument to name its kernels. */
START_TEST(environment_asks_for_less) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    for (int i = 0; i < SETS; i++) {
        char command[4200];
        snprintf(command, sizeof command, "INV_KERNELS=%s '%s' name",
                 set_names[i], self);
        FILE *pipe = popen(command, "r");
        ck_assert_ptr_nonnull(pipe);
        char line[64] = "";
        ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
        ck_assert_int_eq(pclose(pipe), 0);
        line[strcspn(line, "\n")] = '\0';
        ck_assert_str_eq(line, inv_kernels_choose(set_names[i])->name);
    }
}
END_TEST

static Suite *suite_new(void) {
    Suite *suite = suite_create("base/kernels: elements");
    TCase *sets = tcase_create("every set");
    tcase_set_timeout(sets, 120);
    tcase_add_loop_test(sets, every_half_converts_to_its_value_and_back, 0,
                        SETS);
    tcase_add_loop_test(sets, conversion_to_half_rounds_to_nearest_even, 0,
                        SETS);
    tcase_add_loop_test(sets, element_functions_match_scalar_in_every_length, 0,
                        SETS);
    tcase_add_loop_test(sets, axpy_is_exact_for_whole_numbers, 0, SETS);
    tcase_add_loop_test(sets, all_within_sees_every_place, 0, SETS);
    suite_add_tcase(suite, sets);
    TCase *face = tcase_create("public functions");
    tcase_add_test(face, int8_loses_at_most_half_a_step);
    tcase_add_test(face, int8_of_a_zero_row_has_scale_zero);
    tcase_add_test(face,
                   int8_scale_is_finite_for_the_largest_and_smallest_rows);
    tcase_add_test(face, normalize_gives_unit_length_at_any_scale);
    tcase_add_test(face, normalize_leaves_what_has_no_direction);
    tcase_add_test(face, public_functions_reach_their_kernels);
    tcase_add_test(face, choice_is_never_above_what_was_asked_for);
    tcase_add_test(face, environment_asks_for_less);
    suite_add_tcase(suite, face);
    return suite;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "name") == 0) {
        puts(inv_kernels_name());
        return 0;
    }
    SRunner *runner = srunner_create(suite_new());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
