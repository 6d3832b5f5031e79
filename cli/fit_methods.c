/*
 * fit_methods.c: from a method's name to a fitted map; see fit.h. Knows neither
 * files nor judgements. Main thread.
 */
#include "cli/fit.h"
#include "encoders/adapters/pairs.h"
#include "encoders/adapters/paper.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static enum inv_status parse_one(const char *text, size_t len,
                                 struct inv_fit_method *method,
                                 struct inv_err *err) {
    static const enum inv_adapter_kind kinds[] = {
        INV_ADAPTER_PROCRUSTES, INV_ADAPTER_RIDGE, INV_ADAPTER_PATH,
        INV_ADAPTER_CONTRASTIVE, INV_ADAPTER_PAPER};
    *method = (struct inv_fit_method){.knob = -1};
    if (len == 0 || len >= sizeof method->name)
        return inv_fail(err, INV_INVALID,
                        "a method has a name of 1 to %zu letters, not %zu",
                        sizeof method->name - 1, len);
    memcpy(method->name, text, len);
    size_t word = strcspn(method->name, ":");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = inv_adapter_kind_name(kinds[i]);
        if (strlen(name) != word || memcmp(name, method->name, word) != 0)
            continue;
        method->kind = kinds[i];
        char *end = NULL;
        const char *number = method->name + word + 1;
        if (method->name[word] == '\0' && kinds[i] != INV_ADAPTER_PATH)
            return INV_OK;
        if (method->name[word] == ':' && kinds[i] != INV_ADAPTER_PROCRUSTES)
            method->knob = strtod(number, &end);
        if (end != NULL && end != number && *end == '\0' && method->knob >= 0 &&
            method->knob <= 10)
            return INV_OK;
        return inv_fail(err, INV_INVALID,
                        "\"%s\": path:KAPPA, ridge[:RHO], "
                        "contrastive[:TEMPERATURE], paper[:KAPPA] with a "
                        "number from 0 to 10, procrustes without",
                        method->name);
    }
    return inv_fail(err, INV_INVALID,
                    "unknown method \"%s\": procrustes, ridge, path:KAPPA, "
                    "contrastive, paper",
                    method->name);
}

enum inv_status inv_fit_methods_parse(const char *text,
                                      struct inv_fit_method *methods,
                                      size_t *count, struct inv_err *err) {
    *count = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (*count == INV_FIT_METHODS_MAX)
            return inv_fail(err, INV_INVALID, "more than %d methods",
                            INV_FIT_METHODS_MAX);
        enum inv_status status = parse_one(text, len, &methods[*count], err);
        if (status != INV_OK)
            return status;
        ++*count;
        if (text[len] == '\0')
            return INV_OK;
        text += len + 1;
    }
}

/* ---- vector pairs ---- */

struct rows {
    float *x, *y;
    size_t count;
};

static void rows_release(struct rows *rows) {
    free(rows->x);
    free(rows->y);
}

