/*
 * run.c: a job from top to bottom.
 *
 * Worker thread. The stretches between claim and end: inspect, capture, draft (or the candidate that was
 * given), check, judge, accept, locate, conclude, parts, deliver. A stretch says RUN_GO_ON, RUN_ENDED (the
 * job's outcome is known; what can still be delivered is) or a code: cancelled and shutting down have ends of
 * their own, anything else is an internal error.
 */
#include "workers/pipeline/pipeline.h"

#include "daemon/log.h"
#include "daemon/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 4 << 20 };

json_t *run_error(enum reason reason, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return json_pack("{s:s, s:s}", "code", reason_name(reason), "message", text);
}

int run_end(struct run *r, enum reason reason, bool candidate, json_t *error)
{
    r->verdict = reason_verdict(reason, candidate);
    r->reason = (int)reason;
    json_decref(r->error);
    r->error = json_is_object(error) ? json_incref(error) : run_error(reason, "%s", reason_title(reason));
    return RUN_ENDED;
}

bool run_went_well(struct run *r, int *rc)
{
    if (*rc != RUN_ENDED && *rc != FERR_SANDBOX)
        return *rc == RUN_GO_ON;
    json_decref(r->error);
    r->error = NULL;
    r->verdict = VERDICT_EQUAL;
    r->reason = -1;
    *rc = RUN_GO_ON;
    return false;
}

static bool holds(const json_t *array, const json_t *wanted)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)array, i, item)
    {
        if (json_equal(item, (json_t *)(uintptr_t)wanted))
            return true;
    }
    return false;
}

void run_extend(json_t *array, const json_t *more)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)more, i, item)
    {
        if (!holds(array, item))
            (void)json_array_append(array, item);
    }
}

void run_take_notes(struct run *r, const struct step_out *step, const char *env)
{
    run_extend(r->assumptions, json_object_get(step->result, "assumptions"));
    run_extend(r->notes, json_object_get(step->result, "notes"));
    json_t *versions = json_object_get(step->result, "versions");
    if (env && json_is_object(versions))
        (void)json_object_set(r->versions, env, versions);
}

static int run_inspect(struct run *r, struct err *e)
{
    json_t *request = run_source_request(r);
    int rc = step_run(r, STEP_INSPECT, FUNCTION_INSPECT, request, NULL, 0, NULL, 0, &r->inspected, e);
    json_decref(request);
    return rc;
}

static int run_capture(struct run *r, struct err *e)
{
    static const char *const OUTS[] = {"given", "expected"};
    json_t *request = run_capture_request(r);
    if (!request)
        return run_end(r, REASON_RESULT_INVALID, false, NULL);
    int rc = step_run(r, STEP_CAPTURE, FUNCTION_CAPTURE, request, NULL, 0, OUTS, 2, &r->captured, e);
    json_decref(request);
    if (rc != RUN_GO_ON)
        return rc;
    run_take_notes(r, &r->captured, "torch");
    return run_check_oracle(r, &r->captured, e);
}

/* The ids of the switches that were taken back. New reference. */
static json_t *kept_faithful(const struct run *r)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach(r->taken_back, i, one)
    {
        (void)json_array_append(out, json_object_get(one, "id"));
    }
    return out;
}

int run_draft(struct run *r, struct err *e)
{
    json_t *oracle = r->captured.result;
    enum style style = r->plain ? STYLE_FAITHFUL : r->job.style;
    json_t *request = json_pack("{s:O, s:O, s:O, s:O, s:s, s:O*, s:o, s:s}", "files",
                                json_object_get(json_object_get(r->request, "source"), "files"), "plan",
                                json_object_get(oracle, "plan"), "facts", json_object_get(oracle, "facts"),
                                "tensors", json_object_get(oracle, "tensors"), "style", style_name(style),
                                "scan", json_object_get(r->request, "scan"), "kept_faithful",
                                kept_faithful(r), "engine", "builtin");
    if (!request)
        return run_end(r, REASON_RESULT_INVALID, false, NULL);
    int rc = step_run(r, STEP_DRAFT, FUNCTION_DRAFT, request, NULL, 0, NULL, 0, &r->drafted, e);
    json_decref(request);
    if (rc != RUN_GO_ON)
        return rc;
    run_take_notes(r, &r->drafted, NULL);
    json_t *refusals = json_object_get(r->drafted.result, "refusals");
    run_extend(r->refusals, refusals);
    if (json_array_size(refusals) > 0)
        return run_end(r, REASON_REFUSED, false, json_array_get(refusals, 0));
    return RUN_GO_ON;
}

