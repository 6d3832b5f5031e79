/*
 * backfill.h: which documents to embed next with the new model: those that
 * searches find often and that the bridge serves worst. Order: (1 + accesses) x
 * predicted residual, where the residual |y - B x|^2 of a document without a
 * new vector is predicted from its old vector by a ridge model of its logarithm
 * (encoders/adapters/residual.h), learned from the documents that have both.
 * Any thread.
 *
 * The predictions of a collection are kept for INV_BACKFILL_KEEP_NS, and while
 * its documents stay the same ten times as long (new pairs teach more); what
 * was posted meanwhile is left out all the same, what came newly into the
 * gallery waits. 198,000 documents of 128 dimensions, 2,000 pairs: an answer
 * that predicts takes .19 s, the next ones .02 to .04 s, on a busy core.
 */
#ifndef INV_SERVER_UPGRADE_BACKFILL_H
#define INV_SERVER_UPGRADE_BACKFILL_H

#include "server/app.h"

#define INV_BACKFILL_KEEP_NS INT64_C(5000000000)
#define INV_BACKFILL_DEFAULT 1000
#define INV_BACKFILL_MAX 10000
/* Pairs the residual is learned from, at most (evenly over the documents), and
 * at least: with fewer there is no prediction, and accesses decide alone. */
#define INV_BACKFILL_PAIRS_MAX 20000
#define INV_BACKFILL_PAIRS_MIN 20

struct inv_backfill;                         /* a member of the collection */
struct inv_backfill *inv_backfill_new(void); /* NULL: out of memory */
void inv_backfill_free(struct inv_backfill *backfill);

/* Writes {"model","remaining","documents":[{"id","seq","accesses","residual"}]}
 * best first, equal ones by id. residual is null where none is predicted: no
 * adapter from the model to the gallery's, too few pairs, or multi-vectors.
 * model NULL: that of the upgrade, INV_CONFLICT when there is none.
 * INV_SPACE_MISMATCH for an unknown one, INV_INVALID for the gallery's. */
enum inv_status inv_backfill_write(struct inv_collection *collection,
                                   const char *model, size_t limit,
                                   struct inv_buf *out,
                                   struct inv_err *err) INV_MUST_USE;

#endif
