/*
 * postings.c: from a bound filter to the set of entries. Every condition is a
 * binary search and a walk over what it matches; entries that do not match are
 * never looked at (but their bits are: one word for 64 of them).
 *
 * Sets are worked out in windows of entries, because a search must not fail
 * for want of memory: usually there is one window, in memory from malloc; when
 * there is none to have, 4 KiB of stack do, and lists are walked once for every
 * 32,768 entries. Reads immutable data; any thread.
 */
#include "index/postings.h"

#include "index/postings_impl.h"
#include "index/value.h"

#include <stdlib.h>

#define STACK_WORDS 512

/* Bits [first, first + 64 * words) of the entries. */
struct window {
    uint64_t *set;
    size_t first, words;
    bool remove; /* take entries out of the set instead of into it */
};

static void mark(const struct window *w, const uint32_t *entries, size_t from,
                 size_t to) {
    for (size_t k = from; k < to; k++) {
        size_t i = (size_t)entries[k] - w->first; /* wraps when below */
        if (i >= w->words * 64)
            continue;
        if (w->remove)
            inv_bitset_remove(w->set, i);
        else
            inv_bitset_add(w->set, i);
    }
}

static void mark_bits(const struct window *w, const uint64_t *bits) {
    const uint64_t *from = bits + w->first / 64;
    for (size_t i = 0; i < w->words; i++)
        w->set[i] = w->remove ? w->set[i] & ~from[i] : w->set[i] | from[i];
}

/* How many of the ascending values are below the bound, or, with `through`, at
 * most equal to it. Likewise for the other two. */
