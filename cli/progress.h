/*
 * progress.h: how far a long step is, with rate and time left, on standard
 * error: a bar that redraws itself on a terminal, else a line about every ten
 * per cent, at most one a second: what is over at once prints none. One
 * thread.
 */
#ifndef INV_CLI_PROGRESS_H
#define INV_CLI_PROGRESS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct inv_progress {
    const char *label; /* "import" */
    const char *items; /* "documents": what is counted */
    uint64_t total;    /* units that make 100 %; 0: unknown */
    uint64_t first;    /* units that were done before the start */
    uint64_t started_ns;
    uint64_t drawn_ns;
    unsigned tenth; /* the last tenth that was printed */
    bool terminal;
    bool quiet;
    bool drawn;
};

/* `first` units are done already (a resumed import): they count as progress,
 * not as speed. */
void inv_progress_start(struct inv_progress *progress, const char *label,
                        const char *items, uint64_t total, uint64_t first,
                        bool quiet);
/* done: units so far; count: items of this run, for the rate. Draws at most
 * ten times a second. */
void inv_progress_update(struct inv_progress *progress, uint64_t done,
                         uint64_t count);
/* Removes the bar: the result follows on a clean line. */
void inv_progress_end(struct inv_progress *progress);

/* One line, at most `columns` wide: share done, items, rate, time left. */
void inv_progress_line(const struct inv_progress *progress, uint64_t done,
                       uint64_t count, double seconds, size_t columns,
                       struct inv_buf *out);

#endif
