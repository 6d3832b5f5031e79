/*
 * segment_file.c: sealed segments on disk: building, checking and opening them.
 * Layout and manifest: segment.h. Builds run on the builder thread, opening on
 * the thread that starts the collection.
 */
#include "index/segment.h"

#include "base/buf.h"
#include "base/config.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "1"
#define MANIFEST_MAX ((size_t)64 << 10)
/* Room for a directory (checked to be shorter) and a name in it. */
#define PATH_BYTES (4096 + 64)
#define CRC_KEY "manifest_crc32c" /* last line: of all the lines before it */
#define CODES_CHUNK 256           /* rows encoded before a write */

static const char *const file_names[] = {"ann", "entries", "codes"};
#define FILES (sizeof file_names / sizeof *file_names)

struct build {
    struct inv_encoding *encoding;
    const struct inv_segment_source *source;
    float *code; /* one code */
};

static enum inv_status encode_one(struct build *build, size_t i, float *code,
                                  struct inv_err *err) {
    struct inv_codes stored;
    enum inv_status status =
        build->source->read(build->source->ctx, i, &stored, err);
    if (status == INV_OK)
        status = build->encoding->encode(build->encoding, &stored, code, err);
    return status;
}

/* ann.h's source: the indexed prefixes. */
static enum inv_status read_rows(void *ctx, size_t first, size_t count,
                                 float *out, struct inv_err *err) {
    struct build *build = ctx;
    size_t dim = build->encoding->ann_dim;
    for (size_t i = 0; i < count; i++) {
        enum inv_status status = encode_one(build, first + i, build->code, err);
        if (status != INV_OK)
            return status;
        inv_encoding_prefix(build->encoding, build->code);
        memcpy(out + i * dim, build->code, dim * sizeof(float));
    }
    return INV_OK;
}

static bool report(void *ctx, const char *stage, size_t done, size_t total) {
    const struct inv_segment_source *source = ((struct build *)ctx)->source;
    return source->progress != NULL &&
           source->progress(source->ctx, stage, done, total);
}

/* Encodes n entries from `first` on into rows of `dtype`. */
static enum inv_status encode_rows(struct build *build, size_t first, size_t n,
                                   enum inv_dtype dtype, char *out,
                                   struct inv_err *err) {
    size_t dim = build->encoding->code_dim;
    size_t row = dim * (dtype == INV_F16 ? 2 : 4);
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < n; i++, out += row) {
        status = encode_one(build, first + i, build->code, err);
        if (status == INV_OK && dtype == INV_F16)
            inv_f16_from_f32(build->code, (uint16_t *)(void *)out, dim);
        else if (status == INV_OK)
            memcpy(out, build->code, row);
    }
    return status;
}

static enum inv_status write_codes(struct build *build, const char *path,
                                   enum inv_dtype dtype, struct inv_err *err) {
    size_t row = build->encoding->code_dim * (dtype == INV_F16 ? 2 : 4);
    size_t count = build->source->count;
    enum inv_status status = INV_OK;
    char *chunk = malloc(CODES_CHUNK * row);
    if (chunk == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for codes");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        status = inv_fail_errno(err, errno, "cannot create %s", path);
    for (size_t first = 0; status == INV_OK && first < count;
         first += CODES_CHUNK) {
        size_t n = count - first < CODES_CHUNK ? count - first : CODES_CHUNK;
        status = encode_rows(build, first, n, dtype, chunk, err);
        if (status == INV_OK)
            status = inv_file_write_all(fd, chunk, n * row, err);
        if (status == INV_OK && report(build, "codes", first + n, count))
            status = inv_fail(err, INV_CANCELLED, "cancelled");
    }
    if (fd >= 0)
        close(fd);
    free(chunk);
    return status;
}

static enum inv_status write_entries(const struct inv_segment_source *source,
                                     const char *path, struct inv_err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot create %s", path);
    enum inv_status status =
        inv_file_write_all(fd, source->vseqs, source->count * 8, err);
    close(fd);
    return status;
}

/* Syncs a file of the new directory and notes its size and checksum. A file
 * that is not there (no codes) is left out. */
static enum inv_status seal_file(const char *dir, const char *name,
                                 struct inv_buf *manifest,
                                 struct inv_err *err) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (access(path, F_OK) != 0)
        return INV_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        enum inv_status status =
            inv_fail_errno(err, errno, "cannot sync %s", path);
        if (fd >= 0)
            close(fd);
        return status;
    }
    close(fd);
    const void *bytes;
    size_t len;
    enum inv_status status = inv_file_map_read(path, &bytes, &len, err);
    if (status != INV_OK)
        return status;
    inv_buf_printf(manifest, "%s_bytes = %zu\n%s_crc32c = %" PRIu32 "\n", name,
                   len, name, inv_crc32c(0, bytes, len));
    inv_file_unmap(bytes, len);
    return INV_OK;
}

