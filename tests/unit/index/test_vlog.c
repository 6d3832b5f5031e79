/*
 * test_vlog.c: records as they were given and as drawn in vlog.h, what is left
 * of a log that was cut, lost or flipped, and who may still read a dropped one.
 */
#include "base/crc32c.h"
#include "base/file.h"
#include "index/vlog.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct inv_vlog *vlog;

static void open_log(const struct inv_vlog_end *ends, size_t count) {
    struct inv_err err = {0};
    enum inv_status status = inv_vlog_open(dir, ends, count, 4096, &vlog, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
}

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/invar-vlog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    open_log(NULL, 0);
}

static void teardown(void) {
    inv_vlog_close(vlog);
    vlog = NULL;
    ck_assert_int_eq(inv_file_remove_tree(dir, NULL), INV_OK);
}

static const char *path_of(unsigned number) {
    static char path[96];
    snprintf(path, sizeof path, "%s/%08u.vlog", dir, number);
    return path;
}

static off_t size_of(unsigned number) {
    struct stat st;
    return stat(path_of(number), &st) == 0 ? st.st_size : -1;
}

static struct inv_place append(uint64_t vseq, size_t rows) {
    struct inv_place place;
    float data[64];
    for (size_t i = 0; i < 64; i++)
        data[i] = (float)vseq + (float)i / 64;
    struct inv_codes codes = {
        .data = data, .dtype = INV_F32, .rows = rows, .dim = 8};
    ck_assert_int_eq(
        inv_vlog_append(vlog, vseq, 3, "name", 4, &codes, &place, NULL),
        INV_OK);
    return place;
}

static void check(const struct inv_place *place, uint64_t vseq) {
    struct inv_vlog_set *set = inv_vlog_files(vlog);
    struct inv_record record;
    struct inv_err err = {0};
    enum inv_status status = inv_vlog_check(set, place, &record, &err);
    ck_assert_msg(status == INV_OK, "%s", err.text);
    ck_assert_uint_eq(record.vseq, vseq);
    ck_assert_uint_eq(record.space, 3);
    ck_assert_uint_eq(record.id_len, 4);
    ck_assert_mem_eq(record.id, "name", 4);
    ck_assert_uint_eq(record.codes.dim, 8);
    ck_assert(((const float *)record.codes.data)[0] == (float)vseq);
    inv_ref_put(set);
}

static enum inv_status look(const struct inv_place *place, bool whole) {
    struct inv_vlog_set *set = inv_vlog_files(vlog);
    struct inv_record record;
    struct inv_codes codes;
    enum inv_status status = whole ? inv_vlog_check(set, place, &record, NULL)
                                   : inv_vlog_get(set, place, &codes, NULL);
    inv_ref_put(set);
    return status;
}

START_TEST(records_of_every_type_come_back_as_they_were_given) {
    float f32[6] = {1, -2, 3.5f, 0, 1e30f, -0.0f};
    uint16_t f16[6] = {0x3c00, 0xbc00, 0, 1, 0x7bff, 0x8000};
    int8_t i8[5] = {1, -128, 127, 0, -1};
    uint16_t scales[5] = {0x3c00, 0x3800, 0, 1, 2};
    struct inv_codes all[] = {
        {.data = f32, .dtype = INV_F32, .rows = 2, .dim = 3},
        {.data = f16, .dtype = INV_F16, .rows = 3, .dim = 2},
        {.data = i8, .scales = scales, .dtype = INV_I8, .rows = 5, .dim = 1},
    };
    struct inv_place place[3];
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(inv_vlog_append(vlog, i + 1, 9, "an id", 5, &all[i],
                                         &place[i], NULL),
                         INV_OK);
    ck_assert_int_eq(inv_vlog_sync(vlog, NULL), INV_OK);
    struct inv_vlog_set *set = inv_vlog_files(vlog);
    for (size_t i = 0; i < 3; i++) {
        struct inv_record record;
        ck_assert_int_eq(inv_vlog_check(set, &place[i], &record, NULL), INV_OK);
        ck_assert_int_eq(record.codes.dtype, all[i].dtype);
        ck_assert_uint_eq(record.codes.rows, all[i].rows);
        ck_assert_uint_eq(record.codes.dim, all[i].dim);
        ck_assert_mem_eq(record.codes.data, all[i].data,
                         all[i].rows * all[i].dim *
                             (all[i].dtype == INV_F32   ? 4
                              : all[i].dtype == INV_F16 ? 2
                                                        : 1));
        ck_assert_uint_eq((size_t)record.codes.data % 32, 0);
        ck_assert_uint_eq(place[i].offset % 32, 0);
    }
    struct inv_codes codes;
    ck_assert_int_eq(inv_vlog_get(set, &place[2], &codes, NULL), INV_OK);
    ck_assert_mem_eq(codes.scales, scales, sizeof scales);
    inv_ref_put(set);
}
END_TEST

