/*
 * test_frame.c: the framed binary stream, read from ever longer beginnings and
 * from bytes that lie about their lengths.
 */
#include "base/kernels.h"
#include "server/requests.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_json_limits limits = {.max_dim = 64, .max_rows = 16};
static struct inv_arena arena;
static struct inv_buf frame;
static struct inv_frame out;
static struct inv_err err;

static void begin(void) {
    inv_arena_init(&arena, (size_t)4 << 20);
    frame = (struct inv_buf)INV_BUF_INIT;
    memset(&err, 0, sizeof err);
}

static void end(void) {
    inv_arena_release(&arena);
    inv_buf_release(&frame);
}

static void put(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        inv_buf_putc(&frame, (char)(value >> (8 * i)));
}

static void put_head(const char *id, size_t id_len, uint32_t rows, uint32_t dim,
                     int dtype) {
    inv_buf_reset(&frame);
    put(id_len, 2);
    inv_buf_append(&frame, id, id_len);
    put(rows, 4);
    put(dim, 4);
    put((uint64_t)dtype, 1);
}

static void put_payload(const char *payload) {
    put(strlen(payload), 4);
    inv_buf_puts(&frame, payload);
}

/* Feeds the frame byte by byte, as a socket might, at an odd address. */
static enum inv_status read_frame(void) {
    char *bytes = malloc(frame.len + 1);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes + 1, frame.data, frame.len);
    enum inv_status status = INV_OK;
    size_t need = 0;
    for (size_t len = 0; len <= frame.len && status == INV_OK; len++) {
        status = inv_frame_need(bytes + 1, len, &limits, &need, &err);
        if (status == INV_OK && need <= len)
            break;
        if (status == INV_OK)
            ck_assert_uint_le(need, frame.len);
    }
    if (status == INV_OK) {
        ck_assert_uint_eq(need, frame.len);
        status = inv_frame_parse(bytes + 1, need, &arena, &out, &err);
        if (status == INV_OK && out.payload != NULL) {
            size_t at = frame.len - out.payload_len; /* the copy goes away */
            ck_assert_ptr_eq(out.payload, bytes + 1 + at);
            out.payload = frame.data + at;
        }
    }
    free(bytes);
    return status;
}

START_TEST(a_frame_of_every_dtype_is_read_from_any_address) {
    static const float x[6] = {1, -2.5f, 0.125f, 3, 0, -7};
    uint16_t half[6];
    int8_t small[6];
    uint16_t scales[2];
    float wide[6];
    put_head("doc", 3, 2, 3, INV_F32);
    inv_buf_append(&frame, x, sizeof x);
    put_payload("{\"a\":1}");
    ck_assert_msg(read_frame() == INV_OK, "%s", err.text);
    ck_assert_str_eq(out.id, "doc");
    ck_assert_uint_eq(out.id_len, 3);
    ck_assert_uint_eq(out.given.matrix.rows, 2);
    ck_assert_uint_eq(out.given.matrix.dim, 3);
    ck_assert_mem_eq(out.given.matrix.data, x, sizeof x);
    ck_assert_uint_eq(out.payload_len, 7);
    ck_assert_mem_eq(out.payload, "{\"a\":1}", 7);
    ck_assert(out.given.plural);

    inv_f16_from_f32(x, half, 6);
    put_head("d", 1, 1, 6, INV_F16);
    inv_buf_append(&frame, half, sizeof half);
    put_payload("");
    ck_assert_int_eq(read_frame(), INV_OK);
    ck_assert_ptr_null(out.payload);
    ck_assert_uint_eq((uintptr_t)out.given.codes.data % 2, 0);
    ck_assert_mem_eq(out.given.codes.data, half, sizeof half);
    ck_assert_mem_eq(out.given.matrix.data, x, sizeof x);
    ck_assert(!out.given.plural);

    for (size_t r = 0; r < 2; r++) {
        inv_i8_from_f32(x + 3 * r, small + 3 * r, &scales[r], 3);
        inv_f32_from_i8(small + 3 * r, scales[r], wide + 3 * r, 3);
    }
    put_head("doc", 3, 2, 3, INV_I8);
    inv_buf_append(&frame, scales, sizeof scales);
    inv_buf_append(&frame, small, sizeof small);
    put_payload("");
    ck_assert_int_eq(read_frame(), INV_OK);
    ck_assert_mem_eq(out.given.codes.scales, scales, sizeof scales);
    ck_assert_mem_eq(out.given.codes.data, small, sizeof small);
    ck_assert_mem_eq(out.given.matrix.data, wide, sizeof wide);
}
END_TEST

static void check_bad(enum inv_status status, const char *first,
                      const char *second) {
    ck_assert_int_eq(read_frame(), status);
    ck_assert_msg(strstr(err.text, first) && strstr(err.text, second), "%s",
                  err.text);
}

