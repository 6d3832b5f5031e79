/*
 * contrastive.c: epochs, Adam, and the choice of temperature and stop on
 * documents that were not fitted; see contrastive.h. Knows no judgements but
 * the pairs themselves. Jobs and tools call it, one thread each.
 */
#include "encoders/adapters/contrastive.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"
#include "encoders/adapters/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHOOSE_PAIRS_MIN 100
#define CHOOSE_EVERY 50 /* steps between two looks */
#define CHOOSE_FROM 100 /* steps before the first */
#define HELD_OUT_ONE_IN 7
#define HELD_OUT_MAX 1000
#define FEW_TEMPERATURE .05
#define FEW_STEPS 200
#define BETA1 .9
#define BETA2 .999
#define ADAM_EPSILON 1e-8

struct inv_contrastive inv_contrastive_defaults(void) {
    return (struct inv_contrastive){
        .kappa = .2,
        .alpha = 50,
        .rate = 3e-4,
        .steps = 600,
        .batch = 128,
        .columns = 16384,
    };
}

/* Everything one descent needs, in one block each. */
struct descent {
    const struct inv_contrastive *options;
    struct inv_contrastive_shape shape;
    float *wb, *gradient, *mean, *square; /* W, then b */
    float *scratch, *x;
    uint32_t *positive, *order;
    size_t cells;
    /* the pairs of this descent and the rows that compete */
    uint32_t *pairs, *place; /* place: gallery row -> column */
    float *columns;
    size_t pair_count, column_count;
    size_t held_count;
    uint32_t *held;
};

static void descent_release(struct descent *d) {
    free(d->wb);
    free(d->gradient);
    free(d->mean);
    free(d->square);
    free(d->scratch);
    free(d->x);
    free(d->positive);
    free(d->order);
    free(d->pairs);
    free(d->place);
    free(d->columns);
    free(d->held);
}

/* ---- who takes part ---- */

#define ABSENT UINT32_MAX
#define WANTED (UINT32_MAX - 1)

static void shuffle(uint32_t *order, size_t count, struct inv_stream *stream) {
    for (size_t i = count; i > 1; i--) {
        size_t j = inv_stream_below(stream, (uint32_t)i);
        uint32_t keep = order[i - 1];
        order[i - 1] = order[j];
        order[j] = keep;
    }
}

static bool held_out(uint32_t document, uint64_t seed) {
    struct inv_stream stream;
    inv_stream_init(&stream, seed, "contrastive.held", document);
    return inv_stream_below(&stream, HELD_OUT_ONE_IN) == 0;
}

/* Pairs into `pairs` and `held`; documents of the pairs are WANTED columns, as
 * many as three quarters of all, so that others compete too. */
static void choose_pairs(struct descent *d, const struct inv_relevance *rel,
                         bool split) {
    size_t most = (size_t)d->options->columns / 4 * 3;
    size_t wanted = 0;
    for (size_t i = 0; i < rel->count; i++) {
        uint32_t pair = d->order[i];
        uint32_t document = rel->document[pair];
        if (split && held_out(document, d->options->seed)) {
            if (d->held_count < HELD_OUT_MAX)
                d->held[d->held_count++] = pair;
            continue;
        }
        if (d->place[document] == ABSENT && wanted == most)
            continue;
        wanted += d->place[document] == ABSENT;
        d->place[document] = WANTED;
        d->pairs[d->pair_count++] = pair;
    }
}

/* Columns: the wanted documents, then others in random order while there is
 * room. */
static void choose_columns(struct descent *d, const struct inv_relevance *rel,
                           bool split, uint32_t *all) {
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < rel->gallery_count; i++) {
            uint32_t row = all[i];
            bool take = round == 0
                            ? d->place[row] == WANTED
                            : d->place[row] == ABSENT &&
                                  d->column_count < d->options->columns &&
                                  !(split && held_out(row, d->options->seed));
            if (!take)
                continue;
            d->place[row] = (uint32_t)d->column_count;
            memcpy(d->columns + d->column_count++ * rel->gallery_dim,
                   rel->gallery + (size_t)row * rel->gallery_dim,
                   rel->gallery_dim * sizeof *d->columns);
        }
}

