/*
 * ann_ops.h: what a kind of index implements; for ann.c and the backends only.
 * Arguments arrive checked by ann.c: config within bounds, count 1 .. 2^31 - 1,
 * k 1 .. count, `allowed` only with INV_ANN_SELECTOR.
 */
#ifndef INV_INDEX_ANN_OPS_H
#define INV_INDEX_ANN_OPS_H

#include "index/ann.h"

/* The first member of every backend's own struct. Filled by build and open. */
struct inv_ann {
    const struct inv_ann_ops *ops;
    struct inv_ann_config config; /* resolved */
    size_t count;
    size_t bytes;
    unsigned caps;
};

/* No slot is ever NULL. */
struct inv_ann_ops {
    size_t (*estimate)(const struct inv_ann_config *config, size_t count);
    enum inv_status (*build)(const struct inv_ann_config *config,
                             const struct inv_ann_source *source,
                             struct inv_ann **out, struct inv_err *err);
    enum inv_status (*save)(const struct inv_ann *ann, const char *path,
                            struct inv_err *err);
    enum inv_status (*open)(const struct inv_ann_config *config,
                            const char *path, size_t count,
                            struct inv_ann **out, struct inv_err *err);
    void (*free)(struct inv_ann *ann);
    enum inv_status (*search)(const struct inv_ann *ann, const float *query,
                              size_t k, const struct inv_ann_params *params,
                              struct inv_ann_hit *hits, size_t *found,
                              struct inv_err *err);
};

extern const struct inv_ann_ops inv_ann_flat_ops;  /* flat.c */
extern const struct inv_ann_ops inv_ann_faiss_ops; /* faiss_ann.c */

/* Calls source->progress; INV_CANCELLED if it says so. */
enum inv_status inv_ann_progress(const struct inv_ann_source *source,
                                 const char *stage, size_t done, size_t total,
                                 struct inv_err *err) INV_MUST_USE;

/* Rows worth reading at a time: about 16 MB of them, 64 .. 16384. */
size_t inv_ann_chunk_rows(size_t dim);

#endif
