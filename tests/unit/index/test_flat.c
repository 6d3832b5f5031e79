/*
 * test_flat.c: the exact scan against a double loop in double precision, for
 * both metrics and both codes, every shape near the block size, and filters of
 * every density.
 */
#include "base/bitset.h"
#include "base/kernels.h"
#include "base/rng.h"
#include "index/ann.h"

#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_MAX 700

static enum inv_status read_rows(void *ctx, size_t first, size_t count,
                                 float *out, struct inv_err *err) {
    (void)err;
    const struct inv_matrix *m = ctx;
    memcpy(out, m->data + first * m->dim, count * m->dim * sizeof(float));
    return INV_OK;
}

/* Small multiples of 1/8: f16 holds them, sums are exact, ties are many. */
static struct inv_matrix make_rows(size_t rows, size_t dim, uint64_t seed) {
    struct inv_matrix m = {malloc(rows * dim * sizeof(float)), rows, dim};
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "flat", 0);
    ck_assert_ptr_nonnull(m.data);
    for (size_t i = 0; i < rows * dim; i++)
        m.data[i] = (float)inv_stream_below(&stream, 9) / 8.0f - 0.5f;
    return m;
}

static struct inv_ann *build(struct inv_matrix *m, enum inv_metric metric,
                             enum inv_dtype dtype) {
    struct inv_ann_config config = {.type = INV_ANN_FLAT,
                                    .metric = metric,
                                    .dim = m->dim,
                                    .dtype = dtype,
                                    .threads = 1};
    struct inv_ann_source source = {read_rows, NULL, m, m->rows};
    struct inv_ann *ann;
    ck_assert_int_eq(inv_ann_build(&config, &source, &ann, NULL), INV_OK);
    return ann;
}

struct scored {
    double score;
    uint32_t entry;
};

static int best_first(const void *a, const void *b) {
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static size_t naive(const struct inv_matrix *m, const float *query,
                    enum inv_metric metric, const uint64_t *allowed,
                    struct scored *out) {
    size_t n = 0;
    for (size_t i = 0; i < m->rows; i++) {
        if (allowed != NULL && !inv_bitset_has(allowed, i))
            continue;
        double score = 0;
        for (size_t j = 0; j < m->dim; j++) {
            double a = (double)query[j], b = (double)m->data[i * m->dim + j];
            score += metric == INV_METRIC_IP ? a * b : -(a - b) * (a - b);
        }
        out[n++] = (struct scored){score, (uint32_t)i};
    }
    qsort(out, n, sizeof *out, best_first);
    return n;
}

static void check_search(const struct inv_ann *ann, struct inv_matrix *m,
                         const float *query, size_t k,
                         const uint64_t *allowed) {
    static struct scored want[ROWS_MAX];
    static struct inv_ann_hit got[ROWS_MAX + 10];
    struct inv_ann_params params = {.allowed = allowed};
    enum inv_metric metric = inv_ann_get_config(ann)->metric;
    size_t all = naive(m, query, metric, allowed, want), found;
    ck_assert_int_eq(inv_ann_search(ann, query, k, &params, got, &found, NULL),
                     INV_OK);
    ck_assert_uint_eq(found, k < all ? k : all);
    for (size_t i = 0; i < found; i++) {
        ck_assert_uint_eq(got[i].entry, want[i].entry);
        ck_assert((double)got[i].score == want[i].score);
    }
}

static const enum inv_dtype dtypes[] = {INV_F32, INV_F16};

START_TEST(equals_a_naive_scan_at_every_shape_near_a_block) {
    static const size_t counts[] = {1, 2, 63, 64, 65, 127, 128, 700};
    static const size_t dims[] = {1, 7, 32, 33};
    for (size_t c = 0; c < 8; c++)
        for (size_t d = 0; d < 4; d++) {
            struct inv_matrix m = make_rows(counts[c], dims[d], c);
            struct inv_matrix q = make_rows(2, dims[d], 99);
            struct inv_ann *ann =
                build(&m, (enum inv_metric)(_i % 2), dtypes[_i / 2]);
            for (size_t k = 0; k <= counts[c] + 1; k += k < 3 ? 1 : 60)
                for (size_t i = 0; i < 2; i++)
                    check_search(ann, &m, q.data + i * dims[d], k, NULL);
            check_search(ann, &m, q.data, counts[c] + 1, NULL);
            inv_ann_free(ann);
            free(m.data);
            free(q.data);
        }
}
END_TEST

START_TEST(equals_a_naive_scan_under_filters_of_every_density) {
    static const double shares[] = {0, 0.01, 0.1, 0.3, 0.7, 1};
    struct inv_matrix m = make_rows(ROWS_MAX, 24, 1), q = make_rows(1, 24, 2);
    struct inv_ann *ann = build(&m, (enum inv_metric)(_i % 2), dtypes[_i / 2]);
    for (size_t s = 0; s < 6; s++) {
        uint64_t allowed[(ROWS_MAX + 63) / 64] = {0};
        struct inv_stream stream;
        inv_stream_init(&stream, 4, "allowed", s);
        for (size_t i = 0; i < ROWS_MAX; i++)
            if (inv_stream_uniform(&stream) < shares[s])
                inv_bitset_add(allowed, i);
        check_search(ann, &m, q.data, 10, allowed);
        check_search(ann, &m, q.data, ROWS_MAX, allowed);
        memset(allowed, 0xff, 5 * sizeof *allowed); /* whole blocks */
        memset(allowed + 5, 0, 2 * sizeof *allowed);
        check_search(ann, &m, q.data, 50, allowed);
    }
    inv_ann_free(ann);
    free(m.data);
    free(q.data);
}
END_TEST

START_TEST(bits_of_the_set_beyond_the_rows_are_ignored) {
    struct inv_matrix m = make_rows(70, 8, 1);
    struct inv_ann *ann = build(&m, INV_METRIC_IP, INV_F32);
    uint64_t allowed[2] = {0, ~UINT64_C(0)};
    struct inv_ann_params params = {.allowed = allowed};
    struct inv_ann_hit hits[70];
    size_t found;
    ck_assert_int_eq(
        inv_ann_search(ann, m.data, 70, &params, hits, &found, NULL), INV_OK);
    ck_assert_uint_eq(found, 6);
    for (size_t i = 0; i < found; i++)
        ck_assert_uint_ge(hits[i].entry, 64);
    inv_ann_free(ann);
    free(m.data);
}
END_TEST

START_TEST(codes_of_half_precision_are_the_rows_rounded) {
    struct inv_matrix m = {malloc(64 * sizeof(float)), 2, 32};
    struct inv_stream stream;
    inv_stream_init(&stream, 1, "half", 0);
    for (size_t i = 0; i < 64; i++)
        m.data[i] = inv_stream_normal(&stream);
    struct inv_ann *ann = build(&m, INV_METRIC_IP, INV_F16);
    uint16_t half[64];
    float rounded[64];
    inv_f16_from_f32(m.data, half, 64);
    inv_f32_from_f16(half, rounded, 64);
    struct inv_ann_hit hits[2];
    size_t found;
    ck_assert_int_eq(inv_ann_search(ann, m.data, 2, NULL, hits, &found, NULL),
                     INV_OK);
    ck_assert_uint_eq(found, 2);
    for (size_t i = 0; i < 2; i++) {
        float want =
            inv_dot_f32(m.data, rounded + hits[i].entry * (size_t)32, 32);
        ck_assert(fabsf(hits[i].score - want) < 1e-5f);
    }
    ck_assert_uint_eq(inv_ann_bytes(ann), 2 * 32 * 2);
    ck_assert(inv_ann_capabilities(ann) & INV_ANN_COMPRESSED);
    inv_ann_free(ann);
    free(m.data);
}
END_TEST

START_TEST(a_file_whose_header_and_rows_disagree_is_refused) {
    char path[] = "/tmp/invar-flat-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    unlink(path);
    struct inv_matrix m = make_rows(10, 8, 1);
    struct inv_ann *ann = build(&m, INV_METRIC_IP, INV_F32), *back;
    ck_assert_int_eq(inv_ann_save(ann, path, NULL), INV_OK);
    struct inv_ann_config config = *inv_ann_get_config(ann);
    struct inv_err err;
    config.dtype = INV_F16;
    ck_assert_int_eq(inv_ann_open(&config, path, 10, &back, &err), INV_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "dtype"));
    inv_ann_free(ann);
    unlink(path);
    free(m.data);
}
END_TEST

