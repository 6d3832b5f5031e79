/*
 * test_api_spaces.c: searches of a collection that holds the vectors of several
 * models: queries over bridges, documents of one model among those of another,
 * and what is refused. Compared with plain arithmetic over all vectors, and
 * with the same search in the old model.
 */
#include "tests/support/twin.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/c"
#define HALF (TWIN_DOCS / 2)

static struct api api;
static struct twin twin;

static void setup(void) {
    api_init(&api);
    api_start(&api);
}

static void teardown(void) { api_stop(&api); }

static void show(enum inv_upgrade_state state, bool mapped) {
    struct picture_adapter adapter = twin_adapter(&twin, mapped);
    picture_show(&api, "c", state, "m@2", &adapter, 1);
}

/* Half of the documents in m@1, the others in m@2 only. */
static void open_halves(float noise, bool mapped) {
    twin_make(&twin, noise);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, HALF, false);
    twin_put(&api, &twin, HALF, TWIN_DOCS, true);
    show(INV_UPGRADE_BRIDGED, mapped);
}

/* How many of the reply's hits are among the first `count` of the list. */
static size_t common(const struct twin_ranked *list, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < twin_hits(&api); i++)
        for (size_t j = 0; j < count; j++)
            found += twin_hit(&api, i) == list[j].doc;
    return found;
}

/* ---- bridges ---- */

START_TEST(a_bridge_finds_what_the_old_model_finds) {
    struct twin_ranked list[TWIN_DOCS];
    twin_make(&twin, 0);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, TWIN_DOCS, false);
    show(INV_UPGRADE_BRIDGED, false);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        twin_rank(&twin, q, false, list);
        twin_search(&api, &twin, q, false, ",\"limit\":20");
        twin_same(&api, list, 20);
        ck_assert_str_eq(api_string(&api, "/model"), "m@1");
        ck_assert_ptr_null(api_at(&api, "/via"));
        twin_search(&api, &twin, q, true, ",\"limit\":20");
        twin_same(&api, list, 20);
        ck_assert_str_eq(api_string(&api, "/model"), "m@2");
        ck_assert_str_eq(api_string(&api, "/via/adapter"), "bridge");
        ck_assert_str_eq(api_string(&api, "/via/mode"), "bridge");
        ck_assert_ptr_null(api_at(&api, "/cascade"));
        ck_assert_ptr_null(api_at(&api, "/need_vectors"));
    }
}
END_TEST

START_TEST(an_adapter_that_does_not_normalise_gives_the_same_scores) {
    struct twin_ranked list[TWIN_DOCS];
    twin_make(&twin, 0);
    for (size_t i = 0; i < TWIN_OLD * TWIN_NEW; i++)
        twin.matrix[i] *= 3;
    twin_open(&api, "");
    twin_put(&api, &twin, 0, TWIN_DOCS, false);
    struct picture_adapter adapter = twin_adapter(&twin, false);
    adapter.normalise = false;
    picture_show(&api, "c", INV_UPGRADE_BRIDGED, "m@2", &adapter, 1);
    twin_rank(&twin, 0, false, list);
    twin_search(&api, &twin, 0, true, "");
    twin_same(&api, list, 10);
}
END_TEST

START_TEST(an_unlabelled_query_is_of_the_model_that_answers) {
    twin_make(&twin, 0);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, 20, false);
    char old[1024] = "", new[1024] = "";
    for (int i = 0; i < TWIN_NEW; i++) {
        snprintf(new + strlen(new), sizeof new - strlen(new), "%s1",
                 i == 0 ? "" : ",");
        if (i < TWIN_OLD)
            snprintf(old + strlen(old), sizeof old - strlen(old), "%s1",
                     i == 0 ? "" : ",");
    }
    show(INV_UPGRADE_SHADOW, false);
    api_ok(&api, "POST", C "/search", "{\"vector\":[%s]}", old);
    ck_assert_str_eq(api_string(&api, "/model"), "m@1");
    show(INV_UPGRADE_BRIDGED, false);
    api_ok(&api, "POST", C "/search", "{\"vector\":[%s]}", new);
    ck_assert_str_eq(api_string(&api, "/model"), "m@2");
    api_do(&api, "POST", C "/search", "{\"vector\":[%s]}", old);
    api_refused(&api, 400, "dimension_mismatch", "/vector", "24|16");
    api_do(&api, "POST", C "/search", "{\"vector\":[%s],\"model\":\"m@1\"}",
           new);
    api_refused(&api, 400, "dimension_mismatch", "/vector", "16|24");
}
END_TEST

