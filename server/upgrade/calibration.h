/*
 * calibration.h: which stored documents to embed with a new model first, so
 * that an adapter can be fitted: a uniform sample, or one that covers the space
 * (leverage, encoders/adapters/sampling.h), of those that have no vector in it
 * yet. The same for the same seed and documents. Any thread.
 */
#ifndef INV_SERVER_UPGRADE_CALIBRATION_H
#define INV_SERVER_UPGRADE_CALIBRATION_H

#include "server/app.h"

#define INV_CALIBRATION_DEFAULT 500
#define INV_CALIBRATION_MAX 10000
/* Rows that leverage is given (it looks at 16,384 of them, or twice as many as
 * are wanted), more than INV_CALIBRATION_MAX: of more documents a uniform
 * sample. At 384 dimensions 50 MB, and the matrix is a request's own. */
#define INV_CALIBRATION_ROWS ((size_t)32768)

struct inv_calibration {
    const char *model;
    size_t count;
    bool leverage;
    uint64_t seed;
};

/* Writes {"model","method","documents":[{"id","seq"}]}, in order of the ids'
 * documents. INV_SPACE_MISMATCH for an unknown model, INV_INVALID for the
 * gallery's and for leverage of multi-vectors. */
enum inv_status inv_calibration_write(struct inv_collection *collection,
                                      const struct inv_calibration *request,
                                      struct inv_buf *out,
                                      struct inv_err *err) INV_MUST_USE;

/* {"id":..,"seq":..} of a document as a client sends it back; false when it is
 * gone. Shared with backfill.c; the object is left open. */
struct inv_upgrade_document;
enum inv_status inv_calibration_put(const struct inv_view *view,
                                    struct inv_db *db,
                                    const struct inv_upgrade_document *document,
                                    struct inv_buf *out, bool *found,
                                    struct inv_err *err) INV_MUST_USE;

#endif
