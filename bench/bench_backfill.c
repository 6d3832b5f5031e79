/*
 * bench_backfill.c: in which order shall documents get their new vectors? A
 * sample of documents has both vectors; the adapter and the ridge model of its
 * residual are fitted on them, and the rest of the gallery is re-embedded in
 * the order of
 *   random      (mean of five draws)
 *   accesses    how often a document stood in the first 100 of a log's queries
 *   residual    how far the adapter is off, predicted from the old vector
 *   queue       their product: what GET .../backfill lists
 *   true        accesses x the residual as it is
 *   oracle      that with the accesses of the very queries that judge
 * Area under nDCG@10 of the cascade (N = 100) over coverage, from the sample's
 * to everything. Log: SciFact's training claims, which resemble some judged
 * claims (hence the unseen part besides); of Cranfield one half of the queries
 * for the other.
 */
#include "bench/coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 100
#define DRAWS 5
#define STEPS 20
#define SAMPLES 3 /* of the documents that have both vectors */
#define WAYS 6

static const char *const ways[WAYS] = {"random", "accesses", "residual",
                                       "queue",  "true",     "oracle"};

/* Sums over samples and folds, each with its share. */
struct totals {
    double start, area[WAYS], unseen[WAYS], tenth[WAYS], half[WAYS];
    double correlation;
};

/* ---- one order ---- */

struct trial {
    const struct coverage *c;
    const bool *sampled; /* documents that have a new vector from the start */
    size_t sample;
    const bool *only; /* queries that judge */
};

/* Coverage grows along the order, which the sample is skipped in. */
static double area(const struct trial *t, const uint32_t *order,
                   const bool *only, double *tenth, double *half) {
    size_t documents = t->c->u->new_documents.rows;
    size_t rest = documents - t->sample, at = 0, given = 0;
    bool *covered = upgrade_reserve(documents, sizeof *covered);
    double sum = 0;
    memcpy(covered, t->sampled, documents * sizeof *covered);
    for (size_t s = 0; s <= STEPS; s++) {
        for (; given < rest * s / STEPS; at++)
            if (!covered[order[at]]) {
                covered[order[at]] = true;
                given++;
            }
        double ndcg = coverage_cascade(t->c, covered, DEPTH, only, NULL);
        sum += s == 0 || s == STEPS ? ndcg / 2 : ndcg;
        if (s == STEPS / 10 && tenth != NULL)
            *tenth = ndcg;
        if (s == STEPS / 2 && half != NULL)
            *half = ndcg;
    }
    free(covered);
    return sum / STEPS;
}

static void follow(const struct trial *t, const uint32_t *order, size_t way,
                   double share, struct totals *totals) {
    const struct upgrade *u = t->c->u;
    double tenth, half;
    totals->area[way] += share * area(t, order, t->only, &tenth, &half);
    totals->tenth[way] += share * tenth;
    totals->half[way] += share * half;
    if (u->unseen != NULL)
        totals->unseen[way] += share * area(t, order, u->unseen, NULL, NULL);
}

/* ---- one sample ---- */

/* Rows of the queries with flags[q] as `wanted`, side by side. */
static float *some(const float *queries, const bool *flags, bool wanted,
                   size_t count, size_t dim, size_t *kept) {
    float *out = upgrade_reserve(count * dim, sizeof *out);
    *kept = 0;
    for (size_t q = 0; q < count; q++)
        if (flags[q] == wanted)
            memcpy(out + (*kept)++ * dim, queries + q * dim, dim * sizeof *out);
    return out;
}

/* log: queries in the gallery's space that were counted. */
static void orders(const struct trial *t, const float *log, size_t logged,
                   const float *judging, size_t judged, const double *residuals,
                   const double *predicted, uint64_t seed, double share,
                   struct totals *totals) {
    const struct upgrade *u = t->c->u;
    size_t documents = u->new_documents.rows;
    double *seen = coverage_accesses(u, log, logged, DEPTH);
    double *own = coverage_accesses(u, judging, judged, DEPTH);
    const double *pairs[WAYS][2] = {
        {NULL, NULL},      {seen, NULL},      {NULL, predicted},
        {seen, predicted}, {seen, residuals}, {own, residuals},
    };
    for (size_t way = 1; way < WAYS; way++) {
        uint32_t *order =
            coverage_order(pairs[way][0], pairs[way][1], documents);
        follow(t, order, way, share, totals);
        free(order);
    }
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        uint32_t *order =
            upgrade_shuffled(documents, seed * DRAWS + draw, "bench.backfill");
        follow(t, order, 0, share / DRAWS, totals);
        free(order);
    }
    free(seen);
    free(own);
}

