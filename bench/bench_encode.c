/*
 * bench_encode.c: what one MUVERA encoding costs on one thread, in
 * microseconds, beside the bars of the design. Random unit tokens, which
 * spread over more cells than real ones do: the costly case. The fastest and
 * the median of many rounds are printed; each round encodes other documents.
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "encoders/muvera.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DIM 128
#define DOCUMENT 100 /* tokens */
#define QUERY 32
#define CORPUS 32 /* different documents and queries */
#define ROUNDS 41
#define PER_ROUND 64

static double microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct timing {
    double best, median;
};

static int measure(const struct inv_muvera *muvera, int document,
                   const float *tokens, float *out, struct timing *timing) {
    double round[ROUNDS];
    size_t rows = document ? DOCUMENT : QUERY;
    for (size_t r = 0; r < ROUNDS; r++) {
        double start = microseconds();
        for (size_t i = 0; i < PER_ROUND; i++) {
            const float *x = tokens + ((r + i) % CORPUS) * DOCUMENT * DIM;
            enum inv_status status =
                document
                    ? inv_muvera_encode_document(muvera, x, rows, out, NULL)
                    : inv_muvera_encode_query(muvera, x, rows, out, NULL);
            if (status != INV_OK)
                return 1;
        }
        round[r] = (microseconds() - start) / PER_ROUND;
    }
    qsort(round, ROUNDS, sizeof round[0], by_value);
    *timing = (struct timing){round[0], round[ROUNDS / 2]};
    return 0;
}

static const struct {
    const char *name;
    uint32_t repetitions, bits, width;
    int plus; /* centre, damped fill, per-cell sketch */
    double document_bar, query_bar;
} cases[] = {
    {"muvera  (10,4,16)", 10, 4, 16, 0, 60, 25},
    {"muvera+ (10,4,16)", 10, 4, 16, 1, 60, 25},
    {"muvera  (20,5,16)", 20, 5, 16, 0, 120, 0},
    {"muvera+ (20,5,16) quality", 20, 5, 16, 1, 120, 0},
    {"muvera+ (20,4,8) default", 20, 4, 8, 1, 0, 0},
    {"muvera+ (20,3,8) small", 20, 3, 8, 1, 0, 0},
};

static int run_case(size_t c, const float *tokens, const float *center) {
    struct inv_muvera_params params = {
        .dim = DIM,
        .repetitions = cases[c].repetitions,
        .bits = cases[c].bits,
        .width = cases[c].width,
        .seed = 1,
        .generator = INV_GENERATOR_INVAR1,
        .fill = cases[c].plus ? INV_FILL_DAMPED : INV_FILL_NEAREST,
        .center = cases[c].plus,
        .sketch_per_cell = cases[c].plus,
    };
    struct inv_muvera *muvera = NULL;
    struct inv_err err;
    double start = microseconds();
    if (inv_muvera_new(&params, center, &muvera, &err) != INV_OK) {
        fprintf(stderr, "%s: %s\n", cases[c].name, err.text);
        return 1;
    }
    double built = microseconds() - start;
    float *out = malloc(inv_muvera_dim(muvera) * sizeof *out);
    struct timing document, query;
    int failed = out == NULL || measure(muvera, 1, tokens, out, &document) ||
                 measure(muvera, 0, tokens, out, &query);
    if (!failed)
        printf("%-26s %6.1f %6.1f %5.0f   %6.1f %6.1f %5.0f   %7.0f\n",
               cases[c].name, document.best, document.median,
               cases[c].document_bar, query.best, query.median,
               cases[c].query_bar, built);
    free(out);
    inv_muvera_free(muvera);
    return failed;
}

int main(void) {
    openblas_set_num_threads(1);
    size_t count = (size_t)CORPUS * DOCUMENT;
    float *tokens = malloc(count * DIM * sizeof *tokens);
    float center[DIM];
    if (tokens == NULL)
        return 1;
    struct inv_stream stream;
    inv_stream_init(&stream, 1, "bench.tokens", 0);
    for (size_t i = 0; i < count * DIM; i++)
        tokens[i] = inv_stream_normal(&stream);
    for (size_t i = 0; i < count; i++)
        inv_normalize_f32(tokens + i * DIM, DIM);
    for (size_t i = 0; i < DIM; i++)
        center[i] = inv_stream_normal(&stream);
    printf("kernels %s, d = %d, document %d tokens, query %d; microseconds\n",
           inv_kernels_name(), DIM, DOCUMENT, QUERY);
    printf("%-26s %6s %6s %5s   %6s %6s %5s   %7s\n", "(R,k,m)", "doc",
           "median", "bar", "query", "median", "bar", "build");
    int failed = 0;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        failed |= run_case(c, tokens, center);
    free(tokens);
    return failed;
}
