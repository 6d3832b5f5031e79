/*
 * reserve.h: address space for what grows in place and must not move, since
 * readers hold pointers into it: zeroed pages that take memory only once they
 * are written to. Any thread.
 */
#ifndef INV_BASE_RESERVE_H
#define INV_BASE_RESERVE_H

#include <stddef.h>

/* bytes > 0. NULL: out of address space. */
void *inv_reserve(size_t bytes);
/* NULL: nothing. bytes: as reserved. */
void inv_unreserve(void *memory, size_t bytes);

#endif
