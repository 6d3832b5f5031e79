/*
 * test_adapter_file.c: server/json/adapter_file.h and encoders/adapters/npz.h:
 * adapters as bytes that others read, read back, and no trust in bytes.
 */
#include "server/json/adapter_file.h"

#include "base/kernels.h"
#include "server/json/json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ROWS 2
#define COLS 3
#define FOLD 4

static const float matrix[ROWS * COLS] = {1, 2, 3, 4, 5, 6};
static const float bias[ROWS] = {-1, .5f};
static const float s_new[FOLD * COLS] = {.1f, .2f, .3f, .4f, .5f,  .6f,
                                         .7f, .8f, .9f, 1,   1.1f, 1.2f};
static const float s_new_bias[FOLD] = {.5f, -.5f, .25f, -.25f};
static const float s_old[FOLD * ROWS] = {1, 0, 0, 1, .5f, .5f, -1, 1};

static struct inv_adapter *make(bool folded) {
    struct inv_adapter *adapter = NULL;
    struct inv_err err = {.text = ""};
    struct inv_adapter_parts parts = {.kind = folded ? INV_ADAPTER_SIMPLEX
                                                     : INV_ADAPTER_RIDGE,
                                      .direction = INV_ADAPTER_BACKWARD,
                                      .from = "l6 \"x\"",
                                      .to = "l3",
                                      .rows = ROWS,
                                      .cols = COLS,
                                      .matrix = matrix,
                                      .bias = bias,
                                      .normalise = true};
    if (folded)
        parts.fold = (struct inv_adapter_fold){.dim = FOLD,
                                               .s_new = s_new,
                                               .s_new_bias = s_new_bias,
                                               .s_old = s_old,
                                               .beta = .15f};
    ck_assert_msg(inv_adapter_new(&parts, &adapter, &err) == INV_OK, "%s",
                  err.text);
    return adapter;
}

static struct inv_buf bytes_of(bool folded, enum inv_adapter_format format) {
    struct inv_adapter *adapter = make(folded);
    struct inv_buf out = INV_BUF_INIT;
    struct inv_err err = {.text = ""};
    ck_assert_msg(
        inv_adapter_write(adapter, format, "{\"r\":1.5}", &out, &err) == INV_OK,
        "%s", err.text);
    inv_adapter_free(adapter);
    return out;
}

static uint32_t u32_at(const char *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x); /* the machine is little-endian, as ZIP is */
    return x;
}

/* ---- what is written ---- */

