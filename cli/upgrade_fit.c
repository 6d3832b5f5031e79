/*
 * upgrade_fit.c: the adapters of an upgrade: those that are there are read, the
 * others fitted, one job each; then the table and the choice. See
 * upgrade_internal.h.
 */
#include "cli/upgrade_internal.h"

#include "cli/follow.h"
#include "encoders/adapters/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The usual ones; contrastive where single vectors come with relevance
 * pairs. */
static const char *usual_methods(const struct inv_upgrade_run *run,
                                 bool relevance) {
    return relevance && !run->target.multi
               ? "procrustes,path:0.1,path:0.35,ridge,contrastive"
               : "procrustes,path:0.1,path:0.35,ridge";
}

/* ---- one adapter ---- */

/* Reads an adapter into the next place; *there false when it is not there. */
static int read_adapter(struct inv_upgrade_run *run, const char *name,
                        bool *there) {
    struct inv_answer *answer = &run->adapters[run->adapter_count];
    struct inv_buf path = INV_BUF_INIT;
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, run->o->collection, strlen(run->o->collection));
    inv_buf_puts(&path, "/adapters/");
    inv_client_escape(&path, name, strlen(name));
    *there = false;
    if (path.failed)
        return inv_cli_failed("out of memory for a path");
    const struct inv_call call = {.method = "GET", .path = path.data};
    int exit = inv_cli_try(run->cli, &call, answer);
    inv_buf_release(&path);
    if (exit == INV_EXIT_OK) {
        *there = true;
        run->adapter_count++;
        return INV_EXIT_OK;
    }
    if (answer->http != 404)
        inv_cli_failed("%s", answer->message);
    exit = answer->http == 404 ? INV_EXIT_OK : exit;
    inv_answer_release(answer);
    return exit;
}

static int delete_adapter(struct inv_upgrade_run *run, const char *name) {
    struct inv_answer answer;
    int exit = inv_cli_call_part(run->cli, "DELETE", run->o->collection,
                                 "adapters", name, "", NULL, &answer);
    inv_answer_release(&answer);
    return exit;
}

static int fit_adapter(struct inv_upgrade_run *run, const char *name,
                       const char *method) {
    struct inv_fit_wish wish = run->o->wish;
    struct inv_buf body = INV_BUF_INIT;
    struct inv_buf path = INV_BUF_INIT;
    struct inv_answer job = INV_ANSWER_INIT;
    struct inv_err err;
    int exit;
    wish.from = run->o->model;
    wish.to = run->migration.gallery_model;
    wish.name = name;
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, run->o->collection, strlen(run->o->collection));
    inv_buf_puts(&path, "/adapters");
    if (inv_fit_body(method, &wish, &body, &err) != INV_OK)
        exit = inv_cli_error(&err);
    else if (path.failed)
        exit = inv_cli_failed("out of memory for a path");
    else
        exit =
            inv_follow_job(run->cli, path.data, &body, &job, &run->interrupted);
    inv_answer_release(&job);
    inv_buf_release(&path);
    inv_buf_release(&body);
    return exit;
}

/* An adapter of that name, from now or before. One that cannot be fitted (too
 * few pairs for it, no labels) is left out: the others may do. */
static int have_adapter(struct inv_upgrade_run *run, const char *method,
                        size_t *fitted, size_t *failed) {
    char name[INV_NAME_MAX + 1];
    bool there = false;
    inv_adapter_name(run->o->model, run->migration.gallery_model, method, name);
    int exit = read_adapter(run, name, &there);
    if (exit != INV_EXIT_OK)
        return exit;
    if (there && run->o->refit && strcmp(run->migration.adapter, name) != 0) {
        inv_answer_release(&run->adapters[--run->adapter_count]);
        exit = delete_adapter(run, name);
        there = false;
    }
    if (exit != INV_EXIT_OK || there)
        return exit;
    exit = fit_adapter(run, name, method);
    if (exit == INV_EXIT_FAILED) {
        ++*failed;
        return INV_EXIT_OK;
    }
    if (exit != INV_EXIT_OK || run->interrupted)
        return exit;
    ++*fitted;
    exit = read_adapter(run, name, &there);
    if (exit == INV_EXIT_OK && !there)
        exit = inv_cli_failed("the daemon has fitted the adapter %s and does "
                              "not have it",
                              name);
    return exit;
}

