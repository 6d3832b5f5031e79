/*
 * test_recovery.c: the whole application, closed and opened again: after every
 * kind of change, after damage to each kind of file, with jobs that were cut
 * short and directories that belong to nothing.
 */
#include "base/file.h"
#include "index/catalog.h"
#include "server/verify.h"
#include "tests/support/inside.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOCS 60
#define C "/v1/collections/c"
#define SINGLE                                                                 \
    "{\"kind\":\"single\",\"dim\":4,\"metric\":\"l2\","                        \
    "\"payload_index\":{\"n\":\"integer\"}}"

static struct inside in;

static void setup(void) {
    inside_init(&in);
    in.config.fresh_limit = 1000;
    in.config.roll_bytes = 4096;
    inside_open(&in);
}
static void teardown(void) { inside_free(&in); }

/* Documents d<from> .. with vectors (i, version, 1, 0). */
static void fill(int from, int to, int version) {
    for (int i = from; i < to; i++)
        inside_ok(&in, INV_PUT, C "/documents",
                  "{\"documents\":[{\"id\":\"d%d\",\"vector\":[%d,%d,1,0],"
                  "\"payload\":{\"n\":%d,\"v\":%d}}]}",
                  i, i, version, i % 5, version);
}

static void make(void) {
    inside_ok(&in, INV_PUT, C, SINGLE);
    fill(0, DOCS, 1);
}

static void rebuild(const char *body) {
    inside_ok(&in, INV_POST, "/v1/admin/collections/c/rebuild", "%s", body);
    ck_assert_msg(inside_wait(&in, "/readyz", "\"state\":\"ready\""), "%s",
                  in.body.data);
    for (int i = 0; i < 2000; i++) {
        inside_ok(&in, INV_GET, "/v1/jobs", NULL);
        if (!inside_says(&in, "\"queued\"") && !inside_says(&in, "\"running\""))
            break;
        usleep(5000);
    }
    ck_assert_msg(!inside_says(&in, "\"failed\""), "%s", in.body.data);
}

/* Every document i is the best hit for its own vector, also exactly. */
static void all_found(int from, int to, int version) {
    for (int i = from; i < to; i++) {
        char want[64];
        snprintf(want, sizeof want, "{\"hits\":[{\"id\":\"d%d\",", i);
        inside_ok(&in, INV_POST, C "/search",
                  "{\"vector\":[%d,%d,1,0],\"limit\":1,"
                  "\"params\":{\"exact\":%s}}",
                  i, version, i % 2 == 0 ? "true" : "false");
        ck_assert_msg(inside_says(&in, want), "%d: %s", i, in.body.data);
        inside_ok(&in, INV_POST, C "/search",
                  "{\"vector\":[%d,%d,1,0],\"limit\":1,"
                  "\"filter\":{\"must\":[{\"key\":\"n\",\"match\":%d}]}}",
                  i, version, i % 5);
        ck_assert_msg(inside_says(&in, want), "%d: %s", i, in.body.data);
    }
}

static void same_after_reopening(void) {
    char *before = inside_state(&in, "c");
    inside_reopen(&in);
    char *after = inside_state(&in, "c");
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    inside_ok(&in, INV_GET, "/readyz", NULL);
    ck_assert_msg(inside_says(&in, "\"state\":\"ready\"}"), "%s", in.body.data);
}

