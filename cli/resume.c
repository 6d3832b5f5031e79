/*
 * resume.c: see resume.h. Knows positions, nothing of documents.
 */
#include "cli/resume.h"

#include "base/file.h"
#include "base/hash.h"
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER "invar import 1 "
#define STATE_FILE_MAX ((size_t)64 << 20)

enum inv_status inv_resume_path(const char *identity, struct inv_buf *out,
                                struct inv_err *err) {
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/')
        inv_buf_puts(out, state);
    else if (home != NULL && home[0] == '/')
        inv_buf_printf(out, "%s/.local/state", home);
    else
        return inv_fail(err, INV_NOT_FOUND,
                        "neither XDG_STATE_HOME nor HOME is set");
    inv_buf_printf(out, "/invar/%016" PRIx64 ".import",
                   inv_hash(INV_HASH_INIT, identity, strlen(identity)));
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a path")
                       : INV_OK;
}

/* ---- reading ---- */

static int by_from(const void *a, const void *b) {
    const struct inv_span *x = a;
    const struct inv_span *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Sorts, and joins what touches. */
static void merge(struct inv_resume *resume) {
    struct inv_span *spans = resume->spans;
    size_t to = 0;
    if (resume->span_count == 0)
        return;
    qsort(spans, resume->span_count, sizeof *spans, by_from);
    for (size_t i = 1; i < resume->span_count; i++) {
        uint64_t end = spans[to].from + spans[to].count;
        uint64_t more = spans[i].from + spans[i].count;
        if (spans[i].from > end)
            spans[++to] = spans[i];
        else if (more > end)
            spans[to].count = more - spans[to].from;
    }
    resume->span_count = to + 1;
}

/* "<from> <count>" with nothing behind it. */
static bool read_span(const char *line, size_t len, struct inv_span *span) {
    char text[64];
    if (len >= sizeof text)
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    char *blank = strchr(text, ' ');
    if (blank == NULL)
        return false;
    *blank = '\0';
    return inv_parse_uint(text, UINT64_MAX / 2, &span->from) &&
           inv_parse_uint(blank + 1, UINT64_MAX / 2, &span->count) &&
           span->count > 0;
}

static enum inv_status read_spans(const char *text, struct inv_resume *resume,
                                  struct inv_err *err) {
    size_t cap = 0;
    const char *end;
    for (; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        struct inv_span span;
        if (!read_span(text, (size_t)(end - text), &span))
            continue;
        if (resume->span_count == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            struct inv_span *more = realloc(resume->spans, cap * sizeof *more);
            if (more == NULL)
                return inv_fail(err, INV_MEMORY,
                                "out of memory for %zu positions", cap);
            resume->spans = more;
        }
        resume->spans[resume->span_count++] = span;
    }
    merge(resume);
    return INV_OK;
}

/* Takes over what is there if it is of this identity; *fits says so. *torn:
 * the last line was cut off. */
static enum inv_status load(const char *identity, struct inv_resume *resume,
                            bool *fits, bool *torn, struct inv_err *err) {
    struct inv_buf text = INV_BUF_INIT;
    size_t len = strlen(identity);
    enum inv_status status = INV_OK;
    *fits = false;
    *torn = false;
    if (access(resume->path, R_OK) == 0)
        status = inv_buf_read_file(&text, resume->path, STATE_FILE_MAX, err);
    if (status == INV_OK && text.len > strlen(HEADER) + len &&
        memcmp(text.data, HEADER, strlen(HEADER)) == 0 &&
        memcmp(text.data + strlen(HEADER), identity, len) == 0 &&
        text.data[strlen(HEADER) + len] == '\n') {
        *fits = true;
        *torn = text.data[text.len - 1] != '\n';
        status = read_spans(text.data + strlen(HEADER) + len + 1, resume, err);
    }
    inv_buf_release(&text);
    return status;
}

/* ---- the file ---- */

static enum inv_status make_folder(const char *path, struct inv_err *err) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return INV_OK;
    char *folder = strndup(path, (size_t)(slash - path));
    if (folder == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a path");
    enum inv_status status = inv_file_mkdirs(folder, err);
    free(folder);
    return status;
}

static enum inv_status open_to_append(const char *identity, bool fits,
                                      bool torn, struct inv_resume *resume,
                                      struct inv_err *err) {
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    resume->fd = open(resume->path, fits ? flags : flags | O_TRUNC, 0600);
    if (resume->fd < 0)
        return inv_fail_errno(err, errno, "%s cannot be opened", resume->path);
    if (fits)
        return torn ? inv_file_write_all(resume->fd, "\n", 1, err) : INV_OK;
    struct inv_buf header = INV_BUF_INIT;
    inv_buf_printf(&header, HEADER "%s\n", identity);
    enum inv_status status =
        header.failed
            ? inv_fail(err, INV_MEMORY, "out of memory for a line")
            : inv_file_write_all(resume->fd, header.data, header.len, err);
    inv_buf_release(&header);
    return status;
}

enum inv_status inv_resume_open(const char *path, const char *identity,
                                bool restart, struct inv_resume *resume,
                                struct inv_err *err) {
    bool fits = false;
    bool torn = false;
    *resume = (struct inv_resume)INV_RESUME_INIT;
    resume->path = strdup(path);
    if (resume->path == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a path");
    enum inv_status status = make_folder(path, err);
    if (status == INV_OK && !restart)
        status = load(identity, resume, &fits, &torn, err);
    if (status == INV_OK)
        status = open_to_append(identity, fits, torn, resume, err);
    if (status != INV_OK)
        inv_resume_close(resume);
    return status;
}

void inv_resume_close(struct inv_resume *resume) {
    if (resume->fd >= 0)
        close(resume->fd);
    free(resume->spans);
    free(resume->path);
    *resume = (struct inv_resume)INV_RESUME_INIT;
}

void inv_resume_finish(struct inv_resume *resume) {
    if (resume->path != NULL)
        unlink(resume->path);
    inv_resume_close(resume);
}

bool inv_resume_has(const struct inv_resume *resume, uint64_t position) {
    size_t low = 0;
    size_t high = resume->span_count;
    while (low < high) { /* the first span that ends behind position */
        size_t middle = low + (high - low) / 2;
        const struct inv_span *span = &resume->spans[middle];
        if (span->from + span->count <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < resume->span_count && resume->spans[low].from <= position;
}

uint64_t inv_resume_total(const struct inv_resume *resume) {
    uint64_t total = 0;
    for (size_t i = 0; i < resume->span_count; i++)
        total += resume->spans[i].count;
    return total;
}

enum inv_status inv_resume_add(struct inv_resume *resume, uint64_t from,
                               uint64_t count, struct inv_err *err) {
    char line[64];
    int len =
        snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 "\n", from, count);
    if (resume->fd < 0)
        return INV_OK;
    return inv_file_write_all(resume->fd, line, (size_t)len, err);
}
