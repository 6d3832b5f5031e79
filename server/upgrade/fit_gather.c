/*
 * fit_gather.c: the documents of a fit, out of a view: the old vectors of the
 * gallery, the new ones of those that have them, their labels. Single vectors
 * are copied as floats, tokens are read where the log has them. Builder thread.
 */
#include "server/upgrade/fit.h"

#include "server/upgrade/documents.h"
#include "server/upgrade/intern.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP 4096 /* documents between two looks at a cancel */

void *inv_fit_input_alloc(struct inv_fit_input *input, size_t bytes) {
    size_t most = sizeof input->owned / sizeof *input->owned;
    void *memory = input->owned_count < most ? malloc(bytes + 1) : NULL;
    if (memory != NULL)
        input->owned[input->owned_count++] = memory;
    return memory;
}

void inv_fit_input_release(struct inv_fit_input *input) {
    for (size_t i = 0; i < input->owned_count; i++)
        free(input->owned[i]);
    if (input->documents != NULL)
        inv_upgrade_documents_release(input->documents);
    free(input->documents);
    inv_arena_release(&input->arena);
    inv_ref_put(input->view);
    *input = (struct inv_fit_input){.view = NULL};
}

/* The two matrices, as much again for what fits and judgements make of them
 * (contrastive copies its rows, a judgement keeps lists of 200 for up to 1,000
 * queries), and the moments of both directions. */
static enum inv_status check_memory(const struct inv_fit_request *request,
                                    const struct inv_upgrade_documents *d,
                                    struct inv_err *err) {
    double old_dim = (double)request->to->settings->settings.dim;
    double new_dim = (double)request->from->settings->settings.dim;
    double rows =
        (double)d->count * old_dim * 4 + (double)d->both * new_dim * 4;
    double square = (old_dim + new_dim) * (old_dim + new_dim) * 8;
    double need = 2 * rows + 6 * square;
    double have =
        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (request->to->settings->settings.multi)
        need = 6 * square; /* tokens stay in the log; samples are bounded */
    if (need <= have * .9)
        return INV_OK;
    return inv_fail(err, INV_MEMORY,
                    "fitting over %zu documents, %zu with both vectors, needs "
                    "about %.0f MB, this machine has %.0f MB",
                    d->count, d->both, need / 1048576, have / 1048576);
}

static bool told_to_stop(const struct inv_work *work, size_t i, size_t count) {
    return i % STEP == 0 && work->progress(work->ctx, "gather", i, count);
}

static enum inv_status no_memory(size_t count, struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory for %zu documents", count);
}

static enum inv_status gather_rows(const struct inv_work *work,
                                   struct inv_fit_input *in,
                                   struct inv_err *err) {
    const struct inv_upgrade_documents *d = in->documents;
    struct inv_fit_data *data = &in->data;
    float *old =
        inv_fit_input_alloc(in, d->count * data->old_dim * sizeof *old);
    float *new =
        inv_fit_input_alloc(in, d->count * data->new_dim * sizeof *new);
    bool *has_new = inv_fit_input_alloc(in, d->count * sizeof *has_new);
    enum inv_status status = INV_OK;
    if (old == NULL || new == NULL || has_new == NULL)
        return no_memory(d->count, err);
    for (size_t i = 0; status == INV_OK && i < d->count; i++) {
        const struct inv_upgrade_document *item = &d->items[i];
        if (told_to_stop(work, i, d->count))
            return inv_fail(err, INV_CANCELLED, "cancelled");
        status =
            inv_upgrade_vector(in->view, item->part, item->entry, data->old_dim,
                               data->cosine, old + i * data->old_dim, err);
        has_new[i] = item->both;
        if (status == INV_OK && item->both)
            status = inv_upgrade_vector(
                in->view, item->other_part, item->other_entry, data->new_dim,
                data->cosine, new + i * data->new_dim, err);
    }
    data->old_documents = old;
    data->new_documents = new;
    data->has_new = has_new;
    return status;
}

/* Adapters act on tokens, so both models must have split a text alike. */
static enum inv_status check_tokens(const struct inv_fit_input *in,
                                    const struct inv_upgrade_document *item,
                                    const struct inv_codes *old,
                                    const struct inv_codes *new,
                                    struct inv_err *err) {
    const struct inv_entry *entry =
        inv_upgrade_entry(in->view, item->part, item->entry);
    if (old->rows == new->rows)
        return INV_OK;
    return inv_fail(err, INV_CONFLICT,
                    "document \"%.*s\" has %zu tokens in the new model and "
                    "%zu in the old one: adapters of tokens need the same "
                    "tokens in both",
                    entry->id_len < 128 ? (int)entry->id_len : 128, entry->id,
                    new->rows, old->rows);
}

static enum inv_status gather_tokens(const struct inv_work *work,
                                     struct inv_fit_input *in,
                                     struct inv_err *err) {
    const struct inv_upgrade_documents *d = in->documents;
    struct inv_codes *old = inv_fit_input_alloc(in, d->count * sizeof *old);
    struct inv_codes *new = inv_fit_input_alloc(in, d->count * sizeof *new);
    bool *has_new = inv_fit_input_alloc(in, d->count * sizeof *has_new);
    enum inv_status status = INV_OK;
    if (old == NULL || new == NULL || has_new == NULL)
        return no_memory(d->count, err);
    for (size_t i = 0; status == INV_OK && i < d->count; i++) {
        const struct inv_upgrade_document *item = &d->items[i];
        if (told_to_stop(work, i, d->count))
            return inv_fail(err, INV_CANCELLED, "cancelled");
        status =
            inv_upgrade_codes(in->view, item->part, item->entry, &old[i], err);
        new[i] = (struct inv_codes){.rows = 0};
        has_new[i] = item->both;
        if (status == INV_OK && item->both)
            status = inv_upgrade_codes(in->view, item->other_part,
                                       item->other_entry, &new[i], err);
        if (status == INV_OK && item->both)
            status = check_tokens(in, item, &old[i], &new[i], err);
    }
    in->data.old_tokens = old;
    in->data.new_tokens = new;
    in->data.has_new = has_new;
    return status;
}

