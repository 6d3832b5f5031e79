/*
 * encoding.h: how stored vectors become what an index holds, seen from below:
 * shapes and one callback. The pipelines in server/ make them out of encoders
 * (index/ never includes encoders/). Immutable, reference counted, any thread.
 */
#ifndef INV_INDEX_ENCODING_H
#define INV_INDEX_ENCODING_H

#include "base/ref.h"
#include "index/ann.h"

/* Which codes a sealed segment keeps beside its index, for rescoring. */
enum inv_keep_codes {
    INV_KEEP_NONE,       /* the stored vectors serve */
    INV_KEEP_COMPRESSED, /* f16, where the index itself is compressed (FDE) */
    INV_KEEP_ALWAYS,     /* f32, every stage reads its prefixes (rotated) */
};

struct inv_encoding {
    struct inv_ref ref;
    int64_t space;    /* of the stored vectors, the catalog's number */
    uint32_t state;   /* number in the catalog; the first has learned nothing */
    uint64_t hash;    /* of every parameter and of what was learned */
    size_t code_dim;  /* floats that encode() writes */
    size_t ann_dim;   /* the first of them are indexed */
    bool renormalize; /* a shorter prefix is divided by its own norm */
    enum inv_metric metric;
    enum inv_dtype flat_dtype; /* of codes in flat indexes and fresh segments */
    enum inv_keep_codes keep;
    /* code: code_dim floats. */
    enum inv_status (*encode)(const struct inv_encoding *encoding,
                              const struct inv_codes *stored, float *code,
                              struct inv_err *err);
};

/* The indexed prefix of a code, in place (renormalised where that is due). */
void inv_encoding_prefix(const struct inv_encoding *encoding, float *code);

#endif
