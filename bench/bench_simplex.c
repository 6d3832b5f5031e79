/*
 * bench_simplex.c: upgrades on labelled images (scikit-learn's digits in three
 * model versions) through procrustes and the three uses of the d-Simplex: R@1
 * and mAP of new queries on the gallery of version 1. Rows 0 to 999 are the
 * gallery, the others ask; 400 labelled pairs, the mean of ten samples. Then
 * all three versions against each other: average compatibility (share of the
 * pairs where a newer version's queries do better on an older gallery than
 * that version's own) and average metric (the mean of the lower triangle), for
 * R@1 and mAP.
 *
 * usage: bench_simplex [FOLDER]   v1, v2, v3.f32.npy, labels.u8.npy; else the
 *                                 digits of INVAR_DATA
 */
#include "base/npy.h"
#include "base/rng.h"
#include "bench/upgrade.h"
#include "encoders/adapters/gate.h"
#include "encoders/adapters/judge.h"
#include "encoders/adapters/simplex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GALLERY 1000
#define PAIRS 400
#define CLASSES 10
#define SAMPLES 10
#define WAYS 5
#define VERSIONS 3
#define SEEN 7 /* classes 0-6 are fitted where 7-9 are judged */

static const char *const ways[WAYS] = {"procrustes", "folded:0.1", "folded:0.2",
                                       "whole", "blend:0.3"};

struct version {
    struct inv_npy npy;
    const float *rows;
    size_t dim;
};

struct digits {
    struct version versions[VERSIONS];
    struct inv_npy labels;
    const uint8_t *label;
    size_t count;
};

static void open_digits(const char *folder, struct digits *d) {
    struct inv_err err;
    char path[544];
    for (int v = 0; v < VERSIONS; v++) {
        struct version *version = &d->versions[v];
        snprintf(path, sizeof path, "%s/v%d.f32.npy", folder, v + 1);
        upgrade_must(inv_npy_open(path, &version->npy, &err), &err);
        upgrade_must(
            inv_npy_expect(&version->npy.view, path, INV_NPY_F32, 2, &err),
            &err);
        version->rows = version->npy.view.data;
        version->dim = version->npy.view.shape[1];
        d->count = version->npy.view.shape[0];
    }
    snprintf(path, sizeof path, "%s/labels.u8.npy", folder);
    upgrade_must(inv_npy_open(path, &d->labels, &err), &err);
    upgrade_must(inv_npy_expect(&d->labels.view, path, INV_NPY_U8, 1, &err),
                 &err);
    d->label = d->labels.view.data;
}

/* ---- measuring ---- */

struct score {
    double first, map;
};

/* Queries are rows GALLERY.. of the versions; unseen: only classes 7-9. */
static struct score measure(const struct digits *d, const float *queries,
                            const float *gallery, size_t dim, int unseen) {
    size_t count = d->count - GALLERY, judged = 0;
    uint32_t *ids = upgrade_reserve(count * GALLERY, sizeof *ids);
    struct score score = {0, 0};
    struct inv_err err;
    upgrade_must(inv_judge_rank(queries, count, gallery, GALLERY, dim, GALLERY,
                                ids, NULL, &err),
                 &err);
    for (size_t q = 0; q < count; q++) {
        size_t found = 0;
        double precision = 0;
        uint8_t label = d->label[GALLERY + q];
        if (unseen && label < SEEN)
            continue;
        for (size_t k = 0; k < GALLERY; k++)
            if (d->label[ids[q * GALLERY + k]] == label)
                precision += (double)++found / (double)(k + 1);
        score.first += d->label[ids[q * GALLERY]] == label;
        score.map += found > 0 ? precision / (double)found : 0;
        judged++;
    }
    free(ids);
    score.first /= (double)judged;
    score.map /= (double)judged;
    return score;
}

/* ---- one sample ---- */

struct sample {
    float *x, *y; /* new, old */
    uint32_t label[PAIRS];
    size_t count;
};

static struct sample draw(const struct digits *d, const struct version *new,
                          const struct version *old, uint64_t seed,
                          int unseen) {
    struct sample s = {.x = upgrade_reserve(PAIRS * new->dim, sizeof(float)),
                       .y = upgrade_reserve(PAIRS * old->dim, sizeof(float))};
    uint32_t order[GALLERY];
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "bench.digits", 0);
    for (uint32_t i = 0; i < GALLERY; i++)
        order[i] = i;
    for (size_t i = 0; i < PAIRS; i++) {
        size_t j = i + inv_stream_below(&stream, (uint32_t)(GALLERY - i));
        uint32_t row = order[j];
        order[j] = order[i];
        if (unseen && d->label[row] >= SEEN)
            continue;
        memcpy(s.x + s.count * new->dim, new->rows + row *new->dim,
               new->dim * sizeof(float));
        memcpy(s.y + s.count * old->dim, old->rows + row * old->dim,
               old->dim * sizeof(float));
        s.label[s.count++] = d->label[row];
    }
    return s;
}

static struct inv_map procrustes(const struct sample *s, size_t dx, size_t dy) {
    struct inv_pairs pairs;
    struct inv_moments moments;
    struct inv_map map;
    struct inv_err err;
    upgrade_must(inv_pairs_init(&pairs, dx, dy, &err), &err);
    upgrade_must(inv_pairs_add(&pairs, s->x, s->y, s->count, &err), &err);
    upgrade_must(inv_pairs_moments(&pairs, true, false, &moments, &err), &err);
    upgrade_must(inv_fit_procrustes(&moments, &map, &err), &err);
    inv_pairs_release(&pairs);
    inv_moments_release(&moments);
    return map;
}

