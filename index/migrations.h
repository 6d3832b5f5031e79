/*
 * migrations.h: the catalog's schema steps, generated from migrations/ at
 * build time. The last row has number 0.
 */
#ifndef INV_INDEX_MIGRATIONS_H
#define INV_INDEX_MIGRATIONS_H

#include <stddef.h>

struct inv_migration {
    int number;
    const char *name;
    const char *sql;
};

extern const struct inv_migration inv_migrations[];

#endif
