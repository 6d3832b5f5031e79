/*
 * drift.h: does the adapter in use still fit? Vectors that are posted beside
 * stored ones are fresh pairs: the mean of <B x, y> over the last of them falls
 * below what the fit had on pairs it had not seen, less three standard errors,
 * when the new model has changed under its name, or when documents have become
 * others than those of the fit. Any thread; one lock a collection, held for the
 * arithmetic only.
 */
#ifndef INV_SERVER_UPGRADE_DRIFT_H
#define INV_SERVER_UPGRADE_DRIFT_H

#include "index/gallery.h"

struct inv_collection;
struct inv_drift; /* a member of the collection */

#define INV_DRIFT_RING 256 /* pairs that are looked at */
#define INV_DRIFT_LEAST 16 /* before anything is said */

struct inv_drift *inv_drift_new(void); /* NULL: out of memory */
void inv_drift_free(struct inv_drift *drift);

/* After the operation that posted `items` in `space` has ended: takes those
 * that were stored, at most INV_DRIFT_RING of them. Does nothing when no
 * adapter from that space to the gallery is in use. Failures are of no
 * consequence to the caller: they are logged. */
void inv_drift_note(struct inv_collection *collection, int64_t space,
                    const struct inv_beside *items, size_t count);

struct inv_drift_state {
    size_t pairs;    /* in the ring, of the adapter in use */
    double mean;     /* of <B x, y> over them (cosine between tokens) */
    double expected; /* of the fit, held out */
    double limit;    /* expected - 3 deviation / sqrt(pairs) */
    bool drifted;    /* mean < limit, with enough pairs */
};
struct inv_drift_state inv_drift_state(struct inv_collection *collection);

#endif
