/*
 * test_api_upgrade.c: a collection with two models over real HTTP: documents
 * of either, queries for fits, and the steps from one model to the other. What
 * adapters do is tested elsewhere.
 */
#include "server/app.h"
#include "server/upgrade/swap.h"
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
    api_start(&api);
    models_make(&api);
    api_ok(&api, "PUT", M2, "{\"dim\":3}");
    api_ok(&api, "PUT", MANY "/models/t@2", "{\"dim\":2}");
}

static void teardown(void) { api_stop(&api); }

static void refused(const char *method, const char *path, const char *body,
                    int status, const char *code, const char *pointer,
                    const char *pieces) {
    models_refused(&api, method, path, body, status, code, pointer, pieces);
}

/* "a" and "b" of "one" get a vector of m@2. */
static void cover_two(void) {
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[1,0,0]},"
           "{\"id\":\"b\",\"vector\":[0,1,0]}]}");
}

static int64_t count_of(const char *model, const char *what) {
    char path[64];
    char pointer[32];
    snprintf(path, sizeof path, ONE "/models/%s", model);
    snprintf(pointer, sizeof pointer, "/%s", what);
    api_ok(&api, "GET", path, NULL);
    return api_int(&api, pointer);
}

/* ---- documents ---- */

START_TEST(writes_without_a_model_are_refused_once_there_are_two) {
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"a\",\"vector\":[1,0,0,0],"
            "\"model\":\"m@1\"},{\"id\":\"d\",\"vector\":[1,0,0,0]}]}",
            409, "space_mismatch", "/documents/1/model",
            "name the model: m@1, m@2 are known");
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"d\",\"vector\":[1,0,0,0],"
            "\"model\":\"m@3\"}]}",
            409, "space_mismatch", "/documents/0/model", "m@3|m@1, m@2");
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"d\",\"vector\":[1,0,0,0],"
            "\"model\":\"m\"}]}",
            409, "space_mismatch", "/documents/0/model",
            "\"m\"|2 models|m@1, m@2");
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"d\",\"vector\":[1,0,0,0],"
            "\"model\":\"m@2\"}]}",
            400, "dimension_mismatch", "/documents/0/vector",
            "expected 3 dimensions|got 4");
}
END_TEST

START_TEST(bulk_takes_the_model_of_each_item_or_of_all) {
    static const char lines[] =
        "{\"id\":\"x\",\"vector\":[1,0,0],\"model\":\"m@2\"}\n"
        "{\"id\":\"y\",\"vector\":[1,0,0]}\n"
        "{\"id\":\"z\",\"vector\":[1,0,0,1],\"model\":\"m@1\"}\n";
    struct api_request request = {.method = "POST",
                                  .path = ONE "/documents/bulk",
                                  .type = "application/x-ndjson",
                                  .body = lines,
                                  .len = sizeof lines - 1};
    ck_assert_int_eq(api_send(&api, &request), 200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 2);
    ck_assert_int_eq(api_int(&api, "/failed"), 1);
    ck_assert_str_eq(api_string(&api, "/errors/0/code"), "space_mismatch");
    ck_assert_str_eq(api_string(&api, "/errors/0/pointer"), "/model");
    request.path = ONE "/documents/bulk?model=m@2";
    ck_assert_int_eq(api_send(&api, &request), 200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 3);
    ck_assert_int_eq(count_of("m@2", "vectors"), 2);
    ck_assert_int_eq(count_of("m@1", "vectors"), 4);
    request.path = ONE "/documents/bulk?model=m@7";
    api_send(&api, &request);
    api_refused(&api, 409, "space_mismatch", NULL, "m@7|m@1, m@2");
}
END_TEST

