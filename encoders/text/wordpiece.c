/*
 * wordpiece.c: see wordpiece.h. The vocabulary as a trie over bytes: one root
 * for entries that begin a word, one for "##" entries that continue it. The
 * edges live in one open-addressed hash table, (node, byte) -> node: a byte of
 * text costs one probe, and 30,522 entries take 3 MB.
 *
 * Knows nothing of Unicode (normalize.c does) nor of vectors. Immutable after
 * opening, any thread.
 */
#include "encoders/text/wordpiece.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "encoders/text/normalize.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_ROOT = 0, SUFFIX_ROOT = 1, FIRST_NODE = 2 };

#define VOCAB_BYTES_MAX ((size_t)16 << 20) /* so that a node fits 24 bits */
#define NO_TOKEN UINT32_MAX

struct edge {
    uint32_t key;   /* node << 8 | byte */
    uint32_t child; /* 0: a free slot; no edge leads to a root */
};

struct inv_wordpiece {
    size_t size; /* entries */
    uint32_t unknown;
    uint32_t nodes;
    uint32_t mask; /* slots of edges - 1 */
    struct edge *edges;
    uint32_t *tokens; /* by node: the entry that ends there, or NO_TOKEN */
};

static inline uint32_t slot_of(const struct inv_wordpiece *wordpiece,
                               uint32_t key) {
    uint32_t hash = key * UINT32_C(0x9e3779b1);
    return (hash ^ hash >> 15) & wordpiece->mask;
}

/* The slot that holds the key, or the free one where it belongs. */
static inline struct edge *find_edge(const struct inv_wordpiece *wordpiece,
                                     uint32_t key) {
    uint32_t slot = slot_of(wordpiece, key);
    while (wordpiece->edges[slot].child != 0 &&
           wordpiece->edges[slot].key != key)
        slot = (slot + 1) & wordpiece->mask;
    return &wordpiece->edges[slot];
}

/* Walks or builds the path of one entry; the node at its end. */
static uint32_t add_path(struct inv_wordpiece *wordpiece, uint32_t node,
                         const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uint32_t key = node << 8 | (unsigned char)text[i];
        struct edge *edge = find_edge(wordpiece, key);
        if (edge->child == 0)
            *edge = (struct edge){key, wordpiece->nodes++};
        node = edge->child;
    }
    return node;
}

static enum inv_status add_entry(struct inv_wordpiece *wordpiece,
                                 const char *path, const char *text, size_t len,
                                 struct inv_err *err) {
    size_t line = wordpiece->size + 1;
    if (len == 0)
        return inv_fail(err, INV_CORRUPT, "%s:%zu: an empty entry", path, line);
    bool suffix = len > 2 && text[0] == '#' && text[1] == '#';
    uint32_t node = add_path(wordpiece, suffix ? SUFFIX_ROOT : WORD_ROOT,
                             suffix ? text + 2 : text, suffix ? len - 2 : len);
    if (wordpiece->tokens[node] != NO_TOKEN)
        return inv_fail(err, INV_CORRUPT, "%s:%zu: '%.*s' is also on line %zu",
                        path, line, (int)(len < 64 ? len : 64), text,
                        (size_t)wordpiece->tokens[node] + 1);
    wordpiece->tokens[node] = (uint32_t)wordpiece->size++;
    return INV_OK;
}

static enum inv_status add_entries(struct inv_wordpiece *wordpiece,
                                   const char *path, const char *text,
                                   size_t len, struct inv_err *err) {
    size_t bad;
    if (!inv_utf8_valid(text, len, &bad))
        return inv_fail(err, INV_CORRUPT, "%s: not UTF-8 at byte %zu", path,
                        bad);
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        size_t entry_len = (size_t)(stop - text);
        if (entry_len > 0 && text[entry_len - 1] == '\r')
            entry_len--;
        enum inv_status status =
            add_entry(wordpiece, path, text, entry_len, err);
        if (status != INV_OK)
            return status;
        text = stop + 1;
    }
    return INV_OK;
}

