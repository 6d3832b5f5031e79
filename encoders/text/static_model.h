/*
 * static_model.h: a static token table as a text encoder. One unit vector and
 * one weight per vocabulary entry: a multi-vector document is the vectors of
 * its tokens, a multi-vector query the vectors times their weights, and a
 * single vector the normalised weighted sum.
 *
 * A model directory holds model.json, table.i8.npy, scale.f16.npy,
 * weight.f16.npy; vocab.txt lies in it or in its parent. Immutable once opened:
 * any thread.
 */
#ifndef INV_ENCODERS_TEXT_STATIC_MODEL_H
#define INV_ENCODERS_TEXT_STATIC_MODEL_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct inv_static_model;

/* Shapes of the three tables must agree with each other and the vocabulary;
 * INV_CORRUPT with both numbers if not. The files are mapped read-only. */
enum inv_status inv_static_model_open(const char *dir,
                                      struct inv_static_model **out,
                                      struct inv_err *err) INV_MUST_USE;
void inv_static_model_close(struct inv_static_model *model);

size_t inv_static_model_dim(const struct inv_static_model *model);

enum inv_text_role { INV_TEXT_DOCUMENT, INV_TEXT_QUERY };

/* Multi-vector: out holds max_tokens x dim floats; *rows is set. Queries carry
 * their weight as the norm. A text without a token: INV_INVALID. */
enum inv_status inv_static_model_tokens(const struct inv_static_model *model,
                                        const char *text, size_t len,
                                        enum inv_text_role role,
                                        size_t max_tokens, float *out,
                                        size_t *rows,
                                        struct inv_err *err) INV_MUST_USE;

/* Single vector of `dim` floats (the model's, unit norm), from the first
 * max_tokens tokens. */
enum inv_status inv_static_model_pooled(const struct inv_static_model *model,
                                        const char *text, size_t len,
                                        size_t max_tokens, float *out,
                                        struct inv_err *err) INV_MUST_USE;

#endif