START_TEST(a_model_that_is_not_known_or_not_reached_is_a_409_naming_both) {
    twin_make(&twin, 0);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, 20, false);
    picture_show(&api, "c", INV_UPGRADE_NONE, NULL, NULL, 0);
    api_do(&api, "POST", C "/search", "{\"vector\":[1],\"model\":\"m@9\"}");
    api_refused(&api, 409, "space_mismatch", "/model", "m@9|m@1, m@2");
    api_do(&api, "POST", C "/search", "{\"vector\":[1],\"model\":\"m\"}");
    api_refused(&api, 409, "space_mismatch", "/model", "2 models|m@1, m@2");
    api_do(&api, "POST", C "/search", "{\"vector\":[1%s],\"model\":\"m@2\"}",
           ",1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1");
    api_refused(&api, 409, "space_mismatch", "/model",
                "no adapter from m@2 to m@1");
}
END_TEST

START_TEST(a_binary_query_has_the_dimension_of_its_model) {
    twin_make(&twin, 0);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, TWIN_DOCS, false);
    show(INV_UPGRADE_BRIDGED, false);
    struct twin_ranked list[TWIN_DOCS];
    twin_rank(&twin, 3, false, list);
    struct api_request request = {.method = "POST",
                                  .path = C "/search?model=m@2&limit=7",
                                  .type = "application/octet-stream",
                                  .body = twin.new_query[3],
                                  .len = sizeof twin.new_query[3]};
    ck_assert_int_eq(api_send(&api, &request), 200);
    twin_same(&api, list, 7);
    request.path = C "/search?model=m@1&limit=7";
    request.body = twin.old_query[3];
    request.len = sizeof twin.old_query[3];
    ck_assert_int_eq(api_send(&api, &request), 200);
    twin_same(&api, list, 7);
    request.path = C "/search?model=m@2&limit=7";
    ck_assert_int_eq(api_send(&api, &request), 400);
    api_refused(&api, 400, "dimension_mismatch", NULL, "64|24|96");
}
END_TEST

#define TOKENS 3
#define WIDTH 8

/* Rows of tokens as JSON; `mirrored`, their dimensions in reverse order. */
static void put_tokens(struct inv_buf *out, const float *rows, bool mirrored) {
    inv_buf_puts(out, "\"vectors\":[");
    for (int i = 0; i < TOKENS * WIDTH; i++) {
        int at = i / WIDTH * WIDTH + WIDTH - 1 - i % WIDTH;
        const char *before = i % WIDTH != 0 ? "," : i == 0 ? "[" : "],[";
        inv_buf_printf(out, "%s%.9g", before, (double)rows[mirrored ? at : i]);
    }
    inv_buf_puts(out, "]]");
}

/* A multi collection of 40 documents, and a model that sees them mirrored. */
static void open_tokens(struct inv_stream *stream) {
    struct inv_buf body = INV_BUF_INIT;
    float rows[TOKENS * WIDTH], mirror[WIDTH * WIDTH] = {0};
    api_ok(&api, "PUT", "/v1/collections/t",
           "{\"kind\":\"multi\",\"dim\":8,\"tokens\":{\"dtype\":\"f32\"}}");
    for (int d = 0; d < 40; d++) {
        for (int i = 0; i < TOKENS * WIDTH; i++)
            rows[i] = inv_stream_normal(stream);
        inv_buf_printf(&body, "%s{\"id\":\"%02d\",", d == 0 ? "" : ",", d);
        put_tokens(&body, rows, false);
        inv_buf_putc(&body, '}');
    }
    api_ok(&api, "PUT", "/v1/collections/t/documents", "{\"documents\":[%s]}",
           body.data);
    inv_buf_release(&body);
    api_ok(&api, "PUT", "/v1/collections/t/models/new@1", "{\"dim\":8}");
    for (int i = 0; i < WIDTH; i++)
        mirror[i * WIDTH + WIDTH - 1 - i] = 1;
    struct picture_adapter adapter = {.name = "mirror",
                                      .from = "new@1",
                                      .to = "default@1",
                                      .rows = WIDTH,
                                      .cols = WIDTH,
                                      .matrix = mirror,
                                      .normalise = true};
    picture_show(&api, "t", INV_UPGRADE_BRIDGED, "new@1", &adapter, 1);
}

