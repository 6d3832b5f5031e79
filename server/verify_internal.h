/*
 * verify_internal.h: between verify.c (the catalog and what it says) and
 * verify_files.c (what lies in the directories).
 */
#ifndef INV_SERVER_VERIFY_INTERNAL_H
#define INV_SERVER_VERIFY_INTERNAL_H

#include "index/vlog.h"
#include "server/settings.h"
#include "server/verify.h"

struct inv_verify {
    const char *dir;
    bool quiet;
    struct inv_buf *report;
    size_t problems;
    struct inv_db *db;
};

/* One collection while it is looked at. */
struct inv_verify_collection {
    struct inv_verify *verify;
    int64_t id;
    char name[INV_NAME_MAX + 1];
    char dir[4096];
    struct inv_shared_settings *settings;
    struct {
        int64_t space;
        size_t dim;
    } spaces[INV_SPACES_MAX];
    size_t space_count;
    struct inv_vlog_set *logs;
    struct inv_vlog_end *ends; /* per file of logs: its last used byte */
    uint64_t *gens;
    size_t gen_count;
    size_t documents, problems;
    uint64_t bytes; /* of live records */
};

void inv_verify_problem(struct inv_verify *verify, const char *fmt, ...)
    INV_PRINTF(2, 3);
void inv_verify_note(struct inv_verify *verify, const char *fmt, ...)
    INV_PRINTF(2, 3);

/* Notes what lies in a collection's directories and is referred to by nothing:
 * logs, tails of logs, segments, temporary files. */
void inv_verify_collection_files(struct inv_verify_collection *c);
/* The same for the data directory: uuids are the directories that have a row.
 */
void inv_verify_top_files(struct inv_verify *verify, char *const *uuids,
                          size_t count);

#endif
