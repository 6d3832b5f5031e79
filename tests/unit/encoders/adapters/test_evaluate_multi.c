/*
 * test_evaluate_multi.c: encoders/adapters/evaluate.h with tokens: pairs of
 * them, exact MaxSim, and what is refused.
 */
#include "encoders/adapters/evaluate.h"

#include "evaluate_fixture.h"

#define DOCS 120
#define ASKED 24
#define DIM 8
#define TOKENS_MAX 9

/* Document i has 3 + i % 7 tokens, a query three, taken from its document with
 * noise and weighted. The new model sees everything turned. */
struct multi {
    struct inv_fit_data data;
    float *old_d[DOCS], *new_d[DOCS], *old_q[ASKED], *new_q[ASKED];
    uint16_t *half[DOCS];
    struct inv_codes old_tokens[DOCS], new_tokens[DOCS];
    struct inv_codes old_queries[ASKED], new_queries[ASKED];
    bool has_new[DOCS];
    uint32_t relevant[ASKED];
    size_t start[ASKED + 1];
    uint8_t use[ASKED];
};

static struct inv_codes f32_codes(const float *rows, size_t count) {
    return (struct inv_codes){
        .data = rows, .dtype = INV_F32, .rows = count, .dim = DIM};
}

/* Rows turned by w, as long as they were. */
static float *turned(const float *rows, size_t count, const double *w) {
    return mapped(rows, count, w, DIM, DIM, 0, 0, 1);
}

static struct multi *new_multi(void) {
    struct multi *m = must_alloc(1, sizeof *m);
    double *w = isometry(DIM, DIM, 9);
    struct inv_stream stream;
    inv_stream_init(&stream, 2, "test.multi", 0);
    for (size_t i = 0; i < DOCS; i++) {
        size_t count = 3 + i % 7;
        m->old_d[i] = unit_rows(count, DIM, 0, 100 + i);
        m->new_d[i] = turned(m->old_d[i], count, w);
        m->half[i] = must_alloc(count * DIM, sizeof *m->half[i]);
        inv_f16_from_f32(m->old_d[i], m->half[i], count * DIM);
        m->old_tokens[i] = f32_codes(m->old_d[i], count);
        m->old_tokens[i].data = m->half[i];
        m->old_tokens[i].dtype = INV_F16;
        m->new_tokens[i] = f32_codes(m->new_d[i], count);
        m->has_new[i] = true;
    }
    for (size_t q = 0; q < ASKED; q++) {
        m->relevant[q] = (uint32_t)(q * 5);
        m->start[q + 1] = q + 1;
        m->use[q] = INV_FIT_USE_JUDGE_ONLY;
        m->old_q[q] = must_alloc(3 * DIM, sizeof *m->old_q[q]);
        for (size_t j = 0; j < 3 * DIM; j++)
            m->old_q[q][j] =
                (1 + (float)(j / DIM)) * /* the weight */
                (m->old_d[q * 5][j] + .2f * inv_stream_normal(&stream));
        m->new_q[q] = turned(m->old_q[q], 3, w);
        m->old_queries[q] = f32_codes(m->old_q[q], 3);
        m->new_queries[q] = f32_codes(m->new_q[q], 3);
    }
    free(w);
    m->data = (struct inv_fit_data){.multi = true,
                                    .old_dim = DIM,
                                    .new_dim = DIM,
                                    .documents = DOCS,
                                    .old_tokens = m->old_tokens,
                                    .new_tokens = m->new_tokens,
                                    .has_new = m->has_new,
                                    .queries = ASKED,
                                    .new_query_tokens = m->new_queries,
                                    .old_query_tokens = m->old_queries,
                                    .relevant = m->relevant,
                                    .relevant_start = m->start,
                                    .use = m->use};
    return m;
}

static void free_multi(struct multi *m) {
    for (size_t i = 0; i < DOCS; i++) {
        free(m->old_d[i]);
        free(m->new_d[i]);
        free(m->half[i]);
    }
    for (size_t q = 0; q < ASKED; q++) {
        free(m->old_q[q]);
        free(m->new_q[q]);
    }
    free(m);
}

static double maxsim(const float *query, const float *tokens, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < 3; i++) {
        double best = -INFINITY;
        for (size_t t = 0; t < count; t++) {
            double dot = 0;
            for (size_t j = 0; j < DIM; j++)
                dot += (double)query[i * DIM + j] * (double)tokens[t * DIM + j];
            best = dot > best ? dot : best;
        }
        sum += best;
    }
    return sum;
}

/* Mean nDCG@10 of the old queries on the old tokens. */
static double by_hand(const struct multi *m) {
    double sum = 0;
    for (size_t q = 0; q < ASKED; q++) {
        size_t rank = 0;
        size_t mine = m->relevant[q];
        double score =
            maxsim(m->old_q[q], m->old_d[mine], m->old_tokens[mine].rows);
        for (size_t i = 0; i < DOCS; i++)
            rank += i != mine && maxsim(m->old_q[q], m->old_d[i],
                                        m->old_tokens[i].rows) > score;
        sum += rank < 10 ? 1 / log2((double)rank + 2) : 0;
    }
    return sum / ASKED;
}

