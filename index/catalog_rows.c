/*
 * catalog_rows.c: the small tables of the catalog: collections, aliases,
 * spaces, segments, encoder states, jobs.
 */
#include "index/catalog_db.h"

#include <string.h>

enum inv_status inv_db_collections(
    struct inv_db *db,
    enum inv_status (*each)(void *ctx, const struct inv_collection_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status = inv_sql_bind(db, INV_SQL_COLLECTIONS, &s, err, "");
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        struct inv_collection_row row = {
            .id = sqlite3_column_int64(s, 0),
            .uuid = inv_sql_text(s, 1),
            .name = inv_sql_text(s, 2),
            .body = inv_sql_text(s, 3),
            .settings = inv_sql_text(s, 4),
            .next_vseq = (uint64_t)sqlite3_column_int64(s, 5),
            .next_version = (uint64_t)sqlite3_column_int64(s, 6),
            .next_gen = (uint64_t)sqlite3_column_int64(s, 7),
            .created_ms = sqlite3_column_int64(s, 8),
        };
        status = each(ctx, &row, err);
    }
    return status;
}

enum inv_status inv_db_add_collection(struct inv_db *db,
                                      const struct inv_collection_row *row,
                                      int64_t *id, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_COLLECTION, err, "tttti", row->uuid, row->name,
                row->body, row->settings, row->created_ms);
    *id = sqlite3_last_insert_rowid(db->sqlite);
    return INV_OK;
}

enum inv_status inv_db_set_settings(struct inv_db *db, int64_t collection,
                                    const char *settings, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_SET_SETTINGS, err, "it", collection, settings);
    return INV_OK;
}

enum inv_status inv_db_set_counters(struct inv_db *db, int64_t collection,
                                    uint64_t next_vseq, uint64_t next_version,
                                    uint64_t next_gen, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_SET_COUNTERS, err, "iiii", collection,
                (int64_t)next_vseq, (int64_t)next_version, (int64_t)next_gen);
    if (sqlite3_changes(db->sqlite) != 1)
        return inv_fail(err, INV_NOT_FOUND, "the collection was deleted");
    return INV_OK;
}

enum inv_status inv_db_delete_collection(struct inv_db *db, int64_t collection,
                                         struct inv_err *err) {
    static const enum inv_sql steps[] = {
        INV_SQL_DELETE_VECTORS_OF,  INV_SQL_DELETE_DOCUMENTS_OF,
        INV_SQL_DELETE_SEGMENTS_OF, INV_SQL_DELETE_STATES_OF,
        INV_SQL_DELETE_QUERIES_OF,  INV_SQL_DELETE_ADAPTERS_OF,
        INV_SQL_DELETE_VERTICES_OF, INV_SQL_DELETE_UPGRADE_OF,
        INV_SQL_DELETE_JOURNAL_OF,  INV_SQL_DELETE_SPACES_OF,
        INV_SQL_DELETE_ALIASES_OF,  INV_SQL_DELETE_COLLECTION};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        INV_SQL_RUN(db, steps[i], err, "i", collection);
    return INV_OK;
}

enum inv_status
inv_db_aliases(struct inv_db *db,
               enum inv_status (*each)(void *ctx, const char *name,
                                       int64_t collection, struct inv_err *err),
               void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status = inv_sql_bind(db, INV_SQL_ALIASES, &s, err, "");
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more)
        status = each(ctx, inv_sql_text(s, 0), sqlite3_column_int64(s, 1), err);
    return status;
}

enum inv_status inv_db_set_alias(struct inv_db *db, const char *name,
                                 int64_t collection, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_SET_ALIAS, err, "ti", name, collection);
    return INV_OK;
}

enum inv_status inv_db_delete_alias(struct inv_db *db, const char *name,
                                    struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_ALIAS, err, "t", name);
    return INV_OK;
}

enum inv_status inv_db_add_space(struct inv_db *db, int64_t collection,
                                 struct inv_space_row *row,
                                 struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_SPACE, err, "iittiti", collection,
                (int64_t)row->hash, row->model, row->revision,
                (int64_t)row->dim, row->settings, row->created_ms);
    row->space = sqlite3_last_insert_rowid(db->sqlite);
    return INV_OK;
}

enum inv_status inv_db_set_space(struct inv_db *db, int64_t space,
                                 const char *settings, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_SET_SPACE, err, "it", space, settings);
    return INV_OK;
}

enum inv_status inv_db_spaces(
    struct inv_db *db, int64_t collection,
    enum inv_status (*each)(void *ctx, const struct inv_space_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_SPACES, &s, err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        if (inv_sql_no_memory(s, 5)) {
            status = inv_sql_fail_memory(db, err);
            break;
        }
        struct inv_space_row row = {
            .space = sqlite3_column_int64(s, 0),
            .hash = (uint64_t)sqlite3_column_int64(s, 1),
            .model = inv_sql_text(s, 2),
            .revision = inv_sql_text(s, 3),
            .dim = (size_t)sqlite3_column_int64(s, 4),
            .settings = (const char *)sqlite3_column_text(s, 5),
            .created_ms = sqlite3_column_int64(s, 6),
        };
        status = each(ctx, &row, err);
    }
    return status;
}

