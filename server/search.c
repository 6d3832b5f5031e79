/*
 * search.c: a query from request to hits. Each step is one function; how the
 * query gets into the spaces of a collection is search_lanes.c, where
 * candidates come from search_candidates.c, how they are scored search_score.c,
 * what an upgrade adds search_cascade.c, how the answer is written
 * search_answer.c.
 */
#include "server/search.h"

#include "base/clock.h"
#include "base/kernels.h"
#include "server/ingest.h"

#include <math.h>
#include <string.h>

/* ---- budgets and funnel ---- */

static uint32_t first_of(uint32_t a, uint32_t b) { return a != 0 ? a : b; }

static size_t budget(uint32_t asked, uint32_t of_collection, uint32_t standard,
                     size_t want) {
    size_t value = first_of(first_of(asked, of_collection), standard);
    return value < want ? want : value;
}

/* An index that holds whole vectors uncompressed has nothing to make up for:
 * 128 candidates give what 500 give, in a third of the time. */
static uint32_t standard_candidates(const struct inv_searching *s) {
    bool whole = s->settings->encoder.type == INV_ENCODER_NONE;
    for (size_t i = 0; i < s->view->count && whole; i++)
        whole = !inv_in_lane(s, &s->view->parts[i]) ||
                (inv_segment_capabilities(s->view->parts[i].segment) &
                 (INV_ANN_COMPRESSED | INV_ANN_EXACT)) != INV_ANN_COMPRESSED;
    return whole ? 128 : INV_CANDIDATES_DEFAULT;
}

/* {"dims":[64,128,384],"keep":[400,100]}: 400 of the index at 64, 100 of those
 * at 128, the rest at 384. Without dims: one stage at full length. */
static enum inv_status plan_funnel(struct inv_searching *s,
                                   const struct inv_search_params *p,
                                   struct inv_err *err) {
    struct inv_search_plan *plan = s->plan;
    size_t enters = s->settings->multi ? plan->rerank : plan->candidates;
    plan->stage_count = 0;
    if (p->dims_count == 0) {
        plan->stages[plan->stage_count++] = (struct inv_stage){
            .dims = (uint32_t)s->settings->dim, .keep = s->want};
        return INV_OK;
    }
    enum inv_status status = inv_settings_check_dims(s->settings, p, "", err);
    if (status != INV_OK)
        return status;
    uint32_t indexed = s->settings->multi ? 0 : s->settings->encoder.index_dims;
    for (size_t i = 0; i < p->dims_count; i++) {
        bool last = i + 1 == p->dims_count;
        size_t keep = enters / 4;
        if (i < p->keep_count)
            keep = p->keep[i];
        else if (i == 0 && p->dims[0] <= indexed)
            keep = enters;
        if (last || keep < s->want)
            keep = s->want;
        if (!last && p->dims[i] <= indexed) {
            plan->candidates = keep; /* the index does this step */
        } else if (!plan->exact || last) {
            plan->stages[plan->stage_count++] =
                (struct inv_stage){.dims = p->dims[i], .keep = keep};
        }
        enters = keep;
    }
    return INV_OK;
}

/* Of a lane that is to give `want` hits. Only the gallery's has a funnel: its
 * dims are declared by the gallery's model. */
static enum inv_status plan_lane(struct inv_searching *s, size_t want,
                                 bool gallery, struct inv_err *err) {
    static const struct inv_search_params whole = {.dims_count = 0};
    const struct inv_search_params *asked = &s->request->params;
    const struct inv_search_params *of = &s->settings->params;
    struct inv_search_plan *plan = s->plan;
    s->want = want;
    plan->exact = asked->exact_given ? asked->exact : of->exact;
    plan->candidates =
        budget(asked->candidates, of->candidates, standard_candidates(s), want);
    plan->rescore =
        budget(asked->rescore, of->rescore, INV_RESCORE_DEFAULT, want);
    plan->rerank = budget(asked->rerank, of->rerank, INV_RERANK_DEFAULT, want);
    if (!gallery)
        return plan_funnel(s, &whole, err);
    return plan_funnel(s, asked->dims_count > 0 ? asked : of, err);
}

