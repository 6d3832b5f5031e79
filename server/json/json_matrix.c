/*
 * json_matrix.c: the array of numbers of a vector, or the array of such arrays
 * of a matrix, from text into floats. This is the hot part of every body: a
 * document of 128 tokens is a hundred kilobytes of digits. It knows neither the
 * keys above the array (the scanner adds them to the pointer) nor jansson. Any
 * thread; one reader each.
 */
#include "server/json/json_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static enum inv_status fail_here(const struct inv_matrix_reader *reader,
                                 const char *at, enum inv_status status,
                                 const char *what, struct inv_err *err) {
    return inv_json_fail_at(err, status, reader->body,
                            (size_t)(reader->end - reader->body),
                            (size_t)(at - reader->body), what);
}

/* The number of items of the array that begins before p: for error texts,
 * once something is wrong. Items hold no strings, or the count is off. */
static size_t count_items(const char *p, const char *end) {
    size_t count = 1;
    int depth = 0;
    for (; p < end && *p != '"'; p++) {
        if (*p == '[')
            depth++;
        else if (*p == ']' && depth-- == 0)
            break;
        else if (*p == ',' && depth == 0)
            count++;
    }
    return count;
}

/* What the value at `at` is, by how it begins; NULL: no JSON value. */
static const char *value_name(const char *at, size_t left) {
    static const struct {
        const char *text, *name;
    } begins[] = {
        {"\"", "a string"}, {"{", "an object"},    {"[", "an array"},
        {"null", "null"},   {"true", "a boolean"}, {"false", "a boolean"},
    };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        size_t len = strlen(begins[i].text);
        if (left >= len && memcmp(at, begins[i].text, len) == 0)
            return begins[i].name;
    }
    return *at == '-' || (*at >= '0' && *at <= '9') ? "a number" : NULL;
}

/* Says what stands where a number (or a row) belongs. */
static enum inv_status not_a_number(const struct inv_matrix_reader *reader,
                                    const char *at, bool row,
                                    struct inv_err *err) {
    const char *wanted = row ? "an array of numbers" : "a number";
    size_t left = (size_t)(reader->end - at);
    if (left == 0)
        return fail_here(reader, at, INV_MALFORMED,
                         "the body ends inside an array of numbers", err);
    const char *got = value_name(at, left);
    char what[96];
    if (got != NULL) {
        snprintf(what, sizeof what, "expected %s, got %s", wanted, got);
        return fail_here(reader, at, INV_INVALID, what, err);
    }
    if (*at > ' ' && *at < 0x7f)
        snprintf(what, sizeof what, "expected %s near '%c'", wanted, *at);
    else
        snprintf(what, sizeof what, "expected %s", wanted);
    return fail_here(reader, at, INV_MALFORMED, what, err);
}

static enum inv_status bad_number(const struct inv_matrix_reader *reader,
                                  const char *start, const char *at,
                                  enum inv_status status, struct inv_err *err) {
    if (status == INV_MEMORY)
        return inv_fail(err, status, "out of memory reading a number");
    if (at == start)
        return not_a_number(reader, at, false, err);
    return fail_here(reader, at, INV_MALFORMED, "malformed number", err);
}

static enum inv_status out_of_range(const struct inv_matrix_reader *reader,
                                    const char *start, const char *stop,
                                    struct inv_err *err) {
    char what[128];
    int len = stop - start < 40 ? (int)(stop - start) : 40;
    snprintf(what, sizeof what,
             "the number %.*s is out of range (at most %g either way)", len,
             start, (double)INV_VALUE_ABS_MAX);
    return fail_here(reader, start, INV_NOT_FINITE, what, err);
}

