/*
 * json_scan.c: one pass over a body that cuts the vectors out of it. What is
 * left is the same text with a number in place of each array, small enough for
 * a tree; what was cut is remembered, so that a position in the reduced text
 * can be told in terms of the body. Outside the arrays it only follows strings
 * and brackets: whatever is malformed there stays in the reduced text, where
 * jansson finds it. It does not know what a request looks like. Any thread.
 *
 * A placeholder is followed by a space, so that what stood behind the array
 * cannot become part of the number; and a number that the client wrote under
 * such a key is refused here, so that it cannot be taken for a placeholder.
 */
#include "server/json/json_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One open array or object. */
struct level {
    const char *key; /* of the member being read, raw; NULL: none yet */
    size_t key_len;
    long index; /* of the item being read; -1: this is an object */
    bool keep;  /* below payload, filter or with: nothing is cut */
};

struct walker {
    struct inv_json_scan *scan;
    struct inv_matrix_reader reader; /* limits NULL: nothing is cut */
    const char *body, *end;
    const char *copied; /* body up to here is in scan->reduced */
    struct level levels[INV_JSON_DEPTH_MAX];
    int depth;
    struct inv_err *err;
};

static enum inv_status fail_here(const struct walker *walker, const char *at,
                                 enum inv_status status, const char *what) {
    return inv_json_fail_at(walker->err, status, walker->body,
                            (size_t)(walker->end - walker->body),
                            (size_t)(at - walker->body), what);
}