static void put_config(struct inv_buf *out, const struct inv_ann_config *c) {
    inv_buf_printf(out,
                   "index = %s\nmetric = %d\ndim = %zu\ndtype = %s\n"
                   "hnsw_m = %u\nhnsw_ef_construction = %u\nnlist = %u\n"
                   "pq_m = %u\npq_bits = %u\ntrain_size = %u\n"
                   "seed = \"%" PRIu64 "\"\n",
                   inv_ann_type_name(c->type), (int)c->metric, c->dim,
                   inv_dtype_name(c->dtype), c->hnsw_m, c->hnsw_ef_construction,
                   c->nlist, c->pq_m, c->pq_bits, c->train_size, c->seed);
}

static enum inv_status seal_dir(const char *dir, uint64_t gen,
                                const struct inv_encoding *encoding,
                                const struct inv_ann_config *config,
                                size_t count, struct inv_err *err) {
    struct inv_buf manifest = INV_BUF_INIT;
    inv_buf_printf(&manifest,
                   "# Invar segment: derived data, made again when lost.\n"
                   "format = " FORMAT "\nbyte_order = little\ngen = %" PRIu64
                   "\ncount = %zu\nencoding = \"%016" PRIx64 "\"\n"
                   "encoder_state = %u\ncode_dim = %zu\n",
                   gen, count, encoding->hash, encoding->state,
                   encoding->code_dim);
    put_config(&manifest, config);
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < FILES; i++)
        status = seal_file(dir, file_names[i], &manifest, err);
    if (status == INV_OK && !manifest.failed)
        inv_buf_printf(&manifest, CRC_KEY " = %" PRIu32 "\n",
                       inv_crc32c(0, manifest.data, manifest.len));
    if (status == INV_OK && manifest.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory");
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/manifest", dir);
    if (status == INV_OK)
        status = inv_file_write_atomic(path, manifest.data, manifest.len, err);
    inv_buf_release(&manifest);
    return status;
}

static enum inv_status fill_dir(const char *dir, struct build *build,
                                struct inv_ann_config *config,
                                struct inv_err *err) {
    const struct inv_encoding *encoding = build->encoding;
    struct inv_ann_source rows = {.read = read_rows,
                                  .progress = report,
                                  .ctx = build,
                                  .count = build->source->count};
    struct inv_ann *ann = NULL;
    char path[PATH_BYTES];
    enum inv_status status = inv_ann_build(config, &rows, &ann, err);
    if (status != INV_OK)
        return status;
    *config = *inv_ann_get_config(ann);
    bool compressed =
        (inv_ann_capabilities(ann) & (INV_ANN_COMPRESSED | INV_ANN_EXACT)) ==
        INV_ANN_COMPRESSED;
    snprintf(path, sizeof path, "%s/ann", dir);
    status = inv_ann_save(ann, path, err);
    inv_ann_free(ann);
    snprintf(path, sizeof path, "%s/entries", dir);
    if (status == INV_OK)
        status = write_entries(build->source, path, err);
    snprintf(path, sizeof path, "%s/codes", dir);
    if (status == INV_OK && encoding->keep == INV_KEEP_ALWAYS)
        status = write_codes(build, path, INV_F32, err);
    else if (status == INV_OK && encoding->keep == INV_KEEP_COMPRESSED &&
             compressed)
        status = write_codes(build, path, INV_F16, err);
    return status;
}

