/*
 * test_api_simplex.c: collections whose gallery is in the d-Simplex, over real
 * HTTP: documents and queries of two models that meet there, classes and their
 * vertices, the blend, and what is refused.
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "tests/support/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/s"
#define DIM 16
#define CLASSES 4
#define LABELLED 80
#define WHOLE "\"space\":{\"type\":\"simplex\",\"classes\":4}"
#define BLEND                                                                  \
    "\"space\":{\"type\":\"simplex\",\"classes\":4,\"blend\":0.3,"             \
    "\"base_dim\":16}"

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

/* ---- two models ---- */

/* Item i is of class i % CLASSES. Version 2 has the numbers of version 1 in
 * another order, with other signs: no cosine between the two means anything. */
static void item(size_t i, unsigned version, float out[DIM]) {
    float plain[DIM];
    struct inv_stream centre, noise;
    inv_stream_init(&centre, 5, "test.centre", i % CLASSES);
    inv_stream_init(&noise, 5, "test.item", i);
    for (size_t j = 0; j < DIM; j++)
        plain[j] = inv_stream_normal(&centre) + .3f * inv_stream_normal(&noise);
    inv_normalize_f32(plain, DIM);
    for (size_t j = 0; j < DIM; j++)
        out[j] = version == 1 ? plain[j]
                              : plain[(j * 5 + 3) % DIM] * (j % 2 ? -1 : 1);
}

static void put_vector(struct inv_buf *out, size_t i, unsigned version) {
    float x[DIM];
    item(i, version, x);
    inv_buf_puts(out, "\"vector\":[");
    for (size_t j = 0; j < DIM; j++) {
        inv_buf_puts(out, j == 0 ? "" : ",");
        inv_json_put_float(out, x[j]);
    }
    inv_buf_putc(out, ']');
}

static int send(const char *method, const char *path, struct inv_buf *body) {
    struct api_request request = {
        .method = method, .path = path, .body = body->data, .len = body->len};
    ck_assert(!body->failed);
    int status = api_send(&api, &request);
    inv_buf_release(body);
    return status;
}

static void make(const char *space) {
    api_ok(&api, "PUT", C, "{\"kind\":\"single\",%s}", space);
    api_ok(&api, "PUT", C "/models/v@1", "{\"dim\":%d}", DIM);
    api_ok(&api, "PUT", C "/models/v@2", "{\"dim\":%d}", DIM);
}

/* Items [from, to) as labelled vectors; classes: as many names for them. */
static int label(unsigned version, size_t from, size_t to, size_t classes) {
    struct inv_buf body = INV_BUF_INIT;
    char path[64];
    snprintf(path, sizeof path, C "/models/v@%u/queries", version);
    inv_buf_puts(&body, "{\"queries\":[");
    for (size_t i = from; i < to; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"q%zu\",\"label\":\"c%zu\",",
                       i == from ? "" : ",", i, i % classes);
        put_vector(&body, i, version);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    return send("POST", path, &body);
}

/* Documents d<from> ... in a model. */
static int put(unsigned version, size_t from, size_t to) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"documents\":[");
    for (size_t i = from; i < to; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"d%zu\",\"model\":\"v@%u\",",
                       i == from ? "" : ",", i, version);
        put_vector(&body, i, version);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    return send("PUT", C "/documents", &body);
}

static const char *fit(const char *body) {
    api_ok(&api, "POST", C "/adapters", "%s", body);
    return api_wait_job(&api);
}

static void fit_version(unsigned version) {
    char body[160];
    snprintf(body, sizeof body,
             "{\"from\":\"v@%u\",\"kind\":\"simplex\",\"margin\":0.1}",
             version);
    ck_assert_int_eq(label(version, 0, LABELLED, CLASSES), 200);
    ck_assert_msg(strcmp(fit(body), "succeeded") == 0, "%s", api_body(&api));
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "ACTIVATE");
}

static void search(size_t i, unsigned version, size_t limit) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_printf(&body, "{\"model\":\"v@%u\",\"limit\":%zu,", version, limit);
    put_vector(&body, i, version);
    inv_buf_putc(&body, '}');
    int status = send("POST", C "/search", &body);
    ck_assert_msg(status == 200, "%d %s", status, api_body(&api));
}

/* How many of the hits are of class `class`; *young: of documents from 100 on.
 */
