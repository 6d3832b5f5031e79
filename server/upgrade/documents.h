/*
 * documents.h: the documents of one space and which of them have a vector in
 * another: what fits, samples and the backfill queue are made of. Reads a view;
 * any thread.
 */
#ifndef INV_SERVER_UPGRADE_DOCUMENTS_H
#define INV_SERVER_UPGRADE_DOCUMENTS_H

#include "index/view.h"

struct inv_upgrade_document {
    int64_t doc;
    uint32_t part, entry;             /* in the space */
    uint32_t other_part, other_entry; /* in the other one */
    bool both;                        /* it has a vector there */
};

struct inv_upgrade_documents {
    struct inv_upgrade_document *items; /* ascending by doc: the same order,
                                           however segments were merged */
    size_t count, both;
};

/* Every document with a live vector in `space`. *out is to be released, also
 * after a failure: INV_MEMORY. */
enum inv_status inv_upgrade_documents_list(const struct inv_view *view,
                                           int64_t space, int64_t other,
                                           struct inv_upgrade_documents *out,
                                           struct inv_err *err) INV_MUST_USE;
void inv_upgrade_documents_release(struct inv_upgrade_documents *documents);

/* How many documents have vectors in both spaces; counted, nothing is kept. */
size_t inv_upgrade_documents_both(const struct inv_view *view, int64_t space,
                                  int64_t other);

/* The stored vectors of an entry, in place. */
enum inv_status inv_upgrade_codes(const struct inv_view *view, uint32_t part,
                                  uint32_t entry, struct inv_codes *out,
                                  struct inv_err *err) INV_MUST_USE;
/* The one vector of an entry as dim floats, of norm 1 when that is asked for.
 * INV_CORRUPT when the record holds another shape, with both. */
enum inv_status inv_upgrade_vector(const struct inv_view *view, uint32_t part,
                                   uint32_t entry, size_t dim, bool normalise,
                                   float *out,
                                   struct inv_err *err) INV_MUST_USE;

static inline const struct inv_entry *
inv_upgrade_entry(const struct inv_view *view, uint32_t part, uint32_t entry) {
    return &view->parts[part].entries->items[entry];
}

#endif
