/*
 * Prefixes and the PCA rotation, against what linear algebra says of them.
 */
#include "base/rng.h"
#include "encoders/matryoshka.h"

#include <cblas.h>
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* count x dim normal deviates, coordinate j times scale^j. */
static float *normal_rows(size_t count, size_t dim, double scale,
                          uint64_t seed) {
    float *x = malloc(count * dim * sizeof *x);
    ck_assert_ptr_nonnull(x);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.rows", 0);
    for (size_t i = 0; i < count * dim; i++)
        x[i] = (float)((double)inv_stream_normal(&stream) *
                       pow(scale, (double)(i % dim)));
    return x;
}

static float *must_learn(const float *rows, size_t count, size_t dim) {
    float *rotation = malloc(dim * dim * sizeof *rotation);
    struct inv_err err;
    ck_assert_msg(inv_pca_learn(rows, count, dim, rotation, &err) == INV_OK,
                  "%s", err.text);
    return rotation;
}

static double dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void check_orthogonal(const float *rotation, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j <= i; j++)
            ck_assert_double_eq_tol(
                dot(rotation + i * dim, rotation + j * dim, dim),
                i == j ? 1.0 : 0.0, 1e-5);
}

/* Mean of a_i * b_i over rows, for two coordinates. */
static double moment(const float *rows, size_t count, size_t dim, size_t a,
                     size_t b) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)rows[i * dim + a] * (double)rows[i * dim + b];
    return sum / (double)count;
}

START_TEST(rotation_is_orthogonal_and_keeps_inner_products) {
    size_t count = 700, dim = 48;
    float *rows = normal_rows(count, dim, 0.95, 1);
    float *rotation = must_learn(rows, count, dim);
    check_orthogonal(rotation, dim);
    float *other = normal_rows(20, dim, 1.0, 2);
    float *a = malloc(count * dim * sizeof *a);
    float *b = malloc(20 * dim * sizeof *b);
    inv_rotate(rotation, rows, count, dim, a);
    inv_rotate(rotation, other, 20, dim, b);
    for (size_t i = 0; i < count; i += 7)
        for (size_t j = 0; j < 20; j++)
            ck_assert_double_eq_tol(dot(a + i * dim, b + j * dim, dim),
                                    dot(rows + i * dim, other + j * dim, dim),
                                    1e-4);
    free(rows);
    free(rotation);
    free(other);
    free(a);
    free(b);
}
END_TEST

START_TEST(rotate_is_a_product_with_every_row) {
    size_t dim = 17, count = 33;
    float *rotation = normal_rows(dim, dim, 1.0, 3);
    float *rows = normal_rows(count, dim, 1.0, 4);
    float *out = malloc(count * dim * sizeof *out);
    inv_rotate(rotation, rows, count, dim, out);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++)
            ck_assert_double_eq_tol(
                (double)out[i * dim + j],
                dot(rotation + j * dim, rows + i * dim, dim), 1e-4);
    inv_rotate(rotation, rows, 0, dim, NULL); /* nothing to do */
    free(rotation);
    free(rows);
    free(out);
}
END_TEST

/* More rows than are widened at once, and not a multiple of that. */
START_TEST(directions_are_ordered_by_variance_and_uncorrelated) {
    size_t count = 2500, dim = 40;
    float *rows = normal_rows(count, dim, 1.1, 5); /* last varies most */
    float *rotation = must_learn(rows, count, dim);
    float *out = malloc(count * dim * sizeof *out);
    inv_rotate(rotation, rows, count, dim, out);
    double total = 0, rotated = 0, largest = moment(out, count, dim, 0, 0);
    for (size_t j = 0; j < dim; j++) {
        total += moment(rows, count, dim, j, j);
        double variance = moment(out, count, dim, j, j);
        rotated += variance;
        if (j > 0) {
            ck_assert_double_le(variance,
                                moment(out, count, dim, j - 1, j - 1));
            ck_assert_double_le(fabs(moment(out, count, dim, j - 1, j)),
                                1e-5 * largest);
            ck_assert_double_le(fabs(moment(out, count, dim, 0, j)),
                                1e-5 * largest);
        }
    }
    ck_assert_double_eq_tol(rotated / total, 1.0, 1e-5);
    /* no coordinate varies more than the first direction */
    ck_assert_double_ge(largest, moment(rows, count, dim, dim - 1, dim - 1));
    free(rows);
    free(rotation);
    free(out);
}
END_TEST

