/*
 * search_score.c: exact scores. Multi: MaxSim of the query's tokens and the
 * stored ones. Single: the collection's metric on stored vectors, or on a
 * prefix of them (of the rotated codes where the collection rotates). Vectors
 * are read in place from the logs and segments.
 */
#include "server/search.h"

#include "base/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- order ---- */

static int compare_ids(const struct inv_view *view, const struct inv_hit *a,
                       const struct inv_hit *b) {
    const struct inv_entry *x = &view->parts[a->part].entries->items[a->entry];
    const struct inv_entry *y = &view->parts[b->part].entries->items[b->entry];
    return inv_entry_compare_ids(x, y);
}

static int best_first(const void *a, const void *b, void *view) {
    const struct inv_hit *x = a;
    const struct inv_hit *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return compare_ids(view, x, y);
}

static bool better(const struct inv_view *view, const struct inv_hit *a,
                   const struct inv_hit *b) {
    return a->score > b->score ||
           (a->score == b->score && compare_ids(view, a, b) < 0);
}

/* Restores the heap of `count` hits (worst first) below `at`. */
static void sift(const struct inv_view *view, struct inv_hit *heap,
                 size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && better(view, &heap[child], &heap[child + 1]))
            child++;
        if (!better(view, &heap[at], &heap[child]))
            return;
        struct inv_hit swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

void inv_hits_best(const struct inv_view *view, struct inv_hit *hits,
                   size_t *count, size_t keep) {
    if (keep == 0)
        *count = 0;
    if (*count > keep) {
        for (size_t i = keep / 2; i-- > 0;)
            sift(view, hits, keep, i);
        for (size_t i = keep; i < *count; i++)
            if (better(view, &hits[i], &hits[0])) {
                hits[0] = hits[i];
                sift(view, hits, keep, 0);
            }
        *count = keep;
    }
    if (*count > 1)
        qsort_r(hits, *count, sizeof *hits, best_first, (void *)(size_t)view);
}

/* ---- rescoring with kept codes ---- */

enum inv_status inv_search_rescore(struct inv_searching *s,
                                   struct inv_err *err) {
    const struct inv_view *view = s->view;
    if (!s->settings->multi)
        return INV_OK;  /* the funnel scores stored vectors at once */
    size_t certain = 0; /* no index scored them: they all go on */
    for (size_t i = 0; i < s->count; i++)
        certain += s->hits[i].score == INFINITY;
    inv_hits_best(view, s->hits, &s->count, certain + s->plan->rescore);
    for (size_t i = certain; i < s->count; i++) {
        struct inv_hit *hit = &s->hits[i];
        const struct inv_part *part = &view->parts[hit->part];
        struct inv_codes code;
        if (!inv_segment_code(part->segment, hit->entry, &code))
            continue;
        hit->score =
            inv_dot_code(inv_query_code(s, part)->code, &code, 0, code.dim);
        s->plan->rescored++;
    }
    inv_hits_best(view, s->hits, &s->count, certain + s->plan->rerank);
    return inv_search_deadline(s, err);
}

/* ---- exact scores ---- */

struct scorer {
    const struct inv_searching *s;
    uint32_t dims;
    float *best;   /* multi: one number per query token */
    float *tokens; /* multi, dims below the whole: a document in f32 */
    size_t floats; /* that fit there */
};

/* A token's length is its weight, and a prefix keeps it: the first dims of x
 * go to out, stretched to the length of the whole. Unstretched ones favour
 * tokens whose mass sits in front: nDCG@10 on SciFact (colbert-l6) .566 instead
 * of .658 at 24 of 96 dimensions, .659 instead of .676 at 48. out may be x. */
static void stretch(const float *x, size_t dim, float *out, size_t dims) {
    float whole = sqrtf(inv_dot_f32(x, x, dim));
    float left = sqrtf(inv_dot_f32(x, x, dims));
    float factor = left > 0 ? whole / left : 1;
    for (size_t i = 0; i < dims; i++)
        out[i] = x[i] * factor;
}

