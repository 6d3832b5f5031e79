/*
 * evaluate_source.c: from data in memory to what a fit reads: sums of vector
 * pairs, rows, relevance pairs, without what a fold leaves out; see
 * evaluate_internal.h. Knows no method. One thread a call.
 */
#include "encoders/adapters/evaluate_internal.h"

#include "base/kernels.h"
#include "base/limits.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MIN 11
#define PAIRS_DEFAULT 200000
#define BLOCK 1024 /* rows added at a time: .1 s at 768 dimensions */
#define HELD_ONE_IN 10
#define HELD_MAX 1000
/* A contrastive fit lets 16,384 documents compete and looks at all it has. */
#define RELEVANCE_MAX 100000
#define GALLERY_MAX 65536

/* ---- telling ---- */

void inv_fit_stage(struct inv_fit_watch *watch, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(watch->stage, sizeof watch->stage, fmt, args);
    va_end(args);
}

enum inv_status inv_fit_tell(struct inv_fit_watch *watch, size_t done,
                             size_t total, struct inv_err *err) {
    if (watch->progress == NULL ||
        !watch->progress(watch->ctx, watch->stage, done, total))
        return INV_OK;
    return inv_fail(err, INV_CANCELLED, "cancelled during \"%s\", %zu of %zu",
                    watch->stage, done, total);
}

/* ---- small questions ---- */

bool inv_fit_covered(const struct inv_fit_data *d, size_t document) {
    return d->has_new == NULL || d->has_new[document];
}

bool inv_fit_has_old(const struct inv_fit_data *d, size_t query) {
    bool any = d->multi ? d->old_query_tokens != NULL &&
                              d->old_query_tokens[query].rows > 0
                        : d->old_queries != NULL;
    return any && (d->has_old == NULL || d->has_old[query]);
}

enum inv_fit_use inv_fit_use_of(const struct inv_fit_data *d, size_t query) {
    return d->use == NULL ? INV_FIT_USE_BOTH : (enum inv_fit_use)d->use[query];
}

const uint32_t *inv_fit_relevant(const struct inv_fit_data *d, size_t query,
                                 size_t *count) {
    *count = 0;
    if (d->relevant_start == NULL)
        return NULL;
    *count = d->relevant_start[query + 1] - d->relevant_start[query];
    return d->relevant + d->relevant_start[query];
}

bool inv_fit_query_fits(const struct inv_fit_data *d, size_t query,
                        const bool *excluded) {
    size_t count;
    const uint32_t *relevant = inv_fit_relevant(d, query, &count);
    if (inv_fit_use_of(d, query) == INV_FIT_USE_JUDGE_ONLY)
        return false;
    for (size_t i = 0; i < count && excluded != NULL; i++)
        if (excluded[relevant[i]])
            return false;
    return true;
}

void inv_fit_decode(const struct inv_codes *codes, size_t row, float *out) {
    size_t dim = codes->dim;
    if (codes->dtype == INV_F32)
        memcpy(out, (const float *)codes->data + row * dim, dim * sizeof *out);
    else if (codes->dtype == INV_F16)
        inv_f32_from_f16((const uint16_t *)codes->data + row * dim, out, dim);
    else
        inv_f32_from_i8((const int8_t *)codes->data + row * dim,
                        codes->scales[row], out, dim);
}

/* ---- checks ---- */

static enum inv_status check_tokens(const char *what, size_t i,
                                    const struct inv_codes *codes, size_t dim,
                                    struct inv_err *err) {
    if (codes->rows < 1)
        return inv_fail(err, INV_INVALID, "%s %zu has no tokens", what, i);
    if (codes->dim != dim)
        return inv_fail(err, INV_DIMENSION,
                        "%s %zu has tokens of %zu dimensions, expected %zu",
                        what, i, codes->dim, dim);
    return INV_OK;
}

