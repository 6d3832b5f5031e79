/*
 * test_file.c: base/file.h, in a directory of its own under /tmp.
 */
#include "base/file.h"

#include "base/buf.h"
#include "base/clock.h"

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static struct inv_err err;

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/inv-test-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    err = (struct inv_err){0};
}

static void teardown(void) {
    ck_assert_int_eq(inv_file_remove_tree(dir, &err), INV_OK);
    ck_assert_int_ne(access(dir, F_OK), 0);
}

/* dir/name; four at a time. */
static const char *in_dir(const char *name) {
    static char paths[4][4200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void assert_content(const char *path, const char *want) {
    struct inv_buf buf = INV_BUF_INIT;
    ck_assert_int_eq(inv_buf_read_file(&buf, path, 1 << 20, &err), INV_OK);
    ck_assert_str_eq(buf.data == NULL ? "" : buf.data, want);
    inv_buf_release(&buf);
}

static int matches(const char *pattern) {
    glob_t found;
    int none = glob(in_dir(pattern), 0, NULL, &found);
    int count = none ? 0 : (int)found.gl_pathc;
    if (!none)
        globfree(&found);
    return count;
}

/* Reads slowly what a blocked writer wants to get rid of. */
static void *drain(void *arg) {
    int fd = *(const int *)arg;
    char chunk[3001];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        total += (size_t)n;
    return (void *)total;
}

START_TEST(write_all_continues_short_writes) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    pthread_t reader;
    void *total;
    char *bytes = calloc(1, 1000000);
    ck_assert_int_eq(pthread_create(&reader, NULL, drain, &ends[0]), 0);
    ck_assert_int_eq(inv_file_write_all(ends[1], bytes, 1000000, &err), INV_OK);
    close(ends[1]);
    pthread_join(reader, &total);
    ck_assert_uint_eq((size_t)total, 1000000);
    close(ends[0]);
    free(bytes);
}
END_TEST

START_TEST(pwrite_all_writes_at_its_offset) {
    int fd = open(in_dir("p"), O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(inv_file_pwrite_all(fd, "world", 5, 6, &err), INV_OK);
    ck_assert_int_eq(inv_file_pwrite_all(fd, "hello ", 6, 0, &err), INV_OK);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
    ck_assert_int_eq(inv_file_pwrite_all(fd, "x", 1, UINT64_MAX, &err),
                     INV_INVALID);
    close(fd);
    assert_content(in_dir("p"), "hello world");
}
END_TEST

START_TEST(a_write_that_stops_says_how_far_it_came) {
    struct rlimit limit = {10, 10};
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(in_dir("p"), O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(inv_file_write_all(fd, "0123456789abcdef", 16, &err),
                     INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "10 of 16 bytes"));
    close(fd);
}
END_TEST

START_TEST(atomic_write_replaces_whole_files) {
    const char *path = in_dir("f");
    ck_assert_int_eq(inv_file_write_atomic(path, "one", 3, &err), INV_OK);
    assert_content(path, "one");
    ck_assert_int_eq(inv_file_write_atomic(path, "two!", 4, &err), INV_OK);
    assert_content(path, "two!");
    ck_assert_int_eq(inv_file_write_atomic(path, NULL, 0, &err), INV_OK);
    assert_content(path, "");
    ck_assert_int_eq(matches("f*"), 1); /* no temporary file is left */
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(inv_file_write_atomic("bare", "x", 1, &err), INV_OK);
    assert_content(in_dir("bare"), "x");
}
END_TEST

START_TEST(failed_atomic_write_keeps_the_old_file) {
    struct rlimit limit = {4, 4};
    const char *path = in_dir("f");
    ck_assert_int_eq(inv_file_write_atomic(path, "old", 3, &err), INV_OK);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(inv_file_write_atomic(path, "too long", 8, &err), INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_ptr_nonnull(strstr(err.text, "4 of 8 bytes"));
    assert_content(path, "old");
    ck_assert_int_eq(matches("f*"), 1);
    /* a directory in its place: the rename fails, and cleans up too */
    ck_assert_int_eq(inv_file_mkdirs(in_dir("d/x"), &err), INV_OK);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("d"), "a", 1, &err), INV_IO);
    ck_assert_int_eq(matches("d*"), 1);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("no/f"), "a", 1, &err),
                     INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
}
END_TEST

