/*
 * bench_adapter_apply.c: what carrying one query over an adapter costs, in
 * microseconds, beside one pass over the bytes of its matrix. y = W x + b reads
 * W once and does little else, so no code can be faster than such a pass; the
 * bar is .7 of its speed. "warm": one adapter again and again, which stays in
 * the second-level cache where it fits; "cold": adapters by turns, 64 MB of
 * them. Best of many rounds on one thread.
 */
#include "base/rng.h"
#include "encoders/adapters/adapter.h"

#include <cblas.h>
#include <stdint.h>
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

/* Reads every byte once, 64 at a time (vectors of eight, GCC and Clang). */
typedef uint64_t eight __attribute__((vector_size(64), aligned(8)));

static uint64_t pass(const float *matrix, size_t cells) {
    const eight *at = (const void *)matrix;
    eight a = {0}, b = {0}, c = {0}, d = {0};
    size_t count = cells / 16;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        a ^= at[i];
        b ^= at[i + 1];
        c ^= at[i + 2];
        d ^= at[i + 3];
    }
    for (; i < count; i++)
        a ^= at[i];
    a ^= b ^ c ^ d;
    return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

struct bench {
    struct inv_adapter **adapters;
    size_t count, dim;
    float *query, *out;
    uint64_t sink; /* so that a pass cannot be left out */
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

/* Microseconds of one application (or pass), the best round. */
static double measure(struct bench *b, int apply, int warm) {
    double best = 1e30;
    for (size_t r = 0; r < ROUNDS; r++) {
        size_t times = warm ? 64 : b->count;
        double start = microseconds();
        for (size_t i = 0; i < times; i++) {
            const struct inv_adapter *adapter = b->adapters[warm ? 0 : i];
            if (!apply)
                b->sink +=
                    pass(inv_adapter_parts(adapter).matrix, b->dim * b->dim);
            else if (inv_adapter_apply(adapter, b->query, 1, b->dim, b->out,
                                       NULL) != INV_OK)
                return -1;
        }
        double took = (microseconds() - start) / (double)times;
        best = took < best ? took : best;
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
            return 1;
        }
        for (int warm = 1; warm >= 0; warm--) {
            double took = measure(&b, 1, warm);
            double once = measure(&b, 0, warm);
            low += once < BAR * took;
            printf("%6zu %6s  %9.1f %9.1f  %6.2f%s\n", dims[i],
                   warm ? "warm" : "cold", took, once, once / took,
                   once < BAR * took ? "  below the bar" : "");
        }
        if (b.sink == 1) /* never: it keeps the passes */
            printf("\n");
        empty(&b);
    }
    printf("%d of 6 below the bar of %.1f\n", low, BAR);
    return 0;
}
