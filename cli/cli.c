/*
 * cli.c: see cli.h. Finding commands, printing errors, one request at a time.
 * Main thread.
 */
#include "cli/cli.h"

#include "cli/options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TABLE_MAX 32

/* ---- messages ---- */

int inv_cli_failed(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("invar: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return INV_EXIT_FAILED;
}

int inv_cli_error(const struct inv_err *err) {
    return inv_cli_failed("%s", err->text);
}

int inv_cli_usage(const struct inv_args *args, const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    fputs("invar: ", stderr);
    vfprintf(stderr, fmt, list);
    va_end(list);
    fprintf(stderr, "\nSee `invar%s%s%s%s --help`.\n",
            args->group == NULL ? "" : " ",
            args->group == NULL ? "" : args->group,
            args->command == NULL ? "" : " ",
            args->command == NULL ? "" : args->command->name);
    return INV_EXIT_USAGE;
}

int inv_cli_print(const struct inv_buf *text) {
    if (text->failed)
        return inv_cli_failed("out of memory for the answer");
    bool ended = text->len > 0 && text->data[text->len - 1] == '\n';
    if (fwrite(text->data, 1, text->len, stdout) != text->len ||
        (!ended && fputc('\n', stdout) == EOF) || fflush(stdout) != 0)
        return inv_cli_failed("standard output cannot be written");
    return INV_EXIT_OK;
}

/* ---- commands ---- */

static const struct inv_command *
find(const char *word, const struct inv_command *const *table, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i]->name, word) == 0)
            return table[i];
    return NULL;
}

int inv_commands_run(struct inv_cli *cli, struct inv_args *args,
                     const struct inv_command *const *table, size_t count) {
    const char *word = args->argv[0];
    const struct inv_command *command = find(word, table, count);
    if (command == NULL) {
        const char *names[TABLE_MAX];
        for (size_t i = 0; i < count && i < TABLE_MAX; i++)
            names[i] = table[i]->name;
        const char *guess =
            inv_nearest(word, names, count < TABLE_MAX ? count : TABLE_MAX);
        return guess == NULL
                   ? inv_cli_usage(args, "unknown command \"%s\"", word)
                   : inv_cli_usage(args,
                                   "unknown command \"%s\"; did you mean "
                                   "\"%s\"?",
                                   word, guess);
    }
    struct inv_args rest = {.command = command,
                            .group = args->group,
                            .argc = args->argc - 1,
                            .argv = args->argv + 1};
    return command->run(cli, &rest);
}

static void print_group(const struct inv_args *args,
                        const struct inv_command *const *table, size_t count) {
    printf("%s\nCommands:\n", args->command->help);
    for (size_t i = 0; i < count; i++)
        printf("  %-10s  %s\n", table[i]->name, table[i]->summary);
    printf("\nSee `invar %s <command> --help`. With every command:\n",
           args->command->name);
    inv_options_print_global();
}

/* The options before a group's command; false: that was all, exit with *exit.
 */
static bool begin_group(struct inv_cli *cli, struct inv_args *args,
                        const struct inv_command *const *table, size_t count,
                        int *exit) {
    bool help = false;
    bool version = false;
    *exit = INV_EXIT_OK;
    if (!inv_options_parse_global(cli, args, &help, &version, exit))
        return false;
    if (help)
        print_group(args, table, count);
    return !help;
}

int inv_group_run(struct inv_cli *cli, struct inv_args *args,
                  const struct inv_command *const *table, size_t count) {
    int exit;
    if (!begin_group(cli, args, table, count, &exit))
        return exit;
    struct inv_args inner = {
        .group = args->command->name, .argc = args->argc, .argv = args->argv};
    if (args->argc > 0)
        return inv_commands_run(cli, &inner, table, count);
    inner.command = table[0];
    return table[0]->run(cli, &inner);
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int inv_group_run_on(struct inv_cli *cli, struct inv_args *args,
                     const struct inv_command *const *table, size_t count) {
    int exit;
    if (!begin_group(cli, args, table, count, &exit))
        return exit;
    if (args->argc == 0)
        return inv_cli_usage(args, "a collection is needed");
    struct inv_args inner = {
        .group = args->command->name, .argc = args->argc, .argv = args->argv};
    char **words = args->argv;
    bool asks = args->argc == 2 && is_help(words[1]) &&
                find(words[0], table, count) != NULL;
    if (asks)
        return inv_commands_run(cli, &inner, table, count);
    if (args->argc == 1 || words[1][0] == '-') {
        inner.command = table[0];
        return table[0]->run(cli, &inner);
    }
    char *collection = words[0]; /* the command goes first, as elsewhere */
    words[0] = words[1];
    words[1] = collection;
    return inv_commands_run(cli, &inner, table, count);
}

/* ---- requests ---- */

static int open_client(struct inv_cli *cli) {
    struct inv_err err;
    if (cli->client != NULL ||
        inv_client_open(cli->url, cli->key, cli->timeout_s, &cli->client,
                        &err) == INV_OK)
        return INV_EXIT_OK;
    inv_cli_error(&err);
    return INV_EXIT_USAGE;
}

int inv_cli_try(struct inv_cli *cli, const struct inv_call *call,
                struct inv_answer *answer) {
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    int exit = open_client(cli);
    for (int tries = 1; exit == INV_EXIT_OK; tries++) {
        exit = inv_client_send(cli->client, call, answer);
        bool busy = answer->http == 503 || answer->http == 429;
        if (exit == INV_EXIT_OK || !busy || tries == INV_CLI_TRIES)
            return exit;
        uint32_t wait = answer->retry_after_s;
        const struct timespec time = {.tv_sec = wait == 0   ? 1
                                                : wait > 30 ? 30
                                                            : wait};
        nanosleep(&time, NULL);
        exit = INV_EXIT_OK;
    }
    return exit;
}

int inv_cli_call(struct inv_cli *cli, const char *method, const char *path,
                 const struct inv_buf *body, struct inv_answer *answer) {
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    if (body != NULL && body->failed)
        return inv_cli_failed("out of memory for a request");
    int opened = open_client(cli);
    if (opened != INV_EXIT_OK)
        return opened;
    struct inv_call call = {.method = method, .path = path};
    if (body != NULL) {
        call.body = body->data;
        call.len = body->len;
    }
    enum inv_exit exit = inv_client_send(cli->client, &call, answer);
    if (exit == INV_EXIT_OK)
        return exit;
    inv_cli_failed("%s", answer->message);
    inv_answer_release(answer);
    return exit;
}

int inv_cli_call_collection(struct inv_cli *cli, const char *method,
                            const char *name, const char *rest,
                            const struct inv_buf *body,
                            struct inv_answer *answer) {
    struct inv_buf path = INV_BUF_INIT;
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, name, strlen(name));
    inv_buf_puts(&path, rest);
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    int exit = path.failed ? inv_cli_failed("out of memory for a path")
                           : inv_cli_call(cli, method, path.data, body, answer);
    inv_buf_release(&path);
    return exit;
}

int inv_cli_call_part(struct inv_cli *cli, const char *method,
                      const char *collection, const char *kind,
                      const char *name, const char *rest,
                      const struct inv_buf *body, struct inv_answer *answer) {
    struct inv_buf path = INV_BUF_INIT;
    inv_buf_printf(&path, "/%s/", kind);
    inv_client_escape(&path, name, strlen(name));
    inv_buf_puts(&path, rest);
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    int exit = path.failed ? inv_cli_failed("out of memory for a path")
                           : inv_cli_call_collection(cli, method, collection,
                                                     path.data, body, answer);
    inv_buf_release(&path);
    return exit;
}
