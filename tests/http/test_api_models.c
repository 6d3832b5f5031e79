/*
 * test_api_models.c: models of a collection over real HTTP: registering them,
 * and their vectors of stored documents. A refusal is checked for its status,
 * its code, both numbers, and for having changed nothing.
 */
#include "tests/support/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE "/v1/collections/one"
#define MANY "/v1/collections/many"
#define M2 ONE "/models/m@2"

static struct api api;

static void setup(void) {
    api_init(&api);
    api.config.models_dir = "demo/models";
    api_start(&api);
    models_make(&api);
}

static void teardown(void) { api_stop(&api); }

static void refused(const char *method, const char *path, const char *body,
                    int status, const char *code, const char *pointer,
                    const char *pieces) {
    models_refused(&api, method, path, body, status, code, pointer, pieces);
}

/* ---- registering ---- */

START_TEST(a_model_is_registered_once_and_the_same_body_changes_nothing) {
    ck_assert_int_eq(api_do(&api, "PUT", M2, "{\"dim\":3}"), 201);
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    ck_assert_int_eq(api_int(&api, "/dim"), 3);
    ck_assert_int_eq(api_int(&api, "/vectors"), 0);
    ck_assert_int_eq(api_int(&api, "/queries"), 0);
    ck_assert(!inv_json_bool(api_at(&api, "/gallery")));
    int64_t created = api_int(&api, "/created_ms");
    ck_assert_int_gt(created, 0);
    ck_assert_int_eq(api_do(&api, "PUT", M2, "{\"dim\":3}"), 200);
    ck_assert_int_eq(api_do(&api, "PUT", M2,
                            "{\"dim\":3,\"kind\":\"single\",\"prompt\":\"\"}"),
                     200);
    ck_assert_int_eq(api_int(&api, "/created_ms"), created);
    ck_assert_int_eq(api_do(&api, "PUT", ONE "/models/m@1", "{\"dim\":4}"),
                     200);
    api_ok(&api, "GET", ONE "/models", NULL);
    ck_assert_uint_eq(api_size(&api, "/models"), 2);
    ck_assert_str_eq(api_string(&api, "/models/0/model"), "m@1");
    ck_assert(inv_json_bool(api_at(&api, "/models/0/gallery")));
    ck_assert_int_eq(api_int(&api, "/models/0/vectors"), 3);
    ck_assert_double_eq(api_number(&api, "/models/0/coverage"), 1.0);
    api_ok(&api, "GET", ONE, NULL);
    ck_assert_int_eq(api_int(&api, "/documents"), 3);
}
END_TEST

START_TEST(another_body_for_a_model_that_is_there_is_a_conflict) {
    api_ok(&api, "PUT", M2, "{\"dim\":3,\"encoder\":{\"type\":\"none\"}}");
    refused("PUT", M2, "{\"dim\":5}", 409, "conflict", NULL, "m@2|3|5");
    refused("PUT", M2, "{\"dim\":3,\"prompt\":\"query: \"}", 409, "conflict",
            NULL, "m@2");
    refused("PUT", M2, "{\"dim\":3,\"normalized\":true}", 409, "conflict", NULL,
            "m@2");
    refused("PUT", M2, "{\"dim\":3,\"index\":{\"type\":\"hnsw\"}}", 409,
            "conflict", NULL, "m@2|flat");
    refused("PUT", M2,
            "{\"dim\":3,\"encoder\":{\"type\":\"matryoshka\",\"dims\":[2]}}",
            409, "conflict", NULL, "m@2");
    refused("PUT", ONE "/models/m@1", "{\"dim\":3}", 409, "conflict", NULL,
            "m@1|4|3");
}
END_TEST

