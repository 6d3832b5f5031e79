/*
 * test_ann_build.c: what every kind of index owes its builder: cancelling,
 * failing sources, few or equal rows, reproducibility, and files that are
 * either read back exactly or refused. Searching: test_ann.c.
 */
#include "base/buf.h"
#include "tests/support/ann_cases.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROWS 1200 /* enough for a real product quantizer */
#define QUERIES 10
#define DIM 16

static struct ann_rows rows;
static char dir[] = "/tmp/invar-ann-XXXXXX";
static char path[64], other[64];

static void setup(void) {
    ann_rows_init(&rows, ROWS + QUERIES, DIM, 3);
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
}

static void teardown(void) {
    unlink(path);
    unlink(other);
    rmdir(dir);
    ann_rows_release(&rows);
}

static const float *query(size_t i) { return rows.data + (ROWS + i) * DIM; }

static void must(enum inv_status status, const struct inv_err *err) {
    ck_assert_msg(status == INV_OK, "%s", status == INV_OK ? "" : err->text);
}

static void must_save(const struct inv_ann *ann, const char *to) {
    struct inv_err err;
    must(inv_ann_save(ann, to, &err), &err);
}

static enum inv_status try_open(int which, const char *from,
                                struct inv_ann **out) {
    struct inv_ann_config config = ann_config(&ann_cases[which], DIM);
    struct inv_err err = {.text = ""};
    enum inv_status status = inv_ann_open(&config, from, ROWS, out, &err);
    ck_assert((status == INV_OK) == (err.text[0] == '\0'));
    ck_assert((status == INV_OK) == (*out != NULL));
    return status;
}

START_TEST(a_reopened_index_gives_the_same_answers) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS), *back;
    must_save(ann, path);
    ck_assert_int_eq(try_open(_i, path, &back), INV_OK);
    ck_assert_uint_eq(inv_ann_count(back), ROWS);
    ck_assert_uint_eq(inv_ann_capabilities(back), inv_ann_capabilities(ann));
    ck_assert_uint_eq(inv_ann_bytes(back), inv_ann_bytes(ann));
    const struct inv_ann_config *was = inv_ann_get_config(ann);
    const struct inv_ann_config *is = inv_ann_get_config(back);
    ck_assert_uint_eq(is->nlist, was->nlist);
    ck_assert_uint_eq(is->nprobe, was->nprobe);
    ck_assert_uint_eq(is->pq_m, was->pq_m);
    for (size_t q = 0; q < QUERIES; q++) {
        struct inv_ann_hit before[50], after[50];
        size_t n = ann_must_search(ann, query(q), 50, NULL, before);
        ck_assert_uint_ge(n, 20);
        ck_assert_uint_eq(ann_must_search(back, query(q), 50, NULL, after), n);
        ck_assert_mem_eq(before, after, n * sizeof before[0]);
    }
    must_save(back, other); /* and what was opened can be saved */
    inv_ann_free(back);
    inv_ann_free(ann);
}
END_TEST

START_TEST(the_same_rows_and_seed_give_the_same_file) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    must_save(ann, path);
    inv_ann_free(ann);
    ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    must_save(ann, other);
    inv_ann_free(ann);
    struct inv_buf a = INV_BUF_INIT, b = INV_BUF_INIT;
    struct inv_err err;
    must(inv_buf_read_file(&a, path, 1 << 24, &err), &err);
    must(inv_buf_read_file(&b, other, 1 << 24, &err), &err);
    ck_assert_uint_eq(a.len, b.len);
    ck_assert_mem_eq(a.data, b.data, a.len);
    inv_buf_release(&a);
    inv_buf_release(&b);
}
END_TEST

static void rewrite(const char *to, const char *bytes, size_t len) {
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

START_TEST(a_damaged_or_cut_file_is_refused) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    must_save(ann, path);
    inv_ann_free(ann);
    struct inv_buf file = INV_BUF_INIT;
    struct inv_err err;
    must(inv_buf_read_file(&file, path, 1 << 24, &err), &err);
    const size_t lengths[] = {0,   1,   64,           127,
                              128, 129, file.len / 2, file.len - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        rewrite(other, file.data, lengths[i]);
        ck_assert_int_eq(try_open(_i, other, &ann), INV_CORRUPT);
    }
    for (size_t at = 0; at < file.len; at += at < 130 ? 3 : file.len / 20) {
        file.data[at] ^= 0x20;
        rewrite(other, file.data, file.len);
        ck_assert_int_eq(try_open(_i, other, &ann), INV_CORRUPT);
        file.data[at] ^= 0x20;
    }
    inv_buf_putc(&file, 'x');
    rewrite(other, file.data, file.len);
    ck_assert_int_eq(try_open(_i, other, &ann), INV_CORRUPT);
    inv_buf_release(&file);
}
END_TEST

