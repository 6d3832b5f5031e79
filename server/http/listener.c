/*
 * listener.c: see listener.h. It knows nothing of HTTP. The hooks run on its
 * one thread.
 */
#include "server/http/listener.h"

#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long to wait before looking again for room, or for descriptors. */
#define FULL_WAIT_MS 20
#define EXHAUSTED_WAIT_MS 100

struct inv_listener {
    int fd;
    int stop; /* eventfd */
    uint16_t port;
    bool started;
    struct inv_listener_hooks hooks;
    pthread_t thread;
};

static enum inv_status resolve(const char *host, uint16_t port,
                               struct addrinfo **out, struct inv_err *err) {
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    const char *address = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    int failed = getaddrinfo(address, service, &hints, out);
    if (failed == EAI_MEMORY)
        return inv_fail(err, INV_MEMORY, "out of memory for the address %s",
                        host);
    if (failed != 0)
        return inv_fail(err, INV_INVALID,
                        "cannot listen on %s:%u: the host must be an IPv4 or "
                        "IPv6 address, or localhost",
                        host, (unsigned)port);
    return INV_OK;
}

/* Gives 0 or an errno value. */
static int listen_on(struct inv_listener *listener,
                     const struct addrinfo *address) {
    listener->fd = socket(address->ai_family,
                          SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return errno;
    int on = 1;
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener->fd, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(listener->fd, SOMAXCONN) != 0)
        return errno;
    /* The port of either family lies at the same place. */
    struct sockaddr_in6 bound = {0};
    socklen_t len = sizeof bound;
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) != 0)
        return errno;
    listener->port = ntohs(bound.sin6_port);
    listener->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return listener->stop < 0 ? errno : 0;
}

enum inv_status inv_listener_open(const char *host, uint16_t port,
                                  struct inv_listener **out,
                                  struct inv_err *err) {
    struct addrinfo *address = NULL;
    enum inv_status status = resolve(host, port, &address, err);
    if (status != INV_OK)
        return status;
    struct inv_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        freeaddrinfo(address);
        return inv_fail(err, INV_MEMORY, "out of memory for the front door");
    }
    listener->fd = -1;
    listener->stop = -1;
    int failed = listen_on(listener, address);
    if (failed != 0) {
        bool six = address->ai_family == AF_INET6;
        status = inv_fail_errno(err, failed, "cannot listen on %s%s%s:%u",
                                six ? "[" : "", host, six ? "]" : "",
                                (unsigned)port);
        inv_listener_close(listener);
    } else {
        *out = listener;
    }
    freeaddrinfo(address);
    return status;
}

/* How long to pause before the next try, 0: not at all. */
static int accept_one(struct inv_listener *listener) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        listener->hooks.accepted(listener->hooks.ctx, fd,
                                 (const struct sockaddr *)&address, len);
        return 0;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM) {
        inv_log(INV_LOG_WARN, "http", "cannot accept a connection: %s",
                strerrordesc_np(errno));
        return EXHAUSTED_WAIT_MS;
    }
    return 0; /* the client has left already, or a signal */
}

static void *serve(void *arg) {
    struct inv_listener *listener = arg;
    int wait_ms = 0;
    for (;;) {
        if (wait_ms == 0 && listener->hooks.full(listener->hooks.ctx))
            wait_ms = FULL_WAIT_MS;
        struct pollfd polls[] = {
            {.fd = listener->stop, .events = POLLIN},
            {.fd = listener->fd, .events = POLLIN},
        };
        int ready =
            poll(polls, wait_ms > 0 ? 1 : 2, wait_ms > 0 ? wait_ms : -1);
        wait_ms = 0;
        if (ready > 0 && polls[0].revents != 0)
            return NULL;
        if (ready > 0 && polls[1].revents != 0)
            wait_ms = accept_one(listener);
    }
}

enum inv_status inv_listener_start(struct inv_listener *listener,
                                   const struct inv_listener_hooks *hooks,
                                   struct inv_err *err) {
    listener->hooks = *hooks;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&listener->thread, NULL, serve, listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return inv_fail_errno(err, failed, "cannot start the accepting thread");
    pthread_setname_np(listener->thread, "http-accept");
    listener->started = true;
    return INV_OK;
}

uint16_t inv_listener_port(const struct inv_listener *listener) {
    return listener->port;
}

void inv_listener_close(struct inv_listener *listener) {
    if (listener == NULL)
        return;
    if (listener->started) {
        uint64_t one = 1;
        if (write(listener->stop, &one, sizeof one) < 0)
            inv_log(INV_LOG_ERROR, "http", "cannot wake the accepting thread");
        pthread_join(listener->thread, NULL);
    }
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->stop >= 0)
        close(listener->stop);
    free(listener);
}
