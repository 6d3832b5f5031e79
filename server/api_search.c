/*
 * api_search.c: searches over HTTP. A query comes as JSON, or as a binary body
 * (application/x-npy, or application/octet-stream of little-endian f32) with
 * its options in the query string.
 */
#include "server/api.h"

#include "base/kernels.h"
#include "base/npy.h"
#include "server/search.h"

#include <stdlib.h>
#include <string.h>

static void put_timing(struct inv_response *response,
                       const struct inv_search_plan *plan) {
    inv_response_header(response, "Server-Timing",
                        "encode;dur=%.3f, candidates;dur=%.3f, "
                        "rescore;dur=%.3f, funnel;dur=%.3f, answer;dur=%.3f",
                        plan->ms[0], plan->ms[1], plan->ms[2], plan->ms[3],
                        plan->ms[4]);
    inv_metrics_search(plan->ms);
}

/* ---- binary queries ---- */

static enum inv_status query_u32(const struct inv_request *request,
                                 const char *name, uint32_t min, uint32_t max,
                                 uint32_t *out, struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    if (text == NULL)
        return INV_OK;
    char *end;
    long long value = strtoll(text, &end, 10);
    if (text[0] == '\0' || *end != '\0' || value < (long long)min ||
        value > (long long)max)
        return inv_fail(err, INV_INVALID,
                        "%s is a number from %u to %u, not \"%.40s\"", name,
                        min, max, text);
    *out = (uint32_t)value;
    return INV_OK;
}

static enum inv_status query_options(const struct inv_request *request,
                                     struct inv_search_request *out,
                                     struct inv_err *err) {
    struct inv_search_params *p = &out->params;
    const struct {
        const char *name;
        uint32_t min, max;
        uint32_t *value;
    } numbers[] = {
        {"limit", 1, INV_LIMIT_MAX, &out->limit},
        {"offset", 0, INV_OFFSET_MAX, &out->offset},
        {"candidates", 1, INV_CANDIDATES_MAX, &p->candidates},
        {"rescore", 1, INV_CANDIDATES_MAX, &p->rescore},
        {"rerank", 1, INV_CANDIDATES_MAX, &p->rerank},
        {"ef", 1, INV_CANDIDATES_MAX, &p->ef},
        {"nprobe", 1, INV_CANDIDATES_MAX, &p->nprobe},
        {"timeout_ms", 1, INV_TIMEOUT_MS_MAX, &p->timeout_ms},
    };
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < sizeof numbers / sizeof *numbers;
         i++)
        status = query_u32(request, numbers[i].name, numbers[i].min,
                           numbers[i].max, numbers[i].value, err);
    const char *exact = inv_request_query(request, "exact");
    const char *payload = inv_request_query(request, "payload");
    const char *explain = inv_request_query(request, "explain");
    if (exact != NULL) {
        p->exact_given = true;
        p->exact = strcmp(exact, "false") != 0;
    }
    out->payload.all = payload != NULL && strcmp(payload, "false") != 0;
    out->explain = explain != NULL && strcmp(explain, "false") != 0;
    out->model = inv_request_query(request, "model");
    return status;
}

