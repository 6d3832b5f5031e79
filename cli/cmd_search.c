/*
 * cmd_search.c: `invar search`: one question, readable hits. Main thread.
 */
#include "cli/queries.h"
#include "cli/show.h"
#include "cli/text.h"

#include <string.h>

#define EXCERPT 300 /* characters of a text: some lines, not a page */

struct search_options {
    struct inv_query_options query;
    const char *collection, *qrels, *query_id;
    uint32_t row;
    bool explain;
};

/* ---- the body ---- */

/* The words behind the collection are the question. */
static void join(const struct inv_args *args, struct inv_buf *out) {
    for (int i = 1; i < args->argc; i++) {
        if (i > 1)
            inv_buf_putc(out, ' ');
        inv_buf_puts(out, args->argv[i]);
    }
}

static enum inv_status put_vectors(const struct search_options *o,
                                   const struct inv_target *target,
                                   const struct inv_buf *tail,
                                   struct inv_buf *body, struct inv_err *err) {
    struct inv_queries queries;
    enum inv_status status = inv_queries_open(&o->query, target, &queries, err);
    if (status != INV_OK)
        return status;
    if (o->row >= inv_queries_count(&queries))
        status = inv_fail(err, INV_INVALID, "--row %u: %s holds %zu queries",
                          o->row, o->query.npy, inv_queries_count(&queries));
    else
        inv_query_body(&queries, o->row, o->query.binary, tail, body);
    inv_queries_close(&queries);
    return status;
}

static int make_body(struct inv_cli *cli, const struct inv_args *args,
                     const struct search_options *o, struct inv_buf *body) {
    struct inv_buf tail = INV_BUF_INIT;
    struct inv_buf text = INV_BUF_INIT;
    struct inv_target target;
    struct inv_err err;
    int exit = INV_EXIT_OK;
    const char *with = "{\"payload\":true},\"explain\":true";
    if (!o->explain)
        with = "{\"payload\":true}";
    enum inv_status status =
        inv_query_tail(&o->query, o->query.exact, with, &tail, &err);
    if (status == INV_OK && o->query.npy != NULL) {
        exit = inv_target_in(cli, o->collection, o->query.model, &target);
        if (exit == INV_EXIT_OK)
            status = put_vectors(o, &target, &tail, body, &err);
    } else if (status == INV_OK) {
        join(args, &text);
        if (text.failed)
            status = inv_fail(&err, INV_MEMORY, "out of memory for a search");
        else
            inv_query_text(text.data, text.len, &tail, body);
    }
    if (status != INV_OK) {
        inv_cli_error(&err);
        exit = INV_EXIT_USAGE;
    }
    inv_buf_release(&tail);
    inv_buf_release(&text);
    return exit;
}

/* ---- the hits ---- */

static void put_payload(struct inv_buf *out, const inv_json *payload,
                        size_t columns) {
    struct inv_buf text = INV_BUF_INIT;
    const char *title = inv_text_of(payload, "title");
    const char *body = inv_text_of(payload, "text");
    if (*title != '\0')
        inv_text_wrap(out, title, strlen(title), 4, columns);
    if (*body != '\0') {
        inv_text_clean(&text, body, strlen(body), EXCERPT);
    } else if (*title == '\0' && payload != NULL &&
               inv_json_size(payload) > 0) {
        struct inv_buf json = INV_BUF_INIT;
        inv_json_write(payload, &json);
        inv_text_clean(&text, json.data, json.len, EXCERPT);
        inv_buf_release(&json);
    }
    if (text.len > 0)
        inv_text_wrap(out, text.data, text.len, 4, columns);
    inv_buf_release(&text);
}

static void put_hit(struct inv_buf *out, size_t rank, const inv_json *hit,
                    const char *mark, size_t columns) {
    const char *id = inv_text_of(hit, "id");
    inv_buf_printf(out, "%2zu.  %.4f  ", rank, inv_real_of(hit, "score"));
    inv_text_clean(out, id, strlen(id), 80);
    inv_buf_printf(out, "%s\n", mark);
    put_payload(out, inv_field_of(hit, "payload"), columns);
}

struct marks {
    const struct inv_judgement *items;
    size_t count, found;
    bool wanted;
};

/* Which model answered, where an adapter stood between it and the index. */
static void put_via(struct inv_buf *out, const inv_json *answer) {
    const inv_json *via = inv_field_of(answer, "via");
    const inv_json *cascade = inv_field_of(answer, "cascade");
    if (via == NULL)
        return;
    inv_buf_puts(out, ", asked in ");
    const char *model = inv_text_of(answer, "model");
    const char *adapter = inv_text_of(via, "adapter");
    inv_text_clean(out, model, strlen(model), 80);
    inv_buf_puts(out, " through ");
    inv_text_clean(out, adapter, strlen(adapter), 80);
    if (cascade != NULL)
        inv_buf_printf(out, " (%llu of the first %llu scored by the model)",
                       (unsigned long long)inv_uint_of(cascade, "covered"),
                       (unsigned long long)inv_uint_of(cascade, "n"));
}

