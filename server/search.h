/*
 * search.h: the read pipeline. A query goes through it in this order:
 *
 *   query -> gallery space -> code (FDE, prefix) -> planner -> segments
 *         -> merge -> rescore (kept codes) -> funnel (exact scores) -> hits
 *
 * Single: the funnel scores stored vectors, at ascending Matryoshka dims where
 * asked. Multi: it is MaxSim over stored tokens. `exact` skips everything up
 * to the funnel: it is the oracle. Runs on one worker, over one view.
 */
#ifndef INV_SERVER_SEARCH_H
#define INV_SERVER_SEARCH_H

#include "server/app.h"

struct inv_hit {
    float score;
    uint32_t part, entry;
};

enum inv_strategy {
    INV_PLAN_SKIP,     /* nothing matches here */
    INV_PLAN_SCAN,     /* exact scan of a flat or fresh segment */
    INV_PLAN_INDEX,    /* the index, without filter */
    INV_PLAN_EXACT,    /* every match is a candidate */
    INV_PLAN_SELECTOR, /* the index honours the filter */
    INV_PLAN_WIDEN,    /* more candidates than asked, then checked */
};

struct inv_part_plan {
    enum inv_strategy strategy;
    size_t live, matches, candidates, scanned;
    bool fallback; /* the index gave too few: every match was taken */
};

struct inv_stage {
    uint32_t dims;
    size_t keep;   /* after this stage */
    size_t scored; /* out */
};

#define INV_STAGES_MAX (INV_PREFIX_DIMS_MAX + 1)

struct inv_search_plan {
    size_t candidates, rescore, rerank;
    bool exact;
    size_t rescored;
    bool filter_cached; /* worked out by an earlier search of this view */
    struct inv_stage stages[INV_STAGES_MAX];
    size_t stage_count;
    struct inv_part_plan *parts; /* view->count */
    double ms[5]; /* encode, candidates, rescore, funnel, answer */
};

/* Zeroed before the first search. */
struct inv_search_answer {
    struct inv_view *view; /* set: search this one; else the current one */
    struct inv_db *db;     /* set: filters read payloads through it */
    bool stale; /* a filter read a payload that is newer than the view */
    struct inv_shared_settings *settings;
    const struct inv_schema *bound; /* that the request's filter is bound to */
    struct inv_hit *hits;           /* best first, after offset and limit */
    size_t count;
    struct inv_search_plan plan;
    bool weighted_cosine; /* weighted tokens met the metric cosine */
};

/* Memory from the arena. Errors name what does not fit; INV_TIMEOUT. Also on
 * failure: inv_search_release. */
enum inv_status
inv_search(struct inv_app *app, struct inv_collection *collection,
           const struct inv_search_request *request, struct inv_arena *arena,
           struct inv_search_answer *out, struct inv_err *err) INV_MUST_USE;
void inv_search_release(struct inv_search_answer *answer);

/* The whole of POST .../search: searches, reads payloads of the same moment,
 * writes the answer's JSON. */
enum inv_status inv_search_respond(struct inv_app *app,
                                   struct inv_collection *collection,
                                   const struct inv_search_request *request,
                                   struct inv_arena *arena, struct inv_buf *out,
                                   struct inv_search_plan *plan,
                                   struct inv_err *err) INV_MUST_USE;

/* The wished part of a stored payload ({} for none). */
enum inv_status inv_payload_write(const struct inv_payload_wish *wish,
                                  const char *payload, size_t len,
                                  struct inv_buf *out,
                                  struct inv_err *err) INV_MUST_USE;

/* POST .../recall: the approximate pipeline against the exact one, on given
 * queries or on stored documents. Writes the answer's JSON. */
enum inv_status inv_recall_respond(struct inv_app *app,
                                   struct inv_collection *collection,
                                   const struct inv_recall_request *request,
                                   struct inv_arena *arena, struct inv_buf *out,
                                   struct inv_err *err) INV_MUST_USE;

/* ---- between search.c, search_candidates.c and search_score.c ---- */

/* The query in the code of one encoding. */
struct inv_query_code {
    const struct inv_encoder *encoder;
    float *code;   /* code_dim, whole */
    float *prefix; /* ann_dim, renormalised */
};

struct inv_searching {
    struct inv_app *app;
    struct inv_collection *collection;
    const struct inv_settings *settings;
    const struct inv_search_request *request;
    const struct inv_view *view;
    struct inv_arena *arena;
    struct inv_search_plan *plan;
    struct inv_matrix query;
    struct inv_query_code *codes; /* one per distinct encoding */
    size_t code_count;
    uint64_t **matches; /* a bitset per part: live and matching the filter */
    struct inv_filtered *filtered; /* that matches point into, or NULL */
    struct inv_hit *hits;
    size_t count, cap;
    const struct inv_schema *bound; /* of the filter; NULL: not yet */
    struct inv_db *db;              /* for payloads; NULL: borrow one */
    bool stale;          /* a payload was read that is not the view's */
    size_t want;         /* offset + limit */
    int64_t deadline_ns; /* 0: none */
};

const struct inv_query_code *inv_query_code(const struct inv_searching *s,
                                            const struct inv_part *part);
enum inv_status inv_search_deadline(const struct inv_searching *s,
                                    struct inv_err *err) INV_MUST_USE;
/* matches and plan->parts: which live entries pass the filter. */
enum inv_status inv_search_select(struct inv_searching *s,
                                  struct inv_err *err) INV_MUST_USE;
/* What select has borrowed; after it `matches` is not to be read. */
void inv_search_forget(struct inv_searching *s);
/* hits: up to plan->candidates per part, with the index's scores; INFINITY
 * for those that no index has scored. */
enum inv_status inv_search_candidates(struct inv_searching *s,
                                      struct inv_err *err) INV_MUST_USE;
/* Replaces the scores of compressed indexes by those of the kept codes, keeps
 * the best `rerank`. */
enum inv_status inv_search_rescore(struct inv_searching *s,
                                   struct inv_err *err) INV_MUST_USE;
/* Every match becomes a hit (exact search). */
enum inv_status inv_search_take_all(struct inv_searching *s,
                                    struct inv_err *err) INV_MUST_USE;
/* Scores hits at stage->dims, keeps the best stage->keep, best first. */
enum inv_status inv_search_stage(struct inv_searching *s,
                                 struct inv_stage *stage,
                                 struct inv_err *err) INV_MUST_USE;
/* Best first: score, then id bytes. Keeps at most `keep`. */
void inv_hits_best(const struct inv_view *view, struct inv_hit *hits,
                   size_t *count, size_t keep);

#endif
