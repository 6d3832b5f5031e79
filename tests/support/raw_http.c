/*
 * raw_http.c: see raw_http.h. Reads byte by byte up to the end of a head, so
 * that pipelined responses stay apart.
 */
#include "tests/support/raw_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int raw_try_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = RAW_HTTP_TIMEOUT_S};
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

int raw_connect(uint16_t port) {
    int fd = raw_try_connect(port);
    if (fd < 0) {
        perror("raw_connect");
        abort();
    }
    return fd;
}

bool raw_send(int fd, const void *bytes, size_t len) {
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool raw_puts(int fd, const char *fmt, ...) {
    char text[8192];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        abort();
    return raw_send(fd, text, (size_t)n);
}

bool raw_send_many(int fd, size_t count) {
    char block[65536];
    memset(block, 'x', sizeof block);
    while (count > 0) {
        size_t n = count < sizeof block ? count : sizeof block;
        if (!raw_send(fd, block, n))
            return false;
        count -= n;
    }
    return true;
}

size_t raw_fill(int fd, size_t most, unsigned idle_ms) {
    char block[65536];
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    size_t sent = 0;
    memset(block, 'x', sizeof block);
    while (sent < most && poll(&ready, 1, (int)idle_ms) == 1) {
        size_t left = most - sent;
        ssize_t n = send(fd, block, left < sizeof block ? left : sizeof block,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    return sent;
}

const char *raw_header(const struct raw_response *response, const char *name) {
    static _Thread_local char value[512];
    size_t len = strlen(name);
    for (const char *line = strstr(response->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) != 0 || line[2 + len] != ':')
            continue;
        const char *from = line + 3 + len;
        from += strspn(from, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
        return value;
    }
    return NULL;
}

static bool read_head(int fd, struct raw_response *response) {
    size_t n = 0;
    for (;;) {
        if (n + 1 == sizeof response->head ||
            recv(fd, &response->head[n], 1, 0) != 1)
            return false;
        response->head[++n] = '\0';
        if (n >= 4 && memcmp(&response->head[n - 4], "\r\n\r\n", 4) == 0)
            return true;
    }
}

int raw_read_head(int fd, struct raw_response *response) {
    *response = (struct raw_response){0};
    if (!read_head(fd, response) ||
        strncmp(response->head, "HTTP/1.1 ", 9) != 0)
        return 0;
    response->status = (int)strtol(response->head + 9, NULL, 10);
    return response->status;
}

int raw_read(int fd, struct raw_response *response) {
    if (raw_read_head(fd, response) == 0)
        return 0;
    const char *text = raw_header(response, "Content-Length");
    size_t left = text == NULL ? 0 : strtoull(text, NULL, 10);
    while (left > 0) {
        char block[65536];
        ssize_t n =
            recv(fd, block, left < sizeof block ? left : sizeof block, 0);
        if (n <= 0)
            return response->status = 0;
        inv_buf_append(&response->body, block, (size_t)n);
        left -= (size_t)n;
    }
    return response->status;
}

void raw_release(struct raw_response *response) {
    inv_buf_release(&response->body);
}

bool raw_at_end(int fd) {
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

int raw_once(uint16_t port, const char *request, char *body, size_t size) {
    struct raw_response response = {0};
    int fd = raw_connect(port);
    int status =
        raw_send(fd, request, strlen(request)) ? raw_read(fd, &response) : 0;
    if (body != NULL)
        snprintf(body, size, "%s",
                 response.body.data == NULL ? "" : response.body.data);
    raw_release(&response);
    close(fd);
    return status;
}
