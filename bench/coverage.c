/*
 * coverage.c: see coverage.h.
 */
#include "bench/coverage.h"

#include "base/kernels.h"
#include "encoders/adapters/residual.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void coverage_open(struct coverage *c, const struct upgrade *u,
                   const float *queries, size_t depth) {
    double *ndcg = upgrade_reserve(u->judged.queries, sizeof *ndcg);
    *c = (struct coverage){.u = u, .depth = depth};
    c->ids = upgrade_rank(queries, u->judged.queries, &u->old_documents, depth,
                          &c->scores);
    c->bridge = upgrade_ndcg(u, c->ids, depth, ndcg);
    free(ndcg);
}

void coverage_close(struct coverage *c) {
    free(c->ids);
    free(c->scores);
}

double coverage_cascade(const struct coverage *c, const bool *covered, size_t n,
                        const bool *only, double *ndcg) {
    const struct upgrade *u = c->u;
    size_t queries = u->judged.queries, count = 0;
    uint32_t *list = upgrade_reserve(queries * n, sizeof *list);
    double *each = upgrade_reserve(queries, sizeof *each), sum = 0;
    for (size_t q = 0; q < queries; q++) {
        memcpy(list + q * n, c->ids + q * c->depth, n * sizeof *list);
        upgrade_cascade(u, q, covered, c->scores + q * c->depth, n,
                        list + q * n);
    }
    upgrade_ndcg(u, list, n, each);
    for (size_t q = 0; q < queries; q++)
        if (only == NULL || only[q]) {
            sum += each[q];
            count++;
        }
    if (ndcg != NULL)
        memcpy(ndcg, each, queries * sizeof *ndcg);
    free(list);
    free(each);
    return count > 0 ? sum / (double)count : 0;
}

double coverage_missing(const struct coverage *c, const bool *covered,
                        size_t n) {
    size_t queries = c->u->judged.queries, missing = 0;
    for (size_t q = 0; q < queries; q++)
        for (size_t i = 0; i < n; i++)
            missing += !covered[c->ids[q * c->depth + i]];
    return (double)missing / (double)queries;
}

void coverage_first(const uint32_t *order, size_t count, size_t documents,
                    bool *covered) {
    memset(covered, 0, documents * sizeof *covered);
    for (size_t i = 0; i < count; i++)
        covered[order[i]] = true;
}

struct ranked {
    double first, then;
    uint32_t document;
};

static int falling(const void *a, const void *b) {
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->first < y->first || x->first > y->first)
        return x->first < y->first ? 1 : -1;
    if (x->then < y->then || x->then > y->then)
        return x->then < y->then ? 1 : -1;
    return (x->document > y->document) - (x->document < y->document);
}

uint32_t *coverage_order(const double *a, const double *b, size_t count) {
    struct ranked *ranked = upgrade_reserve(count, sizeof *ranked);
    uint32_t *order = upgrade_reserve(count, sizeof *order);
    for (size_t i = 0; i < count; i++) {
        double x = a != NULL ? a[i] : 1, y = b != NULL ? b[i] : 1;
        ranked[i] = (struct ranked){x * y, y, (uint32_t)i};
    }
    qsort(ranked, count, sizeof *ranked, falling);
    for (size_t i = 0; i < count; i++)
        order[i] = ranked[i].document;
    free(ranked);
    return order;
}

double *coverage_accesses(const struct upgrade *u, const float *queries,
                          size_t count, size_t n) {
    double *accesses = upgrade_reserve(u->old_documents.rows, sizeof *accesses);
    uint32_t *ids = upgrade_rank(queries, count, &u->old_documents, n, NULL);
    for (size_t i = 0; i < count * n; i++)
        accesses[ids[i]] += 1;
    free(ids);
    return accesses;
}

double *coverage_residuals(const struct upgrade *u, const struct inv_map *map) {
    const struct inv_matrix *old = &u->old_documents;
    double *residuals = upgrade_reserve(old->rows, sizeof *residuals);
    float *mapped = upgrade_apply(map, &u->new_documents);
    for (size_t i = 0; i < old->rows; i++)
        residuals[i] = (double)inv_l2sq_f32(mapped + i * old->dim,
                                            old->data + i * old->dim, old->dim);
    free(mapped);
    return residuals;
}

double *coverage_predicted(const struct upgrade *u, const struct inv_map *map,
                           const uint32_t *rows, size_t count) {
    const struct inv_matrix *old = &u->old_documents;
    const struct inv_matrix *new = &u->new_documents;
    double *predicted = upgrade_reserve(old->rows, sizeof *predicted);
    float *logs = upgrade_reserve(old->rows, sizeof *logs);
    float *x = upgrade_reserve(count * new->dim, sizeof *x);
    float *y = upgrade_reserve(count * old->dim, sizeof *y);
    struct inv_adapter *adapter = upgrade_adapter(map);
    struct inv_residual model;
    struct inv_err err;
    for (size_t i = 0; i < count; i++) {
        memcpy(x + i * new->dim, new->data + rows[i] * new->dim,
               new->dim * sizeof *x);
        memcpy(y + i * old->dim, old->data + rows[i] * old->dim,
               old->dim * sizeof *y);
    }
    upgrade_must(
        inv_residual_fit(adapter, x, y, count, INV_RESIDUAL_RHO, &model, &err),
        &err);
    inv_residual_predict(&model, old->data, old->rows, logs);
    for (size_t i = 0; i < old->rows; i++)
        predicted[i] = exp((double)logs[i]);
    inv_residual_release(&model);
    inv_adapter_free(adapter);
    free(logs);
    free(x);
    free(y);
    return predicted;
}

static double *ranks_of(const double *values, size_t count) {
    double *ranks = upgrade_reserve(count, sizeof *ranks);
    uint32_t *order = coverage_order(values, NULL, count);
    for (size_t i = 0; i < count; i++)
        ranks[order[i]] = (double)i;
    free(order);
    return ranks;
}

double coverage_correlation(const double *a, const double *b, size_t count) {
    double *x = ranks_of(a, count), *y = ranks_of(b, count);
    double middle = (double)(count - 1) / 2, both = 0, alone = 0;
    for (size_t i = 0; i < count; i++) {
        both += (x[i] - middle) * (y[i] - middle);
        alone += (x[i] - middle) * (x[i] - middle);
    }
    free(x);
    free(y);
    return alone > 0 ? both / alone : 0;
}
