/*
 * adapters_show.c: adapters and what their reports say, as JSON; see
 * adapters.h. Any thread.
 */
#include "server/upgrade/adapters.h"

#include "encoders/adapters/gate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_text(struct inv_buf *out, const char *key, const char *text) {
    inv_buf_printf(out, ",\"%s\":", key);
    inv_json_put_string(out, text, strlen(text));
}

static void put_number(struct inv_buf *out, const char *key, double value) {
    inv_buf_printf(out, ",\"%s\":", key);
    if (isfinite(value))
        inv_json_put_double(out, value);
    else
        inv_buf_puts(out, "null");
}

/* The solver of a lambda-orthogonal adapter is what its kind was called when it
 * was made. */
static const char *solver_of(const struct inv_stored_adapter *adapter) {
    if (strcmp(adapter->kind, "lambda_orthogonal") != 0 ||
        adapter->backward.adapter == NULL)
        return NULL;
    return inv_adapter_kind_name(
        inv_adapter_parts(adapter->backward.adapter).kind);
}

static const char *name_of(const struct inv_models *models, int64_t space) {
    const struct inv_space *found = inv_models_space(models, space);
    return found == NULL ? "" : found->name;
}

void inv_adapters_put(const struct inv_models *models,
                      const struct inv_stored_adapter *adapter, bool full,
                      struct inv_buf *out) {
    const char *solver = solver_of(adapter);
    inv_buf_puts(out, "{\"name\":");
    inv_json_put_string(out, adapter->name, strlen(adapter->name));
    put_text(out, "from", name_of(models, adapter->from));
    put_text(out, "to", name_of(models, adapter->to));
    put_text(out, "kind", adapter->kind);
    if (solver != NULL)
        put_text(out, "solver", solver);
    put_text(out, "verdict", adapter->verdict);
    put_number(out, "break_even",
               adapter->break_even <= 1 ? adapter->break_even : (double)NAN);
    inv_buf_printf(out,
                   ",\"degraded\":%s,\"in_use\":%s,\"forward\":%s,"
                   "\"created_ms\":%" PRId64,
                   adapter->degraded ? "true" : "false",
                   inv_adapters_in_use(models, adapter) ? "true" : "false",
                   adapter->forward.adapter != NULL ? "true" : "false",
                   adapter->created_ms);
    if (full)
        inv_buf_printf(out, ",\"request\":%s,\"report\":%s", adapter->request,
                       adapter->report);
    inv_buf_putc(out, '}');
}

/* ---- reports ---- */

static const inv_json *chosen_method(const inv_json *report) {
    const inv_json *methods = inv_json_get(report, "methods");
    const inv_json *chosen = inv_json_get(report, "chosen");
    size_t len = 0;
    if (methods == NULL || chosen == NULL ||
        inv_json_kind(methods) != INV_JSON_ARRAY ||
        inv_json_kind(chosen) != INV_JSON_STRING)
        return NULL;
    const char *name = inv_json_string(chosen, &len);
    for (size_t i = 0; i < inv_json_size(methods); i++) {
        const inv_json *method = inv_json_at(methods, i);
        const inv_json *own = inv_json_kind(method) == INV_JSON_OBJECT
                                  ? inv_json_get(method, "method")
                                  : NULL;
        if (own != NULL && inv_json_kind(own) == INV_JSON_STRING &&
            strcmp(inv_json_string(own, &len), name) == 0)
            return method;
    }
    return NULL;
}

static bool number_at(const inv_json *object, const char *outer,
                      const char *inner, double *out) {
    const inv_json *value = object;
    if (value != NULL && inv_json_kind(value) == INV_JSON_OBJECT)
        value = inv_json_get(value, outer);
    else
        value = NULL;
    if (inner != NULL)
        value = value != NULL && inv_json_kind(value) == INV_JSON_OBJECT
                    ? inv_json_get(value, inner)
                    : NULL;
    if (value == NULL || (inv_json_kind(value) != INV_JSON_INT &&
                          inv_json_kind(value) != INV_JSON_REAL))
        return false;
    *out = inv_json_real(value);
    return true;
}

bool inv_report_number(const inv_json *report, const char *outer,
                       const char *inner, double *out) {
    const inv_json *method = chosen_method(report);
    return method != NULL && number_at(method, outer, inner, out);
}

/* ---- compatibility ---- */

struct table {
    const struct inv_models *models;
    size_t order[INV_SPACES_MAX]; /* spaces of the picture, by age */
    size_t count;
    double cell[INV_SPACES_MAX * INV_SPACES_MAX]; /* NAN: not measured */
    const struct inv_stored_adapter *shown;
    double gain, queries;
};

