/*
 * test_fit.c: cli/fit.h: files to data, and what a fit makes of them: methods
 * by name, judging on what a fit did not see.
 */
#include "cli/fit.h"

#include "base/file.h"
#include "base/kernels.h"
#include "base/npy.h"
#include "base/rng.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOCUMENTS 600
#define QUERIES 60
#define DIM 12

static char folder[64];

static const char *in_folder(const char *name, char path[128]) {
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text) {
    char path[128];
    struct inv_err err;
    ck_assert_int_eq(
        inv_file_write_atomic(in_folder(name, path), text, strlen(text), &err),
        INV_OK);
}

static void write_rows(const char *name, const float *rows, size_t count) {
    char path[128];
    struct inv_err err;
    const size_t shape[2] = {count, DIM};
    ck_assert_msg(inv_npy_write(in_folder(name, path), INV_NPY_F32, rows, 2,
                                shape, &err) == INV_OK,
                  "%s", err.text);
}

/* Coordinates turned pairwise by an angle: a rotation. */
static void turn(const float *in, float *out, size_t count) {
    const float c = .6f, s = .8f;
    for (size_t i = 0; i < count * DIM; i += 2) {
        out[i] = c * in[i] - s * in[i + 1];
        out[i + 1] = s * in[i] + c * in[i + 1];
    }
}

/* old.npy, new.npy (turned), oldq.npy, newq.npy, qrels.tsv: query i asks for
 * document 7 i. broken: the new vectors of those documents are noise. */
static void write_world(bool broken) {
    static float old[DOCUMENTS * DIM], new[DOCUMENTS * DIM];
    static float old_q[QUERIES * DIM], new_q[QUERIES * DIM];
    struct inv_stream stream;
    struct inv_buf qrels = INV_BUF_INIT;
    inv_stream_init(&stream, 1, "test.fit", 0);
    for (size_t i = 0; i < DOCUMENTS * DIM; i++)
        old[i] = inv_stream_normal(&stream);
    turn(old, new, DOCUMENTS);
    for (size_t q = 0; q < QUERIES; q++) {
        inv_buf_printf(&qrels, "%zu\t0\t%zu\t1\n", q, q * 7);
        for (size_t j = 0; j < DIM; j++)
            old_q[q * DIM + j] =
                old[q * 7 * DIM + j] + .3f * inv_stream_normal(&stream);
    }
    turn(old_q, new_q, QUERIES);
    for (size_t q = 0; q < QUERIES && broken; q++)
        for (size_t j = 0; j < DIM; j++)
            new[q * 7 * DIM + j] = 50 * inv_stream_normal(&stream);
    write_rows("old.npy", old, DOCUMENTS);
    write_rows("new.npy", new, DOCUMENTS);
    write_rows("oldq.npy", old_q, QUERIES);
    write_rows("newq.npy", new_q, QUERIES);
    write_text("qrels.tsv", qrels.data);
    inv_buf_release(&qrels);
}

static char paths[5][128];

static struct inv_fit_files world_files(bool judged) {
    struct inv_fit_files files = {
        .new_documents = in_folder("new.npy", paths[0]),
        .old_documents = in_folder("old.npy", paths[1]),
    };
    if (judged) {
        files.new_queries = in_folder("newq.npy", paths[2]);
        files.old_queries = in_folder("oldq.npy", paths[3]);
        files.qrels = in_folder("qrels.tsv", paths[4]);
    }
    return files;
}

static void judge(struct inv_fit_input *data, const char *methods,
                  const struct inv_fit_files *files,
                  struct inv_fit_report *report) {
    struct inv_fit_method list[INV_FIT_METHODS_MAX];
    struct inv_fit_options options = inv_fit_options_defaults();
    struct inv_err err;
    size_t count;
    ck_assert_msg(inv_fit_input_open(files, data, &err) == INV_OK, "%s",
                  err.text);
    ck_assert_int_eq(inv_fit_methods_parse(methods, list, &count, &err),
                     INV_OK);
    ck_assert_msg(inv_fit_judge(&data->data, list, count, &options, NULL, NULL,
                                report, &err) == INV_OK,
                  "%s", err.text);
}

