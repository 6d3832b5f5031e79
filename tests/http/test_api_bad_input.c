/*
 * test_api_bad_input.c: what a client can get wrong, each over real HTTP: the
 * status, the stable code, the pointer, both numbers in the detail, and that
 * nothing has changed.
 */
#include "tests/support/api.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ONE "/v1/collections/one"
#define MANY "/v1/collections/many"

static struct api api;
static char *before[2];

static void setup(void) {
    api_init(&api);
    api.config.max_body = 100000;
    api_start(&api);
    api_ok(&api, "PUT", ONE,
           "{\"kind\":\"single\",\"dim\":4,\"metric\":\"cosine\","
           "\"model\":{\"name\":\"mini\",\"revision\":\"1\"},"
           "\"payload_index\":{\"lang\":\"keyword\",\"year\":\"integer\","
           "\"at\":\"datetime\",\"ok\":\"bool\",\"price\":\"float\"}}");
    api_ok(&api, "PUT", MANY,
           "{\"kind\":\"multi\",\"dim\":4,\"encoder\":{\"type\":\"muvera\","
           "\"R\":4,\"k\":2,\"m\":4}}");
    api_ok(&api, "PUT", ONE "/documents",
           "{\"documents\":["
           "{\"id\":\"a\",\"vector\":[1,0,0,0],\"payload\":{\"year\":1999}},"
           "{\"id\":\"b\",\"vector\":[0,1,0,0],\"payload\":{\"lang\":\"en\"}}"
           "]}");
    api_ok(&api, "PUT", MANY "/documents",
           "{\"documents\":[{\"id\":\"a\",\"vectors\":[[1,0,0,0],[0,1,0,0]]},"
           "{\"id\":\"b\",\"vectors\":[[0,0,1,0]]}]}");
    before[0] = api_state(&api, "one");
    before[1] = api_state(&api, "many");
}

static void nothing_changed(void) {
    static const char *const names[] = {"one", "many"};
    for (int i = 0; i < 2; i++) {
        char *after = api_state(&api, names[i]);
        ck_assert_str_eq(after, before[i]);
        free(after);
    }
}

static void teardown(void) {
    free(before[0]);
    free(before[1]);
    api_stop(&api);
}

/* Sends what is wrong and checks the answer and that nothing has changed. */
static void refused(const char *method, const char *path, const char *body,
                    int status, const char *code, const char *pointer,
                    const char *pieces) {
    struct api_request request = {.method = method,
                                  .path = path,
                                  .body = body,
                                  .len = body == NULL ? 0 : strlen(body)};
    api_send(&api, &request);
    api_refused(&api, status, code, pointer, pieces);
    nothing_changed();
}

/* The same for a document of "one" and of "many". */
static void document_refused(const char *document, int status, const char *code,
                             const char *pointer, const char *pieces) {
    char body[4096];
    snprintf(body, sizeof body,
             "{\"documents\":[{\"id\":\"a\",\"vector\":[0,0,0,1]},%s]}",
             document);
    refused("PUT", ONE "/documents", body, status, code, pointer, pieces);
}

static void tokens_refused(const char *tokens, int status, const char *code,
                           const char *pointer, const char *pieces) {
    char body[4096];
    snprintf(body, sizeof body,
             "{\"documents\":[{\"id\":\"a\",\"vectors\":[[0,0,0,1]]},"
             "{\"id\":\"n\",\"vectors\":%s}]}",
             tokens);
    refused("PUT", MANY "/documents", body, status, code, pointer, pieces);
}

static void search_refused(const char *rest, int status, const char *code,
                           const char *pointer, const char *pieces) {
    char body[2048];
    snprintf(body, sizeof body, "{\"vector\":[1,0,0,0],%s}", rest);
    refused("POST", ONE "/search", body, status, code, pointer, pieces);
}

/* ---- JSON that is none ---- */

START_TEST(malformed_json_is_refused_with_its_position) {
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"x\",\n\"vector\":[1,0,0,0]},}]}", 400,
            "malformed_json", NULL, "at byte 45 (line 2, column 21)");
}
END_TEST

START_TEST(malformed_vectors_are_refused_with_their_position) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,,1]}", 400,
                     "malformed_json", "/documents/1/vector/3",
                     "at byte 70 (line 1, column 71)");
}
END_TEST

