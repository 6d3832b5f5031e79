/*
 * test_api_documents.c: writing, reading, changing, counting and listing
 * documents over real HTTP.
 */
#include "tests/support/api.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/c"
#define D C "/documents"

static struct api api;

static void setup(void) {
    api_init(&api);
    api_start(&api);
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":2,\"payload_index\":"
           "{\"n\":\"integer\",\"tags\":\"keyword\",\"a.b\":\"float\"}}");
}

static void teardown(void) { api_stop(&api); }

static int64_t count(const char *filter) {
    api_ok(&api, "POST", D "/count", "{\"filter\":%s}", filter);
    return api_int(&api, "/count");
}

static void put_numbers(int from, int until) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"documents\":[");
    for (int i = from; i < until; i++)
        inv_buf_printf(&body,
                       "%s{\"id\":%d,\"vector\":[%d,1],\"payload\":{\"n\":%d,"
                       "\"u\":%d}}",
                       i == from ? "" : ",", i, i, i, i % 3);
    api_ok(&api, "PUT", D, "%s]}", body.data);
    inv_buf_release(&body);
}

START_TEST(a_document_comes_back_as_it_was_sent) {
    api_ok(&api, "PUT", D,
           "{\"documents\":[{\"id\":\"x\",\"vector\":[0.1,-3e-7],"
           "\"payload\":{\"title\":\"caf\xc3\xa9 \\u0001\",\"n\":7,"
           "\"deep\":{\"list\":[1,2.0,null,true]}}}]}");
    ck_assert_int_eq(api_int(&api, "/upserted"), 1);
    ck_assert_int_eq(api_int(&api, "/created"), 1);
    ck_assert_uint_eq(api_size(&api, "/errors"), 0);
    ck_assert_int_eq(api_do(&api, "GET", D "/x?vectors=true", NULL), 200);
    ck_assert_str_eq(api_string(&api, "/id"), "x");
    ck_assert_str_eq(api_string(&api, "/model"), "default@1");
    ck_assert_int_ge(api_int(&api, "/seq"), 1);
    ck_assert_str_eq(api_string(&api, "/payload/title"), "caf\xc3\xa9 \x01");
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "\"deep\":{\"list\":[1,2.0,null,true]}"));
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[0.1,-3e-07]"));
    ck_assert_int_eq(api_do(&api, "GET", D "/x", NULL), 200);
    ck_assert_ptr_null(api_at(&api, "/vector"));
    api_do(&api, "GET", D "/y", NULL);
    api_refused(&api, 404, "not_found", NULL, "\"y\"");
}
END_TEST

START_TEST(base64_comes_back_as_the_same_numbers) {
    /* [1, -2] as little-endian f32 */
    api_ok(&api, "PUT", D,
           "{\"documents\":[{\"id\":\"x\",\"vector\":{\"b64\":"
           "\"AACAPwAAAMA=\",\"dtype\":\"f32\",\"shape\":[2]}}]}");
    api_ok(&api, "GET", D "/x?vectors=true", NULL);
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[1,-2]"));
}
END_TEST

START_TEST(int8_tokens_are_kept_as_they_were_sent) {
    api_ok(&api, "PUT", "/v1/collections/m",
           "{\"kind\":\"multi\",\"dim\":2,\"tokens\":{\"dtype\":\"i8\"},"
           "\"encoder\":{\"type\":\"muvera\",\"R\":2,\"k\":1,\"m\":2}}");
    /* rows (1, 2) and (127, -3), scales 0.5 and 0.25 as f16 */
    api_ok(&api, "PUT", "/v1/collections/m/documents",
           "{\"documents\":[{\"id\":\"x\",\"vectors\":{\"b64\":\"AQJ//Q==\","
           "\"scale\":\"ADgANA==\",\"dtype\":\"i8\",\"shape\":[2,2]}}]}");
    api_ok(&api, "GET", "/v1/collections/m/documents/x?vectors=true", NULL);
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "\"vectors\":[[0.5,1],[31.75,-0.75]]"));
}
END_TEST