START_TEST(every_kind_of_change_survives) {
    make();
    same_after_reopening();
    all_found(0, DOCS, 1);
    fill(10, 20, 2);
    same_after_reopening();
    all_found(10, 20, 2);
    inside_ok(&in, INV_PATCH, C "/documents/d3", "{\"payload\":{\"n\":7}}");
    same_after_reopening();
    inside_ok(&in, INV_POST, C "/documents/count",
              "{\"filter\":{\"must\":[{\"key\":\"n\",\"match\":7}]}}");
    ck_assert(inside_says(&in, "{\"count\":1}"));
    inside_ok(&in, INV_DELETE, C "/documents/d4", NULL);
    inside_ok(&in, INV_POST, C "/documents/delete",
              "{\"filter\":{\"must\":[{\"key\":\"n\",\"match\":1}]}}");
    same_after_reopening();
    ck_assert_int_eq(inside_do(&in, INV_GET, C "/documents/d4", NULL), 404);
    rebuild("{\"index\":{\"type\":\"hnsw\"}}");
    same_after_reopening();
    inside_ok(&in, INV_GET, C, NULL);
    ck_assert_msg(inside_says(&in, "hnsw"), "%s", in.body.data);
    inside_ok(&in, INV_POST, "/v1/admin/collections/c/compact", NULL);
    ck_assert(inside_wait(&in, "/v1/jobs/2", "\"succeeded\""));
    same_after_reopening();
    inside_ok(&in, INV_PATCH, C, "{\"payload_index\":{\"v\":\"integer\"}}");
    same_after_reopening();
    inside_ok(&in, INV_POST, C "/documents/count",
              "{\"filter\":{\"must\":[{\"key\":\"v\",\"match\":2}]}}");
    ck_assert_msg(inside_says(&in, "{\"count\":8}"), "%s", in.body.data);
    inside_close(&in);
    ck_assert_msg(inside_verify(&in), "%s", in.body.data);
    inside_open(&in);
}
END_TEST

START_TEST(collections_and_aliases_survive_and_deleted_ones_do_not) {
    make();
    inside_ok(&in, INV_PUT, "/v1/collections/e", SINGLE);
    inside_ok(&in, INV_PUT, "/v1/aliases/a", "{\"collection\":\"c\"}");
    inside_ok(&in, INV_PUT, "/v1/aliases/b", "{\"collection\":\"e\"}");
    inside_ok(&in, INV_DELETE, "/v1/collections/e", NULL);
    inside_reopen(&in);
    inside_ok(&in, INV_GET, "/v1/collections/a", NULL);
    ck_assert_int_eq(inside_do(&in, INV_GET, "/v1/collections/e", NULL), 404);
    ck_assert_int_eq(inside_do(&in, INV_GET, "/v1/aliases/b", NULL), 404);
    inside_ok(&in, INV_GET, "/v1/aliases", NULL);
    ck_assert(inside_says(&in, "\"a\"") && !inside_says(&in, "\"b\""));
    inside_ok(&in, INV_DELETE, "/v1/aliases/a", NULL);
    inside_reopen(&in);
    ck_assert_int_eq(inside_do(&in, INV_GET, "/v1/collections/a", NULL), 404);
}
END_TEST

START_TEST(what_an_encoder_learned_survives) {
    inside_ok(&in, INV_PUT, C,
              "{\"kind\":\"multi\",\"dim\":8,\"metric\":\"ip\",\"encoder\":{"
              "\"type\":\"muvera\",\"variant\":\"muvera+\",\"preset\":"
              "\"small\"}}");
    for (int i = 0; i < 30; i++)
        inside_ok(&in, INV_PUT, C "/documents",
                  "{\"documents\":[{\"id\":\"d%d\",\"vectors\":[[%d,1,0,0,0,0,"
                  "0,2],[0,0,%d,1,0,3,0,0]]}]}",
                  i, i % 7 + 1, i % 5 + 1);
    rebuild("{}");
    for (int i = 30; i < 40; i++)
        inside_ok(&in, INV_PUT, C "/documents",
                  "{\"documents\":[{\"id\":\"d%d\",\"vectors\":[[0,0,0,%d,0,0,"
                  "0,2]]}]}",
                  i, i);
    static const char query[] = "{\"vectors\":[[1,0,0,2,0,0,0,1]],\"limit\":20,"
                                "\"explain\":true}";
    inside_ok(&in, INV_POST, C "/search", query);
    ck_assert_msg(inside_says(&in, "\"encoder_state\":1"), "%s", in.body.data);
    char *hits = strdup(in.body.data);
    *strstr(hits, "]") = '\0';
    same_after_reopening();
    inside_ok(&in, INV_POST, C "/search", query);
    ck_assert_msg(inside_says(&in, "\"encoder_state\":1"), "%s", in.body.data);
    ck_assert_msg(inside_says(&in, hits), "%s, %s", hits, in.body.data);
    free(hits);
}
END_TEST

/* ---- damage to logs ---- */

static void log_path(unsigned number, char *out, size_t size) {
    char sub[32];
    snprintf(sub, sizeof sub, "vectors/%08u.vlog", number);
    inside_path(&in, sub, out, size);
}