START_TEST(an_npz_holds_members_that_parse_as_arrays) {
    static const char *const names[] = {"matrix.npy", "bias.npy",
                                        "adapter.json"};
    static const float *const arrays[] = {matrix, bias};
    struct inv_buf bytes = bytes_of(false, INV_ADAPTER_NPZ);
    const char *p = bytes.data;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(u32_at(p), 0x04034b50);
        size_t size = u32_at(p + 18);
        ck_assert_uint_eq(size, u32_at(p + 22));
        ck_assert_mem_eq(p + 30, names[i], strlen(names[i]));
        const char *data = p + 30 + strlen(names[i]);
        uLong crc = crc32(0, (const Bytef *)data, (uInt)size);
        ck_assert_uint_eq(u32_at(p + 14), crc);
        if (i < 2) {
            struct inv_npy_view view;
            struct inv_err err;
            char *copy = malloc(size); /* aligned */
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, data, size);
            ck_assert_msg(inv_npy_parse(copy, size, &view, &err) == INV_OK,
                          "%s", err.text);
            ck_assert_uint_eq(view.ndim, 2 - i);
            ck_assert_mem_eq(view.data, arrays[i], view.bytes);
            free(copy);
        } else {
            ck_assert_mem_eq(data + size - 19, "\"report\":{\"r\":1.5}}", 19);
        }
        p = data + size;
    }
    ck_assert_uint_eq(u32_at(p), 0x02014b50);
    const char *end = bytes.data + bytes.len - 22;
    ck_assert_uint_eq(u32_at(end), 0x06054b50);
    ck_assert_uint_eq(u32_at(end + 16), (uint32_t)(p - bytes.data));
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(a_safetensors_file_has_header_then_floats) {
    struct inv_buf bytes = bytes_of(false, INV_ADAPTER_SAFETENSORS);
    uint64_t header;
    size_t len;
    memcpy(&header, bytes.data, sizeof header);
    ck_assert_uint_eq(header % 8, 0);
    ck_assert_uint_eq(bytes.len, 8 + header + sizeof matrix + sizeof bias);
    const char *data = bytes.data + 8 + header;
    ck_assert_mem_eq(data, matrix, sizeof matrix);
    ck_assert_mem_eq(data + sizeof matrix, bias, sizeof bias);
    inv_json *tree = NULL;
    struct inv_err err;
    ck_assert_msg(inv_json_parse_plain(bytes.data + 8, header, &tree, &err) ==
                      INV_OK,
                  "%s", err.text);
    const char *about = inv_json_string(
        inv_json_get(inv_json_get(tree, "__metadata__"), "adapter"), &len);
    ck_assert_ptr_nonnull(strstr(about, "\"from\":\"l6 \\\"x\\\"\""));
    inv_json_free(tree);
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(an_adapter_comes_back_as_it_was) {
    for (int variant = 0; variant < 4; variant++) {
        bool folded = variant % 2 == 1;
        struct inv_buf bytes = bytes_of(
            folded, variant < 2 ? INV_ADAPTER_NPZ : INV_ADAPTER_SAFETENSORS);
        struct inv_adapter *first = make(folded);
        struct inv_adapter *second = NULL;
        struct inv_buf report = INV_BUF_INIT;
        struct inv_err err = {.text = ""};
        static const float query[COLS] = {.6f, 0, .8f};
        float a[ROWS], b[ROWS];
        ck_assert_msg(inv_adapter_read(bytes.data, bytes.len, NULL, &second,
                                       &report, &err) == INV_OK,
                      "%s", err.text);
        struct inv_adapter_parts parts = inv_adapter_parts(second);
        ck_assert_int_eq(parts.kind,
                         folded ? INV_ADAPTER_SIMPLEX : INV_ADAPTER_RIDGE);
        ck_assert_int_eq(parts.direction, INV_ADAPTER_BACKWARD);
        ck_assert_str_eq(parts.from, "l6 \"x\"");
        ck_assert_str_eq(parts.to, "l3");
        ck_assert(parts.normalise);
        ck_assert_uint_eq(parts.fold.dim, folded ? FOLD : 0);
        ck_assert_str_eq(report.data, "{\"r\":1.5}");
        ck_assert_int_eq(inv_adapter_apply(first, query, 1, COLS, a, &err),
                         INV_OK);
        ck_assert_int_eq(inv_adapter_apply(second, query, 1, COLS, b, &err),
                         INV_OK);
        ck_assert_mem_eq(a, b, sizeof a);
        inv_adapter_free(first);
        inv_adapter_free(second);
        inv_buf_release(&report);
        inv_buf_release(&bytes);
    }
}
END_TEST

/* ---- archives of others ---- */

static void put_int(struct inv_buf *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        inv_buf_putc(out, (char)(value >> (8 * i) & 0xff));
}

/* A version 1 .npy of two or (cols 0) one dimension. */
static struct inv_buf npy(const char *descr, const void *data, size_t width,
                          size_t rows, size_t cols) {
    struct inv_buf out = INV_BUF_INIT;
    char header[118];
    int len = cols > 0 ? snprintf(header, sizeof header,
                                  "{'descr': '%s', 'fortran_order': False, "
                                  "'shape': (%zu, %zu), }",
                                  descr, rows, cols)
                       : snprintf(header, sizeof header,
                                  "{'descr': '%s', 'fortran_order': False, "
                                  "'shape': (%zu,), }",
                                  descr, rows);
    memset(header + len, ' ', sizeof header - (size_t)len);
    header[sizeof header - 1] = '\n';
    inv_buf_append(&out, "\x93NUMPY\x01\x00", 8);
    put_int(&out, sizeof header, 2);
    inv_buf_append(&out, header, sizeof header);
    inv_buf_append(&out, data, width * rows * (cols > 0 ? cols : 1));
    return out;
}

struct packed {
    const char *name;
    struct inv_buf raw, bytes;
    size_t offset;
    int method;
};

static void pack(struct packed *p, bool deflated) {
    p->method = deflated ? 8 : 0;
    p->bytes = (struct inv_buf)INV_BUF_INIT;
    if (!deflated) {
        inv_buf_append(&p->bytes, p->raw.data, p->raw.len);
        return;
    }
    z_stream z;
    memset(&z, 0, sizeof z);
    ck_assert_int_eq(
        deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    unsigned char room[4096];
    z.next_in = (Bytef *)p->raw.data;
    z.avail_in = (uInt)p->raw.len;
    z.next_out = room;
    z.avail_out = sizeof room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    inv_buf_append(&p->bytes, room, sizeof room - z.avail_out);
    deflateEnd(&z);
}

/* As numpy does: the local header leaves the sizes to a ZIP64 field. */
static struct inv_buf zip(struct packed *members, size_t count) {
    struct inv_buf out = INV_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        struct packed *p = &members[i];
        p->offset = out.len;
        put_int(&out, 0x04034b50, 4);
        put_int(&out, 45, 2);
        put_int(&out, 0, 2);
        put_int(&out, (uint64_t)p->method, 2);
        put_int(&out, 0, 4);
        put_int(&out, crc32(0, (Bytef *)p->raw.data, (uInt)p->raw.len), 4);
        put_int(&out, UINT32_MAX, 4);
        put_int(&out, UINT32_MAX, 4);
        put_int(&out, strlen(p->name), 2);
        put_int(&out, 20, 2);
        inv_buf_puts(&out, p->name);
        put_int(&out, 1, 2);
        put_int(&out, 16, 2);
        put_int(&out, p->raw.len, 8);
        put_int(&out, p->bytes.len, 8);
        inv_buf_append(&out, p->bytes.data, p->bytes.len);
    }
    size_t directory = out.len;
    for (size_t i = 0; i < count; i++) {
        struct packed *p = &members[i];
        put_int(&out, 0x02014b50, 4);
        put_int(&out, 45, 2);
        put_int(&out, 45, 2);
        put_int(&out, 0, 2);
        put_int(&out, (uint64_t)p->method, 2);
        put_int(&out, 0, 4);
        put_int(&out, crc32(0, (Bytef *)p->raw.data, (uInt)p->raw.len), 4);
        put_int(&out, p->bytes.len, 4);
        put_int(&out, p->raw.len, 4);
        put_int(&out, strlen(p->name), 2);
        put_int(&out, 0, 2);
        put_int(&out, 0, 2);
        put_int(&out, 0, 4);
        put_int(&out, 0, 4);
        put_int(&out, p->offset, 4);
        inv_buf_puts(&out, p->name);
    }
    size_t end = out.len;
    put_int(&out, 0x06054b50, 4);
    put_int(&out, 0, 4);
    put_int(&out, count, 2);
    put_int(&out, count, 2);
    put_int(&out, end - directory, 4);
    put_int(&out, directory, 4);
    put_int(&out, 0, 2);
    for (size_t i = 0; i < count; i++) {
        inv_buf_release(&members[i].bytes);
        inv_buf_release(&members[i].raw);
    }
    return out;
}

static const double wide[ROWS * COLS] = {1, 2, 3, 4, 5, 6};

/* Of numpy.savez(matrix=, bias=) in the given types, without any JSON. */
static struct inv_buf savez(bool deflated, bool f64, size_t bias_rows) {
    uint16_t half[4] = {0, 0, 0, 0};
    inv_f16_from_f32(bias, half, ROWS);
    struct packed members[2] = {
        {.name = "matrix.npy",
         .raw = f64 ? npy("<f8", wide, 8, ROWS, COLS)
                    : npy("<f4", matrix, 4, ROWS, COLS)},
        {.name = "bias.npy", .raw = npy("<f2", half, 2, bias_rows, 0)}};
    pack(&members[0], deflated);
    pack(&members[1], deflated);
    return zip(members, 2);
}

static const struct inv_adapter_parts unless = {.kind = INV_ADAPTER_RIDGE,
                                                .direction =
                                                    INV_ADAPTER_FORWARD,
                                                .from = "a",
                                                .to = "b",
                                                .normalise = false};

START_TEST(archives_of_numpy_are_read_in_every_float_type) {
    for (int variant = 0; variant < 4; variant++) {
        struct inv_buf bytes = savez(variant % 2 == 1, variant / 2 == 1, ROWS);
        struct inv_adapter *adapter = NULL;
        struct inv_buf report = INV_BUF_INIT;
        struct inv_err err = {.text = ""};
        ck_assert_int_eq(inv_adapter_read(bytes.data, bytes.len, NULL, &adapter,
                                          &report, &err),
                         INV_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "adapter.json"));
        ck_assert_msg(inv_adapter_read(bytes.data, bytes.len, &unless, &adapter,
                                       &report, &err) == INV_OK,
                      "%s", err.text);
        struct inv_adapter_parts parts = inv_adapter_parts(adapter);
        ck_assert_mem_eq(parts.matrix, matrix, sizeof matrix);
        ck_assert_mem_eq(parts.bias, bias, sizeof bias);
        ck_assert_int_eq(parts.direction, INV_ADAPTER_FORWARD);
        ck_assert_str_eq(report.data, "{}");
        inv_adapter_free(adapter);
        inv_buf_release(&report);
        inv_buf_release(&bytes);
    }
}
END_TEST

