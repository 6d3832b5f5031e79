/*
 * residual.c: see residual.h. The logarithm, because squared residuals spread
 * over an order of magnitude and few large ones would be all that is fitted.
 * Jobs call it.
 */
#include "encoders/adapters/residual.h"

#include "base/kernels.h"

#include <math.h>
#include <stdlib.h>

#define ROWS_AT_ONCE 1024
#define LEAST 1e-12f /* of |y - B x|^2: rounding of unit vectors */

/* Adds the pairs (y, log |y - B x|^2) of up to ROWS_AT_ONCE rows. room: their
 * B x and the logarithms. */
static enum inv_status add(struct inv_pairs *pairs,
                           const struct inv_adapter *backward, const float *x,
                           const float *y, size_t count, float *room,
                           struct inv_err *err) {
    struct inv_adapter_parts parts = inv_adapter_parts(backward);
    float *logs = room + ROWS_AT_ONCE * parts.rows;
    enum inv_status status =
        inv_adapter_apply(backward, x, count, parts.cols, room, err);
    if (status != INV_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        float far =
            inv_l2sq_f32(y + i * parts.rows, room + i * parts.rows, parts.rows);
        logs[i] = logf(far > LEAST ? far : LEAST);
    }
    return inv_pairs_add(pairs, y, logs, count, err);
}

enum inv_status inv_residual_fit(const struct inv_adapter *backward,
                                 const float *x, const float *y, size_t count,
                                 double rho, struct inv_residual *residual,
                                 struct inv_err *err) {
    struct inv_adapter_parts parts = inv_adapter_parts(backward);
    struct inv_pairs pairs = {.count = 0};
    struct inv_moments moments = {.count = 0};
    *residual = (struct inv_residual){.map = {.rows = 0}};
    if (parts.direction != INV_ADAPTER_BACKWARD)
        return inv_fail(err, INV_INVALID,
                        "residuals are those of a backward adapter, this one "
                        "is %s",
                        inv_adapter_direction_name(parts.direction));
    float *room = malloc(ROWS_AT_ONCE * (parts.rows + 1) * sizeof *room);
    enum inv_status status =
        room != NULL
            ? inv_pairs_init(&pairs, parts.rows, 1, err)
            : inv_fail(err, INV_MEMORY, "out of memory for %d rows of %zu",
                       ROWS_AT_ONCE, parts.rows);
    for (size_t at = 0; at < count && status == INV_OK; at += ROWS_AT_ONCE) {
        size_t part =
            count - at < ROWS_AT_ONCE ? count - at : (size_t)ROWS_AT_ONCE;
        status = add(&pairs, backward, x + at * parts.cols, y + at * parts.rows,
                     part, room, err);
    }
    if (status == INV_OK)
        status = inv_pairs_moments(&pairs, true, false, &moments, err);
    if (status == INV_OK)
        status = inv_fit_ridge(&moments, rho, &residual->map, err);
    inv_moments_release(&moments);
    inv_pairs_release(&pairs);
    free(room);
    return status;
}

void inv_residual_release(struct inv_residual *residual) {
    inv_map_release(&residual->map);
}

void inv_residual_predict(const struct inv_residual *residual, const float *y,
                          size_t count, float *out) {
    const struct inv_map *map = &residual->map;
    for (size_t i = 0; i < count; i++) {
        double sum = map->b[0];
        for (size_t j = 0; j < map->cols; j++)
            sum += map->w[j] * (double)y[i * map->cols + j];
        out[i] = (float)sum;
    }
}
