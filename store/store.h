/*
 * store.h: everything that lasts. The only header of store/ that others include.
 *
 * One SQLite file (WAL) and a folder of blobs below the data directory. One writer thread
 * owns the only read-write connection and commits in groups at synchronous=FULL; whoever
 * wants to read opens a `store_reader` of its own thread. A job is the fold of its events:
 * the only way to change one is to append events, and the row is updated in the same
 * transaction (fold.c). Replies and events leave after the commit.
 */
#ifndef FERRY_STORE_STORE_H
#define FERRY_STORE_STORE_H

#include "daemon/clock.h"
#include "daemon/err.h"
#include "daemon/vocab.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_reader;

#define STORE_SHA_SIZE 65 /* hex sha256 and NUL */

struct store_options {
    const char *data_dir; /* made (0700) if absent */
    unsigned queue_max;   /* commands waiting for the writer; more are FERR_OVERLOADED */
    int64_t grace_us;     /* how long a blob that nothing names stays after its last put; 0: two minutes */
};

/* Main thread. Locks the data directory (FERR_STORE_BUSY names the pid that holds it), migrates, starts the
 * writer. */
int store_open(const struct store_options *opts, struct store **out, struct err *e);
/* Main thread. Finishes queued commands, checkpoints, unlocks, frees. */
void store_close(struct store *s);
/* This start's boot id: leases carry it. */
const char *store_boot_id(const struct store *s);

/* ---- commits ------------------------------------------------------------------------------------------- */

/* Called on the writer thread after a group became durable, once per event in it, in order.
 * Must not block: post to a loop and return. Set before any event is appended. */
typedef void (*store_listener_fn)(void *arg, const char *job_id, int64_t seq, enum event_type type);
void store_set_listener(struct store *s, store_listener_fn fn, void *arg);

/* Called on the writer thread after the command's commit (rc 0) or refusal. Must not block. */
typedef void (*store_done_fn)(void *arg, int rc, const struct err *e);

struct store_event_new {
    enum event_type type;
    json_t *data; /* object, borrowed; NULL is {} */
};

/* Who may append: a worker names the lease it holds, and a lost lease is FERR_CONFLICT. API commands have
 * none. */
struct store_lease {
    char job_id[JOB_ID_SIZE];
    int64_t token; /* 0: no lease asked */
};

/* A new job: the fields of the row that never change. All borrowed. */
struct store_job_new {
    char id[JOB_ID_SIZE]; /* from job_id_new() */
    const char *name;     /* or NULL */
    const char *entry;    /* as given, or NULL */
    enum job_kind kind;
    enum engine engine;
    enum style style;
    int priority;
    json_t *labels;                   /* object of strings or NULL */
    char request_sha[STORE_SHA_SIZE]; /* blob of the canonical request */
};

/* Any thread. Creates the job with its JOB_QUEUED event; `done` is called once, unless a code is returned at
 * once (FERR_OVERLOADED, FERR_SHUTTING_DOWN). */
int store_job_create(struct store *s, const struct store_job_new *job, store_done_fn done, void *arg,
                     struct err *e);

/* Any thread. Appends events to one job in one transaction and folds them. What the fold reads from `data`:
 *   STEP_STARTED {step, done, total}; STEP_FINISHED {step, seconds, cached, key?}; ATTEMPT_CREATED {n};
 *   JOB_SUCCEEDED / JOB_FAILED {result, usage, attempt?}; JOB_CANCELLED {result?, usage?}; others change only
 * state or time. The `key` of STEP_FINISHED ties the stored step to the job: it is removed with the last job
 * that names it. JOB_QUEUED on a job that has one is the store's own: given back to the queue, {reason:
 * "released" | "recovered"}. A final job takes no more events (FERR_CONFLICT). JOB_CANCELLING on a queued job
 * ends it as JOB_CANCELLED at once; on a cancelling one it changes nothing and is no event. Which states take
 * which events is one table in fold.c. */
int store_append(struct store *s, const struct store_lease *lease, const char *job_id,
                 const struct store_event_new *events, size_t n, store_done_fn done, void *arg,
                 struct err *e);
/* The same for a worker thread: waits for the commit. Functions that wait are never called on the writer
 * thread, that is, from a done callback or the listener. */
int store_append_wait(struct store *s, const struct store_lease *lease, const char *job_id,
                      const struct store_event_new *events, size_t n, struct err *e);

/* Worker thread, waits. Claims the next queued job by priority, then age (one UPDATE … RETURNING); appends
 * JOB_STARTED, or JOB_RESUMED where it had started before. 1 and a lease, 0 where none waits, or a negative
 * code. */
int store_job_claim(struct store *s, struct store_lease *lease, struct err *e);
/* Main thread at start, before workers run: jobs of another boot go back to the queue; a `cancelling` one
 * ends as cancelled. Returns how many. */
int store_jobs_recover(struct store *s, struct err *e);
/* Any thread. How often the job was taken from a daemon that had ended, without a step that ran to its end
 * since: each time it got no further. */
int store_job_crashes(struct store_reader *r, const char *job_id, int *out, struct err *e);
/* Worker thread, waits: gives an unfinished job back to the queue (shutdown). */
int store_job_release(struct store *s, const struct store_lease *lease, struct err *e);
/* Any thread. Deletes a final job with its rows; blobs that nothing names are removed. FERR_CONFLICT if not
 * final. */
int store_job_delete(struct store *s, const char *job_id, store_done_fn done, void *arg, struct err *e);

