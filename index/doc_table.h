/*
 * doc_table.h: from a document's number to the entries of a table that are
 * its: open addressing over entry numbers. One thread adds; readers of a view
 * look up at the same time and never see what lies behind their view's count.
 */
#ifndef INV_INDEX_DOC_TABLE_H
#define INV_INDEX_DOC_TABLE_H

#include "base/ref.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_doc_table {
    struct inv_ref ref;
    size_t slots; /* a power of two */
    size_t used;  /* the adding thread's */
    void *memory;
    _Atomic uint32_t *entries; /* entry + 1; 0: free; in `memory` */
};

/* For `cap` entries; address space only until they are added. NULL: out of
 * memory. */
struct inv_doc_table *inv_doc_table_new(size_t cap);
/* Three quarters of the slots are taken: no more are added. */
bool inv_doc_table_full(const struct inv_doc_table *table);
/* False: it is full. */
bool inv_doc_table_add(struct inv_doc_table *table, int64_t doc,
                       uint32_t entry);

/* Entries that may be of the document, one after the other: *at starts at
 * INV_DOC_FIRST. False: there is no more. The caller checks each. */
#define INV_DOC_FIRST SIZE_MAX
bool inv_doc_table_next(const struct inv_doc_table *table, int64_t doc,
                        size_t *at, uint32_t *entry);

#endif
