/*
 * gallery.c: the current view, and how the writer thread makes the next one.
 * A change edits a private copy (`next`); nothing is seen before publish, and
 * discard forgets it. Fresh rows behind the published count are simply
 * overwritten by the next attempt.
 */
#include "index/gallery_internal.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_PARTS 4

struct inv_view *inv_gallery_view(struct inv_gallery *gallery) {
    pthread_mutex_lock(&gallery->lock);
    struct inv_view *view = inv_ref_get(gallery->view);
    pthread_mutex_unlock(&gallery->lock);
    return view;
}

int64_t inv_gallery_collection(const struct inv_gallery *gallery) {
    return gallery->collection;
}

void inv_gallery_degraded(struct inv_gallery *gallery, char *out, size_t size) {
    pthread_mutex_lock(&gallery->lock);
    if (gallery->damage_why[0] != '\0')
        snprintf(out, size,
                 "vectors cannot be read: %s; see the log and `invar verify`",
                 gallery->damage_why);
    else if (gallery->lost_count > 0)
        snprintf(out, size, "%zu segments are being rebuilt: %s",
                 gallery->lost_count, gallery->lost_why);
    else
        snprintf(out, size, "%s", "");
    pthread_mutex_unlock(&gallery->lock);
}

void inv_gallery_damaged(struct inv_gallery *gallery, const char *why) {
    pthread_mutex_lock(&gallery->lock);
    bool first = gallery->damage_why[0] == '\0';
    if (first)
        snprintf(gallery->damage_why, sizeof gallery->damage_why, "%s", why);
    pthread_mutex_unlock(&gallery->lock);
    if (first)
        inv_log(INV_LOG_ERROR, "vlog", "%s: %s", gallery->dir, why);
}

bool inv_gallery_has_damage(struct inv_gallery *gallery) {
    pthread_mutex_lock(&gallery->lock);
    bool damage = gallery->damage_why[0] != '\0';
    pthread_mutex_unlock(&gallery->lock);
    return damage;
}

bool inv_gallery_lose(struct inv_gallery *gallery, uint64_t gen,
                      const char *why) {
    bool kept = false;
    pthread_mutex_lock(&gallery->lock);
    uint64_t *more =
        realloc(gallery->lost, (gallery->lost_count + 1) * sizeof *more);
    if (more != NULL) {
        gallery->lost = more;
        more[gallery->lost_count++] = gen;
        snprintf(gallery->lost_why, sizeof gallery->lost_why, "%s", why);
        kept = true;
    }
    pthread_mutex_unlock(&gallery->lock);
    return kept;
}

bool inv_gallery_read_only(struct inv_gallery *gallery) {
    return atomic_load(&gallery->read_only);
}

int64_t inv_gallery_changed_ns(struct inv_gallery *gallery) {
    return atomic_load(&gallery->changed_ns);
}

struct inv_encoding *inv_gallery_encoding(void *ctx, uint64_t hash) {
    struct inv_gallery *gallery = ctx;
    struct inv_encoding *found = NULL;
    pthread_mutex_lock(&gallery->lock);
    for (size_t i = 0; i < gallery->encoding_count && found == NULL; i++)
        if (gallery->encodings[i]->hash == hash)
            found = inv_ref_get(gallery->encodings[i]);
    pthread_mutex_unlock(&gallery->lock);
    return found;
}

void inv_gallery_segment_dir(const struct inv_gallery *gallery, uint64_t gen,
                             char *out, size_t size) {
    snprintf(out, size, "%s/segments/%08llu", gallery->dir,
             (unsigned long long)gen);
}

enum inv_status inv_gallery_poison(struct inv_gallery *gallery,
                                   enum inv_status status) {
    gallery->poisoned = true;
    return status;
}

bool inv_gallery_poisoned(const struct inv_gallery *gallery) {
    return gallery->poisoned;
}

/* ---- editing ---- */