static void refused(const struct inv_buf *bytes, enum inv_status status,
                    const char *first, const char *second) {
    struct inv_adapter *adapter = NULL;
    struct inv_err err = {.text = ""};
    ck_assert_int_eq(inv_adapter_read(bytes->data, bytes->len, &unless,
                                      &adapter, NULL, &err),
                     status);
    ck_assert_msg(strstr(err.text, first) != NULL &&
                      strstr(err.text, second) != NULL,
                  "\"%s\" lacks \"%s\" or \"%s\"", err.text, first, second);
    ck_assert_ptr_null(adapter);
}

START_TEST(shapes_that_do_not_fit_are_refused_with_both) {
    struct inv_buf bytes = savez(false, false, 4);
    refused(&bytes, INV_DIMENSION, "4 x 1", "2 x 1");
    inv_buf_release(&bytes);
    static const int32_t ints[4] = {1, 2, 3, 4};
    struct packed wrong[] = {
        {.name = "matrix.npy", .raw = npy("<i4", ints, 4, 2, 2)}};
    pack(&wrong[0], false);
    bytes = zip(wrong, 1);
    refused(&bytes, INV_INVALID, "i4", "f4");
    inv_buf_release(&bytes);
    struct packed unknown[] = {
        {.name = "matrix.npy", .raw = npy("<f4", matrix, 4, 2, 3)},
        {.name = "biass.npy", .raw = npy("<f4", bias, 4, 2, 0)}};
    pack(&unknown[0], false);
    pack(&unknown[1], true);
    bytes = zip(unknown, 2);
    refused(&bytes, INV_INVALID, "biass", "bias,");
    inv_buf_release(&bytes);
    struct packed twice[] = {
        {.name = "matrix.npy", .raw = npy("<f4", matrix, 4, 2, 3)},
        {.name = "matrix.npy", .raw = npy("<f4", matrix, 4, 2, 3)}};
    pack(&twice[0], false);
    pack(&twice[1], false);
    bytes = zip(twice, 2);
    refused(&bytes, INV_INVALID, "matrix", "twice");
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(a_size_that_bytes_cannot_fill_reserves_nothing) {
    struct inv_buf bytes = savez(true, false, ROWS);
    /* the directory's first entry: 4 GB out of a few bytes */
    const unsigned char *end = (unsigned char *)bytes.data + bytes.len - 22;
    uint32_t directory = u32_at((const char *)end + 16);
    memset(bytes.data + directory + 24, 0xff, 4);
    refused(&bytes, INV_INVALID, "cannot become", "4294967295");
    inv_buf_release(&bytes);
}
END_TEST

/* ---- safetensors of others ---- */

static struct inv_buf tensors(const char *header, const void *data,
                              size_t len) {
    struct inv_buf out = INV_BUF_INIT;
    put_int(&out, strlen(header), 8);
    inv_buf_puts(&out, header);
    inv_buf_append(&out, data, len);
    return out;
}

START_TEST(offsets_cover_the_bytes_exactly) {
    static const struct {
        const char *header;
        size_t bytes;
        const char *why;
    } wrong[] = {
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[0,28]}}",
         24, "28 of 24"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[0,20]}}",
         24, "20 bytes"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[24,0]}}",
         24, "from 24 to 0"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[4,28]}}",
         28, "gap"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[0,24]}}",
         32, "32"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],"
         "\"data_offsets\":[0,24]},\"bias\":{\"dtype\":\"F32\","
         "\"shape\":[2],\"data_offsets\":[16,24]}}",
         24, "overlap"},
        {"{\"matrix\":{\"dtype\":\"BF16\",\"shape\":[2,3],"
         "\"data_offsets\":[0,12]}}",
         12, "BF16"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":"
         "[4294967296,4294967296],\"data_offsets\":[0,0]}}",
         0, "4294967296"},
        {"{\"matrix\":[]}", 0, "dtype"},
        {"[]", 0, "neither"},
        {"{\"matrix\":{\"dtype\":\"F32\",\"shape\":[-2,3],"
         "\"data_offsets\":[0,24]}}",
         24, "shape"},
    };
    static const float zeros[16] = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct inv_buf bytes = tensors(wrong[i].header, zeros, wrong[i].bytes);
        refused(&bytes, INV_INVALID, wrong[i].why, "");
        inv_buf_release(&bytes);
    }
    struct inv_buf bytes = tensors("{x", zeros, 0);
    put_int(&bytes, UINT64_MAX, 8);
    refused(&bytes, INV_MALFORMED, "header", "");
    memset(bytes.data, 0xff, 8);
    refused(&bytes, INV_INVALID, "18446744073709551615", "18");
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(half_and_double_precision_are_read) {
    uint16_t half[ROWS * COLS];
    inv_f16_from_f32(matrix, half, ROWS * COLS);
    struct inv_buf bytes =
        tensors("{\"matrix\":{\"dtype\":\"F16\",\"shape\":[2,3],"
                "\"data_offsets\":[0,12]}}",
                half, sizeof half);
    struct inv_adapter *adapter = NULL;
    struct inv_err err = {.text = ""};
    ck_assert_msg(inv_adapter_read(bytes.data, bytes.len, &unless, &adapter,
                                   NULL, &err) == INV_OK,
                  "%s", err.text);
    struct inv_adapter_parts parts = inv_adapter_parts(adapter);
    ck_assert_mem_eq(parts.matrix, matrix, sizeof matrix);
    ck_assert(parts.bias[0] <= 0 && parts.bias[0] >= 0);
    inv_adapter_free(adapter);
    inv_buf_release(&bytes);
}
END_TEST

