/*
 * cmd_models.c: `invar models`: the models a collection knows, and which
 * documents to embed with a new one. Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/show.h"
#include "cli/text.h"
#include "cli/upgrade.h"

#include <stdio.h>
#include <string.h>

/* Programs get the answer, people what `show` makes of it, or `done`. */
static int print(const struct inv_cli *cli, const struct inv_answer *answer,
                 void (*show)(const inv_json *answer, struct inv_buf *out),
                 const char *done) {
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json)
        inv_buf_append(&out, answer->body.len > 0 ? answer->body.data : "{}",
                       answer->body.len > 0 ? answer->body.len : 2);
    else if (show != NULL)
        show(answer->json, &out);
    else
        inv_buf_puts(&out, done);
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    return exit;
}

/* ---- list, show ---- */

static void show_models(const inv_json *answer, struct inv_buf *out) {
    static const char *const heading[] = {
        "model", ">dim", "role", ">vectors", ">coverage", ">only", ">queries"};
    const inv_json *list;
    size_t count = inv_list_of(answer, "models", &list);
    struct inv_table table;
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    for (size_t i = 0; i < count; i++) {
        const inv_json *m = inv_json_at(list, i);
        char dim[INV_NUMBER_MAX], vectors[INV_NUMBER_MAX];
        char coverage[INV_NUMBER_MAX], alone[INV_NUMBER_MAX];
        char queries[INV_NUMBER_MAX];
        snprintf(coverage, sizeof coverage, "%.1f %%",
                 inv_real_of(m, "coverage") * 100);
        const char *const row[] = {
            inv_text_of(m, "model"),
            inv_text_count(dim, inv_uint_of(m, "dim")),
            inv_bool_of(m, "gallery") ? "index" : "",
            inv_text_count(vectors, inv_uint_of(m, "vectors")),
            coverage,
            inv_text_count(alone, inv_uint_of(m, "alone")),
            inv_text_count(queries, inv_uint_of(m, "queries")),
        };
        inv_table_row(&table, row);
    }
    inv_table_write(&table, out);
    inv_table_release(&table);
}

static void show_model(const inv_json *answer, struct inv_buf *out) {
    inv_show_object(answer, 0, out);
}

static int run_list(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    exit = inv_cli_call_collection(cli, "GET", args->argv[0], "/models", NULL,
                                   &answer);
    if (exit == INV_EXIT_OK)
        exit = print(cli, &answer, show_models, NULL);
    inv_answer_release(&answer);
    return exit;
}

static int run_show(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    exit = inv_cli_call_part(cli, "GET", args->argv[0], "models", args->argv[1],
                             "", NULL, &answer);
    if (exit == INV_EXIT_OK)
        exit = print(cli, &answer, show_model, NULL);
    inv_answer_release(&answer);
    return exit;
}

/* ---- put, delete, drop ---- */

