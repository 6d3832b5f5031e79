/*
 * options.c: see options.h. Every key of the configuration file is in `keys`;
 * deploy/invard.conf shows them all with their defaults.
 */
#include "server/options.h"

#include "base/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: invard --data DIR [options]\n"
    "\n"
    "Serves vector search over HTTP from the collections in DIR.\n"
    "\n"
    "  --data DIR            where everything is kept (made when missing)\n"
    "  --listen HOST:PORT    default 127.0.0.1:8088; port 0: any free one\n"
    "  --config FILE         key = value lines, see deploy/invard.conf\n"
    "  --models DIR          built-in text models (static-1, static-2)\n"
    "  --log-level LEVEL     debug, info (default), warn, error\n"
    "  --log-format FORMAT   text (default) or json, on standard error\n"
    "  --help, --version\n"
    "\n"
    "The key that clients must send is `key` in the configuration file or\n"
    "INVAR_KEY in the environment. Without one the daemon listens on\n"
    "loopback only. SIGTERM finishes running requests and exits with 0.\n";

static const char *const keys[] = {"data",
                                   "listen",
                                   "models",
                                   "key",
                                   "log_level",
                                   "log_format",
                                   "workers",
                                   "io_threads",
                                   "queue",
                                   "connections",
                                   "bulk_streams",
                                   "idle_timeout",
                                   "drain",
                                   "max_body",
                                   "max_document_tokens",
                                   "max_query_tokens",
                                   "fresh_limit",
                                   "log_file_bytes",
                                   "build_threads",
                                   "seal_after",
                                   "seal_min"};

static enum inv_status set_level(struct inv_options *o, const char *text,
                                 struct inv_err *err) {
    int level = inv_log_level_parse(text);
    if (level < 0)
        return inv_fail(err, INV_INVALID,
                        "the log level is debug, info, warn or error, not %s",
                        text);
    o->log_level = (enum inv_log_level)level;
    return INV_OK;
}

static enum inv_status set_format(struct inv_options *o, const char *text,
                                  struct inv_err *err) {
    int format = inv_log_format_parse(text);
    if (format < 0)
        return inv_fail(err, INV_INVALID,
                        "the log format is text or json, not %s", text);
    o->log_format = (enum inv_log_format)format;
    return INV_OK;
}

/* HOST:PORT, with [..] around an IPv6 address. */
static enum inv_status set_listen(struct inv_options *o, const char *text,
                                  struct inv_err *err) {
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    if (len == 0 || len >= sizeof o->host_text || end == colon + 1 ||
        *end != '\0' || port < 0 || port > 65535)
        return inv_fail(err, INV_INVALID,
                        "listen takes HOST:PORT with a port from 0 to 65535, "
                        "not \"%s\"",
                        text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    memcpy(o->host_text, text, len);
    o->host_text[len] = '\0';
    o->host = o->host_text;
    o->port = (uint16_t)port;
    return INV_OK;
}

static enum inv_status file_text(struct inv_options *o, struct inv_err *err) {
    const char *listen = NULL;
    const char *level = NULL;
    const char *format = NULL;
    const struct inv_config *f = &o->file;
    enum inv_status status =
        inv_config_string(f, "data", &o->app.data_dir, err);
    if (status == INV_OK)
        status = inv_config_string(f, "models", &o->app.models_dir, err);
    if (status == INV_OK)
        status = inv_config_string(f, "key", &o->app.key, err);
    if (status == INV_OK)
        status = inv_config_string(f, "listen", &listen, err);
    if (status == INV_OK)
        status = inv_config_string(f, "log_level", &level, err);
    if (status == INV_OK)
        status = inv_config_string(f, "log_format", &format, err);
    if (status == INV_OK && listen != NULL)
        status = set_listen(o, listen, err);
    if (status == INV_OK && level != NULL)
        status = set_level(o, level, err);
    if (status == INV_OK && format != NULL)
        status = set_format(o, format, err);
    return status;
}

static enum inv_status file_numbers(struct inv_options *o,
                                    struct inv_err *err) {
    const struct inv_config *f = &o->file;
    int64_t workers = o->workers;
    int64_t io = o->io_threads;
    int64_t build = o->app.build_threads;
    uint64_t idle = (uint64_t)o->idle_timeout_s * 1000;
    uint64_t drain = o->drain_ms;
    uint64_t seal = (uint64_t)o->app.seal_idle_ns / 1000000;
    enum inv_status status =
        inv_config_integer(f, "workers", 1, 256, &workers, err);
    if (status == INV_OK)
        status = inv_config_integer(f, "io_threads", 1, 64, &io, err);
    if (status == INV_OK)
        status = inv_config_integer(f, "build_threads", 1, 256, &build, err);
    if (status == INV_OK)
        status =
            inv_config_duration(f, "idle_timeout", 1000, 86400000, &idle, err);
    if (status == INV_OK)
        status = inv_config_duration(f, "drain", 0, 600000, &drain, err);
    if (status == INV_OK)
        status = inv_config_duration(f, "seal_after", 10, 86400000, &seal, err);
    o->workers = (int)workers;
    o->io_threads = (int)io;
    o->app.build_threads = (int)build;
    o->idle_timeout_s = (unsigned)(idle / 1000);
    o->drain_ms = (unsigned)drain;
    o->app.seal_idle_ns = (int64_t)seal * 1000000;
    return status;
}

static enum inv_status file_sizes(struct inv_options *o, struct inv_err *err) {
    const struct {
        const char *key;
        size_t min, max;
        size_t *value;
    } sizes[] = {
        {"queue", 1, 100000, &o->queue},
        {"connections", 1, 65536, &o->connections},
        {"bulk_streams", 1, 64, &o->bulk_streams},
        {"max_body", 1024, INV_BODY_MAX, &o->app.max_body},
        {"max_document_tokens", 1, INV_DOC_TOKENS_MAX, &o->app.max_doc_tokens},
        {"max_query_tokens", 1, INV_QUERY_TOKENS_MAX, &o->app.max_query_tokens},
        {"fresh_limit", 16, 10000000, &o->app.fresh_limit},
        {"log_file_bytes", 65536, (size_t)1 << 34, &o->app.roll_bytes},
        {"seal_min", 1, 10000000, &o->app.seal_idle_entries},
    };
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < sizeof sizes / sizeof *sizes;
         i++)
        status = inv_config_size(&o->file, sizes[i].key, sizes[i].min,
                                 sizes[i].max, sizes[i].value, err);
    return status;
}

