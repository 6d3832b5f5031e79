/*
 * fit_request.c: what a fit is asked to do: the body of POST .../adapters and
 * whether the collection has what it takes. Any thread.
 */
#include "server/upgrade/fit.h"

#include "encoders/adapters/simplex_fit.h"
#include "server/upgrade/documents.h"

#include <stdio.h>
#include <string.h>

/* ---- form ---- */

#define TAKES_MAX 4

/* A kind with its solver, the method that it is, and what else it takes. */
static const struct choice {
    const char *kind, *solver; /* solver NULL: takes none */
    const char *method;
    const char *takes[TAKES_MAX];
} choices[] = {
    {"procrustes", NULL, "procrustes", {NULL}},
    {"ridge", NULL, "ridge", {"rho", NULL}},
    {"lambda_orthogonal", "path", "path", {"kappa", NULL}},
    {"lambda_orthogonal",
     "contrastive",
     "contrastive",
     {"kappa", "temperature", "steps", NULL}},
    {"lambda_orthogonal", "paper", "paper", {"kappa", NULL}},
    {"simplex", NULL, "simplex", {"beta", "label_field", NULL}},
};
/* Into a simplex there is one way, from labels that came with the vectors. */
static const struct choice onto_vertices = {
    "simplex", NULL, "simplex", {"rho", NULL}};
static const char *const special[] = {"kappa", "rho",  "temperature",
                                      "steps", "beta", "label_field"};

static enum inv_status get_real(const inv_json *object, const char *key,
                                double low, double high, double *out,
                                struct inv_err *err) {
    const inv_json *value = inv_json_get(object, key);
    if (value == NULL)
        return INV_OK;
    enum inv_json_kind kind = inv_json_kind(value);
    double given = 0;
    if (kind == INV_JSON_INT || kind == INV_JSON_REAL)
        given = inv_json_real(value);
    else
        return inv_json_point(
            err,
            inv_fail(err, INV_INVALID,
                     "\"%s\" must be a number from %g to %g, got %s", key, low,
                     high, inv_json_kind_name(kind)),
            "", key);
    if (!(given >= low && given <= high))
        return inv_json_point(err,
                              inv_fail(err, INV_INVALID,
                                       "\"%s\" must be from %g to %g, got %g",
                                       key, low, high, given),
                              "", key);
    *out = given;
    return INV_OK;
}

static bool takes(const struct choice *choice, const char *key) {
    for (size_t i = 0; choice->takes[i] != NULL; i++)
        if (strcmp(choice->takes[i], key) == 0)
            return true;
    return false;
}

/* The kind and the solver; *out NULL when no kind was given. */
static enum inv_status read_choice(const inv_json *json,
                                   const struct choice **out,
                                   struct inv_err *err) {
    const char *kind = NULL;
    const char *solver = NULL;
    size_t len = 0;
    bool known = false;
    *out = NULL;
    enum inv_status status =
        inv_json_get_string(json, "", "kind", 32, &kind, &len, err);
    if (status == INV_OK)
        status =
            inv_json_get_string(json, "", "solver", 32, &solver, &len, err);
    if (status != INV_OK || (kind == NULL && solver == NULL))
        return status;
    if (kind == NULL)
        kind = "lambda_orthogonal";
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const struct choice *choice = &choices[i];
        if (strcmp(choice->kind, kind) != 0)
            continue;
        known = true;
        bool fits = choice->solver == NULL
                        ? solver == NULL
                        : solver == NULL || strcmp(choice->solver, solver) == 0;
        if (fits && *out == NULL) /* the first solver is the default */
            *out = choice;
    }
    if (*out != NULL)
        return INV_OK;
    status = known ? inv_fail(err, INV_INVALID,
                              "\"%s\" is not a solver of kind %s: "
                              "lambda_orthogonal has path, contrastive and "
                              "paper, the other kinds have none",
                              solver, kind)
                   : inv_fail(err, INV_INVALID,
                              "unknown kind \"%s\": procrustes, ridge, "
                              "lambda_orthogonal, simplex",
                              kind);
    return inv_json_point(err, status, "", known ? "solver" : "kind");
}

