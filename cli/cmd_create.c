/*
 * cmd_create.c: `invar collections create`: flags become the body of PUT
 * collection. Which values fit together is the daemon's to say. Main thread.
 */
#include "cli/create.h"

#include "base/limits.h"
#include "cli/answers.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#define BODY_FILE_MAX ((size_t)1 << 20)

/* ---- the body ---- */

static void put_key(struct inv_buf *out, const char *key) {
    if (out->len > 0 && out->data[out->len - 1] != '{')
        inv_buf_putc(out, ',');
    inv_json_put_string(out, key, strlen(key));
    inv_buf_putc(out, ':');
}

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    if (value == NULL)
        return;
    put_key(out, key);
    inv_json_put_string(out, value, strlen(value));
}

static void put_number(struct inv_buf *out, const char *key, uint32_t value) {
    if (value == 0)
        return;
    put_key(out, key);
    inv_buf_printf(out, "%u", value);
}

/* "name@revision" or "name". */
static enum inv_status put_model(const char *model, struct inv_buf *out,
                                 struct inv_err *err) {
    if (model == NULL)
        return INV_OK;
    const char *at = strchr(model, '@');
    size_t len = at == NULL ? strlen(model) : (size_t)(at - model);
    if (len == 0 || (at != NULL && at[1] == '\0'))
        return inv_fail(err, INV_INVALID,
                        "--model is name@revision, not \"%s\"", model);
    put_key(out, "model");
    inv_buf_puts(out, "{\"name\":");
    inv_json_put_string(out, model, len);
    if (at != NULL)
        put_text(out, "revision", at + 1);
    inv_buf_putc(out, '}');
    return INV_OK;
}

/* Options that only one encoder has name it. */
static const char *encoder_of(const struct inv_create_flags *flags) {
    if (flags->encoder != NULL)
        return flags->encoder;
    if (flags->variant != NULL || flags->preset != NULL)
        return "muvera";
    if (flags->dims != NULL || flags->index_dims != 0 || flags->rotate != NULL)
        return "matryoshka";
    return NULL;
}

static enum inv_status put_encoder(const struct inv_create_flags *flags,
                                   struct inv_buf *out, struct inv_err *err) {
    const char *type = encoder_of(flags);
    uint32_t dims[INV_PREFIX_DIMS_MAX];
    size_t count = 0;
    if (type == NULL)
        return INV_OK;
    if (flags->dims != NULL &&
        !inv_parse_uints(flags->dims, dims, INV_PREFIX_DIMS_MAX, &count))
        return inv_fail(err, INV_INVALID,
                        "--dims is up to %d numbers divided by commas, not "
                        "\"%s\"",
                        INV_PREFIX_DIMS_MAX, flags->dims);
    put_key(out, "encoder");
    inv_buf_putc(out, '{');
    put_text(out, "type", type);
    put_text(out, "variant", flags->variant);
    put_text(out, "preset", flags->preset);
    if (count > 0) {
        put_key(out, "dims");
        for (size_t i = 0; i < count; i++)
            inv_buf_printf(out, "%c%u", i == 0 ? '[' : ',', dims[i]);
        inv_buf_putc(out, ']');
    }
    put_number(out, "index_dims", flags->index_dims);
    put_text(out, "rotate", flags->rotate);
    inv_buf_putc(out, '}');
    return INV_OK;
}

static enum inv_status put_fields(const struct inv_create_flags *flags,
                                  struct inv_buf *out, struct inv_err *err) {
    if (flags->field_count == 0)
        return INV_OK;
    put_key(out, "payload_index");
    inv_buf_putc(out, '{');
    for (size_t i = 0; i < flags->field_count; i++) {
        const char *field = flags->fields[i];
        const char *sign = strrchr(field, '=');
        if (sign == NULL || sign == field || sign[1] == '\0')
            return inv_fail(err, INV_INVALID,
                            "--field is key=type (keyword, integer, float, "
                            "datetime, bool), not \"%s\"",
                            field);
        if (i > 0)
            inv_buf_putc(out, ',');
        inv_json_put_string(out, field, (size_t)(sign - field));
        inv_buf_putc(out, ':');
        inv_json_put_string(out, sign + 1, strlen(sign + 1));
    }
    inv_buf_putc(out, '}');
    return INV_OK;
}

