/*
 * test_api_backfill.c: what goes on while an upgrade is under way, over real
 * HTTP: which documents to embed for a fit and which next, whether the adapter
 * still fits, and the cutover at its end.
 */
#include "tests/support/planted.h"

#include "server/upgrade/access.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
    planted_make(&api, "");
}

static void teardown(void) { api_stop(&api); }

/* Documents [0, count) have vectors of the successor, an adapter is fitted on
 * them (0: on what is there) and in use. */
static void upgrade(size_t count, float noise, const char *mode) {
    if (count > 0)
        planted_vectors(&api, "m@2", 0, count, PLANTED_ROTATED, noise);
    planted_queries(&api, 0, 60, PLANTED_ROTATED, true, true);
    const char *state = planted_fit(
        &api, "p", "{\"from\":\"m@2\",\"kind\":\"procrustes\",\"name\":\"a\"}");
    ck_assert_msg(strcmp(state, "succeeded") == 0, "%s", api_body(&api));
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"adapter\":\"a\",\"mode\":\"%s\","
           "\"force\":true}",
           mode);
}

/* ---- what to embed ---- */

static bool is_id(const char *at, size_t low, size_t high) {
    char *end = NULL;
    const char *id = api_string(&api, at);
    unsigned long number = strtoul(id + 1, &end, 10);
    return id[0] == 'd' && *end == '\0' && number >= low && number < high;
}

START_TEST(calibration_names_documents_that_have_no_vector_yet) {
    static const char *const methods[] = {"uniform", "leverage"};
    planted_vectors(&api, "m@2", 0, 100, PLANTED_ROTATED, 0);
    for (size_t m = 0; m < 2; m++) {
        char path[128];
        snprintf(path, sizeof path,
                 PLANTED "/models/m@2/calibration?n=30&method=%s&seed=7",
                 methods[m]);
        api_ok(&api, "GET", path, NULL);
        ck_assert_str_eq(api_string(&api, "/method"), methods[m]);
        ck_assert_uint_eq(api_size(&api, "/documents"), 30);
        char *first = strdup(api_body(&api));
        for (size_t i = 0; i < 30; i++) {
            char at[64];
            snprintf(at, sizeof at, "/documents/%zu/id", i);
            ck_assert_msg(is_id(at, 100, PLANTED_ALL), "%s", first);
            snprintf(at, sizeof at, "/documents/%zu/seq", i);
            ck_assert_int_gt(api_int(&api, at), 100);
        }
        api_ok(&api, "GET", path, NULL);
        ck_assert_str_eq(api_body(&api), first);
        free(first);
    }
    api_ok(&api, "GET", PLANTED "/models/m@2/calibration?n=1000", NULL);
    ck_assert_uint_eq(api_size(&api, "/documents"), PLANTED_ALL - 100);
    api_do(&api, "GET", PLANTED "/models/m@1/calibration", NULL);
    api_refused(&api, 400, "invalid_request", NULL, "m@1");
    api_do(&api, "GET", PLANTED "/models/x@1/calibration", NULL);
    api_refused(&api, 409, "space_mismatch", NULL, "x@1|m@1|m@2");
    api_do(&api, "GET", PLANTED "/models/m@2/calibration?n=0", NULL);
    api_refused(&api, 400, "invalid_request", NULL, "from 1|\"0\"");
    api_do(&api, "GET", PLANTED "/models/m@2/calibration?method=best", NULL);
    api_refused(&api, 400, "invalid_request", NULL, "uniform|leverage|best");
}
END_TEST

