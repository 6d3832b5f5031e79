/*
 * routes.c: every route of the API in one table, and the way of a request
 * through it: route, key, handler, problem.
 */
#include "server/api.h"

#include "base/clock.h"
#include "server/http/problem.h"

#include <string.h>
#include <strings.h>

#define C "/v1/collections/{c}"
#define D C "/documents"
#define M C "/models"
#define A C "/adapters"
#define NONE INV_ROLE_NONE
#define READ INV_ROLE_READ
#define WRITE INV_ROLE_WRITE
#define ADMIN INV_ROLE_ADMIN
#define SMALL INV_BODY_SMALL
#define FULL INV_BODY_FULL

/* method, pattern, name, handler, role, body, stream, immediate */
static const struct inv_route table[] = {
    {INV_GET, "/livez", "livez", inv_api_live, NONE, SMALL, false, true},
    {INV_GET, "/readyz", "readyz", inv_api_ready, NONE, SMALL, false, true},
    {INV_GET, "/metrics", "metrics", inv_api_metrics, NONE, SMALL, false, true},
    {INV_GET, "/v1", "version", inv_api_version, READ, SMALL, false, false},
    {INV_GET, "/v1/collections", "collection.list", inv_api_collection_list,
     READ, SMALL, false, false},
    {INV_PUT, C, "collection.put", inv_api_collection_put, ADMIN, SMALL, false,
     false},
    {INV_GET, C, "collection.get", inv_api_collection_get, READ, SMALL, false,
     false},
    {INV_PATCH, C, "collection.patch", inv_api_collection_patch, ADMIN, SMALL,
     false, false},
    {INV_DELETE, C, "collection.delete", inv_api_collection_delete, ADMIN,
     SMALL, false, false},
    {INV_GET, "/v1/aliases", "alias.list", inv_api_alias_list, READ, SMALL,
     false, false},
    {INV_PUT, "/v1/aliases/{a}", "alias.put", inv_api_alias_put, ADMIN, SMALL,
     false, false},
    {INV_GET, "/v1/aliases/{a}", "alias.get", inv_api_alias_get, READ, SMALL,
     false, false},
    {INV_DELETE, "/v1/aliases/{a}", "alias.delete", inv_api_alias_delete, ADMIN,
     SMALL, false, false},
    {INV_PUT, D, "document.put", inv_api_documents_put, WRITE, FULL, false,
     false},
    {INV_POST, D "/bulk", "document.bulk", inv_api_documents_bulk, WRITE, FULL,
     true, false},
    {INV_POST, D "/scroll", "document.scroll", inv_api_documents_scroll, READ,
     SMALL, false, false},
    {INV_POST, D "/count", "document.count", inv_api_documents_count, READ,
     SMALL, false, false},
    {INV_POST, D "/delete", "document.delete_many", inv_api_documents_delete,
     WRITE, FULL, false, false},
    {INV_GET, D "/{id}", "document.get", inv_api_document_get, READ, SMALL,
     false, false},
    {INV_PATCH, D "/{id}", "document.patch", inv_api_document_patch, WRITE,
     FULL, false, false},
    {INV_DELETE, D "/{id}", "document.delete", inv_api_document_delete, WRITE,
     SMALL, false, false},
    {INV_POST, C "/search", "search", inv_api_search, READ, FULL, false, false},
    {INV_POST, C "/search/batch", "search.batch", inv_api_search_batch, READ,
     FULL, false, false},
    {INV_POST, C "/recall", "recall", inv_api_recall, READ, FULL, false, false},
    {INV_GET, M, "model.list", inv_api_model_list, READ, SMALL, false, false},
    {INV_PUT, M "/{m}", "model.put", inv_api_model_put, ADMIN, SMALL, false,
     false},
    {INV_GET, M "/{m}", "model.get", inv_api_model_get, READ, SMALL, false,
     false},
    {INV_DELETE, M "/{m}", "model.delete", inv_api_model_delete, ADMIN, SMALL,
     false, false},
    {INV_POST, M "/{m}/vectors", "model.vectors", inv_api_model_vectors_post,
     WRITE, FULL, false, false},
    {INV_DELETE, M "/{m}/vectors", "model.vectors.delete",
     inv_api_model_vectors_delete, ADMIN, SMALL, false, false},
    {INV_POST, M "/{m}/queries", "model.queries", inv_api_model_queries_post,
     WRITE, FULL, false, false},
    {INV_DELETE, M "/{m}/queries", "model.queries.delete",
     inv_api_model_queries_delete, WRITE, SMALL, false, false},
    {INV_POST, C "/activate", "activate", inv_api_activate, ADMIN, SMALL, false,
     false},
    {INV_POST, C "/rollback", "rollback", inv_api_rollback, ADMIN, SMALL, false,
     false},
    {INV_GET, C "/migration", "migration", inv_api_migration, READ, SMALL,
     false, false},
    {INV_POST, A, "adapter.post", inv_api_adapter_post, ADMIN, FULL, false,
     false},
    {INV_POST, A "/compose", "adapter.compose", inv_api_adapter_compose, ADMIN,
     SMALL, false, false},
    {INV_GET, A, "adapter.list", inv_api_adapter_list, READ, SMALL, false,
     false},
    {INV_GET, A "/{a}", "adapter.get", inv_api_adapter_get, READ, SMALL, false,
     false},
    {INV_DELETE, A "/{a}", "adapter.delete", inv_api_adapter_delete, ADMIN,
     SMALL, false, false},
    {INV_GET, C "/compatibility", "compatibility", inv_api_compatibility, READ,
     SMALL, false, false},
    {INV_GET, C "/models/{m}/calibration", "calibration", inv_api_calibration,
     READ, SMALL, false, false},
    {INV_GET, C "/backfill", "backfill", inv_api_backfill, READ, SMALL, false,
     false},
    {INV_POST, "/v1/admin/collections/{c}/rebuild", "rebuild", inv_api_rebuild,
     ADMIN, SMALL, false, false},
    {INV_POST, "/v1/admin/collections/{c}/compact", "compact", inv_api_compact,
     ADMIN, SMALL, false, false},
    {INV_GET, "/v1/jobs", "job.list", inv_api_job_list, READ, SMALL, false,
     false},
    {INV_GET, "/v1/jobs/{id}", "job.get", inv_api_job_get, READ, SMALL, false,
     false},
    {INV_DELETE, "/v1/jobs/{id}", "job.delete", inv_api_job_delete, ADMIN,
     SMALL, false, false},
};

