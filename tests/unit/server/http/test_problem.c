/* Tests of server/http/problem.c: the exact text, and that the text is JSON
 * whatever the error says. */
#include "server/http/problem.h"
#include "server/json/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct inv_response response;
static struct inv_err err;

static void setup(void) {
    response = (struct inv_response){.status = 200,
                                     .content_type = "application/json"};
}
static void teardown(void) { inv_buf_release(&response.body); }

START_TEST(an_error_with_a_pointer_lists_it) {
    inv_fail(&err, INV_DIMENSION, "expected %d dimensions, got %d", 128, 96);
    inv_err_at(&err, "/documents/%d/vectors", 17);
    inv_problem_write(&err, "abc", &response);
    ck_assert_int_eq(response.status, 400);
    ck_assert_str_eq(response.content_type, "application/problem+json");
    ck_assert_uint_eq(response.header_count, 0);
    ck_assert_str_eq(response.body.data,
                     "{\"type\":\"about:blank\",\"title\":\"Wrong dimension\","
                     "\"status\":400,\"code\":\"dimension_mismatch\","
                     "\"detail\":\"expected 128 dimensions, got 96\","
                     "\"request_id\":\"abc\",\"errors\":[{\"pointer\":"
                     "\"/documents/17/vectors\","
                     "\"detail\":\"expected 128 dimensions, got 96\"}]}\n");
}
END_TEST

START_TEST(an_error_without_a_pointer_has_no_list) {
    inv_fail(&err, INV_NOT_FOUND, "no collection named docs");
    inv_problem_write(&err, "r", &response);
    ck_assert_int_eq(response.status, 404);
    ck_assert_ptr_null(strstr(response.body.data, "errors"));
}
END_TEST

START_TEST(only_a_503_says_when_to_come_back) {
    for (int s = INV_INVALID; s < INV_STATUS_COUNT; s++) {
        inv_fail(&err, (enum inv_status)s, "x");
        inv_problem_write(&err, "r", &response);
        ck_assert_int_eq(response.status, inv_status_http((enum inv_status)s));
        bool wanted = response.status == 503;
        ck_assert_uint_eq(response.header_count, wanted ? 1 : 0);
        if (wanted) {
            ck_assert_str_eq(response.headers[0].name, "Retry-After");
            ck_assert_str_eq(response.headers[0].value, "1");
        }
    }
}
END_TEST

START_TEST(what_a_handler_had_written_is_replaced) {
    inv_buf_puts(&response.body, "{\"hits\":[");
    inv_response_header(&response, "Location", "/v1/jobs/7");
    inv_fail(&err, INV_TIMEOUT, "took longer than %d ms", 200);
    inv_problem_write(&err, "r", &response);
    ck_assert_int_eq(response.status, 504);
    ck_assert_uint_eq(response.header_count, 0);
    ck_assert_int_eq(response.body.data[1], '"');
    ck_assert_ptr_null(strstr(response.body.data, "hits"));
}
END_TEST

START_TEST(any_text_comes_out_as_json_that_reads_back) {
    static const char text[] = "quote \" backslash \\ newline \n bell \a \x7f "
                               "\xc3\xa9 broken \xc3";
    inv_fail(&err, INV_INVALID, "%s", text);
    inv_err_at(&err, "/payload/a\"b~1c");
    inv_problem_write(&err, "id\"\\", &response);
    inv_json *root = NULL;
    struct inv_err why;
    ck_assert_msg(inv_json_parse_plain(response.body.data, response.body.len,
                                       &root, &why) == INV_OK,
                  "%s", why.text);
    size_t len;
    ck_assert_str_eq(inv_json_string(inv_json_get(root, "request_id"), &len),
                     "id\"\\");
    const char *detail = inv_json_string(inv_json_get(root, "detail"), &len);
    ck_assert_int_eq(strncmp(detail, text, sizeof text - 2), 0);
    const inv_json *first = inv_json_at(inv_json_get(root, "errors"), 0);
    ck_assert_str_eq(inv_json_string(inv_json_get(first, "pointer"), &len),
                     "/payload/a\"b~1c");
    inv_json_free(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("problem");
    TCase *tcase = tcase_create("problem");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_error_with_a_pointer_lists_it);
    tcase_add_test(tcase, an_error_without_a_pointer_has_no_list);
    tcase_add_test(tcase, only_a_503_says_when_to_come_back);
    tcase_add_test(tcase, what_a_handler_had_written_is_replaced);
    tcase_add_test(tcase, any_text_comes_out_as_json_that_reads_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
