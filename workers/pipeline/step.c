/*
 * step.c: one step of a job, from its request to its stored result.
 *
 * Worker thread. A step is named by the hash of its function, our code, its request and its inputs.
 * A result is kept only where the step ended well ({"ok": true}): failures may be the machine's
 * and are tried anew. The order is blobs, then the row, then the event: a crash in between
 * repeats the step and loses nothing.
 */
#include "workers/pipeline/pipeline.h"

#include "daemon/log.h"
#include "daemon/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    enum sandbox_env env;
    bool candidate; /* runs the candidate, whose fault a bad end is */
} FUNCTIONS[] = {
    [FUNCTION_INSPECT] = {"inspect", SANDBOX_TORCH, false},
    [FUNCTION_CAPTURE] = {"capture", SANDBOX_TORCH, false},
    [FUNCTION_DRAFT] = {"draft", SANDBOX_TORCH, false},
    [FUNCTION_CHECK] = {"check", SANDBOX_JAX, true},
    [FUNCTION_ACCEPT] = {"accept", SANDBOX_TORCH, false},
    [FUNCTION_SAMPLE] = {"sample", SANDBOX_TORCH, false},
    [FUNCTION_FINGERPRINT] = {"fingerprint", SANDBOX_TORCH, false},
    [FUNCTION_DELIVER] = {"deliver", SANDBOX_TORCH, false},
};

/* The steps that a job goes through, in order; a candidate that is given needs no draft. */
static const enum step_kind MIGRATING[] = {STEP_INTAKE, STEP_INSPECT, STEP_CAPTURE, STEP_DRAFT,
                                           STEP_CHECK,  STEP_ACCEPT,  STEP_DELIVER};
static const enum step_kind VERIFYING[] = {STEP_INTAKE, STEP_INSPECT, STEP_CAPTURE,
                                           STEP_CHECK,  STEP_ACCEPT,  STEP_DELIVER};

/* How many of the job's steps come before `kind`, of how many. */
static int progress(const struct run *r, enum step_kind kind, int *total)
{
    const enum step_kind *steps = r->given ? VERIFYING : MIGRATING;
    *total = (int)(r->given ? sizeof VERIFYING / sizeof *VERIFYING : sizeof MIGRATING / sizeof *MIGRATING);
    int before = 0;
    while (before < *total && steps[before] != kind)
        before++;
    return before;
}

void step_out_fini(struct step_out *o)
{
    json_decref(o->result);
    *o = (struct step_out){0};
}

const char *step_out_sha(const struct step_out *o, const char *name)
{
    for (size_t i = 0; i < o->n_out; i++)
        if (strcmp(o->out_names[i], name) == 0)
            return o->out_sha[i];
    return NULL;
}