static bool take_part(struct descent *d, const struct inv_relevance *rel,
                      bool split) {
    struct inv_stream stream;
    size_t most = rel->gallery_count < d->options->columns
                      ? rel->gallery_count
                      : d->options->columns;
    size_t longest =
        rel->count > rel->gallery_count ? rel->count : rel->gallery_count;
    d->order = malloc(longest * sizeof *d->order);
    d->pairs = malloc(rel->count * sizeof *d->pairs);
    d->held = malloc(HELD_OUT_MAX * sizeof *d->held);
    d->place = malloc(rel->gallery_count * sizeof *d->place);
    d->columns = malloc(most * rel->gallery_dim * sizeof *d->columns);
    uint32_t *all = malloc(rel->gallery_count * sizeof *all);
    bool ok = d->order != NULL && d->pairs != NULL && d->held != NULL &&
              d->place != NULL && d->columns != NULL && all != NULL;
    if (ok) {
        inv_stream_init(&stream, d->options->seed, "contrastive.sample", 0);
        for (size_t i = 0; i < rel->count; i++)
            d->order[i] = (uint32_t)i;
        for (size_t i = 0; i < rel->gallery_count; i++) {
            all[i] = (uint32_t)i;
            d->place[i] = ABSENT;
        }
        shuffle(d->order, rel->count, &stream);
        shuffle(all, rel->gallery_count, &stream);
        choose_pairs(d, rel, split);
        choose_columns(d, rel, split, all);
    }
    free(all);
    return ok;
}

static enum inv_status descent_init(struct descent *d,
                                    const struct inv_map *start,
                                    const struct inv_relevance *rel,
                                    const struct inv_contrastive *options,
                                    double temperature, bool split,
                                    struct inv_err *err) {
    *d = (struct descent){.options = options};
    if (!take_part(d, rel, split))
        return inv_fail(err, INV_MEMORY, "out of memory for %zu pairs",
                        rel->count);
    size_t small = start->rows < start->cols ? start->rows : start->cols;
    d->shape = (struct inv_contrastive_shape){
        .rows = start->rows,
        .cols = start->cols,
        .batch =
            d->pair_count < options->batch ? d->pair_count : options->batch,
        .columns = d->column_count,
        .temperature = temperature,
        .lambda = options->kappa * sqrt((double)small),
        .alpha = options->alpha,
    };
    if (d->shape.batch == 0)
        return inv_fail(err, INV_INVALID,
                        "no pair is left to fit: %zu of %zu are held out",
                        d->held_count, rel->count);
    d->cells = start->rows * start->cols + start->rows;
    d->wb = malloc(d->cells * sizeof *d->wb);
    d->gradient = malloc(d->cells * sizeof *d->gradient);
    d->mean = calloc(d->cells, sizeof *d->mean);
    d->square = calloc(d->cells, sizeof *d->square);
    d->scratch =
        malloc(inv_contrastive_scratch(&d->shape) * sizeof *d->scratch);
    d->x = malloc(d->shape.batch * d->shape.cols * sizeof *d->x);
    d->positive = malloc(d->shape.batch * sizeof *d->positive);
    if (d->wb == NULL || d->gradient == NULL || d->mean == NULL ||
        d->square == NULL || d->scratch == NULL || d->x == NULL ||
        d->positive == NULL)
        return inv_fail(err, INV_MEMORY,
                        "out of memory for a batch of %zu against %zu",
                        d->shape.batch, d->column_count);
    inv_map_floats(start, d->wb, d->wb + start->rows * start->cols);
    return INV_OK;
}

/* ---- descending ---- */

static void adam(struct descent *d, size_t step) {
    double t = (double)step;
    float rate = (float)(d->options->rate / (1 - pow(BETA1, t)));
    float correct = (float)(1 / (1 - pow(BETA2, t)));
    for (size_t i = 0; i < d->cells; i++) {
        float g = d->gradient[i];
        d->mean[i] = (float)BETA1 * d->mean[i] + (float)(1 - BETA1) * g;
        d->square[i] = (float)BETA2 * d->square[i] + (float)(1 - BETA2) * g * g;
        d->wb[i] -= rate * d->mean[i] /
                    (sqrtf(d->square[i] * correct) + (float)ADAM_EPSILON);
    }
}

/* The next batch of the running epoch; an epoch's rest that fills no batch is
 * left out, the next one is shuffled anew. */