enum inv_status inv_segment_build(const char *dir, uint64_t gen,
                                  struct inv_encoding *encoding,
                                  const struct inv_ann_config *config,
                                  const struct inv_segment_source *source,
                                  struct inv_err *err) {
    char temporary[4096];
    char parent[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", dir) >=
        sizeof temporary - 16)
        return inv_fail(err, INV_INVALID, "the path %s is too long", dir);
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        *slash = '\0';
    struct inv_ann_config full = *config;
    full.dim = encoding->ann_dim;
    full.metric = encoding->metric;
    full.dtype = encoding->flat_dtype;
    struct build build = {.encoding = encoding, .source = source};
    enum inv_status status = inv_file_remove_tree(temporary, err);
    if (status == INV_OK)
        status = inv_file_mkdirs(temporary, err);
    if (status != INV_OK)
        return status;
    build.code = malloc(encoding->code_dim * sizeof(float));
    if (build.code == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for a code");
    if (status == INV_OK)
        status = fill_dir(temporary, &build, &full, err);
    if (status == INV_OK)
        status = seal_dir(temporary, gen, encoding, &full, source->count, err);
    if (status == INV_OK)
        status = inv_file_sync_dir(temporary, err);
    if (status == INV_OK && rename(temporary, dir) != 0)
        status = inv_fail_errno(err, errno, "cannot rename %s", temporary);
    if (status == INV_OK)
        status = inv_file_sync_dir(parent, err);
    if (status != INV_OK)
        (void)!inv_file_remove_tree(temporary, NULL);
    free(build.code);
    return status;
}

/* ---- opening ---- */

struct manifest {
    struct inv_config config;
    struct inv_ann_config ann;
    uint64_t encoding;
    size_t count, code_dim;
    uint64_t bytes; /* of all files */
};

static enum inv_status want_integer(const struct manifest *m, const char *key,
                                    int64_t max, int64_t *out,
                                    struct inv_err *err) {
    if (inv_config_find(&m->config, key) == NULL)
        return inv_fail(err, INV_CORRUPT, "%s: no \"%s\"", m->config.name, key);
    return inv_config_integer(&m->config, key, 0, max, out, err);
}

static enum inv_status read_ann_config(struct manifest *m,
                                       struct inv_err *err) {
    static const char *const keys[] = {
        "metric", "hnsw_m",  "hnsw_ef_construction", "nlist",
        "pq_m",   "pq_bits", "train_size",           "dim"};
    int64_t value[8] = {0};
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < 8; i++)
        status = want_integer(m, keys[i], INT32_MAX, &value[i], err);
    const char *type = "";
    const char *dtype = "";
    const char *seed = "0";
    if (status == INV_OK)
        status = inv_config_string(&m->config, "index", &type, err);
    if (status == INV_OK)
        status = inv_config_string(&m->config, "dtype", &dtype, err);
    if (status == INV_OK)
        status = inv_config_string(&m->config, "seed", &seed, err);
    if (status != INV_OK)
        return status;
    int kind = inv_ann_type_parse(type);
    enum inv_dtype element = inv_dtype_parse(dtype);
    if (kind < 0 || kind == INV_ANN_AUTO || (int)element == 0 || value[0] > 1)
        return inv_fail(err, INV_CORRUPT, "%s: unknown index \"%s\" of %s",
                        m->config.name, type, dtype);
    m->ann = (struct inv_ann_config){
        .type = (enum inv_ann_type)kind,
        .metric = (enum inv_metric)value[0],
        .dtype = element,
        .hnsw_m = (uint32_t)value[1],
        .hnsw_ef_construction = (uint32_t)value[2],
        .nlist = (uint32_t)value[3],
        .pq_m = (uint32_t)value[4],
        .pq_bits = (uint32_t)value[5],
        .train_size = (uint32_t)value[6],
        .dim = (size_t)value[7],
        .seed = strtoull(seed, NULL, 10),
        .threads = 1,
    };
    return INV_OK;
}

/* Reads the text, compares its last line with the checksum of the others. */
static enum inv_status open_manifest(const char *path, struct manifest *m,
                                     struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    enum inv_status status = inv_buf_read_file(&text, path, MANIFEST_MAX, err);
    if (status != INV_OK) {
        inv_buf_release(&text);
        return status;
    }
    size_t end = text.len == 0 ? 0 : text.len - 1;
    while (end > 0 && text.data[end - 1] != '\n')
        end--;
    char want[64];
    snprintf(want, sizeof want, CRC_KEY " = %" PRIu32 "\n",
             inv_crc32c(0, text.data, end));
    if (text.len == 0 || strcmp(text.data + end, want) != 0)
        status = inv_fail(err, INV_CORRUPT,
                          "%s: its %zu bytes do not end in their checksum",
                          path, text.len);
    if (status == INV_OK)
        status = inv_config_parse(&m->config, path, text.data, text.len, err);
    inv_buf_release(&text);
    return status;
}

