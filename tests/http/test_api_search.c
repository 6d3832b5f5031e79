/*
 * test_api_search.c: searches, batches and recall over real HTTP: order,
 * pages, budgets, Matryoshka dims, binary queries, limits of time.
 */
#include "tests/support/api.h"

#include "base/rng.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/c"
#define M "/v1/collections/m"
#define DIM 8
#define COUNT 60

static struct api api;

/* Document i: (i, 60 - i, 1, 0, ...): the larger i, the nearer to the first
 * axis. */
static void setup(void) {
    struct inv_buf body = INV_BUF_INIT;
    api_init(&api);
    api.config.models_dir = "demo/models";
    api_start(&api);
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":8,\"encoder\":{\"type\":"
           "\"matryoshka\",\"dims\":[2,4,8],\"index_dims\":2},"
           "\"payload_index\":{\"n\":\"integer\"}}");
    inv_buf_puts(&body, "{\"documents\":[");
    for (int i = 0; i < COUNT; i++)
        inv_buf_printf(&body,
                       "%s{\"id\":%d,\"vector\":[%d,%d,1,0,0,0,0,%d],"
                       "\"payload\":{\"n\":%d,\"t\":\"x\",\"d\":{\"e\":%d}}}",
                       i == 0 ? "" : ",", i, i, COUNT - i, i % 2, i, -i);
    api_ok(&api, "PUT", C "/documents", "%s]}", body.data);
    inv_buf_release(&body);
}

static void teardown(void) { api_stop(&api); }

static void search(const char *rest) {
    api_ok(&api, "POST", C "/search", "{\"vector\":[1,0,0,0,0,0,0,0]%s}", rest);
}

static long hit_id(size_t i) {
    char at[48];
    snprintf(at, sizeof at, "/hits/%zu/id", i);
    return strtol(api_string(&api, at), NULL, 10);
}

static size_t hits(void) { return api_size(&api, "/hits"); }

