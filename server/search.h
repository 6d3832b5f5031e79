/*
 * search.h: the read pipeline. A query goes through it in this order:
 *
 *   filter -> lanes -> in each: query there -> code (FDE, prefix) -> planner
 *          -> segments -> rescore (kept codes) -> funnel (exact scores)
 *          -> cascade -> merge -> hits
 *
 * A lane is a space that has documents of its own; a collection of one model
 * has one. The gallery's comes first. The query is carried into a lane by the
 * bridge from its own space; a lane without one is left out, with a warning.
 *
 * Single: the funnel scores stored vectors, at ascending Matryoshka dims where
 * asked (the gallery's lane; others score whole vectors). Multi: it is MaxSim
 * over stored tokens. `exact` skips everything up to the funnel: it is the
 * oracle. Runs on one worker, over one view.
 */
#ifndef INV_SERVER_SEARCH_H
#define INV_SERVER_SEARCH_H

#include "server/app.h"
#include "server/upgrade/models.h"

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

/* What was known of the scores of a lane to put them on the scale of the first
 * one's, beside what the documents that both spaces hold say of it. */
enum inv_carry {
    INV_CARRY_NOTHING,    /* no hits, or the same scale */
    INV_CARRY_MAP,        /* the bridges' score maps */
    INV_CARRY_BACKGROUND, /* scores of documents at large in both spaces */
    INV_CARRY_NONE,       /* nothing */
};

/* What became of a space in a search. */
struct inv_lane {
    const struct inv_space *space;
    const struct inv_bridge *bridge;    /* NULL: the query is of this space */
    const struct inv_search_plan *plan; /* NULL: it was not searched */
    size_t home;      /* documents that can be found here only */
    bool unreachable; /* there is no bridge to them */
    size_t hits;      /* that went into the merge */
    enum inv_carry carry;
    size_t covered; /* documents of the list that gave its scale; 0: none */
};

/* Zeroed before the first search. What it points to lives as long as view and
 * arena. */
