/*
 * api_search_binary.c: a search whose body is the query alone
 * (application/x-npy, or application/octet-stream of little-endian f32), with
 * everything else in the query string:
 *
 *   ?limit=5&candidates=200&dims=24,48,96&keep=400,100&exact=true
 *   &filter={"must":[...]} (percent-encoded)&payload=title,lang&vectors=true
 */
#include "server/api.h"

#include "base/kernels.h"
#include "base/npy.h"
#include "server/upgrade/models.h"

#include <stdlib.h>
#include <string.h>

const char *const inv_search_arguments[] = {
    "limit",      "offset",  "candidates",   "rescore", "rerank",
    "ef",         "nprobe",  "dims",         "keep",    "exact",
    "timeout_ms", "filter",  "payload",      "vectors", "explain",
    "model",      "cascade", "need_vectors", NULL};

/* ---- arguments ---- */

static enum inv_status query_u32(const struct inv_request *request,
                                 const char *name, uint32_t min, uint32_t max,
                                 uint32_t *out, struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    if (text == NULL)
        return INV_OK;
    char *end;
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
        value < (long long)min || value > (long long)max)
        return inv_fail(err, INV_INVALID,
                        "%s is a number from %u to %u, not \"%.40s\"", name,
                        min, max, text);
    *out = (uint32_t)value;
    return INV_OK;
}

/* A bare name says yes. */
static enum inv_status query_bool(const struct inv_request *request,
                                  const char *name, bool *out,
                                  struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    if (text == NULL)
        return INV_OK;
    bool yes = text[0] == '\0' || strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return inv_fail(err, INV_INVALID, "%s is true or false, not \"%.40s\"",
                        name, text);
    *out = yes;
    return INV_OK;
}

/* "24,48,96" as ,"dims":[24,48,96] */
static enum inv_status put_list(const struct inv_request *request,
                                const char *name, struct inv_buf *json,
                                struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    if (text == NULL)
        return INV_OK;
    inv_buf_printf(json, "%s\"%s\":", json->len > 1 ? "," : "", name);
    char mark = '[';
    for (const char *p = text;; p++) {
        char *end;
        unsigned long value = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || end - p > 9 ||
            (*end != '\0' && *end != ','))
            return inv_fail(err, INV_INVALID,
                            "%s is a list of numbers like 64,128, not "
                            "\"%.40s\"",
                            name, text);
        inv_buf_printf(json, "%c%lu", mark, value);
        mark = ',';
        p = end;
        if (*end == '\0')
            break;
    }
    inv_buf_putc(json, ']');
    return INV_OK;
}

