/*
 * test_gallery.c: what is stored, against a plain array: changes, discards,
 * reopening, building, compacting, losing segments; and that views taken
 * before a change go on showing what they showed.
 */
#include "index/gallery_internal.h"
#include "tests/support/shelf.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct shelf shelf;

static void setup(void) { shelf_new(&shelf, 4096, 32); }
static void teardown(void) { shelf_free(&shelf); }

static void fill(int from, int to) {
    for (int id = from; id < to; id++)
        ck_assert_int_eq(shelf_put(&shelf, id, id + 1, id % 10), INV_OK);
}

START_TEST(what_is_put_is_found_and_survives_a_restart) {
    fill(0, 100);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_put(&shelf, 5, 2000, -1), INV_OK);
    ck_assert_int_eq(shelf_put(&shelf, 6, 2001, 77), INV_OK);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(removing_twice_says_that_nothing_was_there) {
    bool found;
    fill(0, 3);
    ck_assert_int_eq(shelf_remove(&shelf, 1, &found), INV_OK);
    ck_assert(found);
    ck_assert_int_eq(shelf_remove(&shelf, 1, &found), INV_OK);
    ck_assert(!found);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_put(&shelf, 1, 9, 9), INV_OK);
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_patch_changes_the_payload_and_not_the_vector) {
    fill(0, 10);
    struct inv_view *before = inv_gallery_view(shelf.gallery);
    ck_assert_int_eq(shelf_patch(&shelf, 4, 1234), INV_OK);
    struct inv_view *after = inv_gallery_view(shelf.gallery);
    ck_assert_uint_gt(after->version, before->version);
    ck_assert_uint_eq(after->parts[0].entries->items[4].vseq,
                      before->parts[0].entries->items[4].vseq);
    ck_assert_int_eq(shelf_patch(&shelf, 999, 1), INV_NOT_FOUND);
    inv_ref_put(before);
    inv_ref_put(after);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(insert_and_update_refuse_the_whole_batch) {
    int both[] = {3, 500};
    struct inv_err err = {0};
    fill(0, 5);
    ck_assert_int_eq(shelf_put_mode(&shelf, INV_PUT_INSERT, both, 2, 9, &err),
                     INV_CONFLICT);
    ck_assert_str_eq(err.pointer, "/documents/0/id");
    ck_assert_int_eq(shelf_put_mode(&shelf, INV_PUT_UPDATE, both, 2, 9, &err),
                     INV_NOT_FOUND);
    ck_assert_str_eq(err.pointer, "/documents/1/id");
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_put_mode(&shelf, INV_PUT_UPSERT, both, 2, 9, &err),
                     INV_OK);
    shelf_check(&shelf);
}
END_TEST

/* ---- discards ---- */

static enum inv_status put_then_fail(void *ctx, struct inv_db *db,
                                     struct inv_err *err) {
    (void)ctx;
    float vector[SHELF_DIM];
    float code[SHELF_DIM];
    for (int i = 0; i < 40; i++) { /* fills the fresh part and begins another */
        char id[16];
        shelf_vector(3000 + i, vector);
        memcpy(code, vector, sizeof code);
        struct inv_put put = {.id = id,
                              .id_len =
                                  (size_t)snprintf(id, sizeof id, "%d", i),
                              .space = shelf.space,
                              .codes = {.data = vector,
                                        .dtype = INV_F32,
                                        .rows = 1,
                                        .dim = SHELF_DIM},
                              .encoding = shelf.encoding,
                              .code = code,
                              .schema = shelf.schema};
        enum inv_status status = inv_gallery_put(shelf.gallery, db, &put, err);
        if (status != INV_OK)
            return status;
    }
    return inv_gallery_poison(shelf.gallery,
                              inv_fail(err, INV_NO_SPACE, "no space"));
}

START_TEST(a_failed_transaction_changes_nothing_and_numbers_go_on) {
    fill(0, 20);
    struct inv_view *before = inv_gallery_view(shelf.gallery);
    struct inv_operation op = {.gallery = shelf.gallery,
                               .apply = put_then_fail};
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_NO_SPACE);
    struct inv_view *after = inv_gallery_view(shelf.gallery);
    ck_assert_ptr_eq(before, after);
    inv_ref_put(before);
    inv_ref_put(after);
    shelf_check(&shelf);
    fill(20, 60); /* over the rows that were given up */
    shelf_check(&shelf);
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_NO_SPACE);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

