/*
 * planted.c: see planted.h.
 */
#include "tests/support/planted.h"

#include "base/kernels.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SEED 11

static void draw(const char *purpose, size_t i, float *out) {
    struct inv_stream stream;
    inv_stream_init(&stream, SEED, purpose, i);
    for (size_t j = 0; j < PLANTED_DIM; j++)
        out[j] = inv_stream_normal(&stream);
}

/* Plane rotations of each pair of neighbours, by angles that differ. */
static void rotate(float *x) {
    for (size_t round = 0; round < 3; round++)
        for (size_t j = 0; j < PLANTED_DIM; j++) {
            size_t k = (j + 1 + round) % PLANTED_DIM;
            double angle = .4 + .3 * (double)j + (double)round;
            double a = (double)x[j] * cos(angle) - (double)x[k] * sin(angle);
            double b = (double)x[j] * sin(angle) + (double)x[k] * cos(angle);
            x[j] = (float)a;
            x[k] = (float)b;
        }
}

static void finish(size_t i, enum planted_kind kind, const char *unrelated,
                   float *x) {
    inv_normalize_f32(x, PLANTED_DIM);
    if (kind == PLANTED_ROTATED)
        rotate(x);
    if (kind == PLANTED_UNRELATED)
        draw(unrelated, i, x);
    inv_normalize_f32(x, PLANTED_DIM);
}

void planted_document(size_t i, enum planted_kind kind, float noise,
                      float out[PLANTED_DIM]) {
    float more[PLANTED_DIM];
    draw("planted.document", i, out);
    finish(i, kind, "planted.unrelated", out);
    draw("planted.noise", i, more);
    inv_axpy_f32(noise, more, out, PLANTED_DIM);
    inv_normalize_f32(out, PLANTED_DIM);
}

void planted_question(size_t i, enum planted_kind kind,
                      float out[PLANTED_DIM]) {
    float more[PLANTED_DIM];
    draw("planted.document", i, out);
    draw("planted.question", i, more);
    inv_axpy_f32(.3f, more, out, PLANTED_DIM);
    finish(i, kind, "planted.unrelated.question", out);
}

static void put_vector(struct inv_buf *out, const float *x) {
    inv_buf_puts(out, "\"vector\":[");
    for (size_t j = 0; j < PLANTED_DIM; j++) {
        inv_buf_puts(out, j == 0 ? "" : ",");
        inv_json_put_float(out, x[j]);
    }
    inv_buf_putc(out, ']');
}

static void send(struct api *api, const char *method, const char *path,
                 struct inv_buf *body) {
    struct api_request request = {
        .method = method, .path = path, .body = body->data, .len = body->len};
    ck_assert(!body->failed);
    int status = api_send(api, &request);
    ck_assert_msg(status / 100 == 2, "%s %s: %d %.1000s", method, path, status,
                  api_body(api));
    inv_buf_release(body);
}

static void put_document(struct inv_buf *out, size_t i) {
    float x[PLANTED_DIM];
    planted_document(i, PLANTED_OLD, 0, x);
    inv_buf_printf(out,
                   "{\"id\":\"d%zu\",\"model\":\"m@1\",\"payload\":"
                   "{\"topic\":\"t%zu\"},",
                   i, i % 4);
    put_vector(out, x);
    inv_buf_putc(out, '}');
}

void planted_put(struct api *api, size_t i) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"documents\":[");
    put_document(&body, i);
    inv_buf_puts(&body, "]}");
    send(api, "PUT", PLANTED "/documents", &body);
}

void planted_make(struct api *api, const char *settings) {
    struct inv_buf body = INV_BUF_INIT;
    api_ok(api, "PUT", PLANTED,
           "{\"kind\":\"single\",\"dim\":%d,\"metric\":\"cosine\","
           "\"model\":{\"name\":\"m\",\"revision\":\"1\"}%s}",
           PLANTED_DIM, settings);
    inv_buf_puts(&body, "{\"documents\":[");
    for (size_t i = 0; i < PLANTED_ALL; i++) {
        inv_buf_puts(&body, i == 0 ? "" : ",");
        put_document(&body, i);
    }
    inv_buf_puts(&body, "]}");
    send(api, "PUT", PLANTED "/documents", &body);
    api_ok(api, "PUT", PLANTED "/models/m@2", "{\"dim\":%d}", PLANTED_DIM);
}