static const struct inv_router router = {table, sizeof table / sizeof *table};

/* What the query string may hold; a typo must not switch a mode or a filter
 * off. Probes of load balancers may add what they like. */
static enum inv_status check_arguments(const struct inv_route *route,
                                       const struct inv_request *request,
                                       struct inv_err *err) {
    static const char *const none[] = {NULL};
    static const char *const put[] = {"mode", NULL};
    static const char *const bulk[] = {"model", NULL};
    static const char *const get[] = {"vectors", "model", NULL};
    static const char *const of_import[] = {"format", "name", "from", "to",
                                            NULL};
    static const char *const of_export[] = {"format", "direction", NULL};
    static const char *const calibration[] = {"n", "method", "seed", NULL};
    static const char *const backfill[] = {"limit", "model", NULL};
    const char *const *names = none;
    if (route->role == INV_ROLE_NONE)
        return INV_OK;
    if (route->handler == inv_api_documents_put)
        names = put;
    else if (route->handler == inv_api_documents_bulk)
        names = bulk;
    else if (route->handler == inv_api_document_get)
        names = get;
    else if (route->handler == inv_api_search)
        names = inv_search_arguments;
    else if (route->handler == inv_api_adapter_post)
        names = of_import;
    else if (route->handler == inv_api_adapter_get)
        names = of_export;
    else if (route->handler == inv_api_calibration)
        names = calibration;
    else if (route->handler == inv_api_backfill)
        names = backfill;
    return inv_request_query_allow(request, names, err);
}

/* Compares without telling by its time where the two differ. */
static bool same_key(const char *given, const char *key) {
    size_t len = strlen(key);
    size_t given_len = strlen(given);
    unsigned char differ = given_len != len;
    for (size_t i = 0; i < len; i++)
        differ |= (unsigned char)(key[i] ^ (i < given_len ? given[i] : 0));
    return differ == 0;
}

