/* verify-faiss.c: proves that an installed FAISS compiles, links and answers
 * through its C API. install-faiss.sh runs it on every install and re-use.
 * index_factory() refers to nearly every index and transform, so linking it
 * also proves that BLAS, LAPACK and OpenMP resolve. */
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* 67 dimensions leave a tail after the 8-float steps of AVX2. */
enum { DIMS = 67, VECTORS = 500, QUERIES = 20, K = 5 };

static float vectors[VECTORS][DIMS];
static float queries[QUERIES][DIMS];

/* A fixed generator in [-1, 1): the same numbers on every machine. */
static float next_float(void) {
    static uint32_t state = 20240229;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void fail(const char *what) {
    const char *why = faiss_get_last_error();
    fprintf(stderr, "verify-faiss: %s%s%s\n", what, why ? ": " : "",
            why ? why : "");
    exit(1);
}

static double squared_distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < DIMS; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum;
}

/* Each answer must be at its own distance, in order, and with exactly as many
 * vectors nearer as its rank says (up to rounding, hence the margin). */
static void check_answers(const float *query, const float *distances,
                          const int64_t *labels) {
    for (int rank = 0; rank < K; rank++) {
        if (labels[rank] < 0 || labels[rank] >= VECTORS)
            fail("search returned an unknown id");
        double exact = squared_distance(query, vectors[labels[rank]]);
        double margin = 1e-4 * (1 + exact);
        if (!(fabs((double)distances[rank] - exact) <= margin))
            fail("search returned a wrong distance");
        int nearer = 0;
        for (int i = 0; i < VECTORS; i++)
            nearer += squared_distance(query, vectors[i]) < exact - margin;
        if (nearer > rank)
            fail("search missed a nearer vector");
        for (int other = 0; other < rank; other++)
            if (labels[other] == labels[rank])
                fail("search returned one vector twice");
    }
}

int main(void) {
    for (int i = 0; i < VECTORS; i++)
        for (int j = 0; j < DIMS; j++)
            vectors[i][j] = next_float();
    for (int i = 0; i < QUERIES; i++)
        for (int j = 0; j < DIMS; j++)
            queries[i][j] = next_float();

    FaissIndex *index = NULL;
    if (faiss_index_factory(&index, DIMS, "Flat", METRIC_L2))
        fail("index_factory");
    if (faiss_Index_add(index, VECTORS, &vectors[0][0]))
        fail("add");
    if (faiss_Index_ntotal(index) != VECTORS)
        fail("the index lost vectors");

    float distances[QUERIES][K];
    int64_t labels[QUERIES][K];
    if (faiss_Index_search(index, QUERIES, &queries[0][0], K, &distances[0][0],
                           &labels[0][0]))
        fail("search");
    for (int i = 0; i < QUERIES; i++)
        check_answers(queries[i], distances[i], labels[i]);

    /* An error must come back as a code, not as an exception through C. */
    FaissIndex *bad = NULL;
    if (!faiss_index_factory(&bad, DIMS, "NoSuchIndex", METRIC_L2))
        fail("index_factory accepted a nonsense description");

    faiss_Index_free(index);
    return 0;
}
