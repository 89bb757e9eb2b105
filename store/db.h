/*
 * db.h: a thin layer over SQLite for the files of store/, so that they read as SQL and little else.
 *
 * A `struct db` is one connection, used by one thread at a time. Statements are prepared at their
 * first use and kept until db_close(); they are found again by the address of their text, so SQL
 * is written as named static constants.
 */
#ifndef FERRY_STORE_DB_H
#define FERRY_STORE_DB_H

#include "daemon/err.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_STMTS_MAX 64

struct db {
    sqlite3 *handle; /* owned */
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } cache[DB_STMTS_MAX];
    size_t n_cached;
};

/* Opens with the pragmas and limits that every connection of ferryd has. A failed open leaves `*db` closed.
 */
int db_open_writer(struct db *db, const char *path,
                   struct err *e); /* made if absent; WAL, synchronous=FULL */
int db_open_reader(struct db *db, const char *path, struct err *e); /* read-only */
void db_close(struct db *db);

/* The connection's last failure as a code; the text is "reason (doing)". */
int db_fail(const struct db *db, const char *doing, struct err *e);
/* Runs SQL that has no parameters and whose rows, if any, do not matter; not cached. */
int db_exec(struct db *db, const char *sql, struct err *e);
/* One integer, as of "PRAGMA user_version". */
int db_int(struct db *db, const char *sql, int64_t *out, struct err *e);
/* Whether a transaction is open. */
bool db_in_transaction(const struct db *db);

/*
 * One run of one statement. Errors stick: bind and loop without asking, and learn the outcome from
 * query_end(), which must be called once. Text is bound by reference and must live until then.
 *
 *     struct query q;
 *     query_begin(&q, db, SQL_JOB_GET);
 *     query_text(&q, id);
 *     while (query_row(&q))
 *         ... query_col_int(&q, 0) ...
 *     return query_end(&q, e);
 */
struct query {
    struct db *db;
    sqlite3_stmt *stmt;
    const char *sql;
    int bound; /* parameters so far */
    int rc;    /* SQLite's */
};

void query_begin(struct query *q, struct db *db, const char *sql);
void query_text(struct query *q, const char *s); /* NULL binds NULL */
void query_int(struct query *q, int64_t v);
void query_int_or_null(struct query *q, int64_t v, bool null);
void query_double(struct query *q, double v);
bool query_row(struct query *q);
int query_end(struct query *q, struct err *e);
/* For statements whose rows do not matter: to the end, then query_end(). */
int query_run(struct query *q, struct err *e);

/* Columns of the present row. Text is valid until the next row; NULL for NULL. */
int64_t query_col_int(const struct query *q, int i);
double query_col_double(const struct query *q, int i);
const char *query_col_text(const struct query *q, int i);
/* Copies a text column; longer text is cut, NULL becomes "". */
void query_col_copy(const struct query *q, int i, char *out, size_t size);

#endif
