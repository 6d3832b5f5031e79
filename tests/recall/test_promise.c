/*
 * test_promise.c: fewer than `limit` hits come back only when fewer documents
 * match. For every kind of index, single and multi, with filters that half, a
 * tenth, ... none of the documents pass, on an indexed field and on one that is
 * not, after deletes, updates and inserts: the number of hits is right, each
 * one matches, and the hits are those of `exact` (all of them where the planner
 * took every match; at least 95 of 100 where it did not).
 */
#include "tests/support/api.h"

#include "base/rng.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/c"
#define SINGLE_DOCS 2400
#define MULTI_DOCS 1000
#define FRESH 100 /* written after the index was built */
#define DIM 16
#define TOKENS 4
#define LIMIT 10
#define QUERIES 4

static const struct {
    const char *name, *settings;
} kinds[] = {
    {"flat", "\"type\":\"flat\""},
    {"hnsw", "\"type\":\"hnsw\""},
    {"hnsw_sq8", "\"type\":\"hnsw_sq8\""},
    {"ivf_flat", "\"type\":\"ivf_flat\""},
    {"ivf_sq8", "\"type\":\"ivf_sq8\""},
    {"ivf_pq 4", "\"type\":\"ivf_pq\",\"pq_bits\":4"},
    {"ivf_pq 8", "\"type\":\"ivf_pq\",\"pq_bits\":8"},
};

static struct api api;
static struct inv_stream rng;
static int level[SINGLE_DOCS + FRESH]; /* 0..999; -1: deleted */
static int docs;
static bool multi;

