/*
 * ann_file.h: the file of an index: one header in front of the backend's own
 * bytes, so that nothing is parsed before its checksum has been seen to hold.
 *
 *     0    8  magic "INVANN\r\n"
 *     8    4  version, 1
 *    12    4  byte order: 0x01020304 as the writer's processor stores it
 *    16   16  type, metric, dtype, dim: 4 bytes each (type as in the enums)
 *    32    8  rows
 *    40    8  bytes of payload: the file is 128 + this long
 *    48   32  hnsw_m, ef_construction, nlist, nprobe, pq_m, pq_bits,
 *             train_size, threads that built it: 4 bytes each, resolved
 *    80    8  seed
 *    88   32  zero
 *   120    4  CRC-32C of the payload
 *   124    4  CRC-32C of bytes 0 .. 123
 *   128       payload: flat: rows x dim codes; others: what FAISS writes
 *
 * Versions: 1, the first.
 */
#ifndef INV_INDEX_ANN_FILE_H
#define INV_INDEX_ANN_FILE_H

#include "index/ann.h"

#define INV_ANN_FILE_HEADER 128

/* An opened, mapped and verified file. */
struct inv_ann_file {
    const void *bytes; /* of the whole file */
    size_t len;
    const void *payload; /* 64-byte aligned */
    size_t payload_len;
    struct inv_ann_config config; /* as it was built, resolved */
};

/* Creates a file that must not exist, positioned after the header. */
enum inv_status inv_ann_file_create(const char *path, int *fd,
                                    struct inv_err *err) INV_MUST_USE;
/* Writes the header for whatever now follows it, and syncs. The descriptor
 * stays the caller's. */
enum inv_status inv_ann_file_finish(const char *path, int fd,
                                    const struct inv_ann_config *config,
                                    size_t count,
                                    struct inv_err *err) INV_MUST_USE;

/* INV_CORRUPT, with both numbers, unless the file is whole and its type,
 * metric, dimension, dtype (flat) and rows are those of config and count. */
enum inv_status inv_ann_file_open(struct inv_ann_file *file, const char *path,
                                  const struct inv_ann_config *config,
                                  size_t count,
                                  struct inv_err *err) INV_MUST_USE;
void inv_ann_file_close(struct inv_ann_file *file);

#endif
