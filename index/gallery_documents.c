/*
 * gallery_documents.c: documents come, are replaced, patched and removed: log,
 * rows and the view being edited change together, inside an operation of the
 * writer thread.
 */
#include "index/gallery_internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ---- entries ---- */

static size_t fresh_capacity(const struct inv_gallery *gallery,
                             const struct inv_encoding *encoding) {
    size_t cap = INV_FRESH_BYTES / inv_segment_row_bytes(encoding);
    if (cap < 1024)
        cap = 1024;
    return cap < gallery->fresh_limit ? cap : gallery->fresh_limit;
}

/* The fresh part that takes the next entry of a space. */
static enum inv_status active_part(struct inv_gallery *gallery, int64_t space,
                                   struct inv_part **out, struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    struct inv_encoding *encoding = inv_view_encoding(next, space);
    if (encoding == NULL)
        return inv_fail(err, INV_CONFLICT, "the model was removed meanwhile");
    struct inv_part *last = inv_gallery_last(next, space);
    if (last == NULL || last->segment->gen != 0 ||
        last->count == last->segment->cap || inv_entries_full(last->entries) ||
        last->segment->encoding != encoding) {
        enum inv_status status = inv_gallery_add_fresh(
            gallery, encoding, fresh_capacity(gallery, encoding), err);
        if (status != INV_OK)
            return status;
        next = gallery->next;
        last = &next->parts[next->count - 1];
    }
    *out = last;
    return INV_OK;
}

enum inv_status inv_gallery_check(struct inv_gallery *gallery,
                                  struct inv_db *db, enum inv_put_mode mode,
                                  const struct inv_put *puts, size_t count,
                                  struct inv_err *err) {
    if (mode == INV_PUT_UPSERT)
        return INV_OK;
    for (size_t i = 0; i < count; i++) {
        struct inv_document_row row;
        enum inv_status status = inv_db_find(
            db, gallery->collection, puts[i].id, puts[i].id_len, 0, &row, err);
        if (status != INV_OK)
            return status;
        if (mode == INV_PUT_INSERT && row.doc != 0)
            status =
                inv_fail(err, INV_CONFLICT, "document \"%.*s\" exists already",
                         (int)puts[i].id_len, puts[i].id);
        if (mode == INV_PUT_UPDATE && row.doc == 0)
            status =
                inv_fail(err, INV_NOT_FOUND, "document \"%.*s\" does not exist",
                         (int)puts[i].id_len, puts[i].id);
        if (status != INV_OK) {
            inv_err_at(err, "/documents/%zu/id", i);
            return status;
        }
    }
    return INV_OK;
}

/* Code for the encoding of the part; a request may have encoded with one that
 * was replaced in the meantime. */
