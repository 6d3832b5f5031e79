/*
 * settings.c: checks and defaults of a collection's settings. Knows what fits
 * together (a metric and a kind, an encoder and a kind), nothing of storage.
 */
#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small parsers ---- */

/* Reads a string field and looks it up; the error lists the choices. */
static enum inv_status choice(const inv_json *object, const char *at,
                              const char *key, const char *const *names,
                              int *out, struct inv_err *err) {
    const char *text = NULL;
    size_t len = 0;
    enum inv_status status =
        inv_json_get_string(object, at, key, 64, &text, &len, err);
    if (status != INV_OK || text == NULL)
        return status;
    struct inv_buf list = INV_BUF_INIT;
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
            inv_buf_release(&list);
            return INV_OK;
        }
        inv_buf_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    status = inv_fail(err, INV_INVALID, "\"%s\" is not one of: %s", text,
                      list.data == NULL ? "" : list.data);
    inv_err_at(err, "%s/%s", at, key);
    inv_buf_release(&list);
    return status;
}

static enum inv_status get_u32(const inv_json *object, const char *at,
                               const char *key, int64_t min, int64_t max,
                               uint32_t *out, struct inv_err *err) {
    int64_t value = *out;
    enum inv_status status =
        inv_json_get_int(object, at, key, min, max, &value, err);
    *out = (uint32_t)value;
    return status;
}

static enum inv_status copy_string(const inv_json *object, const char *at,
                                   const char *key, size_t max, char *out,
                                   struct inv_err *err) {
    const char *text = NULL;
    size_t len = 0;
    enum inv_status status =
        inv_json_get_string(object, at, key, max, &text, &len, err);
    if (status == INV_OK && text != NULL)
        memcpy(out, text, len + 1);
    return status;
}

/* ---- model ---- */

static enum inv_status parse_model(const inv_json *body, struct inv_settings *s,
                                   struct inv_err *err) {
    static const char *const keys[] = {"name", "revision", "prompt",
                                       "normalized", NULL};
    inv_json *model = NULL;
    memcpy(s->model, "default", sizeof "default");
    memcpy(s->revision, "1", sizeof "1");
    enum inv_status status =
        inv_json_get_object(body, "", "model", &model, err);
    if (status != INV_OK || model == NULL)
        return status;
    status = inv_json_allow(model, "/model", keys, err);
    if (status == INV_OK)
        status = copy_string(model, "/model", "name", INV_MODEL_NAME_MAX,
                             s->model, err);
    if (status == INV_OK)
        status = copy_string(model, "/model", "revision", INV_MODEL_NAME_MAX,
                             s->revision, err);
    if (status == INV_OK)
        status = copy_string(model, "/model", "prompt", INV_MODEL_NAME_MAX,
                             s->prompt, err);
    if (status == INV_OK)
        status = inv_json_get_bool(model, "/model", "normalized",
                                   &s->normalized, err);
    if (status == INV_OK && strchr(s->model, '@') != NULL) {
        status = inv_fail(err, INV_INVALID,
                          "a model's name holds no '@': it divides name and "
                          "revision");
        inv_err_at(err, "/model/name");
    }
    return status;
}

/* ---- encoder ---- */

static enum inv_status parse_dims(const inv_json *object, const char *at,
                                  struct inv_settings *s, struct inv_err *err) {
    struct inv_encoder_settings *e = &s->encoder;
    size_t count = 0;
    enum inv_status status =
        inv_json_get_ints(object, at, "dims", 1, (int64_t)s->dim, e->dims,
                          INV_PREFIX_DIMS_MAX - 1, &count, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 1; i < count; i++)
        if (e->dims[i] <= e->dims[i - 1]) {
            status =
                inv_fail(err, INV_INVALID, "dims ascend: %u does not follow %u",
                         e->dims[i], e->dims[i - 1]);
            inv_err_at(err, "%s/dims/%zu", at, i);
            return status;
        }
    if (count == 0 || e->dims[count - 1] != s->dim)
        e->dims[count++] = (uint32_t)s->dim;
    e->dims_count = count;
    return INV_OK;
}

