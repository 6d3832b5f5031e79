/*
 * test_adapter.c: what an adapter does with vectors and what it refuses.
 */
#include "encoders/adapters/adapter.h"

#include "adapters_fixture.h"

static struct inv_adapter *make(const char *from, const char *to, size_t rows,
                                size_t cols, const float *matrix,
                                const float *bias, bool normalise) {
    struct inv_adapter *adapter = NULL;
    struct inv_adapter_parts parts = {
        .kind = INV_ADAPTER_PROCRUSTES,
        .direction = INV_ADAPTER_BACKWARD,
        .from = from,
        .to = to,
        .rows = rows,
        .cols = cols,
        .matrix = matrix,
        .bias = bias,
        .normalise = normalise,
    };
    MUST(inv_adapter_new(&parts, &adapter, must));
    return adapter;
}

static const float matrix[6] = {1, 0, 2, 0, -1, .5f};
static const float bias[2] = {.25f, -1};

START_TEST(rows_are_mapped_as_one_query_is) {
    struct inv_adapter *adapter = make("new", "old", 2, 3, matrix, bias, true);
    float *x = unit_rows(40, 3, 0, 1);
    float all[80];
    MUST(inv_adapter_apply(adapter, x, 40, 3, all, must));
    for (size_t i = 0; i < 40; i++) {
        double y[2] = {(double)bias[0], (double)bias[1]};
        float one[2];
        for (size_t k = 0; k < 2; k++)
            for (size_t j = 0; j < 3; j++)
                y[k] += (double)matrix[k * 3 + j] * (double)x[i * 3 + j];
        double norm = hypot(y[0], y[1]);
        MUST(inv_adapter_apply(adapter, x + i * 3, 1, 3, one, must));
        for (size_t k = 0; k < 2; k++) {
            ck_assert_double_eq_tol((double)all[i * 2 + k], y[k] / norm, 1e-6);
            ck_assert_double_eq_tol((double)one[k], y[k] / norm, 1e-6);
        }
    }
    free(x);
    inv_adapter_free(adapter);
}
END_TEST

START_TEST(a_tokens_weight_is_kept) {
    struct inv_adapter *adapter = make("new", "old", 2, 3, matrix, bias, true);
    const float unit[3] = {.6f, 0, .8f};
    const float heavy[6] = {1.8f, 0, 2.4f, 0, 0, 0};
    float y[2], weighted[4];
    MUST(inv_adapter_apply(adapter, unit, 1, 3, y, must));
    MUST(inv_adapter_apply_tokens(adapter, heavy, 2, 3, weighted, must));
    for (size_t k = 0; k < 2; k++) {
        ck_assert_double_eq_tol((double)weighted[k], 3 * (double)y[k], 1e-5);
        ck_assert_double_eq((double)weighted[2 + k], 0);
    }
    inv_adapter_free(adapter);
}
END_TEST

START_TEST(wrong_direction_space_and_dimension_are_refused) {
    struct inv_adapter *adapter =
        make("l6@1", "l3@1", 2, 3, matrix, bias, true);
    struct inv_err err;
    float y[2];
    ck_assert_int_eq(inv_adapter_check(adapter, INV_ADAPTER_BACKWARD, "l6@1", 3,
                                       "l3@1", 2, &err),
                     INV_OK);
    ck_assert_int_eq(inv_adapter_check(adapter, INV_ADAPTER_FORWARD, "l6@1", 3,
                                       "l3@1", 2, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "backward"));
    ck_assert_ptr_nonnull(strstr(err.text, "forward"));
    ck_assert_int_eq(inv_adapter_check(adapter, INV_ADAPTER_BACKWARD, "l3@1", 3,
                                       "l6@1", 2, &err),
                     INV_SPACE_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "l6@1"));
    ck_assert_int_eq(inv_adapter_check(adapter, INV_ADAPTER_BACKWARD, "l6@1", 4,
                                       "l3@1", 2, &err),
                     INV_DIMENSION);
    ck_assert_int_eq(inv_adapter_apply(adapter, matrix, 1, 4, y, &err),
                     INV_DIMENSION);
    ck_assert_ptr_nonnull(strstr(err.text, "3"));
    ck_assert_ptr_nonnull(strstr(err.text, "4"));
    inv_adapter_free(adapter);
}
END_TEST

START_TEST(what_is_no_adapter_is_not_made) {
    struct inv_adapter *adapter = NULL;
    struct inv_err err;
    float bad[6] = {1, 0, NAN, 0, 1, 0};
    struct inv_adapter_parts parts = {
        .from = "a", .to = "a", .rows = 2, .cols = 3, .matrix = matrix};
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    parts.to = "b";
    parts.matrix = bad;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_NOT_FINITE);
    parts.rows = 0;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_DIMENSION);
    parts.from = "";
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    ck_assert_ptr_null(adapter);
}
END_TEST

START_TEST(a_composition_maps_twice_and_says_it_is_degraded) {
    const float turn[4] = {0, -1, 1, 0};
    const float shift[2] = {.5f, 0};
    const float x[3] = {.6f, .8f, 0};
    float middle[2], twice[2], composed[2];
    struct inv_adapter *first = make("v3", "v2", 2, 3, matrix, bias, false);
    struct inv_adapter *second = make("v2", "v1", 2, 2, turn, shift, false);
    struct inv_adapter *both = NULL;
    struct inv_adapter *more = NULL;
    struct inv_err err;
    MUST(inv_adapter_compose(first, second, &both, must));
    MUST(inv_adapter_apply(first, x, 1, 3, middle, must));
    MUST(inv_adapter_apply(second, middle, 1, 2, twice, must));
    MUST(inv_adapter_apply(both, x, 1, 3, composed, must));
    for (size_t k = 0; k < 2; k++)
        ck_assert_double_eq_tol((double)composed[k], (double)twice[k], 1e-6);
    ck_assert(inv_adapter_degraded(both));
    ck_assert(!inv_adapter_degraded(first));
    ck_assert_str_eq(inv_adapter_parts(both).from, "v3");
    ck_assert_str_eq(inv_adapter_parts(both).to, "v1");
    ck_assert_int_eq(inv_adapter_compose(second, first, &more, &err),
                     INV_SPACE_MISMATCH);
    ck_assert_int_eq(inv_adapter_compose(both, second, &more, &err),
                     INV_INVALID);
    inv_adapter_free(first);
    inv_adapter_free(second);
    inv_adapter_free(both);
}
END_TEST

START_TEST(a_prefix_is_cut_and_renormalised) {
    float x[6] = {.48f, .64f, .6f, .28f, .96f, 0};
    float out[4];
    inv_rows_prefix(x, 2, 3, 2, out);
    inv_rows_prefix(x, 2, 3, 2, x); /* in place */
    static const double wanted[4] = {.6, .8, .28, .96};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_double_eq_tol((double)out[i], wanted[i], 1e-6);
        ck_assert_double_eq_tol((double)x[i], wanted[i], 1e-6);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("adapter");
    tcase_add_test(tests, rows_are_mapped_as_one_query_is);
    tcase_add_test(tests, a_tokens_weight_is_kept);
    tcase_add_test(tests, wrong_direction_space_and_dimension_are_refused);
    tcase_add_test(tests, what_is_no_adapter_is_not_made);
    tcase_add_test(tests, a_composition_maps_twice_and_says_it_is_degraded);
    tcase_add_test(tests, a_prefix_is_cut_and_renormalised);
    return run_suite("adapter", tests);
}
