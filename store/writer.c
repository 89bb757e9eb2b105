/*
 * writer.c: the writer thread, its queue and group commit.
 *
 * Any thread posts commands; the writer takes all that wait, runs each in a savepoint of one transaction,
 * commits (one fsync for the group), and only then calls the done callbacks in order and tells the listener
 * of each event. A refused command is rolled back alone. Where the whole transaction fails (disk full, I/O),
 * each command of the group is tried once more by itself, so that only the culprit learns of it. Fatal: a
 * connection that stays in a transaction after ROLLBACK.
 */
#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROUP_MAX 512
#define NAP_MAX_US 60000000

static const char SQL_BEGIN[] = "BEGIN IMMEDIATE";
static const char SQL_COMMIT[] = "COMMIT";
static const char SQL_ROLLBACK[] = "ROLLBACK";
static const char SQL_SAVEPOINT[] = "SAVEPOINT command";
static const char SQL_SAVEPOINT_UNDO[] = "ROLLBACK TO command";
static const char SQL_SAVEPOINT_END[] = "RELEASE command";

/* ---- the queue ----------------------------------------------------------------------------------------- */

static int enqueue(struct store *s, struct command *c, struct err *e)
{
    struct writer *w = &s->writer;
    int rc = 0;
    c->next = NULL;
    (void)pthread_mutex_lock(&w->lock);
    if (w->stopping) {
        rc = err_set(e, FERR_SHUTTING_DOWN, "the store is closing");
    } else if (w->queued >= w->queue_max) {
        rc = err_set(e, FERR_OVERLOADED, "%u changes already wait for the store", w->queued);
    } else {
        *w->tail = c;
        w->tail = &c->next;
        w->queued++;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

static void command_free(struct command *c)
{
    if (c->free)
        c->free(c);
}

int writer_post(struct store *s, struct command *c, struct err *e)
{
    int rc = enqueue(s, c, e);
    if (rc < 0)
        command_free(c);
    return rc;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    int rc;
    struct err *e;
};

static void waiter_done(void *arg, int rc, const struct err *e)
{
    struct waiter *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    w->done = true;
    w->rc = rc;
    if (rc < 0 && w->e)
        *w->e = *e;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

int writer_call(struct store *s, struct command *c, struct err *e)
{
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .e = e};
    void (*keep)(struct command *) = c->free;
    c->free = NULL; /* the caller reads the results and frees */
    c->done = waiter_done;
    c->arg = &w;
    int rc = enqueue(s, c, e);
    if (rc == 0) {
        (void)pthread_mutex_lock(&w.lock);
        while (!w.done)
            (void)pthread_cond_wait(&w.wake, &w.lock);
        (void)pthread_mutex_unlock(&w.lock);
        rc = w.rc;
    }
    c->free = keep;
    (void)pthread_cond_destroy(&w.wake);
    (void)pthread_mutex_destroy(&w.lock);
    return rc;
}

/* Sleeps until a command waits, the store closes, or the trash is due. */
static void queue_wait(struct writer *w)
{
    int64_t nap = w->trash_due_us - clock_wall_us();
    if (nap > NAP_MAX_US)
        nap = NAP_MAX_US;
    struct timespec until;
    int64_t at = clock_mono_us() + nap;
    until.tv_sec = (time_t)(at / 1000000);
    until.tv_nsec = (long)(at % 1000000) * 1000;
    while (!w->head && !w->stopping && nap > 0)
        if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
            break;
}

/* The next group in order, or NULL; `*stop` where there will be no more. */
static struct command *queue_take(struct writer *w, bool *stop)
{
    (void)pthread_mutex_lock(&w->lock);
    queue_wait(w);
    struct command *first = w->head, *last = first;
    unsigned n = first ? 1 : 0;
    for (; last && last->next && n < GROUP_MAX; n++)
        last = last->next;
    if (last) {
        w->head = last->next;
        last->next = NULL;
    }
    if (!w->head)
        w->tail = &w->head;
    w->queued -= n;
    *stop = w->stopping && !first;
    (void)pthread_mutex_unlock(&w->lock);
    return first;
}

/* ---- groups -------------------------------------------------------------------------------------------- */

int writer_note(struct store *s, const char *job_id, int64_t seq, enum event_type type, struct err *e)
{
    struct writer *w = &s->writer;
    if (w->n_notes == w->notes_cap) {
        size_t cap = w->notes_cap ? 2 * w->notes_cap : 256;
        struct note *grown = realloc(w->notes, cap * sizeof *grown);
        if (!grown)
            return err_set(e, FERR_NO_MEMORY, "no memory for the events of a commit");
        w->notes = grown;
        w->notes_cap = cap;
    }
    struct note *n = &w->notes[w->n_notes++];
    memcpy(n->job_id, job_id, sizeof n->job_id);
    n->seq = seq;
    n->type = type;
    return 0;
}

static int statement(struct store *s, const char *sql, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, sql);
    return query_run(&q, e);
}

/* Runs one command; its outcome is c->rc. Negative only where the whole transaction is spoilt. */
static int command_run(struct store *s, struct command *c, struct err *e)
{
    size_t mark = s->writer.n_notes;
    int rc = statement(s, SQL_SAVEPOINT, e);
    if (rc < 0)
        return rc;
    memset(&c->err, 0, sizeof c->err);
    c->rc = c->run(s, c, &c->err);
    if (c->rc < 0) {
        s->writer.n_notes = mark;
        if (!db_in_transaction(&s->db)) {
            *e = c->err;
            return c->rc;
        }
        rc = statement(s, SQL_SAVEPOINT_UNDO, e);
    }
    return rc < 0 ? rc : statement(s, SQL_SAVEPOINT_END, e);
}

static void rollback(struct store *s)
{
    struct err ignored;
    if (db_in_transaction(&s->db))
        (void)statement(s, SQL_ROLLBACK, &ignored);
    assert(!db_in_transaction(&s->db));
}

/* One transaction for `first` and those after it. On failure nothing of it happened, and all say so. */
static int group_commit(struct store *s, struct command *first, struct err *e)
{
    s->writer.n_notes = 0;
    int rc = statement(s, SQL_BEGIN, e);
    for (struct command *c = first; c && rc == 0; c = c->next)
        rc = command_run(s, c, e);
    if (rc == 0)
        rc = statement(s, SQL_COMMIT, e);
    if (rc == 0) {
        (void)atomic_fetch_add(&s->writer.commits, 1);
        return 0;
    }
    rollback(s);
    s->writer.n_notes = 0;
    for (struct command *c = first; c; c = c->next) {
        c->rc = rc;
        c->err = *e;
    }
    return rc;
}

static void tell_listener(struct store *s)
{
    struct writer *w = &s->writer;
    (void)pthread_mutex_lock(&w->lock);
    store_listener_fn listener = w->listener;
    void *arg = w->listener_arg;
    (void)pthread_mutex_unlock(&w->lock);
    (void)atomic_fetch_add(&w->events, w->n_notes);
    for (size_t i = 0; listener && i < w->n_notes; i++)
        listener(arg, w->notes[i].job_id, w->notes[i].seq, w->notes[i].type);
    w->n_notes = 0;
}

static void group_finish(struct store *s, struct command *first)
{
    for (struct command *c = first, *next; c; c = next) {
        next = c->next;
        bool heap = c->free != NULL; /* others are their waiter's again once done returns */
        (void)atomic_fetch_add(&s->writer.commands, 1);
        if (c->done)
            c->done(c->arg, c->rc, &c->err);
        if (heap)
            c->free(c);
    }
    tell_listener(s);
}

static void group_run(struct store *s, struct command *first)
{
    struct err e = {0};
    if (group_commit(s, first, &e) == 0 || !first->next) {
        group_finish(s, first);
        return;
    }
    for (struct command *c = first, *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        (void)group_commit(s, c, &e);
        group_finish(s, c);
    }
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void *writer_main(void *arg)
{
    struct store *s = arg;
    for (bool stop = false; !stop;) {
        struct command *group = queue_take(&s->writer, &stop);
        if (group)
            group_run(s, group);
        if (!stop && s->writer.trash_due_us <= clock_wall_us())
            trash_turn(s);
    }
    return NULL;
}

static int init_sync(struct writer *w)
{
    pthread_condattr_t attr;
    int rc = pthread_mutex_init(&w->lock, NULL);
    if (rc == 0)
        rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&w->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    return rc;
}

int writer_start(struct store *s, unsigned queue_max, struct err *e)
{
    struct writer *w = &s->writer;
    w->tail = &w->head;
    w->queue_max = queue_max;
    int rc = init_sync(w);
    if (rc == 0)
        rc = pthread_create(&w->thread, NULL, writer_main, s);
    return rc == 0 ? 0 : err_errno(e, rc, "starting the writer thread");
}

void writer_stop(struct store *s)
{
    struct writer *w = &s->writer;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    free(w->notes);
}

void store_set_listener(struct store *s, store_listener_fn fn, void *arg)
{
    (void)pthread_mutex_lock(&s->writer.lock);
    s->writer.listener = fn;
    s->writer.listener_arg = arg;
    (void)pthread_mutex_unlock(&s->writer.lock);
}

void store_stats_get(struct store *s, struct store_stats *out)
{
    struct writer *w = &s->writer;
    out->commits = atomic_load(&w->commits);
    out->commands = atomic_load(&w->commands);
    out->events = atomic_load(&w->events);
    (void)pthread_mutex_lock(&w->lock);
    out->queue_len = w->queued;
    (void)pthread_mutex_unlock(&w->lock);
}
