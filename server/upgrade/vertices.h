/*
 * vertices.h: which class is which vertex, in a collection whose gallery is in
 * the d-Simplex. A vertex is given once and for ever: vectors in the gallery
 * were brought to it.
 */
#ifndef INV_SERVER_UPGRADE_VERTICES_H
#define INV_SERVER_UPGRADE_VERTICES_H

#include "base/arena.h"
#include "server/app.h"
#include "server/upgrade/intern.h"

/* The classes so far; a label's number is its vertex. Texts go into the arena,
 * which must outlive the table. *table is to be released, also after a
 * failure. Any thread. */
enum inv_status inv_vertices_read(struct inv_db *db, int64_t collection,
                                  struct inv_arena *arena,
                                  struct inv_intern *table,
                                  struct inv_err *err) INV_MUST_USE;

/* Writer thread, before the first change of an operation: gives the labels of
 * queries that are new the next vertices. INV_CONFLICT with both numbers, and
 * nothing changed, when there are more classes than the `classes` of the
 * simplex. */
enum inv_status inv_vertices_add(struct inv_collection *collection,
                                 struct inv_db *db, size_t classes,
                                 const struct inv_query_row *queries,
                                 size_t count,
                                 struct inv_err *err) INV_MUST_USE;

#endif