START_TEST(truncated_json_is_refused_with_where_it_ended) {
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"x\",\"vector\":[1,0,0,0]}", 400,
            "malformed_json", NULL, "at byte 43");
    refused("PUT", ONE "/documents",
            "{\"documents\":[{\"id\":\"x\",\"vector\":[1,", 400,
            "malformed_json", "/documents/0/vector/1", "at byte 36");
}
END_TEST

START_TEST(an_empty_body_is_no_batch) {
    refused("PUT", ONE "/documents", "", 400, "invalid_request", "/documents",
            "1 to 10000|nothing");
}
END_TEST

START_TEST(bytes_behind_the_json_are_refused) {
    refused("POST", ONE "/search", "{\"vector\":[1,0,0,0]} x", 400,
            "malformed_json", NULL, "at byte 21");
}
END_TEST

START_TEST(a_key_that_stands_twice_is_refused) {
    refused("POST", ONE "/search",
            "{\"vector\":[1,0,0,0],\"limit\":1,\"limit\":2}", 400,
            "malformed_json", NULL, "at byte");
}
END_TEST

START_TEST(invalid_utf8_is_refused_with_its_position) {
    document_refused("{\"id\":\"caf\xe9\",\"vector\":[1,0,0,0]}", 400,
                     "malformed_json", NULL, "UTF-8|at byte 54");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],\"payload\":"
                     "{\"lang\":\"\xc0\xaf\"}}",
                     400, "malformed_json", NULL, "UTF-8");
}
END_TEST

START_TEST(nan_and_infinity_are_not_json) {
    document_refused("{\"id\":\"n\",\"vector\":[1,NaN,0,0]}", 400,
                     "malformed_json", "/documents/1/vector/1", "at byte");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,-Infinity,0]}", 400,
                     "malformed_json", "/documents/1/vector/2", "at byte");
}
END_TEST

START_TEST(a_body_that_is_no_object_is_refused) {
    refused("PUT", ONE "/documents", "[]", 400, "invalid_request", NULL,
            "object|an array");
    refused("POST", ONE "/search", "[1,2]", 400, "invalid_request", NULL,
            "object|an array");
    refused("POST", ONE "/documents/count", "[]", 400, "invalid_request", NULL,
            "object");
}
END_TEST

/* ---- numbers ---- */

START_TEST(a_wrong_dimension_is_refused_with_both) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0]}", 400,
                     "dimension_mismatch", "/documents/1/vector",
                     "expected 4 dimensions|got 3");
    tokens_refused("[[1,0,0,0,5],[1,0,0,0,6]]", 400, "dimension_mismatch",
                   "/documents/1/vectors", "expected 4 dimensions|got 5");
    refused("POST", ONE "/search", "{\"vector\":[1,2]}", 400,
            "dimension_mismatch", "/vector", "expected 4 dimensions|got 2");
    refused("POST", MANY "/search", "{\"vectors\":[[1,2]]}", 400,
            "dimension_mismatch", "/vectors", "expected 4 dimensions|got 2");
}
END_TEST

START_TEST(a_ragged_matrix_is_refused_with_row_and_both_lengths) {
    tokens_refused("[[1,0,0,0],[1,0,0,0],[1,0,0]]", 400, "dimension_mismatch",
                   "/documents/1/vectors/2", "row 2 has 3|row 0 has 4");
}
END_TEST

START_TEST(a_number_that_is_too_large_is_refused_with_the_bound) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,1e30,0]}", 400,
                     "value_out_of_range", "/documents/1/vector/2",
                     "1e30|1e+15");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,-1e39]}", 400,
                     "value_out_of_range", "/documents/1/vector/3",
                     "-1e39|1e+15");
    tokens_refused("[[1,0,0,0],[1,1e30,0,0]]", 400, "value_out_of_range",
                   "/documents/1/vectors/1/1", "1e30|1e+15");
    refused("POST", ONE "/search", "{\"vector\":[1e30,0,0,0]}", 400,
            "value_out_of_range", "/vector/0", "1e30|1e+15");
}
END_TEST

START_TEST(not_a_number_in_base64_is_refused) {
    /* 1, NaN, 0, 0 as little-endian f32 */
    document_refused("{\"id\":\"n\",\"vector\":{\"b64\":"
                     "\"AACAPwAAwH8AAAAAAAAAAA==\",\"shape\":[4]}}",
                     400, "value_out_of_range", "/documents/1/vector/b64",
                     "number 1|nan|1e+15");
}
END_TEST

