/*
 * muvera_internal.h: what the three files of the MUVERA encoder share: the
 * built encoder (muvera.c checks and builds it, muvera_encode.c reads it) and
 * the drawing of its random matrices (muvera_matrices.c). Nobody else includes
 * this file.
 */
#ifndef INV_ENCODERS_MUVERA_INTERNAL_H
#define INV_ENCODERS_MUVERA_INTERNAL_H

#include "base/limits.h"
#include "encoders/muvera.h"

/* Entries of a sketch are summed in groups of this many. */
#define INV_SKETCH_GROUP 4

/* A Count-Sketch of d coordinates into m buckets, laid out for reading:
 *
 *   uint16_t end[m]    the entries of bucket j are groups end[j-1] .. end[j)
 *   uint16_t entry[]   an index into (x, -x, 0), 2 * d + 1 numbers: i for
 *                      +x[i], d + i for -x[i], 2 * d to pad a group
 *
 * sorted by bucket and, within one, by coordinate. Whole groups take up to a
 * third less time at m = 16: fewer ends of short loops are guessed wrong. */
struct inv_muvera {
    struct inv_muvera_params params;
    size_t cells;         /* 2^k */
    size_t planes_count;  /* R * k */
    float *planes;        /* dim x planes_count: column r * k + j; or NULL */
    uint16_t *sketches;   /* R or R * cells of them; NULL: identity */
    size_t sketch_stride; /* numbers from one to the next */
    uint32_t *last;       /* final sketch: bucket << 1 | sign; or NULL */
    float *center;        /* unit length, dim floats; or NULL */
    uint8_t *distance;    /* popcount of every number below `cells` */
    uint32_t *near;       /* those numbers by popcount: a cell ^ near[i] ... */
    uint32_t ring[INV_FDE_BITS_MAX + 2]; /* ... for ring[t] <= i < ring[t+1]
                                            is at Hamming distance t */
    uint32_t *position; /* of a cell's block within its repetition */
    float damping[INV_FDE_BITS_MAX + 1]; /* weight at Hamming distance t */
};

/* How many sketches of the inner projection there are: 0, R or R * 2^k. */
size_t inv_muvera_sketch_count(const struct inv_muvera_params *params);

/* The stride above: m ends and d entries, each bucket's padded. */
static inline size_t
inv_muvera_sketch_stride(const struct inv_muvera_params *params) {
    size_t padding = (size_t)(INV_SKETCH_GROUP - 1) * params->width;
    return (size_t)params->width + params->dim + padding;
}

/* Fill planes, sketches and last, where they are not NULL. `scratch` holds
 * `dim` 32-bit words. */
void inv_muvera_draw(struct inv_muvera *muvera, uint32_t *scratch);

#endif
