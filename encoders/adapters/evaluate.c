/*
 * evaluate.c: fits every method on everything and on what each fold leaves,
 * and judges it by retrieval; see evaluate.h. Held out: no query is judged by
 * a fit that saw one of its relevant documents, neither as positive nor as
 * negative nor as vector pair, nor a query that shares one. One thread a call.
 */
#include "base/clock.h"
#include "base/rng.h"
#include "encoders/adapters/evaluate_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRIFT_ITEMS 500 /* held-out pairs of a fold that are measured */
#define DRIFT_TOKENS 5000
#define PART_MIN 10 /* covered documents that a ranking of ten needs */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static double seconds_since(uint64_t start) {
    return (double)(inv_now_ns() - start) / 1e9;
}

/* ---- fitted on everything ---- */

/* read: how long the pairs took, which every method needs. */
static enum inv_status fit_on_all(struct inv_fit_trial *j,
                                  const struct inv_fit_source *source,
                                  double read, struct inv_fit_result *result,
                                  struct inv_err *err) {
    struct inv_fit_fitted fitted;
    uint64_t start = inv_now_ns();
    enum inv_status status =
        inv_fit_method_run(source, &result->method, j->watch, &fitted, err);
    result->seconds = read + seconds_since(start);
    if (result->choice.steps == 0)
        result->choice = fitted.choice;
    result->r = fitted.map.r;
    result->condition = fitted.map.condition;
    result->knob = fitted.map.knob;
    result->pairs = source->rows;
    result->relevance_pairs = fitted.relevance_pairs;
    if (status == INV_OK)
        status = inv_fit_backward(source, &result->method, &fitted,
                                  &result->backward, err);
    if (status == INV_OK)
        status = inv_fit_tell(j->watch, 1, 1, err);
    if (status == INV_OK)
        status = inv_fit_forward(source, &result->method, &fitted,
                                 &result->forward, &result->forward_r, err);
    inv_fit_fitted_release(&fitted);
    return status;
}

/* ---- held out ---- */

static size_t mark(const struct inv_fit_trial *j, uint32_t document) {
    size_t fresh = !j->excluded[document];
    j->excluded[document] = true;
    return fresh;
}

/* Marks what a fit that judges a fold (INV_FIT_FOLDS: everything) may not see;
 * how many documents. */
static size_t leave_out(struct inv_fit_trial *j, size_t fold) {
    const struct inv_fit_judged *judged = &j->judged;
    size_t count = 0;
    memset(j->excluded, 0, j->data->documents * sizeof *j->excluded);
    for (size_t q = 0; q < judged->count; q++) {
        if (fold != INV_FIT_FOLDS && j->fold[q] != fold)
            continue;
        if (judged->proxy) {
            count += mark(j, judged->query[q]);
            continue;
        }
        for (size_t i = judged->whole.start[q]; i < judged->whole.start[q + 1];
             i++)
            count += mark(j, judged->whole.document[i]);
    }
    return count;
}

/* Judged queries that are fitted on go by their first document, so that queries
 * that share it are judged together and a fold loses few others. */
static void assign_folds(struct inv_fit_trial *j) {
    const struct inv_fit_judged *judged = &j->judged;
    size_t count = judged->count;
    size_t covered = 0;
    leave_out(j, INV_FIT_FOLDS);
    for (size_t i = 0; i < j->data->documents; i++)
        covered += j->excluded[i] && inv_fit_covered(j->data, i);
    bool at_once = !judged->any_fitted && covered * 5 <= judged->covered_count;
    size_t folds = at_once ? 1 : smaller(INV_FIT_FOLDS, count);
    j->report->folds = folds;
    for (size_t f = 0; f < folds; f++)
        for (size_t q = count * f / folds; q < count * (f + 1) / folds; q++)
            j->fold[q] = (uint8_t)f;
    for (size_t q = 0; q < count && judged->any_fitted; q++) {
        struct inv_stream stream;
        uint32_t first = UINT32_MAX;
        for (size_t i = judged->whole.start[q]; i < judged->whole.start[q + 1];
             i++)
            if (judged->whole.document[i] < first)
                first = judged->whole.document[i];
        inv_stream_init(&stream, j->options->seed, "fit.fold", first);
        j->fold[q] = (uint8_t)inv_stream_below(&stream, (uint32_t)folds);
    }
}

/* <B x, y> of the pairs of one document. room: x, y and B x of `longest` rows.
 */
static enum inv_status drift_of(const struct inv_fit_trial *j, size_t document,
                                const struct inv_adapter *adapter,
                                size_t longest, float *room,
                                struct inv_fit_drift *drift,
                                struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    float *y = room + longest * d->new_dim;
    float *out = y + longest * d->old_dim;
    size_t rows = inv_fit_item_copy(d, document, room, y);
    enum inv_status status =
        inv_adapter_apply(adapter, room, rows, d->new_dim, out, err);
    for (size_t r = 0; r < rows && status == INV_OK; r++) {
        double cosine = inv_fit_cosine(out + r * d->old_dim, y + r * d->old_dim,
                                       d->old_dim);
        drift->sum += cosine;
        drift->squares += cosine * cosine;
        drift->count++;
    }
    return status;
}

