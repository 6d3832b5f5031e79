/*
 * test_gate.c: what is measured of an adapter and what that permits.
 */
#include "adapters_fixture.h"
#include "encoders/adapters/gate.h"
#include "encoders/adapters/judge.h"

#include <stdio.h>

/* ---- ranking ---- */

START_TEST(ranking_is_that_of_sorting_all_scores) {
    size_t count = 70, documents = 9000, dim = 8;
    float *queries = unit_rows(count, dim, 0, 1);
    float *gallery = unit_rows(documents, dim, 0, 2);
    uint32_t *ids = must_alloc(count * 10, sizeof *ids);
    float *scores = must_alloc(count * 10, sizeof *scores);
    MUST(inv_judge_rank(queries, count, gallery, documents, dim, 10, ids,
                        scores, must));
    for (size_t q = 0; q < count; q += 23) {
        for (size_t k = 0; k < 10; k++) {
            size_t better = 0;
            float score = scores[q * 10 + k];
            for (size_t i = 0; i < documents; i++)
                better += inv_dot_f32(queries + q * dim, gallery + i * dim,
                                      dim) > score + 1e-6f;
            ck_assert_uint_le(better, k);
            ck_assert(k == 0 || scores[q * 10 + k - 1] >= score);
        }
    }
    struct inv_err err;
    ck_assert_int_eq(
        inv_judge_rank(queries, 1, gallery, 5, dim, 10, ids, NULL, &err),
        INV_INVALID);
    free(queries);
    free(gallery);
    free(ids);
    free(scores);
}
END_TEST

