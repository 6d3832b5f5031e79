/*
 * methods.c: from a method's name to a fitted map and its adapters; see
 * evaluate.h and evaluate_internal.h. Knows no judgements. One thread a call.
 */
#include "encoders/adapters/evaluate_internal.h"
#include "encoders/adapters/paper.h"
#include "encoders/adapters/simplex.h"

#include <stdlib.h>
#include <string.h>

#define BETA_DEFAULT .1 /* digits: .2 gains .003 more, costs unseen classes */
#define SIMPLEX_RHO .01
#define RHO_DEFAULT .01    /* with too few pairs to choose by */
#define PAPER_ROWS 50000   /* 400 steps of 128 see no more */
#define SIMPLEX_ROWS 50000 /* pairs, each with as many targets as classes */

/* ---- names ---- */

static enum inv_status parse_one(const char *text, size_t len,
                                 struct inv_fit_method *method,
                                 struct inv_err *err) {
    *method = (struct inv_fit_method){.knob = -1};
    if (len == 0 || len >= sizeof method->name)
        return inv_fail(err, INV_INVALID,
                        "a method has a name of 1 to %zu letters, not %zu",
                        sizeof method->name - 1, len);
    memcpy(method->name, text, len);
    size_t word = strcspn(method->name, ":");
    char kind[sizeof method->name] = "";
    memcpy(kind, method->name, word);
    method->kind = inv_adapter_kind_parse(kind);
    if (method->kind >= INV_ADAPTER_COMPOSED)
        return inv_fail(err, INV_INVALID,
                        "unknown method \"%s\": procrustes, ridge, path:KAPPA, "
                        "contrastive, paper, simplex",
                        method->name);
    char *end = NULL;
    const char *number = method->name + word + 1;
    double most = method->kind == INV_ADAPTER_SIMPLEX ? 1 : 10;
    if (method->name[word] == '\0' && method->kind != INV_ADAPTER_PATH)
        return INV_OK;
    if (method->name[word] == ':' && method->kind != INV_ADAPTER_PROCRUSTES)
        method->knob = strtod(number, &end);
    if (end != NULL && end != number && *end == '\0' && method->knob >= 0 &&
        method->knob <= most)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "\"%s\": path:KAPPA, ridge[:RHO], "
                    "contrastive[:TEMPERATURE], paper[:KAPPA] with a number "
                    "from 0 to 10, simplex[:BETA] from 0 to 1, procrustes "
                    "without",
                    method->name);
}

enum inv_status inv_fit_methods_parse(const char *text,
                                      struct inv_fit_method *methods,
                                      size_t *count, struct inv_err *err) {
    *count = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (*count == INV_FIT_METHODS_MAX)
            return inv_fail(err, INV_INVALID, "more than %d methods",
                            INV_FIT_METHODS_MAX);
        enum inv_status status = parse_one(text, len, &methods[*count], err);
        if (status != INV_OK)
            return status;
        ++*count;
        if (text[len] == '\0')
            return INV_OK;
        text += len + 1;
    }
}

static size_t relevance_of(const struct inv_fit_data *d) {
    size_t pairs = 0;
    for (size_t q = 0; q < d->queries; q++) {
        size_t count;
        inv_fit_relevant(d, q, &count);
        pairs += inv_fit_query_fits(d, q, NULL) ? count : 0;
    }
    return pairs;
}

void inv_fit_methods_default(const struct inv_fit_data *data,
                             struct inv_fit_method *methods, size_t *count) {
    static const struct inv_fit_method usual[] = {
        {"procrustes", INV_ADAPTER_PROCRUSTES, -1},
        {"path:0.1", INV_ADAPTER_PATH, .1},
        {"path:0.35", INV_ADAPTER_PATH, .35},
        {"ridge", INV_ADAPTER_RIDGE, -1},
        {"contrastive", INV_ADAPTER_CONTRASTIVE, -1},
    };
    *count = !data->multi && relevance_of(data) > 0 ? 5 : 4;
    memcpy(methods, usual, *count * sizeof *methods);
}