static enum inv_status grow(struct inv_matrix_reader *reader,
                            struct inv_err *err) {
    size_t room = reader->room == 0 ? 1024 : reader->room * 2;
    float *numbers = realloc(reader->numbers, room * sizeof *numbers);
    if (numbers == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu numbers", room);
    reader->numbers = numbers;
    reader->room = room;
    return INV_OK;
}

/* The comma or bracket behind an item. */
static inline enum inv_status
read_separator(const struct inv_matrix_reader *reader, const char **text,
               bool *more, struct inv_err *err) {
    const char *p = *text;
    if (p < reader->end && *p != ',' && *p != ']')
        p = skip_space(p, reader->end);
    if (p == reader->end || (*p != ',' && *p != ']')) {
        const char *what = p == reader->end
                               ? "the body ends inside an array of numbers"
                               : "expected ',' or ']'";
        return fail_here(reader, p, INV_MALFORMED, what, err);
    }
    *more = *p++ == ',';
    *text = p;
    return INV_OK;
}

/* Reads the row at *text ('[' there) behind the `used` numbers that are there
 * already. *count: how many it had. */
static enum inv_status read_row(struct inv_matrix_reader *reader,
                                const char **text, size_t used, size_t *count,
                                struct inv_err *err) {
    const char *end = reader->end;
    const char *first = *text + 1;
    const char *p = skip_space(first, end);
    if (p < end && *p == ']')
        return fail_here(reader, *text, INV_INVALID,
                         "an empty array is not a vector", err);
    enum inv_status status = INV_OK;
    size_t n = 0;
    bool more = true;
    while (more) {
        p = skip_space(p, end);
        reader->place.column = (long)n;
        if (n == reader->limits->max_dim) {
            reader->place.column = -1;
            return inv_fail(err, INV_INVALID,
                            "a vector of %zu numbers; at most %zu are allowed",
                            count_items(first, end), reader->limits->max_dim);
        }
        if (used + n == reader->room && (status = grow(reader, err)) != INV_OK)
            return status;
        const char *start = p;
        float *out = reader->numbers + used + n;
        if (p == end)
            return not_a_number(reader, p, false, err);
        if ((status = inv_number_read(&p, end, out)) != INV_OK)
            return bad_number(reader, start, p, status, err);
        if (!(fabsf(*out) <= INV_VALUE_ABS_MAX))
            return out_of_range(reader, start, p, err);
        if ((status = read_separator(reader, &p, &more, err)) != INV_OK)
            return status;
        n++;
    }
    reader->place.column = -1;
    *count = n;
    *text = p;
    return INV_OK;
}

static enum inv_status ragged(const struct inv_matrix_reader *reader,
                              const char *start, size_t row, size_t count,
                              size_t dim, struct inv_err *err) {
    char what[160];
    snprintf(what, sizeof what,
             "row %zu has %zu numbers where row 0 has %zu: all rows must be "
             "equally long",
             row, count, dim);
    return fail_here(reader, start, INV_DIMENSION, what, err);
}

static enum inv_status read_rows(struct inv_matrix_reader *reader,
                                 const char **text, struct inv_matrix *out,
                                 struct inv_err *err) {
    const char *end = reader->end;
    const char *first = *text + 1;
    const char *p = skip_space(first, end);
    if (p < end && *p == ']')
        return fail_here(reader, *text, INV_INVALID,
                         "an empty array holds no vectors", err);
    bool more = true;
    while (more) {
        p = skip_space(p, end);
        if (out->rows == reader->limits->max_rows)
            return inv_fail(err, INV_INVALID,
                            "a matrix of %zu vectors; at most %zu are allowed",
                            count_items(first, end), reader->limits->max_rows);
        reader->place.row = (long)out->rows;
        if (p == end || *p != '[')
            return not_a_number(reader, p, true, err);
        const char *start = p;
        size_t count = 0;
        enum inv_status status =
            read_row(reader, &p, out->rows * out->dim, &count, err);
        if (status != INV_OK)
            return status;
        if (out->rows == 0)
            out->dim = count;
        else if (count != out->dim)
            return ragged(reader, start, out->rows, count, out->dim, err);
        out->rows++;
        if ((status = read_separator(reader, &p, &more, err)) != INV_OK)
            return status;
        reader->place.row = -1;
    }
    *text = p;
    return INV_OK;
}

enum inv_status inv_matrix_read(struct inv_matrix_reader *reader,
                                const char **text, bool plural,
                                struct inv_matrix *out, struct inv_err *err) {
    struct inv_matrix matrix = {NULL, 0, 0};
    enum inv_status status;
    reader->place = (struct inv_matrix_place){-1, -1};
    if (plural) {
        status = read_rows(reader, text, &matrix, err);
    } else {
        status = read_row(reader, text, 0, &matrix.dim, err);
        matrix.rows = 1;
    }
    if (status != INV_OK)
        return status;
    size_t bytes = matrix.rows * matrix.dim * sizeof(float);
    matrix.data = inv_arena_alloc(reader->arena, bytes);
    if (matrix.data == NULL)
        return inv_fail(err, INV_MEMORY,
                        "out of memory for %zu vectors of %zu numbers",
                        matrix.rows, matrix.dim);
    memcpy(matrix.data, reader->numbers, bytes);
    *out = matrix;
    return INV_OK;
}
