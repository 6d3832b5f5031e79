/*
 * app.h: the daemon as one object: catalog, writer, collections, aliases,
 * models, jobs. Handlers (api_*.c) get it with a request. main.c makes it and
 * the front door; tests make it alone and call inv_app_handle.
 *
 * Threads: everything here may be called from any worker. Collections are
 * reference counted: what inv_app_find returns stays valid until it is put
 * back, even when it is deleted meanwhile.
 */
#ifndef INV_SERVER_APP_H
#define INV_SERVER_APP_H

#include "encoders/text/static_model.h"
#include "index/build.h"
#include "server/encoder.h"
#include "server/http/http.h"

#include <pthread.h>

enum inv_collection_state {
    INV_LOADING,
    INV_READY,
    INV_REBUILDING, /* ready, with a job running */
    INV_DEGRADED,   /* serving, with a reason */
    INV_FAILED,     /* could not be opened */
};

struct inv_app;

struct inv_collection {
    struct inv_ref ref;
    struct inv_app *app;
    int64_t id;
    int64_t created_ms;
    char name[INV_NAME_MAX + 1];
    char uuid[40];
    char *dir;
    char *body;                                 /* as it was sent */
    uint64_t next_vseq, next_version, next_gen; /* as of opening */
    struct inv_gallery *gallery;          /* NULL while loading or failed */
    struct inv_access *access;            /* upgrade/access.h */
    struct inv_drift *drift;              /* upgrade/drift.h */
    struct inv_backfill *backfill;        /* upgrade/backfill.h */
    pthread_mutex_t lock;                 /* of what follows */
    struct inv_shared_settings *settings; /* as of opening; from then on the
                                             view has them (models.h) */
    enum inv_collection_state state; /* LOADING, READY or FAILED; the others
                                        are worked out when asked */
    char failure[320];
    bool deleted;
    bool building;           /* a job or the maintenance is at work */
    int64_t dead_counted_ns; /* the builder thread's; see work.c */
};

struct inv_app_config {
    const char *data_dir;
    const char *models_dir; /* NULL: no built-in models */
    const char *key;        /* NULL: none */
    size_t max_body, max_doc_tokens, max_query_tokens, fresh_limit, roll_bytes;
    int build_threads;
    int64_t seal_idle_ns; /* quiet time after which fresh entries are sealed */
    size_t seal_idle_entries;
};

#define INV_MODELS_MAX 8

struct inv_model {
    char name[INV_MODEL_NAME_MAX + 1];
    char revision[INV_MODEL_NAME_MAX + 1];
    struct inv_static_model *model;
};

struct inv_alias {
    char name[INV_NAME_MAX + 1];
    int64_t collection;
};

struct inv_jobs; /* jobs.h */

struct inv_app {
    struct inv_app_config config;
    int lock_fd;
    struct inv_catalog *catalog;
    struct inv_writer *writer;
    pthread_rwlock_t registry; /* of the two lists */
    struct inv_collection **collections;
    size_t collection_count;
    struct inv_alias *aliases;
    size_t alias_count;
    pthread_mutex_t names; /* held while names change (create, delete, alias) */
    struct inv_model models[INV_MODELS_MAX];
    size_t model_count;
    struct inv_jobs *jobs;
    pthread_t loader;
    bool loader_started;
    _Atomic bool loaded;
    /* For the queue depth; NULL in tests, and until all threads run. */
    struct inv_http *_Atomic http;
    int64_t started_ns;
};

/* Takes the lock file, opens the catalog, reads the models, lists the
 * collections as `loading`, opens them in a thread of its own and starts jobs
 * and maintenance. */
enum inv_status inv_app_open(const struct inv_app_config *config,
                             struct inv_app **out,
                             struct inv_err *err) INV_MUST_USE;
/* Stops jobs (a running one is queued again at the next start), the writer,
 * and closes everything. The front door must be closed before. */
void inv_app_close(struct inv_app *app);
/* Waits until every collection is open or failed. */
void inv_app_wait_loaded(struct inv_app *app);

/* Routes a request. Never fails: errors become problem+json. */
void inv_app_handle(void *app, struct inv_request *request,
                    struct inv_response *response);
struct inv_route_limits inv_app_limits(void *app, enum inv_method method,
                                       const char *path);
