/*
 * backfill.c: see backfill.h. A worker's request; one at a time makes a
 * collection's predictions, the others wait for them.
 */
#include "server/upgrade/backfill.h"

#include "base/clock.h"
#include "encoders/adapters/residual.h"
#include "server/upgrade/access.h"
#include "server/upgrade/calibration.h"
#include "server/upgrade/documents.h"
#include "server/upgrade/models.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inv_backfill {
    pthread_mutex_t lock;
    /* whose predictions: */
    int64_t space, gallery, adapter;
    uint64_t version; /* of the view */
    int64_t made_ns;
    struct prediction {
        int64_t doc;
        double residual; /* NAN: not predicted */
    } * items;           /* documents without a vector then, ascending by doc */
    size_t count;
    bool made;
};

struct inv_backfill *inv_backfill_new(void) {
    struct inv_backfill *backfill = calloc(1, sizeof *backfill);
    if (backfill != NULL)
        pthread_mutex_init(&backfill->lock, NULL);
    return backfill;
}

void inv_backfill_free(struct inv_backfill *backfill) {
    if (backfill == NULL)
        return;
    pthread_mutex_destroy(&backfill->lock);
    free(backfill->items);
    free(backfill);
}

/* What one request works with. */
struct filling {
    struct inv_collection *collection;
    struct inv_db *db;
    struct inv_view *view;
    const struct inv_models *models;
    const struct inv_space *space;
    const struct inv_bridge *bridge; /* NULL: no prediction */
};

/* ---- predictions ---- */

static enum inv_status learn(const struct filling *f,
                             const struct inv_upgrade_documents *d,
                             struct inv_residual *out, struct inv_err *err) {
    bool cosine = f->models->settings->settings.metric == INV_COSINE;
    size_t dx = f->space->settings->settings.dim;
    size_t dy = f->models->settings->settings.dim;
    size_t want =
        d->both < INV_BACKFILL_PAIRS_MAX ? d->both : INV_BACKFILL_PAIRS_MAX;
    float *x = malloc((want * dx + 1) * sizeof *x);
    float *y = malloc((want * dy + 1) * sizeof *y);
    enum inv_status status = INV_OK;
    size_t seen = 0;
    size_t count = 0;
    if (x == NULL || y == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu pairs", want);
    for (size_t i = 0; status == INV_OK && i < d->count && count < want; i++) {
        const struct inv_upgrade_document *item = &d->items[i];
        if (!item->both)
            continue;
        /* pair `seen` of both is the count-th of want, evenly */
        if (seen++ * want / d->both < count)
            continue;
        status =
            inv_upgrade_vector(f->view, item->other_part, item->other_entry, dx,
                               cosine, x + count * dx, err);
        if (status == INV_OK)
            status = inv_upgrade_vector(f->view, item->part, item->entry, dy,
                                        cosine, y + count * dy, err);
        count++;
    }
    if (status == INV_OK)
        status = inv_residual_fit(f->bridge->adapter, x, y, count,
                                  INV_RESIDUAL_RHO, out, err);
    free(x);
    free(y);
    return status;
}

static enum inv_status predict_one(const struct filling *f,
                                   const struct inv_residual *residual,
                                   const struct inv_upgrade_document *item,
                                   float *row, double *out,
                                   struct inv_err *err) {
    const struct inv_settings *settings = &f->models->settings->settings;
    float expected = 0;
    *out = (double)NAN;
    if (residual->map.w == NULL)
        return INV_OK;
    enum inv_status status =
        inv_upgrade_vector(f->view, item->part, item->entry, settings->dim,
                           settings->metric == INV_COSINE, row, err);
    if (status == INV_OK) {
        inv_residual_predict(residual, row, 1, &expected);
        *out = exp((double)expected);
    }
    return status;
}

static enum inv_status predict(const struct filling *f,
                               struct inv_backfill *backfill,
                               struct inv_err *err) {
    struct inv_upgrade_documents d = {.count = 0};
    struct inv_residual residual = {.map = {.rows = 0}};
    const struct inv_settings *settings = &f->models->settings->settings;
    size_t open = 0;
    enum inv_status status = inv_upgrade_documents_list(
        f->view, inv_view_gallery(f->view), f->space->space, &d, err);
    struct prediction *items = malloc((d.count + 1) * sizeof *items);
    float *row = malloc(settings->dim * sizeof *row);
    if (status == INV_OK && (items == NULL || row == NULL))
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                          d.count);
    if (status == INV_OK && f->bridge != NULL && !settings->multi &&
        d.both >= INV_BACKFILL_PAIRS_MIN)
        status = learn(f, &d, &residual, err);
    for (size_t i = 0; status == INV_OK && i < d.count; i++) {
        if (d.items[i].both)
            continue;
        items[open].doc = d.items[i].doc;
        status = predict_one(f, &residual, &d.items[i], row,
                             &items[open].residual, err);
        open++;
    }
    inv_residual_release(&residual);
    inv_upgrade_documents_release(&d);
    free(row);
    if (status != INV_OK) {
        free(items);
        return status;
    }
    free(backfill->items);
    backfill->items = items;
    backfill->count = open;
    return INV_OK;
}