/* ---- no trust ---- */

/* Every prefix, and every byte turned three ways: an answer, never a crash. The
 * checksum finds every damage inside a member of an archive. */
START_TEST(damaged_bytes_are_answered) {
    for (int variant = 0; variant < 4; variant++) {
        struct inv_buf bytes = variant == 3
                                   ? savez(true, true, ROWS)
                                   : bytes_of(variant == 1, variant == 2);
        struct inv_err err;
        static const unsigned char flips[] = {0x01, 0x80, 0xff};
        for (size_t i = 0; i < bytes.len; i++) {
            struct inv_adapter *adapter = NULL;
            char *copy = malloc(i + 1); /* so that a sanitizer sees the end */
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, bytes.data, i);
            ck_assert_int_ne(
                inv_adapter_read(copy, i, &unless, &adapter, NULL, &err),
                INV_OK);
            free(copy);
            for (size_t f = 0; f < sizeof flips; f++) {
                bytes.data[i] = (char)(bytes.data[i] ^ flips[f]);
                if (inv_adapter_read(bytes.data, bytes.len, &unless, &adapter,
                                     NULL, &err) == INV_OK)
                    inv_adapter_free(adapter);
                bytes.data[i] = (char)(bytes.data[i] ^ flips[f]);
            }
        }
        inv_buf_release(&bytes);
    }
}
END_TEST

