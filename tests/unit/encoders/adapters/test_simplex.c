/*
 * test_simplex.c: the vertices, and maps onto them.
 */
#include "adapters_fixture.h"
#include "encoders/adapters/simplex.h"

#include "encoders/adapters/adapter.h"

START_TEST(any_two_vertices_are_equally_far_apart) {
    static const size_t dims[] = {1, 2, 9, 100};
    for (size_t s = 0; s < 4; s++) {
        size_t d = dims[s];
        double *v = must_alloc((d + 1) * d, sizeof *v);
        inv_simplex_vertices(d, v);
        for (size_t i = 0; i <= d; i++)
            for (size_t j = 0; j <= i; j++) {
                double dot = 0;
                for (size_t k = 0; k < d; k++)
                    dot += v[i * d + k] * v[j * d + k];
                ck_assert_double_eq_tol(dot, i == j ? 1 : -1 / (double)d,
                                        1e-13);
            }
        free(v);
    }
}
END_TEST

START_TEST(logits_in_linear_time_are_inner_products_with_the_vertices) {
    static const size_t dims[] = {1, 2, 9, 384};
    for (size_t s = 0; s < 4; s++) {
        size_t d = dims[s];
        double *v = must_alloc((d + 1) * d, sizeof *v);
        double *z = must_alloc(d, sizeof *z);
        double *logits = must_alloc(d + 1, sizeof *logits);
        struct inv_stream stream;
        inv_stream_init(&stream, 4, "test.z", 0);
        for (size_t k = 0; k < d; k++)
            z[k] = (double)inv_stream_normal(&stream);
        inv_simplex_vertices(d, v);
        inv_simplex_logits(z, d, logits);
        for (size_t i = 0; i <= d; i++) {
            double dot = 0;
            for (size_t k = 0; k < d; k++)
                dot += v[i * d + k] * z[k];
            ck_assert_double_eq_tol(logits[i], dot, 1e-12);
        }
        free(v);
        free(z);
        free(logits);
    }
}
END_TEST

/* Rows around one centre for each of four classes, in 12 dimensions. */
#define ROWS 200
#define DIM 12
#define CLASSES 4

struct classes {
    float *rows;
    uint32_t label[ROWS];
};

static struct classes classes_of(uint64_t seed, const double *turn) {
    struct classes c;
    double *centres = isometry(CLASSES, DIM, 5);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.classes", 0);
    float *plain = must_alloc(ROWS * DIM, sizeof *plain);
    for (size_t i = 0; i < ROWS; i++) {
        c.label[i] = (uint32_t)(i % CLASSES);
        for (size_t j = 0; j < DIM; j++)
            plain[i * DIM + j] =
                (float)(centres[c.label[i] * DIM + j] +
                        .25 * (double)inv_stream_normal(&stream));
    }
    c.rows = mapped(plain, ROWS, turn, DIM, DIM, 0, 0, 1);
    for (size_t i = 0; i < ROWS; i++)
        inv_normalize_f32(c.rows + i * DIM, DIM);
    free(plain);
    free(centres);
    return c;
}

/* Share of the queries whose nearest gallery row has their label. */
static double agree(const float *queries, const float *gallery, size_t dim,
                    const uint32_t *labels) {
    size_t hits = 0;
    for (size_t i = 0; i < ROWS; i++) {
        size_t at = 0;
        float best = -INFINITY;
        for (size_t j = 0; j < ROWS; j++) {
            float score =
                inv_dot_f32(queries + i * dim, gallery + j * dim, dim);
            if (score > best) {
                best = score;
                at = j;
            }
        }
        hits += labels[at] == labels[i];
    }
    return (double)hits / ROWS;
}