START_TEST(turned_tokens_are_bridged_and_unadapted_ones_find_nothing) {
    struct multi *m = new_multi();
    struct inv_fit_report *r = judge(&m->data, "ridge:0.000001,procrustes");
    const struct inv_fit_result *best = &r->results[1];
    size_t tokens = 0;
    for (size_t i = 0; i < DOCS; i++)
        tokens += m->old_tokens[i].rows;
    ck_assert(r->multi);
    ck_assert_uint_eq(best->pairs, tokens);
    ck_assert_double_eq_tol(r->old_old.mean, by_hand(m), .02); /* f16 */
    ck_assert_double_gt(r->old_old.mean, .5);
    ck_assert_double_lt(r->none.mean, .3);
    ck_assert_double_eq_tol(best->held_out.mean, r->old_old.mean, .02);
    ck_assert_double_eq_tol(best->in_fit.mean, r->old_old.mean, .02);
    ck_assert_double_eq_tol(best->cascade[1], r->new_new.mean, .02);
    ck_assert_double_gt(best->fit_mean, 1 - 1e-5);
    ck_assert_int_eq(best->gate.verdict, INV_VERDICT_ACTIVATE);
    ck_assert_uint_eq(r->chosen, 1);
    /* a token keeps its weight */
    float out[3 * DIM];
    MUST(inv_adapter_apply_tokens(best->backward, m->new_q[0], 3, DIM, out,
                                  must));
    for (size_t j = 0; j < 3 * DIM; j++)
        ck_assert_double_eq_tol((double)out[j], (double)m->old_q[0][j], 1e-2);
    free_report(r);
    free_multi(m);
}
END_TEST

START_TEST(a_part_with_new_tokens_is_enough) {
    struct multi *m = new_multi();
    for (size_t i = 0; i < DOCS; i++) {
        m->has_new[i] = i % 2 == 0;
        if (!m->has_new[i])
            m->new_tokens[i] = (struct inv_codes){.data = NULL};
    }
    struct inv_fit_report *r = judge(&m->data, "procrustes");
    ck_assert_uint_eq(r->covered, DOCS / 2);
    ck_assert_uint_eq(r->covered_queries, ASKED / 2);
    ck_assert_double_eq_tol(r->results[0].held_out.mean, r->old_old.mean, .02);
    ck_assert_double_eq_tol(r->new_new.mean, r->old_covered.mean, .02);
    free_report(r);
    free_multi(m);
}
END_TEST

START_TEST(documents_ask_with_their_first_tokens) {
    struct multi *m = new_multi();
    m->data.queries = 0;
    struct inv_fit_report *r = judge(&m->data, "procrustes");
    ck_assert(r->provisional);
    ck_assert_uint_eq(r->queries, 30);
    ck_assert_double_gt(r->results[0].held_out.mean, .98);
    free_report(r);
    free_multi(m);
}
END_TEST

START_TEST(other_numbers_of_tokens_are_a_conflict_with_both) {
    struct multi *m = new_multi();
    struct inv_err err;
    m->new_tokens[6].rows = 4; /* has 9 */
    ck_assert_int_eq(refuse(&m->data, "procrustes", &err), INV_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "document 6 has 4 tokens"));
    ck_assert_ptr_nonnull(strstr(err.text, "9 in the old"));
    m->new_tokens[6].rows = 9;
    m->old_queries[2].rows = 2; /* judged only: it need not be a pair */
    free_report(judge(&m->data, "procrustes"));
    m->use[2] = INV_FIT_USE_BOTH;
    ck_assert_int_eq(refuse(&m->data, "procrustes", &err), INV_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "query 2"));
    free_multi(m);
}
END_TEST

START_TEST(contrastive_and_simplex_are_for_single_vectors) {
    struct multi *m = new_multi();
    static const uint32_t labels[DOCS] = {0};
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count;
    m->use[0] = INV_FIT_USE_BOTH;
    m->data.labels = labels;
    m->data.classes = 2;
    ck_assert_int_eq(refuse(&m->data, "contrastive", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "single vectors"));
    ck_assert_int_eq(refuse(&m->data, "simplex", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "single vectors"));
    inv_fit_methods_default(&m->data, methods, &count);
    ck_assert_uint_eq(count, 4);
    free_multi(m);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("evaluate_multi");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests,
                   turned_tokens_are_bridged_and_unadapted_ones_find_nothing);
    tcase_add_test(tests, a_part_with_new_tokens_is_enough);
    tcase_add_test(tests, documents_ask_with_their_first_tokens);
    tcase_add_test(tests, other_numbers_of_tokens_are_a_conflict_with_both);
    tcase_add_test(tests, contrastive_and_simplex_are_for_single_vectors);
    return run_suite("evaluate_multi", tests);
}
