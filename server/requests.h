/*
 * requests.h: what a body says once it has been parsed and checked for form,
 * as plain structs (server/json/request_*.c fills them). Whether it fits the
 * collection (dimension, model, schema) is the pipelines' business. All memory
 * belongs to the request's arena or its inv_json_doc.
 */
#ifndef INV_SERVER_REQUESTS_H
#define INV_SERVER_REQUESTS_H

#include "base/limits.h"
#include "index/catalog.h"
#include "index/filter.h"
#include "server/json/json.h"

/* 0 / count 0: not given. Also a collection's defaults. */
struct inv_search_params {
    uint32_t candidates, rescore, rerank, ef, nprobe, timeout_ms;
    uint32_t dims[INV_PREFIX_DIMS_MAX];
    size_t dims_count;
    uint32_t keep[INV_PREFIX_DIMS_MAX];
    size_t keep_count; /* dims_count - 1 where given */
    bool exact, exact_given;
    uint32_t cascade;      /* hits scored again in the query's own space */
    uint32_t need_vectors; /* ids of such hits without a vector, at most */
    bool need_given;       /* need_vectors may be 0 */
};

struct inv_payload_wish {
    bool all;
    const char **keys; /* dotted keys, when not all */
    size_t key_count;
};

struct inv_search_request {
    struct inv_given query;
    const char *text; /* or NULL */
    size_t text_len;
    const char *model; /* "name@revision" or "name", or NULL */
    uint32_t limit, offset;
    struct inv_filter *filter; /* not bound yet; NULL: none */
    struct inv_search_params params;
    struct inv_payload_wish payload;
    bool with_vectors;
    bool explain;
};

struct inv_document_in {
    const char *id;
    size_t id_len;
    struct inv_given given;
    const char *text;
    size_t text_len;
    const char *model;
    const inv_json *payload; /* object, or NULL when not given */
    uint64_t seq; /* models/{m}/vectors: of the document; 0: not given */
};

struct inv_documents_in {
    struct inv_document_in *items;
    size_t count;
};

struct inv_ids_in {
    const char **ids;
    size_t *lens;
    size_t count;
};

struct inv_delete_request {
    struct inv_ids_in ids; /* count 0: by filter */
    struct inv_filter *filter;
    bool dry_run;
};

struct inv_scroll_request {
    uint32_t limit;
    const char *cursor; /* opaque text, or NULL */
    struct inv_filter *filter;
    struct inv_payload_wish payload; /* all by default */
    bool with_vectors;
};

struct inv_recall_query {
    struct inv_given given;
    const char *text; /* or NULL */
    size_t text_len;
};

struct inv_recall_request {
    uint32_t sample, limit; /* defaults 100, 10 */
    struct inv_search_params params;
    const char *model;                /* of the queries, as in a search */
    struct inv_recall_query *queries; /* count 0: stored documents */
    size_t query_count;
};

/* PUT models/{m}. */
struct inv_model_in {
    uint32_t dim;                    /* 0: not given */
    const char *kind;                /* NULL: not given */
    const char *prompt;              /* "": none */
    const inv_json *encoder, *index; /* objects, or NULL */
    bool normalized;
};

/* A query in a model: item.id and what item.given or item.text say. */
struct inv_query_in {
    struct inv_document_in item;
    const char *old_model; /* NULL: no vector of another model */
    struct inv_given old_given;
    const char *old_text; /* of `item` where "old" names the model alone */
    size_t old_text_len;
    const char *relevant; /* JSON array of ids, NULL: none */
    enum inv_query_use use;
    const char *label; /* or NULL */
};

struct inv_queries_in {
    struct inv_query_in *items;
    size_t count;
};

enum inv_swap_mode {
    INV_SWAP_SHADOW,
    INV_SWAP_BRIDGE,
    INV_SWAP_CASCADE,
    INV_SWAP_CUTOVER,
};

struct inv_activate_in {
    const char *model;
    const char *adapter; /* NULL: not given */
    enum inv_swap_mode mode;
    bool force;
};

/* Each parses doc->root (an object; unknown fields are errors). `at` is the
 * pointer prefix ("" for the body, "/searches/3" in a batch). */
enum inv_status inv_parse_search(const struct inv_json_doc *doc,
                                 const inv_json *object, const char *at,
                                 const struct inv_json_limits *limits,
                                 struct inv_search_request *out,
                                 struct inv_err *err) INV_MUST_USE;
