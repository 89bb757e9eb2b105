/*
 * fold.c: which events a job takes in which state, and what each makes of it.
 *
 * Any thread; pure. RULES is the whole state machine: an event is allowed in the states of `from`, and leads
 * to `to` or leaves the state alone. Final states are in no `from`, so a final job never changes again.
 */
#include "store/fold.h"

#include "store/sha256.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define IN(name) (1u << JOB_STATE_##name)
#define NEW (1u << JOB_STATE_COUNT) /* before the first event */
#define ACTIVE (IN(RUNNING) | IN(WAITING) | IN(CANCELLING))
#define SAME (-1)

static const struct {
    unsigned from;
    int to;
} RULES[EVENT_COUNT] = {
    [EVENT_JOB_QUEUED] = {NEW | IN(RUNNING) | IN(WAITING),
                          JOB_STATE_QUEUED}, /* again: given back to the queue */
    [EVENT_JOB_STARTED] = {IN(QUEUED), JOB_STATE_RUNNING},
    [EVENT_JOB_RESUMED] = {IN(QUEUED), JOB_STATE_RUNNING},
    [EVENT_STEP_STARTED] = {IN(QUEUED) | ACTIVE, SAME},
    [EVENT_STEP_FINISHED] = {IN(QUEUED) | ACTIVE, SAME},
    [EVENT_ATTEMPT_CREATED] = {ACTIVE, SAME},
    [EVENT_ATTEMPT_CHECKED] = {ACTIVE, SAME},
    [EVENT_ARTIFACT_STORED] = {IN(QUEUED) | ACTIVE, SAME},
    [EVENT_JOB_CANCELLING] = {ACTIVE, JOB_STATE_CANCELLING},
    [EVENT_JOB_SUCCEEDED] = {ACTIVE, JOB_STATE_SUCCEEDED},
    [EVENT_JOB_FAILED] = {IN(QUEUED) | ACTIVE, JOB_STATE_FAILED},
    [EVENT_JOB_CANCELLED] = {IN(QUEUED) | ACTIVE, JOB_STATE_CANCELLED},
};

void fold_row_init(struct fold_row *row)
{
    *row = (struct fold_row){.step = -1};
}

int fold_step_parse(const char *word)
{
    for (int i = 0; word && i < STEP_COUNT; i++)
        if (strcmp(word, step_name((enum step_kind)i)) == 0)
            return i;
    return -1;
}

/* ---- making events ready --------------------------------------------------------------------------------
 */

/* -1 where the field is absent and may be. */
static int read_int(const json_t *data, const char *name, bool needed, int min, int *out, struct err *e)
{
    const json_t *v = json_object_get(data, name);
    *out = -1;
    if (!v && !needed)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > INT_MAX)
        return err_set(e, FERR_INVALID_FIELD, "the event's \"%s\" is not an integer of at least %d", name,
                       min);
    *out = (int)json_integer_value(v);
    return 0;
}

static int read_step(const json_t *data, int *out, struct err *e)
{
    const char *word = json_string_value(json_object_get(data, "step"));
    *out = fold_step_parse(word);
    if (*out < 0)
        return err_set(e, FERR_INVALID_FIELD, "the event's \"step\" is \"%s\"", word ? word : "");
    return 0;
}

static int read_key(const json_t *data, char key[STORE_SHA_SIZE], struct err *e)
{
    const json_t *v = json_object_get(data, "key");
    if (!v)
        return 0;
    const char *s = json_string_value(v);
    if (!s || !sha256_valid(s))
        return err_set(e, FERR_INVALID_FIELD, "the event's \"key\" is not a hex sha256");
    memcpy(key, s, STORE_SHA_SIZE);
    return 0;
}

static int read_object(const json_t *data, const char *name, char **out, struct err *e)
{
    const json_t *v = json_object_get(data, name);
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_object(v))
        return err_set(e, FERR_INVALID_FIELD, "the event's \"%s\" is not an object", name);
    *out = json_dumps(v, JSON_COMPACT);
    return *out ? 0 : err_set(e, FERR_NO_MEMORY, "an event's %s does not fit into memory", name);
}

