/*
 * fit_show.c: what `invar fit` found, as a table for people and as JSON for
 * programs; see fit.h. Main thread.
 */
#include "cli/fit.h"

#include <math.h>
#include <string.h>

/* ---- table ---- */

static void table_head(const struct inv_fit_data *d,
                       const struct inv_fit_report *r, struct inv_buf *out) {
    inv_buf_printf(out,
                   "%zu documents, %zu pairs (+%zu), %zu titles; %zu %s "
                   "queries, new %zu -> old %zu dimensions\n",
                   d->old_documents.rows, d->pair_count, d->extra_new.rows,
                   d->titles.rows, d->judged.queries,
                   d->proxy ? "substitute" : "judged", d->new_documents.dim,
                   d->old_documents.dim);
    inv_buf_printf(out,
                   "old model on its own vectors: nDCG@10 %.4f, new model on "
                   "its own: %.4f\n",
                   r->old_old.mean, r->new_new.mean);
    if (d->unseen != NULL)
        inv_buf_printf(out, "the %zu unseen queries: old %.4f, new %.4f\n",
                       d->unseen_count, r->old_old.unseen, r->new_new.unseen);
    inv_buf_printf(out,
                   "held out: up to %zu documents that answer the judged "
                   "queries took no part in the fit, in %zu part%s\n",
                   r->left_out, r->folds, r->folds == 1 ? "" : "s");
    if (d->proxy)
        inv_buf_puts(
            out, "provisional: no judged queries were given; documents "
                 "ask, their neighbours in the new space are the answers\n");
}

static void table_row(const struct inv_fit_data *d,
                      const struct inv_fit_result *m, bool chosen,
                      struct inv_buf *out) {
    inv_buf_printf(out, "%c %-18s %6.4f ", chosen ? '*' : ' ', m->method.name,
                   m->in_fit.mean);
    if (d->unseen != NULL)
        inv_buf_printf(out, "%6.4f ", m->in_fit.unseen);
    inv_buf_printf(out, "%9.4f  %+.3f %+.3f..%+.3f  ", m->held_out.mean,
                   m->gate.gain.mean, m->gate.gain.low, m->gate.gain.high);
    for (size_t i = 0; i < INV_FIT_CASCADES; i++)
        inv_buf_printf(out, "%.3f ", m->cascade[i]);
    inv_buf_printf(out, " %5.2f %7.2f\n", m->map.r, m->seconds);
}

void inv_fit_table(const struct inv_fit_data *data,
                   const struct inv_fit_report *report, struct inv_buf *out) {
    table_head(data, report, out);
    inv_buf_printf(out,
                   "\n  %-18s in fit %sheld out  gain  (95 %%)          "
                   " cascade 50/100/200     r  seconds\n",
                   "method", data->unseen != NULL ? "unseen " : "");
    for (size_t i = 0; i < report->count; i++)
        table_row(data, &report->results[i], i == report->chosen, out);
    inv_buf_puts(out, "\nnDCG@10 of new queries on old vectors; gain: held "
                      "out, against the old model.\n"
                      "cascade: the first N re-embedded and ranked by the new "
                      "model.\n\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct inv_fit_result *m = &report->results[i];
        inv_buf_printf(out, "%s: %s: %s", m->method.name,
                       inv_verdict_name(m->gate.verdict), m->gate.reason);
        if (m->gate.verdict == INV_VERDICT_CASCADE_ONLY &&
            m->gate.queries_needed > data->judged.queries)
            inv_buf_printf(out, "; about %zu judged queries could tell more",
                           m->gate.queries_needed);
        inv_buf_puts(out, "\n");
    }
    inv_buf_printf(out,
                   "\nchosen: %s, the simplest that is within noise of "
                   "the best\n",
                   report->results[report->chosen].method.name);
}

/* ---- JSON ---- */

static void put_real(struct inv_buf *out, const char *key, double value) {
    if (isfinite(value))
        inv_buf_printf(out, "\"%s\":%.6g", key, value);
    else
        inv_buf_printf(out, "\"%s\":null", key);
}

static void put_quality(const struct inv_fit_data *d, const char *key,
                        const struct inv_fit_quality *q, struct inv_buf *out) {
    inv_buf_printf(out, "\"%s\":{", key);
    put_real(out, "ndcg10", q->mean);
    inv_buf_putc(out, ',');
    put_real(out, "recall10", q->recall);
    if (d->unseen != NULL) {
        inv_buf_putc(out, ',');
        put_real(out, "unseen_ndcg10", q->unseen);
    }
    inv_buf_putc(out, '}');
}

