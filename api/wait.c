/*
 * wait.c: the registry of waiting requests and of connections with deadlines.
 *
 * Threads: http joins, sleeps and leaves; the store's writer and the intake thread wake; the clock thread
 * wakes what is late and shuts down connections whose client is late; main stops all. Everything under one
 * mutex, which is held while MHD_suspend_connection and MHD_resume_connection run (they take only a mutex
 * inside libmicrohttpd, which never calls back while holding it). A late connection is shut down, never
 * closed, so its descriptor stays its own until watch_remove(). Fatal: a suspension of a request that is
 * asleep already.
 */
#include "api/wait.h"

#include "daemon/metrics.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static void lock(struct registry *g)
{
    int rc = pthread_mutex_lock(&g->mutex);
    assert(rc == 0);
    (void)rc;
}

static void unlock(struct registry *g)
{
    int rc = pthread_mutex_unlock(&g->mutex);
    assert(rc == 0);
    (void)rc;
}

static struct timespec timespec_of(int64_t mono_us)
{
    return (struct timespec){.tv_sec = mono_us / 1000000, .tv_nsec = (mono_us % 1000000) * 1000};
}

static void resume(struct waiter *w)
{
    assert(w->asleep);
    w->asleep = false;
    MHD_resume_connection(w->conn);
}

/* Lets the clock thread look no later than `deadline_us`. */
static void clock_expect(struct registry *g, int64_t deadline_us)
{
    if (deadline_us >= g->next_us)
        return;
    g->next_us = deadline_us;
    pthread_cond_signal(&g->clock);
}

/* Wakes what is late; returns when to look again. */
static int64_t sweep(struct registry *g, int64_t now_us)
{
    int64_t next = INT64_MAX;
    for (struct waiter *w = g->waiters; w; w = w->next) {
        if (!w->asleep)
            continue;
        if (w->deadline_us <= now_us)
            resume(w);
        else if (w->deadline_us < next)
            next = w->deadline_us;
    }
    for (struct conn_watch *c = g->conns; c; c = c->next) {
        if (c->deadline_us == 0)
            continue;
        if (c->deadline_us <= now_us) {
            c->deadline_us = 0;
            (void)shutdown(c->fd, SHUT_RDWR);
        } else if (c->deadline_us < next) {
            next = c->deadline_us;
        }
    }
    return next;
}

static void *clock_main(void *arg)
{
    struct registry *g = arg;
    lock(g);
    while (!g->finished) {
        int64_t now = clock_mono_us();
        if (now >= g->next_us)
            g->next_us = sweep(g, now);
        if (g->next_us == INT64_MAX) {
            pthread_cond_wait(&g->clock, &g->mutex);
        } else {
            struct timespec until = timespec_of(g->next_us);
            (void)pthread_cond_timedwait(&g->clock, &g->mutex, &until);
        }
    }
    unlock(g);
    return NULL;
}

int registry_init(struct registry *g, unsigned joined_max, struct err *e)
{
    *g = (struct registry){.joined_max = joined_max, .next_us = INT64_MAX};
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr))
        return err_set(e, FERR_NO_MEMORY, "no memory for the clock of the HTTP server");
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int rc = pthread_mutex_init(&g->mutex, NULL);
    rc = rc ? rc : pthread_cond_init(&g->clock, &attr);
    rc = rc ? rc : pthread_cond_init(&g->change, &attr);
    pthread_condattr_destroy(&attr);
    rc = rc ? rc : pthread_create(&g->thread, NULL, clock_main, g);
    return rc ? err_errno(e, rc, "can't start the clock of the HTTP server") : 0;
}

void registry_end_clock(struct registry *g)
{
    lock(g);
    assert(!g->waiters);
    g->finished = true;
    pthread_cond_signal(&g->clock);
    unlock(g);
    pthread_join(g->thread, NULL);
}

void registry_fini(struct registry *g)
{
    pthread_cond_destroy(&g->clock);
    pthread_cond_destroy(&g->change);
    pthread_mutex_destroy(&g->mutex);
}

