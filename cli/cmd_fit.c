/*
 * cmd_fit.c: `invar fit`: adapters between two models from .npy files, judged
 * and written as a file; needs no daemon. Main thread.
 */
#include "cli/adapter_file.h"
#include "cli/fit.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fit_options {
    struct inv_fit_files files;
    struct inv_fit_options how;
    const char *methods, *from, *to, *out, *held_out;
    uint32_t seed;
};

static int check(struct inv_args *args, struct fit_options *o) {
    const struct inv_fit_files *f = &o->files;
    int queries = (f->new_queries != NULL) + (f->old_queries != NULL) +
                  (f->qrels != NULL);
    if (f->new_documents == NULL || f->old_documents == NULL)
        return inv_cli_usage(args, "--new and --old are needed: the documents' "
                                   "vectors in both models");
    if (queries != 0 && queries != 3)
        return inv_cli_usage(args, "--new-queries, --old-queries and --qrels "
                                   "belong together");
    if ((f->extra_new == NULL) != (f->extra_old == NULL))
        return inv_cli_usage(args,
                             "--extra-new and --extra-old belong together");
    if (f->unseen != NULL && f->qrels == NULL)
        return inv_cli_usage(args, "--qrels-unseen is a part of --qrels");
    if (o->how.steps < 1)
        return inv_cli_usage(args, "--steps must be 1 or more");
    o->how.keep_vectors = strcmp(o->held_out, "relevance") == 0;
    if (!o->how.keep_vectors && strcmp(o->held_out, "documents") != 0)
        return inv_cli_usage(args, "--held-out is documents or relevance");
    return INV_EXIT_OK;
}

static enum inv_status write_adapter(const struct fit_options *o,
                                     const struct inv_fit_data *data,
                                     const struct inv_fit_result *result,
                                     struct inv_err *err) {
    const struct inv_map *map = &result->map;
    struct inv_adapter *adapter = NULL;
    struct inv_buf report = INV_BUF_INIT;
    float *w = malloc(map->rows * map->cols * sizeof *w);
    float *b = malloc(map->rows * sizeof *b);
    enum inv_status status = INV_OK;
    if (w == NULL || b == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory for an adapter");
        goto done;
    }
    inv_map_floats(map, w, b);
    struct inv_adapter_parts parts = {
        .kind = result->method.kind,
        .direction = INV_ADAPTER_BACKWARD,
        .from = o->from,
        .to = o->to,
        .rows = map->rows,
        .cols = map->cols,
        .matrix = w,
        .bias = b,
        .normalise = true,
    };
    status = inv_adapter_new(&parts, &adapter, err);
    if (status != INV_OK)
        goto done;
    inv_fit_result_json(data, result, &report);
    parts = inv_adapter_parts(adapter);
    status = inv_adapter_file_write(o->out, &parts, &report, err);
done:
    inv_adapter_free(adapter);
    inv_buf_release(&report);
    free(w);
    free(b);
    return status;
}