/* ---- publication ---- */

static bool published_inside;

static enum inv_status put_and_look(void *ctx, struct inv_db *db,
                                    struct inv_err *err) {
    bool found;
    (void)ctx;
    enum inv_status status =
        inv_gallery_remove(shelf.gallery, db, "1", 1, &found, err);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    published_inside = shelf_in_view(view, 1) == 0;
    inv_ref_put(view);
    return status;
}

START_TEST(nothing_is_seen_before_the_commit_and_old_views_stay) {
    fill(0, 3);
    struct inv_view *before = inv_gallery_view(shelf.gallery);
    struct inv_operation op = {.gallery = shelf.gallery, .apply = put_and_look};
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_OK);
    ck_assert(!published_inside);
    struct inv_view *after = inv_gallery_view(shelf.gallery);
    ck_assert_int_eq(shelf_in_view(after, 1), 0);
    ck_assert_int_eq(shelf_in_view(before, 1), 2);
    fill(3, 90);
    ck_assert_int_eq(shelf_in_view(before, 1), 2);
    ck_assert_int_eq(shelf_in_view(before, 50), 0);
    inv_ref_put(before);
    inv_ref_put(after);
}
END_TEST

/* ---- builds ---- */

START_TEST(sealing_keeps_everything_and_moves_it_to_a_segment) {
    struct inv_build build = {0};
    fill(0, 100);
    for (int id = 0; id < 100; id += 3)
        ck_assert_int_eq(shelf_remove(&shelf, id, NULL), INV_OK);
    ck_assert_int_eq(shelf_build(&shelf, false, &build), INV_OK);
    ck_assert_uint_eq(build.entries, 66);
    shelf_check(&shelf);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(shelf_parts(view, true), 1);
    ck_assert_uint_eq(shelf_parts(view, false), 0);
    inv_ref_put(view);
    fill(100, 110);
    ck_assert_int_eq(shelf_put(&shelf, 1, 900, 3), INV_OK);
    ck_assert_int_eq(shelf_patch(&shelf, 2, 55), INV_OK);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(small_segments_merge_and_large_ones_stay) {
    struct inv_build build = {0};
    fill(0, 200);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    fill(200, 210);
    ck_assert_int_eq(shelf_build(&shelf, false, &build), INV_OK);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(shelf_parts(view, true), 2); /* 200 > 2 x 10 */
    inv_ref_put(view);
    fill(210, 215);
    ck_assert_int_eq(shelf_build(&shelf, false, &build), INV_OK);
    ck_assert_uint_eq(build.entries, 15); /* 10 <= 2 x 5 */
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_build(&shelf, true, &build), INV_OK);
    ck_assert_uint_eq(build.entries, 215);
    view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(shelf_parts(view, true), 1);
    inv_ref_put(view);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(more_than_64_parts_become_one) {
    fill(0, 32 * 70);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(shelf_parts(view, true), 1);
    inv_ref_put(view);
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_gallery_whose_documents_all_died_seals_to_nothing) {
    struct inv_build build = {0};
    fill(0, 40);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    for (int id = 0; id < 40; id++)
        ck_assert_int_eq(shelf_remove(&shelf, id, NULL), INV_OK);
    ck_assert_int_eq(shelf_build(&shelf, true, &build), INV_OK);
    ck_assert_uint_eq(build.entries, 0);
    ck_assert_uint_eq(build.parts, 1);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

/* Changes from inside a build, which the build has to carry over: as if
 * requests had come in meanwhile. */
static bool changed_meanwhile;
static struct inv_schema *other_fields;

static bool change_meanwhile(void *ctx, const char *stage, size_t done,
                             size_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    if (changed_meanwhile || strcmp(stage, "postings") != 0)
        return false;
    changed_meanwhile = true;
    for (int id = 0; id < 50; id += 5)
        ck_assert_int_eq(shelf_remove(&shelf, id, NULL), INV_OK);
    for (int id = 1; id < 50; id += 5)
        ck_assert_int_eq(shelf_patch(&shelf, id, 4000 + id), INV_OK);
    for (int id = 2; id < 50; id += 5)
        ck_assert_int_eq(shelf_put(&shelf, id, 900 + id, 8), INV_OK);
    fill(100, 180);
    if (other_fields != NULL)
        ck_assert_int_eq(shelf_fields(&shelf, other_fields), INV_OK);
    return false;
}

START_TEST(deaths_patches_and_news_during_a_build_are_carried_over) {
    for (int everything = 0; everything < 2; everything++) {
        struct inv_build build = {.progress = change_meanwhile};
        fill(0, 90);
        changed_meanwhile = false;
        ck_assert_int_eq(shelf_build(&shelf, everything, &build), INV_OK);
        ck_assert(changed_meanwhile);
        shelf_check(&shelf);
        shelf_reopen(&shelf);
        shelf_check(&shelf);
    }
}
END_TEST

START_TEST(fields_that_change_during_a_build_are_those_of_its_postings) {
    static const struct inv_field fields[] = {{"m", INV_FIELD_INTEGER},
                                              {"n", INV_FIELD_INTEGER}};
    struct inv_build build = {.progress = change_meanwhile};
    fill(0, 90);
    other_fields = inv_schema_new(fields, 2);
    changed_meanwhile = false;
    ck_assert_int_eq(shelf_build(&shelf, true, &build), INV_OK);
    ck_assert(changed_meanwhile);
    shelf_check(&shelf);
    inv_ref_put(other_fields);
    other_fields = NULL;
    fill(180, 200);
    shelf_check(&shelf);
}
END_TEST

/* A write between the freeze and the look at the view: the step in between is
 * the queue of the writer, where this operation waits behind the freeze. */
static void *write_all_the_time(void *arg) {
    int *stop = arg;
    for (int id = 1000; !__atomic_load_n(stop, __ATOMIC_ACQUIRE);
         id = 1000 + (id - 999) % 2000)
        ck_assert_int_eq(shelf_put(&shelf, id, id, id % 10), INV_OK);
    return NULL;
}

START_TEST(writes_around_the_freeze_are_not_lost) {
    int stop = 0;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_all_the_time, &stop),
                     0);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(shelf_build(&shelf, i % 4 == 0, NULL), INV_OK);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    shelf_check(&shelf);
}
END_TEST

