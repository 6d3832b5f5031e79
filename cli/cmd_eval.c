/*
 * cmd_eval.c: `invar eval`: queries and judgements in, nDCG, recall and MRR
 * out, beside those of the exact search when asked for. Main thread.
 */
#include "cli/evaluation.h"
#include "cli/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct eval_options {
    struct inv_query_options query;
    const char *collection, *qrels, *gains, *trec;
    uint32_t sample;
    bool against_exact;
};

struct eval_results {
    struct inv_evaluation approximate, exact;
    bool both;
    double overlap; /* share of the exact top 10 that was found */
};

/* ---- what to ask ---- */

/* The places of the queries that have a relevant document; a sample takes them
 * at even distances. */
static size_t *choose(const struct inv_queries *queries,
                      const struct inv_qrels *qrels, uint32_t sample,
                      size_t *count) {
    size_t *chosen = calloc(queries->texts.count, sizeof *chosen);
    size_t n = 0;
    *count = 0;
    if (chosen == NULL)
        return NULL;
    for (size_t i = 0; i < queries->texts.count; i++) {
        size_t relevant;
        (void)inv_qrels_of(qrels, queries->texts.items[i].id, &relevant);
        if (relevant > 0)
            chosen[n++] = i;
    }
    *count = n;
    if (sample > 0 && sample < n) {
        for (size_t i = 0; i < sample; i++)
            chosen[i] = chosen[i * n / sample];
        *count = sample;
    }
    return chosen;
}

static enum inv_status read_qrels(const struct eval_options *o,
                                  struct inv_qrels *qrels,
                                  struct inv_err *err) {
    struct inv_buf path = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    if (o->qrels == NULL && !inv_is_folder(o->query.source))
        status = inv_fail(err, INV_INVALID,
                          "--qrels FILE is needed: %s is no "
                          "folder",
                          o->query.source);
    else if (o->qrels == NULL)
        status = inv_qrels_find(o->query.source, &path, err);
    if (status == INV_OK)
        status = inv_qrels_read(o->qrels != NULL ? o->qrels : path.data,
                                strcmp(o->gains, "binary") == 0, qrels, err);
    inv_buf_release(&path);
    return status;
}

/* ---- results ---- */

static void put_json(const char *key, const struct inv_evaluation *e,
                     struct inv_buf *out) {
    inv_buf_printf(out,
                   "\"%s\":{\"queries\":%zu,\"ndcg@10\":%.4f,"
                   "\"recall@10\":%.4f,",
                   key, e->queries, e->ndcg10, e->recall10);
    if (e->has_recall100)
        inv_buf_printf(out, "\"recall@100\":%.4f,", e->recall100);
    inv_buf_printf(out,
                   "\"mrr@10\":%.4f,\"p50_ms\":%.3f,\"p95_ms\":%.3f,"
                   "\"queries_per_second\":%.1f}",
                   e->mrr10, e->p50_ms, e->p95_ms, e->per_second);
}

static void add_row(struct inv_table *table, const char *label,
                    const struct inv_evaluation *e) {
    char cells[8][INV_NUMBER_MAX];
    const char *row[9] = {label};
    snprintf(cells[0], INV_NUMBER_MAX, "%.4f", e->ndcg10);
    snprintf(cells[1], INV_NUMBER_MAX, "%.4f", e->recall10);
    snprintf(cells[2], INV_NUMBER_MAX, "%.4f", e->recall100);
    snprintf(cells[3], INV_NUMBER_MAX, "%.4f", e->mrr10);
    snprintf(cells[4], INV_NUMBER_MAX, "%.2f", e->p50_ms);
    snprintf(cells[5], INV_NUMBER_MAX, "%.2f", e->p95_ms);
    snprintf(cells[6], INV_NUMBER_MAX, "%.0f", e->per_second);
    for (size_t i = 0; i < 7; i++)
        row[i + 1] = i == 2 && !e->has_recall100 ? "-" : cells[i];
    inv_table_row(table, row);
}

