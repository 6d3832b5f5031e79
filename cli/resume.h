/*
 * resume.h: which documents of an import have been acknowledged, so that an
 * interrupted import continues. A text file that only grows:
 *
 *     invar import 1 <identity>\n      what is imported into what
 *     <from> <count>\n                 positions that were acknowledged
 *
 * A line that was cut off is ignored: at worst a batch is sent twice, which
 * changes nothing (an upsert). One writer at a time.
 */
#ifndef INV_CLI_RESUME_H
#define INV_CLI_RESUME_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct inv_span {
    uint64_t from, count;
};

struct inv_resume {
    char *path;
    int fd;
    struct inv_span *spans; /* of earlier runs: ascending, apart */
    size_t span_count;
};

#define INV_RESUME_INIT                                                        \
    { .fd = -1 }

/* $XDG_STATE_HOME/invar/<hash of the identity>.import, or the same below
 * ~/.local/state. INV_NOT_FOUND when there is no home. */
enum inv_status inv_resume_path(const char *identity, struct inv_buf *out,
                                struct inv_err *err) INV_MUST_USE;

/* Reads what an earlier run left and opens the file for more (made, with its
 * folders). Of another identity, or `restart`: begins anew. */
enum inv_status inv_resume_open(const char *path, const char *identity,
                                bool restart, struct inv_resume *resume,
                                struct inv_err *err) INV_MUST_USE;
void inv_resume_close(struct inv_resume *resume); /* closed: does nothing */

/* Was this position acknowledged in an earlier run? */
bool inv_resume_has(const struct inv_resume *resume, uint64_t position);
uint64_t inv_resume_total(const struct inv_resume *resume); /* positions */

enum inv_status inv_resume_add(struct inv_resume *resume, uint64_t from,
                               uint64_t count,
                               struct inv_err *err) INV_MUST_USE;
/* All is done: closes and removes the file. */
void inv_resume_finish(struct inv_resume *resume);

#endif
