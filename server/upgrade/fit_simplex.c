/*
 * fit_simplex.c: the fit job where the gallery is in a simplex: the labelled
 * vectors of a model and of the first one, out of the catalog; what fits and
 * judges them is encoders/adapters/simplex_fit.h. Builder thread, but for the
 * check.
 */
#include "server/upgrade/fit.h"

#include "base/clock.h"
#include "base/kernels.h"
#include "base/log.h"
#include "encoders/adapters/simplex_fit.h"
#include "server/upgrade/adapters.h"
#include "server/upgrade/vertices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- gathering ---- */

/* Vectors of one model as they come; buffers remember that they failed. */
struct set {
    const struct inv_space *space;
    struct inv_buf rows, labels, items, use; /* float, uint32_t x 2, uint8_t */
    struct inv_buf old, has_old;             /* float, bool */
    size_t count, labelled;
};

struct gathering {
    struct inv_arena arena;
    struct inv_intern vertices, items;
    const struct inv_space *first; /* model: its vectors are the base */
    struct set *into;
    struct set sets[2]; /* of the model, of the first one */
};

static void set_release(struct set *set) {
    struct inv_buf *buffers[] = {&set->rows, &set->labels, &set->items,
                                 &set->use,  &set->old,    &set->has_old};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        inv_buf_release(buffers[i]);
    *set = (struct set){.count = 0};
}

static void gathering_release(struct gathering *g) {
    set_release(&g->sets[0]);
    set_release(&g->sets[1]);
    inv_intern_release(&g->vertices);
    inv_intern_release(&g->items);
    inv_arena_release(&g->arena);
}

static size_t dim_of(const struct inv_space *space) {
    return space->settings->settings.dim;
}

/* One row of norm 1; zeros for NULL. */
static enum inv_status take_row(struct inv_buf *out, const void *bytes,
                                size_t len, size_t dim, struct inv_err *err) {
    static const float zeros[INV_DIM_MAX];
    if (bytes != NULL && len != dim * sizeof(float))
        return inv_fail(err, INV_CORRUPT,
                        "a stored query has %zu bytes for %zu dimensions", len,
                        dim);
    size_t at = out->len;
    inv_buf_append(out, bytes == NULL ? zeros : bytes, dim * sizeof(float));
    if (!out->failed && bytes != NULL)
        inv_normalize_f32((float *)(void *)(out->data + at), dim);
    return INV_OK;
}

/* A text of a row outlives it in the arena. */
static enum inv_status number_item(struct gathering *g,
                                   const struct inv_query_row *row,
                                   uint32_t *number, struct inv_err *err) {
    *number = inv_intern_find(&g->items, row->key, row->key_len);
    if (*number != INV_INTERN_NONE)
        return INV_OK;
    const char *key = inv_arena_strndup(&g->arena, row->key, row->key_len);
    if (key == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for ids");
    return inv_intern_add(&g->items, key, row->key_len, number, err);
}

/* What is known of the row beside its vectors. */
static enum inv_status take_rest(struct gathering *g, bool old,
                                 const struct inv_query_row *row,
                                 struct inv_err *err) {
    struct set *set = g->into;
    uint8_t use = row->use == INV_QUERY_FITS     ? INV_FIT_USE_FIT_ONLY
                  : row->use == INV_QUERY_JUDGES ? INV_FIT_USE_JUDGE_ONLY
                                                 : INV_FIT_USE_BOTH;
    uint32_t label = INV_FIT_NO_LABEL;
    uint32_t item = 0;
    if (row->label != NULL)
        label = inv_intern_find(&g->vertices, row->label, strlen(row->label));
    enum inv_status status = number_item(g, row, &item, err);
    inv_buf_append(&set->labels, &label, sizeof label);
    inv_buf_append(&set->items, &item, sizeof item);
    inv_buf_append(&set->use, &use, sizeof use);
    inv_buf_append(&set->has_old, &old, sizeof old);
    set->count++;
    set->labelled += label != INV_FIT_NO_LABEL;
    return status;
}

static bool has_failed(const struct set *set) {
    return set->rows.failed || set->labels.failed || set->items.failed ||
           set->use.failed || set->old.failed || set->has_old.failed;
}

static enum inv_status take_query(void *ctx, const struct inv_query_row *row,
                                  struct inv_err *err) {
    struct gathering *g = ctx;
    struct set *set = g->into;
    bool old = g->first != NULL && row->old_space == g->first->space;
    enum inv_status status = take_row(&set->rows, row->vector, row->vector_len,
                                      dim_of(set->space), err);
    if (status == INV_OK && g->first != NULL)
        status = take_row(&set->old, old ? row->old_vector : NULL,
                          row->old_vector_len, dim_of(g->first), err);
    if (status == INV_OK)
        status = take_rest(g, old, row, err);
    if (status == INV_OK && has_failed(set))
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          set->count);
    return status;
}