START_TEST(base64_of_another_length_is_refused_with_both) {
    document_refused("{\"id\":\"n\",\"vector\":{\"b64\":"
                     "\"AACAPwAAAAA=\",\"shape\":[4]}}",
                     400, "invalid_request", "/documents/1/vector/b64",
                     "8 bytes|16");
    document_refused(
        "{\"id\":\"n\",\"vector\":{\"b64\":\"!!!\",\"shape\":[4]}}", 400,
        "invalid_request", "/documents/1/vector/b64", "");
    document_refused("{\"id\":\"n\",\"vector\":{\"b64\":\"AAA=\","
                     "\"dtype\":\"f64\",\"shape\":[4]}}",
                     400, "invalid_request", "/documents/1/vector/dtype",
                     "f32, f16 or i8|f64");
}
END_TEST

START_TEST(a_document_without_tokens_is_refused) {
    tokens_refused("[]", 400, "invalid_request", "/documents/1/vectors",
                   "empty");
    tokens_refused("[[]]", 400, "invalid_request", "/documents/1/vectors/0",
                   "empty");
    tokens_refused("[[0,0,0,0],[0,-0.0,0,0]]", 400, "invalid_request",
                   "/documents/1/vectors", "2 tokens|zero");
    refused("POST", MANY "/search", "{\"vectors\":[]}", 400, "invalid_request",
            "/vectors", "empty");
    refused("POST", MANY "/search", "{\"vectors\":[[0,0,0,0]]}", 400,
            "invalid_request", "/vectors", "1 tokens|zero");
}
END_TEST

START_TEST(a_zero_vector_has_no_cosine) {
    document_refused("{\"id\":\"n\",\"vector\":[0,0,0,0]}", 400,
                     "invalid_request", "/documents/1/vector", "zero|cosine");
    refused("POST", ONE "/search", "{\"vector\":[0,0,0,0]}", 400,
            "invalid_request", "/vector", "zero|cosine");
}
END_TEST

START_TEST(a_token_beyond_half_precision_is_refused_with_both) {
    tokens_refused("[[1,0,0,0],[70000,0,0,0]]", 400, "value_out_of_range",
                   "/documents/1/vectors", "70000|row 1|column 0|65504");
}
END_TEST

START_TEST(more_tokens_than_the_limit_are_refused_with_both) {
    struct inv_buf tokens = INV_BUF_INIT;
    for (int i = 0; i < 65; i++)
        inv_buf_printf(&tokens, "%s[1,0,0,0]", i == 0 ? "[" : ",");
    inv_buf_putc(&tokens, ']');
    tokens_refused(tokens.data, 400, "invalid_request", "/documents/1/vectors",
                   "65|64");
    inv_buf_release(&tokens);
    refused("POST", MANY "/search",
            "{\"vectors\":[[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],"
            "[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],"
            "[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0],[1,0,0,0]]}",
            400, "invalid_request", "/vectors", "17|16");
}
END_TEST

START_TEST(the_other_kind_of_vectors_is_refused) {
    document_refused("{\"id\":\"n\",\"vectors\":[[1,0,0,0]]}", 400,
                     "invalid_request", "/documents/1/vectors",
                     "kind single|\"vector\"");
    refused("POST", MANY "/search", "{\"vector\":[1,0,0,0]}", 400,
            "invalid_request", "/vector", "kind multi|\"vectors\"");
}
END_TEST

START_TEST(a_vector_that_is_none_is_refused) {
    document_refused("{\"id\":\"n\",\"vector\":\"1,0,0,0\"}", 400,
                     "invalid_request", "/documents/1/vector",
                     "array of numbers|a string");
    document_refused("{\"id\":\"n\",\"vector\":7}", 400, "invalid_request",
                     "/documents/1/vector", "array of numbers|a number");
    document_refused("{\"id\":\"n\",\"vector\":null}", 400, "invalid_request",
                     "/documents/1/vector", "array of numbers|null");
    document_refused("{\"id\":\"n\"}", 400, "invalid_request", "/documents/1",
                     "exactly one|none");
}
END_TEST

