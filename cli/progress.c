/*
 * progress.c: see progress.h. Knows nothing of what is being done. One thread.
 */
#include "cli/progress.h"

#include "base/clock.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_NS UINT64_C(100000000)
#define LINE_NS UINT64_C(1000000000)
#define BAR_MAX 30

void inv_progress_start(struct inv_progress *progress, const char *label,
                        const char *items, uint64_t total, uint64_t first,
                        bool quiet) {
    uint64_t now = inv_now_ns();
    *progress = (struct inv_progress){.label = label,
                                      .items = items,
                                      .total = total,
                                      .first = first,
                                      .started_ns = now,
                                      .drawn_ns = now,
                                      .terminal = isatty(STDERR_FILENO) == 1,
                                      .quiet = quiet};
}

static double share(const struct inv_progress *progress, uint64_t done) {
    if (progress->total == 0)
        return 0;
    double x = (double)done / (double)progress->total;
    return x > 1 ? 1 : x;
}

static void put_bar(struct inv_buf *out, double part, size_t cells) {
    size_t full = (size_t)(part * (double)cells);
    inv_buf_putc(out, '[');
    for (size_t i = 0; i < cells; i++)
        inv_buf_putc(out, i < full ? '#' : '.');
    inv_buf_puts(out, "] ");
}

/* "45 %  2,345 documents  1,200/s  0:03 left" */
static void put_figures(const struct inv_progress *progress, uint64_t done,
                        uint64_t count, double seconds, struct inv_buf *out) {
    char number[INV_NUMBER_MAX];
    double rate = seconds > 0 ? (double)count / seconds : 0;
    if (progress->total > 0)
        inv_buf_printf(out, "%3.0f %%  ", share(progress, done) * 100);
    inv_buf_printf(out, "%s %s  %.*f/s", inv_text_count(number, count),
                   progress->items, rate > 0 && rate < 10 ? 1 : 0, rate);
    if (progress->total == 0 || done <= progress->first || seconds <= 0)
        return;
    double gained = (double)(done - progress->first);
    double left = ((double)progress->total - (double)done) / gained;
    inv_buf_printf(out, "  %s left", inv_text_duration(number, left * seconds));
}

void inv_progress_line(const struct inv_progress *progress, uint64_t done,
                       uint64_t count, double seconds, size_t columns,
                       struct inv_buf *out) {
    struct inv_buf tail = INV_BUF_INIT;
    if (progress->total == 0 && count == 0) { /* nothing to tell yet */
        inv_buf_printf(out, "%s ...", progress->label);
        return;
    }
    put_figures(progress, done, count, seconds, &tail);
    inv_buf_printf(out, "%s  ", progress->label);
    size_t used = strlen(progress->label) + 2 + tail.len;
    size_t cells = columns > used + 4 ? columns - used - 4 : 0;
    if (progress->terminal && progress->total > 0 && cells >= 8)
        put_bar(out, share(progress, done), cells < BAR_MAX ? cells : BAR_MAX);
    inv_buf_append(out, tail.data, tail.len);
    inv_buf_release(&tail);
    if (out->len > columns && !out->failed) {
        out->len = columns; /* ASCII: a line that wraps cannot be redrawn */
        out->data[columns] = '\0';
    }
}

static void draw(struct inv_progress *progress, uint64_t done, uint64_t count,
                 uint64_t now) {
    struct inv_buf line = INV_BUF_INIT;
    inv_progress_line(progress, done, count,
                      (double)(now - progress->started_ns) / 1e9,
                      inv_text_columns(stderr) - 1, &line);
    if (!line.failed)
        fprintf(stderr, progress->terminal ? "\r%s\x1b[K" : "%s\n", line.data);
    fflush(stderr);
    progress->drawn = true;
    inv_buf_release(&line);
}

void inv_progress_update(struct inv_progress *progress, uint64_t done,
                         uint64_t count) {
    uint64_t now = inv_now_ns();
    if (progress->quiet)
        return;
    if (progress->terminal) {
        if (now - progress->drawn_ns < REDRAW_NS)
            return;
        progress->drawn_ns = now;
        draw(progress, done, count, now);
        return;
    }
    unsigned tenth = (unsigned)(share(progress, done) * 10);
    if (tenth > progress->tenth && now - progress->drawn_ns >= LINE_NS) {
        progress->tenth = tenth;
        progress->drawn_ns = now;
        draw(progress, done, count, now);
    }
}

void inv_progress_end(struct inv_progress *progress) {
    if (progress->drawn && progress->terminal)
        fputs("\r\x1b[K", stderr);
    fflush(stderr);
}