START_TEST(lengths_beyond_the_limits_are_refused_before_the_data_comes) {
    char id[600] = {0};
    memset(id, 'a', sizeof id);
    put_head("", 0, 1, 1, INV_F32);
    check_bad(INV_INVALID, "512", "got 0");
    put_head(id, 513, 1, 1, INV_F32);
    check_bad(INV_INVALID, "512", "got 513");
    put_head("a", 1, 0, 1, INV_F32);
    check_bad(INV_INVALID, "16 vectors", "got 0");
    put_head("a", 1, 17, 1, INV_F32);
    check_bad(INV_INVALID, "16 vectors", "got 17");
    put_head("a", 1, 1, 0, INV_F32);
    check_bad(INV_INVALID, "64", "got 0");
    put_head("a", 1, 1, 65, INV_F32);
    check_bad(INV_INVALID, "64", "got 65");
    put_head("a", 1, UINT32_MAX, UINT32_MAX, INV_F32);
    check_bad(INV_INVALID, "16 vectors", "got 4294967295");
    put_head("a", 1, 1, 1, 4);
    check_bad(INV_INVALID, "i8", "got 4");
    put_head("a", 1, 1, 1, 0);
    check_bad(INV_INVALID, "f32", "got 0");
    put_head("a", 1, 1, 1, INV_F32);
    put(0, 4);
    put(INV_PAYLOAD_MAX + 1, 4);
    check_bad(INV_INVALID, "1048576", "1048577");
    put_head("\xff"
             "a",
             2, 1, 1, INV_F32);
    put(0, 4);
    put(0, 4);
    check_bad(INV_INVALID, "UTF-8", "byte 0");
    put_head("a\0b", 3, 1, 1, INV_F32);
    put(0, 4);
    put(0, 4);
    check_bad(INV_INVALID, "NUL", "");
}
END_TEST

START_TEST(numbers_that_are_none_are_refused_with_their_place) {
    float x[4] = {1, 2, NAN, 4};
    put_head("a", 1, 2, 2, INV_F32);
    inv_buf_append(&frame, x, sizeof x);
    put_payload("");
    check_bad(INV_NOT_FINITE, "number 0 of vector 1", "nan");
    x[2] = 1;
    x[3] = -2e15f;
    put_head("a", 1, 2, 2, INV_F32);
    inv_buf_append(&frame, x, sizeof x);
    put_payload("");
    check_bad(INV_NOT_FINITE, "number 1 of vector 1", "-2e+15");
    put_head("a", 1, 1, 1, INV_F16);
    put(0x7c00, 2); /* infinity */
    put_payload("");
    check_bad(INV_NOT_FINITE, "number 0", "inf");
    put_head("a", 1, 1, 1, INV_I8);
    put(0x7e00, 2); /* a scale that is no number */
    put(3, 1);
    put_payload("");
    check_bad(INV_NOT_FINITE, "number 0", "nan");
}
END_TEST

START_TEST(a_frame_of_another_length_than_it_says_is_refused) {
    put_head("a", 1, 1, 1, INV_F32);
    put(0, 4);
    put_payload("{}");
    for (size_t len = 0; len < frame.len; len++)
        ck_assert_int_eq(inv_frame_parse(frame.data, len, &arena, &out, &err),
                         INV_INVALID);
    ck_assert_int_eq(inv_frame_parse(frame.data, frame.len, &arena, &out, &err),
                     INV_OK);
    inv_buf_putc(&frame, 'x');
    ck_assert_int_eq(inv_frame_parse(frame.data, frame.len, &arena, &out, &err),
                     INV_INVALID);
}
END_TEST

START_TEST(a_stream_opens_with_its_name_and_version) {
    ck_assert_int_eq(inv_frame_magic("INVB\1\0\0\0", &err), INV_OK);
    ck_assert_int_eq(inv_frame_magic("INVB\2\0\0\0", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "version 2"));
    ck_assert_int_eq(inv_frame_magic("INVB\1\0\0\1", &err), INV_INVALID);
    ck_assert_int_eq(inv_frame_magic("INVC\1\0\0\0", &err), INV_INVALID);
}
END_TEST

START_TEST(a_full_arena_is_out_of_memory) {
    static const float x[64] = {0};
    put_head("a", 1, 16, 64, INV_F32);
    for (int i = 0; i < 16; i++)
        inv_buf_append(&frame, x, sizeof x);
    put_payload("");
    inv_arena_release(&arena);
    inv_arena_init(&arena, 0);
    ck_assert_int_eq(inv_frame_parse(frame.data, frame.len, &arena, &out, &err),
                     INV_MEMORY);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("frame");
    TCase *tcase = tcase_create("frame");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_frame_of_every_dtype_is_read_from_any_address);
    tcase_add_test(tcase,
                   lengths_beyond_the_limits_are_refused_before_the_data_comes);
    tcase_add_test(tcase, numbers_that_are_none_are_refused_with_their_place);
    tcase_add_test(tcase, a_frame_of_another_length_than_it_says_is_refused);
    tcase_add_test(tcase, a_stream_opens_with_its_name_and_version);
    tcase_add_test(tcase, a_full_arena_is_out_of_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
