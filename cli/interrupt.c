/*
 * interrupt.c: see interrupt.h. Main thread.
 */
#include "cli/interrupt.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(500000000)

static sigset_t signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* A signal to the process goes to any thread that does not block it, and
 * OpenBLAS has started threads before main: there the default would end the
 * process. Whoever gets it hands it to the main thread, whose number is the
 * process's, and where it waits to be asked for. */
static void hand_over(int number) {
    int saved = errno;
    syscall(SYS_tgkill, getpid(), getpid(), number);
    errno = saved;
}

/* What the environment ignores (nohup, a shell's background) stays ignored. */
static void act(void (*handler)(int)) {
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;
        struct sigaction action = {.sa_flags = SA_RESTART};
        action.sa_handler = handler;
        if (sigaction(numbers[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

bool inv_interrupt_block(void) {
    sigset_t set = signals();
    sigset_t before;
    sigemptyset(&before);
    sigprocmask(SIG_BLOCK, &set, &before);
    if (sigismember(&before, SIGINT) != 0)
        return false;
    act(hand_over);
    return true;
}

void inv_interrupt_unblock(void) {
    sigset_t set = signals();
    act(SIG_DFL);
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
