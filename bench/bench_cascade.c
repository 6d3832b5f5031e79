/*
 * bench_cascade.c: the cascade while a gallery is being re-embedded: the first
 * N hits of the bridge, of which the covered ones get the new model's score.
 * nDCG@10 by N and coverage, documents covered at random (five draws) and in
 * the order of the backfill queue; where it passes the old model; how many
 * documents of the first N still lack a vector. Then the same as queries come
 * one after the other and clients post the first m vectors they are asked for.
 *
 * Adapters are fitted on all documents, without the titles of the documents
 * that answer the judged queries. N is 50, 100 and 200, or what is given in
 * place of 200. Exit code 1 when, at full coverage and the last N, the best
 * adapter of a collection stays below .99 of the new model on its own vectors,
 * or a random coverage that is shown is on average below the bridge; the lowest
 * of all coverages, every 5 %, is told besides.
 *
 * usage: bench_cascade [SET OLD NEW [N]]   scifact minilm-l3 e5-small 500
 */
#include "bench/coverage.h"
#include "encoders/adapters/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTHS 3
#define DRAWS 5
#define STEPS 21 /* coverages 0 .05 .. 1, for the break-even */
#define CALIBRATION 500
#define QUEUE_DEPTH 100 /* N of the log's searches */

static size_t depths[DEPTHS] = {50, 100, 200}; /* the last is given or 200 */
#define DEEPEST (depths[DEPTHS - 1])
static const size_t shown[] = {0, 2, 5, 10, 20}; /* of the steps */

struct curve {
    double ndcg[STEPS], missing[STEPS];
};

static size_t covered_at(size_t step, size_t documents) {
    return (documents * step + (STEPS - 1) / 2) / (STEPS - 1);
}

/* Adds share of one order's curve. */
static void follow(const struct coverage *c, const uint32_t *order, size_t n,
                   double share, struct curve *curve) {
    size_t documents = c->u->new_documents.rows;
    bool *covered = upgrade_reserve(documents, sizeof *covered);
    for (size_t s = 0; s < STEPS; s++) {
        coverage_first(order, covered_at(s, documents), documents, covered);
        curve->ndcg[s] += share * coverage_cascade(c, covered, n, NULL, NULL);
        curve->missing[s] += share * coverage_missing(c, covered, n);
    }
    free(covered);
}

static void print_curve(const char *order, size_t n, const struct curve *curve,
                        double old) {
    double at[STEPS];
    for (size_t s = 0; s < STEPS; s++)
        at[s] = (double)s / (STEPS - 1);
    double even = inv_break_even(at, curve->ndcg, STEPS, old);
    printf("    %-8s %3zu ", order, n);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        printf(" %.4f", curve->ndcg[shown[i]]);
    if (even <= 1)
        printf("  %4.0f %%  ", 100 * even);
    else
        printf("  %6s  ", "never");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        printf(" %6.0f", 100 * curve->missing[shown[i]]);
    puts("");
}

/* ---- the queue's order ---- */

/* Accesses of the log's queries (training claims, else the judged queries
 * themselves, which is said) times the residual that a ridge model predicts
 * from 500 pairs. */
static uint32_t *queue_of(const struct upgrade *u, const struct inv_map *map) {
    size_t documents = u->new_documents.rows;
    const struct inv_matrix *log =
        u->new_train.rows > 0 ? &u->new_train : &u->new_queries;
    float *queries = upgrade_apply(map, log);
    uint32_t *rows = upgrade_shuffled(documents, 7, "bench.calibration");
    double *accesses = coverage_accesses(u, queries, log->rows, QUEUE_DEPTH);
    double *predicted = coverage_predicted(u, map, rows, CALIBRATION);
    uint32_t *order = coverage_order(accesses, predicted, documents);
    free(queries);
    free(rows);
    free(accesses);
    free(predicted);
    return order;
}

/* ---- one adapter ---- */