START_TEST(a_changed_number_in_an_archive_is_found) {
    struct inv_buf bytes = bytes_of(false, INV_ADAPTER_NPZ);
    const char *at = memchr(bytes.data, '\n', bytes.len); /* of the header */
    ck_assert_ptr_nonnull(at);
    bytes.data[at - bytes.data + 2] ^= 1;
    refused(&bytes, INV_INVALID, "checksum", "matrix.npy");
    inv_buf_release(&bytes);
}
END_TEST

START_TEST(other_formats_are_refused) {
    enum inv_adapter_format format;
    struct inv_err err;
    ck_assert_int_eq(inv_adapter_format_parse("pt", &format, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "safetensors"));
    ck_assert_int_eq(inv_adapter_format_parse("safetensors", &format, &err),
                     INV_OK);
    ck_assert_int_eq(format, INV_ADAPTER_SAFETENSORS);
    ck_assert_str_eq(inv_adapter_format_name(INV_ADAPTER_NPZ), "npz");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("adapter_file");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_npz_holds_members_that_parse_as_arrays);
    tcase_add_test(tests, a_safetensors_file_has_header_then_floats);
    tcase_add_test(tests, an_adapter_comes_back_as_it_was);
    tcase_add_test(tests, archives_of_numpy_are_read_in_every_float_type);
    tcase_add_test(tests, shapes_that_do_not_fit_are_refused_with_both);
    tcase_add_test(tests, a_size_that_bytes_cannot_fill_reserves_nothing);
    tcase_add_test(tests, offsets_cover_the_bytes_exactly);
    tcase_add_test(tests, half_and_double_precision_are_read);
    tcase_add_test(tests, damaged_bytes_are_answered);
    tcase_add_test(tests, a_changed_number_in_an_archive_is_found);
    tcase_add_test(tests, other_formats_are_refused);
    Suite *suite = suite_create("adapter_file");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
