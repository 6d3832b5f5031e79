/*
 * search_cascade.c: what an upgrade adds to a search. The query came over a
 * bridge and found its first N by scores of the gallery's space; those of them
 * that have a vector in the query's own space already are scored there, and
 * the others are what a client had best embed next.
 *
 * Scores of two spaces in one list: an affine map per query, by mean and
 * deviation of this list's documents that both spaces hold. Measured on
 * e5 -> l6 (bridge alone .543 nDCG@10): .548 / .555 / .569 at 10 / 25 / 50 % of
 * the documents, where global quantile maps give .519 / .509 / .528. The same
 * arithmetic judges an adapter offline: inv_judge_cascade.
 */
#include "server/search.h"

#include <math.h>

/* Fewer documents than this say nothing about a scale. */
#define COVERED_MIN 3

/* ---- scales ---- */

void inv_score_moments_add(struct inv_score_moments *moments, double x) {
    double step = x - moments->mean;
    moments->count++;
    moments->mean += step / (double)moments->count;
    moments->squares += step * (x - moments->mean);
}

struct inv_scale inv_scale_between(const struct inv_score_moments *from,
                                   const struct inv_score_moments *to) {
    double slope = from->squares > 0
                       ? sqrt(to->squares / (double)to->count /
                              (from->squares / (double)from->count))
                       : 0;
    return (struct inv_scale){.count = from->count,
                              .from = from->mean,
                              .to = to->mean,
                              .slope = slope > 0 ? slope : 1};
}

double inv_scale_apply(const struct inv_scale *scale, double score) {
    return scale->to + (score - scale->from) * scale->slope;
}

/* ---- documents of a list in another space ---- */

struct covered {
    struct inv_hit *hits; /* there, with their scores there */
    size_t *at;           /* and where they are in the list */
    size_t count;
};

