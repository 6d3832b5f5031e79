/*
 * json_tree.c: the tree of a parsed text, which is jansson's; the only file
 * that includes jansson.h. It turns jansson's errors into ours, with positions
 * in the body as it was sent, and bounds the memory a text may turn into. It
 * knows no field names. Any thread; one tree belongs to one thread at a time.
 *
 * jansson has no error code for "out of memory", and where it collects the
 * characters of a token it goes on after a failed allocation. So its allocator
 * is wrapped, and a parse during which anything failed counts as failed. The
 * flag is per thread, like errno, and means nothing between two parses.
 */
#include "base/utf8.h"
#include "server/json/json_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct {
    size_t left; /* bytes this parse may still ask for */
    bool parsing, spent, failed;
} memory;

static void *tree_malloc(size_t size) {
    /* glibc needs 8 bytes more and rounds up to 16: `[{},{},...]` is how a
     * body of 64 MB becomes 5 GB, in blocks of 24 to 64 bytes. */
    size_t cost = size + 16;
    if (memory.parsing && (memory.left < cost || cost < size)) {
        memory.spent = true;
        return NULL;
    }
    void *place = malloc(size);
    if (place == NULL)
        memory.failed = true;
    else if (memory.parsing)
        memory.left -= cost;
    return place;
}

/* Before main, so before the first thread and the first tree. */
__attribute__((constructor)) static void wrap_allocator(void) {
    json_set_alloc_funcs(tree_malloc, free);
}

/* jansson's getters of iterators take no const, and change nothing. */
static json_t *writable(const inv_json *value) {
    return (json_t *)(uintptr_t)value;
}

/* jansson puts the token it stumbled over behind its text, if it is short:
 * "... near 'token'"; its position is behind that token. */
static size_t token_length(const char *text) {
    static const char near[] = " near '";
    const char *found = strstr(text, near);
    size_t len = strlen(text);
    if (found == NULL || text[len - 1] != '\'')
        return 0;
    return (size_t)(text + len - 1 - (found + sizeof near - 1));
}

/* Parses text[0..len), which is `scan`'s reduction of the body or all of it. */
static enum inv_status load(const char *text, size_t len, size_t memory_cap,
                            size_t flags, const struct inv_json_scan *scan,
                            const char *body, size_t body_len, inv_json **out,
                            struct inv_err *err) {
    json_error_t error;
    memory.left = memory_cap;
    memory.spent = memory.failed = false;
    memory.parsing = true;
    json_t *root = json_loadb(text, len, flags, &error);
    memory.parsing = false;
    if (memory.spent || memory.failed) {
        json_decref(root);
        if (memory.spent)
            return inv_fail(err, INV_TOO_LARGE,
                            "this JSON of %zu bytes needs more than the %zu "
                            "bytes of memory a request may use",
                            body_len, memory_cap);
        return inv_fail(err, INV_MEMORY, "out of memory parsing %zu bytes",
                        body_len);
    }
    if (root != NULL) {
        *out = (inv_json *)root;
        return INV_OK;
    }
    size_t bad;
    if (json_error_code(&error) == json_error_invalid_utf8 &&
        !inv_utf8_valid(body, body_len, &bad))
        return inv_json_fail_at(err, INV_MALFORMED, body, body_len, bad,
                                "invalid UTF-8");
    size_t at = error.position > 0 ? (size_t)error.position : 0;
    size_t token = token_length(error.text);
    at -= token < at ? token : at;
    return inv_json_fail_at(err, INV_MALFORMED, body, body_len,
                            inv_json_scan_origin(scan, at), error.text);
}

enum inv_status inv_json_parse(struct inv_json_doc *doc,
                               struct inv_arena *arena, const char *body,
                               size_t len, const struct inv_json_limits *limits,
                               struct inv_err *err) {
    *doc = (struct inv_json_doc){.arena = arena};
    struct inv_json_scan scan;
    enum inv_status status =
        inv_json_scan(&scan, arena, body, len, limits, err);
    if (status != INV_OK)
        goto done;
    bool cut = scan.cut_count > 0;
    status = load(cut ? scan.reduced.data : body, cut ? scan.reduced.len : len,
                  arena->cap - arena->used, JSON_REJECT_DUPLICATES, &scan, body,
                  len, &doc->root, err);
    if (status != INV_OK || !cut)
        goto done;
    size_t bytes = scan.cut_count * sizeof *doc->vectors;
    doc->vectors = inv_arena_alloc(arena, bytes);
    if (doc->vectors == NULL) {
        inv_json_close(doc);
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                          scan.cut_count);
        goto done;
    }
    memcpy(doc->vectors, scan.given, bytes);
    doc->vector_count = scan.cut_count;
