/*
 * test_upgrade.c: cli/upgrade.h and cli/backfill.h against a daemon that is as
 * simple as the contract allows: it covers what is posted, fits at once, and
 * remembers what it was asked. What is served by the real one is tested over
 * HTTP.
 */
#include "cli/upgrade.h"

#include "base/npy.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOCUMENTS 30
#define DIM 2

/* ---- the daemon ---- */

/* Held while a request is answered, free again before the reply is sent. */
static pthread_mutex_t answering = PTHREAD_MUTEX_INITIALIZER;

static struct {
    int fd;
    pthread_t thread;
    char url[64];
    bool covered[DOCUMENTS];
    int order[DOCUMENTS]; /* documents as their vectors came */
    int order_count;
    size_t queries, fits, puts, activations, query_posts;
    bool fitted[4];
    char names[4][80]; /* of what was fitted */
    const char *verdict;
    double break_even;
    char state[16], adapter[80], modes[200];
    struct inv_buf out;
    int status;
} d;

static double coverage(void) {
    int count = 0;
    for (int i = 0; i < DOCUMENTS; i++)
        count += d.covered[i];
    return (double)count / DOCUMENTS;
}

static void put_model(void) {
    inv_buf_printf(&d.out,
                   "{\"model\":\"m@2\",\"dim\":2,\"vectors\":%.0f,\"queries\":"
                   "%zu,\"coverage\":%.6f}",
                   coverage() * DOCUMENTS, d.queries, coverage());
}

static void put_migration(void) {
    bool over = strcmp(d.state, "CUTOVER") == 0;
    inv_buf_printf(&d.out,
                   "{\"state\":\"%s\",\"model\":%s,\"adapter\":\"%s\","
                   "\"query_model\":\"m@1\",\"gallery_model\":\"%s\","
                   "\"documents\":%d,\"covered\":%.0f,\"coverage\":%.6f,"
                   "\"can_roll_back\":true,\"journal\":[]}",
                   d.state, strcmp(d.state, "NONE") == 0 ? "null" : "\"m@2\"",
                   d.adapter, over ? "m@2" : "m@1", DOCUMENTS,
                   coverage() * DOCUMENTS, coverage());
}

/* Documents without a vector: the queue begins at the end. */
static void put_wanted(int limit, bool backwards) {
    const char *comma = "";
    inv_buf_puts(&d.out, "{\"documents\":[");
    for (int n = 0; n < DOCUMENTS && limit > 0; n++) {
        int i = backwards ? DOCUMENTS - 1 - n : n;
        if (d.covered[i])
            continue;
        inv_buf_printf(&d.out, "%s{\"id\":\"d%d\",\"seq\":%d}", comma, i,
                       i + 100);
        comma = ",";
        limit--;
    }
    inv_buf_puts(&d.out, "]}");
}

static void take_vectors(const char *body) {
    inv_json *tree = NULL;
    const inv_json *list;
    int stored = 0;
    int known = 0;
    if (inv_json_parse_plain(body, strlen(body), &tree, NULL) != INV_OK) {
        d.status = 400;
        return;
    }
    size_t count = inv_list_of(tree, "vectors", &list);
    for (size_t i = 0; i < count; i++) {
        const inv_json *item = inv_json_at(list, i);
        uint64_t n = 0;
        const char *id = inv_text_of(item, "id");
        if (id[0] != 'd' || inv_field_of(item, "vector") == NULL)
            continue;
        n = strtoul(id + 1, NULL, 10);
        if (n >= DOCUMENTS)
            continue;
        known++;
        stored += !d.covered[n];
        d.covered[n] = true;
        d.order[d.order_count++ % DOCUMENTS] = (int)n;
    }
    inv_json_free(tree);
    inv_buf_printf(&d.out,
                   "{\"stored\":%d,\"unchanged\":%d,\"errors\":[],\"coverage\":"
                   "%.6f}",
                   stored, known - stored, coverage());
}

