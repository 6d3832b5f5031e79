/*
 * test_ann.c: what every kind of index owes a searcher, for all kinds and both
 * metrics, with the exact scan as the oracle. All indexes are built once,
 * before Check forks; building and files: test_ann_build.c.
 */
#include "base/bitset.h"
#include "base/kernels.h"
#include "base/rng.h"
#include "tests/support/ann_cases.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 2000
#define QUERIES 30
#define DIMS 2
#define CASES_MAX 16

static const size_t dims[DIMS] = {32, 96};

/* Rows and, after them, the queries; what is built of them. */
static struct ann_rows rows[DIMS];
static struct inv_ann *built[DIMS][CASES_MAX];
static struct inv_ann *oracle[DIMS][2]; /* by metric */

static void build_all(void) {
    ck_assert_int_le(ann_case_count, CASES_MAX);
    for (int d = 0; d < DIMS; d++) {
        ann_rows_init(&rows[d], ROWS + QUERIES, dims[d], 1);
        for (int i = 0; i < ann_case_count; i++) {
            built[d][i] = ann_must_build(&ann_cases[i], &rows[d], ROWS);
            if (ann_cases[i].type == INV_ANN_FLAT &&
                ann_cases[i].dtype == INV_F32)
                oracle[d][ann_cases[i].metric] = built[d][i];
        }
    }
}

static void free_all(void) {
    for (int d = 0; d < DIMS; d++) {
        for (int i = 0; i < ann_case_count; i++)
            inv_ann_free(built[d][i]);
        ann_rows_release(&rows[d]);
    }
}

static const float *query(int d, size_t i) {
    return rows[d].data + (ROWS + i) * dims[d];
}

START_TEST(recall_against_the_exact_scan_is_above_its_threshold) {
    const struct ann_case *which = &ann_cases[_i];
    struct inv_ann_hit want[10], got[100];
    for (int d = 0; d < DIMS; d++) {
        size_t at10 = 0, at100 = 0;
        for (size_t q = 0; q < QUERIES; q++) {
            size_t n = ann_must_search(oracle[d][which->metric], query(d, q),
                                       10, NULL, want);
            ck_assert_uint_eq(n, 10);
            n = ann_must_search(built[d][_i], query(d, q), 10, NULL, got);
            at10 += ann_common(want, 10, got, n);
            n = ann_must_search(built[d][_i], query(d, q), 100, NULL, got);
            at100 += ann_common(want, 10, got, n);
        }
        double of = 10.0 * QUERIES;
        ck_assert_msg((double)at10 >= which->recall10 * of,
                      "%s, %zu dimensions: recall %.3f of 10", which->name,
                      dims[d], (double)at10 / of);
        ck_assert_msg((double)at100 >= which->recall100 * of,
                      "%s, %zu dimensions: recall %.3f of 10 in 100",
                      which->name, dims[d], (double)at100 / of);
    }
}
END_TEST

START_TEST(scores_are_the_metric_with_higher_better) {
    const struct ann_case *which = &ann_cases[_i];
    float tolerance = 1e-4f;
    if (inv_ann_capabilities(built[0][_i]) & INV_ANN_COMPRESSED)
        tolerance = which->metric == INV_METRIC_IP ? 0.3f : 0.6f;
    struct inv_ann_hit hits[10];
    for (size_t q = 0; q < QUERIES; q++) {
        size_t n = ann_must_search(built[0][_i], query(0, q), 10, NULL, hits);
        ck_assert_uint_eq(n, 10);
        for (size_t i = 0; i < n; i++) {
            const float *row = rows[0].data + hits[i].entry * dims[0];
            float want = which->metric == INV_METRIC_IP
                             ? inv_dot_f32(query(0, q), row, dims[0])
                             : -inv_l2sq_f32(query(0, q), row, dims[0]);
            ck_assert(fabsf(hits[i].score - want) <= tolerance);
        }
    }
}
END_TEST