/* Counts a document as if searches had found it. */
static void access_document(const char *id, int times) {
    struct inv_err err = {0};
    struct inv_collection *c = NULL;
    struct inv_db *db = NULL;
    struct inv_document_row row;
    ck_assert_int_eq(inv_app_find(api.app, "p", &c, &err), INV_OK);
    ck_assert_int_eq(inv_catalog_borrow(api.app->catalog, &db, &err), INV_OK);
    ck_assert_int_eq(inv_db_find(db, c->id, id, strlen(id), 0, &row, &err),
                     INV_OK);
    ck_assert_int_ne(row.doc, 0);
    for (int i = 0; i < times; i++)
        inv_access_count(c->access, row.doc);
    inv_catalog_return(api.app->catalog, db);
    inv_ref_put(c);
}

START_TEST(backfill_names_first_what_is_found_often_and_mapped_badly) {
    api_do(&api, "GET", PLANTED "/backfill", NULL);
    api_refused(&api, 409, "conflict", NULL, "no upgrade");
    upgrade(100, .05f, "bridge");
    api_ok(&api, "GET", PLANTED "/backfill?limit=140", NULL);
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    ck_assert_int_eq(api_int(&api, "/remaining"), PLANTED_ALL - 100);
    ck_assert_uint_eq(api_size(&api, "/documents"), PLANTED_ALL - 100);
    double last = INFINITY;
    for (size_t i = 0; i < PLANTED_ALL - 100; i++) {
        char at[64];
        snprintf(at, sizeof at, "/documents/%zu/residual", i);
        double residual = api_number(&api, at);
        ck_assert_double_gt(residual, 0);
        ck_assert_double_le(residual, last * (1 + 1e-5));
        last = residual;
        snprintf(at, sizeof at, "/documents/%zu/accesses", i);
        ck_assert_int_eq(api_int(&api, at), 0);
    }
    char worst[32];
    snprintf(worst, sizeof worst, "%s", api_string(&api, "/documents/0/id"));
    access_document("d150", 1000);
    api_ok(&api, "GET", PLANTED "/backfill?limit=2", NULL);
    ck_assert_uint_eq(api_size(&api, "/documents"), 2);
    ck_assert_str_eq(api_string(&api, "/documents/0/id"), "d150");
    ck_assert_int_eq(api_int(&api, "/documents/0/accesses"), 1000);
    if (strcmp(worst, "d150") != 0)
        ck_assert_str_eq(api_string(&api, "/documents/1/id"), worst);
    planted_vectors(&api, "m@2", 150, 151, PLANTED_ROTATED, 0);
    api_ok(&api, "GET", PLANTED "/backfill?limit=1", NULL);
    ck_assert_int_eq(api_int(&api, "/remaining"), PLANTED_ALL - 101);
    ck_assert_str_ne(api_string(&api, "/documents/0/id"), "d150");
    char *best = strdup(api_string(&api, "/documents/0/id"));
    api_ok(&api, "GET", PLANTED "/backfill?limit=37", NULL);
    ck_assert_uint_eq(api_size(&api, "/documents"), 37);
    ck_assert_str_eq(api_string(&api, "/documents/0/id"), best);
    free(best);
    char *last36 = strdup(api_string(&api, "/documents/36/id"));
    api_ok(&api, "GET", PLANTED "/backfill?limit=1000", NULL);
    ck_assert_uint_eq(api_size(&api, "/documents"), PLANTED_ALL - 101);
    ck_assert_str_eq(api_string(&api, "/documents/36/id"), last36);
    free(last36);
    api_do(&api, "GET", PLANTED "/backfill?model=m@1", NULL);
    api_refused(&api, 400, "invalid_request", NULL, "m@1");
}
END_TEST

