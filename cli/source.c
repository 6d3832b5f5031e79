/*
 * source.c: what both kinds of source share, and lines as a source: BEIR
 * documents become {"id","text","payload"}, others are passed on as they are.
 * See source.h.
 */
#include "cli/source.h"

#include "server/json/json.h"

#include <inttypes.h>
#include <string.h>

void inv_source_close(struct inv_source *source) {
    inv_lines_close(source->lines);
    inv_lines_close(source->ids);
    inv_lines_close(source->payloads);
    inv_vectors_close(&source->vectors);
    inv_beir_document_release(&source->scratch);
    inv_buf_release(&source->id);
    inv_buf_release(&source->payload);
    *source = (struct inv_source){.ops = NULL};
}

bool inv_source_done_before(const struct inv_source *source,
                            uint64_t position) {
    return source->resume != NULL && inv_resume_has(source->resume, position);
}

enum inv_status inv_source_next(struct inv_source *source,
                                struct inv_batch *batch, struct inv_err *err) {
    inv_buf_reset(&batch->body);
    batch->count = 0;
    batch->units = 0;
    enum inv_status status = source->ops->next(source, batch, err);
    if (status == INV_OK && batch->body.failed)
        return inv_fail(err, INV_MEMORY, "out of memory for a request");
    return status;
}

/* ---- lines ---- */

/* Our documents have an "id", BEIR's an "_id". */
static enum inv_status look(struct inv_source *source, const char *line,
                            size_t len, struct inv_err *err) {
    inv_json *object = NULL;
    struct inv_err why = {.text = ""};
    if (inv_json_parse_plain(line, len, &object, &why) != INV_OK)
        return inv_fail(err, INV_INVALID, "%s, line %" PRIu64 ": %s",
                        inv_lines_path(source->lines),
                        inv_lines_number(source->lines), why.text);
    source->beir = inv_json_kind(object) == INV_JSON_OBJECT &&
                   inv_json_get(object, "id") == NULL &&
                   inv_json_get(object, "_id") != NULL;
    source->looked = true;
    inv_json_free(object);
    return INV_OK;
}

static enum inv_status put_beir(struct inv_source *source, const char *line,
                                size_t len, struct inv_buf *out,
                                struct inv_err *err) {
    struct inv_beir_document *document = &source->scratch;
    struct inv_err why = {.text = ""};
    enum inv_status status =
        inv_beir_document_read(line, len, source->part, document, &why);
    if (status != INV_OK)
        return inv_fail(err, status, "%s, line %" PRIu64 ": %s",
                        inv_lines_path(source->lines),
                        inv_lines_number(source->lines), why.text);
    inv_buf_puts(out, "{\"id\":");
    inv_json_put_string(out, document->id.data, document->id.len);
    inv_buf_puts(out, ",\"text\":");
    inv_json_put_string(out, document->text.len > 0 ? document->text.data : "",
                        document->text.len);
    if (document->payload.len > 0) {
        inv_buf_puts(out, ",\"payload\":");
        inv_buf_append(out, document->payload.data, document->payload.len);
    }
    inv_buf_puts(out, "}\n");
    return INV_OK;
}

static enum inv_status put_line(struct inv_source *source, const char *line,
                                size_t len, struct inv_buf *out,
                                struct inv_err *err) {
    enum inv_status status = INV_OK;
    if (!source->looked)
        status = look(source, line, len, err);
    if (status != INV_OK)
        return status;
    if (source->beir)
        return put_beir(source, line, len, out, err);
    inv_buf_append(out, line, len);
    inv_buf_putc(out, '\n');
    return INV_OK;
}

/* The bytes of the file that were read since the last call. */
static uint64_t advance(struct inv_source *source) {
    uint64_t offset = inv_lines_offset(source->lines);
    uint64_t gained = offset - source->seen_offset;
    source->seen_offset = offset;
    return gained;
}

static bool is_full(const struct inv_source *source,
                    const struct inv_batch *batch) {
    return batch->body.len >= source->batch_bytes ||
           batch->count >= INV_BATCH_DOCUMENTS;
}

static enum inv_status next_lines(struct inv_source *source,
                                  struct inv_batch *batch,
                                  struct inv_err *err) {
    enum inv_status status = INV_OK;
    while (!is_full(source, batch)) {
        char *line;
        size_t len;
        bool gap = inv_source_done_before(source, source->position);
        if (gap && batch->count > 0)
            break; /* a batch is one run of positions */
        status = inv_lines_next(source->lines, &line, &len, err);
        if (status != INV_OK || line == NULL)
            break;
        if (strspn(line, " \t") == len)
            continue;
        uint64_t position = source->position++;
        if (gap) {
            source->skipped++;
            source->skipped_units += advance(source);
            continue;
        }
        if (batch->count == 0)
            batch->from = position;
        status = put_line(source, line, len, &batch->body, err);
        if (status != INV_OK)
            break;
        batch->count++;
    }
    batch->units = advance(source);
    return status;
}

static const struct inv_source_ops lines_ops = {"application/x-ndjson",
                                                next_lines};

enum inv_status inv_source_open_lines(const char *path,
                                      enum inv_payload_part part,
                                      struct inv_source *source,
                                      struct inv_err *err) {
    *source = (struct inv_source){
        .ops = &lines_ops, .batch_bytes = INV_BATCH_BYTES, .part = part};
    enum inv_status status = inv_lines_open(path, &source->lines, err);
    if (status == INV_OK)
        source->total_units = inv_lines_size(source->lines);
    return status;
}
