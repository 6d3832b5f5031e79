/*
 * test_simplex_fit.c: maps into a simplex and how they are judged.
 */
#include "adapters_fixture.h"
#include "encoders/adapters/simplex.h"
#include "encoders/adapters/simplex_fit.h"

#define ROWS 160
#define DIM 12
#define CLASSES 4

struct model {
    float *rows;
    uint32_t labels[ROWS], items[ROWS];
    uint8_t use[ROWS];
    struct inv_labelled set;
};

/* Item i is of class i % CLASSES; models turn the same items differently. */
static void make(struct model *m, uint64_t turn, double noise) {
    double *centres = isometry(CLASSES, DIM, 3);
    double *turned = isometry(DIM, DIM, turn);
    float *plain = must_alloc(ROWS * DIM, sizeof *plain);
    struct inv_stream stream;
    inv_stream_init(&stream, 9, "test.items", 0);
    for (size_t i = 0; i < ROWS; i++) {
        m->labels[i] = (uint32_t)(i % CLASSES);
        m->items[i] = (uint32_t)i;
        m->use[i] = INV_FIT_USE_BOTH;
        for (size_t j = 0; j < DIM; j++)
            plain[i * DIM + j] =
                (float)(centres[m->labels[i] * DIM + j] +
                        noise * (double)inv_stream_normal(&stream));
        inv_normalize_f32(plain + i * DIM, DIM);
    }
    m->rows = mapped(plain, ROWS, turned, DIM, DIM, 0, 0, 1);
    m->set = (struct inv_labelled){.count = ROWS,
                                   .dim = DIM,
                                   .rows = m->rows,
                                   .labels = m->labels,
                                   .items = m->items,
                                   .use = m->use};
    free(plain);
    free(centres);
    free(turned);
}

static struct inv_simplex_data data_of(const struct model *m) {
    return (struct inv_simplex_data){.model = m->set,
                                     .classes = CLASSES,
                                     .rho = INV_SIMPLEX_RHO,
                                     .margin = .05,
                                     .from = "v@1",
                                     .to = "simplex@4"};
}

/* ---- judging ---- */

/* Average precision by its definition, in quadratic time. */
static double precision_of(const struct inv_labelled *set, size_t q,
                           double *first) {
    double sum = 0;
    size_t right = 0;
    for (size_t a = 0; a < set->count; a++) {
        size_t before = 0, right_before = 0;
        float score = inv_dot_f32(set->rows + q * set->dim,
                                  set->rows + a * set->dim, set->dim);
        if (a == q)
            continue;
        for (size_t b = 0; b < set->count; b++) {
            float other = inv_dot_f32(set->rows + q * set->dim,
                                      set->rows + b * set->dim, set->dim);
            if (b == q || b == a || other < score)
                continue;
            before++;
            right_before += set->labels[b] == set->labels[q];
        }
        if (before == 0)
            *first = set->labels[a] == set->labels[q];
        if (set->labels[a] != set->labels[q])
            continue;
        right++;
        sum += (double)(right_before + 1) / (double)(before + 1);
    }
    return sum / (double)right;
}

START_TEST(judging_counts_what_its_definition_says) {
    struct model m;
    double hit[ROWS], precision[ROWS], first = -1;
    make(&m, 7, .6);
    MUST(inv_judge_labels(&m.set, &m.set, hit, precision, must));
    for (size_t q = 0; q < ROWS; q++) {
        ck_assert_double_eq_tol(precision[q], precision_of(&m.set, q, &first),
                                1e-9);
        ck_assert_double_eq(hit[q], first);
    }
    free(m.rows);
}
END_TEST

START_TEST(nothing_is_judged_by_itself_without_label_or_by_what_only_fits) {
    struct model m;
    double hit[ROWS];
    make(&m, 7, .1);
    m.labels[0] = INV_FIT_NO_LABEL;
    m.labels[1] = CLASSES; /* the only one of its class */
    m.use[2] = INV_FIT_USE_FIT_ONLY;
    m.use[3] = INV_FIT_USE_JUDGE_ONLY;
    MUST(inv_judge_labels(&m.set, &m.set, hit, NULL, must));
    ck_assert_double_eq(hit[0], -1);
    ck_assert_double_eq(hit[1], -1);
    ck_assert_double_eq(hit[2], -1);
    ck_assert_double_eq(hit[3], 1);
    free(m.rows);
}
END_TEST