static enum inv_status same_tokens(const char *what, size_t i,
                                   const struct inv_codes *new,
                                   const struct inv_codes *old,
                                   struct inv_err *err) {
    if (new->rows == old->rows)
        return INV_OK;
    return inv_fail(err, INV_CONFLICT,
                    "%s %zu has %zu tokens in the new model and %zu in the old "
                    "one; adapters of tokens need the same tokens in both",
                    what, i, new->rows, old->rows);
}

static enum inv_status check_multi(const struct inv_fit_data *d,
                                   struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < d->documents && status == INV_OK; i++) {
        status =
            check_tokens("document", i, &d->old_tokens[i], d->old_dim, err);
        if (status != INV_OK || !inv_fit_covered(d, i))
            continue;
        status =
            check_tokens("document", i, &d->new_tokens[i], d->new_dim, err);
        if (status == INV_OK)
            status = same_tokens("document", i, &d->new_tokens[i],
                                 &d->old_tokens[i], err);
    }
    for (size_t i = 0; i < d->queries && status == INV_OK; i++) {
        status =
            check_tokens("query", i, &d->new_query_tokens[i], d->new_dim, err);
        if (status != INV_OK || !inv_fit_has_old(d, i))
            continue;
        status =
            check_tokens("query", i, &d->old_query_tokens[i], d->old_dim, err);
        if (status == INV_OK && inv_fit_use_of(d, i) != INV_FIT_USE_JUDGE_ONLY)
            status = same_tokens("query", i, &d->new_query_tokens[i],
                                 &d->old_query_tokens[i], err);
    }
    return status;
}

static enum inv_status check_relevant(const struct inv_fit_data *d,
                                      struct inv_err *err) {
    for (size_t q = 0; q < d->queries; q++) {
        size_t count;
        const uint32_t *relevant = inv_fit_relevant(d, q, &count);
        for (size_t i = 0; i < count; i++)
            if (relevant[i] >= d->documents)
                return inv_fail(err, INV_INVALID,
                                "query %zu names document %" PRIu32 " of %zu",
                                q, relevant[i], d->documents);
    }
    return INV_OK;
}

static enum inv_status check_documents(const struct inv_fit_data *d,
                                       struct inv_err *err) {
    for (size_t i = 0; i < d->pair_count && d->pair_rows != NULL; i++)
        if (d->pair_rows[i] >= d->documents ||
            !inv_fit_covered(d, d->pair_rows[i]))
            return inv_fail(err, INV_INVALID,
                            "pair %zu is document %" PRIu32 " of %zu, which "
                            "has no new vector",
                            i, d->pair_rows[i], d->documents);
    for (size_t i = 0; i < d->documents && d->labels != NULL; i++)
        if (d->labels[i] != INV_FIT_NO_LABEL && d->labels[i] >= d->classes)
            return inv_fail(err, INV_INVALID,
                            "document %zu has label %" PRIu32
                            ", there are %zu classes",
                            i, d->labels[i], d->classes);
    return INV_OK;
}

enum inv_status inv_fit_check(const struct inv_fit_data *d,
                              struct inv_err *err) {
    if (d->old_dim < 1 || d->old_dim > INV_DIM_MAX || d->new_dim < 1 ||
        d->new_dim > INV_DIM_MAX)
        return inv_fail(err, INV_DIMENSION,
                        "models of %zu and %zu dimensions; 1 to %d are "
                        "possible",
                        d->new_dim, d->old_dim, INV_DIM_MAX);
    if (d->documents < 2 || d->documents + d->queries >= UINT32_MAX)
        return inv_fail(err, INV_INVALID,
                        "a fit needs 2 documents or more and fewer than %u "
                        "with the queries, got %zu and %zu",
                        UINT32_MAX, d->documents, d->queries);
    enum inv_status status = check_documents(d, err);
    if (status == INV_OK)
        status = check_relevant(d, err);
    if (status == INV_OK && d->multi)
        status = check_multi(d, err);
    return status;
}

