/*
 * stream.c: a job's events as server-sent events.
 *
 * http thread: libmicrohttpd asks the reader for bytes; where there are none it suspends the connection until
 * an event is durable or a heartbeat is due. A heartbeat is a comment; writing it is how a client that
 * vanished is noticed. The stream ends after the job's final event; a client that reconnects after that is
 * told so with 204.
 */
#include "api/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BATCH 100

struct stream {
    int64_t after; /* the last event put into `out` */
    int64_t beat_us;
    struct buf out;
    size_t sent; /* of `out` */
    bool ended;  /* nothing follows what is in `out` */
};

void stream_free(struct stream *s)
{
    if (!s)
        return;
    buf_fini(&s->out);
    free(s);
}

static void next_beat(struct request *r)
{
    r->stream->beat_us = clock_mono_us() + (int64_t)r->api->limits.heartbeat_s * 1000000;
}

static void put_event(struct stream *s, const struct store_event *event)
{
    buf_printf(&s->out, "id: %" PRId64 "\nevent: %s\ndata: ", event->seq, event_name(event->type));
    event_render(&s->out, event);
    buf_puts(&s->out, "\n\n");
    s->after = event->seq;
    s->ended = event_final(event->type);
}

/* Takes over what the store has after the last event. Negative: the stream can't go on. */
static int refill(struct request *r)
{
    struct stream *s = r->stream;
    struct store_event *events = NULL;
    size_t n = 0;
    struct err e = {0};
    int rc = store_event_list(r->api->reader, r->args[0], s->after, STREAM_BATCH, &events, &n, &e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        put_event(s, &events[i]);
    store_events_free(events, n);
    return buf_failed(&s->out) ? FERR_NO_MEMORY : 0;
}

static ssize_t hand_out(struct stream *s, char *data, size_t max)
{
    size_t n = s->out.len - s->sent;
    n = n < max ? n : max;
    memcpy(data, s->out.data + s->sent, n);
    s->sent += n;
    if (s->sent == s->out.len) {
        buf_clear(&s->out);
        s->sent = 0;
    }
    return (ssize_t)n;
}

static ssize_t read_stream(void *cls, uint64_t pos, char *data, size_t max)
{
    (void)pos;
    struct request *r = cls;
    struct stream *s = r->stream;
    assert(r->magic == REQUEST_MAGIC);
    for (;;) {
        if (s->sent < s->out.len)
            return hand_out(s, data, max);
        if (s->ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        wait_arm(&r->api->registry, &r->wait);
        if (refill(r))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (s->out.len > 0) {
            next_beat(r);
        } else if (clock_mono_us() >= s->beat_us) {
            buf_puts(&s->out, ": heartbeat\n\n");
            next_beat(r);
        } else {
            enum wait_outcome outcome = wait_sleep(&r->api->registry, &r->wait, s->beat_us);
            if (outcome == WAIT_ASLEEP)
                return 0;
            s->ended = outcome == WAIT_STOPPING;
        }
    }
}

int stream_open(struct request *r, const struct store_job *job, int64_t after)
{
    struct reply_options o = {.media_type = "text/event-stream", .headers = {{"X-Accel-Buffering", "no"}}};
    if (job_state_final(job->state) && after >= job->version)
        return reply_empty(r, MHD_HTTP_NO_CONTENT, NULL);
    if (r->head)
        return reply_empty(r, MHD_HTTP_OK, &o);
    int rc = wait_join(&r->api->registry, &r->wait, r->conn, job->id, &r->err);
    if (rc)
        return rc;
    r->stream = calloc(1, sizeof *r->stream);
    if (!r->stream)
        return err_set(&r->err, FERR_NO_MEMORY, "no memory for the stream");
    r->stream->after = after;
    buf_init(&r->stream->out, (size_t)64 << 20);
    buf_puts(&r->stream->out, "retry: 2000\n\n");
    next_beat(r);
    return reply_stream(r, read_stream, &o);
}
