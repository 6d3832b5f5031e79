/*
 * test_scan.c: the scanner against jansson, and the positions that errors name.
 */
#include "base/rng.h"
#include "server/json/json_internal.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_json_limits limits = {.max_dim = 512, .max_rows = 64};
static struct inv_arena arena;
static struct inv_json_doc doc;
static struct inv_err err;

static void begin(void) {
    inv_arena_init(&arena, (size_t)64 << 20);
    memset(&doc, 0, sizeof doc);
    memset(&err, 0, sizeof err);
}

static void end(void) {
    inv_json_close(&doc);
    inv_arena_release(&arena);
}

/* Parses a copy without anything behind it, so that asan sees a byte too far.
 */
static enum inv_status parse(const char *body, size_t len) {
    inv_json_close(&doc);
    char *copy = malloc(len);
    ck_assert(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, body, len);
    enum inv_status status =
        inv_json_parse(&doc, &arena, copy, len, &limits, &err);
    free(copy);
    return status;
}

static enum inv_status parse_text(const char *body) {
    return parse(body, strlen(body));
}

START_TEST(a_malformed_number_is_named_with_its_byte) {
    static const struct {
        const char *body;
        size_t at;
    } cases[] = {
        {"{\"vector\":[.5]}", 11},       {"{\"vector\":[01]}", 12},
        {"{\"vector\":[1.]}", 13},       {"{\"vector\":[+1]}", 11},
        {"{\"vector\":[NaN]}", 11},      {"{\"vector\":[-]}", 12},
        {"{\"vector\":[Infinity]}", 11}, {"{\"vector\":[-Infinity]}", 12},
        {"{\"vector\":[1e]}", 13},       {"{\"vector\":[1e+]}", 14},
        {"{\"vector\":[1,]}", 13},       {"{\"vector\":[,1]}", 11},
        {"{\"vector\":[1 2]}", 13},      {"{\"vector\":[1", 12},
        {"{\"vector\":[1,", 13},         {"{\"vector\":[", 11},
        {"{\"vector\":[1.5.5]}", 14},    {"{\"vector\":[1x]}", 12},
        {"{\"vector\":[00]}", 12},       {"{\"vector\":[-01]}", 13},
        {"{\"vectors\":[[1],]}", 16},    {"{\"vectors\":[[1}", 14},
        {"{\"vector\":[0x10]}", 12},     {"{\"vector\":[1.e5]}", 13},
        {"{\"vector\":[1\v]}", 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse_text(cases[i].body) == INV_MALFORMED, "%s",
                      cases[i].body);
        char want[32];
        snprintf(want, sizeof want, "at byte %zu (", cases[i].at);
        ck_assert_msg(strstr(err.text, want) != NULL, "%s: %s", cases[i].body,
                      err.text);
    }
}
END_TEST

START_TEST(what_is_not_a_number_is_named_with_its_pointer) {
    static const struct {
        const char *body;
        enum inv_status status;
        const char *text, *pointer;
    } cases[] = {
        {"{\"vector\":[1,null]}", INV_INVALID, "null", "/vector/1"},
        {"{\"vector\":[true]}", INV_INVALID, "a boolean", "/vector/0"},
        {"{\"vector\":[\"1\"]}", INV_INVALID, "a string", "/vector/0"},
        {"{\"vector\":[[1]]}", INV_INVALID, "an array", "/vector/0"},
        {"{\"vector\":[{}]}", INV_INVALID, "an object", "/vector/0"},
        {"{\"vectors\":[1]}", INV_INVALID, "a number", "/vectors/0"},
        {"{\"vectors\":[null]}", INV_INVALID, "null", "/vectors/0"},
        {"{\"vector\":[]}", INV_INVALID, "empty", "/vector"},
        {"{\"vectors\":[]}", INV_INVALID, "empty", "/vectors"},
        {"{\"vectors\":[[1],[ ]]}", INV_INVALID, "empty", "/vectors/1"},
        {"{\"vectors\":[[1,2],[1]]}", INV_DIMENSION,
         "row 1 has 1 numbers where row 0 has 2", "/vectors/1"},
        {"{\"vectors\":[[1],[1],[1,2,3]]}", INV_DIMENSION,
         "row 2 has 3 numbers where row 0 has 1", "/vectors/2"},
        {"{\"vector\":[0,1e39]}", INV_NOT_FINITE, "1e39", "/vector/1"},
        {"{\"vector\":[-1e16]}", INV_NOT_FINITE, "-1e16", "/vector/0"},
        {"{\"vectors\":[[1],[1e400]]}", INV_NOT_FINITE, "1e400",
         "/vectors/1/0"},
        {"{\"documents\":[{},{\"id\":\"a,[\",\"vectors\":[[1,2],[3,null]]}]}",
         INV_INVALID, "null", "/documents/1/vectors/1/1"},
        {"{\"vector\":7}", INV_INVALID, "got a number", "/vector"},
        {"{\"a\":{\"vectors\": -7}}", INV_INVALID, "got a number",
         "/a/vectors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum inv_status status = parse_text(cases[i].body);
        ck_assert_msg(status == cases[i].status, "%s: %s", cases[i].body,
                      err.text);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s",
                      cases[i].body, err.text);
        ck_assert_str_eq(err.pointer, cases[i].pointer);
    }
}
END_TEST

