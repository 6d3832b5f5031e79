/*
 * vectors_in.c: from what a request gives (numbers or text) to a matrix that
 * fits the collection: the checks that queries and documents share.
 */
#include "server/ingest.h"

#include "base/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum inv_status from_text(const struct inv_app *app,
                                 const struct inv_settings *s, const char *text,
                                 size_t len, enum inv_text_role role,
                                 struct inv_arena *arena,
                                 struct inv_matrix *out, struct inv_err *err) {
    const struct inv_static_model *model = inv_app_model(app, s);
    if (model == NULL)
        return inv_fail(err, INV_INVALID,
                        "text needs a built-in model (static@1, static@2); "
                        "this collection's model is %s@%s: send its vectors",
                        s->model, s->revision);
    if (len > INV_TEXT_MAX)
        return inv_fail(err, INV_TOO_LARGE,
                        "the text has %zu bytes, at most %zu are taken", len,
                        INV_TEXT_MAX);
    /* The longest text has 512 tokens, a usual one far fewer: only those that
     * there are stay in the arena (10,000 documents are one request). */
    size_t rows = s->multi ? INV_TEXT_TOKENS : 1;
    float *most = malloc(rows * s->dim * sizeof *most);
    if (most == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a text");
    enum inv_status status =
        s->multi ? inv_static_model_tokens(model, text, len, role,
                                           INV_TEXT_TOKENS, most, &rows, err)
                 : inv_static_model_pooled(model, text, len, INV_TEXT_TOKENS,
                                           most, err);
    size_t bytes = rows * s->dim * sizeof *most;
    float *data = status == INV_OK ? inv_arena_alloc(arena, bytes) : NULL;
    if (data != NULL)
        memcpy(data, most, bytes);
    else if (status == INV_OK)
        status = inv_fail(err, INV_MEMORY, "out of memory for a text");
    free(most);
    *out = (struct inv_matrix){.data = data, .rows = rows, .dim = s->dim};
    return status;
}

static enum inv_status check_shape(const struct inv_settings *s,
                                   const struct inv_given *given, size_t cap,
                                   struct inv_err *err) {
    const char *key = s->multi ? "vectors" : "vector";
    if (given->matrix.data == NULL)
        return inv_fail(err, INV_INVALID, "\"%s\" is missing", key);
    if (given->plural != s->multi)
        return inv_fail(err, INV_INVALID,
                        "this collection is of kind %s: give \"%s\", not "
                        "\"%s\"",
                        s->multi ? "multi" : "single", key,
                        given->plural ? "vectors" : "vector");
    if (given->matrix.dim != s->dim)
        return inv_fail(err, INV_DIMENSION, "expected %zu dimensions, got %zu",
                        s->dim, given->matrix.dim);
    if (given->matrix.rows > cap)
        return inv_fail(err, INV_TOO_LARGE, "at most %zu tokens, got %zu", cap,
                        given->matrix.rows);
    return INV_OK;
}

static bool all_zero(const float *x, size_t dim) {
    for (size_t i = 0; i < dim; i++)
        if (x[i] != 0.0f)
            return false;
    return true;
}

/* Drops all-zero tokens (padding) and normalises for cosine, in a copy only
 * where there is something to change. */
static enum inv_status tidy(const struct inv_settings *s, bool normalize,
                            struct inv_arena *arena, struct inv_matrix *m,
                            struct inv_err *err) {
    size_t dim = m->dim;
    size_t zeros = 0;
    for (size_t i = 0; i < m->rows; i++)
        zeros += all_zero(m->data + i * dim, dim);
    if (zeros == m->rows && (s->multi || s->metric == INV_COSINE))
        return inv_fail(err, INV_INVALID,
                        s->multi ? "every one of the %zu tokens is all zeros"
                                 : "a vector of zeros has no direction: the "
                                   "metric is cosine (%zu vector)",
                        m->rows);
    bool drop = s->multi && zeros > 0;
    if (!drop && !normalize)
        return INV_OK;
    float *copy = inv_arena_alloc(arena, m->rows * dim * sizeof *copy);
    if (copy == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu tokens",
                        m->rows);
    size_t rows = 0;
    for (size_t i = 0; i < m->rows; i++) {
        if (drop && all_zero(m->data + i * dim, dim))
            continue;
        memcpy(copy + rows * dim, m->data + i * dim, dim * sizeof *copy);
        if (normalize)
            inv_normalize_f32(copy + rows * dim, dim);
        rows++;
    }
    m->data = copy;
    m->rows = rows;
    return INV_OK;
}

/* A model that promises vectors of length 1 and sends others is another model,
 * or another way to call it. Half a percent is what i8 may be off. */
static enum inv_status check_norms(const struct inv_settings *s,
                                   const struct inv_matrix *m,
                                   struct inv_err *err) {
    for (size_t i = 0; s->normalized && i < m->rows; i++) {
        const float *row = m->data + i * m->dim;
        double norm = sqrt((double)inv_dot_f32(row, row, m->dim));
        if (fabs(norm - 1.0) > 0.01 && !all_zero(row, m->dim))
            return inv_fail(err, INV_INVALID,
                            "vectors of %s@%s have length 1, row %zu has %.6g",
                            s->model, s->revision, i, norm);
    }
    return INV_OK;
}

struct taking {
    const struct inv_app *app;
    const struct inv_settings *settings;
    const struct inv_given *given;
    const char *text; /* or NULL */
    size_t text_len;
    enum inv_text_role role;
    bool normalize;
};

static enum inv_status take(const struct taking *t, const char *at,
                            struct inv_arena *arena, struct inv_matrix *out,
                            struct inv_err *err) {
    const struct inv_settings *s = t->settings;
    const struct inv_given *given = t->given;
    bool query = t->role == INV_TEXT_QUERY;
    const char *key = s->multi ? "vectors" : "vector";
    enum inv_status status;
    if (t->text != NULL) {
        key = "text";
        status = from_text(t->app, s, t->text, t->text_len, t->role, arena, out,
                           err);
    } else {
        status = check_shape(s, given,
                             query ? t->app->config.max_query_tokens
                                   : t->app->config.max_doc_tokens,
                             err);
        *out = given->matrix;
        /* a query's token may weigh more than 1 */
        if (status == INV_OK && !(query && s->multi))
            status = check_norms(s, out, err);
        if (given->matrix.data != NULL)
            key = given->plural ? "vectors" : "vector"; /* as it was sent */
    }
    if (status == INV_OK)
        status = tidy(s, t->normalize, arena, out, err);
    if (status != INV_OK)
        inv_err_at(err, "%s/%s", at, key);
    return status;
}

enum inv_status inv_take_vectors(const struct inv_app *app,
                                 const struct inv_settings *s,
                                 const struct inv_given *given,
                                 const char *text, size_t text_len,
                                 enum inv_text_role role, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_matrix *out, struct inv_err *err) {
    struct taking taking = {.app = app,
                            .settings = s,
                            .given = given,
                            .text = text,
                            .text_len = text_len,
                            .role = role};
    taking.normalize =
        s->metric == INV_COSINE && (role == INV_TEXT_QUERY || s->multi);
    return take(&taking, at, arena, out, err);
}

enum inv_status inv_take_raw(const struct inv_app *app,
                             const struct inv_settings *s,
                             const struct inv_given *given, const char *text,
                             size_t text_len, const char *at,
                             struct inv_arena *arena, struct inv_matrix *out,
                             struct inv_err *err) {
    struct taking taking = {.app = app,
                            .settings = s,
                            .given = given,
                            .text = text,
                            .text_len = text_len,
                            .role = INV_TEXT_QUERY};
    enum inv_status status = take(&taking, at, arena, out, err);
    if (status == INV_OK && !s->multi && all_zero(out->data, out->dim)) {
        status =
            inv_fail(err, INV_INVALID,
                     "a vector of %zu zeros tells a fit nothing", out->dim);
        inv_err_at(err, "%s/%s", at, text != NULL ? "text" : "vector");
    }
    return status;
}
