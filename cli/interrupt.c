/*
 * interrupt.c: see interrupt.h. Main thread.
 */
#include "cli/interrupt.h"

#include <signal.h>
#include <time.h>

static sigset_t signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void inv_interrupt_block(void) {
    sigset_t set = signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void inv_interrupt_unblock(void) {
    sigset_t set = signals();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool inv_interrupt_wait(unsigned milliseconds) {
    sigset_t set = signals();
    struct timespec wait = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000L};
    return sigtimedwait(&set, NULL, &wait) > 0;
}
