/*
 * bench_gate.c: can the gate be believed? Its verdict for every method on real
 * upgrades, on downgrades and on a rotated copy of the same model; how often a
 * verdict from half of the judged queries agrees with what the other half says
 * (20 splits); and how many queries it says it needs against how many a
 * simulation needs. "later" documents: the fit sees no document that answers a
 * judged query, neither as pair nor as title. "known": it sees their vector
 * pairs, as it does where the gallery was re-embedded for the fit, but never
 * their titles. In one part where the answers are at most a fifth of the
 * gallery, else in five.
 *
 * usage: bench_gate [power]   power: only what the last table needs
 */
#include "base/kernels.h"
#include "base/rng.h"
#include "bench/upgrade.h"
#include "encoders/adapters/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 200
#define COVERAGES 6
#define DRAWS 3
#define SPLITS 20
#define SIMULATED 200 /* samples for each number of queries */
#define NEEDED_MAX 1500

static const double coverages[COVERAGES] = {0, .1, .25, .5, .75, 1};

/* What each judged query gave. */
struct measured {
    size_t queries;
    double *old_old, *new_new, *cross;
    double *coverage[COVERAGES]; /* of the cascade; the last one: all */
};

static struct measured measured_new(size_t queries) {
    struct measured m = {.queries = queries};
    m.old_old = upgrade_reserve(queries, sizeof(double));
    m.new_new = upgrade_reserve(queries, sizeof(double));
    m.cross = upgrade_reserve(queries, sizeof(double));
    for (size_t c = 0; c < COVERAGES; c++)
        m.coverage[c] = upgrade_reserve(queries, sizeof(double));
    return m;
}

static void measured_free(struct measured *m) {
    free(m->old_old);
    free(m->new_new);
    free(m->cross);
    for (size_t c = 0; c < COVERAGES; c++)
        free(m->coverage[c]);
}

/* ---- the cascade ---- */

/* Adds share / draws of the cascade's nDCG, per query, to `into`. */
static void cascade(const struct upgrade *u, const uint32_t *ids,
                    const float *scores, const bool *covered, double share,
                    double *into) {
    size_t queries = u->judged.queries;
    uint32_t *again = upgrade_reserve(queries * DEPTH, sizeof *again);
    double *ndcg = upgrade_reserve(queries, sizeof *ndcg);
    memcpy(again, ids, queries * DEPTH * sizeof *again);
    for (size_t q = 0; q < queries; q++)
        upgrade_cascade(u, q, covered, scores + q * DEPTH, DEPTH,
                        again + q * DEPTH);
    upgrade_ndcg(u, again, DEPTH, ndcg);
    for (size_t q = 0; q < queries; q++)
        into[q] += share * ndcg[q];
    free(again);
    free(ndcg);
}

static struct measured measure(const struct upgrade *u,
                               const struct upgrade_method *method,
                               bool known) {
    struct measured m = measured_new(u->judged.queries);
    size_t documents = u->new_documents.rows;
    bool *covered = upgrade_reserve(documents, sizeof *covered);
    struct upgrade_fit how = {.keep_vectors = known};
    float *scores, *mapped = upgrade_held_out(u, method, &how);
    uint32_t *ids =
        upgrade_rank(mapped, m.queries, &u->old_documents, DEPTH, &scores);
    upgrade_own(u, &u->old_queries, &u->old_documents, m.old_old);
    upgrade_own(u, &u->new_queries, &u->new_documents, m.new_new);
    upgrade_ndcg(u, ids, DEPTH, m.cross);
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        uint32_t *order = upgrade_shuffled(documents, draw, "bench.cover");
        for (size_t c = 0; c < COVERAGES; c++) {
            size_t n = (size_t)(coverages[c] * (double)documents + .5);
            memset(covered, 0, documents * sizeof *covered);
            for (size_t i = 0; i < n; i++)
                covered[order[i]] = true;
            cascade(u, ids, scores, covered, 1. / DRAWS, m.coverage[c]);
        }
        free(order);
    }
    free(ids);
    free(scores);
    free(mapped);
    free(covered);
    return m;
}

