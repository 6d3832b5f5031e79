/*
 * test_fit.c: the closed forms against planted maps and against descent.
 */
#include "adapters_fixture.h"

#define COUNT 400
#define DIM 24

START_TEST(procrustes_recovers_a_planted_rotation) {
    float *x = unit_rows(COUNT, DIM, 0, 1);
    double *w = isometry(DIM, DIM, 2);
    float *y = mapped(x, COUNT, w, DIM, DIM, 0, 0, 3);
    struct inv_moments m = moments_of(x, y, COUNT, DIM, DIM, true, false);
    struct inv_map map;
    MUST(inv_fit_procrustes(&m, &map, must));
    ck_assert_double_gt(cosine_of(&map, x, y, COUNT), 1 - 1e-6);
    for (size_t i = 0; i < DIM * DIM; i++)
        ck_assert_double_eq_tol(map.w[i], w[i], 1e-5);
    ck_assert_double_lt(map.r, 1e-9);
    ck_assert_double_eq_tol(map.condition, 1, 1e-6);
    inv_map_release(&map);
    inv_moments_release(&m);
    free(x);
    free(w);
    free(y);
}
END_TEST

START_TEST(a_planted_offset_is_found_only_when_centred) {
    float *x = unit_rows(COUNT, DIM, 1, 1);
    double *w = isometry(DIM, DIM, 2);
    float *y = mapped(x, COUNT, w, DIM, DIM, .3, 0, 3);
    double cosine[2];
    for (int centred = 0; centred < 2; centred++) {
        struct inv_moments m =
            moments_of(x, y, COUNT, DIM, DIM, centred == 1, false);
        struct inv_map map;
        MUST(inv_fit_procrustes(&m, &map, must));
        cosine[centred] = cosine_of(&map, x, y, COUNT);
        inv_map_release(&map);
        inv_moments_release(&m);
    }
    ck_assert_double_gt(cosine[1], 1 - 1e-6);
    ck_assert_double_lt(cosine[0], .9);
    free(x);
    free(w);
    free(y);
}
END_TEST

START_TEST(swapped_moments_fit_the_other_direction) {
    float *x = unit_rows(COUNT, DIM, 1, 1);
    double *w = isometry(10, DIM, 2);
    float *y = mapped(x, COUNT, w, 10, DIM, .1, .05, 3);
    struct inv_moments m = moments_of(x, y, COUNT, DIM, 10, true, true);
    struct inv_moments direct = moments_of(y, x, COUNT, 10, DIM, true, false);
    struct inv_map a, b;
    MUST(inv_fit_ridge(&m, .01, &a, must));
    MUST(inv_fit_ridge(&direct, .01, &b, must));
    ck_assert_uint_eq(a.rows, DIM);
    ck_assert_uint_eq(a.cols, 10);
    for (size_t i = 0; i < 10 * DIM; i++)
        ck_assert_double_eq_tol(a.w[i], b.w[i], 1e-9);
    inv_map_release(&a);
    inv_map_release(&b);
    inv_moments_release(&m);
    inv_moments_release(&direct);
    free(x);
    free(w);
    free(y);
}
END_TEST

START_TEST(ridge_solves_its_normal_equations) {
    float *x = unit_rows(COUNT, DIM, 0, 1);
    double *w = isometry(DIM, DIM, 2);
    float *y = mapped(x, COUNT, w, DIM, DIM, .1, .1, 3);
    struct inv_moments m = moments_of(x, y, COUNT, DIM, DIM, true, false);
    struct inv_map map;
    double trace = 0;
    for (size_t i = 0; i < DIM; i++)
        trace += m.cxx[i * DIM + i];
    MUST(inv_fit_ridge(&m, .05, &map, must));
    for (size_t i = 0; i < DIM; i++)
        for (size_t j = 0; j < DIM; j++) {
            double sum = .05 * trace / DIM * map.w[i * DIM + j];
            for (size_t k = 0; k < DIM; k++)
                sum += map.w[i * DIM + k] * m.cxx[k * DIM + j];
            ck_assert_double_eq_tol(sum, m.cyx[i * DIM + j], 1e-10);
        }
    inv_map_release(&map);
    struct inv_err err;
    ck_assert_int_eq(inv_fit_ridge(&m, 0, &map, &err), INV_INVALID);
    inv_moments_release(&m);
    free(x);
    free(w);
    free(y);
}
END_TEST

START_TEST(held_out_pairs_choose_a_larger_rho_when_there_are_few_pairs) {
    float *x = unit_rows(2000, DIM, 0, 1);
    double *w = isometry(DIM, DIM, 2);
    float *y = mapped(x, 2000, w, DIM, DIM, 0, .3, 3);
    double rho[2];
    for (int few = 0; few < 2; few++) {
        size_t count = few ? DIM + 4 : 1500;
        struct inv_moments m = moments_of(x, y, count, DIM, DIM, true, false);
        struct inv_map map;
        MUST(inv_fit_ridge_held_out(&m, x + 1500 * DIM, y + 1500 * DIM, 500,
                                    &map, must));
        rho[few] = map.knob;
        inv_map_release(&map);
        inv_moments_release(&m);
    }
    ck_assert_double_gt(rho[1], rho[0]);
    free(x);
    free(w);
    free(y);
}
END_TEST

