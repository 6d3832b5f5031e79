/*
 * follow.h: a job of the daemon, followed to its end. Main thread.
 */
#ifndef INV_CLI_FOLLOW_H
#define INV_CLI_FOLLOW_H

#include "cli/cli.h"

/* POSTs body to path (202 with a job) and, with wait, follows the job with a
 * progress bar. Ctrl-C leaves it running. Prints how it ended; exit code 1 when
 * it failed or was cancelled. */
int inv_follow_start(struct inv_cli *cli, const char *path,
                     const struct inv_buf *body, bool wait);

#endif
