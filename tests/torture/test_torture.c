/*
 * test_torture.c: fails the 1st, 2nd, 3rd ... allocation and the 1st, 2nd, 3rd
 * ... write or sync, during every kind of change, during builds, compactions
 * and starts. Each time: an error or a success, never anything else; what was
 * acknowledged is there at once and after a restart.
 */
#include "base/log.h"
#include "tests/support/inside.h"
#include "tests/support/shelf.h"
#include "tests/torture/faults.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault {
    enum faults_kind kind;
    bool on; /* from then on, like a full disk; else once */
    int error_number;
};

static const struct fault faults[] = {
    {FAULTS_MEMORY, false, 0},
    {FAULTS_MEMORY, true, 0},
    {FAULTS_DISK, false, EIO},
    {FAULTS_DISK, true, ENOSPC},
};
#define FAULTS (int)(sizeof faults / sizeof *faults)

static struct shelf shelf;

/* Every call at first, then sparser. */
static long next_after(long n) { return n + 1 + n / 12; }

static void arm(const struct fault *fault, long nth) {
    faults_arm(fault->kind, nth, fault->on, fault->error_number);
}

static void prepare(void) {
    shelf_new(&shelf, 4096, 16);
    for (int id = 0; id < 40; id++)
        ck_assert_int_eq(shelf_put(&shelf, id, id + 1, id % 10), INV_OK);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    for (int id = 0; id < 30; id += 2)
        ck_assert_int_eq(shelf_put(&shelf, id, id + 101, id % 10), INV_OK);
    ck_assert_int_eq(shelf_remove(&shelf, 33, NULL), INV_OK);
}

static void changes(void) {
    int many[] = {3, 50, 51, 52, 53};
    (void)shelf_put(&shelf, 60, 61, 1);
    (void)shelf_put(&shelf, 5, 500, 2);
    (void)shelf_remove(&shelf, 7, NULL);
    (void)shelf_patch(&shelf, 9, 4321);
    (void)shelf_patch(&shelf, 2, 1234);
    (void)shelf_put_mode(&shelf, INV_PUT_UPSERT, many, 5, 700, NULL);
    for (int id = 70; id < 90; id++) /* another fresh part, another log */
        (void)shelf_put(&shelf, id, id + 1, -1);
}

static void builds(void) {
    (void)shelf_build(&shelf, false, NULL);
    (void)shelf_build(&shelf, true, NULL);
    (void)shelf_put(&shelf, 60, 61, 1);
}

static void compactions(void) {
    (void)shelf_compact(&shelf, NULL);
    (void)shelf_put(&shelf, 60, 61, 1);
}

static void torture(const struct fault *fault, void (*work)(void)) {
    bool reached = true;
    for (long n = 1; reached; n = next_after(n)) {
        prepare();
        if (work == compactions)
            ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_OK);
        arm(fault, n);
        work();
        reached = faults_disarm();
        shelf_check(&shelf);
        shelf_reopen(&shelf);
        shelf_check(&shelf);
        ck_assert_int_eq(shelf_put(&shelf, 99, 100, 1), INV_OK);
        ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_OK);
        shelf_check(&shelf);
        shelf_free(&shelf);
    }
}

START_TEST(changes_fail_whole_or_not_at_all) { torture(&faults[_i], changes); }
END_TEST

START_TEST(builds_fail_whole_or_not_at_all) { torture(&faults[_i], builds); }
END_TEST

START_TEST(compactions_fail_whole_or_not_at_all) {
    torture(&faults[_i], compactions);
}
END_TEST

START_TEST(a_start_that_fails_can_be_tried_again) {
    const struct fault *fault = &faults[_i];
    bool reached = true;
    for (long n = 1; reached; n = next_after(n)) {
        struct inv_err err = {0};
        prepare();
        shelf_close(&shelf);
        arm(fault, n);
        enum inv_status status = shelf_try_open(&shelf, &err);
        reached = faults_disarm();
        ck_assert(status == INV_OK || err.text[0] != '\0');
        if (status == INV_OK)
            shelf_close(&shelf);
        shelf_open(&shelf);
        shelf_check(&shelf);
        shelf_free(&shelf);
    }
}
END_TEST

/* ---- the whole application ---- */

#define C "/v1/collections/c"

static struct inside in;

static void prepare_app(void) {
    inside_init(&in);
    in.config.roll_bytes = 4096;
    in.config.fresh_limit = 32;
    inside_open(&in);
    inside_ok(&in, INV_PUT, C,
              "{\"kind\":\"single\",\"dim\":4,\"metric\":\"cosine\","
              "\"payload_index\":{\"n\":\"integer\"}}");
    for (int i = 0; i < 10; i++)
        inside_ok(&in, INV_PUT, C "/documents",
                  "{\"documents\":[{\"id\":\"d%d\",\"vector\":[%d,1,1,0],"
                  "\"payload\":{\"n\":%d,\"keep\":true}}]}",
                  i, i + 1, i);
}

static int app_call(enum inv_method method, const char *path,
                    const char *body) {
    return inside_call(in.app, method, path, body,
                       body == NULL ? 0 : strlen(body), NULL);
}

/* Answers are errors of this kind, or what was asked for. (Check allocates:
 * nothing is asserted while allocations fail.) */
static int odd_answer;

static bool done(int status) {
    if (status / 100 != 2 && status < 500)
        odd_answer = status;
    return status / 100 == 2;
}

struct outcome {
    bool put, patch, removed, made, deleted, fields;
};

