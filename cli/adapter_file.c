/*
 * adapter_file.c: see adapter_file.h. Two containers, written by hand: both are
 * a header and plain little-endian floats.
 *
 * .npz: a ZIP archive, members stored as they are:
 *   local header, name, bytes (x 3)   central directory (x 3)   end record
 * .safetensors: u64 length, JSON header, bytes of matrix, bytes of bias.
 * Main thread.
 */
#include "cli/adapter_file.h"

#include "base/file.h"
#include "server/json/json.h"

#include <stdint.h>
#include <string.h>

#define MEMBERS 3

static bool ends_with(const char *text, const char *ending) {
    size_t a = strlen(text);
    size_t b = strlen(ending);
    return a > b && memcmp(text + a - b, ending, b) == 0;
}

enum inv_status inv_adapter_file_check(const char *path, struct inv_err *err) {
    if (ends_with(path, ".npz") || ends_with(path, ".safetensors"))
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s: an adapter is written as .npz or .safetensors", path);
}

static void put_int(struct inv_buf *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        inv_buf_putc(out, (char)(value >> (8 * i) & 0xff));
}

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    inv_buf_printf(out, "\"%s\":", key);
    inv_json_put_string(out, value, strlen(value));
    inv_buf_putc(out, ',');
}

/* What is known of the adapter but its numbers. */
static void describe(const struct inv_adapter_parts *parts,
                     const struct inv_buf *report, struct inv_buf *out) {
    inv_buf_puts(out, "{\"format\":\"invar-adapter/1\",");
    put_text(out, "kind", inv_adapter_kind_name(parts->kind));
    put_text(out, "direction", inv_adapter_direction_name(parts->direction));
    put_text(out, "from", parts->from);
    put_text(out, "to", parts->to);
    inv_buf_printf(
        out,
        "\"rows\":%zu,\"cols\":%zu,\"normalise\":%s,\"report\":", parts->rows,
        parts->cols, parts->normalise ? "true" : "false");
    inv_buf_append(out, report->data, report->len);
    inv_buf_putc(out, '}');
}

/* ---- .npz ---- */

/* CRC-32 as ZIP has it (polynomial 0xEDB88320), bit by bit: a matrix of 384
 * takes 10 ms. */
static uint32_t crc_of(const char *bytes, size_t len) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0xEDB88320) & (0 - (crc & 1)));
    }
    return ~crc;
}

static void put_npy(struct inv_buf *out, const float *data, size_t rows,
                    size_t cols) {
    struct inv_buf header = INV_BUF_INIT;
    inv_buf_puts(&header, "{'descr': '<f4', 'fortran_order': False, ");
    if (cols > 0)
        inv_buf_printf(&header, "'shape': (%zu, %zu), }", rows, cols);
    else
        inv_buf_printf(&header, "'shape': (%zu,), }", rows);
    while ((header.len + 11) % 64 != 0 && !header.failed)
        inv_buf_putc(&header, ' ');
    inv_buf_putc(&header, '\n');
    inv_buf_append(out, "\x93NUMPY\x01\x00", 8);
    put_int(out, header.len, 2);
    inv_buf_append(out, header.data, header.len);
    inv_buf_append(out, data, rows * (cols > 0 ? cols : 1) * sizeof *data);
    out->failed = out->failed || header.failed;
    inv_buf_release(&header);
}

struct member {
    const char *name;
    struct inv_buf bytes;
    size_t offset;
};

/* The part that local header and directory have in common. */
static void put_entry(struct inv_buf *out, const struct member *member) {
    put_int(out, 20, 2);     /* version 2.0 reads it */
    put_int(out, 0, 2);      /* flags */
    put_int(out, 0, 2);      /* stored */
    put_int(out, 0, 2);      /* time */
    put_int(out, 0x0021, 2); /* 1980-01-01: equal adapters, equal files */
    put_int(out, crc_of(member->bytes.data, member->bytes.len), 4);
    put_int(out, member->bytes.len, 4);
    put_int(out, member->bytes.len, 4);
    put_int(out, strlen(member->name), 2);
    put_int(out, 0, 2); /* no extra field */
}