START_TEST(backfill_learns_which_documents_the_adapter_maps_badly) {
    /* Those with a positive first number are mapped badly. */
    float y[PLANTED_DIM];
    for (size_t i = 0; i < 160; i++) {
        planted_document(i, PLANTED_OLD, 0, y);
        planted_vectors(&api, "m@2", i, i + 1, PLANTED_ROTATED,
                        y[0] > 0 ? .2f : .01f);
    }
    upgrade(0, 0, "bridge");
    api_ok(&api, "GET", PLANTED "/backfill?limit=40", NULL);
    ck_assert_uint_eq(api_size(&api, "/documents"), 40);
    size_t bad = 0;
    for (size_t i = 0; i < 40; i++) {
        char at[64];
        snprintf(at, sizeof at, "/documents/%zu/id", i);
        planted_document(strtoul(api_string(&api, at) + 1, NULL, 10),
                         PLANTED_OLD, 0, y);
        bad += y[0] > 0;
    }
    ck_assert_uint_ge(bad, 34); /* by chance 20 */
}
END_TEST

START_TEST(backfill_goes_by_accesses_alone_while_there_is_no_adapter) {
    access_document("d17", 3);
    access_document("d4", 2);
    api_ok(&api, "GET", PLANTED "/backfill?model=m@2&limit=3", NULL);
    ck_assert_str_eq(api_string(&api, "/documents/0/id"), "d17");
    ck_assert_str_eq(api_string(&api, "/documents/1/id"), "d4");
    ck_assert_str_eq(api_string(&api, "/documents/2/id"), "d0");
    ck_assert_int_eq(inv_json_kind(api_at(&api, "/documents/0/residual")),
                     INV_JSON_NULL);
}
END_TEST

/* ---- drift ---- */

static bool metric_is(const char *line) {
    api_ok(&api, "GET", "/metrics", NULL);
    return strstr(api_body(&api), line) != NULL;
}

START_TEST(vectors_of_a_model_that_has_changed_raise_the_drift_metric) {
    upgrade(100, .05f, "cascade");
    planted_vectors(&api, "m@2", 100, 150, PLANTED_ROTATED, .05f);
    ck_assert(metric_is("invar_upgrade_drift{collection=\"p\"} 0\n"));
    ck_assert(metric_is("invar_upgrade_state{collection=\"p\"} 3\n"));
    ck_assert(metric_is("invar_upgrade_coverage{collection=\"p\"} 0.625\n"));
    planted_vectors(&api, "m@2", 150, 200, PLANTED_UNRELATED, 0);
    ck_assert(metric_is("invar_upgrade_drift{collection=\"p\"} 1\n"));
}
END_TEST

/* ---- cutover ---- */

static enum inv_status contradiction(void *ctx, const char *what,
                                     uint64_t count, struct inv_err *err) {
    (void)ctx;
    return inv_fail(err, INV_CORRUPT, "%llu %s", (unsigned long long)count,
                    what);
}

/* The catalog's rows do not contradict one another. */
static void check_catalog(void) {
    struct inv_err err = {0};
    struct inv_db *db = NULL;
    ck_assert_int_eq(inv_catalog_borrow(api.app->catalog, &db, &err), INV_OK);
    enum inv_status status = inv_db_check_rows(db, contradiction, NULL, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    inv_catalog_return(api.app->catalog, db);
}

START_TEST(a_cutover_builds_the_new_index_and_makes_the_model_the_gallerys) {
    upgrade(PLANTED_ALL, 0, "bridge");
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"mode\":\"cutover\"}");
    ck_assert_int_eq(api.reply.status, 202);
    ck_assert_str_eq(api_string(&api, "/kind"), "cutover");
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_str_eq(api_string(&api, "/result/model"), "m@2");
    ck_assert_int_eq(api_int(&api, "/result/documents"), PLANTED_ALL);
    api_ok(&api, "GET", PLANTED "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "CUTOVER");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@2");
    api_restart(&api);
    api_ok(&api, "GET", PLANTED "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@2");
    check_catalog(); /* with jobs of kind fit and cutover */
    api_ok(&api, "POST", PLANTED "/rollback", "{}");
    ck_assert_str_eq(api_string(&api, "/gallery_model"), "m@1");
}
END_TEST

