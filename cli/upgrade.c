/*
 * upgrade.c: `invar upgrade` from registering the model to its queries, and
 * what all steps share; the rest is in upgrade_fit.c and upgrade_serve.c. Every
 * step looks first at what the daemon has: a second run goes on where the first
 * one stopped. Main thread; signals are blocked, Ctrl-C is asked for between
 * requests.
 */
#include "cli/upgrade_internal.h"

#include "cli/interrupt.h"
#include "cli/text.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const inv_upgrade_step_names[INV_STEP_COUNT] = {
    "register", "sample", "queries", "fit", "activate", "backfill", "cutover"};

/* ---- talking ---- */

void inv_upgrade_say(struct inv_upgrade_run *run, enum inv_upgrade_step step,
                     const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    FILE *out = run->cli->json ? stderr : stdout;
    fprintf(out, "%-9s %s\n", inv_upgrade_step_names[step], text);
    fflush(out);
    inv_buf_printf(&run->log,
                   "%s{\"step\":\"%s\",\"text\":", run->log.len == 0 ? "" : ",",
                   inv_upgrade_step_names[step]);
    inv_json_put_string(&run->log, text, strlen(text));
    inv_buf_putc(&run->log, '}');
}

void inv_upgrade_next(struct inv_upgrade_run *run, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (run->next.len > 0)
        inv_buf_putc(&run->next, '\n');
    inv_buf_puts(&run->next, text);
}

/* A line of standard input; false at its end or after Ctrl-C. */
static bool read_answer(struct inv_upgrade_run *run, char *line, int cap) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 100) == 0) {
        run->interrupted = inv_interrupt_wait(0);
        if (run->interrupted)
            return false;
    }
    return fgets(line, cap, stdin) != NULL;
}

bool inv_upgrade_confirm(struct inv_upgrade_run *run, const char *fmt, ...) {
    char line[64];
    va_list args;
    if (run->o->yes)
        return true;
    run->declined = true;
    if (isatty(STDIN_FILENO) != 1)
        return false;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    fflush(stderr);
    bool read = read_answer(run, line, sizeof line);
    if (!read)
        fputc('\n', stderr);
    bool yes = read && (line[0] == 'y' || line[0] == 'Y');
    run->declined = !yes;
    return yes;
}

/* ---- register ---- */

static int register_model(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    struct inv_model_flags flags = o->flags;
    struct inv_buf body = INV_BUF_INIT;
    struct inv_answer answer;
    struct inv_err err;
    bool built_in = strncmp(o->model, "static@", 7) == 0;
    if (flags.dim == 0 && run->has_embeddings)
        flags.dim = (uint32_t)run->embeddings.dim;
    if (flags.dim == 0 && !built_in)
        return inv_cli_failed("how many dimensions has %s? --dim N, or its "
                              "vectors with --new FILE",
                              o->model);
    if (built_in)
        flags.dim = o->flags.dim;
    if (inv_model_body(&flags, &body, &err) != INV_OK) {
        inv_buf_release(&body);
        return inv_cli_error(&err);
    }
    int exit = inv_cli_call_part(run->cli, "PUT", o->collection, "models",
                                 o->model, "", &body, &answer);
    if (exit == INV_EXIT_OK)
        inv_upgrade_say(run, INV_STEP_REGISTER, "%s %s beside %s", o->model,
                        answer.http == 201 ? "is registered" : "was registered",
                        run->migration.gallery_model);
    inv_answer_release(&answer);
    inv_buf_release(&body);
    return exit;
}

/* ---- sample ---- */

/* vectors: documents that have one in the new model. */
static int read_model(struct inv_upgrade_run *run, uint64_t *vectors,
                      uint64_t *queries) {
    struct inv_answer answer;
    int exit = inv_cli_call_part(run->cli, "GET", run->o->collection, "models",
                                 run->o->model, "", NULL, &answer);
    if (exit == INV_EXIT_OK) {
        *vectors = inv_uint_of(answer.json, "vectors");
        *queries = inv_uint_of(answer.json, "queries");
        run->backfill.coverage = inv_real_of(answer.json, "coverage");
    }
    inv_answer_release(&answer);
    return exit;
}

