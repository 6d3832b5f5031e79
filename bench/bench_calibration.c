/*
 * bench_calibration.c: how many documents must be embedded with the new model
 * before an adapter is good, and which ones: drawn uniformly, or by leverage
 * (sampling.h) over the old vectors, as GET .../calibration does. nDCG@10 of
 * new queries on the old gallery and the mean cosine of B x and y over the
 * documents that were not drawn; mean and standard deviation of five seeds.
 */
#include "bench/upgrade.h"
#include "encoders/adapters/sampling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 5
#define COUNTS 5

static const size_t counts[COUNTS] = {100, 250, 500, 1000, 2000};
static const struct upgrade_method methods[] = {
    {"procrustes", INV_ADAPTER_PROCRUSTES, 0},
    {"path .1", INV_ADAPTER_PATH, .1},
    {"ridge .01", INV_ADAPTER_RIDGE, .01},
};
#define METHODS (sizeof methods / sizeof *methods)

static void sample(const struct upgrade *u, int leverage, size_t want,
                   uint64_t seed, uint32_t *rows) {
    const struct inv_matrix *old = &u->old_documents;
    struct inv_err err;
    if (leverage)
        upgrade_must(inv_sample_leverage(old->data, old->rows, old->dim, want,
                                         seed, rows, &err),
                     &err);
    else
        inv_sample_uniform(old->rows, want, seed, rows);
}

static double retrieve(const struct upgrade *u, const struct inv_map *map) {
    double *ndcg = upgrade_reserve(u->judged.queries, sizeof *ndcg);
    float *queries = upgrade_apply(map, &u->new_queries);
    uint32_t *ids = upgrade_rank(queries, u->judged.queries, &u->old_documents,
                                 INV_JUDGE_DEPTH, NULL);
    double mean = upgrade_ndcg(u, ids, INV_JUDGE_DEPTH, ndcg);
    free(ids);
    free(queries);
    free(ndcg);
    return mean;
}

/* Mean cosine over the documents that rows (ascending) does not name. */
static double others(const struct upgrade *u, const struct inv_map *map,
                     const uint32_t *rows, size_t count) {
    const struct inv_matrix *x = &u->new_documents, *y = &u->old_documents;
    size_t rest = 0, at = 0;
    float *a = upgrade_reserve(x->rows * x->dim, sizeof *a);
    float *b = upgrade_reserve(y->rows * y->dim, sizeof *b);
    double cosine = 0;
    struct inv_err err;
    for (size_t i = 0; i < x->rows; i++) {
        if (at < count && rows[at] == i) {
            at++;
            continue;
        }
        memcpy(a + rest * x->dim, x->data + i * x->dim, x->dim * sizeof *a);
        memcpy(b + rest * y->dim, y->data + i * y->dim, y->dim * sizeof *b);
        rest++;
    }
    if (rest > 0)
        upgrade_must(inv_map_cosine(map, a, b, rest, &cosine, &err), &err);
    free(a);
    free(b);
    return cosine;
}

static void row(const struct upgrade *u, const struct upgrade_method *method,
                size_t count) {
    double ndcg[2][SEEDS], cosine[2][SEEDS];
    uint32_t *rows = upgrade_reserve(count, sizeof *rows);
    for (int leverage = 0; leverage < 2; leverage++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct upgrade_fit how = {.rows = rows, .count = count};
            sample(u, leverage, count, seed, rows);
            struct inv_map map = upgrade_fit(u, method, &how);
            ndcg[leverage][seed] = retrieve(u, &map);
            cosine[leverage][seed] = others(u, &map, rows, count);
            inv_map_release(&map);
        }
    printf("  %-11s %5zu", method->name, count);
    for (int leverage = 0; leverage < 2; leverage++)
        printf("   %.4f +- %.4f", upgrade_mean(ndcg[leverage], SEEDS),
               upgrade_deviation(ndcg[leverage], SEEDS));
    printf("  %+.4f   %.4f %.4f\n",
           upgrade_mean(ndcg[1], SEEDS) - upgrade_mean(ndcg[0], SEEDS),
           upgrade_mean(cosine[0], SEEDS), upgrade_mean(cosine[1], SEEDS));
    fflush(stdout);
    free(rows);
}

static void table(const char *set, const char *old, const char *new) {
    struct upgrade u;
    upgrade_open(&u, set, old, new);
    printf("%s, %s -> %s: %zu documents\n  %-11s %5s   %-16s   %-16s  %-7s   "
           "%s\n",
           set, old, new, u.new_documents.rows, "", "pairs", "uniform",
           "leverage", "differs", "cosine of the others");
    for (size_t m = 0; m < METHODS; m++) {
        for (size_t c = 0; c < COUNTS; c++)
            if (counts[c] < u.new_documents.rows)
                row(&u, &methods[m], counts[c]);
        struct upgrade_fit how = {.count = 0};
        struct inv_map map = upgrade_fit(&u, &methods[m], &how);
        printf("  %-11s %5zu   %.4f\n", methods[m].name, u.new_documents.rows,
               retrieve(&u, &map));
        inv_map_release(&map);
    }
    puts("");
    upgrade_close(&u);
}

int main(void) {
    table("scifact", "minilm-l3", "minilm-l6");
    table("cranfield", "minilm-l3", "minilm-l6");
    table("scifact", "e5-small", "minilm-l6");
    return EXIT_SUCCESS;
}
