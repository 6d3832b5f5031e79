/*
 * test_model_requests.c: the bodies of model upgrades, read completely and at
 * their limits. What is wrong with them is tested over HTTP.
 */
#include "server/requests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_json_limits limits = {.max_dim = 64, .max_rows = 16};
static struct inv_arena arena;
static struct inv_json_doc doc;
static struct inv_err err;

static void begin(void) {
    inv_arena_init(&arena, (size_t)64 << 20);
    memset(&doc, 0, sizeof doc);
    memset(&err, 0, sizeof err);
}

static void end(void) {
    inv_json_close(&doc);
    inv_arena_release(&arena);
}

static void parse(const char *body) {
    inv_json_close(&doc);
    ck_assert_msg(inv_json_parse(&doc, &arena, body, strlen(body), &limits,
                                 &err) == INV_OK,
                  "%.200s: %s", body, err.text);
}

START_TEST(a_model_is_read_completely_and_its_defaults_are_set) {
    struct inv_model_in model;
    memset(&model, 0xee, sizeof model);
    parse("{\"dim\":384,\"kind\":\"single\",\"prompt\":\"query: \","
          "\"normalized\":true,\"encoder\":{\"type\":\"none\"},"
          "\"index\":{\"type\":\"flat\"}}");
    ck_assert_int_eq(inv_parse_model(&doc, &model, &err), INV_OK);
    ck_assert_uint_eq(model.dim, 384);
    ck_assert_str_eq(model.kind, "single");
    ck_assert_str_eq(model.prompt, "query: ");
    ck_assert(model.normalized);
    ck_assert_ptr_eq(model.encoder, inv_json_get(doc.root, "encoder"));
    ck_assert_ptr_eq(model.index, inv_json_get(doc.root, "index"));
    memset(&model, 0xee, sizeof model);
    parse("{\"prompt\":\"\"}");
    ck_assert_int_eq(inv_parse_model(&doc, &model, &err), INV_OK);
    ck_assert_uint_eq(model.dim, 0);
    ck_assert_ptr_null(model.kind);
    ck_assert_str_eq(model.prompt, "");
    ck_assert(!model.normalized);
    ck_assert_ptr_null(model.encoder);
    ck_assert_ptr_null(model.index);
}
END_TEST

START_TEST(vectors_of_a_model_are_read_in_order_with_their_seq) {
    struct inv_documents_in in;
    parse("{\"vectors\":[{\"id\":\"d1\",\"vector\":[1,2],\"seq\":12},"
          "{\"id\":7,\"vectors\":[[1,2],[3,4]]},"
          "{\"id\":\"d3\",\"text\":\"cats\"}]}");
    ck_assert_int_eq(inv_parse_model_vectors(&doc, &limits, &in, &err), INV_OK);
    ck_assert_uint_eq(in.count, 3);
    ck_assert_str_eq(in.items[0].id, "d1");
    ck_assert_uint_eq(in.items[0].seq, 12);
    ck_assert(in.items[0].given.matrix.data[1] == 2.0f);
    ck_assert_str_eq(in.items[1].id, "7");
    ck_assert_uint_eq(in.items[1].seq, 0);
    ck_assert_uint_eq(in.items[1].given.matrix.rows, 2);
    ck_assert_str_eq(in.items[2].text, "cats");
    ck_assert_uint_eq(in.items[2].text_len, 4);
    ck_assert_ptr_null(in.items[2].model);
}
END_TEST

START_TEST(queries_are_read_with_both_kinds_of_pairs) {
    struct inv_queries_in in;
    parse("{\"queries\":["
          "{\"id\":\"q1\",\"vector\":[1,2],\"old\":{\"model\":\"m@1\","
          "\"vector\":[3,4,5]},\"relevant\":[\"a\\\"b\",7],\"fit_only\":true,"
          "\"label\":\"de\"},"
          "{\"id\":\"q2\",\"text\":\"cats\",\"old\":{\"model\":{\"name\":"
          "\"static\",\"revision\":\"1\"}}},"
          "{\"id\":\"q3\",\"text\":\"cats\",\"old\":{\"model\":\"m\","
          "\"text\":\"dogs\"}}]}");
    ck_assert_int_eq(inv_parse_model_queries(&doc, &limits, false, &in, &err),
                     INV_OK);
    ck_assert_uint_eq(in.count, 3);
    const struct inv_query_in *q = in.items;
    ck_assert_str_eq(q[0].item.id, "q1");
    ck_assert_str_eq(q[0].old_model, "m@1");
    ck_assert_uint_eq(q[0].old_given.matrix.dim, 3);
    ck_assert_ptr_null(q[0].old_text);
    ck_assert_str_eq(q[0].relevant, "[\"a\\\"b\",\"7\"]");
    ck_assert_int_eq(q[0].use, INV_QUERY_FITS);
    ck_assert_str_eq(q[0].label, "de");
    ck_assert_str_eq(q[1].old_model, "static@1");
    ck_assert_str_eq(q[1].old_text, "cats");
    ck_assert_uint_eq(q[1].old_text_len, 4);
    ck_assert_ptr_null(q[1].relevant);
    ck_assert_int_eq(q[1].use, INV_QUERY_BOTH);
    ck_assert_ptr_null(q[1].label);
    ck_assert_str_eq(q[2].old_text, "dogs");
}
END_TEST