/* ---- labels ---- */

struct labels {
    struct inv_fit_input *input;
    struct inv_schema *schema; /* the one field */
    struct inv_intern classes;
    uint32_t *numbers; /* per document */
    size_t next;       /* document that the scan of the catalog has come to */
};

/* A label's text: what is not a string is written as JSON has it, so that
 * 3 and "3" are one class. */
static size_t label_text(const struct inv_value *value, char *out, size_t size,
                         const char **text) {
    struct inv_buf buf = INV_BUF_INIT;
    *text = out;
    switch (value->kind) {
    case INV_VALUE_STRING:
        *text = value->as.string.text;
        return value->as.string.len;
    case INV_VALUE_INT:
        inv_buf_printf(&buf, "%lld", (long long)value->as.integer);
        break;
    case INV_VALUE_BOOL:
        inv_buf_puts(&buf, value->as.boolean ? "true" : "false");
        break;
    default:
        inv_json_put_double(&buf, value->as.number);
    }
    size_t len = buf.len < size ? buf.len : size;
    if (len > 0)
        memcpy(out, buf.data, len);
    inv_buf_release(&buf);
    return len;
}

static enum inv_status number_of(struct labels *labels,
                                 const struct inv_value *value,
                                 uint32_t *number, struct inv_err *err) {
    char room[64];
    const char *text;
    size_t len = label_text(value, room, sizeof room, &text);
    return inv_intern_keep(&labels->classes, &labels->input->arena, text, len,
                           number, err);
}

/* Both lists ascend by doc; the catalog has a row for every space. */
static enum inv_status take_label(void *ctx, const struct inv_document_row *row,
                                  struct inv_err *err) {
    struct labels *labels = ctx;
    const struct inv_upgrade_documents *d = labels->input->documents;
    while (labels->next < d->count && d->items[labels->next].doc < row->doc)
        labels->next++;
    size_t at = labels->next;
    if (at == d->count || d->items[at].doc != row->doc ||
        labels->numbers[at] != INV_FIT_NO_LABEL || row->payload == NULL)
        return INV_OK;
    struct inv_row *values = NULL;
    inv_json *json = NULL;
    enum inv_status status =
        inv_json_parse_plain(row->payload, row->payload_len, &json, err);
    if (status == INV_OK)
        status =
            inv_json_row(json, "", labels->schema->fields, 1, &values, err);
    inv_json_free(json);
    if (status == INV_OK && values != NULL && values->count > 0)
        status = number_of(labels, &values->items[0].value,
                           &labels->numbers[at], err);
    free(values);
    return status;
}

static enum inv_status gather_labels(struct inv_collection *c,
                                     const struct inv_fit_request *request,
                                     struct inv_db *db,
                                     struct inv_fit_input *in,
                                     struct inv_err *err) {
    size_t count = in->documents->count;
    struct inv_field field = {request->label_field, INV_FIELD_ANY};
    struct labels labels = {
        .input = in,
        .schema = inv_schema_new(&field, 1),
        .numbers = inv_fit_input_alloc(in, count * sizeof *labels.numbers)};
    enum inv_status status = INV_OK;
    if (labels.schema == NULL || labels.numbers == NULL)
        status = no_memory(count, err);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        labels.numbers[i] = INV_FIT_NO_LABEL;
    if (status == INV_OK)
        status = inv_db_documents(db, c->id, true, take_label, &labels, err);
    if (status == INV_OK && labels.classes.count == 0)
        status = inv_fail(err, INV_CONFLICT,
                          "none of the %zu documents has a label in \"%s\"",
                          count, request->label_field);
    for (size_t i = 0; status == INV_OK && i < count; i++)
        in->unlabelled += labels.numbers[i] == INV_FIT_NO_LABEL;
    in->data.labels = labels.numbers;
    in->data.classes = labels.classes.count;
    inv_intern_release(&labels.classes);
    inv_ref_put(labels.schema);
    return status;
}

/* ---- all of it ---- */

enum inv_status inv_fit_gather(const struct inv_work *work,
                               const struct inv_fit_request *request,
                               struct inv_view *view, struct inv_db *db,
                               struct inv_fit_input *out, struct inv_err *err) {
    const struct inv_settings *old = &request->to->settings->settings;
    const struct inv_settings *new = &request->from->settings->settings;
    *out =
        (struct inv_fit_input){.view = inv_ref_get(view),
                               .data = {.multi = old->multi,
                                        .cosine = old->metric == INV_COSINE,
                                        .old_dim = old->dim,
                                        .new_dim = new->dim},
                               .documents = calloc(1, sizeof *out->documents)};
    inv_arena_init(&out->arena, INV_REQUEST_ARENA_MAX);
    if (out->documents == NULL)
        return no_memory(1, err);
    if (work->progress(work->ctx, "gather", 0, 1))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    enum inv_status status = inv_upgrade_documents_list(
        view, request->to->space, request->from->space, out->documents, err);
    if (status == INV_OK)
        status = check_memory(request, out->documents, err);
    out->data.documents = out->documents->count;
    if (status == INV_OK)
        status = old->multi ? gather_tokens(work, out, err)
                            : gather_rows(work, out, err);
    if (status == INV_OK && request->label_field[0] != '\0')
        status = gather_labels(work->collection, request, db, out, err);
    if (status == INV_OK)
        status = inv_fit_gather_queries(work, request, db, out, err);
    return status;
}
