/*
 * json_vectors.c: the vectors of a member, whichever way they were given: an
 * array that the scanner has cut out already, or an object with base64. Also
 * turns codes as sent into floats, for the binary frames. Does not know
 * collections: whether the dimension fits is for others to say. Any thread.
 */
#include "base/base64.h"
#include "base/kernels.h"
#include "server/json/json_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum inv_status check_shape(size_t rows, size_t dim,
                                   const struct inv_json_limits *limits,
                                   struct inv_err *err) {
    if (dim > limits->max_dim)
        return inv_fail(err, INV_INVALID,
                        "a vector of %zu numbers; at most %zu are allowed", dim,
                        limits->max_dim);
    if (rows > limits->max_rows)
        return inv_fail(err, INV_INVALID,
                        "a matrix of %zu vectors; at most %zu are allowed",
                        rows, limits->max_rows);
    return INV_OK;
}

static enum inv_status check_values(const struct inv_matrix *matrix,
                                    struct inv_err *err) {
    size_t count = matrix->rows * matrix->dim;
    if (inv_all_within(matrix->data, count, INV_VALUE_ABS_MAX))
        return INV_OK;
    size_t i = 0;
    while (i + 1 < count && fabsf(matrix->data[i]) <= INV_VALUE_ABS_MAX)
        i++;
    return inv_fail(err, INV_NOT_FINITE,
                    "number %zu of vector %zu is %g (at most %g either way)",
                    i % matrix->dim, i / matrix->dim, (double)matrix->data[i],
                    (double)INV_VALUE_ABS_MAX);
}

enum inv_status inv_given_decode(struct inv_given *given,
                                 struct inv_arena *arena, struct inv_err *err) {
    const struct inv_codes *codes = &given->codes;
    struct inv_matrix matrix = {NULL, codes->rows, codes->dim};
    matrix.data = inv_arena_alloc(arena, matrix.rows * matrix.dim * 4);
    if (matrix.data == NULL)
        return inv_fail(err, INV_MEMORY,
                        "out of memory for %zu vectors of %zu numbers",
                        matrix.rows, matrix.dim);
    size_t count = matrix.rows * matrix.dim;
    switch (codes->dtype) {
    case INV_F32:
        memcpy(matrix.data, codes->data, count * 4);
        break;
    case INV_F16:
        inv_f32_from_f16(codes->data, matrix.data, count);
        break;
    case INV_I8:
        for (size_t row = 0; row < matrix.rows; row++)
            inv_f32_from_i8((const int8_t *)codes->data + row * matrix.dim,
                            codes->scales[row], matrix.data + row * matrix.dim,
                            matrix.dim);
        break;
    }
    enum inv_status status = check_values(&matrix, err);
    if (status == INV_OK)
        given->matrix = matrix;
    return status;
}