static void next_batch(struct descent *d, const struct inv_relevance *rel,
                       struct inv_stream *stream, size_t *at) {
    if (*at + d->shape.batch > d->pair_count) {
        shuffle(d->pairs, d->pair_count, stream);
        *at = 0;
    }
    for (size_t i = 0; i < d->shape.batch; i++) {
        uint32_t pair = d->pairs[*at + i];
        memcpy(d->x + i * rel->dim, rel->queries + (size_t)pair * rel->dim,
               rel->dim * sizeof *d->x);
        d->positive[i] = d->place[rel->document[pair]];
    }
    *at += d->shape.batch;
}

/* The best of the looks, and the last step that is within one standard error of
 * it: ranking titles is easy and is as good as it gets long before other
 * queries are (scifact: .97 from step 100 on, while claims go from .556 there
 * to .575 at 600). What holds r bounds a long descent. */
struct best {
    double ndcg10, error, temperature;
    size_t steps, judged;
};

/* nDCG@10 of the held-out pairs over the whole gallery. */
static enum inv_status look(const struct descent *d,
                            const struct inv_relevance *rel, double *ndcg10,
                            double *error, struct inv_err *err) {
    return inv_judge_pairs(d->wb, d->wb + d->shape.rows * d->shape.cols,
                           d->shape.rows, d->shape.cols, rel->queries,
                           rel->document, d->held, d->held_count, rel->gallery,
                           rel->gallery_count, ndcg10, error, err);
}

static void compare(struct best *best, double ndcg10, double error,
                    size_t step) {
    if (ndcg10 > best->ndcg10) {
        best->ndcg10 = ndcg10;
        best->error = error;
        best->steps = step;
    } else if (ndcg10 >= best->ndcg10 - best->error) {
        best->steps = step;
    }
}

/* best NULL: run all the steps; else look at the held-out pairs. */
static enum inv_status descend(struct descent *d,
                               const struct inv_relevance *rel, size_t steps,
                               struct best *best, struct inv_err *err) {
    struct inv_stream stream;
    enum inv_status status = INV_OK;
    size_t at = d->pair_count; /* the first batch shuffles */
    float *gb = d->gradient + d->shape.rows * d->shape.cols;
    const float *b = d->wb + d->shape.rows * d->shape.cols;
    inv_stream_init(&stream, d->options->seed, "contrastive.order", 0);
    for (size_t step = 1; step <= steps && status == INV_OK; step++) {
        double r, ndcg10, error;
        next_batch(d, rel, &stream, &at);
        inv_contrastive_gradient(&d->shape, d->wb, b, d->x, d->positive,
                                 d->columns, d->scratch, d->gradient, gb, &r);
        adam(d, step);
        if (d->options->go_on != NULL &&
            !d->options->go_on(d->options->context, step, steps))
            return inv_fail(err, INV_CANCELLED, "cancelled at step %zu of %zu",
                            step, steps);
        if (best == NULL || step < CHOOSE_FROM || step % CHOOSE_EVERY != 0)
            continue;
        status = look(d, rel, &ndcg10, &error, err);
        if (status == INV_OK)
            compare(best, ndcg10, error, step);
    }
    return status;
}

static enum inv_status choose(const struct inv_map *start,
                              const struct inv_relevance *rel,
                              const struct inv_contrastive *options,
                              struct best *best, struct inv_err *err) {
    static const double temperatures[] = {.02, .05};
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < 2 && status == INV_OK; i++) {
        struct descent d;
        status =
            descent_init(&d, start, rel, options, temperatures[i], true, err);
        struct best here = {-1, 0, temperatures[i], 0, d.held_count};
        if (status == INV_OK && d.held_count > 0)
            status = descend(&d, rel, options->steps, &here, err);
        if (here.ndcg10 > best->ndcg10)
            *best = here;
        descent_release(&d);
    }
    return status;
}

/* ---- the fit ---- */

