/*
 * collection.c: one collection of the running daemon: opening its storage with
 * the encoders it has had, and giving it a new encoder state.
 */
#include "server/app.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "server/upgrade/access.h"
#include "server/upgrade/backfill.h"
#include "server/upgrade/change.h"
#include "server/upgrade/drift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_payload_row(const struct inv_schema *schema,
                                const char *payload, size_t len,
                                struct inv_row **out, struct inv_err *err) {
    inv_json *json = NULL;
    *out = NULL;
    if (schema->count == 0 || payload == NULL)
        return INV_OK;
    enum inv_status status = inv_json_parse_plain(payload, len, &json, err);
    if (status == INV_OK)
        status = inv_json_row(json, "/payload", schema->fields, schema->count,
                              out, err);
    inv_json_free(json);
    return status;
}

static void collection_release(void *self) {
    struct inv_collection *collection = self;
    inv_gallery_close(collection->gallery);
    struct inv_err err;
    if (collection->deleted &&
        inv_file_remove_tree(collection->dir, &err) != INV_OK)
        inv_log(INV_LOG_WARN, "collection", "%s", err.text);
    inv_ref_put(collection->settings);
    pthread_mutex_destroy(&collection->lock);
    free(collection->access);
    inv_drift_free(collection->drift);
    inv_backfill_free(collection->backfill);
    free(collection->dir);
    free(collection->body);
    free(collection);
}

struct inv_collection *inv_collection_new(struct inv_app *app,
                                          const struct inv_collection_row *row,
                                          struct inv_err *err) {
    struct inv_collection *c = calloc(1, sizeof *c);
    if (c == NULL)
        goto no_memory;
    inv_ref_init(&c->ref, collection_release);
    pthread_mutex_init(&c->lock, NULL);
    c->app = app;
    c->id = row->id;
    c->created_ms = row->created_ms;
    c->next_vseq = row->next_vseq;
    c->next_version = row->next_version;
    c->next_gen = row->next_gen;
    snprintf(c->name, sizeof c->name, "%s", row->name);
    snprintf(c->uuid, sizeof c->uuid, "%s", row->uuid);
    c->access = calloc(1, sizeof *c->access);
    c->drift = inv_drift_new();
    c->backfill = inv_backfill_new();
    c->body = strdup(row->body);
    if (asprintf(&c->dir, "%s/collections/%s", app->config.data_dir,
                 row->uuid) < 0)
        c->dir = NULL;
    if (c->body == NULL || c->dir == NULL || c->access == NULL ||
        c->drift == NULL || c->backfill == NULL)
        goto no_memory;
    inv_json *json = NULL;
    enum inv_status status =
        inv_json_parse_plain(row->settings, strlen(row->settings), &json, err);
    if (status == INV_OK)
        status = inv_settings_parse(json, &c->settings, err);
    inv_json_free(json);
    if (status == INV_OK)
        return c;
    inv_ref_put(c);
    return NULL;
no_memory:
    inv_ref_put(c);
    (void)inv_fail(err, INV_MEMORY, "out of memory for collection %s",
                   row->name);
    return NULL;
}

struct inv_shared_settings *
inv_collection_settings(struct inv_collection *collection) {
    struct inv_shared_settings *settings = NULL;
    pthread_mutex_lock(&collection->lock);
    bool open = collection->state == INV_READY;
    if (!open)
        settings = inv_ref_get(collection->settings);
    pthread_mutex_unlock(&collection->lock);
    if (open) {
        struct inv_view *view = inv_gallery_view(collection->gallery);
        settings = inv_ref_get(inv_view_models(view)->settings);
        inv_ref_put(view);
    }
    return settings;
}

enum inv_status inv_collection_moment(struct inv_collection *collection,
                                      struct inv_db *db, struct inv_view **view,
                                      struct inv_err *err) {
    inv_writer_hold(collection->app->writer);
    enum inv_status status = inv_db_snapshot(db, err);
    *view = inv_gallery_view(collection->gallery);
    inv_writer_release(collection->app->writer);
    return status;
}

enum inv_status inv_collection_check(struct inv_collection *collection,
                                     struct inv_err *err) {
    pthread_mutex_lock(&collection->lock);
    bool deleted = collection->deleted;
    pthread_mutex_unlock(&collection->lock);
    return deleted ? inv_fail(err, INV_NOT_FOUND, "collection %s was deleted",
                              collection->name)
                   : INV_OK;
}