START_TEST(hits_come_best_first_with_model_and_time_and_no_more) {
    search("");
    ck_assert_uint_eq(hits(), 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(hit_id(i), COUNT - 1 - (long)i);
    ck_assert_str_eq(api_string(&api, "/model"), "default@1");
    ck_assert(api_number(&api, "/took_ms") >= 0);
    ck_assert_ptr_null(api_at(&api, "/hits/0/payload"));
    ck_assert_ptr_null(api_at(&api, "/hits/0/vector"));
    ck_assert_ptr_null(api_at(&api, "/plan"));
    ck_assert_ptr_null(api_at(&api, "/warnings"));
    ck_assert_ptr_nonnull(raw_header(&api.reply, "Server-Timing"));
    /* 59 / |(59, 1, 1, 1)| */
    ck_assert(api_number(&api, "/hits/0/score") > 0.9995);
    ck_assert(api_number(&api, "/hits/0/score") < 0.9997);
}
END_TEST

START_TEST(pages_follow_each_other_and_end_empty) {
    search(",\"limit\":7,\"offset\":50");
    ck_assert_uint_eq(hits(), 7);
    ck_assert_int_eq(hit_id(0), COUNT - 51);
    search(",\"limit\":7,\"offset\":55");
    ck_assert_uint_eq(hits(), 5);
    ck_assert_int_eq(hit_id(4), 0);
    search(",\"offset\":60");
    ck_assert_uint_eq(hits(), 0);
    search(",\"offset\":100000,\"limit\":10000");
    ck_assert_uint_eq(hits(), 0);
}
END_TEST

START_TEST(limits_out_of_range_are_refused_with_both) {
    static const struct {
        const char *rest, *pointer, *pieces;
    } cases[] = {
        {"\"limit\":0", "/limit", "from 1 to 10000|got 0"},
        {"\"limit\":10001", "/limit", "10000|got 10001"},
        {"\"limit\":-1", "/limit", "from 1|got -1"},
        {"\"limit\":\"5\"", "/limit", "integer|a string"},
        {"\"offset\":100001", "/offset", "100000|got 100001"},
        {"\"params\":{\"candidates\":0}", "/params/candidates", "got 0"},
        {"\"params\":{\"ef\":1000001}", "/params/ef", "1000000|1000001"},
        {"\"params\":{\"timeout_ms\":0}", "/params/timeout_ms", "got 0"},
        {"\"params\":{\"dims\":[]}", "/params/dims", "got 0"},
        {"\"params\":{\"dims\":[4,2]}", "/params/dims/1", "2|4"},
        {"\"params\":{\"dims\":[2,4],\"keep\":[9,3]}", "/params/keep",
         "2 for 2"},
        {"\"with\":{\"payload\":7}", "/with/payload", "an integer"},
        {"\"with\":{\"payloads\":true}", "/with/payloads", "payload"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        api_do(&api, "POST", C "/search", "{\"vector\":[1,0,0,0,0,0,0,0],%s}",
               cases[i].rest);
        api_refused(&api, 400, "invalid_request", cases[i].pointer,
                    cases[i].pieces);
    }
}
END_TEST

START_TEST(only_declared_dims_can_be_asked_for) {
    api_do(&api, "POST", C "/search",
           "{\"vector\":[1,0,0,0,0,0,0,0],\"params\":{\"dims\":[2,3,8]}}");
    api_refused(&api, 400, "dimension_mismatch", "/params/dims/1", "3|8");
    search(",\"params\":{\"dims\":[2,4,8],\"keep\":[30,20]},\"explain\":true");
    ck_assert_int_eq(hit_id(0), COUNT - 1);
    ck_assert_int_eq(api_int(&api, "/plan/candidates"), 30);
    ck_assert_uint_eq(api_size(&api, "/plan/funnel"), 2);
    ck_assert_int_eq(api_int(&api, "/plan/funnel/0/dims"), 4);
    ck_assert_int_eq(api_int(&api, "/plan/funnel/0/scored"), 30);
    ck_assert_int_eq(api_int(&api, "/plan/funnel/1/dims"), 8);
    ck_assert_int_eq(api_int(&api, "/plan/funnel/1/scored"), 20);
}
END_TEST

START_TEST(a_score_is_that_of_the_last_dims) {
    search(",\"params\":{\"dims\":[2]},\"limit\":1");
    double two = api_number(&api, "/hits/0/score"); /* 59 / |(59, 1)| */
    search(",\"params\":{\"dims\":[8]},\"limit\":1");
    double eight = api_number(&api, "/hits/0/score");
    ck_assert(two > 0.99985 && two < 0.99987);
    ck_assert(eight < 0.9997);
}
END_TEST

START_TEST(payload_and_vectors_come_when_asked_for) {
    search(",\"limit\":1,\"with\":{\"payload\":true,\"vectors\":true}");
    ck_assert_uint_eq(api_size(&api, "/hits/0/payload"), 3);
    ck_assert_uint_eq(api_size(&api, "/hits/0/vector"), DIM);
    ck_assert_int_eq(api_int(&api, "/hits/0/vector/0"), COUNT - 1);
    search(",\"limit\":1,\"with\":{\"payload\":[\"n\",\"d.e\",\"none\"]}");
    ck_assert_uint_eq(api_size(&api, "/hits/0/payload"), 2);
    ck_assert_int_eq(api_int(&api, "/hits/0/payload/n"), COUNT - 1);
    ck_assert_int_eq(api_int(&api, "/hits/0/payload/d.e"), 1 - COUNT);
    search(",\"limit\":1,\"with\":{\"payload\":false}");
    ck_assert_ptr_null(api_at(&api, "/hits/0/payload"));
}
END_TEST

START_TEST(equal_scores_are_in_the_order_of_ids) {
    api_ok(&api, "PUT", "/v1/collections/t",
           "{\"kind\":\"single\",\"dim\":2,\"metric\":\"ip\"}");
    api_ok(&api, "PUT", "/v1/collections/t/documents",
           "{\"documents\":[{\"id\":\"b\",\"vector\":[1,0]},"
           "{\"id\":\"ab\",\"vector\":[1,0]},{\"id\":\"a\",\"vector\":[1,0]},"
           "{\"id\":\"Z\",\"vector\":[1,0]},{\"id\":\"c\",\"vector\":[2,0]}]}");
    api_ok(&api, "POST", "/v1/collections/t/search",
           "{\"vector\":[1,0],\"limit\":4,\"params\":{\"exact\":true}}");
    static const char *const order[] = {"c", "Z", "a", "ab"};
    for (size_t i = 0; i < 4; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        ck_assert_str_eq(api_string(&api, at), order[i]);
    }
}
END_TEST

START_TEST(every_metric_scores_as_it_says) {
    static const struct {
        const char *metric;
        double score;
    } cases[] = {{"ip", 11}, {"l2", -8}, {"cosine", 0.98386991}};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/collections/m%zu", i);
        api_ok(&api, "PUT", path,
               "{\"kind\":\"single\",\"dim\":2,\"metric\":\"%s\"}",
               cases[i].metric);
        snprintf(path, sizeof path, "/v1/collections/m%zu/documents", i);
        api_ok(&api, "PUT", path,
               "{\"documents\":[{\"id\":1,\"vector\":[3,4]}]}");
        snprintf(path, sizeof path, "/v1/collections/m%zu/search", i);
        api_ok(&api, "POST", path, "{\"vector\":[1,2]}");
        double got = api_number(&api, "/hits/0/score");
        ck_assert_msg(got - cases[i].score < 1e-6 &&
                          cases[i].score - got < 1e-6,
                      "%s: %.9g", cases[i].metric, got);
    }
}
END_TEST

START_TEST(very_small_vectors_have_a_cosine) {
    api_ok(&api, "PUT", "/v1/collections/t", "{\"kind\":\"single\",\"dim\":2}");
    api_ok(&api, "PUT", "/v1/collections/t/documents",
           "{\"documents\":[{\"id\":1,\"vector\":[3e-25,4e-25]},"
           "{\"id\":2,\"vector\":[4e-25,3e-25]}]}");
    api_ok(&api, "POST", "/v1/collections/t/search", "{\"vector\":[1e-30,0]}");
    ck_assert_uint_eq(hits(), 2);
    ck_assert_int_eq(hit_id(0), 2);
    double score = api_number(&api, "/hits/0/score");
    ck_assert_msg(score > 0.799 && score < 0.801, "%.9g", score);
}
END_TEST

START_TEST(tokens_are_scored_by_sum_or_mean_of_their_best) {
    static const char *const scores[] = {"sum", "mean"};
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/collections/m%zu", i);
        api_ok(&api, "PUT", path,
               "{\"kind\":\"multi\",\"dim\":2,\"score\":\"%s\",\"encoder\":"
               "{\"type\":\"muvera\",\"R\":4,\"k\":2,\"m\":2}}",
               scores[i]);
        snprintf(path, sizeof path, "/v1/collections/m%zu/documents", i);
        api_ok(&api, "PUT", path,
               "{\"documents\":[{\"id\":1,\"vectors\":[[1,0],[0,2]]},"
               "{\"id\":2,\"vectors\":[[1,1]]}]}");
        snprintf(path, sizeof path, "/v1/collections/m%zu/search", i);
        api_ok(&api, "POST", path, "{\"vectors\":[[3,0],[0,0],[0,1]]}");
        /* 3 + 2 and 3 + 1; the padding token is not counted */
        double by = i == 0 ? 1 : 2;
        ck_assert_int_eq(hit_id(0), 1);
        ck_assert(api_number(&api, "/hits/0/score") == 5 / by);
        ck_assert(api_number(&api, "/hits/1/score") == 4 / by);
    }
}
END_TEST

