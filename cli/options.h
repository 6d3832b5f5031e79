/*
 * options.h: the words of a command line: typed options with a generated help,
 * and a suggestion for a name nobody knows. Options may stand anywhere; `--`
 * ends them. `--name value`, `--name=value`, and `-c value` for one letter.
 */
#ifndef INV_CLI_OPTIONS_H
#define INV_CLI_OPTIONS_H

#include "cli/cli.h"

enum inv_option_type {
    INV_OPTION_FLAG, /* bool */
    INV_OPTION_TEXT, /* const char * */
    INV_OPTION_UINT, /* uint32_t */
    INV_OPTION_REAL, /* double, not negative */
    INV_OPTION_LIST, /* struct inv_option_list: may be repeated */
};

#define INV_OPTION_LIST_MAX 64

struct inv_option_list {
    const char *items[INV_OPTION_LIST_MAX];
    size_t count;
};

struct inv_option {
    const char *name; /* without dashes; one letter means -x */
    enum inv_option_type type;
    const char *value; /* "N", "FILE": what help shows; NULL for a flag */
    const char *help;
    void *out; /* untouched when the option is not given */
};

/* Sorts the options out of args (which then holds the other words, in order)
 * and checks their number. The options every command has (--url, --key,
 * --timeout, --json, --help) go to *cli. False: the command ends with *exit,
 * everything has been said. */
bool inv_options_parse(struct inv_cli *cli, struct inv_args *args,
                       const struct inv_option *options, size_t count,
                       int min_words, int max_words, int *exit);

/* For `invar` itself: the same for the options every command has, and stops at
 * the first other word. *help: --help was there; *version: --version. */
bool inv_options_parse_global(struct inv_cli *cli, struct inv_args *args,
                              bool *help, bool *version, int *exit);

/* Prints the options every command has. */
void inv_options_print_global(void);

/* The known word that differs least, NULL when none is near. */
const char *inv_nearest(const char *word, const char *const *known,
                        size_t count);

/* "1,2,3" -> numbers, ascending or not; false for anything else or more than
 * max. */
bool inv_parse_uints(const char *text, uint32_t *out, size_t max,
                     size_t *count);
/* A whole decimal number up to max; false for anything else. */
bool inv_parse_uint(const char *text, uint64_t max, uint64_t *out);

#endif
