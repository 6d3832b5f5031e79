/*
 * catalog_upgrades.c: what belongs to model upgrades: queries in two models,
 * adapters, where the upgrade stands, and its journal.
 */
#include "index/catalog_db.h"

static const char *text_or_null(sqlite3_stmt *s, int column) {
    return (const char *)sqlite3_column_text(s, column);
}

/* ---- queries ---- */

enum inv_status inv_db_put_query(struct inv_db *db, int64_t collection,
                                 const struct inv_query_row *row,
                                 struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status = inv_sql_bind(
        db, INV_SQL_PUT_QUERY, &s, err, "iisibiibtit", collection, row->space,
        row->key, row->key_len, (int64_t)row->rows, row->vector,
        row->vector_len, row->old_space, (int64_t)row->old_rows,
        row->old_vector, row->old_vector_len, row->relevant, (int64_t)row->use,
        row->label);
    if (status == INV_OK && row->old_space == 0) {
        sqlite3_bind_null(s, 6);
        sqlite3_bind_null(s, 7);
    }
    return status == INV_OK ? inv_sql_finish(db, s, err) : status;
}

enum inv_status inv_db_queries(
    struct inv_db *db, int64_t collection, int64_t space,
    enum inv_status (*each)(void *ctx, const struct inv_query_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_QUERIES, &s, err, "ii", collection, space);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        if (inv_sql_no_memory(s, 7) || inv_sql_no_memory(s, 9)) {
            status = inv_sql_fail_memory(db, err);
            break;
        }
        struct inv_query_row row = {
            .space = sqlite3_column_int64(s, 0),
            .key = inv_sql_text(s, 1),
            .key_len = (size_t)sqlite3_column_bytes(s, 1),
            .rows = (size_t)sqlite3_column_int64(s, 2),
            .vector = sqlite3_column_blob(s, 3),
            .vector_len = (size_t)sqlite3_column_bytes(s, 3),
            .old_space = sqlite3_column_int64(s, 4),
            .old_rows = (size_t)sqlite3_column_int64(s, 5),
            .old_vector = sqlite3_column_blob(s, 6),
            .old_vector_len = (size_t)sqlite3_column_bytes(s, 6),
            .relevant = text_or_null(s, 7),
            .use = (enum inv_query_use)sqlite3_column_int64(s, 8),
            .label = text_or_null(s, 9),
        };
        status = each(ctx, &row, err);
    }
    if (more)
        sqlite3_reset(s);
    return status;
}

enum inv_status inv_db_count_queries(struct inv_db *db, int64_t space,
                                     uint64_t *count, struct inv_err *err) {
    return inv_sql_count(db, INV_SQL_COUNT_QUERIES, space, count, err);
}

enum inv_status inv_db_delete_queries(struct inv_db *db, int64_t space,
                                      struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_QUERIES, err, "i", space);
    return INV_OK;
}

/* ---- vertices ---- */

enum inv_status
inv_db_vertices(struct inv_db *db, int64_t collection,
                enum inv_status (*each)(void *ctx, uint32_t vertex,
                                        const char *label, struct inv_err *err),
                void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_VERTICES, &s, err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        if (inv_sql_no_memory(s, 1)) {
            status = inv_sql_fail_memory(db, err);
            break;
        }
        status = each(ctx, (uint32_t)sqlite3_column_int64(s, 0),
                      inv_sql_text(s, 1), err);
    }
    if (more)
        sqlite3_reset(s);
    return status;
}

enum inv_status inv_db_add_vertex(struct inv_db *db, int64_t collection,
                                  uint32_t vertex, const char *label,
                                  struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_VERTEX, err, "iit", collection, (int64_t)vertex,
                label);
    return INV_OK;
}

/* ---- adapters ---- */

static enum inv_status has_adapter(struct inv_db *db, int64_t collection,
                                   const char *name, bool *found,
                                   struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_HAS_ADAPTER, &s, err, "it", collection, name);
    if (status == INV_OK)
        status = inv_sql_step(db, s, found, err);
    if (status == INV_OK)
        sqlite3_reset(s);
    return status;
}

enum inv_status inv_db_add_adapter(struct inv_db *db, int64_t collection,
                                   struct inv_adapter_row *row,
                                   struct inv_err *err) {
    sqlite3_stmt *s;
    bool found = false;
    enum inv_status status =
        has_adapter(db, collection, row->name, &found, err);
    if (status == INV_OK && found)
        status = inv_fail(err, INV_CONFLICT,
                          "there is an adapter \"%.64s\" already", row->name);
    if (status == INV_OK)
        status = inv_sql_bind(
            db, INV_SQL_ADD_ADAPTER, &s, err, "itiittiittbbbbi", collection,
            row->name, row->from, row->to, row->kind, row->verdict, INT64_C(0),
            (int64_t)row->degraded, row->request, row->report, row->backward,
            row->backward_len, row->forward, row->forward_len,
            row->backward_scores, row->backward_scores_len, row->forward_scores,
            row->forward_scores_len, row->created_ms);
    if (status != INV_OK)
        return status;
    sqlite3_bind_double(s, 7, row->break_even);
    status = inv_sql_finish(db, s, err);
    row->id = sqlite3_last_insert_rowid(db->sqlite);
    return status;
}