START_TEST(a_put_replaces_the_vectors_of_every_model) {
    cover_two();
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"a\",\"vector\":[0,0,0,1],"
           "\"model\":\"m@1\"}]}");
    refused("GET", ONE "/documents/a?model=m@2", NULL, 404, "not_found", NULL,
            "\"a\"|m@2");
    ck_assert_int_eq(count_of("m@2", "vectors"), 1);
    /* and the other way round: of the new model alone */
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"b\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    refused("GET", ONE "/documents/b?model=m@1", NULL, 404, "not_found", NULL,
            "\"b\"|m@1");
    api_ok(&api, "GET", ONE "/documents/b?vectors", NULL);
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    ck_assert_double_eq(api_number(&api, "/vector/2"), 1.0);
    ck_assert_int_eq(count_of("m@1", "vectors"), 2);
    ck_assert_int_eq(count_of("m@2", "alone"), 1);
    api_ok(&api, "GET", ONE "/documents/b?model=m@2", NULL);
    refused("GET", ONE "/documents/b?model=m@3", NULL, 409, "space_mismatch",
            NULL, "m@3|m@1, m@2");
}
END_TEST

START_TEST(deleting_a_document_deletes_its_vectors_of_every_model) {
    cover_two();
    api_ok(&api, "DELETE", ONE "/documents/a", NULL);
    ck_assert_int_eq(api_do(&api, "GET", ONE "/documents/a", NULL), 404);
    ck_assert_int_eq(count_of("m@2", "vectors"), 1);
    ck_assert_int_eq(count_of("m@1", "vectors"), 2);
    api_ok(&api, "POST", ONE "/documents/delete",
           "{\"filter\":{\"must\":[{\"key\":\"lang\",\"match\":\"en\"}]}}");
    ck_assert_int_eq(api_int(&api, "/deleted"), 1);
    ck_assert_int_eq(count_of("m@2", "vectors"), 0);
    ck_assert_int_eq(count_of("m@1", "vectors"), 1);
}
END_TEST

START_TEST(a_patch_leaves_the_vectors_of_every_model) {
    cover_two();
    api_ok(&api, "PATCH", ONE "/documents/a",
           "{\"payload\":{\"lang\":\"de\"}}");
    api_ok(&api, "GET", ONE "/documents/a?model=m@2&vectors", NULL);
    ck_assert_double_eq(api_number(&api, "/vector/0"), 1.0);
    ck_assert_str_eq(api_string(&api, "/payload/lang"), "de");
    /* its vectors are not stale: the document is the same */
    api_ok(&api, "POST", M2 "/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vector\":[0,0,1],\"seq\":1}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
    /* a document of the new model is found by its payload too */
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\",\"payload\":{\"lang\":\"de\"}}]}");
    api_ok(&api, "POST", ONE "/documents/count",
           "{\"filter\":{\"must\":[{\"key\":\"lang\",\"match\":\"de\"}]}}");
    ck_assert_int_eq(api_int(&api, "/count"), 2);
}
END_TEST

START_TEST(each_document_is_counted_and_listed_once) {
    cover_two();
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    api_ok(&api, "POST", ONE "/documents/count", "{}");
    ck_assert_int_eq(api_int(&api, "/count"), 4);
    api_ok(&api, "POST", ONE "/documents/scroll",
           "{\"with\":{\"vectors\":true}}");
    ck_assert_uint_eq(api_size(&api, "/documents"), 4);
    ck_assert_str_eq(api_string(&api, "/documents/0/model"), "m@1");
    ck_assert_str_eq(api_string(&api, "/documents/3/id"), "n");
    ck_assert_str_eq(api_string(&api, "/documents/3/model"), "m@2");
    ck_assert_uint_eq(api_size(&api, "/documents/3/vector"), 3);
    api_ok(&api, "GET", ONE, NULL);
    ck_assert_int_eq(api_int(&api, "/documents"), 4);
    api_ok(&api, "POST", ONE "/documents/delete",
           "{\"filter\":{\"must_not\":[{\"key\":\"lang\",\"match\":\"en\"}]},"
           "\"dry_run\":true}");
    ck_assert_int_eq(api_int(&api, "/matched"), 3);
}
END_TEST

