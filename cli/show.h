/*
 * show.h: the daemon's JSON for people. Main thread.
 */
#ifndef INV_CLI_SHOW_H
#define INV_CLI_SHOW_H

#include "base/buf.h"
#include "server/json/json.h"

/* One line a field, nested objects indented; "bytes" fields in units; arrays
 * of plain values on one line, long ones as their length. */
void inv_show_object(const inv_json *object, size_t indent,
                     struct inv_buf *out);

/* GET /v1/collections as a table. */
void inv_show_collections(const inv_json *answer, struct inv_buf *out);

/* GET /v1/collections/{c}: counts, bytes, settings, segments. */
void inv_show_collection(const inv_json *collection, struct inv_buf *out);

/* A list of objects as a table of these columns ('>' before a name: flush
 * right; fields that are not there are empty). */
void inv_show_list(const inv_json *list, size_t count,
                   const char *const *columns, size_t column_count,
                   struct inv_buf *out);

#endif
