/*
 * gallery_compact.c: gives the space of dead records back. Live records of a
 * log with much dead weight are appended to the current log like new ones and
 * re-pointed in the same transaction; the old file goes when the last view
 * that reads from it lets go. A crash at any point leaves either place valid.
 */
#include "index/build.h"
#include "index/gallery_internal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((uint64_t)32 << 20) /* moved in one commit */

struct file_use {
    uint32_t file;
    uint64_t bytes, live;
    bool fresh; /* a fresh entry lies in it */
};

struct job {
    struct inv_gallery *gallery;
    struct inv_compaction *compaction;
    struct file_use *files; /* to be emptied */
    size_t file_count;
    size_t moved, total;
    bool finished;
    uint32_t drop;
};

static struct file_use *find_use(struct file_use *files, size_t count,
                                 uint32_t file) {
    for (size_t i = 0; i < count; i++)
        if (files[i].file == file)
            return &files[i];
    return NULL;
}

static void count_part(const struct inv_part *part, struct file_use *files,
                       size_t count) {
    struct file_use *use = NULL;
    for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
         e < part->count;
         e = inv_bitset_next(part->live->set, part->count, e + 1)) {
        const struct inv_place *place = &part->entries->items[e].place;
        if (use == NULL || use->file != place->file)
            use = find_use(files, count, place->file);
        if (use == NULL)
            continue;
        use->live += place->length;
        use->fresh = use->fresh || part->segment->gen == 0;
    }
}

/* The files worth compacting; malloc'ed, NULL when out of memory. None where
 * records are damaged: their documents are in no part, so nothing here would
 * know that their file is still needed. */
static struct file_use *find_files(struct inv_gallery *gallery,
                                   double dead_share, size_t *count) {
    struct inv_view *view = inv_gallery_view(gallery);
    const struct inv_vlog_set *logs = view->logs;
    struct file_use *files = calloc(logs->count + 1, sizeof *files);
    size_t n = 0;
    *count = 0;
    if (files == NULL || logs->count == 0 || inv_gallery_has_damage(gallery))
        goto done;
    for (size_t i = 0; i < logs->count; i++)
        files[n++] =
            (struct file_use){.file = inv_vlog_file_number(logs->files[i]),
                              .bytes = inv_vlog_file_bytes(logs->files[i])};
    for (size_t i = 0; i < view->count; i++)
        count_part(&view->parts[i], files, n);
    uint32_t newest = files[n - 1].file;
    for (size_t i = 0; i < n; i++) {
        double dead = (double)(files[i].bytes - files[i].live);
        if (!files[i].fresh && files[i].file != newest &&
            dead >= dead_share * (double)files[i].bytes)
            files[(*count)++] = files[i];
    }
done:
    inv_ref_put(view);
    return files;
}

uint64_t inv_gallery_dead_bytes(struct inv_gallery *gallery,
                                double dead_share) {
    size_t count;
    uint64_t dead = 0;
    struct file_use *files = find_files(gallery, dead_share, &count);
    for (size_t i = 0; files != NULL && i < count; i++)
        dead += files[i].bytes - files[i].live;
    free(files);
    return dead;
}

/* Copies one record and re-points it in catalog and table. */
static enum inv_status move_one(struct job *job, struct inv_db *db,
                                struct inv_entry *entry, struct inv_err *err) {
    struct inv_gallery *gallery = job->gallery;
    struct inv_record record;
    struct inv_place place;
    bool moved = false;
    struct inv_vlog_set *logs = inv_vlog_files(gallery->vlog);
    enum inv_status status = inv_vlog_check(logs, &entry->place, &record, err);
    if (status == INV_OK)
        status =
            inv_vlog_append(gallery->vlog, record.vseq, record.space, record.id,
                            record.id_len, &record.codes, &place, err);
    inv_ref_put(logs);
    if (status == INV_CORRUPT && err != NULL)
        inv_gallery_damaged(gallery, err->text);
    if (status == INV_OK)
        status = inv_db_move_vector(db, entry->doc, (int64_t)record.space,
                                    entry->vseq, &place, &moved, err);
    if (status == INV_OK && !moved)
        status = inv_fail(err, INV_INTERNAL,
                          "vector %llu is live but not in the catalog",
                          (unsigned long long)entry->vseq);
    if (status == INV_OK)
        entry->place = place;
    return status;
}

