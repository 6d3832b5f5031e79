/*
 * queries.c: see queries.h. Knows what a search body looks like, nothing of
 * sending it.
 */
#include "cli/queries.h"

#include <string.h>

static enum inv_status read_texts(const char *source,
                                  struct inv_queries *queries,
                                  struct inv_err *err) {
    struct inv_buf path = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    if (inv_is_folder(source))
        status = inv_beir_find(source, "queries.jsonl", &path, err);
    else
        inv_buf_puts(&path, source);
    if (status == INV_OK && path.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for a path");
    if (status == INV_OK)
        status = inv_beir_queries_read(path.data, &queries->texts, err);
    if (status == INV_OK && queries->texts.count == 0)
        status = inv_fail(err, INV_INVALID, "%s holds no queries", path.data);
    inv_buf_release(&path);
    return status;
}

static enum inv_status check_vectors(const struct inv_query_options *options,
                                     const struct inv_target *target,
                                     const struct inv_queries *queries,
                                     struct inv_err *err) {
    const struct inv_vectors *vectors = &queries->vectors;
    size_t count = queries->texts.count;
    size_t rows = count == 0 ? 0 : queries->texts.items[count - 1].line + 1;
    if (vectors->count < rows)
        return inv_fail(err, INV_INVALID,
                        "%s holds %zu queries, but %s has %zu", options->npy,
                        vectors->count, options->source, rows);
    if (vectors->dim != target->dim)
        return inv_fail(err, INV_DIMENSION,
                        "%s: expected %zu dimensions, got %zu", options->npy,
                        target->dim, vectors->dim);
    if (vectors->count == 0)
        return inv_fail(err, INV_INVALID, "%s holds no queries", options->npy);
    return INV_OK;
}

enum inv_status inv_queries_open(const struct inv_query_options *options,
                                 const struct inv_target *target,
                                 struct inv_queries *queries,
                                 struct inv_err *err) {
    enum inv_status status = INV_OK;
    *queries = (struct inv_queries){.multi = target->multi};
    if (options->source == NULL && options->npy == NULL)
        return inv_fail(err, INV_INVALID,
                        "queries are needed: a BEIR folder, a queries.jsonl or "
                        "--queries-npy FILE");
    if (options->npy == NULL && !target->built_in)
        return inv_fail(err, INV_INVALID,
                        "the daemon cannot encode text for model %s: give the "
                        "queries' vectors with --queries-npy FILE%s",
                        target->model,
                        target->multi ? " and --offsets FILE" : "");
    if (options->source != NULL)
        status = read_texts(options->source, queries, err);
    if (status == INV_OK && options->npy != NULL) {
        queries->by_vector = true;
        status = inv_vectors_open(options->npy, options->offsets,
                                  options->scales, &queries->vectors, err);
        if (status == INV_OK)
            status = check_vectors(options, target, queries, err);
    }
    if (status != INV_OK)
        inv_queries_close(queries);
    return status;
}

void inv_queries_close(struct inv_queries *queries) {
    inv_beir_queries_release(&queries->texts);
    inv_vectors_close(&queries->vectors);
}

size_t inv_queries_count(const struct inv_queries *queries) {
    return queries->texts.count > 0 ? queries->texts.count
                                    : queries->vectors.count;
}

/* ---- bodies ---- */

static enum inv_status check_object(const char *what, const char *text,
                                    inv_json **out, struct inv_err *err) {
    struct inv_err why = {.text = ""};
    enum inv_status status =
        inv_json_parse_plain(text, strlen(text), out, &why);
    if (status != INV_OK)
        return inv_fail(err, INV_INVALID, "%s is no JSON: %s", what, why.text);
    if (inv_json_kind(*out) == INV_JSON_OBJECT)
        return INV_OK;
    return inv_fail(err, INV_INVALID, "%s must be an object, got %s", what,
                    inv_json_kind_name(inv_json_kind(*out)));
}

static void put_params(const inv_json *params, bool exact,
                       struct inv_buf *out) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    const char *comma = "";
    inv_buf_puts(out, ",\"params\":{");
    while (params != NULL && inv_json_next(params, &iter, &key, &value)) {
        if (exact && strcmp(key, "exact") == 0)
            continue;
        inv_buf_puts(out, comma);
        inv_json_put_string(out, key, strlen(key));
        inv_buf_putc(out, ':');
        inv_json_write(value, out);
        comma = ",";
    }
    if (exact)
        inv_buf_printf(out, "%s\"exact\":true", comma);
    inv_buf_putc(out, '}');
}

enum inv_status inv_query_tail(const struct inv_query_options *options,
                               bool exact, const char *with,
                               struct inv_buf *out, struct inv_err *err) {
    inv_json *params = NULL;
    inv_json *filter = NULL;
    enum inv_status status = INV_OK;
    inv_buf_printf(out, ",\"limit\":%u", options->limit);
    if (options->model != NULL) {
        inv_buf_puts(out, ",\"model\":");
        inv_json_put_string(out, options->model, strlen(options->model));
    }
    if (options->params != NULL)
        status = check_object("--params", options->params, &params, err);
    if (status == INV_OK && options->filter != NULL)
        status = check_object("--filter", options->filter, &filter, err);
    if (status == INV_OK) {
        if (filter != NULL) {
            inv_buf_puts(out, ",\"filter\":");
            inv_json_write(filter, out);
        }
        if (params != NULL || exact)
            put_params(params, exact, out);
        if (with != NULL)
            inv_buf_printf(out, ",\"with\":%s", with);
        inv_buf_putc(out, '}');
        if (out->failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for a search");
    }
    inv_json_free(params);
    inv_json_free(filter);
    return status;
}

void inv_query_text(const char *text, size_t len, const struct inv_buf *tail,
                    struct inv_buf *out) {
    inv_buf_puts(out, "{\"text\":");
    inv_json_put_string(out, text, len);
    inv_buf_append(out, tail->data, tail->len);
}

void inv_query_body(const struct inv_queries *queries, size_t i, bool binary,
                    const struct inv_buf *tail, struct inv_buf *out) {
    if (!queries->by_vector) {
        const char *text = queries->texts.items[i].text;
        inv_query_text(text, strlen(text), tail, out);
        return;
    }
    size_t row = queries->texts.count > 0 ? queries->texts.items[i].line : i;
    struct inv_codes codes = inv_vectors_at(&queries->vectors, row);
    inv_buf_printf(out, "{\"%s\":", queries->multi ? "vectors" : "vector");
    inv_vectors_put_json(out, &codes, queries->multi, binary);
    inv_buf_append(out, tail->data, tail->len);
}
