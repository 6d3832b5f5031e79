/*
 * faiss_ann.c: the kinds FAISS offers, through its C API and faiss_shim.h. The
 * only file that sees faiss/c_api, whose headers define OK, idx_t and METRIC_L2
 * for everyone. What numbers to use is decided in ann_plan.c; files are framed
 * by ann_file.c, so that FAISS never parses a damaged one. An index never
 * changes after build or open: any thread may search it.
 */
#include "base/bitset.h"
#include "base/rng.h"
#include "base/topk.h"
#include "index/ann_file.h"
#include "index/ann_ops.h"
#include "index/ann_plan.h"
#include "index/faiss_shim.h"

#include <errno.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EF_DEFAULT 64
/* Rows added between two looks at `cancel`: HNSW takes .1 to 1 ms a row, more
 * on a busy machine (2,048 rows of 384 dimensions kept a stop waiting 29 s). */
#define HNSW_CHUNK 256
/* ... but never in more steps: each touches a few bytes of every row there is
 * (locks, visited marks), some 10 ms at a million rows. */
#define HNSW_CHUNKS 4096
/* One place of the candidate list costs an HNSW search as much as scoring this
 * many rows in order (5 us and 40 ns, 100,000 x 96), so below that many allowed
 * rows per place they are scored one by one, which is exact too. */
#define ROWS_PER_EF 100

struct faiss_ann {
    struct inv_ann ann;
    FaissIndex *index;
};

static bool is_hnsw(const struct inv_ann_config *config) {
    return config->type == INV_ANN_HNSW || config->type == INV_ANN_HNSW_SQ8;
}

/* The error of a C API call that returned non-zero. */
static enum inv_status fail_faiss(struct inv_err *err, const char *what) {
    const char *text = faiss_get_last_error();
    if (text == NULL)
        text = "unknown error";
    bool memory = strcmp(text, "std::bad_alloc") == 0;
    return inv_fail(err, memory ? INV_MEMORY : INV_INTERNAL,
                    "FAISS could not %s: %s", what, text);
}

static enum inv_status fail_shim(enum inv_shim_code code,
                                 const struct inv_shim_text *text,
                                 const char *what, struct inv_err *err) {
    return inv_fail(err, code == INV_SHIM_MEMORY ? INV_MEMORY : INV_INTERNAL,
                    "FAISS could not %s: %s", what, text->text);
}

static void ann_free(struct inv_ann *ann) {
    struct faiss_ann *self = (struct faiss_ann *)ann;
    if (self->index != NULL)
        faiss_Index_free(self->index);
    free(self);
}

static struct faiss_ann *ann_new(const struct inv_ann_config *config,
                                 size_t count, struct inv_err *err) {
    struct faiss_ann *self = calloc(1, sizeof *self);
    if (self == NULL) {
        inv_fail(err, INV_MEMORY, "no memory for an index");
        return NULL;
    }
    self->ann.ops = &inv_ann_faiss_ops;
    self->ann.config = *config;
    self->ann.count = count;
    return self;
}

/* Once the configuration is the resolved one. */
static void describe(struct inv_ann *ann) {
    ann->bytes = inv_ann_plan_bytes(&ann->config, ann->count);
    ann->caps = inv_ann_plan_caps(&ann->config);
}

static size_t ann_estimate(const struct inv_ann_config *config, size_t count) {
    struct inv_ann_config plan = *config;
    inv_ann_plan(&plan, count);
    return inv_ann_plan_bytes(&plan, count) +
           inv_ann_plan_scratch(&plan, count);
}

/* ---- building ---- */

static enum inv_status make_index(struct faiss_ann *self, struct inv_err *err) {
    const struct inv_ann_config *config = &self->ann.config;
    char factory[64];
    inv_ann_plan_factory(config, factory, sizeof factory);
    FaissMetricType metric =
        config->metric == INV_METRIC_L2 ? METRIC_L2 : METRIC_INNER_PRODUCT;
    if (faiss_index_factory(&self->index, (int)config->dim, factory, metric))
        return fail_faiss(err, "make an index");
    struct inv_shim_tuning tuning = {
        .seed = config->seed,
        .ef_construction = config->hnsw_ef_construction,
        .nprobe = config->nprobe,
        .reserve = is_hnsw(config) ? self->ann.count : 0,
    };
    struct inv_shim_text text;
    enum inv_shim_code code = inv_shim_tune(self->index, &tuning, &text);
    if (code != INV_SHIM_OK)
        return fail_shim(code, &text, "prepare an index", err);
    return INV_OK;
}

