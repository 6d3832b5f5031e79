/*
 * ann.c: the public side of ann.h: checks arguments once, then hands over to
 * the operation table of the kind. Does not know how any kind works. Any
 * thread.
 */
#include "index/ann_ops.h"

#include "base/limits.h"

#include <string.h>

static const struct {
    const char *name;
    const struct inv_ann_ops *ops;
} types[] = {
    [INV_ANN_FLAT] = {"flat", &inv_ann_flat_ops},
    [INV_ANN_HNSW] = {"hnsw", &inv_ann_faiss_ops},
    [INV_ANN_HNSW_SQ8] = {"hnsw_sq8", &inv_ann_faiss_ops},
    [INV_ANN_IVF_FLAT] = {"ivf_flat", &inv_ann_faiss_ops},
    [INV_ANN_IVF_SQ8] = {"ivf_sq8", &inv_ann_faiss_ops},
    [INV_ANN_IVF_PQ] = {"ivf_pq", &inv_ann_faiss_ops},
    [INV_ANN_AUTO] = {"auto", NULL},
};

#define TYPES ((int)(sizeof types / sizeof types[0]))

/* FAISS numbers HNSW nodes with 31 bits. */
#define COUNT_MAX ((size_t)INT32_MAX)

const char *inv_ann_type_name(enum inv_ann_type type) {
    return (unsigned)type < TYPES ? types[type].name : NULL;
}

int inv_ann_type_parse(const char *name) {
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return i;
    return -1;
}

static const struct inv_ann_ops *ops_of(enum inv_ann_type type) {
    return (unsigned)type < TYPES ? types[type].ops : NULL;
}

static enum inv_status check_hnsw(const struct inv_ann_config *config,
                                  struct inv_err *err) {
    if (config->hnsw_m != 0 && (config->hnsw_m < 4 || config->hnsw_m > 256))
        return inv_fail(err, INV_INVALID, "hnsw_m must be 4 to 256, got %u",
                        (unsigned)config->hnsw_m);
    if (config->hnsw_ef_construction > 10000)
        return inv_fail(err, INV_INVALID,
                        "hnsw_ef_construction must be at most 10000, got %u",
                        (unsigned)config->hnsw_ef_construction);
    return INV_OK;
}

static enum inv_status check_ivf(const struct inv_ann_config *config,
                                 struct inv_err *err) {
    if (config->nlist > 1u << 20)
        return inv_fail(err, INV_INVALID, "nlist must be at most %u, got %u",
                        1u << 20, (unsigned)config->nlist);
    if (config->type != INV_ANN_IVF_PQ)
        return INV_OK;
    if (config->pq_bits != 0 && config->pq_bits != 4 && config->pq_bits != 8)
        return inv_fail(err, INV_INVALID, "pq_bits must be 4 or 8, got %u",
                        (unsigned)config->pq_bits);
    if (config->pq_m != 0 && config->dim % config->pq_m != 0)
        return inv_fail(err, INV_INVALID,
                        "pq_m must divide the %zu dimensions, got %u",
                        config->dim, (unsigned)config->pq_m);
    return INV_OK;
}

static enum inv_status check_config(const struct inv_ann_config *config,
                                    size_t count, struct inv_err *err) {
    if (config->metric != INV_METRIC_IP && config->metric != INV_METRIC_L2)
        return inv_fail(err, INV_INVALID, "unknown metric %d",
                        (int)config->metric);
    if (config->dim == 0 || config->dim > INV_FDE_DIM_MAX)
        return inv_fail(err, INV_INVALID,
                        "an index has 1 to %d dimensions, got %zu",
                        INV_FDE_DIM_MAX, config->dim);
    if (count == 0 || count > COUNT_MAX)
        return inv_fail(err, INV_INVALID, "an index has 1 to %zu rows, got %zu",
                        COUNT_MAX, count);
    if (config->threads < 1)
        return inv_fail(err, INV_INVALID, "threads must be at least 1, got %d",
                        config->threads);
    switch (config->type) {
    case INV_ANN_FLAT:
        if (config->dtype == INV_F32 || config->dtype == INV_F16)
            return INV_OK;
        return inv_fail(err, INV_INVALID,
                        "a flat index stores f32 or f16, not dtype %d",
                        (int)config->dtype);
    case INV_ANN_HNSW:
    case INV_ANN_HNSW_SQ8:
        return check_hnsw(config, err);
    default:
        return check_ivf(config, err);
    }
}

