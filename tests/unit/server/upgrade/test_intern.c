/*
 * test_intern.c: numbers for texts, against a plain list of them.
 */
#include "server/upgrade/intern.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS 5000

START_TEST(texts_are_numbered_in_the_order_they_come_and_found_again) {
    struct inv_intern table = {.count = 0};
    char(*texts)[16] = malloc(TEXTS * sizeof *texts);
    uint32_t number = 0;
    ck_assert_ptr_nonnull(texts);
    ck_assert_uint_eq(inv_intern_find(&table, "x", 1), INV_INTERN_NONE);
    for (size_t i = 0; i < TEXTS; i++) {
        snprintf(texts[i], sizeof texts[i], "id-%zu", i * 7919);
        ck_assert_int_eq(
            inv_intern_add(&table, texts[i], strlen(texts[i]), &number, NULL),
            INV_OK);
        ck_assert_uint_eq(number, i);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        ck_assert_uint_eq(inv_intern_find(&table, texts[i], strlen(texts[i])),
                          i);
        ck_assert_int_eq(
            inv_intern_add(&table, texts[i], strlen(texts[i]), &number, NULL),
            INV_OK);
        ck_assert_uint_eq(number, i);
    }
    ck_assert_uint_eq(table.count, TEXTS);
    ck_assert_uint_eq(inv_intern_find(&table, "id-1", 4), INV_INTERN_NONE);
    inv_intern_release(&table);
    free(texts);
}
END_TEST

START_TEST(texts_are_told_apart_by_length_and_by_every_byte) {
    static const struct {
        const char *text;
        size_t len;
    } texts[] = {{"", 0}, {"a", 1}, {"ab", 2}, {"a\0b", 3}, {"a\0c", 3}};
    struct inv_intern table = {.count = 0};
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_int_eq(
            inv_intern_add(&table, texts[i].text, texts[i].len, &number, NULL),
            INV_OK);
        ck_assert_uint_eq(number, i);
    }
    inv_intern_release(&table);
    ck_assert_uint_eq(inv_intern_find(&table, "a", 1), INV_INTERN_NONE);
}
END_TEST

START_TEST(a_kept_text_outlives_what_it_was_read_from) {
    struct inv_intern table = {.count = 0};
    struct inv_arena arena;
    char text[] = "ab";
    uint32_t number = 7;
    inv_arena_init(&arena, 1 << 16);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 2; i++) {
            text[1] = (char)('b' + i);
            ck_assert_int_eq(
                inv_intern_keep(&table, &arena, text, 2, &number, NULL),
                INV_OK);
            ck_assert_uint_eq(number, i);
        }
    memset(text, 'x', 2);
    ck_assert_uint_eq(inv_intern_find(&table, "ab", 2), 0);
    ck_assert_uint_eq(inv_intern_find(&table, "ac", 2), 1);
    ck_assert_uint_eq(table.count, 2);
    inv_intern_release(&table);
    inv_arena_release(&arena);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("intern");
    TCase *tcase = tcase_create("intern");
    tcase_add_test(tcase,
                   texts_are_numbered_in_the_order_they_come_and_found_again);
    tcase_add_test(tcase, texts_are_told_apart_by_length_and_by_every_byte);
    tcase_add_test(tcase, a_kept_text_outlives_what_it_was_read_from);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
