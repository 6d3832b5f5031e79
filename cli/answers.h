/*
 * answers.h: reading the daemon's answers: fields that may be missing, the
 * collection a command works on. Main thread.
 */
#ifndef INV_CLI_ANSWERS_H
#define INV_CLI_ANSWERS_H

#include "cli/cli.h"

/* A field, or NULL when the object is none, has none or holds null. */
const inv_json *inv_field_of(const inv_json *object, const char *key);
/* "" when it is not there or no text. Valid as long as the tree. */
const char *inv_text_of(const inv_json *object, const char *key);
uint64_t inv_uint_of(const inv_json *object, const char *key); /* 0 */
double inv_real_of(const inv_json *object, const char *key);   /* 0 */
bool inv_bool_of(const inv_json *object, const char *key);     /* false */
/* The list under a key: its length (0: not there) and items. */
size_t inv_list_of(const inv_json *object, const char *key,
                   const inv_json **list);

/* What a command must know of its collection. */
struct inv_target {
    bool multi;
    bool built_in; /* the daemon encodes text with this model */
    size_t dim;
    bool empty; /* it is known to hold no document */
    uint64_t documents;
    uint64_t created_ms; /* tells it from an earlier one of the same name */
    char model[160];     /* name@revision */
};

/* GET /v1/collections/{name}; the exit code, with the error said. */
int inv_target_get(struct inv_cli *cli, const char *name,
                   struct inv_target *target);

/* The same where a collection knows several models: dim, model and built_in are
 * those of the queries or documents in question. model: "name@revision" or
 * "name", NULL for what an unlabelled query means there. */
int inv_target_in(struct inv_cli *cli, const char *name, const char *model,
                  struct inv_target *target);

/* The model of that name in {"models":[..]}: "name@revision", or "name" when
 * one revision is there. NULL: none, or several. */
const inv_json *inv_model_of(const inv_json *models, const char *name);

#endif
