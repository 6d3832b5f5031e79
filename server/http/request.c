/*
 * request.c: see request.h, and the functions of http.h that work on requests
 * and responses alone. It knows nothing of sockets or of libmicrohttpd. A path
 * is split before it is decoded: an id may hold a slash as %2F.
 */
#include "server/http/request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static const char *const method_names[] = {"GET",   "PUT",    "POST",
                                           "PATCH", "DELETE", "HEAD"};

#define METHODS (sizeof method_names / sizeof method_names[0])

struct argument {
    const char *name;
    const char *value;
};

struct query {
    const char *text; /* as sent, NULL: none */
    struct argument *arguments;
    size_t count;
};

const char *inv_method_name(enum inv_method method) {
    return method_names[method];
}

bool inv_method_parse(const char *name, enum inv_method *out) {
    for (size_t i = 0; i < METHODS; i++) {
        if (strcmp(name, method_names[i]) == 0) {
            *out = (enum inv_method)i;
            return true;
        }
    }
    return false;
}

static enum inv_status out_of_memory(struct inv_err *err) {
    return inv_fail(err, INV_MEMORY, "out of memory for the request's head");
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* What the pieces are cut from, for errors. */
struct source {
    const char *text;
    const char *what; /* "path", "query string" */
    bool plus;        /* '+' is a space */
};

/* The byte that the escape at `at` stands for, -1 when it is none. */
static int unescape(const char *at, const char *end) {
    if (end - at < 3)
        return -1;
    int high = hex_digit(at[1]);
    int low = hex_digit(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Decodes `len` bytes at `piece` into a new string. */
static enum inv_status decode(struct inv_arena *arena,
                              const struct source *source, const char *piece,
                              size_t len, const char **out, size_t *out_len,
                              struct inv_err *err) {
    char *text = inv_arena_alloc(arena, len + 1);
    if (text == NULL)
        return out_of_memory(err);
    size_t n = 0;
    const char *end = piece + len;
    for (const char *p = piece; p < end; p++) {
        char c = *p;
        if (c == '%') {
            int byte = unescape(p, end);
            if (byte <= 0)
                return inv_fail(err, INV_INVALID, "%s at byte %zu of the %s",
                                byte < 0 ? "a percent sign without two "
                                           "hexadecimal digits after it"
                                         : "an escaped NUL",
                                (size_t)(p - source->text), source->what);
            c = (char)byte;
            p += 2;
        } else if (c == '+' && source->plus) {
            c = ' ';
        }
        text[n++] = c;
    }
    text[n] = '\0';
    *out = text;
    *out_len = n;
    return INV_OK;
}

enum inv_status inv_request_split(struct inv_request *request, const char *path,
                                  struct inv_err *err) {
    const struct source source = {path, "path", false};
    request->part_count = 0;
    if (path[0] != '/')
        return inv_fail(err, INV_INVALID, "the path must begin with a slash");
    if (path[1] == '\0')
        return INV_OK;
    const char *piece = path + 1;
    for (;;) {
        size_t i = request->part_count;
        if (i == INV_PATH_PARTS_MAX)
            return inv_fail(err, INV_NOT_FOUND,
                            "the path has more than %d parts; no resource "
                            "lies that deep",
                            INV_PATH_PARTS_MAX);
        const char *slash = strchrnul(piece, '/');
        enum inv_status status =
            decode(request->arena, &source, piece, (size_t)(slash - piece),
                   &request->parts[i], &request->part_lens[i], err);
        if (status != INV_OK)
            return status;
        request->part_count = i + 1;
        if (*slash == '\0')
            return INV_OK;
        piece = slash + 1;
    }
}

static const char *find_argument(void *query_ctx, const char *name) {
    const struct query *query = query_ctx;
    for (size_t i = 0; i < query->count; i++)
        if (strcmp(query->arguments[i].name, name) == 0)
            return query->arguments[i].value;
    return NULL;
}

const char *inv_request_query(const struct inv_request *request,
                              const char *name) {
    return request->query == NULL ? NULL
                                  : request->query(request->query_ctx, name);
}

enum inv_status inv_request_query_allow(const struct inv_request *request,
                                        const char *const *names,
                                        struct inv_err *err) {
    const struct query *query = request->query_ctx;
    if (request->query != find_argument)
        return INV_OK; /* not from a request target: none to be listed */
    for (size_t i = 0; i < query->count; i++) {
        const char *given = query->arguments[i].name;
        size_t n = 0;
        while (names[n] != NULL && strcmp(names[n], given) != 0)
            n++;
        if (names[n] != NULL)
            continue;
        char list[200] = "";
        size_t used = 0;
        for (n = 0; names[n] != NULL && used < sizeof list; n++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     n == 0 ? "" : ", ", names[n]);
        return inv_fail(err, INV_INVALID,
                        "unknown argument \"%.64s\" in the query string; %s%s",
                        given,
                        n == 0 ? "none is taken here" : "known here: ", list);
    }
    return INV_OK;
}

enum inv_status inv_request_target(struct inv_request *request,
                                   const char *target, struct inv_err *err) {
    if (strncasecmp(target, "http://", 7) == 0) {
        target = strpbrk(target + 7, "/?");
        if (target == NULL)
            target = "/";
    }
    const char *mark = strchrnul(target, '?');
    struct query *query = inv_arena_calloc(request->arena, 1, sizeof *query);
    request->path =
        inv_arena_strndup(request->arena, target, (size_t)(mark - target));
    if (query == NULL || request->path == NULL)
        return out_of_memory(err);
    if (*mark == '?') {
        query->text =
            inv_arena_strndup(request->arena, mark + 1, strlen(mark + 1));
        if (query->text == NULL)
            return out_of_memory(err);
    }
    request->query_ctx = query;
    request->query = find_argument;
    return INV_OK;
}

static enum inv_status parse_argument(struct inv_arena *arena,
                                      const struct source *source,
                                      const char *piece, size_t len,
                                      struct argument *out,
                                      struct inv_err *err) {
    const char *equals = memchr(piece, '=', len);
    size_t name_len = equals == NULL ? len : (size_t)(equals - piece);
    size_t decoded;
    enum inv_status status =
        decode(arena, source, piece, name_len, &out->name, &decoded, err);
    out->value = "";
    if (status == INV_OK && equals != NULL)
        status = decode(arena, source, equals + 1, len - name_len - 1,
                        &out->value, &decoded, err);
    return status;
}

enum inv_status inv_request_parse_query(struct inv_request *request,
                                        struct inv_err *err) {
    struct query *query = request->query_ctx;
    if (query->text == NULL)
        return INV_OK;
    size_t most = 1;
    for (const char *p = query->text; *p != '\0'; p++)
        most += *p == '&';
    query->arguments =
        inv_arena_calloc(request->arena, most, sizeof *query->arguments);
    if (query->arguments == NULL)
        return out_of_memory(err);
    const struct source source = {query->text, "query string", true};
    for (const char *piece = query->text;;) {
        const char *end = strchrnul(piece, '&');
        if (end > piece) {
            enum inv_status status = parse_argument(
                request->arena, &source, piece, (size_t)(end - piece),
                &query->arguments[query->count], err);
            if (status != INV_OK)
                return status;
            query->count++;
        }
        if (*end == '\0')
            return INV_OK;
        piece = end + 1;
    }
}

const char *inv_request_media_type(struct inv_arena *arena,
                                   const char *header) {
    if (header == NULL)
        return "";
    header += strspn(header, " \t");
    char *type = inv_arena_strndup(arena, header, strcspn(header, "; \t,"));
    if (type == NULL)
        return NULL;
    for (char *p = type; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return type;
}

static bool is_request_id(const char *text) {
    size_t n = 0;
    for (; text[n] != '\0'; n++)
        if (n == INV_REQUEST_ID_MAX || text[n] < '!' || text[n] > '~')
            return false;
    return n > 0;
}

const char *inv_http_request_id(struct inv_arena *arena, const char *header) {
    if (header != NULL && is_request_id(header))
        return inv_arena_strndup(arena, header, strlen(header));
    unsigned char bytes[16];
    char text[2 * sizeof bytes + 1];
    /* Never short for up to 256 bytes once the kernel's pool is ready, and
     * waits until then; the id is no secret, so a failure is not one. */
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return inv_arena_strndup(arena, text, sizeof text - 1);
}

void inv_response_header(struct inv_response *response, const char *name,
                         const char *fmt, ...) {
    size_t i = 0;
    while (i < response->header_count &&
           strcasecmp(response->headers[i].name, name) != 0)
        i++;
    if (i == INV_RESPONSE_HEADERS_MAX ||
        strlen(name) >= sizeof response->headers[i].name)
        return;
    char value[sizeof response->headers[i].value];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof value)
        return; /* a header that was cut would say something else */
    for (char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' '; /* nothing can smuggle in a second header */
    snprintf(response->headers[i].name, sizeof response->headers[i].name, "%s",
             name);
    memcpy(response->headers[i].value, value, (size_t)n + 1);
    if (i == response->header_count)
        response->header_count++;
}