/* ---- vector pairs ---- */

size_t inv_fit_item_rows(const struct inv_fit_data *d, size_t item) {
    if (!d->multi)
        return 1;
    return item < d->documents ? d->old_tokens[item].rows
                               : d->old_query_tokens[item - d->documents].rows;
}

static size_t copy_tokens(const struct inv_codes *new,
                          const struct inv_codes *old, float *x, float *y) {
    size_t kept = 0;
    for (size_t i = 0; i < new->rows; i++) {
        inv_fit_decode(new, i, x + kept * new->dim);
        inv_fit_decode(old, i, y + kept * old->dim);
        float a = inv_normalize_f32(x + kept * new->dim, new->dim);
        float b = inv_normalize_f32(y + kept * old->dim, old->dim);
        kept += a > 0 && b > 0;
    }
    return kept;
}

size_t inv_fit_item_copy(const struct inv_fit_data *d, size_t item, float *x,
                         float *y) {
    bool query = item >= d->documents;
    size_t at = query ? item - d->documents : item;
    if (d->multi)
        return copy_tokens(
            query ? &d->new_query_tokens[at] : &d->new_tokens[at],
            query ? &d->old_query_tokens[at] : &d->old_tokens[at], x, y);
    const float *from = query ? d->new_queries : d->new_documents;
    memcpy(x, from + at * d->new_dim, d->new_dim * sizeof *x);
    from = query ? d->old_queries : d->old_documents;
    memcpy(y, from + at * d->old_dim, d->old_dim * sizeof *y);
    return 1;
}

static void take(struct inv_fit_source *s, size_t item) {
    size_t rows = inv_fit_item_rows(s->data, item);
    s->items[s->item_count++] = (uint32_t)item;
    s->rows += rows;
    s->longest = rows > s->longest ? rows : s->longest;
    if (item < s->data->documents)
        s->document_pairs++;
    else
        s->query_pairs++;
}

/* Where there are more rows than a fit may have, items by lot: the same item
 * draws the same lot in every fold. */
static void thin(struct inv_fit_source *s, size_t most) {
    size_t count = s->item_count;
    double share = (double)most / (double)s->rows;
    if (s->rows <= most)
        return;
    s->item_count = s->rows = s->longest = 0;
    s->document_pairs = s->query_pairs = 0;
    for (size_t i = 0; i < count && s->rows < most; i++) {
        struct inv_stream stream;
        inv_stream_init(&stream, s->options->seed, "fit.lot", s->items[i]);
        if (inv_stream_uniform(&stream) < share)
            take(s, s->items[i]);
    }
}

static enum inv_status choose_items(struct inv_fit_source *s,
                                    struct inv_err *err) {
    const struct inv_fit_data *d = s->data;
    const bool *excluded = s->options->keep_vectors ? NULL : s->excluded;
    bool listed = d->pair_rows != NULL;
    size_t documents = listed ? d->pair_count : d->documents;
    size_t most = s->options->pairs_max;
    s->items = calloc(documents + d->queries, sizeof *s->items);
    if (s->items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu pairs",
                        documents + d->queries);
    for (size_t i = 0; i < documents; i++) {
        size_t at = listed ? d->pair_rows[i] : i;
        if (inv_fit_covered(d, at) && (excluded == NULL || !excluded[at]))
            take(s, at);
    }
    for (size_t q = 0; q < d->queries; q++)
        if (inv_fit_has_old(d, q) && inv_fit_query_fits(d, q, excluded))
            take(s, d->documents + q);
    thin(s, most == 0 ? PAIRS_DEFAULT : most);
    if (s->rows < PAIRS_MIN)
        return inv_fail(err, INV_INVALID,
                        "a fit needs at least %d pairs of vectors of the same "
                        "thing in both models, %s%zu",
                        PAIRS_MIN,
                        s->excluded == NULL ? "got "
                                            : "a held-out one would have ",
                        s->rows);
    return INV_OK;
}

