/*
 * What MUVERA's randomness promises over many seeds: how the estimate spreads,
 * what more repetitions buy, and the variance of the sketch against its
 * formula. Seeds are fixed, so these never fail by chance alone.
 */
#include "tests/unit/encoders/muvera_fixture.h"

#include <cblas.h>

struct moments {
    double mean, sd;
};

static struct moments moments_of(const double *x, size_t count) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - sum / (double)count) * (x[i] - sum / (double)count);
    return (struct moments){sum / (double)count,
                            sqrt(squares / (double)(count - 1))};
}

/* --- repetitions --- */

#define SEEDS 200
#define FEW 5

static struct moments spread_of(struct inv_muvera_params params,
                                uint32_t repetitions, const float *q,
                                size_t queries, const float *p, size_t rows) {
    double got[SEEDS];
    params.repetitions = repetitions;
    for (uint64_t s = 0; s < SEEDS; s++) {
        /* the reference draws repetition r from seed + r: nearer seeds would
         * share hyperplanes */
        params.seed = s * 4 * FEW;
        struct inv_muvera *muvera = must_new(&params, NULL);
        got[s] = estimate(muvera, repetitions, q, queries, p, rows);
        inv_muvera_free(muvera);
    }
    return moments_of(got, SEEDS);
}

START_TEST(deviation_falls_with_the_root_of_repetitions) {
    struct inv_muvera_params params = {.dim = 32,
                                       .bits = 3,
                                       .width = 32,
                                       .fill = INV_FILL_NEAREST,
                                       .generator =
                                           (enum inv_muvera_generator)_i};
    float *q = unit_tokens(8, 32, 1), *p = unit_tokens(30, 32, 2);
    double ratio = spread_of(params, FEW, q, 8, p, 30).sd /
                   spread_of(params, 4 * FEW, q, 8, p, 30).sd;
    ck_assert_double_ge(ratio, 1.6);
    ck_assert_double_le(ratio, 2.4);
    free(q);
    free(p);
}
END_TEST

/* A document that holds the query's own tokens: Chamfer is their number, the
 * estimate stays below it however many repetitions there are. */
START_TEST(bias_does_not_fall_with_repetitions) {
    enum { QUERIES = 16, ROWS = 64, D = 64 };
    struct inv_muvera_params params = {
        .dim = D, .bits = 5, .width = D, .fill = INV_FILL_NEAREST};
    float *q = unit_tokens(QUERIES, D, 3), *p = unit_tokens(ROWS, D, 4);
    memcpy(p, q, QUERIES * D * sizeof *q);
    double exact = chamfer(q, QUERIES, p, ROWS, D, 1);
    ck_assert_double_eq_tol(exact, QUERIES, 1e-4);
    struct moments few = spread_of(params, FEW, q, QUERIES, p, ROWS);
    struct moments many = spread_of(params, 4 * FEW, q, QUERIES, p, ROWS);
    double bias_few = (few.mean - exact) / QUERIES;
    double bias_many = (many.mean - exact) / QUERIES;
    ck_assert_double_le(bias_many, -0.2);
    ck_assert_double_ge(bias_many, -0.6);
    double error = few.sd / QUERIES / sqrt(SEEDS);
    ck_assert_double_le(fabs(bias_few - bias_many), 4 * error);
    free(q);
    free(p);
}
END_TEST

/* --- the sketch --- */

#define D 32
#define WIDTH 8
#define CELLS 4
#define TRIALS 600

/* (1/m) sum over i != j of M_ij^2 + M_ij M_ji, M = sum of q_c d_c^T over the
 * cells that share a sketch; fq and fd are encodings without one. */
static double predicted_variance(const float *fq, const float *fd,
                                 size_t cells) {
    static double m[D][D];
    double sum = 0;
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < D; j++) {
            m[i][j] = 0;
            for (size_t c = 0; c < cells; c++)
                m[i][j] += (double)fq[c * D + i] * (double)fd[c * D + j];
        }
    }
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++)
            if (i != j)
                sum += m[i][j] * m[i][j] + m[i][j] * m[j][i];
    return sum / WIDTH;
}