static void put_archive(struct member *members, struct inv_buf *out) {
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i].offset = out->len;
        put_int(out, 0x04034b50, 4);
        put_entry(out, &members[i]);
        inv_buf_puts(out, members[i].name);
        inv_buf_append(out, members[i].bytes.data, members[i].bytes.len);
    }
    size_t directory = out->len;
    for (size_t i = 0; i < MEMBERS; i++) {
        put_int(out, 0x02014b50, 4);
        put_int(out, 20, 2);
        put_entry(out, &members[i]);
        put_int(out, 0, 2); /* no comment */
        put_int(out, 0, 2); /* disk 0 */
        put_int(out, 0, 2);
        put_int(out, 0, 4);
        put_int(out, members[i].offset, 4);
        inv_buf_puts(out, members[i].name);
    }
    size_t end = out->len;
    put_int(out, 0x06054b50, 4);
    put_int(out, 0, 4); /* disks */
    put_int(out, MEMBERS, 2);
    put_int(out, MEMBERS, 2);
    put_int(out, end - directory, 4);
    put_int(out, directory, 4);
    put_int(out, 0, 2);
}

static void put_npz(const struct inv_adapter_parts *parts,
                    const struct inv_buf *report, struct inv_buf *out) {
    struct member members[MEMBERS] = {{"matrix.npy", INV_BUF_INIT, 0},
                                      {"bias.npy", INV_BUF_INIT, 0},
                                      {"adapter.json", INV_BUF_INIT, 0}};
    put_npy(&members[0].bytes, parts->matrix, parts->rows, parts->cols);
    put_npy(&members[1].bytes, parts->bias, parts->rows, 0);
    describe(parts, report, &members[2].bytes);
    bool failed = false;
    for (size_t i = 0; i < MEMBERS; i++)
        failed = failed || members[i].bytes.failed;
    if (!failed)
        put_archive(members, out);
    out->failed = out->failed || failed;
    for (size_t i = 0; i < MEMBERS; i++)
        inv_buf_release(&members[i].bytes);
}

/* ---- .safetensors ---- */

static void put_safetensors(const struct inv_adapter_parts *parts,
                            const struct inv_buf *report, struct inv_buf *out) {
    struct inv_buf header = INV_BUF_INIT;
    struct inv_buf about = INV_BUF_INIT;
    size_t matrix = parts->rows * parts->cols * sizeof *parts->matrix;
    size_t bias = parts->rows * sizeof *parts->bias;
    describe(parts, report, &about);
    inv_buf_puts(&header, "{\"__metadata__\":{\"adapter\":");
    if (!about.failed)
        inv_json_put_string(&header, about.data, about.len);
    inv_buf_printf(&header,
                   "},\"matrix\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],"
                   "\"data_offsets\":[0,%zu]},\"bias\":{\"dtype\":\"F32\","
                   "\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}}",
                   parts->rows, parts->cols, matrix, parts->rows, matrix,
                   matrix + bias);
    while (header.len % 8 != 0 && !header.failed)
        inv_buf_putc(&header, ' ');
    put_int(out, header.len, 8);
    inv_buf_append(out, header.data, header.len);
    inv_buf_append(out, parts->matrix, matrix);
    inv_buf_append(out, parts->bias, bias);
    out->failed = out->failed || header.failed || about.failed;
    inv_buf_release(&header);
    inv_buf_release(&about);
}

enum inv_status inv_adapter_file_write(const char *path,
                                       const struct inv_adapter_parts *parts,
                                       const struct inv_buf *report,
                                       struct inv_err *err) {
    struct inv_buf out = INV_BUF_INIT;
    enum inv_status status = inv_adapter_file_check(path, err);
    if (status != INV_OK)
        return status;
    if (ends_with(path, ".npz"))
        put_npz(parts, report, &out);
    else
        put_safetensors(parts, report, &out);
    status = out.failed
                 ? inv_fail(err, INV_MEMORY, "out of memory writing %s", path)
                 : inv_file_write_atomic(path, out.data, out.len, err);
    inv_buf_release(&out);
    return status;
}
