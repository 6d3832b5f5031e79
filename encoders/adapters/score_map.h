/*
 * score_map.h: scores of one space on the scale of another, for merging lists
 * of documents that live in different spaces: a monotone, piecewise linear map
 * through quantiles of both (.5, .9, .99, .999 of held-out scores, and of what
 * lies beyond as far as the sample tells). Plain values; any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_SCORE_MAP_H
#define INV_ENCODERS_ADAPTERS_SCORE_MAP_H

#include <stddef.h>

#define INV_SCORE_KNOTS 8

struct inv_score_map {
    size_t count; /* 0: scores stay as they are */
    double from[INV_SCORE_KNOTS], to[INV_SCORE_KNOTS]; /* both ascending */
};

/* The map through (from[i], to[i]), i < count; points that do not ascend
 * strictly in both, or that are not finite, are left out, those beyond
 * INV_SCORE_KNOTS too. One point: a shift. None: the identity. */
void inv_score_map_init(struct inv_score_map *map, const double *from,
                        const double *to, size_t count);
/* Through the quantiles of two samples of `count` scores of the same pairs of
 * query and document, in any order; both get sorted. */
void inv_score_map_quantiles(struct inv_score_map *map, double *from,
                             double *to, size_t count);
/* Beyond the ends the line goes on as it came. Strictly ascending. */
double inv_score_map_apply(const struct inv_score_map *map, double score);
/* As numbers that can be kept: `from` and `to` of one knot after the other into
 * out (room for 2 x INV_SCORE_KNOTS); returns how many. */
size_t inv_score_map_write(const struct inv_score_map *map, double *out);
/* The map of `count` such numbers; what cannot be one is the identity. */
void inv_score_map_read(struct inv_score_map *map, const double *numbers,
                        size_t count);
/* The other way: invert(apply(x)) is x but for rounding. */
double inv_score_map_invert(const struct inv_score_map *map, double score);

#endif
