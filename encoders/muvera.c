/*
 * muvera.c: presets, limits and the life of a MUVERA encoder: checks the
 * parameters, builds the tables an encoding reads, frees them. Knows nothing
 * of collections or of where the centre comes from. Building is one thread's
 * work; afterwards the encoder is never written again.
 */
#include "encoders/muvera.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "encoders/muvera_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* With a final sketch the encoding is final_dim long, and R * 2^k * m is only
 * passed through on the way; it may be longer, but not without end. */
#define UNFOLDED_MAX ((uint64_t)1 << 20)
/* Hyperplanes and sketches of one encoder. The presets need less than 2 MB at
 * d = 768; only tiny blocks of huge tokens come near this. */
#define TABLES_MAX ((uint64_t)256 << 20)

static const struct {
    const char *name;
    uint32_t repetitions, bits, width;
} presets[] = {
    {"small", 20, 3, 8},
    {"default", 20, 4, 8},
    {"quality", 20, 5, 16},
};

enum inv_status inv_muvera_preset(const char *name,
                                  struct inv_muvera_params *params,
                                  struct inv_err *err) {
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(name, presets[i].name) == 0) {
            params->repetitions = presets[i].repetitions;
            params->bits = presets[i].bits;
            params->width = presets[i].width;
            return INV_OK;
        }
    }
    return inv_fail(err, INV_INVALID,
                    "there is no preset '%.64s'; presets are small, default "
                    "and quality",
                    name);
}

static enum inv_status check_shape(const struct inv_muvera_params *params,
                                   struct inv_err *err) {
    if (params->dim < 1 || params->dim > INV_DIM_MAX)
        return inv_fail(err, INV_INVALID,
                        "tokens have %u dimensions; 1 to %d are possible",
                        params->dim, INV_DIM_MAX);
    if (params->repetitions < 1)
        return inv_fail(err, INV_INVALID,
                        "repetitions is %u; at least 1 is needed",
                        params->repetitions);
    if (params->bits > INV_FDE_BITS_MAX)
        return inv_fail(err, INV_INVALID,
                        "bits is %u, beyond the maximum of %d", params->bits,
                        INV_FDE_BITS_MAX);
    if (params->width < 1 || params->width > params->dim)
        return inv_fail(err, INV_INVALID,
                        "width is %u; 1 to %u, the dimension of a token, are "
                        "possible",
                        params->width, params->dim);
    if (params->final_dim > INV_FDE_DIM_MAX)
        return inv_fail(err, INV_INVALID,
                        "final_dim is %u, beyond the maximum of %d",
                        params->final_dim, INV_FDE_DIM_MAX);
    return INV_OK;
}

static enum inv_status check_kinds(const struct inv_muvera_params *params,
                                   struct inv_err *err) {
    if (params->generator != INV_GENERATOR_INVAR1 &&
        params->generator != INV_GENERATOR_REFERENCE)
        return inv_fail(err, INV_INVALID,
                        "generator %d is not one of the known 0 to %d",
                        (int)params->generator, (int)INV_GENERATOR_REFERENCE);
    if (params->fill != INV_FILL_NONE && params->fill != INV_FILL_NEAREST &&
        params->fill != INV_FILL_DAMPED)
        return inv_fail(err, INV_INVALID,
                        "fill %d is not one of the known 0 to %d",
                        (int)params->fill, (int)INV_FILL_DAMPED);
    if (params->generator != INV_GENERATOR_REFERENCE)
        return INV_OK;
    if (params->seed > UINT32_MAX)
        return inv_fail(err, INV_INVALID,
                        "seed is %llu, beyond the reference generator's "
                        "maximum of %lu",
                        (unsigned long long)params->seed,
                        (unsigned long)UINT32_MAX);
    if (params->sketch_per_cell)
        return inv_fail(err, INV_INVALID,
                        "the reference generator draws 1 sketch per "
                        "repetition, not one for each of %lu cells",
                        1ul << params->bits);
    return INV_OK;
}

