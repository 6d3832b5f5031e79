/*
 * drift.c: see drift.h. Called by the handler that posts vectors and by
 * /metrics.
 */
#include "server/upgrade/drift.h"

#include "base/kernels.h"
#include "base/log.h"
#include "server/app.h"
#include "server/upgrade/adapters.h"
#include "server/upgrade/documents.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inv_drift {
    pthread_mutex_t lock;
    int64_t adapter; /* the ring's; 0: none yet */
    double expected, deviation;
    bool known; /* its report says what to expect */
    double ring[INV_DRIFT_RING];
    size_t count; /* ever put in */
    bool warned;
};

struct inv_drift *inv_drift_new(void) {
    struct inv_drift *drift = calloc(1, sizeof *drift);
    if (drift != NULL)
        pthread_mutex_init(&drift->lock, NULL);
    return drift;
}

void inv_drift_free(struct inv_drift *drift) {
    if (drift == NULL)
        return;
    pthread_mutex_destroy(&drift->lock);
    free(drift);
}

/* Under the lock: another adapter begins with an empty ring. */
static void follow(struct inv_drift *drift,
                   const struct inv_stored_adapter *adapter) {
    inv_json *report = NULL;
    if (drift->adapter == adapter->id)
        return;
    drift->adapter = adapter->id;
    drift->count = 0;
    drift->warned = false;
    drift->known =
        inv_json_parse_plain(adapter->report, strlen(adapter->report), &report,
                             NULL) == INV_OK &&
        inv_report_number(report, "fit_mean", NULL, &drift->expected) &&
        inv_report_number(report, "fit_deviation", NULL, &drift->deviation);
    inv_json_free(report);
}

/* ---- one pair ---- */

/* Mean over the rows of <B x, y>, of unit vectors where the metric or tokens
 * want it; false when the shapes do not fit. */
static enum inv_status measure(const struct inv_adapter *adapter, bool unit,
                               const struct inv_codes *x,
                               const struct inv_codes *y, double *out,
                               bool *fits, struct inv_err *err) {
    size_t rows = x->rows;
    float *memory =
        malloc((rows * x->dim + 2 * rows * y->dim + 1) * sizeof *memory);
    *fits = rows == y->rows && rows > 0;
    if (memory == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors", rows);
    float *from = memory;
    float *to = from + rows * x->dim;
    float *mapped = to + rows * y->dim;
    enum inv_status status = INV_OK;
    double sum = 0;
    if (*fits) {
        inv_codes_decode(x, from);
        inv_codes_decode(y, to);
        for (size_t i = 0; i < rows && unit; i++)
            inv_normalize_f32(from + i * x->dim, x->dim);
        status = inv_adapter_apply(adapter, from, rows, x->dim, mapped, err);
        for (size_t i = 0; i < rows && status == INV_OK; i++) {
            if (unit) {
                inv_normalize_f32(to + i * y->dim, y->dim);
                inv_normalize_f32(mapped + i * y->dim, y->dim);
            }
            sum += (double)inv_dot_f32(mapped + i * y->dim, to + i * y->dim,
                                       y->dim);
        }
    }
    *out = *fits ? sum / (double)rows : 0;
    free(memory);
    return status;
}

struct noting {
    struct inv_collection *collection;
    struct inv_db *db;
    const struct inv_view *view;
    const struct inv_stored_adapter *adapter;
    double values[INV_DRIFT_RING];
    size_t count;
};

/* The pair of one posted vector, as stored; what has changed again since is
 * left out. */
static enum inv_status note_one(struct noting *n, const struct inv_put *put,
                                struct inv_err *err) {
    struct inv_document_row row;
    struct inv_codes x;
    struct inv_codes y;
    size_t part[2];
    size_t entry[2];
    bool fits = false;
    const struct inv_settings *settings =
        &inv_view_models(n->view)->settings->settings;
    enum inv_status status =
        inv_db_find(n->db, n->collection->id, put->id, put->id_len,
                    n->adapter->from, &row, err);
    if (status != INV_OK || row.doc == 0 ||
        !inv_view_find_doc(n->view, n->adapter->from, row.doc, &part[0],
                           &entry[0]) ||
        !inv_view_find_doc(n->view, n->adapter->to, row.doc, &part[1],
                           &entry[1]))
        return status;
    status = inv_upgrade_codes(n->view, (uint32_t)part[0], (uint32_t)entry[0],
                               &x, err);
    if (status == INV_OK)
        status = inv_upgrade_codes(n->view, (uint32_t)part[1],
                                   (uint32_t)entry[1], &y, err);
    if (status == INV_OK)
        status = measure(n->adapter->backward.adapter,
                         settings->multi || settings->metric == INV_COSINE, &x,
                         &y, &n->values[n->count], &fits, err);
    n->count += status == INV_OK && fits;
    return status;
}

/* ---- the ring ---- */

static struct inv_drift_state judge(const struct inv_drift *drift) {
    size_t pairs =
        drift->count < INV_DRIFT_RING ? drift->count : INV_DRIFT_RING;
    struct inv_drift_state state = {.pairs = pairs,
                                    .expected = drift->expected};
    for (size_t i = 0; i < pairs; i++)
        state.mean += drift->ring[i] / (double)pairs;
    if (pairs > 0)
        state.limit =
            drift->expected - 3 * drift->deviation / sqrt((double)pairs);
    state.drifted =
        drift->known && pairs >= INV_DRIFT_LEAST && state.mean < state.limit;
    return state;
}

static void put_in(struct inv_drift *drift, const struct noting *n) {
    pthread_mutex_lock(&drift->lock);
    follow(drift, n->adapter);
    for (size_t i = 0; i < n->count; i++)
        drift->ring[drift->count++ % INV_DRIFT_RING] = n->values[i];
    struct inv_drift_state state = judge(drift);
    bool warn = state.drifted && !drift->warned;
    drift->warned = state.drifted;
    pthread_mutex_unlock(&drift->lock);
    if (warn)
        inv_log(INV_LOG_WARN, "drift",
                "%s: adapter %s fits its last %zu pairs with %.4f, its fit "
                "said %.4f and %.4f is the limit: fit again",
                n->collection->name, n->adapter->name, state.pairs, state.mean,
                state.expected, state.limit);
}

static enum inv_status note_all(struct noting *n,
                                const struct inv_beside *items, size_t count,
                                struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < count && n->count < INV_DRIFT_RING; i++)
        if (status == INV_OK && items[i].result == INV_BESIDE_STORED)
            status = note_one(n, &items[i].put, err);
    return status;
}