/* Adds the share of one sample: queries of version `to` on the gallery of
 * version `on`, which may be the same; plain spaces need no map then. */
static void run(const struct digits *d, int to, int on, int unseen,
                uint64_t seed, struct score *scores) {
    const struct version *old = &d->versions[on];
    const struct version *new = &d->versions[to];
    struct sample s = draw(d, new, old, seed, unseen);
    struct inv_map base = procrustes(&s, new->dim, old->dim);
    struct inv_map s_new, s_old;
    struct inv_err err;
    size_t count = d->count - GALLERY, width = old->dim + CLASSES - 1;
    const float *queries = new->rows + GALLERY *new->dim;
    float *q = upgrade_reserve(count * width, sizeof *q);
    float *g = upgrade_reserve(GALLERY * width, sizeof *g);
    upgrade_must(inv_fit_simplex(s.x, s.count, new->dim, s.label, CLASSES, .01,
                                 &s_new, &err),
                 &err);
    upgrade_must(inv_fit_simplex(s.y, s.count, old->dim, s.label, CLASSES, .01,
                                 &s_old, &err),
                 &err);
    struct inv_simplex fold = {&base, &s_new, &s_old, 0};
    for (int way = 0; way < 3; way++) {
        fold.beta = .1 * way;
        upgrade_must(inv_simplex_fold(&fold, queries, count, q, &err), &err);
        scores[way] =
            measure(d, to == on ? queries : q, old->rows, old->dim, unseen);
    }
    upgrade_must(inv_simplex_whole(&s_new, queries, count, q, &err), &err);
    upgrade_must(inv_simplex_whole(&s_old, old->rows, GALLERY, g, &err), &err);
    scores[3] = measure(d, q, g, CLASSES - 1, unseen);
    upgrade_must(inv_simplex_blend(to == on ? NULL : &base, &s_new, .3, queries,
                                   count, new->dim, q, &err),
                 &err);
    upgrade_must(inv_simplex_blend(NULL, &s_old, .3, old->rows, GALLERY,
                                   old->dim, g, &err),
                 &err);
    scores[4] = measure(d, q, g, width, unseen);
    inv_map_release(&base);
    inv_map_release(&s_new);
    inv_map_release(&s_old);
    free(s.x);
    free(s.y);
    free(q);
    free(g);
}

static void upgrades(const struct digits *d) {
    static const struct {
        const char *name;
        int version, unseen;
    } cases[] = {{"v2", 1, 0}, {"v3", 2, 0}, {"v3-unseen", 2, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct score sums[WAYS] = {{0, 0}}, scores[WAYS];
        for (uint64_t seed = 0; seed < SAMPLES; seed++) {
            run(d, cases[c].version, 0, cases[c].unseen, seed, scores);
            for (int way = 0; way < WAYS; way++) {
                sums[way].first += scores[way].first / SAMPLES;
                sums[way].map += scores[way].map / SAMPLES;
            }
        }
        for (int way = 0; way < WAYS; way++)
            printf("%s %s %.4f %.4f\n", cases[c].name, ways[way],
                   sums[way].first, sums[way].map);
    }
}

/* AC and AM of R@1 and of mAP, each the mean over the samples. */
static void compatibility(const struct digits *d) {
    double sums[WAYS][4] = {{0}};
    for (uint64_t seed = 0; seed < SAMPLES; seed++) {
        double first[WAYS][VERSIONS * VERSIONS] = {{0}};
        double map[WAYS][VERSIONS * VERSIONS] = {{0}};
        for (int i = 0; i < VERSIONS; i++)
            for (int j = 0; j <= i; j++) {
                struct score scores[WAYS];
                run(d, i, j, 0, seed, scores);
                for (int way = 0; way < WAYS; way++) {
                    first[way][i * VERSIONS + j] = scores[way].first;
                    map[way][i * VERSIONS + j] = scores[way].map;
                }
            }
        for (int way = 0; way < WAYS; way++) {
            double ac, am;
            inv_compatibility(first[way], VERSIONS, &ac, &am);
            sums[way][0] += ac / SAMPLES;
            sums[way][1] += am / SAMPLES;
            inv_compatibility(map[way], VERSIONS, &ac, &am);
            sums[way][2] += ac / SAMPLES;
            sums[way][3] += am / SAMPLES;
        }
    }
    for (int way = 0; way < WAYS; way++)
        printf("compatibility %s R@1 AC %.3f AM %.4f mAP AC %.3f AM %.4f\n",
               ways[way], sums[way][0], sums[way][1], sums[way][2],
               sums[way][3]);
}

int main(int argc, char **argv) {
    struct digits d;
    char folder[512];
    if (argc > 2) {
        fputs("usage: bench_simplex [FOLDER]\n", stderr);
        return EXIT_FAILURE;
    }
    if (argc == 2)
        snprintf(folder, sizeof folder, "%s", argv[1]);
    else
        upgrade_path("digits", folder, sizeof folder);
    open_digits(folder, &d);
    for (int v = 0; v < VERSIONS; v++) {
        const struct version *version = &d.versions[v];
        struct score own = measure(&d, version->rows + GALLERY * version->dim,
                                   version->rows, version->dim, 0);
        printf("v%d own %.4f %.4f\n", v + 1, own.first, own.map);
    }
    upgrades(&d);
    compatibility(&d);
    for (int v = 0; v < VERSIONS; v++)
        inv_npy_close(&d.versions[v].npy);
    inv_npy_close(&d.labels);
    return EXIT_SUCCESS;
}