static enum inv_status check_pairs(const struct inv_map *start,
                                   const struct inv_relevance *rel,
                                   struct inv_err *err) {
    if (start->cols != rel->dim || start->rows != rel->gallery_dim)
        return inv_fail(err, INV_DIMENSION,
                        "the start goes from %zu to %zu dimensions, the pairs "
                        "from %zu to %zu",
                        start->cols, start->rows, rel->dim, rel->gallery_dim);
    if (rel->count < 1 || rel->gallery_count < 2)
        return inv_fail(err, INV_INVALID,
                        "%zu relevance pairs and %zu documents; 1 and 2 are "
                        "needed",
                        rel->count, rel->gallery_count);
    if (rel->gallery_count >= WANTED || rel->count >= WANTED)
        return inv_fail(err, INV_TOO_LARGE,
                        "%zu pairs and %zu documents; fewer than %u of each "
                        "are possible",
                        rel->count, rel->gallery_count, WANTED);
    for (size_t i = 0; i < rel->count; i++) {
        if (rel->document[i] >= rel->gallery_count)
            return inv_fail(err, INV_INVALID,
                            "pair %zu belongs to document %u of %zu", i,
                            rel->document[i], rel->gallery_count);
        if (!inv_all_within(rel->queries + i * rel->dim, rel->dim,
                            INV_VALUE_ABS_MAX))
            return inv_fail(err, INV_NOT_FINITE,
                            "query %zu of the pairs holds a number that is not "
                            "finite or beyond %g",
                            i, (double)INV_VALUE_ABS_MAX);
    }
    return INV_OK;
}

static enum inv_status check_options(const struct inv_contrastive *o,
                                     struct inv_err *err) {
    if (!(o->temperature >= 0 && o->temperature <= 10) ||
        (o->temperature > 0 && o->temperature < 1e-3))
        return inv_fail(err, INV_INVALID,
                        "a temperature is .001 to 10, or 0 to choose, not %g",
                        o->temperature);
    if (!(o->kappa >= 0 && o->kappa <= 10) || !(o->alpha > 0) ||
        !(o->rate > 0 && o->rate < 1))
        return inv_fail(err, INV_INVALID,
                        "kappa 0 to 10, alpha above 0, rate 0 to 1; got %g, "
                        "%g, %g",
                        o->kappa, o->alpha, o->rate);
    if (o->steps < 1 || o->batch < 1 || o->columns < 8)
        return inv_fail(err, INV_INVALID,
                        "at least 1 step, a batch of 1 and 8 columns; got %u, "
                        "%u, %u",
                        o->steps, o->batch, o->columns);
    return INV_OK;
}

static enum inv_status keep(const struct descent *d, struct inv_map *map,
                            struct inv_err *err) {
    size_t cells = d->shape.rows * d->shape.cols;
    enum inv_status status =
        inv_map_init(map, d->shape.rows, d->shape.cols, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < cells; i++)
        map->w[i] = (double)d->wb[i];
    for (size_t i = 0; i < d->shape.rows; i++)
        map->b[i] = (double)d->wb[cells + i];
    map->knob = d->shape.lambda;
    status = inv_map_measure(map, err);
    if (status != INV_OK)
        inv_map_release(map);
    return status;
}

enum inv_status inv_fit_contrastive(const struct inv_map *start,
                                    const struct inv_relevance *relevance,
                                    const struct inv_contrastive *options,
                                    struct inv_map *map,
                                    struct inv_contrastive_choice *choice,
                                    struct inv_err *err) {
    struct descent d = {.cells = 0};
    struct best best = {-1, 0, options->temperature, options->steps, 0};
    *map = (struct inv_map){.rows = 0};
    enum inv_status status = check_pairs(start, relevance, err);
    if (status == INV_OK)
        status = check_options(options, err);
    if (status != INV_OK)
        return status;
    if (options->temperature <= 0) {
        best.temperature = FEW_TEMPERATURE;
        if (best.steps > FEW_STEPS)
            best.steps = FEW_STEPS;
        if (relevance->count >= CHOOSE_PAIRS_MIN)
            status = choose(start, relevance, options, &best, err);
    }
    if (status == INV_OK)
        status = descent_init(&d, start, relevance, options, best.temperature,
                              false, err);
    if (status == INV_OK)
        status = descend(&d, relevance, best.steps, NULL, err);
    if (status == INV_OK)
        status = keep(&d, map, err);
    if (status == INV_OK)
        *choice = (struct inv_contrastive_choice){
            .temperature = best.temperature,
            .steps = best.steps,
            .judged = best.judged,
            .ndcg10 = best.judged > 0 ? best.ndcg10 : 0,
            .columns = d.column_count,
        };
    descent_release(&d);
    return status;
}
