/*
 * What any MUVERA encoding must hold, whatever its seed: invariances, bounds
 * of the estimate, the same bits on every path. Cells and their fill are in
 * test_muvera_fill.c, statistics over many seeds in test_muvera_statistics.c,
 * refusals in test_muvera_limits.c.
 */
#include "tests/unit/encoders/muvera_fixture.h"

#include <cblas.h>
#include <pthread.h>

#define DIM 64
#define DOC 60
#define QRY 24

static struct inv_muvera_params plain(void) {
    return (struct inv_muvera_params){
        .dim = DIM,
        .repetitions = 8,
        .bits = 4,
        .width = 16,
        .seed = 11,
        .fill = INV_FILL_NEAREST,
    };
}

/* muvera+, and with a final sketch: what the invariances run over. */
static size_t variants(struct inv_muvera_params out[6]) {
    for (int i = 0; i < 6; i++)
        out[i] = plain();
    out[1].fill = INV_FILL_DAMPED;
    out[2].fill = INV_FILL_DAMPED;
    out[2].center = out[2].sketch_per_cell = true;
    out[3] = out[2];
    out[3].final_dim = 96;
    out[4].width = DIM;
    out[4].fill = INV_FILL_NONE;
    out[5].generator = INV_GENERATOR_REFERENCE;
    return 6;
}

static float *center_of(const float *tokens, size_t rows) {
    float *center = calloc(DIM, sizeof *center);
    for (size_t i = 0; i < rows * DIM; i++)
        center[i % DIM] += tokens[i] / (float)rows;
    return center;
}

static float *reversed(const float *tokens, size_t rows) {
    float *out = malloc(rows * DIM * sizeof *out);
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * DIM, tokens + (rows - 1 - i) * DIM, DIM * sizeof *out);
    return out;
}

START_TEST(order_of_tokens_does_not_matter) {
    float *tokens = unit_tokens(DOC, DIM, 1);
    float *other = reversed(tokens, DOC);
    float *center = center_of(tokens, DOC);
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    for (size_t v = 0; v < count; v++) {
        if (params[v].fill == INV_FILL_NEAREST)
            params[v].fill = INV_FILL_NONE; /* "first" depends on order */
        bool damped = params[v].fill == INV_FILL_DAMPED;
        struct inv_muvera *muvera = must_new(&params[v], center);
        size_t dim = inv_muvera_dim(muvera);
        for (int document = 0; document < 2; document++) {
            float *a = must_encode(muvera, document, tokens, DOC);
            float *b = must_encode(muvera, document, other, DOC);
            ck_assert_double_le(apart(a, b, dim),
                                damped && document ? 1e-5 : 2e-6);
            free(a);
            free(b);
        }
        inv_muvera_free(muvera);
    }
    free(tokens);
    free(other);
    free(center);
}
END_TEST

START_TEST(query_of_a_union_is_the_sum) {
    float *tokens = unit_tokens(QRY, DIM, 2);
    float *center = center_of(tokens, QRY);
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    for (size_t v = 0; v < count; v++) {
        struct inv_muvera *muvera = must_new(&params[v], center);
        size_t dim = inv_muvera_dim(muvera), cut = 7;
        float *all = must_encode(muvera, false, tokens, QRY);
        float *a = must_encode(muvera, false, tokens, cut);
        float *b = must_encode(muvera, false, tokens + cut * DIM, QRY - cut);
        for (size_t i = 0; i < dim; i++)
            a[i] += b[i];
        ck_assert_double_le(apart(all, a, dim), 1e-5);
        free(all);
        free(a);
        free(b);
        inv_muvera_free(muvera);
    }
    free(tokens);
    free(center);
}
END_TEST

START_TEST(four_times_the_tokens_is_four_times_the_encoding_bitwise) {
    float *tokens = unit_tokens(DOC, DIM, 3);
    float *four = malloc(DOC * DIM * sizeof *four);
    float *center = center_of(tokens, DOC);
    for (size_t i = 0; i < DOC * DIM; i++)
        four[i] = 4.0f * tokens[i];
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    for (size_t v = 0; v < count; v++) {
        struct inv_muvera *muvera = must_new(&params[v], center);
        size_t dim = inv_muvera_dim(muvera);
        for (int document = 0; document < 2; document++) {
            float *a = must_encode(muvera, document, tokens, DOC);
            float *b = must_encode(muvera, document, four, DOC);
            for (size_t i = 0; i < dim; i++)
                a[i] *= 4.0f;
            ck_assert_mem_eq(a, b, dim * sizeof *a);
            free(a);
            free(b);
        }
        inv_muvera_free(muvera);
    }
    free(tokens);
    free(four);
    free(center);
}
END_TEST