START_TEST(a_file_of_something_else_is_refused_with_both_numbers) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    must_save(ann, path);
    inv_ann_free(ann);
    struct inv_err err;
    struct inv_ann_config config = ann_config(&ann_cases[_i], DIM + 4);
    ck_assert_int_eq(inv_ann_open(&config, path, ROWS, &ann, &err),
                     INV_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "dimensions 20, got 16"));
    config.dim = DIM;
    ck_assert_int_eq(inv_ann_open(&config, path, ROWS + 1, &ann, &err),
                     INV_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "rows 1201, got 1200"));
    config.metric =
        config.metric == INV_METRIC_IP ? INV_METRIC_L2 : INV_METRIC_IP;
    ck_assert_int_eq(inv_ann_open(&config, path, ROWS, &ann, &err),
                     INV_CORRUPT);
    config = ann_config(&ann_cases[_i], DIM);
    config.type = config.type == INV_ANN_HNSW ? INV_ANN_HNSW_SQ8 : INV_ANN_HNSW;
    ck_assert_int_eq(inv_ann_open(&config, path, ROWS, &ann, &err),
                     INV_CORRUPT);
}
END_TEST

START_TEST(a_missing_file_is_an_io_error_and_an_existing_one_is_kept) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS), *none;
    ck_assert_int_eq(try_open(_i, path, &none), INV_IO);
    rewrite(path, "precious", 8);
    struct inv_err err;
    ck_assert_int_eq(inv_ann_save(ann, path, &err), INV_IO);
    struct inv_buf file = INV_BUF_INIT;
    must(inv_buf_read_file(&file, path, 100, &err), &err);
    ck_assert_str_eq(file.data, "precious");
    inv_buf_release(&file);
    inv_ann_free(ann);
}
END_TEST

/* A limit on file sizes stands in for a full disk. */
START_TEST(a_write_that_fails_is_reported_and_leaves_no_file) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    struct rlimit limit = {4096, 4096};
    struct inv_err err;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(inv_ann_save(ann, path, &err), INV_IO);
    ck_assert_int_eq(access(path, F_OK), -1);
    inv_ann_free(ann);
}
END_TEST

/* What a build does when the source stops at its n-th call. */
static enum inv_status build_with(int which, size_t fail_read_at,
                                  size_t cancel_at) {
    struct inv_ann_config config = ann_config(&ann_cases[which], DIM);
    struct inv_ann_source source = ann_source(&rows);
    struct inv_ann *ann;
    struct inv_err err;
    rows.reads = rows.calls = 0;
    rows.fail_read_at = fail_read_at;
    rows.cancel_at = cancel_at;
    enum inv_status status = inv_ann_build(&config, &source, &ann, &err);
    ck_assert((status == INV_OK) == (ann != NULL));
    inv_ann_free(ann);
    return status;
}

START_TEST(progress_can_cancel_at_every_call) {
    ck_assert_int_eq(build_with(_i, 0, 0), INV_OK);
    size_t calls = rows.calls;
    ck_assert_uint_ge(calls, 2);
    size_t step = calls > 8 ? calls / 8 : 1;
    for (size_t n = 1; n <= calls; n += step)
        ck_assert_int_eq(build_with(_i, 0, n), INV_CANCELLED);
    ck_assert_int_eq(build_with(_i, 0, calls), INV_CANCELLED);
}
END_TEST

START_TEST(a_failing_read_stops_the_build_with_its_error) {
    ck_assert_int_eq(build_with(_i, 0, 0), INV_OK);
    size_t reads = rows.reads;
    ck_assert_uint_ge(reads, 1);
    ck_assert_int_eq(build_with(_i, 1, 0), INV_IO);
    ck_assert_int_eq(build_with(_i, reads, 0), INV_IO);
}
END_TEST

START_TEST(an_index_of_few_rows_works) {
    static const size_t counts[] = {1, 2, 15, 100, 1023, 1024};
    static struct inv_ann_hit hits[ROWS];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        size_t n = counts[i];
        struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, n), *back;
        struct inv_ann_config config = ann_config(&ann_cases[_i], DIM);
        struct inv_err err;
        must_save(ann, path);
        must(inv_ann_open(&config, path, n, &back, &err), &err);
        unlink(path);
        struct inv_ann_params all = {.ef = ROWS, .nprobe = ROWS};
        /* unit rows: each is its own nearest neighbour */
        size_t found =
            ann_must_search(back, rows.data + (n - 1) * DIM, n, &all, hits);
        if (inv_ann_capabilities(back) & INV_ANN_SELECTOR) {
            ck_assert_uint_eq(found, n);
            if (!(inv_ann_capabilities(back) & INV_ANN_COMPRESSED))
                ck_assert_uint_eq(hits[0].entry, n - 1);
        } else {
            ck_assert_uint_ge(n, 1024);
            ck_assert_uint_ge(found, n / 2);
        }
        inv_ann_free(back);
        inv_ann_free(ann);
    }
}
END_TEST

