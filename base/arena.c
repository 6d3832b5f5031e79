/*
 * arena.c: see arena.h. Blocks of at least 64 KiB in a list; an allocation
 * that does not fit the first block gets a new one. Knows no other module; the
 * arena's owner is the one thread.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 64
#define BLOCK_MIN ((size_t)64 << 10)

struct inv_arena_block {
    struct inv_arena_block *next;
    size_t used; /* from the start of this struct */
    size_t size;
};

void inv_arena_init(struct inv_arena *arena, size_t cap) {
    *arena = (struct inv_arena){.cap = cap};
}

void inv_arena_release(struct inv_arena *arena) {
    struct inv_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct inv_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}

/* The block with more room left comes first: one large allocation does not
 * end the use of the block that small ones are served from. */
static void link_block(struct inv_arena *arena, struct inv_arena_block *block,
                       size_t need) {
    struct inv_arena_block *head = arena->blocks;
    if (head != NULL &&
        head->size - head->used > block->size - block->used - need) {
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->blocks = block;
    }
}

static struct inv_arena_block *add_block(struct inv_arena *arena, size_t need) {
    size_t room = (arena->cap - arena->used) / ALIGN * ALIGN;
    size_t size = need + ALIGN;
    if (size > room)
        return NULL;
    if (size < BLOCK_MIN) /* near the cap, what is left of it */
        size = room < BLOCK_MIN ? room : BLOCK_MIN;
    struct inv_arena_block *block = aligned_alloc(ALIGN, size);
    if (block == NULL)
        return NULL;
    *block = (struct inv_arena_block){.used = ALIGN, .size = size};
    link_block(arena, block, need);
    arena->used += size;
    return block;
}

void *inv_arena_alloc(struct inv_arena *arena, size_t size) {
    if (size > SIZE_MAX - 2 * ALIGN)
        return NULL;
    size_t need = size == 0 ? ALIGN : (size + ALIGN - 1) / ALIGN * ALIGN;
    struct inv_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < need)
        block = add_block(arena, need);
    if (block == NULL)
        return NULL;
    void *place = (char *)block + block->used;
    block->used += need;
    return place;
}

void *inv_arena_calloc(struct inv_arena *arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *place = inv_arena_alloc(arena, count * size);
    if (place != NULL)
        memset(place, 0, count * size);
    return place;
}

char *inv_arena_strndup(struct inv_arena *arena, const char *text, size_t len) {
    char *copy = inv_arena_alloc(arena, len + 1);
    if (copy != NULL) {
        if (len > 0)
            memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}
