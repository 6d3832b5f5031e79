/*
 * api_adapters.c: adapters over HTTP: asking for a fit, importing, composing,
 * listing, exporting, removing; which documents to embed for one, and which
 * next.
 */
#include "server/api.h"

#include "server/upgrade/adapters.h"
#include "server/upgrade/backfill.h"
#include "server/upgrade/calibration.h"
#include "server/upgrade/fit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- query strings ---- */

static enum inv_status number_argument(const struct inv_request *request,
                                       const char *name, uint64_t min,
                                       uint64_t max, uint64_t *out,
                                       struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    char *end = NULL;
    if (text == NULL)
        return INV_OK;
    errno = 0;
    unsigned long long value =
        text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || errno != 0 || value < min || value > max)
        return inv_fail(err, INV_INVALID,
                        "\"%s\" must be a number from %" PRIu64 " to %" PRIu64
                        ", got \"%.32s\"",
                        name, min, max, text);
    *out = value;
    return INV_OK;
}

/* One of two words; absent: untouched. */
static enum inv_status word_argument(const struct inv_request *request,
                                     const char *name, const char *no,
                                     const char *yes, bool *out,
                                     struct inv_err *err) {
    const char *text = inv_request_query(request, name);
    if (text == NULL)
        return INV_OK;
    *out = strcmp(text, yes) == 0;
    if (*out || strcmp(text, no) == 0)
        return INV_OK;
    return inv_fail(err, INV_INVALID, "\"%s\" is %s or %s, got \"%.32s\"", name,
                    no, yes, text);
}

/* ---- one adapter ---- */

static enum inv_status show(struct inv_collection *c, const char *name,
                            struct inv_buf *out, struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_models *models = inv_view_models(view);
    const struct inv_stored_adapter *adapter = inv_models_adapter(models, name);
    if (adapter != NULL)
        inv_adapters_put(models, adapter, true, out);
    inv_ref_put(view);
    return adapter != NULL ? INV_OK
                           : inv_fail(err, INV_NOT_FOUND,
                                      "there is no adapter \"%.64s\"", name);
}

static enum inv_status give_file(struct inv_collection *c,
                                 const struct inv_request *request,
                                 struct inv_response *response,
                                 struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const char *name = request->parts[4];
    const struct inv_stored_adapter *adapter =
        inv_models_adapter(inv_view_models(view), name);
    enum inv_adapter_format format = INV_ADAPTER_NPZ;
    bool forward = false;
    enum inv_status status = inv_adapter_format_parse(
        inv_request_query(request, "format"), &format, err);
    if (status == INV_OK)
        status = word_argument(request, "direction", "backward", "forward",
                               &forward, err);
    if (status == INV_OK && adapter == NULL)
        status =
            inv_fail(err, INV_NOT_FOUND, "there is no adapter \"%.64s\"", name);
    if (status == INV_OK)
        status =
            inv_adapters_export(adapter, format, forward, &response->body, err);
    if (status == INV_OK) {
        response->content_type = "application/octet-stream";
        inv_response_header(response, "Content-Disposition",
                            "attachment; filename=\"%s%s.%s\"", adapter->name,
                            forward ? "-forward" : "",
                            inv_adapter_format_name(format));
    }
    inv_ref_put(view);
    return status;
}

INV_HANDLER(inv_api_adapter_get) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK && inv_request_query(request, "format") != NULL)
        status = give_file(c, request, response, err);
    else if (status == INV_OK &&
             inv_request_query(request, "direction") != NULL)
        status = inv_fail(err, INV_INVALID,
                          "\"direction\" goes with \"format\": npz or "
                          "safetensors");
    else if (status == INV_OK)
        status = show(c, request->parts[4], &response->body, err);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_adapter_list) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_models *models = inv_view_models(view);
    inv_buf_puts(&response->body, "{\"adapters\":[");
    for (size_t i = 0; i < models->adapter_count; i++) {
        inv_buf_puts(&response->body, i == 0 ? "" : ",");
        inv_adapters_put(models, models->adapters[i], false, &response->body);
    }
    inv_buf_puts(&response->body, "]}");
    inv_ref_put(view);
    inv_ref_put(c);
    return INV_OK;
}

INV_HANDLER(inv_api_adapter_delete) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_adapters_delete(c, request->parts[4], err);
    if (status == INV_OK)
        inv_buf_puts(&response->body, "{\"deleted\":true}");
    inv_ref_put(c);
    return status;
}

/* ---- a new one ---- */