static enum inv_status parse_matryoshka(const inv_json *object, const char *at,
                                        struct inv_settings *s,
                                        struct inv_err *err) {
    static const char *const keys[] = {"type", "dims", "index_dims", "rotate",
                                       NULL};
    static const char *const rotations[] = {"none", "pca", NULL};
    struct inv_encoder_settings *e = &s->encoder;
    enum inv_status status = inv_json_allow(object, at, keys, err);
    if (status == INV_OK && s->metric == INV_L2)
        status = inv_fail(err, INV_INVALID,
                          "matryoshka prefixes need the metric cosine or ip, "
                          "this collection has l2");
    if (status == INV_OK)
        status = parse_dims(object, at, s, err);
    if (status != INV_OK)
        return status;
    e->index_dims = e->dims[0];
    status = get_u32(object, at, "index_dims", 1, (int64_t)s->dim,
                     &e->index_dims, err);
    bool listed = false;
    for (size_t i = 0; i < e->dims_count; i++)
        listed = listed || e->dims[i] == e->index_dims;
    if (status == INV_OK && !listed) {
        status = inv_fail(err, INV_INVALID,
                          "index_dims %u is not one of the declared dims",
                          e->index_dims);
        inv_err_at(err, "%s/index_dims", at);
    }
    int rotation = 0;
    if (status == INV_OK)
        status = choice(object, at, "rotate", rotations, &rotation, err);
    e->rotate = rotation == 1;
    return status;
}

static enum inv_status parse_muvera_shape(const inv_json *object,
                                          const char *at,
                                          struct inv_settings *s,
                                          struct inv_err *err) {
    struct inv_encoder_settings *e = &s->encoder;
    struct inv_muvera_params *p = &e->muvera;
    bool shaped = inv_json_get(object, "R") != NULL ||
                  inv_json_get(object, "k") != NULL ||
                  inv_json_get(object, "m") != NULL;
    memcpy(e->preset, "default", sizeof "default");
    enum inv_status status =
        copy_string(object, at, "preset", sizeof e->preset - 1, e->preset, err);
    if (status == INV_OK && shaped && inv_json_get(object, "preset") != NULL) {
        status = inv_fail(err, INV_INVALID,
                          "give either a preset or R, k and m, not both");
        inv_err_at(err, "%s/preset", at);
    }
    if (status == INV_OK)
        status = inv_muvera_preset(e->preset, p, err);
    if (status == INV_OK && shaped)
        e->preset[0] = '\0';
    if (status == INV_OK)
        status =
            get_u32(object, at, "R", 1, INV_FDE_DIM_MAX, &p->repetitions, err);
    if (status == INV_OK)
        status = get_u32(object, at, "k", 0, INV_FDE_BITS_MAX, &p->bits, err);
    if (p->width > s->dim)
        p->width = (uint32_t)s->dim;
    if (status == INV_OK)
        status = get_u32(object, at, "m", 1, INV_DIM_MAX, &p->width, err);
    if (status == INV_OK)
        status = get_u32(object, at, "final_dim", 0, INV_FDE_DIM_MAX,
                         &p->final_dim, err);
    return status;
}

static enum inv_status parse_muvera(const inv_json *object, const char *at,
                                    struct inv_settings *s,
                                    struct inv_err *err) {
    static const char *const keys[] = {
        "type",   "variant",         "preset", "R",    "k",
        "m",      "generator",       "seed",   "fill", "final_dim",
        "center", "sketch_per_cell", NULL};
    static const char *const variants[] = {"muvera", "muvera+", NULL};
    static const char *const generators[] = {"invar/1", "reference", NULL};
    static const char *const fills[] = {"none", "nearest", "damped", NULL};
    struct inv_muvera_params *p = &s->encoder.muvera;
    int variant = 1;
    int generator = 0;
    int64_t seed = 42;
    enum inv_status status = inv_json_allow(object, at, keys, err);
    if (status == INV_OK)
        status = choice(object, at, "variant", variants, &variant, err);
    if (status == INV_OK)
        status = choice(object, at, "generator", generators, &generator, err);
    if (status == INV_OK)
        status = inv_json_get_int(object, at, "seed", 0, INT64_MAX, &seed, err);
    if (status == INV_OK)
        status = parse_muvera_shape(object, at, s, err);
    s->encoder.plus = variant == 1;
    p->dim = (uint32_t)s->dim;
    p->generator =
        generator == 1 ? INV_GENERATOR_REFERENCE : INV_GENERATOR_INVAR1;
    p->seed = (uint64_t)seed;
    bool reference = generator == 1;
    int fill = variant == 1 && !reference ? INV_FILL_DAMPED : INV_FILL_NEAREST;
    p->center = variant == 1 && !reference;
    p->sketch_per_cell = variant == 1 && !reference;
    if (status == INV_OK)
        status = choice(object, at, "fill", fills, &fill, err);
    p->fill = (enum inv_muvera_fill)fill;
    if (status == INV_OK)
        status = inv_json_get_bool(object, at, "center", &p->center, err);
    if (status == INV_OK)
        status = inv_json_get_bool(object, at, "sketch_per_cell",
                                   &p->sketch_per_cell, err);
    if (status == INV_OK && (status = inv_muvera_check(p, err)) != INV_OK)
        inv_err_at(err, "%s", at);
    return status;
}