enum inv_status inv_search_deadline(const struct inv_searching *s,
                                    struct inv_err *err) {
    if (s->deadline_ns == 0 || (int64_t)inv_now_ns() < s->deadline_ns)
        return INV_OK;
    uint32_t ms =
        first_of(s->request->params.timeout_ms, s->settings->params.timeout_ms);
    return inv_fail(err, INV_TIMEOUT,
                    "the search took longer than its timeout_ms of %u", ms);
}

/* ---- the query ---- */

static bool is_weighted(const struct inv_matrix *m) {
    for (size_t i = 0; i < m->rows; i++) {
        const float *row = m->data + i * m->dim;
        float square = inv_dot_f32(row, row, m->dim);
        if (fabsf(square - 1.0f) > 0.05f)
            return true;
    }
    return false;
}

/* Which model the query is of, and its vectors. */
static enum inv_status take_query(const struct inv_searching *s,
                                  struct inv_search_answer *out,
                                  struct inv_matrix *query,
                                  struct inv_err *err) {
    const struct inv_search_request *r = s->request;
    enum inv_status status =
        inv_models_find(s->models, r->model, &out->model, err);
    if (status != INV_OK) {
        inv_err_at(err, "/model");
        return status;
    }
    const struct inv_settings *settings = &out->model->settings->settings;
    out->weighted_cosine =
        settings->multi && settings->metric == INV_COSINE &&
        (r->text != NULL || /* built-in models weight their tokens */
         (r->query.matrix.data != NULL && is_weighted(&r->query.matrix)));
    return inv_take_vectors(s->app, settings, &r->query, r->text, r->text_len,
                            INV_TEXT_QUERY, "", s->arena, query, err);
}

/* One code for each distinct encoding in the lane. */
static enum inv_status encode_query(struct inv_searching *s,
                                    struct inv_err *err) {
    const struct inv_view *view = s->view;
    s->codes = inv_arena_calloc(s->arena, view->count + 1, sizeof *s->codes);
    if (s->codes == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    for (size_t i = 0; i < view->count; i++) {
        struct inv_encoding *encoding = view->parts[i].segment->encoding;
        if (view->parts[i].count == 0 || !inv_in_lane(s, &view->parts[i]) ||
            inv_query_code(s, &view->parts[i]) != NULL)
            continue;
        struct inv_query_code *q = &s->codes[s->code_count++];
        q->encoder = (const struct inv_encoder *)encoding;
        q->code =
            inv_arena_alloc(s->arena, encoding->code_dim * sizeof *q->code);
        q->prefix =
            inv_arena_alloc(s->arena, encoding->code_dim * sizeof *q->prefix);
        if (q->code == NULL || q->prefix == NULL)
            return inv_fail(err, INV_MEMORY, "out of memory for a query");
        enum inv_status status =
            inv_encoder_query(q->encoder, &s->query, q->code, err);
        if (status != INV_OK)
            return status;
        memcpy(q->prefix, q->code, encoding->code_dim * sizeof *q->code);
        inv_encoding_prefix(encoding, q->prefix);
    }
    return INV_OK;
}

const struct inv_query_code *inv_query_code(const struct inv_searching *s,
                                            const struct inv_part *part) {
    for (size_t i = 0; i < s->code_count; i++)
        if (&s->codes[i].encoder->base == part->segment->encoding)
            return &s->codes[i];
    return NULL;
}

/* ---- the pipeline ---- */

static void lap(struct inv_search_plan *plan, int stage, int64_t *since) {
    int64_t now = (int64_t)inv_now_ns();
    plan->ms[stage] += (double)(now - *since) / 1e6;
    *since = now;
}

static enum inv_status run_lane(struct inv_searching *s, struct inv_err *err) {
    struct inv_search_plan *plan = s->plan;
    int64_t since = (int64_t)inv_now_ns();
    enum inv_status status = encode_query(s, err);
    lap(plan, 0, &since);
    if (status == INV_OK)
        status = plan->exact ? inv_search_take_all(s, err)
                             : inv_search_candidates(s, err);
    lap(plan, 1, &since);
    if (status == INV_OK && !plan->exact)
        status = inv_search_rescore(s, err);
    lap(plan, 2, &since);
    for (size_t i = 0; status == INV_OK && i < plan->stage_count; i++)
        status = inv_search_stage(s, &plan->stages[i], err);
    lap(plan, 3, &since);
    return status;
}

/* Every lane gives its best; the gallery's as many as the cascade looks at. */
static enum inv_status run_lanes(struct inv_lanes *lanes, size_t want,
                                 struct inv_err *err) {
    struct inv_search_plan *plan = lanes->items[0].plan;
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < lanes->count; i++) {
        struct inv_searching *lane = &lanes->items[i];
        if (!lanes->searched[i])
            continue;
        status = plan_lane(lane, i == 0 ? inv_cascade_depth(lanes, want) : want,
                           i == 0, err);
        if (status == INV_OK)
            status = run_lane(lane, err);
        for (size_t j = 0; i > 0 && j < sizeof plan->ms / sizeof *plan->ms; j++)
            plan->ms[j] += lane->plan->ms[j];
    }
    return status;
}

