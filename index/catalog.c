/*
 * catalog.c: connections, transactions, migrations, and the one way a
 * statement is bound and run. Which statements there are: catalog_db.h; what
 * they mean: catalog_rows.c and catalog_documents.c.
 *
 * The catalog itself is shared; each connection belongs to one thread at a
 * time.
 */
#include "index/catalog_db.h"

#include "index/migrations.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inv_catalog {
    char *path;
    bool read_only;
    struct inv_db *writer;
    pthread_mutex_t lock; /* of `idle` */
    struct inv_db *idle;
};

static const char *const sql_text[INV_SQL_COUNT] = {
#define X(name, sql) sql,
    INV_SQL_LIST(X)
#undef X
};

static enum inv_status sql_fail(struct inv_db *db, struct inv_err *err,
                                const char *what) {
    int code = sqlite3_errcode(db->sqlite);
    db->failed = true;
    enum inv_status status = INV_IO;
    if (code == SQLITE_FULL)
        status = INV_NO_SPACE;
    else if (code == SQLITE_NOMEM)
        status = INV_MEMORY;
    else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        status = INV_CORRUPT;
    return inv_fail(err, status, "catalog: %s: %s", what,
                    sqlite3_errmsg(db->sqlite));
}

static void db_close(struct inv_db *db) {
    if (db == NULL)
        return;
    for (int i = 0; i < INV_SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sqlite);
    free(db);
}

static enum inv_status db_open(const char *path, int flags, struct inv_db **out,
                               struct inv_err *err) {
    struct inv_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory opening %s", path);
    enum inv_status status = INV_OK;
    if (sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        status =
            inv_fail(err, INV_IO, "cannot open %s: %s", path,
                     db->sqlite == NULL ? "?" : sqlite3_errmsg(db->sqlite));
    } else {
        sqlite3_extended_result_codes(db->sqlite, 0);
        sqlite3_busy_timeout(db->sqlite, 10000);
        *out = db;
        return INV_OK;
    }
    db_close(db);
    return status;
}

static enum inv_status run_script(struct inv_db *db, const char *sql,
                                  const char *what, struct inv_err *err) {
    if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sql_fail(db, err, what);
    return INV_OK;
}

static enum inv_status schema_version(struct inv_db *db, int *version,
                                      struct inv_err *err) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &statement,
                           NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return sql_fail(db, err, "reading its version");
    }
    *version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return INV_OK;
}

/* Each step is one transaction that also raises user_version: a crash leaves
 * the schema before or after it, never between. */
static enum inv_status migrate(struct inv_db *db, bool read_only,
                               struct inv_err *err) {
    int have = 0;
    enum inv_status status = schema_version(db, &have, err);
    if (status != INV_OK)
        return status;
    int newest = 0;
    for (const struct inv_migration *m = inv_migrations; m->number != 0; m++)
        newest = m->number;
    if (have > newest)
        return inv_fail(err, INV_UNSUPPORTED,
                        "the catalog has schema %d, this release knows %d: it "
                        "was written by a newer release",
                        have, newest);
    if (read_only && have < newest)
        return inv_fail(err, INV_UNSUPPORTED,
                        "the catalog has schema %d, this release needs %d: "
                        "start the daemon once to migrate it",
                        have, newest);
    for (const struct inv_migration *m = inv_migrations; m->number != 0; m++) {
        if (m->number <= have)
            continue;
        char pragma[64];
        sqlite3_snprintf(sizeof pragma, pragma,
                         "PRAGMA user_version = %d; COMMIT", m->number);
        if ((status = run_script(db, "BEGIN IMMEDIATE", m->name, err)) !=
                INV_OK ||
            (status = run_script(db, m->sql, m->name, err)) != INV_OK ||
            (status = run_script(db, pragma, m->name, err)) != INV_OK) {
            sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
            return status;
        }
    }
    return INV_OK;
}

