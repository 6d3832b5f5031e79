/*
 * api.h: the handlers of the routes (routes.c has the table), and what they
 * share. A handler runs on a worker (bulk: on a bulk thread, health: on the I/O
 * thread), reads the request, calls the pipelines and writes the answer.
 */
#ifndef INV_SERVER_API_H
#define INV_SERVER_API_H

#include "server/app.h"
#include "server/http/router.h"
#include "server/requests.h"

#define INV_HANDLER(name)                                                      \
    enum inv_status name(struct inv_app *app, struct inv_request *request,     \
                         struct inv_response *response, struct inv_err *err)

INV_HANDLER(inv_api_version);
INV_HANDLER(inv_api_live);
INV_HANDLER(inv_api_ready);
INV_HANDLER(inv_api_metrics);
INV_HANDLER(inv_api_collection_list);
INV_HANDLER(inv_api_collection_put);
INV_HANDLER(inv_api_collection_get);
INV_HANDLER(inv_api_collection_patch);
INV_HANDLER(inv_api_collection_delete);
INV_HANDLER(inv_api_alias_list);
INV_HANDLER(inv_api_alias_put);
INV_HANDLER(inv_api_alias_get);
INV_HANDLER(inv_api_alias_delete);
INV_HANDLER(inv_api_documents_put);
INV_HANDLER(inv_api_documents_bulk);
INV_HANDLER(inv_api_document_get);
INV_HANDLER(inv_api_document_patch);
INV_HANDLER(inv_api_document_delete);
INV_HANDLER(inv_api_documents_scroll);
INV_HANDLER(inv_api_documents_count);
INV_HANDLER(inv_api_documents_delete);
INV_HANDLER(inv_api_search);
INV_HANDLER(inv_api_search_batch);
INV_HANDLER(inv_api_recall);
INV_HANDLER(inv_api_model_list);
INV_HANDLER(inv_api_model_put);
INV_HANDLER(inv_api_model_get);
INV_HANDLER(inv_api_model_delete);
INV_HANDLER(inv_api_model_vectors_post);
INV_HANDLER(inv_api_model_vectors_delete);
INV_HANDLER(inv_api_model_queries_post);
INV_HANDLER(inv_api_model_queries_delete);
INV_HANDLER(inv_api_activate);
INV_HANDLER(inv_api_rollback);
INV_HANDLER(inv_api_migration);
INV_HANDLER(inv_api_adapter_post);
INV_HANDLER(inv_api_adapter_compose);
INV_HANDLER(inv_api_adapter_list);
INV_HANDLER(inv_api_adapter_get);
INV_HANDLER(inv_api_adapter_delete);
INV_HANDLER(inv_api_compatibility);
INV_HANDLER(inv_api_calibration);
INV_HANDLER(inv_api_backfill);
INV_HANDLER(inv_api_rebuild);
INV_HANDLER(inv_api_compact);
INV_HANDLER(inv_api_job_list);
INV_HANDLER(inv_api_job_get);
INV_HANDLER(inv_api_job_delete);

/* The collection that the path names (part 2), ready to serve; the admin
 * routes have it at part 3. */
enum inv_status inv_api_collection(struct inv_app *app,
                                   const struct inv_request *request,
                                   size_t part, struct inv_collection **out,
                                   struct inv_err *err) INV_MUST_USE;
/* The body as JSON, vectors cut out. INV_MEDIA_TYPE for another content type;
 * inv_json_close it. query: a query's cap on tokens, else a document's. */
enum inv_status inv_api_json(struct inv_app *app,
                             const struct inv_request *request, bool query,
                             struct inv_json_doc *out,
                             struct inv_json_limits *limits,
                             struct inv_err *err) INV_MUST_USE;
/* For a body that has nothing to say: none, or {}. */
enum inv_status inv_api_no_fields(struct inv_app *app,
                                  const struct inv_request *request,
                                  struct inv_err *err) INV_MUST_USE;
enum inv_status inv_api_media(const struct inv_request *request,
                              const char *wanted,
                              struct inv_err *err) INV_MUST_USE;
/* Queues a job and answers 202 with it and its Location. body: of the job. */
enum inv_status inv_api_add_job(struct inv_app *app,
                                struct inv_collection *collection,
                                const char *kind, const char *body,
                                const struct inv_request *request,
                                struct inv_response *response,
                                struct inv_err *err) INV_MUST_USE;
/* A document's row as {"id":..,"seq":..,...}. Row and view are of the same
 * moment (inv_collection_moment), so that the view has the file that the row
 * names, however new or about to be dropped it is; without vectors it is enough
 * that the view knows the row's space. */
enum inv_status inv_document_write(const struct inv_view *view,
                                   const struct inv_document_row *row,
                                   const struct inv_payload_wish *wish,
                                   bool vectors, struct inv_buf *out,
                                   struct inv_err *err) INV_MUST_USE;

/* A search whose body is the query alone: .npy, or little-endian f32. What
 * else there is to say stands in the query string. */
bool inv_is_binary_search(const struct inv_request *request);
/* doc: keeps what the filter points into; the caller closes it. */
enum inv_status inv_binary_search(struct inv_collection *collection,
                                  const struct inv_request *request,
                                  struct inv_search_request *out,
                                  struct inv_json_doc *doc,
                                  struct inv_err *err) INV_MUST_USE;
/* The names of its arguments, ended by NULL. */
extern const char *const inv_search_arguments[];

/* Counts and times of searches and writes, for /metrics. */
void inv_metrics_start(void);
void inv_metrics_request(const char *route, int status, double seconds);
void inv_metrics_search(const double ms[5]);
void inv_metrics_documents(size_t count);

#endif
