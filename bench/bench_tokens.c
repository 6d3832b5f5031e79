/*
 * bench_tokens.c: an upgrade of a multi-vector model: Cranfield's tokens,
 * colbert-l3 -> colbert-l6, exact MaxSim over the tokens as they are stored.
 * The adapter acts on every query token and keeps its weight, y = |q|
 * normalise(W q/|q| + b), fitted on the documents' token pairs. nDCG@10 without
 * an adapter, over the bridge (fitted on all documents; "later": in five parts
 * on documents that answer none of the part's queries; "no weight": tokens of
 * norm 1 as if the weights were lost), and of the cascade by N and coverage
 * (random, five draws) beside a complete re-index.
 */
#include "base/kernels.h"
#include "bench/upgrade.h"
#include "cli/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM 96
#define DEPTHS 3
#define COVERAGES 5
#define DRAWS 5
#define FOLDS 5

static const size_t depths[DEPTHS] = {50, 100, 200};
static const double coverages[COVERAGES] = {0, .1, .25, .5, 1};

struct model {
    struct inv_vectors documents, queries;
    struct inv_matrix tokens; /* of all documents, in fp32 */
    size_t *start;            /* documents + 1 */
};

static struct inv_vectors vectors_of(const char *model, const char *what,
                                     const char *data, bool scaled) {
    char name[128], values[544], offsets[544], scales[544];
    struct inv_vectors vectors;
    struct inv_err err;
    snprintf(name, sizeof name, "cranfield/tokens/%s-%s.%s.npy", model, what,
             data);
    upgrade_path(name, values, sizeof values);
    snprintf(name, sizeof name, "cranfield/tokens/%s-%s.offsets.i64.npy", model,
             what);
    upgrade_path(name, offsets, sizeof offsets);
    snprintf(name, sizeof name, "cranfield/tokens/%s-%s.scale.f16.npy", model,
             what);
    if (scaled)
        upgrade_path(name, scales, sizeof scales);
    upgrade_must(inv_vectors_open(values, offsets, scaled ? scales : NULL,
                                  &vectors, &err),
                 &err);
    return vectors;
}

static void open_model(struct model *m, const char *name) {
    m->documents = vectors_of(name, "docs", "i8", true);
    m->queries = vectors_of(name, "queries", "f16", false);
    m->start = upgrade_reserve(m->documents.count + 1, sizeof *m->start);
    m->tokens = (struct inv_matrix){
        upgrade_reserve(m->documents.rows * DIM, sizeof(float)),
        m->documents.rows, DIM};
    for (size_t i = 0; i < m->documents.count; i++) {
        struct inv_codes codes = inv_vectors_at(&m->documents, i);
        float *out = m->tokens.data + m->start[i] * DIM;
        for (size_t t = 0; t < codes.rows; t++)
            inv_f32_from_i8((const int8_t *)codes.data + t * DIM,
                            codes.scales[t], out + t * DIM, DIM);
        m->start[i + 1] = m->start[i] + codes.rows;
    }
}

static void close_model(struct model *m) {
    inv_vectors_close(&m->documents);
    inv_vectors_close(&m->queries);
    free(m->tokens.data);
    free(m->start);
}

struct bench {
    struct upgrade u; /* for its judgements; its vectors are not used */
    struct model old, new;
    size_t queries, documents;
};

/* ---- scores ---- */

static size_t tokens_of(const struct bench *b, const struct model *model,
                        size_t query, float *out) {
    struct inv_codes codes =
        inv_vectors_at(&model->queries, b->u.query_row[query]);
    inv_f32_from_f16(codes.data, out, codes.rows * DIM);
    return codes.rows;
}

#define TOKENS_MAX 512

enum weight { KEPT, DROPPED };

/* A query's row of scores over all documents of a model's gallery. */
static void score(const struct bench *b, const struct model *gallery,
                  const float *tokens, size_t rows, float *scores) {
    float best[TOKENS_MAX];
    for (size_t d = 0; d < b->documents; d++) {
        struct inv_codes codes = inv_vectors_at(&gallery->documents, d);
        inv_maxsim_best(tokens, rows, &codes, DIM, best);
        scores[d] = 0;
        for (size_t i = 0; i < rows; i++)
            scores[d] += best[i];
    }
}

/* Scores of the queries [from, to): of `asking`'s tokens, through the adapter
 * unless it is NULL, on a gallery. scores: queries x documents. */
