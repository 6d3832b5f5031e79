/*
 * search_answer.c: the answer of a search as JSON. Payloads come from the
 * catalog, which may have moved on since the view was taken: a hit whose
 * document has changed makes the search run again on a newer view, the last
 * time with view and catalog snapshot taken at the same moment, so that an
 * update is seen wholly or not at all.
 */
#include "server/search.h"

#include "base/clock.h"
#include "server/upgrade/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3

/* ---- payloads ---- */

static const inv_json *dotted(const inv_json *payload, const char *key) {
    const inv_json *value = inv_json_get(payload, key);
    const char *dot = strchr(key, '.');
    if (value != NULL || dot == NULL || (size_t)(dot - key) >= 128)
        return value;
    char head[128];
    memcpy(head, key, (size_t)(dot - key));
    head[dot - key] = '\0';
    const inv_json *inner = inv_json_get(payload, head);
    if (inner == NULL || inv_json_kind(inner) != INV_JSON_OBJECT)
        return NULL;
    return dotted(inner, dot + 1);
}

enum inv_status inv_payload_write(const struct inv_payload_wish *wish,
                                  const char *payload, size_t len,
                                  struct inv_buf *out, struct inv_err *err) {
    if (payload == NULL) {
        inv_buf_puts(out, "{}");
        return INV_OK;
    }
    if (wish->all) {
        inv_buf_append(out, payload, len);
        return INV_OK;
    }
    inv_json *json = NULL;
    enum inv_status status = inv_json_parse_plain(payload, len, &json, err);
    if (status != INV_OK)
        return status;
    const char *comma = "";
    inv_buf_putc(out, '{');
    for (size_t i = 0; i < wish->key_count; i++) {
        const inv_json *value = dotted(json, wish->keys[i]);
        if (value == NULL)
            continue;
        inv_buf_puts(out, comma);
        inv_json_put_string(out, wish->keys[i], strlen(wish->keys[i]));
        inv_buf_putc(out, ':');
        inv_json_write(value, out);
        comma = ",";
    }
    inv_buf_putc(out, '}');
    inv_json_free(json);
    return INV_OK;
}

static const struct inv_entry *entry_of(const struct inv_search_answer *answer,
                                        const struct inv_hit *hit) {
    return &answer->view->parts[hit->part].entries->items[hit->entry];
}

/* One hit. *stale: its document is not the one that was scored. */
static enum inv_status put_hit(const struct inv_search_request *request,
                               const struct inv_search_answer *answer,
                               const struct inv_hit *hit, struct inv_db *db,
                               struct inv_buf *out, bool *stale,
                               struct inv_err *err) {
    const struct inv_entry *entry = entry_of(answer, hit);
    int64_t space = inv_part_space(&answer->view->parts[hit->part]);
    enum inv_status status = INV_OK;
    inv_buf_puts(out, "{\"id\":");
    inv_json_put_string(out, entry->id, entry->id_len);
    inv_buf_puts(out, ",\"score\":");
    inv_json_put_float(out, hit->score);
    if (db != NULL) {
        struct inv_document_row row;
        status = inv_db_find_doc(db, entry->doc, space, &row, err);
        if (status != INV_OK)
            return status;
        *stale = row.doc == 0 || row.vseq != entry->vseq ||
                 row.version > answer->view->version;
        if (*stale)
            return INV_OK;
        inv_buf_puts(out, ",\"payload\":");
        status = inv_payload_write(&request->payload, row.payload,
                                   row.payload_len, out, err);
    }
    if (status == INV_OK && request->with_vectors) {
        struct inv_codes codes;
        bool multi = answer->settings->multi;
        status = inv_vlog_get(answer->view->logs, &entry->place, &codes, err);
        if (status != INV_OK)
            return status;
        inv_buf_puts(out, multi ? ",\"vectors\":" : ",\"vector\":");
        inv_json_put_codes(out, &codes, multi);
    }
    inv_buf_putc(out, '}');
    return status;
}

/* ---- models ---- */

