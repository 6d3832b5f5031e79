/*
 * catalog_db.h: how the catalog's files talk to SQLite: a connection with its
 * prepared statements, and one call that binds and runs. For index/catalog*.c
 * only.
 */
#ifndef INV_INDEX_CATALOG_DB_H
#define INV_INDEX_CATALOG_DB_H

#include "index/catalog.h"

#include <sqlite3.h>

/* X(name, sql): every statement the product runs, in one place. */
#define INV_SQL_LIST(X)                                                        \
    X(BEGIN, "BEGIN IMMEDIATE")                                                \
    X(BEGIN_READ, "BEGIN")                                                     \
    X(TOUCH, "SELECT 1 FROM collections LIMIT 1")                              \
    X(COMMIT, "COMMIT")                                                        \
    X(COLLECTIONS,                                                             \
      "SELECT id, uuid, name, body, settings, next_vseq, next_version,"        \
      " next_gen, created_ms FROM collections ORDER BY id")                    \
    X(ADD_COLLECTION,                                                          \
      "INSERT INTO collections(uuid, name, body, settings, created_ms)"        \
      " VALUES(?1, ?2, ?3, ?4, ?5)")                                           \
    X(SET_SETTINGS, "UPDATE collections SET settings = ?2 WHERE id = ?1")      \
    X(SET_COUNTERS,                                                            \
      "UPDATE collections SET next_vseq = ?2, next_version = ?3,"              \
      " next_gen = ?4 WHERE id = ?1")                                          \
    X(DELETE_VECTORS_OF, "DELETE FROM vectors WHERE doc IN"                    \
                         " (SELECT doc FROM documents WHERE collection = ?1)") \
    X(DELETE_DOCUMENTS_OF, "DELETE FROM documents WHERE collection = ?1")      \
    X(DELETE_SEGMENTS_OF, "DELETE FROM segments WHERE collection = ?1")        \
    X(DELETE_STATES_OF, "DELETE FROM encoder_states WHERE collection = ?1")    \
    X(DELETE_SPACES_OF, "DELETE FROM spaces WHERE collection = ?1")            \
    X(DELETE_ALIASES_OF, "DELETE FROM aliases WHERE collection = ?1")          \
    X(DELETE_COLLECTION, "DELETE FROM collections WHERE id = ?1")              \
    X(ALIASES, "SELECT name, collection FROM aliases ORDER BY name")           \
    X(SET_ALIAS, "INSERT OR REPLACE INTO aliases VALUES(?1, ?2)")              \
    X(DELETE_ALIAS, "DELETE FROM aliases WHERE name = ?1")                     \
    X(ADD_SPACE, "INSERT INTO spaces(collection, hash, model, revision, dim)"  \
                 " VALUES(?1, ?2, ?3, ?4, ?5)")                                \
    X(FIND_SPACE, "SELECT id FROM spaces WHERE collection = ?1 AND hash = ?2") \
    X(SEGMENTS, "SELECT gen FROM segments WHERE collection = ?1 ORDER BY gen") \
    X(ADD_SEGMENT, "INSERT INTO segments VALUES(?1, ?2)")                      \
    X(DELETE_SEGMENT,                                                          \
      "DELETE FROM segments WHERE collection = ?1 AND gen = ?2")               \
    X(STATES, "SELECT state, hash, settings, learned FROM encoder_states"      \
              " WHERE collection = ?1 ORDER BY state")                         \
    X(ADD_STATE, "INSERT INTO encoder_states VALUES(?1, ?2, ?3, ?4, ?5)")      \
    X(FIND,                                                                    \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows FROM documents d JOIN vectors v"            \
      " ON v.doc = d.doc WHERE d.collection = ?1 AND d.id = ?2")               \
    X(FIND_DOC,                                                                \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows FROM documents d JOIN vectors v"            \
      " ON v.doc = d.doc WHERE d.doc = ?1")                                    \
    X(INSERT_DOCUMENT,                                                         \
      "INSERT INTO documents(collection, id, version, payload)"                \
      " VALUES(?1, ?2, ?3, ?4)")                                               \
    X(UPDATE_DOCUMENT,                                                         \
      "UPDATE documents SET version = ?2, payload = ?3 WHERE doc = ?1")        \
    X(PUT_VECTOR,                                                              \
      "INSERT OR REPLACE INTO vectors VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")     \
    X(MOVE_VECTOR, "UPDATE vectors SET file = ?4, offset = ?5 WHERE doc = ?1"  \
                   " AND space = ?2 AND vseq = ?3")                            \
    X(DELETE_VECTORS, "DELETE FROM vectors WHERE doc = ?1")                    \
    X(DELETE_DOCUMENT, "DELETE FROM documents WHERE doc = ?1")                 \
    X(DOCUMENTS,                                                               \
      "SELECT d.doc, d.id, d.version, NULL, v.space, v.vseq, v.file,"          \
      " v.offset, v.length, v.rows FROM documents d INDEXED BY documents_of"   \
      " CROSS JOIN vectors v ON v.doc = d.doc"                                 \
      " WHERE d.collection = ?1 ORDER BY d.doc")                               \
    X(DOCUMENTS_PAYLOAD,                                                       \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows FROM documents d INDEXED BY documents_of"   \
      " CROSS JOIN vectors v ON v.doc = d.doc"                                 \
      " WHERE d.collection = ?1 ORDER BY d.doc")                               \
    X(JOBS,                                                                    \
      "SELECT id, collection, collection_name, kind, state, stage, done,"      \
      " total, request, idempotency_key, error, result, created_ms,"           \
      " finished_ms FROM jobs ORDER BY id")                                    \
    X(PUT_JOB,                                                                 \
      "INSERT OR REPLACE INTO jobs VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"     \
      " ?9, ?10, ?11, ?12, ?13, ?14)")

enum inv_sql {
#define X(name, sql) INV_SQL_##name,
    INV_SQL_LIST(X)
#undef X
        INV_SQL_COUNT
};

struct inv_db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[INV_SQL_COUNT];
    bool failed;
    struct inv_db *next; /* in the pool of idle readers */
};

/* Binds by `types`: i int64_t, t const char * (NULL: NULL), s const char * and
 * size_t, b const void * and size_t (NULL: NULL), n nothing (NULL). The
 * statement is reset first; *out is ready to step. */
enum inv_status inv_sql_bind(struct inv_db *db, enum inv_sql sql,
                             sqlite3_stmt **out, struct inv_err *err,
                             const char *types, ...) INV_MUST_USE;
/* Steps once. *row says whether there is a row; without one the statement has
 * been reset. */
enum inv_status inv_sql_step(struct inv_db *db, sqlite3_stmt *statement,
                             bool *row, struct inv_err *err) INV_MUST_USE;
/* Runs a bound statement to its end. */
enum inv_status inv_sql_finish(struct inv_db *db, sqlite3_stmt *statement,
                               struct inv_err *err) INV_MUST_USE;

/* A text column, "" for NULL. */
const char *inv_sql_text(sqlite3_stmt *statement, int column);

#endif
