/*
 * test_upgrade_show.c: cli/upgrade.h and cli/migration.h without a daemon: the
 * bodies that are sent, the names of adapters, which of them is chosen, and
 * what people get to read.
 */
#include "cli/upgrade.h"

#include "cli/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct inv_err err;
static struct inv_buf out;

static void end(void) { inv_buf_release(&out); }

static inv_json *parse(const char *text) {
    inv_json *tree = NULL;
    ck_assert_msg(inv_json_parse_plain(text, strlen(text), &tree, &err) ==
                      INV_OK,
                  "%s: %s", text, err.text);
    return tree;
}

/* ---- bodies ---- */

static const char *fit_body(const char *method) {
    const struct inv_fit_wish wish = {.from = "m@2",
                                      .name = "n",
                                      .label_field = "topic",
                                      .kappa = -1,
                                      .margin = .02,
                                      .steps = 50};
    inv_buf_reset(&out);
    ck_assert_int_eq(inv_fit_body(method, &wish, &out, &err), INV_OK);
    return out.data;
}

START_TEST(methods_become_kind_and_solver) {
    ck_assert_str_eq(fit_body("procrustes"),
                     "{\"from\":\"m@2\",\"name\":\"n\",\"kind\":\"procrustes\","
                     "\"margin\":0.02}");
    ck_assert_str_eq(fit_body("path:0.35"),
                     "{\"from\":\"m@2\",\"name\":\"n\",\"kind\":"
                     "\"lambda_orthogonal\",\"solver\":\"path\",\"kappa\":0.35,"
                     "\"margin\":0.02}");
    ck_assert_str_eq(fit_body("contrastive:0.02"),
                     "{\"from\":\"m@2\",\"name\":\"n\",\"kind\":"
                     "\"lambda_orthogonal\",\"solver\":\"contrastive\","
                     "\"temperature\":0.02,\"steps\":50,\"margin\":0.02}");
    ck_assert_str_eq(fit_body("ridge"),
                     "{\"from\":\"m@2\",\"name\":\"n\",\"kind\":\"ridge\","
                     "\"margin\":0.02}");
}
END_TEST

START_TEST(a_body_is_of_one_known_method) {
    const struct inv_fit_wish wish = INV_FIT_WISH_INIT;
    ck_assert_int_eq(inv_fit_body("magic", &wish, &out, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "magic"));
    ck_assert_int_eq(inv_fit_body("ridge,procrustes", &wish, &out, &err),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "got 2"));
}
END_TEST

START_TEST(a_model_is_described_by_what_was_given) {
    struct inv_model_flags flags = {.dim = 384, .index = "{\"type\":\"flat\"}"};
    ck_assert_int_eq(inv_model_body(&flags, &out, &err), INV_OK);
    ck_assert_str_eq(out.data, "{\"dim\":384,\"index\":{\"type\":\"flat\"}}");
    inv_buf_reset(&out);
    flags = (struct inv_model_flags){.dim = 0};
    ck_assert_int_eq(inv_model_body(&flags, &out, &err), INV_OK);
    ck_assert_str_eq(out.data, "{}");
    flags.encoder = "[1]";
    ck_assert_int_eq(inv_model_body(&flags, &out, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "--encoder"));
}
END_TEST

START_TEST(names_of_adapters_are_legal_and_always_the_same) {
    char name[INV_NAME_MAX + 1];
    char other[INV_NAME_MAX + 1];
    char model[140];
    inv_adapter_name("static@2", "static@1", "path:0.1", name);
    ck_assert_str_eq(name, "static-2-to-static-1-path-0.1");
    memset(model, 'x', sizeof model);
    model[sizeof model - 1] = '\0';
    inv_adapter_name(model, "a@1", "ridge", name);
    ck_assert_uint_eq(strlen(name), INV_NAME_MAX);
    inv_adapter_name(model, "a@1", "procrustes", other);
    ck_assert_str_ne(name, other);
    inv_adapter_name(model, "a@1", "ridge", other);
    ck_assert_str_eq(name, other);
}
END_TEST

/* ---- choosing ---- */

static inv_json *adapter(const char *name, const char *verdict,
                         const char *kind, double knob, double held_out) {
    char text[512];
    snprintf(
        text, sizeof text,
        "{\"name\":\"%s\",\"verdict\":\"%s\",\"from\":\"m@2\",\"to\":"
        "\"m@1\",\"report\":{\"documents\":5183,\"covered\":5183,\"queries\":"
        "300,"
        "\"old_old\":{\"ndcg10\":0.5578},\"new_new\":{\"ndcg10\":0.6451},"
        "\"methods\":[{\"method\":\"%s\",\"kind\":\"%s\",\"knob\":%g,"
        "\"vector_pairs\":2000,\"held_out\":{\"ndcg10\":%g},\"gate\":{\"gain\":"
        "-0.01,\"gain_low\":-0.03,\"gain_high\":0.01,\"reason\":\"too "
        "few\",\"queries_needed\":900,\"break_even\":0.25}}]}}",
        name, verdict, name, kind, knob, held_out);
    return parse(text);
}

