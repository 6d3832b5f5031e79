/*
 * judge.c: see judge.h. Blocks of GEMM and a bounded heap. Knows no adapter
 * beyond W and b. Jobs and tools call it.
 */
#include "encoders/adapters/judge.h"

#include "base/topk.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Queries and gallery rows of one GEMM: 2 MB of scores, which stay in cache. */
#define QUERY_BLOCK 64
#define GALLERY_BLOCK 8192
/* Fewer covered documents than this say nothing about a scale. */
#define COVERED_MIN 3

/* ---- ranking ---- */

/* which: the gallery rows of these scores; NULL: first_row on. */
static void scan(const float *scores, size_t rows, size_t columns,
                 const uint32_t *which, size_t first_row,
                 struct inv_topk *heaps) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = scores + i * columns;
        float bar = inv_topk_threshold(&heaps[i]);
        for (size_t j = 0; j < columns; j++) {
            if (row[j] < bar)
                continue;
            inv_topk_push(&heaps[i], row[j],
                          which != NULL ? which[j] : (uint32_t)(first_row + j));
            bar = inv_topk_threshold(&heaps[i]);
        }
    }
}

struct ranking {
    const float *gallery;
    const uint32_t *which; /* NULL: all rows */
    size_t count, dim, columns;
    float *block;    /* QUERY_BLOCK x columns scores */
    float *gathered; /* columns x dim, when which */
};

/* Scores of `rows` queries for gallery rows [from, from + width). */
static void score_block(const struct ranking *r, const float *queries,
                        size_t rows, size_t from, size_t width) {
    const float *gallery = r->gallery + from * r->dim;
    for (size_t i = 0; i < width && r->which != NULL; i++)
        memcpy(r->gathered + i * r->dim,
               r->gallery + (size_t)r->which[from + i] * r->dim,
               r->dim * sizeof *r->gathered);
    if (r->which != NULL)
        gallery = r->gathered;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)width,
                (int)r->dim, 1, queries, (int)r->dim, gallery, (int)r->dim, 0,
                r->block, (int)width);
}

static void rank_block(const struct ranking *r, const float *queries,
                       size_t rows, struct inv_topk *heaps) {
    for (size_t from = 0; from < r->count; from += r->columns) {
        size_t width =
            r->count - from < r->columns ? r->count - from : r->columns;
        score_block(r, queries, rows, from, width);
        scan(r->block, rows, width, r->which != NULL ? r->which + from : NULL,
             from, heaps);
    }
}

static void take(struct inv_topk *heap, size_t depth, uint32_t *ids,
                 float *scores) {
    inv_topk_sort(heap);
    for (size_t j = 0; j < depth; j++) {
        ids[j] = heap->items[j].entry;
        if (scores != NULL)
            scores[j] = heap->items[j].score;
    }
}

static enum inv_status rank(struct ranking *r, const float *queries,
                            size_t count, size_t depth, uint32_t *ids,
                            float *scores, struct inv_err *err) {
    if (depth < 1 || depth > r->count || r->count >= UINT32_MAX)
        return inv_fail(err, INV_INVALID, "the best %zu of %zu documents",
                        depth, r->count);
    r->columns = r->count < GALLERY_BLOCK ? r->count : (size_t)GALLERY_BLOCK;
    /* gathered rows follow the scores */
    size_t gathered = r->which != NULL ? r->columns * r->dim : 0;
    r->block = malloc((QUERY_BLOCK * r->columns + gathered) * sizeof *r->block);
    r->gathered = r->block + QUERY_BLOCK * r->columns;
    struct inv_topk_item *items = malloc(QUERY_BLOCK * depth * sizeof *items);
    enum inv_status status = INV_OK;
    if (r->block == NULL || items == NULL)
        status = inv_fail(err, INV_MEMORY,
                          "out of memory ranking %zu documents", r->count);
    for (size_t at = 0; at < count && status == INV_OK; at += QUERY_BLOCK) {
        struct inv_topk heaps[QUERY_BLOCK];
        size_t rows =
            count - at < QUERY_BLOCK ? count - at : (size_t)QUERY_BLOCK;
        for (size_t i = 0; i < rows; i++)
            inv_topk_init(&heaps[i], items + i * depth, depth);
        rank_block(r, queries + at * r->dim, rows, heaps);
        for (size_t i = 0; i < rows; i++)
            take(&heaps[i], depth, ids + (at + i) * depth,
                 scores != NULL ? scores + (at + i) * depth : NULL);
    }
    free(r->block);
    free(items);
    return status;
}

enum inv_status inv_judge_rank(const float *queries, size_t count,
                               const float *gallery, size_t gallery_count,
                               size_t dim, size_t depth, uint32_t *ids,
                               float *scores, struct inv_err *err) {
    struct ranking r = {.gallery = gallery, .count = gallery_count, .dim = dim};
    return rank(&r, queries, count, depth, ids, scores, err);
}

enum inv_status inv_judge_rank_some(const float *queries, size_t count,
                                    const float *gallery, const uint32_t *which,
                                    size_t which_count, size_t dim,
                                    size_t depth, uint32_t *ids, float *scores,
                                    struct inv_err *err) {
    struct ranking r = {
        .gallery = gallery, .which = which, .count = which_count, .dim = dim};
    return rank(&r, queries, count, depth, ids, scores, err);
}