enum inv_status inv_json_fail_at(struct inv_err *err, enum inv_status status,
                                 const char *body, size_t len, size_t at,
                                 const char *what) {
    size_t line = 1;
    size_t column = 1;
    if (at > len)
        at = len;
    for (size_t i = 0; i < at; i++) {
        if (body[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)body[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return inv_fail(err, status, "%s at byte %zu (line %zu, column %zu)", what,
                    at, line, column);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* The character of a key at *p, if it is ASCII and not one of the escapes that
 * no name we look for contains; else -1. */
static int key_character(const char **p, const char *end) {
    const char *at = *p;
    *p = at + 1;
    if (*at != '\\')
        return (unsigned char)*at;
    if (end - at < 6 || at[1] != 'u')
        return -1;
    int code = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    *p = at + 6;
    return code < 0x80 ? code : -1;
}

/* Is the raw text of a key this name? "vect\u006fr" is "vector" too. */
static bool key_is(const struct level *level, const char *name) {
    const char *p = level->key;
    if (p == NULL)
        return false;
    const char *end = p + level->key_len;
    for (; *name != '\0' && p < end; name++)
        if (key_character(&p, end) != *name)
            return false;
    return *name == '\0' && p == end;
}

/* The pointer of the value being read, with the place in the matrix if one. */
static void point(const struct walker *walker,
                  const struct inv_matrix_place *place) {
    char text[sizeof walker->err->pointer];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < walker->depth && used < sizeof text; i++) {
        const struct level *level = &walker->levels[i];
        int n = level->index >= 0
                    ? snprintf(text + used, sizeof text - used, "/%ld",
                               level->index)
                    : snprintf(text + used, sizeof text - used, "/%.*s",
                               (int)level->key_len,
                               level->key == NULL ? "" : level->key);
        used += n > 0 ? (size_t)n : 0;
    }
    char row[24] = "";
    char column[24] = "";
    if (place != NULL && place->row >= 0)
        snprintf(row, sizeof row, "/%ld", place->row);
    if (place != NULL && place->column >= 0)
        snprintf(column, sizeof column, "/%ld", place->column);
    inv_err_at(walker->err, "%s%s%s", text, row, column);
}

/* From behind the opening quote to behind the closing one, or the end. */
static const char *skip_string(const char *p, const char *end) {
    const char *start = p;
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL)
            return end;
        const char *before = quote;
        while (before > start && before[-1] == '\\')
            before--;
        p = quote + 1;
        if ((quote - before) % 2 == 0)
            return p;
        start = p;
    }
    return end;
}

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static enum inv_status open_level(struct walker *walker, const char *at) {
    if (walker->depth == INV_JSON_DEPTH_MAX) {
        char what[80];
        snprintf(what, sizeof what,
                 "nested more than %d levels deep (the limit)",
                 INV_JSON_DEPTH_MAX);
        return fail_here(walker, at, INV_MALFORMED, what);
    }
    struct level *level = &walker->levels[walker->depth];
    bool keep = walker->reader.limits == NULL;
    if (walker->depth > 0) {
        const struct level *above = level - 1;
        keep = above->keep || key_is(above, "payload") ||
               key_is(above, "filter") || key_is(above, "with");
    }
    *level = (struct level){NULL, 0, *at == '[' ? 0 : -1, keep};
    walker->depth++;
    return INV_OK;
}

/* Room for one more cut; sizes double. */
static bool grow(struct inv_json_scan *scan) {
    if (scan->cut_count < scan->cut_room)
        return true;
    size_t room = scan->cut_room == 0 ? 16 : scan->cut_room * 2;
    struct inv_json_cut *cuts = realloc(scan->cuts, room * sizeof *scan->cuts);
    if (cuts != NULL)
        scan->cuts = cuts;
    struct inv_given *given = realloc(scan->given, room * sizeof *scan->given);
    if (given != NULL)
        scan->given = given;
    if (cuts == NULL || given == NULL)
        return false;
    scan->cut_room = room;
    return true;
}

/* Cuts the array at *text out of the body. */
static enum inv_status cut(struct walker *walker, const char **text,
                           bool plural) {
    struct inv_json_scan *scan = walker->scan;
    const char *from = *text;
    struct inv_given given = {.plural = plural};
    enum inv_status status = inv_matrix_read(&walker->reader, text, plural,
                                             &given.matrix, walker->err);
    if (status != INV_OK) {
        point(walker, &walker->reader.place);
        return status;
    }
    if (!grow(scan))
        return inv_fail(walker->err, INV_MEMORY,
                        "out of memory after %zu vectors", scan->cut_count);
    size_t i = scan->cut_count++;
    inv_buf_append(&scan->reduced, walker->copied,
                   (size_t)(from - walker->copied));
    size_t at = scan->reduced.len;
    inv_buf_printf(&scan->reduced, "%zu ", i);
    walker->copied = *text;
    scan->cuts[i] = (struct inv_json_cut){(size_t)(from - walker->body),
                                          (size_t)(*text - walker->body), at,
                                          scan->reduced.len};
    scan->given[i] = given;
    return INV_OK;
}

/* {"vectors":[{"id":..,"vector":..}]}: a list of items, not a matrix. */
static bool is_list(const struct walker *walker, const char *bracket) {
    const char *p = skip_space(bracket + 1, walker->end);
    return walker->depth == 1 && p < walker->end && *p == '{';
}

/* Behind the colon of a member: cuts its array if it is a vector. */
static enum inv_status read_value(struct walker *walker, const char **text) {
    const struct level *level = &walker->levels[walker->depth - 1];
    bool plural = key_is(level, "vectors");
    if (level->keep || (!plural && !key_is(level, "vector")))
        return INV_OK;
    const char *p = skip_space(*text, walker->end);
    if (p == walker->end)
        return INV_OK;
    if (*p == '-' || (*p >= '0' && *p <= '9')) {
        enum inv_status status =
            fail_here(walker, p, INV_INVALID,
                      "expected an array of numbers or an object with "
                      "\"b64\", got a number");
        point(walker, NULL);
        return status;
    }
    if (*p != '[')
        return INV_OK; /* an object stays in the tree; the rest is an error
                          that the getter finds */
    if (plural && is_list(walker, p))
        return INV_OK;
    *text = p;
    return cut(walker, text, plural);
}

/* Behind an opening quote. */
static enum inv_status read_string(struct walker *walker, const char **text) {
    const char *start = *text;
    const char *p = skip_string(start, walker->end);
    *text = p;
    const char *colon = skip_space(p, walker->end);
    if (walker->depth == 0 || colon == walker->end || *colon != ':')
        return INV_OK;
    struct level *level = &walker->levels[walker->depth - 1];
    level->key = start;
    level->key_len = (size_t)(p - 1 - start);
    *text = colon + 1;
    return read_value(walker, text);
}

/* Every byte that is not one of the five brackets, commas and quotes is passed
 * over; so is a closing bracket too many, which jansson will find. */
static enum inv_status walk(struct walker *walker) {
    static const char marks[256] = {
        ['"'] = 1, ['['] = 1, ['{'] = 1, [']'] = 1, ['}'] = 1, [','] = 1};
    const char *p = walker->body;
    enum inv_status status = INV_OK;
    while (status == INV_OK) {
        while (p < walker->end && !marks[(unsigned char)*p])
            p++;
        if (p == walker->end)
            break;
        char mark = *p++;
        if (mark == '"') {
            status = read_string(walker, &p);
        } else if (mark == '[' || mark == '{') {
            status = open_level(walker, p - 1);
        } else if (walker->depth > 0) {
            struct level *level = &walker->levels[walker->depth - 1];
            if (mark != ',')
                walker->depth--;
            else if (level->index >= 0)
                level->index++;
        }
    }
    return status;
}

enum inv_status inv_json_scan(struct inv_json_scan *scan,
                              struct inv_arena *arena, const char *body,
                              size_t len, const struct inv_json_limits *limits,
                              struct inv_err *err) {
    *scan = (struct inv_json_scan){.reduced = INV_BUF_INIT};
    if (len == 0) /* memchr and subtraction want a real pointer */
        return inv_json_fail_at(err, INV_MALFORMED, body, 0, 0,
                                "nothing: expected JSON");
    struct walker walker;
    walker.scan = scan;
    walker.reader = (struct inv_matrix_reader){
        .body = body, .end = body + len, .limits = limits, .arena = arena};
    walker.body = walker.copied = body;
    walker.end = body + len;
    walker.depth = 0;
    walker.err = err;
    enum inv_status status = walk(&walker);
    free(walker.reader.numbers);
    if (status != INV_OK)
        return status;
    if (scan->cut_count > 0)
        inv_buf_append(&scan->reduced, walker.copied,
                       (size_t)(walker.end - walker.copied));
    if (scan->reduced.failed)
        return inv_fail(err, INV_MEMORY,
                        "out of memory for a body of %zu bytes", len);
    return INV_OK;
}

void inv_json_scan_release(struct inv_json_scan *scan) {
    inv_buf_release(&scan->reduced);
    free(scan->cuts);
    free(scan->given);
    *scan = (struct inv_json_scan){.reduced = INV_BUF_INIT};
}

size_t inv_json_scan_origin(const struct inv_json_scan *scan, size_t at) {
    size_t low = 0;
    size_t high = scan->cut_count; /* the first cut that begins behind at */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->cuts[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return at;
    const struct inv_json_cut *last = &scan->cuts[low - 1];
    return at < last->until ? last->from : last->to + (at - last->until);
}