static const char *chosen_of(inv_json **list, size_t count) {
    static char name[80];
    const inv_json *chosen =
        inv_upgrade_choose((const inv_json *const *)list, count);
    snprintf(name, sizeof name, "%s", inv_text_of(chosen, "name"));
    for (size_t i = 0; i < count; i++)
        inv_json_free(list[i]);
    return name;
}

START_TEST(the_best_held_out_is_chosen_when_it_is_clearly_better) {
    inv_json *list[] = {adapter("p", "ACTIVATE", "procrustes", 0, .540),
                        adapter("k", "ACTIVATE", "path", .1, .546),
                        adapter("c", "ACTIVATE", "contrastive", 0, .570)};
    ck_assert_str_eq(chosen_of(list, 3), "c");
}
END_TEST

START_TEST(within_noise_the_simplest_is_chosen) {
    inv_json *list[] = {adapter("r", "ACTIVATE", "ridge", 0, .552),
                        adapter("k35", "ACTIVATE", "path", .35, .551),
                        adapter("k10", "ACTIVATE", "path", .1, .549),
                        adapter("p", "ACTIVATE", "procrustes", 0, .540)};
    ck_assert_str_eq(chosen_of(list, 4), "k10");
}
END_TEST

START_TEST(what_the_gate_permits_weighs_more_than_quality) {
    inv_json *list[] = {adapter("a", "REFUSE", "ridge", 0, .9),
                        adapter("b", "CASCADE_ONLY", "path", .1, .5),
                        adapter("c", "ACTIVATE", "contrastive", 0, .4)};
    ck_assert_str_eq(chosen_of(list, 3), "c");
    inv_json *rest[] = {adapter("a", "REFUSE", "ridge", 0, .9),
                        adapter("b", "CASCADE_ONLY", "path", .1, .5)};
    ck_assert_str_eq(chosen_of(rest, 2), "b");
    ck_assert_ptr_null(inv_upgrade_choose(NULL, 0));
}
END_TEST

/* ---- reading ---- */

START_TEST(the_table_says_verdict_and_numbers) {
    inv_json *a = adapter("path:0.1", "CASCADE_ONLY", "path", .1, .5487);
    inv_upgrade_table((const inv_json *const[]){a}, 1, "path:0.1", &out);
    static const char *const parts[] = {
        "5,183 documents, 2,000 pairs of vectors, 300 judged queries\n",
        "nDCG@10 of a model on its own vectors: m@1 0.5578, m@2 0.6451\n",
        "* path:0.1",
        "0.5487",
        "-0.010 (-0.030..+0.010)",
        "path:0.1: CASCADE_ONLY: too few; about 900 judged queries could tell "
        "more"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(out.data, parts[i]) != NULL, "no \"%s\" in\n%s",
                      parts[i], out.data);
    inv_json_free(a);
}
END_TEST

/* Columns of the longest line. */
static size_t widest(const char *text) {
    size_t widest = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (inv_text_width(text, len) > widest)
            widest = inv_text_width(text, len);
        text += len + (text[len] == '\n');
    }
    return widest;
}

START_TEST(the_usual_methods_fit_into_80_columns) {
    inv_json *a = adapter("contrastive", "CASCADE_ONLY", "contrastive", 0, .57);
    inv_upgrade_table((const inv_json *const[]){a}, 1, "contrastive", &out);
    ck_assert_msg(widest(out.data) <= 80, "%zu columns:\n%s", widest(out.data),
                  out.data);
    inv_json_free(a);
}
END_TEST

START_TEST(of_a_part_it_says_how_many_queries_that_rests_on) {
    inv_json *a =
        parse("{\"from\":\"m@2\",\"to\":\"m@1\",\"report\":{\"documents\":5183,"
              "\"covered\":2000,\"queries\":300,\"covered_queries\":126,"
              "\"old_covered\":{\"ndcg10\":0.4776},\"new_new\":{\"ndcg10\":"
              "0.5795}}}");
    inv_upgrade_table((const inv_json *const[]){a}, 1, NULL, &out);
    ck_assert_ptr_nonnull(strstr(out.data,
                                 "over the 2,000 with both vectors, 126 "
                                 "queries: m@1 0.4776, m@2 0.5795\n"));
    inv_json_free(a);
}
END_TEST

