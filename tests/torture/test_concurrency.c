/*
 * test_concurrency.c: searches, reads and scrolls while documents are written,
 * patched and deleted, logs compacted and segments rebuilt. Every answer is of
 * one moment: each hit's score is that of the version its payload names, no
 * document comes twice, and of two documents that change together both are old
 * or both are new. Worth most under the thread sanitizer.
 */
#include "server/json/json.h"
#include "tests/support/inside.h"

#include <check.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define C "/v1/collections/c"
#define IDS 60
#define DIM 4

static struct inside in;
static atomic_bool stop;
static atomic_int searches, writes;
static char complaint[1024]; /* of the first thread that found something */
static pthread_mutex_t complaint_lock = PTHREAD_MUTEX_INITIALIZER;

static void complain(const char *fmt, ...) INV_PRINTF(1, 2);
static void complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    pthread_mutex_lock(&complaint_lock);
    if (complaint[0] == '\0')
        vsnprintf(complaint, sizeof complaint, fmt, args);
    pthread_mutex_unlock(&complaint_lock);
    va_end(args);
    atomic_store(&stop, true);
}

/* Version v of document i. Twins i and i + IDS / 2 always change together. */
static void vector_of(int i, int v, float out[DIM]) {
    out[0] = (float)i;
    out[1] = (float)(v % 64);
    out[2] = (float)(v / 64 % 64);
    out[3] = 1.0f;
}

static int call(enum inv_method method, const char *path, struct inv_buf *out,
                const char *fmt, ...) INV_PRINTF(4, 5);
