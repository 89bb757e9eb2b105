/*
 * db.c: connections, cached statements and the mapping of SQLite's errors.
 *
 * A connection belongs to one thread at a time (they are opened without SQLite's own mutexes).
 * Fatal: using a statement wrongly (SQLITE_MISUSE), and more statements than the cache holds.
 */
#include "store/db.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BUSY_TIMEOUT_MS 5000

static const char WRITER_PRAGMAS[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA synchronous = FULL;"
                                     "PRAGMA foreign_keys = ON;"
                                     "PRAGMA journal_size_limit = 67108864;";
static const char READER_PRAGMAS[] = "PRAGMA query_only = ON;";

int db_fail(const struct db *db, const char *doing, struct err *e)
{
    int rc = sqlite3_extended_errcode(db->handle);
    enum ferr code = FERR_STORE;
    if ((rc & 0xff) == SQLITE_NOMEM)
        code = FERR_NO_MEMORY;
    else if (rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE)
        code = FERR_CONFLICT;
    assert((rc & 0xff) != SQLITE_MISUSE);
    return err_set(e, code, "%s (%.100s)", sqlite3_errmsg(db->handle), doing);
}

static int harden(struct db *db, const char *pragmas, struct err *e)
{
    sqlite3 *h = db->handle;
    (void)sqlite3_extended_result_codes(h, 1);
    if (sqlite3_busy_timeout(h, BUSY_TIMEOUT_MS) != SQLITE_OK ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL) != SQLITE_OK)
        return db_fail(db, "configuring the database", e);
    return db_exec(db, pragmas, e);
}

static int open_with(struct db *db, const char *path, int flags, const char *pragmas, struct err *e)
{
    memset(db, 0, sizeof *db);
    int rc = 0;
    if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rc = db->handle ? db_fail(db, path, e) : err_set(e, FERR_NO_MEMORY, "%s: out of memory", path);
    if (rc == 0)
        rc = harden(db, pragmas, e);
    if (rc < 0)
        db_close(db);
    return rc;
}

int db_open_writer(struct db *db, const char *path, struct err *e)
{
    return open_with(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, WRITER_PRAGMAS, e);
}

int db_open_reader(struct db *db, const char *path, struct err *e)
{
    return open_with(db, path, SQLITE_OPEN_READONLY, READER_PRAGMAS, e);
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < db->n_cached; i++)
        (void)sqlite3_finalize(db->cache[i].stmt);
    db->n_cached = 0;
    int rc = sqlite3_close(db->handle);
    assert(rc == SQLITE_OK); /* every statement was in the cache */
    db->handle = NULL;
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(db, sql, e);
    return 0;
}

int db_int(struct db *db, const char *sql, int64_t *out, struct err *e)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        rc = db_fail(db, sql, e);
    else
        *out = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc;
}

bool db_in_transaction(const struct db *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

static sqlite3_stmt *stmt_of(struct db *db, const char *sql, int *rc)
{
    for (size_t i = 0; i < db->n_cached; i++)
        if (db->cache[i].sql == sql)
            return db->cache[i].stmt;
    assert(db->n_cached < DB_STMTS_MAX);
    sqlite3_stmt *stmt = NULL;
    *rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (*rc != SQLITE_OK)
        return NULL;
    db->cache[db->n_cached].sql = sql;
    db->cache[db->n_cached++].stmt = stmt;
    return stmt;
}

void query_begin(struct query *q, struct db *db, const char *sql)
{
    *q = (struct query){.db = db, .sql = sql, .rc = SQLITE_OK};
    q->stmt = stmt_of(db, sql, &q->rc);
    assert(!q->stmt || !sqlite3_stmt_busy(q->stmt)); /* a statement runs once at a time */
}

static void bound(struct query *q, int rc)
{
    assert((rc & 0xff) != SQLITE_RANGE);
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void query_text(struct query *q, const char *s)
{
    if (q->stmt)
        bound(q, sqlite3_bind_text(q->stmt, ++q->bound, s, -1, SQLITE_STATIC));
}

void query_int(struct query *q, int64_t v)
{
    if (q->stmt)
        bound(q, sqlite3_bind_int64(q->stmt, ++q->bound, v));
}

void query_int_or_null(struct query *q, int64_t v, bool null)
{
    if (!null)
        query_int(q, v);
    else if (q->stmt)
        bound(q, sqlite3_bind_null(q->stmt, ++q->bound));
}

void query_double(struct query *q, double v)
{
    if (q->stmt)
        bound(q, sqlite3_bind_double(q->stmt, ++q->bound, v));
}

bool query_row(struct query *q)
{
    if (q->rc != SQLITE_OK && q->rc != SQLITE_ROW)
        return false;
    assert(q->bound == sqlite3_bind_parameter_count(q->stmt));
    q->rc = sqlite3_step(q->stmt);
    return q->rc == SQLITE_ROW;
}

int query_end(struct query *q, struct err *e)
{
    bool failed = q->rc != SQLITE_OK && q->rc != SQLITE_ROW && q->rc != SQLITE_DONE;
    int rc = failed ? db_fail(q->db, q->sql, e) : 0;
    if (q->stmt) {
        (void)sqlite3_reset(q->stmt); /* repeats the failure of the last step */
        (void)sqlite3_clear_bindings(q->stmt);
    }
    return rc;
}

int query_run(struct query *q, struct err *e)
{
    while (query_row(q))
        continue;
    return query_end(q, e);
}

int64_t query_col_int(const struct query *q, int i)
{
    return sqlite3_column_int64(q->stmt, i);
}

double query_col_double(const struct query *q, int i)
{
    return sqlite3_column_double(q->stmt, i);
}

const char *query_col_text(const struct query *q, int i)
{
    return (const char *)sqlite3_column_text(q->stmt, i);
}

void query_col_copy(const struct query *q, int i, char *out, size_t size)
{
    const char *s = query_col_text(q, i);
    (void)snprintf(out, size, "%s", s ? s : "");
}