enum inv_status inv_create_body(const struct inv_create_flags *flags,
                                struct inv_buf *out, struct inv_err *err) {
    inv_buf_putc(out, '{');
    put_text(out, "kind", flags->kind);
    put_number(out, "dim", flags->dim);
    put_text(out, "metric", flags->metric);
    enum inv_status status = put_model(flags->model, out, err);
    if (status == INV_OK)
        status = put_encoder(flags, out, err);
    if (status != INV_OK)
        return status;
    if (flags->index != NULL) {
        put_key(out, "index");
        inv_buf_puts(out, "{\"type\":");
        inv_json_put_string(out, flags->index, strlen(flags->index));
        inv_buf_putc(out, '}');
    }
    if (flags->dtype != NULL) {
        put_key(out, "tokens");
        inv_buf_puts(out, "{\"dtype\":");
        inv_json_put_string(out, flags->dtype, strlen(flags->dtype));
        inv_buf_putc(out, '}');
    }
    put_text(out, "score", flags->score);
    status = put_fields(flags, out, err);
    if (status != INV_OK)
        return status;
    if (flags->require_model)
        inv_buf_puts(out, ",\"require_model\":true");
    inv_buf_putc(out, '}');
    return out->failed ? inv_fail(err, INV_MEMORY, "out of memory for a body")
                       : INV_OK;
}

/* ---- the command ---- */

static int put(struct inv_cli *cli, const char *name,
               const struct inv_buf *body) {
    struct inv_answer answer;
    int exit = inv_cli_call_collection(cli, "PUT", name, "", body, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    if (cli->json)
        exit = inv_cli_print(&answer.body);
    else
        printf("%s %s\n", name,
               answer.http == 201 ? "created" : "is there already, the same");
    inv_answer_release(&answer);
    return exit;
}

int inv_create_run(struct inv_cli *cli, struct inv_args *args) {
    struct inv_create_flags f = {.kind = NULL};
    struct inv_option_list fields = {.count = 0};
    const char *file = NULL;
    const struct inv_option options[] = {
        {"kind", INV_OPTION_TEXT, "KIND", "single or multi", &f.kind},
        {"dim", INV_OPTION_UINT, "N", "dimensions of a vector", &f.dim},
        {"metric", INV_OPTION_TEXT, "METRIC", "cosine, ip or l2", &f.metric},
        {"model", INV_OPTION_TEXT, "NAME@REV",
         "where vectors come from; static@1, static@2 are built in", &f.model},
        {"encoder", INV_OPTION_TEXT, "TYPE", "none, matryoshka or muvera",
         &f.encoder},
        {"variant", INV_OPTION_TEXT, "NAME", "muvera or muvera+", &f.variant},
        {"preset", INV_OPTION_TEXT, "NAME", "small, default, quality",
         &f.preset},
        {"dims", INV_OPTION_TEXT, "A,B,C", "dimensions of the funnel", &f.dims},
        {"index-dims", INV_OPTION_UINT, "N", "those the index holds",
         &f.index_dims},
        {"rotate", INV_OPTION_TEXT, "pca",
         "for models not trained for Matryoshka", &f.rotate},
        {"index", INV_OPTION_TEXT, "TYPE",
         "auto, flat, hnsw, hnsw_sq8, ivf_flat, ivf_sq8, ivf_pq", &f.index},
        {"dtype", INV_OPTION_TEXT, "TYPE", "of stored tokens: f16, i8, f32",
         &f.dtype},
        {"score", INV_OPTION_TEXT, "HOW", "sum or mean over query tokens",
         &f.score},
        {"field", INV_OPTION_LIST, "KEY=TYPE", "index a payload field",
         &fields},
        {"require-model", INV_OPTION_FLAG, NULL,
         "refuse requests that do not name the model", &f.require_model},
        {"file", INV_OPTION_TEXT, "FILE", "the whole body as JSON", &file},
    };
    struct inv_buf body = INV_BUF_INIT;
    struct inv_err err;
    int exit;
    if (!inv_options_parse(cli, args, options, sizeof options / sizeof *options,
                           1, 1, &exit))
        return exit;
    f.fields = fields.items;
    f.field_count = fields.count;
    enum inv_status status =
        file != NULL ? inv_buf_read_file(&body, file, BODY_FILE_MAX, &err)
                     : inv_create_body(&f, &body, &err);
    if (file == NULL && status == INV_INVALID)
        exit = inv_cli_usage(args, "%s", err.text);
    else if (status != INV_OK)
        exit = inv_cli_error(&err);
    else
        exit = put(cli, args->argv[0], &body);
    inv_buf_release(&body);
    return exit;
}