struct outcome {
    double best_full; /* at the deepest N, everything covered */
    size_t below;     /* shown coverages whose mean is below the bridge */
    double lowest;    /* mean less bridge, of all steps */
    size_t lowest_step;
};

static void compare(const struct curve *random, double bridge,
                    struct outcome *outcome) {
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        outcome->below += random->ndcg[shown[i]] < bridge - 1e-9;
    for (size_t s = 0; s < STEPS; s++)
        if (random->ndcg[s] - bridge < outcome->lowest) {
            outcome->lowest = random->ndcg[s] - bridge;
            outcome->lowest_step = s;
        }
}

static void run(const struct upgrade *u, const struct upgrade_method *method,
                double old, struct outcome *outcome) {
    struct upgrade_fit how = {.keep_vectors = true};
    struct inv_map map = upgrade_fit(u, method, &how);
    float *mapped = upgrade_held_out(u, method, &how);
    uint32_t *queue = queue_of(u, &map);
    struct coverage c;
    coverage_open(&c, u, mapped, DEEPEST);
    printf("  %s: bridge %.4f\n", method->name, c.bridge);
    for (size_t d = 0; d < DEPTHS; d++) {
        struct curve random = {{0}, {0}}, queued = {{0}, {0}};
        for (uint64_t draw = 0; draw < DRAWS; draw++) {
            uint32_t *order =
                upgrade_shuffled(u->new_documents.rows, draw, "bench.cover");
            follow(&c, order, depths[d], 1. / DRAWS, &random);
            free(order);
        }
        follow(&c, queue, depths[d], 1, &queued);
        print_curve("random", depths[d], &random, old);
        print_curve("queue", depths[d], &queued, old);
        compare(&random, c.bridge, outcome);
        if (d == DEPTHS - 1 && random.ndcg[STEPS - 1] > outcome->best_full)
            outcome->best_full = random.ndcg[STEPS - 1];
    }
    fflush(stdout);
    coverage_close(&c);
    inv_map_release(&map);
    free(mapped);
    free(queue);
}

/* ---- queries one after the other ---- */

#define BLOCK 100

/* Queries in the gallery's space, in their order; after each the first m of its
 * first n that lack a vector get one. Then the judged queries are asked. */
static void stream(const struct upgrade *u, const struct coverage *c,
                   const float *queries, size_t count, size_t n, size_t m) {
    size_t documents = u->new_documents.rows, have = 0;
    bool *covered = upgrade_reserve(documents, sizeof *covered);
    uint32_t *ids = upgrade_rank(queries, count, &u->old_documents, n, NULL);
    size_t asked = 0, posted = 0;
    printf("    N %3zu, m %3zu:", n, m);
    for (size_t q = 0; q < count; q++) {
        size_t take = m;
        for (size_t i = 0; i < n; i++) {
            uint32_t id = ids[q * n + i];
            if (covered[id])
                continue;
            asked++;
            if (take == 0)
                continue;
            take--;
            covered[id] = true;
            have++;
            posted++;
        }
        if ((q + 1) % BLOCK == 0) {
            printf(" %zu/%zu", asked, posted);
            asked = posted = 0;
        }
    }
    uint32_t *order = upgrade_shuffled(documents, 1, "bench.same");
    double lazily = coverage_cascade(c, covered, n, NULL, NULL);
    coverage_first(order, have, documents, covered);
    printf("; then %.0f %% covered, nDCG@10 %.4f (at random %.4f)\n",
           100 * (double)have / (double)documents, lazily,
           coverage_cascade(c, covered, n, NULL, NULL));
    free(order);
    free(ids);
    free(covered);
}

