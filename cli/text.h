/*
 * text.h: text for a terminal: widths, wrapping, tables, numbers as people
 * read them. A character is a code point and one column wide; wide scripts are
 * therefore wrapped late, never wrongly cut. Pure functions but for the
 * terminal's width; any thread.
 */
#ifndef INV_CLI_TEXT_H
#define INV_CLI_TEXT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Code points of len bytes; a stray byte counts as one. */
size_t inv_text_width(const char *text, size_t len);

/* Appends a text as one line without control characters (what comes from a
 * server must not steer the terminal), runs of blanks as one, at most
 * `max_chars` code points, the last one "…" when cut. */
void inv_text_clean(struct inv_buf *out, const char *text, size_t len,
                    size_t max_chars);

/* Appends a cleaned text in lines of at most `width` columns, each begun with
 * `indent` blanks and ended by a newline. A longer word is cut. */
void inv_text_wrap(struct inv_buf *out, const char *text, size_t len,
                   size_t indent, size_t width);

/* Each fills out[INV_NUMBER_MAX] and returns it. */
#define INV_NUMBER_MAX 32
const char *inv_text_count(char *out, uint64_t n);  /* "1,234,567" */
const char *inv_text_bytes(char *out, uint64_t n);  /* "1.2 MB" */
const char *inv_text_duration(char *out, double s); /* "0:07", "1:02:03" */
/* Milliseconds since 1970 as "2026-11-26 17:14:05", in UTC. */
const char *inv_text_time(char *out, uint64_t ms);

/* Columns of the terminal that `file` is, else 80; within 40..200. */
size_t inv_text_columns(FILE *file);

/* A table: the first row is the heading; a heading that begins with '>' makes
 * its column flush right (the sign is not shown). */
#define INV_TABLE_COLUMNS 12
struct inv_table {
    char **cells; /* rows x columns */
    size_t columns, rows, cap;
    bool failed;
};

void inv_table_init(struct inv_table *table, size_t columns);
void inv_table_release(struct inv_table *table);
/* As many texts as there are columns; NULL is an empty cell. */
void inv_table_row(struct inv_table *table, const char *const *cells);
/* The text; an out of memory shows in out->failed. */
void inv_table_write(const struct inv_table *table, struct inv_buf *out);

#endif
