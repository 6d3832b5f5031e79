/*
 * bench_scale.c: how long adapters take to fit and to apply, by dimension, and
 * that pairs stream: the sums of a million pairs take the memory of the sums
 * of ten thousand. Synthetic pairs of unit norm with a falling spectrum, y a
 * rotation of x and noise. Seconds are processor time in user mode (the wall
 * clock of a shared machine measures the neighbours), the least of three runs
 * up to 1,024 dimensions; one thread is meant: OPENBLAS_NUM_THREADS=1.
 *
 * usage: bench_scale [DIM...]   default 384 768 1024; 3072 takes ten minutes
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "bench/upgrade.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS 4000
#define REFLECTIONS 8
#define STREAM_DIM 384
#define STREAM_BLOCK 2000

/* ---- pairs ---- */

struct source {
    size_t dim;
    float *mirrors; /* REFLECTIONS unit rows; their product is the rotation */
    struct inv_stream stream;
};

static struct source source_new(size_t dim) {
    struct source s = {.dim = dim,
                       .mirrors =
                           upgrade_reserve(REFLECTIONS * dim, sizeof(float))};
    inv_stream_init(&s.stream, 1, "bench.scale", dim);
    for (size_t i = 0; i < REFLECTIONS; i++) {
        for (size_t j = 0; j < dim; j++)
            s.mirrors[i * dim + j] = inv_stream_normal(&s.stream);
        inv_normalize_f32(s.mirrors + i * dim, dim);
    }
    return s;
}

/* A cheap normal: the sum of four 16-bit numbers of one draw, which is enough
 * for data whose making shall not take longer than their use. */
static float draw(struct inv_stream *stream) {
    uint64_t bits = inv_stream_next(stream);
    int sum = 0;
    for (int i = 0; i < 4; i++, bits >>= 16)
        sum += (int)(bits & 0xffff) - 0x8000;
    return (float)sum * (1.f / 37837);
}

static void make(struct source *s, size_t count, float *x, float *y) {
    size_t dim = s->dim;
    float noise = .3f / sqrtf((float)dim);
    for (size_t i = 0; i < count; i++) {
        float *a = x + i * dim, *b = y + i * dim;
        for (size_t j = 0; j < dim; j++)
            a[j] = draw(&s->stream) / (1 + 8 * (float)j / (float)dim);
        inv_normalize_f32(a, dim);
        memcpy(b, a, dim * sizeof *b);
        for (size_t k = 0; k < REFLECTIONS; k++)
            inv_axpy_f32(-2 * inv_dot_f32(s->mirrors + k * dim, b, dim),
                         s->mirrors + k * dim, b, dim);
        for (size_t j = 0; j < dim; j++)
            b[j] += noise * draw(&s->stream);
        inv_normalize_f32(b, dim);
    }
}

/* ---- fitting and applying ---- */

#define STAGES 5
static const char *const stages[STAGES] = {"sums", "procrustes", "ridge",
                                           "path .1", "path .35"};

static double best(double a, double b) { return a < b ? a : b; }

static void fit(const float *x, const float *y, size_t dim, double *seconds,
                struct inv_map *last) {
    static const double kappas[] = {.1, .35};
    struct inv_pairs pairs;
    struct inv_moments m;
    struct inv_map map;
    struct inv_err err;
    double at = upgrade_cpu();
    upgrade_must(inv_pairs_init(&pairs, dim, dim, &err), &err);
    upgrade_must(inv_pairs_add(&pairs, x, y, PAIRS, &err), &err);
    upgrade_must(inv_pairs_moments(&pairs, true, false, &m, &err), &err);
    seconds[0] = best(seconds[0], upgrade_cpu() - at);
    at = upgrade_cpu();
    upgrade_must(inv_fit_procrustes(&m, &map, &err), &err);
    seconds[1] = best(seconds[1], upgrade_cpu() - at);
    inv_map_release(&map);
    at = upgrade_cpu();
    upgrade_must(inv_fit_ridge(&m, .01, &map, &err), &err);
    seconds[2] = best(seconds[2], upgrade_cpu() - at);
    for (size_t k = 0; k < 2; k++) {
        inv_map_release(&map);
        at = upgrade_cpu();
        upgrade_must(inv_fit_path(&m, kappas[k], &map, &err), &err);
        seconds[3 + k] = best(seconds[3 + k], upgrade_cpu() - at);
    }
    *last = map;
    inv_moments_release(&m);
    inv_pairs_release(&pairs);
}