START_TEST(a_restart_and_a_rebuild_keep_everything) {
    cover_two();
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    api_ok(&api, "POST", MANY "/models/t@2/vectors",
           "{\"vectors\":[{\"id\":\"a\",\"vectors\":[[1,0],[0,1],[1,1]]}]}");
    api_ok(&api, "POST", M2 "/queries",
           "{\"queries\":[{\"id\":\"q\",\"vector\":[1,0,0],"
           "\"relevant\":[\"a\"]}]}");
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"m@2\",\"mode\":\"shadow\"}");
    char *before[2] = {models_state(&api, "one"), models_state(&api, "many")};
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            api_rebuild(&api, "one", NULL);
            api_rebuild(&api, "many", NULL);
        }
        api_restart(&api);
        char *after[2] = {models_state(&api, "one"),
                          models_state(&api, "many")};
        for (int i = 0; i < 2; i++) {
            ck_assert_str_eq(after[i], before[i]);
            free(after[i]);
        }
    }
    free(before[0]);
    free(before[1]);
}
END_TEST

/* ---- queries ---- */

START_TEST(queries_are_kept_replaced_and_forgotten) {
    api_ok(&api, "POST", M2 "/queries",
           "{\"queries\":["
           "{\"id\":\"q1\",\"vector\":[1,2,3],\"old\":{\"model\":\"m@1\","
           "\"vector\":[1,2,3,4]},\"relevant\":[\"a\",7,\"not there\"],"
           "\"label\":\"de\"},"
           "{\"id\":2,\"vector\":[1,2,3],\"relevant\":[\"b\"],"
           "\"fit_only\":true},"
           "{\"id\":\"q3\",\"vector\":[1,2,3],\"old\":{\"model\":\"m@1\","
           "\"vector\":[4,3,2,1]}}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 3);
    ck_assert_int_eq(count_of("m@2", "queries"), 3);
    api_ok(&api, "POST", M2 "/queries",
           "{\"queries\":[{\"id\":\"2\",\"vector\":[3,2,1],"
           "\"relevant\":[\"c\"]}]}");
    ck_assert_int_eq(count_of("m@2", "queries"), 3);
    ck_assert_int_eq(count_of("m@1", "queries"), 0);
    api_restart(&api);
    ck_assert_int_eq(count_of("m@2", "queries"), 3);
    api_ok(&api, "DELETE", M2 "/queries", NULL);
    ck_assert_int_eq(api_int(&api, "/deleted"), 3);
    ck_assert_int_eq(count_of("m@2", "queries"), 0);
    api_ok(&api, "POST", MANY "/models/t@2/queries",
           "{\"queries\":[{\"id\":\"q\",\"vectors\":[[1,2],[3,4]],\"old\":"
           "{\"model\":\"t@1\",\"vectors\":[[1,2,3,4],[5,6,7,8]]}}]}");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
}
END_TEST

START_TEST(one_bad_query_refuses_the_whole_request) {
    static const char *const good =
        "{\"id\":\"q\",\"vector\":[1,0,0],\"relevant\":[\"a\"]}";
    static const struct {
        int status;
        const char *item, *code, *pointer, *pieces;
    } cases[] = {
        {400, "{\"id\":\"r\",\"vector\":[1,0,0]}", "invalid_request",
         "/queries/1", "\"old\"|\"relevant\"|none"},
        {400, "{\"id\":\"r\",\"vector\":[1,0],\"relevant\":[\"a\"]}",
         "dimension_mismatch", "/queries/1/vector", "expected 3|got 2"},
        {400, "{\"id\":\"r\",\"vector\":[0,0,0],\"relevant\":[\"a\"]}",
         "invalid_request", "/queries/1/vector", "zeros"},
        {400, "{\"id\":\"r\",\"relevant\":[\"a\"]}", "invalid_request",
         "/queries/1", "exactly one|none"},
        {400, "{\"id\":\"r\",\"vector\":[1,0,0],\"relevant\":[]}",
         "invalid_request", "/queries/1/relevant", "1 to 10000|0"},
        {400, "{\"id\":\"r\",\"vector\":[1,0,0],\"relevant\":[1.5]}",
         "invalid_request", "/queries/1/relevant/0", "a real number"},
        {400, "{\"id\":\"q\",\"vector\":[1,0,0],\"relevant\":[\"a\"]}",
         "invalid_request", "/queries/1/id", "query 0|query 1"},
        {400,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"old\":{\"model\":\"m@1\","
         "\"vector\":[1,0,0]}}",
         "dimension_mismatch", "/queries/1/old/vector", "expected 4|got 3"},
        {400,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"old\":{\"vector\":[1,0,0,0]}}",
         "invalid_request", "/queries/1/old/model", "\"model\""},
        {400, "{\"id\":\"r\",\"vector\":[1,0,0],\"old\":{\"model\":\"m@1\"}}",
         "invalid_request", "/queries/1/old", "exactly one|none"},
        {400,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"old\":{\"model\":\"m@2\","
         "\"vector\":[1,0,0]}}",
         "invalid_request", "/queries/1/old/model", "m@2"},
        {409,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"old\":{\"model\":\"m@9\","
         "\"vector\":[1,0,0]}}",
         "space_mismatch", "/queries/1/old/model", "m@9|m@1, m@2"},
        {400,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"relevant\":[\"a\"],"
         "\"fitonly\":true}",
         "invalid_request", "/queries/1/fitonly", "did you mean \"fit_only\""},
        {400,
         "{\"id\":\"r\",\"vector\":[1,0,0],\"relevant\":[\"a\"],"
         "\"label\":7}",
         "invalid_request", "/queries/1/label", "a string|an integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[400];
        snprintf(body, sizeof body, "{\"queries\":[%s,%s]}", good,
                 cases[i].item);
        refused("POST", M2 "/queries", body, cases[i].status, cases[i].code,
                cases[i].pointer, cases[i].pieces);
    }
    refused("POST", M2 "/queries", "{\"queries\":[]}", 400, "invalid_request",
            "/queries", "1 to 10000|0");
    refused("POST", ONE "/models/m@3/queries",
            "{\"queries\":[{\"id\":\"q\",\"vector\":[1,0,0],"
            "\"relevant\":[\"a\"]}]}",
            409, "space_mismatch", NULL, "m@3|m@1, m@2");
    refused("DELETE", ONE "/models/m@3/queries", NULL, 409, "space_mismatch",
            NULL, "m@3|m@1, m@2");
}
END_TEST

/* ---- steps ---- */

START_TEST(an_upgrade_begins_in_shadow_and_rolls_back) {
    cover_two();
    api_ok(&api, "GET", ONE "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "NONE");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@1");
    ck_assert_uint_eq(api_size(&api, "/journal"), 0);
    for (int i = 0; i < 2; i++) { /* again changes nothing */
        api_ok(&api, "POST", ONE "/activate",
               "{\"model\":\"m@2\",\"mode\":\"shadow\"}");
        ck_assert_str_eq(api_string(&api, "/state"), "SHADOW");
        ck_assert_str_eq(api_string(&api, "/model"), "m@2");
        ck_assert_str_eq(api_string(&api, "/query_model"), "m@1");
        ck_assert_int_eq(api_int(&api, "/documents"), 3);
        ck_assert_int_eq(api_int(&api, "/covered"), 2);
        ck_assert_double_eq_tol(api_number(&api, "/coverage"), 2.0 / 3, 1e-4);
        ck_assert(inv_json_bool(api_at(&api, "/can_roll_back")));
        ck_assert_uint_eq(api_size(&api, "/journal"), 1);
        ck_assert_str_eq(api_string(&api, "/journal/0/from/state"), "NONE");
        ck_assert_str_eq(api_string(&api, "/journal/0/to/state"), "SHADOW");
    }
    refused("DELETE", M2, NULL, 409, "conflict", NULL, "m@2|SHADOW");
    refused("DELETE", M2 "/vectors", NULL, 409, "conflict", NULL, "m@2|SHADOW");
    api_restart(&api);
    api_ok(&api, "POST", ONE "/rollback", "{}");
    ck_assert_str_eq(api_string(&api, "/state"), "NONE");
    ck_assert(!inv_json_bool(api_at(&api, "/can_roll_back")));
    ck_assert_uint_eq(api_size(&api, "/journal"), 2);
    refused("POST", ONE "/rollback", "{}", 409, "conflict", NULL, "NONE");
    /* what comes later is not what the journal speaks of, though the number of
     * the newest space is free again */
    api_ok(&api, "DELETE", MANY "/models/t@2", NULL);
    api_ok(&api, "DELETE", M2 "/vectors", NULL);
    api_ok(&api, "DELETE", M2, NULL);
    api_ok(&api, "PUT", ONE "/models/m@3", "{\"dim\":3}");
    api_ok(&api, "GET", ONE "/migration", NULL);
    size_t steps = api_size(&api, "/journal");
    ck_assert_uint_ge(steps, 2);
    for (size_t i = 0; i < steps; i++) {
        char at[40];
        snprintf(at, sizeof at, "/journal/%zu/to/model", i);
        ck_assert_int_eq(inv_json_kind(api_at(&api, at)), INV_JSON_NULL);
    }
}
END_TEST

START_TEST(a_step_that_is_not_permitted_is_refused) {
    static const char *const path = ONE "/activate";
    cover_two();
    refused("POST", path, "{\"model\":\"m@3\",\"mode\":\"shadow\"}", 409,
            "space_mismatch", NULL, "m@3|m@1, m@2");
    refused("POST", path, "{\"model\":\"m@1\",\"mode\":\"shadow\"}", 409,
            "conflict", NULL, "m@1");
    refused("POST", path, "{\"model\":\"m@2\",\"mode\":\"bridge\"}", 409,
            "conflict", NULL, "no adapter|m@2|m@1");
    refused("POST", path,
            "{\"model\":\"m@2\",\"mode\":\"cascade\",\"adapter\":\"x\"}", 404,
            "not_found", NULL, "\"x\"");
    refused("POST", path, "{\"model\":\"m@2\",\"mode\":\"swap\"}", 400,
            "invalid_request", "/mode", "cutover|swap");
    refused("POST", path, "{\"model\":\"m@2\"}", 400, "invalid_request",
            "/mode", "shadow|nothing");
    refused("POST", path, "{\"mode\":\"shadow\"}", 400, "invalid_request",
            "/model", "missing");
    refused("POST", path, "{\"model\":\"m@2\",\"mode\":\"shadow\",\"x\":1}",
            400, "invalid_request", "/x", "x");
    refused("POST", path, "{\"model\":\"m@2\",\"mode\":\"cutover\"}", 409,
            "conflict", NULL, "none|m@2");
    refused("POST", ONE "/rollback", "{\"to\":1}", 400, "invalid_request",
            "/to", "to");
    refused("GET", "/v1/collections/none/migration", NULL, 404, "not_found",
            NULL, "none");
    api_ok(&api, "POST", path, "{\"model\":\"m@2\",\"mode\":\"shadow\"}");
    refused("POST", path, "{\"model\":\"m@2\",\"mode\":\"cutover\"}", 409,
            "conflict", NULL, "2 of 3|m@2");
    refused("POST", path, "{\"model\":\"m@1\",\"mode\":\"cutover\"}", 409,
            "conflict", NULL, "m@1");
    api_ok(&api, "GET", "/v1/jobs", NULL);
    ck_assert_uint_eq(api_size(&api, "/jobs"), 0);
}
END_TEST

START_TEST(vectors_are_dropped_only_where_nothing_is_lost) {
    cover_two();
    refused("DELETE", ONE "/models/m@1/vectors", NULL, 409, "conflict", NULL,
            "m@1");
    refused("DELETE", ONE "/models/m@3/vectors", NULL, 409, "space_mismatch",
            NULL, "m@3|m@1, m@2");
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    refused("DELETE", M2 "/vectors", NULL, 409, "conflict", NULL,
            "1 documents");
    api_ok(&api, "DELETE", ONE "/documents/n", NULL);
    api_ok(&api, "DELETE", M2 "/vectors", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "NONE");
    ck_assert_int_eq(count_of("m@2", "vectors"), 0);
    ck_assert_int_eq(count_of("m@1", "vectors"), 3);
    api_restart(&api);
    ck_assert_int_eq(count_of("m@2", "vectors"), 0);
    cover_two();
    ck_assert_int_eq(count_of("m@2", "vectors"), 2);
}
END_TEST

/* Every document of "one" has a vector of m@2, and the gallery goes over. */
static void cut_over(const char *force) {
    cover_two();
    if (force == NULL)
        api_ok(&api, "POST", M2 "/vectors",
               "{\"vectors\":[{\"id\":\"c\",\"vector\":[0,0,1]}]}");
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"m@2\",\"mode\":\"shadow\"}");
    ck_assert_int_eq(api_do(&api, "POST", ONE "/activate",
                            "{\"model\":{\"name\":\"m\",\"revision\":\"2\"},"
                            "\"mode\":\"cutover\"%s}",
                            force == NULL ? "" : force),
                     202);
    ck_assert_str_eq(api_string(&api, "/kind"), "cutover");
    const char *state = api_wait_job(&api);
    ck_assert_msg(strcmp(state, "succeeded") == 0, "%s", api_body(&api));
    api_ok(&api, "GET", ONE "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "CUTOVER");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@2");
    ck_assert_str_eq(api_string(&api, "/query_model"), "m@2");
}

START_TEST(a_cutover_makes_the_new_model_the_gallery_and_can_be_undone) {
    char *before = api_state(&api, "one");
    cut_over(NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(count_of("m@2", "vectors"), 3);
        ck_assert(inv_json_bool(api_at(&api, "/gallery")));
        ck_assert_int_eq(count_of("m@1", "vectors"), 3);
        ck_assert(!inv_json_bool(api_at(&api, "/gallery")));
        api_ok(&api, "GET", ONE "/documents/c?vectors", NULL);
        ck_assert_str_eq(api_string(&api, "/model"), "m@2");
        ck_assert_uint_eq(api_size(&api, "/vector"), 3);
        api_ok(&api, "POST", ONE "/search", "{\"vector\":[0,0.1,1]}");
        ck_assert_str_eq(api_string(&api, "/hits/0/id"), "c");
        ck_assert_str_eq(api_string(&api, "/model"), "m@2");
        ck_assert_int_eq(api_do(&api, "PUT", M2, "{\"dim\":3}"), 200);
        ck_assert_int_eq(api_do(&api, "PUT", ONE "/models/m@1", "{\"dim\":4}"),
                         200);
        api_restart(&api);
    }
    api_ok(&api, "POST", ONE "/rollback", "{}");
    ck_assert_str_eq(api_string(&api, "/state"), "SHADOW");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@1");
    char *after = api_state(&api, "one");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
}
END_TEST

START_TEST(a_document_of_a_third_model_is_not_covered) {
    api_ok(&api, "PUT", ONE "/models/m@3", "{\"dim\":3}");
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"n\",\"vector\":[0,0,1],"
           "\"model\":\"m@2\"}]}");
    api_ok(&api, "POST", ONE "/models/m@3/vectors",
           "{\"vectors\":[{\"id\":\"n\",\"vector\":[0,0,1]},"
           "{\"id\":\"a\",\"vector\":[0,0,1]}]}");
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 3, 1e-4);
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"m@3\",\"mode\":\"shadow\"}");
    ck_assert_int_eq(api_int(&api, "/documents"), 4);
    ck_assert_int_eq(api_int(&api, "/covered"), 1);
    ck_assert_int_eq(api_int(&api, "/alone"), 1);
    ck_assert_double_eq_tol(api_number(&api, "/coverage"), 1.0 / 3, 1e-4);
    refused("POST", ONE "/activate", "{\"model\":\"m@3\",\"mode\":\"cutover\"}",
            409, "conflict", NULL, "1 of 3|m@3");
    api_ok(&api, "GET", "/metrics", NULL);
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "upgrade_coverage{collection=\"one\"} 0.333"));
}
END_TEST

