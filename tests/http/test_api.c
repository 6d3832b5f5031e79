/*
 * test_api.c: collections, aliases, keys, routes, jobs and health over real
 * HTTP. Documents, bulk, searches and bad input have programs of their own.
 */
#include "tests/support/api.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define C "/v1/collections/c"
#define BODY "{\"kind\":\"single\",\"dim\":2}"
#define REBUILD "/v1/admin/collections/c/rebuild"

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

static int get(const char *path) { return api_do(&api, "GET", path, NULL); }

/* ---- collections ---- */

START_TEST(a_collection_is_created_once_and_put_again_with_the_same_body) {
    ck_assert_int_eq(api_do(&api, "PUT", C, BODY), 201);
    ck_assert_str_eq(api_string(&api, "/name"), "c");
    ck_assert_str_eq(api_string(&api, "/state"), "ready");
    ck_assert_int_eq(api_int(&api, "/documents"), 0);
    ck_assert_str_eq(api_string(&api, "/settings/metric"), "cosine");
    ck_assert_int_eq(api_do(&api, "PUT", C, BODY), 200);
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2]}]}");
    api_do(&api, "PUT", C, "{\"kind\":\"single\",\"dim\":3}");
    api_refused(&api, 409, "conflict", NULL, "c|other settings");
    /* the same settings in other words are another body */
    api_do(&api, "PUT", C, "{\"dim\":2,\"kind\":\"single\"}");
    api_refused(&api, 409, "conflict", NULL, "c|other settings");
    ck_assert_int_eq(get(C), 200);
    ck_assert_int_eq(api_int(&api, "/documents"), 1);
    ck_assert_int_eq(api_int(&api, "/settings/dim"), 2);
    api_restart(&api);
    ck_assert_int_eq(api_do(&api, "PUT", C, BODY), 200);
    ck_assert_int_eq(api_int(&api, "/documents"), 1);
}
END_TEST

START_TEST(a_collection_shows_counts_bytes_segments_and_state) {
    api_ok(&api, "PUT", C, BODY);
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2]},"
           "{\"id\":2,\"vector\":[2,2]}]}");
    api_ok(&api, "DELETE", C "/documents/2", NULL);
    ck_assert_int_eq(get(C), 200);
    ck_assert_int_eq(api_int(&api, "/documents"), 1);
    ck_assert_int_gt(api_int(&api, "/bytes/vectors"), 0);
    ck_assert_int_gt(api_int(&api, "/bytes/index"), 0);
    ck_assert_uint_eq(api_size(&api, "/segments"), 1);
    ck_assert_int_eq(api_int(&api, "/segments/0/entries"), 2);
    ck_assert_int_eq(api_int(&api, "/segments/0/live"), 1);
    ck_assert_str_eq(api_string(&api, "/segments/0/index"), "flat");
    api_ok(&api, "PUT", "/v1/collections/a", BODY);
    api_ok(&api, "PUT", "/v1/collections/b", BODY);
    api_ok(&api, "DELETE", C, NULL);
    ck_assert_int_eq(get("/v1/collections"), 200);
    ck_assert_uint_eq(api_size(&api, "/collections"), 2);
    ck_assert_str_eq(api_string(&api, "/collections/0/name"), "a");
    ck_assert_str_eq(api_string(&api, "/collections/1/name"), "b");
}
END_TEST

START_TEST(a_deleted_collection_is_gone_and_its_name_is_free) {
    api_ok(&api, "PUT", C, BODY);
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2]}]}");
    api_ok(&api, "DELETE", C, NULL);
    get(C);
    api_refused(&api, 404, "not_found", NULL, "\"c\"");
    api_do(&api, "DELETE", C, NULL);
    api_refused(&api, 404, "not_found", NULL, "\"c\"");
    ck_assert_int_eq(api_do(&api, "PUT", C, "{\"kind\":\"single\",\"dim\":3}"),
                     201);
    ck_assert_int_eq(api_int(&api, "/documents"), 0);
}
END_TEST

