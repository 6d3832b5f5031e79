/*
 * rng.h: reproducible randomness. `inv_stream` is the product's own generator
 * (invar/1): one 64-bit seed and a counter-based stream for each (purpose,
 * index), so that no draw depends on how many others were made. `inv_mt` is
 * mt19937, for reproducing encodings that other code made.
 */
#ifndef INV_BASE_RNG_H
#define INV_BASE_RNG_H

#include <stdint.h>

struct inv_stream {
    uint64_t state;
    float spare;
    int has_spare;
};

/* The stream of (seed, purpose, index); purpose is a short constant string. */
void inv_stream_init(struct inv_stream *stream, uint64_t seed,
                     const char *purpose, uint64_t index);
uint64_t inv_stream_next(struct inv_stream *stream); /* splitmix64 */
/* Uniform in [0, n), unbiased; n >= 1. */
uint32_t inv_stream_below(struct inv_stream *stream, uint32_t n);
double inv_stream_uniform(struct inv_stream *stream); /* [0, 1), 53 bits */
float inv_stream_normal(struct inv_stream *stream);   /* N(0, 1) */

struct inv_mt {
    uint32_t word[624];
    int next;
};

void inv_mt_init(struct inv_mt *mt, uint32_t seed);
uint32_t inv_mt_next(struct inv_mt *mt);

#endif
