/*
 * npz.c: see npz.h. Knows no adapter. A ZIP archive, as far as it is needed:
 *
 *   local header, name, extra, bytes   (a member, as often as there are any)
 *   directory entry, name, extra, comment   (the same again, with offsets)
 *   end record: where the directory is
 *
 * Reading begins at the end record and believes the directory: numpy's local
 * headers leave the sizes to a ZIP64 extra field. Any thread.
 */
#include "encoders/adapters/npz.h"

#include "base/kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LOCAL_MAGIC 0x04034b50U
#define ENTRY_MAGIC 0x02014b50U
#define END_MAGIC 0x06054b50U
#define LOCAL_BYTES 30
#define ENTRY_BYTES 46
#define END_BYTES 22
#define COMMENT_MAX 65535
#define STORED 0
#define DEFLATED 8
/* No deflate stream gives more than this for a byte. */
#define RATIO_MAX 1032

/* ---- arrays ---- */

void inv_arrays_release(struct inv_arrays *arrays) {
    for (size_t i = 0; i < arrays->count; i++)
        free(arrays->owned[i]);
    *arrays = (struct inv_arrays){.count = 0};
}

const struct inv_array *inv_arrays_find(const struct inv_arrays *arrays,
                                        const char *name) {
    for (size_t i = 0; i < arrays->count; i++)
        if (strcmp(arrays->items[i].name, name) == 0)
            return &arrays->items[i];
    return NULL;
}

size_t inv_array_width(enum inv_npy_dtype dtype) {
    switch (dtype) {
    case INV_NPY_F16:
    case INV_NPY_F32:
    case INV_NPY_F64:
    case INV_NPY_U8:
        return inv_npy_dtype_size(dtype);
    default:
        return 0;
    }
}

enum inv_status inv_array_floats(const struct inv_array *array, float **out,
                                 size_t *count, struct inv_err *err) {
    const double *wide = array->data;
    *out = NULL;
    *count = 0;
    if (array->dtype != INV_NPY_F16 && array->dtype != INV_NPY_F32 &&
        array->dtype != INV_NPY_F64)
        return inv_fail(err, INV_INVALID,
                        "\"%s\" holds %s; f2, f4 and f8 are read", array->name,
                        inv_npy_dtype_name(array->dtype));
    *count = array->bytes / inv_array_width(array->dtype);
    *out = malloc((*count + 1) * sizeof **out);
    if (*out == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu numbers",
                        *count);
    if (array->dtype == INV_NPY_F16)
        inv_f32_from_f16(array->data, *out, *count);
    else if (array->dtype == INV_NPY_F32)
        memcpy(*out, array->data, array->bytes);
    else
        for (size_t i = 0; i < *count; i++)
            (*out)[i] = (float)wide[i];
    return INV_OK;
}

/* ---- writing ---- */

static void put_int(struct inv_buf *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        inv_buf_putc(out, (char)(value >> (8 * i) & 0xff));
}

/* crc32 counts in an unsigned int. */
static uint32_t crc_of(const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    uLong crc = crc32(0, NULL, 0);
    while (len > 0) {
        size_t part = len < (size_t)1 << 30 ? len : (size_t)1 << 30;
        crc = crc32(crc, at, (uInt)part);
        at += part;
        len -= part;
    }
    return (uint32_t)crc;
}

static void put_npy(const struct inv_array *array, struct inv_buf *out) {
    struct inv_buf header = INV_BUF_INIT;
    inv_buf_puts(&header, "{'descr': '<f4', 'fortran_order': False, ");
    if (array->ndim == 2)
        inv_buf_printf(&header, "'shape': (%zu, %zu), }", array->shape[0],
                       array->shape[1]);
    else
        inv_buf_printf(&header, "'shape': (%zu,), }", array->shape[0]);
    while ((header.len + 11) % 64 != 0 && !header.failed)
        inv_buf_putc(&header, ' ');
    inv_buf_putc(&header, '\n');
    inv_buf_append(out, "\x93NUMPY\x01\x00", 8);
    put_int(out, header.len, 2);
    inv_buf_append(out, header.data, header.len);
    inv_buf_append(out, array->data, array->bytes);
    out->failed = out->failed || header.failed;
    inv_buf_release(&header);
}

