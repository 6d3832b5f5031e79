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
    X(DELETE_QUERIES_OF, "DELETE FROM model_queries WHERE collection = ?1")    \
    X(DELETE_VERTICES_OF, "DELETE FROM vertices WHERE collection = ?1")        \
    X(DELETE_ADAPTERS_OF, "DELETE FROM adapters WHERE collection = ?1")        \
    X(DELETE_UPGRADE_OF, "DELETE FROM upgrades WHERE collection = ?1")         \
    X(DELETE_JOURNAL_OF, "DELETE FROM journal WHERE collection = ?1")          \
    X(DELETE_ALIASES_OF, "DELETE FROM aliases WHERE collection = ?1")          \
    X(DELETE_COLLECTION, "DELETE FROM collections WHERE id = ?1")              \
    X(ALIASES, "SELECT name, collection FROM aliases ORDER BY name")           \
    X(SET_ALIAS, "INSERT OR REPLACE INTO aliases VALUES(?1, ?2)")              \
    X(DELETE_ALIAS, "DELETE FROM aliases WHERE name = ?1")                     \
    X(ADD_SPACE,                                                               \
      "INSERT INTO spaces(id, collection, hash, model, revision, dim,"         \
      " settings, created_ms) VALUES(1 + max("                                 \
      "coalesce((SELECT max(id) FROM spaces), 0),"                             \
      "coalesce((SELECT max(max(target, target_before)) FROM journal), 0)),"   \
      " ?1, ?2, ?3, ?4, ?5, ?6, ?7)") /* the journal names spaces */           \
    X(SET_SPACE, "UPDATE spaces SET settings = ?2 WHERE id = ?1")              \
    X(SPACES, "SELECT id, hash, model, revision, dim, settings, created_ms"    \
              " FROM spaces WHERE collection = ?1 ORDER BY id")                \
    X(DELETE_SPACE, "DELETE FROM spaces WHERE id = ?1")                        \
    X(DELETE_STATES_IN, "DELETE FROM encoder_states WHERE space = ?1")         \
    X(DELETE_ADAPTERS_IN,                                                      \
      "DELETE FROM adapters WHERE from_space = ?1 OR to_space = ?1")           \
    X(FIND_SPACE, "SELECT id FROM spaces WHERE collection = ?1 AND hash = ?2") \
    X(SEGMENTS, "SELECT gen FROM segments WHERE collection = ?1 ORDER BY gen") \
    X(ADD_SEGMENT, "INSERT INTO segments VALUES(?1, ?2)")                      \
    X(DELETE_SEGMENT,                                                          \
      "DELETE FROM segments WHERE collection = ?1 AND gen = ?2")               \
    X(STATES, "SELECT state, hash, settings, learned, space"                   \
              " FROM encoder_states WHERE collection = ?1 ORDER BY state")     \
    X(ADD_STATE, "INSERT INTO encoder_states(collection, state, hash,"         \
                 " settings, learned, space) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")  \
    X(FIND,                                                                    \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows, v.source FROM documents d JOIN vectors v"  \
      " ON v.doc = d.doc WHERE d.collection = ?1 AND d.id = ?2"                \
      " ORDER BY v.space = ?3 DESC, v.space LIMIT 1")                          \
    X(FIND_DOC,                                                                \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows, v.source FROM documents d JOIN vectors v"  \
      " ON v.doc = d.doc WHERE d.doc = ?1 AND v.space = ?2")                   \
    X(FIND_DOC_ANY,                                                            \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows, v.source FROM documents d JOIN vectors v"  \
      " ON v.doc = d.doc WHERE d.doc = ?1 LIMIT 1")                            \
    X(VECTORS, "SELECT space, vseq, source, file, offset, length, rows"        \
               " FROM vectors WHERE doc = ?1 ORDER BY space")                  \
    X(INSERT_DOCUMENT,                                                         \
      "INSERT INTO documents(collection, id, version, payload)"                \
      " VALUES(?1, ?2, ?3, ?4)")                                               \
    X(UPDATE_DOCUMENT,                                                         \
      "UPDATE documents SET version = ?2, payload = ?3 WHERE doc = ?1")        \
    X(PUT_VECTOR,                                                              \
      "INSERT OR REPLACE INTO vectors(doc, space, vseq, file, offset, length," \
      " rows, source) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                 \
    X(COUNT_ALONE,                                                             \
      "SELECT count(*) FROM vectors v WHERE v.space = ?1 AND NOT EXISTS"       \
      " (SELECT 1 FROM vectors o WHERE o.doc = v.doc AND o.space <> ?1)")      \
    X(DELETE_VECTORS_IN, "DELETE FROM vectors WHERE space = ?1")               \
    X(MOVE_VECTOR, "UPDATE vectors SET file = ?4, offset = ?5 WHERE doc = ?1"  \
                   " AND space = ?2 AND vseq = ?3")                            \
    X(DELETE_VECTORS, "DELETE FROM vectors WHERE doc = ?1")                    \
    X(DELETE_DOCUMENT, "DELETE FROM documents WHERE doc = ?1")                 \
    X(DOCUMENTS,                                                               \
      "SELECT d.doc, d.id, d.version, NULL, v.space, v.vseq, v.file,"          \
      " v.offset, v.length, v.rows, v.source"                                  \
      " FROM documents d INDEXED BY documents_of"                              \
      " CROSS JOIN vectors v ON v.doc = d.doc"                                 \
      " WHERE d.collection = ?1 ORDER BY d.doc")                               \
    X(DOCUMENTS_PAYLOAD,                                                       \
      "SELECT d.doc, d.id, d.version, d.payload, v.space, v.vseq, v.file,"     \
      " v.offset, v.length, v.rows, v.source"                                  \
      " FROM documents d INDEXED BY documents_of"                              \
      " CROSS JOIN vectors v ON v.doc = d.doc"                                 \
      " WHERE d.collection = ?1 ORDER BY d.doc")                               \
    X(PUT_QUERY,                                                               \
      "INSERT INTO model_queries(collection, space, key, rows, vector,"        \
      " old_space, old_rows, old_vector, relevant, use, label)"                \
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"                  \
      " ON CONFLICT(collection, space, key) DO UPDATE SET rows = ?4,"          \
      " vector = ?5, old_space = ?6, old_rows = ?7, old_vector = ?8,"          \
      " relevant = ?9, use = ?10, label = ?11")                                \
    X(QUERIES,                                                                 \
      "SELECT space, key, rows, vector, old_space, old_rows, old_vector,"      \
      " relevant, use, label FROM model_queries"                               \
      " WHERE collection = ?1 AND space = ?2 ORDER BY id")                     \
    X(COUNT_QUERIES, "SELECT count(*) FROM model_queries WHERE space = ?1")    \
    X(DELETE_QUERIES, "DELETE FROM model_queries WHERE space = ?1")            \
    X(VERTICES, "SELECT vertex, label FROM vertices WHERE collection = ?1"     \
                " ORDER BY vertex")                                            \
    X(ADD_VERTEX, "INSERT INTO vertices VALUES(?1, ?2, ?3)")                   \
    X(ADD_ADAPTER,                                                             \
      "INSERT INTO adapters(collection, name, from_space, to_space, kind,"     \
      " verdict, break_even, degraded, request, report, backward, forward,"    \
      " backward_scores, forward_scores, created_ms) VALUES(?1, ?2, ?3, ?4,"   \
      " ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")                    \
    X(HAS_ADAPTER,                                                             \
      "SELECT 1 FROM adapters WHERE collection = ?1 AND name = ?2")            \
    X(ADAPTERS, "SELECT id FROM adapters WHERE collection = ?1 ORDER BY id")   \
    X(ADAPTER,                                                                 \
      "SELECT id, name, from_space, to_space, kind, verdict, break_even,"      \
      " degraded, request, report, backward, forward, backward_scores,"        \
      " forward_scores, created_ms FROM adapters WHERE id = ?1")               \
    X(DELETE_ADAPTER, "DELETE FROM adapters WHERE id = ?1")                    \
    X(UPGRADE, "SELECT state, target, adapter, undo FROM upgrades"             \
               " WHERE collection = ?1")                                       \
    X(SET_UPGRADE,                                                             \
      "INSERT OR REPLACE INTO upgrades(collection, state, target, adapter,"    \
      " undo) VALUES(?1, ?2, ?3, ?4, ?5)")                                     \
    X(ADD_JOURNAL,                                                             \
      "INSERT INTO journal(collection, at_ms, action, state, target, adapter," \
      " state_before, target_before, adapter_before, undo_before,"             \
      " settings_before, forced, note) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8," \
      " ?9, ?10, ?11, ?12, ?13)")                                              \
    X(JOURNAL,                                                                 \
      "SELECT id, at_ms, action, state, target, adapter, state_before,"        \
      " target_before, adapter_before, undo_before, settings_before, forced,"  \
      " note FROM journal WHERE collection = ?1 AND (?2 = 0 OR id = ?2)"       \
      " ORDER BY id DESC LIMIT ?3")                                            \
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

/* Runs one statement that returns no rows. */
#define INV_SQL_RUN(db, sql, err, ...)                                         \
    do {                                                                       \
        sqlite3_stmt *statement_;                                              \
        enum inv_status status_ =                                              \
            inv_sql_bind(db, sql, &statement_, err, __VA_ARGS__);              \
        if (status_ == INV_OK)                                                 \
            status_ = inv_sql_finish(db, statement_, err);                     \
        if (status_ != INV_OK)                                                 \
            return status_;                                                    \
    } while (0)

/* The number that a statement with one integer parameter selects. */
enum inv_status inv_sql_count(struct inv_db *db, enum inv_sql sql, int64_t of,
                              uint64_t *count,
                              struct inv_err *err) INV_MUST_USE;
/* A text that SQLite has no memory to hand out is not a missing one: a patch
 * would be merged into nothing. */
bool inv_sql_no_memory(sqlite3_stmt *statement, int column);
enum inv_status inv_sql_fail_memory(struct inv_db *db, struct inv_err *err);
/* A text column, "" for NULL. */
const char *inv_sql_text(sqlite3_stmt *statement, int column);

#endif