static enum inv_status gather_set(struct gathering *g, struct inv_db *db,
                                  int64_t collection, struct set *set,
                                  const struct inv_space *space,
                                  struct inv_err *err) {
    set_release(set);
    set->space = space;
    g->into = set;
    return inv_db_queries(db, collection, space->space, take_query, g, err);
}

/* The first model is what later ones are measured by; in a blend its vectors
 * are the base. Without a blend a model without labels does not count. */
static enum inv_status gather(struct gathering *g, struct inv_collection *c,
                              struct inv_db *db,
                              const struct inv_models *models,
                              const struct inv_space *from,
                              struct inv_err *err) {
    bool blend = models->settings->settings.simplex.base_dim > 0;
    *g = (struct gathering){.first = blend && from != &models->spaces[1]
                                         ? &models->spaces[1]
                                         : NULL};
    inv_arena_init(&g->arena, INV_REQUEST_ARENA_MAX);
    enum inv_status status =
        inv_vertices_read(db, c->id, &g->arena, &g->vertices, err);
    if (status == INV_OK)
        status = gather_set(g, db, c->id, &g->sets[0], from, err);
    g->first = NULL;
    for (size_t i = 1; status == INV_OK && &models->spaces[i] != from; i++) {
        status = gather_set(g, db, c->id, &g->sets[1], &models->spaces[i], err);
        if (blend || g->sets[1].labelled > 0)
            return status;
        set_release(&g->sets[1]);
    }
    return status;
}

/* Vectors of the same item in the first model, where none was given as "old":
 * an item has the same id in both. */
static enum inv_status complete_base(struct gathering *g, size_t *pairs,
                                     struct inv_err *err) {
    struct set *model = &g->sets[0];
    const struct set *first = &g->sets[1];
    bool *has = (bool *)(void *)model->has_old.data;
    const uint32_t *items = (const uint32_t *)(const void *)model->items.data;
    const uint32_t *there = (const uint32_t *)(const void *)first->items.data;
    size_t bytes = dim_of(first->space) * sizeof(float);
    uint32_t *row_of = malloc((g->items.count + 1) * sizeof *row_of);
    *pairs = 0;
    if (row_of == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids",
                        g->items.count);
    for (size_t i = 0; i < g->items.count; i++)
        row_of[i] = UINT32_MAX;
    for (size_t i = 0; i < first->count; i++)
        row_of[there[i]] = (uint32_t)i;
    for (size_t i = 0; i < model->count; i++) {
        if (!has[i] && row_of[items[i]] != UINT32_MAX) {
            memcpy(model->old.data + i * bytes,
                   first->rows.data + row_of[items[i]] * bytes, bytes);
            has[i] = true;
        }
        *pairs += has[i];
    }
    free(row_of);
    return INV_OK;
}

static struct inv_labelled as_labelled(const struct set *set) {
    return (struct inv_labelled){
        .count = set->count,
        .dim = dim_of(set->space),
        .rows = (const float *)(const void *)set->rows.data,
        .labels = (const uint32_t *)(const void *)set->labels.data,
        .items = (const uint32_t *)(const void *)set->items.data,
        .use = (const uint8_t *)set->use.data};
}

/* ---- is there enough ---- */

