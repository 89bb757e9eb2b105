/*
 * job_json.c: the job resource.
 *
 * http thread. What is not known yet is null; every member is always there.
 */
#include "api/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* New reference: the time as text, or null for "not yet". */
static json_t *time_json(int64_t wall_us)
{
    char text[CLOCK_RFC3339_SIZE];
    return wall_us ? json_string(clock_rfc3339(wall_us, text)) : json_null();
}

static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *shared_json(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

static json_t *progress_json(const struct store_job *job)
{
    const char *step = job->step >= 0 ? step_name((enum step_kind)job->step) : NULL;
    return json_pack("{s:o, s:i, s:i}", "step", text_json(step), "done", job->steps_done, "total",
                     job->steps_total);
}

static json_t *links_json(const char *id)
{
    static const struct {
        const char *name, *path;
    } PLACES[] = {{"events", "events"},      {"attempts", "attempts"},   {"diff", "diff"},
                  {"report", "report"},      {"logs", "logs"},           {"cancel", "cancel"},
                  {"picture", "errors.svg"}, {"bundle", "bundle.tar.gz"}};
    char url[96];
    json_t *links = json_object();
    (void)snprintf(url, sizeof url, "/v1/jobs/%s", id);
    int bad = json_object_set_new(links, "self", json_string(url));
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        (void)snprintf(url, sizeof url, "/v1/jobs/%s/%s", id, PLACES[i].path);
        bad |= json_object_set_new(links, PLACES[i].name, json_string(url));
    }
    if (!bad)
        return links;
    json_decref(links);
    return NULL;
}

json_t *job_json(const struct store_job *job)
{
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:s, s:s, s:o, s:i, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        job->id, "name", text_json(job->name), "kind", kind_name(job->kind), "entry", text_json(job->entry),
        "engine", engine_name(job->engine), "style", style_name(job->style), "labels",
        job->labels ? json_incref(job->labels) : json_object(), "priority", job->priority, "state",
        job_state_name(job->state), "attempt", job->attempt, "progress", progress_json(job), "result",
        shared_json(job->result), "usage", shared_json(job->usage), "created_at", time_json(job->created_us),
        "updated_at", time_json(job->updated_us), "started_at", time_json(job->started_us), "finished_at",
        time_json(job->finished_us), "links", links_json(job->id));
}

void job_etag(const struct store_job *job, char out[ETAG_SIZE])
{
    (void)snprintf(out, ETAG_SIZE, "\"v%" PRId64 "\"", job->version);
}

int request_job(struct request *r, struct store_job *out)
{
    *out = (struct store_job){0};
    if (!job_id_valid(r->args[0]))
        return err_set(&r->err, FERR_JOB_NOT_FOUND, "\"%.63s\" is no job id", r->args[0]);
    return store_job_get(r->api->reader, r->args[0], out, &r->err);
}

int request_job_ended(struct request *r, bool *ended)
{
    struct store_job job;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    *ended = job_state_final(job.state);
    store_job_fini(&job);
    return 0;
}
