/*
 * test_topk.c: the heap against sorting everything, with many ties, in several
 * orders of pushing.
 */
#include "base/topk.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MANY 500

static int best_first(const void *a, const void *b) {
    const struct inv_topk_item *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Scores of few distinct values, so that ties are everywhere. */
static void fill(struct inv_topk_item *items, uint32_t seed) {
    uint32_t x = seed;
    for (uint32_t i = 0; i < MANY; i++) {
        x = x * 1664525 + 1013904223;
        items[i] = (struct inv_topk_item){i, (float)(x >> 28) - 8};
    }
}

static void check_order(const struct inv_topk_item *all, size_t k,
                        size_t stride) {
    struct inv_topk_item sorted[MANY], kept[MANY];
    struct inv_topk topk;
    memcpy(sorted, all, sizeof sorted);
    qsort(sorted, MANY, sizeof sorted[0], best_first);
    inv_topk_init(&topk, kept, k);
    for (size_t i = 0; i < MANY; i++) {
        struct inv_topk_item item = all[i * stride % MANY];
        inv_topk_push(&topk, item.score, item.entry);
    }
    inv_topk_sort(&topk);
    ck_assert_uint_eq(topk.count, k);
    for (size_t i = 0; i < k; i++) {
        ck_assert_uint_eq(kept[i].entry, sorted[i].entry);
        ck_assert(kept[i].score == sorted[i].score);
    }
}

START_TEST(keeps_what_sorting_everything_would_keep_in_any_order) {
    static const size_t ks[] = {1, 2, 3, 10, 64, 499, 500};
    static const size_t strides[] = {1, 3, 499, 77}; /* coprime with MANY */
    struct inv_topk_item all[MANY];
    for (uint32_t seed = 1; seed <= 5; seed++) {
        fill(all, seed);
        for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++)
            for (size_t j = 0; j < 4; j++)
                check_order(all, ks[i], strides[j]);
    }
}
END_TEST

START_TEST(equal_scores_rank_by_the_smaller_entry) {
    struct inv_topk_item kept[3];
    struct inv_topk topk;
    inv_topk_init(&topk, kept, 3);
    static const uint32_t entries[] = {9, 4, 7, 1, 8, 2};
    for (size_t i = 0; i < 6; i++)
        inv_topk_push(&topk, 1.0f, entries[i]);
    inv_topk_sort(&topk);
    ck_assert_uint_eq(kept[0].entry, 1);
    ck_assert_uint_eq(kept[1].entry, 2);
    ck_assert_uint_eq(kept[2].entry, 4);
}
END_TEST

START_TEST(fewer_pushes_than_k_are_all_kept) {
    struct inv_topk_item kept[10];
    struct inv_topk topk;
    inv_topk_init(&topk, kept, 10);
    ck_assert(inv_topk_push(&topk, 1, 1));
    ck_assert(inv_topk_push(&topk, -INFINITY, 2));
    ck_assert(inv_topk_push(&topk, 3, 3));
    inv_topk_sort(&topk);
    ck_assert_uint_eq(topk.count, 3);
    ck_assert_uint_eq(kept[0].entry, 3);
    ck_assert_uint_eq(kept[2].entry, 2);
}
END_TEST

START_TEST(a_k_of_zero_keeps_nothing) {
    struct inv_topk topk;
    inv_topk_init(&topk, NULL, 0);
    ck_assert(!inv_topk_push(&topk, 1, 1));
    ck_assert(inv_topk_threshold(&topk) == INFINITY);
    inv_topk_sort(&topk);
    ck_assert_uint_eq(topk.count, 0);
}
END_TEST

START_TEST(a_nan_never_enters) {
    struct inv_topk_item kept[2];
    struct inv_topk topk;
    inv_topk_init(&topk, kept, 2);
    ck_assert(!inv_topk_push(&topk, NAN, 1));
    ck_assert(inv_topk_push(&topk, 1, 2));
    ck_assert(inv_topk_push(&topk, 2, 3));
    ck_assert(!inv_topk_push(&topk, NAN, 4));
    ck_assert_uint_eq(topk.count, 2);
}
END_TEST

START_TEST(threshold_is_the_worst_kept_score_once_full) {
    struct inv_topk_item kept[2];
    struct inv_topk topk;
    inv_topk_init(&topk, kept, 2);
    ck_assert(inv_topk_threshold(&topk) == -INFINITY);
    inv_topk_push(&topk, 5, 1);
    ck_assert(inv_topk_threshold(&topk) == -INFINITY);
    inv_topk_push(&topk, 3, 2);
    ck_assert(inv_topk_threshold(&topk) == 3);
    ck_assert(!inv_topk_push(&topk, 2.5f, 0));
    ck_assert(inv_topk_push(&topk, 4, 3));
    ck_assert(inv_topk_threshold(&topk) == 4);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("topk");
    TCase *tc = tcase_create("topk");
    tcase_add_test(tc, keeps_what_sorting_everything_would_keep_in_any_order);
    tcase_add_test(tc, equal_scores_rank_by_the_smaller_entry);
    tcase_add_test(tc, fewer_pushes_than_k_are_all_kept);
    tcase_add_test(tc, a_k_of_zero_keeps_nothing);
    tcase_add_test(tc, a_nan_never_enters);
    tcase_add_test(tc, threshold_is_the_worst_kept_score_once_full);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