/* Equal rows fill HNSW's neighbour lists, which makes an insertion ten times as
 * slow: a millisecond. */
static size_t rows_for_ties(int which) {
    return inv_ann_type_name(ann_cases[which].type)[0] == 'h' ? 100 : ROWS;
}

START_TEST(equal_rows_tie_and_rank_by_entry) {
    static struct inv_ann_hit hits[ROWS];
    struct ann_rows equal;
    ann_rows_init(&equal, ROWS, DIM, 9);
    for (size_t i = 1; i < ROWS; i++)
        memcpy(equal.data + i * DIM, equal.data, DIM * sizeof(float));
    struct inv_ann *ann =
        ann_must_build(&ann_cases[_i], &equal, rows_for_ties(_i));
    struct inv_ann_params all = {.ef = ROWS, .nprobe = ROWS};
    size_t n = ann_must_search(ann, equal.data, 20, &all, hits);
    if (inv_ann_capabilities(ann) & INV_ANN_SELECTOR)
        ck_assert_uint_eq(n, 20);
    if (inv_ann_capabilities(ann) & INV_ANN_EXACT)
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(hits[i].entry, i);
    inv_ann_free(ann);
    ann_rows_release(&equal);
}
END_TEST

START_TEST(rows_of_one_dimension_and_all_zero_rows_work) {
    static const size_t dims[] = {1, 3, 7};
    size_t count = rows_for_ties(_i);
    for (size_t i = 0; i < 3; i++) {
        struct ann_rows thin;
        struct inv_ann_hit hits[5];
        ann_rows_init(&thin, count, dims[i], 11);
        memset(thin.data, 0, count / 2 * dims[i] * sizeof(float));
        struct inv_ann *ann = ann_must_build(&ann_cases[_i], &thin, count);
        ann_must_search(ann, thin.data + (count - 1) * dims[i], 5, NULL, hits);
        inv_ann_free(ann);
        ann_rows_release(&thin);
    }
}
END_TEST

/* One of each way FAISS works in parallel. */
static const int parallel[] = {4, 8, 12, 15};

START_TEST(building_with_two_threads_finds_as_much) {
    struct inv_ann_config config = ann_config(&ann_cases[parallel[_i]], DIM);
    struct inv_ann_source source = ann_source(&rows);
    struct inv_ann *ann;
    struct inv_err err;
    config.threads = 2;
    source.count = ROWS;
    must(inv_ann_build(&config, &source, &ann, &err), &err);
    struct inv_ann_hit hits[100];
    for (size_t row = 0; row < 200; row++) {
        size_t n = ann_must_search(ann, rows.data + row * DIM, 100, NULL, hits);
        size_t at = 0;
        while (at < n && hits[at].entry != row)
            at++;
        ck_assert_uint_lt(at, n);
    }
    inv_ann_free(ann);
}
END_TEST

START_TEST(the_estimate_covers_the_finished_index) {
    struct inv_ann *ann = ann_must_build(&ann_cases[_i], &rows, ROWS);
    struct inv_ann_config config = ann_config(&ann_cases[_i], DIM);
    ck_assert_uint_ge(inv_ann_bytes(ann), ROWS * DIM / 8);
    ck_assert_uint_ge(inv_ann_estimate(&config, ROWS), inv_ann_bytes(ann));
    ck_assert_uint_gt(inv_ann_estimate(&config, 100 * ROWS),
                      inv_ann_estimate(&config, ROWS));
    inv_ann_free(ann);
}
END_TEST

START_TEST(type_names_are_read_back) {
    for (int i = INV_ANN_FLAT; i <= INV_ANN_AUTO; i++)
        ck_assert_int_eq(inv_ann_type_parse(inv_ann_type_name(i)), i);
    ck_assert_str_eq(inv_ann_type_name(INV_ANN_IVF_PQ), "ivf_pq");
    ck_assert_int_eq(inv_ann_type_parse("lsh"), -1);
    ck_assert_ptr_null(inv_ann_type_name((enum inv_ann_type)99));
}
END_TEST

