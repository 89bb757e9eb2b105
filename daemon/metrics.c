/*
 * metrics.c: storage and text form of the metrics table.
 *
 * Any thread: relaxed atomics, no order between metrics is promised.
 */
#include "daemon/metrics.h"

#include "daemon/vocab.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

enum {
    SLOTS_HTTP_CLASSES = 4,
    SLOTS_VERDICTS = VERDICT_COUNT,
    SLOTS_JOB_STATES = JOB_STATE_COUNT,
    SLOTS_STEPS = STEP_COUNT,
    SLOTS_REASONS = REASON_COUNT,
    SLOTS_ENVS = 2,
    SLOTS_MAX = 64,
};
_Static_assert(SLOTS_REASONS <= SLOTS_MAX, "a metric needs more slots");

struct metric_row {
    const char *name, *type;
    unsigned slots;
    const char *label, *help;
};

static const struct metric_row ROWS[METRIC_COUNT] = {
#define X(id, name, type, slots, label, help) {name, type, slots, label, help},
    METRIC_TABLE(X)
#undef X
};

static _Atomic int64_t g_values[METRIC_COUNT][SLOTS_MAX];

static const char *http_class(unsigned slot)
{
    static const char *const WORDS[SLOTS_HTTP_CLASSES] = {"2xx", "3xx", "4xx", "5xx"};
    return WORDS[slot];
}

static const char *slot_value(enum metric m, unsigned slot)
{
    static const char *const ENVS[SLOTS_ENVS] = {"torch", "jax"};
    switch (m) {
    case METRIC_HTTP_REQUESTS:
        return http_class(slot);
    case METRIC_JOBS_FINISHED:
        return verdict_name((enum verdict_kind)slot);
    case METRIC_JOBS:
        return job_state_name((enum job_state)slot);
    case METRIC_STEPS:
    case METRIC_STEP_MICROSECONDS:
    case METRIC_STEPS_CACHED:
        return step_name((enum step_kind)slot);
    case METRIC_STEP_LIMITS:
        return reason_name((enum reason)slot);
    case METRIC_ZYGOTE_RESTARTS:
        return ENVS[slot];
    default:
        return "";
    }
}

void metric_add(enum metric m, unsigned slot, int64_t by)
{
    assert((unsigned)m < METRIC_COUNT && slot < ROWS[m].slots);
    atomic_fetch_add_explicit(&g_values[m][slot], by, memory_order_relaxed);
}

void metric_set(enum metric m, unsigned slot, int64_t value)
{
    assert((unsigned)m < METRIC_COUNT && slot < ROWS[m].slots);
    atomic_store_explicit(&g_values[m][slot], value, memory_order_relaxed);
}

int64_t metric_get(enum metric m, unsigned slot)
{
    assert((unsigned)m < METRIC_COUNT && slot < ROWS[m].slots);
    return atomic_load_explicit(&g_values[m][slot], memory_order_relaxed);
}

void metrics_render(struct buf *out)
{
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &ROWS[m];
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, row->type);
        for (unsigned slot = 0; slot < row->slots; slot++) {
            int64_t value = metric_get((enum metric)m, slot);
            if (row->label)
                buf_printf(out, "%s{%s=\"%s\"} %" PRId64 "\n", row->name, row->label,
                           slot_value((enum metric)m, slot), value);
            else
                buf_printf(out, "%s %" PRId64 "\n", row->name, value);
        }
    }
}
