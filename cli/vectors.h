/*
 * vectors.h: the vectors of many documents or queries in .npy files:
 *   n x dim                         one vector each
 *   rows x dim + offsets (n + 1)    item i has rows offsets[i]..offsets[i+1]
 *   n x tokens x dim                the same number of vectors each
 * float16 and float32 as they are; int8 needs a float16 scale a row. Immutable
 * once open: any thread.
 */
#ifndef INV_CLI_VECTORS_H
#define INV_CLI_VECTORS_H

#include "base/buf.h"
#include "base/npy.h"
#include "base/status.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

struct inv_vectors {
    struct inv_npy data, offsets, scales; /* closed where not given */
    enum inv_dtype dtype;
    size_t count; /* documents or queries */
    size_t rows;  /* of all */
    size_t dim;
    size_t rows_each; /* when there are no offsets */
};

/* offsets and scales may be NULL. INV_INVALID with both numbers when shapes do
 * not fit each other, offsets do not ascend from 0 to the number of rows. */
enum inv_status inv_vectors_open(const char *data, const char *offsets,
                                 const char *scales,
                                 struct inv_vectors *vectors,
                                 struct inv_err *err) INV_MUST_USE;
void inv_vectors_close(struct inv_vectors *vectors);

/* Item i < count; rows may be 0. Points into the files. */
struct inv_codes inv_vectors_at(const struct inv_vectors *vectors, size_t i);

/* ---- how vectors travel ---- */

/* Opens a stream of frames (application/x-invar; see server/requests.h). */
void inv_vectors_put_magic(struct inv_buf *out);
/* One document. id_len 1..INV_ID_MAX; payload: JSON text or NULL. */
void inv_vectors_put_frame(struct inv_buf *out, const char *id, size_t id_len,
                           const struct inv_codes *codes, const char *payload,
                           size_t payload_len);
/* A JSON value: numbers, or {"b64","dtype","shape"(,"scale")} as stored.
 * plural: [[..]] and [rows, dim], else [..] and [dim] of the first row. */
void inv_vectors_put_json(struct inv_buf *out, const struct inv_codes *codes,
                          bool plural, bool binary);

#endif