/* A map that is no isometry, so that there is something between. */
static float *stretched(const float *x, size_t rows, size_t cols) {
    double *w = must_alloc(rows * cols, sizeof *w);
    struct inv_stream stream;
    inv_stream_init(&stream, 9, "test.stretch", 0);
    for (size_t i = 0; i < rows * cols; i++)
        w[i] = .4 * (double)inv_stream_normal(&stream);
    float *y = mapped(x, COUNT, w, rows, cols, .1, .05, 3);
    free(w);
    return y;
}

START_TEST(the_path_hits_r_within_one_percent_in_every_shape) {
    static const size_t shapes[][2] = {{24, 24}, {16, 24}, {24, 16}};
    static const double kappas[] = {.05, .1, .35, .5};
    for (size_t s = 0; s < 3; s++) {
        size_t dy = shapes[s][0], dx = shapes[s][1];
        double small = (double)(dx < dy ? dx : dy);
        float *x = unit_rows(COUNT, dx, 0, 1);
        float *y = stretched(x, dy, dx);
        struct inv_moments m = moments_of(x, y, COUNT, dx, dy, true, false);
        double last = INFINITY;
        for (size_t k = 0; k < 4; k++) {
            struct inv_map map;
            MUST(inv_fit_path(&m, kappas[k], &map, must));
            double lambda = kappas[k] * sqrt(small);
            ck_assert_double_eq_tol(map.r, lambda, .01 * lambda);
            ck_assert_uint_le(map.trials, 30);
            double error = error_of(&map, x, y, COUNT);
            ck_assert_double_lt(error, last);
            last = error;
            inv_map_release(&map);
        }
        inv_moments_release(&m);
        free(x);
        free(y);
    }
}
END_TEST

START_TEST(kappa_zero_is_procrustes_and_a_large_one_least_squares) {
    float *x = unit_rows(COUNT, DIM, 0, 1);
    float *y = stretched(x, DIM, DIM);
    struct inv_moments m = moments_of(x, y, COUNT, DIM, DIM, true, false);
    struct inv_map a, b, c, d;
    MUST(inv_fit_path(&m, 0, &a, must));
    MUST(inv_fit_procrustes(&m, &b, must));
    MUST(inv_fit_path(&m, 10, &c, must));
    MUST(inv_fit_ridge(&m, 1e-9, &d, must));
    for (size_t i = 0; i < DIM * DIM; i++) {
        ck_assert_double_eq_tol(a.w[i], b.w[i], 1e-12);
        ck_assert_double_eq_tol(c.w[i], d.w[i], 1e-5);
    }
    inv_map_release(&a);
    inv_map_release(&b);
    inv_map_release(&c);
    inv_map_release(&d);
    inv_moments_release(&m);
    free(x);
    free(y);
}
END_TEST

/* The error in the moments, up to a constant: tr(W Cxx W^T) - 2 tr(W Cyx^T). */
static double moment_error(const struct inv_moments *m, const double *w) {
    double sum = 0;
    for (size_t i = 0; i < DIM; i++)
        for (size_t j = 0; j < DIM; j++) {
            double row = 0;
            for (size_t k = 0; k < DIM; k++)
                row += w[i * DIM + k] * m->cxx[k * DIM + j];
            sum += w[i * DIM + j] * (row - 2 * m->cyx[i * DIM + j]);
        }
    return sum;
}

/* W <- W - rate ((W Cxx - Cyx) + nu (W W^T - I) W), a multiplier nu for r. */
static void descend(const struct inv_moments *m, double nu, double *w,
                    double *gram) {
    double *gradient = must_alloc(DIM * DIM, sizeof *gradient);
    for (int step = 0; step < 6000; step++) {
        inv_map_r(w, DIM, DIM, gram);
        for (size_t i = 0; i < DIM; i++)
            for (size_t j = 0; j < DIM; j++) {
                double sum = -m->cyx[i * DIM + j];
                for (size_t k = 0; k < DIM; k++)
                    sum += w[i * DIM + k] * m->cxx[k * DIM + j] +
                           nu * gram[i * DIM + k] * w[k * DIM + j];
                gradient[i * DIM + j] = sum;
            }
        for (size_t i = 0; i < DIM * DIM; i++)
            w[i] -= 2 * gradient[i];
    }
    free(gradient);
}