/* ---- verdicts ---- */

/* The part of a measurement that `which` names; with repeats if it has. */
static struct measured part_of(const struct measured *m, const uint32_t *which,
                               size_t count) {
    struct measured part = measured_new(count);
    for (size_t i = 0; i < count; i++) {
        part.old_old[i] = m->old_old[which[i]];
        part.new_new[i] = m->new_new[which[i]];
        part.cross[i] = m->cross[which[i]];
        for (size_t c = 0; c < COVERAGES; c++)
            part.coverage[c][i] = m->coverage[c][which[i]];
    }
    return part;
}

/* unsure: as if nobody had judged, so that it states its needs in any case. */
static struct inv_gate verdict(const struct measured *m, double margin,
                               bool unsure, uint64_t seed) {
    double curve[COVERAGES];
    struct inv_gate gate;
    struct inv_err err;
    for (size_t c = 0; c < COVERAGES; c++)
        curve[c] = upgrade_mean(m->coverage[c], m->queries);
    struct inv_gate_input input = {
        .cross = m->cross,
        .old_old = m->old_old,
        .new_new = m->new_new,
        .cascade = m->coverage[COVERAGES - 1],
        .queries = m->queries,
        .break_even = inv_break_even(coverages, curve, COVERAGES,
                                     upgrade_mean(m->old_old, m->queries)),
        .margin = margin,
        .proxy = unsure,
        .seed = seed,
    };
    upgrade_must(inv_gate_judge(&input, &gate, &err), &err);
    return gate;
}

static double gain_of(const struct measured *m) {
    return upgrade_mean(m->cross, m->queries) -
           upgrade_mean(m->old_old, m->queries);
}

/* What the plain means say, without intervals. */
static enum inv_verdict plain(const struct measured *m) {
    double old = upgrade_mean(m->old_old, m->queries);
    double all = upgrade_mean(m->coverage[COVERAGES - 1], m->queries);
    double new = upgrade_mean(m->new_new, m->queries);
    if (gain_of(m) >= -INV_GATE_MARGIN)
        return INV_VERDICT_ACTIVATE;
    return all > old && all >= INV_GATE_CASCADE_SHARE * new
               ? INV_VERDICT_CASCADE_ONLY
               : INV_VERDICT_REFUSE;
}

/* ---- splits ---- */

struct split_count {
    size_t rightly, wrongly, cautious, refused; /* ACTIVATE or not */
    size_t same;                                /* all three verdicts */
};

static struct split_count split(const struct measured *m) {
    struct split_count n = {.same = 0};
    size_t half = m->queries / 2;
    for (uint64_t s = 0; s < SPLITS; s++) {
        uint32_t *order = upgrade_shuffled(m->queries, s, "bench.split");
        struct measured seen = part_of(m, order, half);
        struct measured other = part_of(m, order + half, m->queries - half);
        struct inv_gate gate = verdict(&seen, INV_GATE_MARGIN, false, s);
        bool activated = gate.verdict == INV_VERDICT_ACTIVATE;
        bool truth = gain_of(&other) >= -INV_GATE_MARGIN;
        n.rightly += activated && truth;
        n.wrongly += activated && !truth;
        n.cautious += !activated && truth;
        n.refused += !activated && !truth;
        n.same += gate.verdict == plain(&other);
        measured_free(&seen);
        measured_free(&other);
        free(order);
    }
    return n;
}

/* ---- power ---- */