static int run_candidate(struct run *r, struct err *e)
{
    return r->given ? run_given(r, e) : run_draft(r, e);
}

typedef int stretch(struct run *, struct err *);

static int run_stretches(struct run *r, stretch *const *stretches, size_t n, struct err *e)
{
    int rc = RUN_GO_ON;
    for (size_t i = 0; i < n && rc == RUN_GO_ON; i++)
        rc = stretches[i](r, e);
    return rc;
}

int run_to_oracle(struct run *r, struct err *e)
{
    static stretch *const STRETCHES[] = {run_inspect, run_capture};
    return run_stretches(r, STRETCHES, sizeof STRETCHES / sizeof *STRETCHES, e);
}

int run_to_verdict(struct run *r, struct err *e)
{
    static stretch *const STRETCHES[] = {run_candidate, run_check,   run_judge,   run_accept,
                                         run_locate,    run_restyle, run_conclude};
    return run_stretches(r, STRETCHES, sizeof STRETCHES / sizeof *STRETCHES, e);
}

/* The stages that the job's contract asks for; the canonical request names them all, or none for all. */
static stage_set stages_asked(const json_t *request)
{
    const json_t *names = json_object_get(json_object_get(request, "contract"), "stages");
    stage_set set = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        int stage = stage_parse(json_string_value(json_array_get(names, i)));
        set |= stage >= 0 ? STAGE_BIT(stage) : 0;
    }
    return set ? set : STAGES_ALL;
}

static int load_job(struct run *r, struct err *e)
{
    int rc = store_job_get(r->reader, r->lease->job_id, &r->job, e);
    if (rc != 0)
        return rc;
    if (r->job.state == JOB_STATE_CANCELLING)
        return err_set(e, FERR_CANCELLED, "cancelled");
    char *text;
    size_t len;
    if ((rc = store_blob_read(r->p->store, r->job.request_sha, &text, &len, e)) != 0)
        return rc;
    r->request = json_loadb(text, len, 0, NULL);
    free(text);
    if (!r->request)
        return err_set(e, FERR_STORE, "the stored request is not JSON");
    r->asked = stages_asked(r->request);
    r->given = r->job.kind == KIND_VERIFY;
    int64_t seconds = r->p->job_s;
    json_t *budget = json_object_get(json_object_get(r->request, "budget"), "seconds");
    if (json_is_integer(budget) && json_integer_value(budget) < seconds)
        seconds = json_integer_value(budget);
    r->deadline_us = r->started_us + seconds * 1000000;
    return 0;
}

static int append_end(struct run *r, enum event_type type, bool with_result, struct err *e)
{
    json_t *data = json_pack("{s:o}", "usage", run_usage(r));
    if (with_result)
        (void)json_object_set_new(data, "result", run_result(r));
    struct store_event_new event = {.type = type, .data = data};
    int rc = store_append_wait(r->p->store, r->lease, r->lease->job_id, &event, 1, e);
    json_decref(data);
    if (rc == 0)
        log_info("job", "ended", "job_id", r->lease->job_id, "event", event_name(type), "verdict",
                 with_result ? verdict_name(r->verdict) : NULL, "reason",
                 with_result && r->reason >= 0 ? reason_name((enum reason)r->reason) : NULL);
    return rc;
}

bool run_is_proven(const struct run *r)
{
    return r->verdict == VERDICT_EQUAL || r->verdict == VERDICT_EQUAL_UNDER_ASSUMPTIONS;
}

/* A job that ends the daemon is not taken up for ever: without a step, since that could do it again. */
static int refuse_to_crash(struct run *r, struct err *e)
{
    int n, rc = store_job_crashes(r->reader, r->lease->job_id, &n, e);
    if (rc != 0 || n < r->p->crashes)
        return rc;
    json_t *error = run_error(REASON_ABANDONED, "ferryd ended %d times without finishing another step", n);
    rc = run_end(r, REASON_ABANDONED, false, error);
    json_decref(error);
    return rc;
}

