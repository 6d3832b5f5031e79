/*
 * Cells of tokens and the fill of empty ones, against a naive fill that goes
 * over tokens, not over cells: few and many tokens, up to 4096 cells.
 */
#include "tests/unit/encoders/muvera_fixture.h"

#include <cblas.h>

/* The cell of each token, read off its own query encoding. */
static void read_cells(const struct inv_muvera *muvera, const float *tokens,
                       size_t rows, size_t dim, size_t *cells) {
    size_t length = inv_muvera_dim(muvera);
    for (size_t t = 0; t < rows; t++) {
        float *one = must_encode(muvera, false, tokens + t * dim, 1);
        size_t i = 0;
        while (i < length && one[i] == 0.0f)
            i++;
        ck_assert_uint_lt(i, length);
        cells[t] = i / dim;
        free(one);
    }
}

/* One block, token by token: mean of its own; else of the nearest. */
static void naive_block(const struct inv_muvera_params *params,
                        const float *tokens, const size_t *cells, size_t rows,
                        size_t cell, double *block) {
    int nearest = 99, count = 0;
    for (size_t t = 0; t < rows; t++) {
        int away = __builtin_popcountl(cells[t] ^ cell);
        nearest = away < nearest ? away : nearest;
    }
    double weight = 1;
    if (nearest > 0 && params->fill == INV_FILL_NONE)
        weight = 0;
    if (nearest > 0 && params->fill == INV_FILL_DAMPED) {
        weight = fmax(0, cos(acos(-1.0) * nearest / params->bits));
        weight *= weight;
    }
    memset(block, 0, params->dim * sizeof *block);
    for (size_t t = 0; t < rows; t++) {
        if (__builtin_popcountl(cells[t] ^ cell) != nearest)
            continue;
        if (nearest > 0 && params->fill == INV_FILL_NEAREST && count == 1)
            break;
        for (size_t j = 0; j < params->dim; j++)
            block[j] += (double)tokens[t * params->dim + j];
        count++;
    }
    for (size_t j = 0; j < params->dim; j++)
        block[j] *= weight / count;
}

START_TEST(fill_equals_the_naive_one) {
    enum inv_muvera_fill fill = (enum inv_muvera_fill)_i;
    static const struct {
        uint32_t bits, rows;
    } shapes[] = {{1, 1},  {2, 2},  {3, 1},   {4, 3},    {5, 20},
                  {6, 40}, {11, 3}, {11, 50}, {12, 700}, {12, 1},
                  {12, 9}, {0, 5},  {7, 200}, {9, 120}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct inv_muvera_params params = {.dim = 12,
                                           .repetitions = 1,
                                           .bits = shapes[s].bits,
                                           .width = 12,
                                           .seed = 5 + s,
                                           .fill = fill};
        size_t rows = shapes[s].rows, dim = params.dim;
        struct inv_muvera *muvera = must_new(&params, NULL);
        float *tokens = unit_tokens(rows, dim, 30 + s);
        size_t *cells = malloc(rows * sizeof *cells);
        read_cells(muvera, tokens, rows, dim, cells);
        float *got = must_encode(muvera, true, tokens, rows);
        double want[12];
        for (size_t cell = 0; cell < (size_t)1 << params.bits; cell++) {
            naive_block(&params, tokens, cells, rows, cell, want);
            for (size_t j = 0; j < dim; j++)
                ck_assert_double_eq_tol((double)got[cell * dim + j], want[j],
                                        2e-6);
        }
        free(got);
        free(cells);
        free(tokens);
        inv_muvera_free(muvera);
    }
}
END_TEST

/* The smallest denormal times a deviate below 1/2 rounds to exactly 0: that
 * bit is clear for the token and for its opposite. */
START_TEST(product_of_zero_is_not_positive) {
    struct inv_muvera_params params = {
        .dim = 1, .repetitions = 1, .bits = 12, .width = 1, .seed = 1};
    struct inv_muvera *muvera = must_new(&params, NULL);
    const float tokens[2] = {0x1p-149f, -0x1p-149f};
    size_t cells[2];
    read_cells(muvera, tokens, 2, 1, cells);
    ck_assert_uint_eq(cells[0] & cells[1], 0);
    ck_assert_uint_ne(cells[0] | cells[1], 0xfff); /* some were 0 */
    ck_assert_uint_ne(cells[0] | cells[1], 0);     /* and some not */
    inv_muvera_free(muvera);
}
END_TEST

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("muvera fill");
    TCase *tests = tcase_create("fill");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, fill_equals_the_naive_one, INV_FILL_NONE,
                        INV_FILL_DAMPED + 1);
    tcase_add_test(tests, product_of_zero_is_not_positive);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
