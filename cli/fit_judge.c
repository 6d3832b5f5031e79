/*
 * fit_judge.c: judges methods on retrieval, as fitted and held out; see fit.h.
 * Held out: no query is judged by a fit that saw one of its relevant documents,
 * neither as positive nor as negative nor as vector pair. Main thread.
 */
#include "base/clock.h"
#include "base/rng.h"
#include "cli/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Relevant documents are left out all at once when they are at most a fifth of
 * the gallery, else in this many parts. */
#define FOLDS 5
#define DRAWS 3 /* of the documents that are re-embedded, per coverage */

const size_t inv_fit_cascade_depths[INV_FIT_CASCADES] = {50, 100, 200};
const double inv_fit_coverages[INV_FIT_COVERAGES] = {0, .1, .25, .5, .75, 1};

struct judge {
    const struct inv_fit_data *data;
    const struct inv_fit_options *options;
    bool quiet;
    struct inv_fit_report *report;
    size_t queries, depth; /* depth: of the longest cascade */
    float *mapped;         /* queries in the old space */
    uint32_t *ids, *again; /* queries x depth */
    float *scores;
    double *recall, *scratch;
    bool *excluded, *covered; /* of documents */
    double *cascade;          /* per query, everything re-embedded */
};

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

static enum inv_status judge_init(struct judge *j, struct inv_err *err) {
    size_t documents = j->data->old_documents.rows;
    size_t deepest = inv_fit_cascade_depths[INV_FIT_CASCADES - 1];
    j->queries = j->data->judged.queries;
    j->depth = documents < deepest ? documents : deepest;
    size_t lists = j->queries * j->depth;
    j->mapped = malloc(j->queries * j->data->old_documents.dim * sizeof(float));
    j->ids = malloc(lists * sizeof *j->ids);
    j->again = malloc(lists * sizeof *j->again);
    j->scores = malloc(lists * sizeof *j->scores);
    j->recall = malloc(j->queries * sizeof *j->recall);
    j->scratch = malloc((j->depth + j->queries) * sizeof *j->scratch);
    j->excluded = calloc(documents, sizeof *j->excluded);
    j->covered = calloc(documents, sizeof *j->covered);
    j->cascade = malloc(j->queries * sizeof *j->cascade);
    if (j->mapped == NULL || j->ids == NULL || j->again == NULL ||
        j->scores == NULL || j->recall == NULL || j->scratch == NULL ||
        j->excluded == NULL || j->covered == NULL || j->cascade == NULL)
        return no_memory(j->queries, err);
    return INV_OK;
}

static void judge_release(struct judge *j) {
    free(j->mapped);
    free(j->ids);
    free(j->again);
    free(j->scores);
    free(j->recall);
    free(j->scratch);
    free(j->excluded);
    free(j->covered);
    free(j->cascade);
}

/* ---- one system ---- */

static double unseen_of(const struct inv_fit_data *d, const double *ndcg) {
    double sum = 0;
    for (size_t i = 0; i < d->judged.queries && d->unseen != NULL; i++)
        sum += d->unseen[i] ? ndcg[i] : 0;
    return d->unseen_count > 0 ? sum / (double)d->unseen_count : 0;
}

static enum inv_status quality_of(struct judge *j, const uint32_t *ids,
                                  size_t depth, struct inv_fit_quality *q,
                                  struct inv_err *err) {
    if (q->ndcg == NULL)
        q->ndcg = malloc(j->queries * sizeof *q->ndcg);
    if (q->ndcg == NULL)
        return no_memory(j->queries, err);
    inv_judge_measure(ids, depth, &j->data->judged, q->ndcg, j->recall);
    q->mean = mean_of(q->ndcg, j->queries);
    q->recall = mean_of(j->recall, j->queries);
    q->unseen = unseen_of(j->data, q->ndcg);
    return INV_OK;
}

static enum inv_status judge_plain(struct judge *j,
                                   const struct inv_matrix *queries,
                                   const struct inv_matrix *documents,
                                   struct inv_fit_quality *quality,
                                   struct inv_err *err) {
    enum inv_status status = inv_judge_rank(
        queries->data, j->queries, documents->data, documents->rows,
        documents->dim, INV_JUDGE_DEPTH, j->ids, NULL, err);
    return status == INV_OK
               ? quality_of(j, j->ids, INV_JUDGE_DEPTH, quality, err)
               : status;
}

/* ---- one map ---- */

static enum inv_status adapter_of(const struct inv_map *map,
                                  enum inv_adapter_kind kind,
                                  struct inv_adapter **out,
                                  struct inv_err *err) {
    float *w = malloc(map->rows * map->cols * sizeof *w);
    float *b = malloc(map->rows * sizeof *b);
    enum inv_status status = INV_OK;
    if (w == NULL || b == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory for an adapter");
    } else {
        inv_map_floats(map, w, b);
        struct inv_adapter_parts parts = {
            .kind = kind,
            .direction = INV_ADAPTER_BACKWARD,
            .from = "new",
            .to = "old",
            .rows = map->rows,
            .cols = map->cols,
            .matrix = w,
            .bias = b,
            .normalise = true,
        };
        status = inv_adapter_new(&parts, out, err);
    }
    free(w);
    free(b);
    return status;
}

