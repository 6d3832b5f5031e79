/*
 * upgrade.c: see upgrade.h. Reads with the command line's own readers of
 * matrices, lines and judgements; knows no measurement.
 */
#include "bench/upgrade.h"

#include "base/kernels.h"
#include "base/rng.h"
#include "cli/beir.h"
#include "cli/lines.h"
#include "cli/vectors.h"
#include "encoders/adapters/contrastive.h"
#include "encoders/adapters/paper.h"
#include "server/json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- small things ---- */

static void stop(const char *text) {
    fflush(stdout);
    fprintf(stderr, "bench: %s\n", text);
    exit(EXIT_FAILURE);
}

void upgrade_must(enum inv_status status, const struct inv_err *err) {
    if (status != INV_OK)
        stop(err->text);
}

void *upgrade_reserve(size_t count, size_t size) {
    void *p = calloc(count + 1, size);
    if (p == NULL)
        stop("out of memory");
    return p;
}

double upgrade_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec +
           1e-6 * (double)usage.ru_utime.tv_usec;
}

double upgrade_mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

double upgrade_deviation(const double *values, size_t count) {
    double mean = upgrade_mean(values, count), sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(sum / (double)(count - 1)) : 0;
}

uint32_t *upgrade_shuffled(size_t count, uint64_t seed, const char *purpose) {
    uint32_t *order = upgrade_reserve(count, sizeof *order);
    struct inv_stream stream;
    inv_stream_init(&stream, seed, purpose, 0);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count; i > 1; i--) {
        size_t j = inv_stream_below(&stream, (uint32_t)i);
        uint32_t keep = order[i - 1];
        order[i - 1] = order[j];
        order[j] = keep;
    }
    return order;
}

static const char *folder(void) {
    const char *data = getenv("INVAR_DATA");
    return data != NULL && *data != '\0' ? data : "../shared/data";
}

void upgrade_path(const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", folder(), name);
    if (access(path, R_OK) == 0)
        return;
    printf("%s is not there: this measurement needs the matrices that "
           "bench/README.md describes; set INVAR_DATA to where they are\n",
           path);
    exit(UPGRADE_SKIPPED);
}

struct inv_matrix upgrade_rows(const char *name) {
    char path[512];
    struct inv_vectors vectors;
    struct inv_err err;
    upgrade_path(name, path, sizeof path);
    upgrade_must(inv_vectors_open(path, NULL, NULL, &vectors, &err), &err);
    size_t dim = vectors.dim;
    struct inv_matrix out = {
        upgrade_reserve(vectors.count * dim, sizeof(float)), vectors.count,
        dim};
    for (size_t i = 0; i < out.rows; i++) {
        struct inv_codes codes = inv_vectors_at(&vectors, i);
        float *row = out.data + i * dim;
        if (codes.dtype == INV_F16)
            inv_f32_from_f16(codes.data, row, dim);
        else
            memcpy(row, codes.data, dim * sizeof *row);
        inv_normalize_f32(row, dim);
    }
    inv_vectors_close(&vectors);
    return out;
}

static bool present(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return access(path, R_OK) == 0;
}

static struct inv_matrix vectors_of(const char *set, const char *model,
                                    const char *what, bool needed) {
    char name[256];
    snprintf(name, sizeof name, "%s/vectors/%s-%s.f16.npy", set, model, what);
    if (!needed && !present(name))
        return (struct inv_matrix){NULL, 0, 0};
    return upgrade_rows(name);
}

/* ---- ids and judgements ---- */

struct name {
    char *id;
    uint32_t row;
};

struct names {
    struct name *items;
    size_t count;
};

static void take_id(const char *line, size_t len, struct names *names) {
    inv_json *tree = NULL;
    struct inv_err err;
    size_t id_len;
    upgrade_must(inv_json_parse_plain(line, len, &tree, &err), &err);
    const inv_json *value = inv_json_get(tree, "_id");
    if (value == NULL || inv_json_kind(value) != INV_JSON_STRING)
        stop("a line without \"_id\"");
    struct name *name = &names->items[names->count];
    name->id = strdup(inv_json_string(value, &id_len));
    name->row = (uint32_t)names->count++;
    if (name->id == NULL)
        stop("out of memory");
    inv_json_free(tree);
}

/* The ids of a file's lines, of which there must be `rows`. */
static struct names read_names(const char *set, const char *what, size_t rows) {
    char name[256], path[512];
    struct names names = {upgrade_reserve(rows, sizeof *names.items), 0};
    struct inv_lines *lines;
    struct inv_err err;
    snprintf(name, sizeof name, "%s/%s.jsonl.gz", set, what);
    upgrade_path(name, path, sizeof path);
    upgrade_must(inv_lines_open(path, &lines, &err), &err);
    while (names.count < rows) {
        char *line;
        size_t len;
        upgrade_must(inv_lines_next(lines, &line, &len, &err), &err);
        if (line == NULL)
            stop("fewer lines than vectors");
        take_id(line, len, &names);
    }
    inv_lines_close(lines);
    return names;
}

