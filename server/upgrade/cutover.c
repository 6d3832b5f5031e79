/*
 * cutover.c: see cutover.h. Builder thread.
 */
#include "server/upgrade/cutover.h"

#include "server/upgrade/swap.h"

#include <string.h>

struct cutover {
    const struct inv_space *target; /* of the picture it was read with */
    bool force;
};

static enum inv_status parse(const struct inv_models *models, const char *text,
                             size_t len, struct cutover *out,
                             struct inv_err *err) {
    static const char *const keys[] = {"model", "mode", "adapter", "force",
                                       NULL};
    inv_json *json = NULL;
    const char *model = NULL;
    size_t model_len = 0;
    *out = (struct cutover){.target = NULL};
    enum inv_status status = inv_json_parse_plain(text, len, &json, err);
    if (status == INV_OK)
        status = inv_json_body(json, keys, err);
    if (status == INV_OK)
        status =
            inv_json_get_string(json, "", "model", 2 * INV_MODEL_NAME_MAX + 1,
                                &model, &model_len, err);
    if (status == INV_OK)
        status = inv_json_get_bool(json, "", "force", &out->force, err);
    if (status == INV_OK && model == NULL)
        status = inv_json_point(
            err, inv_fail(err, INV_INVALID, "\"model\" is missing"), "",
            "model");
    if (status == INV_OK) {
        status = inv_models_find(models, model, &out->target, err);
        if (status != INV_OK)
            (void)inv_json_point(err, status, "", "model");
    }
    inv_json_free(json);
    return status;
}

enum inv_status inv_work_cutover(const struct inv_work *work,
                                 const char *request, struct inv_buf *result,
                                 struct inv_err *err) {
    struct inv_collection *c = work->collection;
    struct cutover cutover = {.target = NULL};
    struct inv_view *view = inv_gallery_view(c->gallery);
    enum inv_status status =
        parse(inv_view_models(view), request, strlen(request), &cutover, err);
    /* A restart between the step and the end of the job: it is done. */
    bool done = status == INV_OK &&
                cutover.target->space == inv_view_gallery(view) &&
                inv_view_models(view)->state == INV_UPGRADE_CUTOVER;
    if (status == INV_OK && !done)
        status = inv_upgrade_check_cutover(view, cutover.target->space,
                                           cutover.force, err);
    if (status == INV_OK)
        status = inv_work_seal(work, cutover.target->space, true, err);
    if (status == INV_OK && work->progress(work->ctx, "cutover", 0, 1))
        status = inv_fail(err, INV_CANCELLED, "cancelled");
    if (status == INV_OK && !done)
        status =
            inv_upgrade_cutover(c, cutover.target->space, cutover.force, err);
    if (status == INV_OK) {
        inv_buf_puts(result, "{\"model\":");
        inv_json_put_string(result, cutover.target->name,
                            strlen(cutover.target->name));
        inv_buf_printf(result, ",\"documents\":%zu}",
                       inv_view_coverage(view, cutover.target->space).gallery);
    }
    inv_ref_put(view);
    return status;
}
