/*
 * intern.c: see intern.h: open addressing, at most half full.
 */
#include "server/upgrade/intern.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void inv_intern_release(struct inv_intern *table) {
    free(table->texts);
    free(table->slots);
    *table = (struct inv_intern){.count = 0};
}

/* FNV-1a spreads its low bits badly over short texts: folded. */
static size_t slot_of(const struct inv_intern *table, const char *text,
                      size_t len) {
    uint64_t hash = inv_hash(INV_HASH_INIT, text, len);
    return (size_t)(hash ^ hash >> 32) & (table->slot_count - 1);
}

/* The slot that holds the text, or the free one where it belongs. */
static size_t seek(const struct inv_intern *table, const char *text,
                   size_t len) {
    size_t slot = slot_of(table, text, len);
    for (; table->slots[slot] != 0;
         slot = (slot + 1) & (table->slot_count - 1)) {
        const struct inv_intern_text *there =
            &table->texts[table->slots[slot] - 1];
        if (there->len == len && memcmp(there->text, text, len) == 0)
            break;
    }
    return slot;
}

uint32_t inv_intern_find(const struct inv_intern *table, const char *text,
                         size_t len) {
    if (table->slot_count == 0)
        return INV_INTERN_NONE;
    uint32_t number = table->slots[seek(table, text, len)];
    return number == 0 ? INV_INTERN_NONE : number - 1;
}

static enum inv_status grow(struct inv_intern *table, struct inv_err *err) {
    size_t cap = table->cap == 0 ? 64 : 2 * table->cap;
    struct inv_intern_text *texts =
        realloc(table->texts, cap * sizeof *table->texts);
    if (texts != NULL)
        table->texts = texts;
    uint32_t *slots = calloc(2 * cap, sizeof *slots);
    if (texts == NULL || slots == NULL) {
        free(slots);
        return inv_fail(err, INV_MEMORY, "out of memory for %zu texts", cap);
    }
    free(table->slots);
    table->slots = slots;
    table->cap = cap;
    table->slot_count = 2 * cap;
    for (size_t i = 0; i < table->count; i++)
        table->slots[seek(table, texts[i].text, texts[i].len)] =
            (uint32_t)i + 1;
    return INV_OK;
}

enum inv_status inv_intern_add(struct inv_intern *table, const char *text,
                               size_t len, uint32_t *number,
                               struct inv_err *err) {
    if (table->count == table->cap) {
        enum inv_status status = grow(table, err);
        if (status != INV_OK)
            return status;
    }
    size_t slot = seek(table, text, len);
    if (table->slots[slot] == 0) {
        table->texts[table->count] = (struct inv_intern_text){text, len};
        table->slots[slot] = (uint32_t)++table->count;
    }
    *number = table->slots[slot] - 1;
    return INV_OK;
}

enum inv_status inv_intern_keep(struct inv_intern *table,
                                struct inv_arena *arena, const char *text,
                                size_t len, uint32_t *number,
                                struct inv_err *err) {
    *number = inv_intern_find(table, text, len);
    if (*number != INV_INTERN_NONE)
        return INV_OK;
    text = inv_arena_strndup(arena, text, len);
    if (text == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu texts",
                        table->count + 1);
    return inv_intern_add(table, text, len, number, err);
}
