/*
 * events.c: appending events to a job, and reading them.
 *
 * Appending is the only way to change a job: the events are folded into its row in the same savepoint. An
 * event's time never goes back within a job, whatever the clock does.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_LIMIT_MAX 10000

static const char SQL_INSERT[] = "INSERT INTO events (job_id, seq, at_us, type, data) VALUES (?, ?, ?, ?, ?)";
static const char SQL_LINK_STEP[] =
    "INSERT OR IGNORE INTO job_steps (job_id, key) SELECT ?, key FROM steps WHERE key = ?";
static const char SQL_LIST[] =
    "SELECT seq, at_us, type, data FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?";

/* ---- writing ------------------------------------------------------------------------------------------- */

static int link_step(struct store *s, const char *job_id, const char *key, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_LINK_STEP);
    query_text(&q, job_id);
    query_text(&q, key);
    return query_run(&q, e);
}

int event_insert(struct store *s, struct job_row *row, struct fold_event *ev, struct err *e)
{
    int64_t now = clock_wall_us();
    ev->seq = row->fold.version + 1;
    ev->at_us = now > row->fold.updated_us ? now : row->fold.updated_us;
    int rc = fold_apply(&row->fold, ev, e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_INSERT);
    query_text(&q, row->id);
    query_int(&q, ev->seq);
    query_int(&q, ev->at_us);
    query_text(&q, event_name(ev->type));
    query_text(&q, ev->data);
    rc = query_run(&q, e);
    if (rc == 0 && ev->key[0])
        rc = link_step(s, row->id, ev->key, e);
    return rc < 0 ? rc : writer_note(s, row->id, ev->seq, ev->type, e);
}

int event_insert_own(struct store *s, struct job_row *row, enum event_type type, const char *why,
                     struct err *e)
{
    struct fold_event ev;
    json_t *data = why ? json_pack("{s:s}", "reason", why) : json_object();
    if (!data)
        return err_set(e, FERR_NO_MEMORY, "no memory for an event");
    int rc = fold_event_init(&ev, type, data, e);
    json_decref(data);
    if (rc < 0)
        return rc;
    rc = event_insert(s, row, &ev, e);
    if (rc == 0)
        rc = job_row_save(s, row, e);
    fold_event_fini(&ev);
    return rc;
}

struct append_command {
    struct command base;
    char job_id[JOB_ID_SIZE];
    struct store_lease lease; /* token 0: none asked */
    size_t n;
    struct fold_event events[];
};

/* Cancelling is for everyone at any time: what waits ends at once, and a second wish changes nothing. */
static int append_one(struct store *s, struct job_row *row, struct fold_event *ev, struct err *e)
{
    if (ev->type == EVENT_JOB_CANCELLING && row->fold.state == JOB_STATE_CANCELLING)
        return 0;
    enum event_type asked = ev->type;
    if (asked == EVENT_JOB_CANCELLING && row->fold.state == JOB_STATE_QUEUED)
        ev->type = EVENT_JOB_CANCELLED;
    int rc = event_insert(s, row, ev, e);
    ev->type = asked; /* the command may be run again */
    return rc;
}

static int append_run(struct store *s, struct command *base, struct err *e)
{
    struct append_command *c = (struct append_command *)base;
    struct job_row row;
    int rc = job_row_load_leased(s, c->job_id, &c->lease, &row, e);
    if (rc == 0 && job_state_final(row.fold.state))
        rc = err_set(e, FERR_CONFLICT, "job %s is already %s", c->job_id, job_state_name(row.fold.state));
    for (size_t i = 0; i < c->n && rc == 0; i++)
        rc = append_one(s, &row, &c->events[i], e);
    return rc < 0 ? rc : job_row_save(s, &row, e);
}

static void append_free(struct command *base)
{
    struct append_command *c = (struct append_command *)base;
    for (size_t i = 0; i < c->n; i++)
        fold_event_fini(&c->events[i]);
    free(c);
}

