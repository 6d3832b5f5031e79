/*
 * swap_show.c: where an upgrade stands, as JSON: GET .../migration.
 */
#include "server/upgrade/swap.h"

#include "server/upgrade/registry.h"
#include "server/upgrade/swap_undo.h"

#include <inttypes.h>
#include <string.h>

#define JOURNAL_SHOWN 50

struct showing {
    const struct inv_models *models;
    struct inv_buf *out;
    size_t count;
};

static const char *space_name(const struct inv_models *models, int64_t space) {
    const struct inv_space *known = inv_models_space(models, space);
    return known == NULL ? "" : known->name;
}

static const char *adapter_name(const struct inv_models *models, int64_t id) {
    const struct inv_stored_adapter *known = inv_models_adapter_of(models, id);
    return known == NULL ? "" : known->name;
}

static void put_string(struct inv_buf *out, const char *text) {
    if (text[0] == '\0')
        inv_buf_puts(out, "null");
    else
        inv_json_put_string(out, text, strlen(text));
}

static void put_place(const struct showing *showing, const char *key,
                      const struct inv_upgrade_row *row) {
    inv_buf_printf(showing->out, ",\"%s\":{\"state\":\"%s\",\"model\":", key,
                   row->state[0] == '\0' ? "NONE" : row->state);
    put_string(showing->out, space_name(showing->models, row->target));
    inv_buf_puts(showing->out, ",\"adapter\":");
    put_string(showing->out, adapter_name(showing->models, row->adapter));
    inv_buf_putc(showing->out, '}');
}

static enum inv_status show_step(void *ctx, const struct inv_journal_row *row,
                                 struct inv_err *err) {
    struct showing *showing = ctx;
    (void)err;
    inv_buf_printf(
        showing->out,
        "%s{\"id\":%" PRId64 ",\"at_ms\":%" PRId64 ",\"action\":\"%s\"",
        showing->count++ == 0 ? "" : ",", row->id, row->at_ms, row->action);
    put_place(showing, "from", &row->before);
    put_place(showing, "to", &row->after);
    inv_buf_printf(showing->out,
                   ",\"forced\":%s,\"note\":", row->forced ? "true" : "false");
    inv_json_put_string(showing->out, row->note, strlen(row->note));
    inv_buf_putc(showing->out, '}');
    return INV_OK;
}

/* After a cutover the target is the gallery's, and all of it is covered. */
static void put_coverage(const struct inv_models *models,
                         const struct inv_view *view, struct inv_buf *out) {
    struct inv_model_counts counts = inv_model_count(view, models->target);
    inv_buf_printf(out,
                   ",\"documents\":%zu,\"covered\":%zu,\"coverage\":%.4f,"
                   "\"alone\":%zu",
                   inv_view_live(view), counts.covered, counts.coverage,
                   counts.alone);
}

enum inv_status inv_upgrade_show(struct inv_collection *collection,
                                 struct inv_db *db, struct inv_buf *out,
                                 struct inv_err *err) {
    struct inv_view *view = NULL;
    enum inv_status status = inv_collection_moment(collection, db, &view, err);
    if (status != INV_OK) {
        inv_ref_put(view);
        return status;
    }
    const struct inv_models *m = inv_view_models(view);
    const struct inv_stored_adapter *adapter =
        inv_models_adapter_of(m, m->adapter);
    const struct inv_space *old = NULL;
    struct inv_err why_not;
    struct inv_undo undo;
    status = inv_upgrade_find_undo(collection, db, m, &undo, err);
    if (status != INV_OK) {
        inv_ref_put(view);
        return status;
    }
    bool back =
        inv_upgrade_check_undo(collection, m, &undo, &old, &why_not) == INV_OK;
    struct showing showing = {.models = m, .out = out};
    inv_buf_printf(
        out, "{\"state\":\"%s\",\"model\":", inv_upgrade_state_name(m->state));
    put_string(out, space_name(m, m->target));
    inv_buf_puts(out, ",\"adapter\":");
    put_string(out, adapter == NULL ? "" : adapter->name);
    inv_buf_puts(out, ",\"query_model\":");
    put_string(out, space_name(m, m->asks));
    inv_buf_puts(out, ",\"gallery_model\":");
    put_string(out, m->spaces[0].name);
    put_coverage(m, view, out);
    if (adapter != NULL && adapter->break_even <= 1)
        inv_buf_printf(out, ",\"break_even\":%.4f", adapter->break_even);
    else
        inv_buf_puts(out, ",\"break_even\":null");
    inv_buf_printf(out, ",\"degraded\":%s,\"can_roll_back\":%s,\"journal\":[",
                   adapter != NULL && adapter->degraded ? "true" : "false",
                   back ? "true" : "false");
    status = inv_db_journal(db, collection->id, 0, JOURNAL_SHOWN, show_step,
                            &showing, err);
    inv_buf_puts(out, "]}");
    inv_ref_put(view);
    return status;
}