START_TEST(settings_that_do_not_fit_are_refused) {
    static const struct {
        const char *body, *code, *pointer, *pieces;
    } cases[] = {
        {"{\"dim\":2}", "invalid_request", "/kind", "single|multi"},
        {"{\"kind\":\"single\"}", "invalid_request", "/dim", "1 to 16384"},
        {"{\"kind\":\"single\",\"dim\":16385}", "invalid_request", "/dim",
         "16384|16385"},
        {"{\"kind\":\"single\",\"dim\":0}", "invalid_request", "/dim",
         "from 1|got 0"},
        {"{\"kind\":\"multi\",\"dim\":2,\"metric\":\"l2\"}", "invalid_request",
         "/metric", "l2"},
        {"{\"kind\":\"single\",\"dim\":2,\"metric\":\"dot\"}",
         "invalid_request", "/metric", "dot|cosine, ip, l2"},
        {"{\"kind\":\"single\",\"dim\":2,\"index\":{\"type\":\"lsh\"}}",
         "invalid_request", "/index/type", "lsh|hnsw"},
        {"{\"kind\":\"single\",\"dim\":8,\"encoder\":{\"type\":"
         "\"matryoshka\",\"dims\":[4,2]}}",
         "invalid_request", "/encoder/dims/1", "2|4"},
        {"{\"kind\":\"single\",\"dim\":8,\"encoder\":{\"type\":"
         "\"matryoshka\",\"dims\":[2,4],\"index_dims\":3}}",
         "invalid_request", "/encoder/index_dims", "3"},
        {"{\"kind\":\"single\",\"dim\":8,\"encoder\":{\"type\":\"muvera\"}}",
         "invalid_request", "/encoder/type", "single|muvera"},
        {"{\"kind\":\"single\",\"dim\":8,\"params\":{\"dims\":[4,8]}}",
         "dimension_mismatch", "/params/dims/0", "4|8"},
        {"{\"kind\":\"single\",\"dim\":8,\"params\":{\"candidates\":0}}",
         "invalid_request", "/params/candidates", "from 1|got 0"},
        {"{\"kind\":\"single\",\"dim\":8,\"tokens\":{\"dtype\":\"i8\"}}",
         "invalid_request", "/tokens", "multi"},
        {"{\"kind\":\"single\",\"dim\":8,\"model\":{\"name\":\"static\","
         "\"revision\":\"2\"}}",
         "invalid_request", "/model", "static@2"},
        {"[]", "invalid_request", NULL, "object"},
        {"", "malformed_json", NULL, "at byte 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        api_do(&api, "PUT", C, "%s", cases[i].body);
        api_refused(&api, 400, cases[i].code, cases[i].pointer,
                    cases[i].pieces);
    }
    ck_assert_int_eq(get("/v1/collections"), 200);
    ck_assert_uint_eq(api_size(&api, "/collections"), 0);
}
END_TEST

START_TEST(names_have_1_to_64_plain_characters) {
    char path[128] = "/v1/collections/";
    memset(path + strlen(path), 'n', 65);
    api_do(&api, "PUT", path, BODY);
    api_refused(&api, 400, "invalid_request", NULL, "64|65");
    api_do(&api, "PUT", "/v1/collections/a%2fb", BODY);
    api_refused(&api, 400, "invalid_request", NULL, "character 2");
    path[16 + 64] = '\0';
    ck_assert_int_eq(api_do(&api, "PUT", path, BODY), 201);
    ck_assert_int_eq(get(path), 200);
}
END_TEST

START_TEST(a_patch_changes_params_fields_and_require_model_only) {
    api_ok(&api, "PUT", C, BODY);
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2],\"payload\":"
           "{\"year\":1999,\"lang\":\"en\"}}]}");
    api_ok(&api, "PATCH", C,
           "{\"params\":{\"candidates\":77},\"payload_index\":"
           "{\"year\":\"integer\"},\"require_model\":true}");
    ck_assert_int_eq(api_int(&api, "/settings/params/candidates"), 77);
    ck_assert_str_eq(api_string(&api, "/settings/payload_index/year"),
                     "integer");
    api_do(&api, "PATCH", C, "{\"payload_index\":{\"lang\":\"integer\"}}");
    api_refused(&api, 400, "invalid_request", "/payload_index",
                "\"1\"|lang|integer|a string");
    api_do(&api, "PATCH", C, "{\"params\":{\"dims\":[1]}}");
    api_refused(&api, 400, "dimension_mismatch", "/params/dims/0", "1|2");
    api_do(&api, "PATCH", C, "{\"dim\":3}");
    api_refused(&api, 400, "invalid_request", "/dim", "unknown");
    ck_assert_int_eq(get(C), 200);
    ck_assert_uint_eq(api_size(&api, "/settings/payload_index"), 1);
    ck_assert_int_eq(api_int(&api, "/settings/params/candidates"), 77);
    api_restart(&api);
    ck_assert_int_eq(get(C), 200);
    ck_assert_int_eq(api_int(&api, "/settings/params/candidates"), 77);
    api_ok(&api, "POST", C "/documents/count",
           "{\"filter\":{\"must\":[{\"key\":\"year\",\"match\":1999}]}}");
    ck_assert_int_eq(api_int(&api, "/count"), 1);
}
END_TEST

