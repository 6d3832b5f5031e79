/*
 * gate.c: see gate.h. Knows numbers, not vectors.
 */
#include "encoders/adapters/gate.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define Z95 1.959963985 /* of a two-sided 95 % interval */
#define Z80 .841621234  /* above which a normal number is in 20 % of cases */

const char *inv_verdict_name(enum inv_verdict verdict) {
    static const char *const names[] = {"ACTIVATE", "CASCADE_ONLY", "REFUSE"};
    return names[verdict];
}

static int ascending(const void *a, const void *b) {
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double mean_of(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

enum inv_status inv_bootstrap(const double *values, size_t count, size_t draws,
                              uint64_t seed, struct inv_interval *interval,
                              struct inv_err *err) {
    *interval = (struct inv_interval){0, 0, 0};
    if (count == 0 || draws == 0)
        return INV_OK;
    double *means = malloc(draws * sizeof *means);
    if (means == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu draws", draws);
    for (size_t d = 0; d < draws; d++) {
        struct inv_stream stream;
        double sum = 0;
        inv_stream_init(&stream, seed, "bootstrap", d);
        for (size_t i = 0; i < count; i++)
            sum += values[inv_stream_below(&stream, (uint32_t)count)];
        means[d] = sum / (double)count;
    }
    qsort(means, draws, sizeof *means, ascending);
    interval->mean = mean_of(values, count);
    interval->low = means[(size_t)(.025 * (double)(draws - 1) + .5)];
    interval->high = means[(size_t)(.975 * (double)(draws - 1) + .5)];
    free(means);
    return INV_OK;
}

/* ---- the verdict ---- */

/* Queries with which four samples of five would have their whole interval above
 * -margin if the mean gain is what it seems; 0 when that is not above it. Where
 * the half-width just equals the distance, only every second one would
 * (bench_gate). */
static size_t needed(const double *gains, size_t count, double mean,
                     double margin) {
    double sum = 0;
    double distance = mean + margin;
    if (distance <= 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        sum += (gains[i] - mean) * (gains[i] - mean);
    double deviation = sqrt(sum / (double)(count - 1));
    double n = ceil(pow((Z95 + Z80) * deviation / distance, 2));
    return n < 1e9 ? (size_t)n : (size_t)1e9;
}

static enum inv_status worst_slice(const struct inv_gate_input *in,
                                   const double *gains, double *worst,
                                   struct inv_err *err) {
    *worst = 0;
    if (in->slice == NULL)
        return INV_OK;
    double *sums = calloc(in->slices + 1, sizeof *sums);
    size_t *counts = calloc(in->slices + 1, sizeof *counts);
    enum inv_status status = INV_OK;
    if (sums == NULL || counts == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu slices",
                          in->slices);
    for (size_t i = 0; i < in->queries && status == INV_OK; i++) {
        if (in->slice[i] >= in->slices) {
            status = inv_fail(err, INV_INVALID,
                              "query %zu is of slice %u, there are %zu", i,
                              in->slice[i], in->slices);
            break;
        }
        sums[in->slice[i]] += gains[i];
        counts[in->slice[i]]++;
    }
    for (size_t s = 0; s < in->slices && status == INV_OK; s++)
        if (counts[s] > 0 && sums[s] / (double)counts[s] < *worst)
            *worst = sums[s] / (double)counts[s];
    free(sums);
    free(counts);
    return status;
}

static bool may_activate(const struct inv_gate_input *in,
                         const struct inv_gate *gate) {
    return !in->proxy && gate->gain.low >= -in->margin &&
           gate->worst_slice >= -INV_GATE_SLICE_LOSS;
}

static void activate(const struct inv_gate_input *in, struct inv_gate *gate) {
    gate->verdict = INV_VERDICT_ACTIVATE;
    gate->queries_needed = 0;
    snprintf(gate->reason, sizeof gate->reason,
             "the bridge changes nDCG@10 by %+.3f, with 95 %% certainty by no "
             "less than %+.3f (margin -%.3f)",
             gate->gain.mean, gate->gain.low, in->margin);
}

static void cascade_only(const struct inv_gate_input *in, double cascade,
                         double old_old, struct inv_gate *gate) {
    gate->verdict = INV_VERDICT_CASCADE_ONLY;
    const char *why = in->proxy ? "no judged queries were given"
                      : gate->worst_slice < -INV_GATE_SLICE_LOSS
                          ? "a slice of the queries loses too much"
                          : "the bridge alone may lose more than the margin";
    snprintf(gate->reason, sizeof gate->reason,
             "%s (gain %+.3f, no less than %+.3f); the cascade gives %.3f "
             "against %.3f of the old model%s %.0f %% re-embedded documents on",
             why, gate->gain.mean, gate->gain.low, cascade, old_old,
             in->estimated ? " among the documents that have new vectors; over "
                             "all of them it should be no worse from about"
                           : " and is no worse from",
             100 * gate->break_even);
}

static void refuse(const struct inv_gate_input *in, double new_new,
                   double old_old, struct inv_gate *gate) {
    gate->verdict = INV_VERDICT_REFUSE;
    if (in->new_new != NULL && new_new <= old_old)
        snprintf(gate->reason, sizeof gate->reason,
                 "the new model is not better here: %.3f against %.3f of the "
                 "old one, each on its own vectors",
                 new_new, old_old);
    else if (gate->queries_needed > in->queries)
        snprintf(gate->reason, sizeof gate->reason,
                 "too few queries: the gain is %+.3f +- %.3f with %zu; about "
                 "%zu are needed to tell it from -%.3f in four cases of five",
                 gate->gain.mean, gate->half_width, in->queries,
                 gate->queries_needed, in->margin);
    else
        snprintf(gate->reason, sizeof gate->reason,
                 "a re-index is needed: the bridge changes nDCG@10 by %+.3f "
                 "(%+.3f to %+.3f) and no cascade over it makes that good",
                 gate->gain.mean, gate->gain.low, gate->gain.high);
}

static void decide(const struct inv_gate_input *in, struct inv_gate *gate) {
    bool part = in->covered_queries > 0;
    size_t count = part ? in->covered_queries : in->queries;
    double old = mean_of(part ? in->old_covered : in->old_old, count);
    double new = in->new_new != NULL ? mean_of(in->new_new, count) : 0;
    double cascade = in->cascade != NULL ? mean_of(in->cascade, count) : 0;
    if (may_activate(in, gate))
        activate(in, gate);
    else if (in->new_new != NULL && in->cascade != NULL && cascade > old &&
             cascade >= INV_GATE_CASCADE_SHARE * new && gate->break_even <= 1)
        cascade_only(in, cascade, old, gate);
    else
        refuse(in, new, old, gate);
}

enum inv_status inv_gate_judge(const struct inv_gate_input *input,
                               struct inv_gate *gate, struct inv_err *err) {
    struct inv_gate g = {.break_even = input->break_even};
    if (input->queries < 2)
        return inv_fail(err, INV_INVALID,
                        "a verdict needs at least 2 judged queries, got %zu",
                        input->queries);
    double *gains = malloc(input->queries * sizeof *gains);
    if (gains == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                        input->queries);
    for (size_t i = 0; i < input->queries; i++)
        gains[i] = input->cross[i] - input->old_old[i];
    enum inv_status status = inv_bootstrap(
        gains, input->queries, INV_GATE_DRAWS, input->seed, &g.gain, err);
    if (status == INV_OK)
        status = worst_slice(input, gains, &g.worst_slice, err);
    if (status == INV_OK) {
        g.half_width = (g.gain.high - g.gain.low) / 2;
        g.queries_needed =
            needed(gains, input->queries, g.gain.mean, input->margin);
        decide(input, &g);
        *gate = g;
    }
    free(gains);
    return status;
}

/* ---- other measures ---- */

double inv_break_even(const double *coverage, const double *quality,
                      size_t count, double wanted) {
    size_t i = count;
    while (i > 0 && quality[i - 1] >= wanted)
        i--;
    if (i == count)
        return 2;
    if (i == 0)
        return coverage[0];
    double share = (wanted - quality[i - 1]) / (quality[i] - quality[i - 1]);
    return coverage[i - 1] + share * (coverage[i] - coverage[i - 1]);
}

double inv_break_even_whole(const double *coverage, const double *quality,
                            size_t count, double old_part, double old_whole,
                            double bridge) {
    double first = quality[0];
    double last = quality[count - 1];
    if (old_part <= 0)
        return 2;
    double end = last * old_whole / old_part;
    if (end < old_whole)
        return 2;
    if (bridge >= old_whole)
        return coverage[0];
    double share = (old_whole - bridge) / (end - bridge);
    if (last <= first)
        return coverage[0] + share * (coverage[count - 1] - coverage[0]);
    return inv_break_even(coverage, quality, count,
                          first + share * (last - first));
}

void inv_compatibility(const double *matrix, size_t t, double *ac, double *am) {
    size_t better = 0, pairs = 0, cells = 0;
    double sum = 0;
    for (size_t i = 0; i < t; i++)
        for (size_t j = 0; j <= i; j++) {
            sum += matrix[i * t + j];
            cells++;
            if (j == i)
                continue;
            pairs++;
            better += matrix[i * t + j] > matrix[j * t + j];
        }
    *ac = pairs > 0 ? (double)better / (double)pairs : 0;
    *am = cells > 0 ? sum / (double)cells : 0;
}

double inv_update_gain(double cross, double old_old, double new_new) {
    double room = new_new - old_old;
    return fabs(room) > 1e-12 ? (cross - old_old) / room : 0;
}

double inv_negative_flips(const double *before, const double *after,
                          size_t queries) {
    size_t flips = 0;
    for (size_t i = 0; i < queries; i++)
        flips += before[i] > 0 && after[i] <= 0;
    return queries > 0 ? (double)flips / (double)queries : 0;
}