/* Share of samples of n queries (with repeats) that permit the bridge. */
static double permitted(const struct measured *m, double margin, size_t n) {
    uint32_t *which = upgrade_reserve(n, sizeof *which);
    size_t count = 0;
    for (uint64_t s = 0; s < SIMULATED; s++) {
        struct inv_stream stream;
        inv_stream_init(&stream, s, "bench.power", n);
        for (size_t i = 0; i < n; i++)
            which[i] = inv_stream_below(&stream, (uint32_t)m->queries);
        struct measured part = part_of(m, which, n);
        count +=
            verdict(&part, margin, false, s).verdict == INV_VERDICT_ACTIVATE;
        measured_free(&part);
    }
    free(which);
    return (double)count / SIMULATED;
}

/* Shares at a quarter, a half, once and twice of what the gate asks for. */
static void power_row(const char *title, const char *name,
                      const struct measured *m, double margin) {
    struct inv_gate gate = verdict(m, margin, true, 0);
    size_t needed = gate.queries_needed;
    if (needed < 16 || needed > NEEDED_MAX)
        return;
    printf("%-20s %-12s %6.2f %+.3f  %6zu ", title, name, margin,
           gate.gain.mean, needed);
    for (size_t quarter = 1; quarter <= 8; quarter *= 2)
        printf(" %4.0f %%", 100 * permitted(m, margin, needed * quarter / 4));
    puts("");
    fflush(stdout);
}

/* ---- tables ---- */

static void row(const char *title, const char *name, bool known,
                const struct measured *m) {
    struct inv_gate gate = verdict(m, INV_GATE_MARGIN, false, 0);
    struct split_count n = split(m);
    printf("%-20s %-12s %-5s %.3f %.3f %.3f %.3f  %+.3f %+.3f..%+.3f  %-12s ",
           title, name, known ? "known" : "later",
           upgrade_mean(m->old_old, m->queries),
           upgrade_mean(m->new_new, m->queries),
           upgrade_mean(m->cross, m->queries),
           upgrade_mean(m->coverage[COVERAGES - 1], m->queries), gate.gain.mean,
           gate.gain.low, gate.gain.high, inv_verdict_name(gate.verdict));
    if (gate.break_even <= 1)
        printf("%4.0f %%", 100 * gate.break_even);
    else
        printf("%6s", "-");
    printf("  %2zu %2zu %2zu %2zu  %3.0f %% %3.0f %%\n", n.rightly, n.wrongly,
           n.cautious, n.refused,
           100. * (double)(n.rightly + n.refused) / SPLITS,
           100. * (double)n.same / SPLITS);
    fflush(stdout);
}

#define KEPT_MAX 32
/* Measurements that the table of power comes back to. */
struct kept {
    const char *title, *name;
    struct measured m;
};
static size_t keep(struct kept *kept, size_t count, const char *title,
                   const char *name, struct measured m) {
    if (count == KEPT_MAX) {
        measured_free(&m);
        return count;
    }
    kept[count] = (struct kept){title, name, m};
    return count + 1;
}

static const struct upgrade_method methods[] = {
    {"procrustes", INV_ADAPTER_PROCRUSTES, 0},
    {"path .1", INV_ADAPTER_PATH, .1},
    {"path .35", INV_ADAPTER_PATH, .35},
    {"ridge .01", INV_ADAPTER_RIDGE, .01},
    {"contrastive", INV_ADAPTER_CONTRASTIVE, 0},
};

/* Every method; measurements of known documents go to `kept`. */
static size_t judge(const struct upgrade *u, const char *title,
                    double temperature, bool known, struct kept *kept,
                    size_t count) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct upgrade_method method = methods[i];
        if (method.kind == INV_ADAPTER_CONTRASTIVE) {
            if (u->titles.rows == 0)
                continue;
            method.knob = temperature;
        }
        struct measured m = measure(u, &method, known);
        row(title, method.name, known, &m);
        if (known)
            count = keep(kept, count, title, method.name, m);
        else
            measured_free(&m);
    }
    return count;
}

/* The same model as old and new, the gallery rotated: no information is lost
 * and the right verdict is known. */