/* ---- choosing ---- */

static const inv_json *adapter_named(const struct inv_upgrade_run *run,
                                     const char *name) {
    for (size_t i = 0; i < run->adapter_count; i++)
        if (strcmp(inv_text_of(run->adapters[i].json, "name"), name) == 0)
            return run->adapters[i].json;
    return NULL;
}

/* The one that serves already, the one that was asked for, or the best. */
static int choose(struct inv_upgrade_run *run) {
    const inv_json *list[INV_UPGRADE_METHODS_MAX];
    const char *name = run->o->adapter;
    bool there = false;
    if (name == NULL && *run->migration.adapter != '\0' &&
        strcmp(run->migration.model, run->o->model) == 0)
        name = run->migration.adapter;
    if (name != NULL && adapter_named(run, name) == NULL &&
        run->adapter_count < INV_UPGRADE_METHODS_MAX) {
        int exit = read_adapter(run, name, &there);
        if (exit != INV_EXIT_OK)
            return exit;
    }
    for (size_t i = 0; i < run->adapter_count; i++)
        list[i] = run->adapters[i].json;
    run->chosen = name != NULL ? adapter_named(run, name)
                               : inv_upgrade_choose(list, run->adapter_count);
    if (run->chosen != NULL)
        return INV_EXIT_OK;
    if (name != NULL)
        return inv_cli_failed("there is no adapter \"%s\": `invar adapters "
                              "%s`",
                              name, run->o->collection);
    return inv_cli_failed("no adapter could be fitted");
}

static int show(struct inv_upgrade_run *run) {
    const inv_json *list[INV_UPGRADE_METHODS_MAX];
    struct inv_buf out = INV_BUF_INIT;
    const char *chosen = inv_text_of(run->chosen, "name");
    for (size_t i = 0; i < run->adapter_count; i++)
        list[i] = run->adapters[i].json;
    inv_buf_putc(&out, '\n');
    inv_upgrade_table(list, run->adapter_count, chosen, &out);
    if (out.failed) {
        inv_buf_release(&out);
        return inv_cli_failed("out of memory for a table");
    }
    fprintf(run->cli->json ? stderr : stdout, "%s\n", out.data);
    inv_buf_release(&out);
    inv_upgrade_say(run, INV_STEP_FIT, "chosen: %s (%s)", chosen,
                    inv_text_of(run->chosen, "verdict"));
    return INV_EXIT_OK;
}

int inv_step_fit(struct inv_upgrade_run *run) {
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    struct inv_err err;
    size_t count = 0;
    size_t fitted = 0;
    size_t failed = 0;
    bool relevance =
        run->queries.titles > 0 ||
        (run->queries.queries > 0 &&
         (run->o->queries.qrels != NULL || run->o->queries.folder != NULL));
    const char *text = run->o->methods != NULL ? run->o->methods
                                               : usual_methods(run, relevance);
    if (inv_fit_methods_parse(text, methods, &count, &err) != INV_OK)
        return inv_cli_error(&err);
    int exit = INV_EXIT_OK;
    for (size_t i = 0; i < count && exit == INV_EXIT_OK && !run->interrupted;
         i++)
        exit = have_adapter(run, methods[i].name, &fitted, &failed);
    if (exit != INV_EXIT_OK || run->interrupted)
        return exit;
    inv_upgrade_say(run, INV_STEP_FIT, "%zu fitted, %zu were there%s", fitted,
                    run->adapter_count - fitted,
                    fitted == run->adapter_count || run->o->refit
                        ? ""
                        : " (--refit fits them again)");
    exit = choose(run);
    return exit == INV_EXIT_OK ? show(run) : exit;
}

double inv_upgrade_break_even(const struct inv_upgrade_run *run) {
    const inv_json *value = inv_field_of(run->chosen, "break_even");
    return value == NULL ? 2 : inv_real_of(run->chosen, "break_even");
}
