/*
 * trash.c: removing steps and blobs that nothing names any more.
 *
 * Writer thread only, a bounded piece a turn. What may have lost its last user (a deleted job's blobs and
 * steps, a replaced artifact's blob) is put into the table `trash` in the same transaction, so a crash
 * forgets nothing. A turn looks at what is due and keeps what is used again; what is still young comes again
 * when it no longer is.
 *
 * Why this races with nobody: rows are written on this thread only, and refused where their blob is absent,
 * so no row can begin to name a blob between the check and its removal. A put or a step that was just looked
 * up is young, and blob_remove() decides that under the lock that putting takes. Files go only after the
 * commit that forgot them; a crash in between leaves a file that nothing names, and at every start the blob
 * folders are swept for such.
 */
#include "store/internal.h"
#include "store/sha256.h"

#include "daemon/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TURN_MAX 64
#define SWEEP_MAX 16 /* folders a turn */
#define RETRY_US 60000000

static const char SQL_ADD[] = "INSERT INTO trash (kind, name, due_us) VALUES (?, ?, 0)"
                              " ON CONFLICT DO UPDATE SET due_us = 0";
static const char SQL_ADD_JOB[] = "INSERT OR IGNORE INTO trash (kind, name, due_us)"
                                  " SELECT 'blob', request_sha, 0 FROM jobs WHERE id = ?1"
                                  " UNION SELECT 'blob', sha, 0 FROM attempts WHERE job_id = ?1"
                                  " UNION SELECT 'blob', sha, 0 FROM artifacts WHERE job_id = ?1"
                                  " UNION SELECT 'step', key, 0 FROM job_steps WHERE job_id = ?1";
static const char SQL_DUE[] = "SELECT name FROM trash WHERE kind = ? AND due_us <= ? ORDER BY due_us LIMIT ?";
static const char SQL_NEXT_DUE[] = "SELECT min(due_us) FROM trash";
static const char SQL_DEFER[] = "UPDATE trash SET due_us = ? WHERE kind = ? AND name = ?";
static const char SQL_DROP[] = "DELETE FROM trash WHERE kind = ? AND name = ?";
static const char SQL_STEP_USED[] = "SELECT 1 FROM job_steps WHERE key = ?";
static const char SQL_STEP_BLOB[] = "SELECT result_sha FROM steps WHERE key = ?";
static const char SQL_STEP_BLOBS[] =
    "INSERT OR IGNORE INTO trash (kind, name, due_us) SELECT 'blob', result_sha, 0 FROM steps WHERE key = ?1"
    " UNION SELECT 'blob', sha, 0 FROM step_outputs WHERE key = ?1";
static const char SQL_STEP_DELETE[] = "DELETE FROM steps WHERE key = ?";
static const char SQL_BLOB_USED[] = "SELECT 1 FROM jobs WHERE request_sha = ?1"
                                    " UNION ALL SELECT 1 FROM artifacts WHERE sha = ?1"
                                    " UNION ALL SELECT 1 FROM attempts WHERE sha = ?1"
                                    " UNION ALL SELECT 1 FROM steps WHERE result_sha = ?1"
                                    " UNION ALL SELECT 1 FROM step_outputs WHERE sha = ?1 LIMIT 1";

struct names {
    size_t n;
    char name[TURN_MAX][STORE_SHA_SIZE];
};

/* ---- in line for removal --------------------------------------------------------------------------------
 */

static int run_named(struct store *s, const char *sql, const char *kind, const char *name, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, sql);
    if (kind)
        query_text(&q, kind);
    query_text(&q, name);
    return query_run(&q, e);
}

int trash_blob(struct store *s, const char *sha, struct err *e)
{
    s->writer.trash_due_us = 0;
    return run_named(s, SQL_ADD, "blob", sha, e);
}

int trash_selected_blob(struct store *s, struct query *q, struct err *e)
{
    char sha[STORE_SHA_SIZE] = "";
    if (query_row(q))
        query_col_copy(q, 0, sha, sizeof sha);
    int rc = query_end(q, e);
    return rc < 0 || !sha[0] ? rc : trash_blob(s, sha, e);
}

int trash_job(struct store *s, const char *job_id, struct err *e)
{
    s->writer.trash_due_us = 0;
    return run_named(s, SQL_ADD_JOB, NULL, job_id, e);
}

int trash_step_blobs(struct store *s, const char *key, struct err *e)
{
    s->writer.trash_due_us = 0;
    return run_named(s, SQL_STEP_BLOBS, NULL, key, e);
}

/* ---- what is due --------------------------------------------------------------------------------------- */

static int due(struct store *s, const char *kind, struct names *out, struct err *e)
{
    struct query q;
    out->n = 0;
    query_begin(&q, &s->db, SQL_DUE);
    query_text(&q, kind);
    query_int(&q, clock_wall_us());
    query_int(&q, TURN_MAX);
    while (query_row(&q))
        query_col_copy(&q, 0, out->name[out->n++], STORE_SHA_SIZE);
    return query_end(&q, e);
}

static int defer(struct store *s, const char *kind, const char *name, int64_t until, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_DEFER);
    query_int(&q, until);
    query_text(&q, kind);
    query_text(&q, name);
    return query_run(&q, e);
}

/* 1 where a row of `sql` is there for this name. */
static int used(struct store *s, const char *sql, const char *name, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, sql);
    query_text(&q, name);
    bool found = query_row(&q);
    int rc = query_end(&q, e);
    return rc < 0 ? rc : (int)found;
}

