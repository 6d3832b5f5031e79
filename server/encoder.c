/*
 * encoder.c: see encoder.h. What is learned is kept as raw f32 in the catalog:
 * `dim` floats for a centre, dim x dim for a rotation.
 */
#include "server/encoder.h"

#include "base/hash.h"
#include "base/kernels.h"
#include "encoders/matryoshka.h"

#include <stdlib.h>
#include <string.h>

/* An FDE component is a sum of many token components; clamped so that it can
 * be kept in half precision. */
#define FDE_LIMIT 60000.0f

void inv_codes_decode(const struct inv_codes *codes, float *out) {
    size_t count = codes->rows * codes->dim;
    switch (codes->dtype) {
    case INV_F32:
        memcpy(out, codes->data, count * sizeof *out);
        return;
    case INV_F16:
        inv_f32_from_f16(codes->data, out, count);
        return;
    case INV_I8:
        for (size_t i = 0; i < codes->rows; i++)
            inv_f32_from_i8((const int8_t *)codes->data + i * codes->dim,
                            codes->scales[i], out + i * codes->dim, codes->dim);
        return;
    }
}

static void encoder_release(void *self) {
    struct inv_encoder *encoder = self;
    inv_muvera_free(encoder->muvera);
    free(encoder->rotation);
    free(encoder);
}

static enum inv_status encode_multi(const struct inv_encoding *encoding,
                                    const struct inv_codes *stored, float *code,
                                    struct inv_err *err) {
    const struct inv_encoder *encoder = (const struct inv_encoder *)encoding;
    size_t count = stored->rows * stored->dim;
    float *tokens = malloc(count * sizeof *tokens);
    if (tokens == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu tokens",
                        stored->rows);
    inv_codes_decode(stored, tokens);
    enum inv_status status = inv_muvera_encode_document(
        encoder->muvera, tokens, stored->rows, code, err);
    free(tokens);
    if (status == INV_OK && encoding->flat_dtype == INV_F16 &&
        !inv_all_within(code, encoding->code_dim, FDE_LIMIT))
        for (size_t i = 0; i < encoding->code_dim; i++)
            code[i] = code[i] > FDE_LIMIT    ? FDE_LIMIT
                      : code[i] < -FDE_LIMIT ? -FDE_LIMIT
                                             : code[i];
    return status;
}

