/*
 * ingest.c: the write pipeline, see ingest.h. Runs on the request's worker up
 * to the commit, which the writer thread does.
 */
#include "server/ingest.h"

#include "base/kernels.h"
#include "server/upgrade/registry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_ingest_init(struct inv_ingest *ingest,
                                struct inv_collection *collection,
                                enum inv_put_mode mode, size_t cap,
                                struct inv_arena *arena, struct inv_err *err) {
    *ingest = (struct inv_ingest){
        .collection = collection, .mode = mode, .cap = cap, .arena = arena};
    ingest->puts = inv_arena_calloc(arena, cap, sizeof *ingest->puts);
    if (ingest->puts == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        cap);
    ingest->view = inv_gallery_view(collection->gallery);
    ingest->models = inv_view_models(ingest->view);
    return INV_OK;
}

void inv_ingest_release(struct inv_ingest *ingest) {
    for (size_t i = 0; i < ingest->count; i++)
        free(ingest->puts[i].row);
    ingest->count = 0;
    inv_ref_put(ingest->view);
    ingest->view = NULL;
    ingest->models = NULL;
}

/* ---- stored codes ---- */

static enum inv_status check_f16(const struct inv_matrix *m,
                                 struct inv_err *err) {
    size_t count = m->rows * m->dim;
    if (inv_all_within(m->data, count, INV_F16_MAX))
        return INV_OK;
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(m->data[i]) <= INV_F16_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "%g in row %zu, column %zu: tokens are stored as "
                            "f16, up to %g",
                            (double)m->data[i], i / m->dim, i % m->dim,
                            (double)INV_F16_MAX);
    return INV_OK;
}

/* What was sent is what is stored where the type is the collection's and no
 * row was changed; else the numbers are converted. */
static enum inv_status make_codes(enum inv_dtype dtype,
                                  const struct inv_given *given,
                                  const struct inv_matrix *m,
                                  struct inv_arena *arena,
                                  struct inv_codes *out, struct inv_err *err) {
    if (given->codes.data != NULL && given->codes.dtype == dtype &&
        m->data == given->matrix.data) {
        *out = given->codes;
        return INV_OK;
    }
    size_t count = m->rows * m->dim;
    *out = (struct inv_codes){
        .data = m->data, .dtype = dtype, .rows = m->rows, .dim = m->dim};
    if (dtype == INV_F32)
        return INV_OK;
    enum inv_status status = check_f16(m, err);
    if (status != INV_OK)
        return status;
    void *data =
        inv_arena_alloc(arena, inv_codes_bytes(dtype, m->rows, m->dim));
    uint16_t *scales = inv_arena_alloc(arena, m->rows * 2);
    if (data == NULL || scales == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu tokens",
                        m->rows);
    if (dtype == INV_F16)
        inv_f16_from_f32(m->data, data, count);
    for (size_t i = 0; dtype == INV_I8 && i < m->rows; i++)
        inv_i8_from_f32(m->data + i * m->dim, (int8_t *)data + i * m->dim,
                        &scales[i], m->dim);
    out->data = data;
    out->scales = dtype == INV_I8 ? scales : NULL;
    return INV_OK;
}

