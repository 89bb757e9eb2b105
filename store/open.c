/*
 * open.c: opening and closing the store, and its readers.
 *
 * Main thread, but readers are opened by the thread that will use them. Order matters: the lock before
 * anything is looked at; the database migrated before the writer runs; readers closed before the store, so
 * that the last connection, the writer's, checkpoints the log.
 */
#include "store/internal.h"
#include "store/migrate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_DEFAULT_US 120000000

static int db_path(const struct store *s, char out[PATH_MAX], struct err *e)
{
    int n = snprintf(out, PATH_MAX, "%s/ferry.db", s->dir);
    if (n < 0 || n >= PATH_MAX)
        return err_set(e, FERR_IO, "the name of the data directory is too long");
    return 0;
}

static int open_database(struct store *s, struct err *e)
{
    char path[PATH_MAX];
    int rc = db_path(s, path, e);
    if (rc == 0)
        rc = db_open_writer(&s->db, path, e);
    if (rc < 0)
        return rc;
    rc = migrate(&s->db, path, &MIGRATIONS, e);
    if (rc < 0)
        db_close(&s->db);
    return rc;
}

static void free_store(struct store *s)
{
    (void)pthread_mutex_destroy(&s->blob_lock);
    datadir_close(s);
    free(s);
}

int store_open(const struct store_options *opts, struct store **out, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, FERR_NO_MEMORY, "no memory for the store");
    s->grace_us = opts->grace_us ? opts->grace_us : GRACE_DEFAULT_US;
    boot_id_new(s->boot_id);
    (void)pthread_mutex_init(&s->blob_lock, NULL);
    int rc = datadir_open(s, opts->data_dir, e);
    if (rc == 0)
        rc = open_database(s, e);
    if (rc < 0) {
        free_store(s);
        return rc;
    }
    rc = writer_start(s, opts->queue_max, e);
    if (rc < 0) {
        db_close(&s->db);
        free_store(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    writer_stop(s);
    db_close(&s->db);
    free_store(s);
}

const char *store_boot_id(const struct store *s)
{
    return s->boot_id;
}

int store_reader_open(struct store *s, struct store_reader **out, struct err *e)
{
    char path[PATH_MAX];
    struct store_reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, FERR_NO_MEMORY, "no memory for a reader");
    r->store = s;
    int rc = db_path(s, path, e);
    if (rc == 0)
        rc = db_open_reader(&r->db, path, e);
    if (rc < 0) {
        free(r);
        return rc;
    }
    *out = r;
    return 0;
}

void store_reader_close(struct store_reader *r)
{
    if (!r)
        return;
    db_close(&r->db);
    free(r);
}
