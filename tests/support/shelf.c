/*
 * shelf.c: see shelf.h. Payloads are the decimal text of a number, so that no
 * JSON is needed here.
 */
#include "tests/support/shelf.h"

#include "base/file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- encoding and payload ---- */

static enum inv_status encode(const struct inv_encoding *encoding,
                              const struct inv_codes *stored, float *code,
                              struct inv_err *err) {
    if (stored->dim != encoding->code_dim || stored->dtype != INV_F32)
        return inv_fail(err, INV_INTERNAL, "dimension %zu, type %d",
                        stored->dim, (int)stored->dtype);
    memcpy(code, stored->data, stored->dim * sizeof *code);
    return INV_OK;
}

static void encoding_release(void *self) { free(self); }

struct inv_encoding *shelf_encoding(uint32_t state) {
    struct inv_encoding *encoding = calloc(1, sizeof *encoding);
    ck_assert_ptr_nonnull(encoding);
    inv_ref_init(&encoding->ref, encoding_release);
    encoding->space = 1; /* of the first collection of a catalog */
    encoding->state = state;
    encoding->hash = 0x5e1f + state;
    encoding->code_dim = SHELF_DIM;
    encoding->ann_dim = SHELF_DIM;
    encoding->metric = INV_METRIC_L2;
    encoding->flat_dtype = INV_F32;
    encoding->keep = INV_KEEP_NONE;
    encoding->encode = encode;
    return encoding;
}

static enum inv_status read_row(const struct inv_schema *schema,
                                const char *payload, size_t len,
                                struct inv_row **out, struct inv_err *err) {
    char text[32];
    *out = NULL;
    if (schema->count == 0 || payload == NULL)
        return INV_OK;
    snprintf(text, sizeof text, "%.*s", (int)len, payload);
    struct inv_row_item items[2];
    for (size_t i = 0; i < schema->count && i < 2; i++) {
        items[i].field = (uint32_t)i;
        items[i].value.kind = INV_VALUE_INT;
        items[i].value.as.integer = strtol(text, NULL, 10);
    }
    *out = inv_row_new(items, schema->count);
    return *out == NULL ? inv_fail(err, INV_MEMORY, "no memory") : INV_OK;
}

void shelf_vector(int number, float out[SHELF_DIM]) {
    out[0] = (float)(number % 100);
    out[1] = (float)(number / 100);
    out[2] = (float)(number % 7) / 8.0f;
    out[3] = 1.0f;
}

/* ---- life ---- */

static enum inv_status add_rows(void *ctx, struct inv_db *db,
                                struct inv_err *err) {
    struct shelf *shelf = ctx;
    struct inv_collection_row row = {.uuid = "shelf",
                                     .name = "shelf",
                                     .body = "{}",
                                     .settings = "{}",
                                     .created_ms = 1};
    struct inv_space_row space = {
        .hash = 1, .model = "m", .revision = "1", .dim = SHELF_DIM};
    enum inv_status status =
        inv_db_add_collection(db, &row, &shelf->collection, err);
    if (status == INV_OK)
        status = inv_db_add_space(db, shelf->collection, &space, err);
    shelf->space = space.space;
    struct inv_state_row state = {
        .space = space.space, .state = 0, .hash = 0x5e1f, .settings = "{}"};
    if (status == INV_OK)
        status = inv_db_add_state(db, shelf->collection, &state, err);
    return status;
}

