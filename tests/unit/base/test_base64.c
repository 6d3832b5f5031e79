/*
 * test_base64.c: base/base64.h against the RFC's vectors and bit by bit.
 */
#include "base/base64.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

static const struct {
    const char *plain;
    const char *text;
} rfc[] = {{"", ""},
           {"f", "Zg=="},
           {"fo", "Zm8="},
           {"foo", "Zm9v"},
           {"foob", "Zm9vYg=="},
           {"fooba", "Zm9vYmE="},
           {"foobar", "Zm9vYmFy"}};

START_TEST(the_vectors_of_the_rfc_encode_and_decode) {
    for (size_t i = 0; i < sizeof rfc / sizeof rfc[0]; i++) {
        struct inv_buf buf = INV_BUF_INIT;
        inv_buf_puts(&buf, ">");
        inv_base64_encode(&buf, rfc[i].plain, strlen(rfc[i].plain));
        ck_assert(!buf.failed);
        ck_assert_str_eq(buf.data + 1, rfc[i].text);
        ck_assert_uint_eq(buf.len, strlen(rfc[i].text) + 1);
        inv_buf_release(&buf);

        char out[8] = "???????";
        size_t len = strlen(rfc[i].text), size = 99;
        ck_assert_uint_eq(inv_base64_size(rfc[i].text, len),
                          strlen(rfc[i].plain));
        ck_assert_int_eq(inv_base64_decode(rfc[i].text, len, out,
                                           strlen(rfc[i].plain), &size, NULL),
                         INV_OK);
        ck_assert_uint_eq(size, strlen(rfc[i].plain));
        ck_assert_mem_eq(out, rfc[i].plain, size);
        ck_assert_int_eq(out[size], '?'); /* nothing behind what was asked */
    }
}
END_TEST

START_TEST(random_bytes_of_every_length_come_back_and_match_bit_by_bit) {
    uint8_t bytes[300], back[300];
    uint32_t state = 7;
    for (size_t len = 0; len < sizeof bytes; len++) {
        for (size_t i = 0; i < len; i++) {
            state = state * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(state >> 24);
        }
        struct inv_buf buf = INV_BUF_INIT;
        inv_base64_encode(&buf, bytes, len);
        ck_assert_uint_eq(buf.len, (len + 2) / 3 * 4);
        for (size_t bit = 0; bit < len * 8; bit++) {
            const char *c = strchr(alphabet, buf.data[bit / 6]);
            if (c == NULL || ((c - alphabet) >> (5 - bit % 6) & 1) !=
                                 (bytes[bit / 8] >> (7 - bit % 8) & 1))
                ck_abort_msg("bit %zu of %zu bytes", bit, len);
        }
        size_t size = 0;
        ck_assert_int_eq(inv_base64_decode(len > 0 ? buf.data : "", buf.len,
                                           back, sizeof back, &size, NULL),
                         INV_OK);
        ck_assert_uint_eq(size, len);
        ck_assert(memcmp(back, bytes, len) == 0);
        inv_buf_release(&buf);
    }
}
END_TEST

START_TEST(every_wrong_byte_is_named_with_its_position) {
    char text[33];
    uint8_t out[24];
    for (int c = 0; c < 256; c++) {
        if (c != 0 && strchr(alphabet, c) != NULL)
            continue;
        for (size_t at = 0; at < 32; at++) {
            memcpy(text, "AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH", sizeof text);
            text[at] = (char)c;
            struct inv_err err;
            size_t size = 77;
            enum inv_status status =
                inv_base64_decode(text, 32, out, sizeof out, &size, &err);
            if (c == '=' && at == 31) { /* padding, but H has other bits */
                ck_assert_int_eq(status, INV_INVALID);
                ck_assert_ptr_nonnull(strstr(err.text, "position 30 carries"));
                continue;
            }
            ck_assert_int_eq(status, INV_INVALID);
            ck_assert_uint_eq(size, 77);
            char position[32];
            snprintf(position, sizeof position, "position %zu", at);
            const char *found = strstr(err.text, position);
            ck_assert_msg(found != NULL, "%s: %s", position, err.text);
            ck_assert(found[strlen(position)] < '0' ||
                      found[strlen(position)] > '9');
        }
    }
}
END_TEST

START_TEST(wrong_padding_is_refused) {
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"Zg=", "3 characters"},        {"Zg", "2 characters"},
        {"Z", "1 characters"},          {"Z===", "position 1"},
        {"====", "position 0"},         {"Zg==Zg==", "position 2"},
        {"Zm9=Zm9v", "position 3"},     {"Zh==", "position 1 carries"},
        {"Zm9=", "position 2 carries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[16];
        size_t size;
        struct inv_err err;
        ck_assert_int_eq(inv_base64_decode(cases[i].text, strlen(cases[i].text),
                                           out, sizeof out, &size, &err),
                         INV_INVALID);
        ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "%s: %s",
                      cases[i].text, err.text);
    }
}
END_TEST

START_TEST(a_small_buffer_is_refused_with_both_numbers) {
    uint8_t out[4];
    size_t size;
    struct inv_err err;
    ck_assert_int_eq(
        inv_base64_decode("Zm9vYmE=", 8, out, sizeof out, &size, &err),
        INV_TOO_LARGE);
    ck_assert_str_eq(err.text, "base64: 5 bytes do not fit into 4");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base64");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, the_vectors_of_the_rfc_encode_and_decode);
    tcase_add_test(tcase,
                   random_bytes_of_every_length_come_back_and_match_bit_by_bit);
    tcase_add_test(tcase, every_wrong_byte_is_named_with_its_position);
    tcase_add_test(tcase, wrong_padding_is_refused);
    tcase_add_test(tcase, a_small_buffer_is_refused_with_both_numbers);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
