/*
 * gate.h: what the measured quality of an adapter permits, and how sure that
 * is: paired bootstrap over queries, compatibility of several versions,
 * negative flips. Pure functions over numbers per query; any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_GATE_H
#define INV_ENCODERS_ADAPTERS_GATE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INV_GATE_MARGIN .02
#define INV_GATE_DRAWS 1000
#define INV_GATE_SLICE_LOSS .05    /* nDCG a slice may lose */
#define INV_GATE_CASCADE_SHARE .95 /* of new/new that a cascade must reach */

/* A mean with its 95 % interval. */
struct inv_interval {
    double mean, low, high;
};

/* Percentiles 2.5 and 97.5 of the means of `draws` resamples of values. The
 * same for the same seed. count 0: zeros. INV_MEMORY. */
enum inv_status inv_bootstrap(const double *values, size_t count, size_t draws,
                              uint64_t seed, struct inv_interval *interval,
                              struct inv_err *err) INV_MUST_USE;

enum inv_verdict {
    INV_VERDICT_ACTIVATE,     /* bridge and cascade */
    INV_VERDICT_CASCADE_ONLY, /* cascade, from the break-even coverage on */
    INV_VERDICT_REFUSE,       /* only by force */
};
/* "ACTIVATE", "CASCADE_ONLY", "REFUSE". */
const char *inv_verdict_name(enum inv_verdict verdict);

/* All per query, in the same order, judged on what the fit did not see. Where
 * only a part of the documents has new vectors, the new model and the cascade
 * are known on that part alone, and are compared with the old model there. */
struct inv_gate_input {
    const double *cross;   /* new queries, adapted, on the old gallery */
    const double *old_old; /* old queries on the old gallery */
    size_t queries;
    const double *new_new;     /* new queries on a new gallery; NULL: unknown */
    const double *cascade;     /* with all documents re-embedded; NULL: none */
    const double *old_covered; /* old queries on the documents of new_new */
    size_t covered_queries;    /* of the last three; 0: those of `queries`, and
                                  old_covered is old_old */
    double break_even; /* coverage from which the cascade is not worse than the
                          old model on the whole gallery; above 1: none */
    bool estimated;    /* it is, from documents that are not the whole */
    const uint32_t *slice; /* label of each query, below `slices`; NULL: none */
    size_t slices;
    double margin;
    bool proxy; /* judged by neighbours of documents: never ACTIVATE */
    uint64_t seed;
};

struct inv_gate {
    enum inv_verdict verdict;
    struct inv_interval gain; /* cross - old_old */
    double half_width;
    size_t queries_needed; /* to tell the gain from -margin in four cases of
                              five; 0: enough */
    double break_even;
    double worst_slice; /* its mean gain; 0 without slices */
    char reason[320];   /* a sentence with the numbers */
};

/* INV_INVALID for fewer than 2 queries or a slice out of range, INV_MEMORY. */
enum inv_status inv_gate_judge(const struct inv_gate_input *input,
                               struct inv_gate *gate,
                               struct inv_err *err) INV_MUST_USE;

/* The coverage at which the line through (coverage, quality) points, ascending,
 * first reaches `wanted` and stays there; 2 when it does not. */
double inv_break_even(const double *coverage, const double *quality,
                      size_t count, double wanted);

/* The same for the whole gallery, when quality was measured on a part of its
 * documents, where everything is easier to find: that curve, stretched between
 * what is known of the whole, the bridge at no coverage, and what the new model
 * should reach there, quality's last * old_whole / old_part. A curve that does
 * not rise is taken as a line. Measured on SciFact, static@1 -> static@2, 500
 * of 5,183 documents: the part's own curve said .20, this says .5, the truth
 * was .5 (backfill's order) to .6. */
double inv_break_even_whole(const double *coverage, const double *quality,
                            size_t count, double old_part, double old_whole,
                            double bridge);

/* matrix: t x t row-major; [i][j]: queries of version i on the gallery of
 * version j. ac: share of the pairs i > j with M[i][j] > M[j][j]; am: the mean
 * of the lower triangle with the diagonal. t >= 2. */
void inv_compatibility(const double *matrix, size_t t, double *ac, double *am);

/* (cross - old) / (new - old): 1 is as good as a complete re-index; 0 when
 * both models are equally good. */
double inv_update_gain(double cross, double old_old, double new_new);

/* Share of the queries that had `before` above 0 and have `after` 0. */
double inv_negative_flips(const double *before, const double *after,
                          size_t queries);

#endif
