/*
 * test_api_bulk.c: documents as a stream over real HTTP: NDJSON and frames,
 * what is kept, what is refused, and what a client that leaves has written.
 */
#include "tests/support/api.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define C "/v1/collections/c"
#define BULK C "/documents/bulk"

static struct api api;

static void setup(void) {
    api_init(&api);
    api.config.max_body = 20000; /* of a line; the whole may be longer */
    api_start(&api);
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":2,\"payload_index\":"
           "{\"n\":\"integer\"}}");
    api_ok(&api, "PUT", "/v1/collections/m",
           "{\"kind\":\"multi\",\"dim\":2,\"tokens\":{\"dtype\":\"i8\"},"
           "\"encoder\":{\"type\":\"muvera\",\"R\":2,\"k\":1,\"m\":2}}");
}

static void teardown(void) { api_stop(&api); }

static int send_bulk(const char *path, const char *type,
                     const struct inv_buf *body) {
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = type,
                                  .body = body->data,
                                  .len = body->len};
    ck_assert(!body->failed);
    return api_send(&api, &request);
}

static int send_lines(const char *lines) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, lines);
    int status = send_bulk(BULK, "application/x-ndjson", &body);
    inv_buf_release(&body);
    return status;
}

static int64_t count(const char *collection) {
    char path[128];
    snprintf(path, sizeof path, "/v1/collections/%s/documents/count",
             collection);
    api_ok(&api, "POST", path, NULL);
    return api_int(&api, "/count");
}

static void check_error(size_t i, int64_t item, int64_t line, const char *code,
                        const char *pointer, const char *piece) {
    char at[48];
    snprintf(at, sizeof at, "/errors/%zu/item", i);
    ck_assert_int_eq(api_int(&api, at), item);
    if (line >= 0) {
        snprintf(at, sizeof at, "/errors/%zu/line", i);
        ck_assert_int_eq(api_int(&api, at), line);
    }
    snprintf(at, sizeof at, "/errors/%zu/code", i);
    ck_assert_str_eq(api_string(&api, at), code);
    snprintf(at, sizeof at, "/errors/%zu/pointer", i);
    ck_assert_str_eq(api_string(&api, at), pointer);
    snprintf(at, sizeof at, "/errors/%zu/detail", i);
    ck_assert_msg(strstr(api_string(&api, at), piece) != NULL, "%s",
                  api_body(&api));
}

/* ---- lines ---- */

START_TEST(good_lines_are_kept_and_bad_ones_listed_with_their_place) {
    ck_assert_int_eq(
        send_lines("{\"id\":1,\"vector\":[1,0],\"payload\":{\"n\":1}}\n"
                   "\n"
                   "{\"id\":2,\"vector\":[1,0,0]}\r\n"
                   "{\"id\":3,\"vector\":[1,0]\n"
                   "  \t\n"
                   "{\"id\":4,\"vector\":[1,0],\"payload\":{\"n\":\"x\"}}\n"
                   "[]\n"
                   "{\"id\":5,\"vector\":[0,1]}"),
        200);
    ck_assert_int_eq(api_int(&api, "/items"), 6);
    ck_assert_int_eq(api_int(&api, "/upserted"), 2);
    ck_assert_int_eq(api_int(&api, "/created"), 2);
    ck_assert_int_eq(api_int(&api, "/failed"), 4);
    ck_assert_uint_eq(api_size(&api, "/errors"), 4);
    check_error(0, 1, 3, "dimension_mismatch", "/vector",
                "expected 2 dimensions, got 3");
    check_error(1, 2, 4, "malformed_json", "", "at byte 22");
    check_error(2, 3, 6, "invalid_request", "/payload/n", "integer");
    check_error(3, 4, 7, "invalid_request", "", "an array");
    ck_assert_int_eq(count("c"), 2);
}
END_TEST

