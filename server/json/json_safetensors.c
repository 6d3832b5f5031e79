/*
 * json_safetensors.c: the container; see adapter_file.h.
 *
 *   u64 length of the header, JSON, bytes of the arrays one after the other
 *   {"__metadata__":{"adapter":"..."},
 *    "matrix":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ...}
 *
 * Knows no adapter. Any thread.
 */
#include "server/json/adapter_file.h"
#include "server/json/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8
#define ABOUT "adapter.json"

/* ---- writing ---- */

static void put_u64(struct inv_buf *out, uint64_t value) {
    for (int i = 0; i < LENGTH_BYTES; i++)
        inv_buf_putc(out, (char)(value >> (8 * i) & 0xff));
}

void inv_safetensors_write(const struct inv_array *arrays, size_t count,
                           const char *about, size_t about_len,
                           struct inv_buf *out) {
    struct inv_buf header = INV_BUF_INIT;
    size_t at = 0;
    inv_buf_puts(&header, "{\"__metadata__\":{\"adapter\":");
    inv_json_put_string(&header, about, about_len);
    inv_buf_putc(&header, '}');
    for (size_t i = 0; i < count; i++) {
        const struct inv_array *array = &arrays[i];
        inv_buf_putc(&header, ',');
        inv_json_put_string(&header, array->name, strlen(array->name));
        inv_buf_printf(&header, ":{\"dtype\":\"F32\",\"shape\":[%zu",
                       array->shape[0]);
        if (array->ndim == 2)
            inv_buf_printf(&header, ",%zu", array->shape[1]);
        inv_buf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", at,
                       at + array->bytes);
        at += array->bytes;
    }
    inv_buf_putc(&header, '}');
    while (header.len % 8 != 0 && !header.failed)
        inv_buf_putc(&header, ' ');
    put_u64(out, header.len);
    inv_buf_append(out, header.data, header.len);
    for (size_t i = 0; i < count; i++)
        inv_buf_append(out, arrays[i].data, arrays[i].bytes);
    out->failed = out->failed || header.failed;
    inv_buf_release(&header);
}

/* ---- reading ---- */

struct reader {
    const unsigned char *data; /* behind the header */
    size_t len;
    size_t from[INV_ARRAYS_MAX], to[INV_ARRAYS_MAX];
    struct inv_arrays *arrays;
};

static enum inv_status wrong(const char *name, struct inv_err *err) {
    return inv_fail(err, INV_INVALID,
                    "safetensors: \"%.32s\" needs dtype F16, F32 or F64, a "
                    "shape of one or two dimensions and data_offsets of two "
                    "numbers",
                    name);
}

static enum inv_status dtype_of(const inv_json *entry, const char *name,
                                enum inv_npy_dtype *dtype,
                                struct inv_err *err) {
    const inv_json *value = inv_json_get(entry, "dtype");
    size_t len;
    if (value == NULL || inv_json_kind(value) != INV_JSON_STRING)
        return wrong(name, err);
    const char *text = inv_json_string(value, &len);
    if (strcmp(text, "F32") == 0)
        *dtype = INV_NPY_F32;
    else if (strcmp(text, "F64") == 0)
        *dtype = INV_NPY_F64;
    else if (strcmp(text, "F16") == 0)
        *dtype = INV_NPY_F16;
    else
        return inv_fail(err, INV_INVALID,
                        "safetensors: \"%.32s\" has dtype \"%.16s\"; F16, F32 "
                        "and F64 are read",
                        name, text);
    return INV_OK;
}

/* Up to two numbers, none negative. */
static bool sizes_of(const inv_json *entry, const char *key, size_t out[2],
                     size_t *count) {
    const inv_json *list = inv_json_get(entry, key);
    *count = 0;
    if (list == NULL || inv_json_kind(list) != INV_JSON_ARRAY ||
        inv_json_size(list) > 2)
        return false;
    for (; *count < inv_json_size(list); ++*count) {
        const inv_json *value = inv_json_at(list, *count);
        if (inv_json_kind(value) != INV_JSON_INT || inv_json_int(value) < 0)
            return false;
        out[*count] = (size_t)inv_json_int(value);
    }
    return true;
}

/* Elements of a shape; false when they are more than could ever be there. */
static bool elements_of(const struct inv_array *array, size_t *count) {
    size_t first = array->shape[0];
    size_t second = array->ndim == 2 ? array->shape[1] : 1;
    if (second != 0 && first > INV_ARRAYS_BYTES_MAX / second)
        return false;
    *count = first * second;
    return true;
}

/* Copies the bytes, aligned, and counts the array. */
static enum inv_status keep(struct reader *r, const char *name,
                            const size_t offsets[2], struct inv_err *err) {
    size_t i = r->arrays->count;
    struct inv_array *array = &r->arrays->items[i];
    void *copy = malloc(array->bytes + 1);
    if (copy == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes",
                        array->bytes);
    memcpy(copy, r->data + offsets[0], array->bytes);
    memcpy(array->name, name, strlen(name) + 1);
    array->data = r->arrays->owned[i] = copy;
    r->from[i] = offsets[0];
    r->to[i] = offsets[1];
    r->arrays->count++;
    return INV_OK;
}

