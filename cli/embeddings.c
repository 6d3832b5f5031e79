/*
 * embeddings.c: see embeddings.h. A matrix stays mapped; lines and texts are
 * read whole, because they are asked for in an order that only the daemon
 * knows (what is searched most comes first).
 */
#include "cli/embeddings.h"

#include "base/limits.h"
#include "cli/beir.h"
#include "cli/lines.h"
#include "server/json/json.h"

#include <stdlib.h>
#include <string.h>

#define LINE_ARENA ((size_t)1 << 30)

void inv_embedding_files_set(struct inv_embedding_files *files,
                             const char *file) {
    size_t len = file == NULL ? 0 : strlen(file);
    if (len > 4 && strcmp(file + len - 4, ".npy") == 0)
        files->npy = file;
    else
        files->lines = file;
}

/* ---- a matrix ---- */

static enum inv_status open_matrix(const struct inv_embedding_files *files,
                                   struct inv_embeddings *e,
                                   struct inv_err *err) {
    enum inv_status status = inv_vectors_open(files->npy, files->offsets,
                                              files->scales, &e->npy, err);
    if (status != INV_OK)
        return status;
    if (!e->multi && (files->offsets != NULL || e->npy.rows_each != 1))
        return inv_fail(err, INV_INVALID,
                        "%s holds several vectors an item; the collection "
                        "takes 1",
                        files->npy);
    e->dim = e->npy.dim;
    status = files->ids != NULL ? inv_ids_read(&e->ids, files->ids, err)
                                : inv_ids_number(&e->ids, e->npy.count, err);
    if (status == INV_OK && e->ids.count != e->npy.count)
        status = inv_fail(err, INV_INVALID,
                          "%s holds %zu ids, %s %zu items: row i is line i",
                          files->ids, e->ids.count, files->npy, e->npy.count);
    return status;
}

/* ---- lines ---- */

static enum inv_status add_item(struct inv_embeddings *e, const void *bytes,
                                size_t len, size_t rows, struct inv_err *err) {
    size_t row = e->ids.count - 1;
    if (row >= e->item_cap) {
        size_t cap = e->item_cap == 0 ? 1024 : e->item_cap * 2;
        struct inv_embedding_item *more = realloc(e->items, cap * sizeof *more);
        if (more == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for %zu items",
                            cap);
        e->items = more;
        e->item_cap = cap;
    }
    e->items[row] = (struct inv_embedding_item){e->bytes.len, len, rows};
    inv_buf_append(&e->bytes, bytes, len);
    return e->bytes.failed
               ? inv_fail(err, INV_MEMORY, "out of memory for %zu items", row)
               : INV_OK;
}

static enum inv_status add_vectors(struct inv_embeddings *e,
                                   const struct inv_json_doc *doc,
                                   const struct inv_json_limits *limits,
                                   struct inv_err *err) {
    const char *key = e->multi ? "vectors" : "vector";
    struct inv_given given = {.plural = false};
    enum inv_status status =
        inv_json_get_vectors(doc, doc->root, "", key, limits, &given, err);
    if (status != INV_OK)
        return status;
    const struct inv_matrix *m = &given.matrix;
    if (m->data == NULL)
        return inv_fail(err, INV_INVALID, "there is no \"%s\"", key);
    if (e->dim == 0)
        e->dim = m->dim;
    if (m->dim != e->dim)
        return inv_fail(err, INV_DIMENSION,
                        "expected %zu dimensions as before, got %zu", e->dim,
                        m->dim);
    return add_item(e, m->data, m->rows * m->dim * sizeof *m->data, m->rows,
                    err);
}

static enum inv_status add_line(struct inv_embeddings *e, const char *line,
                                size_t len, struct inv_arena *arena,
                                struct inv_err *err) {
    const struct inv_json_limits limits = {INV_DIM_MAX, INV_DOC_TOKENS_MAX};
    struct inv_json_doc doc = {.root = NULL};
    struct inv_buf id = INV_BUF_INIT;
    enum inv_status status =
        inv_json_parse(&doc, arena, line, len, &limits, err);
    if (status != INV_OK)
        return status;
    if (inv_json_kind(doc.root) != INV_JSON_OBJECT)
        status = inv_fail(err, INV_INVALID, "an object is expected, got %s",
                          inv_json_kind_name(inv_json_kind(doc.root)));
    if (status == INV_OK)
        status = inv_beir_id(doc.root, &id, err);
    if (status == INV_OK)
        status = inv_ids_add(&e->ids, id.data, id.len, err);
    if (status == INV_OK)
        status = add_vectors(e, &doc, &limits, err);
    inv_buf_release(&id);
    inv_json_close(&doc);
    return status;
}

