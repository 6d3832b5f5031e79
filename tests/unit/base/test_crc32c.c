/*
 * test_crc32c.c: known answers, the two implementations against each other at
 * every length and alignment, and chaining.
 */
#include "base/crc32c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    uint32_t crc;
} known[] = {
    {"", 0x00000000},
    {"a", 0xc1d04330},
    {"abc", 0x364b3fb7},
    {"123456789", 0xe3069283},
};

START_TEST(known_texts_have_their_published_checksums) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i].text);
        ck_assert_uint_eq(inv_crc32c(0, known[i].text, len), known[i].crc);
        ck_assert_uint_eq(inv_crc32c_table(0, known[i].text, len),
                          known[i].crc);
    }
}
END_TEST

/* RFC 3720, appendix B.4 */
START_TEST(iscsi_test_blocks_have_their_published_checksums) {
    unsigned char block[32];
    memset(block, 0, sizeof block);
    ck_assert_uint_eq(inv_crc32c(0, block, 32), 0x8a9136aa);
    memset(block, 0xff, sizeof block);
    ck_assert_uint_eq(inv_crc32c(0, block, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        block[i] = (unsigned char)i;
    ck_assert_uint_eq(inv_crc32c(0, block, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        block[i] = (unsigned char)(31 - i);
    ck_assert_uint_eq(inv_crc32c(0, block, 32), 0x113fdb5c);
}
END_TEST

static void fill(unsigned char *bytes, size_t len) {
    uint32_t x = 12345;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(x >> 24);
    }
}

START_TEST(instruction_and_table_agree_at_every_length_and_alignment) {
    unsigned char bytes[128];
    fill(bytes, sizeof bytes);
    for (size_t from = 0; from < 16; from++)
        for (size_t len = 0; from + len <= sizeof bytes; len++)
            ck_assert_uint_eq(inv_crc32c(7, bytes + from, len),
                              inv_crc32c_table(7, bytes + from, len));
}
END_TEST

START_TEST(pieces_chain_to_the_checksum_of_the_whole) {
    unsigned char bytes[300];
    fill(bytes, sizeof bytes);
    uint32_t whole = inv_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t crc = inv_crc32c(0, bytes, cut);
        crc = inv_crc32c(crc, bytes + cut, sizeof bytes - cut);
        ck_assert_uint_eq(crc, whole);
    }
}
END_TEST

START_TEST(one_flipped_bit_changes_the_checksum) {
    unsigned char bytes[64];
    fill(bytes, sizeof bytes);
    uint32_t whole = inv_crc32c(0, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        ck_assert_uint_ne(inv_crc32c(0, bytes, sizeof bytes), whole);
        bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("crc32c");
    TCase *tc = tcase_create("crc32c");
    tcase_add_test(tc, known_texts_have_their_published_checksums);
    tcase_add_test(tc, iscsi_test_blocks_have_their_published_checksums);
    tcase_add_test(tc,
                   instruction_and_table_agree_at_every_length_and_alignment);
    tcase_add_test(tc, pieces_chain_to_the_checksum_of_the_whole);
    tcase_add_test(tc, one_flipped_bit_changes_the_checksum);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
