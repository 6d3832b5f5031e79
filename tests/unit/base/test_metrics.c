/*
 * test_metrics.c: base/metrics.h, by what is rendered.
 */
#include "base/metrics.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct inv_buf out;

static void setup(void) { out = (struct inv_buf)INV_BUF_INIT; }
static void teardown(void) { inv_buf_release(&out); }

static const char *render(void) {
    inv_buf_reset(&out);
    inv_metrics_render(&out);
    ck_assert(!out.failed);
    return out.data == NULL ? "" : out.data;
}

static void assert_line(const char *line) {
    const char *at = strstr(render(), line);
    ck_assert_msg(at != NULL, "no %s in\n%s", line, out.data);
    ck_assert(at == out.data || at[-1] == '\n');
}

START_TEST(plain_counter_shows_its_sum) {
    static struct inv_meter m =
        INV_COUNTER("t_total", "Things\\ done\nhere.", NULL, NULL);
    inv_metric_register(&m);
    ck_assert_str_eq(render(), "# HELP t_total Things\\\\ done\\nhere.\n"
                               "# TYPE t_total counter\nt_total 0\n");
    inv_counter_add(&m, 1);
    inv_counter_add(&m, UINT64_C(9007199254740993));
    assert_line("t_total 9007199254740994\n");
}
END_TEST

START_TEST(labels_are_shown_and_escaped) {
    static struct inv_meter m =
        INV_COUNTER("req_total", "Requests.", "route", "status");
    inv_metric_register(&m);
    inv_counter_add(inv_metric_with(&m, "search", "200"), 2);
    inv_counter_add(inv_metric_with(&m, "search", "503"), 1);
    inv_counter_add(inv_metric_with(&m, "search", "200"), 3);
    inv_counter_add(inv_metric_with(&m, "a\"b\\c\nd", NULL), 1);
    assert_line("req_total{route=\"search\",status=\"200\"} 5\n");
    assert_line("req_total{route=\"search\",status=\"503\"} 1\n");
    assert_line("req_total{route=\"a\\\"b\\\\c\\nd\",status=\"\"} 1\n");
    ck_assert_ptr_null(strstr(render(), "other"));
}
END_TEST

START_TEST(gauge_goes_up_and_down) {
    static struct inv_meter m = INV_GAUGE("depth", "Depth.", "pool", NULL);
    inv_metric_register(&m);
    struct inv_meter *g = inv_metric_with(&m, "http", NULL);
    inv_gauge_set(g, 2.5);
    inv_gauge_add(g, -4);
    assert_line("depth{pool=\"http\"} -1.5\n");
    inv_gauge_set(g, 0.1);
    assert_line("depth{pool=\"http\"} 0.1\n");
    inv_gauge_set(g, (double)INFINITY);
    assert_line("depth{pool=\"http\"} +Inf\n");
    inv_gauge_set(g, 1.0 / 3);
    assert_line("depth{pool=\"http\"} 0.333333333333333");
}
END_TEST