void inv_drift_note(struct inv_collection *collection, int64_t space,
                    const struct inv_beside *items, size_t count) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    const struct inv_models *models = inv_view_models(view);
    const struct inv_stored_adapter *adapter =
        inv_models_adapter_of(models, models->adapter);
    struct inv_db *db = NULL;
    struct inv_err err = {0};
    if (adapter == NULL || adapter->from != space ||
        adapter->to != inv_view_gallery(view)) {
        inv_ref_put(view);
        return;
    }
    struct noting *n = calloc(1, sizeof *n);
    enum inv_status status =
        n == NULL ? inv_fail(&err, INV_MEMORY, "out of memory for pairs")
                  : inv_catalog_borrow(collection->app->catalog, &db, &err);
    if (status == INV_OK) {
        *n = (struct noting){.collection = collection,
                             .db = db,
                             .view = view,
                             .adapter = adapter};
        status = note_all(n, items, count, &err);
    }
    if (status == INV_OK && n->count > 0)
        put_in(collection->drift, n);
    if (status != INV_OK)
        inv_log(INV_LOG_WARN, "drift", "%s: %s", collection->name, err.text);
    if (db != NULL)
        inv_catalog_return(collection->app->catalog, db);
    free(n);
    inv_ref_put(view);
}

struct inv_drift_state inv_drift_state(struct inv_collection *collection) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    const struct inv_models *models = inv_view_models(view);
    const struct inv_stored_adapter *adapter =
        inv_models_adapter_of(models, models->adapter);
    struct inv_drift_state state = {.pairs = 0};
    struct inv_drift *drift = collection->drift;
    pthread_mutex_lock(&drift->lock);
    if (adapter != NULL && drift->adapter == adapter->id)
        state = judge(drift);
    pthread_mutex_unlock(&drift->lock);
    inv_ref_put(view);
    return state;
}