void planted_vectors(struct api *api, const char *model, size_t from, size_t to,
                     enum planted_kind kind, float noise) {
    struct inv_buf body = INV_BUF_INIT;
    float x[PLANTED_DIM];
    char path[128];
    snprintf(path, sizeof path, PLANTED "/models/%s/vectors", model);
    inv_buf_puts(&body, "{\"vectors\":[");
    for (size_t i = from; i < to; i++) {
        planted_document(i, kind, noise, x);
        inv_buf_printf(&body, "%s{\"id\":\"d%zu\",", i == from ? "" : ",", i);
        put_vector(&body, x);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    send(api, "POST", path, &body);
}

void planted_queries(struct api *api, size_t from, size_t to,
                     enum planted_kind kind, bool with_old,
                     bool with_relevant) {
    struct inv_buf body = INV_BUF_INIT;
    float x[PLANTED_DIM];
    inv_buf_puts(&body, "{\"queries\":[");
    for (size_t i = from; i < to; i++) {
        planted_question(i, kind, x);
        inv_buf_printf(&body, "%s{\"id\":\"q%zu\",", i == from ? "" : ",", i);
        put_vector(&body, x);
        if (with_old) {
            planted_question(i, PLANTED_OLD, x);
            inv_buf_puts(&body, ",\"old\":{\"model\":\"m@1\",");
            put_vector(&body, x);
            inv_buf_putc(&body, '}');
        }
        if (with_relevant)
            inv_buf_printf(&body, ",\"relevant\":[\"d%zu\",\"gone\"]", i);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    send(api, "POST", PLANTED "/models/m@2/queries", &body);
}

/* ---- tokens ---- */

static void put_tokens(struct inv_buf *out, size_t i, enum planted_kind kind,
                       size_t first, size_t rows) {
    float x[PLANTED_DIM];
    inv_buf_puts(out, "\"vectors\":[");
    for (size_t r = first; r < first + rows; r++) {
        planted_document(3 * i + r, kind, 0, x);
        inv_buf_puts(out, r == first ? "[" : ",[");
        for (size_t j = 0; j < PLANTED_DIM; j++) {
            inv_buf_puts(out, j == 0 ? "" : ",");
            inv_json_put_float(out, x[j]);
        }
        inv_buf_putc(out, ']');
    }
    inv_buf_putc(out, ']');
}

void planted_make_tokens(struct api *api) {
    struct inv_buf body = INV_BUF_INIT;
    api_ok(api, "PUT", PLANTED_TOKENS,
           "{\"kind\":\"multi\",\"dim\":%d,\"model\":{\"name\":\"t\","
           "\"revision\":\"1\"},\"encoder\":{\"type\":\"muvera\",\"R\":4,"
           "\"k\":2,\"m\":8}}",
           PLANTED_DIM);
    inv_buf_puts(&body, "{\"documents\":[");
    for (size_t i = 0; i < PLANTED_TOKEN_DOCUMENTS; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"d%zu\",", i == 0 ? "" : ",", i);
        put_tokens(&body, i, PLANTED_OLD, 0, 3);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    send(api, "PUT", PLANTED_TOKENS "/documents", &body);
    api_ok(api, "PUT", PLANTED_TOKENS "/models/t@2", "{\"dim\":%d}",
           PLANTED_DIM);
}

void planted_token_vectors(struct api *api, size_t from, size_t to,
                           size_t rows) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"vectors\":[");
    for (size_t i = from; i < to; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"d%zu\",", i == from ? "" : ",", i);
        put_tokens(&body, i, PLANTED_ROTATED, 0, rows);
        inv_buf_putc(&body, '}');
    }
    inv_buf_puts(&body, "]}");
    send(api, "POST", PLANTED_TOKENS "/models/t@2/vectors", &body);
}

void planted_token_queries(struct api *api, size_t count) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"queries\":[");
    for (size_t i = 0; i < count; i++) {
        inv_buf_printf(&body, "%s{\"id\":\"q%zu\",", i == 0 ? "" : ",", i);
        put_tokens(&body, i, PLANTED_ROTATED, 1, 2);
        inv_buf_puts(&body, ",\"old\":{\"model\":\"t@1\",");
        put_tokens(&body, i, PLANTED_OLD, 1, 2);
        inv_buf_printf(&body, "},\"relevant\":[\"d%zu\"]}", i);
    }
    inv_buf_puts(&body, "]}");
    send(api, "POST", PLANTED_TOKENS "/models/t@2/queries", &body);
}

/* ---- fits ---- */

const char *planted_fit(struct api *api, const char *collection,
                        const char *body) {
    char path[128];
    snprintf(path, sizeof path, "/v1/collections/%s/adapters", collection);
    api_ok(api, "POST", path, "%s", body);
    ck_assert_int_eq(api->reply.status, 202);
    ck_assert_str_eq(api_string(api, "/kind"), "fit");
    return api_wait_job(api);
}