void shelf_new(struct shelf *shelf, size_t roll_bytes, size_t fresh_limit) {
    static const struct inv_field field = {"n", INV_FIELD_INTEGER};
    memset(shelf, 0, sizeof *shelf);
    shelf->roll_bytes = roll_bytes;
    shelf->fresh_limit = fresh_limit;
    /* in memory where that can be: no test here asks what a power cut leaves */
    snprintf(shelf->root, sizeof shelf->root, "%s/invar-shelf-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(shelf->root));
    snprintf(shelf->dir, sizeof shelf->dir, "%s/gallery", shelf->root);
    shelf->encoding = shelf_encoding(0);
    shelf->schema = inv_schema_new(&field, 1);
    shelf_open(shelf);
}

struct counters {
    uint64_t vseq, version, gen;
};

static enum inv_status take_counters(void *ctx,
                                     const struct inv_collection_row *row,
                                     struct inv_err *err) {
    (void)err;
    *(struct counters *)ctx =
        (struct counters){row->next_vseq, row->next_version, row->next_gen};
    return INV_OK;
}

static enum inv_status read_counters(struct shelf *shelf,
                                     struct counters *counters,
                                     struct inv_err *err) {
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(shelf->catalog, &db, err);
    if (status == INV_OK)
        status = inv_db_collections(db, take_counters, counters, err);
    if (db != NULL)
        inv_catalog_return(shelf->catalog, db);
    return status;
}

enum inv_status shelf_try_open(struct shelf *shelf, struct inv_err *err) {
    char path[96];
    struct counters counters = {0};
    snprintf(path, sizeof path, "%s/catalog.db", shelf->root);
    enum inv_status status =
        inv_catalog_open(path, false, &shelf->catalog, err);
    if (status == INV_OK)
        status = inv_writer_start(shelf->catalog, &shelf->writer, err);
    if (status == INV_OK && shelf->collection == 0) {
        struct inv_operation op = {.apply = add_rows, .ctx = shelf};
        status = inv_writer_run(shelf->writer, &op, err);
    }
    if (status == INV_OK)
        status = read_counters(shelf, &counters, err);
    struct inv_encoding *encodings[] = {shelf->encoding, shelf->other};
    struct inv_gallery_options options = {.dir = shelf->dir,
                                          .collection = shelf->collection,
                                          .catalog = shelf->catalog,
                                          .row = read_row,
                                          .roll_bytes = shelf->roll_bytes,
                                          .fresh_limit = shelf->fresh_limit,
                                          .next_vseq = counters.vseq,
                                          .next_version = counters.version,
                                          .next_gen = counters.gen,
                                          .schema = shelf->schema,
                                          .space = shelf->space,
                                          .encodings = encodings,
                                          .encoding_count =
                                              shelf->other == NULL ? 1 : 2};
    if (status == INV_OK)
        status = inv_gallery_open(&options, &shelf->gallery, err);
    if (status != INV_OK)
        shelf_close(shelf);
    return status;
}

void shelf_open(struct shelf *shelf) {
    struct inv_err err = {0};
    enum inv_status status = shelf_try_open(shelf, &err);
    ck_assert_msg(status == INV_OK, "open: %s", err.text);
}

void shelf_close(struct shelf *shelf) {
    inv_writer_stop(shelf->writer);
    inv_gallery_close(shelf->gallery);
    inv_catalog_close(shelf->catalog);
    shelf->writer = NULL;
    shelf->gallery = NULL;
    shelf->catalog = NULL;
}

void shelf_reopen(struct shelf *shelf) {
    shelf_close(shelf);
    shelf_open(shelf);
}

void shelf_free(struct shelf *shelf) {
    shelf_close(shelf);
    inv_ref_put(shelf->encoding);
    inv_ref_put(shelf->other);
    inv_ref_put(shelf->schema);
    ck_assert_int_eq(inv_file_remove_tree(shelf->root, NULL), INV_OK);
}

/* ---- changes ---- */

struct change {
    struct shelf *shelf;
    enum inv_put_mode mode;
    const int *ids;
    size_t count;
    int vector, payload;
    bool found;
    struct inv_put *puts;
    struct inv_schema *schema;
};

static enum inv_status apply_put(void *ctx, struct inv_db *db,
                                 struct inv_err *err) {
    struct change *change = ctx;
    struct inv_gallery *gallery = change->shelf->gallery;
    enum inv_status status = inv_gallery_check(
        gallery, db, change->mode, change->puts, change->count, err);
    for (size_t i = 0; status == INV_OK && i < change->count; i++)
        status = inv_gallery_put(gallery, db, &change->puts[i], err);
    return status;
}

static enum inv_status run_puts(struct change *change, struct inv_view *view,
                                struct inv_err *err) {
    struct shelf *shelf = change->shelf;
    float vector[SHELF_DIM];
    float codes[64][SHELF_DIM];
    char ids[64][16];
    char payload[16];
    struct inv_put puts[64] = {0};
    enum inv_status status = INV_OK;
    if (change->count > 64)
        return inv_fail(err, INV_INVALID, "%zu documents", change->count);
    shelf_vector(change->vector, vector);
    int len = snprintf(payload, sizeof payload, "%d", change->payload);
    for (size_t i = 0; i < change->count; i++) {
        memcpy(codes[i], vector, sizeof vector);
        puts[i] = (struct inv_put){
            .id = ids[i],
            .id_len =
                (size_t)snprintf(ids[i], sizeof ids[i], "%d", change->ids[i]),
            .space = shelf->space,
            .codes = {.data = vector,
                      .dtype = INV_F32,
                      .rows = 1,
                      .dim = SHELF_DIM},
            .encoding = inv_view_encoding(view, 0),
            .code = codes[i],
            .payload = change->payload < 0 ? NULL : payload,
            .payload_len = change->payload < 0 ? 0 : (size_t)len,
            .schema = view->schema};
        if (status == INV_OK)
            status = read_row(view->schema, puts[i].payload,
                              puts[i].payload_len, &puts[i].row, err);
    }
    change->puts = puts;
    struct inv_operation op = {
        .gallery = shelf->gallery, .apply = apply_put, .ctx = change};
    if (status == INV_OK)
        status = inv_writer_run(shelf->writer, &op, err);
    for (size_t i = 0; status != INV_OK && i < change->count; i++)
        free(puts[i].row);
    change->puts = NULL;
    return status;
}

enum inv_status shelf_put_mode(struct shelf *shelf, enum inv_put_mode mode,
                               const int *ids, size_t count, int vector,
                               struct inv_err *err) {
    struct change change = {.shelf = shelf,
                            .mode = mode,
                            .ids = ids,
                            .count = count,
                            .vector = vector,
                            .payload = vector % 10};
    struct inv_view *view = inv_gallery_view(shelf->gallery);
    enum inv_status status = run_puts(&change, view, err);
    inv_ref_put(view);
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        shelf->want[ids[i]].vector = vector;
        shelf->want[ids[i]].payload = vector % 10;
    }
    return status;
}