static unsigned newest_log(void) {
    char path[256];
    unsigned number = 1;
    for (log_path(2, path, sizeof path); access(path, F_OK) == 0;
         log_path(number + 1, path, sizeof path))
        number++;
    return number;
}

START_TEST(a_torn_tail_is_cut_and_everything_is_there) {
    char path[256];
    struct stat before;
    struct stat after;
    make();
    char *state = inside_state(&in, "c");
    inside_close(&in);
    log_path(newest_log(), path, sizeof path);
    ck_assert_int_eq(stat(path, &before), 0);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, "VREChalf a record", 17), 17);
    close(fd);
    ck_assert(inside_verify(&in));
    ck_assert_msg(inside_says(&in, "note: collection c: 17 bytes behind"), "%s",
                  in.body.data);
    inside_open(&in);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
    char *now = inside_state(&in, "c");
    ck_assert_str_eq(state, now);
    free(state);
    free(now);
    fill(0, 5, 9);
    same_after_reopening();
}
END_TEST

static int count_now(void) {
    inside_ok(&in, INV_POST, C "/documents/count", "{}");
    return (int)strtol(in.body.data + strlen("{\"count\":"), NULL, 10);
}

START_TEST(a_shortened_or_lost_log_costs_its_documents_and_says_so) {
    char path[256];
    make();
    if (_i >= 2) /* in a sealed segment, whose own files are whole */
        rebuild("{}");
    inside_close(&in);
    log_path(1, path, sizeof path);
    if (_i % 2 == 0)
        ck_assert_int_eq(truncate(path, 1000), 0);
    else
        ck_assert_int_eq(unlink(path), 0);
    ck_assert(!inside_verify(&in));
    ck_assert_msg(inside_says(&in, "problem: collection c: document \"d"), "%s",
                  in.body.data);
    inside_open(&in);
    inside_ok(&in, INV_GET, "/readyz", NULL);
    ck_assert_msg(inside_says(&in, "\"state\":\"degraded\"") &&
                      inside_says(&in, "vector log 1"),
                  "%s", in.body.data);
    bool lost[DOCS];
    int left = 0;
    for (int i = 0; i < DOCS; i++) {
        inside_ok(&in, INV_POST, C "/search",
                  "{\"vector\":[0,0,0,0],\"limit\":1,\"filter\":{\"must\":[{"
                  "\"ids\":[\"d%d\"]}]}}",
                  i);
        lost[i] = inside_says(&in, "\"hits\":[]");
        left += !lost[i];
    }
    ck_assert(left > 0 && left < DOCS);
    ck_assert_int_eq(count_now(), left);
    for (int i = 0; i < DOCS; i++)
        if (!lost[i])
            all_found(i, i + 1, 1);
        else
            fill(i, i + 1, 2); /* given again */
    ck_assert_int_eq(count_now(), DOCS);
    inside_reopen(&in);
    inside_ok(&in, INV_GET, "/readyz", NULL);
    ck_assert_msg(!inside_says(&in, "degraded"), "%s", in.body.data);
    for (int i = 0; i < DOCS; i++)
        all_found(i, i + 1, lost[i] ? 2 : 1);
}
END_TEST

START_TEST(one_damaged_record_does_not_take_the_searches_with_it) {
    char path[256];
    make();
    rebuild("{}");
    inside_close(&in);
    log_path(1, path, sizeof path);
    int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "X", 1, 64), 1); /* d0's first byte */
    close(fd);
    inside_open(&in);
    for (int exact = 0; exact < 2; exact++) {
        inside_ok(&in, INV_POST, C "/search",
                  "{\"vector\":[0,1,1,0],\"limit\":3,\"params\":{\"exact\":%s}"
                  "}",
                  exact ? "true" : "false");
        ck_assert_msg(inside_says(&in, "{\"hits\":[{\"id\":\"d1\""), "%s",
                      in.body.data);
    }
    inside_ok(&in, INV_GET, "/readyz", NULL);
    ck_assert_msg(inside_says(&in, "\"state\":\"degraded\""), "%s",
                  in.body.data);
    ck_assert_int_eq(inside_do(&in, INV_GET, C "/documents/d1", NULL), 200);
}
END_TEST

/* ---- damage to segments ---- */

