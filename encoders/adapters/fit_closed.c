/*
 * fit_closed.c: procrustes, ridge and the path between them, from moments; see
 * fit.h. One SVD and one eigendecomposition; what is tried after that is GEMMs.
 * At d = 384: procrustes .06 s, path .15 s. Jobs and tools call it.
 */
#include "encoders/adapters/fit.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRIALS_MAX 60
#define KAPPA_MAX 10
/* Where the search for mu begins, relative to the mean eigenvalue of Cxx. */
#define MU_LOW 1e-9
#define MU_HIGH 1e6

static int as_int(size_t n) { return (int)n; }

/* b = mean_y - W mean_x */
static void set_bias(const struct inv_moments *m, struct inv_map *map) {
    memcpy(map->b, m->mean_y, m->y_dim * sizeof *map->b);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, as_int(m->y_dim), as_int(m->x_dim),
                -1, map->w, as_int(m->x_dim), m->mean_x, 1, 1, map->b, 1);
}

static enum inv_status finish(const struct inv_moments *m, struct inv_map *map,
                              enum inv_status status, struct inv_err *err) {
    if (status == INV_OK) {
        set_bias(m, map);
        status = inv_map_measure(map, err);
    }
    if (status != INV_OK)
        inv_map_release(map);
    return status;
}

static enum inv_status no_memory(const struct inv_moments *m,
                                 struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory fitting %zu to %zu dims",
                    m->x_dim, m->y_dim);
}

static enum inv_status no_solution(const char *what, const char *routine,
                                   lapack_int info, struct inv_err *err) {
    return inv_fail(err, INV_INTERNAL, "%s: %s did not converge (%d)", what,
                    routine, (int)info);
}

/* ---- procrustes ---- */

/* out = U V^T of the thin singular value decomposition of Cyx. */
static enum inv_status polar(const struct inv_moments *m, double *out,
                             struct inv_err *err) {
    size_t dy = m->y_dim;
    size_t dx = m->x_dim;
    size_t d = dy < dx ? dy : dx;
    double *a = malloc(dy * dx * sizeof *a);
    double *u = malloc(dy * d * sizeof *u);
    double *vt = malloc(d * dx * sizeof *vt);
    double *s = malloc(d * sizeof *s);
    enum inv_status status = INV_OK;
    if (a == NULL || u == NULL || vt == NULL || s == NULL) {
        status = no_memory(m, err);
        goto done;
    }
    /* Row-major Cyx is column-major Cyx^T = V S U^T, so the roles of u and vt
     * swap and nothing is transposed. */
    memcpy(a, m->cyx, dy * dx * sizeof *a);
    lapack_int info =
        LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', (lapack_int)dx, (lapack_int)dy, a,
                       (lapack_int)dx, s, vt, (lapack_int)dx, u, (lapack_int)d);
    if (info != 0) {
        status = no_solution("procrustes", "dgesdd", info, err);
        goto done;
    }
    /* vt: column-major dx x d = row-major d x dx; u: column-major d x dy =
     * row-major dy x d. */
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, as_int(dy),
                as_int(dx), as_int(d), 1, u, as_int(d), vt, as_int(dx), 0, out,
                as_int(dx));
done:
    free(a);
    free(u);
    free(vt);
    free(s);
    return status;
}

enum inv_status inv_fit_procrustes(const struct inv_moments *moments,
                                   struct inv_map *map, struct inv_err *err) {
    enum inv_status status =
        inv_map_init(map, moments->y_dim, moments->x_dim, err);
    if (status != INV_OK)
        return status;
    status = polar(moments, map->w, err);
    return finish(moments, map, status, err);
}

/* ---- what ridge and the path share ---- */

/* Cxx = V diag(e) V^T and Cyx V: a trial is then a scaling of columns. */
struct spectrum {
    const struct inv_moments *m;
    double *v;    /* columns are eigenvectors: row-major x_dim x x_dim */
    double *e;    /* ascending */
    double *yx_v; /* Cyx V */
    double *q_v;  /* Q V, of the path */
    double mean;  /* tr(Cxx) / d */
};

