/*
 * segment.c: fresh segments, and searching either kind. Building and opening
 * sealed ones: segment_file.c. Searches run on any thread; a fresh row is
 * written by the writer thread before the view that shows it is published.
 */
#include "index/segment.h"

#include "base/bitset.h"
#include "base/file.h"
#include "base/kernels.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/reserve.h"
#include "base/topk.h"

#include <stdlib.h>
#include <string.h>

void inv_encoding_prefix(const struct inv_encoding *encoding, float *code) {
    if (encoding->renormalize && encoding->ann_dim < encoding->code_dim)
        inv_normalize_f32(code, encoding->ann_dim);
}

static size_t element(enum inv_dtype dtype) { return dtype == INV_F16 ? 2 : 4; }

size_t inv_segment_row_bytes(const struct inv_encoding *encoding) {
    size_t bytes = encoding->ann_dim * element(encoding->flat_dtype);
    if (encoding->keep == INV_KEEP_ALWAYS)
        bytes += encoding->code_dim * sizeof(float);
    return bytes;
}

static void segment_release(void *self) {
    struct inv_segment *segment = self;
    const struct inv_encoding *encoding = segment->encoding;
    inv_unreserve(segment->fresh_ann, segment->cap * encoding->ann_dim *
                                          element(encoding->flat_dtype));
    inv_unreserve(segment->fresh_codes,
                  segment->cap * encoding->code_dim * sizeof(float));
    inv_ann_free(segment->ann);
    inv_file_unmap(segment->codes, segment->codes_bytes);
    struct inv_err err;
    if (atomic_load(&segment->doomed) &&
        inv_file_remove_tree(segment->dir, &err) != INV_OK)
        inv_log(INV_LOG_WARN, "segment", "%s", err.text);
    free(segment->dir);
    inv_ref_put(segment->encoding);
    free(segment);
}

enum inv_status inv_segment_new_fresh(struct inv_encoding *encoding, size_t cap,
                                      struct inv_segment **out,
                                      struct inv_err *err) {
    struct inv_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a segment");
    inv_ref_init(&segment->ref, segment_release);
    segment->encoding = inv_ref_get(encoding);
    segment->cap = cap < 1 ? 1 : cap;
    segment->fresh_ann = inv_reserve(segment->cap * encoding->ann_dim *
                                     element(encoding->flat_dtype));
    bool whole = encoding->keep == INV_KEEP_ALWAYS;
    if (whole)
        segment->fresh_codes =
            inv_reserve(segment->cap * encoding->code_dim * sizeof(float));
    if (segment->fresh_ann == NULL || (whole && !segment->fresh_codes)) {
        inv_ref_put(segment);
        return inv_fail(err, INV_MEMORY,
                        "out of memory for a fresh segment of %zu entries",
                        cap);
    }
    *out = segment;
    return INV_OK;
}

enum inv_status inv_segment_new_sealed(const char *dir, uint64_t gen,
                                       struct inv_encoding *encoding,
                                       size_t count, struct inv_segment **out,
                                       struct inv_err *err) {
    struct inv_segment *segment = calloc(1, sizeof *segment);
    char *copy = strdup(dir);
    if (segment == NULL || copy == NULL) {
        free(segment);
        free(copy);
        return inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
    }
    inv_ref_init(&segment->ref, segment_release);
    segment->encoding = inv_ref_get(encoding);
    segment->gen = gen;
    segment->count = count;
    segment->dir = copy;
    *out = segment;
    return INV_OK;
}

void inv_segment_put(struct inv_segment *segment, size_t entry, float *code) {
    const struct inv_encoding *encoding = segment->encoding;
    if (segment->fresh_codes != NULL)
        memcpy(segment->fresh_codes + entry * encoding->code_dim, code,
               encoding->code_dim * sizeof(float));
    inv_encoding_prefix(encoding, code);
    size_t dim = encoding->ann_dim;
    if (encoding->flat_dtype == INV_F16)
        inv_f16_from_f32(code, (uint16_t *)segment->fresh_ann + entry * dim,
                         dim);
    else
        memcpy((float *)segment->fresh_ann + entry * dim, code,
               dim * sizeof(float));
}

