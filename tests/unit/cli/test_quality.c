/*
 * test_quality.c: cli/quality.h against values worked out by hand.
 */
#include "cli/quality.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define CLOSE(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

START_TEST(ndcg_of_the_ideal_order_is_one) {
    const double gains[] = {3, 2, 1, 0};
    const double ideal[] = {3, 2, 1};
    CLOSE(inv_quality_ndcg(gains, 4, ideal, 3, 10), 1);
}
END_TEST

/* Relevant at ranks 2 and 4 of 3 relevant ones:
 * (1/log2 3 + 1/log2 5) / (1 + 1/log2 3 + 1/2). */
START_TEST(ndcg_divides_by_all_relevant_documents) {
    const double gains[] = {0, 1, 0, 1, 0};
    const double ideal[] = {1, 1, 1};
    double want = (0.6309297535714574 + 0.43067655807339306) /
                  (1 + 0.6309297535714574 + 0.5);
    CLOSE(inv_quality_ndcg(gains, 5, ideal, 3, 10), want);
}
END_TEST

/* (1/1 + 3/log2 3) / (3 + 1/log2 3) */
START_TEST(ndcg_takes_graded_gains_as_they_are) {
    const double gains[] = {1, 3};
    const double ideal[] = {3, 1};
    double want = (1 + 3 * 0.6309297535714574) / (3 + 1 * 0.6309297535714574);
    CLOSE(inv_quality_ndcg(gains, 2, ideal, 2, 10), want);
}
END_TEST

START_TEST(ndcg_ends_at_k_on_both_sides) {
    const double gains[] = {0, 0, 1};
    const double ideal[] = {1, 1, 1};
    CLOSE(inv_quality_ndcg(gains, 3, ideal, 3, 2), 0);
    const double first[] = {1, 0, 1};
    double want = 1 / (1 + 0.6309297535714574);
    CLOSE(inv_quality_ndcg(first, 3, ideal, 3, 2), want);
}
END_TEST

START_TEST(nothing_relevant_gives_zero_not_nan) {
    const double gains[] = {0};
    CLOSE(inv_quality_ndcg(gains, 1, NULL, 0, 10), 0);
    CLOSE(inv_quality_recall(gains, 1, 0, 10), 0);
    CLOSE(inv_quality_reciprocal_rank(gains, 1, 10), 0);
}
END_TEST

START_TEST(recall_counts_within_k_of_all_relevant) {
    const double gains[] = {1, 0, 2, 1, 1};
    CLOSE(inv_quality_recall(gains, 5, 8, 3), 2.0 / 8);
    CLOSE(inv_quality_recall(gains, 5, 8, 100), 4.0 / 8);
}
END_TEST

START_TEST(reciprocal_rank_is_of_the_first_relevant_hit) {
    const double gains[] = {0, 0, 2, 1};
    CLOSE(inv_quality_reciprocal_rank(gains, 4, 10), 1.0 / 3);
    CLOSE(inv_quality_reciprocal_rank(gains, 4, 2), 0);
}
END_TEST

START_TEST(percentiles_are_of_the_nearest_rank) {
    double times[] = {5, 1, 4, 2, 3, 10, 9, 8, 7, 6};
    inv_quality_sort(times, 10);
    CLOSE(inv_quality_percentile(times, 10, .5), 5);
    CLOSE(inv_quality_percentile(times, 10, .95), 10);
    CLOSE(inv_quality_percentile(times, 10, .9), 9);
    CLOSE(inv_quality_percentile(times, 10, 0), 1);
    CLOSE(inv_quality_percentile(times, 10, 1), 10);
    CLOSE(inv_quality_percentile(times, 0, .5), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/quality");
    TCase *tests = tcase_create("quality");
    tcase_add_test(tests, ndcg_of_the_ideal_order_is_one);
    tcase_add_test(tests, ndcg_divides_by_all_relevant_documents);
    tcase_add_test(tests, ndcg_takes_graded_gains_as_they_are);
    tcase_add_test(tests, ndcg_ends_at_k_on_both_sides);
    tcase_add_test(tests, nothing_relevant_gives_zero_not_nan);
    tcase_add_test(tests, recall_counts_within_k_of_all_relevant);
    tcase_add_test(tests, reciprocal_rank_is_of_the_first_relevant_hit);
    tcase_add_test(tests, percentiles_are_of_the_nearest_rank);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
