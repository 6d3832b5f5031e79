/*
 * gallery_internal.h: the gallery's insides, shared by gallery.c (views and
 * changes), gallery_load.c (start-up) and gallery_build.c (segments).
 */
#ifndef INV_INDEX_GALLERY_INTERNAL_H
#define INV_INDEX_GALLERY_INTERNAL_H

#include "index/gallery.h"

#include <pthread.h>

struct inv_gallery {
    char *dir;
    int64_t collection;
    struct inv_catalog *catalog;
    inv_row_reader *row;
    size_t fresh_limit;
    struct inv_vlog *vlog;

    pthread_mutex_t lock; /* of what follows */
    struct inv_view *view;
    struct inv_encoding **encodings;
    size_t encoding_count;
    uint64_t *lost; /* segments that could not be opened, until replaced */
    size_t lost_count;
    char lost_why[256];   /* of the last of them */
    char damage_why[256]; /* "" or of the first record that cannot be read */

    /* the writer thread's */
    struct inv_view *next; /* being edited, or NULL */
    size_t next_room;      /* parts that still fit into it */
    bool poisoned;
    struct {
        uint64_t vseq, version, gen;
    } counters, saved;           /* saved: as of the last publication */
    struct inv_segment **doomed; /* to remove once published */
    size_t doomed_count, doomed_cap;
    _Atomic int64_t changed_ns;
    _Atomic bool read_only;
};

/* The view being edited, made when there is none; NULL: out of memory (then
 * poisoned). */
struct inv_view *inv_gallery_edit(struct inv_gallery *gallery);
/* Adds a part to the view being edited; references are taken over also on
 * failure. */
enum inv_status inv_gallery_add_part(struct inv_gallery *gallery,
                                     const struct inv_part *part,
                                     struct inv_err *err) INV_MUST_USE;
/* A fresh part with room. */
enum inv_status inv_gallery_add_fresh(struct inv_gallery *gallery,
                                      struct inv_encoding *encoding, size_t cap,
                                      struct inv_err *err) INV_MUST_USE;
/* The part that takes what comes next in a space, the last one of it; NULL:
 * there is none. It may be sealed or full. */
struct inv_part *inv_gallery_last(struct inv_view *view, int64_t space);
/* Notes for a part of the view being edited which of its entries an earlier
 * space has too. */
enum inv_status inv_gallery_shadow(struct inv_gallery *gallery,
                                   struct inv_part *part,
                                   struct inv_err *err) INV_MUST_USE;
/* *set may be written to from here on; copied when a view shares it. */
enum inv_status inv_gallery_own(struct inv_gallery *gallery,
                                struct inv_live **set, bool *owned,
                                struct inv_err *err) INV_MUST_USE;
/* Adds an entry (its id from `put`) to the active part of put->space. */
enum inv_status inv_gallery_add_entry(struct inv_gallery *gallery,
                                      struct inv_put *put,
                                      const struct inv_entry *entry,
                                      struct inv_err *err) INV_MUST_USE;
/* Does a space before this one have the document? In the view being edited. */
bool inv_gallery_is_shadowed(const struct inv_gallery *gallery, int64_t space,
                             int64_t doc);
/* The document of a vector has come to have one in an earlier space. */
enum inv_status inv_gallery_shadow_one(struct inv_gallery *gallery,
                                       uint64_t vseq,
                                       struct inv_err *err) INV_MUST_USE;
/* Is the space still in the view being edited? INV_SPACE_MISMATCH. Changes
 * nothing. */
enum inv_status inv_gallery_knows(struct inv_gallery *gallery, int64_t space,
                                  struct inv_err *err) INV_MUST_USE;
/* Releases what a part refers to. */
void inv_part_release(const struct inv_part *part);
/* Marks entry dead in the view being edited. */
enum inv_status inv_gallery_bury(struct inv_gallery *gallery, uint64_t vseq,
                                 struct inv_err *err) INV_MUST_USE;
/* Notes that a segment cannot be opened. False: out of memory. */
bool inv_gallery_lose(struct inv_gallery *gallery, uint64_t gen,
                      const char *why);
/* The segment's directory goes once the change is published. */
enum inv_status inv_gallery_doom(struct inv_gallery *gallery,
                                 struct inv_segment *segment,
                                 struct inv_err *err) INV_MUST_USE;
/* A new reference to the encoding of a hash, NULL if unknown. A segment's
 * encoding says which space it is of: hashes of different spaces differ. */
struct inv_encoding *inv_gallery_encoding(void *gallery, uint64_t hash);
void inv_gallery_segment_dir(const struct inv_gallery *gallery, uint64_t gen,
                             char *out, size_t size);
enum inv_status inv_gallery_poison(struct inv_gallery *gallery,
                                   enum inv_status status);

#endif
