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

/* The same as a step of something larger: follows to the end and prints no
 * result. *answer is the job's last state, to be released whatever is returned;
 * what went wrong has been said. Ctrl-C asks the job to stop: *interrupted, and
 * exit code 0. */
int inv_follow_job(struct inv_cli *cli, const char *path,
                   const struct inv_buf *body, struct inv_answer *answer,
                   bool *interrupted);

#endif
