/*
 * cmd_fit.c: `invar fit`: adapters between two models from .npy files, judged
 * and written as a file; needs no daemon. Main thread.
 */
#include "base/file.h"
#include "cli/fit.h"
#include "cli/options.h"
#include "server/json/adapter_file.h"
#include "server/json/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGE_MAX 128

struct fit_options {
    struct inv_fit_files files;
    struct inv_fit_options how;
    const char *methods, *out, *held_out;
    uint32_t seed, judged;
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

/* Which format, the name's ending says. */
static enum inv_status format_of(const char *path,
                                 enum inv_adapter_format *format,
                                 struct inv_err *err) {
    const char *dot = strrchr(path, '.');
    if (dot == NULL || dot == path || dot[-1] == '/')
        return inv_fail(err, INV_INVALID,
                        "%s: an adapter is written as .npz or .safetensors",
                        path);
    return inv_adapter_format_parse(dot + 1, format, err);
}

static enum inv_status write_adapter(const char *path,
                                     const struct inv_fit_report *report,
                                     struct inv_err *err) {
    const struct inv_fit_result *chosen = &report->results[report->chosen];
    enum inv_adapter_format format;
    struct inv_buf about = INV_BUF_INIT;
    struct inv_buf out = INV_BUF_INIT;
    enum inv_status status = format_of(path, &format, err);
    inv_fit_result_json(report, chosen, &about);
    if (status == INV_OK && about.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory writing %s", path);
    if (status == INV_OK)
        status =
            inv_adapter_write(chosen->backward, format, about.data, &out, err);
    if (status == INV_OK)
        status = inv_file_write_atomic(path, out.data, out.len, err);
    inv_buf_release(&about);
    inv_buf_release(&out);
    return status;
}

/* A line on standard error for every stage. */
static bool tell(void *ctx, const char *stage, size_t done, size_t total) {
    char *last = ctx;
    (void)done;
    (void)total;
    if (strcmp(last, stage) != 0)
        fprintf(stderr, "%s\n", stage);
    snprintf(last, STAGE_MAX, "%s", stage);
    return false;
}

static enum inv_status print(struct inv_cli *cli, const struct fit_options *o,
                             const struct inv_fit_report *report, int *exit,
                             struct inv_err *err) {
    struct inv_buf out = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    if (o->out != NULL)
        status = write_adapter(o->out, report, err);
    if (status == INV_OK) {
        if (cli->json) {
            inv_fit_report_json(report, &out);
            inv_buf_putc(&out, '\n');
        } else {
            inv_fit_table(report, &out);
        }
        *exit = inv_cli_print(&out);
    }
    inv_buf_release(&out);
    if (status == INV_OK && *exit == INV_EXIT_OK && o->out != NULL &&
        !cli->json)
        printf("written: %s\n", o->out);
    return status;
}

static int fit(struct inv_cli *cli, const struct fit_options *o) {
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_fit_input input;
    struct inv_fit_report *report = calloc(1, sizeof *report);
    struct inv_err err;
    char stage[STAGE_MAX] = "";
    size_t count = 0;
    int exit = INV_EXIT_OK;
    if (report == NULL)
        return inv_cli_failed("out of memory");
    enum inv_status status = inv_fit_input_open(&o->files, &input, &err);
    if (status == INV_OK && o->methods == NULL)
        inv_fit_methods_default(&input.data, methods, &count);
    else if (status == INV_OK)
        status = inv_fit_methods_parse(o->methods, methods, &count, &err);
    if (status == INV_OK)
        status = inv_fit_judge(&input.data, methods, count, &o->how,
                               cli->json ? NULL : tell, stage, report, &err);
    if (status == INV_OK)
        status = print(cli, o, report, &exit, &err);
    if (status != INV_OK)
        exit = inv_cli_error(&err);
    inv_fit_report_release(report);
    inv_fit_input_close(&input);
    free(report);
    return exit;
}

/* What would be found wrong only after the files were read, or after the fit.
 */
static int check_words(struct inv_args *args, const struct fit_options *o) {
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    enum inv_adapter_format format;
    struct inv_err err;
    size_t count;
    if (o->methods != NULL &&
        inv_fit_methods_parse(o->methods, methods, &count, &err) != INV_OK)
        return inv_cli_usage(args, "%s", err.text);
    if (o->out != NULL && format_of(o->out, &format, &err) != INV_OK)
        return inv_cli_usage(args, "%s", err.text);
    return INV_EXIT_OK;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct fit_options o = {.how = inv_fit_options_defaults(),
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
        {"labels", INV_OPTION_TEXT, "FILE",
         "of simplex: a label a line, of document i; an empty one is none",
         &o.files.labels},
        {"tokens", INV_OPTION_FLAG, NULL,
         "multi-vectors: NAME.i8.npy is read with NAME.offsets.i64.npy and "
         "NAME.scale.f16.npy",
         &o.files.tokens},
        {"old-dims", INV_OPTION_UINT, "N",
         "the gallery is a Matryoshka one, cut to N dimensions",
         &o.files.old_dims},
        {"methods", INV_OPTION_TEXT, "LIST",
         "procrustes ridge[:RHO] path:KAPPA contrastive[:TEMPERATURE] "
         "paper[:KAPPA] simplex[:BETA]",
         &o.methods},
        {"kappa", INV_OPTION_REAL, "K", "of contrastive (.2)", &o.how.kappa},
        {"steps", INV_OPTION_UINT, "N", "of contrastive (600)", &o.how.steps},
        {"judged", INV_OPTION_UINT, "N",
         "judge by N queries at random (all; with --tokens 100)", &o.judged},
        {"margin", INV_OPTION_REAL, "M", "nDCG@10 that may be lost (.02)",
         &o.how.margin},
        {"held-out", INV_OPTION_TEXT, "WHAT",
         "documents (they take no part; default), or relevance (their vector "
         "pairs do)",
         &o.held_out},
        {"seed", INV_OPTION_UINT, "N", "of everything random (0)", &o.seed},
        {"from", INV_OPTION_TEXT, "SPACE",
         "the new model, NAME@REV where a daemon is to import it", &o.how.from},
        {"to", INV_OPTION_TEXT, "SPACE", "the old model", &o.how.to},
        {"o", INV_OPTION_TEXT, "FILE",
         "write the chosen adapter: .npz or .safetensors", &o.out},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           0, 0, &exit))
        return exit;
    exit = check(args, &o);
    if (exit == INV_EXIT_OK)
        exit = check_words(args, &o);
    if (exit != INV_EXIT_OK)
        return exit;
    o.files.seed = o.seed;
    o.how.seed = o.seed;
    /* Files are small enough to judge and fit on all of single vectors. */
    size_t most = o.files.tokens ? 0 : SIZE_MAX;
    o.how.judged_max = o.judged > 0 ? o.judged : most;
    o.how.pairs_max = most;
    return fit(cli, &o);
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
