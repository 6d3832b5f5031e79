/*
 * test_gradients.c: the two descents' gradients against differences, and that
 * they descend to where they should.
 */
#include "adapters_fixture.h"
#include "encoders/adapters/contrastive.h"
#include "encoders/adapters/paper.h"

/* ---- the joint loss, fp64 ---- */

#define N 9
#define DX 6
#define DY 5

static double *normals(size_t count, double scale, uint64_t seed) {
    double *x = must_alloc(count, sizeof *x);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "test.normals", 0);
    for (size_t i = 0; i < count; i++)
        x[i] = scale * (double)inv_stream_normal(&stream);
    return x;
}

static void check_paper(const struct inv_paper *options,
                        const uint32_t *labels) {
    size_t cells = inv_paper_parameters(DX, DY);
    double *x = normals(N * DX, .5, 1);
    double *y = normals(N * DY, .5, 2);
    double *p = normals(cells, .5, 3);
    double *g = must_alloc(cells, sizeof *g);
    double *other = must_alloc(cells, sizeof *other);
    double *scratch = must_alloc(inv_paper_scratch(N, DX, DY), sizeof *scratch);
    struct inv_paper_batch batch = {x, y, labels, N, DX, DY};
    double norm = 0, wrong = 0;
    inv_paper_gradient(options, &batch, p, scratch, g);
    for (size_t i = 0; i < cells; i++) {
        double keep = p[i];
        double step = 1e-5;
        p[i] = keep + step;
        double above = inv_paper_gradient(options, &batch, p, scratch, other);
        p[i] = keep - step;
        double below = inv_paper_gradient(options, &batch, p, scratch, other);
        p[i] = keep;
        double difference = (above - below) / (2 * step) - g[i];
        norm += g[i] * g[i];
        wrong += difference * difference;
    }
    ck_assert_double_gt(norm, 0);
    ck_assert_double_lt(sqrt(wrong / norm), 1e-6);
    free(x);
    free(y);
    free(p);
    free(g);
    free(other);
    free(scratch);
}

START_TEST(each_term_of_the_joint_loss_has_its_gradient) {
    struct inv_paper o = inv_paper_defaults();
    o.temperature = .4;
    for (int term = 0; term < 5; term++) {
        o.w1 = term == 0 || term == 4;
        o.w2 = term == 1 || term == 4;
        o.w3 = term == 2 || term == 4;
        o.alpha = 3;
        /* far above r there is no penalty, near it all of it */
        o.kappa = term >= 3 ? 1.2 : 400;
        check_paper(&o, NULL);
    }
}
END_TEST

START_TEST(labels_spread_the_targets_and_keep_the_gradient) {
    static const uint32_t labels[N] = {0, 1, 2, 0, 1, 2, 0, 0, 3};
    struct inv_paper o = inv_paper_defaults();
    o.w1 = o.w2 = 0;
    check_paper(&o, labels);
}
END_TEST

START_TEST(the_joint_loss_finds_a_planted_rotation) {
    float *x = unit_rows(300, 8, 0, 1);
    double *w = isometry(8, 8, 2);
    float *y = mapped(x, 300, w, 8, 8, 0, 0, 3);
    struct inv_map start, map, forward;
    struct inv_paper o = inv_paper_defaults();
    o.rate = .01;
    MUST(inv_map_init(&start, 8, 8, must));
    for (size_t i = 0; i < 8; i++)
        start.w[i * 9] = 1;
    ck_assert_double_lt(cosine_of(&start, x, y, 300), .5);
    MUST(inv_fit_paper(&start, x, y, NULL, 300, &o, &map, &forward, must));
    ck_assert_double_gt(cosine_of(&map, x, y, 300), .99);
    ck_assert_double_lt(map.r, .5 * sqrt(8) + .2);
    inv_map_release(&start);
    inv_map_release(&map);
    inv_map_release(&forward);
    free(x);
    free(w);
    free(y);
}
END_TEST

/* ---- contrastive, fp32 against fp64 ---- */

#define BATCH 7
#define COLUMNS 30

