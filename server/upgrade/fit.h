/*
 * fit.h: the job that makes an adapter: gather vectors of documents and
 * queries, fit, judge, store both directions with the report. What was asked
 * is checked before a job is queued, and read again when it runs: models,
 * documents and names may have changed meanwhile.
 */
#ifndef INV_SERVER_UPGRADE_FIT_H
#define INV_SERVER_UPGRADE_FIT_H

#include "encoders/adapters/evaluate.h"
#include "server/upgrade/models.h"
#include "server/work.h"

/* Vector pairs without which nothing is fitted. Far too few for a good
 * adapter: that is what the gate says. */
#define INV_FIT_PAIRS_MIN 10

/* The body of POST .../adapters, against the models of a collection. */
struct inv_fit_request {
    char name[INV_NAME_MAX + 1];       /* "": made from models and method */
    const struct inv_space *from, *to; /* of the picture it was read with */
    struct inv_fit_method methods[INV_FIT_METHODS_MAX];
    size_t count;                   /* more than one: the report chooses */
    struct inv_fit_options options; /* from, to point into the picture */
    char label_field[INV_FIELD_KEY_MAX + 1]; /* "": none */
    bool simplex; /* into a gallery that is in a simplex: no methods */
    double rho;   /* of that */
};

/* INV_INVALID for form, for what the kind does not take and for the wrong
 * direction (with both models), INV_SPACE_MISMATCH for an unknown model. */
enum inv_status inv_fit_request_parse(const struct inv_models *models,
                                      const char *text, size_t len,
                                      struct inv_fit_request *out,
                                      struct inv_err *err) INV_MUST_USE;

/* Parses, and counts what there is to fit on: INV_CONFLICT with the number
 * needed and the number there when it is too little, or for a name that is
 * taken. */
enum inv_status inv_work_check_fit(struct inv_collection *collection,
                                   const char *request, size_t len,
                                   struct inv_err *err) INV_MUST_USE;

/* The job (work.h). Stages gather, fit, judge, store. result:
 * {"adapter","verdict","report"}. */
enum inv_status inv_work_fit(const struct inv_work *work, const char *request,
                             struct inv_buf *result,
                             struct inv_err *err) INV_MUST_USE;

/* The same adapter from the same request, made before a restart that came
 * between its commit and the end of the job: writes the job's result. */
bool inv_fit_made_before(const struct inv_models *models, const char *text,
                         const struct inv_fit_request *request,
                         struct inv_buf *result);

/* ---- into a simplex (fit_simplex.c) ---- */

static inline bool inv_fit_into_simplex(const struct inv_models *models) {
    return models->settings->settings.simplex.classes > 0;
}
/* As inv_work_fit, for a gallery that is in a simplex: from the labelled
 * vectors of the model (encoders/adapters/simplex_fit.h). */
enum inv_status inv_work_fit_simplex(const struct inv_work *work,
                                     const char *request,
                                     struct inv_buf *result,
                                     struct inv_err *err) INV_MUST_USE;
/* Is there enough: INV_FIT_PAIRS_MIN labelled vectors of two classes, and for
 * the base of a blend as many with a vector in the first model? INV_CONFLICT
 * with both numbers. */
enum inv_status inv_fit_simplex_check(struct inv_collection *collection,
                                      const struct inv_models *models,
                                      const struct inv_fit_request *request,
                                      struct inv_err *err) INV_MUST_USE;

/* ---- gathering (fit_gather.c, fit_queries.c) ---- */

/* What a fit reads, in memory, all of one moment. */
struct inv_fit_input {
    struct inv_view *view; /* multi: tokens are read in place */
    struct inv_fit_data data;
    struct inv_upgrade_documents *documents;
    void *owned[24]; /* arrays that data points to */
    size_t owned_count;
    struct inv_arena arena; /* texts of labels */
    size_t unknown;    /* ids that queries name and the gallery does not hold */
    size_t unlabelled; /* documents without a label, where labels are read */
};

/* *out is to be released, also after a failure. INV_MEMORY before anything is
 * allocated when the machine has not enough, with both numbers;
 * INV_CANCELLED. */
enum inv_status inv_fit_gather(const struct inv_work *work,
                               const struct inv_fit_request *request,
                               struct inv_view *view, struct inv_db *db,
                               struct inv_fit_input *out,
                               struct inv_err *err) INV_MUST_USE;
void inv_fit_input_release(struct inv_fit_input *input);

/* Memory that lives as long as the input; NULL: out of memory. */
void *inv_fit_input_alloc(struct inv_fit_input *input, size_t bytes);

/* The queries of the model `request->from`, their relevant documents as rows
 * of input->documents. */
enum inv_status inv_fit_gather_queries(const struct inv_work *work,
                                       const struct inv_fit_request *request,
                                       struct inv_db *db,
                                       struct inv_fit_input *input,
                                       struct inv_err *err) INV_MUST_USE;

#endif