static void put_table(const struct eval_options *o,
                      const struct eval_results *r, struct inv_buf *out) {
    static const char *const heading[] = {
        "",        ">nDCG@10", ">recall@10", ">recall@100",
        ">MRR@10", ">p50 ms",  ">p95 ms",    ">queries/s"};
    struct inv_table table;
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    add_row(&table, o->query.exact ? "exact" : o->collection, &r->approximate);
    if (r->both)
        add_row(&table, "exact", &r->exact);
    inv_table_write(&table, out);
    inv_table_release(&table);
    inv_buf_printf(out, "%zu queries on one connection\n",
                   r->approximate.queries);
    if (r->both)
        inv_buf_printf(
            out,
            "recall@10 of exact: %.4f (share of the exact top 10 "
            "that was found), nDCG@10 %.3f of exact\n",
            r->overlap,
            r->exact.ndcg10 > 0 ? r->approximate.ndcg10 / r->exact.ndcg10 : 0);
}

static int print(const struct inv_cli *cli, const struct eval_options *o,
                 const struct eval_results *r) {
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json) {
        inv_buf_puts(&out, "{\"collection\":");
        inv_json_put_string(&out, o->collection, strlen(o->collection));
        inv_buf_putc(&out, ',');
        put_json("result", &r->approximate, &out);
        if (r->both) {
            inv_buf_putc(&out, ',');
            put_json("exact", &r->exact, &out);
            inv_buf_printf(&out, ",\"recall@10_of_exact\":%.4f", r->overlap);
        }
        inv_buf_puts(&out, "}\n");
    } else {
        put_table(o, r, &out);
    }
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    return exit;
}

/* ---- the command ---- */

/* Asks all chosen queries; with against_exact the exact search too. */
static int measure(struct inv_cli *cli, const struct eval_options *o,
                   const struct inv_evaluation_plan *queries,
                   struct eval_results *r) {
    struct inv_evaluation_plan plan = *queries;
    struct inv_run found = {.queries = 0};
    struct inv_run truth = {.queries = 0};
    struct inv_buf tail = INV_BUF_INIT;
    struct inv_err err;
    int exit = INV_EXIT_OK;
    plan.tail = &tail;
    plan.label = o->query.exact ? "exact" : "search";
    if (inv_query_tail(&o->query, o->query.exact, NULL, &tail, &err) != INV_OK)
        exit = inv_cli_error(&err);
    if (exit == INV_EXIT_OK)
        exit = inv_evaluate(cli, &plan, &r->approximate, &found);
    if (exit == INV_EXIT_OK && o->against_exact) {
        inv_buf_reset(&tail);
        plan.label = "exact";
        plan.trec = NULL;
        if (inv_query_tail(&o->query, true, NULL, &tail, &err) != INV_OK)
            exit = inv_cli_error(&err);
        if (exit == INV_EXIT_OK)
            exit = inv_evaluate(cli, &plan, &r->exact, &truth);
        r->both = true;
        if (exit == INV_EXIT_OK)
            r->overlap = inv_run_overlap(&found, &truth, 10);
    }
    inv_run_release(&found);
    inv_run_release(&truth);
    inv_buf_release(&tail);
    return exit;
}

static int with_run_file(struct inv_cli *cli, const struct eval_options *o,
                         struct inv_evaluation_plan *plan) {
    struct eval_results results = {.both = false};
    FILE *trec = NULL;
    if (o->trec != NULL && (trec = fopen(o->trec, "w")) == NULL)
        return inv_cli_failed("%s cannot be written: %s", o->trec,
                              strerror(errno));
    plan->trec = trec;
    int exit = measure(cli, o, plan, &results);
    if (trec != NULL && fclose(trec) != 0)
        exit = inv_cli_failed("%s cannot be written: %s", o->trec,
                              strerror(errno));
    return exit == INV_EXIT_OK ? print(cli, o, &results) : exit;
}

