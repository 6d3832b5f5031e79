/* Tests of server/http/router.c. The two ways to a route are compared. */
#include "server/http/request.h"
#include "server/http/router.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum inv_status nothing(struct inv_app *app, struct inv_request *request,
                               struct inv_response *response,
                               struct inv_err *problem) {
    (void)app;
    (void)request;
    (void)response;
    (void)problem;
    return INV_OK;
}

#define C "/v1/collections/{c}"

static const struct inv_route routes[] = {
    {INV_GET, "/", "root", nothing, INV_ROLE_NONE, INV_BODY_SMALL, false,
     false},
    {INV_GET, "/livez", "livez", nothing, INV_ROLE_NONE, INV_BODY_SMALL, false,
     true},
    {INV_GET, C, "get", nothing, INV_ROLE_READ, INV_BODY_SMALL, false, false},
    {INV_PUT, C, "put", nothing, INV_ROLE_ADMIN, INV_BODY_SMALL, false, false},
    {INV_PATCH, C "/documents/{id}", "patch", nothing, INV_ROLE_WRITE,
     INV_BODY_SMALL, false, false},
    {INV_GET, C "/documents/{id}", "document", nothing, INV_ROLE_READ,
     INV_BODY_SMALL, false, false},
    {INV_POST, C "/documents/{anything}", "anything", nothing, INV_ROLE_READ,
     INV_BODY_SMALL, false, false},
    {INV_POST, C "/documents/bulk", "bulk", nothing, INV_ROLE_WRITE,
     INV_BODY_FULL, true, false},
    {INV_POST, C "/{what}/bulk", "other bulk", nothing, INV_ROLE_WRITE,
     INV_BODY_FULL, true, false},
    {INV_PUT, C "/documents", "upsert", nothing, INV_ROLE_WRITE, INV_BODY_FULL,
     false, false},
};

static const struct inv_router router = {routes,
                                         sizeof routes / sizeof routes[0]};

static char allow[INV_ROUTE_ALLOW_MAX];
static struct inv_arena arena;
static struct inv_route_match match;
static struct inv_err err;

static void setup(void) { inv_arena_init(&arena, 1 << 20); }
static void teardown(void) { inv_arena_release(&arena); }

/* Both ways; they must agree. */
static enum inv_status look_up(enum inv_method method, const char *path) {
    struct inv_request request = {
        .method = method, .path = path, .arena = &arena};
    ck_assert_int_eq(inv_request_split(&request, path, &err), INV_OK);
    enum inv_status status =
        inv_router_match(&router, &request, &match, allow, &err);
    ck_assert_ptr_eq(inv_router_find(&router, method, path), match.route);
    return status;
}

static void expect(enum inv_method method, const char *path, const char *name) {
    ck_assert_msg(look_up(method, path) == INV_OK, "%s: %s", path, err.text);
    ck_assert_str_eq(match.route->name, name);
}

START_TEST(a_literal_beats_a_capture_whatever_the_order) {
    expect(INV_POST, "/v1/collections/a/documents/bulk", "bulk");
    expect(INV_POST, "/v1/collections/a/documents/else", "anything");
    expect(INV_POST, "/v1/collections/a/others/bulk", "other bulk");
    expect(INV_GET, "/v1/collections/a/documents/bulk", "document");
}
END_TEST

START_TEST(captures_come_decoded_and_in_order) {
    expect(INV_GET, "/v1/collections/my%20docs/documents/a%2Fb%25", "document");
    ck_assert_uint_eq(match.capture_count, 2);
    ck_assert_str_eq(match.captures[0], "my docs");
    ck_assert_str_eq(match.captures[1], "a/b%");
    ck_assert_uint_eq(match.capture_lens[1], 4);
    expect(INV_GET, "/livez", "livez");
    ck_assert_uint_eq(match.capture_count, 0);
    expect(INV_GET, "/", "root");
}
END_TEST

START_TEST(head_finds_the_get_route) {
    expect(INV_HEAD, "/v1/collections/a", "get");
}
END_TEST

