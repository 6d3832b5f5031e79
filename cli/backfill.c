/*
 * backfill.c: see backfill.h. One connection: the daemon's writer is one
 * thread anyway, and the queue's order is kept.
 */
#include "cli/backfill.h"

#include "cli/answers.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum inv_status inv_backfill_open(struct inv_cli *cli, const char *collection,
                                  const char *model,
                                  const struct inv_embeddings *embeddings,
                                  struct inv_backfill *out,
                                  struct inv_err *err) {
    *out = (struct inv_backfill){.cli = cli,
                                 .collection = collection,
                                 .model = model,
                                 .embeddings = embeddings,
                                 .quiet = false};
    out->tried = calloc(embeddings->ids.count, sizeof *out->tried);
    return out->tried != NULL
               ? INV_OK
               : inv_fail(err, INV_MEMORY, "out of memory for %zu documents",
                          embeddings->ids.count);
}

void inv_backfill_close(struct inv_backfill *backfill) {
    free(backfill->tried);
    backfill->tried = NULL;
}

/* ---- one request ---- */

struct post {
    struct inv_buf body;
    uint64_t items;
};

static void add_item(struct inv_backfill *b, struct post *post, size_t row,
                     const inv_json *seq) {
    const char *id = inv_ids_at(&b->embeddings->ids, row);
    inv_buf_puts(&post->body, post->items == 0 ? "{\"vectors\":[" : ",");
    inv_buf_puts(&post->body, "{\"id\":");
    inv_json_put_string(&post->body, id, strlen(id));
    if (seq != NULL && inv_json_kind(seq) == INV_JSON_INT)
        inv_buf_printf(&post->body, ",\"seq\":%" PRId64, inv_json_int(seq));
    inv_buf_putc(&post->body, ',');
    inv_embeddings_put(b->embeddings, row, &post->body);
    inv_buf_putc(&post->body, '}');
    post->items++;
    b->tried[row] = true;
}

static bool is_full(const struct post *post) {
    return post->items == INV_POST_ITEMS || post->body.len >= INV_POST_BYTES;
}

static void note_errors(struct inv_backfill *b, const inv_json *answer) {
    const inv_json *list;
    size_t count = inv_list_of(answer, "errors", &list);
    for (size_t i = 0; i < count; i++) {
        const inv_json *item = inv_json_at(list, i);
        if (strcmp(inv_text_of(item, "code"), "stale") == 0)
            b->stale++;
        else
            b->unknown++;
        if (b->first_error[0] == '\0')
            snprintf(b->first_error, sizeof b->first_error, "%.60s: %.180s",
                     inv_text_of(item, "id"), inv_text_of(item, "detail"));
    }
}

/* A request whose items are all stale (409) or all unknown (404) is refused as
 * a whole; that is news of its documents, not the end. */
static bool all_refused(struct inv_backfill *b, const struct inv_answer *answer,
                        uint64_t items) {
    inv_json *problem = NULL;
    bool yes = false;
    if ((answer->http == 404 || answer->http == 409) && answer->body.len > 0 &&
        inv_json_parse_plain(answer->body.data, answer->body.len, &problem,
                             NULL) == INV_OK) {
        const char *code = inv_text_of(problem, "code");
        yes = (strcmp(code, "not_found") == 0 || strcmp(code, "stale") == 0 ||
               strcmp(code, "conflict") == 0) &&
              strstr(inv_text_of(problem, "detail"), "collection") == NULL;
    }
    if (yes && answer->http == 409)
        b->stale += items;
    else if (yes)
        b->unknown += items;
    if (yes && b->first_error[0] == '\0')
        snprintf(b->first_error, sizeof b->first_error, "%.250s",
                 answer->message);
    inv_json_free(problem);
    return yes;
}

