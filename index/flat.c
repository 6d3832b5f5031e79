/*
 * flat.c: the exact scan over f32 or f16 codes: the smallest kind and the
 * oracle of the others. Codes are in memory after building and mapped from the
 * file after opening (format: ann_file.h). Knows no FAISS. An index never
 * changes after build or open, so any thread may search it.
 */
#include "base/bitset.h"
#include "base/kernels.h"
#include "base/topk.h"
#include "index/ann_file.h"
#include "index/ann_ops.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows scored at a time: one word of the `allowed` set. */
#define BLOCK 64
/* With fewer allowed rows in a block they are scored one by one. On 100,000 x
 * 96 that takes a quarter off at one allowed row in five (.42 for .57 ms), but
 * doing so at one in two adds half (2.1 for 1.4 ms): there the block's steady
 * reading wins. */
#define SPARSE 20

struct flat {
    struct inv_ann ann;
    const void *codes; /* count x dim */
    void *owned;       /* the codes, when they are ours to free */
    struct inv_ann_file file;
};

static struct flat *flat_new(const struct inv_ann_config *config,
                             size_t count) {
    struct flat *flat = calloc(1, sizeof *flat);
    if (flat == NULL)
        return NULL;
    flat->ann.ops = &inv_ann_flat_ops;
    flat->ann.config = *config;
    flat->ann.count = count;
    flat->ann.bytes = inv_codes_bytes(config->dtype, count, config->dim);
    flat->ann.caps = INV_ANN_EXACT | INV_ANN_SELECTOR;
    if (config->dtype == INV_F16)
        flat->ann.caps |= INV_ANN_COMPRESSED;
    return flat;
}

static void flat_free(struct inv_ann *ann) {
    struct flat *flat = (struct flat *)ann;
    free(flat->owned);
    inv_ann_file_close(&flat->file);
    free(flat);
}

static size_t flat_estimate(const struct inv_ann_config *config, size_t count) {
    size_t bytes = inv_codes_bytes(config->dtype, count, config->dim);
    if (config->dtype != INV_F32)
        bytes += inv_ann_chunk_rows(config->dim) * config->dim * sizeof(float);
    return bytes + sizeof(struct flat);
}

/* Fills flat->owned; `rows` holds a chunk of floats (f16 only). */
static enum inv_status fill(struct flat *flat,
                            const struct inv_ann_source *source, float *rows,
                            struct inv_err *err) {
    size_t dim = flat->ann.config.dim;
    size_t chunk = inv_ann_chunk_rows(dim);
    for (size_t first = 0; first < source->count; first += chunk) {
        enum inv_status status =
            inv_ann_progress(source, "add", first, source->count, err);
        if (status != INV_OK)
            return status;
        size_t count =
            source->count - first < chunk ? source->count - first : chunk;
        float *to = rows != NULL ? rows : (float *)flat->owned + first * dim;
        status = source->read(source->ctx, first, count, to, err);
        if (status != INV_OK)
            return status;
        if (rows != NULL)
            inv_f16_from_f32(rows, (uint16_t *)flat->owned + first * dim,
                             count * dim);
    }
    return inv_ann_progress(source, "add", source->count, source->count, err);
}

