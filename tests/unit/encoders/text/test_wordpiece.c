/*
 * test_wordpiece.c: encoders/text/wordpiece.h against the ids that a correct
 * tokenizer gave for 326 texts, hard Unicode included, and by its contract.
 */
#include "encoders/text/wordpiece.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDS_MAX = 4096, UNKNOWN = 100 };

static struct inv_wordpiece *wordpiece;
static struct inv_err err;
static uint32_t ids[IDS_MAX];
static size_t count;

static void setup(void) {
    ck_assert_msg(
        inv_wordpiece_open("demo/models/vocab.txt", &wordpiece, &err) == INV_OK,
        "%s", err.text);
}

static void teardown(void) { inv_wordpiece_close(wordpiece); }

static enum inv_status encode(const char *text) {
    return inv_wordpiece_encode(wordpiece, text, strlen(text), ids, IDS_MAX,
                                &count, &err);
}

/* Both texts give the same ids, and some. */
static void same(const char *a, const char *b) {
    static uint32_t first[IDS_MAX];
    ck_assert_int_eq(encode(a), INV_OK);
    size_t first_count = count;
    memcpy(first, ids, count * sizeof *ids);
    ck_assert_int_eq(encode(b), INV_OK);
    ck_assert_msg(count == first_count && count > 0, "'%s': %zu, '%s': %zu", a,
                  first_count, b, count);
    ck_assert_mem_eq(ids, first, count * sizeof *ids);
}

START_TEST(every_golden_line_gives_its_ids) {
    FILE *file = fopen("tests/data/golden/tokens.golden.jsonl", "re");
    ck_assert_ptr_nonnull(file);
    char *line = NULL;
    size_t cap = 0, lines = 0;
    while (getline(&line, &cap, file) > 0) {
        lines++;
        json_t *root = json_loads(line, JSON_ALLOW_NUL, NULL);
        ck_assert_msg(root != NULL, "line %zu is not JSON", lines);
        const json_t *text = json_object_get(root, "text");
        const json_t *want = json_object_get(root, "ids");
        ck_assert_int_eq(inv_wordpiece_encode(wordpiece,
                                              json_string_value(text),
                                              json_string_length(text), ids,
                                              IDS_MAX, &count, &err),
                         INV_OK);
        ck_assert_msg(count == json_array_size(want),
                      "line %zu: %zu ids, not %zu: %s", lines, count,
                      json_array_size(want), json_string_value(text));
        for (size_t i = 0; i < count; i++)
            ck_assert_msg(
                ids[i] == (uint32_t)json_integer_value(json_array_get(want, i)),
                "line %zu, id %zu is %u: %s", lines, i, (unsigned)ids[i],
                json_string_value(text));
        json_decref(root);
    }
    free(line);
    fclose(file);
    ck_assert_uint_eq(lines, 326);
}
END_TEST

START_TEST(ids_beyond_the_maximum_are_cut_also_within_a_word) {
    const char *text = "one supercalifragilisticexpialidocious two";
    ck_assert_int_eq(encode(text), INV_OK);
    uint32_t whole[64];
    size_t all = count;
    ck_assert(all > 6 && all < 64);
    memcpy(whole, ids, all * sizeof *ids);
    for (size_t max = 0; max <= all + 1; max++) {
        memset(ids, 0xff, sizeof ids);
        ck_assert_int_eq(inv_wordpiece_encode(wordpiece, text, strlen(text),
                                              ids, max, &count, &err),
                         INV_OK);
        ck_assert_uint_eq(count, max < all ? max : all);
        ck_assert(memcmp(ids, whole, count * sizeof *ids) == 0);
        ck_assert_uint_eq(ids[count], UINT32_MAX);
    }
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused_naming_the_byte) {
    ck_assert_int_eq(encode("caf\xe9"), INV_INVALID);
    ck_assert_str_eq(err.text, "the text is not UTF-8 at byte 3");
    ck_assert_int_eq(encode("\xed\xa0\x80"), INV_INVALID);
    /* also behind the place where the ids are full */
    ck_assert_int_eq(
        inv_wordpiece_encode(wordpiece, "a b \xff", 5, ids, 1, &count, &err),
        INV_INVALID);
}
END_TEST