struct inv_view *inv_gallery_edit(struct inv_gallery *gallery) {
    if (gallery->next != NULL)
        return gallery->next;
    gallery->next = inv_view_copy(gallery->view, SPARE_PARTS);
    gallery->next_room = SPARE_PARTS;
    if (gallery->next == NULL)
        gallery->poisoned = true;
    return gallery->next;
}

static void release_part(const struct inv_part *part) {
    inv_ref_put(part->postings);
    inv_ref_put(part->overlay);
    inv_ref_put(part->live);
    inv_ref_put(part->entries);
    inv_ref_put(part->segment);
}

enum inv_status inv_gallery_add_part(struct inv_gallery *gallery,
                                     const struct inv_part *part,
                                     struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next != NULL && gallery->next_room == 0) {
        struct inv_view *larger = inv_view_copy(next, SPARE_PARTS);
        if (larger != NULL) {
            inv_ref_put(next);
            gallery->next = larger;
            gallery->next_room = SPARE_PARTS;
        }
        next = larger;
    }
    if (next == NULL) {
        release_part(part);
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a view"));
    }
    next->parts[next->count++] = *part;
    gallery->next_room--;
    return INV_OK;
}

enum inv_status inv_gallery_add_fresh(struct inv_gallery *gallery, size_t cap,
                                      struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    struct inv_part part = {0};
    enum inv_status status =
        inv_segment_new_fresh(next->encoding, cap, &part.segment, err);
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    part.entries = inv_entries_new(cap, true, NULL);
    part.live = inv_live_new(cap);
    part.live_owned = true;
    if (part.entries == NULL || part.live == NULL) {
        release_part(&part);
        return inv_gallery_poison(
            gallery,
            inv_fail(err, INV_MEMORY,
                     "out of memory for a fresh segment of %zu entries", cap));
    }
    return inv_gallery_add_part(gallery, &part, err);
}

static size_t fresh_capacity(const struct inv_gallery *gallery,
                             const struct inv_encoding *encoding) {
    size_t cap = INV_FRESH_BYTES / inv_segment_row_bytes(encoding);
    if (cap < 1024)
        cap = 1024;
    return cap < gallery->fresh_limit ? cap : gallery->fresh_limit;
}

/* The fresh part that takes the next entry. */
static enum inv_status active_part(struct inv_gallery *gallery,
                                   struct inv_part **out, struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    struct inv_part *last =
        next->count == 0 ? NULL : &next->parts[next->count - 1];
    if (last == NULL || last->segment->gen != 0 ||
        last->count == last->segment->cap ||
        last->segment->encoding != next->encoding) {
        enum inv_status status = inv_gallery_add_fresh(
            gallery, fresh_capacity(gallery, next->encoding), err);
        if (status != INV_OK)
            return status;
        next = gallery->next;
        last = &next->parts[next->count - 1];
    }
    *out = last;
    return INV_OK;
}

static enum inv_status own_live(struct inv_gallery *gallery,
                                struct inv_part *part, struct inv_err *err) {
    if (part->live_owned)
        return INV_OK;
    struct inv_live *copy = inv_live_copy(part->live);
    if (copy == NULL)
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a bitset"));
    inv_ref_put(part->live);
    part->live = copy;
    part->live_owned = true;
    return INV_OK;
}

enum inv_status inv_gallery_bury(struct inv_gallery *gallery, uint64_t vseq,
                                 struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    size_t at;
    size_t entry;
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    if (!inv_view_find(next, vseq, &at, &entry))
        return INV_OK; /* its record was damaged, it was never shown */
    struct inv_part *part = &next->parts[at];
    enum inv_status status = own_live(gallery, part, err);
    if (status == INV_OK && inv_bitset_has(part->live->set, entry)) {
        inv_bitset_remove(part->live->set, entry);
        part->live->count--;
    }
    return status;
}

enum inv_status inv_gallery_doom(struct inv_gallery *gallery,
                                 struct inv_segment *segment,
                                 struct inv_err *err) {
    if (gallery->doomed_count == gallery->doomed_cap) {
        size_t cap = gallery->doomed_cap == 0 ? 8 : gallery->doomed_cap * 2;
        struct inv_segment **more =
            realloc(gallery->doomed, cap * sizeof *more);
        if (more == NULL)
            return inv_gallery_poison(
                gallery, inv_fail(err, INV_MEMORY, "out of memory"));
        gallery->doomed = more;
        gallery->doomed_cap = cap;
    }
    gallery->doomed[gallery->doomed_count++] = inv_ref_get(segment);
    return INV_OK;
}