START_TEST(all_zero_tokens_are_not_kept) {
    api_ok(&api, "PUT", "/v1/collections/m",
           "{\"kind\":\"multi\",\"dim\":2,"
           "\"encoder\":{\"type\":\"muvera\",\"R\":2,\"k\":1,\"m\":2}}");
    api_ok(&api, "PUT", "/v1/collections/m/documents",
           "{\"documents\":[{\"id\":\"x\",\"vectors\":"
           "[[0,0],[1,2],[-0.0,0],[3,4]]}]}");
    api_ok(&api, "GET", "/v1/collections/m/documents/x?vectors=true", NULL);
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vectors\":[[1,2],[3,4]]"));
}
END_TEST

START_TEST(an_id_may_hold_slashes_percent_signs_and_anything_else) {
    static const struct {
        const char *json, *path;
    } ids[] = {
        {"a/b", D "/a%2Fb"},   {"100%", D "/100%25"},
        {"%2F", D "/%252F"},   {"a b+c?d#e", D "/a%20b+c%3Fd%23e"},
        {"..", D "/%2e%2e"},   {"\xc3\xa9\xe2\x82\xac", D "/%c3%a9%E2%82%AC"},
        {"count", D "/count"}, {"q\\\"\\\\", D "/q%22%5c"},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        api_ok(&api, "PUT", D,
               "{\"documents\":[{\"id\":\"%s\",\"vector\":[1,%zu]}]}",
               ids[i].json, i);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        api_ok(&api, "GET", ids[i].path, NULL);
        char want[80];
        snprintf(want, sizeof want, "{\"id\":\"%s\",", ids[i].json);
        ck_assert_msg(strncmp(api_body(&api), want, strlen(want)) == 0,
                      "%s gave %s", ids[i].path, api_body(&api));
        api_ok(&api, "PATCH", ids[i].path, "{\"payload\":{\"n\":%zu}}", i);
        api_ok(&api, "GET", ids[i].path, NULL);
        ck_assert_int_eq(api_int(&api, "/payload/n"), (int64_t)i);
        api_ok(&api, "DELETE", ids[i].path, NULL);
        ck_assert_int_eq(api_do(&api, "GET", ids[i].path, NULL), 404);
    }
    ck_assert_int_eq(count("{}"), 0);
}
END_TEST

START_TEST(an_integer_id_is_its_decimal_string) {
    api_ok(&api, "PUT", D, "{\"documents\":[{\"id\":-42,\"vector\":[1,1]}]}");
    api_ok(&api, "GET", D "/-42", NULL);
    ck_assert_str_eq(api_string(&api, "/id"), "-42");
    api_ok(&api, "POST", D "/delete", "{\"ids\":[-42,\"x\"]}");
    ck_assert_int_eq(api_int(&api, "/deleted"), 1);
}
END_TEST

START_TEST(an_upsert_replaces_vector_and_payload_at_once) {
    put_numbers(1, 3);
    api_ok(&api, "GET", D "/1", NULL);
    int64_t seq = api_int(&api, "/seq");
    api_ok(&api, "PUT", D, "{\"documents\":[{\"id\":1,\"vector\":[0,5]}]}");
    ck_assert_int_eq(api_int(&api, "/upserted"), 1);
    ck_assert_int_eq(api_int(&api, "/created"), 0);
    api_ok(&api, "GET", D "/1?vectors", NULL);
    ck_assert_int_gt(api_int(&api, "/seq"), seq);
    ck_assert_uint_eq(api_size(&api, "/payload"), 0);
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[0,5]"));
    ck_assert_int_eq(count("{}"), 2);
    ck_assert_int_eq(count("{\"must\":[{\"key\":\"n\",\"match\":1}]}"), 0);
}
END_TEST

START_TEST(insert_takes_all_or_nothing) {
    put_numbers(1, 3);
    char *before = api_state(&api, "c");
    api_do(&api, "PUT", D "?mode=insert",
           "{\"documents\":[{\"id\":9,\"vector\":[1,1]},"
           "{\"id\":2,\"vector\":[1,1]},{\"id\":8,\"vector\":[1,1]}]}");
    api_refused(&api, 409, "conflict", "/documents/1/id", "\"2\" exists");
    char *after = api_state(&api, "c");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
    api_ok(&api, "PUT", D "?mode=insert",
           "{\"documents\":[{\"id\":9,\"vector\":[1,1]}]}");
    ck_assert_int_eq(count("{}"), 3);
}
END_TEST

