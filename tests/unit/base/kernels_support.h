/*
 * kernels_support.h: what the tests of the kernels share: which sets there
 * are, memory that ends at a page that faults, numbers, and half precision by
 * its definition.
 */
#ifndef TESTS_KERNELS_SUPPORT_H
#define TESTS_KERNELS_SUPPORT_H

#include "base/kernels_table.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Check's own macros for float promote without saying so. */
#define assert_same(a, b) ck_assert_double_eq((double)(a), (double)(b))

static const char *const set_names[] = {"scalar", "avx2", "avx512"};
#define SETS 3
#define SET_OR_RETURN(i)                                                       \
    const struct inv_kernels *k = inv_kernels_find(set_names[i]);              \
    if (k == NULL)                                                             \
    return

/* Memory whose last byte is followed by a page that faults. */
struct guarded {
    char *map;
    size_t size;
};

static inline struct guarded guarded_new(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct guarded g = {.size = (bytes + page - 1) / page * page + page};
    g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(g.map != MAP_FAILED);
    ck_assert_int_eq(mprotect(g.map + g.size - page, page, PROT_NONE), 0);
    return g;
}

static inline void *guarded_tail(const struct guarded *g, size_t bytes) {
    return g->map + g->size - (size_t)sysconf(_SC_PAGESIZE) - bytes;
}

static inline void guarded_free(struct guarded *g) { munmap(g->map, g->size); }

static inline uint32_t random_bits(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static inline int whole(uint32_t *state, int limit) {
    return (int)(random_bits(state) % (uint32_t)(2 * limit + 1)) - limit;
}

static inline float fraction(uint32_t *state) {
    return (float)random_bits(state) / 8388608.0f - 1;
}

/* The value of a half, by its definition. */
static inline float half_value(uint16_t half) {
    int e = half >> 10 & 31;
    int m = half & 1023;
    double x = e == 0    ? ldexp(m, -24)
               : e == 31 ? (m == 0 ? HUGE_VAL : (double)NAN)
                         : ldexp(1024 + m, e - 25);
    return (float)(half & 0x8000 ? -x : x);
}

static inline uint16_t half_of(float x) {
    uint16_t half;
    inv_kernels_scalar.f16_from_f32(&x, &half, 1);
    return half;
}

#endif