static void names_release(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].id);
    free(names->items);
}

static int by_id(const void *a, const void *b) {
    const struct name *x = a;
    const struct name *y = b;
    return strcmp(x->id, y->id);
}

static struct inv_qrels read_qrels(const char *set, const char *what) {
    char name[256], path[512];
    struct inv_qrels qrels;
    struct inv_err err;
    snprintf(name, sizeof name, "%s/%s.tsv.gz", set, what);
    upgrade_path(name, path, sizeof path);
    upgrade_must(inv_qrels_read(path, true, &qrels, &err), &err);
    return qrels;
}

/* Answers of query q behind those that are there; how many. */
static size_t add_answers(struct upgrade *u, const struct inv_qrels *qrels,
                          const char *query, const struct names *documents,
                          size_t at) {
    size_t count, before = at;
    const struct inv_judgement *list = inv_qrels_of(qrels, query, &count);
    for (size_t j = 0; j < count; j++) {
        struct name wanted = {list[j].document, 0};
        const struct name *found =
            bsearch(&wanted, documents->items, documents->count,
                    sizeof *documents->items, by_id);
        if (found != NULL)
            u->document[at++] = found->row;
    }
    return at - before;
}

static void keep_row(struct inv_matrix *m, size_t to, size_t from) {
    memmove(m->data + to * m->dim, m->data + from * m->dim,
            m->dim * sizeof *m->data);
}

/* Keeps the queries that have an answer, in their order. */
static void judge(struct upgrade *u) {
    struct names queries = read_names(u->set, "queries", u->new_queries.rows);
    struct names documents =
        read_names(u->set, "corpus", u->new_documents.rows);
    struct inv_qrels qrels = read_qrels(u->set, "qrels");
    struct inv_qrels part = {.count = 0};
    bool split = strcmp(u->set, "scifact") == 0;
    size_t kept = 0, answers = 0, unused;
    if (split)
        part = read_qrels(u->set, "qrels-unseen");
    qsort(documents.items, documents.count, sizeof *documents.items, by_id);
    u->document = upgrade_reserve(qrels.count, sizeof *u->document);
    u->start = upgrade_reserve(queries.count + 1, sizeof *u->start);
    u->query_row = upgrade_reserve(queries.count, sizeof *u->query_row);
    u->unseen =
        split ? upgrade_reserve(queries.count, sizeof *u->unseen) : NULL;
    for (size_t q = 0; q < queries.count; q++) {
        const char *id = queries.items[q].id;
        size_t count = add_answers(u, &qrels, id, &documents, answers);
        if (count == 0)
            continue;
        keep_row(&u->new_queries, kept, q);
        keep_row(&u->old_queries, kept, q);
        answers += count;
        u->query_row[kept] = (uint32_t)q;
        if (split) {
            inv_qrels_of(&part, id, &unused);
            u->unseen[kept] = unused > 0;
            u->unseen_count += unused > 0;
        }
        u->start[++kept] = answers;
    }
    u->new_queries.rows = u->old_queries.rows = kept;
    u->judged = (struct inv_judgements){u->document, u->start, kept};
    inv_qrels_release(&qrels);
    if (split)
        inv_qrels_release(&part);
    names_release(&queries);
    names_release(&documents);
}

void upgrade_open(struct upgrade *u, const char *set, const char *old,
                  const char *new) {
    *u = (struct upgrade){.set = set, .old = old, .new = new};
    u->new_documents = vectors_of(set, new, "docs", true);
    u->old_documents = vectors_of(set, old, "docs", true);
    u->new_queries = vectors_of(set, new, "queries", true);
    u->old_queries = vectors_of(set, old, "queries", true);
    u->new_train = vectors_of(set, new, "train", false);
    u->old_train = vectors_of(set, old, "train", false);
    u->titles = vectors_of(set, new, "titles", false);
    judge(u);
}

void upgrade_close(struct upgrade *u) {
    free(u->new_documents.data);
    free(u->old_documents.data);
    free(u->new_queries.data);
    free(u->old_queries.data);
    free(u->new_train.data);
    free(u->old_train.data);
    free(u->titles.data);
    free(u->query_row);
    free(u->document);
    free(u->start);
    free(u->unseen);
}

void upgrade_answers(const struct upgrade *u, size_t from, size_t to,
                     bool *flags) {
    for (size_t i = u->start[from]; i < u->start[to]; i++)
        flags[u->document[i]] = true;
}

/* ---- fitting ---- */

struct pairs {
    float *x, *y;
    size_t count;
};