static int step_key(const struct run *r, const char *function, json_t *request, const struct step_in *ins,
                    size_t n_in, char key[STORE_SHA_SIZE], struct err *e)
{
    json_t *inputs = json_object();
    for (size_t i = 0; i < n_in; i++)
        (void)json_object_set_new(inputs, ins[i].name, json_string(ins[i].sha));
    json_t *whole = json_pack("{s:s, s:s, s:O, s:o}", "step", function, "code", r->p->code, "request",
                              request, "in", inputs);
    char *text = whole ? json_dumps(whole, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(whole);
    if (!text)
        return err_set(e, FERR_NO_MEMORY, "no memory for the key of step %s", function);
    store_sha256(text, strlen(text), key);
    free(text);
    return 0;
}

static int append(struct run *r, enum event_type type, json_t *data, struct err *e)
{
    struct store_event_new event = {.type = type, .data = data};
    int rc = store_append_wait(r->p->store, r->lease, r->lease->job_id, &event, 1, e);
    json_decref(data);
    return rc;
}

/* 1 and `out` filled from the store, 0 where this step has not run yet. */
static int step_from_store(struct run *r, const char *key, struct step_out *out, struct err *e)
{
    struct store_step row;
    int rc = store_step_get(r->reader, key, &row, e);
    if (rc != 1)
        return rc;
    char *text;
    size_t len;
    if ((rc = store_blob_read(r->p->store, row.result_sha, &text, &len, e)) != 0)
        return rc;
    out->result = json_loadb(text, len, 0, NULL);
    free(text);
    if (!out->result)
        return err_set(e, FERR_STORE, "the stored result of a step is not JSON");
    out->n_out = row.n_out;
    memcpy(out->out_names, row.out_names, sizeof out->out_names);
    memcpy(out->out_sha, row.out_sha, sizeof out->out_sha);
    return 1;
}

static int step_to_store(struct run *r, const char *key, const struct sandbox_step *step,
                         const struct sandbox_result *result, struct step_out *out, struct err *e)
{
    struct store_step row = {.n_out = step->n_out, .seconds = result->wall_s};
    memcpy(row.key, key, sizeof row.key);
    for (size_t i = 0; i < step->n_out; i++) {
        int64_t size;
        int rc = store_blob_put_fd(r->p->store, result->out_fds[i], row.out_sha[i], &size, e);
        if (rc != 0)
            return rc;
        (void)snprintf(row.out_names[i], sizeof row.out_names[i], "%s", step->out_names[i]);
    }
    char *text = json_dumps(result->result, JSON_COMPACT);
    if (!text)
        return err_set(e, FERR_NO_MEMORY, "no memory for the result of step %s", step->name);
    int rc = store_blob_put(r->p->store, text, strlen(text), row.result_sha, e);
    free(text);
    if (rc != 0 || (rc = store_step_put(r->p->store, &row, e)) != 0)
        return rc;
    out->result = json_incref(result->result);
    out->n_out = row.n_out;
    memcpy(out->out_names, row.out_names, sizeof out->out_names);
    memcpy(out->out_sha, row.out_sha, sizeof out->out_sha);
    return 0;
}

static void log_output(struct run *r, const char *function, const struct sandbox_result *result)
{
    buf_printf(&r->log, "== %s: %.3f s, %.3f s CPU, %.0f MiB\n", function, result->wall_s, result->cpu_s,
               (double)result->peak_rss_bytes / 1048576);
    if (result->output && *result->output)
        buf_printf(&r->log, "%s%s", result->output,
                   result->output[strlen(result->output) - 1] == '\n' ? "" : "\n");
    if (!result->ok)
        buf_printf(&r->log, "%s: %s\n", reason_name(result->reason), result->detail);
}

/* Runs it in the sandbox; input blobs are opened here and lent to the step. */
static int step_in_sandbox(struct run *r, struct sandbox_step *step, const struct step_in *ins,
                           struct sandbox_result *result, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < step->n_in && rc == 0; i++) {
        int64_t size;
        step->in_names[i] = ins[i].name;
        step->in_fds[i] = -1;
        rc = store_blob_open(r->p->store, ins[i].sha, &step->in_fds[i], &size, e);
        if (rc != 0)
            step->n_in = i;
    }
    if (rc == 0)
        rc = sandbox_run(r->p->sandbox, r->io, step, result, e);
    for (size_t i = 0; i < step->n_in; i++)
        (void)close(step->in_fds[i]);
    return rc;
}

/* The wall-clock limit of the next step: its own, or what is left of the job's time. */
static unsigned wall_ms(const struct run *r)
{
    int64_t left_ms = (r->deadline_us - clock_mono_us()) / 1000;
    if (left_ms < 1)
        return 0;
    return left_ms < r->p->limits.wall_ms ? (unsigned)left_ms : r->p->limits.wall_ms;
}

/* What a sandbox result means for the job: RUN_GO_ON where there is a good result object. */
static int step_judge(struct run *r, enum step_kind kind, bool candidate, const struct sandbox_step *step,
                      const struct sandbox_result *result)
{
    if (!result->ok) {
        metric_add(METRIC_STEP_LIMITS, result->reason, 1);
        bool late = result->reason == REASON_LIMIT_WALL && step->limits.wall_ms < r->p->limits.wall_ms;
        enum reason reason = late ? REASON_BUDGET : result->reason;
        json_t *error = run_error(reason, "step %s: %s", step_name(kind), result->detail);
        (void)run_end(r, reason, candidate, error);
        json_decref(error);
        return RUN_ENDED;
    }
    if (json_is_true(json_object_get(result->result, "ok")))
        return RUN_GO_ON;
    json_t *error = json_object_get(result->result, "error");
    int reason = reason_parse(json_string_value(json_object_get(error, "code")));
    return run_end(r, reason < 0 ? REASON_RESULT_INVALID : (enum reason)reason, candidate, error);
}

