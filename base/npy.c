/*
 * npy.c: see npy.h. The header is a Python dictionary literal; here is just
 * enough of a parser for the three keys that the format defines, in any order.
 * Knows nothing of what an array means. Called at start-up, by tools, and by
 * request threads for bodies in memory.
 *
 *   93 'NUMPY'  major minor  u16 (v1) or u32 (v2, v3) length  header  data
 */
#include "base/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* Writers pad to 64 or 16 bytes; a header of a plain array is below 200. */
enum { HEADER_MAX = 65536, ALIGNMENT = 64 };

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [INV_NPY_F16] = {"f2", 2}, [INV_NPY_F32] = {"f4", 4},
    [INV_NPY_F64] = {"f8", 8}, [INV_NPY_I8] = {"i1", 1},
    [INV_NPY_U8] = {"u1", 1},  [INV_NPY_I32] = {"i4", 4},
    [INV_NPY_I64] = {"i8", 8},
};

const char *inv_npy_dtype_name(enum inv_npy_dtype dtype) {
    return dtypes[dtype].name;
}

size_t inv_npy_dtype_size(enum inv_npy_dtype dtype) {
    return dtypes[dtype].size;
}

/* What is left of the header text. */
struct scan {
    const char *at;
    const char *end;
};

struct text {
    const char *start;
    size_t len;
};

struct header {
    struct text descr;
    bool fortran_order;
    bool has_descr, has_order, has_shape;
    struct inv_npy_view *view;
};

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t'))
        scan->at++;
}

/* Takes one character, after blanks, if it is the next. */
static bool take(struct scan *scan, char c) {
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, const char *word) {
    size_t len = strlen(word);
    skip_space(scan);
    if ((size_t)(scan->end - scan->at) < len ||
        memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* 'text' or "text", without escapes: no key or dtype we read has any. */
static bool take_string(struct scan *scan, struct text *out) {
    char quote = '\'';
    if (!take(scan, quote)) {
        quote = '"';
        if (!take(scan, quote))
            return false;
    }
    const char *close = memchr(scan->at, quote, (size_t)(scan->end - scan->at));
    if (close == NULL)
        return false;
    *out = (struct text){scan->at, (size_t)(close - scan->at)};
    scan->at = close + 1;
    return true;
}

static bool take_number(struct scan *scan, size_t *out) {
    skip_space(scan);
    size_t n = 0;
    const char *start = scan->at;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
         scan->at++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (size_t)(*scan->at - '0'), &n))
            return false;
    *out = n;
    return scan->at > start;
}

static bool text_is(struct text text, const char *word) {
    return text.len == strlen(word) && memcmp(text.start, word, text.len) == 0;
}

static enum inv_status malformed(struct inv_err *err, const char *what) {
    return inv_fail(err, INV_INVALID, ".npy header: %s", what);
}

static enum inv_status parse_shape(struct scan *scan, struct header *header,
                                   struct inv_err *err) {
    struct inv_npy_view *view = header->view;
    if (!take(scan, '('))
        return malformed(err, "'shape' is not a tuple");
    header->has_shape = true;
    view->ndim = 0;
    while (!take(scan, ')')) {
        size_t n;
        if (!take_number(scan, &n))
            return malformed(err, "'shape' holds something that is not a "
                                  "non-negative number within reach");
        if (view->ndim == INV_NPY_NDIM_MAX)
            return inv_fail(err, INV_INVALID,
                            ".npy: more than %d dimensions are not supported",
                            INV_NPY_NDIM_MAX);
        view->shape[view->ndim++] = n;
        if (!take(scan, ',')) {
            if (take(scan, ')'))
                break;
            return malformed(err, "'shape' is not closed");
        }
    }
    return INV_OK;
}

static enum inv_status parse_entry(struct scan *scan, struct header *header,
                                   struct inv_err *err) {
    struct text key;
    if (!take_string(scan, &key) || !take(scan, ':'))
        return malformed(err, "expected 'key': value");
    if (text_is(key, "shape"))
        return parse_shape(scan, header, err);
    if (text_is(key, "descr")) {
        if (!take_string(scan, &header->descr))
            return malformed(err, "'descr' is not one plain dtype (structured "
                                  "arrays are not supported)");
        header->has_descr = true;
        return INV_OK;
    }
    if (text_is(key, "fortran_order")) {
        header->has_order = true;
        header->fortran_order = take_word(scan, "True");
        if (!header->fortran_order && !take_word(scan, "False"))
            return malformed(err, "'fortran_order' is not True or False");
        return INV_OK;
    }
    return inv_fail(err, INV_INVALID, ".npy header: unknown key '%.*s'",
                    (int)(key.len < 40 ? key.len : 40), key.start);
}

