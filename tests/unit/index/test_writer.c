/*
 * test_writer.c: many threads share a commit, one that fails fails alone, and
 * one that spoils the transaction does not take its neighbours with it.
 */
#include "tests/support/shelf.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct shelf shelf;

static void setup(void) { shelf_new(&shelf, 1 << 20, 1000); }
static void teardown(void) { shelf_free(&shelf); }

/* ---- what operations do ---- */

struct script {
    int id;
    enum { PUT, REFUSE, SPOIL } what;
    atomic_int applied, committed;
    bool looked; /* the view already shows it when `committed` is called */
    enum inv_status status;
    struct inv_err err;
};

static enum inv_status apply(void *ctx, struct inv_db *db,
                             struct inv_err *err) {
    struct script *script = ctx;
    float vector[SHELF_DIM];
    char id[16];
    atomic_fetch_add(&script->applied, 1);
    if (script->what == REFUSE)
        return inv_fail(err, INV_PRECONDITION, "not %d", script->id);
    shelf_vector(script->id + 1, vector);
    struct inv_put put = {
        .id = id,
        .id_len = (size_t)snprintf(id, sizeof id, "%d", script->id),
        .space = shelf.space,
        .codes = {.data = vector, .dtype = INV_F32, .rows = 1, .dim = 4},
        .encoding = shelf.encoding,
        .code = vector,
        .schema = shelf.schema};
    enum inv_status status = inv_gallery_put(shelf.gallery, db, &put, err);
    struct inv_collection_row taken = {
        .uuid = "shelf", .name = "shelf", .body = "", .settings = ""};
    int64_t number;
    if (status == INV_OK && script->what == SPOIL)
        status = inv_db_add_collection(db, &taken, &number, err);
    return status;
}

static void committed(void *ctx) {
    struct script *script = ctx;
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    script->looked = shelf_in_view(view, script->id) == script->id + 1;
    inv_ref_put(view);
    atomic_fetch_add(&script->committed, 1);
}

static void *run(void *arg) {
    struct script *script = arg;
    struct inv_operation op = {.gallery = shelf.gallery,
                               .apply = apply,
                               .committed = committed,
                               .ctx = script};
    script->status = inv_writer_run(shelf.writer, &op, &script->err);
    return NULL;
}

#define THREADS 40

/* All at once: the writer is kept busy until every one of them waits. */
static atomic_int release_writer;

static enum inv_status wait_for_all(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    (void)ctx;
    (void)db;
    (void)err;
    while (atomic_load(&release_writer) == 0)
        usleep(1000);
    return INV_OK;
}

static void *hold(void *arg) {
    struct inv_operation op = {.apply = wait_for_all};
    (void)arg;
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_OK);
    return NULL;
}

static void run_together(struct script *scripts, size_t count) {
    pthread_t first;
    pthread_t threads[THREADS];
    atomic_store(&release_writer, 0);
    ck_assert_int_eq(pthread_create(&first, NULL, hold, NULL), 0);
    usleep(20000);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &scripts[i]),
                         0);
    usleep(100000);
    atomic_store(&release_writer, 1);
    pthread_join(first, NULL);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(threads_that_wait_together_share_a_transaction) {
    struct script scripts[THREADS] = {0};
    struct inv_view *before = inv_gallery_view(shelf.gallery);
    for (int i = 0; i < THREADS; i++)
        scripts[i].id = i;
    run_together(scripts, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(scripts[i].status, INV_OK);
        ck_assert_int_eq(scripts[i].applied, 1);
        ck_assert_int_eq(scripts[i].committed, 1);
        ck_assert(scripts[i].looked);
        shelf.want[i].vector = i + 1;
        shelf.want[i].payload = -1;
    }
    inv_ref_put(before);
    shelf_check(&shelf);
}
END_TEST

START_TEST(one_that_refuses_concerns_itself_alone) {
    struct script scripts[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        scripts[i].id = i;
        scripts[i].what = i % 4 == 1 ? REFUSE : PUT;
    }
    run_together(scripts, THREADS);
    for (int i = 0; i < THREADS; i++) {
        bool refused = i % 4 == 1;
        ck_assert_int_eq(scripts[i].status,
                         refused ? INV_PRECONDITION : INV_OK);
        ck_assert_int_eq(scripts[i].applied, 1); /* nothing was done again */
        ck_assert_int_eq(scripts[i].committed, refused ? 0 : 1);
        if (refused) {
            char text[16];
            snprintf(text, sizeof text, "not %d", i);
            ck_assert_str_eq(scripts[i].err.text, text);
            continue;
        }
        shelf.want[i].vector = i + 1;
        shelf.want[i].payload = -1;
    }
    shelf_check(&shelf);
}
END_TEST

