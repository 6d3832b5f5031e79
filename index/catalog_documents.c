/*
 * catalog_documents.c: documents and the places of their vectors.
 */
#include "index/catalog_db.h"

#include <string.h>

static enum inv_status read_row(struct inv_db *db, sqlite3_stmt *s,
                                struct inv_document_row *out,
                                struct inv_err *err) {
    if (inv_sql_no_memory(s, 1) || inv_sql_no_memory(s, 3))
        return inv_sql_fail_memory(db, err);
    *out = (struct inv_document_row){
        .doc = sqlite3_column_int64(s, 0),
        .id = inv_sql_text(s, 1),
        .id_len = (size_t)sqlite3_column_bytes(s, 1),
        .version = (uint64_t)sqlite3_column_int64(s, 2),
        .payload = (const char *)sqlite3_column_text(s, 3),
        .payload_len = (size_t)sqlite3_column_bytes(s, 3),
        .space = sqlite3_column_int64(s, 4),
        .vseq = (uint64_t)sqlite3_column_int64(s, 5),
        .place =
            {
                .file = (uint32_t)sqlite3_column_int64(s, 6),
                .offset = (uint64_t)sqlite3_column_int64(s, 7),
                .length = (uint64_t)sqlite3_column_int64(s, 8),
                .rows = (uint32_t)sqlite3_column_int64(s, 9),
            },
        .source = (uint64_t)sqlite3_column_int64(s, 10),
    };
    return INV_OK;
}

static enum inv_status read_one(struct inv_db *db, sqlite3_stmt *s,
                                struct inv_document_row *out,
                                struct inv_err *err) {
    bool found = false;
    enum inv_status status = inv_sql_step(db, s, &found, err);
    if (status != INV_OK)
        return status;
    if (found)
        return read_row(db, s, out, err);
    *out = (struct inv_document_row){.doc = 0};
    return INV_OK;
}

enum inv_status inv_db_find(struct inv_db *db, int64_t collection,
                            const char *id, size_t id_len, int64_t space,
                            struct inv_document_row *out, struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status = inv_sql_bind(db, INV_SQL_FIND, &s, err, "isi",
                                          collection, id, id_len, space);
    return status == INV_OK ? read_one(db, s, out, err) : status;
}

enum inv_status inv_db_find_doc(struct inv_db *db, int64_t doc, int64_t space,
                                struct inv_document_row *out,
                                struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status =
        space == 0
            ? inv_sql_bind(db, INV_SQL_FIND_DOC_ANY, &s, err, "i", doc)
            : inv_sql_bind(db, INV_SQL_FIND_DOC, &s, err, "ii", doc, space);
    return status == INV_OK ? read_one(db, s, out, err) : status;
}

enum inv_status inv_db_vectors(struct inv_db *db, int64_t doc,
                               struct inv_vector_row *out, size_t *count,
                               struct inv_err *err) {
    sqlite3_stmt *s;
    bool more = true;
    enum inv_status status =
        inv_sql_bind(db, INV_SQL_VECTORS, &s, err, "i", doc);
    *count = 0;
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        if (*count == INV_SPACES_MAX) {
            sqlite3_reset(s);
            return inv_fail(err, INV_CORRUPT,
                            "document %lld has more than %d vectors",
                            (long long)doc, INV_SPACES_MAX);
        }
        out[(*count)++] = (struct inv_vector_row){
            .space = sqlite3_column_int64(s, 0),
            .vseq = (uint64_t)sqlite3_column_int64(s, 1),
            .source = (uint64_t)sqlite3_column_int64(s, 2),
            .place =
                {
                    .file = (uint32_t)sqlite3_column_int64(s, 3),
                    .offset = (uint64_t)sqlite3_column_int64(s, 4),
                    .length = (uint64_t)sqlite3_column_int64(s, 5),
                    .rows = (uint32_t)sqlite3_column_int64(s, 6),
                },
        };
    }
    return status;
}

