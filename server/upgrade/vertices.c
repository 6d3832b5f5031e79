/*
 * vertices.c: see vertices.h.
 */
#include "server/upgrade/vertices.h"

#include <string.h>

struct reading {
    struct inv_intern *table;
    struct inv_arena *arena;
};

static enum inv_status take(void *ctx, uint32_t vertex, const char *label,
                            struct inv_err *err) {
    struct reading *reading = ctx;
    size_t len = strlen(label);
    uint32_t number = 0;
    const char *text = inv_arena_strndup(reading->arena, label, len);
    if (text == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory for %u classes",
                        vertex + 1);
    enum inv_status status =
        inv_intern_add(reading->table, text, len, &number, err);
    if (status == INV_OK && number != vertex)
        status = inv_fail(err, INV_CORRUPT,
                          "the catalog gives class \"%.64s\" vertex %u, it is "
                          "number %u",
                          label, vertex, number);
    return status;
}

enum inv_status inv_vertices_read(struct inv_db *db, int64_t collection,
                                  struct inv_arena *arena,
                                  struct inv_intern *table,
                                  struct inv_err *err) {
    struct reading reading = {table, arena};
    *table = (struct inv_intern){.count = 0};
    return inv_db_vertices(db, collection, take, &reading, err);
}

/* The labels of the queries behind those that are known. */
static enum inv_status extend(struct inv_intern *table,
                              const struct inv_query_row *queries, size_t count,
                              size_t classes, struct inv_err *err) {
    enum inv_status status = INV_OK;
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        const char *label = queries[i].label;
        uint32_t number = 0;
        if (label == NULL)
            continue;
        status = inv_intern_add(table, label, strlen(label), &number, err);
        if (status == INV_OK && table->count > classes)
            status = inv_fail(err, INV_CONFLICT,
                              "\"%.64s\" would be class %zu, the simplex has "
                              "%zu vertices: a class keeps its vertex for "
                              "ever, more of them need a collection with a "
                              "larger \"classes\"",
                              label, table->count, classes);
    }
    return status;
}

enum inv_status inv_vertices_add(struct inv_collection *collection,
                                 struct inv_db *db, size_t classes,
                                 const struct inv_query_row *queries,
                                 size_t count, struct inv_err *err) {
    struct inv_intern table = {.count = 0};
    struct inv_arena arena;
    inv_arena_init(&arena, INV_REQUEST_ARENA_MAX);
    enum inv_status status =
        inv_vertices_read(db, collection->id, &arena, &table, err);
    size_t known = table.count;
    if (status == INV_OK)
        status = extend(&table, queries, count, classes, err);
    for (size_t i = known; status == INV_OK && i < table.count; i++) {
        /* labels of queries end in NUL, as the table's texts do */
        status = inv_db_add_vertex(db, collection->id, (uint32_t)i,
                                   table.texts[i].text, err);
        if (status != INV_OK)
            status = inv_gallery_undo(collection->gallery, status);
    }
    inv_intern_release(&table);
    inv_arena_release(&arena);
    return status;
}
