/*
 * cmd_import.c: `invar import`: a folder, JSON lines or .npy files into a
 * collection. Finds out what the source is; upload.c sends it. Main thread.
 */
#include "cli/answers.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct import_options {
    struct inv_matrix_files files;
    const char *collection, *source, *payload, *model;
    enum inv_payload_part part;
    uint32_t connections;
    bool restart;
};

/* ---- what the source is ---- */

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text);
    size_t tail = strlen(end);
    return len >= tail && strcmp(text + len - tail, end) == 0;
}

/* SOURCE as the path of a file, "" for none; a .npy is --npy in disguise. */
static enum inv_status find_source(struct import_options *o,
                                   struct inv_buf *path, struct inv_err *err) {
    inv_buf_puts(path, "");
    if (o->source == NULL)
        return INV_OK;
    if (inv_is_folder(o->source))
        return inv_beir_find(o->source, "corpus.jsonl", path, err);
    if (o->files.npy == NULL && ends_with(o->source, ".npy"))
        o->files.npy = o->source;
    else
        inv_buf_puts(path, o->source);
    return path->failed ? inv_fail(err, INV_MEMORY, "out of memory for a path")
                        : INV_OK;
}

/* A folder gives text, or, with --npy, ids and payloads. `path` keeps the
 * corpus' path. */
static enum inv_status open_source(struct import_options *o,
                                   const struct inv_target *target,
                                   struct inv_buf *path,
                                   struct inv_source *source,
                                   struct inv_err *err) {
    enum inv_status status = find_source(o, path, err);
    if (status != INV_OK)
        return status;
    if (o->files.npy != NULL) {
        if (o->files.ids == NULL && path->len > 0)
            o->files.ids = path->data;
        o->files.payload_from_ids = o->files.payloads == NULL && path->len > 0;
        return inv_source_open_matrix(&o->files, o->part, source, err);
    }
    if (inv_is_folder(o->source) && !target->built_in)
        return inv_fail(err, INV_INVALID,
                        "the daemon cannot encode text for model %s: give the "
                        "documents' vectors with --npy FILE%s",
                        target->model, target->multi ? " --offsets FILE" : "");
    return inv_source_open_lines(path->data, o->part, source, err);
}

static enum inv_status check_shape(const struct import_options *o,
                                   const struct inv_target *target,
                                   const struct inv_source *source,
                                   struct inv_err *err) {
    if (o->files.npy == NULL)
        return INV_OK;
    if (source->vectors.dim != target->dim)
        return inv_fail(err, INV_DIMENSION,
                        "%s: expected %zu dimensions, got %zu", o->files.npy,
                        target->dim, source->vectors.dim);
    if (!target->multi &&
        (o->files.offsets != NULL || source->vectors.rows_each != 1))
        return inv_fail(err, INV_INVALID,
                        "%s holds several vectors a document, but the "
                        "collection is of kind single",
                        o->files.npy);
    return INV_OK;
}

/* ---- what makes two imports the same ---- */

static void put_file(struct inv_buf *out, const char *name, const char *path) {
    struct stat info = {0};
    if (path == NULL)
        return;
    char *full = realpath(path, NULL);
    if (stat(path, &info) == 0)
        inv_buf_printf(out, " %s=%s:%jd:%jd", name, full == NULL ? path : full,
                       (intmax_t)info.st_size, (intmax_t)info.st_mtime);
    free(full);
}

/* One line; a name with a newline only spoils the resuming. */
static void put_identity(const struct inv_cli *cli,
                         const struct import_options *o,
                         const struct inv_target *target, const char *path,
                         struct inv_buf *out) {
    inv_buf_printf(out, "%s/%s %" PRIu64 " payload=%d", cli->url, o->collection,
                   target->created_ms, (int)o->part);
    if (o->model != NULL)
        inv_buf_printf(out, " model=%s", o->model);
    put_file(out, "source", *path == '\0' ? NULL : path);
    put_file(out, "npy", o->files.npy);
    put_file(out, "offsets", o->files.offsets);
    put_file(out, "scales", o->files.scales);
    put_file(out, "ids", o->files.ids);
    put_file(out, "payloads", o->files.payloads);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\n')
            out->data[i] = ' ';
}