const char *inv_collection_state_name(enum inv_collection_state state) {
    static const char *const names[] = {"loading", "ready", "rebuilding",
                                        "degraded", "failed"};
    return names[state];
}

enum inv_collection_state
inv_collection_state(struct inv_collection *collection, char *reason,
                     size_t size) {
    pthread_mutex_lock(&collection->lock);
    enum inv_collection_state state = collection->state;
    bool building = collection->building;
    snprintf(reason, size, "%s", collection->failure);
    pthread_mutex_unlock(&collection->lock);
    if (state != INV_READY)
        return state;
    inv_gallery_degraded(collection->gallery, reason, size);
    if (inv_gallery_read_only(collection->gallery))
        snprintf(reason, size,
                 "read-only after a disk error; restart the daemon");
    if (reason[0] != '\0')
        return INV_DEGRADED;
    return building ? INV_REBUILDING : INV_READY;
}

/* ---- opening ---- */

struct states {
    const struct inv_models *models;
    struct inv_encoding **encodings;
    size_t count;
};

/* The encoder of a state. A space that was not the collection's oldest may have
 * become it since (the older model was deleted): its states keep the hash of
 * one that was not, which their segments carry. */
static enum inv_status make_encoder(const struct inv_settings *settings,
                                    const struct inv_state_row *row,
                                    bool oldest, struct inv_encoder **out,
                                    struct inv_err *err) {
    for (int tries = 0; tries < 2; tries++) {
        struct inv_encoder *encoder = NULL;
        enum inv_status status = inv_encoder_new(
            settings,
            &(struct inv_encoder_place){.space = row->space,
                                        .first = tries == 0 && oldest,
                                        .state = row->state},
            row->learned, row->learned_len, &encoder, err);
        if (status != INV_OK)
            return status;
        inv_ref_put(*out);
        *out = encoder;
        if (!oldest || encoder->base.hash == row->hash)
            break;
    }
    return INV_OK;
}

static enum inv_status take_state(void *ctx, const struct inv_state_row *row,
                                  struct inv_err *err) {
    struct states *states = ctx;
    struct inv_encoding **more =
        realloc(states->encodings, (states->count + 1) * sizeof *more);
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for encoders");
    states->encodings = more;
    const struct inv_space *space =
        inv_models_space(states->models, row->space);
    if (space == NULL)
        return inv_fail(err, INV_CORRUPT,
                        "encoder state %u is of space %lld, which the "
                        "collection does not have",
                        row->state, (long long)row->space);
    struct inv_settings settings = space->settings->settings;
    inv_json *json = NULL;
    struct inv_encoder *encoder = NULL;
    enum inv_status status =
        inv_json_parse_plain(row->settings, strlen(row->settings), &json, err);
    if (status == INV_OK)
        status = inv_settings_parse_encoder(json, "", &settings, err);
    inv_json_free(json);
    if (status == INV_OK)
        status = make_encoder(&settings, row,
                              row->space == inv_models_oldest(states->models),
                              &encoder, err);
    if (status != INV_OK)
        inv_ref_put(encoder);
    if (status == INV_OK)
        states->encodings[states->count++] = &encoder->base;
    return status;
}

