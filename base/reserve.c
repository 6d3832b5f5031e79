/*
 * reserve.c: see reserve.h. NORESERVE, because most of it is never written: a
 * fresh segment is given room for all it may hold, and that would count whole
 * against the machine's overcommit limit.
 */
#include "base/reserve.h"

#include <sys/mman.h>

void *inv_reserve(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void inv_unreserve(void *memory, size_t bytes) {
    if (memory != NULL)
        munmap(memory, bytes);
}
