/*
 * vlog_read.c: reading records of the vector logs in place. Any thread that
 * holds a set of files.
 */
#include "index/vlog_file.h"

#include "base/crc32c.h"

#include <string.h>

/* Of a record whose reading is announced: a vector of 384 is 24 lines, and its
 * neighbours in the log are not next when a filter has chosen. */
#define PREFETCH_BYTES ((size_t)2048)
#include <sys/mman.h>

uint32_t inv_vlog_file_number(const struct inv_vlog_file *file) {
    return file->number;
}

uint64_t inv_vlog_file_bytes(const struct inv_vlog_file *file) {
    return atomic_load(&file->size);
}

uint64_t inv_vlog_set_bytes(const struct inv_vlog_set *set) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < set->count; i++)
        bytes += inv_vlog_file_bytes(set->files[i]);
    return bytes;
}

static const struct inv_vlog_file *find(const struct inv_vlog_set *set,
                                        uint32_t number) {
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (set->files[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == set->count || set->files[low]->number != number)
        return NULL;
    return set->files[low];
}

static size_t data_at(size_t id_len) {
    return (INV_VLOG_RECORD + id_len + INV_VLOG_ALIGN - 1) / INV_VLOG_ALIGN *
           INV_VLOG_ALIGN;
}

/* The record's bytes if the whole place lies inside its file. */
static const char *locate(const struct inv_vlog_set *set,
                          const struct inv_place *place, struct inv_err *err) {
    const struct inv_vlog_file *file = find(set, place->file);
    if (file == NULL) {
        (void)inv_fail(err, INV_CORRUPT, "vector log %u is missing",
                       place->file);
        return NULL;
    }
    uint64_t size = atomic_load_explicit(&file->size, memory_order_acquire);
    if (place->offset < INV_VLOG_HEADER || place->length < INV_VLOG_RECORD ||
        place->offset % INV_VLOG_ALIGN != 0 || place->offset > size ||
        place->length > size - place->offset) {
        (void)inv_fail(err, INV_CORRUPT,
                       "vector log %u has %llu bytes, a record is expected at "
                       "%llu with %llu",
                       place->file, (unsigned long long)size,
                       (unsigned long long)place->offset,
                       (unsigned long long)place->length);
        return NULL;
    }
    return (const char *)file->map + place->offset;
}

static enum inv_status read_codes(const char *record,
                                  const struct inv_place *place,
                                  struct inv_record_header *header,
                                  struct inv_codes *out, struct inv_err *err) {
    memcpy(header, record, sizeof *header);
    bool known = header->dtype >= INV_F32 && header->dtype <= INV_I8;
    enum inv_dtype dtype = known ? (enum inv_dtype)header->dtype : INV_F32;
    size_t bytes = inv_codes_bytes(dtype, header->rows, header->dim);
    size_t at = data_at(header->id_len);
    if (header->magic != INV_RECORD_MAGIC || !known ||
        header->length != place->length || header->rows != place->rows ||
        header->data_bytes != bytes || at + bytes > place->length)
        return inv_fail(err, INV_CORRUPT,
                        "vector log %u: no record of %u rows and %llu bytes "
                        "at %llu",
                        place->file, place->rows,
                        (unsigned long long)place->length,
                        (unsigned long long)place->offset);
    const char *data = record + at;
    *out = (struct inv_codes){
        .data = data,
        .scales = dtype == INV_I8
                      ? (const uint16_t *)(const void *)(data + bytes -
                                                         header->rows * 2)
                      : NULL,
        .dtype = dtype,
        .rows = header->rows,
        .dim = header->dim,
    };
    return INV_OK;
}

bool inv_vlog_reaches(const struct inv_vlog_set *set,
                      const struct inv_place *place, struct inv_err *err) {
    return locate(set, place, err) != NULL;
}

enum inv_status inv_vlog_get(const struct inv_vlog_set *set,
                             const struct inv_place *place,
                             struct inv_codes *out, struct inv_err *err) {
    const char *record = locate(set, place, err);
    if (record == NULL)
        return INV_CORRUPT;
    struct inv_record_header header;
    return read_codes(record, place, &header, out, err);
}

enum inv_status inv_vlog_check(const struct inv_vlog_set *set,
                               const struct inv_place *place,
                               struct inv_record *out, struct inv_err *err) {
    const char *record = locate(set, place, err);
    if (record == NULL)
        return INV_CORRUPT;
    struct inv_record_header header;
    enum inv_status status =
        read_codes(record, place, &header, &out->codes, err);
    if (status != INV_OK)
        return status;
    uint32_t crc = inv_crc32c(0, record + 8, place->length - 8);
    if (crc != header.crc)
        return inv_fail(err, INV_CORRUPT,
                        "vector log %u: the record at %llu has checksum "
                        "%08x, its bytes give %08x",
                        place->file, (unsigned long long)place->offset,
                        header.crc, crc);
    out->vseq = header.vseq;
    out->space = header.space;
    out->id = record + INV_VLOG_RECORD;
    out->id_len = header.id_len;
    out->length = header.length;
    return INV_OK;
}

void inv_vlog_prefetch(const struct inv_vlog_set *set,
                       const struct inv_place *place) {
    const struct inv_vlog_file *file = find(set, place->file);
    if (file == NULL || place->offset >= atomic_load(&file->size))
        return;
    const char *from = (const char *)file->map + place->offset;
    for (size_t i = 0; i < place->length && i < PREFETCH_BYTES; i += 64)
        __builtin_prefetch(from + i);
}
