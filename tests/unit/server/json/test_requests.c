/*
 * test_requests.c: the bodies of searches, documents, deletes, scrolls and
 * recall measurements, and what is wrong with them.
 */
#include "server/requests.h"

#include <check.h>
#include <stdio.h>
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
                  "%s: %s", body, err.text);
}

static struct inv_search_request request;

static enum inv_status search(const char *body) {
    parse(body);
    memset(&request, 0xee, sizeof request); /* defaults are set, not hoped */
    return inv_parse_search(&doc, doc.root, "", &limits, &request, &err);
}

struct bad {
    const char *body, *pointer, *first, *second;
};

static void check_bad(const struct bad *bad, enum inv_status status) {
    ck_assert_msg(status == INV_INVALID, "%s", bad->body);
    ck_assert_msg(strcmp(err.pointer, bad->pointer) == 0, "%s: %s (%s)",
                  bad->body, err.pointer, err.text);
    ck_assert_msg(strstr(err.text, bad->first) != NULL &&
                      strstr(err.text, bad->second) != NULL,
                  "%s: %s", bad->body, err.text);
}

START_TEST(a_search_with_everything_is_read_completely) {
    ck_assert_int_eq(
        search("{\"vectors\":[[1,2],[3,4]],\"model\":\"colbert@2\","
               "\"limit\":7,\"offset\":100000,\"filter\":{\"must\":[{\"key\":"
               "\"lang\",\"match\":\"en\"}]},\"params\":{\"candidates\":500,"
               "\"rescore\":200,\"rerank\":100,\"ef\":128,\"nprobe\":16,"
               "\"dims\":[8,16,64],\"keep\":[400,100],\"exact\":false,"
               "\"timeout_ms\":600000},\"with\":{\"payload\":[\"title\","
               "\"a.b\"],\"vectors\":true},\"explain\":true}"),
        INV_OK);
    ck_assert_uint_eq(request.query.matrix.rows, 2);
    ck_assert(request.query.plural);
    ck_assert_str_eq(request.model, "colbert@2");
    ck_assert_ptr_null(request.text);
    ck_assert_uint_eq(request.limit, 7);
    ck_assert_uint_eq(request.offset, 100000);
    ck_assert_uint_eq(request.filter->must_count, 1);
    const struct inv_search_params *params = &request.params;
    ck_assert_uint_eq(params->candidates, 500);
    ck_assert_uint_eq(params->rescore, 200);
    ck_assert_uint_eq(params->rerank, 100);
    ck_assert_uint_eq(params->ef, 128);
    ck_assert_uint_eq(params->nprobe, 16);
    ck_assert_uint_eq(params->timeout_ms, 600000);
    ck_assert_uint_eq(params->dims_count, 3);
    ck_assert_uint_eq(params->dims[2], 64);
    ck_assert_uint_eq(params->keep_count, 2);
    ck_assert_uint_eq(params->keep[1], 100);
    ck_assert(!params->exact && params->exact_given);
    ck_assert(!request.payload.all);
    ck_assert_uint_eq(request.payload.key_count, 2);
    ck_assert_str_eq(request.payload.keys[1], "a.b");
    ck_assert(request.with_vectors && request.explain);
}
END_TEST

START_TEST(a_bare_search_gets_the_defaults) {
    ck_assert_int_eq(search("{\"text\":\"hello\"}"), INV_OK);
    ck_assert_str_eq(request.text, "hello");
    ck_assert_uint_eq(request.text_len, 5);
    ck_assert_ptr_null(request.query.matrix.data);
    ck_assert_ptr_null(request.model);
    ck_assert_ptr_null(request.filter);
    ck_assert_uint_eq(request.limit, INV_LIMIT_DEFAULT);
    ck_assert_uint_eq(request.offset, 0);
    ck_assert(!request.payload.all && request.payload.key_count == 0);
    ck_assert(!request.with_vectors && !request.explain);
    ck_assert(!request.params.exact && !request.params.exact_given);
    ck_assert_uint_eq(request.params.candidates, 0);
    ck_assert_int_eq(
        search("{\"vector\":[1],\"with\":{\"payload\":true},\"filter\":{},"
               "\"params\":{\"exact\":true}}"),
        INV_OK);
    ck_assert(request.payload.all);
    ck_assert_ptr_nonnull(request.filter);
    ck_assert(!request.query.plural);
    ck_assert(request.params.exact && request.params.exact_given);
}
END_TEST

