/*
 * Tests of the front door (server/http/): what goes in and out over real
 * sockets, written by hand. Streaming and stopping have their own programs.
 */
#include "tests/support/front_door.h"
#include "tests/support/raw_http.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "Host: test\r\n"

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

/* Sends a request without a body and reads the answer. */
static int get(const char *target, const char *headers) {
    ck_assert(
        raw_puts(fd, "GET %s HTTP/1.1\r\n" HOST "%s\r\n", target, headers));
    raw_release(&response);
    return raw_read(fd, &response);
}

static void expect_line(const char *line) {
    ck_assert_msg(response.body.data != NULL &&
                      strstr(response.body.data, line) != NULL,
                  "no \"%s\" in:\n%s", line, response.body.data);
}

START_TEST(everything_of_a_request_arrives) {
    ck_assert_int_eq(
        get("/echo/a%2Fb/%C3%A9//x?q=1+2%26&bare&q=second",
            "Content-Type: Application/JSON; charset=utf-8\r\n"
            "Authorization: Bearer k\r\nX-API-Key: 0\r\nIf-Match: \"7\"\r\n"
            "Idempotency-Key: once\r\nX-Request-ID: abc-1\r\n"),
        200);
    expect_line("method=0\nparts=5\n");
    expect_line("part1=3:a/b\npart2=2:\xc3\xa9\npart3=0:\npart4=1:x\n");
    expect_line("path=/echo/a%2Fb/%C3%A9//x\nq=1 2&\nbare=\n");
    expect_line("type=application/json\nauthorization=Bearer k\nkey=0\n"
                "if_match=\"7\"\nidempotency=once\nid=abc-1\nbody=0:00000000");
    ck_assert_str_eq(raw_header(&response, "X-Request-ID"), "abc-1");
    ck_assert_str_eq(raw_header(&response, "Content-Type"), "text/plain");
    ck_assert_str_eq(raw_header(&response, "Server-Timing"), "parse;dur=1");
    ck_assert_ptr_nonnull(raw_header(&response, "Date"));
}
END_TEST

START_TEST(what_was_not_sent_is_absent) {
    ck_assert_int_eq(get("/echo", ""), 200);
    expect_line("q=(none)\nbare=(none)\ntype=\nauthorization=(none)\n"
                "key=(none)\nif_match=(none)\nidempotency=(none)\n");
}
END_TEST

START_TEST(a_header_value_cannot_smuggle_in_another) {
    ck_assert_int_eq(get("/echo", ""), 200);
    ck_assert_str_eq(raw_header(&response, "X-Test"), "a  X-Smuggled: b");
    ck_assert_ptr_null(raw_header(&response, "X-Smuggled"));
}
END_TEST

START_TEST(a_bad_request_id_is_replaced) {
    char first[64];
    char longer[200] = "X-Request-ID: ";
    memset(longer + 14, 'x', 129);
    memcpy(longer + 14 + 129, "\r\n", 3);
    ck_assert_int_eq(get("/echo", longer), 200);
    snprintf(first, sizeof first, "%s", raw_header(&response, "X-Request-ID"));
    ck_assert_uint_eq(strlen(first), 32);
    ck_assert_uint_eq(strspn(first, "0123456789abcdef"), 32);
    ck_assert_int_eq(get("/echo", "X-Request-ID: two words\r\n"), 200);
    ck_assert_uint_eq(strlen(raw_header(&response, "X-Request-ID")), 32);
    ck_assert_str_ne(raw_header(&response, "X-Request-ID"), first);
    longer[14 + 128] = '\r';
    longer[14 + 129] = '\n';
    longer[14 + 130] = '\0';
    ck_assert_int_eq(get("/echo", longer), 200);
    ck_assert_uint_eq(strlen(raw_header(&response, "X-Request-ID")), 128);
}
END_TEST