/* ---- fitting ---- */

START_TEST(two_models_are_brought_to_the_same_place_and_let_through) {
    struct model old, new;
    struct inv_simplex_result first, second;
    float x[CLASSES - 1], y[CLASSES - 1];
    make(&old, 7, .2);
    make(&new, 8, .2);
    struct inv_simplex_data data = data_of(&old);
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &first, must));
    ck_assert_uint_eq(first.labelled, ROWS);
    ck_assert_uint_eq(first.classes, CLASSES);
    ck_assert_uint_eq(first.held_out.queries, ROWS);
    ck_assert_int_eq(first.gate.verdict, INV_VERDICT_ACTIVATE);
    data.model = new.set;
    data.first = &old.set;
    data.from = "v@2";
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &second, must));
    ck_assert_int_eq(second.gate.verdict, INV_VERDICT_ACTIVATE);
    ck_assert_double_gt(second.held_out.first, .95);
    ck_assert_double_eq(second.reference.first, first.own.first);
    double same = 0;
    for (size_t i = 0; i < ROWS; i++) {
        MUST(inv_adapter_apply(first.adapter, old.rows + i * DIM, 1, DIM, x,
                               must));
        MUST(inv_adapter_apply(second.adapter, new.rows + i *DIM, 1, DIM, y,
                               must));
        same += (double)inv_dot_f32(x, y, CLASSES - 1) / ROWS;
    }
    ck_assert_double_gt(same, .999); /* a turn is all that is between them */
    inv_adapter_free(first.adapter);
    inv_adapter_free(second.adapter);
    free(old.rows);
    free(new.rows);
}
END_TEST

/* A map that has seen a row puts it near its vertex, whatever its label. */
START_TEST(labels_that_mean_nothing_are_refused_however_well_they_fit) {
    struct model m;
    struct inv_simplex_result result;
    double seen[ROWS], share = 0;
    float carried[ROWS * (CLASSES - 1)];
    make(&m, 7, .2);
    float *noise = unit_rows(ROWS, 100, 0, 4);
    struct inv_labelled reference = m.set;
    struct inv_simplex_data data = data_of(&m);
    data.model.rows = noise;
    data.model.dim = 100;
    data.first = &reference;
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &result, must));
    ck_assert_double_lt(result.held_out.first, .4);
    ck_assert_double_gt(result.reference.first, .9);
    ck_assert_int_eq(result.gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(result.gate.reason, "not found as well"));
    MUST(inv_adapter_apply(result.adapter, noise, ROWS, 100, carried, must));
    struct inv_labelled in_fit = data.model;
    in_fit.rows = carried;
    in_fit.dim = CLASSES - 1;
    MUST(inv_judge_labels(&in_fit, &in_fit, seen, NULL, must));
    for (size_t i = 0; i < ROWS; i++)
        share += seen[i] / ROWS;
    ck_assert_double_gt(share, .8);
    inv_adapter_free(result.adapter);
    free(noise);
    free(m.rows);
}
END_TEST

START_TEST(what_only_judges_is_not_fitted_and_what_only_fits_not_judged) {
    struct model m;
    struct inv_simplex_result result;
    make(&m, 7, .2);
    for (size_t i = 0; i < ROWS; i++)
        m.use[i] = i < 40   ? INV_FIT_USE_FIT_ONLY
                   : i < 60 ? INV_FIT_USE_JUDGE_ONLY
                            : INV_FIT_USE_BOTH;
    struct inv_simplex_data data = data_of(&m);
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &result, must));
    ck_assert_uint_eq(result.labelled, ROWS - 20);
    ck_assert_uint_eq(result.held_out.queries, ROWS - 40);
    inv_adapter_free(result.adapter);
    free(m.rows);
}
END_TEST

START_TEST(a_handful_of_labels_is_too_few_and_the_reason_says_so) {
    struct model m;
    struct inv_simplex_result result;
    make(&m, 7, .3);
    struct inv_simplex_data data = data_of(&m);
    data.margin = .02;
    data.model.count = 40;
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &result, must));
    ck_assert_int_eq(result.gate.verdict, INV_VERDICT_REFUSE);
    ck_assert_ptr_nonnull(strstr(result.gate.reason, "too few labels"));
    ck_assert_ptr_nonnull(strstr(result.gate.reason, "with 40;"));
    ck_assert_uint_gt(result.gate.queries_needed, 40);
    inv_adapter_free(result.adapter);
    free(m.rows);
}
END_TEST

