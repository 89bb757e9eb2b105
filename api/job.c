/*
 * job.c: GET, DELETE /v1/jobs/{id} and POST /v1/jobs/{id}/cancel.
 *
 * http thread. `?wait=` answers on change: with If-None-Match when the ETag no longer matches, else when the
 * job's version differs from the one at arrival; a final job, a stop of the server and the end of the wait
 * answer at once.
 */
#include "api/internal.h"
#include "api/params.h"

/* ---- get ---- */

static int answer_job(struct request *r, const struct store_job *job)
{
    char etag[ETAG_SIZE];
    job_etag(job, etag);
    struct reply_options o = {
        .headers = {{MHD_HTTP_HEADER_ETAG, etag}, {MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"}}};
    if (params_etag_matches(request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH), etag))
        return reply_empty(r, MHD_HTTP_NOT_MODIFIED, &o);
    return reply_json(r, MHD_HTTP_OK, job_json(job), &o);
}

/* Whether the caller has already seen this version. */
static bool job_unchanged(const struct request *r, const struct store_job *job)
{
    const char *seen = request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (!seen)
        return job->version == r->wait_version;
    char etag[ETAG_SIZE];
    job_etag(job, etag);
    return params_etag_matches(seen, etag);
}

/* Reads the job; `*asleep` where the request was suspended instead of being ready to answer. */
static int look_or_sleep(struct request *r, struct store_job *job, bool *asleep)
{
    for (;;) {
        wait_arm(&r->api->registry, &r->wait);
        int rc = request_job(r, job);
        if (rc)
            return rc;
        bool due = clock_mono_us() >= r->wait_until_us;
        if (due || job_state_final(job->state) || !job_unchanged(r, job))
            return 0;
        enum wait_outcome outcome = wait_sleep(&r->api->registry, &r->wait, r->wait_until_us);
        *asleep = outcome == WAIT_ASLEEP;
        if (outcome == WAIT_STOPPING)
            return 0;
        store_job_fini(job);
        if (*asleep)
            return 0;
    }
}

/* The first call of a request with ?wait=. */
static int begin_wait(struct request *r, int64_t seconds)
{
    struct store_job job;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    r->wait_version = job.version;
    store_job_fini(&job);
    int64_t cap = r->api->limits.wait_max_s;
    r->wait_until_us = clock_mono_us() + (seconds < cap ? seconds : cap) * 1000000;
    return wait_join(&r->api->registry, &r->wait, r->conn, r->args[0], &r->err);
}

int job_get(struct request *r)
{
    int64_t seconds = 0;
    bool asleep = false;
    struct store_job job;
    int rc = request_param_int(r, "wait", 0, WAIT_PARAM_MAX, &seconds);
    if (rc == 0 && seconds > 0 && r->wait_until_us == 0)
        rc = begin_wait(r, seconds);
    if (rc == 0)
        rc = r->wait_until_us ? look_or_sleep(r, &job, &asleep) : request_job(r, &job);
    if (rc || asleep)
        return rc;
    rc = answer_job(r, &job);
    store_job_fini(&job);
    return rc;
}

/* ---- cancel ---- */

static int submit_cancel(struct request *r, struct err *e)
{
    struct store_event_new event = {.type = EVENT_JOB_CANCELLING};
    return store_append(r->api->store, NULL, r->args[0], &event, 1, command_done, r, e);
}

/* Where nothing is to be done any more: the job is cancelled, is being cancelled, or ended otherwise. */
static int answer_cancel(struct request *r, const struct store_job *job)
{
    if (job->state == JOB_STATE_SUCCEEDED || job->state == JOB_STATE_FAILED)
        return err_set(&r->err, FERR_CONFLICT, "the job has %s already", job_state_name(job->state));
    unsigned status = job->state == JOB_STATE_CANCELLED ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED;
    return reply_json(r, status, job_json(job), NULL);
}

int job_cancel(struct request *r)
{
    /* A job that ended while the command was on its way is a conflict there, too; its state says which answer
     * fits. */
    if (r->command.rc && r->command.rc != FERR_CONFLICT) {
        r->err = r->command.err;
        return r->command.rc;
    }
    struct store_job job;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    bool settled = r->command.sent || job.state == JOB_STATE_CANCELLING || job_state_final(job.state);
    rc = settled ? answer_cancel(r, &job) : command_run(r, submit_cancel);
    store_job_fini(&job);
    return rc;
}

/* ---- delete ---- */

static int submit_delete(struct request *r, struct err *e)
{
    return store_job_delete(r->api->store, r->args[0], command_done, r, e);
}

int job_delete(struct request *r)
{
    if (!r->command.sent) {
        bool ended;
        int rc = request_job_ended(r, &ended);
        if (rc)
            return rc;
        if (!ended)
            return err_set(&r->err, FERR_CONFLICT,
                           "only a job that has ended can be deleted: cancel it first");
        return command_run(r, submit_delete);
    }
    if (r->command.rc) {
        r->err = r->command.err;
        return r->command.rc;
    }
    return reply_empty(r, MHD_HTTP_NO_CONTENT, NULL);
}
