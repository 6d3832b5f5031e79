/*
 * request_search.c: the bodies that ask: searches, batches of them, and recall
 * measurements. Checks form and limits; whether a query fits the collection is
 * the pipelines' business. Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <string.h>

#define LIST_MAX INV_PREFIX_DIMS_MAX

static enum inv_status read_budgets(const inv_json *object, const char *at,
                                    struct inv_search_params *out,
                                    struct inv_err *err) {
    const struct {
        const char *key;
        uint32_t max;
        uint32_t *out;
    } budgets[] = {
        {"candidates", INV_CANDIDATES_MAX, &out->candidates},
        {"rescore", INV_CANDIDATES_MAX, &out->rescore},
        {"rerank", INV_CANDIDATES_MAX, &out->rerank},
        {"ef", INV_CANDIDATES_MAX, &out->ef},
        {"nprobe", INV_CANDIDATES_MAX, &out->nprobe},
        {"timeout_ms", INV_TIMEOUT_MS_MAX, &out->timeout_ms},
        {"cascade", INV_CASCADE_MAX, &out->cascade},
    };
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        status = inv_request_u32(object, at, budgets[i].key, 1, budgets[i].max,
                                 budgets[i].out, err);
        if (status != INV_OK)
            break;
    }
    out->need_given = inv_json_get(object, "need_vectors") != NULL;
    if (status == INV_OK)
        status = inv_request_u32(object, at, "need_vectors", 0, INV_NEED_MAX,
                                 &out->need_vectors, err);
    return status;
}

static enum inv_status check_funnel(const struct inv_search_params *params,
                                    const char *at, struct inv_err *err) {
    const uint32_t *dims = params->dims;
    const uint32_t *keep = params->keep;
    enum inv_status status = INV_OK;
    const char *key = "dims";
    size_t place = 0;
    for (size_t i = 1; i < params->dims_count && status == INV_OK; i++) {
        place = i;
        if (dims[i] <= dims[i - 1])
            status = inv_fail(err, INV_INVALID,
                              "\"dims\" must increase, got %u behind %u",
                              dims[i], dims[i - 1]);
    }
    if (status == INV_OK && params->keep_count > 0 &&
        params->keep_count + 1 != params->dims_count) {
        status = inv_fail(err, INV_INVALID,
                          "\"keep\" must have one item fewer than \"dims\": "
                          "got %zu for %zu",
                          params->keep_count, params->dims_count);
        inv_err_at(err, "%s/keep", at);
        return status;
    }
    for (size_t i = 1; i < params->keep_count && status == INV_OK; i++) {
        key = "keep";
        place = i;
        if (keep[i] > keep[i - 1])
            status = inv_fail(err, INV_INVALID,
                              "\"keep\" must not grow, got %u behind %u",
                              keep[i], keep[i - 1]);
    }
    if (status != INV_OK)
        inv_err_at(err, "%s/%s/%zu", at, key, place);
    return status;
}

static enum inv_status not_empty(const inv_json *object, const char *at,
                                 const char *key, size_t count,
                                 struct inv_err *err) {
    if (count > 0 || inv_json_get(object, key) == NULL)
        return INV_OK;
    enum inv_status status =
        inv_fail(err, INV_INVALID, "\"%s\" must have 1 to %d items, got 0", key,
                 LIST_MAX);
    return inv_json_point(err, status, at, key);
}

enum inv_status inv_parse_params(const inv_json *object, const char *at,
                                 struct inv_search_params *out,
                                 struct inv_err *err) {
    static const char *const fields[] = {
        "candidates", "rescore",      "rerank",  "ef",
        "nprobe",     "dims",         "keep",    "exact",
        "timeout_ms", "need_vectors", "cascade", NULL};
    struct inv_search_params params = {.candidates = 0};
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status = read_budgets(object, at, &params, err);
    if (status == INV_OK)
        status =
            inv_json_get_ints(object, at, "dims", 1, INV_DIM_MAX, params.dims,
                              LIST_MAX, &params.dims_count, err);
    if (status == INV_OK)
        status = not_empty(object, at, "dims", params.dims_count, err);
    if (status == INV_OK)
        status =
            inv_json_get_ints(object, at, "keep", 1, INV_CANDIDATES_MAX,
                              params.keep, LIST_MAX, &params.keep_count, err);
    if (status == INV_OK)
        status = check_funnel(&params, at, err);
    if (status == INV_OK)
        status = inv_json_get_bool(object, at, "exact", &params.exact, err);
    if (status != INV_OK)
        return status;
    params.exact_given = inv_json_get(object, "exact") != NULL;
    *out = params;
    return INV_OK;
}

static enum inv_status read_params(const inv_json *object, const char *at,
                                   struct inv_search_params *out,
                                   struct inv_err *err) {
    const inv_json *value = inv_json_get(object, "params");
    if (value == NULL)
        return INV_OK;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, "params");
    return inv_parse_params(value, below, out, err);
}

enum inv_status inv_parse_search(const struct inv_json_doc *doc,
                                 const inv_json *object, const char *at,
                                 const struct inv_json_limits *limits,
                                 struct inv_search_request *out,
                                 struct inv_err *err) {
    static const char *const fields[] = {
        "vector", "vectors", "text", "model",   "limit", "offset",
        "filter", "params",  "with", "explain", NULL};
    struct inv_search_request request = {.limit = INV_LIMIT_DEFAULT};
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status = inv_request_subject(doc, object, at, "a search", limits,
                                     &request.query, &request.text,
                                     &request.text_len, err);
    if (status == INV_OK)
        status = inv_request_model(object, at, doc->arena, &request.model, err);
    if (status == INV_OK)
        status = inv_request_u32(object, at, "limit", 1, INV_LIMIT_MAX,
                                 &request.limit, err);
    if (status == INV_OK)
        status = inv_request_u32(object, at, "offset", 0, INV_OFFSET_MAX,
                                 &request.offset, err);
    if (status == INV_OK)
        status =
            inv_request_filter(object, at, doc->arena, &request.filter, err);
    if (status == INV_OK)
        status = read_params(object, at, &request.params, err);
    if (status == INV_OK)
        status = inv_request_with(object, at, doc->arena, &request.payload,
                                  &request.with_vectors, err);
    if (status == INV_OK)
        status =
            inv_json_get_bool(object, at, "explain", &request.explain, err);
    if (status == INV_OK)
        *out = request;
    return status;
}

/* The member `key` of the body: an array of 1..max items. */
static enum inv_status read_list(const struct inv_json_doc *doc,
                                 const char *key, size_t max, inv_json **out,
                                 struct inv_err *err) {
    inv_json *list = NULL;
    enum inv_status status =
        inv_json_get_array(doc->root, "", key, max, &list, err);
    if (status != INV_OK)
        return status;
    if (list == NULL || inv_json_size(list) == 0) {
        status = inv_fail(err, INV_INVALID,
                          "\"%s\" must be an array of 1 to %zu items, got %s",
                          key, max, list == NULL ? "nothing" : "0");
        return inv_json_point(err, status, "", key);
    }
    *out = list;
    return INV_OK;
}