START_TEST(update_takes_all_or_nothing) {
    put_numbers(1, 3);
    char *before = api_state(&api, "c");
    api_do(&api, "PUT", D "?mode=update",
           "{\"documents\":[{\"id\":1,\"vector\":[1,1]},"
           "{\"id\":7,\"vector\":[1,1]}]}");
    api_refused(&api, 404, "not_found", "/documents/1/id", "\"7\"");
    char *after = api_state(&api, "c");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
    api_ok(&api, "PUT", D "?mode=update",
           "{\"documents\":[{\"id\":1,\"vector\":[1,1]}]}");
    ck_assert_int_eq(api_int(&api, "/created"), 0);
}
END_TEST

START_TEST(a_patch_merges_the_payload_and_raises_only_the_version) {
    api_ok(&api, "PUT", D,
           "{\"documents\":[{\"id\":\"x\",\"vector\":[1,2],\"payload\":"
           "{\"n\":1,\"t\":\"old\",\"deep\":{\"a\":1,\"b\":2}}}]}");
    api_ok(&api, "GET", D "/x", NULL);
    int64_t seq = api_int(&api, "/seq");
    int64_t version = api_int(&api, "/version");
    api_ok(&api, "PATCH", D "/x",
           "{\"payload\":{\"n\":2,\"t\":null,\"deep\":{\"b\":null,\"c\":3}}}");
    ck_assert_int_gt(api_int(&api, "/version"), version);
    version = api_int(&api, "/version");
    api_ok(&api, "GET", D "/x?vectors=true", NULL);
    ck_assert_int_eq(api_int(&api, "/seq"), seq);
    ck_assert_int_eq(api_int(&api, "/version"), version);
    ck_assert_ptr_nonnull(strstr(
        api_body(&api), "\"payload\":{\"n\":2,\"deep\":{\"a\":1,\"c\":3}}"));
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[1,2]"));
    ck_assert_int_eq(count("{\"must\":[{\"key\":\"n\",\"match\":2}]}"), 1);
    ck_assert_int_eq(count("{\"must\":[{\"key\":\"n\",\"match\":1}]}"), 0);
    api_do(&api, "PATCH", D "/y", "{\"payload\":{}}");
    api_refused(&api, 404, "not_found", NULL, "\"y\"");
    api_do(&api, "PATCH", D "/x", "{}");
    api_refused(&api, 400, "invalid_request", "/payload", "missing");
    api_do(&api, "PATCH", D "/x", "{\"payload\":{},\"vector\":[1,1]}");
    api_refused(&api, 400, "invalid_request", "/vector", "unknown");
}
END_TEST

static int if_match(const char *method, const char *tag, const char *body) {
    char header[80];
    snprintf(header, sizeof header, "If-Match: %s\r\n", tag);
    struct api_request request = {.method = method,
                                  .path = D "/x",
                                  .headers = header,
                                  .body = body,
                                  .len = body == NULL ? 0 : strlen(body)};
    return api_send(&api, &request);
}

START_TEST(if_match_refuses_a_change_of_another_version) {
    api_ok(&api, "PUT", D, "{\"documents\":[{\"id\":\"x\",\"vector\":[1,2]}]}");
    api_ok(&api, "GET", D "/x", NULL);
    char old[32], now[32], pieces[80];
    snprintf(old, sizeof old, "%s", raw_header(&api.reply, "ETag"));
    ck_assert_int_eq(if_match("PATCH", old, "{\"payload\":{\"n\":1}}"), 200);
    snprintf(now, sizeof now, "%s", raw_header(&api.reply, "ETag"));
    ck_assert_str_ne(old, now);
    char *before = api_state(&api, "c");
    snprintf(pieces, sizeof pieces, "%s|%s", old, now);
    if_match("PATCH", old, "{\"payload\":{\"n\":2}}");
    api_refused(&api, 412, "precondition_failed", NULL, pieces);
    if_match("DELETE", old, NULL);
    api_refused(&api, 412, "precondition_failed", NULL, pieces);
    char *after = api_state(&api, "c");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
    ck_assert_int_eq(if_match("PATCH", "*", "{\"payload\":{\"n\":3}}"), 200);
    snprintf(now, sizeof now, "%s", raw_header(&api.reply, "ETag"));
    ck_assert_int_eq(if_match("DELETE", now, NULL), 200);
    if_match("DELETE", "*", NULL);
    api_refused(&api, 404, "not_found", NULL, "\"x\"");
}
END_TEST