/* Somebody activates another model while the job builds its index. */
START_TEST(a_cutover_goes_to_the_model_of_its_job_or_nowhere) {
    struct inv_collection *c = NULL;
    struct inv_err err = {0};
    const struct inv_space *m2 = NULL;
    cover_two();
    api_ok(&api, "PUT", ONE "/models/m@3", "{\"dim\":3}");
    api_ok(&api, "POST", ONE "/activate",
           "{\"model\":\"m@3\",\"mode\":\"shadow\"}");
    ck_assert_int_eq(inv_app_find_ready(api.app, "one", &c, &err), INV_OK);
    struct inv_view *view = inv_gallery_view(c->gallery);
    ck_assert_int_eq(inv_models_find(inv_view_models(view), "m@2", &m2, &err),
                     INV_OK);
    ck_assert_int_eq(inv_upgrade_cutover(c, m2->space, true, &err),
                     INV_CONFLICT);
    ck_assert_msg(strstr(err.text, "m@3, not m@2") != NULL, "%s", err.text);
    inv_ref_put(view);
    inv_ref_put(c);
    api_ok(&api, "GET", ONE "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "SHADOW");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@1");
}
END_TEST

START_TEST(without_the_old_vectors_there_is_no_way_back) {
    cut_over(NULL);
    refused("DELETE", M2 "/vectors", NULL, 409, "conflict", NULL, "m@2");
    refused("DELETE", ONE "/models/m@1", NULL, 409, "conflict", NULL,
            "3 documents|m@1");
    api_ok(&api, "DELETE", ONE "/models/m@1/vectors", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "DONE");
    refused("POST", ONE "/rollback", "{}", 409, "conflict", NULL, "DONE");
    api_ok(&api, "DELETE", ONE "/models/m@1", NULL);
    /* one model again: it need not be named */
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":[{\"id\":\"d\",\"vector\":[1,1,1]}]}");
    api_restart(&api);
    api_ok(&api, "GET", ONE, NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "ready");
    ck_assert_str_eq(api_string(&api, "/settings/model/revision"), "2");
    api_ok(&api, "GET", ONE "/models", NULL);
    ck_assert_uint_eq(api_size(&api, "/models"), 1);
    ck_assert_int_eq(api_int(&api, "/models/0/vectors"), 4);
    api_ok(&api, "POST", ONE "/search", "{\"vector\":[0,0.1,1]}");
    ck_assert_uint_eq(api_size(&api, "/hits"), 4);
}
END_TEST

