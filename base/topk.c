/*
 * topk.c: see topk.h. A binary heap with the worst of the kept at the root, so
 * that a candidate is refused with one comparison. Knows nothing of where
 * scores come from; one thread per heap.
 */
#include "base/topk.h"

void inv_topk_init(struct inv_topk *topk, struct inv_topk_item *items,
                   size_t k) {
    topk->items = items;
    topk->k = k;
    topk->count = 0;
}

static bool worse(struct inv_topk_item a, struct inv_topk_item b) {
    return a.score < b.score || (a.score == b.score && a.entry > b.entry);
}

/* Puts `item` where it belongs on the path from the root down. */
static void sift_down(struct inv_topk_item *heap, size_t count,
                      struct inv_topk_item item) {
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], item))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

bool inv_topk_push(struct inv_topk *topk, float score, uint32_t entry) {
    struct inv_topk_item item = {entry, score};
    if (isnan(score) || topk->k == 0)
        return false;
    if (topk->count == topk->k) {
        if (!worse(topk->items[0], item))
            return false;
        sift_down(topk->items, topk->count, item);
        return true;
    }
    size_t at = topk->count++;
    while (at > 0 && worse(item, topk->items[(at - 1) / 2])) {
        topk->items[at] = topk->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    topk->items[at] = item;
    return true;
}

void inv_topk_sort(struct inv_topk *topk) {
    for (size_t left = topk->count; left > 1; left--) {
        struct inv_topk_item worst = topk->items[0];
        sift_down(topk->items, left - 1, topk->items[left - 1]);
        topk->items[left - 1] = worst;
    }
}
