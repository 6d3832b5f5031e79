/*
 * app_names.c: creating, changing and deleting collections and aliases. Each
 * change is one operation of the writer thread; `names` is held so that two
 * changes of the same name do not pass each other.
 */
#include "server/app.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "server/upgrade/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool alias_exists(struct inv_app *app, const char *name) {
    bool found = false;
    pthread_rwlock_rdlock(&app->registry);
    for (size_t i = 0; i < app->alias_count; i++)
        found = found || strcmp(app->aliases[i].name, name) == 0;
    pthread_rwlock_unlock(&app->registry);
    return found;
}

static struct inv_collection *find_exact(struct inv_app *app,
                                         const char *name) {
    struct inv_collection *found = NULL;
    pthread_rwlock_rdlock(&app->registry);
    for (size_t i = 0; i < app->collection_count && found == NULL; i++)
        if (strcmp(app->collections[i]->name, name) == 0)
            found = inv_ref_get(app->collections[i]);
    pthread_rwlock_unlock(&app->registry);
    return found;
}

/* ---- create ---- */

struct creation {
    struct inv_app *app;
    struct inv_collection_row row;
    const struct inv_settings *settings;
    struct inv_encoder *encoder;
    const char *encoder_json;
};

/* A row of this name that no collection belongs to (names are held, and none
 * was found): one whose undoing failed. */
struct leftover {
    const char *name;
    int64_t id;
};

static enum inv_status find_leftover(void *ctx,
                                     const struct inv_collection_row *row,
                                     struct inv_err *err) {
    struct leftover *leftover = ctx;
    (void)err;
    if (strcmp(row->name, leftover->name) == 0)
        leftover->id = row->id;
    return INV_OK;
}

static enum inv_status apply_create(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    struct creation *creation = ctx;
    const struct inv_settings *s = creation->settings;
    int64_t id = 0;
    struct leftover leftover = {.name = creation->row.name};
    enum inv_status status =
        inv_db_collections(db, find_leftover, &leftover, err);
    if (status == INV_OK && leftover.id != 0)
        status = inv_db_delete_collection(db, leftover.id, err);
    if (status == INV_OK)
        status = inv_db_add_collection(db, &creation->row, &id, err);
    struct inv_space_row space = {.hash = inv_settings_space(s),
                                  .model = s->model,
                                  .revision = s->revision,
                                  .dim = s->dim,
                                  .created_ms = creation->row.created_ms};
    if (status == INV_OK)
        status = inv_db_add_space(db, id, &space, err);
    struct inv_state_row state = {.space = space.space,
                                  .hash = creation->encoder->base.hash,
                                  .settings = creation->encoder_json};
    if (status == INV_OK)
        status = inv_db_add_state(db, id, &state, err);
    creation->row.id = id;
    return status;
}

/* What follows the commit failed: the name must be free again. */
static enum inv_status apply_undo(void *ctx, struct inv_db *db,
                                  struct inv_err *err) {
    return inv_db_delete_collection(db, ((struct creation *)ctx)->row.id, err);
}

static enum inv_status add_to_registry(struct inv_app *app,
                                       struct inv_collection *collection,
                                       struct inv_err *err) {
    enum inv_status status = INV_OK;
    pthread_rwlock_wrlock(&app->registry);
    struct inv_collection **more =
        realloc(app->collections, (app->collection_count + 1) * sizeof *more);
    if (more == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory for collections");
    } else {
        app->collections = more;
        more[app->collection_count++] = inv_ref_get(collection);
    }
    pthread_rwlock_unlock(&app->registry);
    return status;
}

static enum inv_status make_uuid(char *out, size_t size, struct inv_err *err) {
    unsigned char r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return inv_fail(err, INV_INTERNAL,
                        "no randomness for a directory name");
    snprintf(out, size,
             "%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x",
             r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10],
             r[11], r[12], r[13], r[14], r[15]);
    return INV_OK;
}

