/*
 * test_resume.c: cli/resume.h: what an interrupted import remembers.
 */
#include "cli/resume.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char path[128];
static struct inv_err err;

static void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/invar-resume-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/deep/er/x.import", folder);
}

static void remove_folder(void) {
    char sub[128];
    unlink(path);
    snprintf(sub, sizeof sub, "%s/deep/er", folder);
    rmdir(sub);
    snprintf(sub, sizeof sub, "%s/deep", folder);
    rmdir(sub);
    rmdir(folder);
}

static struct inv_resume open_it(const char *identity, bool restart) {
    struct inv_resume resume;
    ck_assert_int_eq(inv_resume_open(path, identity, restart, &resume, &err),
                     INV_OK);
    return resume;
}

static void add(struct inv_resume *resume, uint64_t from, uint64_t count) {
    ck_assert_int_eq(inv_resume_add(resume, from, count, &err), INV_OK);
}

static void append(const char *text) {
    FILE *file = fopen(path, "a");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(acknowledged_positions_come_back_whatever_their_order) {
    struct inv_resume resume = open_it("here", false);
    ck_assert(!inv_resume_has(&resume, 0));
    add(&resume, 100, 50);
    add(&resume, 0, 10);
    add(&resume, 10, 10);
    add(&resume, 120, 100);
    inv_resume_close(&resume);
    resume = open_it("here", false);
    ck_assert_uint_eq(resume.span_count, 2);
    ck_assert_uint_eq(inv_resume_total(&resume), 20 + 120);
    for (uint64_t i = 0; i < 300; i++)
        ck_assert_int_eq(inv_resume_has(&resume, i),
                         i < 20 || (i >= 100 && i < 220));
    inv_resume_close(&resume);
}
END_TEST

START_TEST(another_import_begins_anew) {
    struct inv_resume resume = open_it("here", false);
    add(&resume, 0, 10);
    inv_resume_close(&resume);
    resume = open_it("here and there", false);
    ck_assert_uint_eq(inv_resume_total(&resume), 0);
    inv_resume_close(&resume);
    resume = open_it("here", false);
    ck_assert_uint_eq(inv_resume_total(&resume), 0);
    inv_resume_close(&resume);
}
END_TEST

START_TEST(restart_forgets) {
    struct inv_resume resume = open_it("here", false);
    add(&resume, 0, 10);
    inv_resume_close(&resume);
    resume = open_it("here", true);
    ck_assert_uint_eq(inv_resume_total(&resume), 0);
    add(&resume, 5, 1);
    inv_resume_close(&resume);
    resume = open_it("here", false);
    ck_assert_uint_eq(inv_resume_total(&resume), 1);
    inv_resume_close(&resume);
}
END_TEST

START_TEST(a_line_that_was_cut_off_is_ignored) {
    struct inv_resume resume = open_it("here", false);
    add(&resume, 0, 10);
    inv_resume_close(&resume);
    append("10 99");
    resume = open_it("here", false);
    ck_assert_uint_eq(inv_resume_total(&resume), 10);
    add(&resume, 200, 5);
    inv_resume_close(&resume);
    resume = open_it("here", false);
    ck_assert(inv_resume_has(&resume, 204));
    ck_assert(!inv_resume_has(&resume, 205));
    inv_resume_close(&resume);
}
END_TEST

START_TEST(nonsense_lines_are_ignored) {
    struct inv_resume resume = open_it("here", false);
    inv_resume_close(&resume);
    append("x\n1\n1 \n 1 1\n1 0\n1 -1\n1 1 1\n99999999999999999999 1\n7 3\n");
    resume = open_it("here", false);
    ck_assert_uint_eq(resume.span_count, 1);
    ck_assert(inv_resume_has(&resume, 9));
    inv_resume_close(&resume);
}
END_TEST

START_TEST(a_finished_import_leaves_no_file) {
    struct inv_resume resume = open_it("here", false);
    add(&resume, 0, 10);
    ck_assert_int_eq(access(path, F_OK), 0);
    inv_resume_finish(&resume);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(the_path_depends_on_home_and_identity) {
    struct inv_buf a = INV_BUF_INIT;
    struct inv_buf b = INV_BUF_INIT;
    setenv("XDG_STATE_HOME", "/x/state", 1);
    ck_assert_int_eq(inv_resume_path("one", &a, &err), INV_OK);
    ck_assert_int_eq(inv_resume_path("two", &b, &err), INV_OK);
    ck_assert_int_eq(strncmp(a.data, "/x/state/invar/", 15), 0);
    ck_assert_str_ne(a.data, b.data);
    inv_buf_reset(&a);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/x/user", 1);
    ck_assert_int_eq(inv_resume_path("one", &a, &err), INV_OK);
    ck_assert_int_eq(strncmp(a.data, "/x/user/.local/state/invar/", 27), 0);
    unsetenv("HOME");
    ck_assert_int_eq(inv_resume_path("one", &a, &err), INV_NOT_FOUND);
    inv_buf_release(&a);
    inv_buf_release(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/resume");
    TCase *tests = tcase_create("resume");
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests,
                   acknowledged_positions_come_back_whatever_their_order);
    tcase_add_test(tests, another_import_begins_anew);
    tcase_add_test(tests, restart_forgets);
    tcase_add_test(tests, a_line_that_was_cut_off_is_ignored);
    tcase_add_test(tests, nonsense_lines_are_ignored);
    tcase_add_test(tests, a_finished_import_leaves_no_file);
    tcase_add_test(tests, the_path_depends_on_home_and_identity);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