/* What is stored of a document's vectors, and their code. */
static enum inv_status encode(const struct inv_settings *s,
                              const struct inv_encoding *encoding,
                              const struct inv_given *given,
                              const struct inv_matrix *matrix, const char *at,
                              struct inv_arena *arena, struct inv_put *put,
                              struct inv_err *err) {
    enum inv_status status =
        make_codes(s->dtype, given, matrix, arena, &put->codes, err);
    put->encoding = encoding;
    put->code = inv_arena_alloc(arena, encoding->code_dim * sizeof *put->code);
    if (status == INV_OK && put->code == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a code");
    if (status == INV_OK)
        status = encoding->encode(encoding, &put->codes, put->code, err);
    if (status != INV_OK)
        inv_err_at(err, "%s/%s", at, s->multi ? "vectors" : "vector");
    return status;
}

enum inv_status inv_take_document(const struct inv_app *app,
                                  const struct inv_settings *s,
                                  const struct inv_encoding *encoding,
                                  const struct inv_document_in *document,
                                  const char *at, struct inv_arena *arena,
                                  struct inv_put *put, struct inv_err *err) {
    struct inv_matrix matrix;
    enum inv_status status = inv_take_vectors(
        app, s, &document->given, document->text, document->text_len,
        INV_TEXT_DOCUMENT, at, arena, &matrix, err);
    return status == INV_OK ? encode(s, encoding, &document->given, &matrix, at,
                                     arena, put, err)
                            : status;
}

/* The adapter that takes vectors of a model into a simplex. */
static enum inv_status find_bridge(const struct inv_models *models,
                                   const struct inv_space *space,
                                   const struct inv_adapter **out,
                                   struct inv_err *err) {
    const struct inv_space *gallery = &models->spaces[0];
    const struct inv_bridge *bridge =
        inv_models_bridge(models, space->space, gallery->space);
    if (bridge == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "there is no adapter from %s to %s, which the gallery "
                        "holds, or it was refused: post labelled vectors to "
                        "models/%s/queries, then fit one (POST .../adapters)",
                        space->name, gallery->name, space->name);
    *out = bridge->adapter;
    return INV_OK;
}

/* A document of any model into a gallery that is in a simplex. Adapters are
 * fitted on vectors of length 1. */
static enum inv_status carry(const struct inv_ingest *ingest,
                             const struct inv_space *space,
                             const struct inv_document_in *document,
                             const char *at, struct inv_put *put,
                             struct inv_err *err) {
    const struct inv_space *gallery = &ingest->models->spaces[0];
    const struct inv_settings *s = &gallery->settings->settings;
    const struct inv_adapter *adapter = NULL;
    struct inv_arena *arena = ingest->arena;
    struct inv_matrix x;
    enum inv_status status = find_bridge(ingest->models, space, &adapter, err);
    if (status != INV_OK) {
        inv_err_at(err, "%s/model", at);
        return status;
    }
    status =
        inv_take_vectors(ingest->collection->app, &space->settings->settings,
                         &document->given, document->text, document->text_len,
                         INV_TEXT_DOCUMENT, at, arena, &x, err);
    if (status != INV_OK)
        return status;
    float *unit = inv_arena_alloc(arena, x.dim * sizeof *unit);
    float *y = inv_arena_alloc(arena, s->dim * sizeof *y);
    if (unit == NULL || y == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a document");
    memcpy(unit, x.data, x.dim * sizeof *unit);
    inv_normalize_f32(unit, x.dim);
    status = inv_adapter_apply(adapter, unit, 1, x.dim, y, err);
    const struct inv_given given = {
        .matrix = {.data = y, .rows = 1, .dim = s->dim}};
    struct inv_matrix out; /* refuses what came to zero */
    if (status == INV_OK)
        status = inv_take_vectors(ingest->collection->app, s, &given, NULL, 0,
                                  INV_TEXT_DOCUMENT, at, arena, &out, err);
    put->space = gallery->space;
    return status == INV_OK
               ? encode(s, inv_view_encoding(ingest->view, gallery->space),
                        &given, &out, at, arena, put, err)
               : status;
}

/* ---- documents ---- */

/* The space that the document's model names. Once there is a second model,
 * vectors without a name could be of either. */
static enum inv_status choose_space(const struct inv_ingest *ingest,
                                    const struct inv_document_in *document,
                                    const struct inv_space **out,
                                    struct inv_err *err) {
    const struct inv_models *models = ingest->models;
    const char *model =
        document->model == NULL ? ingest->model : document->model;
    if (model != NULL || models->space_count == 1)
        return inv_models_find(models, model, out, err);
    char known[INV_MODELS_TEXT];
    inv_models_names(models, known, sizeof known);
    return inv_fail(err, INV_SPACE_MISMATCH, "name the model: %s are known",
                    known);
}

static enum inv_status add_put(struct inv_ingest *ingest,
                               const struct inv_document_in *document,
                               const char *payload, size_t payload_len,
                               const char *at, struct inv_err *err) {
    struct inv_put put = {.id = document->id,
                          .id_len = document->id_len,
                          .schema = ingest->view->schema,
                          .payload = payload,
                          .payload_len = payload_len};
    const struct inv_space *space = NULL;
    enum inv_status status = choose_space(ingest, document, &space, err);
    if (status != INV_OK) {
        inv_err_at(err, "%s/model", at);
        return status;
    }
    if (payload_len > INV_PAYLOAD_MAX) {
        status = inv_fail(err, INV_TOO_LARGE,
                          "the payload has %zu bytes, at most %zu are kept",
                          payload_len, INV_PAYLOAD_MAX);
        inv_err_at(err, "%s/payload", at);
        return status;
    }
    put.space = space->space;
    bool simplex = ingest->models->settings->settings.simplex.classes > 0;
    if (simplex && space != &ingest->models->spaces[0])
        status = carry(ingest, space, document, at, &put, err);
    else
        status = inv_take_document(
            ingest->collection->app, &space->settings->settings,
            inv_view_encoding(ingest->view, space->space), document, at,
            ingest->arena, &put, err);
    if (status != INV_OK)
        return status;
    ingest->used[space - ingest->models->spaces] = true;
    ingest->puts[ingest->count++] = put;
    return INV_OK;
}

/* Values of the indexed fields, into the document that was added last. */
static enum inv_status add_row(struct inv_ingest *ingest,
                               const inv_json *payload, const char *at,
                               struct inv_err *err) {
    const struct inv_schema *schema = ingest->view->schema;
    char pointer[96];
    if (schema->count == 0 || payload == NULL)
        return INV_OK;
    snprintf(pointer, sizeof pointer, "%s/payload", at);
    return inv_json_row(payload, pointer, schema->fields, schema->count,
                        &ingest->puts[ingest->count - 1].row, err);
}

enum inv_status inv_ingest_add(struct inv_ingest *ingest,
                               const struct inv_document_in *document,
                               const char *at, struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    char *payload = NULL;
    size_t len = 0;
    if (document->payload != NULL) {
        inv_json_write(document->payload, &text);
        len = text.len;
        payload = inv_arena_strndup(ingest->arena, text.data, text.len);
        bool failed = text.failed;
        inv_buf_release(&text);
        if (failed || payload == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for a payload");
    }
    enum inv_status status = add_put(ingest, document, payload, len, at, err);
    if (status == INV_OK &&
        (status = add_row(ingest, document->payload, at, err)) != INV_OK)
        ingest->count--;
    return status;
}

/* ---- commit ---- */

static enum inv_status apply(void *ctx, struct inv_db *db,
                             struct inv_err *err) {
    struct inv_ingest *ingest = ctx;
    struct inv_collection *c = ingest->collection;
    enum inv_status status = inv_collection_check(c, err);
    for (size_t i = 0; status == INV_OK && i < ingest->models->space_count; i++)
        if (ingest->used[i])
            status = inv_model_check(c, db, &ingest->models->spaces[i], err);
    if (status == INV_OK)
        status = inv_gallery_check(c->gallery, db, ingest->mode, ingest->puts,
                                   ingest->count, err);
    for (size_t i = 0; status == INV_OK && i < ingest->count; i++)
        status = inv_gallery_put(c->gallery, db, &ingest->puts[i], err);
    return status;
}

enum inv_status inv_ingest_commit(struct inv_ingest *ingest,
                                  struct inv_err *err) {
    if (ingest->count == 0)
        return INV_OK;
    struct inv_operation op = {
        .gallery = ingest->collection->gallery, .apply = apply, .ctx = ingest};
    enum inv_status status =
        inv_writer_run(ingest->collection->app->writer, &op, err);
    if (status != INV_OK)
        return status;
    ingest->created = 0;
    for (size_t i = 0; i < ingest->count; i++)
        ingest->created += ingest->puts[i].created;
    ingest->count = 0; /* the rows are the gallery's now */
    return INV_OK;
}
