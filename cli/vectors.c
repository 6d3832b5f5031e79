/*
 * vectors.c: see vectors.h. Checks shapes against each other, not values: the
 * daemon refuses what is not finite. Any thread.
 */
#include "cli/vectors.h"

#include "base/base64.h"
#include "server/json/json.h"

#include <inttypes.h>
#include <string.h>

/* ---- opening ---- */

static enum inv_status read_shape(const char *path, struct inv_vectors *v,
                                  struct inv_err *err) {
    const struct inv_npy_view *view = &v->data.view;
    if (view->ndim < 2 || view->ndim > 3)
        return inv_fail(err, INV_INVALID,
                        "%s: expected 2 dimensions (vectors x numbers) or 3, "
                        "got %zu",
                        path, view->ndim);
    switch (view->dtype) {
    case INV_NPY_F32:
        v->dtype = INV_F32;
        break;
    case INV_NPY_F16:
        v->dtype = INV_F16;
        break;
    case INV_NPY_I8:
        v->dtype = INV_I8;
        break;
    default:
        return inv_fail(err, INV_INVALID,
                        "%s: vectors are f4, f2 or i1 (with scales), not %s; "
                        "numpy's astype(\"float32\") helps",
                        path, inv_npy_dtype_name(view->dtype));
    }
    v->dim = view->shape[view->ndim - 1];
    v->rows_each = view->ndim == 3 ? view->shape[1] : 1;
    v->rows = view->shape[0] * v->rows_each;
    v->count = view->shape[0];
    if (v->dim == 0)
        return inv_fail(err, INV_INVALID, "%s: the vectors have 0 dimensions",
                        path);
    return INV_OK;
}

static enum inv_status check_offsets(const char *path,
                                     const struct inv_vectors *v,
                                     struct inv_err *err) {
    const int64_t *at = v->offsets.view.data;
    size_t count = v->offsets.view.count;
    if (count < 1)
        return inv_fail(err, INV_INVALID,
                        "%s: n + 1 offsets are needed for n documents, got 0",
                        path);
    if (at[0] != 0 || at[count - 1] != (int64_t)v->rows)
        return inv_fail(err, INV_INVALID,
                        "%s: offsets go from 0 to the number of vectors, %zu; "
                        "these go from %" PRId64 " to %" PRId64,
                        path, v->rows, at[0], at[count - 1]);
    for (size_t i = 1; i < count; i++)
        if (at[i] < at[i - 1])
            return inv_fail(err, INV_INVALID,
                            "%s: offsets ascend; %" PRId64 " at %zu follows "
                            "%" PRId64,
                            path, at[i], i, at[i - 1]);
    return INV_OK;
}

static enum inv_status open_offsets(const char *path, struct inv_vectors *v,
                                    struct inv_err *err) {
    if (v->data.view.ndim != 2)
        return inv_fail(err, INV_INVALID,
                        "%s: offsets belong to an array of 2 dimensions, the "
                        "vectors have %zu",
                        path, v->data.view.ndim);
    enum inv_status status = inv_npy_open(path, &v->offsets, err);
    if (status == INV_OK)
        status = inv_npy_expect(&v->offsets.view, path, INV_NPY_I64, 1, err);
    if (status == INV_OK)
        status = check_offsets(path, v, err);
    if (status == INV_OK)
        v->count = v->offsets.view.count - 1;
    return status;
}

static enum inv_status open_scales(const char *path, struct inv_vectors *v,
                                   struct inv_err *err) {
    if (v->dtype != INV_I8)
        return inv_fail(err, INV_INVALID,
                        "%s: scales belong to int8 vectors, these are %s", path,
                        inv_dtype_name(v->dtype));
    enum inv_status status = inv_npy_open(path, &v->scales, err);
    if (status != INV_OK)
        return status;
    if (v->scales.view.dtype != INV_NPY_F16)
        return inv_fail(err, INV_INVALID, "%s: scales are f2, not %s", path,
                        inv_npy_dtype_name(v->scales.view.dtype));
    if (v->scales.view.count != v->rows)
        return inv_fail(err, INV_INVALID,
                        "%s: expected %zu scales, one a vector, got %zu", path,
                        v->rows, v->scales.view.count);
    return INV_OK;
}

