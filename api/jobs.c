/*
 * jobs.c: POST /v1/jobs and GET /v1/jobs.
 *
 * http thread. A new job is answered with 201 only after its commit: the request sleeps while intake and
 * writer work.
 */
#include "api/internal.h"
#include "api/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT 50
#define LIST_MAX 500

/* ---- create ---- */

static const char *const PYTHON_PARAMS[] = {"entry", "name", "engine", "style"};
#define PYTHON_PARAMS_COUNT (sizeof PYTHON_PARAMS / sizeof PYTHON_PARAMS[0])

static int copy_params(struct request *r, struct intake_job *job)
{
    for (size_t i = 0; i < PYTHON_PARAMS_COUNT; i++) {
        const char *value = request_param(r, PYTHON_PARAMS[i]);
        if (!value)
            continue;
        if (!job->python)
            return err_set(&r->err, FERR_INVALID_PARAMETER,
                           "\"%s\" goes with a text/x-python body; in JSON it is a field", PYTHON_PARAMS[i]);
        job->query[i] = strdup(value);
        if (!job->query[i])
            return err_set(&r->err, FERR_NO_MEMORY, "no memory for the request");
    }
    return 0;
}

/* Moves the body out of the request. */
static int make_intake_job(struct request *r)
{
    struct intake_job *job = calloc(1, sizeof *job);
    if (!job)
        return err_set(&r->err, FERR_NO_MEMORY, "no memory for the request");
    job->python = params_media_type_is(request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE), "text/x-python");
    job->done = command_done;
    job->arg = r;
    int rc = copy_params(r, job);
    if (rc) {
        intake_job_free(job);
        return rc;
    }
    job->body = buf_take(&r->body, &job->len);
    r->job = job;
    return 0;
}

static int submit_job(struct request *r, struct err *e)
{
    return intake_submit(&r->api->intake, r->job, e);
}

static int answer_created(struct request *r, const char *id)
{
    struct store_job job;
    int rc = store_job_get(r->api->reader, id, &job, &r->err);
    if (rc)
        return rc;
    char location[64], etag[ETAG_SIZE];
    (void)snprintf(location, sizeof location, "/v1/jobs/%s", id);
    job_etag(&job, etag);
    json_t *body = job_json(&job);
    store_job_fini(&job);
    return reply_json(r, MHD_HTTP_CREATED, body,
                      &(struct reply_options){
                          .headers = {{MHD_HTTP_HEADER_LOCATION, location}, {MHD_HTTP_HEADER_ETAG, etag}}});
}

int jobs_create(struct request *r)
{
    if (!r->command.sent) {
        int rc = make_intake_job(r);
        return rc ? rc : command_run(r, submit_job);
    }
    if (r->command.rc) {
        r->err = r->command.err;
        return r->command.rc;
    }
    return answer_created(r, r->job->id);
}

/* ---- list ---- */

static int list_filter(struct request *r, struct store_job_filter *f)
{
    int64_t limit = LIST_DEFAULT;
    int rc = request_param_int(r, "limit", 1, LIST_MAX, &limit);
    if (rc)
        return rc;
    const char *state = request_param(r, "state"), *cursor = request_param(r, "cursor");
    *f = (struct store_job_filter){
        .state = job_state_parse(state), .before_id = cursor, .limit = (int)limit + 1};
    if (state && f->state < 0)
        return err_set(&r->err, FERR_INVALID_PARAMETER, "\"state\" is not a job state");
    if (cursor && !job_id_valid(cursor))
        return err_set(&r->err, FERR_INVALID_PARAMETER,
                       "\"cursor\" must be a \"next_cursor\" of an earlier page");
    return 0;
}

/* `shown` of the `n` jobs; one more than shown means that there is a next page. */
static json_t *list_json(const struct store_job *jobs, size_t n, size_t shown)
{
    json_t *items = json_array();
    for (size_t i = 0; i < shown; i++)
        if (json_array_append_new(items, job_json(&jobs[i]))) {
            json_decref(items);
            return NULL;
        }
    return json_pack("{s:o, s:s?}", "jobs", items, "next_cursor", n > shown ? jobs[shown - 1].id : NULL);
}

int jobs_list(struct request *r)
{
    struct store_job_filter filter;
    struct store_job *jobs = NULL;
    size_t n = 0;
    int rc = list_filter(r, &filter);
    rc = rc ? rc : store_job_list(r->api->reader, &filter, &jobs, &n, &r->err);
    if (rc)
        return rc;
    size_t limit = (size_t)filter.limit - 1;
    json_t *body = list_json(jobs, n, n < limit ? n : limit);
    for (size_t i = 0; i < n; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
    return reply_json(r, MHD_HTTP_OK, body, NULL);
}