#define PLANTED 5

START_TEST(planted_subspace_is_recovered) {
    size_t count = 900, dim = 64;
    float *basis = normal_rows(PLANTED, dim, 1.0, 6);
    float *weights = normal_rows(count, PLANTED, 1.0, 7);
    float *rows = normal_rows(count, dim, 1.0, 8);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < dim; j++) {
            rows[i * dim + j] *= 0.01f;
            for (size_t k = 0; k < PLANTED; k++)
                rows[i * dim + j] +=
                    weights[i * PLANTED + k] * basis[k * dim + j];
        }
    float *rotation = must_learn(rows, count, dim);
    float *out = malloc(PLANTED * dim * sizeof *out);
    inv_rotate(rotation, basis, PLANTED, dim, out);
    for (size_t k = 0; k < PLANTED; k++) {
        double whole = dot(out + k * dim, out + k * dim, dim);
        double prefix = dot(out + k * dim, out + k * dim, PLANTED);
        ck_assert_double_ge(prefix / whole, 0.9999);
    }
    free(basis);
    free(weights);
    free(rows);
    free(rotation);
    free(out);
}
END_TEST

START_TEST(mean_is_not_taken_out) {
    size_t count = 400, dim = 20;
    float *rows = normal_rows(count, dim, 1.0, 9);
    float *mean = normal_rows(1, dim, 1.0, 10);
    for (size_t i = 0; i < count * dim; i++)
        rows[i] = 0.05f * rows[i] + mean[i % dim];
    float *rotation = must_learn(rows, count, dim);
    double along = dot(rotation, mean, dim) / sqrt(dot(mean, mean, dim));
    ck_assert_double_ge(fabs(along), 0.999);
    free(rows);
    free(mean);
    free(rotation);
}
END_TEST

START_TEST(signs_are_fixed_and_learning_is_reproducible) {
    size_t count = 300, dim = 24;
    float *rows = normal_rows(count, dim, 0.8, 11);
    float *first = must_learn(rows, count, dim);
    float *second = must_learn(rows, count, dim);
    ck_assert_mem_eq(first, second, dim * dim * sizeof *first);
    free(second);
    for (size_t i = 0; i < count * dim; i++)
        rows[i] = -rows[i]; /* the same second moments */
    second = must_learn(rows, count, dim);
    ck_assert_mem_eq(first, second, dim * dim * sizeof *first);
    free(second);
    for (size_t i = 0; i < count / 2; i++) /* another order of the rows */
        for (size_t j = 0; j < dim; j++) {
            float *a = rows + i * dim + j;
            float *b = rows + (count - 1 - i) * dim + j;
            float swap = *a;
            *a = *b;
            *b = swap;
        }
    second = must_learn(rows, count, dim);
    for (size_t i = 0; i < dim * dim; i++)
        ck_assert_double_eq_tol((double)first[i], (double)second[i], 1e-5);
    for (size_t j = 0; j < dim; j++) {
        float largest = 0;
        for (size_t i = 0; i < dim; i++)
            if (fabsf(first[j * dim + i]) > fabsf(largest))
                largest = first[j * dim + i];
        ck_assert(largest > 0.0f);
    }
    free(rows);
    free(first);
    free(second);
}
END_TEST

START_TEST(one_dimension_is_left_alone) {
    float rows[3] = {-2.0f, 1.0f, -5.0f}, rotation = 0, out[3];
    ck_assert_int_eq(inv_pca_learn(rows, 3, 1, &rotation, NULL), INV_OK);
    ck_assert(rotation == 1.0f);
    inv_rotate(&rotation, rows, 3, 1, out);
    ck_assert_mem_eq(out, rows, sizeof rows);
}
END_TEST

