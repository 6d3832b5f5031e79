/*
 * simplex_judge.c: do vectors find those of their class? See simplex_fit.h.
 */
#include "encoders/adapters/simplex_fit.h"

#include "base/kernels.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
    float score;
    uint32_t row;
};

/* Best first, equal scores by the smaller row. */
static int by_score(const void *a, const void *b) {
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static bool takes_part(const struct inv_labelled *set, size_t i) {
    return set->labels[i] != INV_FIT_NO_LABEL &&
           set->use[i] != INV_FIT_USE_FIT_ONLY;
}

/* Rows that take part, at most so many, evenly spread. */
static size_t choose(const struct inv_labelled *set, size_t most,
                     uint32_t *out) {
    size_t all = 0, seen = 0, count = 0;
    for (size_t i = 0; i < set->count; i++)
        all += takes_part(set, i);
    for (size_t i = 0; i < set->count; i++) {
        if (!takes_part(set, i))
            continue;
        if (all <= most || seen * most / all >= count)
            out[count++] = (uint32_t)i;
        seen++;
    }
    return count;
}

/* The gallery's rows side by side, and room for one query's list. */
struct field {
    const struct inv_labelled *set;
    uint32_t *chosen;
    size_t count;
    float *rows, *scores;
    struct candidate *list;
};

static void field_release(struct field *field) {
    free(field->chosen);
    free(field->rows);
    free(field->scores);
    free(field->list);
}

static enum inv_status field_init(struct field *field,
                                  const struct inv_labelled *set,
                                  struct inv_err *err) {
    *field = (struct field){.set = set};
    field->chosen = malloc((set->count + 1) * sizeof *field->chosen);
    if (field->chosen != NULL)
        field->count = choose(set, INV_SIMPLEX_GALLERY_MAX, field->chosen);
    size_t count = field->count + 1;
    field->rows = malloc(count * set->dim * sizeof *field->rows);
    field->scores = malloc(count * sizeof *field->scores);
    field->list = malloc(count * sizeof *field->list);
    if (field->chosen == NULL || field->rows == NULL || field->scores == NULL ||
        field->list == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                        set->count);
    for (size_t i = 0; i < field->count; i++)
        memcpy(field->rows + i * set->dim,
               set->rows + field->chosen[i] * set->dim,
               set->dim * sizeof *field->rows);
    return INV_OK;
}

/* One query among all but itself. */
static void judge_one(struct field *field, const struct inv_labelled *queries,
                      size_t q, double *hit, double *precision) {
    const struct inv_labelled *set = field->set;
    size_t count = 0, right = 0;
    double sum = 0;
    inv_dot_rows_f32(queries->rows + q * set->dim, field->rows, set->dim,
                     field->count, set->dim, field->scores);
    for (size_t i = 0; i < field->count; i++)
        if (set->items[field->chosen[i]] != queries->items[q])
            field->list[count++] =
                (struct candidate){field->scores[i], field->chosen[i]};
    qsort(field->list, count, sizeof *field->list, by_score);
    for (size_t k = 0; k < count; k++)
        if (set->labels[field->list[k].row] == queries->labels[q])
            sum += (double)++right / (double)(k + 1);
    if (right == 0)
        return; /* nothing answers it */
    *hit = set->labels[field->list[0].row] == queries->labels[q];
    if (precision != NULL)
        *precision = sum / (double)right;
}

enum inv_status inv_judge_labels(const struct inv_labelled *queries,
                                 const struct inv_labelled *gallery,
                                 double *hit, double *precision,
                                 struct inv_err *err) {
    struct field field;
    uint32_t *chosen = malloc((queries->count + 1) * sizeof *chosen);
    enum inv_status status = field_init(&field, gallery, err);
    if (status == INV_OK && chosen == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          queries->count);
    for (size_t i = 0; status == INV_OK && i < queries->count; i++)
        hit[i] = -1;
    size_t count =
        status == INV_OK ? choose(queries, INV_SIMPLEX_QUERIES_MAX, chosen) : 0;
    for (size_t i = 0; i < count; i++)
        judge_one(&field, queries, chosen[i], &hit[chosen[i]],
                  precision == NULL ? NULL : &precision[chosen[i]]);
    field_release(&field);
    free(chosen);
    return status;
}
