/*
 * fit_queries.c: the queries of a fit, out of the catalog: vectors in the new
 * model, in the old one where they have them, and the documents that answer
 * them as rows of the gallery. Builder thread.
 */
#include "server/upgrade/fit.h"

#include "base/kernels.h"
#include "server/upgrade/documents.h"
#include "server/upgrade/intern.h"

#include <stdlib.h>
#include <string.h>

/* Everything grows as rows come; buffers remember that they failed. */
struct gathering {
    const struct inv_work *work;
    const struct inv_fit_request *request;
    struct inv_fit_input *in;
    struct inv_intern ids, slices;
    struct inv_buf new_rows, old_rows;     /* floats */
    struct inv_buf new_counts, old_counts; /* size_t tokens of each query */
    struct inv_buf has_old, use;           /* bool, uint8_t */
    struct inv_buf slice, relevant;        /* uint32_t */
    struct inv_buf starts;                 /* size_t */
    size_t count;
    bool any_old, any_relevant, any_slice;
};

/* ids of documents become rows; ones that are not there are counted. */
static enum inv_status take_relevant(struct gathering *g, const char *text,
                                     struct inv_err *err) {
    inv_json *json = NULL;
    enum inv_status status =
        inv_json_parse_plain(text, strlen(text), &json, err);
    if (status != INV_OK)
        return status;
    size_t begin = g->relevant.len;
    for (size_t i = 0; i < inv_json_size(json); i++) {
        size_t len = 0;
        const char *id = inv_json_string(inv_json_at(json, i), &len);
        uint32_t row = inv_intern_find(&g->ids, id, len);
        bool known = row != INV_INTERN_NONE;
        for (size_t at = begin; known && at < g->relevant.len; at += sizeof row)
            if (memcmp(g->relevant.data + at, &row, sizeof row) == 0)
                known = false; /* named twice: once is enough */
        if (known)
            inv_buf_append(&g->relevant, &row, sizeof row);
        g->in->unknown += row == INV_INTERN_NONE;
    }
    g->any_relevant = g->any_relevant || g->relevant.len > begin;
    inv_json_free(json);
    return INV_OK;
}

static enum inv_status take_slice(struct gathering *g, const char *label,
                                  struct inv_err *err) {
    const char *text = label == NULL ? "" : label;
    uint32_t number = 0;
    enum inv_status status = inv_intern_keep(&g->slices, &g->in->arena, text,
                                             strlen(text), &number, err);
    inv_buf_append(&g->slice, &number, sizeof number);
    g->any_slice = g->any_slice || label != NULL;
    return status;
}

/* rows x dim floats as they were posted, each of norm 1 where cosine is the
 * metric. INV_CORRUPT when the bytes are not that many. */
static enum inv_status take_vector(struct gathering *g, struct inv_buf *out,
                                   const void *bytes, size_t len, size_t rows,
                                   size_t dim, struct inv_err *err) {
    if (len != rows * dim * sizeof(float) || (!g->in->data.multi && rows != 1))
        return inv_fail(err, INV_CORRUPT,
                        "a stored query has %zu bytes for %zu vectors of %zu "
                        "dimensions",
                        len, rows, dim);
    size_t at = out->len;
    inv_buf_append(out, bytes, len);
    for (size_t i = 0; i < rows && g->in->data.cosine && !out->failed; i++)
        inv_normalize_f32((float *)(void *)(out->data + at) + i * dim, dim);
    return INV_OK;
}

static enum inv_status take_query(void *ctx, const struct inv_query_row *row,
                                  struct inv_err *err) {
    static const float zeros[INV_DIM_MAX];
    struct gathering *g = ctx;
    struct inv_fit_data *data = &g->in->data;
    bool old = row->old_space == g->request->to->space;
    size_t old_rows = old ? row->old_rows : data->multi ? 0 : 1;
    uint8_t use = row->use == INV_QUERY_FITS     ? INV_FIT_USE_FIT_ONLY
                  : row->use == INV_QUERY_JUDGES ? INV_FIT_USE_JUDGE_ONLY
                                                 : INV_FIT_USE_BOTH;
    size_t start = g->relevant.len / sizeof(uint32_t);
    if (g->count % 256 == 0 &&
        g->work->progress(g->work->ctx, "gather", data->documents,
                          data->documents))
        return inv_fail(err, INV_CANCELLED, "cancelled");
    enum inv_status status =
        take_vector(g, &g->new_rows, row->vector, row->vector_len, row->rows,
                    data->new_dim, err);
    if (status == INV_OK)
        status = take_vector(g, &g->old_rows, old ? row->old_vector : zeros,
                             old ? row->old_vector_len
                                 : old_rows * data->old_dim * sizeof(float),
                             old_rows, data->old_dim, err);
    if (status == INV_OK && row->relevant != NULL)
        status = take_relevant(g, row->relevant, err);
    if (status == INV_OK)
        status = take_slice(g, row->label, err);
    if (status != INV_OK)
        return status;
    inv_buf_append(&g->new_counts, &row->rows, sizeof row->rows);
    inv_buf_append(&g->old_counts, &old_rows, sizeof old_rows);
    inv_buf_append(&g->has_old, &old, sizeof old);
    inv_buf_append(&g->use, &use, sizeof use);
    inv_buf_append(&g->starts, &start, sizeof start);
    g->any_old = g->any_old || old;
    g->count++;
    return INV_OK;
}