static void put_text(struct inv_buf *out, const char *key, const char *text) {
    inv_buf_puts(out, key);
    inv_json_put_string(out, text, strlen(text));
}

/* The adapter that a lane's bridge is of; NULL: it has none. */
static const struct inv_stored_adapter *
adapter_of(const struct inv_search_answer *answer,
           const struct inv_lane *lane) {
    const struct inv_models *models = inv_view_models(answer->view);
    for (size_t i = 0; lane->bridge != NULL && i < models->adapter_count; i++) {
        const struct inv_stored_adapter *adapter = models->adapters[i];
        if (lane->bridge == &adapter->backward ||
            lane->bridge == &adapter->forward)
            return adapter;
    }
    return NULL;
}

/* "need_vectors". The sequence that a client has to send back is the document's
 * own, which only the catalog knows: a vector that was posted beside another
 * has its own number in the view. A document that has changed since is left
 * out. */
static enum inv_status put_need(struct inv_app *app,
                                const struct inv_search_answer *answer,
                                struct inv_buf *out, struct inv_err *err) {
    struct inv_db *db = answer->db;
    const char *comma = "";
    enum inv_status status = INV_OK;
    if (db == NULL)
        status = inv_catalog_borrow(app->catalog, &db, err);
    inv_buf_puts(out, ",\"need_vectors\":[");
    for (size_t i = 0; status == INV_OK && i < answer->need_count; i++) {
        const struct inv_hit *hit = &answer->need[i];
        const struct inv_part *part = &answer->view->parts[hit->part];
        const struct inv_entry *entry = &part->entries->items[hit->entry];
        struct inv_document_row row;
        status =
            inv_db_find_doc(db, entry->doc, inv_part_space(part), &row, err);
        if (status != INV_OK || row.doc == 0 || row.vseq != entry->vseq)
            continue;
        inv_buf_printf(out, "%s{\"id\":", comma);
        inv_json_put_string(out, entry->id, entry->id_len);
        inv_buf_printf(out, ",\"seq\":%" PRIu64 "}", inv_document_seq(&row));
        comma = ",";
    }
    inv_buf_putc(out, ']');
    if (answer->db == NULL && db != NULL)
        inv_catalog_return(app->catalog, db);
    return status;
}

static void put_warnings(const struct inv_search_answer *answer,
                         struct inv_buf *out) {
    char text[4 * INV_MODEL_NAME_MAX + 128];
    const char *open = ",\"warnings\":[";
    if (answer->weighted_cosine) {
        inv_buf_puts(out, open);
        inv_buf_puts(out, "\"the query's tokens carry weights (their norms "
                          "differ), which the metric cosine removes: use a "
                          "collection with metric ip\"");
        open = ",";
    }
    for (size_t i = 0; i < answer->lane_count; i++) {
        const struct inv_lane *lane = &answer->lanes[i];
        if (!lane->unreachable)
            continue;
        snprintf(text, sizeof text,
                 "%zu documents of model %s cannot be reached from %s: there "
                 "is no adapter",
                 lane->home, lane->space->name, answer->model->name);
        put_text(out, open, text);
        open = ",";
    }
    if (open[1] == '\0')
        inv_buf_putc(out, ']');
}

/* Whose query it was, and how it came to the gallery. */
static enum inv_status put_models(struct inv_app *app,
                                  const struct inv_search_answer *answer,
                                  struct inv_buf *out, struct inv_err *err) {
    const struct inv_stored_adapter *adapter =
        adapter_of(answer, &answer->lanes[0]);
    enum inv_status status = INV_OK;
    put_text(out, ",\"model\":", answer->model->name);
    if (adapter != NULL) {
        put_text(out, ",\"via\":{\"adapter\":", adapter->name);
        inv_buf_printf(out, ",\"mode\":\"%s\"%s}",
                       answer->cascaded ? "cascade" : "bridge",
                       adapter->degraded ? ",\"degraded\":true" : "");
    }
    if (answer->cascaded)
        inv_buf_printf(out, ",\"cascade\":{\"n\":%zu,\"covered\":%zu}",
                       answer->list_count, answer->covered);
    if (answer->asks)
        status = put_need(app, answer, out, err);
    put_warnings(answer, out);
    return status;
}