static void put_adapter(const char *name) {
    for (size_t i = 0; i < d.fits; i++)
        if (strcmp(d.names[i], name) == 0) {
            inv_buf_printf(
                &d.out,
                "{\"name\":\"%s\",\"from\":\"m@2\",\"to\":\"m@1\",\"verdict\":"
                "\"%s\",\"break_even\":%.3f,\"report\":{\"methods\":[{"
                "\"method\":\"%s\",\"kind\":\"procrustes\",\"held_out\":{"
                "\"ndcg10\":0.5}}]}}",
                name, d.verdict, d.break_even, name);
            return;
        }
    d.status = 404;
    inv_buf_puts(&d.out, "{\"code\":\"not_found\"}");
}

static void fit(const char *body) {
    inv_json *tree = NULL;
    d.status = 202;
    if (inv_json_parse_plain(body, strlen(body), &tree, NULL) == INV_OK &&
        d.fits < 4)
        snprintf(d.names[d.fits++], sizeof d.names[0], "%s",
                 inv_text_of(tree, "name"));
    inv_json_free(tree);
    inv_buf_puts(&d.out,
                 "{\"id\":\"1\",\"kind\":\"fit\",\"state\":\"queued\"}");
}

static void activate(const char *body) {
    static const char *const states[][2] = {{"shadow", "SHADOW"},
                                            {"bridge", "BRIDGED"},
                                            {"cascade", "CASCADE"},
                                            {"cutover", "CUTOVER"}};
    inv_json *tree = NULL;
    ck_assert_int_eq(inv_json_parse_plain(body, strlen(body), &tree, NULL),
                     INV_OK);
    const char *mode = inv_text_of(tree, "mode");
    d.activations++;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(states[i][0], mode) == 0)
            snprintf(d.state, sizeof d.state, "%s", states[i][1]);
    snprintf(d.modes + strlen(d.modes), sizeof d.modes - strlen(d.modes),
             "%s@%.2f ", mode, coverage());
    if (inv_field_of(tree, "adapter") != NULL)
        snprintf(d.adapter, sizeof d.adapter, "%s",
                 inv_text_of(tree, "adapter"));
    inv_json_free(tree);
    if (strcmp(d.state, "CUTOVER") != 0) {
        put_migration();
        return;
    }
    d.status = 202;
    inv_buf_puts(&d.out,
                 "{\"id\":\"1\",\"kind\":\"cutover\",\"state\":\"queued\"}");
}

static int number_after(const char *path, const char *key) {
    const char *at = strstr(path, key);
    return at == NULL ? 0 : (int)strtol(at + strlen(key), NULL, 10);
}

#define C "/v1/collections/c"
#define M C "/models/m%402"

static void answer_model(const char *method, const char *rest,
                         const char *body) {
    bool post = strcmp(method, "POST") == 0;
    if (strcmp(method, "PUT") == 0) {
        d.status = d.puts++ == 0 ? 201 : 200;
        put_model();
    } else if (post && strcmp(rest, "/vectors") == 0) {
        take_vectors(body);
    } else if (post) {
        d.query_posts++;
        for (const char *p = body; (p = strstr(p, "\"id\":")) != NULL; p++)
            d.queries++;
        inv_buf_puts(&d.out, "{\"stored\":1}");
    } else if (strncmp(rest, "/calibration", 12) == 0) {
        put_wanted(number_after(rest, "n="), false);
    } else {
        put_model();
    }
}

