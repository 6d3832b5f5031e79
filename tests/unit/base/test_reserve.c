/*
 * test_reserve.c: reserved address space against calloc'ed memory.
 */
#include "base/reserve.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(reserved_memory_is_zero_and_keeps_what_is_written) {
    size_t bytes = 300001;
    unsigned char *wanted = calloc(1, bytes);
    unsigned char *memory = inv_reserve(bytes);
    ck_assert(wanted != NULL && memory != NULL);
    ck_assert_mem_eq(memory, wanted, bytes);
    for (size_t i = 0; i < bytes; i += 997)
        memory[i] = wanted[i] = (unsigned char)(i % 251);
    ck_assert_mem_eq(memory, wanted, bytes);
    inv_unreserve(memory, bytes);
    free(wanted);
}
END_TEST

START_TEST(more_than_there_can_be_is_null) {
    ck_assert_ptr_null(inv_reserve(SIZE_MAX / 2));
    inv_unreserve(NULL, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reserve");
    TCase *tcase = tcase_create("reserve");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, reserved_memory_is_zero_and_keeps_what_is_written);
    tcase_add_test(tcase, more_than_there_can_be_is_null);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
