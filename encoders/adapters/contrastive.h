/*
 * contrastive.h: an adapter from relevance pairs: vectors of queries in the new
 * model (documents' own titles will do) and the stored document each belongs
 * to. The softmax of the adapted query over the gallery's old vectors shall
 * point at its document, while r(W) stays below kappa sqrt(d):
 *
 *   mean -log softmax_j(<B(x_i), g_j> / tau)[d_i] + sigmoid(alpha (r - lambda))
 * r
 *
 * On scifact, minilm-l3 -> l6 with titles: nDCG@10 .57 where procrustes gives
 * .53 and the old system .56.
 */
#ifndef INV_ENCODERS_ADAPTERS_CONTRASTIVE_H
#define INV_ENCODERS_ADAPTERS_CONTRASTIVE_H

#include "encoders/adapters/fit.h"

/* Query i (of `dim` numbers, normalised) belongs to gallery row document[i].
 * Several queries may share a document. */
struct inv_relevance {
    const float *queries;
    const uint32_t *document;
    size_t count, dim;
    const float *gallery; /* old vectors, normalised; documents that shall
                             judge the fit must not be among them */
    size_t gallery_count, gallery_dim;
};

struct inv_contrastive {
    double temperature; /* 0: .02 or .05, chosen together with the stop */
    double kappa;       /* .2 */
    double alpha;       /* 50: below, r settles under lambda or runs away */
    double rate;        /* 3e-4 */
    uint32_t steps;     /* 600: all of them, or at most when choosing */
    uint32_t batch;     /* 128 */
    uint32_t columns;   /* 16384: gallery rows that compete, at most */
    uint64_t seed;
    /* Called after every step; false ends the fit with INV_CANCELLED. NULL:
     * none. */
    bool (*go_on)(void *context, size_t step, size_t steps);
    void *context;
};
struct inv_contrastive inv_contrastive_defaults(void);

/* What choosing came to. */
struct inv_contrastive_choice {
    double temperature;
    size_t steps;
    size_t judged;  /* held-out pairs that chose; 0: nothing was chosen */
    double ndcg10;  /* of those, at the chosen stop */
    size_t columns; /* gallery rows that competed */
};

/* Starts at `start` (rows = gallery_dim, cols = dim), which stays as it is.
 * With temperature 0 and 100 pairs or more, every seventh document is held out
 * (neither positive nor negative), the temperature is what ranks the
 * held-out pairs best, the stop the last step within one standard error of it,
 * and the fit is repeated on all of them; with fewer pairs it is .05 and 200
 * steps. A gallery beyond `columns` competes with the documents of the pairs
 * and a sample of the others. INV_INVALID, INV_DIMENSION, INV_MEMORY,
 * INV_CANCELLED. */
enum inv_status inv_fit_contrastive(const struct inv_map *start,
                                    const struct inv_relevance *relevance,
                                    const struct inv_contrastive *options,
                                    struct inv_map *map,
                                    struct inv_contrastive_choice *choice,
                                    struct inv_err *err) INV_MUST_USE;

/* ---- one step, for the fit and its tests ---- */

struct inv_contrastive_shape {
    size_t rows, cols; /* of W */
    size_t batch, columns;
    double temperature, lambda, alpha;
};

/* Numbers the scratch of a shape holds. */
size_t inv_contrastive_scratch(const struct inv_contrastive_shape *shape);

/* The loss of a batch and its gradients. x: batch x cols; positive[i]: row of
 * `gallery` (columns x rows). gw: rows x cols, gb: rows. *r gets r(W). */
double inv_contrastive_gradient(const struct inv_contrastive_shape *shape,
                                const float *w, const float *b, const float *x,
                                const uint32_t *positive, const float *gallery,
                                float *scratch, float *gw, float *gb,
                                double *r);

#endif
