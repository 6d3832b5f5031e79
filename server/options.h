/*
 * options.h: the daemon's options, from the command line, the configuration
 * file and the environment, in that order of precedence.
 */
#ifndef INV_SERVER_OPTIONS_H
#define INV_SERVER_OPTIONS_H

#include "base/config.h"
#include "base/log.h"
#include "server/app.h"

struct inv_options {
    struct inv_app_config app; /* strings point into this struct or argv */
    const char *host;
    uint16_t port;
    int io_threads, workers;
    size_t queue, connections, bulk_streams;
    unsigned idle_timeout_s, drain_ms;
    enum inv_log_level log_level;
    enum inv_log_format log_format;
    struct inv_config file;
    char host_text[256];
};

/* stop: --help or --version was answered. INV_INVALID names what is wrong. */
enum inv_status inv_options_read(struct inv_options *options, int argc,
                                 char **argv, bool *stop,
                                 struct inv_err *err) INV_MUST_USE;
void inv_options_release(struct inv_options *options);

#endif
