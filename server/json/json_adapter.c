/*
 * json_adapter.c: adapters to bytes and back; see adapter_file.h. Knows neither
 * ZIP nor safetensors, only arrays under names and the JSON beside them. Any
 * thread.
 */
#include "server/json/adapter_file.h"
#include "server/json/json.h"

#include <stdlib.h>
#include <string.h>

#define ABOUT "adapter.json"
#define FORMAT "invar-adapter/1"
#define ARRAYS 6 /* without the JSON */

static const char *const formats[] = {"npz", "safetensors"};

const char *inv_adapter_format_name(enum inv_adapter_format format) {
    return formats[format];
}

enum inv_status inv_adapter_format_parse(const char *name,
                                         enum inv_adapter_format *out,
                                         struct inv_err *err) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i]) == 0) {
            *out = (enum inv_adapter_format)i;
            return INV_OK;
        }
    return inv_fail(err, INV_INVALID,
                    "an adapter is npz or safetensors, not \"%.32s\"", name);
}

/* ---- writing ---- */

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    inv_buf_printf(out, "\"%s\":", key);
    inv_json_put_string(out, value, strlen(value));
    inv_buf_putc(out, ',');
}

/* What is known of the adapter but its numbers. */
static void describe(const struct inv_adapter_parts *parts, const char *report,
                     struct inv_buf *out) {
    inv_buf_puts(out, "{\"format\":\"" FORMAT "\",");
    put_text(out, "kind", inv_adapter_kind_name(parts->kind));
    put_text(out, "direction", inv_adapter_direction_name(parts->direction));
    put_text(out, "from", parts->from);
    put_text(out, "to", parts->to);
    inv_buf_printf(out, "\"rows\":%zu,\"cols\":%zu,\"normalise\":%s,",
                   parts->rows, parts->cols,
                   parts->normalise ? "true" : "false");
    if (parts->blend.base > 0) {
        inv_buf_printf(out, "\"base\":%zu,\"share\":", parts->blend.base);
        inv_json_put_float(out, parts->blend.share);
        inv_buf_putc(out, ',');
    }
    inv_buf_puts(out, "\"report\":");
    inv_buf_puts(out, report != NULL ? report : "{}");
    inv_buf_putc(out, '}');
}

static struct inv_array floats(const char *name, const float *data, size_t rows,
                               size_t cols) {
    struct inv_array array = {.dtype = INV_NPY_F32,
                              .ndim = cols > 0 ? 2 : 1,
                              .shape = {rows, cols},
                              .data = data,
                              .bytes =
                                  rows * (cols > 0 ? cols : 1) * sizeof *data};
    memcpy(array.name, name, strlen(name) + 1);
    return array;
}

enum inv_status inv_adapter_write(const struct inv_adapter *adapter,
                                  enum inv_adapter_format format,
                                  const char *report, struct inv_buf *out,
                                  struct inv_err *err) {
    struct inv_adapter_parts p = inv_adapter_parts(adapter);
    struct inv_array arrays[ARRAYS + 1] = {
        floats("matrix", p.matrix, p.rows, p.cols),
        floats("bias", p.bias, p.rows, 0),
    };
    struct inv_buf about = INV_BUF_INIT;
    size_t count = 2;
    if (p.fold.dim > 0) {
        arrays[count++] = floats("s_new", p.fold.s_new, p.fold.dim, p.cols);
        arrays[count++] =
            floats("s_new_bias", p.fold.s_new_bias, p.fold.dim, 0);
        arrays[count++] = floats("s_old", p.fold.s_old, p.fold.dim, p.rows);
        arrays[count++] = floats("beta", &p.fold.beta, 1, 0);
    }
    describe(&p, report, &about);
    if (format == INV_ADAPTER_NPZ && !about.failed) {
        arrays[count++] = (struct inv_array){.name = ABOUT,
                                             .dtype = INV_NPY_U8,
                                             .ndim = 1,
                                             .shape = {about.len, 0},
                                             .data = about.data,
                                             .bytes = about.len};
        inv_npz_write(arrays, count, out);
    } else if (!about.failed) {
        inv_safetensors_write(arrays, count, about.data, about.len, out);
    }
    bool failed = about.failed || out->failed;
    inv_buf_release(&about);
    return failed ? inv_fail(err, INV_MEMORY,
                             "out of memory writing an adapter of %zu x %zu",
                             p.rows, p.cols)
                  : INV_OK;
}

