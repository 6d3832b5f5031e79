/*
 * ann_cases.c: see ann_cases.h. One thread.
 */
#include "tests/support/ann_cases.h"

#include "base/kernels.h"
#include "base/rng.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CENTRES 40
#define SPREAD 0.7f

#define BOTH(name, type, dtype, bits, r10, r100)                               \
    {name " ip", type, INV_METRIC_IP, dtype, bits, r10, r100}, {               \
        name " l2", type, INV_METRIC_L2, dtype, bits, r10, r100                \
    }

const struct ann_case ann_cases[] = {
    BOTH("flat f32", INV_ANN_FLAT, INV_F32, 0, 1.0, 1.0),
    BOTH("flat f16", INV_ANN_FLAT, INV_F16, 0, 0.99, 1.0),
    BOTH("hnsw", INV_ANN_HNSW, INV_F32, 0, 0.97, 0.99),
    BOTH("hnsw sq8", INV_ANN_HNSW_SQ8, INV_F32, 0, 0.93, 0.99),
    BOTH("ivf flat", INV_ANN_IVF_FLAT, INV_F32, 0, 0.95, 0.95),
    BOTH("ivf sq8", INV_ANN_IVF_SQ8, INV_F32, 0, 0.93, 0.95),
    BOTH("ivf pq4", INV_ANN_IVF_PQ, INV_F32, 4, 0.35, 0.90),
    BOTH("ivf pq8", INV_ANN_IVF_PQ, INV_F32, 8, 0.35, 0.90),
};

const int ann_case_count = sizeof ann_cases / sizeof ann_cases[0];

struct inv_ann_config ann_config(const struct ann_case *which, size_t dim) {
    return (struct inv_ann_config){
        .type = which->type,
        .metric = which->metric,
        .dim = dim,
        .dtype = which->dtype,
        .pq_bits = which->pq_bits,
        .seed = 7,
        /* libgomp's threads would not survive the fork of each test */
        .threads = 1,
    };
}

void ann_rows_init(struct ann_rows *rows, size_t count, size_t dim,
                   uint64_t seed) {
    memset(rows, 0, sizeof *rows);
    rows->data = malloc(count * dim * sizeof(float));
    rows->count = count;
    rows->dim = dim;
    float *centres = malloc(CENTRES * dim * sizeof(float));
    ck_assert(rows->data != NULL && centres != NULL);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "ann test", 0);
    for (size_t i = 0; i < CENTRES * dim; i++)
        centres[i] = inv_stream_normal(&stream);
    for (size_t i = 0; i < count; i++) {
        const float *centre =
            centres + inv_stream_below(&stream, CENTRES) * dim;
        float *row = rows->data + i * dim;
        for (size_t j = 0; j < dim; j++)
            row[j] = centre[j] + SPREAD * inv_stream_normal(&stream);
        inv_normalize_f32(row, dim);
    }
    free(centres);
}

void ann_rows_release(struct ann_rows *rows) { free(rows->data); }

static enum inv_status read_rows(void *ctx, size_t first, size_t count,
                                 float *out, struct inv_err *err) {
    struct ann_rows *rows = ctx;
    if (++rows->reads == rows->fail_read_at)
        return inv_fail(err, INV_IO, "read %zu fails", rows->reads);
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_le(first + count, rows->count);
    memcpy(out, rows->data + first * rows->dim,
           count * rows->dim * sizeof(float));
    return INV_OK;
}

static bool progress(void *ctx, const char *stage, size_t done, size_t total) {
    struct ann_rows *rows = ctx;
    ck_assert(strcmp(stage, "train") == 0 || strcmp(stage, "add") == 0);
    ck_assert_uint_le(done, total);
    return ++rows->calls == rows->cancel_at;
}

struct inv_ann_source ann_source(struct ann_rows *rows) {
    return (struct inv_ann_source){read_rows, progress, rows, rows->count};
}

struct inv_ann *ann_must_build(const struct ann_case *which,
                               struct ann_rows *rows, size_t count) {
    struct inv_ann_config config = ann_config(which, rows->dim);
    struct inv_ann_source source = ann_source(rows);
    source.count = count;
    struct inv_ann *ann;
    struct inv_err err;
    enum inv_status status = inv_ann_build(&config, &source, &ann, &err);
    ck_assert_msg(status == INV_OK, "%s, %zu rows: %s", which->name, count,
                  status == INV_OK ? "" : err.text);
    ck_assert_uint_eq(inv_ann_count(ann), count);
    return ann;
}

size_t ann_must_search(const struct inv_ann *ann, const float *query, size_t k,
                       const struct inv_ann_params *params,
                       struct inv_ann_hit *hits) {
    struct inv_err err;
    size_t found;
    enum inv_status status =
        inv_ann_search(ann, query, k, params, hits, &found, &err);
    ck_assert_msg(status == INV_OK, "%s", status == INV_OK ? "" : err.text);
    ck_assert_uint_le(found, k);
    for (size_t i = 0; i < found; i++) {
        ck_assert_uint_lt(hits[i].entry, inv_ann_count(ann));
        if (i > 0)
            ck_assert(hits[i - 1].score > hits[i].score ||
                      (hits[i - 1].score == hits[i].score &&
                       hits[i - 1].entry < hits[i].entry));
    }
    return found;
}

size_t ann_common(const struct inv_ann_hit *want, size_t want_count,
                  const struct inv_ann_hit *got, size_t got_count) {
    size_t common = 0;
    for (size_t i = 0; i < want_count; i++)
        for (size_t j = 0; j < got_count; j++)
            common += want[i].entry == got[j].entry;
    return common;
}
