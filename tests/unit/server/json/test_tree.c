/*
 * test_tree.c: parsing into a tree, the typed getters and their errors, merge
 * patches, and vectors as base64.
 */
#include "base/base64.h"
#include "base/kernels.h"
#include "server/json/json_internal.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct inv_err err;
static inv_json *tree;

static void begin(void) {
    memset(&err, 0, sizeof err);
    tree = NULL;
}

static void end(void) { inv_json_free(tree); }

static inv_json *parse(const char *text) {
    inv_json_free(tree);
    tree = NULL;
    ck_assert_msg(inv_json_parse_plain(text, strlen(text), &tree, &err) ==
                      INV_OK,
                  "%s: %s", text, err.text);
    return tree;
}

static void check_write(const char *text, const char *want) {
    struct inv_buf out = INV_BUF_INIT;
    inv_json_write(parse(text), &out);
    ck_assert(!out.failed);
    ck_assert_str_eq(out.data, want);
    inv_buf_release(&out);
}

START_TEST(written_text_keeps_order_kinds_and_values) {
    check_write(" { \"b\" : 1 , \"a\" : [ true, false, null, \"x\\u00e9\" ] } ",
                "{\"b\":1,\"a\":[true,false,null,\"x\xc3\xa9\"]}");
    check_write("[1.0,0.1,1e300,-0.0,1e15,123456789.125,-5,100000.0]",
                "[1.0,0.1,1e+300,-0.0,1e+15,123456789.125,-5,100000.0]");
    check_write("{}", "{}");
    check_write("[]", "[]");
    check_write("[{},[]]", "[{},[]]");
    check_write("\"a\\n\\\"\\\\\\u0001/\"", "\"a\\n\\\"\\\\\\u0001/\"");
    check_write("9223372036854775807", "9223372036854775807");
    check_write("-9223372036854775808", "-9223372036854775808");
}
END_TEST

START_TEST(malformed_text_is_refused_with_its_place) {
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"a\":1,\"a\":2}",
                                        "[1,]",
                                        "[1] 2",
                                        "nul",
                                        "\"\\u0000\"",
                                        "\"\xff\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\\ud800\"",
                                        "[9223372036854775808]",
                                        "[1e400]",
                                        "[01]",
                                        "{\"\\u0000\":1}",
                                        "\"\n\"",
                                        "[\"a\" \"b\"]",
                                        "{1:2}",
                                        "\xef\xbb\xbf{}",
                                        "'a'",
                                        "[-]",
                                        "[.5]",
                                        "[+1]",
                                        "[NaN]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        inv_json *out = NULL;
        err.text[0] = '\0';
        enum inv_status status =
            inv_json_parse_plain(texts[i], strlen(texts[i]), &out, &err);
        ck_assert_msg(status == INV_MALFORMED, "%s", texts[i]);
        ck_assert_ptr_null(out);
        ck_assert_msg(strstr(err.text, " at byte ") != NULL, "%s", err.text);
    }
    /* a NUL in the text itself */
    ck_assert_int_eq(inv_json_parse_plain("[1]\0", 4, &tree, &err),
                     INV_MALFORMED);
}
END_TEST

START_TEST(a_tree_that_needs_too_much_memory_is_refused) {
    struct inv_arena arena;
    struct inv_json_doc doc;
    struct inv_json_limits limits = {16, 16};
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "[{}");
    for (int i = 0; i < 10000; i++)
        inv_buf_puts(&body, ",{}");
    inv_buf_putc(&body, ']');
    inv_arena_init(&arena, (size_t)1 << 20); /* ~250 bytes an empty object */
    ck_assert_int_eq(
        inv_json_parse(&doc, &arena, body.data, body.len, &limits, &err),
        INV_TOO_LARGE);
    ck_assert_ptr_null(doc.root);
    ck_assert_ptr_nonnull(strstr(err.text, "1048576"));
    inv_arena_release(&arena);
    inv_arena_init(&arena, (size_t)8 << 20);
    ck_assert_int_eq(
        inv_json_parse(&doc, &arena, body.data, body.len, &limits, &err),
        INV_OK);
    inv_json_close(&doc);
    inv_arena_release(&arena);
    inv_buf_release(&body);
}
END_TEST

