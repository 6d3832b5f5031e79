/*
 * models.h: two collections that wait for a second model, and everything that
 * can be seen of their models, for tests over HTTP.
 */
#ifndef TESTS_SUPPORT_MODELS_H
#define TESTS_SUPPORT_MODELS_H

#include "tests/support/api.h"

/* "one": single, 4 dimensions, cosine, model m@1, field lang; documents a, b
 * (lang en), c with the seqs 1, 2, 3. "many": multi, 4 dimensions, model t@1;
 * document a. */
void models_make(struct api *api);

/* Documents with their vectors in every model, the models themselves and the
 * migration. malloc'ed. */
char *models_state(struct api *api, const char *collection);

/* Sends what is wrong; checks the answer (api_refused) and that nothing has
 * changed. */
void models_refused(struct api *api, const char *method, const char *path,
                    const char *body, int status, const char *code,
                    const char *pointer, const char *pieces);

#endif
