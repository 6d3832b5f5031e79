/*
 * test_score_map.c: encoders/adapters/score_map.h: monotone both ways, through
 * its knots, and never undefined.
 */
#include "encoders/adapters/score_map.h"

#include "adapters_fixture.h"

static void check_monotone(const struct inv_score_map *map) {
    double last = -INFINITY, last_back = -INFINITY;
    for (double s = -2; s <= 2; s += .01) {
        double there = inv_score_map_apply(map, s);
        double back = inv_score_map_invert(map, s);
        ck_assert_double_gt(there, last);
        ck_assert_double_gt(back, last_back);
        ck_assert_double_eq_tol(inv_score_map_invert(map, there), s, 1e-9);
        ck_assert_double_eq_tol(inv_score_map_apply(map, back), s, 1e-9);
        last = there;
        last_back = back;
    }
}

START_TEST(it_goes_through_its_knots_and_on_beyond_them) {
    static const double from[] = {.1, .3, .5, .6};
    static const double to[] = {.2, .4, .8, .81};
    struct inv_score_map map;
    inv_score_map_init(&map, from, to, 4);
    ck_assert_uint_eq(map.count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_eq_tol(inv_score_map_apply(&map, from[i]), to[i],
                                1e-12);
    ck_assert_double_eq_tol(inv_score_map_apply(&map, .4), .6, 1e-12);
    ck_assert_double_eq_tol(inv_score_map_apply(&map, 0), .1, 1e-12);
    ck_assert_double_eq_tol(inv_score_map_apply(&map, .8), .83, 1e-12);
    check_monotone(&map);
}
END_TEST

START_TEST(knots_that_do_not_ascend_are_left_out) {
    static const double from[] = {.1, .1, .2, NAN, .3, .4, .5, .6, .7, .8, .9};
    static const double to[] = {.5, .6, .4, .7, .7, INFINITY, .8, .8, .9, 1, 2};
    struct inv_score_map map;
    inv_score_map_init(&map, from, to, 11);
    static const double kept[] = {.1, .3, .5, .7, .8, .9};
    ck_assert_uint_eq(map.count, 6);
    ck_assert_mem_eq(map.from, kept, sizeof kept);
    check_monotone(&map);
    inv_score_map_init(&map, from, to, 2); /* one: a shift */
    ck_assert_double_eq_tol(inv_score_map_apply(&map, 0), .4, 1e-12);
    check_monotone(&map);
    inv_score_map_init(&map, from, to, 0); /* none: the identity */
    ck_assert_double_eq_tol(inv_score_map_apply(&map, .3), .3, 1e-12);
    check_monotone(&map);
}
END_TEST

START_TEST(quantiles_find_a_planted_scale) {
    enum { COUNT = 60000 };
    double *from = must_alloc(COUNT, sizeof *from);
    double *to = must_alloc(COUNT, sizeof *to);
    struct inv_stream stream;
    struct inv_score_map map;
    inv_stream_init(&stream, 1, "test.scores", 0);
    for (size_t i = 0; i < COUNT; i++) {
        double score = .2 + .1 * (double)inv_stream_normal(&stream);
        from[i] = score;
        to[COUNT - 1 - i] = .5 * score + .3; /* the order does not matter */
    }
    inv_score_map_quantiles(&map, from, to, COUNT);
    ck_assert_uint_eq(map.count, 6);
    for (double s = -.2; s < .7; s += .05)
        ck_assert_double_eq_tol(inv_score_map_apply(&map, s), .5 * s + .3,
                                1e-9);
    check_monotone(&map);
    inv_score_map_quantiles(&map, from, to, 0);
    ck_assert_uint_eq(map.count, 0);
    inv_score_map_quantiles(&map, from, to, 400);
    ck_assert_uint_eq(map.count, 2); /* .5 and .9: the tail is too thin */
    free(from);
    free(to);
}
END_TEST

START_TEST(what_was_written_is_read_and_nothing_else) {
    static const double from[] = {.1, .3, .5}, to[] = {.2, .4, .8};
    double numbers[2 * INV_SCORE_KNOTS + 2] = {0};
    struct inv_score_map map, again;
    inv_score_map_init(&map, from, to, 3);
    ck_assert_uint_eq(inv_score_map_write(&map, numbers), 6);
    ck_assert_double_eq(numbers[4], .5);
    ck_assert_double_eq(numbers[5], .8);
    inv_score_map_read(&again, numbers, 6);
    ck_assert_mem_eq(&again, &map, sizeof map);
    inv_score_map_read(&again, numbers, 5); /* half a knot */
    ck_assert_uint_eq(again.count, 0);
    inv_score_map_read(&again, numbers, 2 * INV_SCORE_KNOTS + 2);
    ck_assert_uint_eq(again.count, 0);
    numbers[2] = NAN;
    inv_score_map_read(&again, numbers, 6);
    ck_assert_uint_eq(again.count, 2);
    check_monotone(&again);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("score_map");
    tcase_add_test(tests, it_goes_through_its_knots_and_on_beyond_them);
    tcase_add_test(tests, knots_that_do_not_ascend_are_left_out);
    tcase_add_test(tests, quantiles_find_a_planted_scale);
    tcase_add_test(tests, what_was_written_is_read_and_nothing_else);
    return run_suite("score_map", tests);
}
