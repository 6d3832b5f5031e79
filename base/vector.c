/*
 * vector.c: names of the element types. See vector.h.
 */
#include "base/vector.h"

#include <string.h>

static const char *const names[] = {
    [INV_F32] = "f32", [INV_F16] = "f16", [INV_I8] = "i8"};

const char *inv_dtype_name(enum inv_dtype dtype) {
    return dtype >= INV_F32 && dtype <= INV_I8 ? names[dtype] : NULL;
}

enum inv_dtype inv_dtype_parse(const char *name) {
    for (int i = INV_F32; i <= INV_I8; i++)
        if (strcmp(names[i], name) == 0)
            return (enum inv_dtype)i;
    if (strcmp(name, "int8") == 0)
        return INV_I8;
    return (enum inv_dtype)0;
}
