/*
 * fit_show.c: what `invar fit` found, as a table for people; see fit.h. Main
 * thread.
 */
#include "cli/fit.h"

#include "cli/text.h"

/* ---- head ---- */

static void head(const struct inv_fit_report *r, struct inv_buf *out) {
    inv_buf_printf(out,
                   "%zu documents, %zu pairs (+%zu), %zu titles; %zu %s "
                   "queries\nnew %zu -> old %zu dimensions%s\n",
                   r->documents, r->pairs, r->extra_pairs, r->titles,
                   r->queries, r->provisional ? "substitute" : "judged",
                   r->new_dim, r->old_dim,
                   r->multi ? " (tokens, exact MaxSim)" : "");
    inv_buf_printf(out,
                   "old model on its own vectors: nDCG@10 %.4f, new model on "
                   "its own: %.4f\n",
                   r->old_old.mean, r->new_new.mean);
    if (r->none.ndcg != NULL)
        inv_buf_printf(out, "new queries on old vectors, no adapter: %.4f\n",
                       r->none.mean);
    if (r->unseen_queries > 0)
        inv_buf_printf(out, "the %zu unseen queries: old %.4f, new %.4f\n",
                       r->unseen_queries, r->old_old.unseen, r->new_new.unseen);
    inv_buf_printf(out,
                   "held out: up to %zu documents that answer the judged "
                   "queries took no part in\nthe fit, in %zu part%s\n",
                   r->left_out, r->folds, r->folds == 1 ? "" : "s");
    if (r->covered < r->documents)
        inv_buf_printf(out,
                       "the new model is judged over %zu of %zu documents and "
                       "%zu of %zu queries;\nthe old one has %.4f there\n",
                       r->covered, r->documents, r->covered_queries, r->queries,
                       r->old_covered.mean);
    if (r->provisional)
        inv_buf_puts(
            out, "provisional: no judged queries were given; documents "
                 "ask, their\nneighbours in the new space are the answers\n");
}

/* ---- methods ---- */

static void row(const struct inv_fit_report *r, const struct inv_fit_result *m,
                bool chosen, struct inv_buf *out) {
    inv_buf_printf(out, "%c %-16s %6.4f ", chosen ? '*' : ' ', m->method.name,
                   m->in_fit.mean);
    if (r->unseen_queries > 0)
        inv_buf_printf(out, "%6.4f ", m->in_fit.unseen);
    inv_buf_printf(out, "%9.4f  %+.3f %+.3f..%+.3f  ", m->held_out.mean,
                   m->gate.gain.mean, m->gate.gain.low, m->gate.gain.high);
    for (size_t i = 0; i < INV_FIT_CASCADES; i++)
        inv_buf_printf(out, i == 0 ? "%.3f" : " %.3f", m->cascade[i]);
    inv_buf_putc(out, '\n');
}

static void words(const struct inv_fit_report *report,
                  const struct inv_fit_result *m, struct inv_buf *out) {
    struct inv_buf text = INV_BUF_INIT;
    inv_buf_printf(&text, "%s: %s: %s", m->method.name,
                   inv_verdict_name(m->gate.verdict), m->gate.reason);
    if (m->gate.verdict == INV_VERDICT_CASCADE_ONLY &&
        m->gate.queries_needed > report->queries)
        inv_buf_printf(&text, "; about %zu judged queries could tell more",
                       m->gate.queries_needed);
    if (text.failed)
        out->failed = true;
    else
        inv_text_wrap(out, text.data, text.len, 0, 80);
    inv_buf_release(&text);
}

void inv_fit_table(const struct inv_fit_report *report, struct inv_buf *out) {
    head(report, out);
    inv_buf_printf(out,
                   "\n  %-16s in fit %sheld out  gain  (95 %%)          "
                   " cascade 50/100/200\n",
                   "method", report->unseen_queries > 0 ? "unseen " : "");
    for (size_t i = 0; i < report->count; i++)
        row(report, &report->results[i], i == report->chosen, out);
    inv_buf_puts(out, "\nnDCG@10 of new queries on old vectors; gain: held "
                      "out, against the old model.\n"
                      "cascade: the first N re-embedded and ranked by the new "
                      "model.\n\n");
    for (size_t i = 0; i < report->count; i++)
        words(report, &report->results[i], out);
    inv_buf_printf(out,
                   "\nchosen: %s, the simplest that is within noise of "
                   "the best\n",
                   report->results[report->chosen].method.name);
}