static enum inv_status encode_single(const struct inv_encoding *encoding,
                                     const struct inv_codes *stored,
                                     float *code, struct inv_err *err) {
    const struct inv_encoder *encoder = (const struct inv_encoder *)encoding;
    if (encoder->rotation == NULL) {
        inv_codes_decode(stored, code);
        if (encoder->normalize)
            inv_normalize_f32(code, encoder->dim);
        return INV_OK;
    }
    float *whole = malloc(encoder->dim * sizeof *whole);
    if (whole == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a vector");
    inv_codes_decode(stored, whole);
    if (encoder->normalize)
        inv_normalize_f32(whole, encoder->dim);
    inv_rotate(encoder->rotation, whole, 1, encoder->dim, code);
    free(whole);
    return INV_OK;
}

static enum inv_status encoder_hash(const struct inv_settings *settings,
                                    const struct inv_encoder_place *place,
                                    const void *learned, size_t len,
                                    uint64_t *out, struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    inv_settings_write_encoder(settings, &text);
    inv_buf_printf(&text, "|%zu|%d|%d|", settings->dim, (int)settings->metric,
                   (int)settings->dtype);
    if (!place->first)
        inv_buf_printf(&text, "space %lld|", (long long)place->space);
    bool failed = text.failed;
    if (!failed)
        *out = inv_hash(inv_hash(INV_HASH_INIT, text.data, text.len), learned,
                        len);
    inv_buf_release(&text);
    return failed ? inv_fail(err, INV_MEMORY, "out of memory for an encoder")
                  : INV_OK;
}

static enum inv_status check_learned(const struct inv_settings *settings,
                                     size_t len, struct inv_err *err) {
    size_t want = settings->dim * sizeof(float);
    if (settings->encoder.type == INV_ENCODER_MATRYOSHKA)
        want *= settings->dim;
    if (len == want)
        return INV_OK;
    return inv_fail(err, INV_CORRUPT,
                    "the learned encoder state has %zu bytes, expected %zu",
                    len, want);
}

static enum inv_status make_multi(struct inv_encoder *encoder,
                                  const void *learned, struct inv_err *err) {
    enum inv_status status = inv_muvera_new(&encoder->settings.muvera, learned,
                                            &encoder->muvera, err);
    if (status != INV_OK)
        return status;
    encoder->base.code_dim = inv_muvera_dim(encoder->muvera);
    encoder->base.ann_dim = encoder->base.code_dim;
    encoder->base.metric = INV_METRIC_IP;
    encoder->base.flat_dtype = INV_F16;
    encoder->base.keep = INV_KEEP_COMPRESSED;
    encoder->base.encode = encode_multi;
    return INV_OK;
}

static enum inv_status make_single(struct inv_encoder *encoder,
                                   const struct inv_settings *settings,
                                   const void *learned, size_t len,
                                   struct inv_err *err) {
    struct inv_encoding *base = &encoder->base;
    base->code_dim = settings->dim;
    base->ann_dim = settings->encoder.index_dims;
    base->renormalize = settings->metric == INV_COSINE;
    base->metric = settings->metric == INV_L2 ? INV_METRIC_L2 : INV_METRIC_IP;
    base->flat_dtype = settings->metric == INV_COSINE ? INV_F16 : INV_F32;
    base->keep = settings->encoder.rotate ? INV_KEEP_ALWAYS : INV_KEEP_NONE;
    base->encode = encode_single;
    if (learned == NULL)
        return INV_OK;
    encoder->rotation = malloc(len);
    if (encoder->rotation == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a rotation");
    memcpy(encoder->rotation, learned, len);
    return INV_OK;
}

enum inv_status inv_encoder_new(const struct inv_settings *settings,
                                const struct inv_encoder_place *place,
                                const void *learned, size_t learned_len,
                                struct inv_encoder **out, struct inv_err *err) {
    enum inv_status status = INV_OK;
    if (learned != NULL)
        status = check_learned(settings, learned_len, err);
    if (status != INV_OK)
        return status;
    struct inv_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for an encoder");
    inv_ref_init(&encoder->base.ref, encoder_release);
    encoder->base.space = place->space;
    encoder->base.state = place->state;
    status = encoder_hash(settings, place, learned, learned_len,
                          &encoder->base.hash, err);
    encoder->settings = settings->encoder;
    encoder->multi = settings->multi;
    encoder->normalize = settings->metric == INV_COSINE;
    encoder->dim = settings->dim;
    encoder->learned = learned != NULL;
    if (status == INV_OK && settings->multi)
        status = make_multi(encoder, learned, err);
    else if (status == INV_OK)
        status = make_single(encoder, settings, learned, learned_len, err);
    if (status != INV_OK) {
        inv_ref_put(encoder);
        return status;
    }
    *out = encoder;
    return INV_OK;
}

bool inv_encoder_learns(const struct inv_settings *settings) {
    if (settings->encoder.type == INV_ENCODER_MUVERA)
        return settings->encoder.muvera.center;
    return settings->encoder.type == INV_ENCODER_MATRYOSHKA &&
           settings->encoder.rotate;
}

/* ---- learning ---- */

struct sample {
    float *rows;
    size_t count, dim;
    bool normalize;
};

static enum inv_status sample_entry(const struct inv_view *view,
                                    const struct inv_entry *entry,
                                    size_t per_document, struct sample *sample,
                                    struct inv_err *err) {
    struct inv_codes stored;
    enum inv_status status =
        inv_vlog_get(view->logs, &entry->place, &stored, err);
    if (status != INV_OK)
        return status;
    float *all = malloc(stored.rows * stored.dim * sizeof *all);
    if (all == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a sample");
    inv_codes_decode(&stored, all);
    size_t take = stored.rows < per_document ? stored.rows : per_document;
    for (size_t i = 0; i < take && sample->count < INV_ENCODER_SAMPLE; i++) {
        float *to = sample->rows + sample->count++ * sample->dim;
        memcpy(to, all + i * stored.rows / take * stored.dim,
               sample->dim * sizeof *to);
        if (sample->normalize)
            inv_normalize_f32(to, sample->dim);
    }
    free(all);
    return INV_OK;
}

/* Every step-th live document, and of each a few tokens: a mean over documents
 * rather than over the first ones. */
static enum inv_status take_sample(const struct inv_view *view, int64_t space,
                                   bool multi, struct sample *sample,
                                   struct inv_err *err) {
    size_t per_document = multi ? 16 : 1;
    size_t want = INV_ENCODER_SAMPLE / per_document;
    size_t live = inv_view_vectors(view, space);
    size_t step = live > want ? live / want : 1;
    size_t seen = 0;
    enum inv_status status = INV_OK;
    for (size_t p = 0; status == INV_OK && p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        if (inv_part_space(part) != space)
            continue;
        for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
             status == INV_OK && e < part->count;
             e = inv_bitset_next(part->live->set, part->count, e + 1))
            if (seen++ % step == 0)
                status = sample_entry(view, &part->entries->items[e],
                                      per_document, sample, err);
    }
    if (status == INV_OK && sample->count == 0)
        status = inv_fail(err, INV_NOT_FOUND,
                          "there is no vector to learn "
                          "from yet");
    return status;
}

static void mean_of(const struct sample *sample, float *mean) {
    memset(mean, 0, sample->dim * sizeof *mean);
    for (size_t i = 0; i < sample->count; i++)
        inv_axpy_f32(1.0f / (float)sample->count,
                     sample->rows + i * sample->dim, mean, sample->dim);
}

enum inv_status inv_encoder_learn(const struct inv_settings *settings,
                                  const struct inv_view *view, int64_t space,
                                  void **out, size_t *len,
                                  struct inv_err *err) {
    size_t dim = settings->dim;
    struct sample sample = {.dim = dim,
                            .normalize = settings->metric == INV_COSINE};
    sample.rows = malloc(INV_ENCODER_SAMPLE * dim * sizeof *sample.rows);
    *len = (settings->multi ? dim : dim * dim) * sizeof(float);
    float *learned = malloc(*len);
    enum inv_status status = INV_OK;
    if (sample.rows == NULL || learned == NULL)
        status = inv_fail(err, INV_MEMORY,
                          "out of memory for a sample of %d "
                          "vectors",
                          INV_ENCODER_SAMPLE);
    if (status == INV_OK)
        status = take_sample(view, space, settings->multi, &sample, err);
    if (status == INV_OK && settings->multi)
        mean_of(&sample, learned);
    else if (status == INV_OK)
        status = inv_pca_learn(sample.rows, sample.count, dim, learned, err);
    free(sample.rows);
    if (status != INV_OK) {
        free(learned);
        return status;
    }
    *out = learned;
    return INV_OK;
}

enum inv_status inv_encoder_query(const struct inv_encoder *encoder,
                                  const struct inv_matrix *query, float *code,
                                  struct inv_err *err) {
    if (encoder->multi)
        return inv_muvera_encode_query(encoder->muvera, query->data,
                                       query->rows, code, err);
    if (encoder->rotation != NULL)
        inv_rotate(encoder->rotation, query->data, 1, encoder->dim, code);
    else
        memcpy(code, query->data, encoder->dim * sizeof *code);
    return INV_OK;
}