START_TEST(ndcg_and_recall_are_those_of_the_definition) {
    static const uint32_t ids[20] = {7, 1, 2, 3, 4, 5, 6, 0, 8, 9,
                                     0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const uint32_t relevant[] = {1, 11, 9, 5};
    static const size_t start[] = {0, 3, 4};
    struct inv_judgements j = {relevant, start, 2};
    double ndcg[2], recall[2];
    inv_judge_measure(ids, 10, &j, ndcg, recall);
    double ideal = 1 + 1 / log2(3) + .5;
    ck_assert_double_eq_tol(ndcg[0], (1 / log2(3) + 1 / log2(11)) / ideal,
                            1e-12);
    ck_assert_double_eq_tol(recall[0], 2.0 / 3, 1e-12);
    ck_assert_double_eq_tol(ndcg[1], 1 / log2(7), 1e-12);
    ck_assert_double_eq_tol(recall[1], 1, 1e-12);
}
END_TEST

/* ---- cascade ---- */

START_TEST(a_cascade_reranks_what_is_covered_on_the_bridges_scale) {
    static const double fresh[6] = {5, 6, 1, 9, 2, 7};
    static const float bridge[6] = {.9f, .8f, .7f, .6f, .5f, .4f};
    double scratch[6];
    uint32_t all[6] = {0, 1, 2, 3, 4, 5};
    inv_judge_cascade(fresh, NULL, bridge, 6, all, scratch);
    static const uint32_t by_new[6] = {3, 5, 1, 0, 4, 2};
    ck_assert_mem_eq(all, by_new, sizeof by_new);

    static const bool two[6] = {true, false, false, true, false, false};
    uint32_t few[6] = {0, 1, 2, 3, 4, 5};
    inv_judge_cascade(fresh, two, bridge, 6, few, scratch);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_uint_eq(few[i], i);

    /* 0, 3, 4 covered: .9 .6 .5 of the bridge, 5 9 2 of the new model: 3 is the
     * best of them and must come to the top, 1 and 2 keep .8 and .7 */
    static const bool three[6] = {true, false, false, true, true, false};
    uint32_t some[6] = {0, 1, 2, 3, 4, 5};
    inv_judge_cascade(fresh, three, bridge, 6, some, scratch);
    ck_assert_uint_eq(some[0], 3);
    ck_assert_uint_eq(some[1], 1);
    double sum = 0;
    for (size_t i = 0; i < 6; i++)
        sum += scratch[i];
    ck_assert_double_eq_tol(sum, 3.9, 1e-6); /* means are kept */
}
END_TEST

/* ---- numbers ---- */

START_TEST(the_interval_holds_the_mean_and_narrows_with_queries) {
    double values[400];
    struct inv_stream stream;
    struct inv_interval few, many, again;
    inv_stream_init(&stream, 1, "test.values", 0);
    for (size_t i = 0; i < 400; i++)
        values[i] = (double)inv_stream_normal(&stream) * .3 + .01;
    MUST(inv_bootstrap(values, 100, 1000, 5, &few, must));
    MUST(inv_bootstrap(values, 400, 1000, 5, &many, must));
    MUST(inv_bootstrap(values, 400, 1000, 5, &again, must));
    ck_assert(few.low < few.mean && few.mean < few.high);
    double width = many.high - many.low;
    /* 2 * 1.96 * .3 / 20 = .0588 */
    ck_assert_double_eq_tol(width, .0588, .008);
    ck_assert_double_eq_tol((few.high - few.low) / width, 2, .5);
    ck_assert_double_eq(many.low, again.low);
}
END_TEST

START_TEST(compatibility_gain_flips_and_break_even_are_as_defined) {
    /* versions 1, 2, 3: [i][j] queries i on gallery j */
    static const double m[9] = {.5, 0, 0, .6, .7, 0, .4, .8, .9};
    double ac, am;
    inv_compatibility(m, 3, &ac, &am);
    ck_assert_double_eq_tol(ac, 2.0 / 3, 1e-12);
    ck_assert_double_eq_tol(am, 3.9 / 6, 1e-12);
    ck_assert_double_eq_tol(inv_update_gain(.6, .5, .7), .5, 1e-12);
    ck_assert_double_eq(inv_update_gain(.6, .5, .5), 0);
    static const double before[4] = {1, .5, 0, 1};
    static const double after[4] = {0, .1, 0, 1};
    ck_assert_double_eq(inv_negative_flips(before, after, 4), .25);
    static const double coverage[4] = {0, .2, .6, 1};
    static const double quality[4] = {.5, .6, .55, .65};
    ck_assert_double_eq_tol(inv_break_even(coverage, quality, 4, .6), .8,
                            1e-12);
    ck_assert_double_eq(inv_break_even(coverage, quality, 4, .4), 0);
    ck_assert_double_gt(inv_break_even(coverage, quality, 4, .7), 1);
}
END_TEST

START_TEST(a_break_even_of_the_whole_is_stretched_from_that_of_a_part) {
    static const double coverage[3] = {0, .5, 1};
    static const double rising[3] = {.6, .7, .8};
    static const double bent[3] = {.6, .65, .8};
    static const double flat[3] = {.8, .8, .8};
    /* The part is the whole: the same as its own break-even. */
    ck_assert_double_eq_tol(inv_break_even_whole(coverage, bent, 3, .7, .7, .6),
                            inv_break_even(coverage, bent, 3, .7), 1e-12);
    /* On the whole everything is half as good and the bridge is at .2: from .2
     * to .4 the old .35 is three quarters of the way. */
    ck_assert_double_eq_tol(
        inv_break_even_whole(coverage, rising, 3, .7, .35, .2), .75, 1e-12);
    /* The same way on the bent curve: .75 of .6 to .8 is .75, 2/3 of the second
     * half. */
    ck_assert_double_eq_tol(
        inv_break_even_whole(coverage, bent, 3, .7, .35, .2), .5 + .5 * 2 / 3,
        1e-12);
    ck_assert_double_eq_tol(
        inv_break_even_whole(coverage, flat, 3, .7, .35, .2), .75, 1e-12);
    ck_assert_double_eq(inv_break_even_whole(coverage, rising, 3, .7, .35, .35),
                        0);
    ck_assert_double_gt(inv_break_even_whole(coverage, rising, 3, .9, .35, .2),
                        1);
    ck_assert_double_gt(inv_break_even_whole(coverage, rising, 3, 0, .35, .2),
                        1);
}
END_TEST

/* ---- the gate ---- */

#define QUERIES 120
#define DOCUMENTS 600
#define DIM 16

struct world {
    float *documents, *queries; /* the truth */
    uint32_t answer[QUERIES];
    size_t start[QUERIES + 1];
    struct inv_judgements judgements;
};

/* Queries are noisy copies of their document. */
static struct world world_of(void) {
    struct world w = {.documents = unit_rows(DOCUMENTS, DIM, 0, 1)};
    struct inv_stream stream;
    inv_stream_init(&stream, 2, "test.queries", 0);
    w.queries = must_alloc(QUERIES * DIM, sizeof *w.queries);
    for (size_t q = 0; q < QUERIES; q++) {
        w.answer[q] = (uint32_t)(q * 5);
        w.start[q + 1] = q + 1;
        for (size_t j = 0; j < DIM; j++)
            w.queries[q * DIM + j] = w.documents[q * 5 * DIM + j] +
                                     .15f * inv_stream_normal(&stream);
        inv_normalize_f32(w.queries + q * DIM, DIM);
    }
    return w;
}

/* A model: turned, with noise of its own. */
static float *seen_by(const float *truth, size_t count, double noise,
                      uint64_t seed) {
    double *turn = isometry(DIM, DIM, 9);
    float *rows = mapped(truth, count, turn, DIM, DIM, 0, noise, seed);
    for (size_t i = 0; i < count; i++)
        inv_normalize_f32(rows + i * DIM, DIM);
    free(turn);
    return rows;
}

static void score(const struct world *w, const float *queries,
                  const float *gallery, double *ndcg) {
    uint32_t ids[QUERIES * 10];
    MUST(inv_judge_rank(queries, QUERIES, gallery, DOCUMENTS, DIM, 10, ids,
                        NULL, must));
    inv_judge_measure(ids, 10, &w->judgements, ndcg, NULL);
}

/* The old model is the truth with noise; what does the gate say to one with
 * other noise, bridged by procrustes? */
static struct inv_gate judge_model(double old_noise, double new_noise) {
    struct world w = world_of();
    w.judgements = (struct inv_judgements){w.answer, w.start, QUERIES};
    float *old_d = seen_by(w.documents, DOCUMENTS, old_noise, 3);
    float *old_q = seen_by(w.queries, QUERIES, old_noise, 4);
    float *new_d = seen_by(w.documents, DOCUMENTS, new_noise, 5);
    float *new_q = seen_by(w.queries, QUERIES, new_noise, 6);
    if (new_noise <= 0) { /* a turned copy of the old model itself */
        free(new_d);
        free(new_q);
        new_d = seen_by(old_d, DOCUMENTS, 0, 5);
        new_q = seen_by(old_q, QUERIES, 0, 6);
    }
    struct inv_moments m =
        moments_of(new_d, old_d, DOCUMENTS, DIM, DIM, true, false);
    struct inv_map map;
    struct inv_gate gate;
    double cross[QUERIES], old_old[QUERIES], new_new[QUERIES];
    MUST(inv_fit_procrustes(&m, &map, must));
    float *bridged = mapped(new_q, QUERIES, map.w, DIM, DIM, 0, 0, 1);
    for (size_t q = 0; q < QUERIES; q++) {
        for (size_t j = 0; j < DIM; j++)
            bridged[q * DIM + j] += (float)map.b[j];
        inv_normalize_f32(bridged + q * DIM, DIM);
    }
    score(&w, bridged, old_d, cross);
    score(&w, old_q, old_d, old_old);
    score(&w, new_q, new_d, new_new);
    struct inv_gate_input input = {.cross = cross,
                                   .old_old = old_old,
                                   .new_new = new_new,
                                   .cascade = new_new,
                                   .queries = QUERIES,
                                   .break_even = .3,
                                   .margin = INV_GATE_MARGIN};
    MUST(inv_gate_judge(&input, &gate, must));
    inv_map_release(&map);
    inv_moments_release(&m);
    free(w.documents);
    free(w.queries);
    free(old_d);
    free(old_q);
    free(new_d);
    free(new_q);
    free(bridged);
    return gate;
}

START_TEST(a_rotated_copy_of_the_same_model_is_activated) {
    struct inv_gate gate = judge_model(.05, 0);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_ACTIVATE);
    ck_assert_double_eq_tol(gate.gain.mean, 0, 1e-3);
}
END_TEST

