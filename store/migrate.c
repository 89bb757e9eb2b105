/*
 * migrate.c: versions of the database file.
 *
 * Main thread, before the writer runs. Either the whole way to the newest version is committed, or the file
 * is as it was; the copy made before is for the case that a newer ferryd turns out to be unwanted.
 */
#include "store/migrate.h"

#include "daemon/log.h"
#include "schema_sql.h" /* made from schema.sql by tools/embed.sh */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* A CHECK list can only change with its table, and a trigger that names the table has to go before it. The
 * words of version `to` are listed in the order of the columns. */
#define JOBS_WITH(to, kinds, engines, styles)                                                              \
    "DROP TRIGGER events_leave_with_their_job;\n"                                                          \
    "CREATE TABLE jobs_" to " (\n"                                                                         \
    "    id          TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 30 AND id GLOB 'job_*'),\n"          \
    "    -- what was asked; never changes\n"                                                               \
    "    name        TEXT,\n"                                                                              \
    "    entry       TEXT,\n"                                                                              \
    "    kind        TEXT    NOT NULL CHECK (kind IN (" kinds ")),\n"                                      \
    "    engine      TEXT    NOT NULL CHECK (engine IN (" engines ")),\n"                                  \
    "    style       TEXT    NOT NULL CHECK (style IN (" styles ")),\n"                                    \
    "    priority    INTEGER NOT NULL,\n"                                                                  \
    "    labels      TEXT    CHECK (labels GLOB '{*}'),\n"                                                 \
    "    request_sha TEXT    NOT NULL CHECK (length(request_sha) = 64),\n"                                 \
    "    -- what the events made of it\n"                                                                  \
    "    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'cancelling', "     \
    "'succeeded', 'failed', 'cancelled')),\n"                                                              \
    "    attempt     INTEGER NOT NULL CHECK (attempt >= 0),\n"                                             \
    "    step        TEXT    CHECK (step IN ('intake', 'inspect', 'capture', 'draft', 'check', 'debug', "  \
    "'accept', 'deliver')),\n"                                                                             \
    "    steps_done  INTEGER NOT NULL CHECK (steps_done >= 0),\n"                                          \
    "    steps_total INTEGER NOT NULL CHECK (steps_total >= steps_done),\n"                                \
    "    version     INTEGER NOT NULL CHECK (version >= 1),\n"                                             \
    "    created_us  INTEGER NOT NULL,\n"                                                                  \
    "    updated_us  INTEGER NOT NULL,\n"                                                                  \
    "    started_us  INTEGER,\n"                                                                           \
    "    finished_us INTEGER,\n"                                                                           \
    "    result      TEXT    CHECK (result GLOB '{*}'),\n"                                                 \
    "    usage       TEXT    CHECK (usage GLOB '{*}'),\n"                                                  \
    "    -- who has it: set while a worker of the daemon start `lease_boot` works on it; the token grows " \
    "with each claim\n"                                                                                    \
    "    lease_boot  TEXT    CHECK (length(lease_boot) = 32),\n"                                           \
    "    lease_token INTEGER NOT NULL DEFAULT 0\n"                                                         \
    ") STRICT;\n"                                                                                          \
    "INSERT INTO jobs_" to " SELECT * FROM jobs;\n"                                                        \
    "DROP TABLE jobs;\n"                                                                                   \
    "ALTER TABLE jobs_" to " RENAME TO jobs;\n"                                                            \
    "CREATE INDEX jobs_by_state ON jobs (state, id);\n"                                                    \
    "CREATE INDEX jobs_by_request ON jobs (request_sha);\n"                                                \
    "CREATE INDEX jobs_claimable ON jobs (priority DESC, id) WHERE state = 'queued';\n"                    \
    "CREATE INDEX jobs_leased ON jobs (lease_boot) WHERE lease_boot IS NOT NULL;\n"                        \
    "CREATE TRIGGER events_leave_with_their_job BEFORE DELETE ON events\n"                                 \
    "WHEN EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)\n"                                             \
    "BEGIN\n"                                                                                              \
    "    SELECT RAISE (ABORT, 'events are append-only');\n"                                                \
    "END;\n"

/* The kind verify and the engine given. */
static const char V1_TO_2[] =
    JOBS_WITH("2", "'migrate', 'verify'", "'auto', 'builtin', 'given'", "'faithful'");
/* The style idiomatic. */
static const char V2_TO_3[] =
    JOBS_WITH("3", "'migrate', 'verify'", "'auto', 'builtin', 'given'", "'faithful', 'idiomatic'");

static const char *const STEPS[] = {V1_TO_2, V2_TO_3};