static enum inv_status put_code(struct inv_part *part, struct inv_put *put,
                                struct inv_err *err) {
    struct inv_encoding *encoding = part->segment->encoding;
    if (put->encoding == encoding) {
        inv_segment_put(part->segment, part->count, put->code);
        return INV_OK;
    }
    float *code = malloc(encoding->code_dim * sizeof *code);
    if (code == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a code");
    enum inv_status status = encoding->encode(encoding, &put->codes, code, err);
    if (status == INV_OK)
        inv_segment_put(part->segment, part->count, code);
    free(code);
    return status;
}

/* Likewise for payload fields that are indexed since the request was read. */
static enum inv_status fit_row(struct inv_gallery *gallery, struct inv_put *put,
                               struct inv_err *err) {
    const struct inv_schema *schema = gallery->next->schema;
    if (put->schema == schema)
        return INV_OK;
    free(put->row);
    put->row = NULL;
    put->schema = schema;
    return gallery->row(schema, put->payload, put->payload_len, &put->row, err);
}

static enum inv_status own_shadowed(struct inv_gallery *gallery,
                                    struct inv_part *part,
                                    struct inv_err *err) {
    return part->shadowed == NULL ? INV_OK
                                  : inv_gallery_own(gallery, &part->shadowed,
                                                    &part->shadowed_owned, err);
}

static void set_member(struct inv_live *set, size_t i, bool member) {
    if (member)
        inv_bitset_add(set->set, i);
    else
        inv_bitset_remove(set->set, i);
}

bool inv_gallery_is_shadowed(const struct inv_gallery *gallery, int64_t space,
                             int64_t doc) {
    const struct inv_view *next = gallery->next;
    size_t part, entry;
    for (size_t i = 0; i < inv_view_rank(next, space); i++)
        if (inv_view_find_doc(next, next->spaces[i].space, doc, &part, &entry))
            return true;
    return false;
}

enum inv_status inv_gallery_add_entry(struct inv_gallery *gallery,
                                      struct inv_put *put,
                                      const struct inv_entry *entry,
                                      struct inv_err *err) {
    struct inv_part *part = NULL;
    enum inv_status status = active_part(gallery, put->space, &part, err);
    if (status != INV_OK || part == NULL)
        return status;
    status = inv_gallery_own(gallery, &part->live, &part->live_owned, err);
    if (status == INV_OK)
        status = own_shadowed(gallery, part, err);
    if (status == INV_OK)
        status = put_code(part, put, err);
    if (status == INV_OK)
        status = fit_row(gallery, put, err);
    if (status != INV_OK)
        return status;
    const char *id = inv_entries_keep_id(part->entries, put->id, put->id_len);
    if (id == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for an id");
    size_t at = part->count;
    part->entries->items[at] = *entry;
    part->entries->items[at].id = id;
    part->entries->items[at].id_len = (uint32_t)put->id_len;
    part->entries->rows[at] = put->row;
    if (!inv_entries_link(part->entries, at))
        return inv_fail(err, INV_MEMORY, "no room for a document's number");
    if (part->shadowed != NULL)
        set_member(part->shadowed, at,
                   inv_gallery_is_shadowed(gallery, put->space, entry->doc));
    inv_bitset_add(part->live->set, at);
    part->live->count++;
    part->count++;
    return INV_OK;
}

enum inv_status inv_gallery_shadow_one(struct inv_gallery *gallery,
                                       uint64_t vseq, struct inv_err *err) {
    size_t at, entry;
    if (!inv_view_find(gallery->next, vseq, &at, &entry))
        return INV_OK;
    struct inv_part *part = &gallery->next->parts[at];
    enum inv_status status = own_shadowed(gallery, part, err);
    if (status == INV_OK && part->shadowed != NULL)
        inv_bitset_add(part->shadowed->set, entry);
    return status;
}

/* All vectors of a document die. */
static enum inv_status bury_all(struct inv_gallery *gallery, struct inv_db *db,
                                int64_t doc, struct inv_err *err) {
    struct inv_vector_row rows[INV_SPACES_MAX];
    size_t count = 0;
    enum inv_status status = inv_db_vectors(db, doc, rows, &count, err);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        status = inv_gallery_bury(gallery, rows[i].vseq, err);
    return status;
}

enum inv_status inv_gallery_knows(struct inv_gallery *gallery, int64_t space,
                                  struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    if (inv_view_encoding(next, space) != NULL)
        return INV_OK;
    return inv_fail(err, INV_SPACE_MISMATCH,
                    "the model was removed from the collection meanwhile");
}

enum inv_status inv_gallery_put(struct inv_gallery *gallery, struct inv_db *db,
                                struct inv_put *put, struct inv_err *err) {
    struct inv_document_row old;
    enum inv_status status = inv_gallery_knows(gallery, put->space, err);
    if (status != INV_OK)
        return status;
    status = inv_db_find(db, gallery->collection, put->id, put->id_len, 0, &old,
                         err);
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    int64_t doc = old.doc;
    struct inv_vector_row row = {.space = put->space,
                                 .vseq = gallery->counters.vseq++};
    put->version = gallery->counters.version++;
    put->created = doc == 0;
    status =
        inv_vlog_append(gallery->vlog, row.vseq, (uint64_t)put->space, put->id,
                        put->id_len, &put->codes, &row.place, err);
    if (status == INV_OK && !put->created)
        status = bury_all(gallery, db, doc, err);
    if (status == INV_OK && !put->created)
        status = inv_db_delete_vectors(db, doc, err);
    if (status == INV_OK)
        status = inv_db_put_document(db, gallery->collection, put->id,
                                     put->id_len, put->version, put->payload,
                                     put->payload_len, &doc, err);
    if (status == INV_OK)
        status = inv_db_put_vector(db, doc, &row, err);
    if (status == INV_OK)
        status = inv_gallery_add_entry(gallery, put,
                                       &(struct inv_entry){.vseq = row.vseq,
                                                           .doc = doc,
                                                           .place = row.place},
                                       err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_remove(struct inv_gallery *gallery,
                                   struct inv_db *db, const char *id,
                                   size_t id_len, bool *found,
                                   struct inv_err *err) {
    struct inv_document_row row;
    enum inv_status status =
        inv_db_find(db, gallery->collection, id, id_len, 0, &row, err);
    *found = status == INV_OK && row.doc != 0;
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    if (!*found)
        return INV_OK;
    int64_t doc = row.doc;
    gallery->counters.version++;
    status = bury_all(gallery, db, doc, err);
    if (status == INV_OK)
        status = inv_db_delete_document(db, doc, err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

/* Its postings say what it was: from now on the overlay says what it is. */
static enum inv_status overlay_one(struct inv_view *view, uint64_t vseq,
                                   uint64_t version, struct inv_shared_row *row,
                                   struct inv_err *err) {
    size_t at, entry;
    if (!inv_view_find(view, vseq, &at, &entry))
        return INV_OK;
    struct inv_part *part = &view->parts[at];
    struct inv_overlay *overlay =
        inv_overlay_with(part->overlay, (uint32_t)entry, version, row);
    if (overlay == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a payload");
    inv_ref_put(part->overlay);
    part->overlay = overlay;
    return INV_OK;
}

enum inv_status inv_gallery_set_payload(struct inv_gallery *gallery,
                                        struct inv_db *db,
                                        const struct inv_document_row *document,
                                        const char *payload, size_t payload_len,
                                        struct inv_shared_row *row,
                                        uint64_t *version,
                                        struct inv_err *err) {
    int64_t doc = document->doc;
    struct inv_vector_row rows[INV_SPACES_MAX];
    size_t count = 0;
    *version = gallery->counters.version++;
    enum inv_status status =
        inv_db_put_document(db, gallery->collection, NULL, 0, *version, payload,
                            payload_len, &doc, err);
    struct inv_view *next = inv_gallery_edit(gallery);
    if (status == INV_OK && next == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a view");
    if (status == INV_OK)
        status = inv_db_vectors(db, doc, rows, &count, err);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        status = overlay_one(next, rows[i].vseq, *version, row, err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}