static enum inv_status check_set(struct gathering *g,
                                 const struct inv_models *models,
                                 struct inv_err *err) {
    const struct set *model = &g->sets[0];
    const struct inv_simplex_settings *s = &models->settings->settings.simplex;
    const char *name = model->space->name;
    const struct inv_space *first = &models->spaces[1];
    if (model->labelled < INV_FIT_PAIRS_MIN || g->vertices.count < 2)
        return inv_fail(err, INV_CONFLICT,
                        "a fit needs at least %d labelled vectors of %s and 2 "
                        "classes, there are %zu and %zu: post them to "
                        "models/%s/queries",
                        INV_FIT_PAIRS_MIN, name, model->labelled,
                        g->vertices.count, name);
    if (s->base_dim > 0 && dim_of(first) != s->base_dim)
        return inv_fail(err, INV_CONFLICT,
                        "the gallery keeps %u dimensions of the first model "
                        "beside its classes, %s has %zu: register the model "
                        "first whose vectors these are",
                        s->base_dim, first->name, dim_of(first));
    if (s->base_dim == 0 || model->space == first)
        return INV_OK;
    size_t pairs = 0;
    enum inv_status status = complete_base(g, &pairs, err);
    if (status != INV_OK || pairs >= INV_FIT_PAIRS_MIN)
        return status;
    return inv_fail(err, INV_CONFLICT,
                    "a blend needs at least %d vectors of %s that have one in "
                    "%s, too (\"old\", or the same id), there are %zu",
                    INV_FIT_PAIRS_MIN, name, first->name, pairs);
}

enum inv_status inv_fit_simplex_check(struct inv_collection *collection,
                                      const struct inv_models *models,
                                      const struct inv_fit_request *request,
                                      struct inv_err *err) {
    struct inv_catalog *catalog = collection->app->catalog;
    struct gathering g;
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(catalog, &db, err);
    if (status != INV_OK)
        return status;
    status = gather(&g, collection, db, models, request->from, err);
    inv_catalog_return(catalog, db);
    if (status == INV_OK)
        status = check_set(&g, models, err);
    gathering_release(&g);
    return status;
}

/* ---- report ---- */

static void put_number(struct inv_buf *out, const char *key, double value) {
    inv_buf_printf(out, ",\"%s\":", key);
    inv_json_put_double(out, value);
}

static void put_quality(struct inv_buf *out, const char *key,
                        const struct inv_label_quality *quality) {
    inv_buf_printf(out, ",\"%s\":{\"queries\":%zu", key, quality->queries);
    put_number(out, "r1", quality->first);
    put_number(out, "map", quality->map);
    inv_buf_putc(out, '}');
}

static enum inv_status write_report(const struct gathering *g,
                                    const struct inv_simplex_result *r,
                                    size_t vertices, double seconds,
                                    struct inv_buf *out, struct inv_err *err) {
    const struct set *first = &g->sets[g->sets[1].space == NULL ? 0 : 1];
    inv_buf_printf(out,
                   "{\"vertices\":%zu,\"classes\":%zu,\"labelled\":%zu,"
                   "\"unlabelled\":%zu,\"base_pairs\":%zu,\"folds\":%zu",
                   vertices, r->classes, r->labelled,
                   g->sets[0].count - g->sets[0].labelled, r->base_pairs,
                   r->folds);
    put_number(out, "r", r->r);
    put_number(out, "condition", r->condition);
    put_number(out, "seconds", seconds);
    inv_buf_puts(out, ",\"first\":");
    inv_json_put_string(out, first->space->name, strlen(first->space->name));
    put_quality(out, "held_out", &r->held_out);
    put_quality(out, "own", &r->own);
    put_quality(out, "reference", &r->reference);
    inv_buf_puts(out, ",\"gain\":{\"mean\":");
    inv_json_put_double(out, r->gate.gain.mean);
    put_number(out, "low", r->gate.gain.low);
    put_number(out, "high", r->gate.gain.high);
    inv_buf_printf(out,
                   "},\"queries_needed\":%zu,\"verdict\":\"%s\","
                   "\"reason\":",
                   r->gate.queries_needed, inv_verdict_name(r->gate.verdict));
    inv_json_put_string(out, r->gate.reason, strlen(r->gate.reason));
    inv_buf_putc(out, '}');
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a report")
                       : INV_OK;
}

/* ---- the job ---- */

static bool show_progress(void *ctx, const char *stage, size_t done,
                          size_t total) {
    const struct inv_work *work = ctx;
    return work->progress(work->ctx, stage, done, total);
}

