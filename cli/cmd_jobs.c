/*
 * cmd_jobs.c: `invar jobs`: list, show, cancel. Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/show.h"

#include <string.h>

static int run_list(struct inv_cli *cli, struct inv_args *args) {
    static const char *const columns[] = {">id",    "kind",  "collection",
                                          "state",  "stage", ">done",
                                          ">total", "error"};
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 0, 0, &exit))
        return exit;
    exit = inv_cli_call(cli, "GET", "/v1/jobs", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf out = INV_BUF_INIT;
    const inv_json *list;
    size_t count = inv_list_of(answer.json, "jobs", &list);
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else if (count == 0)
        inv_buf_puts(&out, "no jobs\n");
    else
        inv_show_list(list, count, columns, sizeof columns / sizeof *columns,
                      &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int call(struct inv_cli *cli, struct inv_args *args,
                const char *method) {
    struct inv_buf path = INV_BUF_INIT;
    struct inv_buf out = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    inv_buf_puts(&path, "/v1/jobs/");
    inv_client_escape(&path, args->argv[0], strlen(args->argv[0]));
    exit = path.failed ? inv_cli_failed("out of memory for a path")
                       : inv_cli_call(cli, method, path.data, NULL, &answer);
    inv_buf_release(&path);
    if (exit != INV_EXIT_OK)
        return exit;
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else
        inv_show_object(answer.json, 0, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_show(struct inv_cli *cli, struct inv_args *args) {
    return call(cli, args, "GET");
}

static int run_cancel(struct inv_cli *cli, struct inv_args *args) {
    return call(cli, args, "DELETE");
}

static const struct inv_command list = {"list", "all jobs, newest first",
                                        run_list, "usage: invar jobs [list]\n"};
static const struct inv_command show = {"show", "one job", run_show,
                                        "usage: invar jobs show ID\n"};
static const struct inv_command cancel = {
    "cancel", "ask a job to stop", run_cancel, "usage: invar jobs cancel ID\n"};

static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {&list, &show, &cancel};
    return inv_group_run(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_jobs = {"jobs", "list, show, cancel", run,
                                         "usage: invar jobs [list]\n"
                                         "       invar jobs show ID\n"
                                         "       invar jobs cancel ID\n"};
