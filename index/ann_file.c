/*
 * ann_file.c: see ann_file.h. Knows the header and the checksum, not what the
 * payload means. Any thread; a mapped file is only read.
 */
#include "index/ann_file.h"

#include "base/crc32c.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1
#define BYTE_ORDER_MARK 0x01020304u

static const char magic[8] = {'I', 'N', 'V', 'A', 'N', 'N', '\r', '\n'};

struct header {
    char magic[8];
    uint32_t version, byte_order;
    uint32_t type, metric, dtype, dim;
    uint64_t count, payload;
    uint32_t hnsw_m, ef_construction, nlist, nprobe;
    uint32_t pq_m, pq_bits, train_size, threads;
    uint64_t seed;
    unsigned char zero[32];
    uint32_t payload_crc, header_crc;
};

_Static_assert(sizeof(struct header) == INV_ANN_FILE_HEADER, "no padding");

static uint32_t header_crc(const struct header *header) {
    return inv_crc32c(0, header, offsetof(struct header, header_crc));
}

enum inv_status inv_ann_file_create(const char *path, int *fd,
                                    struct inv_err *err) {
    static const unsigned char zero[INV_ANN_FILE_HEADER];
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (*fd < 0)
        return inv_fail_errno(err, errno, "cannot create %s", path);
    enum inv_status status = inv_file_write_all(*fd, zero, sizeof zero, err);
    if (status != INV_OK) {
        close(*fd);
        *fd = -1;
        unlink(path);
    }
    return status;
}

static struct header header_of(const struct inv_ann_config *config,
                               size_t count) {
    struct header header = {
        .version = VERSION,
        .byte_order = BYTE_ORDER_MARK,
        .type = (uint32_t)config->type,
        .metric = (uint32_t)config->metric,
        .dtype = (uint32_t)config->dtype,
        .dim = (uint32_t)config->dim,
        .count = count,
        .hnsw_m = config->hnsw_m,
        .ef_construction = config->hnsw_ef_construction,
        .nlist = config->nlist,
        .nprobe = config->nprobe,
        .pq_m = config->pq_m,
        .pq_bits = config->pq_bits,
        .train_size = config->train_size,
        .threads = (uint32_t)config->threads,
        .seed = config->seed,
    };
    memcpy(header.magic, magic, sizeof magic);
    return header;
}

enum inv_status inv_ann_file_finish(const char *path, int fd,
                                    const struct inv_ann_config *config,
                                    size_t count, struct inv_err *err) {
    struct header header = header_of(config, count);
    const void *bytes;
    size_t len;
    enum inv_status status = inv_file_map_read(path, &bytes, &len, err);
    if (status != INV_OK)
        return status;
    if (len < INV_ANN_FILE_HEADER) {
        inv_file_unmap(bytes, len);
        return inv_fail(err, INV_IO, "%s has only %zu bytes after writing",
                        path, len);
    }
    header.payload = len - INV_ANN_FILE_HEADER;
    header.payload_crc =
        inv_crc32c(0, (const unsigned char *)bytes + INV_ANN_FILE_HEADER,
                   len - INV_ANN_FILE_HEADER);
    inv_file_unmap(bytes, len);
    header.header_crc = header_crc(&header);
    status = inv_file_pwrite_all(fd, &header, sizeof header, 0, err);
    if (status == INV_OK && fsync(fd) != 0)
        return inv_fail_errno(err, errno, "cannot sync %s", path);
    return status;
}

