/*
 * view.c: making, copying and reading views. Editing happens in gallery.c, on
 * the writer thread; everything here may run on any thread.
 */
#include "index/view.h"

#include "base/reserve.h"
#include "index/doc_table.h"

#include <stdlib.h>
#include <string.h>

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

static void entries_release(void *self) {
    struct inv_entries *entries = self;
    if (entries->rows != NULL) {
        for (size_t i = 0; entries->items != NULL && i < entries->cap &&
                           entries->items[i].vseq != 0;
             i++)
            free(entries->rows[i]);
        inv_unreserve(entries->rows, entries->cap * sizeof(struct inv_row *));
    }
    inv_unreserve(entries->items, entries->cap * sizeof *entries->items);
    inv_ref_put(entries->ids);
    inv_ref_put(entries->docs);
    free(entries);
}

/* docs NULL: a new table. */
static struct inv_entries *entries_new(size_t cap, bool with_rows,
                                       struct inv_ids *ids,
                                       struct inv_doc_table *docs) {
    struct inv_entries *entries = calloc(1, sizeof *entries);
    if (entries == NULL)
        return NULL;
    inv_ref_init(&entries->ref, entries_release);
    entries->cap = cap < 1 ? 1 : cap;
    entries->ids = ids == NULL ? ids_new() : inv_ref_get(ids);
    entries->docs =
        docs == NULL ? inv_doc_table_new(entries->cap) : inv_ref_get(docs);
    entries->items = inv_reserve(entries->cap * sizeof *entries->items);
    if (with_rows)
        entries->rows = inv_reserve(entries->cap * sizeof(struct inv_row *));
    if (entries->ids == NULL || entries->docs == NULL ||
        entries->items == NULL || (with_rows && entries->rows == NULL)) {
        inv_ref_put(entries);
        return NULL;
    }
    return entries;
}

struct inv_entries *inv_entries_new(size_t cap, bool with_rows,
                                    struct inv_ids *ids) {
    return entries_new(cap, with_rows, ids, NULL);
}

struct inv_entries *inv_entries_copy(const struct inv_entries *entries,
                                     size_t count, bool with_rows) {
    size_t cap = with_rows ? entries->cap : count;
    struct inv_entries *copy =
        entries_new(cap, with_rows, entries->ids, entries->docs);
    if (copy != NULL)
        memcpy(copy->items, entries->items, count * sizeof *copy->items);
    return copy;
}

bool inv_entries_link(struct inv_entries *entries, size_t i) {
    return inv_doc_table_add(entries->docs, entries->items[i].doc, (uint32_t)i);
}

bool inv_entries_full(const struct inv_entries *entries) {
    return inv_doc_table_full(entries->docs);
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
        inv_ref_put(part->shadowed);
        inv_ref_put(part->entries);
        inv_ref_put(part->segment);
    }
    for (size_t i = 0; i < view->space_count; i++)
        inv_ref_put(view->spaces[i].encoding);
    inv_ref_put(view->context);
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
    copy->context = inv_ref_get(view->context);
    copy->space_count = view->space_count;
    for (size_t i = 0; i < view->space_count; i++)
        copy->spaces[i] = (struct inv_view_space){
            .space = view->spaces[i].space,
            .encoding = inv_ref_get(view->spaces[i].encoding)};
    copy->count = view->count;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        copy->parts[i] = (struct inv_part){
            .segment = inv_ref_get(part->segment),
            .entries = inv_ref_get(part->entries),
            .live = inv_ref_get(part->live),
            .postings = inv_ref_get(part->postings),
            .overlay = inv_ref_get(part->overlay),
            .shadowed = inv_ref_get(part->shadowed),
            .count = part->count,
        };
    }
    return copy;
}

size_t inv_view_rank(const struct inv_view *view, int64_t space) {
    size_t at = 0;
    while (at < view->space_count && view->spaces[at].space != space)
        at++;
    return at;
}

struct inv_encoding *inv_view_encoding(const struct inv_view *view,
                                       int64_t space) {
    size_t at = space == 0 ? 0 : inv_view_rank(view, space);
    return at == view->space_count ? NULL : view->spaces[at].encoding;
}