START_TEST(the_record_is_laid_out_as_drawn) {
    struct inv_place place = append(0x0102030405060708, 1);
    unsigned char bytes[192];
    int fd = open(path_of(1), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, bytes, sizeof bytes, 0), 64 + 96);
    close(fd);
    ck_assert_mem_eq(bytes, "INVARLOG\1\0\0\0\4\3\2\1\1\0\0\0", 20);
    uint32_t crc;
    memcpy(&crc, bytes + 20, 4);
    ck_assert_uint_eq(crc, inv_crc32c(0, bytes, 20));
    ck_assert_uint_eq(place.offset, 64);
    ck_assert_uint_eq(place.length, 96);
    const unsigned char *r = bytes + 64;
    ck_assert_mem_eq(r, "VREC", 4);
    memcpy(&crc, r + 4, 4);
    ck_assert_uint_eq(crc, inv_crc32c(0, r + 8, 88));
    ck_assert_mem_eq(r + 8, "\10\7\6\5\4\3\2\1\3\0\0\0\0\0\0\0", 16);
    ck_assert_mem_eq(r + 24, "\1\0\0\0\10\0\0\0\1\0\4\0\40\0\0\0", 16);
    ck_assert_mem_eq(r + 40, "\140\0\0\0\0\0\0\0name", 12);
}
END_TEST

START_TEST(any_flipped_bit_of_a_record_is_found) {
    struct inv_place place = append(5, 2);
    int fd = open(path_of(1), O_RDWR);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < place.length * 8; i += 5) {
        unsigned char byte;
        off_t at = (off_t)(place.offset + i / 8);
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        unsigned char other = (unsigned char)(byte ^ (1 << i % 8));
        ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
        ck_assert_int_eq(look(&place, true), INV_CORRUPT);
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    check(&place, 5);
}
END_TEST

START_TEST(places_that_are_not_records_are_refused) {
    struct inv_place place = append(5, 2);
    (void)append(6, 2);
    struct inv_place wrong[] = {place, place, place, place, place, place};
    wrong[0].offset += 32;
    wrong[1].length -= 32;
    wrong[2].rows++;
    wrong[3].file = 9;
    wrong[4].offset = UINT64_MAX - 31;
    wrong[5].offset += 1;
    for (size_t i = 0; i < 6; i++) {
        ck_assert_int_eq(look(&wrong[i], false), INV_CORRUPT);
        ck_assert_int_eq(look(&wrong[i], true), INV_CORRUPT);
    }
}
END_TEST