START_TEST(a_worse_model_is_refused_for_that_reason) {
    struct inv_gate gate = judge_model(.02, .25);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(gate.reason, "not better"));
    ck_assert_double_lt(gate.gain.high, 0);
}
END_TEST

/* cross - old = mean + spread * (+1, -1, ...) over n queries, old .5. */
static struct inv_gate judge_numbers(size_t n, double mean, double spread,
                                     double new_mean, const double *cascade,
                                     bool proxy, const uint32_t *slice) {
    double *cross = must_alloc(3 * n, sizeof *cross);
    double *old_old = cross + n;
    double *new_new = old_old + n;
    struct inv_gate gate;
    for (size_t i = 0; i < n; i++) {
        old_old[i] = .5;
        new_new[i] = new_mean;
        cross[i] = .5 + mean + (i % 2 == 0 ? spread : -spread);
    }
    struct inv_gate_input input = {.cross = cross,
                                   .old_old = old_old,
                                   .new_new = new_new,
                                   .cascade = cascade,
                                   .queries = n,
                                   .break_even = .4,
                                   .slice = slice,
                                   .slices = slice == NULL ? 0 : 2,
                                   .margin = .02,
                                   .proxy = proxy};
    MUST(inv_gate_judge(&input, &gate, must));
    free(cross);
    return gate;
}

