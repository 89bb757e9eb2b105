/*
 * events.c: GET /v1/jobs/{id}/events, as JSON or as a stream.
 *
 * http thread. `?after=` (or, for a stream, Last-Event-ID) is the sequence number of the last event that the
 * caller has; `?wait=` makes the JSON form a long poll that answers with the first events after it.
 */
#include "api/internal.h"
#include "api/params.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_DEFAULT 100
#define EVENTS_MAX 1000
#define SEQ_MAX ((int64_t)1 << 53)

bool event_final(enum event_type type)
{
    return type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED || type == EVENT_JOB_CANCELLED;
}

void event_render(struct buf *out, const struct store_event *event)
{
    char at[CLOCK_RFC3339_SIZE];
    buf_printf(out, "{\"seq\":%" PRId64 ",\"at\":\"%s\",\"type\":\"%s\",\"data\":", event->seq,
               clock_rfc3339(event->at_us, at), event_name(event->type));
    buf_puts(out, event->data);
    buf_puts(out, "}");
}

struct events_query {
    int64_t after, wait_s, limit;
};

static int parse_query(struct request *r, bool stream, struct events_query *q)
{
    *q = (struct events_query){.limit = EVENTS_DEFAULT};
    int rc = request_param_int(r, "after", 0, SEQ_MAX, &q->after);
    rc = rc ? rc : request_param_int(r, "wait", 0, WAIT_PARAM_MAX, &q->wait_s);
    rc = rc ? rc : request_param_int(r, "limit", 1, EVENTS_MAX, &q->limit);
    const char *last = request_header(r, "Last-Event-ID");
    if (rc || !stream || !last)
        return rc;
    if (!params_int(last, 0, SEQ_MAX, &q->after))
        return err_set(&r->err, FERR_INVALID_HEADER, "Last-Event-ID must be the number of an event");
    return 0;
}

static int answer_events(struct request *r, const struct events_query *q, const struct store_event *events,
                         size_t n, bool final)
{
    struct buf out;
    buf_init(&out, (size_t)256 << 20);
    buf_puts(&out, "{\"events\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_puts(&out, ",");
        event_render(&out, &events[i]);
    }
    buf_printf(&out, "],\"last_seq\":%" PRId64 ",\"final\":%s}", n ? events[n - 1].seq : q->after,
               final ? "true" : "false");
    int rc = reply_text(r, &out, &(struct reply_options){.media_type = "application/json"});
    buf_fini(&out);
    return rc;
}

/* Whether the caller has, with these events, all that the job will ever have. */
static bool nothing_follows(const struct store_job *job, int64_t after, const struct store_event *events,
                            size_t n)
{
    return job_state_final(job->state) && (n ? events[n - 1].seq : after) >= job->version;
}

/* Reads the job and its events after `q->after`. The job comes first: what it already shows, the events show
 * too. */
static int read_events(struct request *r, const struct events_query *q, struct store_job *job,
                       struct store_event **events, size_t *n)
{
    int rc = request_job(r, job);
    if (rc)
        return rc;
    rc = store_event_list(r->api->reader, job->id, q->after, (int)q->limit, events, n, &r->err);
    if (rc)
        store_job_fini(job);
    return rc;
}

static int begin_wait(struct request *r, const struct events_query *q)
{
    struct store_job job;
    int rc = request_job(r, &job);
    if (rc)
        return rc;
    store_job_fini(&job);
    int64_t cap = r->api->limits.wait_max_s;
    r->wait_until_us = clock_mono_us() + (q->wait_s < cap ? q->wait_s : cap) * 1000000;
    return wait_join(&r->api->registry, &r->wait, r->conn, r->args[0], &r->err);
}

/* Whether the request, which found nothing, was suspended; false: answer, or look again where `*again`. */
static bool fell_asleep(struct request *r, bool *again)
{
    if (clock_mono_us() >= r->wait_until_us)
        return false;
    enum wait_outcome outcome = wait_sleep(&r->api->registry, &r->wait, r->wait_until_us);
    *again = outcome == WAIT_AGAIN;
    return outcome == WAIT_ASLEEP;
}

static int events_json(struct request *r, const struct events_query *q)
{
    if (q->wait_s > 0 && r->wait_until_us == 0) {
        int rc = begin_wait(r, q);
        if (rc)
            return rc;
    }
    for (;;) {
        struct store_job job;
        struct store_event *events = NULL;
        size_t n = 0;
        if (r->wait.joined)
            wait_arm(&r->api->registry, &r->wait);
        int rc = read_events(r, q, &job, &events, &n);
        if (rc)
            return rc;
        bool final = nothing_follows(&job, q->after, events, n);
        store_job_fini(&job);
        bool again = false;
        bool asleep = n == 0 && !final && r->wait.joined && fell_asleep(r, &again);
        if (!asleep && !again)
            rc = answer_events(r, q, events, n, final);
        store_events_free(events, n);
        if (!again)
            return rc;
    }
}

int job_events(struct request *r)
{
    bool stream = params_accepts(request_header(r, MHD_HTTP_HEADER_ACCEPT), "text/event-stream");
    struct events_query q;
    int rc = parse_query(r, stream, &q);
    if (rc)
        return rc;
    if (!stream)
        return events_json(r, &q);
    struct store_job job;
    rc = request_job(r, &job);
    if (rc)
        return rc;
    rc = stream_open(r, &job, q.after);
    store_job_fini(&job);
    return rc;
}