static enum inv_status parse_header(struct scan *scan, struct header *header,
                                    struct inv_err *err) {
    if (!take(scan, '{'))
        return malformed(err, "does not begin with '{'");
    while (!take(scan, '}')) {
        enum inv_status status = parse_entry(scan, header, err);
        if (status != INV_OK)
            return status;
        if (!take(scan, ',')) {
            if (take(scan, '}'))
                break;
            return malformed(err, "is not closed");
        }
    }
    if (!header->has_descr || !header->has_order || !header->has_shape)
        return malformed(err, "'descr', 'fortran_order' or 'shape' is missing");
    return INV_OK;
}

static enum inv_status check_dtype(const struct header *header,
                                   struct inv_err *err) {
    struct text descr = header->descr;
    int shown = (int)(descr.len < 40 ? descr.len : 40);
    if (descr.len > 1) {
        struct text name = {descr.start + 1, descr.len - 1};
        for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
            if (!text_is(name, dtypes[i].name))
                continue;
            char order = descr.start[0];
            if (order == '<' || order == '=' || dtypes[i].size == 1) {
                header->view->dtype = (enum inv_npy_dtype)i;
                return INV_OK;
            }
            if (order == '>')
                return inv_fail(err, INV_INVALID,
                                ".npy: dtype '%.*s' is big-endian; only "
                                "little-endian is supported",
                                shown, descr.start);
        }
    }
    return inv_fail(err, INV_INVALID,
                    ".npy: dtype '%.*s' is not supported (<f2 <f4 <f8 |i1 |u1 "
                    "<i4 <i8 are)",
                    shown, descr.start);
}

/* The header's fields against each other and against the bytes there are. */
static enum inv_status check_view(const struct header *header, size_t begin,
                                  size_t len, struct inv_err *err) {
    struct inv_npy_view *view = header->view;
    enum inv_status status = check_dtype(header, err);
    if (status != INV_OK)
        return status;
    size_t long_dims = 0;
    for (size_t i = 0; i < view->ndim; i++)
        long_dims += view->shape[i] > 1;
    if (header->fortran_order && long_dims > 1)
        return inv_fail(err, INV_INVALID,
                        ".npy: Fortran order is not supported; save the array "
                        "in C order");
    size_t size = dtypes[view->dtype].size;
    bool overflow = false;
    view->count = 1;
    for (size_t i = 0; i < view->ndim; i++)
        overflow |=
            __builtin_mul_overflow(view->count, view->shape[i], &view->count);
    if (overflow || __builtin_mul_overflow(view->count, size, &view->bytes))
        return inv_fail(err, INV_INVALID,
                        ".npy: the shape asks for more bytes than memory has");
    if (len - begin != view->bytes)
        return inv_fail(err, INV_INVALID,
                        ".npy: %s: expected %zu bytes of data, got %zu",
                        len - begin < view->bytes ? "truncated" : "too long",
                        view->bytes, len - begin);
    if (begin % size != 0)
        return inv_fail(err, INV_INVALID,
                        ".npy: the data begin at byte %zu, not a multiple of "
                        "the element's %zu",
                        begin, size);
    return INV_OK;
}

enum inv_status inv_npy_parse(const void *bytes, size_t len,
                              struct inv_npy_view *view, struct inv_err *err) {
    const uint8_t *p = bytes;
    if (len < 10 || memcmp(p, magic, sizeof magic) != 0)
        return inv_fail(err, INV_INVALID, "not an .npy array (%zu bytes, %s)",
                        len,
                        len < 10 ? "shorter than the 10 of its preamble"
                                 : "without its magic number");
    unsigned major = p[6], minor = p[7];
    if (major < 1 || major > 3)
        return inv_fail(err, INV_INVALID,
                        ".npy version %u.%u is not supported (1 to 3 are)",
                        major, minor);
    size_t preamble = major == 1 ? 10 : 12;
    size_t header_len = (size_t)p[8] | (size_t)p[9] << 8;
    if (major > 1 && len >= preamble)
        header_len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (header_len > HEADER_MAX)
        return inv_fail(err, INV_INVALID,
                        ".npy: a header of %zu bytes exceeds %d", header_len,
                        HEADER_MAX);
    if (len < preamble || len - preamble < header_len)
        return inv_fail(err, INV_INVALID,
                        ".npy: truncated: expected a header of %zu bytes, got "
                        "%zu",
                        header_len, len < preamble ? 0 : len - preamble);
    memset(view, 0, sizeof *view);
    struct header header = {.view = view};
    const char *text = (const char *)p + preamble;
    struct scan scan = {text, text + header_len};
    enum inv_status status = parse_header(&scan, &header, err);
    if (status == INV_OK)
        status = check_view(&header, preamble + header_len, len, err);
    view->data = p + preamble + header_len;
    return status;
}

