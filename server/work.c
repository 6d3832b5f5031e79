/*
 * work.c: rebuild, compaction and maintenance of one collection. Builder
 * thread only.
 */
#include "server/work.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMPACT_SHARE 0.5 /* of dead bytes, before it is done unasked */
#define COMPACT_BYTES ((uint64_t)64 << 20)

static bool must_learn(struct inv_collection *c,
                       const struct inv_settings *settings) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    bool learned = ((const struct inv_encoder *)view->encoding)->learned;
    size_t live = inv_view_live(view);
    inv_ref_put(view);
    return live > 0 && !learned && inv_encoder_learns(settings);
}

static struct inv_build build_of(const struct inv_work *work,
                                 const struct inv_settings *settings,
                                 bool everything) {
    struct inv_build build = {.everything = everything,
                              .config = settings->index,
                              .progress = work->progress,
                              .ctx = work->ctx};
    build.config.threads = work->collection->app->config.build_threads;
    return build;
}

/* What a rebuild is to do. */
struct rebuild {
    struct inv_shared_settings *next; /* settings as they will be */
    bool relearn, other_encoder;
};

static enum inv_status read_rebuild(const inv_json *json,
                                    struct rebuild *rebuild,
                                    struct inv_err *err) {
    static const char *const keys[] = {"index", "encoder", "relearn", NULL};
    struct inv_settings *settings = &rebuild->next->settings;
    inv_json *index = NULL;
    inv_json *encoder = NULL;
    if (inv_json_kind(json) != INV_JSON_OBJECT)
        return inv_fail(err, INV_INVALID, "the body must be an object");
    enum inv_status status = inv_json_allow(json, "", keys, err);
    if (status == INV_OK)
        status = inv_json_get_bool(json, "", "relearn", &rebuild->relearn, err);
    if (status == INV_OK)
        status = inv_json_get_object(json, "", "index", &index, err);
    if (status == INV_OK && index != NULL)
        status = inv_settings_parse_index(index, "/index", settings, err);
    if (status == INV_OK)
        status = inv_json_get_object(json, "", "encoder", &encoder, err);
    rebuild->other_encoder = encoder != NULL;
    if (status == INV_OK && encoder != NULL)
        status = inv_settings_parse_encoder(encoder, "/encoder", settings, err);
    if (status == INV_OK && encoder != NULL &&
        inv_settings_check_dims(settings, &settings->params, "", NULL) !=
            INV_OK) {
        status = inv_fail(err, INV_INVALID,
                          "the collection's params.dims are not among these "
                          "dims: PATCH its params first");
        inv_err_at(err, "/encoder/dims");
    }
    return status;
}

