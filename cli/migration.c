/*
 * migration.c: see migration.h. Knows the shape of GET migration and the body
 * of POST activate.
 */
#include "cli/migration.h"

#include "cli/answers.h"
#include "cli/follow.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

void inv_migration_read(const inv_json *answer, struct inv_migration *out) {
    const char *state = inv_text_of(answer, "state");
    *out = (struct inv_migration){
        .coverage = inv_real_of(answer, "coverage"),
        .break_even = inv_real_of(answer, "break_even"),
        .documents = inv_uint_of(answer, "documents"),
        .covered = inv_uint_of(answer, "covered"),
        .can_roll_back = inv_bool_of(answer, "can_roll_back"),
    };
    snprintf(out->state, sizeof out->state, "%s",
             *state == '\0' ? "NONE" : state);
    snprintf(out->model, sizeof out->model, "%s", inv_text_of(answer, "model"));
    snprintf(out->adapter, sizeof out->adapter, "%s",
             inv_text_of(answer, "adapter"));
    snprintf(out->query_model, sizeof out->query_model, "%s",
             inv_text_of(answer, "query_model"));
    snprintf(out->gallery_model, sizeof out->gallery_model, "%s",
             inv_text_of(answer, "gallery_model"));
}

int inv_migration_get(struct inv_cli *cli, const char *collection,
                      struct inv_migration *out) {
    struct inv_answer answer;
    int exit = inv_cli_call_collection(cli, "GET", collection, "/migration",
                                       NULL, &answer);
    if (exit == INV_EXIT_OK)
        inv_migration_read(answer.json, out);
    inv_answer_release(&answer);
    return exit;
}

/* ---- showing ---- */

static const char *meaning(const char *state) {
    static const char *const texts[][2] = {
        {"NONE", "one model, no upgrade"},
        {"SHADOW", "the old model answers while vectors come in"},
        {"BRIDGED", "the new model's queries, adapted to the old vectors"},
        {"CASCADE", "adapted queries; hits with a new vector are ranked by it"},
        {"CUTOVER", "the new model's own index; the old vectors are kept"},
        {"DONE", "the new model's own index; the old vectors are gone"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i][0], state) == 0)
            return texts[i][1];
    return "";
}

static const char *state_of(const inv_json *stand) {
    const char *state = inv_text_of(stand, "state");
    return *state == '\0' ? "NONE" : state;
}

static void put_step(struct inv_table *table, const inv_json *row) {
    const inv_json *to = inv_field_of(row, "to");
    char id[INV_NUMBER_MAX], when[INV_NUMBER_MAX], action[64];
    snprintf(action, sizeof action, "%.40s%s", inv_text_of(row, "action"),
             inv_bool_of(row, "forced") ? ", forced" : "");
    const char *const cells[] = {
        inv_text_count(id, inv_uint_of(row, "id")),
        inv_text_time(when, inv_uint_of(row, "at_ms")),
        action,
        state_of(inv_field_of(row, "from")),
        state_of(to),
        inv_text_of(to, "model"),
    };
    inv_table_row(table, cells);
}

/* "step 2: a: verdict ACTIVATE"; the adapter is named where the note does not.
 */
static void put_note(const inv_json *step, struct inv_buf *out) {
    const char *note = inv_text_of(step, "note");
    const char *adapter = inv_text_of(inv_field_of(step, "to"), "adapter");
    bool named = strstr(note, adapter) != NULL; /* "" is in every note */
    struct inv_buf text = INV_BUF_INIT;
    if (*note == '\0')
        return;
    inv_buf_printf(&text, "step %llu: %s%s%.400s",
                   (unsigned long long)inv_uint_of(step, "id"),
                   named ? "" : adapter, named ? "" : ": ", note);
    if (text.failed)
        out->failed = true;
    else
        inv_text_wrap(out, text.data, text.len, 0, 80);
    inv_buf_release(&text);
}

