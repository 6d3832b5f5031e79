/*
 * cmd_adapters.c: `invar adapters`: fitted by the daemon from the vectors it
 * holds, judged, imported, exported. Main thread.
 */
#include "base/file.h"
#include "cli/answers.h"
#include "cli/follow.h"
#include "cli/options.h"
#include "cli/upgrade.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)

static int print_body(const struct inv_answer *answer) {
    struct inv_buf out = INV_BUF_INIT;
    inv_buf_append(&out, answer->body.len > 0 ? answer->body.data : "{}",
                   answer->body.len > 0 ? answer->body.len : 2);
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    return exit;
}

/* ---- list, show, delete ---- */

static int run_list(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    struct inv_buf out = INV_BUF_INIT;
    const inv_json *list;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    exit = inv_cli_call_collection(cli, "GET", args->argv[0], "/adapters", NULL,
                                   &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    size_t count = inv_list_of(answer.json, "adapters", &list);
    if (cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else if (count == 0)
        inv_buf_puts(&out, "no adapters\n");
    else
        inv_upgrade_list(answer.json, &out);
    exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_show(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    struct inv_buf out = INV_BUF_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    exit = inv_cli_call_part(cli, "GET", args->argv[0], "adapters",
                             args->argv[1], "", NULL, &answer);
    if (exit == INV_EXIT_OK && cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else if (exit == INV_EXIT_OK)
        inv_upgrade_table((const inv_json *const[]){answer.json}, 1, NULL,
                          &out);
    if (exit == INV_EXIT_OK)
        exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

static int run_delete(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 2, 2, &exit))
        return exit;
    exit = inv_cli_call_part(cli, "DELETE", args->argv[0], "adapters",
                             args->argv[1], "", NULL, &answer);
    if (exit == INV_EXIT_OK && cli->json)
        exit = print_body(&answer);
    else if (exit == INV_EXIT_OK)
        printf("deleted the adapter %s\n", args->argv[1]);
    inv_answer_release(&answer);
    return exit;
}

static int run_matrix(struct inv_cli *cli, struct inv_args *args) {
    struct inv_answer answer;
    struct inv_buf out = INV_BUF_INIT;
    int exit;
    if (!inv_options_parse(cli, args, NULL, 0, 1, 1, &exit))
        return exit;
    exit = inv_cli_call_collection(cli, "GET", args->argv[0], "/compatibility",
                                   NULL, &answer);
    if (exit == INV_EXIT_OK && cli->json)
        inv_buf_append(&out, answer.body.data, answer.body.len);
    else if (exit == INV_EXIT_OK)
        inv_upgrade_matrix(answer.json, &out);
    if (exit == INV_EXIT_OK)
        exit = inv_cli_print(&out);
    inv_buf_release(&out);
    inv_answer_release(&answer);
    return exit;
}

/* ---- fit, compose ---- */

static int run_fit(struct inv_cli *cli, struct inv_args *args) {
    struct inv_fit_wish wish = INV_FIT_WISH_INIT;
    const char *method = "procrustes";
    struct inv_buf body = INV_BUF_INIT;
    struct inv_buf path = INV_BUF_INIT;
    struct inv_err err;
    bool background = false;
    const struct inv_option options[] = {
        {"method", INV_OPTION_TEXT, "METHOD",
         "procrustes (default), path:KAPPA, ridge[:RHO], "
         "contrastive[:TEMPERATURE], paper[:KAPPA], simplex[:BETA]",
         &method},
        {"to", INV_OPTION_TEXT, "NAME@REV", "the old model (the index')",
         &wish.to},
        {"name", INV_OPTION_TEXT, "NAME", "of the adapter", &wish.name},
        {"kappa", INV_OPTION_REAL, "K", "of contrastive (.2)", &wish.kappa},
        {"steps", INV_OPTION_UINT, "N", "of contrastive (600)", &wish.steps},
        {"label-field", INV_OPTION_TEXT, "FIELD",
         "of the payload: classes for simplex", &wish.label_field},
        {"margin", INV_OPTION_REAL, "M", "nDCG@10 that may be lost (.02)",
         &wish.margin},
        {"seed", INV_OPTION_UINT, "N", "of everything random (0)", &wish.seed},
        {"background", INV_OPTION_FLAG, NULL, "do not wait for the job",
         &background},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    wish.from = args->argv[1];
    if (inv_fit_body(method, &wish, &body, &err) != INV_OK) {
        inv_buf_release(&body);
        return inv_cli_usage(args, "%s", err.text);
    }
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, args->argv[0], strlen(args->argv[0]));
    inv_buf_puts(&path, "/adapters");
    exit = path.failed ? inv_cli_failed("out of memory for a path")
                       : inv_follow_start(cli, path.data, &body, !background);
    inv_buf_release(&path);
    inv_buf_release(&body);
    return exit;
}

static int run_compose(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer;
    const char *name = NULL;
    const struct inv_option options[] = {
        {"name", INV_OPTION_TEXT, "NAME", "of the adapter", &name},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 3, 3, &exit))
        return exit;
    inv_buf_puts(&body, "{\"first\":");
    inv_json_put_string(&body, args->argv[1], strlen(args->argv[1]));
    inv_buf_puts(&body, ",\"second\":");
    inv_json_put_string(&body, args->argv[2], strlen(args->argv[2]));
    if (name != NULL) {
        inv_buf_puts(&body, ",\"name\":");
        inv_json_put_string(&body, name, strlen(name));
    }
    inv_buf_putc(&body, '}');
    exit = inv_cli_call_collection(cli, "POST", args->argv[0],
                                   "/adapters/compose", &body, &answer);
    if (exit == INV_EXIT_OK && cli->json)
        exit = print_body(&answer);
    else if (exit == INV_EXIT_OK)
        printf("%s composed: degraded, fit one on documents that hold both "
               "ends when you can\n",
               inv_text_of(answer.json, "name"));
    inv_buf_release(&body);
    inv_answer_release(&answer);
    return exit;
}

/* ---- files ---- */

/* "npz" or "safetensors" from the end of a name; NULL: neither. */
static const char *format_of(const char *path) {
    static const char *const formats[] = {"npz", "safetensors"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(dot + 1, formats[i]) == 0)
            return formats[i];
    return NULL;
}

static void tell_written(const struct inv_cli *cli, const char *path) {
    struct inv_buf out = INV_BUF_INIT;
    inv_buf_puts(&out, cli->json ? "{\"file\":" : "written: ");
    if (cli->json)
        inv_json_put_string(&out, path, strlen(path));
    else
        inv_buf_puts(&out, path);
    inv_buf_puts(&out, cli->json ? "}" : "");
    (void)inv_cli_print(&out);
    inv_buf_release(&out);
}

static int run_export(struct inv_cli *cli, struct inv_args *args) {
    struct inv_buf path = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    struct inv_err err;
    const char *direction = "backward";
    const struct inv_option options[] = {
        {"direction", INV_OPTION_TEXT, "WAY",
         "backward (new to old, default) or forward", &direction},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, 1, 3, 3, &exit))
        return exit;
    const char *format = format_of(args->argv[2]);
    if (format == NULL)
        return inv_cli_usage(args,
                             "FILE ends in .npz or .safetensors, not "
                             "\"%s\"",
                             args->argv[2]);
    if (strcmp(direction, "backward") != 0 && strcmp(direction, "forward") != 0)
        return inv_cli_usage(args, "--direction is backward or forward");
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, args->argv[0], strlen(args->argv[0]));
    inv_buf_puts(&path, "/adapters/");
    inv_client_escape(&path, args->argv[1], strlen(args->argv[1]));
    inv_buf_printf(&path, "?format=%s&direction=%s", format, direction);
    const struct inv_call call = {
        .method = "GET", .path = path.data, .raw = true};
    if (path.failed)
        exit = inv_cli_failed("out of memory for a path");
    else
        exit = inv_cli_try(cli, &call, &answer);
    if (!path.failed && exit != INV_EXIT_OK)
        inv_cli_failed("%s", answer.message);
    else if (exit == INV_EXIT_OK &&
             inv_file_write_atomic(args->argv[2], answer.body.data,
                                   answer.body.len, &err) != INV_OK)
        exit = inv_cli_error(&err);
    else if (exit == INV_EXIT_OK)
        tell_written(cli, args->argv[2]);
    inv_answer_release(&answer);
    inv_buf_release(&path);
    return exit;
}

