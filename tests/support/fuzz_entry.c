/*
 * fuzz_entry.c: see fuzz_entry.h.
 */
#include "tests/support/fuzz_entry.h"

#include "server/requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_json_limits limits = {.max_dim = 64, .max_rows = 16};

static void promise(int holds) {
    if (!holds)
        abort();
}

static unsigned took(enum inv_status status, const struct inv_err *err,
                     unsigned bit) {
    promise(status == INV_OK || err->status == status);
    promise(status == INV_OK || err->text[0] != '\0');
    promise(status != INV_INTERNAL);
    return status == INV_OK ? bit : 0;
}

static void check_given(const struct inv_given *given) {
    if (given->matrix.data == NULL)
        return;
    size_t count = given->matrix.rows * given->matrix.dim;
    promise(count > 0 && given->matrix.dim <= limits.max_dim &&
            given->matrix.rows <= limits.max_rows);
    promise(given->plural || given->matrix.rows == 1);
    for (size_t i = 0; i < count; i++)
        promise(fabsf(given->matrix.data[i]) <= INV_VALUE_ABS_MAX);
}

static unsigned try_search(const struct inv_json_doc *doc) {
    struct inv_search_request request;
    struct inv_err err = {.status = INV_OK};
    enum inv_status status =
        inv_parse_search(doc, doc->root, "", &limits, &request, &err);
    if (status == INV_OK) {
        check_given(&request.query);
        promise((request.text != NULL) != (request.query.matrix.data != NULL));
        if (request.filter != NULL) {
            inv_filter_matches(request.filter, "id", 2, NULL, NULL);
            status = inv_filter_bind(request.filter, NULL, 0, &err);
            return took(status, &err, FUZZ_SEARCH);
        }
    }
    return took(status, &err, FUZZ_SEARCH);
}

static unsigned try_batch(const struct inv_json_doc *doc) {
    struct inv_search_request *requests;
    size_t count;
    struct inv_err err = {.status = INV_OK};
    enum inv_status status =
        inv_parse_search_batch(doc, &limits, &requests, &count, &err);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        check_given(&requests[i].query);
    return took(status, &err, FUZZ_BATCH);
}

static unsigned try_documents(const struct inv_json_doc *doc) {
    struct inv_documents_in documents;
    struct inv_err err = {.status = INV_OK};
    enum inv_status status =
        inv_parse_documents(doc, &limits, &documents, &err);
    static const struct inv_field schema[] = {{"a", INV_FIELD_INTEGER},
                                              {"a.b", INV_FIELD_ANY},
                                              {"lang", INV_FIELD_KEYWORD},
                                              {"at", INV_FIELD_DATETIME}};
    for (size_t i = 0; status == INV_OK && i < documents.count; i++) {
        const struct inv_document_in *item = &documents.items[i];
        promise(item->id_len >= 1 && item->id_len <= INV_ID_MAX);
        check_given(&item->given);
        struct inv_row *row = NULL;
        struct inv_err ignored = {.status = INV_OK};
        unsigned made = took(
            inv_json_row(item->payload, "/payload", schema, 4, &row, &ignored),
            &ignored, 1);
        promise(made != 0 || row == NULL);
        free(row);
    }
    return took(status, &err, FUZZ_DOCUMENTS);
}

static unsigned try_others(const struct inv_json_doc *doc) {
    struct inv_delete_request delete;
    struct inv_scroll_request scroll;
    struct inv_recall_request recall;
    struct inv_err err = {.status = INV_OK};
    unsigned taken =
        took(inv_parse_delete(doc, &delete, &err), &err, FUZZ_DELETE);
    taken |= took(inv_parse_scroll(doc, &scroll, &err), &err, FUZZ_SCROLL);
    taken |=
        took(inv_parse_recall(doc, &limits, &recall, &err), &err, FUZZ_RECALL);
    return taken;
}

static void check_items(const struct inv_documents_in *in) {
    promise(in->count >= 1 && in->count <= INV_BATCH_DOCS_MAX);
    for (size_t i = 0; i < in->count; i++) {
        const struct inv_document_in *item = &in->items[i];
        promise(item->id_len >= 1 && item->id_len <= INV_ID_MAX);
        promise((item->text != NULL) != (item->given.matrix.data != NULL));
        promise(item->seq <= INT64_MAX);
        check_given(&item->given);
    }
}