/* Bytes of hyperplanes and inner sketches; cannot overflow after check_shape
 * and the limit on R * 2^k * m. */
static uint64_t table_bytes(const struct inv_muvera_params *params) {
    uint64_t planes = (uint64_t)params->repetitions * params->bits *
                      params->dim * sizeof(float);
    uint64_t sketches = (uint64_t)inv_muvera_sketch_count(params) *
                        inv_muvera_sketch_stride(params) * sizeof(uint16_t);
    return planes + sketches;
}

enum inv_status inv_muvera_check(const struct inv_muvera_params *params,
                                 struct inv_err *err) {
    enum inv_status status = check_shape(params, err);
    if (status == INV_OK)
        status = check_kinds(params, err);
    if (status != INV_OK)
        return status;
    uint64_t length =
        ((uint64_t)params->repetitions << params->bits) * params->width;
    uint64_t limit = params->final_dim != 0 ? UNFOLDED_MAX : INV_FDE_DIM_MAX;
    if (length > limit)
        return inv_fail(err, INV_INVALID,
                        "%u repetitions of 2^%u cells of width %u make %llu "
                        "dimensions%s, beyond the maximum of %llu",
                        params->repetitions, params->bits, params->width,
                        (unsigned long long)length,
                        params->final_dim != 0 ? " before the final sketch"
                                               : "",
                        (unsigned long long)limit);
    uint64_t bytes = table_bytes(params);
    if (bytes > TABLES_MAX)
        return inv_fail(err, INV_INVALID,
                        "the encoder's random matrices would take %llu bytes, "
                        "beyond the maximum of %llu",
                        (unsigned long long)bytes,
                        (unsigned long long)TABLES_MAX);
    return INV_OK;
}

/* Where the block of each cell goes. The reference reads the bits, first bit
 * first, as a Gray code; ours as a plain number. */
static void place_cells(struct inv_muvera *muvera) {
    uint32_t bits = muvera->params.bits;
    bool gray = muvera->params.generator == INV_GENERATOR_REFERENCE;
    for (uint32_t cell = 0; cell < muvera->cells; cell++) {
        uint32_t g = 0;
        for (uint32_t j = bits; gray && j-- > 0;)
            g = 2 * g + (((cell >> j) & 1) ^ (g & 1));
        muvera->position[cell] = gray ? g : cell;
        muvera->distance[cell] = (uint8_t)__builtin_popcount(cell);
    }
}

/* Numbers below 2^k by popcount, a counting sort. */
static void order_rings(struct inv_muvera *muvera) {
    uint32_t at[INV_FDE_BITS_MAX + 2] = {0};
    for (size_t i = 0; i < muvera->cells; i++)
        at[muvera->distance[i] + 1]++;
    for (uint32_t t = 1; t <= muvera->params.bits + 1; t++)
        at[t] += at[t - 1];
    memcpy(muvera->ring, at, sizeof at);
    for (size_t i = 0; i < muvera->cells; i++)
        muvera->near[at[muvera->distance[i]]++] = (uint32_t)i;
}

/* max(0, cos(pi t / k))^2, exactly 0 from t = k / 2 on. */
static void set_damping(struct inv_muvera *muvera) {
    uint32_t bits = muvera->params.bits;
    for (uint32_t t = 0; t <= bits; t++) {
        double c = 2 * t < bits ? cos(3.14159265358979323846 * t / bits) : 0.0;
        muvera->damping[t] = t == 0 ? 1.0f : (float)(c * c);
    }
}

/* The mean's direction; a mean of exactly zero has none and removes nothing.
 */