enum inv_status shelf_put(struct shelf *shelf, int id, int vector,
                          int payload) {
    struct change change = {.shelf = shelf,
                            .ids = &id,
                            .count = 1,
                            .vector = vector,
                            .payload = payload};
    struct inv_view *view = inv_gallery_view(shelf->gallery);
    enum inv_status status = run_puts(&change, view, NULL);
    inv_ref_put(view);
    if (status == INV_OK) {
        shelf->want[id].vector = vector;
        shelf->want[id].payload = payload;
    }
    return status;
}

static enum inv_status apply_remove(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    struct change *change = ctx;
    char id[16];
    int len = snprintf(id, sizeof id, "%d", change->ids[0]);
    return inv_gallery_remove(change->shelf->gallery, db, id, (size_t)len,
                              &change->found, err);
}

enum inv_status shelf_remove(struct shelf *shelf, int id, bool *found) {
    struct change change = {.shelf = shelf, .ids = &id};
    struct inv_operation op = {
        .gallery = shelf->gallery, .apply = apply_remove, .ctx = &change};
    enum inv_status status = inv_writer_run(shelf->writer, &op, NULL);
    if (found != NULL)
        *found = change.found;
    if (status == INV_OK)
        shelf->want[id].vector = 0;
    return status;
}

static void shared_release(void *self) {
    free(((struct inv_shared_row *)self)->row);
    free(self);
}

