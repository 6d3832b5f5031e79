/*
 * Reference mode of the MUVERA encoder against outputs of the authors' code
 * (tests/data/golden/fde.txt): all configurations, and every value of the
 * small ones.
 */
#include "encoders/muvera.h"

#include <cblas.h>
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/data/golden/fde.txt"
#define HEAD 24 /* leading values the file holds of each encoding */

struct expected {
    double sum, sumsq;
    float head[HEAD];
    int count;
};

struct record {
    unsigned d, n_doc, n_qry, repetitions, bits, width, fill, final_dim, dim;
    unsigned long seed;
    double dot;
    struct expected doc, qry;
};

/* The inputs the reference was run on, as the file's head describes. */
static float *make_tokens(uint32_t rows, uint32_t dim, uint32_t salt) {
    float *x = malloc((size_t)rows * dim * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (uint32_t t = 0; t < rows; t++) {
        for (uint32_t i = 0; i < dim; i++) {
            uint32_t h = t * 7919 + i * 104729 + salt * 1299709 + t * i * 31;
            h ^= h >> 13;
            h *= 2654435761u;
            h ^= h >> 16;
            x[(size_t)t * dim + i] = (float)((int)(h % 2001) - 1000) / 1000.0f;
        }
    }
    return x;
}

static int parse_values(const char *text, float *values, int most) {
    int count = 0;
    char *end;
    for (; count < most; count++, text = end) {
        values[count] = strtof(text, &end);
        if (end == text)
            break;
    }
    return count;
}

static struct inv_muvera *build(const struct record *r) {
    struct inv_muvera_params params = {
        .dim = r->d,
        .repetitions = r->repetitions,
        .bits = r->bits,
        .width = r->width == 0 ? r->d : r->width,
        .final_dim = r->final_dim,
        .seed = r->seed,
        .generator = INV_GENERATOR_REFERENCE,
        .fill = r->fill ? INV_FILL_NEAREST : INV_FILL_NONE,
    };
    struct inv_muvera *muvera = NULL;
    struct inv_err err;
    ck_assert_msg(inv_muvera_new(&params, NULL, &muvera, &err) == INV_OK, "%s",
                  err.text);
    return muvera;
}

static void compare(const struct record *r, const char *side,
                    const struct expected *expected, const float *got) {
    double sum = 0, sumsq = 0;
    for (unsigned i = 0; i < r->dim; i++) {
        sum += (double)got[i];
        sumsq += (double)got[i] * (double)got[i];
    }
    ck_assert_msg(fabs(sum - expected->sum) <= 1e-3,
                  "R=%u k=%u m=%u %s: sum %.6f, not %.6f", r->repetitions,
                  r->bits, r->width, side, sum, expected->sum);
    ck_assert_msg(fabs(sumsq - expected->sumsq) <= 1e-3,
                  "R=%u k=%u m=%u %s: squares %.6f, not %.6f", r->repetitions,
                  r->bits, r->width, side, sumsq, expected->sumsq);
    ck_assert_int_eq(expected->count, r->dim < HEAD ? (int)r->dim : HEAD);
    for (int i = 0; i < expected->count; i++) {
        double want = (double)expected->head[i];
        /* the file prints six significant digits */
        ck_assert_msg(fabs((double)got[i] - want) <= 1e-5,
                      "R=%u k=%u m=%u %s[%d]: %.7f, not %.7f", r->repetitions,
                      r->bits, r->width, side, i, (double)got[i], want);
    }
}

static void check_record(const struct record *r) {
    struct inv_muvera *muvera = build(r);
    ck_assert_uint_eq(inv_muvera_dim(muvera), r->dim);
    float *doc = make_tokens(r->n_doc, r->d, 1);
    float *qry = make_tokens(r->n_qry, r->d, 2);
    float *fdoc = malloc(r->dim * sizeof *fdoc);
    float *fqry = malloc(r->dim * sizeof *fqry);
    struct inv_err err;
    ck_assert_int_eq(
        inv_muvera_encode_document(muvera, doc, r->n_doc, fdoc, &err), INV_OK);
    ck_assert_int_eq(inv_muvera_encode_query(muvera, qry, r->n_qry, fqry, &err),
                     INV_OK);
    compare(r, "doc", &r->doc, fdoc);
    compare(r, "qry", &r->qry, fqry);
    double dot = 0;
    for (unsigned i = 0; i < r->dim; i++)
        dot += (double)fdoc[i] * (double)fqry[i];
    ck_assert_double_eq_tol(dot, r->dot, 1e-3);
    free(doc);
    free(qry);
    free(fdoc);
    free(fqry);
    inv_muvera_free(muvera);
}

static FILE *open_golden(void) {
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file != NULL, "run from the repository root: no " GOLDEN);
    return file;
}

