/*
 * create.h: `invar collections create`, the one with many options.
 */
#ifndef INV_CLI_CREATE_H
#define INV_CLI_CREATE_H

#include "cli/cli.h"

int inv_create_run(struct inv_cli *cli, struct inv_args *args);

#define INV_CREATE_HELP                                                        \
    "usage: invar collections create NAME --kind single|multi --dim N "        \
    "[options]\n"                                                              \
    "       invar collections create NAME --file BODY.json\n"                  \
    "\n"                                                                       \
    "single: one vector a document; multi: one a token (MaxSim). What is\n"    \
    "not given, the daemon chooses; `collections show` tells. The same\n"      \
    "command again changes nothing.\n"                                         \
    "\n"                                                                       \
    "Examples:\n"                                                              \
    "  invar collections create papers --kind multi --dim 96 --model "         \
    "static@2\n"                                                               \
    "  invar collections create pooled --kind single --dim 384 "               \
    "--metric cosine \\\n"                                                     \
    "      --dims 64,128,384 --rotate pca --index hnsw\n"                      \
    "  invar collections create tokens --kind multi --dim 128 --preset "       \
    "quality \\\n"                                                             \
    "      --dtype i8 --field year=integer --field lang=keyword\n"             \
    "  invar collections create mine --file body.json\n"

/* What the flags say; NULL and 0: not given. */
struct inv_create_flags {
    const char *kind, *metric, *model, *encoder, *variant, *preset, *dims;
    const char *rotate, *index, *dtype, *score;
    uint32_t dim, index_dims;
    const char *const *fields; /* "key=type" */
    size_t field_count;
    bool require_model;
};

/* The body of PUT /v1/collections/{c}. INV_INVALID for a model without name, a
 * field without type, dims that are no numbers. */
enum inv_status inv_create_body(const struct inv_create_flags *flags,
                                struct inv_buf *out,
                                struct inv_err *err) INV_MUST_USE;

#endif