static enum inv_status apply_patch(void *ctx, struct inv_db *db,
                                   struct inv_err *err) {
    struct change *change = ctx;
    struct shelf *shelf = change->shelf;
    struct inv_document_row row;
    char text[16];
    uint64_t version;
    int len = snprintf(text, sizeof text, "%d", change->ids[0]);
    enum inv_status status =
        inv_db_find(db, shelf->collection, text, (size_t)len, 0, &row, err);
    if (status == INV_OK && row.doc == 0)
        status = inv_fail(err, INV_NOT_FOUND, "no such document");
    if (status != INV_OK)
        return status;
    struct inv_shared_row *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return inv_fail(err, INV_MEMORY, "no memory");
    inv_ref_init(&shared->ref, shared_release);
    len = snprintf(text, sizeof text, "%d", change->payload);
    struct inv_view *view = inv_gallery_view(shelf->gallery);
    status = read_row(view->schema, text, (size_t)len, &shared->row, err);
    inv_ref_put(view);
    if (status == INV_OK)
        status = inv_gallery_set_payload(shelf->gallery, db, &row, text,
                                         (size_t)len, shared, &version, err);
    inv_ref_put(shared);
    return status;
}

enum inv_status shelf_patch(struct shelf *shelf, int id, int payload) {
    struct change change = {.shelf = shelf, .ids = &id, .payload = payload};
    struct inv_operation op = {
        .gallery = shelf->gallery, .apply = apply_patch, .ctx = &change};
    enum inv_status status = inv_writer_run(shelf->writer, &op, NULL);
    if (status == INV_OK)
        shelf->want[id].payload = payload;
    return status;
}

static enum inv_status apply_fields(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    struct change *change = ctx;
    return inv_gallery_set_schema(change->shelf->gallery, db, change->schema,
                                  err);
}

enum inv_status shelf_fields(struct shelf *shelf, struct inv_schema *schema) {
    struct change change = {.shelf = shelf, .schema = schema};
    struct inv_operation op = {.gallery = shelf->gallery,
                               .apply = apply_fields,
                               .ctx = &change,
                               .alone = true};
    return inv_writer_run(shelf->writer, &op, NULL);
}

enum inv_status shelf_build(struct shelf *shelf, bool everything,
                            struct inv_build *build) {
    struct inv_build own = {0};
    if (build == NULL)
        build = &own;
    build->everything = everything;
    build->config = (struct inv_ann_config){.type = INV_ANN_FLAT, .threads = 1};
    return inv_gallery_build(shelf->gallery, shelf->writer, build, NULL);
}

enum inv_status shelf_compact(struct shelf *shelf, struct inv_compaction *out) {
    struct inv_compaction own = {.dead_share = 0.1};
    return inv_gallery_compact(shelf->gallery, shelf->writer,
                               out == NULL ? &own : out, NULL);
}

/* ---- checks ---- */

static int id_of(const struct inv_entry *entry) {
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)entry->id_len, entry->id);
    return (int)strtol(text, NULL, 10);
}

int shelf_in_view(const struct inv_view *view, int id) {
    int found = 0;
    for (size_t p = 0; p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        for (size_t e = 0; e < part->count; e++) {
            struct inv_codes codes;
            if (!inv_bitset_has(part->live->set, e) ||
                id_of(&part->entries->items[e]) != id)
                continue;
            ck_assert_int_eq(found, 0); /* nothing is there twice */
            ck_assert_int_eq(inv_vlog_get(view->logs,
                                          &part->entries->items[e].place,
                                          &codes, NULL),
                             INV_OK);
            const float *x = codes.data;
            found = (int)x[0] + 100 * (int)x[1];
        }
    }
    return found;
}

size_t shelf_parts(const struct inv_view *view, bool sealed) {
    size_t count = 0;
    for (size_t p = 0; p < view->count; p++)
        count += view->parts[p].count > 0 &&
                 (view->parts[p].segment->gen != 0) == sealed;
    return count;
}