static enum inv_status open_gallery(struct inv_collection *c,
                                    struct inv_models *models,
                                    const struct states *states,
                                    struct inv_err *err) {
    const struct inv_app_config *config = &c->app->config;
    const struct inv_settings *settings = &models->settings->settings;
    struct inv_schema *schema =
        inv_schema_new(settings->fields, settings->field_count);
    if (schema == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a schema");
    struct inv_gallery_options options = {
        .dir = c->dir,
        .collection = c->id,
        .catalog = c->app->catalog,
        .row = inv_payload_row,
        .roll_bytes = config->roll_bytes,
        .fresh_limit = config->fresh_limit,
        .next_vseq = c->next_vseq,
        .next_version = c->next_version,
        .next_gen = c->next_gen,
        .schema = schema,
        .space = models->spaces[0].space,
        .encodings = states->encodings,
        .encoding_count = states->count,
        .context = &models->ref,
    };
    enum inv_status status = inv_gallery_open(&options, &c->gallery, err);
    inv_ref_put(schema);
    return status;
}

enum inv_status inv_collection_open(struct inv_collection *c,
                                    struct inv_err *err) {
    int64_t began = (int64_t)inv_now_ns();
    struct inv_models *models = NULL;
    struct states states = {.models = NULL};
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(c->app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_models_load(c, db, c->settings, NULL, &models, err);
    states.models = models;
    if (status == INV_OK)
        status = inv_db_states(db, c->id, take_state, &states, err);
    if (db != NULL)
        inv_catalog_return(c->app->catalog, db);
    if (status == INV_OK && states.count == 0)
        status = inv_fail(err, INV_CORRUPT,
                          "the catalog has no encoder state for collection %s",
                          c->name);
    if (status == INV_OK)
        status = open_gallery(c, models, &states, err);
    for (size_t i = 0; i < states.count; i++)
        inv_ref_put(states.encodings[i]);
    free(states.encodings);
    inv_ref_put(models);
    if (status == INV_OK) {
        struct inv_view *view = inv_gallery_view(c->gallery);
        inv_log(INV_LOG_INFO, "collection",
                "%s: %zu documents in %zu segments, open after %.3f s", c->name,
                inv_view_live(view), view->count,
                (double)((int64_t)inv_now_ns() - began) / 1e9);
        inv_ref_put(view);
    }
    return status;
}

/* ---- a new encoder state ---- */

struct state_change {
    struct inv_collection *collection;
    const struct inv_settings *settings; /* with the encoder wanted */
    struct inv_encoder *encoder;
    void *learned;
    size_t learned_len;
    struct inv_buf encoder_json;
};

static enum inv_status edit_encoder(void *ctx, struct inv_settings *settings,
                                    struct inv_err *err) {
    const struct state_change *change = ctx;
    (void)err;
    settings->encoder = change->settings->encoder;
    return INV_OK;
}

/* The encoder is nobody else's until the gallery has it: it gets its number
 * here, where no other state can be made in between. */
static enum inv_status apply_state(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct state_change *change = ctx;
    struct inv_collection *c = change->collection;
    struct inv_encoding *encoding = &change->encoder->base;
    enum inv_status status =
        inv_models_next_state(c, db, &encoding->state, err);
    if (status == INV_OK)
        status =
            inv_models_edit(c, db, encoding->space, edit_encoder, change, err);
    if (status != INV_OK)
        return status;
    struct inv_state_row row = {.space = encoding->space,
                                .state = encoding->state,
                                .hash = encoding->hash,
                                .settings = change->encoder_json.data,
                                .learned = change->learned,
                                .learned_len = change->learned_len};
    status = inv_db_add_state(db, c->id, &row, err);
    if (status == INV_OK)
        status = inv_gallery_set_encoding(c->gallery, encoding, err);
    return status == INV_OK ? INV_OK : inv_gallery_undo(c->gallery, status);
}

static enum inv_status make_state(struct state_change *change,
                                  const struct inv_view *view, int64_t space,
                                  const struct inv_settings *settings,
                                  bool learn, struct inv_err *err) {
    const struct inv_models *models = inv_view_models(view);
    const struct inv_space *known = inv_models_space(models, space);
    if (known == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "the model was removed from the collection meanwhile");
    enum inv_status status = INV_OK;
    if (learn)
        status = inv_encoder_learn(settings, view, space, &change->learned,
                                   &change->learned_len, err);
    if (status == INV_OK)
        status = inv_encoder_new(
            settings,
            &(struct inv_encoder_place){
                .space = space, .first = space == inv_models_oldest(models)},
            change->learned, change->learned_len, &change->encoder, err);
    if (status != INV_OK)
        return status;
    inv_settings_write_encoder(settings, &change->encoder_json);
    return change->encoder_json.failed
               ? inv_fail(err, INV_MEMORY, "out of memory for settings")
               : INV_OK;
}

enum inv_status inv_collection_new_state(struct inv_collection *c,
                                         int64_t space,
                                         const struct inv_settings *settings,
                                         bool learn, struct inv_err *err) {
    struct state_change change = {.collection = c, .settings = settings};
    struct inv_view *view = inv_gallery_view(c->gallery);
    enum inv_status status =
        make_state(&change, view, space, settings, learn, err);
    if (status == INV_OK) {
        struct inv_operation op = {
            .gallery = c->gallery, .apply = apply_state, .ctx = &change};
        status = inv_writer_run(c->app->writer, &op, err);
    }
    if (status == INV_OK)
        inv_log(INV_LOG_INFO, "encoder", "%s: encoder state %u%s", c->name,
                change.encoder->base.state,
                learn ? ", learned from the gallery" : "");
    inv_buf_release(&change.encoder_json);
    free(change.learned);
    inv_ref_put(change.encoder);
    inv_ref_put(view);
    return status;
}
