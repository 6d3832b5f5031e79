/*
 * listener.h: the listening socket and the thread that accepts.
 *
 * The front door accepts by itself instead of giving libmicrohttpd its socket:
 * in 0.9.75 MHD_quiesce_daemon and an I/O thread that wakes at that moment may
 * both take the socket out of an epoll set, and the second to do so aborts the
 * process.
 */
#ifndef INV_SERVER_HTTP_LISTENER_H
#define INV_SERVER_HTTP_LISTENER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct inv_listener;

struct inv_listener_hooks {
    void *ctx;
    /* Are there as many connections as allowed? Further ones wait in the
     * kernel's queue. */
    bool (*full)(void *ctx);
    /* Takes over a non-blocking socket. */
    void (*accepted)(void *ctx, int fd, const struct sockaddr *address,
                     socklen_t len);
};

/* host: an IPv4 or IPv6 address or "localhost" (127.0.0.1). port 0: any free
 * one. Clients can connect from now on; accepting begins with
 * inv_listener_start. Errors name host, port and the system's reason. */
enum inv_status inv_listener_open(const char *host, uint16_t port,
                                  struct inv_listener **out,
                                  struct inv_err *err) INV_MUST_USE;
enum inv_status inv_listener_start(struct inv_listener *listener,
                                   const struct inv_listener_hooks *hooks,
                                   struct inv_err *err) INV_MUST_USE;
uint16_t inv_listener_port(const struct inv_listener *listener);

/* Ends the thread, closes the socket, frees: new clients are refused by the
 * kernel. NULL is fine. */
void inv_listener_close(struct inv_listener *listener);

#endif