/* Spaces are numbered in the order in which they were made. */
static void order_models(struct table *t) {
    t->count = t->models->space_count;
    for (size_t i = 0; i < t->count; i++) {
        size_t at = i;
        while (at > 0 && t->models->spaces[t->order[at - 1]].space >
                             t->models->spaces[i].space) {
            t->order[at] = t->order[at - 1];
            at--;
        }
        t->order[at] = i;
    }
    for (size_t i = 0; i < t->count * t->count; i++)
        t->cell[i] = (double)NAN;
}

static size_t place_of(const struct table *t, int64_t space) {
    size_t i = 0;
    while (i < t->count && t->models->spaces[t->order[i]].space != space)
        i++;
    return i;
}

static void fill(struct table *t, size_t row, size_t column, double value) {
    double *cell = &t->cell[row * t->count + column];
    if (isnan(*cell))
        *cell = value;
}

/* One report's three measures. What an earlier one has filled stays. */
static enum inv_status take_report(struct table *t,
                                   const struct inv_stored_adapter *adapter,
                                   struct inv_err *err) {
    inv_json *report = NULL;
    double value = 0;
    size_t from = place_of(t, adapter->from);
    size_t to = place_of(t, adapter->to);
    if (from == t->count || to == t->count ||
        strcmp(adapter->verdict, "NONE") == 0)
        return INV_OK;
    enum inv_status status = inv_json_parse_plain(
        adapter->report, strlen(adapter->report), &report, err);
    if (status != INV_OK)
        return status;
    /* Over the documents that have both vectors, where these are not all: what
     * the three have in common. */
    if (inv_report_number(report, "held_out_covered", "ndcg10", &value) ||
        inv_report_number(report, "held_out", "ndcg10", &value))
        fill(t, from, to, value);
    if (number_at(report, "old_covered", "ndcg10", &value) ||
        number_at(report, "old_old", "ndcg10", &value))
        fill(t, to, to, value);
    if (number_at(report, "new_new", "ndcg10", &value))
        fill(t, from, from, value);
    if (t->shown == NULL) {
        t->shown = adapter;
        if (!inv_report_number(report, "update_gain", NULL, &t->gain))
            t->gain = (double)NAN;
        /* Those that a document with both vectors answers. */
        if (!number_at(report, "covered_queries", NULL, &t->queries) &&
            !number_at(report, "queries", NULL, &t->queries))
            t->queries = 0;
    }
    inv_json_free(report);
    return INV_OK;
}

/* The adapter in use first, then from the newest on those not refused. */
static enum inv_status take_reports(struct table *t, struct inv_err *err) {
    enum inv_status status = INV_OK;
    const struct inv_models *models = t->models;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = models->adapter_count; status == INV_OK && i-- > 0;) {
            const struct inv_stored_adapter *adapter = models->adapters[i];
            bool in_use = adapter->id == models->adapter;
            bool refused = strcmp(adapter->verdict, "REFUSE") == 0;
            if (pass == 0 ? in_use : !in_use && !refused)
                status = take_report(t, adapter, err);
        }
    return status;
}

static bool lower_triangle_is_full(const struct table *t) {
    for (size_t i = 0; i < t->count; i++)
        for (size_t j = 0; j <= i; j++)
            if (isnan(t->cell[i * t->count + j]))
                return false;
    return t->count > 1;
}

static void put_table(const struct table *t, struct inv_buf *out) {
    double ac = (double)NAN;
    double am = (double)NAN;
    if (lower_triangle_is_full(t))
        inv_compatibility(t->cell, t->count, &ac, &am);
    inv_buf_puts(out, "{\"models\":[");
    for (size_t i = 0; i < t->count; i++) {
        const char *name = t->models->spaces[t->order[i]].name;
        inv_buf_puts(out, i == 0 ? "" : ",");
        inv_json_put_string(out, name, strlen(name));
    }
    inv_buf_puts(out, "],\"matrix\":[");
    for (size_t i = 0; i < t->count * t->count; i++) {
        inv_buf_puts(out, i % t->count != 0 ? "," : i == 0 ? "[" : "],[");
        if (isnan(t->cell[i]))
            inv_buf_puts(out, "null");
        else
            inv_json_put_double(out, t->cell[i]);
    }
    inv_buf_puts(out, "]]");
    put_number(out, "ac", ac);
    put_number(out, "am", am);
    put_number(out, "update_gain", t->gain);
    if (t->shown != NULL)
        put_text(out, "adapter", t->shown->name);
    else
        inv_buf_puts(out, ",\"adapter\":null");
    inv_buf_printf(out, ",\"queries\":%.0f,\"metric\":\"ndcg@10\"}",
                   t->queries);
}

enum inv_status inv_adapters_compatibility(const struct inv_models *models,
                                           struct inv_buf *out,
                                           struct inv_err *err) {
    struct table table = {.models = models, .gain = (double)NAN};
    order_models(&table);
    enum inv_status status = take_reports(&table, err);
    if (status == INV_OK)
        put_table(&table, out);
    return status;
}