struct inv_fit_options inv_fit_options_defaults(void) {
    return (struct inv_fit_options){.from = "new",
                                    .to = "old",
                                    .kappa = .2,
                                    .steps = 600,
                                    .margin = INV_GATE_MARGIN};
}

/* ---- what is possible ---- */

enum inv_status inv_fit_method_check(const struct inv_fit_data *d,
                                     const struct inv_fit_method *method,
                                     struct inv_err *err) {
    bool contrastive = method->kind == INV_ADAPTER_CONTRASTIVE;
    bool simplex = method->kind == INV_ADAPTER_SIMPLEX;
    if (d->multi && (contrastive || simplex))
        return inv_fail(err, INV_INVALID,
                        "%s fits single vectors only, these are multi-vectors",
                        method->name);
    if (contrastive && relevance_of(d) == 0)
        return inv_fail(err, INV_INVALID,
                        "contrastive learns from relevance pairs: titles, or "
                        "queries with relevant documents; there are none");
    if (simplex && (d->labels == NULL || d->classes < 2))
        return inv_fail(err, INV_INVALID,
                        "simplex needs labels of documents, of 2 classes or "
                        "more; there are %zu",
                        d->labels == NULL ? 0 : d->classes);
    if (simplex && !d->cosine)
        return inv_fail(err, INV_INVALID,
                        "simplex needs a gallery with cosine: what it folds "
                        "has norm 1");
    return INV_OK;
}

/* ---- fits ---- */

static enum inv_status fit_ridge(const struct inv_fit_source *s, double rho,
                                 struct inv_fit_watch *watch,
                                 struct inv_map *map, struct inv_err *err) {
    if (rho > 0)
        return inv_fit_ridge(&s->all, rho, map, err);
    if (s->held == 0)
        return inv_fit_ridge(&s->all, RHO_DEFAULT, map, err);
    enum inv_status status = inv_fit_ridge_held_out(
        &s->most, s->held_x, s->held_y, s->held, map, err);
    if (status != INV_OK)
        return status;
    rho = map->knob;
    inv_map_release(map);
    status = inv_fit_tell(watch, 0, 1, err);
    return status == INV_OK ? inv_fit_ridge(&s->all, rho, map, err) : status;
}

/* The watch as the iterative fits ask: true goes on. */
static bool go_on(void *context, size_t step, size_t steps) {
    struct inv_fit_watch *watch = context;
    return inv_fit_tell(watch, step, steps, NULL) == INV_OK;
}

static enum inv_status fit_contrastive(const struct inv_fit_source *s,
                                       const struct inv_fit_method *method,
                                       const struct inv_map *start,
                                       struct inv_fit_watch *watch,
                                       struct inv_fit_fitted *out,
                                       struct inv_err *err) {
    struct inv_fit_relevance relevance;
    struct inv_contrastive how = inv_contrastive_defaults();
    how.temperature = method->knob > 0 ? method->knob : 0;
    how.kappa = s->options->kappa;
    how.steps = s->options->steps;
    if (how.temperature <= 0 && s->chosen != NULL && s->chosen->steps > 0) {
        how.temperature = s->chosen->temperature;
        how.steps = (uint32_t)s->chosen->steps;
    }
    how.seed = s->options->seed;
    how.go_on = go_on;
    how.context = watch;
    enum inv_status status = inv_fit_relevance_init(&relevance, s, err);
    if (status == INV_OK) {
        out->relevance_pairs = relevance.given.count;
        /* A fold can leave no pair: then it ends where it begins. */
        status = relevance.given.count == 0
                     ? inv_map_copy(start, &out->map, err)
                     : inv_fit_contrastive(start, &relevance.given, &how,
                                           &out->map, &out->choice, err);
    }
    inv_fit_relevance_release(&relevance);
    return status;
}

