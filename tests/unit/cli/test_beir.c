/*
 * test_beir.c: cli/beir.h and cli/lines.h: folders, queries, judgements, plain
 * and gzip'ed.
 */
#include "cli/beir.h"
#include "cli/lines.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char folder[64];
static struct inv_err err;

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/invar-beir-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void end(void) {
    static const char *const names[] = {"a.txt", "a.gz", "qrels.tsv.gz",
                                        "qrels.tsv", "qrels/test.tsv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(in_folder("qrels"));
    rmdir(folder);
}

static const char *put(const char *name, const char *text) {
    FILE *file = fopen(in_folder(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return in_folder(name);
}

static const char *put_gz(const char *name, const char *text) {
    size_t len = strlen(text);
    gzFile file = gzopen(in_folder(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, text, (unsigned)len), (int)len);
    gzclose(file);
    return in_folder(name);
}

/* ---- lines ---- */

static void expect_lines(const char *path, const char *const *want,
                         size_t count) {
    struct inv_lines *lines;
    char *line;
    size_t len;
    ck_assert_int_eq(inv_lines_open(path, &lines, &err), INV_OK);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(inv_lines_next(lines, &line, &len, &err), INV_OK);
        ck_assert_ptr_nonnull(line);
        ck_assert_str_eq(line, want[i]);
        ck_assert_uint_eq(len, strlen(want[i]));
        ck_assert_uint_eq(inv_lines_number(lines), i + 1);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(inv_lines_next(lines, &line, &len, &err), INV_OK);
        ck_assert_ptr_null(line);
    }
    ck_assert_uint_eq(inv_lines_offset(lines), inv_lines_size(lines));
    inv_lines_close(lines);
}

START_TEST(plain_and_packed_lines_are_the_same) {
    static const char text[] = "one\r\ntwo\n\nlast";
    static const char *const want[] = {"one", "two", "", "last"};
    expect_lines(put("a.txt", text), want, 4);
    expect_lines(put_gz("a.gz", text), want, 4);
    expect_lines(put("a.txt", ""), NULL, 0);
}
END_TEST

START_TEST(a_line_may_be_longer_than_the_buffer) {
    size_t size = 300000;
    char *text = malloc(size + 3);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', size);
    memcpy(text + size, "\ny", 3);
    const char *path = put_gz("a.gz", text);
    text[size] = '\0';
    const char *const want[] = {text, "y"};
    expect_lines(path, want, 2);
    free(text);
}
END_TEST

START_TEST(a_truncated_archive_is_an_error) {
    struct inv_lines *lines;
    char *line;
    size_t len;
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 26);
    text[sizeof text - 1] = '\0';
    const char *path = put_gz("a.gz", text);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(truncate(path, info.st_size / 2), 0);
    ck_assert_int_eq(inv_lines_open(path, &lines, &err), INV_OK);
    ck_assert_int_eq(inv_lines_next(lines, &line, &len, &err), INV_CORRUPT);
    inv_lines_close(lines);
}
END_TEST

START_TEST(what_is_no_file_is_said) {
    struct inv_lines *lines;
    ck_assert_int_eq(inv_lines_open(in_folder("none"), &lines, &err),
                     INV_NOT_FOUND);
    ck_assert_int_eq(inv_lines_open(folder, &lines, &err), INV_INVALID);
}
END_TEST

/* ---- judgements ---- */

static struct inv_qrels qrels;

START_TEST(judgements_are_read_with_their_heading) {
    size_t count;
    put_gz("qrels.tsv.gz",
           "query-id\tcorpus-id\tscore\n2\tGeneva Durben\t1\n1\ta\t1\n"
           "1\tb\t3\n1\tc\t0\n1\td\t-1\n");
    struct inv_buf path = INV_BUF_INIT;
    ck_assert_int_eq(inv_qrels_find(folder, &path, &err), INV_OK);
    ck_assert_int_eq(inv_qrels_read(path.data, false, &qrels, &err), INV_OK);
    ck_assert_uint_eq(qrels.count, 3);
    const struct inv_judgement *one = inv_qrels_of(&qrels, "1", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(one[0].document, "b");
    ck_assert_double_eq(inv_qrels_gain(one, count, "b"), 3);
    ck_assert_double_eq(inv_qrels_gain(one, count, "a"), 1);
    ck_assert_double_eq(inv_qrels_gain(one, count, "c"), 0);
    const struct inv_judgement *two = inv_qrels_of(&qrels, "2", &count);
    ck_assert_double_eq(inv_qrels_gain(two, count, "Geneva Durben"), 1);
    (void)inv_qrels_of(&qrels, "3", &count);
    ck_assert_uint_eq(count, 0);
    inv_qrels_release(&qrels);
    inv_buf_release(&path);
}
END_TEST

START_TEST(trec_judgements_and_binary_gains) {
    size_t count;
    put("qrels.tsv", "q1 0 d1 2\nq1 0 d2 0\n");
    ck_assert_int_eq(inv_qrels_read(in_folder("qrels.tsv"), true, &qrels, &err),
                     INV_OK);
    const struct inv_judgement *one = inv_qrels_of(&qrels, "q1", &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_double_eq(inv_qrels_gain(one, count, "d1"), 1);
    inv_qrels_release(&qrels);
}
END_TEST

START_TEST(the_test_split_comes_first) {
    struct inv_buf path = INV_BUF_INIT;
    ck_assert_int_eq(inv_qrels_find(folder, &path, &err), INV_NOT_FOUND);
    put("qrels.tsv", "q\td\t1\n");
    ck_assert_int_eq(mkdir(in_folder("qrels"), 0700), 0);
    put("qrels/test.tsv", "q\td\t1\n");
    ck_assert_int_eq(inv_qrels_find(folder, &path, &err), INV_OK);
    ck_assert_ptr_nonnull(strstr(path.data, "qrels/test.tsv"));
    inv_buf_release(&path);
}
END_TEST

START_TEST(a_bad_judgement_is_named) {
    static const char *const bad[] = {"h\th\th\nq\td\n", "h\th\th\nq\td\tx\n",
                                      "q\td\t1\nq\ta\tb\tc\td\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("qrels.tsv", bad[i]);
        ck_assert_int_eq(
            inv_qrels_read(in_folder("qrels.tsv"), false, &qrels, &err),
            INV_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
    }
}
END_TEST

/* ---- queries ---- */

START_TEST(queries_know_their_line) {
    struct inv_beir_queries queries;
    put("a.txt", "{\"_id\":\"q1\",\"text\":\"one\"}\n\n"
                 "{\"_id\":2,\"text\":\"two\",\"metadata\":{}}\n");
    ck_assert_int_eq(inv_beir_queries_read(in_folder("a.txt"), &queries, &err),
                     INV_OK);
    ck_assert_uint_eq(queries.count, 2);
    ck_assert_str_eq(queries.items[0].id, "q1");
    ck_assert_str_eq(queries.items[1].id, "2");
    ck_assert_str_eq(queries.items[1].text, "two");
    ck_assert_uint_eq(queries.items[1].line, 2);
    inv_beir_queries_release(&queries);
}
END_TEST

START_TEST(scifact_is_read_whole) {
    struct inv_beir_queries queries;
    struct inv_buf path = INV_BUF_INIT;
    ck_assert_int_eq(
        inv_beir_find("demo/scifact", "queries.jsonl", &path, &err), INV_OK);
    ck_assert_int_eq(inv_beir_queries_read(path.data, &queries, &err), INV_OK);
    ck_assert_int_eq(inv_qrels_find("demo/scifact", &path, &err), INV_OK);
    ck_assert_int_eq(inv_qrels_read(path.data, false, &qrels, &err), INV_OK);
    size_t judged = 0;
    for (size_t i = 0; i < queries.count; i++) {
        size_t count;
        (void)inv_qrels_of(&qrels, queries.items[i].id, &count);
        judged += count > 0;
    }
    ck_assert_uint_eq(judged, 300);
    inv_beir_queries_release(&queries);
    inv_qrels_release(&qrels);
    inv_buf_release(&path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/beir");
    TCase *tests = tcase_create("beir");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, plain_and_packed_lines_are_the_same);
    tcase_add_test(tests, a_line_may_be_longer_than_the_buffer);
    tcase_add_test(tests, a_truncated_archive_is_an_error);
    tcase_add_test(tests, what_is_no_file_is_said);
    tcase_add_test(tests, judgements_are_read_with_their_heading);
    tcase_add_test(tests, trec_judgements_and_binary_gains);
    tcase_add_test(tests, the_test_split_comes_first);
    tcase_add_test(tests, a_bad_judgement_is_named);
    tcase_add_test(tests, queries_know_their_line);
    tcase_add_test(tests, scifact_is_read_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
