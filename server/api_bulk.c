/*
 * api_bulk.c: documents as a stream: NDJSON (one document a line) or frames
 * (application/x-invar, see requests.h). Per item, not all or nothing: what
 * fits is committed about every thousand documents, what does not is listed in
 * the answer, with the place in the stream. Runs on a bulk thread and reads
 * the body while it arrives, so its size does not matter.
 */
#include "server/api.h"

#include "server/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)256 << 10)
#define ERROR_BYTES ((size_t)512)
#define BATCH_BYTES ((size_t)64 << 20) /* of arena before a commit */

struct bulk {
    struct inv_app *app;
    struct inv_collection *collection;
    struct inv_request *request;
    struct inv_json_limits limits;
    struct inv_arena arena; /* of the batch */
    struct inv_ingest ingest;
    bool open;                 /* ingest is in use */
    struct inv_json_doc *docs; /* of the batch's lines: payloads live in them */
    size_t doc_count;
    struct inv_buf in;  /* what has arrived and is not yet used */
    size_t used;        /* of in */
    size_t items, line; /* so far; blank lines are lines, not items */
    size_t upserted, created, failed, listed;
    struct inv_buf errors;
    bool ended, frames;
};

static enum inv_status open_batch(struct bulk *bulk, struct inv_err *err) {
    if (bulk->open)
        return INV_OK;
    inv_arena_init(&bulk->arena, INV_REQUEST_ARENA_MAX);
    bulk->docs =
        inv_arena_calloc(&bulk->arena, INV_BULK_COMMIT, sizeof *bulk->docs);
    bulk->doc_count = 0;
    bulk->open = true;
    if (bulk->docs == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a batch");
    enum inv_status status =
        inv_ingest_init(&bulk->ingest, bulk->collection, INV_PUT_UPSERT,
                        INV_BULK_COMMIT, &bulk->arena, err);
    bulk->ingest.model = inv_request_query(bulk->request, "model");
    return status;
}

static void close_batch(struct bulk *bulk) {
    if (!bulk->open)
        return;
    inv_ingest_release(&bulk->ingest);
    for (size_t i = 0; i < bulk->doc_count; i++)
        inv_json_close(&bulk->docs[i]);
    inv_arena_release(&bulk->arena);
    bulk->open = false;
}

static enum inv_status commit_batch(struct bulk *bulk, struct inv_err *err) {
    if (!bulk->open)
        return INV_OK;
    size_t count = bulk->ingest.count;
    enum inv_status status = inv_ingest_commit(&bulk->ingest, err);
    if (status == INV_OK) {
        bulk->upserted += count;
        bulk->created += bulk->ingest.created;
        inv_metrics_documents(count);
    }
    close_batch(bulk);
    return status;
}

static void note_error(struct bulk *bulk, const struct inv_err *err) {
    bulk->failed++;
    if (bulk->listed == INV_BULK_ERRORS)
        return;
    struct inv_buf *out = &bulk->errors;
    inv_buf_printf(out, "%s{\"item\":%zu,", bulk->listed == 0 ? "" : ",",
                   bulk->items);
    if (!bulk->frames)
        inv_buf_printf(out, "\"line\":%zu,", bulk->line);
    inv_buf_printf(
        out, "\"code\":\"%s\",\"pointer\":", inv_status_code(err->status));
    inv_json_put_string(out, err->pointer, strlen(err->pointer));
    inv_buf_puts(out, ",\"detail\":");
    inv_json_put_string(out, err->text, strlen(err->text));
    inv_buf_putc(out, '}');
    bulk->listed++;
}

/* Errors of one item are noted; those of the machine end the request. */
static bool ends_request(enum inv_status status) {
    return inv_status_http(status) >= 500;
}

/* ---- one item ---- */

static enum inv_status take_line(struct bulk *bulk, const char *line,
                                 size_t len, struct inv_err *err) {
    struct inv_json_doc *doc = &bulk->docs[bulk->doc_count];
    struct inv_document_in document;
    *doc = (struct inv_json_doc){0};
    enum inv_status status =
        inv_json_parse(doc, &bulk->arena, line, len, &bulk->limits, err);
    if (status == INV_OK)
        bulk->doc_count++;
    if (status == INV_OK)
        status = inv_parse_document(doc, doc->root, "", &bulk->limits,
                                    &document, err);
    if (status == INV_OK)
        status = inv_ingest_add(&bulk->ingest, &document, "", err);
    return status;
}

static enum inv_status take_frame(struct bulk *bulk, const char *bytes,
                                  size_t len, struct inv_err *err) {
    struct inv_json_doc *doc = &bulk->docs[bulk->doc_count];
    struct inv_frame frame;
    *doc = (struct inv_json_doc){0};
    /* What is parsed points into the bytes: they must outlive the batch. */
    char *copy = inv_arena_alloc(&bulk->arena, len);
    if (copy == NULL || bytes == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a frame");
    memcpy(copy, bytes, len);
    enum inv_status status =
        inv_frame_parse(copy, len, &bulk->arena, &frame, err);
    if (status == INV_OK && frame.payload != NULL) {
        status = inv_json_parse_plain(frame.payload, frame.payload_len,
                                      &doc->root, err);
        bulk->doc_count += status == INV_OK;
        if (status == INV_OK && inv_json_kind(doc->root) != INV_JSON_OBJECT)
            status = inv_fail(err, INV_INVALID, "a payload is an object");
    }
    if (status != INV_OK)
        return status;
    bool multi = bulk->ingest.models->settings->settings.multi;
    struct inv_document_in document = {.id = frame.id,
                                       .id_len = frame.id_len,
                                       .given = frame.given,
                                       .payload = doc->root};
    document.given.plural = multi;
    if (!multi && frame.given.matrix.rows != 1)
        return inv_fail(err, INV_INVALID,
                        "a single collection takes 1 vector a document, got "
                        "%zu",
                        frame.given.matrix.rows);
    return inv_ingest_add(&bulk->ingest, &document, "", err);
}

static enum inv_status take_item(struct bulk *bulk, const char *bytes,
                                 size_t len, struct inv_err *err) {
    struct inv_err why = {0};
    enum inv_status status = open_batch(bulk, err);
    if (status != INV_OK)
        return status;
    status = bulk->frames ? take_frame(bulk, bytes, len, &why)
                          : take_line(bulk, bytes, len, &why);
    if (status != INV_OK && ends_request(status)) {
        *err = why;
        return status;
    }
    if (status != INV_OK) {
        why.status = status;
        note_error(bulk, &why);
    }
    bulk->items++;
    bool full = bulk->ingest.count == INV_BULK_COMMIT ||
                bulk->doc_count == INV_BULK_COMMIT ||
                bulk->arena.used > BATCH_BYTES;
    return full ? commit_batch(bulk, err) : INV_OK;
}

/* ---- the stream ---- */

/* Reads more. INV_CANCELLED when the client left. */
static enum inv_status fill(struct bulk *bulk, struct inv_err *err) {
    struct inv_buf *in = &bulk->in;
    if (bulk->used > 0 && in->data != NULL) {
        memmove(in->data, in->data + bulk->used, in->len - bulk->used);
        in->len -= bulk->used;
        bulk->used = 0;
    }
    if (!inv_buf_reserve(in, READ_BYTES))
        return inv_fail(err, INV_MEMORY, "out of memory for %zu bytes",
                        in->len);
    ptrdiff_t n =
        inv_body_read(bulk->request->stream, in->data + in->len, READ_BYTES);
    if (n < 0)
        return inv_fail(err, INV_CANCELLED, "the client left");
    bulk->ended = n == 0;
    in->len += (size_t)n;
    return INV_OK;
}

static bool is_blank(const char *text, size_t len) {
    size_t i = 0;
    while (text != NULL && i < len &&
           (text[i] == ' ' || text[i] == '\t' || text[i] == '\r'))
        i++;
    return text == NULL || i == len;
}

static enum inv_status read_lines(struct bulk *bulk, struct inv_err *err) {
    struct inv_buf *in = &bulk->in;
    size_t max = bulk->app->config.max_body;
    size_t searched = 0;
    for (;;) {
        char *from = in->data == NULL ? NULL : in->data + bulk->used;
        size_t left = in->len - bulk->used;
        char *end = from == NULL || left <= searched
                        ? NULL
                        : memchr(from + searched, '\n', left - searched);
        size_t len = end == NULL ? left : (size_t)(end - from);
        if (len > max)
            return inv_fail(err, INV_TOO_LARGE,
                            "line %zu has %zu bytes or more, at most %zu are "
                            "taken",
                            bulk->line + 1, len, max);
        if (end == NULL && !bulk->ended) {
            searched = left;
            enum inv_status status = fill(bulk, err);
            if (status != INV_OK)
                return status;
            continue;
        }
        bulk->line++;
        size_t skip = len + (end != NULL);
        enum inv_status status =
            is_blank(from, len) ? INV_OK : take_item(bulk, from, len, err);
        if (status != INV_OK)
            return status;
        bulk->used += skip;
        searched = 0;
        if (end == NULL)
            return INV_OK;
    }
}

static enum inv_status truncated(const struct bulk *bulk, size_t need,
                                 size_t have, struct inv_err *err) {
    return inv_fail(err, INV_INVALID,
                    "the stream ends within item %zu: %zu bytes needed, %zu "
                    "there",
                    bulk->items + 1, need, have);
}

/* Makes sure that `need` bytes are there. */
static enum inv_status want_bytes(struct bulk *bulk, size_t need,
                                  struct inv_err *err) {
    enum inv_status status = INV_OK;
    while (status == INV_OK && bulk->in.len - bulk->used < need) {
        if (bulk->ended)
            return truncated(bulk, need, bulk->in.len - bulk->used, err);
        status = fill(bulk, err);
    }
    return status;
}

static enum inv_status read_frames(struct bulk *bulk, struct inv_err *err) {
    struct inv_buf *in = &bulk->in;
    enum inv_status status = want_bytes(bulk, INV_FRAME_MAGIC_BYTES, err);
    if (status == INV_OK)
        status = inv_frame_magic(in->data, err);
    bulk->used = INV_FRAME_MAGIC_BYTES;
    while (status == INV_OK) {
        size_t left = in->len - bulk->used;
        size_t need = 1;
        if (left == 0 && bulk->ended)
            break;
        if (left > 0)
            status = inv_frame_need(in->data + bulk->used, left, &bulk->limits,
                                    &need, err);
        if (status == INV_OK && left < need) {
            /* at the very end of the body there is nothing more to want */
            status = left == 0 ? fill(bulk, err) : want_bytes(bulk, need, err);
        } else if (status == INV_OK) {
            status = take_item(bulk, in->data + bulk->used, need, err);
            bulk->used += need;
        }
    }
    return status;
}

static enum inv_status check_media(struct bulk *bulk, struct inv_err *err) {
    const char *type = bulk->request->content_type;
    bulk->frames = type != NULL && strcmp(type, "application/x-invar") == 0;
    if (bulk->frames || type == NULL || type[0] == '\0' ||
        strcmp(type, "application/x-ndjson") == 0 ||
        strcmp(type, "application/jsonl") == 0)
        return INV_OK;
    return inv_fail(err, INV_MEDIA_TYPE,
                    "the body is %.80s, bulk takes application/x-ndjson or "
                    "application/x-invar",
                    type);
}

/* ?model= for all items that name none: frames cannot. */
static enum inv_status check_model(const struct bulk *bulk,
                                   struct inv_err *err) {
    const char *model = inv_request_query(bulk->request, "model");
    const struct inv_space *space;
    if (model == NULL)
        return INV_OK;
    struct inv_view *view = inv_gallery_view(bulk->collection->gallery);
    enum inv_status status =
        inv_models_find(inv_view_models(view), model, &space, err);
    inv_ref_put(view);
    return status;
}

static void put_counts(const struct bulk *bulk, struct inv_buf *out) {
    inv_buf_printf(out,
                   "{\"items\":%zu,\"upserted\":%zu,\"created\":%zu,"
                   "\"failed\":%zu,\"errors\":[%s]}",
                   bulk->items, bulk->upserted, bulk->created, bulk->failed,
                   bulk->errors.data == NULL ? "" : bulk->errors.data);
}

INV_HANDLER(inv_api_documents_bulk) {
    struct bulk bulk = {.app = app, .request = request};
    bulk.limits = (struct inv_json_limits){
        .max_dim = INV_DIM_MAX, .max_rows = app->config.max_doc_tokens};
    enum inv_status status = check_media(&bulk, err);
    if (status == INV_OK)
        status = inv_api_collection(app, request, 2, &bulk.collection, err);
    if (status == INV_OK)
        status = check_model(&bulk, err);
    if (status == INV_OK)
        status = bulk.frames ? read_frames(&bulk, err) : read_lines(&bulk, err);
    /* What arrived whole before an error in the stream is kept, and said; who
     * has left hears nothing, so nothing more is written either. */
    struct inv_err later = {0};
    enum inv_status last =
        status == INV_CANCELLED ? INV_OK : commit_batch(&bulk, &later);
    if (status == INV_OK && last != INV_OK) {
        *err = later;
        status = last;
    }
    if (status == INV_OK) {
        put_counts(&bulk, &response->body);
    } else if (bulk.collection != NULL) {
        char text[sizeof err->text];
        memcpy(text, err->text, sizeof text);
        snprintf(err->text, sizeof err->text,
                 "%.200s (%zu documents before it are stored)", text,
                 bulk.upserted);
    }
    close_batch(&bulk);
    inv_buf_release(&bulk.in);
    inv_buf_release(&bulk.errors);
    inv_ref_put(bulk.collection);
    return status;
}
