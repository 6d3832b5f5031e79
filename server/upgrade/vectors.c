/*
 * vectors.c: see vectors.h.
 */
#include "server/upgrade/vectors.h"

#include "server/ingest.h"
#include "server/upgrade/drift.h"
#include "server/upgrade/registry.h"
#include "server/upgrade/vertices.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- vectors beside those of documents ---- */

enum inv_status inv_besides_init(struct inv_besides *besides,
                                 struct inv_collection *collection,
                                 const char *model, size_t cap,
                                 struct inv_arena *arena, struct inv_err *err) {
    *besides = (struct inv_besides){
        .collection = collection, .arena = arena, .cap = cap};
    besides->view = inv_gallery_view(collection->gallery);
    enum inv_status status = inv_models_find(inv_view_models(besides->view),
                                             model, &besides->space, err);
    const struct inv_settings *gallery =
        &inv_view_models(besides->view)->settings->settings;
    if (status == INV_OK && gallery->simplex.classes > 0)
        status = inv_fail(err, INV_CONFLICT,
                          "the gallery is a simplex of %u classes and holds "
                          "one vector a document: PUT documents of %s, they "
                          "are carried there",
                          gallery->simplex.classes, besides->space->name);
    if (status != INV_OK)
        return status;
    besides->items = inv_arena_calloc(arena, cap, sizeof *besides->items);
    if (besides->items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors", cap);
    return INV_OK;
}

void inv_besides_release(struct inv_besides *besides) {
    inv_ref_put(besides->view);
    besides->view = NULL;
}

enum inv_status inv_besides_add(struct inv_besides *besides,
                                const struct inv_document_in *vector,
                                const char *at, struct inv_err *err) {
    int64_t space = besides->space->space;
    struct inv_beside item = {
        .put = {.id = vector->id, .id_len = vector->id_len, .space = space},
        .seq = vector->seq};
    enum inv_status status = inv_take_document(
        besides->collection->app, &besides->space->settings->settings,
        inv_view_encoding(besides->view, space), vector, at, besides->arena,
        &item.put, err);
    if (status == INV_OK)
        besides->items[besides->count++] = item;
    return status;
}

static enum inv_status apply_besides(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    struct inv_besides *besides = ctx;
    struct inv_collection *c = besides->collection;
    enum inv_status status = inv_collection_check(c, err);
    if (status == INV_OK)
        status = inv_model_check(c, db, besides->space, err);
    for (size_t i = 0; status == INV_OK && i < besides->count; i++)
        status =
            inv_gallery_put_beside(c->gallery, db, &besides->items[i], err);
    return status;
}

static void put_reason(const struct inv_beside *item,
                       const struct inv_space *space, char *out, size_t size) {
    int len = item->put.id_len > 64 ? 64 : (int)item->put.id_len;
    const char *id = item->put.id;
    if (item->result == INV_BESIDE_MISSING)
        snprintf(out, size, "there is no document \"%.*s\"", len, id);
    else if (item->result == INV_BESIDE_STALE)
        snprintf(out, size,
                 "document \"%.*s\" has the seq %" PRIu64
                 ", this vector is of seq %" PRIu64,
                 len, id, item->now, item->seq);
    else
        snprintf(out, size,
                 "document \"%.*s\" itself came in %s (seq %" PRIu64
                 "): PUT it to change its vector",
                 len, id, space->name, item->now);
}

/* What all items have in common, where none could be stored. */
static enum inv_status refuse_all(const struct inv_besides *besides,
                                  struct inv_err *err) {
    size_t missing = 0;
    size_t stale = 0;
    for (size_t i = 0; i < besides->count; i++) {
        missing += besides->items[i].result == INV_BESIDE_MISSING;
        stale += besides->items[i].result == INV_BESIDE_STALE;
    }
    if (missing != besides->count && stale != besides->count)
        return INV_OK;
    char why[200];
    put_reason(&besides->items[0], besides->space, why, sizeof why);
    return inv_fail(err, stale > 0 ? INV_CONFLICT : INV_NOT_FOUND,
                    "none of the %zu vectors was stored: %s", besides->count,
                    why);
}

enum inv_status inv_besides_commit(struct inv_besides *besides,
                                   struct inv_err *err) {
    struct inv_collection *c = besides->collection;
    struct inv_operation op = {
        .gallery = c->gallery, .apply = apply_besides, .ctx = besides};
    enum inv_status status = inv_writer_run(c->app->writer, &op, err);
    besides->stored = besides->unchanged = 0;
    for (size_t i = 0; status == INV_OK && i < besides->count; i++) {
        besides->stored += besides->items[i].result == INV_BESIDE_STORED;
        besides->unchanged += besides->items[i].result == INV_BESIDE_UNCHANGED;
    }
    if (status == INV_OK && besides->stored + besides->unchanged == 0)
        status = refuse_all(besides, err);
    if (status == INV_OK && besides->stored > 0)
        inv_drift_note(c, besides->space->space, besides->items,
                       besides->count);
    return status;
}

static const char *code_of(const struct inv_beside *item) {
    if (item->result == INV_BESIDE_MISSING)
        return "not_found";
    return item->result == INV_BESIDE_STALE ? "stale" : "conflict";
}

void inv_besides_write(const struct inv_besides *besides, struct inv_buf *out) {
    struct inv_view *view = inv_gallery_view(besides->collection->gallery);
    const char *comma = "";
    inv_buf_printf(out, "{\"stored\":%zu,\"unchanged\":%zu,\"errors\":[",
                   besides->stored, besides->unchanged);
    for (size_t i = 0; i < besides->count; i++) {
        const struct inv_beside *item = &besides->items[i];
        char why[200];
        if (item->result == INV_BESIDE_STORED ||
            item->result == INV_BESIDE_UNCHANGED)
            continue;
        put_reason(item, besides->space, why, sizeof why);
        inv_buf_printf(out, "%s{\"id\":", comma);
        inv_json_put_string(out, item->put.id, item->put.id_len);
        inv_buf_printf(out, ",\"code\":\"%s\",\"detail\":", code_of(item));
        inv_json_put_string(out, why, strlen(why));
        inv_buf_putc(out, '}');
        comma = ",";
    }
    inv_buf_printf(out, "],\"coverage\":%.4f}",
                   inv_model_count(view, besides->space->space).coverage);
    inv_ref_put(view);
}

/* ---- queries ---- */

struct keeping {
    struct inv_collection *collection;
    const struct inv_space *space;
    const struct inv_models *models;
    bool used[INV_SPACES_MAX]; /* as "old" */
    struct inv_query_row *rows;
    size_t count;
};

static enum inv_status apply_queries(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    const struct keeping *keeping = ctx;
    struct inv_collection *c = keeping->collection;
    enum inv_status status = inv_collection_check(c, err);
    if (status == INV_OK)
        status = inv_model_check(c, db, keeping->space, err);
    for (size_t i = 0; status == INV_OK && i < keeping->models->space_count;
         i++)
        if (keeping->used[i])
            status = inv_model_check(c, db, &keeping->models->spaces[i], err);
    size_t classes = keeping->models->settings->settings.simplex.classes;
    if (status == INV_OK && classes > 0)
        status = inv_vertices_add(c, db, classes, keeping->rows, keeping->count,
                                  err);
    for (size_t i = 0; status == INV_OK && i < keeping->count; i++)
        status = inv_db_put_query(db, c->id, &keeping->rows[i], err);
    return status;
}

/* The vector of the query in the other model. */
static enum inv_status take_old(struct keeping *keeping,
                                const struct inv_query_in *query,
                                const char *at, struct inv_arena *arena,
                                struct inv_query_row *row,
                                struct inv_err *err) {
    const struct inv_space *old = NULL;
    struct inv_matrix matrix;
    char below[64];
    if (query->old_model == NULL)
        return INV_OK;
    snprintf(below, sizeof below, "%s/old", at);
    enum inv_status status =
        inv_models_find(keeping->models, query->old_model, &old, err);
    if (status == INV_OK && old == keeping->space)
        status = inv_fail(err, INV_INVALID,
                          "\"old\" is a vector of another model than %s itself",
                          old->name);
    if (status != INV_OK) {
        inv_err_at(err, "%s/model", below);
        return status;
    }
    status = inv_take_raw(keeping->collection->app, &old->settings->settings,
                          &query->old_given, query->old_text,
                          query->old_text_len, below, arena, &matrix, err);
    if (status != INV_OK)
        return status;
    keeping->used[old - keeping->models->spaces] = true;
    row->old_space = old->space;
    row->old_rows = matrix.rows;
    row->old_vector = matrix.data;
    row->old_vector_len = matrix.rows * matrix.dim * sizeof *matrix.data;
    return INV_OK;
}

static enum inv_status take_query(struct keeping *keeping,
                                  const struct inv_query_in *query,
                                  const char *at, struct inv_arena *arena,
                                  struct inv_query_row *row,
                                  struct inv_err *err) {
    const struct inv_document_in *item = &query->item;
    struct inv_matrix matrix;
    enum inv_status status = inv_take_raw(
        keeping->collection->app, &keeping->space->settings->settings,
        &item->given, item->text, item->text_len, at, arena, &matrix, err);
    if (status != INV_OK)
        return status;
    *row = (struct inv_query_row){.space = keeping->space->space,
                                  .key = item->id,
                                  .key_len = item->id_len,
                                  .rows = matrix.rows,
                                  .vector = matrix.data,
                                  .vector_len = matrix.rows * matrix.dim *
                                                sizeof *matrix.data,
                                  .relevant = query->relevant,
                                  .use = query->use,
                                  .label = query->label};
    return take_old(keeping, query, at, arena, row, err);
}

enum inv_status inv_model_add_queries(struct inv_collection *collection,
                                      const char *model,
                                      const struct inv_queries_in *queries,
                                      struct inv_arena *arena,
                                      struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    struct keeping keeping = {.collection = collection,
                              .models = inv_view_models(view),
                              .count = queries->count};
    enum inv_status status =
        inv_models_find(keeping.models, model, &keeping.space, err);
    keeping.rows =
        inv_arena_calloc(arena, queries->count, sizeof *keeping.rows);
    if (status == INV_OK && keeping.rows == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                          queries->count);
    for (size_t i = 0; status == INV_OK && i < queries->count; i++) {
        char at[48];
        snprintf(at, sizeof at, "/queries/%zu", i);
        status = take_query(&keeping, &queries->items[i], at, arena,
                            &keeping.rows[i], err);
    }
    if (status == INV_OK) {
        struct inv_operation op = {.gallery = collection->gallery,
                                   .apply = apply_queries,
                                   .ctx = &keeping};
        status = inv_writer_run(collection->app->writer, &op, err);
    }
    inv_ref_put(view);
    return status;
}

struct forgetting {
    struct inv_collection *collection;
    const struct inv_space *space;
    uint64_t count; /* out */
};

static enum inv_status apply_forget(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    struct forgetting *forgetting = ctx;
    int64_t space = forgetting->space->space;
    enum inv_status status = inv_collection_check(forgetting->collection, err);
    if (status == INV_OK)
        status = inv_db_count_queries(db, space, &forgetting->count, err);
    if (status == INV_OK)
        status = inv_db_delete_queries(db, space, err);
    return status;
}

enum inv_status inv_model_forget_queries(struct inv_collection *collection,
                                         const char *model, uint64_t *count,
                                         struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    struct forgetting forgetting = {.collection = collection};
    enum inv_status status =
        inv_models_find(inv_view_models(view), model, &forgetting.space, err);
    if (status == INV_OK) {
        struct inv_operation op = {.gallery = collection->gallery,
                                   .apply = apply_forget,
                                   .ctx = &forgetting};
        status = inv_writer_run(collection->app->writer, &op, err);
    }
    *count = forgetting.count;
    inv_ref_put(view);
    return status;
}
