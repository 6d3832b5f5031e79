/*
 * cmd_bench.c: `invar bench`: a closed loop: each connection asks, waits for
 * the answer and asks again. The bodies are made before the clock starts, the
 * answers are not parsed: what is measured is the daemon and the wire.
 */
#include "base/clock.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/quality.h"
#include "cli/queries.h"
#include "cli/text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 256
#define POLL_MS 20

struct bench {
    const struct inv_cli *cli;
    struct inv_buf path;
    struct inv_buf *bodies;
    size_t body_count;
    uint64_t requests;    /* 0: until the time is up */
    uint64_t deadline_ns; /* 0: until the requests are sent */
    _Atomic uint64_t next, done, errors;
    _Atomic bool stop;
    atomic_uint running;
    pthread_mutex_t lock; /* of message and exit */
    char message[INV_MESSAGE_MAX];
    int exit;
};

/* What one connection has measured. */
struct lane {
    struct bench *bench;
    pthread_t thread;
    double *times; /* seconds */
    size_t count, cap;
    uint64_t first_ns, last_ns;
};

/* ---- a connection ---- */

static void keep_message(struct bench *bench, int exit, const char *message) {
    pthread_mutex_lock(&bench->lock);
    if (bench->message[0] == '\0') {
        snprintf(bench->message, sizeof bench->message, "%s", message);
        bench->exit = exit;
    }
    pthread_mutex_unlock(&bench->lock);
}

static bool keep_time(struct lane *lane, double seconds) {
    if (lane->count == lane->cap) {
        size_t cap = lane->cap == 0 ? 4096 : lane->cap * 2;
        double *more = realloc(lane->times, cap * sizeof *more);
        if (more == NULL)
            return false;
        lane->times = more;
        lane->cap = cap;
    }
    lane->times[lane->count++] = seconds;
    return true;
}

/* The number of the next request; false when there is none. */
static bool next_request(struct bench *bench, uint64_t *number) {
    if (bench->stop)
        return false;
    if (bench->deadline_ns != 0 && inv_now_ns() >= bench->deadline_ns)
        return false;
    *number = atomic_fetch_add(&bench->next, 1);
    return bench->requests == 0 || *number < bench->requests;
}

static void loop(struct lane *lane, struct inv_client *client) {
    struct bench *bench = lane->bench;
    struct inv_answer answer = INV_ANSWER_INIT;
    uint64_t number;
    lane->first_ns = inv_now_ns();
    while (next_request(bench, &number)) {
        const struct inv_buf *body = &bench->bodies[number % bench->body_count];
        const struct inv_call call = {.method = "POST",
                                      .path = bench->path.data,
                                      .body = body->data,
                                      .len = body->len,
                                      .raw = true};
        enum inv_exit exit = inv_client_send(client, &call, &answer);
        if (exit != INV_EXIT_OK) {
            atomic_fetch_add(&bench->errors, 1);
            keep_message(bench, exit, answer.message);
            if (exit == INV_EXIT_UNREACHABLE)
                bench->stop = true;
        } else if (!keep_time(lane, answer.seconds)) {
            keep_message(bench, INV_EXIT_FAILED, "out of memory for times");
            bench->stop = true;
        }
        atomic_fetch_add(&bench->done, 1);
    }
    lane->last_ns = inv_now_ns();
    inv_answer_release(&answer);
}

static void *lane_main(void *ctx) {
    struct lane *lane = ctx;
    struct bench *bench = lane->bench;
    struct inv_client *client = NULL;
    struct inv_err err;
    if (inv_client_open(bench->cli->url, bench->cli->key, bench->cli->timeout_s,
                        &client, &err) == INV_OK) {
        loop(lane, client);
    } else {
        atomic_fetch_add(&bench->errors, 1);
        keep_message(bench, INV_EXIT_FAILED, err.text);
    }
    inv_client_close(client);
    atomic_fetch_sub(&bench->running, 1);
    return NULL;
}

/* ---- all of them ---- */

static void watch(struct bench *bench, double seconds) {
    struct inv_progress progress;
    uint64_t start = inv_now_ns();
    uint64_t first = 0;
    bool timed = bench->requests == 0;
    inv_progress_start(&progress, "bench", "requests",
                       timed ? (uint64_t)(seconds * 1e3) : bench->requests, 0,
                       false);
    while (bench->running > 0) {
        if (inv_interrupt_watch(POLL_MS, &first))
            bench->stop = true;
        uint64_t done = bench->done;
        inv_progress_update(
            &progress, timed ? (inv_now_ns() - start) / 1000000 : done, done);
    }
    inv_progress_end(&progress);
}

/* Some requests before the clock starts: the first opens files, faults
 * pages in. Their answers must be good. */