static enum inv_status check_key(const struct inv_app *app,
                                 const struct inv_route *route,
                                 const struct inv_request *request,
                                 struct inv_err *err) {
    static const char bearer[] = "Bearer ";
    const char *given = request->api_key;
    if (app->config.key == NULL || route->role == INV_ROLE_NONE)
        return INV_OK;
    if (request->authorization != NULL &&
        strncasecmp(request->authorization, bearer, sizeof bearer - 1) == 0)
        given = request->authorization + sizeof bearer - 1;
    if (given == NULL)
        return inv_fail(err, INV_UNAUTHORIZED,
                        "a key is needed: Authorization: Bearer KEY, or "
                        "X-API-Key: KEY");
    if (!same_key(given, app->config.key))
        return inv_fail(err, INV_UNAUTHORIZED, "the key is not the right one");
    return INV_OK;
}

void inv_app_handle(void *ctx, struct inv_request *request,
                    struct inv_response *response) {
    struct inv_app *app = ctx;
    struct inv_err err = {0};
    struct inv_route_match match = {0};
    char allow[INV_ROUTE_ALLOW_MAX] = "";
    uint64_t began = inv_now_ns();
    enum inv_status status =
        inv_router_match(&router, request, &match, allow, &err);
    if (status == INV_OK)
        status = check_key(app, match.route, request, &err);
    if (status == INV_OK)
        status = check_arguments(match.route, request, &err);
    if (status == INV_OK)
        status = match.route->handler(app, request, response, &err);
    if (status == INV_OK && response->body.failed)
        status = inv_fail(&err, INV_MEMORY, "out of memory for the answer");
    if (status != INV_OK) {
        err.status = status;
        inv_problem_write(&err, request->request_id, response);
    }
    if (allow[0] != '\0')
        inv_response_header(response, "Allow", "%s", allow);
    if (status == INV_UNAUTHORIZED)
        inv_response_header(response, "WWW-Authenticate", "Bearer");
    inv_metrics_request(match.route == NULL ? "none" : match.route->name,
                        response->status, (double)(inv_now_ns() - began) / 1e9);
}

struct inv_route_limits inv_app_limits(void *ctx, enum inv_method method,
                                       const char *path) {
    struct inv_app *app = ctx;
    return inv_router_limits(&router, method, path, app->config.max_body);
}

void inv_app_problem(void *ctx, const struct inv_err *err,
                     const char *request_id, struct inv_response *response) {
    (void)ctx;
    inv_problem_write(err, request_id, response);
}

/* ---- what handlers share ---- */

enum inv_status inv_api_collection(struct inv_app *app,
                                   const struct inv_request *request,
                                   size_t part, struct inv_collection **out,
                                   struct inv_err *err) {
    return inv_app_find_ready(app, request->parts[part], out, err);
}

enum inv_status inv_api_media(const struct inv_request *request,
                              const char *wanted, struct inv_err *err) {
    if (request->content_type == NULL || request->content_type[0] == '\0' ||
        strcmp(request->content_type, wanted) == 0)
        return INV_OK;
    return inv_fail(err, INV_MEDIA_TYPE,
                    "the body is %.80s, this route takes %s",
                    request->content_type, wanted);
}

enum inv_status inv_api_json(struct inv_app *app,
                             const struct inv_request *request, bool query,
                             struct inv_json_doc *out,
                             struct inv_json_limits *limits,
                             struct inv_err *err) {
    *out = (struct inv_json_doc){0};
    *limits = (struct inv_json_limits){.max_dim = INV_DIM_MAX,
                                       .max_rows =
                                           query ? app->config.max_query_tokens
                                                 : app->config.max_doc_tokens};
    enum inv_status status = inv_api_media(request, "application/json", err);
    if (status != INV_OK)
        return status;
    if (request->body_len == 0)
        return inv_json_parse(out, request->arena, "{}", 2, limits, err);
    return inv_json_parse(out, request->arena, request->body, request->body_len,
                          limits, err);
}

enum inv_status inv_api_no_fields(struct inv_app *app,
                                  const struct inv_request *request,
                                  struct inv_err *err) {
    static const char *const no_keys[] = {NULL};
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    enum inv_status status =
        inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_json_body(doc.root, no_keys, err);
    inv_json_close(&doc);
    return status;
}