START_TEST(limits_are_reported_with_both_numbers) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_puts(&body, "{\"vector\":[0");
    for (int i = 1; i < 513; i++)
        inv_buf_puts(&body, ",0");
    inv_buf_puts(&body, "]}");
    ck_assert_int_eq(parse(body.data, body.len), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "513"));
    ck_assert_ptr_nonnull(strstr(err.text, "512"));
    ck_assert_str_eq(err.pointer, "/vector");
    body.data[body.len - 4] = ' '; /* one fewer */
    body.data[body.len - 3] = ' ';
    ck_assert_int_eq(parse(body.data, body.len), INV_OK);
    ck_assert_uint_eq(doc.vectors[0].matrix.dim, 512);
    inv_buf_reset(&body);
    inv_buf_puts(&body, "{\"vectors\":[[1,2]");
    for (int i = 1; i < 70; i++)
        inv_buf_puts(&body, ",[1,2]");
    inv_buf_puts(&body, "]}");
    ck_assert_int_eq(parse(body.data, body.len), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "70"));
    ck_assert_ptr_nonnull(strstr(err.text, "64"));
    ck_assert_str_eq(err.pointer, "/vectors");
    inv_buf_release(&body);
}
END_TEST

START_TEST(vectors_below_payload_filter_and_with_stay_where_they_are) {
    const char *body =
        "{\"payload\":{\"vector\":[1,\"a\"],\"x\":[{\"vectors\":7}]},"
        "\"f\":{\"filter\":{\"vector\":[null]}},\"with\":{\"vectors\":3},"
        "\"p\\u0061yload\\u0000\":0}";
    ck_assert_int_eq(parse_text(body), INV_MALFORMED); /* NUL in a key */
    body = "{\"payload\":{\"vector\":[1,\"a\"],\"x\":[{\"vectors\":7}]},"
           "\"f\":{\"filter\":{\"vector\":[null]}},\"with\":{\"vectors\":3},"
           "\"vector\":[5]}";
    ck_assert_int_eq(parse_text(body), INV_OK);
    ck_assert_uint_eq(doc.vector_count, 1);
    const inv_json *payload = inv_json_get(doc.root, "payload");
    ck_assert_int_eq(inv_json_kind(inv_json_get(payload, "vector")),
                     INV_JSON_ARRAY);
    ck_assert_int_eq(inv_json_int(inv_json_get(doc.root, "vector")), 0);
}
END_TEST

START_TEST(an_escaped_key_is_the_same_key) {
    ck_assert_int_eq(
        parse_text("{\"\\u0076ect\\u006Fr\":[1,2],\"p\\u0061yload\":"
                   "{\"vector\":[8]},\"vec\\tor\":[3],\"vectors\\u0073\":[1]}"),
        INV_OK);
    ck_assert_uint_eq(doc.vector_count, 1);
    ck_assert_double_eq((double)doc.vectors[0].matrix.data[1], 2);
    const inv_json *payload = inv_json_get(doc.root, "payload");
    ck_assert_int_eq(inv_json_kind(inv_json_get(payload, "vector")),
                     INV_JSON_ARRAY);
    ck_assert_int_eq(parse_text("{\"vecto\\u0072\":12}"), INV_INVALID);
}
END_TEST

