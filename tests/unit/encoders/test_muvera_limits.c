/*
 * What the MUVERA encoder refuses, and that the text says by how much: every
 * limit with both numbers, and the values right at a limit accepted.
 */
#include "base/limits.h"
#include "tests/unit/encoders/muvera_fixture.h"

#include <cblas.h>

static struct inv_muvera_params good(void) {
    return (struct inv_muvera_params){.dim = 128,
                                      .repetitions = 20,
                                      .bits = 4,
                                      .width = 8,
                                      .fill = INV_FILL_DAMPED};
}

/* Refused by check and by new alike, with both texts in the message. */
static void refused(struct inv_muvera_params params, const char *one,
                    const char *other) {
    struct inv_err err = {0}, again = {0};
    struct inv_muvera *muvera = NULL;
    ck_assert_int_eq(inv_muvera_check(&params, &err), INV_INVALID);
    ck_assert_int_eq(err.status, INV_INVALID);
    ck_assert_msg(strstr(err.text, one) != NULL, "no '%s' in: %s", one,
                  err.text);
    ck_assert_msg(strstr(err.text, other) != NULL, "no '%s' in: %s", other,
                  err.text);
    ck_assert_int_eq(inv_muvera_new(&params, NULL, &muvera, &again),
                     INV_INVALID);
    ck_assert_str_eq(err.text, again.text);
    ck_assert_ptr_null(muvera);
    ck_assert_int_eq(inv_muvera_check(&params, NULL), INV_INVALID);
}

static void accepted(struct inv_muvera_params params) {
    struct inv_err err = {0};
    ck_assert_msg(inv_muvera_check(&params, &err) == INV_OK, "%s", err.text);
}

START_TEST(shapes_beyond_a_limit_are_refused_with_both_numbers) {
    struct inv_muvera_params p = good();
    p.dim = 0;
    refused(p, " 0 ", "16384");
    p.dim = 16385;
    refused(p, "16385", "16384");
    p = good();
    p.repetitions = 0;
    refused(p, "0", "1");
    p = good();
    p.bits = 17;
    refused(p, "17", "16");
    p = good();
    p.width = 129;
    refused(p, "129", "128");
    p.width = 0;
    refused(p, "0", "128");
    p = good();
    p.final_dim = 65537;
    refused(p, "65537", "65536");
}
END_TEST

START_TEST(encodings_too_long_are_refused_with_both_numbers) {
    struct inv_muvera_params p = good();
    p.repetitions = 512; /* 512 * 16 * 8 = 65536: the last that is good */
    accepted(p);
    p.repetitions = 513;
    refused(p, "65664", "65536");
    p.repetitions = UINT32_MAX; /* must not wrap around */
    p.bits = 16;
    p.width = 128;
    refused(p, "36028797010575360", "65536");
    /* a final sketch folds more, but not everything */
    p = good();
    p.repetitions = 8192;
    p.final_dim = 4096;
    accepted(p);
    p.repetitions = 8193;
    refused(p, "1048704", "1048576");
}
END_TEST

START_TEST(tables_too_large_are_refused_with_both_numbers) {
    struct inv_muvera_params p = good();
    p.dim = 16384;
    p.repetitions = 1;
    p.bits = 16;
    p.width = 1;
    accepted(p);
    p.sketch_per_cell = true;
    refused(p, "2149056512", "268435456");
}
END_TEST

START_TEST(unknown_kinds_and_wrong_pairs_are_refused) {
    struct inv_muvera_params p = good();
    p.generator = (enum inv_muvera_generator)7;
    refused(p, "generator 7", "1");
    p = good();
    p.fill = (enum inv_muvera_fill)9;
    refused(p, "fill 9", "2");
    p = good();
    p.seed = (uint64_t)UINT32_MAX + 1;
    accepted(p);
    p.generator = INV_GENERATOR_REFERENCE;
    refused(p, "4294967296", "4294967295");
    p.seed = UINT32_MAX;
    accepted(p);
    p.sketch_per_cell = true;
    refused(p, "reference", "16 cells");
}
END_TEST

START_TEST(presets_have_their_published_sizes) {
    static const struct {
        const char *name;
        uint32_t repetitions, bits, width;
        size_t dim;
    } want[] = {{"small", 20, 3, 8, 1280},
                {"default", 20, 4, 8, 2560},
                {"quality", 20, 5, 16, 10240}};
    for (size_t i = 0; i < 3; i++) {
        struct inv_muvera_params p = {.dim = 128, .seed = 3};
        ck_assert_int_eq(inv_muvera_preset(want[i].name, &p, NULL), INV_OK);
        ck_assert_uint_eq(p.repetitions, want[i].repetitions);
        ck_assert_uint_eq(p.bits, want[i].bits);
        ck_assert_uint_eq(p.width, want[i].width);
        ck_assert_uint_eq(p.dim, 128);
        ck_assert_uint_eq(p.seed, 3);
        struct inv_muvera *muvera = must_new(&p, NULL);
        ck_assert_uint_eq(inv_muvera_dim(muvera), want[i].dim);
        inv_muvera_free(muvera);
    }
    struct inv_muvera_params p = good(), before = p;
    struct inv_err err = {0};
    ck_assert_int_eq(inv_muvera_preset("huge", &p, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "huge"));
    ck_assert_ptr_nonnull(strstr(err.text, "small"));
    ck_assert_ptr_nonnull(strstr(err.text, "default"));
    ck_assert_ptr_nonnull(strstr(err.text, "quality"));
    ck_assert_mem_eq(&p, &before, sizeof p);
}
END_TEST