START_TEST(what_a_model_leaves_out_is_derived_from_the_collection) {
    api_ok(&api, "PUT", "/v1/collections/cut",
           "{\"kind\":\"single\",\"dim\":8,\"encoder\":{\"type\":"
           "\"matryoshka\",\"dims\":[2,4,6],\"index_dims\":4},"
           "\"index\":{\"type\":\"hnsw\",\"m\":16},"
           "\"params\":{\"dims\":[4,8]}}");
    api_ok(&api, "PUT", "/v1/collections/cut/models/b@1", "{\"dim\":5}");
    ck_assert_uint_eq(api_size(&api, "/encoder/dims"), 3);
    ck_assert_int_eq(api_int(&api, "/encoder/dims/1"), 4);
    ck_assert_int_eq(api_int(&api, "/encoder/dims/2"), 5);
    ck_assert_int_eq(api_int(&api, "/encoder/index_dims"), 4);
    ck_assert_str_eq(api_string(&api, "/index/type"), "hnsw");
    ck_assert_int_eq(api_int(&api, "/index/m"), 16);
    api_ok(&api, "PUT", "/v1/collections/cut/models/c@1", "{\"dim\":3}");
    ck_assert_int_eq(api_int(&api, "/encoder/index_dims"), 2);
    ck_assert_int_eq(api_int(&api, "/encoder/dims/1"), 3);
    api_ok(&api, "PUT", MANY "/models/t@2", "{\"dim\":2}");
    ck_assert_int_eq(api_int(&api, "/encoder/R"), 4);
    ck_assert_int_eq(api_int(&api, "/encoder/k"), 2);
    ck_assert_int_eq(api_int(&api, "/encoder/m"), 2);
    ck_assert_int_eq(api_int(&api, "/encoder/seed"), 42);
    api_restart(&api);
    api_ok(&api, "GET", "/v1/collections/cut/models/b@1", NULL);
    ck_assert_int_eq(api_int(&api, "/encoder/index_dims"), 4);
    api_ok(&api, "GET", "/v1/collections/cut", NULL);
    ck_assert_int_eq(api_int(&api, "/settings/params/dims/0"), 4);
}
END_TEST

START_TEST(a_ninth_model_is_refused_with_both_numbers) {
    for (int i = 2; i <= 8; i++) {
        char path[64];
        snprintf(path, sizeof path, ONE "/models/m@%d", i);
        api_ok(&api, "PUT", path, "{\"dim\":3}");
    }
    refused("PUT", ONE "/models/m@9", "{\"dim\":3}", 409, "conflict", NULL,
            "8 models|at most 8");
    ck_assert_int_eq(api_do(&api, "PUT", ONE "/models/m@8", "{\"dim\":3}"),
                     200);
    api_ok(&api, "DELETE", ONE "/models/m@5", NULL);
    ck_assert_int_eq(api_do(&api, "PUT", ONE "/models/m@9", "{\"dim\":3}"),
                     201);
    api_restart(&api);
    api_ok(&api, "GET", ONE "/models", NULL);
    ck_assert_uint_eq(api_size(&api, "/models"), 8);
}
END_TEST

START_TEST(a_registration_that_does_not_fit_is_refused) {
    refused("PUT", M2, "{}", 400, "invalid_request", "/dim", "missing|16384");
    refused("PUT", M2, "{\"dim\":0}", 400, "invalid_request", "/dim",
            "1 to 16384|0");
    refused("PUT", M2, "{\"dim\":16385}", 400, "invalid_request", "/dim",
            "16384|16385");
    refused("PUT", M2, "{\"dim\":3,\"kind\":\"multi\"}", 400, "invalid_request",
            "/kind", "single|multi");
    refused("PUT", M2, "{\"dim\":3,\"dims\":[2]}", 400, "invalid_request",
            "/dims", "dims|did you mean \"dim\"");
    refused("PUT", M2, "{\"dim\":3,\"encoder\":{\"type\":\"muvera\"}}", 400,
            "invalid_request", "/encoder/type", "single|muvera");
    refused("PUT", M2, "{\"dim\":3,\"index\":{\"type\":\"lsh\"}}", 400,
            "invalid_request", "/index/type", "lsh|hnsw");
    refused("PUT", ONE "/models/m", "{\"dim\":3}", 400, "invalid_request", NULL,
            "name@revision|m");
    refused("PUT", ONE "/models/m@2@3", "{\"dim\":3}", 400, "invalid_request",
            NULL, "name@revision|m@2@3");
    refused("PUT", ONE "/models/x@%c0%80", "{\"dim\":3}", 400,
            "invalid_request", NULL, "UTF-8|byte 3 of 4");
    refused("PUT", ONE "/models/@2", "{\"dim\":3}", 400, "invalid_request",
            NULL, "name@revision");
    refused("PUT", M2, "[]", 400, "invalid_request", NULL, "object|an array");
    refused("PUT", M2, "", 400, "invalid_request", "/dim", "missing");
    refused("PUT", "/v1/collections/none/models/m@2", "{\"dim\":3}", 404,
            "not_found", NULL, "none");
    refused("GET", M2, NULL, 404, "not_found", NULL, "m@2|m@1");
    refused("GET", ONE "/models?x=1", NULL, 400, "invalid_request", NULL, "x");
    refused("PUT", ONE "/models/static@9", "{\"dim\":96}", 400,
            "invalid_request", "/model", "static@9");
    refused("PUT", ONE "/models/static@2", "{\"dim\":97}", 400,
            "dimension_mismatch", "/dim", "96|97");
}
END_TEST