static void put_journal(const inv_json *migration, struct inv_buf *out) {
    static const char *const heading[] = {">step", "when (UTC)", "action",
                                          "from",  "to",         "model"};
    const inv_json *list;
    size_t count = inv_list_of(migration, "journal", &list);
    struct inv_table table;
    if (count == 0)
        return;
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    for (size_t i = 0; i < count; i++)
        put_step(&table, inv_json_at(list, i));
    inv_buf_putc(out, '\n');
    inv_table_write(&table, out);
    inv_table_release(&table);
    for (size_t i = 0; i < count; i++)
        put_note(inv_json_at(list, i), out);
}

static void put_line(struct inv_buf *out, const char *key, const char *value) {
    if (*value == '\0')
        return;
    inv_buf_printf(out, "%-14s  ", key);
    inv_text_clean(out, value, strlen(value), 200);
    inv_buf_putc(out, '\n');
}

void inv_migration_show(const inv_json *answer, struct inv_buf *out) {
    struct inv_migration m;
    char number[INV_NUMBER_MAX];
    char of[INV_NUMBER_MAX];
    char text[160];
    inv_migration_read(answer, &m);
    inv_buf_printf(out, "%-14s  %s: %s\n", "state", m.state, meaning(m.state));
    put_line(out, "new model", m.model);
    put_line(out, "adapter", m.adapter);
    if (inv_bool_of(answer, "degraded"))
        put_line(out, "", "degraded: it was composed of two");
    put_line(out, "queries mean", m.query_model);
    put_line(out, "index holds", m.gallery_model);
    if (*m.model != '\0') {
        snprintf(text, sizeof text, "%.1f %%: %s of %s documents",
                 m.coverage * 100, inv_text_count(number, m.covered),
                 inv_text_count(of, m.documents));
        put_line(out, "coverage", text);
    }
    if (*m.adapter != '\0' && m.break_even > 0 && m.break_even <= 1) {
        snprintf(text, sizeof text,
                 "%.0f %%: from there on the cascade is no worse than the old "
                 "model",
                 m.break_even * 100);
        put_line(out, "break-even", text);
    }
    if (inv_uint_of(answer, "alone") > 0)
        put_line(out, "new model only",
                 inv_text_count(number, inv_uint_of(answer, "alone")));
    put_line(out, "roll back",
             m.can_roll_back ? "possible: `invar rollback`" : "");
    put_journal(answer, out);
}

/* ---- activating ---- */

static void put_text(struct inv_buf *out, const char *key, const char *value) {
    inv_buf_printf(out, "%c\"%s\":", out->len == 0 ? '{' : ',', key);
    inv_json_put_string(out, value, strlen(value));
}

int inv_migration_activate(struct inv_cli *cli, const char *collection,
                           const char *model, const char *adapter,
                           const char *mode, bool force,
                           struct inv_answer *answer, bool *interrupted) {
    struct inv_buf body = INV_BUF_INIT;
    struct inv_buf path = INV_BUF_INIT;
    int exit;
    *interrupted = false;
    put_text(&body, "model", model);
    put_text(&body, "mode", mode);
    if (adapter != NULL && *adapter != '\0')
        put_text(&body, "adapter", adapter);
    inv_buf_puts(&body, force ? ",\"force\":true}" : "}");
    inv_buf_puts(&path, "/v1/collections/");
    inv_client_escape(&path, collection, strlen(collection));
    inv_buf_puts(&path, "/activate");
    *answer = (struct inv_answer)INV_ANSWER_INIT;
    if (path.failed || body.failed)
        exit = inv_cli_failed("out of memory for a request");
    else if (strcmp(mode, "cutover") == 0)
        exit = inv_follow_job(cli, path.data, &body, answer, interrupted);
    else
        exit = inv_cli_call(cli, "POST", path.data, &body, answer);
    inv_buf_release(&body);
    inv_buf_release(&path);
    return exit;
}