/* When schema.sql changes: raise its user_version and `newest`, and add the step from the version before. */
const struct migrations MIGRATIONS = {
    .application_id = 0x66726479, /* "frdy" */
    .newest = 3,
    .schema = (const char *)schema_sql,
    .steps = STEPS,
};

struct file_state {
    int64_t application_id, version, tables;
};

static int read_state(struct db *db, struct file_state *f, struct err *e)
{
    int rc = db_int(db, "PRAGMA application_id", &f->application_id, e);
    if (rc == 0)
        rc = db_int(db, "PRAGMA user_version", &f->version, e);
    if (rc == 0)
        rc = db_int(db, "SELECT count(*) FROM sqlite_schema", &f->tables, e);
    return rc;
}

static int sync_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    int errnum = fsync(fd) < 0 ? errno : 0;
    (void)close(fd);
    return errnum ? err_errno(e, errnum, "syncing %s", path) : 0;
}

static int back_up(struct db *db, const char *path, int64_t version, struct err *e)
{
    char copy[PATH_MAX];
    int n = snprintf(copy, sizeof copy, "%s.v%" PRId64 ".bak", path, version);
    if (n < 0 || (size_t)n >= sizeof copy)
        return err_set(e, FERR_IO, "%s: the name is too long", path);
    if (unlink(copy) < 0 && errno != ENOENT) /* of an earlier try that did not get far */
        return err_errno(e, errno, "%s", copy);
    struct query q;
    query_begin(&q, db, "VACUUM INTO ?");
    query_text(&q, copy);
    int rc = query_run(&q, e);
    return rc < 0 ? rc : sync_file(copy, e);
}

static int run_steps(struct db *db, int64_t from, const struct migrations *m, struct err *e)
{
    int rc = from == 0 ? db_exec(db, m->schema, e) : 0;
    for (int64_t v = from; v > 0 && v < m->newest && rc == 0; v++) {
        char mark[64];
        (void)snprintf(mark, sizeof mark, "PRAGMA user_version = %" PRId64, v + 1);
        rc = db_exec(db, m->steps[v - 1], e);
        if (rc == 0)
            rc = db_exec(db, mark, e);
    }
    return rc;
}

/* Rebuilt tables may leave rows without their parents: that must show before the commit. */
static int check_references(struct db *db, struct err *e)
{
    int64_t broken = 0;
    int rc = db_int(db, "SELECT count(*) FROM pragma_foreign_key_check", &broken, e);
    if (rc == 0 && broken > 0)
        rc = err_set(e, FERR_STORE, "the migration left %" PRId64 " rows without what they refer to", broken);
    return rc;
}

static int upgrade(struct db *db, int64_t from, const struct migrations *m, struct err *e)
{
    /* Off while tables are rebuilt; has no effect inside a transaction. */
    int rc = db_exec(db, "PRAGMA foreign_keys = OFF", e);
    if (rc == 0)
        rc = db_exec(db, "BEGIN IMMEDIATE", e);
    if (rc == 0)
        rc = run_steps(db, from, m, e);
    if (rc == 0)
        rc = check_references(db, e);
    if (rc == 0)
        rc = db_exec(db, "COMMIT", e);
    if (rc < 0 && db_in_transaction(db))
        (void)db_exec(db, "ROLLBACK", NULL);
    int restored = db_exec(db, "PRAGMA foreign_keys = ON", rc == 0 ? e : NULL);
    return rc < 0 ? rc : restored;
}

static int refuse(const char *path, const char *why, struct err *e)
{
    return err_set(e, FERR_STORE_VERSION, "%s %s", path, why);
}

int migrate(struct db *db, const char *path, const struct migrations *m, struct err *e)
{
    struct file_state f = {0};
    char from[24], to[24];
    int rc = read_state(db, &f, e);
    if (rc < 0)
        return rc;
    if (f.tables == 0 && f.application_id == 0 && f.version == 0)
        return upgrade(db, 0, m, e);
    if (f.application_id != m->application_id || f.version < 1)
        return refuse(path, "is not a database of ferryd", e);
    if (f.version > m->newest)
        return refuse(path, "was written by a newer ferryd", e);
    if (f.version == m->newest)
        return 0;
    (void)snprintf(from, sizeof from, "%" PRId64, f.version);
    (void)snprintf(to, sizeof to, "%d", m->newest);
    rc = back_up(db, path, f.version, e);
    if (rc == 0)
        rc = upgrade(db, f.version, m, e);
    if (rc == 0)
        log_info("store", "migrated the database", "path", path, "from", from, "to", to);
    return rc;
}