START_TEST(bad_escapes_name_their_byte) {
    static const struct {
        const char *target, *text;
    } cases[] = {
        {"/echo/%zz", "byte 6 of the path"},
        {"/echo/abc%2", "byte 9 of the path"},
        {"/echo/%", "byte 6 of the path"},
        {"/echo/a%00b", "an escaped NUL at byte 7 of the path"},
        {"/echo?q=%4", "byte 2 of the query string"},
        {"/echo?a=1&b%00", "byte 5 of the query string"},
        {"*", "must begin with a slash"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(get(cases[i].target, ""), 400);
        expect_line(cases[i].text);
    }
    ck_assert_int_eq(get("/1/2/3/4/5/6/7/8/9/10/11/12/13", ""), 404);
    ck_assert_int_eq(get("http://elsewhere/echo/x?q=proxy", ""), 200);
    expect_line("path=/echo/x\nq=proxy\n");
    ck_assert_int_eq(atomic_load(&door.handled), 1);
}
END_TEST

START_TEST(head_is_get_without_a_body) {
    ck_assert(raw_puts(fd, "HEAD /big?bytes=1000 HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_int_eq(raw_read_head(fd, &response), 200);
    ck_assert_str_eq(raw_header(&response, "Content-Length"), "1000");
    ck_assert_int_eq(get("/live", ""), 200); /* nothing lay in between */
    ck_assert_str_eq(response.body.data, "alive");
}
END_TEST

START_TEST(other_methods_are_405) {
    ck_assert(raw_puts(fd, "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 405);
    ck_assert_str_eq(raw_header(&response, "Allow"),
                     "GET, HEAD, PUT, POST, PATCH, DELETE");
    ck_assert_int_eq(get("/echo", ""), 200); /* the connection is still good */
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order) {
    char all[4096] = "";
    size_t n = 0;
    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(all + n, sizeof all - n,
                              "POST /echo/%d HTTP/1.1\r\n" HOST
                              "Content-Length: 3\r\n\r\nabc",
                              i);
    ck_assert(raw_send(fd, all, n));
    for (int i = 0; i < 20; i++) {
        char line[32];
        snprintf(line, sizeof line, "path=/echo/%d\n", i);
        raw_release(&response);
        ck_assert_int_eq(raw_read(fd, &response), 200);
        expect_line(line);
        expect_line("body=3:");
    }
}
END_TEST

START_TEST(a_body_may_come_in_small_pieces) {
    ck_assert(raw_puts(fd, "PUT /echo HTTP/1.1\r\n" HOST
                           "Content-Length: 40\r\n\r\n"));
    for (int i = 0; i < 40; i++) {
        ck_assert(raw_send(fd, "x", 1));
        usleep(500);
    }
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_line("body=40:");
}
END_TEST

START_TEST(a_chunked_body_is_put_together) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Transfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n1;x=y\r\nd\r\n"));
    usleep(2000);
    ck_assert(raw_puts(fd, "2\r\nef\r\n0\r\nTrailer: 1\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    unsigned sum = 0;
    char line[32];
    for (const char *p = "abcdef"; *p != '\0'; p++)
        sum = sum * 31 + (unsigned char)*p;
    snprintf(line, sizeof line, "body=6:%08x\n", sum);
    expect_line(line);
}
END_TEST

START_TEST(a_body_of_exactly_the_limit_is_fine) {
    ck_assert(raw_puts(
        fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
        DOOR_BODY_MAX));
    ck_assert(raw_send_many(fd, DOOR_BODY_MAX));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_line("body=65536:");
}
END_TEST

START_TEST(a_huge_content_length_is_413_at_once) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Content-Length: 9000000000000000000\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 413);
    expect_line("9000000000000000000 bytes, at most 65536");
    ck_assert_str_eq(raw_header(&response, "Connection"), "close");
    ck_assert_ptr_nonnull(raw_header(&response, "X-Request-ID"));
    ck_assert(raw_at_end(fd));
    ck_assert_int_eq(atomic_load(&door.handled), 0);
}
END_TEST

START_TEST(a_client_that_sends_on_still_sees_its_413) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Content-Length: 50000000\r\n\r\n"));
    ck_assert(raw_send_many(fd, 50000000)); /* reads only afterwards */
    ck_assert_int_eq(raw_read(fd, &response), 413);
    expect_line("50000000 bytes, at most 65536");
}
END_TEST

START_TEST(expect_continue_is_honoured) {
    ck_assert(raw_puts(fd,
                       "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                       "Content-Length: 3\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 100);
    ck_assert(raw_puts(fd, "abc"));
    ck_assert_int_eq(raw_read(fd, &response), 200);
    expect_line("body=3:");
    ck_assert(raw_puts(fd,
                       "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                       "Content-Length: 65537\r\n\r\n"));
    raw_release(&response);
    ck_assert_int_eq(raw_read(fd, &response), 413); /* no 100 before */
}
END_TEST

static void send_chunks(size_t total) {
    for (size_t sent = 0; sent < total; sent += 50000)
        ck_assert(raw_puts(fd, "c350\r\n") && raw_send_many(fd, 50000) &&
                  raw_puts(fd, "\r\n"));
}

START_TEST(a_chunked_body_over_the_limit_is_413_and_the_connection_stays) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Transfer-Encoding: chunked\r\n\r\n"));
    send_chunks(1000000);
    ck_assert(raw_puts(fd, "0\r\n\r\n"));
    ck_assert_int_eq(raw_read(fd, &response), 413);
    expect_line("more than the 65536 bytes");
    ck_assert_int_eq(get("/live", ""), 200);
    ck_assert_int_eq(atomic_load(&door.handled), 1);
}
END_TEST

START_TEST(a_chunked_body_without_end_is_413_in_the_middle) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Transfer-Encoding: chunked\r\n\r\n"));
    send_chunks(12000000); /* no end follows */
    ck_assert_int_eq(raw_read(fd, &response), 413);
    expect_line("more than the 65536 bytes");
    ck_assert_str_eq(raw_header(&response, "Connection"), "close");
    ck_assert(raw_at_end(fd));
    ck_assert(door_wait(&door.done, 1));
    ck_assert_int_eq(atomic_load(&door.done_by_class[4]), 1);
}
END_TEST

START_TEST(ambiguous_bodies_are_refused) {
    static const char *const headers[] = {
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        int other = raw_connect(door.port);
        ck_assert(raw_puts(other, "POST /echo HTTP/1.1\r\n" HOST "%s\r\n3\r\n",
                           headers[i]));
        raw_release(&response);
        ck_assert_int_eq(raw_read(other, &response), 400);
        expect_line("ambiguous");
        ck_assert(raw_at_end(other));
        close(other);
    }
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Transfer-Encoding: gzip, chunked\r\n\r\n"));
    raw_release(&response);
    ck_assert_int_eq(raw_read(fd, &response), 501);
    ck_assert_int_eq(atomic_load(&door.handled), 0);
}
END_TEST

START_TEST(a_client_that_leaves_in_its_body_changes_nothing) {
    ck_assert(raw_puts(fd, "POST /echo HTTP/1.1\r\n" HOST
                           "Content-Length: 1000\r\n\r\nabc"));
    close(fd);
    fd = raw_connect(door.port);
    ck_assert(door_wait(&door.done, 1));
    ck_assert_int_eq(atomic_load(&door.handled), 0);
    ck_assert_int_eq(atomic_load(&door.done_by_class[4]), 1); /* 499 */
    ck_assert_int_eq(get("/echo", ""), 200);
}
END_TEST

START_TEST(a_client_that_leaves_while_it_is_served_harms_nobody) {
    ck_assert(raw_puts(fd, "GET /gate HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert(door_wait(&door.handled, 1));
    close(fd);
    fd = raw_connect(door.port);
    door_open(&door);
    ck_assert(door_wait(&door.done, 1));
    ck_assert_int_eq(get("/gate", ""), 200);
}
END_TEST

START_TEST(out_of_memory_in_an_answer_is_503) {
    ck_assert_int_eq(get("/memory", ""), 503);
    expect_line("out of memory");
    ck_assert_str_eq(raw_header(&response, "Retry-After"), "1");
}
END_TEST

START_TEST(a_big_answer_arrives_whole) {
    ck_assert_int_eq(get("/big?bytes=20000000", ""), 200);
    ck_assert_uint_eq(response.body.len, 20000000);
    for (size_t i = 0; i < response.body.len; i += 977)
        ck_assert_int_eq(response.body.data[i], 'a' + i % 26);
}
END_TEST

START_TEST(addresses_that_cannot_be_used_say_why) {
    struct inv_http_config config = door_config(&door);
    struct inv_http *other = NULL;
    struct inv_err err;
    char text[64];
    config.port = door.port;
    ck_assert_int_eq(inv_http_start(&config, &other, &err), INV_IO);
    snprintf(text, sizeof text, "cannot listen on 127.0.0.1:%u: Address",
             (unsigned)door.port);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    config.host = "example.com";
    ck_assert_int_eq(inv_http_start(&config, &other, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "example.com:"));
    config.host = "localhost";
    config.port = 0;
    ck_assert_int_eq(inv_http_start(&config, &other, &err), INV_OK);
    ck_assert_int_eq(raw_once(inv_http_port(other),
                              "GET /live HTTP/1.1\r\n" HOST "\r\n", NULL, 0),
                     200);
    inv_http_stop(other, 0);
    config.host = "::1"; /* not there on every machine */
    if (inv_http_start(&config, &other, &err) == INV_OK)
        inv_http_stop(other, 0);
    else
        ck_assert_ptr_nonnull(strstr(err.text, "[::1]:0: "));
    config.workers = 0;
    ck_assert_int_eq(inv_http_start(&config, &other, &err), INV_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("front door");
    TCase *tcase = tcase_create("requests");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, everything_of_a_request_arrives);
    tcase_add_test(tcase, what_was_not_sent_is_absent);
    tcase_add_test(tcase, a_header_value_cannot_smuggle_in_another);
    tcase_add_test(tcase, a_bad_request_id_is_replaced);
    tcase_add_test(tcase, bad_escapes_name_their_byte);
    tcase_add_test(tcase, head_is_get_without_a_body);
    tcase_add_test(tcase, other_methods_are_405);
    tcase_add_test(tcase, pipelined_requests_are_answered_in_order);
    tcase_add_test(tcase, a_body_may_come_in_small_pieces);
    tcase_add_test(tcase, a_chunked_body_is_put_together);
    tcase_add_test(tcase, a_body_of_exactly_the_limit_is_fine);
    tcase_add_test(tcase, a_huge_content_length_is_413_at_once);
    tcase_add_test(tcase, a_client_that_sends_on_still_sees_its_413);
    tcase_add_test(tcase, expect_continue_is_honoured);
    tcase_add_test(
        tcase, a_chunked_body_over_the_limit_is_413_and_the_connection_stays);
    tcase_add_test(tcase, a_chunked_body_without_end_is_413_in_the_middle);
    tcase_add_test(tcase, ambiguous_bodies_are_refused);
    tcase_add_test(tcase, a_client_that_leaves_in_its_body_changes_nothing);
    tcase_add_test(tcase, a_client_that_leaves_while_it_is_served_harms_nobody);
    tcase_add_test(tcase, out_of_memory_in_an_answer_is_503);
    tcase_add_test(tcase, a_big_answer_arrives_whole);
    tcase_add_test(tcase, addresses_that_cannot_be_used_say_why);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
