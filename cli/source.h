/*
 * source.h: where an import's documents come from, cut into request bodies.
 * Two kinds: lines (JSON lines and BEIR corpora) become NDJSON, matrices
 * become frames. A source is read by one thread at a time.
 */
#ifndef INV_CLI_SOURCE_H
#define INV_CLI_SOURCE_H

#include "cli/beir.h"
#include "cli/lines.h"
#include "cli/resume.h"
#include "cli/vectors.h"

#define INV_BATCH_BYTES ((size_t)8 << 20)
#define INV_BATCH_DOCUMENTS 20000

/* One request: documents from..from + count of the source, none of them
 * acknowledged before. */
struct inv_batch {
    struct inv_buf body;
    uint64_t from, count;
    uint64_t units; /* what it adds to the progress */
};

struct inv_source;

struct inv_source_ops {
    const char *content_type;
    /* Fills the batch; count 0 at the end. */
    enum inv_status (*next)(struct inv_source *source, struct inv_batch *batch,
                            struct inv_err *err);
};

struct inv_source {
    const struct inv_source_ops *ops;
    const struct inv_resume *resume; /* what to leave out; NULL: nothing */
    size_t batch_bytes;              /* a batch ends behind this */
    uint64_t position;               /* of the next document */
    uint64_t total_units;            /* 0: unknown */
    uint64_t skipped_units;          /* of documents that were left out */
    uint64_t skipped;                /* documents that were left out */
    uint64_t local_errors; /* documents that cannot be sent (no vectors) */
    enum inv_payload_part part;
    struct inv_beir_document scratch;
    /* lines */
    struct inv_lines *lines;
    bool beir; /* lines are of BEIR's form (_id, title, text) */
    bool looked;
    uint64_t seen_offset;
    /* matrices */
    struct inv_vectors vectors;
    struct inv_lines *ids;      /* NULL: row numbers */
    struct inv_lines *payloads; /* NULL: none, or from the ids' lines */
    bool payload_from_ids;
    struct inv_buf id, payload;
};

/* A corpus.jsonl or JSON lines of documents as the API takes them: which of
 * them, the first line says. BEIR lines are sent as text. */
enum inv_status inv_source_open_lines(const char *path,
                                      enum inv_payload_part part,
                                      struct inv_source *source,
                                      struct inv_err *err) INV_MUST_USE;

/* What goes with a matrix; all but npy may be NULL. */
struct inv_matrix_files {
    const char *npy, *offsets, *scales;
    const char *ids;       /* one id a line, or JSON lines with _id or id */
    const char *payloads;  /* a JSON object a line */
    bool payload_from_ids; /* the ids' lines are BEIR documents: title, text */
};
enum inv_status inv_source_open_matrix(const struct inv_matrix_files *files,
                                       enum inv_payload_part part,
                                       struct inv_source *source,
                                       struct inv_err *err) INV_MUST_USE;
void inv_source_close(struct inv_source *source);

enum inv_status inv_source_next(struct inv_source *source,
                                struct inv_batch *batch,
                                struct inv_err *err) INV_MUST_USE;

/* For the two kinds: is this position to be left out? */
bool inv_source_done_before(const struct inv_source *source, uint64_t position);

#endif
