/*
 * cmd_status.c: `invar status`: is the daemon ready, and what does it hold?
 * Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/show.h"

#include <string.h>

/* /readyz answers 503 with its reasons: that is an answer here, no error. */
static int ask_ready(struct inv_cli *cli, struct inv_answer *ready) {
    struct inv_err err;
    const struct inv_call call = {.method = "GET", .path = "/readyz"};
    if (cli->client == NULL &&
        inv_client_open(cli->url, cli->key, cli->timeout_s, &cli->client,
                        &err) != INV_OK) {
        inv_cli_error(&err);
        return INV_EXIT_USAGE;
    }
    enum inv_exit exit = inv_client_send(cli->client, &call, ready);
    if (exit == INV_EXIT_OK || ready->http == 503)
        return INV_EXIT_OK;
    inv_cli_failed("%s", ready->message);
    return exit;
}

/* "papers: failed, catalog row without a folder". */
static void put_reasons(const struct inv_answer *ready, struct inv_buf *out) {
    inv_json *body = NULL;
    const inv_json *list;
    if (ready->body.len == 0 ||
        inv_json_parse_plain(ready->body.data, ready->body.len, &body, NULL) !=
            INV_OK)
        return;
    size_t count = inv_list_of(body, "collections", &list);
    for (size_t i = 0; i < count; i++) {
        const inv_json *item = inv_json_at(list, i);
        const char *reason = inv_text_of(item, "reason");
        const char *state = inv_text_of(item, "state");
        if (strcmp(state, "ready") == 0 && *reason == '\0')
            continue;
        inv_buf_printf(out, "%s: %s%s%s\n", inv_text_of(item, "name"), state,
                       *reason == '\0' ? "" : ", ", reason);
    }
    inv_json_free(body);
}

static void put_json(const struct inv_cli *cli, const struct inv_answer *ready,
                     const struct inv_answer *list, struct inv_buf *out) {
    inv_json *body = NULL;
    inv_buf_printf(
        out, "{\"ready\":%s,\"url\":", ready->http == 200 ? "true" : "false");
    inv_json_put_string(out, cli->url, strlen(cli->url));
    if (ready->body.len > 0 &&
        inv_json_parse_plain(ready->body.data, ready->body.len, &body, NULL) ==
            INV_OK) {
        inv_buf_puts(out, ",\"readyz\":");
        inv_json_write(body, out);
    }
    inv_json_free(body);
    const inv_json *collections;
    if (inv_list_of(list->json, "collections", &collections) > 0) {
        inv_buf_puts(out, ",\"collections\":");
        inv_json_write(collections, out);
    } else {
        inv_buf_puts(out, ",\"collections\":[]");
    }
    inv_buf_puts(out, "}\n");
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer ready = INV_ANSWER_INIT;
    struct inv_answer list = INV_ANSWER_INIT;
    struct inv_buf out = INV_BUF_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 0, 0, &exit))
        return exit;
    exit = ask_ready(cli, &ready);
    if (exit == INV_EXIT_OK)
        exit = inv_cli_call(cli, "GET", "/v1/collections", NULL, &list);
    if (exit == INV_EXIT_OK) {
        if (cli->json) {
            put_json(cli, &ready, &list, &out);
        } else {
            inv_buf_printf(&out, "%s %s\n", cli->url,
                           ready.http == 200 ? "is ready" : "is not ready");
            put_reasons(&ready, &out);
            inv_show_collections(list.json, &out);
        }
        exit = inv_cli_print(&out);
        if (exit == INV_EXIT_OK && ready.http != 200)
            exit = INV_EXIT_FAILED;
    }
    inv_buf_release(&out);
    inv_answer_release(&ready);
    inv_answer_release(&list);
    return exit;
}

const struct inv_command inv_cmd_status = {
    "status", "is the daemon ready, what does it hold", run,
    "usage: invar status\n"
    "\n"
    "Exit code 0 only when the daemon says that it is ready.\n"};
