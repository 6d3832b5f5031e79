/*
 * access.h: how often a document stood in the first N of a search: what the
 * backfill queue multiplies with. Counters by document number, shared by
 * documents whose numbers agree in the last 20 bits; relaxed, since nothing
 * hangs on one more or less. Any thread.
 */
#ifndef INV_SERVER_UPGRADE_ACCESS_H
#define INV_SERVER_UPGRADE_ACCESS_H

#include <stdatomic.h>
#include <stdint.h>

#define INV_ACCESS_COUNTS (1 << 20)

/* 4 MB of address space a collection, touched only where documents count. */
struct inv_access {
    _Atomic uint32_t counts[INV_ACCESS_COUNTS];
};

static inline void inv_access_count(struct inv_access *access, int64_t doc) {
    atomic_fetch_add_explicit(
        &access->counts[(uint64_t)doc & (INV_ACCESS_COUNTS - 1)], 1,
        memory_order_relaxed);
}

static inline uint32_t inv_access_get(struct inv_access *access, int64_t doc) {
    return atomic_load_explicit(
        &access->counts[(uint64_t)doc & (INV_ACCESS_COUNTS - 1)],
        memory_order_relaxed);
}

#endif