static int64_t adapter_of(const struct filling *f) {
    for (size_t i = 0; i < f->models->adapter_count && f->bridge != NULL; i++)
        if (&f->models->adapters[i]->backward == f->bridge ||
            &f->models->adapters[i]->forward == f->bridge)
            return f->models->adapters[i]->id;
    return 0;
}

/* Under the lock: the predictions that hold for this request. */
static enum inv_status freshen(const struct filling *f,
                               struct inv_backfill *backfill,
                               struct inv_err *err) {
    int64_t adapter = adapter_of(f);
    int64_t gallery = inv_view_gallery(f->view);
    int64_t now = (int64_t)inv_now_ns();
    bool same = backfill->made && backfill->space == f->space->space &&
                backfill->gallery == gallery && backfill->adapter == adapter;
    int64_t keep = backfill->version == f->view->version
                       ? 10 * INV_BACKFILL_KEEP_NS
                       : INV_BACKFILL_KEEP_NS;
    if (same && now - backfill->made_ns < keep)
        return INV_OK;
    backfill->made = false;
    enum inv_status status = predict(f, backfill, err);
    if (status != INV_OK)
        return status;
    backfill->made = true;
    backfill->space = f->space->space;
    backfill->gallery = gallery;
    backfill->adapter = adapter;
    backfill->version = f->view->version;
    backfill->made_ns = now;
    return INV_OK;
}

/* ---- the order ---- */

struct candidate {
    struct inv_upgrade_document document;
    uint32_t accesses;
    double residual, worth;
    const struct inv_entry *entry;
};

/* Is x to be embedded before y? */
static bool before(const struct candidate *x, const struct candidate *y) {
    if (x->worth != y->worth)
        return x->worth > y->worth;
    return inv_entry_compare_ids(x->entry, y->entry) < 0;
}