/* Moves records of one part until the chunk is full. */
static enum inv_status move_part(struct job *job, struct inv_db *db,
                                 struct inv_part *part, uint64_t *budget,
                                 struct inv_err *err) {
    struct inv_entries *copy = NULL;
    enum inv_status status = INV_OK;
    for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
         status == INV_OK && e<part->count && * budget> 0;
         e = inv_bitset_next(part->live->set, part->count, e + 1)) {
        const struct inv_entry *entry = &part->entries->items[e];
        if (find_use(job->files, job->file_count, entry->place.file) == NULL)
            continue;
        if (copy == NULL && (copy = inv_entries_copy(part->entries, part->count,
                                                     false)) == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for entries");
        uint64_t length = entry->place.length;
        status = move_one(job, db, &copy->items[e], err);
        *budget -= length < *budget ? length : *budget;
        job->moved++;
    }
    if (status == INV_OK && copy != NULL) {
        inv_ref_put(part->entries);
        part->entries = copy;
        return INV_OK;
    }
    inv_ref_put(copy);
    return status;
}

static enum inv_status move_chunk(void *ctx, struct inv_db *db,
                                  struct inv_err *err) {
    struct job *job = ctx;
    struct inv_gallery *gallery = job->gallery;
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    uint64_t budget = CHUNK_BYTES;
    size_t before = job->moved;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < next->count && budget > 0; i++)
        if (next->parts[i].segment->gen != 0)
            status = move_part(job, db, &next->parts[i], &budget, err);
    if (status != INV_OK) {
        job->moved = before;
        return inv_gallery_poison(gallery, status);
    }
    job->finished = budget > 0;
    return INV_OK;
}

static enum inv_status drop_file(void *ctx, struct inv_db *db,
                                 struct inv_err *err) {
    struct job *job = ctx;
    (void)db;
    if (inv_gallery_edit(job->gallery) == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    return inv_vlog_drop(job->gallery->vlog, job->drop, err);
}

enum inv_status inv_gallery_compact(struct inv_gallery *gallery,
                                    struct inv_writer *writer,
                                    struct inv_compaction *compaction,
                                    struct inv_err *err) {
    struct job job = {.gallery = gallery, .compaction = compaction};
    struct inv_operation op = {
        .gallery = gallery, .apply = move_chunk, .ctx = &job};
    compaction->files = 0;
    compaction->bytes_freed = 0;
    job.files = find_files(gallery, compaction->dead_share, &job.file_count);
    if (job.files == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a compaction");
    uint64_t live = 0;
    for (size_t i = 0; i < job.file_count; i++)
        live += job.files[i].live;
    enum inv_status status = INV_OK;
    uint64_t done = 0;
    while (status == INV_OK && job.file_count > 0 && !job.finished) {
        if (compaction->progress != NULL &&
            compaction->progress(compaction->ctx, "move", (size_t)done,
                                 (size_t)live))
            status = inv_fail(err, INV_CANCELLED, "cancelled");
        else
            status = inv_writer_run(writer, &op, err);
        done += done + CHUNK_BYTES < live ? CHUNK_BYTES : live - done;
    }
    op.apply = drop_file;
    for (size_t i = 0; status == INV_OK && i < job.file_count; i++) {
        job.drop = job.files[i].file;
        status = inv_writer_run(writer, &op, err);
        if (status == INV_OK) {
            compaction->files++;
            compaction->bytes_freed += job.files[i].bytes - job.files[i].live;
        }
    }
    free(job.files);
    return status;
}