START_TEST(a_collection_that_requires_the_model_refuses_unlabelled_requests) {
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":2,\"require_model\":true,"
           "\"model\":{\"name\":\"m\",\"revision\":\"3\"}}");
    api_do(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2]}]}");
    api_refused(&api, 400, "invalid_request", "/documents/0/model", "m@3");
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2],\"model\":\"m@3\"}]}");
    api_do(&api, "POST", C "/search", "{\"vector\":[1,2]}");
    api_refused(&api, 400, "invalid_request", "/model", "m@3");
    api_ok(&api, "POST", C "/search", "{\"vector\":[1,2],\"model\":\"m@3\"}");
    ck_assert_str_eq(api_string(&api, "/model"), "m@3");
    ck_assert_uint_eq(api_size(&api, "/hits"), 1);
    api_ok(&api, "POST", C "/recall", "{}");
    ck_assert_int_eq(api_int(&api, "/queries"), 1);
    api_do(&api, "POST", C "/recall", "{\"queries\":[{\"vector\":[1,2]}]}");
    api_refused(&api, 400, "invalid_request", "/model", "m@3");
}
END_TEST

/* ---- aliases ---- */

START_TEST(an_alias_leads_to_its_collection_and_moves_at_once) {
    api_ok(&api, "PUT", C, BODY);
    api_ok(&api, "PUT", "/v1/collections/d", BODY);
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[1,2]}]}");
    api_ok(&api, "PUT", "/v1/aliases/live", "{\"collection\":\"c\"}");
    ck_assert_int_eq(get("/v1/collections/live"), 200);
    ck_assert_str_eq(api_string(&api, "/name"), "c");
    api_ok(&api, "POST", "/v1/collections/live/search", "{\"vector\":[1,2]}");
    ck_assert_uint_eq(api_size(&api, "/hits"), 1);
    api_ok(&api, "PUT", "/v1/aliases/live", "{\"collection\":\"d\"}");
    api_restart(&api);
    ck_assert_int_eq(get("/v1/aliases/live"), 200);
    ck_assert_str_eq(api_string(&api, "/collection"), "d");
    ck_assert_int_eq(get("/v1/aliases"), 200);
    ck_assert_uint_eq(api_size(&api, "/aliases"), 1);
    api_ok(&api, "DELETE", "/v1/aliases/live", NULL);
    get("/v1/aliases/live");
    api_refused(&api, 404, "not_found", NULL, "live");
    api_do(&api, "DELETE", "/v1/aliases/live", NULL);
    api_refused(&api, 404, "not_found", NULL, "live");
}
END_TEST

START_TEST(an_alias_and_a_collection_may_not_share_a_name) {
    api_ok(&api, "PUT", C, BODY);
    api_ok(&api, "PUT", "/v1/collections/d", BODY);
    api_do(&api, "PUT", "/v1/aliases/c", "{\"collection\":\"d\"}");
    api_refused(&api, 409, "conflict", NULL, "c|shadow");
    api_ok(&api, "PUT", "/v1/aliases/live", "{\"collection\":\"c\"}");
    api_do(&api, "PUT", "/v1/collections/live", BODY);
    api_refused(&api, 409, "conflict", NULL, "live|alias");
    api_do(&api, "DELETE", "/v1/collections/live", NULL);
    api_refused(&api, 409, "conflict", NULL, "live|alias");
    api_do(&api, "PUT", "/v1/aliases/other", "{\"collection\":\"live\"}");
    api_refused(&api, 404, "not_found", NULL, "live");
    api_do(&api, "PUT", "/v1/aliases/other", "{}");
    api_refused(&api, 400, "invalid_request", "/collection", "missing");
    api_ok(&api, "DELETE", C, NULL);
    ck_assert_int_eq(get("/v1/aliases"), 200);
    ck_assert_uint_eq(api_size(&api, "/aliases"), 0);
}
END_TEST

