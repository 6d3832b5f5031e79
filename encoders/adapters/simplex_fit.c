/*
 * simplex_fit.c: see simplex_fit.h. Which neighbours are of the right class is
 * found out in simplex_judge.c.
 */
#include "encoders/adapters/simplex_fit.h"

#include "base/rng.h"
#include "encoders/adapters/simplex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_SEEN UINT8_MAX   /* in place of the fold of a row */
#define NO_FOLD (UINT8_MAX - 1) /* in place of the fold a fit leaves out */

/* ---- folds ---- */

/* Each class spread over the folds as evenly as it goes, in random order; one
 * that is only judged is seen by none, so that any fold does. */
static enum inv_status make_folds(const struct inv_labelled *set,
                                  size_t classes, uint64_t seed, uint8_t *fold,
                                  struct inv_err *err) {
    uint32_t *order = malloc((set->count + 1) * sizeof *order);
    size_t *next = calloc(classes + 1, sizeof *next);
    struct inv_stream stream;
    enum inv_status status = INV_OK;
    if (order == NULL || next == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          set->count);
        goto done;
    }
    inv_stream_init(&stream, seed, "simplex.folds", 0);
    for (size_t i = 0; i < set->count; i++) {
        size_t j = inv_stream_below(&stream, (uint32_t)(i + 1));
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
    for (size_t i = 0; i < set->count; i++) {
        size_t row = order[i];
        size_t class =
            set->labels[row] == INV_FIT_NO_LABEL ? classes : set->labels[row];
        fold[row] = set->use[row] == INV_FIT_USE_FIT_ONLY
                        ? ALWAYS_SEEN
                        : (uint8_t)(next[class]++ % INV_SIMPLEX_FOLDS);
    }
done:
    free(order);
    free(next);
    return status;
}

/* ---- maps ---- */

struct maps {
    struct inv_map base, simplex; /* base.rows 0: the vector as it is */
    size_t labelled, base_pairs;
};

static void maps_release(struct maps *maps) {
    inv_map_release(&maps->base);
    inv_map_release(&maps->simplex);
    *maps = (struct maps){.labelled = 0};
}

/* What one model's map into the gallery is fitted on. */
struct source {
    const struct inv_simplex_data *data;
    const struct inv_labelled *set;
    const float *base; /* NULL: none, or the first model itself */
    const bool *has_base;
    uint8_t *fold;
};

static bool fitted(const struct source *s, size_t i, uint8_t without) {
    return s->set->use[i] != INV_FIT_USE_JUDGE_ONLY && s->fold[i] != without;
}

static enum inv_status fit_vertices(const struct source *s, uint8_t without,
                                    struct maps *out, struct inv_err *err) {
    const struct inv_labelled *set = s->set;
    size_t count = 0;
    float *rows = malloc((set->count * set->dim + 1) * sizeof *rows);
    uint32_t *labels = malloc((set->count + 1) * sizeof *labels);
    enum inv_status status = INV_OK;
    if (rows == NULL || labels == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          set->count);
    for (size_t i = 0; status == INV_OK && i < set->count; i++) {
        if (!fitted(s, i, without) || set->labels[i] == INV_FIT_NO_LABEL)
            continue;
        memcpy(rows + count * set->dim, set->rows + i * set->dim,
               set->dim * sizeof *rows);
        labels[count++] = set->labels[i];
    }
    if (status == INV_OK)
        status =
            inv_fit_simplex(rows, count, set->dim, labels, s->data->classes,
                            s->data->rho, &out->simplex, err);
    out->labelled = count;
    free(rows);
    free(labels);
    return status;
}

/* Later models: procrustes onto the first one's vectors. */
static enum inv_status fit_base(const struct source *s, uint8_t without,
                                struct maps *out, struct inv_err *err) {
    const struct inv_labelled *set = s->set;
    size_t dim = s->data->base_dim;
    struct inv_pairs pairs = {.count = 0};
    struct inv_moments moments = {.count = 0};
    if (s->base == NULL)
        return INV_OK;
    enum inv_status status = inv_pairs_init(&pairs, set->dim, dim, err);
    for (size_t i = 0; status == INV_OK && i < set->count; i++)
        if (s->has_base[i] && fitted(s, i, without))
            status = inv_pairs_add(&pairs, set->rows + i * set->dim,
                                   s->base + i * dim, 1, err);
    out->base_pairs = (size_t)pairs.count;
    if (status == INV_OK)
        status = inv_pairs_moments(&pairs, true, false, &moments, err);
    if (status == INV_OK)
        status = inv_fit_procrustes(&moments, &out->base, err);
    inv_pairs_release(&pairs);
    inv_moments_release(&moments);
    return status;
}