START_TEST(a_lossy_bridge_gets_the_cascade_only_where_that_makes_it_good) {
    double cascade[200];
    for (size_t i = 0; i < 200; i++)
        cascade[i] = .6;
    struct inv_gate gate =
        judge_numbers(200, -.05, .1, .62, cascade, false, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_CASCADE_ONLY);
    ck_assert_double_eq(gate.break_even, .4);
    ck_assert_ptr_nonnull(strstr(gate.reason, "40 %"));
    /* .6 is less than .95 of .65 */
    gate = judge_numbers(200, -.05, .1, .65, cascade, false, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(gate.reason, "re-index"));
}
END_TEST

/* 60 queries whose bridge is too noisy to say; on the 20 of them with covered
 * answers the old model has .7. */
START_TEST(the_new_model_is_compared_where_both_are_known) {
    double cross[60], old_old[60], old_covered[20], new_new[20], cascade[20];
    struct inv_gate gate;
    for (size_t i = 0; i < 60; i++) {
        old_old[i] = .4;
        cross[i] = i % 2 == 0 ? .6 : .2;
    }
    for (size_t i = 0; i < 20; i++) {
        old_covered[i] = .7;
        new_new[i] = cascade[i] = .65; /* above .4, and below its like */
    }
    struct inv_gate_input input = {.cross = cross,
                                   .old_old = old_old,
                                   .queries = 60,
                                   .new_new = new_new,
                                   .cascade = cascade,
                                   .old_covered = old_covered,
                                   .covered_queries = 20,
                                   .break_even = .3,
                                   .margin = .02};
    MUST(inv_gate_judge(&input, &gate, must));
    ck_assert_int_eq(gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(gate.reason, "not better"));
    ck_assert_ptr_nonnull(strstr(gate.reason, "0.650 against 0.700"));
    for (size_t i = 0; i < 20; i++)
        new_new[i] = cascade[i] = .75;
    MUST(inv_gate_judge(&input, &gate, must));
    ck_assert_int_eq(gate.verdict, INV_VERDICT_CASCADE_ONLY);
    ck_assert_ptr_nonnull(strstr(gate.reason, "0.750"));
    ck_assert_ptr_nonnull(strstr(gate.reason, "0.700"));
    input.new_new = NULL; /* nothing is known of it */
    MUST(inv_gate_judge(&input, &gate, must));
    ck_assert_int_eq(gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(gate.reason, "too few queries"));
}
END_TEST

