/*
 * request_models.c: the bodies of model upgrades: registering a model, its
 * vectors of documents, its queries, and the steps of a swap. Checks form only;
 * it does not know the collection. Pure functions, any thread.
 */
#include "server/json/request_parts.h"

#include <string.h>

enum inv_status inv_parse_model(const struct inv_json_doc *doc,
                                struct inv_model_in *out, struct inv_err *err) {
    static const char *const fields[] = {
        "dim", "kind", "prompt", "encoder", "index", "normalized", NULL};
    struct inv_model_in model = {.prompt = ""};
    inv_json *encoder = NULL;
    inv_json *index = NULL;
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status = inv_request_u32(doc->root, "", "dim", 1, INV_DIM_MAX,
                                 &model.dim, err);
    if (status == INV_OK)
        status = inv_json_get_string(doc->root, "", "kind", INV_MODEL_NAME_MAX,
                                     &model.kind, NULL, err);
    const inv_json *prompt = inv_json_get(doc->root, "prompt");
    bool empty = prompt != NULL && inv_json_kind(prompt) == INV_JSON_STRING &&
                 *inv_json_string(prompt, NULL) == '\0';
    if (status == INV_OK && !empty)
        status =
            inv_json_get_string(doc->root, "", "prompt", INV_MODEL_NAME_MAX,
                                &model.prompt, NULL, err);
    if (status == INV_OK)
        status = inv_json_get_object(doc->root, "", "encoder", &encoder, err);
    if (status == INV_OK)
        status = inv_json_get_object(doc->root, "", "index", &index, err);
    if (status == INV_OK)
        status = inv_json_get_bool(doc->root, "", "normalized",
                                   &model.normalized, err);
    model.encoder = encoder;
    model.index = index;
    if (status == INV_OK)
        *out = model;
    return status;
}

/* ---- vectors of documents ---- */

static enum inv_status read_vector(const struct inv_json_doc *doc,
                                   const inv_json *object, const char *at,
                                   const struct inv_json_limits *limits,
                                   struct inv_document_in *out,
                                   struct inv_err *err) {
    static const char *const fields[] = {"id",   "vector", "vectors",
                                         "text", "seq",    NULL};
    int64_t seq = 0;
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status =
            inv_request_item(doc, object, at, "a vector", limits, out, err);
    if (status == INV_OK)
        status = inv_json_get_int(object, at, "seq", 1, INT64_MAX, &seq, err);
    out->seq = (uint64_t)seq;
    return status;
}

enum inv_status inv_parse_model_vectors(const struct inv_json_doc *doc,
                                        const struct inv_json_limits *limits,
                                        struct inv_documents_in *out,
                                        struct inv_err *err) {
    static const char *const fields[] = {"vectors", NULL};
    inv_json *list = NULL;
    struct inv_documents_in vectors = {NULL, 0};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status =
            inv_request_list(doc->root, "vectors", &list, &vectors.count, err);
    if (status != INV_OK)
        return status;
    vectors.items =
        inv_arena_calloc(doc->arena, vectors.count, sizeof *vectors.items);
    if (vectors.items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors",
                        vectors.count);
    for (size_t i = 0; status == INV_OK && i < vectors.count; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "vectors", i);
        status = read_vector(doc, inv_json_at(list, i), at, limits,
                             &vectors.items[i], err);
    }
    if (status == INV_OK)
        status = inv_request_no_repeats("vectors", "vector", vectors.items,
                                        sizeof *vectors.items, vectors.count,
                                        doc->arena, err);
    if (status == INV_OK)
        *out = vectors;
    return status;
}

/* The frame at `bytes`; *need: how long it was. */
static enum inv_status read_frame(const void *bytes, size_t len, size_t item,
                                  const struct inv_json_limits *limits,
                                  struct inv_arena *arena,
                                  struct inv_document_in *out, size_t *need,
                                  struct inv_err *err) {
    struct inv_frame frame;
    enum inv_status status = inv_frame_need(bytes, len, limits, need, err);
    if (status == INV_OK && *need > len)
        return inv_fail(err, INV_INVALID,
                        "the stream ends within item %zu: %zu bytes needed, "
                        "%zu there",
                        item, *need, len);
    if (status == INV_OK)
        status = inv_frame_parse(bytes, *need, arena, &frame, err);
    if (status != INV_OK)
        return status;
    if (frame.payload_len > 0)
        return inv_fail(err, INV_INVALID,
                        "item %zu has a payload of %zu bytes: a vector has "
                        "none (0 bytes)",
                        item, frame.payload_len);
    *out = (struct inv_document_in){
        .id = frame.id, .id_len = frame.id_len, .given = frame.given};
    return INV_OK;
}

#define FRAME_LEAST 17 /* bytes of one: lengths, an id of 1, a number of 1 */