START_TEST(tokens_keep_their_weights_over_a_bridge) {
    struct inv_stream stream;
    struct inv_buf body = INV_BUF_INIT;
    float query[TOKENS * WIDTH]; /* the later, the heavier */
    char first[10][4];
    double scores[10];
    inv_stream_init(&stream, 3, "tokens", 0);
    open_tokens(&stream);
    for (int i = 0; i < TOKENS * WIDTH; i++) {
        int weight = 1 + i / WIDTH;
        query[i] = inv_stream_normal(&stream) * (float)weight;
    }
    put_tokens(&body, query, false);
    api_ok(&api, "POST", "/v1/collections/t/search",
           "{%s,\"model\":\"default@1\"}", body.data);
    for (size_t i = 0; i < 10; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        snprintf(first[i], sizeof first[i], "%s", api_string(&api, at));
        scores[i] = twin_score(&api, i);
    }
    inv_buf_reset(&body);
    put_tokens(&body, query, true);
    api_ok(&api, "POST", "/v1/collections/t/search", "{%s,\"model\":\"new@1\"}",
           body.data);
    for (size_t i = 0; i < 10; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/id", i);
        ck_assert_str_eq(api_string(&api, at), first[i]);
        ck_assert_double_eq_tol(twin_score(&api, i), scores[i], 1e-4);
    }
    inv_buf_release(&body);
}
END_TEST

/* ---- documents of both models ---- */

START_TEST(new_documents_are_found_among_the_old_ones_and_once) {
    struct twin_ranked list[TWIN_DOCS];
    open_halves(0, true);
    for (int covered = 0; covered < 2; covered++) {
        for (int q = 0; q < TWIN_QUERIES; q++) {
            twin_rank(&twin, q, true, list);
            twin_search(&api, &twin, q, true, ",\"limit\":30");
            twin_same(&api, list, 30);
            twin_search(&api, &twin, q, true, ",\"limit\":10,\"offset\":15");
            twin_same(&api, list + 15, 10);
        }
        twin_search(&api, &twin, 0, true, ",\"limit\":1000,\"explain\":true");
        ck_assert_uint_eq(twin_hits(&api), TWIN_DOCS);
        ck_assert_uint_eq(api_size(&api, "/plan/lanes"), 2);
        ck_assert_str_eq(api_string(&api, "/plan/lanes/0/model"), "m@1");
        ck_assert_str_eq(api_string(&api, "/plan/lanes/0/bridge"), "bridge");
        ck_assert_str_eq(api_string(&api, "/plan/lanes/1/model"), "m@2");
        ck_assert_int_eq(api_int(&api, "/plan/lanes/1/documents"), HALF);
        ck_assert_str_eq(api_string(&api, "/plan/lanes/1/scale"), "map");
        ck_assert_int_eq(api_int(&api, "/plan/lanes/1/covered"),
                         covered ? 20 : 0);
        if (covered == 0)
            twin_beside(&api, &twin, 0, HALF, 4);
    }
}
END_TEST

START_TEST(queries_of_the_old_model_reach_new_documents) {
    struct twin_ranked list[TWIN_DOCS];
    open_halves(0, true);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        twin_rank(&twin, q, false, list);
        twin_search(&api, &twin, q, false, ",\"limit\":30");
        twin_same(&api, list, 30);
        ck_assert_ptr_null(api_at(&api, "/via"));
    }
}
END_TEST

