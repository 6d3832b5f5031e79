/*
 * cmd_upgrade.c: `invar upgrade`: the options of the guided upgrade; its steps
 * are in upgrade*.c. Main thread.
 */
#include "cli/options.h"
#include "cli/upgrade.h"
#include "encoders/adapters/evaluate.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *words,
                      size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static int check_files(struct inv_args *args,
                       const struct inv_upgrade_options *o) {
    const struct inv_upgrade_query_files *q = &o->queries;
    if (o->files.folder != NULL &&
        (o->files.npy != NULL || o->files.lines != NULL))
        return inv_cli_usage(args, "--new and --text-from: one of them");
    if (o->files.folder != NULL && q->new_queries != NULL)
        return inv_cli_usage(args, "--text-from brings its own queries");
    if (q->old_queries != NULL && q->new_queries == NULL)
        return inv_cli_usage(args, "--old-queries needs the same ones in the "
                                   "new model: --new-queries");
    if (q->new_queries != NULL && q->old_queries == NULL && q->qrels == NULL)
        return inv_cli_usage(args, "--new-queries needs --old-queries, --qrels "
                                   "or both: what else could they tell?");
    if ((q->new_queries != NULL || q->titles != NULL) && o->files.npy == NULL &&
        o->files.lines == NULL)
        return inv_cli_usage(args, "queries and titles go with --new FILE");
    return INV_EXIT_OK;
}

static int check(struct inv_args *args, struct inv_upgrade_options *o,
                 const char *stop_after) {
    static const char *const modes[] = {"shadow", "bridge", "cascade"};
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count;
    if (o->model == NULL)
        return inv_cli_usage(args, "--model NAME@REV is needed: the new model");
    if (strchr(o->model, '@') == NULL)
        return inv_cli_usage(
            args, "--model is NAME@REV, \"%s\" has no revision", o->model);
    if (o->methods != NULL &&
        inv_fit_methods_parse(o->methods, methods, &count, &err) != INV_OK)
        return inv_cli_usage(args, "%s", err.text);
    if (o->sample != NULL && !inv_sample_known(o->sample))
        return inv_cli_usage(
            args, "--sample is leverage or uniform, not \"%s\"", o->sample);
    if (o->mode != NULL &&
        !is_one_of(o->mode, modes, sizeof modes / sizeof *modes))
        return inv_cli_usage(
            args, "--mode is shadow, bridge or cascade, not \"%s\"", o->mode);
    if (stop_after != NULL) {
        int step = 0;
        while (step < INV_STEP_COUNT &&
               strcmp(inv_upgrade_step_names[step], stop_after) != 0)
            step++;
        if (step == INV_STEP_COUNT)
            return inv_cli_usage(args,
                                 "--stop-after is register, sample, queries, "
                                 "fit, activate, backfill or cutover, not "
                                 "\"%s\"",
                                 stop_after);
        o->last = (enum inv_upgrade_step)step;
    }
    return check_files(args, o);
}

struct words {
    const char *new, *stop_after;
    bool all;
};

