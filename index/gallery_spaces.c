/*
 * gallery_spaces.c: vectors of other models beside those of the gallery: what
 * comes next in a space, a second vector of a stored document, which space is
 * the gallery's, and the end of a space. Writer thread.
 */
#include "index/gallery_internal.h"

#include <stdlib.h>
#include <string.h>

enum inv_status inv_gallery_set_encoding(struct inv_gallery *gallery,
                                         struct inv_encoding *encoding,
                                         struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    size_t at = 0;
    while (next != NULL && at < next->space_count &&
           next->spaces[at].space != encoding->space)
        at++;
    if (at == INV_SPACES_MAX)
        return inv_fail(err, INV_CONFLICT,
                        "the collection has %zu models, at most %d are "
                        "possible",
                        next->space_count, INV_SPACES_MAX);
    pthread_mutex_lock(&gallery->lock);
    struct inv_encoding **more = realloc(
        gallery->encodings, (gallery->encoding_count + 1) * sizeof *more);
    if (more != NULL) {
        gallery->encodings = more;
        more[gallery->encoding_count++] = inv_ref_get(encoding);
    }
    pthread_mutex_unlock(&gallery->lock);
    if (next == NULL || more == NULL)
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a view"));
    if (at == next->space_count)
        next->spaces[next->space_count++].space = encoding->space;
    inv_ref_put(next->spaces[at].encoding);
    next->spaces[at].encoding = inv_ref_get(encoding);
    return INV_OK;
}

struct inv_ref *inv_gallery_context(struct inv_gallery *gallery) {
    return inv_ref_get(gallery->next != NULL ? gallery->next->context
                                             : gallery->view->context);
}