START_TEST(a_turned_model_is_activated_by_its_simplest_method) {
    struct inv_fit_input data;
    struct inv_fit_report report;
    write_world(false);
    struct inv_fit_files files = world_files(true);
    judge(&data, "ridge,path:0.1,procrustes", &files, &report);
    const struct inv_fit_result *chosen = &report.results[report.chosen];
    ck_assert_str_eq(chosen->method.name, "procrustes");
    ck_assert_int_eq(chosen->gate.verdict, INV_VERDICT_ACTIVATE);
    ck_assert_double_eq_tol(chosen->held_out.mean, report.old_old.mean, 1e-3);
    ck_assert_double_gt(chosen->cosine, 1 - 1e-6);
    ck_assert_double_eq_tol(chosen->coverage[INV_FIT_COVERAGES - 1],
                            report.new_new.mean, .02);
    ck_assert_uint_eq(report.left_out, QUERIES);
    inv_fit_report_release(&report);
    inv_fit_input_close(&data);
}
END_TEST

START_TEST(what_judges_takes_no_part_in_the_fit) {
    struct inv_fit_input data;
    struct inv_fit_report report;
    write_world(true);
    struct inv_fit_files files = world_files(true);
    judge(&data, "procrustes", &files, &report);
    const struct inv_fit_result *result = &report.results[0];
    /* The judged documents' pairs are noise. A fit without them is perfect;
     * one that saw them is not. */
    ck_assert_double_eq_tol(result->held_out.mean, report.old_old.mean, 1e-3);
    ck_assert_double_lt(result->cosine, 1 - 1e-5);
    inv_fit_report_release(&report);
    inv_fit_input_close(&data);
}
END_TEST

START_TEST(without_judged_queries_the_report_is_provisional) {
    struct inv_fit_input data;
    struct inv_fit_report report;
    write_world(false);
    struct inv_fit_files files = world_files(false);
    judge(&data, "procrustes", &files, &report);
    ck_assert(report.provisional);
    ck_assert_int_ne(report.results[0].gate.verdict, INV_VERDICT_ACTIVATE);
    ck_assert_double_gt(report.results[0].held_out.mean, .99);
    inv_fit_report_release(&report);
    inv_fit_input_close(&data);
}
END_TEST

START_TEST(files_that_do_not_fit_each_other_are_refused) {
    struct inv_fit_input data;
    struct inv_err err;
    write_world(false);
    struct inv_fit_files files = world_files(true);
    files.old_documents = files.old_queries;
    ck_assert_int_eq(inv_fit_input_open(&files, &data, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "600"));
    ck_assert_ptr_nonnull(strstr(err.text, "60"));
    files = world_files(true);
    write_text("qrels.tsv", "q1\t0\td1\t1\n");
    ck_assert_int_eq(inv_fit_input_open(&files, &data, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "--corpus"));
}
END_TEST

START_TEST(methods_are_read_with_their_knobs) {
    struct inv_fit_method m[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count;
    ck_assert_int_eq(
        inv_fit_methods_parse("procrustes,path:0.35,ridge,contrastive:0.02", m,
                              &count, &err),
        INV_OK);
    ck_assert_uint_eq(count, 4);
    ck_assert_int_eq(m[1].kind, INV_ADAPTER_PATH);
    ck_assert_double_eq(m[1].knob, .35);
    ck_assert_double_lt(m[2].knob, 0);
    ck_assert_str_eq(m[3].name, "contrastive:0.02");
    static const char *const wrong[] = {
        "",          "path",     "path:",        "path:-1",
        "path:1x",   "procrust", "ridge:99",     "ridge,",
        "simplex:2", "path:nan", "procrustes:1", "composed"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(inv_fit_methods_parse(wrong[i], m, &count, &err) ==
                          INV_INVALID,
                      "\"%s\" was taken", wrong[i]);
}
END_TEST

int main(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/fit.XXXXXX",
             tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    TCase *tests = tcase_create("fit");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_turned_model_is_activated_by_its_simplest_method);
    tcase_add_test(tests, what_judges_takes_no_part_in_the_fit);
    tcase_add_test(tests, without_judged_queries_the_report_is_provisional);
    tcase_add_test(tests, files_that_do_not_fit_each_other_are_refused);
    tcase_add_test(tests, methods_are_read_with_their_knobs);
    Suite *suite = suite_create("fit");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    struct inv_err err;
    if (inv_file_remove_tree(folder, &err) != INV_OK)
        fprintf(stderr, "%s\n", err.text);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