/* The bridge's lists of the queries [from, to) into ids and scores. */
static enum inv_status bridge(struct judge *j, const struct inv_map *map,
                              enum inv_adapter_kind kind, size_t from,
                              size_t to, struct inv_err *err) {
    struct inv_adapter *adapter = NULL;
    const struct inv_matrix *old = &j->data->old_documents;
    const struct inv_matrix *queries = &j->data->new_queries;
    float *mapped = j->mapped + from * old->dim;
    enum inv_status status = adapter_of(map, kind, &adapter, err);
    if (status == INV_OK)
        status = inv_adapter_apply(adapter, queries->data + from * queries->dim,
                                   to - from, queries->dim, mapped, err);
    if (status == INV_OK)
        status = inv_judge_rank(mapped, to - from, old->data, old->rows,
                                old->dim, j->depth, j->ids + from * j->depth,
                                j->scores + from * j->depth, err);
    inv_adapter_free(adapter);
    return status;
}

/* Mean nDCG@10 of the cascade over the first n of the bridge's lists; ndcg gets
 * it per query. */
static double cascade(struct judge *j, size_t n, const bool *covered,
                      double *ndcg) {
    const struct inv_matrix *queries = &j->data->new_queries;
    size_t depth = n < j->depth ? n : j->depth;
    for (size_t i = 0; i < j->queries; i++) {
        uint32_t *list = j->again + i * depth;
        memcpy(list, j->ids + i * j->depth, depth * sizeof *list);
        inv_judge_cascade(queries->data + i * queries->dim,
                          j->data->new_documents.data, queries->dim, covered,
                          j->scores + i * j->depth, depth, list, j->scratch);
    }
    inv_judge_measure(j->again, depth, &j->data->judged, ndcg, NULL);
    return mean_of(ndcg, j->queries);
}

static void cover(struct judge *j, double share, uint64_t draw) {
    for (size_t i = 0; i < j->data->new_documents.rows; i++) {
        struct inv_stream stream;
        inv_stream_init(&stream, j->options->seed + draw, "fit.cover", i);
        j->covered[i] = inv_stream_uniform(&stream) < share;
    }
}

static void judge_coverages(struct judge *j, struct inv_fit_result *result) {
    double *ndcg = j->scratch + j->depth;
    for (size_t c = 0; c < INV_FIT_COVERAGES; c++) {
        double sum = 0;
        size_t draws =
            inv_fit_coverages[c] > 0 && inv_fit_coverages[c] < 1 ? DRAWS : 1;
        for (size_t draw = 0; draw < draws; draw++) {
            cover(j, inv_fit_coverages[c], draw);
            sum += cascade(j, j->depth, j->covered, ndcg);
        }
        result->coverage[c] = sum / (double)draws;
    }
}

/* ---- held out ---- */

static size_t mark(bool *flags, uint32_t document) {
    size_t fresh = !flags[document];
    flags[document] = true;
    return fresh;
}

/* Marks what a fit that judges the queries [from, to) may not see; how many. */
static size_t leave_out(struct judge *j, size_t from, size_t to) {
    const struct inv_fit_data *d = j->data;
    size_t count = 0;
    memset(j->excluded, 0, d->old_documents.rows * sizeof *j->excluded);
    for (size_t q = from; q < to; q++)
        if (d->proxy)
            count += mark(j->excluded, d->proxy_row[q]);
        else
            for (size_t i = d->judged_start[q]; i < d->judged_start[q + 1]; i++)
                count += mark(j->excluded, d->judged_document[i]);
    return count;
}

static enum inv_status hold_out(struct judge *j, struct inv_fit_result *result,
                                struct inv_err *err) {
    size_t all = leave_out(j, 0, j->queries);
    size_t folds = all * 5 <= j->data->old_documents.rows ? 1 : FOLDS;
    enum inv_status status = INV_OK;
    if (folds > j->queries)
        folds = j->queries;
    j->report->folds = folds;
    for (size_t f = 0; f < folds && status == INV_OK; f++) {
        struct inv_map map;
        struct inv_contrastive_choice choice;
        size_t from = j->queries * f / folds;
        size_t to = j->queries * (f + 1) / folds;
        size_t left_out = leave_out(j, from, to);
        if (left_out > j->report->left_out)
            j->report->left_out = left_out;
        status = inv_fit_run(j->data, &result->method, j->options, j->excluded,
                             &map, &choice, err);
        if (status == INV_OK)
            status = bridge(j, &map, result->method.kind, from, to, err);
        inv_map_release(&map);
    }
    return status == INV_OK
               ? quality_of(j, j->ids, j->depth, &result->held_out, err)
               : status;
}

/* ---- one method ---- */

/* The two versions against each other: average compatibility and metric, what
 * of the new model's gain arrives, what the old one found and the bridge loses.
 */
