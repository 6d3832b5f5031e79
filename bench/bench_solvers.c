/*
 * bench_solvers.c: do the solvers find what is known to be there? Planted
 * rotations and offsets; and the path against an iterative solution of the
 * same problem at the same r: the least mean |W x + b - y|^2 under r(W) = r of
 * the path, by L-BFGS on error + nu r^2, nu sought until r is met (at a
 * stationary point of that sum the gradient of the error is a multiple of that
 * of r: the condition of the constrained problem). It starts at the path's
 * solution, so it can only be better; how much is the question. Seconds are
 * processor time; a run of OPENBLAS_NUM_THREADS=1 is meant.
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "bench/upgrade.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- planted ---- */

/* rows in place: a product of reflections, which is a rotation (or one with a
 * mirror) and costs O(dim) each. */
#define REFLECTIONS 24

static void rotate(float *rows, size_t count, size_t dim, uint64_t seed) {
    float *v = upgrade_reserve(dim, sizeof *v);
    for (size_t k = 0; k < REFLECTIONS; k++) {
        struct inv_stream stream;
        inv_stream_init(&stream, seed, "bench.rotation", k);
        for (size_t j = 0; j < dim; j++)
            v[j] = inv_stream_normal(&stream);
        inv_normalize_f32(v, dim);
        for (size_t i = 0; i < count; i++)
            inv_axpy_f32(-2 * inv_dot_f32(v, rows + i * dim, dim), v,
                         rows + i * dim, dim);
    }
    free(v);
}

static float *unit_rows(size_t count, size_t dim, uint64_t seed) {
    float *x = upgrade_reserve(count * dim, sizeof *x);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "bench.unit", 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = inv_stream_normal(&stream);
        inv_normalize_f32(x + i * dim, dim);
    }
    return x;
}

static struct inv_moments moments_of(const float *x, const float *y,
                                     size_t count, size_t dx, size_t dy,
                                     bool centred) {
    struct inv_pairs pairs;
    struct inv_moments moments;
    struct inv_err err;
    upgrade_must(inv_pairs_init(&pairs, dx, dy, &err), &err);
    upgrade_must(inv_pairs_add(&pairs, x, y, count, &err), &err);
    upgrade_must(inv_pairs_moments(&pairs, centred, false, &moments, &err),
                 &err);
    inv_pairs_release(&pairs);
    return moments;
}

/* Mean cosine of a fit on the first half of the pairs over the second half. */
static double planted_cosine(const float *x, const float *y, size_t count,
                             size_t dim, bool centred) {
    size_t half = count / 2;
    struct inv_moments m = moments_of(x, y, half, dim, dim, centred);
    struct inv_map map;
    struct inv_err err;
    double cosine;
    upgrade_must(inv_fit_procrustes(&m, &map, &err), &err);
    upgrade_must(inv_map_cosine(&map, x + half * dim, y + half * dim,
                                count - half, &cosine, &err),
                 &err);
    inv_map_release(&map);
    inv_moments_release(&m);
    return cosine;
}

static void planted(void) {
    static const size_t dims[] = {64, 384, 768};
    puts("planted, procrustes on 2,000 pairs, 1 - cosine on 2,000 others");
    puts("   d  rotation  + offset, centred  + offset, not centred");
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        size_t count = 4000, dim = dims[k];
        float *x = unit_rows(count, dim, k);
        float *y = upgrade_reserve(count * dim, sizeof *y);
        memcpy(y, x, count * dim * sizeof *y);
        rotate(y, count, dim, k);
        double plain = planted_cosine(x, y, count, dim, true);
        for (size_t i = 0; i < count * dim; i++)
            y[i] += 1 / sqrtf((float)dim); /* as long as the vectors */
        printf("%4zu  %8.1e  %17.1e  %21.1e\n", dim, 1 - plain,
               1 - planted_cosine(x, y, count, dim, true),
               1 - planted_cosine(x, y, count, dim, false));
        free(x);
        free(y);
    }
}

/* ---- the constrained problem ---- */

