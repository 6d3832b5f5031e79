/*
 * test_interrupt.c: cli/interrupt.h: a signal waits to be asked for, also when
 * the system gives it to a thread that does not block it.
 */
#include "cli/interrupt.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* As OpenBLAS has them: started before anything was blocked. */
static void *idle(void *ctx) {
    (void)ctx;
    for (;;)
        pause();
    return NULL;
}

static pthread_t start_idle(void) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, idle, NULL), 0);
    return thread;
}

START_TEST(a_signal_to_another_thread_reaches_whoever_asks) {
    pthread_t thread = start_idle();
    ck_assert(inv_interrupt_block());
    ck_assert(!inv_interrupt_wait(0));
    ck_assert_int_eq(pthread_kill(thread, SIGINT), 0);
    ck_assert(inv_interrupt_wait(2000));
    ck_assert(!inv_interrupt_wait(0));
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    ck_assert(inv_interrupt_wait(2000));
}
END_TEST

START_TEST(only_the_first_to_block_is_told_to_unblock) {
    ck_assert(inv_interrupt_block());
    ck_assert(!inv_interrupt_block());
    inv_interrupt_unblock();
    ck_assert(inv_interrupt_block());
}
END_TEST

START_TEST(unblocked_a_signal_ends_the_process) {
    start_idle();
    ck_assert(inv_interrupt_block());
    inv_interrupt_unblock();
    kill(getpid(), SIGINT);
    pause();
}
END_TEST

START_TEST(an_ignored_signal_stays_ignored) {
    signal(SIGINT, SIG_IGN);
    ck_assert(inv_interrupt_block());
    inv_interrupt_unblock();
    ck_assert_int_eq(kill(getpid(), SIGINT), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cli/interrupt");
    TCase *tests = tcase_create("interrupt");
    tcase_add_test(tests, a_signal_to_another_thread_reaches_whoever_asks);
    tcase_add_test(tests, only_the_first_to_block_is_told_to_unblock);
    tcase_add_test_raise_signal(tests, unblocked_a_signal_ends_the_process,
                                SIGINT);
    tcase_add_test(tests, an_ignored_signal_stays_ignored);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