START_TEST(k_beyond_the_rows_returns_no_entry_twice) {
    static struct inv_ann_hit hits[ROWS + 50];
    static bool seen[ROWS];
    const struct inv_ann *ann = built[0][_i];
    struct inv_ann_params all = {.ef = ROWS, .nprobe = ROWS};
    size_t n = ann_must_search(ann, query(0, 0), ROWS + 50, &all, hits);
    unsigned caps = inv_ann_capabilities(ann);
    if (caps & INV_ANN_EXACT || caps & INV_ANN_NPROBE)
        ck_assert_uint_eq(n, ROWS);
    if (caps & INV_ANN_EF) /* what the graph reaches */
        ck_assert_uint_ge(n, ROWS * 99 / 100);
    ck_assert_uint_ge(n, 100);
    for (size_t i = 0; i < n; i++) {
        ck_assert(!seen[hits[i].entry]);
        seen[hits[i].entry] = true;
    }
}
END_TEST

START_TEST(a_k_of_zero_finds_nothing) {
    ck_assert_uint_eq(ann_must_search(built[0][_i], query(0, 0), 0, NULL, NULL),
                      0);
}
END_TEST

START_TEST(a_larger_k_begins_with_the_results_of_a_smaller_one) {
    struct inv_ann_hit few[1], many[40];
    if (ann_cases[_i].pq_bits == 4)
        return; /* fast scan breaks its many ties by a different method */
    for (size_t q = 0; q < QUERIES; q++) {
        ann_must_search(built[0][_i], query(0, q), 1, NULL, few);
        ann_must_search(built[0][_i], query(0, q), 40, NULL, many);
        ck_assert(few[0].score == many[0].score);
    }
}
END_TEST

/* Of one share of the rows: only they are found, and of the best of them as
 * many as recall promises. */
static void check_share(int which, const uint64_t *allowed) {
    const struct inv_ann *exact = oracle[0][ann_cases[which].metric];
    struct inv_ann_params params = {.allowed = allowed};
    size_t total = inv_bitset_count(allowed, ROWS);
    size_t common = 0, wanted = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        struct inv_ann_hit want[10], got[10];
        size_t n =
            ann_must_search(built[0][which], query(0, q), 10, &params, got);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(inv_bitset_has(allowed, got[i].entry),
                          "%s found entry %u, which is not allowed",
                          ann_cases[which].name, (unsigned)got[i].entry);
        ck_assert_uint_eq(n, total < 10 ? total : 10);
        size_t of = ann_must_search(exact, query(0, q), 10, &params, want);
        common += ann_common(want, of, got, n);
        wanted += of;
    }
    ck_assert_msg((double)common >=
                      (ann_cases[which].recall10 - 0.05) * (double)wanted,
                  "%s, %zu rows allowed: recall %zu of %zu",
                  ann_cases[which].name, total, common, wanted);
}

START_TEST(only_allowed_entries_are_found_however_few) {
    static const double shares[] = {0.9, 0.5, 0.2, 0.05, 0.01, 0.002};
    uint64_t allowed[(ROWS + 63) / 64];
    if ((inv_ann_capabilities(built[0][_i]) & INV_ANN_SELECTOR) == 0)
        return;
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        struct inv_stream stream;
        inv_stream_init(&stream, 5, "share", s);
        memset(allowed, 0, sizeof allowed);
        for (size_t i = 0; i < ROWS; i++)
            if (inv_stream_uniform(&stream) < shares[s])
                inv_bitset_add(allowed, i);
        check_share(_i, allowed);
    }
    memset(allowed, 0, sizeof allowed);
    check_share(_i, allowed);
    inv_bitset_add(allowed, ROWS - 1);
    check_share(_i, allowed);
    inv_bitset_fill(allowed, ROWS);
    check_share(_i, allowed);
}
END_TEST