START_TEST(only_another_verdict_than_that_of_the_chosen_is_explained) {
    inv_json *list[] = {adapter("ridge", "REFUSE", "ridge", 0, .50),
                        adapter("path:0.1", "CASCADE_ONLY", "path", .1, .54),
                        adapter("path:0.35", "CASCADE_ONLY", "path", .35, .53)};
    inv_upgrade_table((const inv_json *const *)list, 3, "path:0.1", &out);
    ck_assert_ptr_nonnull(strstr(out.data, "ridge: REFUSE"));
    ck_assert_ptr_nonnull(strstr(out.data, "path:0.1: CASCADE_ONLY"));
    ck_assert_ptr_null(strstr(out.data, "path:0.35: CASCADE_ONLY"));
    inv_buf_reset(&out);
    inv_upgrade_table((const inv_json *const *)list, 3, NULL, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "path:0.35: CASCADE_ONLY"));
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        inv_json_free(list[i]);
}
END_TEST

START_TEST(a_matrix_has_queries_down_and_indexes_across) {
    inv_json *answer =
        parse("{\"models\":[\"m@1\",\"m@2\"],\"matrix\":[[0.5578,null],[0.5487,"
              "0.6451]],\"ac\":1,\"queries\":300,\"metric\":\"ndcg@10\"}");
    inv_upgrade_matrix(answer, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "m@1              0.5578       -"));
    ck_assert_ptr_nonnull(strstr(out.data, "m@2              0.5487  0.6451"));
    ck_assert_ptr_nonnull(strstr(out.data, "average compatibility"));
    inv_json_free(answer);
}
END_TEST

START_TEST(a_migration_is_told_with_its_journal) {
    inv_json *answer = parse(
        "{\"state\":\"CASCADE\",\"model\":\"m@2\",\"adapter\":\"a\","
        "\"query_model\":\"m@2\",\"gallery_model\":\"m@1\",\"documents\":5183,"
        "\"covered\":1200,\"coverage\":0.2315,\"alone\":3,\"break_even\":0.1,"
        "\"can_roll_back\":true,\"journal\":[{\"id\":1,\"at_ms\":0,\"action\":"
        "\"activate\",\"from\":{\"state\":\"NONE\"},\"to\":{\"state\":"
        "\"CASCADE\",\"model\":\"m@2\",\"adapter\":\"a\"},\"forced\":true,"
        "\"note\":\"n\"}]}");
    inv_migration_show(answer, &out);
    static const char *const parts[] = {
        "CASCADE: adapted queries",
        "23.2 %: 1,200 of 5,183 documents",
        "break-even      10 %",
        "`invar rollback`",
        "activate, forced  NONE  CASCADE  m@2\n",
        "step 1: a: n\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(out.data, parts[i]) != NULL, "no \"%s\" in\n%s",
                      parts[i], out.data);
    inv_json_free(answer);
}
END_TEST

START_TEST(a_model_is_found_by_its_only_revision) {
    inv_json *one = parse("{\"models\":[{\"model\":\"a@1\",\"dim\":3},"
                          "{\"model\":\"ab@1\",\"dim\":4}]}");
    inv_json *two = parse("{\"models\":[{\"model\":\"a@1\"},{\"model\":"
                          "\"a@2\"}]}");
    ck_assert_uint_eq(inv_uint_of(inv_model_of(one, "a"), "dim"), 3);
    ck_assert_uint_eq(inv_uint_of(inv_model_of(one, "ab@1"), "dim"), 4);
    ck_assert_ptr_null(inv_model_of(one, "b"));
    ck_assert_ptr_null(inv_model_of(two, "a"));
    ck_assert_ptr_nonnull(inv_model_of(two, "a@2"));
    inv_json_free(one);
    inv_json_free(two);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/upgrade_show");
    TCase *tests = tcase_create("show");
    tcase_add_checked_fixture(tests, NULL, end);
    tcase_add_test(tests, methods_become_kind_and_solver);
    tcase_add_test(tests, a_body_is_of_one_known_method);
    tcase_add_test(tests, a_model_is_described_by_what_was_given);
    tcase_add_test(tests, names_of_adapters_are_legal_and_always_the_same);
    tcase_add_test(tests,
                   the_best_held_out_is_chosen_when_it_is_clearly_better);
    tcase_add_test(tests, within_noise_the_simplest_is_chosen);
    tcase_add_test(tests, what_the_gate_permits_weighs_more_than_quality);
    tcase_add_test(tests, the_table_says_verdict_and_numbers);
    tcase_add_test(tests, the_usual_methods_fit_into_80_columns);
    tcase_add_test(tests, of_a_part_it_says_how_many_queries_that_rests_on);
    tcase_add_test(tests,
                   only_another_verdict_than_that_of_the_chosen_is_explained);
    tcase_add_test(tests, a_matrix_has_queries_down_and_indexes_across);
    tcase_add_test(tests, a_migration_is_told_with_its_journal);
    tcase_add_test(tests, a_model_is_found_by_its_only_revision);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
