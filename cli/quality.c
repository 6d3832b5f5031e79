/*
 * quality.c: see quality.h.
 */
#include "cli/quality.h"

#include <math.h>
#include <stdlib.h>

static double dcg(const double *gains, size_t count, size_t k) {
    double sum = 0;
    for (size_t i = 0; i < count && i < k; i++)
        sum += gains[i] / log2((double)i + 2);
    return sum;
}

double inv_quality_ndcg(const double *gains, size_t count, const double *ideal,
                        size_t ideal_count, size_t k) {
    double best = dcg(ideal, ideal_count, k);
    return best > 0 ? dcg(gains, count, k) / best : 0;
}

double inv_quality_recall(const double *gains, size_t count, size_t ideal_count,
                          size_t k) {
    size_t found = 0;
    for (size_t i = 0; i < count && i < k; i++)
        found += gains[i] > 0;
    return ideal_count > 0 ? (double)found / (double)ideal_count : 0;
}

double inv_quality_reciprocal_rank(const double *gains, size_t count,
                                   size_t k) {
    for (size_t i = 0; i < count && i < k; i++)
        if (gains[i] > 0)
            return 1 / ((double)i + 1);
    return 0;
}

double inv_quality_percentile(const double *sorted, size_t count, double p) {
    if (count == 0)
        return 0;
    double rank = ceil(p * (double)count);
    size_t i = rank < 1 ? 0 : (size_t)rank - 1;
    return sorted[i < count ? i : count - 1];
}

static int ascending(const void *a, const void *b) {
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

void inv_quality_sort(double *values, size_t count) {
    if (count > 0)
        qsort(values, count, sizeof *values, ascending);
}