static enum inv_status fit_maps(const struct source *s, uint8_t without,
                                struct maps *out, struct inv_err *err) {
    *out = (struct maps){.labelled = 0};
    enum inv_status status = fit_vertices(s, without, out, err);
    if (status == INV_OK && s->data->base_dim > 0)
        status = fit_base(s, without, out, err);
    return status;
}

/* ---- the adapter ---- */

/* The maps one below the other; the first model's base is the identity. */
static enum inv_status make_adapter(const struct inv_simplex_data *data,
                                    size_t cols, const struct maps *maps,
                                    const char *from, struct inv_adapter **out,
                                    struct inv_err *err) {
    size_t base = data->base_dim;
    size_t rows = base + data->classes - 1;
    float *w = calloc(rows * cols, sizeof *w);
    float *b = calloc(rows, sizeof *b);
    enum inv_status status = INV_OK;
    if (w == NULL || b == NULL)
        status =
            inv_fail(err, INV_MEMORY,
                     "out of memory for an adapter of %zu x %zu", rows, cols);
    if (status == INV_OK) {
        if (maps->base.rows > 0)
            inv_map_floats(&maps->base, w, b);
        for (size_t i = 0; maps->base.rows == 0 && i < base; i++)
            w[i * cols + i] = 1;
        inv_map_floats(&maps->simplex, w + base * cols, b + base);
        struct inv_adapter_parts parts = {
            .kind = INV_ADAPTER_SIMPLEX,
            .direction = INV_ADAPTER_BACKWARD,
            .from = from,
            .to = data->to,
            .rows = rows,
            .cols = cols,
            .matrix = w,
            .bias = b,
            .normalise = true,
            .blend = {.base = base, .share = (float)data->blend}};
        status = inv_adapter_new(&parts, out, err);
    }
    free(w);
    free(b);
    return status;
}

/* ---- held out ---- */

typedef bool progress_fn(void *ctx, const char *stage, size_t done,
                         size_t total);

struct run {
    const struct inv_simplex_data *data;
    progress_fn *progress;
    void *ctx;
    size_t done, total; /* steps */
};

static enum inv_status step(struct run *run, const char *stage,
                            struct inv_err *err) {
    if (run->progress != NULL &&
        run->progress(run->ctx, stage, run->done, run->total))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    run->done++;
    return INV_OK;
}

/* Rows of one fold through the maps that did not see them. */
static enum inv_status carry_fold(struct run *run, const struct source *s,
                                  uint8_t fold, float *out,
                                  struct inv_err *err) {
    const struct inv_labelled *set = s->set;
    size_t width = run->data->base_dim + run->data->classes - 1;
    struct maps maps;
    struct inv_adapter *adapter = NULL;
    enum inv_status status = step(run, "judge", err);
    if (status != INV_OK)
        return status;
    status = fit_maps(s, fold, &maps, err);
    if (status == INV_OK)
        status =
            make_adapter(run->data, set->dim, &maps, "held-out", &adapter, err);
    for (size_t i = 0; status == INV_OK && i < set->count; i++)
        if (s->fold[i] == fold)
            status = inv_adapter_apply(adapter, set->rows + i * set->dim, 1,
                                       set->dim, out + i * width, err);
    inv_adapter_free(adapter);
    maps_release(&maps);
    return status;
}

/* Every judged row of the set in the gallery's space; *out is the caller's. */
static enum inv_status carry_all(struct run *run, const struct source *s,
                                 float **out, struct inv_err *err) {
    size_t width = run->data->base_dim + run->data->classes - 1;
    enum inv_status status = INV_OK;
    *out = calloc(s->set->count * width + 1, sizeof **out);
    if (*out == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                        s->set->count);
    for (uint8_t fold = 0; status == INV_OK && fold < INV_SIMPLEX_FOLDS; fold++)
        status = carry_fold(run, s, fold, *out, err);
    return status;
}

/* ---- judging ---- */

static struct inv_label_quality mean_of(const double *hit,
                                        const double *precision, size_t count) {
    struct inv_label_quality quality = {.queries = 0};
    for (size_t i = 0; i < count; i++) {
        if (hit[i] < 0)
            continue;
        quality.first += hit[i];
        quality.map += precision[i];
        quality.queries++;
    }
    if (quality.queries > 0) {
        quality.first /= (double)quality.queries;
        quality.map /= (double)quality.queries;
    }
    return quality;
}

/* Measures of one set of queries. */
struct marks {
    double *hit, *precision;
    struct inv_label_quality quality;
};