static const struct inv_ann_config bad[] = {
    {.type = INV_ANN_AUTO, .dim = 8, .dtype = INV_F32, .threads = 1},
    {.type = INV_ANN_FLAT, .dim = 0, .dtype = INV_F32, .threads = 1},
    {.type = INV_ANN_FLAT, .dim = 8, .dtype = INV_I8, .threads = 1},
    {.type = INV_ANN_FLAT, .dim = 8, .dtype = INV_F32, .threads = 0},
    {.type = INV_ANN_FLAT, .dim = 70000, .dtype = INV_F32, .threads = 1},
    {.type = INV_ANN_HNSW, .dim = 8, .threads = 1, .hnsw_m = 1},
    {.type = INV_ANN_HNSW,
     .dim = 8,
     .threads = 1,
     .hnsw_ef_construction = 100000},
    {.type = INV_ANN_IVF_PQ, .dim = 8, .threads = 1, .pq_m = 3},
    {.type = INV_ANN_IVF_PQ, .dim = 8, .threads = 1, .pq_bits = 5},
    {.type = INV_ANN_IVF_FLAT, .dim = 8, .threads = 1, .nlist = 1 << 21},
    {.type = INV_ANN_FLAT,
     .dim = 8,
     .dtype = INV_F32,
     .threads = 1,
     .metric = (enum inv_metric)2},
};

START_TEST(a_bad_configuration_is_refused_before_any_row_is_read) {
    struct inv_ann_source source = ann_source(&rows);
    struct inv_err err = {.text = ""};
    struct inv_ann *ann;
    ck_assert_int_eq(inv_ann_build(&bad[_i], &source, &ann, &err), INV_INVALID);
    ck_assert(err.text[0] != '\0');
    ck_assert_uint_eq(rows.reads, 0);
    ck_assert_int_eq(inv_ann_open(&bad[_i], path, 10, &ann, &err), INV_INVALID);
}
END_TEST

START_TEST(an_index_of_no_rows_is_refused) {
    struct inv_ann_config config = ann_config(&ann_cases[_i], DIM);
    struct inv_ann_source source = ann_source(&rows);
    struct inv_ann *ann;
    source.count = 0;
    ck_assert_int_eq(inv_ann_build(&config, &source, &ann, NULL), INV_INVALID);
}
END_TEST

START_TEST(given_numbers_are_used_or_lowered_to_the_rows) {
    struct inv_ann_config config = {.type = INV_ANN_IVF_PQ,
                                    .dim = DIM,
                                    .threads = 1,
                                    .nlist = 5,
                                    .nprobe = 3,
                                    .pq_m = 2,
                                    .pq_bits = 8,
                                    .train_size = 700};
    struct inv_ann_source source = ann_source(&rows);
    struct inv_ann *ann;
    struct inv_err err;
    must(inv_ann_build(&config, &source, &ann, &err), &err);
    ck_assert_uint_eq(inv_ann_get_config(ann)->nlist, 5);
    ck_assert_uint_eq(inv_ann_get_config(ann)->nprobe, 3);
    ck_assert_uint_eq(inv_ann_get_config(ann)->pq_m, 2);
    ck_assert_uint_eq(inv_ann_get_config(ann)->train_size, 700);
    inv_ann_free(ann);
    config.train_size = 10; /* 256 centroids need as many rows */
    config.nlist = 100000;
    must(inv_ann_build(&config, &source, &ann, &err), &err);
    ck_assert_uint_eq(inv_ann_get_config(ann)->train_size, 256);
    ck_assert_uint_eq(inv_ann_get_config(ann)->nlist, 10);
    inv_ann_free(ann);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ann build");
    TCase *tc = tcase_create("every kind");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    int n = ann_case_count;
    tcase_add_loop_test(tc, a_reopened_index_gives_the_same_answers, 0, n);
    tcase_add_loop_test(tc, the_same_rows_and_seed_give_the_same_file, 0, n);
    tcase_add_loop_test(tc, a_damaged_or_cut_file_is_refused, 0, n);
    tcase_add_loop_test(
        tc, a_file_of_something_else_is_refused_with_both_numbers, 0, n);
    tcase_add_loop_test(
        tc, a_missing_file_is_an_io_error_and_an_existing_one_is_kept, 0, n);
    tcase_add_loop_test(tc, a_write_that_fails_is_reported_and_leaves_no_file,
                        0, n);
    tcase_add_loop_test(tc, progress_can_cancel_at_every_call, 0, n);
    tcase_add_loop_test(tc, a_failing_read_stops_the_build_with_its_error, 0,
                        n);
    tcase_add_loop_test(tc, an_index_of_few_rows_works, 0, n);
    tcase_add_loop_test(tc, equal_rows_tie_and_rank_by_entry, 0, n);
    tcase_add_loop_test(tc, rows_of_one_dimension_and_all_zero_rows_work, 0, n);
    tcase_add_loop_test(tc, building_with_two_threads_finds_as_much, 0,
                        (int)(sizeof parallel / sizeof parallel[0]));
    tcase_add_loop_test(tc, the_estimate_covers_the_finished_index, 0, n);
    tcase_add_loop_test(tc, an_index_of_no_rows_is_refused, 0, n);
    tcase_add_loop_test(tc,
                        a_bad_configuration_is_refused_before_any_row_is_read,
                        0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tc, type_names_are_read_back);
    tcase_add_test(tc, given_numbers_are_used_or_lowered_to_the_rows);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
