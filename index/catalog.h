/*
 * catalog.h: the SQLite database DATA/catalog.db. What is acknowledged is what
 * its transactions hold; the vector logs hold the vectors it points to.
 *
 * A `struct inv_db` is one connection, used by one thread at a time. The
 * writer thread owns the one that writes; readers borrow others from the pool.
 * Only index/catalog*.c include sqlite3.h.
 */
#ifndef INV_INDEX_CATALOG_H
#define INV_INDEX_CATALOG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inv_db;
struct inv_catalog;

/* Where a vector lies: offset and length of its record in a log file. */
struct inv_place {
    uint32_t file;
    uint32_t rows;
    uint64_t offset;
    uint64_t length;
};

/* Opens or creates the database, applies the migrations it lacks (each in its
 * own transaction). A catalog of a newer release: INV_UNSUPPORTED with both
 * numbers. read_only: for verification, nothing is created or migrated. */
enum inv_status inv_catalog_open(const char *path, bool read_only,
                                 struct inv_catalog **out,
                                 struct inv_err *err) INV_MUST_USE;
void inv_catalog_close(struct inv_catalog *catalog);

/* The write connection: of the writer thread alone. */
struct inv_db *inv_catalog_writer(struct inv_catalog *catalog);
/* A read connection; give it back. Blocks never; opens one more if needed. */
enum inv_status inv_catalog_borrow(struct inv_catalog *catalog,
                                   struct inv_db **out,
                                   struct inv_err *err) INV_MUST_USE;
void inv_catalog_return(struct inv_catalog *catalog, struct inv_db *db);

