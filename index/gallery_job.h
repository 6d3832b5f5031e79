/*
 * gallery_job.h: a build while it is under way, shared by gallery_build.c
 * (choosing, building) and gallery_swap.c (its last step).
 */
#ifndef INV_INDEX_GALLERY_JOB_H
#define INV_INDEX_GALLERY_JOB_H

#include "index/build.h"
#include "index/gallery_internal.h"

/* Entry i of the new segment comes from entry `local` of input `input`. */
struct inv_build_origin {
    uint64_t vseq;
    uint32_t input, local;
};

struct inv_build_job {
    struct inv_gallery *gallery;
    struct inv_build *build;
    int64_t space;
    uint64_t gen;
    uint64_t before; /* vectors from this number on came after the freeze */
    char dir[4096];
    struct inv_view *view; /* as of the freeze, or of a change of fields */
    bool other_fields;     /* the swap met another schema: postings again */
    struct inv_part **inputs;
    struct inv_part **now; /* the same parts in the view of the swap */
    size_t input_count;
    struct inv_build_origin *origins;
    uint64_t *vseqs;
    size_t count;
    struct inv_part part; /* the new one */
};

/* The new part's entries and postings, from payload values in memory or in the
 * catalog. INV_CANCELLED, INV_MEMORY, errors of the catalog. */
enum inv_status inv_build_postings(struct inv_build_job *job,
                                   struct inv_err *err) INV_MUST_USE;
/* The new part takes the place of its inputs, in one commit. */
enum inv_status inv_build_swap(struct inv_build_job *job,
                               struct inv_writer *writer,
                               struct inv_err *err) INV_MUST_USE;

#endif