START_TEST(an_exact_search_is_the_same_with_every_document_scored) {
    open_halves(.4f, true);
    twin_beside(&api, &twin, 0, HALF, 3);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        struct twin_ranked list[40];
        twin_search(&api, &twin, q, true, ",\"limit\":40");
        for (size_t i = 0; i < 40; i++)
            list[i] =
                (struct twin_ranked){twin_hit(&api, i), twin_score(&api, i)};
        twin_search(&api, &twin, q, true,
                    ",\"limit\":40,\"params\":{\"exact\":true}");
        twin_same(&api, list, 40);
    }
}
END_TEST

START_TEST(a_filter_holds_in_both_models_indexed_or_not) {
    struct twin_ranked list[TWIN_DOCS];
    open_halves(0, true);
    twin_beside(&api, &twin, 0, HALF, 5);
    twin_rank(&twin, 1, true, list);
    size_t even = 0, late = 0;
    struct twin_ranked wanted[2][TWIN_DOCS];
    for (size_t i = 0; i < TWIN_DOCS; i++) {
        if (list[i].doc % 2 == 0)
            wanted[0][even++] = list[i];
        if (list[i].doc >= 60 && list[i].doc < 100)
            wanted[1][late++] = list[i];
    }
    for (int again = 0; again < 2; again++) { /* worked out, and from the cache
                                               */
        twin_search(&api, &twin, 1, true,
                    ",\"limit\":25,\"filter\":{\"must\":[{\"key\":\"even\","
                    "\"match\":\"yes\"}]}");
        twin_same(&api, wanted[0], 25);
        twin_search(&api, &twin, 1, true,
                    ",\"limit\":60,\"filter\":{\"must\":[{\"key\":\"n\","
                    "\"range\":{\"gte\":60,\"lt\":100}}]},\"with\":{"
                    "\"payload\":true}");
        twin_same(&api, wanted[1], 40);
    }
    /* nothing of the gallery matches: what is left keeps its own scores */
    twin_search(&api, &twin, 1, true,
                ",\"limit\":5,\"filter\":{\"must\":[{\"key\":\"n\","
                "\"range\":{\"gte\":80}}]}");
    late = 0;
    for (size_t i = 0; i < TWIN_DOCS; i++)
        if (list[i].doc >= 80)
            wanted[1][late++] = list[i];
    twin_same(&api, wanted[1], 5);
}
END_TEST

START_TEST(a_hit_brings_the_vector_of_the_model_it_was_found_in) {
    open_halves(0, true);
    twin_search(&api, &twin, 0, true,
                ",\"limit\":30,\"with\":{\"vectors\":true}");
    size_t old = 0;
    for (size_t i = 0; i < 30; i++) {
        char at[48];
        snprintf(at, sizeof at, "/hits/%zu/vector", i);
        bool newer = twin_hit(&api, i) >= HALF;
        ck_assert_uint_eq(api_size(&api, at), newer ? TWIN_NEW : TWIN_OLD);
        old += !newer;
    }
    ck_assert_uint_gt(old, 5);
    ck_assert_uint_lt(old, 25);
}
END_TEST

/* Cosines of the new model are all near 1, those over the bridge are not: put
 * side by side as they are, every new document would come first. */
START_TEST(scores_of_another_scale_do_not_push_old_documents_out) {
    struct twin_ranked list[TWIN_DOCS];
    twin_make(&twin, 0);
    twin_narrow(&twin, 3);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, HALF, false);
    twin_put(&api, &twin, HALF, TWIN_DOCS, true);
    static const char *const scales[] = {"background", "background", "map"};
    for (int round = 0; round < 3; round++) {
        size_t found = 0;
        struct picture_adapter adapter = twin_adapter(&twin, false);
        if (round == 1)
            twin_beside(&api, &twin, 0, HALF, 1);
        if (round == 2) /* 9/10 comes of the direction that all share */
            adapter.scores = (struct inv_score_map){
                .count = 2, .from = {.8, 1}, .to = {-1, 1}};
        picture_show(&api, "c", INV_UPGRADE_BRIDGED, "m@2", &adapter, 1);
        for (int q = 0; q < TWIN_QUERIES; q++) {
            twin_rank(&twin, q, false, list);
            twin_search(&api, &twin, q, true, ",\"limit\":30,\"explain\":true");
            found += common(list, 30);
            ck_assert_str_eq(api_string(&api, "/plan/lanes/1/scale"),
                             scales[round]);
        }
        /* as they are: 15 or so old ones of the 30 are lost */
        ck_assert_msg(10 * found >= 9 * 30 * TWIN_QUERIES,
                      "round %d: %zu of %d", round, found, 30 * TWIN_QUERIES);
    }
}
END_TEST

