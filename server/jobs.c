/*
 * jobs.c: the list of jobs and the threads that work it off, see jobs.h. What
 * a job does is work.c, upgrade/fit.c and upgrade/cutover.c. A job's row is
 * written when its state changes, its progress lives in memory only.
 */
#include "server/jobs.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/upgrade/cutover.h"
#include "server/upgrade/fit.h"
#include "server/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK_NS INT64_C(200000000)    /* between two looks at maintenance */
#define PAUSE_NS INT64_C(30000000000) /* after maintenance that failed */

struct job {
    struct job *next;
    int64_t id, collection;
    char collection_name[INV_NAME_MAX + 1];
    char kind[16];
    char state[16]; /* queued running succeeded failed cancelled */
    char stage[24];
    size_t done, total;
    char *request, *key, *error, *result; /* key..result may be NULL */
    int64_t created_ms, finished_ms;
    bool cancel;
};

struct inv_jobs {
    struct inv_app *app;
    pthread_t builder, fitter;
    bool building, fitting; /* the threads have been started */
    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t wake;
    struct job *list; /* newest first */
    bool stopping;
    /* builder thread only */
    int64_t paused_until_ns;
};

static bool is_open(const struct job *job) {
    return strcmp(job->state, "queued") == 0 ||
           strcmp(job->state, "running") == 0;
}

static bool is_fit(const struct job *job) {
    return strcmp(job->kind, "fit") == 0;
}

static void job_free(struct job *job) {
    free(job->request);
    free(job->key);
    free(job->error);
    free(job->result);
    free(job);
}

/* ---- rows ---- */

static enum inv_status apply_job(void *ctx, struct inv_db *db,
                                 struct inv_err *err) {
    return inv_db_put_job(db, ctx, err);
}

/* Writes the job as it is; a new one gets its number. Not under the lock. */
static enum inv_status store(struct inv_jobs *jobs, struct job *job,
                             struct inv_err *err) {
    struct inv_job_row row = {.id = job->id,
                              .collection = job->collection,
                              .collection_name = job->collection_name,
                              .kind = job->kind,
                              .state = job->state,
                              .stage = job->stage,
                              .done = job->done,
                              .total = job->total,
                              .request = job->request,
                              .idempotency_key = job->key,
                              .error = job->error,
                              .result = job->result,
                              .created_ms = job->created_ms,
                              .finished_ms = job->finished_ms};
    struct inv_operation op = {.apply = apply_job, .ctx = &row};
    enum inv_status status = inv_writer_run(jobs->app->writer, &op, err);
    if (status == INV_OK && job->id == 0) /* else it is in the list: read */
        job->id = row.id;
    return status;
}

static char *copy_or_null(const char *text) {
    return text == NULL ? NULL : strdup(text);
}

static enum inv_status load_job(void *ctx, const struct inv_job_row *row,
                                struct inv_err *err) {
    struct inv_jobs *jobs = ctx;
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for jobs");
    job->id = row->id;
    job->collection = row->collection;
    snprintf(job->collection_name, sizeof job->collection_name, "%s",
             row->collection_name);
    snprintf(job->kind, sizeof job->kind, "%s", row->kind);
    snprintf(job->state, sizeof job->state, "%s", row->state);
    job->request = strdup(row->request);
    job->key = copy_or_null(row->idempotency_key);
    job->error = copy_or_null(row->error);
    job->result = copy_or_null(row->result);
    job->created_ms = row->created_ms;
    job->finished_ms = row->finished_ms;
    if (is_open(job)) {
        snprintf(job->state, sizeof job->state, "queued");
        inv_log(INV_LOG_INFO, "jobs", "job %lld (%s of %s) is queued again",
                (long long)job->id, job->kind, job->collection_name);
    }
    job->next = jobs->list;
    jobs->list = job;
    return INV_OK;
}

/* ---- JSON ---- */

static void put_text(struct inv_buf *out, const char *key, const char *text) {
    inv_buf_printf(out, ",\"%s\":", key);
    inv_json_put_string(out, text, strlen(text));
}

static void put_job(struct inv_buf *out, const struct job *job) {
    inv_buf_printf(out, "{\"id\":\"%" PRId64 "\"", job->id);
    put_text(out, "kind", job->kind);
    put_text(out, "collection", job->collection_name);
    put_text(out, "state", job->state);
    put_text(out, "stage", job->stage);
    inv_buf_printf(out, ",\"done\":%zu,\"total\":%zu,\"created_ms\":%" PRId64,
                   job->done, job->total, job->created_ms);
    if (job->finished_ms != 0)
        inv_buf_printf(out, ",\"finished_ms\":%" PRId64, job->finished_ms);
    if (job->error != NULL)
        put_text(out, "error", job->error);
    else
        inv_buf_puts(out, ",\"error\":null");
    inv_buf_printf(out, ",\"result\":%s}",
                   job->result == NULL ? "null" : job->result);
}

