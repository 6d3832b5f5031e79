/*
 * encoder.h: the join between encoders/ and index/: a collection's encoder
 * settings and what was learned from its gallery, as an inv_encoding that the
 * index can call, and the query's side of the same. Immutable, reference
 * counted (inv_ref_put), any thread.
 */
#ifndef INV_SERVER_ENCODER_H
#define INV_SERVER_ENCODER_H

#include "index/view.h"
#include "server/settings.h"

struct inv_encoder {
    struct inv_encoding base; /* first: views hold it as that */
    struct inv_encoder_settings settings;
    bool multi;
    bool normalize; /* cosine */
    bool learned;   /* from the gallery */
    size_t dim;
    struct inv_muvera *muvera;
    float *rotation; /* dim x dim, or NULL: not learned or not wanted */
};

/* Which of a collection's encoders it is. */
struct inv_encoder_place {
    int64_t space;  /* of the stored vectors */
    bool first;     /* the collection's oldest space: the hashes of the others
                       are told apart by their number */
    uint32_t state; /* in the catalog */
};

/* learned: as inv_encoder_learn gave it, NULL: nothing. */
enum inv_status inv_encoder_new(const struct inv_settings *settings,
                                const struct inv_encoder_place *place,
                                const void *learned, size_t learned_len,
                                struct inv_encoder **out,
                                struct inv_err *err) INV_MUST_USE;

/* Do these settings learn something from the gallery? */
bool inv_encoder_learns(const struct inv_settings *settings);

/* Learns from at most INV_ENCODER_SAMPLE vectors of a space of the view, spread
 * evenly: the centre (muvera+) or the rotation (PCA). *out malloc'ed.
 * INV_NOT_FOUND when the view holds no vector of it. */
enum inv_status inv_encoder_learn(const struct inv_settings *settings,
                                  const struct inv_view *view, int64_t space,
                                  void **out, size_t *len,
                                  struct inv_err *err) INV_MUST_USE;

/* query: rows x dim (single: one row; normalised by the caller when the metric
 * is cosine). code: base.code_dim floats, whole; the indexed prefix is
 * inv_encoding_prefix of a copy. */
enum inv_status inv_encoder_query(const struct inv_encoder *encoder,
                                  const struct inv_matrix *query, float *code,
                                  struct inv_err *err) INV_MUST_USE;

/* Stored vectors as f32: out holds rows x dim floats. */
void inv_codes_decode(const struct inv_codes *codes, float *out);

#endif