START_TEST(two_models_meet_on_the_vertices_without_knowing_each_other) {
    double *a = isometry(DIM, DIM, 7);
    double *b = isometry(DIM, DIM, 8);
    struct classes old = classes_of(1, a);
    struct classes new = classes_of(2, b);
    struct inv_map s_old, s_new;
    float *x = must_alloc(ROWS * DIM, sizeof *x);
    float *y = must_alloc(ROWS * DIM, sizeof *y);
    MUST(inv_fit_simplex(old.rows, ROWS, DIM, old.label, CLASSES, .01, &s_old,
                         must));
    MUST(inv_fit_simplex(new.rows, ROWS, DIM, new.label, CLASSES, .01, &s_new,
                         must));
    ck_assert_uint_eq(s_old.rows, CLASSES - 1);
    ck_assert_double_lt(agree(new.rows, old.rows, DIM, old.label), .6);
    MUST(inv_simplex_whole(&s_new, new.rows, ROWS, x, must));
    MUST(inv_simplex_whole(&s_old, old.rows, ROWS, y, must));
    ck_assert_double_gt(agree(x, y, CLASSES - 1, old.label), .95);
    /* folded: back into the old space, over a base that knows nothing */
    struct inv_map base;
    MUST(inv_map_init(&base, DIM, DIM, must));
    for (size_t i = 0; i < DIM; i++)
        base.w[i * (DIM + 1)] = 1;
    struct inv_simplex fold = {&base, &s_new, &s_old, 0};
    MUST(inv_simplex_fold(&fold, new.rows, ROWS, x, must));
    for (size_t i = 0; i < ROWS * DIM; i++)
        ck_assert_double_eq_tol((double)x[i], (double)new.rows[i], 1e-5);
    fold.beta = .8;
    MUST(inv_simplex_fold(&fold, new.rows, ROWS, x, must));
    ck_assert_double_gt(agree(x, old.rows, DIM, old.label), .9);
    inv_map_release(&base);
    inv_map_release(&s_old);
    inv_map_release(&s_new);
    free(old.rows);
    free(new.rows);
    free(a);
    free(b);
    free(x);
    free(y);
}
END_TEST

/* The float path of serving against the double one of fitting. */
START_TEST(an_adapter_carries_the_fold_and_gives_what_folding_gives) {
    enum { D = CLASSES - 1, QUERIES = 300 };
    float *x = unit_rows(QUERIES, DIM + 1, 0, 3);
    float *wanted = must_alloc(QUERIES * DIM, sizeof *wanted);
    float *out = must_alloc(QUERIES * DIM, sizeof *out);
    struct inv_map base, s_new, s_old;
    struct inv_stream stream;
    inv_stream_init(&stream, 5, "test.fold", 0);
    MUST(inv_map_init(&base, DIM, DIM + 1, must));
    MUST(inv_map_init(&s_new, D, DIM + 1, must));
    MUST(inv_map_init(&s_old, D, DIM, must));
    struct inv_map *const maps[] = {&base, &s_new, &s_old};
    float w[3][DIM * (DIM + 1)], b[3][DIM];
    for (size_t m = 0; m < 3; m++) {
        for (size_t i = 0; i < maps[m]->rows * maps[m]->cols; i++)
            maps[m]->w[i] = (double)inv_stream_normal(&stream);
        for (size_t i = 0; i < maps[m]->rows; i++)
            maps[m]->b[i] = .1 * (double)inv_stream_normal(&stream);
        inv_map_floats(maps[m], w[m], b[m]);
    }
    struct inv_simplex fold = {&base, &s_new, &s_old, (double).3f};
    MUST(inv_simplex_fold(&fold, x, QUERIES, wanted, must));
    struct inv_adapter *adapter = NULL;
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_SIMPLEX,
                                      .from = "new",
                                      .to = "old",
                                      .rows = DIM,
                                      .cols = DIM + 1,
                                      .matrix = w[0],
                                      .bias = b[0],
                                      .normalise = true,
                                      .fold = {.dim = D,
                                               .s_new = w[1],
                                               .s_new_bias = b[1],
                                               .s_old = w[2],
                                               .beta = .3f}};
    MUST(inv_adapter_new(&parts, &adapter, must));
    MUST(inv_adapter_apply(adapter, x, QUERIES, DIM + 1, out, must));
    for (size_t i = 0; i < QUERIES * DIM; i++)
        ck_assert_double_eq_tol((double)out[i], (double)wanted[i], 1e-5);
    MUST(inv_adapter_apply(adapter, x, 1, DIM + 1, out, must));
    for (size_t i = 0; i < DIM; i++) /* one query alone */
        ck_assert_double_eq_tol((double)out[i], (double)wanted[i], 1e-5);
    for (size_t i = 0; i < DIM + 1; i++)
        x[i] *= 5; /* a token's weight */
    MUST(inv_adapter_apply_tokens(adapter, x, 1, DIM + 1, out, must));
    for (size_t i = 0; i < DIM; i++)
        ck_assert_double_eq_tol((double)out[i], 5 * (double)wanted[i], 1e-4);
    for (size_t m = 0; m < 3; m++)
        inv_map_release(maps[m]);
    inv_adapter_free(adapter);
    free(x);
    free(wanted);
    free(out);
}
END_TEST

