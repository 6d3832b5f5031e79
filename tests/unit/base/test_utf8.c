/*
 * test_utf8.c: base/utf8.h against an oracle that decodes by the definition.
 */
#include "base/utf8.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(uint8_t first) {
    if (first < 0x80)
        return 1;
    if ((first & 0xe0) == 0xc0)
        return 2;
    if ((first & 0xf0) == 0xe0)
        return 3;
    return (first & 0xf8) == 0xf0 ? 4 : 0;
}

/* By the book: read the bits, then ask whether that was the shortest form of
 * a scalar value. Bytes of the character, 0 when it is not one. */
static size_t decode(const uint8_t *p, size_t len) {
    size_t size = size_of(p[0]);
    if (size == 0 || size > len)
        return 0;
    uint32_t c = size == 1 ? p[0] : (uint32_t)p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (size != shortest || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return size;
}

static bool oracle(const uint8_t *p, size_t len, size_t *bad_at) {
    for (size_t at = 0; at < len;) {
        size_t size = decode(p + at, len - at);
        if (size == 0) {
            *bad_at = at;
            return false;
        }
        at += size;
    }
    return true;
}

static void agree(const uint8_t *p, size_t len) {
    size_t want = SIZE_MAX, got = SIZE_MAX;
    bool valid = oracle(p, len, &want);
    ck_assert_int_eq(inv_utf8_valid((const char *)p, len, &got), valid);
    ck_assert_uint_eq(got, want);
}

START_TEST(every_sequence_of_three_bytes_agrees_with_the_definition) {
    for (uint32_t i = 0; i < 1u << 24; i++) {
        uint8_t p[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        size_t want = SIZE_MAX, got = SIZE_MAX;
        bool valid = oracle(p, 3, &want);
        if (inv_utf8_valid((const char *)p, 3, &got) != valid || got != want)
            ck_abort_msg("%06x: %zu, not %zu", (unsigned)i, got, want);
    }
}
END_TEST

START_TEST(four_byte_sequences_agree_with_the_definition) {
    for (uint32_t lead = 0xee; lead <= 0xff; lead++) {
        for (uint32_t second = 0; second < 256; second++) {
            uint8_t p[4] = {(uint8_t)lead, (uint8_t)second, 0x80, 0xbf};
            agree(p, 4);
            p[3] = 0xc0;
            agree(p, 4);
            p[2] = 0x7f;
            agree(p, 4);
            agree(p, 2);
        }
    }
}
END_TEST

START_TEST(the_bad_byte_is_named_at_every_offset_of_a_long_text) {
    static const char *const bad[] = {
        "\x80",         "\xc3",     "\xc0\xaf",     "\xed\xa0\x80",
        "\xf4\x90\x80", "\xe2\x82", "\xf0\x80\x80", "\xff"};
    char text[80];
    for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
        for (size_t at = 0; at < 70; at++) {
            memset(text, 'a', sizeof text);
            if (at >= 2)
                memcpy(text + at - 2, "\xc3\xa9", 2);
            memcpy(text + at, bad[b], strlen(bad[b]));
            size_t got = SIZE_MAX;
            ck_assert(!inv_utf8_valid(text, sizeof text, &got));
            ck_assert_uint_eq(got, at);
        }
    }
}
END_TEST

START_TEST(a_cut_character_is_bad_at_its_first_byte) {
    const char text[] = "na\xc3\xafve \xf0\x9f\x98\x80";
    size_t len = sizeof text - 1;
    ck_assert(inv_utf8_valid(text, len, NULL));
    for (size_t cut = 1; cut < 4; cut++) {
        size_t got = SIZE_MAX;
        ck_assert(!inv_utf8_valid(text, len - cut, &got));
        ck_assert_uint_eq(got, len - 4);
    }
    ck_assert(inv_utf8_valid(text, len - 4, NULL));
}
END_TEST

START_TEST(the_empty_text_and_nul_are_valid) {
    ck_assert(inv_utf8_valid("", 0, NULL));
    ck_assert(inv_utf8_valid("a\0b", 3, NULL));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("utf8");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase,
                   every_sequence_of_three_bytes_agrees_with_the_definition);
    tcase_add_test(tcase, four_byte_sequences_agree_with_the_definition);
    tcase_add_test(tcase, the_bad_byte_is_named_at_every_offset_of_a_long_text);
    tcase_add_test(tcase, a_cut_character_is_bad_at_its_first_byte);
    tcase_add_test(tcase, the_empty_text_and_nul_are_valid);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