struct problem {
    const struct inv_moments *m;
    size_t rows, cols, cells;
    double nu;
    double constant; /* tr(Cyy) */
    double *product; /* scratch: W Cxx */
    double *gram;    /* scratch: W W^T - I, or of the smaller side */
    size_t evaluations;
};

/* Mean |W x + b - y|^2 with the best b; into gradient the gradient of error +
 * nu r^2 by W, when it is not NULL. *r gets r(W). */
static double error_at(struct problem *p, const double *w, double *gradient,
                       double *r) {
    int dy = (int)p->rows, dx = (int)p->cols;
    cblas_dsymm(CblasRowMajor, CblasRight, CblasLower, dy, dx, 1, p->m->cxx, dx,
                w, dx, 0, p->product, dx);
    double error = p->constant +
                   cblas_ddot((int)p->cells, w, 1, p->product, 1) -
                   2 * cblas_ddot((int)p->cells, w, 1, p->m->cyx, 1);
    *r = inv_map_r(w, p->rows, p->cols, p->gram);
    if (gradient == NULL)
        return error;
    p->evaluations++;
    for (size_t i = 0; i < p->cells; i++)
        gradient[i] = 2 * (p->product[i] - p->m->cyx[i]);
    if (dy <= dx)
        cblas_dsymm(CblasRowMajor, CblasLeft, CblasLower, dy, dx, 4 * p->nu,
                    p->gram, dy, w, dx, 1, gradient, dx);
    else
        cblas_dsymm(CblasRowMajor, CblasRight, CblasLower, dy, dx, 4 * p->nu,
                    p->gram, dx, w, dx, 1, gradient, dx);
    return error;
}

#define MEMORY 12
#define STEPS_MAX 400
#define SETTLED 1e-4 /* of the gradient, relative to that of the error */

struct lbfgs {
    double *s[MEMORY], *y[MEMORY], rho[MEMORY];
    double *direction, *gradient, *trial, *trial_gradient;
    size_t kept;
};

static struct lbfgs lbfgs_new(size_t cells) {
    struct lbfgs l = {.kept = 0};
    for (size_t i = 0; i < MEMORY; i++) {
        l.s[i] = upgrade_reserve(cells, sizeof(double));
        l.y[i] = upgrade_reserve(cells, sizeof(double));
    }
    l.direction = upgrade_reserve(cells, sizeof(double));
    l.gradient = upgrade_reserve(cells, sizeof(double));
    l.trial = upgrade_reserve(cells, sizeof(double));
    l.trial_gradient = upgrade_reserve(cells, sizeof(double));
    return l;
}

static void lbfgs_free(struct lbfgs *l) {
    for (size_t i = 0; i < MEMORY; i++) {
        free(l->s[i]);
        free(l->y[i]);
    }
    free(l->direction);
    free(l->gradient);
    free(l->trial);
    free(l->trial_gradient);
}

static double dot(const double *a, const double *b, size_t n) {
    return cblas_ddot((int)n, a, 1, b, 1);
}

/* The two loops; pair i of `kept` is at i % MEMORY. */
static void direct(struct lbfgs *l, size_t n) {
    double alpha[MEMORY];
    size_t have = l->kept < MEMORY ? l->kept : MEMORY;
    memcpy(l->direction, l->gradient, n * sizeof(double));
    for (size_t k = 0; k < have; k++) {
        size_t i = (l->kept - 1 - k) % MEMORY;
        alpha[i] = l->rho[i] * dot(l->s[i], l->direction, n);
        cblas_daxpy((int)n, -alpha[i], l->y[i], 1, l->direction, 1);
    }
    if (have > 0) {
        size_t i = (l->kept - 1) % MEMORY;
        cblas_dscal((int)n, 1 / (l->rho[i] * dot(l->y[i], l->y[i], n)),
                    l->direction, 1);
    }
    for (size_t k = have; k-- > 0;) {
        size_t i = (l->kept - 1 - k) % MEMORY;
        double beta = l->rho[i] * dot(l->y[i], l->direction, n);
        cblas_daxpy((int)n, alpha[i] - beta, l->s[i], 1, l->direction, 1);
    }
    cblas_dscal((int)n, -1, l->direction, 1);
}

