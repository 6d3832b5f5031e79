/*
 * vectors.h: vectors of stored documents in another model than the one they
 * came in, and queries in a model: what upgrades are fitted on, and what a
 * cascade ranks by. Checked and encoded on the request's thread, then one
 * operation of the writer.
 */
#ifndef INV_SERVER_UPGRADE_VECTORS_H
#define INV_SERVER_UPGRADE_VECTORS_H

#include "server/upgrade/models.h"

/* Vectors prepared for one collection and model. */
struct inv_besides {
    struct inv_collection *collection;
    struct inv_view *view;
    const struct inv_space *space; /* of the view's models */
    struct inv_arena *arena;
    struct inv_beside *items;
    size_t count, cap;
    size_t stored, unchanged; /* out; the others have a result that says why */
};

/* cap: how many at most. Memory from the arena. INV_SPACE_MISMATCH for a model
 * that is not known. Release it also after a failure. */
enum inv_status inv_besides_init(struct inv_besides *besides,
                                 struct inv_collection *collection,
                                 const char *model, size_t cap,
                                 struct inv_arena *arena,
                                 struct inv_err *err) INV_MUST_USE;
void inv_besides_release(struct inv_besides *besides);

/* Checks and encodes one; `at` is the pointer prefix of an error. What it
 * points to must stay valid until the commit. */
enum inv_status inv_besides_add(struct inv_besides *besides,
                                const struct inv_document_in *vector,
                                const char *at,
                                struct inv_err *err) INV_MUST_USE;

/* Stores those that fit their documents; the others change nothing. When not
 * one does for the same reason, that is the error: INV_NOT_FOUND (no such
 * documents) or INV_CONFLICT (stale, with both numbers). */
enum inv_status inv_besides_commit(struct inv_besides *besides,
                                   struct inv_err *err) INV_MUST_USE;

/* {"stored","unchanged","errors":[{"id","code","detail"}],"coverage"} */
void inv_besides_write(const struct inv_besides *besides, struct inv_buf *out);

/* Keeps queries of a model, all or none; those with the same id are replaced.
 * INV_SPACE_MISMATCH for a model that is not known, also that of "old". */
enum inv_status inv_model_add_queries(struct inv_collection *collection,
                                      const char *model,
                                      const struct inv_queries_in *queries,
                                      struct inv_arena *arena,
                                      struct inv_err *err) INV_MUST_USE;
/* *count: how many there were. */
enum inv_status inv_model_forget_queries(struct inv_collection *collection,
                                         const char *model, uint64_t *count,
                                         struct inv_err *err) INV_MUST_USE;

#endif
