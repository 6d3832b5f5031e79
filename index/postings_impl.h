/*
 * postings_impl.h: what postings_build.c makes and postings.c reads. Internal.
 *
 *   keyword    term_at:    0    2    5    |9       into term_bytes "endefrit.."
 *              term_first: 0    2    3    |4       into entries
 *   integer,   values:     -7   3    3    12       sorted
 *   datetime,  entries:    4    0    9    4        the entry of each value
 *   float
 *   bool       yes, no:    bitsets over entries
 */
#ifndef INV_INDEX_POSTINGS_IMPL_H
#define INV_INDEX_POSTINGS_IMPL_H

#include "base/bitset.h"
#include "index/postings.h"

struct inv_posting_field {
    enum inv_field_type type;
    uint64_t *exists;     /* bitset: holds at least one value */
    size_t count;         /* of (value, entry) pairs */
    uint32_t *entries;    /* count; keyword: grouped by term */
    int64_t *integers;    /* INTEGER, DATETIME: count, ascending */
    double *numbers;      /* FLOAT: count, ascending */
    size_t terms;         /* KEYWORD: distinct strings, ascending bytewise */
    size_t *term_at;      /* terms + 1 */
    uint32_t *term_first; /* terms + 1 */
    char *term_bytes;
    uint64_t *yes, *no; /* BOOL */
};

struct inv_postings {
    size_t entries;
    uint64_t *present; /* bitset: entries that were added */
    const char **ids;  /* by entry; the bytes are the caller's */
    uint16_t *id_lens;
    uint32_t *by_id; /* entries that were added, in the order of their ids */
    size_t id_count;
    size_t field_count;
    size_t bytes;
    struct inv_posting_field fields[];
};

/* inv_postings_select with the memory to do it in: `words` >= 1 of it. The
 * entries are worked off in windows of 64 * words, and each costs a walk over
 * all that matches. */
void inv_postings_select_within(const struct inv_postings *postings,
                                const struct inv_filter *filter, uint64_t *out,
                                uint64_t *scratch, size_t words);

#endif