/* Sends what has been gathered and begins anew. */
static int send_post(struct inv_backfill *b, struct post *post) {
    struct inv_buf path = INV_BUF_INIT;
    struct inv_answer answer = INV_ANSWER_INIT;
    if (post->items == 0)
        return INV_EXIT_OK;
    inv_buf_puts(&post->body, "]}");
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, b->collection, strlen(b->collection));
    inv_buf_puts(&path, "/models/");
    inv_client_escape(&path, b->model, strlen(b->model));
    inv_buf_puts(&path, "/vectors");
    int exit = INV_EXIT_OK;
    if (path.failed || post->body.failed) {
        exit = inv_cli_failed("out of memory for a request");
    } else {
        const struct inv_call call = {.method = "POST",
                                      .path = path.data,
                                      .body = post->body.data,
                                      .len = post->body.len};
        exit = inv_cli_try(b->cli, &call, &answer);
        if (exit == INV_EXIT_OK) {
            b->stored += inv_uint_of(answer.json, "stored");
            b->unchanged += inv_uint_of(answer.json, "unchanged");
            b->coverage = inv_real_of(answer.json, "coverage");
            note_errors(b, answer.json);
        } else if (all_refused(b, &answer, post->items)) {
            exit = INV_EXIT_OK;
        } else {
            inv_cli_failed("%s", answer.message);
        }
        b->sent += post->items;
    }
    inv_answer_release(&answer);
    inv_buf_release(&path);
    inv_buf_reset(&post->body);
    post->items = 0;
    return exit;
}

static bool interrupted(enum inv_backfill_end *end) {
    if (!inv_interrupt_wait(0))
        return false;
    *end = INV_BACKFILL_INTERRUPTED;
    return true;
}

/* ---- lists ---- */

int inv_backfill_list(struct inv_backfill *b, const inv_json *answer,
                      enum inv_backfill_end *end, uint64_t *posted) {
    const inv_json *list;
    size_t count = inv_list_of(answer, "documents", &list);
    struct post post = {.body = INV_BUF_INIT};
    int exit = INV_EXIT_OK;
    *posted = 0;
    for (size_t i = 0; i < count && exit == INV_EXIT_OK; i++) {
        const inv_json *item = inv_json_at(list, i);
        size_t row = inv_ids_find(&b->embeddings->ids, inv_text_of(item, "id"));
        if (row == INV_NO_ROW || b->tried[row])
            continue;
        add_item(b, &post, row, inv_field_of(item, "seq"));
        ++*posted;
        if (is_full(&post))
            exit = send_post(b, &post);
        if (interrupted(end))
            break;
    }
    if (exit == INV_EXIT_OK)
        exit = send_post(b, &post);
    inv_buf_release(&post.body);
    return exit;
}

/* ---- the queue ---- */

struct goal {
    uint64_t documents; /* of the gallery */
    uint64_t covered;   /* as far as we know */
    uint64_t wanted;    /* to be covered */
};

