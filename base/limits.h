/*
 * limits.h: every limit of the product in one place: minimum, default and
 * maximum side by side. Those marked * can be set in the configuration.
 */
#ifndef INV_BASE_LIMITS_H
#define INV_BASE_LIMITS_H

#include <stddef.h>

/* Names, ids and shapes */
#define INV_NAME_MAX 64         /* collection, alias: [A-Za-z0-9._-]{1,64} */
#define INV_MODEL_NAME_MAX 64   /* model name and revision, each */
#define INV_ID_MAX 512          /* bytes of a document id, 1..512 */
#define INV_DIM_MAX 16384       /* dimensions of a vector, 1..16384 */
#define INV_PREFIX_DIMS_MAX 16  /* declared Matryoshka dimensions */
#define INV_FIELDS_MAX 64       /* indexed payload fields a collection */
#define INV_FIELD_KEY_MAX 128   /* bytes of a (dotted) payload key */
#define INV_VALUE_ABS_MAX 1e15f /* |x| of any vector component */
#define INV_F16_MAX 65504.0f    /* largest finite half precision number */

/* Encodings (encoders.md 1): R * 2^k * m */
#define INV_FDE_BITS_MAX 16
#define INV_FDE_DIM_MAX 65536

/* A request */
#define INV_BODY_DEFAULT ((size_t)64 << 20) /* * bytes of a body, not bulk */
#define INV_BODY_MAX ((size_t)1 << 30)
#define INV_DOC_TOKENS_DEFAULT 8192 /* * tokens of a document */
#define INV_DOC_TOKENS_MAX 65536
#define INV_QUERY_TOKENS_DEFAULT 1024 /* * tokens of a query */
#define INV_QUERY_TOKENS_MAX 65536
#define INV_BATCH_DOCS_MAX 10000 /* documents in one PUT */
#define INV_BATCH_SEARCHES_MAX 256
#define INV_LIMIT_DEFAULT 10 /* hits of a search */
#define INV_LIMIT_MAX 10000
#define INV_OFFSET_MAX 100000
#define INV_CANDIDATES_DEFAULT 500 /* see decisions in docs/api.md */
#define INV_RESCORE_DEFAULT 500
#define INV_RERANK_DEFAULT 200
#define INV_CANDIDATES_MAX 1000000
#define INV_CASCADE_DEFAULT 100 /* hits that are scored in the new space */
#define INV_CASCADE_MAX 1000
#define INV_NEED_DEFAULT 20 /* ids in need_vectors */
#define INV_NEED_MAX 1000
#define INV_PAYLOAD_MAX ((size_t)1 << 20) /* bytes of one payload */
#define INV_TEXT_MAX ((size_t)1 << 20)    /* bytes of one text to encode */
#define INV_FILTER_CONDITIONS_MAX 256
#define INV_FILTER_VALUES_MAX 65536
#define INV_TIMEOUT_MS_MAX 600000
#define INV_TEXT_TOKENS 512 /* tokens kept of a text */

/* The daemon */
#define INV_QUEUE_DEFAULT 256        /* * requests waiting */
#define INV_CONNECTIONS_DEFAULT 1024 /* * open connections */
#define INV_BULK_STREAMS_DEFAULT 4   /* * bulk bodies at once */
#define INV_REQUEST_ARENA_MAX ((size_t)2 << 30)
#define INV_COLLECTIONS_MAX 1024
#define INV_JSON_DEPTH_MAX 64

/* Storage */
#define INV_VLOG_ROLL ((size_t)256 << 20)   /* bytes after which a log rolls */
#define INV_FRESH_DEFAULT 20000             /* entries before a seal */
#define INV_FRESH_BYTES ((size_t)512 << 20) /* bytes before a seal */
#define INV_ENCODER_SAMPLE 16384            /* vectors that learn a state */
#define INV_BULK_COMMIT 1000                /* documents per bulk commit */
#define INV_BULK_ERRORS 1000                /* errors listed in its answer */

#endif
