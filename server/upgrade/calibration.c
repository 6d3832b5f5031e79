/*
 * calibration.c: see calibration.h. A worker's request; reads one moment.
 */
#include "server/upgrade/calibration.h"

#include "encoders/adapters/sampling.h"
#include "server/upgrade/documents.h"
#include "server/upgrade/models.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_calibration_put(const struct inv_view *view,
                                    struct inv_db *db,
                                    const struct inv_upgrade_document *document,
                                    struct inv_buf *out, bool *found,
                                    struct inv_err *err) {
    struct inv_document_row row;
    const struct inv_entry *entry =
        inv_upgrade_entry(view, document->part, document->entry);
    enum inv_status status = inv_db_find_doc(
        db, document->doc, inv_part_space(&view->parts[document->part]), &row,
        err);
    *found = status == INV_OK && row.doc != 0;
    if (!*found)
        return status;
    inv_buf_puts(out, "{\"id\":");
    inv_json_put_string(out, entry->id, entry->id_len);
    inv_buf_printf(out, ",\"seq\":%" PRIu64, inv_document_seq(&row));
    return INV_OK;
}

/* ---- choosing ---- */

struct choosing {
    const struct inv_calibration *request;
    const struct inv_view *view;
    const struct inv_settings *settings;      /* of the gallery's space */
    const struct inv_upgrade_document **open; /* without a new vector */
    size_t open_count;
    uint32_t *chosen; /* of open */
    size_t count;
};

/* Of a gallery too large for a request: rows of a uniform sample. */
static enum inv_status choose_by_leverage(struct choosing *c,
                                          struct inv_err *err) {
    size_t rows = c->open_count < INV_CALIBRATION_ROWS ? c->open_count
                                                       : INV_CALIBRATION_ROWS;
    size_t dim = c->settings->dim;
    float *matrix = malloc((rows * dim + 1) * sizeof *matrix);
    uint32_t *sample = malloc((rows + 1) * sizeof *sample);
    enum inv_status status = INV_OK;
    if (matrix == NULL || sample == NULL)
        status = inv_fail(err, INV_MEMORY,
                          "out of memory for %zu vectors of %zu dimensions",
                          rows, dim);
    else
        inv_sample_uniform(c->open_count, rows, c->request->seed, sample);
    for (size_t i = 0; status == INV_OK && i < rows; i++)
        status = inv_upgrade_vector(
            c->view, c->open[sample[i]]->part, c->open[sample[i]]->entry, dim,
            c->settings->metric == INV_COSINE, matrix + i * dim, err);
    if (status == INV_OK)
        status = inv_sample_leverage(matrix, rows, dim, c->count,
                                     c->request->seed, c->chosen, err);
    for (size_t i = 0; status == INV_OK && i < c->count; i++)
        c->chosen[i] = sample[c->chosen[i]];
    free(matrix);
    free(sample);
    return status;
}

static enum inv_status choose(struct choosing *c,
                              const struct inv_upgrade_documents *documents,
                              struct inv_err *err) {
    c->open = malloc((documents->count + 1) * sizeof *c->open);
    if (c->open == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        documents->count);
    for (size_t i = 0; i < documents->count; i++)
        if (!documents->items[i].both)
            c->open[c->open_count++] = &documents->items[i];
    c->count =
        c->open_count < c->request->count ? c->open_count : c->request->count;
    c->chosen = malloc((c->count + 1) * sizeof *c->chosen);
    if (c->chosen == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        c->count);
    if (c->count == 0)
        return INV_OK;
    if (c->request->leverage && c->count < c->open_count)
        return choose_by_leverage(c, err);
    inv_sample_uniform(c->open_count, c->count, c->request->seed, c->chosen);
    return INV_OK;
}

/* ---- the answer ---- */

static enum inv_status write_chosen(const struct choosing *c,
                                    const struct inv_space *space,
                                    struct inv_db *db, struct inv_buf *out,
                                    struct inv_err *err) {
    const char *comma = "";
    enum inv_status status = INV_OK;
    inv_buf_puts(out, "{\"model\":");
    inv_json_put_string(out, space->name, strlen(space->name));
    inv_buf_printf(out, ",\"method\":\"%s\",\"documents\":[",
                   c->request->leverage ? "leverage" : "uniform");
    for (size_t i = 0; status == INV_OK && i < c->count; i++) {
        struct inv_buf one = INV_BUF_INIT;
        bool found = false;
        status = inv_calibration_put(c->view, db, c->open[c->chosen[i]], &one,
                                     &found, err);
        if (found) {
            inv_buf_puts(out, comma);
            inv_buf_append(out, one.data, one.len);
            inv_buf_putc(out, '}');
            comma = ",";
        }
        out->failed = out->failed || one.failed;
        inv_buf_release(&one);
    }
    inv_buf_puts(out, "]}");
    return status;
}

static enum inv_status find_model(const struct inv_models *models,
                                  const struct inv_calibration *request,
                                  const struct inv_space **space,
                                  struct inv_err *err) {
    enum inv_status status =
        inv_models_find(models, request->model, space, err);
    if (status != INV_OK)
        return status;
    if (*space == &models->spaces[0])
        return inv_fail(err, INV_INVALID,
                        "%s is the gallery's model: every document has its "
                        "vector",
                        (*space)->name);
    if (request->leverage && models->settings->settings.multi)
        return inv_fail(err, INV_INVALID,
                        "leverage is for single vectors, the collection's "
                        "kind is multi: method=uniform");
    return INV_OK;
}

enum inv_status inv_calibration_write(struct inv_collection *collection,
                                      const struct inv_calibration *request,
                                      struct inv_buf *out,
                                      struct inv_err *err) {
    struct inv_view *view = NULL;
    struct inv_db *db = NULL;
    const struct inv_space *space = NULL;
    struct inv_upgrade_documents documents = {.count = 0};
    struct choosing c = {.request = request};
    enum inv_status status =
        inv_catalog_borrow(collection->app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_collection_moment(collection, db, &view, err);
    if (status == INV_OK)
        status = find_model(inv_view_models(view), request, &space, err);
    if (status == INV_OK)
        status = inv_upgrade_documents_list(view, inv_view_gallery(view),
                                            space->space, &documents, err);
    if (status == INV_OK) {
        c.view = view;
        c.settings = &inv_view_models(view)->settings->settings;
        status = choose(&c, &documents, err);
    }
    if (status == INV_OK)
        status = write_chosen(&c, space, db, out, err);
    free(c.open);
    free(c.chosen);
    inv_upgrade_documents_release(&documents);
    if (db != NULL)
        inv_catalog_return(collection->app->catalog, db);
    inv_ref_put(view);
    return status;
}
