/*
 * simplex_fit.h: the map of one model into a gallery that is in the d-Simplex
 * for ever (simplex.h), and how good it is. The maps of all versions go to the
 * same vertices, so vectors of different versions may be compared, and so may
 * vectors that went through maps of different folds: each labelled vector is
 * judged through a map that did not see it, among others of which the same
 * holds.
 *
 * Works on memory. One thread a call; everything random follows from the seed.
 */
#ifndef INV_ENCODERS_ADAPTERS_SIMPLEX_FIT_H
#define INV_ENCODERS_ADAPTERS_SIMPLEX_FIT_H

#include "encoders/adapters/evaluate.h"

#define INV_SIMPLEX_FOLDS 5
#define INV_SIMPLEX_RHO .01
/* Judged at most, evenly out of what is there: 2,000 x 10,000 scores of 100
 * dimensions take a second. */
#define INV_SIMPLEX_QUERIES_MAX 2000
#define INV_SIMPLEX_GALLERY_MAX 10000

/* Vectors of a model, of norm 1. Borrowed. */
struct inv_labelled {
    size_t count, dim;
    const float *rows;
    const uint32_t *labels; /* vertices; INV_FIT_NO_LABEL: none */
    const uint32_t *items;  /* what it is a vector of: the same number in two
                               models is the same item, and none of it is an
                               answer to the other */
    const uint8_t *use;     /* enum inv_fit_use */
};

struct inv_simplex_data {
    struct inv_labelled model;        /* that is fitted */
    const struct inv_labelled *first; /* of the first model; NULL: it is that */
    size_t classes;                   /* vertices; dimensions: one fewer */
    /* A blend keeps base_dim dimensions of the first model beside, with 1 -
     * blend of the score. base: what model.rows are in the first model, where
     * has_base; both NULL for the first model, which stays as it is. */
    size_t base_dim; /* 0: none */
    double blend;
    const float *base; /* model.count x base_dim */
    const bool *has_base;
    double rho, margin;
    uint64_t seed;
    const char *from, *to; /* spaces of the adapter */
};

/* Share of the queries whose nearest neighbour is of their class, and the mean
 * of their average precisions. */
struct inv_label_quality {
    double first, map;
    size_t queries;
};

struct inv_simplex_result {
    size_t labelled, classes, base_pairs; /* that were fitted */
    size_t folds;
    struct inv_label_quality held_out;  /* on the first model's vectors */
    struct inv_label_quality own;       /* of the model, in its own space */
    struct inv_label_quality reference; /* of the first model, in its own */
    struct inv_gate gate;               /* held_out against reference, by the
                                           first neighbour: ACTIVATE, REFUSE */
    double r, condition;                /* of the map onto the vertices */
    struct inv_adapter *adapter;        /* the caller's, inv_adapter_free */
};

/* Fits, judges. progress may be NULL; true stops with INV_CANCELLED. A model
 * that cannot be judged is refused by the gate, which says why. INV_INVALID
 * for fewer than 2 labelled rows, INV_DIMENSION for a first model of other than
 * base_dim dimensions, INV_MEMORY. */
enum inv_status inv_simplex_fit_judge(
    const struct inv_simplex_data *data,
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total),
    void *ctx, struct inv_simplex_result *result,
    struct inv_err *err) INV_MUST_USE;

/* How well rows of `queries` find rows of their class in `gallery` by inner
 * product, each for itself: hit[i] 1 or 0, precision[i] the average precision
 * (NULL: not wanted). queries[i].items never find themselves. A row without
 * label, kept out of judgements or without answer: hit -1. Both sets have the
 * same dim. INV_MEMORY. */
enum inv_status inv_judge_labels(const struct inv_labelled *queries,
                                 const struct inv_labelled *gallery,
                                 double *hit, double *precision,
                                 struct inv_err *err) INV_MUST_USE;

#endif
