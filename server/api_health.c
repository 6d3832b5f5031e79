/*
 * api_health.c: is it alive, is it ready, what does it count. Answered on the
 * I/O threads, also when the queue is full.
 */
#include "server/api.h"

#include "base/clock.h"
#include "base/kernels.h"
#include "base/metrics.h"
#include "server/jobs.h"
#include "server/upgrade/drift.h"
#include "server/upgrade/registry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct inv_meter requests = INV_COUNTER(
    "invar_requests_total", "Requests answered.", "route", "status");
static struct inv_meter request_seconds =
    INV_HISTOGRAM("invar_request_seconds", "Time in a handler.", "route", NULL,
                  inv_seconds_bounds);
static struct inv_meter stage_seconds =
    INV_HISTOGRAM("invar_search_stage_seconds", "Time in a stage of a search.",
                  "stage", NULL, inv_seconds_bounds);
static struct inv_meter written = INV_COUNTER(
    "invar_documents_written_total", "Documents acknowledged.", NULL, NULL);
static struct inv_meter documents = INV_GAUGE(
    "invar_documents", "Documents in a collection.", "collection", NULL);
static struct inv_meter segments = INV_GAUGE(
    "invar_segments", "Segments of a collection.", "collection", NULL);
static struct inv_meter upgrade_state =
    INV_GAUGE("invar_upgrade_state",
              "Where a model upgrade stands: 0 none, 1 shadow, 2 bridged, 3 "
              "cascade, 4 cutover, 5 done.",
              "collection", NULL);
static struct inv_meter upgrade_coverage =
    INV_GAUGE("invar_upgrade_coverage",
              "Share of the gallery's documents with a vector of the other "
              "model of the upgrade.",
              "collection", NULL);
static struct inv_meter upgrade_drift =
    INV_GAUGE("invar_upgrade_drift",
              "1 while fresh pairs of vectors fit the adapter in use worse "
              "than its fit, by more than three standard errors.",
              "collection", NULL);
static struct inv_meter queue =
    INV_GAUGE("invar_queue_depth", "Requests waiting.", NULL, NULL);
static struct inv_meter jobs_waiting =
    INV_GAUGE("invar_jobs_open", "Jobs queued or running.", NULL, NULL);

void inv_metrics_start(void) {
    struct inv_meter *all[] = {
        &requests,      &request_seconds,  &stage_seconds, &written,
        &documents,     &segments,         &queue,         &jobs_waiting,
        &upgrade_state, &upgrade_coverage, &upgrade_drift};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        inv_metric_register(all[i]);
}

void inv_metrics_request(const char *route, int status, double seconds) {
    char code[8] = {(char)('0' + status / 100 % 10),
                    (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    inv_counter_add(inv_metric_with(&requests, route, code), 1);
    inv_histogram_observe(inv_metric_with(&request_seconds, route, NULL),
                          seconds);
}

void inv_metrics_search(const double ms[5]) {
    static const char *const stages[] = {"encode", "candidates", "rescore",
                                         "funnel", "answer"};
    for (size_t i = 0; i < 5; i++)
        inv_histogram_observe(inv_metric_with(&stage_seconds, stages[i], NULL),
                              ms[i] / 1e3);
}

void inv_metrics_documents(size_t count) { inv_counter_add(&written, count); }

INV_HANDLER(inv_api_live) {
    (void)app;
    (void)request;
    (void)err;
    inv_buf_puts(&response->body, "{\"status\":\"alive\"}");
    return INV_OK;
}

INV_HANDLER(inv_api_ready) {
    struct inv_collection **list = NULL;
    size_t count = 0;
    bool ready = true;
    const char *comma = "";
    (void)request;
    enum inv_status status = inv_app_list(app, &list, &count, err);
    if (status != INV_OK)
        return status;
    struct inv_buf states = INV_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        char reason[320];
        enum inv_collection_state state =
            inv_collection_state(list[i], reason, sizeof reason);
        ready = ready && state != INV_LOADING && state != INV_FAILED;
        inv_buf_printf(&states, "%s{\"name\":\"%s\",\"state\":\"%s\"", comma,
                       list[i]->name, inv_collection_state_name(state));
        if (reason[0] != '\0') {
            inv_buf_puts(&states, ",\"reason\":");
            inv_json_put_string(&states, reason, strlen(reason));
        }
        inv_buf_putc(&states, '}');
        comma = ",";
        inv_ref_put(list[i]);
    }
    free(list);
    response->status = ready ? 200 : 503;
    inv_buf_printf(&response->body, "{\"ready\":%s,\"collections\":[%s]}",
                   ready ? "true" : "false",
                   states.data == NULL ? "" : states.data);
    inv_buf_release(&states);
    return INV_OK;
}

/* Only of collections that know a second model: the others have no series. */
static void set_upgrade(struct inv_collection *c, const struct inv_view *view) {
    const struct inv_models *models = inv_view_models(view);
    if (models->space_count < 2)
        return;
    inv_gauge_set(inv_metric_with(&upgrade_state, c->name, NULL),
                  (double)models->state);
    inv_gauge_set(inv_metric_with(&upgrade_coverage, c->name, NULL),
                  inv_model_count(view, models->target).coverage);
    inv_gauge_set(inv_metric_with(&upgrade_drift, c->name, NULL),
                  inv_drift_state(c).drifted ? 1 : 0);
}

INV_HANDLER(inv_api_metrics) {
    struct inv_collection **list = NULL;
    size_t count = 0;
    (void)request;
    enum inv_status status = inv_app_list(app, &list, &count, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        char reason[320];
        enum inv_collection_state state =
            inv_collection_state(list[i], reason, sizeof reason);
        if (state != INV_LOADING && state != INV_FAILED) {
            struct inv_view *view = inv_gallery_view(list[i]->gallery);
            inv_gauge_set(inv_metric_with(&documents, list[i]->name, NULL),
                          (double)inv_view_live(view));
            inv_gauge_set(inv_metric_with(&segments, list[i]->name, NULL),
                          (double)view->count);
            set_upgrade(list[i], view);
            inv_ref_put(view);
        }
        inv_ref_put(list[i]);
    }
    free(list);
    const struct inv_http *http = app->http;
    if (http != NULL)
        inv_gauge_set(&queue, (double)inv_http_queue_depth(http));
    inv_gauge_set(&jobs_waiting, (double)inv_jobs_waiting(app->jobs));
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    inv_metrics_render(&response->body);
    return INV_OK;
}

INV_HANDLER(inv_api_version) {
    (void)request;
    (void)err;
    inv_buf_printf(&response->body,
                   "{\"name\":\"invar\",\"version\":\"" INV_VERSION
                   "\",\"kernels\":\"%s\",\"uptime_s\":%.1f,\"models\":[",
                   inv_kernels_name(),
                   (double)((int64_t)inv_now_ns() - app->started_ns) / 1e9);
    for (size_t i = 0; i < app->model_count; i++)
        inv_buf_printf(&response->body, "%s\"%s@%s\"", i == 0 ? "" : ",",
                       app->models[i].name, app->models[i].revision);
    inv_buf_puts(&response->body,
                 "],\"features\":[\"single\",\"multi\",\"matryoshka\","
                 "\"muvera\",\"muvera+\",\"filters\",\"bulk\",\"recall\","
                 "\"rebuild\",\"compact\"]}");
    return INV_OK;
}