/* ---- asking ---- */

static struct job *find(struct inv_jobs *jobs, int64_t id) {
    struct job *job = jobs->list;
    while (job != NULL && job->id != id)
        job = job->next;
    return job;
}

enum inv_status inv_jobs_add(struct inv_jobs *jobs, const char *kind,
                             struct inv_collection *collection,
                             const char *request, const char *idempotency_key,
                             int64_t *id, struct inv_buf *out,
                             struct inv_err *err) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for a job");
    job->collection = collection->id;
    snprintf(job->collection_name, sizeof job->collection_name, "%s",
             collection->name);
    snprintf(job->kind, sizeof job->kind, "%s", kind);
    snprintf(job->state, sizeof job->state, "queued");
    job->request = strdup(request);
    job->key = copy_or_null(idempotency_key);
    job->created_ms = inv_wall_ms();
    enum inv_status status = INV_OK;
    /* The names lock keeps two requests from adding at the same time. */
    pthread_mutex_lock(&jobs->app->names);
    pthread_mutex_lock(&jobs->lock);
    for (struct job *other = jobs->list; other != NULL; other = other->next) {
        bool same = other->key != NULL && job->key != NULL &&
                    other->collection == job->collection &&
                    strcmp(other->key, job->key) == 0;
        if (same && (strcmp(other->kind, kind) != 0 ||
                     strcmp(other->request, request) != 0)) {
            status = inv_fail(err, INV_CONFLICT,
                              "job %" PRId64 " (%s) was another request with "
                              "the same Idempotency-Key",
                              other->id, other->kind);
            break;
        }
        if (same) {
            *id = other->id;
            put_job(out, other);
            pthread_mutex_unlock(&jobs->lock);
            pthread_mutex_unlock(&jobs->app->names);
            job_free(job);
            return INV_OK;
        }
        if (is_open(other) && other->collection == job->collection)
            status = inv_fail(err, INV_CONFLICT,
                              "job %" PRId64 " (%s) of collection %s is %s",
                              other->id, other->kind, collection->name,
                              other->state);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (status == INV_OK)
        status = store(jobs, job, err);
    if (status == INV_OK) {
        *id = job->id;
        put_job(out, job);
        pthread_mutex_lock(&jobs->lock);
        job->next = jobs->list;
        jobs->list = job;
        pthread_cond_broadcast(&jobs->wake);
        pthread_mutex_unlock(&jobs->lock);
    } else {
        job_free(job);
    }
    pthread_mutex_unlock(&jobs->app->names);
    return status;
}

void inv_jobs_list(struct inv_jobs *jobs, struct inv_buf *out) {
    const char *comma = "";
    inv_buf_puts(out, "{\"jobs\":[");
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->list; job != NULL; job = job->next) {
        inv_buf_puts(out, comma);
        put_job(out, job);
        comma = ",";
    }
    pthread_mutex_unlock(&jobs->lock);
    inv_buf_puts(out, "]}");
}

enum inv_status inv_jobs_show(struct inv_jobs *jobs, int64_t id,
                              struct inv_buf *out, struct inv_err *err) {
    pthread_mutex_lock(&jobs->lock);
    const struct job *job = find(jobs, id);
    if (job != NULL)
        put_job(out, job);
    pthread_mutex_unlock(&jobs->lock);
    return job != NULL
               ? INV_OK
               : inv_fail(err, INV_NOT_FOUND, "there is no job %" PRId64, id);
}

enum inv_status inv_jobs_cancel(struct inv_jobs *jobs, int64_t id,
                                struct inv_buf *out, struct inv_err *err) {
    enum inv_status status = INV_OK;
    pthread_mutex_lock(&jobs->lock);
    struct job *job = find(jobs, id);
    if (job == NULL) {
        status = inv_fail(err, INV_NOT_FOUND, "there is no job %" PRId64, id);
    } else if (!is_open(job)) {
        status = inv_fail(err, INV_CONFLICT, "job %" PRId64 " has %s already",
                          id, job->state);
    } else {
        job->cancel = true;
        pthread_cond_broadcast(&jobs->wake);
        put_job(out, job);
    }
    pthread_mutex_unlock(&jobs->lock);
    return status;
}

size_t inv_jobs_waiting(struct inv_jobs *jobs) {
    size_t count = 0;
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->list; job != NULL; job = job->next)
        count += is_open(job);
    pthread_mutex_unlock(&jobs->lock);
    return count;
}

/* ---- the builder thread ---- */

struct progress {
    struct inv_jobs *jobs;
    struct job *job; /* NULL: maintenance */
    struct inv_collection *collection;
};