enum inv_status inv_settings_parse_encoder(const inv_json *object,
                                           const char *at,
                                           struct inv_settings *s,
                                           struct inv_err *err) {
    static const char *const types[] = {"none", "matryoshka", "muvera", NULL};
    static const char *const none_keys[] = {"type", NULL};
    int type = s->multi ? INV_ENCODER_MUVERA : INV_ENCODER_NONE;
    s->encoder = (struct inv_encoder_settings){0};
    enum inv_status status = INV_OK;
    if (object != NULL)
        status = choice(object, at, "type", types, &type, err);
    if (status != INV_OK)
        return status;
    if (s->multi != (type == INV_ENCODER_MUVERA)) {
        status =
            inv_fail(err, INV_INVALID,
                     "a collection of kind \"%s\" takes the encoder %s, "
                     "not \"%s\"",
                     s->multi ? "multi" : "single",
                     s->multi ? "\"muvera\"" : "\"none\" or \"matryoshka\"",
                     types[type]);
        inv_err_at(err, "%s/type", at);
        return status;
    }
    if (s->simplex.classes > 0 && type != INV_ENCODER_NONE) {
        status = inv_fail(err, INV_INVALID,
                          "a space of type simplex takes the encoder \"none\", "
                          "not \"%s\": its dimensions are all alike",
                          types[type]);
        inv_err_at(err, "%s/type", at);
        return status;
    }
    s->encoder.type = (enum inv_encoder_type)type;
    s->encoder.index_dims = (uint32_t)s->dim;
    if (type == INV_ENCODER_MATRYOSHKA)
        return parse_matryoshka(object, at, s, err);
    s->encoder.dims[0] = (uint32_t)s->dim;
    s->encoder.dims_count = 1;
    if (type == INV_ENCODER_NONE)
        return object == NULL ? INV_OK
                              : inv_json_allow(object, at, none_keys, err);
    if (object != NULL)
        return parse_muvera(object, at, s, err);
    inv_json *empty = NULL;
    status = inv_json_parse_plain("{}", 2, &empty, err);
    if (status == INV_OK)
        status = parse_muvera(empty, at, s, err);
    inv_json_free(empty);
    return status;
}

/* ---- index ---- */

enum inv_status inv_settings_parse_index(const inv_json *object, const char *at,
                                         struct inv_settings *s,
                                         struct inv_err *err) {
    static const char *const keys[] = {"type",       "m",    "ef_construction",
                                       "nlist",      "pq_m", "pq_bits",
                                       "train_size", "seed", NULL};
    struct inv_ann_config *c = &s->index;
    *c = (struct inv_ann_config){.type = INV_ANN_AUTO, .seed = 42};
    if (object == NULL)
        return INV_OK;
    const char *type = NULL;
    size_t len = 0;
    int64_t seed = 42;
    enum inv_status status = inv_json_allow(object, at, keys, err);
    if (status == INV_OK)
        status = inv_json_get_string(object, at, "type", 32, &type, &len, err);
    if (status == INV_OK && type != NULL) {
        int kind = inv_ann_type_parse(type);
        if (kind < 0) {
            status = inv_fail(err, INV_INVALID,
                              "\"%s\" is not one of: auto, flat, hnsw, "
                              "hnsw_sq8, ivf_flat, ivf_sq8, ivf_pq",
                              type);
            inv_err_at(err, "%s/type", at);
            return status;
        }
        c->type = (enum inv_ann_type)kind;
    }
    const struct {
        const char *key;
        int64_t min, max;
        uint32_t *value;
    } numbers[] = {
        {"m", 4, 256, &c->hnsw_m},
        {"ef_construction", 8, 4096, &c->hnsw_ef_construction},
        {"nlist", 1, 1 << 20, &c->nlist},
        {"pq_m", 1, INV_DIM_MAX, &c->pq_m},
        {"pq_bits", 4, 8, &c->pq_bits},
        {"train_size", 1, 1 << 30, &c->train_size},
    };
    for (size_t i = 0; status == INV_OK && i < sizeof numbers / sizeof *numbers;
         i++)
        status = get_u32(object, at, numbers[i].key, numbers[i].min,
                         numbers[i].max, numbers[i].value, err);
    if (status == INV_OK && c->pq_bits != 0 && c->pq_bits != 4 &&
        c->pq_bits != 8) {
        status =
            inv_fail(err, INV_INVALID, "pq_bits is 4 or 8, not %u", c->pq_bits);
        inv_err_at(err, "%s/pq_bits", at);
    }
    if (status == INV_OK)
        status = inv_json_get_int(object, at, "seed", 0, INT64_MAX, &seed, err);
    c->seed = (uint64_t)seed;
    return status;
}

