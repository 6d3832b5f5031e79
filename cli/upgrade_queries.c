/*
 * upgrade_queries.c: a file's queries and titles as those of a new model; see
 * upgrade.h. They are kept by the daemon: fits read them, and judge by them.
 */
#include "cli/upgrade.h"

#include "cli/beir.h"
#include "cli/lines.h"
#include "cli/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct posting {
    struct inv_cli *cli;
    const char *collection, *model, *old_model;
    bool multi, count_only;
    struct inv_buf body;
    size_t items;
    struct inv_upgrade_queries *result;
    int exit; /* of the last request */
};

/* ---- requests ---- */

static int flush_items(struct posting *p) {
    struct inv_answer answer;
    if (p->items == 0)
        return INV_EXIT_OK;
    inv_buf_puts(&p->body, "]}");
    p->exit = inv_cli_call_part(p->cli, "POST", p->collection, "models",
                                p->model, "/queries", &p->body, &answer);
    if (p->exit == INV_EXIT_OK)
        p->result->posted += p->items;
    inv_answer_release(&answer);
    inv_buf_reset(&p->body);
    p->items = 0;
    return p->exit;
}

static void begin_item(struct posting *p, const char *prefix, const char *id) {
    char full[INV_ID_MAX + 16];
    snprintf(full, sizeof full, "%s%s", prefix, id);
    inv_buf_puts(&p->body, p->items == 0 ? "{\"queries\":[" : ",");
    inv_buf_puts(&p->body, "{\"id\":");
    inv_json_put_string(&p->body, full, strlen(full));
    p->items++;
}

static void put_codes(struct posting *p, const struct inv_vectors *vectors,
                      size_t row) {
    struct inv_codes codes = inv_vectors_at(vectors, row);
    inv_buf_printf(&p->body, "\"%s\":", p->multi ? "vectors" : "vector");
    inv_vectors_put_json(&p->body, &codes, p->multi, true);
}

static void put_relevant(struct posting *p,
                         const struct inv_judgement *judgements, size_t count) {
    if (count == 0)
        return;
    inv_buf_puts(&p->body, ",\"relevant\":[");
    for (size_t i = 0; i < count; i++) {
        inv_buf_puts(&p->body, i == 0 ? "" : ",");
        inv_json_put_string(&p->body, judgements[i].document,
                            strlen(judgements[i].document));
    }
    inv_buf_putc(&p->body, ']');
}

static void put_old_name(struct posting *p) {
    inv_buf_puts(&p->body, ",\"old\":{\"model\":");
    inv_json_put_string(&p->body, p->old_model, strlen(p->old_model));
}

/* Closes an item; a full request goes out. */
static int end_item(struct posting *p) {
    inv_buf_putc(&p->body, '}');
    if (p->items == INV_POST_ITEMS || p->body.len >= INV_POST_BYTES)
        return flush_items(p);
    return INV_EXIT_OK;
}

/* ---- vectors ---- */

struct query_vectors {
    struct inv_vectors new, old;
    struct inv_ids ids;
    struct inv_qrels qrels;
};

static void close_vectors(struct query_vectors *q) {
    inv_vectors_close(&q->new);
    inv_vectors_close(&q->old);
    inv_ids_release(&q->ids);
    inv_qrels_release(&q->qrels);
}

static enum inv_status open_vectors(const struct inv_upgrade_query_files *f,
                                    struct query_vectors *q,
                                    struct inv_err *err) {
    *q = (struct query_vectors){.ids = INV_IDS_INIT};
    enum inv_status status =
        inv_vectors_open(f->new_queries, f->new_offsets, NULL, &q->new, err);
    if (status == INV_OK && f->old_queries != NULL)
        status = inv_vectors_open(f->old_queries, f->old_offsets, NULL, &q->old,
                                  err);
    if (status == INV_OK && f->old_queries != NULL &&
        q->old.count != q->new.count)
        status = inv_fail(err, INV_INVALID,
                          "%s holds %zu queries, %s %zu: row i of both must be "
                          "the same query",
                          f->new_queries, q->new.count, f->old_queries,
                          q->old.count);
    if (status == INV_OK)
        status = f->ids != NULL ? inv_ids_read(&q->ids, f->ids, err)
                                : inv_ids_number(&q->ids, q->new.count, err);
    if (status == INV_OK && q->ids.count != q->new.count)
        status = inv_fail(err, INV_INVALID,
                          "%s holds %zu ids, %s %zu queries: row i is line i",
                          f->ids, q->ids.count, f->new_queries, q->new.count);
    if (status == INV_OK && f->qrels != NULL)
        status = inv_qrels_read(f->qrels, true, &q->qrels, err);
    return status;
}

