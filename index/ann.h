/*
 * ann.h: one vtable for everything that finds neighbours: our own exact scan
 * (flat.c, the oracle) and the kinds FAISS offers. An index is built once from
 * a source of rows, saved, opened and searched; it never changes after that.
 * Entry i is the i-th row of the source.
 *
 * Scores: higher is better, everywhere. metric L2 gives minus the squared
 * distance. A built index may be searched from any number of threads.
 */
#ifndef INV_INDEX_ANN_H
#define INV_INDEX_ANN_H

#include "base/status.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_metric { INV_METRIC_IP, INV_METRIC_L2 };

enum inv_ann_type {
    INV_ANN_FLAT,
    INV_ANN_HNSW,
    INV_ANN_HNSW_SQ8,
    INV_ANN_IVF_FLAT,
    INV_ANN_IVF_SQ8,
    INV_ANN_IVF_PQ,
    INV_ANN_AUTO, /* of a collection's settings only, never of an index */
};

struct inv_ann_config {
    enum inv_ann_type type;
    enum inv_metric metric;
    size_t dim;
    enum inv_dtype dtype;          /* flat only: F32 or F16 codes */
    uint32_t hnsw_m;               /* 0: 32 */
    uint32_t hnsw_ef_construction; /* 0: 200 */
    uint32_t nlist;      /* ivf; 0: 4 * sqrt(rows), 39 training rows each */
    uint32_t pq_m;       /* ivf_pq; sub-quantizers, 0: dim / 4 (4-bit) or
                            dim / 8 (8-bit), made to divide dim */
    uint32_t pq_bits;    /* 4 (fast scan, default) or 8 (plain) */
    uint32_t train_size; /* rows sampled for training, 0: by nlist */
    uint64_t seed;       /* of the training sample and of k-means */
    int threads;         /* for building, >= 1 */
    uint32_t nprobe;     /* ivf; lists a search reads when its params do not
                            say, 0: max(16, nlist / 16). Where
                            INV_ANN_NPROBE is missing it is what every
                            search uses. */
};

/* Name in requests and manifests: "flat", "hnsw", ...; -1 / NULL if unknown. */
const char *inv_ann_type_name(enum inv_ann_type type);
int inv_ann_type_parse(const char *name);

enum inv_ann_caps {
    INV_ANN_EXACT = 1,       /* returns the true top k of what it stores */
    INV_ANN_SELECTOR = 2,    /* `allowed` is honoured inside the search */
    INV_ANN_EF = 4,          /* params.ef acts */
    INV_ANN_NPROBE = 8,      /* params.nprobe acts */
    INV_ANN_COMPRESSED = 16, /* scores are approximate: rescore */
};

struct inv_ann_params {
    uint32_t ef;             /* 0: max(64, k) */
    uint32_t nprobe;         /* 0: config.nprobe */
    const uint64_t *allowed; /* bitset over entries (base/bitset.h), NULL: all.
                                Only where INV_ANN_SELECTOR; INV_UNSUPPORTED
                                elsewhere. A selective set widens ef and
                                nprobe by its inverse density. */
};

struct inv_ann_hit {
    uint32_t entry;
    float score;
};

/* Where rows come from while building: fills out with rows[first, first +
 * count) x dim. Called from one thread at a time, any order. */
struct inv_ann_source {
    enum inv_status (*read)(void *ctx, size_t first, size_t count, float *out,
                            struct inv_err *err);
    /* Called now and then: done of total rows; true cancels (INV_CANCELLED).
     * NULL: never. */
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total);
    void *ctx;
    size_t count;
};

struct inv_ann;

/* Bytes of memory that building will take, an upper estimate. */
size_t inv_ann_estimate(const struct inv_ann_config *config, size_t count);

/* count >= 1. Same config, seed and rows give the same index with one thread.
 */
enum inv_status inv_ann_build(const struct inv_ann_config *config,
                              const struct inv_ann_source *source,
                              struct inv_ann **out,
                              struct inv_err *err) INV_MUST_USE;
/* Writes a new file (not atomic: the segment renames its directory). */
enum inv_status inv_ann_save(const struct inv_ann *ann, const char *path,
                             struct inv_err *err) INV_MUST_USE;
/* Opens what save wrote; `config` as when it was built. Wrong magic, size,
 * dimension or count: INV_CORRUPT with both numbers. */
enum inv_status inv_ann_open(const struct inv_ann_config *config,
                             const char *path, size_t count,
                             struct inv_ann **out,
                             struct inv_err *err) INV_MUST_USE;
void inv_ann_free(struct inv_ann *ann);

unsigned inv_ann_capabilities(const struct inv_ann *ann); /* inv_ann_caps */
size_t inv_ann_bytes(const struct inv_ann *ann);          /* resident */
size_t inv_ann_count(const struct inv_ann *ann);
/* As given, with every 0 resolved to the number in use. ivf_pq of fewer than
 * 1,024 rows keeps whole rows: pq_m and pq_bits are 0 there and the
 * capabilities those of ivf_flat. */
const struct inv_ann_config *inv_ann_get_config(const struct inv_ann *ann);

/* The best k of `allowed` entries for one query of dim floats, best first;
 * ties by entry. hits holds k; *found <= k. k == 0 is allowed. Uses one thread.
 * FAISS exceptions come back as INV_INTERNAL, bad_alloc as INV_MEMORY. */
enum inv_status inv_ann_search(const struct inv_ann *ann, const float *query,
                               size_t k, const struct inv_ann_params *params,
                               struct inv_ann_hit *hits, size_t *found,
                               struct inv_err *err) INV_MUST_USE;

#endif
