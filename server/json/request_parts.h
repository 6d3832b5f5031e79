/*
 * request_parts.h: the parts that several kinds of request have in common,
 * shared among server/json/request_*.c. All memory from the arena.
 */
#ifndef INV_SERVER_JSON_REQUEST_PARTS_H
#define INV_SERVER_JSON_REQUEST_PARTS_H

#include "server/json/json_internal.h"
#include "server/requests.h"

/* at/key into out[INV_POINTER_MAX], for what lies below. */
void inv_request_path(char *out, const char *at, const char *key);
/* at/key/i */
void inv_request_path_at(char *out, const char *at, const char *key, size_t i);

/* The value must be an object: else INV_INVALID at `at`. */
enum inv_status inv_request_object(const inv_json *value, const char *at,
                                   struct inv_err *err) INV_MUST_USE;

/* An id: text of 1..INV_ID_MAX bytes (in the tree), or an integer, which
 * becomes decimal text (in the arena). `at` points at the id itself. */
enum inv_status inv_request_id(const inv_json *value, const char *at,
                               struct inv_arena *arena, const char **id,
                               size_t *len, struct inv_err *err) INV_MUST_USE;

/* "model": "name", "name@revision" or {"name","revision"}; absent: NULL. */
enum inv_status inv_request_model(const inv_json *object, const char *at,
                                  struct inv_arena *arena, const char **out,
                                  struct inv_err *err) INV_MUST_USE;

/* "with": {"payload", "vectors"}; absent: untouched. */
enum inv_status inv_request_with(const inv_json *object, const char *at,
                                 struct inv_arena *arena,
                                 struct inv_payload_wish *payload,
                                 bool *vectors,
                                 struct inv_err *err) INV_MUST_USE;

/* "filter"; absent: *out is NULL. */
enum inv_status inv_request_filter(const inv_json *object, const char *at,
                                   struct inv_arena *arena,
                                   struct inv_filter **out,
                                   struct inv_err *err) INV_MUST_USE;

/* Like inv_json_get_int for 32 bits. */
enum inv_status inv_request_u32(const inv_json *object, const char *at,
                                const char *key, uint32_t min, uint32_t max,
                                uint32_t *out,
                                struct inv_err *err) INV_MUST_USE;

/* What is searched for, or what a document is: exactly one of "vector",
 * "vectors" and "text" (text NULL: `given` is set). `what` names the object in
 * errors: "a search". */
enum inv_status inv_request_subject(const struct inv_json_doc *doc,
                                    const inv_json *object, const char *at,
                                    const char *what,
                                    const struct inv_json_limits *limits,
                                    struct inv_given *given, const char **text,
                                    size_t *text_len,
                                    struct inv_err *err) INV_MUST_USE;

/* The "id" of an item of a list and what it is, as inv_request_subject. */
enum inv_status inv_request_item(const struct inv_json_doc *doc,
                                 const inv_json *object, const char *at,
                                 const char *what,
                                 const struct inv_json_limits *limits,
                                 struct inv_document_in *out,
                                 struct inv_err *err) INV_MUST_USE;

/* The list of a body: 1..INV_BATCH_DOCS_MAX under `key`. */
enum inv_status inv_request_list(const inv_json *root, const char *key,
                                 inv_json **out, size_t *count,
                                 struct inv_err *err) INV_MUST_USE;

/* A batch in which an id stands twice has no single meaning: INV_INVALID with
 * both places. `items`: structs of `size` bytes that begin with a struct
 * inv_document_in; noun: "document". */
enum inv_status inv_request_no_repeats(const char *key, const char *noun,
                                       const void *items, size_t size,
                                       size_t count, struct inv_arena *arena,
                                       struct inv_err *err) INV_MUST_USE;

#endif
