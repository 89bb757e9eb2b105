/*
 * attempts.c: GET /v1/jobs/{id}/attempts and /attempts/{n}.
 *
 * http thread. An attempt is shown as the pipeline stored it.
 */
#include "api/internal.h"
#include "api/params.h"

#include <limits.h>

int job_attempts(struct request *r)
{
    struct store_job job;
    json_t *attempts = NULL;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    rc = store_attempt_list(r->api->reader, job.id, &attempts, &r->err);
    store_job_fini(&job);
    return rc ? rc : reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "attempts", attempts), NULL);
}

int job_attempt(struct request *r)
{
    struct store_job job;
    json_t *attempt = NULL;
    int64_t n = 0;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    if (params_int(r->args[1], 1, INT_MAX, &n))
        rc = store_attempt_get(r->api->reader, job.id, (int)n, &attempt, &r->err);
    else
        rc = err_set(&r->err, FERR_NOT_FOUND, "\"%.63s\" is no attempt", r->args[1]);
    store_job_fini(&job);
    return rc ? rc : reply_json(r, MHD_HTTP_OK, attempt, NULL);
}
