/*
 * value.h: how values of fields compare, shared by filter.c, filter_bind.c and
 * the postings. Internal to index/.
 *
 * One total order over all kinds: strings, then numbers, then bools. Strings
 * compare bytewise (memcmp, the shorter first). Numbers compare by what they
 * are: an integer against a float exactly, never through a rounded double.
 * NaN must not get here: rows drop it, filters refuse it.
 */
#ifndef INV_INDEX_VALUE_H
#define INV_INDEX_VALUE_H

#include "index/filter.h"

/* <0, 0, >0 */
int inv_value_compare(const struct inv_value *a, const struct inv_value *b);
int inv_value_compare_bytes(const char *a, size_t a_len, const char *b,
                            size_t b_len);
int inv_value_compare_mixed(int64_t a, double b);

/* Sorts by inv_value_compare and drops repetitions; the new count. */
size_t inv_value_sort(struct inv_value *values, size_t count);
/* Is it one of these sorted values? */
bool inv_value_in(const struct inv_value *value, const struct inv_value *sorted,
                  size_t count);
/* A number within the range, or, when its bounds are texts, the text of a time
 * within it. */
bool inv_value_in_range(const struct inv_value *value,
                        const struct inv_range *range);

bool inv_value_is_nan(const struct inv_value *value);
/* "a string", "an integer", "a number", "a bool" */
const char *inv_value_kind_name(const struct inv_value *value);

#endif