static void add_pair(struct pairs *p, const struct inv_matrix *x,
                     const struct inv_matrix *y, size_t row) {
    memcpy(p->x + p->count * x->dim, x->data + row * x->dim,
           x->dim * sizeof *p->x);
    memcpy(p->y + p->count * y->dim, y->data + row * y->dim,
           y->dim * sizeof *p->y);
    p->count++;
}

static struct pairs gather(const struct upgrade *u,
                           const struct upgrade_fit *how) {
    size_t documents = how->rows != NULL ? how->count : u->new_documents.rows;
    size_t most = documents + (how->train ? u->new_train.rows : 0);
    struct pairs p = {upgrade_reserve(most * u->new_documents.dim, sizeof *p.x),
                      upgrade_reserve(most * u->old_documents.dim, sizeof *p.y),
                      0};
    for (size_t i = 0; i < documents; i++) {
        size_t row = how->rows != NULL ? how->rows[i] : i;
        if (how->excluded == NULL || how->keep_vectors || !how->excluded[row])
            add_pair(&p, &u->new_documents, &u->old_documents, row);
    }
    for (size_t i = documents; i < most; i++)
        add_pair(&p, &u->new_train, &u->old_train, i - documents);
    return p;
}

static struct inv_moments moments_of(const struct upgrade *u,
                                     const struct pairs *p) {
    struct inv_pairs sums;
    struct inv_moments moments;
    struct inv_err err;
    upgrade_must(
        inv_pairs_init(&sums, u->new_documents.dim, u->old_documents.dim, &err),
        &err);
    upgrade_must(inv_pairs_add(&sums, p->x, p->y, p->count, &err), &err);
    upgrade_must(inv_pairs_moments(&sums, true, false, &moments, &err), &err);
    inv_pairs_release(&sums);
    return moments;
}

/* Titles of the documents that take part; their documents are the gallery. */
static void contrastive(const struct upgrade *u, double temperature,
                        const struct upgrade_fit *how,
                        const struct inv_map *start, struct inv_map *map) {
    struct inv_contrastive options = inv_contrastive_defaults();
    struct inv_contrastive_choice choice;
    struct inv_err err;
    const struct inv_matrix *docs = &u->old_documents;
    size_t n = u->titles.rows;
    struct pairs p = {upgrade_reserve(n * u->titles.dim, sizeof *p.x),
                      upgrade_reserve(n * docs->dim, sizeof *p.y), 0};
    uint32_t *document = upgrade_reserve(n, sizeof *document);
    for (size_t i = 0; i < n; i++) {
        if (how->excluded != NULL && how->excluded[i])
            continue;
        document[p.count] = (uint32_t)p.count;
        add_pair(&p, &u->titles, docs, i);
    }
    if (n == 0)
        stop("contrastive needs titles");
    options.temperature = temperature;
    options.seed = how->seed;
    struct inv_relevance given = {p.x, document, p.count,  u->titles.dim,
                                  p.y, p.count,  docs->dim};
    upgrade_must(
        inv_fit_contrastive(start, &given, &options, map, &choice, &err), &err);
    free(p.x);
    free(p.y);
    free(document);
}

static void descend(const struct upgrade *u,
                    const struct upgrade_method *method,
                    const struct upgrade_fit *how, const struct pairs *p,
                    const struct inv_moments *moments, struct inv_map *map) {
    struct inv_map start;
    struct inv_err err;
    upgrade_must(inv_fit_procrustes(moments, &start, &err), &err);
    if (method->kind == INV_ADAPTER_CONTRASTIVE) {
        contrastive(u, method->knob, how, &start, map);
    } else {
        struct inv_paper options = inv_paper_defaults();
        options.kappa = method->knob;
        options.seed = how->seed;
        upgrade_must(inv_fit_paper(&start, p->x, p->y, NULL, p->count, &options,
                                   map, NULL, &err),
                     &err);
    }
    inv_map_release(&start);
}

struct inv_map upgrade_fit(const struct upgrade *u,
                           const struct upgrade_method *method,
                           const struct upgrade_fit *how) {
    struct inv_map map;
    struct inv_err err;
    struct pairs p = gather(u, how);
    struct inv_moments moments = moments_of(u, &p);
    switch (method->kind) {
    case INV_ADAPTER_RIDGE:
        upgrade_must(inv_fit_ridge(&moments, method->knob, &map, &err), &err);
        break;
    case INV_ADAPTER_PATH:
        upgrade_must(inv_fit_path(&moments, method->knob, &map, &err), &err);
        break;
    case INV_ADAPTER_CONTRASTIVE:
    case INV_ADAPTER_PAPER:
        descend(u, method, how, &p, &moments, &map);
        break;
    default:
        upgrade_must(inv_fit_procrustes(&moments, &map, &err), &err);
    }
    inv_moments_release(&moments);
    free(p.x);
    free(p.y);
    return map;
}