static void answer(const char *method, const char *path, const char *body) {
    bool post = strcmp(method, "POST") == 0;
    d.status = 200;
    inv_buf_reset(&d.out);
    if (strncmp(path, M, sizeof M - 1) == 0)
        answer_model(method, path + sizeof M - 1, body);
    else if (strncmp(path, C "/backfill", sizeof C + 8) == 0)
        put_wanted(number_after(path, "limit="), true);
    else if (strcmp(path, C "/migration") == 0)
        put_migration();
    else if (strcmp(path, C "/activate") == 0)
        activate(body);
    else if (strcmp(path, C "/adapters") == 0 && post)
        fit(body);
    else if (strncmp(path, C "/adapters/", sizeof C + 9) == 0)
        put_adapter(path + sizeof C + 9);
    else if (strcmp(path, "/v1/jobs/1") == 0)
        inv_buf_puts(&d.out, "{\"id\":\"1\",\"state\":\"succeeded\"}");
    else
        inv_buf_printf(&d.out,
                       "{\"documents\":%d,\"settings\":{\"kind\":\"single\","
                       "\"dim\":2,\"model\":{\"name\":\"m\",\"revision\":"
                       "\"1\"}}}",
                       DOCUMENTS);
}

/* One request; false at the end of the connection. */
static bool serve_one(int fd, struct inv_buf *in) {
    char method[16], path[512];
    size_t body = 0;
    size_t want = 0;
    inv_buf_reset(in);
    for (;;) {
        char chunk[4096];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            return false;
        inv_buf_append(in, chunk, (size_t)n);
        char *end = strstr(in->data, "\r\n\r\n");
        char *length = strstr(in->data, "Content-Length: ");
        if (end == NULL)
            continue;
        body = (size_t)(end + 4 - in->data);
        want = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        if (in->len >= body + want)
            break;
    }
    sscanf(in->data, "%15s %511s", method, path);
    pthread_mutex_lock(&answering);
    answer(method, path, in->data + body);
    pthread_mutex_unlock(&answering);
    dprintf(fd, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", d.status,
            d.out.len, d.out.len > 0 ? d.out.data : "");
    return true;
}

static void *serve(void *ctx) {
    struct inv_buf in = INV_BUF_INIT;
    (void)ctx;
    for (;;) {
        int fd = accept(d.fd, NULL, NULL);
        if (fd < 0)
            break;
        while (serve_one(fd, &in)) {
        }
        close(fd);
    }
    inv_buf_release(&in);
    return NULL;
}

static void start(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    memset(&d, 0, sizeof d);
    d.verdict = "ACTIVATE";
    snprintf(d.state, sizeof d.state, "NONE");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    d.fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(d.fd, (struct sockaddr *)&address, sizeof address),
                     0);
    ck_assert_int_eq(listen(d.fd, 4), 0);
    ck_assert_int_eq(getsockname(d.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(d.url, sizeof d.url, "http://127.0.0.1:%d",
             ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&d.thread, NULL, serve, NULL), 0);
}

/* ---- the files ---- */

static char npy[64], ids[64];

static void write_files(void) {
    float rows[DOCUMENTS * DIM];
    const size_t shape[2] = {DOCUMENTS, DIM};
    struct inv_err err;
    snprintf(npy, sizeof npy, "/tmp/invar-upgrade-%d.npy", (int)getpid());
    snprintf(ids, sizeof ids, "/tmp/invar-upgrade-%d.txt", (int)getpid());
    for (size_t i = 0; i < DOCUMENTS * DIM; i++)
        rows[i] = (float)i + 1;
    ck_assert_int_eq(inv_npy_write(npy, INV_NPY_F32, rows, 2, shape, &err),
                     INV_OK);
    FILE *file = fopen(ids, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < DOCUMENTS; i++)
        fprintf(file, "d%d\n", i);
    fclose(file);
}

static struct inv_cli cli;
static struct inv_upgrade_options options;

static void begin(void) {
    start();
    write_files();
    cli = (struct inv_cli){.url = d.url, .timeout_s = 10, .json = true};
    options = (struct inv_upgrade_options){
        .collection = "c",
        .model = "m@2",
        .files = {.npy = npy, .ids = ids},
        .queries = {.new_queries = npy, .old_queries = npy},
        .pairs = 5,
        .sample = "uniform",
        .methods = "procrustes",
        .wish = INV_FIT_WISH_INIT,
        .yes = true,
        .last = INV_STEP_CUTOVER};
}

