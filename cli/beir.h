/*
 * beir.h: collections of the BEIR benchmark as they lie in a folder:
 * corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and
 * qrels/test.tsv (query, document, grade), each plain or gzip'ed. One thread.
 */
#ifndef INV_CLI_BEIR_H
#define INV_CLI_BEIR_H

#include "base/buf.h"
#include "base/status.h"
#include "server/json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* folder/name or folder/name.gz, whichever is there; INV_NOT_FOUND names
 * both. */
enum inv_status inv_beir_find(const char *folder, const char *name,
                              struct inv_buf *path,
                              struct inv_err *err) INV_MUST_USE;
bool inv_is_folder(const char *path);

/* ---- documents ---- */

enum inv_payload_part {
    INV_PAYLOAD_TEXT, /* title and text */
    INV_PAYLOAD_TITLE,
    INV_PAYLOAD_ALL, /* every field but _id */
    INV_PAYLOAD_NONE,
};
bool inv_payload_part_parse(const char *name, enum inv_payload_part *out);

/* A line of corpus.jsonl taken apart. */
struct inv_beir_document {
    struct inv_buf id;
    struct inv_buf text;    /* title, a blank, text */
    struct inv_buf payload; /* a JSON object, empty for INV_PAYLOAD_NONE */
};
#define INV_BEIR_DOCUMENT_INIT                                                 \
    { INV_BUF_INIT, INV_BUF_INIT, INV_BUF_INIT }

void inv_beir_document_release(struct inv_beir_document *document);
/* _id may be a string or an integer. INV_INVALID without place: the caller
 * knows the line. */
enum inv_status inv_beir_document_read(const char *line, size_t len,
                                       enum inv_payload_part part,
                                       struct inv_beir_document *document,
                                       struct inv_err *err) INV_MUST_USE;

/* "_id" or "id" of an object, a string or an integer, as text. */
enum inv_status inv_beir_id(const inv_json *object, struct inv_buf *out,
                            struct inv_err *err) INV_MUST_USE;

/* ---- queries ---- */

struct inv_beir_query {
    char *id, *text;
    size_t line; /* from 0: the row of a matrix of their vectors */
};
struct inv_beir_queries {
    struct inv_beir_query *items;
    size_t count;
};

enum inv_status inv_beir_queries_read(const char *path,
                                      struct inv_beir_queries *queries,
                                      struct inv_err *err) INV_MUST_USE;
void inv_beir_queries_release(struct inv_beir_queries *queries);

/* ---- judgements ---- */

struct inv_judgement {
    char *query, *document;
    double gain; /* > 0: grades of 0 and below are left out */
};
struct inv_qrels {
    struct inv_judgement *items; /* by query, highest gain first */
    size_t count;
};

/* BEIR's three columns with a heading, or TREC's four (query 0 document
 * grade). binary: every gain above 0 is 1. */
enum inv_status inv_qrels_read(const char *path, bool binary,
                               struct inv_qrels *qrels,
                               struct inv_err *err) INV_MUST_USE;
/* qrels/test.tsv, qrels.tsv of a folder (or .gz). */
enum inv_status inv_qrels_find(const char *folder, struct inv_buf *path,
                               struct inv_err *err) INV_MUST_USE;
void inv_qrels_release(struct inv_qrels *qrels);
/* The judgements of a query; count 0 when there are none. */
const struct inv_judgement *inv_qrels_of(const struct inv_qrels *qrels,
                                         const char *query, size_t *count);
/* 0 when not relevant or not judged. */
double inv_qrels_gain(const struct inv_judgement *judgements, size_t count,
                      const char *document);

#endif
