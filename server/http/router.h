/*
 * router.h: which handler a request belongs to. Routes are a const table; a
 * pattern's parts are literals or {captures}:
 *
 *     {INV_GET, "/v1/collections/{c}/documents/{id}", "document.get", ...}
 *
 * A literal beats a capture at the first part where two matching routes
 * differ, whatever their order in the table. HEAD finds the GET route. A
 * capture never matches an empty part. Pure functions, any thread.
 */
#ifndef INV_SERVER_HTTP_ROUTER_H
#define INV_SERVER_HTTP_ROUTER_H

#include "server/http/http.h"

struct inv_app;

/* Fills the response, or returns an error, which becomes problem+json. */
typedef enum inv_status inv_handler_fn(struct inv_app *app,
                                       struct inv_request *request,
                                       struct inv_response *response,
                                       struct inv_err *err);

enum inv_role {
    INV_ROLE_NONE, /* no key needed: livez, readyz, metrics, ... */
    INV_ROLE_READ,
    INV_ROLE_WRITE,
    INV_ROLE_ADMIN,
};

enum inv_body_class {
    INV_BODY_SMALL, /* at most INV_ROUTE_SMALL_BODY: settings, names, ids */
    INV_BODY_FULL,  /* the configured maximum: documents, queries */
};

#define INV_ROUTE_SMALL_BODY ((size_t)1 << 20)
#define INV_ROUTE_CAPTURES_MAX 4
#define INV_ROUTE_ALLOW_MAX 48 /* "GET, HEAD, PUT, POST, PATCH, DELETE" */

struct inv_route {
    enum inv_method method; /* not INV_HEAD */
    const char *pattern;    /* begins with '/' */
    const char *name;       /* for logs and metrics: "search" */
    inv_handler_fn *handler;
    enum inv_role role;
    enum inv_body_class body;
    bool stream;    /* the handler reads request->stream; `body` unused */
    bool immediate; /* answered on the I/O thread */
};

struct inv_router {
    const struct inv_route *routes;
    size_t count;
};

struct inv_route_match {
    const struct inv_route *route;
    /* Decoded parts of the request, in the order of the pattern. */
    const char *captures[INV_ROUTE_CAPTURES_MAX];
    size_t capture_lens[INV_ROUTE_CAPTURES_MAX];
    size_t capture_count;
};

/* The route of request->method and request->parts. INV_NOT_FOUND when no
 * pattern matches; INV_METHOD when patterns match but not their methods: then
 * `allow` lists the methods ("" otherwise), for the Allow header. */
enum inv_status inv_router_match(const struct inv_router *router,
                                 const struct inv_request *request,
                                 struct inv_route_match *out,
                                 char allow[INV_ROUTE_ALLOW_MAX],
                                 struct inv_err *err) INV_MUST_USE;

/* The same route from the path as it was sent, or NULL. Decodes as it
 * compares, so that both ways always agree ("/v1/%73earch"). */
const struct inv_route *inv_router_find(const struct inv_router *router,
                                        enum inv_method method,
                                        const char *path);

/* For inv_http_config.limits. A path without a route gets a small body. */
struct inv_route_limits inv_router_limits(const struct inv_router *router,
                                          enum inv_method method,
                                          const char *path, size_t max_body);

#endif