/* The header by itself: is it one of ours, and unharmed? */
static enum inv_status check_header(const struct header *header, size_t len,
                                    const char *path, struct inv_err *err) {
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return inv_fail(err, INV_CORRUPT, "%s is not an index file", path);
    if (header->byte_order != BYTE_ORDER_MARK)
        return inv_fail(err, INV_CORRUPT,
                        "%s was written in another byte order (%08x)", path,
                        (unsigned)header->byte_order);
    if (header->header_crc != header_crc(header))
        return inv_fail(
            err, INV_CORRUPT, "%s: header checksum is %08x, should be %08x",
            path, (unsigned)header_crc(header), (unsigned)header->header_crc);
    if (header->version != VERSION)
        return inv_fail(err, INV_CORRUPT,
                        "%s has format version %u, this program reads %d", path,
                        (unsigned)header->version, VERSION);
    if (header->payload != len - INV_ANN_FILE_HEADER)
        return inv_fail(
            err, INV_CORRUPT, "%s: expected %llu bytes, got %zu", path,
            (unsigned long long)header->payload + INV_ANN_FILE_HEADER, len);
    return INV_OK;
}

/* The header against what the caller thinks is in the file. */
static enum inv_status check_match(const struct header *header,
                                   const char *path,
                                   const struct inv_ann_config *config,
                                   size_t count, struct inv_err *err) {
    const char *what = NULL;
    unsigned long long want = 0, got = 0;
    if (header->type != (uint32_t)config->type) {
        what = "index type";
        want = (unsigned)config->type;
        got = header->type;
    } else if (header->metric != (uint32_t)config->metric) {
        what = "metric";
        want = (unsigned)config->metric;
        got = header->metric;
    } else if (header->dim != config->dim) {
        what = "dimensions";
        want = config->dim;
        got = header->dim;
    } else if (header->count != count) {
        what = "rows";
        want = count;
        got = header->count;
    } else if (config->type == INV_ANN_FLAT &&
               header->dtype != (uint32_t)config->dtype) {
        what = "dtype";
        want = (unsigned)config->dtype;
        got = header->dtype;
    }
    if (what == NULL)
        return INV_OK;
    return inv_fail(err, INV_CORRUPT, "%s: expected %s %llu, got %llu", path,
                    what, want, got);
}

static void read_config(const struct header *header,
                        struct inv_ann_config *config) {
    config->hnsw_m = header->hnsw_m;
    config->hnsw_ef_construction = header->ef_construction;
    config->nlist = header->nlist;
    config->nprobe = header->nprobe;
    config->pq_m = header->pq_m;
    config->pq_bits = header->pq_bits;
    config->train_size = header->train_size;
    config->seed = header->seed;
}

enum inv_status inv_ann_file_open(struct inv_ann_file *file, const char *path,
                                  const struct inv_ann_config *config,
                                  size_t count, struct inv_err *err) {
    memset(file, 0, sizeof *file);
    enum inv_status status =
        inv_file_map_read(path, &file->bytes, &file->len, err);
    if (status != INV_OK)
        return status;
    struct header header;
    if (file->len < sizeof header) {
        status = inv_fail(err, INV_CORRUPT,
                          "%s has %zu bytes, less than its header of %d", path,
                          file->len, INV_ANN_FILE_HEADER);
        goto failed;
    }
    memcpy(&header, file->bytes, sizeof header);
    status = check_header(&header, file->len, path, err);
    if (status == INV_OK)
        status = check_match(&header, path, config, count, err);
    if (status != INV_OK)
        goto failed;
    file->payload = (const unsigned char *)file->bytes + sizeof header;
    file->payload_len = file->len - sizeof header;
    uint32_t crc = inv_crc32c(0, file->payload, file->payload_len);
    if (crc != header.payload_crc) {
        status =
            inv_fail(err, INV_CORRUPT, "%s: checksum is %08x, should be %08x",
                     path, (unsigned)crc, (unsigned)header.payload_crc);
        goto failed;
    }
    file->config = *config;
    read_config(&header, &file->config);
    return INV_OK;

failed:
    inv_ann_file_close(file);
    return status;
}

void inv_ann_file_close(struct inv_ann_file *file) {
    if (file->bytes != NULL)
        inv_file_unmap(file->bytes, file->len);
    memset(file, 0, sizeof *file);
}