/* The format is for years: these bytes must not change by accident. */
START_TEST(the_header_is_laid_out_as_drawn) {
    char path[] = "/tmp/invar-flat-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    unlink(path);
    struct inv_matrix m = make_rows(3, 2, 1);
    struct inv_ann *ann = build(&m, INV_METRIC_L2, INV_F32);
    ck_assert_int_eq(inv_ann_save(ann, path, NULL), INV_OK);
    unsigned char bytes[200];
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(read(fd, bytes, sizeof bytes), 128 + 3 * 2 * 4);
    close(fd);
    static const unsigned char begin[] = {
        'I', 'N', 'V', 'A', 'N', 'N', '\r', '\n', /* magic */
        1,   0,   0,   0,   4,   3,   2,    1,    /* version, order */
        0,   0,   0,   0,   1,   0,   0,    0,    /* flat, L2 */
        1,   0,   0,   0,   2,   0,   0,    0,    /* f32, 2 dimensions */
        3,   0,   0,   0,   0,   0,   0,    0,    /* rows */
        24,  0,   0,   0,   0,   0,   0,    0,    /* payload */
    };
    ck_assert_mem_eq(bytes, begin, sizeof begin);
    ck_assert_mem_eq(bytes + 128, m.data, 24);
    inv_ann_free(ann);
    unlink(path);
    free(m.data);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("flat");
    TCase *tc = tcase_create("flat");
    tcase_add_loop_test(tc, equals_a_naive_scan_at_every_shape_near_a_block, 0,
                        4);
    tcase_add_loop_test(tc, equals_a_naive_scan_under_filters_of_every_density,
                        0, 4);
    tcase_add_test(tc, bits_of_the_set_beyond_the_rows_are_ignored);
    tcase_add_test(tc, codes_of_half_precision_are_the_rows_rounded);
    tcase_add_test(tc, a_file_whose_header_and_rows_disagree_is_refused);
    tcase_add_test(tc, the_header_is_laid_out_as_drawn);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
