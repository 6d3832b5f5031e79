/*
 * cli.h: what every command of `invar` shares: exit codes, the table of
 * commands, and the calls that print their own error. The command line speaks
 * only the HTTP API. Everything here is for the main thread; what threads may
 * use is in client.h.
 */
#ifndef INV_CLI_CLI_H
#define INV_CLI_CLI_H

#include "base/buf.h"
#include "base/status.h"
#include "cli/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INV_DEFAULT_URL "http://127.0.0.1:8088"
#define INV_DEFAULT_TIMEOUT_S 300

struct inv_cli {
    const char *url;
    const char *key; /* NULL: none */
    uint32_t timeout_s;
    bool json;                 /* answers for programs, on standard output */
    struct inv_client *client; /* opened at the first call */
};

struct inv_command;

/* The words behind a command's name; inv_options_parse leaves those that are
 * no options. */
struct inv_args {
    const struct inv_command *command;
    const char *group; /* "collections" of `collections create`, or NULL */
    int argc;
    char **argv;
};

struct inv_command {
    const char *name;
    const char *summary;                                    /* one line */
    int (*run)(struct inv_cli *cli, struct inv_args *args); /* exit code */
    const char *help; /* usage lines, what it does, examples */
};

extern const struct inv_command inv_cmd_status;
extern const struct inv_command inv_cmd_collections;
extern const struct inv_command inv_cmd_alias;
extern const struct inv_command inv_cmd_documents;
extern const struct inv_command inv_cmd_import;
extern const struct inv_command inv_cmd_search;
extern const struct inv_command inv_cmd_eval;
extern const struct inv_command inv_cmd_bench;
extern const struct inv_command inv_cmd_rebuild;
extern const struct inv_command inv_cmd_compact;
extern const struct inv_command inv_cmd_jobs;
extern const struct inv_command inv_cmd_verify;
extern const struct inv_command inv_cmd_fit;
extern const struct inv_command inv_cmd_models;
extern const struct inv_command inv_cmd_adapters;
extern const struct inv_command inv_cmd_activate;
extern const struct inv_command inv_cmd_rollback;
extern const struct inv_command inv_cmd_migration;
extern const struct inv_command inv_cmd_backfill;
extern const struct inv_command inv_cmd_upgrade;

/* Finds argv[0] in a table and runs it with what follows; an unknown word is a
 * usage error with the nearest name. */
int inv_commands_run(struct inv_cli *cli, struct inv_args *args,
                     const struct inv_command *const *table, size_t count);

/* The one way a group (`collections`, `jobs`) is run: no word means table[0],
 * --help lists the table. */
int inv_group_run(struct inv_cli *cli, struct inv_args *args,
                  const struct inv_command *const *table, size_t count);

/* The same where the group's first word is a collection: `models papers put
 * static@2`. A collection alone means table[0]; `models put --help` is that of
 * the command. */
int inv_group_run_on(struct inv_cli *cli, struct inv_args *args,
                     const struct inv_command *const *table, size_t count);

/* "invar: ..." on standard error. */
int inv_cli_failed(const char *fmt, ...) INV_PRINTF(1, 2); /* exit 1 */
int inv_cli_usage(const struct inv_args *args, const char *fmt, ...)
    INV_PRINTF(2, 3); /* exit 2, with where to find help */
int inv_cli_error(const struct inv_err *err); /* exit 1 */

/* One request; the answer is parsed. On failure the message is printed and the
 * exit code returned; on 0 the caller releases the answer. `body` may be
 * NULL. */
int inv_cli_call(struct inv_cli *cli, const char *method, const char *path,
                 const struct inv_buf *body, struct inv_answer *answer);
/* The same to /v1/collections/{name}<rest>. */
int inv_cli_call_collection(struct inv_cli *cli, const char *method,
                            const char *name, const char *rest,
                            const struct inv_buf *body,
                            struct inv_answer *answer);

/* The same to /v1/collections/{collection}/{kind}/{name}<rest>, kind being
 * "models" or "adapters". */
int inv_cli_call_part(struct inv_cli *cli, const char *method,
                      const char *collection, const char *kind,
                      const char *name, const char *rest,
                      const struct inv_buf *body, struct inv_answer *answer);

/* Sends without a word: also a refusal is the caller's to read and release. A
 * daemon that is busy (503, 429) is asked again after the time it names,
 * INV_CLI_TRIES times in all. */
#define INV_CLI_TRIES 8
int inv_cli_try(struct inv_cli *cli, const struct inv_call *call,
                struct inv_answer *answer);

/* Writes bytes and a newline (when none is there) to standard output; exit
 * code 1 when that fails. */
int inv_cli_print(const struct inv_buf *text);

#endif
