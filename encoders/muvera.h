/*
 * muvera.h: a token matrix becomes one fixed-dimensional encoding (FDE) whose
 * inner product with another approximates Chamfer similarity (MaxSim).
 *
 * Source: MUVERA, arXiv 2405.19504, section 2 and definition 2.1; reference
 * behaviour: google/graph-mining, sketching/point_cloud. `muvera+` adds a
 * centre, damped fill and one sketch per cell (docs/encoders.md, measured).
 *
 * An encoder is immutable after inv_muvera_new: any number of threads may
 * encode with it. <Fq, Fd> / R estimates sum_q max_p <q, p>. Never normalise
 * an FDE.
 */
#ifndef INV_ENCODERS_MUVERA_H
#define INV_ENCODERS_MUVERA_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inv_muvera_generator {
    INV_GENERATOR_INVAR1,    /* counter-based streams of one 64-bit seed */
    INV_GENERATOR_REFERENCE, /* mt19937 as the authors' code draws; the seed
                                must fit in 32 bits */
};

/* What an empty cell of a document takes. */
enum inv_muvera_fill {
    INV_FILL_NONE,
    INV_FILL_NEAREST, /* the token nearest in Hamming distance; the first of
                         equals, so the order of tokens matters */
    INV_FILL_DAMPED,  /* max(0, cos(pi t / k))^2 * mean of all tokens at the
                         nearest distance t */
};

struct inv_muvera_params {
    uint32_t dim;         /* of a token, 1..INV_DIM_MAX */
    uint32_t repetitions; /* R >= 1 */
    uint32_t bits;        /* k, 0..INV_FDE_BITS_MAX; 2^k cells */
    uint32_t width;       /* m, 1..dim; m == dim: identity projection */
    uint32_t final_dim;   /* Count-Sketch of the whole FDE, 0: none */
    uint64_t seed;
    enum inv_muvera_generator generator;
    enum inv_muvera_fill fill;
    bool center;          /* remove the gallery's mean direction; needs one */
    bool sketch_per_cell; /* independent sketch per (repetition, cell) */
};

struct inv_muvera;

/* Sets R, k, m of a preset: "small" (20,3,8), "default" (20,4,8), "quality"
 * (20,5,16). INV_INVALID, naming the three, for another. */
enum inv_status inv_muvera_preset(const char *name,
                                  struct inv_muvera_params *params,
                                  struct inv_err *err) INV_MUST_USE;

/* Checks without building: every limit, with both numbers in the text.
 * INV_INVALID beyond: dim, repetitions, bits, width as above; an encoding of
 * more than INV_FDE_DIM_MAX floats (with a final sketch: 16 times that before
 * it); random matrices of more than 256 MB; with the reference generator a
 * seed beyond 32 bits or a sketch per cell, of which it has none. */
enum inv_status inv_muvera_check(const struct inv_muvera_params *params,
                                 struct inv_err *err) INV_MUST_USE;

/* center: `dim` floats (a mean of gallery tokens, any length), copied; NULL
 * encodes without one even where params.center is set (state 0), as does a
 * centre of zeros. INV_NOT_FINITE as for tokens. */
enum inv_status inv_muvera_new(const struct inv_muvera_params *params,
                               const float *center, struct inv_muvera **out,
                               struct inv_err *err) INV_MUST_USE;
void inv_muvera_free(struct inv_muvera *muvera);

/* Floats of an encoding: final_dim, or R * 2^k * m. */
size_t inv_muvera_dim(const struct inv_muvera *muvera);

/* tokens: rows x dim. out: inv_muvera_dim floats, overwritten. All-zero rows
 * are dropped; no row left is INV_INVALID. NaN, Inf or |x| > 1e15:
 * INV_NOT_FINITE naming row and column. Scratch memory is that of
 * the call, O(rows * (R + dim) + 2^k), and fails as INV_MEMORY. One document
 * gives the same bits alone, after others and on any thread, provided that
 * OpenBLAS runs on one thread. */
enum inv_status inv_muvera_encode_query(const struct inv_muvera *muvera,
                                        const float *tokens, size_t rows,
                                        float *out,
                                        struct inv_err *err) INV_MUST_USE;
enum inv_status inv_muvera_encode_document(const struct inv_muvera *muvera,
                                           const float *tokens, size_t rows,
                                           float *out,
                                           struct inv_err *err) INV_MUST_USE;

#endif
