/*
 * metrics.c: see metrics.h. Updates are relaxed atomics; label combinations
 * hang in a list that only grows at its head, so a look-up takes no lock. Only
 * registration takes one. Any thread.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double inv_seconds_bounds[15] = {0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                       0.01,    0.025,  0.05,  0.1,    0.25,
                                       0.5,     1,      2.5,   5,      10};

static struct inv_meter *_Atomic registered;
static pthread_mutex_t registration = PTHREAD_MUTEX_INITIALIZER;

void inv_metric_register(struct inv_meter *metric) {
    pthread_mutex_lock(&registration);
    struct inv_meter *_Atomic *place = &registered;
    struct inv_meter *at = atomic_load(place);
    while (at != NULL && at != metric && strcmp(at->name, metric->name) <= 0) {
        place = &at->next;
        at = atomic_load(place);
    }
    if (at != metric) {
        atomic_store(&metric->next, at);
        atomic_store(place, metric);
    }
    pthread_mutex_unlock(&registration);
}

/* Compares as much as a child can hold. */
static bool same_values(const struct inv_meter *child, const char *value1,
                        const char *value2) {
    return strncmp(child->values[0], value1, INV_METRIC_VALUE_MAX) == 0 &&
           strncmp(child->values[1], value2, INV_METRIC_VALUE_MAX) == 0;
}

static struct inv_meter *new_child(const struct inv_meter *metric,
                                   const char *value1, const char *value2) {
    struct inv_meter *child = calloc(1, sizeof *child);
    if (child == NULL)
        return NULL;
    child->name = metric->name;
    child->kind = metric->kind;
    child->bounds = metric->bounds;
    child->bound_count = metric->bound_count;
    memcpy(child->labels, metric->labels, sizeof child->labels);
    memcpy(child->values[0], value1, strnlen(value1, INV_METRIC_VALUE_MAX));
    memcpy(child->values[1], value2, strnlen(value2, INV_METRIC_VALUE_MAX));
    return child;
}

struct inv_meter *inv_metric_with(struct inv_meter *metric, const char *value1,
                                  const char *value2) {
    value1 = value1 == NULL ? "" : value1;
    value2 = value2 == NULL ? "" : value2;
    struct inv_meter *fresh = NULL;
    struct inv_meter *head = atomic_load(&metric->children);
    struct inv_meter *seen = NULL; /* what was searched already */
    for (;;) {
        for (struct inv_meter *c = head; c != seen; c = atomic_load(&c->next))
            if (same_values(c, value1, value2)) {
                free(fresh);
                return c;
            }
        seen = head;
        if (fresh == NULL) {
            if (atomic_load(&metric->child_count) >= INV_METRIC_CHILDREN)
                return metric;
            fresh = new_child(metric, value1, value2);
            if (fresh == NULL)
                return metric;
        }
        atomic_store(&fresh->next, head);
        if (atomic_compare_exchange_strong(&metric->children, &head, fresh)) {
            atomic_fetch_add(&metric->child_count, 1);
            return fresh;
        }
    }
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add_double(_Atomic uint64_t *place, double delta) {
    uint64_t old = atomic_load_explicit(place, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        place, &old, as_bits(as_double(old) + delta), memory_order_relaxed,
        memory_order_relaxed))
        continue;
}

static void touch(struct inv_meter *metric) {
    if (atomic_load_explicit(&metric->touched, memory_order_relaxed) == 0)
        atomic_store_explicit(&metric->touched, 1, memory_order_relaxed);
}

void inv_counter_add(struct inv_meter *metric, uint64_t n) {
    atomic_fetch_add_explicit(&metric->number, n, memory_order_relaxed);
    touch(metric);
}

void inv_gauge_set(struct inv_meter *metric, double value) {
    atomic_store_explicit(&metric->number, as_bits(value),
                          memory_order_relaxed);
    touch(metric);
}

void inv_gauge_add(struct inv_meter *metric, double delta) {
    add_double(&metric->number, delta);
    touch(metric);
}

void inv_histogram_observe(struct inv_meter *metric, double value) {
    if (isnan(value))
        return;
    size_t b = 0;
    while (b < metric->bound_count && value > metric->bounds[b])
        b++;
    atomic_fetch_add_explicit(&metric->buckets[b], 1, memory_order_relaxed);
    add_double(&metric->number, value);
    touch(metric);
}

/* Label values escape \, " and newline; help texts \ and newline. */
static void put_escaped(struct inv_buf *out, const char *text, bool quotes) {
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            inv_buf_puts(out, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            inv_buf_printf(out, "\\%c", *text);
        else
            inv_buf_putc(out, *text);
    }
}

static void put_double(struct inv_buf *out, double value) {
    char text[40];
    if (isinf(value)) {
        inv_buf_puts(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    inv_buf_puts(out, isnan(value) ? "NaN" : text);
}

/* name<suffix>{label="value",le="bound"}, followed by a space; le NULL: no
 * such label. */
static void put_name(struct inv_buf *out, const struct inv_meter *m,
                     const char *suffix, const double *le, bool other) {
    char open = '{';
    inv_buf_puts(out, m->name);
    inv_buf_puts(out, suffix);
    for (size_t i = 0; i < INV_METRIC_LABELS && m->labels[i] != NULL; i++) {
        inv_buf_printf(out, "%c%s=\"", open, m->labels[i]);
        put_escaped(out, other ? "other" : m->values[i], true);
        inv_buf_putc(out, '"');
        open = ',';
    }
    if (le != NULL) {
        inv_buf_printf(out, "%cle=\"", open);
        put_double(out, *le);
        inv_buf_putc(out, '"');
        open = ',';
    }
    inv_buf_puts(out, open == ',' ? "} " : " ");
}

static void put_histogram(struct inv_buf *out, const struct inv_meter *m,
                          bool other) {
    uint64_t total = 0;
    for (size_t b = 0; b <= m->bound_count; b++) {
        double bound = b < m->bound_count ? m->bounds[b] : HUGE_VAL;
        total += atomic_load_explicit(&m->buckets[b], memory_order_relaxed);
        put_name(out, m, "_bucket", &bound, other);
        inv_buf_printf(out, "%" PRIu64 "\n", total);
    }
    put_name(out, m, "_sum", NULL, other);
    put_double(out, as_double(atomic_load(&m->number)));
    inv_buf_putc(out, '\n');
    put_name(out, m, "_count", NULL, other);
    inv_buf_printf(out, "%" PRIu64 "\n", total);
}

static void put_metric(struct inv_buf *out, const struct inv_meter *m,
                       bool other) {
    if (m->kind == INV_KIND_HISTOGRAM) {
        put_histogram(out, m, other);
        return;
    }
    uint64_t number = atomic_load_explicit(&m->number, memory_order_relaxed);
    put_name(out, m, "", NULL, other);
    if (m->kind == INV_KIND_COUNTER)
        inv_buf_printf(out, "%" PRIu64, number);
    else
        put_double(out, as_double(number));
    inv_buf_putc(out, '\n');
}

void inv_metrics_render(struct inv_buf *out) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (struct inv_meter *m = atomic_load(&registered); m != NULL;
         m = atomic_load(&m->next)) {
        inv_buf_printf(out, "# HELP %s ", m->name);
        put_escaped(out, m->help, false);
        inv_buf_printf(out, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
        if (m->labels[0] == NULL || atomic_load(&m->touched) != 0)
            put_metric(out, m, m->labels[0] != NULL);
        for (struct inv_meter *c = atomic_load(&m->children); c != NULL;
             c = atomic_load(&c->next))
            put_metric(out, c, false);
    }
}