static bool is_deleted(struct inv_collection *collection) {
    pthread_mutex_lock(&collection->lock);
    bool deleted = collection->deleted;
    pthread_mutex_unlock(&collection->lock);
    return deleted;
}

static bool report(void *ctx, const char *stage, size_t done, size_t total) {
    struct progress *progress = ctx;
    struct inv_jobs *jobs = progress->jobs;
    struct job *job = progress->job;
    /* A fit of minutes for nobody would keep those of others waiting. */
    bool stop = is_deleted(progress->collection);
    pthread_mutex_lock(&jobs->lock);
    stop = stop || jobs->stopping;
    if (job != NULL) {
        stop = stop || job->cancel;
        snprintf(job->stage, sizeof job->stage, "%s", stage);
        job->done = done;
        job->total = total;
    }
    pthread_mutex_unlock(&jobs->lock);
    return stop;
}

static void set_building(struct inv_collection *collection, bool building) {
    pthread_mutex_lock(&collection->lock);
    collection->building = building;
    pthread_mutex_unlock(&collection->lock);
}

static enum inv_status compact(const struct inv_work *work, const char *request,
                               struct inv_buf *result, struct inv_err *err) {
    (void)request; /* nothing is asked */
    return inv_work_compact(work, result, err);
}

/* What a kind of job does. A row of another kind (of a newer release) fails. */
static const struct {
    const char *kind;
    enum inv_status (*run)(const struct inv_work *work, const char *request,
                           struct inv_buf *result, struct inv_err *err);
} kinds[] = {
    {"rebuild", inv_work_rebuild},
    {"compact", compact},
    {"fit", inv_work_fit},
    {"cutover", inv_work_cutover},
};

static enum inv_status do_work(const struct inv_work *work,
                               const struct job *job, struct inv_buf *result,
                               struct inv_err *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind, job->kind) == 0)
            return kinds[i].run(work, job->request, result, err);
    return inv_fail(err, INV_UNSUPPORTED, "no job of kind \"%s\" is known",
                    job->kind);
}

static enum inv_status perform(struct inv_jobs *jobs, struct job *job,
                               struct inv_buf *result, struct inv_err *err) {
    struct inv_collection *c = inv_app_find_id(jobs->app, job->collection);
    if (c == NULL)
        return inv_fail(err, INV_NOT_FOUND, "the collection was deleted");
    if (c->gallery == NULL) {
        inv_ref_put(c);
        return inv_fail(err, INV_INTERNAL, "the collection is not open");
    }
    struct progress progress = {.jobs = jobs, .job = job, .collection = c};
    struct inv_work work = {
        .collection = c, .progress = report, .ctx = &progress};
    bool fits = is_fit(job);
    if (!fits) /* a fit only reads */
        set_building(c, true);
    enum inv_status status = do_work(&work, job, result, err);
    if (!fits)
        set_building(c, false);
    if (status == INV_CANCELLED && is_deleted(c))
        status = inv_collection_check(c, err);
    inv_ref_put(c);
    return status;
}

