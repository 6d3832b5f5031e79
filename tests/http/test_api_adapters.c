/*
 * test_api_adapters.c: adapters over real HTTP: fits of a planted rotation and
 * of models that have nothing in common, what a fit refuses, files, chains.
 */
#include "encoders/adapters/npz.h"
#include "tests/support/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADAPTERS PLANTED "/adapters"
#define PROCRUSTES "{\"from\":\"m@2\",\"kind\":\"procrustes\",\"name\":\"a\"}"

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
    planted_make(&api, "");
}

static void teardown(void) { api_stop(&api); }

/* Vectors and judged queries of a successor. */
static void successor(enum planted_kind kind, float noise) {
    planted_vectors(&api, "m@2", 0, PLANTED_ALL, kind, noise);
    planted_queries(&api, 0, 60, kind, true, true);
}

static void fit(const char *body) {
    const char *state = planted_fit(&api, "p", body);
    ck_assert_msg(strcmp(state, "succeeded") == 0, "%s", api_body(&api));
}

static void refused(const char *path, const char *body, int status,
                    const char *code, const char *pointer, const char *pieces) {
    api_do(&api, "POST", path, "%s", body);
    api_refused(&api, status, code, pointer, pieces);
    ck_assert_int_eq(api_do(&api, "GET", ADAPTERS, NULL), 200);
    char *adapters = strdup(api_body(&api));
    api_ok(&api, "GET", "/v1/jobs", NULL);
    ck_assert_uint_eq(api_size(&api, "/jobs"), 0);
    ck_assert_ptr_nonnull(strstr(adapters, "\"adapters\":["));
    free(adapters);
}

/* ---- fits ---- */

START_TEST(a_rotation_is_found_and_may_be_activated) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    ck_assert_str_eq(api_string(&api, "/result/adapter"), "a");
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "ACTIVATE");
    ck_assert_str_eq(api_string(&api, "/stage"), "store");
    ck_assert_int_eq(api_int(&api, "/result/report/documents"), PLANTED_ALL);
    ck_assert_int_eq(api_int(&api, "/result/report/pairs"), PLANTED_ALL);
    ck_assert_int_eq(api_int(&api, "/result/report/extra_pairs"), 60);
    ck_assert_int_eq(api_int(&api, "/result/report/queries"), 60);
    ck_assert_int_eq(api_int(&api, "/result/report/unknown_relevant"), 60);
    ck_assert_double_gt(api_number(&api, "/result/report/methods/0/fit_mean"),
                        1 - 1e-5);
    api_ok(&api, "GET", ADAPTERS "/a", NULL);
    ck_assert_str_eq(api_string(&api, "/from"), "m@2");
    ck_assert_str_eq(api_string(&api, "/to"), "m@1");
    ck_assert_str_eq(api_string(&api, "/kind"), "procrustes");
    ck_assert_str_eq(api_string(&api, "/request/name"), "a");
    ck_assert(inv_json_bool(api_at(&api, "/forward")));
    ck_assert(!inv_json_bool(api_at(&api, "/in_use")));
    ck_assert(!inv_json_bool(api_at(&api, "/degraded")));
    ck_assert_double_eq_tol(
        api_number(&api, "/report/methods/0/held_out/ndcg10"),
        api_number(&api, "/report/old_old/ndcg10"), 1e-6);
}
END_TEST

START_TEST(models_that_have_nothing_in_common_are_refused) {
    successor(PLANTED_UNRELATED, 0);
    fit(PROCRUSTES);
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "REFUSE");
    api_do(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"adapter\":\"a\",\"mode\":\"bridge\"}");
    api_refused(&api, 409, "conflict", NULL, "a|REFUSE|force");
}
END_TEST

