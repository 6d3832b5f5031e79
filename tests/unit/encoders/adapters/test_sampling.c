/*
 * test_sampling.c: encoders/adapters/sampling.h and residual.h: what to embed
 * again, for a fit and because it is served badly.
 */
#include "encoders/adapters/residual.h"
#include "encoders/adapters/sampling.h"

#include "adapters_fixture.h"

#include <cblas.h>
#include <lapacke.h>

static void check_subset(const uint32_t *out, size_t want, size_t count) {
    for (size_t i = 0; i < want; i++) {
        ck_assert_uint_lt(out[i], count);
        if (i > 0)
            ck_assert_uint_gt(out[i], out[i - 1]);
    }
}

START_TEST(samples_are_ascending_distinct_and_repeatable) {
    float *x = unit_rows(500, 8, 0, 1);
    static const size_t wants[] = {1, 5, 8, 40, 499, 500};
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        uint32_t a[500], b[500], c[500];
        MUST(inv_sample_leverage(x, 500, 8, wants[i], 7, a, must));
        MUST(inv_sample_leverage(x, 500, 8, wants[i], 7, b, must));
        inv_sample_uniform(500, wants[i], 7, c);
        check_subset(a, wants[i], 500);
        check_subset(c, wants[i], 500);
        ck_assert_mem_eq(a, b, wants[i] * sizeof *a);
    }
    free(x);
}
END_TEST

START_TEST(uniform_takes_every_row_equally_often) {
    size_t seen[10] = {0};
    uint32_t out[3];
    for (uint64_t seed = 0; seed < 20000; seed++) {
        inv_sample_uniform(10, 3, seed, out);
        for (size_t i = 0; i < 3; i++)
            seen[out[i]]++;
    }
    for (size_t i = 0; i < 10; i++) /* 6,000 each, sd 65 */
        ck_assert_double_eq_tol((double)seen[i], 6000, 300);
}
END_TEST

#define N 12
#define D 3

/* Of the centred rows, by the inverse of their 3 x 3 Gram matrix. */
static void leverage_by_hand(const float *x, double leverage[N]) {
    double c[N][D], g[D][D] = {{0}}, inverse[D][D];
    for (size_t j = 0; j < D; j++) {
        double mean = 0;
        for (size_t i = 0; i < N; i++)
            mean += (double)x[i * D + j] / N;
        for (size_t i = 0; i < N; i++)
            c[i][j] = (double)x[i * D + j] - mean;
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++)
            for (size_t k = 0; k < D; k++)
                g[j][k] += c[i][j] * c[i][k];
    double det = 0;
    for (size_t j = 0; j < D; j++)
        det += g[0][j] * (g[1][(j + 1) % D] * g[2][(j + 2) % D] -
                          g[1][(j + 2) % D] * g[2][(j + 1) % D]);
    for (size_t j = 0; j < D; j++)
        for (size_t k = 0; k < D; k++)
            inverse[k][j] =
                (g[(j + 1) % D][(k + 1) % D] * g[(j + 2) % D][(k + 2) % D] -
                 g[(j + 1) % D][(k + 2) % D] * g[(j + 2) % D][(k + 1) % D]) /
                det;
    for (size_t i = 0; i < N; i++) {
        leverage[i] = 0;
        for (size_t j = 0; j < D; j++)
            for (size_t k = 0; k < D; k++)
                leverage[i] += c[i][j] * inverse[j][k] * c[i][k];
    }
}

START_TEST(volume_sampling_takes_a_row_as_often_as_its_leverage_says) {
    float *x = unit_rows(N, D, 0, 2);
    double leverage[N], seen[N] = {0};
    for (size_t j = 0; j < D; j++) /* one row that is far out */
        x[4 * D + j] *= 3;
    leverage_by_hand(x, leverage);
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint32_t out[D];
        MUST(inv_sample_leverage(x, N, D, D, seed, out, must));
        for (size_t i = 0; i < D; i++)
            seen[out[i]] += 1. / 20000;
    }
    for (size_t i = 0; i < N; i++) /* standard deviation .0035 */
        ck_assert_double_eq_tol(seen[i], leverage[i], .015);
    ck_assert_double_gt(leverage[4], .5);
    free(x);
}
END_TEST