START_TEST(weighted_tokens_under_cosine_get_a_warning) {
    api_ok(&api, "PUT", M,
           "{\"kind\":\"multi\",\"dim\":2,\"metric\":\"cosine\",\"encoder\":"
           "{\"type\":\"muvera\",\"R\":4,\"k\":2,\"m\":2}}");
    api_ok(&api, "PUT", M "/documents",
           "{\"documents\":[{\"id\":1,\"vectors\":[[1,0],[0,2]]}]}");
    api_ok(&api, "POST", M "/search", "{\"vectors\":[[1,0],[0,1]]}");
    ck_assert_ptr_null(api_at(&api, "/warnings"));
    api_ok(&api, "POST", M "/search", "{\"vectors\":[[1,0],[0,2]]}");
    ck_assert_uint_eq(api_size(&api, "/warnings"), 1);
    ck_assert(api_number(&api, "/hits/0/score") == 2);
}
END_TEST

START_TEST(text_is_encoded_by_the_built_in_model) {
    api_ok(&api, "PUT", M,
           "{\"kind\":\"multi\",\"dim\":96,\"metric\":\"cosine\","
           "\"model\":{\"name\":\"static\",\"revision\":\"2\"}}");
    api_ok(&api, "PUT", M "/documents",
           "{\"documents\":[{\"id\":1,\"text\":\"cats chase small mice\"},"
           "{\"id\":2,\"text\":\"bond yields rose sharply\","
           "\"payload\":{\"own\":1}}]}");
    api_ok(&api, "POST", M "/search",
           "{\"text\":\"interest rates\",\"model\":\"static@2\",\"with\":"
           "{\"payload\":true}}");
    ck_assert_int_eq(hit_id(0), 2);
    ck_assert_str_eq(api_string(&api, "/model"), "static@2");
    /* the text itself is not kept, the weights meet cosine */
    ck_assert_uint_eq(api_size(&api, "/hits/0/payload"), 1);
    ck_assert_uint_eq(api_size(&api, "/warnings"), 1);
    api_do(&api, "POST", M "/search", "{\"text\":\"\"}");
    api_refused(&api, 400, "invalid_request", "/text", "got 0");
    api_do(&api, "POST", M "/search", "{\"text\":\"  \\n \"}");
    api_refused(&api, 400, "invalid_request", "/text", "");
    api_do(&api, "POST", M "/search", "{\"text\":\"a\",\"vectors\":[[1]]}");
    api_refused(&api, 400, "invalid_request", NULL, "exactly one");
    api_do(&api, "POST", M "/documents", "{}");
    ck_assert_int_eq(api.reply.status, 405);
}
END_TEST