/* ---- names, fields, ids ---- */

START_TEST(an_unknown_field_is_refused_with_a_guess) {
    document_refused("{\"id\":\"n\",\"vectr\":[1,0,0,0]}", 400,
                     "invalid_request", "/documents/1/vectr",
                     "vectr|did you mean \"vector\"");
    search_refused("\"fitler\":{}", 400, "invalid_request", "/fitler",
                   "fitler|did you mean \"filter\"");
    search_refused("\"params\":{\"exakt\":true}", 400, "invalid_request",
                   "/params/exakt", "exakt|exact");
    refused("PUT", "/v1/collections/new",
            "{\"kind\":\"single\",\"dim\":4,\"metrik\":\"ip\"}", 400,
            "invalid_request", "/metrik", "metrik|metric");
    refused("GET", "/v1/collections/new", NULL, 404, "not_found", NULL, "new");
}
END_TEST

START_TEST(the_pointer_of_an_odd_key_is_escaped) {
    search_refused("\"a/b~c\":1", 400, "invalid_request", "/a~1b~0c", "a/b~c");
    refused("PUT", "/v1/collections/new",
            "{\"kind\":\"single\",\"dim\":4,\"payload_index\":{\"a/b\":7}}",
            400, "invalid_request", "/payload_index/a~1b", "keyword");
}
END_TEST

START_TEST(an_unknown_query_argument_is_refused) {
    refused("PUT", ONE "/documents?mod=insert",
            "{\"documents\":[{\"id\":\"n\",\"vector\":[1,0,0,0]}]}", 400,
            "invalid_request", NULL, "mod|known here: mode");
    refused("PUT", ONE "/documents?mode=replace",
            "{\"documents\":[{\"id\":\"n\",\"vector\":[1,0,0,0]}]}", 400,
            "invalid_request", NULL, "replace|upsert, insert or update");
    refused("GET", ONE "/documents/a?vector=true", NULL, 400, "invalid_request",
            NULL, "vector|vectors");
    refused("GET", "/v1/collections?limit=3", NULL, 400, "invalid_request",
            NULL, "limit");
}
END_TEST

START_TEST(an_unknown_collection_is_not_found) {
    refused("PUT", "/v1/collections/none/documents",
            "{\"documents\":[{\"id\":\"n\",\"vector\":[1,0,0,0]}]}", 404,
            "not_found", NULL, "none");
    refused("POST", "/v1/collections/none/search", "{\"vector\":[1,0,0,0]}",
            404, "not_found", NULL, "none");
    refused("DELETE", "/v1/collections/none", NULL, 404, "not_found", NULL,
            "none");
    refused("POST", "/v1/admin/collections/none/rebuild", "{}", 404,
            "not_found", NULL, "none");
    /* names that are not text are told as they are, in valid JSON */
    refused("GET", "/v1/collections/%ff%22", NULL, 404, "not_found", NULL, "");
}
END_TEST

START_TEST(a_model_that_is_not_the_collections_is_a_conflict) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],\"model\":\"mini@2\"}",
                     409, "space_mismatch", "/documents/1/model",
                     "mini@2|mini@1");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],\"model\":"
                     "{\"name\":\"maxi\",\"revision\":\"1\"}}",
                     409, "space_mismatch", "/documents/1/model",
                     "maxi@1|mini@1");
    search_refused("\"model\":\"minim\"", 409, "space_mismatch", "/model",
                   "minim|mini@1");
}
END_TEST

START_TEST(an_id_that_stands_twice_is_refused_with_both_places) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0]},"
                     "{\"id\":\"a\",\"vector\":[1,0,0,0]}",
                     400, "invalid_request", "/documents/2/id",
                     "\"a\"|document 0|document 2");
    document_refused("{\"id\":\"7\",\"vector\":[1,0,0,0]},"
                     "{\"id\":7,\"vector\":[1,0,0,0]}",
                     400, "invalid_request", "/documents/2/id",
                     "\"7\"|document 1|document 2");
}
END_TEST

