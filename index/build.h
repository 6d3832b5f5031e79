/*
 * build.h: what happens to a gallery in the background: fresh entries are
 * sealed into segments, small segments merge, a rebuild makes one of all, and
 * logs with much dead weight are compacted. Searches never wait for a build,
 * and a build never blocks writes: only its first and last step run on the
 * writer thread, and they are short.
 *
 * One thread at a time per gallery (the builder).
 */
#ifndef INV_INDEX_BUILD_H
#define INV_INDEX_BUILD_H

#include "index/writer.h"

struct inv_build {
    int64_t space;   /* whose parts; 0: the gallery's */
    bool everything; /* all parts; else fresh ones and small sealed ones */
    struct inv_ann_config config; /* type may be INV_ANN_AUTO */
    /* true cancels. May be NULL. */
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
    /* out */
    size_t entries;          /* in the new segment */
    size_t parts;            /* that it replaced */
    enum inv_ann_type built; /* what INV_ANN_AUTO came to */
};

/* INV_CANCELLED, INV_MEMORY (with the estimate and what there is), I/O errors:
 * the gallery is as it was. Nothing to do is INV_OK with parts == 0. */
enum inv_status inv_gallery_build(struct inv_gallery *gallery,
                                  struct inv_writer *writer,
                                  struct inv_build *build,
                                  struct inv_err *err) INV_MUST_USE;

/* Is there something to seal: a full fresh part, or at least `idle_entries`
 * fresh ones of one space and no change for idle_ns? *space says where. */
bool inv_gallery_wants_build(struct inv_gallery *gallery, size_t idle_entries,
                             int64_t idle_ns, int64_t *space);

/* What "auto" means for so many entries of so many dimensions. */
enum inv_ann_type inv_ann_auto(size_t count, size_t dim);

struct inv_compaction {
    double dead_share; /* files with at least this share of dead bytes */
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
    /* out */
    size_t files; /* removed */
    uint64_t bytes_freed;
};

/* Moves live records out of such files and removes the files. Entries that are
 * still fresh keep their file: build first. */
enum inv_status inv_gallery_compact(struct inv_gallery *gallery,
                                    struct inv_writer *writer,
                                    struct inv_compaction *compaction,
                                    struct inv_err *err) INV_MUST_USE;
/* Bytes of dead records that a compaction with this share would free. */
uint64_t inv_gallery_dead_bytes(struct inv_gallery *gallery, double dead_share);

#endif