static enum inv_status add_text(struct inv_embeddings *e, const char *line,
                                size_t len, struct inv_beir_document *scratch,
                                struct inv_err *err) {
    enum inv_status status =
        inv_beir_document_read(line, len, INV_PAYLOAD_NONE, scratch, err);
    if (status == INV_OK)
        status = inv_ids_add(&e->ids, scratch->id.data, scratch->id.len, err);
    if (status == INV_OK)
        status = add_item(e, scratch->text.len > 0 ? scratch->text.data : "",
                          scratch->text.len, 1, err);
    return status;
}

struct reading {
    struct inv_embeddings *embeddings;
    struct inv_beir_document scratch;
};

static enum inv_status take_line(void *ctx, uint64_t number, const char *line,
                                 size_t len, struct inv_err *err) {
    struct reading *reading = ctx;
    struct inv_embeddings *e = reading->embeddings;
    struct inv_arena arena;
    (void)number;
    if (len == 0)
        return INV_OK;
    if (e->text)
        return add_text(e, line, len, &reading->scratch, err);
    inv_arena_init(&arena, LINE_ARENA);
    enum inv_status status = add_line(e, line, len, &arena, err);
    inv_arena_release(&arena);
    return status;
}

static enum inv_status read_lines(struct inv_embeddings *e, const char *path,
                                  struct inv_err *err) {
    struct reading reading = {e, INV_BEIR_DOCUMENT_INIT};
    enum inv_status status = inv_lines_each(path, take_line, &reading, err);
    inv_beir_document_release(&reading.scratch);
    return status;
}

/* ---- any of them ---- */

enum inv_status inv_embeddings_open(const struct inv_embedding_files *files,
                                    bool multi, struct inv_embeddings *out,
                                    struct inv_err *err) {
    struct inv_buf path = INV_BUF_INIT;
    enum inv_status status;
    *out = (struct inv_embeddings){.ids = INV_IDS_INIT,
                                   .multi = multi,
                                   .text = files->folder != NULL,
                                   .bytes = INV_BUF_INIT};
    const char *from = files->npy;
    if (files->npy != NULL) {
        status = open_matrix(files, out, err);
    } else if (files->lines != NULL) {
        from = files->lines;
        status = read_lines(out, files->lines, err);
    } else {
        from = files->folder;
        status = inv_beir_find(files->folder, "corpus.jsonl", &path, err);
        if (status == INV_OK)
            status = read_lines(out, path.data, err);
    }
    if (status == INV_OK && out->ids.count == 0)
        status = inv_fail(err, INV_INVALID, "%s holds nothing", from);
    inv_buf_release(&path);
    if (status != INV_OK)
        inv_embeddings_close(out);
    return status;
}

void inv_embeddings_close(struct inv_embeddings *e) {
    inv_ids_release(&e->ids);
    inv_vectors_close(&e->npy);
    inv_buf_release(&e->bytes);
    free(e->items);
    e->items = NULL;
    e->item_cap = 0;
}

void inv_embeddings_put(const struct inv_embeddings *e, size_t i,
                        struct inv_buf *out) {
    if (e->text) {
        const struct inv_embedding_item *item = &e->items[i];
        inv_buf_puts(out, "\"text\":");
        inv_json_put_string(out, e->bytes.data + item->at, item->len);
        return;
    }
    struct inv_codes codes;
    if (e->items == NULL)
        codes = inv_vectors_at(&e->npy, i);
    else
        codes = (struct inv_codes){.data = e->bytes.data + e->items[i].at,
                                   .dtype = INV_F32,
                                   .rows = e->items[i].rows,
                                   .dim = e->dim};
    inv_buf_printf(out, "\"%s\":", e->multi ? "vectors" : "vector");
    inv_vectors_put_json(out, &codes, e->multi, true);
}
