/*
 * follow.c: see follow.h. Asks four times a second, less often as it lasts.
 */
#include "cli/follow.h"

#include "cli/answers.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

static bool has_ended(const char *state) {
    return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* An id may be a number or a text; "" when there is none. */
static void job_id(const inv_json *job, char *out, size_t cap) {
    const inv_json *id = inv_field_of(job, "id");
    if (id != NULL && inv_json_kind(id) == INV_JSON_INT)
        snprintf(out, cap, "%lld", (long long)inv_json_int(id));
    else
        snprintf(out, cap, "%s", inv_text_of(job, "id"));
}

static int print_end(const struct inv_cli *cli, const struct inv_answer *job) {
    const char *state = inv_text_of(job->json, "state");
    char id[64];
    job_id(job->json, id, sizeof id);
    bool good = !has_ended(state) || strcmp(state, "succeeded") == 0;
    if (cli->json) {
        int exit = inv_cli_print(&job->body);
        return good ? exit : INV_EXIT_FAILED;
    }
    if (!good)
        return inv_cli_failed("job %s %s%s%s", id, state,
                              *inv_text_of(job->json, "error") == '\0' ? ""
                                                                       : ": ",
                              inv_text_of(job->json, "error"));
    printf("job %s %s\n", id, state);
    const inv_json *result = inv_field_of(job->json, "result");
    struct inv_buf out = INV_BUF_INIT;
    if (result != NULL && inv_json_kind(result) == INV_JSON_OBJECT)
        inv_show_object(result, 2, &out);
    int exit = out.len > 0 ? inv_cli_print(&out) : INV_EXIT_OK;
    inv_buf_release(&out);
    return exit;
}

/* A stage with its own scale begins a new bar. */
static void paint(struct inv_progress *progress, char *stage, size_t cap,
                  const inv_json *job) {
    const char *now = inv_text_of(job, "stage");
    uint64_t total = inv_uint_of(job, "total");
    uint64_t done = inv_uint_of(job, "done");
    if (strcmp(now, stage) != 0 || progress->total != total) {
        inv_progress_end(progress);
        snprintf(stage, cap, "%s", now);
        inv_progress_start(progress, *stage == '\0' ? "waiting" : stage, "done",
                           total, done, false);
    }
    inv_progress_update(progress, done,
                        done > progress->first ? done - progress->first : 0);
}

/* Asks until the job has ended; *answer is its last state. */
static int poll(struct inv_cli *cli, const char *path,
                struct inv_answer *answer, bool *interrupted) {
    struct inv_progress progress;
    char stage[64] = "";
    unsigned wait_ms = 50;
    int exit = INV_EXIT_OK;
    inv_progress_start(&progress, "waiting", "done", 0, 0, false);
    bool mine = inv_interrupt_block();
    while (exit == INV_EXIT_OK &&
           !has_ended(inv_text_of(answer->json, "state"))) {
        paint(&progress, stage, sizeof stage, answer->json);
        *interrupted = inv_interrupt_wait(wait_ms);
        if (*interrupted)
            break;
        wait_ms = wait_ms < 500 ? wait_ms * 3 / 2 : 500;
        inv_answer_release(answer);
        exit = inv_cli_call(cli, "GET", path, NULL, answer);
    }
    if (mine)
        inv_interrupt_unblock();
    inv_progress_end(&progress);
    return exit;
}

static void job_path(const struct inv_answer *job, struct inv_buf *path) {
    char id[64];
    job_id(job->json, id, sizeof id);
    inv_buf_puts(path, "/v1/jobs/");
    inv_client_escape(path, id, strlen(id));
}

/* Asks it to stop; one that has just ended refuses, which is as good. */
static void cancel(struct inv_cli *cli, const char *path) {
    const struct inv_call call = {.method = "DELETE", .path = path};
    struct inv_answer answer;
    (void)inv_cli_try(cli, &call, &answer);
    inv_answer_release(&answer);
}

int inv_follow_job(struct inv_cli *cli, const char *path,
                   const struct inv_buf *body, struct inv_answer *answer,
                   bool *interrupted) {
    struct inv_buf job = INV_BUF_INIT;
    *interrupted = false;
    int exit = inv_cli_call(cli, "POST", path, body, answer);
    if (exit != INV_EXIT_OK)
        return exit;
    job_path(answer, &job);
    exit = job.failed ? inv_cli_failed("out of memory for a path")
                      : poll(cli, job.data, answer, interrupted);
    const char *state = inv_text_of(answer->json, "state");
    if (exit == INV_EXIT_OK && *interrupted)
        cancel(cli, job.data);
    else if (exit == INV_EXIT_OK && strcmp(state, "succeeded") != 0)
        exit =
            inv_cli_failed("%s job %s: %s", inv_text_of(answer->json, "kind"),
                           state, inv_text_of(answer->json, "error"));
    inv_buf_release(&job);
    return exit;
}

int inv_follow_start(struct inv_cli *cli, const char *path,
                     const struct inv_buf *body, bool wait) {
    struct inv_answer answer = INV_ANSWER_INIT;
    struct inv_buf job = INV_BUF_INIT;
    bool interrupted = false;
    char id[64];
    int exit = inv_cli_call(cli, "POST", path, body, &answer);
    if (exit != INV_EXIT_OK)
        return exit;
    job_id(answer.json, id, sizeof id);
    job_path(&answer, &job);
    if (job.failed)
        exit = inv_cli_failed("out of memory for a path");
    else if (wait)
        exit = poll(cli, job.data, &answer, &interrupted);
    if (exit == INV_EXIT_OK && interrupted)
        exit = inv_cli_failed("no longer followed; the job goes on: `invar "
                              "jobs show %s`, `invar jobs cancel %s`",
                              id, id);
    else if (exit == INV_EXIT_OK)
        exit = print_end(cli, &answer);
    inv_buf_release(&job);
    inv_answer_release(&answer);
    return exit;
}