START_TEST(a_delete_counts_what_it_found) {
    put_numbers(0, 10);
    api_ok(&api, "POST", D "/delete",
           "{\"ids\":[1,\"none\",1,2],\"dry_run\":true}");
    ck_assert_int_eq(api_int(&api, "/matched"), 3);
    ck_assert_int_eq(api_int(&api, "/deleted"), 0);
    ck_assert_int_eq(count("{}"), 10);
    api_ok(&api, "POST", D "/delete", "{\"ids\":[1,\"none\",1,2]}");
    ck_assert_int_eq(api_int(&api, "/matched"), 2);
    ck_assert_int_eq(api_int(&api, "/deleted"), 2);
    api_ok(&api, "POST", D "/delete",
           "{\"filter\":{\"must\":[{\"key\":\"n\",\"range\":{\"gte\":7}}]},"
           "\"dry_run\":true}");
    ck_assert_int_eq(api_int(&api, "/matched"), 3);
    ck_assert_int_eq(count("{}"), 8);
    /* u is not indexed */
    api_ok(&api, "POST", D "/delete",
           "{\"filter\":{\"must\":[{\"key\":\"u\",\"match\":0}]}}");
    ck_assert_int_eq(api_int(&api, "/deleted"), 4); /* 0 3 6 9 */
    ck_assert_int_eq(count("{}"), 4);
    api_do(&api, "POST", D "/delete", "{}");
    api_refused(&api, 400, "invalid_request", NULL, "exactly one|none");
    api_do(&api, "POST", D "/delete", "{\"ids\":[1],\"filter\":{}}");
    api_refused(&api, 400, "invalid_request", NULL, "exactly one|both");
    api_do(&api, "POST", D "/delete", "{\"ids\":[]}");
    api_refused(&api, 400, "invalid_request", "/ids", "got 0");
    ck_assert_int_eq(count("{}"), 4);
}
END_TEST

START_TEST(every_kind_of_filter_counts_right) {
    api_ok(&api, "PUT", D,
           "{\"documents\":["
           "{\"id\":\"p1\",\"vector\":[1,1],\"payload\":{\"n\":1,"
           "\"tags\":[\"red\",\"blue\"],\"a\":{\"b\":1.5},\"u\":\"one\"}},"
           "{\"id\":\"p2\",\"vector\":[1,1],\"payload\":{\"n\":2,"
           "\"tags\":\"reddish\",\"a.b\":2,\"u\":[2,3]}},"
           "{\"id\":\"q3\",\"vector\":[1,1],\"payload\":{\"tags\":null}},"
           "{\"id\":\"q4\",\"vector\":[1,1]}]}");
    static const struct {
        const char *filter;
        int64_t count;
    } cases[] = {
        {"{}", 4},
        {"{\"must\":[{\"key\":\"n\",\"match\":1}]}", 1},
        {"{\"must\":[{\"key\":\"n\",\"match\":[1,2,9]}]}", 2},
        {"{\"must_not\":[{\"key\":\"n\",\"match\":1}]}", 3},
        {"{\"must\":[{\"key\":\"n\",\"range\":{\"gt\":1}}]}", 1},
        {"{\"must\":[{\"key\":\"n\",\"range\":{\"gte\":1,\"lt\":2}}]}", 1},
        {"{\"must\":[{\"key\":\"tags\",\"match\":\"blue\"}]}", 1},
        {"{\"must\":[{\"key\":\"tags\",\"prefix\":\"red\"}]}", 2},
        {"{\"must\":[{\"key\":\"tags\",\"exists\":true}]}", 2},
        {"{\"must_not\":[{\"key\":\"tags\",\"exists\":true}]}", 2},
        {"{\"must\":[{\"key\":\"a.b\",\"range\":{\"lte\":2}}]}", 2},
        {"{\"must\":[{\"ids\":[\"p1\",\"q4\",\"none\"]}]}", 2},
        {"{\"should\":[{\"key\":\"n\",\"match\":1},"
         "{\"ids\":[\"q3\"]}]}",
         2},
        {"{\"must\":[{\"key\":\"n\",\"exists\":true}],"
         "\"should\":[{\"key\":\"n\",\"match\":2}],"
         "\"must_not\":[{\"key\":\"tags\",\"match\":\"blue\"}]}",
         1},
        {"{\"must\":[{\"key\":\"u\",\"match\":\"one\"}]}", 1},
        {"{\"must\":[{\"key\":\"u\",\"match\":3}]}", 1},
        {"{\"must\":[{\"key\":\"u\",\"exists\":true},"
         "{\"key\":\"n\",\"match\":2}]}",
         1},
        {"{\"must\":[{\"key\":\"never\",\"match\":1}]}", 0},
    };
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            ck_assert_msg(count(cases[i].filter) == cases[i].count,
                          "%s: %s, expected %d", cases[i].filter,
                          api_body(&api), (int)cases[i].count);
        api_rebuild(&api, "c", NULL);
    }
}
END_TEST

