/*
 * options.c: see options.h. Knows no command. Main thread.
 */
#include "cli/options.h"

#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64
#define HELP_COLUMN 28 /* where explanations of options begin */

/* ---- suggestions ---- */

/* Edits (insert, delete, replace) between a and b, both up to WORD_MAX. */
static size_t edits_between(const char *a, const char *b) {
    size_t row[WORD_MAX + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t replace = corner + (a[i] != b[j]);
            size_t insert = row[j] + 1;
            size_t drop = row[j + 1] + 1;
            corner = row[j + 1];
            row[j + 1] = replace < insert ? replace : insert;
            if (drop < row[j + 1])
                row[j + 1] = drop;
        }
    }
    return row[width];
}

const char *inv_nearest(const char *word, const char *const *known,
                        size_t count) {
    const char *best = NULL;
    size_t len = strlen(word);
    if (len == 0 || len > WORD_MAX)
        return NULL;
    size_t limit = len / 3 + 1;
    if (limit >= len) /* every letter replaced is no resemblance */
        limit = len - 1;
    size_t fewest = limit + 1;
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i]) > WORD_MAX)
            continue;
        size_t edits = edits_between(word, known[i]);
        if (edits < fewest) {
            fewest = edits;
            best = known[i];
        }
    }
    return best;
}

/* ---- numbers ---- */

static bool read_digits(const char **text, uint64_t max, uint64_t *out) {
    const char *p = *text;
    uint64_t value = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *text = p;
    *out = value;
    return true;
}

bool inv_parse_uint(const char *text, uint64_t max, uint64_t *out) {
    uint64_t value;
    if (!read_digits(&text, max, &value) || *text != '\0')
        return false;
    *out = value;
    return true;
}

bool inv_parse_uints(const char *text, uint32_t *out, size_t max,
                     size_t *count) {
    size_t n = 0;
    for (;;) {
        uint64_t value;
        if (n == max || !read_digits(&text, UINT32_MAX, &value))
            return false;
        out[n++] = (uint32_t)value;
        if (*text == '\0')
            break;
        if (*text++ != ',')
            return false;
    }
    *count = n;
    return true;
}

static bool read_real(const char *text, double *out) {
    char *end;
    if ((*text < '0' || *text > '9') && *text != '.')
        return false;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value < 1e15))
        return false;
    *out = value;
    return true;
}

/* ---- help ---- */

static void print_option(const struct inv_option *option) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s",
             option->name[1] == '\0' ? "-" : "--", option->name,
             option->value == NULL ? "" : " ",
             option->value == NULL ? "" : option->value);
    struct inv_buf help = INV_BUF_INIT;
    inv_text_wrap(&help, option->help, strlen(option->help), HELP_COLUMN, 80);
    const char *text = help.len > 0 && !help.failed ? help.data : "\n";
    if (strlen(left) + 4 > HELP_COLUMN || help.len <= HELP_COLUMN)
        printf("  %s\n%s", left, text);
    else
        printf("  %-*s%s", HELP_COLUMN - 2, left, text + HELP_COLUMN);
    inv_buf_release(&help);
}

static const struct inv_option global_help[] = {
    {"url", INV_OPTION_TEXT, "URL",
     "the daemon (INVAR_URL; " INV_DEFAULT_URL ")", NULL},
    {"key", INV_OPTION_TEXT, "KEY",
     "better in INVAR_KEY: others may see this line", NULL},
    {"timeout", INV_OPTION_UINT, "SECONDS", "for one request (300)", NULL},
    {"json", INV_OPTION_FLAG, NULL, "answers for programs", NULL},
    {"help", INV_OPTION_FLAG, NULL, "this text", NULL},
};
#define GLOBAL_COUNT (sizeof global_help / sizeof *global_help)

void inv_options_print_global(void) {
    for (size_t i = 0; i < GLOBAL_COUNT; i++)
        print_option(&global_help[i]);
}

static void print_help(const struct inv_args *args,
                       const struct inv_option *options, size_t count) {
    printf("%s", args->command->help);
    if (count > 0)
        printf("\nOptions:\n");
    for (size_t i = 0; i < count; i++)
        print_option(&options[i]);
    printf("\nWith every command:\n");
    inv_options_print_global();
}

/* ---- parsing ---- */

struct parser {
    struct inv_cli *cli;
    struct inv_args *args;
    struct inv_option global[GLOBAL_COUNT];
    const struct inv_option *options;
    size_t count;
    bool help;
};

static void parser_init(struct parser *parser, struct inv_cli *cli,
                        struct inv_args *args, const struct inv_option *options,
                        size_t count) {
    void *const outs[GLOBAL_COUNT] = {&cli->url, &cli->key, &cli->timeout_s,
                                      &cli->json, &parser->help};
    *parser = (struct parser){.cli = cli, .args = args};
    parser->options = options;
    parser->count = count;
    for (size_t i = 0; i < GLOBAL_COUNT; i++) {
        parser->global[i] = global_help[i];
        parser->global[i].out = outs[i];
    }
}

