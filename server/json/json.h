/*
 * json.h: reading JSON. Vectors never become a tree: a scanner
 * (json_scan.c) finds the number arrays of "vector" and "vectors" and writes
 * them straight into matrices; the rest goes to jansson (json_tree.c, the only
 * file that includes jansson.h). Everything lives in the request's arena,
 * except the tree, which inv_json_close frees.
 */
#ifndef INV_SERVER_JSON_JSON_H
#define INV_SERVER_JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/vector.h"
#include "index/filter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value of a parsed document; opaque (jansson's json_t). */
typedef struct inv_json_value inv_json;

/* Vectors as they were given: always as f32; when they came as base64 or
 * binary also as the codes that were sent (data == NULL if not), so that what
 * is stored can be what was sent. */
struct inv_given {
    struct inv_matrix matrix; /* data == NULL: none given */
    struct inv_codes codes;
    bool plural; /* given as a matrix ("vectors") */
};

/* A parsed body: the tree and the matrices that were cut out of it. */
struct inv_json_doc {
    inv_json *root;
    struct inv_given *vectors; /* placeholder i of the tree stands for [i] */
    size_t vector_count;
    struct inv_arena *arena;
};

struct inv_json_limits {
    size_t max_dim;  /* INV_DIM_MAX */
    size_t max_rows; /* tokens of one matrix */
};

/* Parses a whole body. Malformed: INV_MALFORMED "... at byte 812 (line 3,
 * column 14)" in terms of the body as sent. Vectors are cut out wherever the
 * key is "vector" (an array) or "vectors" (an array of arrays) and no enclosing
 * key is "payload", "filter" or "with"; a number under such a key is an error.
 * A "vectors" of the body itself that is a list of objects stays in the tree.
 * Checks there: ragged rows (both lengths, and which row), not a number, more
 * rows or dims than the limits (both numbers), an empty array; NaN/Infinity
 * literals are malformed; overflow like 1e39 is INV_NOT_FINITE; |x| >
 * INV_VALUE_ABS_MAX is INV_NOT_FINITE. Errors carry the JSON pointer.
 * Duplicate keys in one object, invalid UTF-8, NUL in strings, depth >
 * INV_JSON_DEPTH_MAX, trailing bytes, integers beyond 64 bits: INV_MALFORMED.
 * Ragged rows: INV_DIMENSION; the other checks: INV_INVALID. Bytes count from
 * 0, lines and columns (characters) from 1. A tree that needs more memory than
 * the arena may still hand out: INV_TOO_LARGE. */
enum inv_status inv_json_parse(struct inv_json_doc *doc,
                               struct inv_arena *arena, const char *body,
                               size_t len, const struct inv_json_limits *limits,
                               struct inv_err *err) INV_MUST_USE;
void inv_json_close(struct inv_json_doc *doc); /* NULL root is fine */

/* Plain parse without the scanner (payloads, settings, answers read by the
 * command line). */
enum inv_status inv_json_parse_plain(const char *text, size_t len,
                                     inv_json **out,
                                     struct inv_err *err) INV_MUST_USE;
void inv_json_free(inv_json *value);

enum inv_json_kind {
    INV_JSON_NULL,
    INV_JSON_BOOL,
    INV_JSON_INT,
    INV_JSON_REAL,
    INV_JSON_STRING,
    INV_JSON_ARRAY,
    INV_JSON_OBJECT,
};
enum inv_json_kind inv_json_kind(const inv_json *value);
const char *inv_json_kind_name(enum inv_json_kind kind); /* "an integer" ... */
bool inv_json_bool(const inv_json *value);
int64_t inv_json_int(const inv_json *value);
double inv_json_real(const inv_json *value); /* INT too */
const char *inv_json_string(const inv_json *value, size_t *len);
size_t inv_json_size(const inv_json *value); /* of an array or object */
inv_json *inv_json_at(const inv_json *array, size_t i);
inv_json *inv_json_get(const inv_json *object, const char *key); /* or NULL */
/* Iterates an object's keys in the order sent; *iter starts NULL. */
bool inv_json_next(const inv_json *object, void **iter, const char **key,
                   inv_json **value);
