/*
 * show.c: see show.h. Control characters of texts never reach the terminal.
 */
#include "cli/show.h"

#include "cli/answers.h"
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

#define SHORT_LIST 16
#define TEXT_MAX 2000
#define CELL_MAX 60

static bool is_bytes(const char *key) {
    size_t len = strlen(key);
    return strcmp(key, "bytes") == 0 ||
           (len > 6 && strcmp(key + len - 6, "_bytes") == 0);
}

static void put_value(const char *key, const inv_json *value, size_t max,
                      struct inv_buf *out) {
    char number[INV_NUMBER_MAX];
    size_t len;
    const char *text;
    struct inv_buf json = INV_BUF_INIT;
    switch (inv_json_kind(value)) {
    case INV_JSON_STRING:
        text = inv_json_string(value, &len);
        inv_text_clean(out, text, len, max);
        return;
    case INV_JSON_INT:
        if (is_bytes(key) && inv_json_int(value) >= 0)
            inv_buf_puts(out,
                         inv_text_bytes(number, (uint64_t)inv_json_int(value)));
        else
            inv_buf_printf(out, "%" PRId64, inv_json_int(value));
        return;
    default:
        inv_json_write(value, &json);
        if (!json.failed)
            inv_text_clean(out, json.data, json.len, max);
        inv_buf_release(&json);
    }
}

static bool is_plain(const inv_json *value) {
    enum inv_json_kind kind = inv_json_kind(value);
    return kind != INV_JSON_ARRAY && kind != INV_JSON_OBJECT;
}

/* Numbers of a vector help nobody: their count does. */
static void put_array(const inv_json *array, size_t indent,
                      struct inv_buf *out) {
    size_t count = inv_json_size(array);
    bool plain = true;
    for (size_t i = 0; i < count && plain; i++)
        plain = is_plain(inv_json_at(array, i));
    if (count == 0) {
        inv_buf_puts(out, "none\n");
    } else if (plain && count <= SHORT_LIST) {
        for (size_t i = 0; i < count; i++) {
            inv_buf_puts(out, i == 0 ? "" : ", ");
            put_value("", inv_json_at(array, i), TEXT_MAX, out);
        }
        inv_buf_putc(out, '\n');
    } else if (plain) {
        inv_buf_printf(out, "%zu numbers\n", count);
    } else if (inv_json_kind(inv_json_at(array, 0)) == INV_JSON_ARRAY) {
        inv_buf_printf(out, "%zu x %zu numbers\n", count,
                       inv_json_size(inv_json_at(array, 0)));
    } else {
        inv_buf_printf(out, "%zu\n", count);
        for (size_t i = 0; i < count; i++) {
            inv_buf_printf(out, "%*s- ", (int)indent, "");
            put_value("", inv_json_at(array, i), TEXT_MAX, out);
            inv_buf_putc(out, '\n');
        }
    }
}

static size_t widest_key(const inv_json *object) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    size_t widest = 0;
    while (inv_json_next(object, &iter, &key, &value)) {
        size_t width = inv_text_width(key, strlen(key));
        if (width > widest && width <= 24)
            widest = width;
    }
    return widest;
}

void inv_show_object(const inv_json *object, size_t indent,
                     struct inv_buf *out) {
    void *iter = NULL;
    const char *key;
    inv_json *value;
    if (object == NULL || inv_json_kind(object) != INV_JSON_OBJECT)
        return;
    size_t widest = widest_key(object);
    while (inv_json_next(object, &iter, &key, &value)) {
        size_t len = strlen(key);
        size_t width = inv_text_width(key, len);
        bool nested =
            inv_json_kind(value) == INV_JSON_OBJECT && inv_json_size(value) > 0;
        inv_buf_printf(out, "%*s", (int)indent, "");
        inv_text_clean(out, key, len, TEXT_MAX);
        if (!nested)
            inv_buf_printf(out, "%*s  ",
                           width < widest ? (int)(widest - width) : 0, "");
        if (nested) {
            inv_buf_putc(out, '\n');
            inv_show_object(value, indent + 2, out);
        } else if (inv_json_kind(value) == INV_JSON_OBJECT) {
            inv_buf_puts(out, "none\n");
        } else if (inv_json_kind(value) == INV_JSON_ARRAY) {
            put_array(value, indent + 2, out);
        } else {
            put_value(key, value, TEXT_MAX, out);
            inv_buf_putc(out, '\n');
        }
    }
}