START_TEST(absent_members_change_nothing) {
    const inv_json *object = parse("{\"x\":1}");
    int64_t i = 42;
    bool b = true;
    const char *s = "same";
    size_t len = 4;
    inv_json *o = NULL;
    uint32_t list[2] = {7, 7};
    size_t count = 9;
    ck_assert_int_eq(inv_json_get_int(object, "", "a", 0, 1, &i, &err), INV_OK);
    ck_assert_int_eq(inv_json_get_bool(object, "", "a", &b, &err), INV_OK);
    ck_assert_int_eq(inv_json_get_string(object, "", "a", 9, &s, &len, &err),
                     INV_OK);
    ck_assert_int_eq(inv_json_get_object(object, "", "a", &o, &err), INV_OK);
    ck_assert_int_eq(inv_json_get_array(object, "", "a", 1, &o, &err), INV_OK);
    ck_assert_int_eq(
        inv_json_get_ints(object, "", "a", 0, 1, list, 2, &count, &err),
        INV_OK);
    ck_assert_int_eq(i, 42);
    ck_assert(b);
    ck_assert_str_eq(s, "same");
    ck_assert_uint_eq(len, 4);
    ck_assert_ptr_null(o);
    ck_assert_uint_eq(list[0], 7);
    ck_assert_uint_eq(count, 9);
    ck_assert_str_eq(err.text, "");
}
END_TEST

static void check_error(enum inv_status status, const char *pointer,
                        const char *first, const char *second) {
    ck_assert_int_eq(status, INV_INVALID);
    ck_assert_str_eq(err.pointer, pointer);
    ck_assert_msg(strstr(err.text, first) && strstr(err.text, second),
                  "%s lacks %s or %s", err.text, first, second);
}

START_TEST(wrong_types_and_ranges_name_both_sides) {
    const inv_json *object =
        parse("{\"i\":11,\"r\":1.5,\"s\":\"abc\",\"e\":\"\",\"a\":[1,2,3],"
              "\"o\":{},\"n\":null,\"m\":[1,\"x\"],\"neg\":[-1],"
              "\"a/b~c\":true}");
    int64_t i;
    bool b;
    const char *s;
    size_t len;
    inv_json *o;
    uint32_t list[3];
    check_error(inv_json_get_int(object, "/p", "i", 1, 10, &i, &err), "/p/i",
                "10", "11");
    check_error(inv_json_get_int(object, "/p", "r", 1, 10, &i, &err), "/p/r",
                "integer", "a real number");
    check_error(inv_json_get_int(object, "", "n", 1, 10, &i, &err), "/n",
                "integer", "null");
    check_error(inv_json_get_bool(object, "", "i", &b, &err), "/i",
                "true or false", "an integer");
    check_error(inv_json_get_string(object, "", "s", 2, &s, &len, &err), "/s",
                "2", "3");
    check_error(inv_json_get_string(object, "", "e", 2, &s, &len, &err), "/e",
                "1", "0");
    check_error(inv_json_get_string(object, "", "a", 2, &s, &len, &err), "/a",
                "a string", "an array");
    check_error(inv_json_get_object(object, "", "a", &o, &err), "/a",
                "an object", "an array");
    check_error(inv_json_get_array(object, "", "o", 2, &o, &err), "/o",
                "an array", "an object");
    check_error(inv_json_get_array(object, "", "a", 2, &o, &err), "/a", "2",
                "3");
    check_error(inv_json_get_ints(object, "", "m", 1, 5, list, 3, &len, &err),
                "/m/1", "integers", "a string");
    check_error(inv_json_get_ints(object, "", "neg", 1, 5, list, 3, &len, &err),
                "/neg/0", "5", "-1");
    check_error(inv_json_get_int(object, "", "a/b~c", 1, 5, &i, &err),
                "/a~1b~0c", "integer", "a boolean");
}
END_TEST