START_TEST(all_reference_configurations_match) {
    FILE *file = open_golden();
    char line[2048];
    int records = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct record r;
        if (sscanf(line,
                   "d=%u n_doc=%u n_qry=%u R=%u k=%u dproj=%u fill=%u final=%u "
                   "seed=%lu dim=%u | doc sum %lf sumsq %lf | qry sum %lf "
                   "sumsq %lf | dot %lf",
                   &r.d, &r.n_doc, &r.n_qry, &r.repetitions, &r.bits, &r.width,
                   &r.fill, &r.final_dim, &r.seed, &r.dim, &r.doc.sum,
                   &r.doc.sumsq, &r.qry.sum, &r.qry.sumsq, &r.dot) != 15)
            continue;
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        r.doc.count = parse_values(strchr(line, ':') + 1, r.doc.head, HEAD);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        r.qry.count = parse_values(strchr(line, ':') + 1, r.qry.head, HEAD);
        check_record(&r);
        records++;
    }
    fclose(file);
    ck_assert_int_eq(records, 11);
}
END_TEST

/* Encodings the file holds whole: three tokens in four dimensions. */
static void check_whole(const struct record *r, bool document,
                        const char *values) {
    static const float tokens[3][4] = {
        {1, 0, 0, 0}, {0, 1, 0, 0}, {-.5f, .5f, -.5f, .5f}};
    float want[64], got[64];
    int count = parse_values(values, want, 64);
    struct inv_muvera *muvera = build(r);
    ck_assert_int_eq((int)inv_muvera_dim(muvera), count);
    ck_assert_int_eq(
        document ? inv_muvera_encode_document(muvera, tokens[0], 3, got, NULL)
                 : inv_muvera_encode_query(muvera, tokens[0], 3, got, NULL),
        INV_OK);
    for (int i = 0; i < count; i++)
        ck_assert_double_eq_tol((double)got[i], (double)want[i], 1e-5);
    inv_muvera_free(muvera);
}

START_TEST(whole_encodings_of_three_tokens_match) {
    FILE *file = open_golden();
    char line[2048];
    int found = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct record r = {.d = 4, .repetitions = 1, .fill = 1, .seed = 1};
        const char *colon = strchr(line, ':');
        bool small = sscanf(line, "   qry k=%u:", &r.bits) == 1 ||
                     sscanf(line, "   doc k=%u:", &r.bits) == 1;
        if (!small &&
            sscanf(line, "   R=%u k=%u dproj=%u seed 1+final%u", &r.repetitions,
                   &r.bits, &r.width, &r.final_dim) < 3)
            continue;
        ck_assert_ptr_nonnull(colon);
        const char *doc = strstr(line, "doc");
        check_whole(&r, doc != NULL && doc < colon, colon + 1);
        found++;
    }
    fclose(file);
    ck_assert_int_eq(found, 12);
}
END_TEST

/* The query of one basis vector shows its bucket and sign. */
START_TEST(first_sketch_has_the_reference_buckets_and_signs) {
    static const struct {
        int bucket, sign;
    } want[8] = {{6, -1}, {14, 1},  {4, 1}, {3, 1},
                 {2, 1},  {10, -1}, {8, 1}, {5, -1}};
    struct record r = {.d = 128, .repetitions = 1, .width = 16, .seed = 1};
    struct inv_muvera *muvera = build(&r);
    for (int i = 0; i < 8; i++) {
        float token[128] = {0}, out[16];
        token[i] = 1.0f;
        ck_assert_int_eq(inv_muvera_encode_query(muvera, token, 1, out, NULL),
                         INV_OK);
        for (int j = 0; j < 16; j++)
            ck_assert_int_eq((int)out[j],
                             j == want[i].bucket ? want[i].sign : 0);
    }
    inv_muvera_free(muvera);
}
END_TEST

START_TEST(reference_mode_survives_scaling_and_padding) {
    struct record r = {
        .d = 128, .repetitions = 20, .bits = 5, .width = 16, .fill = 1};
    r.seed = 1;
    struct inv_muvera *muvera = build(&r);
    size_t dim = inv_muvera_dim(muvera);
    float *tokens = make_tokens(60, 128, 1);
    float *padded = calloc(80 * 128, sizeof *padded);
    for (size_t i = 0; i < 60; i++) /* a zero row before every third */
        memcpy(padded + (i + i / 3 + 1) * 128, tokens + i * 128,
               128 * sizeof *padded);
    float *a = malloc(dim * sizeof *a), *b = malloc(dim * sizeof *b);
    ck_assert_int_eq(inv_muvera_encode_document(muvera, tokens, 60, a, NULL),
                     INV_OK);
    ck_assert_int_eq(inv_muvera_encode_document(muvera, padded, 80, b, NULL),
                     INV_OK);
    ck_assert_mem_eq(a, b, dim * sizeof *a);
    for (size_t i = 0; i < 60 * 128; i++)
        tokens[i] *= 4.0f;
    ck_assert_int_eq(inv_muvera_encode_document(muvera, tokens, 60, b, NULL),
                     INV_OK);
    for (size_t i = 0; i < dim; i++)
        a[i] *= 4.0f;
    ck_assert_mem_eq(a, b, dim * sizeof *a);
    free(tokens);
    free(padded);
    free(a);
    free(b);
    inv_muvera_free(muvera);
}
END_TEST

int main(void) {
    openblas_set_num_threads(1);
    Suite *suite = suite_create("muvera reference mode");
    TCase *tests = tcase_create("golden");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, all_reference_configurations_match);
    tcase_add_test(tests, whole_encodings_of_three_tokens_match);
    tcase_add_test(tests, first_sketch_has_the_reference_buckets_and_signs);
    tcase_add_test(tests, reference_mode_survives_scaling_and_padding);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
