/*
 * ids.h: ids of documents or queries and the row each has: read from a file,
 * found by text. One thread to fill; immutable afterwards: any thread.
 */
#ifndef INV_CLI_IDS_H
#define INV_CLI_IDS_H

#include "base/buf.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define INV_NO_ROW SIZE_MAX

struct inv_ids {
    struct inv_buf text; /* each ends with a NUL */
    size_t *starts;      /* in text, by row */
    size_t count, cap;
    uint32_t *slots; /* open addressing: row + 1, 0: free */
    size_t slot_count;
};

#define INV_IDS_INIT                                                           \
    { .text = INV_BUF_INIT }

void inv_ids_release(struct inv_ids *ids);

/* The next row. INV_CONFLICT when the id is there, with both rows; INV_INVALID
 * when it is empty or longer than INV_ID_MAX or holds a NUL. */
enum inv_status inv_ids_add(struct inv_ids *ids, const char *id, size_t len,
                            struct inv_err *err) INV_MUST_USE;

/* A line each: the id itself, or a JSON object with "_id" or "id" (BEIR's
 * corpus.jsonl). Plain or gzip'ed; errors name file and line. */
enum inv_status inv_ids_read(struct inv_ids *ids, const char *path,
                             struct inv_err *err) INV_MUST_USE;

/* "0", "1", ...: what documents are called that were imported without ids. */
enum inv_status inv_ids_number(struct inv_ids *ids, size_t count,
                               struct inv_err *err) INV_MUST_USE;

size_t inv_ids_find(const struct inv_ids *ids, const char *id); /* or NO_ROW */
const char *inv_ids_at(const struct inv_ids *ids, size_t row);

#endif
