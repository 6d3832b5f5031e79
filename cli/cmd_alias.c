/*
 * cmd_alias.c: `invar alias`: second names of collections, moved atomically.
 * Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

static enum inv_status alias_path(const char *alias, struct inv_buf *path,
                                  struct inv_err *err) {
    inv_buf_puts(path, "/v1/aliases/");
    inv_client_escape(path, alias, strlen(alias));
    return path->failed ? inv_fail(err, INV_MEMORY, "out of memory for a path")
                        : INV_OK;
}

/* Sends; for people prints `done`, for programs the answer. */
static int call(struct inv_cli *cli, const char *method, const char *alias,
                const struct inv_buf *body, const char *done) {
    struct inv_buf path = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    struct inv_err err;
    int exit;
    if (alias_path(alias, &path, &err) != INV_OK) {
        inv_buf_release(&path);
        return inv_cli_error(&err);
    }
    exit = inv_cli_call(cli, method, path.data, body, &answer);
    inv_buf_release(&path);
    if (exit != INV_EXIT_OK)
        return exit;
    if (!cli->json)
        puts(done);
    else if (answer.body.len > 0)
        exit = inv_cli_print(&answer.body);
    else
        puts("{}");
    inv_answer_release(&answer);
    return exit;
}

static int run_list(struct inv_cli *cli, struct inv_args *args) {
    static const char *const columns[] = {"alias", "collection"};
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 0, 0, &exit))
        return exit;
    exit = inv_cli_call(cli, "GET", "/v1/aliases", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf out = INV_BUF_INIT;
    const inv_json *list;
    size_t count = inv_list_of(answer.json, "aliases", &list);
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else if (count == 0)
        inv_buf_puts(&out, "no aliases\n");
    else
        inv_show_list(list, count, columns, 2, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_set(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    char done[256];
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    inv_buf_puts(&body, "{\"collection\":");
    inv_json_put_string(&body, args->argv[1], strlen(args->argv[1]));
    inv_buf_putc(&body, '}');
    snprintf(done, sizeof done, "%.64s -> %.64s", args->argv[0], args->argv[1]);
    exit = call(cli, "PUT", args->argv[0], &body, done);
    inv_buf_release(&body);
    return exit;
}

static int run_delete(struct inv_cli *cli, struct inv_args *args) {
    char done[256];
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    snprintf(done, sizeof done, "deleted the alias %.64s", args->argv[0]);
    return call(cli, "DELETE", args->argv[0], NULL, done);
}

static const struct inv_command list = {"list", "all aliases", run_list,
                                        "usage: invar alias [list]\n"};
static const struct inv_command set = {
    "set", "point an alias at a collection", run_set,
    "usage: invar alias set ALIAS COLLECTION\n"
    "\n"
    "Moves the alias in one step when it is there already.\n"
    "\n"
    "Example:\n"
    "  invar alias set papers papers_v2\n"};
static const struct inv_command delete = {
    "delete", "an alias, not its collection", run_delete,
    "usage: invar alias delete ALIAS\n"};

static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {&list, &set, &delete};
    return inv_group_run(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_alias = {
    "alias", "second names of collections: list, set, delete", run,
    "usage: invar alias [list]\n"
    "       invar alias set ALIAS COLLECTION\n"
    "       invar alias delete ALIAS\n"};
