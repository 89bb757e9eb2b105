/*
 * metrics.h: counters and gauges, one table, in the Prometheus text format (0.0.4).
 *
 * Any thread: relaxed atomics. Metrics with one label have one slot per label value.
 */
#ifndef FERRY_DAEMON_METRICS_H
#define FERRY_DAEMON_METRICS_H

#include <stdint.h>

#include "daemon/buf.h"

/*  name, type, slots, label, help. Label values are in metrics.c. */
#define METRIC_TABLE(X)                                                                            \
    X(HTTP_REQUESTS, "ferryd_http_requests_total", "counter", SLOTS_HTTP_CLASSES, "class",         \
      "HTTP responses by status class")                                                            \
    X(HTTP_CONNECTIONS, "ferryd_http_connections", "gauge", 1, 0, "Open HTTP connections")         \
    X(STREAMS, "ferryd_event_streams", "gauge", 1, 0, "Open event streams and long polls")         \
    X(JOBS_FINISHED, "ferryd_jobs_finished_total", "counter", SLOTS_VERDICTS, "verdict",           \
      "Finished jobs by verdict")                                                                  \
    X(JOBS_CANCELLED, "ferryd_jobs_cancelled_total", "counter", 1, 0, "Cancelled jobs")            \
    X(JOBS, "ferryd_jobs", "gauge", SLOTS_JOB_STATES, "state", "Jobs by state")                    \
    X(STEPS, "ferryd_steps_total", "counter", SLOTS_STEPS, "step", "Steps run in a sandbox")       \
    X(STEP_MICROSECONDS, "ferryd_step_microseconds_total", "counter", SLOTS_STEPS, "step",         \
      "Wall time of steps")                                                                        \
    X(STEPS_CACHED, "ferryd_steps_cached_total", "counter", SLOTS_STEPS, "step",                   \
      "Steps answered from the store")                                                             \
    X(STEP_LIMITS, "ferryd_step_limits_total", "counter", SLOTS_REASONS, "reason",                 \
      "Steps that failed, by reason")                                                              \
    X(ZYGOTE_RESTARTS, "ferryd_zygote_restarts_total", "counter", SLOTS_ENVS, "environment",       \
      "Zygotes started again")                                                                     \
    X(STORE_COMMITS, "ferryd_store_commits_total", "counter", 1, 0, "Durable commits")             \
    X(STORE_COMMANDS, "ferryd_store_commands_total", "counter", 1, 0, "Commands in those commits") \
    X(RESIDENT_BYTES, "ferryd_resident_bytes", "gauge", 1, 0, "Resident memory of the daemon")     \
    X(UPTIME_SECONDS, "ferryd_uptime_seconds", "gauge", 1, 0, "Seconds since the start")

#define X(name, ...) METRIC_##name,
enum metric { METRIC_TABLE(X) METRIC_COUNT };
#undef X

void metric_add(enum metric m, unsigned slot, int64_t by);
void metric_set(enum metric m, unsigned slot, int64_t value);
int64_t metric_get(enum metric m, unsigned slot);
/* Appends all metrics. */
void metrics_render(struct buf *out);

#endif