/* ---- blend ---- */

START_TEST(the_adapter_of_a_blend_gives_what_blending_gives) {
    struct model old, new;
    struct inv_simplex_result first, second;
    struct inv_map s;
    enum { WIDTH = DIM + CLASSES - 1 };
    float wanted[4 * WIDTH], x[4 * WIDTH], y[4 * WIDTH];
    bool has[ROWS];
    memset(has, 1, sizeof has);
    make(&old, 7, .2);
    make(&new, 8, .2);
    struct inv_simplex_data data = data_of(&old);
    data.base_dim = DIM;
    data.blend = .3;
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &first, must));
    MUST(inv_fit_simplex(old.rows, ROWS, DIM, old.labels, CLASSES,
                         INV_SIMPLEX_RHO, &s, must));
    MUST(inv_simplex_blend(NULL, &s, .3, old.rows, 4, DIM, wanted, must));
    MUST(inv_adapter_apply(first.adapter, old.rows, 4, DIM, x, must));
    for (size_t i = 0; i < 4 * WIDTH; i++)
        ck_assert_double_eq_tol((double)x[i], (double)wanted[i], 1e-5);
    /* a later model comes to the same base, by its turn back */
    data.model = new.set;
    data.first = &old.set;
    data.base = old.rows;
    data.has_base = has;
    MUST(inv_simplex_fit_judge(&data, NULL, NULL, &second, must));
    ck_assert_uint_eq(second.base_pairs, ROWS);
    MUST(inv_adapter_apply(second.adapter, new.rows, 4, DIM, y, must));
    for (size_t i = 0; i < 4 * WIDTH; i++)
        ck_assert_double_eq_tol((double)y[i], (double)wanted[i], 1e-3);
    inv_map_release(&s);
    inv_adapter_free(first.adapter);
    inv_adapter_free(second.adapter);
    free(old.rows);
    free(new.rows);
}
END_TEST

START_TEST(a_first_model_of_another_dimension_than_the_base_is_refused) {
    struct model m;
    struct inv_simplex_result result;
    struct inv_err err;
    make(&m, 7, .2);
    struct inv_simplex_data data = data_of(&m);
    data.base_dim = DIM + 1;
    data.blend = .3;
    ck_assert_int_eq(inv_simplex_fit_judge(&data, NULL, NULL, &result, &err),
                     INV_DIMENSION);
    ck_assert_ptr_nonnull(strstr(err.text, "12"));
    ck_assert_ptr_nonnull(strstr(err.text, "13"));
    free(m.rows);
}
END_TEST

static bool stop_at_once(void *ctx, const char *stage, size_t done,
                         size_t total) {
    (void)stage;
    return done < total && ++*(int *)ctx == 3;
}

START_TEST(a_fit_that_is_told_to_stop_leaves_nothing) {
    struct model m;
    struct inv_simplex_result result;
    struct inv_err err;
    int calls = 0;
    make(&m, 7, .2);
    struct inv_simplex_data data = data_of(&m);
    ck_assert_int_eq(
        inv_simplex_fit_judge(&data, stop_at_once, &calls, &result, &err),
        INV_CANCELLED);
    ck_assert_int_eq(calls, 3);
    ck_assert_ptr_null(result.adapter);
    free(m.rows);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        judging_counts_what_its_definition_says,
        nothing_is_judged_by_itself_without_label_or_by_what_only_fits,
        two_models_are_brought_to_the_same_place_and_let_through,
        labels_that_mean_nothing_are_refused_however_well_they_fit,
        what_only_judges_is_not_fitted_and_what_only_fits_not_judged,
        a_handful_of_labels_is_too_few_and_the_reason_says_so,
        the_adapter_of_a_blend_gives_what_blending_gives,
        a_first_model_of_another_dimension_than_the_base_is_refused,
        a_fit_that_is_told_to_stop_leaves_nothing,
    };
    TCase *fit = tcase_create("simplex_fit");
    tcase_set_timeout(fit, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(fit, tests[i]);
    return run_suite("simplex_fit", fit);
}
