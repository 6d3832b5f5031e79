/*
 * json_report.c: see report.h. Keys are only added, never renamed: programs
 * and stored reports rely on them. Any thread.
 */
#include "server/json/json.h"
#include "server/json/report.h"

#include <math.h>
#include <string.h>

static void put_real(struct inv_buf *out, const char *key, double value) {
    if (isfinite(value))
        inv_buf_printf(out, "\"%s\":%.6g", key, value);
    else
        inv_buf_printf(out, "\"%s\":null", key);
}

static void put_size(struct inv_buf *out, const char *key, size_t value) {
    inv_buf_printf(out, "\"%s\":%zu,", key, value);
}

static void put_quality(const struct inv_fit_report *r, const char *key,
                        const struct inv_fit_quality *q, struct inv_buf *out) {
    if (q->ndcg == NULL) {
        inv_buf_printf(out, "\"%s\":null", key);
        return;
    }
    inv_buf_printf(out, "\"%s\":{", key);
    put_real(out, "ndcg10", q->mean);
    inv_buf_putc(out, ',');
    put_real(out, "recall10", q->recall);
    if (r->unseen_queries > 0) {
        inv_buf_putc(out, ',');
        put_real(out, "unseen_ndcg10", q->unseen);
    }
    inv_buf_putc(out, '}');
}

/* Nothing was re-embedded that a query asks for: null. */
static void put_cascade(const struct inv_fit_report *r,
                        const struct inv_fit_result *m, struct inv_buf *out) {
    if (r->new_new.ndcg == NULL) {
        inv_buf_puts(out, "\"cascade\":null,\"held_out_coverage\":null");
        return;
    }
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
    inv_buf_printf(out, ",\"queries_needed\":%zu,", gate->queries_needed);
    put_real(out, "worst_slice", gate->worst_slice);
    inv_buf_putc(out, ',');
    put_real(out, "break_even",
             gate->break_even <= 1 ? gate->break_even : (double)NAN);
    inv_buf_putc(out, '}');
}

/* [[score of the new space, score of the bridge], ...] */
static void put_scores(const struct inv_score_map *map, struct inv_buf *out) {
    inv_buf_puts(out, "\"score_map\":[");
    for (size_t i = 0; i < map->count; i++) {
        inv_buf_puts(out, i == 0 ? "[" : ",[");
        inv_json_put_double(out, map->from[i]);
        inv_buf_putc(out, ',');
        inv_json_put_double(out, map->to[i]);
        inv_buf_putc(out, ']');
    }
    inv_buf_putc(out, ']');
}

static void put_reals(const struct inv_fit_result *m, struct inv_buf *out) {
    const struct {
        const char *key;
        double value;
    } reals[] = {
        {"r", m->r},
        {"knob", m->knob},
        {"condition", m->condition},
        {"query_cosine", m->cosine},
        {"seconds", m->seconds},
        {"average_compatibility", m->ac},
        {"average_metric", m->am},
        {"update_gain", m->update_gain},
        {"negative_flips", m->flips},
        {"forward_r", m->forward_r},
        {"fit_mean", m->fit_mean},
        {"fit_deviation", m->fit_deviation},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        put_real(out, reals[i].key, reals[i].value);
        inv_buf_putc(out, ',');
    }
    put_size(out, "fit_count", m->fit_count);
    put_size(out, "vector_pairs", m->pairs);
    put_size(out, "relevance_pairs", m->relevance_pairs);
}

void inv_fit_result_json(const struct inv_fit_report *r,
                         const struct inv_fit_result *m, struct inv_buf *out) {
    inv_buf_puts(out, "{\"method\":");
    inv_json_put_string(out, m->method.name, strlen(m->method.name));
    inv_buf_printf(out, ",\"kind\":\"%s\",\"direction\":\"%s\",",
                   inv_adapter_kind_name(m->method.kind),
                   inv_adapter_direction_name(INV_ADAPTER_BACKWARD));
    put_reals(m, out);
    if (m->choice.steps > 0)
        inv_buf_printf(out,
                       "\"temperature\":%.6g,\"steps\":%zu,"
                       "\"pairs_that_chose\":%zu,",
                       m->choice.temperature, m->choice.steps,
                       m->choice.judged);
    put_quality(r, "in_fit", &m->in_fit, out);
    inv_buf_putc(out, ',');
    put_quality(r, "held_out", &m->held_out, out);
    inv_buf_putc(out, ',');
    put_quality(r, "held_out_covered", &m->held_out_covered, out);
    inv_buf_putc(out, ',');
    put_cascade(r, m, out);
    inv_buf_putc(out, ',');
    put_scores(&m->scores, out);
    inv_buf_putc(out, ',');
    put_gate(&m->gate, out);
    inv_buf_putc(out, '}');
}

void inv_fit_report_json(const struct inv_fit_report *r, struct inv_buf *out) {
    inv_buf_putc(out, '{');
    put_size(out, "documents", r->documents);
    put_size(out, "covered", r->covered);
    put_size(out, "pairs", r->pairs);
    put_size(out, "extra_pairs", r->extra_pairs);
    put_size(out, "titles", r->titles);
    put_size(out, "queries", r->queries);
    put_size(out, "covered_queries", r->covered_queries);
    put_size(out, "unseen_queries", r->unseen_queries);
    inv_buf_printf(out, "\"multi\":%s,\"provisional\":%s,",
                   r->multi ? "true" : "false",
                   r->provisional ? "true" : "false");
    put_size(out, "folds", r->folds);
    put_size(out, "left_out", r->left_out);
    put_quality(r, "old_old", &r->old_old, out);
    inv_buf_putc(out, ',');
    put_quality(r, "new_new", &r->new_new, out);
    inv_buf_putc(out, ',');
    put_quality(r, "old_covered", &r->old_covered, out);
    inv_buf_putc(out, ',');
    put_quality(r, "none", &r->none, out);
    inv_buf_puts(out, ",\"methods\":[");
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            inv_buf_putc(out, ',');
        inv_fit_result_json(r, &r->results[i], out);
    }
    inv_buf_puts(out, "],\"chosen\":");
    const char *chosen = r->results[r->chosen].method.name;
    inv_json_put_string(out, chosen, strlen(chosen));
    inv_buf_putc(out, '}');
}