/* ---- routes and keys ---- */

START_TEST(an_unknown_route_is_not_found) {
    static const char *const paths[] = {"/",
                                        "/v2",
                                        "/v1/collectons",
                                        "/v1/collections/",
                                        C "/serach",
                                        "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        get(paths[i]);
        api_refused(&api, 404, "not_found", NULL, "");
    }
}
END_TEST

START_TEST(another_method_is_refused_and_the_known_ones_are_named) {
    api_do(&api, "POST", C, "{}");
    api_refused(&api, 405, "method_not_allowed", NULL, "POST");
    ck_assert_str_eq(raw_header(&api.reply, "Allow"),
                     "GET, PUT, PATCH, DELETE, HEAD");
    api_do(&api, "GET", C "/search", NULL);
    api_refused(&api, 405, "method_not_allowed", NULL, "GET");
    ck_assert_str_eq(raw_header(&api.reply, "Allow"), "POST");
}
END_TEST

START_TEST(head_answers_like_get_without_a_body) {
    api_ok(&api, "PUT", C, BODY);
    ck_assert_int_eq(get("/v1/aliases"), 200);
    char length[32];
    snprintf(length, sizeof length, "%s",
             raw_header(&api.reply, "Content-Length"));
    ck_assert_int_eq(api_do(&api, "HEAD", "/v1/aliases", NULL), 200);
    ck_assert_str_eq(raw_header(&api.reply, "Content-Length"), length);
    ck_assert_int_eq(api_do(&api, "HEAD", C, NULL), 200);
    ck_assert_int_eq(api_do(&api, "HEAD", "/livez", NULL), 200);
    ck_assert_int_eq(api_do(&api, "HEAD", "/v1/collections/d", NULL), 404);
    ck_assert_int_eq(get(C), 200); /* the connection is still in step */
}
END_TEST

START_TEST(a_request_id_is_echoed_or_made) {
    struct api_request request = {.method = "GET",
                                  .path = "/v1/collections/none",
                                  .headers = "X-Request-ID: abc-1\r\n"};
    api_send(&api, &request);
    ck_assert_str_eq(raw_header(&api.reply, "X-Request-ID"), "abc-1");
    ck_assert_str_eq(api_string(&api, "/request_id"), "abc-1");
    ck_assert_int_eq(get("/v1"), 200);
    ck_assert_uint_eq(strlen(raw_header(&api.reply, "X-Request-ID")), 32);
}
END_TEST

static void with_header(const char *method, const char *path,
                        const char *header, const char *body) {
    struct api_request request = {.method = method,
                                  .path = path,
                                  .headers = header,
                                  .body = body,
                                  .len = body == NULL ? 0 : strlen(body)};
    api_send(&api, &request);
}

START_TEST(without_the_right_key_nothing_but_health_is_answered) {
    static const char *const wrong[] = {
        NULL,
        "Authorization: Bearer secre\r\n",
        "Authorization: Bearer secrets\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic secret\r\n",
        "X-API-Key: Secret\r\n",
    };
    static const char *const right[] = {"Authorization: Bearer secret\r\n",
                                        "Authorization: bearer secret\r\n",
                                        "X-API-Key: secret\r\n"};
    api.app->config.key = "secret";
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        with_header("PUT", C, wrong[i], BODY);
        api_refused(&api, 401, "unauthorized", NULL, "key");
        ck_assert_str_eq(raw_header(&api.reply, "WWW-Authenticate"), "Bearer");
        with_header("GET", "/v1/collections", wrong[i], NULL);
        api_refused(&api, 401, "unauthorized", NULL, "key");
        with_header("POST", C "/documents/bulk", wrong[i], "x");
        api_refused(&api, 401, "unauthorized", NULL, "key");
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        with_header("GET", "/v1/collections", right[i], NULL);
        ck_assert_int_eq(api.reply.status, 200);
        ck_assert_uint_eq(api_size(&api, "/collections"), 0);
    }
    ck_assert_int_eq(get("/livez"), 200);
    ck_assert_int_eq(get("/readyz"), 200);
    ck_assert_int_eq(get("/metrics"), 200);
}
END_TEST