/* ---- reading: the JSON ---- */

static enum inv_status parse_about(const struct inv_arrays *arrays,
                                   inv_json **about, struct inv_err *err) {
    const struct inv_array *text = inv_arrays_find(arrays, ABOUT);
    struct inv_err why = {.text = ""};
    if (text == NULL)
        return INV_OK;
    enum inv_status status =
        inv_json_parse_plain(text->data, text->bytes, about, &why);
    if (status != INV_OK)
        return inv_fail(err, status, ABOUT ": %s", why.text);
    if (inv_json_kind(*about) == INV_JSON_OBJECT)
        return INV_OK;
    return inv_fail(err, INV_INVALID, ABOUT " is %s, not an object",
                    inv_json_kind_name(inv_json_kind(*about)));
}

/* A string that must be there. */
static enum inv_status text_of(const inv_json *about, const char *key,
                               const char **out, struct inv_err *err) {
    size_t len = 0;
    *out = NULL;
    enum inv_status status =
        inv_json_get_string(about, "", key, INV_SPACE_NAME_MAX, out, &len, err);
    if (status == INV_OK && *out == NULL)
        return inv_fail(err, INV_INVALID, ABOUT " has no \"%s\"", key);
    return status;
}

static enum inv_status kind_of(const inv_json *about,
                               struct inv_adapter_parts *parts,
                               struct inv_err *err) {
    const char *kind, *direction;
    enum inv_status status = text_of(about, "kind", &kind, err);
    if (status == INV_OK)
        status = text_of(about, "direction", &direction, err);
    if (status != INV_OK)
        return status;
    parts->kind = inv_adapter_kind_parse(kind);
    parts->direction = strcmp(direction, "forward") == 0 ? INV_ADAPTER_FORWARD
                                                         : INV_ADAPTER_BACKWARD;
    if (parts->kind == INV_ADAPTER_KINDS)
        return inv_fail(err, INV_INVALID,
                        ABOUT " has the unknown kind \"%.32s\"", kind);
    if (strcmp(direction, inv_adapter_direction_name(parts->direction)) != 0)
        return inv_fail(err, INV_INVALID,
                        ABOUT " has the direction \"%.32s\", not forward or "
                              "backward",
                        direction);
    return INV_OK;
}

/* "base" and "share" of a blend, where it is one. */
static enum inv_status blend_of(const inv_json *about,
                                struct inv_adapter_blend *blend,
                                struct inv_err *err) {
    const inv_json *share = inv_json_get(about, "share");
    int64_t base = 0;
    enum inv_status status =
        inv_json_get_int(about, "", "base", 1, INT32_MAX, &base, err);
    if (status != INV_OK)
        return status;
    bool number = share != NULL && (inv_json_kind(share) == INV_JSON_REAL ||
                                    inv_json_kind(share) == INV_JSON_INT);
    if ((base > 0) != number || (share != NULL && !number))
        return inv_fail(err, INV_INVALID,
                        ABOUT " needs \"base\" and the number \"share\" "
                              "together");
    blend->base = (size_t)base;
    blend->share = number ? (float)inv_json_real(share) : 0;
    return INV_OK;
}

/* The adapter but its numbers; the strings live as long as `about`. */
static enum inv_status understand(const inv_json *about,
                                  struct inv_adapter_parts *parts,
                                  struct inv_err *err) {
    const char *format;
    int64_t rows = 0, cols = 0;
    *parts = (struct inv_adapter_parts){.normalise = true};
    enum inv_status status = text_of(about, "format", &format, err);
    if (status == INV_OK && strcmp(format, FORMAT) != 0)
        status = inv_fail(err, INV_INVALID,
                          ABOUT " has the format \"%.32s\"; " FORMAT " is read",
                          format);
    if (status == INV_OK)
        status = kind_of(about, parts, err);
    if (status == INV_OK)
        status = text_of(about, "from", &parts->from, err);
    if (status == INV_OK)
        status = text_of(about, "to", &parts->to, err);
    if (status == INV_OK)
        status =
            inv_json_get_bool(about, "", "normalise", &parts->normalise, err);
    if (status == INV_OK)
        status = inv_json_get_int(about, "", "rows", 0, INT32_MAX, &rows, err);
    if (status == INV_OK)
        status = inv_json_get_int(about, "", "cols", 0, INT32_MAX, &cols, err);
    if (status == INV_OK)
        status = blend_of(about, &parts->blend, err);
    parts->rows = (size_t)rows;
    parts->cols = (size_t)cols;
    return status;
}