/* The same loss, naively. p: W then b. */
static double plain_loss(const struct inv_contrastive_shape *s, const double *p,
                         const float *x, const uint32_t *positive,
                         const float *gallery) {
    size_t rows = s->rows, cols = s->cols;
    double loss = 0;
    for (size_t i = 0; i < s->batch; i++) {
        double y[16], norm = 0, logits[COLUMNS], sum = 0;
        for (size_t k = 0; k < rows; k++) {
            y[k] = p[rows * cols + k];
            for (size_t j = 0; j < cols; j++)
                y[k] += p[k * cols + j] * (double)x[i * cols + j];
            norm += y[k] * y[k];
        }
        for (size_t c = 0; c < s->columns; c++) {
            logits[c] = 0;
            for (size_t k = 0; k < rows; k++)
                logits[c] += y[k] * (double)gallery[c * rows + k] /
                             (sqrt(norm) * s->temperature);
            sum += exp(logits[c]);
        }
        loss -= (logits[positive[i]] - log(sum)) / (double)s->batch;
    }
    double *gram = must_alloc(rows * rows + cols * cols, sizeof *gram);
    double r = inv_map_r(p, rows, cols, gram);
    free(gram);
    return loss + r / (1 + exp(-s->alpha * (r - s->lambda)));
}

static void check_contrastive(size_t rows, size_t cols, double lambda) {
    struct inv_contrastive_shape s = {.rows = rows,
                                      .cols = cols,
                                      .batch = BATCH,
                                      .columns = COLUMNS,
                                      .temperature = .3,
                                      .lambda = lambda,
                                      .alpha = 2};
    static const uint32_t positive[BATCH] = {3, 0, 29, 3, 8, 17, 21};
    size_t cells = rows * cols + rows;
    double *p = normals(cells, .4, 5);
    float *w = must_alloc(cells, sizeof *w);
    float *g = must_alloc(cells, sizeof *g);
    float *scratch = must_alloc(inv_contrastive_scratch(&s), sizeof *scratch);
    float *x = unit_rows(BATCH, cols, 0, 6);
    float *gallery = unit_rows(COLUMNS, rows, 0, 7);
    double norm = 0, wrong = 0, r;
    for (size_t i = 0; i < cells; i++) {
        w[i] = (float)p[i];
        p[i] = (double)w[i];
    }
    double loss =
        inv_contrastive_gradient(&s, w, w + rows * cols, x, positive, gallery,
                                 scratch, g, g + rows * cols, &r);
    ck_assert_double_eq_tol(loss, plain_loss(&s, p, x, positive, gallery),
                            1e-5);
    for (size_t i = 0; i < cells; i++) {
        double keep = p[i];
        p[i] = keep + 1e-5;
        double above = plain_loss(&s, p, x, positive, gallery);
        p[i] = keep - 1e-5;
        double below = plain_loss(&s, p, x, positive, gallery);
        p[i] = keep;
        double difference = (above - below) / 2e-5 - (double)g[i];
        norm += (double)g[i] * (double)g[i];
        wrong += difference * difference;
    }
    ck_assert_double_gt(norm, 0);
    ck_assert_double_lt(sqrt(wrong / norm), 1e-6);
    free(p);
    free(w);
    free(g);
    free(scratch);
    free(x);
    free(gallery);
}

START_TEST(the_contrastive_gradient_is_that_of_its_loss) {
    check_contrastive(8, 8, 2);
    check_contrastive(8, 8, 100);
    check_contrastive(6, 10, 2);
    check_contrastive(10, 6, 2);
}
END_TEST

/* Documents, and queries that are rotated copies of them, stretched along some
 * directions: procrustes on the documents does not undo the stretch. */
struct planted {
    float *documents, *queries;
    uint32_t *document;
    struct inv_map start;
    struct inv_relevance relevance;
};

static struct planted plant(size_t count, size_t dim) {
    struct planted p = {.documents = unit_rows(count, dim, 0, 1)};
    double *w = isometry(dim, dim, 2);
    for (size_t i = 0; i < dim * dim; i++)
        w[i] *= i / dim % 2 == 0 ? 2.5 : .4;
    p.queries = mapped(p.documents, count, w, dim, dim, 0, .25, 3);
    p.document = must_alloc(count, sizeof *p.document);
    for (size_t i = 0; i < count; i++) {
        inv_normalize_f32(p.queries + i * dim, dim);
        p.document[i] = (uint32_t)i;
    }
    struct inv_moments m =
        moments_of(p.queries, p.documents, count, dim, dim, true, false);
    MUST(inv_fit_procrustes(&m, &p.start, must));
    inv_moments_release(&m);
    free(w);
    p.relevance = (struct inv_relevance){p.queries,   p.document, count, dim,
                                         p.documents, count,      dim};
    return p;
}

