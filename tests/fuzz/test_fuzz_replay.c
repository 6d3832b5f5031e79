/*
 * test_fuzz_replay.c: the fuzzer's corpus through the parsers in every run of
 * the tests, as it is and mutated 20,000 times with a fixed seed. What must not
 * happen is a crash, a broken promise (fuzz_entry.c) or, under the sanitizers,
 * a byte read where there is none.
 */
#include "base/buf.h"
#include "base/rng.h"
#include "tests/support/fuzz_entry.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 200
#define MUTATIONS 20000

static struct inv_buf seeds[SEEDS_MAX];
static size_t seed_count;

static int by_content(const void *a, const void *b) {
    const struct inv_buf *x = a;
    const struct inv_buf *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len == 0 ? 0 : memcmp(x->data, y->data, x->len);
}

static void read_folder(const char *folder) {
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "run from the repository root: %s", folder);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        ck_assert_uint_lt(seed_count, SEEDS_MAX);
        ck_assert(inv_buf_read_file(&seeds[seed_count], path, 1 << 16, NULL) ==
                  0);
        seed_count++;
    }
    closedir(dir);
}

static void read_corpus(void) {
    memset(seeds, 0, sizeof seeds);
    seed_count = 0;
    read_folder("tests/fuzz/corpus/search");
    read_folder("tests/fuzz/corpus/documents");
    read_folder("tests/fuzz/corpus/other");
    read_folder("tests/fuzz/corpus/frame");
    /* a folder has no order of its own, and the mutations must be the same */
    qsort(seeds, seed_count, sizeof *seeds, by_content);
}

static void release_corpus(void) {
    for (size_t i = 0; i < seed_count; i++)
        inv_buf_release(&seeds[i]);
}

static unsigned run(const struct inv_buf *input) {
    return fuzz_requests((const uint8_t *)input->data, input->len);
}

START_TEST(the_corpus_reaches_every_parser) {
    unsigned taken = 0;
    size_t refused = 0;
    for (size_t i = 0; i < seed_count; i++) {
        unsigned by = run(&seeds[i]);
        taken |= by;
        refused += by == 0;
    }
    ck_assert_uint_eq(taken, FUZZ_ALL);
    ck_assert_uint_ge(refused, 10);
}
END_TEST

static void replace(struct inv_buf *buf, size_t at, size_t len,
                    const char *bytes, size_t new_len) {
    struct inv_buf out = INV_BUF_INIT;
    inv_buf_append(&out, buf->data, at);
    inv_buf_append(&out, bytes, new_len);
    inv_buf_append(&out, buf->data + at + len, buf->len - at - len);
    inv_buf_release(buf);
    *buf = out;
}

static void mutate(struct inv_buf *buf, struct inv_stream *stream) {
    static const char *const words[] = {"\"vector\":",
                                        "\"vectors\":",
                                        "[1]",
                                        "[[1],[2]]",
                                        "null",
                                        "true",
                                        "\"b64\":",
                                        "\"shape\":",
                                        "1e39",
                                        "1e-50",
                                        "\"",
                                        "\\",
                                        "\\u0076",
                                        "\\ud800",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        ",",
                                        ":",
                                        "-",
                                        "0",
                                        "\n",
                                        " ",
                                        "9",
                                        ".",
                                        "e",
                                        "99999999999999999999",
                                        "\xff",
                                        "\xc3\xa9",
                                        "\"payload\":",
                                        "\"id\":",
                                        "\"match\":",
                                        "\"range\":",
                                        "{}",
                                        "[]"};
    static const size_t word_count = sizeof words / sizeof *words;
    uint32_t len = (uint32_t)buf->len;
    uint32_t at = inv_stream_below(stream, len + 1);
    uint32_t span = inv_stream_below(stream, len - at + 1);
    uint32_t part = span < 8 ? span : inv_stream_below(stream, 8);
    const char *word = words[inv_stream_below(stream, (uint32_t)word_count)];
    const struct inv_buf *other =
        &seeds[inv_stream_below(stream, (uint32_t)seed_count)];
    char byte = (char)inv_stream_next(stream);
    switch (inv_stream_below(stream, 7)) {
    case 0:
        if (at < len)
            buf->data[at] = (char)(buf->data[at] ^ (1 << (byte & 7)));
        break;
    case 1:
        replace(buf, at, part, word, strlen(word));
        break;
    case 2:
        replace(buf, at, part, "", 0);
        break;
    case 3: { /* repeat a piece */
        char piece[64];
        uint32_t size = span < sizeof piece ? span : sizeof piece;
        memcpy(piece, buf->data + at, size);
        replace(buf, at, 0, piece, size);
        break;
    }
    case 4: /* the end of another */
        if (other->len > 0) {
            uint32_t from = inv_stream_below(stream, (uint32_t)other->len);
            replace(buf, at, len - at, other->data + from, other->len - from);
        }
        break;
    case 5:
        replace(buf, at, 0, word, strlen(word));
        break;
    default:
        replace(buf, at, part, &byte, 1);
    }
}

START_TEST(mutated_bodies_break_nothing) {
    struct inv_stream stream;
    inv_stream_init(&stream, 42, "mutations", 0);
    size_t accepted = 0;
    size_t parsed = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        const struct inv_buf *seed =
            &seeds[inv_stream_below(&stream, (uint32_t)seed_count)];
        struct inv_buf buf = INV_BUF_INIT;
        inv_buf_append(&buf, seed->data, seed->len);
        uint32_t times = 1 + inv_stream_below(&stream, 4);
        for (uint32_t t = 0; t < times; t++)
            mutate(&buf, &stream);
        ck_assert(!buf.failed);
        unsigned taken = run(&buf);
        parsed += taken != 0;
        accepted += (taken & ~(unsigned)FUZZ_BODY) != 0;
        inv_buf_release(&buf);
    }
    /* or the mutations would only exercise the first error */
    ck_assert_uint_gt(accepted, MUTATIONS / 50);
    ck_assert_uint_lt(parsed, MUTATIONS / 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fuzz_replay");
    TCase *tcase = tcase_create("fuzz_replay");
    tcase_add_checked_fixture(tcase, read_corpus, release_corpus);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, the_corpus_reaches_every_parser);
    tcase_add_test(tcase, mutated_bodies_break_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
