/*
 * twin.c: see twin.h.
 */
#include "tests/support/twin.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLLECTION "/v1/collections/c"

/* ---- vectors ---- */

double twin_dot(const float *a, const float *b, int dim) {
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void normalise(float *x, int dim) {
    float norm = (float)sqrt(twin_dot(x, x, dim));
    for (int i = 0; i < dim; i++)
        x[i] /= norm;
}

static void random_unit(struct inv_stream *stream, float *x, int dim) {
    for (int i = 0; i < dim; i++)
        x[i] = inv_stream_normal(stream);
    normalise(x, dim);
}

/* new: back * old + noise. */
static void rotate(const struct twin *p, struct inv_stream *stream,
                   const float *old, float noise, float *new) {
    float other[TWIN_NEW];
    random_unit(stream, other, TWIN_NEW);
    for (int i = 0; i < TWIN_NEW; i++)
        new[i] = (float)twin_dot(p->back + i * TWIN_OLD, old, TWIN_OLD) +
                 noise *other[i];
    normalise(new, TWIN_NEW);
}

void twin_make(struct twin *p, float noise) {
    struct inv_stream stream;
    float columns[TWIN_OLD][TWIN_NEW];
    inv_stream_init(&stream, 11, "twin", 0);
    for (int i = 0; i < TWIN_OLD; i++) { /* orthonormal, Gram-Schmidt */
        random_unit(&stream, columns[i], TWIN_NEW);
        columns[i][TWIN_NEW - 1] = 0; /* kept free for twin_narrow */
        for (int j = 0; j < i; j++) {
            double dot = twin_dot(columns[i], columns[j], TWIN_NEW);
            for (int k = 0; k < TWIN_NEW; k++)
                columns[i][k] -= (float)dot * columns[j][k];
        }
        normalise(columns[i], TWIN_NEW);
    }
    for (int i = 0; i < TWIN_OLD; i++)
        for (int k = 0; k < TWIN_NEW; k++) {
            p->matrix[i * TWIN_NEW + k] = columns[i][k];
            p->back[k * TWIN_OLD + i] = columns[i][k];
        }
    for (int i = 0; i < TWIN_DOCS; i++) {
        random_unit(&stream, p->old[i], TWIN_OLD);
        rotate(p, &stream, p->old[i], noise, p->new[i]);
    }
    for (int i = 0; i < TWIN_QUERIES; i++) {
        random_unit(&stream, p->old_query[i], TWIN_OLD);
        rotate(p, &stream, p->old_query[i], noise, p->new_query[i]);
    }
}

void twin_narrow(struct twin *p, float amount) {
    for (int i = 0; i < TWIN_DOCS; i++) {
        p->new[i][TWIN_NEW - 1] += amount;
        normalise(p->new[i], TWIN_NEW);
    }
    for (int i = 0; i < TWIN_QUERIES; i++) {
        p->new_query[i][TWIN_NEW - 1] += amount;
        normalise(p->new_query[i], TWIN_NEW);
    }
}

/* ---- the collection ---- */

static void put_floats(struct inv_buf *out, const float *x, int dim) {
    for (int i = 0; i < dim; i++)
        inv_buf_printf(out, "%s%.9g", i == 0 ? "[" : ",", (double)x[i]);
    inv_buf_putc(out, ']');
}

static void put_vector(struct inv_buf *out, const struct twin *p, int i,
                       bool newer) {
    inv_buf_puts(out, "\"vector\":");
    put_floats(out, newer ? p->new[i] : p->old[i], newer ? TWIN_NEW : TWIN_OLD);
}

void twin_open(struct api *api, const char *settings) {
    api_ok(api, "PUT", COLLECTION,
           "{\"kind\":\"single\",\"dim\":%d,\"model\":{\"name\":\"m\","
           "\"revision\":\"1\"},\"payload_index\":{\"even\":\"keyword\"}%s}",
           TWIN_OLD, settings);
    api_ok(api, "PUT", COLLECTION "/models/m@2", "{\"dim\":%d}", TWIN_NEW);
}

void twin_put(struct api *api, const struct twin *p, int from, int to,
              bool newer) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = from; i < to; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"d%03d\",\"model\":\"m@%d\",",
                       i == from ? "" : ",", i, newer ? 2 : 1);
        put_vector(&body, p, i, newer);
        inv_buf_printf(&body, ",\"payload\":{\"even\":\"%s\",\"n\":%d}}",
                       i % 2 == 0 ? "yes" : "no", i);
    }
    api_ok(api, "PUT", COLLECTION "/documents", "{\"documents\":[%s]}",
           body.data);
    inv_buf_release(&body);
}

