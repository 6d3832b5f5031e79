/*
 * vector.h: how rows of numbers are passed around: their types and their
 * shapes. A single vector is a matrix of one row.
 */
#ifndef INV_BASE_VECTOR_H
#define INV_BASE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

enum inv_dtype {
    INV_F32 = 1,
    INV_F16 = 2, /* IEEE half precision */
    INV_I8 = 3,  /* int8 with one f16 scale per row: value = int8 * scale */
};

/* rows x dim, row-major, contiguous. Who owns `data` is said where one is
 * passed. */
struct inv_matrix {
    float *data;
    size_t rows;
    size_t dim;
};

/* Stored vectors in the type they are stored in: a view into a mapped log or
 * into a request, never owning. i8: `scales` holds `rows` f16 numbers. */
struct inv_codes {
    const void *data;
    const uint16_t *scales; /* NULL unless INV_I8 */
    enum inv_dtype dtype;
    size_t rows;
    size_t dim;
};

/* Bytes of rows x dim in a dtype, scales included. */
static inline size_t inv_codes_bytes(enum inv_dtype dtype, size_t rows,
                                     size_t dim) {
    switch (dtype) {
    case INV_F32:
        return rows * dim * 4;
    case INV_F16:
        return rows * dim * 2;
    case INV_I8:
        /* the scales follow the rows at an even place */
        return ((rows * dim + 1) & ~(size_t)1) + rows * 2;
    }
    return 0;
}

/* "f32", "f16", "i8"; 0 / NULL for what is not one of them. */
const char *inv_dtype_name(enum inv_dtype dtype);
enum inv_dtype inv_dtype_parse(const char *name);

#endif