struct member {
    char name[INV_ARRAY_NAME_MAX + 5];
    uint32_t crc;
    size_t bytes, offset;
};

/* The part that local header and directory have in common. */
static void put_common(struct inv_buf *out, const struct member *member) {
    put_int(out, 20, 2); /* version 2.0 reads it */
    put_int(out, 0, 2);  /* flags */
    put_int(out, STORED, 2);
    put_int(out, 0, 2);      /* time */
    put_int(out, 0x0021, 2); /* 1980-01-01: equal arrays, equal bytes */
    put_int(out, member->crc, 4);
    put_int(out, member->bytes, 4);
    put_int(out, member->bytes, 4);
    put_int(out, strlen(member->name), 2);
    put_int(out, 0, 2); /* no extra field */
}

static void put_member(const struct inv_array *array, struct member *member,
                       struct inv_buf *out, size_t start) {
    struct inv_buf bytes = INV_BUF_INIT;
    bool text = array->dtype == INV_NPY_U8;
    memcpy(member->name, array->name, strlen(array->name) + 1);
    if (text)
        inv_buf_append(&bytes, array->data, array->bytes);
    else
        put_npy(array, &bytes);
    if (!text)
        memcpy(member->name + strlen(array->name), ".npy", 5);
    member->offset = out->len - start;
    member->bytes = bytes.len;
    member->crc = crc_of(bytes.data, bytes.len);
    put_int(out, LOCAL_MAGIC, 4);
    put_common(out, member);
    inv_buf_puts(out, member->name);
    inv_buf_append(out, bytes.data, bytes.len);
    out->failed = out->failed || bytes.failed;
    inv_buf_release(&bytes);
}

void inv_npz_write(const struct inv_array *arrays, size_t count,
                   struct inv_buf *out) {
    struct member members[INV_ARRAYS_MAX];
    size_t start = out->len;
    for (size_t i = 0; i < count; i++)
        put_member(&arrays[i], &members[i], out, start);
    size_t directory = out->len - start;
    for (size_t i = 0; i < count; i++) {
        put_int(out, ENTRY_MAGIC, 4);
        put_int(out, 20, 2);
        put_common(out, &members[i]);
        put_int(out, 0, 2); /* no comment */
        put_int(out, 0, 2); /* disk 0 */
        put_int(out, 0, 2);
        put_int(out, 0, 4);
        put_int(out, members[i].offset, 4);
        inv_buf_puts(out, members[i].name);
    }
    size_t end = out->len - start;
    put_int(out, END_MAGIC, 4);
    put_int(out, 0, 4); /* disks */
    put_int(out, count, 2);
    put_int(out, count, 2);
    put_int(out, end - directory, 4);
    put_int(out, directory, 4);
    put_int(out, 0, 2);
}

/* ---- reading ---- */

struct archive {
    const unsigned char *bytes;
    size_t len;
    size_t directory, entries; /* where it begins, how many it has */
    size_t total;              /* bytes that were unpacked so far */
};

static uint32_t int_at(const unsigned char *p, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)p[i] << (8 * i);
    return value;
}

/* The end record is the last thing but for a comment. */
static enum inv_status find_end(struct archive *a, struct inv_err *err) {
    size_t least =
        a->len > COMMENT_MAX + END_BYTES ? a->len - COMMENT_MAX - END_BYTES : 0;
    for (size_t at = a->len < END_BYTES ? 0 : a->len - END_BYTES + 1;
         at-- > least;) {
        const unsigned char *p = a->bytes + at;
        if (int_at(p, 4) != END_MAGIC ||
            at + END_BYTES + int_at(p + 20, 2) != a->len)
            continue;
        a->entries = int_at(p + 10, 2);
        size_t size = int_at(p + 12, 4);
        a->directory = int_at(p + 16, 4);
        if (a->directory > at || size > at - a->directory)
            return inv_fail(err, INV_INVALID,
                            "the archive's directory is %zu bytes at %zu, "
                            "there are %zu bytes before its end",
                            size, a->directory, at);
        if (a->entries < 1 || a->entries > INV_ARRAYS_MAX)
            return inv_fail(err, INV_INVALID,
                            "an archive of %zu members; 1 to %d are read",
                            a->entries, INV_ARRAYS_MAX);
        return INV_OK;
    }
    return inv_fail(err, INV_INVALID,
                    "%zu bytes that are no .npz: a ZIP archive has an end "
                    "record",
                    a->len);
}

