/*
 * request_items.c: lists of things with an id, as bodies bring them: documents,
 * vectors of documents, queries. Checks form only. Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <string.h>

enum inv_status inv_request_item(const struct inv_json_doc *doc,
                                 const inv_json *object, const char *at,
                                 const char *what,
                                 const struct inv_json_limits *limits,
                                 struct inv_document_in *out,
                                 struct inv_err *err) {
    const inv_json *id = inv_json_get(object, "id");
    if (id == NULL) {
        enum inv_status status =
            inv_fail(err, INV_INVALID, "%s needs an \"id\"", what);
        inv_err_at(err, "%s", at);
        return status;
    }
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, "id");
    enum inv_status status =
        inv_request_id(id, below, doc->arena, &out->id, &out->id_len, err);
    if (status == INV_OK)
        status = inv_request_subject(doc, object, at, what, limits, &out->given,
                                     &out->text, &out->text_len, err);
    return status;
}

enum inv_status inv_request_list(const inv_json *root, const char *key,
                                 inv_json **out, size_t *count,
                                 struct inv_err *err) {
    *out = NULL;
    enum inv_status status =
        inv_json_get_array(root, "", key, INV_BATCH_DOCS_MAX, out, err);
    if (status != INV_OK)
        return status;
    *count = *out == NULL ? 0 : inv_json_size(*out);
    if (*count > 0)
        return INV_OK;
    status = inv_fail(err, INV_INVALID,
                      "\"%s\" must be an array of 1 to %d %s, got %s", key,
                      INV_BATCH_DOCS_MAX, key, *out == NULL ? "nothing" : "0");
    inv_err_at(err, "/%s", key);
    return status;
}

/* FNV-1a: it only has to spread the ids of one batch. */
static uint64_t hash_id(const char *id, size_t len) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)id[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

static const struct inv_document_in *item_at(const void *items, size_t size,
                                             size_t i) {
    const char *bytes = items;
    return (const void *)(bytes + i * size);
}

enum inv_status inv_request_no_repeats(const char *key, const char *noun,
                                       const void *items, size_t size,
                                       size_t count, struct inv_arena *arena,
                                       struct inv_err *err) {
    size_t slots = 16;
    while (slots < count * 2)
        slots *= 2;
    uint32_t *table = inv_arena_calloc(arena, slots, sizeof *table);
    if (table == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids", count);
    for (size_t i = 0; i < count; i++) {
        const struct inv_document_in *item = item_at(items, size, i);
        size_t slot = hash_id(item->id, item->id_len) & (slots - 1);
        for (; table[slot] != 0; slot = (slot + 1) & (slots - 1)) {
            size_t first = table[slot] - 1;
            const struct inv_document_in *other = item_at(items, size, first);
            if (other->id_len != item->id_len ||
                memcmp(other->id, item->id, item->id_len) != 0)
                continue;
            enum inv_status status = inv_fail(
                err, INV_INVALID,
                "the id \"%.64s\" stands twice in this batch: in %s %zu and "
                "in %s %zu",
                item->id, noun, first, noun, i);
            inv_err_at(err, "/%s/%zu/id", key, i);
            return status;
        }
        table[slot] = (uint32_t)i + 1;
    }
    return INV_OK;
}