static enum inv_status read_file(struct inv_options *o, const char *path,
                                 struct inv_err *err) {
    enum inv_status status = inv_config_open(&o->file, path, err);
    if (status == INV_OK)
        status = inv_config_check_keys(&o->file, keys,
                                       sizeof keys / sizeof *keys, err);
    if (status == INV_OK)
        status = file_text(o, err);
    if (status == INV_OK)
        status = file_numbers(o, err);
    if (status == INV_OK)
        status = file_sizes(o, err);
    return status;
}

static void defaults(struct inv_options *o) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = cores < 1 ? 1 : (int)cores;
    *o = (struct inv_options){
        .port = 8088,
        .io_threads = 1,
        .workers = n,
        .queue = INV_QUEUE_DEFAULT,
        .connections = INV_CONNECTIONS_DEFAULT,
        .bulk_streams = INV_BULK_STREAMS_DEFAULT,
        .idle_timeout_s = 60,
        .drain_ms = 10000,
        .log_level = INV_LOG_INFO,
    };
    o->app = (struct inv_app_config){
        .max_body = INV_BODY_DEFAULT,
        .max_doc_tokens = INV_DOC_TOKENS_DEFAULT,
        .max_query_tokens = INV_QUERY_TOKENS_DEFAULT,
        .fresh_limit = INV_FRESH_DEFAULT,
        .roll_bytes = INV_VLOG_ROLL,
        .build_threads = n > 1 ? n - 1 : 1,
        .seal_idle_ns = INT64_C(2000000000),
        .seal_idle_entries = 256,
    };
    memcpy(o->host_text, "127.0.0.1", sizeof "127.0.0.1");
    o->host = o->host_text;
}

static enum inv_status take_flag(struct inv_options *o, const char *flag,
                                 const char *value, struct inv_err *err) {
    if (value == NULL)
        return inv_fail(err, INV_INVALID, "%s needs a value; see --help", flag);
    if (strcmp(flag, "--data") == 0)
        o->app.data_dir = value;
    else if (strcmp(flag, "--models") == 0)
        o->app.models_dir = value;
    else if (strcmp(flag, "--listen") == 0)
        return set_listen(o, value, err);
    else if (strcmp(flag, "--log-level") == 0)
        return set_level(o, value, err);
    else if (strcmp(flag, "--log-format") == 0)
        return set_format(o, value, err);
    else if (strcmp(flag, "--config") != 0)
        return inv_fail(err, INV_INVALID, "unknown option %s; see --help",
                        flag);
    return INV_OK;
}

/* --help, --version, and the file, which the other options override. */
static enum inv_status first_pass(struct inv_options *o, int argc, char **argv,
                                  bool *stop, struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (int i = 1; status == INV_OK && i < argc && !*stop; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            *stop = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            printf("invard " INV_VERSION " (%s kernels)\n", inv_kernels_name());
            *stop = true;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            status = read_file(o, argv[i + 1], err);
        }
    }
    return status;
}

enum inv_status inv_options_read(struct inv_options *o, int argc, char **argv,
                                 bool *stop, struct inv_err *err) {
    defaults(o);
    *stop = false;
    enum inv_status status = first_pass(o, argc, argv, stop, err);
    if (status != INV_OK || *stop)
        return status;
    const char *key = getenv("INVAR_KEY");
    if (o->app.key == NULL && key != NULL && key[0] != '\0')
        o->app.key = key;
    for (int i = 1; status == INV_OK && i < argc; i += 2)
        status = take_flag(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, err);
    if (status == INV_OK && o->app.data_dir == NULL)
        status =
            inv_fail(err, INV_INVALID, "--data DIR is missing; see --help");
    return status;
}

void inv_options_release(struct inv_options *o) {
    inv_config_release(&o->file);
}