/* ---- forgetting ---- */

START_TEST(a_model_is_forgotten_only_when_nothing_needs_it) {
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    refused("DELETE", ONE "/models/m@1", NULL, 409, "conflict", NULL, "m@1");
    refused("DELETE", ONE "/models/m@3", NULL, 404, "not_found", NULL,
            "m@3|m@1, m@2");
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0,0]},"
           "{\"id\":\"b\",\"vector\":[0,1,0]}]}");
    refused("DELETE", M2, NULL, 409, "conflict", NULL, "2 documents|m@2");
    api_ok(&api, "POST", M2 "/queries",
           "{\"queries\":[{\"id\":\"q\",\"vector\":[1,0,0],"
           "\"relevant\":[\"a\"]}]}");
    api_ok(&api, "DELETE", M2 "/vectors", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "NONE");
    ck_assert(inv_json_bool(api_at(&api, "/dropped")));
    api_ok(&api, "DELETE", M2, NULL);
    refused("GET", M2, NULL, 404, "not_found", NULL, "m@2");
    /* a new one of that name begins empty, with any dimension */
    api_ok(&api, "PUT", M2, "{\"dim\":5}");
    ck_assert_int_eq(api_int(&api, "/queries"), 0);
    ck_assert_int_eq(api_int(&api, "/vectors"), 0);
    api_restart(&api);
    api_ok(&api, "GET", M2, NULL);
    ck_assert_int_eq(api_int(&api, "/dim"), 5);
}
END_TEST

/* ---- vectors of stored documents ---- */

START_TEST(vectors_are_stored_beside_and_documents_stay_as_they_are) {
    char *before = api_state(&api, "one");
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,2,2]},"
           "{\"id\":\"b\",\"vector\":[0,1,0],\"seq\":2}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 2);
    ck_assert_int_eq(api_int(&api, "/unchanged"), 0);
    ck_assert_uint_eq(api_size(&api, "/errors"), 0);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 2.0 / 3, 1e-4);
    char *after = api_state(&api, "one");
    ck_assert_str_eq(after, before);
    api_ok(&api, "GET", ONE "/documents/a?vectors&model=m@2", NULL);
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    ck_assert_double_eq(api_number(&api, "/vector/1"), 2.0);
    ck_assert_uint_eq(api_size(&api, "/vector"), 3);
    ck_assert_int_eq(api_int(&api, "/seq"), 1);
    ck_assert_int_eq(api_int(&api, "/version"), 1);
    api_ok(&api, "GET", ONE "/documents/a?vectors", NULL);
    ck_assert_str_eq(api_string(&api, "/model"), "m@1");
    ck_assert_uint_eq(api_size(&api, "/vector"), 4);
    free(before);
    free(after);
}
END_TEST

START_TEST(posting_vectors_again_changes_nothing_and_others_replace) {
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    for (int i = 0; i < 2; i++) {
        api_ok(&api, "POST", M2 "/vectors",
               "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0,0],\"seq\":1},"
               "{\"id\":\"b\",\"vector\":[0,1,0]}]}");
        ck_assert_int_eq(api_int(&api, "/stored"), i == 0 ? 2 : 0);
        ck_assert_int_eq(api_int(&api, "/unchanged"), i == 0 ? 0 : 2);
    }
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[0,0,1]}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    api_ok(&api, "GET", ONE "/documents/a?vectors&model=m@2", NULL);
    ck_assert_double_eq(api_number(&api, "/vector/2"), 1.0);
    api_ok(&api, "GET", M2, NULL);
    ck_assert_int_eq(api_int(&api, "/vectors"), 2);
}
END_TEST