/* A document's tokens cut to the scorer's dims. Decoding them whole costs more
 * than the shorter products save (Cranfield, exact: 8 ms instead of 5):
 * prefixes of tokens are for judging a model, not for speed. */
static enum inv_status cut_tokens(struct scorer *scorer,
                                  struct inv_codes *tokens,
                                  struct inv_err *err) {
    size_t dim = tokens->dim;
    size_t dims = scorer->dims;
    size_t need = tokens->rows * dim;
    if (need > scorer->floats) {
        scorer->tokens = inv_arena_alloc(scorer->s->arena,
                                         2 * need * sizeof *scorer->tokens);
        scorer->floats = 2 * need;
    }
    float *rows = scorer->tokens;
    if (rows == NULL) {
        scorer->floats = 0;
        return inv_fail(err, INV_MEMORY, "out of memory for %zu tokens",
                        tokens->rows);
    }
    inv_codes_decode(tokens, rows);
    for (size_t i = 0; i < tokens->rows; i++)
        stretch(rows + i * dim, dim, rows + i * dims, dims);
    *tokens = (struct inv_codes){
        .data = rows, .dtype = INV_F32, .rows = tokens->rows, .dim = dims};
    return INV_OK;
}

static float maxsim(const struct scorer *scorer,
                    const struct inv_codes *tokens) {
    const struct inv_matrix *query = &scorer->s->query;
    const float *rows = query->data;
    inv_maxsim_best(rows, query->rows, tokens, scorer->dims, scorer->best);
    double sum = 0;
    for (size_t i = 0; i < query->rows; i++)
        sum += (double)scorer->best[i];
    if (scorer->s->settings->mean)
        sum /= (double)query->rows;
    return (float)sum;
}

/* The squares of numbers below 1e-23 are 0 in float: such vectors (or such
 * prefixes) have a direction all the same. */
#define SQUARES_MIN 1e-30f

static float small_cosine(const float *query, const float *x, size_t dims) {
    double dot = 0;
    double squares = 0;
    double of_query = 0;
    for (size_t i = 0; i < dims; i++) {
        dot += (double)query[i] * (double)x[i];
        squares += (double)x[i] * (double)x[i];
        of_query += (double)query[i] * (double)query[i];
    }
    double norms = sqrt(squares) * sqrt(of_query);
    return norms > 0 ? (float)(dot / norms) : 0;
}

static float single(const struct scorer *scorer, const float *query,
                    const float *x) {
    uint32_t dims = scorer->dims;
    enum inv_distance metric = scorer->s->settings->metric;
    if (metric == INV_L2)
        return -inv_l2sq_f32(query, x, dims);
    float dot = inv_dot_f32(query, x, dims);
    if (metric == INV_IP)
        return dot;
    float squares = inv_dot_f32(x, x, dims);
    float of_query = inv_dot_f32(query, query, dims);
    if (squares < SQUARES_MIN || of_query < SQUARES_MIN)
        return small_cosine(query, x, dims);
    return dot / (sqrtf(squares) * sqrtf(of_query));
}