static enum inv_status set_center(struct inv_muvera *muvera,
                                  const float *center, struct inv_err *err) {
    uint32_t dim = muvera->params.dim;
    if (!inv_all_within(center, dim, INV_VALUE_ABS_MAX))
        return inv_fail(err, INV_NOT_FINITE,
                        "the centre holds a number that is not finite or "
                        "beyond %g",
                        (double)INV_VALUE_ABS_MAX);
    double norm2 = 0.0;
    for (uint32_t i = 0; i < dim; i++)
        norm2 += (double)center[i] * (double)center[i];
    if (!(norm2 > 0.0))
        return INV_OK;
    muvera->center = malloc(dim * sizeof *muvera->center);
    if (muvera->center == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a centre of %u",
                        dim);
    double norm = sqrt(norm2);
    for (uint32_t i = 0; i < dim; i++)
        muvera->center[i] = (float)((double)center[i] / norm);
    return INV_OK;
}

static enum inv_status allocate(struct inv_muvera *muvera, uint32_t **scratch,
                                struct inv_err *err) {
    const struct inv_muvera_params *params = &muvera->params;
    size_t sketches = inv_muvera_sketch_count(params);
    size_t length = params->repetitions * muvera->cells * params->width;
    bool ok = true;
    if (muvera->planes_count != 0) {
        muvera->planes =
            malloc(muvera->planes_count * params->dim * sizeof *muvera->planes);
        ok = muvera->planes != NULL;
    }
    if (ok && sketches != 0) {
        muvera->sketches =
            malloc(sketches * muvera->sketch_stride * sizeof *muvera->sketches);
        ok = muvera->sketches != NULL;
    }
    if (ok && params->final_dim != 0) {
        muvera->last = malloc(length * sizeof *muvera->last);
        ok = muvera->last != NULL;
    }
    muvera->distance = malloc(muvera->cells * sizeof *muvera->distance);
    muvera->near = malloc(muvera->cells * sizeof *muvera->near);
    muvera->position = malloc(muvera->cells * sizeof *muvera->position);
    *scratch = malloc(params->dim * sizeof **scratch);
    if (ok && muvera->distance != NULL && muvera->near != NULL &&
        muvera->position != NULL && *scratch != NULL)
        return INV_OK;
    return inv_fail(err, INV_MEMORY,
                    "out of memory for the %llu bytes of an encoder's matrices",
                    (unsigned long long)table_bytes(params));
}

enum inv_status inv_muvera_new(const struct inv_muvera_params *params,
                               const float *center, struct inv_muvera **out,
                               struct inv_err *err) {
    enum inv_status status = inv_muvera_check(params, err);
    if (status != INV_OK)
        return status;
    uint32_t *scratch = NULL;
    struct inv_muvera *muvera = calloc(1, sizeof *muvera);
    if (muvera == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for an encoder");
    muvera->params = *params;
    muvera->cells = (size_t)1 << params->bits;
    muvera->planes_count = (size_t)params->repetitions * params->bits;
    muvera->sketch_stride = inv_muvera_sketch_stride(params);
    status = allocate(muvera, &scratch, err);
    if (status == INV_OK && params->center && center != NULL)
        status = set_center(muvera, center, err);
    if (status == INV_OK) {
        place_cells(muvera);
        order_rings(muvera);
        set_damping(muvera);
        inv_muvera_draw(muvera, scratch);
        *out = muvera;
        muvera = NULL;
    }
    free(scratch);
    inv_muvera_free(muvera);
    return status;
}

void inv_muvera_free(struct inv_muvera *muvera) {
    if (muvera == NULL)
        return;
    free(muvera->planes);
    free(muvera->sketches);
    free(muvera->last);
    free(muvera->center);
    free(muvera->distance);
    free(muvera->near);
    free(muvera->position);
    free(muvera);
}

size_t inv_muvera_dim(const struct inv_muvera *muvera) {
    const struct inv_muvera_params *params = &muvera->params;
    if (params->final_dim != 0)
        return params->final_dim;
    return params->repetitions * muvera->cells * params->width;
}