struct inv_search_answer {
    struct inv_view *view; /* set: search this one; else the current one */
    struct inv_db *db;     /* set: filters read payloads through it */
    bool stale; /* a filter read a payload that is newer than the view */
    const struct inv_settings *settings; /* the collection's */
    const struct inv_schema *bound; /* that the request's filter is bound to */
    struct inv_hit *hits;           /* best first, after offset and limit */
    size_t count;
    struct inv_search_plan plan;   /* of the gallery's lane; ms of all */
    bool weighted_cosine;          /* weighted tokens met the metric cosine */
    const struct inv_space *model; /* of the query */
    struct inv_lane lanes[INV_SPACES_MAX]; /* the gallery's first */
    size_t lane_count;
    struct inv_hit *list; /* best of the gallery's lane, before the merge */
    size_t list_count;
    bool cascaded; /* list was scored in the query's own space where it could */
    size_t covered;       /* of the list, that had a vector there */
    struct inv_hit *need; /* of the list, without a vector in the new model */
    size_t need_count;
    bool asks; /* for vectors of the new model: need is meant */
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

/* ---- between the files of the pipeline ---- */

/* The query in the code of one encoding. */
struct inv_query_code {
    const struct inv_encoder *encoder;
    float *code;   /* code_dim, whole */
    float *prefix; /* ann_dim, renormalised */
};

/* A search in one space. What lanes of a search share (from app to
 * deadline_ns) is in each of them; matches are of all parts of the view. */
struct inv_searching {
    struct inv_app *app;
    struct inv_collection *collection;
    const struct inv_settings *settings; /* of the space */
    const struct inv_search_request *request;
    const struct inv_view *view;
    const struct inv_models *models;
    const struct inv_space *space;
    const struct inv_bridge *bridge; /* that the query came over; NULL: it is
                                        of this space */
    struct inv_arena *arena;
    struct inv_search_plan *plan;
    struct inv_matrix query;      /* in the space */
    struct inv_query_code *codes; /* one per distinct encoding */
    size_t code_count;
    uint64_t **matches; /* a bitset per part: live and matching the filter */
    struct inv_filtered *filtered; /* that matches point into, or NULL */
    struct inv_hit *hits;
    size_t count, cap;
    const struct inv_schema *bound; /* of the filter; NULL: not yet */
    struct inv_db *db;              /* for payloads; NULL: borrow one */
    bool stale;          /* a payload was read that is not the view's */
    size_t want;         /* hits that the lane is to give */
    int64_t deadline_ns; /* 0: none */
};

/* Is this part of the view one of the lane's? */
static inline bool inv_in_lane(const struct inv_searching *s,
                               const struct inv_part *part) {
    return inv_part_space(part) == s->space->space;
}
const struct inv_query_code *inv_query_code(const struct inv_searching *s,
                                            const struct inv_part *part);
enum inv_status inv_search_deadline(const struct inv_searching *s,
                                    struct inv_err *err) INV_MUST_USE;
/* matches and plan->parts, of all spaces: which documents pass the filter. */
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
/* Exact scores of `hits` at `dims`, in place; NAN for a record that is damaged
 * (which the collection is told), *damaged of them. */
enum inv_status inv_search_score(struct inv_searching *s, uint32_t dims,
                                 struct inv_hit *hits, size_t count,
                                 size_t *damaged,
                                 struct inv_err *err) INV_MUST_USE;
/* Scores hits at stage->dims, keeps the best stage->keep, best first. */
enum inv_status inv_search_stage(struct inv_searching *s,
                                 struct inv_stage *stage,
                                 struct inv_err *err) INV_MUST_USE;
/* Best first: score, then id bytes. Keeps at most `keep`. */
void inv_hits_best(const struct inv_view *view, struct inv_hit *hits,
                   size_t *count, size_t keep);

/* Of scores. */
struct inv_score_moments {
    size_t count;
    double mean, squares; /* sum of squared deviations */
};
void inv_score_moments_add(struct inv_score_moments *moments, double x);

/* Scores x of one space on the scale of another: to + (x - from) * slope. */
struct inv_scale {
    size_t count; /* scores that it rests on; 0: not known */
    double from, to, slope;
};
/* By mean and deviation of both; where one has no deviation, a shift. Neither
 * may be empty. */
struct inv_scale inv_scale_between(const struct inv_score_moments *from,
                                   const struct inv_score_moments *to);
double inv_scale_apply(const struct inv_scale *scale, double score);

/* The lanes of a search; `own` is the one whose space is the query's (it may be
 * the gallery's). That one is there for the cascade even when no document is
 * found through it: `searched` says which are. */
struct inv_lanes {
    struct inv_searching items[INV_SPACES_MAX]; /* answer->lanes, in order */
    bool searched[INV_SPACES_MAX];
    size_t count;
    struct inv_searching *own;
    bool cascaded;
    bool native; /* the gallery's hits have scores of the query's own space */
    struct inv_scale scale; /* from the query's own space to the gallery's
                               hits, as the cascade found it */
};

/* ---- search_lanes.c ---- */

/* From the gallery's lane, with the query as it was given (of `model`):
 * carries the query to where it has documents to find. INV_SPACE_MISMATCH when
 * there is no bridge to the gallery. answer->lanes says what there is. */
enum inv_status inv_lanes_open(struct inv_lanes *lanes,
                               const struct inv_searching *gallery,
                               const struct inv_space *model,
                               const struct inv_matrix *query,
                               struct inv_search_answer *answer,
                               struct inv_err *err) INV_MUST_USE;

/* One list out of the lanes' (into the gallery lane's), the best `want` of it;
 * their scores are carried onto the scale of the first. */
enum inv_status inv_lanes_merge(struct inv_lanes *lanes, size_t want,
                                struct inv_search_answer *answer,
                                struct inv_err *err) INV_MUST_USE;

/* ---- search_cascade.c ---- */

/* How many of the gallery's best a search has to look at: offset + limit, and
 * where an upgrade is under way the cascade's depth. */
size_t inv_cascade_depth(const struct inv_lanes *lanes, size_t want);
/* The gallery lane's hits, scored in the query's own space where they have a
 * vector there and the upgrade says so. */
enum inv_status inv_cascade(struct inv_lanes *lanes,
                            struct inv_search_answer *answer,
                            struct inv_err *err) INV_MUST_USE;
/* The scale from a lane's scores to those of a list of another's hits, by the
 * list's documents that have a vector in the lane's space; count 0: fewer than
 * three have. */
enum inv_status inv_cascade_scale(struct inv_searching *lane,
                                  const struct inv_searching *list,
                                  struct inv_scale *scale,
                                  struct inv_err *err) INV_MUST_USE;
/* answer->need: those of the list that the new model has no vector of. */
enum inv_status inv_cascade_need(struct inv_lanes *lanes,
                                 struct inv_search_answer *answer,
                                 struct inv_err *err) INV_MUST_USE;

#endif