static enum inv_status number_ids(struct gathering *g, struct inv_err *err) {
    const struct inv_upgrade_documents *d = g->in->documents;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < d->count; i++) {
        uint32_t row = 0;
        const struct inv_entry *entry =
            inv_upgrade_entry(g->in->view, d->items[i].part, d->items[i].entry);
        status = inv_intern_add(&g->ids, entry->id, entry->id_len, &row, err);
    }
    return status;
}

/* The buffer's bytes become the input's. */
static const void *keep(struct gathering *g, struct inv_buf *buf,
                        bool *failed) {
    void *memory = buf->failed ? NULL : inv_fit_input_alloc(g->in, buf->len);
    if (memory == NULL)
        *failed = true;
    else if (buf->len > 0)
        memcpy(memory, buf->data, buf->len);
    inv_buf_release(buf);
    return memory;
}

/* Tokens of each query as codes that point into all of them. */
static const struct inv_codes *as_codes(struct gathering *g, const float *rows,
                                        const size_t *counts, size_t dim,
                                        bool *failed) {
    struct inv_codes *codes =
        inv_fit_input_alloc(g->in, g->count * sizeof *codes);
    if (codes == NULL || rows == NULL || counts == NULL) {
        *failed = true;
        return NULL;
    }
    for (size_t i = 0; i < g->count; i++) {
        codes[i] = (struct inv_codes){
            .data = rows, .dtype = INV_F32, .rows = counts[i], .dim = dim};
        rows += counts[i] * dim;
    }
    return codes;
}

static enum inv_status hand_over(struct gathering *g, struct inv_err *err) {
    struct inv_fit_data *data = &g->in->data;
    bool failed = false;
    size_t end = g->relevant.len / sizeof(uint32_t);
    inv_buf_append(&g->starts, &end, sizeof end);
    const float *new_rows = keep(g, &g->new_rows, &failed);
    const float *old_rows = keep(g, &g->old_rows, &failed);
    const size_t *new_counts = keep(g, &g->new_counts, &failed);
    const size_t *old_counts = keep(g, &g->old_counts, &failed);
    data->has_old = keep(g, &g->has_old, &failed);
    data->use = keep(g, &g->use, &failed);
    const uint32_t *slice = keep(g, &g->slice, &failed);
    const uint32_t *relevant = keep(g, &g->relevant, &failed);
    const size_t *starts = keep(g, &g->starts, &failed);
    data->queries = g->count;
    if (data->multi) {
        data->new_query_tokens =
            as_codes(g, new_rows, new_counts, data->new_dim, &failed);
        if (g->any_old)
            data->old_query_tokens =
                as_codes(g, old_rows, old_counts, data->old_dim, &failed);
    } else {
        data->new_queries = new_rows;
        data->old_queries = g->any_old ? old_rows : NULL;
    }
    if (g->any_slice) {
        data->slice = slice;
        data->slices = g->slices.count;
    }
    if (g->any_relevant) {
        data->relevant = relevant;
        data->relevant_start = starts;
    }
    return failed ? inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                             g->count)
                  : INV_OK;
}

enum inv_status inv_fit_gather_queries(const struct inv_work *work,
                                       const struct inv_fit_request *request,
                                       struct inv_db *db,
                                       struct inv_fit_input *input,
                                       struct inv_err *err) {
    struct gathering g = {.work = work, .request = request, .in = input};
    enum inv_status status = number_ids(&g, err);
    if (status == INV_OK)
        status = inv_db_queries(db, work->collection->id, request->from->space,
                                take_query, &g, err);
    if (status == INV_OK)
        status = hand_over(&g, err);
    struct inv_buf *buffers[] = {&g.new_rows,   &g.old_rows, &g.new_counts,
                                 &g.old_counts, &g.has_old,  &g.use,
                                 &g.slice,      &g.relevant, &g.starts};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        inv_buf_release(buffers[i]);
    inv_intern_release(&g.ids);
    inv_intern_release(&g.slices);
    return status;
}
