/*
 * paper.c: see paper.h. All in fp64: 400 steps of 128 pairs of 384 dimensions
 * take some seconds. Jobs and tools call it.
 */
#include "encoders/adapters/paper.h"

#include "base/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct inv_paper inv_paper_defaults(void) {
    return (struct inv_paper){
        .w1 = 1,
        .w2 = 1,
        .w3 = 1,
        .temperature = .1,
        .kappa = .5,
        .alpha = 50,
        .rate = 1e-3,
        .steps = 400,
        .batch = 128,
    };
}

/* ---- the loss ---- */

size_t inv_paper_parameters(size_t x_dim, size_t y_dim) {
    return y_dim * x_dim + y_dim + y_dim * y_dim + y_dim;
}

size_t inv_paper_scratch(size_t size, size_t x_dim, size_t y_dim) {
    size_t d = x_dim < y_dim ? x_dim : y_dim;
    return 8 * size * y_dim + 3 * size + size * size + d * d;
}

/* out = in W^T + b */
static void affine(const double *in, size_t count, const double *w,
                   const double *b, size_t rows, size_t cols, double *out) {
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * rows, b, rows * sizeof *out);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)rows,
                (int)cols, 1, in, (int)cols, w, (int)cols, 1, out, (int)rows);
}

/* Directions and norms of rows. */
static void directions(const double *in, size_t count, size_t dim, double *out,
                       double *norms) {
    for (size_t i = 0; i < count; i++) {
        norms[i] = cblas_dnrm2((int)dim, in + i * dim, 1);
        double scale = norms[i] > 0 ? 1 / norms[i] : 0;
        for (size_t j = 0; j < dim; j++)
            out[i * dim + j] = in[i * dim + j] * scale;
    }
}

/* gradient += the gradient by y of what has gradient dz by z = y / |y|. */
static void through_norm(const double *z, const double *norms, const double *dz,
                         size_t count, size_t dim, double *gradient) {
    for (size_t i = 0; i < count; i++) {
        const double *zi = z + i * dim;
        const double *di = dz + i * dim;
        double along = cblas_ddot((int)dim, zi, 1, di, 1);
        double scale = norms[i] > 0 ? 1 / norms[i] : 0;
        for (size_t j = 0; j < dim; j++)
            gradient[i * dim + j] += (di[j] - along * zi[j]) * scale;
    }
}

static bool same(const struct inv_paper_batch *batch, size_t i, size_t j) {
    return batch->labels == NULL ? i == j
                                 : batch->labels[i] == batch->labels[j];
}

/* One row of logits becomes (softmax - p); returns -sum p log softmax. */
static double supcon_row(const struct inv_paper_batch *batch, size_t i,
                         double *row) {
    double top = row[0], sum = 0, loss = 0;
    size_t alike = 0;
    for (size_t j = 0; j < batch->size; j++) {
        top = row[j] > top ? row[j] : top;
        alike += same(batch, i, j);
    }
    for (size_t j = 0; j < batch->size; j++)
        sum += exp(row[j] - top);
    for (size_t j = 0; j < batch->size; j++) {
        double logit = row[j] - top - log(sum);
        double p = same(batch, i, j) ? 1 / (double)alike : 0;
        loss -= p * logit;
        row[j] = exp(logit) - p;
    }
    return loss;
}

/* The loss of unit rows a against unit rows b; da (and db, when not NULL) are
 * set to weight times its gradient. */
static double supcon(const struct inv_paper_batch *batch, double temperature,
                     double weight, const double *a, const double *b,
                     double *logits, double *da, double *db) {
    int n = (int)batch->size;
    int d = (int)batch->y_dim;
    double loss = 0;
    double scale = weight / (temperature * (double)n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, d,
                1 / temperature, a, d, b, d, 0, logits, n);
    for (size_t i = 0; i < batch->size; i++)
        loss += supcon_row(batch, i, logits + i * batch->size);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d, n, scale,
                logits, n, b, d, 0, da, d);
    if (db != NULL)
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, d, n, scale,
                    logits, n, a, d, 0, db, d);
    return weight * loss / (double)n;
}

/* Mean |a - b|^2 times weight; adds its gradients (db may be NULL). */
static double squared(double weight, const double *a, const double *b,
                      size_t count, size_t dim, double *da, double *db) {
    double sum = 0;
    double scale = weight / (double)count;
    for (size_t i = 0; i < count * dim; i++) {
        double difference = a[i] - b[i];
        sum += difference * difference;
        da[i] += 2 * scale * difference;
        if (db != NULL)
            db[i] -= 2 * scale * difference;
    }
    return scale * sum;
}

/* gw += dy^T x, gb += column sums of dy. */
static void collect(const double *dy, const double *x, size_t count,
                    size_t rows, size_t cols, double *gw, double *gb) {
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)cols,
                (int)count, 1, dy, (int)rows, x, (int)cols, 1, gw, (int)cols);
    for (size_t i = 0; i < count; i++)
        cblas_daxpy((int)rows, 1, dy + i * rows, 1, gb, 1);
}

