/*
 * linger.c: see linger.h. One thread polls up to INV_LINGER_MAX sockets, of
 * which there are nearly always none. It does not know what the bytes of an
 * answer say.
 */
#include "server/http/linger.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 1000

struct guest {
    int fd;
    struct inv_buf answer;
    size_t sent;
    uint64_t deadline_ns;
    void (*gone)(void *arg);
    void *arg;
};

struct inv_linger {
    pthread_mutex_t lock;
    /* Others append under the lock; the thread alone removes, also under it.
     * So the thread may read the first `count` it has seen without. */
    struct guest guests[INV_LINGER_MAX];
    size_t count;
    bool stopping;
    int wake; /* eventfd */
    void (*tick)(void *ctx);
    void *ctx;
    uint64_t next_tick_ns;
    pthread_t thread;
};

static void send_some(struct guest *guest) {
    size_t left = guest->answer.len - guest->sent;
    ssize_t n = send(guest->fd, guest->answer.data + guest->sent, left,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        guest->sent += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        guest->sent = guest->answer.len; /* nobody there to read it */
    if (guest->sent == guest->answer.len)
        shutdown(guest->fd, SHUT_WR); /* "that was all": most clients leave */
}

/* Reads and drops; false at the end of what the client sends. */
static bool drop_some(struct guest *guest) {
    char scrap[65536];
    ssize_t n = recv(guest->fd, scrap, sizeof scrap, MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool is_done(struct guest *guest, short events) {
    if (guest->sent < guest->answer.len && (events & POLLOUT) != 0)
        send_some(guest);
    if ((events & (POLLIN | POLLERR | POLLHUP)) != 0 && !drop_some(guest))
        return true;
    return inv_now_ns() >= guest->deadline_ns;
}

static void let_go(struct guest *guest) {
    if (guest->sent < guest->answer.len)
        send_some(guest); /* at a stop it may not have had its turn yet */
    shutdown(guest->fd, SHUT_RDWR);
    close(guest->fd);
    inv_buf_release(&guest->answer);
    guest->gone(guest->arg);
}

static size_t fill_polls(const struct inv_linger *linger, size_t count,
                         struct pollfd *polls) {
    polls[0] = (struct pollfd){.fd = linger->wake, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        const struct guest *guest = &linger->guests[i];
        bool unsent = guest->sent < guest->answer.len;
        polls[i + 1] = (struct pollfd){
            .fd = guest->fd,
            .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)};
    }
    return count + 1;
}

static void remove_guest(struct inv_linger *linger, size_t i) {
    struct guest guest = linger->guests[i];
    pthread_mutex_lock(&linger->lock);
    linger->count--;
    memmove(&linger->guests[i], &linger->guests[i + 1],
            (linger->count - i) * sizeof guest);
    pthread_mutex_unlock(&linger->lock);
    let_go(&guest);
}

static void tick(struct inv_linger *linger) {
    uint64_t now = inv_now_ns();
    if (now < linger->next_tick_ns)
        return;
    linger->next_tick_ns = now + (uint64_t)TICK_MS * 1000000;
    linger->tick(linger->ctx);
}

static void *serve(void *arg) {
    struct inv_linger *linger = arg;
    struct pollfd polls[INV_LINGER_MAX + 1];
    for (;;) {
        pthread_mutex_lock(&linger->lock);
        size_t count = linger->count;
        bool stopping = linger->stopping;
        pthread_mutex_unlock(&linger->lock);
        if (stopping)
            break;
        size_t n = fill_polls(linger, count, polls);
        /* A fifth of a second is close enough to a deadline of five. */
        if (poll(polls, n, count == 0 ? TICK_MS : 200) < 0)
            continue;
        tick(linger);
        if ((polls[0].revents & POLLIN) != 0) {
            uint64_t times;
            if (read(linger->wake, &times, sizeof times) < 0)
                continue;
        }
        for (size_t i = count; i-- > 0;)
            if (is_done(&linger->guests[i], polls[i + 1].revents))
                remove_guest(linger, i);
    }
    while (linger->count > 0)
        remove_guest(linger, linger->count - 1);
    return NULL;
}

enum inv_status inv_linger_new(void (*tick_fn)(void *ctx), void *ctx,
                               struct inv_linger **out, struct inv_err *err) {
    struct inv_linger *linger = calloc(1, sizeof *linger);
    if (linger == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for the front door");
    linger->tick = tick_fn;
    linger->ctx = ctx;
    pthread_mutex_init(&linger->lock, NULL);
    linger->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failed = linger->wake < 0 ? errno : 0;
    if (failed == 0) {
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(&linger->thread, NULL, serve, linger);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (failed != 0) {
        if (linger->wake >= 0)
            close(linger->wake);
        pthread_mutex_destroy(&linger->lock);
        free(linger);
        return inv_fail_errno(err, failed, "cannot start the linger thread");
    }
    pthread_setname_np(linger->thread, "http-linger");
    *out = linger;
    return INV_OK;
}

static void wake_up(struct inv_linger *linger) {
    uint64_t one = 1;
    /* Fails only when the counter is full: then it is awake anyway. */
    if (write(linger->wake, &one, sizeof one) < 0)
        return;
}

bool inv_linger_add(struct inv_linger *linger, int fd, struct inv_buf *answer,
                    void (*gone)(void *arg), void *arg) {
    /* A descriptor of its own: the number stays that of this socket, whoever
     * closes the other one. */
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return false;
    struct guest guest = {
        .fd = own,
        .answer = *answer,
        .deadline_ns = inv_now_ns() + (uint64_t)INV_LINGER_MS * 1000000,
        .gone = gone,
        .arg = arg,
    };
    pthread_mutex_lock(&linger->lock);
    bool taken = !linger->stopping && linger->count < INV_LINGER_MAX;
    if (taken)
        linger->guests[linger->count++] = guest;
    pthread_mutex_unlock(&linger->lock);
    if (taken) {
        *answer = (struct inv_buf)INV_BUF_INIT;
        wake_up(linger);
    } else {
        close(own);
    }
    return taken;
}

void inv_linger_free(struct inv_linger *linger) {
    if (linger == NULL)
        return;
    pthread_mutex_lock(&linger->lock);
    linger->stopping = true;
    pthread_mutex_unlock(&linger->lock);
    wake_up(linger);
    pthread_join(linger->thread, NULL);
    close(linger->wake);
    pthread_mutex_destroy(&linger->lock);
    free(linger);
}
