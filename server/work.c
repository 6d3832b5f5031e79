/*
 * work.c: rebuild, compaction and maintenance of one collection. Builder
 * thread only.
 */
#include "server/work.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/upgrade/change.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMPACT_SHARE 0.5 /* of dead bytes, before it is done unasked */
#define COMPACT_BYTES ((uint64_t)64 << 20)
#define COUNT_NS INT64_C(5000000000) /* between two counts of dead bytes */

static bool must_learn(struct inv_collection *c, int64_t space,
                       const struct inv_settings *settings) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_encoder *encoder =
        (const struct inv_encoder *)inv_view_encoding(view, space);
    bool learn = encoder != NULL && !encoder->learned &&
                 inv_view_vectors(view, space) > 0 &&
                 inv_encoder_learns(settings);
    inv_ref_put(view);
    return learn;
}

static struct inv_build build_of(const struct inv_work *work, int64_t space,
                                 const struct inv_settings *settings,
                                 bool everything) {
    struct inv_build build = {.space = space,
                              .everything = everything,
                              .config = settings->index,
                              .progress = work->progress,
                              .ctx = work->ctx};
    build.config.threads = work->collection->app->config.build_threads;
    return build;
}

/* What a rebuild is to do. */
struct rebuild {
    int64_t space;                    /* the gallery's when it began */
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
    enum inv_status status = inv_json_body(json, keys, err);
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
    struct inv_view *view = inv_gallery_view(c->gallery);
    *rebuild = (struct rebuild){
        .space = inv_view_gallery(view),
        .next = inv_settings_copy(inv_view_models(view)->settings)};
    inv_json *json = NULL;
    enum inv_status status = INV_OK;
    inv_ref_put(view);
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
    int64_t space;
    const struct inv_ann_config *index;
};

static enum inv_status edit_index(void *ctx, struct inv_settings *settings,
                                  struct inv_err *err) {
    const struct index_change *change = ctx;
    (void)err;
    settings->index = *change->index;
    return INV_OK;
}

static enum inv_status apply_index(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct index_change *change = ctx;
    return inv_models_edit(change->collection, db, change->space, edit_index,
                           change, err);
}

static enum inv_status keep_index(struct inv_collection *c, int64_t space,
                                  const struct inv_ann_config *index,
                                  struct inv_err *err) {
    struct index_change change = {
        .collection = c, .space = space, .index = index};
    struct inv_operation op = {
        .gallery = c->gallery, .apply = apply_index, .ctx = &change};
    return inv_writer_run(c->app->writer, &op, err);
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
    int64_t space = rebuild->space;
    bool empty = inv_view_vectors(view, space) == 0;
    inv_ref_put(view);
    bool learn = !empty && inv_encoder_learns(settings) &&
                 (rebuild->relearn || rebuild->other_encoder ||
                  must_learn(c, space, settings));
    if (!learn && !rebuild->other_encoder)
        return INV_OK;
    if (work->progress(work->ctx, "learn", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    return inv_collection_new_state(c, space, settings, learn, err);
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
        build = build_of(work, rebuild.space, &rebuild.next->settings, true);
        status = inv_gallery_build(c->gallery, c->app->writer, &build, err);
    }
    if (status == INV_OK)
        status =
            keep_index(c, rebuild.space, &rebuild.next->settings.index, err);
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

static struct inv_shared_settings *settings_of(struct inv_collection *c,
                                               int64_t space) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_space *known =
        inv_models_space(inv_view_models(view), space);
    struct inv_shared_settings *settings =
        known == NULL ? NULL : inv_ref_get(known->settings);
    inv_ref_put(view);
    return settings;
}

enum inv_status inv_work_seal(const struct inv_work *work, int64_t space,
                              bool everything, struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_shared_settings *settings = settings_of(c, space);
    if (settings == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "the model was removed from the collection meanwhile");
    enum inv_status status = INV_OK;
    if (must_learn(c, space, &settings->settings))
        status =
            inv_collection_new_state(c, space, &settings->settings, true, err);
    struct inv_build build =
        build_of(work, space, &settings->settings, everything);
    if (status == INV_OK)
        status = inv_gallery_build(c->gallery, c->app->writer, &build, err);
    inv_ref_put(settings);
    return status;
}

/* Every space: what is fresh keeps its log from being compacted. */
static enum inv_status seal_all(const struct inv_work *work,
                                struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(work->collection->gallery);
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < view->space_count; i++)
        status = inv_work_seal(work, view->spaces[i].space, false, err);
    inv_ref_put(view);
    return status;
}

enum inv_status inv_work_compact(const struct inv_work *work,
                                 struct inv_buf *result, struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_compaction compaction = {
        .dead_share = 0.01, .progress = work->progress, .ctx = work->ctx};
    enum inv_status status = seal_all(work, err);
    if (status == INV_OK)
        status =
            inv_gallery_compact(c->gallery, c->app->writer, &compaction, err);
    if (status == INV_OK)
        inv_buf_printf(result, "{\"files\":%zu,\"bytes_freed\":%" PRIu64 "}",
                       compaction.files, compaction.bytes_freed);
    return status;
}

/* Counting dead bytes walks every entry: only after a change, and not after
 * each of many. */
static bool worth_compacting(struct inv_collection *c) {
    int64_t changed = inv_gallery_changed_ns(c->gallery);
    int64_t now = (int64_t)inv_now_ns();
    if (changed < c->dead_counted_ns || now < c->dead_counted_ns + COUNT_NS)
        return false;
    c->dead_counted_ns = now;
    return inv_gallery_dead_bytes(c->gallery, COMPACT_SHARE) > COMPACT_BYTES;
}

enum inv_status inv_work_maintain(const struct inv_work *work, bool *did,
                                  struct inv_err *err) {
    struct inv_collection *c = work->collection;
    const struct inv_app_config *config = &c->app->config;
    int64_t space = 0;
    *did = false;
    if (inv_gallery_wants_build(c->gallery, config->seal_idle_entries,
                                config->seal_idle_ns, &space)) {
        *did = true;
        return inv_work_seal(work, space, false, err);
    }
    if (worth_compacting(c)) {
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