START_TEST(every_kind_of_adapter_is_fitted_and_named_after_what_it_is) {
    static const struct {
        const char *body, *name, *kind, *solver;
    } cases[] = {
        {"{\"from\":\"m@2\",\"kind\":\"procrustes\"}", "m-2-to-m-1-procrustes",
         "procrustes", NULL},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"rho\":0.01}",
         "m-2-to-m-1-ridge", "ridge", NULL},
        {"{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\"}",
         "m-2-to-m-1-lambda_orthogonal-path-0.2", "lambda_orthogonal", "path"},
        {"{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\",\"solver\":"
         "\"contrastive\",\"steps\":20,\"kappa\":0.3,\"temperature\":0.05}",
         "m-2-to-m-1-lambda_orthogonal-contrastive-0.3", "lambda_orthogonal",
         "contrastive"},
        {"{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\",\"solver\":"
         "\"paper\",\"kappa\":0.1}",
         "m-2-to-m-1-lambda_orthogonal-paper-0.1", "lambda_orthogonal",
         "paper"},
        {"{\"from\":\"m@2\",\"kind\":\"simplex\",\"label_field\":\"topic\"}",
         "m-2-to-m-1-simplex", "simplex", NULL},
        {"{\"from\":\"m@2\",\"kind\":\"procrustes\"}",
         "m-2-to-m-1-procrustes-2", "procrustes", NULL},
    };
    successor(PLANTED_ROTATED, .02f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fit(cases[i].body);
        char path[128];
        snprintf(path, sizeof path, ADAPTERS "/%s", cases[i].name);
        ck_assert_str_eq(api_string(&api, "/result/adapter"), cases[i].name);
        api_ok(&api, "GET", path, NULL);
        ck_assert_str_eq(api_string(&api, "/kind"), cases[i].kind);
        if (cases[i].solver != NULL)
            ck_assert_str_eq(api_string(&api, "/solver"), cases[i].solver);
    }
    api_ok(&api, "GET", ADAPTERS, NULL);
    ck_assert_uint_eq(api_size(&api, "/adapters"),
                      sizeof cases / sizeof *cases);
    ck_assert_ptr_null(api_at(&api, "/adapters/0/report"));
}
END_TEST

START_TEST(without_a_kind_several_are_tried_and_the_simplest_good_one_is_kept) {
    successor(PLANTED_ROTATED, 0);
    fit("{\"from\":\"m@2\",\"name\":\"best\"}");
    ck_assert_uint_gt(api_size(&api, "/result/report/methods"), 3);
    ck_assert_str_eq(api_string(&api, "/result/report/chosen"), "procrustes");
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "ACTIVATE");
}
END_TEST

/* The numbers at the end of an adapter's file: matrix and bias. */
static void numbers_of(const char *name, struct inv_buf *out) {
    char path[128];
    size_t want = (PLANTED_DIM * PLANTED_DIM + PLANTED_DIM) * sizeof(float);
    snprintf(path, sizeof path, ADAPTERS "/%s?format=safetensors", name);
    api_ok(&api, "GET", path, NULL);
    ck_assert_uint_gt(api.reply.body.len, want);
    inv_buf_reset(out);
    inv_buf_append(out, api.reply.body.data + api.reply.body.len - want, want);
    ck_assert(!out->failed);
}

START_TEST(a_fit_is_the_same_whatever_segments_its_documents_are_in) {
    struct inv_buf first = INV_BUF_INIT;
    struct inv_buf second = INV_BUF_INIT;
    successor(PLANTED_ROTATED, .05f);
    fit(PROCRUSTES);
    numbers_of("a", &first);
    for (size_t i = 100; i < 200; i++) /* the same vectors, newer entries */
        planted_put(&api, i);
    planted_vectors(&api, "m@2", 100, 200, PLANTED_ROTATED, .05f);
    api_rebuild(&api, "p", NULL);
    fit("{\"from\":\"m@2\",\"kind\":\"procrustes\",\"name\":\"b\"}");
    numbers_of("b", &second);
    ck_assert_uint_eq(first.len, second.len);
    ck_assert_mem_eq(first.data, second.data, first.len);
    inv_buf_release(&first);
    inv_buf_release(&second);
}
END_TEST

