/*
 * Several models in one gallery: each document is found once, in the first
 * space that has it, whatever was posted, replaced, removed, sealed, dropped or
 * turned round, and after a restart. A plain array says what must be there.
 */
#include "tests/support/shelf.h"

#include "base/rng.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS 60
#define SPACES 2

static struct shelf shelf;
static int64_t spaces[SPACES];
/* vector number of a document in a space (0: none), and its payload */
static struct {
    int vector[SPACES];
    int payload;
    bool own[SPACES]; /* came with the document */
} want[IDS];

static enum inv_status add_space(void *ctx, struct inv_db *db,
                                 struct inv_err *err) {
    struct inv_space_row row = {
        .hash = 2, .model = "m", .revision = "2", .dim = SHELF_DIM};
    (void)ctx;
    enum inv_status status = inv_db_add_space(db, shelf.collection, &row, err);
    shelf.other->space = row.space;
    struct inv_state_row state = {.space = row.space,
                                  .state = 1,
                                  .hash = shelf.other->hash,
                                  .settings = "{}"};
    if (status == INV_OK)
        status = inv_db_add_state(db, shelf.collection, &state, err);
    if (status == INV_OK)
        status = inv_gallery_set_encoding(shelf.gallery, shelf.other, err);
    return status;
}

static enum inv_status write(enum inv_status (*apply)(void *, struct inv_db *,
                                                      struct inv_err *),
                             void *ctx, struct inv_err *err) {
    struct inv_operation op = {
        .gallery = shelf.gallery, .apply = apply, .ctx = ctx};
    return inv_writer_run(shelf.writer, &op, err);
}

static void setup(void) {
    shelf_new(&shelf, 0, 16);
    memset(want, 0, sizeof want);
    shelf.other = shelf_encoding(1);
    ck_assert_int_eq(write(add_space, NULL, NULL), INV_OK);
    spaces[0] = shelf.space;
    spaces[1] = shelf.other->space;
}

static void teardown(void) { shelf_free(&shelf); }

/* ---- changes ---- */

struct change {
    struct inv_beside beside;
    char id[16];
    float vector[SHELF_DIM], code[SHELF_DIM];
    char payload[16];
    bool alone; /* as a document of its own */
    int64_t space;
};

static enum inv_status apply_put(void *ctx, struct inv_db *db,
                                 struct inv_err *err) {
    struct change *change = ctx;
    return change->alone
               ? inv_gallery_put(shelf.gallery, db, &change->beside.put, err)
               : inv_gallery_put_beside(shelf.gallery, db, &change->beside,
                                        err);
}

static struct change change_of(int id, int s, int vector, int payload) {
    struct change c = {.space = spaces[s]};
    snprintf(c.id, sizeof c.id, "%d", id);
    snprintf(c.payload, sizeof c.payload, "%d", payload);
    shelf_vector(vector, c.vector);
    memcpy(c.code, c.vector, sizeof c.code);
    return c;
}

/* The pointers are those of where it lies now. */
static enum inv_status run_change(struct change *c, struct inv_err *err) {
    c->beside.put.id = c->id;
    c->beside.put.id_len = strlen(c->id);
    c->beside.put.space = c->space;
    c->beside.put.codes = (struct inv_codes){
        .data = c->vector, .dtype = INV_F32, .rows = 1, .dim = SHELF_DIM};
    c->beside.put.code = c->code;
    if (c->alone) {
        c->beside.put.payload = c->payload;
        c->beside.put.payload_len = strlen(c->payload);
    }
    return write(apply_put, c, err);
}

static void put(int id, int s, int vector, int payload) {
    struct change c = change_of(id, s, vector, payload);
    c.alone = true;
    ck_assert_int_eq(run_change(&c, NULL), INV_OK);
    memset(&want[id], 0, sizeof want[id]);
    want[id].vector[s] = vector;
    want[id].payload = payload;
    want[id].own[s] = true;
}

static int beside(int id, int s, int vector, uint64_t seq) {
    struct change c = change_of(id, s, vector, 0);
    c.beside.seq = seq;
    ck_assert_int_eq(run_change(&c, NULL), INV_OK);
    if (c.beside.result == INV_BESIDE_STORED)
        want[id].vector[s] = vector;
    return (int)c.beside.result;
}

static enum inv_status apply_drop(void *ctx, struct inv_db *db,
                                  struct inv_err *err) {
    return inv_gallery_drop_space(shelf.gallery, db, *(int64_t *)ctx, err);
}

static enum inv_status apply_turn(void *ctx, struct inv_db *db,
                                  struct inv_err *err) {
    (void)db;
    return inv_gallery_set_space(shelf.gallery, *(int64_t *)ctx, err);
}

static void turn(int s) {
    ck_assert_int_eq(write(apply_turn, &spaces[s], NULL), INV_OK);
    shelf.space = spaces[s]; /* as a restart is told */
}