static enum inv_status read_manifest(const char *dir, struct manifest *m,
                                     struct inv_err *err) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/manifest", dir);
    enum inv_status status = open_manifest(path, m, err);
    if (status != INV_OK)
        return status;
    int64_t count = 0;
    int64_t code_dim = 0;
    const char *format = "";
    const char *encoding = "";
    status = inv_config_string(&m->config, "format", &format, err);
    if (status == INV_OK && strcmp(format, FORMAT) != 0)
        status =
            inv_fail(err, INV_UNSUPPORTED,
                     "%s: format %s, this release reads " FORMAT, path, format);
    if (status == INV_OK)
        status = want_integer(m, "count", UINT32_MAX, &count, err);
    if (status == INV_OK)
        status = want_integer(m, "code_dim", INT32_MAX, &code_dim, err);
    if (status == INV_OK)
        status = inv_config_string(&m->config, "encoding", &encoding, err);
    if (status == INV_OK)
        status = read_ann_config(m, err);
    m->count = (size_t)count;
    m->code_dim = (size_t)code_dim;
    m->encoding = strtoull(encoding, NULL, 16);
    return status;
}

/* Maps a file and compares size and checksum with the manifest. *bytes stays
 * NULL for a file that the manifest does not name. */
static enum inv_status map_checked(const char *dir, const char *name,
                                   struct manifest *m, const void **bytes,
                                   size_t *len, struct inv_err *err) {
    char key[64];
    char path[PATH_BYTES];
    *bytes = NULL;
    *len = 0;
    snprintf(key, sizeof key, "%s_bytes", name);
    if (inv_config_find(&m->config, key) == NULL)
        return INV_OK;
    int64_t want = 0;
    int64_t want_crc = 0;
    enum inv_status status = want_integer(m, key, INT64_MAX, &want, err);
    snprintf(key, sizeof key, "%s_crc32c", name);
    if (status == INV_OK)
        status = want_integer(m, key, UINT32_MAX, &want_crc, err);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (status == INV_OK)
        status = inv_file_map_read(path, bytes, len, err);
    if (status != INV_OK)
        return status;
    uint32_t crc = inv_crc32c(0, *bytes, *len);
    if (*len != (size_t)want)
        status = inv_fail(err, INV_CORRUPT,
                          "%s has %zu bytes, its manifest says %" PRId64, path,
                          *len, want);
    else if (crc != (uint32_t)want_crc)
        status = inv_fail(err, INV_CORRUPT,
                          "%s has checksum %08" PRIx32
                          ", its manifest says %08" PRIx32,
                          path, crc, (uint32_t)want_crc);
    if (status != INV_OK) {
        inv_file_unmap(*bytes, *len);
        *bytes = NULL;
        return status;
    }
    m->bytes += *len;
    return INV_OK;
}

static enum inv_status open_ann(const char *dir, struct manifest *m,
                                struct inv_ann **out, struct inv_err *err) {
    char path[PATH_BYTES];
    const void *bytes;
    size_t len;
    enum inv_status status = map_checked(dir, "ann", m, &bytes, &len, err);
    if (status != INV_OK)
        return status;
    inv_file_unmap(bytes, len);
    snprintf(path, sizeof path, "%s/ann", dir);
    return out == NULL ? INV_OK
                       : inv_ann_open(&m->ann, path, m->count, out, err);
}

static enum inv_status check_order(const char *dir, const void *bytes,
                                   size_t count, struct inv_err *err) {
    const uint64_t *vseqs = bytes; /* a mapping: aligned */
    for (size_t i = 1; vseqs != NULL && i < count; i++)
        if (vseqs[i] <= vseqs[i - 1])
            return inv_fail(err, INV_CORRUPT,
                            "%s/entries: number %zu is %" PRIu64
                            " after %" PRIu64 ", they must ascend",
                            dir, i, vseqs[i], vseqs[i - 1]);
    return INV_OK;
}

