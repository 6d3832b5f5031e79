/*
 * gallery_build.c: seal, merge and rebuild: one function with different inputs.
 *
 *   freeze (writer)  a new fresh part takes what comes from now on
 *   gather           live entries of the inputs, by vseq
 *   build, open      index files in a new directory, checked by reading
 *   postings         from payload values in memory or the catalog
 *   swap (writer)    catalog row and view change in one commit
 *
 * What died or was patched in the meantime is carried over in the swap.
 */
#include "index/gallery_job.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum inv_ann_type inv_ann_auto(size_t count, size_t dim) {
    if (count <= 20000)
        return INV_ANN_FLAT;
    if (count <= 1000000)
        return dim > 512 ? INV_ANN_HNSW_SQ8 : INV_ANN_HNSW;
    return INV_ANN_IVF_PQ;
}

/* Fresh entries of a space; *full: one of its parts takes no more. */
static size_t count_fresh(const struct inv_view *view, int64_t space,
                          bool *full) {
    size_t fresh = 0;
    *full = false;
    for (size_t i = 0; i < view->count; i++) {
        const struct inv_part *part = &view->parts[i];
        if (part->segment->gen != 0 || inv_part_space(part) != space)
            continue;
        fresh += part->live->count;
        *full = *full || part->count == part->segment->cap;
    }
    return fresh;
}

bool inv_gallery_wants_build(struct inv_gallery *gallery, size_t idle_entries,
                             int64_t idle_ns, int64_t *space) {
    struct inv_view *view = inv_gallery_view(gallery);
    int64_t quiet = (int64_t)inv_now_ns() - inv_gallery_changed_ns(gallery);
    pthread_mutex_lock(&gallery->lock);
    bool lost = gallery->lost_count > 0;
    pthread_mutex_unlock(&gallery->lock);
    bool wants = false;
    for (size_t i = 0; i < view->space_count && !wants; i++) {
        bool full = false;
        size_t fresh = count_fresh(view, view->spaces[i].space, &full);
        *space = view->spaces[i].space;
        wants = full || (fresh >= idle_entries && quiet > idle_ns) ||
                (lost && fresh > 0);
    }
    if (!wants && lost) { /* nothing of it is alive: its row goes */
        *space = inv_view_gallery(view);
        wants = true;
    }
    inv_ref_put(view);
    return wants;
}

/* ---- freeze ---- */