/* Decodes the base64 member `key`, which must give exactly `want` bytes. */
static enum inv_status decode_member(const inv_json *object, const char *at,
                                     const char *key, size_t want,
                                     struct inv_arena *arena, const void **out,
                                     struct inv_err *err) {
    const char *text = NULL;
    size_t len = 0;
    enum inv_status status =
        inv_json_get_string(object, at, key, INV_BODY_MAX, &text, &len, err);
    if (status != INV_OK)
        return status;
    if (text == NULL) {
        status = inv_fail(err, INV_INVALID, "\"%s\" is missing", key);
        inv_err_at(err, "%s", at);
        return status;
    }
    size_t given = inv_base64_size(text, len);
    if (given != want) {
        status = inv_fail(err, INV_INVALID,
                          "\"%s\" holds %zu bytes where shape and dtype ask "
                          "for %zu",
                          key, given, want);
        return inv_json_point(err, status, at, key);
    }
    void *bytes = inv_arena_alloc(arena, want);
    if (bytes == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes", want);
    size_t size;
    status = inv_base64_decode(text, len, bytes, want, &size, err);
    if (status != INV_OK)
        return inv_json_point(err, status, at, key);
    *out = bytes;
    return INV_OK;
}

static enum inv_status read_dtype(const inv_json *object, const char *at,
                                  enum inv_dtype *out, struct inv_err *err) {
    const char *name = "f32";
    enum inv_status status = inv_json_get_string(
        object, at, "dtype", INV_NAME_MAX, &name, NULL, err);
    if (status != INV_OK)
        return status;
    *out = inv_dtype_parse(name);
    if (*out != INV_F32 && *out != INV_F16 && *out != INV_I8) {
        status = inv_fail(err, INV_INVALID,
                          "\"dtype\" must be f32, f16 or i8, got \"%s\"", name);
        return inv_json_point(err, status, at, "dtype");
    }
    return INV_OK;
}

/* [rows, dim], or [dim] for one vector. */
static enum inv_status read_shape(const inv_json *object, const char *at,
                                  bool plural,
                                  const struct inv_json_limits *limits,
                                  struct inv_codes *codes,
                                  struct inv_err *err) {
    uint32_t shape[2] = {1, 1};
    size_t count = 0;
    enum inv_status status = inv_json_get_ints(
        object, at, "shape", 1, INT32_MAX, shape, 2, &count, err);
    if (status != INV_OK)
        return status;
    codes->rows = count == 2 ? shape[0] : 1;
    codes->dim = count == 2 ? shape[1] : shape[0];
    if (count == 0 || (plural && count != 2))
        status = inv_fail(err, INV_INVALID, "\"shape\" must be %s",
                          plural ? "[vectors, dimensions]" : "[dimensions]");
    else if (!plural && codes->rows != 1)
        status = inv_fail(err, INV_INVALID,
                          "expected 1 vector, got %zu: several go under "
                          "\"vectors\"",
                          codes->rows);
    else
        status = check_shape(codes->rows, codes->dim, limits, err);
    if (status != INV_OK)
        inv_err_at(err, "%s/shape", at);
    return status;
}

static enum inv_status from_base64(const inv_json *object, const char *at,
                                   const struct inv_json_limits *limits,
                                   struct inv_arena *arena,
                                   struct inv_given *out, struct inv_err *err) {
    static const char *const fields[] = {"b64", "dtype", "shape", "scale",
                                         NULL};
    struct inv_codes *codes = &out->codes;
    enum inv_status status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status = read_dtype(object, at, &codes->dtype, err);
    if (status == INV_OK)
        status = read_shape(object, at, out->plural, limits, codes, err);
    if (status != INV_OK)
        return status;
    static const size_t sizes[] = {[INV_F32] = 4, [INV_F16] = 2, [INV_I8] = 1};
    size_t bytes = codes->rows * codes->dim * sizes[codes->dtype];
    status = decode_member(object, at, "b64", bytes, arena, &codes->data, err);
    if (status != INV_OK)
        return status;
    const void *scales = NULL;
    if (codes->dtype == INV_I8) {
        status = decode_member(object, at, "scale", codes->rows * 2, arena,
                               &scales, err);
        if (status != INV_OK)
            return status;
    } else if (inv_json_get(object, "scale") != NULL) {
        status = inv_fail(err, INV_INVALID,
                          "\"scale\" belongs to dtype i8, this is %s",
                          inv_dtype_name(codes->dtype));
        return inv_json_point(err, status, at, "scale");
    }
    codes->scales = scales;
    status = inv_given_decode(out, arena, err);
    if (status != INV_OK && status != INV_MEMORY)
        inv_json_point(err, status, at, "b64");
    return status;
}

enum inv_status inv_json_get_vectors(const struct inv_json_doc *doc,
                                     const inv_json *object, const char *at,
                                     const char *key,
                                     const struct inv_json_limits *limits,
                                     struct inv_given *out,
                                     struct inv_err *err) {
    *out = (struct inv_given){.plural = strcmp(key, "vectors") == 0};
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    enum inv_json_kind kind = inv_json_kind(value);
    if (kind == INV_JSON_OBJECT) {
        char below[INV_POINTER_MAX];
        snprintf(below, sizeof below, "%s/%s", at, key);
        struct inv_given given = *out;
        enum inv_status status =
            from_base64(value, below, limits, doc->arena, &given, err);
        if (status == INV_OK)
            *out = given;
        return status;
    }
    /* An integer here is always a placeholder: the scanner lets no other
     * through. */
    if (kind != INV_JSON_INT ||
        (uint64_t)inv_json_int(value) >= doc->vector_count)
        return inv_json_wrong_type(
            err, value, at, key,
            "an array of numbers or an object with \"b64\"");
    const struct inv_given *given = &doc->vectors[inv_json_int(value)];
    enum inv_status status =
        check_shape(given->matrix.rows, given->matrix.dim, limits, err);
    if (status != INV_OK)
        return inv_json_point(err, status, at, key);
    *out = *given;
    return INV_OK;
}