/* Of the documents without a new vector: is the residual foreseen? */
static double foreseen(const double *residuals, const double *predicted,
                       const uint32_t *rows, size_t sample, size_t documents) {
    size_t rest = documents - sample;
    double *a = upgrade_reserve(rest, sizeof *a);
    double *b = upgrade_reserve(rest, sizeof *b);
    for (size_t i = 0; i < rest; i++) {
        a[i] = residuals[rows[sample + i]];
        b[i] = predicted[rows[sample + i]];
    }
    double correlation = coverage_correlation(a, b, rest);
    free(a);
    free(b);
    return correlation;
}

static void run(const struct upgrade *u, const struct upgrade_method *method,
                size_t sample, uint64_t seed, struct totals *totals) {
    size_t documents = u->new_documents.rows, queries = u->judged.queries;
    size_t dim = u->old_documents.dim, folds = u->new_train.rows > 0 ? 1 : 2;
    uint32_t *rows = upgrade_shuffled(documents, seed, "bench.sample");
    bool *sampled = upgrade_reserve(documents, sizeof *sampled);
    bool *only = upgrade_reserve(queries, sizeof *only);
    struct upgrade_fit how = {.rows = rows, .count = sample};
    struct inv_map map = upgrade_fit(u, method, &how);
    float *mapped = upgrade_apply(&map, &u->new_queries);
    double *residuals = coverage_residuals(u, &map);
    double *predicted = coverage_predicted(u, &map, rows, sample);
    struct coverage c;
    coverage_first(rows, sample, documents, sampled);
    coverage_open(&c, u, mapped, DEPTH);
    totals->correlation +=
        foreseen(residuals, predicted, rows, sample, documents) / SAMPLES;
    totals->start += coverage_cascade(&c, sampled, DEPTH, NULL, NULL) / SAMPLES;
    for (size_t fold = 0; fold < folds; fold++) {
        struct trial t = {&c, sampled, sample, only};
        size_t logged = u->new_train.rows, judged;
        for (size_t q = 0; q < queries; q++)
            only[q] = folds == 1 || q % 2 == fold;
        float *judging = some(mapped, only, true, queries, dim, &judged);
        float *log = folds == 1
                         ? upgrade_apply(&map, &u->new_train)
                         : some(mapped, only, false, queries, dim, &logged);
        orders(&t, log, logged, judging, judged, residuals, predicted, seed,
               1. / (double)(SAMPLES * folds), totals);
        free(judging);
        free(log);
    }
    coverage_close(&c);
    inv_map_release(&map);
    free(mapped);
    free(residuals);
    free(predicted);
    free(rows);
    free(sampled);
    free(only);
}

/* ---- tables ---- */

static void table(const char *set, const char *old, const char *new,
                  size_t sample) {
    static const struct upgrade_method methods[] = {
        {"procrustes", INV_ADAPTER_PROCRUSTES, 0},
        {"path .1", INV_ADAPTER_PATH, .1},
    };
    struct upgrade u;
    upgrade_open(&u, set, old, new);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct totals t = {.start = 0};
        for (uint64_t seed = 0; seed < SAMPLES; seed++)
            run(&u, &methods[i], sample, seed, &t);
        printf("%s, %s -> %s, %s of %zu pairs (%.0f %%): starts at %.4f; "
               "predicted and true residual, rank correlation %.2f\n",
               set, old, new, methods[i].name, sample,
               100 * (double)sample / (double)u.new_documents.rows, t.start,
               t.correlation);
        printf("  %-9s %7s %7s %9s  %7s %7s\n", "order", "area", "unseen",
               "of oracle", "at +10%", "at +50%");
        for (size_t way = 0; way < WAYS; way++) {
            double room = t.area[WAYS - 1] - t.area[0];
            printf("  %-9s %7.4f ", ways[way], t.area[way]);
            if (u.unseen != NULL)
                printf("%7.4f ", t.unseen[way]);
            else
                printf("%7s ", "-");
            printf("%7.0f %%  %7.4f %7.4f\n",
                   100 * (t.area[way] - t.area[0]) / room, t.tenth[way],
                   t.half[way]);
        }
        puts("");
        fflush(stdout);
    }
    upgrade_close(&u);
}

int main(void) {
    table("scifact", "minilm-l3", "minilm-l6", 500);
    table("cranfield", "minilm-l3", "minilm-l6", 200);
    table("scifact", "e5-small", "minilm-l6", 500);
    return EXIT_SUCCESS;
}
