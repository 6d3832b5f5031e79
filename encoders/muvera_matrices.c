/*
 * muvera_matrices.c: draws the hyperplanes and the Count-Sketches of a MUVERA
 * encoder from its seed, by either generator. The order of the draws is part
 * of the stored format: the same parameters must give the same encodings for
 * as long as a collection lives. Runs once per encoder, on the thread that
 * builds it; knows nothing of tokens.
 */
#include "encoders/muvera_internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* One of the two generators, behind the three draws that are needed. */
struct source {
    bool reference;
    struct inv_stream stream;
    struct inv_mt mt;
    float spare; /* the second deviate of a polar pair, reference only */
    bool has_spare;
};

/* invar/1 has a stream per (seed, purpose, index); the reference seeds one
 * mt19937 with `seed + offset`, modulo 2^32, for each purpose anew. */
static void source_init(struct source *source,
                        const struct inv_muvera_params *params,
                        const char *purpose, size_t index, size_t offset) {
    source->reference = params->generator == INV_GENERATOR_REFERENCE;
    source->has_spare = false;
    if (source->reference)
        inv_mt_init(&source->mt, (uint32_t)(params->seed + offset));
    else
        inv_stream_init(&source->stream, params->seed, purpose, index);
}

static float reference_uniform(struct inv_mt *mt) {
    float u = (float)inv_mt_next(mt) * 0x1p-32f;
    /* a draw near 2^32 rounds up to 1, which is outside [0, 1) */
    return u < 1.0f ? u : nextafterf(1.0f, 0.0f);
}

/* Marsaglia's polar method, all in float: y's deviate first, x's is kept. */
static float reference_normal(struct source *source) {
    if (source->has_spare) {
        source->has_spare = false;
        return source->spare;
    }
    float x, y, r2;
    do {
        x = 2.0f * reference_uniform(&source->mt) - 1.0f;
        y = 2.0f * reference_uniform(&source->mt) - 1.0f;
        r2 = x * x + y * y;
    } while (r2 > 1.0f || r2 == 0.0f);
    float mult = sqrtf(-2.0f * logf(r2) / r2);
    source->spare = x * mult;
    source->has_spare = true;
    return y * mult;
}

static float draw_normal(struct source *source) {
    return source->reference ? reference_normal(source)
                             : inv_stream_normal(&source->stream);
}

static uint32_t draw_below(struct source *source, uint32_t n) {
    if (!source->reference)
        return inv_stream_below(&source->stream, n);
    uint32_t rejected = (0u - n) % n; /* 2^32 mod n */
    uint64_t product;
    do {
        product = (uint64_t)inv_mt_next(&source->mt) * n;
    } while ((uint32_t)product < rejected);
    return (uint32_t)(product >> 32);
}

/* 1 when the sign is minus. */
static uint32_t draw_negative(struct source *source) {
    if (!source->reference)
        return (uint32_t)(inv_stream_next(&source->stream) >> 63);
    double low = (double)inv_mt_next(&source->mt);
    double high = (double)inv_mt_next(&source->mt);
    return (low + high * 0x1p32) * 0x1p-64 < 0.5 ? 0 : 1;
}

/* Column r * k + j of planes: `dim` consecutive draws. A pair's second deviate
 * carries over from one hyperplane to the next. */
static void draw_planes(struct inv_muvera *muvera) {
    const struct inv_muvera_params *params = &muvera->params;
    for (size_t r = 0; r < params->repetitions; r++) {
        struct source source;
        source_init(&source, params, "muvera.hyperplanes", r, r);
        for (size_t j = 0; j < params->bits; j++) {
            float *column = muvera->planes + r * params->bits + j;
            for (size_t i = 0; i < params->dim; i++)
                column[i * muvera->planes_count] = draw_normal(&source);
        }
    }
}

/* 2 * d must be an entry, and a group's number an end. */
_Static_assert(2 * INV_DIM_MAX <= UINT16_MAX, "sketch entries are 16 bits");

/* A bucket and a sign for each coordinate in turn, then sorted by bucket (a
 * counting sort, so coordinates stay in order within one) and padded. */
static void draw_sketch(struct source *source, uint16_t *sketch, uint32_t dim,
                        uint32_t width, uint32_t *drawn) {
    uint16_t *end = sketch, *entry = sketch + width;
    memset(end, 0, width * sizeof *end);
    for (uint32_t i = 0; i < dim; i++) {
        uint32_t bucket = draw_below(source, width);
        drawn[i] = bucket << 1 | draw_negative(source);
        end[bucket]++;
    }
    uint32_t start = 0;
    for (uint32_t j = 0; j < width; j++) {
        uint32_t count = end[j], padded = 0;
        end[j] = (uint16_t)start;
        for (; padded < count; padded += INV_SKETCH_GROUP)
            for (uint32_t i = 0; i < INV_SKETCH_GROUP; i++)
                entry[start + padded + i] = (uint16_t)(2 * dim);
        start += padded;
    }
    for (uint32_t i = 0; i < dim; i++) /* turns each start into its end */
        entry[end[drawn[i] >> 1]++] =
            (uint16_t)((drawn[i] & 1) != 0 ? dim + i : i);
    for (uint32_t j = 0; j < width; j++)
        end[j] = (uint16_t)((end[j] + INV_SKETCH_GROUP - 1) / INV_SKETCH_GROUP);
}

static void draw_sketches(struct inv_muvera *muvera, uint32_t *scratch) {
    const struct inv_muvera_params *params = &muvera->params;
    const char *purpose =
        params->sketch_per_cell ? "muvera.cell-sketch" : "muvera.sketch";
    size_t count = inv_muvera_sketch_count(params);
    for (size_t i = 0; i < count; i++) {
        struct source source;
        source_init(&source, params, purpose, i, i);
        draw_sketch(&source, muvera->sketches + i * muvera->sketch_stride,
                    params->dim, params->width, scratch);
    }
}

static void draw_last(struct inv_muvera *muvera) {
    const struct inv_muvera_params *params = &muvera->params;
    size_t length = params->repetitions * muvera->cells * params->width;
    struct source source;
    source_init(&source, params, "muvera.final", 0, 0);
    for (size_t i = 0; i < length; i++) {
        uint32_t bucket = draw_below(&source, params->final_dim);
        muvera->last[i] = bucket << 1 | draw_negative(&source);
    }
}

size_t inv_muvera_sketch_count(const struct inv_muvera_params *params) {
    if (params->width == params->dim)
        return 0;
    size_t cells = params->sketch_per_cell ? (size_t)1 << params->bits : 1;
    return params->repetitions * cells;
}

void inv_muvera_draw(struct inv_muvera *muvera, uint32_t *scratch) {
    if (muvera->planes != NULL)
        draw_planes(muvera);
    if (muvera->sketches != NULL)
        draw_sketches(muvera, scratch);
    if (muvera->last != NULL)
        draw_last(muvera);
}