static void keep_report(const inv_json *about, struct inv_buf *report) {
    const inv_json *value =
        about != NULL ? inv_json_get(about, "report") : NULL;
    if (report == NULL)
        return;
    inv_buf_reset(report);
    if (value != NULL && inv_json_kind(value) == INV_JSON_OBJECT)
        inv_json_write(value, report);
    else
        inv_buf_puts(report, "{}");
}

/* ---- reading: the arrays ---- */

/* An array of that shape as floats (cols 0: one dimension); *out stays NULL
 * when there is none. */
static enum inv_status take(const struct inv_arrays *arrays, const char *name,
                            size_t rows, size_t cols, float **out,
                            struct inv_err *err) {
    const struct inv_array *array = inv_arrays_find(arrays, name);
    size_t count;
    if (array == NULL)
        return INV_OK;
    size_t given = array->ndim == 2 ? array->shape[1] : 0;
    if (array->shape[0] != rows || given != cols ||
        array->ndim != (cols > 0 ? 2 : 1))
        return inv_fail(err, INV_DIMENSION,
                        "\"%s\" has the shape %zu x %zu, expected %zu x %zu",
                        name, array->shape[0], array->ndim == 2 ? given : 1,
                        rows, cols > 0 ? cols : 1);
    return inv_array_floats(array, out, &count, err);
}

/* Nothing is there that would silently be left aside. */
static enum inv_status check_names(const struct inv_arrays *arrays,
                                   struct inv_err *err) {
    static const char *const known[] = {"matrix", "bias", "s_new", "s_new_bias",
                                        "s_old",  "beta", ABOUT};
    for (size_t i = 0; i < arrays->count; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found = found || strcmp(arrays->items[i].name, known[k]) == 0;
        if (!found)
            return inv_fail(err, INV_INVALID,
                            "an adapter has matrix, bias and, of kind simplex, "
                            "s_new, s_new_bias, s_old and beta, not \"%s\"",
                            arrays->items[i].name);
    }
    return INV_OK;
}

struct numbers {
    float *matrix, *bias, *s_new, *s_new_bias, *s_old, *beta;
};

static void numbers_release(struct numbers *n) {
    free(n->matrix);
    free(n->bias);
    free(n->s_new);
    free(n->s_new_bias);
    free(n->s_old);
    free(n->beta);
}

static enum inv_status take_fold(const struct inv_arrays *arrays,
                                 struct inv_adapter_parts *parts,
                                 struct numbers *n, struct inv_err *err) {
    const struct inv_array *s_new = inv_arrays_find(arrays, "s_new");
    const struct inv_array *s_old = inv_arrays_find(arrays, "s_old");
    const struct inv_array *beta = inv_arrays_find(arrays, "beta");
    if (s_new == NULL && s_old == NULL && beta == NULL)
        return INV_OK;
    if (s_new == NULL || s_old == NULL || beta == NULL)
        return inv_fail(err, INV_INVALID,
                        "s_new, s_old and beta belong together; \"%s\" is "
                        "missing",
                        s_new == NULL   ? "s_new"
                        : s_old == NULL ? "s_old"
                                        : "beta");
    size_t dim = s_new->shape[0];
    enum inv_status status =
        take(arrays, "s_new", dim, parts->cols, &n->s_new, err);
    if (status == INV_OK)
        status = take(arrays, "s_new_bias", dim, 0, &n->s_new_bias, err);
    if (status == INV_OK)
        status = take(arrays, "s_old", dim, parts->rows, &n->s_old, err);
    if (status == INV_OK)
        status = take(arrays, "beta", 1, 0, &n->beta, err);
    if (status == INV_OK && dim < 1)
        return inv_fail(err, INV_DIMENSION, "\"s_new\" has 0 rows");
    if (status == INV_OK)
        parts->fold = (struct inv_adapter_fold){.dim = dim,
                                                .s_new = n->s_new,
                                                .s_new_bias = n->s_new_bias,
                                                .s_old = n->s_old,
                                                .beta = *n->beta};
    return status;
}