enum inv_status inv_catalog_open(const char *path, bool read_only,
                                 struct inv_catalog **out,
                                 struct inv_err *err) {
    struct inv_catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory opening %s", path);
    pthread_mutex_init(&catalog->lock, NULL);
    catalog->read_only = read_only;
    catalog->path = strdup(path);
    enum inv_status status =
        catalog->path == NULL
            ? inv_fail(err, INV_MEMORY, "out of memory opening %s", path)
            : db_open(path,
                      read_only ? SQLITE_OPEN_READONLY
                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      &catalog->writer, err);
    if (status == INV_OK && !read_only)
        status = run_script(catalog->writer,
                            "PRAGMA journal_mode = WAL;"
                            "PRAGMA synchronous = FULL;"
                            "PRAGMA foreign_keys = OFF;"
                            "PRAGMA cache_size = -65536",
                            "setting it up", err);
    if (status == INV_OK)
        status = migrate(catalog->writer, read_only, err);
    if (status != INV_OK) {
        inv_catalog_close(catalog);
        return status;
    }
    *out = catalog;
    return INV_OK;
}

void inv_catalog_close(struct inv_catalog *catalog) {
    if (catalog == NULL)
        return;
    while (catalog->idle != NULL) {
        struct inv_db *next = catalog->idle->next;
        db_close(catalog->idle);
        catalog->idle = next;
    }
    db_close(catalog->writer);
    pthread_mutex_destroy(&catalog->lock);
    free(catalog->path);
    free(catalog);
}

struct inv_db *inv_catalog_writer(struct inv_catalog *catalog) {
    return catalog->writer;
}

enum inv_status inv_catalog_borrow(struct inv_catalog *catalog,
                                   struct inv_db **out, struct inv_err *err) {
    pthread_mutex_lock(&catalog->lock);
    struct inv_db *db = catalog->idle;
    if (db != NULL)
        catalog->idle = db->next;
    pthread_mutex_unlock(&catalog->lock);
    if (db != NULL) {
        db->next = NULL;
        db->failed = false;
        *out = db;
        return INV_OK;
    }
    return db_open(catalog->path, SQLITE_OPEN_READONLY, out, err);
}

/* A statement that was not run to its end keeps the snapshot it reads from: a
 * checkpoint stops there, and a new snapshot would be the old one. */
static void finish_reading(struct inv_db *db) {
    for (int i = 0; i < INV_SQL_COUNT; i++)
        if (db->statements[i] != NULL)
            sqlite3_reset(db->statements[i]);
}

void inv_catalog_return(struct inv_catalog *catalog, struct inv_db *db) {
    if (db == NULL)
        return;
    finish_reading(db);
    if (!sqlite3_get_autocommit(db->sqlite))
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_lock(&catalog->lock);
    db->next = catalog->idle;
    catalog->idle = db;
    pthread_mutex_unlock(&catalog->lock);
}

enum inv_status inv_sql_bind(struct inv_db *db, enum inv_sql sql,
                             sqlite3_stmt **out, struct inv_err *err,
                             const char *types, ...) {
    sqlite3_stmt *statement = db->statements[sql];
    if (statement == NULL) {
        if (sqlite3_prepare_v3(db->sqlite, sql_text[sql], -1,
                               SQLITE_PREPARE_PERSISTENT, &statement,
                               NULL) != SQLITE_OK)
            return sql_fail(db, err, sql_text[sql]);
        db->statements[sql] = statement;
    }
    sqlite3_reset(statement);
    va_list args;
    va_start(args, types);
    int code = SQLITE_OK;
    for (int at = 1; types[at - 1] != '\0' && code == SQLITE_OK; at++) {
        const void *bytes;
        switch (types[at - 1]) {
        case 'i':
            code = sqlite3_bind_int64(statement, at, va_arg(args, int64_t));
            break;
        case 't':
            code = sqlite3_bind_text(statement, at, va_arg(args, const char *),
                                     -1, SQLITE_STATIC);
            break;
        case 's':
            bytes = va_arg(args, const void *);
            code = sqlite3_bind_text(statement, at, bytes,
                                     (int)va_arg(args, size_t), SQLITE_STATIC);
            break;
        case 'b':
            bytes = va_arg(args, const void *);
            code = sqlite3_bind_blob64(statement, at, bytes,
                                       va_arg(args, size_t), SQLITE_STATIC);
            break;
        default:
            code = sqlite3_bind_null(statement, at);
        }
    }
    va_end(args);
    if (code != SQLITE_OK)
        return sql_fail(db, err, sql_text[sql]);
    *out = statement;
    return INV_OK;
}

