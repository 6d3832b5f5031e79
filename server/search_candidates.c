/*
 * search_candidates.c: which entries are worth scoring. For each segment the
 * filter becomes a bitset, and the planner chooses how to get candidates out
 * of it. A promise holds throughout: a search returns fewer hits than asked
 * only when fewer documents match, so wherever an index gives too few, every
 * match is taken instead.
 */
#include "server/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- filters ---- */

/* Reads the payload of an entry and tests what the postings could not. */
static enum inv_status test_payload(struct inv_searching *s, struct inv_db *db,
                                    const struct inv_part *part, size_t at,
                                    bool *match, struct inv_err *err) {
    const struct inv_entry *entry = &part->entries->items[at];
    const struct inv_filter *filter = s->request->filter;
    const struct inv_schema *schema = s->view->schema;
    struct inv_document_row document;
    struct inv_row *indexed = NULL;
    struct inv_row *unindexed = NULL;
    inv_json *json = NULL;
    enum inv_status status =
        inv_db_find_doc(db, entry->doc, inv_part_space(part), &document, err);
    if (status == INV_OK &&
        (document.doc == 0 || document.vseq != entry->vseq ||
         document.version > s->view->version))
        s->stale = true;
    if (status == INV_OK && document.payload != NULL) {
        status = inv_json_parse_plain(document.payload, document.payload_len,
                                      &json, err);
        if (status == INV_OK)
            status = inv_json_row(json, "/payload", schema->fields,
                                  schema->count, &indexed, err);
        if (status == INV_OK)
            status = inv_json_row(json, "/payload", filter->unindexed,
                                  filter->unindexed_count, &unindexed, err);
    }
    if (status == INV_OK)
        *match = inv_filter_matches(filter, entry->id, entry->id_len, indexed,
                                    unindexed);
    free(indexed);
    free(unindexed);
    inv_json_free(json);
    return status;
}

static enum inv_status scan_payloads(struct inv_searching *s,
                                     const struct inv_part *part,
                                     uint64_t *matches, size_t *scanned,
                                     struct inv_err *err) {
    struct inv_db *db = s->db;
    enum inv_status status = INV_OK;
    if (db == NULL)
        status = inv_catalog_borrow(s->app->catalog, &db, err);
    if (status != INV_OK)
        return status;
    for (size_t e = inv_bitset_next(matches, part->count, 0);
         status == INV_OK && e < part->count;
         e = inv_bitset_next(matches, part->count, e + 1)) {
        bool match = false;
        if ((*scanned)++ % 256 == 0)
            status = inv_search_deadline(s, err);
        if (status == INV_OK)
            status = test_payload(s, db, part, e, &match, err);
        if (!match)
            inv_bitset_remove(matches, e);
    }
    if (s->db == NULL)
        inv_catalog_return(s->app->catalog, db);
    return status;
}

static enum inv_status bind(struct inv_searching *s, struct inv_filter *filter,
                            struct inv_err *err) {
    const struct inv_schema *schema = s->view->schema;
    const struct inv_schema *bound = s->bound;
    s->bound = schema;
    if (bound == NULL)
        return inv_filter_bind(filter, schema->fields, schema->count, err);
    if (bound == schema)
        return INV_OK;
    return inv_fail(err, INV_BUSY,
                    "the indexed fields have just changed: try again");
}