START_TEST(tokens_are_fitted_one_by_one_and_their_counts_must_agree) {
    planted_make_tokens(&api);
    planted_token_vectors(&api, 0, PLANTED_TOKEN_DOCUMENTS, 3);
    planted_token_queries(&api, 30);
    const char *state =
        planted_fit(&api, "t", "{\"from\":\"t@2\",\"kind\":\"procrustes\"}");
    ck_assert_msg(strcmp(state, "succeeded") == 0, "%s", api_body(&api));
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "ACTIVATE");
    ck_assert(inv_json_bool(api_at(&api, "/result/report/multi")));
    ck_assert_double_gt(api_number(&api, "/result/report/methods/0/fit_mean"),
                        .999);
    api_do(&api, "POST", PLANTED_TOKENS "/adapters",
           "{\"from\":\"t@2\",\"kind\":\"lambda_orthogonal\","
           "\"solver\":\"contrastive\"}");
    api_refused(&api, 400, "invalid_request", NULL, "contrastive|multi");
    planted_token_vectors(&api, 5, 6, 2);
    state =
        planted_fit(&api, "t", "{\"from\":\"t@2\",\"kind\":\"procrustes\"}");
    ck_assert_str_eq(state, "failed");
    ck_assert_ptr_nonnull(strstr(api_string(&api, "/error"),
                                 "\"d5\" has 2 tokens in the new model and 3"));
}
END_TEST

START_TEST(labels_are_read_from_the_payload_and_those_without_are_counted) {
    successor(PLANTED_ROTATED, .02f);
    api_ok(&api, "PATCH", PLANTED "/documents/d5",
           "{\"payload\":{\"topic\":null}}");
    api_ok(&api, "PATCH", PLANTED "/documents/d6",
           "{\"payload\":{\"topic\":7}}");
    fit("{\"from\":\"m@2\",\"kind\":\"simplex\",\"label_field\":\"topic\","
        "\"name\":\"s\"}");
    ck_assert_int_eq(api_int(&api, "/result/report/labels"), 5);
    ck_assert_int_eq(api_int(&api, "/result/report/unlabelled"), 1);
    const char *state = planted_fit(
        &api, "p",
        "{\"from\":\"m@2\",\"kind\":\"simplex\",\"label_field\":\"no\"}");
    ck_assert_str_eq(state, "failed");
    ck_assert_ptr_nonnull(
        strstr(api_string(&api, "/error"), "none of the 240 documents"));
}
END_TEST

/* ---- what a fit refuses ---- */

START_TEST(a_fit_that_cannot_be_is_refused_before_it_is_queued) {
    static const struct {
        const char *body;
        int status;
        const char *code, *pointer, *pieces;
    } cases[] = {
        {"{\"from\":\"m@1\",\"to\":\"m@2\",\"kind\":\"ridge\"}", 400,
         "invalid_request", "/from", "wrong direction|m@1|m@2"},
        {"{\"from\":\"m@2\",\"to\":\"m@2\",\"kind\":\"ridge\"}", 400,
         "invalid_request", "/from", "same model|m@2"},
        {"{\"from\":\"x@9\",\"kind\":\"ridge\"}", 409, "space_mismatch",
         "/from", "x@9|m@1|m@2"},
        {"{\"from\":\"m@2\",\"to\":\"x@9\",\"kind\":\"ridge\"}", 409,
         "space_mismatch", "/to", "x@9|m@1|m@2"},
        {"{\"kind\":\"ridge\"}", 400, "invalid_request", "/from", "missing"},
        {"{\"from\":\"m@2\",\"kind\":\"affine\"}", 400, "invalid_request",
         "/kind", "affine|procrustes"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"solver\":\"path\"}", 400,
         "invalid_request", "/solver", "path|ridge"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"kappa\":0.1}", 400,
         "invalid_request", "/kappa", "ridge|kappa"},
        {"{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\",\"solver\":"
         "\"paper\","
         "\"label_field\":\"topic\"}",
         400, "invalid_request", "/label_field",
         "label_field|lambda_orthogonal"},
        {"{\"from\":\"m@2\",\"kappa\":0.1}", 400, "invalid_request", "/kappa",
         "kappa|kind"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"rho\":11}", 400,
         "invalid_request", "/rho", "10|11"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"margin\":\"x\"}", 400,
         "invalid_request", "/margin", "number|a string"},
        {"{\"from\":\"m@2\",\"kind\":\"simplex\"}", 400, "invalid_request",
         "/label_field", "label_field"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\",\"name\":\"a b\"}", 400,
         "invalid_request", "/name", "character 2"},
        {"{\"from\":\"m@2\",\"kinds\":\"ridge\"}", 400, "invalid_request",
         "/kinds", "kinds|did you mean"},
        {"[]", 400, "invalid_request", NULL, "object"},
        {"{\"from\":\"m@2\",\"kind\":\"ridge\"}", 409, "conflict", NULL,
         "at least 10|there are 9 (6 documents, 3 queries)"},
    };
    planted_vectors(&api, "m@2", 0, 6, PLANTED_ROTATED, 0);
    planted_queries(&api, 0, 3, PLANTED_ROTATED, true, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(ADAPTERS, cases[i].body, cases[i].status, cases[i].code,
                cases[i].pointer, cases[i].pieces);
    planted_vectors(&api, "m@2", 6, 20, PLANTED_ROTATED, 0);
    refused(ADAPTERS,
            "{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\","
            "\"solver\":\"contrastive\"}",
            409, "conflict", NULL, "at least 10|there are 0");
}
END_TEST

START_TEST(a_name_that_is_taken_is_refused) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    api_do(&api, "POST", ADAPTERS, PROCRUSTES);
    api_refused(&api, 409, "conflict", NULL, "adapter a");
    api_ok(&api, "DELETE", ADAPTERS "/a", NULL);
    fit(PROCRUSTES);
}
END_TEST