START_TEST(logs_roll_and_a_large_record_has_room) {
    struct inv_place place[100];
    for (uint64_t i = 0; i < 100; i++)
        place[i] = append(i + 1, 1 + i % 8);
    ck_assert_int_eq(inv_vlog_sync(vlog, NULL), INV_OK);
    ck_assert_uint_gt(inv_vlog_current(vlog), 3);
    for (uint64_t i = 0; i < 100; i++)
        check(&place[i], i + 1);
    size_t count = 3000;
    float *data = calloc(count, sizeof *data);
    struct inv_codes codes = {
        .data = data, .dtype = INV_F32, .rows = 1, .dim = count};
    struct inv_place large;
    ck_assert_int_eq(
        inv_vlog_append(vlog, 999, 3, "large", 5, &codes, &large, NULL),
        INV_OK);
    free(data);
    ck_assert_int_eq(look(&large, true), INV_OK);
    ck_assert_uint_eq(large.offset, 64);
    struct inv_place after = append(1000, 1);
    ck_assert_uint_eq(after.file, large.file + 1);
    check(&after, 1000);
}
END_TEST

START_TEST(the_unreferenced_tail_is_cut_and_written_over) {
    struct inv_place kept = append(1, 2);
    (void)append(2, 2);
    inv_vlog_close(vlog);
    struct inv_vlog_end end = {1, kept.offset + kept.length};
    open_log(&end, 1);
    ck_assert_int_eq(size_of(1), (off_t)end.end);
    struct inv_place next = append(3, 1);
    ck_assert_uint_eq(next.offset, end.end);
    check(&kept, 1);
    check(&next, 3);
}
END_TEST

START_TEST(a_half_written_tail_is_cut) {
    struct inv_place kept = append(1, 2);
    inv_vlog_close(vlog);
    int fd = open(path_of(1), O_WRONLY | O_APPEND);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "VRECgarbage", 11), 11);
    close(fd);
    struct inv_vlog_end end = {1, kept.offset + kept.length};
    open_log(&end, 1);
    struct inv_place next = append(2, 1);
    check(&kept, 1);
    check(&next, 2);
}
END_TEST

START_TEST(a_shortened_log_is_not_grown_again) {
    struct inv_place kept = append(1, 2);
    struct inv_place lost = append(2, 2);
    inv_vlog_close(vlog);
    ck_assert_int_eq(truncate(path_of(1), (off_t)lost.offset + 64), 0);
    struct inv_vlog_end end = {1, lost.offset + lost.length};
    open_log(&end, 1);
    check(&kept, 1);
    ck_assert_int_eq(look(&lost, false), INV_CORRUPT);
    struct inv_place next = append(3, 2);
    ck_assert_uint_eq(next.file, 2);
    check(&next, 3);
    ck_assert_int_eq(look(&lost, false), INV_CORRUPT);
}
END_TEST

START_TEST(the_number_of_a_lost_log_is_not_given_again) {
    struct inv_place lost = append(1, 2);
    inv_vlog_close(vlog);
    ck_assert_int_eq(unlink(path_of(1)), 0);
    struct inv_vlog_end end = {1, lost.offset + lost.length};
    open_log(&end, 1);
    ck_assert_int_eq(look(&lost, false), INV_CORRUPT);
    struct inv_place next = append(2, 2);
    ck_assert_uint_eq(next.file, 2);
    ck_assert_int_eq(look(&lost, false), INV_CORRUPT);
    check(&next, 2);
}
END_TEST

/* A crash between making a file and writing its header: 0 and 10 bytes. */
START_TEST(a_file_without_a_header_goes_and_writing_goes_on) {
    struct inv_place kept = append(1, 2);
    inv_vlog_close(vlog);
    int fd = open(path_of(2), O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "INVARLOG\1\0", (size_t)_i * 10), _i * 10);
    close(fd);
    struct inv_vlog_end end = {1, kept.offset + kept.length};
    open_log(&end, 1);
    ck_assert_int_eq(size_of(2), -1);
    check(&kept, 1);
    struct inv_place next = append(2, 2);
    ck_assert_uint_eq(next.file, 3);
    check(&next, 2);
}
END_TEST