static void end(void) {
    inv_client_close(cli.client);
    shutdown(d.fd, SHUT_RDWR);
    pthread_join(d.thread, NULL);
    close(d.fd);
    inv_buf_release(&d.out);
    unlink(npy);
    unlink(ids);
}

/* What the test wrote is the daemon's, what the daemon wrote is the test's. */
static void settle(void) {
    pthread_mutex_lock(&answering);
    pthread_mutex_unlock(&answering);
}

static int upgrade(void) {
    settle();
    int exit = inv_upgrade(&cli, &options);
    settle();
    return exit;
}

static int backfill(struct inv_backfill *b, double fraction,
                    enum inv_backfill_end *how) {
    int exit = inv_backfill_run(b, fraction, how);
    settle();
    return exit;
}

/* ---- the upgrade ---- */

START_TEST(an_upgrade_goes_from_registering_to_cutover) {
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_str_eq(d.state, "CUTOVER");
    ck_assert_uint_eq(d.puts, 1);
    ck_assert_uint_eq(d.queries, DOCUMENTS);
    ck_assert_str_eq(d.names[0], "m-2-to-m-1-procrustes");
    ck_assert_str_eq(d.adapter, "m-2-to-m-1-procrustes");
    ck_assert_str_eq(d.modes, "cascade@0.17 cutover@1.00 ");
}
END_TEST

START_TEST(the_sample_comes_first_and_the_queue_decides_the_rest) {
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_int_eq(d.order_count, DOCUMENTS);
    for (int i = 0; i < 5; i++) /* the calibration's: from the front */
        ck_assert_int_eq(d.order[i], i);
    for (int i = 5; i < DOCUMENTS; i++) /* the queue's: from the back */
        ck_assert_int_eq(d.order[i], DOCUMENTS - 1 - (i - 5));
}
END_TEST

START_TEST(a_second_run_does_only_what_is_left) {
    options.last = INV_STEP_FIT;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_str_eq(d.state, "NONE");
    ck_assert_uint_eq(d.fits, 1);
    ck_assert_int_eq(d.order_count, 5);
    options.last = INV_STEP_ACTIVATE;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_uint_eq(d.fits, 1);
    ck_assert_int_eq(d.order_count, 5);
    ck_assert_uint_eq(d.query_posts, 1);
    options.last = INV_STEP_CUTOVER;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_str_eq(d.modes, "cascade@0.17 cutover@1.00 ");
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_uint_eq(d.activations, 2);
}
END_TEST

START_TEST(without_consent_nothing_is_activated) {
    options.yes = false; /* and standard input is no terminal */
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_uint_eq(d.fits, 1);
    ck_assert_uint_eq(d.activations, 0);
    ck_assert_int_eq(d.order_count, 5);
}
END_TEST

START_TEST(a_refused_adapter_is_activated_by_force_only) {
    d.verdict = "REFUSE";
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_uint_eq(d.activations, 0);
    options.force = true;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_str_eq(d.state, "CUTOVER");
}
END_TEST

START_TEST(cascade_only_waits_in_shadow_for_the_break_even) {
    d.verdict = "CASCADE_ONLY";
    d.break_even = .5;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_str_eq(d.modes, "shadow@0.17 cascade@0.50 cutover@1.00 ");
}
END_TEST

START_TEST(a_file_of_the_sample_alone_is_posted_whole_and_no_more) {
    FILE *file = fopen(ids, "w");
    const size_t shape[2] = {3, DIM};
    const float rows[6] = {1, 2, 3, 4, 5, 6};
    struct inv_err err;
    ck_assert_ptr_nonnull(file);
    fputs("d20\nd3\nd11\n", file);
    fclose(file);
    ck_assert_int_eq(inv_npy_write(npy, INV_NPY_F32, rows, 2, shape, &err),
                     INV_OK);
    options.queries = (struct inv_upgrade_query_files){.new_queries = NULL};
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    ck_assert_int_eq(d.order_count, 3);
    ck_assert(d.covered[20] && d.covered[3] && d.covered[11]);
    ck_assert_str_eq(d.state, "CASCADE"); /* never cut over with a tenth */
}
END_TEST

