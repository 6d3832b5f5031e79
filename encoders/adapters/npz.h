/*
 * npz.h: arrays under names in one piece of memory, as numpy.savez and
 * numpy.savez_compressed write them: a ZIP archive of .npy files. Reading
 * trusts nothing: every offset, size and checksum is checked, and nothing is
 * reserved that the bytes given could not fill. Any thread.
 */
#ifndef INV_ENCODERS_ADAPTERS_NPZ_H
#define INV_ENCODERS_ADAPTERS_NPZ_H

#include "base/buf.h"
#include "base/npy.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define INV_ARRAYS_MAX 16
#define INV_ARRAY_NAME_MAX 32
/* Bytes of all arrays of an archive: a square adapter of 8,192 in fp64 and its
 * fold fit. */
#define INV_ARRAYS_BYTES_MAX ((size_t)1 << 30)

/* An array of one or two dimensions in any float type (npz also holds plain
 * text, as one dimension of INV_NPY_U8). */
struct inv_array {
    char name[INV_ARRAY_NAME_MAX + 1];
    enum inv_npy_dtype dtype;
    size_t ndim;
    size_t shape[2];
    const void *data; /* aligned to 8 */
    size_t bytes;
};

struct inv_arrays {
    struct inv_array items[INV_ARRAYS_MAX];
    void *owned[INV_ARRAYS_MAX]; /* what the data live in; NULL: elsewhere */
    size_t count;
};
void inv_arrays_release(struct inv_arrays *arrays); /* zeroed: nothing */
/* NULL when there is none of this name. */
const struct inv_array *inv_arrays_find(const struct inv_arrays *arrays,
                                        const char *name);
/* Bytes of one element of what is read here (f2, f4, f8; u1 text); 0 for other
 * types. */
size_t inv_array_width(enum inv_npy_dtype dtype);
/* The array as fp32, malloc'ed, count numbers. INV_INVALID unless it is f2, f4
 * or f8, INV_MEMORY. Numbers beyond fp32 become infinite. */
enum inv_status inv_array_floats(const struct inv_array *array, float **out,
                                 size_t *count,
                                 struct inv_err *err) INV_MUST_USE;

/* Appends an archive, members stored as they are; arrays of INV_NPY_U8 become
 * a file of that name, the others NAME.npy (f4 only). The same arrays give the
 * same bytes. out->failed when memory ran out. */
void inv_npz_write(const struct inv_array *arrays, size_t count,
                   struct inv_buf *out);

/* Members that end in .npy become arrays without that ending, others texts;
 * stored and deflated ones are read. *arrays is to be released after INV_OK.
 * INV_INVALID says what is wrong, with both numbers: not an archive, encrypted,
 * another compression, sizes and offsets that do not fit, a wrong checksum, an
 * array that npy.h refuses or that has more than two dimensions, too many
 * members, a name twice. INV_TOO_LARGE, INV_MEMORY. */
enum inv_status inv_npz_read(const void *bytes, size_t len,
                             struct inv_arrays *arrays,
                             struct inv_err *err) INV_MUST_USE;

#endif