/* ---- the rest ---- */

static enum inv_status parse_fields(const inv_json *body,
                                    struct inv_settings *s,
                                    struct inv_err *err) {
    inv_json *fields = NULL;
    enum inv_status status =
        inv_json_get_object(body, "", "payload_index", &fields, err);
    if (status != INV_OK || fields == NULL)
        return status;
    s->field_count = 0;
    if (inv_json_size(fields) > INV_FIELDS_MAX) {
        status = inv_fail(err, INV_INVALID,
                          "at most %d payload fields are indexed, got %zu",
                          INV_FIELDS_MAX, inv_json_size(fields));
        inv_err_at(err, "/payload_index");
        return status;
    }
    void *iter = NULL;
    const char *key;
    inv_json *value;
    while (inv_json_next(fields, &iter, &key, &value)) {
        size_t len = strlen(key);
        size_t type_len = 0;
        const char *name = inv_json_kind(value) == INV_JSON_STRING
                               ? inv_json_string(value, &type_len)
                               : "";
        int type = inv_field_type_parse(name);
        if (len == 0 || len > INV_FIELD_KEY_MAX)
            status = inv_fail(err, INV_INVALID,
                              "a payload key has 1 to %d bytes, this one %zu",
                              INV_FIELD_KEY_MAX, len);
        else if (type < 0)
            status = inv_fail(err, INV_INVALID,
                              "a field's type is keyword, integer, float, "
                              "datetime or bool, not \"%.40s\"",
                              name);
        if (status != INV_OK)
            return inv_json_point(err, status, "/payload_index", key);
        memcpy(s->field_keys[s->field_count], key, len + 1);
        s->fields[s->field_count] =
            (struct inv_field){.key = s->field_keys[s->field_count],
                               .type = (enum inv_field_type)type};
        s->field_count++;
    }
    return INV_OK;
}

static enum inv_status parse_storage(const inv_json *body,
                                     struct inv_settings *s,
                                     struct inv_err *err) {
    static const char *const keys[] = {"dtype", "pool", NULL};
    static const char *const dtypes[] = {"f32", "f16", "i8", NULL};
    static const char *const scores[] = {"sum", "mean", NULL};
    int dtype = s->multi ? 1 : 0;
    int score = 0;
    int64_t pool = 1;
    inv_json *tokens = NULL;
    enum inv_status status =
        inv_json_get_object(body, "", "tokens", &tokens, err);
    if (status == INV_OK && tokens != NULL && !s->multi) {
        status = inv_fail(err, INV_INVALID,
                          "\"tokens\" belongs to collections of kind multi");
        inv_err_at(err, "/tokens");
    }
    if (status == INV_OK && tokens != NULL)
        status = inv_json_allow(tokens, "/tokens", keys, err);
    if (status == INV_OK && tokens != NULL)
        status = choice(tokens, "/tokens", "dtype", dtypes, &dtype, err);
    if (status == INV_OK && tokens != NULL)
        status = inv_json_get_int(tokens, "/tokens", "pool", 1, 1, &pool, err);
    if (status == INV_OK)
        status = choice(body, "", "score", scores, &score, err);
    s->dtype = (enum inv_dtype)(dtype + 1);
    s->mean = score == 1;
    return status;
}

static enum inv_status parse_shape(const inv_json *body, struct inv_settings *s,
                                   struct inv_err *err) {
    static const char *const kinds[] = {"single", "multi", NULL};
    static const char *const metrics[] = {"cosine", "ip", "l2", NULL};
    int kind = -1;
    int64_t dim = 0;
    enum inv_status status = choice(body, "", "kind", kinds, &kind, err);
    if (status == INV_OK && kind < 0) {
        status = inv_fail(err, INV_INVALID,
                          "\"kind\" is missing: \"single\" (one vector a "
                          "document) or \"multi\" (one a token)");
        inv_err_at(err, "/kind");
    }
    if (status == INV_OK)
        status = inv_json_get_int(body, "", "dim", 1, INV_DIM_MAX, &dim, err);
    if (dim == 0)
        dim = (int64_t)s->dim; /* of the space */
    if (status == INV_OK && dim == 0) {
        status = inv_fail(err, INV_INVALID,
                          "\"dim\" is missing: the dimensions of a vector, 1 "
                          "to %d",
                          INV_DIM_MAX);
        inv_err_at(err, "/dim");
    }
    if (status != INV_OK)
        return status;
    s->multi = kind == 1;
    s->dim = (size_t)dim;
    int metric = s->multi ? INV_IP : INV_COSINE;
    status = choice(body, "", "metric", metrics, &metric, err);
    s->metric = (enum inv_distance)metric;
    if (status == INV_OK && s->multi && s->metric == INV_L2) {
        status = inv_fail(err, INV_INVALID,
                          "MaxSim is a sum of inner products: a multi "
                          "collection takes ip or cosine, not l2");
        inv_err_at(err, "/metric");
    }
    return status;
}

