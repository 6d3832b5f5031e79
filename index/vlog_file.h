/*
 * vlog_file.h: what vlog.c (writing) and vlog_read.c (reading) share: a file
 * and the header of a record. The format is drawn in vlog.h.
 */
#ifndef INV_INDEX_VLOG_FILE_H
#define INV_INDEX_VLOG_FILE_H

#include "index/vlog.h"

#include <stdatomic.h>

#define INV_VLOG_HEADER 64 /* bytes of a file's header */
#define INV_VLOG_RECORD 48 /* bytes of a record's header */
#define INV_VLOG_ALIGN 32
#define INV_RECORD_MAGIC UINT32_C(0x43455256) /* "VREC" */

struct inv_record_header {
    uint32_t magic, crc;
    uint64_t vseq, space;
    uint32_t rows, dim;
    uint8_t dtype, reserved;
    uint16_t id_len;
    uint32_t data_bytes;
    uint64_t length;
};
_Static_assert(sizeof(struct inv_record_header) == INV_VLOG_RECORD,
               "the record header is 48 bytes on disk");

struct inv_vlog_file {
    struct inv_ref ref;
    uint32_t number;
    int fd;
    char *path;
    void *map; /* map_bytes long; only `size` bytes of it may be touched */
    size_t map_bytes;
    _Atomic uint64_t size;
    _Atomic bool doomed; /* unlinked when released */
};

#endif