/* Its own part finds an entry, asked for its vector and for its payload. */
static void check_found(const struct inv_view *view,
                        const struct inv_part *part, size_t e, int vector,
                        int payload) {
    float query[SHELF_DIM];
    struct inv_ann_hit hit;
    size_t found = 0;
    uint64_t *allowed =
        calloc(inv_bitset_words(part->count) + 1, sizeof *allowed);
    uint64_t *only = calloc(inv_bitset_words(part->count) + 1, sizeof *only);
    struct inv_ann_params params = {.allowed = only};
    ck_assert(allowed != NULL && only != NULL);
    shelf_vector(vector, query);
    inv_bitset_add(only, e);
    ck_assert_int_eq(inv_segment_search(part->segment, part->count, query, 1,
                                        &params, &hit, &found, NULL),
                     INV_OK);
    ck_assert_uint_eq(found, 1);
    ck_assert_uint_eq(hit.entry, e);
    ck_assert(hit.score == 0.0f);
    struct inv_value value = {.kind = INV_VALUE_INT, .as.integer = payload};
    struct inv_condition must = {.kind = INV_COND_MATCH,
                                 .key = view->schema->fields[0].key,
                                 .values = &value,
                                 .value_count = 1};
    struct inv_field unindexed[1];
    struct inv_filter filter = {
        .must = &must, .must_count = 1, .unindexed = unindexed};
    size_t scanned = 0;
    ck_assert_int_eq(inv_filter_bind(&filter, view->schema->fields,
                                     view->schema->count, NULL),
                     INV_OK);
    inv_part_select(part, &filter, allowed, &scanned);
    ck_assert_msg(inv_bitset_has(allowed, e) == (payload >= 0),
                  "entry %zu, payload %d", e, payload);
    free(allowed);
    free(only);
}

static void check_row(struct shelf *shelf, struct inv_db *db, int id,
                      const struct inv_entry *entry, uint64_t version) {
    struct inv_document_row row;
    char text[16];
    int len = snprintf(text, sizeof text, "%d", id);
    ck_assert_int_eq(
        inv_db_find(db, shelf->collection, text, (size_t)len, 0, &row, NULL),
        INV_OK);
    ck_assert_int_eq(row.doc, entry->doc);
    ck_assert_uint_eq(row.vseq, entry->vseq);
    ck_assert_uint_le(row.version, version);
    ck_assert_uint_eq(row.place.offset, entry->place.offset);
    ck_assert_uint_eq(row.place.file, entry->place.file);
    int payload = row.payload == NULL ? -1 : (int)strtol(row.payload, NULL, 10);
    ck_assert_int_eq(payload, shelf->want[id].payload);
}

void shelf_check(struct shelf *shelf) {
    struct inv_view *view = inv_gallery_view(shelf->gallery);
    struct inv_db *db;
    size_t live = 0;
    size_t want = 0;
    ck_assert_int_eq(inv_catalog_borrow(shelf->catalog, &db, NULL), INV_OK);
    for (int id = 0; id < SHELF_IDS; id++)
        want += shelf->want[id].vector != 0;
    for (size_t p = 0; p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        size_t here = 0;
        for (size_t e = 0; e < part->count; e++) {
            struct inv_record record;
            const struct inv_entry *entry = &part->entries->items[e];
            if (!inv_bitset_has(part->live->set, e))
                continue;
            int id = id_of(entry);
            here++;
            ck_assert_int_eq(
                inv_vlog_check(view->logs, &entry->place, &record, NULL),
                INV_OK);
            ck_assert_uint_eq(record.vseq, entry->vseq);
            float x[SHELF_DIM];
            shelf_vector(shelf->want[id].vector, x);
            ck_assert_msg(memcmp(x, record.codes.data, sizeof x) == 0,
                          "document %d has another vector", id);
            check_row(shelf, db, id, entry, view->version);
            if (live % 7 == 0 || want < 200)
                check_found(view, part, e, shelf->want[id].vector,
                            shelf->want[id].payload);
        }
        ck_assert_uint_eq(here, part->live->count);
        live += here;
    }
    ck_assert_uint_eq(live, want);
    ck_assert_uint_eq(inv_view_live(view), want);
    inv_catalog_return(shelf->catalog, db);
    inv_ref_put(view);
}