START_TEST(mkdirs_makes_all_levels_and_tolerates_them) {
    struct stat st;
    ck_assert_int_eq(inv_file_mkdirs(in_dir("a//b/c/"), &err), INV_OK);
    ck_assert_int_eq(stat(in_dir("a/b/c"), &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    ck_assert_int_eq(st.st_mode & 07, 0);
    ck_assert_int_eq(inv_file_mkdirs(in_dir("a/b/c"), &err), INV_OK);
    ck_assert_int_eq(inv_file_mkdirs("/", &err), INV_OK);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("f"), "x", 1, &err), INV_OK);
    ck_assert_int_eq(inv_file_mkdirs(in_dir("f"), &err), INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "Not a directory"));
    ck_assert_int_eq(inv_file_mkdirs(in_dir("f/g"), &err), INV_IO);
    ck_assert_int_eq(inv_file_mkdirs("", &err), INV_INVALID);
    char longest[5000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(inv_file_mkdirs(longest, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "4999"));
}
END_TEST

START_TEST(remove_tree_never_follows_links) {
    ck_assert_int_eq(inv_file_mkdirs(in_dir("keep"), &err), INV_OK);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("keep/f"), "x", 1, &err),
                     INV_OK);
    ck_assert_int_eq(inv_file_mkdirs(in_dir("t/sub/empty"), &err), INV_OK);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("t/sub/f"), "x", 1, &err),
                     INV_OK);
    ck_assert_int_eq(symlink(in_dir("keep"), in_dir("t/sub/link")), 0);
    ck_assert_int_eq(symlink("/nowhere", in_dir("t/dangling")), 0);
    ck_assert_int_eq(inv_file_remove_tree(in_dir("t/"), &err), INV_OK);
    ck_assert_int_ne(access(in_dir("t"), F_OK), 0);
    assert_content(in_dir("keep/f"), "x");
    /* a link as the root, with and without a slash behind */
    ck_assert_int_eq(symlink(in_dir("keep"), in_dir("l")), 0);
    ck_assert_int_eq(inv_file_remove_tree(in_dir("l/"), &err), INV_OK);
    ck_assert_int_eq(matches("l"), 0);
    assert_content(in_dir("keep/f"), "x");
    ck_assert_int_eq(inv_file_remove_tree(in_dir("keep/f"), &err), INV_OK);
    ck_assert_int_eq(matches("keep/f"), 0);
    ck_assert_int_eq(inv_file_remove_tree(in_dir("not/there"), &err), INV_OK);
    ck_assert_int_eq(inv_file_remove_tree("", &err), INV_INVALID);
}
END_TEST

START_TEST(remove_tree_empties_large_directories) {
    char name[32];
    ck_assert_int_eq(inv_file_mkdirs(in_dir("big"), &err), INV_OK);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "big/%d", i);
        int fd = open(in_dir(name), O_WRONLY | O_CREAT, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    ck_assert_int_eq(inv_file_remove_tree(in_dir("big"), &err), INV_OK);
    ck_assert_int_eq(matches("big"), 0);
}
END_TEST