START_TEST(ten_thousand_vectors_are_taken_and_one_more_is_not) {
    struct inv_documents_in in;
    struct inv_buf body = INV_BUF_INIT;
    for (int more = 0; more < 2; more++) {
        inv_buf_reset(&body);
        inv_buf_puts(&body, "{\"vectors\":[");
        for (int i = 0; i < INV_BATCH_DOCS_MAX + more; i++)
            inv_buf_printf(&body, "%s{\"id\":%d,\"vector\":[1]}",
                           i == 0 ? "" : ",", i);
        inv_buf_puts(&body, "]}");
        parse(body.data);
        ck_assert_int_eq(inv_parse_model_vectors(&doc, &limits, &in, &err),
                         more == 0 ? INV_OK : INV_INVALID);
    }
    ck_assert_str_eq(err.pointer, "/vectors");
    ck_assert_ptr_nonnull(strstr(err.text, "10000"));
    ck_assert_ptr_nonnull(strstr(err.text, "10001"));
    inv_buf_release(&body);
}
END_TEST

static void put_frame(struct inv_buf *out, int id) {
    char name[8];
    snprintf(name, sizeof name, "%05d", id);
    inv_buf_append(out, "\5\0", 2);
    inv_buf_append(out, name, 5);
    inv_buf_append(out, "\1\0\0\0\1\0\0\0\1\0\0\200\77\0\0\0\0", 17);
}

START_TEST(ten_thousand_frames_are_taken_and_one_more_is_not) {
    struct inv_documents_in in;
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_append(&body, "INVB\1\0\0\0", 8);
    for (int i = 0; i < INV_BATCH_DOCS_MAX; i++)
        put_frame(&body, i);
    ck_assert_msg(inv_parse_model_frames(body.data, body.len, &limits, &arena,
                                         &in, &err) == INV_OK,
                  "%s", err.text);
    ck_assert_uint_eq(in.count, INV_BATCH_DOCS_MAX);
    ck_assert_str_eq(in.items[9999].id, "09999");
    ck_assert(in.items[9999].given.matrix.data[0] == 1.0f);
    ck_assert_uint_eq(in.items[9999].seq, 0);
    put_frame(&body, INV_BATCH_DOCS_MAX);
    ck_assert_int_eq(
        inv_parse_model_frames(body.data, body.len, &limits, &arena, &in, &err),
        INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "10000"));
    ck_assert_ptr_nonnull(strstr(err.text, "10001"));
    inv_buf_release(&body);
}
END_TEST

START_TEST(every_mode_of_a_swap_is_known) {
    static const char *const modes[] = {"shadow", "bridge", "cascade",
                                        "cutover"};
    for (int i = 0; i < 4; i++) {
        char body[80];
        struct inv_activate_in in;
        memset(&in, 0xee, sizeof in);
        snprintf(body, sizeof body, "{\"model\":\"m@2\",\"mode\":\"%s\"%s}",
                 modes[i], i == 2 ? ",\"adapter\":\"a\",\"force\":true" : "");
        parse(body);
        ck_assert_int_eq(inv_parse_activate(&doc, &in, &err), INV_OK);
        ck_assert_int_eq((int)in.mode, i);
        ck_assert_str_eq(in.model, "m@2");
        ck_assert_int_eq(in.force, i == 2);
        ck_assert_int_eq(in.adapter != NULL, i == 2);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("requests of upgrades");
    TCase *tcase = tcase_create("requests");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_model_is_read_completely_and_its_defaults_are_set);
    tcase_add_test(tcase, vectors_of_a_model_are_read_in_order_with_their_seq);
    tcase_add_test(tcase, queries_are_read_with_both_kinds_of_pairs);
    tcase_add_test(tcase, ten_thousand_vectors_are_taken_and_one_more_is_not);
    tcase_add_test(tcase, ten_thousand_frames_are_taken_and_one_more_is_not);
    tcase_add_test(tcase, every_mode_of_a_swap_is_known);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