START_TEST(the_path_is_near_what_descent_finds_at_the_same_r) {
    static const double nus[] = {.05, .01};
    float *x = unit_rows(COUNT, DIM, 0, 1);
    float *y = stretched(x, DIM, DIM);
    struct inv_moments m = moments_of(x, y, COUNT, DIM, DIM, true, false);
    double *gram = must_alloc(DIM * DIM, sizeof *gram);
    double constant = 0, last[2] = {INFINITY, INFINITY};
    for (size_t i = 0; i < DIM; i++)
        constant += m.cyy[i * DIM + i];
    for (size_t n = 0; n < 2; n++) {
        struct inv_map start, path;
        MUST(inv_fit_procrustes(&m, &start, must));
        descend(&m, nus[n], start.w, gram);
        double r = inv_map_r(start.w, DIM, DIM, gram);
        MUST(inv_fit_path(&m, r / sqrt(DIM), &path, must));
        double best = constant + moment_error(&m, start.w);
        double ours = constant + moment_error(&m, path.w);
        ck_assert_double_gt(r, .05);
        ck_assert_double_gt(ours, best * .98); /* r differs by up to 1 % */
        ck_assert_double_lt(ours, best * 1.25);
        ck_assert_double_lt(best, last[0]);
        ck_assert_double_lt(ours, last[1]);
        last[0] = best;
        last[1] = ours;
        inv_map_release(&start);
        inv_map_release(&path);
    }
    inv_moments_release(&m);
    free(gram);
    free(x);
    free(y);
}
END_TEST

START_TEST(a_rectangle_is_the_block_of_the_padded_square) {
    static const size_t shapes[][2] = {{10, 16}, {16, 10}};
    for (size_t s = 0; s < 2; s++) {
        size_t dy = shapes[s][0], dx = shapes[s][1], d = 16;
        float *x = unit_rows(COUNT, dx, 1, 1);
        float *y = stretched(x, dy, dx);
        float *px = must_alloc(COUNT * d, sizeof *px);
        float *py = must_alloc(COUNT * d, sizeof *py);
        for (size_t i = 0; i < COUNT; i++) {
            memcpy(px + i * d, x + i * dx, dx * sizeof *x);
            memcpy(py + i * d, y + i * dy, dy * sizeof *y);
        }
        struct inv_moments m = moments_of(x, y, COUNT, dx, dy, true, false);
        struct inv_moments pm = moments_of(px, py, COUNT, d, d, true, false);
        struct inv_map map, padded;
        MUST(inv_fit_procrustes(&m, &map, must));
        MUST(inv_fit_procrustes(&pm, &padded, must));
        ck_assert_double_lt(map.r, 1e-9);
        for (size_t i = 0; i < dy; i++)
            for (size_t j = 0; j < dx; j++)
                ck_assert_double_eq_tol(map.w[i * dx + j], padded.w[i * d + j],
                                        1e-8);
        inv_map_release(&map);
        inv_map_release(&padded);
        inv_moments_release(&m);
        inv_moments_release(&pm);
        free(x);
        free(y);
        free(px);
        free(py);
    }
}
END_TEST

START_TEST(sums_added_in_parts_are_the_sums_of_all) {
    float *x = unit_rows(2500, 6, 1, 1);
    float *y = unit_rows(2500, 5, 1, 2);
    struct inv_pairs parts, all;
    MUST(inv_pairs_init(&parts, 6, 5, must));
    MUST(inv_pairs_init(&all, 6, 5, must));
    MUST(inv_pairs_add(&all, x, y, 2500, must));
    MUST(inv_pairs_add(&parts, x, y, 1, must));
    MUST(inv_pairs_add(&parts, x + 6, y + 5, 2499, must));
    ck_assert_uint_eq(parts.count, 2500);
    double direct = 0;
    for (size_t i = 0; i < 2500; i++)
        direct += (double)y[i * 5 + 3] * (double)x[i * 6 + 2];
    ck_assert_double_eq_tol(all.yx[3 * 6 + 2], direct, 1e-9);
    for (size_t i = 0; i < 30; i++)
        ck_assert_double_eq_tol(parts.yx[i], all.yx[i], 1e-9);
    x[7] = NAN;
    struct inv_err err;
    ck_assert_int_eq(inv_pairs_add(&all, x, y, 10, &err), INV_NOT_FINITE);
    ck_assert_uint_eq(all.count, 2500);
    inv_pairs_release(&parts);
    inv_pairs_release(&all);
    free(x);
    free(y);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("fit");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, procrustes_recovers_a_planted_rotation);
    tcase_add_test(tests, a_planted_offset_is_found_only_when_centred);
    tcase_add_test(tests, swapped_moments_fit_the_other_direction);
    tcase_add_test(tests, ridge_solves_its_normal_equations);
    tcase_add_test(tests,
                   held_out_pairs_choose_a_larger_rho_when_there_are_few_pairs);
    tcase_add_test(tests, the_path_hits_r_within_one_percent_in_every_shape);
    tcase_add_test(tests,
                   kappa_zero_is_procrustes_and_a_large_one_least_squares);
    tcase_add_test(tests, the_path_is_near_what_descent_finds_at_the_same_r);
    tcase_add_test(tests, a_rectangle_is_the_block_of_the_padded_square);
    tcase_add_test(tests, sums_added_in_parts_are_the_sums_of_all);
    return run_suite("fit", tests);
}