/* Reads train_size distinct rows, chosen by the seed, in order. Neighbouring
 * rows are read together. */
static enum inv_status read_sample(const struct inv_ann_config *config,
                                   const struct inv_ann_source *source,
                                   float *out, struct inv_err *err) {
    size_t want = config->train_size, done = 0, run = 0;
    size_t chunk = inv_ann_chunk_rows(config->dim);
    struct inv_stream stream;
    inv_stream_init(&stream, config->seed, "ann train", 0);
    for (size_t row = 0; row < source->count && done + run < want; row++) {
        /* chosen with probability (still wanted) / (rows left) */
        size_t left = source->count - row;
        bool take =
            inv_stream_below(&stream, (uint32_t)left) < want - done - run;
        run += take;
        bool last = done + run == want;
        if (run == 0 || (take && run < chunk && !last))
            continue;
        size_t first = take ? row + 1 - run : row - run;
        enum inv_status status =
            inv_ann_progress(source, "train", done, want, err);
        if (status == INV_OK)
            status = source->read(source->ctx, first, run,
                                  out + done * config->dim, err);
        if (status != INV_OK)
            return status;
        done += run;
        run = 0;
    }
    return inv_ann_progress(source, "train", want, want, err);
}

static enum inv_status train(struct faiss_ann *self,
                             const struct inv_ann_source *source,
                             struct inv_err *err) {
    const struct inv_ann_config *config = &self->ann.config;
    if (config->train_size == 0)
        return INV_OK;
    float *rows =
        malloc((size_t)config->train_size * config->dim * sizeof *rows);
    if (rows == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for %u training rows",
                        (unsigned)config->train_size);
    enum inv_status status = read_sample(config, source, rows, err);
    if (status == INV_OK &&
        faiss_Index_train(self->index, config->train_size, rows))
        status = fail_faiss(err, "train");
    free(rows);
    return status;
}

static enum inv_status add(struct faiss_ann *self,
                           const struct inv_ann_source *source,
                           struct inv_err *err) {
    const struct inv_ann_config *config = &self->ann.config;
    size_t total = source->count;
    size_t chunk = inv_ann_chunk_rows(config->dim);
    size_t most =
        total / HNSW_CHUNKS > HNSW_CHUNK ? total / HNSW_CHUNKS : HNSW_CHUNK;
    if (is_hnsw(config) && chunk > most)
        chunk = most;
    if (chunk > total)
        chunk = total;
    float *rows = malloc(chunk * config->dim * sizeof *rows);
    if (rows == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for %zu rows", chunk);
    enum inv_status status = INV_OK;
    for (size_t first = 0; first < total && status == INV_OK; first += chunk) {
        size_t count = total - first < chunk ? total - first : chunk;
        status = inv_ann_progress(source, "add", first, total, err);
        if (status == INV_OK)
            status = source->read(source->ctx, first, count, rows, err);
        if (status == INV_OK &&
            faiss_Index_add(self->index, (idx_t)count, rows))
            status = fail_faiss(err, "add rows");
    }
    free(rows);
    if (status == INV_OK)
        status = inv_ann_progress(source, "add", total, total, err);
    return status;
}

static enum inv_status ann_build(const struct inv_ann_config *config,
                                 const struct inv_ann_source *source,
                                 struct inv_ann **out, struct inv_err *err) {
    struct faiss_ann *self = ann_new(config, source->count, err);
    if (self == NULL)
        return INV_MEMORY;
    inv_ann_plan(&self->ann.config, source->count);
    describe(&self->ann);
    int threads = inv_shim_threads(config->threads);
    enum inv_status status = make_index(self, err);
    if (status == INV_OK)
        status = train(self, source, err);
    if (status == INV_OK)
        status = add(self, source, err);
    inv_shim_threads(threads);
    if (status != INV_OK)
        ann_free(&self->ann);
    else
        *out = &self->ann;
    return status;
}

/* ---- files ---- */

/* Writes FAISS' own bytes after the header, through a second descriptor. */
static enum inv_status write_payload(const struct faiss_ann *self, int fd,
                                     const char *path, struct inv_err *err) {
    int copy = dup(fd);
    FILE *file = copy < 0 ? NULL : fdopen(copy, "wb");
    if (file == NULL) {
        enum inv_status status =
            inv_fail_errno(err, errno, "cannot write %s", path);
        if (copy >= 0)
            close(copy);
        return status;
    }
    enum inv_status status = INV_OK;
    errno = 0;
    if (faiss_write_index(self->index, file))
        status = errno != 0
                     ? inv_fail_errno(err, errno, "cannot write %s", path)
                     : fail_faiss(err, "write its file");
    if (fclose(file) != 0 && status == INV_OK)
        status = inv_fail_errno(err, errno, "cannot write %s", path);
    return status;
}

static enum inv_status ann_save(const struct inv_ann *ann, const char *path,
                                struct inv_err *err) {
    const struct faiss_ann *self = (const struct faiss_ann *)ann;
    int fd;
    enum inv_status status = inv_ann_file_create(path, &fd, err);
    if (status != INV_OK)
        return status;
    status = write_payload(self, fd, path, err);
    if (status == INV_OK)
        status = inv_ann_file_finish(path, fd, &ann->config, ann->count, err);
    close(fd);
    if (status != INV_OK)
        unlink(path);
    return status;
}

/* The payload's checksum was right; what FAISS refuses now is our bug or a
 * file of another release. */
static enum inv_status read_payload(struct faiss_ann *self, const char *path,
                                    struct inv_err *err) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return inv_fail_errno(err, errno, "cannot open %s", path);
    enum inv_status status = INV_OK;
    if (fseek(file, INV_ANN_FILE_HEADER, SEEK_SET) != 0)
        status = inv_fail_errno(err, errno, "cannot read %s", path);
    else if (faiss_read_index(file, 0, &self->index)) {
        status = fail_faiss(err, "read its file");
        if (status != INV_MEMORY)
            status = inv_fail(err, INV_CORRUPT, "%s: %s", path,
                              faiss_get_last_error());
    }
    fclose(file);
    return status;
}

