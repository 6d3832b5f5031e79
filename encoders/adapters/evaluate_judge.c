/*
 * evaluate_judge.c: the quality of models, bridges and cascades on the queries
 * and galleries of a judgement, and what the gate says of it; see
 * evaluate_internal.h. Knows no fit. One thread a call.
 */
#include "encoders/adapters/evaluate_internal.h"

#include "base/kernels.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 3 /* of the documents that are re-embedded, per coverage */
/* Scores that calibrate: 400,000 give .9999 a tail of 40. */
#define SCORE_QUERIES 200
#define SCORE_DOCUMENTS 2000
#define SCORE_QUERIES_MULTI 30
#define SCORE_DOCUMENTS_MULTI 300

const size_t inv_fit_cascade_depths[INV_FIT_CASCADES] = {50, 100, 200};
const double inv_fit_coverages[INV_FIT_COVERAGES] = {0, .1, .25, .5, .75, 1};

static double mean_of(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

static enum inv_status no_memory(size_t count, struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory judging %zu queries",
                    count);
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

const struct inv_fit_view *inv_fit_part(const struct inv_fit_trial *j) {
    return j->judged.same ? &j->judged.whole : &j->judged.part;
}

/* For one method each. */
static bool reserve_held(struct inv_fit_trial *j, size_t methods,
                         size_t mapped) {
    bool ok = true;
    for (size_t i = 0; i < methods; i++) {
        j->held[i] = calloc(mapped, sizeof *j->held[i]);
        ok = ok && j->held[i] != NULL;
    }
    return ok;
}

static bool reserve_lists(struct inv_fit_trial *j, size_t lists) {
    j->ids = malloc(lists * sizeof *j->ids);
    j->again = malloc(lists * sizeof *j->again);
    j->scores = malloc(lists * sizeof *j->scores);
    j->fresh = malloc(lists * sizeof *j->fresh);
    return j->ids != NULL && j->again != NULL && j->scores != NULL &&
           j->fresh != NULL;
}

static bool reserve_measures(struct inv_fit_trial *j, size_t queries) {
    j->recall = malloc(queries * sizeof *j->recall);
    j->cascaded = malloc(queries * sizeof *j->cascaded);
    j->gain = malloc(queries * sizeof *j->gain);
    j->fold = calloc(queries, sizeof *j->fold);
    return j->recall != NULL && j->cascaded != NULL && j->gain != NULL &&
           j->fold != NULL;
}

static bool reserve_documents(struct inv_fit_trial *j, size_t documents) {
    j->excluded = calloc(documents, sizeof *j->excluded);
    j->covered = calloc(documents, sizeof *j->covered);
    return j->excluded != NULL && j->covered != NULL;
}

enum inv_status inv_fit_trial_reserve(struct inv_fit_trial *j, size_t methods,
                                      struct inv_err *err) {
    const struct inv_fit_queries *new = &j->judged.new_queries;
    size_t queries = j->judged.count;
    size_t depth = j->depth > j->part_depth ? j->depth : j->part_depth;
    size_t mapped = new->start[queries] * j->data->old_dim;
    j->mapped = malloc(mapped * sizeof *j->mapped);
    j->scratch = malloc(depth * sizeof *j->scratch);
    j->best = malloc(inv_fit_longest(new) * sizeof *j->best);
    if (j->mapped == NULL || j->scratch == NULL || j->best == NULL ||
        !reserve_held(j, methods, mapped) ||
        !reserve_lists(j, queries * depth) || !reserve_measures(j, queries) ||
        !reserve_documents(j, j->data->documents))
        return no_memory(queries, err);
    return INV_OK;
}

void inv_fit_trial_release(struct inv_fit_trial *j) {
    inv_fit_judged_release(&j->judged);
    free(j->mapped);
    for (size_t i = 0; i < INV_FIT_METHODS_MAX; i++)
        free(j->held[i]);
    free(j->ids);
    free(j->again);
    free(j->scores);
    free(j->fresh);
    free(j->recall);
    free(j->scratch);
    free(j->cascaded);
    free(j->gain);
    free(j->excluded);
    free(j->covered);
    free(j->fold);
    free(j->best);
}

/* ---- one system ---- */

/* Measures that mean something, to the front: those of queries that have an
 * answer in the view. */
static size_t compact(const struct inv_fit_view *view, double *values) {
    size_t count = 0;
    for (size_t i = 0; i < view->judged.queries; i++)
        if (view->start[i + 1] > view->start[i])
            values[count++] = values[i];
    return count;
}

static double unseen_of(const struct inv_fit_trial *j,
                        const struct inv_fit_view *view, const double *ndcg) {
    double sum = 0;
    size_t count = 0, at = 0;
    if (j->data->unseen == NULL || j->judged.proxy)
        return 0;
    for (size_t i = 0; i < j->judged.count; i++) {
        if (view->start[i + 1] == view->start[i])
            continue;
        bool unseen = j->data->unseen[j->judged.query[i]];
        sum += unseen ? ndcg[at] : 0;
        count += unseen;
        at++;
    }
    return count > 0 ? sum / (double)count : 0;
}

static enum inv_status quality_of(struct inv_fit_trial *j,
                                  const struct inv_fit_view *view, size_t depth,
                                  struct inv_fit_quality *q,
                                  struct inv_err *err) {
    q->ndcg = malloc(j->judged.count * sizeof *q->ndcg);
    if (q->ndcg == NULL)
        return no_memory(j->judged.count, err);
    inv_judge_measure(j->ids, depth, &view->judged, q->ndcg, j->recall);
    q->count = compact(view, q->ndcg);
    q->mean = mean_of(q->ndcg, q->count);
    q->recall = mean_of(j->recall, compact(view, j->recall));
    q->unseen = unseen_of(j, view, q->ndcg);
    return INV_OK;
}

static enum inv_status
judge_plain(struct inv_fit_trial *j, const struct inv_fit_view *view,
            enum inv_fit_side side, const struct inv_fit_queries *queries,
            struct inv_fit_quality *quality, struct inv_err *err) {
    size_t depth = smaller(view->count, INV_JUDGE_DEPTH);
    enum inv_status status =
        inv_fit_rank(j->data, view, side, queries, queries->rows, depth, j->ids,
                     NULL, j->watch, err);
    return status == INV_OK ? quality_of(j, view, depth, quality, err) : status;
}

/* What needs no adapter. */
enum inv_status inv_fit_judge_models(struct inv_fit_trial *j,
                                     struct inv_err *err) {
    struct inv_fit_report *report = j->report;
    const struct inv_fit_view *part = inv_fit_part(j);
    inv_fit_stage(j->watch, "the old model on its vectors");
    enum inv_status status =
        judge_plain(j, &j->judged.whole, INV_FIT_OLD, &j->judged.old_queries,
                    &report->old_old, err);
    if (status == INV_OK && j->data->old_dim == j->data->new_dim) {
        inv_fit_stage(j->watch, "new queries on old vectors");
        status = judge_plain(j, &j->judged.whole, INV_FIT_OLD,
                             &j->judged.new_queries, &report->none, err);
    }
    if (status != INV_OK || !j->part)
        return status;
    inv_fit_stage(j->watch, "the new model on its vectors");
    status = judge_plain(j, part, INV_FIT_OLD, &j->judged.old_queries,
                         &report->old_covered, err);
    if (status == INV_OK)
        status = judge_plain(j, part, INV_FIT_NEW, &j->judged.new_queries,
                             &report->new_new, err);
    return status;
}

/* ---- one adapter ---- */

/* The queries of one fold (of any, with fold INV_FIT_FOLDS) into the old space,
 * runs of neighbours at once. */
enum inv_status inv_fit_map_queries(const struct inv_fit_trial *j,
                                    const struct inv_adapter *adapter,
                                    size_t fold, float *mapped,
                                    struct inv_err *err) {
    const struct inv_fit_queries *q = &j->judged.new_queries;
    enum inv_status status = INV_OK;
    size_t to = 0;
    for (size_t from = 0; from < q->count && status == INV_OK; from = to) {
        bool wanted = fold == INV_FIT_FOLDS || j->fold[from] == fold;
        for (to = from + 1; to < q->count; to++)
            if ((fold == INV_FIT_FOLDS || j->fold[to] == fold) != wanted)
                break;
        if (!wanted)
            continue;
        const float *in = q->rows + q->start[from] * q->dim;
        float *out = mapped + q->start[from] * j->data->old_dim;
        size_t rows = q->start[to] - q->start[from];
        status =
            j->data->multi
                ? inv_adapter_apply_tokens(adapter, in, rows, q->dim, out, err)
                : inv_adapter_apply(adapter, in, rows, q->dim, out, err);
    }
    return status;
}

/* Ranks mapped queries in the old space. With `lists`, long lists with the new
 * model's scores beside them, for cascades. */
static enum inv_status bridge(struct inv_fit_trial *j,
                              const struct inv_fit_view *view,
                              const float *mapped, size_t depth, bool lists,
                              struct inv_err *err) {
    const struct inv_fit_queries *queries = &j->judged.new_queries;
    enum inv_status status =
        inv_fit_rank(j->data, view, INV_FIT_OLD, queries, mapped, depth, j->ids,
                     j->scores, j->watch, err);
    for (size_t q = 0; q < queries->count && status == INV_OK && lists; q++) {
        for (size_t i = 0; i < depth; i++)
            j->fresh[q * depth + i] = (double)inv_fit_score(
                j->data, INV_FIT_NEW, queries, queries->rows, q,
                j->ids[q * depth + i], j->best);
        status = inv_fit_tell(j->watch, q, queries->count, err);
    }
    return status;
}

/* Mean nDCG@10 of the cascade over the first n of the bridge's lists; of each
 * query in j->cascaded. */
static double cascade(struct inv_fit_trial *j, size_t n, const bool *covered) {
    const struct inv_fit_view *part = inv_fit_part(j);
    size_t depth = smaller(n, j->part_depth);
    for (size_t i = 0; i < j->judged.count; i++) {
        uint32_t *list = j->again + i * depth;
        memcpy(list, j->ids + i * j->part_depth, depth * sizeof *list);
        inv_judge_cascade(j->fresh + i * j->part_depth, covered,
                          j->scores + i * j->part_depth, depth, list,
                          j->scratch);
    }
    inv_judge_measure(j->again, depth, &part->judged, j->cascaded, NULL);
    return mean_of(j->cascaded, compact(part, j->cascaded));
}

static void cover(struct inv_fit_trial *j, double share, uint64_t draw) {
    for (size_t i = 0; i < j->data->documents; i++) {
        struct inv_stream stream;
        inv_stream_init(&stream, j->options->seed + draw, "fit.cover", i);
        j->covered[i] = inv_stream_uniform(&stream) < share;
    }
}

static void judge_coverages(struct inv_fit_trial *j,
                            struct inv_fit_result *result) {
    for (size_t c = 0; c < INV_FIT_COVERAGES; c++) {
        double sum = 0;
        size_t draws =
            inv_fit_coverages[c] > 0 && inv_fit_coverages[c] < 1 ? DRAWS : 1;
        for (size_t draw = 0; draw < draws; draw++) {
            cover(j, inv_fit_coverages[c], draw);
            sum += cascade(j, j->part_depth, j->covered);
        }
        result->coverage[c] = sum / (double)draws;
    }
}

/* ---- one method ---- */

double inv_fit_cosine(const float *a, const float *b, size_t dim) {
    double aa = (double)inv_dot_f32(a, a, dim);
    double bb = (double)inv_dot_f32(b, b, dim);
    return aa > 0 && bb > 0
               ? (double)inv_dot_f32(a, b, dim) / sqrt(aa) / sqrt(bb)
               : 0;
}

/* Adds cosines of mapped and old queries (of one fold; INV_FIT_FOLDS: of all),
 * where both have the same rows. */
void inv_fit_drift_queries(const struct inv_fit_trial *j, const float *mapped,
                           size_t fold, struct inv_fit_drift *drift) {
    const struct inv_fit_queries *new = &j->judged.new_queries;
    const struct inv_fit_queries *old = &j->judged.old_queries;
    for (size_t q = 0; q < new->count; q++) {
        size_t rows = new->start[q + 1] - new->start[q];
        if (rows != old->start[q + 1] - old->start[q] ||
            (fold != INV_FIT_FOLDS && j->fold[q] != fold))
            continue;
        for (size_t i = 0; i < rows; i++) {
            double cosine = inv_fit_cosine(
                mapped + (new->start[q] + i) * old->dim,
                old->rows + (old->start[q] + i) * old->dim, old->dim);
            drift->sum += cosine;
            drift->squares += cosine * cosine;
            drift->count++;
        }
    }
}

enum inv_status inv_fit_judge_in_fit(struct inv_fit_trial *j,
                                     struct inv_fit_result *result,
                                     struct inv_err *err) {
    struct inv_fit_drift drift = {0, 0, 0};
    enum inv_status status =
        inv_fit_map_queries(j, result->backward, INV_FIT_FOLDS, j->mapped, err);
    if (status == INV_OK)
        status = bridge(j, &j->judged.whole, j->mapped, j->depth,
                        j->judged.same, err);
    if (status == INV_OK)
        status =
            quality_of(j, &j->judged.whole, j->depth, &result->in_fit, err);
    if (status == INV_OK && j->part && !j->judged.same)
        status =
            bridge(j, &j->judged.part, j->mapped, j->part_depth, true, err);
    for (size_t c = 0; c < INV_FIT_CASCADES && status == INV_OK && j->part; c++)
        result->cascade[c] = cascade(j, inv_fit_cascade_depths[c], NULL);
    if (status == INV_OK)
        inv_fit_drift_queries(j, j->mapped, INV_FIT_FOLDS, &drift);
    result->cosine = drift.count > 0 ? drift.sum / (double)drift.count : 0;
    return status;
}

/* New-space and bridge scores of the same queries and covered documents. */
static enum inv_status calibrate(struct inv_fit_trial *j, size_t method,
                                 struct inv_err *err) {
    const struct inv_fit_view *part = inv_fit_part(j);
    const struct inv_fit_queries *queries = &j->judged.new_queries;
    bool multi = j->data->multi;
    size_t asked =
        smaller(queries->count, multi ? SCORE_QUERIES_MULTI : SCORE_QUERIES);
    size_t listed =
        smaller(part->count, multi ? SCORE_DOCUMENTS_MULTI : SCORE_DOCUMENTS);
    size_t count = 0;
    double *new = malloc((asked * listed + 1) * sizeof *new);
    double *old = malloc((asked * listed + 1) * sizeof *old);
    enum inv_status status = INV_OK;
    if (new == NULL || old == NULL)
        status = no_memory(asked, err);
    for (size_t i = 0; i < asked && status == INV_OK; i++) {
        size_t q = i * queries->count / asked;
        for (size_t k = 0; k < listed; k++) {
            size_t at = k * part->count / listed;
            size_t document = part->which != NULL ? part->which[at] : at;
            new[count] =
                (double)inv_fit_score(j->data, INV_FIT_NEW, queries,
                                      queries->rows, q, document, j->best);
            old[count++] =
                (double)inv_fit_score(j->data, INV_FIT_OLD, queries,
                                      j->held[method], q, document, j->best);
        }
        status = inv_fit_tell(j->watch, i, asked, err);
    }
    if (status == INV_OK)
        inv_score_map_quantiles(&j->report->results[method].scores, new, old,
                                count);
    free(new);
    free(old);
    return status;
}

/* The two versions against each other: average compatibility and metric, what
 * of the new model's gain arrives, what the old one found and the bridge loses.
 */
static void compare(struct inv_fit_trial *j, struct inv_fit_result *result) {
    const struct inv_fit_report *report = j->report;
    const struct inv_fit_quality *held = &result->held_out_covered;
    double matrix[4] = {report->old_covered.mean, 0, held->mean,
                        report->new_new.mean};
    inv_compatibility(matrix, 2, &result->ac, &result->am);
    result->update_gain = inv_update_gain(held->mean, report->old_covered.mean,
                                          report->new_new.mean);
    result->flips =
        inv_negative_flips(report->old_covered.ndcg, held->ndcg,
                           smaller(held->count, report->old_covered.count));
}

/* Each judged query's slice, in the order of the judged; NULL: none. */
static enum inv_status slices_of(const struct inv_fit_trial *j,
                                 uint32_t **slice, struct inv_err *err) {
    *slice = NULL;
    if (j->data->slice == NULL || j->judged.proxy)
        return INV_OK;
    *slice = malloc(j->judged.count * sizeof **slice);
    if (*slice == NULL)
        return no_memory(j->judged.count, err);
    for (size_t i = 0; i < j->judged.count; i++)
        (*slice)[i] = j->data->slice[j->judged.query[i]];
    return INV_OK;
}

static enum inv_status pass_gate(struct inv_fit_trial *j,
                                 struct inv_fit_result *result,
                                 struct inv_err *err) {
    const struct inv_fit_report *report = j->report;
    uint32_t *slice;
    enum inv_status status = slices_of(j, &slice, err);
    struct inv_gate_input input = {
        .cross = result->held_out.ndcg,
        .old_old = report->old_old.ndcg,
        .queries = j->judged.count,
        .break_even = 2,
        .slice = slice,
        .slices = j->data->slices,
        .margin = j->options->margin,
        .proxy = j->judged.proxy,
        .seed = j->options->seed,
    };
    if (j->part) {
        cascade(j, j->part_depth, NULL);
        input.new_new = report->new_new.ndcg;
        input.old_covered = report->old_covered.ndcg;
        input.covered_queries = report->new_new.count;
        input.cascade = j->cascaded;
        input.estimated = report->covered < report->documents;
        input.break_even =
            input.estimated
                ? inv_break_even_whole(
                      inv_fit_coverages, result->coverage, INV_FIT_COVERAGES,
                      report->old_covered.mean, report->old_old.mean,
                      result->held_out.mean)
                : inv_break_even(inv_fit_coverages, result->coverage,
                                 INV_FIT_COVERAGES, report->old_covered.mean);
    }
    if (status == INV_OK)
        status = inv_gate_judge(&input, &result->gate, err);
    free(slice);
    return status;
}

enum inv_status inv_fit_judge_held_out(struct inv_fit_trial *j, size_t method,
                                       struct inv_err *err) {
    struct inv_fit_result *result = &j->report->results[method];
    const struct inv_fit_view *whole = &j->judged.whole;
    const struct inv_fit_drift *drift = &j->drift[method];
    inv_fit_stage(j->watch, "%s: judging", result->method.name);
    enum inv_status status =
        bridge(j, whole, j->held[method], j->depth, j->judged.same, err);
    if (status == INV_OK)
        status = quality_of(j, whole, j->depth, &result->held_out, err);
    if (status == INV_OK && j->part && !j->judged.same)
        status = bridge(j, inv_fit_part(j), j->held[method], j->part_depth,
                        true, err);
    if (status == INV_OK && j->part)
        status = quality_of(j, inv_fit_part(j), j->part_depth,
                            &result->held_out_covered, err);
    if (status == INV_OK && j->part) {
        judge_coverages(j, result);
        compare(j, result);
        status = calibrate(j, method, err);
    }
    if (drift->count > 0) {
        double n = (double)drift->count;
        double variance = drift->squares / n - drift->sum / n * drift->sum / n;
        result->fit_mean = drift->sum / n;
        result->fit_deviation = variance > 0 ? sqrt(variance) : 0;
        result->fit_count = drift->count;
    }
    return status == INV_OK ? pass_gate(j, result, err) : status;
}
