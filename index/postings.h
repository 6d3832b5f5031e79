/*
 * postings.h: for one sealed segment, which entries hold which values: per
 * field a sorted array of (value, entry), and the ids sorted. Turns a
 * condition into a bitset in time proportional to what matches. Derived from
 * the catalog, immutable once made, read by any thread.
 */
#ifndef INV_INDEX_POSTINGS_H
#define INV_INDEX_POSTINGS_H

#include "index/filter.h"

struct inv_postings;
struct inv_postings_builder;

/* schema is copied. Entries are added in any order, each at most once; id
 * bytes are NOT copied: they must outlive the postings (they live in the
 * segment's entry table). row may be NULL; its values have the kind of their
 * field (integer and datetime INT, float FLOAT), else INV_INTERNAL. Entries
 * that are never added are in no set. After a failed add: free the builder. */
enum inv_status inv_postings_builder_new(const struct inv_field *schema,
                                         size_t field_count, size_t entries,
                                         struct inv_postings_builder **out,
                                         struct inv_err *err) INV_MUST_USE;
enum inv_status inv_postings_builder_add(struct inv_postings_builder *builder,
                                         uint32_t entry, const char *id,
                                         size_t id_len,
                                         const struct inv_row *row,
                                         struct inv_err *err) INV_MUST_USE;
/* Consumes the builder, also on failure. */
enum inv_status inv_postings_build(struct inv_postings_builder *builder,
                                   struct inv_postings **out,
                                   struct inv_err *err) INV_MUST_USE;
void inv_postings_builder_free(struct inv_postings_builder *builder);
void inv_postings_free(struct inv_postings *postings);
size_t inv_postings_bytes(const struct inv_postings *postings);

/* out (inv_bitset_words(entries) words) becomes the set of entries for which
 * every condition on an indexed field or on ids allows a match. When
 * inv_filter_needs_scan, out is a superset: the caller tests the rest one by
 * one with inv_filter_matches; else it is exact. */
void inv_postings_select(const struct inv_postings *postings,
                         const struct inv_filter *filter, uint64_t *out);

#endif