START_TEST(a_cutover_with_documents_missing_says_how_many) {
    planted_vectors(&api, "m@2", 0, 100, PLANTED_ROTATED, 0);
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"mode\":\"shadow\"}");
    api_do(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"mode\":\"cutover\"}");
    api_refused(&api, 409, "conflict", NULL, "100 of 240|m@2");
    api_ok(&api, "GET", PLANTED "/migration", NULL);
    ck_assert_str_eq(api_string(&api, "/state"), "SHADOW");
}
END_TEST

/* How many segments are sealed, and by encoders that have learned. */
static size_t sealed(size_t *entries) {
    size_t count = 0;
    api_ok(&api, "GET", PLANTED, NULL);
    *entries = 0;
    for (size_t i = 0; i < api_size(&api, "/segments"); i++) {
        char at[64];
        snprintf(at, sizeof at, "/segments/%zu/fresh", i);
        if (inv_json_bool(api_at(&api, at)))
            continue;
        count++;
        snprintf(at, sizeof at, "/segments/%zu/entries", i);
        *entries += (size_t)api_int(&api, at);
    }
    return count;
}

static size_t first_hit(const char *model, size_t i, enum planted_kind kind) {
    struct inv_buf body = INV_BUF_INIT;
    float x[PLANTED_DIM];
    planted_document(i, kind, 0, x);
    for (size_t j = 0; j < PLANTED_DIM; j++) {
        inv_buf_puts(&body, j == 0 ? "" : ",");
        inv_json_put_float(&body, x[j]);
    }
    api_ok(&api, "POST", PLANTED "/search",
           "{\"model\":\"%s\",\"limit\":1,\"vector\":[%s]}", model, body.data);
    inv_buf_release(&body);
    return strtoul(api_string(&api, "/hits/0/id") + 1, NULL, 10);
}

START_TEST(every_models_encoder_learns_from_its_own_vectors) {
    size_t entries = 0;
    api_ok(&api, "DELETE", PLANTED, NULL);
    planted_make(&api, ",\"encoder\":{\"type\":\"matryoshka\",\"dims\":[4,8],"
                       "\"index_dims\":8,\"rotate\":\"pca\"}");
    planted_vectors(&api, "m@2", 0, PLANTED_ALL, PLANTED_ROTATED, 0);
    ck_assert_uint_eq(sealed(&entries), 0);
    api_ok(&api, "POST", "/v1/admin/collections/p/compact", NULL);
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_uint_eq(sealed(&entries), 2);
    ck_assert_uint_eq(entries, 2 * PLANTED_ALL);
    int64_t state = api_int(&api, "/encoder_state");
    ck_assert_int_gt(state, 0);
    upgrade(0, 0, "bridge");
    ck_assert_uint_eq(first_hit("m@2", 17, PLANTED_ROTATED), 17);
    api_ok(&api, "POST", PLANTED "/activate",
           "{\"model\":\"m@2\",\"mode\":\"cutover\"}");
    ck_assert_str_eq(api_wait_job(&api), "succeeded");
    ck_assert_uint_eq(sealed(&entries), 2);
    ck_assert_int_ne(api_int(&api, "/encoder_state"), state);
    api_restart(&api);
    ck_assert_uint_eq(first_hit("m@2", 17, PLANTED_ROTATED), 17);
    ck_assert_uint_eq(first_hit("m@1", 17, PLANTED_OLD), 17);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        calibration_names_documents_that_have_no_vector_yet,
        backfill_names_first_what_is_found_often_and_mapped_badly,
        backfill_learns_which_documents_the_adapter_maps_badly,
        backfill_goes_by_accesses_alone_while_there_is_no_adapter,
        vectors_of_a_model_that_has_changed_raise_the_drift_metric,
        a_cutover_builds_the_new_index_and_makes_the_model_the_gallerys,
        every_models_encoder_learns_from_its_own_vectors,
        a_cutover_with_documents_missing_says_how_many,
    };
    return api_run_tests("backfill", tests, sizeof tests / sizeof *tests, setup,
                         teardown);
}
