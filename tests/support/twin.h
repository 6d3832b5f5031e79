/*
 * twin.h: a collection "c" whose documents have vectors in two models: m@1
 * (16 dimensions, the gallery's) and m@2 (24), a known rotation apart, and
 * plain arithmetic over them to compare searches with. Document i is called
 * "d000" + i, so ids are in the order of i.
 */
#ifndef TESTS_SUPPORT_TWIN_H
#define TESTS_SUPPORT_TWIN_H

#include "tests/support/picture.h"

#define TWIN_DOCS 160
#define TWIN_OLD 16
#define TWIN_NEW 24
#define TWIN_QUERIES 8

struct twin {
    float old[TWIN_DOCS][TWIN_OLD]; /* all of norm 1 */
    float new[TWIN_DOCS][TWIN_NEW];
    float old_query[TWIN_QUERIES][TWIN_OLD];
    float new_query[TWIN_QUERIES][TWIN_NEW];
    float matrix[TWIN_OLD * TWIN_NEW]; /* new -> old */
    float back[TWIN_NEW * TWIN_OLD];
};

/* new = the rotated old vector + noise times a random one. */
void twin_make(struct twin *twin, float noise);
/* Adds `amount` of one direction, which the rotation takes away again, to every
 * new vector: as in models whose cosines are all near 1. */
void twin_narrow(struct twin *twin, float amount);

/* Makes the collection (fields: "even" keyword; "n" is not indexed) and the
 * model m@2. settings: more members of the body, or "". */
void twin_open(struct api *api, const char *settings);
/* Documents [from, to) with their vectors in m@1 or, `newer`, in m@2. */
void twin_put(struct api *api, const struct twin *twin, int from, int to,
              bool newer);
/* Vectors in m@2 of stored documents from, from + step, ... below `to`. */
void twin_beside(struct api *api, const struct twin *twin, int from, int to,
                 int step);
/* The adapter from m@2 to m@1 with both directions; its map is the identity
 * when `mapped`. */
struct picture_adapter twin_adapter(const struct twin *twin, bool mapped);

/* Searches with query q in m@1 or m@2; rest: more members, ",\"limit\":5". */
void twin_search(struct api *api, const struct twin *twin, int q, bool newer,
                 const char *rest);
/* The number of the document of hit i of the reply. */
int twin_hit(const struct api *api, size_t i);
double twin_score(const struct api *api, size_t i);
size_t twin_hits(const struct api *api);

struct twin_ranked {
    int doc;
    double score;
};
double twin_dot(const float *a, const float *b, int dim);
/* Best first, equal scores by number. */
void twin_sort(struct twin_ranked *list, size_t count);
/* All documents by their scores in one model. */
void twin_rank(const struct twin *twin, int q, bool newer,
               struct twin_ranked list[TWIN_DOCS]);
/* Fails unless the reply's hits are the first `count` of the list, with their
 * scores. */
void twin_same(const struct api *api, const struct twin_ranked *list,
               size_t count);

#endif
