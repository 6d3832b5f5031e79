/*
 * fit.h: adapters from data. The closed forms (procrustes, ridge, path) read
 * the moments of vector pairs; the contrastive fit reads relevance pairs; the
 * joint loss of lambda-orthogonality (arXiv 2509.16664) is in paper.h.
 *
 * A fit belongs to the thread that calls it and touches nothing else. OpenBLAS
 * takes the threads that the caller has set.
 */
#ifndef INV_ENCODERS_ADAPTERS_FIT_H
#define INV_ENCODERS_ADAPTERS_FIT_H

#include "base/status.h"
#include "encoders/adapters/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A fitted map y = W x + b in fp64, and what is to be said about it. */
struct inv_map {
    size_t rows, cols;
    double *w;        /* rows x cols, row-major */
    double *b;        /* rows */
    double r;         /* norm_F(W W^T - I), of the smaller side's Gram matrix */
    double condition; /* largest over smallest singular value */
    double knob;      /* the rho or lambda that was used; 0: none */
    size_t trials;    /* of the path: how often r was computed */
};

enum inv_status inv_map_init(struct inv_map *map, size_t rows, size_t cols,
                             struct inv_err *err) INV_MUST_USE;
void inv_map_release(struct inv_map *map); /* zeroed: does nothing */
enum inv_status inv_map_copy(const struct inv_map *from, struct inv_map *to,
                             struct inv_err *err) INV_MUST_USE;
/* W and b as floats. */
void inv_map_floats(const struct inv_map *map, float *w, float *b);
/* norm_F(W W^T - I), of W^T W when there are more rows than columns; `gram`
 * holds min(rows, cols)^2 numbers and gets W W^T - I, full. */
double inv_map_r(const double *w, size_t rows, size_t cols, double *gram);
/* Fills r and condition. INV_MEMORY, INV_INTERNAL. */
enum inv_status inv_map_measure(struct inv_map *map,
                                struct inv_err *err) INV_MUST_USE;
/* Mean cosine of W x + b and y over pairs. INV_MEMORY. */
enum inv_status inv_map_cosine(const struct inv_map *map, const float *x,
                               const float *y, size_t count, double *cosine,
                               struct inv_err *err) INV_MUST_USE;

/* The isometry nearest to the pairs: Cyx = U S V^T, W = U V^T, b = mean_y - W
 * mean_x. For a rectangle this is the block that the square problem of the
 * zero-padded shorter side gives (tested), at its own size. Every function
 * here initialises *map, which stays empty after a failure: INV_MEMORY, or
 * INV_INTERNAL when LAPACK finds no solution. */
enum inv_status inv_fit_procrustes(const struct inv_moments *moments,
                                   struct inv_map *map,
                                   struct inv_err *err) INV_MUST_USE;

/* W = Cyx (Cxx + rho tr(Cxx)/d I)^-1; rho > 0. */
enum inv_status inv_fit_ridge(const struct inv_moments *moments, double rho,
                              struct inv_map *map,
                              struct inv_err *err) INV_MUST_USE;

/* The same, rho of .001 .003 .01 .03 .1 .3 by the mean cosine of pairs that
 * are not in the moments. */
enum inv_status inv_fit_ridge_held_out(const struct inv_moments *moments,
                                       const float *x, const float *y,
                                       size_t count, struct inv_map *map,
                                       struct inv_err *err) INV_MUST_USE;

/* W(mu) = (Cyx + mu Q)(Cxx + mu I)^-1 between Q = procrustes (mu = inf) and
 * least squares (mu = 0), at r(W) = kappa sqrt(d) within 1 %, where d is the
 * smaller dimension; kappa 0 is procrustes, and where least squares has a
 * smaller r, it is least squares. kappa in [0, 10]. */
enum inv_status inv_fit_path(const struct inv_moments *moments, double kappa,
                             struct inv_map *map,
                             struct inv_err *err) INV_MUST_USE;

#endif