static enum inv_status fit_paper(const struct inv_fit_source *s,
                                 const struct inv_fit_method *method,
                                 const struct inv_map *start,
                                 struct inv_fit_watch *watch,
                                 struct inv_map *map, struct inv_err *err) {
    struct inv_paper how = inv_paper_defaults();
    float *x = NULL, *y = NULL;
    size_t count;
    how.kappa = method->knob >= 0 ? method->knob : how.kappa;
    how.seed = s->options->seed;
    how.go_on = go_on;
    how.context = watch;
    enum inv_status status =
        inv_fit_source_rows(s, PAPER_ROWS, &x, &y, NULL, &count, err);
    if (status == INV_OK)
        status = inv_fit_paper(start, x, y, NULL, count, &how, map, NULL, err);
    free(x);
    free(y);
    return status;
}

/* Both models' maps onto the vertices, from documents with labels. */
static enum inv_status fit_fold(const struct inv_fit_source *s,
                                const struct inv_fit_method *method,
                                struct inv_fit_fitted *out,
                                struct inv_err *err) {
    const struct inv_fit_data *d = s->data;
    float *x = NULL, *y = NULL;
    uint32_t *labels = NULL;
    size_t count;
    out->beta = method->knob >= 0 ? method->knob : BETA_DEFAULT;
    enum inv_status status =
        inv_fit_source_rows(s, SIMPLEX_ROWS, &x, &y, &labels, &count, err);
    if (status == INV_OK)
        status = inv_fit_simplex(x, count, d->new_dim, labels, d->classes,
                                 SIMPLEX_RHO, &out->s_new, err);
    if (status == INV_OK)
        status = inv_fit_simplex(y, count, d->old_dim, labels, d->classes,
                                 SIMPLEX_RHO, &out->s_old, err);
    free(x);
    free(y);
    free(labels);
    return status;
}

static enum inv_status fit_from_procrustes(const struct inv_fit_source *s,
                                           const struct inv_fit_method *method,
                                           struct inv_fit_watch *watch,
                                           struct inv_fit_fitted *out,
                                           struct inv_err *err) {
    struct inv_map start;
    enum inv_status status = inv_fit_procrustes(&s->all, &start, err);
    if (status == INV_OK && method->kind == INV_ADAPTER_CONTRASTIVE)
        status = fit_contrastive(s, method, &start, watch, out, err);
    else if (status == INV_OK)
        status = fit_paper(s, method, &start, watch, &out->map, err);
    inv_map_release(&start);
    return status;
}

enum inv_status inv_fit_method_run(const struct inv_fit_source *source,
                                   const struct inv_fit_method *method,
                                   struct inv_fit_watch *watch,
                                   struct inv_fit_fitted *fitted,
                                   struct inv_err *err) {
    *fitted = (struct inv_fit_fitted){.beta = 0};
    enum inv_status status = inv_fit_tell(watch, 0, 1, err);
    if (status != INV_OK)
        return status;
    switch (method->kind) {
    case INV_ADAPTER_RIDGE:
        return fit_ridge(source, method->knob, watch, &fitted->map, err);
    case INV_ADAPTER_PATH:
        return inv_fit_path(&source->all, method->knob, &fitted->map, err);
    case INV_ADAPTER_CONTRASTIVE:
    case INV_ADAPTER_PAPER:
        return fit_from_procrustes(source, method, watch, fitted, err);
    case INV_ADAPTER_SIMPLEX:
        status = inv_fit_procrustes(&source->all, &fitted->map, err);
        return status == INV_OK ? fit_fold(source, method, fitted, err)
                                : status;
    default:
        return inv_fit_procrustes(&source->all, &fitted->map, err);
    }
}

void inv_fit_fitted_release(struct inv_fit_fitted *fitted) {
    inv_map_release(&fitted->map);
    inv_map_release(&fitted->s_new);
    inv_map_release(&fitted->s_old);
}

