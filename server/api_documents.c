/*
 * api_documents.c: documents by id: upsert, read, patch, delete. Many at once:
 * api_matches.c.
 */
#include "server/api.h"

#include "server/ingest.h"
#include "server/search.h"
#include "server/upgrade/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- upsert ---- */

static enum inv_status put_mode(const struct inv_request *request,
                                enum inv_put_mode *mode, struct inv_err *err) {
    const char *text = inv_request_query(request, "mode");
    *mode = INV_PUT_UPSERT;
    if (text == NULL || strcmp(text, "upsert") == 0)
        return INV_OK;
    if (strcmp(text, "insert") == 0)
        *mode = INV_PUT_INSERT;
    else if (strcmp(text, "update") == 0)
        *mode = INV_PUT_UPDATE;
    else
        return inv_fail(err, INV_INVALID,
                        "mode is upsert, insert or update, not \"%.40s\"",
                        text);
    return INV_OK;
}

static enum inv_status add_all(struct inv_ingest *ingest,
                               const struct inv_documents_in *documents,
                               struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < documents->count; i++) {
        char at[48];
        snprintf(at, sizeof at, "/documents/%zu", i);
        status = inv_ingest_add(ingest, &documents->items[i], at, err);
    }
    return status;
}

INV_HANDLER(inv_api_documents_put) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_documents_in documents = {0};
    struct inv_ingest ingest = {0};
    enum inv_put_mode mode;
    enum inv_status status = put_mode(request, &mode, err);
    if (status == INV_OK)
        status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_documents(&doc, &limits, &documents, err);
    if (status == INV_OK)
        status = inv_ingest_init(&ingest, c, mode, documents.count,
                                 request->arena, err);
    if (status == INV_OK)
        status = add_all(&ingest, &documents, err);
    if (status == INV_OK)
        status = inv_ingest_commit(&ingest, err);
    if (status == INV_OK) {
        inv_metrics_documents(documents.count);
        inv_buf_printf(&response->body,
                       "{\"upserted\":%zu,\"created\":%zu,\"errors\":[]}",
                       documents.count, ingest.created);
    }
    inv_ingest_release(&ingest);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

/* ---- read ---- */

static enum inv_status unknown_document(const struct inv_request *request,
                                        struct inv_err *err) {
    return inv_fail(err, INV_NOT_FOUND, "there is no document \"%.200s\"",
                    request->parts[4]);
}

enum inv_status inv_document_write(const struct inv_view *view,
                                   const struct inv_document_row *row,
                                   const struct inv_payload_wish *wish,
                                   bool vectors, struct inv_buf *out,
                                   struct inv_err *err) {
    const struct inv_models *models = inv_view_models(view);
    const struct inv_space *space = inv_models_space(models, row->space);
    bool multi = models->settings->settings.multi;
    if (space == NULL)
        return inv_fail(err, INV_INTERNAL,
                        "a vector of space %" PRId64 ", which none of the %zu "
                        "models has",
                        row->space, models->space_count);
    inv_buf_puts(out, "{\"id\":");
    inv_json_put_string(out, row->id, row->id_len);
    inv_buf_printf(out,
                   ",\"seq\":%" PRIu64 ",\"version\":%" PRIu64 ",\"model\":",
                   inv_document_seq(row), row->version);
    inv_json_put_string(out, space->name, strlen(space->name));
    inv_buf_puts(out, ",\"payload\":");
    enum inv_status status =
        inv_payload_write(wish, row->payload, row->payload_len, out, err);
    if (status == INV_OK && vectors) {
        struct inv_codes codes;
        status = inv_vlog_get(view->logs, &row->place, &codes, err);
        if (status != INV_OK)
            return status;
        inv_buf_puts(out, multi ? ",\"vectors\":" : ",\"vector\":");
        inv_json_put_codes(out, &codes, multi);
    }
    inv_buf_putc(out, '}');
    return status;
}

/* A document with its vector in the model asked for, or in the gallery's, or
 * in whichever it has. */
struct lookup {
    struct inv_collection *collection;
    const struct inv_request *request;
    const char *model; /* asked for, or NULL */
    bool with_vectors;
    struct inv_db *db;
    struct inv_view *view; /* that knows the row's space */
    struct inv_document_row row;
};