START_TEST(unknown_paths_are_404) {
    static const char *const paths[] = {
        "/v1",
        "/v1/collections",
        "/v1/collections/",
        "/v1/collections//documents",
        "/v1/collections/a/",
        "/v1/collections/a/documents/",
        "/v1/collections/a/documents/b/c",
        "/V1/collections/a",
        "/livez/",
        "//livez",
        "/livezz",
        "/live",
        "/v1/collections/a%2Fdocuments/bulk", /* the slash is not one */
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        ck_assert_msg(look_up(INV_GET, paths[i]) == INV_NOT_FOUND, "%s",
                      paths[i]);
        ck_assert_str_eq(allow, "");
        ck_assert_ptr_null(match.route);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "/v1/collections/a%2Fdocuments"));
}
END_TEST

START_TEST(a_wrong_method_is_405_with_the_right_ones) {
    ck_assert_int_eq(look_up(INV_DELETE, "/v1/collections/a"), INV_METHOD);
    ck_assert_str_eq(allow, "GET, PUT, HEAD");
    ck_assert_int_eq(look_up(INV_PUT, "/v1/collections/a/documents/b"),
                     INV_METHOD);
    ck_assert_str_eq(allow, "GET, POST, PATCH, HEAD");
    ck_assert_int_eq(look_up(INV_HEAD, "/v1/collections/a/documents"),
                     INV_METHOD);
    ck_assert_str_eq(allow, "PUT");
    ck_assert_str_eq(err.text, "HEAD is not possible here, only PUT");
}
END_TEST

START_TEST(escaped_literals_mean_the_same_on_both_ways) {
    expect(INV_PUT, "/v1/coll%65ctions/a/%64ocuments", "upsert");
    expect(INV_GET, "/%6c%69%76%65%7A", "livez");
}
END_TEST

START_TEST(a_path_too_deep_has_no_route) {
    const char *path = "/1/2/3/4/5/6/7/8/9/10/11/12/13";
    struct inv_request request = {.path = path, .arena = &arena};
    ck_assert_int_eq(inv_request_split(&request, path, &err), INV_NOT_FOUND);
    ck_assert_ptr_null(inv_router_find(&router, INV_GET, path));
}
END_TEST

START_TEST(limits_follow_the_route) {
    const size_t max = (size_t)64 << 20;
    struct inv_route_limits limits =
        inv_router_limits(&router, INV_PUT, "/v1/collections/a/documents", max);
    ck_assert_uint_eq(limits.max_body, max);
    ck_assert(!limits.stream && !limits.immediate);
    limits = inv_router_limits(&router, INV_PUT, "/v1/collections/a", max);
    ck_assert_uint_eq(limits.max_body, INV_ROUTE_SMALL_BODY);
    limits = inv_router_limits(&router, INV_PUT, "/v1/collections/a", 1000);
    ck_assert_uint_eq(limits.max_body, 1000);
    limits = inv_router_limits(&router, INV_POST,
                               "/v1/collections/a/documents/bulk", max);
    ck_assert(limits.stream);
    limits = inv_router_limits(&router, INV_GET, "/livez", max);
    ck_assert(limits.immediate);
    limits = inv_router_limits(&router, INV_GET, "/nowhere%", max);
    ck_assert_uint_eq(limits.max_body, INV_ROUTE_SMALL_BODY);
    ck_assert(!limits.stream && !limits.immediate);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("router");
    TCase *tcase = tcase_create("router");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_literal_beats_a_capture_whatever_the_order);
    tcase_add_test(tcase, captures_come_decoded_and_in_order);
    tcase_add_test(tcase, head_finds_the_get_route);
    tcase_add_test(tcase, unknown_paths_are_404);
    tcase_add_test(tcase, a_wrong_method_is_405_with_the_right_ones);
    tcase_add_test(tcase, escaped_literals_mean_the_same_on_both_ways);
    tcase_add_test(tcase, a_path_too_deep_has_no_route);
    tcase_add_test(tcase, limits_follow_the_route);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
