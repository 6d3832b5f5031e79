/*
 * test_client.c: cli/client.h and cli/upload.h against a small server that
 * gives prepared answers, one a request, over one kept-alive connection.
 */
#include "cli/client.h"
#include "cli/upload.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the server ---- */

struct reply {
    const char *status, *headers, *body;
};

static struct {
    int fd;
    pthread_t thread;
    const struct reply *replies;
    size_t count, given;
    char request[8192]; /* the last one */
    char url[64];
} server;

/* Reads one request; the length of its body is in its header. */
static bool read_request(int fd) {
    size_t len = 0;
    char *buf = server.request;
    for (;;) {
        ssize_t n = read(fd, buf + len, sizeof server.request - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        buf[len] = '\0';
        char *body = strstr(buf, "\r\n\r\n");
        if (body == NULL)
            continue;
        char *length = strstr(buf, "Content-Length: ");
        size_t want = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        if (len >= (size_t)(body + 4 - buf) + want)
            return true;
    }
}

static void *serve(void *ctx) {
    (void)ctx;
    while (server.given < server.count) {
        int fd = accept(server.fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        while (server.given < server.count && read_request(fd)) {
            const struct reply *reply = &server.replies[server.given++];
            dprintf(fd, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s",
                    reply->status, reply->headers, strlen(reply->body),
                    reply->body);
        }
        close(fd);
    }
    return NULL;
}

static void start(const struct reply *replies, size_t count) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.replies = replies;
    server.count = count;
    server.given = 0;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(server.fd, 0);
    ck_assert_int_eq(
        bind(server.fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server.fd, 4), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&address, &size),
                     0);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d/",
             ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop(void) {
    pthread_join(server.thread, NULL);
    close(server.fd);
}

static struct inv_client *client;
static struct inv_answer answer;
static struct inv_err err;

static void open_client(const char *key) {
    answer = (struct inv_answer)INV_ANSWER_INIT;
    ck_assert_int_eq(inv_client_open(server.url, key, 10, &client, &err),
                     INV_OK);
}

static void close_client(void) {
    inv_client_close(client);
    inv_answer_release(&answer);
}

/* ---- the client ---- */

START_TEST(a_good_answer_is_parsed_and_the_key_is_sent) {
    static const struct reply replies[] = {
        {"200 OK", "", "{\"a\":1}"},
    };
    const struct inv_call call = {
        .method = "PUT", .path = "/v1/x", .body = "{}", .len = 2};
    start(replies, 1);
    open_client("secret");
    ck_assert_int_eq(inv_client_send(client, &call, &answer), INV_EXIT_OK);
    ck_assert_int_eq(inv_json_int(inv_json_get(answer.json, "a")), 1);
    stop();
    ck_assert_int_eq(strncmp(server.request, "PUT /v1/x HTTP/1.1\r\n", 20), 0);
    ck_assert_ptr_nonnull(
        strstr(server.request, "Authorization: Bearer secret\r\n"));
    ck_assert_ptr_nonnull(
        strstr(server.request, "Content-Type: application/json\r\n"));
    ck_assert_ptr_null(strstr(server.request, "Expect:"));
    close_client();
}
END_TEST

START_TEST(a_refusal_becomes_one_clear_line) {
    static const struct reply replies[] = {
        {"400 Bad Request", "",
         "{\"type\":\"about:blank\",\"title\":\"Wrong dimension\","
         "\"code\":\"dimension_mismatch\","
         "\"detail\":\"expected 128, got 96\","
         "\"errors\":[{\"pointer\":\"/documents/3/vector\"}]}"},
        {"502 Bad Gateway", "", "nginx"},
        {"503 Busy", "Retry-After: 3\r\n", "{\"code\":\"busy\"}"},
    };
    const struct inv_call call = {.method = "GET", .path = "/v1"};
    start(replies, 3);
    open_client(NULL);
    ck_assert_int_eq(inv_client_send(client, &call, &answer), INV_EXIT_FAILED);
    ck_assert_str_eq(answer.message,
                     "expected 128, got 96 (dimension_mismatch, HTTP 400, at "
                     "/documents/3/vector)");
    ck_assert_int_eq(inv_client_send(client, &call, &answer), INV_EXIT_FAILED);
    ck_assert_str_eq(answer.message, "the daemon answered HTTP 502: nginx");
    ck_assert_int_eq(inv_client_send(client, &call, &answer), INV_EXIT_FAILED);
    ck_assert_str_eq(answer.message, "the daemon refused (busy, HTTP 503)");
    ck_assert_uint_eq(answer.retry_after_s, 3);
    close_client();
    stop();
}
END_TEST

START_TEST(nobody_there_is_another_exit_code) {
    const struct inv_call call = {.method = "GET", .path = "/v1"};
    answer = (struct inv_answer)INV_ANSWER_INIT;
    ck_assert_int_eq(
        inv_client_open("http://127.0.0.1:1", NULL, 5, &client, &err), INV_OK);
    ck_assert_int_eq(inv_client_send(client, &call, &answer),
                     INV_EXIT_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(answer.message, "http://127.0.0.1:1"));
    close_client();
}
END_TEST

START_TEST(an_answer_that_is_no_json_is_an_error) {
    static const struct reply replies[] = {
        {"200 OK", "", "foo"},
    };
    const struct inv_call call = {.method = "GET", .path = "/v1"};
    start(replies, 1);
    open_client(NULL);
    ck_assert_int_eq(inv_client_send(client, &call, &answer), INV_EXIT_FAILED);
    ck_assert_ptr_nonnull(strstr(answer.message, "no JSON"));
    close_client();
    stop();
}
END_TEST

START_TEST(bad_addresses_and_keys_are_refused) {
    ck_assert_int_eq(inv_client_open("localhost:80", NULL, 5, &client, &err),
                     INV_INVALID);
    ck_assert_int_eq(inv_client_open("ftp://h", NULL, 5, &client, &err),
                     INV_INVALID);
    ck_assert_int_eq(inv_client_open("http://h", "a\r\nX: y", 5, &client, &err),
                     INV_INVALID);
}
END_TEST

START_TEST(ids_are_escaped_for_a_path) {
    struct inv_buf out = INV_BUF_INIT;
    inv_client_escape(&out, "a/b %\xc3\xa9.-_~?#", 13);
    ck_assert_str_eq(out.data, "a%2Fb%20%25%C3%A9.-_~%3F%23");
    inv_buf_release(&out);
}
END_TEST

/* ---- the upload ---- */

static char corpus[] = "/tmp/invar-client-XXXXXX";

static void open_corpus(struct inv_source *source) {
    static const char text[] = "{\"id\":0}\n{\"id\":1}\n{\"id\":2}\n";
    int fd = mkstemp(corpus);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    ck_assert_int_eq(
        inv_source_open_lines(corpus, INV_PAYLOAD_NONE, source, &err), INV_OK);
    source->batch_bytes = 10; /* two documents, then one */
}

static struct inv_upload_result upload(const struct reply *replies,
                                       size_t count) {
    struct inv_source source;
    struct inv_upload_result result;
    open_corpus(&source);
    start(replies, count);
    struct inv_cli cli = {.url = server.url, .timeout_s = 10};
    inv_upload(&cli, "/bulk", &source, NULL, 1, &result);
    inv_source_close(&source);
    unlink(corpus);
    return result;
}

#define COUNTS(upserted, failed, errors)                                       \
    "{\"items\":2,\"upserted\":" upserted ",\"failed\":" failed                \
    ",\"errors\":[" errors "]}"

START_TEST(uploads_add_up_and_name_the_first_error) {
    static const struct reply replies[] = {
        {"200 OK", "", COUNTS("2", "0", "")},
        {"200 OK", "",
         COUNTS("0", "1",
                "{\"item\":0,\"code\":\"c\",\"pointer\":\"/id\","
                "\"detail\":\"d\"}")},
    };
    struct inv_upload_result result = upload(replies, 2);
    stop();
    ck_assert_int_eq(result.exit, 0);
    ck_assert_uint_eq(result.sent, 3);
    ck_assert_uint_eq(result.upserted, 2);
    ck_assert_uint_eq(result.failed, 1);
    ck_assert_str_eq(result.first_error, "document 3: d (c, at /id)");
    ck_assert_ptr_nonnull(strstr(server.request, "POST /bulk HTTP/1.1"));
    ck_assert_ptr_nonnull(strstr(server.request, "application/x-ndjson"));
}
END_TEST

START_TEST(a_busy_daemon_is_asked_again) {
    static const struct reply replies[] = {
        {"503 Busy", "Retry-After: 1\r\n", "{}"},
        {"200 OK", "", COUNTS("2", "0", "")},
        {"200 OK", "", COUNTS("1", "0", "")},
    };
    struct inv_upload_result result = upload(replies, 3);
    stop();
    ck_assert_int_eq(result.exit, 0);
    ck_assert_uint_eq(result.upserted, 3);
}
END_TEST

START_TEST(a_refused_request_ends_the_upload) {
    static const struct reply replies[] = {
        {"507 Full", "", "{\"code\":\"no_space\",\"detail\":\"full\"}"},
    };
    struct inv_upload_result result = upload(replies, 1);
    stop();
    ck_assert_int_eq(result.exit, INV_EXIT_FAILED);
    ck_assert_uint_eq(result.sent, 0);
    ck_assert_str_eq(result.failure, "full (no_space, HTTP 507)");
}
END_TEST

int main(void) {
    if (inv_client_global_init(NULL) != INV_OK)
        return EXIT_FAILURE;
    Suite *suite = suite_create("cli/client");
    TCase *tests = tcase_create("client");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_good_answer_is_parsed_and_the_key_is_sent);
    tcase_add_test(tests, a_refusal_becomes_one_clear_line);
    tcase_add_test(tests, nobody_there_is_another_exit_code);
    tcase_add_test(tests, an_answer_that_is_no_json_is_an_error);
    tcase_add_test(tests, bad_addresses_and_keys_are_refused);
    tcase_add_test(tests, ids_are_escaped_for_a_path);
    tcase_add_test(tests, uploads_add_up_and_name_the_first_error);
    tcase_add_test(tests, a_busy_daemon_is_asked_again);
    tcase_add_test(tests, a_refused_request_ends_the_upload);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    inv_client_global_release();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