START_TEST(an_empty_stream_holds_nothing) {
    ck_assert_int_eq(send_lines(" "), 200);
    ck_assert_int_eq(api_int(&api, "/items"), 0);
    ck_assert_int_eq(api_do(&api, "POST", BULK, NULL), 200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 0);
}
END_TEST

START_TEST(the_last_of_two_lines_with_one_id_stays) {
    ck_assert_int_eq(send_lines("{\"id\":1,\"vector\":[1,0]}\n"
                                "{\"id\":2,\"vector\":[2,0]}\n"
                                "{\"id\":1,\"vector\":[3,0]}\n"),
                     200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 3);
    ck_assert_int_eq(api_int(&api, "/created"), 2);
    ck_assert_int_eq(count("c"), 2);
    api_ok(&api, "GET", C "/documents/1?vectors=true", NULL);
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[3,0]"));
    api_ok(&api, "POST", C "/search", "{\"vector\":[1,0]}");
    ck_assert_uint_eq(api_size(&api, "/hits"), 2);
}
END_TEST

START_TEST(a_stream_longer_than_a_body_may_be_is_taken) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = 0; i < 2500; i++)
        inv_buf_printf(&body, "{\"id\":%d,\"vector\":[%d,1]}\n", i, i);
    ck_assert_uint_gt(body.len, api.config.max_body);
    ck_assert_int_eq(send_bulk(BULK, "application/x-ndjson", &body), 200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 2500);
    ck_assert_int_eq(count("c"), 2500);
    inv_buf_release(&body);
}
END_TEST

START_TEST(a_line_over_the_limit_ends_the_stream_and_says_what_is_stored) {
    for (int chunk = 0; chunk < 2; chunk++) {
        struct inv_buf body = INV_BUF_INIT;
        inv_buf_puts(&body, "{\"id\":1,\"vector\":[1,0]}\n{\"id\":2,");
        /* as long as the buffer reads at once, and longer */
        size_t blanks = chunk == 0 ? 20000 : 400000;
        for (size_t i = 0; i < blanks; i++)
            inv_buf_putc(&body, ' ');
        inv_buf_puts(&body, "\"vector\":[1,0]}\n{\"id\":3,\"vector\":[1,0]}\n");
        send_bulk(BULK, "application/x-ndjson", &body);
        api_refused(&api, 413, "too_large", NULL,
                    "line 2|20000|1 documents before it are stored");
        inv_buf_release(&body);
        ck_assert_int_eq(count("c"), 1);
    }
}
END_TEST

START_TEST(only_the_first_thousand_errors_are_listed) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = 0; i < 1200; i++)
        inv_buf_puts(&body, "{}\n");
    ck_assert_int_eq(send_bulk(BULK, "application/x-ndjson", &body), 200);
    ck_assert_int_eq(api_int(&api, "/failed"), 1200);
    ck_assert_uint_eq(api_size(&api, "/errors"), 1000);
    inv_buf_release(&body);
}
END_TEST

/* Sends the head and a part of the body, then leaves. */
static void leave(const char *type, const struct inv_buf *body, size_t sent) {
    int fd = raw_connect(api.port);
    ck_assert(raw_puts(fd,
                       "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       BULK, type, body->len));
    ck_assert(raw_send(fd, body->data, sent));
    usleep(50000);
    close(fd);
    usleep(150000);
}

START_TEST(a_client_that_leaves_within_a_batch_changes_nothing) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = 0; i < 100; i++)
        inv_buf_printf(&body, "{\"id\":%d,\"vector\":[%d,1]}\n", i, i);
    leave("application/x-ndjson", &body, body.len - 10);
    ck_assert_int_eq(count("c"), 0);
    leave("application/x-ndjson", &body, body.len / 2);
    ck_assert_int_eq(count("c"), 0);
    inv_buf_release(&body);
}
END_TEST

