/*
 * search_lanes.c: the spaces that a search goes through, and the query as it is
 * in each: as given in its own, carried over by a bridge in the others. And one
 * list out of theirs: scores of different spaces are not comparable, so those
 * of the smaller lists are carried onto the scale of the gallery's first.
 * (Ranks alone, as in reciprocal rank fusion, are no way out: the lists hold
 * different documents, and with 90 % of them in one list R@1 was .018.)
 */
#include "server/search.h"

#include "base/kernels.h"

#include <math.h>
#include <string.h>

/* ---- opening ---- */

/* Documents that are found in a space. */
static size_t home_of(const struct inv_searching *s, int64_t space) {
    size_t home = 0;
    for (size_t i = 0; i < s->view->count; i++)
        if (inv_part_space(&s->view->parts[i]) == space)
            home += s->plan->parts[i].live;
    return home;
}

/* The query, over the lane's bridge. Single: renormalised for cosine. Tokens
 * keep their norms, which are their weights. */
static enum inv_status carry_query(struct inv_searching *lane,
                                   const struct inv_matrix *query,
                                   struct inv_err *err) {
    const struct inv_adapter *adapter = lane->bridge->adapter;
    const struct inv_settings *settings = lane->settings;
    struct inv_adapter_parts parts = inv_adapter_parts(adapter);
    size_t dim = settings->dim;
    if (parts.rows != dim)
        return inv_fail(err, INV_DIMENSION,
                        "the adapter gives %zu dimensions, %s has %zu",
                        parts.rows, lane->space->name, dim);
    float *y = inv_arena_alloc(lane->arena, query->rows * dim * sizeof *y);
    if (y == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    enum inv_status status =
        settings->multi
            ? inv_adapter_apply_tokens(adapter, query->data, query->rows,
                                       query->dim, y, err)
            : inv_adapter_apply(adapter, query->data, query->rows, query->dim,
                                y, err);
    if (!settings->multi && settings->metric == INV_COSINE && !parts.normalise)
        inv_normalize_f32(y, dim);
    lane->query =
        (struct inv_matrix){.data = y, .rows = query->rows, .dim = dim};
    return status;
}

/* The plan of another lane than the gallery's. */
static enum inv_status give_plan(struct inv_searching *lane,
                                 const struct inv_searching *gallery,
                                 struct inv_err *err) {
    lane->plan = inv_arena_calloc(lane->arena, 1, sizeof *lane->plan);
    if (lane->plan == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a plan");
    lane->plan->parts = gallery->plan->parts;
    return INV_OK;
}

static enum inv_status no_bridge(const struct inv_space *from,
                                 const struct inv_space *to,
                                 struct inv_err *err) {
    enum inv_status status =
        inv_fail(err, INV_SPACE_MISMATCH,
                 "there is no adapter from %s to %s, which the gallery holds: "
                 "fit one, or ask with vectors of %s",
                 from->name, to->name, to->name);
    inv_err_at(err, "/model");
    return status;
}

/* The next lane: it has `home` documents to find. */
static enum inv_status open_lane(struct inv_lanes *lanes,
                                 const struct inv_searching *gallery,
                                 const struct inv_space *space, size_t home,
                                 const struct inv_space *model,
                                 const struct inv_matrix *query,
                                 struct inv_lane *report, struct inv_err *err) {
    size_t at = lanes->count++;
    struct inv_searching *lane = &lanes->items[at];
    bool own = space == model;
    *lane = *gallery;
    lane->space = space;
    lane->settings = &space->settings->settings;
    lane->query = *query;
    if (own)
        lanes->own = lane;
    else
        lane->bridge =
            inv_models_bridge(gallery->models, model->space, space->space);
    bool reachable = own || lane->bridge != NULL;
    *report = (struct inv_lane){.space = space,
                                .bridge = lane->bridge,
                                .home = home,
                                .unreachable = !reachable};
    if (at == 0 && !reachable)
        return no_bridge(model, space, err);
    lanes->searched[at] = reachable && (at == 0 || home > 0);
    if (!lanes->searched[at])
        return INV_OK;
    enum inv_status status = INV_OK;
    if (at > 0)
        status = give_plan(lane, gallery, err);
    if (status == INV_OK && !own)
        status = carry_query(lane, query, err);
    report->plan = lane->plan;
    return status;
}

enum inv_status
inv_lanes_open(struct inv_lanes *lanes, const struct inv_searching *gallery,
               const struct inv_space *model, const struct inv_matrix *query,
               struct inv_search_answer *answer, struct inv_err *err) {
    const struct inv_models *models = gallery->models;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < models->space_count; i++) {
        const struct inv_space *space = &models->spaces[i];
        size_t home = home_of(gallery, space->space);
        if (i > 0 && space != model && home == 0)
            continue;
        status = open_lane(lanes, gallery, space, home, model, query,
                           &answer->lanes[lanes->count], err);
        answer->lane_count = lanes->count;
    }
    return status;
}

/* ---- one list ---- */

/* How the scores of a lane become those of a list in another space. Two
 * sources. What is known beforehand: the bridges' score maps, fitted with the
 * adapter; without them, how the query scores documents at large in both
 * spaces. And what this list tells: its documents that the lane's space holds
 * too, by mean and deviation; few of them are noisy, so they weigh as much as
 * what is known beforehand when there are COVERED_HALF of them.
 *
 * Measured on SciFact, nDCG@10 of three upgrades with 2, 10, 50, 90 % of the
 * documents in the new space only (e5 -> l6, procrustes; bridge alone .478):
 *   maps alone                   .475 .459 .552 .627
 *   10 of the list's 100 alone   .483 .482 .547 .592
 *   both                         .486 .482 .575 .628
 *   documents at large, 256      .485 .487 .573 .633
 *   documents at large, 64       .478 .467 .549 .627
 *   best scores of both lists    .390 .422 .558 .573
 *   scores as they are           .473 .451 .386 .258
 * l3 -> l6 and l6 -> e5 rank them alike, except that maps
 * are ahead of documents at large there (.450 against .431 at 10 %, l6 -> e5).
 */
#define COVERED_HALF 10
#define BACKGROUND 256
#define BACKGROUND_MULTI 64 /* MaxSim is some hundred times a product */
#define BACKGROUND_MIN 16

/* The first entry of a part whose number is `vseq` or more. */
static size_t entry_from(const struct inv_part *part, uint64_t vseq) {
    size_t low = 0;
    size_t high = part->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (part->entries->items[middle].vseq < vseq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The lane's live vector with the smallest number from *vseq on, which gets it;
 * false: there is none. Numbers, not places: they are the same whatever
 * segments the vectors lie in, so an answer is too. */
static bool live_from(const struct inv_searching *lane, uint64_t *vseq,
                      struct inv_hit *out) {
    const struct inv_view *view = lane->view;
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        if (!inv_in_lane(lane, part))
            continue;
        size_t e = inv_bitset_next(part->live->set, part->count,
                                   entry_from(part, *vseq));
        if (e >= part->count || part->entries->items[e].vseq >= best)
            continue;
        best = part->entries->items[e].vseq;
        *out = (struct inv_hit){.part = (uint32_t)i, .entry = (uint32_t)e};
    }
    *vseq = best;
    return best != UINT64_MAX;
}

static uint64_t last_live(const struct inv_searching *lane) {
    uint64_t last = 0;
    for (size_t i = 0; i < lane->view->count; i++) {
        const struct inv_part *part = &lane->view->parts[i];
        size_t e = inv_in_lane(lane, part) ? part->count : 0;
        while (e > 0 && !inv_bitset_has(part->live->set, e - 1))
            e--;
        if (e > 0 && part->entries->items[e - 1].vseq > last)
            last = part->entries->items[e - 1].vseq;
    }
    return last;
}

static enum inv_status background(struct inv_searching *lane,
                                  struct inv_score_moments *out,
                                  struct inv_err *err) {
    struct inv_hit hits[BACKGROUND];
    size_t wanted = lane->settings->multi ? BACKGROUND_MULTI : BACKGROUND;
    size_t count = 0, damaged = 0;
    uint64_t first = 0;
    uint64_t last = last_live(lane);
    uint64_t next = 0; /* number that may be taken */
    bool more = live_from(lane, &first, &hits[0]);
    for (size_t j = 0; more && j < wanted; j++) {
        uint64_t vseq = first + (2 * j + 1) * (last - first) / (2 * wanted);
        vseq = vseq < next ? next : vseq;
        more = live_from(lane, &vseq, &hits[count]);
        count += more;
        next = vseq + 1;
    }
    enum inv_status status = inv_search_score(
        lane, (uint32_t)lane->settings->dim, hits, count, &damaged, err);
    *out = (struct inv_score_moments){.count = 0};
    for (size_t i = 0; status == INV_OK && i < count; i++)
        if (!isnan(hits[i].score))
            inv_score_moments_add(out, (double)hits[i].score);
    return status;
}

/* What is known beforehand of a lane's scores. */
struct prior {
    enum inv_carry kind;
    const struct inv_bridge *from, *to; /* MAP: NULL where the space is the
                                           query's own */
    struct inv_scale scale;             /* BACKGROUND */
};

static double expect(const struct prior *prior, double score) {
    if (prior->kind == INV_CARRY_BACKGROUND)
        return inv_scale_apply(&prior->scale, score);
    if (prior->kind != INV_CARRY_MAP)
        return score;
    if (prior->from != NULL)
        score = inv_score_map_invert(&prior->from->scores, score);
    if (prior->to != NULL)
        score = inv_score_map_apply(&prior->to->scores, score);
    return score;
}

static bool has_map(const struct inv_bridge *bridge) {
    return bridge == NULL || bridge->scores.count > 0;
}

/* native: the list's scores are of the query's own space, so the background to
 * compare with is that space's, whichever documents the list holds. */
static enum inv_status find_prior(const struct inv_lanes *lanes,
                                  struct inv_searching *lane,
                                  struct inv_searching *list, bool native,
                                  struct prior *out, struct inv_err *err) {
    const struct inv_bridge *to = native ? NULL : list->bridge;
    struct inv_searching *reference = native ? lanes->own : list;
    struct inv_score_moments here, there;
    *out =
        (struct prior){.kind = INV_CARRY_MAP, .from = lane->bridge, .to = to};
    if (has_map(lane->bridge) && has_map(to))
        return INV_OK;
    out->kind = INV_CARRY_NONE;
    enum inv_status status = background(lane, &here, err);
    if (status == INV_OK)
        status = background(reference, &there, err);
    if (status != INV_OK || here.count < BACKGROUND_MIN ||
        there.count < BACKGROUND_MIN)
        return status;
    out->kind = INV_CARRY_BACKGROUND;
    out->scale = inv_scale_between(&here, &there);
    return INV_OK;
}

static enum inv_status carry_hits(struct inv_lanes *lanes,
                                  struct inv_searching *lane,
                                  struct inv_searching *list, bool native,
                                  struct inv_lane *report,
                                  struct inv_err *err) {
    bool own = lane == lanes->own;
    struct inv_scale scale = {.count = 0};
    struct prior prior;
    enum inv_status status = INV_OK;
    if (own && native)
        return INV_OK;
    if (own && lanes->cascaded)
        scale = lanes->scale;
    else
        status = inv_cascade_scale(lane, list, &scale, err);
    if (status == INV_OK)
        status = find_prior(lanes, lane, list, native, &prior, err);
    if (status != INV_OK)
        return status;
    report->carry = prior.kind;
    report->covered = scale.count;
    double weight = (double)scale.count / (double)(scale.count + COVERED_HALF);
    if (prior.kind == INV_CARRY_NONE && scale.count > 0)
        weight = 1;
    for (size_t i = 0; i < lane->count; i++) {
        double score = (double)lane->hits[i].score;
        double expected = expect(&prior, score);
        if (scale.count > 0)
            expected += weight * (inv_scale_apply(&scale, score) - expected);
        lane->hits[i].score = (float)expected;
    }
    return INV_OK;
}

/* The list whose scale is kept: the gallery's, unless it is empty. */
static struct inv_searching *leading(struct inv_lanes *lanes) {
    if (lanes->items[0].count > 0)
        return &lanes->items[0];
    if (lanes->own->count > 0)
        return lanes->own;
    for (size_t i = 1; i < lanes->count; i++)
        if (lanes->items[i].count > 0)
            return &lanes->items[i];
    return &lanes->items[0];
}

enum inv_status inv_lanes_merge(struct inv_lanes *lanes, size_t want,
                                struct inv_search_answer *answer,
                                struct inv_err *err) {
    struct inv_searching *gallery = &lanes->items[0];
    struct inv_searching *list = leading(lanes);
    bool native = list == lanes->own || (list == gallery && lanes->native);
    size_t total = 0;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < lanes->count; i++) {
        struct inv_searching *lane = &lanes->items[i];
        answer->lanes[i].hits = lane->count;
        total += lane->count;
        if (lane != list && lane->count > 0)
            status =
                carry_hits(lanes, lane, list, native, &answer->lanes[i], err);
    }
    if (status != INV_OK)
        return status;
    if (total == gallery->count) {
        if (gallery->count > want)
            gallery->count = want;
        return INV_OK;
    }
    struct inv_hit *all = inv_arena_alloc(gallery->arena, total * sizeof *all);
    if (all == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu hits", total);
    size_t count = 0;
    for (size_t i = 0; i < lanes->count; i++) {
        const struct inv_searching *lane = &lanes->items[i];
        if (lane->count > 0)
            memcpy(all + count, lane->hits, lane->count * sizeof *all);
        count += lane->count;
    }
    inv_hits_best(gallery->view, all, &count, want);
    gallery->hits = all;
    gallery->count = count;
    return INV_OK;
}
