/*
 * cmd_collections.c: `invar collections`: list, show, delete; create is in
 * cmd_create.c. Main thread.
 */
#include "cli/answers.h"
#include "cli/create.h"
#include "cli/options.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

static int run_list(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 0, 0, &exit))
        return exit;
    exit = inv_cli_call(cli, "GET", "/v1/collections", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else
        inv_show_collections(answer.json, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_show(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    exit =
        inv_cli_call_collection(cli, "GET", args->argv[0], "", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else
        inv_show_collection(answer.json, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_delete(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer = INV_ANSWER_INIT;
    bool yes = false;
    const struct inv_option options[] = {
        {"yes", INV_OPTION_FLAG, NULL, "really delete it", &yes},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 1, 1, &exit))
        return exit;
    if (!yes)
        return inv_cli_usage(args,
                             "this deletes \"%s\" and all its documents; say "
                             "--yes if it shall",
                             args->argv[0]);
    exit = inv_cli_call_collection(cli, "DELETE", args->argv[0], "", NULL,
                                   &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    inv_answer_release(&answer);
    if (cli->json)
        puts("{\"deleted\":true}");
    else
        printf("deleted %s\n", args->argv[0]);
    return INV_EXIT_OK;
}

static const struct inv_command list = {"list", "all collections", run_list,
                                        "usage: invar collections [list]\n"};
static const struct inv_command show = {
    "show", "documents, bytes, segments, settings, state", run_show,
    "usage: invar collections show NAME\n"};
static const struct inv_command create = {"create", "a new collection",
                                          inv_create_run, INV_CREATE_HELP};
static const struct inv_command delete = {
    "delete", "a collection with all its documents", run_delete,
    "usage: invar collections delete NAME --yes\n"};

static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {&list, &show, &create,
                                                      &delete};
    return inv_group_run(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_collections = {
    "collections", "list, show, create, delete", run,
    "usage: invar collections [list]\n"
    "       invar collections show NAME\n"
    "       invar collections create NAME --kind KIND --dim N [options]\n"
    "       invar collections delete NAME --yes\n"};
