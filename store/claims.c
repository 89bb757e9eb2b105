/*
 * claims.c: which worker has which job.
 *
 * A lease is the boot id of the daemon's start and a token that grows with each claim; it ends when the job
 * is final, is given back, or its daemon is gone (store_jobs_recover). Writer thread, but for the functions
 * of store.h, which wait for it.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

/* By priority, then age: ids are time-ordered. Unforced, the planner prefers jobs_by_state and sorts. */
static const char SQL_CLAIM[] =
    "UPDATE jobs SET lease_boot = ?, lease_token = lease_token + 1 WHERE id = (SELECT id FROM jobs"
    " INDEXED BY jobs_claimable WHERE state = 'queued' ORDER BY priority DESC, id LIMIT 1) RETURNING id";
static const char SQL_ORPHAN[] =
    "SELECT id FROM jobs WHERE lease_boot IS NOT NULL AND lease_boot <> ? LIMIT 1";
/* A step that came from the store was run before. */
static const char SQL_CRASHES[] =
    "SELECT count(*) FROM events WHERE job_id = ? AND type = 'job.queued'"
    " AND json_extract(data, '$.reason') = 'recovered' AND seq > (SELECT coalesce(max(seq), 0) FROM events"
    " WHERE job_id = ? AND type = 'step.finished' AND json_extract(data, '$.cached') = 0)";

/* ---- claiming ------------------------------------------------------------------------------------------ */

struct claim_command {
    struct command base;
    bool found;
    struct store_lease lease;
};

static int claim_run(struct store *s, struct command *base, struct err *e)
{
    struct claim_command *c = (struct claim_command *)base;
    struct job_row row;
    struct query q;
    query_begin(&q, &s->db, SQL_CLAIM);
    query_text(&q, s->boot_id);
    c->found = query_row(&q);
    if (c->found)
        query_col_copy(&q, 0, c->lease.job_id, sizeof c->lease.job_id);
    int rc = query_run(&q, e);
    if (rc < 0 || !c->found)
        return rc;
    rc = job_row_load(s, c->lease.job_id, &row, e);
    if (rc < 0)
        return rc;
    c->lease.token = row.lease_token;
    enum event_type type = row.fold.started_us ? EVENT_JOB_RESUMED : EVENT_JOB_STARTED;
    return event_insert_own(s, &row, type, NULL, e);
}

int store_job_claim(struct store *s, struct store_lease *lease, struct err *e)
{
    struct claim_command c = {.base = {.run = claim_run}};
    int rc = writer_call(s, &c.base, e);
    if (rc < 0 || !c.found)
        return rc;
    *lease = c.lease;
    return 1;
}

/* ---- giving back --------------------------------------------------------------------------------------- */

/* Back to the queue, or to its end where that was wished. */
static int give_back(struct store *s, struct job_row *row, const char *why, struct err *e)
{
    enum event_type type = row->fold.state == JOB_STATE_CANCELLING ? EVENT_JOB_CANCELLED : EVENT_JOB_QUEUED;
    return event_insert_own(s, row, type, why, e);
}

struct release_command {
    struct command base;
    const struct store_lease *lease;
};

static int release_run(struct store *s, struct command *base, struct err *e)
{
    const struct store_lease *lease = ((struct release_command *)base)->lease;
    struct job_row row;
    int rc = job_row_load_leased(s, lease->job_id, lease, &row, e);
    return rc < 0 ? rc : give_back(s, &row, "released", e);
}

int store_job_release(struct store *s, const struct store_lease *lease, struct err *e)
{
    if (lease->token == 0)
        return err_set(e, FERR_INTERNAL, "a release without a lease");
    struct release_command c = {.base = {.run = release_run}, .lease = lease};
    return writer_call(s, &c.base, e);
}

/* ---- after a crash ------------------------------------------------------------------------------------- */

struct recover_command {
    struct command base;
    int count;
};

/* 1 and the id of a job that another start of the daemon has, 0 where there is none. */
static int find_orphan(struct store *s, char id[JOB_ID_SIZE], struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_ORPHAN);
    query_text(&q, s->boot_id);
    bool found = query_row(&q);
    if (found)
        query_col_copy(&q, 0, id, JOB_ID_SIZE);
    int rc = query_end(&q, e);
    return rc < 0 ? rc : (int)found;
}

static int recover_run(struct store *s, struct command *base, struct err *e)
{
    struct recover_command *c = (struct recover_command *)base;
    char id[JOB_ID_SIZE];
    int rc = 0;
    for (c->count = 0; (rc = find_orphan(s, id, e)) == 1; c->count++) {
        struct job_row row;
        rc = job_row_load(s, id, &row, e);
        if (rc == 0)
            rc = give_back(s, &row, "recovered", e);
        if (rc < 0)
            break;
    }
    return rc;
}

int store_job_crashes(struct store_reader *r, const char *job_id, int *out, struct err *e)
{
    struct query q;
    query_begin(&q, &r->db, SQL_CRASHES);
    query_text(&q, job_id);
    query_text(&q, job_id);
    *out = query_row(&q) ? (int)query_col_int(&q, 0) : 0;
    return query_end(&q, e);
}

int store_jobs_recover(struct store *s, struct err *e)
{
    struct recover_command c = {.base = {.run = recover_run}};
    int rc = writer_call(s, &c.base, e);
    return rc < 0 ? rc : c.count;
}