static enum inv_status flat_build(const struct inv_ann_config *config,
                                  const struct inv_ann_source *source,
                                  struct inv_ann **out, struct inv_err *err) {
    enum inv_status status;
    float *rows = NULL;
    struct flat *flat = flat_new(config, source->count);
    if (flat == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for an index");
    flat->owned = aligned_alloc(64, (flat->ann.bytes + 63) & ~(size_t)63);
    flat->codes = flat->owned;
    if (config->dtype == INV_F16)
        rows = malloc(inv_ann_chunk_rows(config->dim) * config->dim *
                      sizeof *rows);
    if (flat->owned == NULL || (config->dtype == INV_F16 && rows == NULL))
        status =
            inv_fail(err, INV_MEMORY, "no memory for %zu bytes of a flat index",
                     flat->ann.bytes);
    else
        status = fill(flat, source, rows, err);
    free(rows);
    if (status != INV_OK)
        flat_free(&flat->ann);
    else
        *out = &flat->ann;
    return status;
}

static enum inv_status flat_save(const struct inv_ann *ann, const char *path,
                                 struct inv_err *err) {
    const struct flat *flat = (const struct flat *)ann;
    int fd;
    enum inv_status status = inv_ann_file_create(path, &fd, err);
    if (status != INV_OK)
        return status;
    status = inv_file_write_all(fd, flat->codes, ann->bytes, err);
    if (status == INV_OK)
        status = inv_ann_file_finish(path, fd, &ann->config, ann->count, err);
    close(fd);
    if (status != INV_OK)
        unlink(path);
    return status;
}

static enum inv_status flat_open(const struct inv_ann_config *config,
                                 const char *path, size_t count,
                                 struct inv_ann **out, struct inv_err *err) {
    struct flat *flat = flat_new(config, count);
    if (flat == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for an index");
    enum inv_status status =
        inv_ann_file_open(&flat->file, path, config, count, err);
    if (status == INV_OK && flat->file.payload_len != flat->ann.bytes)
        status = inv_fail(err, INV_CORRUPT,
                          "%s: expected %zu bytes of rows, got %zu", path,
                          flat->ann.bytes, flat->file.payload_len);
    if (status != INV_OK) {
        flat_free(&flat->ann);
        return status;
    }
    flat->codes = flat->file.payload;
    flat->ann.config = flat->file.config;
    *out = &flat->ann;
    return INV_OK;
}

/* Scores of rows [first, first + count), higher is better. */
static void score(const struct flat *flat, const float *query, size_t first,
                  size_t count, float *out) {
    size_t dim = flat->ann.config.dim;
    bool l2 = flat->ann.config.metric == INV_METRIC_L2;
    if (flat->ann.config.dtype == INV_F32) {
        const float *rows = (const float *)flat->codes + first * dim;
        if (l2)
            inv_l2sq_rows_f32(query, rows, dim, count, dim, out);
        else
            inv_dot_rows_f32(query, rows, dim, count, dim, out);
    } else {
        const uint16_t *rows = (const uint16_t *)flat->codes + first * dim;
        if (l2)
            inv_l2sq_rows_f16(query, rows, dim, count, dim, out);
        else
            inv_dot_rows_f16(query, rows, dim, count, dim, out);
    }
    if (l2)
        for (size_t i = 0; i < count; i++)
            out[i] = -out[i];
}

/* Scores the rows of one block whose bit in `mask` is set. */
static void scan_block(const struct flat *flat, const float *query,
                       size_t first, size_t count, uint64_t mask,
                       struct inv_topk *topk) {
    float scores[BLOCK];
    bool sparse = __builtin_popcountll(mask) < SPARSE && count >= SPARSE;
    if (!sparse)
        score(flat, query, first, count, scores);
    for (; mask != 0; mask &= mask - 1) {
        size_t i = (size_t)__builtin_ctzll(mask);
        if (sparse)
            score(flat, query, first + i, 1, &scores[i]);
        if (scores[i] >= inv_topk_threshold(topk))
            inv_topk_push(topk, scores[i], (uint32_t)(first + i));
    }
}

static enum inv_status flat_search(const struct inv_ann *ann,
                                   const float *query, size_t k,
                                   const struct inv_ann_params *params,
                                   struct inv_ann_hit *hits, size_t *found,
                                   struct inv_err *err) {
    const struct flat *flat = (const struct flat *)ann;
    struct inv_topk_item *items = malloc(k * sizeof *items);
    if (items == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for %zu results", k);
    struct inv_topk topk;
    inv_topk_init(&topk, items, k);
    for (size_t first = 0; first < ann->count; first += BLOCK) {
        size_t count = ann->count - first < BLOCK ? ann->count - first : BLOCK;
        uint64_t mask = ~UINT64_C(0) >> (BLOCK - count);
        if (params->allowed != NULL)
            mask &= params->allowed[first / BLOCK];
        if (mask != 0)
            scan_block(flat, query, first, count, mask, &topk);
    }
    inv_topk_sort(&topk);
    for (size_t i = 0; i < topk.count; i++)
        hits[i] = (struct inv_ann_hit){items[i].entry, items[i].score};
    *found = topk.count;
    free(items);
    return INV_OK;
}

const struct inv_ann_ops inv_ann_flat_ops = {
    .estimate = flat_estimate,
    .build = flat_build,
    .save = flat_save,
    .open = flat_open,
    .free = flat_free,
    .search = flat_search,
};
