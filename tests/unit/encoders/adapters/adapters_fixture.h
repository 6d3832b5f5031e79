/*
 * adapters_fixture.h: random rows, rotations and maps for the tests of
 * adapters. Everything is asserted; nothing is freed but by the tests.
 */
#ifndef INV_TESTS_ADAPTERS_FIXTURE_H
#define INV_TESTS_ADAPTERS_FIXTURE_H

#include "base/kernels.h"
#include "base/rng.h"
#include "encoders/adapters/fit.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call)                                                             \
    do {                                                                       \
        struct inv_err must_err = {.status = INV_OK};                          \
        struct inv_err *must = &must_err;                                      \
        ck_assert_msg((call) == INV_OK, "%s", must_err.text);                  \
    } while (0)

static inline void *must_alloc(size_t count, size_t size) {
    void *p = calloc(count == 0 ? 1 : count, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* Unit rows around an offset (the same for all, `offset` long in all). */
static inline float *unit_rows(size_t count, size_t dim, float offset,
                               uint64_t seed) {
    float *x = must_alloc(count * dim, sizeof *x);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.unit", 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] =
                inv_stream_normal(&stream) + (j % 3 == 0 ? offset : 0);
        inv_normalize_f32(x + i * dim, dim);
    }
    return x;
}

/* rows x cols with orthonormal rows (rows <= cols), by Gram-Schmidt. */
static inline double *isometry(size_t rows, size_t cols, uint64_t seed) {
    double *w = must_alloc(rows * cols, sizeof *w);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.isometry", 0);
    for (size_t i = 0; i < rows; i++) {
        double *row = w + i * cols;
        for (size_t j = 0; j < cols; j++)
            row[j] = (double)inv_stream_normal(&stream);
        for (int twice = 0; twice < 2; twice++)
            for (size_t k = 0; k < i; k++) {
                double dot = 0;
                for (size_t j = 0; j < cols; j++)
                    dot += row[j] * w[k * cols + j];
                for (size_t j = 0; j < cols; j++)
                    row[j] -= dot * w[k * cols + j];
            }
        double norm = 0;
        for (size_t j = 0; j < cols; j++)
            norm += row[j] * row[j];
        for (size_t j = 0; j < cols; j++)
            row[j] /= sqrt(norm);
    }
    return w;
}

/* y = W x + shift + noise, not normalised. */
static inline float *mapped(const float *x, size_t count, const double *w,
                            size_t rows, size_t cols, double shift,
                            double noise, uint64_t seed) {
    float *y = must_alloc(count * rows, sizeof *y);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.noise", 0);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < rows; k++) {
            double sum = shift + noise * (double)inv_stream_normal(&stream);
            for (size_t j = 0; j < cols; j++)
                sum += w[k * cols + j] * (double)x[i * cols + j];
            y[i * rows + k] = (float)sum;
        }
    return y;
}

static inline struct inv_moments moments_of(const float *x, const float *y,
                                            size_t count, size_t dx, size_t dy,
                                            bool centred, bool swapped) {
    struct inv_pairs pairs;
    struct inv_moments moments;
    MUST(inv_pairs_init(&pairs, dx, dy, must));
    MUST(inv_pairs_add(&pairs, x, y, count, must));
    MUST(inv_pairs_moments(&pairs, centred, swapped, &moments, must));
    inv_pairs_release(&pairs);
    return moments;
}

static inline double cosine_of(const struct inv_map *map, const float *x,
                               const float *y, size_t count) {
    double cosine = 0;
    MUST(inv_map_cosine(map, x, y, count, &cosine, must));
    return cosine;
}

/* Mean |W x + b - y|^2. */
static inline double error_of(const struct inv_map *map, const float *x,
                              const float *y, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < map->rows; k++) {
            double out = map->b[k];
            for (size_t j = 0; j < map->cols; j++)
                out += map->w[k * map->cols + j] * (double)x[i * map->cols + j];
            out -= (double)y[i * map->rows + k];
            sum += out * out;
        }
    return sum / (double)count;
}

static inline int run_suite(const char *name, TCase *tests) {
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
