/*
 * test_catalog.c: rows come back as they were given, deletes leave nothing,
 * readers see committed moments, and the log of SQLite stays short.
 */
#include "base/file.h"
#include "index/catalog.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], path[96];
static struct inv_catalog *catalog;
static struct inv_db *db; /* that writes */

static void open_catalog(void) {
    struct inv_err err = {0};
    ck_assert_msg(inv_catalog_open(path, false, &catalog, &err) == INV_OK, "%s",
                  err.text);
    db = inv_catalog_writer(catalog);
}

static void setup(void) {
    snprintf(root, sizeof root, "/tmp/invar-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(path, sizeof path, "%s/catalog.db", root);
    open_catalog();
}

static void teardown(void) {
    inv_catalog_close(catalog);
    ck_assert_int_eq(inv_file_remove_tree(root, NULL), INV_OK);
}

#define OK(call)                                                               \
    do {                                                                       \
        struct inv_err err_ = {0};                                             \
        struct inv_err *err = &err_;                                           \
        enum inv_status status_ = (call);                                      \
        ck_assert_msg(status_ == INV_OK, "%s: %s", #call, err->text);          \
    } while (0)

static int64_t add_collection(const char *name) {
    struct inv_collection_row row = {.uuid = name,
                                     .name = name,
                                     .body = "{\"a\":1}",
                                     .settings = "{}",
                                     .created_ms = 77};
    int64_t id = 0;
    OK(inv_db_begin(db, err));
    OK(inv_db_add_collection(db, &row, &id, err));
    OK(inv_db_commit(db, err));
    return id;
}

static int64_t put(int64_t collection, const char *id, uint64_t vseq,
                   const char *payload) {
    struct inv_place place = {3, 1, 64 * vseq, 96};
    struct inv_document_row old;
    OK(inv_db_begin(db, err));
    OK(inv_db_find(db, collection, id, strlen(id), 0, &old, err));
    int64_t doc = old.doc;
    OK(inv_db_put_document(db, collection, id, strlen(id), vseq, payload,
                           payload == NULL ? 0 : strlen(payload), &doc, err));
    OK(inv_db_put_vector(
        db, doc,
        &(struct inv_vector_row){.space = 1, .vseq = vseq, .place = place},
        err));
    OK(inv_db_commit(db, err));
    return doc;
}

START_TEST(documents_come_back_as_they_were_given) {
    int64_t c = add_collection("c");
    struct inv_document_row row;
    int64_t doc = put(c, "an id", 5, "{\"x\":1}");
    OK(inv_db_find(db, c, "an id", 5, 0, &row, err));
    ck_assert_int_eq(row.doc, doc);
    ck_assert_uint_eq(row.id_len, 5);
    ck_assert_uint_eq(row.vseq, 5);
    ck_assert_uint_eq(row.version, 5);
    ck_assert_str_eq(row.payload, "{\"x\":1}");
    ck_assert_uint_eq(row.place.file, 3);
    ck_assert_uint_eq(row.place.offset, 320);
    ck_assert_uint_eq(row.place.length, 96);
    ck_assert_uint_eq(row.place.rows, 1);
    ck_assert_int_eq(put(c, "an id", 6, NULL), doc);
    OK(inv_db_find_doc(db, doc, 0, &row, err));
    ck_assert_ptr_null(row.payload);
    ck_assert_uint_eq(row.vseq, 6);
    OK(inv_db_find(db, c, "an i", 4, 0, &row, err));
    ck_assert_int_eq(row.doc, 0);
    OK(inv_db_find(db, c + 1, "an id", 5, 0, &row, err));
    ck_assert_int_eq(row.doc, 0);
}
END_TEST

START_TEST(ids_are_bytes_with_a_length) {
    int64_t c = add_collection("c");
    struct inv_document_row row;
    static const char odd[] = "a\0b";
    int64_t doc = 0;
    struct inv_place place = {1, 1, 64, 96};
    OK(inv_db_begin(db, err));
    OK(inv_db_put_document(db, c, odd, 3, 1, NULL, 0, &doc, err));
    OK(inv_db_put_vector(
        db, doc,
        &(struct inv_vector_row){.space = 1, .vseq = 1, .place = place}, err));
    OK(inv_db_commit(db, err));
    OK(inv_db_find(db, c, odd, 3, 0, &row, err));
    ck_assert_int_eq(row.doc, doc);
    ck_assert_uint_eq(row.id_len, 3);
    ck_assert_mem_eq(row.id, odd, 3);
    OK(inv_db_find(db, c, "a", 1, 0, &row, err));
    ck_assert_int_eq(row.doc, 0);
}
END_TEST

START_TEST(moving_a_vector_that_changed_moves_nothing) {
    int64_t c = add_collection("c");
    int64_t doc = put(c, "d", 5, NULL);
    struct inv_place place = {9, 1, 640, 96};
    struct inv_document_row row;
    bool moved = true;
    OK(inv_db_move_vector(db, doc, 1, 4, &place, &moved, err));
    ck_assert(!moved);
    OK(inv_db_move_vector(db, doc, 1, 5, &place, &moved, err));
    ck_assert(moved);
    OK(inv_db_find_doc(db, doc, 0, &row, err));
    ck_assert_uint_eq(row.place.file, 9);
    ck_assert_uint_eq(row.place.offset, 640);
}
END_TEST

static enum inv_status count_document(void *ctx,
                                      const struct inv_document_row *row,
                                      struct inv_err *err) {
    size_t *seen = ctx;
    if (row->doc == 0)
        return inv_fail(err, INV_INTERNAL, "no number");
    ++*seen;
    return *seen == 1000 ? inv_fail(err, INV_CANCELLED, "enough") : INV_OK;
}

static enum inv_status report(void *ctx, const char *what, uint64_t count,
                              struct inv_err *err) {
    struct inv_err *out = ctx;
    (void)err;
    (void)inv_fail(out, INV_CORRUPT, "%llu %s", (unsigned long long)count,
                   what);
    return INV_OK;
}

static void rows_are_right(void) {
    struct inv_err found = {0};
    OK(inv_db_check_rows(db, report, &found, err));
    ck_assert_str_eq(found.text, "");
}

START_TEST(a_deleted_collection_leaves_no_row_and_no_number) {
    int64_t a = add_collection("a");
    int64_t b = add_collection("b");
    size_t seen = 0;
    struct inv_space_row space = {
        .hash = 1, .model = "m", .revision = "1", .dim = 4};
    OK(inv_db_add_space(db, b, &space, err));
    struct inv_state_row state = {
        .space = space.space, .state = 0, .hash = 1, .settings = "{}"};
    OK(inv_db_add_state(db, b, &state, err));
    OK(inv_db_add_segment(db, b, 1, err));
    OK(inv_db_set_alias(db, "other", b, err));
    (void)put(b, "d", 1, "{}");
    OK(inv_db_delete_collection(db, b, err));
    OK(inv_db_documents(db, b, true, count_document, &seen, err));
    ck_assert_uint_eq(seen, 0);
    ck_assert_int_eq(inv_db_set_counters(db, b, 2, 2, 2, NULL), INV_NOT_FOUND);
    OK(inv_db_delete_collection(db, a, err));
    rows_are_right();
    ck_assert_int_gt(add_collection("again"), b);
}
END_TEST

START_TEST(a_rollback_takes_everything_back) {
    int64_t c = add_collection("c");
    struct inv_document_row row;
    int64_t doc = 0;
    OK(inv_db_begin(db, err));
    OK(inv_db_put_document(db, c, "d", 1, 1, NULL, 0, &doc, err));
    inv_db_rollback(db);
    OK(inv_db_find(db, c, "d", 1, 0, &row, err));
    ck_assert_int_eq(row.doc, 0);
    ck_assert(!inv_db_failed(db));
}
END_TEST

START_TEST(a_failed_statement_is_remembered_until_the_next_begin) {
    (void)add_collection("c");
    struct inv_collection_row row = {
        .uuid = "u", .name = "c", .body = "", .settings = ""};
    int64_t id;
    OK(inv_db_begin(db, err));
    ck_assert_int_ne(inv_db_add_collection(db, &row, &id, NULL), INV_OK);
    ck_assert(inv_db_failed(db));
    inv_db_rollback(db);
    OK(inv_db_begin(db, err));
    ck_assert(!inv_db_failed(db));
    inv_db_rollback(db);
}
END_TEST

START_TEST(a_snapshot_stays_and_the_next_one_is_new) {
    int64_t c = add_collection("c");
    struct inv_db *reader;
    struct inv_document_row row;
    (void)put(c, "d", 1, NULL);
    OK(inv_catalog_borrow(catalog, &reader, err));
    OK(inv_db_snapshot(reader, err));
    (void)put(c, "d", 2, NULL);
    OK(inv_db_find(reader, c, "d", 1, 0, &row, err));
    ck_assert_uint_eq(row.vseq, 1);
    inv_catalog_return(catalog, reader);
    OK(inv_catalog_borrow(catalog, &reader, err));
    /* a found row left open must not be what the next snapshot shows */
    OK(inv_db_find(reader, c, "d", 1, 0, &row, err));
    ck_assert_uint_eq(row.vseq, 2);
    (void)put(c, "d", 3, NULL);
    OK(inv_db_snapshot(reader, err));
    OK(inv_db_find(reader, c, "d", 1, 0, &row, err));
    ck_assert_uint_eq(row.vseq, 3);
    inv_catalog_return(catalog, reader);
}
END_TEST

/* Each update leaves a SELECT that has found its row: it must not keep SQLite
 * from beginning its log anew. */
START_TEST(the_log_of_sqlite_stays_short_under_updates) {
    int64_t c = add_collection("c");
    char wal[112];
    static char payload[60000];
    struct stat st;
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    snprintf(wal, sizeof wal, "%s-wal", path);
    for (uint64_t i = 1; i < 600; i++)
        (void)put(c, i % 2 == 0 ? "a" : "b", i, payload);
    ck_assert_int_eq(stat(wal, &st), 0);
    ck_assert_int_lt(st.st_size, 16 << 20); /* 36 MB are written */
}
END_TEST

START_TEST(reading_all_documents_goes_in_order_and_can_stop) {
    int64_t c = add_collection("c");
    size_t seen = 0;
    char id[16];
    for (uint64_t i = 1; i <= 30; i++) {
        snprintf(id, sizeof id, "%u", (unsigned)i);
        (void)put(c, id, i, "{}");
    }
    OK(inv_db_documents(db, c, true, count_document, &seen, err));
    ck_assert_uint_eq(seen, 30);
    seen = 980;
    ck_assert_int_eq(inv_db_documents(db, c, true, count_document, &seen, NULL),
                     INV_CANCELLED);
    ck_assert_uint_eq(seen, 1000);
}
END_TEST

START_TEST(a_catalog_of_a_newer_release_is_refused) {
    inv_catalog_close(catalog);
    catalog = NULL;
    struct inv_err err = {0};
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    unsigned char version[4] = {0, 0, 3, 231}; /* user_version, big-endian */
    ck_assert_int_eq(pwrite(fd, version, 4, 60), 4);
    close(fd);
    ck_assert_int_eq(inv_catalog_open(path, false, &catalog, &err),
                     INV_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "999") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_refused) {
    inv_catalog_close(catalog);
    catalog = NULL;
    struct inv_err err = {0};
    ck_assert_int_eq(
        inv_file_write_atomic(path, "nonsense, and more of it", 24, &err),
        INV_OK);
    ck_assert_int_eq(inv_catalog_open(path, false, &catalog, &err),
                     INV_CORRUPT);
}
END_TEST

START_TEST(jobs_keep_what_they_are) {
    struct inv_job_row job = {.collection = 4,
                              .collection_name = "c",
                              .kind = "rebuild",
                              .state = "queued",
                              .stage = "",
                              .request = "{}",
                              .created_ms = 5};
    OK(inv_db_put_job(db, &job, err));
    int64_t id = job.id;
    ck_assert_int_gt(id, 0);
    job.state = "failed";
    job.error = "why";
    job.finished_ms = 6;
    OK(inv_db_put_job(db, &job, err));
    ck_assert_int_eq(job.id, id);
    rows_are_right();
    job.finished_ms = 0;
    OK(inv_db_put_job(db, &job, err));
    struct inv_err found = {0};
    OK(inv_db_check_rows(db, report, &found, err));
    ck_assert_msg(strstr(found.text, "jobs") != NULL, "%s", found.text);
}
END_TEST

START_TEST(contradictions_between_rows_are_told) {
    int64_t c = add_collection("c");
    struct inv_err found = {0};
    (void)put(c, "d", 700, "{}"); /* next_vseq is 1; there is no space */
    OK(inv_db_set_alias(db, "x", 99, err));
    OK(inv_db_check_rows(db, report, &found, err));
    ck_assert_int_eq(found.status, INV_CORRUPT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("catalog");
    TCase *tc = tcase_create("catalog");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, documents_come_back_as_they_were_given);
    tcase_add_test(tc, ids_are_bytes_with_a_length);
    tcase_add_test(tc, moving_a_vector_that_changed_moves_nothing);
    tcase_add_test(tc, a_deleted_collection_leaves_no_row_and_no_number);
    tcase_add_test(tc, a_rollback_takes_everything_back);
    tcase_add_test(tc, a_failed_statement_is_remembered_until_the_next_begin);
    tcase_add_test(tc, a_snapshot_stays_and_the_next_one_is_new);
    tcase_add_test(tc, the_log_of_sqlite_stays_short_under_updates);
    tcase_add_test(tc, reading_all_documents_goes_in_order_and_can_stop);
    tcase_add_test(tc, a_catalog_of_a_newer_release_is_refused);
    tcase_add_test(tc, a_file_that_is_no_database_is_refused);
    tcase_add_test(tc, jobs_keep_what_they_are);
    tcase_add_test(tc, contradictions_between_rows_are_told);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