static int eval(struct inv_cli *cli, const struct eval_options *o) {
    struct inv_queries queries = {.by_vector = false};
    struct inv_qrels qrels = {.count = 0};
    struct inv_target target;
    struct inv_err err;
    size_t *chosen = NULL;
    int exit = inv_target_in(cli, o->collection, o->query.model, &target);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_evaluation_plan plan = {.collection = o->collection,
                                       .queries = &queries,
                                       .qrels = &qrels,
                                       .limit = o->query.limit,
                                       .binary = o->query.binary};
    enum inv_status status = read_qrels(o, &qrels, &err);
    if (status == INV_OK)
        status = inv_queries_open(&o->query, &target, &queries, &err);
    if (status == INV_OK) {
        chosen = choose(&queries, &qrels, o->sample, &plan.count);
        plan.chosen = chosen;
        if (chosen == NULL)
            status = inv_fail(&err, INV_MEMORY, "out of memory for queries");
        else if (plan.count == 0)
            status = inv_fail(&err, INV_INVALID,
                              "none of the %zu queries has a judgement",
                              queries.texts.count);
    }
    exit =
        status == INV_OK ? with_run_file(cli, o, &plan) : inv_cli_error(&err);
    free(chosen);
    inv_queries_close(&queries);
    inv_qrels_release(&qrels);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct eval_options o = {.query = {.limit = 100}, .gains = "graded"};
    const struct inv_option options[] = {
        {"qrels", INV_OPTION_TEXT, "FILE",
         "judgements (FOLDER/qrels/test.tsv or FOLDER/qrels.tsv)", &o.qrels},
        {"gains", INV_OPTION_TEXT, "KIND",
         "graded (as in the judgements) or binary", &o.gains},
        {"queries-npy", INV_OPTION_TEXT, "FILE",
         "their vectors: row i is line i of queries.jsonl", &o.query.npy},
        {"offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &o.query.offsets},
        {"limit", INV_OPTION_UINT, "N", "hits a query (100)", &o.query.limit},
        {"params", INV_OPTION_TEXT, "JSON", "budgets of the search",
         &o.query.params},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "of the queries, where the collection knows several", &o.query.model},
        {"filter", INV_OPTION_TEXT, "JSON", "only documents that match",
         &o.query.filter},
        {"exact", INV_OPTION_FLAG, NULL, "score every document",
         &o.query.exact},
        {"against-exact", INV_OPTION_FLAG, NULL,
         "also search exactly, and compare", &o.against_exact},
        {"binary", INV_OPTION_FLAG, NULL, "send vectors as base64",
         &o.query.binary},
        {"sample", INV_OPTION_UINT, "N", "ask N of the queries only",
         &o.sample},
        {"runs", INV_OPTION_TEXT, "FILE", "write the hits as a TREC run",
         &o.trec},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    o.collection = args->argv[0];
    o.query.source = args->argv[1];
    if (strcmp(o.gains, "graded") != 0 && strcmp(o.gains, "binary") != 0)
        return inv_cli_usage(args, "--gains is graded or binary, not \"%s\"",
                             o.gains);
    if (o.query.limit < 10)
        return inv_cli_usage(args,
                             "--limit must be 10 or more for nDCG@10, "
                             "got %u",
                             o.query.limit);
    return eval(cli, &o);
}

const struct inv_command inv_cmd_eval = {
    "eval",
    "queries and judgements: nDCG, recall, MRR, times",
    run,
    "usage: invar eval COLLECTION BEIR_FOLDER [options]\n"
    "       invar eval COLLECTION QUERIES.jsonl --qrels FILE [options]\n"
    "\n"
    "Asks every query that has a relevant document once, on one connection.\n"
    "nDCG@10 takes the gains of the judgements, discounts them by log2(rank + "
    "1)\n"
    "and divides by the best order of all relevant documents. Times are the\n"
    "client's, from sending to the last byte.\n"
    "\n"
    "Examples:\n"
    "  invar eval papers demo/scifact --against-exact\n"
    "  invar eval papers demo/scifact --params '{\"rerank\":100}' --sample 50\n"
    "  invar eval tokens scifact --queries-npy queries.f16.npy \\\n"
    "      --offsets queries.offsets.i64.npy --runs scifact.run\n",
};