/* Scores of up to 64 rows from `first` on. */
static void score_rows(const struct inv_segment *segment, const float *query,
                       size_t first, size_t count, float *out) {
    const struct inv_encoding *encoding = segment->encoding;
    size_t dim = encoding->ann_dim;
    bool half = encoding->flat_dtype == INV_F16;
    const uint16_t *h = (const uint16_t *)segment->fresh_ann + first * dim;
    const float *f = (const float *)segment->fresh_ann + first * dim;
    if (encoding->metric == INV_METRIC_IP) {
        if (half)
            inv_dot_rows_f16(query, h, dim, count, dim, out);
        else
            inv_dot_rows_f32(query, f, dim, count, dim, out);
        return;
    }
    if (half)
        inv_l2sq_rows_f16(query, h, dim, count, dim, out);
    else
        inv_l2sq_rows_f32(query, f, dim, count, dim, out);
    for (size_t i = 0; i < count; i++)
        out[i] = -out[i];
}

/* Exact scan in blocks of one bitset word; a word without members is skipped.
 */
static void scan_fresh(const struct inv_segment *segment, size_t count,
                       const float *query, size_t k, const uint64_t *allowed,
                       struct inv_ann_hit *hits, size_t *found) {
    _Static_assert(sizeof(struct inv_ann_hit) == sizeof(struct inv_topk_item),
                   "hits are filled through topk");
    struct inv_topk topk;
    inv_topk_init(&topk, (struct inv_topk_item *)(void *)hits, k);
    float scores[64];
    for (size_t first = 0; first < count; first += 64) {
        uint64_t word = allowed == NULL ? ~UINT64_C(0) : allowed[first / 64];
        if (word == 0)
            continue;
        size_t n = count - first < 64 ? count - first : 64;
        score_rows(segment, query, first, n, scores);
        for (size_t i = 0; i < n; i++)
            if (((word >> i) & 1) && scores[i] >= inv_topk_threshold(&topk))
                inv_topk_push(&topk, scores[i], (uint32_t)(first + i));
    }
    inv_topk_sort(&topk);
    *found = topk.count;
}

enum inv_status inv_segment_search(const struct inv_segment *segment,
                                   size_t count, const float *query, size_t k,
                                   const struct inv_ann_params *params,
                                   struct inv_ann_hit *hits, size_t *found,
                                   struct inv_err *err) {
    if (k > count)
        k = count;
    if (segment->ann != NULL)
        return inv_ann_search(segment->ann, query, k, params, hits, found, err);
    scan_fresh(segment, count, query, k, params->allowed, hits, found);
    return INV_OK;
}

unsigned inv_segment_capabilities(const struct inv_segment *segment) {
    if (segment->ann != NULL)
        return inv_ann_capabilities(segment->ann);
    return INV_ANN_EXACT | INV_ANN_SELECTOR;
}

bool inv_segment_code(const struct inv_segment *segment, size_t entry,
                      struct inv_codes *out) {
    size_t dim = segment->encoding->code_dim;
    *out = (struct inv_codes){.dtype = INV_F32, .rows = 1, .dim = dim};
    if (segment->fresh_codes != NULL) {
        out->data = segment->fresh_codes + entry * dim;
        return true;
    }
    if (segment->codes == NULL)
        return false;
    out->dtype = segment->codes_dtype;
    out->data = (const char *)segment->codes +
                entry * dim * element(segment->codes_dtype);
    return true;
}

void inv_segment_config(const struct inv_segment *segment,
                        struct inv_ann_config *out) {
    if (segment->ann != NULL) {
        *out = *inv_ann_get_config(segment->ann);
        return;
    }
    *out = (struct inv_ann_config){.type = INV_ANN_FLAT,
                                   .metric = segment->encoding->metric,
                                   .dim = segment->encoding->ann_dim,
                                   .dtype = segment->encoding->flat_dtype};
}

size_t inv_segment_bytes(const struct inv_segment *segment, size_t count) {
    if (segment->ann != NULL)
        return inv_ann_bytes(segment->ann) + segment->codes_bytes;
    return count * inv_segment_row_bytes(segment->encoding);
}