static int best_first(const void *a, const void *b) {
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

/* The best `limit` of a stream: a heap with the worst of them on top. */
struct best {
    struct candidate *items;
    size_t count, limit;
    size_t seen;
};

static void swap(struct best *best, size_t a, size_t b) {
    struct candidate keep = best->items[a];
    best->items[a] = best->items[b];
    best->items[b] = keep;
}

static void sift_down(struct best *best) {
    for (size_t at = 0, child; (child = 2 * at + 1) < best->count; at = child) {
        if (child + 1 < best->count &&
            before(&best->items[child], &best->items[child + 1]))
            child++;
        if (!before(&best->items[at], &best->items[child]))
            break;
        swap(best, at, child);
    }
}

static void offer(struct best *best, const struct candidate *candidate) {
    best->seen++;
    if (best->count == best->limit) {
        if (!before(candidate, &best->items[0]))
            return;
        best->items[0] = *candidate;
        sift_down(best);
        return;
    }
    size_t at = best->count++;
    best->items[at] = *candidate;
    for (; at > 0 && before(&best->items[(at - 1) / 2], &best->items[at]);
         at = (at - 1) / 2)
        swap(best, at, (at - 1) / 2);
}

/* Those that still have no vector. */
static void offer_all(const struct filling *f,
                      const struct inv_backfill *backfill, struct best *best) {
    struct inv_access *access = f->collection->access;
    for (size_t i = 0; i < backfill->count; i++) {
        const struct prediction *item = &backfill->items[i];
        size_t part;
        size_t entry;
        if (inv_view_find_doc(f->view, f->space->space, item->doc, &part,
                              &entry) ||
            !inv_view_find_doc(f->view, inv_view_gallery(f->view), item->doc,
                               &part, &entry))
            continue;
        struct candidate c = {.document = {.doc = item->doc,
                                           .part = (uint32_t)part,
                                           .entry = (uint32_t)entry},
                              .accesses = inv_access_get(access, item->doc),
                              .residual = item->residual,
                              .entry = inv_upgrade_entry(
                                  f->view, (uint32_t)part, (uint32_t)entry)};
        c.worth = (1 + (double)c.accesses) *
                  (isnan(item->residual) ? 1 : item->residual);
        offer(best, &c);
    }
    if (best->count > 0)
        qsort(best->items, best->count, sizeof *best->items, best_first);
}

static enum inv_status write_list(const struct filling *f,
                                  const struct best *best, struct inv_buf *out,
                                  struct inv_err *err) {
    const char *comma = "";
    enum inv_status status = INV_OK;
    inv_buf_puts(out, "{\"model\":");
    inv_json_put_string(out, f->space->name, strlen(f->space->name));
    inv_buf_printf(out, ",\"remaining\":%zu,\"documents\":[", best->seen);
    for (size_t i = 0; status == INV_OK && i < best->count; i++) {
        const struct candidate *c = &best->items[i];
        struct inv_buf one = INV_BUF_INIT;
        bool found = false;
        status = inv_calibration_put(f->view, f->db, &c->document, &one, &found,
                                     err);
        if (found) {
            inv_buf_puts(out, comma);
            inv_buf_append(out, one.data, one.len);
            inv_buf_printf(out, ",\"accesses\":%u,\"residual\":", c->accesses);
            if (isnan(c->residual))
                inv_buf_puts(out, "null}");
            else
                inv_buf_printf(out, "%.6g}", c->residual);
            comma = ",";
        }
        out->failed = out->failed || one.failed;
        inv_buf_release(&one);
    }
    inv_buf_puts(out, "]}");
    return status;
}

/* ---- the request ---- */

static enum inv_status find_model(struct filling *f, const char *model,
                                  struct inv_err *err) {
    const struct inv_models *models = f->models;
    enum inv_status status = INV_OK;
    if (model != NULL)
        status = inv_models_find(models, model, &f->space, err);
    else
        f->space = inv_models_space(models, models->target);
    if (status != INV_OK)
        return status;
    if (f->space == NULL)
        return inv_fail(err, INV_CONFLICT,
                        "no upgrade is under way: activate one, or say which "
                        "model's vectors are wanted (?model=)");
    if (f->space == &models->spaces[0])
        return inv_fail(err, model == NULL ? INV_CONFLICT : INV_INVALID,
                        "%s is the gallery's model: every document has its "
                        "vector",
                        f->space->name);
    f->bridge =
        inv_models_bridge(models, f->space->space, models->spaces[0].space);
    return INV_OK;
}

static enum inv_status fill(struct filling *f, const char *model, size_t limit,
                            struct inv_buf *out, struct inv_err *err) {
    struct inv_backfill *backfill = f->collection->backfill;
    struct best best = {.limit = limit};
    enum inv_status status = find_model(f, model, err);
    if (status != INV_OK)
        return status;
    best.items = malloc(limit * sizeof *best.items);
    if (best.items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        limit);
    pthread_mutex_lock(&backfill->lock);
    status = freshen(f, backfill, err);
    if (status == INV_OK)
        offer_all(f, backfill, &best);
    pthread_mutex_unlock(&backfill->lock);
    if (status == INV_OK)
        status = write_list(f, &best, out, err);
    free(best.items);
    return status;
}

enum inv_status inv_backfill_write(struct inv_collection *collection,
                                   const char *model, size_t limit,
                                   struct inv_buf *out, struct inv_err *err) {
    struct filling f = {.collection = collection};
    enum inv_status status =
        inv_catalog_borrow(collection->app->catalog, &f.db, err);
    if (status == INV_OK)
        status = inv_collection_moment(collection, f.db, &f.view, err);
    if (status == INV_OK) {
        f.models = inv_view_models(f.view);
        status = fill(&f, model, limit, out, err);
    }
    if (f.db != NULL)
        inv_catalog_return(collection->app->catalog, f.db);
    inv_ref_put(f.view);
    return status;
}
