/*
 * api_documents.c: documents one by one and by filter: upsert, read, patch,
 * delete, count, scroll.
 */
#include "server/api.h"

#include "server/ingest.h"
#include "server/search.h"

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

/* A document's row as {"id":..,"seq":..,...}. view: its logs hold the vector.
 */
static enum inv_status write_document(const struct inv_settings *settings,
                                      const struct inv_view *view,
                                      const struct inv_document_row *row,
                                      const struct inv_payload_wish *wish,
                                      bool vectors, struct inv_buf *out,
                                      struct inv_err *err) {
    char model[2 * INV_MODEL_NAME_MAX + 2];
    inv_api_model_name(settings, model, sizeof model);
    inv_buf_puts(out, "{\"id\":");
    inv_json_put_string(out, row->id, row->id_len);
    inv_buf_printf(out,
                   ",\"seq\":%" PRIu64 ",\"version\":%" PRIu64 ",\"model\":",
                   row->vseq, row->version);
    inv_json_put_string(out, model, strlen(model));
    inv_buf_puts(out, ",\"payload\":");
    enum inv_status status =
        inv_payload_write(wish, row->payload, row->payload_len, out, err);
    if (status == INV_OK && vectors) {
        struct inv_codes codes;
        status = inv_vlog_get(view->logs, &row->place, &codes, err);
        if (status != INV_OK)
            return status;
        inv_buf_puts(out, settings->multi ? ",\"vectors\":" : ",\"vector\":");
        inv_json_put_codes(out, &codes, settings->multi);
    }
    inv_buf_putc(out, '}');
    return status;
}

static const struct inv_view *with_place(const struct inv_view *view,
                                         const struct inv_view *before,
                                         const struct inv_document_row *row) {
    return inv_vlog_reaches(view->logs, &row->place, NULL) ? view : before;
}

INV_HANDLER(inv_api_document_get) {
    struct inv_collection *c = NULL;
    struct inv_db *db = NULL;
    struct inv_document_row row = {0};
    struct inv_payload_wish wish = {.all = true};
    const char *vectors = inv_request_query(request, "vectors");
    bool with_vectors = vectors != NULL && strcmp(vectors, "false") != 0;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct inv_shared_settings *settings = inv_collection_settings(c);
    /* Views before and after the row: whatever file it names, one has it, also
     * when it is new or when a compaction has just dropped it. */
    struct inv_view *before = inv_gallery_view(c->gallery);
    status = inv_catalog_borrow(app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_db_find(db, c->id, request->parts[4],
                             request->part_lens[4], &row, err);
    struct inv_view *view = inv_gallery_view(c->gallery);
    if (status == INV_OK && row.doc == 0)
        status = unknown_document(request, err);
    if (status == INV_OK)
        status =
            write_document(&settings->settings, with_place(view, before, &row),
                           &row, &wish, with_vectors, &response->body, err);
    if (status == INV_OK)
        inv_response_header(response, "ETag", "\"%" PRIu64 "\"", row.version);
    inv_ref_put(view);
    inv_ref_put(before);
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    inv_ref_put(settings);
    inv_ref_put(c);
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

static enum inv_status merge(struct inv_gallery *gallery,
                             const struct inv_document_row *row,
                             const inv_json *change, struct inv_buf *text,
                             struct inv_shared_row **out, struct inv_err *err);

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
                    patch->request->part_lens[4], &row, err);
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
    if (status == INV_OK && inv_json_kind(doc.root) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_INVALID, "the body must be an object");
    if (status == INV_OK)
        status = inv_json_allow(doc.root, "", keys, err);
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
    const struct inv_ids_in *ids;
    const uint64_t *vseqs;              /* NULL, or as they matched */
    const struct inv_request *if_match; /* NULL, or whose If-Match counts */
    size_t deleted;                     /* out */
};

static enum inv_status apply_removal(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    struct removal *removal = ctx;
    struct inv_collection *c = removal->collection;
    removal->deleted = 0;
    for (size_t i = 0; i < removal->ids->count; i++) {
        const char *id = removal->ids->ids[i];
        size_t len = removal->ids->lens[i];
        bool found = false;
        struct inv_document_row row;
        enum inv_status status = inv_db_find(db, c->id, id, len, &row, err);
        if (status == INV_OK && row.doc != 0 && removal->if_match != NULL)
            status = check_match(removal->if_match, row.version, err);
        if (status != INV_OK)
            return status;
        /* Written again since the filter saw it: it is another document. */
        if (removal->vseqs != NULL && row.vseq != removal->vseqs[i])
            continue;
        status = inv_gallery_remove(c->gallery, db, id, len, &found, err);
        if (status != INV_OK)
            return status;
        removal->deleted += found;
    }
    return INV_OK;
}