static enum inv_status find_covered(struct inv_searching *lane,
                                    const struct inv_hit *list, size_t count,
                                    struct covered *out, struct inv_err *err) {
    const struct inv_view *view = lane->view;
    size_t damaged = 0, kept = 0, n = 0;
    out->hits = inv_arena_alloc(lane->arena, (count + 1) * sizeof *out->hits);
    out->at = inv_arena_alloc(lane->arena, (count + 1) * sizeof *out->at);
    if (out->hits == NULL || out->at == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu hits", count);
    for (size_t i = 0; i < count; i++) {
        const struct inv_part *part = &view->parts[list[i].part];
        size_t p, e;
        if (!inv_view_find_doc(view, lane->space->space,
                               part->entries->items[list[i].entry].doc, &p, &e))
            continue;
        out->hits[n] =
            (struct inv_hit){.part = (uint32_t)p, .entry = (uint32_t)e};
        out->at[n++] = i;
    }
    enum inv_status status = inv_search_score(
        lane, (uint32_t)lane->settings->dim, out->hits, n, &damaged, err);
    for (size_t i = 0; status == INV_OK && i < n; i++) {
        if (isnan(out->hits[i].score))
            continue;
        out->hits[kept] = out->hits[i];
        out->at[kept++] = out->at[i];
    }
    out->count = kept;
    return status;
}

/* count 0: too few. */
static struct inv_scale scale_of(const struct covered *covered,
                                 const struct inv_hit *list) {
    struct inv_score_moments from = {.count = 0};
    struct inv_score_moments to = {.count = 0};
    if (covered->count < COVERED_MIN)
        return (struct inv_scale){.count = 0};
    for (size_t i = 0; i < covered->count; i++) {
        inv_score_moments_add(&from, (double)covered->hits[i].score);
        inv_score_moments_add(&to, (double)list[covered->at[i]].score);
    }
    return inv_scale_between(&from, &to);
}

enum inv_status inv_cascade_scale(struct inv_searching *lane,
                                  const struct inv_searching *list,
                                  struct inv_scale *scale,
                                  struct inv_err *err) {
    struct covered covered = {.count = 0};
    enum inv_status status =
        find_covered(lane, list->hits, list->count, &covered, err);
    if (status == INV_OK)
        *scale = scale_of(&covered, list->hits);
    return status;
}

/* ---- the cascade ---- */

/* The space whose vectors a search asks for; 0: it does not. */
static int64_t wanted_space(const struct inv_lanes *lanes) {
    const struct inv_models *models = lanes->items[0].models;
    int64_t own = lanes->own->space->space;
    if (inv_models_cascades(models, own))
        return own;
    bool shadow = models->state == INV_UPGRADE_SHADOW;
    return shadow && lanes->own == &lanes->items[0] ? models->target : 0;
}

size_t inv_cascade_depth(const struct inv_lanes *lanes, size_t want) {
    const struct inv_searching *gallery = &lanes->items[0];
    const struct inv_search_params *asked = &gallery->request->params;
    const struct inv_search_params *of = &gallery->settings->params;
    bool looks = wanted_space(lanes) != 0;
    for (size_t i = 1; i < lanes->count; i++) /* for the scale of a merge */
        looks = looks || lanes->searched[i];
    if (!looks)
        return want;
    size_t depth = asked->cascade != 0 ? asked->cascade : of->cascade;
    if (depth == 0)
        depth = INV_CASCADE_DEFAULT;
    return depth > want ? depth : want;
}

enum inv_status inv_cascade(struct inv_lanes *lanes,
                            struct inv_search_answer *answer,
                            struct inv_err *err) {
    struct inv_searching *gallery = &lanes->items[0];
    struct inv_searching *own = lanes->own;
    struct covered covered = {.count = 0};
    answer->list = gallery->hits;
    answer->list_count = gallery->count;
    if (!inv_models_cascades(gallery->models, own->space->space))
        return INV_OK;
    enum inv_status status =
        find_covered(own, gallery->hits, gallery->count, &covered, err);
    if (status != INV_OK)
        return status;
    lanes->cascaded = answer->cascaded = true;
    answer->covered = covered.count;
    /* All of them, however few: one scale, and it is the query's own. */
    lanes->native = covered.count > 0 && covered.count == gallery->count;
    if (lanes->native)
        lanes->scale = (struct inv_scale){.count = covered.count, .slope = 1};
    else
        lanes->scale = scale_of(&covered, gallery->hits);
    if (lanes->scale.count == 0)
        return INV_OK;
    for (size_t i = 0; i < covered.count; i++)
        gallery->hits[covered.at[i]].score = (float)inv_scale_apply(
            &lanes->scale, (double)covered.hits[i].score);
    inv_hits_best(gallery->view, gallery->hits, &gallery->count,
                  gallery->count);
    return INV_OK;
}

enum inv_status inv_cascade_need(struct inv_lanes *lanes,
                                 struct inv_search_answer *answer,
                                 struct inv_err *err) {
    const struct inv_searching *gallery = &lanes->items[0];
    const struct inv_search_params *asked = &gallery->request->params;
    const struct inv_search_params *of = &gallery->settings->params;
    const struct inv_view *view = gallery->view;
    int64_t space = wanted_space(lanes);
    size_t most = asked->need_given ? asked->need_vectors
                  : of->need_given  ? of->need_vectors
                                    : INV_NEED_DEFAULT;
    answer->asks = space != 0 && most > 0;
    if (!answer->asks)
        return INV_OK;
    if (most > answer->list_count)
        most = answer->list_count;
    answer->need =
        inv_arena_alloc(gallery->arena, (most + 1) * sizeof *answer->need);
    if (answer->need == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu hits", most);
    for (size_t i = 0; i < answer->list_count && answer->need_count < most;
         i++) {
        const struct inv_hit *hit = &answer->list[i];
        size_t p, e;
        int64_t doc = view->parts[hit->part].entries->items[hit->entry].doc;
        if (!inv_view_find_doc(view, space, doc, &p, &e))
            answer->need[answer->need_count++] = *hit;
    }
    return INV_OK;
}
