/*
 * gallery.c: the current view, and how the writer thread makes the next one.
 * Changes of documents are gallery_documents.c. A change edits a private copy
 * (`next`); nothing is seen before publish, and discard forgets it. Fresh rows
 * behind the published count are simply overwritten by the next attempt.
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

void inv_part_release(const struct inv_part *part) {
    inv_ref_put(part->postings);
    inv_ref_put(part->overlay);
    inv_ref_put(part->live);
    inv_ref_put(part->shadowed);
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
        inv_part_release(part);
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a view"));
    }
    next->parts[next->count++] = *part;
    gallery->next_room--;
    return INV_OK;
}

struct inv_part *inv_gallery_last(struct inv_view *view, int64_t space) {
    for (size_t i = view->count; i-- > 0;)
        if (inv_part_space(&view->parts[i]) == space)
            return &view->parts[i];
    return NULL;
}

enum inv_status inv_gallery_add_fresh(struct inv_gallery *gallery,
                                      struct inv_encoding *encoding, size_t cap,
                                      struct inv_err *err) {
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    struct inv_part part = {0};
    enum inv_status status =
        inv_segment_new_fresh(encoding, cap, &part.segment, err);
    if (status != INV_OK)
        return inv_gallery_poison(gallery, status);
    part.entries = inv_entries_new(cap, true, NULL);
    part.live = inv_live_new(cap);
    part.live_owned = true;
    if (encoding->space != inv_view_gallery(next)) {
        part.shadowed = inv_live_new(cap);
        part.shadowed_owned = true;
    }
    if (part.entries == NULL || part.live == NULL ||
        (part.shadowed_owned && part.shadowed == NULL)) {
        inv_part_release(&part);
        return inv_gallery_poison(
            gallery,
            inv_fail(err, INV_MEMORY,
                     "out of memory for a fresh segment of %zu entries", cap));
    }
    return inv_gallery_add_part(gallery, &part, err);
}

enum inv_status inv_gallery_own(struct inv_gallery *gallery,
                                struct inv_live **set, bool *owned,
                                struct inv_err *err) {
    if (*owned)
        return INV_OK;
    struct inv_live *copy = inv_live_copy(*set);
    if (copy == NULL)
        return inv_gallery_poison(
            gallery, inv_fail(err, INV_MEMORY, "out of memory for a bitset"));
    inv_ref_put(*set);
    *set = copy;
    *owned = true;
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
    enum inv_status status =
        inv_gallery_own(gallery, &part->live, &part->live_owned, err);
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
        gallery->next->parts[i].live_owned =
            gallery->next->parts[i].shadowed_owned = false;
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
