/*
 * gallery_schema.c: other payload fields are indexed from now on. Every live
 * payload is read again on the writer thread: writes wait, searches go on with
 * the view they have.
 */
#include "index/gallery_internal.h"

#include <stdlib.h>
#include <string.h>

static enum inv_status read_row(struct inv_gallery *gallery, struct inv_db *db,
                                const struct inv_schema *schema,
                                const struct inv_entry *entry,
                                struct inv_row **row, struct inv_err *err) {
    struct inv_document_row document;
    *row = NULL;
    enum inv_status status = inv_db_find_doc(db, entry->doc, 0, &document, err);
    if (status != INV_OK || document.payload == NULL)
        return status;
    struct inv_err why = {0};
    status =
        gallery->row(schema, document.payload, document.payload_len, row, &why);
    if (status != INV_OK)
        status = inv_fail(err, status, "document \"%.*s\": %.200s",
                          (int)(entry->id_len > 80 ? 80 : entry->id_len),
                          entry->id, why.text);
    return status;
}

static enum inv_status index_sealed(struct inv_gallery *gallery,
                                    struct inv_db *db,
                                    const struct inv_schema *schema,
                                    struct inv_part *part,
                                    struct inv_err *err) {
    struct inv_postings_builder *builder = NULL;
    struct inv_postings *postings = NULL;
    enum inv_status status = inv_postings_builder_new(
        schema->fields, schema->count, part->count, &builder, err);
    for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
         status == INV_OK && e < part->count;
         e = inv_bitset_next(part->live->set, part->count, e + 1)) {
        const struct inv_entry *entry = &part->entries->items[e];
        struct inv_row *row = NULL;
        status = read_row(gallery, db, schema, entry, &row, err);
        if (status == INV_OK)
            status = inv_postings_builder_add(builder, (uint32_t)e, entry->id,
                                              entry->id_len, row, err);
        free(row);
    }
    if (status == INV_OK) {
        status = inv_postings_build(builder, &postings, err);
        builder = NULL;
    }
    inv_postings_builder_free(builder);
    if (status != INV_OK)
        return status;
    struct inv_shared_postings *shared = inv_shared_postings_new(postings);
    if (shared == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for postings");
    inv_ref_put(part->postings);
    part->postings = shared;
    return INV_OK;
}

static enum inv_status index_fresh(struct inv_gallery *gallery,
                                   struct inv_db *db,
                                   const struct inv_schema *schema,
                                   struct inv_part *part, struct inv_err *err) {
    struct inv_entries *entries =
        inv_entries_copy(part->entries, part->count, true);
    if (entries == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for entries");
    enum inv_status status = INV_OK;
    for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
         status == INV_OK && e < part->count;
         e = inv_bitset_next(part->live->set, part->count, e + 1))
        status = read_row(gallery, db, schema, &entries->items[e],
                          &entries->rows[e], err);
    if (status != INV_OK) {
        inv_ref_put(entries);
        return status;
    }
    inv_ref_put(part->entries);
    part->entries = entries;
    return INV_OK;
}

enum inv_status inv_gallery_set_schema(struct inv_gallery *gallery,
                                       struct inv_db *db,
                                       struct inv_schema *schema,
                                       struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    for (size_t i = 0; i < next->count; i++) {
        struct inv_part *part = &next->parts[i];
        enum inv_status status =
            part->segment->gen == 0
                ? index_fresh(gallery, db, schema, part, err)
                : index_sealed(gallery, db, schema, part, err);
        if (status != INV_OK)
            return inv_gallery_poison(gallery, status);
        inv_ref_put(part->overlay);
        part->overlay = NULL;
    }
    inv_ref_put(next->schema);
    next->schema = inv_ref_get(schema);
    return INV_OK;
}