/* ---- health ---- */

START_TEST(health_says_alive_ready_and_counts) {
    api_ok(&api, "PUT", C, BODY);
    ck_assert_int_eq(get("/livez?verbose"), 200);
    ck_assert_str_eq(api_string(&api, "/status"), "alive");
    ck_assert_int_eq(get("/readyz"), 200);
    ck_assert_str_eq(api_string(&api, "/collections/0/state"), "ready");
    ck_assert_int_eq(get("/metrics"), 200);
    ck_assert_ptr_nonnull(
        strstr(raw_header(&api.reply, "Content-Type"), "version=0.0.4"));
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "invar_requests_total{route=\"collection.put\","
                               "status=\"201\"} 1"));
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "invar_documents{collection=\"c\"} 0"));
    ck_assert_int_eq(get("/v1"), 200);
    ck_assert_str_eq(api_string(&api, "/version"), INV_VERSION);
}
END_TEST

/* ---- jobs ---- */

/* Enough vectors to keep the builder busy for a while. */
static void fill_slow(void) {
    struct inv_buf body = INV_BUF_INIT;
    uint32_t state = 1;
    api_ok(&api, "PUT", C, "{\"kind\":\"single\",\"dim\":64}");
    for (int batch = 0; batch < 2; batch++) {
        inv_buf_reset(&body);
        inv_buf_puts(&body, "{\"documents\":[");
        for (int i = 0; i < 2000; i++) {
            inv_buf_printf(&body, "%s{\"id\":%d,\"vector\":[", i ? "," : "",
                           batch * 2000 + i);
            for (int k = 0; k < 64; k++) {
                state = state * 1664525 + 1013904223;
                inv_buf_printf(&body, "%s%d", k ? "," : "",
                               (int)(state >> 24) - 128);
            }
            inv_buf_puts(&body, "]}");
        }
        inv_buf_puts(&body, "]}");
        api_ok(&api, "PUT", C "/documents", "%s", body.data);
    }
    inv_buf_release(&body);
}

static const char slow[] = "{\"index\":{\"type\":\"hnsw\",\"m\":32,"
                           "\"ef_construction\":800}}";

START_TEST(a_second_job_is_a_conflict_that_names_the_first) {
    fill_slow();
    ck_assert_int_eq(api_do(&api, "POST", REBUILD, slow), 202);
    char id[32], place[64];
    snprintf(id, sizeof id, "%s", api_string(&api, "/id"));
    snprintf(place, sizeof place, "/v1/jobs/%s", id);
    ck_assert_str_eq(raw_header(&api.reply, "Location"), place);
    ck_assert_str_eq(api_string(&api, "/kind"), "rebuild");
    snprintf(place, sizeof place, "job %s (rebuild)|collection c", id);
    api_do(&api, "POST", REBUILD, "{}");
    api_refused(&api, 409, "conflict", NULL, place);
    api_do(&api, "POST", "/v1/admin/collections/c/compact", NULL);
    api_refused(&api, 409, "conflict", NULL, place);
    snprintf(place, sizeof place, "/v1/jobs/%s", id);
    ck_assert_int_eq(get(place), 200);
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_str_eq(api_string(&api, "/result/index"), "hnsw");
    ck_assert_int_eq(get(C), 200);
    ck_assert_str_eq(api_string(&api, "/segments/0/index"), "hnsw");
    ck_assert_str_eq(api_string(&api, "/settings/index/type"), "hnsw");
    api_rebuild(&api, "c", "{\"index\":{\"type\":\"flat\"}}");
}
END_TEST

START_TEST(a_cancelled_job_leaves_the_index_as_it_was) {
    fill_slow();
    api_ok(&api, "POST", REBUILD, slow);
    char place[64];
    snprintf(place, sizeof place, "/v1/jobs/%s", api_string(&api, "/id"));
    ck_assert_int_eq(api_do(&api, "DELETE", place, NULL), 202);
    ck_assert_str_eq(api_wait_job(&api), "cancelled");
    api_do(&api, "DELETE", place, NULL);
    api_refused(&api, 409, "conflict", NULL, "cancelled");
    ck_assert_int_eq(get(C), 200);
    ck_assert_str_eq(api_string(&api, "/settings/index/type"), "auto");
    ck_assert_int_eq(api_int(&api, "/documents"), 4000);
}
END_TEST