enum inv_status inv_parse_model_frames(const void *body, size_t len,
                                       const struct inv_json_limits *limits,
                                       struct inv_arena *arena,
                                       struct inv_documents_in *out,
                                       struct inv_err *err) {
    const char *bytes = body;
    size_t at = INV_FRAME_MAGIC_BYTES;
    size_t room = len / FRAME_LEAST + 1;
    struct inv_documents_in vectors = {NULL, 0};
    if (len <= at)
        return inv_fail(err, INV_INVALID,
                        "a stream of frames is longer than %zu bytes, this "
                        "body has %zu",
                        at, len);
    if (room > INV_BATCH_DOCS_MAX)
        room = INV_BATCH_DOCS_MAX;
    vectors.items = inv_arena_calloc(arena, room, sizeof *vectors.items);
    if (vectors.items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu vectors", room);
    enum inv_status status = inv_frame_magic(bytes, err);
    while (status == INV_OK && at < len) {
        size_t need = 0;
        if (vectors.count == room)
            return inv_fail(err, INV_INVALID,
                            "at most %zu vectors in a request, got %zu or more",
                            room, room + 1);
        status = read_frame(bytes + at, len - at, vectors.count + 1, limits,
                            arena, &vectors.items[vectors.count], &need, err);
        vectors.count++;
        at += need;
    }
    if (status == INV_OK)
        status = inv_request_no_repeats("vectors", "vector", vectors.items,
                                        sizeof *vectors.items, vectors.count,
                                        arena, err);
    if (status == INV_OK)
        *out = vectors;
    return status;
}

/* ---- queries ---- */

/* "old": {"model", "vector" | "vectors" | "text"}. The model alone means the
 * query's own text in that model. */
static enum inv_status read_old(const struct inv_json_doc *doc,
                                const inv_json *old, const char *at,
                                const struct inv_json_limits *limits,
                                struct inv_query_in *out, struct inv_err *err) {
    static const char *const fields[] = {"model", "vector", "vectors", "text",
                                         NULL};
    enum inv_status status = inv_json_allow(old, at, fields, err);
    if (status == INV_OK)
        status = inv_request_model(old, at, doc->arena, &out->old_model, err);
    if (status != INV_OK)
        return status;
    if (out->old_model == NULL) {
        status = inv_fail(err, INV_INVALID,
                          "\"old\" needs the \"model\" its vector is of");
        inv_err_at(err, "%s/model", at);
        return status;
    }
    if (inv_json_size(old) == 1 && out->item.text != NULL) {
        out->old_text = out->item.text;
        out->old_text_len = out->item.text_len;
        return INV_OK;
    }
    return inv_request_subject(doc, old, at, "\"old\" of a query", limits,
                               &out->old_given, &out->old_text,
                               &out->old_text_len, err);
}

/* "relevant" as the text of an array of strings, however ids were written. */
static enum inv_status read_relevant(const struct inv_json_doc *doc,
                                     const inv_json *object, const char *at,
                                     const char **out, struct inv_err *err) {
    inv_json *list = NULL;
    enum inv_status status =
        inv_json_get_array(object, at, "relevant", INV_LIMIT_MAX, &list, err);
    if (status != INV_OK || list == NULL)
        return status;
    if (inv_json_size(list) == 0) {
        status = inv_fail(err, INV_INVALID,
                          "\"relevant\" must hold 1 to %d ids, got 0",
                          INV_LIMIT_MAX);
        inv_err_at(err, "%s/relevant", at);
        return status;
    }
    struct inv_buf text = INV_BUF_INIT;
    inv_buf_putc(&text, '[');
    for (size_t i = 0; status == INV_OK && i < inv_json_size(list); i++) {
        char below[INV_POINTER_MAX];
        const char *id;
        size_t len;
        inv_request_path_at(below, at, "relevant", i);
        status = inv_request_id(inv_json_at(list, i), below, doc->arena, &id,
                                &len, err);
        if (status != INV_OK)
            break;
        if (i > 0)
            inv_buf_putc(&text, ',');
        inv_json_put_string(&text, id, len);
    }
    inv_buf_putc(&text, ']');
    if (status == INV_OK && !text.failed)
        *out = inv_arena_strndup(doc->arena, text.data, text.len);
    if (status == INV_OK && *out == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory for %zu ids",
                          inv_json_size(list));
    inv_buf_release(&text);
    return status;
}

static enum inv_status read_use(const inv_json *object, const char *at,
                                enum inv_query_use *out, struct inv_err *err) {
    bool fits = false;
    bool judges = false;
    enum inv_status status =
        inv_json_get_bool(object, at, "fit_only", &fits, err);
    if (status == INV_OK)
        status = inv_json_get_bool(object, at, "judge_only", &judges, err);
    if (status == INV_OK && fits && judges)
        return inv_json_point(
            err,
            inv_fail(err, INV_INVALID,
                     "a query is \"fit_only\" or \"judge_only\", not both: it "
                     "would be of no use"),
            at, "judge_only");
    *out = fits ? INV_QUERY_FITS : judges ? INV_QUERY_JUDGES : INV_QUERY_BOTH;
    return status;
}

/* What a fit could not use is refused. */
static enum inv_status check_purpose(const struct inv_query_in *query,
                                     bool labelled, const char *at,
                                     struct inv_err *err) {
    bool old = query->old_model != NULL;
    enum inv_status status = INV_OK;
    if (labelled && !old && query->label == NULL)
        status = inv_fail(err, INV_INVALID,
                          "this collection's gallery is a simplex: a query "
                          "needs a \"label\" (its class), \"old\" (its vector "
                          "in the first model) or both, got none");
    else if (!labelled && !old && query->relevant == NULL)
        status = inv_fail(err, INV_INVALID,
                          "a query needs \"old\" (its vector in another "
                          "model), \"relevant\" (ids of documents that answer "
                          "it) or both, got none");
    if (status != INV_OK)
        inv_err_at(err, "%s", at);
    return status;
}

static enum inv_status read_query(const struct inv_json_doc *doc,
                                  const inv_json *object, const char *at,
                                  const struct inv_json_limits *limits,
                                  bool labelled, struct inv_query_in *out,
                                  struct inv_err *err) {
    static const char *const fields[] = {
        "id",       "vector",   "vectors", "text",       "old",
        "relevant", "fit_only", "label",   "judge_only", NULL};
    inv_json *old = NULL;
    char below[INV_POINTER_MAX];
    enum inv_status status = inv_request_object(object, at, err);
    if (status == INV_OK)
        status = inv_json_allow(object, at, fields, err);
    if (status == INV_OK)
        status = inv_request_item(doc, object, at, "a query", limits,
                                  &out->item, err);
    if (status == INV_OK)
        status = inv_json_get_object(object, at, "old", &old, err);
    inv_request_path(below, at, "old");
    if (status == INV_OK && old != NULL)
        status = read_old(doc, old, below, limits, out, err);
    if (status == INV_OK)
        status = read_relevant(doc, object, at, &out->relevant, err);
    if (status == INV_OK)
        status = read_use(object, at, &out->use, err);
    if (status == INV_OK)
        status = inv_json_get_string(object, at, "label", INV_NAME_MAX,
                                     &out->label, NULL, err);
    return status == INV_OK ? check_purpose(out, labelled, at, err) : status;
}

enum inv_status inv_parse_model_queries(const struct inv_json_doc *doc,
                                        const struct inv_json_limits *limits,
                                        bool labelled,
                                        struct inv_queries_in *out,
                                        struct inv_err *err) {
    static const char *const fields[] = {"queries", NULL};
    inv_json *list = NULL;
    struct inv_queries_in queries = {NULL, 0};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status =
            inv_request_list(doc->root, "queries", &list, &queries.count, err);
    if (status != INV_OK)
        return status;
    queries.items =
        inv_arena_calloc(doc->arena, queries.count, sizeof *queries.items);
    if (queries.items == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %zu queries",
                        queries.count);
    for (size_t i = 0; status == INV_OK && i < queries.count; i++) {
        char at[INV_POINTER_MAX];
        inv_request_path_at(at, "", "queries", i);
        status = read_query(doc, inv_json_at(list, i), at, limits, labelled,
                            &queries.items[i], err);
    }
    if (status == INV_OK)
        status = inv_request_no_repeats("queries", "query", queries.items,
                                        sizeof *queries.items, queries.count,
                                        doc->arena, err);
    if (status == INV_OK)
        *out = queries;
    return status;
}

/* ---- swap ---- */

static enum inv_status read_mode(const inv_json *root, enum inv_swap_mode *out,
                                 struct inv_err *err) {
    static const char *const modes[] = {"shadow", "bridge", "cascade",
                                        "cutover"};
    const char *text = NULL;
    enum inv_status status =
        inv_json_get_string(root, "", "mode", 16, &text, NULL, err);
    if (status != INV_OK)
        return status;
    for (int i = 0; text != NULL && i < 4; i++)
        if (strcmp(text, modes[i]) == 0) {
            *out = (enum inv_swap_mode)i;
            return INV_OK;
        }
    status = inv_fail(err, INV_INVALID,
                      "\"mode\" is shadow, bridge, cascade or cutover, not %s",
                      text == NULL ? "nothing" : text);
    inv_err_at(err, "/mode");
    return status;
}

enum inv_status inv_parse_activate(const struct inv_json_doc *doc,
                                   struct inv_activate_in *out,
                                   struct inv_err *err) {
    static const char *const fields[] = {"model", "adapter", "mode", "force",
                                         NULL};
    struct inv_activate_in wanted = {.model = NULL};
    enum inv_status status = inv_request_object(doc->root, "", err);
    if (status == INV_OK)
        status = inv_json_allow(doc->root, "", fields, err);
    if (status == INV_OK)
        status =
            inv_request_model(doc->root, "", doc->arena, &wanted.model, err);
    if (status == INV_OK && wanted.model == NULL) {
        status = inv_fail(err, INV_INVALID,
                          "\"model\" is missing: the model to go over to");
        inv_err_at(err, "/model");
    }
    if (status == INV_OK)
        status = inv_json_get_string(doc->root, "", "adapter", INV_NAME_MAX,
                                     &wanted.adapter, NULL, err);
    if (status == INV_OK)
        status = read_mode(doc->root, &wanted.mode, err);
    if (status == INV_OK)
        status = inv_json_get_bool(doc->root, "", "force", &wanted.force, err);
    if (status == INV_OK)
        *out = wanted;
    return status;
}
