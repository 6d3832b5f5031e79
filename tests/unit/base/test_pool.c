/*
 * test_pool.c: base/pool.h.
 */
#include "base/pool.h"

#include "base/clock.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_int done;
static sem_t entered, gate;

static void setup(void) {
    atomic_store(&done, 0);
    sem_init(&entered, 0, 0);
    sem_init(&gate, 0, 0);
}

static void teardown(void) {
    sem_destroy(&entered);
    sem_destroy(&gate);
}

static void count(void *arg) { atomic_fetch_add(&done, *(const int *)arg); }

static void wait_at_gate(void *arg) {
    (void)arg;
    sem_post(&entered);
    sem_wait(&gate);
    atomic_fetch_add(&done, 1);
}

static struct inv_pool *new_pool(size_t workers, size_t limit) {
    struct inv_pool *pool = NULL;
    struct inv_err err;
    ck_assert_int_eq(inv_pool_new("http", workers, limit, &pool, &err), INV_OK);
    return pool;
}

START_TEST(every_job_runs_once) {
    struct inv_pool *pool = new_pool(3, 8);
    int weight = 1;
    int taken = 0;
    while (taken < 20000) {
        if (inv_pool_submit(pool, count, &weight, NULL) == INV_OK)
            taken++;
        else
            sched_yield();
    }
    inv_pool_stop(pool);
    ck_assert_int_eq(atomic_load(&done), 20000);
    ck_assert_uint_eq(inv_pool_depth(pool), 0);
    ck_assert_uint_eq(inv_pool_running(pool), 0);
    inv_pool_free(pool);
}
END_TEST

START_TEST(full_queue_is_busy_and_says_both_numbers) {
    struct inv_pool *pool = new_pool(1, 2);
    struct inv_err err = {0};
    ck_assert_int_eq(inv_pool_submit(pool, wait_at_gate, NULL, &err), INV_OK);
    sem_wait(&entered); /* it left the queue */
    ck_assert_uint_eq(inv_pool_running(pool), 1);
    ck_assert_int_eq(inv_pool_submit(pool, wait_at_gate, NULL, &err), INV_OK);
    ck_assert_int_eq(inv_pool_submit(pool, wait_at_gate, NULL, &err), INV_OK);
    ck_assert_uint_eq(inv_pool_depth(pool), 2);
    ck_assert_uint_eq(inv_pool_limit(pool), 2);
    ck_assert_int_eq(inv_pool_submit(pool, wait_at_gate, NULL, &err), INV_BUSY);
    ck_assert_int_eq(err.status, INV_BUSY);
    ck_assert_str_eq(err.text, "the queue of http is full: 2 of 2 waiting");
    for (int i = 0; i < 4; i++)
        sem_post(&gate);
    inv_pool_free(pool);
    ck_assert_int_eq(atomic_load(&done), 3); /* the refused one never ran */
}
END_TEST

static void *open_gate_late(void *arg) {
    struct inv_pool *pool = arg;
    /* stop is under way when submitting says so */
    int one = 100;
    struct inv_err err;
    uint64_t end = inv_now_ns() + UINT64_C(5000000000);
    for (;;) {
        if (inv_pool_submit(pool, count, &one, &err) != INV_OK &&
            strcmp(err.text, "http is shutting down") == 0)
            break;
        ck_assert_uint_lt(inv_now_ns(), end);
        sched_yield();
    }
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    return NULL;
}

START_TEST(stop_drains_and_refuses_newcomers) {
    struct inv_pool *pool = new_pool(1, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(inv_pool_submit(pool, wait_at_gate, NULL, NULL),
                         INV_OK);
    sem_wait(&entered);
    int hundred = 100; /* fill the place that was left */
    ck_assert_int_eq(inv_pool_submit(pool, count, &hundred, NULL), INV_OK);
    pthread_t helper;
    pthread_create(&helper, NULL, open_gate_late, pool);
    inv_pool_stop(pool);
    ck_assert_int_eq(atomic_load(&done), 103);
    pthread_join(helper, NULL);
    inv_pool_stop(pool); /* nothing */
    inv_pool_free(pool);
}
END_TEST

static atomic_int order_at;
static int order[100];
static void note(void *arg) {
    order[atomic_fetch_add(&order_at, 1)] = *(const int *)arg;
}

START_TEST(one_worker_keeps_the_order) {
    struct inv_pool *pool = new_pool(1, 100);
    int numbers[100];
    for (int i = 0; i < 100; i++) {
        numbers[i] = i;
        ck_assert_int_eq(inv_pool_submit(pool, note, &numbers[i], NULL),
                         INV_OK);
    }
    inv_pool_free(pool);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(order[i], i);
}
END_TEST

static void look_at_thread(void *arg) {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof name);
    *(int *)arg = sigismember(&blocked, SIGTERM) && strcmp(name, "http") == 0;
}

START_TEST(workers_are_named_and_leave_signals_alone) {
    struct inv_pool *pool = new_pool(1, 1);
    int good = 0;
    ck_assert_int_eq(inv_pool_submit(pool, look_at_thread, &good, NULL),
                     INV_OK);
    inv_pool_free(pool);
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    ck_assert(good && !sigismember(&mine, SIGTERM));
}
END_TEST

START_TEST(a_pool_needs_workers_and_places) {
    struct inv_pool *pool = NULL;
    struct inv_err err;
    ck_assert_int_eq(inv_pool_new("p", 0, 7, &pool, &err), INV_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "0 and 7"));
    ck_assert_int_eq(inv_pool_new("p", 1, 0, &pool, &err), INV_INVALID);
    ck_assert_ptr_null(pool);
    inv_pool_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("base/pool");
    TCase *tc = tcase_create("pool");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, every_job_runs_once);
    tcase_add_test(tc, full_queue_is_busy_and_says_both_numbers);
    tcase_add_test(tc, stop_drains_and_refuses_newcomers);
    tcase_add_test(tc, one_worker_keeps_the_order);
    tcase_add_test(tc, workers_are_named_and_leave_signals_alone);
    tcase_add_test(tc, a_pool_needs_workers_and_places);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
