/*
 * simplex.c: see simplex.h. Knows labels, no payloads. Jobs, and request
 * threads for the three ways to map.
 */
#include "encoders/adapters/simplex.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- vertices ---- */

struct constants {
    double v, m, nu;
};

static struct constants constants_of(size_t dim) {
    double d = (double)dim;
    struct constants c;
    c.v = (1 - sqrt(1 + d)) / d;
    c.m = (1 + c.v) / (d + 1);
    c.nu = sqrt((1 - c.m) * (1 - c.m) + (d - 1) * c.m * c.m);
    return c;
}

void inv_simplex_vertices(size_t dim, double *vertices) {
    struct constants c = constants_of(dim);
    for (size_t k = 0; k < dim; k++)
        for (size_t j = 0; j < dim; j++)
            vertices[k * dim + j] = ((k == j ? 1 : 0) - c.m) / c.nu;
    for (size_t j = 0; j < dim; j++)
        vertices[dim * dim + j] = -1 / sqrt((double)dim);
}

void inv_simplex_logits(const double *z, size_t dim, double *logits) {
    struct constants c = constants_of(dim);
    double sum = 0;
    for (size_t j = 0; j < dim; j++)
        sum += z[j];
    for (size_t k = 0; k < dim; k++)
        logits[k] = (z[k] - c.m * sum) / c.nu;
    logits[dim] = -sum / sqrt((double)dim);
}

/* ---- fitting ---- */

static enum inv_status check_labels(const uint32_t *labels, size_t count,
                                    size_t classes, struct inv_err *err) {
    if (classes < 2 || count < 2)
        return inv_fail(err, INV_INVALID,
                        "a simplex needs 2 classes and 2 rows, got %zu and %zu",
                        classes, count);
    for (size_t i = 0; i < count; i++)
        if (labels[i] >= classes)
            return inv_fail(err, INV_INVALID,
                            "row %zu has label %u, the simplex has %zu "
                            "vertices (0 to %zu)",
                            i, labels[i], classes, classes - 1);
    return INV_OK;
}

enum inv_status inv_fit_simplex(const float *rows, size_t count, size_t dim,
                                const uint32_t *labels, size_t classes,
                                double rho, struct inv_map *map,
                                struct inv_err *err) {
    struct inv_pairs pairs = {.count = 0};
    struct inv_moments moments = {.count = 0};
    size_t d = classes - 1;
    *map = (struct inv_map){.rows = 0};
    enum inv_status status = check_labels(labels, count, classes, err);
    if (status != INV_OK)
        return status;
    double *vertices = malloc(classes * d * sizeof *vertices);
    float *targets = malloc(count * d * sizeof *targets);
    if (vertices == NULL || targets == NULL) {
        status =
            inv_fail(err, INV_MEMORY, "out of memory for %zu classes", classes);
        goto done;
    }
    inv_simplex_vertices(d, vertices);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < d; j++)
            targets[i * d + j] = (float)vertices[labels[i] * d + j];
    status = inv_pairs_init(&pairs, dim, d, err);
    if (status == INV_OK)
        status = inv_pairs_add(&pairs, rows, targets, count, err);
    if (status == INV_OK)
        status = inv_pairs_moments(&pairs, true, false, &moments, err);
    if (status == INV_OK)
        status = inv_fit_ridge(&moments, rho, map, err);
done:
    inv_pairs_release(&pairs);
    inv_moments_release(&moments);
    free(vertices);
    free(targets);
    return status;
}

/* ---- mapping ---- */

static void normalise(double *x, size_t dim) {
    double norm = cblas_dnrm2((int)dim, x, 1);
    for (size_t i = 0; i < dim && norm > 0; i++)
        x[i] /= norm;
}

/* y = norm(W x + b) */
static void apply(const struct inv_map *map, const double *x, double *y) {
    memcpy(y, map->b, map->rows * sizeof *y);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)map->rows, (int)map->cols, 1,
                map->w, (int)map->cols, x, 1, 1, y, 1);
    normalise(y, map->rows);
}

static void widen(const float *in, size_t dim, double *out) {
    for (size_t i = 0; i < dim; i++)
        out[i] = (double)in[i];
}

