/*
 * test_npy.c: base/npy.h: headers as NumPy and others write them, and every
 * kind of file that must be refused.
 */
#include "base/npy.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct inv_err err;
static struct inv_npy_view view;

/* An aligned body of version `major` with this header text and `data` bytes of
 * 0, 1, 2, ...; parsed. */
static _Alignas(64) uint8_t body[1024];
static size_t body_len;

static enum inv_status parse(unsigned major, const char *header, size_t data) {
    size_t at = major == 1 ? 10 : 12;
    size_t len = strlen(header);
    memset(body, 0, sizeof body);
    memcpy(body, "\x93NUMPY", 6);
    body[6] = (uint8_t)major;
    body[8] = (uint8_t)len;
    body[9] = (uint8_t)(len >> 8);
    memcpy(body + at, header, len);
    for (size_t i = 0; i < data; i++)
        body[at + len + i] = (uint8_t)i;
    body_len = at + len + data;
    return inv_npy_parse(body, body_len, &view, &err);
}

/* Blanks to 118 characters, which aligns version 1 data to 128. */
static enum inv_status parse_padded(const char *header, size_t data) {
    char text[119];
    snprintf(text, sizeof text, "%-117s\n", header);
    return parse(1, text, data);
}

START_TEST(headers_of_every_version_are_read) {
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(2, 3), }";
    char text[119];
    for (unsigned major = 1; major <= 3; major++) {
        int width = major == 1 ? 117 : 115;
        snprintf(text, sizeof text, "%-*s\n", width, header);
        ck_assert_int_eq(parse(major, text, 24), INV_OK);
        ck_assert_int_eq(view.dtype, INV_NPY_F32);
        ck_assert_uint_eq(view.ndim, 2);
        ck_assert_uint_eq(view.shape[0], 2);
        ck_assert_uint_eq(view.shape[1], 3);
        ck_assert_uint_eq(view.count, 6);
        ck_assert_uint_eq(view.bytes, 24);
        ck_assert_ptr_eq(view.data, body + 128);
    }
}
END_TEST

START_TEST(every_dtype_has_its_size) {
    static const struct {
        const char *descr;
        enum inv_npy_dtype dtype;
        size_t size;
    } cases[] = {{"<f2", INV_NPY_F16, 2}, {"<f4", INV_NPY_F32, 4},
                 {"<f8", INV_NPY_F64, 8}, {"|i1", INV_NPY_I8, 1},
                 {"|u1", INV_NPY_U8, 1},  {"<i4", INV_NPY_I32, 4},
                 {"<i8", INV_NPY_I64, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[100];
        snprintf(header, sizeof header,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (5,), }",
                 cases[i].descr);
        ck_assert_int_eq(parse_padded(header, 5 * cases[i].size), INV_OK);
        ck_assert_int_eq(view.dtype, cases[i].dtype);
        ck_assert_uint_eq(view.bytes, 5 * cases[i].size);
        ck_assert_uint_eq(inv_npy_dtype_size(view.dtype), cases[i].size);
        ck_assert_str_eq(inv_npy_dtype_name(view.dtype), cases[i].descr + 1);
    }
}
END_TEST