START_TEST(an_unknown_field_is_an_error_that_suggests_the_known_one) {
    static const char *const allowed[] = {"limit", "offset", "filter", NULL};
    ck_assert_int_eq(
        inv_json_allow(parse("{\"limit\":1,\"filter\":2}"), "", allowed, &err),
        INV_OK);
    check_error(inv_json_allow(parse("{\"lmit\":1}"), "/q", allowed, &err),
                "/q/lmit", "\"lmit\"", "did you mean \"limit\"");
    check_error(inv_json_allow(parse("{\"filters\":1}"), "", allowed, &err),
                "/filters", "\"filters\"", "did you mean \"filter\"");
    check_error(inv_json_allow(parse("{\"zebra\":1}"), "", allowed, &err),
                "/zebra", "unknown", "\"zebra\"");
    ck_assert_ptr_null(strstr(err.text, "mean"));
    char text[600];
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"", 2);
    memcpy(text + sizeof text - 5, "\":1}", 5);
    ck_assert_int_eq(inv_json_allow(parse(text), "", allowed, &err),
                     INV_INVALID);
}
END_TEST

START_TEST(merge_patches_follow_rfc_7396) {
    /* the table of its appendix A */
    static const char *const cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
         "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {NULL, "{\"a\":{\"b\":null,\"c\":2}}", "{\"a\":{\"c\":2}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        inv_json *target = NULL;
        inv_json *patch = NULL;
        struct inv_buf out = INV_BUF_INIT;
        struct inv_buf before = INV_BUF_INIT;
        if (cases[i][0] != NULL) {
            ck_assert_int_eq(inv_json_parse_plain(cases[i][0],
                                                  strlen(cases[i][0]), &target,
                                                  &err),
                             INV_OK);
            inv_json_write(target, &before);
        }
        ck_assert_int_eq(inv_json_parse_plain(cases[i][1], strlen(cases[i][1]),
                                              &patch, &err),
                         INV_OK);
        inv_json *result = inv_json_merge_patch(target, patch);
        inv_json_write(result, &out);
        ck_assert_str_eq(out.data, cases[i][2]);
        if (target != NULL) { /* the target is as it was */
            inv_buf_reset(&out);
            inv_json_write(target, &out);
            ck_assert_str_eq(out.data, before.data);
        }
        inv_json_free(result);
        inv_json_free(patch);
        inv_json_free(target);
        inv_buf_release(&out);
        inv_buf_release(&before);
    }
}
END_TEST

/* ---- vectors ---- */

static struct inv_arena arena;
static struct inv_json_doc doc;
static const struct inv_json_limits limits = {8, 4};

static enum inv_status get(const char *body, const char *key,
                           struct inv_given *out) {
    inv_json_close(&doc);
    enum inv_status status =
        inv_json_parse(&doc, &arena, body, strlen(body), &limits, &err);
    if (status == INV_OK)
        status =
            inv_json_get_vectors(&doc, doc.root, "", key, &limits, out, &err);
    return status;
}

static void begin_vectors(void) {
    begin();
    memset(&doc, 0, sizeof doc);
    inv_arena_init(&arena, (size_t)1 << 20);
}

static void end_vectors(void) {
    inv_json_close(&doc);
    inv_arena_release(&arena);
    end();
}