START_TEST(equal_scores_of_two_models_are_in_the_order_of_ids) {
    memset(&twin, 0, sizeof twin);
    for (int i = 0; i < TWIN_OLD; i++) { /* one axis of each to the same */
        twin.matrix[i * TWIN_NEW + i] = 1;
        twin.back[i * TWIN_OLD + i] = 1;
    }
    for (int i = 0; i < TWIN_DOCS; i++)
        twin.old[i][i % 4] = twin.new[i][i % 4] = 1;
    twin.old_query[0][2] = twin.new_query[0][2] = 1;
    twin_open(&api, "");
    for (int i = 0; i < 40; i++) /* every third is in the new model */
        twin_put(&api, &twin, i, i + 1, i % 3 == 0);
    show(INV_UPGRADE_BRIDGED, true);
    twin_search(&api, &twin, 0, true, "");
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(twin_hit(&api, (size_t)i), 2 + 4 * i);
        ck_assert_double_eq(twin_score(&api, (size_t)i), 1.0);
    }
}
END_TEST

START_TEST(documents_that_no_bridge_reaches_are_counted_in_a_warning) {
    twin_make(&twin, 0);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, HALF, false);
    api_ok(&api, "PUT", C "/models/m@3", "{\"dim\":2}");
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":\"x\",\"model\":\"m@3\",\"vector\":[1,0]},"
           "{\"id\":\"y\",\"model\":\"m@3\",\"vector\":[0,1]}]}");
    show(INV_UPGRADE_BRIDGED, true);
    twin_search(&api, &twin, 0, true, ",\"limit\":1000");
    ck_assert_uint_eq(twin_hits(&api), HALF);
    ck_assert_uint_eq(api_size(&api, "/warnings"), 1);
    ck_assert_str_eq(api_string(&api, "/warnings/0"),
                     "2 documents of model m@3 cannot be reached from m@2: "
                     "there is no adapter");
    twin_search(&api, &twin, 0, false, ",\"limit\":1000");
    ck_assert_uint_eq(twin_hits(&api), HALF);
    ck_assert_str_eq(api_string(&api, "/warnings/0"),
                     "2 documents of model m@3 cannot be reached from m@1: "
                     "there is no adapter");
    api_ok(&api, "POST", C "/documents/count", "{}");
    ck_assert_int_eq(api_int(&api, "/count"), HALF + 2);
}
END_TEST

START_TEST(recall_holds_over_two_models) {
    open_halves(.3f, true);
    api_ok(&api, "POST", C "/recall", "{\"sample\":20}");
    ck_assert_double_ge(api_number(&api, "/recall"), .999);
    ck_assert_int_eq(api_int(&api, "/queries"), 20);
    ck_assert_str_eq(api_string(&api, "/of"), "documents");
}
END_TEST

START_TEST(a_search_meets_sealed_segments_of_both_models) {
    struct twin_ranked list[TWIN_DOCS];
    open_halves(0, true);
    twin_beside(&api, &twin, 0, HALF, 2);
    api_rebuild(&api, "c", NULL);
    show(INV_UPGRADE_BRIDGED, true);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        twin_rank(&twin, q, true, list);
        twin_search(&api, &twin, q, true, ",\"limit\":30");
        twin_same(&api, list, 30);
    }
    api_ok(&api, "DELETE", C "/documents/d001", NULL);
    twin_put(&api, &twin, 2, 3, true); /* moves to the new model */
    twin_search(&api, &twin, 0, true, ",\"limit\":1000");
    ck_assert_uint_eq(twin_hits(&api), TWIN_DOCS - 1);
}
END_TEST