static unsigned try_queries(const struct inv_json_doc *doc) {
    struct inv_queries_in queries;
    struct inv_err err = {.status = INV_OK};
    enum inv_status status =
        inv_parse_model_queries(doc, &limits, false, &queries, &err);
    for (size_t i = 0; status == INV_OK && i < queries.count; i++) {
        const struct inv_query_in *query = &queries.items[i];
        check_given(&query->item.given);
        check_given(&query->old_given);
        promise(query->old_model != NULL || query->relevant != NULL);
        promise(
            (query->old_model != NULL) ==
            (query->old_text != NULL || query->old_given.matrix.data != NULL));
        if (query->relevant == NULL)
            continue;
        inv_json *ids = NULL;
        promise(inv_json_parse_plain(query->relevant, strlen(query->relevant),
                                     &ids, NULL) == INV_OK);
        promise(inv_json_kind(ids) == INV_JSON_ARRAY && inv_json_size(ids) > 0);
        inv_json_free(ids);
    }
    return took(status, &err, FUZZ_QUERIES);
}

static unsigned try_models(const struct inv_json_doc *doc) {
    struct inv_model_in model;
    struct inv_documents_in vectors;
    struct inv_activate_in activate;
    struct inv_err err = {.status = INV_OK};
    unsigned taken = took(inv_parse_model(doc, &model, &err), &err, FUZZ_MODEL);
    taken |=
        took(inv_parse_activate(doc, &activate, &err), &err, FUZZ_ACTIVATE);
    unsigned some = took(inv_parse_model_vectors(doc, &limits, &vectors, &err),
                         &err, FUZZ_VECTORS);
    if (some != 0)
        check_items(&vectors);
    return taken | some | try_queries(doc);
}

/* What is written must read back, and be written the same again. */
static void check_writer(const inv_json *tree) {
    struct inv_buf first = INV_BUF_INIT;
    struct inv_buf second = INV_BUF_INIT;
    inv_json *again = NULL;
    inv_json_write(tree, &first);
    promise(inv_json_parse_plain(first.data, first.len, &again, NULL) ==
            INV_OK);
    inv_json_write(again, &second);
    promise(first.len == second.len &&
            memcmp(first.data, second.data, first.len) == 0);
    inv_json *patched = inv_json_merge_patch(again, tree);
    promise(patched != NULL);
    inv_json_free(patched);
    inv_json_free(again);
    inv_buf_release(&first);
    inv_buf_release(&second);
}

static unsigned try_body(const char *text, size_t size,
                         struct inv_arena *arena) {
    struct inv_json_doc doc;
    struct inv_err err = {.status = INV_OK};
    unsigned taken =
        took(inv_json_parse(&doc, arena, text, size, &limits, &err), &err,
             FUZZ_BODY);
    if (taken != 0) {
        taken |= try_search(&doc) | try_batch(&doc) | try_documents(&doc) |
                 try_others(&doc) | try_models(&doc);
        check_writer(doc.root);
    }
    inv_json_close(&doc);
    inv_json *plain = NULL;
    bool read = took(inv_json_parse_plain(text, size, &plain, &err), &err, 1);
    /* the scanner takes nothing that is not JSON */
    promise(read || taken == 0);
    inv_json_free(plain);
    return taken;
}

static unsigned try_frames(const uint8_t *data, size_t size,
                           struct inv_arena *arena) {
    struct inv_err err = {.status = INV_OK};
    unsigned taken = 0;
    if (size < INV_FRAME_MAGIC_BYTES || inv_frame_magic(data, &err) != INV_OK)
        return 0;
    size_t at = INV_FRAME_MAGIC_BYTES;
    while (at < size) {
        size_t need = 0;
        struct inv_frame frame;
        if (!took(inv_frame_need(data + at, size - at, &limits, &need, &err),
                  &err, 1) ||
            need > size - at)
            break;
        if (took(inv_frame_parse(data + at, need, arena, &frame, &err), &err,
                 1)) {
            check_given(&frame.given);
            promise(strlen(frame.id) == frame.id_len);
            taken = FUZZ_FRAME;
        }
        at += need;
    }
    struct inv_documents_in vectors;
    unsigned all =
        took(inv_parse_model_frames(data, size, &limits, arena, &vectors, &err),
             &err, FUZZ_MODEL_FRAMES);
    if (all != 0)
        check_items(&vectors);
    return taken | all;
}

unsigned fuzz_requests(const uint8_t *data, size_t size) {
    /* A copy with nothing behind it: a byte too far is seen. */
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    promise(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct inv_arena arena;
    inv_arena_init(&arena, (size_t)64 << 20);
    unsigned taken = try_body((const char *)copy, size, &arena) |
                     try_frames(copy, size, &arena);
    inv_arena_release(&arena);
    free(copy);
    return taken;
}
