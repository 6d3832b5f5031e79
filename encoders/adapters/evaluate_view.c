/*
 * evaluate_view.c: which queries are judged on which galleries, and exact
 * ranking there, of single vectors by inner product and of tokens by MaxSim;
 * see evaluate_internal.h. Knows no adapter. One thread a call.
 */
#include "encoders/adapters/evaluate_internal.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/topk.h"

#include <stdlib.h>
#include <string.h>

#define JUDGED_SINGLE 1000 /* queries, unless more are asked for */
#define JUDGED_MULTI 100
#define PROXY_SINGLE 300
#define PROXY_MULTI 30
#define PROXY_MIN 11
/* A document that stands in for a query asks with this many of its tokens: it
 * has ten times as many as a query, and MaxSim costs by them. */
#define PROXY_TOKENS 32
/* Between two looks at the clock: 64 queries against 100,000 vectors of 384
 * dimensions take .1 s, 256 documents of 200 tokens 10 ms. */
#define QUERIES_AT_ONCE 64
#define DOCUMENTS_AT_ONCE 256

static enum inv_status no_memory(size_t count, struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory judging %zu queries",
                    count);
}

/* ---- sampling ---- */

static int ascending(const void *a, const void *b) {
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* `count` of items[0 .. from) at random to the front, ascending. */
static void draw(uint32_t *items, size_t from, size_t count, uint64_t seed,
                 const char *purpose) {
    struct inv_stream stream;
    inv_stream_init(&stream, seed, purpose, 0);
    for (size_t i = 0; i < count; i++) {
        size_t j = i + inv_stream_below(&stream, (uint32_t)(from - i));
        uint32_t keep = items[i];
        items[i] = items[j];
        items[j] = keep;
    }
    qsort(items, count, sizeof *items, ascending);
}

/* ---- queries ---- */

static void queries_release(struct inv_fit_queries *queries) {
    free(queries->rows);
    free(queries->start);
    *queries = (struct inv_fit_queries){NULL, NULL, 0, 0};
}

size_t inv_fit_longest(const struct inv_fit_queries *queries) {
    size_t longest = 1;
    for (size_t i = 0; i < queries->count; i++) {
        size_t rows = queries->start[i + 1] - queries->start[i];
        longest = rows > longest ? rows : longest;
    }
    return longest;
}

/* Where query (or document) `at` of one model lies. */
static const float *single_at(const struct inv_fit_data *d, bool document,
                              bool old, size_t at) {
    if (document)
        return old ? d->old_documents + at * d->old_dim
                   : d->new_documents + at * d->new_dim;
    return old ? d->old_queries + at * d->old_dim
               : d->new_queries + at * d->new_dim;
}

static const struct inv_codes *tokens_at(const struct inv_fit_data *d,
                                         bool document, bool old, size_t at) {
    if (document)
        return old ? &d->old_tokens[at] : &d->new_tokens[at];
    return old ? &d->old_query_tokens[at] : &d->new_query_tokens[at];
}

static size_t rows_of(const struct inv_fit_judged *j, bool old, size_t i) {
    if (!j->data->multi)
        return 1;
    size_t rows = tokens_at(j->data, j->proxy, old, j->query[i])->rows;
    return j->proxy && rows > PROXY_TOKENS ? (size_t)PROXY_TOKENS : rows;
}

/* Copies the judged queries of one model. */
static enum inv_status copy_queries(const struct inv_fit_judged *j, bool old,
                                    struct inv_fit_queries *out,
                                    struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    size_t dim = old ? d->old_dim : d->new_dim;
    *out = (struct inv_fit_queries){.count = j->count, .dim = dim};
    out->start = calloc(j->count + 1, sizeof *out->start);
    if (out->start == NULL)
        return no_memory(j->count, err);
    for (size_t i = 0; i < j->count; i++)
        out->start[i + 1] = out->start[i] + rows_of(j, old, i);
    out->rows = malloc(out->start[j->count] * dim * sizeof *out->rows);
    if (out->rows == NULL)
        return no_memory(j->count, err);
    for (size_t i = 0; i < j->count; i++) {
        float *to = out->rows + out->start[i] * dim;
        if (!d->multi)
            memcpy(to, single_at(d, j->proxy, old, j->query[i]),
                   dim * sizeof *to);
        for (size_t t = 0; t < rows_of(j, old, i) && d->multi; t++)
            inv_fit_decode(tokens_at(d, j->proxy, old, j->query[i]), t,
                           to + t * dim);
    }
    if (!inv_all_within(out->rows, out->start[j->count] * dim,
                        INV_VALUE_ABS_MAX))
        return inv_fail(err, INV_NOT_FINITE,
                        "one of %zu judged queries holds a number that is not "
                        "finite or beyond %g",
                        j->count, (double)INV_VALUE_ABS_MAX);
    return INV_OK;
}

/* ---- who is judged ---- */

static bool may_be_judged(const struct inv_fit_data *d, size_t query) {
    size_t count;
    inv_fit_relevant(d, query, &count);
    return count > 0 && inv_fit_has_old(d, query) &&
           inv_fit_use_of(d, query) != INV_FIT_USE_FIT_ONLY;
}

static enum inv_status choose_judged(struct inv_fit_judged *j,
                                     const struct inv_fit_options *options,
                                     struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    size_t most = options->judged_max;
    if (most == 0)
        most = d->multi ? JUDGED_MULTI : JUDGED_SINGLE;
    j->query = calloc(d->queries + d->documents, sizeof *j->query);
    if (j->query == NULL)
        return no_memory(d->queries, err);
    for (size_t q = 0; q < d->queries; q++)
        if (may_be_judged(d, q))
            j->query[j->count++] = (uint32_t)q;
    if (j->count > most) {
        draw(j->query, j->count, most, options->seed, "fit.judged");
        j->count = most;
    }
    for (size_t i = 0; i < j->count; i++)
        j->any_fitted =
            j->any_fitted || inv_fit_use_of(d, j->query[i]) == INV_FIT_USE_BOTH;
    return INV_OK;
}

static enum inv_status choose_covered(struct inv_fit_judged *j,
                                      struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    for (size_t i = 0; i < d->documents; i++)
        j->covered_count += inv_fit_covered(d, i);
    if (j->covered_count == d->documents)
        return INV_OK;
    j->covered = calloc(j->covered_count + 1, sizeof *j->covered);
    if (j->covered == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        j->covered_count);
    size_t count = 0;
    for (size_t i = 0; i < d->documents; i++)
        if (inv_fit_covered(d, i))
            j->covered[count++] = (uint32_t)i;
    return INV_OK;
}

/* Documents that ask in place of queries. */
static enum inv_status choose_proxy(struct inv_fit_judged *j,
                                    const struct inv_fit_options *options,
                                    struct inv_err *err) {
    size_t most = j->data->multi ? PROXY_MULTI : PROXY_SINGLE;
    size_t half = j->covered_count / 2;
    j->proxy = true;
    j->count = half < most ? half : most;
    j->any_fitted = false;
    if (j->covered_count < PROXY_MIN)
        return inv_fail(err, INV_INVALID,
                        "without judged queries, a fit is judged on documents "
                        "that have vectors of both models: at least %d are "
                        "needed, there are %zu",
                        PROXY_MIN, j->covered_count);
    for (size_t i = 0; i < j->covered_count; i++)
        j->query[i] = j->covered != NULL ? j->covered[i] : (uint32_t)i;
    draw(j->query, j->covered_count, j->count, options->seed, "fit.proxy");
    return INV_OK;
}

/* ---- views ---- */

static void view_release(struct inv_fit_view *view) {
    free(view->document);
    free(view->start);
    *view = (struct inv_fit_view){.count = 0};
}

static enum inv_status view_reserve(struct inv_fit_view *view, size_t queries,
                                    size_t answers, struct inv_err *err) {
    view->document = malloc((answers + 1) * sizeof *view->document);
    view->start = calloc(queries + 1, sizeof *view->start);
    if (view->document == NULL || view->start == NULL)
        return no_memory(queries, err);
    view->judged =
        (struct inv_judgements){view->document, view->start, queries};
    return INV_OK;
}

/* Of all documents, or of the covered ones. */
static enum inv_status view_init(const struct inv_fit_judged *j, bool covered,
                                 struct inv_fit_view *view,
                                 struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    size_t answers = 0;
    *view = (struct inv_fit_view){.which = covered ? j->covered : NULL,
                                  .count = covered ? j->covered_count
                                                   : d->documents};
    for (size_t i = 0; i < j->count; i++) {
        size_t count;
        inv_fit_relevant(d, j->query[i], &count);
        answers += count;
    }
    enum inv_status status = view_reserve(view, j->count, answers, err);
    answers = 0;
    for (size_t i = 0; i < j->count && status == INV_OK; i++) {
        size_t count;
        const uint32_t *relevant = inv_fit_relevant(d, j->query[i], &count);
        for (size_t a = 0; a < count; a++)
            if (!covered || inv_fit_covered(d, relevant[a]))
                view->document[answers++] = relevant[a];
        view->start[i + 1] = answers;
        view->measured += answers > view->start[i];
    }
    return status;
}

/* The answers are the ten neighbours in the new space; the whole is what is
 * covered, as no other document has a place there. */
static enum inv_status view_proxy(struct inv_fit_judged *j,
                                  struct inv_fit_watch *watch,
                                  struct inv_err *err) {
    struct inv_fit_view *view = &j->whole;
    *view = (struct inv_fit_view){
        .which = j->covered, .count = j->covered_count, .measured = j->count};
    enum inv_status status =
        view_reserve(view, j->count, j->count * INV_JUDGE_DEPTH, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i <= j->count; i++)
        view->start[i] = i * INV_JUDGE_DEPTH;
    inv_fit_stage(watch, "neighbours in the new space");
    return inv_fit_rank(j->data, view, INV_FIT_NEW, &j->new_queries,
                        j->new_queries.rows, INV_JUDGE_DEPTH, view->document,
                        NULL, watch, err);
}

enum inv_status inv_fit_judged_init(struct inv_fit_judged *judged,
                                    const struct inv_fit_data *data,
                                    const struct inv_fit_options *options,
                                    struct inv_fit_watch *watch,
                                    struct inv_err *err) {
    struct inv_fit_judged *j = judged;
    *j = (struct inv_fit_judged){.data = data};
    enum inv_status status = choose_judged(j, options, err);
    if (status == INV_OK)
        status = choose_covered(j, err);
    if (status == INV_OK && j->count < 2)
        status = choose_proxy(j, options, err);
    if (status == INV_OK)
        status = copy_queries(j, false, &j->new_queries, err);
    if (status == INV_OK)
        status = copy_queries(j, true, &j->old_queries, err);
    j->same = j->proxy || j->covered == NULL;
    if (status == INV_OK)
        status = j->proxy ? view_proxy(j, watch, err)
                          : view_init(j, false, &j->whole, err);
    if (status == INV_OK && !j->same)
        status = view_init(j, true, &j->part, err);
    return status;
}

void inv_fit_judged_release(struct inv_fit_judged *judged) {
    free(judged->query);
    free(judged->covered);
    queries_release(&judged->new_queries);
    queries_release(&judged->old_queries);
    view_release(&judged->whole);
    view_release(&judged->part);
}

/* ---- ranking ---- */

float inv_fit_score(const struct inv_fit_data *data, enum inv_fit_side side,
                    const struct inv_fit_queries *like, const float *rows,
                    size_t query, size_t document, float *best) {
    size_t dim = side == INV_FIT_OLD ? data->old_dim : data->new_dim;
    const float *first = rows + like->start[query] * dim;
    if (!data->multi)
        return inv_dot_f32(
            first, single_at(data, true, side == INV_FIT_OLD, document), dim);
    size_t count = like->start[query + 1] - like->start[query];
    float sum = 0;
    inv_maxsim_best(first, count,
                    tokens_at(data, true, side == INV_FIT_OLD, document), dim,
                    best);
    for (size_t i = 0; i < count; i++)
        sum += best[i];
    return sum;
}

static enum inv_status rank_single(const struct inv_fit_data *d,
                                   const struct inv_fit_view *view,
                                   enum inv_fit_side side, const float *rows,
                                   size_t count, size_t depth, uint32_t *ids,
                                   float *scores, struct inv_fit_watch *watch,
                                   struct inv_err *err) {
    size_t dim = side == INV_FIT_OLD ? d->old_dim : d->new_dim;
    const float *gallery =
        side == INV_FIT_OLD ? d->old_documents : d->new_documents;
    enum inv_status status = INV_OK;
    for (size_t at = 0; at < count && status == INV_OK; at += QUERIES_AT_ONCE) {
        size_t part =
            count - at < QUERIES_AT_ONCE ? count - at : (size_t)QUERIES_AT_ONCE;
        float *part_scores = scores != NULL ? scores + at * depth : NULL;
        if (view->which != NULL)
            status = inv_judge_rank_some(rows + at * dim, part, gallery,
                                         view->which, view->count, dim, depth,
                                         ids + at * depth, part_scores, err);
        else
            status =
                inv_judge_rank(rows + at * dim, part, gallery, view->count, dim,
                               depth, ids + at * depth, part_scores, err);
        if (status == INV_OK)
            status = inv_fit_tell(watch, at + part, count, err);
    }
    return status;
}

static enum inv_status
rank_one_multi(const struct inv_fit_data *d, const struct inv_fit_view *view,
               enum inv_fit_side side, const struct inv_fit_queries *like,
               const float *rows, size_t query, struct inv_topk *heap,
               float *best, struct inv_fit_watch *watch, struct inv_err *err) {
    for (size_t i = 0; i < view->count; i++) {
        size_t document = view->which != NULL ? view->which[i] : i;
        inv_topk_push(heap,
                      inv_fit_score(d, side, like, rows, query, document, best),
                      (uint32_t)document);
        if (i % DOCUMENTS_AT_ONCE != 0)
            continue;
        enum inv_status status = inv_fit_tell(watch, query, like->count, err);
        if (status != INV_OK)
            return status;
    }
    return INV_OK;
}

enum inv_status
inv_fit_rank(const struct inv_fit_data *data, const struct inv_fit_view *view,
             enum inv_fit_side side, const struct inv_fit_queries *like,
             const float *rows, size_t depth, uint32_t *ids, float *scores,
             struct inv_fit_watch *watch, struct inv_err *err) {
    if (!data->multi)
        return rank_single(data, view, side, rows, like->count, depth, ids,
                           scores, watch, err);
    struct inv_topk_item *items = malloc(depth * sizeof *items);
    float *best = malloc(inv_fit_longest(like) * sizeof *best);
    enum inv_status status =
        items == NULL || best == NULL ? no_memory(like->count, err) : INV_OK;
    for (size_t q = 0; q < like->count && status == INV_OK; q++) {
        struct inv_topk heap;
        inv_topk_init(&heap, items, depth);
        status = rank_one_multi(data, view, side, like, rows, q, &heap, best,
                                watch, err);
        inv_topk_sort(&heap);
        for (size_t i = 0; i < depth && status == INV_OK; i++) {
            ids[q * depth + i] = i < heap.count ? items[i].entry : 0;
            if (scores != NULL)
                scores[q * depth + i] = i < heap.count ? items[i].score : 0;
        }
    }
    free(items);
    free(best);
    return status;
}