static bool parse(struct inv_cli *cli, struct inv_args *args,
                  struct inv_upgrade_options *o, struct words *w, int *exit) {
    struct inv_upgrade_query_files *q = &o->queries;
    const struct inv_option options[] = {
        {"model", INV_OPTION_TEXT, "NAME@REV", "the new model", &o->model},
        {"dim", INV_OPTION_UINT, "N", "its dimensions (as --new has)",
         &o->flags.dim},
        {"prompt", INV_OPTION_TEXT, "TEXT",
         "a tag for how its inputs are prepared", &o->flags.prompt},
        {"encoder", INV_OPTION_TEXT, "JSON", "of its index", &o->flags.encoder},
        {"index", INV_OPTION_TEXT, "JSON", "the same", &o->flags.index},
        {"new", INV_OPTION_TEXT, "FILE",
         "documents in the new model: .npy, or JSON lines of "
         "{\"id\",\"vector\"}",
         &w->new},
        {"ids", INV_OPTION_TEXT, "FILE",
         "row i of a .npy is line i: an id or BEIR document", &o->files.ids},
        {"offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &o->files.offsets},
        {"scales", INV_OPTION_TEXT, "FILE", "of int8 vectors",
         &o->files.scales},
        {"text-from", INV_OPTION_TEXT, "FOLDER",
         "texts, titles and queries of a BEIR folder, for built-in models",
         &o->files.folder},
        {"new-queries", INV_OPTION_TEXT, "NPY", "queries in the new model",
         &q->new_queries},
        {"old-queries", INV_OPTION_TEXT, "NPY", "the same in the old one",
         &q->old_queries},
        {"new-query-offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &q->new_offsets},
        {"old-query-offsets", INV_OPTION_TEXT, "FILE", "of token vectors",
         &q->old_offsets},
        {"queries", INV_OPTION_TEXT, "FILE", "their ids, a line each", &q->ids},
        {"qrels", INV_OPTION_TEXT, "TSV", "their judgements", &q->qrels},
        {"titles", INV_OPTION_TEXT, "NPY",
         "titles in the new model, row i for document i: relevance pairs",
         &q->titles},
        {"pairs", INV_OPTION_UINT, "N",
         "documents to embed before the fit (2000)", &o->pairs},
        {"all", INV_OPTION_FLAG, NULL, "all of them before the fit", &w->all},
        {"sample", INV_OPTION_TEXT, "HOW",
         "which: leverage (of single vectors: the default) or uniform",
         &o->sample},
        {"methods", INV_OPTION_TEXT, "LIST",
         "of procrustes ridge path:KAPPA contrastive paper simplex, separated "
         "by "
         "commas",
         &o->methods},
        {"label-field", INV_OPTION_TEXT, "FIELD", "classes for simplex",
         &o->wish.label_field},
        {"kappa", INV_OPTION_REAL, "K", "of contrastive", &o->wish.kappa},
        {"steps", INV_OPTION_UINT, "N", "of contrastive", &o->wish.steps},
        {"margin", INV_OPTION_REAL, "M", "nDCG@10 that may be lost (.02)",
         &o->wish.margin},
        {"seed", INV_OPTION_UINT, "N", "of everything random", &o->wish.seed},
        {"refit", INV_OPTION_FLAG, NULL, "fit again what is fitted already",
         &o->refit},
        {"adapter", INV_OPTION_TEXT, "NAME", "rather than the one chosen",
         &o->adapter},
        {"mode", INV_OPTION_TEXT, "MODE",
         "shadow, bridge or cascade (the best the gate permits)", &o->mode},
        {"force", INV_OPTION_FLAG, NULL,
         "against the gate; the journal keeps it", &o->force},
        {"yes", INV_OPTION_FLAG, NULL, "answer every question with yes",
         &o->yes},
        {"stop-after", INV_OPTION_TEXT, "STEP",
         "register, sample, queries, fit, activate, backfill or cutover",
         &w->stop_after},
    };
    return inv_options_parse(cli, args, options,
                             sizeof options / sizeof *options, 1, 1, exit);
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct inv_upgrade_options o = {
        .pairs = 2000, .wish = INV_FIT_WISH_INIT, .last = INV_STEP_CUTOVER};
    struct words w = {.all = false};
    int exit;
    if (!parse(cli, args, &o, &w, &exit))
        return exit;
    o.collection = args->argv[0];
    o.queries.folder = o.files.folder;
    if (w.all)
        o.pairs = 0;
    inv_embedding_files_set(&o.files, w.new);
    exit = check(args, &o, w.stop_after);
    return exit == INV_EXIT_OK ? inv_upgrade(cli, &o) : exit;
}

const struct inv_command inv_cmd_upgrade = {
    "upgrade",
    "a new embedding model for a collection, step by step",
    run,
    "usage: invar upgrade COLLECTION --model NAME@REV --new FILE [options]\n"
    "       invar upgrade COLLECTION --model static@2 --text-from FOLDER\n"
    "\n"
    "Registers the model, posts its vectors of a sample of the documents and\n"
    "its queries, fits adapters to the vectors that are there, compares them,\n"
    "and, when you agree, lets the new model answer: at first over the old\n"
    "vectors, then with more and more of its own, at last alone. Searches go\n"
    "on all the time; `invar rollback` undoes each step. Interrupted, the "
    "same\n"
    "command goes on; what is done is not done again.\n"
    "\n"
    "Examples:\n"
    "  invar upgrade papers --model static@2 --text-from demo/scifact\n"
    "  invar upgrade papers --model minilm@6 --new l6-docs.npy \\\n"
    "      --ids corpus.jsonl.gz --titles l6-titles.npy \\\n"
    "      --new-queries l6-q.npy --old-queries l3-q.npy \\\n"
    "      --queries queries.jsonl.gz --qrels qrels.tsv --stop-after fit\n",
};