static int post_vectors(struct posting *p,
                        const struct inv_upgrade_query_files *files) {
    struct query_vectors q;
    struct inv_err err;
    int exit = INV_EXIT_OK;
    if (open_vectors(files, &q, &err) != INV_OK)
        exit = inv_cli_error(&err);
    for (size_t i = 0; i < q.new.count &&exit == INV_EXIT_OK; i++) {
        const char *id = inv_ids_at(&q.ids, i);
        size_t relevant = 0;
        const struct inv_judgement *judged =
            inv_qrels_of(&q.qrels, id, &relevant);
        if (relevant == 0 && q.old.count == 0)
            continue;
        p->result->queries++;
        p->result->judged += relevant > 0 && q.old.count > 0;
        if (p->count_only)
            continue;
        begin_item(p, "", id);
        inv_buf_putc(&p->body, ',');
        put_codes(p, &q.new, i);
        if (q.old.count > 0) {
            put_old_name(p);
            inv_buf_putc(&p->body, ',');
            put_codes(p, &q.old, i);
            inv_buf_putc(&p->body, '}');
        }
        /* Where titles are fitted on, these need not be: held out once. */
        if (files->titles != NULL && relevant > 0 && q.old.count > 0)
            inv_buf_puts(&p->body, ",\"judge_only\":true");
        put_relevant(p, judged, relevant);
        exit = end_item(p);
    }
    close_vectors(&q);
    return exit;
}

static int post_titles(struct posting *p, const char *path,
                       const struct inv_embeddings *documents) {
    struct inv_vectors titles = {.count = 0};
    struct inv_err err;
    enum inv_status status = inv_vectors_open(path, NULL, NULL, &titles, &err);
    if (status == INV_OK && titles.count != documents->ids.count)
        status = inv_fail(&err, INV_INVALID,
                          "%s holds %zu titles, but there are %zu documents: "
                          "row i belongs to document i",
                          path, titles.count, documents->ids.count);
    int exit = status == INV_OK ? INV_EXIT_OK : inv_cli_error(&err);
    for (size_t i = 0; i < titles.count && exit == INV_EXIT_OK; i++) {
        const char *id = inv_ids_at(&documents->ids, i);
        const struct inv_judgement own = {.document = strdup(id)};
        p->result->titles++;
        if (!p->count_only && own.document != NULL) {
            begin_item(p, "title:", id);
            inv_buf_putc(&p->body, ',');
            put_codes(p, &titles, i);
            inv_buf_puts(&p->body, ",\"fit_only\":true");
            put_relevant(p, &own, 1);
            exit = end_item(p);
        }
        free(own.document);
    }
    inv_vectors_close(&titles);
    return exit;
}

/* ---- texts ---- */

static int post_text(struct posting *p, const char *prefix, const char *id,
                     const char *text, bool old, bool fit_only,
                     const struct inv_judgement *judged, size_t relevant) {
    begin_item(p, prefix, id);
    inv_buf_puts(&p->body, ",\"text\":");
    inv_json_put_string(&p->body, text, strlen(text));
    if (old) {
        put_old_name(p);
        inv_buf_putc(&p->body, '}');
    }
    if (fit_only)
        inv_buf_puts(&p->body, ",\"fit_only\":true");
    else if (old && relevant > 0)
        inv_buf_puts(&p->body, ",\"judge_only\":true");
    put_relevant(p, judged, relevant);
    return end_item(p);
}