/* What the vectors are and where they come from. */
static enum inv_status parse_identity(const inv_json *body,
                                      struct inv_settings *s,
                                      struct inv_err *err) {
    enum inv_status status = inv_settings_parse_space(body, s, err);
    if (status == INV_OK)
        status = parse_shape(body, s, err);
    if (status == INV_OK)
        status = parse_model(body, s, err);
    if (status == INV_OK)
        status = inv_settings_check_space(body, s, err);
    return status;
}

static enum inv_status parse_all(const inv_json *body, struct inv_settings *s,
                                 struct inv_err *err) {
    static const char *const keys[] = {
        "kind",          "dim",           "metric", "model",  "encoder",
        "index",         "tokens",        "score",  "params", "space",
        "payload_index", "require_model", NULL};
    inv_json *encoder = NULL;
    inv_json *index = NULL;
    inv_json *params = NULL;
    enum inv_status status = inv_json_body(body, keys, err);
    if (status == INV_OK)
        status = parse_identity(body, s, err);
    if (status == INV_OK)
        status = parse_storage(body, s, err);
    if (status == INV_OK)
        status = inv_json_get_object(body, "", "encoder", &encoder, err);
    if (status == INV_OK)
        status = inv_settings_parse_encoder(encoder, "/encoder", s, err);
    if (status == INV_OK)
        status = inv_json_get_object(body, "", "index", &index, err);
    if (status == INV_OK)
        status = inv_settings_parse_index(index, "/index", s, err);
    if (status == INV_OK)
        status = parse_fields(body, s, err);
    if (status == INV_OK)
        status = inv_json_get_object(body, "", "params", &params, err);
    if (status == INV_OK && params != NULL)
        status = inv_parse_params(params, "/params", &s->params, err);
    if (status == INV_OK)
        status = inv_settings_check_dims(s, &s->params, "", err);
    if (status == INV_OK)
        status = inv_json_get_bool(body, "", "require_model", &s->require_model,
                                   err);
    return status;
}

static void settings_release(void *self) { free(self); }

enum inv_status inv_settings_parse(const inv_json *body,
                                   struct inv_shared_settings **out,
                                   struct inv_err *err) {
    struct inv_shared_settings *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for settings");
    inv_ref_init(&shared->ref, settings_release);
    enum inv_status status = parse_all(body, &shared->settings, err);
    if (status != INV_OK) {
        inv_ref_put(shared);
        return status;
    }
    *out = shared;
    return INV_OK;
}

struct inv_shared_settings *
inv_settings_copy(const struct inv_shared_settings *from) {
    struct inv_shared_settings *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->settings = from->settings;
    inv_ref_init(&copy->ref, settings_release);
    for (size_t i = 0; i < copy->settings.field_count; i++)
        copy->settings.fields[i].key = copy->settings.field_keys[i];
    return copy;
}

enum inv_status inv_settings_patch(const inv_json *body, struct inv_settings *s,
                                   bool *fields_changed, struct inv_err *err) {
    static const char *const keys[] = {"params", "payload_index",
                                       "require_model", NULL};
    inv_json *params = NULL;
    *fields_changed = inv_json_get(body, "payload_index") != NULL;
    enum inv_status status = inv_json_body(body, keys, err);
    if (status == INV_OK)
        status = parse_fields(body, s, err);
    if (status == INV_OK)
        status = inv_json_get_object(body, "", "params", &params, err);
    if (status == INV_OK && params != NULL) {
        s->params = (struct inv_search_params){0};
        status = inv_parse_params(params, "/params", &s->params, err);
    }
    if (status == INV_OK)
        status = inv_settings_check_dims(s, &s->params, "", err);
    if (status == INV_OK)
        status = inv_json_get_bool(body, "", "require_model", &s->require_model,
                                   err);
    return status;
}