START_TEST(an_id_that_is_too_long_is_refused_with_both_lengths) {
    char id[514] = {0};
    char document[700];
    memset(id, 'i', 513);
    snprintf(document, sizeof document, "{\"id\":\"%s\",\"vector\":[1,0,0,0]}",
             id);
    document_refused(document, 400, "invalid_request", "/documents/1/id",
                     "1 to 512|513");
    document_refused("{\"id\":\"\",\"vector\":[1,0,0,0]}", 400,
                     "invalid_request", "/documents/1/id", "1 to 512|got 0");
    document_refused("{\"id\":1.5,\"vector\":[1,0,0,0]}", 400,
                     "invalid_request", "/documents/1/id", "a real number");
    document_refused("{\"vector\":[1,0,0,0]}", 400, "invalid_request",
                     "/documents/1", "\"id\"");
}
END_TEST

START_TEST(text_without_a_built_in_model_is_refused) {
    document_refused("{\"id\":\"n\",\"text\":\"cats\"}", 400, "invalid_request",
                     "/documents/1/text", "static@1|mini@1");
    refused("POST", ONE "/search", "{\"text\":\"cats\"}", 400,
            "invalid_request", "/text", "static@1|mini@1");
}
END_TEST

/* ---- payloads and filters ---- */

START_TEST(a_payload_of_the_wrong_type_is_refused_with_both_types) {
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],"
                     "\"payload\":{\"year\":\"1999\"}}",
                     400, "invalid_request", "/documents/1/payload/year",
                     "integer|a string");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],"
                     "\"payload\":{\"at\":\"yesterday\"}}",
                     400, "invalid_request", "/documents/1/payload/at",
                     "datetime|RFC 3339");
    document_refused("{\"id\":\"n\",\"vector\":[1,0,0,0],\"payload\":[1]}", 400,
                     "invalid_request", "/documents/1/payload",
                     "object|an array");
    refused("PATCH", ONE "/documents/a", "{\"payload\":{\"year\":true}}", 400,
            "invalid_request", "/payload/year", "integer|a boolean");
}
END_TEST

START_TEST(a_filter_of_the_wrong_type_is_refused_with_both_types) {
    search_refused("\"filter\":{\"must\":[{\"key\":\"lang\",\"match\":\"en\"},"
                   "{\"key\":\"year\",\"match\":\"1999\"}]}",
                   400, "invalid_request", "/filter/must/1/match",
                   "year|integer|a string");
    search_refused("\"filter\":{\"must_not\":[{\"key\":\"lang\","
                   "\"range\":{\"gt\":3}}]}",
                   400, "invalid_request", "/filter/must_not/0/range",
                   "lang|keyword");
    search_refused("\"filter\":{\"should\":[{\"key\":\"at\","
                   "\"range\":{\"gte\":\"soon\"}}]}",
                   400, "invalid_request", "/filter/should/0/range",
                   "at|RFC 3339|soon");
    refused("POST", ONE "/documents/delete",
            "{\"filter\":{\"must\":[{\"key\":\"ok\",\"match\":1}]}}", 400,
            "invalid_request", "/filter/must/0/match", "ok|bool|an integer");
}
END_TEST

START_TEST(a_filter_of_the_wrong_form_is_refused) {
    search_refused("\"filter\":{\"mustnt\":[]}", 400, "invalid_request",
                   "/filter/mustnt", "mustnt");
    search_refused("\"filter\":{\"must\":{}}", 400, "invalid_request",
                   "/filter/must", "array|an object");
    search_refused("\"filter\":{\"must\":[{\"match\":1}]}", 400,
                   "invalid_request", "/filter/must/0", "key");
    search_refused("\"filter\":{\"must\":[{\"key\":\"year\"}]}", 400,
                   "invalid_request", "/filter/must/0", "exactly 1|got 0");
    search_refused("\"filter\":null", 400, "invalid_request", "/filter",
                   "object|null");
}
END_TEST

/* ---- the outside of a request ---- */

START_TEST(a_wrong_content_type_is_refused) {
    static const char body[] = "{\"documents\":[{\"id\":\"n\",\"vector\":"
                               "[1,0,0,0]}]}";
    struct api_request request = {.method = "PUT",
                                  .path = ONE "/documents",
                                  .type = "text/plain",
                                  .body = body,
                                  .len = sizeof body - 1};
    api_send(&api, &request);
    api_refused(&api, 415, "unsupported_media_type", NULL,
                "text/plain|application/json");
    request.path = ONE "/documents/bulk";
    request.method = "POST";
    request.type = "application/json";
    api_send(&api, &request);
    api_refused(&api, 415, "unsupported_media_type", NULL,
                "application/json|application/x-ndjson");
    nothing_changed();
}
END_TEST