static void finish(struct inv_jobs *jobs, struct job *job,
                   enum inv_status status, const struct inv_buf *result,
                   const struct inv_err *err) {
    pthread_mutex_lock(&jobs->lock);
    bool stopping = jobs->stopping && status == INV_CANCELLED && !job->cancel;
    if (!stopping) {
        const char *state = status == INV_OK          ? "succeeded"
                            : status == INV_CANCELLED ? "cancelled"
                                                      : "failed";
        snprintf(job->state, sizeof job->state, "%s", state);
        job->finished_ms = inv_wall_ms();
        if (status == INV_OK) {
            job->result = copy_or_null(result->data);
            job->done = job->total;
        } else if (status != INV_CANCELLED) {
            job->error = copy_or_null(err->text);
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    struct inv_err why = {0};
    if (!stopping && store(jobs, job, &why) != INV_OK)
        inv_log(INV_LOG_WARN, "jobs", "job %lld: %s", (long long)job->id,
                why.text);
    inv_log(
        status == INV_OK || status == INV_CANCELLED ? INV_LOG_INFO
                                                    : INV_LOG_ERROR,
        "jobs", "job %lld (%s of %s) %s%s%s", (long long)job->id, job->kind,
        job->collection_name, stopping ? "goes on after a restart" : job->state,
        job->error == NULL ? "" : ": ", job->error == NULL ? "" : job->error);
}

static void run_job(struct inv_jobs *jobs, struct job *job) {
    struct inv_err err = {0};
    struct inv_buf result = INV_BUF_INIT;
    enum inv_status status = INV_OK;
    pthread_mutex_lock(&jobs->lock);
    bool cancel = job->cancel;
    pthread_mutex_unlock(&jobs->lock);
    if (cancel)
        status = inv_fail(&err, INV_CANCELLED, "cancelled");
    if (status == INV_OK)
        status = store(jobs, job, &err); /* running */
    if (status == INV_OK)
        status = perform(jobs, job, &result, &err);
    finish(jobs, job, status, &result, &err);
    inv_buf_release(&result);
}

static bool maintain_one(struct inv_jobs *jobs, struct inv_collection *c) {
    struct progress progress = {.jobs = jobs, .collection = c};
    struct inv_work work = {
        .collection = c, .progress = report, .ctx = &progress};
    struct inv_err err = {0};
    char reason[320];
    bool did = false;
    bool deleted = is_deleted(c);
    enum inv_collection_state state =
        inv_collection_state(c, reason, sizeof reason);
    if (state == INV_LOADING || state == INV_FAILED || deleted ||
        inv_gallery_read_only(c->gallery))
        return false;
    enum inv_status status = inv_work_maintain(&work, &did, &err);
    if (status != INV_OK && status != INV_CANCELLED) {
        inv_log(INV_LOG_ERROR, "maintenance", "%s: %s", c->name, err.text);
        jobs->paused_until_ns = (int64_t)inv_now_ns() + PAUSE_NS;
    }
    return did;
}

static void maintain(struct inv_jobs *jobs) {
    struct inv_collection **list = NULL;
    size_t count = 0;
    if ((int64_t)inv_now_ns() < jobs->paused_until_ns ||
        inv_app_list(jobs->app, &list, &count, NULL) != INV_OK)
        return;
    bool did = false;
    for (size_t i = 0; i < count; i++) {
        if (!did) /* a job that came in meanwhile goes first */
            did = maintain_one(jobs, list[i]);
        inv_ref_put(list[i]);
    }
    free(list);
}

/* The oldest queued job of a thread, now running; NULL when there is none. */
static struct job *take_job(struct inv_jobs *jobs, bool fits) {
    struct job *oldest = NULL;
    for (struct job *job = jobs->list; job != NULL; job = job->next)
        if (strcmp(job->state, "queued") == 0 && is_fit(job) == fits)
            oldest = job;
    if (oldest != NULL)
        snprintf(oldest->state, sizeof oldest->state, "running");
    return oldest;
}

static void work_off(struct inv_jobs *jobs, bool fits) {
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    inv_app_wait_loaded(jobs->app);
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping) {
        struct job *job = take_job(jobs, fits);
        pthread_mutex_unlock(&jobs->lock);
        if (job != NULL)
            run_job(jobs, job);
        else if (!fits)
            maintain(jobs);
        pthread_mutex_lock(&jobs->lock);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t ns = until.tv_nsec + TICK_NS;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        if (!jobs->stopping && job == NULL)
            pthread_cond_timedwait(&jobs->wake, &jobs->lock, &until);
    }
    pthread_mutex_unlock(&jobs->lock);
}

static void *builder_main(void *arg) {
    work_off(arg, false);
    return NULL;
}

static void *fitter_main(void *arg) {
    work_off(arg, true);
    return NULL;
}

static bool start(struct inv_jobs *jobs, pthread_t *thread, const char *name,
                  void *(*main)(void *), enum inv_status *status,
                  struct inv_err *err) {
    int code = pthread_create(thread, NULL, main, jobs);
    if (code != 0)
        *status = inv_fail_errno(err, code, "cannot start a thread");
    else
        pthread_setname_np(*thread, name);
    return code == 0;
}

enum inv_status inv_jobs_start(struct inv_app *app, struct inv_jobs **out,
                               struct inv_err *err) {
    struct inv_jobs *jobs = calloc(1, sizeof *jobs);
    struct inv_db *db = NULL;
    if (jobs == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for jobs");
    jobs->app = app;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
    enum inv_status status = inv_catalog_borrow(app->catalog, &db, err);
    if (status == INV_OK)
        status = inv_db_jobs(db, load_job, jobs, err);
    if (db != NULL)
        inv_catalog_return(app->catalog, db);
    if (status == INV_OK)
        jobs->building = start(jobs, &jobs->builder, "inv-builder",
                               builder_main, &status, err);
    if (status == INV_OK)
        jobs->fitting =
            start(jobs, &jobs->fitter, "inv-fitter", fitter_main, &status, err);
    if (status != INV_OK) {
        inv_jobs_stop(jobs);
        return status;
    }
    *out = jobs;
    return INV_OK;
}

void inv_jobs_stop(struct inv_jobs *jobs) {
    if (jobs == NULL)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    pthread_cond_broadcast(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
    if (jobs->building)
        pthread_join(jobs->builder, NULL);
    if (jobs->fitting)
        pthread_join(jobs->fitter, NULL);
    while (jobs->list != NULL) {
        struct job *next = jobs->list->next;
        job_free(jobs->list);
        jobs->list = next;
    }
    pthread_cond_destroy(&jobs->wake);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}
