/*
 * test_core.c: what everything else stands on: status texts, growable buffers,
 * arenas, bit sets and the shapes of stored vectors.
 */
#include "base/arena.h"
#include "base/bitset.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/vector.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(every_status_has_a_code_a_title_and_an_http_status) {
    for (int i = 0; i < INV_STATUS_COUNT; i++) {
        enum inv_status status = (enum inv_status)i;
        ck_assert_uint_gt(strlen(inv_status_code(status)), 0);
        ck_assert_uint_gt(strlen(inv_status_title(status)), 0);
        int http = inv_status_http(status);
        ck_assert(i == INV_OK ? http == 200 : http >= 400 && http <= 599);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(inv_status_code(status),
                             inv_status_code((enum inv_status)j));
    }
    ck_assert_str_eq(inv_status_code(INV_DIMENSION), "dimension_mismatch");
    ck_assert_int_eq(inv_status_http(INV_NO_SPACE), 507);
}
END_TEST

START_TEST(failing_fills_the_text_and_empties_the_pointer) {
    struct inv_err err = {.pointer = "/old"};
    ck_assert_int_eq(inv_fail(&err, INV_DIMENSION, "expected %d, got %d", 3, 4),
                     INV_DIMENSION);
    ck_assert_int_eq(err.status, INV_DIMENSION);
    ck_assert_str_eq(err.text, "expected 3, got 4");
    ck_assert_str_eq(err.pointer, "");
    inv_err_at(&err, "/documents/%d", 7);
    ck_assert_str_eq(err.pointer, "/documents/7");
    ck_assert_int_eq(inv_fail(NULL, INV_BUSY, "%s", "x"), INV_BUSY);
    ck_assert_int_eq(inv_fail_errno(NULL, EIO, "%s", "x"), INV_IO);
    inv_err_at(NULL, "/x");
}
END_TEST

START_TEST(an_error_can_be_wrapped_in_itself) {
    struct inv_err err;
    (void)inv_fail(&err, INV_IO, "inner");
    inv_err_at(&err, "/tokens");
    inv_err_at(&err, "/documents/3%s", err.pointer);
    ck_assert_str_eq(err.pointer, "/documents/3/tokens");
    (void)inv_fail(&err, INV_IO, "outer text: %s", err.text);
    ck_assert_str_eq(err.text, "outer text: inner");
    (void)inv_fail_errno(&err, ENOENT, "file of %s", err.text);
    ck_assert_str_eq(err.text,
                     "file of outer text: inner: No such file or directory");
}
END_TEST

START_TEST(long_error_texts_are_cut_not_overrun) {
    struct inv_err err;
    char text[1000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)inv_fail(&err, INV_INVALID, "%s", text);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    inv_err_at(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.pointer), sizeof err.pointer - 1);
    (void)inv_fail_errno(&err, EIO, "%s", text);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    /* room for a part of the reason only */
    (void)inv_fail_errno(&err, EIO, "%.310s", text);
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
}
END_TEST

START_TEST(errno_chooses_the_status) {
    ck_assert_int_eq(inv_fail_errno(NULL, ENOSPC, "x"), INV_NO_SPACE);
    ck_assert_int_eq(inv_fail_errno(NULL, EDQUOT, "x"), INV_NO_SPACE);
    ck_assert_int_eq(inv_fail_errno(NULL, ENOMEM, "x"), INV_MEMORY);
    ck_assert_int_eq(inv_fail_errno(NULL, EACCES, "x"), INV_IO);
}
END_TEST

START_TEST(buffer_keeps_bytes_and_ends_with_nul) {
    struct inv_buf buf = INV_BUF_INIT;
    size_t expected = 0;
    for (int i = 0; i < 1000; i++) {
        inv_buf_putc(&buf, 'a');
        inv_buf_puts(&buf, "bc");
        inv_buf_printf(&buf, "%04d", i);
        inv_buf_append(&buf, "\0e", 2);
        inv_buf_append(&buf, NULL, 0);
        expected += 9;
        ck_assert_uint_eq(buf.len, expected);
        ck_assert_int_eq(buf.data[buf.len], '\0');
        ck_assert_uint_gt(buf.cap, buf.len);
    }
    ck_assert(!buf.failed);
    for (size_t i = 0; i < 1000; i++) {
        char text[10];
        snprintf(text, sizeof text, "abc%04zu", i);
        ck_assert_mem_eq(buf.data + i * 9, text, 8);
        ck_assert_int_eq(buf.data[i * 9 + 8], 'e');
    }
    inv_buf_reset(&buf);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_str_eq(buf.data, "");
    inv_buf_release(&buf);
    ck_assert_ptr_null(buf.data);
    inv_buf_release(&buf);
}
END_TEST

