/*
 * muvera_fixture.h: what the MUVERA property tests share: random unit tokens,
 * an encoder that must build, and exact Chamfer similarity.
 */
#ifndef TESTS_MUVERA_FIXTURE_H
#define TESTS_MUVERA_FIXTURE_H

#include "base/rng.h"
#include "encoders/muvera.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* rows x dim, each of length one; the caller frees. */
static inline float *unit_tokens(size_t rows, size_t dim, uint64_t seed) {
    float *x = malloc(rows * dim * sizeof *x);
    ck_assert_ptr_nonnull(x);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.tokens", 0);
    for (size_t i = 0; i < rows; i++) {
        double norm2 = 0;
        for (size_t j = 0; j < dim; j++) {
            x[i * dim + j] = inv_stream_normal(&stream);
            norm2 += (double)x[i * dim + j] * (double)x[i * dim + j];
        }
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = (float)((double)x[i * dim + j] / sqrt(norm2));
    }
    return x;
}

static inline struct inv_muvera *must_new(const struct inv_muvera_params *p,
                                          const float *center) {
    struct inv_muvera *muvera = NULL;
    struct inv_err err;
    ck_assert_msg(inv_muvera_new(p, center, &muvera, &err) == INV_OK, "%s",
                  err.text);
    return muvera;
}

/* A new buffer with the encoding; the caller frees. */
static inline float *must_encode(const struct inv_muvera *muvera, bool document,
                                 const float *tokens, size_t rows) {
    float *out = malloc(inv_muvera_dim(muvera) * sizeof *out);
    struct inv_err err;
    ck_assert_ptr_nonnull(out);
    memset(out, 0x7f, inv_muvera_dim(muvera) * sizeof *out); /* stale bytes */
    enum inv_status status =
        document ? inv_muvera_encode_document(muvera, tokens, rows, out, &err)
                 : inv_muvera_encode_query(muvera, tokens, rows, out, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    return out;
}

static inline double dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The largest |a - b|. */
static inline double apart(const float *a, const float *b, size_t dim) {
    double most = 0;
    for (size_t i = 0; i < dim; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* sum over queries of the largest (or, with sign -1, smallest) product. */
static inline double chamfer(const float *q, size_t queries, const float *p,
                             size_t rows, size_t dim, double sign) {
    double sum = 0;
    for (size_t i = 0; i < queries; i++) {
        double best = -INFINITY;
        for (size_t j = 0; j < rows; j++)
            best = fmax(best, sign * dot(q + i * dim, p + j * dim, dim));
        sum += sign * best;
    }
    return sum;
}

/* <Fq, Fd> / R: what an encoder says the similarity is. */
static inline double estimate(const struct inv_muvera *muvera,
                              uint32_t repetitions, const float *q,
                              size_t queries, const float *p, size_t rows) {
    float *fq = must_encode(muvera, false, q, queries);
    float *fd = must_encode(muvera, true, p, rows);
    double similarity = dot(fq, fd, inv_muvera_dim(muvera)) / repetitions;
    free(fq);
    free(fd);
    return similarity;
}

#endif
