/*
 * wait.h: requests that wait, connections with deadlines, and the thread that watches the clock for both.
 *
 * One mutex. libmicrohttpd allows suspending only inside its own callbacks and wants each suspension resumed
 * exactly once: `asleep` is true from the suspension to its one resumption, and both happen under the mutex.
 * What became true between looking and suspending is not lost: it sets `notified`, and wait_sleep() then
 * refuses to sleep.
 */
#ifndef FERRY_API_WAIT_H
#define FERRY_API_WAIT_H

#include "daemon/clock.h"
#include "daemon/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct MHD_Connection;

/* One waiting request; embedded in it. All fields belong to the registry's mutex. */
struct waiter {
    struct waiter *prev, *next;
    struct MHD_Connection *conn;
    char job_id[JOB_ID_SIZE];
    int64_t deadline_us; /* monotonic; while asleep */
    bool joined, asleep, notified;
};

/* One TCP connection with a deadline for what is now expected of its client. */
struct conn_watch {
    struct conn_watch *prev, *next;
    int fd;
    int64_t deadline_us; /* 0: none */
};

struct registry {
    pthread_mutex_t mutex;
    pthread_cond_t clock;  /* the clock thread sleeps on it */
    pthread_cond_t change; /* registry_quiet() does */
    pthread_t thread;
    /* under the mutex */
    struct waiter *waiters;
    struct conn_watch *conns;
    unsigned joined, joined_max;
    unsigned commands; /* commands whose answer is due */
    unsigned requests; /* between the first call of the handler and completion */
    int64_t next_us;   /* when the clock thread looks again */
    bool stopping;     /* nobody falls asleep any more */
    bool finished;     /* the clock thread ends */
};

/* Main thread. */
int registry_init(struct registry *g, unsigned joined_max, struct err *e);
void registry_end_clock(struct registry *g); /* after it only wait_notify() and registry_fini() */
void registry_fini(struct registry *g);
/* Main thread. Wakes all waiters for good; then waits until all commands are answered and, at most
 * `grace_us`, until no request is under way. */
void registry_stop(struct registry *g, int64_t grace_us);

/* ---- http thread ---- */

/* Takes a place among the waiters of a job; FERR_OVERLOADED when there are too many. */
int wait_join(struct registry *g, struct waiter *w, struct MHD_Connection *conn, const char *job_id,
              struct err *e);
void wait_leave(struct registry *g, struct waiter *w);
/* Call it before looking at the store: what happens from here on is remembered. */
void wait_arm(struct registry *g, struct waiter *w);

enum wait_outcome {
    WAIT_ASLEEP,   /* suspended: return to libmicrohttpd at once */
    WAIT_AGAIN,    /* something happened since wait_arm() */
    WAIT_STOPPING, /* the server stops: answer now */
};
enum wait_outcome wait_sleep(struct registry *g, struct waiter *w, int64_t deadline_us);
/* Suspends until wait_command_end(), whatever else happens. FERR_SHUTTING_DOWN once the server stops. */
int wait_command_begin(struct registry *g, struct waiter *w, struct MHD_Connection *conn, struct err *e);

void watch_add(struct registry *g, struct conn_watch *c);
void watch_remove(struct registry *g, struct conn_watch *c);
void watch_deadline(struct registry *g, struct conn_watch *c, int64_t deadline_us);
void watch_request(struct registry *g, int by); /* counts requests under way */

/* ---- any thread ---- */

/* Wakes the waiters of a job. */
void wait_notify(struct registry *g, const char *job_id);
/* `fill` runs under the mutex, then the request is resumed; nothing of it may be touched afterwards. */
void wait_command_end(struct registry *g, struct waiter *w, void (*fill)(void *arg), void *arg);

#endif