/* ---- documents ---- */

size_t inv_part_home(const struct inv_part *part) {
    if (part->shadowed == NULL)
        return part->live->count;
    size_t count = 0;
    for (size_t w = 0; w < inv_bitset_words(part->count); w++)
        count += (size_t)__builtin_popcountll(part->live->set[w] &
                                              ~part->shadowed->set[w]);
    return count;
}

size_t inv_view_live(const struct inv_view *view) {
    size_t live = 0;
    for (size_t i = 0; i < view->count; i++)
        live += inv_part_home(&view->parts[i]);
    return live;
}

size_t inv_view_vectors(const struct inv_view *view, int64_t space) {
    size_t vectors = 0;
    for (size_t i = 0; i < view->count; i++)
        if (inv_part_space(&view->parts[i]) == space)
            vectors += view->parts[i].live->count;
    return vectors;
}

/* Documents of the gallery with a vector in the space, one by one. */
static size_t count_both(const struct inv_view *view, int64_t space) {
    size_t both = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        if (inv_part_space(part) != inv_view_gallery(view))
            continue;
        for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
             e < part->count;
             e = inv_bitset_next(part->live->set, part->count, e + 1)) {
            size_t at, entry;
            both += inv_view_find_doc(view, space, part->entries->items[e].doc,
                                      &at, &entry);
        }
    }
    return both;
}

struct inv_coverage inv_view_coverage(const struct inv_view *view,
                                      int64_t space) {
    struct inv_coverage coverage = {
        .gallery = inv_view_vectors(view, inv_view_gallery(view))};
    size_t rank = inv_view_rank(view, space);
    size_t vectors = inv_view_vectors(view, space);
    if (rank == 0) {
        coverage.both = vectors;
    } else if (rank == 1) { /* only the gallery shadows */
        coverage.both = vectors;
        for (size_t i = 0; i < view->count; i++)
            if (inv_part_space(&view->parts[i]) == space)
                coverage.both -= inv_part_home(&view->parts[i]);
    } else if (vectors > 0) {
        coverage.both = count_both(view, space);
    }
    coverage.alone = vectors - coverage.both;
    return coverage;
}

bool inv_part_find_doc(const struct inv_part *part, int64_t doc,
                       size_t *entry) {
    const struct inv_entries *entries = part->entries;
    uint32_t i;
    for (size_t at = INV_DOC_FIRST;
         inv_doc_table_next(entries->docs, doc, &at, &i);)
        if (i < part->count && entries->items[i].doc == doc &&
            inv_bitset_has(part->live->set, i)) {
            *entry = i;
            return true;
        }
    return false;
}

bool inv_view_find_doc(const struct inv_view *view, int64_t space, int64_t doc,
                       size_t *part, size_t *entry) {
    for (size_t i = view->count; i-- > 0;)
        if (inv_part_space(&view->parts[i]) == space &&
            inv_part_find_doc(&view->parts[i], doc, entry)) {
            *part = i;
            return true;
        }
    return false;
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

/* Live and not shadowed, the word of 64 entries. */
static uint64_t home_word(const struct inv_part *part, size_t w) {
    uint64_t live = part->live->set[w];
    return part->shadowed == NULL ? live : live & ~part->shadowed->set[w];
}

static void select_one_by_one(const struct inv_part *part,
                              const struct inv_filter *filter, uint64_t *out,
                              size_t *scanned) {
    for (size_t w = 0; w < inv_bitset_words(part->count); w++)
        out[w] = home_word(part, w);
    for (size_t i = inv_bitset_next(out, part->count, 0); i < part->count;
         i = inv_bitset_next(out, part->count, i + 1)) {
        ++*scanned;
        if (!indexed_match(filter, &part->entries->items[i],
                           inv_part_row(part, i)))
            inv_bitset_remove(out, i);
    }
}

void inv_part_select(const struct inv_part *part,
                     const struct inv_filter *filter, uint64_t *out,
                     size_t *scanned) {
    size_t words = inv_bitset_words(part->count);
    if (filter == NULL) {
        for (size_t w = 0; w < words; w++)
            out[w] = home_word(part, w);
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
        out[w] &= home_word(part, w);
}