enum inv_status inv_db_adapters(struct inv_db *db, int64_t collection,
                                enum inv_status (*each)(void *ctx, int64_t id,
                                                        struct inv_err *err),
                                void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_ADAPTERS, &s, err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more)
        status = each(ctx, sqlite3_column_int64(s, 0), err);
    if (more)
        sqlite3_reset(s);
    return status;
}

enum inv_status inv_db_adapter(
    struct inv_db *db, int64_t id,
    enum inv_status (*take)(void *ctx, const struct inv_adapter_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL;
    bool found = false;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_ADAPTER, &s, err, "i", id);
    if (status == INV_OK)
        status = inv_sql_step(db, s, &found, err);
    if (status == INV_OK && found) {
        struct inv_adapter_row row = {
            .id = sqlite3_column_int64(s, 0),
            .name = inv_sql_text(s, 1),
            .from = sqlite3_column_int64(s, 2),
            .to = sqlite3_column_int64(s, 3),
            .kind = inv_sql_text(s, 4),
            .verdict = inv_sql_text(s, 5),
            .break_even = sqlite3_column_double(s, 6),
            .degraded = sqlite3_column_int64(s, 7) != 0,
            .request = inv_sql_text(s, 8),
            .report = inv_sql_text(s, 9),
            .backward = sqlite3_column_blob(s, 10),
            .backward_len = (size_t)sqlite3_column_bytes(s, 10),
            .forward = sqlite3_column_blob(s, 11),
            .forward_len = (size_t)sqlite3_column_bytes(s, 11),
            .backward_scores = sqlite3_column_blob(s, 12),
            .backward_scores_len = (size_t)sqlite3_column_bytes(s, 12),
            .forward_scores = sqlite3_column_blob(s, 13),
            .forward_scores_len = (size_t)sqlite3_column_bytes(s, 13),
            .created_ms = sqlite3_column_int64(s, 14),
        };
        status = take(ctx, &row, err);
    }
    if (found)
        sqlite3_reset(s);
    return status;
}

enum inv_status inv_db_delete_adapter(struct inv_db *db, int64_t id,
                                      struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_ADAPTER, err, "i", id);
    return INV_OK;
}

/* ---- the upgrade and its journal ---- */

enum inv_status inv_db_upgrade(struct inv_db *db, int64_t collection,
                               struct inv_upgrade_row *out,
                               struct inv_err *err) {
    sqlite3_stmt *s;
    bool found = false;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_UPGRADE, &s, err, "i", collection);
    if (status == INV_OK)
        status = inv_sql_step(db, s, &found, err);
    if (status != INV_OK)
        return status;
    *out = (struct inv_upgrade_row){.state = ""};
    if (found)
        *out = (struct inv_upgrade_row){
            .state = inv_sql_text(s, 0), /* until the next call */
            .target = sqlite3_column_int64(s, 1),
            .adapter = sqlite3_column_int64(s, 2),
            .undo = sqlite3_column_int64(s, 3),
        };
    return INV_OK;
}

enum inv_status inv_db_set_upgrade(struct inv_db *db, int64_t collection,
                                   const struct inv_upgrade_row *row,
                                   struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_SET_UPGRADE, err, "itiii", collection, row->state,
                row->target, row->adapter, row->undo);
    return INV_OK;
}

enum inv_status inv_db_add_journal(struct inv_db *db, int64_t collection,
                                   struct inv_journal_row *row,
                                   struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_ADD_JOURNAL, err, "iittiitiiitit", collection,
                row->at_ms, row->action, row->after.state, row->after.target,
                row->after.adapter, row->before.state, row->before.target,
                row->before.adapter, row->before.undo, row->settings_before,
                (int64_t)row->forced, row->note);
    row->id = sqlite3_last_insert_rowid(db->sqlite);
    return INV_OK;
}

enum inv_status inv_db_journal(
    struct inv_db *db, int64_t collection, int64_t only, uint32_t limit,
    enum inv_status (*each)(void *ctx, const struct inv_journal_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL;
    bool more = true;
    enum inv_status status = inv_sql_bind(db, INV_SQL_JOURNAL, &s, err, "iii",
                                          collection, only, (int64_t)limit);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        struct inv_journal_row row = {
            .id = sqlite3_column_int64(s, 0),
            .at_ms = sqlite3_column_int64(s, 1),
            .action = inv_sql_text(s, 2),
            .after = {.state = inv_sql_text(s, 3),
                      .target = sqlite3_column_int64(s, 4),
                      .adapter = sqlite3_column_int64(s, 5),
                      .undo = sqlite3_column_int64(s, 0)},
            .before = {.state = inv_sql_text(s, 6),
                       .target = sqlite3_column_int64(s, 7),
                       .adapter = sqlite3_column_int64(s, 8),
                       .undo = sqlite3_column_int64(s, 9)},
            .settings_before = text_or_null(s, 10),
            .forced = sqlite3_column_int64(s, 11) != 0,
            .note = inv_sql_text(s, 12),
        };
        status = each(ctx, &row, err);
    }
    if (more)
        sqlite3_reset(s);
    return status;
}
