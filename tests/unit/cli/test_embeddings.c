/*
 * test_embeddings.c: cli/ids.h and cli/embeddings.h: vectors and texts by the
 * ids of their documents, from each kind of file, and what is refused.
 */
#include "cli/embeddings.h"

#include "base/npy.h"
#include "cli/beir.h"
#include "server/json/json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIM 3
#define ROWS 4

static char folder[64];
static struct inv_err err;
static struct inv_embeddings e;

static const float floats[ROWS * DIM] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static const char *in_folder(const char *name) {
    static char paths[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/invar-embeddings-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void) {
    static const char *const names[] = {"x.npy", "ids.txt", "offsets.npy",
                                        "v.jsonl", "corpus.jsonl"};
    inv_embeddings_close(&e);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

static const char *put(const char *name, const char *text) {
    const char *path = in_folder(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static const char *put_matrix(void) {
    const size_t shape[2] = {ROWS, DIM};
    const char *path = in_folder("x.npy");
    ck_assert_int_eq(inv_npy_write(path, INV_NPY_F32, floats, 2, shape, &err),
                     INV_OK);
    return path;
}

/* The field of row i, as the daemon would read it, must be these numbers. */
static void expect_row(size_t i, const char *key, const float *wanted,
                       size_t rows) {
    struct inv_buf text = INV_BUF_INIT;
    struct inv_json_doc doc = {.root = NULL};
    struct inv_arena arena;
    struct inv_given given = {.plural = false};
    const struct inv_json_limits limits = {16, 16};
    inv_buf_putc(&text, '{');
    inv_embeddings_put(&e, i, &text);
    inv_buf_putc(&text, '}');
    inv_arena_init(&arena, (size_t)1 << 20);
    ck_assert_int_eq(
        inv_json_parse(&doc, &arena, text.data, text.len, &limits, &err),
        INV_OK);
    ck_assert_int_eq(
        inv_json_get_vectors(&doc, doc.root, "", key, &limits, &given, &err),
        INV_OK);
    ck_assert_uint_eq(given.matrix.rows, rows);
    ck_assert_uint_eq(given.matrix.dim, DIM);
    ck_assert_mem_eq(given.matrix.data, wanted, rows * DIM * sizeof *wanted);
    inv_json_close(&doc);
    inv_arena_release(&arena);
    inv_buf_release(&text);
}

/* ---- ids ---- */

START_TEST(every_one_of_many_ids_is_found_at_its_row) {
    struct inv_ids ids = INV_IDS_INIT;
    char text[32];
    for (size_t i = 0; i < 5000; i++) {
        int len = snprintf(text, sizeof text, "document %zu", i * 7919 % 5003);
        ck_assert_int_eq(inv_ids_add(&ids, text, (size_t)len, &err), INV_OK);
    }
    for (size_t i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "document %zu", i * 7919 % 5003);
        ck_assert_uint_eq(inv_ids_find(&ids, text), i);
        ck_assert_str_eq(inv_ids_at(&ids, i), text);
    }
    ck_assert_uint_eq(inv_ids_find(&ids, "document"), INV_NO_ROW);
    ck_assert_uint_eq(inv_ids_find(&ids, ""), INV_NO_ROW);
    inv_ids_release(&ids);
    ck_assert_uint_eq(inv_ids_find(&ids, "document 1"), INV_NO_ROW);
}
END_TEST

START_TEST(an_id_that_stands_twice_is_refused_with_both_rows) {
    struct inv_ids ids = INV_IDS_INIT;
    ck_assert_int_eq(inv_ids_add(&ids, "a", 1, &err), INV_OK);
    ck_assert_int_eq(inv_ids_add(&ids, "b", 1, &err), INV_OK);
    ck_assert_int_eq(inv_ids_add(&ids, "a", 1, &err), INV_CONFLICT);
    ck_assert_str_eq(err.text, "the id \"a\" of row 2 is that of row 0");
    ck_assert_uint_eq(ids.count, 2);
    ck_assert_int_eq(inv_ids_add(&ids, "c", 1, &err), INV_OK);
    ck_assert_str_eq(inv_ids_at(&ids, 2), "c");
    inv_ids_release(&ids);
}
END_TEST

START_TEST(impossible_ids_are_refused) {
    struct inv_ids ids = INV_IDS_INIT;
    char text[514];
    memset(text, 'x', sizeof text);
    ck_assert_int_eq(inv_ids_add(&ids, "", 0, &err), INV_INVALID);
    ck_assert_int_eq(inv_ids_add(&ids, text, 513, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "513"));
    ck_assert_int_eq(inv_ids_add(&ids, "a\0b", 3, &err), INV_INVALID);
    ck_assert_int_eq(inv_ids_add(&ids, text, 512, &err), INV_OK);
    inv_ids_release(&ids);
}
END_TEST

START_TEST(ids_come_plain_or_from_json_lines) {
    struct inv_ids ids = INV_IDS_INIT;
    const char *path =
        put("ids.txt", "one\n{\"_id\":\"two\",\"title\":\"t\"}\n{\"id\":3}\n");
    ck_assert_int_eq(inv_ids_read(&ids, path, &err), INV_OK);
    ck_assert_uint_eq(inv_ids_find(&ids, "one"), 0);
    ck_assert_uint_eq(inv_ids_find(&ids, "two"), 1);
    ck_assert_uint_eq(inv_ids_find(&ids, "3"), 2);
    inv_ids_release(&ids);
    path = put("ids.txt", "one\n\n");
    ck_assert_int_eq(inv_ids_read(&ids, path, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
    inv_ids_release(&ids);
}
END_TEST

/* ---- embeddings ---- */

START_TEST(row_i_of_a_matrix_belongs_to_line_i) {
    const struct inv_embedding_files files = {
        .npy = put_matrix(), .ids = put("ids.txt", "a\nb\nc\nd\n")};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_OK);
    ck_assert_uint_eq(e.dim, DIM);
    expect_row(inv_ids_find(&e.ids, "c"), "vector", floats + 2 * DIM, 1);
}
END_TEST

START_TEST(a_matrix_without_ids_is_numbered) {
    const struct inv_embedding_files files = {.npy = put_matrix()};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_OK);
    ck_assert_uint_eq(inv_ids_find(&e.ids, "3"), 3);
    ck_assert_uint_eq(inv_ids_find(&e.ids, "4"), INV_NO_ROW);
}
END_TEST

START_TEST(too_few_ids_are_refused_with_both_numbers) {
    const struct inv_embedding_files files = {
        .npy = put_matrix(), .ids = put("ids.txt", "a\nb\nc\n")};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "3 ids"));
    ck_assert_ptr_nonnull(strstr(err.text, "4 items"));
}
END_TEST

START_TEST(tokens_of_a_document_stay_together) {
    const int64_t offsets[] = {0, 1, 4};
    const size_t shape[1] = {3};
    const char *path = in_folder("offsets.npy");
    ck_assert_int_eq(inv_npy_write(path, INV_NPY_I64, offsets, 1, shape, &err),
                     INV_OK);
    const struct inv_embedding_files files = {.npy = put_matrix(),
                                              .offsets = path};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_INVALID);
    ck_assert_int_eq(inv_embeddings_open(&files, true, &e, &err), INV_OK);
    expect_row(1, "vectors", floats + DIM, 3);
}
END_TEST

