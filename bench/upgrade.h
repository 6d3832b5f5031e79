/*
 * upgrade.h: what the measurements of model upgrades share: a collection with
 * the vectors of two models, fits by a method's name, rankings. Data come from
 * the folder INVAR_DATA (../shared/data when it is not set); a program whose
 * data are absent says so and leaves with code 77. Whatever else goes wrong
 * ends the program with its reason: nothing here returns an error. One thread.
 */
#ifndef INV_BENCH_UPGRADE_H
#define INV_BENCH_UPGRADE_H

#include "base/vector.h"
#include "encoders/adapters/adapter.h"
#include "encoders/adapters/fit.h"
#include "encoders/adapters/judge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPGRADE_SKIPPED 77

/* ---- small things ---- */

void upgrade_must(enum inv_status status, const struct inv_err *err);
void *upgrade_reserve(size_t count, size_t size); /* zeroed */
/* Seconds of processor time this process has taken, in user mode: on a busy
 * machine the wall clock measures the neighbours. */
double upgrade_cpu(void);
double upgrade_mean(const double *values, size_t count);
double upgrade_deviation(const double *values, size_t count); /* n - 1 */
/* 0 .. count - 1 in an order that seed and purpose give. */
uint32_t *upgrade_shuffled(size_t count, uint64_t seed, const char *purpose);
/* INVAR_DATA/name into path; leaves with code 77 when it is not there. */
void upgrade_path(const char *name, char *path, size_t size);
/* A matrix as unit rows in fp32; the caller frees data. */
struct inv_matrix upgrade_rows(const char *name);

/* ---- a collection in two models ---- */

struct upgrade {
    const char *set, *old, *new;
    struct inv_matrix new_documents, old_documents;
    struct inv_matrix new_queries, old_queries; /* those with an answer */
    struct inv_matrix new_train, old_train;     /* of a log; rows 0: none */
    struct inv_matrix titles;                   /* new model; rows 0: none */
    uint32_t *query_row; /* of each judged query: its line among all */
    uint32_t *document;
    size_t *start;
    struct inv_judgements judged;
    bool *unseen; /* of each query; NULL: no such split */
    size_t unseen_count;
};

/* set: "scifact" or "cranfield"; models: "minilm-l3", ... */
void upgrade_open(struct upgrade *u, const char *set, const char *old,
                  const char *new);
void upgrade_close(struct upgrade *u);
/* Flags every document that answers one of the queries [from, to). */
void upgrade_answers(const struct upgrade *u, size_t from, size_t to,
                     bool *flags);

/* ---- fitting ---- */

struct upgrade_method {
    const char *name;
    enum inv_adapter_kind kind;
    double knob; /* kappa, rho or temperature */
};

struct upgrade_fit {
    const uint32_t *rows; /* documents whose two vectors are pairs; NULL: all */
    size_t count;
    bool train;           /* the log's queries are pairs too */
    const bool *excluded; /* documents that take no part; NULL: none */
    bool keep_vectors;    /* of the excluded only the titles take none */
    uint64_t seed;
};

/* The caller releases the map. */
struct inv_map upgrade_fit(const struct upgrade *u,
                           const struct upgrade_method *method,
                           const struct upgrade_fit *how);
struct inv_adapter *upgrade_adapter(const struct inv_map *map);
/* Unit rows of the gallery's space; the caller frees them. */
float *upgrade_apply(const struct inv_map *map, const struct inv_matrix *rows);
/* The judged queries in the gallery's space, each by a fit that saw no document
 * that answers it, or with keep_vectors not its title: in one part where the
 * answers are at most a fifth of the gallery, else in five. `excluded` is not
 * read. The caller frees the rows. */
float *upgrade_held_out(const struct upgrade *u,
                        const struct upgrade_method *method,
                        const struct upgrade_fit *how);

/* ---- judging ---- */

/* The best `depth` of a gallery: count x depth ids and scores, which the
 * caller frees; scores may be NULL. */
uint32_t *upgrade_rank(const float *queries, size_t count,
                       const struct inv_matrix *gallery, size_t depth,
                       float **scores);
/* nDCG@10 of each judged query; their mean. */
double upgrade_ndcg(const struct upgrade *u, const uint32_t *ids, size_t depth,
                    double *ndcg);
/* The same of queries on their own model's gallery. */
double upgrade_own(const struct upgrade *u, const struct inv_matrix *queries,
                   const struct inv_matrix *gallery, double *ndcg);
/* Reorders the first `depth` hits of a judged query as the cascade does;
 * bridge: their scores. */
#define UPGRADE_DEPTH_MAX 1000
void upgrade_cascade(const struct upgrade *u, size_t query, const bool *covered,
                     const float *bridge, size_t depth, uint32_t *ids);

#endif