static enum inv_status freeze(void *ctx, struct inv_db *db,
                              struct inv_err *err) {
    struct inv_build_job *job = ctx;
    struct inv_gallery *gallery = job->gallery;
    (void)db;
    struct inv_view *next = inv_gallery_edit(gallery);
    if (next == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a view");
    int64_t space = job->build->space;
    job->space = space == 0 ? inv_view_gallery(next) : space;
    struct inv_encoding *encoding = inv_view_encoding(next, job->space);
    if (encoding == NULL)
        return inv_fail(err, INV_SPACE_MISMATCH,
                        "the model was removed from the collection meanwhile");
    job->gen = gallery->counters.gen++;
    job->before = gallery->counters.vseq;
    const struct inv_part *last = inv_gallery_last(next, job->space);
    if (last == NULL || last->segment->gen != 0 || last->count == 0)
        return INV_OK;
    size_t cap = last->segment->cap < gallery->fresh_limit
                     ? last->segment->cap
                     : gallery->fresh_limit;
    return inv_gallery_add_fresh(gallery, encoding, cap, err);
}

/* ---- choosing and gathering ---- */

/* Writes go on between the freeze and the look at the view: a part of theirs
 * still grows and must not be taken. */
static bool is_frozen(const struct inv_build_job *job, size_t at) {
    const struct inv_part *part = &job->view->parts[at];
    if (part->count == 0)
        return part != inv_gallery_last(job->view, job->space);
    return part->entries->items[0].vseq < job->before;
}

static bool is_input(const struct inv_build_job *job,
                     const struct inv_part *part) {
    for (size_t i = 0; i < job->input_count; i++)
        if (job->inputs[i] == part)
            return true;
    return false;
}

static bool is_of(const struct inv_build_job *job, const struct inv_part *part,
                  bool fresh) {
    return inv_part_space(part) == job->space &&
           (part->segment->gen == 0) == fresh;
}

static size_t take_input(struct inv_build_job *job, struct inv_part *part) {
    job->inputs[job->input_count++] = part;
    return part->live->count;
}

/* All fresh parts but the active one; with everything all sealed ones too, else
 * those that are not much larger than what is being written anyway, so that
 * the number of segments stays logarithmic. */
static enum inv_status choose_inputs(struct inv_build_job *job,
                                     struct inv_err *err) {
    struct inv_view *view = job->view;
    job->inputs = calloc(view->count + 1, sizeof(struct inv_part *));
    job->now = calloc(view->count + 1, sizeof(struct inv_part *));
    if (job->inputs == NULL || job->now == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a build");
    size_t size = 0;
    for (size_t i = 0; i < view->count; i++) {
        struct inv_part *part = &view->parts[i];
        if (is_of(job, part, true) && is_frozen(job, i))
            size += take_input(job, part);
    }
    bool more = job->input_count > 0 || job->build->everything;
    while (more) {
        more = false;
        for (size_t i = 0; i < view->count; i++) {
            struct inv_part *part = &view->parts[i];
            bool small =
                job->build->everything || part->live->count <= 2 * size;
            if (!small || !is_of(job, part, false) || is_input(job, part))
                continue;
            size += take_input(job, part);
            more = true;
        }
    }
    return INV_OK;
}

static int by_vseq(const void *a, const void *b) {
    uint64_t x = ((const struct inv_build_origin *)a)->vseq;
    uint64_t y = ((const struct inv_build_origin *)b)->vseq;
    return (x > y) - (x < y);
}

/* A record that is damaged is left out, and said, rather than let it stop every
 * build from now on. The check reads all of it: what is built is right. */
static bool can_read(const struct inv_build_job *job,
                     const struct inv_entry *entry) {
    struct inv_record record;
    struct inv_err why = {0};
    if (inv_vlog_check(job->view->logs, &entry->place, &record, &why) == INV_OK)
        return true;
    inv_gallery_damaged(job->gallery, why.text);
    return false;
}

static enum inv_status gather(struct inv_build_job *job, struct inv_err *err) {
    size_t count = 0;
    for (size_t i = 0; i < job->input_count; i++)
        count += job->inputs[i]->live->count;
    job->origins = malloc((count + 1) * sizeof *job->origins);
    job->vseqs = malloc((count + 1) * sizeof *job->vseqs);
    if (job->origins == NULL || job->vseqs == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu entries",
                        count);
    for (size_t i = 0; i < job->input_count; i++) {
        const struct inv_part *part = job->inputs[i];
        for (size_t e = inv_bitset_next(part->live->set, part->count, 0);
             e < part->count;
             e = inv_bitset_next(part->live->set, part->count, e + 1))
            if (can_read(job, &part->entries->items[e]))
                job->origins[job->count++] = (struct inv_build_origin){
                    .vseq = part->entries->items[e].vseq,
                    .input = (uint32_t)i,
                    .local = (uint32_t)e};
    }
    if (job->count > 0)
        qsort(job->origins, job->count, sizeof *job->origins, by_vseq);
    for (size_t i = 0; i < job->count; i++)
        job->vseqs[i] = job->origins[i].vseq;
    return INV_OK;
}

static const struct inv_entry *origin_entry(const struct inv_build_job *job,
                                            size_t i) {
    const struct inv_build_origin *origin = &job->origins[i];
    return &job->inputs[origin->input]->entries->items[origin->local];
}

/* ---- building ---- */

static enum inv_status read_stored(void *ctx, size_t i, struct inv_codes *out,
                                   struct inv_err *err) {
    struct inv_build_job *job = ctx;
    return inv_vlog_get(job->view->logs, &origin_entry(job, i)->place, out,
                        err);
}

static bool progress(void *ctx, const char *stage, size_t done, size_t total) {
    const struct inv_build *build = ((struct inv_build_job *)ctx)->build;
    return build->progress != NULL &&
           build->progress(build->ctx, stage, done, total);
}

static enum inv_status check_memory(const struct inv_ann_config *config,
                                    size_t count, struct inv_err *err) {
    size_t need = inv_ann_estimate(config, count);
    size_t have =
        (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    if (need > have / 10 * 9)
        return inv_fail(err, INV_MEMORY,
                        "building %s over %zu entries needs about %zu MB, "
                        "this machine has %zu MB",
                        inv_ann_type_name(config->type), count, need >> 20,
                        have >> 20);
    return INV_OK;
}

static enum inv_status make_segment(struct inv_build_job *job,
                                    struct inv_err *err) {
    struct inv_gallery *gallery = job->gallery;
    struct inv_encoding *encoding = inv_view_encoding(job->view, job->space);
    struct inv_ann_config config = job->build->config;
    if (config.type == INV_ANN_AUTO)
        config.type = inv_ann_auto(job->count, encoding->ann_dim);
    job->build->built = config.type;
    config.dim = encoding->ann_dim;
    struct inv_segment_source source = {.read = read_stored,
                                        .vseqs = job->vseqs,
                                        .count = job->count,
                                        .progress = progress,
                                        .ctx = job};
    enum inv_status status = check_memory(&config, job->count, err);
    if (status == INV_OK)
        status = inv_segment_build(job->dir, job->gen, encoding, &config,
                                   &source, err);
    uint64_t *vseqs = NULL;
    if (status == INV_OK)
        status = inv_segment_open(job->dir, job->gen, inv_gallery_encoding,
                                  gallery, &job->part.segment, &vseqs, err);
    free(vseqs);
    return status;
}

/* Values of an entry: in memory, or from the catalog (*owned is freed). */
static enum inv_status entry_row(struct inv_build_job *job, struct inv_db *db,
                                 size_t i, const struct inv_row **row,
                                 struct inv_row **owned, struct inv_err *err) {
    const struct inv_build_origin *origin = &job->origins[i];
    const struct inv_part *input = job->inputs[origin->input];
    *owned = NULL;
    *row = inv_part_row(input, origin->local);
    if (*row != NULL || input->segment->gen == 0 ||
        job->view->schema->count == 0)
        return INV_OK;
    struct inv_document_row document;
    enum inv_status status =
        inv_db_find_doc(db, origin_entry(job, i)->doc, 0, &document, err);
    if (status != INV_OK || document.payload == NULL)
        return status;
    status = job->gallery->row(job->view->schema, document.payload,
                               document.payload_len, owned, err);
    *row = *owned;
    return status;
}

enum inv_status inv_build_postings(struct inv_build_job *job,
                                   struct inv_err *err) {
    struct inv_gallery *gallery = job->gallery;
    const struct inv_schema *schema = job->view->schema;
    struct inv_part *part = &job->part;
    struct inv_postings_builder *builder = NULL;
    struct inv_postings *postings = NULL;
    struct inv_db *db = NULL;
    enum inv_status status = inv_catalog_borrow(gallery->catalog, &db, err);
    if (status == INV_OK)
        status = inv_postings_builder_new(schema->fields, schema->count,
                                          job->count, &builder, err);
    for (size_t i = 0; status == INV_OK && i < job->count; i++) {
        const struct inv_entry *from = origin_entry(job, i);
        struct inv_entry *to = &part->entries->items[i];
        const struct inv_row *row;
        struct inv_row *owned;
        *to = *from;
        to->id = inv_entries_keep_id(part->entries, from->id, from->id_len);
        if (to->id == NULL) {
            status = inv_fail(err, INV_MEMORY, "out of memory for ids");
            break;
        }
        status = entry_row(job, db, i, &row, &owned, err);
        if (status == INV_OK)
            status = inv_postings_builder_add(builder, (uint32_t)i, to->id,
                                              to->id_len, row, err);
        free(owned);
        if (status == INV_OK && i % 4096 == 0 &&
            progress(job, "postings", i, job->count))
            status = inv_fail(err, INV_CANCELLED, "cancelled");
    }
    if (status == INV_OK) {
        status = inv_postings_build(builder, &postings, err);
        builder = NULL;
    }
    inv_postings_builder_free(builder);
    if (db != NULL)
        inv_catalog_return(gallery->catalog, db);
    if (status == INV_OK) {
        part->postings = inv_shared_postings_new(postings);
        if (part->postings == NULL)
            status = inv_fail(err, INV_MEMORY, "out of memory for postings");
    }
    return status;
}

static enum inv_status make_part(struct inv_build_job *job,
                                 struct inv_err *err) {
    enum inv_status status = make_segment(job, err);
    if (status != INV_OK)
        return status;
    job->part.count = job->count;
    job->part.entries = inv_entries_new(job->count, false, NULL);
    if (job->part.entries == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu entries",
                        job->count);
    status = inv_build_postings(job, err);
    for (size_t i = 0; status == INV_OK && i < job->count; i++)
        if (!inv_entries_link(job->part.entries, i))
            status = inv_fail(err, INV_MEMORY, "out of memory for entries");
    return status;
}

/* Searches under way still hold what was replaced, and the last to let go gives
 * its memory back: freeing an HNSW index of 366 MB is not to be in a search's
 * time. So this thread, whose own hold comes last, waits a second for them. */
static void outlast_searches(const struct inv_build_job *job) {
    const struct timespec pause = {.tv_nsec = 2000000};
    for (size_t i = 0, round = 0; i < job->input_count && round < 500;) {
        if (atomic_load(&job->inputs[i]->segment->ref.count) == 1) {
            i++;
        } else {
            nanosleep(&pause, NULL);
            round++;
        }
    }
}

static void release_job(struct inv_build_job *job) {
    inv_part_release(&job->part);
    free(job->origins);
    free(job->vseqs);
    free(job->inputs);
    free(job->now);
    inv_ref_put(job->view);
}

enum inv_status inv_gallery_build(struct inv_gallery *gallery,
                                  struct inv_writer *writer,
                                  struct inv_build *build,
                                  struct inv_err *err) {
    struct inv_build_job job = {.gallery = gallery, .build = build};
    struct inv_operation op = {
        .gallery = gallery, .apply = freeze, .ctx = &job};
    int64_t began = inv_now_ns();
    build->parts = 0;
    build->entries = 0;
    enum inv_status status = inv_writer_run(writer, &op, err);
    if (status != INV_OK)
        return status;
    job.view = inv_gallery_view(gallery);
    inv_gallery_segment_dir(gallery, job.gen, job.dir, sizeof job.dir);
    status = choose_inputs(&job, err);
    if (status == INV_OK)
        status = gather(&job, err);
    if (status == INV_OK && job.count > 0)
        status = make_part(&job, err);
    bool lost =
        gallery->lost_count > 0; /* changed by this thread's swap only */
    if (status == INV_OK && (job.input_count > 0 || lost))
        status = inv_build_swap(&job, writer, err);
    if (status == INV_OK) {
        outlast_searches(&job);
        build->entries = job.count;
        build->parts = job.input_count;
        if (job.input_count > 0)
            inv_log(INV_LOG_INFO, "build",
                    "%s: %zu entries of %zu parts into %s segment %llu in "
                    "%.2f s",
                    gallery->dir, job.count, job.input_count,
                    inv_ann_type_name(build->built),
                    (unsigned long long)job.gen,
                    (double)(inv_now_ns() - began) / 1e9);
    } else {
        (void)!inv_file_remove_tree(job.dir, NULL);
    }
    release_job(&job);
    return status;
}