struct entry {
    char name[INV_ARRAY_NAME_MAX + 5];
    uint32_t flags, method, crc;
    size_t packed, unpacked, local;
};

static enum inv_status read_entry(const struct archive *a, size_t *at,
                                  struct entry *entry, struct inv_err *err) {
    const unsigned char *p = a->bytes + *at;
    if (a->len - *at < ENTRY_BYTES || int_at(p, 4) != ENTRY_MAGIC)
        return inv_fail(err, INV_INVALID,
                        "the archive's directory is cut at byte %zu of %zu",
                        *at, a->len);
    size_t name = int_at(p + 28, 2);
    size_t rest = name + int_at(p + 30, 2) + int_at(p + 32, 2);
    if (rest > a->len - *at - ENTRY_BYTES)
        return inv_fail(err, INV_INVALID,
                        "the archive's directory is cut at byte %zu of %zu",
                        *at + ENTRY_BYTES, a->len);
    if (name < 1 || name >= sizeof entry->name)
        return inv_fail(err, INV_INVALID,
                        "a member's name has %zu bytes; 1 to %zu are read",
                        name, sizeof entry->name - 1);
    *entry = (struct entry){.flags = int_at(p + 8, 2),
                            .method = int_at(p + 10, 2),
                            .crc = int_at(p + 16, 4),
                            .packed = int_at(p + 20, 4),
                            .unpacked = int_at(p + 24, 4),
                            .local = int_at(p + 42, 4)};
    memcpy(entry->name, p + ENTRY_BYTES, name);
    if (strlen(entry->name) != name)
        return inv_fail(err, INV_INVALID, "a member's name holds a NUL");
    *at += ENTRY_BYTES + rest;
    return INV_OK;
}

/* Where the packed bytes of an entry are. */
static enum inv_status locate(const struct archive *a,
                              const struct entry *entry,
                              const unsigned char **packed,
                              struct inv_err *err) {
    if (entry->flags & 1)
        return inv_fail(err, INV_INVALID, "%s is encrypted", entry->name);
    if (entry->method != STORED && entry->method != DEFLATED)
        return inv_fail(err, INV_INVALID,
                        "%s is packed by method %u; %d (stored) and %d "
                        "(deflated) are read",
                        entry->name, entry->method, STORED, DEFLATED);
    size_t start = entry->local;
    if (start > a->len || a->len - start < LOCAL_BYTES ||
        int_at(a->bytes + start, 4) != LOCAL_MAGIC)
        return inv_fail(err, INV_INVALID,
                        "%s is said to begin at byte %zu of %zu, and does not",
                        entry->name, start, a->len);
    start += LOCAL_BYTES + (size_t)int_at(a->bytes + start + 26, 2) +
             int_at(a->bytes + start + 28, 2);
    if (start > a->len || entry->packed > a->len - start)
        return inv_fail(err, INV_INVALID,
                        "%s has %zu bytes from byte %zu on, the archive %zu "
                        "bytes",
                        entry->name, entry->packed, start, a->len);
    bool fits = entry->method == STORED
                    ? entry->packed == entry->unpacked
                    : entry->unpacked / RATIO_MAX <= entry->packed;
    if (!fits)
        return inv_fail(err, INV_INVALID,
                        "%s is %zu bytes that cannot become %zu", entry->name,
                        entry->packed, entry->unpacked);
    if (entry->unpacked > INV_ARRAYS_BYTES_MAX - a->total)
        return inv_fail(err, INV_TOO_LARGE,
                        "%s makes the archive larger than %zu bytes",
                        entry->name, INV_ARRAYS_BYTES_MAX);
    *packed = a->bytes + start;
    return INV_OK;
}