/* ---- binary ---- */

static int binary(const char *path, const char *type, const void *body,
                  size_t len) {
    struct api_request request = {
        .method = "POST", .path = path, .type = type, .body = body, .len = len};
    return api_send(&api, &request);
}

/* A version 1 .npy of 8 floats; returns its length. */
static size_t make_npy(char *out, const char *descr, const void *x,
                       size_t bytes) {
    char header[119];
    memset(header, ' ', sizeof header);
    int n = snprintf(header, sizeof header,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (8,), }",
                     descr);
    header[n] = ' ';
    header[117] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(out + 10, header, 118);
    memcpy(out + 128, x, bytes);
    return 128 + bytes;
}

static const float axis[DIM] = {1, 0, 0, 0, 0, 0, 0, 0};

START_TEST(a_binary_query_finds_what_the_json_query_finds) {
    char npy[256];
    double wide[DIM] = {1};
    ck_assert_int_eq(binary(C "/search?limit=3&offset=1&payload=n,t"
                              "&vectors=true&explain&dims=2,8&keep=20"
                              "&model=default@1",
                            "application/octet-stream", axis, sizeof axis),
                     200);
    ck_assert_uint_eq(hits(), 3);
    ck_assert_int_eq(hit_id(0), COUNT - 2);
    ck_assert_uint_eq(api_size(&api, "/hits/0/payload"), 2);
    ck_assert_uint_eq(api_size(&api, "/hits/0/vector"), DIM);
    ck_assert_int_eq(api_int(&api, "/plan/candidates"), 20);
    size_t len = make_npy(npy, "<f4", axis, sizeof axis);
    ck_assert_int_eq(binary(C "/search", "application/x-npy", npy, len), 200);
    ck_assert_int_eq(hit_id(0), COUNT - 1);
    len = make_npy(npy, "<f8", wide, sizeof wide);
    ck_assert_int_eq(binary(C "/search?exact=true&filter=%7B%22must%22%3A%5B%7B"
                              "%22key%22%3A%22n%22%2C%22match%22%3A7%7D%5D%7D",
                            "application/x-npy", npy, len),
                     200);
    ck_assert_uint_eq(hits(), 1);
    ck_assert_int_eq(hit_id(0), 7);
}
END_TEST

START_TEST(a_truncated_npy_is_refused_with_both_lengths) {
    char npy[256];
    size_t len = make_npy(npy, "<f4", axis, sizeof axis);
    for (size_t n = 1; n < len; n += n < 120 ? 13 : 1) {
        binary(C "/search", "application/x-npy", npy, n);
        api_refused(&api, 400, "invalid_request", NULL, "npy");
    }
    binary(C "/search", "application/x-npy", npy, len - 5);
    api_refused(&api, 400, "invalid_request", NULL, "expected 32 bytes|got 27");
    len = make_npy(npy, ">f4", axis, sizeof axis);
    binary(C "/search", "application/x-npy", npy, len);
    api_refused(&api, 400, "invalid_request", NULL, "big-endian");
    len = make_npy(npy, "<i4", axis, sizeof axis);
    binary(C "/search", "application/x-npy", npy, len);
    api_refused(&api, 400, "invalid_request", NULL, "f2, f4 or f8|i4");
}
END_TEST

