/*
 * migrate.h: bringing a database file to the newest schema.
 */
#ifndef FERRY_STORE_MIGRATE_H
#define FERRY_STORE_MIGRATE_H

#include "store/db.h"

/* The history of a schema: `schema` makes version `newest` in an empty file (with its application_id and
 * user_version); steps[i] goes from version i + 1 to i + 2. Each step is SQL without its own transaction. */
struct migrations {
    int64_t application_id;
    int newest;
    const char *schema;
    const char *const *steps; /* newest - 1 of them */
};

/* Of ferryd: schema.sql and the steps that led there. */
extern const struct migrations MIGRATIONS;

/* Before the writer runs. A file of another application, or newer than `m`, is FERR_STORE_VERSION and
 * untouched. An older one is first copied to "PATH.vN.bak", then brought to `newest` in one transaction. */
int migrate(struct db *db, const char *path, const struct migrations *m, struct err *e);

#endif
