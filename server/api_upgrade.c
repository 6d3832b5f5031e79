/*
 * api_upgrade.c: the steps of a model upgrade over HTTP: activate, roll back,
 * drop what is left, and where it stands.
 */
#include "server/api.h"

#include "server/upgrade/swap.h"

#include <string.h>

/* What GET migration shows, into the answer. */
static enum inv_status show(struct inv_app *app, struct inv_collection *c,
                            struct inv_response *response,
                            struct inv_err *err) {
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_upgrade_show(c, db, &response->body, err);
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    return status;
}

INV_HANDLER(inv_api_migration) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = show(app, c, response, err);
    inv_ref_put(c);
    return status;
}

/* ---- activate ---- */

/* The job keeps the model's whole name, however it was written. */
static enum inv_status cut_over(struct inv_app *app, struct inv_collection *c,
                                const struct inv_request *request,
                                const struct inv_activate_in *wanted,
                                struct inv_response *response,
                                struct inv_err *err) {
    struct inv_buf body = INV_BUF_INIT;
    const struct inv_space *space = NULL;
    struct inv_view *view = inv_gallery_view(c->gallery);
    enum inv_status status =
        inv_models_find(inv_view_models(view), wanted->model, &space, err);
    if (status == INV_OK)
        status = /* what the job would find out later */
            inv_upgrade_check_cutover(view, space->space, wanted->force, err);
    if (status == INV_OK) {
        inv_buf_puts(&body, "{\"model\":");
        inv_json_put_string(&body, space->name, strlen(space->name));
        inv_buf_printf(&body, ",\"mode\":\"cutover\",\"force\":%s}",
                       wanted->force ? "true" : "false");
        if (body.failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for a job");
    }
    if (status == INV_OK)
        status = inv_api_add_job(app, c, "cutover", body.data, request,
                                 response, err);
    inv_buf_release(&body);
    inv_ref_put(view);
    return status;
}

INV_HANDLER(inv_api_activate) {
    static const enum inv_upgrade_state states[] = {
        [INV_SWAP_SHADOW] = INV_UPGRADE_SHADOW,
        [INV_SWAP_BRIDGE] = INV_UPGRADE_BRIDGED,
        [INV_SWAP_CASCADE] = INV_UPGRADE_CASCADE};
    struct inv_collection *c = NULL;
    struct inv_json_doc doc = {0};
    struct inv_json_limits limits;
    struct inv_activate_in wanted = {0};
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_json(app, request, false, &doc, &limits, err);
    if (status == INV_OK)
        status = inv_parse_activate(&doc, &wanted, err);
    if (status == INV_OK && wanted.mode == INV_SWAP_CUTOVER) {
        status = cut_over(app, c, request, &wanted, response, err);
    } else if (status == INV_OK) {
        struct inv_activation activation = {.model = wanted.model,
                                            .adapter = wanted.adapter,
                                            .state = states[wanted.mode],
                                            .force = wanted.force};
        status = inv_upgrade_activate(c, &activation, err);
        if (status == INV_OK)
            status = show(app, c, response, err);
    }
    inv_json_close(&doc);
    inv_ref_put(c);
    return status;
}

/* ---- back, and away ---- */

INV_HANDLER(inv_api_rollback) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_api_no_fields(app, request, err);
    if (status == INV_OK)
        status = inv_upgrade_rollback(c, err);
    if (status == INV_OK)
        status = show(app, c, response, err);
    inv_ref_put(c);
    return status;
}

INV_HANDLER(inv_api_model_vectors_delete) {
    struct inv_collection *c = NULL;
    enum inv_status status = inv_api_collection(app, request, 2, &c, err);
    if (status == INV_OK)
        status = inv_upgrade_drop(c, request->parts[4], err);
    if (status == INV_OK) {
        struct inv_view *view = inv_gallery_view(c->gallery);
        inv_buf_printf(&response->body, "{\"dropped\":true,\"state\":\"%s\"}",
                       inv_upgrade_state_name(inv_view_models(view)->state));
        inv_ref_put(view);
    }
    inv_ref_put(c);
    return status;
}