START_TEST(nothing_behind_an_array_can_join_its_placeholder) {
    static const char *const bodies[] = {"{\"vector\":[1]5}",
                                         "{\"vector\":[1].5}",
                                         "{\"vector\":[1]e5}",
                                         "{\"vector\":[1][1]}",
                                         "{\"vector\":[1]\"\"}",
                                         "{\"vector\":[1] 5}",
                                         "{\"vector\":[1]:[1]}",
                                         "{\"vector\":[1]}5",
                                         "{\"vector\":[1],}",
                                         "[\"vector\":[1]]",
                                         "\"vector\":[1]",
                                         "{\"vector\"::[1]}",
                                         "{\"vector\":[1],\"vector\":[1]}",
                                         "{\"vector\":-[1]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        ck_assert_msg(parse_text(bodies[i]) != INV_OK, "%s", bodies[i]);
}
END_TEST

START_TEST(errors_behind_vectors_have_positions_in_the_body_as_sent) {
    static const struct {
        const char *body, *where;
    } cases[] = {
        {"{\"vector\":[1.25, 2.5],\n \"\xc3\xa9\": tru}",
         "byte 30 (line 2, column 7)"},
        {"{\"vector\":[1.25, 2.5],\n\"vectors\":[[1,2],\n[3,4]], x}",
         "byte 49 (line 3, column 9)"},
        {"{\"vector\":[1,2,3]", "byte 17 (line 1, column 18)"},
        {"{\"a\":1,\"a\":2}", "byte 7 (line 1, column 8)"},
        {"{\"vector\":[1],\"n\":12345678901234567890}", "(line 1, column "},
        {"{\"vector\":[10000]} x", "byte 19 (line 1, column 20)"},
        {"", "byte 0 (line 1, column 1)"},
        {"{\"vector\":[1], \"a\":\"\xff\"}", "byte 20 (line 1, column 21)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(parse_text(cases[i].body), INV_MALFORMED);
        ck_assert_msg(strstr(err.text, cases[i].where) != NULL, "%s: %s",
                      cases[i].body, err.text);
    }
}
END_TEST

START_TEST(depth_is_limited_and_the_limit_itself_is_fine) {
    char body[200];
    for (int depth = 1; depth < 90; depth++) {
        memset(body, '[', (size_t)depth);
        memset(body + depth, ']', (size_t)depth);
        enum inv_status status = parse(body, (size_t)depth * 2);
        ck_assert_int_eq(status,
                         depth <= INV_JSON_DEPTH_MAX ? INV_OK : INV_MALFORMED);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "64"));
    ck_assert_ptr_nonnull(strstr(err.text, "byte 64"));
}
END_TEST

/* Random documents: built as text with every vector, then compared with what
 * jansson alone makes of the same text. */
static const char *const keys[] = {"vector", "vectors", "id",     "a",
                                   "text",   "vect",    "vectorz"};

static void put_space(struct inv_buf *out, struct inv_stream *stream) {
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t \r\n"};
    inv_buf_puts(out, spaces[inv_stream_next(stream) % 6]);
}

static void put_number(struct inv_buf *out, struct inv_stream *stream) {
    double x = (double)(int64_t)inv_stream_next(stream) * 0x1p-63;
    put_space(out, stream);
    switch (inv_stream_next(stream) % 4) {
    case 0:
        inv_buf_printf(out, "%.6f", x);
        break;
    case 1:
        inv_buf_printf(out, "%.17g", x * 1000);
        break;
    case 2:
        inv_buf_printf(out, "%d", (int)(x * 1e6));
        break;
    default:
        inv_buf_printf(out, "%.3e", x);
    }
    put_space(out, stream);
}

static void put_row(struct inv_buf *out, struct inv_stream *stream, int dim) {
    inv_buf_putc(out, '[');
    for (int i = 0; i < dim; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        put_number(out, stream);
    }
    inv_buf_putc(out, ']');
}

static void put_value(struct inv_buf *out, struct inv_stream *stream, int depth,
                      const char *key);

static void put_object(struct inv_buf *out, struct inv_stream *stream,
                       int depth) {
    inv_buf_putc(out, '{');
    unsigned which = (unsigned)inv_stream_next(stream);
    bool first = true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if ((which >> i) % 2 == 0)
            continue;
        inv_buf_puts(out, first ? "" : ",");
        first = false;
        put_space(out, stream);
        inv_buf_printf(out, "\"%s\"", keys[i]);
        put_space(out, stream);
        inv_buf_putc(out, ':');
        put_space(out, stream);
        put_value(out, stream, depth, keys[i]);
        put_space(out, stream);
    }
    inv_buf_putc(out, '}');
}