static int fit(struct inv_cli *cli, const struct fit_options *o,
               const struct inv_fit_method *methods, size_t count) {
    struct inv_fit_data data;
    struct inv_fit_report *report = calloc(1, sizeof *report);
    struct inv_buf out = INV_BUF_INIT;
    struct inv_err err;
    if (report == NULL)
        return inv_cli_failed("out of memory");
    enum inv_status status = inv_fit_data_open(&o->files, &data, &err);
    if (status == INV_OK)
        status = inv_fit_judge(&data, methods, count, &o->how, cli->json,
                               report, &err);
    const struct inv_fit_result *chosen = &report->results[report->chosen];
    if (status == INV_OK && o->out != NULL)
        status = write_adapter(o, &data, chosen, &err);
    int exit;
    if (status == INV_OK) {
        if (cli->json)
            inv_fit_json(&data, report, &out);
        else
            inv_fit_table(&data, report, &out);
        exit = inv_cli_print(&out);
    } else {
        exit = inv_cli_error(&err);
    }
    if (exit == INV_EXIT_OK && o->out != NULL && !cli->json)
        printf("written: %s\n", o->out);
    inv_buf_release(&out);
    inv_fit_report_release(report);
    inv_fit_data_close(&data);
    free(report);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct fit_options o = {
        .how = {.kappa = .2, .steps = 600, .margin = INV_GATE_MARGIN},
        .from = "new",
        .to = "old",
        .held_out = "documents"};
    const struct inv_option options[] = {
        {"new", INV_OPTION_TEXT, "NPY", "documents in the new model",
         &o.files.new_documents},
        {"old", INV_OPTION_TEXT, "NPY", "the same documents in the old model",
         &o.files.old_documents},
        {"new-queries", INV_OPTION_TEXT, "NPY", "judged queries, new model",
         &o.files.new_queries},
        {"old-queries", INV_OPTION_TEXT, "NPY", "the same, old model",
         &o.files.old_queries},
        {"qrels", INV_OPTION_TEXT, "TSV", "their judgements", &o.files.qrels},
        {"qrels-unseen", INV_OPTION_TEXT, "TSV",
         "a part of them, measured apart", &o.files.unseen},
        {"corpus", INV_OPTION_TEXT, "FILE",
         "ids of the documents, a line each (else row numbers)",
         &o.files.corpus},
        {"queries", INV_OPTION_TEXT, "FILE", "ids of the queries",
         &o.files.queries},
        {"titles", INV_OPTION_TEXT, "NPY",
         "relevance pairs: row i, new model, belongs to document i",
         &o.files.titles},
        {"extra-new", INV_OPTION_TEXT, "NPY",
         "more vector pairs (queries of a log), new model", &o.files.extra_new},
        {"extra-old", INV_OPTION_TEXT, "NPY", "the same, old model",
         &o.files.extra_old},
        {"pairs", INV_OPTION_UINT, "N", "fit on N documents at random (all)",
         &o.files.pairs},
        {"pair-rows", INV_OPTION_TEXT, "FILE",
         "fit on these rows, a number a line", &o.files.pair_rows},
        {"old-dims", INV_OPTION_UINT, "N",
         "the gallery is a Matryoshka one, cut to N dimensions",
         &o.files.old_dims},
        {"methods", INV_OPTION_TEXT, "LIST",
         "procrustes ridge[:RHO] path:KAPPA contrastive[:TEMPERATURE] "
         "paper[:KAPPA]",
         &o.methods},
        {"kappa", INV_OPTION_REAL, "K", "of contrastive (.2)", &o.how.kappa},
        {"steps", INV_OPTION_UINT, "N", "of contrastive (600)", &o.how.steps},
        {"margin", INV_OPTION_REAL, "M", "nDCG@10 that may be lost (.02)",
         &o.how.margin},
        {"held-out", INV_OPTION_TEXT, "WHAT",
         "documents (they take no part; default), or relevance (their vector "
         "pairs do)",
         &o.held_out},
        {"seed", INV_OPTION_UINT, "N", "of everything random (0)", &o.seed},
        {"from", INV_OPTION_TEXT, "SPACE", "name of the new space", &o.from},
        {"to", INV_OPTION_TEXT, "SPACE", "name of the old space", &o.to},
        {"o", INV_OPTION_TEXT, "FILE",
         "write the chosen adapter: .npz or .safetensors", &o.out},
    };
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count;
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           0, 0, &exit))
        return exit;
    exit = check(args, &o);
    if (exit != INV_EXIT_OK)
        return exit;
    if (o.methods == NULL)
        o.methods = o.files.titles != NULL
                        ? "procrustes,path:0.1,path:0.35,ridge,contrastive"
                        : "procrustes,path:0.1,path:0.35,ridge";
    if (inv_fit_methods_parse(o.methods, methods, &count, &err) != INV_OK)
        return inv_cli_usage(args, "%s", err.text);
    if (o.out != NULL && inv_adapter_file_check(o.out, &err) != INV_OK)
        return inv_cli_usage(args, "%s", err.text);
    o.files.seed = o.seed;
    o.how.seed = o.seed;
    return fit(cli, &o, methods, count);
}

const struct inv_command inv_cmd_fit = {
    "fit",
    "an adapter from a new model to the vectors of the old one",
    run,
    "usage: invar fit --new NEW.npy --old OLD.npy [options]\n"
    "\n"
    "Fits maps that take queries of a new embedding model to the vectors that\n"
    "the old one made, so that they stay useful without re-embedding. Every\n"
    "method is judged on your queries by documents its fit did not see, and a\n"
    "gate says what that permits:\n"
    "  ACTIVATE      bridge and cascade\n"
    "  CASCADE_ONLY  re-embed what is found; the coverage it takes is stated\n"
    "  REFUSE        with the reason, and how many queries would tell\n"
    "Without judged queries, documents ask for their neighbours: provisional,\n"
    "never ACTIVATE. Rows are normalised; needs no daemon.\n"
    "\n"
    "Examples:\n"
    "  invar fit --new v2.npy --old v1.npy -o v2-to-v1.npz\n"
    "  invar fit --new v2.npy --old v1.npy --titles v2-titles.npy \\\n"
    "      --new-queries q2.npy --old-queries q1.npy --qrels qrels.tsv \\\n"
    "      --corpus corpus.jsonl --queries queries.jsonl -o adapter.npz\n"
    "  python3: z = numpy.load(\"adapter.npz\"); y = z[\"matrix\"] @ x + "
    "z[\"bias\"]\n",
};
