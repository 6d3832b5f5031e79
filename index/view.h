/*
 * view.h: what a search sees: an immutable list of parts (segments with their
 * entries, what of them is alive, their payload postings) and the vector logs
 * they point into. One atomic change of a collection = one new view; whatever
 * did not change is shared with the view before.
 *
 * All of it is reference counted. A fresh part grows in place behind `count`,
 * which an older view never sees.
 */
#ifndef INV_INDEX_VIEW_H
#define INV_INDEX_VIEW_H

#include "base/bitset.h"
#include "index/filter_cache.h"
#include "index/postings.h"
#include "index/segment.h"
#include "index/vlog.h"

/* The indexed payload fields of a collection. */
struct inv_schema {
    struct inv_ref ref;
    size_t count;
    struct inv_field fields[];
};
struct inv_schema *inv_schema_new(const struct inv_field *fields, size_t count);

struct inv_entry {
    uint64_t vseq;
    int64_t doc;
    const char *id; /* in the table's own memory */
    uint32_t id_len;
    struct inv_place place;
};

/* The entries of a segment, ascending by vseq; entry i is row i of its index.
 * Grows (fresh) up to `cap` without moving. */
struct inv_entries {
    struct inv_ref ref;
    size_t cap;
    struct inv_entry *items;
    struct inv_ids *ids;   /* memory of the ids, shared between tables */
    struct inv_row **rows; /* fresh: payload values, owned; NULL if sealed */
};
/* `cap` entries; address space only until they are written. `ids` shared when
 * given (a new reference is taken). NULL: out of memory. */
struct inv_entries *inv_entries_new(size_t cap, bool with_rows,
                                    struct inv_ids *ids);
/* Copies an id into the table's memory; NULL: out of memory. */
const char *inv_entries_keep_id(struct inv_entries *entries, const char *id,
                                size_t len);

/* Which entries are current. Copied on write. */
struct inv_live {
    struct inv_ref ref;
    size_t count; /* members */
    size_t words;
    uint64_t set[];
};
struct inv_live *inv_live_new(size_t bits);
struct inv_live *inv_live_copy(const struct inv_live *live);

struct inv_shared_postings {
    struct inv_ref ref;
    struct inv_postings *postings;
};
/* Takes the postings, frees them on failure. */
struct inv_shared_postings *
inv_shared_postings_new(struct inv_postings *postings);

/* Entries whose payload changed after their postings were made, ascending by
 * entry. Copied on write. */
struct inv_overlay_item {
    uint32_t entry;
    uint64_t version;
    struct inv_shared_row *row;
};
struct inv_shared_row {
    struct inv_ref ref;
    struct inv_row *row; /* NULL: no values */
};
struct inv_overlay {
    struct inv_ref ref;
    size_t count;
    struct inv_overlay_item items[];
};
/* A copy of `old` (NULL: empty) in which `entry` has `row` (a reference is
 * taken). NULL: out of memory. */
struct inv_overlay *inv_overlay_with(const struct inv_overlay *old,
                                     uint32_t entry, uint64_t version,
                                     struct inv_shared_row *row);

struct inv_part {
    struct inv_segment *segment;
    struct inv_entries *entries;
    struct inv_live *live;
    struct inv_shared_postings *postings; /* NULL: fresh */
    struct inv_overlay *overlay;          /* NULL: empty */
    size_t count;                         /* entries to look at */
    bool live_owned; /* of a view being edited: `live` may be written to */
};

struct inv_view {
    struct inv_ref ref;
    uint64_t version; /* documents of a later version are not in here */
    struct inv_vlog_set *logs;
    struct inv_schema *schema;
    struct inv_encoding *encoding; /* of what comes next */
    struct inv_filter_cache *filters;
    size_t count;
    struct inv_part parts[];
};

/* A copy that shares everything, with room for `more` parts. */
struct inv_view *inv_view_copy(const struct inv_view *view, size_t more);

size_t inv_view_live(const struct inv_view *view);

/* The part and entry of a vseq; false when it is not there. */
bool inv_view_find(const struct inv_view *view, uint64_t vseq, size_t *part,
                   size_t *entry);
bool inv_entries_find(const struct inv_entries *entries, size_t count,
                      uint64_t vseq, size_t *entry);

/* out (inv_bitset_words(part->count) words) = live entries that match the bound
 * filter by indexed fields and ids (NULL: all live). *scanned: entries tested
 * one by one. When the filter needs a scan, out is a superset. */
void inv_part_select(const struct inv_part *part,
                     const struct inv_filter *filter, uint64_t *out,
                     size_t *scanned);

/* The payload values of an entry as the view sees them; NULL for a sealed
 * entry without overlay (its values are in the postings only). */
const struct inv_row *inv_part_row(const struct inv_part *part, size_t entry);

#endif
