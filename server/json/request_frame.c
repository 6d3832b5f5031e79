/*
 * request_frame.c: the framed binary stream of bulk uploads, drawn in
 * requests.h. One frame at a time, from bytes that may have been sent by
 * anybody: lengths are checked against the limits before they are believed.
 * Does not know where the bytes come from. Pure functions, any thread.
 */
#include "base/utf8.h"
#include "server/json/json_internal.h"
#include "server/requests.h"

#include <string.h>

#define FRAME_VERSION 1

enum inv_status inv_frame_magic(const void *bytes, struct inv_err *err) {
    const unsigned char *p = bytes;
    if (memcmp(p, "INVB", 4) != 0)
        return inv_fail(err, INV_INVALID,
                        "not a stream of frames: it must begin with INVB");
    uint32_t version = (uint32_t)p[4] | (uint32_t)p[5] << 8 |
                       (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;
    if (version != FRAME_VERSION)
        return inv_fail(err, INV_INVALID,
                        "frames of version %u, only version %d is known",
                        version, FRAME_VERSION);
    return INV_OK;
}

static uint32_t read_u32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* Where the parts of a frame are, as far as `len` bytes tell. */
struct layout {
    size_t id_len, rows, dim;
    enum inv_dtype dtype;
    size_t scales, data, payload; /* offsets; payload: of its length */
    size_t payload_len;
    size_t need; /* > len: the rest is not known yet */
};

static enum inv_status check_shape(const struct layout *layout,
                                   const struct inv_json_limits *limits,
                                   struct inv_err *err) {
    if (layout->rows < 1 || layout->rows > limits->max_rows)
        return inv_fail(err, INV_INVALID,
                        "a document must have 1 to %zu vectors, got %zu",
                        limits->max_rows, layout->rows);
    if (layout->dim < 1 || layout->dim > limits->max_dim)
        return inv_fail(err, INV_INVALID,
                        "a vector must have 1 to %zu dimensions, got %zu",
                        limits->max_dim, layout->dim);
    return INV_OK;
}

static enum inv_status lay_out(const unsigned char *p, size_t len,
                               const struct inv_json_limits *limits,
                               struct layout *out, struct inv_err *err) {
    static const size_t sizes[] = {[INV_F32] = 4, [INV_F16] = 2, [INV_I8] = 1};
    struct layout *layout = out;
    layout->need = 2;
    if (len < layout->need)
        return INV_OK;
    layout->id_len = (size_t)p[0] | (size_t)p[1] << 8;
    if (layout->id_len < 1 || layout->id_len > INV_ID_MAX)
        return inv_fail(err, INV_INVALID,
                        "an id must have 1 to %d bytes, got %zu", INV_ID_MAX,
                        layout->id_len);
    size_t shape = 2 + layout->id_len;
    layout->need = shape + 9;
    if (len < layout->need)
        return INV_OK;
    layout->rows = read_u32(p + shape);
    layout->dim = read_u32(p + shape + 4);
    unsigned dtype = p[shape + 8];
    enum inv_status status = check_shape(layout, limits, err);
    if (status != INV_OK)
        return status;
    if (dtype < INV_F32 || dtype > INV_I8)
        return inv_fail(err, INV_INVALID,
                        "dtype must be 1 (f32), 2 (f16) or 3 (i8), got %u",
                        dtype);
    layout->dtype = (enum inv_dtype)dtype;
    layout->scales = shape + 9;
    layout->data =
        layout->scales + (layout->dtype == INV_I8 ? layout->rows * 2 : 0);
    layout->payload = layout->data + layout->rows * layout->dim * sizes[dtype];
    layout->need = layout->payload + 4;
    if (len < layout->need)
        return INV_OK;
    layout->payload_len = read_u32(p + layout->payload);
    if (layout->payload_len > INV_PAYLOAD_MAX)
        return inv_fail(err, INV_INVALID,
                        "a payload may have %zu bytes, got %zu",
                        INV_PAYLOAD_MAX, layout->payload_len);
    layout->need += layout->payload_len;
    return INV_OK;
}

enum inv_status inv_frame_need(const void *bytes, size_t len,
                               const struct inv_json_limits *limits,
                               size_t *need, struct inv_err *err) {
    struct layout layout = {.need = 0};
    enum inv_status status = lay_out(bytes, len, limits, &layout, err);
    if (status == INV_OK)
        *need = layout.need;
    return status;
}

/* Copies out of the stream, where nothing is aligned. */
static void *copy(struct inv_arena *arena, const unsigned char *from,
                  size_t size) {
    void *to = inv_arena_alloc(arena, size);
    if (to != NULL)
        memcpy(to, from, size);
    return to;
}

static enum inv_status read_vectors(const unsigned char *p,
                                    const struct layout *layout,
                                    struct inv_arena *arena,
                                    struct inv_given *out,
                                    struct inv_err *err) {
    struct inv_given given = {.plural = layout->rows != 1};
    given.codes.dtype = layout->dtype;
    given.codes.rows = layout->rows;
    given.codes.dim = layout->dim;
    size_t size = layout->payload - layout->data;
    given.codes.data = copy(arena, p + layout->data, size);
    bool copied = given.codes.data != NULL;
    if (layout->dtype == INV_I8) {
        given.codes.scales = copy(arena, p + layout->scales, layout->rows * 2);
        copied = copied && given.codes.scales != NULL;
    }
    if (!copied)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes", size);
    enum inv_status status = inv_given_decode(&given, arena, err);
    if (status == INV_OK)
        *out = given;
    return status;
}

enum inv_status inv_frame_parse(const void *bytes, size_t need,
                                struct inv_arena *arena, struct inv_frame *out,
                                struct inv_err *err) {
    static const struct inv_json_limits widest = {INV_DIM_MAX,
                                                  INV_DOC_TOKENS_MAX};
    const unsigned char *p = bytes;
    struct layout layout = {.need = 0};
    enum inv_status status = lay_out(p, need, &widest, &layout, err);
    if (status != INV_OK)
        return status;
    if (layout.need != need)
        return inv_fail(err, INV_INVALID,
                        "a frame of %zu bytes, but its fields ask for %zu",
                        need, layout.need);
    struct inv_frame frame = {.id_len = layout.id_len};
    size_t bad;
    const char *id = (const char *)p + 2;
    if (memchr(id, '\0', layout.id_len) != NULL)
        return inv_fail(err, INV_INVALID, "an id must not hold a NUL");
    if (!inv_utf8_valid(id, layout.id_len, &bad))
        return inv_fail(err, INV_INVALID,
                        "an id must be UTF-8: byte %zu of %zu is not", bad,
                        layout.id_len);
    frame.id = inv_arena_strndup(arena, id, layout.id_len);
    if (frame.id == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes",
                        layout.id_len);
    status = read_vectors(p, &layout, arena, &frame.given, err);
    if (status != INV_OK)
        return status;
    if (layout.payload_len > 0) {
        frame.payload = (const char *)p + layout.payload + 4;
        frame.payload_len = layout.payload_len;
    }
    *out = frame;
    return INV_OK;
}