enum inv_status inv_db_begin(struct inv_db *db,
                             struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_commit(struct inv_db *db,
                              struct inv_err *err) INV_MUST_USE;
void inv_db_rollback(struct inv_db *db);
/* A read transaction that has already taken its snapshot. Begin, commit and
 * snapshot end what was still being read. */
enum inv_status inv_db_snapshot(struct inv_db *db,
                                struct inv_err *err) INV_MUST_USE;
/* True when a statement has failed since the last begin: roll back. */
bool inv_db_failed(const struct inv_db *db);
/* PRAGMA integrity_check; INV_CORRUPT with its first line. */
enum inv_status inv_db_check(struct inv_db *db,
                             struct inv_err *err) INV_MUST_USE;

/* Rows that contradict one another: `each` is called with what is wrong and
 * how many rows are (at least one). */
enum inv_status
inv_db_check_rows(struct inv_db *db,
                  enum inv_status (*each)(void *ctx, const char *what,
                                          uint64_t count, struct inv_err *err),
                  void *ctx, struct inv_err *err) INV_MUST_USE;

/* ---- collections, aliases, spaces, segments, encoder states ---- */
struct inv_collection_row {
    int64_t id;
    const char *uuid, *name, *body, *settings;
    uint64_t next_vseq, next_version, next_gen;
    int64_t created_ms;
};
/* Callbacks: the row is valid during the call; a status other than INV_OK
 * stops and is returned. */
enum inv_status inv_db_collections(
    struct inv_db *db,
    enum inv_status (*each)(void *ctx, const struct inv_collection_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_add_collection(struct inv_db *db,
                                      const struct inv_collection_row *row,
                                      int64_t *id,
                                      struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_set_settings(struct inv_db *db, int64_t collection,
                                    const char *settings,
                                    struct inv_err *err) INV_MUST_USE;
/* INV_NOT_FOUND when the collection has been deleted: whatever else its
 * transaction did would be rows of nobody. */
enum inv_status inv_db_set_counters(struct inv_db *db, int64_t collection,
                                    uint64_t next_vseq, uint64_t next_version,
                                    uint64_t next_gen,
                                    struct inv_err *err) INV_MUST_USE;
/* The row, its documents, vectors, segments, states, spaces and aliases. */
enum inv_status inv_db_delete_collection(struct inv_db *db, int64_t collection,
                                         struct inv_err *err) INV_MUST_USE;

enum inv_status
inv_db_aliases(struct inv_db *db,
               enum inv_status (*each)(void *ctx, const char *name,
                                       int64_t collection, struct inv_err *err),
               void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_set_alias(struct inv_db *db, const char *name,
                                 int64_t collection,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_alias(struct inv_db *db, const char *name,
                                    struct inv_err *err) INV_MUST_USE;

enum inv_status inv_db_add_space(struct inv_db *db, int64_t collection,
                                 uint64_t hash, const char *model,
                                 const char *revision, size_t dim,
                                 int64_t *space,
                                 struct inv_err *err) INV_MUST_USE;
/* The number of the space with this hash; 0 when there is none. */
enum inv_status inv_db_find_space(struct inv_db *db, int64_t collection,
                                  uint64_t hash, int64_t *space,
                                  struct inv_err *err) INV_MUST_USE;

enum inv_status inv_db_segments(struct inv_db *db, int64_t collection,
                                enum inv_status (*each)(void *ctx, uint64_t gen,
                                                        struct inv_err *err),
                                void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_add_segment(struct inv_db *db, int64_t collection,
                                   uint64_t gen,
                                   struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_segment(struct inv_db *db, int64_t collection,
                                      uint64_t gen,
                                      struct inv_err *err) INV_MUST_USE;

struct inv_state_row {
    uint32_t state;
    uint64_t hash;
    const char *settings;
    const void *learned;
    size_t learned_len;
};
enum inv_status inv_db_states(
    struct inv_db *db, int64_t collection,
    enum inv_status (*each)(void *ctx, const struct inv_state_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_add_state(struct inv_db *db, int64_t collection,
                                 const struct inv_state_row *row,
                                 struct inv_err *err) INV_MUST_USE;

/* ---- documents and vectors ---- */
struct inv_document_row {
    int64_t doc; /* 0: not there */
    const char *id;
    size_t id_len;
    uint64_t version;
    const char *payload; /* NULL: none */
    size_t payload_len;
    int64_t space;
    uint64_t vseq;
    struct inv_place place;
};
/* By id. The strings are valid until the connection's next call. */
enum inv_status inv_db_find(struct inv_db *db, int64_t collection,
                            const char *id, size_t id_len,
                            struct inv_document_row *out,
                            struct inv_err *err) INV_MUST_USE;
/* By number: payload, version, vseq. */
enum inv_status inv_db_find_doc(struct inv_db *db, int64_t doc,
                                struct inv_document_row *out,
                                struct inv_err *err) INV_MUST_USE;
/* doc == 0: inserts and sets *doc; else updates. keep_payload leaves it. */
enum inv_status inv_db_put_document(struct inv_db *db, int64_t collection,
                                    const char *id, size_t id_len,
                                    uint64_t version, const char *payload,
                                    size_t payload_len, int64_t *doc,
                                    struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_put_vector(struct inv_db *db, int64_t doc, int64_t space,
                                  uint64_t vseq, const struct inv_place *place,
                                  struct inv_err *err) INV_MUST_USE;
/* Moves a vector that still is `vseq`; *moved says whether it was. */
enum inv_status inv_db_move_vector(struct inv_db *db, int64_t doc,
                                   int64_t space, uint64_t vseq,
                                   const struct inv_place *place, bool *moved,
                                   struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_document(struct inv_db *db, int64_t doc,
                                       struct inv_err *err) INV_MUST_USE;
/* Every vector of a collection with its document, in order of doc. With
 * payloads only when asked. */
enum inv_status inv_db_documents(
    struct inv_db *db, int64_t collection, bool with_payload,
    enum inv_status (*each)(void *ctx, const struct inv_document_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;

/* ---- jobs ---- */
struct inv_job_row {
    int64_t id;
    int64_t collection;
    const char *collection_name, *kind, *state, *stage, *request;
    uint64_t done, total;
    const char *idempotency_key, *error, *result; /* may be NULL */
    int64_t created_ms, finished_ms;              /* 0: not yet */
};
enum inv_status
inv_db_jobs(struct inv_db *db,
            enum inv_status (*each)(void *ctx, const struct inv_job_row *row,
                                    struct inv_err *err),
            void *ctx, struct inv_err *err) INV_MUST_USE;
/* id == 0 inserts and sets row->id; else replaces the row. */
enum inv_status inv_db_put_job(struct inv_db *db, struct inv_job_row *row,
                               struct inv_err *err) INV_MUST_USE;

#endif
