/*
 * upgrade_show.c: reports of adapters as a table, which of them to use, and the
 * compatibility of models; see upgrade.h. Reads the reports of the daemon
 * (docs/upgrading.md says what the fields mean).
 */
#include "cli/upgrade.h"

#include "cli/text.h"

#include <stdio.h>
#include <string.h>

/* ---- reading a report ---- */

/* What was judged of the one method that an adapter's report is about. */
static const inv_json *method_of(const inv_json *adapter) {
    const inv_json *report = inv_field_of(adapter, "report");
    const inv_json *list;
    size_t count = inv_list_of(report, "methods", &list);
    return count > 0 ? inv_json_at(list, 0) : report;
}

static double held_out(const inv_json *adapter) {
    return inv_real_of(inv_field_of(method_of(adapter), "held_out"), "ndcg10");
}

static int rank_of(const inv_json *adapter) {
    const char *verdict = inv_text_of(adapter, "verdict");
    return strcmp(verdict, "ACTIVATE") == 0       ? 2
           : strcmp(verdict, "CASCADE_ONLY") == 0 ? 1
                                                  : 0;
}

/* As `invar fit` orders methods (encoders/adapters): simplest first. */
static double complexity(const inv_json *adapter) {
    static const char *const kinds[] = {"procrustes",  "path",  "ridge",
                                        "contrastive", "paper", "simplex"};
    const inv_json *method = method_of(adapter);
    const char *kind = inv_text_of(method, "kind");
    double knob = inv_real_of(method, "knob");
    size_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i], kind) != 0)
        i++;
    return i == 1 ? 1 + knob / 100 : (double)i;
}

static bool is_better(const inv_json *a, const inv_json *b) {
    int rank_a = rank_of(a);
    int rank_b = rank_of(b);
    return rank_a != rank_b ? rank_a > rank_b : held_out(a) > held_out(b);
}

const inv_json *inv_upgrade_choose(const inv_json *const *adapters,
                                   size_t count) {
    const inv_json *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (best == NULL || is_better(adapters[i], best))
            best = adapters[i];
    const inv_json *chosen = best;
    for (size_t i = 0; i < count; i++)
        if (rank_of(adapters[i]) == rank_of(best) &&
            held_out(adapters[i]) >= held_out(best) - INV_UPGRADE_NOISE &&
            complexity(adapters[i]) < complexity(chosen))
            chosen = adapters[i];
    return chosen;
}

/* ---- the table ---- */

/* ", m@2 0.6451"; nothing when not measured. */
static void put_own(struct inv_buf *out, const char *sign, const char *model,
                    const inv_json *quality) {
    if (quality == NULL)
        return;
    inv_buf_puts(out, sign);
    inv_text_clean(out, model, strlen(model), 80);
    inv_buf_printf(out, " %.4f", inv_real_of(quality, "ndcg10"));
}

/* A paragraph, as wide as a terminal usually is. */
static void put_lines(struct inv_buf *out, const char *text, size_t indent) {
    inv_text_wrap(out, text, strlen(text), indent, 80);
}

/* Documents that have both vectors, which the fit is made of. */
static uint64_t pairs_of(const inv_json *adapter) {
    uint64_t count = inv_uint_of(method_of(adapter), "vector_pairs");
    return count > 0 ? count
                     : inv_uint_of(inv_field_of(adapter, "report"), "pairs");
}

static void put_head(const inv_json *adapter, struct inv_buf *out) {
    const inv_json *report = inv_field_of(adapter, "report");
    char documents[INV_NUMBER_MAX], queries[INV_NUMBER_MAX];
    char pairs[INV_NUMBER_MAX];
    uint64_t all = inv_uint_of(report, "documents");
    uint64_t covered = inv_uint_of(report, "covered");
    if (all == 0)
        return;
    inv_buf_printf(out,
                   "%s documents, %s pairs of vectors, %s %s queries\n"
                   "nDCG@10 of a model on its own vectors",
                   inv_text_count(documents, all),
                   inv_text_count(pairs, pairs_of(adapter)),
                   inv_text_count(queries, inv_uint_of(report, "queries")),
                   inv_bool_of(report, "provisional") ? "substitute"
                                                      : "judged");
    put_own(out, ": ", inv_text_of(adapter, "to"),
            inv_field_of(report, "old_old"));
    if (covered == all)
        put_own(out, ", ", inv_text_of(adapter, "from"),
                inv_field_of(report, "new_new"));
    inv_buf_putc(out, '\n');
    if (covered < all) {
        inv_buf_printf(
            out, "over the %s with both vectors, %s queries",
            inv_text_count(documents, covered),
            inv_text_count(queries, inv_uint_of(report, "covered_queries")));
        put_own(out, ": ", inv_text_of(adapter, "to"),
                inv_field_of(report, "old_covered"));
        put_own(out, ", ", inv_text_of(adapter, "from"),
                inv_field_of(report, "new_new"));
        inv_buf_putc(out, '\n');
    }
    if (inv_bool_of(report, "provisional"))
        inv_buf_puts(out, "provisional: there are no judged queries; documents "
                          "ask, their\nneighbours in the new space are the "
                          "answers\n");
}