static void build(int s, bool everything) {
    struct inv_build b = {.space = spaces[s],
                          .everything = everything,
                          .config = {.type = INV_ANN_FLAT, .threads = 1}};
    ck_assert_int_eq(inv_gallery_build(shelf.gallery, shelf.writer, &b, NULL),
                     INV_OK);
}

/* ---- what must be there ---- */

static int number_of(const struct inv_view *view, size_t part, size_t entry) {
    struct inv_codes codes;
    const struct inv_entry *e = &view->parts[part].entries->items[entry];
    ck_assert_int_eq(inv_vlog_get(view->logs, &e->place, &codes, NULL), INV_OK);
    const float *x = codes.data;
    return (int)x[1] * 100 + (int)x[0];
}

static int id_of(const struct inv_entry *entry) {
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)entry->id_len, entry->id);
    return (int)strtol(text, NULL, 10);
}

static void check_home(const struct inv_view *view, int first) {
    int seen[IDS] = {0};
    uint64_t home[8];
    for (size_t p = 0; p < view->count; p++) {
        const struct inv_part *part = &view->parts[p];
        size_t scanned = 0;
        int s = inv_part_space(part) == spaces[0] ? 0 : 1;
        ck_assert_uint_le(inv_bitset_words(part->count), 8);
        inv_part_select(part, NULL, home, &scanned);
        ck_assert_uint_eq(inv_bitset_count(home, part->count),
                          inv_part_home(part));
        for (size_t e = inv_bitset_next(home, part->count, 0); e < part->count;
             e = inv_bitset_next(home, part->count, e + 1)) {
            int id = id_of(&part->entries->items[e]);
            seen[id]++;
            ck_assert_int_eq(number_of(view, p, e), want[id].vector[s]);
            ck_assert(s == first || want[id].vector[first] == 0);
        }
    }
    for (int id = 0; id < IDS; id++)
        ck_assert_int_eq(seen[id],
                         want[id].vector[0] != 0 || want[id].vector[1] != 0);
}

static void check_documents(const struct inv_view *view, int first) {
    struct inv_db *db;
    size_t both = 0, gallery = 0, alone = 0;
    ck_assert_int_eq(inv_catalog_borrow(shelf.catalog, &db, NULL), INV_OK);
    for (int id = 0; id < IDS; id++) {
        struct inv_document_row row;
        char text[16];
        int len = snprintf(text, sizeof text, "%d", id);
        ck_assert_int_eq(
            inv_db_find(db, shelf.collection, text, (size_t)len, 0, &row, NULL),
            INV_OK);
        bool there = want[id].vector[0] != 0 || want[id].vector[1] != 0;
        ck_assert_int_eq(row.doc != 0, there);
        if (!there)
            continue;
        ck_assert_int_eq(strtol(row.payload, NULL, 10), want[id].payload);
        for (int s = 0; s < SPACES; s++) {
            size_t part, entry;
            bool found =
                inv_view_find_doc(view, spaces[s], row.doc, &part, &entry);
            ck_assert_int_eq(found, want[id].vector[s] != 0);
            if (found)
                ck_assert_int_eq(number_of(view, part, entry),
                                 want[id].vector[s]);
        }
        gallery += want[id].vector[first] != 0;
        both += want[id].vector[0] != 0 && want[id].vector[1] != 0;
        alone += want[id].vector[first] == 0;
    }
    inv_catalog_return(shelf.catalog, db);
    struct inv_coverage c = inv_view_coverage(view, spaces[1 - first]);
    ck_assert_uint_eq(c.gallery, gallery);
    ck_assert_uint_eq(c.both, both);
    ck_assert_uint_eq(c.alone, alone);
    ck_assert_uint_eq(inv_view_live(view), gallery + alone);
    ck_assert_uint_eq(inv_view_vectors(view, spaces[1 - first]), both + alone);
}

/* The payload of every document is found by a filter, whatever its space. */
static void check_filter(const struct inv_view *view) {
    size_t matches = 0, wanted = 0;
    struct inv_value value = {.kind = INV_VALUE_INT, .as.integer = 3};
    struct inv_condition condition = {
        .kind = INV_COND_MATCH, .field = 0, .values = &value, .value_count = 1};
    struct inv_filter filter = {.must = &condition, .must_count = 1};
    for (int id = 0; id < IDS; id++)
        wanted += (want[id].vector[0] != 0 || want[id].vector[1] != 0) &&
                  want[id].payload == 3;
    for (size_t p = 0; p < view->count; p++) {
        uint64_t set[8];
        size_t scanned = 0;
        inv_part_select(&view->parts[p], &filter, set, &scanned);
        matches += inv_bitset_count(set, view->parts[p].count);
    }
    ck_assert_uint_eq(matches, wanted);
}

static void check_all(int first) {
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_int_eq(inv_view_gallery(view), spaces[first]);
    check_home(view, first);
    check_documents(view, first);
    check_filter(view);
    inv_ref_put(view);
}

/* ---- tests ---- */