START_TEST(a_fit_is_cancelled_within_a_second) {
    successor(PLANTED_ROTATED, .1f);
    api_ok(&api, "POST", ADAPTERS,
           "{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\",\"solver\":"
           "\"contrastive\",\"steps\":100000,\"name\":\"long\"}");
    char path[64];
    snprintf(path, sizeof path, "/v1/jobs/%s", api_string(&api, "/id"));
    while (strcmp(api_string(&api, "/stage"), "fit") != 0 &&
           strcmp(api_string(&api, "/state"), "succeeded") != 0) {
        usleep(1000);
        api_ok(&api, "GET", path, NULL);
    }
    api_ok(&api, "DELETE", path, NULL);
    for (int i = 0;
         i < 100 && strcmp(api_string(&api, "/state"), "running") == 0; i++) {
        usleep(10000);
        api_ok(&api, "GET", path, NULL);
    }
    ck_assert_str_eq(api_string(&api, "/state"), "cancelled");
    api_do(&api, "GET", ADAPTERS "/long", NULL);
    api_refused(&api, 404, "not_found", NULL, "long");
}
END_TEST

START_TEST(a_fit_ends_with_its_collection) {
    successor(PLANTED_ROTATED, .1f);
    api_ok(&api, "POST", ADAPTERS,
           "{\"from\":\"m@2\",\"solver\":\"contrastive\",\"steps\":100000}");
    char path[64];
    snprintf(path, sizeof path, "/v1/jobs/%s", api_string(&api, "/id"));
    while (strcmp(api_string(&api, "/state"), "queued") == 0) {
        usleep(1000);
        api_ok(&api, "GET", path, NULL);
    }
    api_ok(&api, "DELETE", PLANTED, NULL);
    api_ok(&api, "GET", path, NULL);
    for (int i = 0;
         i < 200 && strcmp(api_string(&api, "/state"), "running") == 0; i++) {
        usleep(10000);
        api_ok(&api, "GET", path, NULL);
    }
    ck_assert_str_eq(api_string(&api, "/state"), "failed");
    ck_assert_ptr_nonnull(strstr(api_string(&api, "/error"), "deleted"));
}
END_TEST

START_TEST(a_job_goes_on_after_a_restart_and_adapters_stay) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    api_ok(&api, "GET", ADAPTERS "/a", NULL);
    char *before = strdup(api_body(&api));
    api_ok(&api, "POST", ADAPTERS,
           "{\"from\":\"m@2\",\"kind\":\"lambda_orthogonal\",\"solver\":"
           "\"contrastive\",\"steps\":300,\"name\":\"late\"}");
    char path[64];
    snprintf(path, sizeof path, "/v1/jobs/%s", api_string(&api, "/id"));
    api_restart(&api);
    api_ok(&api, "GET", ADAPTERS "/a", NULL);
    ck_assert_str_eq(api_body(&api), before);
    free(before);
    api_ok(&api, "GET", path, NULL);
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_str_eq(api_string(&api, "/result/adapter"), "late");
    api_ok(&api, "GET", ADAPTERS "/late", NULL);
}
END_TEST