static size_t below_integer(const struct inv_posting_field *field,
                            int64_t bound, bool through) {
    size_t low = 0;
    size_t high = field->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t value = field->integers[middle];
        if (value < bound || (through && value == bound))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t below_number(const struct inv_posting_field *field, double bound,
                           bool through) {
    size_t low = 0;
    size_t high = field->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        double value = field->numbers[middle];
        if (through ? value <= bound : value < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* prefix: compares no more of a term than the bound is long, so that with
 * `through` all terms that begin with it are counted. */
static size_t below_term(const struct inv_posting_field *field,
                         const struct inv_value *bound, bool prefix,
                         bool through) {
    size_t low = 0;
    size_t high = field->terms;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t at = field->term_at[middle];
        size_t len = field->term_at[middle + 1] - at;
        if (prefix && len > bound->as.string.len)
            len = bound->as.string.len;
        int order = inv_value_compare_bytes(field->term_bytes + at, len,
                                            bound->as.string.text,
                                            bound->as.string.len);
        if (order < 0 || (through && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t below(const struct inv_posting_field *field,
                    const struct inv_value *bound, bool through) {
    return field->type == INV_FIELD_FLOAT
               ? below_number(field, bound->as.number, through)
               : below_integer(field, bound->as.integer, through);
}

/* What inv_filter_bind makes of a literal for a field of this type; anything
 * else was bound to another schema and matches nothing. */
static bool fits(const struct inv_posting_field *field,
                 const struct inv_value *value) {
    switch (field->type) {
    case INV_FIELD_KEYWORD:
        return value->kind == INV_VALUE_STRING;
    case INV_FIELD_INTEGER:
    case INV_FIELD_DATETIME:
        return value->kind == INV_VALUE_INT;
    case INV_FIELD_FLOAT:
        return value->kind == INV_VALUE_FLOAT;
    case INV_FIELD_BOOL:
        return value->kind == INV_VALUE_BOOL;
    case INV_FIELD_ANY:
        break;
    }
    return false;
}

static void mark_terms(const struct window *w,
                       const struct inv_posting_field *field,
                       const struct inv_value *value, bool prefix) {
    size_t from = below_term(field, value, prefix, false);
    size_t to = below_term(field, value, prefix, true);
    mark(w, field->entries, field->term_first[from], field->term_first[to]);
}

static void mark_match(const struct window *w,
                       const struct inv_posting_field *field,
                       const struct inv_value *value) {
    if (!fits(field, value))
        return;
    if (field->type == INV_FIELD_KEYWORD)
        mark_terms(w, field, value, false);
    else if (field->type == INV_FIELD_BOOL)
        mark_bits(w, value->as.boolean ? field->yes : field->no);
    else
        mark(w, field->entries, below(field, value, false),
             below(field, value, true));
}

static void mark_range(const struct window *w,
                       const struct inv_posting_field *field,
                       const struct inv_range *range) {
    if (field->type == INV_FIELD_KEYWORD || field->type == INV_FIELD_BOOL ||
        (range->has_low && !fits(field, &range->low)) ||
        (range->has_high && !fits(field, &range->high)))
        return;
    size_t from = 0;
    size_t to = field->count;
    if (range->has_low)
        from = below(field, &range->low, range->low_open);
    if (range->has_high)
        to = below(field, &range->high, !range->high_open);
    mark(w, field->entries, from, to); /* from > to: nothing */
}

static size_t below_id(const struct inv_postings *postings,
                       const struct inv_value *bound, bool through) {
    size_t low = 0;
    size_t high = postings->id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t entry = postings->by_id[middle];
        int order = inv_value_compare_bytes(
            postings->ids[entry], postings->id_lens[entry],
            bound->as.string.text, bound->as.string.len);
        if (order < 0 || (through && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void mark_condition(const struct window *w,
                           const struct inv_postings *postings,
                           const struct inv_condition *condition) {
    if (condition->kind == INV_COND_IDS) {
        for (size_t i = 0; i < condition->value_count; i++)
            mark(w, postings->by_id,
                 below_id(postings, &condition->values[i], false),
                 below_id(postings, &condition->values[i], true));
        return;
    }
    if (condition->field >= postings->field_count)
        return;
    const struct inv_posting_field *field = &postings->fields[condition->field];
    switch (condition->kind) {
    case INV_COND_MATCH:
        for (size_t i = 0; i < condition->value_count; i++)
            mark_match(w, field, &condition->values[i]);
        break;
    case INV_COND_RANGE:
        mark_range(w, field, &condition->range);
        break;
    case INV_COND_EXISTS:
        mark_bits(w, field->exists);
        break;
    case INV_COND_PREFIX:
        if (field->type == INV_FIELD_KEYWORD)
            mark_terms(w, field, &condition->values[0], true);
        break;
    case INV_COND_IDS:
        break; /* above */
    }
}

static bool is_indexed(const struct inv_condition *condition) {
    return condition->kind == INV_COND_IDS ||
           (condition->field & INV_FIELD_UNINDEXED) == 0;
}

/* out &= the union of the conditions, worked out in w. */
static void intersect(struct window *w, const struct inv_postings *postings,
                      const struct inv_condition *conditions, size_t count,
                      uint64_t *out) {
    memset(w->set, 0, w->words * sizeof *w->set);
    for (size_t i = 0; i < count; i++)
        mark_condition(w, postings, &conditions[i]);
    for (size_t i = 0; i < w->words; i++)
        out[i] &= w->set[i];
}

static void select_window(const struct inv_postings *postings,
                          const struct inv_filter *filter, size_t first,
                          size_t words, uint64_t *out, uint64_t *scratch) {
    struct window gather = {scratch, first, words, false};
    struct window discard = {out, first, words, true};
    memcpy(out, postings->present + first / 64, words * sizeof *out);
    for (size_t i = 0; i < filter->must_count; i++)
        if (is_indexed(&filter->must[i]))
            intersect(&gather, postings, &filter->must[i], 1, out);
    for (size_t i = 0; i < filter->must_not_count; i++)
        if (is_indexed(&filter->must_not[i]))
            mark_condition(&discard, postings, &filter->must_not[i]);
    /* One `should` that only a scan can answer may let anything through. */
    bool known = filter->should_count > 0;
    for (size_t i = 0; i < filter->should_count; i++)
        known = known && is_indexed(&filter->should[i]);
    if (known)
        intersect(&gather, postings, filter->should, filter->should_count, out);
}

void inv_postings_select_within(const struct inv_postings *postings,
                                const struct inv_filter *filter, uint64_t *out,
                                uint64_t *scratch, size_t words) {
    size_t all = inv_bitset_words(postings->entries);
    for (size_t at = 0; at < all; at += words)
        select_window(postings, filter, at * 64,
                      words < all - at ? words : all - at, out + at, scratch);
}

void inv_postings_select(const struct inv_postings *postings,
                         const struct inv_filter *filter, uint64_t *out) {
    uint64_t stack[STACK_WORDS];
    size_t words = inv_bitset_words(postings->entries);
    uint64_t *scratch = NULL;
    if (words > STACK_WORDS)
        scratch = malloc(words * sizeof *scratch);
    if (scratch != NULL)
        inv_postings_select_within(postings, filter, out, scratch, words);
    else
        inv_postings_select_within(postings, filter, out, stack, STACK_WORDS);
    free(scratch);
}

size_t inv_postings_bytes(const struct inv_postings *postings) {
    return postings->bytes;
}