static int append_new(const struct store_lease *lease, const char *job_id,
                      const struct store_event_new *events, size_t n, struct append_command **out,
                      struct err *e)
{
    if (n == 0)
        return err_set(e, FERR_INTERNAL, "an append without events");
    if (!job_id_valid(job_id))
        return err_set(e, FERR_JOB_NOT_FOUND, "there is no job \"%.80s\"", job_id);
    struct append_command *c = calloc(1, sizeof *c + n * sizeof c->events[0]);
    if (!c)
        return err_set(e, FERR_NO_MEMORY, "no memory to append to job %s", job_id);
    c->base.run = append_run;
    c->base.free = append_free;
    memcpy(c->job_id, job_id, sizeof c->job_id);
    if (lease)
        c->lease = *lease;
    for (; c->n < n; c->n++) {
        int rc = fold_event_init(&c->events[c->n], events[c->n].type, events[c->n].data, e);
        if (rc < 0) {
            append_free(&c->base);
            return rc;
        }
    }
    *out = c;
    return 0;
}

int store_append(struct store *s, const struct store_lease *lease, const char *job_id,
                 const struct store_event_new *events, size_t n, store_done_fn done, void *arg, struct err *e)
{
    struct append_command *c = NULL;
    int rc = append_new(lease, job_id, events, n, &c, e);
    if (rc < 0)
        return rc;
    c->base.done = done;
    c->base.arg = arg;
    return writer_post(s, &c->base, e);
}

int store_append_wait(struct store *s, const struct store_lease *lease, const char *job_id,
                      const struct store_event_new *events, size_t n, struct err *e)
{
    struct append_command *c = NULL;
    int rc = append_new(lease, job_id, events, n, &c, e);
    if (rc < 0)
        return rc;
    rc = writer_call(s, &c->base, e);
    append_free(&c->base);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static int event_read(const struct query *q, struct store_event *out, struct err *e)
{
    int type = event_parse(query_col_text(q, 2));
    if (type < 0)
        return err_set(e, FERR_STORE, "an event of unknown type \"%s\"", query_col_text(q, 2));
    out->seq = query_col_int(q, 0);
    out->at_us = query_col_int(q, 1);
    out->type = (enum event_type)type;
    out->data = strdup(query_col_text(q, 3));
    return out->data ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for an event");
}

static int event_grow(struct store_event **events, size_t n, size_t *cap, struct err *e)
{
    if (n < *cap)
        return 0;
    size_t wanted = *cap ? 2 * *cap : 16;
    struct store_event *grown = realloc(*events, wanted * sizeof *grown);
    if (!grown)
        return err_set(e, FERR_NO_MEMORY, "no memory for %zu events", wanted);
    *events = grown;
    *cap = wanted;
    return 0;
}

int store_event_list(struct store_reader *r, const char *job_id, int64_t after, int limit,
                     struct store_event **out, size_t *n, struct err *e)
{
    struct store_event *events = NULL;
    size_t count = 0, cap = 0;
    int rc = 0;
    struct query q;
    query_begin(&q, &r->db, SQL_LIST);
    query_text(&q, job_id);
    query_int(&q, after);
    query_int(&q, limit < EVENTS_LIMIT_MAX ? limit : EVENTS_LIMIT_MAX);
    while (rc == 0 && query_row(&q)) {
        rc = event_grow(&events, count, &cap, e);
        if (rc == 0)
            rc = event_read(&q, &events[count], e);
        if (rc == 0)
            count++;
    }
    int ended = query_end(&q, rc == 0 ? e : NULL);
    rc = rc < 0 ? rc : ended;
    if (rc == 0 && count == 0)
        rc = job_exists(&r->db, job_id, e);
    if (rc < 0) {
        store_events_free(events, count);
        return rc;
    }
    *out = events;
    *n = count;
    return 0;
}

void store_events_free(struct store_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(events[i].data);
    free(events);
}
