/*
 * cmd_swap.c: `invar activate`, `rollback` and `migration`: which model
 * answers, and how far its upgrade is. Main thread.
 */
#include "cli/answers.h"
#include "cli/migration.h"
#include "cli/options.h"

#include <string.h>

/* The answer for programs, its picture for people. */
static int show(const struct inv_cli *cli, const struct inv_answer *answer) {
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json)
        inv_buf_append(&out, answer->body.data, answer->body.len);
    else
        inv_migration_show(answer->json, &out);
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    return exit;
}

static int run_migration(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    exit = inv_cli_call_collection(cli, "GET", args->argv[0], "/migration",
                                   NULL, &answer);
    if (exit == INV_EXIT_OK)
        exit = show(cli, &answer);
    inv_answer_release(&answer);
    return exit;
}

static int run_rollback(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    inv_buf_puts(&body, "{}");
    exit = inv_cli_call_collection(cli, "POST", args->argv[0], "/rollback",
                                   &body, &answer);
    if (exit == INV_EXIT_OK)
        exit = show(cli, &answer);
    inv_buf_release(&body);
    inv_answer_release(&answer);
    return exit;
}

struct activate_options {
    const char *collection, *model, *adapter, *mode;
    bool force;
};

static int activate(struct inv_cli *cli, const struct activate_options *o) {
    struct inv_answer answer;
    bool interrupted = false;
    int exit = inv_migration_activate(cli, o->collection, o->model, o->adapter,
                                      o->mode, o->force, &answer, &interrupted);
    if (exit == INV_EXIT_OK && interrupted)
        exit = inv_cli_failed("interrupted: nothing was swapped");
    if (exit == INV_EXIT_OK && strcmp(o->mode, "cutover") == 0) {
        inv_answer_release(&answer); /* the job; what it led to is wanted */
        exit = inv_cli_call_collection(cli, "GET", o->collection, "/migration",
                                       NULL, &answer);
    }
    if (exit == INV_EXIT_OK)
        exit = show(cli, &answer);
    inv_answer_release(&answer);
    return exit;
}

static bool is_mode(const char *mode) {
    static const char *const modes[] = {"shadow", "bridge", "cascade",
                                        "cutover"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i], mode) == 0)
            return true;
    return false;
}

static int run_activate(struct inv_cli *cli, struct inv_args *args) {
    struct activate_options o = {.mode = "cascade"};
    const struct inv_option options[] = {
        {"mode", INV_OPTION_TEXT, "MODE",
         "shadow, bridge, cascade (default), cutover", &o.mode},
        {"adapter", INV_OPTION_TEXT, "NAME",
         "which one (the newest that was not refused)", &o.adapter},
        {"force", INV_OPTION_FLAG, NULL,
         "against the gate; the journal keeps it", &o.force},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    o.collection = args->argv[0];
    o.model = args->argv[1];
    if (!is_mode(o.mode))
        return inv_cli_usage(args,
                             "--mode is shadow, bridge, cascade or cutover, "
                             "not \"%s\"",
                             o.mode);
    return activate(cli, &o);
}

const struct inv_command inv_cmd_activate = {
    "activate",
    "let a new model answer",
    run_activate,
    "usage: invar activate COLLECTION NAME@REV [--mode MODE] [--adapter NAME]\n"
    "\n"
    "  shadow   the old model answers; answers list the vectors that are\n"
    "           wanted of the new one\n"
    "  bridge   the new model's queries, adapted to the old vectors\n"
    "  cascade  the same, and the first hits are scored by the new model "
    "where\n"
    "           it has vectors: better with every vector that comes in\n"
    "  cutover  builds the index of the new vectors and makes it the\n"
    "           collection's; needs a vector of every document. A job.\n"
    "\n"
    "At once, without a rebuild but for cutover; searches under way finish as\n"
    "they began. The gate of the adapter's report must permit it. Undone by\n"
    "`invar rollback`.\n"
    "\n"
    "Examples:\n"
    "  invar activate papers minilm@6\n"
    "  invar activate papers minilm@6 --mode cutover\n",
};

const struct inv_command inv_cmd_rollback = {
    "rollback",
    "undo the last step of an upgrade",
    run_rollback,
    "usage: invar rollback COLLECTION\n"
    "\n"
    "Undoes the last activation, cutover included, at once; vectors and\n"
    "adapters stay. Again: the one before. Not possible after the old vectors\n"
    "were dropped.\n",
};

const struct inv_command inv_cmd_migration = {
    "migration",
    "how far an upgrade is, and its journal",
    run_migration,
    "usage: invar migration COLLECTION\n"
    "\n"
    "State, adapter, coverage, and every step that was taken.\n",
};