/* The outcome is known: hand out what there is, then close the job. */
static int finish(struct run *r, struct err *e)
{
    int rc = r->reason == REASON_ABANDONED ? 0 : run_deliver(r, e);
    if (rc < 0)
        return rc;
    rc = append_end(r, run_is_proven(r) ? EVENT_JOB_SUCCEEDED : EVENT_JOB_FAILED, true, e);
    if (rc == 0)
        metric_add(METRIC_JOBS_FINISHED, r->verdict, 1);
    return rc;
}

/* A stretch gave a code instead of an outcome. */
static void stop(struct run *r, int rc, const struct err *e)
{
    struct err later = {0};
    struct store_job now = {0};
    bool cancelled = rc == FERR_CANCELLED && store_job_get(r->reader, r->lease->job_id, &now, &later) == 0 &&
                     now.state == JOB_STATE_CANCELLING;
    store_job_fini(&now);
    if (cancelled) {
        metric_add(METRIC_JOBS_CANCELLED, 0, 1);
        rc = append_end(r, EVENT_JOB_CANCELLED, false, &later);
    } else if (rc == FERR_CANCELLED || rc == FERR_SHUTTING_DOWN) {
        log_info("job", "given back to the queue", "job_id", r->lease->job_id);
        rc = store_job_release(r->p->store, r->lease, &later);
    } else {
        log_error("job", "failed inside ferryd", "job_id", r->lease->job_id, "error", e->text);
        json_t *error = run_error(REASON_INTERNAL, "%s", e->text);
        (void)run_end(r, rc == FERR_SANDBOX ? REASON_SANDBOX_UNAVAILABLE : REASON_INTERNAL, false, error);
        json_decref(error);
        rc = append_end(r, EVENT_JOB_FAILED, true, &later);
    }
    if (rc != 0)
        log_error("job", "its end could not be stored; the next start takes it up again", "job_id",
                  r->lease->job_id, "error", later.text);
}

void run_init(struct run *r, const struct pipeline *p, struct worker_io *io, const struct store_lease *lease)
{
    *r = (struct run){.p = p, .io = io, .lease = lease, .attempt = 1, .reason = -1, .verdict = VERDICT_EQUAL};
    r->started_us = clock_mono_us();
    r->deadline_us = r->started_us + (int64_t)p->job_s * 1000000;
    buf_init(&r->log, LOG_MAX);
    r->taken_back = json_array();
    r->assumptions = json_array();
    r->refusals = json_array();
    r->notes = json_array();
    r->parts = json_array();
    r->versions = json_object();
    r->confinement = json_object();
    r->seconds = json_object();
    r->stage_seconds = json_object();
}

void run_fini(struct run *r)
{
    step_out_fini(&r->inspected);
    step_out_fini(&r->captured);
    step_out_fini(&r->drafted);
    step_out_fini(&r->checked);
    json_decref(r->judged);
    json_decref(r->worst_case);
    json_decref(r->accept_seed);
    json_decref(r->request);
    json_decref(r->taken_back);
    json_decref(r->assumptions);
    json_decref(r->refusals);
    json_decref(r->notes);
    json_decref(r->parts);
    json_decref(r->versions);
    json_decref(r->confinement);
    json_decref(r->seconds);
    json_decref(r->stage_seconds);
    json_decref(r->error);
    buf_fini(&r->log);
    store_job_fini(&r->job);
    store_reader_close(r->reader);
}

void pipeline_run(const struct pipeline *p, struct worker_io *io, const struct store_lease *lease)
{
    struct run r;
    struct err e = {0};
    run_init(&r, p, io, lease);
    int rc = store_reader_open(p->store, &r.reader, &e);
    if (rc == 0)
        rc = load_job(&r, &e);
    if (rc == 0)
        rc = refuse_to_crash(&r, &e);
    if (rc == RUN_GO_ON)
        rc = run_to_oracle(&r, &e);
    if (rc == RUN_GO_ON)
        rc = run_to_verdict(&r, &e);
    if (rc == RUN_GO_ON || rc == RUN_ENDED)
        rc = run_parts(&r, &e);
    if (rc == RUN_GO_ON)
        rc = finish(&r, &e);
    if (rc < 0)
        stop(&r, rc, &e);
    run_fini(&r);
}