START_TEST(a_model_is_a_name_with_or_without_revision) {
    static const char *const good[][2] = {
        {"\"m\"", "m"},
        {"\"org/m@v1\"", "org/m@v1"},
        {"{\"name\":\"m\"}", "m"},
        {"{\"name\":\"m\",\"revision\":\"7\"}", "m@7"}};
    char body[400];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(body, sizeof body, "{\"vector\":[1],\"model\":%s}",
                 good[i][0]);
        ck_assert_msg(search(body) == INV_OK, "%s", err.text);
        ck_assert_str_eq(request.model, good[i][1]);
    }
    static const char *const bad[] = {"\"\"",
                                      "\"@1\"",
                                      "\"m@\"",
                                      "\"m@1@2\"",
                                      "7",
                                      "{}",
                                      "{\"revision\":\"1\"}",
                                      "{\"name\":\"a@b\"}",
                                      "{\"name\":\"a\",\"revision\":1}",
                                      "{\"name\":\"a\",\"revision\":\"b@c\"}",
                                      "{\"name\":\"a\",\"rev\":\"1\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(body, sizeof body, "{\"vector\":[1],\"model\":%s}", bad[i]);
        ck_assert_msg(search(body) == INV_INVALID, "%s", body);
        ck_assert(strncmp(err.pointer, "/model", 6) == 0);
    }
    for (int len = 64; len <= 65; len++) {
        snprintf(body, sizeof body, "{\"vector\":[1],\"model\":\"%0*d@1\"}",
                 len, 7);
        ck_assert_int_eq(search(body), len == 64 ? INV_OK : INV_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "64"));
    ck_assert_ptr_nonnull(strstr(err.text, "65"));
}
END_TEST