static int call(enum inv_method method, const char *path, struct inv_buf *out,
                const char *fmt, ...) {
    char text[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    inv_buf_reset(out);
    int status = inside_call(in.app, method, path, text, (size_t)len, out);
    if (status / 100 != 2 && status != 404 && status != 409 && status != 503)
        complain("%s: %d %s", path, status, out->data);
    return status;
}

static void put_twins(struct inv_buf *out, int i, int v) {
    (void)call(INV_PUT, C "/documents", out,
               "{\"documents\":[{\"id\":\"%d\",\"vector\":[%d,%d,%d,1],"
               "\"payload\":{\"v\":%d,\"p\":0}},{\"id\":\"%d\",\"vector\":[%d,"
               "%d,%d,1],\"payload\":{\"v\":%d,\"p\":0}}]}",
               i, i, v % 64, v / 64 % 64, v, i + IDS / 2, i + IDS / 2, v % 64,
               v / 64 % 64, v);
}

static void *write_on(void *arg) {
    int part = *(int *)arg; /* twins i with i % 2 == part are this thread's */
    struct inv_buf out = INV_BUF_INIT;
    for (int round = 1; !atomic_load(&stop); round++) {
        int i = (round * 7 % (IDS / 4)) * 2 + part;
        if (round % 11 == 0)
            (void)call(INV_POST, C "/documents/delete", &out,
                       "{\"ids\":[\"%d\",\"%d\"]}", i, i + IDS / 2);
        else
            put_twins(&out, i, round);
        if (round % 5 == 0) {
            char path[64];
            snprintf(path, sizeof path, C "/documents/%d", i);
            (void)call(INV_PATCH, path, &out, "{\"payload\":{\"p\":%d}}",
                       round);
        }
        atomic_fetch_add(&writes, 1);
    }
    inv_buf_release(&out);
    return NULL;
}

static int64_t int_of(const inv_json *object, const char *key) {
    const inv_json *at = inv_json_get(object, key);
    return at == NULL ? -1 : inv_json_int(at);
}

/* hits: no document twice, scores those of the payloads' versions. versions[i]
 * is set where document i was among them. */
static void check_hits(const inv_json *root, const float *query,
                       int64_t *versions) {
    const inv_json *hits = inv_json_get(root, "hits");
    for (int i = 0; i < IDS; i++)
        versions[i] = -1;
    for (size_t h = 0; h < inv_json_size(hits); h++) {
        const inv_json *hit = inv_json_at(hits, h);
        size_t len;
        const char *id = inv_json_string(inv_json_get(hit, "id"), &len);
        int i = (int)strtol(id, NULL, 10);
        int64_t v = int_of(inv_json_get(hit, "payload"), "v");
        float x[DIM];
        double want = 0;
        double score = inv_json_real(inv_json_get(hit, "score"));
        vector_of(i, (int)v, x);
        for (size_t d = 0; d < DIM; d++)
            want -= (double)(x[d] - query[d]) * (double)(x[d] - query[d]);
        if (fabs(score - want) > 1e-3)
            complain("document %d, version %d: score %g, not %g", i, (int)v,
                     score, want);
        if (versions[i] != -1)
            complain("document %d twice", i);
        versions[i] = v;
    }
}

static void *search_on(void *arg) {
    struct inv_buf out = INV_BUF_INIT;
    int kind = *(int *)arg;
    for (int round = 0; !atomic_load(&stop); round++) {
        float query[DIM] = {(float)(round % IDS), (float)(round % 64), 1, 1};
        int64_t versions[IDS];
        inv_json *root = NULL;
        const char *filter = "";
        if (kind == 1) /* by an indexed field */
            filter = ",\"filter\":{\"must\":[{\"key\":\"v\",\"range\":{\"gte\":"
                     "1}}]}";
        else if (kind == 2) /* by one that is read from the payload */
            filter = ",\"filter\":{\"must\":[{\"key\":\"p\",\"range\":{\"gte\":"
                     "0}}]}";
        int status = call(INV_POST, C "/search", &out,
                          "{\"vector\":[%g,%g,%g,1],\"limit\":%d,\"with\":{"
                          "\"payload\":true},\"params\":{\"exact\":%s}%s}",
                          (double)query[0], (double)query[1], (double)query[2],
                          IDS, round % 3 == 0 ? "true" : "false", filter);
        if (status == 503)
            continue;
        if (inv_json_parse_plain(out.data, out.len, &root, NULL) != INV_OK) {
            complain("no JSON: %s", out.data);
            break;
        }
        check_hits(root, query, versions);
        inv_json_free(root);
        for (int i = 0; i < IDS / 2; i++)
            if (versions[i] != versions[i + IDS / 2])
                complain("search %d: document %d is at %d, its twin at %d",
                         kind, i, (int)versions[i], (int)versions[i + IDS / 2]);
        atomic_fetch_add(&searches, 1);
    }
    inv_buf_release(&out);
    return NULL;
}

static void *read_on(void *arg) {
    struct inv_buf out = INV_BUF_INIT;
    (void)arg;
    for (int round = 0; !atomic_load(&stop); round++) {
        char path[64];
        snprintf(path, sizeof path, C "/documents/%d", round % IDS);
        (void)call(INV_GET, path, &out, "%s", "");
        (void)call(INV_POST, C "/documents/scroll", &out,
                   "{\"limit\":20,\"with\":{\"payload\":true,\"vectors\":true"
                   "}}");
        (void)call(INV_POST, C "/documents/count", &out,
                   "{\"filter\":{\"must\":[{\"key\":\"p\",\"range\":{\"gte\":1"
                   "}}]}}");
        (void)call(INV_GET, "/readyz", &out, "%s", "");
        (void)call(INV_GET, "/metrics", &out, "%s", "");
    }
    inv_buf_release(&out);
    return NULL;
}

static void *change_on(void *arg) {
    struct inv_buf out = INV_BUF_INIT;
    static const char *const fields[] = {
        "{\"payload_index\":{\"v\":\"integer\"}}",
        "{\"payload_index\":{\"v\":\"integer\",\"q\":\"keyword\"}}"};
    (void)arg;
    for (int round = 0; !atomic_load(&stop); round++) {
        if (round % 3 == 0)
            (void)call(INV_POST, "/v1/admin/collections/c/compact", &out, "%s",
                       "");
        else
            (void)call(INV_POST, "/v1/admin/collections/c/rebuild", &out,
                       "{\"index\":{\"type\":\"%s\"}}",
                       round % 2 == 0 ? "flat" : "hnsw");
        (void)call(INV_GET, "/v1/jobs", &out, "%s", "");
        if (round % 4 == 0)
            (void)call(INV_PATCH, C, &out, "%s", fields[round / 4 % 2]);
        usleep(3000);
    }
    inv_buf_release(&out);
    return NULL;
}

START_TEST(every_answer_is_of_one_moment) {
    pthread_t threads[8];
    int parts[] = {0, 1};
    int kinds[] = {0, 1, 2};
    struct inv_buf out = INV_BUF_INIT;
    inside_init(&in);
    in.config.fresh_limit = 40;
    in.config.roll_bytes = 8192;
    in.config.seal_idle_entries = 8;
    in.config.seal_idle_ns = 1000000;
    inside_open(&in);
    inside_ok(&in, INV_PUT, C,
              "{\"kind\":\"single\",\"dim\":4,\"metric\":\"l2\","
              "\"payload_index\":{\"v\":\"integer\"}}");
    for (int i = 0; i < IDS / 2; i++)
        put_twins(&out, i, 1);
    for (int t = 0; t < 2; t++)
        ck_assert_int_eq(pthread_create(&threads[t], NULL, write_on, &parts[t]),
                         0);
    for (int t = 0; t < 3; t++)
        ck_assert_int_eq(
            pthread_create(&threads[2 + t], NULL, search_on, &kinds[t]), 0);
    ck_assert_int_eq(pthread_create(&threads[5], NULL, read_on, NULL), 0);
    ck_assert_int_eq(pthread_create(&threads[6], NULL, change_on, NULL), 0);
    for (int i = 0; i < 300 && !atomic_load(&stop); i++)
        usleep(10000);
    atomic_store(&stop, true);
    for (int t = 0; t < 7; t++)
        pthread_join(threads[t], NULL);
    ck_assert_msg(complaint[0] == '\0', "%s", complaint);
    ck_assert_int_gt(searches, 20);
    ck_assert_int_gt(writes, 20);
    char *before = inside_state(&in, "c");
    inside_reopen(&in);
    char *after = inside_state(&in, "c");
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    inside_close(&in);
    ck_assert_msg(inside_verify(&in), "%s", in.body.data);
    inside_free(&in);
    inv_buf_release(&out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("concurrency");
    TCase *tc = tcase_create("concurrency");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_answer_is_of_one_moment);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