START_TEST(document_said_twice_is_the_same_document) {
    float *once = unit_tokens(DOC, DIM, 4);
    float *twice = malloc(2 * DOC * DIM * sizeof *twice);
    memcpy(twice, once, DOC * DIM * sizeof *once);
    memcpy(twice + DOC * DIM, once, DOC * DIM * sizeof *once);
    float *center = center_of(once, DOC);
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    for (size_t v = 0; v < count; v++) {
        struct inv_muvera *muvera = must_new(&params[v], center);
        float *a = must_encode(muvera, true, once, DOC);
        float *b = must_encode(muvera, true, twice, 2 * DOC);
        ck_assert_double_le(apart(a, b, inv_muvera_dim(muvera)), 1e-5);
        free(a);
        free(b);
        inv_muvera_free(muvera);
    }
    free(once);
    free(twice);
    free(center);
}
END_TEST

START_TEST(zero_tokens_are_dropped_bitwise) {
    float *tokens = unit_tokens(DOC, DIM, 5);
    float *padded = calloc((DOC + 5) * DIM, sizeof *padded);
    memcpy(padded + 2 * DIM, tokens, 9 * DIM * sizeof *padded);
    memcpy(padded + 13 * DIM, tokens + 9 * DIM,
           (DOC - 9) * DIM * sizeof *padded);
    padded[0] = -0.0f;
    float *center = center_of(tokens, DOC);
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    for (size_t v = 0; v < count; v++) {
        struct inv_muvera *muvera = must_new(&params[v], center);
        for (int document = 0; document < 2; document++) {
            float *a = must_encode(muvera, document, tokens, DOC);
            float *b = must_encode(muvera, document, padded, DOC + 5);
            ck_assert_mem_eq(a, b, inv_muvera_dim(muvera) * sizeof *a);
            free(a);
            free(b);
        }
        inv_muvera_free(muvera);
    }
    free(tokens);
    free(padded);
    free(center);
}
END_TEST

START_TEST(identity_estimate_lies_between_worst_and_best_match) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct inv_muvera_params params = plain();
        params.width = DIM;
        params.seed = seed * 100;
        if (seed % 2 == 0)
            params.generator = INV_GENERATOR_REFERENCE;
        struct inv_muvera *muvera = must_new(&params, NULL);
        float *q = unit_tokens(QRY, DIM, seed);
        float *p = unit_tokens(DOC, DIM, seed + 1000);
        double got = estimate(muvera, params.repetitions, q, QRY, p, DOC);
        double slack = 1e-4 * QRY;
        ck_assert_double_le(got, chamfer(q, QRY, p, DOC, DIM, 1) + slack);
        ck_assert_double_ge(got, chamfer(q, QRY, p, DOC, DIM, -1) - slack);
        free(q);
        free(p);
        inv_muvera_free(muvera);
    }
}
END_TEST

START_TEST(one_token_document_is_exact) {
    struct inv_muvera_params params = plain();
    params.width = DIM;
    struct inv_muvera *muvera = must_new(&params, NULL);
    float *q = unit_tokens(QRY, DIM, 6), *p = unit_tokens(1, DIM, 7);
    ck_assert_double_eq_tol(estimate(muvera, params.repetitions, q, QRY, p, 1),
                            chamfer(q, QRY, p, 1, DIM, 1), 1e-5);
    free(q);
    free(p);
    inv_muvera_free(muvera);
}
END_TEST

START_TEST(long_document_hashed_in_parts_keeps_every_token) {
    /* 3000 x 100 signs are more than one part holds; one token lost would
     * be .4 in some coordinate, and sums of hundreds round at 3e-5 */
    struct inv_muvera_params params = {
        .dim = 6, .repetitions = 10, .bits = 10, .width = 6};
    struct inv_muvera *muvera = must_new(&params, NULL);
    size_t rows = 3000, cut = 1234;
    float *tokens = unit_tokens(rows, 6, 8);
    float *all = must_encode(muvera, false, tokens, rows);
    float *a = must_encode(muvera, false, tokens, cut);
    float *b = must_encode(muvera, false, tokens + cut * 6, rows - cut);
    for (size_t i = 0; i < inv_muvera_dim(muvera); i++)
        a[i] += b[i];
    ck_assert_double_le(apart(all, a, inv_muvera_dim(muvera)), 1e-4);
    free(tokens);
    free(all);
    free(a);
    free(b);
    inv_muvera_free(muvera);
}
END_TEST

