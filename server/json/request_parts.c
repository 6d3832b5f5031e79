/*
 * request_parts.c: see request_parts.h. Checks form only; it does not know
 * which collection a request is for. Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void inv_request_path(char *out, const char *at, const char *key) {
    snprintf(out, INV_POINTER_MAX, "%s/%s", at, key);
}

void inv_request_path_at(char *out, const char *at, const char *key, size_t i) {
    snprintf(out, INV_POINTER_MAX, "%s/%s/%zu", at, key, i);
}

enum inv_status inv_request_object(const inv_json *value, const char *at,
                                   struct inv_err *err) {
    if (inv_json_kind(value) == INV_JSON_OBJECT)
        return INV_OK;
    enum inv_status status =
        inv_fail(err, INV_INVALID, "expected an object, got %s",
                 inv_json_kind_name(inv_json_kind(value)));
    inv_err_at(err, "%s", at);
    return status;
}

enum inv_status inv_request_id(const inv_json *value, const char *at,
                               struct inv_arena *arena, const char **id,
                               size_t *len, struct inv_err *err) {
    enum inv_status status;
    if (inv_json_kind(value) == INV_JSON_INT) {
        char text[32];
        int n = snprintf(text, sizeof text, "%" PRId64, inv_json_int(value));
        *id = inv_arena_strndup(arena, text, (size_t)n);
        *len = (size_t)n;
        return *id != NULL ? INV_OK
                           : inv_fail(err, INV_MEMORY,
                                      "out of memory for an id of %d bytes", n);
    }
    if (inv_json_kind(value) != INV_JSON_STRING) {
        status = inv_fail(err, INV_INVALID,
                          "an id must be a string or an integer, got %s",
                          inv_json_kind_name(inv_json_kind(value)));
        inv_err_at(err, "%s", at);
        return status;
    }
    /* jansson has refused invalid UTF-8 and NUL already. */
    *id = inv_json_string(value, len);
    if (*len >= 1 && *len <= INV_ID_MAX)
        return INV_OK;
    status =
        inv_fail(err, INV_INVALID, "an id must have 1 to %d bytes, got %zu",
                 INV_ID_MAX, *len);
    inv_err_at(err, "%s", at);
    return status;
}

/* name and revision (rev NULL: none) as lengths of one text. */
static enum inv_status check_model(size_t name_len, const char *revision,
                                   size_t revision_len, struct inv_err *err) {
    if (name_len < 1 || name_len > INV_MODEL_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "a model's name must have 1 to %d bytes, got %zu",
                        INV_MODEL_NAME_MAX, name_len);
    if (revision == NULL)
        return INV_OK;
    if (revision_len < 1 || revision_len > INV_MODEL_NAME_MAX)
        return inv_fail(err, INV_INVALID,
                        "a model's revision must have 1 to %d bytes, got %zu",
                        INV_MODEL_NAME_MAX, revision_len);
    if (memchr(revision, '@', revision_len) != NULL)
        return inv_fail(err, INV_INVALID,
                        "a model is named name@revision, with one @");
    return INV_OK;
}

static enum inv_status model_from_text(const inv_json *value, const char **out,
                                       struct inv_err *err) {
    size_t len;
    const char *text = inv_json_string(value, &len);
    const char *mark = memchr(text, '@', len);
    size_t name_len = mark == NULL ? len : (size_t)(mark - text);
    *out = text;
    return mark == NULL
               ? check_model(name_len, NULL, 0, err)
               : check_model(name_len, mark + 1, len - name_len - 1, err);
}

static enum inv_status model_from_object(const inv_json *value, const char *at,
                                         struct inv_arena *arena,
                                         const char **out,
                                         struct inv_err *err) {
    static const char *const fields[] = {"name", "revision", NULL};
    const char *name = NULL;
    const char *revision = NULL;
    size_t name_len = 0;
    size_t revision_len = 0;
    enum inv_status status = inv_json_allow(value, at, fields, err);
    if (status == INV_OK)
        status = inv_json_get_string(value, at, "name", INV_MODEL_NAME_MAX,
                                     &name, &name_len, err);
    if (status == INV_OK)
        status = inv_json_get_string(value, at, "revision", INV_MODEL_NAME_MAX,
                                     &revision, &revision_len, err);
    if (status != INV_OK)
        return status;
    if (name == NULL || memchr(name, '@', name_len) != NULL)
        status =
            inv_fail(err, INV_INVALID, "a model needs a \"name\", without @");
    else
        status = check_model(name_len, revision, revision_len, err);
    if (status != INV_OK) {
        inv_err_at(err, "%s", at);
        return status;
    }
    char text[2 * INV_MODEL_NAME_MAX + 2];
    int n =
        snprintf(text, sizeof text, "%s%s%s", name, revision != NULL ? "@" : "",
                 revision != NULL ? revision : "");
    *out = inv_arena_strndup(arena, text, (size_t)n);
    return *out != NULL ? INV_OK
                        : inv_fail(err, INV_MEMORY,
                                   "out of memory for a name of %d bytes", n);
}