enum inv_status inv_sql_step(struct inv_db *db, sqlite3_stmt *statement,
                             bool *row, struct inv_err *err) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (*row)
        return INV_OK;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement);
        return INV_OK;
    }
    enum inv_status status = sql_fail(db, err, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return status;
}

enum inv_status inv_sql_finish(struct inv_db *db, sqlite3_stmt *statement,
                               struct inv_err *err) {
    bool row = true;
    enum inv_status status = INV_OK;
    while (status == INV_OK && row)
        status = inv_sql_step(db, statement, &row, err);
    return status;
}

enum inv_status inv_sql_count(struct inv_db *db, enum inv_sql sql, int64_t of,
                              uint64_t *count, struct inv_err *err) {
    sqlite3_stmt *statement;
    bool row = false;
    enum inv_status status = inv_sql_bind(db, sql, &statement, err, "i", of);
    if (status == INV_OK)
        status = inv_sql_step(db, statement, &row, err);
    if (status != INV_OK)
        return status;
    *count = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return INV_OK;
}

bool inv_sql_no_memory(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) != SQLITE_NULL &&
           sqlite3_column_text(statement, column) == NULL;
}

enum inv_status inv_sql_fail_memory(struct inv_db *db, struct inv_err *err) {
    db->failed = true;
    return inv_fail(err, INV_MEMORY, "out of memory reading the catalog");
}

const char *inv_sql_text(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text == NULL ? "" : text;
}

static enum inv_status run_plain(struct inv_db *db, enum inv_sql sql,
                                 struct inv_err *err) {
    sqlite3_stmt *statement;
    enum inv_status status = inv_sql_bind(db, sql, &statement, err, "");
    return status == INV_OK ? inv_sql_finish(db, statement, err) : status;
}

enum inv_status inv_db_begin(struct inv_db *db, struct inv_err *err) {
    finish_reading(db);
    db->failed = false;
    /* A rollback needs memory: one that had none is made up for here. */
    if (!sqlite3_get_autocommit(db->sqlite))
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return run_plain(db, INV_SQL_BEGIN, err);
}

enum inv_status inv_db_commit(struct inv_db *db, struct inv_err *err) {
    finish_reading(db);
    return run_plain(db, INV_SQL_COMMIT, err);
}

void inv_db_rollback(struct inv_db *db) {
    finish_reading(db);
    sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    db->failed = false;
}

enum inv_status inv_db_snapshot(struct inv_db *db, struct inv_err *err) {
    finish_reading(db);
    enum inv_status status = run_plain(db, INV_SQL_BEGIN_READ, err);
    return status == INV_OK ? run_plain(db, INV_SQL_TOUCH, err) : status;
}

bool inv_db_failed(const struct inv_db *db) { return db->failed; }

enum inv_status inv_db_check(struct inv_db *db, struct inv_err *err) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db->sqlite, "PRAGMA integrity_check(1)", -1,
                           &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return sql_fail(db, err, "integrity check");
    }
    enum inv_status status = INV_OK;
    const char *verdict = inv_sql_text(statement, 0);
    if (strcmp(verdict, "ok") != 0)
        status = inv_fail(err, INV_CORRUPT, "catalog: %s", verdict);
    sqlite3_finalize(statement);
    return status;
}