START_TEST(other_spellings_of_the_header_are_read) {
    static const struct {
        const char *header;
        size_t ndim, count;
    } cases[] = {
        {"{\"shape\":(3,1),\"fortran_order\":False,\"descr\":\"|i1\"}", 2, 3},
        {"{'descr':'|i1','fortran_order':False,'shape':()}", 0, 1},
        {"{'descr':'|i1','fortran_order':False,'shape':(0,)}", 1, 0},
        {"{'descr':'|i1','fortran_order':False,'shape':(0, 96),}", 2, 0},
        /* one column is the same in both orders */
        {"{'descr':'|i1','fortran_order':True,'shape':(3,1),}", 2, 3},
        {"{'descr':'<i1','fortran_order':False,'shape':(1,2,1,2),}", 4, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(parse_padded(cases[i].header, cases[i].count) == INV_OK,
                      "%s: %s", cases[i].header, err.text);
        ck_assert_uint_eq(view.ndim, cases[i].ndim);
        ck_assert_uint_eq(view.count, cases[i].count);
    }
}
END_TEST

START_TEST(what_is_not_supported_says_so) {
    static const struct {
        const char *header;
        size_t data;
        const char *why;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4,
         ".npy: dtype '>f4' is big-endian; only little-endian is supported"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8,
         "dtype '<c8' is not supported (<f2 <f4 <f8 |i1 |u1 <i4 <i8 are)"},
        {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", 8,
         "dtype '' is not supported"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4,
         "structured arrays are not supported"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16,
         "Fortran order is not supported"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", 15,
         "truncated: expected 16 bytes of data, got 15"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", 17,
         "too long: expected 16 bytes of data, got 17"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1"
         ")}",
         4, "more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387"
         "904, 4)}",
         4, "more bytes than memory has"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387"
         "904,)}",
         4, "more bytes than memory has"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4,
         "'shape' holds something that is not a non-negative number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': "
         "(99999999999999999999,)}",
         4, "'shape' holds something that is not a non-negative number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 4}", 4,
         "'shape' is not a tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4", 4,
         "'shape' is not closed"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,)", 16,
         "is not closed"},
        {"{'descr': '<f4', 'fortran_order': False}", 4, "is missing"},
        {"{'fortran_order': False, 'shape': (4,)}", 4, "is missing"},
        {"{'descr': '<f4', 'shape': (4,)}", 4, "is missing"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (4,)}", 4,
         "'fortran_order' is not True or False"},
        {"{'descr': '<f4', 'order': 'C'}", 4, "unknown key 'order'"},
        {"{'descr", 0, "expected 'key': value"},
        {"[]", 0, "does not begin with '{'"},
        {"", 0, "does not begin with '{'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(parse_padded(cases[i].header, cases[i].data) ==
                          INV_INVALID,
                      "accepted: %s", cases[i].header);
        ck_assert_msg(strstr(err.text, cases[i].why) != NULL, "%s: %s",
                      cases[i].header, err.text);
    }
}
END_TEST

START_TEST(data_off_their_alignment_are_refused) {
    const char *header = "{'descr':'<f4','fortran_order':False,'shape':(1,)}";
    ck_assert_uint_eq(strlen(header), 50); /* data would begin at 60 */
    ck_assert_int_eq(parse(1, header, 4), INV_OK);
    ck_assert_int_eq(
        parse(1, "{'descr':'<f4','fortran_order':False,'shape':(1,)} ", 4),
        INV_INVALID);
    ck_assert_str_eq(err.text, ".npy: the data begin at byte 61, not a "
                               "multiple of the element's 4");
}
END_TEST

START_TEST(every_cut_and_every_changed_byte_is_refused_or_read_in_bounds) {
    ck_assert_int_eq(parse_padded("{'descr': '<f2', 'fortran_order': False, "
                                  "'shape': (3, 2), }",
                                  12),
                     INV_OK);
    size_t len = body_len;
    for (size_t cut = 0; cut < len; cut++) {
        /* in memory of its own, so that the sanitizer sees the end */
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, body, cut);
        ck_assert_int_eq(inv_npy_parse(copy, cut, &view, &err), INV_INVALID);
        free(copy);
    }
    for (size_t at = 0; at < 128; at++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(len);
            memcpy(copy, body, len);
            copy[at] ^= (uint8_t)(1 << bit);
            if (inv_npy_parse(copy, len, &view, &err) == INV_OK) {
                const uint8_t *data = view.data;
                ck_assert(data >= copy && data + view.bytes == copy + len);
            }
            free(copy);
        }
    }
}
END_TEST