/* (sketched - exact) / predicted deviation, with one seed: the hyperplanes do
 * not depend on the width, so the same cells are compared. */
static double sketch_error(uint64_t seed, bool per_cell, const float *q,
                           const float *p) {
    struct inv_muvera_params params = {.dim = D,
                                       .repetitions = 1,
                                       .bits = 2,
                                       .width = D,
                                       .seed = seed,
                                       .fill = INV_FILL_NEAREST,
                                       .sketch_per_cell = per_cell};
    struct inv_muvera *exact = must_new(&params, NULL);
    params.width = WIDTH;
    struct inv_muvera *sketched = must_new(&params, NULL);
    float *fq = must_encode(exact, false, q, 6);
    float *fd = must_encode(exact, true, p, 20);
    double variance = 0;
    if (per_cell)
        for (size_t c = 0; c < CELLS; c++)
            variance += predicted_variance(fq + c * D, fd + c * D, 1);
    else
        variance = predicted_variance(fq, fd, CELLS);
    double error = estimate(sketched, 1, q, 6, p, 20) - dot(fq, fd, D * CELLS);
    free(fq);
    free(fd);
    inv_muvera_free(exact);
    inv_muvera_free(sketched);
    return error / sqrt(variance);
}

START_TEST(sketch_error_has_the_predicted_variance) {
    bool per_cell = _i == 1;
    float *q = unit_tokens(6, D, 5), *p = unit_tokens(20, D, 6);
    double errors[TRIALS];
    for (uint64_t t = 0; t < TRIALS; t++)
        errors[t] = sketch_error(1 + 1000 * t, per_cell, q, p);
    struct moments got = moments_of(errors, TRIALS);
    ck_assert_double_ge(got.sd, 0.85);
    ck_assert_double_le(got.sd, 1.2);
    ck_assert_double_le(fabs(got.mean), 4 / sqrt(TRIALS)); /* unbiased */
    free(q);
    free(p);
}
END_TEST

/* The final Count-Sketch is unbiased as well, and folds what is too long to
 * be an encoding by itself. */
START_TEST(final_sketch_keeps_the_estimate_on_average) {
    struct inv_muvera_params params = {.dim = D,
                                       .repetitions = 4,
                                       .bits = 2,
                                       .width = D,
                                       .fill = INV_FILL_NEAREST};
    float *q = unit_tokens(6, D, 7), *p = unit_tokens(20, D, 8);
    double errors[TRIALS];
    for (uint64_t t = 0; t < TRIALS; t++) {
        params.seed = 1000 * t;
        params.final_dim = 0;
        struct inv_muvera *whole = must_new(&params, NULL);
        params.final_dim = 64;
        struct inv_muvera *folded = must_new(&params, NULL);
        ck_assert_uint_eq(inv_muvera_dim(folded), 64);
        errors[t] =
            estimate(folded, 4, q, 6, p, 20) - estimate(whole, 4, q, 6, p, 20);
        inv_muvera_free(whole);
        inv_muvera_free(folded);
    }
    struct moments got = moments_of(errors, TRIALS);
    ck_assert_double_le(fabs(got.mean), 4 * got.sd / sqrt(TRIALS));
    ck_assert_double_ge(got.sd, 0.01);
    free(q);
    free(p);
}
END_TEST

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("muvera statistics");
    TCase *tests = tcase_create("statistics");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, deviation_falls_with_the_root_of_repetitions,
                        INV_GENERATOR_INVAR1, INV_GENERATOR_REFERENCE + 1);
    tcase_add_test(tests, bias_does_not_fall_with_repetitions);
    tcase_add_loop_test(tests, sketch_error_has_the_predicted_variance, 0, 2);
    tcase_add_test(tests, final_sketch_keeps_the_estimate_on_average);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
