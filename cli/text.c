/*
 * text.c: see text.h. Knows UTF-8 as lead and continuation bytes, no locale.
 * Any thread.
 */
#include "cli/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- widths ---- */

static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* Bytes of the character at text[0], len > 0. */
static size_t step(const char *text, size_t len) {
    unsigned char lead = (unsigned char)text[0];
    size_t want = lead < 0xc0 || lead >= 0xf8 ? 1
                  : lead < 0xe0               ? 2
                  : lead < 0xf0               ? 3
                                              : 4;
    size_t n = 1;
    while (n < want && n < len && continues(text[n]))
        n++;
    return n;
}

size_t inv_text_width(const char *text, size_t len) {
    size_t width = 0;
    for (size_t i = 0; i < len; i += step(text + i, len - i))
        width++;
    return width;
}

/* C0, DEL, C1 (U+0080 to U+009F) and the blank itself. */
static bool is_blank(const char *text, size_t bytes) {
    unsigned char c = (unsigned char)text[0];
    if (bytes == 1)
        return c <= ' ' || c == 0x7f || c >= 0x80;
    return bytes == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0;
}

void inv_text_clean(struct inv_buf *out, const char *text, size_t len,
                    size_t max_chars) {
    size_t chars = 0;
    bool gap = false;
    size_t last = out->len; /* where the last character begins */
    for (size_t i = 0; i < len;) {
        size_t bytes = step(text + i, len - i);
        if (is_blank(text + i, bytes)) {
            gap = chars > 0;
            i += bytes;
            continue;
        }
        if (chars + gap >= max_chars) {
            if (max_chars > 0 && out->data != NULL && !out->failed) {
                out->len = chars == max_chars ? last : out->len;
                inv_buf_puts(out, "…");
            }
            return;
        }
        if (gap)
            inv_buf_putc(out, ' ');
        chars += gap + (size_t)1;
        gap = false;
        last = out->len;
        inv_buf_append(out, text + i, bytes);
        i += bytes;
    }
}

/* Bytes of the longest prefix that fits in `width` columns, broken at a blank
 * where there is one. text is clean. */
static size_t fit(const char *text, size_t len, size_t width) {
    size_t chars = 0;
    size_t at_blank = 0;
    size_t i = 0;
    while (i < len && chars < width) {
        if (text[i] == ' ')
            at_blank = i;
        i += step(text + i, len - i);
        chars++;
    }
    if (i == len || text[i] == ' ' || at_blank == 0)
        return i;
    return at_blank;
}

void inv_text_wrap(struct inv_buf *out, const char *text, size_t len,
                   size_t indent, size_t width) {
    struct inv_buf clean = INV_BUF_INIT;
    inv_text_clean(&clean, text, len, SIZE_MAX);
    out->failed = out->failed || clean.failed;
    size_t room = width > indent + 10 ? width - indent : 10;
    for (size_t at = 0; at < clean.len;) {
        size_t bytes = fit(clean.data + at, clean.len - at, room);
        inv_buf_printf(out, "%*s%.*s\n", (int)indent, "", (int)bytes,
                       clean.data + at);
        at += bytes;
        if (at < clean.len && clean.data[at] == ' ')
            at++;
    }
    inv_buf_release(&clean);
}

/* ---- numbers ---- */

const char *inv_text_count(char *out, uint64_t n) {
    char digits[INV_NUMBER_MAX];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    int to = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = '\0';
    return out;
}

const char *inv_text_bytes(char *out, uint64_t n) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double value = (double)n;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(out, INV_NUMBER_MAX, "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0,
             value, units[unit]);
    return out;
}

const char *inv_text_duration(char *out, double s) {
    if (!(s >= 0))
        s = 0;
    if (s > 3.6e6)
        s = 3.6e6;
    unsigned total = (unsigned)(s + .5);
    unsigned hours = total / 3600;
    unsigned minutes = total / 60 % 60;
    if (hours > 0)
        snprintf(out, INV_NUMBER_MAX, "%u:%02u:%02u", hours, minutes,
                 total % 60);
    else
        snprintf(out, INV_NUMBER_MAX, "%u:%02u", minutes, total % 60);
    return out;
}

const char *inv_text_time(char *out, uint64_t ms) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(out, INV_NUMBER_MAX, "%Y-%m-%d %H:%M:%S", &utc) == 0)
        snprintf(out, INV_NUMBER_MAX, "%" PRIu64 " ms", ms);
    return out;
}

size_t inv_text_columns(FILE *file) {
    struct winsize size = {0};
    size_t columns = 80;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    return columns < 40 ? 40 : columns > 200 ? 200 : columns;
}

/* ---- tables ---- */

void inv_table_init(struct inv_table *table, size_t columns) {
    *table = (struct inv_table){.columns = columns};
}

void inv_table_release(struct inv_table *table) {
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    inv_table_init(table, table->columns);
}

void inv_table_row(struct inv_table *table, const char *const *cells) {
    if (table->failed)
        return;
    if (table->rows == table->cap) {
        size_t cap = table->cap == 0 ? 16 : table->cap * 2;
        char **more =
            realloc(table->cells, cap * table->columns * sizeof *more);
        if (more == NULL) {
            table->failed = true;
            return;
        }
        table->cells = more;
        table->cap = cap;
    }
    char **row = table->cells + table->rows * table->columns;
    for (size_t i = 0; i < table->columns; i++) {
        row[i] = strdup(cells[i] == NULL ? "" : cells[i]);
        table->failed = table->failed || row[i] == NULL;
    }
    table->rows++;
}

static const char *cell(const struct inv_table *table, size_t row, size_t i) {
    const char *text = table->cells[row * table->columns + i];
    return row == 0 && text[0] == '>' ? text + 1 : text;
}

static size_t column_width(const struct inv_table *table, size_t i) {
    size_t widest = 0;
    for (size_t row = 0; row < table->rows; row++) {
        const char *text = cell(table, row, i);
        size_t width = inv_text_width(text, strlen(text));
        if (width > widest)
            widest = width;
    }
    return widest;
}

void inv_table_write(const struct inv_table *table, struct inv_buf *out) {
    size_t widths[INV_TABLE_COLUMNS];
    if (table->failed || table->columns > INV_TABLE_COLUMNS) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = column_width(table, i);
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            const char *text = cell(table, row, i);
            size_t pad = widths[i] - inv_text_width(text, strlen(text));
            bool right = table->cells[i][0] == '>';
            if (i > 0)
                inv_buf_puts(out, "  ");
            if (right)
                inv_buf_printf(out, "%*s", (int)pad, "");
            inv_buf_puts(out, text);
            if (!right && i + 1 < table->columns)
                inv_buf_printf(out, "%*s", (int)pad, "");
        }
        inv_buf_putc(out, '\n');
    }
}
