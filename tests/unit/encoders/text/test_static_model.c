/*
 * test_static_model.c: encoders/text/static_model.h: the delivered models
 * against the formula in double precision, and damaged models.
 */
#include "encoders/text/static_model.h"

#include "base/npy.h"
#include "encoders/text/wordpiece.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIM = 96, TOKENS_MAX = 64 };

static const char text[] = "Insulin increases the risk of severe kidney "
                           "failure; \xce\xb2-catenin doesn't.";

static struct inv_static_model *model;
static struct inv_err err;
static struct inv_npy table, scale, weight;
static uint32_t ids[TOKENS_MAX];
static size_t id_count;
static float out[TOKENS_MAX * DIM];

/* Half precision by its definition. */
static double half(const struct inv_npy *npy, uint32_t i) {
    unsigned bits = ((const uint16_t *)npy->view.data)[i];
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023) / 1024;
    ck_assert_int_lt(exponent, 31);
    double size = exponent == 0 ? ldexp(fraction, -14)
                                : ldexp(1 + fraction, exponent - 15);
    return bits >> 15 ? -size : size;
}

static double element(uint32_t id, size_t j) {
    return half(&scale, id) *
           ((const int8_t *)table.view.data)[(size_t)id * DIM + j];
}

static void open_oracle(const char *dir) {
    static const char *const names[] = {"table.i8", "scale.f16", "weight.f16"};
    struct inv_npy *arrays[] = {&table, &scale, &weight};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s.npy", dir, names[i]);
        ck_assert_int_eq(inv_npy_open(path, arrays[i], &err), INV_OK);
    }
    struct inv_wordpiece *wordpiece;
    ck_assert_int_eq(
        inv_wordpiece_open("demo/models/vocab.txt", &wordpiece, &err), INV_OK);
    ck_assert_int_eq(inv_wordpiece_encode(wordpiece, text, strlen(text), ids,
                                          TOKENS_MAX, &id_count, &err),
                     INV_OK);
    ck_assert(id_count > 10 && id_count < TOKENS_MAX);
    inv_wordpiece_close(wordpiece);
}

static void close_oracle(void) {
    inv_npy_close(&table);
    inv_npy_close(&scale);
    inv_npy_close(&weight);
}

static void open_model(const char *dir) {
    ck_assert_msg(inv_static_model_open(dir, &model, &err) == INV_OK, "%s",
                  err.text);
    ck_assert_uint_eq(inv_static_model_dim(model), DIM);
}

static const char *const dirs[] = {"demo/models/static-1",
                                   "demo/models/static-2"};

START_TEST(document_tokens_are_table_rows_of_unit_norm) {
    open_oracle(dirs[_i]);
    open_model(dirs[_i]);
    size_t rows = 0;
    ck_assert_int_eq(inv_static_model_tokens(model, text, strlen(text),
                                             INV_TEXT_DOCUMENT, TOKENS_MAX, out,
                                             &rows, &err),
                     INV_OK);
    ck_assert_uint_eq(rows, id_count);
    for (size_t t = 0; t < rows; t++) {
        double norm = 0;
        for (size_t j = 0; j < DIM; j++) {
            double x = (double)out[t * DIM + j];
            ck_assert_double_eq_tol(x, element(ids[t], j), 1e-7);
            norm += x * x;
        }
        ck_assert_double_eq_tol(sqrt(norm), 1, 2e-3);
    }
    inv_static_model_close(model);
    close_oracle();
}
END_TEST

START_TEST(query_tokens_carry_their_weight_as_norm) {
    open_oracle(dirs[_i]);
    open_model(dirs[_i]);
    size_t rows = 0;
    ck_assert_int_eq(inv_static_model_tokens(model, text, strlen(text),
                                             INV_TEXT_QUERY, TOKENS_MAX, out,
                                             &rows, &err),
                     INV_OK);
    ck_assert_uint_eq(rows, id_count);
    double smallest = 1e9, largest = 0;
    for (size_t t = 0; t < rows; t++) {
        double w = half(&weight, ids[t]);
        for (size_t j = 0; j < DIM; j++)
            ck_assert_double_eq_tol((double)out[t * DIM + j],
                                    w * element(ids[t], j), 1e-6);
        smallest = w < smallest ? w : smallest;
        largest = w > largest ? w : largest;
    }
    ck_assert_double_gt(largest, 2 * smallest); /* else this shows nothing */
    inv_static_model_close(model);
    close_oracle();
}
END_TEST