enum inv_status inv_app_check_model(const struct inv_app *app,
                                    const struct inv_settings *s,
                                    struct inv_err *err) {
    const struct inv_static_model *model = inv_app_model(app, s);
    enum inv_status status = INV_OK;
    if (model != NULL && inv_static_model_dim(model) != s->dim) {
        status = inv_fail(err, INV_DIMENSION,
                          "the built-in model %s@%s has %zu dimensions, the "
                          "request asks for %zu",
                          s->model, s->revision, inv_static_model_dim(model),
                          s->dim);
        inv_err_at(err, "/dim");
    } else if (model == NULL && strcmp(s->model, "static") == 0) {
        status = inv_fail(err, INV_INVALID,
                          "this daemon has no built-in model %s@%s (of %zu)",
                          s->model, s->revision, app->model_count);
        inv_err_at(err, "/model");
    }
    return status;
}

/* Commits, opens, lists. */
static enum inv_status run_creation(struct inv_app *app,
                                    struct creation *creation,
                                    struct inv_collection **out,
                                    struct inv_err *err) {
    struct inv_collection *collection = NULL;
    struct inv_operation op = {.apply = apply_create, .ctx = creation};
    enum inv_status status = inv_writer_run(app->writer, &op, err);
    if (status != INV_OK)
        return status;
    collection = inv_collection_new(app, &creation->row, err);
    status =
        collection == NULL ? INV_MEMORY : inv_collection_open(collection, err);
    if (status == INV_OK) {
        collection->state = INV_READY;
        status = add_to_registry(app, collection, err);
    }
    if (status != INV_OK) {
        struct inv_err why = {0};
        op.apply = apply_undo;
        if (inv_writer_run(app->writer, &op, &why) != INV_OK)
            inv_log(INV_LOG_ERROR, "app",
                    "collection %s is half made until it is made again: %s",
                    creation->row.name, why.text);
        inv_ref_put(collection);
        return status;
    }
    *out = collection;
    return INV_OK;
}

/* All that opening needs of the disk, so that behind the commit only memory can
 * be short. */
static enum inv_status make_directories(const struct inv_app *app,
                                        const char *uuid, struct inv_err *err) {
    static const char *const names[] = {"vectors", "segments"};
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < 2; i++) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s/collections/%s/%s", app->config.data_dir,
                 uuid, names[i]);
        status = inv_file_mkdirs(dir, err);
    }
    return status;
}

