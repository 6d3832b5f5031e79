/*
 * verify.c: see verify.h. Goes from the catalog outwards: its own pages, its
 * rows among one another, then for each collection the record of every vector
 * and the files of every segment. What lies about besides: verify_files.c.
 *
 * A finding is a line of the report and never stops the check; only what keeps
 * it from being done (memory, no permission) is an error.
 */
#include "server/verify_internal.h"

#include "base/file.h"
#include "index/segment.h"
#include "server/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTED 20 /* damaged documents named of one collection */

/* ---- the report ---- */

static void put_line(struct inv_buf *out, const char *what, const char *fmt,
                     va_list args) {
    char text[1024];
    vsnprintf(text, sizeof text, fmt, args);
    inv_buf_printf(out, "%s: %s\n", what, text);
}

void inv_verify_problem(struct inv_verify *verify, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    put_line(verify->report, "problem", fmt, args);
    va_end(args);
    verify->problems++;
}

void inv_verify_note(struct inv_verify *verify, const char *fmt, ...) {
    if (verify->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    put_line(verify->report, "note", fmt, args);
    va_end(args);
}

/* ---- documents ---- */

static enum inv_status check_payload(const struct inv_document_row *row,
                                     struct inv_err *err) {
    inv_json *json = NULL;
    if (row->payload == NULL)
        return INV_OK;
    enum inv_status status =
        inv_json_parse_plain(row->payload, row->payload_len, &json, err);
    if (status == INV_OK && inv_json_kind(json) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_CORRUPT, "its payload is not an object");
    inv_json_free(json);
    return status == INV_OK || status == INV_MEMORY ? status : INV_CORRUPT;
}

/* 0 for a space that is not the collection's. */
static size_t dim_of(const struct inv_verify_collection *c, int64_t space) {
    for (size_t i = 0; i < c->space_count; i++)
        if (c->spaces[i].space == space)
            return c->spaces[i].dim;
    return 0;
}

/* The record at a row's place is the one the row means. */
static enum inv_status check_record(const struct inv_verify_collection *c,
                                    const struct inv_document_row *row,
                                    struct inv_err *err) {
    const struct inv_settings *s = &c->settings->settings;
    struct inv_record record;
    enum inv_status status = inv_vlog_check(c->logs, &row->place, &record, err);
    if (status != INV_OK)
        return status;
    if (record.vseq != row->vseq || record.space != (uint64_t)row->space)
        return inv_fail(err, INV_CORRUPT,
                        "vector %" PRIu64 " of space %" PRIu64
                        " lies where the catalog has %" PRIu64
                        " of space %" PRId64,
                        record.vseq, record.space, row->vseq, row->space);
    if (record.id_len != row->id_len ||
        memcmp(record.id, row->id, row->id_len) != 0)
        return inv_fail(err, INV_CORRUPT, "its vector is that of \"%.*s\"",
                        (int)(record.id_len < 80 ? record.id_len : 80),
                        record.id);
    size_t dim = dim_of(c, row->space);
    if (record.codes.dim != dim || record.codes.dtype != s->dtype ||
        (!s->multi && record.codes.rows != 1))
        return inv_fail(err, INV_CORRUPT,
                        "its record holds %zu rows of %zu in type %d, the "
                        "collection has %zu in type %d",
                        record.codes.rows, record.codes.dim,
                        (int)record.codes.dtype, dim, (int)s->dtype);
    return INV_OK;
}

static void note_use(struct inv_verify_collection *c,
                     const struct inv_place *place) {
    uint64_t end = place->offset + place->length;
    for (size_t i = 0; i < c->logs->count; i++)
        if (c->ends[i].file == place->file && end > c->ends[i].end)
            c->ends[i].end = end;
}

static enum inv_status check_document(void *ctx,
                                      const struct inv_document_row *row,
                                      struct inv_err *err) {
    struct inv_verify_collection *c = ctx;
    struct inv_err why = {0};
    c->documents++;
    c->bytes += row->place.length;
    note_use(c, &row->place);
    enum inv_status status = check_payload(row, &why);
    if (status == INV_OK)
        status = check_record(c, row, &why);
    if (status == INV_MEMORY)
        return inv_fail(err, INV_MEMORY, "%s", why.text);
    if (status == INV_OK)
        return INV_OK;
    if (c->problems++ < LISTED)
        inv_verify_problem(c->verify, "collection %s: document \"%.*s\": %s",
                           c->name, (int)(row->id_len < 80 ? row->id_len : 80),
                           row->id, why.text);
    else
        c->verify->problems++;
    return INV_OK;
}

/* ---- segments ---- */

static enum inv_status take_gen(void *ctx, uint64_t gen, struct inv_err *err) {
    struct inv_verify_collection *c = ctx;
    uint64_t *more = realloc(c->gens, (c->gen_count + 1) * sizeof *more);
    if (more == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for segments");
    c->gens = more;
    more[c->gen_count++] = gen;
    return INV_OK;
}

static enum inv_status check_segments(struct inv_verify_collection *c,
                                      struct inv_err *err) {
    enum inv_status status =
        inv_db_segments(c->verify->db, c->id, take_gen, c, err);
    for (size_t i = 0; status == INV_OK && i < c->gen_count; i++) {
        char dir[sizeof c->dir + 32];
        struct inv_err why = {0};
        snprintf(dir, sizeof dir, "%s/segments/%08" PRIu64, c->dir, c->gens[i]);
        enum inv_status found = inv_segment_verify(dir, &why);
        if (found == INV_MEMORY)
            status = inv_fail(err, INV_MEMORY, "%s", why.text);
        else if (found != INV_OK)
            inv_verify_problem(c->verify,
                               "collection %s: segment %" PRIu64 ": %s",
                               c->name, c->gens[i], why.text);
    }
    return status;
}

/* ---- a collection ---- */

static void bad_log(void *ctx, const char *why) {
    struct inv_verify_collection *c = ctx;
    inv_verify_note(c->verify, "collection %s: %s", c->name, why);
}

static enum inv_status open_logs(struct inv_verify_collection *c,
                                 struct inv_err *err) {
    char path[sizeof c->dir + 16];
    snprintf(path, sizeof path, "%s/vectors", c->dir);
    enum inv_status status = inv_vlog_look(path, bad_log, c, &c->logs, err);
    if (status != INV_OK)
        return status;
    c->ends = calloc(c->logs->count + 1, sizeof *c->ends);
    if (c->ends == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for vector logs");
    for (size_t i = 0; i < c->logs->count; i++)
        c->ends[i].file = inv_vlog_file_number(c->logs->files[i]);
    return INV_OK;
}

static enum inv_status take_space(void *ctx, const struct inv_space_row *row,
                                  struct inv_err *err) {
    struct inv_verify_collection *c = ctx;
    if (c->space_count == INV_SPACES_MAX)
        return inv_fail(err, INV_CORRUPT, "it has more than %d models",
                        INV_SPACES_MAX);
    c->spaces[c->space_count].space = row->space;
    c->spaces[c->space_count++].dim = row->dim;
    return INV_OK;
}

static enum inv_status read_settings(struct inv_verify_collection *c,
                                     const struct inv_collection_row *row,
                                     struct inv_err *err) {
    inv_json *json = NULL;
    enum inv_status status =
        inv_json_parse_plain(row->settings, strlen(row->settings), &json, err);
    if (status == INV_OK)
        status = inv_settings_parse(json, &c->settings, err);
    inv_json_free(json);
    int64_t gallery = 0;
    if (status == INV_OK)
        status = inv_db_spaces(c->verify->db, c->id, take_space, c, err);
    if (status == INV_OK)
        status = inv_db_find_space(c->verify->db, c->id,
                                   inv_settings_space(&c->settings->settings),
                                   &gallery, err);
    if (status == INV_OK && gallery == 0)
        status = inv_fail(err, INV_CORRUPT,
                          "its settings name a space that the catalog does "
                          "not have");
    return status;
}

static void summarize(const struct inv_verify_collection *c) {
    if (c->verify->quiet)
        return;
    uint64_t total = c->logs == NULL ? 0 : inv_vlog_set_bytes(c->logs);
    inv_buf_printf(c->verify->report,
                   "collection %s: %zu documents, %zu segments, %zu vector "
                   "logs of %" PRIu64 " bytes, %" PRIu64 " of them in use\n",
                   c->name, c->documents, c->gen_count,
                   c->logs == NULL ? 0 : c->logs->count, total, c->bytes);
}

static enum inv_status look_at(struct inv_verify_collection *c,
                               const struct inv_collection_row *row,
                               struct inv_err *err) {
    struct inv_err why = {0};
    enum inv_status status = read_settings(c, row, &why);
    if (status == INV_OK && row->next_vseq > 1)
        status = open_logs(c, &why);
    if (status == INV_OK && c->logs != NULL)
        status = inv_db_documents(c->verify->db, c->id, true, check_document, c,
                                  &why);
    if (status == INV_OK)
        status = check_segments(c, &why);
    if (status == INV_MEMORY)
        return inv_fail(err, INV_MEMORY, "%s", why.text);
    if (status != INV_OK)
        inv_verify_problem(c->verify, "collection %s: %s", c->name, why.text);
    if (c->problems > LISTED)
        inv_verify_problem(c->verify,
                           "collection %s: %zu damaged documents in all, the "
                           "first %d are listed",
                           c->name, c->problems, LISTED);
    inv_verify_collection_files(c);
    summarize(c);
    return INV_OK;
}

/* ---- the catalog ---- */

struct names {
    struct inv_verify *verify;
    char **uuids;
    size_t count;
};

static enum inv_status check_collection(void *ctx,
                                        const struct inv_collection_row *row,
                                        struct inv_err *err) {
    struct names *names = ctx;
    char **more = realloc(names->uuids, (names->count + 1) * sizeof *more);
    char *uuid = strdup(row->uuid);
    if (more != NULL)
        names->uuids = more;
    if (more == NULL || uuid == NULL) {
        free(uuid);
        return inv_fail(err, INV_MEMORY, "out of memory for collections");
    }
    more[names->count++] = uuid;
    struct inv_verify_collection c = {.verify = names->verify, .id = row->id};
    snprintf(c.name, sizeof c.name, "%s", row->name);
    snprintf(c.dir, sizeof c.dir, "%s/collections/%s", names->verify->dir,
             row->uuid);
    enum inv_status status = look_at(&c, row, err);
    inv_ref_put(c.settings);
    inv_ref_put(c.logs);
    free(c.ends);
    free(c.gens);
    return status;
}

static enum inv_status take_answer(void *ctx, const char *what, uint64_t count,
                                   struct inv_err *err) {
    (void)err;
    inv_verify_problem(ctx, "catalog: %" PRIu64 " %s", count, what);
    return INV_OK;
}

static enum inv_status check_catalog(struct inv_verify *verify,
                                     struct inv_err *err) {
    struct names names = {.verify = verify};
    enum inv_status status = inv_db_check(verify->db, err);
    if (status == INV_OK)
        status = inv_db_check_rows(verify->db, take_answer, verify, err);
    if (status == INV_OK)
        status = inv_db_collections(verify->db, check_collection, &names, err);
    if (status == INV_OK)
        inv_verify_top_files(verify, names.uuids, names.count);
    for (size_t i = 0; i < names.count; i++)
        free(names.uuids[i]);
    free(names.uuids);
    return status;
}

static enum inv_status open_and_check(struct inv_verify *verify,
                                      struct inv_err *err) {
    struct inv_catalog *catalog = NULL;
    struct inv_err why = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/catalog.db", verify->dir);
    enum inv_status status = inv_catalog_open(path, true, &catalog, &why);
    if (status == INV_OK) {
        verify->db = inv_catalog_writer(catalog);
        status = check_catalog(verify, &why);
        inv_catalog_close(catalog);
    }
    if (status == INV_CORRUPT) {
        inv_verify_problem(verify, "%s", why.text);
        return INV_OK;
    }
    if (status != INV_OK && err != NULL)
        *err = why;
    return status;
}

enum inv_status inv_verify_data(const char *dir, bool quiet,
                                struct inv_buf *report, bool *clean,
                                struct inv_err *err) {
    struct inv_verify verify = {.dir = dir, .quiet = quiet, .report = report};
    char path[4096];
    int lock = -1;
    *clean = false;
    if ((size_t)snprintf(path, sizeof path, "%s/catalog.db", dir) >=
        sizeof path - 128)
        return inv_fail(err, INV_INVALID, "the path is too long");
    if (access(path, F_OK) != 0)
        return inv_fail(err, INV_NOT_FOUND,
                        "%s holds no catalog.db: it is not a data directory",
                        dir);
    snprintf(path, sizeof path, "%s/lock", dir);
    enum inv_status status = inv_file_lock(path, &lock, err);
    if (status != INV_OK)
        return status;
    status = open_and_check(&verify, err);
    inv_file_unlock(lock);
    if (status == INV_OK && report->failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for the report");
    if (status != INV_OK)
        return status;
    *clean = verify.problems == 0;
    if (!quiet || !*clean)
        inv_buf_printf(report, *clean ? "clean\n" : "damaged: %zu problems\n",
                       verify.problems);
    return INV_OK;
}