/* Exactly out_len bytes of a raw deflate stream of exactly in_len. */
static bool inflate_all(const unsigned char *in, size_t in_len,
                        unsigned char *out, size_t out_len) {
    z_stream z;
    memset(&z, 0, sizeof z);
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    /* Both are below 4 GB: sizes of an archive have 32 bits. zlib does not
     * write through next_in, which older versions declare without const. */
    memcpy(&z.next_in, &in, sizeof in);
    z.avail_in = (uInt)in_len;
    z.next_out = out;
    z.avail_out = (uInt)out_len;
    int code = inflate(&z, Z_FINISH);
    bool ok = code == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
    inflateEnd(&z);
    return ok;
}

static enum inv_status unpack(struct archive *a, const struct entry *entry,
                              void **out, struct inv_err *err) {
    const unsigned char *packed = NULL;
    enum inv_status status = locate(a, entry, &packed, err);
    if (status != INV_OK)
        return status;
    *out = malloc(entry->unpacked + 1);
    if (*out == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes of %s",
                        entry->unpacked, entry->name);
    a->total += entry->unpacked;
    if (entry->method == STORED)
        memcpy(*out, packed, entry->unpacked);
    else if (!inflate_all(packed, entry->packed, *out, entry->unpacked))
        return inv_fail(err, INV_INVALID,
                        "%s does not unpack from %zu to %zu bytes", entry->name,
                        entry->packed, entry->unpacked);
    uint32_t crc = crc_of(*out, entry->unpacked);
    if (crc != entry->crc)
        return inv_fail(err, INV_INVALID,
                        "%s has the checksum %08x, the archive says %08x",
                        entry->name, crc, entry->crc);
    return INV_OK;
}

/* A member as an array: .npy by its header, anything else as text. */
static enum inv_status as_array(const struct entry *entry, const void *bytes,
                                struct inv_array *array, struct inv_err *err) {
    struct inv_npy_view view;
    struct inv_err why = {.text = ""};
    size_t len = strlen(entry->name);
    bool npy = len > 4 && strcmp(entry->name + len - 4, ".npy") == 0;
    len -= npy ? 4 : 0;
    if (len > INV_ARRAY_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "a name of %zu bytes; %d are possible", len,
                        INV_ARRAY_NAME_MAX);
    memcpy(array->name, entry->name, len);
    array->name[len] = '\0';
    if (!npy) {
        array->dtype = INV_NPY_U8;
        array->ndim = 1;
        array->shape[0] = array->bytes = entry->unpacked;
        array->data = bytes;
        return INV_OK;
    }
    enum inv_status status = inv_npy_parse(bytes, entry->unpacked, &view, &why);
    if (status != INV_OK)
        return inv_fail(err, status, "%s: %s", entry->name, why.text);
    if (view.ndim > 2)
        return inv_fail(err, INV_INVALID,
                        "%s has %zu dimensions; up to 2 are read", entry->name,
                        view.ndim);
    array->dtype = view.dtype;
    array->ndim = view.ndim == 0 ? 1 : view.ndim;
    array->shape[0] = view.ndim == 0 ? 1 : view.shape[0];
    array->shape[1] = view.ndim == 2 ? view.shape[1] : 0;
    array->data = view.data;
    array->bytes = view.bytes;
    return INV_OK;
}

enum inv_status inv_npz_read(const void *bytes, size_t len,
                             struct inv_arrays *arrays, struct inv_err *err) {
    struct archive a = {.bytes = bytes, .len = len};
    *arrays = (struct inv_arrays){.count = 0};
    enum inv_status status = find_end(&a, err);
    size_t at = a.directory;
    for (size_t i = 0; i < a.entries && status == INV_OK; i++) {
        struct entry entry;
        struct inv_array array;
        status = read_entry(&a, &at, &entry, err);
        if (status == INV_OK)
            status = unpack(&a, &entry, &arrays->owned[arrays->count], err);
        if (status == INV_OK)
            status =
                as_array(&entry, arrays->owned[arrays->count], &array, err);
        if (status == INV_OK && inv_arrays_find(arrays, array.name) != NULL)
            status =
                inv_fail(err, INV_INVALID, "\"%s\" is there twice", array.name);
        if (status == INV_OK)
            arrays->items[arrays->count] = array;
        arrays->count += arrays->owned[arrays->count] != NULL;
    }
    if (status != INV_OK)
        inv_arrays_release(arrays);
    return status;
}