START_TEST(one_that_spoils_the_transaction_fails_alone) {
    struct script scripts[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        scripts[i].id = i;
        scripts[i].what = i == 17 ? SPOIL : PUT;
    }
    run_together(scripts, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(scripts[i].committed, i == 17 ? 0 : 1);
        ck_assert((scripts[i].status == INV_OK) == (i != 17));
        if (i == 17)
            continue;
        shelf.want[i].vector = i + 1;
        shelf.want[i].payload = -1;
    }
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

/* ---- alone ---- */

static atomic_int inside, others, joined;
static atomic_bool alone_inside;

static enum inv_status count_inside(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    (void)db;
    (void)err;
    if (ctx != NULL) { /* it alone */
        atomic_store(&others, atomic_load(&inside));
        atomic_store(&alone_inside, true);
    } else if (atomic_load(&alone_inside)) {
        atomic_fetch_add(&joined, 1);
    }
    atomic_fetch_add(&inside, 1);
    return INV_OK;
}

static void all_out(void *ctx) {
    (void)ctx;
    atomic_store(&inside, 0);
    atomic_store(&alone_inside, false);
}

static void *run_alone(void *arg) {
    struct inv_operation op = {.apply = count_inside,
                               .committed = all_out,
                               .ctx = arg,
                               .alone = arg != NULL};
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_OK);
    return NULL;
}

START_TEST(an_operation_that_wants_to_be_alone_is) {
    pthread_t first;
    pthread_t threads[9];
    static int mark;
    atomic_store(&release_writer, 0);
    atomic_store(&inside, 0);
    atomic_store(&others, -1);
    ck_assert_int_eq(pthread_create(&first, NULL, hold, NULL), 0);
    usleep(20000);
    for (size_t i = 0; i < 9; i++) {
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, run_alone, i == 4 ? &mark : NULL),
            0);
        usleep(5000);
    }
    atomic_store(&release_writer, 1);
    pthread_join(first, NULL);
    for (size_t i = 0; i < 9; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(others, 0);
    ck_assert_int_eq(joined, 0);
}
END_TEST

START_TEST(what_is_queued_at_the_stop_is_done) {
    struct script scripts[8] = {0};
    pthread_t threads[8];
    pthread_t first;
    for (int i = 0; i < 8; i++)
        scripts[i].id = i;
    atomic_store(&release_writer, 0);
    ck_assert_int_eq(pthread_create(&first, NULL, hold, NULL), 0);
    usleep(20000);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &scripts[i]),
                         0);
    usleep(50000);
    atomic_store(&release_writer, 1);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(scripts[i].status, INV_OK);
        shelf.want[i].vector = (int)i + 1;
        shelf.want[i].payload = -1;
    }
    pthread_join(first, NULL);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

/* ---- a reader that wants catalog and view of one moment ---- */

static void *write_on(void *arg) {
    atomic_int *stop = arg;
    for (int i = 0; atomic_load(stop) == 0; i++)
        ck_assert_int_eq(shelf_put(&shelf, i % 3, 1 + i % 900, i % 10), INV_OK);
    return NULL;
}

START_TEST(while_held_catalog_and_view_are_of_one_moment) {
    atomic_int stop = 0;
    pthread_t thread;
    ck_assert_int_eq(shelf_put(&shelf, 0, 1, 1), INV_OK);
    ck_assert_int_eq(shelf_put(&shelf, 1, 1, 1), INV_OK);
    ck_assert_int_eq(shelf_put(&shelf, 2, 1, 1), INV_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_on, &stop), 0);
    for (int i = 0; i < 300; i++) {
        struct inv_db *db;
        struct inv_document_row row;
        size_t part;
        size_t entry;
        ck_assert_int_eq(inv_catalog_borrow(shelf.catalog, &db, NULL), INV_OK);
        inv_writer_hold(shelf.writer);
        ck_assert_int_eq(inv_db_snapshot(db, NULL), INV_OK);
        struct inv_view *view = inv_gallery_view(shelf.gallery);
        inv_writer_release(shelf.writer);
        for (int id = 0; id < 3; id++) {
            char text[2] = {(char)('0' + id), '\0'};
            ck_assert_int_eq(
                inv_db_find(db, shelf.collection, text, 1, 0, &row, NULL),
                INV_OK);
            ck_assert_uint_le(row.version, view->version);
            ck_assert(inv_view_find(view, row.vseq, &part, &entry));
            ck_assert(inv_bitset_has(view->parts[part].live->set, entry));
        }
        inv_ref_put(view);
        inv_catalog_return(shelf.catalog, db);
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("writer");
    TCase *tc = tcase_create("writer");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, threads_that_wait_together_share_a_transaction);
    tcase_add_test(tc, one_that_refuses_concerns_itself_alone);
    tcase_add_test(tc, one_that_spoils_the_transaction_fails_alone);
    tcase_add_test(tc, an_operation_that_wants_to_be_alone_is);
    tcase_add_test(tc, what_is_queued_at_the_stop_is_done);
    tcase_add_test(tc, while_held_catalog_and_view_are_of_one_moment);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