START_TEST(fewer_rows_than_dimensions_still_give_a_rotation) {
    size_t dim = 33;
    for (size_t count = 1; count <= 5; count += 4) {
        float *rows = normal_rows(count, dim, 1.0, 12);
        float *rotation = must_learn(rows, count, dim);
        float *out = malloc(count * dim * sizeof *out);
        check_orthogonal(rotation, dim);
        inv_rotate(rotation, rows, count, dim, out);
        for (size_t i = 0; i < count; i++) /* all mass in `count` prefix */
            for (size_t j = count; j < dim; j++)
                ck_assert_double_le(fabs((double)out[i * dim + j]), 1e-5);
        free(rows);
        free(rotation);
        free(out);
    }
    float *zeros = calloc(4 * dim, sizeof *zeros);
    float *rotation = must_learn(zeros, 4, dim);
    check_orthogonal(rotation, dim);
    free(zeros);
    free(rotation);
}
END_TEST

START_TEST(small_variances_survive_many_rows) {
    /* 1e-4 of the scale: 1e-8 of the moment, below fp32's resolution of the
     * sum but not below fp64's */
    size_t count = 4000, dim = 4;
    float *rows = normal_rows(count, dim, 1e-2, 13);
    float *rotation = must_learn(rows, count, dim);
    for (size_t j = 0; j < dim; j++)
        ck_assert_double_ge((double)rotation[j * dim + j], 0.999);
    free(rows);
    free(rotation);
}
END_TEST

START_TEST(what_cannot_be_learned_from_is_refused) {
    float rows[6] = {1, 2, 3, 4, NAN, 6}, rotation[4] = {7, 7, 7, 7};
    struct inv_err err = {0};
    ck_assert_int_eq(inv_pca_learn(rows, 0, 2, rotation, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "not 0"));
    ck_assert_int_eq(inv_pca_learn(rows, 1, 0, rotation, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "16384"));
    ck_assert_int_eq(inv_pca_learn(rows, 1, 16385, rotation, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "16385"));
    ck_assert_int_eq(inv_pca_learn(rows, 3, 2, rotation, &err), INV_NOT_FINITE);
    ck_assert_ptr_nonnull(strstr(err.text, "row 2 of 3"));
    rows[4] = -INFINITY;
    ck_assert_int_eq(inv_pca_learn(rows, 3, 2, rotation, NULL), INV_NOT_FINITE);
    for (int i = 0; i < 4; i++)
        ck_assert(rotation[i] == 7.0f);
}
END_TEST

START_TEST(prefix_is_copied_or_brought_to_length_one) {
    const float x[5] = {3.0f, -4.0f, 0.5f, 9.0f, 1.0f};
    float out[5] = {7, 7, 7, 7, 7};
    inv_prefix(x, 3, 0, out);
    ck_assert_mem_eq(out, x, 3 * sizeof *x);
    ck_assert(out[3] == 7.0f && out[4] == 7.0f);
    inv_prefix(x, 2, 1, out);
    ck_assert_double_eq_tol((double)out[0], 0.6, 1e-6);
    ck_assert_double_eq_tol((double)out[1], -0.8, 1e-6);
    ck_assert(out[2] == 0.5f);
    inv_prefix(x, 5, 1, out);
    ck_assert_double_eq_tol(dot(out, out, 5), 1.0, 1e-6);
}
END_TEST

START_TEST(zero_prefix_stays_zero) {
    const float x[3] = {0.0f, 0.0f, 1.0f};
    float out[2] = {7, 7};
    inv_prefix(x, 2, 1, out);
    ck_assert(out[0] == 0.0f && out[1] == 0.0f);
}
END_TEST

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("matryoshka");
    TCase *tests = tcase_create("matryoshka");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, rotation_is_orthogonal_and_keeps_inner_products);
    tcase_add_test(tests, rotate_is_a_product_with_every_row);
    tcase_add_test(tests, directions_are_ordered_by_variance_and_uncorrelated);
    tcase_add_test(tests, planted_subspace_is_recovered);
    tcase_add_test(tests, mean_is_not_taken_out);
    tcase_add_test(tests, signs_are_fixed_and_learning_is_reproducible);
    tcase_add_test(tests, one_dimension_is_left_alone);
    tcase_add_test(tests, fewer_rows_than_dimensions_still_give_a_rotation);
    tcase_add_test(tests, small_variances_survive_many_rows);
    tcase_add_test(tests, what_cannot_be_learned_from_is_refused);
    tcase_add_test(tests, prefix_is_copied_or_brought_to_length_one);
    tcase_add_test(tests, zero_prefix_stays_zero);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