/* Smallest eigenvalue of the Gram matrix of the centred chosen rows. */
static double spread_of(const float *x, size_t dim, const uint32_t *which,
                        size_t count) {
    double *c = must_alloc(count * dim, sizeof *c);
    double *g = must_alloc(dim * dim, sizeof *g);
    double *values = must_alloc(dim, sizeof *values);
    for (size_t j = 0; j < dim; j++) {
        double mean = 0;
        for (size_t i = 0; i < count; i++)
            mean += (double)x[which[i] * dim + j] / (double)count;
        for (size_t i = 0; i < count; i++)
            c[i * dim + j] = (double)x[which[i] * dim + j] - mean;
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)dim, (int)count, 1,
                c, (int)dim, 0, g, (int)dim);
    ck_assert_int_eq(LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'N', 'L', (int)dim, g,
                                    (int)dim, values),
                     0);
    double least = values[0];
    free(c);
    free(g);
    free(values);
    return least;
}

START_TEST(leverage_covers_rare_directions_that_chance_misses) {
    /* 1,960 rows in four dimensions, 40 in all eight */
    float *x = unit_rows(2000, 8, 0, 3);
    for (size_t i = 0; i < 2000; i++)
        for (size_t j = 4; j < 8 && i % 50 != 0; j++)
            x[i * 8 + j] *= .01f;
    double by_leverage = 0, by_chance = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t a[30], b[30];
        MUST(inv_sample_leverage(x, 2000, 8, 30, seed, a, must));
        inv_sample_uniform(2000, 30, seed, b);
        by_leverage += spread_of(x, 8, a, 30) / 20;
        by_chance += spread_of(x, 8, b, 30) / 20;
    }
    ck_assert_double_gt(by_leverage, 10 * by_chance);
    free(x);
}
END_TEST

START_TEST(rows_of_a_smaller_space_still_give_what_is_wanted) {
    float *x = must_alloc(40 * 6, sizeof *x); /* all equal but for ten */
    uint32_t out[30];
    for (size_t i = 0; i < 40; i++)
        x[i * 6 + (i < 10 ? i % 3 : 0)] = 1;
    MUST(inv_sample_leverage(x, 40, 6, 30, 1, out, must));
    check_subset(out, 30, 40);
    memset(x, 0, 40 * 6 * sizeof *x);
    MUST(inv_sample_leverage(x, 40, 6, 30, 1, out, must));
    check_subset(out, 30, 40);
    struct inv_err err;
    ck_assert_int_eq(inv_sample_leverage(x, 40, 6, 41, 1, out, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "41 of 40"));
    x[7] = NAN;
    ck_assert_int_eq(inv_sample_leverage(x, 40, 6, 4, 1, out, &err),
                     INV_NOT_FINITE);
    ck_assert_ptr_nonnull(strstr(err.text, "row 1"));
    free(x);
}
END_TEST

/* ---- residuals ---- */

#define DIM 10
#define PAIRS 3000

/* y is x with noise that grows with y's first number. */
static void heteroscedastic(float *x, float *y, uint64_t seed) {
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.residual", 0);
    for (size_t i = 0; i < PAIRS; i++) {
        double scale = exp(2 * (double)y[i * DIM]) * .05;
        for (size_t j = 0; j < DIM; j++)
            x[i * DIM + j] =
                y[i * DIM + j] +
                (float)(scale * (double)inv_stream_normal(&stream));
        inv_normalize_f32(x + i * DIM, DIM);
    }
}

static const float *sort_by;
static int by_value(const void *a, const void *b) {
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (sort_by[*x] > sort_by[*y]) - (sort_by[*x] < sort_by[*y]);
}