static enum inv_status create_new(struct inv_app *app, const char *name,
                                  const char *body,
                                  struct inv_shared_settings *shared,
                                  struct inv_collection **out,
                                  struct inv_err *err) {
    char uuid[40];
    struct inv_buf settings = INV_BUF_INIT;
    struct inv_buf encoder = INV_BUF_INIT;
    inv_settings_write(&shared->settings, &settings);
    inv_settings_write_encoder(&shared->settings, &encoder);
    struct creation creation = {.app = app,
                                .settings = &shared->settings,
                                .encoder_json = encoder.data};
    enum inv_status status = make_uuid(uuid, sizeof uuid, err);
    creation.row = (struct inv_collection_row){.uuid = uuid,
                                               .name = name,
                                               .body = body,
                                               .settings = settings.data,
                                               .next_vseq = 1,
                                               .next_version = 1,
                                               .next_gen = 1,
                                               .created_ms = inv_wall_ms()};
    if (settings.failed || encoder.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (status == INV_OK)
        status = inv_app_check_model(app, &shared->settings, err);
    if (status == INV_OK)
        status = inv_encoder_new(&shared->settings,
                                 &(struct inv_encoder_place){.first = true},
                                 NULL, 0, &creation.encoder, err);
    if (status == INV_OK)
        status = make_directories(app, uuid, err);
    if (status == INV_OK)
        status = run_creation(app, &creation, out, err);
    inv_ref_put(creation.encoder);
    inv_buf_release(&settings);
    inv_buf_release(&encoder);
    return status;
}

enum inv_status inv_app_create(struct inv_app *app, const char *name,
                               const char *body, size_t len, bool *created,
                               struct inv_collection **out,
                               struct inv_err *err) {
    inv_json *json = NULL;
    struct inv_shared_settings *shared = NULL;
    char *text = NULL;
    enum inv_status status =
        inv_check_name("collection", name, strlen(name), err);
    if (status == INV_OK)
        status = inv_json_parse_plain(body, len, &json, err);
    if (status == INV_OK)
        status = inv_settings_parse(json, &shared, err);
    if (status == INV_OK && (text = strndup(body, len)) == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a body");
    inv_json_free(json);
    if (status != INV_OK) {
        free(text);
        inv_ref_put(shared);
        return status;
    }
    pthread_mutex_lock(&app->names);
    struct inv_collection *there = find_exact(app, name);
    *created = there == NULL;
    if (there != NULL && strcmp(there->body, text) != 0) {
        status = inv_fail(err, INV_CONFLICT,
                          "collection %s exists with other settings", name);
        inv_ref_put(there);
    } else if (there != NULL) {
        *out = there;
    } else if (alias_exists(app, name)) {
        status =
            inv_fail(err, INV_CONFLICT, "%s is the name of an alias", name);
    } else if (app->collection_count >= INV_COLLECTIONS_MAX) {
        status = inv_fail(err, INV_CONFLICT, "%zu collections, at most %d",
                          app->collection_count, INV_COLLECTIONS_MAX);
    } else {
        status = create_new(app, name, text, shared, out, err);
    }
    pthread_mutex_unlock(&app->names);
    free(text);
    inv_ref_put(shared);
    return status;
}

/* ---- delete ---- */

static enum inv_status apply_delete(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    return inv_db_delete_collection(db, ((struct inv_collection *)ctx)->id,
                                    err);
}

static void forget(struct inv_app *app, struct inv_collection *collection) {
    pthread_rwlock_wrlock(&app->registry);
    for (size_t i = 0; i < app->collection_count; i++)
        if (app->collections[i] == collection) {
            app->collection_count--;
            memmove(&app->collections[i], &app->collections[i + 1],
                    (app->collection_count - i) * sizeof *app->collections);
            inv_ref_put(collection);
            break;
        }
    size_t kept = 0;
    for (size_t i = 0; i < app->alias_count; i++)
        if (app->aliases[i].collection != collection->id)
            app->aliases[kept++] = app->aliases[i];
    app->alias_count = kept;
    pthread_rwlock_unlock(&app->registry);
}

enum inv_status inv_app_delete(struct inv_app *app, const char *name,
                               struct inv_err *err) {
    enum inv_status status = INV_OK;
    pthread_mutex_lock(&app->names);
    struct inv_collection *collection = find_exact(app, name);
    char reason[320];
    if (collection == NULL && alias_exists(app, name))
        status = inv_fail(err, INV_CONFLICT,
                          "%s is an alias: delete the collection by its own "
                          "name, or the alias under /v1/aliases",
                          name);
    else if (collection == NULL)
        status = inv_fail(err, INV_NOT_FOUND,
                          "there is no collection \"%.64s\"", name);
    else if (inv_collection_state(collection, reason, sizeof reason) ==
             INV_LOADING)
        status = inv_fail(err, INV_BUSY, "collection %s is being loaded", name);
    if (status == INV_OK) {
        /* The gallery is not part of the operation: a write that is queued
         * behind finds its collection gone and fails. */
        struct inv_operation op = {.apply = apply_delete, .ctx = collection};
        pthread_mutex_lock(&collection->lock);
        collection->deleted = true;
        pthread_mutex_unlock(&collection->lock);
        status = inv_writer_run(app->writer, &op, err);
        if (status == INV_OK) {
            forget(app, collection);
        } else {
            pthread_mutex_lock(&collection->lock);
            collection->deleted = false;
            pthread_mutex_unlock(&collection->lock);
        }
    }
    pthread_mutex_unlock(&app->names);
    inv_ref_put(collection);
    return status;
}

/* ---- patch ---- */

struct patch {
    struct inv_collection *collection;
    const inv_json *body;
    struct inv_schema *schema; /* NULL: fields unchanged */
};

static enum inv_status edit_settings(void *ctx, struct inv_settings *settings,
                                     struct inv_err *err) {
    const struct patch *patch = ctx;
    bool fields = false;
    return inv_settings_patch(patch->body, settings, &fields, err);
}

static enum inv_status apply_patch(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct patch *patch = ctx;
    struct inv_collection *c = patch->collection;
    enum inv_status status = INV_OK;
    if (patch->schema != NULL)
        status = inv_gallery_set_schema(c->gallery, db, patch->schema, err);
    if (status == INV_INVALID) /* a stored value that does not fit */
        inv_err_at(err, "/payload_index");
    if (status != INV_OK)
        return status;
    status = inv_models_edit(c, db, 0, edit_settings, patch, err);
    return status == INV_OK || patch->schema == NULL
               ? status
               : inv_gallery_undo(c->gallery, status);
}

enum inv_status inv_app_patch(struct inv_app *app,
                              struct inv_collection *collection,
                              const inv_json *body, struct inv_err *err) {
    bool fields = false;
    struct patch patch = {.collection = collection, .body = body};
    pthread_mutex_lock(&app->names);
    struct inv_shared_settings *current = inv_collection_settings(collection);
    struct inv_shared_settings *next = inv_settings_copy(current);
    /* what is wrong with it is said before the writer hears of it */
    enum inv_status status =
        next == NULL ? inv_fail(err, INV_MEMORY, "out of memory for settings")
                     : inv_settings_patch(body, &next->settings, &fields, err);
    if (status == INV_OK && fields) {
        patch.schema =
            inv_schema_new(next->settings.fields, next->settings.field_count);
        if (patch.schema == NULL)
            status = inv_fail(err, INV_MEMORY, "out of memory for a schema");
    }
    if (status == INV_OK) {
        struct inv_operation op = {.gallery = collection->gallery,
                                   .apply = apply_patch,
                                   .ctx = &patch,
                                   .alone = patch.schema != NULL};
        status = inv_writer_run(app->writer, &op, err);
    }
    pthread_mutex_unlock(&app->names);
    inv_ref_put(patch.schema);
    inv_ref_put(next);
    inv_ref_put(current);
    return status;
}

/* ---- aliases ---- */

struct alias_change {
    const char *name;
    int64_t collection;
};

static enum inv_status apply_alias(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    const struct alias_change *change = ctx;
    if (change->collection == 0)
        return inv_db_delete_alias(db, change->name, err);
    return inv_db_set_alias(db, change->name, change->collection, err);
}

static enum inv_status change_alias(struct inv_app *app,
                                    struct alias_change *change,
                                    struct inv_err *err) {
    struct inv_operation op = {.apply = apply_alias, .ctx = change};
    pthread_rwlock_wrlock(&app->registry);
    struct inv_alias *more =
        realloc(app->aliases, (app->alias_count + 1) * sizeof *more);
    if (more != NULL)
        app->aliases = more;
    pthread_rwlock_unlock(&app->registry);
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for aliases");
    enum inv_status status = inv_writer_run(app->writer, &op, err);
    if (status != INV_OK)
        return status;
    pthread_rwlock_wrlock(&app->registry);
    size_t at = 0;
    while (at < app->alias_count &&
           strcmp(app->aliases[at].name, change->name) != 0)
        at++;
    if (change->collection == 0) {
        app->aliases[at] = app->aliases[--app->alias_count];
    } else {
        if (at == app->alias_count)
            app->alias_count++;
        snprintf(app->aliases[at].name, sizeof app->aliases[at].name, "%s",
                 change->name);
        app->aliases[at].collection = change->collection;
    }
    pthread_rwlock_unlock(&app->registry);
    return INV_OK;
}

enum inv_status inv_app_set_alias(struct inv_app *app, const char *alias,
                                  const char *collection, struct inv_err *err) {
    enum inv_status status = inv_check_name("alias", alias, strlen(alias), err);
    if (status != INV_OK)
        return status;
    pthread_mutex_lock(&app->names);
    struct inv_collection *target = find_exact(app, collection);
    struct inv_collection *shadow = find_exact(app, alias);
    if (shadow != NULL)
        status = inv_fail(err, INV_CONFLICT,
                          "%s is the name of a collection: an alias may not "
                          "shadow it",
                          alias);
    else if (target == NULL)
        status = inv_fail(err, INV_NOT_FOUND,
                          "there is no collection \"%.64s\"", collection);
    if (status == INV_OK) {
        struct alias_change change = {.name = alias, .collection = target->id};
        status = change_alias(app, &change, err);
    }
    pthread_mutex_unlock(&app->names);
    inv_ref_put(target);
    inv_ref_put(shadow);
    return status;
}

enum inv_status inv_app_delete_alias(struct inv_app *app, const char *alias,
                                     struct inv_err *err) {
    enum inv_status status = INV_OK;
    pthread_mutex_lock(&app->names);
    if (!alias_exists(app, alias))
        status =
            inv_fail(err, INV_NOT_FOUND, "there is no alias \"%.64s\"", alias);
    if (status == INV_OK) {
        struct alias_change change = {.name = alias};
        status = change_alias(app, &change, err);
    }
    pthread_mutex_unlock(&app->names);
    return status;
}
