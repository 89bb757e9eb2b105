/*
 * pool.h: the worker threads. Each claims a job, runs it from top to bottom (pipeline.h) and takes the next.
 */
#ifndef FERRY_WORKERS_POOL_H
#define FERRY_WORKERS_POOL_H

#include "daemon/err.h"
#include "workers/pipeline/pipeline.h"

struct pool;

/* Main thread. `p` is borrowed until pool_free. */
int pool_start(struct pipeline *p, unsigned workers, struct pool **out, struct err *e);
/* Any thread, never blocks for long: a job may be waiting. */
void pool_wake(struct pool *pool);
/* Any thread: stop this job if a worker has it. */
void pool_cancel(struct pool *pool, const char *job_id);
/* Main thread: no new jobs; running steps get `grace_ms`, then their jobs go back to the queue. Joins the
 * workers. */
void pool_stop(struct pool *pool, unsigned grace_ms);
void pool_free(struct pool *pool);

#endif
