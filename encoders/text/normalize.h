/*
 * normalize.h: text to words as BERT-uncased sees them, before WordPiece.
 *
 * Control characters (Cc, Cf, Co; NUL and U+FFFD too) are dropped, white space
 * separates, every CJK ideograph and every punctuation mark (ASCII's
 * symbols included) is a word of its own; accents go (NFD, then no Mn) and
 * what is left is lower-cased, one code point at a time.
 *
 * An iterator belongs to one thread; the tables behind it are constant.
 */
#ifndef INV_ENCODERS_TEXT_NORMALIZE_H
#define INV_ENCODERS_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer word is not looked up: it is unknown. */
#define INV_WORD_CHARS_MAX 100

struct inv_words {
    /* The word that inv_words_next found, normalised UTF-8 without NUL. Of
     * more than INV_WORD_CHARS_MAX characters only the number is right. */
    char word[INV_WORD_CHARS_MAX * 4];
    size_t size;  /* bytes of it */
    size_t chars; /* code points of it */

    /* private */
    const char *text;
    size_t len;
    size_t at;
    int32_t queue[8]; /* code points of one character, still to be used */
    int queued;
    int used;
};

/* text: valid UTF-8, which has to outlive the iterator. */
void inv_words_init(struct inv_words *words, const char *text, size_t len);

/* False when there is no further word. */
bool inv_words_next(struct inv_words *words);

#endif
