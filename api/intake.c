/*
 * intake.c: the intake thread.
 *
 * Body → checked, canonical request → blob, synced → job row and its first event. The blob is durable before
 * the row that names it. Each job's `done` is called exactly once: here when something is wrong, by the
 * store's writer after the commit. Nothing here is fatal.
 */
#include "api/intake.h"

#include "daemon/vocab.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_spec(const struct intake *in, struct intake_job *job, struct err *e)
{
    if (!job->python)
        return jobspec_from_json(job->body, job->len, &in->limits, &job->spec, e);
    struct jobspec_python query = {job->query[0], job->query[1], job->query[2], job->query[3]};
    return jobspec_from_python(job->body, job->len, &query, &in->limits, &job->spec, e);
}

static const char *text_of(const json_t *spec, const char *name)
{
    return json_string_value(json_object_get(spec, name));
}

/* The fields of the row; strings are borrowed from `spec`. */
static struct store_job_new job_row(json_t *spec)
{
    return (struct store_job_new){
        .name = text_of(spec, "name"),
        .entry = text_of(spec, "entry"),
        .kind = (enum job_kind)kind_parse(text_of(spec, "kind")),
        .engine = (enum engine)engine_parse(text_of(spec, "engine")),
        .style = (enum style)style_parse(text_of(spec, "style")),
        .priority = (int)json_integer_value(json_object_get(spec, "priority")),
        .labels = json_object_get(spec, "labels"),
    };
}

static int store_spec(const struct intake *in, const json_t *spec, char sha[STORE_SHA_SIZE], struct err *e)
{
    char *text = jobspec_dump(spec);
    if (!text)
        return err_set(e, FERR_NO_MEMORY, "no memory for the request");
    int rc = store_blob_put(in->store, text, strlen(text), sha, e);
    free(text);
    return rc;
}

static int make_job(const struct intake *in, struct intake_job *job, struct err *e)
{
    int rc = make_spec(in, job, e);
    if (rc)
        return rc;
    struct store_job_new row = job_row(job->spec);
    rc = store_spec(in, job->spec, row.request_sha, e);
    if (rc)
        return rc;
    job_id_new(row.id);
    memcpy(job->id, row.id, sizeof job->id);
    return store_job_create(in->store, &row, job->done, job->arg, e);
}

/* NULL when the thread shall end. */
static struct intake_job *next_job(struct intake *in)
{
    pthread_mutex_lock(&in->mutex);
    while (!in->first && !in->stopping)
        pthread_cond_wait(&in->cond, &in->mutex);
    struct intake_job *job = in->first;
    if (job) {
        in->first = job->next;
        in->last = in->first ? in->last : NULL;
        in->len--;
    }
    pthread_mutex_unlock(&in->mutex);
    return job;
}

static void *intake_main(void *arg)
{
    struct intake *in = arg;
    struct intake_job *job;
    while ((job = next_job(in))) {
        struct err e = {0};
        int rc = make_job(in, job, &e);
        if (rc)
            job->done(job->arg, rc, &e);
    }
    return NULL;
}

int intake_init(struct intake *in, struct store *store, const struct jobspec_limits *limits,
                unsigned queue_max, struct err *e)
{
    *in = (struct intake){.store = store, .limits = *limits, .max = queue_max};
    int rc = pthread_mutex_init(&in->mutex, NULL);
    rc = rc ? rc : pthread_cond_init(&in->cond, NULL);
    rc = rc ? rc : pthread_create(&in->thread, NULL, intake_main, in);
    return rc ? err_errno(e, rc, "can't start the intake thread") : 0;
}

void intake_fini(struct intake *in)
{
    pthread_mutex_lock(&in->mutex);
    in->stopping = true;
    pthread_cond_signal(&in->cond);
    pthread_mutex_unlock(&in->mutex);
    pthread_join(in->thread, NULL);
    assert(!in->first);
    pthread_cond_destroy(&in->cond);
    pthread_mutex_destroy(&in->mutex);
}

int intake_submit(struct intake *in, struct intake_job *job, struct err *e)
{
    pthread_mutex_lock(&in->mutex);
    bool full = in->len >= in->max;
    if (!full) {
        job->next = NULL;
        if (in->last)
            in->last->next = job;
        else
            in->first = job;
        in->last = job;
        in->len++;
        pthread_cond_signal(&in->cond);
    }
    pthread_mutex_unlock(&in->mutex);
    return full ? err_set(e, FERR_OVERLOADED, "%u new jobs are waiting already", in->max) : 0;
}

void intake_job_free(struct intake_job *job)
{
    if (!job)
        return;
    free(job->body);
    for (size_t i = 0; i < sizeof job->query / sizeof job->query[0]; i++)
        free(job->query[i]);
    json_decref(job->spec);
    free(job);
}