static enum inv_status queue_fit(struct inv_app *app, struct inv_collection *c,
                                 const struct inv_request *request,
                                 struct inv_response *response,
                                 struct inv_err *err) {
    size_t len = request->body_len;
    enum inv_status status = inv_api_media(request, "application/json", err);
    if (status == INV_OK && len > INV_ROUTE_SMALL_BODY)
        status = inv_fail(err, INV_TOO_LARGE,
                          "the body has %zu bytes, a fit takes at most %zu",
                          len, INV_ROUTE_SMALL_BODY);
    const char *body = inv_arena_strndup(
        request->arena, request->body == NULL ? "" : request->body, len);
    if (status == INV_OK && body == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a job");
    if (status == INV_OK)
        status = inv_work_check_fit(c, body, len, err);
    if (status == INV_OK)
        status = inv_api_add_job(app, c, "fit", body, request, response, err);
    return status;
}

static enum inv_status take_file(struct inv_collection *c,
                                 const struct inv_request *request,
                                 struct inv_response *response,
                                 struct inv_err *err) {
    struct inv_adapter_import wanted = {
        .bytes = request->body,
        .len = request->body_len,
        .name = inv_request_query(request, "name"),
        .from = inv_request_query(request, "from"),
        .to = inv_request_query(request, "to")};
    char name[INV_NAME_MAX + 1];
    enum inv_status status =
        inv_api_media(request, "application/octet-stream", err);
    enum inv_adapter_format format = INV_ADAPTER_NPZ; /* the bytes tell */
    if (status == INV_OK)
        status = inv_adapter_format_parse(inv_request_query(request, "format"),
                                          &format, err);
    if (status == INV_OK && wanted.name != NULL)
        status =
            inv_check_name("adapter", wanted.name, strlen(wanted.name), err);
    if (status == INV_OK)
        status = inv_adapters_import(c, &wanted, name, err);
    if (status == INV_OK)
        status = show(c, name, &response->body, err);
    if (status == INV_OK)
        response->status = 201;
    return status;
}

INV_HANDLER(inv_api_adapter_post) {
    struct inv_collection *c = NULL;
    static const char *const of_files[] = {"name", "from", "to"};
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    bool file = inv_request_query(request, "format") != NULL;
    for (size_t i = 0; i < sizeof of_files / sizeof *of_files; i++)
        if (status == INV_OK && !file &&
            inv_request_query(request, of_files[i]) != NULL)
            status = inv_fail(err, INV_INVALID,
                              "\"%s\" in the query string goes with "
                              "\"format\" (npz, safetensors); a fit has it in "
                              "its body",
                              of_files[i]);
    if (status == INV_OK)
        status = file ? take_file(c, request, response, err)
                      : queue_fit(app, c, request, response, err);
    inv_ref_put(c);
    return status;
}

static enum inv_status read_compose(const inv_json *root, const char **first,
                                    const char **second, const char **name,
                                    struct inv_err *err) {
    static const char *const keys[] = {"first", "second", "name", NULL};
    size_t len = 0;
    enum inv_status status = inv_json_body(root, keys, err);
    if (status == INV_OK)
        status = inv_json_get_string(root, "", "first", INV_NAME_MAX, first,
                                     &len, err);
    if (status == INV_OK)
        status = inv_json_get_string(root, "", "second", INV_NAME_MAX, second,
                                     &len, err);
    if (status == INV_OK)
        status = inv_json_get_string(root, "", "name", INV_NAME_MAX, name, &len,
                                     err);
    if (status == INV_OK && *name != NULL) {
        status = inv_check_name("adapter", *name, len, err);
        if (status != INV_OK)
            return inv_json_point(err, status, "", "name");
    }
    for (int i = 0; i < 2 && status == INV_OK; i++)
        if (*(i == 0 ? first : second) == NULL)
            status = inv_json_point(
                err,
                inv_fail(err, INV_INVALID,
                         "\"%s\" is missing: the name of an adapter",
                         i == 0 ? "first" : "second"),
                "", i == 0 ? "first" : "second");
    return status;
}

INV_HANDLER(inv_api_adapter_compose) {
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    const char *first = NULL;
    const char *second = NULL;
    const char *name = NULL;
    char made[INV_NAME_MAX + 1];
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = read_compose(doc.root, &first, &second, &name, err);
    if (status == INV_OK)
        status = inv_adapters_compose(c, first, second, name, made, err);
    if (status == INV_OK)
        status = show(c, made, &response->body, err);
    if (status == INV_OK)
        response->status = 201;
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

/* ---- what they say and need ---- */

INV_HANDLER(inv_api_compatibility) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status != INV_OK)
        return status;
    struct inv_view *view = inv_gallery_view(c->gallery);
    status =
        inv_adapters_compatibility(inv_view_models(view), &response->body, err);
    inv_ref_put(view);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_calibration) {
    struct inv_collection *c = NULL;
    struct inv_calibration wanted = {.model = request->parts[4]};
    uint64_t count = INV_CALIBRATION_DEFAULT;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status =
            number_argument(request, "n", 1, INV_CALIBRATION_MAX, &count, err);
    if (status == INV_OK)
        status =
            number_argument(request, "seed", 0, INT64_MAX, &wanted.seed, err);
    if (status == INV_OK)
        status = word_argument(request, "method", "uniform", "leverage",
                               &wanted.leverage, err);
    wanted.count = count;
    if (status == INV_OK)
        status = inv_calibration_write(c, &wanted, &response->body, err);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_backfill) {
    struct inv_collection *c = NULL;
    uint64_t limit = INV_BACKFILL_DEFAULT;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status =
            number_argument(request, "limit", 1, INV_BACKFILL_MAX, &limit, err);
    if (status == INV_OK)
        status = inv_backfill_write(c, inv_request_query(request, "model"),
                                    limit, &response->body, err);
    inv_ref_put(c);
    return status;
}
