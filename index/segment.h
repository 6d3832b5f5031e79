/*
 * segment.h: a run of entries that is searched as one. Fresh: in memory, flat,
 * exact, grows until it is full. Sealed: an index file and what belongs to it
 * in a directory of its own, never changed after it was written.
 *
 *   DATA/collections/<uuid>/segments/<gen>/
 *     manifest   key = value lines: format, encoding, index settings, and for
 *                each file its bytes and CRC32C; its last line is the CRC32C
 *                of its other lines; written last
 *     ann        the index (its own format, ann.h)
 *     entries    n x u64 vseq, ascending
 *     codes      n x code_dim, f16 or f32; only where the encoding keeps them
 *
 * Everything in it can be made again from the catalog and the vector logs.
 */
#ifndef INV_INDEX_SEGMENT_H
#define INV_INDEX_SEGMENT_H

#include "index/encoding.h"

#include <stdatomic.h>

struct inv_segment {
    struct inv_ref ref;
    struct inv_encoding *encoding;
    uint64_t gen; /* 0: fresh */

    /* fresh: rows of ann_dim in encoding->flat_dtype; rotated encodings also
     * keep whole codes, f32 */
    size_t cap;
    void *fresh_ann;
    float *fresh_codes;

    /* sealed */
    size_t count;
    struct inv_ann *ann;
    const void *codes; /* mapped */
    size_t codes_bytes;
    enum inv_dtype codes_dtype;
    uint64_t file_bytes;
    char *dir;
    _Atomic bool doomed; /* the directory goes when the last view lets go */
};

/* `cap` rows of address space, touched only as they are written. */
enum inv_status inv_segment_new_fresh(struct inv_encoding *encoding, size_t cap,
                                      struct inv_segment **out,
                                      struct inv_err *err) INV_MUST_USE;
/* An empty shell of a sealed one, for segment_file.c. */
enum inv_status inv_segment_new_sealed(const char *dir, uint64_t gen,
                                       struct inv_encoding *encoding,
                                       size_t count, struct inv_segment **out,
                                       struct inv_err *err) INV_MUST_USE;
/* Writes row `entry` of a fresh segment (code: code_dim floats, is changed). */
void inv_segment_put(struct inv_segment *segment, size_t entry, float *code);
/* Bytes of memory that a row of a fresh segment takes. */
size_t inv_segment_row_bytes(const struct inv_encoding *encoding);

/* Where the vectors of a new segment come from: entry i of `count`. */
struct inv_segment_source {
    enum inv_status (*read)(void *ctx, size_t i, struct inv_codes *out,
                            struct inv_err *err);
    const uint64_t *vseqs; /* count, ascending */
    size_t count;
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
};

/* Builds into a temporary directory beside `dir`, syncs, renames to `dir`,
 * syncs the parent: it is there whole or not at all. `config`: type, training
 * and seed of the index; its dimension, metric and flat dtype are set here. */
enum inv_status inv_segment_build(const char *dir, uint64_t gen,
                                  struct inv_encoding *encoding,
                                  const struct inv_ann_config *config,
                                  const struct inv_segment_source *source,
                                  struct inv_err *err) INV_MUST_USE;

/* Finds the encoding of a hash: a new reference, or NULL. */
typedef struct inv_encoding *inv_encoding_lookup(void *ctx, uint64_t hash);

/* Opens a sealed segment, every file checked against the manifest. vseqs:
 * malloc'ed, `count` of them. Anything missing or wrong: INV_CORRUPT (or
 * INV_IO), with the file's name and both numbers. */
enum inv_status inv_segment_open(const char *dir, uint64_t gen,
                                 inv_encoding_lookup *lookup, void *ctx,
                                 struct inv_segment **out, uint64_t **vseqs,
                                 struct inv_err *err) INV_MUST_USE;
/* Checks the files only (offline verification). */
enum inv_status inv_segment_verify(const char *dir,
                                   struct inv_err *err) INV_MUST_USE;

/* The best k of `allowed` (a bitset over the part's entries; never NULL) for
 * an encoded query of ann_dim floats. count: entries visible. Where the index
 * takes no selector the caller must pass allowed == NULL and check. */
enum inv_status inv_segment_search(const struct inv_segment *segment,
                                   size_t count, const float *query, size_t k,
                                   const struct inv_ann_params *params,
                                   struct inv_ann_hit *hits, size_t *found,
                                   struct inv_err *err) INV_MUST_USE;
unsigned inv_segment_capabilities(const struct inv_segment *segment);

/* The kept code of an entry (whole); false when the segment keeps none. */
bool inv_segment_code(const struct inv_segment *segment, size_t entry,
                      struct inv_codes *out);

/* Settings of the index; of a fresh one those of a flat index. */
void inv_segment_config(const struct inv_segment *segment,
                        struct inv_ann_config *out);
/* Bytes resident or mapped. */
size_t inv_segment_bytes(const struct inv_segment *segment, size_t count);

#endif