static void spectrum_release(struct spectrum *s) {
    free(s->v);
    free(s->e);
    free(s->yx_v);
    free(s->q_v);
}

/* out = in V, in y_dim x x_dim. */
static void times_v(const struct spectrum *s, const double *in, double *out) {
    int dy = as_int(s->m->y_dim);
    int dx = as_int(s->m->x_dim);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, dy, dx, dx, 1, in,
                dx, s->v, dx, 0, out, dx);
}

static enum inv_status spectrum_init(struct spectrum *s,
                                     const struct inv_moments *m,
                                     struct inv_err *err) {
    size_t dx = m->x_dim;
    *s = (struct spectrum){.m = m};
    s->v = malloc(dx * dx * sizeof *s->v);
    s->e = malloc(dx * sizeof *s->e);
    s->yx_v = malloc(m->y_dim * dx * sizeof *s->yx_v);
    s->q_v = malloc(m->y_dim * dx * sizeof *s->q_v);
    if (s->v == NULL || s->e == NULL || s->yx_v == NULL || s->q_v == NULL)
        return no_memory(m, err);
    memcpy(s->v, m->cxx, dx * dx * sizeof *s->v);
    lapack_int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', (lapack_int)dx,
                                     s->v, (lapack_int)dx, s->e);
    if (info != 0)
        return no_solution("eigenvectors", "dsyevd", info, err);
    for (size_t i = 0; i < dx; i++) {
        s->e[i] = s->e[i] > 0 ? s->e[i] : 0; /* rounding */
        s->mean += s->e[i] / (double)dx;
    }
    if (!(s->mean > 0))
        return inv_fail(err, INV_INVALID,
                        "all %zu vectors of the source model are the same",
                        (size_t)m->count);
    times_v(s, m->cyx, s->yx_v);
    return INV_OK;
}

/* scaled = (Cyx V + mu Q V) diag(1 / (e + add)). */
static void scale(const struct spectrum *s, double mu, double add,
                  double *scaled) {
    size_t dx = s->m->x_dim;
    for (size_t i = 0; i < s->m->y_dim; i++)
        for (size_t j = 0; j < dx; j++) {
            size_t at = i * dx + j;
            double top = s->yx_v[at] + (mu > 0 ? mu * s->q_v[at] : 0);
            scaled[at] = top / (s->e[j] + add);
        }
}

/* w = scaled V^T */
static void back(const struct spectrum *s, const double *scaled, double *w) {
    int dy = as_int(s->m->y_dim);
    int dx = as_int(s->m->x_dim);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, dy, dx, dx, 1, scaled,
                dx, s->v, dx, 0, w, dx);
}

/* ---- ridge ---- */

static enum inv_status check_rho(double rho, struct inv_err *err) {
    if (rho > 0 && rho <= 1e6)
        return INV_OK;
    return inv_fail(err, INV_INVALID, "rho is above 0 and at most 1e6, not %g",
                    rho);
}

static enum inv_status ridge_with(const struct spectrum *s, double rho,
                                  struct inv_map *map, struct inv_err *err) {
    const struct inv_moments *m = s->m;
    double *scaled = malloc(m->y_dim * m->x_dim * sizeof *scaled);
    if (scaled == NULL)
        return no_memory(m, err);
    enum inv_status status = inv_map_init(map, m->y_dim, m->x_dim, err);
    if (status == INV_OK) {
        scale(s, 0, rho * s->mean, scaled);
        back(s, scaled, map->w);
        map->knob = rho;
        set_bias(m, map);
    }
    free(scaled);
    return status;
}

enum inv_status inv_fit_ridge(const struct inv_moments *moments, double rho,
                              struct inv_map *map, struct inv_err *err) {
    struct spectrum s;
    *map = (struct inv_map){.rows = 0};
    enum inv_status status = check_rho(rho, err);
    if (status != INV_OK)
        return status;
    status = spectrum_init(&s, moments, err);
    if (status == INV_OK)
        status = ridge_with(&s, rho, map, err);
    spectrum_release(&s);
    return finish(moments, map, status, err);
}