static void put_row(struct inv_table *table, const inv_json *adapter,
                    bool chosen) {
    const inv_json *method = method_of(adapter);
    const inv_json *gate = inv_field_of(method, "gate");
    const inv_json *cascade = inv_field_of(method, "cascade");
    char name[INV_NAME_MAX + 8], in[INV_NUMBER_MAX], out[INV_NUMBER_MAX];
    char gain[48], best[INV_NUMBER_MAX];
    snprintf(name, sizeof name, "%s %s", chosen ? "*" : " ",
             *inv_text_of(method, "method") != '\0'
                 ? inv_text_of(method, "method")
                 : inv_text_of(adapter, "name"));
    snprintf(in, sizeof in, "%.4f",
             inv_real_of(inv_field_of(method, "in_fit"), "ndcg10"));
    snprintf(out, sizeof out, "%.4f", held_out(adapter));
    snprintf(gain, sizeof gain, "%+.3f (%+.3f..%+.3f)",
             inv_real_of(gate, "gain"), inv_real_of(gate, "gain_low"),
             inv_real_of(gate, "gain_high"));
    snprintf(best, sizeof best, "%.4f", inv_real_of(cascade, "100"));
    if (cascade == NULL)
        snprintf(best, sizeof best, "-");
    const char *const row[] = {name, in,   out,
                               gain, best, inv_text_of(adapter, "verdict")};
    inv_table_row(table, row);
}

/* "path:0.1: ACTIVATE: reason; about 900 judged queries could tell more" */
static void put_words(const inv_json *adapter, struct inv_buf *out) {
    const inv_json *method = method_of(adapter);
    const inv_json *gate = inv_field_of(method, "gate");
    const char *reason = inv_text_of(gate, "reason");
    const inv_json *report = inv_field_of(adapter, "report");
    uint64_t needed = inv_uint_of(gate, "queries_needed");
    char number[INV_NUMBER_MAX];
    struct inv_buf text = INV_BUF_INIT;
    const char *name = inv_text_of(method, "method");
    if (*name == '\0')
        name = inv_text_of(adapter, "name");
    inv_text_clean(&text, name, strlen(name), 80);
    inv_buf_printf(&text, ": %s", inv_text_of(adapter, "verdict"));
    if (*reason != '\0') {
        inv_buf_puts(&text, ": ");
        inv_text_clean(&text, reason, strlen(reason), 400);
    }
    if (needed > inv_uint_of(report, "queries") && rank_of(adapter) < 2)
        inv_buf_printf(&text, "; about %s judged queries could tell more",
                       inv_text_count(number, needed));
    if (text.failed)
        out->failed = true;
    else
        put_lines(out, text.data, 0);
    inv_buf_release(&text);
}

/* The verdict on the chosen one, and on those whose verdict is another: five
 * times the same sentence would hide the one that counts. */
static bool has_its_own_words(const inv_json *const *adapters, size_t count,
                              size_t i, const char *chosen) {
    const inv_json *star = NULL;
    for (size_t k = 0; k < count && chosen != NULL; k++)
        if (strcmp(inv_text_of(adapters[k], "name"), chosen) == 0)
            star = adapters[k];
    return star == NULL || adapters[i] == star ||
           strcmp(inv_text_of(adapters[i], "verdict"),
                  inv_text_of(star, "verdict")) != 0;
}

