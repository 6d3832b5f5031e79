/*
 * cmd_admin.c: `invar rebuild`, `invar compact`: jobs that are started and
 * followed. Main thread.
 */
#include "cli/answers.h"
#include "cli/follow.h"
#include "cli/options.h"

#include <string.h>

static int start(struct inv_cli *cli, const char *collection, const char *verb,
                 const struct inv_buf *body, bool wait) {
    struct inv_buf path = INV_BUF_INIT;
    inv_buf_puts(&path, "/v1/admin/collections/");
    inv_client_escape(&path, collection, strlen(collection));
    inv_buf_printf(&path, "/%s", verb);
    int exit = path.failed ? inv_cli_failed("out of memory for a path")
                           : inv_follow_start(cli, path.data, body, wait);
    inv_buf_release(&path);
    return exit;
}

/* Appends "key":<the option's JSON>; must be an object. */
static int put_json(const struct inv_args *args, const char *option,
                    const char *key, const char *text, struct inv_buf *out) {
    inv_json *value = NULL;
    struct inv_err err = {.text = ""};
    int exit = INV_EXIT_OK;
    if (inv_json_parse_plain(text, strlen(text), &value, &err) != INV_OK) {
        exit = inv_cli_usage(args, "%s is no JSON: %s", option, err.text);
    } else if (inv_json_kind(value) != INV_JSON_OBJECT) {
        exit = inv_cli_usage(args, "%s must be an object, got %s", option,
                             inv_json_kind_name(inv_json_kind(value)));
    } else {
        inv_buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
        inv_json_write(value, out);
    }
    inv_json_free(value);
    return exit;
}

static int run_rebuild(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    const char *index = NULL;
    const char *index_json = NULL;
    const char *encoder_json = NULL;
    bool no_wait = false;
    const struct inv_option options[] = {
        {"index", INV_OPTION_TEXT, "TYPE",
         "auto, flat, hnsw, hnsw_sq8, ivf_flat, ivf_sq8, ivf_pq", &index},
        {"index-json", INV_OPTION_TEXT, "JSON",
         "the whole index setting, e.g. '{\"type\":\"hnsw\",\"m\":32}'",
         &index_json},
        {"encoder-json", INV_OPTION_TEXT, "JSON", "another encoder",
         &encoder_json},
        {"no-wait", INV_OPTION_FLAG, NULL, "only start it", &no_wait},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, 1, &exit))
        return exit;
    if (index != NULL && index_json != NULL)
        return inv_cli_usage(args, "either --index or --index-json, not both");
    inv_buf_putc(&body, '{');
    if (index != NULL) {
        inv_buf_puts(&body, "\"index\":{\"type\":");
        inv_json_put_string(&body, index, strlen(index));
        inv_buf_putc(&body, '}');
    }
    if (index_json != NULL)
        exit = put_json(args, "--index-json", "index", index_json, &body);
    if (exit == INV_EXIT_OK && encoder_json != NULL)
        exit = put_json(args, "--encoder-json", "encoder", encoder_json, &body);
    inv_buf_putc(&body, '}');
    if (exit == INV_EXIT_OK)
        exit = start(cli, args->argv[0], "rebuild", &body, !no_wait);
    inv_buf_release(&body);
    return exit;
}

static int run_compact(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    bool no_wait = false;
    const struct inv_option options[] = {
        {"no-wait", INV_OPTION_FLAG, NULL, "only start it", &no_wait},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 1, 1, &exit))
        return exit;
    inv_buf_puts(&body, "{}");
    exit = start(cli, args->argv[0], "compact", &body, !no_wait);
    inv_buf_release(&body);
    return exit;
}

const struct inv_command inv_cmd_rebuild = {
    "rebuild", "merge all segments, with another index or encoder", run_rebuild,
    "usage: invar rebuild COLLECTION [options]\n"
    "\n"
    "Searches and writes go on meanwhile. Ctrl-C stops following, not the\n"
    "job.\n"
    "\n"
    "Examples:\n"
    "  invar rebuild papers\n"
    "  invar rebuild papers --index ivf_pq\n"
    "  invar rebuild papers --encoder-json "
    "'{\"type\":\"muvera\",\"preset\":\"quality\"}'\n"};

const struct inv_command inv_cmd_compact = {
    "compact", "give the space of replaced and deleted vectors back",
    run_compact, "usage: invar compact COLLECTION [--no-wait]\n"};