START_TEST(bad_binary_queries_are_refused) {
    const float large[DIM] = {1, 0, 0, 1e30f};
    static const struct {
        const char *query, *pieces;
    } cases[] = {
        {"limit=0", "limit|1|10000|\"0\""},
        {"limit=ten", "ten"},
        {"limit=+5", "limit"},
        {"exact=yes", "true or false|yes"},
        {"dims=2,,8", "dims|2,,8"},
        {"dims=8,2", "dims|2|8"},
        {"keep=5", "keep"},
        {"filtr=1", "filtr|filter"},
        {"payload=", NULL},
        {"payload=a,,b", "key 2"},
    };
    binary(C "/search", "application/octet-stream", axis, 30);
    api_refused(&api, 400, "dimension_mismatch", NULL, "30 bytes|8|32");
    binary(C "/search", "application/octet-stream", large, sizeof large);
    api_refused(&api, 400, "value_out_of_range", NULL, "1e+30|column 3|1e+15");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, C "/search?%s", cases[i].query);
        binary(path, "application/octet-stream", axis, sizeof axis);
        if (cases[i].pieces == NULL) {
            ck_assert_int_eq(api.reply.status, 200);
            continue;
        }
        ck_assert_int_eq(api.reply.status, 400);
        ck_assert_str_eq(api_string(&api, "/code"), "invalid_request");
    }
    binary(C "/search?filter=%7B%22must", "application/octet-stream", axis,
           sizeof axis);
    api_refused(&api, 400, "malformed_json", NULL, "at byte");
}
END_TEST

/* ---- batches, recall, time ---- */

START_TEST(a_batch_answers_each_search_or_names_the_one_that_is_wrong) {
    api_ok(&api, "POST", C "/search/batch",
           "{\"searches\":[{\"vector\":[1,0,0,0,0,0,0,0],\"limit\":1},"
           "{\"vector\":[0,1,0,0,0,0,0,0],\"limit\":2}]}");
    ck_assert_uint_eq(api_size(&api, "/results"), 2);
    ck_assert_str_eq(api_string(&api, "/results/0/hits/0/id"), "59");
    ck_assert_str_eq(api_string(&api, "/results/1/hits/0/id"), "0");
    ck_assert_uint_eq(api_size(&api, "/results/1/hits"), 2);
    api_do(&api, "POST", C "/search/batch",
           "{\"searches\":[{\"vector\":[1,0,0,0,0,0,0,0]},"
           "{\"vector\":[1,0]}]}");
    api_refused(&api, 400, "dimension_mismatch", "/searches/1/vector", "8|2");
    api_do(&api, "POST", C "/search/batch",
           "{\"searches\":[{\"vector\":[1,0,0,0,0,0,0,0]},"
           "{\"vector\":[1,0,0,0,0,0,0,0],\"limit\":0}]}");
    api_refused(&api, 400, "invalid_request", "/searches/1/limit", "got 0");
    api_do(&api, "POST", C "/search/batch", "{\"searches\":[]}");
    api_refused(&api, 400, "invalid_request", "/searches", "1 to 256|0");
}
END_TEST

START_TEST(recall_measures_stored_and_given_queries) {
    api_ok(&api, "POST", C "/recall", "{\"sample\":20,\"limit\":5}");
    ck_assert_int_eq(api_int(&api, "/queries"), 20);
    ck_assert_int_eq(api_int(&api, "/limit"), 5);
    ck_assert_str_eq(api_string(&api, "/of"), "documents");
    ck_assert(api_number(&api, "/recall") >= 0.9);
    api_ok(&api, "POST", C "/recall",
           "{\"queries\":[{\"vector\":[1,0,0,0,0,0,0,0]},"
           "{\"vector\":[0,1,0,0,0,0,0,0]}]}");
    ck_assert_int_eq(api_int(&api, "/queries"), 2);
    ck_assert_str_eq(api_string(&api, "/of"), "queries");
    ck_assert(api_number(&api, "/recall") == 1);
    api_do(&api, "POST", C "/recall",
           "{\"queries\":[{\"vector\":[1,0,0,0,0,0,0,0]},{\"vector\":[1]}]}");
    api_refused(&api, 400, "dimension_mismatch", "/queries/1/vector", "8|1");
    api_do(&api, "POST", C "/recall", "{\"sample\":0}");
    api_refused(&api, 400, "invalid_request", "/sample", "got 0");
}
END_TEST

