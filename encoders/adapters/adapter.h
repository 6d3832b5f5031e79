/*
 * adapter.h: a map from the vectors of one model to those of another: y = W x
 * + b, renormalised for cosine. Backward (new -> old) takes queries of a new
 * model to a gallery that stays as it is; forward (old -> new) rewrites stored
 * vectors. Direction, spaces and dimensions are part of the record, and using
 * an adapter for anything else is an error.
 *
 * An adapter is immutable: any thread, no lock. The caller says how many
 * threads OpenBLAS takes.
 */
#ifndef INV_ENCODERS_ADAPTERS_ADAPTER_H
#define INV_ENCODERS_ADAPTERS_ADAPTER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define INV_SPACE_NAME_MAX 160 /* name@revision and what tells spaces apart */

enum inv_adapter_kind {
    INV_ADAPTER_PROCRUSTES,
    INV_ADAPTER_RIDGE,
    INV_ADAPTER_PATH,        /* lambda-orthogonal, closed form */
    INV_ADAPTER_CONTRASTIVE, /* lambda-orthogonal, from relevance pairs */
    INV_ADAPTER_PAPER,       /* lambda-orthogonal, the joint loss */
    INV_ADAPTER_SIMPLEX,     /* onto the fixed vertices (simplex.h) */
    INV_ADAPTER_COMPOSED,
    INV_ADAPTER_KINDS
};
/* "procrustes", "ridge", ... Static storage. */
const char *inv_adapter_kind_name(enum inv_adapter_kind kind);
/* INV_ADAPTER_KINDS for what is none of these names. */
enum inv_adapter_kind inv_adapter_kind_parse(const char *name);

enum inv_adapter_direction {
    INV_ADAPTER_BACKWARD, /* new -> old */
    INV_ADAPTER_FORWARD,  /* old -> new */
};
const char *inv_adapter_direction_name(enum inv_adapter_direction direction);

/* What an adapter of kind simplex may hold beside its matrix: both models' maps
 * onto the vertices of the simplex (simplex.h), so that a query also goes there
 * and back: q' = norm((1 - beta) norm(W x + b) + beta norm(S_old^T norm(S_new x
 * + c))). */
struct inv_adapter_fold {
    size_t dim;              /* of the simplex: classes - 1; 0: no fold */
    const float *s_new;      /* dim x cols, row-major */
    const float *s_new_bias; /* dim; NULL: zeros */
    const float *s_old;      /* dim x rows, row-major; S_old^T needs no bias */
    float beta;              /* 0..1 */
};

/* An adapter of kind simplex into a gallery that keeps vectors of the first
 * model beside the simplex: y = [sqrt(1 - share) norm(first `base` rows of W x
 * + b); sqrt(share) norm(the others)], so that a score is the blend of both
 * cosines. */
struct inv_adapter_blend {
    size_t base; /* rows, 1 .. rows - 1; 0: no blend */
    float share; /* of the simplex, 0..1 */
};

/* What an adapter is made of. */
struct inv_adapter_parts {
    enum inv_adapter_kind kind;
    enum inv_adapter_direction direction;
    const char *from, *to; /* spaces, 1..INV_SPACE_NAME_MAX bytes, different */
    size_t rows, cols;     /* dimensions of `to` and of `from` */
    const float *matrix;   /* rows x cols, row-major */
    const float *bias;     /* rows; NULL: zeros */
    bool normalise;        /* cosine: |y| = 1; needed by a fold */
    struct inv_adapter_fold fold;   /* of kind simplex only; zeroed: none */
    struct inv_adapter_blend blend; /* the same; not with a fold */
};

struct inv_adapter;

/* Copies everything. INV_INVALID for names, INV_DIMENSION for shapes,
 * INV_NOT_FINITE, INV_MEMORY. */
enum inv_status inv_adapter_new(const struct inv_adapter_parts *parts,
                                struct inv_adapter **out,
                                struct inv_err *err) INV_MUST_USE;
void inv_adapter_free(struct inv_adapter *adapter); /* NULL is fine */

/* What it was made of; the pointers live as long as the adapter. */
struct inv_adapter_parts inv_adapter_parts(const struct inv_adapter *adapter);
/* A composition of two: it loses quality (14 % where it was measured). */
bool inv_adapter_degraded(const struct inv_adapter *adapter);

/* May vectors of `from` become vectors of `to` in this direction? INV_INVALID
 * for the other direction, INV_SPACE_MISMATCH with both names, INV_DIMENSION
 * with both numbers. */
enum inv_status inv_adapter_check(const struct inv_adapter *adapter,
                                  enum inv_adapter_direction direction,
                                  const char *from, size_t from_dim,
                                  const char *to, size_t to_dim,
                                  struct inv_err *err) INV_MUST_USE;

/* count rows of `dim` numbers into count rows of parts.rows. INV_DIMENSION
 * when dim is not parts.cols, INV_MEMORY. A row that comes to zero stays zero.
 */
enum inv_status inv_adapter_apply(const struct inv_adapter *adapter,
                                  const float *in, size_t count, size_t dim,
                                  float *out, struct inv_err *err) INV_MUST_USE;

/* Tokens, whose norm is their weight: y = |q| normalise(W q/|q| + b). Adapt
 * tokens first, then encode: an encoded multi-vector is not adapted. */
enum inv_status inv_adapter_apply_tokens(const struct inv_adapter *adapter,
                                         const float *in, size_t count,
                                         size_t dim, float *out,
                                         struct inv_err *err) INV_MUST_USE;

/* second after first: first.to must be second.from, the directions the same.
 * Degraded; of a composition, a fold or a blend none is made (INV_INVALID):
 * refit on documents that hold both ends. The inner renormalisation is dropped,
 * as for unit vectors it only rescales. */
enum inv_status inv_adapter_compose(const struct inv_adapter *first,
                                    const struct inv_adapter *second,
                                    struct inv_adapter **out,
                                    struct inv_err *err) INV_MUST_USE;

/* The first `prefix` numbers of rows, renormalised: what a Matryoshka gallery
 * that is cut to `prefix` dimensions is fitted on and searched with.
 * 1 <= prefix <= dim; out may be in. */
void inv_rows_prefix(const float *in, size_t count, size_t dim, size_t prefix,
                     float *out);

#endif