/* All vector pairs that take part, documents first. */
static enum inv_status gather(const struct inv_fit_data *d,
                              const bool *excluded, struct rows *rows,
                              struct inv_err *err) {
    size_t dx = d->new_documents.dim;
    size_t dy = d->old_documents.dim;
    size_t most = d->pair_count + d->extra_new.rows;
    *rows = (struct rows){malloc((most * dx + 1) * sizeof(float)),
                          malloc((most * dy + 1) * sizeof(float)), 0};
    if (rows->x == NULL || rows->y == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu pairs", most);
    for (size_t i = 0; i < most; i++) {
        bool extra = i >= d->pair_count;
        size_t at = extra ? i - d->pair_count : d->pair_rows[i];
        if (!extra && excluded != NULL && excluded[at])
            continue;
        const struct inv_matrix *x = extra ? &d->extra_new : &d->new_documents;
        const struct inv_matrix *y = extra ? &d->extra_old : &d->old_documents;
        memcpy(rows->x + rows->count * dx, x->data + at * dx,
               dx * sizeof *rows->x);
        memcpy(rows->y + rows->count * dy, y->data + at * dy,
               dy * sizeof *rows->y);
        rows->count++;
    }
    return INV_OK;
}

static enum inv_status moments_of(const struct inv_fit_data *d,
                                  const struct rows *rows, size_t from,
                                  size_t to, struct inv_moments *moments,
                                  struct inv_err *err) {
    struct inv_pairs pairs = {.count = 0};
    size_t dx = d->new_documents.dim;
    size_t dy = d->old_documents.dim;
    *moments = (struct inv_moments){.count = 0};
    enum inv_status status = inv_pairs_init(&pairs, dx, dy, err);
    if (status == INV_OK)
        status = inv_pairs_add(&pairs, rows->x + from * dx, rows->y + from * dy,
                               to - from, err);
    if (status == INV_OK)
        status = inv_pairs_moments(&pairs, true, false, moments, err);
    inv_pairs_release(&pairs);
    return status;
}

/* rho by every tenth pair, then the fit on all. The pairs are in the order of
 * the documents, so the last tenth would be one kind of them. */
static enum inv_status fit_ridge(const struct inv_fit_data *d,
                                 struct rows *rows, double rho,
                                 const struct inv_moments *all,
                                 struct inv_map *map, struct inv_err *err) {
    if (rho > 0)
        return inv_fit_ridge(all, rho, map, err);
    struct inv_moments moments;
    size_t dx = d->new_documents.dim;
    size_t dy = d->old_documents.dim;
    size_t held = rows->count / 10;
    if (held == 0)
        return inv_fit_ridge(all, .01, map, err);
    for (size_t i = 0; i < held; i++) /* every tenth to the front */
        for (size_t j = 0; j < dx + dy; j++) {
            float *side = j < dx ? rows->x + j : rows->y + (j - dx);
            size_t step = j < dx ? dx : dy;
            float keep = side[i * step];
            side[i * step] = side[i * 10 * step];
            side[i * 10 * step] = keep;
        }
    enum inv_status status =
        moments_of(d, rows, held, rows->count, &moments, err);
    if (status == INV_OK)
        status =
            inv_fit_ridge_held_out(&moments, rows->x, rows->y, held, map, err);
    inv_moments_release(&moments);
    if (status != INV_OK)
        return status;
    rho = map->knob;
    inv_map_release(map);
    return inv_fit_ridge(all, rho, map, err);
}

/* ---- relevance pairs ---- */

struct relevance {
    struct inv_relevance given;
    float *queries, *gallery;
    uint32_t *document;
};

/* Titles and their documents without the excluded ones. */
static enum inv_status gather_titles(const struct inv_fit_data *d,
                                     const bool *excluded, struct relevance *r,
                                     struct inv_err *err) {
    size_t dx = d->titles.dim;
    size_t dy = d->old_documents.dim;
    size_t n = d->titles.rows;
    size_t kept = 0;
    *r = (struct relevance){.queries = malloc((n * dx + 1) * sizeof(float)),
                            .gallery = malloc((n * dy + 1) * sizeof(float)),
                            .document = malloc((n + 1) * sizeof(uint32_t))};
    if (r->queries == NULL || r->gallery == NULL || r->document == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu titles", n);
    for (size_t i = 0; i < n; i++) {
        if (excluded != NULL && excluded[i])
            continue;
        memcpy(r->queries + kept * dx, d->titles.data + i * dx,
               dx * sizeof *r->queries);
        memcpy(r->gallery + kept * dy, d->old_documents.data + i * dy,
               dy * sizeof *r->gallery);
        r->document[kept] = (uint32_t)kept;
        kept++;
    }
    r->given = (struct inv_relevance){r->queries, r->document, kept, dx,
                                      r->gallery, kept,        dy};
    return INV_OK;
}

static enum inv_status
fit_contrastive(const struct inv_fit_data *d,
                const struct inv_fit_method *method,
                const struct inv_fit_options *options, const bool *excluded,
                const struct inv_map *start, struct inv_map *map,
                struct inv_contrastive_choice *choice, struct inv_err *err) {
    struct relevance relevance = {.queries = NULL};
    struct inv_contrastive how = inv_contrastive_defaults();
    if (d->titles.rows == 0)
        return inv_fail(err, INV_INVALID,
                        "contrastive learns from relevance pairs: --titles "
                        "FILE gives them");
    how.temperature = method->knob > 0 ? method->knob : 0;
    how.kappa = options->kappa;
    how.steps = options->steps;
    how.seed = options->seed;
    enum inv_status status = gather_titles(d, excluded, &relevance, err);
    if (status == INV_OK)
        status = inv_fit_contrastive(start, &relevance.given, &how, map, choice,
                                     err);
    free(relevance.queries);
    free(relevance.gallery);
    free(relevance.document);
    return status;
}

/* ---- the fit ---- */

static enum inv_status
fit_iterative(const struct inv_fit_data *d, const struct inv_fit_method *method,
              const struct inv_fit_options *options, const bool *excluded,
              const struct rows *rows, const struct inv_moments *moments,
              struct inv_map *map, struct inv_contrastive_choice *choice,
              struct inv_err *err) {
    struct inv_map start;
    enum inv_status status = inv_fit_procrustes(moments, &start, err);
    if (status != INV_OK)
        return status;
    if (method->kind == INV_ADAPTER_CONTRASTIVE) {
        status = fit_contrastive(d, method, options, excluded, &start, map,
                                 choice, err);
    } else {
        struct inv_paper how = inv_paper_defaults();
        how.kappa = method->knob >= 0 ? method->knob : how.kappa;
        how.seed = options->seed;
        status = inv_fit_paper(&start, rows->x, rows->y, NULL, rows->count,
                               &how, map, NULL, err);
    }
    inv_map_release(&start);
    return status;
}

enum inv_status inv_fit_run(const struct inv_fit_data *data,
                            const struct inv_fit_method *method,
                            const struct inv_fit_options *options,
                            const bool *excluded, struct inv_map *map,
                            struct inv_contrastive_choice *choice,
                            struct inv_err *err) {
    struct rows rows = {NULL, NULL, 0};
    struct inv_moments moments = {.count = 0};
    const bool *no_pairs = options->keep_vectors ? NULL : excluded;
    *map = (struct inv_map){.rows = 0};
    *choice = (struct inv_contrastive_choice){.steps = 0};
    enum inv_status status = gather(data, no_pairs, &rows, err);
    if (status == INV_OK)
        status = moments_of(data, &rows, 0, rows.count, &moments, err);
    if (status != INV_OK)
        goto done;
    switch (method->kind) {
    case INV_ADAPTER_RIDGE:
        status = fit_ridge(data, &rows, method->knob, &moments, map, err);
        break;
    case INV_ADAPTER_PATH:
        status = inv_fit_path(&moments, method->knob, map, err);
        break;
    case INV_ADAPTER_CONTRASTIVE:
    case INV_ADAPTER_PAPER:
        status = fit_iterative(data, method, options, excluded, &rows, &moments,
                               map, choice, err);
        break;
    default:
        status = inv_fit_procrustes(&moments, map, err);
    }
done:
    inv_moments_release(&moments);
    rows_release(&rows);
    return status;
}