/* Without a place to remember, the import goes on all the same. */
static bool open_resume(const struct inv_cli *cli,
                        const struct import_options *o,
                        const struct inv_target *target, const char *path,
                        struct inv_resume *resume) {
    struct inv_buf identity = INV_BUF_INIT;
    struct inv_buf file = INV_BUF_INIT;
    struct inv_err err;
    bool restart = o->restart || target->empty;
    if (strcmp(path, "-") == 0)
        return false;
    put_identity(cli, o, target, path, &identity);
    enum inv_status status = identity.failed
                                 ? inv_fail(&err, INV_MEMORY, "out of memory")
                                 : inv_resume_path(identity.data, &file, &err);
    if (status == INV_OK)
        status =
            inv_resume_open(file.data, identity.data, restart, resume, &err);
    if (status != INV_OK)
        fprintf(stderr, "invar: an interruption could not be resumed: %s\n",
                err.text);
    inv_buf_release(&identity);
    inv_buf_release(&file);
    return status == INV_OK;
}

/* ---- the result ---- */

static int print_json(const struct inv_upload_result *r, uint64_t skipped) {
    struct inv_buf out = INV_BUF_INIT;
    inv_buf_printf(&out,
                   "{\"imported\":%" PRIu64 ",\"failed\":%" PRIu64
                   ",\"skipped\":%" PRIu64
                   ",\"seconds\":%.3f,\"documents_per_second\":%.1f,"
                   "\"complete\":%s,\"first_error\":",
                   r->upserted, r->failed, skipped, r->seconds,
                   r->seconds > 0 ? (double)r->sent / r->seconds : 0,
                   r->exit == 0 && !r->interrupted ? "true" : "false");
    const char *error = r->exit != 0 ? r->failure : r->first_error;
    if (*error == '\0')
        inv_buf_puts(&out, "null");
    else
        inv_json_put_string(&out, error, strlen(error));
    inv_buf_puts(&out, "}\n");
    int exit = inv_cli_print(&out);
    inv_buf_release(&out);
    return exit;
}

static void print_summary(const char *collection,
                          const struct inv_upload_result *r, uint64_t skipped) {
    char number[INV_NUMBER_MAX];
    char rate[INV_NUMBER_MAX];
    printf("imported %s documents into %s in %.1f s (%s/s)",
           inv_text_count(number, r->upserted), collection, r->seconds,
           inv_text_count(rate, r->seconds > 0
                                    ? (uint64_t)((double)r->sent / r->seconds)
                                    : 0));
    if (skipped > 0)
        printf(", %s were there from the interrupted run",
               inv_text_count(number, skipped));
    putchar('\n');
}

static int report(const struct inv_cli *cli, const char *collection,
                  const struct inv_upload_result *r, uint64_t skipped,
                  bool resumable) {
    char number[INV_NUMBER_MAX];
    int exit = r->exit;
    if (cli->json && print_json(r, skipped) != INV_EXIT_OK)
        return INV_EXIT_FAILED;
    if (!cli->json)
        print_summary(collection, r, skipped);
    fflush(stdout);
    if (r->failed > 0)
        exit =
            inv_cli_failed("%s document%s refused; the first: %s",
                           inv_text_count(number, r->failed),
                           r->failed == 1 ? " was" : "s were", r->first_error);
    if (r->exit != 0) {
        inv_cli_failed("%s", r->failure);
        exit = r->exit;
    } else if (r->interrupted) {
        exit = inv_cli_failed("interrupted");
    }
    if ((r->exit != 0 || r->interrupted) && resumable)
        inv_cli_failed("the same command goes on from here (--restart begins "
                       "anew)");
    return exit;
}

/* ---- the command ---- */