static void compare(struct judge *j, struct inv_fit_result *result) {
    const struct inv_fit_report *report = j->report;
    double cross = result->held_out.mean;
    double matrix[4] = {report->old_old.mean, 0, cross, report->new_new.mean};
    inv_compatibility(matrix, 2, &result->ac, &result->am);
    result->update_gain =
        inv_update_gain(cross, report->old_old.mean, report->new_new.mean);
    result->flips = inv_negative_flips(report->old_old.ndcg,
                                       result->held_out.ndcg, j->queries);
}

static enum inv_status pass_gate(struct judge *j, struct inv_fit_result *result,
                                 struct inv_err *err) {
    const struct inv_fit_report *report = j->report;
    cascade(j, j->depth, NULL, j->cascade);
    struct inv_gate_input input = {
        .cross = result->held_out.ndcg,
        .old_old = report->old_old.ndcg,
        .new_new = report->new_new.ndcg,
        .cascade = j->cascade,
        .queries = j->queries,
        .break_even = inv_break_even(inv_fit_coverages, result->coverage,
                                     INV_FIT_COVERAGES, report->old_old.mean),
        .margin = j->options->margin,
        .proxy = j->data->proxy,
        .seed = j->options->seed,
    };
    return inv_gate_judge(&input, &result->gate, err);
}

static enum inv_status fit_on_all(struct judge *j,
                                  struct inv_fit_result *result,
                                  struct inv_err *err) {
    const struct inv_fit_data *d = j->data;
    uint64_t start = inv_now_ns();
    enum inv_status status = inv_fit_run(d, &result->method, j->options, NULL,
                                         &result->map, &result->choice, err);
    result->seconds = (double)(inv_now_ns() - start) / 1e9;
    if (status == INV_OK)
        status = inv_map_cosine(&result->map, d->new_queries.data,
                                d->old_queries.data, j->queries,
                                &result->cosine, err);
    if (status == INV_OK)
        status =
            bridge(j, &result->map, result->method.kind, 0, j->queries, err);
    if (status == INV_OK)
        status = quality_of(j, j->ids, j->depth, &result->in_fit, err);
    if (status != INV_OK)
        return status;
    for (size_t c = 0; c < INV_FIT_CASCADES; c++)
        result->cascade[c] =
            cascade(j, inv_fit_cascade_depths[c], NULL, j->scratch + j->depth);
    return INV_OK;
}

static enum inv_status judge_method(struct judge *j,
                                    const struct inv_fit_method *method,
                                    struct inv_err *err) {
    struct inv_fit_result *result = &j->report->results[j->report->count];
    *result = (struct inv_fit_result){.method = *method};
    j->report->count++;
    if (!j->quiet)
        fprintf(stderr, "%s: fitting\n", method->name);
    enum inv_status status = fit_on_all(j, result, err);
    if (!j->quiet && status == INV_OK)
        fprintf(stderr, "%s: fitted in %.2f s, judging held out\n",
                method->name, result->seconds);
    if (status == INV_OK)
        status = hold_out(j, result, err);
    if (status != INV_OK)
        return status;
    judge_coverages(j, result);
    compare(j, result);
    return pass_gate(j, result, err);
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
static enum inv_status choose(struct judge *j, struct inv_err *err) {
    struct inv_fit_report *report = j->report;
    size_t best = 0;
    for (size_t i = 1; i < report->count; i++)
        if (report->results[i].held_out.mean >
            report->results[best].held_out.mean)
            best = i;
    report->chosen = best;
    for (size_t i = 0; i < report->count; i++) {
        struct inv_interval interval;
        for (size_t q = 0; q < j->queries; q++)
            j->cascade[q] = report->results[best].held_out.ndcg[q] -
                            report->results[i].held_out.ndcg[q];
        enum inv_status status =
            inv_bootstrap(j->cascade, j->queries, INV_GATE_DRAWS,
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

enum inv_status inv_fit_judge(const struct inv_fit_data *data,
                              const struct inv_fit_method *methods,
                              size_t count,
                              const struct inv_fit_options *options, bool quiet,
                              struct inv_fit_report *report,
                              struct inv_err *err) {
    struct judge j = {
        .data = data, .options = options, .quiet = quiet, .report = report};
    *report = (struct inv_fit_report){.count = 0};
    enum inv_status status = judge_init(&j, err);
    if (status == INV_OK)
        status = judge_plain(&j, &data->old_queries, &data->old_documents,
                             &report->old_old, err);
    if (status == INV_OK)
        status = judge_plain(&j, &data->new_queries, &data->new_documents,
                             &report->new_new, err);
    for (size_t i = 0; i < count && status == INV_OK; i++)
        status = judge_method(&j, &methods[i], err);
    if (status == INV_OK)
        status = choose(&j, err);
    judge_release(&j);
    return status;
}

void inv_fit_report_release(struct inv_fit_report *report) {
    free(report->old_old.ndcg);
    free(report->new_new.ndcg);
    for (size_t i = 0; i < report->count; i++) {
        inv_map_release(&report->results[i].map);
        free(report->results[i].in_fit.ndcg);
        free(report->results[i].held_out.ndcg);
    }
    *report = (struct inv_fit_report){.count = 0};
}