START_TEST(reserved_buffer_is_an_empty_string) {
    for (size_t more = 0; more < 300; more += 43) {
        struct inv_buf buf = INV_BUF_INIT;
        ck_assert(inv_buf_reserve(&buf, more));
        ck_assert_uint_gt(buf.cap, more);
        ck_assert_int_eq(buf.data[0], '\0');
        inv_buf_release(&buf);
    }
}
END_TEST

START_TEST(failed_buffer_takes_no_more_until_reset) {
    struct inv_buf buf = INV_BUF_INIT;
    inv_buf_puts(&buf, "kept");
    ck_assert(!inv_buf_reserve(&buf, SIZE_MAX - 2));
    ck_assert(buf.failed);
    inv_buf_puts(&buf, "lost");
    inv_buf_putc(&buf, 'x');
    inv_buf_printf(&buf, "%d", 5);
    ck_assert(!inv_buf_reserve(&buf, 0));
    ck_assert_str_eq(buf.data, "kept");
    inv_buf_reset(&buf);
    inv_buf_puts(&buf, "again");
    ck_assert_str_eq(buf.data, "again");
    ck_assert(!buf.failed);
    inv_buf_release(&buf);
}
END_TEST

/* A file of `size` bytes 0, 1, 2 ... in a new temporary place. */
static void write_file(char *path, size_t size) {
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)i;
        ck_assert_int_eq(write(fd, &byte, 1), 1);
    }
    close(fd);
}

START_TEST(file_of_the_largest_size_is_read_and_one_byte_more_refused) {
    char path[] = "/tmp/invar-test-core-XXXXXX";
    struct inv_buf buf = INV_BUF_INIT;
    struct inv_err err = {.text = "untouched"};
    write_file(path, 300);
    ck_assert_int_eq(inv_buf_read_file(&buf, path, 300, &err), INV_OK);
    ck_assert_str_eq(err.text, "untouched");
    ck_assert_uint_eq(buf.len, 300);
    for (size_t i = 0; i < 300; i++)
        ck_assert_uint_eq((unsigned char)buf.data[i], i % 256);
    inv_buf_reset(&buf);
    ck_assert_int_eq(inv_buf_read_file(&buf, path, 299, &err), INV_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(err.text, "299"));
    inv_buf_release(&buf);
    unlink(path);
}
END_TEST

/* What the buffer already held once made the room wrap round to no limit. */
START_TEST(size_limit_of_a_file_does_not_count_what_was_there) {
    char path[] = "/tmp/invar-test-core-XXXXXX";
    struct inv_buf buf = INV_BUF_INIT;
    write_file(path, 50);
    for (int i = 0; i < 60; i++)
        inv_buf_putc(&buf, '-');
    ck_assert_int_eq(inv_buf_read_file(&buf, path, 49, NULL), INV_TOO_LARGE);
    ck_assert_int_eq(inv_buf_read_file(&buf, path, 50, NULL), INV_OK);
    ck_assert_uint_eq(buf.len, 110);
    inv_buf_release(&buf);
    unlink(path);
}
END_TEST

START_TEST(reading_into_a_failed_buffer_ends) {
    struct inv_buf buf = INV_BUF_INIT;
    struct inv_err err;
    ck_assert(!inv_buf_reserve(&buf, SIZE_MAX - 2));
    ck_assert_int_eq(inv_buf_read_file(&buf, "/dev/zero", SIZE_MAX, &err),
                     INV_MEMORY);
    inv_buf_release(&buf);
    ck_assert_int_eq(inv_buf_read_file(&buf, "/dev/zero", 1000, &err),
                     INV_TOO_LARGE);
    inv_buf_release(&buf);
}
END_TEST