START_TEST(a_scroll_lists_every_document_once_also_while_it_changes) {
    put_numbers(0, 25);
    char cursor[64] = "null";
    char seen[26] = {0};
    int pages = 0;
    do {
        api_ok(&api, "POST", D "/scroll",
               pages == 0 ? "{\"limit\":10%s}" : "{\"limit\":10,\"cursor\":%s}",
               pages == 0 ? "" : cursor);
        for (size_t i = 0; i < api_size(&api, "/documents"); i++) {
            char at[48];
            snprintf(at, sizeof at, "/documents/%zu/id", i);
            long id = strtol(api_string(&api, at), NULL, 10);
            ck_assert_int_eq(seen[id]++, 0);
        }
        if (inv_json_kind(api_at(&api, "/cursor")) == INV_JSON_NULL)
            break;
        snprintf(cursor, sizeof cursor, "\"%s\"", api_string(&api, "/cursor"));
        if (pages++ == 0) {
            api_ok(&api, "DELETE", D "/24", NULL); /* not seen yet */
            api_ok(&api, "PATCH", D "/3", "{\"payload\":{\"n\":100}}");
        }
    } while (pages < 10);
    for (int i = 0; i < 24; i++)
        ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(seen[24], 0);
}
END_TEST

START_TEST(a_scroll_takes_filter_limit_and_wishes) {
    put_numbers(0, 5);
    api_ok(&api, "POST", D "/scroll",
           "{\"filter\":{\"must\":[{\"key\":\"n\",\"range\":{\"gte\":3}}]},"
           "\"with\":{\"payload\":[\"u\"],\"vectors\":true}}");
    ck_assert_uint_eq(api_size(&api, "/documents"), 2);
    ck_assert_uint_eq(api_size(&api, "/documents/0/payload"), 1);
    ck_assert_int_eq(api_int(&api, "/documents/0/payload/u"), 0);
    ck_assert_uint_eq(api_size(&api, "/documents/0/vector"), 2);
    api_do(&api, "POST", D "/scroll", "{\"cursor\":\"abc\"}");
    api_refused(&api, 400, "invalid_request", "/cursor", "abc");
    api_do(&api, "POST", D "/scroll", "{\"limit\":0}");
    api_refused(&api, 400, "invalid_request", "/limit", "from 1|got 0");
    api_do(&api, "POST", D "/scroll", "{\"limit\":10001}");
    api_refused(&api, 400, "invalid_request", "/limit", "10000|10001");
}
END_TEST

START_TEST(documents_and_versions_survive_a_restart) {
    put_numbers(0, 20);
    api_ok(&api, "PATCH", D "/4", "{\"payload\":{\"n\":400}}");
    api_ok(&api, "DELETE", D "/5", NULL);
    char *before = api_state(&api, "c");
    api_restart(&api);
    char *after = api_state(&api, "c");
    ck_assert_str_eq(after, before);
    free(before);
    free(after);
    ck_assert_int_eq(count("{\"must\":[{\"key\":\"n\",\"match\":400}]}"), 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_document_comes_back_as_it_was_sent,
        base64_comes_back_as_the_same_numbers,
        int8_tokens_are_kept_as_they_were_sent,
        all_zero_tokens_are_not_kept,
        an_id_may_hold_slashes_percent_signs_and_anything_else,
        an_integer_id_is_its_decimal_string,
        an_upsert_replaces_vector_and_payload_at_once,
        insert_takes_all_or_nothing,
        update_takes_all_or_nothing,
        a_patch_merges_the_payload_and_raises_only_the_version,
        if_match_refuses_a_change_of_another_version,
        a_delete_counts_what_it_found,
        every_kind_of_filter_counts_right,
        a_scroll_lists_every_document_once_also_while_it_changes,
        a_scroll_takes_filter_limit_and_wishes,
        documents_and_versions_survive_a_restart,
    };
    return api_run_tests("documents over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
