/*
 * fit.c: the fit job: gather, fit, judge, store. Builder thread. The fit itself
 * is encoders/adapters/evaluate.h.
 *
 * Nothing is kept between fits: of SciFact (5,183 documents of 384 dimensions,
 * 5,483 queries) gathering takes .13 s of the 7.4 s of a procrustes job on a
 * busy core. The sums over pairs are remade for every held-out fold anyway.
 */
#include "server/upgrade/fit.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/json/report.h"
#include "server/upgrade/adapters.h"
#include "server/upgrade/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the library calls its steps ("path:0.2: fitting") is one of two stages
 * for who follows the job. */
static bool fit_progress(void *ctx, const char *stage, size_t done,
                         size_t total) {
    const struct inv_work *work = ctx;
    bool fitting = strstr(stage, "fitting") != NULL ||
                   strncmp(stage, "reading", strlen("reading")) == 0;
    const char *shown = fitting ? "fit" : "judge";
    return work->progress(work->ctx, shown, done, total);
}

/* View and catalog of one moment, so that a query's relevant ids are those of
 * the documents. */
static enum inv_status gather(const struct inv_work *work, const char *request,
                              struct inv_fit_request *parsed,
                              struct inv_view **view,
                              struct inv_fit_input *input,
                              struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(c->app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_collection_moment(c, db, view, err);
    if (status == INV_OK)
        status = inv_fit_request_parse(inv_view_models(*view), request,
                                       strlen(request), parsed, err);
    if (status == INV_OK)
        status = inv_fit_gather(work, parsed, *view, db, input, err);
    if (db != NULL)
        inv_catalog_return(c->app->catalog, db);
    return status;
}

/* Kinds that are solvers of lambda_orthogonal to a client. */
static bool is_lambda(enum inv_adapter_kind kind) {
    return kind == INV_ADAPTER_PATH || kind == INV_ADAPTER_CONTRASTIVE ||
           kind == INV_ADAPTER_PAPER;
}

/* "new@2-to-old@1-lambda_orthogonal-path-0.2" */
static void propose_name(const struct inv_fit_request *request,
                         const struct inv_fit_result *result, char *out,
                         size_t size) {
    enum inv_adapter_kind kind = result->method.kind;
    bool lambda = is_lambda(kind);
    int len = snprintf(out, size, "%s-to-%s-%s%s", request->from->name,
                       request->to->name, lambda ? "lambda_orthogonal-" : "",
                       inv_adapter_kind_name(kind));
    double kappa = kind == INV_ADAPTER_CONTRASTIVE ? request->options.kappa
                   : lambda                        ? result->method.knob
                                                   : -1;
    if (kappa >= 0 && len > 0 && (size_t)len < size)
        snprintf(out + len, size - (size_t)len, "-%g", kappa);
}

/* The library's report, and what only the collection knows. */
static enum inv_status write_report(const struct inv_fit_request *request,
                                    const struct inv_fit_input *input,
                                    const struct inv_fit_report *report,
                                    struct inv_buf *out, struct inv_err *err) {
    inv_fit_report_json(report, out);
    while (!out->failed && out->len > 0 && out->data[out->len - 1] != '}')
        out->data[--out->len] = '\0';
    if (!out->failed && out->len > 0)
        out->data[--out->len] = '\0';
    inv_buf_printf(out, ",\"unknown_relevant\":%zu", input->unknown);
    if (request->label_field[0] != '\0')
        inv_buf_printf(out, ",\"labels\":%zu,\"unlabelled\":%zu",
                       input->data.classes, input->unlabelled);
    inv_buf_putc(out, '}');
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a report")
                       : INV_OK;
}

static enum inv_status store(const struct inv_work *work, const char *text,
                             const struct inv_fit_request *request,
                             const struct inv_fit_result *result,
                             const struct inv_buf *report,
                             char name[INV_NAME_MAX + 1], struct inv_err *err) {
    enum inv_adapter_kind kind = result->method.kind;
    bool lambda = is_lambda(kind);
    char proposal[4 * INV_MODEL_NAME_MAX + 64];
    propose_name(request, result, proposal, sizeof proposal);
    if (work->progress(work->ctx, "store", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    struct inv_new_adapter new = {
        .name = request->name[0] != '\0' ? request->name : NULL,
        .proposal = proposal,
        .from = request->from->space,
        .to = request->to->space,
        .kind = lambda ? "lambda_orthogonal" : inv_adapter_kind_name(kind),
        .verdict = inv_verdict_name(result->gate.verdict),
        .break_even = result->gate.break_even,
        .request = text,
        .report = report->data,
        .backward = result->backward,
        .forward = result->forward,
        .scores = &result->scores};
    return inv_adapters_add(work->collection, &new, name, err);
}

static enum inv_status fit_and_store(const struct inv_work *work,
                                     const char *text,
                                     const struct inv_fit_request *request,
                                     const struct inv_fit_input *input,
                                     struct inv_buf *result,
                                     struct inv_err *err) {
    struct inv_fit_report *report = calloc(1, sizeof *report);
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_buf json = INV_BUF_INIT;
    char name[INV_NAME_MAX + 1];
    size_t count = request->count;
    if (report == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a report");
    memcpy(methods, request->methods, sizeof methods);
    if (count == 0)
        inv_fit_methods_default(&input->data, methods, &count);
    enum inv_status status =
        inv_fit_judge(&input->data, methods, count, &request->options,
                      fit_progress, (void *)(uintptr_t)work, report, err);
    if (status == INV_OK)
        status = write_report(request, input, report, &json, err);
    if (status == INV_OK)
        status = store(work, text, request, &report->results[report->chosen],
                       &json, name, err);
    if (status == INV_OK)
        inv_buf_printf(
            result, "{\"adapter\":\"%s\",\"verdict\":\"%s\",\"report\":%s}",
            name,
            inv_verdict_name(report->results[report->chosen].gate.verdict),
            json.data);
    inv_buf_release(&json);
    inv_fit_report_release(report);
    free(report);
    return status;
}

bool inv_fit_made_before(const struct inv_models *models, const char *text,
                         const struct inv_fit_request *request,
                         struct inv_buf *result) {
    const struct inv_stored_adapter *there =
        request->name[0] == '\0' ? NULL
                                 : inv_models_adapter(models, request->name);
    if (there == NULL || strcmp(there->request, text) != 0)
        return false;
    inv_buf_printf(result,
                   "{\"adapter\":\"%s\",\"verdict\":\"%s\",\"report\":%s}",
                   there->name, there->verdict, there->report);
    return true;
}

static bool into_simplex(struct inv_collection *c) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    bool simplex = inv_fit_into_simplex(inv_view_models(view));
    inv_ref_put(view);
    return simplex;
}

enum inv_status inv_work_fit(const struct inv_work *work, const char *request,
                             struct inv_buf *result, struct inv_err *err) {
    if (into_simplex(work->collection))
        return inv_work_fit_simplex(work, request, result, err);
    struct inv_fit_request parsed;
    struct inv_fit_input input = {.view = NULL};
    struct inv_view *view = NULL;
    uint64_t start = inv_now_ns();
    enum inv_status status = gather(work, request, &parsed, &view, &input, err);
    uint64_t gathered = inv_now_ns();
    if (status == INV_OK &&
        !inv_fit_made_before(inv_view_models(view), request, &parsed, result))
        status = fit_and_store(work, request, &parsed, &input, result, err);
    if (status == INV_OK)
        inv_log(INV_LOG_INFO, "fit",
                "%s: %s to %s over %zu documents, %zu queries: gathered in "
                "%.3f s, fitted and judged in %.3f s",
                work->collection->name, parsed.from->name, parsed.to->name,
                input.data.documents, input.data.queries,
                (double)(gathered - start) / 1e9,
                (double)(inv_now_ns() - gathered) / 1e9);
    inv_fit_input_release(&input);
    inv_ref_put(view);
    return status;
}
