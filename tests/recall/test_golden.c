/*
 * test_golden.c: exact search against results that another program stored:
 * SciFact's int8 tokens (MaxSim, weighted queries, sum) and pooled vectors
 * (cosine), the whole way over HTTP. The data are too large for the
 * repository: INVAR_DATA (../shared/data) and INVAR_GOLDEN (../shared/golden)
 * say where they are; without them the program says so and passes.
 */
#include "tests/support/api.h"

#include "base/kernels.h"
#include "base/npy.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define TOP 20
#define TIE 2e-4   /* the same score, computed elsewhere */
#define CLOSE 1e-3 /* relative */

static struct api api;
static char data[512], golden[512];

struct ids {
    char (*items)[32];
    size_t count;
};

static void place(char *out, size_t size, const char *variable,
                  const char *otherwise, const char *file) {
    const char *dir = getenv(variable);
    snprintf(out, size, "%s/%s", dir != NULL ? dir : otherwise, file);
}

static void setup(void) {
    api_init(&api);
    api.config.max_doc_tokens = INV_DOC_TOKENS_DEFAULT;
    api.config.max_query_tokens = INV_QUERY_TOKENS_DEFAULT;
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

static struct inv_npy open_npy(const char *file, enum inv_npy_dtype dtype,
                               size_t ndim) {
    char path[640];
    struct inv_npy npy = {.map = NULL};
    struct inv_err err = {0};
    snprintf(path, sizeof path, "%s/%s", data, file);
    enum inv_status status = inv_npy_open(path, &npy, &err);
    if (status == INV_OK)
        status = inv_npy_expect(&npy.view, file, dtype, ndim, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    return npy;
}

static struct ids read_ids(const char *file) {
    char path[640];
    static char text[65536];
    struct ids ids = {.items = calloc(6000, sizeof *ids.items)};
    snprintf(path, sizeof path, "%s/%s", data, file);
    gzFile lines = gzopen(path, "rb");
    ck_assert_ptr_nonnull(lines);
    while (gzgets(lines, text, sizeof text) != NULL) {
        inv_json *line = NULL;
        ck_assert_int_eq(inv_json_parse_plain(text, strlen(text), &line, NULL),
                         INV_OK);
        ck_assert_uint_lt(ids.count, 6000);
        snprintf(ids.items[ids.count++], sizeof *ids.items, "%s",
                 inv_json_string(inv_json_get(line, "_id"), NULL));
        inv_json_free(line);
    }
    gzclose(lines);
    return ids;
}

/* ---- loading, as frames ---- */

static void put_u32(struct inv_buf *out, size_t x) {
    const unsigned char bytes[] = {(unsigned char)x, (unsigned char)(x >> 8),
                                   (unsigned char)(x >> 16),
                                   (unsigned char)(x >> 24)};
    inv_buf_append(out, (const char *)bytes, 4);
}

static void begin_frame(struct inv_buf *out, const char *id, size_t rows,
                        size_t dim, enum inv_dtype dtype) {
    size_t len = strlen(id);
    inv_buf_putc(out, (char)len);
    inv_buf_putc(out, 0);
    inv_buf_append(out, id, len);
    put_u32(out, rows);
    put_u32(out, dim);
    inv_buf_putc(out, (char)dtype);
}

static void send_frames(const char *path, struct inv_buf *frames,
                        size_t count) {
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = "application/x-invar",
                                  .body = frames->data,
                                  .len = frames->len};
    ck_assert(!frames->failed);
    api_send(&api, &request);
    ck_assert_msg(api.reply.status == 200, "%s", api_body(&api));
    ck_assert_int_eq(api_int(&api, "/upserted"), (int64_t)count);
    inv_buf_reset(frames);
    inv_buf_append(frames, "INVB\x01\x00\x00\x00", 8);
}

static void load_tokens(const struct ids *ids) {
    struct inv_npy codes =
        open_npy("tokens/colbert-l6-docs.i8.npy", INV_NPY_I8, 2);
    struct inv_npy scales =
        open_npy("tokens/colbert-l6-docs.scale.f16.npy", INV_NPY_F16, 1);
    struct inv_npy offsets =
        open_npy("tokens/colbert-l6-docs.offsets.i64.npy", INV_NPY_I64, 1);
    const int64_t *at = offsets.view.data;
    size_t dim = codes.view.shape[1];
    struct inv_buf frames = INV_BUF_INIT;
    size_t held = 0;
    inv_buf_append(&frames, "INVB\x01\x00\x00\x00", 8);
    for (size_t i = 0; i < ids->count; i++) {
        size_t from = (size_t)at[i];
        size_t rows = (size_t)at[i + 1] - from;
        begin_frame(&frames, ids->items[i], rows, dim, INV_I8);
        inv_buf_append(&frames, (const char *)scales.view.data + from * 2,
                       rows * 2);
        inv_buf_append(&frames, (const char *)codes.view.data + from * dim,
                       rows * dim);
        put_u32(&frames, 0);
        if (++held == 500 || i + 1 == ids->count) {
            send_frames("/v1/collections/maxsim/documents/bulk", &frames, held);
            held = 0;
        }
    }
    inv_buf_release(&frames);
    inv_npy_close(&codes);
    inv_npy_close(&scales);
    inv_npy_close(&offsets);
}

static void load_vectors(const struct ids *ids) {
    struct inv_npy vectors =
        open_npy("vectors/minilm-l6-docs.f16.npy", INV_NPY_F16, 2);
    size_t dim = vectors.view.shape[1];
    struct inv_buf frames = INV_BUF_INIT;
    inv_buf_append(&frames, "INVB\x01\x00\x00\x00", 8);
    for (size_t i = 0; i < ids->count; i++) {
        begin_frame(&frames, ids->items[i], 1, dim, INV_F16);
        inv_buf_append(&frames, (const char *)vectors.view.data + i * dim * 2,
                       dim * 2);
        put_u32(&frames, 0);
    }
    send_frames("/v1/collections/cosine/documents/bulk", &frames, ids->count);
    inv_buf_release(&frames);
    inv_npy_close(&vectors);
}

/* ---- what is stored ---- */

struct list {
    char ids[TOP][32];
    double scores[TOP];
    size_t count;
};

/* The stored list of each query of one kind. */
static struct list *read_golden(const char *kind, const struct ids *queries) {
    struct list *lists = calloc(queries->count, sizeof *lists);
    char line[256];
    gzFile file = gzopen(golden, "rb");
    ck_assert_ptr_nonnull(file);
    while (gzgets(file, line, sizeof line) != NULL) {
        char of[16], query[32], document[32];
        int rank;
        double score;
        if (sscanf(line, "%15s %31s %d %31s %lf", of, query, &rank, document,
                   &score) != 5 ||
            strcmp(of, kind) != 0)
            continue;
        size_t q = 0;
        while (q < queries->count && strcmp(queries->items[q], query) != 0)
            q++;
        ck_assert_uint_lt(q, queries->count);
        ck_assert(rank >= 1 && rank <= TOP);
        snprintf(lists[q].ids[rank - 1], sizeof lists[q].ids[0], "%s",
                 document);
        lists[q].scores[rank - 1] = score;
        lists[q].count++;
    }
    gzclose(file);
    return lists;
}

/* Is `id` at place i right? Documents whose stored scores tie may change
 * places, also with the first one that is not in the list. */
static bool may_stand(const struct list *list, size_t i, const char *id) {
    for (size_t j = 0; j < TOP; j++)
        if (strcmp(list->ids[j], id) == 0)
            return fabs(list->scores[j] - list->scores[i]) <= TIE;
    return fabs(list->scores[i] - list->scores[TOP - 1]) <= TIE;
}

static void check_query(const char *collection, const struct list *list,
                        const float *query, size_t floats) {
    char path[96];
    snprintf(path, sizeof path, "/v1/collections/%s/search?exact=true&limit=%d",
             collection, TOP);
    struct api_request request = {.method = "POST",
                                  .path = path,
                                  .type = "application/octet-stream",
                                  .body = query,
                                  .len = floats * sizeof *query};
    api_send(&api, &request);
    ck_assert_msg(api.reply.status == 200, "%s", api_body(&api));
    ck_assert_uint_eq(api_size(&api, "/hits"), TOP);
    ck_assert_uint_eq(list->count, TOP);
    for (size_t i = 0; i < TOP; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        const char *id = api_string(&api, at);
        ck_assert_msg(may_stand(list, i, id), "place %zu: %s, stored %s", i, id,
                      list->ids[i]);
        snprintf(at, sizeof at, "/hits/%zu/score", i);
        double score = api_number(&api, at);
        ck_assert_msg(
            fabs(score - list->scores[i]) <= CLOSE * fabs(list->scores[i]),
            "place %zu: %.6f, stored %.6f", i, score, list->scores[i]);
    }
}

START_TEST(exact_maxsim_gives_the_stored_ids_and_scores) {
    struct ids documents = read_ids("corpus.jsonl.gz");
    struct ids queries = read_ids("queries.jsonl.gz");
    struct list *lists = read_golden("maxsim", &queries);
    api_ok(&api, "PUT", "/v1/collections/maxsim",
           "{\"kind\":\"multi\",\"dim\":96,\"tokens\":{\"dtype\":\"i8\"},"
           "\"encoder\":{\"type\":\"muvera\",\"R\":1,\"k\":1,\"m\":8}}");
    load_tokens(&documents);
    struct inv_npy tokens =
        open_npy("tokens/colbert-l6-queries.f16.npy", INV_NPY_F16, 2);
    struct inv_npy offsets =
        open_npy("tokens/colbert-l6-queries.offsets.i64.npy", INV_NPY_I64, 1);
    const int64_t *at = offsets.view.data;
    size_t dim = tokens.view.shape[1];
    size_t checked = 0;
    for (size_t q = 0; q < queries.count; q += 7) { /* all take a minute */
        size_t floats = (size_t)(at[q + 1] - at[q]) * dim;
        float *query = malloc(floats * sizeof *query);
        inv_f32_from_f16((const uint16_t *)tokens.view.data +
                             (size_t)at[q] * dim,
                         query, floats);
        check_query("maxsim", &lists[q], query, floats);
        free(query);
        checked++;
    }
    printf("maxsim: %zu queries as stored\n", checked);
    inv_npy_close(&tokens);
    inv_npy_close(&offsets);
    free(lists);
    free(documents.items);
    free(queries.items);
}
END_TEST

START_TEST(exact_cosine_gives_the_stored_ids_and_scores) {
    struct ids documents = read_ids("corpus.jsonl.gz");
    struct ids queries = read_ids("queries.jsonl.gz");
    struct list *lists = read_golden("cosine", &queries);
    api_ok(&api, "PUT", "/v1/collections/cosine",
           "{\"kind\":\"single\",\"dim\":384}");
    load_vectors(&documents);
    struct inv_npy vectors =
        open_npy("vectors/minilm-l6-queries.f16.npy", INV_NPY_F16, 2);
    float query[384];
    ck_assert_uint_eq(vectors.view.shape[1], 384);
    for (size_t q = 0; q < queries.count; q++) {
        inv_f32_from_f16((const uint16_t *)vectors.view.data + q * 384, query,
                         384);
        check_query("cosine", &lists[q], query, 384);
    }
    printf("cosine: %zu queries as stored\n", queries.count);
    inv_npy_close(&vectors);
    free(lists);
    free(documents.items);
    free(queries.items);
}
END_TEST

int main(void) {
    char tokens[640];
    place(data, sizeof data, "INVAR_DATA", "../shared/data", "scifact");
    place(golden, sizeof golden, "INVAR_GOLDEN", "../shared/golden",
          "scifact-top20.tsv.gz");
    snprintf(tokens, sizeof tokens, "%s/tokens/colbert-l6-docs.i8.npy", data);
    const TTest *const tests[] = {
        exact_cosine_gives_the_stored_ids_and_scores,
        exact_maxsim_gives_the_stored_ids_and_scores,
    };
    if (access(golden, R_OK) == 0 && access(tokens, R_OK) == 0)
        return api_run_tests("stored results", tests, 2, setup, teardown);
    printf("not compared: %s or %s is not there (INVAR_DATA, INVAR_GOLDEN)\n",
           golden, tokens);
    printf("0 passed, 0 failed\n"); /* for tests/run.sh */
    return EXIT_SUCCESS;
}
