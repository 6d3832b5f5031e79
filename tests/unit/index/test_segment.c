/*
 * test_segment.c: fresh segments against a plain scan, sealed ones against what
 * they were built of, and every way in which their files can be wrong.
 */
#include "base/bitset.h"
#include "base/file.h"
#include "index/segment.h"
#include "tests/support/shelf.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT 300

static char root[64], dir[96];
static struct inv_encoding *encoding;
static uint64_t vseqs[COUNT];

static void setup(void) {
    snprintf(root, sizeof root, "/tmp/invar-segment-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/00000001", root);
    encoding = shelf_encoding(0);
    for (size_t i = 0; i < COUNT; i++)
        vseqs[i] = 3 * i + 1;
}

static void teardown(void) {
    inv_ref_put(encoding);
    ck_assert_int_eq(inv_file_remove_tree(root, NULL), INV_OK);
}

static enum inv_status read_stored(void *ctx, size_t i, struct inv_codes *out,
                                   struct inv_err *err) {
    static float vector[SHELF_DIM];
    size_t fail_at = ctx == NULL ? SIZE_MAX : *(size_t *)ctx;
    if (i == fail_at)
        return inv_fail(err, INV_CORRUPT, "number %zu", i);
    shelf_vector((int)i + 1, vector);
    *out = (struct inv_codes){
        .data = vector, .dtype = INV_F32, .rows = 1, .dim = SHELF_DIM};
    return INV_OK;
}

static enum inv_status build(enum inv_ann_type type, size_t *fail_at,
                             struct inv_err *err) {
    struct inv_ann_config config = {.type = type, .threads = 1};
    struct inv_segment_source source = {
        .read = read_stored, .vseqs = vseqs, .count = COUNT, .ctx = fail_at};
    return inv_segment_build(dir, 1, encoding, &config, &source, err);
}

static struct inv_encoding *lookup(void *ctx, uint64_t hash) {
    (void)ctx;
    return hash == encoding->hash ? inv_ref_get(encoding) : NULL;
}

static enum inv_status open_it(struct inv_segment **out, uint64_t **numbers,
                               struct inv_err *err) {
    return inv_segment_open(dir, 1, lookup, NULL, out, numbers, err);
}

START_TEST(a_fresh_segment_is_a_plain_scan) {
    struct inv_segment *segment;
    float query[SHELF_DIM];
    uint64_t allowed[(COUNT + 63) / 64];
    ck_assert_int_eq(inv_segment_new_fresh(encoding, COUNT, &segment, NULL),
                     INV_OK);
    for (int i = 0; i < COUNT; i++) {
        float code[SHELF_DIM];
        shelf_vector(i + 1, code);
        inv_segment_put(segment, (size_t)i, code);
    }
    for (size_t count = 0; count <= COUNT; count += 37) {
        struct inv_ann_params params = {.allowed = allowed};
        struct inv_ann_hit hits[5];
        size_t found = 99;
        memset(allowed, 0x5b, sizeof allowed);
        shelf_vector(60, query);
        query[0] += 0.25f;
        ck_assert_int_eq(inv_segment_search(segment, count, query, 5, &params,
                                            hits, &found, NULL),
                         INV_OK);
        size_t best = COUNT;
        float least = 0;
        for (size_t i = 0; i < count; i++) {
            float x[SHELF_DIM];
            float d = 0;
            shelf_vector((int)i + 1, x);
            for (size_t j = 0; j < SHELF_DIM; j++)
                d += (x[j] - query[j]) * (x[j] - query[j]);
            if (inv_bitset_has(allowed, i) && (best == COUNT || d < least)) {
                best = i;
                least = d;
            }
        }
        size_t among = 0;
        for (size_t i = 0; i < count; i++)
            among += inv_bitset_has(allowed, i);
        ck_assert_uint_eq(found, among < 5 ? among : 5);
        if (best < COUNT) {
            ck_assert_uint_eq(hits[0].entry, best);
            ck_assert(hits[0].score == -least);
        }
    }
    inv_ref_put(segment);
}
END_TEST

START_TEST(a_sealed_segment_holds_what_it_was_built_of) {
    static const enum inv_ann_type types[] = {INV_ANN_FLAT, INV_ANN_HNSW,
                                              INV_ANN_IVF_FLAT};
    struct inv_segment *segment;
    uint64_t *numbers;
    struct inv_err err = {0};
    ck_assert_msg(build(types[_i], NULL, &err) == INV_OK, "%s", err.text);
    ck_assert_msg(open_it(&segment, &numbers, &err) == INV_OK, "%s", err.text);
    ck_assert_uint_eq(segment->count, COUNT);
    ck_assert_mem_eq(numbers, vseqs, sizeof vseqs);
    free(numbers);
    ck_assert_int_eq(inv_segment_verify(dir, NULL), INV_OK);
    for (int i = 0; i < COUNT; i += 11) {
        struct inv_ann_params params = {.ef = 100, .nprobe = 100};
        struct inv_ann_hit hit;
        size_t found;
        float query[SHELF_DIM];
        shelf_vector(i + 1, query);
        ck_assert_int_eq(inv_segment_search(segment, COUNT, query, 1, &params,
                                            &hit, &found, NULL),
                         INV_OK);
        ck_assert_uint_eq(hit.entry, i);
    }
    inv_ref_put(segment);
}
END_TEST

/* ---- what can be wrong ---- */

static void path_of(const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", dir, name);
}