static void score_all(const struct bench *b, const struct model *asking,
                      const struct model *gallery,
                      const struct inv_adapter *adapter, enum weight weight,
                      size_t from, size_t to, float *scores) {
    float *tokens = upgrade_reserve(TOKENS_MAX * DIM, sizeof *tokens);
    float *mapped = upgrade_reserve(TOKENS_MAX * DIM, sizeof *mapped);
    struct inv_err err;
    for (size_t q = from; q < to; q++) {
        size_t rows = tokens_of(b, asking, q, tokens);
        if (adapter != NULL) {
            upgrade_must(inv_adapter_apply_tokens(adapter, tokens, rows, DIM,
                                                  mapped, &err),
                         &err);
            memcpy(tokens, mapped, rows * DIM * sizeof *tokens);
        }
        for (size_t i = 0; i < rows && weight == DROPPED; i++)
            inv_normalize_f32(tokens + i * DIM, DIM);
        score(b, gallery, tokens, rows, scores + q * b->documents);
    }
    free(tokens);
    free(mapped);
}

/* ---- rankings ---- */

struct hit {
    float score;
    uint32_t id;
};

static int falling(const void *a, const void *b) {
    const struct hit *x = a;
    const struct hit *y = b;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* ids and their scores: queries x depth. */
static void rank(const struct bench *b, const float *scores, size_t depth,
                 uint32_t *ids, float *sorted) {
    struct hit *hits = upgrade_reserve(b->documents, sizeof *hits);
    for (size_t q = 0; q < b->queries; q++) {
        for (size_t d = 0; d < b->documents; d++)
            hits[d] = (struct hit){scores[q * b->documents + d], (uint32_t)d};
        qsort(hits, b->documents, sizeof *hits, falling);
        for (size_t i = 0; i < depth; i++) {
            ids[q * depth + i] = hits[i].id;
            sorted[q * depth + i] = hits[i].score;
        }
    }
    free(hits);
}

static double quality(const struct bench *b, const float *scores) {
    size_t depth = INV_JUDGE_DEPTH;
    uint32_t *ids = upgrade_reserve(b->queries * depth, sizeof *ids);
    float *sorted = upgrade_reserve(b->queries * depth, sizeof *sorted);
    double *ndcg = upgrade_reserve(b->queries, sizeof *ndcg);
    rank(b, scores, depth, ids, sorted);
    double mean = upgrade_ndcg(&b->u, ids, depth, ndcg);
    free(ids);
    free(sorted);
    free(ndcg);
    return mean;
}

/* Of the first n of the bridge's lists, the covered ones by their score in the
 * new model. */
static double cascade(const struct bench *b, const float *bridge,
                      const float *fresh, size_t n, const bool *covered) {
    uint32_t *ids = upgrade_reserve(b->queries * n, sizeof *ids);
    float *sorted = upgrade_reserve(b->queries * n, sizeof *sorted);
    double *ndcg = upgrade_reserve(b->queries, sizeof *ndcg);
    double own[200], scratch[200];
    rank(b, bridge, n, ids, sorted);
    for (size_t q = 0; q < b->queries; q++) {
        for (size_t i = 0; i < n; i++)
            own[i] = (double)fresh[q * b->documents + ids[q * n + i]];
        inv_judge_cascade(own, covered, sorted + q * n, n, ids + q * n,
                          scratch);
    }
    double mean = upgrade_ndcg(&b->u, ids, n, ndcg);
    free(ids);
    free(sorted);
    free(ndcg);
    return mean;
}

static void cascades(const struct bench *b, const float *bridge,
                     const float *fresh) {
    bool *covered = upgrade_reserve(b->documents, sizeof *covered);
    for (size_t d = 0; d < DEPTHS; d++) {
        printf("    N %3zu ", depths[d]);
        for (size_t c = 0; c < COVERAGES; c++) {
            double sum = 0;
            size_t count = (size_t)(coverages[c] * (double)b->documents + .5);
            for (uint64_t draw = 0; draw < DRAWS; draw++) {
                uint32_t *order =
                    upgrade_shuffled(b->documents, draw, "bench.cover");
                memset(covered, 0, b->documents * sizeof *covered);
                for (size_t i = 0; i < count; i++)
                    covered[order[i]] = true;
                sum += cascade(b, bridge, fresh, depths[d], covered);
                free(order);
            }
            printf("  %.4f", sum / DRAWS);
        }
        puts("");
    }
    free(covered);
}

/* ---- adapters ---- */

/* Fitted on the token pairs of the documents that are not excluded. */
static struct inv_adapter *fit(const struct bench *b,
                               const struct upgrade_method *method,
                               const bool *excluded, double *seconds) {
    struct inv_pairs pairs;
    struct inv_moments moments;
    struct inv_map map;
    struct inv_err err;
    double at = upgrade_cpu();
    upgrade_must(inv_pairs_init(&pairs, DIM, DIM, &err), &err);
    for (size_t d = 0; d < b->documents; d++) {
        size_t from = b->new.start[d], count = b->new.start[d + 1] - from;
        if (excluded == NULL || !excluded[d])
            upgrade_must(inv_pairs_add(&pairs, b->new.tokens.data + from *DIM,
                                       b->old.tokens.data + from * DIM, count,
                                       &err),
                         &err);
    }
    upgrade_must(inv_pairs_moments(&pairs, true, false, &moments, &err), &err);
    if (method->kind == INV_ADAPTER_RIDGE)
        upgrade_must(inv_fit_ridge(&moments, method->knob, &map, &err), &err);
    else if (method->kind == INV_ADAPTER_PATH)
        upgrade_must(inv_fit_path(&moments, method->knob, &map, &err), &err);
    else
        upgrade_must(inv_fit_procrustes(&moments, &map, &err), &err);
    if (seconds != NULL)
        *seconds = upgrade_cpu() - at;
    struct inv_adapter *adapter = upgrade_adapter(&map);
    inv_map_release(&map);
    inv_moments_release(&moments);
    inv_pairs_release(&pairs);
    return adapter;
}

static void run(const struct bench *b, const struct upgrade_method *method,
                const float *fresh) {
    float *bridge = upgrade_reserve(b->queries * b->documents, sizeof *bridge);
    float *other = upgrade_reserve(b->queries * b->documents, sizeof *other);
    bool *excluded = upgrade_reserve(b->documents, sizeof *excluded);
    double seconds;
    struct inv_adapter *adapter = fit(b, method, NULL, &seconds);
    score_all(b, &b->new, &b->old, adapter, KEPT, 0, b->queries, bridge);
    score_all(b, &b->new, &b->old, adapter, DROPPED, 0, b->queries, other);
    inv_adapter_free(adapter);
    double dropped = quality(b, other);
    for (size_t f = 0; f < FOLDS; f++) {
        size_t from = b->queries * f / FOLDS, to = b->queries * (f + 1) / FOLDS;
        memset(excluded, 0, b->documents * sizeof *excluded);
        upgrade_answers(&b->u, from, to, excluded);
        adapter = fit(b, method, excluded, NULL);
        score_all(b, &b->new, &b->old, adapter, KEPT, from, to, other);
        inv_adapter_free(adapter);
    }
    printf("  %-10s bridge %.4f, later documents %.4f, no weight %.4f; fitted "
           "in %.2f s\n",
           method->name, quality(b, bridge), quality(b, other), dropped,
           seconds);
    cascades(b, bridge, fresh);
    fflush(stdout);
    free(bridge);
    free(other);
    free(excluded);
}

int main(void) {
    static const struct upgrade_method methods[] = {
        {"procrustes", INV_ADAPTER_PROCRUSTES, 0},
        {"path .1", INV_ADAPTER_PATH, .1},
        {"path .35", INV_ADAPTER_PATH, .35},
        {"ridge .01", INV_ADAPTER_RIDGE, .01},
    };
    struct bench b;
    upgrade_open(&b.u, "cranfield", "minilm-l3", "minilm-l6");
    open_model(&b.old, "colbert-l3");
    open_model(&b.new, "colbert-l6");
    b.queries = b.u.judged.queries;
    b.documents = b.new.documents.count;
    if (memcmp(b.old.start, b.new.start,
               (b.documents + 1) * sizeof *b.new.start) != 0) {
        fputs("bench_tokens: the models do not make the same tokens\n", stderr);
        return EXIT_FAILURE;
    }
    float *scores = upgrade_reserve(b.queries * b.documents, sizeof *scores);
    float *fresh = upgrade_reserve(b.queries * b.documents, sizeof *fresh);
    score_all(&b, &b.old, &b.old, NULL, KEPT, 0, b.queries, scores);
    printf("cranfield, colbert-l3 -> colbert-l6, %zu tokens of %zu documents, "
           "%zu queries\n  old model %.4f",
           b.new.tokens.rows, b.documents, b.queries, quality(&b, scores));
    score_all(&b, &b.new, &b.new, NULL, KEPT, 0, b.queries, fresh);
    printf(", new model %.4f", quality(&b, fresh));
    score_all(&b, &b.new, &b.old, NULL, KEPT, 0, b.queries, scores);
    printf(", no adapter %.4f\n  the cascade at 0, 10, 25, 50, 100 %% "
           "coverage\n",
           quality(&b, scores));
    fflush(stdout);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        run(&b, &methods[i], fresh);
    free(scores);
    free(fresh);
    close_model(&b.old);
    close_model(&b.new);
    upgrade_close(&b.u);
    return EXIT_SUCCESS;
}
