/*
 * json_internal.h: what the files of server/json share among themselves:
 * numbers, matrices, the scanner, and the tree behind json.h. Nobody outside
 * server/json and its tests includes this.
 */
#ifndef INV_SERVER_JSON_JSON_INTERNAL_H
#define INV_SERVER_JSON_JSON_INTERNAL_H

#include "base/limits.h"
#include "server/json/json.h"

/* Bytes of a JSON pointer, as in struct inv_err. */
#define INV_POINTER_MAX 128

/* ---- json_number.c ---- */

/* Reads one RFC 8259 number at *text (*text < end) and rounds it correctly to
 * float; too large gives an infinity. INV_OK: *text is behind it.
 * INV_MALFORMED: *text is at the byte that cannot be. INV_MEMORY: a number of
 * very many digits could not be copied. Reads nothing at or after end. */
enum inv_status inv_number_read(const char **text, const char *end,
                                float *out) INV_MUST_USE;

/* ---- json_matrix.c ---- */

/* Where in a matrix an error is; -1: not inside a row / a number. */
struct inv_matrix_place {
    long row, column;
};

/* Numbers are read into `numbers`, which grows by doubling and serves one
 * array after the other, and then copied to where they stay: an arena cannot
 * give back what doubling leaves behind. */
struct inv_matrix_reader {
    const char *body, *end; /* the whole body, for positions */
    const struct inv_json_limits *limits;
    struct inv_arena *arena;
    float *numbers; /* malloc'ed */
    size_t room;
    struct inv_matrix_place place; /* of the error that was returned */
};

/* Reads the array at *text ('[' there): one row, or with `plural` an array of
 * rows, into a matrix of the arena. On success *text is behind it. */
enum inv_status inv_matrix_read(struct inv_matrix_reader *reader,
                                const char **text, bool plural,
                                struct inv_matrix *out,
                                struct inv_err *err) INV_MUST_USE;

/* ---- json_scan.c ---- */

/* An array that was cut out: body[from, to) became text[at, until). */
struct inv_json_cut {
    size_t from, to, at, until;
};

struct inv_json_scan {
    struct inv_buf reduced; /* empty when nothing was cut */
    struct inv_json_cut *cuts;
    struct inv_given *given; /* malloc'ed; matrices in the arena */
    size_t cut_count, cut_room;
};

/* One pass over a body: checks the depth and, unless limits is NULL, cuts
 * vectors out. Release it whatever it returned. */
enum inv_status inv_json_scan(struct inv_json_scan *scan,
                              struct inv_arena *arena, const char *body,
                              size_t len, const struct inv_json_limits *limits,
                              struct inv_err *err) INV_MUST_USE;
void inv_json_scan_release(struct inv_json_scan *scan);
/* The place in the body of a place in the reduced text. */
size_t inv_json_scan_origin(const struct inv_json_scan *scan, size_t at);

/* Fails with "<what> at byte 812 (line 3, column 14)": the byte counts from 0,
 * line and column from 1, the column in characters. */
enum inv_status inv_json_fail_at(struct inv_err *err, enum inv_status status,
                                 const char *body, size_t len, size_t at,
                                 const char *what);

/* ---- json_tree.c ---- */

/* A member by a key of a given length; NULL if there is none. */
inv_json *inv_json_getn(const inv_json *object, const char *key, size_t len);

/* ---- json_vectors.c ---- */

/* Fills given->matrix (arena) from given->codes; NaN, infinities and what is
 * beyond INV_VALUE_ABS_MAX: INV_NOT_FINITE, naming the place. */
enum inv_status inv_given_decode(struct inv_given *given,
                                 struct inv_arena *arena,
                                 struct inv_err *err) INV_MUST_USE;

/* ---- json_get.c ---- */

/* INV_INVALID "<key> must be <wanted>, not <kind of value>" at at/key. */
enum inv_status inv_json_wrong_type(struct inv_err *err, const inv_json *value,
                                    const char *at, const char *key,
                                    const char *wanted);

#endif