void inv_app_problem(void *app, const struct inv_err *err,
                     const char *request_id, struct inv_response *response);

/* By name or alias: a new reference. INV_NOT_FOUND. */
enum inv_status inv_app_find(struct inv_app *app, const char *name,
                             struct inv_collection **out,
                             struct inv_err *err) INV_MUST_USE;
/* The same, ready to serve: INV_BUSY while loading, INV_INTERNAL if failed. */
enum inv_status inv_app_find_ready(struct inv_app *app, const char *name,
                                   struct inv_collection **out,
                                   struct inv_err *err) INV_MUST_USE;
/* A new reference to the collection of a number, or NULL. */
struct inv_collection *inv_app_find_id(struct inv_app *app, int64_t id);
/* References to all, in the order of their numbers; *out malloc'ed. */
enum inv_status inv_app_list(struct inv_app *app, struct inv_collection ***out,
                             size_t *count, struct inv_err *err) INV_MUST_USE;

struct inv_shared_settings *
inv_collection_settings(struct inv_collection *collection); /* new reference */
/* View and catalog of the same moment: `db` (borrowed) gets a read transaction
 * that ends when it is given back, *view is a new reference, also on failure.
 * Waits for a commit that is under way. */
enum inv_status inv_collection_moment(struct inv_collection *collection,
                                      struct inv_db *db, struct inv_view **view,
                                      struct inv_err *err) INV_MUST_USE;
/* INV_NOT_FOUND once it has been deleted: what is queued behind must fail. */
enum inv_status inv_collection_check(struct inv_collection *collection,
                                     struct inv_err *err) INV_MUST_USE;
/* State as shown, with its reason ("" if there is none). */
enum inv_collection_state
inv_collection_state(struct inv_collection *collection, char *reason,
                     size_t size);
const char *inv_collection_state_name(enum inv_collection_state state);

/* PUT: *created tells 201 from 200. Another body: INV_CONFLICT. */
enum inv_status inv_app_create(struct inv_app *app, const char *name,
                               const char *body, size_t len, bool *created,
                               struct inv_collection **out,
                               struct inv_err *err) INV_MUST_USE;
enum inv_status inv_app_delete(struct inv_app *app, const char *name,
                               struct inv_err *err) INV_MUST_USE;
enum inv_status inv_app_patch(struct inv_app *app,
                              struct inv_collection *collection,
                              const inv_json *body,
                              struct inv_err *err) INV_MUST_USE;
enum inv_status inv_app_set_alias(struct inv_app *app, const char *alias,
                                  const char *collection,
                                  struct inv_err *err) INV_MUST_USE;
enum inv_status inv_app_delete_alias(struct inv_app *app, const char *alias,
                                     struct inv_err *err) INV_MUST_USE;

/* Opens one collection's storage (collection.c); the loader and create use it.
 */
enum inv_status inv_collection_open(struct inv_collection *collection,
                                    struct inv_err *err) INV_MUST_USE;
struct inv_collection *inv_collection_new(struct inv_app *app,
                                          const struct inv_collection_row *row,
                                          struct inv_err *err);

/* The encoder of a space is to learn, or to become another: makes, stores and
 * installs the next state. settings: of the space, with the encoder wanted.
 * learn: false installs a state that has learned nothing. */
enum inv_status inv_collection_new_state(struct inv_collection *collection,
                                         int64_t space,
                                         const struct inv_settings *settings,
                                         bool learn,
                                         struct inv_err *err) INV_MUST_USE;

/* The built-in model of a collection, or NULL. */
const struct inv_static_model *inv_app_model(const struct inv_app *app,
                                             const struct inv_settings *s);

/* A built-in model fixes the dimension (INV_DIMENSION at /dim), and the name
 * `static` is kept for those that are there (INV_INVALID at /model). */
enum inv_status inv_app_check_model(const struct inv_app *app,
                                    const struct inv_settings *s,
                                    struct inv_err *err) INV_MUST_USE;

/* Payload reader for galleries (inv_row_reader). */
enum inv_status inv_payload_row(const struct inv_schema *schema,
                                const char *payload, size_t len,
                                struct inv_row **out,
                                struct inv_err *err) INV_MUST_USE;

#endif