/* Compact text, keys in the order sent. */
void inv_json_write(const inv_json *value, struct inv_buf *out);
/* RFC 7396 merge patch of `target` (may be NULL) with `patch`: a new tree. */
inv_json *inv_json_merge_patch(const inv_json *target, const inv_json *patch);

/* ---- typed getters: absent = untouched; wrong type or range = INV_INVALID
 * with pointer "<at>/<key>" and both the wanted and the given in the text ----
 */
enum inv_status inv_json_get_int(const inv_json *object, const char *at,
                                 const char *key, int64_t min, int64_t max,
                                 int64_t *out,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_json_get_bool(const inv_json *object, const char *at,
                                  const char *key, bool *out,
                                  struct inv_err *err) INV_MUST_USE;
/* NUL-terminated, valid as long as the tree. Length 1..max_len. */
enum inv_status inv_json_get_string(const inv_json *object, const char *at,
                                    const char *key, size_t max_len,
                                    const char **out, size_t *len,
                                    struct inv_err *err) INV_MUST_USE;
enum inv_status inv_json_get_object(const inv_json *object, const char *at,
                                    const char *key, inv_json **out,
                                    struct inv_err *err) INV_MUST_USE;
enum inv_status inv_json_get_array(const inv_json *object, const char *at,
                                   const char *key, size_t max_count,
                                   inv_json **out,
                                   struct inv_err *err) INV_MUST_USE;
/* An array of integers into out[0..max), *count set; absent = untouched. */
enum inv_status inv_json_get_ints(const inv_json *object, const char *at,
                                  const char *key, int64_t min, int64_t max,
                                  uint32_t *out, size_t out_max, size_t *count,
                                  struct inv_err *err) INV_MUST_USE;
/* Every key of object must be in allowed (NULL-terminated): else INV_INVALID
 * "unknown field \"lmit\"; did you mean \"limit\"?", pointer at it. */
enum inv_status inv_json_allow(const inv_json *object, const char *at,
                               const char *const *allowed,
                               struct inv_err *err) INV_MUST_USE;
/* The same for the body of a request, which must be an object. */
enum inv_status inv_json_body(const inv_json *body, const char *const *allowed,
                              struct inv_err *err) INV_MUST_USE;

/* Sets the pointer of an error to at/key, the key escaped (~0, ~1). Returns
 * err->status, so that `return inv_json_point(...)` reads well; err may be
 * NULL, hence `status`. */
enum inv_status inv_json_point(struct inv_err *err, enum inv_status status,
                               const char *at, const char *key);

/* The vectors under `key` of an object of doc: a placeholder left by the
 * scanner, or {"b64","dtype","shape","scale"} decoded here (little-endian;
 * i8 needs "scale", base64 of rows f16; NaN/Inf and the magnitude checked).
 * Absent: out->matrix.data == NULL. */
enum inv_status inv_json_get_vectors(const struct inv_json_doc *doc,
                                     const inv_json *object, const char *at,
                                     const char *key,
                                     const struct inv_json_limits *limits,
                                     struct inv_given *out,
                                     struct inv_err *err) INV_MUST_USE;

/* Values of a payload for a schema: dotted keys walk nested objects (a literal
 * dotted key wins), arrays give one value per element, null none. Types that do
 * not fit the field: INV_INVALID naming both (pointer at/key); for
 * INV_FIELD_ANY whatever is there. *out malloc'ed, NULL when no values. */
enum inv_status inv_json_row(const inv_json *payload, const char *at,
                             const struct inv_field *schema, size_t field_count,
                             struct inv_row **out,
                             struct inv_err *err) INV_MUST_USE;

/* ---- writing, straight into a buffer ---- */
void inv_json_put_string(struct inv_buf *out, const char *text, size_t len);
void inv_json_put_float(struct inv_buf *out, float x); /* shortest that reads
                                                          back the same */
void inv_json_put_double(struct inv_buf *out, double x);
void inv_json_put_codes(struct inv_buf *out, const struct inv_codes *codes,
                        bool plural); /* [..] or [[..],..] as decoded floats */

#endif
