/*
 * bitset.h: sets of small numbers as words of 64 bits. The words are the
 * interface: the index shim hands them to FAISS as they are (bit i of word
 * i / 64, little-endian).
 */
#ifndef INV_BASE_BITSET_H
#define INV_BASE_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t inv_bitset_words(size_t bits) { return (bits + 63) / 64; }

static inline bool inv_bitset_has(const uint64_t *set, size_t i) {
    return (set[i / 64] >> (i % 64)) & 1;
}

static inline void inv_bitset_add(uint64_t *set, size_t i) {
    set[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void inv_bitset_remove(uint64_t *set, size_t i) {
    set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline size_t inv_bitset_count(const uint64_t *set, size_t bits) {
    size_t count = 0;
    for (size_t w = 0; w < inv_bitset_words(bits); w++)
        count += (size_t)__builtin_popcountll(set[w]);
    return count;
}

/* Bits 0..bits-1 set, the rest of the last word clear. */
static inline void inv_bitset_fill(uint64_t *set, size_t bits) {
    size_t words = inv_bitset_words(bits);
    if (words == 0)
        return;
    memset(set, 0xff, words * sizeof *set);
    if (bits % 64 != 0)
        set[words - 1] = (UINT64_C(1) << (bits % 64)) - 1;
}

/* The first member >= from, or `bits` when there is none. */
static inline size_t inv_bitset_next(const uint64_t *set, size_t bits,
                                     size_t from) {
    if (from >= bits)
        return bits;
    size_t w = from / 64;
    uint64_t word = set[w] & (~UINT64_C(0) << (from % 64));
    while (word == 0) {
        if (++w >= inv_bitset_words(bits))
            return bits;
        word = set[w];
    }
    size_t i = w * 64 + (size_t)__builtin_ctzll(word);
    return i < bits ? i : bits;
}

#endif
