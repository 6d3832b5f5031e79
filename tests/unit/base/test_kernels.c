/*
 * test_kernels.c: dot products, distances and MaxSim of every set of kernels
 * that this machine can run, over all dimensions 1..200. Most tests use small
 * whole numbers, whose sums are exact in any order, so that results are
 * compared for equality with integer arithmetic. Operands end at a page that
 * cannot be read, and half of the time at odd addresses.
 */
#include "base/kernels.h"
#include "tests/unit/base/kernels_support.h"

#include <stdlib.h>
#include <string.h>

static inline size_t width_of(enum inv_dtype dtype) {
    return dtype == INV_F32 ? 4 : dtype == INV_F16 ? 2 : 1;
}

/* Stores a whole number (times the scale, for i8) at any address. */
static void put(enum inv_dtype dtype, char *at, int value) {
    float x = (float)value;
    uint16_t half = half_of(x);
    if (dtype == INV_F32)
        memcpy(at, &x, 4);
    else if (dtype == INV_F16)
        memcpy(at, &half, 2);
    else
        *at = (char)value;
}

/* A query and stored rows of whole numbers, at the end of readable memory. The
 * rows take an odd number of bytes at the start, so most are misaligned. */
struct matter {
    struct guarded query_memory, code_memory, scale_memory;
    float *query;
    int *query_whole;
    struct inv_codes codes;
    int *code_whole;
    float *scale; /* .5, .25 or .125; 1 unless i8 */
    size_t query_rows, dim;
};

static void matter_fill(struct matter *m, uint32_t seed) {
    struct inv_codes *codes = &m->codes;
    int limit = codes->dtype == INV_I8 ? 127 : 8;
    size_t width = width_of(codes->dtype);
    for (size_t i = 0; i < m->query_rows * m->dim; i++) {
        m->query_whole[i] = whole(&seed, 8);
        float x = (float)m->query_whole[i];
        memcpy((char *)m->query + i * 4, &x, 4);
    }
    char *data =
        guarded_tail(&m->code_memory, codes->rows * codes->dim * width);
    for (size_t i = 0; i < codes->rows * codes->dim; i++) {
        m->code_whole[i] = whole(&seed, limit);
        put(codes->dtype, data + i * width, m->code_whole[i]);
    }
    for (size_t t = 0; t < codes->rows; t++) {
        m->scale[t] = 1;
        if (codes->dtype == INV_I8) {
            m->scale[t] = 1 / (float)(2 << random_bits(&seed) % 3);
            uint16_t half = half_of(m->scale[t]);
            memcpy((char *)guarded_tail(&m->scale_memory, codes->rows * 2) +
                       t * 2,
                   &half, 2);
        }
    }
}

static struct matter matter_new(enum inv_dtype dtype, size_t query_rows,
                                size_t rows, size_t dim, size_t codes_dim) {
    struct matter m = {.query_rows = query_rows, .dim = dim};
    size_t bytes = rows * codes_dim * width_of(dtype);
    m.query_memory = guarded_new(query_rows * dim * 4);
    m.code_memory = guarded_new(bytes + 1); /* see matter_shift */
    m.scale_memory = guarded_new(rows * 2);
    m.query = guarded_tail(&m.query_memory, query_rows * dim * 4);
    m.query_whole = calloc(query_rows * dim, sizeof(int));
    m.code_whole = calloc(rows * codes_dim, sizeof(int));
    m.scale = calloc(rows, sizeof(float));
    m.codes = (struct inv_codes){
        .data = guarded_tail(&m.code_memory, bytes),
        .scales =
            dtype == INV_I8 ? guarded_tail(&m.scale_memory, rows * 2) : NULL,
        .dtype = dtype,
        .rows = rows,
        .dim = codes_dim};
    matter_fill(&m, (uint32_t)(dim * 31 + rows * 7 + query_rows + dtype));
    return m;
}

/* Moves the rows one byte down, to an odd address. */
static void matter_shift(struct matter *m) {
    size_t bytes = m->codes.rows * m->codes.dim * width_of(m->codes.dtype);
    char *to = guarded_tail(&m->code_memory, bytes + 1);
    memmove(to, m->codes.data, bytes);
    m->codes.data = to;
}

