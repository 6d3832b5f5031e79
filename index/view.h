/*
 * view.h: what a search sees: an immutable list of parts (segments with their
 * entries, what of them is alive, their payload postings) and the vector logs
 * they point into. One atomic change of a collection = one new view; whatever
 * did not change is shared with the view before.
 *
 * A collection may hold vectors of several spaces (models). Each part is of
 * one. The gallery's space comes first, then the others by age. A search finds
 * a document in the first space that has it; in later ones its entries are
 * `shadowed`, and serve who asks for the vector of a document there
 * (inv_view_find_doc).
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

#include <string.h>

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

/* By the bytes of their ids, a shorter one first: what equal scores are put in
 * order by. As of qsort. */
static inline int inv_entry_compare_ids(const struct inv_entry *a,
                                        const struct inv_entry *b) {
    size_t len = a->id_len < b->id_len ? a->id_len : b->id_len;
    int order = memcmp(a->id, b->id, len);
    return order != 0 ? order
                      : (a->id_len > b->id_len) - (a->id_len < b->id_len);
}

struct inv_doc_table; /* from documents to entries */

/* The entries of a segment, ascending by vseq; entry i is row i of its index.
 * Grows (fresh) up to `cap` without moving. */
struct inv_entries {
    struct inv_ref ref;
    size_t cap;
    struct inv_entry *items;
    struct inv_ids *ids;        /* memory of the ids, shared between tables */
    struct inv_doc_table *docs; /* may be shared by a copy of the items */
    struct inv_row **rows; /* fresh: payload values, owned; NULL if sealed */
};
/* `cap` entries; address space only until they are written. `ids` shared when
 * given (a new reference is taken). NULL: out of memory. */
struct inv_entries *inv_entries_new(size_t cap, bool with_rows,
                                    struct inv_ids *ids);
/* The same items in a table of their own, their ids and documents shared. */
struct inv_entries *inv_entries_copy(const struct inv_entries *entries,
                                     size_t count, bool with_rows);
/* items[i] has got its document: it can be found by it from now on. False:
 * the table of documents is full (after very many discarded attempts). */
bool inv_entries_link(struct inv_entries *entries, size_t i) INV_MUST_USE;
/* No further entry can be linked. */
bool inv_entries_full(const struct inv_entries *entries);
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
    struct inv_live *shadowed; /* entries whose document an earlier space has;
                                  NULL in the gallery's. Copied on write; says
                                  nothing of entries that are not live */
    size_t count;              /* entries to look at */
    bool live_owned;     /* of a view being edited: `live` may be written to */
    bool shadowed_owned; /* likewise */
};

static inline int64_t inv_part_space(const struct inv_part *part) {
    return part->segment->encoding->space;
}

struct inv_view_space {
    int64_t space;
    struct inv_encoding *encoding; /* of what comes next in it */
};

struct inv_view {
    struct inv_ref ref;
    uint64_t version; /* documents of a later version are not in here */
    struct inv_vlog_set *logs;
    struct inv_schema *schema;
    struct inv_view_space spaces[INV_SPACES_MAX]; /* the gallery's first */
    size_t space_count;
    struct inv_ref *context; /* what the pipelines hang on a view, changed in
                                the same moment as the rest; NULL: nothing */
    struct inv_filter_cache *filters;
    size_t count;
    struct inv_part parts[];
};

static inline int64_t inv_view_gallery(const struct inv_view *view) {
    return view->spaces[0].space;
}
/* Its place among the view's spaces, 0: the gallery's; space_count: none. */
size_t inv_view_rank(const struct inv_view *view, int64_t space);
/* Of what comes next in a space (0: the gallery's); NULL: no such space. */
struct inv_encoding *inv_view_encoding(const struct inv_view *view,
                                       int64_t space);

/* A copy that shares everything, with room for `more` parts. */
struct inv_view *inv_view_copy(const struct inv_view *view, size_t more);

/* Documents: entries that are live and not shadowed. */
size_t inv_view_live(const struct inv_view *view);
size_t inv_part_home(const struct inv_part *part); /* those of a part */

/* Live vectors in a space. */
size_t inv_view_vectors(const struct inv_view *view, int64_t space);
/* How many documents the gallery's space has; of those with a vector in
 * `space`, how many are among them, and how many not. For a space that has
 * another one between itself and the gallery it walks the gallery's entries:
 * `shadowed` does not say which of the two a document is in. */
struct inv_coverage {
    size_t gallery, both, alone;
};
struct inv_coverage inv_view_coverage(const struct inv_view *view,
                                      int64_t space);

/* The live entry of a document in a space; false when it has none there. */
bool inv_view_find_doc(const struct inv_view *view, int64_t space, int64_t doc,
                       size_t *part, size_t *entry);
bool inv_part_find_doc(const struct inv_part *part, int64_t doc, size_t *entry);

/* The part and entry of a vseq; false when it is not there. */
bool inv_view_find(const struct inv_view *view, uint64_t vseq, size_t *part,
                   size_t *entry);
bool inv_entries_find(const struct inv_entries *entries, size_t count,
                      uint64_t vseq, size_t *entry);

/* out (inv_bitset_words(part->count) words) = live entries, without shadowed
 * ones, that match the bound filter by indexed fields and ids (NULL: all).
 * *scanned: entries tested one by one. When the filter needs a scan, out is a
 * superset. */
void inv_part_select(const struct inv_part *part,
                     const struct inv_filter *filter, uint64_t *out,
                     size_t *scanned);

/* The payload values of an entry as the view sees them; NULL for a sealed
 * entry without overlay (its values are in the postings only). */
const struct inv_row *inv_part_row(const struct inv_part *part, size_t entry);

#endif
