/*
 * intern.h: numbers for texts, in the order they come: ids to rows, labels to
 * classes. The texts are the caller's and must outlive the table. One thread.
 */
#ifndef INV_SERVER_UPGRADE_INTERN_H
#define INV_SERVER_UPGRADE_INTERN_H

#include "base/arena.h"
#include "base/status.h"

#include <stdint.h>

#define INV_INTERN_NONE UINT32_MAX

struct inv_intern {
    struct inv_intern_text {
        const char *text;
        size_t len;
    } * texts; /* count */
    size_t count, cap;
    uint32_t *slots; /* number + 1; 0: free */
    size_t slot_count;
};

/* Zeroed is empty. */
void inv_intern_release(struct inv_intern *table);
/* The number of a text, INV_INTERN_NONE when it has none. */
uint32_t inv_intern_find(const struct inv_intern *table, const char *text,
                         size_t len);
/* Gives it the next number where it has none. INV_MEMORY. */
enum inv_status inv_intern_add(struct inv_intern *table, const char *text,
                               size_t len, uint32_t *number,
                               struct inv_err *err) INV_MUST_USE;
/* The same of a text that does not live on: it is copied into the arena when
 * it is new. */
enum inv_status inv_intern_keep(struct inv_intern *table,
                                struct inv_arena *arena, const char *text,
                                size_t len, uint32_t *number,
                                struct inv_err *err) INV_MUST_USE;

#endif
