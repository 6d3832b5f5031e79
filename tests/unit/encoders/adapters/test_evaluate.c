/*
 * test_evaluate.c: encoders/adapters/evaluate.h with single vectors: what is
 * fitted, what is judged on what, and that the two never meet.
 */
#include "encoders/adapters/evaluate_internal.h"

#include "evaluate_fixture.h"

/* Mean nDCG@10 of queries with one relevant document each, by sorting nothing:
 * the rank is how many documents score higher. only NULL: all documents. */
static double by_hand(const struct world *w, const float *queries,
                      const float *documents, size_t dim, const bool *only,
                      size_t *judged) {
    double sum = 0;
    *judged = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        size_t rank = 0;
        const float *query = queries + q * dim;
        float mine = inv_dot_f32(query, documents + w->relevant[q] * dim, dim);
        if (only != NULL && !only[w->relevant[q]])
            continue;
        for (size_t i = 0; i < DOCUMENTS; i++)
            rank += i != w->relevant[q] && (only == NULL || only[i]) &&
                    inv_dot_f32(query, documents + i * dim, dim) >= mine;
        sum += rank < 10 ? 1 / log2((double)rank + 2) : 0;
        ++*judged;
    }
    return sum / (double)*judged;
}

START_TEST(a_turned_model_is_activated_in_both_directions) {
    struct world *w = new_world(0, 0);
    struct inv_fit_options options = inv_fit_options_defaults();
    options.from = "new@1";
    options.to = "old@1";
    struct inv_fit_report *r =
        judge_with(&w->data, "ridge:0.000001,path:0.1,procrustes", &options);
    ck_assert_uint_eq(r->chosen, 2);
    for (size_t i = 0; i < r->count; i++) {
        const struct inv_fit_result *m = &r->results[i];
        float back[OLD], forth[NEW];
        ck_assert_int_eq(m->gate.verdict, INV_VERDICT_ACTIVATE);
        MUST(inv_adapter_check(m->backward, INV_ADAPTER_BACKWARD, "new@1", NEW,
                               "old@1", OLD, must));
        MUST(inv_adapter_check(m->forward, INV_ADAPTER_FORWARD, "old@1", OLD,
                               "new@1", NEW, must));
        for (size_t d = 0; d < DOCUMENTS; d += 41) {
            const float *x = w->new_d + d * NEW;
            const float *y = w->old_d + d * OLD;
            MUST(inv_adapter_apply(m->backward, x, 1, NEW, back, must));
            MUST(inv_adapter_apply(m->forward, y, 1, OLD, forth, must));
            ck_assert_double_gt((double)inv_dot_f32(back, y, OLD), 1 - 1e-4);
            ck_assert_double_gt((double)inv_dot_f32(forth, x, NEW), 1 - 1e-4);
        }
        ck_assert_double_gt(m->fit_mean, 1 - 1e-4);
        ck_assert_double_lt(m->fit_deviation, 1e-3);
        ck_assert_uint_eq(m->fit_count, QUERIES); /* a document each */
        ck_assert_uint_eq(m->pairs, DOCUMENTS);
        /* the same scores in both spaces */
        ck_assert_uint_ge(m->scores.count, 4);
        for (double s = -.9; s < 1; s += .1)
            ck_assert_double_eq_tol(inv_score_map_apply(&m->scores, s), s, .01);
    }
    ck_assert_ptr_null(r->none.ndcg); /* the dimensions differ */
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(quality_is_what_counting_ranks_gives) {
    struct world *w = new_world(.1, .02);
    struct inv_fit_report *r = judge(&w->data, "procrustes");
    size_t judged;
    ck_assert_double_eq_tol(r->old_old.mean,
                            by_hand(w, w->old_q, w->old_d, OLD, NULL, &judged),
                            1e-6);
    ck_assert_double_eq_tol(r->new_new.mean,
                            by_hand(w, w->new_q, w->new_d, NEW, NULL, &judged),
                            1e-6);
    float *bridged = must_alloc(QUERIES * OLD, sizeof *bridged);
    MUST(inv_adapter_apply(r->results[0].backward, w->new_q, QUERIES, NEW,
                           bridged, must));
    ck_assert_double_eq_tol(r->results[0].in_fit.mean,
                            by_hand(w, bridged, w->old_d, OLD, NULL, &judged),
                            1e-6);
    ck_assert_uint_eq(r->covered, DOCUMENTS);
    ck_assert_double_eq_tol(r->old_covered.mean, r->old_old.mean, 1e-12);
    free(bridged);
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(a_part_of_the_gallery_is_compared_with_its_like) {
    struct world *w = new_world(.1, .02);
    size_t judged, covered = 0;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        w->has_new[i] = i % 3 != 0;
        covered += w->has_new[i];
        for (size_t j = 0; j < NEW && !w->has_new[i]; j++)
            w->new_d[i * NEW + j] = NAN; /* must not be read */
    }
    struct inv_fit_report *r = judge(&w->data, "procrustes");
    ck_assert_uint_eq(r->covered, covered);
    ck_assert_uint_eq(r->pairs, covered);
    ck_assert_double_eq_tol(
        r->old_covered.mean,
        by_hand(w, w->old_q, w->old_d, OLD, w->has_new, &judged), 1e-6);
    ck_assert_uint_eq(r->covered_queries, judged);
    ck_assert_uint_eq(r->new_new.count, judged);
    ck_assert_double_eq_tol(
        r->new_new.mean,
        by_hand(w, w->new_q, w->new_d, NEW, w->has_new, &judged), 1e-6);
    ck_assert_double_eq_tol(r->old_old.mean,
                            by_hand(w, w->old_q, w->old_d, OLD, NULL, &judged),
                            1e-6);
    const struct inv_fit_result *m = &r->results[0];
    ck_assert_uint_eq(m->held_out.count, QUERIES);
    ck_assert_uint_eq(m->held_out_covered.count, r->covered_queries);
    /* no document of the part is without a new vector at coverage 1 */
    ck_assert_double_eq_tol(m->coverage[0], m->held_out_covered.mean, 1e-12);
    ck_assert_double_eq_tol(m->coverage[INV_FIT_COVERAGES - 1], r->new_new.mean,
                            .03);
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(without_covered_answers_the_new_model_stays_unknown) {
    struct world *w = new_world(.05, .05);
    for (size_t i = 0; i < DOCUMENTS; i++)
        w->has_new[i] = i % 7 != 0; /* what queries ask for has none */
    struct inv_fit_report *r = judge(&w->data, "procrustes");
    ck_assert_uint_eq(r->covered_queries, 0);
    ck_assert_ptr_null(r->new_new.ndcg);
    ck_assert_uint_eq(r->results[0].held_out.count, QUERIES);
    ck_assert_int_ne(r->results[0].gate.verdict, INV_VERDICT_CASCADE_ONLY);
    ck_assert_ptr_null(strstr(r->results[0].gate.reason, "not better"));
    ck_assert_uint_gt(r->results[0].fit_count, 0); /* by the queries */
    free_report(r);
    free_world(w);
}
END_TEST

/* ---- held out ---- */

START_TEST(a_fold_sees_no_document_and_no_query_of_its_judged_ones) {
    struct world *w = new_world(0, 0);
    struct inv_fit_options options = inv_fit_options_defaults();
    struct inv_fit_watch watch = {.progress = NULL};
    struct inv_fit_source source;
    struct inv_fit_relevance relevance;
    bool excluded[DOCUMENTS] = {false};
    for (size_t q = 0; q < QUERIES; q++) {
        w->use[q] = INV_FIT_USE_BOTH;
        w->relevant[q] = (uint32_t)(q / 2 * 7); /* two queries a document */
    }
    excluded[7] = true; /* what queries 2 and 3 ask for */
    MUST(inv_fit_source_init(&source, &w->data, &options, excluded, true,
                             &watch, must));
    ck_assert_uint_eq(source.document_pairs, DOCUMENTS - 1);
    ck_assert_uint_eq(source.query_pairs, QUERIES - 2);
    for (size_t i = 0; i < source.item_count; i++) {
        ck_assert_uint_ne(source.items[i], 7);
        ck_assert_uint_ne(source.items[i], DOCUMENTS + 2);
        ck_assert_uint_ne(source.items[i], DOCUMENTS + 3);
    }
    MUST(inv_fit_relevance_init(&relevance, &source, must));
    ck_assert_uint_eq(relevance.given.count, QUERIES - 2);
    ck_assert_uint_eq(relevance.given.gallery_count, DOCUMENTS - 1);
    for (size_t i = 0; i < DOCUMENTS - 1; i++)
        ck_assert_mem_ne(relevance.gallery + i * OLD, w->old_d + 7 * OLD,
                         OLD * sizeof(float));
    for (size_t i = 0; i < relevance.given.count; i++) {
        size_t q = i < 2 ? i : i + 2;
        ck_assert_mem_eq(relevance.queries + i * NEW, w->new_q + q * NEW,
                         NEW * sizeof(float));
        ck_assert_mem_eq(relevance.gallery + relevance.document[i] * OLD,
                         w->old_d + w->relevant[q] * OLD, OLD * sizeof(float));
    }
    inv_fit_relevance_release(&relevance);
    inv_fit_source_release(&source);
    free_world(w);
}
END_TEST

START_TEST(queries_of_a_log_are_judged_in_folds_of_documents) {
    struct world *w = new_world(0, 0);
    struct inv_stream stream;
    inv_stream_init(&stream, 1, "test.log", 0);
    for (size_t q = 0; q < QUERIES; q++)
        w->use[q] = INV_FIT_USE_BOTH;
    struct inv_fit_report *r = judge(&w->data, "procrustes");
    ck_assert_uint_eq(r->folds, 5);
    ck_assert_uint_eq(r->extra_pairs, QUERIES);
    ck_assert_uint_lt(r->left_out, QUERIES);
    ck_assert_uint_eq(r->results[0].held_out.count, QUERIES);
    ck_assert_double_eq_tol(r->results[0].held_out.mean, r->old_old.mean, 1e-3);
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(what_shares_a_document_with_a_judged_query_disturbs_only_the_fit) {
    struct world *w = new_world(0, 0);
    struct inv_stream stream;
    inv_stream_init(&stream, 1, "test.noise", 0);
    /* every second query is of a log, about the same document as the judged
     * one before it, and its old vector is nonsense */
    for (size_t q = 1; q < QUERIES; q += 2) {
        w->use[q] = INV_FIT_USE_FIT_ONLY;
        w->relevant[q] = w->relevant[q - 1];
        for (size_t j = 0; j < OLD; j++)
            w->old_q[q * OLD + j] = inv_stream_normal(&stream);
        inv_normalize_f32(w->old_q + q * OLD, OLD);
    }
    struct inv_fit_report *r = judge(&w->data, "ridge:0.000001");
    const struct inv_fit_result *m = &r->results[0];
    ck_assert_uint_eq(r->queries, QUERIES / 2);
    ck_assert_uint_eq(r->folds, 1);
    ck_assert_double_eq_tol(m->held_out.mean, r->old_old.mean, 1e-3);
    ck_assert_double_gt(m->fit_mean, 1 - 1e-6); /* held out: undisturbed */
    ck_assert_double_lt(m->cosine, 1 - 1e-4);   /* in fit: disturbed */
    free_report(r);
    free_world(w);
}
END_TEST

/* ---- without judged queries ---- */

START_TEST(documents_that_ask_never_activate) {
    struct world *w = new_world(0, 0);
    w->data.queries = 0;
    for (size_t i = 0; i < DOCUMENTS; i++)
        w->has_new[i] = i >= 200;
    struct inv_fit_report *r = judge(&w->data, "procrustes");
    ck_assert(r->provisional);
    ck_assert_uint_eq(r->queries, 100); /* half of the covered */
    ck_assert_double_gt(r->results[0].held_out.mean, .99);
    ck_assert_int_ne(r->results[0].gate.verdict, INV_VERDICT_ACTIVATE);
    free_report(r);
    for (size_t i = 0; i < DOCUMENTS; i++)
        w->has_new[i] = i < 10;
    struct inv_err err;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "10"));
    ck_assert_ptr_nonnull(strstr(err.text, "11"));
    free_world(w);
}
END_TEST

/* ---- methods ---- */

START_TEST(a_simplex_needs_labels_and_folds_them_in) {
    struct world *w = new_world(.05, .05);
    struct inv_err err;
    ck_assert_int_eq(refuse(&w->data, "simplex", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "labels"));
    w->data.labels = w->labels;
    w->data.classes = 5;
    w->labels[3] = INV_FIT_NO_LABEL;
    struct inv_fit_report *r = judge(&w->data, "procrustes,simplex:0.2");
    struct inv_adapter_parts plain = inv_adapter_parts(r->results[0].backward);
    struct inv_adapter_parts fold = inv_adapter_parts(r->results[1].backward);
    ck_assert_int_eq(fold.kind, INV_ADAPTER_SIMPLEX);
    ck_assert_uint_eq(fold.fold.dim, 4);
    ck_assert_double_eq_tol((double)fold.fold.beta, .2, 1e-6);
    ck_assert_mem_eq(fold.matrix, plain.matrix, OLD * NEW * sizeof(float));
    ck_assert_uint_eq(inv_adapter_parts(r->results[1].forward).fold.dim, 0);
    ck_assert_uint_eq(r->chosen, 0);
    free_report(r);
    w->labels[8] = 5;
    ck_assert_int_eq(refuse(&w->data, "simplex", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "label 5, there are 5"));
    free_world(w);
}
END_TEST

START_TEST(contrastive_takes_the_documents_of_queries) {
    struct world *w = new_world(.02, .02);
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count;
    inv_fit_methods_default(&w->data, methods, &count);
    ck_assert_uint_eq(count, 4); /* judged queries are not fitted on */
    ck_assert_int_eq(refuse(&w->data, "contrastive", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "relevance"));
    for (size_t q = 0; q < QUERIES; q++)
        w->use[q] = q % 2 == 0 ? INV_FIT_USE_BOTH : INV_FIT_USE_JUDGE_ONLY;
    inv_fit_methods_default(&w->data, methods, &count);
    ck_assert_uint_eq(count, 5);
    struct inv_fit_options options = inv_fit_options_defaults();
    options.steps = 20;
    struct inv_fit_report *r =
        judge_with(&w->data, "contrastive:0.05", &options);
    const struct inv_fit_result *m = &r->results[0];
    ck_assert_uint_eq(m->relevance_pairs, QUERIES / 2);
    ck_assert_uint_eq(r->titles, QUERIES / 2);
    ck_assert_uint_eq(m->choice.steps, 20);
    /* the forward one is a path, held at the same kappa */
    ck_assert_int_eq(inv_adapter_parts(m->forward).kind, INV_ADAPTER_PATH);
    ck_assert_double_le(m->forward_r, .2 * sqrt(OLD) * 1.01);
    ck_assert_double_gt(m->held_out.mean, r->old_old.mean - .1);
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(paper_and_inner_products_are_judged_too) {
    struct world *w = new_world(.02, .02);
    w->data.cosine = false;
    struct inv_fit_report *r = judge(&w->data, "paper,procrustes");
    ck_assert(!inv_adapter_parts(r->results[1].backward).normalise);
    ck_assert_double_gt(r->results[0].held_out.mean, r->old_old.mean - .1);
    free_report(r);
    free_world(w);
}
END_TEST

START_TEST(limits_of_queries_and_pairs_are_kept) {
    struct world *w = new_world(.02, .02);
    struct inv_fit_options options = inv_fit_options_defaults();
    options.judged_max = 15;
    options.pairs_max = 100;
    struct inv_fit_report *r = judge_with(&w->data, "ridge", &options);
    struct inv_fit_report *same = judge_with(&w->data, "ridge", &options);
    ck_assert_uint_eq(r->queries, 15);
    ck_assert_uint_le(r->results[0].pairs, 100);
    ck_assert_uint_ge(r->results[0].pairs, 70); /* by lot: sd 9 */
    ck_assert_double_eq(r->results[0].held_out.mean,
                        same->results[0].held_out.mean);
    free_report(same);
    free_report(r);
    free_world(w);
}
END_TEST

/* ---- refusals ---- */

START_TEST(data_that_do_not_fit_each_other_are_refused) {
    struct world *w = new_world(0, 0);
    struct inv_err err;
    w->relevant[3] = DOCUMENTS;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_INVALID);
    ck_assert_ptr_nonnull(
        strstr(err.text, "query 3 names document 400 of 400"));
    w->relevant[3] = 21;
    static const uint32_t pairs[] = {0, 1, 2};
    w->data.pair_rows = pairs;
    w->data.pair_count = 3;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "11 pairs"));
    ck_assert_ptr_nonnull(strstr(err.text, "got 3"));
    w->has_new[1] = false;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "document 1 of 400"));
    w->has_new[1] = true;
    w->data.pair_rows = NULL;
    w->new_d[5 * NEW] = NAN;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_NOT_FINITE);
    w->new_d[5 * NEW] = 0;
    w->old_q[0] = INFINITY;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_NOT_FINITE);
    w->old_q[0] = 0;
    w->data.old_dim = 0;
    ck_assert_int_eq(refuse(&w->data, "procrustes", &err), INV_DIMENSION);
    free_world(w);
}
END_TEST

