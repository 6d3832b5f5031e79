/*
 * upload.h: sends the batches of a source over several connections, tells how
 * far it is, and remembers what was acknowledged.
 */
#ifndef INV_CLI_UPLOAD_H
#define INV_CLI_UPLOAD_H

#include "cli/cli.h"
#include "cli/resume.h"
#include "cli/source.h"

#define INV_CONNECTIONS_MAX 64
#define INV_UPLOAD_TRIES 8

struct inv_upload_result {
    uint64_t sent;     /* documents in acknowledged requests */
    uint64_t upserted; /* of those, taken */
    uint64_t failed;   /* of those, refused one by one */
    double seconds;
    bool interrupted;
    int exit;                          /* 0, or why it stopped */
    char failure[INV_MESSAGE_MAX];     /* with exit != 0 */
    char first_error[INV_MESSAGE_MAX]; /* of a document, "" for none */
};

/* path: of the bulk route. 503 and 429 are tried again after the time the
 * daemon asks for, INV_UPLOAD_TRIES times in all. Ctrl-C ends it after the
 * requests under way. Blocks; main thread. */
void inv_upload(struct inv_cli *cli, const char *path,
                struct inv_source *source, struct inv_resume *resume,
                uint32_t connections, struct inv_upload_result *result);

#endif