static size_t of_class(size_t class, size_t *young) {
    size_t count = 0;
    *young = 0;
    for (size_t i = 0; i < api_size(&api, "/hits"); i++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/hits/%zu/id", i);
        size_t number =
            (size_t)strtoul(api_string(&api, pointer) + 1, NULL, 10);
        count += number % CLASSES == class;
        *young += number >= 100;
    }
    return count;
}

/* The stored vector of a document; how many numbers it has. */
static size_t stored(const char *id, double *out) {
    char path[64];
    snprintf(path, sizeof path, C "/documents/%s?vectors=true", id);
    api_ok(&api, "GET", path, NULL);
    size_t count = api_size(&api, "/vector");
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/vector/%zu", i);
        out[i] = api_number(&api, path);
    }
    return count;
}

/* ---- the whole space ---- */

START_TEST(documents_and_queries_of_two_models_meet_in_a_space_of_neither) {
    double x[64], y[64];
    make(WHOLE);
    api_ok(&api, "GET", C, NULL);
    ck_assert_int_eq(api_int(&api, "/settings/dim"), CLASSES - 1);
    ck_assert_str_eq(api_string(&api, "/settings/model/name"), "simplex");
    ck_assert_str_eq(api_string(&api, "/settings/model/revision"), "4");
    fit_version(1);
    ck_assert_int_eq(api_int(&api, "/result/report/labelled"), LABELLED);
    ck_assert_int_eq(api_int(&api, "/result/report/classes"), CLASSES);
    ck_assert_str_eq(api_string(&api, "/result/report/first"), "v@1");
    fit_version(2);
    ck_assert_str_eq(api_string(&api, "/result/report/first"), "v@1");
    ck_assert_str_eq(api_string(&api, "/result/adapter"), "v-2-to-simplex-4");
    ck_assert_double_gt(api_number(&api, "/result/report/held_out/r1"), .95);
    /* 100 ... are new to every fit; half of the gallery is of each model */
    ck_assert_int_eq(put(1, 60, 100), 200);
    ck_assert_int_eq(put(2, 100, 140), 200);
    for (size_t i = 200; i < 208; i++)
        for (unsigned version = 1; version <= 2; version++) {
            size_t young = 0;
            search(i, version, 20);
            ck_assert_uint_eq(of_class(i % CLASSES, &young), 20);
            ck_assert_uint_eq(young, 10);
        }
    ck_assert_uint_eq(stored("d60", x), CLASSES - 1);
    ck_assert_str_eq(api_string(&api, "/model"), "simplex@4");
    double norm = 0;
    stored("d100", y);
    for (size_t j = 0; j < CLASSES - 1; j++)
        norm += y[j] * y[j];
    ck_assert_double_eq_tol(norm, 1, 1e-5);
}
END_TEST

START_TEST(an_unlabelled_query_is_of_the_model_that_was_activated) {
    struct inv_buf body = INV_BUF_INIT;
    make(WHOLE);
    fit_version(1);
    ck_assert_int_eq(put(1, 0, 20), 200);
    api_ok(&api, "POST", C "/activate",
           "{\"model\":\"v@1\",\"mode\":\"bridge\"}");
    inv_buf_putc(&body, '{');
    put_vector(&body, 3, 1);
    inv_buf_putc(&body, '}');
    ck_assert_int_eq(send("POST", C "/search", &body), 200);
    ck_assert_str_eq(api_string(&api, "/model"), "v@1");
    api_ok(&api, "POST", C "/rollback", "{}");
    api_ok(&api, "POST", C "/search", "{\"vector\":[1,0,0]}");
    ck_assert_str_eq(api_string(&api, "/model"), "simplex@4");
}
END_TEST

START_TEST(a_class_keeps_its_vertex_over_restarts_and_fits) {
    double before[64], after[64], dot = 0;
    make(WHOLE);
    fit_version(1);
    ck_assert_int_eq(put(1, 7, 8), 200);
    stored("d7", before);
    api_restart(&api);
    /* the same classes in another order, and no vectors from before */
    api_ok(&api, "DELETE", C "/models/v@1/queries", NULL);
    ck_assert_int_eq(label(1, 1, 81, CLASSES), 200);
    ck_assert_str_eq(
        fit("{\"from\":\"v@1\",\"margin\":0.1,\"name\":\"again\"}"),
        "succeeded");
    ck_assert_int_eq(put(1, 7, 8), 200);
    stored("d7", after);
    for (size_t j = 0; j < CLASSES - 1; j++)
        dot += before[j] * after[j];
    ck_assert_double_gt(dot, .98);
}
END_TEST

