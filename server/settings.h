/*
 * settings.h: what a collection is: the body of PUT /v1/collections/{c}, every
 * default filled in. The canonical JSON written here is what the catalog keeps
 * and what GET shows; parsing it again gives the same settings.
 */
#ifndef INV_SERVER_SETTINGS_H
#define INV_SERVER_SETTINGS_H

#include "base/buf.h"
#include "base/ref.h"
#include "encoders/muvera.h"
#include "index/ann.h"
#include "server/requests.h"

enum inv_distance { INV_COSINE, INV_IP, INV_L2 };

enum inv_encoder_type {
    INV_ENCODER_NONE,
    INV_ENCODER_MATRYOSHKA,
    INV_ENCODER_MUVERA,
};

struct inv_encoder_settings {
    enum inv_encoder_type type;
    struct inv_muvera_params muvera;    /* dim filled in */
    bool plus;                          /* variant "muvera+" */
    char preset[16];                    /* "" when R, k, m were given */
    uint32_t dims[INV_PREFIX_DIMS_MAX]; /* allow-list, ascending, ends in dim */
    size_t dims_count;
    uint32_t index_dims; /* matryoshka: what the index holds */
    bool rotate;         /* PCA */
};

/* A gallery in the d-Simplex (encoders/adapters/simplex.h), a space of no
 * model: what is stored and asked for comes there through the adapter of its
 * model. */
struct inv_simplex_settings {
    uint32_t classes; /* vertices; 0: the gallery is in its model's own space */
    uint32_t base_dim; /* of the first model's vectors, kept beside; 0: none */
    double blend;      /* the simplex' share of a score, 0..1; with base_dim */
};

struct inv_settings {
    bool multi;
    size_t dim;
    enum inv_distance metric;
    char model[INV_MODEL_NAME_MAX + 1];
    char revision[INV_MODEL_NAME_MAX + 1];
    char prompt[INV_MODEL_NAME_MAX + 1];
    bool normalized; /* the model promises documents of length 1 */
    struct inv_encoder_settings encoder;
    struct inv_ann_config index;
    enum inv_dtype dtype; /* of the stored vectors */
    bool mean;            /* multi: score is the mean over query tokens */
    struct inv_field fields[INV_FIELDS_MAX];
    char field_keys[INV_FIELDS_MAX][INV_FIELD_KEY_MAX + 1];
    size_t field_count;
    struct inv_search_params params;
    bool require_model;
    struct inv_simplex_settings simplex;
};

struct inv_shared_settings {
    struct inv_ref ref;
    struct inv_settings settings; /* fields[].key point into it */
};
/* Parses into a new shared copy. */
enum inv_status inv_settings_parse(const inv_json *body,
                                   struct inv_shared_settings **out,
                                   struct inv_err *err) INV_MUST_USE;
struct inv_shared_settings *
inv_settings_copy(const struct inv_shared_settings *from);
void inv_settings_write(const struct inv_settings *settings,
                        struct inv_buf *out);

/* "space" of the body (settings_simplex.c): fills `simplex`, and `dim` with
 * what follows from it. Nothing without it. INV_INVALID, INV_DIMENSION. */
enum inv_status inv_settings_parse_space(const inv_json *body,
                                         struct inv_settings *settings,
                                         struct inv_err *err) INV_MUST_USE;
/* The rest of such settings, once shape and model have been read: INV_INVALID
 * for another kind, metric or model, INV_DIMENSION for another dim. The model
 * becomes "simplex", its revision the number of classes. */
enum inv_status inv_settings_check_space(const inv_json *body,
                                         struct inv_settings *settings,
                                         struct inv_err *err) INV_MUST_USE;

/* Parts that rebuild and PATCH may change; `at` is the pointer prefix. */
enum inv_status inv_settings_parse_index(const inv_json *object, const char *at,
                                         struct inv_settings *settings,
                                         struct inv_err *err) INV_MUST_USE;
enum inv_status inv_settings_parse_encoder(const inv_json *object,
                                           const char *at,
                                           struct inv_settings *settings,
                                           struct inv_err *err) INV_MUST_USE;
/* Only "params", "payload_index" and "require_model" may be there. */
enum inv_status inv_settings_patch(const inv_json *body,
                                   struct inv_settings *settings,
                                   bool *fields_changed,
                                   struct inv_err *err) INV_MUST_USE;
void inv_settings_write_encoder(const struct inv_settings *settings,
                                struct inv_buf *out);
void inv_settings_write_index(const struct inv_settings *settings,
                              struct inv_buf *out);

/* The identity of the space the vectors live in: model name, revision, prompt,
 * dim, metric, and whether its vectors have length 1. */
uint64_t inv_settings_space(const struct inv_settings *settings);
/* Can a search have these dims? INV_DIMENSION at at/params/dims/i. */
enum inv_status inv_settings_check_dims(const struct inv_settings *settings,
                                        const struct inv_search_params *params,
                                        const char *at,
                                        struct inv_err *err) INV_MUST_USE;
/* [A-Za-z0-9._-]{1,64} */
enum inv_status inv_check_name(const char *what, const char *name, size_t len,
                               struct inv_err *err) INV_MUST_USE;

#endif