static enum inv_status find_row(struct lookup *lookup, struct inv_err *err) {
    const struct inv_request *request = lookup->request;
    const struct inv_models *models = inv_view_models(lookup->view);
    const struct inv_space *space = &models->spaces[0];
    enum inv_status status = INV_OK;
    if (lookup->model != NULL)
        status = inv_models_find(models, lookup->model, &space, err);
    if (status == INV_OK)
        status =
            inv_db_find(lookup->db, lookup->collection->id, request->parts[4],
                        request->part_lens[4], space->space, &lookup->row, err);
    if (status == INV_OK && lookup->row.doc == 0)
        status = unknown_document(request, err);
    if (status == INV_OK && lookup->model != NULL &&
        lookup->row.space != space->space)
        status = inv_fail(err, INV_NOT_FOUND,
                          "document \"%.200s\" has no vector of %s",
                          request->parts[4], space->name);
    return status;
}

static enum inv_status look_up(struct lookup *lookup, struct inv_err *err) {
    struct inv_collection *c = lookup->collection;
    enum inv_status status =
        inv_catalog_borrow(c->app->catalog, &lookup->db, err);
    if (status == INV_OK && !lookup->with_vectors) {
        lookup->view = inv_gallery_view(c->gallery);
        status = find_row(lookup, err);
        if (status != INV_OK || inv_models_space(inv_view_models(lookup->view),
                                                 lookup->row.space) != NULL)
            return status;
        /* of a model that was registered behind this view */
        inv_ref_put(lookup->view);
        lookup->view = NULL;
    }
    if (status == INV_OK)
        status = inv_collection_moment(c, lookup->db, &lookup->view, err);
    if (status == INV_OK)
        status = find_row(lookup, err);
    return status;
}

INV_HANDLER(inv_api_document_get) {
    struct lookup lookup = {.request = request};
    struct inv_payload_wish wish = {.all = true};
    const char *vectors = inv_request_query(request, "vectors");
    lookup.with_vectors = vectors != NULL && strcmp(vectors, "false") != 0;
    lookup.model = inv_request_query(request, "model");
    enum inv_status status =
        inv_api_collection(app, request, 2, &lookup.collection, err);
    if (status != INV_OK)
        return status;
    status = look_up(&lookup, err);
    if (status == INV_OK)
        status = inv_document_write(lookup.view, &lookup.row, &wish,
                                    lookup.with_vectors, &response->body, err);
    if (status == INV_OK)
        inv_response_header(response, "ETag", "\"%" PRIu64 "\"",
                            lookup.row.version);
    inv_ref_put(lookup.view);
    if (lookup.db != NULL)
        inv_catalog_return(app->catalog, lookup.db);
    inv_ref_put(lookup.collection);
    return status;
}

/* ---- patch ---- */

struct patch {
    struct inv_collection *collection;
    const struct inv_request *request;
    const inv_json *change;
    uint64_t version; /* out */
};

/* "3", or * for any. */
static enum inv_status check_match(const struct inv_request *request,
                                   uint64_t version, struct inv_err *err) {
    const char *wanted = request->if_match;
    char have[32];
    snprintf(have, sizeof have, "\"%" PRIu64 "\"", version);
    if (wanted == NULL || strcmp(wanted, "*") == 0 || strcmp(wanted, have) == 0)
        return INV_OK;
    return inv_fail(err, INV_PRECONDITION,
                    "If-Match is %.40s, the document is at %s", wanted, have);
}

static void shared_row_release(void *self) {
    struct inv_shared_row *shared = self;
    free(shared->row);
    free(shared);
}