static bool cancel_now(void *ctx, const char *stage, size_t done,
                       size_t total) {
    (void)ctx;
    (void)stage;
    (void)done;
    (void)total;
    return true;
}

static size_t names_in(const char *sub) {
    char path[192];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", shelf.dir, sub);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

START_TEST(a_cancelled_build_leaves_nothing_behind) {
    struct inv_build build = {.progress = cancel_now};
    fill(0, 90);
    ck_assert_int_eq(shelf_build(&shelf, true, &build), INV_CANCELLED);
    ck_assert_uint_eq(names_in("segments"), 0);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_OK);
    shelf_check(&shelf);
}
END_TEST

static enum inv_status take_other(void *ctx, struct inv_db *db,
                                  struct inv_err *err) {
    (void)ctx;
    (void)db;
    return inv_gallery_set_encoding(shelf.gallery, shelf.other, err);
}

START_TEST(another_encoding_takes_what_comes_next) {
    fill(0, 100);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    fill(100, 110);
    shelf.other = shelf_encoding(1);
    struct inv_operation op = {.gallery = shelf.gallery, .apply = take_other};
    ck_assert_int_eq(inv_writer_run(shelf.writer, &op, NULL), INV_OK);
    fill(110, 120);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(view->count, 3);
    ck_assert_ptr_eq(view->parts[1].segment->encoding, shelf.encoding);
    ck_assert_ptr_eq(view->parts[2].segment->encoding, shelf.other);
    inv_ref_put(view);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_build(&shelf, _i == 1, NULL), INV_OK);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
    view = inv_gallery_view(shelf.gallery);
    ck_assert_ptr_eq(view->parts[_i == 1 ? 0 : 1].segment->encoding,
                     shelf.other);
    inv_ref_put(view);
}
END_TEST