enum inv_status inv_db_delete_space(struct inv_db *db, int64_t space,
                                    struct inv_err *err) {
    static const enum inv_sql steps[] = {
        INV_SQL_DELETE_STATES_IN, INV_SQL_DELETE_QUERIES,
        INV_SQL_DELETE_ADAPTERS_IN, INV_SQL_DELETE_SPACE};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        INV_SQL_RUN(db, steps[i], err, "i", space);
    return INV_OK;
}

enum inv_status inv_db_find_space(struct inv_db *db, int64_t collection,
                                  uint64_t hash, int64_t *space,
                                  struct inv_err *err) {
    sqlite3_stmt *s;
    bool found = false;
    enum inv_status status = inv_sql_bind(db, INV_SQL_FIND_SPACE, &s, err, "ii",
                                          collection, (int64_t)hash);
    if (status == INV_OK)
        status = inv_sql_step(db, s, &found, err);
    if (status != INV_OK)
        return status;
    *space = found ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return INV_OK;
}

enum inv_status inv_db_segments(struct inv_db *db, int64_t collection,
                                enum inv_status (*each)(void *ctx, uint64_t gen,
                                                        struct inv_err *err),
                                void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_SEGMENTS, &s, err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more)
        status = each(ctx, (uint64_t)sqlite3_column_int64(s, 0), err);
    return status;
}

enum inv_status inv_db_add_segment(struct inv_db *db, int64_t collection,
                                   uint64_t gen, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_SEGMENT, err, "ii", collection, (int64_t)gen);
    return INV_OK;
}

enum inv_status inv_db_delete_segment(struct inv_db *db, int64_t collection,
                                      uint64_t gen, struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_SEGMENT, err, "ii", collection,
                (int64_t)gen);
    return INV_OK;
}

enum inv_status inv_db_states(
    struct inv_db *db, int64_t collection,
    enum inv_status (*each)(void *ctx, const struct inv_state_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_STATES, &s, err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        struct inv_state_row row = {
            .state = (uint32_t)sqlite3_column_int64(s, 0),
            .hash = (uint64_t)sqlite3_column_int64(s, 1),
            .settings = inv_sql_text(s, 2),
            .learned = sqlite3_column_blob(s, 3),
            .learned_len = (size_t)sqlite3_column_bytes(s, 3),
            .space = sqlite3_column_int64(s, 4),
        };
        status = each(ctx, &row, err);
    }
    return status;
}

enum inv_status inv_db_add_state(struct inv_db *db, int64_t collection,
                                 const struct inv_state_row *row,
                                 struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_STATE, err, "iiitbi", collection,
                (int64_t)row->state, (int64_t)row->hash, row->settings,
                row->learned, row->learned_len, row->space);
    return INV_OK;
}

static const char *text_or_null(sqlite3_stmt *s, int column) {
    return (const char *)sqlite3_column_text(s, column);
}

enum inv_status
inv_db_jobs(struct inv_db *db,
            enum inv_status (*each)(void *ctx, const struct inv_job_row *row,
                                    struct inv_err *err),
            void *ctx, struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status = inv_sql_bind(db, INV_SQL_JOBS, &s, err, "");
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        struct inv_job_row row = {
            .id = sqlite3_column_int64(s, 0),
            .collection = sqlite3_column_int64(s, 1),
            .collection_name = inv_sql_text(s, 2),
            .kind = inv_sql_text(s, 3),
            .state = inv_sql_text(s, 4),
            .stage = inv_sql_text(s, 5),
            .done = (uint64_t)sqlite3_column_int64(s, 6),
            .total = (uint64_t)sqlite3_column_int64(s, 7),
            .request = inv_sql_text(s, 8),
            .idempotency_key = text_or_null(s, 9),
            .error = text_or_null(s, 10),
            .result = text_or_null(s, 11),
            .created_ms = sqlite3_column_int64(s, 12),
            .finished_ms = sqlite3_column_int64(s, 13),
        };
        status = each(ctx, &row, err);
    }
    return status;
}

enum inv_status inv_db_put_job(struct inv_db *db, struct inv_job_row *row,
                               struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status = inv_sql_bind(
        db, INV_SQL_PUT_JOB, &s, err, "iittttiittttii", row->id,
        row->collection, row->collection_name, row->kind, row->state,
        row->stage, (int64_t)row->done, (int64_t)row->total, row->request,
        row->idempotency_key, row->error, row->result, row->created_ms,
        row->finished_ms);
    if (status == INV_OK && row->id == 0)
        sqlite3_bind_null(s, 1);
    if (status == INV_OK)
        status = inv_sql_finish(db, s, err);
    if (status == INV_OK && row->id == 0)
        row->id = sqlite3_last_insert_rowid(db->sqlite);
    return status;
}