static enum inv_status run_removal(struct inv_app *app, struct removal *removal,
                                   struct inv_err *err) {
    struct inv_operation op = {.gallery = removal->collection->gallery,
                               .apply = apply_removal,
                               .ctx = removal};
    return inv_writer_run(app->writer, &op, err);
}

INV_HANDLER(inv_api_document_delete) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    const char *id = request->parts[4];
    size_t len = request->part_lens[4];
    struct inv_ids_in ids = {.ids = &id, .lens = &len, .count = 1};
    struct removal removal = {
        .collection = c, .ids = &ids, .if_match = request};
    status = run_removal(app, &removal, err);
    inv_ref_put(c);
    if (status == INV_OK && removal.deleted == 0)
        status = unknown_document(request, err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":1}");
    return status;
}

/* ---- by filter ---- */

/* The live entries that match, per part of the view. */
static enum inv_status match(struct inv_app *app, struct inv_collection *c,
                             struct inv_filter *filter, struct inv_arena *arena,
                             struct inv_view *view, struct inv_searching *out,
                             struct inv_search_plan *plan,
                             struct inv_search_request *request,
                             struct inv_err *err) {
    *request = (struct inv_search_request){.filter = filter};
    *plan = (struct inv_search_plan){0};
    plan->parts = inv_arena_calloc(arena, view->count + 1, sizeof *plan->parts);
    if (plan->parts == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a filter");
    *out = (struct inv_searching){.app = app,
                                  .collection = c,
                                  .request = request,
                                  .view = view,
                                  .arena = arena,
                                  .plan = plan};
    return inv_search_select(out, err);
}

static size_t count_matches(const struct inv_search_plan *plan, size_t parts) {
    size_t count = 0;
    for (size_t i = 0; i < parts; i++)
        count += plan->parts[i].matches;
    return count;
}

INV_HANDLER(inv_api_documents_count) {
    static const char *const keys[] = {"filter", NULL};
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    inv_json *object = NULL;
    struct inv_filter *filter = NULL;
    struct inv_searching searching = {0};
    struct inv_search_plan plan;
    struct inv_search_request search;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK && inv_json_kind(doc.root) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_INVALID, "the body must be an object");
    if (status == INV_OK)
        status = inv_json_allow(doc.root, "", keys, err);
    if (status == INV_OK)
        status = inv_json_get_object(doc.root, "", "filter", &object, err);
    if (status == INV_OK && object != NULL)
        status =
            inv_parse_filter(object, "/filter", request->arena, &filter, err);
    struct inv_view *view = inv_gallery_view(c->gallery);
    if (status == INV_OK)
        status = match(app, c, filter, request->arena, view, &searching, &plan,
                       &search, err);
    if (status == INV_OK)
        inv_buf_printf(&response->body, "{\"count\":%zu}",
                       count_matches(&plan, view->count));
    inv_search_forget(&searching);
    inv_ref_put(view);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

static enum inv_status collect_ids(const struct inv_searching *s, size_t count,
                                   struct inv_ids_in *ids, uint64_t **vseqs,
                                   struct inv_err *err) {
    ids->ids = inv_arena_calloc(s->arena, count + 1, sizeof(char *));
    ids->lens = inv_arena_calloc(s->arena, count + 1, sizeof(size_t));
    *vseqs = inv_arena_calloc(s->arena, count + 1, sizeof **vseqs);
    if (ids->ids == NULL || ids->lens == NULL || *vseqs == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids", count);
    for (size_t p = 0; p < s->view->count; p++) {
        const struct inv_part *part = &s->view->parts[p];
        for (size_t e = inv_bitset_next(s->matches[p], part->count, 0);
             e < part->count;
             e = inv_bitset_next(s->matches[p], part->count, e + 1)) {
            const struct inv_entry *entry = &part->entries->items[e];
            ids->ids[ids->count] = entry->id;
            ids->lens[ids->count] = entry->id_len;
            (*vseqs)[ids->count++] = entry->vseq;
        }
    }
    return INV_OK;
}

INV_HANDLER(inv_api_documents_delete) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_delete_request wanted = {0};
    struct inv_searching searching = {0};
    struct inv_search_plan plan;
    struct inv_search_request search;
    uint64_t *vseqs = NULL;
    size_t matched = 0;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct inv_view *view = inv_gallery_view(c->gallery);
    status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_delete(&doc, &wanted, err);
    if (status == INV_OK && wanted.ids.count == 0) {
        status = match(app, c, wanted.filter, request->arena, view, &searching,
                       &plan, &search, err);
        if (status == INV_OK) {
            matched = count_matches(&plan, view->count);
            status = collect_ids(&searching, matched, &wanted.ids, &vseqs, err);
        }
    } else {
        matched = wanted.ids.count;
    }
    struct removal removal = {
        .collection = c, .ids = &wanted.ids, .vseqs = vseqs};
    if (status == INV_OK && !wanted.dry_run)
        status = run_removal(app, &removal, err);
    if (status == INV_OK)
        inv_buf_printf(
            &response->body, "{\"matched\":%zu,\"deleted\":%zu,\"dry_run\":%s}",
            matched, removal.deleted, wanted.dry_run ? "true" : "false");
    inv_search_forget(&searching);
    inv_ref_put(view);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

/* ---- scroll: in order of first insertion ---- */

static int by_doc(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum inv_status docs_after(const struct inv_searching *s, int64_t after,
                                  size_t total, int64_t **docs, size_t *count,
                                  struct inv_err *err) {
    *docs = inv_arena_alloc(s->arena, (total + 1) * sizeof **docs);
    *count = 0;
    if (*docs == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a page");
    for (size_t p = 0; p < s->view->count; p++) {
        const struct inv_part *part = &s->view->parts[p];
        for (size_t e = inv_bitset_next(s->matches[p], part->count, 0);
             e < part->count;
             e = inv_bitset_next(s->matches[p], part->count, e + 1))
            if (part->entries->items[e].doc > after)
                (*docs)[(*count)++] = part->entries->items[e].doc;
    }
    if (*count > 1)
        qsort(*docs, *count, sizeof **docs, by_doc);
    return INV_OK;
}

static enum inv_status write_page(struct inv_app *app, struct inv_collection *c,
                                  const struct inv_view *before,
                                  const struct inv_scroll_request *wanted,
                                  const int64_t *docs, size_t count,
                                  struct inv_buf *out, struct inv_err *err) {
    struct inv_db *db = NULL;
    struct inv_shared_settings *settings = inv_collection_settings(c);
    const char *comma = "";
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_db_snapshot(db, err);
    struct inv_view *view = inv_gallery_view(c->gallery);
    size_t n = count < wanted->limit ? count : wanted->limit;
    inv_buf_puts(out, "{\"documents\":[");
    for (size_t i = 0; status == INV_OK && i < n; i++) {
        struct inv_document_row row;
        status = inv_db_find_doc(db, docs[i], &row, err);
        if (status != INV_OK || row.doc == 0)
            continue;
        inv_buf_puts(out, comma);
        status = write_document(
            &settings->settings, with_place(view, before, &row), &row,
            &wanted->payload, wanted->with_vectors, out, err);
        comma = ",";
    }
    if (count > n)
        inv_buf_printf(out, "],\"cursor\":\"%" PRId64 "\"}", docs[n - 1]);
    else
        inv_buf_puts(out, "],\"cursor\":null}");
    inv_ref_put(view);
    inv_ref_put(settings);
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    return status;
}

INV_HANDLER(inv_api_documents_scroll) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_scroll_request wanted = {0};
    struct inv_searching searching = {0};
    struct inv_search_plan plan;
    struct inv_search_request search;
    int64_t after = 0;
    int64_t *docs = NULL;
    size_t count = 0;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct inv_view *view = inv_gallery_view(c->gallery);
    status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_scroll(&doc, &wanted, err);
    if (status == INV_OK && wanted.cursor != NULL) {
        char *end;
        after = strtoll(wanted.cursor, &end, 10);
        if (*end != '\0' || after <= 0) {
            status = inv_fail(err, INV_INVALID,
                              "\"%.40s\" is not a cursor of this collection",
                              wanted.cursor);
            inv_err_at(err, "/cursor");
        }
    }
    if (status == INV_OK)
        status = match(app, c, wanted.filter, request->arena, view, &searching,
                       &plan, &search, err);
    if (status == INV_OK)
        status =
            docs_after(&searching, after, count_matches(&plan, view->count),
                       &docs, &count, err);
    if (status == INV_OK)
        status = write_page(app, c, view, &wanted, docs, count, &response->body,
                            err);
    inv_search_forget(&searching);
    inv_ref_put(view);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}
