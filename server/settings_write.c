/*
 * settings_write.c: settings as canonical JSON: what the catalog keeps and GET
 * shows.
 */
#include "server/settings.h"

#include <inttypes.h>
#include <string.h>

static void put_text(struct inv_buf *out, const char *key, const char *text) {
    inv_buf_printf(out, "\"%s\":", key);
    inv_json_put_string(out, text, strlen(text));
}

static void put_ints(struct inv_buf *out, const char *key,
                     const uint32_t *values, size_t count) {
    inv_buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < count; i++)
        inv_buf_printf(out, "%s%u", i == 0 ? "" : ",", values[i]);
    inv_buf_putc(out, ']');
}

static void put_muvera(struct inv_buf *out,
                       const struct inv_encoder_settings *e) {
    static const char *const fills[] = {"none", "nearest", "damped"};
    const struct inv_muvera_params *p = &e->muvera;
    inv_buf_printf(out, ",\"variant\":\"%s\",", e->plus ? "muvera+" : "muvera");
    if (e->preset[0] != '\0')
        put_text(out, "preset", e->preset);
    else
        inv_buf_printf(out, "\"R\":%u,\"k\":%u,\"m\":%u", p->repetitions,
                       p->bits, p->width);
    inv_buf_printf(
        out,
        ",\"generator\":\"%s\",\"seed\":%" PRIu64
        ",\"fill\":\"%s\",\"final_dim\":%u,\"center\":%s,"
        "\"sketch_per_cell\":%s",
        p->generator == INV_GENERATOR_REFERENCE ? "reference" : "invar/1",
        p->seed, fills[p->fill], p->final_dim, p->center ? "true" : "false",
        p->sketch_per_cell ? "true" : "false");
}

void inv_settings_write_encoder(const struct inv_settings *s,
                                struct inv_buf *out) {
    static const char *const types[] = {"none", "matryoshka", "muvera"};
    const struct inv_encoder_settings *e = &s->encoder;
    inv_buf_printf(out, "{\"type\":\"%s\"", types[e->type]);
    if (e->type == INV_ENCODER_MATRYOSHKA) {
        inv_buf_putc(out, ',');
        put_ints(out, "dims", e->dims, e->dims_count);
        inv_buf_printf(out, ",\"index_dims\":%u,\"rotate\":\"%s\"",
                       e->index_dims, e->rotate ? "pca" : "none");
    } else if (e->type == INV_ENCODER_MUVERA) {
        put_muvera(out, e);
    }
    inv_buf_putc(out, '}');
}

void inv_settings_write_index(const struct inv_settings *s,
                              struct inv_buf *out) {
    const struct inv_ann_config *c = &s->index;
    const struct {
        const char *key;
        uint32_t value;
    } items[] = {
        {"m", c->hnsw_m},        {"ef_construction", c->hnsw_ef_construction},
        {"nlist", c->nlist},     {"pq_m", c->pq_m},
        {"pq_bits", c->pq_bits}, {"train_size", c->train_size}};
    inv_buf_printf(out, "{\"type\":\"%s\"", inv_ann_type_name(c->type));
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        if (items[i].value != 0)
            inv_buf_printf(out, ",\"%s\":%u", items[i].key, items[i].value);
    inv_buf_printf(out, ",\"seed\":%" PRIu64 "}", c->seed);
}

static void put_params(struct inv_buf *out, const struct inv_search_params *p) {
    const struct {
        const char *key;
        uint32_t value;
    } items[] = {{"candidates", p->candidates}, {"rescore", p->rescore},
                 {"rerank", p->rerank},         {"ef", p->ef},
                 {"nprobe", p->nprobe},         {"timeout_ms", p->timeout_ms},
                 {"cascade", p->cascade}};
    const char *comma = "";
    inv_buf_putc(out, '{');
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        if (items[i].value != 0) {
            inv_buf_printf(out, "%s\"%s\":%u", comma, items[i].key,
                           items[i].value);
            comma = ",";
        }
    if (p->need_given) {
        inv_buf_printf(out, "%s\"need_vectors\":%u", comma, p->need_vectors);
        comma = ",";
    }
    if (p->dims_count > 0) {
        inv_buf_puts(out, comma);
        put_ints(out, "dims", p->dims, p->dims_count);
        comma = ",";
    }
    if (p->keep_count > 0) {
        inv_buf_puts(out, comma);
        put_ints(out, "keep", p->keep, p->keep_count);
        comma = ",";
    }
    if (p->exact_given)
        inv_buf_printf(out, "%s\"exact\":%s", comma,
                       p->exact ? "true" : "false");
    inv_buf_putc(out, '}');
}

static void put_space(struct inv_buf *out,
                      const struct inv_simplex_settings *simplex) {
    if (simplex->classes == 0)
        return;
    inv_buf_printf(out, ",\"space\":{\"type\":\"simplex\",\"classes\":%u",
                   simplex->classes);
    if (simplex->base_dim > 0) {
        inv_buf_puts(out, ",\"blend\":");
        inv_json_put_double(out, simplex->blend);
        inv_buf_printf(out, ",\"base_dim\":%u", simplex->base_dim);
    }
    inv_buf_putc(out, '}');
}

void inv_settings_write(const struct inv_settings *s, struct inv_buf *out) {
    static const char *const metrics[] = {"cosine", "ip", "l2"};
    inv_buf_printf(out, "{\"kind\":\"%s\",\"dim\":%zu,\"metric\":\"%s\",",
                   s->multi ? "multi" : "single", s->dim, metrics[s->metric]);
    inv_buf_puts(out, "\"model\":{");
    put_text(out, "name", s->model);
    inv_buf_putc(out, ',');
    put_text(out, "revision", s->revision);
    if (s->prompt[0] != '\0') {
        inv_buf_putc(out, ',');
        put_text(out, "prompt", s->prompt);
    }
    if (s->normalized)
        inv_buf_puts(out, ",\"normalized\":true");
    inv_buf_putc(out, '}');
    put_space(out, &s->simplex);
    inv_buf_puts(out, ",\"encoder\":");
    inv_settings_write_encoder(s, out);
    inv_buf_puts(out, ",\"index\":");
    inv_settings_write_index(s, out);
    if (s->multi)
        inv_buf_printf(out, ",\"tokens\":{\"dtype\":\"%s\"},\"score\":\"%s\"",
                       inv_dtype_name(s->dtype), s->mean ? "mean" : "sum");
    inv_buf_puts(out, ",\"params\":");
    put_params(out, &s->params);
    inv_buf_puts(out, ",\"payload_index\":{");
    for (size_t i = 0; i < s->field_count; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        inv_json_put_string(out, s->fields[i].key, strlen(s->fields[i].key));
        inv_buf_printf(out, ":\"%s\"", inv_field_type_name(s->fields[i].type));
    }
    inv_buf_printf(out, "},\"require_model\":%s}",
                   s->require_model ? "true" : "false");
}