static void remember(struct lbfgs *l, const double *w, size_t n) {
    size_t i = l->kept % MEMORY;
    for (size_t k = 0; k < n; k++) {
        l->s[i][k] = l->trial[k] - w[k];
        l->y[i][k] = l->trial_gradient[k] - l->gradient[k];
    }
    double curvature = dot(l->s[i], l->y[i], n);
    if (!(curvature > 0))
        return;
    l->rho[i] = 1 / curvature;
    l->kept++;
}

/* Descends error + nu r^2 from w, in place; r at the end. */
static double descend(struct problem *p, struct lbfgs *l, double *w) {
    size_t n = p->cells;
    double r, scale = sqrt(dot(p->m->cyx, p->m->cyx, n));
    double value = error_at(p, w, l->gradient, &r);
    value += p->nu * r * r;
    l->kept = 0;
    for (size_t step = 0; step < STEPS_MAX; step++) {
        if (sqrt(dot(l->gradient, l->gradient, n)) < SETTLED * scale)
            break;
        direct(l, n);
        double slope = dot(l->direction, l->gradient, n);
        double length = l->kept == 0 ? .1 / scale : 1, next = 0;
        int tries = 0;
        for (; tries < 30; tries++, length /= 2) {
            double trial_r;
            memcpy(l->trial, w, n * sizeof *w);
            cblas_daxpy((int)n, length, l->direction, 1, l->trial, 1);
            next = error_at(p, l->trial, l->trial_gradient, &trial_r);
            next += p->nu * trial_r * trial_r;
            if (next <= value + 1e-4 * length * slope) {
                r = trial_r;
                break;
            }
        }
        if (tries == 30)
            break;
        remember(l, w, n);
        memcpy(w, l->trial, n * sizeof *w);
        memcpy(l->gradient, l->trial_gradient, n * sizeof *w);
        value = next;
    }
    return r;
}

/* ---- the path beside it ---- */

struct found {
    double error, r, seconds, ndcg;
    size_t evaluations;
};

/* nDCG@10 of the new queries, carried by W and its best bias, on the old
 * gallery. */
static double retrieve(const struct upgrade *u, const struct inv_moments *m,
                       double *w) {
    double *b = upgrade_reserve(m->y_dim, sizeof *b);
    double *ndcg = upgrade_reserve(u->judged.queries, sizeof *ndcg);
    struct inv_map map = {.rows = m->y_dim, .cols = m->x_dim, .w = w, .b = b};
    memcpy(b, m->mean_y, m->y_dim * sizeof *b);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)m->y_dim, (int)m->x_dim, -1,
                w, (int)m->x_dim, m->mean_x, 1, 1, b, 1);
    float *queries = upgrade_apply(&map, &u->new_queries);
    uint32_t *ids = upgrade_rank(queries, u->judged.queries, &u->old_documents,
                                 INV_JUDGE_DEPTH, NULL);
    double mean = upgrade_ndcg(u, ids, INV_JUDGE_DEPTH, ndcg);
    free(ids);
    free(queries);
    free(ndcg);
    free(b);
    return mean;
}

/* The multiplier that fits best where the path ended: minus the projection of
 * the error's gradient on that of r^2. */
static double first_guess(struct problem *p, struct lbfgs *l, const double *w) {
    double r;
    p->nu = 0;
    error_at(p, w, l->gradient, &r);
    p->nu = 1;
    error_at(p, w, l->trial_gradient, &r);
    for (size_t i = 0; i < p->cells; i++)
        l->trial_gradient[i] -= l->gradient[i];
    double nu = -dot(l->gradient, l->trial_gradient, p->cells) /
                dot(l->trial_gradient, l->trial_gradient, p->cells);
    return nu > 1e-9 ? nu : 1e-9;
}

