/*
 * source_matrix.c: .npy files as a source of an import: frames of
 * application/x-invar, the vectors exactly as they lie in the file. Ids and
 * payloads come from files read alongside. See source.h.
 */
#include "base/limits.h"
#include "cli/source.h"
#include "server/json/json.h"

#include <inttypes.h>
#include <string.h>

/* A line that must be there: one a document. */
static enum inv_status next_line(const struct inv_source *source,
                                 struct inv_lines *lines, char **line,
                                 size_t *len, struct inv_err *err) {
    enum inv_status status = inv_lines_next(lines, line, len, err);
    if (status == INV_OK && *line == NULL)
        return inv_fail(err, INV_INVALID,
                        "%s has %" PRIu64 " lines, but there are %zu documents",
                        inv_lines_path(lines), inv_lines_number(lines),
                        source->vectors.count);
    return status;
}

static enum inv_status at_line(const struct inv_lines *lines,
                               const struct inv_err *why, struct inv_err *err) {
    return inv_fail(err, why->status, "%s, line %" PRIu64 ": %s",
                    inv_lines_path(lines), inv_lines_number(lines), why->text);
}

static enum inv_status read_id(struct inv_source *source, struct inv_err *err) {
    char *line;
    size_t len;
    struct inv_err why = {.text = ""};
    inv_buf_reset(&source->id);
    inv_buf_reset(&source->payload);
    if (source->ids == NULL) {
        inv_buf_printf(&source->id, "%" PRIu64, source->position);
        return INV_OK;
    }
    enum inv_status status = next_line(source, source->ids, &line, &len, err);
    if (status != INV_OK)
        return status;
    if (line[0] != '{') {
        inv_buf_append(&source->id, line, len);
    } else {
        status = inv_beir_document_read(line, len, source->part,
                                        &source->scratch, &why);
        if (status != INV_OK)
            return at_line(source->ids, &why, err);
        inv_buf_append(&source->id, source->scratch.id.data,
                       source->scratch.id.len);
        if (source->payload_from_ids && source->scratch.payload.len > 0)
            inv_buf_append(&source->payload, source->scratch.payload.data,
                           source->scratch.payload.len);
    }
    if (source->id.len >= 1 && source->id.len <= INV_ID_MAX)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s, line %" PRIu64 ": an id has 1 to %d bytes, this one "
                    "%zu",
                    inv_lines_path(source->ids), inv_lines_number(source->ids),
                    INV_ID_MAX, source->id.len);
}

static enum inv_status read_payload(struct inv_source *source,
                                    struct inv_err *err) {
    char *line;
    size_t len;
    if (source->payloads == NULL)
        return INV_OK;
    enum inv_status status =
        next_line(source, source->payloads, &line, &len, err);
    if (status != INV_OK)
        return status;
    inv_buf_reset(&source->payload);
    inv_buf_append(&source->payload, line, len);
    if (len <= INV_PAYLOAD_MAX)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s, line %" PRIu64 ": a payload may have %zu bytes, this "
                    "one has %zu",
                    inv_lines_path(source->payloads),
                    inv_lines_number(source->payloads), INV_PAYLOAD_MAX, len);
}

static enum inv_status next_matrix(struct inv_source *source,
                                   struct inv_batch *batch,
                                   struct inv_err *err) {
    inv_vectors_put_magic(&batch->body);
    while (source->position < source->vectors.count &&
           batch->body.len < source->batch_bytes &&
           batch->count < INV_BATCH_DOCUMENTS) {
        struct inv_codes codes =
            inv_vectors_at(&source->vectors, (size_t)source->position);
        bool empty = codes.rows == 0;
        bool gap = inv_source_done_before(source, source->position);
        if ((gap || empty) && batch->count > 0)
            break; /* a batch is one run of positions */
        enum inv_status status = read_id(source, err);
        if (status == INV_OK)
            status = read_payload(source, err);
        if (status != INV_OK)
            return status;
        uint64_t position = source->position++;
        if (gap || empty) {
            source->skipped += gap;
            source->local_errors += !gap;
            source->skipped_units++;
            continue;
        }
        if (batch->count == 0)
            batch->from = position;
        inv_vectors_put_frame(
            &batch->body, source->id.data, source->id.len, &codes,
            source->payload.len > 0 ? source->payload.data : NULL,
            source->payload.len);
        batch->count++;
        batch->units++;
    }
    return INV_OK;
}

static const struct inv_source_ops matrix_ops = {"application/x-invar",
                                                 next_matrix};

enum inv_status inv_source_open_matrix(const struct inv_matrix_files *files,
                                       enum inv_payload_part part,
                                       struct inv_source *source,
                                       struct inv_err *err) {
    *source = (struct inv_source){.ops = &matrix_ops,
                                  .batch_bytes = INV_BATCH_BYTES,
                                  .part = part,
                                  .payload_from_ids = files->payload_from_ids};
    enum inv_status status = inv_vectors_open(
        files->npy, files->offsets, files->scales, &source->vectors, err);
    if (status == INV_OK && files->ids != NULL)
        status = inv_lines_open(files->ids, &source->ids, err);
    if (status == INV_OK && files->payloads != NULL)
        status = inv_lines_open(files->payloads, &source->payloads, err);
    if (status != INV_OK) {
        inv_source_close(source);
        return status;
    }
    source->total_units = source->vectors.count;
    return INV_OK;
}
