/*
 * filter_cache.c: a ring of the last filters of a view. See filter_cache.h.
 */
#include "index/filter_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inv_filter_cache {
    pthread_mutex_t lock;
    struct inv_filtered *slots[INV_FILTER_CACHE_SLOTS];
    size_t next;
};

struct inv_filter_cache *inv_filter_cache_new(void) {
    struct inv_filter_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void inv_filter_cache_free(struct inv_filter_cache *cache) {
    if (cache == NULL)
        return;
    for (size_t i = 0; i < INV_FILTER_CACHE_SLOTS; i++)
        inv_ref_put(cache->slots[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct inv_filtered *inv_filter_cache_get(struct inv_filter_cache *cache,
                                          const char *key, size_t key_len) {
    struct inv_filtered *found = NULL;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < INV_FILTER_CACHE_SLOTS && found == NULL; i++) {
        struct inv_filtered *slot = cache->slots[i];
        if (slot != NULL && slot->key_len == key_len &&
            memcmp(slot->key, key, key_len) == 0)
            found = inv_ref_get(slot);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void filtered_release(void *self) { free(self); }

void inv_filter_cache_put(struct inv_filter_cache *cache, const char *key,
                          size_t key_len, size_t parts, uint64_t *const *sets,
                          const size_t *words, const size_t *matches) {
    size_t bytes = sizeof(struct inv_filtered) +
                   parts * (sizeof(uint64_t *) + sizeof(size_t));
    for (size_t i = 0; i < parts; i++)
        bytes += words[i] * sizeof(uint64_t);
    struct inv_filtered *filtered = malloc(bytes + key_len);
    if (filtered == NULL)
        return;
    inv_ref_init(&filtered->ref, filtered_release);
    filtered->parts = parts;
    filtered->sets = (uint64_t **)(void *)(filtered + 1);
    filtered->matches = (size_t *)(void *)(filtered->sets + parts);
    uint64_t *at = (uint64_t *)(void *)(filtered->matches + parts);
    for (size_t i = 0; i < parts; i++) {
        filtered->sets[i] = at;
        filtered->matches[i] = matches[i];
        if (words[i] > 0)
            memcpy(at, sets[i], words[i] * sizeof *at);
        at += words[i];
    }
    filtered->key = (char *)at;
    filtered->key_len = key_len;
    memcpy(filtered->key, key, key_len);
    pthread_mutex_lock(&cache->lock);
    struct inv_filtered *old = cache->slots[cache->next];
    cache->slots[cache->next] = filtered;
    cache->next = (cache->next + 1) % INV_FILTER_CACHE_SLOTS;
    pthread_mutex_unlock(&cache->lock);
    inv_ref_put(old);
}

/* ---- keys ---- */

static void put_value(struct inv_buf *out, const struct inv_value *value) {
    int kind = value->kind;
    inv_buf_append(out, &kind, sizeof kind);
    if (value->kind == INV_VALUE_STRING) {
        inv_buf_append(out, &value->as.string.len, sizeof value->as.string.len);
        inv_buf_append(out, value->as.string.text, value->as.string.len);
    } else if (value->kind == INV_VALUE_BOOL) {
        inv_buf_putc(out, value->as.boolean ? '1' : '0');
    } else {
        inv_buf_append(out, &value->as.integer, sizeof value->as.integer);
    }
}

static void put_conditions(struct inv_buf *out,
                           const struct inv_condition *conditions,
                           size_t count) {
    inv_buf_append(out, &count, sizeof count);
    for (size_t i = 0; i < count; i++) {
        const struct inv_condition *c = &conditions[i];
        size_t key_len = c->key == NULL ? 0 : strlen(c->key);
        inv_buf_printf(out, "%d|%zu|", (int)c->kind, key_len);
        inv_buf_append(out, c->key == NULL ? "" : c->key, key_len);
        inv_buf_append(out, &c->value_count, sizeof c->value_count);
        for (size_t v = 0; v < c->value_count; v++)
            put_value(out, &c->values[v]);
        if (c->kind != INV_COND_RANGE)
            continue;
        inv_buf_printf(out, "%d%d%d%d", c->range.has_low, c->range.low_open,
                       c->range.has_high, c->range.high_open);
        if (c->range.has_low)
            put_value(out, &c->range.low);
        if (c->range.has_high)
            put_value(out, &c->range.high);
    }
}

void inv_filter_key(const struct inv_filter *filter, struct inv_buf *out) {
    put_conditions(out, filter->must, filter->must_count);
    put_conditions(out, filter->must_not, filter->must_not_count);
    put_conditions(out, filter->should, filter->should_count);
}