size_t inv_ann_estimate(const struct inv_ann_config *config, size_t count) {
    const struct inv_ann_ops *ops = ops_of(config->type);
    return ops == NULL ? 0 : ops->estimate(config, count);
}

enum inv_status inv_ann_build(const struct inv_ann_config *config,
                              const struct inv_ann_source *source,
                              struct inv_ann **out, struct inv_err *err) {
    *out = NULL;
    const struct inv_ann_ops *ops = ops_of(config->type);
    if (ops == NULL)
        return inv_fail(err, INV_INVALID, "index type %d cannot be built",
                        (int)config->type);
    enum inv_status status = check_config(config, source->count, err);
    if (status != INV_OK)
        return status;
    return ops->build(config, source, out, err);
}

enum inv_status inv_ann_save(const struct inv_ann *ann, const char *path,
                             struct inv_err *err) {
    return ann->ops->save(ann, path, err);
}

enum inv_status inv_ann_open(const struct inv_ann_config *config,
                             const char *path, size_t count,
                             struct inv_ann **out, struct inv_err *err) {
    *out = NULL;
    const struct inv_ann_ops *ops = ops_of(config->type);
    if (ops == NULL)
        return inv_fail(err, INV_INVALID, "index type %d cannot be built",
                        (int)config->type);
    enum inv_status status = check_config(config, count, err);
    if (status != INV_OK)
        return status;
    return ops->open(config, path, count, out, err);
}

void inv_ann_free(struct inv_ann *ann) {
    if (ann != NULL)
        ann->ops->free(ann);
}

unsigned inv_ann_capabilities(const struct inv_ann *ann) { return ann->caps; }

size_t inv_ann_bytes(const struct inv_ann *ann) { return ann->bytes; }

size_t inv_ann_count(const struct inv_ann *ann) { return ann->count; }

const struct inv_ann_config *inv_ann_get_config(const struct inv_ann *ann) {
    return &ann->config;
}

enum inv_status inv_ann_search(const struct inv_ann *ann, const float *query,
                               size_t k, const struct inv_ann_params *params,
                               struct inv_ann_hit *hits, size_t *found,
                               struct inv_err *err) {
    static const struct inv_ann_params none;
    if (params == NULL)
        params = &none;
    *found = 0;
    if (params->allowed != NULL && (ann->caps & INV_ANN_SELECTOR) == 0)
        return inv_fail(err, INV_UNSUPPORTED,
                        "this %s index cannot filter inside the search",
                        inv_ann_type_name(ann->config.type));
    if (k > ann->count)
        k = ann->count;
    if (k == 0)
        return INV_OK;
    return ann->ops->search(ann, query, k, params, hits, found, err);
}

enum inv_status inv_ann_progress(const struct inv_ann_source *source,
                                 const char *stage, size_t done, size_t total,
                                 struct inv_err *err) {
    if (source->progress != NULL &&
        source->progress(source->ctx, stage, done, total))
        return inv_fail(err, INV_CANCELLED,
                        "cancelled in stage \"%s\" after %zu of %zu rows",
                        stage, done, total);
    return INV_OK;
}

size_t inv_ann_chunk_rows(size_t dim) {
    size_t rows = ((size_t)16 << 20) / (dim * sizeof(float));
    if (rows < 64)
        return 64;
    return rows > 16384 ? 16384 : rows;
}
