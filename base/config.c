/*
 * config.c: the parser of `key = value` files and the look-up of unknown keys;
 * the typed getters are in config_values.c. Knows no key by name. Used once,
 * at start-up, before there are threads.
 */
#include "base/config.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 64 };

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static bool is_key(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static enum inv_status line_fails(const struct inv_config *config, size_t line,
                                  struct inv_err *err, const char *what) {
    return inv_fail(err, INV_INVALID, "%s:%zu: %s", config->name, line, what);
}

/* Unquotes in place: p stands behind the opening quote. */
static enum inv_status parse_quoted(struct inv_config *config, char *p,
                                    struct inv_config_entry *entry,
                                    struct inv_err *err) {
    char *to = p;
    entry->value = p;
    while (*p != '"') {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        else if (*p == '\\')
            return line_fails(config, entry->line, err,
                              "a backslash in quotes stands before \" or \\ "
                              "only");
        if (*p == '\0')
            return line_fails(config, entry->line, err,
                              "the quoted value has no closing quote");
        *to++ = *p++;
    }
    p++;
    while (is_blank(*p))
        p++;
    if (*p != '\0' && *p != '#')
        return line_fails(config, entry->line, err,
                          "there is text behind the closing quote");
    *to = '\0';
    return INV_OK;
}

static enum inv_status parse_bare(struct inv_config *config, char *p,
                                  struct inv_config_entry *entry,
                                  struct inv_err *err) {
    entry->value = p;
    char *end = p;
    for (; *p != '\0'; p++) {
        if (*p == '#' && (p == entry->value || is_blank(p[-1])))
            break;
        if (*p == '"')
            return line_fails(config, entry->line, err,
                              "a quote inside a value: quote the whole of it");
        if (!is_blank(*p))
            end = p + 1;
    }
    *end = '\0';
    if (end == entry->value)
        return line_fails(config, entry->line, err,
                          "the key has no value; write \"\" for an empty one");
    return INV_OK;
}

/* One line that is neither blank nor a comment; p is NUL-terminated. */
static enum inv_status parse_pair(struct inv_config *config, char *p,
                                  struct inv_config_entry *entry,
                                  struct inv_err *err) {
    if (*p == '[')
        return line_fails(config, entry->line, err,
                          "sections are not supported; keys stand alone");
    entry->key = p;
    while (is_key(*p))
        p++;
    char *key_end = p;
    while (is_blank(*p))
        p++;
    if (*p != '=' || key_end == entry->key)
        return line_fails(config, entry->line, err, "expected key = value");
    if (key_end - entry->key > KEY_MAX)
        return inv_fail(err, INV_INVALID,
                        "%s:%zu: a key of %zu characters, at most %d are "
                        "allowed",
                        config->name, entry->line,
                        (size_t)(key_end - entry->key), KEY_MAX);
    *key_end = '\0';
    p++;
    while (is_blank(*p))
        p++;
    return *p == '"' ? parse_quoted(config, p + 1, entry, err)
                     : parse_bare(config, p, entry, err);
}

/* A NUL would hide the rest of a line; the others are never meant. */
static enum inv_status check_text(const struct inv_config *config, size_t len,
                                  struct inv_err *err) {
    size_t bad = len;
    bool valid = inv_utf8_valid(config->text, len, &bad);
    size_t line = 1;
    for (size_t i = 0; i < bad; i++) {
        unsigned char c = (unsigned char)config->text[i];
        if (c == '\n')
            line++;
        else if (c == '\r' && config->text[i + 1] == '\n')
            continue;
        else if ((c < ' ' && c != '\t') || c == 0x7f)
            return inv_fail(err, INV_INVALID,
                            "%s:%zu: control character 0x%02x", config->name,
                            line, (unsigned)c);
    }
    if (valid)
        return INV_OK;
    return inv_fail(
        err, INV_INVALID, "%s:%zu: byte 0x%02x is not UTF-8 (offset %zu)",
        config->name, line, (unsigned)(unsigned char)config->text[bad], bad);
}

static enum inv_status add_line(struct inv_config *config, char *p, size_t line,
                                struct inv_err *err) {
    while (is_blank(*p))
        p++;
    if (*p == '\0' || *p == '#')
        return INV_OK;
    struct inv_config_entry entry = {.line = line};
    enum inv_status status = parse_pair(config, p, &entry, err);
    if (status != INV_OK)
        return status;
    const struct inv_config_entry *first = inv_config_find(config, entry.key);
    if (first != NULL)
        return inv_fail(err, INV_INVALID,
                        "%s:%zu: '%s' was given before, on line %zu",
                        config->name, line, entry.key, first->line);
    config->entries[config->count++] = entry;
    return INV_OK;
}

enum inv_status inv_config_parse(struct inv_config *config, const char *name,
                                 const char *text, size_t len,
                                 struct inv_err *err) {
    *config = (struct inv_config){.count = 0};
    if (len > INV_CONFIG_FILE_MAX)
        return inv_fail(err, INV_TOO_LARGE,
                        "%s: %zu bytes exceed the %zu of a configuration", name,
                        len, INV_CONFIG_FILE_MAX);
    size_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    config->name = strdup(name);
    config->text = malloc(len + 1);
    config->entries = calloc(lines, sizeof *config->entries);
    enum inv_status status = INV_OK;
    if (config->name == NULL || config->text == NULL ||
        config->entries == NULL) {
        status = inv_fail(err, INV_MEMORY, "out of memory reading %s", name);
        goto done;
    }
    if (len > 0)
        memcpy(config->text, text, len);
    config->text[len] = '\0';
    status = check_text(config, len, err);
    char *p = config->text;
    for (size_t line = 1; status == INV_OK && line <= lines; line++) {
        char *end = p + strcspn(p, "\n");
        char *next = end + 1;
        if (end > p && end[-1] == '\r')
            end--;
        *end = '\0';
        status = add_line(config, p, line, err);
        p = next;
    }
done:
    if (status != INV_OK)
        inv_config_release(config);
    return status;
}

enum inv_status inv_config_open(struct inv_config *config, const char *path,
                                struct inv_err *err) {
    *config = (struct inv_config){.count = 0};
    struct inv_buf buf = INV_BUF_INIT;
    enum inv_status status =
        inv_buf_read_file(&buf, path, INV_CONFIG_FILE_MAX, err);
    if (status == INV_OK)
        status = inv_config_parse(config, path, buf.len > 0 ? buf.data : "",
                                  buf.len, err);
    inv_buf_release(&buf);
    return status;
}

void inv_config_release(struct inv_config *config) {
    free(config->name);
    free(config->text);
    free(config->entries);
    *config = (struct inv_config){.count = 0};
}

const struct inv_config_entry *inv_config_find(const struct inv_config *config,
                                               const char *key) {
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->entries[i].key, key) == 0)
            return &config->entries[i];
    return NULL;
}

