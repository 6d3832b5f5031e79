/*
 * embeddings.h: what a new model makes of documents or queries, by their ids,
 * wherever it comes from: a .npy file beside a list of ids, JSON lines, or
 * texts that the daemon's built-in model encodes. Immutable once open: any
 * thread.
 */
#ifndef INV_CLI_EMBEDDINGS_H
#define INV_CLI_EMBEDDINGS_H

#include "cli/ids.h"
#include "cli/vectors.h"

#include <stdbool.h>

/* One of npy, lines and folder. NULL: not given. */
struct inv_embedding_files {
    const char *npy, *offsets, *scales;
    const char *ids;    /* of npy: row i is line i; else row numbers */
    const char *lines;  /* {"id", "vector" or "vectors"} a line, or gzip'ed */
    const char *folder; /* a BEIR folder: title and text of its corpus */
};

/* FILE of --new: a .npy is a matrix, anything else lines. NULL: nothing. */
void inv_embedding_files_set(struct inv_embedding_files *files,
                             const char *file);

struct inv_embedding_item {
    size_t at, len; /* bytes in `bytes` */
    size_t rows;
};

struct inv_embeddings {
    struct inv_ids ids;
    bool multi, text;
    size_t dim;                       /* 0: texts */
    struct inv_vectors npy;           /* count 0: not from a matrix */
    struct inv_buf bytes;             /* floats of JSON lines, or texts */
    struct inv_embedding_item *items; /* by row; NULL: from a matrix */
    size_t item_cap;
};

/* multi: token vectors are wanted. INV_INVALID with file, line and both
 * numbers: rows and ids differ in number, an id stands twice, dimensions
 * differ, a line has no vectors. Lines are kept as float32. */
enum inv_status inv_embeddings_open(const struct inv_embedding_files *files,
                                    bool multi, struct inv_embeddings *out,
                                    struct inv_err *err) INV_MUST_USE;
void inv_embeddings_close(struct inv_embeddings *embeddings);

/* Appends the field of row i: "vector":{..}, "vectors":{..} or "text":"..". */
void inv_embeddings_put(const struct inv_embeddings *embeddings, size_t i,
                        struct inv_buf *out);

#endif