enum inv_status inv_request_model(const inv_json *object, const char *at,
                                  struct inv_arena *arena, const char **out,
                                  struct inv_err *err) {
    const inv_json *value = inv_json_get(object, "model");
    *out = NULL;
    if (value == NULL)
        return INV_OK;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, "model");
    if (inv_json_kind(value) == INV_JSON_OBJECT)
        return model_from_object(value, below, arena, out, err);
    if (inv_json_kind(value) != INV_JSON_STRING)
        return inv_json_wrong_type(err, value, at, "model",
                                   "\"name@revision\" or an object with "
                                   "\"name\" and \"revision\"");
    enum inv_status status = model_from_text(value, out, err);
    if (status != INV_OK)
        inv_err_at(err, "%s", below);
    return status;
}

static enum inv_status read_wish(const inv_json *value, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_payload_wish *out,
                                 struct inv_err *err) {
    enum inv_json_kind kind = inv_json_kind(value);
    *out = (struct inv_payload_wish){.all = false};
    if (kind == INV_JSON_BOOL) {
        out->all = inv_json_bool(value);
        return INV_OK;
    }
    size_t count = inv_json_size(value);
    enum inv_status status = INV_OK;
    if (kind != INV_JSON_ARRAY)
        status = inv_fail(err, INV_INVALID,
                          "\"payload\" must be true, false or an array of "
                          "keys, got %s",
                          inv_json_kind_name(kind));
    else if (count > INV_FIELDS_MAX)
        status = inv_fail(err, INV_INVALID,
                          "at most %d keys may be asked for, got %zu",
                          INV_FIELDS_MAX, count);
    if (status != INV_OK) {
        inv_err_at(err, "%s", at);
        return status;
    }
    out->keys = inv_arena_calloc(arena, count, sizeof *out->keys);
    if (out->keys == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu keys", count);
    for (size_t i = 0; i < count; i++) {
        const inv_json *item = inv_json_at(value, i);
        size_t len = 0;
        if (inv_json_kind(item) != INV_JSON_STRING)
            status = inv_fail(err, INV_INVALID,
                              "a payload key must be a string, got %s",
                              inv_json_kind_name(inv_json_kind(item)));
        else if ((out->keys[i] = inv_json_string(item, &len)),
                 len < 1 || len > INV_FIELD_KEY_MAX)
            status = inv_fail(err, INV_INVALID,
                              "a payload key must have 1 to %d bytes, got %zu",
                              INV_FIELD_KEY_MAX, len);
        if (status != INV_OK) {
            inv_err_at(err, "%s/%zu", at, i);
            return status;
        }
    }
    out->key_count = count;
    return INV_OK;
}

enum inv_status inv_request_with(const inv_json *object, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_payload_wish *payload,
                                 bool *vectors, struct inv_err *err) {
    static const char *const fields[] = {"payload", "vectors", NULL};
    inv_json *with = NULL;
    enum inv_status status =
        inv_json_get_object(object, at, "with", &with, err);
    if (status != INV_OK || with == NULL)
        return status;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, "with");
    status = inv_json_allow(with, below, fields, err);
    if (status == INV_OK)
        status = inv_json_get_bool(with, below, "vectors", vectors, err);
    const inv_json *wish = inv_json_get(with, "payload");
    if (status != INV_OK || wish == NULL)
        return status;
    inv_request_path(below, at, "with/payload");
    return read_wish(wish, below, arena, payload, err);
}

enum inv_status inv_request_filter(const inv_json *object, const char *at,
                                   struct inv_arena *arena,
                                   struct inv_filter **out,
                                   struct inv_err *err) {
    inv_json *value = NULL;
    *out = NULL;
    enum inv_status status =
        inv_json_get_object(object, at, "filter", &value, err);
    if (status != INV_OK || value == NULL)
        return status;
    char below[INV_POINTER_MAX];
    inv_request_path(below, at, "filter");
    return inv_parse_filter(value, below, arena, out, err);
}

enum inv_status inv_request_u32(const inv_json *object, const char *at,
                                const char *key, uint32_t min, uint32_t max,
                                uint32_t *out, struct inv_err *err) {
    int64_t given = *out;
    enum inv_status status =
        inv_json_get_int(object, at, key, min, max, &given, err);
    if (status == INV_OK)
        *out = (uint32_t)given;
    return status;
}

enum inv_status inv_request_subject(const struct inv_json_doc *doc,
                                    const inv_json *object, const char *at,
                                    const char *what,
                                    const struct inv_json_limits *limits,
                                    struct inv_given *given, const char **text,
                                    size_t *text_len, struct inv_err *err) {
    bool one = inv_json_get(object, "vector") != NULL;
    bool many = inv_json_get(object, "vectors") != NULL;
    bool words = inv_json_get(object, "text") != NULL;
    int count = one + many + words;
    *given = (struct inv_given){.plural = false};
    *text = NULL;
    *text_len = 0;
    if (count != 1) {
        enum inv_status status = inv_fail(
            err, INV_INVALID,
            "%s needs exactly one of \"vector\", \"vectors\" and \"text\", "
            "got %s%s%s%s",
            what, count == 0 ? "none" : "", one ? "\"vector\" " : "",
            many ? "\"vectors\" " : "", words ? "\"text\"" : "");
        inv_err_at(err, "%s", at);
        return status;
    }
    if (words)
        return inv_json_get_string(object, at, "text", INV_TEXT_MAX, text,
                                   text_len, err);
    return inv_json_get_vectors(doc, object, at, one ? "vector" : "vectors",
                                limits, given, err);
}