static int warm_up(struct inv_cli *cli, const char *collection,
                   const struct bench *bench) {
    struct inv_answer answer;
    int exit = INV_EXIT_OK;
    size_t count = bench->body_count < 8 ? bench->body_count : 8;
    for (size_t i = 0; i < count && exit == INV_EXIT_OK; i++) {
        exit = inv_cli_call_collection(cli, "POST", collection, "/search",
                                       &bench->bodies[i], &answer);
        if (exit == INV_EXIT_OK)
            inv_answer_release(&answer);
    }
    return exit;
}

static bool start_lanes(struct bench *bench, struct lane *lanes,
                        uint32_t *count) {
    uint32_t started = 0;
    inv_interrupt_block();
    for (; started < *count; started++) {
        lanes[started].bench = bench;
        atomic_fetch_add(&bench->running, 1);
        if (pthread_create(&lanes[started].thread, NULL, lane_main,
                           &lanes[started]) != 0) {
            atomic_fetch_sub(&bench->running, 1);
            bench->stop = true;
            break;
        }
    }
    bool all = started == *count;
    *count = started;
    return all;
}

/* ---- results ---- */

struct figures {
    double p50, p95, p99, max, per_second, seconds;
    uint64_t requests;
};

static bool collect(const struct lane *lanes, uint32_t count,
                    struct figures *out) {
    size_t total = 0;
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += lanes[i].count;
        if (lanes[i].first_ns != 0 && lanes[i].first_ns < first)
            first = lanes[i].first_ns;
        if (lanes[i].last_ns > last)
            last = lanes[i].last_ns;
    }
    double *all = calloc(total == 0 ? 1 : total, sizeof *all);
    if (all == NULL)
        return false;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j < lanes[i].count; j++)
            all[at++] = lanes[i].times[j];
    inv_quality_sort(all, total);
    *out = (struct figures){
        .p50 = inv_quality_percentile(all, total, .5) * 1e3,
        .p95 = inv_quality_percentile(all, total, .95) * 1e3,
        .p99 = inv_quality_percentile(all, total, .99) * 1e3,
        .max = inv_quality_percentile(all, total, 1) * 1e3,
        .seconds = last > first ? (double)(last - first) / 1e9 : 0,
        .requests = total,
    };
    if (out->seconds > 0)
        out->per_second = (double)total / out->seconds;
    free(all);
    return true;
}

static int print(const struct inv_cli *cli, const struct bench *bench,
                 const struct figures *f, uint32_t connections) {
    char number[INV_NUMBER_MAX];
    uint64_t errors = bench->errors;
    if (cli->json)
        printf("{\"connections\":%u,\"requests\":%" PRIu64
               ",\"errors\":%" PRIu64
               ",\"seconds\":%.3f,\"queries_per_second\":%.1f,\"p50_ms\":%.3f,"
               "\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
               connections, f->requests, errors, f->seconds, f->per_second,
               f->p50, f->p95, f->p99, f->max);
    else
        printf("%s queries on %u connections in %.1f s: %.0f/s, %" PRIu64
               " errors\n"
               "p50 %.2f ms  p95 %.2f ms  p99 %.2f ms  max %.2f ms\n",
               inv_text_count(number, f->requests), connections, f->seconds,
               f->per_second, errors, f->p50, f->p95, f->p99, f->max);
    fflush(stdout);
    if (errors == 0 && bench->message[0] == '\0')
        return INV_EXIT_OK;
    inv_cli_failed("the first error: %s", bench->message);
    return bench->exit;
}

/* ---- the command ---- */

struct bench_options {
    struct inv_query_options query;
    const char *collection;
    uint32_t connections, requests;
    double seconds;
};

static int run_lanes(struct inv_cli *cli, const struct bench_options *o,
                     struct bench *bench) {
    struct lane *lanes = calloc(o->connections, sizeof *lanes);
    struct figures figures;
    uint32_t started = o->connections;
    if (lanes == NULL)
        return inv_cli_failed("out of memory for %u connections",
                              o->connections);
    if (o->seconds > 0)
        bench->deadline_ns = inv_now_ns() + (uint64_t)(o->seconds * 1e9);
    else
        bench->requests = o->requests;
    bool all = start_lanes(bench, lanes, &started);
    watch(bench, o->seconds);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(lanes[i].thread, NULL);
    inv_interrupt_unblock();
    int exit;
    if (!all)
        exit = inv_cli_failed("only %u of %u threads could be started", started,
                              o->connections);
    else if (!collect(lanes, started, &figures))
        exit = inv_cli_failed("out of memory for the times");
    else
        exit = print(cli, bench, &figures, started);
    for (uint32_t i = 0; i < started; i++)
        free(lanes[i].times);
    free(lanes);
    return exit;
}