static void planted_release(struct planted *p) {
    free(p->documents);
    free(p->queries);
    free(p->document);
    inv_map_release(&p->start);
}

/* Mean rank gain of the queries' own documents: share ranked first. */
static double first(const struct inv_map *map, const struct planted *p) {
    size_t n = p->relevance.count, d = p->relevance.dim, hits = 0;
    for (size_t i = 0; i < n; i++) {
        double best = -INFINITY;
        size_t at = 0;
        double y[32];
        for (size_t k = 0; k < d; k++) {
            y[k] = map->b[k];
            for (size_t j = 0; j < d; j++)
                y[k] += map->w[k * d + j] * (double)p->queries[i * d + j];
        }
        for (size_t c = 0; c < n; c++) {
            double score = 0;
            for (size_t k = 0; k < d; k++)
                score += y[k] * (double)p->documents[c * d + k];
            if (score > best) {
                best = score;
                at = c;
            }
        }
        hits += at == i;
    }
    return (double)hits / (double)n;
}

START_TEST(relevance_pairs_beat_the_isometry_they_start_from) {
    struct planted p = plant(400, 16);
    struct inv_contrastive o = inv_contrastive_defaults();
    struct inv_contrastive_choice choice;
    struct inv_map map;
    o.rate = 5e-3;
    o.kappa = .5;
    MUST(inv_fit_contrastive(&p.start, &p.relevance, &o, &map, &choice, must));
    ck_assert_double_gt(first(&map, &p), first(&p.start, &p) + .05);
    ck_assert_double_lt(map.r, 1.02 * .5 * 4);
    ck_assert_uint_gt(choice.judged, 20);
    ck_assert_uint_lt(choice.judged, 120);
    ck_assert(choice.temperature <= .05);
    inv_map_release(&map);
    planted_release(&p);
}
END_TEST

START_TEST(a_large_gallery_is_sampled_and_the_fit_repeats_by_seed) {
    struct planted p = plant(300, 8);
    struct inv_contrastive o = inv_contrastive_defaults();
    struct inv_contrastive_choice choice;
    struct inv_map a, b;
    o.columns = 100;
    o.steps = 30;
    o.temperature = .05;
    MUST(inv_fit_contrastive(&p.start, &p.relevance, &o, &a, &choice, must));
    MUST(inv_fit_contrastive(&p.start, &p.relevance, &o, &b, &choice, must));
    ck_assert_uint_eq(choice.columns, 100);
    ck_assert_uint_eq(choice.steps, 30);
    for (size_t i = 0; i < 64; i++)
        ck_assert_double_eq(a.w[i], b.w[i]);
    inv_map_release(&a);
    inv_map_release(&b);
    planted_release(&p);
}
END_TEST

static bool stop_at_once(void *context, size_t step, size_t steps) {
    (void)context;
    return step > steps;
}

START_TEST(a_fit_can_be_cancelled_and_refuses_what_does_not_fit) {
    struct planted p = plant(50, 8);
    struct inv_contrastive o = inv_contrastive_defaults();
    struct inv_contrastive_choice choice;
    struct inv_map map;
    struct inv_err err;
    o.go_on = stop_at_once;
    ck_assert_int_eq(
        inv_fit_contrastive(&p.start, &p.relevance, &o, &map, &choice, &err),
        INV_CANCELLED);
    p.document[4] = 50;
    ck_assert_int_eq(
        inv_fit_contrastive(&p.start, &p.relevance, &o, &map, &choice, &err),
        INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "50"));
    p.relevance.dim = 7;
    ck_assert_int_eq(
        inv_fit_contrastive(&p.start, &p.relevance, &o, &map, &choice, &err),
        INV_DIMENSION);
    planted_release(&p);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("gradients");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_term_of_the_joint_loss_has_its_gradient);
    tcase_add_test(tests, labels_spread_the_targets_and_keep_the_gradient);
    tcase_add_test(tests, the_joint_loss_finds_a_planted_rotation);
    tcase_add_test(tests, the_contrastive_gradient_is_that_of_its_loss);
    tcase_add_test(tests, relevance_pairs_beat_the_isometry_they_start_from);
    tcase_add_test(tests,
                   a_large_gallery_is_sampled_and_the_fit_repeats_by_seed);
    tcase_add_test(tests, a_fit_can_be_cancelled_and_refuses_what_does_not_fit);
    return run_suite("gradients", tests);
}