START_TEST(a_job_survives_a_restart) {
    fill_slow();
    api_ok(&api, "POST", REBUILD, slow);
    char place[64];
    snprintf(place, sizeof place, "/v1/jobs/%s", api_string(&api, "/id"));
    api_restart(&api);
    ck_assert_int_eq(get(place), 200);
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_int_eq(get(C), 200);
    ck_assert_str_eq(api_string(&api, "/segments/0/index"), "hnsw");
}
END_TEST

START_TEST(an_idempotency_key_gives_the_first_job_again) {
    const char *key = "Idempotency-Key: k1\r\n";
    api_ok(&api, "PUT", C, BODY);
    with_header("POST", REBUILD, key, "{}");
    ck_assert_int_eq(api.reply.status, 202);
    char id[32];
    snprintf(id, sizeof id, "%s", api_string(&api, "/id"));
    with_header("POST", REBUILD, key, "{}");
    ck_assert_int_eq(api.reply.status, 202);
    ck_assert_str_eq(api_string(&api, "/id"), id);
    with_header("POST", REBUILD, key, "{\"index\":{\"type\":\"hnsw\"}}");
    api_refused(&api, 409, "conflict", NULL, "Idempotency-Key");
    ck_assert_int_eq(get("/v1/jobs"), 200);
    ck_assert_uint_eq(api_size(&api, "/jobs"), 1);
}
END_TEST

START_TEST(bad_jobs_are_refused_when_they_are_asked_for) {
    api_ok(&api, "PUT", C, BODY);
    api_do(&api, "POST", REBUILD, "{\"index\":{\"type\":\"lsh\"}}");
    api_refused(&api, 400, "invalid_request", "/index/type", "lsh");
    api_do(&api, "POST", REBUILD, "{\"idx\":{}}");
    api_refused(&api, 400, "invalid_request", "/idx", "idx");
    api_do(&api, "POST", REBUILD, "{\"encoder\":{\"type\":\"muvera\"}}");
    api_refused(&api, 400, "invalid_request", "/encoder/type", "muvera");
    api_do(&api, "POST", REBUILD, "{\"index\":{\"pq_bits\":5}}");
    api_refused(&api, 400, "invalid_request", "/index/pq_bits", "4 or 8|5");
    api_do(&api, "POST", "/v1/admin/collections/c/compact", "{\"a\":1}");
    api_refused(&api, 400, "invalid_request", "/a", "unknown");
    get("/v1/jobs/77");
    api_refused(&api, 404, "not_found", NULL, "77");
    get("/v1/jobs/x");
    api_refused(&api, 404, "not_found", NULL, "x");
    ck_assert_int_eq(get("/v1/jobs"), 200);
    ck_assert_uint_eq(api_size(&api, "/jobs"), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_collection_is_created_once_and_put_again_with_the_same_body,
        a_collection_shows_counts_bytes_segments_and_state,
        a_deleted_collection_is_gone_and_its_name_is_free,
        settings_that_do_not_fit_are_refused,
        names_have_1_to_64_plain_characters,
        a_patch_changes_params_fields_and_require_model_only,
        a_collection_that_requires_the_model_refuses_unlabelled_requests,
        an_alias_leads_to_its_collection_and_moves_at_once,
        an_alias_and_a_collection_may_not_share_a_name,
        an_unknown_route_is_not_found,
        another_method_is_refused_and_the_known_ones_are_named,
        head_answers_like_get_without_a_body,
        a_request_id_is_echoed_or_made,
        without_the_right_key_nothing_but_health_is_answered,
        health_says_alive_ready_and_counts,
        a_second_job_is_a_conflict_that_names_the_first,
        a_cancelled_job_leaves_the_index_as_it_was,
        a_job_survives_a_restart,
        an_idempotency_key_gives_the_first_job_again,
        bad_jobs_are_refused_when_they_are_asked_for,
    };
    return api_run_tests("the API over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