START_TEST(a_pooled_text_is_the_normalised_weighted_sum) {
    open_oracle(dirs[_i]);
    open_model(dirs[_i]);
    for (size_t max = 1; max <= TOKENS_MAX; max += 9) {
        ck_assert_int_eq(
            inv_static_model_pooled(model, text, strlen(text), max, out, &err),
            INV_OK);
        size_t used = max < id_count ? max : id_count;
        double sum[DIM] = {0}, norm = 0;
        for (size_t j = 0; j < DIM; j++) {
            for (size_t t = 0; t < used; t++)
                sum[j] += half(&weight, ids[t]) * element(ids[t], j);
            norm += sum[j] * sum[j];
        }
        for (size_t j = 0; j < DIM; j++)
            ck_assert_double_eq_tol((double)out[j], sum[j] / sqrt(norm), 1e-6);
    }
    inv_static_model_close(model);
    close_oracle();
}
END_TEST

START_TEST(tokens_beyond_the_maximum_are_not_written) {
    open_model(dirs[0]);
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        out[i] = 77;
    size_t rows = 0;
    ck_assert_int_eq(inv_static_model_tokens(model, text, strlen(text),
                                             INV_TEXT_DOCUMENT, 3, out, &rows,
                                             &err),
                     INV_OK);
    ck_assert_uint_eq(rows, 3);
    ck_assert(out[3 * DIM - 1] != 77);
    ck_assert(out[3 * DIM] == 77);
    inv_static_model_close(model);
}
END_TEST