static void put_cascade(const struct inv_fit_result *m, struct inv_buf *out) {
    inv_buf_puts(out, "\"cascade\":{");
    for (size_t i = 0; i < INV_FIT_CASCADES; i++)
        inv_buf_printf(out, "%s\"%zu\":%.6g", i == 0 ? "" : ",",
                       inv_fit_cascade_depths[i], m->cascade[i]);
    inv_buf_puts(out, "},\"held_out_coverage\":[");
    for (size_t i = 0; i < INV_FIT_COVERAGES; i++)
        inv_buf_printf(out, "%s[%.6g,%.6g]", i == 0 ? "" : ",",
                       inv_fit_coverages[i], m->coverage[i]);
    inv_buf_puts(out, "]");
}

static void put_gate(const struct inv_gate *gate, struct inv_buf *out) {
    inv_buf_printf(out, "\"gate\":{\"verdict\":\"%s\",\"reason\":",
                   inv_verdict_name(gate->verdict));
    inv_json_put_string(out, gate->reason, strlen(gate->reason));
    inv_buf_putc(out, ',');
    put_real(out, "gain", gate->gain.mean);
    inv_buf_putc(out, ',');
    put_real(out, "gain_low", gate->gain.low);
    inv_buf_putc(out, ',');
    put_real(out, "gain_high", gate->gain.high);
    inv_buf_printf(out, ",\"queries_needed\":%zu", gate->queries_needed);
    inv_buf_putc(out, ',');
    put_real(out, "break_even",
             gate->break_even <= 1 ? gate->break_even : (double)NAN);
    inv_buf_putc(out, '}');
}

void inv_fit_result_json(const struct inv_fit_data *data,
                         const struct inv_fit_result *m, struct inv_buf *out) {
    const struct {
        const char *key;
        double value;
    } reals[] = {
        {"r", m->map.r},
        {"knob", m->map.knob},
        {"condition", m->map.condition},
        {"query_cosine", m->cosine},
        {"seconds", m->seconds},
        {"average_compatibility", m->ac},
        {"average_metric", m->am},
        {"update_gain", m->update_gain},
        {"negative_flips", m->flips},
    };
    inv_buf_puts(out, "{\"method\":");
    inv_json_put_string(out, m->method.name, strlen(m->method.name));
    inv_buf_printf(out, ",\"kind\":\"%s\",\"direction\":\"%s\",",
                   inv_adapter_kind_name(m->method.kind),
                   inv_adapter_direction_name(INV_ADAPTER_BACKWARD));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        put_real(out, reals[i].key, reals[i].value);
        inv_buf_putc(out, ',');
    }
    if (m->choice.steps > 0)
        inv_buf_printf(out,
                       "\"temperature\":%.6g,\"steps\":%zu,"
                       "\"pairs_that_chose\":%zu,",
                       m->choice.temperature, m->choice.steps,
                       m->choice.judged);
    put_quality(data, "in_fit", &m->in_fit, out);
    inv_buf_putc(out, ',');
    put_quality(data, "held_out", &m->held_out, out);
    inv_buf_putc(out, ',');
    put_cascade(m, out);
    inv_buf_putc(out, ',');
    put_gate(&m->gate, out);
    inv_buf_putc(out, '}');
}

void inv_fit_json(const struct inv_fit_data *data,
                  const struct inv_fit_report *report, struct inv_buf *out) {
    inv_buf_printf(
        out,
        "{\"documents\":%zu,\"pairs\":%zu,\"extra_pairs\":%zu,"
        "\"titles\":%zu,\"queries\":%zu,\"unseen_queries\":%zu,"
        "\"provisional\":%s,\"folds\":%zu,\"left_out\":%zu,",
        data->old_documents.rows, data->pair_count, data->extra_new.rows,
        data->titles.rows, data->judged.queries, data->unseen_count,
        data->proxy ? "true" : "false", report->folds, report->left_out);
    put_quality(data, "old_old", &report->old_old, out);
    inv_buf_putc(out, ',');
    put_quality(data, "new_new", &report->new_new, out);
    inv_buf_puts(out, ",\"methods\":[");
    for (size_t i = 0; i < report->count; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        inv_fit_result_json(data, &report->results[i], out);
    }
    inv_buf_puts(out, "],\"chosen\":");
    const char *chosen = report->results[report->chosen].method.name;
    inv_json_put_string(out, chosen, strlen(chosen));
    inv_buf_puts(out, "}\n");
}