/* ---- adapters ---- */

/* W and b of three maps as floats, one after the other. */
static float *floats_of(const struct inv_map *const maps[3], const float *w[3],
                        const float *b[3]) {
    size_t total = 1;
    for (size_t i = 0; i < 3; i++)
        total += maps[i]->rows * maps[i]->cols + maps[i]->rows;
    float *block = malloc(total * sizeof *block);
    float *at = block;
    for (size_t i = 0; i < 3 && block != NULL; i++) {
        float *bias = at + maps[i]->rows * maps[i]->cols;
        inv_map_floats(maps[i], at, bias);
        w[i] = at;
        b[i] = bias;
        at = bias + maps[i]->rows;
    }
    return block;
}

static enum inv_status make(const struct inv_fit_source *s,
                            enum inv_adapter_kind kind, bool forward,
                            const struct inv_map *map,
                            const struct inv_fit_fitted *fitted,
                            struct inv_adapter **out, struct inv_err *err) {
    static const struct inv_map none = {.rows = 0};
    bool fold = !forward && kind == INV_ADAPTER_SIMPLEX;
    const struct inv_map *const maps[3] = {map, fold ? &fitted->s_new : &none,
                                           fold ? &fitted->s_old : &none};
    const float *w[3], *b[3];
    float *block = floats_of(maps, w, b);
    if (block == NULL)
        return inv_fail(err, INV_MEMORY,
                        "out of memory for an adapter of %zu x %zu", map->rows,
                        map->cols);
    struct inv_adapter_parts parts = {
        .kind = kind,
        .direction = forward ? INV_ADAPTER_FORWARD : INV_ADAPTER_BACKWARD,
        .from = forward ? s->options->to : s->options->from,
        .to = forward ? s->options->from : s->options->to,
        .rows = map->rows,
        .cols = map->cols,
        .matrix = w[0],
        .bias = b[0],
        .normalise = s->data->cosine || s->data->multi,
    };
    if (fold)
        parts.fold = (struct inv_adapter_fold){.dim = fitted->s_new.rows,
                                               .s_new = w[1],
                                               .s_new_bias = b[1],
                                               .s_old = w[2],
                                               .beta = (float)fitted->beta};
    enum inv_status status = inv_adapter_new(&parts, out, err);
    free(block);
    return status;
}

enum inv_status inv_fit_backward(const struct inv_fit_source *source,
                                 const struct inv_fit_method *method,
                                 const struct inv_fit_fitted *fitted,
                                 struct inv_adapter **out,
                                 struct inv_err *err) {
    return make(source, method->kind, false, &fitted->map, fitted, out, err);
}

enum inv_status inv_fit_forward(const struct inv_fit_source *source,
                                const struct inv_fit_method *method,
                                const struct inv_fit_fitted *fitted,
                                struct inv_adapter **out, double *r,
                                struct inv_err *err) {
    struct inv_map map = {.rows = 0};
    enum inv_adapter_kind kind = method->kind;
    enum inv_status status;
    switch (method->kind) {
    case INV_ADAPTER_RIDGE:
        status = inv_fit_ridge(&source->forward, fitted->map.knob, &map, err);
        break;
    case INV_ADAPTER_PATH:
        status = inv_fit_path(&source->forward, method->knob, &map, err);
        break;
    case INV_ADAPTER_CONTRASTIVE:
    case INV_ADAPTER_PAPER:
        kind = INV_ADAPTER_PATH;
        status =
            inv_fit_path(&source->forward, source->options->kappa, &map, err);
        break;
    default:
        kind = INV_ADAPTER_PROCRUSTES;
        status = inv_fit_procrustes(&source->forward, &map, err);
    }
    if (status == INV_OK)
        status = make(source, kind, true, &map, fitted, out, err);
    *r = map.r;
    inv_map_release(&map);
    return status;
}