START_TEST(other_versions_and_other_files_are_refused) {
    ck_assert_int_eq(parse(4, "{}", 0), INV_INVALID);
    ck_assert_str_eq(err.text, ".npy version 4.0 is not supported (1 to 3 "
                               "are)");
    ck_assert_int_eq(inv_npy_parse("PK\3\4 a zip file", 15, &view, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text,
                     "not an .npy array (15 bytes, without its magic number)");
    memcpy(body, "\x93NUMPY\2\0\xff\xff\xff\xff", 12);
    ck_assert_int_eq(inv_npy_parse(body, sizeof body, &view, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text,
                     ".npy: a header of 4294967295 bytes exceeds 65536");
}
END_TEST

START_TEST(what_is_written_is_read_back) {
    char path[] = "/tmp/invar-test-npy-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    static const float rows[3][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {-1, 0, .5f}};
    static const uint16_t halves[] = {0x3c00, 0xbc00, 0x7bff};
    const size_t shape[] = {3, 4};
    struct inv_npy npy;
    ck_assert_int_eq(inv_npy_write(path, INV_NPY_F32, rows, 2, shape, &err),
                     INV_OK);
    ck_assert_int_eq(inv_npy_open(path, &npy, &err), INV_OK);
    ck_assert_int_eq(inv_npy_expect(&npy.view, "x", INV_NPY_F32, 2, &err),
                     INV_OK);
    ck_assert_uint_eq(npy.view.shape[0], 3);
    ck_assert_uint_eq(npy.view.shape[1], 4);
    ck_assert_uint_eq((uintptr_t)npy.view.data % 64, 0);
    ck_assert_mem_eq(npy.view.data, rows, sizeof rows);
    inv_npy_close(&npy);
    inv_npy_close(&npy); /* does nothing */

    ck_assert_int_eq(inv_npy_write(path, INV_NPY_F16, halves, 1, shape, &err),
                     INV_OK);
    ck_assert_int_eq(inv_npy_open(path, &npy, &err), INV_OK);
    ck_assert_int_eq(inv_npy_expect(&npy.view, "x", INV_NPY_F32, 2, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.text, "x: expected f4 with 2 dimensions, got f2 with "
                               "1");
    ck_assert_mem_eq(npy.view.data, halves, sizeof halves);
    inv_npy_close(&npy);

    ck_assert_int_eq(truncate(path, 131), 0);
    ck_assert_int_eq(inv_npy_open(path, &npy, &err), INV_INVALID);
    ck_assert_ptr_null(npy.map);
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "expected 6 bytes of data, got 3"));
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(inv_npy_open(path, &npy, &err), INV_INVALID);
    unlink(path);
    ck_assert_int_eq(inv_npy_open(path, &npy, &err), INV_IO);
    ck_assert_int_eq(inv_npy_open("/tmp", &npy, &err), INV_IO);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_an_error) {
    const size_t shape[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    float one = 1;
    ck_assert_int_eq(
        inv_npy_write("/nowhere/at/all", INV_NPY_F32, &one, 1, shape, &err),
        INV_IO);
    ck_assert_int_eq(
        inv_npy_write("/dev/full", INV_NPY_F32, &one, 1, shape, &err),
        INV_NO_SPACE);
    ck_assert_int_eq(
        inv_npy_write("/dev/null", INV_NPY_F32, &one, 9, shape, &err),
        INV_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("npy");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, headers_of_every_version_are_read);
    tcase_add_test(tcase, every_dtype_has_its_size);
    tcase_add_test(tcase, other_spellings_of_the_header_are_read);
    tcase_add_test(tcase, what_is_not_supported_says_so);
    tcase_add_test(tcase, data_off_their_alignment_are_refused);
    tcase_add_test(
        tcase, every_cut_and_every_changed_byte_is_refused_or_read_in_bounds);
    tcase_add_test(tcase, other_versions_and_other_files_are_refused);
    tcase_add_test(tcase, what_is_written_is_read_back);
    tcase_add_test(tcase, a_file_that_cannot_be_written_is_an_error);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