static enum inv_status start(struct inv_searching *s,
                             struct inv_search_answer *out,
                             struct inv_err *err) {
    const struct inv_search_request *r = s->request;
    uint32_t timeout =
        first_of(r->params.timeout_ms, s->settings->params.timeout_ms);
    if (timeout != 0)
        s->deadline_ns =
            (int64_t)inv_now_ns() + (int64_t)timeout * INT64_C(1000000);
    out->plan = (struct inv_search_plan){.exact = false};
    out->list_count = out->covered = out->need_count = out->lane_count = 0;
    out->cascaded = out->asks = false;
    out->plan.parts =
        inv_arena_calloc(s->arena, s->view->count + 1, sizeof *out->plan.parts);
    if (out->plan.parts == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a plan");
    return INV_OK;
}

/* s: of the gallery's lane. */
static enum inv_status run(struct inv_searching *s, size_t want,
                           struct inv_lanes *lanes,
                           struct inv_search_answer *out, struct inv_err *err) {
    struct inv_matrix query = {.data = NULL};
    enum inv_status status = start(s, out, err);
    if (status == INV_OK)
        status = take_query(s, out, &query, err);
    int64_t since = (int64_t)inv_now_ns();
    if (status == INV_OK)
        status = inv_search_select(s, err);
    lap(s->plan, 1, &since);
    if (status == INV_OK)
        status = inv_lanes_open(lanes, s, out->model, &query, out, err);
    lap(s->plan, 0, &since);
    if (status == INV_OK)
        status = run_lanes(lanes, want, err);
    since = (int64_t)inv_now_ns();
    if (status == INV_OK)
        status = inv_cascade(lanes, out, err);
    if (status == INV_OK)
        status = inv_cascade_need(lanes, out, err);
    if (status == INV_OK)
        status = inv_lanes_merge(lanes, want, out, err);
    lap(s->plan, 3, &since);
    return status;
}

enum inv_status inv_search(struct inv_app *app,
                           struct inv_collection *collection,
                           const struct inv_search_request *request,
                           struct inv_arena *arena,
                           struct inv_search_answer *out, struct inv_err *err) {
    if (out->view == NULL)
        out->view = inv_gallery_view(collection->gallery);
    const struct inv_models *models = inv_view_models(out->view);
    struct inv_searching s = {.app = app,
                              .collection = collection,
                              .settings = &models->settings->settings,
                              .request = request,
                              .view = out->view,
                              .models = models,
                              .space = &models->spaces[0],
                              .arena = arena,
                              .plan = &out->plan,
                              .bound = out->bound,
                              .db = out->db};
    struct inv_lanes lanes = {.count = 0};
    out->settings = s.settings;
    enum inv_status status =
        run(&s, (size_t)request->offset + request->limit, &lanes, out, err);
    inv_search_forget(&s);
    out->bound = s.bound;
    out->stale = s.stale;
    if (status != INV_OK)
        return status;
    const struct inv_searching *best = &lanes.items[0];
    size_t skip = request->offset < best->count ? request->offset : best->count;
    out->hits = best->hits + skip;
    out->count = best->count - skip;
    if (out->count > request->limit)
        out->count = request->limit;
    return INV_OK;
}

void inv_search_release(struct inv_search_answer *answer) {
    inv_ref_put(answer->view);
    answer->view = NULL;
}