static enum inv_status store(const struct inv_work *work, const char *text,
                             const struct inv_fit_request *request,
                             const struct inv_simplex_result *r,
                             const struct inv_buf *report,
                             char name[INV_NAME_MAX + 1], struct inv_err *err) {
    char proposal[4 * INV_MODEL_NAME_MAX + 64];
    snprintf(proposal, sizeof proposal, "%s-to-%s", request->from->name,
             request->to->name);
    if (work->progress(work->ctx, "store", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    struct inv_new_adapter new = {
        .name = request->name[0] != '\0' ? request->name : NULL,
        .proposal = proposal,
        .from = request->from->space,
        .to = request->to->space,
        .kind = inv_adapter_kind_name(INV_ADAPTER_SIMPLEX),
        .verdict = inv_verdict_name(r->gate.verdict),
        .break_even = 2,
        .request = text,
        .report = report->data,
        .backward = r->adapter};
    return inv_adapters_add(work->collection, &new, name, err);
}

static enum inv_status
fit_and_store(const struct inv_work *work, const char *text,
              const struct inv_models *models,
              const struct inv_fit_request *request, struct gathering *g,
              struct inv_buf *result, struct inv_err *err) {
    const struct inv_simplex_settings *s = &models->settings->settings.simplex;
    struct inv_labelled first;
    struct inv_simplex_result fitted = {.adapter = NULL};
    struct inv_buf report = INV_BUF_INIT;
    char name[INV_NAME_MAX + 1];
    uint64_t start = inv_now_ns();
    struct inv_simplex_data data = {.model = as_labelled(&g->sets[0]),
                                    .classes = s->classes,
                                    .base_dim = s->base_dim,
                                    .blend = s->blend,
                                    .rho = request->rho,
                                    .margin = request->options.margin,
                                    .seed = request->options.seed,
                                    .from = request->from->name,
                                    .to = request->to->name};
    if (g->sets[1].space != NULL) {
        first = as_labelled(&g->sets[1]);
        data.first = &first;
    }
    if (s->base_dim > 0 && data.first != NULL) {
        data.base = (const float *)(const void *)g->sets[0].old.data;
        data.has_base = (const bool *)(const void *)g->sets[0].has_old.data;
    }
    enum inv_status status = inv_simplex_fit_judge(
        &data, show_progress, (void *)(uintptr_t)work, &fitted, err);
    double seconds = (double)(inv_now_ns() - start) / 1e9;
    if (status == INV_OK)
        status = write_report(g, &fitted, s->classes, seconds, &report, err);
    if (status == INV_OK)
        status = store(work, text, request, &fitted, &report, name, err);
    if (status == INV_OK) {
        inv_buf_printf(
            result, "{\"adapter\":\"%s\",\"verdict\":\"%s\",\"report\":%s}",
            name, inv_verdict_name(fitted.gate.verdict), report.data);
        inv_log(INV_LOG_INFO, "fit",
                "%s: %s to %s from %zu labelled vectors of %zu classes in "
                "%.3f s: %s",
                work->collection->name, request->from->name, request->to->name,
                fitted.labelled, fitted.classes, seconds, fitted.gate.reason);
    }
    inv_adapter_free(fitted.adapter);
    inv_buf_release(&report);
    return status;
}

enum inv_status inv_work_fit_simplex(const struct inv_work *work,
                                     const char *request,
                                     struct inv_buf *result,
                                     struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_fit_request parsed;
    struct gathering g = {.first = NULL};
    struct inv_view *view = NULL;
    struct inv_db *db = NULL;
    bool made = false;
    if (work->progress(work->ctx, "gather", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    enum inv_status status = inv_catalog_borrow(c->app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_collection_moment(c, db, &view, err);
    const struct inv_models *models =
        status == INV_OK ? inv_view_models(view) : NULL;
    if (status == INV_OK)
        status = inv_fit_request_parse(models, request, strlen(request),
                                       &parsed, err);
    if (status == INV_OK)
        made = inv_fit_made_before(models, request, &parsed, result);
    if (status == INV_OK && !made)
        status = gather(&g, c, db, models, parsed.from, err);
    if (db != NULL)
        inv_catalog_return(c->app->catalog, db);
    if (status == INV_OK && !made)
        status = check_set(&g, models, err);
    if (status == INV_OK && !made)
        status = fit_and_store(work, request, models, &parsed, &g, result, err);
    gathering_release(&g);
    inv_ref_put(view);
    return status;
}
