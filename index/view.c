/*
 * view.c: making, copying and reading views. Editing happens in gallery.c, on
 * the writer thread; everything here may run on any thread.
 */
#include "index/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- schema ---- */

static void schema_release(void *self) { free(self); }

struct inv_schema *inv_schema_new(const struct inv_field *fields,
                                  size_t count) {
    size_t bytes = sizeof(struct inv_schema) + count * sizeof *fields;
    size_t at = bytes;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(fields[i].key) + 1;
    struct inv_schema *schema = malloc(bytes);
    if (schema == NULL)
        return NULL;
    inv_ref_init(&schema->ref, schema_release);
    schema->count = count;
    for (size_t i = 0; i < count; i++) {
        char *key = (char *)schema + at;
        size_t len = strlen(fields[i].key) + 1;
        memcpy(key, fields[i].key, len);
        at += len;
        schema->fields[i] =
            (struct inv_field){.key = key, .type = fields[i].type};
    }
    return schema;
}

/* ---- ids: bytes that never move, in chunks ---- */

#define IDS_CHUNK ((size_t)64 << 10)

struct inv_ids_chunk {
    struct inv_ids_chunk *next;
    size_t used, size;
    char bytes[];
};

struct inv_ids {
    struct inv_ref ref;
    struct inv_ids_chunk *chunks;
};

static void ids_release(void *self) {
    struct inv_ids *ids = self;
    while (ids->chunks != NULL) {
        struct inv_ids_chunk *next = ids->chunks->next;
        free(ids->chunks);
        ids->chunks = next;
    }
    free(ids);
}

static struct inv_ids *ids_new(void) {
    struct inv_ids *ids = calloc(1, sizeof *ids);
    if (ids != NULL)
        inv_ref_init(&ids->ref, ids_release);
    return ids;
}

const char *inv_entries_keep_id(struct inv_entries *entries, const char *id,
                                size_t len) {
    struct inv_ids *ids = entries->ids;
    struct inv_ids_chunk *chunk = ids->chunks;
    if (chunk == NULL || chunk->size - chunk->used < len) {
        chunk = malloc(sizeof *chunk + IDS_CHUNK);
        if (chunk == NULL)
            return NULL;
        chunk->next = ids->chunks;
        chunk->used = 0;
        chunk->size = IDS_CHUNK;
        ids->chunks = chunk;
    }
    char *place = chunk->bytes + chunk->used;
    memcpy(place, id, len);
    chunk->used += len;
    return place;
}

/* ---- entries ---- */

static void *reserve(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void entries_release(void *self) {
    struct inv_entries *entries = self;
    if (entries->rows != NULL) {
        for (size_t i = 0; entries->items != NULL && i < entries->cap &&
                           entries->items[i].vseq != 0;
             i++)
            free(entries->rows[i]);
        munmap(entries->rows, entries->cap * sizeof(struct inv_row *));
    }
    if (entries->items != NULL)
        munmap(entries->items, entries->cap * sizeof *entries->items);
    inv_ref_put(entries->ids);
    free(entries);
}

struct inv_entries *inv_entries_new(size_t cap, bool with_rows,
                                    struct inv_ids *ids) {
    struct inv_entries *entries = calloc(1, sizeof *entries);
    if (entries == NULL)
        return NULL;
    inv_ref_init(&entries->ref, entries_release);
    entries->cap = cap < 1 ? 1 : cap;
    entries->ids = ids == NULL ? ids_new() : inv_ref_get(ids);
    entries->items = reserve(entries->cap * sizeof *entries->items);
    if (with_rows)
        entries->rows = reserve(entries->cap * sizeof(struct inv_row *));
    if (entries->ids == NULL || entries->items == NULL ||
        (with_rows && entries->rows == NULL)) {
        inv_ref_put(entries);
        return NULL;
    }
    return entries;
}

bool inv_entries_find(const struct inv_entries *entries, size_t count,
                      uint64_t vseq, size_t *entry) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entries->items[middle].vseq < vseq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || entries->items[low].vseq != vseq)
        return false;
    *entry = low;
    return true;
}

