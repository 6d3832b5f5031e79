/*
 * Tests of the front door's streaming routes: the body flows through a ring of
 * one megabyte while the handler runs.
 */
#include "server/http/body.h"
#include "tests/support/front_door.h"
#include "tests/support/raw_http.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "Host: test\r\n"
#define MEGABYTE ((size_t)1000000)

static struct door door;
static struct raw_response response;
static int fd = -1;

static void setup(void) {
    door_start(&door, NULL);
    fd = raw_connect(door.port);
}

static void teardown(void) {
    raw_release(&response);
    if (fd >= 0)
        close(fd);
    fd = -1;
    door_open(&door);
    door_stop(&door, 1000);
}

static void start(int to, const char *target, size_t len) {
    ck_assert(
        raw_puts(to, "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                 target, len));
}

static void expect_sum(size_t count) {
    unsigned sum = 0;
    char text[64];
    for (size_t i = 0; i < count; i++)
        sum = sum * 31 + 'x';
    snprintf(text, sizeof text, "%zu:%08x", count, sum);
    ck_assert_int_eq(strncmp(response.body.data, text, strlen(text)), 0);
}

START_TEST(a_stream_arrives_whole) {
    start(fd, "/stream/all", 30 * MEGABYTE);
    ck_assert(raw_send_many(fd, 30 * MEGABYTE));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_sum(30 * MEGABYTE);
    raw_release(&response);
    start(fd, "/stream/all", 0); /* the connection is good for more */
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_sum(0);
}
END_TEST

START_TEST(a_chunked_stream_arrives_whole) {
    ck_assert(raw_puts(fd, "POST /stream/all HTTP/1.1\r\n" HOST
                           "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 100; i++)
        ck_assert(raw_puts(fd, "186a0\r\n") && raw_send_many(fd, 100000) &&
                  raw_puts(fd, "\r\n"));
    ck_assert(raw_puts(fd, "0\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_sum(10 * MEGABYTE);
}
END_TEST

START_TEST(a_slow_reader_slows_the_client_down) {
    size_t total = 100 * MEGABYTE;
    start(fd, "/stream/gate", total);
    size_t sent = raw_fill(fd, total, 300);
    /* The ring, libmicrohttpd's buffer and what the kernel holds (at most 6 MB
     * to receive and 4 MB to send, by default). */
    ck_assert_msg(sent >= INV_BODY_RING, "%zu", sent);
    ck_assert_msg(sent < 16 * MEGABYTE, "%zu bytes went somewhere", sent);
    door_open(&door);
    ck_assert(raw_send_many(fd, total - sent));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_sum(total);
}
END_TEST

START_TEST(an_early_answer_waits_for_a_short_rest) {
    start(fd, "/stream/some?bytes=10", 3 * MEGABYTE);
    ck_assert(raw_send_many(fd, 3 * MEGABYTE));
    ck_assert_int_eq(raw_read(fd, &response), 400);
    expect_sum(10);
    raw_release(&response);
    start(fd, "/stream/all", 5);
    ck_assert(raw_puts(fd, "xxxxx"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_sum(5);
}
END_TEST

START_TEST(an_early_answer_interrupts_a_long_body) {
    start(fd, "/stream/some?bytes=10", 1000000 * MEGABYTE);
    ck_assert(raw_send_many(fd, 10 * MEGABYTE)); /* and no more */
    ck_assert_int_eq(raw_read(fd, &response), 400);
    expect_sum(10);
    ck_assert_str_eq(raw_header(&response, "Connection"), "close");
    ck_assert(raw_at_end(fd));
}
END_TEST

START_TEST(a_client_that_only_sends_still_gets_its_early_answer) {
    start(fd, "/stream/some?bytes=10&answer=3000000", 60 * MEGABYTE);
    ck_assert(raw_send_many(fd, 60 * MEGABYTE));
    ck_assert_int_eq(raw_read(fd, &response), 400);
    ck_assert_uint_eq(response.body.len, 3000000);
    expect_sum(10);
}
END_TEST

START_TEST(a_client_that_leaves_is_noticed_by_the_reader) {
    start(fd, "/stream/all", MEGABYTE);
    ck_assert(raw_send_many(fd, 1000));
    ck_assert(door_wait(&door.handled, 1));
    close(fd);
    ck_assert(door_wait(&door.aborted, 1));
    ck_assert(door_wait(&door.done, 1));
    fd = raw_connect(door.port);
    start(fd, "/stream/all", 1);
    ck_assert(raw_puts(fd, "x"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
}
END_TEST

START_TEST(a_client_that_leaves_before_a_slow_reader_is_noticed_later) {
    start(fd, "/stream/gate", 50 * MEGABYTE);
    ck_assert_uint_gt(raw_fill(fd, 50 * MEGABYTE, 100), INV_BODY_RING);
    close(fd);
    fd = -1;
    door_open(&door);
    ck_assert(door_wait(&door.aborted, 1));
    ck_assert(door_wait(&door.done, 1));
}
END_TEST

START_TEST(a_handler_may_finish_long_after_its_client_has_left) {
    start(fd, "/stream/gate", MEGABYTE);
    ck_assert(raw_send_many(fd, 1000));
    ck_assert(door_wait(&door.handled, 1));
    close(fd);
    fd = -1;
    ck_assert(door_wait(&door.done, 1)); /* reported as cancelled */
    ck_assert_int_eq(atomic_load(&door.finished), 0);
    door_open(&door);
    ck_assert(door_wait(&door.aborted, 1));
}
END_TEST

START_TEST(when_all_streams_are_busy_the_next_is_503) {
    int others[2];
    for (int i = 0; i < 2; i++) {
        others[i] = raw_connect(door.port);
        start(others[i], "/stream/gate", 4);
        ck_assert(raw_puts(others[i], "xxxx"));
    }
    ck_assert(door_wait(&door.handled, 2));
    start(fd, "/stream/gate", 20 * MEGABYTE);
    ck_assert(raw_send_many(fd, 20 * MEGABYTE));
    ck_assert_int_eq(raw_read(fd, &response), 503);
    ck_assert_str_eq(raw_header(&response, "Retry-After"), "1");
    ck_assert_str_eq(response.body.data, "2 of 2 bulk streams are in use");
    raw_release(&response);
    close(fd);
    fd = raw_connect(door.port);
    ck_assert(raw_puts(fd, "POST /stream/all HTTP/1.1\r\n" HOST
                           "Expect: 100-continue\r\n"
                           "Content-Length: 4\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 503); /* and no 100 */
    raw_release(&response);
    door_open(&door);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(raw_read(others[i], &response), 200);
        expect_sum(4);
        raw_release(&response);
        close(others[i]);
    }
    close(fd);
    fd = raw_connect(door.port);
    start(fd, "/stream/all", 1);
    ck_assert(raw_puts(fd, "x"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("front door, streams");
    TCase *tcase = tcase_create("streams");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_stream_arrives_whole);
    tcase_add_test(tcase, a_chunked_stream_arrives_whole);
    tcase_add_test(tcase, a_slow_reader_slows_the_client_down);
    tcase_add_test(tcase, an_early_answer_waits_for_a_short_rest);
    tcase_add_test(tcase, an_early_answer_interrupts_a_long_body);
    tcase_add_test(tcase, a_client_that_only_sends_still_gets_its_early_answer);
    tcase_add_test(tcase, a_client_that_leaves_is_noticed_by_the_reader);
    tcase_add_test(tcase,
                   a_client_that_leaves_before_a_slow_reader_is_noticed_later);
    tcase_add_test(tcase, a_handler_may_finish_long_after_its_client_has_left);
    tcase_add_test(tcase, when_all_streams_are_busy_the_next_is_503);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
