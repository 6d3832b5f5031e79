/*
 * topk.h: the best k of many scored entries, in memory the caller brings.
 *
 * Higher scores are better, equal scores rank by the smaller entry; the result
 * does not depend on the order of pushing. One thread at a time.
 */
#ifndef INV_BASE_TOPK_H
#define INV_BASE_TOPK_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_topk_item {
    uint32_t entry;
    float score;
};

struct inv_topk {
    struct inv_topk_item *items; /* a heap, the worst first, until sorted */
    size_t k;
    size_t count;
};

/* items has room for k; it stays the caller's. */
void inv_topk_init(struct inv_topk *topk, struct inv_topk_item *items,
                   size_t k);

/* true if the entry is now among the best k. A NaN never is. */
bool inv_topk_push(struct inv_topk *topk, float score, uint32_t entry);

/* No score below this can enter any more: skip it without a call. */
static inline float inv_topk_threshold(const struct inv_topk *topk) {
    if (topk->count < topk->k)
        return -INFINITY;
    return topk->k == 0 ? INFINITY : topk->items[0].score;
}

/* Turns items[0 .. count) into the result, best first. No push after it. */
void inv_topk_sort(struct inv_topk *topk);

#endif