/* What the check step says of its own time, stage by stage; for the report, nothing is decided by it. */
static void add_stage_seconds(struct run *r, const json_t *stages)
{
    for (int s = 0; s < STAGE_COUNT; s++) {
        const char *name = stage_name((enum stage)s);
        double seconds = json_number_value(json_object_get(json_object_get(stages, name), "seconds"));
        double before = json_number_value(json_object_get(r->stage_seconds, name));
        if (seconds > 0 && seconds < 1e6)
            (void)json_object_set_new(r->stage_seconds, name, json_real(before + seconds));
    }
}

/* The key in the event ties the stored step to the job, so that both go together. */
static int step_finish(struct run *r, enum step_kind kind, enum function function, const char *key,
                       const struct step_out *out, double seconds, bool cached, struct err *e)
{
    const char *name = FUNCTIONS[function].name;
    (void)json_object_set(r->confinement, FUNCTIONS[function].env == SANDBOX_TORCH ? "torch" : "jax",
                          json_object_get(out->result, "confinement"));
    double before = json_number_value(json_object_get(r->seconds, name));
    (void)json_object_set_new(r->seconds, name, json_real(before + seconds));
    if (function == FUNCTION_CHECK && !cached)
        add_stage_seconds(r, json_object_get(out->result, "stages"));
    int total, done = progress(r, kind, &total) + 1;
    return append(r, EVENT_STEP_FINISHED,
                  json_pack("{s:s, s:s, s:s, s:f, s:b, s:i, s:i, s:s*}", "key", key, "step", step_name(kind),
                            "function", name, "seconds", seconds, "cached", cached, "done", done, "total",
                            total, "part", r->part),
                  e);
}

static int step_fresh(struct run *r, enum step_kind kind, enum function function, struct sandbox_step *step,
                      const char *key, const struct step_in *ins, struct step_out *out, struct err *e)
{
    struct sandbox_result result = {0};
    int rc = step_in_sandbox(r, step, ins, &result, e);
    if (rc == 0) {
        metric_add(METRIC_STEPS, kind, 1);
        metric_add(METRIC_STEP_MICROSECONDS, kind, (int64_t)(result.wall_s * 1e6));
        log_output(r, step->name, &result);
        rc = step_judge(r, kind, FUNCTIONS[function].candidate, step, &result);
        if (rc == RUN_GO_ON) { /* kept with the result: a report says what was in force when the step ran */
            (void)json_object_set_new(result.result, "confinement",
                                      result.confinement ? json_incref(result.confinement) : json_array());
            rc = step_to_store(r, key, step, &result, out, e);
        }
        if (rc == 0)
            rc = step_finish(r, kind, function, key, out, result.wall_s, false, e);
    }
    sandbox_result_fini(&result);
    return rc;
}

int step_run(struct run *r, enum step_kind kind, enum function function, json_t *request,
             const struct step_in *ins, size_t n_in, const char *const *outs, size_t n_out,
             struct step_out *out, struct err *e)
{
    assert(n_in <= 4 && n_out <= 4);
    kind = r->part ? STEP_CHECK : kind; /* all that is run for a class checks the candidate */
    const char *name = FUNCTIONS[function].name;
    char key[STORE_SHA_SIZE];
    int total, done = progress(r, kind, &total);
    int rc = step_key(r, name, request, ins, n_in, key, e);
    if (rc == 0)
        rc = append(r, EVENT_STEP_STARTED,
                    json_pack("{s:s, s:s, s:i, s:i, s:s*}", "step", step_name(kind), "function", name, "done",
                              done, "total", total, "part", r->part),
                    e);
    if (rc != 0)
        return rc;
    rc = step_from_store(r, key, out, e);
    if (rc == 1) {
        metric_add(METRIC_STEPS_CACHED, kind, 1);
        buf_printf(&r->log, "== %s: from the store\n", name);
        return step_finish(r, kind, function, key, out, 0, true, e);
    }
    if (rc != 0)
        return rc;

    struct sandbox_step step = {
        .env = FUNCTIONS[function].env, .name = name, .n_in = n_in, .n_out = n_out, .limits = r->p->limits};
    step.limits.wall_ms = wall_ms(r);
    if (step.limits.wall_ms == 0)
        return run_end(r, REASON_BUDGET, FUNCTIONS[function].candidate, NULL);
    for (size_t i = 0; i < n_out; i++)
        step.out_names[i] = outs[i];
    char *text = json_dumps(request, JSON_COMPACT);
    if (!text)
        return err_set(e, FERR_NO_MEMORY, "no memory for the request of step %s", name);
    step.request = text;
    step.request_len = strlen(text);
    rc = step_fresh(r, kind, function, &step, key, ins, out, e);
    free(text);
    return rc;
}
