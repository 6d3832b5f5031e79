/*
 * lines.h: text files line by line, gzip'ed or plain (lines.c is the only file
 * that includes zlib.h). One thread at a time.
 */
#ifndef INV_CLI_LINES_H
#define INV_CLI_LINES_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define INV_LINE_MAX ((size_t)256 << 20)

struct inv_lines; /* an open file */

/* "-" is standard input. INV_NOT_FOUND when there is no such file, INV_IO. */
enum inv_status inv_lines_open(const char *path, struct inv_lines **out,
                               struct inv_err *err) INV_MUST_USE;
void inv_lines_close(struct inv_lines *lines); /* NULL is fine */

/* The next line without its newline (or CR LF), followed by a NUL; valid until
 * the next call. *line NULL at the end. INV_IO and INV_CORRUPT name file and
 * line; a line may have INV_LINE_MAX bytes. */
enum inv_status inv_lines_next(struct inv_lines *lines, char **line,
                               size_t *len, struct inv_err *err) INV_MUST_USE;

/* Every line of a file, through `take`; the first that fails ends it, and the
 * error says "FILE, line N: " before what `take` said. */
typedef enum inv_status inv_line_fn(void *ctx, uint64_t number,
                                    const char *line, size_t len,
                                    struct inv_err *err);
enum inv_status inv_lines_each(const char *path, inv_line_fn *take, void *ctx,
                               struct inv_err *err) INV_MUST_USE;

const char *inv_lines_path(const struct inv_lines *lines);
uint64_t inv_lines_number(const struct inv_lines *lines); /* of the last, 1.. */
/* Bytes of the file (as it lies on disk) that were read, and all of them; 0:
 * unknown. */
uint64_t inv_lines_offset(const struct inv_lines *lines);
uint64_t inv_lines_size(const struct inv_lines *lines);

#endif
