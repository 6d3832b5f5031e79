/*
 * main.c: `invar`, the command line of Invar: finds the command, nothing else.
 * Single thread; import and bench start their own.
 */
#include "cli/cli.h"
#include "cli/options.h"

#include "base/blas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct inv_command *const commands[] = {
    &inv_cmd_status,    &inv_cmd_collections, &inv_cmd_alias,
    &inv_cmd_documents, &inv_cmd_import,      &inv_cmd_search,
    &inv_cmd_eval,      &inv_cmd_bench,       &inv_cmd_rebuild,
    &inv_cmd_compact,   &inv_cmd_jobs,        &inv_cmd_verify,
    &inv_cmd_upgrade,   &inv_cmd_models,      &inv_cmd_adapters,
    &inv_cmd_activate,  &inv_cmd_rollback,    &inv_cmd_migration,
    &inv_cmd_backfill,  &inv_cmd_fit,
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(void) {
    printf("invar " INV_VERSION ": the command line of the vector retrieval "
           "server Invar\n\n"
           "usage: invar [options] <command> ...\n\n"
           "Commands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-12s  %s\n", commands[i]->name, commands[i]->summary);
    printf("\nOptions, before or behind the command:\n");
    inv_options_print_global();
    printf("\nExamples:\n"
           "  invar collections create papers --kind multi --dim 96 --model "
           "static@2\n"
           "  invar import papers demo/scifact\n"
           "  invar search papers \"do vitamins help against colds\"\n"
           "  invar eval papers demo/scifact --against-exact\n"
           "\nExit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no "
           "daemon there.\n"
           "See `invar <command> --help`.\n");
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    bool help = false;
    bool version = false;
    int exit = 0;
    if (!inv_options_parse_global(cli, args, &help, &version, &exit))
        return exit;
    if (version) {
        puts("invar " INV_VERSION);
        return INV_EXIT_OK;
    }
    if (args->argc > 0 && strcmp(args->argv[0], "help") == 0) {
        help = true;
        if (args->argc > 1) { /* `invar help import` */
            char flag[] = "--help";
            char *words[] = {args->argv[1], flag};
            struct inv_args asked = {.argc = 2, .argv = words};
            return inv_commands_run(cli, &asked, commands, COMMAND_COUNT);
        }
    }
    if (help) {
        print_help();
        return INV_EXIT_OK;
    }
    if (args->argc == 0)
        return inv_cli_usage(args, "a command is needed");
    return inv_commands_run(cli, args, commands, COMMAND_COUNT);
}

int main(int argc, char **argv) {
    const char *url = getenv("INVAR_URL");
    struct inv_cli cli = {
        .url = url != NULL && *url != '\0' ? url : INV_DEFAULT_URL,
        .key = getenv("INVAR_KEY"),
        .timeout_s = INV_DEFAULT_TIMEOUT_S,
    };
    struct inv_args args = {.argc = argc - 1, .argv = argv + 1};
    struct inv_err err;
    if (argc > 1 && strcmp(argv[1], "fit") == 0) /* else there is no algebra */
        inv_blas_choose(argv);
    if (inv_client_global_init(&err) != INV_OK)
        return inv_cli_error(&err);
    int exit = run(&cli, &args);
    inv_client_close(cli.client);
    inv_client_global_release();
    return exit;
}