/* Spearman's, without ties. */
static double rank_correlation(const float *a, const float *b, size_t count) {
    double *rank[2];
    const float *const values[2] = {a, b};
    for (size_t s = 0; s < 2; s++) {
        uint32_t *order = must_alloc(count, sizeof *order);
        rank[s] = must_alloc(count, sizeof **rank);
        for (size_t i = 0; i < count; i++)
            order[i] = (uint32_t)i;
        sort_by = values[s];
        qsort(order, count, sizeof *order, by_value);
        for (size_t i = 0; i < count; i++)
            rank[s][order[i]] = (double)i;
        free(order);
    }
    double sum = 0;
    double n = (double)count;
    for (size_t i = 0; i < count; i++)
        sum += (rank[0][i] - rank[1][i]) * (rank[0][i] - rank[1][i]);
    free(rank[0]);
    free(rank[1]);
    return 1 - 6 * sum / (n * (n * n - 1));
}

static struct inv_adapter *identity(enum inv_adapter_direction direction) {
    struct inv_adapter *adapter = NULL;
    float matrix[DIM * DIM] = {0};
    for (size_t i = 0; i < DIM; i++)
        matrix[i * DIM + i] = 1;
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_PROCRUSTES,
                                      .direction = direction,
                                      .from = "new",
                                      .to = "old",
                                      .rows = DIM,
                                      .cols = DIM,
                                      .matrix = matrix,
                                      .normalise = true};
    MUST(inv_adapter_new(&parts, &adapter, must));
    return adapter;
}

START_TEST(a_planted_residual_is_found_in_documents_that_were_not_fitted) {
    struct inv_adapter *adapter = identity(INV_ADAPTER_BACKWARD);
    struct inv_residual residual;
    float *y = unit_rows(PAIRS, DIM, 0, 5);
    float *x = must_alloc(PAIRS * DIM, sizeof *x);
    float *truth = must_alloc(PAIRS, sizeof *truth);
    float *predicted = must_alloc(PAIRS, sizeof *predicted);
    heteroscedastic(x, y, 6);
    MUST(inv_residual_fit(adapter, x, y, PAIRS / 2, INV_RESIDUAL_RHO, &residual,
                          must));
    const float *fresh = y + PAIRS / 2 * DIM;
    inv_residual_predict(&residual, fresh, PAIRS / 2, predicted);
    for (size_t i = 0; i < PAIRS / 2; i++)
        truth[i] = fresh[i * DIM];
    ck_assert_double_gt(rank_correlation(truth, predicted, PAIRS / 2), .95);
    for (size_t i = 0; i < PAIRS / 2; i++)
        truth[i] =
            inv_l2sq_f32(fresh + i * DIM, x + (PAIRS / 2 + i) * DIM, DIM);
    ck_assert_double_gt(rank_correlation(truth, predicted, PAIRS / 2), .6);
    inv_residual_release(&residual);
    inv_adapter_free(adapter);
    free(x);
    free(y);
    free(truth);
    free(predicted);
}
END_TEST

START_TEST(residuals_of_a_forward_adapter_are_refused) {
    struct inv_adapter *adapter = identity(INV_ADAPTER_FORWARD);
    struct inv_residual residual;
    struct inv_err err;
    float *y = unit_rows(20, DIM, 0, 5);
    ck_assert_int_eq(inv_residual_fit(adapter, y, y, 20, .1, &residual, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "forward"));
    inv_adapter_free(adapter);
    adapter = identity(INV_ADAPTER_BACKWARD);
    ck_assert_int_eq(inv_residual_fit(adapter, y, y, 1, .1, &residual, &err),
                     INV_INVALID);
    inv_adapter_free(adapter);
    free(y);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("sampling");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, samples_are_ascending_distinct_and_repeatable);
    tcase_add_test(tests, uniform_takes_every_row_equally_often);
    tcase_add_test(tests,
                   volume_sampling_takes_a_row_as_often_as_its_leverage_says);
    tcase_add_test(tests, leverage_covers_rare_directions_that_chance_misses);
    tcase_add_test(tests, rows_of_a_smaller_space_still_give_what_is_wanted);
    tcase_add_test(
        tests, a_planted_residual_is_found_in_documents_that_were_not_fitted);
    tcase_add_test(tests, residuals_of_a_forward_adapter_are_refused);
    return run_suite("sampling", tests);
}
