/*
 * wordpiece.h: text to token ids as BERT-uncased does it: clean, lower-case,
 * strip accents (NFD by utf8proc), split CJK and punctuation, then greedy
 * longest-match WordPiece. Special tokens are not added.
 *
 * The vocabulary is immutable once opened: any thread.
 */
#ifndef INV_ENCODERS_TEXT_WORDPIECE_H
#define INV_ENCODERS_TEXT_WORDPIECE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct inv_wordpiece;

/* vocab.txt: one entry a line, line number (from 0) = id. */
enum inv_status inv_wordpiece_open(const char *vocab_path,
                                   struct inv_wordpiece **out,
                                   struct inv_err *err) INV_MUST_USE;
void inv_wordpiece_close(struct inv_wordpiece *wordpiece);
size_t inv_wordpiece_size(const struct inv_wordpiece *wordpiece);

/* Writes at most max_ids ids (the rest is cut), sets *count. text: valid
 * UTF-8, len bytes; else INV_INVALID naming the byte. An empty or all-space
 * text gives 0 ids. */
enum inv_status inv_wordpiece_encode(const struct inv_wordpiece *wordpiece,
                                     const char *text, size_t len,
                                     uint32_t *ids, size_t max_ids,
                                     size_t *count,
                                     struct inv_err *err) INV_MUST_USE;

#endif
