/*
 * normalize.c: see normalize.h. The only user of utf8proc. Knows no
 * vocabulary. ASCII takes a path of one table look-up a byte (English text is
 * nearly all of it); everything else is decomposed one character at a time.
 *
 * NFD also reorders runs of marks. Nearly all are Mn, which go; the order of
 * the few others (Mc with a combining class) is kept as written. No entry of
 * the BERT vocabularies holds one, so such a word is unknown either way.
 *
 * Called from any thread.
 */
#include "encoders/text/normalize.h"

#include <string.h>
#include <utf8proc.h>

/* What an ASCII byte is: a blank, punctuation, dropped, or part of a word; for
 * the last, the table holds the lower-case letter itself, which is above. */
enum { DROP = 0, SPACE = 1, PUNCT = 2 };

static const uint8_t ascii[128] = {
    DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  SPACE, SPACE,
    DROP,  DROP,  SPACE, DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,
    DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  DROP,  SPACE,
    PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT,
    PUNCT, PUNCT, PUNCT, PUNCT, '0',   '1',   '2',   '3',   '4',   '5',   '6',
    '7',   '8',   '9',   PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, 'a',
    'b',   'c',   'd',   'e',   'f',   'g',   'h',   'i',   'j',   'k',   'l',
    'm',   'n',   'o',   'p',   'q',   'r',   's',   't',   'u',   'v',   'w',
    'x',   'y',   'z',   PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, PUNCT, 'a',   'b',
    'c',   'd',   'e',   'f',   'g',   'h',   'i',   'j',   'k',   'l',   'm',
    'n',   'o',   'p',   'q',   'r',   's',   't',   'u',   'v',   'w',   'x',
    'y',   'z',   PUNCT, PUNCT, PUNCT, PUNCT, DROP,
};

static bool is_between(int32_t c, int32_t first, int32_t last) {
    return c >= first && c <= last;
}

/* The blocks of ideographs that BERT separates; not kana, not hangul. */
static bool is_ideograph(int32_t c) {
    return is_between(c, 0x4e00, 0x9fff) || is_between(c, 0x3400, 0x4dbf) ||
           is_between(c, 0xf900, 0xfaff) || is_between(c, 0x20000, 0x2a6df) ||
           is_between(c, 0x2a700, 0x2b73f) || is_between(c, 0x2b740, 0x2b81f) ||
           is_between(c, 0x2b820, 0x2ceaf) || is_between(c, 0x2f800, 0x2fa1f);
}

static bool is_space(int32_t c) {
    if (c < 0x80)
        return c >= 0 && ascii[c] == SPACE;
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
}

static bool is_punctuation(int32_t c) {
    if (c < 0x80)
        return c >= 0 && ascii[c] == PUNCT;
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* Not Cn: which code points are unassigned changes with the Unicode version,
 * and the same text must give the same ids after an upgrade of the library. */
static bool is_dropped(int32_t c) {
    if (c == 0xfffd)
        return true;
    if (c < 0x80)
        return c < 0 || ascii[c] == DROP;
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO;
}

/* Puts what becomes of one character of the text into the empty queue:
 * nothing, a blank, or its decomposition without accents in lower case. */
static void fill_queue(struct inv_words *words, int32_t c) {
    words->queued = words->used = 0;
    if (is_dropped(c))
        return;
    if (is_space(c)) {
        words->queue[words->queued++] = ' ';
        return;
    }
    bool ideograph = is_ideograph(c);
    if (ideograph)
        words->queue[words->queued++] = ' ';
    /* at most 4 code points since Unicode 3.0, a stability guarantee */
    int32_t parts[4] = {0};
    utf8proc_ssize_t n =
        utf8proc_decompose_char(c, parts, 4, UTF8PROC_DECOMPOSE, NULL);
    for (utf8proc_ssize_t i = 0; i < n && i < 4; i++)
        if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
            words->queue[words->queued++] = utf8proc_tolower(parts[i]);
    if (ideograph)
        words->queue[words->queued++] = ' ';
}

/* Appends to the word; beyond the maximum it only counts. */
static void put(struct inv_words *words, int32_t c) {
    if (words->chars++ >= INV_WORD_CHARS_MAX)
        return;
    words->size += (size_t)utf8proc_encode_char(
        c, (utf8proc_uint8_t *)words->word + words->size);
}

/* A run of ASCII, as far as the word goes. True: the word ends here, or is the
 * punctuation mark that was read. */
static bool take_ascii(struct inv_words *words) {
    while (words->at < words->len) {
        unsigned char byte = (unsigned char)words->text[words->at];
        if (byte >= 0x80)
            return false;
        uint8_t kind = ascii[byte];
        if (kind > PUNCT) {
            if (words->chars++ < INV_WORD_CHARS_MAX)
                words->word[words->size++] = (char)kind;
        } else if (kind != DROP && words->chars > 0) {
            return true; /* and is looked at again by the next call */
        } else if (kind == PUNCT) {
            words->at++;
            words->word[0] = (char)byte;
            words->size = words->chars = 1;
            return true;
        }
        words->at++;
    }
    return false;
}

/* The code points of the queue; true as take_ascii. */
static bool take_queue(struct inv_words *words) {
    while (words->used < words->queued) {
        int32_t c = words->queue[words->used];
        bool space = is_space(c);
        bool punctuation = !space && is_punctuation(c);
        if ((space || punctuation) && words->chars > 0)
            return true;
        words->used++;
        if (!space)
            put(words, c);
        if (punctuation)
            return true;
    }
    return false;
}

void inv_words_init(struct inv_words *words, const char *text, size_t len) {
    memset(words, 0, sizeof *words);
    words->text = text;
    words->len = len;
}

bool inv_words_next(struct inv_words *words) {
    words->size = words->chars = 0;
    for (;;) {
        if (take_queue(words) || take_ascii(words))
            return true;
        if (words->at >= words->len)
            return words->chars > 0;
        int32_t c = -1;
        utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)words->text + words->at,
                             (utf8proc_ssize_t)(words->len - words->at), &c);
        /* n < 1 is ill-formed text, which the caller excluded: skip a byte */
        words->at += n > 0 ? (size_t)n : 1;
        fill_queue(words, c);
    }
}
