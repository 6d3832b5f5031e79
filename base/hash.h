/*
 * hash.h: FNV-1a, 64 bits: names parameters and spaces; not for secrets.
 */
#ifndef INV_BASE_HASH_H
#define INV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define INV_HASH_INIT UINT64_C(14695981039346656037)

static inline uint64_t inv_hash(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}

#endif