START_TEST(json_lines_give_the_same_as_a_matrix) {
    const struct inv_embedding_files files = {
        .lines = put("v.jsonl", "{\"id\":\"x\",\"vector\":[1,2,3]}\n\n"
                                "{\"id\":7,\"vector\":[4,5,6]}\n")};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_OK);
    ck_assert_uint_eq(e.ids.count, 2);
    ck_assert_uint_eq(e.dim, DIM);
    expect_row(inv_ids_find(&e.ids, "7"), "vector", floats + DIM, 1);
}
END_TEST

START_TEST(lines_of_unequal_dimensions_are_refused_with_the_line) {
    const struct inv_embedding_files files = {
        .lines = put("v.jsonl", "{\"id\":\"x\",\"vector\":[1,2,3]}\n"
                                "{\"id\":\"y\",\"vector\":[4,5]}\n")};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err),
                     INV_DIMENSION);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
    ck_assert_ptr_nonnull(strstr(err.text, "3 dimensions"));
    ck_assert_ptr_nonnull(strstr(err.text, "got 2"));
}
END_TEST

START_TEST(a_line_without_vectors_is_refused) {
    const struct inv_embedding_files files = {
        .lines = put("v.jsonl", "{\"id\":\"x\",\"text\":\"t\"}\n")};
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "\"vector\""));
    const struct inv_embedding_files empty = {.lines = put("v.jsonl", "\n")};
    ck_assert_int_eq(inv_embeddings_open(&empty, false, &e, &err), INV_INVALID);
}
END_TEST