struct import_options {
    const char *collection, *file, *name, *from, *to;
};

static void put_query(struct inv_buf *path, const char *key,
                      const char *value) {
    if (value == NULL)
        return;
    inv_buf_printf(path, "&%s=", key);
    inv_client_escape(path, value, strlen(value));
}

static int import(struct inv_cli *cli, const struct import_options *o) {
    struct inv_buf path = INV_BUF_INIT;
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    struct inv_err err;
    int exit = INV_EXIT_OK;
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, o->collection, strlen(o->collection));
    inv_buf_printf(&path, "/adapters?format=%s", format_of(o->file));
    put_query(&path, "name", o->name);
    put_query(&path, "from", o->from);
    put_query(&path, "to", o->to);
    if (inv_buf_read_file(&body, o->file, FILE_BYTES_MAX, &err) != INV_OK) {
        exit = inv_cli_error(&err);
    } else if (path.failed) {
        exit = inv_cli_failed("out of memory for a path");
    } else {
        const struct inv_call call = {.method = "POST",
                                      .path = path.data,
                                      .type = "application/octet-stream",
                                      .body = body.data,
                                      .len = body.len};
        exit = inv_cli_try(cli, &call, &answer);
        if (exit != INV_EXIT_OK)
            inv_cli_failed("%s", answer.message);
        else if (cli->json)
            exit = print_body(&answer);
        else
            printf("%s imported: not judged, so activating it needs --force\n",
                   inv_text_of(answer.json, "name"));
    }
    inv_answer_release(&answer);
    inv_buf_release(&body);
    inv_buf_release(&path);
    return exit;
}