/* Pairs of the documents that this fold's fit did not see; of its queries where
 * no such document has a new vector. */
static enum inv_status measure_drift(const struct inv_fit_trial *j, size_t fold,
                                     const struct inv_adapter *adapter,
                                     const float *mapped,
                                     struct inv_fit_drift *drift,
                                     struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    size_t items = 0, longest = 1, before = drift->count;
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < d->documents; i++)
        if (j->excluded[i] && inv_fit_item_rows(d, i) > longest)
            longest = inv_fit_item_rows(d, i);
    float *room =
        malloc(longest * (d->new_dim + 2 * d->old_dim) * sizeof *room);
    if (room == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                        longest);
    size_t most = j->options->keep_vectors ? 0 : DRIFT_ITEMS;
    for (size_t i = 0; i < d->documents && status == INV_OK && items < most;
         i++) {
        if (!j->excluded[i] || !inv_fit_covered(d, i) ||
            drift->count - before > DRIFT_TOKENS)
            continue;
        status = drift_of(j, i, adapter, longest, room, drift, err);
        items++;
    }
    if (drift->count == before)
        inv_fit_drift_queries(j, mapped, fold, drift);
    free(room);
    return status;
}

static enum inv_status fit_one_fold(struct inv_fit_trial *j, size_t fold,
                                    size_t method,
                                    const struct inv_fit_source *source,
                                    struct inv_err *err) {
    const struct inv_fit_method *what = &j->report->results[method].method;
    struct inv_fit_fitted fitted;
    struct inv_adapter *adapter = NULL;
    enum inv_status status =
        inv_fit_method_run(source, what, j->watch, &fitted, err);
    if (j->report->results[method].choice.steps == 0)
        j->report->results[method].choice = fitted.choice;
    if (status == INV_OK)
        status = inv_fit_backward(source, what, &fitted, &adapter, err);
    if (status == INV_OK)
        status = inv_fit_map_queries(j, adapter, fold, j->held[method], err);
    if (status == INV_OK)
        status = measure_drift(j, fold, adapter, j->held[method],
                               &j->drift[method], err);
    inv_adapter_free(adapter);
    inv_fit_fitted_release(&fitted);
    return status;
}

static enum inv_status fit_folds(struct inv_fit_trial *j, struct inv_err *err) {
    struct inv_fit_report *report = j->report;
    enum inv_status status = INV_OK;
    assign_folds(j);
    for (size_t f = 0; f < report->folds && status == INV_OK; f++) {
        struct inv_fit_source source;
        size_t left_out = leave_out(j, f);
        if (left_out > report->left_out)
            report->left_out = left_out;
        if (left_out == 0) /* nobody drew this fold */
            continue;
        inv_fit_stage(j->watch, "held out, part %zu of %zu: reading pairs",
                      f + 1, report->folds);
        status = inv_fit_source_init(&source, j->data, j->options, j->excluded,
                                     false, j->watch, err);
        for (size_t i = 0; i < report->count && status == INV_OK; i++) {
            inv_fit_stage(j->watch, "%s: held out, part %zu of %zu",
                          report->results[i].method.name, f + 1, report->folds);
            source.chosen = &report->results[i].choice;
            status = fit_one_fold(j, f, i, &source, err);
        }
        inv_fit_source_release(&source);
    }
    return status;
}

/* ---- everything ---- */

/* The first held-out fit chooses, where there is something to be chosen
 * (contrastive: temperature and stop): so the choice has seen nothing of what
 * judges it, and is made once, for it takes twice as long as a fit. */
static enum inv_status fit_all(struct inv_fit_trial *j, struct inv_err *err) {
    struct inv_fit_report *report = j->report;
    struct inv_fit_source source;
    uint64_t start = inv_now_ns();
    inv_fit_stage(j->watch, "reading pairs");
    enum inv_status status = inv_fit_source_init(&source, j->data, j->options,
                                                 NULL, true, j->watch, err);
    report->pairs = source.document_pairs;
    report->extra_pairs = source.query_pairs;
    double read = seconds_since(start);
    if (status == INV_OK)
        status = fit_folds(j, err);
    for (size_t i = 0; i < report->count && status == INV_OK; i++) {
        struct inv_fit_result *result = &report->results[i];
        inv_fit_stage(j->watch, "%s: fitting", result->method.name);
        source.chosen = &result->choice;
        status = fit_on_all(j, &source, read, result, err);
        if (status == INV_OK)
            status = inv_fit_judge_in_fit(j, result, err);
    }
    inv_fit_source_release(&source);
    return status;
}

/* ---- which one ---- */

/* Simplest first: procrustes, growing kappa, ridge, then what descends. */
static double complexity(const struct inv_fit_method *method) {
    switch (method->kind) {
    case INV_ADAPTER_PROCRUSTES:
        return 0;
    case INV_ADAPTER_PATH:
        return method->knob;
    case INV_ADAPTER_RIDGE:
        return 100;
    default:
        return 200 + (double)method->kind;
    }
}

