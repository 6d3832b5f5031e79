/*
 * test_row.c: the values that payloads hold for the fields of a schema.
 */
#include "server/json/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct inv_err err;
static inv_json *payload;
static struct inv_row *row;

static void begin(void) { payload = NULL, row = NULL; }

static void end(void) {
    free(row);
    inv_json_free(payload);
}

static enum inv_status make(const char *text, const char *key,
                            enum inv_field_type type) {
    free(row);
    inv_json_free(payload);
    row = NULL;
    ck_assert_int_eq(inv_json_parse_plain(text, strlen(text), &payload, &err),
                     INV_OK);
    /* the field in question is the second, to see its index */
    struct inv_field schema[2] = {{"nothing", INV_FIELD_ANY}, {key, type}};
    return inv_json_row(payload, "/payload", schema, 2, &row, &err);
}

static void check_count(const char *text, const char *key,
                        enum inv_field_type type, size_t count) {
    ck_assert_msg(make(text, key, type) == INV_OK, "%s: %s", text, err.text);
    ck_assert_msg((row == NULL ? 0 : row->count) == count, "%s", text);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(row->items[i].field, 1);
}

START_TEST(a_dotted_key_walks_and_a_literal_one_wins) {
    check_count("{\"a\":{\"b\":{\"c\":5}}}", "a.b.c", INV_FIELD_INTEGER, 1);
    ck_assert_int_eq(row->items[0].value.as.integer, 5);
    check_count("{\"a\":{\"b\":1},\"a.b\":2}", "a.b", INV_FIELD_INTEGER, 1);
    ck_assert_int_eq(row->items[0].value.as.integer, 2);
    check_count("{\"a\":{\"b.c\":3}}", "a.b.c", INV_FIELD_INTEGER, 1);
    check_count("{\"a\":{\"b\":1}}", "a.c", INV_FIELD_INTEGER, 0);
    check_count("{\"a\":5}", "a.c", INV_FIELD_INTEGER, 0);
    check_count("{\"a\":[{\"b\":1},{\"c\":2},{\"b\":[3,4]},7]}", "a.b",
                INV_FIELD_INTEGER, 3);
    check_count("{\"a\":{\"b\":1},\"a.b\":null}", "a.b", INV_FIELD_INTEGER, 0);
}
END_TEST

START_TEST(arrays_give_one_value_each_and_null_gives_none) {
    check_count("{\"k\":[\"x\",null,\"y\"]}", "k", INV_FIELD_KEYWORD, 2);
    ck_assert_uint_eq(row->items[1].value.as.string.len, 1);
    ck_assert_int_eq(row->items[1].value.as.string.text[0], 'y');
    check_count("{\"k\":null}", "k", INV_FIELD_KEYWORD, 0);
    check_count("{\"k\":[]}", "k", INV_FIELD_KEYWORD, 0);
    check_count("{}", "k", INV_FIELD_KEYWORD, 0);
    ck_assert_ptr_null(row);
    ck_assert_int_eq(inv_json_row(NULL, "", NULL, 0, &row, &err), INV_OK);
}
END_TEST

START_TEST(values_are_converted_to_the_type_of_the_field) {
    check_count("{\"k\":2020.0}", "k", INV_FIELD_INTEGER, 1);
    ck_assert_int_eq(row->items[0].value.kind, INV_VALUE_INT);
    ck_assert_int_eq(row->items[0].value.as.integer, 2020);
    check_count("{\"k\":3}", "k", INV_FIELD_FLOAT, 1);
    ck_assert_int_eq(row->items[0].value.kind, INV_VALUE_FLOAT);
    ck_assert_double_eq(row->items[0].value.as.number, 3);
    check_count("{\"k\":\"1970-01-01T00:00:01Z\"}", "k", INV_FIELD_DATETIME, 1);
    ck_assert_int_eq(row->items[0].value.as.integer, 1000000);
    check_count("{\"k\":[true,false]}", "k", INV_FIELD_BOOL, 2);
    ck_assert(row->items[0].value.as.boolean);
    check_count("{\"k\":[1,\"a\",2.5,true,{},[1],null]}", "k", INV_FIELD_ANY,
                4);
    ck_assert_int_eq(row->items[0].value.kind, INV_VALUE_INT);
    ck_assert_int_eq(row->items[1].value.kind, INV_VALUE_STRING);
    ck_assert_int_eq(row->items[2].value.kind, INV_VALUE_FLOAT);
    ck_assert_int_eq(row->items[3].value.kind, INV_VALUE_BOOL);
}
END_TEST

START_TEST(a_wrong_type_is_an_error_that_names_both) {
    static const struct {
        const char *text;
        enum inv_field_type type;
        const char *wanted, *got;
    } cases[] = {
        {"{\"k\":5}", INV_FIELD_KEYWORD, "keyword", "an integer"},
        {"{\"k\":\"5\"}", INV_FIELD_INTEGER, "integer", "a string"},
        {"{\"k\":1.5}", INV_FIELD_INTEGER, "integer", "a real number"},
        {"{\"k\":1e300}", INV_FIELD_INTEGER, "integer", "a real number"},
        {"{\"k\":true}", INV_FIELD_FLOAT, "float", "a boolean"},
        {"{\"k\":{}}", INV_FIELD_FLOAT, "float", "an object"},
        {"{\"k\":[[1]]}", INV_FIELD_INTEGER, "integer", "an array"},
        {"{\"k\":\"yesterday\"}", INV_FIELD_DATETIME, "datetime", "RFC 3339"},
        {"{\"k\":5}", INV_FIELD_DATETIME, "datetime", "an integer"},
        {"{\"k\":0}", INV_FIELD_BOOL, "bool", "an integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(make(cases[i].text, "k", cases[i].type), INV_INVALID);
        ck_assert_ptr_null(row);
        ck_assert_str_eq(err.pointer, "/payload/k");
        ck_assert_msg(strstr(err.text, cases[i].wanted) != NULL &&
                          strstr(err.text, cases[i].got) != NULL,
                      "%s", err.text);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("row");
    TCase *tcase = tcase_create("row");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_dotted_key_walks_and_a_literal_one_wins);
    tcase_add_test(tcase, arrays_give_one_value_each_and_null_gives_none);
    tcase_add_test(tcase, values_are_converted_to_the_type_of_the_field);
    tcase_add_test(tcase, a_wrong_type_is_an_error_that_names_both);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