/* ---- segments that are lost ---- */

static void spoil(const char *sub, const char *name, bool remove) {
    char path[256];
    char byte;
    snprintf(path, sizeof path, "%s/%s/%s", shelf.dir, sub, name);
    if (remove) {
        ck_assert_int_eq(unlink(path), 0);
        return;
    }
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    off_t at = lseek(fd, 0, SEEK_END) / 2;
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 4);
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

START_TEST(a_lost_segment_comes_back_fresh_and_is_built_again) {
    static const char *const files[] = {"manifest", "ann", "entries"};
    char why[320];
    fill(0, 60);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    shelf_close(&shelf);
    spoil("segments/00000001", files[_i % 3], _i >= 3);
    shelf_open(&shelf);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_msg(strstr(why, "00000001") != NULL, "%s", why);
    shelf_check(&shelf);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    ck_assert_uint_eq(shelf_parts(view, true), 0);
    inv_ref_put(view);
    ck_assert(inv_gallery_wants_build(shelf.gallery, 1000000, INT64_MAX));
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_str_eq(why, "");
    ck_assert_uint_eq(names_in("segments"), 1);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_str_eq(why, "");
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_lost_segment_of_dead_documents_is_forgotten) {
    char why[320];
    fill(0, 40);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    for (int id = 0; id < 40; id++)
        ck_assert_int_eq(shelf_remove(&shelf, id, NULL), INV_OK);
    shelf_close(&shelf);
    spoil("segments/00000001", "ann", true);
    shelf_open(&shelf);
    ck_assert(inv_gallery_wants_build(shelf.gallery, 1, 0));
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    ck_assert(!inv_gallery_wants_build(shelf.gallery, 1, 0));
    shelf_reopen(&shelf);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_str_eq(why, "");
    shelf_check(&shelf);
}
END_TEST

/* ---- logs that are damaged ---- */

START_TEST(a_lost_log_takes_its_documents_and_nothing_else) {
    char why[320];
    fill(0, 120); /* several logs of 4096 bytes */
    if (_i == 1)
        ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    size_t logs = names_in("vectors");
    ck_assert_uint_gt(logs, 2);
    shelf_close(&shelf);
    spoil("vectors", "00000002.vlog", true);
    shelf_open(&shelf);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_msg(strstr(why, "vector log 2 is missing") != NULL, "%s", why);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    size_t left = inv_view_live(view);
    ck_assert(left > 60 && left < 120);
    for (int id = 0; id < 120; id++)
        if (shelf_in_view(view, id) == 0)
            shelf.want[id].vector = 0;
    inv_ref_put(view);
    shelf_check(&shelf);
    fill(200, 300); /* the number 2 is not given to another file */
    ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_OK);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_damaged_record_is_left_out_and_stops_no_build) {
    char why[320];
    char path[192];
    fill(0, 30);
    struct inv_view *view = inv_gallery_view(shelf.gallery);
    struct inv_place place = view->parts[0].entries->items[7].place;
    inv_ref_put(view);
    snprintf(path, sizeof path, "%s/vectors/00000001.vlog", shelf.dir);
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "X", 1, (off_t)place.offset + 70), 1);
    close(fd);
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    inv_gallery_degraded(shelf.gallery, why, sizeof why);
    ck_assert_msg(strstr(why, "checksum") != NULL, "%s", why);
    shelf.want[7].vector = 0;
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_put(&shelf, 7, 700, 7), INV_OK);
    shelf_check(&shelf);
}
END_TEST

/* ---- compaction ---- */

