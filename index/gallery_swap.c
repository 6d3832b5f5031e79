/*
 * gallery_swap.c: the last step of a build: what died or was patched while it
 * went on is carried over to the new segment, which takes the place of the old
 * ones in one commit.
 */
#include "index/gallery_job.h"

#include "base/file.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static struct inv_part *find_part(struct inv_view *view,
                                  const struct inv_segment *segment) {
    for (size_t i = 0; i < view->count; i++)
        if (view->parts[i].segment == segment)
            return &view->parts[i];
    return NULL;
}

/* Patches of the inputs that are newer than what the postings were made of. */
static enum inv_status carry_overlay(struct inv_build_job *job,
                                     const struct inv_part *input,
                                     struct inv_err *err) {
    struct inv_part *part = &job->part;
    const struct inv_overlay *old = input->overlay;
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        const struct inv_overlay_item *item = &old->items[i];
        size_t entry;
        if (item->version <= job->view->version ||
            !inv_entries_find(part->entries, part->count,
                              input->entries->items[item->entry].vseq, &entry))
            continue;
        struct inv_overlay *overlay = inv_overlay_with(
            part->overlay, (uint32_t)entry, item->version, item->row);
        if (overlay == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for payloads");
        inv_ref_put(part->overlay);
        part->overlay = overlay;
    }
    return INV_OK;
}

/* The entries as they are now: alive or not, moved by a compaction or not. */
static enum inv_status carry_entries(struct inv_build_job *job,
                                     struct inv_view *next,
                                     struct inv_err *err) {
    struct inv_part *part = &job->part;
    inv_ref_put(part->live);
    inv_ref_put(part->shadowed);
    inv_ref_put(part->overlay);
    part->overlay = NULL;
    part->shadowed = NULL;
    part->live = inv_live_new(job->count);
    part->live_owned = true;
    if (part->live == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a bitset");
    struct inv_part **now = job->now;
    for (size_t i = 0; i < job->input_count; i++) {
        struct inv_part *input = find_part(next, job->inputs[i]->segment);
        if (input == NULL)
            return inv_fail(err, INV_CONFLICT,
                            "the segments changed during the build");
        now[i] = input;
        enum inv_status status = carry_overlay(job, input, err);
        if (status != INV_OK)
            return status;
    }
    for (size_t i = 0; i < job->count; i++) {
        const struct inv_part *input = now[job->origins[i].input];
        uint32_t local = job->origins[i].local;
        part->entries->items[i].place = input->entries->items[local].place;
        if (!inv_bitset_has(input->live->set, local))
            continue;
        inv_bitset_add(part->live->set, i);
        part->live->count++;
    }
    return INV_OK;
}

static enum inv_status drop_inputs(struct inv_build_job *job, struct inv_db *db,
                                   struct inv_err *err) {
    struct inv_gallery *gallery = job->gallery;
    struct inv_view *next = gallery->next;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < job->input_count; i++) {
        struct inv_part *part = find_part(next, job->inputs[i]->segment);
        if (part == NULL)
            continue;
        struct inv_segment *segment = part->segment;
        if (segment->gen != 0)
            status = inv_db_delete_segment(db, gallery->collection,
                                           segment->gen, err);
        if (status == INV_OK && segment->gen != 0)
            status = inv_gallery_doom(gallery, segment, err);
        inv_part_release(part);
        size_t at = (size_t)(part - next->parts);
        memmove(part, part + 1, (next->count - at - 1) * sizeof *part);
        next->count--;
        gallery->next_room++;
    }
    return status;
}

/* The active fresh part of a space must stay its last one. */
static void put_first(struct inv_view *view) {
    struct inv_part added = view->parts[view->count - 1];
    memmove(&view->parts[1], &view->parts[0],
            (view->count - 1) * sizeof view->parts[0]);
    view->parts[0] = added;
}

static enum inv_status swap(void *ctx, struct inv_db *db, struct inv_err *err) {
    struct inv_build_job *job = ctx;
    struct inv_gallery *gallery = job->gallery;
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    enum inv_status status = INV_OK;
    job->other_fields = job->count > 0 && next->schema != job->view->schema;
    if (job->other_fields)
        return inv_fail(err, INV_CONFLICT, "the indexed fields changed");
    if (job->count > 0)
        status = carry_entries(job, next, err);
    if (status != INV_OK)
        return status;
    status = drop_inputs(job, db, err);
    for (size_t i = 0; status == INV_OK && i < gallery->lost_count; i++)
        status = inv_db_delete_segment(db, gallery->collection,
                                       gallery->lost[i], err);
    if (status == INV_OK && job->count > 0) {
        struct inv_part part = job->part;
        inv_ref_get(part.segment);
        inv_ref_get(part.entries);
        inv_ref_get(part.live);
        inv_ref_get(part.postings);
        inv_ref_get(part.overlay);
        part.live_owned = false;
        status = inv_gallery_add_part(gallery, &part, err);
        struct inv_view *view = gallery->next;
        if (status == INV_OK) /* a gallery's space may be another by now */
            status =
                inv_gallery_shadow(gallery, &view->parts[view->count - 1], err);
        if (status == INV_OK) {
            put_first(gallery->next);
            status = inv_db_add_segment(db, gallery->collection, job->gen, err);
        }
    }
    return status == INV_OK ? INV_OK : inv_gallery_poison(gallery, status);
}

static void swapped(void *ctx) {
    struct inv_gallery *gallery = ((struct inv_build_job *)ctx)->gallery;
    uint64_t *lost = NULL;
    pthread_mutex_lock(&gallery->lock);
    size_t count = gallery->lost_count;
    lost = gallery->lost;
    gallery->lost = NULL;
    gallery->lost_count = 0;
    pthread_mutex_unlock(&gallery->lock);
    for (size_t i = 0; i < count; i++) {
        char dir[4096];
        struct inv_err why;
        inv_gallery_segment_dir(gallery, lost[i], dir, sizeof dir);
        if (inv_file_remove_tree(dir, &why) != INV_OK)
            inv_log(INV_LOG_WARN, "segment", "%s", why.text);
    }
    free(lost);
}

/* The fields that are indexed changed during the build: its postings are made
 * again, of the same entries as the view has them now. */
static enum inv_status again_with_fields(struct inv_build_job *job,
                                         struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(job->gallery);
    for (size_t i = 0; i < job->input_count; i++) {
        struct inv_part *now = find_part(view, job->inputs[i]->segment);
        if (now == NULL) { /* its model's vectors were dropped */
            inv_ref_put(view);
            return inv_fail(err, INV_CONFLICT,
                            "the segments changed during the build");
        }
        job->now[i] = now;
    }
    memcpy(job->inputs, job->now, job->input_count * sizeof(struct inv_part *));
    inv_ref_put(job->view);
    job->view = view;
    inv_ref_put(job->part.postings);
    job->part.postings = NULL;
    return inv_build_postings(job, err);
}

enum inv_status inv_build_swap(struct inv_build_job *job,
                               struct inv_writer *writer, struct inv_err *err) {
    struct inv_operation op = {.gallery = job->gallery,
                               .apply = swap,
                               .committed = swapped,
                               .ctx = job};
    enum inv_status status = inv_writer_run(writer, &op, err);
    while (status == INV_CONFLICT && job->other_fields) {
        job->other_fields = false;
        status = again_with_fields(job, err);
        if (status == INV_OK)
            status = inv_writer_run(writer, &op, err);
    }
    return status;
}