/* ---- explain ---- */

static void put_parts(const struct inv_search_answer *answer,
                      struct inv_buf *out) {
    static const char *const names[] = {"skip",  "scan",     "index",
                                        "exact", "selector", "widen"};
    const struct inv_view *view = answer->view;
    const struct inv_models *models = inv_view_models(view);
    const char *comma = "";
    inv_buf_puts(out, "\"segments\":[");
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part_plan *plan = &answer->plan.parts[i];
        const struct inv_part *part = &view->parts[i];
        struct inv_ann_config config;
        inv_segment_config(part->segment, &config);
        if (part->count == 0)
            continue;
        inv_buf_printf(out,
                       "%s{\"segment\":%" PRIu64
                       ",\"fresh\":%s,\"index\":\"%s\","
                       "\"plan\":\"%s\",\"live\":%zu,\"matches\":%zu,"
                       "\"candidates\":%zu,\"scanned\":%zu,\"fallback\":%s",
                       comma, part->segment->gen,
                       part->segment->gen == 0 ? "true" : "false",
                       inv_ann_type_name(config.type), names[plan->strategy],
                       plan->live, plan->matches, plan->candidates,
                       plan->scanned, plan->fallback ? "true" : "false");
        const struct inv_space *space =
            inv_models_space(models, inv_part_space(part));
        if (models->space_count > 1 && space != NULL)
            put_text(out, ",\"model\":", space->name);
        inv_buf_putc(out, '}');
        comma = ",";
    }
    inv_buf_putc(out, ']');
}

/* Only where there is more than one: what each space gave, and how its scores
 * came onto the scale of the list. */
static void put_lanes(const struct inv_search_answer *answer,
                      struct inv_buf *out) {
    static const char *const scales[] = {"own", "map", "background", "unknown"};
    const char *comma = "";
    if (answer->lane_count < 2)
        return;
    inv_buf_puts(out, ",\"lanes\":[");
    for (size_t i = 0; i < answer->lane_count; i++) {
        const struct inv_lane *lane = &answer->lanes[i];
        if (lane->plan == NULL)
            continue;
        inv_buf_puts(out, comma);
        put_text(out, "{\"model\":", lane->space->name);
        const struct inv_stored_adapter *adapter = adapter_of(answer, lane);
        if (adapter != NULL)
            put_text(out, ",\"bridge\":", adapter->name);
        else
            inv_buf_puts(out, ",\"bridge\":null");
        inv_buf_printf(out,
                       ",\"documents\":%zu,\"candidates\":%zu,"
                       "\"rescored\":%zu,\"scored\":%zu,\"hits\":%zu,"
                       "\"scale\":\"%s\",\"covered\":%zu}",
                       lane->home, lane->plan->candidates, lane->plan->rescored,
                       lane->plan->stages[0].scored, lane->hits,
                       scales[lane->carry], lane->covered);
        comma = ",";
    }
    inv_buf_putc(out, ']');
}

static void put_plan(const struct inv_search_request *request,
                     const struct inv_search_answer *answer,
                     struct inv_buf *out) {
    static const char *const laps[] = {"encode", "candidates", "rescore",
                                       "funnel"};
    const struct inv_search_plan *plan = &answer->plan;
    inv_buf_printf(out,
                   ",\"plan\":{\"exact\":%s,\"candidates\":%zu,"
                   "\"rescore\":%zu,\"rerank\":%zu,\"encoder_state\":%u,",
                   plan->exact ? "true" : "false", plan->candidates,
                   plan->rescore, plan->rerank,
                   inv_view_encoding(answer->view, 0)->state);
    put_parts(answer, out);
    put_lanes(answer, out);
    if (request->filter != NULL)
        inv_buf_printf(out,
                       ",\"filter\":{\"indexed\":%s,\"unindexed\":%zu,"
                       "\"cached\":%s}",
                       inv_filter_needs_scan(request->filter) ? "false"
                                                              : "true",
                       request->filter->unindexed_count,
                       plan->filter_cached ? "true" : "false");
    inv_buf_printf(out, ",\"rescored\":%zu,\"funnel\":[", plan->rescored);
    for (size_t i = 0; i < plan->stage_count; i++)
        inv_buf_printf(out, "%s{\"dims\":%u,\"scored\":%zu,\"keep\":%zu}",
                       i == 0 ? "" : ",", plan->stages[i].dims,
                       plan->stages[i].scored, plan->stages[i].keep);
    inv_buf_puts(out, "],\"ms\":{");
    for (size_t i = 0; i < 4; i++)
        inv_buf_printf(out, "%s\"%s\":%.3f", i == 0 ? "" : ",", laps[i],
                       plan->ms[i]);
    inv_buf_puts(out, "}}");
}