static enum inv_status make_bodies(const struct bench_options *o,
                                   const struct inv_target *target,
                                   struct bench *bench, struct inv_err *err) {
    struct inv_queries queries = {.by_vector = false};
    struct inv_buf tail = INV_BUF_INIT;
    enum inv_status status = inv_queries_open(&o->query, target, &queries, err);
    if (status == INV_OK)
        status = inv_query_tail(&o->query, o->query.exact, NULL, &tail, err);
    size_t count = status == INV_OK ? inv_queries_count(&queries) : 0;
    if (status == INV_OK) {
        bench->bodies = calloc(count, sizeof *bench->bodies);
        if (bench->bodies == NULL)
            status = inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                              count);
    }
    for (size_t i = 0; i < count && status == INV_OK; i++) {
        inv_query_body(&queries, i, o->query.binary, &tail, &bench->bodies[i]);
        bench->body_count = i + 1;
        if (bench->bodies[i].failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                              count);
    }
    inv_buf_release(&tail);
    inv_queries_close(&queries);
    return status;
}

static int bench_collection(struct inv_cli *cli,
                            const struct bench_options *o) {
    struct inv_target target;
    struct inv_err err;
    struct bench bench = {.cli = cli, .path = INV_BUF_INIT};
    int exit = inv_target_in(cli, o->collection, o->query.model, &target);
    if (exit != INV_EXIT_OK)
        return exit;
    pthread_mutex_init(&bench.lock, NULL);
    inv_buf_puts(&bench.path, "/v1/collections/");
    inv_client_escape(&bench.path, o->collection, strlen(o->collection));
    inv_buf_puts(&bench.path, "/search");
    enum inv_status status = make_bodies(o, &target, &bench, &err);
    if (status == INV_OK && bench.path.failed)
        status = inv_fail(&err, INV_MEMORY, "out of memory for a path");
    exit = status == INV_OK ? warm_up(cli, o->collection, &bench)
                            : inv_cli_error(&err);
    if (exit == INV_EXIT_OK)
        exit = run_lanes(cli, o, &bench);
    for (size_t i = 0; i < bench.body_count; i++)
        inv_buf_release(&bench.bodies[i]);
    free(bench.bodies);
    inv_buf_release(&bench.path);
    pthread_mutex_destroy(&bench.lock);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct bench_options o = {
        .query = {.limit = 10}, .connections = 1, .requests = 1000};
    const struct inv_option options[] = {
        {"c", INV_OPTION_UINT, "N", "connections (1)", &o.connections},
        {"n", INV_OPTION_UINT, "N", "requests in all (1000)", &o.requests},
        {"seconds", INV_OPTION_REAL, "S", "for a time instead", &o.seconds},
        {"queries-npy", INV_OPTION_TEXT, "FILE", "the queries' vectors",
         &o.query.npy},
        {"offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &o.query.offsets},
        {"limit", INV_OPTION_UINT, "N", "hits a query (10)", &o.query.limit},
        {"params", INV_OPTION_TEXT, "JSON", "budgets of the search",
         &o.query.params},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "of the queries, where the collection knows several", &o.query.model},
        {"filter", INV_OPTION_TEXT, "JSON", "only documents that match",
         &o.query.filter},
        {"exact", INV_OPTION_FLAG, NULL, "score every document",
         &o.query.exact},
        {"binary", INV_OPTION_FLAG, NULL, "send vectors as base64",
         &o.query.binary},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, 2, &exit))
        return exit;
    o.collection = args->argv[0];
    o.query.source = args->argc > 1 ? args->argv[1] : NULL;
    if (o.connections < 1 || o.connections > CONNECTIONS_MAX)
        return inv_cli_usage(args, "-c is 1 to %d, not %u", CONNECTIONS_MAX,
                             o.connections);
    if (o.requests < 1)
        return inv_cli_usage(args, "-n must be 1 or more");
    return bench_collection(cli, &o);
}

const struct inv_command inv_cmd_bench = {
    "bench",
    "searches in a closed loop: p50, p95, p99, queries a second",
    run,
    "usage: invar bench COLLECTION BEIR_FOLDER|QUERIES.jsonl [options]\n"
    "       invar bench COLLECTION --queries-npy FILE [--offsets FILE] "
    "[options]\n"
    "\n"
    "Every connection asks, waits for the answer and asks the next query, "
    "over\n"
    "and over. The bodies are made beforehand; up to 8 queries warm up.\n"
    "\n"
    "Examples:\n"
    "  invar bench papers demo/scifact -c 4 -n 2000\n"
    "  invar bench pooled --queries-npy queries.f16.npy -c 8 --seconds 10 "
    "--binary\n",
};