static void setup(void) {
    api_init(&api);
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

/* ---- data: 40 clusters ---- */

static void put_vector(struct inv_buf *out) {
    struct inv_stream centre;
    inv_stream_init(&centre, 3, "centre", inv_stream_below(&rng, 40));
    for (int i = 0; i < DIM; i++)
        inv_buf_printf(out, "%s%.4f", i == 0 ? "[" : ",",
                       (double)(inv_stream_normal(&centre) +
                                .6f * inv_stream_normal(&rng)));
    inv_buf_putc(out, ']');
}

static void put_vectors(struct inv_buf *out) {
    if (!multi) {
        inv_buf_puts(out, "\"vector\":");
        put_vector(out);
        return;
    }
    inv_buf_puts(out, "\"vectors\":[");
    for (int i = 0; i < TOKENS; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        put_vector(out);
    }
    inv_buf_putc(out, ']');
}

static void write_documents(int from, int until) {
    struct inv_buf body = INV_BUF_INIT;
    for (int i = from; i < until; i++) {
        level[i] = (int)inv_stream_below(&rng, 1000);
        inv_buf_printf(&body, "%s{\"id\":%d,\"payload\":{\"n\":%d,\"u\":%d},",
                       i == from ? "" : ",", i, level[i], level[i]);
        put_vectors(&body);
        inv_buf_putc(&body, '}');
    }
    api_ok(&api, "PUT", C "/documents", "{\"documents\":[%s]}", body.data);
    inv_buf_release(&body);
}

/* Every tenth goes, every 25th is written anew, some are new. */
static void disturb(void) {
    struct inv_buf ids = INV_BUF_INIT;
    for (int i = 0; i < docs; i += 10) {
        inv_buf_printf(&ids, "%s%d", i == 0 ? "" : ",", i);
        level[i] = -1;
    }
    api_ok(&api, "POST", C "/documents/delete", "{\"ids\":[%s]}", ids.data);
    inv_buf_release(&ids);
    for (int i = 1; i < docs; i += 25)
        write_documents(i, i + 1);
    write_documents(docs, docs + FRESH);
    docs += FRESH;
}

/* ---- searches ---- */

struct found {
    size_t count;
    long ids[LIMIT];
};

static const char *const plans[] = {"skip",  "scan",     "index",
                                    "exact", "selector", "widen"};
static size_t seen[6]; /* how often each was chosen */

static void note_plan(const char *plan) {
    size_t i = 0;
    while (strcmp(plans[i], plan) != 0)
        ck_assert_uint_lt(++i, 6);
    seen[i]++;
}

/* Did every match of every segment get its exact score? Candidates that an
 * index scored go through the rerank budget where there are tokens. */
static bool took_all(void) {
    bool all = true;
    for (size_t i = 0; i < api_size(&api, "/plan/segments"); i++) {
        char at[64];
        snprintf(at, sizeof at, "/plan/segments/%zu/matches", i);
        int64_t matches = api_int(&api, at);
        snprintf(at, sizeof at, "/plan/segments/%zu/candidates", i);
        int64_t candidates = api_int(&api, at);
        snprintf(at, sizeof at, "/plan/segments/%zu/plan", i);
        const char *plan = api_string(&api, at);
        note_plan(plan);
        if (strcmp(plan, "skip") == 0)
            ck_assert_int_eq(matches, 0);
        else if (strcmp(plan, "exact") == 0)
            ck_assert_int_eq(candidates, matches);
        else
            all = all && !multi && candidates >= matches;
    }
    return all;
}

static void take_hits(struct found *out) {
    out->count = api_size(&api, "/hits");
    ck_assert_uint_le(out->count, LIMIT);
    for (size_t i = 0; i < out->count; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        out->ids[i] = strtol(api_string(&api, at), NULL, 10);
    }
}

static void search(const char *query, const char *key, int below,
                   const char *params, struct found *out) {
    api_ok(&api, "POST", C "/search",
           "{%s,\"limit\":%d,\"explain\":true,\"params\":{%s},\"filter\":"
           "{\"must\":[{\"key\":\"%s\",\"range\":{\"lt\":%d}}]}}",
           query, LIMIT, params, key, below);
    take_hits(out);
}

static size_t common(const struct found *a, const struct found *b) {
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            n += a->ids[i] == b->ids[j];
    return n;
}

/* The hits are as many as there can be, and each may be one. */
static void check_hits(const struct found *found, int below, const char *what) {
    size_t matches = 0;
    for (int i = 0; i < docs; i++)
        matches += level[i] >= 0 && level[i] < below;
    ck_assert_msg(found->count == (matches < LIMIT ? matches : LIMIT),
                  "%s: %zu hits, %zu match: %s", what, found->count, matches,
                  api_body(&api));
    for (size_t i = 0; i < found->count; i++) {
        long id = found->ids[i];
        ck_assert_msg(level[id] >= 0 && level[id] < below,
                      "%s: %ld does not match", what, id);
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(found->ids[j], id);
    }
}

struct tally {
    size_t common, wanted, all, some;
};

static void check_query(const char *query, const char *key, int below,
                        struct tally *tally) {
    struct found exact, found, small;
    char what[64];
    snprintf(what, sizeof what, "%s < %d", key, below);
    search(query, key, below, "\"exact\":true", &exact);
    check_hits(&exact, below, what);
    /* single: the default of 500 would be every second document */
    search(query, key, below, multi ? "" : "\"candidates\":60", &found);
    bool all = took_all();
    check_hits(&found, below, what);
    tally->all += all;
    tally->some += !all;
    tally->common += common(&found, &exact);
    tally->wanted += exact.count;
    if (all)
        ck_assert_msg(common(&found, &exact) == exact.count,
                      "%s: every match was taken, but hits differ", what);
    /* with no room to spare the promise still holds */
    search(query, key, below, "\"candidates\":1,\"ef\":1,\"nprobe\":1", &small);
    check_hits(&small, below, what);
}

static void check_kind(size_t kind) {
    static const int below[] = {1000, 500, 100, 10, 1, 0};
    struct tally tally = {0};
    char index[96];
    inv_stream_init(&rng, 11, "promise", kind * 2 + multi);
    docs = multi ? MULTI_DOCS : SINGLE_DOCS;
    api_ok(&api, "PUT", C,
           "{\"kind\":\"%s\",\"dim\":%d,\"payload_index\":{\"n\":\"integer\"}"
           "%s}",
           multi ? "multi" : "single", DIM,
           multi ? ",\"encoder\":{\"type\":\"muvera\",\"R\":8,\"k\":3,\"m\":8}"
                 : "");
    write_documents(0, docs);
    snprintf(index, sizeof index, "{\"index\":{%s}}", kinds[kind].settings);
    api_rebuild(&api, "c", index);
    disturb();
    for (int q = 0; q < QUERIES; q++) {
        struct inv_buf query = INV_BUF_INIT;
        put_vectors(&query);
        for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
            check_query(query.data, "n", below[i], &tally);
            check_query(query.data, "u", below[i], &tally);
        }
        inv_buf_release(&query);
    }
    printf("%-6s %-8s recall %.4f, every match taken in %zu of %zu\n",
           multi ? "multi" : "single", kinds[kind].name,
           (double)tally.common / (double)tally.wanted, tally.all,
           tally.all + tally.some);
    for (size_t i = 0; i < 6; i++)
        printf("%s%s %zu", i == 0 ? "    plans: " : ", ", plans[i], seen[i]);
    printf("\n");
    bool flat = kind == 0;
    ck_assert_uint_gt(seen[0], 0);            /* skip: nothing matches */
    ck_assert_uint_gt(seen[1], 0);            /* scan: the fresh segment */
    ck_assert(flat || seen[3] > 0);           /* exact: few match */
    ck_assert(flat || seen[4] + seen[5] > 0); /* the index with a filter */
    ck_assert_msg((double)tally.common >= .95 * (double)tally.wanted,
                  "recall %zu of %zu", tally.common, tally.wanted);
}

START_TEST(a_single_vector_search_gives_as_many_hits_as_match) {
    multi = false;
    check_kind((size_t)_i);
}
END_TEST

START_TEST(a_multi_vector_search_gives_as_many_hits_as_match) {
    multi = true;
    check_kind((size_t)_i);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("the promise about limit");
    TCase *tcase = tcase_create("promise");
    const int count = (int)(sizeof kinds / sizeof *kinds);
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(
        tcase, a_single_vector_search_gives_as_many_hits_as_match, 0, count);
    tcase_add_loop_test(
        tcase, a_multi_vector_search_gives_as_many_hits_as_match, 0, count);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