/* {"<key>":{"b64":..,"dtype":..,"shape":..<more>}} */
static const char *base64_body(struct inv_buf *out, const char *key,
                               const void *bytes, size_t len, const char *dtype,
                               const char *shape, const uint16_t *scales,
                               size_t rows) {
    inv_buf_reset(out);
    inv_buf_printf(out, "{\"%s\":{\"b64\":\"", key);
    inv_base64_encode(out, bytes, len);
    inv_buf_printf(out, "\",\"dtype\":\"%s\",\"shape\":%s", dtype, shape);
    if (scales != NULL) {
        inv_buf_puts(out, ",\"scale\":\"");
        inv_base64_encode(out, scales, rows * 2);
        inv_buf_putc(out, '"');
    }
    inv_buf_puts(out, "}}");
    return out->data;
}

START_TEST(base64_vectors_decode_to_the_same_numbers) {
    static const float x[6] = {1, -2.5f, 0.125f, 3, 0, -7};
    struct inv_buf body = INV_BUF_INIT;
    struct inv_given given;
    uint16_t half[6] = {0};
    int8_t small[6] = {0};
    uint16_t scales[2] = {0, 0};
    float wide[6] = {0};
    base64_body(&body, "vectors", x, sizeof x, "f32", "[2,3]", NULL, 0);
    ck_assert_int_eq(get(body.data, "vectors", &given), INV_OK);
    ck_assert(given.plural);
    ck_assert_uint_eq(given.matrix.rows, 2);
    ck_assert_uint_eq(given.matrix.dim, 3);
    ck_assert_int_eq(given.codes.dtype, INV_F32);
    ck_assert_mem_eq(given.matrix.data, x, sizeof x);
    inv_f16_from_f32(x, half, 6);
    base64_body(&body, "vector", half, sizeof half, "f16", "[6]", NULL, 0);
    ck_assert_int_eq(get(body.data, "vector", &given), INV_OK);
    ck_assert(!given.plural);
    ck_assert_mem_eq(given.codes.data, half, sizeof half);
    ck_assert_mem_eq(given.matrix.data, x, sizeof x); /* all exact in f16 */
    for (size_t r = 0; r < 2; r++) {
        inv_i8_from_f32(x + 3 * r, small + 3 * r, &scales[r], 3);
        inv_f32_from_i8(small + 3 * r, scales[r], wide + 3 * r, 3);
    }
    base64_body(&body, "vectors", small, sizeof small, "i8", "[2,3]", scales,
                2);
    ck_assert_int_eq(get(body.data, "vectors", &given), INV_OK);
    ck_assert_mem_eq(given.codes.data, small, sizeof small);
    ck_assert_mem_eq(given.codes.scales, scales, sizeof scales);
    ck_assert_mem_eq(given.matrix.data, wide, sizeof wide);
    inv_buf_release(&body);
}
END_TEST

static void check_base64(const char *key, const float *x, size_t count,
                         const char *dtype, const char *shape,
                         const char *pointer, const char *text) {
    struct inv_buf body = INV_BUF_INIT;
    float other = 0;
    struct inv_given given = {.matrix = {&other, 1, 1}}; /* must be reset */
    base64_body(&body, key, x, count * 4, dtype, shape, NULL, 0);
    enum inv_status status = get(body.data, key, &given);
    ck_assert_msg(status == INV_INVALID || status == INV_NOT_FINITE, "%s",
                  body.data);
    ck_assert_ptr_null(given.matrix.data);
    ck_assert_str_eq(err.pointer, pointer);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    inv_buf_release(&body);
}

