/*
 * config.h: the syntax of the configuration file, apart from what any key
 * means.
 *
 *   # a comment: a line, or what follows a blank and '#' after a value
 *   listen     = 127.0.0.1:7411
 *   data_dir   = "/srv/with # in it"      # \" and \\ inside quotes
 *   body_max   = 64M
 *   timeout    = 1500ms
 *
 * One key a line, no sections. Keys are of [A-Za-z0-9_.-]. Every error names
 * file and line. A parsed configuration is immutable: any thread.
 */
#ifndef INV_BASE_CONFIG_H
#define INV_BASE_CONFIG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INV_CONFIG_FILE_MAX ((size_t)256 << 10)

struct inv_config_entry {
    const char *key;
    const char *value; /* without quotes; may be "" only when quoted */
    size_t line;       /* from 1 */
};

struct inv_config {
    char *name;                       /* of the file, for errors */
    struct inv_config_entry *entries; /* in the order of the file */
    size_t count;
    char *text; /* what keys and values point into */
};

/* Reads a file, or len bytes called `name`. INV_INVALID with "name:line: ..."
 * for a line that is neither blank, comment nor `key = value`, a section, a
 * key given twice (both lines are named), text that is not UTF-8 or holds
 * control characters; INV_TOO_LARGE, INV_IO, INV_MEMORY. On failure *config is
 * released. */
enum inv_status inv_config_open(struct inv_config *config, const char *path,
                                struct inv_err *err) INV_MUST_USE;
enum inv_status inv_config_parse(struct inv_config *config, const char *name,
                                 const char *text, size_t len,
                                 struct inv_err *err) INV_MUST_USE;
void inv_config_release(struct inv_config *config); /* zeroed: does nothing */

/* The entry of a key, or NULL. */
const struct inv_config_entry *inv_config_find(const struct inv_config *config,
                                               const char *key);

/* INV_INVALID for the first key that is not among `known`, with the known key
 * that looks most like it, if one does. */
enum inv_status inv_config_check_keys(const struct inv_config *config,
                                      const char *const *known, size_t count,
                                      struct inv_err *err) INV_MUST_USE;

/*
 * Getters. A key that is not in the file leaves *value as it was: put the
 * default there first. INV_INVALID for a value of another form or out of
 * [min, max]; the text names file, line, key, the value and both limits.
 */

/* Points into the configuration; lives as long as it. */
enum inv_status inv_config_string(const struct inv_config *config,
                                  const char *key, const char **value,
                                  struct inv_err *err) INV_MUST_USE;
/* true, yes, on; false, no, off. */
enum inv_status inv_config_bool(const struct inv_config *config,
                                const char *key, bool *value,
                                struct inv_err *err) INV_MUST_USE;
/* Decimal, with an optional minus. */
enum inv_status inv_config_integer(const struct inv_config *config,
                                   const char *key, int64_t min, int64_t max,
                                   int64_t *value,
                                   struct inv_err *err) INV_MUST_USE;
/* Bytes: decimal, optionally followed by K, M or G (powers of 1,024). */
enum inv_status inv_config_size(const struct inv_config *config,
                                const char *key, size_t min, size_t max,
                                size_t *value,
                                struct inv_err *err) INV_MUST_USE;
/* Milliseconds, written with a unit: 250ms, 30s, 5m, 2h; plain 0 is fine. */
enum inv_status inv_config_duration(const struct inv_config *config,
                                    const char *key, uint64_t min_ms,
                                    uint64_t max_ms, uint64_t *ms,
                                    struct inv_err *err) INV_MUST_USE;

#endif
