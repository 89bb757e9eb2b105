/*
 * pool.c: worker threads and who may interrupt them.
 *
 * A worker owns a uv loop (spun inside sandbox_run) and the job it claimed. `lock` guards the
 * current job's id and the flags below it; the cancel flag is atomic since the pipeline polls it.
 * A cancel that is committed while a worker is still claiming is not lost: the worker names
 * its job here first and reads the job's state afterwards.
 */
#include "workers/pool.h"

#include "daemon/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct worker {
    struct pool *pool; /* borrowed */
    uv_thread_t thread;
    uv_loop_t loop; /* this worker's thread only */
    uv_async_t wake;
    atomic_bool cancelled;
    char job_id[JOB_ID_SIZE]; /* under pool->lock; "" while idle */
};

struct pool {
    struct pipeline *pipeline; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* wakes, stopping, or a worker that became idle */
    unsigned wakes;         /* counts: a worker sleeps only while it has seen them all */
    bool stopping;          /* no new jobs */
    bool releasing;         /* the grace is over */
    unsigned n;
    struct worker workers[];
};

static void on_wake(uv_async_t *handle)
{
    (void)handle; /* it only makes the loop turn, so that flags are seen */
}

/* Sleeps until something may be waiting; false when the pool stops. */
static bool wait_for_work(struct pool *pool, unsigned *seen)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping && *seen == pool->wakes)
        pthread_cond_wait(&pool->changed, &pool->lock);
    *seen = pool->wakes;
    bool go_on = !pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return go_on;
}

static void name_job(struct worker *w, const char *job_id)
{
    struct pool *pool = w->pool;
    pthread_mutex_lock(&pool->lock);
    memcpy(w->job_id, job_id, strlen(job_id) + 1);
    if (*job_id)
        atomic_store(&w->cancelled, pool->releasing);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static bool stopping(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool yes = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return yes;
}

static void claim_and_run(struct worker *w)
{
    struct pool *pool = w->pool;
    struct worker_io io = {.loop = &w->loop, .wake = &w->wake, .cancelled = &w->cancelled};
    struct err e = {0};
    struct store_lease lease;
    int rc = 0;
    while (!stopping(pool) && (rc = store_job_claim(pool->pipeline->store, &lease, &e)) == 1) {
        name_job(w, lease.job_id);
        pipeline_run(pool->pipeline, &io, &lease);
        name_job(w, "");
    }
    if (rc < 0 && rc != FERR_SHUTTING_DOWN)
        log_error("pool", "cannot claim a job", "error", e.text);
}

static void work(void *arg)
{
    struct worker *w = arg;
    unsigned seen = 0;
    do
        claim_and_run(w);
    while (wait_for_work(w->pool, &seen));
    uv_close((uv_handle_t *)&w->wake, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
}

int pool_start(struct pipeline *p, unsigned workers, struct pool **out, struct err *e)
{
    struct pool *pool = calloc(1, sizeof *pool + workers * sizeof pool->workers[0]);
    if (!pool)
        return err_set(e, FERR_NO_MEMORY, "no memory for %u workers", workers);
    pool->pipeline = p;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    for (unsigned i = 0; i < workers; i++) {
        struct worker *w = &pool->workers[i];
        w->pool = pool;
        int rc = uv_loop_init(&w->loop);
        assert(rc == 0);
        rc = uv_async_init(&w->loop, &w->wake, on_wake);
        assert(rc == 0);
        if (uv_thread_create(&w->thread, work, w) != 0) {
            pool_stop(pool, 0);
            pool_free(pool);
            return err_set(e, FERR_NO_MEMORY, "cannot start worker thread %u", i);
        }
        pool->n++;
    }
    *out = pool;
    return 0;
}

void pool_wake(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->wakes++;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static void interrupt_locked(struct worker *w)
{
    atomic_store(&w->cancelled, true);
    uv_async_send(&w->wake);
}

void pool_cancel(struct pool *pool, const char *job_id)
{
    pthread_mutex_lock(&pool->lock);
    for (unsigned i = 0; i < pool->n; i++)
        if (strcmp(pool->workers[i].job_id, job_id) == 0)
            interrupt_locked(&pool->workers[i]);
    pthread_mutex_unlock(&pool->lock);
}

static bool all_idle_locked(const struct pool *pool)
{
    for (unsigned i = 0; i < pool->n; i++)
        if (pool->workers[i].job_id[0])
            return false;
    return true;
}

void pool_stop(struct pool *pool, unsigned grace_ms)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += grace_ms / 1000;
    end.tv_nsec += (long)(grace_ms % 1000) * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
    while (!all_idle_locked(pool))
        if (pthread_cond_timedwait(&pool->changed, &pool->lock, &end) != 0)
            break;
    pool->releasing = true;
    for (unsigned i = 0; i < pool->n; i++)
        if (pool->workers[i].job_id[0])
            interrupt_locked(&pool->workers[i]);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n; i++)
        (void)uv_thread_join(&pool->workers[i].thread);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->n; i++) {
        int rc = uv_loop_close(&pool->workers[i].loop);
        assert(rc == 0);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