enum inv_status inv_vectors_open(const char *data, const char *offsets,
                                 const char *scales,
                                 struct inv_vectors *vectors,
                                 struct inv_err *err) {
    struct inv_vectors v = {.count = 0};
    enum inv_status status = inv_npy_open(data, &v.data, err);
    if (status == INV_OK)
        status = read_shape(data, &v, err);
    if (status == INV_OK && offsets != NULL)
        status = open_offsets(offsets, &v, err);
    if (status == INV_OK && scales != NULL)
        status = open_scales(scales, &v, err);
    if (status == INV_OK && scales == NULL && v.dtype == INV_I8)
        status =
            inv_fail(err, INV_INVALID,
                     "%s: int8 vectors need a scale each: --scales FILE", data);
    if (status != INV_OK) {
        inv_vectors_close(&v);
        return status;
    }
    *vectors = v;
    return INV_OK;
}

void inv_vectors_close(struct inv_vectors *vectors) {
    inv_npy_close(&vectors->data);
    inv_npy_close(&vectors->offsets);
    inv_npy_close(&vectors->scales);
    vectors->count = 0;
}

struct inv_codes inv_vectors_at(const struct inv_vectors *v, size_t i) {
    static const size_t sizes[] = {[INV_F32] = 4, [INV_F16] = 2, [INV_I8] = 1};
    const int64_t *at = v->offsets.view.data;
    size_t from = at != NULL ? (size_t)at[i] : i * v->rows_each;
    size_t to = at != NULL ? (size_t)at[i + 1] : from + v->rows_each;
    const uint16_t *scales = v->scales.view.data;
    return (struct inv_codes){
        .data =
            (const char *)v->data.view.data + from * v->dim * sizes[v->dtype],
        .scales = scales == NULL ? NULL : scales + from,
        .dtype = v->dtype,
        .rows = to - from,
        .dim = v->dim,
    };
}

/* ---- frames ---- */

static void put_u32(struct inv_buf *out, size_t x) {
    const unsigned char bytes[] = {(unsigned char)x, (unsigned char)(x >> 8),
                                   (unsigned char)(x >> 16),
                                   (unsigned char)(x >> 24)};
    inv_buf_append(out, bytes, sizeof bytes);
}

static size_t data_bytes(const struct inv_codes *codes) {
    size_t count = codes->rows * codes->dim;
    return codes->dtype == INV_F32   ? count * 4
           : codes->dtype == INV_F16 ? count * 2
                                     : count;
}

void inv_vectors_put_magic(struct inv_buf *out) {
    inv_buf_append(out, "INVB", 4);
    put_u32(out, 1);
}

void inv_vectors_put_frame(struct inv_buf *out, const char *id, size_t id_len,
                           const struct inv_codes *codes, const char *payload,
                           size_t payload_len) {
    inv_buf_putc(out, (char)(id_len & 0xff));
    inv_buf_putc(out, (char)(id_len >> 8));
    inv_buf_append(out, id, id_len);
    put_u32(out, codes->rows);
    put_u32(out, codes->dim);
    inv_buf_putc(out, (char)codes->dtype);
    if (codes->dtype == INV_I8)
        inv_buf_append(out, codes->scales, codes->rows * 2);
    inv_buf_append(out, codes->data, data_bytes(codes));
    put_u32(out, payload == NULL ? 0 : payload_len);
    if (payload != NULL)
        inv_buf_append(out, payload, payload_len);
}

void inv_vectors_put_json(struct inv_buf *out, const struct inv_codes *codes,
                          bool plural, bool binary) {
    struct inv_codes part = *codes;
    if (!plural)
        part.rows = 1;
    if (!binary) {
        inv_json_put_codes(out, &part, plural);
        return;
    }
    inv_buf_puts(out, "{\"b64\":\"");
    inv_base64_encode(out, part.data, data_bytes(&part));
    inv_buf_printf(out, "\",\"dtype\":\"%s\",\"shape\":[",
                   inv_dtype_name(part.dtype));
    if (plural)
        inv_buf_printf(out, "%zu,", part.rows);
    inv_buf_printf(out, "%zu]", part.dim);
    if (part.dtype == INV_I8) {
        inv_buf_puts(out, ",\"scale\":\"");
        inv_base64_encode(out, part.scales, part.rows * 2);
        inv_buf_putc(out, '"');
    }
    inv_buf_putc(out, '}');
}
