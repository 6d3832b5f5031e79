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

struct inv_space_row {
    int64_t space;
    uint64_t hash;
    const char *model, *revision;
    size_t dim;
    const char *settings; /* NULL: those of the collection */
    int64_t created_ms;
};
/* Sets row->space. */
enum inv_status inv_db_add_space(struct inv_db *db, int64_t collection,
                                 struct inv_space_row *row,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_set_space(struct inv_db *db, int64_t space,
                                 const char *settings,
                                 struct inv_err *err) INV_MUST_USE;
/* Those of a collection, oldest first. */
enum inv_status inv_db_spaces(
    struct inv_db *db, int64_t collection,
    enum inv_status (*each)(void *ctx, const struct inv_space_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;
/* The number of the space with this hash; 0 when there is none. */
enum inv_status inv_db_find_space(struct inv_db *db, int64_t collection,
                                  uint64_t hash, int64_t *space,
                                  struct inv_err *err) INV_MUST_USE;
/* The space with its encoder states, queries and adapters. Its vectors must be
 * gone (inv_gallery_drop_space). */
enum inv_status inv_db_delete_space(struct inv_db *db, int64_t space,
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
    int64_t space;
    uint32_t state; /* numbered per collection */
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
    uint64_t source; /* vseq beside which it was posted; 0: the document's */
    struct inv_place place;
};
/* What a vector says of its document: the vseq that came with the document.
 * All vectors of a document say the same; one posted for another says a stale
 * one. */
static inline uint64_t inv_document_seq(const struct inv_document_row *row) {
    return row->source != 0 ? row->source : row->vseq;
}
/* By id, with its vector in `space`, or in another where it has none there (0:
 * in any). The strings are valid until the connection's next call. */
enum inv_status inv_db_find(struct inv_db *db, int64_t collection,
                            const char *id, size_t id_len, int64_t space,
                            struct inv_document_row *out,
                            struct inv_err *err) INV_MUST_USE;
/* By number, with its vector in `space`; without one doc is 0. space 0: with
 * any vector. */
enum inv_status inv_db_find_doc(struct inv_db *db, int64_t doc, int64_t space,
                                struct inv_document_row *out,
                                struct inv_err *err) INV_MUST_USE;
struct inv_vector_row {
    int64_t space;
    uint64_t vseq, source;
    struct inv_place place;
};
#define INV_SPACES_MAX 8 /* models of a collection */
/* The vectors of a document, one per space, into out[INV_SPACES_MAX]. */
enum inv_status inv_db_vectors(struct inv_db *db, int64_t doc,
                               struct inv_vector_row *out, size_t *count,
                               struct inv_err *err) INV_MUST_USE;
/* doc == 0: inserts and sets *doc; else updates. keep_payload leaves it. */
enum inv_status inv_db_put_document(struct inv_db *db, int64_t collection,
                                    const char *id, size_t id_len,
                                    uint64_t version, const char *payload,
                                    size_t payload_len, int64_t *doc,
                                    struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_put_vector(struct inv_db *db, int64_t doc,
                                  const struct inv_vector_row *row,
                                  struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_vectors(struct inv_db *db, int64_t doc,
                                      struct inv_err *err) INV_MUST_USE;
/* Every vector of a space; *alone: how many documents have no other, in which
 * case nothing is deleted. */
enum inv_status inv_db_delete_vectors_in(struct inv_db *db, int64_t space,
                                         uint64_t *alone,
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

/* ---- upgrades (catalog_upgrades.c) ---- */

/* A query's vector in a model, with its vector in another (old_space 0: none),
 * with documents that answer it (relevant NULL: none), or both. Vectors are
 * rows x dim f32 as bytes. */
enum inv_query_use { INV_QUERY_BOTH, INV_QUERY_FITS, INV_QUERY_JUDGES };
struct inv_query_row {
    int64_t space;
    const char *key;
    size_t key_len;
    size_t rows, old_rows;
    const void *vector, *old_vector;
    size_t vector_len, old_vector_len;
    int64_t old_space;
    const char *relevant; /* JSON array of ids */
    enum inv_query_use use;
    const char *label; /* NULL: none */
};
/* Replaces a query of the same key. */
enum inv_status inv_db_put_query(struct inv_db *db, int64_t collection,
                                 const struct inv_query_row *row,
                                 struct inv_err *err) INV_MUST_USE;
/* In the order they came first. */
enum inv_status inv_db_queries(
    struct inv_db *db, int64_t collection, int64_t space,
    enum inv_status (*each)(void *ctx, const struct inv_query_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_count_queries(struct inv_db *db, int64_t space,
                                     uint64_t *count,
                                     struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_queries(struct inv_db *db, int64_t space,
                                      struct inv_err *err) INV_MUST_USE;

/* Classes of a collection whose gallery is in a simplex, and their vertices:
 * numbers from 0 on, in the order the classes came. */
enum inv_status
inv_db_vertices(struct inv_db *db, int64_t collection,
                enum inv_status (*each)(void *ctx, uint32_t vertex,
                                        const char *label, struct inv_err *err),
                void *ctx, struct inv_err *err) INV_MUST_USE;
/* Label and vertex must both be new. */
enum inv_status inv_db_add_vertex(struct inv_db *db, int64_t collection,
                                  uint32_t vertex, const char *label,
                                  struct inv_err *err) INV_MUST_USE;

struct inv_adapter_row {
    int64_t id;
    const char *name;
    int64_t from, to; /* spaces, of backward */
    const char *kind, *verdict;
    double break_even;
    bool degraded;
    const char *request, *report;
    const void *backward, *forward; /* forward NULL: none */
    size_t backward_len, forward_len;
    const void *backward_scores, *forward_scores; /* NULL: none */
    size_t backward_scores_len, forward_scores_len;
    int64_t created_ms;
};
/* Sets row->id. A name that is there: INV_CONFLICT. */
enum inv_status inv_db_add_adapter(struct inv_db *db, int64_t collection,
                                   struct inv_adapter_row *row,
                                   struct inv_err *err) INV_MUST_USE;
/* Their ids, oldest first: rows hold megabytes, and whoever reads the list
 * again has most of them. */
enum inv_status inv_db_adapters(struct inv_db *db, int64_t collection,
                                enum inv_status (*each)(void *ctx, int64_t id,
                                                        struct inv_err *err),
                                void *ctx, struct inv_err *err) INV_MUST_USE;
/* Calls `take` with the row, which holds until it returns; not where there is
 * none. */
enum inv_status inv_db_adapter(
    struct inv_db *db, int64_t id,
    enum inv_status (*take)(void *ctx, const struct inv_adapter_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_delete_adapter(struct inv_db *db, int64_t id,
                                      struct inv_err *err) INV_MUST_USE;

/* Where an upgrade stands. */
struct inv_upgrade_row {
    const char *state; /* "": there is none */
    int64_t target, adapter, undo;
};
/* state "" where there is no row. */
enum inv_status inv_db_upgrade(struct inv_db *db, int64_t collection,
                               struct inv_upgrade_row *out,
                               struct inv_err *err) INV_MUST_USE;
enum inv_status inv_db_set_upgrade(struct inv_db *db, int64_t collection,
                                   const struct inv_upgrade_row *row,
                                   struct inv_err *err) INV_MUST_USE;

struct inv_journal_row {
    int64_t id, at_ms;
    const char *action;
    struct inv_upgrade_row after, before; /* after.undo: this row's id */
    const char *settings_before;          /* NULL: they stayed */
    bool forced;
    const char *note;
};
/* Sets row->id. */
enum inv_status inv_db_add_journal(struct inv_db *db, int64_t collection,
                                   struct inv_journal_row *row,
                                   struct inv_err *err) INV_MUST_USE;
/* Newest first, at most `limit`; the row `only` alone when it is not 0. */
enum inv_status inv_db_journal(
    struct inv_db *db, int64_t collection, int64_t only, uint32_t limit,
    enum inv_status (*each)(void *ctx, const struct inv_journal_row *row,
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
