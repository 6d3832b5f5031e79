/*
 * catalog_check.c: what SQLite cannot know about the catalog: rows that name
 * one another wrongly, numbers that were given twice. Offline verification
 * only; each question reads a table.
 */
#include "index/catalog_db.h"

static const struct {
    const char *what, *sql; /* counts the rows that are wrong */
} questions[] = {
    {"documents of no collection",
     "SELECT count(*) FROM documents"
     " WHERE collection NOT IN (SELECT id FROM collections)"},
    {"documents without a vector",
     "SELECT count(*) FROM documents d WHERE NOT EXISTS"
     " (SELECT 1 FROM vectors v WHERE v.doc = d.doc)"},
    {"documents with an empty id or one that is not text",
     "SELECT count(*) FROM documents"
     " WHERE typeof(id) <> 'text' OR id = ''"},
    {"documents with a version that was not given out",
     "SELECT count(*) FROM documents d JOIN collections c"
     " ON c.id = d.collection"
     " WHERE d.version < 1 OR d.version >= c.next_version"},
    {"vectors of no document", "SELECT count(*) FROM vectors"
                               " WHERE doc NOT IN (SELECT doc FROM documents)"},
    {"vectors in a space that is not their collection's",
     "SELECT count(*) FROM vectors v JOIN documents d ON d.doc = v.doc"
     " WHERE NOT EXISTS (SELECT 1 FROM spaces s"
     " WHERE s.id = v.space AND s.collection = d.collection)"},
    {"vectors with a number that was not given out",
     "SELECT count(*) FROM vectors v JOIN documents d ON d.doc = v.doc"
     " JOIN collections c ON c.id = d.collection"
     " WHERE v.vseq < 1 OR v.vseq >= c.next_vseq"},
    {"vector numbers given twice",
     "SELECT count(*) FROM (SELECT 1 FROM vectors v JOIN documents d"
     " ON d.doc = v.doc GROUP BY d.collection, v.vseq"
     " HAVING count(DISTINCT v.doc) > 1)"},
    {"aliases of no collection",
     "SELECT count(*) FROM aliases"
     " WHERE collection NOT IN (SELECT id FROM collections)"},
    {"aliases with the name of a collection",
     "SELECT count(*) FROM aliases"
     " WHERE name IN (SELECT name FROM collections)"},
    {"spaces of no collection",
     "SELECT count(*) FROM spaces"
     " WHERE collection NOT IN (SELECT id FROM collections)"},
    {"segments of no collection",
     "SELECT count(*) FROM segments"
     " WHERE collection NOT IN (SELECT id FROM collections)"},
    {"segments with a number that was not given out",
     "SELECT count(*) FROM segments s JOIN collections c"
     " ON c.id = s.collection WHERE s.gen < 1 OR s.gen >= c.next_gen"},
    {"encoder states of no collection",
     "SELECT count(*) FROM encoder_states"
     " WHERE collection NOT IN (SELECT id FROM collections)"},
    {"collections without an encoder state",
     "SELECT count(*) FROM collections"
     " WHERE id NOT IN (SELECT collection FROM encoder_states)"},
    {"collections without a space",
     "SELECT count(*) FROM collections"
     " WHERE id NOT IN (SELECT collection FROM spaces)"},
    {"jobs of an unknown kind or state",
     "SELECT count(*) FROM jobs WHERE kind NOT IN ('rebuild', 'compact', 'fit',"
     " 'cutover') OR state NOT IN ('queued', 'running', 'succeeded', 'failed',"
     " 'cancelled')"},
    {"jobs that ended at no time, or not yet and at one",
     "SELECT count(*) FROM jobs WHERE"
     " (state IN ('queued', 'running')) <> (coalesce(finished_ms, 0) = 0)"},
};

static enum inv_status ask(struct inv_db *db, const char *sql, uint64_t *count,
                           struct inv_err *err) {
    sqlite3_stmt *statement = NULL;
    enum inv_status status = INV_OK;
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = inv_fail(err, INV_CORRUPT, "catalog: %s",
                          sqlite3_errmsg(db->sqlite));
    else
        *count = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

enum inv_status
inv_db_check_rows(struct inv_db *db,
                  enum inv_status (*each)(void *ctx, const char *what,
                                          uint64_t count, struct inv_err *err),
                  void *ctx, struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0;
         status == INV_OK && i < sizeof questions / sizeof *questions; i++) {
        uint64_t count = 0;
        status = ask(db, questions[i].sql, &count, err);
        if (status == INV_OK && count > 0)
            status = each(ctx, questions[i].what, count, err);
    }
    return status;
}