/* The simplest one that is not worse than the best beyond noise: the interval
 * of the difference holds 0. Among equally simple ones the better. */
static enum inv_status choose(struct inv_fit_trial *j, struct inv_err *err) {
    struct inv_fit_report *report = j->report;
    size_t best = 0;
    for (size_t i = 1; i < report->count; i++)
        if (report->results[i].held_out.mean >
            report->results[best].held_out.mean)
            best = i;
    report->chosen = best;
    for (size_t i = 0; i < report->count; i++) {
        struct inv_interval interval;
        for (size_t q = 0; q < j->judged.count; q++)
            j->gain[q] = report->results[best].held_out.ndcg[q] -
                         report->results[i].held_out.ndcg[q];
        enum inv_status status =
            inv_bootstrap(j->gain, j->judged.count, INV_GATE_DRAWS,
                          j->options->seed, &interval, err);
        if (status != INV_OK)
            return status;
        if (interval.low <= 0 &&
            complexity(&report->results[i].method) <
                complexity(&report->results[report->chosen].method))
            report->chosen = i;
    }
    return INV_OK;
}

/* ---- all of it ---- */

static void count_what_is_there(struct inv_fit_trial *j) {
    const struct inv_fit_data *d = j->data;
    struct inv_fit_report *r = j->report;
    r->multi = d->multi;
    r->provisional = j->judged.proxy;
    r->old_dim = d->old_dim;
    r->new_dim = d->new_dim;
    r->documents = d->documents;
    r->covered = j->judged.covered_count;
    r->queries = j->judged.count;
    r->covered_queries = inv_fit_part(j)->measured;
    for (size_t q = 0; q < d->queries; q++) {
        size_t count;
        inv_fit_relevant(d, q, &count);
        r->titles += count > 0 && inv_fit_query_fits(d, q, NULL);
    }
    for (size_t i = 0; i < j->judged.count; i++)
        r->unseen_queries += !j->judged.proxy && d->unseen != NULL &&
                             d->unseen[j->judged.query[i]];
    /* Nine documents rank nothing, one query tells nothing. */
    size_t deepest = inv_fit_cascade_depths[INV_FIT_CASCADES - 1];
    j->part =
        inv_fit_part(j)->measured >= 2 && inv_fit_part(j)->count >= PART_MIN;
    j->part_depth = smaller(inv_fit_part(j)->count, deepest);
    j->depth =
        j->judged.same ? j->part_depth : smaller(d->documents, INV_JUDGE_DEPTH);
}

static enum inv_status run(struct inv_fit_trial *j,
                           const struct inv_fit_method *methods, size_t count,
                           struct inv_err *err) {
    enum inv_status status = inv_fit_check(j->data, err);
    if (status == INV_OK && (count < 1 || count > INV_FIT_METHODS_MAX))
        status = inv_fail(err, INV_INVALID, "1 to %d methods, not %zu",
                          INV_FIT_METHODS_MAX, count);
    for (size_t i = 0; i < count && status == INV_OK; i++)
        status = inv_fit_method_check(j->data, &methods[i], err);
    if (status == INV_OK)
        status =
            inv_fit_judged_init(&j->judged, j->data, j->options, j->watch, err);
    if (status != INV_OK)
        return status;
    j->report->count = count;
    for (size_t i = 0; i < count; i++)
        j->report->results[i].method = methods[i];
    count_what_is_there(j);
    status = inv_fit_trial_reserve(j, count, err);
    if (status == INV_OK)
        status = inv_fit_judge_models(j, err);
    if (status == INV_OK)
        status = fit_all(j, err);
    for (size_t i = 0; i < count && status == INV_OK; i++)
        status = inv_fit_judge_held_out(j, i, err);
    return status == INV_OK ? choose(j, err) : status;
}

enum inv_status inv_fit_judge(
    const struct inv_fit_data *data, const struct inv_fit_method *methods,
    size_t count, const struct inv_fit_options *options,
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total),
    void *ctx, struct inv_fit_report *report, struct inv_err *err) {
    struct inv_fit_watch watch = {.progress = progress, .ctx = ctx};
    struct inv_fit_trial j = {
        .data = data, .options = options, .watch = &watch, .report = report};
    *report = (struct inv_fit_report){.count = 0};
    enum inv_status status = run(&j, methods, count, err);
    inv_fit_trial_release(&j);
    return status;
}

void inv_fit_report_release(struct inv_fit_report *report) {
    free(report->old_old.ndcg);
    free(report->none.ndcg);
    free(report->old_covered.ndcg);
    free(report->new_new.ndcg);
    for (size_t i = 0; i < report->count; i++) {
        inv_adapter_free(report->results[i].backward);
        inv_adapter_free(report->results[i].forward);
        free(report->results[i].in_fit.ndcg);
        free(report->results[i].held_out.ndcg);
        free(report->results[i].held_out_covered.ndcg);
    }
    *report = (struct inv_fit_report){.count = 0};
}
