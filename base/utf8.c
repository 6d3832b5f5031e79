/*
 * utf8.c: see utf8.h. Most text is ASCII, so eight bytes at a time are tested
 * for a high bit first. Knows nothing of what characters mean: that is
 * encoders/text/. Called from any thread.
 */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* The well-formed sequences of the standard's table 3-7, by first byte: how
 * long they are and which second bytes they allow. Third and fourth bytes are
 * always 80..BF. */
struct lead {
    uint8_t first, last; /* of the first byte */
    uint8_t size;
    uint8_t low, high; /* of the second byte */
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f},
    {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

/* Bytes of the well-formed sequence at p (not ASCII), 0 when there is none. */
static size_t sequence(const uint8_t *p, size_t len) {
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        const struct lead *lead = &leads[i];
        if (p[0] < lead->first || p[0] > lead->last)
            continue;
        if (len < lead->size || p[1] < lead->low || p[1] > lead->high)
            return 0;
        for (size_t j = 2; j < lead->size; j++)
            if ((p[j] & 0xc0) != 0x80)
                return 0;
        return lead->size;
    }
    return 0;
}

bool inv_utf8_valid(const char *text, size_t len, size_t *bad_at) {
    const uint8_t *p = (const uint8_t *)text;
    size_t at = 0;
    while (at < len) {
        uint64_t eight;
        while (len - at >= sizeof eight) {
            memcpy(&eight, p + at, sizeof eight);
            if (eight & UINT64_C(0x8080808080808080))
                break;
            at += sizeof eight;
        }
        while (at < len && p[at] < 0x80)
            at++;
        /* a run of other characters: no eight-byte test between them */
        while (at < len && p[at] >= 0x80) {
            size_t size = sequence(p + at, len - at);
            if (size == 0) {
                if (bad_at != NULL)
                    *bad_at = at;
                return false;
            }
            at += size;
        }
    }
    return true;
}