static enum inv_status mark(struct run *run, const struct inv_labelled *queries,
                            const struct inv_labelled *gallery,
                            struct marks *out, struct inv_err *err) {
    enum inv_status status = step(run, "judge", err);
    out->hit = calloc(queries->count + 1, sizeof *out->hit);
    out->precision = calloc(queries->count + 1, sizeof *out->precision);
    if (status == INV_OK && (out->hit == NULL || out->precision == NULL))
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          queries->count);
    if (status == INV_OK)
        status =
            inv_judge_labels(queries, gallery, out->hit, out->precision, err);
    if (status == INV_OK)
        out->quality = mean_of(out->hit, out->precision, queries->count);
    return status;
}

static void marks_release(struct marks *marks) {
    free(marks->hit);
    free(marks->precision);
}

/* The first model's mark of the same item; its mean where that has none. */
static double reference_of(const struct inv_labelled *first,
                           const struct marks *reference, uint32_t item) {
    for (size_t i = 0; i < first->count; i++)
        if (first->items[i] == item && reference->hit[i] >= 0)
            return reference->hit[i];
    return reference->quality.first;
}

static void explain(struct inv_simplex_result *r, double margin) {
    struct inv_gate *gate = &r->gate;
    char *out = gate->reason;
    size_t size = sizeof gate->reason;
    if (gate->verdict == INV_VERDICT_ACTIVATE)
        snprintf(out, size,
                 "the nearest neighbour is of the right class for %.3f, of the "
                 "first model in its own space for %.3f: %+.3f, with 95 %% "
                 "certainty no less than %+.3f (margin -%.3f)",
                 r->held_out.first, r->reference.first, gate->gain.mean,
                 gate->gain.low, margin);
    else if (gate->queries_needed > r->held_out.queries)
        snprintf(out, size,
                 "too few labels: the gain is %+.3f +- %.3f with %zu; about "
                 "%zu are needed to tell it from -%.3f",
                 gate->gain.mean, gate->half_width, r->held_out.queries,
                 gate->queries_needed, margin);
    else if (gate->gain.high > -margin)
        snprintf(out, size,
                 "too few labels: the gain is %+.3f, with %zu anything from "
                 "%+.3f to %+.3f (margin -%.3f)",
                 gate->gain.mean, r->held_out.queries, gate->gain.low,
                 gate->gain.high, margin);
    else
        snprintf(out, size,
                 "the classes are not found as well as by the first model in "
                 "its own space: %.3f against %.3f (%+.3f to %+.3f)",
                 r->held_out.first, r->reference.first, gate->gain.low,
                 gate->gain.high);
}

static enum inv_status judge_gain(const struct inv_simplex_data *data,
                                  const struct inv_labelled *first,
                                  const struct marks *held_out,
                                  const struct marks *reference,
                                  struct inv_simplex_result *r,
                                  struct inv_err *err) {
    size_t count = 0;
    double *cross = malloc((data->model.count + 1) * sizeof *cross);
    double *own = malloc((data->model.count + 1) * sizeof *own);
    enum inv_status status = INV_OK;
    if (cross == NULL || own == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          data->model.count);
    for (size_t i = 0; status == INV_OK && i < data->model.count; i++) {
        if (held_out->hit[i] < 0)
            continue;
        cross[count] = held_out->hit[i];
        own[count++] = reference_of(first, reference, data->model.items[i]);
    }
    r->gate = (struct inv_gate){.verdict = INV_VERDICT_REFUSE, .break_even = 2};
    if (status == INV_OK && (count < 2 || reference->quality.queries == 0)) {
        snprintf(r->gate.reason, sizeof r->gate.reason,
                 "too few labels: %zu vectors can be judged, %zu of the first "
                 "model; a class needs two",
                 count, reference->quality.queries);
    } else if (status == INV_OK) {
        struct inv_gate_input input = {.cross = cross,
                                       .old_old = own,
                                       .queries = count,
                                       .break_even = 2,
                                       .margin = data->margin,
                                       .seed = data->seed};
        status = inv_gate_judge(&input, &r->gate, err);
        explain(r, data->margin);
    }
    free(cross);
    free(own);
    return status;
}

/* The set with other rows. */
static struct inv_labelled seen_as(const struct inv_labelled *set,
                                   const float *rows, size_t dim) {
    struct inv_labelled other = *set;
    other.rows = rows;
    other.dim = dim;
    return other;
}

