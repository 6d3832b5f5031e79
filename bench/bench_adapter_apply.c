/*
 * bench_adapter_apply.c: what carrying one query over an adapter costs, in
 * microseconds, beside one pass over the bytes of its matrix. y = W x + b reads
 * W once and does little else, so no code can be faster than such a pass (an
 * inner product of the matrix with itself here, by the kernels that scan
 * galleries); the bar is .7 of its speed from memory. "cold": adapters by
 * turns, 64 MB of them, as queries of many collections would; "warm": one again
 * and again, which stays in the second-level cache where it fits. Best of many
 * rounds on one thread.
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "encoders/adapters/adapter.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLD_BYTES ((size_t)64 << 20)
#define ROUNDS 31
#define BAR .7

static double microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

struct bench {
    struct inv_adapter **adapters;
    size_t count, dim;
    float *query, *out;
    float sink; /* so that a pass cannot be left out */
};

static int fill(struct bench *b, size_t dim) {
    size_t cells = dim * dim;
    float *matrix = malloc(cells * sizeof *matrix);
    struct inv_stream stream;
    inv_stream_init(&stream, 7, "bench", 0);
    *b = (struct bench){.dim = dim};
    b->count = COLD_BYTES / (cells * sizeof *matrix) + 1;
    b->adapters = calloc(b->count, sizeof(struct inv_adapter *));
    b->query = malloc(dim * sizeof *b->query);
    b->out = malloc(dim * sizeof *b->out);
    int failed = matrix == NULL || b->adapters == NULL || b->query == NULL ||
                 b->out == NULL;
    for (size_t i = 0; !failed && i < cells; i++)
        matrix[i] = inv_stream_normal(&stream);
    for (size_t i = 0; !failed && i < dim; i++)
        b->query[i] = inv_stream_normal(&stream);
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_PROCRUSTES,
                                      .from = "new",
                                      .to = "old",
                                      .rows = dim,
                                      .cols = dim,
                                      .matrix = matrix,
                                      .normalise = true};
    for (size_t i = 0; !failed && i < b->count; i++)
        failed = inv_adapter_new(&parts, &b->adapters[i], NULL) != INV_OK;
    free(matrix);
    return failed;
}

static void empty(struct bench *b) {
    for (size_t i = 0; b->adapters != NULL && i < b->count; i++)
        inv_adapter_free(b->adapters[i]);
    free(b->adapters);
    free(b->query);
    free(b->out);
}

struct timing {
    double apply, pass; /* microseconds of one, the best round */
};

/* One round of applications or passes; negative: it failed. */
static double round_of(struct bench *b, bool apply, bool warm) {
    size_t times = warm ? 64 : b->count;
    double start = microseconds();
    for (size_t i = 0; i < times; i++) {
        const struct inv_adapter *adapter = b->adapters[warm ? 0 : i];
        const float *matrix = inv_adapter_parts(adapter).matrix;
        if (!apply)
            b->sink += inv_dot_f32(matrix, matrix, b->dim * b->dim);
        else if (inv_adapter_apply(adapter, b->query, 1, b->dim, b->out,
                                   NULL) != INV_OK)
            return -1;
    }
    return (microseconds() - start) / (double)times;
}

/* By turns, so that a busy machine slows both. */
static struct timing measure(struct bench *b, bool warm) {
    struct timing best = {1e30, 1e30};
    for (size_t r = 0; r < ROUNDS; r++) {
        double apply = round_of(b, true, warm);
        double pass = round_of(b, false, warm);
        best.apply = apply < best.apply ? apply : best.apply;
        best.pass = pass < best.pass ? pass : best.pass;
    }
    return best;
}

int main(void) {
    static const size_t dims[] = {384, 768, 1024};
    openblas_set_num_threads(1);
    printf("%6s %6s  %9s %9s  %6s\n", "dim", "", "apply us", "pass us",
           "share");
    int low = 0;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        struct bench b;
        if (fill(&b, dims[i]) != 0) {
            fprintf(stderr, "out of memory\n");
            empty(&b);
            return 1;
        }
        for (int warm = 1; warm >= 0; warm--) {
            struct timing best = measure(&b, warm);
            bool below = !warm && best.pass < BAR * best.apply;
            low += below;
            printf("%6zu %6s  %9.1f %9.1f  %6.2f%s\n", dims[i],
                   warm ? "warm" : "cold", best.apply, best.pass,
                   best.pass / best.apply, below ? "  below the bar" : "");
        }
        if (!(b.sink > 0))
            printf("a pass read nothing\n");
        empty(&b);
    }
    printf("%d of 3 below the bar of %.1f from memory\n", low, BAR);
    return 0;
}
