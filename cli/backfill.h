/*
 * backfill.h: brings a new model's vectors of stored documents to the daemon,
 * in the order its queue asks for. Posting a vector twice changes nothing, so
 * an interrupted backfill goes on by being started again. Main thread.
 */
#ifndef INV_CLI_BACKFILL_H
#define INV_CLI_BACKFILL_H

#include "cli/cli.h"
#include "cli/embeddings.h"

#define INV_POST_BYTES ((size_t)8 << 20)
#define INV_POST_ITEMS 1000

struct inv_backfill {
    struct inv_cli *cli;
    const char *collection, *model;
    const struct inv_embeddings *embeddings;
    bool *tried; /* rows that were sent in this run */
    bool quiet;
    /* so far in this run */
    uint64_t sent, stored, unchanged;
    uint64_t stale;   /* the document changed while its vector was made */
    uint64_t unknown; /* ids that the collection does not hold */
    double coverage;  /* as the daemon said last */
    char first_error[256];
};

enum inv_status inv_backfill_open(struct inv_cli *cli, const char *collection,
                                  const char *model,
                                  const struct inv_embeddings *embeddings,
                                  struct inv_backfill *out,
                                  struct inv_err *err) INV_MUST_USE;
void inv_backfill_close(struct inv_backfill *backfill);

/* How a backfill ended, besides its exit code. */
enum inv_backfill_end {
    INV_BACKFILL_REACHED,     /* the coverage that was asked for */
    INV_BACKFILL_MISSING,     /* documents are left whose vectors are not in
                                 the embeddings */
    INV_BACKFILL_INTERRUPTED, /* Ctrl-C, after the request under way */
};

/* Posts what the queue asks for, its first documents first, until the share
 * `fraction` of the documents is covered; what the embeddings hold beyond the
 * queue's pages follows in file order. Exit code; errors are said. Signals are
 * blocked while it runs. */
int inv_backfill_run(struct inv_backfill *backfill, double fraction,
                     enum inv_backfill_end *end);

/* Posts the documents of {"documents":[{"id","seq"},..]} that the embeddings
 * hold. *posted: how many. */
int inv_backfill_list(struct inv_backfill *backfill, const inv_json *answer,
                      enum inv_backfill_end *end, uint64_t *posted);

/* Posts every row that was not sent yet, in file order, at most `limit`. */
int inv_backfill_rest(struct inv_backfill *backfill, uint64_t limit,
                      enum inv_backfill_end *end);

/* "1,200 sent, 1,150 stored, 50 were there" and what was refused. */
void inv_backfill_tell(const struct inv_backfill *backfill,
                       struct inv_buf *out);

#endif