static enum inv_status open_entries(const char *dir, struct manifest *m,
                                    uint64_t **vseqs, struct inv_err *err) {
    const void *bytes;
    size_t len;
    enum inv_status status = map_checked(dir, "entries", m, &bytes, &len, err);
    if (status != INV_OK)
        return status;
    if (len != m->count * 8)
        status = inv_fail(err, INV_CORRUPT,
                          "%s/entries has %zu bytes, %zu entries need %zu", dir,
                          len, m->count, m->count * 8);
    if (status == INV_OK)
        status = check_order(dir, bytes, m->count, err);
    if (status == INV_OK && vseqs != NULL) {
        *vseqs = malloc(len == 0 ? 8 : len);
        if (*vseqs == NULL)
            status = inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
        else if (len > 0)
            memcpy(*vseqs, bytes, len);
    }
    inv_file_unmap(bytes, len);
    return status;
}

static enum inv_status open_codes(const char *dir, struct manifest *m,
                                  struct inv_segment *segment,
                                  struct inv_err *err) {
    const void *bytes;
    size_t len;
    enum inv_status status = map_checked(dir, "codes", m, &bytes, &len, err);
    if (status != INV_OK || bytes == NULL)
        return status;
    size_t values = m->count * m->code_dim;
    if (len != values * 2 && len != values * 4) {
        status =
            inv_fail(err, INV_CORRUPT, "%s/codes has %zu bytes for %zu numbers",
                     dir, len, values);
    } else if (segment != NULL) {
        segment->codes = bytes;
        segment->codes_bytes = len;
        segment->codes_dtype = len == values * 2 ? INV_F16 : INV_F32;
        return INV_OK;
    }
    inv_file_unmap(bytes, len);
    return status;
}

enum inv_status inv_segment_verify(const char *dir, struct inv_err *err) {
    struct manifest m = {0};
    enum inv_status status = read_manifest(dir, &m, err);
    if (status == INV_OK)
        status = open_ann(dir, &m, NULL, err);
    if (status == INV_OK)
        status = open_entries(dir, &m, NULL, err);
    if (status == INV_OK)
        status = open_codes(dir, &m, NULL, err);
    inv_config_release(&m.config);
    return status;
}

enum inv_status inv_segment_open(const char *dir, uint64_t gen,
                                 inv_encoding_lookup *lookup, void *ctx,
                                 struct inv_segment **out, uint64_t **vseqs,
                                 struct inv_err *err) {
    struct manifest m = {0};
    struct inv_segment *segment = NULL;
    *vseqs = NULL;
    enum inv_status status = read_manifest(dir, &m, err);
    if (status != INV_OK)
        goto done;
    struct inv_encoding *encoding = lookup(ctx, m.encoding);
    if (encoding == NULL) {
        status = inv_fail(err, INV_CORRUPT,
                          "%s was made by an encoder (%016" PRIx64
                          ") that the catalog does not know",
                          dir, m.encoding);
        goto done;
    }
    status = inv_segment_new_sealed(dir, gen, encoding, m.count, &segment, err);
    inv_ref_put(encoding);
    if (status == INV_OK && (m.ann.dim != segment->encoding->ann_dim ||
                             m.ann.metric != segment->encoding->metric ||
                             m.code_dim != segment->encoding->code_dim))
        status =
            inv_fail(err, INV_CORRUPT,
                     "%s indexes %zu of %zu dimensions, the encoder says "
                     "%zu of %zu",
                     dir, m.ann.dim, m.code_dim, segment->encoding->ann_dim,
                     segment->encoding->code_dim);
    if (status == INV_OK)
        status = open_ann(dir, &m, &segment->ann, err);
    if (status == INV_OK)
        status = open_entries(dir, &m, vseqs, err);
    if (status == INV_OK)
        status = open_codes(dir, &m, segment, err);
    if (status == INV_OK)
        segment->file_bytes = m.bytes;
done:
    inv_config_release(&m.config);
    if (status != INV_OK) {
        inv_ref_put(segment);
        free(*vseqs);
        *vseqs = NULL;
        return status;
    }
    *out = segment;
    return INV_OK;
}