static enum inv_status filter_part(struct inv_searching *s, size_t at,
                                   struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    const struct inv_filter *filter = s->request->filter;
    s->matches[at] = inv_arena_alloc(s->arena, inv_bitset_words(part->count) *
                                                   sizeof(uint64_t));
    if (s->matches[at] == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a filter");
    inv_part_select(part, filter, s->matches[at], &plan->scanned);
    enum inv_status status = INV_OK;
    if (inv_filter_needs_scan(filter))
        status = scan_payloads(s, part, s->matches[at], &plan->scanned, err);
    plan->matches = inv_bitset_count(s->matches[at], part->count);
    return status;
}

static void remember(struct inv_searching *s, const struct inv_buf *key) {
    const struct inv_view *view = s->view;
    size_t *words =
        inv_arena_calloc(s->arena, 2 * view->count + 1, sizeof *words);
    if (words == NULL)
        return;
    size_t *matches = words + view->count;
    for (size_t i = 0; i < view->count; i++) {
        words[i] = inv_bitset_words(view->parts[i].count);
        matches[i] = s->plan->parts[i].matches;
    }
    inv_filter_cache_put(view->filters, key->data, key->len, view->count,
                         s->matches, words, matches);
}

/* The filter's bitsets, from the view's cache or worked out. */
static enum inv_status apply_filter(struct inv_searching *s,
                                    const struct inv_buf *key,
                                    struct inv_err *err) {
    const struct inv_view *view = s->view;
    enum inv_status status = INV_OK;
    s->filtered = inv_filter_cache_get(view->filters, key->data, key->len);
    s->plan->filter_cached = s->filtered != NULL;
    if (s->filtered == NULL) {
        for (size_t i = 0; status == INV_OK && i < view->count; i++)
            status = filter_part(s, i, err);
        if (status == INV_OK && !s->stale)
            remember(s, key);
        return status;
    }
    for (size_t i = 0; i < view->count; i++) {
        s->matches[i] = s->filtered->sets[i];
        s->plan->parts[i].matches = s->filtered->matches[i];
    }
    return INV_OK;
}

/* Every document of a part that is found in it. */
static enum inv_status take_home(struct inv_searching *s, size_t at,
                                 struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    plan->live = plan->matches = inv_part_home(part);
    s->matches[at] = part->live->set;
    if (part->shadowed == NULL || s->request->filter != NULL)
        return INV_OK;
    s->matches[at] = inv_arena_alloc(s->arena, inv_bitset_words(part->count) *
                                                   sizeof(uint64_t));
    if (s->matches[at] == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a search");
    inv_part_select(part, NULL, s->matches[at], &plan->scanned);
    return INV_OK;
}

enum inv_status inv_search_select(struct inv_searching *s,
                                  struct inv_err *err) {
    const struct inv_view *view = s->view;
    struct inv_filter *filter = s->request->filter;
    struct inv_buf key = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    s->matches =
        inv_arena_calloc(s->arena, view->count + 1, sizeof(uint64_t *));
    if (s->matches == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a filter");
    for (size_t i = 0; status == INV_OK && i < view->count; i++)
        status = take_home(s, i, err);
    if (filter == NULL || status != INV_OK)
        return status;
    status = bind(s, filter, err);
    if (status != INV_OK)
        return status;
    inv_filter_key(filter, &key);
    if (key.failed)
        status = inv_fail(err, INV_MEMORY, "out of memory for a filter");
    else
        status = apply_filter(s, &key, err);
    inv_buf_release(&key);
    return status;
}

void inv_search_forget(struct inv_searching *s) {
    inv_ref_put(s->filtered);
    s->filtered = NULL;
}

/* ---- candidates ---- */

static enum inv_status reserve(struct inv_searching *s, size_t more,
                               struct inv_err *err) {
    if (s->count + more <= s->cap)
        return INV_OK;
    size_t cap = s->count + more + s->cap;
    struct inv_hit *hits = inv_arena_alloc(s->arena, cap * sizeof *hits);
    if (hits == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu candidates",
                        cap);
    if (s->count > 0)
        memcpy(hits, s->hits, s->count * sizeof *hits);
    s->hits = hits;
    s->cap = cap;
    return INV_OK;
}

static enum inv_status take_matches(struct inv_searching *s, size_t at,
                                    struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    enum inv_status status = reserve(s, plan->matches, err);
    if (status != INV_OK)
        return status;
    for (size_t e = inv_bitset_next(s->matches[at], part->count, 0);
         e < part->count;
         e = inv_bitset_next(s->matches[at], part->count, e + 1))
        s->hits[s->count++] = (struct inv_hit){
            .score = INFINITY, .part = (uint32_t)at, .entry = (uint32_t)e};
    plan->candidates = plan->matches;
    return INV_OK;
}

enum inv_status inv_search_take_all(struct inv_searching *s,
                                    struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < s->view->count; i++) {
        if (!inv_in_lane(s, &s->view->parts[i]))
            continue;
        s->plan->parts[i].strategy = INV_PLAN_EXACT;
        status = take_matches(s, i, err);
    }
    return status;
}

/* Scoring every match costs about .2 us a vector; a graph walk that has to
 * find k among 1/share of the entries visits 8 k / share. An index without
 * selector is asked for 1.2 k / share, of which each costs half a match. For
 * MaxSim (tens of us a document) all matches are taken only when they fit the
 * budget. */
static bool exact_is_cheaper(const struct inv_searching *s,
                             const struct inv_part_plan *plan, size_t k,
                             bool selector) {
    if (plan->matches <= k)
        return true;
    if (s->settings->multi)
        return false;
    return (double)plan->matches * (double)plan->matches <=
           (selector ? 8.0 : 2.4) * (double)k * (double)plan->live;
}

static enum inv_strategy choose(const struct inv_searching *s,
                                const struct inv_part *part,
                                const struct inv_part_plan *plan, size_t k) {
    unsigned caps = inv_segment_capabilities(part->segment);
    if (plan->matches == 0)
        return INV_PLAN_SKIP;
    if (caps & INV_ANN_EXACT)
        return INV_PLAN_SCAN;
    if (plan->matches == part->count)
        return INV_PLAN_INDEX;
    bool selector = (caps & INV_ANN_SELECTOR) != 0;
    if (exact_is_cheaper(s, plan, k, selector))
        return INV_PLAN_EXACT;
    return selector ? INV_PLAN_SELECTOR : INV_PLAN_WIDEN;
}

/* With a selector the index widens ef and nprobe by the share itself. */
static struct inv_ann_params index_params(const struct inv_searching *s) {
    const struct inv_search_params *asked = &s->request->params;
    const struct inv_search_params *of = &s->settings->params;
    return (struct inv_ann_params){.ef = asked->ef != 0 ? asked->ef : of->ef,
                                   .nprobe = asked->nprobe != 0 ? asked->nprobe
                                                                : of->nprobe};
}

/* Searches the index for k and keeps those that match. */
static enum inv_status ask_index(struct inv_searching *s, size_t at, size_t k,
                                 const struct inv_ann_params *given,
                                 struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    struct inv_ann_params params = *given;
    const struct inv_query_code *query = inv_query_code(s, part);
    bool checked = plan->strategy == INV_PLAN_WIDEN;
    if (!checked && plan->matches < part->count)
        params.allowed = s->matches[at];
    size_t found = 0;
    struct inv_ann_hit *hits = inv_arena_alloc(s->arena, k * sizeof *hits);
    enum inv_status status = reserve(s, k, err);
    if (status == INV_OK && hits == NULL)
        status =
            inv_fail(err, INV_MEMORY, "out of memory for %zu candidates", k);
    if (status == INV_OK)
        status = inv_segment_search(part->segment, part->count, query->prefix,
                                    k, &params, hits, &found, err);
    if (status != INV_OK)
        return status;
    plan->candidates = 0;
    for (size_t i = 0; i < found; i++) {
        if (checked && !inv_bitset_has(s->matches[at], hits[i].entry))
            continue;
        s->hits[s->count++] = (struct inv_hit){.score = hits[i].score,
                                               .part = (uint32_t)at,
                                               .entry = hits[i].entry};
        plan->candidates++;
    }
    return INV_OK;
}

static enum inv_status fall_back(struct inv_searching *s, size_t at,
                                 size_t before, struct inv_err *err) {
    s->count = before;
    s->plan->parts[at].fallback = true;
    return take_matches(s, at, err);
}

/* Asks for as many more as the share of matches suggests. Fewer than half of k
 * matches among them mean that the filter goes with the vectors and the query
 * lies elsewhere (being content with 10 of 500 cost recall: .944 instead of
 * .989 for one half of 200,000): then four times as many, from four times as
 * many lists, until scoring every match is cheaper. */
static enum inv_status widen(struct inv_searching *s, size_t at, size_t k,
                             struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    struct inv_ann_params params = index_params(s);
    struct inv_ann_config config;
    inv_segment_config(part->segment, &config);
    size_t before = s->count;
    size_t count = part->count;
    size_t lists = params.nprobe != 0 ? params.nprobe : config.nprobe;
    double ask = 16 + 1.2 * (double)k * (double)count / (double)plan->matches;
    enum inv_status status = INV_OK;
    for (bool all = false; status == INV_OK && !all; ask *= 4, lists *= 4) {
        all = ask >= (double)count;
        params.nprobe =
            (uint32_t)(all || lists > config.nlist ? config.nlist : lists);
        s->count = before;
        status = ask_index(s, at, all ? count : (size_t)ask, &params, err);
        if (2 * plan->candidates >= k)
            break;
        if (status == INV_OK && !all && !s->settings->multi &&
            8 * ask > (double)plan->matches)
            return fall_back(s, at, before, err);
    }
    if (status == INV_OK && plan->candidates > k) {
        s->count = before + k; /* the index gives them best first */
        plan->candidates = k;
    }
    return status;
}

static uint32_t four_times(size_t n, size_t most) {
    return (uint32_t)(n > most / 4 ? most : 4 * n);
}

/* The index honours the filter, but looks near the query: few matches there
 * mean what they mean to widen(). Asked for enough, an index reads all of them.
 * (HNSW, 200,000 vectors of which one half matches, and most queries on the
 * other side: recall .62 without this.) */
static enum inv_status insist(struct inv_searching *s, size_t at, size_t k,
                              struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    struct inv_ann_params params = index_params(s);
    struct inv_ann_config config;
    inv_segment_config(part->segment, &config);
    size_t before = s->count;
    size_t ef = params.ef > k ? params.ef : k;
    size_t lists = params.nprobe != 0 ? params.nprobe : config.nprobe;
    enum inv_status status = ask_index(s, at, k, &params, err);
    for (int i = 0; i < 8 && status == INV_OK && 2 * plan->candidates < k;
         i++) {
        ef = params.ef = four_times(ef, part->count);
        lists = params.nprobe = four_times(lists, config.nlist);
        s->count = before;
        status = ask_index(s, at, k, &params, err);
    }
    return status;
}

#define PROBES 64

/* A filter may shut out just the neighbourhood of the query (a field that goes
 * with the vectors' clusters): an index then walks among entries that do not
 * count, and what it finds is not the nearest of those that do (recall .62 at
 * half the entries of 200,000). Seen by how many of the nearest PROBES match,
 * against the share that all entries would give. */
static enum inv_status is_remote(struct inv_searching *s, size_t at,
                                 bool *remote, struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    const struct inv_part_plan *plan = &s->plan->parts[at];
    struct inv_ann_params params = {0};
    struct inv_ann_hit hits[PROBES];
    size_t found = 0;
    enum inv_status status = inv_segment_search(
        part->segment, part->count, inv_query_code(s, part)->prefix, PROBES,
        &params, hits, &found, err);
    size_t matching = 0;
    for (size_t i = 0; status == INV_OK && i < found; i++)
        matching += inv_bitset_has(s->matches[at], hits[i].entry);
    double expected =
        (double)found * (double)plan->matches / (double)part->count;
    *remote = (double)matching < expected / 4;
    return status;
}

static enum inv_status part_candidates(struct inv_searching *s, size_t at,
                                       struct inv_err *err) {
    const struct inv_part *part = &s->view->parts[at];
    struct inv_part_plan *plan = &s->plan->parts[at];
    size_t k = s->plan->candidates;
    plan->strategy = choose(s, part, plan, k);
    size_t before = s->count;
    enum inv_status status = INV_OK;
    if (plan->strategy == INV_PLAN_SKIP)
        return INV_OK;
    bool remote = false;
    if (!s->settings->multi && (plan->strategy == INV_PLAN_SELECTOR ||
                                plan->strategy == INV_PLAN_WIDEN))
        status = is_remote(s, at, &remote, err);
    if (status == INV_OK && remote)
        plan->strategy = INV_PLAN_EXACT;
    if (status != INV_OK)
        return status;
    if (plan->strategy == INV_PLAN_EXACT)
        return take_matches(s, at, err);
    struct inv_ann_params params = index_params(s);
    if (k > part->count)
        k = part->count;
    if (plan->strategy == INV_PLAN_WIDEN)
        status = widen(s, at, k, err);
    else if (plan->strategy == INV_PLAN_SELECTOR)
        status = insist(s, at, k, err);
    else
        status = ask_index(s, at, k, &params, err);
    size_t enough = s->want < plan->matches ? s->want : plan->matches;
    if (status == INV_OK && plan->candidates < enough)
        status = fall_back(s, at, before, err);
    return status;
}

enum inv_status inv_search_candidates(struct inv_searching *s,
                                      struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < s->view->count; i++) {
        if (!inv_in_lane(s, &s->view->parts[i]))
            continue;
        status = inv_search_deadline(s, err);
        if (status == INV_OK)
            status = part_candidates(s, i, err);
    }
    return status;
}