static void put_value(struct inv_buf *out, struct inv_stream *stream, int depth,
                      const char *key) {
    static const char *const strings[] = {
        "\"\"",       "\"[1,2\"",
        "\"a\\\\\"",  "\"\\\"vector\\\":[1]\"",
        "\"vector\"", "\"\\\\\\\"]\"",
        "true",       "null",
        "12",         "1.5"};
    int dim = 1 + (int)(inv_stream_next(stream) % 20);
    if (strcmp(key, "vector") == 0) {
        put_row(out, stream, dim);
    } else if (strcmp(key, "vectors") == 0) {
        int rows = 1 + (int)(inv_stream_next(stream) % 5);
        for (int i = 0; i < rows; i++) {
            inv_buf_puts(out, i == 0 ? "[" : ",");
            put_space(out, stream);
            put_row(out, stream, dim);
            put_space(out, stream);
        }
        inv_buf_putc(out, ']');
    } else if (depth < 4 && inv_stream_next(stream) % 2 == 0) {
        if (inv_stream_next(stream) % 2 == 0) {
            put_object(out, stream, depth + 1);
            return;
        }
        inv_buf_putc(out, '[');
        put_object(out, stream, depth + 1);
        inv_buf_putc(out, ',');
        put_value(out, stream, depth + 1, "");
        inv_buf_putc(out, ']');
    } else {
        inv_buf_puts(out, strings[inv_stream_next(stream) % 10]);
    }
}

static void compare_row(const float *got, size_t dim, const json_t *want) {
    ck_assert_uint_eq(json_array_size(want), dim);
    for (size_t i = 0; i < dim; i++) {
        /* a double is never in the middle here: see the tests of numbers */
        double x = json_number_value(json_array_get(want, i));
        ck_assert_double_eq((double)got[i], (double)(float)x);
    }
}

static size_t compare(const inv_json *got, json_t *want, const char *key) {
    size_t found = 0;
    bool plural = strcmp(key, "vectors") == 0;
    if (plural || strcmp(key, "vector") == 0) {
        ck_assert_int_eq(inv_json_kind(got), INV_JSON_INT);
        const struct inv_given *given = &doc.vectors[inv_json_int(got)];
        ck_assert_int_eq(given->plural, plural);
        ck_assert_uint_eq((uintptr_t)given->matrix.data % 64, 0);
        size_t dim = given->matrix.dim;
        if (!plural)
            compare_row(given->matrix.data, dim, want);
        else
            ck_assert_uint_eq(given->matrix.rows, json_array_size(want));
        for (size_t r = 0; plural && r < given->matrix.rows; r++)
            compare_row(given->matrix.data + r * dim, dim,
                        json_array_get(want, r));
        return 1;
    }
    if (json_is_object(want)) {
        ck_assert_uint_eq(inv_json_size(got), json_object_size(want));
        const char *name;
        json_t *member;
        json_object_foreach(want, name, member) {
            found += compare(inv_json_get(got, name), member, name);
        }
    } else if (json_is_array(want)) {
        ck_assert_uint_eq(inv_json_size(got), json_array_size(want));
        for (size_t i = 0; i < json_array_size(want); i++)
            found += compare(inv_json_at(got, i), json_array_get(want, i), "");
    } else {
        ck_assert_int_eq(json_equal((const json_t *)got, want), 1);
    }
    return found;
}

START_TEST(random_documents_read_as_jansson_reads_them) {
    struct inv_stream stream;
    inv_stream_init(&stream, 11, "documents", 0);
    struct inv_buf body = INV_BUF_INIT;
    size_t vectors = 0;
    for (int i = 0; i < 2000; i++) {
        inv_buf_reset(&body);
        put_object(&body, &stream, 0);
        ck_assert_msg(parse(body.data, body.len) == INV_OK, "%s: %s", body.data,
                      err.text);
        json_t *want = json_loadb(body.data, body.len, 0, NULL);
        ck_assert_ptr_nonnull(want);
        size_t found = compare(doc.root, want, "");
        ck_assert_uint_eq(found, doc.vector_count);
        vectors += found;
        json_decref(want);
        if (i % 100 == 0) {
            end();
            begin();
        }
    }
    ck_assert_uint_gt(vectors, 1000);
    inv_buf_release(&body);
}
END_TEST

