/*
 * router.c: see router.h. Some sixty routes are compared one by one: about a
 * microsecond, so there is no tree. It does not know what handlers do.
 */
#include "server/http/router.h"

#include "server/http/request.h"

#include <stdio.h>
#include <string.h>

/* A path seen as parts: those of a request, or of a path as it was sent. */
struct parts {
    const struct inv_request *request; /* NULL: raw */
    const char *starts[INV_PATH_PARTS_MAX];
    size_t lens[INV_PATH_PARTS_MAX];
    size_t count;
};

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Does a part as it was sent stand for this literal? */
static bool raw_equals(const char *raw, size_t raw_len, const char *literal,
                       size_t len) {
    size_t i = 0;
    for (size_t at = 0; at < raw_len; i++) {
        int c = (unsigned char)raw[at++];
        if (c == '%') {
            if (raw_len - at < 2)
                return false;
            int high = hex_value(raw[at]);
            int low = hex_value(raw[at + 1]);
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            at += 2;
        }
        if (i >= len || c != (unsigned char)literal[i])
            return false;
    }
    return i == len;
}

static bool part_is(const struct parts *parts, size_t i, const char *literal,
                    size_t len) {
    if (parts->request == NULL)
        return raw_equals(parts->starts[i], parts->lens[i], literal, len);
    return parts->lens[i] == len && memcmp(parts->starts[i], literal, len) == 0;
}

/* On a match, bit i of *literals says that part i is a literal, the first part
 * in the highest place: the larger number is the more specific route. */
static bool fits(const char *pattern, const struct parts *parts,
                 unsigned *literals) {
    *literals = 0;
    const char *piece = pattern + 1;
    size_t i = 0;
    for (; *piece != '\0'; i++) {
        if (i == parts->count)
            return false;
        size_t len = strcspn(piece, "/");
        if (piece[0] == '{') {
            if (parts->lens[i] == 0)
                return false;
        } else if (part_is(parts, i, piece, len)) {
            *literals |= 1u << (INV_PATH_PARTS_MAX - i);
        } else {
            return false;
        }
        piece += len;
        if (*piece == '/')
            piece++;
    }
    return i == parts->count;
}

static const struct inv_route *best(const struct inv_router *router,
                                    enum inv_method method,
                                    const struct parts *parts,
                                    unsigned *methods) {
    const struct inv_route *found = NULL;
    unsigned most = 0;
    *methods = 0;
    enum inv_method wanted = method == INV_HEAD ? INV_GET : method;
    for (size_t i = 0; i < router->count; i++) {
        const struct inv_route *route = &router->routes[i];
        unsigned literals;
        if (!fits(route->pattern, parts, &literals))
            continue;
        *methods |= 1u << route->method;
        if (route->method == wanted && (found == NULL || literals > most)) {
            found = route;
            most = literals;
        }
    }
    return found;
}

static void list_methods(unsigned methods, char allow[INV_ROUTE_ALLOW_MAX]) {
    if ((methods & 1u << INV_GET) != 0)
        methods |= 1u << INV_HEAD;
    size_t len = 0;
    for (unsigned m = INV_GET; m <= INV_HEAD; m++) {
        if ((methods & 1u << m) == 0)
            continue;
        int n =
            snprintf(allow + len, INV_ROUTE_ALLOW_MAX - len, "%s%s",
                     len == 0 ? "" : ", ", inv_method_name((enum inv_method)m));
        len += n > 0 ? (size_t)n : 0;
    }
}

static void capture(const struct inv_route *route, const struct parts *parts,
                    struct inv_route_match *out) {
    size_t i = 0;
    for (const char *p = strchr(route->pattern, '/'); p != NULL;
         p = strchr(p + 1, '/'), i++) {
        if (p[1] != '{' || out->capture_count == INV_ROUTE_CAPTURES_MAX)
            continue;
        out->captures[out->capture_count] = parts->starts[i];
        out->capture_lens[out->capture_count] = parts->lens[i];
        out->capture_count++;
    }
}

enum inv_status inv_router_match(const struct inv_router *router,
                                 const struct inv_request *request,
                                 struct inv_route_match *out,
                                 char allow[INV_ROUTE_ALLOW_MAX],
                                 struct inv_err *err) {
    struct parts parts = {.request = request, .count = request->part_count};
    memcpy(parts.starts, request->parts, sizeof parts.starts);
    memcpy(parts.lens, request->part_lens, sizeof parts.lens);
    *out = (struct inv_route_match){0};
    allow[0] = '\0';
    unsigned methods;
    out->route = best(router, request->method, &parts, &methods);
    if (out->route != NULL) {
        capture(out->route, &parts, out);
        return INV_OK;
    }
    if (methods == 0)
        return inv_fail(err, INV_NOT_FOUND, "there is nothing at %.200s",
                        request->path);
    list_methods(methods, allow);
    return inv_fail(err, INV_METHOD, "%s is not possible here, only %s",
                    inv_method_name(request->method), allow);
}

const struct inv_route *inv_router_find(const struct inv_router *router,
                                        enum inv_method method,
                                        const char *path) {
    struct parts parts = {.request = NULL};
    if (path[0] != '/')
        return NULL;
    const char *piece = path[1] == '\0' ? NULL : path + 1;
    while (piece != NULL) {
        if (parts.count == INV_PATH_PARTS_MAX)
            return NULL;
        size_t len = strcspn(piece, "/");
        parts.starts[parts.count] = piece;
        parts.lens[parts.count++] = len;
        piece = piece[len] == '/' ? piece + len + 1 : NULL;
    }
    unsigned methods;
    return best(router, method, &parts, &methods);
}

struct inv_route_limits inv_router_limits(const struct inv_router *router,
                                          enum inv_method method,
                                          const char *path, size_t max_body) {
    struct inv_route_limits limits = {
        .max_body =
            max_body < INV_ROUTE_SMALL_BODY ? max_body : INV_ROUTE_SMALL_BODY};
    const struct inv_route *route = inv_router_find(router, method, path);
    if (route == NULL)
        return limits;
    if (route->body == INV_BODY_FULL)
        limits.max_body = max_body;
    limits.stream = route->stream;
    limits.immediate = route->immediate;
    return limits;
}