START_TEST(bulk_into_what_is_not_there_is_refused) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"id\":1,\"vector\":[1,0]}\n");
    send_bulk("/v1/collections/none/documents/bulk", "application/x-ndjson",
              &body);
    api_refused(&api, 404, "not_found", NULL, "none");
    send_bulk(BULK "?mode=insert", "application/x-ndjson", &body);
    api_refused(&api, 400, "invalid_request", NULL, "mode");
    ck_assert_int_eq(count("c"), 0);
    inv_buf_release(&body);
}
END_TEST

/* ---- frames ---- */

static void put_u32(struct inv_buf *out, uint32_t x) {
    const unsigned char bytes[] = {(unsigned char)x, (unsigned char)(x >> 8),
                                   (unsigned char)(x >> 16),
                                   (unsigned char)(x >> 24)};
    inv_buf_append(out, bytes, 4);
}

static void begin_frames(struct inv_buf *out) {
    inv_buf_puts(out, "INVB");
    put_u32(out, 1);
}

static void begin_frame(struct inv_buf *out, const char *id, uint32_t rows,
                        uint32_t dim, char dtype) {
    size_t len = strlen(id);
    inv_buf_putc(out, (char)len);
    inv_buf_putc(out, (char)(len >> 8));
    inv_buf_append(out, id, len);
    put_u32(out, rows);
    put_u32(out, dim);
    inv_buf_putc(out, dtype);
}

static void put_frame(struct inv_buf *out, const char *id, uint32_t rows,
                      uint32_t dim, const float *x, const char *payload) {
    begin_frame(out, id, rows, dim, 1);
    inv_buf_append(out, (const char *)x, rows * dim * sizeof *x);
    put_u32(out, payload == NULL ? 0 : (uint32_t)strlen(payload));
    inv_buf_puts(out, payload == NULL ? "" : payload);
}

START_TEST(frames_are_kept_and_bad_ones_listed) {
    static const float x[] = {1, 2, 3, 4};
    const float bad[] = {1, 3e20f};
    struct inv_buf body = INV_BUF_INIT;
    begin_frames(&body);
    put_frame(&body, "a", 1, 2, x, "{\"n\":5}");
    put_frame(&body, "b", 1, 4, x, NULL);
    put_frame(&body, "c", 1, 2, bad, NULL);
    put_frame(&body, "d", 1, 2, x, "{\"n\":");
    put_frame(&body, "e", 2, 2, x, NULL);
    put_frame(&body, "\xff", 1, 2, x, NULL);
    put_frame(&body, "g", 1, 2, x, "[1]");
    put_frame(&body, "h", 1, 2, x + 2, NULL);
    ck_assert_int_eq(send_bulk(BULK, "application/x-invar", &body), 200);
    ck_assert_int_eq(api_int(&api, "/items"), 8);
    ck_assert_int_eq(api_int(&api, "/upserted"), 2);
    ck_assert_uint_eq(api_size(&api, "/errors"), 6);
    check_error(0, 1, -1, "dimension_mismatch", "/vector",
                "expected 2 dimensions, got 4");
    check_error(1, 2, -1, "value_out_of_range", "", "3e+20");
    check_error(2, 3, -1, "malformed_json", "", "at byte 5");
    check_error(3, 4, -1, "invalid_request", "", "got 2");
    check_error(4, 5, -1, "invalid_request", "", "UTF-8");
    check_error(5, 6, -1, "invalid_request", "", "object");
    api_ok(&api, "GET", C "/documents/a?vectors=true", NULL);
    ck_assert_int_eq(api_int(&api, "/payload/n"), 5);
    ck_assert_ptr_nonnull(strstr(api_body(&api), "\"vector\":[1,2]"));
    inv_buf_release(&body);
}
END_TEST