START_TEST(a_text_without_a_token_is_refused) {
    open_model(dirs[1]);
    size_t rows = 5;
    ck_assert_int_eq(inv_static_model_tokens(model, " \n", 2, INV_TEXT_QUERY, 8,
                                             out, &rows, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "a text of 2 bytes gives no token");
    ck_assert_int_eq(inv_static_model_pooled(model, "", 0, 8, out, &err),
                     INV_INVALID);
    ck_assert_int_eq(inv_static_model_pooled(model, "a\xff", 2, 8, out, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "the text is not UTF-8 at byte 1");
    ck_assert_uint_eq(rows, 5);
    inv_static_model_close(model);
}
END_TEST

static char home[] = "/tmp/invar-test-model-XXXXXX";
static char dir[64];

static const char *file_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put_array(const char *name, enum inv_npy_dtype dtype,
                      const void *data, size_t rows, size_t dim) {
    const size_t shape[] = {rows, dim};
    ck_assert_int_eq(
        inv_npy_write(file_of(name), dtype, data, dim > 0 ? 2 : 1, shape, &err),
        INV_OK);
}

static const int8_t three_rows[] = {127, 0, 0, 127, -127, 0};
static const uint16_t ones[] = {0x3c00, 0x3c00, 0x3c00, 0x3c00};

/* [UNK], a, b in two dimensions, unscaled; the vocabulary in the parent. */
static void make_model(void) {
    ck_assert_ptr_nonnull(mkdtemp(home));
    snprintf(dir, sizeof dir, "%s/vocab.txt", home);
    FILE *file = fopen(dir, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("[UNK]\na\nb\n", file), 0);
    fclose(file);
    snprintf(dir, sizeof dir, "%s/model", home);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    put_array("table.i8.npy", INV_NPY_I8, three_rows, 3, 2);
    put_array("scale.f16.npy", INV_NPY_F16, ones, 3, 0);
    put_array("weight.f16.npy", INV_NPY_F16, ones, 3, 0);
}

static void remove_model(void) {
    unlink(file_of("table.i8.npy"));
    unlink(file_of("scale.f16.npy"));
    unlink(file_of("weight.f16.npy"));
    unlink(file_of("vocab.txt"));
    rmdir(dir);
    snprintf(dir, sizeof dir, "%s/vocab.txt", home);
    unlink(dir);
    rmdir(home);
}

static void refused(const char *why) {
    model = NULL;
    ck_assert_int_eq(inv_static_model_open(dir, &model, &err), INV_CORRUPT);
    ck_assert_int_eq(err.status, INV_CORRUPT);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

START_TEST(arrays_that_do_not_fit_together_are_refused) {
    make_model();
    ck_assert_int_eq(inv_static_model_open(dir, &model, &err), INV_OK);
    ck_assert_uint_eq(inv_static_model_dim(model), 2);
    inv_static_model_close(model);

    put_array("table.i8.npy", INV_NPY_I8, three_rows, 2, 3);
    refused("expected 3 rows, one for each entry of the vocabulary, got 2");
    put_array("table.i8.npy", INV_NPY_I8, three_rows, 6, 0);
    refused("expected i1 with 2 dimensions, got i1 with 1");
    put_array("table.i8.npy", INV_NPY_U8, three_rows, 3, 2);
    refused("expected i1 with 2 dimensions, got u1 with 2");
    put_array("table.i8.npy", INV_NPY_I8, three_rows, 3, 2);
    ck_assert_int_eq(truncate(file_of("table.i8.npy"), 130), 0);
    refused("truncated: expected 6 bytes of data, got 2");
    put_array("table.i8.npy", INV_NPY_I8, three_rows, 3, 2);
    put_array("weight.f16.npy", INV_NPY_F16, ones, 4, 0);
    refused("got 4");
    const uint16_t infinite[] = {0x3c00, 0x7c00, 0x3c00};
    put_array("weight.f16.npy", INV_NPY_F16, infinite, 3, 0);
    refused("not finite");
    put_array("weight.f16.npy", INV_NPY_F16, ones, 3, 0);
    unlink(file_of("scale.f16.npy"));
    ck_assert_int_eq(inv_static_model_open(dir, &model, &err), INV_IO);
    put_array("scale.f16.npy", INV_NPY_F16, ones, 3, 0);
    ck_assert_int_eq(inv_static_model_open(dir, &model, &err), INV_OK);
    inv_static_model_close(model);
    remove_model();
}
END_TEST

START_TEST(tokens_that_cancel_out_have_no_single_vector) {
    make_model();
    const int8_t opposite[] = {127, 0, 0, 127, 0, -127};
    put_array("table.i8.npy", INV_NPY_I8, opposite, 3, 2);
    ck_assert_int_eq(inv_static_model_open(dir, &model, &err), INV_OK);
    ck_assert_int_eq(inv_static_model_pooled(model, "a b", 3, 8, out, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "the 2 tokens of the text sum to a zero vector");
    ck_assert_int_eq(inv_static_model_pooled(model, "a b a", 5, 8, out, &err),
                     INV_OK);
    ck_assert_double_eq_tol((double)out[1], 1, 1e-6);
    inv_static_model_close(model);
    remove_model();
}
END_TEST

START_TEST(a_vocabulary_in_the_directory_comes_before_its_parents) {
    make_model();
    FILE *file = fopen(file_of("vocab.txt"), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("[UNK]\na\n", file), 0);
    fclose(file);
    refused("expected 2 rows");
    remove_model();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("static_model");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, document_tokens_are_table_rows_of_unit_norm, 0,
                        2);
    tcase_add_loop_test(tcase, query_tokens_carry_their_weight_as_norm, 0, 2);
    tcase_add_loop_test(tcase, a_pooled_text_is_the_normalised_weighted_sum, 0,
                        2);
    tcase_add_test(tcase, tokens_beyond_the_maximum_are_not_written);
    tcase_add_test(tcase, a_text_without_a_token_is_refused);
    tcase_add_test(tcase, arrays_that_do_not_fit_together_are_refused);
    tcase_add_test(tcase, tokens_that_cancel_out_have_no_single_vector);
    tcase_add_test(tcase,
                   a_vocabulary_in_the_directory_comes_before_its_parents);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
