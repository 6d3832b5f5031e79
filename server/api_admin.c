/*
 * api_admin.c: jobs: asking for them, following them, stopping them.
 */
#include "server/api.h"

#include "server/jobs.h"
#include "server/work.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_api_add_job(struct inv_app *app,
                                struct inv_collection *collection,
                                const char *kind, const char *body,
                                const struct inv_request *request,
                                struct inv_response *response,
                                struct inv_err *err) {
    int64_t id = 0;
    enum inv_status status =
        inv_jobs_add(app->jobs, kind, collection, body,
                     request->idempotency_key, &id, &response->body, err);
    if (status != INV_OK)
        return status;
    response->status = 202;
    inv_response_header(response, "Location", "/v1/jobs/%" PRId64, id);
    return INV_OK;
}

/* With the body as it was sent. */
static enum inv_status
add_job(struct inv_app *app, struct inv_collection *collection,
        const char *kind, const struct inv_request *request,
        struct inv_response *response, struct inv_err *err) {
    const char *body = "{}";
    if (request->body_len > 0)
        body =
            inv_arena_strndup(request->arena, request->body, request->body_len);
    if (body == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a job");
    return inv_api_add_job(app, collection, kind, body, request, response, err);
}

INV_HANDLER(inv_api_rebuild) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 3, &c, err);
    if (status == INV_OK)
        status = inv_api_media(request, "application/json", err);
    if (status == INV_OK)
        status =
            inv_work_check_rebuild(c, request->body, request->body_len, err);
    if (status == INV_OK)
        status = add_job(app, c, "rebuild", request, response, err);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_compact) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 3, &c, err);
    if (status == INV_OK)
        status = inv_api_no_fields(app, request, err);
    if (status == INV_OK)
        status = add_job(app, c, "compact", request, response, err);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_job_list) {
    (void)request;
    (void)err;
    inv_jobs_list(app->jobs, &response->body);
    return INV_OK;
}

static enum inv_status job_id(const struct inv_request *request, int64_t *id,
                              struct inv_err *err) {
    char *end;
    *id = strtoll(request->parts[2], &end, 10);
    if (*end == '\0' && *id > 0)
        return INV_OK;
    return inv_fail(err, INV_NOT_FOUND, "there is no job \"%.64s\"",
                    request->parts[2]);
}

INV_HANDLER(inv_api_job_get) {
    int64_t id = 0;
    enum inv_status status = job_id(request, &id, err);
    return status == INV_OK ? inv_jobs_show(app->jobs, id, &response->body, err)
                            : status;
}

INV_HANDLER(inv_api_job_delete) {
    int64_t id = 0;
    enum inv_status status = job_id(request, &id, err);
    if (status == INV_OK)
        status = inv_jobs_cancel(app->jobs, id, &response->body, err);
    if (status == INV_OK)
        response->status = 202;
    return status;
}