/* Where the rows of a walk go. */
struct sums {
    struct inv_pairs pairs;
    float *x, *y; /* the block that is being filled */
    size_t filled, seen, step, wanted;
};

/* rho is chosen by every tenth row; as pairs come in the order of the
 * documents, the last tenth would be one kind of them. */
static void hold(struct inv_fit_source *s, struct sums *sums, size_t rows) {
    size_t dx = s->data->new_dim;
    size_t dy = s->data->old_dim;
    float *x = sums->x + sums->filled * dx; /* rows that were just written */
    float *y = sums->y + sums->filled * dy;
    for (size_t i = 0; i < rows; i++, sums->seen++) {
        bool held = sums->seen % sums->step == 0 && s->held < sums->wanted;
        float *to_x =
            held ? s->held_x + s->held * dx : sums->x + sums->filled * dx;
        float *to_y =
            held ? s->held_y + s->held * dy : sums->y + sums->filled * dy;
        memmove(to_x, x + i * dx, dx * sizeof *x);
        memmove(to_y, y + i * dy, dy * sizeof *y);
        s->held += held;
        sums->filled += !held;
    }
}

static enum inv_status walk(struct inv_fit_source *s, struct sums *sums,
                            struct inv_fit_watch *watch, struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; i < s->item_count && status == INV_OK; i++) {
        hold(s, sums,
             inv_fit_item_copy(s->data, s->items[i],
                               sums->x + sums->filled * s->data->new_dim,
                               sums->y + sums->filled * s->data->old_dim));
        if (sums->filled < BLOCK && i + 1 < s->item_count)
            continue;
        status =
            inv_pairs_add(&sums->pairs, sums->x, sums->y, sums->filled, err);
        sums->filled = 0;
        if (status == INV_OK)
            status = inv_fit_tell(watch, i + 1, s->item_count, err);
    }
    return status;
}

static enum inv_status moments(struct inv_fit_source *s, struct sums *sums,
                               bool forward, struct inv_err *err) {
    enum inv_status status = INV_OK;
    if (s->held > 0)
        status = inv_pairs_moments(&sums->pairs, true, false, &s->most, err);
    if (status == INV_OK)
        status =
            inv_pairs_add(&sums->pairs, s->held_x, s->held_y, s->held, err);
    if (status == INV_OK)
        status = inv_pairs_moments(&sums->pairs, true, false, &s->all, err);
    if (status == INV_OK && forward)
        status = inv_pairs_moments(&sums->pairs, true, true, &s->forward, err);
    s->rows = sums->pairs.count; /* zero tokens are gone */
    return status;
}

enum inv_status inv_fit_source_init(struct inv_fit_source *source,
                                    const struct inv_fit_data *data,
                                    const struct inv_fit_options *options,
                                    const bool *excluded, bool forward,
                                    struct inv_fit_watch *watch,
                                    struct inv_err *err) {
    struct inv_fit_source *s = source;
    struct sums sums = {.filled = 0};
    *s = (struct inv_fit_source){
        .data = data, .options = options, .excluded = excluded};
    enum inv_status status = choose_items(s, err);
    if (status == INV_OK)
        status = inv_pairs_init(&sums.pairs, data->new_dim, data->old_dim, err);
    if (status == INV_OK) {
        size_t room = BLOCK + s->longest;
        sums.step = s->rows / HELD_ONE_IN <= HELD_MAX ? HELD_ONE_IN
                                                      : s->rows / HELD_MAX;
        sums.wanted = s->rows / sums.step < HELD_MAX ? s->rows / sums.step
                                                     : (size_t)HELD_MAX;
        sums.x = malloc(room * data->new_dim * sizeof *sums.x);
        sums.y = malloc(room * data->old_dim * sizeof *sums.y);
        s->held_x = malloc((sums.wanted + 1) * data->new_dim * sizeof(float));
        s->held_y = malloc((sums.wanted + 1) * data->old_dim * sizeof(float));
        if (sums.x == NULL || sums.y == NULL || s->held_x == NULL ||
            s->held_y == NULL)
            status =
                inv_fail(err, INV_MEMORY, "out of memory for %zu pairs", room);
    }
    if (status == INV_OK)
        status = walk(s, &sums, watch, err);
    if (status == INV_OK)
        status = moments(s, &sums, forward, err);
    inv_pairs_release(&sums.pairs);
    free(sums.x);
    free(sums.y);
    return status;
}