START_TEST(a_fold_belongs_to_an_adapter_of_its_kind) {
    static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct inv_adapter *adapter = NULL;
    struct inv_adapter *both = NULL;
    struct inv_err err;
    struct inv_adapter_parts parts = {
        .kind = INV_ADAPTER_RIDGE,
        .from = "new",
        .to = "old",
        .rows = 2,
        .cols = 2,
        .matrix = ones,
        .normalise = true,
        .fold = {.dim = 3, .s_new = ones, .s_old = ones, .beta = .2f}};
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "ridge"));
    parts.kind = INV_ADAPTER_SIMPLEX;
    parts.normalise = false;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    parts.normalise = true;
    parts.fold.beta = 1.5f;
    ck_assert_int_eq(inv_adapter_new(&parts, &adapter, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "1.5"));
    parts.fold.beta = .5f;
    MUST(inv_adapter_new(&parts, &adapter, must));
    ck_assert_int_eq(inv_adapter_compose(adapter, adapter, &both, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "fold"));
    inv_adapter_free(adapter);
}
END_TEST

START_TEST(a_blend_keeps_both_inner_products_side_by_side) {
    double *turn = isometry(DIM, DIM, 7);
    struct classes c = classes_of(1, turn);
    struct inv_map s;
    float whole[2 * (CLASSES - 1)], out[2 * (DIM + CLASSES - 1)];
    MUST(inv_fit_simplex(c.rows, ROWS, DIM, c.label, CLASSES, .01, &s, must));
    MUST(inv_simplex_whole(&s, c.rows, 2, whole, must));
    MUST(inv_simplex_blend(NULL, &s, .3, c.rows, 2, DIM, out, must));
    double blended =
        (double)inv_dot_f32(out, out + DIM + CLASSES - 1, DIM + CLASSES - 1);
    double parts =
        .7 * (double)inv_dot_f32(c.rows, c.rows + DIM, DIM) +
        .3 * (double)inv_dot_f32(whole, whole + CLASSES - 1, CLASSES - 1);
    ck_assert_double_eq_tol(blended, parts, 1e-5);
    inv_map_release(&s);
    free(c.rows);
    free(turn);
}
END_TEST

START_TEST(a_label_without_vertex_names_the_limit) {
    static const uint32_t labels[3] = {0, 1, 7};
    float *rows = unit_rows(3, DIM, 0, 1);
    struct inv_map map;
    struct inv_err err;
    ck_assert_int_eq(inv_fit_simplex(rows, 3, DIM, labels, 5, .01, &map, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "7"));
    ck_assert_ptr_nonnull(strstr(err.text, "5"));
    free(rows);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("simplex");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, any_two_vertices_are_equally_far_apart);
    tcase_add_test(tests,
                   logits_in_linear_time_are_inner_products_with_the_vertices);
    tcase_add_test(tests,
                   two_models_meet_on_the_vertices_without_knowing_each_other);
    tcase_add_test(tests,
                   an_adapter_carries_the_fold_and_gives_what_folding_gives);
    tcase_add_test(tests, a_fold_belongs_to_an_adapter_of_its_kind);
    tcase_add_test(tests, a_blend_keeps_both_inner_products_side_by_side);
    tcase_add_test(tests, a_label_without_vertex_names_the_limit);
    return run_suite("simplex", tests);
}