START_TEST(more_classes_than_vertices_are_refused_with_the_limit) {
    make(WHOLE);
    ck_assert_int_eq(label(1, 0, 6, 3), 200);
    ck_assert_int_eq(label(2, 0, 10, 5), 409); /* c3 and c4 are new */
    api_refused(&api, 409, "conflict", NULL, "\"c4\"|class 5|4 vertices");
    api_ok(&api, "GET", C "/models/v@2", NULL);
    ck_assert_int_eq(api_int(&api, "/queries"), 0);
    /* c3 was not given a vertex either: another class may have the last one */
    api_ok(
        &api, "POST", C "/models/v@2/queries",
        "{\"queries\":[{\"id\":\"x\",\"label\":\"other\",\"vector\":[1,0,0,0,"
        "0,0,0,0,0,0,0,0,0,0,0,0]}]}");
    ck_assert_int_eq(label(2, 3, 4, 4), 409);
    api_refused(&api, 409, "conflict", NULL, "\"c3\"|class 5|4 vertices");
}
END_TEST

START_TEST(documents_wait_for_an_adapter_that_was_not_refused) {
    make(WHOLE);
    ck_assert_int_eq(put(1, 0, 4), 409);
    api_refused(&api, 409, "space_mismatch", "/documents/0/model",
                "v@1|simplex@4|models/v@1/queries");
    ck_assert_int_eq(label(1, 0, 20, 3), 200); /* wrong for most */
    ck_assert_str_eq(fit("{\"from\":\"v@1\",\"margin\":0,\"name\":\"bad\"}"),
                     "succeeded");
    ck_assert_str_eq(api_string(&api, "/result/verdict"), "REFUSE");
    ck_assert_int_eq(put(1, 0, 4), 409);
    api_ok(&api, "POST", C "/activate",
           "{\"model\":\"v@1\",\"adapter\":\"bad\",\"mode\":\"bridge\","
           "\"force\":true}");
    ck_assert_int_eq(put(1, 0, 4), 200);
    api_ok(&api, "POST", C "/documents/count", "{}");
    ck_assert_int_eq(api_int(&api, "/count"), 4);
}
END_TEST

/* ---- blend ---- */

START_TEST(a_blend_keeps_the_first_models_vectors_beside_the_classes) {
    double old[64], new[64];
    float x[DIM];
    double same = 0;
    make(BLEND);
    fit_version(1);
    fit_version(2);
    ck_assert_int_eq(api_int(&api, "/result/report/base_pairs"), LABELLED);
    ck_assert_int_eq(put(1, 90, 91), 200);
    ck_assert_uint_eq(stored("d90", old), DIM + CLASSES - 1);
    item(90, 1, x);
    for (size_t j = 0; j < DIM; j++)
        ck_assert_double_eq_tol(old[j], sqrt(.7) * (double)x[j], 1e-5);
    ck_assert_int_eq(put(2, 90, 91), 200);
    stored("d90", new);
    for (size_t j = 0; j < DIM + CLASSES - 1; j++)
        same += old[j] * new[j];
    ck_assert_double_gt(same, .99);
    api_do(&api, "DELETE", C "/models/v@1", NULL);
    api_refused(&api, 409, "conflict", NULL, "v@1|1 documents|1 other");
    api_restart(&api); /* the adapters' files say that they are blends */
    ck_assert_int_eq(put(2, 90, 91), 200);
    ck_assert_uint_eq(stored("d90", old), DIM + CLASSES - 1);
    for (size_t j = 0; j < DIM + CLASSES - 1; j++)
        ck_assert_double_eq_tol(old[j], new[j], 1e-6);
}
END_TEST

