/*
 * beir.c: documents and queries of a BEIR folder; judgements are in qrels.c.
 * See beir.h. One thread.
 */
#include "cli/beir.h"

#include "cli/lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool inv_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum inv_status inv_beir_find(const char *folder, const char *name,
                              struct inv_buf *path, struct inv_err *err) {
    static const char *const ends[] = {"", ".gz"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        inv_buf_reset(path);
        inv_buf_printf(path, "%s/%s%s", folder, name, ends[i]);
        if (path->failed)
            return inv_fail(err, INV_MEMORY, "out of memory for a path");
        if (access(path->data, F_OK) == 0)
            return INV_OK;
    }
    return inv_fail(err, INV_NOT_FOUND, "there is neither %s/%s nor %s/%s.gz",
                    folder, name, folder, name);
}

/* ---- documents ---- */

bool inv_payload_part_parse(const char *name, enum inv_payload_part *out) {
    static const char *const names[] = {"text", "title", "all", "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (enum inv_payload_part)i;
            return true;
        }
    return false;
}

void inv_beir_document_release(struct inv_beir_document *document) {
    inv_buf_release(&document->id);
    inv_buf_release(&document->text);
    inv_buf_release(&document->payload);
}

enum inv_status inv_beir_id(const inv_json *object, struct inv_buf *out,
                            struct inv_err *err) {
    const inv_json *id = inv_json_get(object, "_id");
    size_t len = 0;
    if (id == NULL)
        id = inv_json_get(object, "id");
    if (id == NULL)
        return inv_fail(err, INV_INVALID, "there is no \"_id\"");
    if (inv_json_kind(id) == INV_JSON_INT) {
        inv_buf_printf(out, "%" PRId64, inv_json_int(id));
    } else if (inv_json_kind(id) == INV_JSON_STRING) {
        const char *text = inv_json_string(id, &len);
        inv_buf_append(out, text, len);
    } else {
        return inv_fail(err, INV_INVALID,
                        "\"_id\" must be a string or an integer, got %s",
                        inv_json_kind_name(inv_json_kind(id)));
    }
    return INV_OK;
}

static const char *string_of(const inv_json *object, const char *key,
                             size_t *len) {
    const inv_json *value = inv_json_get(object, key);
    *len = 0;
    if (value == NULL || inv_json_kind(value) != INV_JSON_STRING)
        return NULL;
    return inv_json_string(value, len);
}

static void put_payload(const inv_json *object, enum inv_payload_part part,
                        struct inv_buf *out) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    const char *comma = "";
    if (part == INV_PAYLOAD_NONE)
        return;
    inv_buf_putc(out, '{');
    while (inv_json_next(object, &iter, &key, &value)) {
        bool wanted = strcmp(key, "title") == 0 ||
                      (part == INV_PAYLOAD_TEXT && strcmp(key, "text") == 0) ||
                      (part == INV_PAYLOAD_ALL && strcmp(key, "_id") != 0);
        if (!wanted)
            continue;
        inv_buf_puts(out, comma);
        inv_json_put_string(out, key, strlen(key));
        inv_buf_putc(out, ':');
        inv_json_write(value, out);
        comma = ",";
    }
    inv_buf_putc(out, '}');
}

enum inv_status inv_beir_document_read(const char *line, size_t len,
                                       enum inv_payload_part part,
                                       struct inv_beir_document *document,
                                       struct inv_err *err) {
    inv_json *object = NULL;
    inv_buf_reset(&document->id);
    inv_buf_reset(&document->text);
    inv_buf_reset(&document->payload);
    enum inv_status status = inv_json_parse_plain(line, len, &object, err);
    if (status == INV_OK && inv_json_kind(object) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_INVALID, "a document is an object, not %s",
                          inv_json_kind_name(inv_json_kind(object)));
    if (status == INV_OK)
        status = inv_beir_id(object, &document->id, err);
    if (status == INV_OK) {
        size_t title_len;
        size_t text_len;
        const char *title = string_of(object, "title", &title_len);
        const char *text = string_of(object, "text", &text_len);
        if (title_len > 0)
            inv_buf_append(&document->text, title, title_len);
        if (title_len > 0 && text_len > 0)
            inv_buf_putc(&document->text, ' ');
        if (text_len > 0)
            inv_buf_append(&document->text, text, text_len);
        put_payload(object, part, &document->payload);
        if (document->id.failed || document->text.failed ||
            document->payload.failed)
            status = inv_fail(err, INV_MEMORY, "out of memory for a document");
    }
    inv_json_free(object);
    return status;
}

/* ---- queries ---- */

static enum inv_status add_query(struct inv_beir_queries *queries, size_t *cap,
                                 const char *id, const char *text, size_t line,
                                 struct inv_err *err) {
    if (queries->count == *cap) {
        *cap = *cap == 0 ? 256 : *cap * 2;
        struct inv_beir_query *more =
            realloc(queries->items, *cap * sizeof *more);
        if (more == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                            *cap);
        queries->items = more;
    }
    struct inv_beir_query query = {strdup(id), strdup(text), line};
    if (query.id == NULL || query.text == NULL) {
        free(query.id);
        free(query.text);
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    }
    queries->items[queries->count++] = query;
    return INV_OK;
}

struct reading_queries {
    struct inv_beir_queries *queries;
    struct inv_beir_document query;
    size_t cap;
};

static enum inv_status take_query(void *ctx, uint64_t number, const char *line,
                                  size_t len, struct inv_err *err) {
    struct reading_queries *r = ctx;
    if (len == 0)
        return INV_OK;
    enum inv_status status =
        inv_beir_document_read(line, len, INV_PAYLOAD_NONE, &r->query, err);
    if (status != INV_OK)
        return status;
    return add_query(r->queries, &r->cap, r->query.id.data,
                     r->query.text.len > 0 ? r->query.text.data : "",
                     (size_t)number - 1, err);
}

enum inv_status inv_beir_queries_read(const char *path,
                                      struct inv_beir_queries *queries,
                                      struct inv_err *err) {
    struct reading_queries reading = {queries, INV_BEIR_DOCUMENT_INIT, 0};
    *queries = (struct inv_beir_queries){.count = 0};
    enum inv_status status = inv_lines_each(path, take_query, &reading, err);
    inv_beir_document_release(&reading.query);
    if (status != INV_OK)
        inv_beir_queries_release(queries);
    return status;
}

void inv_beir_queries_release(struct inv_beir_queries *queries) {
    for (size_t i = 0; i < queries->count; i++) {
        free(queries->items[i].id);
        free(queries->items[i].text);
    }
    free(queries->items);
    *queries = (struct inv_beir_queries){.count = 0};
}
