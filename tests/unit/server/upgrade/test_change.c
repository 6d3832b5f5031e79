/*
 * test_change.c: editing the settings of one model of a collection: what was
 * prepared outside the writer thread must not undo what came between.
 */
#include "server/upgrade/change.h"

#include "tests/support/inside.h"

#include <check.h>
#include <stdio.h>

static struct inside in;
static struct inv_collection *c;

static void setup(void) {
    inside_init(&in);
    inside_open(&in);
    inside_ok(&in, INV_PUT, "/v1/collections/c",
              "{\"kind\":\"single\",\"dim\":4,\"model\":{\"name\":\"m\","
              "\"revision\":\"1\"}}");
    inside_ok(&in, INV_PUT, "/v1/collections/c/models/m@2", "{\"dim\":3}");
    ck_assert_int_eq(inv_app_find(in.app, "c", &c, NULL), INV_OK);
}

static void teardown(void) {
    inv_ref_put(c);
    inside_free(&in);
}

static int64_t space_of(const char *name) {
    struct inv_view *view = inv_gallery_view(c->gallery);
    const struct inv_space *space = NULL;
    ck_assert_int_eq(inv_models_find(inv_view_models(view), name, &space, NULL),
                     INV_OK);
    int64_t found = space->space;
    inv_ref_put(view);
    return found;
}

struct change {
    int64_t space;
    enum inv_status refuse; /* INV_OK: no */
    size_t dim;             /* out: of the settings that were to be edited */
};

static enum inv_status edit(void *ctx, struct inv_settings *settings,
                            struct inv_err *err) {
    struct change *change = ctx;
    change->dim = settings->dim;
    settings->index.type = INV_ANN_HNSW;
    return change->refuse == INV_OK ? INV_OK
                                    : inv_fail(err, change->refuse, "refused");
}

static enum inv_status apply(void *ctx, struct inv_db *db,
                             struct inv_err *err) {
    struct change *change = ctx;
    return inv_models_edit(c, db, change->space, edit, change, err);
}

static enum inv_status run(struct change *change) {
    struct inv_operation op = {
        .gallery = c->gallery, .apply = apply, .ctx = change};
    return inv_writer_run(in.app->writer, &op, NULL);
}

/* "flat" or "hnsw", as GET says it. */
static bool has_index(const char *model, const char *type) {
    char path[80];
    char wanted[40];
    snprintf(path, sizeof path, "/v1/collections/c/models/%s", model);
    snprintf(wanted, sizeof wanted, "\"index\":{\"type\":\"%s\"", type);
    inside_ok(&in, INV_GET, path, NULL);
    return inside_says(&in, wanted);
}

START_TEST(each_model_keeps_settings_of_its_own) {
    struct change change = {.space = space_of("m@2")};
    ck_assert_int_eq(run(&change), INV_OK);
    ck_assert_uint_eq(change.dim, 3);
    for (int i = 0; i < 2; i++) {
        ck_assert(has_index("m@1", "auto"));
        ck_assert(has_index("m@2", "hnsw"));
        inv_ref_put(c);
        inside_reopen(&in);
        ck_assert_int_eq(inv_app_find(in.app, "c", &c, NULL), INV_OK);
    }
    change.space = 0; /* the gallery's, which are the collection's */
    ck_assert_int_eq(run(&change), INV_OK);
    ck_assert_uint_eq(change.dim, 4);
    inside_ok(&in, INV_GET, "/v1/collections/c", NULL);
    ck_assert(inside_says(&in, "\"index\":{\"type\":\"hnsw\""));
    ck_assert(has_index("m@1", "hnsw"));
}
END_TEST

START_TEST(a_model_that_is_gone_or_an_edit_that_fails_changes_nothing) {
    struct change change = {.space = space_of("m@2"), .refuse = INV_INVALID};
    ck_assert_int_eq(run(&change), INV_INVALID);
    ck_assert(has_index("m@2", "auto"));
    inside_ok(&in, INV_DELETE, "/v1/collections/c/models/m@2", NULL);
    change.refuse = INV_OK;
    ck_assert_int_eq(run(&change), INV_SPACE_MISMATCH);
    ck_assert(has_index("m@1", "auto"));
}
END_TEST

START_TEST(a_state_of_a_model_that_is_gone_is_not_kept) {
    struct inv_shared_settings *settings = inv_collection_settings(c);
    int64_t space = space_of("m@2");
    struct inv_view *before = inv_gallery_view(c->gallery);
    inside_ok(&in, INV_DELETE, "/v1/collections/c/models/m@2", NULL);
    ck_assert_int_eq(
        inv_collection_new_state(c, space, &settings->settings, false, NULL),
        INV_SPACE_MISMATCH);
    struct inv_view *after = inv_gallery_view(c->gallery);
    ck_assert_uint_eq(before->space_count, 2);
    ck_assert_uint_eq(after->space_count, 1);
    inv_ref_put(before);
    inv_ref_put(after);
    inv_ref_put(settings);
}
END_TEST

START_TEST(states_of_all_models_have_numbers_of_their_own) {
    struct inv_shared_settings *settings = inv_collection_settings(c);
    int64_t first = space_of("m@1");
    for (int i = 0; i < 2; i++) /* what a rebuild with an encoder does */
        ck_assert_int_eq(inv_collection_new_state(c, first, &settings->settings,
                                                  false, NULL),
                         INV_OK);
    inside_ok(&in, INV_PUT, "/v1/collections/c/models/m@3", "{\"dim\":2}");
    struct inv_view *view = inv_gallery_view(c->gallery);
    ck_assert_uint_eq(inv_view_encoding(view, first)->state, 3);
    ck_assert_uint_eq(inv_view_encoding(view, space_of("m@2"))->state, 1);
    ck_assert_uint_eq(inv_view_encoding(view, space_of("m@3"))->state, 4);
    inv_ref_put(view);
    inv_ref_put(settings);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("changes of models");
    TCase *tcase = tcase_create("changes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_model_keeps_settings_of_its_own);
    tcase_add_test(tcase,
                   a_model_that_is_gone_or_an_edit_that_fails_changes_nothing);
    tcase_add_test(tcase, a_state_of_a_model_that_is_gone_is_not_kept);
    tcase_add_test(tcase, states_of_all_models_have_numbers_of_their_own);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
