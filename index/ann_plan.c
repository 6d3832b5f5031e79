/*
 * ann_plan.c: see ann_plan.h. Knows the rules of thumb and FAISS' memory
 * layout, calls nothing. Any thread.
 */
#include "index/ann_plan.h"

#include "index/ann_ops.h"

#include <math.h>
#include <stdio.h>

/* Training rows a centroid needs (FAISS warns below it), and gets. */
#define ROWS_PER_LIST_MIN 39
#define ROWS_PER_LIST 64
#define TRAIN_MIN 256
/* Rows that teach a scalar quantizer its ranges when there are no lists. */
#define TRAIN_SQ 65536

static bool is_ivf(enum inv_ann_type type) {
    return type == INV_ANN_IVF_FLAT || type == INV_ANN_IVF_SQ8 ||
           type == INV_ANN_IVF_PQ;
}

static size_t at_least_one(size_t n) { return n == 0 ? 1 : n; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static void plan_lists(struct inv_ann_config *config, size_t count) {
    size_t rows = count;
    if (config->train_size != 0)
        rows = smaller(rows, config->train_size);
    size_t nlist = config->nlist;
    if (nlist == 0)
        nlist = smaller((size_t)(4.0 * sqrt((double)count)),
                        rows / ROWS_PER_LIST_MIN);
    config->nlist = (uint32_t)at_least_one(smaller(nlist, rows));
    if (config->nprobe == 0)
        config->nprobe = (uint32_t)larger(16, config->nlist / 16);
    config->nprobe = (uint32_t)smaller(config->nprobe, config->nlist);
}

/* The largest divisor of dim that is at most `most`, or 1. */
static uint32_t divisor(size_t dim, size_t most) {
    while (most > 1 && dim % most != 0)
        most--;
    return (uint32_t)at_least_one(most);
}

static void plan_pq(struct inv_ann_config *config, size_t count) {
    if (count < INV_ANN_PQ_ROWS_MIN) {
        config->pq_m = config->pq_bits = 0;
        return;
    }
    if (config->pq_bits == 0)
        config->pq_bits = 4;
    if (config->pq_m == 0)
        config->pq_m =
            divisor(config->dim, config->dim / (config->pq_bits == 4 ? 4 : 8));
}

void inv_ann_plan(struct inv_ann_config *config, size_t count) {
    size_t train;
    if (is_ivf(config->type)) {
        plan_lists(config, count);
        if (config->type == INV_ANN_IVF_PQ)
            plan_pq(config, count);
        train = larger((size_t)ROWS_PER_LIST * config->nlist, TRAIN_MIN);
        if (config->pq_m != 0)
            train = larger(train, INV_ANN_PQ_ROWS_MIN);
    } else {
        if (config->hnsw_m == 0)
            config->hnsw_m = 32;
        if (config->hnsw_ef_construction == 0)
            config->hnsw_ef_construction = 200;
        train = config->type == INV_ANN_HNSW_SQ8 ? TRAIN_SQ : 0;
    }
    if (config->train_size != 0 && train != 0)
        train = larger(config->train_size, config->nlist);
    if (config->pq_m != 0) /* one row per centroid is FAISS' hard limit */
        train = larger(train, (size_t)1 << config->pq_bits);
    config->train_size = (uint32_t)smaller(train, count);
}

unsigned inv_ann_plan_caps(const struct inv_ann_config *config) {
    switch (config->type) {
    case INV_ANN_HNSW:
        return INV_ANN_SELECTOR | INV_ANN_EF;
    case INV_ANN_HNSW_SQ8:
        return INV_ANN_SELECTOR | INV_ANN_EF | INV_ANN_COMPRESSED;
    case INV_ANN_IVF_SQ8:
        return INV_ANN_SELECTOR | INV_ANN_NPROBE | INV_ANN_COMPRESSED;
    case INV_ANN_IVF_PQ:
        if (config->pq_bits == 4) /* fast scan takes no selector */
            return INV_ANN_NPROBE | INV_ANN_COMPRESSED;
        if (config->pq_bits == 8)
            return INV_ANN_SELECTOR | INV_ANN_NPROBE | INV_ANN_COMPRESSED;
        return INV_ANN_SELECTOR | INV_ANN_NPROBE;
    default:
        return INV_ANN_SELECTOR | INV_ANN_NPROBE;
    }
}

void inv_ann_plan_factory(const struct inv_ann_config *config, char *out,
                          size_t size) {
    unsigned nlist = config->nlist, m = config->pq_m;
    switch (config->type) {
    case INV_ANN_HNSW:
        snprintf(out, size, "HNSW%u,Flat", (unsigned)config->hnsw_m);
        return;
    case INV_ANN_HNSW_SQ8:
        snprintf(out, size, "HNSW%u,SQ8", (unsigned)config->hnsw_m);
        return;
    case INV_ANN_IVF_SQ8:
        snprintf(out, size, "IVF%u,SQ8", nlist);
        return;
    case INV_ANN_IVF_PQ:
        if (config->pq_bits == 4)
            /* Coding residuals is free under the inner product; under L2 it
             * takes one table per probed list (63 us instead of 40 on
             * 40,000 x 96 for a recall of .475 instead of .423). */
            snprintf(out, size, "IVF%u,PQ%ux4fs%s", nlist, m,
                     config->metric == INV_METRIC_IP ? "r" : "");
        else if (config->pq_bits == 8)
            snprintf(out, size, "IVF%u,PQ%unp", nlist, m);
        else
            snprintf(out, size, "IVF%u,Flat", nlist);
        return;
    default:
        snprintf(out, size, "IVF%u,Flat", nlist);
    }
}

/* Bytes of one stored row, without its graph or list. */
static size_t row_bytes(const struct inv_ann_config *config) {
    switch (config->type) {
    case INV_ANN_HNSW_SQ8:
    case INV_ANN_IVF_SQ8:
        return config->dim;
    case INV_ANN_IVF_PQ:
        if (config->pq_bits == 4)
            return (config->pq_m + 1) / 2;
        if (config->pq_bits == 8)
            return config->pq_m;
        return config->dim * sizeof(float);
    default:
        return config->dim * sizeof(float);
    }
}

size_t inv_ann_plan_bytes(const struct inv_ann_config *config, size_t count) {
    if (!is_ivf(config->type)) {
        /* 2 m neighbours below, m on each further level for one node in m;
         * 4 bytes of level and 8 of offset. */
        size_t m = config->hnsw_m;
        return count * (row_bytes(config) + 4 * (2 * m + m / (m - 1) + 1) + 12);
    }
    size_t bytes = count * (row_bytes(config) + 8) +
                   config->nlist * (config->dim * sizeof(float) + 64);
    if (config->pq_bits == 4)
        bytes += (size_t)config->nlist * 32 * row_bytes(config); /* blocks */
    if (config->pq_bits == 8 && config->metric == INV_METRIC_L2) {
        /* FAISS' precomputed distances, unless above its 2 GB. */
        size_t table =
            (size_t)config->nlist * config->pq_m * 256 * sizeof(float);
        if (table <= (size_t)2 << 30)
            bytes += table;
    }
    return bytes;
}

size_t inv_ann_plan_scratch(const struct inv_ann_config *config, size_t count) {
    size_t row = config->dim * sizeof(float);
    size_t bytes = inv_ann_chunk_rows(config->dim) * row;
    if (!is_ivf(config->type)) /* locks, and what each thread has visited */
        return bytes + config->train_size * row +
               count * (4 + (size_t)config->threads);
    /* The sample; residuals for the quantizer; lists grow by doubling. */
    bytes += config->train_size * row;
    if (row_bytes(config) < row)
        bytes += 2 * smaller(config->train_size, 65536) * row;
    return bytes + count * (row_bytes(config) + 8);
}