void inv_show_list(const inv_json *list, size_t count,
                   const char *const *columns, size_t column_count,
                   struct inv_buf *out) {
    struct inv_table table;
    struct inv_buf cells[INV_TABLE_COLUMNS] = {INV_BUF_INIT};
    const char *row[INV_TABLE_COLUMNS];
    inv_table_init(&table, column_count);
    inv_table_row(&table, columns);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < column_count; j++) {
            const char *key = columns[j] + (columns[j][0] == '>');
            const inv_json *value = inv_field_of(inv_json_at(list, i), key);
            inv_buf_reset(&cells[j]);
            if (value != NULL)
                put_value(key, value, CELL_MAX, &cells[j]);
            out->failed = out->failed || cells[j].failed;
            row[j] = cells[j].data;
        }
        inv_table_row(&table, row);
    }
    inv_table_write(&table, out);
    inv_table_release(&table);
    for (size_t j = 0; j < column_count; j++)
        inv_buf_release(&cells[j]);
}

/* Vectors and index together. */
static uint64_t bytes_of(const inv_json *collection) {
    const inv_json *bytes = inv_field_of(collection, "bytes");
    return inv_uint_of(bytes, "vectors") + inv_uint_of(bytes, "index");
}

void inv_show_collections(const inv_json *answer, struct inv_buf *out) {
    static const char *const heading[] = {"name",  "kind",  ">dim",
                                          "model", "index", ">documents",
                                          ">size", "state"};
    const inv_json *list;
    size_t count = inv_list_of(answer, "collections", &list);
    struct inv_table table;
    if (count == 0) {
        inv_buf_puts(out, "no collections yet: see `invar collections create "
                          "--help`\n");
        return;
    }
    inv_table_init(&table, sizeof heading / sizeof *heading);
    inv_table_row(&table, heading);
    for (size_t i = 0; i < count; i++) {
        const inv_json *c = inv_json_at(list, i);
        const inv_json *settings = inv_field_of(c, "settings");
        const inv_json *model = inv_field_of(settings, "model");
        char dim[INV_NUMBER_MAX], documents[INV_NUMBER_MAX];
        char size[INV_NUMBER_MAX], name[160];
        snprintf(name, sizeof name, "%s@%s", inv_text_of(model, "name"),
                 inv_text_of(model, "revision"));
        const char *const row[] = {
            inv_text_of(c, "name"),
            inv_text_of(settings, "kind"),
            inv_text_count(dim, inv_uint_of(settings, "dim")),
            name,
            inv_text_of(inv_field_of(settings, "index"), "type"),
            inv_text_count(documents, inv_uint_of(c, "documents")),
            inv_text_bytes(size, bytes_of(c)),
            inv_text_of(c, "state"),
        };
        inv_table_row(&table, row);
    }
    inv_table_write(&table, out);
    inv_table_release(&table);
}

static void put_line(struct inv_buf *out, const char *key, const char *value) {
    inv_buf_printf(out, "%-11s  ", key);
    inv_text_clean(out, value, strlen(value), TEXT_MAX);
    inv_buf_putc(out, '\n');
}

void inv_show_collection(const inv_json *c, struct inv_buf *out) {
    static const char *const columns[] = {
        ">segment", "index",          ">entries", ">live",
        ">bytes",   ">encoder_state", "fresh"};
    const inv_json *bytes = inv_field_of(c, "bytes");
    const inv_json *list;
    char number[INV_NUMBER_MAX];
    put_line(out, "name", inv_text_of(c, "name"));
    put_line(out, "state", inv_text_of(c, "state"));
    if (inv_field_of(c, "reason") != NULL)
        put_line(out, "reason", inv_text_of(c, "reason"));
    put_line(out, "documents",
             inv_text_count(number, inv_uint_of(c, "documents")));
    put_line(out, "vectors",
             inv_text_bytes(number, inv_uint_of(bytes, "vectors")));
    put_line(out, "index", inv_text_bytes(number, inv_uint_of(bytes, "index")));
    put_line(out, "dead", inv_text_bytes(number, inv_uint_of(c, "dead_bytes")));
    put_line(out, "index dim",
             inv_text_count(number, inv_uint_of(c, "ann_dim")));
    inv_buf_puts(out, "settings\n");
    inv_show_object(inv_field_of(c, "settings"), 2, out);
    size_t count = inv_list_of(c, "segments", &list);
    if (count == 0)
        return;
    inv_buf_putc(out, '\n');
    inv_show_list(list, count, columns, sizeof columns / sizeof *columns, out);
}
