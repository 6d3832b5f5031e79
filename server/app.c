/*
 * app.c: starting and stopping the daemon's inside, and finding collections.
 * Creating and changing them: app_names.c. Nothing here knows HTTP.
 */
#include "server/app.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "server/jobs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- models ---- */

static enum inv_status open_models(struct inv_app *app, struct inv_err *err) {
    static const char *const revisions[] = {"1", "2"};
    if (app->config.models_dir == NULL)
        return INV_OK;
    for (size_t i = 0; i < sizeof revisions / sizeof *revisions; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/static-%s", app->config.models_dir,
                 revisions[i]);
        if (access(path, F_OK) != 0)
            continue;
        struct inv_model *model = &app->models[app->model_count];
        enum inv_status status =
            inv_static_model_open(path, &model->model, err);
        if (status != INV_OK)
            return status;
        snprintf(model->name, sizeof model->name, "static");
        snprintf(model->revision, sizeof model->revision, "%s", revisions[i]);
        app->model_count++;
        inv_log(INV_LOG_INFO, "model", "static@%s: %zu dimensions, from %s",
                revisions[i], inv_static_model_dim(model->model), path);
    }
    if (app->model_count == 0)
        return inv_fail(err, INV_INVALID,
                        "%s holds neither static-1 nor static-2",
                        app->config.models_dir);
    return INV_OK;
}

const struct inv_static_model *inv_app_model(const struct inv_app *app,
                                             const struct inv_settings *s) {
    for (size_t i = 0; i < app->model_count; i++)
        if (strcmp(app->models[i].name, s->model) == 0 &&
            strcmp(app->models[i].revision, s->revision) == 0)
            return app->models[i].model;
    return NULL;
}

/* ---- collections ---- */

static enum inv_status take_collection(void *ctx,
                                       const struct inv_collection_row *row,
                                       struct inv_err *err) {
    struct inv_app *app = ctx;
    struct inv_collection **more =
        realloc(app->collections, (app->collection_count + 1) * sizeof *more);
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for collections");
    app->collections = more;
    struct inv_collection *collection = inv_collection_new(app, row, err);
    if (collection == NULL)
        return err == NULL ? INV_INTERNAL : err->status;
    collection->state = INV_LOADING;
    app->collections[app->collection_count++] = collection;
    return INV_OK;
}

static enum inv_status take_alias(void *ctx, const char *name,
                                  int64_t collection, struct inv_err *err) {
    struct inv_app *app = ctx;
    struct inv_alias *more =
        realloc(app->aliases, (app->alias_count + 1) * sizeof *more);
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for aliases");
    app->aliases = more;
    struct inv_alias *alias = &more[app->alias_count++];
    snprintf(alias->name, sizeof alias->name, "%s", name);
    alias->collection = collection;
    return INV_OK;
}

static enum inv_status read_catalog(struct inv_app *app, struct inv_err *err) {
    struct inv_db *db;
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    if (status != INV_OK)
        return status;
    status = inv_db_collections(db, take_collection, app, err);
    if (status == INV_OK)
        status = inv_db_aliases(db, take_alias, app, err);
    inv_catalog_return(app->catalog, db);
    return status;
}

static void set_state(struct inv_collection *collection,
                      enum inv_collection_state state, const char *failure) {
    pthread_mutex_lock(&collection->lock);
    collection->state = state;
    snprintf(collection->failure, sizeof collection->failure, "%s", failure);
    pthread_mutex_unlock(&collection->lock);
}

/* A directory that is gone altogether is a failure, not an empty collection. */
static bool directory_lost(const struct inv_collection *collection) {
    return collection->next_vseq > 1 && access(collection->dir, F_OK) != 0;
}

static void *load_all(void *arg) {
    struct inv_app *app = arg;
    struct inv_collection **list = NULL;
    size_t count = 0;
    struct inv_err err = {0};
    if (inv_app_list(app, &list, &count, &err) != INV_OK)
        inv_log(INV_LOG_ERROR, "app", "%s", err.text);
    for (size_t i = 0; i < count; i++) {
        struct inv_collection *c = list[i];
        char reason[320];
        if (inv_collection_state(c, reason, sizeof reason) == INV_LOADING) {
            enum inv_status status = INV_OK;
            if (directory_lost(c))
                status = inv_fail(&err, INV_CORRUPT, "%s is missing", c->dir);
            if (status == INV_OK)
                status = inv_collection_open(c, &err);
            if (status != INV_OK)
                inv_log(INV_LOG_ERROR, "collection", "%s: %s", c->name,
                        err.text);
            set_state(c, status == INV_OK ? INV_READY : INV_FAILED,
                      status == INV_OK ? "" : err.text);
        }
        inv_ref_put(c);
    }
    free(list);
    atomic_store(&app->loaded, true);
    return NULL;
}

/* Directories of collections whose row is gone: a delete or a create that a
 * crash interrupted. */
static void remove_strays(struct inv_app *app) {
    char path[4096];
    snprintf(path, sizeof path, "%s/collections", app->config.data_dir);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; i < app->collection_count && !known; i++)
            known = strcmp(app->collections[i]->uuid, entry->d_name) == 0;
        if (known)
            continue;
        char stray[8192];
        struct inv_err err;
        snprintf(stray, sizeof stray, "%s/%s", path, entry->d_name);
        inv_log(INV_LOG_INFO, "app", "removing %s: no collection has it",
                stray);
        if (inv_file_remove_tree(stray, &err) != INV_OK)
            inv_log(INV_LOG_WARN, "app", "%s", err.text);
    }
    closedir(dir);
}