static int run_import(struct inv_cli *cli, struct inv_args *args) {
    struct import_options o = {.name = NULL};
    const struct inv_option options[] = {
        {"name", INV_OPTION_TEXT, "NAME", "of the adapter", &o.name},
        {"from", INV_OPTION_TEXT, "NAME@REV",
         "the new model (as the file says)", &o.from},
        {"to", INV_OPTION_TEXT, "NAME@REV", "the old model (as the file says)",
         &o.to},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           2, 2, &exit))
        return exit;
    o.collection = args->argv[0];
    o.file = args->argv[1];
    if (format_of(o.file) == NULL)
        return inv_cli_usage(args,
                             "FILE ends in .npz or .safetensors, not "
                             "\"%s\"",
                             o.file);
    return import(cli, &o);
}

/* ---- the group ---- */

static const struct inv_command list = {"list", "its adapters", run_list,
                                        "usage: invar adapters COLLECTION\n"};
static const struct inv_command show = {
    "show", "the report of one", run_show,
    "usage: invar adapters COLLECTION show NAME\n"};
static const struct inv_command fit = {
    "fit", "fit and judge one (a job)", run_fit,
    "usage: invar adapters COLLECTION fit NAME@REV [options]\n"
    "\n"
    "From the new model NAME@REV to the one the index holds, on the documents\n"
    "and queries that have vectors in both. `invar upgrade` fits several and\n"
    "compares them.\n"
    "\n"
    "Example:\n"
    "  invar adapters papers fit minilm@6 --method path:0.1\n"};
static const struct inv_command import_ = {
    "import", "one from a file", run_import,
    "usage: invar adapters COLLECTION import FILE.npz [options]\n"
    "\n"
    "What `invar fit -o` or `adapters export` wrote, or anything with "
    "\"matrix\""
    "\nand \"bias\". Nobody has judged it: activating it needs --force.\n"};
static const struct inv_command export_ = {
    "export", "one to a file", run_export,
    "usage: invar adapters COLLECTION export NAME FILE.npz|FILE.safetensors\n"};
static const struct inv_command compose = {
    "compose", "one out of two", run_compose,
    "usage: invar adapters COLLECTION compose FIRST SECOND [--name NAME]\n"
    "\n"
    "v3 to v2, then v2 to v1. It is served as degraded.\n"};
static const struct inv_command matrix = {
    "matrix", "how compatible the models are", run_matrix,
    "usage: invar adapters COLLECTION matrix\n"};
static const struct inv_command delete = {
    "delete", "one that is not in use", run_delete,
    "usage: invar adapters COLLECTION delete NAME\n"};

static int run(struct inv_cli *cli, struct inv_args *args) {
    static const struct inv_command *const table[] = {
        &list, &show, &fit, &import_, &export_, &compose, &matrix, &delete};
    return inv_group_run_on(cli, args, table, sizeof table / sizeof *table);
}

const struct inv_command inv_cmd_adapters = {
    "adapters", "of a collection: list, show, fit, import, export, ...", run,
    "usage: invar adapters COLLECTION [list]\n"
    "       invar adapters COLLECTION fit NAME@REV [--method METHOD]\n"
    "       invar adapters COLLECTION show|delete NAME\n"
    "       invar adapters COLLECTION export NAME FILE\n"
    "       invar adapters COLLECTION import FILE\n"};
