/*
 * evaluation.c: see evaluation.h. Main thread.
 */
#include "cli/evaluation.h"

#include "cli/progress.h"
#include "cli/quality.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 100 /* the deepest measure */

/* ---- runs ---- */

void inv_run_release(struct inv_run *run) {
    for (size_t i = 0; i < run->queries; i++) {
        for (size_t j = 0; j < run->counts[i]; j++)
            free(run->ids[i][j]);
        free(run->ids[i]);
    }
    free(run->ids);
    free(run->counts);
    *run = (struct inv_run){.queries = 0};
}

static bool run_init(struct inv_run *run, size_t queries) {
    *run = (struct inv_run){.queries = 0};
    run->ids = calloc(queries, sizeof *run->ids);
    run->counts = calloc(queries, sizeof *run->counts);
    if (run->ids == NULL || run->counts == NULL) {
        free(run->ids);
        free(run->counts);
        *run = (struct inv_run){.queries = 0};
        return false;
    }
    run->queries = queries;
    return true;
}

static bool run_keep(struct inv_run *run, size_t query, const inv_json *hits,
                     size_t count) {
    run->ids[query] = calloc(count == 0 ? 1 : count, sizeof **run->ids);
    if (run->ids[query] == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        char *id = strdup(inv_text_of(inv_json_at(hits, i), "id"));
        if (id == NULL)
            return false;
        run->ids[query][i] = id;
        run->counts[query] = i + 1;
    }
    return true;
}

double inv_run_overlap(const struct inv_run *a, const struct inv_run *b,
                       size_t k) {
    double sum = 0;
    size_t asked = 0;
    for (size_t q = 0; q < a->queries; q++) {
        size_t n = a->counts[q] < k ? a->counts[q] : k;
        size_t m = b->counts[q] < k ? b->counts[q] : k;
        size_t found = 0;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++)
                found += strcmp(b->ids[q][i], a->ids[q][j]) == 0;
        sum += m > 0 ? (double)found / (double)m : 1;
        asked++;
    }
    return asked > 0 ? sum / (double)asked : 0;
}

/* ---- one query ---- */

/* A TREC run has blanks between its columns: those of an id become %20. */
static void put_trec(FILE *file, const char *query, const char *id, size_t rank,
                     double score) {
    const char *const texts[] = {query, id};
    for (size_t i = 0; i < 2; i++) {
        for (const char *p = texts[i]; *p != '\0'; p++)
            if (*p == ' ' || *p == '\t')
                fprintf(file, "%%%02X", (unsigned)*p);
            else
                fputc(*p, file);
        fputs(i == 0 ? " Q0 " : "", file);
    }
    fprintf(file, " %zu %.6f invar\n", rank, score);
}

static void judge(const struct inv_evaluation_plan *plan, const char *query,
                  const inv_json *hits, size_t count,
                  struct inv_evaluation *sum) {
    double gains[DEPTH];
    double ideal[DEPTH];
    size_t relevant;
    const struct inv_judgement *judged =
        inv_qrels_of(plan->qrels, query, &relevant);
    for (size_t i = 0; i < relevant && i < DEPTH; i++)
        ideal[i] = judged[i].gain;
    for (size_t i = 0; i < count; i++) {
        const inv_json *hit = inv_json_at(hits, i);
        const char *id = inv_text_of(hit, "id");
        if (i < DEPTH)
            gains[i] = inv_qrels_gain(judged, relevant, id);
        if (plan->trec != NULL)
            put_trec(plan->trec, query, id, i + 1, inv_real_of(hit, "score"));
    }
    size_t n = count < DEPTH ? count : DEPTH;
    size_t ideal_count = relevant < DEPTH ? relevant : DEPTH;
    sum->ndcg10 += inv_quality_ndcg(gains, n, ideal, ideal_count, 10);
    sum->recall10 += inv_quality_recall(gains, n, relevant, 10);
    sum->recall100 += inv_quality_recall(gains, n, relevant, 100);
    sum->mrr10 += inv_quality_reciprocal_rank(gains, n, 10);
}

/* ---- all of them ---- */

static void finish(const struct inv_evaluation_plan *plan, double *times,
                   struct inv_evaluation *sum) {
    double total = 0;
    double n = (double)plan->count;
    for (size_t i = 0; i < plan->count; i++)
        total += times[i];
    inv_quality_sort(times, plan->count);
    sum->queries = plan->count;
    sum->ndcg10 /= n;
    sum->recall10 /= n;
    sum->recall100 /= n;
    sum->mrr10 /= n;
    sum->p50_ms = inv_quality_percentile(times, plan->count, .5) * 1e3;
    sum->p95_ms = inv_quality_percentile(times, plan->count, .95) * 1e3;
    sum->per_second = total > 0 ? n / total : 0;
    sum->has_recall100 = plan->limit >= 100;
}

static int ask(struct inv_cli *cli, const struct inv_evaluation_plan *plan,
               size_t i, struct inv_buf *body, struct inv_answer *answer) {
    inv_buf_reset(body);
    inv_query_body(plan->queries, plan->chosen[i], plan->binary, plan->tail,
                   body);
    return inv_cli_call_collection(cli, "POST", plan->collection, "/search",
                                   body, answer);
}

/* Asks all and judges each; the times in seconds. */
static int ask_all(struct inv_cli *cli, const struct inv_evaluation_plan *plan,
                   double *times, struct inv_evaluation *sum,
                   struct inv_run *run) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    struct inv_progress progress;
    /* The first query opens the connection: asked once more, not counted. */
    int exit = ask(cli, plan, 0, &body, &answer);
    inv_answer_release(&answer);
    inv_progress_start(&progress, plan->label, "queries", plan->count, 0,
                       false);
    for (size_t i = 0; i < plan->count && exit == INV_EXIT_OK; i++) {
        exit = ask(cli, plan, i, &body, &answer);
        if (exit != INV_EXIT_OK)
            break;
        const inv_json *hits;
        size_t count = inv_list_of(answer.json, "hits", &hits);
        times[i] = answer.seconds;
        judge(plan, plan->queries->texts.items[plan->chosen[i]].id, hits, count,
              sum);
        if (!run_keep(run, i, hits, count))
            exit = inv_cli_failed("out of memory for the hits");
        inv_answer_release(&answer);
        inv_progress_update(&progress, i + 1, i + 1);
    }
    inv_progress_end(&progress);
    inv_buf_release(&body);
    return exit;
}

int inv_evaluate(struct inv_cli *cli, const struct inv_evaluation_plan *plan,
                 struct inv_evaluation *evaluation, struct inv_run *run) {
    double *times = calloc(plan->count, sizeof *times);
    *evaluation = (struct inv_evaluation){.queries = 0};
    if (!run_init(run, plan->count) || times == NULL) {
        free(times);
        return inv_cli_failed("out of memory for %zu queries", plan->count);
    }
    int exit = ask_all(cli, plan, times, evaluation, run);
    if (exit == INV_EXIT_OK)
        finish(plan, times, evaluation);
    free(times);
    return exit;
}