void registry_stop(struct registry *g, int64_t grace_us)
{
    lock(g);
    g->stopping = true;
    for (struct waiter *w = g->waiters; w; w = w->next)
        if (w->asleep)
            resume(w);
    while (g->commands > 0)
        pthread_cond_wait(&g->change, &g->mutex);
    struct timespec until = timespec_of(clock_mono_us() + grace_us);
    while (g->requests > 0)
        if (pthread_cond_timedwait(&g->change, &g->mutex, &until))
            break;
    unlock(g);
}

int wait_join(struct registry *g, struct waiter *w, struct MHD_Connection *conn, const char *job_id,
              struct err *e)
{
    lock(g);
    assert(!w->joined);
    bool full = g->joined >= g->joined_max;
    if (!full) {
        *w = (struct waiter){.next = g->waiters, .conn = conn, .joined = true, .notified = true};
        (void)snprintf(w->job_id, sizeof w->job_id, "%s", job_id);
        if (w->next)
            w->next->prev = w;
        g->waiters = w;
        g->joined++;
        metric_set(METRIC_STREAMS, 0, g->joined);
    }
    unlock(g);
    return full ? err_set(e, FERR_OVERLOADED, "%u event streams and long polls are open already",
                          g->joined_max)
                : 0;
}

void wait_leave(struct registry *g, struct waiter *w)
{
    lock(g);
    assert(!w->asleep);
    if (w->joined) {
        if (w->prev)
            w->prev->next = w->next;
        else
            g->waiters = w->next;
        if (w->next)
            w->next->prev = w->prev;
        w->joined = false;
        g->joined--;
        metric_set(METRIC_STREAMS, 0, g->joined);
    }
    unlock(g);
}

void wait_arm(struct registry *g, struct waiter *w)
{
    lock(g);
    w->notified = false;
    unlock(g);
}

enum wait_outcome wait_sleep(struct registry *g, struct waiter *w, int64_t deadline_us)
{
    lock(g);
    assert(w->joined && !w->asleep);
    enum wait_outcome outcome = g->stopping ? WAIT_STOPPING : w->notified ? WAIT_AGAIN : WAIT_ASLEEP;
    if (outcome == WAIT_ASLEEP) {
        w->asleep = true;
        w->deadline_us = deadline_us;
        MHD_suspend_connection(w->conn);
        clock_expect(g, deadline_us);
    }
    unlock(g);
    return outcome;
}

int wait_command_begin(struct registry *g, struct waiter *w, struct MHD_Connection *conn, struct err *e)
{
    lock(g);
    assert(!w->joined && !w->asleep);
    bool stopping = g->stopping;
    if (!stopping) {
        w->conn = conn;
        w->asleep = true;
        g->commands++;
        MHD_suspend_connection(conn);
    }
    unlock(g);
    return stopping ? err_set(e, FERR_SHUTTING_DOWN, "the daemon is stopping and takes no new work") : 0;
}

void wait_command_end(struct registry *g, struct waiter *w, void (*fill)(void *arg), void *arg)
{
    lock(g);
    assert(g->commands > 0);
    fill(arg);
    g->commands--;
    resume(w);
    pthread_cond_signal(&g->change);
    unlock(g);
}

void wait_notify(struct registry *g, const char *job_id)
{
    lock(g);
    for (struct waiter *w = g->waiters; w; w = w->next) {
        if (strcmp(w->job_id, job_id) != 0)
            continue;
        w->notified = true;
        if (w->asleep)
            resume(w);
    }
    unlock(g);
}

void watch_add(struct registry *g, struct conn_watch *c)
{
    lock(g);
    c->prev = NULL;
    c->next = g->conns;
    if (c->next)
        c->next->prev = c;
    g->conns = c;
    clock_expect(g, c->deadline_us);
    unlock(g);
}

void watch_remove(struct registry *g, struct conn_watch *c)
{
    lock(g);
    if (c->prev)
        c->prev->next = c->next;
    else
        g->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    unlock(g);
}

void watch_deadline(struct registry *g, struct conn_watch *c, int64_t deadline_us)
{
    lock(g);
    c->deadline_us = deadline_us;
    if (deadline_us)
        clock_expect(g, deadline_us);
    unlock(g);
}

void watch_request(struct registry *g, int by)
{
    lock(g);
    g->requests = by > 0 ? g->requests + 1 : g->requests - 1;
    if (g->requests == 0)
        pthread_cond_signal(&g->change);
    unlock(g);
}