static int post_sample(struct inv_upgrade_run *run, uint64_t wanted,
                       enum inv_backfill_end *end) {
    struct inv_answer answer;
    uint64_t posted = 0;
    char rest[128];
    snprintf(rest, sizeof rest, "/calibration?n=%" PRIu64 "&method=%s&seed=%u",
             wanted,
             run->o->sample != NULL ? run->o->sample
                                    : inv_sample_usual(&run->target),
             run->o->wish.seed);
    int exit = inv_cli_call_part(run->cli, "GET", run->o->collection, "models",
                                 run->o->model, rest, NULL, &answer);
    if (exit == INV_EXIT_OK)
        exit = inv_backfill_list(&run->backfill, answer.json, end, &posted);
    inv_answer_release(&answer);
    return exit;
}

static void say_no_vectors(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    inv_upgrade_next(run,
                     "choose documents: invar models %s sample %s -n %u > "
                     "ids.txt\n"
                     "embed their texts with the new model (row i of a .npy "
                     "for line i), then\n"
                     "invar upgrade %s --model %s --new FILE.npy --ids "
                     "ids.txt ...",
                     o->collection, o->model, o->pairs == 0 ? 2000 : o->pairs,
                     o->collection, o->model);
}

/* have: documents that had a vector before. Nothing stored at all is a mistake:
 * the ids of another corpus, most likely. */
static int check_stored(const struct inv_upgrade_run *run, uint64_t have) {
    const struct inv_backfill *b = &run->backfill;
    if (run->interrupted || have > 0 || b->stored > 0 || b->unchanged > 0)
        return INV_EXIT_OK;
    return inv_cli_failed(
        "no document of \"%s\" has a vector of %s now: do the "
        "ids of the vectors belong to this collection?",
        run->o->collection, run->o->model);
}

static int sample(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    enum inv_backfill_end end = INV_BACKFILL_REACHED;
    struct inv_buf told = INV_BUF_INIT;
    uint64_t have = 0;
    uint64_t queries = 0;
    char number[INV_NUMBER_MAX];
    int exit = read_model(run, &have, &queries);
    if (exit != INV_EXIT_OK)
        return exit;
    uint64_t wanted = o->pairs == 0 || o->pairs > run->target.documents
                          ? run->target.documents
                          : o->pairs;
    if (have >= wanted || (!run->has_embeddings && have > 0)) {
        inv_upgrade_say(run, INV_STEP_SAMPLE,
                        "%s documents have a vector of %s",
                        inv_text_count(number, have), o->model);
        return INV_EXIT_OK;
    }
    if (!run->has_embeddings) {
        say_no_vectors(run);
        run->finished = true;
        return INV_EXIT_OK;
    }
    /* A file of no more than what is wanted is the sample itself. */
    if (run->embeddings.ids.count <= wanted - have ||
        wanted == run->target.documents)
        exit = inv_backfill_rest(&run->backfill, wanted - have, &end);
    else
        exit = post_sample(run, wanted - have, &end);
    run->interrupted = end == INV_BACKFILL_INTERRUPTED;
    if (exit == INV_EXIT_OK) {
        inv_backfill_tell(&run->backfill, &told);
        inv_upgrade_say(run, INV_STEP_SAMPLE, "%s",
                        told.failed ? "sent" : told.data);
        exit = check_stored(run, have);
    }
    inv_buf_release(&told);
    return exit;
}

/* ---- queries ---- */