static int read_progress(struct fold_event *ev, const json_t *data, struct err *e)
{
    int rc = read_step(data, &ev->step, e);
    if (rc == 0)
        rc = read_int(data, "done", true, 0, &ev->done, e);
    if (rc == 0)
        rc = read_int(data, "total", true, 0, &ev->total, e);
    if (rc == 0 && ev->done > ev->total)
        rc = err_set(e, FERR_INVALID_FIELD, "the event has %d steps done of %d", ev->done, ev->total);
    return rc;
}

static int read_outcome(struct fold_event *ev, const json_t *data, struct err *e)
{
    int rc = read_object(data, "result", &ev->result, e);
    if (rc == 0)
        rc = read_object(data, "usage", &ev->usage, e);
    if (rc == 0)
        rc = read_int(data, "attempt", false, 0, &ev->attempt, e);
    return rc;
}

static int read_fields(struct fold_event *ev, const json_t *data, struct err *e)
{
    switch (ev->type) {
    case EVENT_STEP_STARTED:
        return read_progress(ev, data, e);
    case EVENT_STEP_FINISHED: {
        int rc = read_step(data, &ev->step, e);
        return rc < 0 ? rc : read_key(data, ev->key, e);
    }
    case EVENT_ATTEMPT_CREATED:
        return read_int(data, "n", true, 1, &ev->attempt, e);
    case EVENT_JOB_SUCCEEDED:
    case EVENT_JOB_FAILED:
    case EVENT_JOB_CANCELLED:
        return read_outcome(ev, data, e);
    default:
        return 0;
    }
}

int fold_event_init(struct fold_event *ev, enum event_type type, json_t *data, struct err *e)
{
    assert((unsigned)type < EVENT_COUNT);
    *ev = (struct fold_event){.type = type, .step = -1, .done = -1, .total = -1, .attempt = -1};
    if (data && !json_is_object(data))
        return err_set(e, FERR_INVALID_FIELD, "the data of a %s event is not an object", event_name(type));
    ev->data = data ? json_dumps(data, JSON_COMPACT) : strdup("{}");
    int rc = ev->data ? 0 : err_set(e, FERR_NO_MEMORY, "an event does not fit into memory");
    if (rc == 0)
        rc = read_fields(ev, data, e);
    if (rc < 0)
        fold_event_fini(ev);
    return rc;
}

void fold_event_fini(struct fold_event *ev)
{
    free(ev->data);
    free(ev->result);
    free(ev->usage);
    ev->data = ev->result = ev->usage = NULL;
}

/* ---- the fold ------------------------------------------------------------------------------------------ */

static void set_progress(struct fold_row *row, const struct fold_event *ev)
{
    row->step = ev->step;
    if (ev->type == EVENT_STEP_STARTED) {
        row->steps_done = ev->done;
        row->steps_total = ev->total;
    } else if (row->steps_done < row->steps_total) {
        row->steps_done++;
    }
}

static void set_state(struct fold_row *row, const struct fold_event *ev)
{
    row->state = (enum job_state)RULES[ev->type].to;
    if (row->state == JOB_STATE_RUNNING && row->started_us == 0)
        row->started_us = ev->at_us;
    if (job_state_final(row->state)) {
        row->finished_us = ev->at_us;
        row->result = ev->result;
        row->usage = ev->usage;
    }
}

int fold_apply(struct fold_row *row, const struct fold_event *ev, struct err *e)
{
    unsigned now = row->version == 0 ? NEW : 1u << row->state;
    if (!(RULES[ev->type].from & now))
        return err_set(e, FERR_CONFLICT, "the job is %s: it takes no %s event",
                       now == NEW ? "new" : job_state_name(row->state), event_name(ev->type));
    if (row->version == 0)
        row->created_us = ev->at_us;
    row->version = ev->seq;
    row->updated_us = ev->at_us;
    if (ev->step >= 0)
        set_progress(row, ev);
    if (ev->attempt >= 0)
        row->attempt = ev->attempt;
    if (RULES[ev->type].to != SAME)
        set_state(row, ev);
    return 0;
}
