/*
 * metrics.h: counters, gauges and histograms, shown in the Prometheus text
 * format (version 0.0.4). A metric is a static struct of the module that
 * counts; it is registered once at start and updated from any thread without
 * a lock:
 *
 *   static struct inv_meter requests = INV_COUNTER("invar_requests_total",
 *       "Requests answered.", "route", "status");
 *   inv_metric_register(&requests);
 *   inv_counter_add(inv_metric_with(&requests, "search", "200"), 1);
 *
 * A metric without labels is updated directly: inv_counter_add(&x, 1). The
 * list of registered metrics is global to the process.
 */
#ifndef INV_BASE_METRICS_H
#define INV_BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define INV_METRIC_LABELS 2
#define INV_METRIC_BUCKETS 16   /* finite ones */
#define INV_METRIC_CHILDREN 512 /* label combinations of one metric */
#define INV_METRIC_VALUE_MAX 96 /* bytes of a label value; longer: cut */

enum inv_metric_kind { INV_KIND_COUNTER, INV_KIND_GAUGE, INV_KIND_HISTOGRAM };

struct inv_meter {
    const char *name, *help; /* constants */
    enum inv_metric_kind kind;
    const char *labels[INV_METRIC_LABELS]; /* NULL: fewer labels */
    const double *bounds;                  /* histogram: ascending, finite */
    size_t bound_count;
    /* the rest belongs to metrics.c */
    char values[INV_METRIC_LABELS][INV_METRIC_VALUE_MAX + 1];
    _Atomic uint64_t number; /* counter: count; gauge, histogram: the bits of
                                a double (value, sum) */
    _Atomic uint64_t buckets[INV_METRIC_BUCKETS + 1]; /* not cumulative */
    _Atomic uint64_t touched;
    _Atomic uint64_t child_count;
    struct inv_meter *_Atomic children;
    struct inv_meter *_Atomic next;
};

/* Labels: names, or NULL where there are fewer (fill from the left). */
#define INV_COUNTER(name_, help_, label1, label2)                              \
    {                                                                          \
        .name = (name_), .help = (help_), .kind = INV_KIND_COUNTER,            \
        .labels = {                                                            \
            (label1),                                                          \
            (label2)                                                           \
        }                                                                      \
    }
#define INV_GAUGE(name_, help_, label1, label2)                                \
    {                                                                          \
        .name = (name_), .help = (help_), .kind = INV_KIND_GAUGE, .labels = {  \
            (label1),                                                          \
            (label2)                                                           \
        }                                                                      \
    }
#define INV_HISTOGRAM(name_, help_, label1, label2, bounds_)                   \
    {                                                                          \
        .name = (name_), .help = (help_), .kind = INV_KIND_HISTOGRAM,          \
        .labels = {(label1), (label2)}, .bounds = (bounds_),                   \
        .bound_count = sizeof(bounds_) / sizeof((bounds_)[0])                  \
    }

/* Seconds, from a quarter of a millisecond to ten seconds. */
extern const double inv_seconds_bounds[15];

/* Adds it to what is rendered, in the order of names. Twice does nothing. */
void inv_metric_register(struct inv_meter *metric);

/* The child of a labelled metric for these values (NULL where there is no such
 * label); made when new, lives as long as the process, may be kept by the
 * caller. Never NULL: beyond INV_METRIC_CHILDREN combinations, or out of
 * memory, it is the metric itself, shown with the value "other". */
struct inv_meter *inv_metric_with(struct inv_meter *metric, const char *value1,
                                  const char *value2);

void inv_counter_add(struct inv_meter *metric, uint64_t n);
void inv_gauge_set(struct inv_meter *metric, double value);
void inv_gauge_add(struct inv_meter *metric, double delta);
/* NaN is ignored. A value equal to a bound belongs to that bucket. */
void inv_histogram_observe(struct inv_meter *metric, double value);

/* Appends every registered metric; check out->failed. A histogram's _count is
 * the sum of its buckets as they were read, so the two always agree. */
void inv_metrics_render(struct inv_buf *out);

#endif
