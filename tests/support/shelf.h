/*
 * shelf.h: a gallery with catalog, writer and a directory of its own, for the
 * tests of index/: vectors of four numbers that are their own code, one
 * indexed payload field. Beside it a plain array says what must be in it.
 */
#ifndef TESTS_SUPPORT_SHELF_H
#define TESTS_SUPPORT_SHELF_H

#include "index/build.h"

#define SHELF_DIM 4
#define SHELF_IDS 4096

struct shelf {
    char root[64], dir[128];
    struct inv_catalog *catalog;
    struct inv_writer *writer;
    struct inv_gallery *gallery;
    struct inv_encoding *encoding;
    struct inv_encoding *other; /* NULL, or the one for what comes next */
    struct inv_schema *schema;
    int64_t collection, space;
    size_t roll_bytes, fresh_limit;
    /* what must be there: 0 is nothing; payload -1: none */
    struct {
        int vector, payload;
    } want[SHELF_IDS];
};

/* Makes the directory; fails the test when it cannot. */
void shelf_new(struct shelf *shelf, size_t roll_bytes, size_t fresh_limit);
void shelf_open(struct shelf *shelf);
enum inv_status shelf_try_open(struct shelf *shelf, struct inv_err *err);
void shelf_close(struct shelf *shelf); /* files stay */
void shelf_reopen(struct shelf *shelf);
void shelf_free(struct shelf *shelf); /* closes, removes the directory */

/* The encoding with another hash: what is made with it is told apart. */
struct inv_encoding *shelf_encoding(uint32_t state);

/* The vector that `number` stands for: no two are near each other. */
void shelf_vector(int number, float out[SHELF_DIM]);

/* Changes, through the writer, and in `want` when they succeed. */
enum inv_status shelf_put(struct shelf *shelf, int id, int vector, int payload);
enum inv_status shelf_put_mode(struct shelf *shelf, enum inv_put_mode mode,
                               const int *ids, size_t count, int vector,
                               struct inv_err *err);
enum inv_status shelf_remove(struct shelf *shelf, int id, bool *found);
enum inv_status shelf_patch(struct shelf *shelf, int id, int payload);
enum inv_status shelf_fields(struct shelf *shelf, struct inv_schema *schema);
enum inv_status shelf_build(struct shelf *shelf, bool everything,
                            struct inv_build *build);
enum inv_status shelf_compact(struct shelf *shelf, struct inv_compaction *out);

/* Everything that must be in the view is: in an entry, in the log, in the
 * catalog, found by its own vector and by its payload; and nothing else is. */
void shelf_check(struct shelf *shelf);
/* Only what a view holds: the vector number of an id, 0 for none. */
int shelf_in_view(const struct inv_view *view, int id);
size_t shelf_parts(const struct inv_view *view, bool sealed);

#endif