/* ---- live ---- */

static void live_release(void *self) { free(self); }

struct inv_live *inv_live_new(size_t bits) {
    size_t words = inv_bitset_words(bits);
    struct inv_live *live =
        calloc(1, sizeof *live + words * sizeof live->set[0]);
    if (live == NULL)
        return NULL;
    inv_ref_init(&live->ref, live_release);
    live->words = words;
    return live;
}

struct inv_live *inv_live_copy(const struct inv_live *live) {
    struct inv_live *copy = inv_live_new(live->words * 64);
    if (copy != NULL) {
        memcpy(copy->set, live->set, live->words * sizeof live->set[0]);
        copy->count = live->count;
    }
    return copy;
}

/* ---- postings and overlays ---- */

static void postings_release(void *self) {
    struct inv_shared_postings *shared = self;
    inv_postings_free(shared->postings);
    free(shared);
}

struct inv_shared_postings *
inv_shared_postings_new(struct inv_postings *postings) {
    struct inv_shared_postings *shared = calloc(1, sizeof *shared);
    if (shared == NULL) {
        inv_postings_free(postings);
        return NULL;
    }
    inv_ref_init(&shared->ref, postings_release);
    shared->postings = postings;
    return shared;
}

static void overlay_release(void *self) {
    struct inv_overlay *overlay = self;
    for (size_t i = 0; i < overlay->count; i++)
        inv_ref_put(overlay->items[i].row);
    free(overlay);
}

struct inv_overlay *inv_overlay_with(const struct inv_overlay *old,
                                     uint32_t entry, uint64_t version,
                                     struct inv_shared_row *row) {
    size_t count = old == NULL ? 0 : old->count;
    struct inv_overlay *overlay =
        malloc(sizeof *overlay + (count + 1) * sizeof overlay->items[0]);
    if (overlay == NULL)
        return NULL;
    inv_ref_init(&overlay->ref, overlay_release);
    size_t n = 0;
    size_t i = 0;
    for (; i < count && old->items[i].entry < entry; i++)
        overlay->items[n++] = old->items[i];
    overlay->items[n++] = (struct inv_overlay_item){entry, version, row};
    if (i < count && old->items[i].entry == entry)
        i++;
    for (; i < count; i++)
        overlay->items[n++] = old->items[i];
    overlay->count = n;
    for (i = 0; i < n; i++)
        inv_ref_get(overlay->items[i].row);
    return overlay;
}

/* ---- views ---- */

static void view_release(void *self) {
    struct inv_view *view = self;
    for (size_t i = 0; i < view->count; i++) {
        struct inv_part *part = &view->parts[i];
        inv_ref_put(part->postings);
        inv_ref_put(part->overlay);
        inv_ref_put(part->live);
        inv_ref_put(part->entries);
        inv_ref_put(part->segment);
    }
    inv_ref_put(view->encoding);
    inv_ref_put(view->schema);
    inv_ref_put(view->logs);
    inv_filter_cache_free(view->filters);
    free(view);
}

struct inv_view *inv_view_copy(const struct inv_view *view, size_t more) {
    struct inv_view *copy =
        calloc(1, sizeof *copy + (view->count + more) * sizeof copy->parts[0]);
    if (copy == NULL)
        return NULL;
    copy->filters = inv_filter_cache_new();
    if (copy->filters == NULL) {
        free(copy);
        return NULL;
    }
    inv_ref_init(&copy->ref, view_release);
    copy->version = view->version;
    copy->logs = inv_ref_get(view->logs);
    copy->schema = inv_ref_get(view->schema);
    copy->encoding = inv_ref_get(view->encoding);
    copy->count = view->count;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        copy->parts[i] = (struct inv_part){
            .segment = inv_ref_get(part->segment),
            .entries = inv_ref_get(part->entries),
            .live = inv_ref_get(part->live),
            .postings = inv_ref_get(part->postings),
            .overlay = inv_ref_get(part->overlay),
            .count = part->count,
        };
    }
    return copy;
}