static int queries(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    struct inv_upgrade_queries *q = &run->queries;
    const char *old = run->migration.gallery_model;
    uint64_t vectors = 0;
    uint64_t have = 0;
    char all[INV_NUMBER_MAX], judged[INV_NUMBER_MAX], titles[INV_NUMBER_MAX];
    int exit = read_model(run, &vectors, &have);
    if (exit != INV_EXIT_OK)
        return exit;
    uint64_t given = q->queries + q->titles;
    if (given == 0 && have == 0) {
        inv_upgrade_say(run, INV_STEP_QUERIES,
                        "none given: documents will stand in for them, and no "
                        "verdict will be better than CASCADE_ONLY");
        return INV_EXIT_OK;
    }
    if (have >= given) {
        inv_upgrade_say(run, INV_STEP_QUERIES,
                        "%s queries and titles are there",
                        inv_text_count(all, have));
        return INV_EXIT_OK;
    }
    exit = inv_upgrade_queries_post(run->cli, o->collection, o->model, old,
                                    &o->queries, &run->embeddings, false, q);
    if (exit == INV_EXIT_OK)
        inv_upgrade_say(
            run, INV_STEP_QUERIES, "%s stored, %s of them judged; %s titles",
            inv_text_count(all, q->queries), inv_text_count(judged, q->judged),
            inv_text_count(titles, q->titles));
    return exit;
}

/* ---- all steps ---- */

/* What another upgrade or an earlier run has left behind decides what this one
 * may do. */
static int look(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    struct inv_migration *m = &run->migration;
    int exit = inv_migration_get(run->cli, o->collection, m);
    if (exit != INV_EXIT_OK)
        return exit;
    bool under_way = strcmp(m->state, "SHADOW") == 0 ||
                     strcmp(m->state, "BRIDGED") == 0 ||
                     strcmp(m->state, "CASCADE") == 0;
    if (strcmp(m->gallery_model, o->model) == 0) {
        inv_upgrade_say(run, INV_STEP_CUTOVER,
                        "the index of \"%s\" holds %s already (%s)",
                        o->collection, o->model, m->state);
        run->finished = true;
    } else if (under_way && strcmp(m->model, o->model) != 0) {
        return inv_cli_failed("an upgrade of \"%s\" to %s is under way (%s, "
                              "coverage %.0f %%): finish it, or `invar "
                              "rollback %s`",
                              o->collection, m->model, m->state,
                              m->coverage * 100, o->collection);
    }
    return INV_EXIT_OK;
}

/* All files are read, and their shapes compared, before anything is sent. */
static int open_files(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    const struct inv_embedding_files *f = &o->files;
    struct inv_err err;
    if (f->npy == NULL && f->lines == NULL && f->folder == NULL)
        return INV_EXIT_OK;
    if (inv_embeddings_open(f, run->target.multi, &run->embeddings, &err) !=
        INV_OK)
        return inv_cli_error(&err);
    run->has_embeddings = true;
    if (inv_backfill_open(run->cli, o->collection, o->model, &run->embeddings,
                          &run->backfill, &err) != INV_OK)
        return inv_cli_error(&err);
    run->backfill.quiet = run->cli->json;
    return inv_upgrade_queries_post(run->cli, o->collection, o->model,
                                    run->migration.gallery_model, &o->queries,
                                    &run->embeddings, true, &run->queries);
}

static int take_steps(struct inv_upgrade_run *run) {
    static int (*const steps[INV_STEP_COUNT])(struct inv_upgrade_run *) = {
        register_model,    sample,
        queries,           inv_step_fit,
        inv_step_activate, inv_step_backfill,
        inv_step_cutover};
    int exit = INV_EXIT_OK;
    for (int i = 0; i <= (int)run->o->last && exit == INV_EXIT_OK; i++) {
        if (run->finished || run->declined || run->interrupted)
            break;
        exit = steps[i](run);
        run->interrupted = run->interrupted || inv_interrupt_wait(0);
    }
    return exit;
}

/* ---- the end ---- */