static enum inv_status take_numbers(const struct inv_arrays *arrays,
                                    struct inv_adapter_parts *parts,
                                    struct numbers *n, struct inv_err *err) {
    const struct inv_array *matrix = inv_arrays_find(arrays, "matrix");
    if (matrix == NULL || matrix->ndim != 2)
        return inv_fail(err, INV_INVALID,
                        "an adapter needs \"matrix\" with 2 dimensions, %s",
                        matrix == NULL ? "there is none" : "it has 1");
    if ((parts->rows > 0 && parts->rows != matrix->shape[0]) ||
        (parts->cols > 0 && parts->cols != matrix->shape[1]))
        return inv_fail(err, INV_DIMENSION,
                        ABOUT " says %zu x %zu, \"matrix\" is %zu x %zu",
                        parts->rows, parts->cols, matrix->shape[0],
                        matrix->shape[1]);
    parts->rows = matrix->shape[0];
    parts->cols = matrix->shape[1];
    if (parts->rows < 1 || parts->cols < 1)
        return inv_fail(err, INV_DIMENSION, "\"matrix\" is %zu x %zu",
                        parts->rows, parts->cols);
    enum inv_status status =
        take(arrays, "matrix", parts->rows, parts->cols, &n->matrix, err);
    if (status == INV_OK)
        status = take(arrays, "bias", parts->rows, 0, &n->bias, err);
    parts->matrix = n->matrix;
    parts->bias = n->bias;
    return status == INV_OK ? take_fold(arrays, parts, n, err) : status;
}

/* ---- reading ---- */

static enum inv_status read_arrays(const void *bytes, size_t len,
                                   struct inv_arrays *arrays,
                                   struct inv_err *err) {
    bool zip = len >= 4 && memcmp(bytes, "PK\x03\x04", 4) == 0;
    if (!zip && (len < 9 || ((const char *)bytes)[8] != '{'))
        return inv_fail(err, INV_INVALID,
                        "%zu bytes that are neither .npz nor .safetensors",
                        len);
    enum inv_status status =
        zip ? inv_npz_read(bytes, len, arrays, err)
            : inv_safetensors_read(bytes, len, arrays, err);
    return status == INV_OK ? check_names(arrays, err) : status;
}

enum inv_status inv_adapter_read(const void *bytes, size_t len,
                                 const struct inv_adapter_parts *unless,
                                 struct inv_adapter **out,
                                 struct inv_buf *report, struct inv_err *err) {
    struct inv_arrays arrays = {.count = 0};
    struct inv_adapter_parts parts = {.rows = 0};
    struct numbers numbers = {.matrix = NULL};
    inv_json *about = NULL;
    enum inv_status status = read_arrays(bytes, len, &arrays, err);
    if (status == INV_OK)
        status = parse_about(&arrays, &about, err);
    if (status == INV_OK && about != NULL)
        status = understand(about, &parts, err);
    else if (status == INV_OK && unless == NULL)
        status = inv_fail(err, INV_INVALID,
                          "the file has no \"" ABOUT "\" that says what the "
                          "adapter is");
    else if (status == INV_OK)
        parts = (struct inv_adapter_parts){.kind = unless->kind,
                                           .direction = unless->direction,
                                           .from = unless->from,
                                           .to = unless->to,
                                           .normalise = unless->normalise};
    if (status == INV_OK)
        status = take_numbers(&arrays, &parts, &numbers, err);
    if (status == INV_OK)
        status = inv_adapter_new(&parts, out, err);
    if (status == INV_OK)
        keep_report(about, report);
    numbers_release(&numbers);
    inv_json_free(about);
    inv_arrays_release(&arrays);
    return status;
}
