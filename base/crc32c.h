/*
 * crc32c.h: CRC-32C (Castagnoli), the checksum of every file of ours. Chains:
 * crc(crc(0, a), b) == crc(0, ab). Any thread.
 */
#ifndef INV_BASE_CRC32C_H
#define INV_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` covers followed by data; 0 to begin. Uses the
 * processor's instruction where there is one. */
uint32_t inv_crc32c(uint32_t crc, const void *data, size_t len);

/* The same by table, on any machine: the fallback and the tests' oracle. */
uint32_t inv_crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