enum inv_status inv_db_put_document(struct inv_db *db, int64_t collection,
                                    const char *id, size_t id_len,
                                    uint64_t version, const char *payload,
                                    size_t payload_len, int64_t *doc,
                                    struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status;
    if (*doc == 0)
        status = inv_sql_bind(db, INV_SQL_INSERT_DOCUMENT, &s, err, "isis",
                              collection, id, id_len, (int64_t)version, payload,
                              payload_len);
    else
        status = inv_sql_bind(db, INV_SQL_UPDATE_DOCUMENT, &s, err, "iis", *doc,
                              (int64_t)version, payload, payload_len);
    if (status == INV_OK)
        status = inv_sql_finish(db, s, err);
    if (status == INV_OK && *doc == 0)
        *doc = sqlite3_last_insert_rowid(db->sqlite);
    return status;
}

enum inv_status inv_db_put_vector(struct inv_db *db, int64_t doc,
                                  const struct inv_vector_row *row,
                                  struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_PUT_VECTOR, err, "iiiiiiii", doc, row->space,
                (int64_t)row->vseq, (int64_t)row->place.file,
                (int64_t)row->place.offset, (int64_t)row->place.length,
                (int64_t)row->place.rows, (int64_t)row->source);
    return INV_OK;
}

enum inv_status inv_db_delete_vectors(struct inv_db *db, int64_t doc,
                                      struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_VECTORS, err, "i", doc);
    return INV_OK;
}

enum inv_status inv_db_delete_vectors_in(struct inv_db *db, int64_t space,
                                         uint64_t *alone, struct inv_err *err) {
    enum inv_status status =
        inv_sql_count(db, INV_SQL_COUNT_ALONE, space, alone, err);
    if (status != INV_OK || *alone > 0)
        return status;
    INV_SQL_RUN(db, INV_SQL_DELETE_VECTORS_IN, err, "i", space);
    return INV_OK;
}

enum inv_status inv_db_move_vector(struct inv_db *db, int64_t doc,
                                   int64_t space, uint64_t vseq,
                                   const struct inv_place *place, bool *moved,
                                   struct inv_err *err) {
    sqlite3_stmt *s;
    enum inv_status status = inv_sql_bind(
        db, INV_SQL_MOVE_VECTOR, &s, err, "iiiii", doc, space, (int64_t)vseq,
        (int64_t)place->file, (int64_t)place->offset);
    if (status == INV_OK)
        status = inv_sql_finish(db, s, err);
    if (status == INV_OK)
        *moved = sqlite3_changes(db->sqlite) == 1;
    return status;
}

enum inv_status inv_db_delete_document(struct inv_db *db, int64_t doc,
                                       struct inv_err *err) {
    INV_SQL_RUN(db, INV_SQL_DELETE_VECTORS, err, "i", doc);
    INV_SQL_RUN(db, INV_SQL_DELETE_DOCUMENT, err, "i", doc);
    return INV_OK;
}

enum inv_status inv_db_documents(
    struct inv_db *db, int64_t collection, bool with_payload,
    enum inv_status (*each)(void *ctx, const struct inv_document_row *row,
                            struct inv_err *err),
    void *ctx, struct inv_err *err) {
    sqlite3_stmt *s = NULL; /* resetting NULL does nothing */
    bool more = true;
    enum inv_status status = inv_sql_bind(
        db, with_payload ? INV_SQL_DOCUMENTS_PAYLOAD : INV_SQL_DOCUMENTS, &s,
        err, "i", collection);
    while (status == INV_OK &&
           (status = inv_sql_step(db, s, &more, err)) == INV_OK && more) {
        struct inv_document_row row;
        status = read_row(db, s, &row, err);
        if (status == INV_OK)
            status = each(ctx, &row, err);
    }
    if (more)
        sqlite3_reset(s);
    return status;
}