void inv_upgrade_table(const inv_json *const *adapters, size_t count,
                       const char *chosen, struct inv_buf *out) {
    static const char *const heading[] = {"  method",  ">in fit",
                                          ">held out", "gain (95 %)",
                                          ">cascade",  "verdict"};
    struct inv_table table;
    if (count == 0)
        return;
    put_head(adapters[0], out);
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    for (size_t i = 0; i < count; i++) {
        const char *name = inv_text_of(adapters[i], "name");
        put_row(&table, adapters[i],
                chosen != NULL && strcmp(name, chosen) == 0);
    }
    inv_buf_putc(out, '\n');
    inv_table_write(&table, out);
    inv_table_release(&table);
    inv_buf_putc(out, '\n');
    put_lines(out,
              "nDCG@10 of new queries on old vectors. held out: by fits that "
              "did not see the answers. gain: of held out over the old model. "
              "cascade: the first 100 of the documents that have both vectors, "
              "found in fit and ranked by the new model.",
              0);
    inv_buf_putc(out, '\n');
    for (size_t i = 0; i < count; i++)
        if (has_its_own_words(adapters, count, i, chosen))
            put_words(adapters[i], out);
}

void inv_upgrade_list(const inv_json *answer, struct inv_buf *out) {
    static const char *const heading[] = {
        "adapter", "from", "to", "kind", "verdict", ">break-even", "in use"};
    const inv_json *list;
    size_t count = inv_list_of(answer, "adapters", &list);
    struct inv_table table;
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    for (size_t i = 0; i < count; i++) {
        const inv_json *a = inv_json_at(list, i);
        double even = inv_real_of(a, "break_even");
        char cell[INV_NUMBER_MAX] = "-";
        char verdict[48];
        if (inv_field_of(a, "break_even") != NULL && even <= 1)
            snprintf(cell, sizeof cell, "%.0f %%", even * 100);
        snprintf(verdict, sizeof verdict, "%.24s%s", inv_text_of(a, "verdict"),
                 inv_bool_of(a, "degraded") ? ", degraded" : "");
        const char *const row[] = {
            inv_text_of(a, "name"),
            inv_text_of(a, "from"),
            inv_text_of(a, "to"),
            inv_text_of(a, "kind"),
            verdict,
            cell,
            inv_bool_of(a, "in_use") ? "yes" : "",
        };
        inv_table_row(&table, row);
    }
    inv_table_write(&table, out);
    inv_table_release(&table);
}

/* ---- compatibility ---- */

static void put_figure(struct inv_buf *out, const inv_json *answer,
                       const char *key, const char *text) {
    if (inv_field_of(answer, key) != NULL)
        inv_buf_printf(out, "%-22s  %.4f\n", text, inv_real_of(answer, key));
}

void inv_upgrade_matrix(const inv_json *answer, struct inv_buf *out) {
    const inv_json *models;
    const inv_json *rows;
    size_t count = inv_list_of(answer, "models", &models);
    const char *metric = inv_text_of(answer, "metric");
    struct inv_table table;
    char cells[INV_TABLE_COLUMNS][170];
    const char *row[INV_TABLE_COLUMNS];
    if (count + 1 > INV_TABLE_COLUMNS)
        count = INV_TABLE_COLUMNS - 1;
    size_t filled = inv_list_of(answer, "matrix", &rows);
    inv_table_init(&table, count + 1);
    for (size_t i = 0; i <= count; i++) { /* row 0 is the heading */
        const char *name =
            i == 0 ? "queries \\ index"
                   : inv_json_string(inv_json_at(models, i - 1), NULL);
        snprintf(cells[0], sizeof cells[0], "%s", name);
        for (size_t j = 1; j <= count; j++) {
            const inv_json *values =
                i == 0 || i > filled ? NULL : inv_json_at(rows, i - 1);
            const inv_json *value =
                values == NULL ? NULL : inv_json_at(values, j - 1);
            if (i == 0)
                snprintf(cells[j], sizeof cells[j], ">%s",
                         inv_json_string(inv_json_at(models, j - 1), NULL));
            else if (value == NULL || inv_json_kind(value) == INV_JSON_NULL)
                snprintf(cells[j], sizeof cells[j], "-");
            else
                snprintf(cells[j], sizeof cells[j], "%.4f",
                         inv_json_real(value));
        }
        for (size_t j = 0; j <= count; j++)
            row[j] = cells[j];
        inv_table_row(&table, row);
    }
    inv_table_write(&table, out);
    inv_table_release(&table);
    inv_buf_printf(out, "%s, %llu queries, adapter %s\n",
                   *metric == '\0' ? "ndcg@10" : metric,
                   (unsigned long long)inv_uint_of(answer, "queries"),
                   inv_text_of(answer, "adapter"));
    put_figure(out, answer, "ac", "average compatibility");
    put_figure(out, answer, "am", "average metric");
    put_figure(out, answer, "update_gain", "update gain");
}