static enum inv_status read_vertices(const inv_json *json,
                                     struct inv_fit_request *out,
                                     struct inv_err *err) {
    const char *kind = NULL;
    size_t len = 0;
    enum inv_status status =
        inv_json_get_string(json, "", "kind", 32, &kind, &len, err);
    if (status == INV_OK && kind != NULL && strcmp(kind, "simplex") != 0)
        status = inv_json_point(
            err,
            inv_fail(
                err, INV_INVALID,
                "the gallery is in a simplex: the only \"kind\" of adapter "
                "that leads there is simplex, not \"%s\"",
                kind),
            "", "kind");
    else if (status == INV_OK && inv_json_get(json, "solver") != NULL)
        status = inv_json_point(
            err, inv_fail(err, INV_INVALID, "kind simplex has no \"solver\""),
            "", "solver");
    if (status == INV_OK)
        status = get_real(json, "rho", 1e-6, 10, &out->rho, err);
    return status;
}

/* What one kind takes is refused for another: it would say nothing there. */
static enum inv_status check_special(const inv_json *json,
                                     const struct choice *choice,
                                     struct inv_err *err) {
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const char *key = special[i];
        if (inv_json_get(json, key) == NULL ||
            (choice != NULL && takes(choice, key)))
            continue;
        enum inv_status status =
            choice == NULL
                ? inv_fail(err, INV_INVALID, "\"%s\" needs a \"kind\"", key)
                : inv_fail(err, INV_INVALID, "%s%s%s takes no \"%s\"",
                           choice->kind, choice->solver == NULL ? "" : " by ",
                           choice->solver == NULL ? "" : choice->solver, key);
        return inv_json_point(err, status, "", key);
    }
    return INV_OK;
}

static enum inv_status read_label_field(const inv_json *json, bool needed,
                                        struct inv_fit_request *out,
                                        struct inv_err *err) {
    const char *field = NULL;
    size_t len = 0;
    enum inv_status status = inv_json_get_string(
        json, "", "label_field", INV_FIELD_KEY_MAX, &field, &len, err);
    if (status == INV_OK && field == NULL && needed)
        status = inv_json_point(
            err,
            inv_fail(err, INV_INVALID,
                     "simplex is fitted to labels of documents: "
                     "\"label_field\" names the payload field that holds them"),
            "", "label_field");
    if (status == INV_OK && field != NULL)
        snprintf(out->label_field, sizeof out->label_field, "%s", field);
    return status;
}

static enum inv_status read_method(const inv_json *json,
                                   const struct choice *choice,
                                   struct inv_fit_request *out,
                                   struct inv_err *err) {
    double kappa = -1;
    double rho = -1;
    double temperature = -1;
    double beta = .1;
    int64_t steps = out->options.steps;
    char text[32];
    enum inv_status status = get_real(json, "kappa", 0, 10, &kappa, err);
    if (status == INV_OK)
        status = get_real(json, "rho", 1e-6, 10, &rho, err);
    if (status == INV_OK)
        status = get_real(json, "temperature", 1e-3, 10, &temperature, err);
    if (status == INV_OK)
        status = get_real(json, "beta", 0, 1, &beta, err);
    if (status == INV_OK)
        status = inv_json_get_int(json, "", "steps", 1, 100000, &steps, err);
    if (status == INV_OK)
        status = read_label_field(json, strcmp(choice->method, "simplex") == 0,
                                  out, err);
    if (status != INV_OK)
        return status;
    out->options.steps = (uint32_t)steps;
    double knob = -1;
    if (strcmp(choice->method, "path") == 0)
        knob = kappa >= 0 ? kappa : .2;
    else if (strcmp(choice->method, "paper") == 0)
        knob = kappa;
    else if (strcmp(choice->method, "ridge") == 0)
        knob = rho;
    else if (strcmp(choice->method, "contrastive") == 0)
        knob = temperature;
    else if (strcmp(choice->method, "simplex") == 0)
        knob = beta;
    if (kappa >= 0)
        out->options.kappa = kappa;
    if (knob >= 0)
        snprintf(text, sizeof text, "%s:%g", choice->method, knob);
    else
        snprintf(text, sizeof text, "%s", choice->method);
    return inv_fit_methods_parse(text, out->methods, &out->count, err);
}