/* Edits (insert, delete, replace) between two words of at most KEY_MAX. */
static size_t distance(const char *a, const char *b) {
    size_t row[KEY_MAX + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            row[j + 1] = best;
        }
    }
    return row[width];
}

/* The known key with the fewest edits, NULL when more than a third of the
 * word would have to change: a far-fetched guess helps nobody. */
static const char *nearest(const char *key, const char *const *known,
                           size_t count) {
    const char *best = NULL;
    size_t limit = strlen(key) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i]) > KEY_MAX)
            continue;
        size_t edits = distance(key, known[i]);
        if (edits <= limit) {
            best = known[i];
            limit = edits > 0 ? edits - 1 : 0;
        }
    }
    return best;
}

static bool is_known(const char *key, const char *const *known, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    return false;
}

enum inv_status inv_config_check_keys(const struct inv_config *config,
                                      const char *const *known, size_t count,
                                      struct inv_err *err) {
    for (size_t i = 0; i < config->count; i++) {
        const struct inv_config_entry *entry = &config->entries[i];
        if (is_known(entry->key, known, count))
            continue;
        const char *guess = nearest(entry->key, known, count);
        return inv_fail(err, INV_INVALID, "%s:%zu: unknown key '%s'%s%s%s",
                        config->name, entry->line, entry->key,
                        guess != NULL ? "; did you mean '" : "",
                        guess != NULL ? guess : "", guess != NULL ? "'?" : "");
    }
    return INV_OK;
}
