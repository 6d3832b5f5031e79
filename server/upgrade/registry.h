/*
 * registry.h: registering, listing and forgetting the models of a collection.
 * Each has a space of its own with settings of its own: kind, metric, dtype,
 * payload fields and params are the collection's.
 *
 * Any thread but the writer's, unless it says otherwise.
 */
#ifndef INV_SERVER_UPGRADE_REGISTRY_H
#define INV_SERVER_UPGRADE_REGISTRY_H

#include "server/upgrade/change.h"

/* Registers `name` ("name@revision"). What the request leaves out is derived
 * from the collection's settings: the encoder's type with the dims that fit,
 * and the same seed; the index. *created: false when the model is there and
 * nothing in the request says otherwise.
 *
 * INV_INVALID: a name without a revision, another kind, settings that do not
 * fit. INV_DIMENSION: not the dimension of a built-in model. INV_CONFLICT: the
 * model is there with other settings, or there are INV_SPACES_MAX. */
enum inv_status inv_model_put(struct inv_collection *collection,
                              const char *name,
                              const struct inv_model_in *wanted, bool *created,
                              struct inv_err *err) INV_MUST_USE;

/* Forgets the model with its queries and adapters. INV_NOT_FOUND;
 * INV_CONFLICT for the gallery's model, the upgrade's target, a model that a
 * rollback would come back to, and while documents have vectors in it (with
 * their number). */
enum inv_status inv_model_delete(struct inv_collection *collection,
                                 const char *name,
                                 struct inv_err *err) INV_MUST_USE;

/* {"model","dim",...,"vectors","alone","coverage"}; view and db: of the
 * collection, best of the same moment. */
enum inv_status inv_model_write(const struct inv_view *view, struct inv_db *db,
                                const struct inv_space *space,
                                struct inv_buf *out,
                                struct inv_err *err) INV_MUST_USE;

/* By its whole name: INV_NOT_FOUND naming those that are known. */
enum inv_status inv_model_named(const struct inv_models *models,
                                const char *name, const struct inv_space **out,
                                struct inv_err *err) INV_MUST_USE;

/* Writer thread: is the space still there? INV_SPACE_MISMATCH when the model
 * was deleted since the request had looked it up. Changes nothing. */
enum inv_status inv_model_check(const struct inv_collection *collection,
                                struct inv_db *db,
                                const struct inv_space *space,
                                struct inv_err *err) INV_MUST_USE;

/* Documents and a model's vectors of them. */
struct inv_model_counts {
    size_t documents; /* of the gallery's model */
    size_t covered;   /* of these, with a vector in the space */
    size_t vectors;   /* documents with a vector in the space */
    size_t alone;     /* of these, without one in the gallery's space */
    double coverage;  /* covered / documents, 0 where there are none */
};
/* inv_view_coverage, which may walk the gallery's entries, and its share. */
struct inv_model_counts inv_model_count(const struct inv_view *view,
                                        int64_t space);

#endif