static int hit_number(size_t i) {
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/hits/%zu/id", i);
    return (int)strtol(api_string(&api, pointer), NULL, 10);
}

/* More documents than the scale of a list without a map is taken from. */
#define MANY 700

static void put_many(int from, int to, const char *model, uint64_t draw) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"documents\":[");
    for (int i = from; i < to; i++) {
        struct inv_stream stream;
        inv_stream_init(&stream, draw, "test.many", (uint64_t)i);
        inv_buf_printf(&body, "%s{\"id\":\"%d\",\"model\":\"%s\",\"vector\":[",
                       i == from ? "" : ",", i, model);
        for (int j = 0; j < 4; j++)
            inv_buf_printf(&body, "%s%.6f", j == 0 ? "" : ",",
                           inv_stream_uniform(&stream) - .3);
        inv_buf_puts(&body, "]}");
    }
    inv_buf_puts(&body, "]}");
    api_ok(&api, "PUT", C "/documents", "%s", body.data);
    inv_buf_release(&body);
}

static void turn(void) {
    static const float matrix[16] = {0, 1, 0, 0, 1, 0, 0, 0,
                                     0, 0, 0, 1, 0, 0, 1, 0};
    struct picture_adapter adapter = {.name = "bridge",
                                      .from = "m@2",
                                      .to = "m@1",
                                      .rows = 4,
                                      .cols = 4,
                                      .matrix = matrix,
                                      .back = matrix,
                                      .normalise = true};
    picture_show(&api, "c", INV_UPGRADE_BRIDGED, "m@2", &adapter, 1);
}

START_TEST(merged_scores_do_not_depend_on_where_vectors_lie) {
    static const char query[] =
        "{\"vector\":[0.9,0.1,0.4,-0.2],\"limit\":20,\"explain\":true,"
        "\"params\":{\"exact\":true}}";
    double scores[20];
    bool merged = false;
    api_ok(&api, "PUT", C,
           "{\"kind\":\"single\",\"dim\":4,\"metric\":\"cosine\",\"model\":"
           "{\"name\":\"m\",\"revision\":\"1\"}}");
    api_ok(&api, "PUT", C "/models/m@2", "{\"dim\":4}");
    put_many(0, MANY, "m@1", 1);
    put_many(MANY, 2 * MANY, "m@2", 2);
    put_many(100, 300, "m@1", 3); /* leaves 200 dead entries until sealed */
    turn();
    api_ok(&api, "POST", C "/search", "%s", query);
    ck_assert_str_eq(api_string(&api, "/plan/lanes/1/scale"), "background");
    for (size_t i = 0; i < 20; i++) {
        scores[i] = twin_score(&api, i);
        merged = merged || hit_number(i) >= MANY;
    }
    ck_assert(merged);
    api_rebuild(&api, "c", NULL);
    turn();
    api_ok(&api, "POST", C "/search", "%s", query);
    for (size_t i = 0; i < 20; i++)
        ck_assert_double_eq_tol(twin_score(&api, i), scores[i], 1e-6);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_bridge_finds_what_the_old_model_finds,
        an_adapter_that_does_not_normalise_gives_the_same_scores,
        an_unlabelled_query_is_of_the_model_that_answers,
        a_model_that_is_not_known_or_not_reached_is_a_409_naming_both,
        a_binary_query_has_the_dimension_of_its_model,
        tokens_keep_their_weights_over_a_bridge,
        new_documents_are_found_among_the_old_ones_and_once,
        queries_of_the_old_model_reach_new_documents,
        an_exact_search_is_the_same_with_every_document_scored,
        a_filter_holds_in_both_models_indexed_or_not,
        a_hit_brings_the_vector_of_the_model_it_was_found_in,
        scores_of_another_scale_do_not_push_old_documents_out,
        equal_scores_of_two_models_are_in_the_order_of_ids,
        documents_that_no_bridge_reaches_are_counted_in_a_warning,
        recall_holds_over_two_models,
        a_search_meets_sealed_segments_of_both_models,
        merged_scores_do_not_depend_on_where_vectors_lie,
    };
    return api_run_tests("searches of several models", tests,
                         sizeof tests / sizeof *tests, setup, teardown);
}
