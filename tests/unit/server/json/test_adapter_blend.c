/*
 * test_adapter_blend.c: files of adapters into a gallery that keeps the first
 * model's vectors beside its classes.
 */
#include "server/json/adapter_file.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 2
#define COLS 3

static const float matrix[ROWS * COLS] = {1, 2, 3, 4, 5, 6};
static const float bias[ROWS] = {-1, .5f};

/* What the record says of a blend, in both formats. */
static struct inv_buf blend_bytes(enum inv_adapter_format format) {
    struct inv_adapter *adapter = NULL;
    struct inv_buf out = INV_BUF_INIT;
    struct inv_err err = {.text = ""};
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_SIMPLEX,
                                      .from = "v@2",
                                      .to = "simplex@2",
                                      .rows = ROWS,
                                      .cols = COLS,
                                      .matrix = matrix,
                                      .bias = bias,
                                      .normalise = true,
                                      .blend = {.base = 1, .share = .3f}};
    ck_assert_msg(inv_adapter_new(&parts, &adapter, &err) == INV_OK, "%s",
                  err.text);
    ck_assert_int_eq(inv_adapter_write(adapter, format, NULL, &out, &err),
                     INV_OK);
    inv_adapter_free(adapter);
    return out;
}

START_TEST(a_blend_comes_back_with_its_base_and_its_share) {
    for (int format = 0; format < 2; format++) {
        struct inv_buf bytes = blend_bytes((enum inv_adapter_format)format);
        struct inv_adapter *adapter = NULL;
        struct inv_err err = {.text = ""};
        static const float query[COLS] = {.6f, 0, .8f};
        float y[ROWS];
        ck_assert_msg(inv_adapter_read(bytes.data, bytes.len, NULL, &adapter,
                                       NULL, &err) == INV_OK,
                      "%s", err.text);
        struct inv_adapter_parts parts = inv_adapter_parts(adapter);
        ck_assert_uint_eq(parts.blend.base, 1);
        ck_assert(parts.blend.share == .3f);
        /* each part of length 1 before its weight: here of one number */
        ck_assert_int_eq(inv_adapter_apply(adapter, query, 1, COLS, y, &err),
                         INV_OK);
        ck_assert_double_eq_tol((double)(y[0] * y[0]), .7, 1e-6);
        ck_assert_double_eq_tol((double)(y[1] * y[1]), .3, 1e-6);
        inv_adapter_free(adapter);
        inv_buf_release(&bytes);
    }
}
END_TEST

START_TEST(half_a_blend_is_refused) {
    struct inv_buf bytes = blend_bytes(INV_ADAPTER_SAFETENSORS);
    struct inv_adapter *adapter = NULL;
    struct inv_err err = {.text = ""};
    char *share = memmem(bytes.data, bytes.len, "share", 5);
    ck_assert_ptr_nonnull(share);
    memcpy(share, "chare", 5);
    ck_assert_int_eq(
        inv_adapter_read(bytes.data, bytes.len, NULL, &adapter, NULL, &err),
        INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "\"base\""));
    memcpy(share, "share", 5);
    char *base = memmem(bytes.data, bytes.len, "\\\"base\\\":1", 10);
    ck_assert_ptr_nonnull(base);
    base[9] = '2'; /* rows in all */
    ck_assert_int_eq(
        inv_adapter_read(bytes.data, bytes.len, NULL, &adapter, NULL, &err),
        INV_DIMENSION);
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(a_blend_is_of_its_kind_and_keeps_less_than_all_beside) {
    struct inv_adapter *adapter = NULL;
    struct inv_adapter *both = NULL;
    struct inv_err err = {.text = ""};
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_RIDGE,
                                      .from = "v@2",
                                      .to = "simplex@2",
                                      .rows = ROWS,
                                      .cols = COLS,
                                      .matrix = matrix,
                                      .normalise = true,
                                      .blend = {.base = 1, .share = .3f}};
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "ridge"));
    parts.kind = INV_ADAPTER_SIMPLEX;
    parts.blend.base = ROWS;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_DIMENSION);
    ck_assert_ptr_nonnull(strstr(err.text, "2"));
    parts.blend.base = 1;
    parts.blend.share = 1.5f;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "1.5"));
    parts.blend.share = .5f;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_OK);
    ck_assert_int_eq(inv_adapter_compose(adapter, adapter, &both, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "blend"));
    inv_adapter_free(adapter);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("adapter_blend");
    tcase_add_test(tests, a_blend_comes_back_with_its_base_and_its_share);
    tcase_add_test(tests, half_a_blend_is_refused);
    tcase_add_test(tests,
                   a_blend_is_of_its_kind_and_keeps_less_than_all_beside);
    Suite *suite = suite_create("adapter_blend");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