static bool is_lost(void) {
    struct inv_segment *segment = NULL;
    uint64_t *numbers = NULL;
    struct inv_err err = {0};
    enum inv_status status = open_it(&segment, &numbers, &err);
    enum inv_status verified = inv_segment_verify(dir, NULL);
    bool lost = status == INV_CORRUPT || status == INV_IO;
    if (status == INV_OK) {
        inv_ref_put(segment);
        free(numbers);
    }
    ck_assert_msg(!lost || err.text[0] != '\0', "no reason given");
    return lost && verified != INV_OK;
}

START_TEST(any_flipped_byte_of_any_file_is_found) {
    static const char *const names[] = {"manifest", "ann", "entries", "codes"};
    struct stat st;
    char path[128];
    encoding->keep = INV_KEEP_ALWAYS;
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    path_of(names[_i], path, sizeof path);
    ck_assert_int_eq(stat(path, &st), 0);
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    off_t step = st.st_size / 61 + 1;
    for (off_t at = 0; at < st.st_size; at += step) {
        unsigned char byte;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        unsigned char other = (unsigned char)(byte ^ 1);
        ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
        ck_assert_msg(is_lost(), "%s, byte %lld", names[_i], (long long)at);
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    ck_assert_int_eq(inv_segment_verify(dir, NULL), INV_OK);
}
END_TEST

START_TEST(a_file_that_is_short_long_or_gone_is_found) {
    static const char *const names[] = {"manifest", "ann", "entries", "codes"};
    char path[128];
    struct stat st;
    encoding->keep = INV_KEEP_ALWAYS;
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    path_of(names[_i], path, sizeof path);
    ck_assert_int_eq(stat(path, &st), 0);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    close(fd);
    ck_assert(is_lost());
    ck_assert_int_eq(truncate(path, st.st_size), 0);
    ck_assert(!is_lost());
    ck_assert_int_eq(truncate(path, st.st_size - 1), 0);
    ck_assert(is_lost());
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert(is_lost());
    ck_assert_int_eq(unlink(path), 0);
    ck_assert(is_lost());
}
END_TEST

START_TEST(another_encoder_is_not_taken_for_this_one) {
    struct inv_segment *segment;
    uint64_t *numbers;
    struct inv_err err = {0};
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    encoding->hash++;
    ck_assert_int_eq(open_it(&segment, &numbers, &err), INV_CORRUPT);
    encoding->hash--;
    encoding->ann_dim = 2;
    ck_assert_int_eq(open_it(&segment, &numbers, &err), INV_CORRUPT);
    encoding->ann_dim = SHELF_DIM;
    encoding->metric = INV_METRIC_IP;
    ck_assert_int_eq(open_it(&segment, &numbers, &err), INV_CORRUPT);
}
END_TEST

START_TEST(numbers_that_do_not_ascend_are_refused) {
    struct inv_segment *segment;
    uint64_t *numbers;
    struct inv_err err = {0};
    vseqs[7] = vseqs[6];
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    ck_assert_int_eq(open_it(&segment, &numbers, &err), INV_CORRUPT);
    ck_assert_int_eq(inv_segment_verify(dir, NULL), INV_CORRUPT);
}
END_TEST

START_TEST(a_failed_build_leaves_no_directory) {
    size_t fail_at = 123;
    struct inv_err err = {0};
    ck_assert_int_eq(build(INV_ANN_FLAT, &fail_at, &err), INV_CORRUPT);
    ck_assert_str_eq(err.text, "number 123");
    ck_assert_int_ne(access(dir, F_OK), 0);
    char temporary[128];
    snprintf(temporary, sizeof temporary, "%s.tmp", dir);
    ck_assert_int_ne(access(temporary, F_OK), 0);
}
END_TEST

START_TEST(what_a_crash_left_of_a_build_is_built_over) {
    char path[160];
    snprintf(path, sizeof path, "%s.tmp", dir);
    ck_assert_int_eq(inv_file_mkdirs(path, NULL), INV_OK);
    snprintf(path, sizeof path, "%s.tmp/ann", dir);
    ck_assert_int_eq(inv_file_write_atomic(path, "half", 4, NULL), INV_OK);
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    ck_assert_int_eq(inv_segment_verify(dir, NULL), INV_OK);
}
END_TEST

START_TEST(a_doomed_directory_goes_with_the_last_reference) {
    struct inv_segment *segment;
    uint64_t *numbers;
    ck_assert_int_eq(build(INV_ANN_FLAT, NULL, NULL), INV_OK);
    ck_assert_int_eq(open_it(&segment, &numbers, NULL), INV_OK);
    free(numbers);
    inv_ref_get(segment);
    atomic_store(&segment->doomed, true);
    inv_ref_put(segment);
    ck_assert_int_eq(access(dir, F_OK), 0);
    inv_ref_put(segment);
    ck_assert_int_ne(access(dir, F_OK), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("segment");
    TCase *tc = tcase_create("segment");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_fresh_segment_is_a_plain_scan);
    tcase_add_loop_test(tc, a_sealed_segment_holds_what_it_was_built_of, 0, 3);
    tcase_add_loop_test(tc, any_flipped_byte_of_any_file_is_found, 0, 4);
    tcase_add_loop_test(tc, a_file_that_is_short_long_or_gone_is_found, 0, 4);
    tcase_add_test(tc, another_encoder_is_not_taken_for_this_one);
    tcase_add_test(tc, numbers_that_do_not_ascend_are_refused);
    tcase_add_test(tc, a_failed_build_leaves_no_directory);
    tcase_add_test(tc, what_a_crash_left_of_a_build_is_built_over);
    tcase_add_test(tc, a_doomed_directory_goes_with_the_last_reference);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