START_TEST(each_vector_has_its_own_result) {
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"b\",\"vector\":[0,0,1,0],"
           "\"model\":\"m@1\"}]}"); /* seq 4 now */
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0,0],\"seq\":1},"
           "{\"id\":\"none\",\"vector\":[1,0,0]},"
           "{\"id\":\"b\",\"vector\":[1,0,0],\"seq\":2}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    ck_assert_uint_eq(api_size(&api, "/errors"), 2);
    ck_assert_str_eq(api_string(&api, "/errors/0/id"), "none");
    ck_assert_str_eq(api_string(&api, "/errors/0/code"), "not_found");
    ck_assert_str_eq(api_string(&api, "/errors/1/id"), "b");
    ck_assert_str_eq(api_string(&api, "/errors/1/code"), "stale");
    const char *detail = api_string(&api, "/errors/1/detail");
    ck_assert_msg(strstr(detail, "seq 4") != NULL &&
                      strstr(detail, "seq 2") != NULL,
                  "%s", detail);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 3, 1e-4);
    refused("POST", M2 "/vectors",
            "{\"vectors\":[{\"id\":\"b\",\"vector\":[1,0,0],\"seq\":2}]}", 409,
            "conflict", NULL, "\"b\"|seq 4|seq 2");
    refused("POST", M2 "/vectors",
            "{\"vectors\":[{\"id\":\"x\",\"vector\":[1,0,0]},"
            "{\"id\":\"y\",\"vector\":[1,0,0],\"seq\":9}]}",
            404, "not_found", NULL, "2 vectors|\"x\"");
}
END_TEST

START_TEST(the_vector_of_a_document_of_that_model_is_its_own) {
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"n\",\"vector\":[0,0,1]}]}");
    ck_assert_int_eq(api_int(&api, "/unchanged"), 1);
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"n\",\"vector\":[0,1,0]}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 0);
    ck_assert_str_eq(api_string(&api, "/errors/0/code"), "conflict");
    api_ok(&api, "GET", ONE "/documents/n?vectors", NULL);
    ck_assert_double_eq(api_number(&api, "/vector/2"), 1.0);
    /* the other way round: an old vector of a new document */
    api_ok(&api, "POST", ONE "/models/m@1/vectors",
           "{\"vectors\":[{\"id\":\"n\",\"vector\":[0,0,0,1]}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    api_ok(&api, "GET", M2, NULL);
    ck_assert_int_eq(api_int(&api, "/alone"), 0);
    ck_assert_int_eq(api_int(&api, "/vectors"), 1);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 4, 1e-4);
}
END_TEST

START_TEST(one_bad_vector_refuses_the_whole_request) {
    static const char *const good = "{\"id\":\"a\",\"vector\":[1,0,0]}";
    static const struct {
        const char *item, *code, *pointer, *pieces;
    } cases[] = {
        {"{\"id\":\"b\",\"vector\":[1,0,0,0]}", "dimension_mismatch",
         "/vectors/1/vector", "expected 3|got 4"},
        {"{\"id\":\"b\",\"vector\":[0,0,0]}", "invalid_request",
         "/vectors/1/vector", "zeros|cosine"},
        {"{\"id\":\"b\",\"vectors\":[[1,0,0]]}", "invalid_request",
         "/vectors/1/vectors", "kind single|\"vector\""},
        {"{\"id\":\"b\",\"text\":\"cats\"}", "invalid_request",
         "/vectors/1/text", "static@1|m@2"},
        {"{\"id\":\"b\"}", "invalid_request", "/vectors/1", "exactly one|none"},
        {"{\"vector\":[1,0,0]}", "invalid_request", "/vectors/1", "\"id\""},
        {"{\"id\":\"a\",\"vector\":[0,1,0]}", "invalid_request",
         "/vectors/1/id", "\"a\"|vector 0|vector 1"},
        {"{\"id\":\"b\",\"vector\":[1,0,0],\"seq\":0}", "invalid_request",
         "/vectors/1/seq", "from 1|got 0"},
        {"{\"id\":\"b\",\"vector\":[1,0,0],\"payload\":{}}", "invalid_request",
         "/vectors/1/payload", "payload"},
        {"{\"id\":\"b\",\"vector\":[1,0,1e30]}", "value_out_of_range",
         "/vectors/1/vector/2", "1e30|1e+15"},
    };
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[300];
        snprintf(body, sizeof body, "{\"vectors\":[%s,%s]}", good,
                 cases[i].item);
        refused("POST", M2 "/vectors", body, 400, cases[i].code,
                cases[i].pointer, cases[i].pieces);
    }
    refused("POST", M2 "/vectors", "{\"vectors\":[]}", 400, "invalid_request",
            "/vectors", "empty");
    refused("POST", M2 "/vectors", "{}", 400, "invalid_request", "/vectors",
            "1 to 10000|nothing");
    refused("POST", M2 "/vectors", "{\"vectors\":[[1,0,0]]}", 400,
            "invalid_request", "/vectors", "array");
    refused("POST", ONE "/models/m@3/vectors",
            "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0,0]}]}", 409,
            "space_mismatch", NULL, "m@3|m@1, m@2");
}
END_TEST