START_TEST(a_bad_search_is_refused_where_it_is_bad) {
    static const struct bad cases[] = {
        {"{}", "", "vector", "none"},
        {"[]", "", "an object", "an array"},
        {"{\"vector\":[1],\"text\":\"a\"}", "", "exactly one", "\"text\""},
        {"{\"vector\":[1],\"vectors\":[[1]]}", "", "\"vector\" ",
         "\"vectors\""},
        {"{\"vector\":[1],\"lmit\":3}", "/lmit", "lmit", "limit"},
        {"{\"vector\":[1],\"limit\":0}", "/limit", "1 to 10000", "0"},
        {"{\"vector\":[1],\"limit\":10001}", "/limit", "10000", "10001"},
        {"{\"vector\":[1],\"limit\":1.0}", "/limit", "integer", "real"},
        {"{\"vector\":[1],\"offset\":-1}", "/offset", "100000", "-1"},
        {"{\"vector\":[1],\"offset\":100001}", "/offset", "100000", "100001"},
        {"{\"vector\":true}", "/vector", "an array", "a boolean"},
        {"{\"text\":\"\"}", "/text", "1", "0"},
        {"{\"text\":5}", "/text", "a string", "an integer"},
        {"{\"vector\":[1],\"explain\":1}", "/explain", "true", "an integer"},
        {"{\"vector\":[1],\"filter\":[]}", "/filter", "object", "array"},
        {"{\"vector\":[1],\"params\":[]}", "/params", "object", "array"},
        {"{\"vector\":[1],\"params\":{\"ef\":0}}", "/params/ef", "1000000",
         "0"},
        {"{\"vector\":[1],\"params\":{\"candidates\":1000001}}",
         "/params/candidates", "1000000", "1000001"},
        {"{\"vector\":[1],\"params\":{\"timeout_ms\":600001}}",
         "/params/timeout_ms", "600000", "600001"},
        {"{\"vector\":[1],\"params\":{\"efs\":5}}", "/params/efs", "efs",
         "\"ef\""},
        {"{\"vector\":[1],\"params\":{\"dims\":[8,8]}}", "/params/dims/1",
         "increase", "8"},
        {"{\"vector\":[1],\"params\":{\"dims\":[16,8]}}", "/params/dims/1", "8",
         "16"},
        {"{\"vector\":[1],\"params\":{\"dims\":[]}}", "/params/dims", "16",
         "0"},
        {"{\"vector\":[1],\"params\":{\"dims\":[1,2,3,4,5,6,7,8,9,10,11,12,13,"
         "14,15,16,17]}}",
         "/params/dims", "16", "17"},
        {"{\"vector\":[1],\"params\":{\"dims\":[16385]}}", "/params/dims/0",
         "16384", "16385"},
        {"{\"vector\":[1],\"params\":{\"dims\":[1,2],\"keep\":[9,8]}}",
         "/params/keep", "got 2", "for 2"},
        {"{\"vector\":[1],\"params\":{\"keep\":[9]}}", "/params/keep", "got 1",
         "for 0"},
        {"{\"vector\":[1],\"params\":{\"dims\":[1,2,3],\"keep\":[8,9]}}",
         "/params/keep/1", "9", "8"},
        {"{\"vector\":[1],\"params\":{\"exact\":\"yes\"}}", "/params/exact",
         "true", "a string"},
        {"{\"vector\":[1],\"with\":{\"payload\":7}}", "/with/payload", "true",
         "an integer"},
        {"{\"vector\":[1],\"with\":{\"payload\":[7]}}", "/with/payload/0",
         "a string", "an integer"},
        {"{\"vector\":[1],\"with\":{\"payload\":[\"\"]}}", "/with/payload/0",
         "128", "0"},
        {"{\"vector\":[1],\"with\":{\"vectors\":1}}", "/with/vectors", "true",
         "an integer"},
        {"{\"vector\":[1],\"with\":{\"vectors\":[1]}}", "/with/vectors", "true",
         "an array"},
        {"{\"vector\":[1],\"with\":{\"vector\":true}}", "/with/vector",
         "unknown", "vectors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_bad(&cases[i], search(cases[i].body));
}
END_TEST

START_TEST(a_batch_names_the_search_that_is_bad) {
    struct inv_search_request *requests = NULL;
    size_t count = 0;
    parse("{\"searches\":[{\"vector\":[1]},{\"text\":\"x\",\"limit\":3}]}");
    ck_assert_int_eq(
        inv_parse_search_batch(&doc, &limits, &requests, &count, &err), INV_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(requests[1].limit, 3);
    static const struct bad cases[] = {
        {"{\"searches\":[{\"vector\":[1]},{\"vector\":[1],\"limit\":0}]}",
         "/searches/1/limit", "10000", "0"},
        {"{\"searches\":[{\"vector\":[1]},{}]}", "/searches/1", "vector",
         "none"},
        {"{\"searches\":[{\"vector\":[1],\"filter\":{\"must\":[{\"key\":\"a\","
         "\"match\":[1,null]}]}}]}",
         "/searches/0/filter/must/0/match/1", "a string", "null"},
        {"{\"searches\":[]}", "/searches", "256", "0"},
        {"{}", "/searches", "256", "nothing"},
        {"{\"search\":[]}", "/search", "search", "searches"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parse(cases[i].body);
        check_bad(&cases[i], inv_parse_search_batch(&doc, &limits, &requests,
                                                    &count, &err));
    }
    struct inv_buf body = INV_BUF_INIT;
    for (int n = 256; n <= 257; n++) {
        inv_buf_reset(&body);
        for (int i = 0; i < n; i++)
            inv_buf_puts(&body, i == 0 ? "{\"searches\":[{\"text\":\"a\"}"
                                       : ",{\"text\":\"a\"}");
        inv_buf_puts(&body, "]}");
        parse(body.data);
        ck_assert_int_eq(
            inv_parse_search_batch(&doc, &limits, &requests, &count, &err),
            n == 256 ? INV_OK : INV_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "257"));
    inv_buf_release(&body);
}
END_TEST

static struct inv_documents_in documents;

static enum inv_status read_documents(const char *body) {
    parse(body);
    return inv_parse_documents(&doc, &limits, &documents, &err);
}

START_TEST(documents_are_read_in_order_with_their_parts) {
    ck_assert_int_eq(
        read_documents("{\"documents\":[{\"id\":\"a\",\"vector\":[1,2],"
                       "\"payload\":{\"vector\":[9]},\"model\":\"m@1\"},"
                       "{\"id\":-17,\"vectors\":[[3],[4]]},{\"id\":\"\xc3\xa9\""
                       ",\"text\":\"words\"}]}"),
        INV_OK);
    ck_assert_uint_eq(documents.count, 3);
    const struct inv_document_in *d = documents.items;
    ck_assert_str_eq(d[0].id, "a");
    ck_assert_uint_eq(d[0].id_len, 1);
    ck_assert(!d[0].given.plural);
    ck_assert_double_eq((double)d[0].given.matrix.data[1], 2);
    ck_assert_str_eq(d[0].model, "m@1");
    ck_assert_uint_eq(inv_json_size(d[0].payload), 1);
    ck_assert_str_eq(d[1].id, "-17");
    ck_assert_uint_eq(d[1].id_len, 3);
    ck_assert(d[1].given.plural);
    ck_assert_uint_eq(d[1].given.matrix.rows, 2);
    ck_assert_ptr_null(d[1].payload);
    ck_assert_ptr_null(d[1].model);
    ck_assert_str_eq(d[2].text, "words");
    ck_assert_ptr_null(d[2].given.matrix.data);
    ck_assert_uint_eq(d[2].id_len, 2);
}
END_TEST

START_TEST(bad_documents_are_refused_where_they_are_bad) {
    static const struct bad cases[] = {
        {"{}", "/documents", "10000", "nothing"},
        {"{\"documents\":[]}", "/documents", "10000", "0"},
        {"{\"documents\":{}}", "/documents", "an array", "an object"},
        {"{\"documents\":[7]}", "/documents/0", "an object", "an integer"},
        {"{\"documents\":[{\"vector\":[1]}]}", "/documents/0", "\"id\"", ""},
        {"{\"documents\":[{\"id\":\"\",\"vector\":[1]}]}", "/documents/0/id",
         "512", "0"},
        {"{\"documents\":[{\"id\":1.5,\"vector\":[1]}]}", "/documents/0/id",
         "a string", "a real number"},
        {"{\"documents\":[{\"id\":null,\"vector\":[1]}]}", "/documents/0/id",
         "a string", "null"},
        {"{\"documents\":[{\"id\":1}]}", "/documents/0", "exactly one", "none"},
        {"{\"documents\":[{\"id\":1,\"vector\":[1],\"text\":\"a\"}]}",
         "/documents/0", "exactly one", "\"text\""},
        {"{\"documents\":[{\"id\":1,\"vector\":[1],\"payload\":[]}]}",
         "/documents/0/payload", "an object", "an array"},
        {"{\"documents\":[{\"id\":1,\"vector\":[1],\"paylaod\":{}}]}",
         "/documents/0/paylaod", "paylaod", "payload"},
        {"{\"documents\":[{\"id\":\"7\",\"vector\":[1]},{\"id\":\"x\","
         "\"vector\":[1]},{\"id\":7,\"vector\":[2]}]}",
         "/documents/2/id", "document 0", "document 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_bad(&cases[i], read_documents(cases[i].body));
    char body[700];
    for (int len = 512; len <= 513; len++) {
        char id[514];
        memset(id, 'i', sizeof id);
        id[len] = '\0';
        snprintf(body, sizeof body,
                 "{\"documents\":[{\"id\":\"%s\",\"vector\":[1]}]}", id);
        ck_assert_int_eq(read_documents(body),
                         len == 512 ? INV_OK : INV_INVALID);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "513"));
    ck_assert_ptr_nonnull(strstr(err.text, "512"));
}
END_TEST

START_TEST(a_batch_of_the_largest_size_finds_its_one_repeated_id) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"documents\":[");
    for (int i = 0; i < INV_BATCH_DOCS_MAX; i++)
        inv_buf_printf(&body, "%s{\"id\":\"%05d\",\"vector\":[1]}",
                       i == 0 ? "" : ",", i == 9999 ? 1234 : i);
    inv_buf_puts(&body, "]}");
    ck_assert_int_eq(read_documents(body.data), INV_INVALID);
    ck_assert_str_eq(err.pointer, "/documents/9999/id");
    ck_assert_ptr_nonnull(strstr(err.text, "document 1234 "));
    char *repeated = strrchr(body.data, ':') - 17; /* ,"id":"01234","vec.. */
    repeated = strstr(repeated, "01234");
    ck_assert_ptr_nonnull(repeated);
    memcpy(repeated, "09999", 5);
    ck_assert_int_eq(read_documents(body.data), INV_OK);
    ck_assert_uint_eq(documents.count, INV_BATCH_DOCS_MAX);
    body.len -= 2;
    inv_buf_puts(&body, ",{\"id\":\"more\",\"vector\":[1]}]}");
    ck_assert_int_eq(read_documents(body.data), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "10001"));
    inv_buf_release(&body);
}
END_TEST

START_TEST(a_delete_is_by_ids_or_by_filter) {
    struct inv_delete_request delete;
    parse("{\"ids\":[\"a\",5]}");
    ck_assert_int_eq(inv_parse_delete(&doc, &delete, &err), INV_OK);
    ck_assert_uint_eq(delete.ids.count, 2);
    ck_assert_str_eq(delete.ids.ids[1], "5");
    ck_assert_uint_eq(delete.ids.lens[1], 1);
    ck_assert(!delete.dry_run);
    ck_assert_ptr_null(delete.filter);
    parse("{\"filter\":{\"must\":[]},\"dry_run\":true}");
    ck_assert_int_eq(inv_parse_delete(&doc, &delete, &err), INV_OK);
    ck_assert_uint_eq(delete.ids.count, 0);
    ck_assert_ptr_nonnull(delete.filter);
    ck_assert(delete.dry_run);
    static const struct bad cases[] = {
        {"{}", "", "exactly one", "none"},
        {"{\"ids\":[\"a\"],\"filter\":{}}", "", "exactly one", "both"},
        {"{\"ids\":[]}", "/ids", "10000", "0"},
        {"{\"ids\":\"a\"}", "/ids", "an array", "a string"},
        {"{\"ids\":[\"a\",true]}", "/ids/1", "a string", "a boolean"},
        {"{\"filter\":null}", "/filter", "an object", "null"},
        {"{\"ids\":[1],\"dryrun\":true}", "/dryrun", "dryrun", "dry_run"},
        {"{\"ids\":[1],\"dry_run\":0}", "/dry_run", "true", "an integer"},
        {"[1]", "", "an object", "an array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parse(cases[i].body);
        check_bad(&cases[i], inv_parse_delete(&doc, &delete, &err));
    }
}
END_TEST

START_TEST(a_scroll_shows_payloads_unless_told_otherwise) {
    struct inv_scroll_request scroll;
    parse("{}");
    ck_assert_int_eq(inv_parse_scroll(&doc, &scroll, &err), INV_OK);
    ck_assert(scroll.payload.all && !scroll.with_vectors);
    ck_assert_uint_eq(scroll.limit, INV_LIMIT_DEFAULT);
    ck_assert_ptr_null(scroll.cursor);
    ck_assert_ptr_null(scroll.filter);
    parse("{\"limit\":10000,\"cursor\":\"abc\",\"filter\":{},"
          "\"with\":{\"payload\":false,\"vectors\":true}}");
    ck_assert_int_eq(inv_parse_scroll(&doc, &scroll, &err), INV_OK);
    ck_assert(!scroll.payload.all && scroll.payload.key_count == 0);
    ck_assert(scroll.with_vectors);
    ck_assert_str_eq(scroll.cursor, "abc");
    ck_assert_ptr_nonnull(scroll.filter);
    parse("{\"with\":{\"payload\":[\"k\"]}}");
    ck_assert_int_eq(inv_parse_scroll(&doc, &scroll, &err), INV_OK);
    ck_assert(!scroll.payload.all && scroll.payload.key_count == 1);
    static const struct bad cases[] = {
        {"{\"limit\":0}", "/limit", "10000", "0"},
        {"{\"cursor\":\"\"}", "/cursor", "1", "0"},
        {"{\"cursor\":1}", "/cursor", "a string", "an integer"},
        {"{\"offset\":1}", "/offset", "unknown", "offset"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parse(cases[i].body);
        check_bad(&cases[i], inv_parse_scroll(&doc, &scroll, &err));
    }
}
END_TEST

START_TEST(a_recall_measurement_samples_or_takes_queries) {
    struct inv_recall_request recall;
    parse("{}");
    ck_assert_int_eq(inv_parse_recall(&doc, &limits, &recall, &err), INV_OK);
    ck_assert_uint_eq(recall.sample, 100);
    ck_assert_uint_eq(recall.limit, 10);
    ck_assert_uint_eq(recall.query_count, 0);
    parse("{\"limit\":5,\"params\":{\"ef\":9},\"queries\":[{\"vector\":[1]},"
          "{\"vectors\":[[1],[2]]}]}");
    ck_assert_int_eq(inv_parse_recall(&doc, &limits, &recall, &err), INV_OK);
    ck_assert_uint_eq(recall.query_count, 2);
    ck_assert_uint_eq(recall.params.ef, 9);
    ck_assert_uint_eq(recall.queries[1].given.matrix.rows, 2);
    static const struct bad cases[] = {
        {"{\"sample\":0}", "/sample", "10000", "0"},
        {"{\"sample\":5,\"queries\":[{\"vector\":[1]}]}", "/sample", "sample",
         "queries"},
        {"{\"queries\":[]}", "/queries", "10000", "0"},
        {"{\"queries\":[{}]}", "/queries/0", "vectors", "none"},
        {"{\"queries\":[{\"vector\":[1],\"vectors\":[[1]]}]}", "/queries/0",
         "exactly one", "\"vector\" \"vectors\""},
        {"{\"queries\":[[1]]}", "/queries/0", "an object", "an array"},
        {"{\"queries\":[{\"texts\":\"a\"}]}", "/queries/0/texts", "unknown",
         "text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parse(cases[i].body);
        check_bad(&cases[i], inv_parse_recall(&doc, &limits, &recall, &err));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("requests");
    TCase *tcase = tcase_create("requests");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_search_with_everything_is_read_completely);
    tcase_add_test(tcase, a_bare_search_gets_the_defaults);
    tcase_add_test(tcase, a_model_is_a_name_with_or_without_revision);
    tcase_add_test(tcase, a_bad_search_is_refused_where_it_is_bad);
    tcase_add_test(tcase, a_batch_names_the_search_that_is_bad);
    tcase_add_test(tcase, documents_are_read_in_order_with_their_parts);
    tcase_add_test(tcase, bad_documents_are_refused_where_they_are_bad);
    tcase_add_test(tcase,
                   a_batch_of_the_largest_size_finds_its_one_repeated_id);
    tcase_add_test(tcase, a_delete_is_by_ids_or_by_filter);
    tcase_add_test(tcase, a_scroll_shows_payloads_unless_told_otherwise);
    tcase_add_test(tcase, a_recall_measurement_samples_or_takes_queries);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