/* ---- stopping ---- */

struct stop {
    size_t calls, at;
};

static bool count_down(void *ctx, const char *stage, size_t done,
                       size_t total) {
    struct stop *stop = ctx;
    ck_assert_uint_le(done, total);
    ck_assert_ptr_nonnull(stage);
    return ++stop->calls == stop->at;
}

START_TEST(every_look_at_the_progress_can_be_the_last) {
    struct world *w = new_world(.02, .02);
    struct inv_fit_options options = inv_fit_options_defaults();
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    size_t count;
    for (size_t q = 0; q < QUERIES; q++)
        w->use[q] = INV_FIT_USE_BOTH;
    for (size_t i = 0; i < DOCUMENTS; i++)
        w->has_new[i] = i % 5 != 1;
    options.steps = 3;
    MUST(
        inv_fit_methods_parse("ridge,contrastive:0.05", methods, &count, must));
    struct stop whole = {.at = 0};
    struct inv_fit_report *report = new_report();
    MUST(inv_fit_judge(&w->data, methods, count, &options, count_down, &whole,
                       report, must));
    free_report(report);
    ck_assert_uint_gt(whole.calls, 40);
    for (size_t at = 1; at <= whole.calls; at++) {
        struct stop stop = {.at = at};
        struct inv_err err;
        report = new_report();
        ck_assert_int_eq(inv_fit_judge(&w->data, methods, count, &options,
                                       count_down, &stop, report, &err),
                         INV_CANCELLED);
        ck_assert_uint_eq(stop.calls, at);
        ck_assert_ptr_nonnull(strstr(err.text, "cancelled"));
        free_report(report);
    }
    free_world(w);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("evaluate");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_turned_model_is_activated_in_both_directions);
    tcase_add_test(tests, quality_is_what_counting_ranks_gives);
    tcase_add_test(tests, a_part_of_the_gallery_is_compared_with_its_like);
    tcase_add_test(tests, without_covered_answers_the_new_model_stays_unknown);
    tcase_add_test(tests,
                   a_fold_sees_no_document_and_no_query_of_its_judged_ones);
    tcase_add_test(tests, queries_of_a_log_are_judged_in_folds_of_documents);
    tcase_add_test(
        tests,
        what_shares_a_document_with_a_judged_query_disturbs_only_the_fit);
    tcase_add_test(tests, documents_that_ask_never_activate);
    tcase_add_test(tests, a_simplex_needs_labels_and_folds_them_in);
    tcase_add_test(tests, contrastive_takes_the_documents_of_queries);
    tcase_add_test(tests, paper_and_inner_products_are_judged_too);
    tcase_add_test(tests, limits_of_queries_and_pairs_are_kept);
    tcase_add_test(tests, data_that_do_not_fit_each_other_are_refused);
    tcase_add_test(tests, every_look_at_the_progress_can_be_the_last);
    return run_suite("evaluate", tests);
}