START_TEST(a_folder_gives_title_and_text) {
    put("corpus.jsonl", "{\"_id\":\"1\",\"title\":\"A\",\"text\":\"b \\\"c\"}\n"
                        "{\"_id\":\"2\",\"text\":\"d\"}\n");
    const struct inv_embedding_files files = {.folder = folder};
    struct inv_buf out = INV_BUF_INIT;
    ck_assert_int_eq(inv_embeddings_open(&files, false, &e, &err), INV_OK);
    ck_assert_uint_eq(e.dim, 0);
    inv_embeddings_put(&e, inv_ids_find(&e.ids, "1"), &out);
    ck_assert_str_eq(out.data, "\"text\":\"A b \\\"c\"");
    inv_buf_release(&out);
}
END_TEST

START_TEST(the_end_of_a_name_says_what_a_file_is) {
    struct inv_embedding_files files = {.npy = NULL};
    inv_embedding_files_set(&files, "a.npy");
    ck_assert_str_eq(files.npy, "a.npy");
    ck_assert_ptr_null(files.lines);
    files = (struct inv_embedding_files){.npy = NULL};
    inv_embedding_files_set(&files, "a.npy.jsonl.gz");
    ck_assert_ptr_null(files.npy);
    ck_assert_str_eq(files.lines, "a.npy.jsonl.gz");
    files = (struct inv_embedding_files){.npy = NULL};
    inv_embedding_files_set(&files, NULL);
    ck_assert_ptr_null(files.npy);
    ck_assert_ptr_null(files.lines);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/embeddings");
    TCase *ids = tcase_create("ids");
    TCase *tests = tcase_create("embeddings");
    tcase_add_checked_fixture(ids, begin, end);
    tcase_add_test(ids, every_one_of_many_ids_is_found_at_its_row);
    tcase_add_test(ids, an_id_that_stands_twice_is_refused_with_both_rows);
    tcase_add_test(ids, impossible_ids_are_refused);
    tcase_add_test(ids, ids_come_plain_or_from_json_lines);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, row_i_of_a_matrix_belongs_to_line_i);
    tcase_add_test(tests, a_matrix_without_ids_is_numbered);
    tcase_add_test(tests, too_few_ids_are_refused_with_both_numbers);
    tcase_add_test(tests, tokens_of_a_document_stay_together);
    tcase_add_test(tests, json_lines_give_the_same_as_a_matrix);
    tcase_add_test(tests,
                   lines_of_unequal_dimensions_are_refused_with_the_line);
    tcase_add_test(tests, a_line_without_vectors_is_refused);
    tcase_add_test(tests, a_folder_gives_title_and_text);
    tcase_add_test(tests, the_end_of_a_name_says_what_a_file_is);
    suite_add_tcase(suite, ids);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