static void matter_free(struct matter *m) {
    guarded_free(&m->query_memory);
    guarded_free(&m->code_memory);
    guarded_free(&m->scale_memory);
    free(m->query_whole);
    free(m->code_whole);
    free(m->scale);
}

static float exact_dot(const struct matter *m, size_t q, size_t t) {
    long sum = 0;
    for (size_t i = 0; i < m->dim; i++)
        sum += (long)m->query_whole[q * m->dim + i] *
               m->code_whole[t * m->codes.dim + i];
    return (float)sum * m->scale[t];
}

static float exact_l2sq(const struct matter *m, size_t q, size_t t) {
    double sum = 0;
    for (size_t i = 0; i < m->dim; i++) {
        double x = (double)m->scale[t] * m->code_whole[t * m->codes.dim + i];
        double d = m->query_whole[q * m->dim + i] - x;
        sum += d * d;
    }
    return (float)sum;
}

static float set_dot(const struct inv_kernels *k, const struct matter *m,
                     size_t t) {
    const char *row = (const char *)m->codes.data +
                      t * m->codes.dim * width_of(m->codes.dtype);
    switch (m->codes.dtype) {
    case INV_F32:
        return k->dot_f32(m->query, (const void *)row, m->dim);
    case INV_F16:
        return k->dot_f16(m->query, (const void *)row, m->dim);
    case INV_I8:
        return k->dot_i8(m->query, (const void *)row, m->scale[t], m->dim);
    }
    return NAN;
}

static float set_l2sq(const struct inv_kernels *k, const struct matter *m,
                      size_t t) {
    const char *row = (const char *)m->codes.data +
                      t * m->codes.dim * width_of(m->codes.dtype);
    switch (m->codes.dtype) {
    case INV_F32:
        return k->l2sq_f32(m->query, (const void *)row, m->dim);
    case INV_F16:
        return k->l2sq_f16(m->query, (const void *)row, m->dim);
    case INV_I8:
        return k->l2sq_i8(m->query, (const void *)row, m->scale[t], m->dim);
    }
    return NAN;
}

START_TEST(one_row_matches_whole_number_arithmetic) {
    SET_OR_RETURN(_i);
    for (int type = INV_F32; type <= INV_I8; type++) {
        for (size_t dim = 1; dim <= 200; dim++) {
            struct matter m =
                matter_new((enum inv_dtype)type, 1, 3, dim, dim + dim % 3);
            for (int shift = 0; shift < 2; shift++) {
                for (size_t t = 0; t < 3; t++) {
                    assert_same(set_dot(k, &m, t), exact_dot(&m, 0, t));
                    assert_same(set_l2sq(k, &m, t), exact_l2sq(&m, 0, t));
                }
                matter_shift(&m);
            }
            matter_free(&m);
        }
    }
}
END_TEST

static void check_rows(const struct inv_kernels *k, const struct matter *m) {
    size_t count = m->codes.rows;
    float out[2][16];
    for (size_t i = 0; i < 16; i++)
        out[0][i] = out[1][i] = 77;
    size_t stride = m->codes.dim;
    if (m->codes.dtype == INV_F32) {
        k->dot_rows_f32(m->query, m->codes.data, stride, count, m->dim, out[0]);
        k->l2sq_rows_f32(m->query, m->codes.data, stride, count, m->dim,
                         out[1]);
    } else {
        k->dot_rows_f16(m->query, m->codes.data, stride, count, m->dim, out[0]);
        k->l2sq_rows_f16(m->query, m->codes.data, stride, count, m->dim,
                         out[1]);
    }
    for (size_t t = 0; t < count; t++) {
        assert_same(out[0][t], exact_dot(m, 0, t));
        assert_same(out[1][t], exact_l2sq(m, 0, t));
    }
    assert_same(out[0][count], 77);
    assert_same(out[1][count], 77);
}

START_TEST(rows_match_whole_number_arithmetic) {
    SET_OR_RETURN(_i);
    for (int type = INV_F32; type <= INV_F16; type++) {
        for (size_t dim = 1; dim <= 200; dim++) {
            size_t extra = dim % 4 == 0 ? 0 : dim % 4 * 7;
            struct matter m = matter_new((enum inv_dtype)type, 1, 1 + dim % 15,
                                         dim, dim + extra);
            check_rows(k, &m);
            matter_shift(&m);
            check_rows(k, &m);
            matter_free(&m);
        }
        for (size_t count = 1; count <= 15; count++) {
            struct matter m =
                matter_new((enum inv_dtype)type, 1, count, 96, 131);
            check_rows(k, &m);
            matter_free(&m);
        }
    }
}
END_TEST

