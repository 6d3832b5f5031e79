/*
 * adapters.h: the adapters of a collection: storing what a fit, a file or two
 * others gave, showing, exporting, removing. Any thread but the writer's.
 */
#ifndef INV_SERVER_UPGRADE_ADAPTERS_H
#define INV_SERVER_UPGRADE_ADAPTERS_H

#include "server/json/adapter_file.h"
#include "server/upgrade/change.h"

/* What is to be stored; everything is the caller's. */
struct inv_new_adapter {
    const char *name;     /* as asked for: INV_CONFLICT when it is taken; NULL:
                             `proposal` made fit and numbered */
    const char *proposal; /* any text */
    int64_t from, to;     /* spaces, of backward */
    const char *kind, *verdict;
    double break_even;
    bool degraded;
    const char *request, *report;                 /* JSON */
    const struct inv_adapter *backward, *forward; /* forward NULL: none */
    const struct inv_score_map *scores;           /* of backward; NULL: none */
};

/* One transaction; the picture has it with the commit. name: the one that it
 * got. INV_CONFLICT, INV_SPACE_MISMATCH when a model was removed meanwhile. */
enum inv_status inv_adapters_add(struct inv_collection *collection,
                                 const struct inv_new_adapter *adapter,
                                 char name[INV_NAME_MAX + 1],
                                 struct inv_err *err) INV_MUST_USE;

static inline bool
inv_adapters_in_use(const struct inv_models *models,
                    const struct inv_stored_adapter *adapter) {
    return models->adapter == adapter->id &&
           models->state != INV_UPGRADE_NONE &&
           models->state != INV_UPGRADE_DONE;
}

/* INV_NOT_FOUND; INV_CONFLICT while it is in use (an upgrade that is DONE
 * uses none), or while a rollback would come back to it. */
enum inv_status inv_adapters_delete(struct inv_collection *collection,
                                    const char *name,
                                    struct inv_err *err) INV_MUST_USE;

/* A file in either format. from, to: names of models that its vectors are of;
 * NULL: as the file says. Stored with verdict NONE and the report that came
 * with it. */
struct inv_adapter_import {
    const void *bytes;
    size_t len;
    const char *name, *from, *to;
};
/* As inv_adapter_read (server/json/adapter_file.h) for the file, INV_DIMENSION
 * with both numbers, INV_INVALID for one that goes the other way. */
enum inv_status inv_adapters_import(struct inv_collection *collection,
                                    const struct inv_adapter_import *wanted,
                                    char name[INV_NAME_MAX + 1],
                                    struct inv_err *err) INV_MUST_USE;

/* second after first; marked degraded, verdict NONE. name NULL: made of both.
 * INV_NOT_FOUND, INV_INVALID where they do not join or one is composed. */
enum inv_status inv_adapters_compose(struct inv_collection *collection,
                                     const char *first, const char *second,
                                     const char *name,
                                     char out[INV_NAME_MAX + 1],
                                     struct inv_err *err) INV_MUST_USE;

/* The file of one direction. INV_NOT_FOUND when it has no such direction. */
enum inv_status inv_adapters_export(const struct inv_stored_adapter *adapter,
                                    enum inv_adapter_format format,
                                    bool forward, struct inv_buf *out,
                                    struct inv_err *err) INV_MUST_USE;

/* {"name","from","to","kind","solver"?,"verdict","break_even","degraded",
 * "in_use","created_ms"} and, in full, "request" and "report". */
void inv_adapters_put(const struct inv_models *models,
                      const struct inv_stored_adapter *adapter, bool full,
                      struct inv_buf *out);
/* {"models","matrix","ac","am","update_gain","adapter","queries","metric"}:
 * row = model of the queries, column = model of the gallery, by age; null where
 * no report measured it. ac and am over the lower triangle, null while it has a
 * hole. */
enum inv_status inv_adapters_compatibility(const struct inv_models *models,
                                           struct inv_buf *out,
                                           struct inv_err *err) INV_MUST_USE;

/* A number of the chosen method of a report ("held_out", "ndcg10"; inner NULL:
 * the outer one), false when it has none. report: as parsed. */
bool inv_report_number(const inv_json *report, const char *outer,
                       const char *inner, double *out);

#endif