START_TEST(an_empty_collection_answers_with_no_hits) {
    api_ok(&api, "PUT", "/v1/collections/t", "{\"kind\":\"single\",\"dim\":2}");
    api_ok(&api, "POST", "/v1/collections/t/search", "{\"vector\":[1,0]}");
    ck_assert_uint_eq(hits(), 0);
    api_ok(&api, "POST", "/v1/collections/t/recall", "{}");
    ck_assert_int_eq(api_int(&api, "/queries"), 0);
    api_rebuild(&api, "t", "{\"index\":{\"type\":\"ivf_pq\"}}");
    api_ok(&api, "POST", "/v1/collections/t/search", "{\"vector\":[1,0]}");
    ck_assert_uint_eq(hits(), 0);
}
END_TEST

/* rows x 256 small numbers as JSON */
static char *make_tokens(int rows) {
    struct inv_stream random;
    struct inv_buf text = INV_BUF_INIT;
    inv_stream_init(&random, 5, "tokens", (uint64_t)rows);
    for (int i = 0; i < rows * 256; i++)
        inv_buf_printf(&text, "%s%d",
                       i == 0         ? "[["
                       : i % 256 == 0 ? "],["
                                      : ",",
                       (int)inv_stream_below(&random, 9) - 4);
    inv_buf_puts(&text, "]]");
    return text.data;
}

START_TEST(a_search_that_takes_too_long_ends_with_timeout) {
    /* 16 x 64 tokens of 256 dimensions against 600 documents: 30 ms */
    struct inv_buf body = INV_BUF_INIT;
    char *document = make_tokens(64);
    char *query = make_tokens(16);
    api_ok(&api, "PUT", M,
           "{\"kind\":\"multi\",\"dim\":256,\"encoder\":"
           "{\"type\":\"muvera\",\"R\":1,\"k\":1,\"m\":8}}");
    for (int batch = 0; batch < 4; batch++) {
        inv_buf_reset(&body);
        for (int i = 0; i < 150; i++)
            inv_buf_printf(&body, "%s{\"id\":%d,\"vectors\":%s}",
                           i == 0 ? "" : ",", batch * 150 + i, document);
        api_ok(&api, "PUT", M "/documents", "{\"documents\":[%s]}", body.data);
    }
    api_do(&api, "POST", M "/search",
           "{\"vectors\":%s,\"params\":{\"exact\":true,\"timeout_ms\":1}}",
           query);
    api_refused(&api, 504, "timeout", NULL, "timeout_ms of 1");
    api_ok(&api, "POST", M "/search",
           "{\"vectors\":%s,\"params\":{\"exact\":true,"
           "\"timeout_ms\":60000}}",
           query);
    ck_assert_uint_eq(hits(), 10);
    inv_buf_release(&body);
    free(document);
    free(query);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        hits_come_best_first_with_model_and_time_and_no_more,
        pages_follow_each_other_and_end_empty,
        limits_out_of_range_are_refused_with_both,
        only_declared_dims_can_be_asked_for,
        a_score_is_that_of_the_last_dims,
        payload_and_vectors_come_when_asked_for,
        equal_scores_are_in_the_order_of_ids,
        every_metric_scores_as_it_says,
        very_small_vectors_have_a_cosine,
        tokens_are_scored_by_sum_or_mean_of_their_best,
        weighted_tokens_under_cosine_get_a_warning,
        text_is_encoded_by_the_built_in_model,
        a_binary_query_finds_what_the_json_query_finds,
        a_truncated_npy_is_refused_with_both_lengths,
        bad_binary_queries_are_refused,
        a_batch_answers_each_search_or_names_the_one_that_is_wrong,
        recall_measures_stored_and_given_queries,
        an_empty_collection_answers_with_no_hits,
        a_search_that_takes_too_long_ends_with_timeout,
    };
    return api_run_tests("searches over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
