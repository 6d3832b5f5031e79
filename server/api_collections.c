/*
 * api_collections.c: collections and aliases over HTTP.
 */
#include "server/api.h"

#include "server/upgrade/models.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a collection looks like ---- */

static void put_segments(const struct inv_view *view, struct inv_buf *out) {
    const struct inv_models *models = inv_view_models(view);
    const char *comma = "";
    inv_buf_puts(out, ",\"segments\":[");
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        struct inv_ann_config config;
        if (part->count == 0)
            continue;
        inv_segment_config(part->segment, &config);
        inv_buf_printf(
            out,
            "%s{\"segment\":%" PRIu64 ",\"fresh\":%s,\"index\":\"%s\","
            "\"entries\":%zu,\"live\":%zu,\"bytes\":%zu,\"encoder_state\":%u",
            comma, part->segment->gen,
            part->segment->gen == 0 ? "true" : "false",
            inv_ann_type_name(config.type), part->count, part->live->count,
            inv_segment_bytes(part->segment, part->count),
            part->segment->encoding->state);
        const struct inv_space *space =
            inv_models_space(models, inv_part_space(part));
        if (models->space_count > 1 && space != NULL) {
            inv_buf_puts(out, ",\"model\":");
            inv_json_put_string(out, space->name, strlen(space->name));
        }
        inv_buf_putc(out, '}');
        comma = ",";
    }
    inv_buf_putc(out, ']');
}

static size_t index_bytes(const struct inv_view *view) {
    size_t bytes = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        bytes += inv_segment_bytes(part->segment, part->count);
        bytes += part->count * sizeof(struct inv_entry);
        if (part->postings != NULL)
            bytes += inv_postings_bytes(part->postings->postings);
    }
    return bytes;
}

static void put_collection(struct inv_collection *c, bool detail,
                           struct inv_buf *out) {
    char reason[320];
    enum inv_collection_state state =
        inv_collection_state(c, reason, sizeof reason);
    inv_buf_printf(out, "{\"name\":\"%s\",\"state\":\"%s\"", c->name,
                   inv_collection_state_name(state));
    if (reason[0] != '\0') {
        inv_buf_puts(out, ",\"reason\":");
        inv_json_put_string(out, reason, strlen(reason));
    }
    inv_buf_printf(out, ",\"created_ms\":%" PRId64, c->created_ms);
    if (state != INV_LOADING && state != INV_FAILED) {
        struct inv_view *view = inv_gallery_view(c->gallery);
        const struct inv_encoding *encoding = inv_view_encoding(view, 0);
        inv_buf_printf(out,
                       ",\"documents\":%zu,\"bytes\":{\"vectors\":%" PRIu64
                       ",\"index\":%zu}",
                       inv_view_live(view), inv_vlog_set_bytes(view->logs),
                       index_bytes(view));
        if (detail) {
            inv_buf_printf(out,
                           ",\"dead_bytes\":%" PRIu64
                           ",\"encoder_state\":%u,\"ann_dim\":%zu",
                           inv_gallery_dead_bytes(c->gallery, 0.0),
                           encoding->state, encoding->ann_dim);
            put_segments(view, out);
        }
        inv_ref_put(view);
    }
    struct inv_shared_settings *settings = inv_collection_settings(c);
    inv_buf_puts(out, ",\"settings\":");
    inv_settings_write(&settings->settings, out);
    inv_ref_put(settings);
    inv_buf_putc(out, '}');
}

INV_HANDLER(inv_api_collection_list) {
    struct inv_collection **list = NULL;
    size_t count = 0;
    (void)request;
    enum inv_status status = inv_app_list(app, &list, &count, err);
    if (status != INV_OK)
        return status;
    inv_buf_puts(&response->body, "{\"collections\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            inv_buf_putc(&response->body, ',');
        put_collection(list[i], false, &response->body);
        inv_ref_put(list[i]);
    }
    free(list);
    inv_buf_puts(&response->body, "]}");
    return INV_OK;
}

