/*
 * cmd_backfill.c: `invar backfill`: the new model's vectors of stored
 * documents, those that are searched most and adapted worst first. Main thread.
 */
#include "cli/answers.h"
#include "cli/backfill.h"
#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct backfill_options {
    struct inv_embedding_files files;
    const char *collection, *model;
    double fraction;
};

static int tell(const struct inv_cli *cli, const struct inv_backfill *b,
                enum inv_backfill_end end) {
    static const char *const ends[] = {"reached", "missing", "interrupted"};
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json) {
        inv_buf_puts(&out, "{\"model\":");
        inv_json_put_string(&out, b->model, strlen(b->model));
        inv_buf_printf(&out,
                       ",\"end\":\"%s\",\"coverage\":%.6g,\"sent\":%" PRIu64
                       ",\"stored\":%" PRIu64 ",\"unchanged\":%" PRIu64
                       ",\"stale\":%" PRIu64 ",\"unknown\":%" PRIu64 "}\n",
                       ends[end], b->coverage, b->sent, b->stored, b->unchanged,
                       b->stale, b->unknown);
    } else {
        inv_buf_printf(&out, "%s: %.1f %% of the documents have a vector; ",
                       b->model, b->coverage * 100);
        inv_backfill_tell(b, &out);
        inv_buf_putc(&out, '\n');
    }
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    if (end == INV_BACKFILL_INTERRUPTED)
        return inv_cli_failed("interrupted; the same command goes on from "
                              "here");
    if (end == INV_BACKFILL_MISSING)
        return inv_cli_failed("the vectors given do not reach further: the "
                              "documents that are left are not among them "
                              "(GET /v1/collections/%s/backfill lists them)",
                              b->collection);
    return exit;
}

/* The model given, else the one that the upgrade leads to. */
static int find_model(struct inv_cli *cli, const char *collection,
                      const char *given, char *model, size_t cap) {
    struct inv_answer answer;
    if (given != NULL) {
        snprintf(model, cap, "%s", given);
        return INV_EXIT_OK;
    }
    int exit = inv_cli_call_collection(cli, "GET", collection, "/migration",
                                       NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    snprintf(model, cap, "%s", inv_text_of(answer.json, "model"));
    inv_answer_release(&answer);
    if (*model == '\0')
        return inv_cli_failed("no upgrade of \"%s\" is under way: which model "
                              "are the vectors of? --model NAME@REV",
                              collection);
    return INV_EXIT_OK;
}

static int backfill(struct inv_cli *cli, const struct backfill_options *o) {
    struct inv_target target;
    struct inv_embeddings embeddings;
    struct inv_backfill b;
    enum inv_backfill_end end = INV_BACKFILL_REACHED;
    struct inv_err err;
    char model[160];
    int exit = inv_target_get(cli, o->collection, &target);
    if (exit == INV_EXIT_OK)
        exit = find_model(cli, o->collection, o->model, model, sizeof model);
    if (exit != INV_EXIT_OK)
        return exit;
    if (inv_embeddings_open(&o->files, target.multi, &embeddings, &err) !=
        INV_OK)
        return inv_cli_error(&err);
    if (inv_backfill_open(cli, o->collection, model, &embeddings, &b, &err) ==
        INV_OK) {
        exit = inv_backfill_run(&b, o->fraction, &end);
        if (exit == INV_EXIT_OK)
            exit = tell(cli, &b, end);
    } else {
        exit = inv_cli_error(&err);
    }
    inv_backfill_close(&b);
    inv_embeddings_close(&embeddings);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct backfill_options o = {.fraction = 1};
    const char *given = NULL;
    const struct inv_option options[] = {
        {"new", INV_OPTION_TEXT, "FILE",
         "vectors of the new model: .npy, or JSON lines of {\"id\",\"vector\"}",
         &given},
        {"ids", INV_OPTION_TEXT, "FILE",
         "of a .npy: row i is line i, an id or BEIR document (else row "
         "numbers)",
         &o.files.ids},
        {"offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &o.files.offsets},
        {"scales", INV_OPTION_TEXT, "FILE", "of int8 vectors", &o.files.scales},
        {"beir", INV_OPTION_TEXT, "FOLDER",
         "texts instead, for the built-in models", &o.files.folder},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "whose vectors they are (that of the upgrade under way)", &o.model},
        {"fraction", INV_OPTION_REAL, "F",
         "stop when this share of the documents is covered (1)", &o.fraction},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, 1, &exit))
        return exit;
    o.collection = args->argv[0];
    if ((given == NULL) == (o.files.folder == NULL))
        return inv_cli_usage(args, "one of --new FILE and --beir FOLDER is "
                                   "needed");
    if (o.fraction > 1)
        return inv_cli_usage(args, "--fraction is 0 to 1, not %g", o.fraction);
    inv_embedding_files_set(&o.files, given);
    return backfill(cli, &o);
}

const struct inv_command inv_cmd_backfill = {
    "backfill",
    "vectors of a new model for stored documents, most wanted first",
    run,
    "usage: invar backfill COLLECTION --new FILE.npy --ids FILE [options]\n"
    "       invar backfill COLLECTION --new FILE.jsonl [options]\n"
    "       invar backfill COLLECTION --beir FOLDER [options]\n"
    "\n"
    "Asks the daemon which documents come next (searched often, carried over\n"
    "badly by the adapter) and posts their vectors in that order. Searches go\n"
    "on and get better with every request. Interrupted, it goes on when the\n"
    "same command is given again; `invar migration` shows the coverage.\n"
    "\n"
    "Examples:\n"
    "  invar backfill papers --new v2.f16.npy --ids corpus.jsonl.gz\n"
    "  invar backfill papers --beir demo/scifact --fraction 0.1\n",
};
