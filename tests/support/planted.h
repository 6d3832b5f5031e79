/*
 * planted.h: a collection "p" with documents of a model whose successor is
 * known exactly: its vectors are those of the first, rotated, with as much
 * noise as a test wants; or they have nothing to do with them. For tests of
 * adapters over HTTP.
 */
#ifndef TESTS_SUPPORT_PLANTED_H
#define TESTS_SUPPORT_PLANTED_H

#include "tests/support/api.h"

#define PLANTED "/v1/collections/p"
#define PLANTED_DIM 16
#define PLANTED_ALL 240 /* documents, ids d0 ... */

enum planted_kind { PLANTED_OLD, PLANTED_ROTATED, PLANTED_UNRELATED };

/* Document i in a model, of norm 1; noise is that of each number. */
void planted_document(size_t i, enum planted_kind kind, float noise,
                      float out[PLANTED_DIM]);
/* A question that document i answers. */
void planted_question(size_t i, enum planted_kind kind, float out[PLANTED_DIM]);

/* The collection with all documents in m@1 (payload topic t0 ... t3), and m@2
 * without vectors. settings: more of them, "" or begun with a comma. */
void planted_make(struct api *api, const char *settings);
/* Document i once more, as it was made. */
void planted_put(struct api *api, size_t i);
/* Vectors of documents [from, to) in a model. */
void planted_vectors(struct api *api, const char *model, size_t from, size_t to,
                     enum planted_kind kind, float noise);
/* Questions about documents [from, to) in m@2, with their vectors in m@1
 * (with_old) and the documents that answer them (with_relevant). */
void planted_queries(struct api *api, size_t from, size_t to,
                     enum planted_kind kind, bool with_old, bool with_relevant);

/* The same of tokens: collection "t", kind multi, document i has `rows` tokens,
 * which are the single documents 3 i, 3 i + 1 ... */
#define PLANTED_TOKENS "/v1/collections/t"
#define PLANTED_TOKEN_DOCUMENTS 60
void planted_make_tokens(struct api *api);
void planted_token_vectors(struct api *api, size_t from, size_t to,
                           size_t rows);
/* Two tokens of each document, as a question. */
void planted_token_queries(struct api *api, size_t count);

/* POST .../adapters of a collection, and waits: the job's last state. */
const char *planted_fit(struct api *api, const char *collection,
                        const char *body);

#endif