START_TEST(centre_that_is_not_finite_is_refused) {
    struct inv_muvera_params p = good();
    p.center = true;
    float center[128] = {1, 2, NAN};
    struct inv_muvera *muvera = NULL;
    struct inv_err err = {0};
    ck_assert_int_eq(inv_muvera_new(&p, center, &muvera, &err), INV_NOT_FINITE);
    ck_assert_ptr_null(muvera);
    center[2] = 2e15f;
    ck_assert_int_eq(inv_muvera_new(&p, center, &muvera, &err), INV_NOT_FINITE);
    p.center = false; /* then nobody reads it */
    ck_assert_int_eq(inv_muvera_new(&p, center, &muvera, &err), INV_OK);
    inv_muvera_free(muvera);
}
END_TEST

static enum inv_status encode(const struct inv_muvera *muvera, int document,
                              const float *tokens, size_t rows,
                              struct inv_err *err) {
    static float out[2560];
    return document ? inv_muvera_encode_document(muvera, tokens, rows, out, err)
                    : inv_muvera_encode_query(muvera, tokens, rows, out, err);
}

START_TEST(bad_token_is_named_by_row_and_column) {
    static const struct {
        float value;
        const char *text;
    } bad[] = {{NAN, "nan"},
               {INFINITY, "inf"},
               {-INFINITY, "-inf"},
               {1.1e15f, "1.1e+15"},
               {-3e38f, "-3e+38"}};
    struct inv_muvera_params p = good();
    struct inv_muvera *muvera = must_new(&p, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float *tokens = unit_tokens(9, 128, 1);
        tokens[7 * 128 + 93] = bad[i].value;
        tokens[8 * 128 + 2] = NAN; /* the first one is named */
        for (int document = 0; document < 2; document++) {
            struct inv_err err = {0};
            ck_assert_int_eq(encode(muvera, document, tokens, 9, &err),
                             INV_NOT_FINITE);
            ck_assert_ptr_nonnull(strstr(err.text, "row 7, column 93"));
            ck_assert_ptr_nonnull(strstr(err.text, bad[i].text));
            ck_assert_ptr_nonnull(strstr(err.text, "1e+15"));
        }
        tokens[7 * 128 + 93] = 1e15f; /* the largest allowed */
        tokens[8 * 128 + 2] = -1e15f;
        ck_assert_int_eq(encode(muvera, 1, tokens, 9, NULL), INV_OK);
        free(tokens);
    }
    inv_muvera_free(muvera);
}
END_TEST

START_TEST(no_tokens_or_only_zero_ones_are_refused) {
    struct inv_muvera_params p = good();
    struct inv_muvera *muvera = must_new(&p, NULL);
    float *tokens = calloc(4 * 128, sizeof *tokens);
    tokens[5] = -0.0f;
    for (int document = 0; document < 2; document++) {
        struct inv_err err = {0};
        ck_assert_int_eq(encode(muvera, document, tokens, 0, &err),
                         INV_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "0 rows"));
        ck_assert_ptr_nonnull(strstr(err.text, "1 "));
        ck_assert_int_eq(encode(muvera, document, tokens, 4, &err),
                         INV_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "4 tokens"));
        ck_assert_ptr_nonnull(strstr(err.text, "1 "));
    }
    free(tokens);
    inv_muvera_free(muvera);
}
END_TEST

START_TEST(success_leaves_the_error_alone) {
    struct inv_muvera_params p = good();
    struct inv_err err = {.status = INV_BUSY, .text = "as it was"};
    struct inv_muvera *muvera = NULL;
    ck_assert_int_eq(inv_muvera_new(&p, NULL, &muvera, &err), INV_OK);
    float *tokens = unit_tokens(3, 128, 1);
    ck_assert_int_eq(encode(muvera, 1, tokens, 3, &err), INV_OK);
    ck_assert_int_eq(err.status, INV_BUSY);
    ck_assert_str_eq(err.text, "as it was");
    free(tokens);
    inv_muvera_free(muvera);
    inv_muvera_free(NULL);
}
END_TEST

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("muvera limits");
    TCase *tests = tcase_create("limits");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shapes_beyond_a_limit_are_refused_with_both_numbers);
    tcase_add_test(tests, encodings_too_long_are_refused_with_both_numbers);
    tcase_add_test(tests, tables_too_large_are_refused_with_both_numbers);
    tcase_add_test(tests, unknown_kinds_and_wrong_pairs_are_refused);
    tcase_add_test(tests, presets_have_their_published_sizes);
    tcase_add_test(tests, centre_that_is_not_finite_is_refused);
    tcase_add_test(tests, bad_token_is_named_by_row_and_column);
    tcase_add_test(tests, no_tokens_or_only_zero_ones_are_refused);
    tcase_add_test(tests, success_leaves_the_error_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