START_TEST(a_forced_cutover_leaves_documents_in_the_old_model) {
    cut_over(",\"force\":true");
    ck_assert_int_eq(count_of("m@1", "alone"), 1);
    ck_assert_int_eq(count_of("m@1", "vectors"), 3);
    ck_assert_int_eq(count_of("m@2", "vectors"), 2);
    refused("DELETE", ONE "/models/m@1/vectors", NULL, 409, "conflict", NULL,
            "1 documents");
    api_ok(&api, "GET", ONE "/migration", NULL);
    ck_assert(inv_json_bool(api_at(&api, "/journal/0/forced")));
    api_ok(&api, "POST", ONE "/documents/count", "{}");
    ck_assert_int_eq(api_int(&api, "/count"), 3);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        writes_without_a_model_are_refused_once_there_are_two,
        bulk_takes_the_model_of_each_item_or_of_all,
        a_put_replaces_the_vectors_of_every_model,
        deleting_a_document_deletes_its_vectors_of_every_model,
        a_patch_leaves_the_vectors_of_every_model,
        each_document_is_counted_and_listed_once,
        a_restart_and_a_rebuild_keep_everything,
        queries_are_kept_replaced_and_forgotten,
        one_bad_query_refuses_the_whole_request,
        an_upgrade_begins_in_shadow_and_rolls_back,
        a_step_that_is_not_permitted_is_refused,
        vectors_are_dropped_only_where_nothing_is_lost,
        a_cutover_makes_the_new_model_the_gallery_and_can_be_undone,
        a_document_of_a_third_model_is_not_covered,
        a_cutover_goes_to_the_model_of_its_job_or_nowhere,
        without_the_old_vectors_there_is_no_way_back,
        a_forced_cutover_leaves_documents_in_the_old_model,
    };
    return api_run_tests("upgrades over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
