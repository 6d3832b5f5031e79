/*
 * clock.h: the two clocks. Durations and deadlines come from inv_now_ns, which
 * never goes backwards; only what a person reads or what is stored comes from
 * inv_wall_ms. Any thread.
 */
#ifndef INV_BASE_CLOCK_H
#define INV_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since an arbitrary start, monotonic. */
static inline uint64_t inv_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Milliseconds since 1970-01-01T00:00:00Z; may jump when the clock is set. */
static inline int64_t inv_wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