/* ---- files ---- */

/* The bytes of an adapter's file. */
static void fetch(const char *path, struct inv_buf *out) {
    api_ok(&api, "GET", path, NULL);
    inv_buf_reset(out);
    inv_buf_append(out, api.reply.body.data, api.reply.body.len);
    ck_assert(!out->failed && out->len > 0);
}

static int upload(const char *path, const struct inv_buf *file) {
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = "application/octet-stream",
                                  .body = file->data,
                                  .len = file->len};
    return api_send(&api, &request);
}

START_TEST(an_exported_adapter_comes_back_as_it_went) {
    static const char *const formats[] = {"npz", "safetensors"};
    struct inv_buf file = INV_BUF_INIT;
    struct inv_buf again = INV_BUF_INIT;
    successor(PLANTED_ROTATED, .05f);
    fit(PROCRUSTES);
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, ADAPTERS "/a?format=%s", formats[i]);
        fetch(path, &file);
        snprintf(path, sizeof path, ADAPTERS "?format=%s&name=b%zu", formats[i],
                 i);
        ck_assert_int_eq(upload(path, &file), 201);
        ck_assert_str_eq(api_string(&api, "/verdict"), "NONE");
        ck_assert_str_eq(api_string(&api, "/from"), "m@2");
        ck_assert_str_eq(api_string(&api, "/kind"), "procrustes");
        snprintf(path, sizeof path, ADAPTERS "/b%zu?format=%s", i, formats[i]);
        fetch(path, &again);
        ck_assert_uint_eq(again.len, file.len);
        ck_assert_mem_eq(again.data, file.data, file.len);
    }
    api_do(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"adapter\":\"b0\",\"mode\":\"bridge\"}");
    api_refused(&api, 409, "conflict", NULL, "NONE|force");
    inv_buf_release(&file);
    inv_buf_release(&again);
}
END_TEST

START_TEST(a_file_that_does_not_fit_is_refused) {
    struct inv_buf file = INV_BUF_INIT;
    successor(PLANTED_ROTATED, .05f);
    fit(PROCRUSTES);
    api_ok(&api, "PUT", PLANTED "/models/n@1", "{\"dim\":5}");
    fetch(ADAPTERS "/a?format=npz&direction=forward", &file);
    upload(ADAPTERS "?format=npz&from=m@2&to=m@1&name=x", &file);
    api_refused(&api, 400, "invalid_request", NULL, "forward|backward");
    fetch(ADAPTERS "/a?format=npz", &file);
    upload(ADAPTERS "?format=npz&from=n@1&name=x", &file);
    api_refused(&api, 400, "dimension_mismatch", NULL, "16|5|n@1");
    upload(ADAPTERS "?format=npz&from=m@1&to=m@2&name=x", &file);
    api_refused(&api, 400, "invalid_request", NULL, "wrong direction|m@1");
    upload(ADAPTERS "?format=npz&name=a", &file);
    api_refused(&api, 409, "conflict", NULL, "adapter a");
    upload(ADAPTERS "?format=pickle&name=x", &file);
    api_refused(&api, 400, "invalid_request", NULL, "npz|pickle");
    file.len /= 2;
    upload(ADAPTERS "?format=npz&name=x", &file);
    ck_assert_int_eq(api.reply.status, 400);
    api_do(&api, "POST", ADAPTERS "?name=x", PROCRUSTES);
    api_refused(&api, 400, "invalid_request", NULL, "format|body");
    api_do(&api, "GET", ADAPTERS "/a?direction=forward", NULL);
    api_refused(&api, 400, "invalid_request", NULL, "direction|format");
    api_ok(&api, "GET", ADAPTERS, NULL);
    ck_assert_uint_eq(api_size(&api, "/adapters"), 1);
    inv_buf_release(&file);
}
END_TEST