/* sigmoid(alpha (r - lambda)) r and its gradient, added to gw: [s + alpha r s
 * (1 - s)] (2 / r) (W W^T - I) W. */
static double penalty(const struct inv_paper *o, const double *w, size_t rows,
                      size_t cols, double *gram, double *gw) {
    size_t d = rows < cols ? rows : cols;
    double r = inv_map_r(w, rows, cols, gram);
    double x = o->alpha * (r - o->kappa * sqrt((double)d));
    if (!(r > 1e-9) || x < -700)
        return 0;
    double s = 1 / (1 + exp(-x));
    double factor = (s + o->alpha * r * s * (1 - s)) * 2 / r;
    bool wide = rows <= cols;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols,
                (int)d, factor, wide ? gram : w, (int)(wide ? d : cols),
                wide ? w : gram, (int)cols, 1, gw, (int)cols);
    return s * r;
}

double inv_paper_gradient(const struct inv_paper *o,
                          const struct inv_paper_batch *batch,
                          const double *parameters, double *scratch,
                          double *gradient) {
    size_t n = batch->size, dx = batch->x_dim, dy = batch->y_dim;
    size_t cells = n * dy;
    const double *wb = parameters, *bb = wb + dy * dx;
    const double *wf = bb + dy, *bf = wf + dy * dy;
    double *gwb = gradient, *gbb = gwb + dy * dx;
    double *gwf = gbb + dy, *gbf = gwf + dy * dy;
    double *back = scratch, *front = back + cells; /* B(x), F(y) */
    double *z_back = front + cells, *z_front = z_back + cells;
    double *d_back = z_front + cells, *d_front = d_back + cells;
    double *da = d_front + cells, *db = da + cells;
    double *norms = db + cells, *logits = norms + 3 * n;
    double *gram = logits + n * n;
    memset(gradient, 0, inv_paper_parameters(dx, dy) * sizeof *gradient);
    memset(d_back, 0, 2 * cells * sizeof *d_back);
    affine(batch->x, n, wb, bb, dy, dx, back);
    affine(batch->y, n, wf, bf, dy, dy, front);
    directions(back, n, dy, z_back, norms);
    directions(front, n, dy, z_front, norms + n);
    double loss = squared(o->w1, front, back, n, dy, d_front, d_back);
    loss += squared(o->w2, back, batch->y, n, dy, d_back, NULL);
    loss +=
        supcon(batch, o->temperature, o->w3, z_front, z_back, logits, da, db);
    through_norm(z_front, norms + n, da, n, dy, d_front);
    through_norm(z_back, norms, db, n, dy, d_back);
    directions(batch->y, n, dy, z_back, norms + 2 * n); /* B's are not needed */
    loss +=
        supcon(batch, o->temperature, o->w3, z_front, z_back, logits, da, NULL);
    through_norm(z_front, norms + n, da, n, dy, d_front);
    collect(d_back, batch->x, n, dy, dx, gwb, gbb);
    collect(d_front, batch->y, n, dy, dy, gwf, gbf);
    return loss + penalty(o, wb, dy, dx, gram, gwb);
}

/* ---- descending ---- */

struct descent {
    double *parameters, *gradient, *mean, *square, *scratch, *x, *y;
    uint32_t *order, *labels;
};

static void release(struct descent *d) {
    free(d->parameters);
    free(d->gradient);
    free(d->mean);
    free(d->square);
    free(d->scratch);
    free(d->x);
    free(d->y);
    free(d->order);
    free(d->labels);
}

static bool reserve(struct descent *d, size_t count, size_t size, size_t dx,
                    size_t dy) {
    size_t cells = inv_paper_parameters(dx, dy);
    d->parameters = calloc(cells, sizeof *d->parameters);
    d->gradient = malloc(cells * sizeof *d->gradient);
    d->mean = calloc(cells, sizeof *d->mean);
    d->square = calloc(cells, sizeof *d->square);
    d->scratch = malloc(inv_paper_scratch(size, dx, dy) * sizeof *d->scratch);
    d->x = malloc(size * dx * sizeof *d->x);
    d->y = malloc(size * dy * sizeof *d->y);
    d->order = malloc(count * sizeof *d->order);
    d->labels = malloc(size * sizeof *d->labels);
    return d->parameters != NULL && d->gradient != NULL && d->mean != NULL &&
           d->square != NULL && d->scratch != NULL && d->x != NULL &&
           d->y != NULL && d->order != NULL && d->labels != NULL;
}

static void adam(struct descent *d, size_t cells, double rate, size_t step) {
    double t = (double)step;
    rate /= 1 - pow(.9, t);
    double correct = 1 / (1 - pow(.999, t));
    for (size_t i = 0; i < cells; i++) {
        double g = d->gradient[i];
        d->mean[i] = .9 * d->mean[i] + .1 * g;
        d->square[i] = .999 * d->square[i] + .001 * g * g;
        d->parameters[i] -=
            rate * d->mean[i] / (sqrt(d->square[i] * correct) + 1e-8);
    }
}

