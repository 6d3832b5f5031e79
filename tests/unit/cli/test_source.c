/*
 * test_source.c: what an import sends: frames as the daemon reads them
 * (inv_frame_parse is the oracle), NDJSON of BEIR lines, batches, resuming.
 */
#include "cli/source.h"

#include "base/npy.h"
#include "server/requests.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIM 3
#define ROWS 7

static char folder[64];
static struct inv_err err;
static struct inv_source source;
static struct inv_batch batch;

static const float floats[ROWS * DIM] = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/invar-source-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Paths of the folder, four at a time. */
static const char *in_folder(const char *name) {
    static char paths[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static void end(void) {
    static const char *const names[] = {"x.npy",     "offsets.npy",
                                        "scale.npy", "ids.txt",
                                        "p.jsonl",   "corpus.jsonl"};
    inv_source_close(&source);
    inv_buf_release(&batch.body);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

static const char *put(const char *name, const char *text) {
    const char *path = in_folder(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static const char *put_npy(const char *name, enum inv_npy_dtype dtype,
                           const void *data, size_t ndim, const size_t *shape) {
    const char *path = in_folder(name);
    ck_assert_int_eq(inv_npy_write(path, dtype, data, ndim, shape, &err),
                     INV_OK);
    return path;
}

static const char *put_offsets(const int64_t *offsets, size_t count) {
    return put_npy("offsets.npy", INV_NPY_I64, offsets, 1, &count);
}

static const char *put_floats(void) {
    return put_npy("x.npy", INV_NPY_F32, floats, 2,
                   (const size_t[]){ROWS, DIM});
}

static bool next_batch(void) {
    ck_assert_int_eq(inv_source_next(&source, &batch, &err), INV_OK);
    return batch.count > 0;
}

/* Reads the frames of a batch as the daemon does; returns how many. */
static size_t parse_frames(struct inv_arena *arena, struct inv_frame *frames,
                           size_t max) {
    static const struct inv_json_limits limits = {64, 64};
    const char *at = batch.body.data;
    const char *stop = at + batch.body.len;
    size_t count = 0;
    ck_assert_int_eq(inv_frame_magic(at, &err), INV_OK);
    for (at += INV_FRAME_MAGIC_BYTES; at < stop; count++) {
        size_t need = 0;
        ck_assert_uint_lt(count, max);
        ck_assert_int_eq(
            inv_frame_need(at, (size_t)(stop - at), &limits, &need, &err),
            INV_OK);
        ck_assert_uint_le(need, (size_t)(stop - at));
        ck_assert_int_eq(inv_frame_parse(at, need, arena, &frames[count], &err),
                         INV_OK);
        at += need;
    }
    return count;
}

static void open_matrix(const struct inv_matrix_files *files) {
    ck_assert_msg(inv_source_open_matrix(files, INV_PAYLOAD_TEXT, &source,
                                         &err) == INV_OK,
                  "%s", err.text);
}

START_TEST(token_matrices_arrive_as_they_were_cut) {
    static const int64_t offsets[] = {0, 2, 3, 7};
    struct inv_frame frames[4];
    struct inv_arena arena;
    open_matrix(&(struct inv_matrix_files){
        .npy = put_floats(),
        .offsets = put_offsets(offsets, 4),
        .ids = put("ids.txt", "first\nse cond\nthird/%\n"),
        .payloads = put("p.jsonl", "{\"a\":1}\n\n{\"b\":[2]}\n")});
    ck_assert(next_batch());
    ck_assert_uint_eq(batch.count, 3);
    ck_assert_uint_eq(batch.units, 3);
    inv_arena_init(&arena, 1 << 20);
    ck_assert_uint_eq(parse_frames(&arena, frames, 4), 3);
    ck_assert_str_eq(frames[0].id, "first");
    ck_assert_str_eq(frames[1].id, "se cond");
    ck_assert_str_eq(frames[2].id, "third/%");
    for (size_t i = 0; i < 3; i++) {
        const struct inv_matrix *m = &frames[i].given.matrix;
        ck_assert_uint_eq(m->rows, (size_t)(offsets[i + 1] - offsets[i]));
        ck_assert_uint_eq(m->dim, DIM);
        ck_assert_mem_eq(m->data, floats + offsets[i] * DIM,
                         m->rows * DIM * sizeof(float));
    }
    ck_assert_uint_eq(frames[0].payload_len, 7);
    ck_assert_mem_eq(frames[0].payload, "{\"a\":1}", 7);
    ck_assert_ptr_null(frames[1].payload);
    ck_assert_mem_eq(frames[2].payload, "{\"b\":[2]}", 9);
    ck_assert(!next_batch());
    inv_arena_release(&arena);
}
END_TEST

START_TEST(int8_codes_keep_their_scales) {
    static const int8_t codes[4 * DIM] = {1, -2, 3, 4, 127, -127,
                                          0, 1,  2, 3, 4,   5};
    static const uint16_t scales[] = {0x3c00, 0x4000, 0x3800, 0x3c00};
    static const int64_t offsets[] = {0, 1, 4};
    struct inv_frame frames[2];
    struct inv_arena arena;
    open_matrix(&(struct inv_matrix_files){
        .npy = put_npy("x.npy", INV_NPY_I8, codes, 2, (const size_t[]){4, DIM}),
        .offsets = put_offsets(offsets, 3),
        .scales =
            put_npy("scale.npy", INV_NPY_F16, scales, 1, (const size_t[]){4})});
    ck_assert(next_batch());
    inv_arena_init(&arena, 1 << 20);
    ck_assert_uint_eq(parse_frames(&arena, frames, 2), 2);
    ck_assert_str_eq(frames[0].id, "0");
    ck_assert_str_eq(frames[1].id, "1");
    ck_assert_int_eq(frames[1].given.codes.dtype, INV_I8);
    ck_assert_uint_eq(frames[1].given.codes.rows, 3);
    ck_assert_mem_eq(frames[1].given.codes.data, codes + DIM, 3 * DIM);
    ck_assert_mem_eq(frames[1].given.codes.scales, scales + 1, 6);
    /* second token: 4, 127, -127 times 2 */
    ck_assert_double_eq((double)frames[1].given.matrix.data[1], 254);
    inv_arena_release(&arena);
}
END_TEST

START_TEST(half_precision_is_passed_through) {
    static const uint16_t halves[2 * DIM] = {0x3c00, 0x4000, 0xc000,
                                             0x3800, 0x0001, 0x7bff};
    struct inv_frame frames[2];
    struct inv_arena arena;
    open_matrix(&(struct inv_matrix_files){
        .npy = put_npy("x.npy", INV_NPY_F16, halves, 2,
                       (const size_t[]){2, DIM})});
    ck_assert(next_batch());
    inv_arena_init(&arena, 1 << 20);
    ck_assert_uint_eq(parse_frames(&arena, frames, 2), 2);
    ck_assert_int_eq(frames[1].given.codes.dtype, INV_F16);
    ck_assert_mem_eq(frames[1].given.codes.data, halves + DIM, 6);
    inv_arena_release(&arena);
}
END_TEST

START_TEST(beir_lines_give_ids_and_payloads_to_a_matrix) {
    struct inv_frame frames[2];
    struct inv_arena arena;
    const char *corpus =
        put("corpus.jsonl", "{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n"
                            "{\"_id\":7,\"text\":\"y\",\"n\":1}\n");
    open_matrix(
        &(struct inv_matrix_files){.npy = put_npy("x.npy", INV_NPY_F32, floats,
                                                  2, (const size_t[]){2, DIM}),
                                   .ids = corpus,
                                   .payload_from_ids = true});
    ck_assert(next_batch());
    inv_arena_init(&arena, 1 << 20);
    ck_assert_uint_eq(parse_frames(&arena, frames, 2), 2);
    ck_assert_str_eq(frames[0].id, "a");
    ck_assert_str_eq(frames[1].id, "7");
    ck_assert_mem_eq(frames[0].payload, "{\"title\":\"T\",\"text\":\"x\"}",
                     frames[0].payload_len);
    ck_assert_mem_eq(frames[1].payload, "{\"text\":\"y\"}",
                     frames[1].payload_len);
    inv_arena_release(&arena);
}
END_TEST

START_TEST(documents_without_vectors_are_left_out_and_counted) {
    static const int64_t offsets[] = {0, 2, 2, 7, 7};
    uint64_t sent = 0;
    open_matrix(&(struct inv_matrix_files){.npy = put_floats(),
                                           .offsets = put_offsets(offsets, 5)});
    while (next_batch())
        sent += batch.count;
    ck_assert_uint_eq(sent, 2);
    ck_assert_uint_eq(source.local_errors, 2);
}
END_TEST

START_TEST(what_was_acknowledged_is_not_sent_again) {
    struct inv_span spans[] = {{0, 2}, {4, 1}};
    const struct inv_resume resume = {
        .fd = -1, .spans = spans, .span_count = 2};
    uint64_t from[4], count[4];
    size_t batches = 0;
    open_matrix(&(struct inv_matrix_files){.npy = put_floats()});
    source.resume = &resume;
    while (next_batch()) {
        from[batches] = batch.from;
        count[batches++] = batch.count;
    }
    ck_assert_uint_eq(batches, 2);
    ck_assert_uint_eq(from[0], 2);
    ck_assert_uint_eq(count[0], 2);
    ck_assert_uint_eq(from[1], 5);
    ck_assert_uint_eq(count[1], 2);
    ck_assert_uint_eq(source.skipped, 3);
}
END_TEST

START_TEST(batches_end_behind_their_size) {
    uint64_t next = 0;
    size_t batches = 0;
    open_matrix(&(struct inv_matrix_files){.npy = put_floats()});
    source.batch_bytes = 70; /* magic and two frames of 29 bytes, and one */
    for (; next_batch(); batches++) {
        ck_assert_uint_eq(batch.from, next);
        next += batch.count;
    }
    ck_assert_uint_eq(next, ROWS);
    ck_assert_uint_eq(batches, 3);
}
END_TEST

START_TEST(too_few_ids_are_an_error_with_both_numbers) {
    open_matrix(&(struct inv_matrix_files){.npy = put_floats(),
                                           .ids = put("ids.txt", "a\nb\n")});
    ck_assert_int_eq(inv_source_next(&source, &batch, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "2 lines"));
    ck_assert_ptr_nonnull(strstr(err.text, "7 documents"));
}
END_TEST

START_TEST(an_empty_id_is_an_error_with_its_line) {
    open_matrix(&(struct inv_matrix_files){.npy = put_floats(),
                                           .ids = put("ids.txt", "a\n\nb\n")});
    ck_assert_int_eq(inv_source_next(&source, &batch, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
}
END_TEST

static enum inv_status try_offsets(const int64_t *offsets, size_t count) {
    const struct inv_matrix_files files = {
        .npy = put_floats(), .offsets = put_offsets(offsets, count)};
    enum inv_status status =
        inv_source_open_matrix(&files, INV_PAYLOAD_TEXT, &source, &err);
    inv_source_close(&source);
    return status;
}

START_TEST(files_that_do_not_fit_each_other_are_refused) {
    static const int64_t short_end[] = {0, 3, 6};
    static const int64_t late_start[] = {1, 7};
    static const int64_t back[] = {0, 5, 3, 7};
    static const uint16_t scales[] = {1, 2};
    ck_assert_int_eq(try_offsets(short_end, 3), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "7"));
    ck_assert_ptr_nonnull(strstr(err.text, "6"));
    ck_assert_int_eq(try_offsets(late_start, 2), INV_INVALID);
    ck_assert_int_eq(try_offsets(back, 4), INV_INVALID);
    ck_assert_int_eq(try_offsets(back, 0), INV_INVALID);
    struct inv_matrix_files files = {.npy = put_floats()};
    files.scales =
        put_npy("scale.npy", INV_NPY_F16, scales, 1, (const size_t[]){2});
    ck_assert_int_eq(
        inv_source_open_matrix(&files, INV_PAYLOAD_TEXT, &source, &err),
        INV_INVALID); /* scales, but no int8 */
    files.npy =
        put_npy("x.npy", INV_NPY_I8, floats, 2, (const size_t[]){ROWS, DIM});
    ck_assert_int_eq(
        inv_source_open_matrix(&files, INV_PAYLOAD_TEXT, &source, &err),
        INV_INVALID); /* 2 scales for 7 rows */
    files.scales = NULL;
    ck_assert_int_eq(
        inv_source_open_matrix(&files, INV_PAYLOAD_TEXT, &source, &err),
        INV_INVALID); /* int8 without scales */
    files.npy =
        put_npy("x.npy", INV_NPY_F64, floats, 2, (const size_t[]){2, DIM});
    ck_assert_int_eq(
        inv_source_open_matrix(&files, INV_PAYLOAD_TEXT, &source, &err),
        INV_INVALID);
}
END_TEST

/* ---- lines ---- */

static void open_lines(const char *text, enum inv_payload_part part) {
    ck_assert_int_eq(
        inv_source_open_lines(put("corpus.jsonl", text), part, &source, &err),
        INV_OK);
}

START_TEST(beir_lines_become_documents_with_text) {
    open_lines("{\"_id\":\"a\",\"title\":\"T \\\"q\\\"\",\"text\":\"x\","
               "\"n\":1}\n\n{\"_id\":\"b\",\"title\":\"\",\"text\":\"y\"}",
               INV_PAYLOAD_TEXT);
    ck_assert(next_batch());
    ck_assert_uint_eq(batch.count, 2);
    ck_assert_str_eq(batch.body.data,
                     "{\"id\":\"a\",\"text\":\"T \\\"q\\\" x\",\"payload\":"
                     "{\"title\":\"T \\\"q\\\"\",\"text\":\"x\"}}\n"
                     "{\"id\":\"b\",\"text\":\"y\",\"payload\":"
                     "{\"title\":\"\",\"text\":\"y\"}}\n");
    ck_assert(!next_batch());
}
END_TEST

START_TEST(payloads_are_cut_as_asked) {
    static const char *const want[] = {
        "{\"id\":\"a\",\"text\":\"T x\",\"payload\":{\"title\":\"T\","
        "\"text\":\"x\"}}\n",
        "{\"id\":\"a\",\"text\":\"T x\",\"payload\":{\"title\":\"T\"}}\n",
        "{\"id\":\"a\",\"text\":\"T x\",\"payload\":{\"title\":\"T\","
        "\"text\":\"x\",\"n\":1}}\n",
        "{\"id\":\"a\",\"text\":\"T x\"}\n",
    };
    static const char *const names[] = {"text", "title", "all", "none"};
    for (size_t i = 0; i < 4; i++) {
        enum inv_payload_part part;
        ck_assert(inv_payload_part_parse(names[i], &part));
        open_lines("{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\",\"n\":1}\n",
                   part);
        ck_assert(next_batch());
        ck_assert_str_eq(batch.body.data, want[i]);
        inv_source_close(&source);
    }
}
END_TEST

START_TEST(documents_of_the_api_are_passed_on_unread) {
    const char *text = "{\"id\":\"a\", \"vector\":[1, 2]}\n"
                       "not json, the daemon says so\n";
    open_lines(text, INV_PAYLOAD_TEXT);
    ck_assert(next_batch());
    ck_assert_uint_eq(batch.count, 2);
    ck_assert_str_eq(batch.body.data, text);
}
END_TEST

START_TEST(lines_resume_behind_what_was_acknowledged) {
    struct inv_span spans[] = {{1, 2}};
    const struct inv_resume resume = {
        .fd = -1, .spans = spans, .span_count = 1};
    open_lines("{\"id\":0}\n\n{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n",
               INV_PAYLOAD_TEXT);
    source.resume = &resume;
    ck_assert(next_batch());
    ck_assert_str_eq(batch.body.data, "{\"id\":0}\n");
    ck_assert(next_batch());
    ck_assert_str_eq(batch.body.data, "{\"id\":3}\n");
    ck_assert_uint_eq(batch.from, 3);
    ck_assert(!next_batch());
    ck_assert_uint_eq(source.skipped, 2);
}
END_TEST

START_TEST(a_bad_corpus_line_is_named) {
    open_lines("{\"_id\":\"a\",\"text\":\"x\"}\n{\"_id\":[]}\n",
               INV_PAYLOAD_TEXT);
    ck_assert_int_eq(inv_source_next(&source, &batch, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/source");
    TCase *tests = tcase_create("source");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, token_matrices_arrive_as_they_were_cut);
    tcase_add_test(tests, int8_codes_keep_their_scales);
    tcase_add_test(tests, half_precision_is_passed_through);
    tcase_add_test(tests, beir_lines_give_ids_and_payloads_to_a_matrix);
    tcase_add_test(tests, documents_without_vectors_are_left_out_and_counted);
    tcase_add_test(tests, what_was_acknowledged_is_not_sent_again);
    tcase_add_test(tests, batches_end_behind_their_size);
    tcase_add_test(tests, too_few_ids_are_an_error_with_both_numbers);
    tcase_add_test(tests, an_empty_id_is_an_error_with_its_line);
    tcase_add_test(tests, files_that_do_not_fit_each_other_are_refused);
    tcase_add_test(tests, beir_lines_become_documents_with_text);
    tcase_add_test(tests, payloads_are_cut_as_asked);
    tcase_add_test(tests, documents_of_the_api_are_passed_on_unread);
    tcase_add_test(tests, lines_resume_behind_what_was_acknowledged);
    tcase_add_test(tests, a_bad_corpus_line_is_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