/* Room for a trie of at most max_nodes nodes, the table at most half full. */
static struct inv_wordpiece *allocate(size_t max_nodes) {
    struct inv_wordpiece *wordpiece = calloc(1, sizeof *wordpiece);
    if (wordpiece == NULL)
        return NULL;
    size_t slots = 1024;
    while (slots < max_nodes * 2)
        slots *= 2;
    wordpiece->nodes = FIRST_NODE;
    wordpiece->mask = (uint32_t)(slots - 1);
    wordpiece->edges = calloc(slots, sizeof *wordpiece->edges);
    wordpiece->tokens = malloc(max_nodes * sizeof *wordpiece->tokens);
    if (wordpiece->edges == NULL || wordpiece->tokens == NULL) {
        inv_wordpiece_close(wordpiece);
        return NULL;
    }
    for (size_t i = 0; i < max_nodes; i++)
        wordpiece->tokens[i] = NO_TOKEN;
    return wordpiece;
}

/* The longest entry at the front of the text under a root; its bytes, 0 for
 * none. Entries and words are whole UTF-8 characters, so a match ends at one.
 */
static size_t longest(const struct inv_wordpiece *wordpiece, uint32_t node,
                      const char *text, size_t len, uint32_t *token) {
    size_t found = 0;
    for (size_t i = 0; i < len; i++) {
        node = find_edge(wordpiece, node << 8 | (unsigned char)text[i])->child;
        if (node == 0)
            break;
        if (wordpiece->tokens[node] != NO_TOKEN) {
            *token = wordpiece->tokens[node];
            found = i + 1;
        }
    }
    return found;
}

enum inv_status inv_wordpiece_open(const char *vocab_path,
                                   struct inv_wordpiece **out,
                                   struct inv_err *err) {
    struct inv_wordpiece *wordpiece = NULL;
    struct inv_buf buf = INV_BUF_INIT;
    enum inv_status status =
        inv_buf_read_file(&buf, vocab_path, VOCAB_BYTES_MAX - FIRST_NODE, err);
    if (status != INV_OK)
        goto done;
    wordpiece = allocate(buf.len + FIRST_NODE); /* a byte adds at most a node */
    if (wordpiece == NULL) {
        status =
            inv_fail(err, INV_MEMORY, "out of memory opening %s", vocab_path);
        goto done;
    }
    status = add_entries(wordpiece, vocab_path, buf.len > 0 ? buf.data : "",
                         buf.len, err);
    if (status != INV_OK)
        goto done;
    if (longest(wordpiece, WORD_ROOT, "[UNK]", 5, &wordpiece->unknown) != 5)
        status = inv_fail(err, INV_CORRUPT, "%s: no entry [UNK] among %zu",
                          vocab_path, wordpiece->size);
done:
    inv_buf_release(&buf);
    if (status == INV_OK)
        *out = wordpiece;
    else
        inv_wordpiece_close(wordpiece);
    return status;
}

void inv_wordpiece_close(struct inv_wordpiece *wordpiece) {
    if (wordpiece == NULL)
        return;
    free(wordpiece->edges);
    free(wordpiece->tokens);
    free(wordpiece);
}

size_t inv_wordpiece_size(const struct inv_wordpiece *wordpiece) {
    return wordpiece->size;
}

/* All pieces of a word, or the one unknown token when some part of it matches
 * nothing. pieces: INV_WORD_CHARS_MAX. */
static size_t split(const struct inv_wordpiece *wordpiece,
                    const struct inv_words *words, uint32_t *pieces) {
    size_t count = 0;
    size_t at = 0;
    while (words->chars <= INV_WORD_CHARS_MAX && at < words->size) {
        size_t found =
            longest(wordpiece, at == 0 ? WORD_ROOT : SUFFIX_ROOT,
                    words->word + at, words->size - at, &pieces[count]);
        if (found == 0)
            break;
        at += found;
        count++;
    }
    if (count > 0 && at == words->size)
        return count;
    pieces[0] = wordpiece->unknown;
    return 1;
}

enum inv_status inv_wordpiece_encode(const struct inv_wordpiece *wordpiece,
                                     const char *text, size_t len,
                                     uint32_t *ids, size_t max_ids,
                                     size_t *count, struct inv_err *err) {
    size_t bad;
    if (!inv_utf8_valid(text, len, &bad))
        return inv_fail(err, INV_INVALID, "the text is not UTF-8 at byte %zu",
                        bad);
    struct inv_words words;
    inv_words_init(&words, text, len);
    uint32_t pieces[INV_WORD_CHARS_MAX];
    size_t n = 0;
    while (n < max_ids && inv_words_next(&words)) {
        size_t more = split(wordpiece, &words, pieces);
        if (more > max_ids - n)
            more = max_ids - n;
        memcpy(ids + n, pieces, more * sizeof *ids);
        n += more;
    }
    *count = n;
    return INV_OK;
}