START_TEST(histogram_is_cumulative_and_bounds_are_inclusive) {
    static const double bounds[] = {0.1, 1, 5};
    static struct inv_meter m =
        INV_HISTOGRAM("lat_seconds", "Latency.", "route", NULL, bounds);
    inv_metric_register(&m);
    struct inv_meter *h = inv_metric_with(&m, "x", NULL);
    static const double values[] = {0.05, 0.1, 0.5, 1, 7, (double)NAN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        inv_histogram_observe(h, values[i]);
    ck_assert_str_eq(render(), "# HELP lat_seconds Latency.\n"
                               "# TYPE lat_seconds histogram\n"
                               "lat_seconds_bucket{route=\"x\",le=\"0.1\"} 2\n"
                               "lat_seconds_bucket{route=\"x\",le=\"1\"} 4\n"
                               "lat_seconds_bucket{route=\"x\",le=\"5\"} 4\n"
                               "lat_seconds_bucket{route=\"x\",le=\"+Inf\"} 5\n"
                               "lat_seconds_sum{route=\"x\"} 8.65\n"
                               "lat_seconds_count{route=\"x\"} 5\n");
}
END_TEST

START_TEST(histogram_without_labels_has_only_le) {
    static struct inv_meter m =
        INV_HISTOGRAM("s", "S.", NULL, NULL, inv_seconds_bounds);
    inv_metric_register(&m);
    inv_histogram_observe(&m, 0.00025);
    inv_histogram_observe(&m, 11);
    assert_line("s_bucket{le=\"0.00025\"} 1\n");
    assert_line("s_bucket{le=\"10\"} 1\n");
    assert_line("s_bucket{le=\"+Inf\"} 2\n");
    assert_line("s_sum 11.00025\n");
    assert_line("s_count 2\n");
}
END_TEST

START_TEST(metrics_come_in_the_order_of_names_and_once) {
    static struct inv_meter b = INV_COUNTER("b", "B.", NULL, NULL);
    static struct inv_meter a = INV_COUNTER("a", "A.", NULL, NULL);
    static struct inv_meter c = INV_COUNTER("c", "C.", NULL, NULL);
    inv_metric_register(&b);
    inv_metric_register(&a);
    inv_metric_register(&c);
    inv_metric_register(&a);
    inv_metric_register(&c);
    inv_metric_register(&b);
    ck_assert_str_eq(render(), "# HELP a A.\n# TYPE a counter\na 0\n"
                               "# HELP b B.\n# TYPE b counter\nb 0\n"
                               "# HELP c C.\n# TYPE c counter\nc 0\n");
}
END_TEST

START_TEST(too_many_combinations_end_in_other) {
    static struct inv_meter m = INV_COUNTER("k", "K.", "id", NULL);
    inv_metric_register(&m);
    char id[32];
    for (int i = 0; i < INV_METRIC_CHILDREN + 100; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        inv_counter_add(inv_metric_with(&m, id, NULL), 1);
    }
    assert_line("k{id=\"id-511\"} 1\n");
    assert_line("k{id=\"other\"} 100\n");
    ck_assert_ptr_null(strstr(render(), "id-512"));
}
END_TEST

START_TEST(long_values_are_cut_and_found_again) {
    static struct inv_meter m = INV_COUNTER("l", "L.", "id", NULL);
    char id[300];
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    ck_assert_ptr_eq(inv_metric_with(&m, id, NULL),
                     inv_metric_with(&m, id, NULL));
    ck_assert_ptr_ne(inv_metric_with(&m, id, NULL), &m);
}
END_TEST

static struct inv_meter shared = INV_COUNTER("sh", "S.", "n", NULL);
static struct inv_meter timing =
    INV_HISTOGRAM("ti", "T.", NULL, NULL, inv_seconds_bounds);

static void *count(void *arg) {
    (void)arg;
    char n[8];
    for (int i = 0; i < 20000; i++) {
        snprintf(n, sizeof n, "%d", i % 40);
        inv_counter_add(inv_metric_with(&shared, n, NULL), 1);
        inv_histogram_observe(&timing, 0.5);
    }
    return NULL;
}

START_TEST(threads_lose_nothing_and_make_no_twins) {
    inv_metric_register(&shared);
    inv_metric_register(&timing);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count, NULL);
    for (int i = 0; i < 10; i++)
        render(); /* reading meanwhile is fine */
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 40; i++) {
        char line[64];
        snprintf(line, sizeof line, "sh{n=\"%d\"} 2000\n", i);
        assert_line(line);
    }
    assert_line("ti_sum 40000\n");
    assert_line("ti_count 80000\n");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base/metrics");
    TCase *tc = tcase_create("metrics");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, plain_counter_shows_its_sum);
    tcase_add_test(tc, labels_are_shown_and_escaped);
    tcase_add_test(tc, gauge_goes_up_and_down);
    tcase_add_test(tc, histogram_is_cumulative_and_bounds_are_inclusive);
    tcase_add_test(tc, histogram_without_labels_has_only_le);
    tcase_add_test(tc, metrics_come_in_the_order_of_names_and_once);
    tcase_add_test(tc, too_many_combinations_end_in_other);
    tcase_add_test(tc, long_values_are_cut_and_found_again);
    tcase_add_test(tc, threads_lose_nothing_and_make_no_twins);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