enum inv_status inv_parse_search_batch(const struct inv_json_doc *doc,
                                       const struct inv_json_limits *limits,
                                       struct inv_search_request **out,
                                       size_t *count, struct inv_err *err) {
    static const char *const fields[] = {"searches", NULL};
    inv_json *list = NULL;
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status = read_list(doc, "searches", INV_BATCH_SEARCHES_MAX, &list, err);
    if (status != INV_OK)
        return status;
    size_t n = inv_json_size(list);
    struct inv_search_request *requests =
        inv_arena_calloc(doc->arena, n, sizeof *requests);
    if (requests == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu searches", n);
    for (size_t i = 0; i < n; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "searches", i);
        status = inv_parse_search(doc, inv_json_at(list, i), at, limits,
                                  &requests[i], err);
        if (status != INV_OK)
            return status;
    }
    *out = requests;
    *count = n;
    return INV_OK;
}

static enum inv_status read_query(const struct inv_json_doc *doc,
                                  const inv_json *object, const char *at,
                                  const struct inv_json_limits *limits,
                                  struct inv_recall_query *out,
                                  struct inv_err *err) {
    static const char *const fields[] = {"vector", "vectors", "text", NULL};
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status =
            inv_request_subject(doc, object, at, "a query", limits, &out->given,
                                &out->text, &out->text_len, err);
    return status;
}

static enum inv_status read_queries(const struct inv_json_doc *doc,
                                    const struct inv_json_limits *limits,
                                    struct inv_recall_request *out,
                                    struct inv_err *err) {
    inv_json *list = NULL;
    enum inv_status status =
        read_list(doc, "queries", INV_BATCH_DOCS_MAX, &list, err);
    if (status != INV_OK)
        return status;
    if (inv_json_get(doc->root, "sample") != NULL) {
        status = inv_fail(err, INV_INVALID,
                          "\"sample\" counts stored documents: it cannot go "
                          "with \"queries\"");
        inv_err_at(err, "/sample");
        return status;
    }
    size_t n = inv_json_size(list);
    out->queries = inv_arena_calloc(doc->arena, n, sizeof *out->queries);
    if (out->queries == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu queries", n);
    for (size_t i = 0; i < n && status == INV_OK; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "queries", i);
        status = read_query(doc, inv_json_at(list, i), at, limits,
                            &out->queries[i], err);
    }
    out->query_count = n;
    return status;
}

enum inv_status inv_parse_recall(const struct inv_json_doc *doc,
                                 const struct inv_json_limits *limits,
                                 struct inv_recall_request *out,
                                 struct inv_err *err) {
    static const char *const fields[] = {"sample", "limit",   "params",
                                         "model",  "queries", NULL};
    struct inv_recall_request request = {.sample = 100,
                                         .limit = INV_LIMIT_DEFAULT};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status = inv_request_u32(doc->root, "", "sample", 1, INV_BATCH_DOCS_MAX,
                                 &request.sample, err);
    if (status == INV_OK)
        status = inv_request_u32(doc->root, "", "limit", 1, INV_LIMIT_MAX,
                                 &request.limit, err);
    if (status == INV_OK)
        status = read_params(doc->root, "", &request.params, err);
    if (status == INV_OK)
        status =
            inv_request_model(doc->root, "", doc->arena, &request.model, err);
    if (status == INV_OK && inv_json_get(doc->root, "queries") != NULL)
        status = read_queries(doc, limits, &request, err);
    if (status == INV_OK)
        *out = request;
    return status;
}
