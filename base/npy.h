/*
 * npy.h: arrays in NumPy's .npy format (versions 1, 2 and 3), mapped from a
 * file or lying in memory. Little-endian, C order, numbers only.
 *
 * An opened array is immutable: any thread. A file that is cut while it is
 * mapped ends the process with SIGBUS, as with any mapping: replace such files
 * by rename, never in place.
 */
#ifndef INV_BASE_NPY_H
#define INV_BASE_NPY_H

#include "base/status.h"

#include <stddef.h>

#define INV_NPY_NDIM_MAX 8

enum inv_npy_dtype {
    INV_NPY_F16, /* <f2 */
    INV_NPY_F32, /* <f4 */
    INV_NPY_F64, /* <f8 */
    INV_NPY_I8,  /* |i1 */
    INV_NPY_U8,  /* |u1 */
    INV_NPY_I32, /* <i4 */
    INV_NPY_I64, /* <i8 */
};

/* The name without byte order: "f2", "i8". Static storage. */
const char *inv_npy_dtype_name(enum inv_npy_dtype dtype);
size_t inv_npy_dtype_size(enum inv_npy_dtype dtype); /* bytes of an element */

struct inv_npy_view {
    enum inv_npy_dtype dtype;
    size_t ndim; /* 0 for a scalar, which has count 1 */
    size_t shape[INV_NPY_NDIM_MAX];
    size_t count;     /* product of the shape */
    const void *data; /* points into the bytes that were parsed */
    size_t bytes;     /* count * element size */
};

/* Reads an array out of exactly len bytes; *view points into them. The data
 * are aligned to their element when `bytes` is aligned to 8. INV_INVALID,
 * saying what was found and what is supported: no .npy, another version, big
 * endian, Fortran order (with two or more dimensions longer than 1), a dtype
 * or number of dimensions out of reach, data shorter or longer than the shape
 * says, data that begin off their alignment. */
enum inv_status inv_npy_parse(const void *bytes, size_t len,
                              struct inv_npy_view *view,
                              struct inv_err *err) INV_MUST_USE;

/* INV_INVALID unless the array has that dtype and `ndim` dimensions; `what`
 * names it in the text. */
enum inv_status inv_npy_expect(const struct inv_npy_view *view,
                               const char *what, enum inv_npy_dtype dtype,
                               size_t ndim, struct inv_err *err) INV_MUST_USE;

struct inv_npy {
    struct inv_npy_view view;
    void *map; /* NULL when not open */
    size_t map_len;
};

/* Maps a file read-only. As inv_npy_parse, the text begins with the path;
 * INV_IO when the file cannot be read. On failure *npy is closed. */
enum inv_status inv_npy_open(const char *path, struct inv_npy *npy,
                             struct inv_err *err) INV_MUST_USE;
void inv_npy_close(struct inv_npy *npy); /* zeroed or closed: does nothing */

/* Writes (or overwrites) a version 1 file, data aligned to 64 bytes; not
 * synced. After a failure (INV_IO, INV_NO_SPACE) the file may be there in part,
 * which inv_npy_open refuses as truncated. */
enum inv_status inv_npy_write(const char *path, enum inv_npy_dtype dtype,
                              const void *data, size_t ndim,
                              const size_t *shape,
                              struct inv_err *err) INV_MUST_USE;

#endif