static void lazily(const struct upgrade *u,
                   const struct upgrade_method *method) {
    const size_t posts[] = {10, 20, 50, DEEPEST};
    struct upgrade_fit how = {.keep_vectors = true};
    bool log = u->new_train.rows > 0;
    struct inv_map map = upgrade_fit(u, method, &how);
    float *mapped = upgrade_held_out(u, method, &how);
    float *queries = upgrade_apply(&map, log ? &u->new_train : &u->new_queries);
    struct coverage c;
    coverage_open(&c, u, mapped, DEEPEST);
    printf("  one after the other (%s, %s): vectors missing / posted in each "
           "100 queries\n",
           method->name,
           log ? "training queries" : "the judged queries themselves");
    for (size_t d = 0; d < DEPTHS; d++)
        for (size_t p = 0; p < sizeof posts / sizeof *posts; p++)
            if (posts[p] <= depths[d])
                stream(u, &c, queries,
                       log ? u->new_train.rows : u->new_queries.rows, depths[d],
                       posts[p]);
    fflush(stdout);
    coverage_close(&c);
    inv_map_release(&map);
    free(mapped);
    free(queries);
}

/* ---- all ---- */

static int collection(const char *set, const char *old, const char *new) {
    double temperature = strcmp(set, "scifact") == 0 ? .02 : .05;
    const struct upgrade_method methods[] = {
        {"procrustes", INV_ADAPTER_PROCRUSTES, 0},
        {"path .35", INV_ADAPTER_PATH, .35},
        {"ridge .01", INV_ADAPTER_RIDGE, .01},
        {"contrastive", INV_ADAPTER_CONTRASTIVE, temperature},
    };
    size_t count = sizeof methods / sizeof *methods;
    struct outcome outcome = {.below = 0};
    struct upgrade u;
    upgrade_open(&u, set, old, new);
    double *ndcg = upgrade_reserve(u.judged.queries, sizeof *ndcg);
    double own_old = upgrade_own(&u, &u.old_queries, &u.old_documents, ndcg);
    double own_new = upgrade_own(&u, &u.new_queries, &u.new_documents, ndcg);
    printf("%s, %s -> %s: old model %.4f, new model %.4f\n", set, old, new,
           own_old, own_new);
    printf("    %-8s %3s  %-34s  %-7s   %s\n", "order", "N",
           "nDCG@10 at 0, 10, 25, 50, 100 %", "passes",
           "requests per 100 queries, at the same");
    for (size_t i = 0; i < count; i++)
        run(&u, &methods[i], own_old, &outcome);
    lazily(&u, &methods[count - 1]);
    bool full = outcome.best_full >= .99 * own_new;
    printf(
        "  %s: best at full coverage, N = %zu: %.4f, %.3f of the new model\n",
        full ? "ok" : "MISSED", DEEPEST, outcome.best_full,
        outcome.best_full / own_new);
    printf("  %s: %zu shown random coverages on average below their bridge; "
           "lowest of all, %+.4f at %zu %%\n\n",
           outcome.below == 0 ? "ok" : "MISSED", outcome.below, outcome.lowest,
           100 * outcome.lowest_step / (STEPS - 1));
    free(ndcg);
    upgrade_close(&u);
    return !full + (outcome.below > 0);
}

int main(int argc, char **argv) {
    static const struct {
        const char *set, *old, *new;
    } all[] = {
        {"scifact", "minilm-l3", "minilm-l6"},
        {"cranfield", "minilm-l3", "minilm-l6"},
        {"scifact", "e5-small", "minilm-l6"},
        {"scifact", "minilm-l6", "e5-small"},
        {"scifact", "minilm-l3", "e5-small"},
    };
    int missed = 0;
    size_t deepest = argc == 5 ? strtoul(argv[4], NULL, 10) : DEEPEST;
    if ((argc != 1 && argc != 4 && argc != 5) || deepest < 101 ||
        deepest > 1000) {
        fputs("usage: bench_cascade [SET OLD NEW [N]], N from 101 to 1000\n",
              stderr);
        return EXIT_FAILURE;
    }
    DEEPEST = deepest;
    if (argc >= 4)
        missed = collection(argv[1], argv[2], argv[3]);
    for (size_t i = 0; i < sizeof all / sizeof *all && argc == 1; i++)
        missed += collection(all[i].set, all[i].old, all[i].new);
    printf("%d bars missed\n", missed);
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