enum inv_status inv_fit_ridge_held_out(const struct inv_moments *moments,
                                       const float *x, const float *y,
                                       size_t count, struct inv_map *map,
                                       struct inv_err *err) {
    static const double rhos[] = {.001, .003, .01, .03, .1, .3};
    struct spectrum s;
    double best = -2;
    *map = (struct inv_map){.rows = 0};
    enum inv_status status = spectrum_init(&s, moments, err);
    for (size_t i = 0; i < sizeof rhos / sizeof *rhos && status == INV_OK;
         i++) {
        struct inv_map trial = {.rows = 0};
        double cosine = 0;
        status = ridge_with(&s, rhos[i], &trial, err);
        if (status == INV_OK)
            status = inv_map_cosine(&trial, x, y, count, &cosine, err);
        if (status == INV_OK && cosine > best) {
            best = cosine;
            inv_map_release(map);
            *map = trial;
        } else {
            inv_map_release(&trial);
        }
    }
    spectrum_release(&s);
    return finish(moments, map, status, err);
}

/* ---- the path ---- */

/* r of W(mu): W = scaled V^T with V orthogonal, so W W^T = scaled scaled^T.
 * More rows than columns: the Gram matrix of the smaller side turns with V,
 * which leaves its distance from I as it is. */
static double r_at(const struct spectrum *s, double mu, double *scaled,
                   double *gram) {
    scale(s, mu, mu, scaled);
    return inv_map_r(scaled, s->m->y_dim, s->m->x_dim, gram);
}

/* The mu with |r - lambda| < 1 % (half of it, as floats round later). r falls
 * as mu grows. */
static double bisect(const struct spectrum *s, double lambda, double *scaled,
                     double *gram, size_t *trials) {
    double low = log(MU_LOW * s->mean);
    double high = log(MU_HIGH * s->mean);
    double r = r_at(s, exp(low), scaled, gram);
    *trials = 1;
    if (r <= lambda)
        return exp(low);
    while (*trials < TRIALS_MAX) {
        double middle = (low + high) / 2;
        r = r_at(s, exp(middle), scaled, gram);
        ++*trials;
        if (fabs(r - lambda) < .005 * lambda)
            return exp(middle);
        if (r > lambda)
            low = middle;
        else
            high = middle;
    }
    return exp(high);
}

static enum inv_status walk(struct spectrum *s, double lambda,
                            struct inv_map *map, struct inv_err *err) {
    const struct inv_moments *m = s->m;
    size_t d = m->y_dim < m->x_dim ? m->y_dim : m->x_dim;
    double *scaled = malloc(m->y_dim * m->x_dim * sizeof *scaled);
    double *gram = malloc(d * d * sizeof *gram);
    enum inv_status status = INV_OK;
    if (scaled == NULL || gram == NULL) {
        status = no_memory(m, err);
    } else {
        times_v(s, map->w, s->q_v);
        double mu = bisect(s, lambda, scaled, gram, &map->trials);
        scale(s, mu, mu, scaled);
        back(s, scaled, map->w);
        map->knob = lambda;
    }
    free(scaled);
    free(gram);
    return status;
}

enum inv_status inv_fit_path(const struct inv_moments *moments, double kappa,
                             struct inv_map *map, struct inv_err *err) {
    struct spectrum s = {.m = moments};
    size_t d =
        moments->y_dim < moments->x_dim ? moments->y_dim : moments->x_dim;
    *map = (struct inv_map){.rows = 0};
    if (!(kappa >= 0 && kappa <= KAPPA_MAX))
        return inv_fail(err, INV_INVALID, "kappa is 0 to %d, not %g", KAPPA_MAX,
                        kappa);
    if (kappa <= 0)
        return inv_fit_procrustes(moments, map, err);
    enum inv_status status =
        inv_map_init(map, moments->y_dim, moments->x_dim, err);
    if (status != INV_OK)
        return status;
    status = polar(moments, map->w, err);
    if (status == INV_OK)
        status = spectrum_init(&s, moments, err);
    if (status == INV_OK)
        status = walk(&s, kappa * sqrt((double)d), map, err);
    spectrum_release(&s);
    return finish(moments, map, status, err);
}