static enum inv_status check_numbers(const struct inv_matrix *m,
                                     struct inv_err *err) {
    if (inv_all_within(m->data, m->rows * m->dim, INV_VALUE_ABS_MAX))
        return INV_OK;
    for (size_t i = 0; i < m->rows * m->dim; i++)
        if (!(m->data[i] >= -INV_VALUE_ABS_MAX &&
              m->data[i] <= INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "%g in row %zu, column %zu: numbers are finite "
                            "and at most %g",
                            (double)m->data[i], i / m->dim, i % m->dim,
                            (double)INV_VALUE_ABS_MAX);
    return INV_OK;
}

static enum inv_status npy_query(const struct inv_request *request,
                                 struct inv_matrix *m, struct inv_err *err) {
    struct inv_npy_view view;
    enum inv_status status =
        inv_npy_parse(request->body, request->body_len, &view, err);
    if (status != INV_OK)
        return status;
    if (view.ndim < 1 || view.ndim > 2 ||
        (view.dtype != INV_NPY_F32 && view.dtype != INV_NPY_F16))
        return inv_fail(err, INV_INVALID,
                        "a query is a f2 or f4 array of 1 or 2 dimensions, "
                        "this one has %zu",
                        (size_t)view.ndim);
    m->rows = view.ndim == 2 ? view.shape[0] : 1;
    m->dim = view.shape[view.ndim - 1];
    size_t count = m->rows * m->dim;
    if (count == 0)
        return inv_fail(err, INV_INVALID,
                        "the query has %zu rows of %zu "
                        "dimensions",
                        m->rows, m->dim);
    m->data = inv_arena_alloc(request->arena, count * sizeof *m->data);
    if (m->data == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    if (view.dtype == INV_NPY_F16)
        inv_f32_from_f16(view.data, m->data, count);
    else
        memcpy(m->data, view.data, count * sizeof *m->data);
    return INV_OK;
}

static enum inv_status raw_query(const struct inv_request *request, size_t dim,
                                 struct inv_matrix *m, struct inv_err *err) {
    size_t row = dim * sizeof(float);
    if (request->body_len == 0 || request->body_len % row != 0)
        return inv_fail(err, INV_DIMENSION,
                        "%zu bytes are not rows of %zu dimensions (%zu bytes)",
                        request->body_len, dim, row);
    m->rows = request->body_len / row;
    m->dim = dim;
    m->data = inv_arena_alloc(request->arena, request->body_len);
    if (m->data == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    memcpy(m->data, request->body, request->body_len);
    return INV_OK;
}

static enum inv_status binary_search(struct inv_collection *collection,
                                     const struct inv_request *request,
                                     struct inv_search_request *out,
                                     struct inv_err *err) {
    struct inv_shared_settings *settings = inv_collection_settings(collection);
    struct inv_matrix *m = &out->query.matrix;
    *out = (struct inv_search_request){.limit = INV_LIMIT_DEFAULT};
    out->query.plural = settings->settings.multi;
    enum inv_status status = query_options(request, out, err);
    if (status == INV_OK)
        status = strcmp(request->content_type, "application/x-npy") == 0
                     ? npy_query(request, m, err)
                     : raw_query(request, settings->settings.dim, m, err);
    if (status == INV_OK)
        status = check_numbers(m, err);
    if (status == INV_OK && !settings->settings.multi && m->rows != 1)
        status =
            inv_fail(err, INV_INVALID,
                     "a single collection takes 1 vector, got %zu", m->rows);
    inv_ref_put(settings);
    return status;
}

static bool is_binary(const struct inv_request *request) {
    return request->content_type != NULL &&
           (strcmp(request->content_type, "application/x-npy") == 0 ||
            strcmp(request->content_type, "application/octet-stream") == 0);
}

/* ---- handlers ---- */

INV_HANDLER(inv_api_search) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_search_request search;
    struct inv_search_plan plan = {0};
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    if (is_binary(request)) {
        status = binary_search(c, request, &search, err);
    } else {
        status = inv_api_json(app, request, true, &doc, &limits, err);
        if (status == INV_OK)
            status =
                inv_parse_search(&doc, doc.root, "", &limits, &search, err);
    }
    if (status == INV_OK)
        status = inv_search_respond(app, c, &search, request->arena,
                                    &response->body, &plan, err);
    if (status == INV_OK)
        put_timing(response, &plan);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_search_batch) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_search_request *searches = NULL;
    size_t count = 0;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, true, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_search_batch(&doc, &limits, &searches, &count, err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"results\":[");
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        struct inv_search_plan plan = {0};
        if (i > 0)
            inv_buf_putc(&response->body, ',');
        status = inv_search_respond(app, c, &searches[i], request->arena,
                                    &response->body, &plan, err);
        if (status != INV_OK && err->pointer[0] != '\0') {
            char inner[sizeof err->pointer];
            memcpy(inner, err->pointer, sizeof inner);
            inv_err_at(err, "/searches/%zu%s", i, inner);
        } else if (status != INV_OK) {
            inv_err_at(err, "/searches/%zu", i);
        }
        inv_metrics_search(plan.ms);
    }
    inv_buf_puts(&response->body, "]}");
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_recall) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_recall_request recall;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, true, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_recall(&doc, &limits, &recall, err);
    if (status == INV_OK)
        status = inv_recall_respond(app, c, &recall, request->arena,
                                    &response->body, err);
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}