START_TEST(a_body_over_the_limit_is_refused_with_both) {
    size_t len = 100001;
    char *body = malloc(len);
    memset(body, ' ', len);
    struct api_request request = {
        .method = "PUT", .path = ONE "/documents", .body = body, .len = len};
    api_send(&api, &request);
    api_refused(&api, 413, "too_large", NULL, "100001|100000");
    free(body);
    nothing_changed();
}
END_TEST

START_TEST(a_chunked_body_over_the_limit_is_refused) {
    struct raw_response reply;
    int fd = raw_connect(api.port);
    ck_assert(raw_puts(fd,
                       "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Type: "
                       "application/json\r\nTransfer-Encoding: chunked"
                       "\r\n\r\n1ADB0\r\n",
                       ONE "/documents"));
    raw_send_many(fd, 0x1adb0);
    raw_puts(fd, "\r\n0\r\n\r\n");
    ck_assert_int_eq(raw_read(fd, &reply), 413);
    ck_assert_ptr_nonnull(strstr(reply.body.data, "100000"));
    raw_release(&reply);
    close(fd);
    nothing_changed();
}
END_TEST

START_TEST(a_client_that_leaves_amid_a_body_changes_nothing) {
    static const char body[] =
        "{\"documents\":[{\"id\":\"n\",\"vector\":[1,0,0,0]}]}";
    for (int i = 0; i < 2; i++) {
        int fd = raw_connect(api.port);
        ck_assert(raw_puts(fd,
                           "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Type: "
                           "application/json\r\nContent-Length: %zu\r\n\r\n"
                           "%.*s",
                           ONE "/documents", sizeof body - 1 + (size_t)i,
                           i == 0 ? 20 : 99, body));
        close(fd);
    }
    usleep(100000);
    nothing_changed();
}
END_TEST

START_TEST(a_bad_percent_escape_is_refused_with_its_place) {
    refused("GET", ONE "/documents/100%", NULL, 400, "invalid_request", NULL,
            "byte 33|path");
    refused("GET", ONE "/documents/a%00", NULL, 400, "invalid_request", NULL,
            "NUL|byte 31");
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        malformed_json_is_refused_with_its_position,
        malformed_vectors_are_refused_with_their_position,
        truncated_json_is_refused_with_where_it_ended,
        an_empty_body_is_no_batch,
        bytes_behind_the_json_are_refused,
        a_key_that_stands_twice_is_refused,
        invalid_utf8_is_refused_with_its_position,
        nan_and_infinity_are_not_json,
        a_body_that_is_no_object_is_refused,
        a_wrong_dimension_is_refused_with_both,
        a_ragged_matrix_is_refused_with_row_and_both_lengths,
        a_number_that_is_too_large_is_refused_with_the_bound,
        not_a_number_in_base64_is_refused,
        base64_of_another_length_is_refused_with_both,
        a_document_without_tokens_is_refused,
        a_zero_vector_has_no_cosine,
        a_token_beyond_half_precision_is_refused_with_both,
        more_tokens_than_the_limit_are_refused_with_both,
        the_other_kind_of_vectors_is_refused,
        a_vector_that_is_none_is_refused,
        an_unknown_field_is_refused_with_a_guess,
        the_pointer_of_an_odd_key_is_escaped,
        an_unknown_query_argument_is_refused,
        an_unknown_collection_is_not_found,
        a_model_that_is_not_the_collections_is_a_conflict,
        an_id_that_stands_twice_is_refused_with_both_places,
        an_id_that_is_too_long_is_refused_with_both_lengths,
        text_without_a_built_in_model_is_refused,
        a_payload_of_the_wrong_type_is_refused_with_both_types,
        a_filter_of_the_wrong_type_is_refused_with_both_types,
        a_filter_of_the_wrong_form_is_refused,
        a_wrong_content_type_is_refused,
        a_body_over_the_limit_is_refused_with_both,
        a_chunked_body_over_the_limit_is_refused,
        a_client_that_leaves_amid_a_body_changes_nothing,
        a_bad_percent_escape_is_refused_with_its_place,
    };
    return api_run_tests("bad input over HTTP", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