static void put_hits(struct inv_buf *out, const inv_json *answer,
                     struct marks *marks) {
    const inv_json *hits;
    size_t columns = inv_text_columns(stdout);
    size_t count = inv_list_of(answer, "hits", &hits);
    for (size_t i = 0; i < count; i++) {
        const inv_json *hit = inv_json_at(hits, i);
        bool relevant = inv_qrels_gain(marks->items, marks->count,
                                       inv_text_of(hit, "id")) > 0;
        marks->found += relevant;
        put_hit(out, i + 1, hit, relevant ? "  * judged relevant" : "",
                columns);
    }
    if (count == 0)
        inv_buf_puts(out, "no hits\n");
    inv_buf_printf(out, "%zu hit%s in %.1f ms", count, count == 1 ? "" : "s",
                   inv_real_of(answer, "took_ms"));
    put_via(out, answer);
    if (marks->wanted)
        inv_buf_printf(out, "; %zu of %zu judged relevant are among them",
                       marks->found, marks->count);
    inv_buf_putc(out, '\n');
    const inv_json *warnings;
    size_t warned = inv_list_of(answer, "warnings", &warnings);
    for (size_t i = 0; i < warned; i++) {
        const inv_json *text = inv_json_at(warnings, i);
        if (inv_json_kind(text) == INV_JSON_STRING)
            inv_buf_printf(out, "note: %s\n", inv_json_string(text, NULL));
    }
    const inv_json *plan = inv_field_of(answer, "plan");
    if (plan != NULL) {
        inv_buf_puts(out, "plan\n");
        inv_show_object(plan, 2, out);
    }
}

static int show(const struct search_options *o, const inv_json *answer) {
    struct inv_qrels qrels = {.count = 0};
    struct marks marks = {.wanted = o->qrels != NULL};
    struct inv_buf out = INV_BUF_INIT;
    struct inv_err err;
    if (o->qrels != NULL) {
        if (inv_qrels_read(o->qrels, false, &qrels, &err) != INV_OK)
            return inv_cli_error(&err);
        marks.items = inv_qrels_of(&qrels, o->query_id, &marks.count);
    }
    put_hits(&out, answer, &marks);
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_qrels_release(&qrels);
    return exit;
}

/* ---- the command ---- */

static int search(struct inv_cli *cli, const struct inv_args *args,
                  const struct search_options *o) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit = make_body(cli, args, o, &body);
    if (exit == INV_EXIT_OK)
        exit = inv_cli_call_collection(cli, "POST", o->collection, "/search",
                                       &body, &answer);
    if (exit == INV_EXIT_OK)
        exit = cli->json ? inv_cli_print(&answer.body) : show(o, answer.json);
    inv_answer_release(&answer);
    inv_buf_release(&body);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct search_options o = {.query = {.limit = 10}};
    const struct inv_option options[] = {
        {"limit", INV_OPTION_UINT, "N", "hits (10)", &o.query.limit},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "of the queries, where the collection knows several", &o.query.model},
        {"filter", INV_OPTION_TEXT, "JSON", "only documents that match",
         &o.query.filter},
        {"params", INV_OPTION_TEXT, "JSON",
         "budgets: candidates, rescore, rerank, ef, nprobe, dims, ...",
         &o.query.params},
        {"exact", INV_OPTION_FLAG, NULL, "score every document",
         &o.query.exact},
        {"explain", INV_OPTION_FLAG, NULL, "also show the plan", &o.explain},
        {"vector-npy", INV_OPTION_TEXT, "FILE", "vectors instead of text",
         &o.query.npy},
        {"offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &o.query.offsets},
        {"row", INV_OPTION_UINT, "N", "which query of the file, from 0",
         &o.row},
        {"qrels", INV_OPTION_TEXT, "FILE", "mark the hits judged relevant",
         &o.qrels},
        {"query-id", INV_OPTION_TEXT, "ID", "whose judgements", &o.query_id},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, -1, &exit))
        return exit;
    o.collection = args->argv[0];
    if ((args->argc > 1) == (o.query.npy != NULL))
        return inv_cli_usage(args,
                             "a question or --vector-npy FILE is needed%s",
                             args->argc > 1 ? ", not both" : "");
    if ((o.qrels == NULL) != (o.query_id == NULL))
        return inv_cli_usage(args, "--qrels and --query-id go together");
    return search(cli, args, &o);
}

const struct inv_command inv_cmd_search = {
    "search",
    "ask a collection",
    run,
    "usage: invar search COLLECTION TEXT... [options]\n"
    "       invar search COLLECTION --vector-npy FILE [--offsets FILE] "
    "[--row N]\n"
    "\n"
    "Prints rank, score, id, title and the beginning of the text of each hit.\n"
    "\n"
    "Examples:\n"
    "  invar search papers do vitamins help against colds\n"
    "  invar search papers \"gene therapy\" --limit 3 --exact\n"
    "  invar search papers \"gene therapy\" \\\n"
    "      --filter "
    "'{\"must\":[{\"key\":\"year\",\"range\":{\"gte\":2015}}]}'\n"
    "  invar search pooled --vector-npy queries.f16.npy --row 7 --json\n",
};