/* Microseconds a query, applied one at a time as a server does. */
static double apply(const struct inv_map *map, const float *x) {
    float *out = upgrade_reserve(map->rows, sizeof *out);
    struct inv_adapter *adapter = upgrade_adapter(map);
    struct inv_err err;
    double least = INFINITY;
    for (int round = 0; round < 9; round++) {
        double at = upgrade_cpu();
        for (size_t i = 0; i < 1000; i++)
            upgrade_must(inv_adapter_apply(adapter, x + i * map->cols, 1,
                                           map->cols, out, &err),
                         &err);
        least = best(least, upgrade_cpu() - at);
    }
    inv_adapter_free(adapter);
    free(out);
    return least * 1e3;
}

static void by_dimension(size_t dim) {
    struct source s = source_new(dim);
    float *x = upgrade_reserve(PAIRS * dim, sizeof *x);
    float *y = upgrade_reserve(PAIRS * dim, sizeof *y);
    double seconds[STAGES];
    struct inv_map map = {.rows = 0};
    for (size_t i = 0; i < STAGES; i++)
        seconds[i] = INFINITY;
    make(&s, PAIRS, x, y);
    for (int round = 0; round < (dim > 1024 ? 1 : 3); round++) {
        inv_map_release(&map);
        fit(x, y, dim, seconds, &map);
    }
    printf("%5zu", dim);
    for (size_t i = 0; i < STAGES; i++)
        printf(" %10.3f", seconds[i]);
    printf(" %11.1f\n", apply(&map, x));
    fflush(stdout);
    inv_map_release(&map);
    free(x);
    free(y);
    free(s.mirrors);
}

/* ---- streaming ---- */

static double resident_mb(void) {
    char line[128];
    double mb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            mb = strtod(line + 6, NULL) / 1024;
    if (file != NULL)
        fclose(file);
    return mb;
}

static void streaming(void) {
    static const size_t counts[] = {10000, 100000, 1000000};
    struct source s = source_new(STREAM_DIM);
    float *x = upgrade_reserve(STREAM_BLOCK * STREAM_DIM, sizeof *x);
    float *y = upgrade_reserve(STREAM_BLOCK * STREAM_DIM, sizeof *y);
    struct inv_pairs pairs;
    struct inv_err err;
    double adding = 0;
    upgrade_must(inv_pairs_init(&pairs, STREAM_DIM, STREAM_DIM, &err), &err);
    printf("\nstreamed pairs, %d dimensions\n%9s %9s %12s %9s %7s\n",
           STREAM_DIM, "pairs", "s adding", "resident MB", "s path .1",
           "cosine");
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        while (pairs.count < counts[k]) {
            make(&s, STREAM_BLOCK, x, y);
            double at = upgrade_cpu();
            upgrade_must(inv_pairs_add(&pairs, x, y, STREAM_BLOCK, &err), &err);
            adding += upgrade_cpu() - at;
        }
        struct inv_moments m;
        struct inv_map map;
        double cosine, resident = resident_mb(), at = upgrade_cpu();
        upgrade_must(inv_pairs_moments(&pairs, true, false, &m, &err), &err);
        upgrade_must(inv_fit_path(&m, .1, &map, &err), &err);
        at = upgrade_cpu() - at;
        make(&s, STREAM_BLOCK, x, y); /* pairs that no fit saw */
        upgrade_must(inv_map_cosine(&map, x, y, STREAM_BLOCK, &cosine, &err),
                     &err);
        printf("%9zu %9.2f %12.1f %9.2f %7.4f\n", counts[k], adding, resident,
               at, cosine);
        fflush(stdout);
        inv_map_release(&map);
        inv_moments_release(&m);
    }
    inv_pairs_release(&pairs);
    free(x);
    free(y);
    free(s.mirrors);
}

int main(int argc, char **argv) {
    static const char *const dims[] = {"384", "768", "1024"};
    const char *const *given = argc > 1 ? (const char *const *)argv + 1 : dims;
    size_t count = argc > 1 ? (size_t)argc - 1 : sizeof dims / sizeof *dims;
    printf("%d pairs, seconds\n%5s", PAIRS, "d");
    for (size_t i = 0; i < STAGES; i++)
        printf(" %10s", stages[i]);
    printf(" %11s\n", "us a query");
    for (size_t i = 0; i < count; i++) {
        long dim = strtol(given[i], NULL, 10);
        if (dim < 2 || dim > 8192) {
            fprintf(stderr, "bench_scale: 2 to 8192 dimensions, not %s\n",
                    given[i]);
            return EXIT_FAILURE;
        }
        by_dimension((size_t)dim);
    }
    if (argc == 1)
        streaming();
    return EXIT_SUCCESS;
}