/* ---- life ---- */

static enum inv_status app_start(struct inv_app *app, struct inv_err *err) {
    const char *data = app->config.data_dir;
    char path[4096];
    snprintf(path, sizeof path, "%s/collections", data);
    enum inv_status status = inv_file_mkdirs(path, err);
    snprintf(path, sizeof path, "%s/lock", data);
    if (status == INV_OK)
        status = inv_file_lock(path, &app->lock_fd, err);
    snprintf(path, sizeof path, "%s/catalog.db", data);
    if (status == INV_OK)
        status = inv_catalog_open(path, false, &app->catalog, err);
    if (status == INV_OK)
        status = open_models(app, err);
    if (status == INV_OK)
        status = read_catalog(app, err);
    if (status == INV_OK)
        status = inv_writer_start(app->catalog, &app->writer, err);
    if (status != INV_OK)
        return status;
    remove_strays(app);
    int code = pthread_create(&app->loader, NULL, load_all, app);
    if (code != 0)
        return inv_fail_errno(err, code, "cannot start a thread");
    app->loader_started = true;
    return inv_jobs_start(app, &app->jobs, err);
}

enum inv_status inv_app_open(const struct inv_app_config *config,
                             struct inv_app **out, struct inv_err *err) {
    struct inv_app *app = calloc(1, sizeof *app);
    if (app == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory");
    app->config = *config;
    app->lock_fd = -1;
    app->started_ns = (int64_t)inv_now_ns();
    pthread_rwlock_init(&app->registry, NULL);
    pthread_mutex_init(&app->names, NULL);
    enum inv_status status = app_start(app, err);
    if (status != INV_OK) {
        inv_app_close(app);
        return status;
    }
    *out = app;
    return INV_OK;
}

void inv_app_wait_loaded(struct inv_app *app) {
    while (!atomic_load(&app->loaded))
        usleep(1000);
}

void inv_app_close(struct inv_app *app) {
    if (app == NULL)
        return;
    if (app->loader_started)
        pthread_join(app->loader, NULL);
    inv_jobs_stop(app->jobs);
    inv_writer_stop(app->writer);
    for (size_t i = 0; i < app->collection_count; i++)
        inv_ref_put(app->collections[i]);
    free(app->collections);
    free(app->aliases);
    for (size_t i = 0; i < app->model_count; i++)
        inv_static_model_close(app->models[i].model);
    inv_catalog_close(app->catalog);
    inv_file_unlock(app->lock_fd);
    pthread_rwlock_destroy(&app->registry);
    pthread_mutex_destroy(&app->names);
    free(app);
}

/* ---- finding ---- */

static struct inv_collection *find_locked(struct inv_app *app,
                                          const char *name) {
    int64_t id = 0;
    for (size_t i = 0; i < app->alias_count; i++)
        if (strcmp(app->aliases[i].name, name) == 0)
            id = app->aliases[i].collection;
    for (size_t i = 0; i < app->collection_count; i++)
        if (app->collections[i]->id == id ||
            strcmp(app->collections[i]->name, name) == 0)
            return inv_ref_get(app->collections[i]);
    return NULL;
}

enum inv_status inv_app_find(struct inv_app *app, const char *name,
                             struct inv_collection **out, struct inv_err *err) {
    pthread_rwlock_rdlock(&app->registry);
    *out = find_locked(app, name);
    pthread_rwlock_unlock(&app->registry);
    if (*out != NULL)
        return INV_OK;
    return inv_fail(err, INV_NOT_FOUND,
                    "there is no collection or alias "
                    "\"%.64s\"",
                    name);
}

enum inv_status inv_app_find_ready(struct inv_app *app, const char *name,
                                   struct inv_collection **out,
                                   struct inv_err *err) {
    struct inv_collection *collection = NULL;
    enum inv_status status = inv_app_find(app, name, &collection, err);
    if (status != INV_OK)
        return status;
    char reason[320];
    enum inv_collection_state state =
        inv_collection_state(collection, reason, sizeof reason);
    if (state == INV_LOADING)
        status = inv_fail(err, INV_BUSY, "collection %s is being loaded",
                          collection->name);
    else if (state == INV_FAILED)
        status = inv_fail(err, INV_INTERNAL, "collection %s failed: %s",
                          collection->name, reason);
    if (status != INV_OK) {
        inv_ref_put(collection);
        return status;
    }
    *out = collection;
    return INV_OK;
}

struct inv_collection *inv_app_find_id(struct inv_app *app, int64_t id) {
    struct inv_collection *found = NULL;
    pthread_rwlock_rdlock(&app->registry);
    for (size_t i = 0; i < app->collection_count && found == NULL; i++)
        if (app->collections[i]->id == id)
            found = inv_ref_get(app->collections[i]);
    pthread_rwlock_unlock(&app->registry);
    return found;
}

enum inv_status inv_app_list(struct inv_app *app, struct inv_collection ***out,
                             size_t *count, struct inv_err *err) {
    pthread_rwlock_rdlock(&app->registry);
    struct inv_collection **list =
        malloc((app->collection_count + 1) * sizeof(struct inv_collection *));
    *count = list == NULL ? 0 : app->collection_count;
    for (size_t i = 0; i < *count; i++)
        list[i] = inv_ref_get(app->collections[i]);
    pthread_rwlock_unlock(&app->registry);
    *out = list;
    return list == NULL ? inv_fail(err, INV_MEMORY, "out of memory") : INV_OK;
}