START_TEST(map_read_shows_the_bytes) {
    const void *bytes = NULL;
    size_t len = 7;
    ck_assert_int_eq(inv_file_write_atomic(in_dir("m"), "abc", 3, &err),
                     INV_OK);
    ck_assert_int_eq(inv_file_map_read(in_dir("m"), &bytes, &len, &err),
                     INV_OK);
    ck_assert_uint_eq(len, 3);
    ck_assert_mem_eq(bytes, "abc", 3);
    inv_file_unmap(bytes, len);
    ck_assert_int_eq(inv_file_write_atomic(in_dir("m"), "", 0, &err), INV_OK);
    ck_assert_int_eq(inv_file_map_read(in_dir("m"), &bytes, &len, &err),
                     INV_OK);
    ck_assert_uint_eq(len, 0);
    ck_assert_ptr_nonnull(bytes);
    inv_file_unmap(bytes, len);
    inv_file_unmap(NULL, 5);
    ck_assert_int_eq(inv_file_map_read(dir, &bytes, &len, &err), INV_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "regular"));
    ck_assert_int_eq(inv_file_map_read(in_dir("none"), &bytes, &len, &err),
                     INV_IO);
}
END_TEST

START_TEST(sync_dir_needs_a_directory) {
    ck_assert_int_eq(inv_file_sync_dir(dir, &err), INV_OK);
    ck_assert_int_eq(inv_file_sync_dir(in_dir("none"), &err), INV_IO);
}
END_TEST

START_TEST(second_holder_learns_directory_and_process) {
    int lock = -1;
    int other = -1;
    char want[128];
    ck_assert_int_eq(inv_file_lock(in_dir("lock"), &lock, &err), INV_OK);
    snprintf(want, sizeof want, "%ld\n", (long)getpid());
    assert_content(in_dir("lock"), want);
    ck_assert_int_eq(inv_file_lock(in_dir("lock"), &other, &err), INV_CONFLICT);
    snprintf(want, sizeof want, "the directory %s is in use by process %ld",
             dir, (long)getpid());
    ck_assert_str_eq(err.text, want);
    ck_assert_int_eq(other, -1);
    inv_file_unlock(lock);
    assert_content(in_dir("lock"), "");
    ck_assert_int_eq(inv_file_lock(in_dir("lock"), &lock, &err), INV_OK);
    inv_file_unlock(lock);
    inv_file_unlock(-1);
}
END_TEST

START_TEST(the_lock_ends_with_its_process) {
    int ready[2];
    int lock = -1;
    char want[32];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        bool held = inv_file_lock(in_dir("lock"), &lock, NULL) == INV_OK;
        ssize_t n = write(ready[1], held ? "y" : "n", 1);
        for (;;)
            pause();
        _exit((int)n);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ck_assert_int_eq(inv_file_lock(in_dir("lock"), &lock, &err), INV_CONFLICT);
    snprintf(want, sizeof want, "by process %ld", (long)child);
    ck_assert_ptr_nonnull(strstr(err.text, want));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(inv_file_lock(in_dir("lock"), &lock, &err), INV_OK);
    inv_file_unlock(lock);
    close(ready[0]);
    close(ready[1]);
}
END_TEST

START_TEST(clocks_run_forward) {
    uint64_t first = inv_now_ns();
    struct timespec nap = {0, 2000000};
    nanosleep(&nap, NULL);
    ck_assert_uint_ge(inv_now_ns() - first, 2000000);
    ck_assert_int_le(llabs(inv_wall_ms() - (int64_t)time(NULL) * 1000), 1500);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base/file");
    TCase *tc = tcase_create("file");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, write_all_continues_short_writes);
    tcase_add_test(tc, pwrite_all_writes_at_its_offset);
    tcase_add_test(tc, a_write_that_stops_says_how_far_it_came);
    tcase_add_test(tc, atomic_write_replaces_whole_files);
    tcase_add_test(tc, failed_atomic_write_keeps_the_old_file);
    tcase_add_test(tc, mkdirs_makes_all_levels_and_tolerates_them);
    tcase_add_test(tc, remove_tree_never_follows_links);
    tcase_add_test(tc, remove_tree_empties_large_directories);
    tcase_add_test(tc, map_read_shows_the_bytes);
    tcase_add_test(tc, sync_dir_needs_a_directory);
    tcase_add_test(tc, second_holder_learns_directory_and_process);
    tcase_add_test(tc, the_lock_ends_with_its_process);
    tcase_add_test(tc, clocks_run_forward);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