START_TEST(text_without_a_word_gives_no_ids) {
    static const char *const texts[] = {"", " \t\r\n", "\x01\x7f",
                                        "\xe2\x80\x8b\xef\xbb\xbf",
                                        "\xcc\x81 \xe3\x80\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        count = 99;
        ck_assert_int_eq(encode(texts[i]), INV_OK);
        ck_assert_uint_eq(count, 0);
    }
    ck_assert_int_eq(
        inv_wordpiece_encode(wordpiece, "\0\0", 2, ids, 1, &count, &err),
        INV_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(spellings_that_mean_the_same_give_the_same_ids) {
    same("Na\xc3\xafve CAF\xc3\x89", "nai\xcc\x88ve cafe\xcc\x81");
    same("soft\xc2\xadhyphen", "softhyphen");
    same("a\xe2\x80\xa8"
         "b\xe2\x80\xa9"
         "c\xc2\xa0"
         "d",
         "a b c d");
    same("x\xe4\xb8\xady", "x \xe4\xb8\xad y");
    /* a Greek question mark decomposes to a semicolon */
    same("a\xcd\xbe"
         "b",
         "a ; b");
    /* not-equal is an equals sign with an accent */
    same("a\xe2\x89\xa0"
         "b",
         "a = b");
    /* the Kelvin sign */
    same("\xe2\x84\xaa", "k");
    same("e-mail", "e - mail");
    same("[UNK]", "[ unk ]");
}
END_TEST

START_TEST(a_word_of_100_characters_is_split_and_one_of_101_is_unknown) {
    /* in characters, not bytes, and after the accents have gone */
    char text[512] = "";
    for (int i = 0; i < 100; i++)
        memcpy(text + i * 3, "e\xcc\x81", 4);
    ck_assert_int_eq(encode(text), INV_OK);
    ck_assert_uint_gt(count, 1);
    memcpy(text + 300, "e", 2);
    ck_assert_int_eq(encode(text), INV_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(ids[0], UNKNOWN);
    for (int i = 0; i < 100; i++)
        memcpy(text + i * 2, "\xcf\x80", 3);
    ck_assert_int_eq(encode(text), INV_OK);
    ck_assert_uint_eq(count, 100);
}
END_TEST

START_TEST(every_code_point_is_encoded_in_bounds) {
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char text[6] = "a";
        size_t len = 1;
        if (c < 0x80) {
            text[len++] = (char)c;
        } else if (c < 0x800) {
            text[len++] = (char)(0xc0 | c >> 6);
        } else if (c < 0x10000) {
            text[len++] = (char)(0xe0 | c >> 12);
            text[len++] = (char)(0x80 | (c >> 6 & 63));
        } else {
            text[len++] = (char)(0xf0 | c >> 18);
            text[len++] = (char)(0x80 | (c >> 12 & 63));
            text[len++] = (char)(0x80 | (c >> 6 & 63));
        }
        if (c >= 0x80)
            text[len++] = (char)(0x80 | (c & 63));
        ck_assert_int_eq(
            inv_wordpiece_encode(wordpiece, text, len, ids, 8, &count, &err),
            INV_OK);
        if (count < 1 || count > 4)
            ck_abort_msg("U+%04x: %zu ids", (unsigned)c, count);
    }
}
END_TEST

static enum inv_status open_text(const char *text) {
    char path[] = "/tmp/invar-test-vocab-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    size_t len = strlen(text);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
    struct inv_wordpiece *other = NULL;
    enum inv_status status = inv_wordpiece_open(path, &other, &err);
    if (status == INV_OK) {
        ck_assert_uint_eq(inv_wordpiece_size(other), 4);
        ck_assert_int_eq(inv_wordpiece_encode(other, "AB b \xc3\xa9z", 9, ids,
                                              IDS_MAX, &count, &err),
                         INV_OK);
        const uint32_t want[] = {2, 3, 0, 0};
        ck_assert_uint_eq(count, 4);
        ck_assert_mem_eq(ids, want, sizeof want);
        inv_wordpiece_close(other);
    }
    unlink(path);
    return status;
}

START_TEST(a_vocabulary_of_ones_own_works_and_a_damaged_one_is_refused) {
    ck_assert_int_eq(open_text("[UNK]\nc\na\n##b\n"), INV_OK);
    ck_assert_int_eq(open_text("[UNK]\r\nc\r\na\r\n##b"), INV_OK);
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "no entry [UNK] among 0"},
        {"a\nb\n", "no entry [UNK] among 2"},
        {"[UNK", "no entry [UNK] among 1"},
        {"[UNK]\na\nb\na\n", ":4: 'a' is also on line 2"},
        {"[UNK]\n\na\n", ":2: an empty entry"},
        {"[UNK]\na\xff\n", "not UTF-8 at byte 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(open_text(cases[i].text), INV_CORRUPT);
        ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "%s", err.text);
    }
    struct inv_wordpiece *other;
    ck_assert_int_eq(inv_wordpiece_open("/nowhere", &other, &err), INV_IO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("wordpiece");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_golden_line_gives_its_ids);
    tcase_add_test(tcase, ids_beyond_the_maximum_are_cut_also_within_a_word);
    tcase_add_test(tcase, text_that_is_not_utf8_is_refused_naming_the_byte);
    tcase_add_test(tcase, text_without_a_word_gives_no_ids);
    tcase_add_test(tcase, spellings_that_mean_the_same_give_the_same_ids);
    tcase_add_test(tcase,
                   a_word_of_100_characters_is_split_and_one_of_101_is_unknown);
    tcase_add_test(tcase, every_code_point_is_encoded_in_bounds);
    tcase_add_test(tcase,
                   a_vocabulary_of_ones_own_works_and_a_damaged_one_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
