/*
 * arena.h: memory that lives as long as one request and is freed at once.
 *
 * An arena has a hard cap; an allocation beyond it returns NULL, as does a
 * failed malloc: the caller answers INV_MEMORY. Blocks are 64-byte aligned, so
 * that matrices can be handed to the kernels. One thread at a time.
 */
#ifndef INV_BASE_ARENA_H
#define INV_BASE_ARENA_H

#include <stddef.h>

struct inv_arena_block;

struct inv_arena {
    struct inv_arena_block *blocks;
    size_t used; /* bytes asked from malloc so far */
    size_t cap;
};

void inv_arena_init(struct inv_arena *arena, size_t cap);
void inv_arena_release(struct inv_arena *arena);

/* Uninitialised, 64-byte aligned; size 0 gives a valid pointer. */
void *inv_arena_alloc(struct inv_arena *arena, size_t size);
/* count * size bytes, zeroed, NULL on overflow. */
void *inv_arena_calloc(struct inv_arena *arena, size_t count, size_t size);
/* A NUL-terminated copy of len bytes. */
char *inv_arena_strndup(struct inv_arena *arena, const char *text, size_t len);

#endif
