/*
 * test_recall.c: how much of the exact result the approximate pipelines find
 * on real text: a part of SciFact (demo/scifact) in the vectors of the static
 * model that ships (demo/models), the whole way over HTTP. Thresholds stand
 * some hundredths below what was measured, so that only a real loss fails.
 */
#include "tests/support/api.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DOCUMENTS 1200
#define QUERIES 40
#define LIMIT 10

static struct api api;

static void setup(void) {
    api_init(&api);
    api.config.models_dir = "demo/models";
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

/* ---- SciFact ---- */

static char *text_of(const inv_json *line, bool title) {
    char *text = NULL;
    const inv_json *value = inv_json_get(line, "title");
    int n = asprintf(&text, "%s%s%s", title ? inv_json_string(value, NULL) : "",
                     title ? " " : "",
                     inv_json_string(inv_json_get(line, "text"), NULL));
    ck_assert_int_gt(n, 0);
    return text;
}

/* The next line of a .jsonl.gz as JSON; false at the end. */
static bool next_line(gzFile file, inv_json **out) {
    static char line[65536];
    if (gzgets(file, line, sizeof line) == NULL)
        return false;
    ck_assert_int_eq(inv_json_parse_plain(line, strlen(line), out, NULL),
                     INV_OK);
    return true;
}

static void load(const char *collection, const char *settings) {
    char path[96];
    struct inv_buf body = INV_BUF_INIT;
    snprintf(path, sizeof path, "/v1/collections/%s", collection);
    api_ok(&api, "PUT", path,
           "{\"dim\":96,\"model\":{\"name\":\"static\",\"revision\":\"2\"},%s}",
           settings);
    gzFile file = gzopen("demo/scifact/corpus.jsonl.gz", "rb");
    ck_assert_ptr_nonnull(file);
    inv_json *line = NULL;
    for (int i = 0; i < DOCUMENTS && next_line(file, &line); i++) {
        char *text = text_of(line, true);
        const char *id = inv_json_string(inv_json_get(line, "_id"), NULL);
        inv_buf_printf(&body, "%s{\"id\":\"%s\",\"text\":", i == 0 ? "" : ",",
                       id);
        inv_json_put_string(&body, text, strlen(text));
        inv_buf_putc(&body, '}');
        inv_json_free(line);
        free(text);
    }
    gzclose(file);
    snprintf(path, sizeof path, "/v1/collections/%s/documents", collection);
    api_ok(&api, "PUT", path, "{\"documents\":[%s]}", body.data);
    ck_assert_int_eq(api_int(&api, "/upserted"), DOCUMENTS);
    inv_buf_release(&body);
}

/* ---- comparing ---- */

struct result {
    size_t count;
    char ids[LIMIT][32];
    double scores[LIMIT];
};

static void search(const char *collection, const char *text, const char *params,
                   struct result *out) {
    char path[96];
    struct inv_buf quoted = INV_BUF_INIT;
    inv_json_put_string(&quoted, text, strlen(text));
    snprintf(path, sizeof path, "/v1/collections/%s/search", collection);
    api_ok(&api, "POST", path, "{\"text\":%s,\"limit\":%d,\"params\":{%s}}",
           quoted.data, LIMIT, params);
    out->count = api_size(&api, "/hits");
    ck_assert_uint_eq(out->count, LIMIT);
    for (size_t i = 0; i < out->count; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        snprintf(out->ids[i], sizeof out->ids[i], "%s", api_string(&api, at));
        snprintf(at, sizeof at, "/hits/%zu/score", i);
        out->scores[i] = api_number(&api, at);
    }
    inv_buf_release(&quoted);
}

static size_t common(const struct result *a, const struct result *b) {
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            n += strcmp(a->ids[i], b->ids[j]) == 0;
    return n;
}

typedef void compare_fn(const struct result *a, const struct result *b);

/* recall@10 of (b, params) against the exact result of a, and what `compare`
 * asserts about each pair. */
static double recall(const char *a, const char *b, const char *params,
                     compare_fn *compare) {
    gzFile file = gzopen("demo/scifact/queries.jsonl.gz", "rb");
    ck_assert_ptr_nonnull(file);
    inv_json *line = NULL;
    size_t found = 0;
    size_t wanted = 0;
    for (int i = 0; i < QUERIES && next_line(file, &line); i++) {
        struct result exact, other;
        char *text = text_of(line, false);
        search(a, text, "\"exact\":true", &exact);
        search(b, text, params, &other);
        found += common(&exact, &other);
        wanted += exact.count;
        if (compare != NULL)
            compare(&exact, &other);
        free(text);
        inv_json_free(line);
    }
    gzclose(file);
    double share = (double)found / (double)wanted;
    printf("%-14s {%s}: recall@%d %.4f\n", b, params, LIMIT, share);
    return share;
}

/* ---- tests ---- */

START_TEST(a_graph_over_single_vectors_finds_the_exact_ones) {
    load("single", "\"kind\":\"single\"");
    api_rebuild(&api, "single", "{\"index\":{\"type\":\"hnsw\"}}");
    ck_assert(recall("single", "single", "", NULL) >= .98);
    api_rebuild(&api, "single",
                "{\"index\":{\"type\":\"ivf_pq\",\"pq_bits\":4}}");
    ck_assert(recall("single", "single", "", NULL) >= .95);
}
END_TEST

START_TEST(a_funnel_from_24_dimensions_finds_the_exact_ones) {
    static const char funnel[] = "\"dims\":[24,48,96],\"keep\":[400,150]";
    load("prefix", "\"kind\":\"single\",\"encoder\":{\"type\":\"matryoshka\","
                   "\"dims\":[24,48,96],\"index_dims\":24}");
    ck_assert(recall("prefix", "prefix", funnel, NULL) >= .97);
    api_rebuild(&api, "prefix", "{\"index\":{\"type\":\"hnsw\"}}");
    ck_assert(recall("prefix", "prefix", funnel, NULL) >= .97);
}
END_TEST

static void same_scores(const struct result *a, const struct result *b) {
    for (size_t i = 0; i < LIMIT; i++)
        ck_assert_msg(fabs(a->scores[i] - b->scores[i]) < 1e-5,
                      "place %zu: %.7f and %.7f", i, a->scores[i],
                      b->scores[i]);
}

START_TEST(a_learned_rotation_keeps_exact_results_and_betters_prefixes) {
    load("plain", "\"kind\":\"single\",\"encoder\":{\"type\":\"matryoshka\","
                  "\"dims\":[24,48,96],\"index_dims\":24}");
    load("rotated", "\"kind\":\"single\",\"encoder\":{\"type\":\"matryoshka\","
                    "\"dims\":[24,48,96],\"index_dims\":24,"
                    "\"rotate\":\"pca\"}");
    api_rebuild(&api, "rotated", "{\"relearn\":true}");
    api_ok(&api, "GET", "/v1/collections/rotated", NULL);
    ck_assert_int_ge(api_int(&api, "/encoder_state"), 1);
    ck_assert(recall("plain", "rotated", "\"exact\":true", same_scores) == 1);
    /* all of the rotated dims are the same space again */
    ck_assert(recall("plain", "rotated",
                     "\"dims\":[24,96],\"keep\":[1200],\"candidates\":1200",
                     same_scores) == 1);
    ck_assert(recall("plain", "rotated",
                     "\"dims\":[24,48,96],"
                     "\"keep\":[400,150]",
                     NULL) >= .97);
}
END_TEST

/* Static tokens are hard candidates: half of the documents are looked at. */
static const char half[] = "\"candidates\":600,\"rescore\":600,"
                           "\"rerank\":600";

START_TEST(muvera_finds_what_exact_maxsim_finds) {
    load("muvera", "\"kind\":\"multi\",\"encoder\":{\"type\":\"muvera\","
                   "\"variant\":\"muvera\",\"R\":20,\"k\":4,\"m\":8}");
    api_rebuild(&api, "muvera", NULL);
    ck_assert(recall("muvera", "muvera", half, NULL) >= .97);
    ck_assert(recall("muvera", "muvera", "", NULL) >= .80);
}
END_TEST

START_TEST(muvera_plus_finds_what_exact_maxsim_finds) {
    load("plus", "\"kind\":\"multi\",\"encoder\":{\"type\":\"muvera\","
                 "\"variant\":\"muvera+\",\"R\":20,\"k\":4,\"m\":8}");
    api_rebuild(&api, "plus", NULL);
    ck_assert(recall("plus", "plus", half, NULL) >= .97);
    ck_assert(recall("plus", "plus", "", NULL) >= .80);
    api_rebuild(&api, "plus", "{\"index\":{\"type\":\"hnsw_sq8\"}}");
    ck_assert(recall("plus", "plus", half, NULL) >= .97);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_graph_over_single_vectors_finds_the_exact_ones,
        a_funnel_from_24_dimensions_finds_the_exact_ones,
        a_learned_rotation_keeps_exact_results_and_betters_prefixes,
        muvera_finds_what_exact_maxsim_finds,
        muvera_plus_finds_what_exact_maxsim_finds,
    };
    return api_run_tests("recall on SciFact", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