/* ---- the answer ---- */

/* What searches find is what a backfill had best begin with. A collection
 * without an upgrade pays nothing. */
static void count_accesses(struct inv_collection *collection,
                           const struct inv_search_answer *answer) {
    const struct inv_view *view = answer->view;
    const struct inv_models *models = inv_view_models(view);
    if (models->target == 0 || models->target == inv_view_gallery(view))
        return;
    for (size_t i = 0; i < answer->list_count; i++)
        inv_access_count(collection->access,
                         entry_of(answer, &answer->list[i])->doc);
}

/* db: payloads are asked for. */
static enum inv_status put_answer(struct inv_collection *collection,
                                  const struct inv_search_request *request,
                                  struct inv_search_answer *answer,
                                  struct inv_db *db, int64_t began,
                                  struct inv_buf *out, bool *stale,
                                  struct inv_err *err) {
    enum inv_status status = INV_OK;
    size_t start = out->len;
    inv_buf_puts(out, "{\"hits\":[");
    for (size_t i = 0; status == INV_OK && !*stale && i < answer->count; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        status =
            put_hit(request, answer, &answer->hits[i], db, out, stale, err);
    }
    inv_buf_putc(out, ']');
    if (status == INV_OK && !*stale)
        status = put_models(collection->app, answer, out, err);
    if (status != INV_OK || *stale) {
        out->len = start;
        return status;
    }
    if (request->explain)
        put_plan(request, answer, out);
    inv_buf_printf(out, ",\"took_ms\":%.3f}",
                   (double)((int64_t)inv_now_ns() - began) / 1e6);
    if (out->failed)
        return inv_fail(err, INV_MEMORY, "out of memory for the answer");
    count_accesses(collection, answer);
    return INV_OK;
}

enum inv_status inv_search_respond(struct inv_app *app,
                                   struct inv_collection *collection,
                                   const struct inv_search_request *request,
                                   struct inv_arena *arena, struct inv_buf *out,
                                   struct inv_search_plan *plan,
                                   struct inv_err *err) {
    bool payload = request->payload.all || request->payload.key_count > 0;
    struct inv_search_answer answer = {0};
    struct inv_db *db = NULL;
    enum inv_status status = INV_OK;
    if (payload || request->filter != NULL)
        status = inv_catalog_borrow(app->catalog, &db, err);
    answer.db = db;
    bool stale = true;
    for (int i = 0; status == INV_OK && stale && i < TRIES; i++) {
        int64_t began = (int64_t)inv_now_ns();
        if (i + 1 == TRIES)
            status = inv_collection_moment(collection, db, &answer.view, err);
        if (status == INV_OK)
            status = inv_search(app, collection, request, arena, &answer, err);
        int64_t found = (int64_t)inv_now_ns();
        stale = answer.stale;
        if (status == INV_OK && !stale)
            status = put_answer(collection, request, &answer,
                                payload ? db : NULL, began, out, &stale, err);
        answer.plan.ms[4] = (double)((int64_t)inv_now_ns() - found) / 1e6;
        inv_search_release(&answer);
    }
    *plan = answer.plan;
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    if (status == INV_OK && stale)
        status = inv_fail(err, INV_BUSY,
                          "the hits changed while they were "
                          "being read: try again");
    return status;
}