static enum inv_status read_one(struct reader *r, const char *name,
                                const inv_json *entry, struct inv_err *err) {
    size_t i = r->arrays->count;
    size_t offsets[2], count, two;
    if (i == INV_ARRAYS_MAX)
        return inv_fail(err, INV_INVALID, "safetensors: more than %d arrays",
                        INV_ARRAYS_MAX);
    struct inv_array *array = &r->arrays->items[i];
    if (inv_json_kind(entry) != INV_JSON_OBJECT ||
        strlen(name) > INV_ARRAY_NAME_MAX)
        return wrong(name, err);
    enum inv_status status = dtype_of(entry, name, &array->dtype, err);
    if (status != INV_OK)
        return status;
    array->shape[0] = 1; /* of a scalar */
    if (!sizes_of(entry, "shape", array->shape, &array->ndim) ||
        !sizes_of(entry, "data_offsets", offsets, &two) || two != 2)
        return wrong(name, err);
    array->ndim = array->ndim == 0 ? 1 : array->ndim;
    if (offsets[0] > offsets[1] || offsets[1] > r->len)
        return inv_fail(err, INV_INVALID,
                        "safetensors: \"%s\" lies from %zu to %zu of %zu bytes",
                        name, offsets[0], offsets[1], r->len);
    array->bytes = offsets[1] - offsets[0];
    if (!elements_of(array, &count) ||
        count != array->bytes / inv_array_width(array->dtype) ||
        array->bytes % inv_array_width(array->dtype) != 0)
        return inv_fail(err, INV_INVALID,
                        "safetensors: \"%s\" has %zu bytes for a shape of %zu "
                        "x %zu",
                        name, array->bytes, array->shape[0],
                        array->ndim == 2 ? array->shape[1] : 1);
    return keep(r, name, offsets, err);
}

/* Every byte belongs to exactly one array: each begins where another one, or
 * the header, ends, and together they are all. */
static enum inv_status check_cover(const struct reader *r,
                                   struct inv_err *err) {
    size_t total = 0;
    for (size_t i = 0; i < r->arrays->count; i++) {
        bool joins = r->from[i] == 0;
        total += r->to[i] - r->from[i];
        for (size_t j = 0; j < r->arrays->count; j++) {
            joins = joins || (j != i && r->to[j] == r->from[i]);
            if (j != i && r->from[i] < r->to[j] && r->from[j] < r->to[i])
                return inv_fail(
                    err, INV_INVALID, "safetensors: \"%s\" and \"%s\" overlap",
                    r->arrays->items[i].name, r->arrays->items[j].name);
        }
        if (!joins)
            return inv_fail(err, INV_INVALID,
                            "safetensors: a gap before byte %zu", r->from[i]);
    }
    if (total == r->len)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "safetensors: the arrays are %zu bytes, %zu are there",
                    total, r->len);
}

/* The text under "adapter", as one more array. */
static enum inv_status read_about(struct inv_arrays *arrays,
                                  const inv_json *metadata,
                                  struct inv_err *err) {
    const inv_json *value =
        metadata != NULL && inv_json_kind(metadata) == INV_JSON_OBJECT
            ? inv_json_get(metadata, "adapter")
            : NULL;
    size_t i = arrays->count;
    size_t len;
    if (value == NULL || inv_json_kind(value) != INV_JSON_STRING ||
        i == INV_ARRAYS_MAX)
        return INV_OK;
    const char *text = inv_json_string(value, &len);
    arrays->owned[i] = malloc(len + 1);
    if (arrays->owned[i] == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes", len);
    memcpy(arrays->owned[i], text, len);
    arrays->items[i] = (struct inv_array){.name = ABOUT,
                                          .dtype = INV_NPY_U8,
                                          .ndim = 1,
                                          .shape = {len, 0},
                                          .data = arrays->owned[i],
                                          .bytes = len};
    arrays->count++;
    return INV_OK;
}

static enum inv_status read_header(const char *text, size_t len,
                                   inv_json **root, struct inv_err *err) {
    struct inv_err why = {.text = ""};
    enum inv_status status = inv_json_parse_plain(text, len, root, &why);
    if (status != INV_OK)
        return inv_fail(err, status, "safetensors: the header: %s", why.text);
    if (inv_json_kind(*root) == INV_JSON_OBJECT)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "safetensors: the header is %s, not an object",
                    inv_json_kind_name(inv_json_kind(*root)));
}

enum inv_status inv_safetensors_read(const void *bytes, size_t len,
                                     struct inv_arrays *arrays,
                                     struct inv_err *err) {
    const unsigned char *p = bytes;
    uint64_t header = 0;
    *arrays = (struct inv_arrays){.count = 0};
    for (int i = 0; i < LENGTH_BYTES && len >= LENGTH_BYTES; i++)
        header |= (uint64_t)p[i] << (8 * i);
    if (len < LENGTH_BYTES || header > len - LENGTH_BYTES || header < 2)
        return inv_fail(err, INV_INVALID,
                        "safetensors: a header of %" PRIu64
                        " bytes in %zu bytes",
                        header, len);
    struct reader r = {.data = p + LENGTH_BYTES + header,
                       .len = len - LENGTH_BYTES - (size_t)header,
                       .arrays = arrays};
    inv_json *root = NULL;
    const inv_json *metadata = NULL;
    enum inv_status status =
        read_header((const char *)p + LENGTH_BYTES, (size_t)header, &root, err);
    const char *name;
    inv_json *entry;
    for (void *iter = NULL;
         status == INV_OK && inv_json_next(root, &iter, &name, &entry);)
        if (strcmp(name, "__metadata__") == 0)
            metadata = entry;
        else
            status = read_one(&r, name, entry, err);
    if (status == INV_OK)
        status = check_cover(&r, err);
    if (status == INV_OK)
        status = read_about(arrays, metadata, err);
    inv_json_free(root);
    if (status != INV_OK)
        inv_arrays_release(arrays);
    return status;
}
