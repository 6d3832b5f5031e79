/*
 * migration.h: where an upgrade stands (GET .../migration), read once and told
 * to people. Main thread.
 */
#ifndef INV_CLI_MIGRATION_H
#define INV_CLI_MIGRATION_H

#include "cli/cli.h"

#include <stdbool.h>

struct inv_migration {
    char state[16]; /* NONE SHADOW BRIDGED CASCADE CUTOVER DONE */
    char model[160], adapter[80];
    char query_model[160], gallery_model[160];
    double coverage, break_even;
    uint64_t documents, covered;
    bool can_roll_back;
};

void inv_migration_read(const inv_json *answer, struct inv_migration *out);
/* GET .../migration; the exit code, with the error said. */
int inv_migration_get(struct inv_cli *cli, const char *collection,
                      struct inv_migration *out);

/* State, models, coverage, journal: for a terminal. */
void inv_migration_show(const inv_json *answer, struct inv_buf *out);

/* POST .../activate. mode: shadow, bridge, cascade, cutover; adapter may be
 * NULL. cutover is a job: followed with a progress bar, and *interrupted when
 * Ctrl-C has asked it to stop. *answer: the migration, or the job. */
int inv_migration_activate(struct inv_cli *cli, const char *collection,
                           const char *model, const char *adapter,
                           const char *mode, bool force,
                           struct inv_answer *answer, bool *interrupted);

#endif