static void rotated(void) {
    struct upgrade u;
    upgrade_open(&u, "scifact", "minilm-l6", "minilm-l6");
    size_t dim = u.old_documents.dim;
    float *mirror = upgrade_reserve(dim, sizeof *mirror);
    for (uint64_t k = 0; k < 24; k++) {
        struct inv_stream stream;
        struct inv_matrix *sides[] = {&u.old_documents, &u.old_queries};
        inv_stream_init(&stream, k, "bench.rotation", 0);
        for (size_t j = 0; j < dim; j++)
            mirror[j] = inv_stream_normal(&stream);
        inv_normalize_f32(mirror, dim);
        for (size_t s = 0; s < 2; s++)
            for (size_t i = 0; i < sides[s]->rows; i++) {
                float *row = sides[s]->data + i * dim;
                inv_axpy_f32(-2 * inv_dot_f32(mirror, row, dim), mirror, row,
                             dim);
            }
    }
    free(u.titles.data);
    u.titles = (struct inv_matrix){NULL, 0, 0};
    judge(&u, "l6 -> l6, rotated", 0, false, NULL, 0);
    free(mirror);
    upgrade_close(&u);
}

int main(int argc, char **argv) {
    static const struct {
        const char *set, *old, *new, *title;
        double temperature;
    } cases[] = {
        {"scifact", "minilm-l3", "minilm-l6", "scifact l3 -> l6", .02},
        {"scifact", "minilm-l6", "minilm-l3", "scifact l6 -> l3", 0},
        {"scifact", "e5-small", "minilm-l6", "scifact e5 -> l6", .02},
        {"scifact", "minilm-l6", "e5-small", "scifact l6 -> e5", .02},
        {"scifact", "minilm-l3", "e5-small", "scifact l3 -> e5", .02},
        {"cranfield", "minilm-l3", "minilm-l6", "cranfield l3 -> l6", .05},
        {"cranfield", "minilm-l6", "minilm-l3", "cranfield l6 -> l3", 0},
    };
    static struct kept kept[KEPT_MAX];
    static const double margins[] = {.02, .05};
    bool power_only = argc == 2 && strcmp(argv[1], "power") == 0;
    size_t count = 0;
    if (argc > 1 && !power_only) {
        fputs("usage: bench_gate [power]\n", stderr);
        return EXIT_FAILURE;
    }
    printf("margin %.2f; cross: new queries on the old gallery, held out; "
           "cascade: N = %d, all re-embedded\nsplits: ACTIVATE rightly, "
           "wrongly, not though right, not and rightly; share that agree on "
           "ACTIVATE, on all three\n\n",
           INV_GATE_MARGIN, DEPTH);
    printf("%-20s %-12s %-5s %-5s %-5s %-5s %-5s  %-22s %-12s %6s  %-11s  "
           "%-11s\n",
           "", "", "docs", "old", "new", "cross", "casc.", "gain (95 %)",
           "verdict", "from", "splits", "agree");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct upgrade u;
        bool better = strcmp(cases[c].new, "minilm-l6") == 0;
        if (power_only && !better)
            continue;
        upgrade_open(&u, cases[c].set, cases[c].old, cases[c].new);
        for (int known = power_only ? 1 : 0; known < 2; known++)
            count = judge(&u, cases[c].title, cases[c].temperature, known, kept,
                          count);
        upgrade_close(&u);
    }
    if (!power_only)
        rotated();
    printf("\npower, known documents: queries needed as the gate states it "
           "from all of them (16 to %d), and how many of %d samples of a "
           "quarter, a half, once and twice of that permit the bridge\n",
           NEEDED_MAX, SIMULATED);
    printf("%-20s %-12s %6s %6s  %6s  %6s %6s %6s %6s\n", "", "", "margin",
           "gain", "needed", "1/4", "1/2", "1", "2");
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < sizeof margins / sizeof *margins; i++)
            power_row(kept[k].title, kept[k].name, &kept[k].m, margins[i]);
    for (size_t k = 0; k < count; k++)
        measured_free(&kept[k].m);
    return EXIT_SUCCESS;
}
