/*
 * ids.c: see ids.h. One block of text and a table of 4 bytes a slot, so that a
 * million ids of 20 bytes take 36 MB rather than a million small pieces.
 */
#include "cli/ids.h"

#include "base/limits.h"
#include "cli/beir.h"
#include "cli/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inv_ids_release(struct inv_ids *ids) {
    inv_buf_release(&ids->text);
    free(ids->starts);
    free(ids->slots);
    *ids = (struct inv_ids)INV_IDS_INIT;
}

/* FNV-1a: short keys, no adversary: the file is the user's own. */
static uint64_t hash_of(const char *id) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

const char *inv_ids_at(const struct inv_ids *ids, size_t row) {
    return ids->text.data + ids->starts[row];
}

/* The slot of an id: its own, or the free one where it would go. */
static size_t slot_of(const struct inv_ids *ids, const char *id) {
    size_t at = (size_t)hash_of(id) & (ids->slot_count - 1);
    while (ids->slots[at] != 0 &&
           strcmp(inv_ids_at(ids, ids->slots[at] - 1), id) != 0)
        at = (at + 1) & (ids->slot_count - 1);
    return at;
}

size_t inv_ids_find(const struct inv_ids *ids, const char *id) {
    if (ids->count == 0)
        return INV_NO_ROW;
    uint32_t row = ids->slots[slot_of(ids, id)];
    return row == 0 ? INV_NO_ROW : row - 1;
}

/* Room for one more; the table stays at most half full. */
static bool grow(struct inv_ids *ids) {
    if (ids->count < ids->cap)
        return true;
    size_t cap = ids->cap == 0 ? 1024 : ids->cap * 2;
    size_t *starts = realloc(ids->starts, cap * sizeof *starts);
    if (starts == NULL)
        return false;
    ids->starts = starts;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(ids->slots);
    ids->slots = slots;
    ids->slot_count = cap * 2;
    ids->cap = cap;
    for (size_t i = 0; i < ids->count; i++)
        slots[slot_of(ids, inv_ids_at(ids, i))] = (uint32_t)i + 1;
    return true;
}

enum inv_status inv_ids_add(struct inv_ids *ids, const char *id, size_t len,
                            struct inv_err *err) {
    if (len == 0 || len > INV_ID_MAX)
        return inv_fail(err, INV_INVALID,
                        "an id has 1 to %d bytes, this one %zu", INV_ID_MAX,
                        len);
    if (memchr(id, '\0', len) != NULL)
        return inv_fail(err, INV_INVALID, "an id holds a NUL");
    if (ids->count >= UINT32_MAX - 1 || !grow(ids))
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids",
                        ids->count);
    size_t start = ids->text.len;
    inv_buf_append(&ids->text, id, len);
    inv_buf_append(&ids->text, "", 1);
    if (ids->text.failed)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu ids",
                        ids->count);
    size_t slot = slot_of(ids, ids->text.data + start);
    if (ids->slots[slot] != 0) {
        ids->text.len = start;
        return inv_fail(
            err, INV_CONFLICT, "the id \"%.*s\" of row %zu is that of row %u",
            len > 80 ? 80 : (int)len, id, ids->count, ids->slots[slot] - 1);
    }
    ids->starts[ids->count++] = start;
    ids->slots[slot] = (uint32_t)ids->count;
    return INV_OK;
}

enum inv_status inv_ids_number(struct inv_ids *ids, size_t count,
                               struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < count && status == INV_OK; i++) {
        char text[24];
        int len = snprintf(text, sizeof text, "%zu", i);
        status = inv_ids_add(ids, text, (size_t)len, err);
    }
    return status;
}

/* ---- files ---- */

struct reading {
    struct inv_ids *ids;
    struct inv_beir_document scratch;
};

static enum inv_status add_line(void *ctx, uint64_t number, const char *line,
                                size_t len, struct inv_err *err) {
    struct reading *reading = ctx;
    struct inv_buf *id = &reading->scratch.id;
    (void)number;
    if (line[0] != '{')
        return inv_ids_add(reading->ids, line, len, err);
    enum inv_status status = inv_beir_document_read(line, len, INV_PAYLOAD_NONE,
                                                    &reading->scratch, err);
    return status == INV_OK ? inv_ids_add(reading->ids, id->data, id->len, err)
                            : status;
}

enum inv_status inv_ids_read(struct inv_ids *ids, const char *path,
                             struct inv_err *err) {
    struct reading reading = {ids, INV_BEIR_DOCUMENT_INIT};
    enum inv_status status = inv_lines_each(path, add_line, &reading, err);
    inv_beir_document_release(&reading.scratch);
    return status;
}