/* ---- blobs --------------------------------------------------------------------------------------------- */

/* Any thread, blocking. Writes a blob by its sha256 (temporary name, fsync, rename, fsync of the folder);
 * present ones are kept. A row that names the blob should follow within the grace period; later it may be
 * refused as FERR_NOT_FOUND. */
int store_blob_put(struct store *s, const void *data, size_t len, char sha[STORE_SHA_SIZE], struct err *e);
/* The same from a descriptor's whole content (a sealed memfd; read at offset 0). */
int store_blob_put_fd(struct store *s, int fd, char sha[STORE_SHA_SIZE], int64_t *size, struct err *e);
/* Opens for reading; the descriptor belongs to the caller. FERR_NOT_FOUND if absent. */
int store_blob_open(struct store *s, const char *sha, int *fd, int64_t *size, struct err *e);
/* Reads it whole, NUL-terminated, malloc'd. */
int store_blob_read(struct store *s, const char *sha, char **data, size_t *len, struct err *e);
/* hex sha256 of bytes; any thread. */
void store_sha256(const void *data, size_t len, char sha[STORE_SHA_SIZE]);

/* ---- steps: results under the hash of their inputs ----------------------------------------------------- */

struct store_step {
    char key[STORE_SHA_SIZE];
    char result_sha[STORE_SHA_SIZE]; /* blob of the result JSON */
    size_t n_out;
    char out_names[4][16];
    char out_sha[4][STORE_SHA_SIZE];
    double seconds; /* what it took when it ran */
};
/* Worker thread, waits. The blobs must have been put. */
int store_step_put(struct store *s, const struct store_step *step, struct err *e);

/* ---- attempts and artifacts ---------------------------------------------------------------------------- */

/* Worker thread, waits; both bound to the lease. An attempt is a JSON object (n, engine, files, weights,
 * stages, score, refusals, first_difference, seconds, created_at), kept as a blob; a second put of the same n
 * replaces it. */
int store_attempt_put(struct store *s, const struct store_lease *lease, int n, json_t *attempt,
                      struct err *e);
/* Names: "report.json", "source.diff", "bundle.tar.gz", "logs.txt", "oracle.json" … Replaces. */
int store_artifact_put(struct store *s, const struct store_lease *lease, const char *name,
                       const char *media_type, const char *sha, int64_t size, struct err *e);

/* ---- reading ------------------------------------------------------------------------------------------- */

/* One per thread. */
int store_reader_open(struct store *s, struct store_reader **out, struct err *e);
void store_reader_close(struct store_reader *r);

struct store_job {
    char id[JOB_ID_SIZE];
    char *name, *entry; /* or NULL */
    enum job_kind kind;
    enum engine engine;
    enum style style;
    enum job_state state;
    int priority;
    int attempt; /* best or latest; 0 before the first */
    int step;    /* enum step_kind, or -1 before the first */
    int steps_done, steps_total;
    int64_t version;                                         /* seq of the last event: the ETag */
    int64_t created_us, updated_us, started_us, finished_us; /* 0: not yet */
    json_t *labels, *result, *usage;                         /* or NULL; owned */
    char request_sha[STORE_SHA_SIZE];
};
void store_job_fini(struct store_job *j);

int store_job_get(struct store_reader *r, const char *id, struct store_job *out,
                  struct err *e); /* FERR_JOB_NOT_FOUND */

struct store_job_filter {
    int state;             /* enum job_state or -1 */
    const char *before_id; /* cursor: jobs older than this id; or NULL */
    int limit;             /* 1..1000 */
};
/* Newest first. `*out` is an array of *n jobs; free each, then the array. */
int store_job_list(struct store_reader *r, const struct store_job_filter *f, struct store_job **out,
                   size_t *n, struct err *e);

struct store_event {
    int64_t seq; /* 1, 2, … within the job */
    int64_t at_us;
    enum event_type type;
    char *data; /* JSON text, owned */
};
/* Events with seq > after, in order, at most limit. FERR_JOB_NOT_FOUND where the job is not there. */
int store_event_list(struct store_reader *r, const char *job_id, int64_t after, int limit,
                     struct store_event **out, size_t *n, struct err *e);
void store_events_free(struct store_event *events, size_t n);

/* New reference: array of attempts without "files" and "weights"; or one whole attempt. */
int store_attempt_list(struct store_reader *r, const char *job_id, json_t **out, struct err *e);
int store_attempt_get(struct store_reader *r, const char *job_id, int n, json_t **out,
                      struct err *e); /* FERR_NOT_FOUND */

struct store_artifact {
    char name[64], media_type[64], sha[STORE_SHA_SIZE];
    int64_t size;
};
int store_artifact_get(struct store_reader *r, const char *job_id, const char *name,
                       struct store_artifact *out, struct err *e); /* FERR_NOT_FOUND */

/* 1 and the step, 0 where it is not stored. Its blobs stay for a grace period from now, whoever is deleted
 * meanwhile. */
int store_step_get(struct store_reader *r, const char *key, struct store_step *out, struct err *e);

/* Counts by state, for /metrics and the first page; `counts` has JOB_STATE_COUNT places. */
int store_job_counts(struct store_reader *r, int64_t counts[JOB_STATE_COUNT], struct err *e);

/* Figures of the writer, any thread. */
struct store_stats {
    uint64_t commits, commands, events;
    uint64_t queue_len;
};
void store_stats_get(struct store *s, struct store_stats *out);

#endif
