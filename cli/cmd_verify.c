/*
 * cmd_verify.c: `invar verify`: checks a data directory that no daemon has
 * open. The one command that reads files instead of asking the daemon. Main
 * thread.
 */
#include "cli/options.h"
#include "server/json/json.h"
#include "server/verify.h"

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf report = INV_BUF_INIT;
    struct inv_err err;
    bool quiet = false;
    bool clean = false;
    const struct inv_option options[] = {
        {"quiet", INV_OPTION_FLAG, NULL, "only what is wrong", &quiet},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 1, 1, &exit))
        return exit;
    if (inv_verify_data(args->argv[0], quiet, &report, &clean, &err) !=
        INV_OK) {
        inv_buf_release(&report);
        return inv_cli_error(&err);
    }
    if (cli->json) {
        struct inv_buf out = INV_BUF_INIT;
        inv_buf_printf(&out,
                       "{\"clean\":%s,\"report\":", clean ? "true" : "false");
        inv_json_put_string(&out, report.data == NULL ? "" : report.data,
                            report.len);
        inv_buf_puts(&out, "}\n");
        exit = inv_cli_print(&out);
        inv_buf_release(&out);
    } else if (report.len > 0) {
        exit = inv_cli_print(&report);
    }
    inv_buf_release(&report);
    return exit == INV_EXIT_OK && !clean ? INV_EXIT_FAILED : exit;
}

const struct inv_command inv_cmd_verify = {
    "verify", "check a data directory, offline", run,
    "usage: invar verify DIR [--quiet]\n"
    "\n"
    "Reads the catalog, every vector log and every segment of a stopped\n"
    "daemon's data directory and checks them against each other. Changes\n"
    "nothing. Exit code 1 when something is wrong.\n"
    "\n"
    "Example:\n"
    "  invar verify /var/lib/invar\n"};