static enum inv_status judge(struct run *run, const struct source *model,
                             const struct source *first,
                             struct inv_simplex_result *r,
                             struct inv_err *err) {
    size_t width = run->data->base_dim + run->data->classes - 1;
    bool same = model->set == first->set;
    float *queries = NULL, *gallery = NULL;
    struct marks marks[3] = {{0}, {0}, {0}}; /* held out, own, reference */
    enum inv_status status = carry_all(run, model, &queries, err);
    if (status == INV_OK && !same)
        status = carry_all(run, first, &gallery, err);
    if (status == INV_OK) {
        struct inv_labelled q = seen_as(model->set, queries, width);
        struct inv_labelled g =
            seen_as(first->set, same ? queries : gallery, width);
        status = mark(run, &q, &g, &marks[0], err);
    }
    if (status == INV_OK)
        status = mark(run, model->set, model->set, &marks[1], err);
    if (status == INV_OK)
        status = mark(run, first->set, first->set, &marks[2], err);
    if (status == INV_OK) {
        r->held_out = marks[0].quality;
        r->own = marks[1].quality;
        r->reference = marks[2].quality;
        status =
            judge_gain(run->data, first->set, &marks[0], &marks[2], r, err);
    }
    for (size_t i = 0; i < 3; i++)
        marks_release(&marks[i]);
    free(queries);
    free(gallery);
    return status;
}

/* ---- all of it ---- */

static enum inv_status check(const struct inv_simplex_data *data,
                             struct inv_err *err) {
    const struct inv_labelled *first =
        data->first == NULL ? &data->model : data->first;
    if (data->base_dim > 0 && first->dim != data->base_dim)
        return inv_fail(err, INV_DIMENSION,
                        "the gallery keeps %zu dimensions of the first model, "
                        "which has %zu",
                        data->base_dim, first->dim);
    return INV_OK;
}

static size_t count_classes(const struct inv_labelled *set, size_t classes) {
    size_t count = 0;
    bool *there = calloc(classes, sizeof *there);
    for (size_t i = 0; there != NULL && i < set->count; i++) {
        uint32_t label = set->labels[i];
        if (label == INV_FIT_NO_LABEL || there[label])
            continue;
        there[label] = true;
        count++;
    }
    free(there);
    return count;
}

static enum inv_status fit_all(struct run *run, const struct source *model,
                               struct inv_simplex_result *r,
                               struct inv_err *err) {
    struct maps maps;
    enum inv_status status = step(run, "fit", err);
    if (status != INV_OK)
        return status;
    status = fit_maps(model, NO_FOLD, &maps, err);
    if (status == INV_OK)
        status = inv_map_measure(&maps.simplex, err);
    if (status == INV_OK)
        status = make_adapter(run->data, model->set->dim, &maps,
                              run->data->from, &r->adapter, err);
    r->labelled = maps.labelled;
    r->base_pairs = maps.base_pairs;
    r->r = maps.simplex.r;
    r->condition = maps.simplex.condition;
    maps_release(&maps);
    return status;
}

enum inv_status inv_simplex_fit_judge(
    const struct inv_simplex_data *data,
    bool (*progress)(void *ctx, const char *stage, size_t done, size_t total),
    void *ctx, struct inv_simplex_result *result, struct inv_err *err) {
    const struct inv_labelled *set = &data->model;
    struct run run = {.data = data, .progress = progress, .ctx = ctx};
    struct source model = {data, set, data->base, data->has_base, NULL};
    struct source first = {data, data->first, NULL, NULL, NULL};
    *result = (struct inv_simplex_result){.folds = INV_SIMPLEX_FOLDS};
    run.total = 4 + INV_SIMPLEX_FOLDS * (data->first == NULL ? 1 : 2);
    enum inv_status status = check(data, err);
    if (status != INV_OK)
        return status;
    result->classes = count_classes(set, data->classes);
    model.fold = malloc(set->count + 1);
    first.fold = data->first == NULL ? NULL : malloc(first.set->count + 1);
    if (model.fold == NULL || (data->first != NULL && first.fold == NULL))
        status = inv_fail(err, INV_MEMORY, "out of memory for folds");
    if (status == INV_OK)
        status = make_folds(set, data->classes, data->seed, model.fold, err);
    if (status == INV_OK && data->first != NULL)
        status =
            make_folds(first.set, data->classes, data->seed, first.fold, err);
    if (status == INV_OK)
        status = fit_all(&run, &model, result, err);
    if (status == INV_OK)
        status = judge(&run, &model, data->first == NULL ? &model : &first,
                       result, err);
    free(model.fold);
    free(first.fold);
    if (status != INV_OK) {
        inv_adapter_free(result->adapter);
        result->adapter = NULL;
    }
    return status;
}