START_TEST(a_model_that_promises_length_1_refuses_other_lengths) {
    api_ok(&api, "PUT", ONE "/models/n@1", "{\"dim\":2,\"normalized\":true}");
    ck_assert(inv_json_bool(api_at(&api, "/normalized")));
    api_ok(&api, "POST", ONE "/models/n@1/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[0.6,0.8]}]}");
    refused("POST", ONE "/models/n@1/vectors",
            "{\"vectors\":[{\"id\":\"b\",\"vector\":[3,4]}]}", 400,
            "invalid_request", "/vectors/0/vector", "length 1|5");
    api_restart(&api);
    refused("POST", ONE "/models/n@1/vectors",
            "{\"vectors\":[{\"id\":\"b\",\"vector\":[3,4]}]}", 400,
            "invalid_request", "/vectors/0/vector", "length 1|5");
    ck_assert_int_eq(api_do(&api, "PUT", ONE "/models/n@1",
                            "{\"dim\":2,\"normalized\":true}"),
                     200);
}
END_TEST

START_TEST(the_built_in_models_take_text) {
    api_ok(&api, "PUT", "/v1/collections/text",
           "{\"kind\":\"single\",\"dim\":96,\"model\":{\"name\":\"static\","
           "\"revision\":\"1\"}}");
    api_ok(&api, "PUT", "/v1/collections/text/documents",
           "{\"documents\":[{\"id\":\"a\",\"text\":\"white cats\"}]}");
    ck_assert_int_eq(
        api_do(&api, "PUT", "/v1/collections/text/models/static@2", "{}"), 201);
    ck_assert_int_eq(api_int(&api, "/dim"), 96);
    ck_assert_int_eq(
        api_do(&api, "PUT", "/v1/collections/text/models/static@2", "{}"), 200);
    api_ok(&api, "POST", "/v1/collections/text/models/static@2/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"text\":\"white cats\"}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    api_ok(&api, "POST", "/v1/collections/text/models/static@2/queries",
           "{\"queries\":[{\"id\":\"q\",\"text\":\"cats\","
           "\"old\":{\"model\":\"static@1\"}}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    /* both are what the models say, and they differ */
    double first[2];
    for (int i = 0; i < 2; i++) {
        api_ok(&api, "GET",
               i == 0
                   ? "/v1/collections/text/documents/a?vectors&model=static@1"
                   : "/v1/collections/text/documents/a?vectors&model="
                     "static@2",
               NULL);
        ck_assert_uint_eq(api_size(&api, "/vector"), 96);
        first[i] = api_number(&api, "/vector/0");
    }
    ck_assert_double_ne(first[0], first[1]);
}
END_TEST

/* ---- frames ---- */

static void put_u32(struct inv_buf *out, uint32_t x) {
    for (int i = 0; i < 4; i++)
        inv_buf_putc(out, (char)(x >> 8 * i & 255));
}

static void put_frame(struct inv_buf *out, const char *id, uint32_t rows,
                      uint32_t dim, const float *data, const char *payload) {
    size_t len = strlen(id);
    inv_buf_putc(out, (char)len);
    inv_buf_putc(out, 0);
    inv_buf_append(out, id, len);
    put_u32(out, rows);
    put_u32(out, dim);
    inv_buf_putc(out, INV_F32);
    inv_buf_append(out, data, (size_t)rows * dim * sizeof *data);
    put_u32(out, (uint32_t)strlen(payload));
    inv_buf_puts(out, payload);
}

static int send_frames(const char *path, const struct inv_buf *frames,
                       size_t cut) {
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = "application/x-invar",
                                  .body = frames->data,
                                  .len = frames->len - cut};
    return api_send(&api, &request);
}

