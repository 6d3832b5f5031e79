/*
 * api_search.c: searches over HTTP, one or many, and recall. A query comes as
 * JSON or as a binary body (api_search_binary.c).
 */
#include "server/api.h"

#include "server/search.h"

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
    if (inv_is_binary_search(request)) {
        status = inv_binary_search(c, request, &search, &doc, err);
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
