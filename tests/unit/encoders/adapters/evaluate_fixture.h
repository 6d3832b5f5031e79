/*
 * evaluate_fixture.h: galleries in two models, made from one set of latent
 * vectors, with queries that ask for one document each.
 */
#ifndef INV_TESTS_EVALUATE_FIXTURE_H
#define INV_TESTS_EVALUATE_FIXTURE_H

#include "encoders/adapters/evaluate.h"

#include "adapters_fixture.h"

#define DOCUMENTS 400
#define QUERIES 40
#define OLD 10
#define NEW 12

struct world {
    struct inv_fit_data data;
    float *latent, *old_d, *new_d, *old_q, *new_q;
    bool has_new[DOCUMENTS];
    uint32_t labels[DOCUMENTS];
    uint32_t relevant[QUERIES];
    size_t start[QUERIES + 1];
    uint8_t use[QUERIES];
};

static inline void normalise_rows(float *rows, size_t count, size_t dim) {
    for (size_t i = 0; i < count; i++)
        inv_normalize_f32(rows + i * dim, dim);
}

/* Both models see the latent vectors turned (the new one in more dimensions),
 * with noise. Query i asks for document 7 i. */
static inline struct world *new_world(double old_noise, double new_noise) {
    struct world *w = must_alloc(1, sizeof *w);
    double *to_old = isometry(OLD, OLD, 1);
    double *to_new = must_alloc(NEW * OLD, sizeof *to_new);
    double *flat = isometry(OLD, NEW, 2);
    float *asked = must_alloc(QUERIES * OLD, sizeof *asked);
    struct inv_stream stream;
    for (size_t i = 0; i < NEW; i++) /* transposed: orthonormal columns */
        for (size_t j = 0; j < OLD; j++)
            to_new[i * OLD + j] = flat[j * NEW + i];
    w->latent = unit_rows(DOCUMENTS, OLD, 0, 3);
    inv_stream_init(&stream, 4, "test.world", 0);
    for (size_t q = 0; q < QUERIES; q++) {
        w->relevant[q] = (uint32_t)(q * 7);
        w->start[q + 1] = q + 1;
        w->use[q] = INV_FIT_USE_JUDGE_ONLY;
        for (size_t j = 0; j < OLD; j++)
            asked[q * OLD + j] =
                w->latent[q * 7 * OLD + j] + .25f * inv_stream_normal(&stream);
    }
    w->old_d = mapped(w->latent, DOCUMENTS, to_old, OLD, OLD, 0, old_noise, 5);
    w->new_d = mapped(w->latent, DOCUMENTS, to_new, NEW, OLD, 0, new_noise, 6);
    w->old_q = mapped(asked, QUERIES, to_old, OLD, OLD, 0, old_noise, 7);
    w->new_q = mapped(asked, QUERIES, to_new, NEW, OLD, 0, new_noise, 8);
    normalise_rows(w->old_d, DOCUMENTS, OLD);
    normalise_rows(w->new_d, DOCUMENTS, NEW);
    normalise_rows(w->old_q, QUERIES, OLD);
    normalise_rows(w->new_q, QUERIES, NEW);
    for (size_t i = 0; i < DOCUMENTS; i++) {
        w->has_new[i] = true;
        w->labels[i] = (uint32_t)(i % 5);
    }
    w->data = (struct inv_fit_data){.cosine = true,
                                    .old_dim = OLD,
                                    .new_dim = NEW,
                                    .documents = DOCUMENTS,
                                    .old_documents = w->old_d,
                                    .new_documents = w->new_d,
                                    .has_new = w->has_new,
                                    .queries = QUERIES,
                                    .new_queries = w->new_q,
                                    .old_queries = w->old_q,
                                    .relevant = w->relevant,
                                    .relevant_start = w->start,
                                    .use = w->use};
    free(to_old);
    free(to_new);
    free(flat);
    free(asked);
    return w;
}

static inline void free_world(struct world *w) {
    free(w->latent);
    free(w->old_d);
    free(w->new_d);
    free(w->old_q);
    free(w->new_q);
    free(w);
}

static inline struct inv_fit_report *new_report(void) {
    return must_alloc(1, sizeof(struct inv_fit_report));
}

static inline void free_report(struct inv_fit_report *report) {
    inv_fit_report_release(report);
    free(report);
}

static inline struct inv_fit_report *
judge_with(const struct inv_fit_data *data, const char *methods,
           const struct inv_fit_options *options) {
    struct inv_fit_method list[INV_FIT_METHODS_MAX];
    struct inv_fit_report *report = new_report();
    size_t count;
    MUST(inv_fit_methods_parse(methods, list, &count, must));
    MUST(inv_fit_judge(data, list, count, options, NULL, NULL, report, must));
    return report;
}

static inline struct inv_fit_report *judge(const struct inv_fit_data *data,
                                           const char *methods) {
    struct inv_fit_options options = inv_fit_options_defaults();
    return judge_with(data, methods, &options);
}

static inline enum inv_status refuse(const struct inv_fit_data *data,
                                     const char *methods, struct inv_err *err) {
    struct inv_fit_method list[INV_FIT_METHODS_MAX];
    struct inv_fit_options options = inv_fit_options_defaults();
    struct inv_fit_report *report = new_report();
    size_t count;
    MUST(inv_fit_methods_parse(methods, list, &count, must));
    enum inv_status status =
        inv_fit_judge(data, list, count, &options, NULL, NULL, report, err);
    free_report(report);
    return status;
}

#endif
