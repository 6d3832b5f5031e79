/*
 * test_memory.c: every allocation of a parse fails once, and each time the
 * answer is "out of memory", never a wrong tree or a complaint about the text.
 * malloc is taken over by this program; under the sanitizers, which have taken
 * it over already, there is nothing to see.
 */
#include "server/json/json_internal.h"
#include "server/requests.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_FAIL 0
static long fail_at;
#else
#define CAN_FAIL 1
void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *realloc(void *old, size_t size);
static long fail_at; /* 0: never; 1: the next one */

static bool failing(void) { return fail_at > 0 && --fail_at == 0; }

void *malloc(size_t size) { return failing() ? NULL : __libc_malloc(size); }

void *realloc(void *old, size_t size) {
    return failing() ? NULL : __libc_realloc(old, size);
}
#endif

static const char body[] =
    "{\"documents\":[{\"id\":\"a rather long identifier of a document\","
    "\"vectors\":[[1.5,2,0.123456789012345678901234567890],[4,5,6]],"
    "\"payload\":"
    "{\"number\":1234567890123456789,\"real\":1234567890.0123456789,"
    "\"list\":[1,2,3,4,5,6,7,8,9,10,{},[]],\"a key of more than 16 bytes\":"
    "\"caf\\u00e9\",\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":7}},"
    "{\"id\":17,\"vector\":[1]}]}";

START_TEST(a_failed_allocation_is_out_of_memory_wherever_it_happens) {
    static const struct inv_json_limits limits = {64, 64};
    struct inv_buf want = INV_BUF_INIT;
    struct inv_buf got = INV_BUF_INIT;
    inv_buf_reserve(&got, 4096);
    long failures = 0;
    for (long n = 0;; n++) { /* 0: a first one that succeeds */
        struct inv_arena arena;
        struct inv_json_doc doc;
        struct inv_documents_in documents;
        struct inv_err err = {.status = INV_OK};
        inv_arena_init(&arena, (size_t)1 << 20);
        fail_at = n;
        enum inv_status status =
            inv_json_parse(&doc, &arena, body, sizeof body - 1, &limits, &err);
        if (status == INV_OK)
            status = inv_parse_documents(&doc, &limits, &documents, &err);
        bool failed = n > 0 && fail_at == 0;
        fail_at = 0;
        if (status == INV_OK) {
            ck_assert_uint_eq(documents.count, 2);
            inv_buf_reset(&got);
            inv_json_write(doc.root, n == 0 ? &want : &got);
            if (n > 0)
                ck_assert_str_eq(got.data, want.data);
        } else {
            ck_assert_msg(status == INV_MEMORY, "allocation %ld: %s", n,
                          err.text);
            failures++;
        }
        inv_json_close(&doc);
        inv_arena_release(&arena);
        if (n > 0 && !failed)
            break; /* there are no more than n - 1 */
    }
    inv_buf_release(&want);
    inv_buf_release(&got);
    if (CAN_FAIL)
        ck_assert_int_gt(failures, 50);
}
END_TEST

START_TEST(a_full_arena_is_out_of_memory_or_too_large) {
    static const struct inv_json_limits limits = {64, 64};
    bool read = false;
    for (size_t cap = 0; cap < (size_t)200 << 10; cap += 512) {
        struct inv_arena arena;
        struct inv_json_doc doc;
        struct inv_documents_in documents;
        inv_arena_init(&arena, cap);
        enum inv_status status =
            inv_json_parse(&doc, &arena, body, sizeof body - 1, &limits, NULL);
        if (status == INV_OK)
            status = inv_parse_documents(&doc, &limits, &documents, NULL);
        ck_assert(status == INV_OK || status == INV_MEMORY ||
                  status == INV_TOO_LARGE);
        read = status == INV_OK;
        inv_json_close(&doc);
        inv_arena_release(&arena);
    }
    ck_assert(read);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase,
                   a_failed_allocation_is_out_of_memory_wherever_it_happens);
    tcase_add_test(tcase, a_full_arena_is_out_of_memory_or_too_large);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