/* What decides between two equal hits must not depend on how they were
 * scanned. Real numbers here: the order of addition shows. */
START_TEST(a_row_has_the_same_bits_alone_and_among_others) {
    SET_OR_RETURN(_i);
    enum { rows = 7, most = 200 };
    static float query[most], f32[rows * most], out[2][rows];
    static uint16_t f16[rows * most];
    uint32_t seed = 5;
    for (size_t i = 0; i < most; i++)
        query[i] = fraction(&seed);
    for (size_t i = 0; i < rows * most; i++) {
        f32[i] = fraction(&seed);
        f16[i] = half_of(f32[i]);
    }
    for (size_t dim = 1; dim <= most; dim++) {
        k->dot_rows_f32(query, f32, most, rows, dim, out[0]);
        k->l2sq_rows_f16(query, f16, most, rows, dim, out[1]);
        for (size_t t = 0; t < rows; t++) {
            float dot = k->dot_f32(query, f32 + t * most, dim);
            float l2sq = k->l2sq_f16(query, f16 + t * most, dim);
            ck_assert_mem_eq(&dot, &out[0][t], sizeof dot);
            ck_assert_mem_eq(&l2sq, &out[1][t], sizeof l2sq);
        }
    }
}
END_TEST

START_TEST(real_numbers_match_double_arithmetic) {
    SET_OR_RETURN(_i);
    enum { most = 16384 };
    static float query[most], row[most];
    uint32_t seed = 9;
    for (size_t i = 0; i < most; i++) {
        query[i] = fraction(&seed);
        row[i] = fraction(&seed);
    }
    for (size_t dim = 1; dim <= most; dim = dim * 3 / 2 + 1) {
        double dot = 0;
        double l2sq = 0;
        double size = 0;
        for (size_t i = 0; i < dim; i++) {
            double q = (double)query[i];
            double x = (double)row[i];
            dot += q * x;
            size += fabs(q * x);
            l2sq += (q - x) * (q - x);
        }
        ck_assert_double_eq_tol((double)k->dot_f32(query, row, dim), dot,
                                1e-6 * size + 1e-7);
        ck_assert_double_eq_tol((double)k->l2sq_f32(query, row, dim), l2sq,
                                2e-6 * l2sq + 1e-7);
        double squares = k->sum_squares(row, dim);
        double expected = 0;
        for (size_t i = 0; i < dim; i++)
            expected += (double)row[i] * (double)row[i];
        ck_assert_double_eq_tol(squares, expected, 1e-13 * expected);
    }
}
END_TEST

static void check_maxsim(const struct inv_kernels *k, enum inv_dtype dtype,
                         size_t query_rows, size_t rows, size_t dim,
                         size_t codes_dim) {
    struct matter m = matter_new(dtype, query_rows, rows, dim, codes_dim);
    float *best = calloc(query_rows + 1, sizeof *best);
    float *expected = calloc(query_rows, sizeof *expected);
    for (size_t q = 0; q < query_rows; q++) {
        expected[q] = -INFINITY;
        for (size_t t = 0; t < rows; t++)
            expected[q] = fmaxf(expected[q], exact_dot(&m, q, t));
    }
    for (int shift = 0; shift < 2; shift++) {
        best[query_rows] = 77;
        k->maxsim(m.query, query_rows, &m.codes, dim, best);
        for (size_t q = 0; q < query_rows; q++)
            ck_assert_msg(best[q] == expected[q],
                          "%s %s, %zu x %zu x %zu of %zu, row %zu: %g, not %g",
                          k->name, inv_dtype_name(dtype), query_rows, rows, dim,
                          codes_dim, q, (double)best[q], (double)expected[q]);
        assert_same(best[query_rows], 77);
        matter_shift(&m);
    }
    free(best);
    free(expected);
    matter_free(&m);
}

START_TEST(maxsim_is_exact_in_every_dimension) {
    SET_OR_RETURN(_i);
    for (int type = INV_F32; type <= INV_I8; type++)
        for (size_t dim = 1; dim <= 200; dim++) {
            enum inv_dtype dtype = (enum inv_dtype)type;
            check_maxsim(k, dtype, 1 + dim % 8, 1 + dim % 23, dim, dim);
            check_maxsim(k, dtype, 9 + dim % 11, 1 + dim % 31, dim,
                         dim + dim % 5);
        }
}
END_TEST

