/*
 * ingest.h: the write pipeline: documents as given -> checked -> stored codes
 * and their encoding -> one operation of the writer (log, catalog, fresh
 * segment) -> answer. Everything that can fail for one document fails before
 * anything is written.
 */
#ifndef INV_SERVER_INGEST_H
#define INV_SERVER_INGEST_H

#include "server/app.h"
#include "server/upgrade/models.h"

/* Documents prepared for one collection; owns rows and payload texts. */
struct inv_ingest {
    struct inv_collection *collection;
    struct inv_view *view; /* for its encodings, schema and models */
    const struct inv_models *models;
    bool used[INV_SPACES_MAX]; /* spaces of the models that came */
    const char *model; /* of documents that name none; NULL: as they are */
    enum inv_put_mode mode;
    struct inv_arena *arena;
    struct inv_put *puts;
    size_t count, cap;
    struct inv_err *errors; /* of documents that were left out */
    size_t created;         /* out */
};

/* cap: how many documents at most. Memory from the arena. */
enum inv_status inv_ingest_init(struct inv_ingest *ingest,
                                struct inv_collection *collection,
                                enum inv_put_mode mode, size_t cap,
                                struct inv_arena *arena,
                                struct inv_err *err) INV_MUST_USE;
void inv_ingest_release(struct inv_ingest *ingest);

/* Checks and encodes one document and adds it; `at` is the pointer prefix of
 * an error. Its model says which space it goes into: INV_SPACE_MISMATCH for
 * one that is not known, or for none where several are. Into a gallery that is
 * in a simplex a document of any model is carried by the adapter of its model:
 * INV_SPACE_MISMATCH where there is none. The id and the payload
 * must stay valid until the commit. A document with an id that was added before
 * replaces it only in bulk: the caller rejects duplicates where they are
 * errors. */
enum inv_status inv_ingest_add(struct inv_ingest *ingest,
                               const struct inv_document_in *document,
                               const char *at,
                               struct inv_err *err) INV_MUST_USE;
/* Writes all of them, durably; created is set. Then the ingest is empty. */
enum inv_status inv_ingest_commit(struct inv_ingest *ingest,
                                  struct inv_err *err) INV_MUST_USE;

/* Vectors of a query or document for these settings: text through the built-in
 * model, or as given; checked for kind, dimension and zero vectors, normalised
 * for cosine where the metric needs it (query: always; multi document: its
 * tokens). All-zero tokens are dropped. Memory from the arena. */
enum inv_status
inv_take_vectors(const struct inv_app *app, const struct inv_settings *settings,
                 const struct inv_given *given, const char *text,
                 size_t text_len, enum inv_text_role role, const char *at,
                 struct inv_arena *arena, struct inv_matrix *out,
                 struct inv_err *err) INV_MUST_USE;
/* A query with the lengths it came with, whatever the metric: what fits are
 * made of. Otherwise the same. */
enum inv_status inv_take_raw(const struct inv_app *app,
                             const struct inv_settings *settings,
                             const struct inv_given *given, const char *text,
                             size_t text_len, const char *at,
                             struct inv_arena *arena, struct inv_matrix *out,
                             struct inv_err *err) INV_MUST_USE;
/* The vectors of a document of a space, as they are to be stored, and their
 * code: sets codes, encoding and code of `put`. */
enum inv_status inv_take_document(const struct inv_app *app,
                                  const struct inv_settings *settings,
                                  const struct inv_encoding *encoding,
                                  const struct inv_document_in *document,
                                  const char *at, struct inv_arena *arena,
                                  struct inv_put *put,
                                  struct inv_err *err) INV_MUST_USE;

#endif
