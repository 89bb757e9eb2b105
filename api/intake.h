/*
 * intake.h: what makes a job from a body, off the http thread.
 *
 * Parsing 8 MiB of JSON takes tens of milliseconds and a blob's fsync can take longer; one thread with a
 * bounded queue does both, so that no other request waits for them.
 */
#ifndef FERRY_API_INTAKE_H
#define FERRY_API_INTAKE_H

#include "api/jobspec.h"
#include "daemon/clock.h"
#include "store/store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* One body on its way to a job. The http thread owns it, but between intake_submit() and `done` the intake
 * thread does. */
struct intake_job {
    struct intake_job *next; /* under the mutex */
    char *body;              /* owned */
    size_t len;
    bool python;        /* a bare Python file; else JSON */
    char *query[4];     /* owned or NULL: entry, name, engine, style of a Python file */
    store_done_fn done; /* called exactly once, on the intake or the writer thread */
    void *arg;
    json_t *spec;         /* owned; the canonical request: the store borrows its strings until `done` */
    char id[JOB_ID_SIZE]; /* the new job, once `done` said 0 */
};

struct intake {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_t thread;
    struct store *store; /* borrowed */
    struct jobspec_limits limits;
    /* under the mutex */
    struct intake_job *first, *last;
    unsigned len, max;
    bool stopping;
};

/* Main thread. */
int intake_init(struct intake *in, struct store *store, const struct jobspec_limits *limits,
                unsigned queue_max, struct err *e);
/* Main thread. Ends the queue, then the thread. */
void intake_fini(struct intake *in);
/* http thread. FERR_OVERLOADED where the queue is full (then `done` is not called). */
int intake_submit(struct intake *in, struct intake_job *job, struct err *e);
void intake_job_free(struct intake_job *job);

#endif