void twin_beside(struct api *api, const struct twin *p, int from, int to,
                 int step) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = from; i < to; i += step) {
        inv_buf_printf(&body, "%s{\"id\":\"d%03d\",", i == from ? "" : ",", i);
        put_vector(&body, p, i, true);
        inv_buf_putc(&body, '}');
    }
    api_ok(api, "POST", COLLECTION "/models/m@2/vectors", "{\"vectors\":[%s]}",
           body.data);
    ck_assert_int_eq(api_int(api, "/stored"), (to - from + step - 1) / step);
    inv_buf_release(&body);
}

struct picture_adapter twin_adapter(const struct twin *p, bool mapped) {
    struct picture_adapter adapter = {.name = "bridge",
                                      .from = "m@2",
                                      .to = "m@1",
                                      .rows = TWIN_OLD,
                                      .cols = TWIN_NEW,
                                      .matrix = p->matrix,
                                      .back = p->back,
                                      .normalise = true};
    if (mapped)
        adapter.scores =
            (struct inv_score_map){.count = 2, .from = {0, 1}, .to = {0, 1}};
    return adapter;
}

void twin_search(struct api *api, const struct twin *p, int q, bool newer,
                 const char *rest) {
    struct inv_buf body = INV_BUF_INIT;
    put_floats(&body, newer ? p->new_query[q] : p->old_query[q],
               newer ? TWIN_NEW : TWIN_OLD);
    api_ok(api, "POST", COLLECTION "/search",
           "{\"vector\":%s,\"model\":\"m@%d\"%s}", body.data, newer ? 2 : 1,
           rest);
    inv_buf_release(&body);
}

/* ---- replies ---- */

int twin_hit(const struct api *api, size_t i) {
    char at[48];
    snprintf(at, sizeof at, "/hits/%zu/id", i);
    return (int)strtol(api_string(api, at) + 1, NULL, 10);
}

double twin_score(const struct api *api, size_t i) {
    char at[48];
    snprintf(at, sizeof at, "/hits/%zu/score", i);
    return api_number(api, at);
}

size_t twin_hits(const struct api *api) { return api_size(api, "/hits"); }

static int best_first(const void *a, const void *b) {
    const struct twin_ranked *x = a;
    const struct twin_ranked *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

void twin_sort(struct twin_ranked *list, size_t count) {
    qsort(list, count, sizeof *list, best_first);
}

void twin_rank(const struct twin *p, int q, bool newer,
               struct twin_ranked list[TWIN_DOCS]) {
    for (int i = 0; i < TWIN_DOCS; i++)
        list[i] = (struct twin_ranked){
            i, newer ? twin_dot(p->new_query[q], p->new[i], TWIN_NEW)
                     : twin_dot(p->old_query[q], p->old[i], TWIN_OLD)};
    twin_sort(list, TWIN_DOCS);
}

void twin_same(const struct api *api, const struct twin_ranked *list,
               size_t count) {
    ck_assert_uint_eq(twin_hits(api), count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(twin_hit(api, i) == list[i].doc,
                      "hit %zu is d%03d, expected d%03d", i, twin_hit(api, i),
                      list[i].doc);
        ck_assert_double_eq_tol(twin_score(api, i), list[i].score, 2e-6);
    }
}