struct data {
    const float *x, *y;
    const uint32_t *labels;
    size_t count;
};

static void next_batch(struct descent *d, const struct data *data,
                       struct inv_paper_batch *batch, size_t *at,
                       struct inv_stream *stream) {
    if (*at + batch->size > data->count) {
        for (size_t i = data->count; i > 1; i--) {
            size_t j = inv_stream_below(stream, (uint32_t)i);
            uint32_t keep = d->order[i - 1];
            d->order[i - 1] = d->order[j];
            d->order[j] = keep;
        }
        *at = 0;
    }
    for (size_t i = 0; i < batch->size; i++) {
        size_t pair = d->order[*at + i];
        for (size_t j = 0; j < batch->x_dim; j++)
            d->x[i * batch->x_dim + j] =
                (double)data->x[pair * batch->x_dim + j];
        for (size_t j = 0; j < batch->y_dim; j++)
            d->y[i * batch->y_dim + j] =
                (double)data->y[pair * batch->y_dim + j];
        d->labels[i] = data->labels != NULL ? data->labels[pair] : 0;
    }
    *at += batch->size;
}

static enum inv_status keep(const double *w, size_t rows, size_t cols,
                            double knob, struct inv_map *map,
                            struct inv_err *err) {
    enum inv_status status = inv_map_init(map, rows, cols, err);
    if (status != INV_OK)
        return status;
    memcpy(map->w, w, rows * cols * sizeof *w);
    memcpy(map->b, w + rows * cols, rows * sizeof *w);
    map->knob = knob;
    status = inv_map_measure(map, err);
    if (status != INV_OK)
        inv_map_release(map);
    return status;
}

static enum inv_status check(const struct inv_map *start, size_t count,
                             const struct inv_paper *o, struct inv_err *err) {
    if (count < 2 || count >= UINT32_MAX)
        return inv_fail(err, INV_INVALID,
                        "the joint loss takes 2 pairs or more, got %zu", count);
    if (!(o->temperature > 0) || !(o->kappa >= 0) || !(o->alpha > 0) ||
        !(o->rate > 0) || o->steps < 1 || o->batch < 2)
        return inv_fail(err, INV_INVALID,
                        "temperature, alpha and rate are above 0, steps at "
                        "least 1, the batch 2; got %g, %g, %g, %u, %u",
                        o->temperature, o->alpha, o->rate, o->steps, o->batch);
    if (start->rows < 1)
        return inv_fail(err, INV_DIMENSION, "the start is empty");
    return INV_OK;
}

enum inv_status inv_fit_paper(const struct inv_map *start, const float *x,
                              const float *y, const uint32_t *labels,
                              size_t count, const struct inv_paper *options,
                              struct inv_map *backward, struct inv_map *forward,
                              struct inv_err *err) {
    struct descent d = {.order = NULL};
    size_t dx = start->cols, dy = start->rows;
    size_t size = count < options->batch ? count : options->batch;
    struct data data = {x, y, labels, count};
    double lambda = options->kappa * sqrt((double)(dx < dy ? dx : dy));
    enum inv_status status = check(start, count, options, err);
    if (status != INV_OK)
        return status;
    *backward = (struct inv_map){.rows = 0};
    if (!reserve(&d, count, size, dx, dy)) {
        status =
            inv_fail(err, INV_MEMORY, "out of memory for %zu pairs", count);
        goto done;
    }
    memcpy(d.parameters, start->w, dy * dx * sizeof *start->w);
    memcpy(d.parameters + dy * dx, start->b, dy * sizeof *start->b);
    double *wf = d.parameters + dy * dx + dy;
    for (size_t i = 0; i < dy; i++)
        wf[i * dy + i] = 1;
    for (size_t i = 0; i < count; i++)
        d.order[i] = (uint32_t)i;
    struct inv_paper_batch batch = {d.x,  d.y, labels != NULL ? d.labels : NULL,
                                    size, dx,  dy};
    struct inv_stream stream;
    size_t at = count;
    inv_stream_init(&stream, options->seed, "paper.order", 0);
    for (size_t step = 1; step <= options->steps; step++) {
        next_batch(&d, &data, &batch, &at, &stream);
        inv_paper_gradient(options, &batch, d.parameters, d.scratch,
                           d.gradient);
        adam(&d, inv_paper_parameters(dx, dy), options->rate, step);
        if (options->go_on != NULL &&
            !options->go_on(options->context, step, options->steps)) {
            status = inv_fail(err, INV_CANCELLED, "cancelled at step %zu of %u",
                              step, options->steps);
            goto done;
        }
    }
    status = keep(d.parameters, dy, dx, lambda, backward, err);
    if (status == INV_OK && forward != NULL)
        status = keep(wf, dy, dy, 0, forward, err);
    if (status != INV_OK)
        inv_map_release(backward);
done:
    release(&d);
    return status;
}
