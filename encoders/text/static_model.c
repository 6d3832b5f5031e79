/*
 * static_model.c: see static_model.h. Rows of an int8 table, times the scale
 * of the row and, for queries and single vectors, the weight of the token.
 *
 * Knows nothing of collections or requests; model.json is for people and for
 * the layer that lists models, the shapes here come from the arrays. Immutable
 * once opened: any thread.
 */
#include "encoders/text/static_model.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/npy.h"
#include "encoders/text/wordpiece.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct inv_static_model {
    struct inv_wordpiece *wordpiece;
    struct inv_npy table; /* size x dim, int8 */
    float *scale;         /* size, from f16: 120 kB each, read per token */
    float *weight;
    size_t size;
    size_t dim;
};

/* dir/name */
static enum inv_status make_path(char *out, size_t cap, const char *dir,
                                 const char *name, struct inv_err *err) {
    int n = snprintf(out, cap, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= cap)
        return inv_fail(err, INV_INVALID,
                        "the path of a model has more than %zu bytes", cap - 1);
    return INV_OK;
}

/* An array that is not what it should be is damaged data, not a bad request. */
static enum inv_status damaged(enum inv_status status, struct inv_err *err) {
    if (status != INV_INVALID)
        return status;
    if (err != NULL)
        err->status = INV_CORRUPT;
    return INV_CORRUPT;
}

static enum inv_status open_array(const char *dir, const char *name,
                                  enum inv_npy_dtype dtype, size_t ndim,
                                  struct inv_npy *npy, struct inv_err *err) {
    char path[PATH_MAX];
    enum inv_status status = make_path(path, sizeof path, dir, name, err);
    if (status != INV_OK)
        return status;
    status = inv_npy_open(path, npy, err);
    if (status == INV_OK) {
        status = inv_npy_expect(&npy->view, path, dtype, ndim, err);
        if (status != INV_OK)
            inv_npy_close(npy);
    }
    return damaged(status, err);
}

static enum inv_status check_rows(const char *dir, const char *name,
                                  size_t expected, size_t got,
                                  struct inv_err *err) {
    if (expected == got)
        return INV_OK;
    return inv_fail(err, INV_CORRUPT,
                    "%s/%s: expected %zu rows, one for each entry of the "
                    "vocabulary, got %zu",
                    dir, name, expected, got);
}

/* An f16 number for each vocabulary entry, as new floats. */
static enum inv_status read_column(const char *dir, const char *name,
                                   size_t size, float **out,
                                   struct inv_err *err) {
    struct inv_npy npy;
    enum inv_status status = open_array(dir, name, INV_NPY_F16, 1, &npy, err);
    if (status != INV_OK)
        return status;
    status = check_rows(dir, name, size, npy.view.shape[0], err);
    float *values = NULL;
    if (status == INV_OK) {
        values = malloc((size + 1) * sizeof *values);
        if (values == NULL)
            status = inv_fail(err, INV_MEMORY, "out of memory reading %s/%s",
                              dir, name);
    }
    if (status == INV_OK) {
        inv_f32_from_f16(npy.view.data, values, size);
        if (!inv_all_within(values, size, INV_F16_MAX))
            status =
                inv_fail(err, INV_CORRUPT,
                         "%s/%s holds a number that is not finite", dir, name);
    }
    inv_npy_close(&npy);
    if (status == INV_OK)
        *out = values;
    else
        free(values);
    return status;
}

static enum inv_status open_vocabulary(const char *dir,
                                       struct inv_wordpiece **out,
                                       struct inv_err *err) {
    char path[PATH_MAX];
    enum inv_status status =
        make_path(path, sizeof path, dir, "vocab.txt", err);
    if (status == INV_OK && access(path, F_OK) != 0)
        status = make_path(path, sizeof path, dir, "../vocab.txt", err);
    if (status != INV_OK)
        return status;
    return inv_wordpiece_open(path, out, err);
}

static enum inv_status open_table(const char *dir,
                                  struct inv_static_model *model,
                                  struct inv_err *err) {
    enum inv_status status =
        open_array(dir, "table.i8.npy", INV_NPY_I8, 2, &model->table, err);
    if (status != INV_OK)
        return status;
    model->dim = model->table.view.shape[1];
    if (model->dim < 1 || model->dim > INV_DIM_MAX)
        return inv_fail(err, INV_CORRUPT,
                        "%s/table.i8.npy has %zu dimensions, 1 to %d are "
                        "possible",
                        dir, model->dim, INV_DIM_MAX);
    return check_rows(dir, "table.i8.npy", model->size,
                      model->table.view.shape[0], err);
}

