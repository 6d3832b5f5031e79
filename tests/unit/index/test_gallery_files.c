/*
 * test_gallery_files.c: what a gallery does when files of it are lost, damaged
 * or not needed any more: segments that are built again, records that are left
 * out, logs that are compacted, a collection that is deleted.
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
static int64_t space; /* that wants a build */

static void setup(void) { shelf_new(&shelf, 4096, 32); }
static void teardown(void) { shelf_free(&shelf); }

static void fill(int from, int to) {
    for (int id = from; id < to; id++)
        ck_assert_int_eq(shelf_put(&shelf, id, id + 1, id % 10), INV_OK);
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
    ck_assert(
        inv_gallery_wants_build(shelf.gallery, 1000000, INT64_MAX, &space));
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
    ck_assert(inv_gallery_wants_build(shelf.gallery, 1, 0, &space));
    ck_assert_int_eq(shelf_build(&shelf, false, NULL), INV_OK);
    ck_assert(!inv_gallery_wants_build(shelf.gallery, 1, 0, &space));
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
    Suite *suite = suite_create("gallery_files");
    TCase *tc = tcase_create("gallery_files");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
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
