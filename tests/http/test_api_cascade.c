/*
 * test_api_cascade.c: the cascade: the gallery's best, scored again by their
 * vectors in the query's own model where they have one, and what a client is
 * asked to embed. Compared with plain arithmetic over all vectors and with the
 * judge that promises the same offline (encoders/adapters/judge.h).
 */
#include "tests/support/twin.h"

#include "encoders/adapters/judge.h"
#include "server/upgrade/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C "/v1/collections/c"
#define DEPTH 40
#define DEEP ",\"limit\":40,\"params\":{\"cascade\":40}"

static struct api api;
static struct twin twin;

static void show(enum inv_upgrade_state state) {
    struct picture_adapter adapter = twin_adapter(&twin, true);
    picture_show(&api, "c", state, "m@2", &adapter, 1);
}

/* All documents in m@1; the models agree only roughly. */
static void setup(void) {
    api_init(&api);
    api_start(&api);
    twin_make(&twin, .6f);
    twin_open(&api, "");
    twin_put(&api, &twin, 0, TWIN_DOCS, false);
    show(INV_UPGRADE_CASCADE);
}

static void teardown(void) { api_stop(&api); }

/* What the bridge gives: all documents by the adapted query. */
static void rank_bridge(int q, struct twin_ranked list[TWIN_DOCS]) {
    float y[TWIN_OLD];
    float norm = 0;
    for (int i = 0; i < TWIN_OLD; i++) {
        y[i] = (float)twin_dot(twin.matrix + i * TWIN_NEW, twin.new_query[q],
                               TWIN_NEW);
        norm += y[i] * y[i];
    }
    for (int i = 0; i < TWIN_DOCS; i++)
        list[i] = (struct twin_ranked){i, twin_dot(y, twin.old[i], TWIN_OLD) /
                                              __builtin_sqrt((double)norm)};
    twin_sort(list, TWIN_DOCS);
}

static double new_score(int q, int doc) {
    return twin_dot(twin.new_query[q], twin.new[doc], TWIN_NEW);
}

START_TEST(with_every_document_covered_it_is_exact_search_over_the_first_n) {
    struct twin_ranked list[TWIN_DOCS];
    twin_beside(&api, &twin, 0, TWIN_DOCS, 1);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        rank_bridge(q, list);
        for (int i = 0; i < DEPTH; i++)
            list[i].score = new_score(q, list[i].doc);
        twin_sort(list, DEPTH);
        twin_search(&api, &twin, q, true, DEEP);
        twin_same(&api, list, DEPTH);
        ck_assert_str_eq(api_string(&api, "/via/mode"), "cascade");
        ck_assert_int_eq(api_int(&api, "/cascade/n"), DEPTH);
        ck_assert_int_eq(api_int(&api, "/cascade/covered"), DEPTH);
        ck_assert_uint_eq(api_size(&api, "/need_vectors"), 0);
        twin_search(&api, &twin, q, true,
                    ",\"limit\":3,\"offset\":2,\"params\":{\"cascade\":40}");
        twin_same(&api, list + 2, 3);
    }
}
END_TEST

START_TEST(partly_covered_it_is_what_the_judge_measured) {
    bool covered[TWIN_DOCS] = {false};
    for (int i = 0; i < TWIN_DOCS; i += 3)
        covered[i] = true;
    twin_beside(&api, &twin, 0, TWIN_DOCS, 3);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        struct twin_ranked list[TWIN_DOCS];
        float bridge[DEPTH];
        uint32_t ids[DEPTH];
        double fresh[DEPTH], scores[DEPTH];
        int64_t many = 0;
        rank_bridge(q, list);
        for (int i = 0; i < DEPTH; i++) {
            bridge[i] = (float)list[i].score;
            ids[i] = (uint32_t)list[i].doc;
            fresh[i] = new_score(q, list[i].doc);
            many += covered[list[i].doc];
        }
        ck_assert_int_ge(many, 3);
        inv_judge_cascade(fresh, covered, bridge, DEPTH, ids, scores);
        for (int i = 0; i < DEPTH; i++)
            list[i] = (struct twin_ranked){(int)ids[i], scores[i]};
        twin_search(&api, &twin, q, true, DEEP);
        twin_same(&api, list, DEPTH);
        ck_assert_int_eq(api_int(&api, "/cascade/covered"), many);
    }
}
END_TEST

