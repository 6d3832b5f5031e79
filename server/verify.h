/*
 * verify.h: is everything in a data directory as it should be? Offline, and
 * changing nothing: `invar verify DIR`.
 */
#ifndef INV_SERVER_VERIFY_H
#define INV_SERVER_VERIFY_H

#include "base/buf.h"

#include <stdbool.h>

/* Reads the whole catalog, every vector that it names (checksum, id, number,
 * space, rows) and every file of every segment. Appends lines to `report`:
 * counts of each collection, "problem: ..." for what is damaged or missing,
 * "note: ..." for what is left over and goes at the next start. quiet: problems
 * only. *clean: no problem was found.
 *
 * INV_OK when it could be done, whatever was found. INV_NOT_FOUND when the
 * directory holds no catalog, INV_CONFLICT (naming the process) while a daemon
 * uses it; INV_UNSUPPORTED, INV_IO, INV_MEMORY. Any thread. */
enum inv_status inv_verify_data(const char *dir, bool quiet,
                                struct inv_buf *report, bool *clean,
                                struct inv_err *err) INV_MUST_USE;

#endif