static struct outcome app_changes(void) {
    struct outcome o;
    o.put = done(app_call(INV_PUT, C "/documents",
                          "{\"documents\":[{\"id\":\"new\",\"vector\":[1,2,3,"
                          "4],\"payload\":{\"n\":70}},{\"id\":\"d1\","
                          "\"vector\":[4,3,2,1],\"payload\":{\"n\":70}}]}"));
    o.patch = done(
        app_call(INV_PATCH, C "/documents/d2", "{\"payload\":{\"n\":71}}"));
    o.removed = done(app_call(INV_DELETE, C "/documents/d3", NULL));
    (void)done(app_call(INV_POST, C "/search",
                        "{\"vector\":[1,2,3,4],\"limit\":5,\"with\":{"
                        "\"payload\":true},\"filter\":{\"must\":[{\"key\":"
                        "\"n\",\"range\":{\"gte\":3}},{\"key\":\"keep\","
                        "\"match\":true}]}}"));
    (void)done(app_call(INV_POST, C "/documents/scroll", "{\"limit\":5}"));
    o.made = done(app_call(INV_PUT, "/v1/collections/e",
                           "{\"kind\":\"single\",\"dim\":2}"));
    o.deleted = o.made && done(app_call(INV_DELETE, "/v1/collections/e", NULL));
    o.fields =
        done(app_call(INV_PATCH, C, "{\"payload_index\":{\"m\":\"integer\"}}"));
    return o;
}

static int count_where(const char *key, int n) {
    inside_ok(&in, INV_POST, C "/documents/count",
              "{\"filter\":{\"must\":[{\"key\":\"%s\",\"match\":%d}]}}", key,
              n);
    return (int)strtol(in.body.data + strlen("{\"count\":"), NULL, 10);
}

static void check_app(const struct outcome *o) {
    int both = count_where("n", 70);
    ck_assert_msg(both == 0 || both == 2, "half of a batch: %d", both);
    if (o->put)
        ck_assert_int_eq(both, 2);
    int patched = count_where("n", 71);
    if (o->patch)
        ck_assert_int_eq(patched, 1);
    inside_ok(&in, INV_GET, C "/documents/d2", NULL);
    ck_assert_msg(inside_says(&in, "\"keep\":true"), "%s", in.body.data);
    int status = inside_do(&in, INV_GET, C "/documents/d3", NULL);
    ck_assert(status == 404 || (!o->removed && status == 200));
    status = inside_do(&in, INV_GET, "/v1/collections/e", NULL);
    if (o->deleted)
        ck_assert_int_eq(status, 404);
    else if (o->made)
        ck_assert(status == 200 || status == 404);
    inside_ok(&in, INV_POST, C "/search",
              "{\"vector\":[5,1,1,0],\"limit\":1,\"with\":{\"payload\":true}}");
    ck_assert_msg(inside_says(&in, "\"id\":\"d4\""), "%s", in.body.data);
}

START_TEST(requests_answer_with_an_error_or_are_done) {
    const struct fault *fault = &faults[_i];
    bool reached = true;
    for (long n = 1; reached; n = next_after(n)) {
        prepare_app();
        arm(fault, n);
        struct outcome o = app_changes();
        reached = faults_disarm();
        ck_assert_int_eq(odd_answer, 0);
        check_app(&o);
        if (!o.deleted) { /* the name is free or taken, not in between */
            int made = inside_do(&in, INV_PUT, "/v1/collections/e",
                                 "{\"kind\":\"single\",\"dim\":2}");
            ck_assert_msg(made / 100 == 2, "call %ld: %d %s", n, made,
                          in.body.data);
            o.made = true;
        }
        inside_close(&in);
        ck_assert_msg(inside_verify(&in), "call %ld: %s", n, in.body.data);
        inside_open(&in);
        check_app(&o);
        int status = inside_do(&in, INV_PUT, "/v1/collections/e",
                               "{\"kind\":\"single\",\"dim\":2}");
        ck_assert_msg(status / 100 == 2, "call %ld: %d %s", n, status,
                      in.body.data);
        inside_free(&in);
    }
}
END_TEST

START_TEST(an_application_that_cannot_start_says_why_and_can_later) {
    const struct fault *fault = &faults[_i];
    bool reached = true;
    for (long n = 1; reached; n = next_after(next_after(n))) {
        struct inv_err err = {0};
        prepare_app();
        inside_close(&in);
        arm(fault, n);
        enum inv_status status = inside_try_open(&in, &err);
        reached = faults_disarm();
        ck_assert(status == INV_OK || err.text[0] != '\0');
        if (status == INV_OK)
            inside_close(&in);
        in.app = NULL;
        inside_open(&in);
        inside_ok(&in, INV_POST, C "/documents/count", "{}");
        ck_assert_msg(inside_says(&in, "{\"count\":10}"), "%s", in.body.data);
        inside_free(&in);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("torture");
    TCase *tc = tcase_create("torture");
    faults_init();
    inv_log_setup(INV_LOG_ERROR, INV_LOG_TEXT);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, changes_fail_whole_or_not_at_all, 0, FAULTS);
    tcase_add_loop_test(tc, builds_fail_whole_or_not_at_all, 0, FAULTS);
    tcase_add_loop_test(tc, compactions_fail_whole_or_not_at_all, 0, FAULTS);
    tcase_add_loop_test(tc, a_start_that_fails_can_be_tried_again, 0, FAULTS);
    tcase_add_loop_test(tc, requests_answer_with_an_error_or_are_done, 0,
                        FAULTS);
    tcase_add_loop_test(
        tc, an_application_that_cannot_start_says_why_and_can_later, 0, FAULTS);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
