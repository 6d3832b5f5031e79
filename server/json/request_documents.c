/*
 * request_documents.c: the bodies that bring, remove or list documents. Checks
 * form and limits; it does not know the collection. Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <string.h>

enum inv_status inv_parse_document(const struct inv_json_doc *doc,
                                   const inv_json *object, const char *at,
                                   const struct inv_json_limits *limits,
                                   struct inv_document_in *out,
                                   struct inv_err *err) {
    static const char *const fields[] = {"id",    "vector",  "vectors", "text",
                                         "model", "payload", NULL};
    struct inv_document_in document = {.id = NULL};
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status = inv_request_item(doc, object, at, "a document", limits,
                                  &document, err);
    if (status == INV_OK)
        status =
            inv_request_model(object, at, doc->arena, &document.model, err);
    inv_json *payload = NULL;
    if (status == INV_OK)
        status = inv_json_get_object(object, at, "payload", &payload, err);
    document.payload = payload;
    if (status == INV_OK)
        *out = document;
    return status;
}

enum inv_status inv_parse_documents(const struct inv_json_doc *doc,
                                    const struct inv_json_limits *limits,
                                    struct inv_documents_in *out,
                                    struct inv_err *err) {
    static const char *const fields[] = {"documents", NULL};
    inv_json *list = NULL;
    struct inv_documents_in documents = {NULL, 0};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status = inv_request_list(doc->root, "documents", &list,
                                  &documents.count, err);
    if (status != INV_OK)
        return status;
    documents.items =
        inv_arena_calloc(doc->arena, documents.count, sizeof *documents.items);
    if (documents.items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        documents.count);
    for (size_t i = 0; i < documents.count; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "documents", i);
        status = inv_parse_document(doc, inv_json_at(list, i), at, limits,
                                    &documents.items[i], err);
        if (status != INV_OK)
            return status;
    }
    status = inv_request_no_repeats("documents", "document", documents.items,
                                    sizeof *documents.items, documents.count,
                                    doc->arena, err);
    if (status == INV_OK)
        *out = documents;
    return status;
}

static enum inv_status read_ids(const struct inv_json_doc *doc,
                                struct inv_ids_in *out, struct inv_err *err) {
    inv_json *list = NULL;
    enum inv_status status = inv_json_get_array(doc->root, "", "ids",
                                                INV_BATCH_DOCS_MAX, &list, err);
    if (status != INV_OK)
        return status;
    size_t count = inv_json_size(list);
    if (count == 0) {
        status =
            inv_fail(err, INV_INVALID, "\"ids\" must have 1 to %d items, got 0",
                     INV_BATCH_DOCS_MAX);
        inv_err_at(err, "/ids");
        return status;
    }
    struct inv_ids_in ids = {NULL, NULL, count};
    ids.ids = inv_arena_calloc(doc->arena, count, sizeof *ids.ids);
    ids.lens = inv_arena_calloc(doc->arena, count, sizeof *ids.lens);
    if (ids.ids == NULL || ids.lens == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids", count);
    for (size_t i = 0; i < count; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "ids", i);
        status = inv_request_id(inv_json_at(list, i), at, doc->arena,
                                &ids.ids[i], &ids.lens[i], err);
        if (status != INV_OK)
            return status;
    }
    *out = ids;
    return INV_OK;
}

enum inv_status inv_parse_delete(const struct inv_json_doc *doc,
                                 struct inv_delete_request *out,
                                 struct inv_err *err) {
    static const char *const fields[] = {"ids", "filter", "dry_run", NULL};
    struct inv_delete_request request = {.dry_run = false};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status != INV_OK)
        return status;
    bool ids = inv_json_get(doc->root, "ids") != NULL;
    bool filter = inv_json_get(doc->root, "filter") != NULL;
    if (ids == filter)
        return inv_fail(err, INV_INVALID,
                        "a delete needs exactly one of \"ids\" and "
                        "\"filter\", got %s",
                        ids ? "both" : "none");
    if (ids)
        status = read_ids(doc, &request.ids, err);
    else
        status =
            inv_request_filter(doc->root, "", doc->arena, &request.filter, err);
    if (status == INV_OK)
        status =
            inv_json_get_bool(doc->root, "", "dry_run", &request.dry_run, err);
    if (status == INV_OK)
        *out = request;
    return status;
}

#define CURSOR_MAX 2048 /* bytes; it holds an id, as base64 */

enum inv_status inv_parse_scroll(const struct inv_json_doc *doc,
                                 struct inv_scroll_request *out,
                                 struct inv_err *err) {
    static const char *const fields[] = {"limit", "cursor", "filter", "with",
                                         NULL};
    struct inv_scroll_request request = {.limit = INV_LIMIT_DEFAULT,
                                         .payload = {.all = true}};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status = inv_request_u32(doc->root, "", "limit", 1, INV_LIMIT_MAX,
                                 &request.limit, err);
    if (status == INV_OK)
        status = inv_json_get_string(doc->root, "", "cursor", CURSOR_MAX,
                                     &request.cursor, NULL, err);
    if (status == INV_OK)
        status =
            inv_request_filter(doc->root, "", doc->arena, &request.filter, err);
    if (status == INV_OK)
        status = inv_request_with(doc->root, "", doc->arena, &request.payload,
                                  &request.with_vectors, err);
    if (status == INV_OK)
        *out = request;
    return status;
}