static void put_adapters(struct inv_upgrade_run *run, struct inv_buf *out) {
    inv_buf_puts(out, ",\"adapters\":[");
    for (size_t i = 0; i < run->adapter_count; i++) {
        inv_buf_puts(out, i == 0 ? "" : ",");
        inv_json_write(run->adapters[i].json, out);
    }
    inv_buf_puts(out, "],\"chosen\":");
    const char *chosen = inv_text_of(run->chosen, "name");
    if (*chosen == '\0')
        inv_buf_puts(out, "null");
    else
        inv_json_put_string(out, chosen, strlen(chosen));
}

static int print_json(struct inv_upgrade_run *run) {
    const struct inv_upgrade_options *o = run->o;
    struct inv_answer migration;
    struct inv_buf out = INV_BUF_INIT;
    int exit = inv_cli_call_collection(run->cli, "GET", o->collection,
                                       "/migration", NULL, &migration);
    inv_buf_puts(&out, "{\"collection\":");
    inv_json_put_string(&out, o->collection, strlen(o->collection));
    inv_buf_puts(&out, ",\"model\":");
    inv_json_put_string(&out, o->model, strlen(o->model));
    inv_buf_puts(&out, ",\"steps\":[");
    inv_buf_append(&out, run->log.len > 0 ? run->log.data : "", run->log.len);
    inv_buf_putc(&out, ']');
    put_adapters(run, &out);
    inv_buf_puts(&out, ",\"migration\":");
    if (exit == INV_EXIT_OK)
        inv_json_write(migration.json, &out);
    else
        inv_buf_puts(&out, "null");
    inv_buf_printf(&out, ",\"interrupted\":%s,\"next\":",
                   run->interrupted ? "true" : "false");
    inv_json_put_string(&out, run->next.len > 0 ? run->next.data : "",
                        run->next.len);
    inv_buf_puts(&out, "}\n");
    if (exit == INV_EXIT_OK)
        exit = inv_cli_print(&out);
    inv_answer_release(&migration);
    inv_buf_release(&out);
    return exit;
}

static int tell_end(struct inv_upgrade_run *run, int exit) {
    const struct inv_upgrade_options *o = run->o;
    if (run->interrupted)
        inv_upgrade_next(run,
                         "what is done stays, searches go on; the same command "
                         "goes on from here");
    if (run->cli->json && exit == INV_EXIT_OK)
        exit = print_json(run);
    else if (run->next.len > 0 && !run->next.failed)
        fprintf(run->interrupted ? stderr : stdout, "\n%s\n", run->next.data);
    if (exit == INV_EXIT_OK && run->interrupted)
        return inv_cli_failed("interrupted (`invar migration %s` shows the "
                              "state)",
                              o->collection);
    if (exit == INV_EXIT_FAILED && run->log.len > 0)
        fprintf(stderr, "What was done stays; the same command goes on from "
                        "there.\n");
    return exit;
}

int inv_upgrade(struct inv_cli *cli,
                const struct inv_upgrade_options *options) {
    struct inv_upgrade_run run = {
        .cli = cli, .o = options, .log = INV_BUF_INIT, .next = INV_BUF_INIT};
    bool mine = inv_interrupt_block();
    int exit = inv_target_get(cli, options->collection, &run.target);
    if (exit == INV_EXIT_OK)
        exit = look(&run);
    if (exit == INV_EXIT_OK && !run.finished)
        exit = open_files(&run);
    if (exit == INV_EXIT_OK)
        exit = take_steps(&run);
    exit = tell_end(&run, exit);
    if (mine)
        inv_interrupt_unblock();
    for (size_t i = 0; i < run.adapter_count; i++)
        inv_answer_release(&run.adapters[i]);
    if (run.has_embeddings) {
        inv_backfill_close(&run.backfill);
        inv_embeddings_close(&run.embeddings);
    }
    inv_buf_release(&run.log);
    inv_buf_release(&run.next);
    return exit;
}