START_TEST(centre_removes_its_direction_on_both_sides) {
    struct inv_muvera_params params = plain();
    params.center = true;
    float *tokens = unit_tokens(DOC, DIM, 9);
    float *shifted = malloc(DOC * DIM * sizeof *shifted);
    float *center = unit_tokens(1, DIM, 10);
    for (size_t i = 0; i < DOC * DIM; i++)
        shifted[i] = tokens[i] + 0.75f * center[i % DIM];
    for (size_t i = 0; i < DIM; i++)
        center[i] *= 0.3f; /* any length */
    struct inv_muvera *muvera = must_new(&params, center);
    struct inv_muvera *without = must_new(&params, NULL);
    size_t dim = inv_muvera_dim(muvera);
    for (int document = 0; document < 2; document++) {
        float *a = must_encode(muvera, document, tokens, DOC);
        float *b = must_encode(muvera, document, shifted, DOC);
        float *c = must_encode(without, document, tokens, DOC);
        ck_assert_double_le(apart(a, b, dim), 1e-5);
        ck_assert_double_ge(apart(a, c, dim), 1e-2);
        free(a);
        free(b);
        free(c);
    }
    inv_muvera_free(muvera);
    inv_muvera_free(without);
    free(tokens);
    free(shifted);
    free(center);
}
END_TEST

START_TEST(no_centre_and_zero_centre_encode_as_without) {
    struct inv_muvera_params with = plain(), off = plain();
    with.center = true;
    float zero[DIM] = {0};
    float *tokens = unit_tokens(DOC, DIM, 12);
    float *center = center_of(tokens, DOC);
    struct inv_muvera *encoders[4] = {
        must_new(&off, NULL), must_new(&off, center), must_new(&with, NULL),
        must_new(&with, zero)};
    float *want = must_encode(encoders[0], true, tokens, DOC);
    for (int i = 1; i < 4; i++) {
        float *got = must_encode(encoders[i], true, tokens, DOC);
        ck_assert_mem_eq(got, want, inv_muvera_dim(encoders[0]) * sizeof *want);
        free(got);
    }
    free(want);
    free(center);
    free(tokens);
    for (int i = 0; i < 4; i++)
        inv_muvera_free(encoders[i]);
}
END_TEST

START_TEST(more_repetitions_extend_an_encoding) {
    struct inv_muvera_params few = plain(), many = plain();
    few.sketch_per_cell = many.sketch_per_cell = true;
    many.repetitions = 3 * few.repetitions;
    struct inv_muvera *a = must_new(&few, NULL), *b = must_new(&many, NULL);
    float *tokens = unit_tokens(DOC, DIM, 13);
    float *short_one = must_encode(a, true, tokens, DOC);
    float *long_one = must_encode(b, true, tokens, DOC);
    ck_assert_double_le(apart(short_one, long_one, inv_muvera_dim(a)), 1e-6);
    free(short_one);
    free(long_one);
    free(tokens);
    inv_muvera_free(a);
    inv_muvera_free(b);
}
END_TEST

/* Nearest fill puts a document's only token into every cell: blocks are equal
 * exactly where their sketches are. */
START_TEST(sketches_are_one_per_repetition_or_one_per_cell) {
    enum { CELLS = 8, WIDTH = 16, BLOCKS = 3 * CELLS };
    float *token = unit_tokens(1, DIM, 16);
    for (int per_cell = 0; per_cell < 2; per_cell++) {
        struct inv_muvera_params params = plain();
        params.repetitions = 3;
        params.bits = 3;
        params.width = WIDTH;
        params.sketch_per_cell = per_cell;
        struct inv_muvera *muvera = must_new(&params, NULL);
        float *out = must_encode(muvera, true, token, 1);
        for (size_t a = 0; a < BLOCKS; a++) {
            for (size_t b = 0; b < a; b++) {
                double by = apart(out + a * WIDTH, out + b * WIDTH, WIDTH);
                if (!per_cell && a / CELLS == b / CELLS)
                    ck_assert(by == 0.0);
                else
                    ck_assert_double_ge(by, 0.05);
            }
        }
        free(out);
        inv_muvera_free(muvera);
    }
    free(token);
}
END_TEST

