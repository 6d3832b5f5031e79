/*
 * test_api_three_models.c: a collection that knows more than two models at
 * once, and steps back to what has been removed meanwhile: nothing is lost,
 * counted twice, or served of a model that is not there.
 */
#include "tests/support/models.h"

#include "server/json/adapter_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE "/v1/collections/one" /* a, b, c in m@1, of 4 dimensions */

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
    models_make(&api);
    api_ok(&api, "PUT", ONE "/models/m@2", "{\"dim\":3}");
    api_ok(&api, "PUT", ONE "/models/m@3", "{\"dim\":2}");
}

static void teardown(void) { api_stop(&api); }

static void refused(const char *method, const char *path, const char *body,
                    const char *pieces) {
    models_refused(&api, method, path, body, 409, "conflict", NULL, pieces);
}

/* The first dimensions of the old model are those of the new one. */
static void import(const char *name, const char *from, const char *to,
                   size_t cols, size_t rows) {
    float matrix[16] = {0};
    float bias[4] = {0};
    char path[128];
    struct inv_adapter *adapter = NULL;
    struct inv_buf file = INV_BUF_INIT;
    struct inv_err err;
    for (size_t i = 0; i < cols; i++)
        matrix[i * cols + i] = 1;
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_RIDGE,
                                      .direction = INV_ADAPTER_BACKWARD,
                                      .rows = rows,
                                      .cols = cols,
                                      .matrix = matrix,
                                      .bias = bias,
                                      .normalise = true,
                                      .from = from,
                                      .to = to};
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_OK);
    ck_assert_int_eq(
        inv_adapter_write(adapter, INV_ADAPTER_SAFETENSORS, NULL, &file, &err),
        INV_OK);
    snprintf(path, sizeof path, ONE "/adapters?format=safetensors&name=%s",
             name);
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = "application/octet-stream",
                                  .body = file.data,
                                  .len = file.len};
    ck_assert_int_eq(api_send(&api, &request), 201);
    inv_adapter_free(adapter);
    inv_buf_release(&file);
}

static void activate(const char *model, const char *adapter) {
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"%s\",\"adapter\":\"%s\",\"mode\":\"bridge\","
           "\"force\":true}",
           model, adapter);
}

static void put(const char *id, const char *model, const char *vector) {
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"%s\",\"model\":\"%s\",\"vector\":%s}]}",
           id, model, vector);
}

static bool can_roll_back(void) {
    api_ok(&api, "GET", ONE "/migration", NULL);
    return inv_json_bool(api_at(&api, "/can_roll_back"));
}

START_TEST(a_model_that_a_rollback_comes_back_to_cannot_be_deleted) {
    import("two", "m@2", "m@1", 3, 4);
    import("three", "m@3", "m@1", 2, 4);
    activate("m@2", "two");
    activate("m@3", "three");
    refused("DELETE", ONE "/models/m@2", NULL, "come back to m@2");
    ck_assert(can_roll_back());
    /* a query without a model still means one that is there */
    for (int i = 0; i < 2; i++) {
        api_ok(&api, "POST", ONE "/search", "{\"vector\":[1,0]}");
        ck_assert_str_eq(api_string(&api, "/model"), "m@3");
        ck_assert_str_eq(api_string(&api, "/via/adapter"), "three");
        api_restart(&api);
    }
    api_ok(&api, "POST", ONE "/rollback", "{}");
    api_ok(&api, "POST", ONE "/search", "{\"vector\":[1,0,0]}");
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    api_ok(&api, "POST", ONE "/rollback", "{}");
    ck_assert(!can_roll_back());
    api_ok(&api, "DELETE", ONE "/models/m@2", NULL);
    api_ok(&api, "POST", ONE "/search", "{\"vector\":[1,0,0,0]}");
    ck_assert_str_eq(api_string(&api, "/model"), "m@1");
}
END_TEST

START_TEST(an_adapter_that_a_rollback_comes_back_to_cannot_be_deleted) {
    static const char *const names[] = {"first", "second", "third"};
    for (size_t i = 0; i < 3; i++) {
        import(names[i], "m@2", "m@1", 3, 4);
        activate("m@2", names[i]);
    }
    refused("DELETE", ONE "/adapters/second", NULL, "come back|second");
    refused("DELETE", ONE "/adapters/first", NULL, "come back|first");
    api_ok(&api, "POST", ONE "/rollback", "{}");
    ck_assert_str_eq(api_string(&api, "/adapter"), "second");
    api_ok(&api, "DELETE", ONE "/adapters/third", NULL);
    api_ok(&api, "POST", ONE "/rollback", "{}");
    api_ok(&api, "POST", ONE "/search", "{\"vector\":[1,0,0]}");
    ck_assert_str_eq(api_string(&api, "/via/adapter"), "first");
}
END_TEST

/* "d" and "e" come in m@2, and have a vector of m@3. */
static void two_newer(void) {
    put("d", "m@2", "[1,0,0]");
    put("e", "m@2", "[0,1,0]");
    api_ok(&api, "POST", ONE "/models/m@3/vectors",
           "{\"vectors\":[{\"id\":\"d\",\"vector\":[1,0]},"
           "{\"id\":\"e\",\"vector\":[0,1]}]}");
    import("three", "m@3", "m@1", 2, 4);
    import("between", "m@3", "m@2", 2, 3);
}

START_TEST(what_was_found_in_dropped_vectors_is_found_in_the_next_model) {
    two_newer();
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            api_ok(&api, "DELETE", ONE "/models/m@2/vectors", NULL);
        if (i == 2)
            api_restart(&api);
        api_ok(&api, "POST", ONE "/search",
               "{\"vector\":[1,0],\"model\":\"m@3\"}");
        ck_assert_uint_eq(api_size(&api, "/hits"), 5);
        api_ok(&api, "POST", ONE "/documents/count", "{}");
        ck_assert_int_eq(api_int(&api, "/count"), 5);
        api_ok(&api, "GET", ONE "/documents/d", NULL);
        ck_assert_str_eq(api_string(&api, "/model"), i == 0 ? "m@2" : "m@3");
    }
}
END_TEST

START_TEST(coverage_is_of_the_documents_in_the_gallery) {
    two_newer();
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"m@3\",\"mode\":\"shadow\"}");
    ck_assert_int_eq(api_int(&api, "/documents"), 5);
    ck_assert_int_eq(api_int(&api, "/covered"), 0);
    ck_assert_int_eq(api_int(&api, "/alone"), 2);
    api_ok(&api, "POST", ONE "/models/m@3/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0]}]}");
    api_ok(&api, "GET", ONE "/migration", NULL);
    ck_assert_int_eq(api_int(&api, "/covered"), 1);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 3, 1e-4);
    api_ok(&api, "GET", ONE "/models/m@3", NULL);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 3, 1e-4);
    ck_assert_int_eq(api_int(&api, "/alone"), 2);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_model_that_a_rollback_comes_back_to_cannot_be_deleted,
        an_adapter_that_a_rollback_comes_back_to_cannot_be_deleted,
        what_was_found_in_dropped_vectors_is_found_in_the_next_model,
        coverage_is_of_the_documents_in_the_gallery,
    };
    return api_run_tests("three models and steps back", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
