/*
 * recall.c: how much of the exact result the approximate pipeline finds, asked
 * of the collection itself: with the caller's queries, or with a sample of its
 * own documents (those of the gallery's model, as queries of that model; they
 * are easier than real queries: the answer says which).
 */
#include "server/search.h"

#include "base/clock.h"
#include "server/ingest.h"

#include <stdlib.h>
#include <string.h>

struct tally {
    double recall, ms, exact_ms;
    double worst;
    size_t queries;
};

static enum inv_status
ask(struct inv_app *app, struct inv_collection *collection,
    struct inv_search_request *request, bool exact, struct inv_arena *arena,
    struct inv_search_answer *answer, double *ms, struct inv_err *err) {
    request->params.exact = exact;
    request->params.exact_given = true;
    int64_t began = (int64_t)inv_now_ns();
    enum inv_status status =
        inv_search(app, collection, request, arena, answer, err);
    *ms += (double)((int64_t)inv_now_ns() - began) / 1e6;
    return status;
}

static uint64_t hit_vseq(const struct inv_search_answer *answer, size_t i) {
    const struct inv_hit *hit = &answer->hits[i];
    return answer->view->parts[hit->part].entries->items[hit->entry].vseq;
}

static double overlap(const struct inv_search_answer *a,
                      const struct inv_search_answer *exact) {
    size_t common = 0;
    for (size_t i = 0; i < exact->count; i++)
        for (size_t j = 0; j < a->count; j++)
            common += hit_vseq(exact, i) == hit_vseq(a, j);
    return exact->count == 0 ? 1 : (double)common / (double)exact->count;
}

static enum inv_status compare(struct inv_app *app,
                               struct inv_collection *collection,
                               const struct inv_recall_request *request,
                               const struct inv_recall_query *query,
                               const char *model, struct tally *tally,
                               struct inv_err *err) {
    struct inv_arena arena;
    inv_arena_init(&arena, INV_REQUEST_ARENA_MAX);
    struct inv_search_request search = {.query = query->given,
                                        .text = query->text,
                                        .text_len = query->text_len,
                                        .model = model,
                                        .limit = request->limit,
                                        .params = request->params};
    struct inv_search_answer exact = {0};
    struct inv_search_answer found = {0};
    enum inv_status status = ask(app, collection, &search, true, &arena, &exact,
                                 &tally->exact_ms, err);
    if (status == INV_OK) {
        found.view = inv_ref_get(exact.view);
        status = ask(app, collection, &search, false, &arena, &found,
                     &tally->ms, err);
    }
    if (status == INV_OK) {
        double share = overlap(&found, &exact);
        tally->recall += share;
        if (share < tally->worst)
            tally->worst = share;
        tally->queries++;
    }
    inv_search_release(&exact);
    inv_search_release(&found);
    inv_arena_release(&arena);
    return status;
}

/* A stored document as a query. */
static enum inv_status stored_query(const struct inv_view *view,
                                    const struct inv_entry *entry, bool multi,
                                    size_t max_rows, struct inv_given *out,
                                    struct inv_err *err) {
    struct inv_codes codes;
    enum inv_status status =
        inv_vlog_get(view->logs, &entry->place, &codes, err);
    if (status != INV_OK)
        return status;
    float *data = malloc(codes.rows * codes.dim * sizeof *data);
    if (data == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    inv_codes_decode(&codes, data);
    size_t rows = codes.rows < max_rows ? codes.rows : max_rows;
    *out = (struct inv_given){
        .matrix = {.data = data, .rows = rows, .dim = codes.dim},
        .plural = multi};
    return INV_OK;
}

static enum inv_status
sample_documents(struct inv_app *app, struct inv_collection *collection,
                 const struct inv_recall_request *request, struct tally *tally,
                 struct inv_err *err) {
    struct inv_view *view = inv_gallery_view(collection->gallery);
    const struct inv_space *gallery = &inv_view_models(view)->spaces[0];
    size_t live = 0;
    for (size_t p = 0; p < view->count; p++)
        if (inv_part_space(&view->parts[p]) == gallery->space)
            live += view->parts[p].live->count;
    size_t step = live > request->sample ? live / request->sample : 1;
    size_t seen = 0;
    /* A query is shorter than a document: 32 of its tokens stand for one. */
    enum inv_status status = INV_OK;
    for (size_t p = 0; p < view->count && status == INV_OK; p++) {
        const struct inv_part *part = &view->parts[p];
        if (inv_part_space(part) != gallery->space)
            continue;
        for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
             e < part->count && status == INV_OK &&
             tally->queries < request->sample;
             e = inv_bitset_next(part->live->set, part->count, e + 1)) {
            struct inv_recall_query query = {0};
            if (seen++ % step != 0)
                continue;
            status = stored_query(view, &part->entries->items[e],
                                  gallery->settings->settings.multi, 32,
                                  &query.given, err);
            if (status == INV_OK)
                status = compare(app, collection, request, &query,
                                 gallery->name, tally, err);
            free(query.given.matrix.data);
        }
    }
    inv_ref_put(view);
    return status;
}

/* What concerns the query is below it; model and params are the request's. */
static void point_at_query(size_t i, struct inv_err *err) {
    char inner[sizeof err->pointer];
    memcpy(inner, err->pointer, sizeof inner);
    if (strncmp(inner, "/vector", 7) == 0 || strcmp(inner, "/text") == 0)
        inv_err_at(err, "/queries/%zu%s", i, inner);
}

enum inv_status inv_recall_respond(struct inv_app *app,
                                   struct inv_collection *collection,
                                   const struct inv_recall_request *request,
                                   struct inv_arena *arena, struct inv_buf *out,
                                   struct inv_err *err) {
    struct tally tally = {.worst = 1};
    enum inv_status status = INV_OK;
    (void)arena;
    if (request->query_count == 0)
        status = sample_documents(app, collection, request, &tally, err);
    for (size_t i = 0; status == INV_OK && i < request->query_count; i++) {
        status = compare(app, collection, request, &request->queries[i],
                         request->model, &tally, err);
        if (status != INV_OK)
            point_at_query(i, err);
    }
    if (status != INV_OK)
        return status;
    double n = tally.queries == 0 ? 1 : (double)tally.queries;
    inv_buf_printf(out,
                   "{\"recall\":%.4f,\"worst\":%.4f,\"limit\":%u,"
                   "\"queries\":%zu,\"of\":\"%s\",\"ms\":%.3f,"
                   "\"exact_ms\":%.3f}",
                   tally.queries == 0 ? 1.0 : tally.recall / n, tally.worst,
                   request->limit, tally.queries,
                   request->query_count == 0 ? "documents" : "queries",
                   tally.ms / n, tally.exact_ms / n);
    return INV_OK;
}