START_TEST(a_document_in_two_spaces_is_found_once) {
    put(1, 0, 101, 3);
    ck_assert_int_eq(beside(1, 1, 201, 0), INV_BESIDE_STORED);
    put(2, 1, 202, 4); /* in the new model only */
    check_all(0);
    turn(1);
    check_all(1);
    shelf_reopen(&shelf);
    check_all(1);
}
END_TEST

START_TEST(a_replaced_document_loses_its_other_vectors) {
    put(1, 0, 101, 3);
    ck_assert_int_eq(beside(1, 1, 201, 0), INV_BESIDE_STORED);
    put(1, 0, 102, 3);
    check_all(0);
    put(1, 1, 203, 5);
    check_all(0);
    ck_assert_int_eq(beside(1, 0, 104, 0), INV_BESIDE_STORED);
    check_all(0);
}
END_TEST

START_TEST(a_vector_of_what_was_replaced_is_stale) {
    put(1, 0, 101, 3); /* vseq 1 */
    put(1, 0, 102, 3); /* vseq 2 */
    ck_assert_int_eq(beside(1, 1, 201, 1), INV_BESIDE_STALE);
    check_all(0);
    ck_assert_int_eq(beside(1, 1, 201, 2), INV_BESIDE_STORED);
    ck_assert_int_eq(beside(1, 1, 201, 2), INV_BESIDE_UNCHANGED);
    ck_assert_int_eq(beside(1, 1, 205, 2), INV_BESIDE_STORED);
    ck_assert_int_eq(beside(7, 1, 205, 0), INV_BESIDE_MISSING);
    ck_assert_int_eq(beside(1, 0, 105, 0), INV_BESIDE_OWN);
    check_all(0);
    shelf_reopen(&shelf);
    check_all(0);
}
END_TEST

START_TEST(vectors_go_only_when_every_document_has_another) {
    struct inv_err err = {0};
    put(1, 0, 101, 3);
    put(2, 0, 102, 4);
    ck_assert_int_eq(beside(1, 1, 201, 0), INV_BESIDE_STORED);
    ck_assert_int_eq(write(apply_drop, &spaces[0], &err), INV_CONFLICT);
    turn(1);
    ck_assert_int_eq(write(apply_drop, &spaces[0], &err), INV_CONFLICT);
    ck_assert_msg(strstr(err.text, "1 documents") != NULL, "%s", err.text);
    check_all(1);
    ck_assert_int_eq(beside(2, 1, 202, 0), INV_BESIDE_STORED);
    build(0, true);
    ck_assert_int_eq(write(apply_drop, &spaces[0], &err), INV_OK);
    want[1].vector[0] = want[2].vector[0] = 0;
    check_all(1);
    shelf_reopen(&shelf);
    check_all(1);
}
END_TEST

static enum inv_status apply_remove(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    bool found;
    const char *id = ctx;
    return inv_gallery_remove(shelf.gallery, db, id, strlen(id), &found, err);
}

static void remove_document(int id) {
    char text[16];
    snprintf(text, sizeof text, "%d", id);
    ck_assert_int_eq(write(apply_remove, text, NULL), INV_OK);
    memset(&want[id], 0, sizeof want[id]);
}

static bool there(int id) {
    return want[id].vector[0] != 0 || want[id].vector[1] != 0;
}

static uint32_t draw(struct inv_stream *stream, uint32_t below) {
    return (uint32_t)(inv_stream_uniform(stream) * below);
}

START_TEST(any_order_of_changes_leaves_what_was_wanted) {
    struct inv_stream stream;
    int number = 1000, first = 0;
    inv_stream_init(&stream, 7, "test.spaces", (uint64_t)_i);
    for (int step = 0; step < 400; step++) {
        int id = (int)draw(&stream, IDS);
        int s = (int)draw(&stream, SPACES);
        int what = (int)draw(&stream, 100);
        if (what < 40)
            put(id, s, ++number, (int)draw(&stream, 5));
        else if (what < 75)
            beside(id, s, ++number, 0);
        else if (what < 85 && there(id))
            remove_document(id);
        else if (what < 92)
            build(s, what < 88);
        else if (what < 95 && there(id)) {
            ck_assert_int_eq(shelf_patch(&shelf, id, 3), INV_OK);
            want[id].payload = 3;
        } else if (what < 97)
            turn(first = s);
        else if (what < 99)
            shelf_reopen(&shelf);
        if (step % 20 == 19)
            check_all(first);
    }
    shelf_reopen(&shelf);
    check_all(first);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gallery of several spaces");
    TCase *tc = tcase_create("spaces");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_document_in_two_spaces_is_found_once);
    tcase_add_test(tc, a_replaced_document_loses_its_other_vectors);
    tcase_add_test(tc, a_vector_of_what_was_replaced_is_stale);
    tcase_add_test(tc, vectors_go_only_when_every_document_has_another);
    tcase_add_loop_test(tc, any_order_of_changes_leaves_what_was_wanted, 0, 6);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