START_TEST(base64_that_does_not_fit_is_refused_with_both_numbers) {
    static const float x[4] = {1, 2, NAN, 4};
    static const float big[2] = {1, 2e15f};
    check_base64("vector", x, 4, "f32", "[3]", "/vector/b64", "16 bytes");
    check_base64("vector", x, 2, "f32", "[3]", "/vector/b64", "12");
    check_base64("vector", x, 3, "f32", "[3]", "/vector/b64", "nan");
    check_base64("vector", big, 2, "f32", "[2]", "/vector/b64",
                 "1 of vector 0");
    check_base64("vector", x, 2, "f64", "[2]", "/vector/dtype", "f64");
    check_base64("vector", x, 2, "f32", "[9]", "/vector/shape", "8");
    check_base64("vectors", x, 2, "f32", "[5,1]", "/vectors/shape", "4");
    check_base64("vectors", x, 2, "f32", "[2]", "/vectors/shape", "vectors");
    check_base64("vector", x, 2, "f32", "[2,1]", "/vector/shape", "got 2");
    check_base64("vector", x, 2, "f32", "[]", "/vector/shape", "dimensions");
    check_base64("vector", x, 2, "f32", "[0]", "/vector/shape/0", "0");
    check_base64("vector", x, 1, "i8", "[4]", "/vector", "scale");
    struct inv_given given;
    ck_assert_int_eq(get("{\"vector\":{\"shape\":[1]}}", "vector", &given),
                     INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "b64"));
    ck_assert_int_eq(
        get("{\"vector\":{\"b64\":\"AAAA*AAA\",\"shape\":[1],\"dtype\":"
            "\"f16\"}}",
            "vector", &given),
        INV_INVALID);
    ck_assert_int_eq(get("{\"vector\":{\"b64\":\"AAA*\",\"shape\":[3],"
                         "\"dtype\":\"i8\",\"scale\":\"AAA=\"}}",
                         "vector", &given),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/vector/b64");
    ck_assert_int_eq(get("{\"vector\":{\"b64\":\"AAA=\",\"shape\":[1],"
                         "\"dtype\":\"f16\",\"scale\":\"AAA=\"}}",
                         "vector", &given),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/vector/scale");
    ck_assert_int_eq(get("{\"vector\":{\"b64\":\"AAA=\",\"shape\":[1],"
                         "\"dtype\":\"f16\",\"order\":\"C\"}}",
                         "vector", &given),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/vector/order");
}
END_TEST

START_TEST(what_is_no_vector_is_not_taken_for_one) {
    struct inv_given given;
    static const char *const bodies[] = {
        "{\"vector\":true}", "{\"vector\":null}", "{\"vector\":\"0\"}",
        "{\"x\":[{\"vector\":[1]}],\"vector\":\"0\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ck_assert_int_eq(get(bodies[i], "vector", &given), INV_INVALID);
        ck_assert_str_eq(err.pointer, "/vector");
    }
    ck_assert_int_eq(get("{\"other\":0}", "vector", &given), INV_OK);
    ck_assert_ptr_null(given.matrix.data);
    /* the limits of the getter hold for what the scanner let through */
    ck_assert_int_eq(get("{\"vectors\":[[1,2],[3,4]]}", "vectors", &given),
                     INV_OK);
    struct inv_json_limits tight = {8, 1};
    ck_assert_int_eq(inv_json_get_vectors(&doc, doc.root, "/q", "vectors",
                                          &tight, &given, &err),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/q/vectors");
    ck_assert_ptr_null(given.matrix.data);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tree");
    TCase *tcase = tcase_create("tree");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, written_text_keeps_order_kinds_and_values);
    tcase_add_test(tcase, malformed_text_is_refused_with_its_place);
    tcase_add_test(tcase, a_tree_that_needs_too_much_memory_is_refused);
    tcase_add_test(tcase, absent_members_change_nothing);
    tcase_add_test(tcase, wrong_types_and_ranges_name_both_sides);
    tcase_add_test(tcase,
                   an_unknown_field_is_an_error_that_suggests_the_known_one);
    tcase_add_test(tcase, merge_patches_follow_rfc_7396);
    suite_add_tcase(suite, tcase);
    TCase *vectors = tcase_create("vectors");
    tcase_add_checked_fixture(vectors, begin_vectors, end_vectors);
    tcase_add_test(vectors, base64_vectors_decode_to_the_same_numbers);
    tcase_add_test(vectors,
                   base64_that_does_not_fit_is_refused_with_both_numbers);
    tcase_add_test(vectors, what_is_no_vector_is_not_taken_for_one);
    suite_add_tcase(suite, vectors);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
