/*
 * filter_cache.h: what a filter came to, kept with the view it was worked out
 * for. A view never changes, so an answer in its cache is right for as long as
 * the view lives; a new view begins with an empty cache. Pays where a filter
 * has to read payloads (fields that are not indexed), and saves the postings
 * otherwise.
 *
 * Any thread; one short lock. What is found is reference counted.
 */
#ifndef INV_INDEX_FILTER_CACHE_H
#define INV_INDEX_FILTER_CACHE_H

#include "base/buf.h"
#include "base/ref.h"
#include "index/filter.h"

#define INV_FILTER_CACHE_SLOTS 16 /* filters kept per view */

/* One bitset after the other, the parts of the view in their order. */
struct inv_filtered {
    struct inv_ref ref;
    size_t parts;
    size_t *matches; /* members, per part */
    uint64_t **sets; /* per part */
    char *key;       /* inv_filter_key's bytes */
    size_t key_len;
};

struct inv_filter_cache;

struct inv_filter_cache *inv_filter_cache_new(void); /* NULL: no memory */
void inv_filter_cache_free(struct inv_filter_cache *cache);

/* A new reference, or NULL. */
struct inv_filtered *inv_filter_cache_get(struct inv_filter_cache *cache,
                                          const char *key, size_t key_len);
/* Copies bitsets (words[i] words each) in, in place of the oldest. Failing to
 * is no error: the cache only saves time. */
void inv_filter_cache_put(struct inv_filter_cache *cache, const char *key,
                          size_t key_len, size_t parts, uint64_t *const *sets,
                          const size_t *words, const size_t *matches);

/* Bytes that are the same for the same bound filter. */
void inv_filter_key(const struct inv_filter *filter, struct inv_buf *out);

#endif