static enum inv_status check_index(const struct faiss_ann *self,
                                   const char *path, struct inv_err *err) {
    size_t dim = (size_t)faiss_Index_d(self->index);
    size_t count = (size_t)faiss_Index_ntotal(self->index);
    if (dim != self->ann.config.dim)
        return inv_fail(err, INV_CORRUPT,
                        "%s: expected %zu dimensions, got %zu", path,
                        self->ann.config.dim, dim);
    if (count != self->ann.count)
        return inv_fail(err, INV_CORRUPT, "%s: expected %zu rows, got %zu",
                        path, self->ann.count, count);
    return INV_OK;
}

static enum inv_status ann_open(const struct inv_ann_config *config,
                                const char *path, size_t count,
                                struct inv_ann **out, struct inv_err *err) {
    struct inv_ann_file file;
    enum inv_status status = inv_ann_file_open(&file, path, config, count, err);
    if (status != INV_OK)
        return status;
    struct faiss_ann *self = ann_new(&file.config, count, err);
    inv_ann_file_close(&file);
    if (self == NULL)
        return INV_MEMORY;
    describe(&self->ann);
    status = read_payload(self, path, err);
    if (status == INV_OK)
        status = check_index(self, path, err);
    if (status != INV_OK)
        ann_free(&self->ann);
    else
        *out = &self->ann;
    return status;
}

/* ---- searching ---- */

static int best_first(const void *a, const void *b) {
    const struct inv_ann_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* FAISS sorts by score but leaves ties in any order. */
static void order(struct inv_ann_hit *hits, size_t count) {
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && hits[to].score == hits[from].score)
            to++;
        if (to < count && hits[to].score > hits[from].score) {
            qsort(hits, count, sizeof *hits, best_first); /* not sorted */
            return;
        }
        if (to - from > 1)
            qsort(hits + from, to - from, sizeof *hits, best_first);
        from = to;
    }
}

/* Scores the few allowed rows of an HNSW index one by one, exactly (as far as
 * its codes are). */