size_t inv_view_live(const struct inv_view *view) {
    size_t live = 0;
    for (size_t i = 0; i < view->count; i++)
        live += view->parts[i].live->count;
    return live;
}

bool inv_view_find(const struct inv_view *view, uint64_t vseq, size_t *part,
                   size_t *entry) {
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *p = &view->parts[i];
        if (p->count == 0 || vseq < p->entries->items[0].vseq ||
            vseq > p->entries->items[p->count - 1].vseq)
            continue;
        if (inv_entries_find(p->entries, p->count, vseq, entry)) {
            *part = i;
            return true;
        }
    }
    return false;
}

const struct inv_row *inv_part_row(const struct inv_part *part, size_t entry) {
    const struct inv_overlay *overlay = part->overlay;
    if (overlay != NULL) {
        size_t low = 0;
        size_t high = overlay->count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (overlay->items[middle].entry < entry)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < overlay->count && overlay->items[low].entry == entry)
            return overlay->items[low].row->row;
    }
    return part->entries->rows == NULL ? NULL : part->entries->rows[entry];
}

/* Does an entry match by what is indexed? Conditions on other fields are left
 * to the caller: with must they are taken as met, with must_not as not met,
 * and one in should lets the whole group pass. */
static bool indexed_match(const struct inv_filter *filter,
                          const struct inv_entry *entry,
                          const struct inv_row *row) {
    for (size_t i = 0; i < filter->must_count; i++)
        if (!(filter->must[i].field & INV_FIELD_UNINDEXED) &&
            !inv_condition_matches(&filter->must[i], entry->id, entry->id_len,
                                   row, NULL))
            return false;
    for (size_t i = 0; i < filter->must_not_count; i++)
        if (!(filter->must_not[i].field & INV_FIELD_UNINDEXED) &&
            inv_condition_matches(&filter->must_not[i], entry->id,
                                  entry->id_len, row, NULL))
            return false;
    bool any = filter->should_count == 0;
    for (size_t i = 0; i < filter->should_count && !any; i++)
        any = (filter->should[i].field & INV_FIELD_UNINDEXED) ||
              inv_condition_matches(&filter->should[i], entry->id,
                                    entry->id_len, row, NULL);
    return any;
}

static void select_one_by_one(const struct inv_part *part,
                              const struct inv_filter *filter, uint64_t *out,
                              size_t *scanned) {
    size_t words = inv_bitset_words(part->count);
    memset(out, 0, words * sizeof *out);
    for (size_t i = inv_bitset_next(part->live->set, part->count, 0);
         i < part->count;
         i = inv_bitset_next(part->live->set, part->count, i + 1)) {
        ++*scanned;
        if (indexed_match(filter, &part->entries->items[i],
                          inv_part_row(part, i)))
            inv_bitset_add(out, i);
    }
}

void inv_part_select(const struct inv_part *part,
                     const struct inv_filter *filter, uint64_t *out,
                     size_t *scanned) {
    size_t words = inv_bitset_words(part->count);
    if (filter == NULL) {
        memcpy(out, part->live->set, words * sizeof *out);
        return;
    }
    if (part->postings == NULL) {
        select_one_by_one(part, filter, out, scanned);
        return;
    }
    inv_postings_select(part->postings->postings, filter, out);
    const struct inv_overlay *overlay = part->overlay;
    for (size_t i = 0; overlay != NULL && i < overlay->count; i++) {
        uint32_t entry = overlay->items[i].entry;
        ++*scanned;
        if (indexed_match(filter, &part->entries->items[entry],
                          overlay->items[i].row->row))
            inv_bitset_add(out, entry);
        else
            inv_bitset_remove(out, entry);
    }
    for (size_t w = 0; w < words; w++)
        out[w] &= part->live->set[w];
}
