/*
 * doc_table.c: see doc_table.h. Slots hold entry numbers, not documents: the
 * entry itself says whose it is, so a slot that a discarded attempt left
 * behind is merely one more to look at.
 */
#include "index/doc_table.h"

#include "base/reserve.h"

#include <stdlib.h>

static void table_release(void *self) {
    struct inv_doc_table *table = self;
    inv_unreserve(table->memory, table->slots * sizeof(uint32_t));
    free(table);
}

struct inv_doc_table *inv_doc_table_new(size_t cap) {
    struct inv_doc_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    inv_ref_init(&table->ref, table_release);
    table->slots = 16;
    while (table->slots < 2 * cap)
        table->slots *= 2;
    table->memory = inv_reserve(table->slots * sizeof(uint32_t));
    if (table->memory == NULL) {
        inv_ref_put(table);
        return NULL;
    }
    table->entries = table->memory;
    return table;
}

/* Numbers of documents ascend: a multiplication spreads them (Fibonacci
 * hashing, Knuth, TAOCP 3, 6.4). */
static size_t first_slot(const struct inv_doc_table *table, int64_t doc) {
    uint64_t hash = (uint64_t)doc * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(hash >> 20) & (table->slots - 1);
}

bool inv_doc_table_full(const struct inv_doc_table *table) {
    return table->used >= table->slots / 4 * 3;
}

bool inv_doc_table_add(struct inv_doc_table *table, int64_t doc,
                       uint32_t entry) {
    if (inv_doc_table_full(table))
        return false;
    size_t at = first_slot(table, doc);
    while (atomic_load_explicit(&table->entries[at], memory_order_relaxed) != 0)
        at = (at + 1) & (table->slots - 1);
    atomic_store_explicit(&table->entries[at], entry + 1, memory_order_release);
    table->used++;
    return true;
}

bool inv_doc_table_next(const struct inv_doc_table *table, int64_t doc,
                        size_t *at, uint32_t *entry) {
    *at = *at == INV_DOC_FIRST ? first_slot(table, doc)
                               : (*at + 1) & (table->slots - 1);
    uint32_t slot =
        atomic_load_explicit(&table->entries[*at], memory_order_acquire);
    *entry = slot - 1;
    return slot != 0;
}