/* ---- documents ---- */

enum inv_status inv_gallery_check(struct inv_gallery *gallery,
                                  struct inv_db *db, enum inv_put_mode mode,
                                  const struct inv_put *puts, size_t count,
                                  struct inv_err *err) {
    if (mode == INV_PUT_UPSERT)
        return INV_OK;
    for (size_t i = 0; i < count; i++) {
        struct inv_document_row row;
        enum inv_status status = inv_db_find(
            db, gallery->collection, puts[i].id, puts[i].id_len, &row, err);
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

static enum inv_status add_entry(struct inv_gallery *gallery,
                                 struct inv_put *put, uint64_t vseq,
                                 int64_t doc, const struct inv_place *place,
                                 struct inv_err *err) {
    struct inv_part *part = NULL;
    enum inv_status status = active_part(gallery, &part, err);
    if (status != INV_OK || part == NULL)
        return status;
    status = own_live(gallery, part, err);
    if (status == INV_OK)
        status = put_code(part, put, err);
    if (status == INV_OK)
        status = fit_row(gallery, put, err);
    if (status != INV_OK)
        return status;
    const char *id = inv_entries_keep_id(part->entries, put->id, put->id_len);
    if (id == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for an id");
    part->entries->items[part->count] =
        (struct inv_entry){.vseq = vseq,
                           .doc = doc,
                           .id = id,
                           .id_len = (uint32_t)put->id_len,
                           .place = *place};
    part->entries->rows[part->count] = put->row;
    inv_bitset_add(part->live->set, part->count);
    part->live->count++;
    part->count++;
    return INV_OK;
}

enum inv_status inv_gallery_put(struct inv_gallery *gallery, struct inv_db *db,
                                struct inv_put *put, struct inv_err *err) {
    struct inv_document_row old;
    enum inv_status status =
        inv_db_find(db, gallery->collection, put->id, put->id_len, &old, err);
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    int64_t doc = old.doc;
    uint64_t old_vseq = old.vseq;
    uint64_t vseq = gallery->counters.vseq++;
    put->version = gallery->counters.version++;
    put->created = doc == 0;
    struct inv_place place;
    status = inv_vlog_append(gallery->vlog, vseq, (uint64_t)put->space, put->id,
                             put->id_len, &put->codes, &place, err);
    if (status == INV_OK)
        status = inv_db_put_document(db, gallery->collection, put->id,
                                     put->id_len, put->version, put->payload,
                                     put->payload_len, &doc, err);
    if (status == INV_OK)
        status = inv_db_put_vector(db, doc, put->space, vseq, &place, err);
    if (status == INV_OK && !put->created)
        status = inv_gallery_bury(gallery, old_vseq, err);
    if (status == INV_OK)
        status = add_entry(gallery, put, vseq, doc, &place, err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_remove(struct inv_gallery *gallery,
                                   struct inv_db *db, const char *id,
                                   size_t id_len, bool *found,
                                   struct inv_err *err) {
    struct inv_document_row row;
    enum inv_status status =
        inv_db_find(db, gallery->collection, id, id_len, &row, err);
    *found = status == INV_OK && row.doc != 0;
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    if (!*found)
        return INV_OK;
    uint64_t vseq = row.vseq;
    gallery->counters.version++;
    status = inv_db_delete_document(db, row.doc, err);
    if (status == INV_OK)
        status = inv_gallery_bury(gallery, vseq, err);
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_set_payload(struct inv_gallery *gallery,
                                        struct inv_db *db,
                                        const struct inv_document_row *document,
                                        const char *payload, size_t payload_len,
                                        struct inv_shared_row *row,
                                        uint64_t *version,
                                        struct inv_err *err) {
    int64_t doc = document->doc;
    uint64_t vseq = document->vseq;
    *version = gallery->counters.version++;
    enum inv_status status =
        inv_db_put_document(db, gallery->collection, NULL, 0, *version, payload,
                            payload_len, &doc, err);
    struct inv_view *next = inv_gallery_edit(gallery);
    size_t at;
    size_t entry;
    if (status == INV_OK && next == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a view");
    if (status == INV_OK && inv_view_find(next, vseq, &at, &entry)) {
        struct inv_part *part = &next->parts[at];
        struct inv_overlay *overlay =
            inv_overlay_with(part->overlay, (uint32_t)entry, *version, row);
        if (overlay == NULL) {
            status = inv_fail(err, INV_MEMORY, "out of memory for a payload");
        } else {
            inv_ref_put(part->overlay);
            part->overlay = overlay;
        }
    }
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

enum inv_status inv_gallery_set_encoding(struct inv_gallery *gallery,
                                         struct inv_encoding *encoding,
                                         struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
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
    inv_ref_put(next->encoding);
    next->encoding = inv_ref_get(encoding);
    return INV_OK;
}

/* ---- commit ---- */

enum inv_status inv_gallery_prepare(struct inv_gallery *gallery,
                                    struct inv_db *db, struct inv_err *err) {
    if (gallery->next == NULL &&
        memcmp(&gallery->counters, &gallery->saved, sizeof gallery->saved) == 0)
        return INV_OK;
    enum inv_status status = inv_db_set_counters(
        db, gallery->collection, gallery->counters.vseq,
        gallery->counters.version, gallery->counters.gen, err);
    if (status == INV_OK)
        status = inv_vlog_sync(gallery->vlog, err);
    if (inv_vlog_read_only(gallery->vlog))
        atomic_store(&gallery->read_only, true);
    if (status != INV_OK)
        return status;
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    inv_ref_put(next->logs);
    next->logs = inv_vlog_files(gallery->vlog);
    next->version = gallery->counters.version - 1;
    return INV_OK;
}

void inv_gallery_publish(struct inv_gallery *gallery) {
    for (size_t i = 0; i < gallery->doomed_count; i++) {
        atomic_store(&gallery->doomed[i]->doomed, true);
        inv_ref_put(gallery->doomed[i]);
    }
    gallery->doomed_count = 0;
    gallery->saved = gallery->counters;
    gallery->poisoned = false;
    if (gallery->next == NULL)
        return;
    for (size_t i = 0; i < gallery->next->count; i++)
        gallery->next->parts[i].live_owned = false;
    pthread_mutex_lock(&gallery->lock);
    struct inv_view *old = gallery->view;
    gallery->view = gallery->next;
    pthread_mutex_unlock(&gallery->lock);
    gallery->next = NULL;
    atomic_store(&gallery->changed_ns, inv_now_ns());
    inv_ref_put(old);
}

/* Rows of unpublished entries belong to the request again. */
static void forget_rows(const struct inv_view *view,
                        const struct inv_view *next) {
    for (size_t i = 0; i < next->count; i++) {
        const struct inv_part *part = &next->parts[i];
        size_t from = 0;
        for (size_t j = 0; j < view->count; j++)
            if (view->parts[j].segment == part->segment)
                from = view->parts[j].count;
        for (size_t e = from; part->segment->gen == 0 && e < part->count; e++) {
            part->entries->rows[e] = NULL;
            part->entries->items[e].vseq = 0;
        }
    }
}

void inv_gallery_discard(struct inv_gallery *gallery) {
    if (inv_vlog_read_only(gallery->vlog)) /* an append may have found out */
        atomic_store(&gallery->read_only, true);
    for (size_t i = 0; i < gallery->doomed_count; i++)
        inv_ref_put(gallery->doomed[i]);
    gallery->doomed_count = 0;
    gallery->counters = gallery->saved;
    gallery->poisoned = false;
    if (gallery->next != NULL) {
        forget_rows(gallery->view, gallery->next);
        inv_ref_put(gallery->next);
        gallery->next = NULL;
    }
}