enum inv_status inv_npy_expect(const struct inv_npy_view *view,
                               const char *what, enum inv_npy_dtype dtype,
                               size_t ndim, struct inv_err *err) {
    if (view->dtype == dtype && view->ndim == ndim)
        return INV_OK;
    return inv_fail(err, INV_INVALID,
                    "%s: expected %s with %zu dimensions, got %s with %zu",
                    what, dtypes[dtype].name, ndim, dtypes[view->dtype].name,
                    view->ndim);
}

/* Maps the whole of an open file. */
static enum inv_status map_file(int fd, const char *path, struct inv_npy *npy,
                                struct inv_err *err) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return inv_fail_errno(err, errno, "cannot read %s", path);
    if (!S_ISREG(info.st_mode))
        return inv_fail(err, INV_IO, "%s is not a regular file", path);
    if (info.st_size == 0)
        return inv_fail(err, INV_INVALID, "%s: an empty file is no .npy array",
                        path);
    size_t len = (size_t)info.st_size;
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return inv_fail_errno(err, errno, "cannot map %s", path);
    npy->map = map;
    npy->map_len = len;
    return INV_OK;
}

enum inv_status inv_npy_open(const char *path, struct inv_npy *npy,
                             struct inv_err *err) {
    *npy = (struct inv_npy){.map = NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return inv_fail_errno(err, errno, "cannot open %s", path);
    enum inv_status status = map_file(fd, path, npy, err);
    close(fd);
    if (status != INV_OK)
        return status;
    struct inv_err why;
    status = inv_npy_parse(npy->map, npy->map_len, &npy->view, &why);
    if (status != INV_OK) {
        inv_npy_close(npy);
        return inv_fail(err, status, "%s: %s", path, why.text);
    }
    return INV_OK;
}

void inv_npy_close(struct inv_npy *npy) {
    if (npy->map != NULL)
        munmap(npy->map, npy->map_len);
    *npy = (struct inv_npy){.map = NULL};
}

/* Fills `out` with preamble and header; returns their length, a multiple of
 * ALIGNMENT. ndim <= INV_NPY_NDIM_MAX, so 22 digits each fit easily. */
static size_t make_header(char *out, size_t cap, enum inv_npy_dtype dtype,
                          size_t ndim, const size_t *shape) {
    size_t size = dtypes[dtype].size;
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    size_t len = 10;
    len += (size_t)snprintf(out + len, cap - len,
                            "{'descr': '%c%s', 'fortran_order': False, "
                            "'shape': (",
                            size == 1 ? '|' : '<', dtypes[dtype].name);
    for (size_t i = 0; i < ndim; i++)
        len += (size_t)snprintf(out + len, cap - len, "%zu,%s", shape[i],
                                i + 1 < ndim ? " " : "");
    len += (size_t)snprintf(out + len, cap - len, "), }");
    while ((len + 1) % ALIGNMENT != 0)
        out[len++] = ' ';
    out[len++] = '\n';
    out[8] = (char)((len - 10) & 0xff);
    out[9] = (char)((len - 10) >> 8);
    return len;
}

enum inv_status inv_npy_write(const char *path, enum inv_npy_dtype dtype,
                              const void *data, size_t ndim,
                              const size_t *shape, struct inv_err *err) {
    if (ndim > INV_NPY_NDIM_MAX)
        return inv_fail(err, INV_INVALID,
                        "%s: %zu dimensions exceed the %d an array may have",
                        path, ndim, INV_NPY_NDIM_MAX);
    size_t bytes = dtypes[dtype].size;
    for (size_t i = 0; i < ndim; i++)
        if (__builtin_mul_overflow(bytes, shape[i], &bytes))
            return inv_fail(err, INV_INVALID, "%s: the shape is too large",
                            path);
    char header[512];
    size_t header_len = make_header(header, sizeof header, dtype, ndim, shape);
    FILE *file = fopen(path, "wbe");
    if (file == NULL)
        return inv_fail_errno(err, errno, "cannot create %s", path);
    bool written = fwrite(header, 1, header_len, file) == header_len &&
                   (bytes == 0 || fwrite(data, 1, bytes, file) == bytes);
    int reason = written ? 0 : errno;
    if (fclose(file) != 0 && reason == 0) {
        written = false;
        reason = errno;
    }
    if (written)
        return INV_OK;
    return inv_fail_errno(err, reason, "cannot write %s", path);
}