static int read_goal(struct inv_backfill *b, double fraction,
                     struct goal *goal) {
    struct inv_answer answer;
    struct inv_target target;
    int exit = inv_target_get(b->cli, b->collection, &target);
    if (exit == INV_EXIT_OK)
        exit = inv_cli_call_part(b->cli, "GET", b->collection, "models",
                                 b->model, "", NULL, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    /* Documents that came in the new model alone are none of the gallery's. */
    uint64_t alone = inv_uint_of(answer.json, "alone");
    uint64_t vectors = inv_uint_of(answer.json, "vectors");
    uint64_t documents = target.documents;
    goal->documents = documents > alone ? documents - alone : 0;
    goal->covered = vectors > alone ? vectors - alone : 0;
    goal->wanted = (uint64_t)ceil(fraction * (double)goal->documents - 1e-9);
    b->coverage = inv_real_of(answer.json, "coverage");
    inv_answer_release(&answer);
    return INV_EXIT_OK;
}

static int read_queue(struct inv_backfill *b, uint64_t limit,
                      struct inv_answer *answer) {
    struct inv_buf rest = INV_BUF_INIT;
    inv_buf_printf(&rest, "/backfill?limit=%" PRIu64 "&model=", limit);
    inv_client_escape(&rest, b->model, strlen(b->model));
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    int exit = rest.failed
                   ? inv_cli_failed("out of memory for a path")
                   : inv_cli_call_collection(b->cli, "GET", b->collection,
                                             rest.data, NULL, answer);
    inv_buf_release(&rest);
    return exit;
}

/* One page of the queue. *posted 0: nothing of it is ours. */
static int take_page(struct inv_backfill *b, const struct goal *goal,
                     enum inv_backfill_end *end, uint64_t *posted) {
    struct inv_answer answer;
    uint64_t left = goal->wanted - goal->covered;
    uint64_t limit = left < INV_POST_ITEMS ? left : INV_POST_ITEMS;
    *posted = 0;
    int exit = read_queue(b, limit, &answer);
    if (exit == INV_EXIT_OK)
        exit = inv_backfill_list(b, answer.json, end, posted);
    inv_answer_release(&answer);
    return exit;
}

/* One request of rows that were not sent yet, from *row on. */
static int take_rows(struct inv_backfill *b, uint64_t limit, size_t *row,
                     uint64_t *posted) {
    struct post post = {.body = INV_BUF_INIT};
    *posted = 0;
    for (; *row < b->embeddings->ids.count && post.items < limit &&
           !is_full(&post);
         ++*row)
        if (!b->tried[*row])
            add_item(b, &post, *row, NULL);
    *posted = post.items;
    int exit = send_post(b, &post);
    inv_buf_release(&post.body);
    return exit;
}

int inv_backfill_rest(struct inv_backfill *b, uint64_t limit,
                      enum inv_backfill_end *end) {
    struct inv_progress progress;
    uint64_t total =
        limit < b->embeddings->ids.count ? limit : b->embeddings->ids.count;
    uint64_t done = 0;
    uint64_t posted = 1;
    size_t row = 0;
    int exit = INV_EXIT_OK;
    bool mine = inv_interrupt_block();
    inv_progress_start(&progress, "vectors", "documents", total, 0, b->quiet);
    *end = INV_BACKFILL_REACHED;
    while (exit == INV_EXIT_OK && done < limit && posted > 0 &&
           !interrupted(end)) {
        exit = take_rows(b, limit - done, &row, &posted);
        done += posted;
        inv_progress_update(&progress, done, done);
    }
    inv_progress_end(&progress);
    if (mine)
        inv_interrupt_unblock();
    return exit;
}

/* The daemon's count after something was posted; without any, its answer
 * cannot have told. */
static void recount(struct inv_backfill *b, struct goal *goal) {
    goal->covered = (uint64_t)llround(b->coverage * (double)goal->documents);
}

int inv_backfill_run(struct inv_backfill *b, double fraction,
                     enum inv_backfill_end *end) {
    struct inv_progress progress;
    struct goal goal = {.documents = 0};
    size_t row = 0;
    bool queue = true;
    *end = INV_BACKFILL_REACHED;
    int exit = read_goal(b, fraction, &goal);
    if (exit != INV_EXIT_OK)
        return exit;
    bool mine = inv_interrupt_block();
    uint64_t first = goal.covered;
    inv_progress_start(&progress, "backfill", "documents", goal.wanted, first,
                       b->quiet);
    while (exit == INV_EXIT_OK && goal.covered < goal.wanted) {
        uint64_t posted = 0;
        uint64_t left = goal.wanted - goal.covered;
        if (queue)
            exit = take_page(b, &goal, end, &posted);
        else
            exit = take_rows(b, left, &row, &posted);
        recount(b, &goal);
        inv_progress_update(&progress, goal.covered,
                            goal.covered > first ? goal.covered - first : 0);
        if (*end == INV_BACKFILL_INTERRUPTED || interrupted(end))
            break;
        if (exit == INV_EXIT_OK && posted == 0) {
            if (!queue && goal.covered < goal.wanted) {
                *end = INV_BACKFILL_MISSING;
                break;
            }
            queue = false; /* its first page is not among the embeddings */
        }
    }
    inv_progress_end(&progress);
    if (mine)
        inv_interrupt_unblock();
    return exit;
}

void inv_backfill_tell(const struct inv_backfill *b, struct inv_buf *out) {
    char number[INV_NUMBER_MAX];
    inv_buf_printf(out, "%s sent", inv_text_count(number, b->sent));
    inv_buf_printf(out, ", %s stored", inv_text_count(number, b->stored));
    if (b->unchanged > 0)
        inv_buf_printf(out, ", %s were there",
                       inv_text_count(number, b->unchanged));
    if (b->stale > 0)
        inv_buf_printf(out, ", %s of documents that have changed since",
                       inv_text_count(number, b->stale));
    if (b->unknown > 0)
        inv_buf_printf(out, ", %s of ids that are not in the collection",
                       inv_text_count(number, b->unknown));
    if (b->first_error[0] != '\0') {
        inv_buf_puts(out, " (the first: ");
        inv_text_clean(out, b->first_error, strlen(b->first_error), 200);
        inv_buf_putc(out, ')');
    }
}