static enum inv_status check_fold(const struct inv_simplex *s,
                                  struct inv_err *err) {
    if (s->base->cols != s->s_new->cols || s->base->rows != s->s_old->cols ||
        s->s_new->rows != s->s_old->rows)
        return inv_fail(err, INV_DIMENSION,
                        "the base goes from %zu to %zu dimensions, the simplex "
                        "maps from %zu and %zu to %zu and %zu",
                        s->base->cols, s->base->rows, s->s_new->cols,
                        s->s_old->cols, s->s_new->rows, s->s_old->rows);
    if (!(s->beta >= 0 && s->beta <= 1))
        return inv_fail(err, INV_INVALID, "beta is 0 to 1, not %g", s->beta);
    return INV_OK;
}

enum inv_status inv_simplex_fold(const struct inv_simplex *simplex,
                                 const float *queries, size_t count, float *out,
                                 struct inv_err *err) {
    enum inv_status status = check_fold(simplex, err);
    if (status != INV_OK)
        return status;
    size_t dx = simplex->base->cols;
    size_t dy = simplex->base->rows;
    size_t d = simplex->s_new->rows;
    double *room = malloc((dx + 2 * dy + d) * sizeof *room);
    if (room == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query of %zu",
                        dx);
    double *y = room + dx;
    double *back = y + dy;
    double *z = back + dy;
    for (size_t i = 0; i < count; i++) {
        widen(queries + i * dx, dx, room);
        apply(simplex->base, room, y);
        apply(simplex->s_new, room, z);
        cblas_dgemv(CblasRowMajor, CblasTrans, (int)d, (int)dy, 1,
                    simplex->s_old->w, (int)dy, z, 1, 0, back, 1);
        normalise(back, dy);
        for (size_t j = 0; j < dy; j++)
            y[j] = (1 - simplex->beta) * y[j] + simplex->beta * back[j];
        normalise(y, dy);
        for (size_t j = 0; j < dy; j++)
            out[i * dy + j] = (float)y[j];
    }
    free(room);
    return INV_OK;
}

enum inv_status inv_simplex_whole(const struct inv_map *map, const float *rows,
                                  size_t count, float *out,
                                  struct inv_err *err) {
    double *room = malloc((map->cols + map->rows) * sizeof *room);
    if (room == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a row of %zu",
                        map->cols);
    double *z = room + map->cols;
    for (size_t i = 0; i < count; i++) {
        widen(rows + i * map->cols, map->cols, room);
        apply(map, room, z);
        for (size_t j = 0; j < map->rows; j++)
            out[i * map->rows + j] = (float)z[j];
    }
    free(room);
    return INV_OK;
}

enum inv_status inv_simplex_blend(const struct inv_map *base,
                                  const struct inv_map *s, double beta,
                                  const float *rows, size_t count, size_t dim,
                                  float *out, struct inv_err *err) {
    size_t left = base != NULL ? base->rows : dim;
    if (dim != s->cols || (base != NULL && dim != base->cols))
        return inv_fail(err, INV_DIMENSION,
                        "rows of %zu dimensions for maps from %zu and %zu", dim,
                        base != NULL ? base->cols : dim, s->cols);
    if (!(beta >= 0 && beta <= 1))
        return inv_fail(err, INV_INVALID, "beta is 0 to 1, not %g", beta);
    double *room = malloc((dim + left + s->rows) * sizeof *room);
    if (room == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a row of %zu", dim);
    double *y = room + dim;
    double *z = y + left;
    size_t width = left + s->rows;
    for (size_t i = 0; i < count; i++) {
        widen(rows + i * dim, dim, room);
        if (base != NULL)
            apply(base, room, y);
        else
            memcpy(y, room, dim * sizeof *y);
        apply(s, room, z);
        cblas_dscal((int)left, sqrt(1 - beta), y, 1);
        cblas_dscal((int)s->rows, sqrt(beta), z, 1);
        for (size_t j = 0; j < width; j++)
            out[i * width + j] = (float)y[j];
    }
    free(room);
    return INV_OK;
}