/* dims and keep, checked by the same rules as in a JSON body. */
static enum inv_status query_funnel(const struct inv_request *request,
                                    struct inv_search_params *out,
                                    struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    struct inv_search_params lists = {0};
    inv_json *json = NULL;
    inv_buf_putc(&text, '{');
    enum inv_status status = put_list(request, "dims", &text, err);
    if (status == INV_OK)
        status = put_list(request, "keep", &text, err);
    inv_buf_putc(&text, '}');
    if (status == INV_OK && text.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for a list");
    if (status == INV_OK)
        status = inv_json_parse_plain(text.data, text.len, &json, err);
    if (status == INV_OK)
        status = inv_parse_params(json, "", &lists, err);
    if (status == INV_OK) {
        memcpy(out->dims, lists.dims, sizeof out->dims);
        memcpy(out->keep, lists.keep, sizeof out->keep);
        out->dims_count = lists.dims_count;
        out->keep_count = lists.keep_count;
    }
    inv_json_free(json);
    inv_buf_release(&text);
    return status;
}

static enum inv_status query_filter(const struct inv_request *request,
                                    struct inv_json_doc *doc,
                                    struct inv_search_request *out,
                                    struct inv_err *err) {
    const char *text = inv_request_query(request, "filter");
    if (text == NULL)
        return INV_OK;
    enum inv_status status =
        inv_json_parse_plain(text, strlen(text), &doc->root, err);
    return status == INV_OK
               ? inv_parse_filter(doc->root, "/filter", request->arena,
                                  &out->filter, err)
               : status;
}

/* payload, payload=true, payload=false, payload=title,lang */
static enum inv_status query_payload(const struct inv_request *request,
                                     struct inv_payload_wish *out,
                                     struct inv_err *err) {
    const char *text = inv_request_query(request, "payload");
    if (text == NULL || strcmp(text, "false") == 0)
        return INV_OK;
    out->all = text[0] == '\0' || strcmp(text, "true") == 0;
    if (out->all)
        return INV_OK;
    out->keys =
        inv_arena_calloc(request->arena, INV_FIELDS_MAX, sizeof *out->keys);
    if (out->keys == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a payload");
    for (const char *p = text; p != NULL; out->key_count++) {
        size_t len = strcspn(p, ",");
        if (len < 1 || len > INV_FIELD_KEY_MAX ||
            out->key_count == INV_FIELDS_MAX)
            return inv_fail(err, INV_INVALID,
                            "payload is true, false or up to %d keys of 1 to "
                            "%d bytes, key %zu has %zu",
                            INV_FIELDS_MAX, INV_FIELD_KEY_MAX,
                            out->key_count + 1, len);
        out->keys[out->key_count] = inv_arena_strndup(request->arena, p, len);
        if (out->keys[out->key_count] == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for a payload");
        p = p[len] == ',' ? p + len + 1 : NULL;
    }
    return INV_OK;
}

static enum inv_status query_options(const struct inv_request *request,
                                     struct inv_search_request *out,
                                     struct inv_json_doc *doc,
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
        {"cascade", 1, INV_CASCADE_MAX, &p->cascade},
        {"need_vectors", 0, INV_NEED_MAX, &p->need_vectors},
    };
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < sizeof numbers / sizeof *numbers;
         i++)
        status = query_u32(request, numbers[i].name, numbers[i].min,
                           numbers[i].max, numbers[i].value, err);
    p->exact_given = inv_request_query(request, "exact") != NULL;
    p->need_given = inv_request_query(request, "need_vectors") != NULL;
    out->model = inv_request_query(request, "model");
    if (status == INV_OK)
        status = query_bool(request, "exact", &p->exact, err);
    if (status == INV_OK)
        status = query_bool(request, "explain", &out->explain, err);
    if (status == INV_OK)
        status = query_bool(request, "vectors", &out->with_vectors, err);
    if (status == INV_OK)
        status = query_funnel(request, p, err);
    if (status == INV_OK)
        status = query_payload(request, &out->payload, err);
    if (status == INV_OK)
        status = query_filter(request, doc, out, err);
    return status;
}

/* ---- bodies ---- */

static enum inv_status check_numbers(const struct inv_matrix *m,
                                     struct inv_err *err) {
    if (inv_all_within(m->data, m->rows * m->dim, INV_VALUE_ABS_MAX))
        return INV_OK;
    size_t i = 0;
    while (m->data[i] >= -INV_VALUE_ABS_MAX && m->data[i] <= INV_VALUE_ABS_MAX)
        i++;
    return inv_fail(err, INV_NOT_FINITE,
                    "%g in row %zu, column %zu: numbers are finite and at "
                    "most %g",
                    (double)m->data[i], i / m->dim, i % m->dim,
                    (double)INV_VALUE_ABS_MAX);
}

/* What numpy makes of floats: f8 unless asked for less. */
static void copy_floats(const struct inv_npy_view *view, float *out) {
    if (view->dtype == INV_NPY_F16)
        inv_f32_from_f16(view->data, out, view->count);
    else if (view->dtype == INV_NPY_F32)
        memcpy(out, view->data, view->count * sizeof *out);
    for (size_t i = 0; view->dtype == INV_NPY_F64 && i < view->count; i++) {
        double x;
        memcpy(&x, (const char *)view->data + i * sizeof x, sizeof x);
        out[i] = (float)x;
    }
}

static enum inv_status npy_query(const struct inv_request *request,
                                 struct inv_matrix *m, struct inv_err *err) {
    struct inv_npy_view view;
    enum inv_status status =
        inv_npy_parse(request->body, request->body_len, &view, err);
    if (status != INV_OK)
        return status;
    if (view.dtype != INV_NPY_F16 && view.dtype != INV_NPY_F32 &&
        view.dtype != INV_NPY_F64)
        return inv_fail(err, INV_INVALID,
                        "a query is an array of f2, f4 or f8, this one of %s",
                        inv_npy_dtype_name(view.dtype));
    if (view.ndim < 1 || view.ndim > 2)
        return inv_fail(err, INV_INVALID,
                        "a query is an array of 1 or 2 dimensions, this one "
                        "has %zu",
                        view.ndim);
    m->rows = view.ndim == 2 ? view.shape[0] : 1;
    m->dim = view.shape[view.ndim - 1];
    if (view.count == 0)
        return inv_fail(err, INV_INVALID,
                        "the query has %zu rows of %zu dimensions", m->rows,
                        m->dim);
    m->data = inv_arena_alloc(request->arena, view.count * sizeof *m->data);
    if (m->data == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    copy_floats(&view, m->data);
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

bool inv_is_binary_search(const struct inv_request *request) {
    return request->content_type != NULL &&
           (strcmp(request->content_type, "application/x-npy") == 0 ||
            strcmp(request->content_type, "application/octet-stream") == 0);
}

/* A row of floats has no dimension of its own: it is the model's. */
static enum inv_status query_dim(const struct inv_view *view, const char *model,
                                 size_t *dim, struct inv_err *err) {
    const struct inv_space *space = NULL;
    enum inv_status status =
        inv_models_find(inv_view_models(view), model, &space, err);
    if (status == INV_OK)
        *dim = space->settings->settings.dim;
    return status;
}

enum inv_status inv_binary_search(struct inv_collection *collection,
                                  const struct inv_request *request,
                                  struct inv_search_request *out,
                                  struct inv_json_doc *doc,
                                  struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    bool multi = inv_view_models(view)->settings->settings.multi;
    struct inv_matrix *m = &out->query.matrix;
    size_t dim = 0;
    *out = (struct inv_search_request){.limit = INV_LIMIT_DEFAULT};
    out->query.plural = multi;
    enum inv_status status = query_options(request, out, doc, err);
    if (status == INV_OK)
        status = query_dim(view, out->model, &dim, err);
    if (status == INV_OK)
        status = strcmp(request->content_type, "application/x-npy") == 0
                     ? npy_query(request, m, err)
                     : raw_query(request, dim, m, err);
    if (status == INV_OK)
        status = check_numbers(m, err);
    if (status == INV_OK && !multi && m->rows != 1)
        status =
            inv_fail(err, INV_INVALID,
                     "a single collection takes 1 vector, got %zu", m->rows);
    inv_ref_put(view);
    return status;
}