static enum inv_status merge(struct inv_gallery *gallery,
                             const struct inv_document_row *row,
                             const inv_json *change, struct inv_buf *text,
                             struct inv_shared_row **out, struct inv_err *err) {
    inv_json *old = NULL;
    enum inv_status status = INV_OK;
    if (row->payload != NULL)
        status =
            inv_json_parse_plain(row->payload, row->payload_len, &old, err);
    inv_json *merged =
        status == INV_OK ? inv_json_merge_patch(old, change) : NULL;
    inv_json_free(old);
    if (status == INV_OK && merged == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a payload");
    struct inv_shared_row *shared = calloc(1, sizeof *shared);
    if (status == INV_OK && shared == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a payload");
    if (shared != NULL)
        inv_ref_init(&shared->ref, shared_row_release);
    if (status == INV_OK) {
        struct inv_view *view = inv_gallery_view(gallery);
        inv_json_write(merged, text);
        if (text->failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for a payload");
        else if (text->len > INV_PAYLOAD_MAX)
            status = inv_fail(err, INV_TOO_LARGE,
                              "the payload would have %zu bytes, at most %zu "
                              "are kept",
                              text->len, INV_PAYLOAD_MAX);
        else
            status = inv_json_row(merged, "/payload", view->schema->fields,
                                  view->schema->count, &shared->row, err);
        inv_ref_put(view);
    }
    inv_json_free(merged);
    if (status != INV_OK) {
        inv_ref_put(shared);
        return status;
    }
    *out = shared;
    return INV_OK;
}

static enum inv_status apply_patch(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct patch *patch = ctx;
    struct inv_collection *c = patch->collection;
    struct inv_document_row row;
    struct inv_buf text = INV_BUF_INIT;
    struct inv_shared_row *shared = NULL;
    enum inv_status status =
        inv_db_find(db, c->id, patch->request->parts[4],
                    patch->request->part_lens[4], 0, &row, err);
    if (status == INV_OK && row.doc == 0)
        status = unknown_document(patch->request, err);
    if (status == INV_OK)
        status = check_match(patch->request, row.version, err);
    if (status == INV_OK)
        status = merge(c->gallery, &row, patch->change, &text, &shared, err);
    if (status == INV_OK)
        status =
            inv_gallery_set_payload(c->gallery, db, &row, text.data, text.len,
                                    shared, &patch->version, err);
    inv_ref_put(shared);
    inv_buf_release(&text);
    return status;
}

INV_HANDLER(inv_api_document_patch) {
    static const char *const keys[] = {"payload", NULL};
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    inv_json *payload = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_json_body(doc.root, keys, err);
    if (status == INV_OK)
        status = inv_json_get_object(doc.root, "", "payload", &payload, err);
    if (status == INV_OK && payload == NULL) {
        status = inv_fail(err, INV_INVALID,
                          "\"payload\" is missing: an object "
                          "to merge into the stored one");
        inv_err_at(err, "/payload");
    }
    struct patch patch = {
        .collection = c, .request = request, .change = payload};
    if (status == INV_OK) {
        struct inv_operation op = {
            .gallery = c->gallery, .apply = apply_patch, .ctx = &patch};
        status = inv_writer_run(app->writer, &op, err);
    }
    inv_json_close(&doc);
    inv_ref_put(c);
    if (status != INV_OK)
        return status;
    inv_response_header(response, "ETag", "\"%" PRIu64 "\"", patch.version);
    inv_buf_puts(&response->body, "{\"id\":");
    inv_json_put_string(&response->body, request->parts[4],
                        request->part_lens[4]);
    inv_buf_printf(&response->body, ",\"version\":%" PRIu64 "}", patch.version);
    return INV_OK;
}

/* ---- delete ---- */

struct removal {
    struct inv_collection *collection;
    const struct inv_request *request;
};

static enum inv_status apply_removal(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    const struct removal *removal = ctx;
    const struct inv_request *request = removal->request;
    struct inv_collection *c = removal->collection;
    struct inv_document_row row;
    bool found = false;
    enum inv_status status = inv_db_find(db, c->id, request->parts[4],
                                         request->part_lens[4], 0, &row, err);
    if (status == INV_OK && row.doc == 0)
        status = unknown_document(request, err);
    if (status == INV_OK)
        status = check_match(request, row.version, err);
    if (status == INV_OK)
        status = inv_gallery_remove(c->gallery, db, request->parts[4],
                                    request->part_lens[4], &found, err);
    return status;
}

INV_HANDLER(inv_api_document_delete) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct removal removal = {.collection = c, .request = request};
    struct inv_operation op = {
        .gallery = c->gallery, .apply = apply_removal, .ctx = &removal};
    status = inv_writer_run(app->writer, &op, err);
    inv_ref_put(c);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":1}");
    return status;
}
