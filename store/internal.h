/*
 * internal.h: what the files of store/ share. Not included outside store/ and its tests.
 *
 * A change travels as a `struct command` to the writer thread, which runs it inside a savepoint of the
 * group's transaction. Functions named *_run and those that take a `struct store` and touch `s->db` are
 * called on the writer thread only; functions of readers take a `struct store_reader`.
 */
#ifndef FERRY_STORE_INTERNAL_H
#define FERRY_STORE_INTERNAL_H

#include "store/db.h"
#include "store/fold.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define BLOB_FOLDERS 256

/* ---- commands and the writer (writer.c) -----------------------------------------------------------------
 */

struct command {
    struct command *next; /* owned by the queue, then by the group */
    /* Writer thread, in a savepoint. May run again after a rollback, so it sets all of its results anew. */
    int (*run)(struct store *s, struct command *c, struct err *e);
    void (*free)(struct command *c); /* NULL where the command is not on the heap */
    store_done_fn done;              /* or NULL */
    void *arg;
    int rc;
    struct err err;
};

/* An event that its group will make durable. */
struct note {
    char job_id[JOB_ID_SIZE];
    int64_t seq;
    enum event_type type;
};

struct writer {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the next group of fields */
    pthread_cond_t wake;
    struct command *head, **tail;
    unsigned queued, queue_max;
    bool stopping;
    store_listener_fn listener;
    void *listener_arg;
    /* writer thread only */
    struct note *notes; /* owned */
    size_t n_notes, notes_cap;
    int64_t trash_due_us; /* wall clock: when trash_turn() wants to run again */
    int sweep_folder;     /* next blob folder to look for orphans in; BLOB_FOLDERS when done */
    /* any thread */
    atomic_uint_fast64_t commits, commands, events;
};

struct store {
    char *dir;    /* owned, data directory */
    int lock_fd;  /* holds the lock of the directory */
    int blobs_fd; /* DIR/blobs */
    int64_t grace_us;
    char boot_id[BOOT_ID_SIZE];
    struct db db;              /* writer thread, once it runs */
    pthread_mutex_t blob_lock; /* a blob is touched or removed under it */
    struct writer writer;
};

struct store_reader {
    struct store *store; /* borrowed */
    struct db db;
};

int writer_start(struct store *s, unsigned queue_max, struct err *e);
/* Runs what is queued, then ends the thread. */
void writer_stop(struct store *s);
/* Takes a heap command over, also where it returns a code (then `done` is not called). */
int writer_post(struct store *s, struct command *c, struct err *e);
/* Runs a command of the caller's and waits for the commit; the caller keeps it. */
int writer_call(struct store *s, struct command *c, struct err *e);
/* Writer thread: the listener hears of this event after the commit. */
int writer_note(struct store *s, const char *job_id, int64_t seq, enum event_type type, struct err *e);

/* ---- the data directory (datadir.c) ---------------------------------------------------------------------
 */

/* Makes DIR (0700) and DIR/blobs with its folders, takes the lock, sets dir, lock_fd and blobs_fd. */
int datadir_open(struct store *s, const char *dir, struct err *e);
void datadir_close(struct store *s);

/* ---- blobs as files (blobs.c) ---------------------------------------------------------------------------
 */

/* 0, or FERR_NOT_FOUND where no blob of that name is there: what a row names must exist. */
int blob_check(struct store *s, const char *sha, struct err *e);
/* Makes a blob young again, so that it stays for a grace period; FERR_NOT_FOUND where it is absent. */
int blob_touch(struct store *s, const char *sha, struct err *e);
/* When the blob stops being young (wall clock), or 0 where it is absent. */
int64_t blob_young_until(struct store *s, const char *sha);
/* Removes it unless it is young. */
void blob_remove(struct store *s, const char *sha);
/* "ab/abcd…", relative to blobs_fd. */
#define BLOB_PATH_SIZE (STORE_SHA_SIZE + 3)
void blob_path(const char *sha, char out[BLOB_PATH_SIZE]);

/* ---- rows of jobs (jobs.c) ------------------------------------------------------------------------------
 */

struct job_row {
    char id[JOB_ID_SIZE];
    struct fold_row fold;          /* result and usage are not loaded: only final jobs have them */
    char lease_boot[BOOT_ID_SIZE]; /* "": nobody's */
    int64_t lease_token;
};

int job_row_load(struct store *s, const char *id, struct job_row *row,
                 struct err *e); /* FERR_JOB_NOT_FOUND */
/* Loads, and FERR_CONFLICT unless `lease` (NULL or token 0: no lease asked) is still held. */
int job_row_load_leased(struct store *s, const char *id, const struct store_lease *lease, struct job_row *row,
                        struct err *e);
/* Writes the fold back; a job that is queued or final loses its lease. */
int job_row_save(struct store *s, const struct job_row *row, struct err *e);
/* What must hold before a row of a job names a new blob: the lease is held (as above) and the blob is there.
 */
int job_may_name_blob(struct store *s, const struct store_lease *lease, const char *sha, struct err *e);
/* FERR_JOB_NOT_FOUND where it is not there. */
int job_exists(struct db *db, const char *id, struct err *e);

/* ---- events (events.c) ----------------------------------------------------------------------------------
 */

/* Gives the event its number and time, folds it into the row (not saved) and inserts it. */
int event_insert(struct store *s, struct job_row *row, struct fold_event *ev, struct err *e);
/* One event that the store itself makes, with data {"reason": why} or, where `why` is NULL, {}. */
int event_insert_own(struct store *s, struct job_row *row, enum event_type type, const char *why,
                     struct err *e);

/* ---- what lost its user (trash.c) -----------------------------------------------------------------------
 */

/* Puts a blob, a stored step's blobs, or everything that a job names, in line for removal. */
int trash_blob(struct store *s, const char *sha, struct err *e);
/* The blob in the first column of the query's first row, where there is a row; ends the query. */
int trash_selected_blob(struct store *s, struct query *q, struct err *e);
int trash_step_blobs(struct store *s, const char *key, struct err *e);
int trash_job(struct store *s, const char *job_id, struct err *e);
/* A bounded piece of clearing up, in transactions of its own; sets writer.trash_due_us. */
void trash_turn(struct store *s);

#endif