START_TEST(plain_arrays_are_taken_when_both_models_are_named) {
    float matrix[PLANTED_DIM * PLANTED_DIM] = {0};
    struct inv_buf file = INV_BUF_INIT;
    for (size_t i = 0; i < PLANTED_DIM; i++)
        matrix[i * PLANTED_DIM + (i + 1) % PLANTED_DIM] = 1;
    struct inv_array array = {.name = "matrix",
                              .dtype = INV_NPY_F32,
                              .ndim = 2,
                              .shape = {PLANTED_DIM, PLANTED_DIM},
                              .data = matrix,
                              .bytes = sizeof matrix};
    inv_npz_write(&array, 1, &file);
    upload(ADAPTERS "?format=npz&name=x", &file);
    ck_assert_int_eq(api.reply.status, 400);
    upload(ADAPTERS "?format=npz&name=x&from=m@2&to=m@1", &file);
    ck_assert_int_eq(api.reply.status, 201);
    ck_assert_str_eq(api_string(&api, "/kind"), "ridge");
    ck_assert(!inv_json_bool(api_at(&api, "/forward")));
    api_do(&api, "GET", ADAPTERS "/x?format=npz&direction=forward", NULL);
    api_refused(&api, 404, "not_found", NULL, "x|forward");
    inv_buf_release(&file);
}
END_TEST

/* ---- chains ---- */

START_TEST(a_chain_is_marked_degraded_and_is_not_chained_again) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    api_ok(&api, "PUT", PLANTED "/models/m@3", "{\"dim\":16}");
    planted_vectors(&api, "m@3", 0, PLANTED_ALL, PLANTED_OLD, 0);
    fit("{\"from\":\"m@3\",\"to\":\"m@2\",\"kind\":\"procrustes\","
        "\"name\":\"b\"}");
    ck_assert_int_eq(
        api_do(&api, "POST", ADAPTERS "/compose",
               "{\"first\":\"b\",\"second\":\"a\",\"name\":\"chain\"}"),
        201);
    ck_assert(inv_json_bool(api_at(&api, "/degraded")));
    ck_assert_str_eq(api_string(&api, "/from"), "m@3");
    ck_assert_str_eq(api_string(&api, "/to"), "m@1");
    ck_assert_str_eq(api_string(&api, "/verdict"), "NONE");
    ck_assert_str_eq(api_string(&api, "/report/composed/0"), "b");
    api_do(&api, "POST", ADAPTERS "/compose",
           "{\"first\":\"a\",\"second\":\"b\"}");
    api_refused(&api, 400, "invalid_request", NULL, "a|m@1|b|m@3");
    api_do(&api, "POST", ADAPTERS "/compose",
           "{\"first\":\"b\",\"second\":\"nobody\"}");
    api_refused(&api, 404, "not_found", NULL, "nobody");
    api_do(&api, "POST", ADAPTERS "/compose", "{\"first\":\"b\"}");
    api_refused(&api, 400, "invalid_request", "/second", "missing");
    api_ok(&api, "GET", ADAPTERS, NULL);
    ck_assert_uint_eq(api_size(&api, "/adapters"), 3);
}
END_TEST

/* ---- in use ---- */

START_TEST(an_adapter_in_use_is_not_removed) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"adapter\":\"a\",\"mode\":\"bridge\"}");
    api_ok(&api, "GET", ADAPTERS "/a", NULL);
    ck_assert(inv_json_bool(api_at(&api, "/in_use")));
    api_do(&api, "DELETE", ADAPTERS "/a", NULL);
    api_refused(&api, 409, "conflict", NULL, "a|BRIDGED");
    api_ok(&api, "POST", PLANTED "/rollback", "{}");
    api_ok(&api, "DELETE", ADAPTERS "/a", NULL);
    api_do(&api, "DELETE", ADAPTERS "/a", NULL);
    api_refused(&api, 404, "not_found", NULL, "\"a\"");
}
END_TEST