/* When the step's last look-up is a grace period old; 0 where its result is gone. */
static int step_young_until(struct store *s, const char *key, int64_t *out, struct err *e)
{
    char sha[STORE_SHA_SIZE] = "";
    struct query q;
    query_begin(&q, &s->db, SQL_STEP_BLOB);
    query_text(&q, key);
    if (query_row(&q))
        query_col_copy(&q, 0, sha, sizeof sha);
    *out = sha[0] ? blob_young_until(s, sha) : 0;
    return query_end(&q, e);
}

static int clear_step(struct store *s, const char *key, struct err *e)
{
    int64_t young_until = 0;
    int rc = used(s, SQL_STEP_USED, key, e);
    if (rc == 1)
        return run_named(s, SQL_DROP, "step", key, e);
    if (rc == 0)
        rc = step_young_until(s, key, &young_until, e);
    if (rc == 0 && young_until > clock_wall_us())
        return defer(s, "step", key, young_until, e);
    if (rc == 0)
        rc = trash_step_blobs(s, key, e);
    if (rc == 0)
        rc = run_named(s, SQL_STEP_DELETE, NULL, key, e);
    return rc < 0 ? rc : run_named(s, SQL_DROP, "step", key, e);
}

/* Adds to `gone` what may be removed after the commit. */
static int clear_blob(struct store *s, const char *sha, struct names *gone, struct err *e)
{
    int rc = used(s, SQL_BLOB_USED, sha, e);
    if (rc < 0)
        return rc;
    int64_t young_until = rc == 0 ? blob_young_until(s, sha) : 0;
    if (young_until > clock_wall_us())
        return defer(s, "blob", sha, young_until, e);
    if (rc == 0)
        memcpy(gone->name[gone->n++], sha, STORE_SHA_SIZE);
    return run_named(s, SQL_DROP, "blob", sha, e);
}

/* Steps in one turn and their blobs in a later one, since a blob may go only when its step's deletion is
 * durable. */
static int clear_due(struct store *s, struct names *gone, struct err *e)
{
    struct names names;
    int rc = due(s, "step", &names, e);
    if (rc == 0 && names.n > 0) {
        for (size_t i = 0; i < names.n && rc == 0; i++)
            rc = clear_step(s, names.name[i], e);
        return rc;
    }
    if (rc == 0)
        rc = due(s, "blob", &names, e);
    for (size_t i = 0; i < names.n && rc == 0; i++)
        rc = clear_blob(s, names.name[i], gone, e);
    return rc;
}

/* ---- orphans of a crash -------------------------------------------------------------------------------- */

static int sweep_entry(struct store *s, const char *name, struct err *e)
{
    if (!sha256_valid(name))
        return 0;
    int rc = used(s, SQL_BLOB_USED, name, e);
    return rc == 0 ? trash_blob(s, name, e) : rc > 0 ? 0 : rc;
}

static int sweep_folder(struct store *s, int number, struct err *e)
{
    char folder[3];
    (void)snprintf(folder, sizeof folder, "%02x", (unsigned)number & 0xffu);
    int fd = openat(s->blobs_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(e, FERR_IO, "blobs/%s cannot be read", folder);
    }
    int rc = 0;
    for (const struct dirent *entry; rc == 0 && (entry = readdir(d));)
        rc = sweep_entry(s, entry->d_name, e);
    (void)closedir(d);
    return rc;
}

static int sweep(struct store *s, struct err *e)
{
    int rc = 0, first = s->writer.sweep_folder;
    for (int i = first; i < first + SWEEP_MAX && i < BLOB_FOLDERS && rc == 0; i++)
        rc = sweep_folder(s, i, e);
    return rc;
}

/* ---- a turn -------------------------------------------------------------------------------------------- */

static int turn(struct store *s, struct names *gone, struct err *e)
{
    struct writer *w = &s->writer;
    int rc = db_exec(&s->db, "BEGIN IMMEDIATE", e);
    if (rc == 0)
        rc = w->sweep_folder < BLOB_FOLDERS ? sweep(s, e) : clear_due(s, gone, e);
    if (rc == 0)
        rc = db_exec(&s->db, "COMMIT", e);
    if (rc < 0 && db_in_transaction(&s->db))
        (void)db_exec(&s->db, "ROLLBACK", NULL);
    return rc;
}

static int64_t next_due(struct store *s)
{
    int64_t due_us = 0;
    struct query q;
    if (s->writer.sweep_folder < BLOB_FOLDERS)
        return 0;
    query_begin(&q, &s->db, SQL_NEXT_DUE);
    bool any = query_row(&q) && query_col_text(&q, 0);
    if (any)
        due_us = query_col_int(&q, 0);
    return query_end(&q, NULL) == 0 && any ? due_us : INT64_MAX;
}

void trash_turn(struct store *s)
{
    struct names gone = {.n = 0};
    struct err e = {0};
    int rc = turn(s, &gone, &e);
    if (s->writer.sweep_folder < BLOB_FOLDERS)
        s->writer.sweep_folder += SWEEP_MAX;
    if (rc < 0) {
        log_warn("store", "clearing up failed", "error", e.text);
        s->writer.trash_due_us = clock_wall_us() + RETRY_US;
        return;
    }
    for (size_t i = 0; i < gone.n; i++)
        blob_remove(s, gone.name[i]);
    s->writer.trash_due_us = next_due(s);
}