struct inv_adapter *upgrade_adapter(const struct inv_map *map) {
    float *w = upgrade_reserve(map->rows * map->cols, sizeof *w);
    float *b = upgrade_reserve(map->rows, sizeof *b);
    struct inv_adapter *adapter;
    struct inv_err err;
    inv_map_floats(map, w, b);
    struct inv_adapter_parts parts = {.kind = INV_ADAPTER_PATH,
                                      .direction = INV_ADAPTER_BACKWARD,
                                      .from = "new",
                                      .to = "old",
                                      .rows = map->rows,
                                      .cols = map->cols,
                                      .matrix = w,
                                      .bias = b,
                                      .normalise = true};
    upgrade_must(inv_adapter_new(&parts, &adapter, &err), &err);
    free(w);
    free(b);
    return adapter;
}

float *upgrade_apply(const struct inv_map *map, const struct inv_matrix *rows) {
    float *out = upgrade_reserve(rows->rows * map->rows, sizeof *out);
    struct inv_adapter *adapter = upgrade_adapter(map);
    struct inv_err err;
    upgrade_must(inv_adapter_apply(adapter, rows->data, rows->rows, rows->dim,
                                   out, &err),
                 &err);
    inv_adapter_free(adapter);
    return out;
}

static size_t count_of(const bool *flags, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += flags[i];
    return n;
}

float *upgrade_held_out(const struct upgrade *u,
                        const struct upgrade_method *method,
                        const struct upgrade_fit *how) {
    size_t queries = u->judged.queries, documents = u->old_documents.rows;
    bool *excluded = upgrade_reserve(documents, sizeof *excluded);
    float *out = upgrade_reserve(queries * u->old_documents.dim, sizeof *out);
    upgrade_answers(u, 0, queries, excluded);
    size_t folds = count_of(excluded, documents) * 5 <= documents ? 1 : 5;
    for (size_t f = 0; f < folds; f++) {
        size_t from = queries * f / folds, to = queries * (f + 1) / folds;
        struct upgrade_fit part = *how;
        part.excluded = excluded;
        memset(excluded, 0, documents * sizeof *excluded);
        upgrade_answers(u, from, to, excluded);
        struct inv_map map = upgrade_fit(u, method, &part);
        float *mapped = upgrade_apply(&map, &u->new_queries);
        size_t dim = map.rows;
        memcpy(out + from * dim, mapped + from * dim,
               (to - from) * dim * sizeof *out);
        free(mapped);
        inv_map_release(&map);
    }
    free(excluded);
    return out;
}

/* ---- judging ---- */

uint32_t *upgrade_rank(const float *queries, size_t count,
                       const struct inv_matrix *gallery, size_t depth,
                       float **scores) {
    uint32_t *ids = upgrade_reserve(count * depth, sizeof *ids);
    struct inv_err err;
    if (scores != NULL)
        *scores = upgrade_reserve(count * depth, sizeof **scores);
    upgrade_must(inv_judge_rank(queries, count, gallery->data, gallery->rows,
                                gallery->dim, depth, ids,
                                scores != NULL ? *scores : NULL, &err),
                 &err);
    return ids;
}

double upgrade_ndcg(const struct upgrade *u, const uint32_t *ids, size_t depth,
                    double *ndcg) {
    inv_judge_measure(ids, depth, &u->judged, ndcg, NULL);
    return upgrade_mean(ndcg, u->judged.queries);
}

double upgrade_own(const struct upgrade *u, const struct inv_matrix *queries,
                   const struct inv_matrix *gallery, double *ndcg) {
    uint32_t *ids = upgrade_rank(queries->data, queries->rows, gallery,
                                 INV_JUDGE_DEPTH, NULL);
    double mean = upgrade_ndcg(u, ids, INV_JUDGE_DEPTH, ndcg);
    free(ids);
    return mean;
}

void upgrade_cascade(const struct upgrade *u, size_t query, const bool *covered,
                     const float *bridge, size_t depth, uint32_t *ids) {
    double fresh[UPGRADE_DEPTH_MAX], scratch[UPGRADE_DEPTH_MAX];
    const struct inv_matrix *docs = &u->new_documents;
    if (depth > UPGRADE_DEPTH_MAX)
        stop("the cascade is too deep");
    for (size_t i = 0; i < depth; i++)
        fresh[i] = covered == NULL || covered[ids[i]]
                       ? (double)inv_dot_f32(
                             u->new_queries.data + query * docs->dim,
                             docs->data + ids[i] * docs->dim, docs->dim)
                       : 0;
    inv_judge_cascade(fresh, covered, bridge, depth, ids, scratch);
}