static int post_folder_queries(struct posting *p, const char *folder,
                               const char *qrels_path) {
    struct inv_beir_queries queries = {.count = 0};
    struct inv_qrels qrels = {.count = 0};
    struct inv_buf path = INV_BUF_INIT;
    struct inv_err err;
    bool old = strncmp(p->old_model, "static@", 7) == 0;
    int exit = INV_EXIT_OK;
    enum inv_status status =
        inv_beir_find(folder, "queries.jsonl", &path, &err);
    if (status == INV_OK)
        status = inv_beir_queries_read(path.data, &queries, &err);
    if (status == INV_OK && qrels_path == NULL)
        status = inv_qrels_find(folder, &path, &err);
    if (status == INV_OK)
        status = inv_qrels_read(qrels_path != NULL ? qrels_path : path.data,
                                true, &qrels, &err);
    if (status != INV_OK)
        exit = inv_cli_error(&err);
    for (size_t i = 0; i < queries.count && exit == INV_EXIT_OK; i++) {
        const struct inv_beir_query *query = &queries.items[i];
        size_t relevant = 0;
        const struct inv_judgement *judged =
            inv_qrels_of(&qrels, query->id, &relevant);
        if (query->text[0] == '\0' || (relevant == 0 && !old))
            continue;
        p->result->queries++;
        p->result->judged += relevant > 0 && old;
        if (!p->count_only)
            exit = post_text(p, "", query->id, query->text, old, false, judged,
                             relevant);
    }
    inv_buf_release(&path);
    inv_beir_queries_release(&queries);
    inv_qrels_release(&qrels);
    return exit;
}

static int post_title_line(struct posting *p, const char *line, size_t len) {
    struct inv_buf id = INV_BUF_INIT;
    inv_json *object = NULL;
    struct inv_err err;
    int exit = INV_EXIT_OK;
    enum inv_status status = inv_json_parse_plain(line, len, &object, &err);
    if (status == INV_OK)
        status = inv_beir_id(object, &id, &err);
    const char *title = inv_text_of(object, "title");
    if (status != INV_OK) {
        exit = inv_cli_error(&err);
    } else if (title[0] != '\0') {
        const struct inv_judgement own = {.document = id.data};
        p->result->titles++;
        if (!p->count_only)
            exit = post_text(p, "title:", id.data, title, false, true, &own, 1);
    }
    inv_json_free(object);
    inv_buf_release(&id);
    return exit;
}

static int post_folder_titles(struct posting *p, const char *folder) {
    struct inv_lines *lines = NULL;
    struct inv_buf path = INV_BUF_INIT;
    struct inv_err err;
    char *line = NULL;
    size_t len = 0;
    int exit = INV_EXIT_OK;
    enum inv_status status = inv_beir_find(folder, "corpus.jsonl", &path, &err);
    if (status == INV_OK)
        status = inv_lines_open(path.data, &lines, &err);
    while (status == INV_OK && exit == INV_EXIT_OK) {
        status = inv_lines_next(lines, &line, &len, &err);
        if (status != INV_OK || line == NULL)
            break;
        if (len > 0)
            exit = post_title_line(p, line, len);
    }
    if (status != INV_OK)
        exit = inv_cli_error(&err);
    inv_lines_close(lines);
    inv_buf_release(&path);
    return exit;
}

/* ---- all of them ---- */

int inv_upgrade_queries_post(struct inv_cli *cli, const char *collection,
                             const char *model, const char *old_model,
                             const struct inv_upgrade_query_files *files,
                             const struct inv_embeddings *documents,
                             bool count_only,
                             struct inv_upgrade_queries *result) {
    struct posting p = {.cli = cli,
                        .collection = collection,
                        .model = model,
                        .old_model = old_model,
                        .multi = documents->multi,
                        .count_only = count_only,
                        .body = INV_BUF_INIT,
                        .result = result};
    int exit = INV_EXIT_OK;
    *result = (struct inv_upgrade_queries){.queries = 0};
    if (files->new_queries != NULL)
        exit = post_vectors(&p, files);
    if (exit == INV_EXIT_OK && files->titles != NULL)
        exit = post_titles(&p, files->titles, documents);
    if (exit == INV_EXIT_OK && files->folder != NULL)
        exit = post_folder_queries(&p, files->folder, files->qrels);
    if (exit == INV_EXIT_OK && files->folder != NULL && !p.multi)
        exit = post_folder_titles(&p, files->folder);
    if (exit == INV_EXIT_OK)
        exit = flush_items(&p);
    inv_buf_release(&p.body);
    return exit;
}
