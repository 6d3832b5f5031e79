/*
 * ref.h: reference counts for immutable things that several threads share.
 * The first member of the struct that embeds it.
 */
#ifndef INV_BASE_REF_H
#define INV_BASE_REF_H

#include <stdatomic.h>
#include <stddef.h>

struct inv_ref {
    atomic_size_t count;
    void (*release)(void *self); /* called once, when the last one lets go */
};

static inline void inv_ref_init(struct inv_ref *ref, void (*release)(void *)) {
    atomic_init(&ref->count, 1);
    ref->release = release;
}

static inline void *inv_ref_get(void *object) {
    if (object != NULL)
        atomic_fetch_add_explicit(&((struct inv_ref *)object)->count, 1,
                                  memory_order_relaxed);
    return object;
}

static inline void inv_ref_put(void *object) {
    if (object == NULL)
        return;
    struct inv_ref *ref = object;
    if (atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel) == 1)
        ref->release(object);
}

#endif