static struct found iterate(const struct upgrade *u, struct problem *p,
                            const struct inv_map *start, double wanted) {
    struct lbfgs l = lbfgs_new(p->cells);
    double *w = upgrade_reserve(p->cells, sizeof *w);
    struct found found = {.seconds = upgrade_cpu()};
    memcpy(w, start->w, p->cells * sizeof *w);
    p->evaluations = 0;
    double nu = first_guess(p, &l, w), last_nu = 0, last_r = 0;
    for (int trial = 0; trial < 20; trial++) {
        p->nu = nu;
        double r = descend(p, &l, w), slope = -.5;
        if (fabs(r - wanted) < 5e-4 * wanted)
            break;
        /* r falls as nu grows, about as a power of it */
        if (last_r > 0)
            slope = log(r / last_r) / log(nu / last_nu);
        slope = slope < -.05 ? slope : -.5;
        last_nu = nu;
        last_r = r;
        nu *= exp(log(wanted / r) / slope);
    }
    found.error = error_at(p, w, NULL, &found.r);
    found.seconds = upgrade_cpu() - found.seconds;
    found.evaluations = p->evaluations;
    found.ndcg = retrieve(u, p->m, w);
    lbfgs_free(&l);
    free(w);
    return found;
}

static void compare(const struct upgrade *u, const char *title,
                    const struct inv_moments *m, double kappa) {
    struct problem p = {.m = m,
                        .rows = m->y_dim,
                        .cols = m->x_dim,
                        .cells = m->y_dim * m->x_dim};
    struct inv_map path, procrustes;
    struct inv_err err;
    size_t d = p.rows < p.cols ? p.rows : p.cols;
    double r;
    p.product = upgrade_reserve(p.cells, sizeof(double));
    p.gram = upgrade_reserve(d * d, sizeof(double));
    for (size_t i = 0; i < p.rows; i++)
        p.constant += m->cyy[i * p.rows + i];
    double seconds = upgrade_cpu();
    upgrade_must(inv_fit_path(m, kappa, &path, &err), &err);
    seconds = upgrade_cpu() - seconds;
    upgrade_must(inv_fit_procrustes(m, &procrustes, &err), &err);
    double error = error_at(&p, path.w, NULL, &r);
    double isometry = error_at(&p, procrustes.w, NULL, &r);
    struct found found = iterate(u, &p, &path, path.r);
    printf("%-20s %5.2f %7.3f %7.3f  %.5f %.5f %.5f %+6.2f %%  %.4f %.4f  "
           "%6.2f %6.1f %5zu %5.0f\n",
           title, kappa, path.r, found.r, isometry, error, found.error,
           100 * (error / found.error - 1), retrieve(u, m, path.w), found.ndcg,
           seconds, found.seconds, found.evaluations, found.seconds / seconds);
    fflush(stdout);
    inv_map_release(&path);
    inv_map_release(&procrustes);
    free(p.product);
    free(p.gram);
}

static void real(void) {
    static const struct {
        const char *set, *old, *new, *title;
    } cases[] = {
        {"scifact", "minilm-l3", "minilm-l6", "scifact l3 -> l6"},
        {"scifact", "e5-small", "minilm-l6", "scifact e5 -> l6"},
        {"cranfield", "minilm-l3", "minilm-l6", "cranfield l3 -> l6"},
    };
    static const double kappas[] = {.05, .1, .2, .35, .5};
    puts("\nthe path and L-BFGS at the same r: mean squared error");
    printf("%-20s %5s %7s %7s  %-23s %8s  %-13s  %6s %6s %5s %5s\n", "",
           "kappa", "r path", "r iter", "error: isometry, path, iter",
           "path is", "nDCG@10: both", "s path", "s iter", "eval", "times");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct upgrade u;
        upgrade_open(&u, cases[c].set, cases[c].old, cases[c].new);
        struct inv_moments m = moments_of(
            u.new_documents.data, u.old_documents.data, u.new_documents.rows,
            u.new_documents.dim, u.old_documents.dim, true);
        for (size_t k = 0; k < sizeof kappas / sizeof *kappas; k++)
            compare(&u, cases[c].title, &m, kappas[k]);
        inv_moments_release(&m);
        upgrade_close(&u);
    }
}

int main(void) {
    planted();
    real();
    return EXIT_SUCCESS;
}