START_TEST(missing_file_and_directory_are_errors) {
    struct inv_buf buf = INV_BUF_INIT;
    struct inv_err err;
    ck_assert_int_eq(inv_buf_read_file(&buf, "/no/such/file", 9, &err), INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/no/such/file"));
    ck_assert_int_eq(inv_buf_read_file(&buf, "/tmp", 9, &err), INV_IO);
    inv_buf_release(&buf);
}
END_TEST

START_TEST(arena_memory_is_aligned_and_disjoint) {
    struct inv_arena arena;
    enum { n = 500 };
    unsigned char *place[n];
    size_t size[n];
    inv_arena_init(&arena, (size_t)64 << 20);
    for (size_t i = 0; i < n; i++) {
        size[i] = i % 50 == 49 ? 100000 + i : i * 7 % 400;
        place[i] = inv_arena_alloc(&arena, size[i]);
        ck_assert_ptr_nonnull(place[i]);
        ck_assert_uint_eq((uintptr_t)place[i] % 64, 0);
        memset(place[i], (int)(i % 251), size[i]);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < size[i]; k++)
            ck_assert_uint_eq(place[i][k], i % 251);
    inv_arena_release(&arena);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert_ptr_nonnull(inv_arena_alloc(&arena, 1)); /* usable again */
    inv_arena_release(&arena);
}
END_TEST

START_TEST(arena_never_passes_its_cap) {
    static const size_t caps[] = {0, 100, 4096, 65536, 100000, 1 << 20};
    for (size_t c = 0; c < sizeof caps / sizeof *caps; c++) {
        struct inv_arena arena;
        size_t got = 0;
        inv_arena_init(&arena, caps[c]);
        while (inv_arena_alloc(&arena, 1000) != NULL) {
            got += 1000;
            ck_assert_uint_le(arena.used, caps[c]);
        }
        ck_assert_uint_le(got, caps[c]);
        if (caps[c] >= 4096) /* nearly all of the cap can be had */
            ck_assert_uint_ge(got + 4096, caps[c] / 100 * 95);
        ck_assert_ptr_null(inv_arena_alloc(&arena, caps[c] + 1));
        inv_arena_release(&arena);
    }
}
END_TEST

/* A large allocation does not end the use of a half-empty block. */
START_TEST(alternating_sizes_do_not_waste_the_cap) {
    struct inv_arena arena;
    inv_arena_init(&arena, (size_t)256 << 20);
    for (int i = 0; i < 500; i++) {
        ck_assert_ptr_nonnull(inv_arena_alloc(&arena, 64));
        ck_assert_ptr_nonnull(inv_arena_alloc(&arena, 70000));
    }
    ck_assert_uint_le(arena.used, (size_t)36 << 20); /* 35 MB were asked for */
    inv_arena_release(&arena);
}
END_TEST

START_TEST(arena_refuses_sizes_that_overflow) {
    struct inv_arena arena;
    inv_arena_init(&arena, SIZE_MAX);
    ck_assert_ptr_null(inv_arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(inv_arena_alloc(&arena, SIZE_MAX - 100));
    ck_assert_ptr_null(inv_arena_calloc(&arena, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(
        inv_arena_calloc(&arena, (size_t)1 << 33, (size_t)1 << 31));
    ck_assert_uint_eq(arena.used, 0);
    inv_arena_release(&arena);
}
END_TEST

START_TEST(arena_calloc_is_zero_and_strndup_copies) {
    struct inv_arena arena;
    inv_arena_init(&arena, 1 << 20);
    memset(inv_arena_alloc(&arena, 5000), 0xff, 5000);
    inv_arena_release(&arena);
    unsigned char *zeros = inv_arena_calloc(&arena, 50, 100);
    for (size_t i = 0; i < 5000; i++)
        ck_assert_uint_eq(zeros[i], 0);
    ck_assert_ptr_nonnull(inv_arena_calloc(&arena, 0, 8));
    ck_assert_ptr_nonnull(inv_arena_calloc(&arena, 8, 0));
    ck_assert_str_eq(inv_arena_strndup(&arena, "token", 3), "tok");
    ck_assert_str_eq(inv_arena_strndup(&arena, NULL, 0), "");
    inv_arena_release(&arena);
}
END_TEST

START_TEST(bit_sets_agree_with_an_array_of_flags) {
    for (size_t bits = 0; bits <= 200; bits++) {
        uint64_t set[4] = {0};
        bool flag[200] = {false};
        size_t count = 0;
        for (size_t i = 0; i < bits; i++) {
            flag[i] = i * i % 7 == 2 || i % 64 == 63;
            count += flag[i];
            inv_bitset_add(set, i);
            if (!flag[i])
                inv_bitset_remove(set, i);
        }
        ck_assert_uint_eq(inv_bitset_count(set, bits), count);
        for (size_t from = 0; from <= bits; from++) {
            size_t next = from;
            while (next < bits && !flag[next])
                next++;
            ck_assert_uint_eq(inv_bitset_next(set, bits, from), next);
            if (from < bits)
                ck_assert_int_eq(inv_bitset_has(set, from), flag[from]);
        }
    }
}
END_TEST

START_TEST(filled_bit_set_ends_at_its_last_bit) {
    for (size_t bits = 0; bits <= 200; bits++) {
        uint64_t set[5] = {0, 0, 0, 0, 0};
        inv_bitset_fill(set, bits);
        ck_assert_uint_eq(inv_bitset_count(set, 5 * 64), bits);
        ck_assert_uint_eq(inv_bitset_count(set, bits), bits);
        ck_assert_uint_eq(inv_bitset_words(bits), bits / 64 + (bits % 64 > 0));
        /* members beyond the size asked about do not count as next */
        ck_assert_uint_eq(inv_bitset_next(set, bits / 2, bits), bits / 2);
    }
}
END_TEST

START_TEST(element_types_have_names_and_sizes) {
    for (int i = INV_F32; i <= INV_I8; i++)
        ck_assert_int_eq(inv_dtype_parse(inv_dtype_name((enum inv_dtype)i)), i);
    ck_assert_int_eq(inv_dtype_parse("int8"), INV_I8);
    ck_assert_int_eq(inv_dtype_parse("f64"), 0);
    ck_assert_int_eq(inv_dtype_parse(""), 0);
    ck_assert_ptr_null(inv_dtype_name((enum inv_dtype)0));
    ck_assert_ptr_null(inv_dtype_name((enum inv_dtype)4));
    ck_assert_uint_eq(inv_codes_bytes(INV_F32, 3, 5), 60);
    ck_assert_uint_eq(inv_codes_bytes(INV_F16, 3, 5), 30);
    ck_assert_uint_eq(inv_codes_bytes(INV_I8, 3, 5), 16 + 6);
    ck_assert_uint_eq(inv_codes_bytes(INV_I8, 4, 5), 20 + 8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base: core");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, every_status_has_a_code_a_title_and_an_http_status);
    tcase_add_test(all, failing_fills_the_text_and_empties_the_pointer);
    tcase_add_test(all, an_error_can_be_wrapped_in_itself);
    tcase_add_test(all, long_error_texts_are_cut_not_overrun);
    tcase_add_test(all, errno_chooses_the_status);
    tcase_add_test(all, buffer_keeps_bytes_and_ends_with_nul);
    tcase_add_test(all, reserved_buffer_is_an_empty_string);
    tcase_add_test(all, failed_buffer_takes_no_more_until_reset);
    tcase_add_test(all,
                   file_of_the_largest_size_is_read_and_one_byte_more_refused);
    tcase_add_test(all, size_limit_of_a_file_does_not_count_what_was_there);
    tcase_add_test(all, reading_into_a_failed_buffer_ends);
    tcase_add_test(all, missing_file_and_directory_are_errors);
    tcase_add_test(all, arena_memory_is_aligned_and_disjoint);
    tcase_add_test(all, arena_never_passes_its_cap);
    tcase_add_test(all, alternating_sizes_do_not_waste_the_cap);
    tcase_add_test(all, arena_refuses_sizes_that_overflow);
    tcase_add_test(all, arena_calloc_is_zero_and_strndup_copies);
    tcase_add_test(all, bit_sets_agree_with_an_array_of_flags);
    tcase_add_test(all, filled_bit_set_ends_at_its_last_bit);
    tcase_add_test(all, element_types_have_names_and_sizes);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