static enum inv_status read_options(const inv_json *json, bool simplex,
                                    struct inv_fit_request *out,
                                    struct inv_err *err) {
    const struct choice *choice = NULL;
    const char *name = NULL;
    size_t len = 0;
    int64_t seed = 0;
    out->options = inv_fit_options_defaults();
    enum inv_status status =
        inv_json_get_string(json, "", "name", INV_NAME_MAX, &name, &len, err);
    if (status == INV_OK && name != NULL) {
        status = inv_check_name("adapter", name, len, err);
        if (status != INV_OK)
            return inv_json_point(err, status, "", "name");
        snprintf(out->name, sizeof out->name, "%s", name);
    }
    if (status == INV_OK)
        status = get_real(json, "margin", 0, 1, &out->options.margin, err);
    if (status == INV_OK)
        status = inv_json_get_int(json, "", "seed", 0, INT64_MAX, &seed, err);
    out->options.seed = (uint64_t)seed;
    if (simplex)
        choice = &onto_vertices;
    if (status == INV_OK)
        status = simplex ? read_vertices(json, out, err)
                         : read_choice(json, &choice, err);
    if (status == INV_OK)
        status = check_special(json, choice, err);
    if (status == INV_OK && choice != NULL && !simplex)
        status = read_method(json, choice, out, err);
    return status;
}

/* ---- models ---- */

static enum inv_status read_models(const inv_json *json,
                                   const struct inv_models *models,
                                   struct inv_fit_request *out,
                                   struct inv_err *err) {
    const struct inv_space *gallery = &models->spaces[0];
    const char *from = NULL;
    const char *to = NULL;
    size_t len = 0;
    enum inv_status status = inv_json_get_string(
        json, "", "from", 2 * INV_MODEL_NAME_MAX + 1, &from, &len, err);
    if (status == INV_OK && from == NULL)
        status = inv_json_point(
            err,
            inv_fail(err, INV_INVALID,
                     "\"from\" is missing: the model whose queries are to "
                     "be adapted"),
            "", "from");
    if (status == INV_OK)
        status = inv_json_get_string(json, "", "to", 2 * INV_MODEL_NAME_MAX + 1,
                                     &to, &len, err);
    if (status != INV_OK)
        return status;
    out->to = gallery;
    status = inv_models_find(models, from, &out->from, err);
    if (status != INV_OK)
        return inv_json_point(err, status, "", "from");
    if (to != NULL)
        status = inv_models_find(models, to, &out->to, err);
    if (status != INV_OK)
        return inv_json_point(err, status, "", "to");
    if (out->simplex && out->to != gallery)
        return inv_json_point(
            err,
            inv_fail(err, INV_INVALID,
                     "the gallery is in %s: every model has its adapter to "
                     "that, and none to another model (%s)",
                     gallery->name, out->to->name),
            "", "to");
    if (out->from == out->to)
        status = inv_fail(err, INV_INVALID,
                          "from and to are the same model, %s: an adapter "
                          "joins two",
                          out->from->name);
    else if (out->from == gallery)
        status = inv_fail(err, INV_INVALID,
                          "the wrong direction: %s is the gallery's model and "
                          "stays; fit from the new model, %s, to %s (the way "
                          "back comes with it)",
                          gallery->name, out->to->name, gallery->name);
    out->options.from = out->from->name;
    out->options.to = out->to->name;
    return status == INV_OK ? INV_OK : inv_json_point(err, status, "", "from");
}

enum inv_status inv_fit_request_parse(const struct inv_models *models,
                                      const char *text, size_t len,
                                      struct inv_fit_request *out,
                                      struct inv_err *err) {
    static const char *const keys[] = {
        "from",        "to",    "name", "kind",        "solver", "kappa", "rho",
        "temperature", "steps", "beta", "label_field", "margin", "seed",  NULL};
    inv_json *json = NULL;
    *out = (struct inv_fit_request){.simplex = inv_fit_into_simplex(models),
                                    .rho = INV_SIMPLEX_RHO};
    enum inv_status status = inv_json_parse_plain(text, len, &json, err);
    if (status == INV_OK)
        status = inv_json_body(json, keys, err);
    if (status == INV_OK)
        status = read_options(json, out->simplex, out, err);
    if (status == INV_OK)
        status = read_models(json, models, out, err);
    inv_json_free(json);
    return status;
}