/* MaxSim kernels take contiguous query rows: a shorter prefix is copied. */
static enum inv_status prefix_query(struct inv_searching *s, uint32_t dims,
                                    struct inv_err *err) {
    const struct inv_matrix whole = s->query;
    if (!s->settings->multi || dims == whole.dim)
        return INV_OK;
    float *rows = inv_arena_alloc(s->arena, whole.rows * dims * sizeof *rows);
    if (rows == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    for (size_t i = 0; i < whole.rows; i++)
        stretch(whole.data + i * whole.dim, whole.dim, rows + i * dims, dims);
    s->query.data = rows;
    s->query.dim = dims;
    return INV_OK;
}

static enum inv_status score_hit(struct scorer *scorer, struct inv_hit *hit,
                                 struct inv_err *err) {
    const struct inv_searching *s = scorer->s;
    const struct inv_part *part = &s->view->parts[hit->part];
    const float *query = s->query.data;
    struct inv_codes codes;
    bool prefix = !s->settings->multi && scorer->dims < s->settings->dim;
    if (prefix && inv_segment_code(part->segment, hit->entry, &codes)) {
        hit->score = single(scorer, inv_query_code(s, part)->code, codes.data);
        return INV_OK;
    }
    enum inv_status status = inv_vlog_get(
        s->view->logs, &part->entries->items[hit->entry].place, &codes, err);
    if (status == INV_OK && s->settings->multi && scorer->dims < codes.dim)
        status = cut_tokens(scorer, &codes, err);
    if (status != INV_OK)
        return status;
    hit->score = s->settings->multi ? maxsim(scorer, &codes)
                                    : single(scorer, query, codes.data);
    return INV_OK;
}

/* One damaged record must not take every search with it: it is no hit, and the
 * collection says it is degraded. */
static enum inv_status score_or_mark(struct scorer *scorer, struct inv_hit *hit,
                                     size_t *damaged, struct inv_err *err) {
    struct inv_err why = {0};
    enum inv_status status = score_hit(scorer, hit, &why);
    if (status == INV_OK)
        return INV_OK;
    if (status != INV_CORRUPT) {
        if (err != NULL)
            *err = why;
        return status;
    }
    inv_gallery_damaged(scorer->s->collection->gallery, why.text);
    hit->score = NAN;
    ++*damaged;
    return INV_OK;
}

/* Entries and vectors of matches lie apart: without this, scoring 10,000 of
 * 100,000 took .33 us each, with it .13. */
static void announce(const struct inv_searching *s, const struct inv_hit *hits,
                     size_t count, size_t at) {
    const struct inv_part *parts = s->view->parts;
    if (at + 16 < count) {
        const struct inv_hit *far = &hits[at + 16];
        const struct inv_entry *entry =
            &parts[far->part].entries->items[far->entry];
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + 1); /* it may straddle two lines */
    }
    if (at + 4 < count) {
        const struct inv_hit *near = &hits[at + 4];
        inv_vlog_prefetch(s->view->logs,
                          &parts[near->part].entries->items[near->entry].place);
    }
}

enum inv_status inv_search_score(struct inv_searching *s, uint32_t dims,
                                 struct inv_hit *hits, size_t count,
                                 size_t *damaged, struct inv_err *err) {
    struct inv_matrix whole = s->query;
    struct scorer scorer = {.s = s, .dims = dims};
    *damaged = 0;
    scorer.best =
        inv_arena_alloc(s->arena, s->query.rows * sizeof *scorer.best);
    enum inv_status status =
        scorer.best == NULL
            ? inv_fail(err, INV_MEMORY, "out of memory for scores")
            : prefix_query(s, dims, err);
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        announce(s, hits, count, i);
        status = score_or_mark(&scorer, &hits[i], damaged, err);
        if (status == INV_OK && i % 256 == 255)
            status = inv_search_deadline(s, err);
    }
    s->query = whole;
    return status;
}

enum inv_status inv_search_stage(struct inv_searching *s,
                                 struct inv_stage *stage, struct inv_err *err) {
    size_t damaged = 0;
    enum inv_status status =
        inv_search_score(s, stage->dims, s->hits, s->count, &damaged, err);
    if (status != INV_OK)
        return status;
    size_t kept = 0;
    for (size_t i = 0; damaged > 0 && i < s->count; i++)
        if (!isnan(s->hits[i].score))
            s->hits[kept++] = s->hits[i];
    s->count -= damaged;
    stage->scored = s->count;
    inv_hits_best(s->view, s->hits, &s->count, stage->keep);
    return inv_search_deadline(s, err);
}