static enum inv_status scan_allowed(const struct faiss_ann *self,
                                    const float *query, size_t k,
                                    const uint64_t *allowed,
                                    struct inv_ann_hit *hits, size_t *found,
                                    struct inv_err *err) {
    size_t count = self->ann.count;
    float sign = self->ann.config.metric == INV_METRIC_L2 ? -1.0f : 1.0f;
    struct inv_topk_item *items = malloc(k * sizeof *items);
    if (items == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for %zu results", k);
    struct inv_topk topk;
    inv_topk_init(&topk, items, k);
    uint32_t rows[256];
    float scores[256];
    enum inv_status status = INV_OK;
    size_t row = inv_bitset_next(allowed, count, 0);
    while (row < count && status == INV_OK) {
        size_t n = 0;
        for (; row < count && n < 256;
             row = inv_bitset_next(allowed, count, row + 1))
            rows[n++] = (uint32_t)row;
        struct inv_shim_text text;
        enum inv_shim_code code =
            inv_shim_distances(self->index, query, rows, n, scores, &text);
        if (code != INV_SHIM_OK)
            status = fail_shim(code, &text, "score rows", err);
        for (size_t i = 0; i < n && status == INV_OK; i++)
            inv_topk_push(&topk, sign * scores[i], rows[i]);
    }
    inv_topk_sort(&topk);
    for (size_t i = 0; i < topk.count; i++)
        hits[i] = (struct inv_ann_hit){items[i].entry, items[i].score};
    *found = status == INV_OK ? topk.count : 0;
    free(items);
    return status;
}

/* Runs the request and keeps the best k of what it finds. */
static enum inv_status run(const struct faiss_ann *self, const float *query,
                           const struct inv_shim_request *request, size_t k,
                           struct inv_ann_hit *hits, size_t *found,
                           struct inv_err *err) {
    float sign = self->ann.config.metric == INV_METRIC_L2 ? -1.0f : 1.0f;
    int64_t *labels = malloc(request->k * (sizeof *labels + sizeof(float)));
    if (labels == NULL)
        return inv_fail(err, INV_MEMORY, "no memory for %zu results",
                        request->k);
    float *scores = (float *)(labels + request->k);
    struct inv_shim_text text;
    enum inv_shim_code code =
        inv_shim_search(self->index, query, request, scores, labels, &text);
    size_t count = 0;
    if (code == INV_SHIM_OK) {
        for (size_t i = 0; i < request->k && count < k; i++)
            if (labels[i] >= 0)
                hits[count++] =
                    (struct inv_ann_hit){(uint32_t)labels[i], sign * scores[i]};
        order(hits, count);
    }
    *found = count;
    free(labels);
    return code == INV_SHIM_OK ? INV_OK : fail_shim(code, &text, "search", err);
}

/* n times the inverse density of the allowed rows, at most `most`. */
static size_t widen(size_t n, size_t count, size_t allowed, size_t most) {
    if (allowed > 0 && allowed < count)
        n = (size_t)((double)n * ((double)count / (double)allowed));
    return n < most ? n : most;
}

static enum inv_status ann_search(const struct inv_ann *ann, const float *query,
                                  size_t k, const struct inv_ann_params *params,
                                  struct inv_ann_hit *hits, size_t *found,
                                  struct inv_err *err) {
    const struct faiss_ann *self = (const struct faiss_ann *)ann;
    size_t allowed = ann->count;
    struct inv_shim_request request = {.k = k};
    if (params->allowed != NULL) {
        allowed = inv_bitset_count(params->allowed, ann->count);
        if (allowed == 0)
            return INV_OK;
        request.allowed = (const uint8_t *)params->allowed;
        request.allowed_bytes = (ann->count + 7) / 8;
    }
    if (ann->caps & INV_ANN_EF) {
        size_t ef = params->ef != 0 ? params->ef : EF_DEFAULT;
        ef = widen(ef > k ? ef : k, ann->count, allowed, ann->count);
        if (params->allowed != NULL && allowed <= ef * ROWS_PER_EF)
            return scan_allowed(self, query, k, params->allowed, hits, found,
                                err);
        request.ef = (uint32_t)ef;
        request.k = ef;
    } else if (ann->caps & INV_ANN_NPROBE) {
        size_t nprobe =
            params->nprobe != 0 ? params->nprobe : ann->config.nprobe;
        request.nprobe =
            (uint32_t)widen(nprobe, ann->count, allowed, ann->config.nlist);
    }
    inv_shim_threads(1);
    return run(self, query, &request, k, hits, found, err);
}

const struct inv_ann_ops inv_ann_faiss_ops = {
    .estimate = ann_estimate,
    .build = ann_build,
    .save = ann_save,
    .open = ann_open,
    .free = ann_free,
    .search = ann_search,
};
