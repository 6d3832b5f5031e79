/*
 * queries.h: the queries of eval, bench and search: from a BEIR folder, a
 * queries.jsonl or a matrix of their vectors, and the body of a search made of
 * one. Main thread to open; immutable afterwards: any thread.
 */
#ifndef INV_CLI_QUERIES_H
#define INV_CLI_QUERIES_H

#include "cli/answers.h"
#include "cli/beir.h"
#include "cli/options.h"
#include "cli/vectors.h"

/* What the options say about queries and how to search. */
struct inv_query_options {
    const char *source; /* BEIR folder or queries.jsonl, or NULL */
    const char *npy, *offsets, *scales;
    const char *params, *filter; /* JSON texts or NULL */
    const char *model;           /* of the queries, or NULL */
    uint32_t limit;
    bool exact;
    bool binary; /* vectors as base64 rather than numbers */
};

struct inv_queries {
    struct inv_beir_queries texts; /* count 0 when only vectors were given */
    struct inv_vectors vectors;    /* count 0 when not given */
    bool by_vector;
    bool multi;
};

/* Reads the queries and checks that they suit the collection: vectors when its
 * model is not built in. INV_INVALID with both numbers when rows are too few or
 * of another dimension. */
enum inv_status inv_queries_open(const struct inv_query_options *options,
                                 const struct inv_target *target,
                                 struct inv_queries *queries,
                                 struct inv_err *err) INV_MUST_USE;
void inv_queries_close(struct inv_queries *queries);
size_t inv_queries_count(const struct inv_queries *queries);

/* The tail of a search body: limit, model, filter, params, what to return;
 * checks the JSON of the options. `with`: JSON of "with", or NULL. Made once,
 * used for every query. */
enum inv_status inv_query_tail(const struct inv_query_options *options,
                               bool exact, const char *with,
                               struct inv_buf *out,
                               struct inv_err *err) INV_MUST_USE;
/* The body of query i. */
void inv_query_body(const struct inv_queries *queries, size_t i, bool binary,
                    const struct inv_buf *tail, struct inv_buf *out);

/* The same for one text. */
void inv_query_text(const char *text, size_t len, const struct inv_buf *tail,
                    struct inv_buf *out);

#endif
