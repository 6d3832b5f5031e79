/*
 * picture.h: adapters and a state of an upgrade hung on a collection's view by
 * hand, without the rows that would make them: what a search does with them can
 * be tested for any combination. The next change of models replaces it.
 */
#ifndef TESTS_SUPPORT_PICTURE_H
#define TESTS_SUPPORT_PICTURE_H

#include "server/upgrade/models.h"
#include "tests/support/api.h"

struct picture_adapter {
    const char *name, *from, *to; /* models, "m@2" */
    size_t rows, cols;            /* dimensions of `to` and `from` */
    const float *matrix, *bias;   /* bias NULL: zeros */
    const float *back; /* cols x rows: forward; NULL: there is none */
    bool normalise;
    struct inv_score_map scores; /* of backward; forward has its inverse */
};

/* The models that the collection has now with these adapters, the first one in
 * use. target NULL: no upgrade. An unlabelled query is of the target's model in
 * BRIDGED and CASCADE, else of the gallery's. */
void picture_show(struct api *api, const char *collection,
                  enum inv_upgrade_state state, const char *target,
                  const struct picture_adapter *adapters, size_t count);

#endif
