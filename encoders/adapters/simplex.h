/*
 * simplex.h: the d-Simplex: d + 1 points of d dimensions, all equally far from
 * each other, that depend on no model (stationary representations, arXiv
 * 2405.02581). Every model version is fitted to the same vertices by the labels
 * of documents, so versions meet there without knowing each other.
 *
 * Whole space: best for retrieval of known classes, useless for classes that no
 * fit saw (digits: R@1 .403 against .685 of procrustes). Folded into an
 * existing gallery's space it helps the known and costs the unknown little.
 */
#ifndef INV_ENCODERS_ADAPTERS_SIMPLEX_H
#define INV_ENCODERS_ADAPTERS_SIMPLEX_H

#include "encoders/adapters/fit.h"

/* The vertices in d dimensions, (d + 1) x d: the rows of I and v (1, ..., 1),
 * v = (1 - sqrt(1 + d)) / d, less their mean, normalised. Any two have the
 * inner product -1/d. */
void inv_simplex_vertices(size_t dim, double *vertices);

/* logits[k] = <vertex k, z>, k = 0..d, in O(d): l_k = (z_k - m s) / nu for
 * k < d, l_d = -s / sqrt(d), with s = sum z, m = (1 + v) / (d + 1), nu =
 * sqrt((1 - m)^2 + (d - 1) m^2). */
void inv_simplex_logits(const double *z, size_t dim, double *logits);

/* Ridge from `count` rows of `dim` numbers onto the vertices of their labels:
 * labels 0..classes-1, in a space of classes - 1 dimensions; rho .01 where
 * nothing is known. Labels keep their vertex for ever: append classes, never
 * renumber. INV_INVALID for fewer than 2 classes or 2 rows, and for a label
 * without vertex, naming it and the limit. */
enum inv_status inv_fit_simplex(const float *rows, size_t count, size_t dim,
                                const uint32_t *labels, size_t classes,
                                double rho, struct inv_map *map,
                                struct inv_err *err) INV_MUST_USE;

/* How a query is mapped. base: new -> old; s_new, s_old: onto the vertices. */
struct inv_simplex {
    const struct inv_map *base, *s_new, *s_old;
    double beta; /* 0..1 */
};

/* Folded: (1 - beta) norm(B x) + beta norm(S_old^T norm(S_new x)), normalised:
 * base->rows numbers, for the gallery as it is. S x stands for W x + b, S^T
 * for W^T. */
enum inv_status inv_simplex_fold(const struct inv_simplex *simplex,
                                 const float *queries, size_t count, float *out,
                                 struct inv_err *err) INV_MUST_USE;

/* Whole: norm(S x), map->rows numbers: for queries with S_new, for documents
 * with the S of their own version. */
enum inv_status inv_simplex_whole(const struct inv_map *map, const float *rows,
                                  size_t count, float *out,
                                  struct inv_err *err) INV_MUST_USE;

/* Blend: [sqrt(1 - beta) norm(A x); sqrt(beta) norm(S x)] side by side; base
 * NULL leaves x as it is (documents). dim: of x. out has (base ? base->rows :
 * dim) + s->rows numbers a row. */
enum inv_status inv_simplex_blend(const struct inv_map *base,
                                  const struct inv_map *s, double beta,
                                  const float *rows, size_t count, size_t dim,
                                  float *out, struct inv_err *err) INV_MUST_USE;

#endif
