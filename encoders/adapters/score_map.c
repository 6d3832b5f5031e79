/*
 * score_map.c: see score_map.h. Knows numbers only. Any thread.
 */
#include "encoders/adapters/score_map.h"

#include <math.h>
#include <stdlib.h>

/* A quantile that fewer scores than this lie beyond says nothing. */
#define BEYOND_MIN 5

void inv_score_map_init(struct inv_score_map *map, const double *from,
                        const double *to, size_t count) {
    *map = (struct inv_score_map){.count = 0};
    for (size_t i = 0; i < count && map->count < INV_SCORE_KNOTS; i++) {
        if (!isfinite(from[i]) || !isfinite(to[i]))
            continue;
        if (map->count > 0 && (!(from[i] > map->from[map->count - 1]) ||
                               !(to[i] > map->to[map->count - 1])))
            continue;
        map->from[map->count] = from[i];
        map->to[map->count++] = to[i];
    }
}

static int ascending(const void *a, const void *b) {
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* The best hits lie beyond .999: with 50,000 scores or more .9999 is known. */
void inv_score_map_quantiles(struct inv_score_map *map, double *from,
                             double *to, size_t count) {
    static const double shares[] = {.01, .5, .9, .99, .999, .9999};
    double a[sizeof shares / sizeof *shares];
    double b[sizeof shares / sizeof *shares];
    size_t knots = 0;
    qsort(from, count, sizeof *from, ascending);
    qsort(to, count, sizeof *to, ascending);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double beyond = shares[i] < .5 ? shares[i] : 1 - shares[i];
        if (count == 0 || beyond * (double)count < BEYOND_MIN)
            continue;
        size_t at = (size_t)(shares[i] * (double)(count - 1) + .5);
        a[knots] = from[at];
        b[knots++] = to[at];
    }
    inv_score_map_init(map, a, b, knots);
}

size_t inv_score_map_write(const struct inv_score_map *map, double *out) {
    for (size_t i = 0; i < map->count; i++) {
        out[2 * i] = map->from[i];
        out[2 * i + 1] = map->to[i];
    }
    return 2 * map->count;
}

void inv_score_map_read(struct inv_score_map *map, const double *numbers,
                        size_t count) {
    double from[INV_SCORE_KNOTS];
    double to[INV_SCORE_KNOTS];
    size_t knots =
        count % 2 == 0 && count / 2 <= INV_SCORE_KNOTS ? count / 2 : 0;
    for (size_t i = 0; i < knots; i++) {
        from[i] = numbers[2 * i];
        to[i] = numbers[2 * i + 1];
    }
    inv_score_map_init(map, from, to, knots);
}

static double along(const double *x, const double *y, size_t count,
                    double value) {
    if (count == 0)
        return value;
    if (count == 1)
        return y[0] + (value - x[0]);
    size_t i = 0; /* the piece that begins at i */
    while (i + 2 < count && value > x[i + 1])
        i++;
    double slope = (y[i + 1] - y[i]) / (x[i + 1] - x[i]);
    return y[i] + (value - x[i]) * slope;
}

double inv_score_map_apply(const struct inv_score_map *map, double score) {
    return along(map->from, map->to, map->count, score);
}

double inv_score_map_invert(const struct inv_score_map *map, double score) {
    return along(map->to, map->from, map->count, score);
}
