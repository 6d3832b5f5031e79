/*
 * value.c: see value.h. Pure functions, any thread.
 */
#include "index/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TWO_63 9223372036854775808.0

int inv_value_compare_bytes(const char *a, size_t a_len, const char *b,
                            size_t b_len) {
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common == 0 ? 0 : memcmp(a, b, common);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* (double)a would round beyond 2^53: compare the whole part of b as an
 * integer, then look at what is behind its point. */
int inv_value_compare_mixed(int64_t a, double b) {
    if (b >= TWO_63)
        return -1;
    if (b < -TWO_63)
        return 1;
    double whole = trunc(b);
    int64_t integer = (int64_t)whole;
    if (a != integer)
        return a < integer ? -1 : 1;
    return (b < whole) - (b > whole);
}

static int compare_numbers(const struct inv_value *a,
                           const struct inv_value *b) {
    if (a->kind == INV_VALUE_INT && b->kind == INV_VALUE_INT)
        return (a->as.integer > b->as.integer) -
               (a->as.integer < b->as.integer);
    if (a->kind == INV_VALUE_INT)
        return inv_value_compare_mixed(a->as.integer, b->as.number);
    if (b->kind == INV_VALUE_INT)
        return -inv_value_compare_mixed(b->as.integer, a->as.number);
    return (a->as.number > b->as.number) - (a->as.number < b->as.number);
}

/* Integers and floats are of one class. */
static int class_of(const struct inv_value *value) {
    switch (value->kind) {
    case INV_VALUE_STRING:
        return 0;
    case INV_VALUE_INT:
    case INV_VALUE_FLOAT:
        return 1;
    case INV_VALUE_BOOL:
        break;
    }
    return 2;
}

int inv_value_compare(const struct inv_value *a, const struct inv_value *b) {
    int class = class_of(a);
    if (class != class_of(b))
        return class - class_of(b);
    if (class == 0)
        return inv_value_compare_bytes(a->as.string.text, a->as.string.len,
                                       b->as.string.text, b->as.string.len);
    if (class == 1)
        return compare_numbers(a, b);
    return (int)a->as.boolean - (int)b->as.boolean;
}

static int compare_void(const void *a, const void *b) {
    return inv_value_compare(a, b);
}

size_t inv_value_sort(struct inv_value *values, size_t count) {
    if (count < 2)
        return count;
    qsort(values, count, sizeof *values, compare_void);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++)
        if (inv_value_compare(&values[i], &values[kept - 1]) != 0)
            values[kept++] = values[i];
    return kept;
}

bool inv_value_in(const struct inv_value *value, const struct inv_value *sorted,
                  size_t count) {
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        int order = inv_value_compare(value, &sorted[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            count = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* A bound that is a text stands for a time, and so must the value then. */
static bool comparable(const struct inv_value *value,
                       const struct inv_value *bound, struct inv_value *left,
                       struct inv_value *right) {
    *left = *value;
    *right = *bound;
    if (class_of(value) != class_of(bound))
        return false;
    if (bound->kind != INV_VALUE_STRING)
        return bound->kind != INV_VALUE_BOOL;
    left->kind = right->kind = INV_VALUE_INT;
    return inv_time_parse(value->as.string.text, value->as.string.len,
                          &left->as.integer) &&
           inv_time_parse(bound->as.string.text, bound->as.string.len,
                          &right->as.integer);
}

bool inv_value_in_range(const struct inv_value *value,
                        const struct inv_range *range) {
    struct inv_value left;
    struct inv_value right;
    if (range->has_low) {
        if (!comparable(value, &range->low, &left, &right))
            return false;
        int order = compare_numbers(&left, &right);
        if (order < 0 || (order == 0 && range->low_open))
            return false;
    }
    if (range->has_high) {
        if (!comparable(value, &range->high, &left, &right))
            return false;
        int order = compare_numbers(&left, &right);
        if (order > 0 || (order == 0 && range->high_open))
            return false;
    }
    return true;
}

bool inv_value_is_nan(const struct inv_value *value) {
    return value->kind == INV_VALUE_FLOAT && isnan(value->as.number);
}

const char *inv_value_kind_name(const struct inv_value *value) {
    switch (value->kind) {
    case INV_VALUE_STRING:
        return "a string";
    case INV_VALUE_INT:
        return "an integer";
    case INV_VALUE_FLOAT:
        return "a number";
    case INV_VALUE_BOOL:
        break;
    }
    return "a bool";
}
