/*
 * verify_files.c: files that nothing refers to. They are what a crash may
 * leave and what the next start removes, so each is a note, never a problem.
 */
#include "server/verify_internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls `each` with every name of a directory; one that is not there has none.
 */
static void list(const char *path, void (*each)(void *ctx, const char *name),
                 void *ctx) {
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(ctx, entry->d_name);
    if (dir != NULL)
        closedir(dir);
}

static void note_segment(void *ctx, const char *name) {
    struct inv_verify_collection *c = ctx;
    char *end;
    uint64_t gen = strtoull(name, &end, 10);
    for (size_t i = 0; i < c->gen_count && *end == '\0'; i++)
        if (c->gens[i] == gen)
            return;
    inv_verify_note(c->verify,
                    "collection %s: segments/%s belongs to nothing; the next "
                    "start removes it",
                    c->name, name);
}

static void note_log(void *ctx, const char *name) {
    struct inv_verify_collection *c = ctx;
    for (size_t i = 0; i < c->logs->count; i++) {
        char known[32];
        snprintf(known, sizeof known, "%08u.vlog",
                 inv_vlog_file_number(c->logs->files[i]));
        if (strcmp(known, name) == 0)
            return;
    }
    inv_verify_note(c->verify, "collection %s: vectors/%s is not a vector log",
                    c->name, name);
}

static void note_logs(struct inv_verify_collection *c) {
    for (size_t i = 0; i < c->logs->count; i++) {
        uint64_t bytes = inv_vlog_file_bytes(c->logs->files[i]);
        bool newest = i + 1 == c->logs->count;
        if (c->ends[i].end == 0 && !newest)
            inv_verify_note(c->verify,
                            "collection %s: nothing refers to vector log %u; "
                            "the next start removes it",
                            c->name, c->ends[i].file);
        else if (newest && c->ends[i].end < bytes && bytes > 64)
            inv_verify_note(c->verify,
                            "collection %s: %" PRIu64
                            " bytes behind the last record of vector log %u; "
                            "the next start cuts them",
                            c->name,
                            bytes - (c->ends[i].end == 0 ? 64 : c->ends[i].end),
                            c->ends[i].file);
    }
}

static void note_inside(void *ctx, const char *name) {
    struct inv_verify_collection *c = ctx;
    if (strcmp(name, "vectors") != 0 && strcmp(name, "segments") != 0)
        inv_verify_note(c->verify, "collection %s: %s is unknown", c->name,
                        name);
}

void inv_verify_collection_files(struct inv_verify_collection *c) {
    char path[sizeof c->dir + 16];
    list(c->dir, note_inside, c);
    snprintf(path, sizeof path, "%s/segments", c->dir);
    list(path, note_segment, c);
    if (c->logs == NULL)
        return;
    snprintf(path, sizeof path, "%s/vectors", c->dir);
    list(path, note_log, c);
    note_logs(c);
}

struct top {
    struct inv_verify *verify;
    char *const *uuids;
    size_t count;
};

static void note_top(void *ctx, const char *name) {
    static const char *const known[] = {"catalog.db", "catalog.db-wal",
                                        "catalog.db-shm", "lock",
                                        "collections"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], name) == 0)
            return;
    inv_verify_note(((struct top *)ctx)->verify, "%s is unknown", name);
}

static void note_uuid(void *ctx, const char *name) {
    const struct top *top = ctx;
    for (size_t i = 0; i < top->count; i++)
        if (strcmp(top->uuids[i], name) == 0)
            return;
    inv_verify_note(top->verify,
                    "collections/%s belongs to no collection; the next start "
                    "removes it",
                    name);
}

void inv_verify_top_files(struct inv_verify *verify, char *const *uuids,
                          size_t count) {
    struct top top = {.verify = verify, .uuids = uuids, .count = count};
    char path[4096];
    list(verify->dir, note_top, &top);
    snprintf(path, sizeof path, "%s/collections", verify->dir);
    list(path, note_uuid, &top);
}