static void spoil(const char *path, bool remove) {
    unsigned char byte;
    if (remove) {
        ck_assert_int_eq(unlink(path), 0);
        return;
    }
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    off_t at = lseek(fd, 0, SEEK_END) / 2;
    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 8;
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

START_TEST(a_damaged_segment_is_served_exactly_rebuilt_and_said) {
    static const char *const files[] = {"manifest", "ann", "entries"};
    char sub[64];
    char path[256];
    make();
    rebuild("{\"index\":{\"type\":\"hnsw\"}}");
    char *state = inside_state(&in, "c");
    inside_close(&in);
    snprintf(sub, sizeof sub, "segments/00000001/%s", files[_i % 3]);
    inside_path(&in, sub, path, sizeof path);
    spoil(path, _i >= 3);
    ck_assert(!inside_verify(&in));
    ck_assert_msg(inside_says(&in, "problem: collection c: segment 1:"), "%s",
                  in.body.data);
    inside_open(&in);
    all_found(0, DOCS, 1);
    ck_assert_msg(inside_wait(&in, "/readyz", "\"state\":\"ready\"}"), "%s",
                  in.body.data);
    char *now = inside_state(&in, "c");
    ck_assert_str_eq(state, now);
    free(state);
    free(now);
    all_found(0, DOCS, 1);
    inside_ok(&in, INV_GET, C, NULL);
    ck_assert_msg(inside_says(&in, "hnsw"), "%s", in.body.data);
    inside_close(&in);
    ck_assert_msg(inside_verify(&in), "%s", in.body.data);
    ck_assert_msg(!inside_says(&in, "note:"), "%s", in.body.data);
    inside_open(&in);
    inside_ok(&in, INV_GET, "/readyz", NULL);
    ck_assert_msg(!inside_says(&in, "degraded"), "%s", in.body.data);
}
END_TEST

/* ---- directories ---- */

START_TEST(what_belongs_to_nothing_is_removed) {
    char path[256];
    static const char *const strays[] = {"segments/00000099",
                                         "segments/00000007.tmp"};
    make();
    rebuild("{}");
    inside_close(&in);
    for (size_t i = 0; i < 2; i++) {
        inside_path(&in, strays[i], path, sizeof path);
        ck_assert_int_eq(inv_file_mkdirs(path, NULL), INV_OK);
    }
    snprintf(path, sizeof path, "%s/collections/0123", in.dir);
    ck_assert_int_eq(inv_file_mkdirs(path, NULL), INV_OK);
    ck_assert(inside_verify(&in));
    ck_assert(inside_says(&in, "collections/0123 belongs to no collection"));
    ck_assert(inside_says(&in, "segments/00000099 belongs to nothing"));
    ck_assert(inside_says(&in, "segments/00000007.tmp belongs to nothing"));
    inside_open(&in);
    ck_assert_int_ne(access(path, F_OK), 0);
    for (size_t i = 0; i < 2; i++) {
        inside_path(&in, strays[i], path, sizeof path);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    all_found(0, DOCS, 1);
}
END_TEST

START_TEST(a_collection_without_its_directory_fails_and_others_serve) {
    char path[256];
    make();
    inside_path(&in, "", path, sizeof path);
    inside_ok(&in, INV_PUT, "/v1/collections/other", SINGLE);
    inside_ok(&in, INV_PUT, "/v1/collections/other/documents",
              "{\"documents\":[{\"id\":1,\"vector\":[1,2,3,4]}]}");
    inside_close(&in);
    ck_assert_int_eq(inv_file_remove_tree(path, NULL), INV_OK);
    ck_assert(!inside_verify(&in));
    inside_open(&in);
    ck_assert_int_eq(inside_do(&in, INV_GET, "/readyz", NULL), 503);
    ck_assert_msg(inside_says(&in, "\"state\":\"failed\",\"reason\":"), "%s",
                  in.body.data);
    ck_assert_int_eq(
        inside_do(&in, INV_POST, C "/search", "{\"vector\":[1,2,3,4]}"), 500);
    inside_ok(&in, INV_POST, "/v1/collections/other/search",
              "{\"vector\":[1,2,3,4]}");
    ck_assert(inside_says(&in, "\"id\":\"1\""));
    inside_ok(&in, INV_DELETE, C, NULL);
    inside_ok(&in, INV_GET, "/readyz", NULL);
    inside_ok(&in, INV_PUT, C, SINGLE);
    fill(0, 3, 1);
    inside_reopen(&in);
    ck_assert_int_eq(count_now(), 3);
}
END_TEST

START_TEST(a_second_daemon_on_the_directory_is_refused) {
    struct inv_app *second = NULL;
    struct inv_err err = {0};
    char pid[32];
    bool clean = true;
    struct inv_buf report = INV_BUF_INIT;
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ck_assert_int_eq(inv_app_open(&in.config, &second, &err), INV_CONFLICT);
    ck_assert_msg(strstr(err.text, pid) != NULL, "%s", err.text);
    ck_assert_int_eq(inv_verify_data(in.dir, true, &report, &clean, &err),
                     INV_CONFLICT);
    ck_assert_msg(strstr(err.text, pid) != NULL, "%s", err.text);
    inv_buf_release(&report);
    make(); /* the first one is none the worse for it */
    same_after_reopening();
}
END_TEST

/* ---- jobs ---- */

static void add_job(const char *kind, const char *state, int64_t collection) {
    struct inv_catalog *catalog;
    char path[128];
    struct inv_job_row job = {.collection = collection,
                              .collection_name = "c",
                              .kind = kind,
                              .state = state,
                              .stage = "",
                              .request = "{}",
                              .created_ms = 1};
    snprintf(path, sizeof path, "%s/catalog.db", in.dir);
    ck_assert_int_eq(inv_catalog_open(path, false, &catalog, NULL), INV_OK);
    ck_assert_int_eq(inv_db_put_job(inv_catalog_writer(catalog), &job, NULL),
                     INV_OK);
    inv_catalog_close(catalog);
}

START_TEST(a_job_that_was_cut_short_runs_after_the_start) {
    make();
    inside_close(&in);
    add_job(_i == 0 ? "rebuild" : "compact", _i == 0 ? "running" : "queued", 1);
    inside_open(&in);
    ck_assert_msg(inside_wait(&in, "/v1/jobs/1", "\"state\":\"succeeded\""),
                  "%s", in.body.data);
    inside_ok(&in, INV_GET, C, NULL);
    all_found(0, DOCS, 1);
    inside_reopen(&in);
    inside_ok(&in, INV_GET, "/v1/jobs/1", NULL);
    ck_assert(inside_says(&in, "\"state\":\"succeeded\""));
}
END_TEST

START_TEST(a_job_of_a_deleted_collection_fails_and_spares_the_next_one) {
    make();
    inside_ok(&in, INV_DELETE, C, NULL);
    inside_ok(&in, INV_PUT, C, SINGLE);
    fill(0, 3, 1);
    inside_close(&in);
    add_job("rebuild", "running", 1);
    inside_open(&in);
    ck_assert_msg(inside_wait(&in, "/v1/jobs/1", "\"state\":\"failed\""), "%s",
                  in.body.data);
    ck_assert_msg(inside_says(&in, "was deleted"), "%s", in.body.data);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("recovery");
    TCase *tc = tcase_create("recovery");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_kind_of_change_survives);
    tcase_add_test(tc, collections_and_aliases_survive_and_deleted_ones_do_not);
    tcase_add_test(tc, what_an_encoder_learned_survives);
    tcase_add_test(tc, a_torn_tail_is_cut_and_everything_is_there);
    tcase_add_loop_test(
        tc, a_shortened_or_lost_log_costs_its_documents_and_says_so, 0, 4);
    tcase_add_test(tc, one_damaged_record_does_not_take_the_searches_with_it);
    tcase_add_loop_test(
        tc, a_damaged_segment_is_served_exactly_rebuilt_and_said, 0, 6);
    tcase_add_test(tc, what_belongs_to_nothing_is_removed);
    tcase_add_test(tc,
                   a_collection_without_its_directory_fails_and_others_serve);
    tcase_add_test(tc, a_second_daemon_on_the_directory_is_refused);
    tcase_add_loop_test(tc, a_job_that_was_cut_short_runs_after_the_start, 0,
                        2);
    tcase_add_test(tc,
                   a_job_of_a_deleted_collection_fails_and_spares_the_next_one);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