static int run_put(struct inv_cli *cli, struct inv_args *args) {
    struct inv_model_flags flags = {.dim = 0};
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer;
    struct inv_err err;
    char done[256];
    const struct inv_option options[] = {
        {"dim", INV_OPTION_UINT, "N",
         "dimensions of its vectors (built-in models need none)", &flags.dim},
        {"prompt", INV_OPTION_TEXT, "TEXT",
         "a tag for how inputs are prepared: another one is another model",
         &flags.prompt},
        {"encoder", INV_OPTION_TEXT, "JSON",
         "of its index (the collection's kind)", &flags.encoder},
        {"index", INV_OPTION_TEXT, "JSON", "the same", &flags.index},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    if (inv_model_body(&flags, &body, &err) != INV_OK) {
        inv_buf_release(&body);
        return inv_cli_usage(args, "%s", err.text);
    }
    exit = inv_cli_call_part(cli, "PUT", args->argv[0], "models", args->argv[1],
                             "", &body, &answer);
    snprintf(done, sizeof done, "%.130s %s", args->argv[1],
             answer.http == 201 ? "registered" : "is there already, the same");
    if (exit == INV_EXIT_OK)
        exit = print(cli, &answer, NULL, done);
    inv_buf_release(&body);
    inv_answer_release(&answer);
    return exit;
}

static int remove_it(struct inv_cli *cli, struct inv_args *args,
                     const char *rest, const char *text) {
    struct inv_answer answer;
    char done[256];
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    exit = inv_cli_call_part(cli, "DELETE", args->argv[0], "models",
                             args->argv[1], rest, NULL, &answer);
    snprintf(done, sizeof done, "%s %.130s", text, args->argv[1]);
    if (exit == INV_EXIT_OK)
        exit = print(cli, &answer, NULL, done);
    inv_answer_release(&answer);
    return exit;
}

static int run_delete(struct inv_cli *cli, struct inv_args *args) {
    return remove_it(cli, args, "", "deleted the model");
}

static int run_drop(struct inv_cli *cli, struct inv_args *args) {
    return remove_it(cli, args, "/vectors", "dropped the vectors of");
}

/* ---- sample ---- */

static void show_ids(const inv_json *answer, struct inv_buf *out) {
    const inv_json *list;
    size_t count = inv_list_of(answer, "documents", &list);
    inv_buf_puts(out, "");
    for (size_t i = 0; i < count; i++)
        inv_buf_printf(out, "%s\n", inv_text_of(inv_json_at(list, i), "id"));
}

static int run_sample(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    struct inv_target target;
    const char *how = NULL;
    char rest[128];
    uint32_t n = 2000;
    uint32_t seed = 0;
    const struct inv_option options[] = {
        {"n", INV_OPTION_UINT, "N", "how many documents (2000)", &n},
        {"how", INV_OPTION_TEXT, "HOW",
         "leverage (of single vectors the default: those that say most) or "
         "uniform",
         &how},
        {"seed", INV_OPTION_UINT, "N", "of the draw (0)", &seed},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    if (how != NULL && !inv_sample_known(how))
        return inv_cli_usage(args, "--how is leverage or uniform, not \"%s\"",
                             how);
    exit = inv_target_get(cli, args->argv[0], &target);
    if (exit != INV_EXIT_OK)
        return exit;
    if (how == NULL)
        how = inv_sample_usual(&target);
    snprintf(rest, sizeof rest, "/calibration?n=%u&method=%s&seed=%u", n, how,
             seed);
    exit = inv_cli_call_part(cli, "GET", args->argv[0], "models", args->argv[1],
                             rest, NULL, &answer);
    const inv_json *documents;
    if (exit == INV_EXIT_OK && !cli->json &&
        inv_list_of(answer.json, "documents", &documents) == 0)
        fprintf(stderr, "every document has a vector of %s\n", args->argv[1]);
    else if (exit == INV_EXIT_OK)
        exit = print(cli, &answer, show_ids, NULL);
    inv_answer_release(&answer);
    return exit;
}

/* ---- the group ---- */

static const struct inv_command list = {"list", "its models", run_list,
                                        "usage: invar models COLLECTION\n"};
static const struct inv_command show = {
    "show", "one model", run_show,
    "usage: invar models COLLECTION show NAME@REV\n"};
static const struct inv_command put = {
    "put", "register a model", run_put,
    "usage: invar models COLLECTION put NAME@REV --dim N [options]\n"
    "\n"
    "Documents and queries may then come in this model; each names it. The\n"
    "same command again changes nothing.\n"};
static const struct inv_command delete = {
    "delete", "a model without vectors", run_delete,
    "usage: invar models COLLECTION delete NAME@REV\n"
    "\n"
    "With its queries and adapters.\n"};
static const struct inv_command drop = {
    "drop", "the vectors of a model", run_drop,
    "usage: invar models COLLECTION drop NAME@REV\n"
    "\n"
    "The end of an upgrade: the old model's vectors go, there is no way back.\n"
    "Refused while a document has no other vector.\n"};
static const struct inv_command sample = {
    "sample", "which documents to embed first", run_sample,
    "usage: invar models COLLECTION sample NAME@REV [options]\n"
    "\n"
    "Prints ids, one a line: documents whose vectors in the new model make\n"
    "good pairs to fit an adapter on.\n"
    "\n"
    "Example:\n"
    "  invar models papers sample minilm@6 -n 2000 > ids.txt\n"};

static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {&list,   &show, &put,
                                                      &sample, &drop, &delete};
    return inv_group_run_on(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_models = {
    "models", "of a collection: list, show, put, sample, drop, delete", run,
    "usage: invar models COLLECTION [list]\n"
    "       invar models COLLECTION put NAME@REV --dim N\n"
    "       invar models COLLECTION sample NAME@REV -n 2000\n"
    "       invar models COLLECTION show|drop|delete NAME@REV\n"};
