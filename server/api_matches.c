/*
 * api_matches.c: documents by what they are: count, scroll and delete by
 * filter (or by a list of ids). By one id: api_documents.c.
 */
#include "server/api.h"

#include "server/search.h"
#include "server/upgrade/models.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what matches ---- */

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
    if (status == INV_OK)
        status = inv_json_body(doc.root, keys, err);
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

/* ---- delete ---- */

static enum inv_status collect_ids(const struct inv_searching *s, size_t count,
                                   struct inv_ids_in *ids,
                                   struct inv_err *err) {
    ids->ids = inv_arena_calloc(s->arena, count + 1, sizeof(char *));
    ids->lens = inv_arena_calloc(s->arena, count + 1, sizeof(size_t));
    if (ids->ids == NULL || ids->lens == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids", count);
    for (size_t p = 0; p < s->view->count; p++) {
        const struct inv_part *part = &s->view->parts[p];
        for (size_t e = inv_bitset_next(s->matches[p], part->count, 0);
             e < part->count;
             e = inv_bitset_next(s->matches[p], part->count, e + 1)) {
            const struct inv_entry *entry = &part->entries->items[e];
            ids->ids[ids->count] = entry->id;
            ids->lens[ids->count++] = entry->id_len;
        }
    }
    return INV_OK;
}

struct removal {
    struct inv_collection *collection;
    const struct inv_ids_in *ids;
    uint64_t matched_in; /* version of that view; 0: they were named */
    bool dry_run;
    size_t matched, deleted; /* out */
};

static enum inv_status apply_removal(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    struct removal *removal = ctx;
    struct inv_collection *c = removal->collection;
    removal->matched = removal->deleted = 0;
    for (size_t i = 0; i < removal->ids->count; i++) {
        const char *id = removal->ids->ids[i];
        size_t len = removal->ids->lens[i];
        bool found = false;
        struct inv_document_row row;
        enum inv_status status = inv_db_find(db, c->id, id, len, 0, &row, err);
        if (status != INV_OK)
            return status;
        /* Written or patched since the filter saw it: it may not match now. */
        bool changed =
            removal->matched_in != 0 && row.version > removal->matched_in;
        if (row.doc == 0 || changed)
            continue;
        removal->matched++;
        if (removal->dry_run)
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
    struct inv_db *db = NULL;
    struct inv_operation op = {.gallery = removal->collection->gallery,
                               .apply = apply_removal,
                               .ctx = removal};
    if (!removal->dry_run)
        return inv_writer_run(app->writer, &op, err);
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    if (status == INV_OK)
        status = apply_removal(removal, db, err);
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    return status;
}

INV_HANDLER(inv_api_documents_delete) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_delete_request wanted = {0};
    struct inv_searching searching = {0};
    struct inv_search_plan plan;
    struct inv_search_request search;
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
        if (status == INV_OK)
            status = collect_ids(&searching, count_matches(&plan, view->count),
                                 &wanted.ids, err);
    }
    struct removal removal = {.collection = c,
                              .ids = &wanted.ids,
                              .matched_in =
                                  wanted.filter == NULL ? 0 : view->version,
                              .dry_run = wanted.dry_run};
    if (status == INV_OK)
        status = run_removal(app, &removal, err);
    if (status == INV_OK)
        inv_buf_printf(&response->body,
                       "{\"matched\":%zu,\"deleted\":%zu,\"dry_run\":%s}",
                       removal.matched, removal.deleted,
                       wanted.dry_run ? "true" : "false");
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
                                  const struct inv_scroll_request *wanted,
                                  const int64_t *docs, size_t count,
                                  struct inv_buf *out, struct inv_err *err) {
    struct inv_db *db = NULL;
    const char *comma = "";
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    struct inv_view *view = NULL;
    if (status == INV_OK)
        status = inv_collection_moment(c, db, &view, err);
    size_t n = count < wanted->limit ? count : wanted->limit;
    inv_buf_puts(out, "{\"documents\":[");
    for (size_t i = 0; status == INV_OK && i < n; i++) {
        struct inv_document_row row;
        status =
            inv_db_find_doc(db, docs[i], inv_view_gallery(view), &row, err);
        if (status == INV_OK && row.doc == 0) /* not in the gallery's space */
            status = inv_db_find_doc(db, docs[i], 0, &row, err);
        if (status != INV_OK || row.doc == 0)
            continue;
        inv_buf_puts(out, comma);
        status = inv_document_write(view, &row, &wanted->payload,
                                    wanted->with_vectors, out, err);
        comma = ",";
    }
    if (count > n)
        inv_buf_printf(out, "],\"cursor\":\"%" PRId64 "\"}", docs[n - 1]);
    else
        inv_buf_puts(out, "],\"cursor\":null}");
    inv_ref_put(view);
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
        status = write_page(app, c, &wanted, docs, count, &response->body, err);
    inv_search_forget(&searching);
    inv_ref_put(view);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}