INV_HANDLER(inv_api_collection_put) {
    struct inv_collection *c = NULL;
    bool created = false;
    enum inv_status status = inv_api_media(request, "application/json", err);
    if (status == INV_OK)
        status = inv_app_create(app, request->parts[2],
                                request->body == NULL ? "" : request->body,
                                request->body_len, &created, &c, err);
    if (status != INV_OK)
        return status;
    response->status = created ? 201 : 200;
    put_collection(c, true, &response->body);
    inv_ref_put(c);
    return INV_OK;
}

INV_HANDLER(inv_api_collection_get) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_app_find(app, request->parts[2], &c, err);
    if (status != INV_OK)
        return status;
    put_collection(c, true, &response->body);
    inv_ref_put(c);
    return INV_OK;
}

INV_HANDLER(inv_api_collection_patch) {
    struct inv_collection *c = NULL;
    inv_json *body = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_media(request, "application/json", err);
    if (status == INV_OK)
        status =
            inv_json_parse_plain(request->body == NULL ? "" : request->body,
                                 request->body_len, &body, err);
    if (status == INV_OK)
        status = inv_app_patch(app, c, body, err);
    if (status == INV_OK)
        put_collection(c, true, &response->body);
    inv_json_free(body);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_collection_delete) {
    enum inv_status status = inv_app_delete(app, request->parts[2], err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":true}");
    return status;
}

/* ---- aliases ---- */

static void put_alias(struct inv_app *app, const struct inv_alias *alias,
                      struct inv_buf *out) {
    const char *name = "";
    for (size_t i = 0; i < app->collection_count; i++)
        if (app->collections[i]->id == alias->collection)
            name = app->collections[i]->name;
    inv_buf_printf(out, "{\"alias\":\"%s\",\"collection\":\"%s\"}", alias->name,
                   name);
}

INV_HANDLER(inv_api_alias_list) {
    (void)request;
    (void)err;
    inv_buf_puts(&response->body, "{\"aliases\":[");
    pthread_rwlock_rdlock(&app->registry);
    for (size_t i = 0; i < app->alias_count; i++) {
        if (i > 0)
            inv_buf_putc(&response->body, ',');
        put_alias(app, &app->aliases[i], &response->body);
    }
    pthread_rwlock_unlock(&app->registry);
    inv_buf_puts(&response->body, "]}");
    return INV_OK;
}

INV_HANDLER(inv_api_alias_get) {
    bool found = false;
    pthread_rwlock_rdlock(&app->registry);
    for (size_t i = 0; i < app->alias_count && !found; i++)
        if (strcmp(app->aliases[i].name, request->parts[2]) == 0) {
            put_alias(app, &app->aliases[i], &response->body);
            found = true;
        }
    pthread_rwlock_unlock(&app->registry);
    return found ? INV_OK
                 : inv_fail(err, INV_NOT_FOUND, "there is no alias \"%.64s\"",
                            request->parts[2]);
}

INV_HANDLER(inv_api_alias_put) {
    static const char *const keys[] = {"collection", NULL};
    inv_json *body = NULL;
    const char *target = NULL;
    size_t len = 0;
    enum inv_status status = inv_api_media(request, "application/json", err);
    if (status == INV_OK)
        status =
            inv_json_parse_plain(request->body == NULL ? "" : request->body,
                                 request->body_len, &body, err);
    if (status == INV_OK)
        status = inv_json_body(body, keys, err);
    if (status == INV_OK)
        status = inv_json_get_string(body, "", "collection", INV_NAME_MAX,
                                     &target, &len, err);
    if (status == INV_OK && target == NULL) {
        status = inv_fail(err, INV_INVALID, "\"collection\" is missing");
        inv_err_at(err, "/collection");
    }
    if (status == INV_OK)
        status = inv_app_set_alias(app, request->parts[2], target, err);
    if (status == INV_OK)
        inv_buf_printf(&response->body,
                       "{\"alias\":\"%s\",\"collection\":\"%s\"}",
                       request->parts[2], target);
    inv_json_free(body);
    return status;
}

INV_HANDLER(inv_api_alias_delete) {
    enum inv_status status = inv_app_delete_alias(app, request->parts[2], err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":true}");
    return status;
}