enum inv_status inv_gallery_undo(struct inv_gallery *gallery,
                                 enum inv_status status) {
    return inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_set_context(struct inv_gallery *gallery,
                                        struct inv_ref *context,
                                        struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a view"));
    inv_ref_put(next->context);
    next->context = inv_ref_get(context);
    return INV_OK;
}

/* ---- a vector beside another ---- */

/* Are these bytes what is stored at the place? */
static bool is_same(struct inv_gallery *gallery, const struct inv_place *place,
                    const struct inv_codes *codes) {
    struct inv_vlog_set *logs = inv_vlog_files(gallery->vlog);
    struct inv_codes stored;
    struct inv_err unread = {0};
    bool same =
        logs != NULL && inv_vlog_get(logs, place, &stored, &unread) == INV_OK &&
        stored.dtype == codes->dtype && stored.rows == codes->rows &&
        stored.dim == codes->dim &&
        memcmp(stored.data, codes->data,
               inv_codes_bytes(codes->dtype, codes->rows, codes->dim)) == 0 &&
        (codes->dtype != INV_I8 ||
         memcmp(stored.scales, codes->scales, codes->rows * 2) == 0);
    inv_ref_put(logs);
    return same;
}

/* What there is to do for a document with these vectors; *own: its row in the
 * vector's space, or NULL. */
static void decide(struct inv_gallery *gallery, struct inv_beside *beside,
                   const struct inv_vector_row *rows, size_t count,
                   const struct inv_vector_row **own) {
    *own = NULL;
    for (size_t i = 0; i < count; i++) {
        beside->now = rows[i].source != 0 ? rows[i].source : rows[i].vseq;
        if (rows[i].space == beside->put.space)
            *own = &rows[i];
    }
    if (count == 0)
        beside->result = INV_BESIDE_MISSING;
    else if (beside->seq != 0 && beside->seq != beside->now)
        beside->result = INV_BESIDE_STALE;
    else if (*own != NULL &&
             is_same(gallery, &(*own)->place, &beside->put.codes))
        beside->result = INV_BESIDE_UNCHANGED;
    else if (*own != NULL && (*own)->source == 0)
        beside->result = INV_BESIDE_OWN;
    else
        beside->result = INV_BESIDE_STORED;
}

/* The payload's indexed values for the new entry. */
static enum inv_status read_values(struct inv_gallery *gallery,
                                   const struct inv_document_row *row,
                                   struct inv_put *put, struct inv_err *err) {
    put->schema = gallery->next->schema;
    if (put->schema->count == 0 || row->payload == NULL)
        return INV_OK;
    return gallery->row(put->schema, row->payload, row->payload_len, &put->row,
                        err);
}

static enum inv_status
store_beside(struct inv_gallery *gallery, struct inv_db *db,
             struct inv_beside *beside, int64_t doc,
             const struct inv_vector_row *rows, size_t count,
             const struct inv_vector_row *own, struct inv_err *err) {
    struct inv_put *put = &beside->put;
    struct inv_vector_row row = {.space = put->space,
                                 .vseq = gallery->counters.vseq++,
                                 .source = beside->now};
    enum inv_status status =
        inv_vlog_append(gallery->vlog, row.vseq, (uint64_t)put->space, put->id,
                        put->id_len, &put->codes, &row.place, err);
    if (status == INV_OK)
        status = inv_db_put_vector(db, doc, &row, err);
    if (status == INV_OK && own != NULL)
        status = inv_gallery_bury(gallery, own->vseq, err);
    if (status == INV_OK)
        status = inv_gallery_add_entry(gallery, put,
                                       &(struct inv_entry){.vseq = row.vseq,
                                                           .doc = doc,
                                                           .place = row.place},
                                       err);
    size_t rank = inv_view_rank(gallery->next, put->space);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        if (inv_view_rank(gallery->next, rows[i].space) > rank)
            status = inv_gallery_shadow_one(gallery, rows[i].vseq, err);
    return status;
}

enum inv_status inv_gallery_put_beside(struct inv_gallery *gallery,
                                       struct inv_db *db,
                                       struct inv_beside *beside,
                                       struct inv_err *err) {
    struct inv_put *put = &beside->put;
    struct inv_document_row document;
    struct inv_vector_row rows[INV_SPACES_MAX];
    const struct inv_vector_row *own = NULL;
    size_t count = 0;
    int64_t doc = 0;
    enum inv_status status = inv_gallery_knows(gallery, put->space, err);
    if (status != INV_OK)
        return status;
    put->row = NULL;
    status = inv_db_find(db, gallery->collection, put->id, put->id_len, 0,
                         &document, err);
    if (status == INV_OK && document.doc != 0) {
        doc = document.doc;
        status = read_values(gallery, &document, put, err);
        if (status == INV_OK)
            status = inv_db_vectors(db, doc, rows, &count, err);
    }
    if (status == INV_OK)
        decide(gallery, beside, rows, count, &own);
    if (status == INV_OK && beside->result == INV_BESIDE_STORED) {
        status = store_beside(gallery, db, beside, doc, rows, count, own, err);
        if (status == INV_OK)
            return INV_OK;
    }
    free(put->row);
    put->row = NULL;
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

/* ---- which space is the gallery's ---- */

enum inv_status inv_gallery_shadow(struct inv_gallery *gallery,
                                   struct inv_part *part, struct inv_err *err) {
    int64_t space = inv_part_space(part);
    struct inv_live *shadowed = NULL;
    if (space != inv_view_gallery(gallery->next)) {
        shadowed = inv_live_new(part->live->words * 64);
        if (shadowed == NULL)
            return inv_gallery_poison(
                gallery,
                inv_fail(err, INV_MEMORY, "out of memory for a bitset"));
        for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
             e < part->count;
             e = inv_bitset_next(part->live->set, part->count, e + 1))
            if (inv_gallery_is_shadowed(gallery, space,
                                        part->entries->items[e].doc))
                inv_bitset_add(shadowed->set, e);
    }
    inv_ref_put(part->shadowed);
    part->shadowed = shadowed;
    part->shadowed_owned = true;
    return INV_OK;
}

enum inv_status inv_gallery_set_space(struct inv_gallery *gallery,
                                      int64_t space, struct inv_err *err) {
    enum inv_status status = inv_gallery_knows(gallery, space, err);
    if (status != INV_OK)
        return status;
    struct inv_view *next = gallery->next;
    size_t at = inv_view_rank(next, space);
    struct inv_view_space moved = next->spaces[at];
    memmove(&next->spaces[1], &next->spaces[0], at * sizeof next->spaces[0]);
    next->spaces[0] = moved;
    for (size_t i = 0; status == INV_OK && i < next->count; i++)
        status = inv_gallery_shadow(gallery, &next->parts[i], err);
    return status;
}

/* ---- the end of a space ---- */

static enum inv_status drop_part(struct inv_gallery *gallery, struct inv_db *db,
                                 size_t at, struct inv_err *err) {
    struct inv_view *next = gallery->next;
    struct inv_part *part = &next->parts[at];
    struct inv_segment *segment = part->segment;
    enum inv_status status = INV_OK;
    if (segment->gen != 0)
        status =
            inv_db_delete_segment(db, gallery->collection, segment->gen, err);
    if (status == INV_OK && segment->gen != 0)
        status = inv_gallery_doom(gallery, segment, err);
    if (status != INV_OK)
        return status;
    inv_part_release(part);
    next->count--;
    memmove(part, part + 1, (next->count - at) * sizeof *part);
    gallery->next_room++;
    return INV_OK;
}

enum inv_status inv_gallery_drop_space(struct inv_gallery *gallery,
                                       struct inv_db *db, int64_t space,
                                       struct inv_err *err) {
    uint64_t alone = 0;
    enum inv_status status = inv_gallery_knows(gallery, space, err);
    if (status == INV_OK && space == inv_view_gallery(gallery->next))
        status =
            inv_fail(err, INV_CONFLICT, "these are the gallery's own vectors");
    if (status == INV_OK)
        status = inv_db_delete_vectors_in(db, space, &alone, err);
    if (status == INV_OK && alone > 0)
        status =
            inv_fail(err, INV_CONFLICT, "%llu documents have no other vector",
                     (unsigned long long)alone);
    if (status != INV_OK)
        return status;
    struct inv_view *next = gallery->next;
    for (size_t i = next->count; status == INV_OK && i-- > 0;)
        if (inv_part_space(&next->parts[i]) == space)
            status = drop_part(gallery, db, i, err);
    /* What these vectors kept in the shadow is found in a later space now. */
    for (size_t i = 0; status == INV_OK && i < next->count; i++)
        if (inv_view_rank(next, inv_part_space(&next->parts[i])) >
            inv_view_rank(next, space))
            status = inv_gallery_shadow(gallery, &next->parts[i], err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_forget_space(struct inv_gallery *gallery,
                                         struct inv_db *db, int64_t space,
                                         struct inv_err *err) {
    enum inv_status status = inv_gallery_drop_space(gallery, db, space, err);
    if (status != INV_OK)
        return status;
    struct inv_view *next = gallery->next;
    size_t at = inv_view_rank(next, space);
    inv_ref_put(next->spaces[at].encoding);
    next->space_count--;
    memmove(&next->spaces[at], &next->spaces[at + 1],
            (next->space_count - at) * sizeof next->spaces[0]);
    next->spaces[next->space_count] = (struct inv_view_space){.space = 0};
    return INV_OK;
}
