/*
 * api_models.c: the models of a collection over HTTP: registering them, and
 * their vectors of stored documents and of queries.
 */
#include "server/api.h"

#include "server/upgrade/registry.h"
#include "server/upgrade/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MODEL 4 /* the part of the path that names it */

/* ---- models ---- */

/* View and catalog of the same moment, for counts that belong together. */
struct moment {
    struct inv_collection *collection;
    struct inv_view *view;
    struct inv_db *db;
};

static enum inv_status take_moment(struct inv_app *app,
                                   const struct inv_request *request,
                                   struct moment *out, struct inv_err *err) {
    *out = (struct moment){0};
    enum inv_status status =
        inv_api_collection(app, request, 2, &out->collection, err);
    if (status == INV_OK)
        status = inv_catalog_borrow(app->catalog, &out->db, err);
    if (status == INV_OK)
        status =
            inv_collection_moment(out->collection, out->db, &out->view, err);
    return status;
}

static void leave_moment(struct inv_app *app, struct moment *moment) {
    inv_ref_put(moment->view);
    if (moment->db != NULL)
        inv_catalog_return(app->catalog, moment->db);
    inv_ref_put(moment->collection);
}

INV_HANDLER(inv_api_model_list) {
    struct moment moment;
    enum inv_status status = take_moment(app, request, &moment, err);
    if (status == INV_OK) {
        const struct inv_models *models = inv_view_models(moment.view);
        inv_buf_puts(&response->body, "{\"models\":[");
        for (size_t i = 0; status == INV_OK && i < models->space_count; i++) {
            if (i > 0)
                inv_buf_putc(&response->body, ',');
            status = inv_model_write(moment.view, moment.db, &models->spaces[i],
                                     &response->body, err);
        }
        inv_buf_puts(&response->body, "]}");
    }
    leave_moment(app, &moment);
    return status;
}

static enum inv_status show(struct inv_app *app,
                            const struct inv_request *request,
                            struct inv_response *response,
                            struct inv_err *err) {
    struct moment moment;
    const struct inv_space *space = NULL;
    enum inv_status status = take_moment(app, request, &moment, err);
    if (status == INV_OK)
        status = inv_model_named(inv_view_models(moment.view),
                                 request->parts[MODEL], &space, err);
    if (status == INV_OK)
        status = inv_model_write(moment.view, moment.db, space, &response->body,
                                 err);
    leave_moment(app, &moment);
    return status;
}

INV_HANDLER(inv_api_model_get) { return show(app, request, response, err); }

INV_HANDLER(inv_api_model_put) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_model_in wanted;
    bool created = false;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_model(&doc, &wanted, err);
    if (status == INV_OK)
        status =
            inv_model_put(c, request->parts[MODEL], &wanted, &created, err);
    if (status == INV_OK)
        status = show(app, request, response, err);
    if (status == INV_OK)
        response->status = created ? 201 : 200;
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_model_delete) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_model_delete(c, request->parts[MODEL], err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":true}");
    inv_ref_put(c);
    return status;
}

/* ---- vectors ---- */

static enum inv_status add_json(struct inv_besides *besides,
                                const struct inv_documents_in *vectors,
                                struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < vectors->count; i++) {
        char at[48];
        snprintf(at, sizeof at, "/vectors/%zu", i);
        status = inv_besides_add(besides, &vectors->items[i], at, err);
    }
    return status;
}

static enum inv_status parse_frames(struct inv_app *app,
                                    const struct inv_request *request,
                                    bool multi, struct inv_documents_in *out,
                                    struct inv_err *err) {
    const struct inv_json_limits limits = {
        .max_dim = INV_DIM_MAX, .max_rows = app->config.max_doc_tokens};
    enum inv_status status = inv_parse_model_frames(
        request->body, request->body_len, &limits, request->arena, out, err);
    for (size_t i = 0; status == INV_OK && i < out->count; i++) {
        struct inv_given *given = &out->items[i].given;
        if (!multi && given->matrix.rows != 1)
            status = inv_fail(err, INV_INVALID,
                              "a single collection takes 1 vector a document, "
                              "item %zu has %zu",
                              i + 1, given->matrix.rows);
        given->plural = multi;
    }
    return status;
}

static enum inv_status
add_vectors(struct inv_app *app, const struct inv_request *request,
            struct inv_json_doc *doc, struct inv_collection *c,
            struct inv_besides *besides, struct inv_err *err) {
    struct inv_documents_in vectors = {0};
    struct inv_json_limits limits;
    const struct inv_space *space = NULL;
    struct inv_view *view = inv_gallery_view(c->gallery);
    /* a model that is not there is said before what stands in the body */
    enum inv_status status = inv_models_find(
        inv_view_models(view), request->parts[MODEL], &space, err);
    bool multi = inv_view_models(view)->settings->settings.multi;
    inv_ref_put(view);
    if (status != INV_OK)
        return status;
    if (request->content_type != NULL &&
        strcmp(request->content_type, "application/x-invar") == 0) {
        status = parse_frames(app, request, multi, &vectors, err);
    } else {
        status = inv_api_json(app, request, false, doc, &limits, err);
        if (status == INV_OK)
            status = inv_parse_model_vectors(doc, &limits, &vectors, err);
    }
    if (status == INV_OK)
        status = inv_besides_init(besides, c, request->parts[MODEL],
                                  vectors.count, request->arena, err);
    if (status == INV_OK)
        status = add_json(besides, &vectors, err);
    return status;
}

INV_HANDLER(inv_api_model_vectors_post) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_besides besides = {0};
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = add_vectors(app, request, &doc, c, &besides, err);
    if (status == INV_OK)
        status = inv_besides_commit(&besides, err);
    if (status == INV_OK)
        inv_besides_write(&besides, &response->body);
    inv_besides_release(&besides);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

/* ---- queries ---- */

/* Is the gallery a simplex, where queries come with the classes they are of? */
static bool takes_labels(struct inv_collection *c) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_models *models = inv_view_models(view);
    bool labelled = models->settings->settings.simplex.classes > 0;
    inv_ref_put(view);
    return labelled;
}

INV_HANDLER(inv_api_model_queries_post) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_queries_in queries = {0};
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, true, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_model_queries(&doc, &limits, takes_labels(c),
                                         &queries, err);
    if (status == INV_OK)
        status = inv_model_add_queries(c, request->parts[MODEL], &queries,
                                       request->arena, err);
    if (status == INV_OK)
        inv_buf_printf(&response->body, "{\"stored\":%zu}", queries.count);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_model_queries_delete) {
    struct inv_collection *c = NULL;
    uint64_t count = 0;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status =
            inv_model_forget_queries(c, request->parts[MODEL], &count, err);
    if (status == INV_OK)
        inv_buf_printf(&response->body, "{\"deleted\":%" PRIu64 "}", count);
    inv_ref_put(c);
    return status;
}