void inv_fit_source_release(struct inv_fit_source *source) {
    free(source->items);
    free(source->held_x);
    free(source->held_y);
    inv_moments_release(&source->all);
    inv_moments_release(&source->most);
    inv_moments_release(&source->forward);
    *source = (struct inv_fit_source){.rows = 0};
}

/* ---- rows ---- */

static uint32_t label_of(const struct inv_fit_data *d, size_t item) {
    return d->labels != NULL && item < d->documents ? d->labels[item]
                                                    : INV_FIT_NO_LABEL;
}

static bool rows_reserve(float **x, float **y, uint32_t **labels, size_t rows,
                         size_t new_dim, size_t old_dim) {
    *x = malloc(rows * new_dim * sizeof **x);
    *y = malloc(rows * old_dim * sizeof **y);
    if (labels != NULL)
        *labels = malloc(rows * sizeof **labels);
    return *x != NULL && *y != NULL && (labels == NULL || *labels != NULL);
}

enum inv_status inv_fit_source_rows(const struct inv_fit_source *source,
                                    size_t most, float **x, float **y,
                                    uint32_t **labels, size_t *count,
                                    struct inv_err *err) {
    const struct inv_fit_data *d = source->data;
    size_t room = source->rows < most ? source->rows : most;
    size_t step = source->rows / (room > 0 ? room : 1);
    *count = 0;
    if (!rows_reserve(x, y, labels, room + source->longest, d->new_dim,
                      d->old_dim))
        return inv_fail(err, INV_MEMORY, "out of memory for %zu pairs", room);
    for (size_t i = 0; i < source->item_count && *count < room; i += step) {
        uint32_t item = source->items[i];
        uint32_t label = label_of(d, item);
        if (labels != NULL && label == INV_FIT_NO_LABEL)
            continue;
        size_t rows = inv_fit_item_copy(d, item, *x + *count * d->new_dim,
                                        *y + *count * d->old_dim);
        for (size_t r = 0; r < rows && labels != NULL; r++)
            (*labels)[*count + r] = label;
        *count += rows;
    }
    return INV_OK;
}

/* ---- relevance pairs ---- */

/* Which documents a contrastive fit gets: all that are not excluded, or the
 * answers and others by lot when these are too many. place[i]: its row in the
 * fit's gallery, or UINT32_MAX. */
static size_t place_documents(const struct inv_fit_source *s, uint32_t *place) {
    const struct inv_fit_data *d = s->data;
    struct inv_stream stream;
    size_t count = 0, left = 0;
    for (size_t i = 0; i < d->documents; i++)
        left += s->excluded == NULL || !s->excluded[i];
    bool all = left <= GALLERY_MAX;
    memset(place, 0xff, d->documents * sizeof *place);
    for (size_t q = 0; q < d->queries && !all; q++) {
        size_t relevant;
        const uint32_t *list = inv_fit_relevant(d, q, &relevant);
        if (!inv_fit_query_fits(d, q, s->excluded))
            continue;
        for (size_t i = 0; i < relevant && count < GALLERY_MAX / 4 * 3; i++) {
            count += place[list[i]] == UINT32_MAX;
            place[list[i]] = 0;
        }
    }
    double share = (double)(GALLERY_MAX - count) / (double)left;
    count = 0;
    inv_stream_init(&stream, s->options->seed, "fit.gallery", 0);
    for (size_t i = 0; i < d->documents; i++)
        if ((s->excluded == NULL || !s->excluded[i]) &&
            (all || place[i] == 0 || inv_stream_uniform(&stream) < share))
            place[i] = (uint32_t)count++;
    return count;
}