static struct inv_buf begin_frames(void) {
    struct inv_buf frames = INV_BUF_INIT;
    inv_buf_puts(&frames, "INVB");
    put_u32(&frames, 1);
    return frames;
}

START_TEST(vectors_come_as_frames_too) {
    static const float rows[] = {1, 2, 3, 4, 5, 6};
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    api_ok(&api, "PUT", MANY "/models/t@2", "{\"dim\":3}");
    struct inv_buf frames = begin_frames();
    put_frame(&frames, "a", 1, 3, rows, "");
    put_frame(&frames, "b", 1, 3, rows + 3, "");
    ck_assert_int_eq(send_frames(M2 "/vectors", &frames, 0), 200);
    ck_assert_int_eq(api_int(&api, "/stored"), 2);
    api_ok(&api, "GET", ONE "/documents/b?vectors&model=m@2", NULL);
    ck_assert_double_eq(api_number(&api, "/vector/2"), 6.0);
    inv_buf_release(&frames);
    frames = begin_frames();
    put_frame(&frames, "a", 2, 3, rows, "");
    ck_assert_int_eq(send_frames(MANY "/models/t@2/vectors", &frames, 0), 200);
    api_ok(&api, "GET", MANY "/documents/a?vectors&model=t@2", NULL);
    ck_assert_uint_eq(api_size(&api, "/vectors"), 2);
    ck_assert_double_eq(api_number(&api, "/vectors/1/0"), 4.0);
    inv_buf_release(&frames);
}
END_TEST

START_TEST(frames_that_are_none_are_refused) {
    static const float rows[] = {1, 2, 3, 4, 5, 6};
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    char *before = models_state(&api, "one");
    struct inv_buf frames = begin_frames();
    send_frames(M2 "/vectors", &frames, 0);
    api_refused(&api, 400, "invalid_request", NULL, "longer than 8|has 8");
    put_frame(&frames, "a", 1, 3, rows, "");
    send_frames(M2 "/vectors", &frames, 5);
    api_refused(&api, 400, "invalid_request", NULL, "item 1|needed");
    put_frame(&frames, "a", 1, 3, rows, "");
    send_frames(M2 "/vectors", &frames, 0);
    api_refused(&api, 400, "invalid_request", "/vectors/1/id",
                "\"a\"|vector 0|vector 1");
    inv_buf_release(&frames);
    frames = begin_frames();
    put_frame(&frames, "a", 1, 3, rows, "{}");
    send_frames(M2 "/vectors", &frames, 0);
    api_refused(&api, 400, "invalid_request", NULL, "item 1|2 bytes|0 bytes");
    inv_buf_release(&frames);
    frames = begin_frames();
    put_frame(&frames, "a", 2, 3, rows, "");
    send_frames(M2 "/vectors", &frames, 0);
    api_refused(&api, 400, "invalid_request", NULL, "1 vector|2");
    inv_buf_release(&frames);
    char *after = models_state(&api, "one");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_model_is_registered_once_and_the_same_body_changes_nothing,
        another_body_for_a_model_that_is_there_is_a_conflict,
        what_a_model_leaves_out_is_derived_from_the_collection,
        a_ninth_model_is_refused_with_both_numbers,
        a_registration_that_does_not_fit_is_refused,
        a_model_is_forgotten_only_when_nothing_needs_it,
        vectors_are_stored_beside_and_documents_stay_as_they_are,
        posting_vectors_again_changes_nothing_and_others_replace,
        each_vector_has_its_own_result,
        the_vector_of_a_document_of_that_model_is_its_own,
        one_bad_vector_refuses_the_whole_request,
        a_model_that_promises_length_1_refuses_other_lengths,
        the_built_in_models_take_text,
        vectors_come_as_frames_too,
        frames_that_are_none_are_refused,
    };
    return api_run_tests("models over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