/* {"searches":[...]}, 1..INV_BATCH_SEARCHES_MAX */
enum inv_status inv_parse_search_batch(const struct inv_json_doc *doc,
                                       const struct inv_json_limits *limits,
                                       struct inv_search_request **out,
                                       size_t *count,
                                       struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_params(const inv_json *object, const char *at,
                                 struct inv_search_params *out,
                                 struct inv_err *err) INV_MUST_USE;
/* {"documents":[...]}, 1..INV_BATCH_DOCS_MAX; a repeated id is an error that
 * names both places. Integer ids become decimal strings. */
enum inv_status inv_parse_documents(const struct inv_json_doc *doc,
                                    const struct inv_json_limits *limits,
                                    struct inv_documents_in *out,
                                    struct inv_err *err) INV_MUST_USE;
/* One document object (a line of NDJSON); `at` as above. */
enum inv_status inv_parse_document(const struct inv_json_doc *doc,
                                   const inv_json *object, const char *at,
                                   const struct inv_json_limits *limits,
                                   struct inv_document_in *out,
                                   struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_filter(const inv_json *object, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_filter **out,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_delete(const struct inv_json_doc *doc,
                                 struct inv_delete_request *out,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_scroll(const struct inv_json_doc *doc,
                                 struct inv_scroll_request *out,
                                 struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_recall(const struct inv_json_doc *doc,
                                 const struct inv_json_limits *limits,
                                 struct inv_recall_request *out,
                                 struct inv_err *err) INV_MUST_USE;

enum inv_status inv_parse_model(const struct inv_json_doc *doc,
                                struct inv_model_in *out,
                                struct inv_err *err) INV_MUST_USE;
/* {"vectors":[{"id", "vector" | "vectors" | "text", "seq"?}]}, as many as
 * documents in a PUT; a repeated id is an error. */
enum inv_status inv_parse_model_vectors(const struct inv_json_doc *doc,
                                        const struct inv_json_limits *limits,
                                        struct inv_documents_in *out,
                                        struct inv_err *err) INV_MUST_USE;
/* The same as frames (below), without payload and seq. */
enum inv_status inv_parse_model_frames(const void *body, size_t len,
                                       const struct inv_json_limits *limits,
                                       struct inv_arena *arena,
                                       struct inv_documents_in *out,
                                       struct inv_err *err) INV_MUST_USE;
/* {"queries":[..]}, as many; each with "old", "relevant" or both; labelled:
 * with "old", "label" or both. */
enum inv_status inv_parse_model_queries(const struct inv_json_doc *doc,
                                        const struct inv_json_limits *limits,
                                        bool labelled,
                                        struct inv_queries_in *out,
                                        struct inv_err *err) INV_MUST_USE;
enum inv_status inv_parse_activate(const struct inv_json_doc *doc,
                                   struct inv_activate_in *out,
                                   struct inv_err *err) INV_MUST_USE;

/* The framed binary stream of bulk (application/x-invar), little-endian:
 *   once: "INVB", u32 version = 1
 * see docs/api.md; inv_frame_* reads one document after the other. Per
 * document: u16 id length, id, u32 rows, u32 dim, u8 dtype (inv_dtype), [i8:
 * rows x f16 scales], data, u32 payload length (0: none), payload JSON. */
struct inv_frame {
    const char *id;
    size_t id_len;
    struct inv_given given; /* decoded f32 (arena) and the codes as sent */
    const char *payload;    /* JSON text, NULL: none */
    size_t payload_len;
};

#define INV_FRAME_MAGIC_BYTES 8

/* Checks the 8 bytes that open a stream. */
enum inv_status inv_frame_magic(const void *bytes,
                                struct inv_err *err) INV_MUST_USE;
/* How long the next frame is, from what has arrived: sets *need to the bytes
 * that must be there before inv_frame_parse can run (at least len when it is
 * already complete: *need <= len). Call again with more when *need > len.
 * Limits are checked here, before anything is allocated. */
enum inv_status inv_frame_need(const void *bytes, size_t len,
                               const struct inv_json_limits *limits,
                               size_t *need, struct inv_err *err) INV_MUST_USE;
/* Parses one complete frame of exactly `need` bytes; pointers into `bytes`
 * and the arena. NaN/Inf/magnitude checked: INV_NOT_FINITE, per item. */
enum inv_status inv_frame_parse(const void *bytes, size_t need,
                                struct inv_arena *arena, struct inv_frame *out,
                                struct inv_err *err) INV_MUST_USE;

#endif