START_TEST(too_few_queries_names_how_many_would_do) {
    struct inv_gate gate = judge_numbers(60, 0, .2, .6, NULL, false, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(gate.reason, "too few queries"));
    /* (2.8016 * .2 / .02)^2 = 785, with the deviation of 60 a little more */
    ck_assert_uint_ge(gate.queries_needed, 780);
    ck_assert_uint_le(gate.queries_needed, 810);
    gate = judge_numbers(900, 0, .2, .6, NULL, false, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_ACTIVATE);
}
END_TEST

/* One gate over `count` queries whose gains are drawn from N(.02, .2). */
static struct inv_gate judge_drawn(size_t count, bool proxy, uint64_t seed) {
    double *cross = must_alloc(count, sizeof *cross);
    double *old_old = must_alloc(count, sizeof *old_old);
    struct inv_stream stream;
    struct inv_gate gate;
    inv_stream_init(&stream, seed, "test.drawn", 0);
    for (size_t i = 0; i < count; i++) {
        old_old[i] = .5;
        cross[i] = .52 + .2 * (double)inv_stream_normal(&stream);
    }
    struct inv_gate_input input = {.cross = cross,
                                   .old_old = old_old,
                                   .queries = count,
                                   .margin = .02,
                                   .proxy = proxy,
                                   .seed = seed};
    MUST(inv_gate_judge(&input, &gate, must));
    free(cross);
    free(old_old);
    return gate;
}

START_TEST(so_many_queries_as_it_asks_for_permit_in_four_cases_of_five) {
    /* a proxy states its needs whatever the interval */
    size_t needed = judge_drawn(20000, true, 1).queries_needed;
    size_t permitted = 0;
    ck_assert_uint_ge(needed, 180); /* (2.8016 * .2 / .04)^2 = 196 */
    ck_assert_uint_le(needed, 212);
    for (uint64_t seed = 100; seed < 400; seed++)
        permitted +=
            judge_drawn(needed, false, seed).verdict == INV_VERDICT_ACTIVATE;
    ck_assert_uint_ge(permitted, 216); /* 240 and a little over 3 sigma (6.9) */
    ck_assert_uint_le(permitted, 264);
}
END_TEST

START_TEST(substitute_queries_and_bad_slices_never_activate) {
    double cascade[900];
    uint32_t slice[900];
    for (size_t i = 0; i < 900; i++) {
        cascade[i] = .6;
        slice[i] = i % 2 == 0; /* slice 0 loses .2 */
    }
    struct inv_gate gate = judge_numbers(900, 0, .2, .6, cascade, true, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_CASCADE_ONLY);
    gate = judge_numbers(900, 0, .2, .6, cascade, false, slice);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_CASCADE_ONLY);
    ck_assert_double_eq_tol(gate.worst_slice, -.2, 1e-9);
    gate = judge_numbers(900, 0, .2, .6, cascade, false, NULL);
    ck_assert_int_eq(gate.verdict, INV_VERDICT_ACTIVATE);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("gate");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, ranking_is_that_of_sorting_all_scores);
    tcase_add_test(tests, ndcg_and_recall_are_those_of_the_definition);
    tcase_add_test(tests,
                   a_cascade_reranks_what_is_covered_on_the_bridges_scale);
    tcase_add_test(tests, the_interval_holds_the_mean_and_narrows_with_queries);
    tcase_add_test(tests,
                   compatibility_gain_flips_and_break_even_are_as_defined);
    tcase_add_test(tests,
                   a_break_even_of_the_whole_is_stretched_from_that_of_a_part);
    tcase_add_test(tests, a_rotated_copy_of_the_same_model_is_activated);
    tcase_add_test(tests, a_worse_model_is_refused_for_that_reason);
    tcase_add_test(
        tests, a_lossy_bridge_gets_the_cascade_only_where_that_makes_it_good);
    tcase_add_test(tests, the_new_model_is_compared_where_both_are_known);
    tcase_add_test(tests, too_few_queries_names_how_many_would_do);
    tcase_add_test(tests,
                   so_many_queries_as_it_asks_for_permit_in_four_cases_of_five);
    tcase_add_test(tests, substitute_queries_and_bad_slices_never_activate);
    return run_suite("gate", tests);
}