START_TEST(two_covered_documents_leave_the_order_of_the_bridge) {
    struct twin_ranked list[TWIN_DOCS];
    rank_bridge(0, list);
    for (int i = 3; i < 7; i += 3)
        twin_beside(&api, &twin, list[i].doc, list[i].doc + 1, 1);
    twin_search(&api, &twin, 0, true, DEEP);
    twin_same(&api, list, DEPTH);
    ck_assert_int_eq(api_int(&api, "/cascade/covered"), 2);
    twin_beside(&api, &twin, list[9].doc, list[9].doc + 1, 1);
    twin_search(&api, &twin, 0, true, DEEP);
    ck_assert_int_eq(api_int(&api, "/cascade/covered"), 3);
}
END_TEST

START_TEST(its_depth_is_asked_for_or_the_collections_and_at_least_a_page) {
    static const struct {
        const char *rest;
        int n;
    } cases[] = {
        {"", 100},
        {",\"params\":{\"cascade\":7}", 10},
        {",\"params\":{\"cascade\":30}", 30},
        {",\"limit\":50,\"offset\":70,\"params\":{\"cascade\":30}", 120},
        {",\"limit\":500", TWIN_DOCS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        twin_search(&api, &twin, 0, true, cases[i].rest);
        ck_assert_int_eq(api_int(&api, "/cascade/n"), cases[i].n);
    }
    api_ok(&api, "PATCH", C,
           "{\"params\":{\"cascade\":55,"
           "\"need_vectors\":0}}");
    api_ok(&api, "GET", C, NULL);
    ck_assert_int_eq(api_int(&api, "/settings/params/cascade"), 55);
    ck_assert_int_eq(api_int(&api, "/settings/params/need_vectors"), 0);
    show(INV_UPGRADE_CASCADE);
    twin_search(&api, &twin, 0, true, "");
    ck_assert_int_eq(api_int(&api, "/cascade/n"), 55);
    ck_assert_ptr_null(api_at(&api, "/need_vectors"));
    twin_search(&api, &twin, 0, true,
                ",\"params\":{\"need_vectors\":2,\"cascade\":12}");
    ck_assert_int_eq(api_int(&api, "/cascade/n"), 12);
    ck_assert_uint_eq(api_size(&api, "/need_vectors"), 2);
    api_do(&api, "POST", C "/search",
           "{\"vector\":[1],\"params\":{\"cascade\":0}}");
    api_refused(&api, 400, "invalid_request", "/params/cascade", "1|1000|0");
    api_do(&api, "POST", C "/search",
           "{\"vector\":[1],\"params\":{\"cascade\":1001}}");
    api_refused(&api, 400, "invalid_request", "/params/cascade", "1000|1001");
    api_do(&api, "POST", C "/search",
           "{\"vector\":[1],\"params\":{\"need_vectors\":1001}}");
    api_refused(&api, 400, "invalid_request", "/params/need_vectors",
                "1000|1001");
}
END_TEST

START_TEST(documents_without_a_vector_are_named_best_first_with_their_seqs) {
    struct twin_ranked list[TWIN_DOCS];
    struct inv_buf vectors = INV_BUF_INIT;
    twin_put(&api, &twin, 0, TWIN_DOCS, false); /* seqs move on */
    twin_beside(&api, &twin, 0, TWIN_DOCS, 3);
    rank_bridge(2, list);
    twin_search(&api, &twin, 2, true, DEEP);
    ck_assert_uint_eq(api_size(&api, "/need_vectors"), 20);
    size_t at = 0;
    for (int i = 0; i < DEPTH && at < 20; i++) {
        char pointer[48], id[8];
        if (list[i].doc % 3 == 0)
            continue;
        snprintf(pointer, sizeof pointer, "/need_vectors/%zu/id", at);
        snprintf(id, sizeof id, "d%03d", list[i].doc);
        ck_assert_str_eq(api_string(&api, pointer), id);
        snprintf(pointer, sizeof pointer, "/need_vectors/%zu/seq", at++);
        ck_assert_int_eq(api_int(&api, pointer), TWIN_DOCS + list[i].doc + 1);
        inv_buf_printf(&vectors, "%s{\"id\":\"%s\",\"seq\":%d,\"vector\":[1",
                       at == 1 ? "" : ",", id, TWIN_DOCS + list[i].doc + 1);
        for (int j = 1; j < TWIN_NEW; j++)
            inv_buf_puts(&vectors, ",0");
        inv_buf_puts(&vectors, "]}");
    }
    int64_t before = api_int(&api, "/cascade/covered");
    api_ok(&api, "POST", C "/models/m@2/vectors", "{\"vectors\":[%s]}",
           vectors.data);
    ck_assert_int_eq(api_int(&api, "/stored"), 20);
    twin_search(&api, &twin, 2, true, DEEP);
    ck_assert_int_eq(api_int(&api, "/cascade/covered"), before + 20);
    inv_buf_release(&vectors);
}
END_TEST

/* A vector that was posted beside another has a number of its own in the view;
 * what counts is the number the document came with. */
START_TEST(the_seq_of_a_document_of_a_third_model_is_its_own) {
    api_ok(&api, "PUT", C "/models/m@3", "{\"dim\":2}");
    api_ok(&api, "PUT", C "/documents",
           "{\"documents\":[{\"id\":\"third\",\"model\":\"m@3\","
           "\"vector\":[1,0]}]}");
    twin_put(&api, &twin, 0, 1, false); /* a number in between */
    api_ok(&api, "POST", C "/models/m@1/vectors",
           "{\"vectors\":[{\"id\":\"third\",\"vector\":[1,0,0,0,0,0,0,0,0,0,0,"
           "0,0,0,0,0]}]}");
    show(INV_UPGRADE_CASCADE);
    twin_search(&api, &twin, 0, true,
                ",\"filter\":{\"must\":[{\"ids\":[\"third\"]}]}");
    ck_assert_str_eq(api_string(&api, "/need_vectors/0/id"), "third");
    ck_assert_int_eq(api_int(&api, "/need_vectors/0/seq"), TWIN_DOCS + 1);
    api_ok(&api, "POST", C "/models/m@2/vectors",
           "{\"vectors\":[{\"id\":\"third\",\"seq\":%d,\"vector\":[1%s]}]}",
           TWIN_DOCS + 1, ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0");
    ck_assert_int_eq(api_int(&api, "/stored"), 1);
}
END_TEST

START_TEST(shadow_asks_for_vectors_while_the_old_model_answers) {
    struct twin_ranked list[TWIN_DOCS];
    show(INV_UPGRADE_SHADOW);
    twin_beside(&api, &twin, 0, TWIN_DOCS, 2);
    twin_rank(&twin, 1, false, list);
    twin_search(&api, &twin, 1, false, ",\"limit\":5");
    twin_same(&api, list, 5);
    ck_assert_ptr_null(api_at(&api, "/cascade"));
    ck_assert_ptr_null(api_at(&api, "/via"));
    ck_assert_uint_eq(api_size(&api, "/need_vectors"), 20);
    for (int i = 0; i < TWIN_DOCS; i++)
        if (list[i].doc % 2 == 1) {
            ck_assert_int_eq(
                strtol(api_string(&api, "/need_vectors/0/id") + 1, NULL, 10),
                list[i].doc);
            break;
        }
    twin_search(&api, &twin, 1, true, "");
    ck_assert_str_eq(api_string(&api, "/via/mode"), "cascade");
    show(INV_UPGRADE_BRIDGED);
    twin_search(&api, &twin, 1, true, "");
    ck_assert_str_eq(api_string(&api, "/via/mode"), "bridge");
    ck_assert_ptr_null(api_at(&api, "/need_vectors"));
    show(INV_UPGRADE_CASCADE);
    twin_search(&api, &twin, 1, false, "");
    ck_assert_ptr_null(api_at(&api, "/need_vectors"));
    ck_assert_ptr_null(api_at(&api, "/cascade"));
}
END_TEST

START_TEST(fully_covered_hits_and_new_documents_share_the_new_models_scores) {
    struct twin_ranked list[TWIN_DOCS];
    twin_put(&api, &twin, 80, TWIN_DOCS, true);
    twin_beside(&api, &twin, 0, 80, 1);
    show(INV_UPGRADE_CASCADE);
    for (int q = 0; q < TWIN_QUERIES; q++) {
        twin_rank(&twin, q, true, list);
        twin_search(&api, &twin, q, true,
                    ",\"limit\":40,\"params\":{\"cascade\":80}");
        twin_same(&api, list, 40);
        ck_assert_int_eq(api_int(&api, "/cascade/covered"), 80);
    }
}
END_TEST

START_TEST(a_funnel_of_the_gallery_ends_in_as_many_as_the_cascade_takes) {
    teardown();
    api_init(&api);
    api_start(&api);
    twin_open(&api, ",\"encoder\":{\"type\":\"matryoshka\",\"dims\":[4,8,16]"
                    ",\"index_dims\":4}");
    twin_put(&api, &twin, 0, TWIN_DOCS, false);
    twin_beside(&api, &twin, 0, TWIN_DOCS, 1);
    show(INV_UPGRADE_CASCADE);
    twin_search(&api, &twin, 0, true,
                ",\"limit\":5,\"explain\":true,\"params\":{\"dims\":[4,8,16]"
                ",\"keep\":[150,120],\"cascade\":60}");
    ck_assert_int_eq(api_int(&api, "/plan/funnel/1/keep"), 60);
    ck_assert_int_eq(api_int(&api, "/plan/funnel/1/dims"), 16);
    ck_assert_int_eq(api_int(&api, "/cascade/n"), 60);
    for (size_t i = 0; i < 5; i++)
        ck_assert_double_eq_tol(twin_score(&api, i),
                                new_score(0, twin_hit(&api, i)), 2e-6);
}
END_TEST

START_TEST(what_searches_find_is_counted_while_an_upgrade_is_registered) {
    struct inv_collection *c = NULL;
    struct twin_ranked list[TWIN_DOCS];
    size_t part, entry, counted = 0;
    ck_assert_int_eq(inv_app_find_ready(api.app, "c", &c, NULL), INV_OK);
    twin_search(&api, &twin, 0, true, DEEP);
    twin_search(&api, &twin, 0, true, DEEP);
    rank_bridge(0, list);
    struct inv_view *view = inv_gallery_view(c->gallery);
    for (int64_t doc = 1; doc <= TWIN_DOCS; doc++) {
        uint32_t count = inv_access_get(c->access, doc);
        ck_assert(inv_view_find_doc(view, inv_view_gallery(view), doc, &part,
                                    &entry));
        long number =
            strtol(view->parts[part].entries->items[entry].id + 1, NULL, 10);
        bool among = false;
        for (int i = 0; i < DEPTH; i++)
            among = among || list[i].doc == number;
        ck_assert_uint_eq(count, among ? 2 : 0);
        counted += count;
    }
    ck_assert_uint_eq(counted, 2 * DEPTH);
    picture_show(&api, "c", INV_UPGRADE_NONE, NULL, NULL, 0);
    twin_search(&api, &twin, 0, false, DEEP);
    for (int64_t doc = 1; doc <= TWIN_DOCS; doc++)
        counted -= inv_access_get(c->access, doc);
    ck_assert_uint_eq(counted, 0);
    inv_ref_put(view);
    inv_ref_put(c);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        with_every_document_covered_it_is_exact_search_over_the_first_n,
        partly_covered_it_is_what_the_judge_measured,
        two_covered_documents_leave_the_order_of_the_bridge,
        its_depth_is_asked_for_or_the_collections_and_at_least_a_page,
        documents_without_a_vector_are_named_best_first_with_their_seqs,
        the_seq_of_a_document_of_a_third_model_is_its_own,
        shadow_asks_for_vectors_while_the_old_model_answers,
        fully_covered_hits_and_new_documents_share_the_new_models_scores,
        a_funnel_of_the_gallery_ends_in_as_many_as_the_cascade_takes,
        what_searches_find_is_counted_while_an_upgrade_is_registered,
    };
    return api_run_tests("the cascade", tests, sizeof tests / sizeof *tests,
                         setup, teardown);
}