START_TEST(maxsim_is_exact_for_every_small_shape) {
    SET_OR_RETURN(_i);
    static const size_t dims[] = {1, 8, 17, 48};
    for (int type = INV_F32; type <= INV_I8; type++)
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
            for (size_t queries = 1; queries <= 13; queries++)
                for (size_t rows = 1; rows <= 13; rows++)
                    check_maxsim(k, (enum inv_dtype)type, queries, rows,
                                 dims[d], dims[d] + 3);
}
END_TEST

START_TEST(maxsim_is_exact_for_large_shapes) {
    SET_OR_RETURN(_i);
    for (int type = INV_F32; type <= INV_I8; type++) {
        enum inv_dtype dtype = (enum inv_dtype)type;
        check_maxsim(k, dtype, 32, 180, 96, 96);   /* several tiles */
        check_maxsim(k, dtype, 33, 301, 128, 256); /* a prefix */
        check_maxsim(k, dtype, 1024, 5, 24, 24);
        check_maxsim(k, dtype, 12, 6, 1024, 1024); /* the longest in a tile */
        check_maxsim(k, dtype, 12, 6, 1025, 1030);
        check_maxsim(k, dtype, 10, 3, 4097, 4097);
        check_maxsim(k, dtype, 2, 40, 768, 768);
        check_maxsim(k, dtype, 3, 2, 16384, 16384);
    }
}
END_TEST

START_TEST(maxsim_of_only_negative_scores_is_negative) {
    SET_OR_RETURN(_i);
    float query[4 * 20];
    float row[5 * 20];
    float best[4];
    for (size_t i = 0; i < 4 * 20; i++)
        query[i] = 1;
    for (size_t i = 0; i < 5 * 20; i++)
        row[i] = i / 20 == 3 ? -2 : -3;
    struct inv_codes codes = {
        .data = row, .dtype = INV_F32, .rows = 5, .dim = 20};
    for (size_t queries = 1; queries <= 4; queries++) {
        k->maxsim(query, queries, &codes, 20, best);
        for (size_t q = 0; q < queries; q++)
            assert_same(best[q], -40);
    }
}
END_TEST

START_TEST(stored_rows_of_every_type_are_addressed_by_number) {
    for (int type = INV_F32; type <= INV_I8; type++) {
        struct matter m = matter_new((enum inv_dtype)type, 1, 5, 19, 23);
        for (int shift = 0; shift < 2; shift++) {
            for (size_t t = 0; t < 5; t++) {
                assert_same(inv_dot_code(m.query, &m.codes, t, 19),
                            exact_dot(&m, 0, t));
                assert_same(inv_l2sq_code(m.query, &m.codes, t, 19),
                            exact_l2sq(&m, 0, t));
            }
            matter_shift(&m);
        }
        matter_free(&m);
    }
}
END_TEST

static Suite *suite_new(void) {
    Suite *suite = suite_create("base/kernels: products");
    TCase *sets = tcase_create("every set");
    tcase_set_timeout(sets, 120);
    tcase_add_loop_test(sets, one_row_matches_whole_number_arithmetic, 0, SETS);
    tcase_add_loop_test(sets, rows_match_whole_number_arithmetic, 0, SETS);
    tcase_add_loop_test(sets, a_row_has_the_same_bits_alone_and_among_others, 0,
                        SETS);
    tcase_add_loop_test(sets, real_numbers_match_double_arithmetic, 0, SETS);
    tcase_add_loop_test(sets, maxsim_is_exact_in_every_dimension, 0, SETS);
    tcase_add_loop_test(sets, maxsim_is_exact_for_every_small_shape, 0, SETS);
    tcase_add_loop_test(sets, maxsim_is_exact_for_large_shapes, 0, SETS);
    tcase_add_loop_test(sets, maxsim_of_only_negative_scores_is_negative, 0,
                        SETS);
    suite_add_tcase(suite, sets);
    TCase *face = tcase_create("public functions");
    tcase_add_test(face, stored_rows_of_every_type_are_addressed_by_number);
    suite_add_tcase(suite, face);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(suite_new());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
