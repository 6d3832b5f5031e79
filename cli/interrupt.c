/*
 * interrupt.c: see interrupt.h. Main thread.
 */
#include "cli/interrupt.h"

#include "base/clock.h"

#include <signal.h>
#include <time.h>

#define PATIENCE_NS UINT64_C(500000000)

static sigset_t signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

bool inv_interrupt_block(void) {
    sigset_t set = signals();
    sigset_t before;
    sigemptyset(&before);
    sigprocmask(SIG_BLOCK, &set, &before);
    return sigismember(&before, SIGINT) == 0;
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

bool inv_interrupt_watch(unsigned milliseconds, uint64_t *first_ns) {
    if (!inv_interrupt_wait(milliseconds))
        return false;
    uint64_t now = inv_now_ns();
    if (*first_ns == 0) {
        *first_ns = now;
        return true;
    }
    if (now - *first_ns >= PATIENCE_NS) {
        inv_interrupt_unblock();
        raise(SIGINT);
    }
    return false;
}
