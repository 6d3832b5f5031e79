/*
 * cmd_documents.c: `invar documents`: get, delete, count. Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/show.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

/* A filter that was given as text, checked to be an object here so that the
 * message is about the option. */
static int put_filter(const struct inv_args *args, const char *filter,
                      struct inv_buf *out) {
    inv_json *value = NULL;
    struct inv_err err = {.text = ""};
    int exit = INV_EXIT_OK;
    if (inv_json_parse_plain(filter, strlen(filter), &value, &err) != INV_OK)
        exit = inv_cli_usage(args, "--filter is no JSON: %s", err.text);
    else if (inv_json_kind(value) != INV_JSON_OBJECT)
        exit = inv_cli_usage(args, "--filter must be an object, got %s",
                             inv_json_kind_name(inv_json_kind(value)));
    else
        inv_json_write(value, out);
    inv_json_free(value);
    return exit;
}

static int run_get(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf rest = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    inv_buf_puts(&rest, "/documents/");
    inv_client_escape(&rest, args->argv[1], strlen(args->argv[1]));
    exit = rest.failed ? inv_cli_failed("out of memory for a path")
                       : inv_cli_call_collection(cli, "GET", args->argv[0],
                                                 rest.data, NULL, &answer);
    inv_buf_release(&rest);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf out = INV_BUF_INIT;
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else
        inv_show_object(answer.json, 0, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int print_count(const struct inv_cli *cli,
                       const struct inv_answer *answer, const char *key,
                       const char *what) {
    char number[INV_NUMBER_MAX];
    if (cli->json)
        return inv_cli_print(&answer->body);
    printf("%s%s\n", inv_text_count(number, inv_uint_of(answer->json, key)),
           what);
    return INV_EXIT_OK;
}

static int run_delete(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    const char *filter = NULL;
    bool dry_run = false;
    const struct inv_option options[] = {
        {"filter", INV_OPTION_TEXT, "JSON", "those that match", &filter},
        {"dry-run", INV_OPTION_FLAG, NULL, "only count them", &dry_run},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 2, 1, -1, &exit))
        return exit;
    if ((args->argc > 1) == (filter != NULL))
        return inv_cli_usage(args, "ids or --filter JSON are needed%s",
                             filter != NULL ? ", not both" : "");
    if (filter != NULL) {
        inv_buf_puts(&body, "{\"filter\":");
        exit = put_filter(args, filter, &body);
    } else {
        inv_buf_puts(&body, "{\"ids\":");
        for (int i = 1; i < args->argc; i++) {
            inv_buf_putc(&body, i == 1 ? '[' : ',');
            inv_json_put_string(&body, args->argv[i], strlen(args->argv[i]));
        }
        inv_buf_putc(&body, ']');
    }
    inv_buf_puts(&body, dry_run ? ",\"dry_run\":true}" : "}");
    if (exit == INV_EXIT_OK)
        exit = inv_cli_call_collection(cli, "POST", args->argv[0],
                                       "/documents/delete", &body, &answer);
    inv_buf_release(&body);
    if (exit != INV_EXIT_OK)
        return exit;
    exit = print_count(cli, &answer, dry_run ? "matched" : "deleted",
                       dry_run ? " documents would be deleted"
                               : " documents deleted");
    inv_answer_release(&answer);
    return exit;
}

static int run_count(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    const char *filter = NULL;
    const struct inv_option options[] = {
        {"filter", INV_OPTION_TEXT, "JSON", "those that match", &filter},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 1, 1, &exit))
        return exit;
    inv_buf_putc(&body, '{');
    if (filter != NULL) {
        inv_buf_puts(&body, "\"filter\":");
        exit = put_filter(args, filter, &body);
    }
    inv_buf_putc(&body, '}');
    if (exit == INV_EXIT_OK)
        exit = inv_cli_call_collection(cli, "POST", args->argv[0],
                                       "/documents/count", &body, &answer);
    inv_buf_release(&body);
    if (exit != INV_EXIT_OK)
        return exit;
    exit = print_count(cli, &answer, "count", "");
    inv_answer_release(&answer);
    return exit;
}

static const struct inv_command get = {
    "get", "one document", run_get,
    "usage: invar documents get COLLECTION ID\n"
    "\n"
    "An id that begins with - stands behind --.\n"};
static const struct inv_command delete = {
    "delete", "by ids or by filter", run_delete,
    "usage: invar documents delete COLLECTION ID...\n"
    "       invar documents delete COLLECTION --filter JSON [--dry-run]\n"
    "\n"
    "Example:\n"
    "  invar documents delete papers --dry-run \\\n"
    "      --filter '{\"must\":[{\"key\":\"lang\",\"match\":\"de\"}]}'\n"};
static const struct inv_command count = {
    "count", "all documents, or those that match", run_count,
    "usage: invar documents count COLLECTION [--filter JSON]\n"};

/* Without a word there is nothing to do by default here. */
static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {&get, &delete, &count};
    if (args->argc == 0)
        return inv_cli_usage(args, "get, delete or count is needed");
    return inv_group_run(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_documents = {
    "documents", "get, delete, count", run,
    "usage: invar documents get COLLECTION ID\n"
    "       invar documents delete COLLECTION ID...\n"
    "       invar documents delete COLLECTION --filter JSON [--dry-run]\n"
    "       invar documents count COLLECTION [--filter JSON]\n"};