static const struct inv_option *find(const struct parser *parser,
                                     const char *name, size_t len) {
    for (size_t i = 0; i < parser->count + GLOBAL_COUNT; i++) {
        const struct inv_option *option =
            i < parser->count ? &parser->options[i]
                              : &parser->global[i - parser->count];
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

static int unknown(const struct parser *parser, const char *word) {
    const char *names[64];
    size_t count = 0;
    size_t len = strcspn(word, "=");
    char bare[WORD_MAX + 1];
    for (size_t i = 0; i < parser->count && count < 48; i++)
        names[count++] = parser->options[i].name;
    for (size_t i = 0; i < GLOBAL_COUNT; i++)
        names[count++] = parser->global[i].name;
    snprintf(bare, sizeof bare, "%.*s", (int)len, word);
    const char *start = bare + strspn(bare, "-");
    const char *guess = inv_nearest(start, names, count);
    if (guess == NULL)
        return inv_cli_usage(parser->args, "unknown option \"%s\"", bare);
    return inv_cli_usage(parser->args,
                         "unknown option \"%s\"; did you mean \"%s%s\"?", bare,
                         guess[1] == '\0' ? "-" : "--", guess);
}

/* Stores a value; false when it is none of the option's type. */
static bool store(const struct inv_option *option, const char *value) {
    uint64_t number;
    struct inv_option_list *list = option->out;
    if (option->type == INV_OPTION_FLAG) {
        *(bool *)option->out = true;
        return true;
    }
    if (value == NULL)
        return false;
    switch (option->type) {
    case INV_OPTION_FLAG:
        break;
    case INV_OPTION_TEXT:
        *(const char **)option->out = value;
        return true;
    case INV_OPTION_UINT:
        if (!inv_parse_uint(value, UINT32_MAX, &number))
            return false;
        *(uint32_t *)option->out = (uint32_t)number;
        return true;
    case INV_OPTION_REAL:
        return read_real(value, option->out);
    case INV_OPTION_LIST:
        if (list->count == INV_OPTION_LIST_MAX)
            return false;
        list->items[list->count++] = value;
        return true;
    }
    return false;
}

static const char *wanted(enum inv_option_type type) {
    return type == INV_OPTION_UINT   ? "a whole number"
           : type == INV_OPTION_REAL ? "a number"
                                     : "fewer values";
}

/* Takes the option at argv[*at] and its value; *at moves to the next word. */
static int take(struct parser *parser, int *at) {
    struct inv_args *args = parser->args;
    const char *word = args->argv[*at];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    const struct inv_option *option = find(parser, name, len);
    bool letter = option != NULL && option->name[1] == '\0';
    if (option == NULL || letter != (word[1] != '-'))
        return unknown(parser, word);
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    ++*at;
    if (option->type == INV_OPTION_FLAG && value != NULL)
        return inv_cli_usage(args, "\"%.*s\" takes no value, got \"%s\"",
                             (int)(name + len - word), word, value);
    if (option->type != INV_OPTION_FLAG && value == NULL) {
        if (*at == args->argc)
            return inv_cli_usage(args, "\"%s\" needs a value: %s", word,
                                 option->value);
        value = args->argv[(*at)++];
    }
    if (!store(option, value))
        return inv_cli_usage(args, "\"%.*s\" needs %s, got \"%s\"",
                             (int)(name + len - word), word,
                             wanted(option->type), value);
    return 0;
}

static bool is_option(const char *word) {
    return word[0] == '-' && word[1] != '\0';
}

bool inv_options_parse(struct inv_cli *cli, struct inv_args *args,
                       const struct inv_option *options, size_t count,
                       int min_words, int max_words, int *exit) {
    struct parser parser;
    parser_init(&parser, cli, args, options, count);
    int words = 0;
    *exit = 0;
    for (int i = 0; i < args->argc && *exit == 0;) {
        if (strcmp(args->argv[i], "--") == 0) {
            while (++i < args->argc)
                args->argv[words++] = args->argv[i];
        } else if (is_option(args->argv[i])) {
            *exit = take(&parser, &i);
        } else {
            args->argv[words++] = args->argv[i++];
        }
    }
    if (*exit != 0)
        return false;
    args->argc = words;
    if (parser.help) {
        print_help(args, options, count);
        return false;
    }
    if (words < min_words)
        *exit = inv_cli_usage(args, "%d more %s needed", min_words - words,
                              min_words - words == 1 ? "word is" : "words are");
    else if (max_words >= 0 && words > max_words)
        *exit = inv_cli_usage(args, "\"%s\" is one word too many",
                              args->argv[max_words]);
    return *exit == 0;
}

bool inv_options_parse_global(struct inv_cli *cli, struct inv_args *args,
                              bool *help, bool *version, int *exit) {
    struct parser parser;
    struct inv_option mine[] = {
        {"version", INV_OPTION_FLAG, NULL, "", version},
    };
    parser_init(&parser, cli, args, mine, 1);
    int at = 0;
    *exit = 0;
    while (at < args->argc && is_option(args->argv[at]) && *exit == 0) {
        if (strcmp(args->argv[at], "-h") == 0) {
            parser.help = true;
            at++;
        } else {
            *exit = take(&parser, &at);
        }
    }
    if (*exit == 0) {
        args->argv += at;
        args->argc -= at;
    }
    *help = parser.help;
    return *exit == 0;
}