START_TEST(a_file_of_other_ids_ends_before_the_fit) {
    FILE *file = fopen(ids, "w");
    const size_t shape[2] = {3, DIM};
    const float rows[6] = {1, 2, 3, 4, 5, 6};
    struct inv_err err;
    ck_assert_ptr_nonnull(file);
    fputs("x20\nx3\nx11\n", file);
    fclose(file);
    ck_assert_int_eq(inv_npy_write(npy, INV_NPY_F32, rows, 2, shape, &err),
                     INV_OK);
    options.queries = (struct inv_upgrade_query_files){.new_queries = NULL};
    ck_assert_int_eq(upgrade(), INV_EXIT_FAILED);
    ck_assert_uint_eq(d.fits, 0);
}
END_TEST

START_TEST(another_upgrade_under_way_is_not_disturbed) {
    options.last = INV_STEP_ACTIVATE;
    ck_assert_int_eq(upgrade(), INV_EXIT_OK);
    options.model = "m@3";
    ck_assert_int_eq(upgrade(), INV_EXIT_FAILED);
    ck_assert_uint_eq(d.puts, 1);
}
END_TEST

/* ---- the backfill alone ---- */

START_TEST(a_backfill_stops_at_the_fraction_and_goes_on_later) {
    const struct inv_embedding_files files = {.npy = npy, .ids = ids};
    struct inv_embeddings embeddings;
    struct inv_backfill b;
    struct inv_err err;
    enum inv_backfill_end how;
    ck_assert_int_eq(inv_embeddings_open(&files, false, &embeddings, &err),
                     INV_OK);
    ck_assert_int_eq(inv_backfill_open(&cli, "c", "m@2", &embeddings, &b, &err),
                     INV_OK);
    ck_assert_int_eq(backfill(&b, .1, &how), INV_EXIT_OK);
    ck_assert_int_eq(how, INV_BACKFILL_REACHED);
    ck_assert_uint_eq(b.stored, 3);
    ck_assert(d.covered[29] && d.covered[28] && d.covered[27]);
    inv_backfill_close(&b);
    ck_assert_int_eq(inv_backfill_open(&cli, "c", "m@2", &embeddings, &b, &err),
                     INV_OK);
    ck_assert_int_eq(backfill(&b, 1, &how), INV_EXIT_OK);
    ck_assert_uint_eq(b.stored, DOCUMENTS - 3);
    ck_assert_int_eq(d.order_count, DOCUMENTS);
    ck_assert_int_eq(backfill(&b, 1, &how), INV_EXIT_OK);
    ck_assert_int_eq(d.order_count, DOCUMENTS);
    inv_backfill_close(&b);
    inv_embeddings_close(&embeddings);
}
END_TEST

int main(void) {
    if (inv_client_global_init(NULL) != INV_OK)
        return EXIT_FAILURE;
    Suite *suite = suite_create("cli/upgrade");
    TCase *tests = tcase_create("upgrade");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, an_upgrade_goes_from_registering_to_cutover);
    tcase_add_test(tests,
                   the_sample_comes_first_and_the_queue_decides_the_rest);
    tcase_add_test(tests, a_second_run_does_only_what_is_left);
    tcase_add_test(tests, without_consent_nothing_is_activated);
    tcase_add_test(tests, a_refused_adapter_is_activated_by_force_only);
    tcase_add_test(tests, cascade_only_waits_in_shadow_for_the_break_even);
    tcase_add_test(tests,
                   a_file_of_the_sample_alone_is_posted_whole_and_no_more);
    tcase_add_test(tests, a_file_of_other_ids_ends_before_the_fit);
    tcase_add_test(tests, another_upgrade_under_way_is_not_disturbed);
    tcase_add_test(tests, a_backfill_stops_at_the_fraction_and_goes_on_later);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    inv_client_global_release();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
