/*
 * settings_simplex.c: the part of a collection's settings that puts its gallery
 * into the d-Simplex: "space" of the body, and what follows from it for the
 * rest. Pure functions, any thread.
 */
#include "server/settings.h"

#include <stdio.h>
#include <string.h>

#define SPACE_MODEL "simplex"

/* An error in a field of the body. */
static enum inv_status in_field(struct inv_err *err, const char *key,
                                enum inv_status status) {
    return inv_json_point(err, status, "", key);
}

static enum inv_status read_type(const inv_json *space, struct inv_err *err) {
    const char *type = NULL;
    size_t len = 0;
    enum inv_status status =
        inv_json_get_string(space, "/space", "type", 32, &type, &len, err);
    if (status != INV_OK || (type != NULL && strcmp(type, SPACE_MODEL) == 0))
        return status;
    status = inv_fail(err, INV_INVALID,
                      "the \"type\" of a space is \"simplex\", not \"%s\"",
                      type == NULL ? "" : type);
    inv_err_at(err, "/space/type");
    return status;
}

/* "blend" and "base_dim": both or none. */
static enum inv_status read_blend(const inv_json *space,
                                  struct inv_simplex_settings *out,
                                  struct inv_err *err) {
    int64_t base = 0;
    const inv_json *blend = inv_json_get(space, "blend");
    enum inv_status status = inv_json_get_int(space, "/space", "base_dim", 1,
                                              INV_DIM_MAX, &base, err);
    if (status != INV_OK)
        return status;
    enum inv_json_kind kind =
        blend == NULL ? INV_JSON_NULL : inv_json_kind(blend);
    double share = kind == INV_JSON_REAL || kind == INV_JSON_INT
                       ? inv_json_real(blend)
                       : 0;
    if (blend != NULL && !(share > 0 && share < 1))
        status = inv_fail(err, INV_INVALID,
                          "\"blend\" is the simplex' share of a score, more "
                          "than 0 and less than 1, got %g",
                          share);
    else if ((blend != NULL) != (base > 0))
        status = inv_fail(err, INV_INVALID,
                          "\"blend\" and \"base_dim\" (the dimensions of the "
                          "first model, whose vectors are kept beside) belong "
                          "together");
    if (status != INV_OK) {
        inv_err_at(err, "/space/blend");
        return status;
    }
    out->base_dim = (uint32_t)base;
    out->blend = share;
    return INV_OK;
}

enum inv_status inv_settings_parse_space(const inv_json *body,
                                         struct inv_settings *s,
                                         struct inv_err *err) {
    static const char *const keys[] = {"type", "classes", "blend", "base_dim",
                                       NULL};
    inv_json *space = NULL;
    int64_t classes = 0;
    enum inv_status status =
        inv_json_get_object(body, "", "space", &space, err);
    if (status != INV_OK || space == NULL)
        return status;
    status = inv_json_allow(space, "/space", keys, err);
    if (status == INV_OK)
        status = read_type(space, err);
    if (status == INV_OK)
        status = inv_json_get_int(space, "/space", "classes", 2,
                                  INV_DIM_MAX + 1, &classes, err);
    if (status == INV_OK && classes == 0) {
        status = inv_fail(err, INV_INVALID,
                          "\"classes\" is missing: the most classes there will "
                          "ever be, 2 to %d",
                          INV_DIM_MAX + 1);
        inv_err_at(err, "/space/classes");
    }
    if (status == INV_OK)
        status = read_blend(space, &s->simplex, err);
    if (status != INV_OK)
        return status;
    s->simplex.classes = (uint32_t)classes;
    s->dim = s->simplex.base_dim + (size_t)classes - 1;
    if (s->dim <= INV_DIM_MAX)
        return INV_OK;
    status = inv_fail(err, INV_DIMENSION,
                      "the space has %zu dimensions, at most %d are possible",
                      s->dim, INV_DIM_MAX);
    inv_err_at(err, "/space");
    return status;
}

/* Nothing but the name that the space gets anyway. */
static enum inv_status check_model(const inv_json *body,
                                   const struct inv_settings *s,
                                   const char *revision, struct inv_err *err) {
    if (inv_json_get(body, "model") == NULL ||
        (strcmp(s->model, SPACE_MODEL) == 0 &&
         strcmp(s->revision, revision) == 0 && s->prompt[0] == '\0'))
        return INV_OK;
    return in_field(err, "model",
                    inv_fail(err, INV_INVALID,
                             "a space of type simplex is of no model and is "
                             "called " SPACE_MODEL "@%s; register %s@%s with "
                             "PUT .../models",
                             revision, s->model, s->revision));
}

enum inv_status inv_settings_check_space(const inv_json *body,
                                         struct inv_settings *s,
                                         struct inv_err *err) {
    const struct inv_simplex_settings *simplex = &s->simplex;
    char revision[16];
    if (simplex->classes == 0)
        return INV_OK;
    size_t dim = simplex->base_dim + (size_t)simplex->classes - 1;
    snprintf(revision, sizeof revision, "%u", simplex->classes);
    if (s->multi)
        return in_field(err, "kind",
                        inv_fail(err, INV_INVALID,
                                 "a space of type simplex is for single "
                                 "vectors, the kind is multi"));
    if (s->metric != INV_COSINE)
        return in_field(err, "metric",
                        inv_fail(err, INV_INVALID,
                                 "the metric of a space of type simplex is "
                                 "cosine"));
    if (s->dim != dim)
        return in_field(err, "dim",
                        inv_fail(err, INV_DIMENSION,
                                 "a simplex of %u classes beside %u dimensions "
                                 "has %zu, \"dim\" says %zu",
                                 simplex->classes, simplex->base_dim, dim,
                                 s->dim));
    enum inv_status status = check_model(body, s, revision, err);
    if (status != INV_OK)
        return status;
    memcpy(s->model, SPACE_MODEL, sizeof SPACE_MODEL);
    memcpy(s->revision, revision, strlen(revision) + 1);
    return INV_OK;
}