enum inv_status inv_static_model_open(const char *dir,
                                      struct inv_static_model **out,
                                      struct inv_err *err) {
    struct inv_static_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
    enum inv_status status = open_vocabulary(dir, &model->wordpiece, err);
    if (status == INV_OK) {
        model->size = inv_wordpiece_size(model->wordpiece);
        status = open_table(dir, model, err);
    }
    if (status == INV_OK)
        status =
            read_column(dir, "scale.f16.npy", model->size, &model->scale, err);
    if (status == INV_OK)
        status = read_column(dir, "weight.f16.npy", model->size, &model->weight,
                             err);
    if (status == INV_OK)
        *out = model;
    else
        inv_static_model_close(model);
    return status;
}

void inv_static_model_close(struct inv_static_model *model) {
    if (model == NULL)
        return;
    inv_wordpiece_close(model->wordpiece);
    inv_npy_close(&model->table);
    free(model->scale);
    free(model->weight);
    free(model);
}

size_t inv_static_model_dim(const struct inv_static_model *model) {
    return model->dim;
}

/* The ids of a text in new memory; at least one. */
static enum inv_status read_ids(const struct inv_static_model *model,
                                const char *text, size_t len, size_t max_tokens,
                                uint32_t **out, size_t *count,
                                struct inv_err *err) {
    size_t bytes;
    if (__builtin_mul_overflow(max_tokens, sizeof **out, &bytes))
        return inv_fail(err, INV_TOO_LARGE, "%zu tokens do not fit in memory",
                        max_tokens);
    uint32_t *ids = malloc(bytes > 0 ? bytes : 1);
    if (ids == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu tokens",
                        max_tokens);
    enum inv_status status = inv_wordpiece_encode(model->wordpiece, text, len,
                                                  ids, max_tokens, count, err);
    if (status == INV_OK && *count == 0)
        status = inv_fail(err, INV_INVALID,
                          "a text of %zu bytes gives no token", len);
    if (status == INV_OK)
        *out = ids;
    else
        free(ids);
    return status;
}

static const int8_t *row_of(const struct inv_static_model *model, uint32_t id) {
    return (const int8_t *)model->table.view.data + id * model->dim;
}

enum inv_status inv_static_model_tokens(const struct inv_static_model *model,
                                        const char *text, size_t len,
                                        enum inv_text_role role,
                                        size_t max_tokens, float *out,
                                        size_t *rows, struct inv_err *err) {
    uint32_t *ids;
    size_t count;
    enum inv_status status =
        read_ids(model, text, len, max_tokens, &ids, &count, err);
    if (status != INV_OK)
        return status;
    for (size_t t = 0; t < count; t++) {
        float factor = model->scale[ids[t]];
        if (role == INV_TEXT_QUERY)
            factor *= model->weight[ids[t]];
        const int8_t *row = row_of(model, ids[t]);
        for (size_t j = 0; j < model->dim; j++)
            out[t * model->dim + j] = factor * (float)row[j];
    }
    free(ids);
    *rows = count;
    return INV_OK;
}

enum inv_status inv_static_model_pooled(const struct inv_static_model *model,
                                        const char *text, size_t len,
                                        size_t max_tokens, float *out,
                                        struct inv_err *err) {
    uint32_t *ids;
    size_t count;
    enum inv_status status =
        read_ids(model, text, len, max_tokens, &ids, &count, err);
    if (status != INV_OK)
        return status;
    for (size_t j = 0; j < model->dim; j++)
        out[j] = 0.0f;
    for (size_t t = 0; t < count; t++) {
        float factor = model->scale[ids[t]] * model->weight[ids[t]];
        const int8_t *row = row_of(model, ids[t]);
        for (size_t j = 0; j < model->dim; j++)
            out[j] += factor * (float)row[j];
    }
    free(ids);
    if (!(inv_normalize_f32(out, model->dim) > 0.0f))
        return inv_fail(err, INV_INVALID,
                        "the %zu tokens of the text sum to a zero vector",
                        count);
    return INV_OK;
}