START_TEST(int8_frames_are_kept_as_they_were_sent) {
    struct inv_buf body = INV_BUF_INIT;
    begin_frames(&body);
    begin_frame(&body, "t", 2, 2, 3);
    inv_buf_append(&body, "\x00\x38\x00\x34", 4); /* .5 and .25 as f16 */
    inv_buf_append(&body, "\x01\x02\x7f\xfd", 4);
    put_u32(&body, 0);
    ck_assert_int_eq(send_bulk("/v1/collections/m/documents/bulk",
                               "application/x-invar", &body),
                     200);
    ck_assert_int_eq(api_int(&api, "/upserted"), 1);
    api_ok(&api, "GET", "/v1/collections/m/documents/t?vectors=true", NULL);
    ck_assert_ptr_nonnull(
        strstr(api_body(&api), "\"vectors\":[[0.5,1],[31.75,-0.75]]"));
    inv_buf_release(&body);
}
END_TEST

START_TEST(a_stream_that_ends_within_a_frame_is_refused_with_both_lengths) {
    static const float x[] = {1, 2};
    struct inv_buf body = INV_BUF_INIT;
    begin_frames(&body);
    put_frame(&body, "a", 1, 2, x, NULL);
    size_t whole = body.len;
    put_frame(&body, "b", 1, 2, x, NULL);
    /* every place where the second frame can break off */
    for (size_t len = whole + 1; len < whole + 24; len++) {
        body.len = len;
        send_bulk(BULK, "application/x-invar", &body);
        char pieces[80];
        snprintf(pieces, sizeof pieces,
                 "within item 2|%zu there|1 documents before", len - whole);
        api_refused(&api, 400, "invalid_request", NULL, pieces);
        ck_assert_int_eq(count("c"), 1);
    }
    for (size_t len = 1; len < 8; len++) {
        body.len = len;
        send_bulk(BULK, "application/x-invar", &body);
        api_refused(&api, 400, "invalid_request", NULL, "8 bytes needed");
    }
    inv_buf_release(&body);
}
END_TEST

START_TEST(frames_that_lie_about_their_size_are_refused) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "INVC----");
    send_bulk(BULK, "application/x-invar", &body);
    api_refused(&api, 400, "invalid_request", NULL, "INVB");
    inv_buf_reset(&body);
    inv_buf_puts(&body, "INVB");
    put_u32(&body, 9);
    send_bulk(BULK, "application/x-invar", &body);
    api_refused(&api, 400, "invalid_request", NULL, "version 9|version 1");
    static const struct {
        uint32_t rows, dim;
        char dtype;
        const char *pieces;
    } cases[] = {
        {0, 2, 1, "1 to 64|got 0"},
        {65, 2, 1, "1 to 64|got 65"},
        {1, 16385, 1, "1 to 16384|16385"},
        {UINT32_MAX, UINT32_MAX, 1, "4294967295"},
        {1, 2, 7, "1 (f32)|got 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        inv_buf_reset(&body);
        begin_frames(&body);
        begin_frame(&body, "a", cases[i].rows, cases[i].dim, cases[i].dtype);
        send_bulk(BULK, "application/x-invar", &body);
        api_refused(&api, 400, "invalid_request", NULL, cases[i].pieces);
    }
    ck_assert_int_eq(count("c"), 0);
    inv_buf_release(&body);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        good_lines_are_kept_and_bad_ones_listed_with_their_place,
        an_empty_stream_holds_nothing,
        the_last_of_two_lines_with_one_id_stays,
        a_stream_longer_than_a_body_may_be_is_taken,
        a_line_over_the_limit_ends_the_stream_and_says_what_is_stored,
        only_the_first_thousand_errors_are_listed,
        a_client_that_leaves_within_a_batch_changes_nothing,
        bulk_into_what_is_not_there_is_refused,
        frames_are_kept_and_bad_ones_listed,
        int8_frames_are_kept_as_they_were_sent,
        a_stream_that_ends_within_a_frame_is_refused_with_both_lengths,
        frames_that_lie_about_their_size_are_refused,
    };
    return api_run_tests("bulk over HTTP", tests, sizeof tests / sizeof *tests,
                         setup, teardown);
}