START_TEST(a_referenced_file_with_a_damaged_header_stays_and_is_refused) {
    struct inv_place lost = append(1, 2);
    inv_vlog_close(vlog);
    int fd = open(path_of(1), O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "X", 1, 3), 1);
    close(fd);
    struct inv_vlog_end end = {1, lost.offset + lost.length};
    open_log(&end, 1);
    ck_assert_int_gt(size_of(1), 0);
    ck_assert_int_eq(look(&lost, false), INV_CORRUPT);
    struct inv_place next = append(2, 2);
    ck_assert_uint_eq(next.file, 2);
}
END_TEST

START_TEST(old_files_that_nothing_references_are_removed) {
    struct inv_place place = {0};
    for (uint64_t i = 0; place.file < 3; i++)
        place = append(i, 8);
    inv_vlog_close(vlog);
    struct inv_vlog_end end = {3, place.offset + place.length};
    open_log(&end, 1);
    ck_assert_int_eq(size_of(1), -1);
    ck_assert_int_eq(size_of(2), -1);
    ck_assert_int_eq(size_of(3), (off_t)end.end);
}
END_TEST

START_TEST(a_dropped_file_is_read_by_those_who_hold_it) {
    struct inv_place first = append(1, 2);
    struct inv_place place = first;
    uint64_t last = 1;
    while (place.file < 2)
        place = append(++last, 8);
    ck_assert_int_eq(inv_vlog_drop(vlog, 2, NULL), INV_CONFLICT);
    struct inv_vlog_set *held = inv_vlog_files(vlog);
    ck_assert_int_eq(inv_vlog_drop(vlog, 1, NULL), INV_OK);
    ck_assert_int_eq(look(&first, true), INV_CORRUPT);
    struct inv_record record;
    ck_assert_int_eq(inv_vlog_check(held, &first, &record, NULL), INV_OK);
    ck_assert_int_gt(size_of(1), 0);
    inv_ref_put(held);
    ck_assert_int_eq(size_of(1), -1);
    check(&place, last);
}
END_TEST

START_TEST(looking_changes_nothing) {
    struct inv_place kept = append(1, 2);
    (void)append(2, 2);
    off_t before = size_of(1);
    inv_vlog_close(vlog);
    vlog = NULL;
    struct inv_vlog_set *set = NULL;
    struct inv_record record;
    ck_assert_int_eq(inv_vlog_look(dir, NULL, NULL, &set, NULL), INV_OK);
    ck_assert_uint_eq(set->count, 1);
    ck_assert_int_eq(inv_vlog_check(set, &kept, &record, NULL), INV_OK);
    ck_assert_uint_eq(inv_vlog_set_bytes(set), (uint64_t)before);
    inv_ref_put(set);
    ck_assert_int_eq(size_of(1), before);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("vlog");
    TCase *tc = tcase_create("vlog");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, records_of_every_type_come_back_as_they_were_given);
    tcase_add_test(tc, the_record_is_laid_out_as_drawn);
    tcase_add_test(tc, any_flipped_bit_of_a_record_is_found);
    tcase_add_test(tc, places_that_are_not_records_are_refused);
    tcase_add_test(tc, logs_roll_and_a_large_record_has_room);
    tcase_add_test(tc, the_unreferenced_tail_is_cut_and_written_over);
    tcase_add_test(tc, a_half_written_tail_is_cut);
    tcase_add_test(tc, a_shortened_log_is_not_grown_again);
    tcase_add_test(tc, the_number_of_a_lost_log_is_not_given_again);
    tcase_add_loop_test(tc, a_file_without_a_header_goes_and_writing_goes_on, 0,
                        2);
    tcase_add_test(
        tc, a_referenced_file_with_a_damaged_header_stays_and_is_refused);
    tcase_add_test(tc, old_files_that_nothing_references_are_removed);
    tcase_add_test(tc, a_dropped_file_is_read_by_those_who_hold_it);
    tcase_add_test(tc, looking_changes_nothing);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