done:
    inv_json_scan_release(&scan);
    return status;
}

void inv_json_close(struct inv_json_doc *doc) {
    inv_json_free(doc->root);
    doc->root = NULL;
}

enum inv_status inv_json_parse_plain(const char *text, size_t len,
                                     inv_json **out, struct inv_err *err) {
    struct inv_json_scan scan;
    enum inv_status status = inv_json_scan(&scan, NULL, text, len, NULL, err);
    if (status == INV_OK)
        status = load(text, len, INV_REQUEST_ARENA_MAX,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &scan, text,
                      len, out, err);
    inv_json_scan_release(&scan);
    return status;
}

void inv_json_free(inv_json *value) { json_decref((json_t *)value); }

enum inv_json_kind inv_json_kind(const inv_json *value) {
    switch (json_typeof((const json_t *)value)) {
    case JSON_OBJECT:
        return INV_JSON_OBJECT;
    case JSON_ARRAY:
        return INV_JSON_ARRAY;
    case JSON_STRING:
        return INV_JSON_STRING;
    case JSON_INTEGER:
        return INV_JSON_INT;
    case JSON_REAL:
        return INV_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return INV_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return INV_JSON_NULL;
}

bool inv_json_bool(const inv_json *value) {
    return json_is_true((const json_t *)value);
}

int64_t inv_json_int(const inv_json *value) {
    return json_integer_value((const json_t *)value);
}

double inv_json_real(const inv_json *value) {
    return json_number_value((const json_t *)value);
}

const char *inv_json_string(const inv_json *value, size_t *len) {
    if (len != NULL)
        *len = json_string_length((const json_t *)value);
    return json_string_value((const json_t *)value);
}

size_t inv_json_size(const inv_json *value) {
    const json_t *tree = (const json_t *)value;
    return json_is_array(tree) ? json_array_size(tree) : json_object_size(tree);
}

inv_json *inv_json_at(const inv_json *array, size_t i) {
    return (inv_json *)json_array_get((const json_t *)array, i);
}

inv_json *inv_json_get(const inv_json *object, const char *key) {
    return (inv_json *)json_object_get((const json_t *)object, key);
}

inv_json *inv_json_getn(const inv_json *object, const char *key, size_t len) {
    return (inv_json *)json_object_getn((const json_t *)object, key, len);
}

bool inv_json_next(const inv_json *object, void **iter, const char **key,
                   inv_json **value) {
    json_t *tree = writable(object);
    *iter = *iter == NULL ? json_object_iter(tree)
                          : json_object_iter_next(tree, *iter);
    if (*iter == NULL)
        return false;
    *key = json_object_iter_key(*iter);
    *value = (inv_json *)json_object_iter_value(*iter);
    return true;
}

/* Changes `target`, an object of our own, by the members of `patch`. As deep
 * as the patch is, which the parser has bounded. */
static bool apply_patch(json_t *target, const inv_json *patch) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    while (inv_json_next(patch, &iter, &key, &value)) {
        json_t *with = (json_t *)value;
        if (json_is_null(with)) {
            json_object_del(target, key);
        } else if (!json_is_object(with)) {
            /* NULL, a failed copy, makes this fail as well */
            if (json_object_set_new(target, key, json_deep_copy(with)) != 0)
                return false;
        } else {
            json_t *below = json_object_get(target, key);
            if (!json_is_object(below)) {
                below = json_object();
                if (json_object_set_new(target, key, below) != 0)
                    return false;
            }
            if (!apply_patch(below, value))
                return false;
        }
    }
    return true;
}

inv_json *inv_json_merge_patch(const inv_json *target, const inv_json *patch) {
    const json_t *from = (const json_t *)target;
    if (!json_is_object((const json_t *)patch))
        return (inv_json *)json_deep_copy((const json_t *)patch);
    json_t *result =
        json_is_object(from) ? json_deep_copy(from) : json_object();
    if (result != NULL && !apply_patch(result, patch)) {
        json_decref(result);
        result = NULL;
    }
    return (inv_json *)result;
}
