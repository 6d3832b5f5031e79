/*
 * lines.c: see lines.h. zlib reads plain files as they are, so there is one
 * way for both. Knows nothing of what the lines say. One thread at a time.
 */
#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK ((size_t)64 << 10)

struct inv_lines {
    gzFile file;
    char *path;
    struct inv_buf buf; /* bytes read; lines end inside */
    size_t at;          /* where the next line begins */
    uint64_t number;
    uint64_t size;
    bool ended;
};

static enum inv_status open_file(const char *path, int *out, uint64_t *size,
                                 struct inv_err *err) {
    struct stat info;
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
                                    : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return inv_fail(err, INV_NOT_FOUND, "there is no file %s", path);
    if (fd < 0)
        return inv_fail_errno(err, errno, "%s cannot be opened", path);
    bool known = fstat(fd, &info) == 0;
    if (known && S_ISDIR(info.st_mode)) {
        close(fd);
        return inv_fail(err, INV_INVALID, "%s is a folder, not a file", path);
    }
    *size = known && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    *out = fd;
    return INV_OK;
}

enum inv_status inv_lines_open(const char *path, struct inv_lines **out,
                               struct inv_err *err) {
    int fd = -1;
    uint64_t size = 0;
    enum inv_status status = open_file(path, &fd, &size, err);
    if (status != INV_OK)
        return status;
    struct inv_lines *lines = calloc(1, sizeof *lines);
    char *name = strdup(path);
    gzFile file = gzdopen(fd, "rb");
    if (lines == NULL || name == NULL || file == NULL) {
        free(lines);
        free(name);
        if (file != NULL)
            gzclose(file);
        else
            close(fd);
        return inv_fail(err, INV_MEMORY, "out of memory for reading %s", path);
    }
    gzbuffer(file, (unsigned)CHUNK);
    lines->file = file;
    lines->path = name;
    lines->size = size;
    *out = lines;
    return INV_OK;
}

void inv_lines_close(struct inv_lines *lines) {
    if (lines == NULL)
        return;
    gzclose(lines->file);
    inv_buf_release(&lines->buf);
    free(lines->path);
    free(lines);
}

/* Reads one chunk more; sets ended. */
static enum inv_status fill(struct inv_lines *lines, struct inv_err *err) {
    struct inv_buf *buf = &lines->buf;
    if (lines->at > 0) {
        memmove(buf->data, buf->data + lines->at, buf->len - lines->at);
        buf->len -= lines->at;
        lines->at = 0;
    }
    if (buf->len > INV_LINE_MAX)
        return inv_fail(err, INV_TOO_LARGE,
                        "%s: line %llu has more than %zu bytes", lines->path,
                        (unsigned long long)lines->number + 1, INV_LINE_MAX);
    if (!inv_buf_reserve(buf, CHUNK))
        return inv_fail(err, INV_MEMORY, "out of memory for a line of %s",
                        lines->path);
    int got = gzread(lines->file, buf->data + buf->len, (unsigned)CHUNK);
    int code = Z_OK;
    const char *why = gzerror(lines->file, &code);
    if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END))
        return code == Z_ERRNO
                   ? inv_fail_errno(err, errno, "%s cannot be read",
                                    lines->path)
                   : inv_fail(err, INV_CORRUPT,
                              "%s is damaged behind line "
                              "%llu: %s",
                              lines->path, (unsigned long long)lines->number,
                              why);
    buf->len += (size_t)got;
    buf->data[buf->len] = '\0';
    lines->ended = got == 0;
    return INV_OK;
}

enum inv_status inv_lines_next(struct inv_lines *lines, char **line,
                               size_t *len, struct inv_err *err) {
    struct inv_buf *buf = &lines->buf;
    size_t searched = 0;
    char *end = NULL;
    for (;;) {
        size_t have = buf->len - lines->at;
        if (have > searched)
            end =
                memchr(buf->data + lines->at + searched, '\n', have - searched);
        if (end != NULL || lines->ended)
            break;
        searched = have;
        enum inv_status status = fill(lines, err);
        if (status != INV_OK)
            return status;
    }
    *line = NULL;
    *len = 0;
    if (end == NULL && lines->at == buf->len)
        return INV_OK;
    char *start = buf->data + lines->at;
    size_t n = end != NULL ? (size_t)(end - start) : buf->len - lines->at;
    lines->at += n + (end != NULL);
    if (n > 0 && start[n - 1] == '\r')
        n--;
    start[n] = '\0';
    lines->number++;
    *line = start;
    *len = n;
    return INV_OK;
}

enum inv_status inv_lines_each(const char *path, inv_line_fn *take, void *ctx,
                               struct inv_err *err) {
    struct inv_lines *lines = NULL;
    struct inv_err why = {.text = ""};
    enum inv_status status = inv_lines_open(path, &lines, err);
    while (status == INV_OK) {
        char *line;
        size_t len;
        status = inv_lines_next(lines, &line, &len, err);
        if (status != INV_OK || line == NULL)
            break;
        status = take(ctx, lines->number, line, len, &why);
        if (status != INV_OK)
            status = inv_fail(err, status, "%s, line %" PRIu64 ": %s", path,
                              lines->number, why.text);
    }
    inv_lines_close(lines);
    return status;
}

const char *inv_lines_path(const struct inv_lines *lines) {
    return lines->path;
}

uint64_t inv_lines_number(const struct inv_lines *lines) {
    return lines->number;
}

uint64_t inv_lines_offset(const struct inv_lines *lines) {
    z_off_t offset = gzoffset(lines->file);
    return offset < 0 ? 0 : (uint64_t)offset;
}

uint64_t inv_lines_size(const struct inv_lines *lines) { return lines->size; }