/* rebuild->next is the caller's, also on failure. */
static enum inv_status parse_rebuild(struct inv_collection *c,
                                     const char *request, size_t len,
                                     struct rebuild *rebuild,
                                     struct inv_err *err) {
    struct inv_shared_settings *current = inv_collection_settings(c);
    *rebuild = (struct rebuild){.next = inv_settings_copy(current)};
    inv_json *json = NULL;
    enum inv_status status = INV_OK;
    inv_ref_put(current);
    if (rebuild->next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for settings");
    if (len == 0)
        return INV_OK;
    status = inv_json_parse_plain(request, len, &json, err);
    if (status == INV_OK)
        status = read_rebuild(json, rebuild, err);
    inv_json_free(json);
    return status;
}

enum inv_status inv_work_check_rebuild(struct inv_collection *collection,
                                       const char *request, size_t len,
                                       struct inv_err *err) {
    struct rebuild rebuild;
    enum inv_status status =
        parse_rebuild(collection, request, len, &rebuild, err);
    inv_ref_put(rebuild.next);
    return status;
}

/* ---- the index settings become the collection's ---- */

struct index_change {
    struct inv_collection *collection;
    struct inv_shared_settings *next;
    const char *text;
};

static enum inv_status apply_index(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct index_change *change = ctx;
    return inv_db_set_settings(db, change->collection->id, change->text, err);
}

static void index_committed(void *ctx) {
    struct index_change *change = ctx;
    struct inv_collection *c = change->collection;
    pthread_mutex_lock(&c->lock);
    struct inv_shared_settings *old = c->settings;
    c->settings = inv_ref_get(change->next);
    pthread_mutex_unlock(&c->lock);
    inv_ref_put(old);
}

static enum inv_status keep_index(struct inv_collection *c,
                                  const struct inv_ann_config *index,
                                  struct inv_err *err) {
    struct inv_shared_settings *current = inv_collection_settings(c);
    struct index_change change = {.collection = c,
                                  .next = inv_settings_copy(current)};
    struct inv_buf text = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    if (change.next == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    } else {
        change.next->settings.index = *index;
        inv_settings_write(&change.next->settings, &text);
        change.text = text.data;
        if (text.failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for settings");
    }
    if (status == INV_OK) {
        struct inv_operation op = {.gallery = c->gallery,
                                   .apply = apply_index,
                                   .committed = index_committed,
                                   .ctx = &change};
        status = inv_writer_run(c->app->writer, &op, err);
    }
    inv_buf_release(&text);
    inv_ref_put(change.next);
    inv_ref_put(current);
    return status;
}

/* ---- jobs ---- */

/* A new encoder state, where the rebuild asks for one or nothing has been
 * learned yet. */
static enum inv_status renew_encoder(const struct inv_work *work,
                                     const struct rebuild *rebuild,
                                     struct inv_err *err) {
    struct inv_collection *c = work->collection;
    const struct inv_settings *settings = &rebuild->next->settings;
    struct inv_view *view = inv_gallery_view(c->gallery);
    bool empty = inv_view_live(view) == 0;
    inv_ref_put(view);
    bool learn =
        !empty && inv_encoder_learns(settings) &&
        (rebuild->relearn || rebuild->other_encoder || must_learn(c, settings));
    if (!learn && !rebuild->other_encoder)
        return INV_OK;
    if (work->progress(work->ctx, "learn", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    return inv_collection_new_state(c, settings, learn, err);
}

enum inv_status inv_work_rebuild(const struct inv_work *work,
                                 const char *request, struct inv_buf *result,
                                 struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct rebuild rebuild;
    struct inv_build build = {0};
    enum inv_status status =
        parse_rebuild(c, request, strlen(request), &rebuild, err);
    if (status == INV_OK)
        status = renew_encoder(work, &rebuild, err);
    if (status == INV_OK) {
        build = build_of(work, &rebuild.next->settings, true);
        status = inv_gallery_build(c->gallery, c->app->writer, &build, err);
    }
    if (status == INV_OK)
        status = keep_index(c, &rebuild.next->settings.index, err);
    if (status == INV_OK)
        inv_buf_printf(result,
                       "{\"entries\":%zu,\"segments_replaced\":%zu,"
                       "\"index\":\"%s\"}",
                       build.entries, build.parts,
                       inv_ann_type_name(build.entries == 0 ? build.config.type
                                                            : build.built));
    inv_ref_put(rebuild.next);
    return status;
}

static enum inv_status seal(const struct inv_work *work, struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_shared_settings *settings = inv_collection_settings(c);
    enum inv_status status = INV_OK;
    if (must_learn(c, &settings->settings))
        status = inv_collection_new_state(c, &settings->settings, true, err);
    struct inv_build build = build_of(work, &settings->settings, false);
    if (status == INV_OK)
        status = inv_gallery_build(c->gallery, c->app->writer, &build, err);
    inv_ref_put(settings);
    return status;
}

enum inv_status inv_work_compact(const struct inv_work *work,
                                 struct inv_buf *result, struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_compaction compaction = {
        .dead_share = 0.01, .progress = work->progress, .ctx = work->ctx};
    enum inv_status status = seal(work, err);
    if (status == INV_OK)
        status =
            inv_gallery_compact(c->gallery, c->app->writer, &compaction, err);
    if (status == INV_OK)
        inv_buf_printf(result, "{\"files\":%zu,\"bytes_freed\":%" PRIu64 "}",
                       compaction.files, compaction.bytes_freed);
    return status;
}

enum inv_status inv_work_maintain(const struct inv_work *work, bool *did,
                                  struct inv_err *err) {
    struct inv_collection *c = work->collection;
    const struct inv_app_config *config = &c->app->config;
    *did = false;
    if (inv_gallery_wants_build(c->gallery, config->seal_idle_entries,
                                config->seal_idle_ns)) {
        *did = true;
        return seal(work, err);
    }
    if (inv_gallery_dead_bytes(c->gallery, COMPACT_SHARE) > COMPACT_BYTES) {
        struct inv_buf result = INV_BUF_INIT;
        *did = true;
        enum inv_status status = inv_work_compact(work, &result, err);
        if (status == INV_OK)
            inv_log(INV_LOG_INFO, "compact", "%s: %s", c->name, result.data);
        inv_buf_release(&result);
        return status;
    }
    return INV_OK;
}