START_TEST(what_a_rollback_would_come_back_to_is_not_removed) {
    successor(PLANTED_ROTATED, 0);
    fit(PROCRUSTES);
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"adapter\":\"a\",\"mode\":\"bridge\"}");
    /* two steps further on, so that not the next rollback comes back to it */
    for (int i = 3; i <= 4; i++) {
        api_ok(&api, "PUT",
               i == 3 ? PLANTED "/models/m@3" : PLANTED "/models/m@4",
               "{\"dim\":8}");
        api_ok(&api, "POST", PLANTED "/activate",
               "{\"model\":\"m@%d\",\"mode\":\"shadow\"}", i);
    }
    api_ok(&api, "DELETE", PLANTED "/models/m@2/vectors", NULL);
    api_do(&api, "DELETE", ADAPTERS "/a", NULL);
    api_refused(&api, 409, "conflict", NULL, "a|rollback");
    api_do(&api, "DELETE", PLANTED "/models/m@2", NULL);
    api_refused(&api, 409, "conflict", NULL, "m@2|rollback");
    for (int i = 0; i < 2; i++)
        api_ok(&api, "POST", PLANTED "/rollback", "{}");
    ck_assert_str_eq(api_string(&api, "/state"), "BRIDGED");
    ck_assert_str_eq(api_string(&api, "/query_model"), "m@2");
    ck_assert_str_eq(api_string(&api, "/adapter"), "a");
    api_ok(&api, "POST", PLANTED "/rollback", "{}");
    api_ok(&api, "DELETE", PLANTED "/models/m@2", NULL);
}
END_TEST

START_TEST(compatibility_shows_what_reports_measured_and_null_elsewhere) {
    successor(PLANTED_ROTATED, 0);
    api_ok(&api, "GET", PLANTED "/compatibility", NULL);
    ck_assert_int_eq(inv_json_kind(api_at(&api, "/adapter")), INV_JSON_NULL);
    fit(PROCRUSTES);
    api_ok(&api, "GET", PLANTED "/compatibility", NULL);
    ck_assert_str_eq(api_string(&api, "/models/0"), "m@1");
    ck_assert_str_eq(api_string(&api, "/models/1"), "m@2");
    double old_old = api_number(&api, "/matrix/0/0");
    ck_assert_double_eq_tol(api_number(&api, "/matrix/1/0"), old_old, 1e-5);
    ck_assert_double_eq_tol(api_number(&api, "/matrix/1/1"), old_old, 1e-5);
    ck_assert_int_eq(inv_json_kind(api_at(&api, "/matrix/0/1")), INV_JSON_NULL);
    ck_assert_double_eq_tol(api_number(&api, "/am"), old_old, 1e-5);
    ck_assert_str_eq(api_string(&api, "/adapter"), "a");
    ck_assert_int_eq(api_int(&api, "/queries"), 60);
    ck_assert_str_eq(api_string(&api, "/metric"), "ndcg@10");
}
END_TEST

START_TEST(compatibility_counts_the_queries_that_it_rests_on) {
    planted_vectors(&api, "m@2", 0, 40, PLANTED_ROTATED, 0);
    planted_queries(&api, 0, 60, PLANTED_ROTATED, true, true);
    fit(PROCRUSTES);
    api_ok(&api, "GET", PLANTED "/compatibility", NULL);
    ck_assert_int_eq(api_int(&api, "/queries"), 40);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_rotation_is_found_and_may_be_activated,
        models_that_have_nothing_in_common_are_refused,
        every_kind_of_adapter_is_fitted_and_named_after_what_it_is,
        without_a_kind_several_are_tried_and_the_simplest_good_one_is_kept,
        a_fit_is_the_same_whatever_segments_its_documents_are_in,
        tokens_are_fitted_one_by_one_and_their_counts_must_agree,
        labels_are_read_from_the_payload_and_those_without_are_counted,
        a_fit_that_cannot_be_is_refused_before_it_is_queued,
        a_name_that_is_taken_is_refused,
        a_fit_is_cancelled_within_a_second,
        a_fit_ends_with_its_collection,
        a_job_goes_on_after_a_restart_and_adapters_stay,
        an_exported_adapter_comes_back_as_it_went,
        a_file_that_does_not_fit_is_refused,
        plain_arrays_are_taken_when_both_models_are_named,
        a_chain_is_marked_degraded_and_is_not_chained_again,
        an_adapter_in_use_is_not_removed,
        what_a_rollback_would_come_back_to_is_not_removed,
        compatibility_shows_what_reports_measured_and_null_elsewhere,
        compatibility_counts_the_queries_that_it_rests_on,
    };
    return api_run_tests("adapters", tests, sizeof tests / sizeof *tests, setup,
                         teardown);
}