START_TEST(seed_decides_every_bit) {
    struct inv_muvera_params params[6];
    size_t count = variants(params);
    float *tokens = unit_tokens(DOC, DIM, 14);
    for (size_t v = 0; v < count; v++) {
        struct inv_muvera_params other = params[v];
        other.seed++;
        struct inv_muvera *a = must_new(&params[v], NULL);
        struct inv_muvera *b = must_new(&params[v], NULL);
        struct inv_muvera *c = must_new(&other, NULL);
        float *fa = must_encode(a, true, tokens, DOC);
        float *fb = must_encode(b, true, tokens, DOC);
        float *fc = must_encode(c, true, tokens, DOC);
        ck_assert_mem_eq(fa, fb, inv_muvera_dim(a) * sizeof *fa);
        ck_assert_double_ge(apart(fa, fc, inv_muvera_dim(a)), 1e-2);
        free(fa);
        free(fb);
        free(fc);
        inv_muvera_free(a);
        inv_muvera_free(b);
        inv_muvera_free(c);
    }
    free(tokens);
}
END_TEST

/* --- the same bits alone, one after another, and on four threads --- */

#define BATCH 24

struct work {
    const struct inv_muvera *muvera;
    const float *tokens; /* BATCH documents, behind one another */
    float *out;
};

/* Documents of 1, 6, 11, ... tokens, at any place in memory. */
static size_t rows_of(size_t i) { return 1 + 5 * i; }

static void *encode_all(void *argument) {
    struct work *work = argument;
    const float *tokens = work->tokens;
    size_t dim = inv_muvera_dim(work->muvera);
    for (size_t i = 0; i < BATCH; i++) {
        if (inv_muvera_encode_document(work->muvera, tokens, rows_of(i),
                                       work->out + i * dim, NULL) != INV_OK)
            return work;
        tokens += rows_of(i) * DIM;
    }
    return NULL;
}

START_TEST(single_batched_and_threaded_agree_bitwise) {
    struct inv_muvera_params params = plain();
    params.fill = INV_FILL_DAMPED;
    params.center = params.sketch_per_cell = true;
    size_t total = 0;
    for (size_t i = 0; i < BATCH; i++)
        total += rows_of(i);
    float *tokens = unit_tokens(total, DIM, 15);
    float *center = center_of(tokens, total);
    struct inv_muvera *muvera = must_new(&params, center);
    size_t dim = inv_muvera_dim(muvera);
    struct work works[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        float *out = malloc(BATCH * dim * sizeof *out);
        works[i] = (struct work){muvera, tokens, out};
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, encode_all, &works[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    const float *from = tokens;
    for (size_t i = 0; i < BATCH; i++) {
        /* alone: in memory of its own, oddly aligned */
        size_t bytes = rows_of(i) * DIM * sizeof(float);
        float *copy = malloc(bytes + sizeof(float));
        memcpy(copy + 1, from, bytes);
        float *alone = must_encode(muvera, true, copy + 1, rows_of(i));
        for (int t = 0; t < 4; t++)
            ck_assert_mem_eq(alone, works[t].out + i * dim,
                             dim * sizeof *alone);
        free(copy);
        free(alone);
        from += rows_of(i) * DIM;
    }
    for (int t = 0; t < 4; t++)
        free(works[t].out);
    inv_muvera_free(muvera);
    free(tokens);
    free(center);
}
END_TEST

static TCase *cases(void) {
    TCase *tests = tcase_create("properties");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, order_of_tokens_does_not_matter);
    tcase_add_test(tests, query_of_a_union_is_the_sum);
    tcase_add_test(tests,
                   four_times_the_tokens_is_four_times_the_encoding_bitwise);
    tcase_add_test(tests, document_said_twice_is_the_same_document);
    tcase_add_test(tests, zero_tokens_are_dropped_bitwise);
    tcase_add_test(tests, identity_estimate_lies_between_worst_and_best_match);
    tcase_add_test(tests, one_token_document_is_exact);
    tcase_add_test(tests, long_document_hashed_in_parts_keeps_every_token);
    tcase_add_test(tests, centre_removes_its_direction_on_both_sides);
    tcase_add_test(tests, no_centre_and_zero_centre_encode_as_without);
    tcase_add_test(tests, more_repetitions_extend_an_encoding);
    tcase_add_test(tests, sketches_are_one_per_repetition_or_one_per_cell);
    tcase_add_test(tests, seed_decides_every_bit);
    tcase_add_test(tests, single_batched_and_threaded_agree_bitwise);
    return tests;
}

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("muvera properties");
    suite_add_tcase(suite, cases());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