START_TEST(compaction_frees_dead_logs_and_old_views_keep_reading) {
    fill(0, 200);
    for (int id = 0; id < 150; id++)
        ck_assert_int_eq(shelf_put(&shelf, id, id + 300, id % 10), INV_OK);
    struct inv_view *old = inv_gallery_view(shelf.gallery);
    ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_OK);
    size_t before = names_in("vectors");
    struct inv_compaction done = {.dead_share = 0.3};
    ck_assert_int_eq(shelf_compact(&shelf, &done), INV_OK);
    ck_assert_uint_gt(done.files, 3);
    shelf_check(&shelf);
    ck_assert_int_eq(shelf_in_view(old, 199), 200);
    ck_assert_int_eq(shelf_in_view(old, 0), 300);
    ck_assert_uint_ge(names_in("vectors"), before); /* old still needs them */
    inv_ref_put(old);
    ck_assert_uint_lt(names_in("vectors"), before);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
    fill(400, 500);
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_log_with_fresh_entries_is_not_compacted) {
    fill(0, 120);
    for (int id = 0; id < 119; id++)
        ck_assert_int_eq(shelf_remove(&shelf, id, NULL), INV_OK);
    struct inv_compaction done = {.dead_share = 0.1};
    ck_assert_int_eq(shelf_compact(&shelf, &done), INV_OK);
    shelf_check(&shelf);
    shelf_reopen(&shelf);
    shelf_check(&shelf);
}
END_TEST

START_TEST(a_collection_that_is_deleted_takes_no_commit) {
    struct inv_db *db = inv_catalog_writer(shelf.catalog);
    fill(0, 40);
    ck_assert_int_eq(inv_db_begin(db, NULL), INV_OK);
    ck_assert_int_eq(inv_db_delete_collection(db, shelf.collection, NULL),
                     INV_OK);
    ck_assert_int_eq(inv_db_commit(db, NULL), INV_OK);
    ck_assert_int_eq(shelf_put(&shelf, 50, 51, 1), INV_NOT_FOUND);
    ck_assert_int_eq(shelf_build(&shelf, true, NULL), INV_NOT_FOUND);
    ck_assert_uint_eq(names_in("segments"), 0);
    shelf.collection = 0; /* made again by the next open, with a number of its
                             own */
    int64_t old = 1;
    memset(shelf.want, 0, sizeof shelf.want);
    shelf_reopen(&shelf);
    ck_assert_int_gt(shelf.collection, old);
    shelf_check(&shelf);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gallery");
    TCase *tc = tcase_create("gallery");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, what_is_put_is_found_and_survives_a_restart);
    tcase_add_test(tc, removing_twice_says_that_nothing_was_there);
    tcase_add_test(tc, a_patch_changes_the_payload_and_not_the_vector);
    tcase_add_test(tc, insert_and_update_refuse_the_whole_batch);
    tcase_add_test(tc, a_failed_transaction_changes_nothing_and_numbers_go_on);
    tcase_add_test(tc, nothing_is_seen_before_the_commit_and_old_views_stay);
    tcase_add_test(tc, sealing_keeps_everything_and_moves_it_to_a_segment);
    tcase_add_test(tc, small_segments_merge_and_large_ones_stay);
    tcase_add_test(tc, more_than_64_parts_become_one);
    tcase_add_test(tc, a_gallery_whose_documents_all_died_seals_to_nothing);
    tcase_add_test(tc, deaths_patches_and_news_during_a_build_are_carried_over);
    tcase_add_test(tc,
                   fields_that_change_during_a_build_are_those_of_its_postings);
    tcase_add_test(tc, writes_around_the_freeze_are_not_lost);
    tcase_add_test(tc, a_cancelled_build_leaves_nothing_behind);
    tcase_add_loop_test(tc, another_encoding_takes_what_comes_next, 0, 2);
    tcase_add_loop_test(tc, a_lost_segment_comes_back_fresh_and_is_built_again,
                        0, 6);
    tcase_add_test(tc, a_lost_segment_of_dead_documents_is_forgotten);
    tcase_add_loop_test(tc, a_lost_log_takes_its_documents_and_nothing_else, 0,
                        2);
    tcase_add_test(tc, a_damaged_record_is_left_out_and_stops_no_build);
    tcase_add_test(tc, compaction_frees_dead_logs_and_old_views_keep_reading);
    tcase_add_test(tc, a_log_with_fresh_entries_is_not_compacted);
    tcase_add_test(tc, a_collection_that_is_deleted_takes_no_commit);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