/* ---- is there enough ---- */

struct tally {
    int64_t to;
    size_t pairs, relevant;
};

static enum inv_status count_query(void *ctx, const struct inv_query_row *row,
                                   struct inv_err *err) {
    struct tally *tally = ctx;
    (void)err;
    tally->pairs += row->old_space == tally->to;
    tally->relevant += row->relevant != NULL;
    return INV_OK;
}

static enum inv_status check_amount(struct inv_collection *c,
                                    const struct inv_view *view,
                                    const struct inv_fit_request *request,
                                    struct inv_err *err) {
    struct tally tally = {.to = request->to->space};
    struct inv_db *db = NULL;
    size_t documents = inv_upgrade_documents_both(view, request->to->space,
                                                  request->from->space);
    enum inv_status status = inv_catalog_borrow(c->app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_db_queries(db, c->id, request->from->space, count_query,
                                &tally, err);
    if (db != NULL)
        inv_catalog_return(c->app->catalog, db);
    if (status != INV_OK)
        return status;
    if (documents + tally.pairs < INV_FIT_PAIRS_MIN)
        return inv_fail(err, INV_CONFLICT,
                        "a fit needs at least %d pairs of vectors in %s and "
                        "%s, there are %zu (%zu documents, %zu queries): post "
                        "vectors of documents to models/%s/vectors",
                        INV_FIT_PAIRS_MIN, request->from->name,
                        request->to->name, documents + tally.pairs, documents,
                        tally.pairs, request->from->name);
    if (request->count == 1 &&
        request->methods[0].kind == INV_ADAPTER_CONTRASTIVE &&
        tally.relevant < INV_FIT_PAIRS_MIN)
        return inv_fail(err, INV_CONFLICT,
                        "contrastive learns from queries with relevant "
                        "documents: at least %d, there are %zu: post them to "
                        "models/%s/queries",
                        INV_FIT_PAIRS_MIN, tally.relevant, request->from->name);
    return INV_OK;
}

static enum inv_status check_kind(const struct inv_models *models,
                                  const struct inv_fit_request *request,
                                  struct inv_err *err) {
    const struct inv_settings *settings = &models->settings->settings;
    if (settings->metric == INV_L2)
        return inv_fail(err, INV_INVALID,
                        "adapters are fitted and judged by cosine or inner "
                        "product; the collection's metric is l2");
    bool single_only = request->count == 1 &&
                       (request->methods[0].kind == INV_ADAPTER_CONTRASTIVE ||
                        request->methods[0].kind == INV_ADAPTER_SIMPLEX);
    if (settings->multi && single_only)
        return inv_fail(err, INV_INVALID,
                        "%s is for single vectors, the collection's kind is "
                        "multi: procrustes, ridge or lambda_orthogonal by "
                        "path",
                        inv_adapter_kind_name(request->methods[0].kind));
    if (request->name[0] != '\0' &&
        inv_models_adapter(models, request->name) != NULL)
        return inv_fail(err, INV_CONFLICT,
                        "there is an adapter %s already: another name, or "
                        "DELETE it first",
                        request->name);
    return INV_OK;
}

enum inv_status inv_work_check_fit(struct inv_collection *collection,
                                   const char *request, size_t len,
                                   struct inv_err *err) {
    struct inv_fit_request parsed;
    struct inv_view *view = inv_gallery_view(collection->gallery);
    const struct inv_models *models = inv_view_models(view);
    enum inv_status status =
        inv_fit_request_parse(models, request, len, &parsed, err);
    if (status == INV_OK)
        status = check_kind(models, &parsed, err);
    if (status == INV_OK)
        status = parsed.simplex
                     ? inv_fit_simplex_check(collection, models, &parsed, err)
                     : check_amount(collection, view, &parsed, err);
    inv_ref_put(view);
    return status;
}