START_TEST(a_filter_without_selector_is_refused) {
    uint64_t allowed[(ROWS + 63) / 64];
    struct inv_ann_params params = {.allowed = allowed};
    struct inv_ann_hit hits[10];
    size_t found = 1;
    struct inv_err err;
    inv_bitset_fill(allowed, ROWS);
    if (inv_ann_capabilities(built[0][_i]) & INV_ANN_SELECTOR)
        return;
    ck_assert_int_eq(ann_cases[_i].type, INV_ANN_IVF_PQ);
    ck_assert_int_eq(inv_ann_search(built[0][_i], query(0, 0), 10, &params,
                                    hits, &found, &err),
                     INV_UNSUPPORTED);
    ck_assert_uint_eq(found, 0);
}
END_TEST

/* How much of the exact top 10 of all queries is found. */
static size_t found_with(int which, const struct inv_ann_params *params) {
    size_t common = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        struct inv_ann_hit want[10], got[10];
        ann_must_search(oracle[1][ann_cases[which].metric], query(1, q), 10,
                        NULL, want);
        size_t n =
            ann_must_search(built[1][which], query(1, q), 10, params, got);
        common += ann_common(want, 10, got, n);
    }
    return common;
}

START_TEST(more_effort_finds_more) {
    unsigned caps = inv_ann_capabilities(built[1][_i]);
    struct inv_ann_params little = {.ef = 10, .nprobe = 1};
    struct inv_ann_params much = {.ef = ROWS, .nprobe = ROWS};
    size_t worst = found_with(_i, &little), best = found_with(_i, &much);
    /* Compressed scores may prefer a wrong row of a list that was not read
     * before: 129 instead of 132 of 200 with 4-bit codes. */
    size_t slack = caps & INV_ANN_COMPRESSED ? QUERIES / 2 : 0;
    ck_assert_uint_ge(best + slack, worst);
    if (caps & INV_ANN_NPROBE && !(caps & INV_ANN_COMPRESSED)) {
        ck_assert_uint_eq(best, 10 * QUERIES);
        ck_assert_uint_lt(worst, best);
    }
    if (caps & INV_ANN_EF && !(caps & INV_ANN_COMPRESSED))
        ck_assert_uint_ge(best, 10 * QUERIES - 2);
}
END_TEST

/* FAISS' global statistics must not matter, nor the thread of the caller. */
struct searcher {
    const struct inv_ann *ann;
    struct inv_ann_hit hits[QUERIES][10];
    size_t found[QUERIES];
};

static void *search_all(void *arg) {
    struct searcher *self = arg;
    for (size_t q = 0; q < QUERIES; q++)
        self->found[q] =
            ann_must_search(self->ann, query(0, q), 10, NULL, self->hits[q]);
    return NULL;
}

START_TEST(threads_searching_at_once_get_the_same_answers) {
    static struct searcher searchers[5];
    pthread_t threads[4];
    for (int i = 0; i < 5; i++)
        searchers[i].ann = built[0][_i];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, search_all, &searchers[i]), 0);
    search_all(&searchers[4]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert_mem_eq(searchers[i].found, searchers[4].found,
                         sizeof searchers[4].found);
        for (size_t q = 0; q < QUERIES; q++)
            ck_assert_mem_eq(searchers[i].hits[q], searchers[4].hits[q],
                             searchers[4].found[q] *
                                 sizeof(struct inv_ann_hit));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ann");
    TCase *tc = tcase_create("every kind");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, build_all, free_all);
    int n = ann_case_count;
    tcase_add_loop_test(
        tc, recall_against_the_exact_scan_is_above_its_threshold, 0, n);
    tcase_add_loop_test(tc, scores_are_the_metric_with_higher_better, 0, n);
    tcase_add_loop_test(tc, k_beyond_the_rows_returns_no_entry_twice, 0, n);
    tcase_add_loop_test(tc, a_k_of_zero_finds_nothing, 0, n);
    tcase_add_loop_test(tc, a_larger_k_begins_with_the_results_of_a_smaller_one,
                        0, n);
    tcase_add_loop_test(tc, only_allowed_entries_are_found_however_few, 0, n);
    tcase_add_loop_test(tc, a_filter_without_selector_is_refused, 0, n);
    tcase_add_loop_test(tc, more_effort_finds_more, 0, n);
    tcase_add_loop_test(tc, threads_searching_at_once_get_the_same_answers, 0,
                        n);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