/* ---- measuring ---- */

static bool among(uint32_t id, const uint32_t *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i] == id)
            return true;
    return false;
}

void inv_judge_measure(const uint32_t *ids, size_t depth,
                       const struct inv_judgements *judgements, double *ndcg,
                       double *recall) {
    size_t k = depth < INV_JUDGE_DEPTH ? depth : (size_t)INV_JUDGE_DEPTH;
    for (size_t i = 0; i < judgements->queries; i++) {
        const uint32_t *relevant = judgements->document + judgements->start[i];
        size_t count = judgements->start[i + 1] - judgements->start[i];
        double gain = 0, ideal = 0;
        size_t found = 0;
        for (size_t j = 0; j < k; j++) {
            double discount = 1 / log2((double)j + 2);
            bool hit = among(ids[i * depth + j], relevant, count);
            gain += hit ? discount : 0;
            found += hit;
            ideal += j < count ? discount : 0;
        }
        ndcg[i] = ideal > 0 ? gain / ideal : 0;
        if (recall != NULL)
            recall[i] = count > 0 ? (double)found / (double)count : 0;
    }
}

enum inv_status inv_judge_pairs(const float *w, const float *b, size_t rows,
                                size_t cols, const float *queries,
                                const uint32_t *document, const uint32_t *which,
                                size_t count, const float *gallery,
                                size_t gallery_count, double *ndcg,
                                double *error, struct inv_err *err) {
    size_t depth =
        gallery_count < INV_JUDGE_DEPTH ? gallery_count : INV_JUDGE_DEPTH;
    float *mapped = calloc((count + 1) * rows, sizeof *mapped);
    uint32_t *ids = malloc((count + 1) * depth * sizeof *ids);
    enum inv_status status = INV_OK;
    double sum = 0, squares = 0;
    if (mapped == NULL || ids == NULL) {
        status =
            inv_fail(err, INV_MEMORY, "out of memory judging %zu pairs", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        float *y = mapped + i * rows;
        memcpy(y, b, rows * sizeof *b);
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)cols, 1, w,
                    (int)cols, queries + (size_t)which[i] * cols, 1, 1, y, 1);
    } /* |y| does not change an order by inner products */
    status = inv_judge_rank(mapped, count, gallery, gallery_count, rows, depth,
                            ids, NULL, err);
    for (size_t i = 0; i < count && status == INV_OK; i++)
        for (size_t j = 0; j < depth; j++)
            if (ids[i * depth + j] == document[which[i]]) {
                double gain = 1 / log2((double)j + 2);
                sum += gain;
                squares += gain * gain;
            }
    if (status == INV_OK) {
        double n = count > 0 ? (double)count : 1;
        double variance = squares / n - sum / n * (sum / n);
        *ndcg = sum / n;
        *error = variance > 0 ? sqrt(variance / n) : 0;
    }
done:
    free(mapped);
    free(ids);
    return status;
}

/* ---- the cascade ---- */

struct spread {
    double mean, deviation;
};

/* Of scores[i] of the covered ones. */
static struct spread spread_of(const double *scores, const bool *covered,
                               const uint32_t *ids, size_t depth) {
    struct spread s = {0, 0};
    size_t n = 0;
    for (size_t i = 0; i < depth; i++)
        if (covered == NULL || covered[ids[i]]) {
            s.mean += scores[i];
            n++;
        }
    s.mean /= (double)n;
    for (size_t i = 0; i < depth; i++)
        if (covered == NULL || covered[ids[i]])
            s.deviation += (scores[i] - s.mean) * (scores[i] - s.mean);
    s.deviation = sqrt(s.deviation / (double)n);
    return s;
}

/* Highest first; insertion keeps equal scores in the order they had, and lists
 * have 50 to 200 entries. */
static void order(uint32_t *ids, double *scores, size_t depth) {
    for (size_t i = 1; i < depth; i++) {
        double score = scores[i];
        uint32_t id = ids[i];
        size_t j = i;
        for (; j > 0 && scores[j - 1] < score; j--) {
            scores[j] = scores[j - 1];
            ids[j] = ids[j - 1];
        }
        scores[j] = score;
        ids[j] = id;
    }
}

void inv_judge_cascade(const double *fresh, const bool *covered,
                       const float *bridge, size_t depth, uint32_t *ids,
                       double *scratch) {
    size_t count = 0;
    for (size_t i = 0; i < depth; i++) {
        count += covered == NULL || covered[ids[i]];
        scratch[i] = (double)bridge[i];
    }
    if (count < COVERED_MIN)
        return;
    struct spread old = spread_of(scratch, covered, ids, depth);
    struct spread new = spread_of(fresh, covered, ids, depth);
    double slope = new.deviation > 0 ? old.deviation / new.deviation : 0;
    if (count == depth || slope <= 0) /* one scale only: keep it */
        slope = 1;
    for (size_t i = 0; i < depth; i++)
        if (covered == NULL || covered[ids[i]])
            scratch[i] = old.mean + (fresh[i] - new.mean) * slope;
    order(ids, scratch, depth);
}