static size_t count_relevant(const struct inv_fit_source *s,
                             const uint32_t *place) {
    size_t pairs = 0;
    for (size_t q = 0; q < s->data->queries; q++) {
        size_t relevant;
        const uint32_t *list = inv_fit_relevant(s->data, q, &relevant);
        if (!inv_fit_query_fits(s->data, q, s->excluded))
            continue;
        for (size_t i = 0; i < relevant; i++)
            pairs += place[list[i]] != UINT32_MAX;
    }
    return pairs;
}

static void fill(struct inv_fit_relevance *r, const struct inv_fit_source *s,
                 const uint32_t *place, size_t pairs) {
    const struct inv_fit_data *d = s->data;
    struct inv_stream stream;
    size_t kept = 0;
    double share = (double)RELEVANCE_MAX / (double)(pairs > 0 ? pairs : 1);
    inv_stream_init(&stream, s->options->seed, "fit.relevance", 0);
    for (size_t q = 0; q < d->queries; q++) {
        size_t relevant;
        const uint32_t *list = inv_fit_relevant(d, q, &relevant);
        if (!inv_fit_query_fits(d, q, s->excluded))
            continue;
        for (size_t i = 0; i < relevant && kept < RELEVANCE_MAX; i++) {
            if (place[list[i]] == UINT32_MAX ||
                (share < 1 && inv_stream_uniform(&stream) >= share))
                continue;
            memcpy(r->queries + kept * d->new_dim,
                   d->new_queries + q * d->new_dim,
                   d->new_dim * sizeof *r->queries);
            r->document[kept++] = place[list[i]];
        }
    }
    for (size_t i = 0; i < d->documents; i++)
        if (place[i] != UINT32_MAX)
            memcpy(r->gallery + place[i] * d->old_dim,
                   d->old_documents + i * d->old_dim,
                   d->old_dim * sizeof *r->gallery);
    r->given.count = kept;
}

enum inv_status inv_fit_relevance_init(struct inv_fit_relevance *relevance,
                                       const struct inv_fit_source *source,
                                       struct inv_err *err) {
    const struct inv_fit_data *d = source->data;
    struct inv_fit_relevance *r = relevance;
    *r = (struct inv_fit_relevance){.queries = NULL};
    uint32_t *place = malloc(d->documents * sizeof *place);
    if (place == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                        d->documents);
    size_t gallery = place_documents(source, place);
    size_t pairs = count_relevant(source, place);
    size_t room = pairs < RELEVANCE_MAX ? pairs : (size_t)RELEVANCE_MAX;
    r->queries = malloc((room + 1) * d->new_dim * sizeof(float));
    r->gallery = malloc((gallery + 1) * d->old_dim * sizeof(float));
    r->document = malloc((room + 1) * sizeof(uint32_t));
    enum inv_status status = INV_OK;
    if (r->queries == NULL || r->gallery == NULL || r->document == NULL) {
        status = inv_fail(err, INV_MEMORY,
                          "out of memory for %zu relevance pairs", pairs);
    } else {
        fill(r, source, place, pairs);
        r->given = (struct inv_relevance){
            r->queries, r->document, r->given.count, d->new_dim,
            r->gallery, gallery,     d->old_dim};
    }
    free(place);
    return status;
}

void inv_fit_relevance_release(struct inv_fit_relevance *relevance) {
    free(relevance->queries);
    free(relevance->gallery);
    free(relevance->document);
    *relevance = (struct inv_fit_relevance){.queries = NULL};
}