START_TEST(every_cut_off_body_is_malformed) {
    const char *body = "{\"documents\":[{\"id\":\"a\\\"b\",\"vectors\":"
                       "[[1.5,-2e1],[3,4]],\"payload\":{\"vector\":[1]}}]}";
    size_t len = strlen(body);
    ck_assert_int_eq(parse(body, len), INV_OK);
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(parse(body, i), INV_MALFORMED);
}
END_TEST

START_TEST(many_small_vectors_each_keep_their_place) {
    struct inv_buf body = INV_BUF_INIT;
    inv_buf_putc(&body, '[');
    for (int i = 0; i < 3000; i++)
        inv_buf_printf(&body, "%s{\"vector\":[%d]}", i == 0 ? "" : ",", i);
    inv_buf_puts(&body, ", bad]");
    ck_assert_int_eq(parse(body.data, body.len), INV_MALFORMED);
    char want[32];
    snprintf(want, sizeof want, "byte %zu ", body.len - 4);
    ck_assert_msg(strstr(err.text, want) != NULL, "%s", err.text);
    memcpy(body.data + body.len - 4, "123", 3);
    ck_assert_int_eq(parse(body.data, body.len), INV_OK);
    ck_assert_uint_eq(doc.vector_count, 3000);
    for (int i = 0; i < 3000; i++) {
        const inv_json *object = inv_json_at(doc.root, (size_t)i);
        int64_t place = inv_json_int(inv_json_get(object, "vector"));
        ck_assert_double_eq((double)doc.vectors[place].matrix.data[0], i);
    }
    inv_buf_release(&body);
}
END_TEST

START_TEST(a_list_of_items_called_vectors_is_no_matrix) {
    ck_assert_int_eq(
        parse_text("{\"vectors\": [ {\"id\":\"a\",\"vector\":[1,2]},"
                   "{\"id\":\"b\",\"vectors\":[[3,4],[5,6]]}]}"),
        INV_OK);
    const inv_json *list = inv_json_get(doc.root, "vectors");
    ck_assert_int_eq(inv_json_kind(list), INV_JSON_ARRAY);
    ck_assert_uint_eq(inv_json_size(list), 2);
    ck_assert_uint_eq(doc.vector_count, 2);
    ck_assert(doc.vectors[1].plural);
    ck_assert_uint_eq(doc.vectors[1].matrix.rows, 2);
    /* only at the top: below, such a list is a mistake */
    ck_assert_int_eq(parse_text("{\"a\":{\"vectors\":[{\"id\":1}]}}"),
                     INV_INVALID);
    ck_assert_str_eq(err.pointer, "/a/vectors/0");
    ck_assert_int_eq(parse_text("[{\"vectors\":[{}]}]"), INV_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scan");
    TCase *tcase = tcase_create("scan");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_malformed_number_is_named_with_its_byte);
    tcase_add_test(tcase, what_is_not_a_number_is_named_with_its_pointer);
    tcase_add_test(tcase, limits_are_reported_with_both_numbers);
    tcase_add_test(tcase,
                   vectors_below_payload_filter_and_with_stay_where_they_are);
    tcase_add_test(tcase, an_escaped_key_is_the_same_key);
    tcase_add_test(tcase, nothing_behind_an_array_can_join_its_placeholder);
    tcase_add_test(tcase,
                   errors_behind_vectors_have_positions_in_the_body_as_sent);
    tcase_add_test(tcase, depth_is_limited_and_the_limit_itself_is_fine);
    tcase_add_test(tcase, random_documents_read_as_jansson_reads_them);
    tcase_add_test(tcase, every_cut_off_body_is_malformed);
    tcase_add_test(tcase, many_small_vectors_each_keep_their_place);
    tcase_add_test(tcase, a_list_of_items_called_vectors_is_no_matrix);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
