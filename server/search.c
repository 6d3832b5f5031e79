/*
 * search.c: a query from request to hits. Each step is one function; where
 * candidates come from is search_candidates.c, how they are scored
 * search_score.c, how the answer is written search_answer.c.
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
        whole = (inv_segment_capabilities(s->view->parts[i].segment) &
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

static enum inv_status plan_search(struct inv_searching *s,
                                   struct inv_err *err) {
    const struct inv_search_params *asked = &s->request->params;
    const struct inv_search_params *of = &s->settings->params;
    struct inv_search_plan *plan = s->plan;
    s->want = (size_t)s->request->offset + s->request->limit;
    plan->exact = asked->exact_given ? asked->exact : of->exact;
    plan->candidates = budget(asked->candidates, of->candidates,
                              standard_candidates(s), s->want);
    plan->rescore =
        budget(asked->rescore, of->rescore, INV_RESCORE_DEFAULT, s->want);
    plan->rerank =
        budget(asked->rerank, of->rerank, INV_RERANK_DEFAULT, s->want);
    plan->parts =
        inv_arena_calloc(s->arena, s->view->count + 1, sizeof *plan->parts);
    if (plan->parts == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a plan");
    uint32_t timeout = first_of(asked->timeout_ms, of->timeout_ms);
    if (timeout != 0)
        s->deadline_ns =
            (int64_t)inv_now_ns() + (int64_t)timeout * INT64_C(1000000);
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

static enum inv_status take_query(struct inv_searching *s, bool *weighted,
                                  struct inv_err *err) {
    const struct inv_search_request *r = s->request;
    enum inv_status status =
        inv_settings_check_model(s->settings, r->model, err);
    if (status != INV_OK) {
        inv_err_at(err, "/model");
        return status;
    }
    bool multi_cosine = s->settings->multi && s->settings->metric == INV_COSINE;
    *weighted = multi_cosine &&
                (r->text != NULL || /* built-in models weight their tokens */
                 (r->query.matrix.data != NULL &&
                  is_weighted(&r->query.matrix)));
    return inv_take_vectors(s->app, s->settings, &r->query, r->text,
                            r->text_len, INV_TEXT_QUERY, "", s->arena,
                            &s->query, err);
}

/* One code for each distinct encoding in the view. */
static enum inv_status encode_query(struct inv_searching *s,
                                    struct inv_err *err) {
    const struct inv_view *view = s->view;
    s->codes = inv_arena_calloc(s->arena, view->count + 1, sizeof *s->codes);
    if (s->codes == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a query");
    for (size_t i = 0; i < view->count; i++) {
        struct inv_encoding *encoding = view->parts[i].segment->encoding;
        if (view->parts[i].count == 0 ||
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
    plan->ms[stage] = (double)(now - *since) / 1e6;
    *since = now;
}

static enum inv_status run(struct inv_searching *s, struct inv_err *err) {
    struct inv_search_plan *plan = s->plan;
    int64_t since = (int64_t)inv_now_ns();
    enum inv_status status = encode_query(s, err);
    lap(plan, 0, &since);
    if (status == INV_OK)
        status = inv_search_select(s, err);
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

enum inv_status inv_search(struct inv_app *app,
                           struct inv_collection *collection,
                           const struct inv_search_request *request,
                           struct inv_arena *arena,
                           struct inv_search_answer *out, struct inv_err *err) {
    out->settings = inv_collection_settings(collection);
    if (out->view == NULL)
        out->view = inv_gallery_view(collection->gallery);
    struct inv_searching s = {.app = app,
                              .collection = collection,
                              .settings = &out->settings->settings,
                              .request = request,
                              .view = out->view,
                              .arena = arena,
                              .plan = &out->plan,
                              .bound = out->bound,
                              .db = out->db};
    enum inv_status status = plan_search(&s, err);
    if (status == INV_OK)
        status = take_query(&s, &out->weighted_cosine, err);
    if (status == INV_OK)
        status = run(&s, err);
    inv_search_forget(&s);
    out->bound = s.bound;
    out->stale = s.stale;
    if (status != INV_OK)
        return status;
    size_t skip = request->offset < s.count ? request->offset : s.count;
    out->hits = s.hits + skip;
    out->count = s.count - skip;
    if (out->count > request->limit)
        out->count = request->limit;
    return INV_OK;
}

void inv_search_release(struct inv_search_answer *answer) {
    inv_ref_put(answer->view);
    inv_ref_put(answer->settings);
    answer->view = NULL;
    answer->settings = NULL;
}
