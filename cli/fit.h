/*
 * fit.h: what `invar fit` reads and shows. Fitting and judging are in
 * encoders/adapters/evaluate.h, the report as JSON in server/json/report.h.
 * Main thread.
 */
#ifndef INV_CLI_FIT_H
#define INV_CLI_FIT_H

#include "base/vector.h"
#include "cli/cli.h"
#include "cli/vectors.h"
#include "encoders/adapters/evaluate.h"

struct inv_fit_files {
    const char *new_documents, *old_documents;
    const char *new_queries, *old_queries; /* judged; NULL: neighbours */
    const char *qrels, *unseen;            /* unseen: a part, told apart */
    const char *corpus, *queries;          /* ids, else row numbers */
    const char *titles;                    /* new vectors; row i = document i */
    const char *extra_new, *extra_old;     /* vector pairs of anything else */
    const char *pair_rows; /* rows of the documents that are pairs */
    const char *labels;    /* of documents, a line each */
    bool tokens;           /* multi-vectors; see inv_fit_input_open */
    uint32_t old_dims;     /* the gallery is cut to these; 0: as it is */
    uint32_t pairs;        /* else so many at random; 0: all */
    uint64_t seed;
};

/* What was read, and `data` that points into it: judged queries (kept out of
 * every fit), then titles, then extra pairs. */
struct inv_fit_input {
    struct inv_fit_data data;
    struct inv_matrix new_documents, old_documents;
    struct inv_matrix new_queries, old_queries; /* of all kinds */
    struct inv_vectors tokens[4]; /* documents new, old; queries new, old */
    struct inv_codes *codes[4];
    uint32_t *relevant, *pair_rows, *labels;
    size_t *relevant_start;
    bool *has_old, *unseen;
    uint8_t *use;
};

/* Reads and normalises everything. With `tokens`, NAME.i8.npy stands for
 * NAME.i8.npy, NAME.offsets.i64.npy and, of int8, NAME.scale.f16.npy; titles,
 * extra pairs and old_dims are for single vectors. All that goes wrong says
 * which file. */
enum inv_status inv_fit_input_open(const struct inv_fit_files *files,
                                   struct inv_fit_input *input,
                                   struct inv_err *err) INV_MUST_USE;
void inv_fit_input_close(struct inv_fit_input *input);

/* ---- its parts (fit_qrels.c) ---- */

/* Judged queries: row of the query file, documents that answer it. */
struct inv_fit_judged_rows {
    size_t count;
    uint32_t *row, *document;
    size_t *start; /* count + 1 */
    bool *unseen;
};
enum inv_status inv_fit_judged_rows_read(const struct inv_fit_files *files,
                                         size_t query_rows,
                                         size_t document_rows,
                                         struct inv_fit_judged_rows *out,
                                         struct inv_err *err) INV_MUST_USE;
void inv_fit_judged_rows_release(struct inv_fit_judged_rows *rows);
/* labels is malloc'ed; an empty line is INV_FIT_NO_LABEL. */
enum inv_status inv_fit_labels_read(const char *path, size_t rows,
                                    uint32_t **labels, size_t *classes,
                                    struct inv_err *err) INV_MUST_USE;

/* ---- telling ---- */

void inv_fit_table(const struct inv_fit_report *report, struct inv_buf *out);

#endif