START_TEST(a_blend_takes_the_base_of_later_models_from_old_vectors) {
    struct inv_buf body = INV_BUF_INIT;
    make(BLEND);
    fit_version(1);
    inv_buf_puts(&body, "{\"queries\":[");
    for (size_t i = 0; i < 60; i++) { /* under ids that v@1 does not know */
        inv_buf_printf(&body, "%s{\"id\":\"n%zu\",", i == 0 ? "" : ",", i);
        if (i % 2 == 0)
            inv_buf_printf(&body, "\"label\":\"c%zu\",", i % CLASSES);
        put_vector(&body, i, 2);
        if (i < 30) {
            inv_buf_puts(&body, ",\"old\":{\"model\":\"v@1\",");
            put_vector(&body, i, 1);
            inv_buf_putc(&body, '}');
        } else if (i % 2 == 1) {
            inv_buf_puts(&body, ",\"label\":\"c1\"");
        }
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    ck_assert_int_eq(send("POST", C "/models/v@2/queries", &body), 200);
    ck_assert_str_eq(fit("{\"from\":\"v@2\"}"), "succeeded");
    ck_assert_int_eq(api_int(&api, "/result/report/base_pairs"), 30);
    ck_assert_int_eq(api_int(&api, "/result/report/labelled"), 45);
    ck_assert_int_eq(api_int(&api, "/result/report/unlabelled"), 15);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(settings_that_no_simplex_can_have_are_refused) {
    static const struct {
        const char *body, *code, *pointer, *pieces;
    } cases[] = {
        {"{\"kind\":\"single\",\"space\":{\"type\":\"sphere\",\"classes\":4}}",
         "invalid_request", "/space/type", "simplex|sphere"},
        {"{\"kind\":\"single\",\"space\":{\"type\":\"simplex\"}}",
         "invalid_request", "/space/classes", "missing"},
        {"{\"kind\":\"single\",\"space\":{\"type\":\"simplex\",\"classes\":1}}",
         "invalid_request", "/space/classes", "2|1"},
        {"{\"kind\":\"single\",\"dim\":4," WHOLE "}", "dimension_mismatch",
         "/dim", "3|4"},
        {"{\"kind\":\"multi\"," WHOLE "}", "invalid_request", "/kind",
         "single|multi"},
        {"{\"kind\":\"single\",\"metric\":\"ip\"," WHOLE "}", "invalid_request",
         "/metric", "cosine"},
        {"{\"kind\":\"single\",\"model\":{\"name\":\"v\"}," WHOLE "}",
         "invalid_request", "/model", "simplex@4|v@1"},
        {"{\"kind\":\"single\",\"encoder\":{\"type\":\"matryoshka\","
         "\"dims\":[2]}," WHOLE "}",
         "invalid_request", "/encoder/type", "none|matryoshka"},
        {"{\"kind\":\"single\",\"space\":{\"type\":\"simplex\",\"classes\":4,"
         "\"blend\":0.3}}",
         "invalid_request", "/space/blend", "base_dim"},
        {"{\"kind\":\"single\",\"space\":{\"type\":\"simplex\",\"classes\":4,"
         "\"blend\":1,\"base_dim\":4}}",
         "invalid_request", "/space/blend", "less than 1"},
        {"{\"kind\":\"single\",\"space\":{\"type\":\"simplex\",\"classes\":9,"
         "\"blend\":0.5,\"base_dim\":16384}}",
         "dimension_mismatch", "/space", "16392|16384"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        api_do(&api, "PUT", C, "%s", cases[i].body);
        api_refused(&api, 400, cases[i].code, cases[i].pointer,
                    cases[i].pieces);
        api_do(&api, "GET", C, NULL);
        api_refused(&api, 404, "not_found", NULL, "s");
    }
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":3,\"metric\":\"cosine\",\"model\":"
           "{\"name\":\"simplex\",\"revision\":\"4\"}," WHOLE "}");
}
END_TEST

START_TEST(fits_that_do_not_lead_into_the_simplex_are_refused) {
    static const struct {
        const char *body;
        int status;
        const char *code, *pointer, *pieces;
    } cases[] = {
        {"{\"from\":\"v@1\",\"kind\":\"ridge\"}", 400, "invalid_request",
         "/kind", "simplex|ridge"},
        {"{\"from\":\"v@1\",\"solver\":\"path\"}", 400, "invalid_request",
         "/solver", "solver"},
        {"{\"from\":\"v@1\",\"label_field\":\"topic\"}", 400, "invalid_request",
         "/label_field", "label_field"},
        {"{\"from\":\"v@2\",\"to\":\"v@1\"}", 400, "invalid_request", "/to",
         "simplex@4|v@1"},
        {"{\"from\":\"simplex@4\"}", 400, "invalid_request", "/from",
         "simplex@4"},
        {"{\"from\":\"v@1\"}", 409, "conflict", NULL,
         "at least 10|there are 9 and 4"},
        {"{\"from\":\"v@2\"}", 409, "conflict", NULL, "there are 0 and 4"},
    };
    make(WHOLE);
    ck_assert_int_eq(label(1, 0, 9, CLASSES), 200);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        api_do(&api, "POST", C "/adapters", "%s", cases[i].body);
        api_refused(&api, cases[i].status, cases[i].code, cases[i].pointer,
                    cases[i].pieces);
    }
    api_ok(&api, "GET", "/v1/jobs", NULL);
    ck_assert_uint_eq(api_size(&api, "/jobs"), 0);
}
END_TEST

START_TEST(a_blend_needs_its_first_model_and_pairs_with_it) {
    api_ok(&api, "PUT", C, "{\"kind\":\"single\"," BLEND "}");
    api_ok(&api, "PUT", C "/models/w@1", "{\"dim\":8}");
    api_ok(&api, "PUT", C "/models/v@2", "{\"dim\":%d}", DIM);
    ck_assert_int_eq(label(2, 0, 20, CLASSES), 200);
    api_do(&api, "POST", C "/adapters", "{\"from\":\"v@2\"}");
    api_refused(&api, 409, "conflict", NULL, "16 dimensions|w@1 has 8");
    api_ok(&api, "DELETE", C, NULL);
    make(BLEND);
    ck_assert_int_eq(label(1, 0, 6, CLASSES), 200);
    ck_assert_int_eq(label(2, 0, 20, CLASSES), 200);
    api_do(&api, "POST", C "/adapters", "{\"from\":\"v@2\"}");
    api_refused(&api, 409, "conflict", NULL, "at least 10|v@1|there are 6");
}
END_TEST

START_TEST(there_is_no_cascade_and_no_cutover_out_of_a_space_of_no_model) {
    static const char *const modes[] = {"shadow", "cascade"};
    make(WHOLE);
    fit_version(1);
    for (size_t i = 0; i < 2; i++) {
        api_do(&api, "POST", C "/activate",
               "{\"model\":\"v@1\",\"mode\":\"%s\",\"force\":true}", modes[i]);
        api_refused(&api, 409, "conflict", NULL, "simplex@4|bridge");
    }
    api_ok(&api, "POST", C "/activate",
           "{\"model\":\"v@1\",\"mode\":\"bridge\"}");
    api_do(&api, "POST", C "/activate",
           "{\"model\":\"v@1\",\"mode\":\"cutover\",\"force\":true}");
    api_refused(&api, 409, "conflict", NULL, "simplex@4|bridge");
    ck_assert_int_eq(put(1, 0, 2), 200);
    api_do(&api, "POST", C "/models/v@1/vectors",
           "{\"vectors\":[{\"id\":\"d0\",\"vector\":[1,0,0,0,0,0,0,0,0,0,0,0,0,"
           "0,0,0]}]}");
    api_refused(&api, 409, "conflict", NULL, "simplex of 4|PUT|v@1");
}
END_TEST

START_TEST(a_query_that_no_fit_could_use_is_refused) {
    make(WHOLE);
    api_do(&api, "POST", C "/models/v@1/queries",
           "{\"queries\":[{\"id\":\"q\",\"relevant\":[\"d1\"],\"vector\":[1,0,"
           "0,0,0,0,0,0,0,0,0,0,0,0,0,0]}]}");
    api_refused(&api, 400, "invalid_request", "/queries/0", "label|old");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        documents_and_queries_of_two_models_meet_in_a_space_of_neither,
        an_unlabelled_query_is_of_the_model_that_was_activated,
        a_class_keeps_its_vertex_over_restarts_and_fits,
        more_classes_than_vertices_are_refused_with_the_limit,
        documents_wait_for_an_adapter_that_was_not_refused,
        a_blend_keeps_the_first_models_vectors_beside_the_classes,
        a_blend_takes_the_base_of_later_models_from_old_vectors,
        settings_that_no_simplex_can_have_are_refused,
        fits_that_do_not_lead_into_the_simplex_are_refused,
        a_blend_needs_its_first_model_and_pairs_with_it,
        there_is_no_cascade_and_no_cutover_out_of_a_space_of_no_model,
        a_query_that_no_fit_could_use_is_refused,
    };
    return api_run_tests("simplex", tests, sizeof tests / sizeof *tests, setup,
                         teardown);
}