static int import(struct inv_cli *cli, struct import_options *o) {
    struct inv_target target;
    struct inv_err err;
    int exit = o->model == NULL
                   ? inv_target_get(cli, o->collection, &target)
                   : inv_target_in(cli, o->collection, o->model, &target);
    if (exit != INV_EXIT_OK)
        return exit;
    struct inv_buf corpus = INV_BUF_INIT;
    struct inv_buf path = INV_BUF_INIT;
    struct inv_source source = {.ops = NULL};
    struct inv_resume resume = INV_RESUME_INIT;
    struct inv_upload_result result;
    enum inv_status status = open_source(o, &target, &corpus, &source, &err);
    if (status == INV_OK)
        status = check_shape(o, &target, &source, &err);
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, o->collection, strlen(o->collection));
    inv_buf_puts(&path, "/documents/bulk");
    if (o->model != NULL) {
        inv_buf_puts(&path, "?model=");
        inv_client_escape(&path, o->model, strlen(o->model));
    }
    if (status == INV_OK && path.failed)
        status = inv_fail(&err, INV_MEMORY, "out of memory for a path");
    if (status != INV_OK) {
        exit = inv_cli_error(&err);
        goto out;
    }
    bool resumable = open_resume(cli, o, &target,
                                 corpus.len > 0 ? corpus.data : "", &resume);
    source.resume = resumable ? &resume : NULL;
    inv_upload(cli, path.data, &source, resumable ? &resume : NULL,
               o->connections, &result);
    exit = report(cli, o->collection, &result, source.skipped, resumable);
    if (result.exit == 0 && !result.interrupted)
        inv_resume_finish(&resume);
out:
    inv_resume_close(&resume);
    inv_source_close(&source);
    inv_buf_release(&corpus);
    inv_buf_release(&path);
    return exit;
}

static int run(struct inv_cli *cli, struct inv_args *args) {
    struct import_options o = {.payload = "text", .connections = 2};
    const struct inv_option options[] = {
        {"npy", INV_OPTION_TEXT, "FILE", "vectors: n x dim, or rows x dim",
         &o.files.npy},
        {"offsets", INV_OPTION_TEXT, "FILE",
         "int64, n + 1: which rows are whose (token vectors)",
         &o.files.offsets},
        {"scales", INV_OPTION_TEXT, "FILE",
         "float16, one a row of int8 vectors", &o.files.scales},
        {"ids", INV_OPTION_TEXT, "FILE",
         "an id a line, or JSON lines with _id; else row numbers",
         &o.files.ids},
        {"payloads", INV_OPTION_TEXT, "FILE", "a JSON object a line",
         &o.files.payloads},
        {"payload", INV_OPTION_TEXT, "WHAT",
         "of a corpus: text (title and text), title, all, none", &o.payload},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "of the documents, where the collection knows several", &o.model},
        {"connections", INV_OPTION_UINT, "N", "uploads at a time (2)",
         &o.connections},
        {"restart", INV_OPTION_FLAG, NULL,
         "forget what an interrupted run has done", &o.restart},
    };
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, 2, &exit))
        return exit;
    o.collection = args->argv[0];
    o.source = args->argc > 1 ? args->argv[1] : NULL;
    if (o.source == NULL && o.files.npy == NULL)
        return inv_cli_usage(args, "a source is needed: a BEIR folder, a file "
                                   "of JSON lines, or --npy FILE");
    if (!inv_payload_part_parse(o.payload, &o.part))
        return inv_cli_usage(args,
                             "--payload is text, title, all or none, not "
                             "\"%s\"",
                             o.payload);
    if (o.connections < 1 || o.connections > INV_CONNECTIONS_MAX)
        return inv_cli_usage(args, "--connections is 1 to %d, not %u",
                             INV_CONNECTIONS_MAX, o.connections);
    return import(cli, &o);
}

const struct inv_command inv_cmd_import = {
    "import",
    "documents from a BEIR folder, JSON lines or .npy files",
    run,
    "usage: invar import COLLECTION SOURCE [options]\n"
    "       invar import COLLECTION --npy FILE [options]\n"
    "\n"
    "SOURCE is a BEIR folder (corpus.jsonl or corpus.jsonl.gz: title and text\n"
    "are encoded by the collection's built-in model), a file of JSON lines\n"
    "(documents as PUT .../documents takes them, plain or gzip'ed; - reads\n"
    "standard input), or a .npy file. With --npy a BEIR folder gives ids and\n"
    "payloads. An interrupted import continues where it stopped when the same\n"
    "command is given again.\n"
    "\n"
    "Examples:\n"
    "  invar import papers demo/scifact\n"
    "  invar import papers documents.jsonl.gz --connections 4\n"
    "  invar import pooled --npy docs.f16.npy --ids corpus.jsonl.gz\n"
    "  invar import tokens demo/scifact --npy docs.i8.npy \\\n"
    "      --offsets docs.offsets.i64.npy --scales docs.scale.f16.npy\n",
};
