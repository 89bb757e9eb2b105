/*
 * jobs.c: making and deleting jobs, and the row that the fold of a job's events is kept in.
 *
 * Writer thread, but for the functions of store.h, which post to it. Reading for callers is in jobs_read.c,
 * claiming in claims.c.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

static const char SQL_INSERT[] = "INSERT INTO jobs (id, name, entry, kind, engine, style, priority, labels, "
                                 "request_sha, state, attempt, steps_done,"
                                 " steps_total, version, created_us, updated_us) VALUES (?, ?, ?, ?, ?, ?, "
                                 "?, ?, ?, 'queued', 0, 0, 0, 1, 0, 0)";
static const char SQL_LOAD[] = "SELECT state, attempt, step, steps_done, steps_total, version, created_us, "
                               "updated_us, started_us, finished_us,"
                               " lease_boot, lease_token FROM jobs WHERE id = ?";
static const char SQL_SAVE[] =
    "UPDATE jobs SET state = ?2, attempt = ?3, step = ?4, steps_done = ?5, steps_total = ?6, version = ?7,"
    " created_us = ?8, updated_us = ?9, started_us = ?10, finished_us = ?11, result = ?12, usage = ?13,"
    " lease_boot = ?14 WHERE id = ?1";
static const char SQL_EXISTS[] = "SELECT 1 FROM jobs WHERE id = ?";
static const char SQL_DELETE[] = "DELETE FROM jobs WHERE id = ?";

/* ---- the row ------------------------------------------------------------------------------------------- */

int job_exists(struct db *db, const char *id, struct err *e)
{
    struct query q;
    query_begin(&q, db, SQL_EXISTS);
    query_text(&q, id);
    bool found = query_row(&q);
    int rc = query_end(&q, e);
    if (rc == 0 && !found)
        rc = err_set(e, FERR_JOB_NOT_FOUND, "there is no job \"%.80s\"", id);
    return rc;
}

static void row_read(const struct query *q, struct job_row *row)
{
    struct fold_row *f = &row->fold;
    fold_row_init(f);
    f->state = (enum job_state)job_state_parse(query_col_text(q, 0)); /* a word of the CHECK list */
    f->attempt = (int)query_col_int(q, 1);
    f->step = fold_step_parse(query_col_text(q, 2));
    f->steps_done = (int)query_col_int(q, 3);
    f->steps_total = (int)query_col_int(q, 4);
    f->version = query_col_int(q, 5);
    f->created_us = query_col_int(q, 6);
    f->updated_us = query_col_int(q, 7);
    f->started_us = query_col_int(q, 8);
    f->finished_us = query_col_int(q, 9);
    query_col_copy(q, 10, row->lease_boot, sizeof row->lease_boot);
    row->lease_token = query_col_int(q, 11);
}

int job_row_load(struct store *s, const char *id, struct job_row *row, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_LOAD);
    query_text(&q, id);
    bool found = query_row(&q);
    if (found) {
        row_read(&q, row);
        memcpy(row->id, id, sizeof row->id);
    }
    int rc = query_end(&q, e);
    if (rc == 0 && !found)
        rc = err_set(e, FERR_JOB_NOT_FOUND, "there is no job %s", id);
    return rc;
}

int job_row_load_leased(struct store *s, const char *id, const struct store_lease *lease, struct job_row *row,
                        struct err *e)
{
    int rc = job_row_load(s, id, row, e);
    if (rc < 0 || !lease || lease->token == 0)
        return rc;
    if (strcmp(lease->job_id, id) != 0 || lease->token != row->lease_token ||
        strcmp(row->lease_boot, s->boot_id) != 0)
        return err_set(e, FERR_CONFLICT, "the lease of job %s is lost", id);
    return 0;
}

int job_may_name_blob(struct store *s, const struct store_lease *lease, const char *sha, struct err *e)
{
    struct job_row row;
    int rc = job_row_load_leased(s, lease->job_id, lease, &row, e);
    return rc < 0 ? rc : blob_check(s, sha, e);
}

int job_row_save(struct store *s, const struct job_row *row, struct err *e)
{
    const struct fold_row *f = &row->fold;
    bool leased = row->lease_boot[0] && f->state != JOB_STATE_QUEUED && !job_state_final(f->state);
    struct query q;
    query_begin(&q, &s->db, SQL_SAVE);
    query_text(&q, row->id);
    query_text(&q, job_state_name(f->state));
    query_int(&q, f->attempt);
    query_text(&q, f->step < 0 ? NULL : step_name((enum step_kind)f->step));
    query_int(&q, f->steps_done);
    query_int(&q, f->steps_total);
    query_int(&q, f->version);
    query_int(&q, f->created_us);
    query_int(&q, f->updated_us);
    query_int_or_null(&q, f->started_us, f->started_us == 0);
    query_int_or_null(&q, f->finished_us, f->finished_us == 0);
    query_text(&q, f->result);
    query_text(&q, f->usage);
    query_text(&q, leased ? row->lease_boot : NULL);
    return query_run(&q, e);
}

/* ---- creating ------------------------------------------------------------------------------------------ */

struct create_command {
    struct command base;
    char id[JOB_ID_SIZE];
    char *name, *entry, *labels; /* owned, or NULL */
    enum job_kind kind;
    enum engine engine;
    enum style style;
    int priority;
    char request_sha[STORE_SHA_SIZE];
    struct fold_event queued; /* carries the same fields, for the stream and the audit */
};

static int create_run(struct store *s, struct command *base, struct err *e)
{
    struct create_command *c = (struct create_command *)base;
    int rc = blob_check(s, c->request_sha, e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_INSERT);
    query_text(&q, c->id);
    query_text(&q, c->name);
    query_text(&q, c->entry);
    query_text(&q, kind_name(c->kind));
    query_text(&q, engine_name(c->engine));
    query_text(&q, style_name(c->style));
    query_int(&q, c->priority);
    query_text(&q, c->labels);
    query_text(&q, c->request_sha);
    rc = query_run(&q, e);
    if (rc < 0)
        return rc;
    struct job_row row = {.lease_boot = ""};
    memcpy(row.id, c->id, sizeof row.id);
    fold_row_init(&row.fold);
    rc = event_insert(s, &row, &c->queued, e);
    return rc < 0 ? rc : job_row_save(s, &row, e);
}

static void create_free(struct command *base)
{
    struct create_command *c = (struct create_command *)base;
    fold_event_fini(&c->queued);
    free(c->name);
    free(c->entry);
    free(c->labels);
    free(c);
}

static json_t *queued_data(const struct store_job_new *job)
{
    return json_pack("{s:s?, s:s?, s:s, s:s, s:s, s:i, s:O?, s:s}", "name", job->name, "entry", job->entry,
                     "kind", kind_name(job->kind), "engine", engine_name(job->engine), "style",
                     style_name(job->style), "priority", job->priority, "labels", job->labels,
                     "request_sha256", job->request_sha);
}

static int create_copy(struct create_command *c, const struct store_job_new *job, struct err *e)
{
    memcpy(c->id, job->id, sizeof c->id);
    memcpy(c->request_sha, job->request_sha, sizeof c->request_sha);
    c->kind = job->kind;
    c->engine = job->engine;
    c->style = job->style;
    c->priority = job->priority;
    c->name = job->name ? strdup(job->name) : NULL;
    c->entry = job->entry ? strdup(job->entry) : NULL;
    c->labels = job->labels ? json_dumps(job->labels, JSON_COMPACT) : NULL;
    json_t *data = queued_data(job);
    bool whole = data && !job->name == !c->name && !job->entry == !c->entry && !job->labels == !c->labels;
    int rc = whole ? fold_event_init(&c->queued, EVENT_JOB_QUEUED, data, e)
                   : err_set(e, FERR_NO_MEMORY, "no memory for job %s", job->id);
    json_decref(data);
    return rc;
}

int store_job_create(struct store *s, const struct store_job_new *job, store_done_fn done, void *arg,
                     struct err *e)
{
    if (!job_id_valid(job->id))
        return err_set(e, FERR_INTERNAL, "\"%.80s\" is no job id", job->id);
    struct create_command *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, FERR_NO_MEMORY, "no memory for job %s", job->id);
    c->base = (struct command){.run = create_run, .free = create_free, .done = done, .arg = arg};
    int rc = create_copy(c, job, e);
    if (rc < 0) {
        create_free(&c->base);
        return rc;
    }
    return writer_post(s, &c->base, e);
}

/* ---- deleting ------------------------------------------------------------------------------------------ */

struct delete_command {
    struct command base;
    char id[JOB_ID_SIZE];
};

static int delete_run(struct store *s, struct command *base, struct err *e)
{
    struct delete_command *c = (struct delete_command *)base;
    struct job_row row;
    int rc = job_row_load(s, c->id, &row, e);
    if (rc == 0 && !job_state_final(row.fold.state))
        rc =
            err_set(e, FERR_CONFLICT, "job %s is %s: cancel it first", c->id, job_state_name(row.fold.state));
    if (rc == 0)
        rc = trash_job(s, c->id, e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_DELETE);
    query_text(&q, c->id);
    return query_run(&q, e);
}

static void delete_free(struct command *base)
{
    free(base);
}

int store_job_delete(struct store *s, const char *job_id, store_done_fn done, void *arg, struct err *e)
{
    if (!job_id_valid(job_id))
        return err_set(e, FERR_JOB_NOT_FOUND, "there is no job \"%.80s\"", job_id);
    struct delete_command *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, FERR_NO_MEMORY, "no memory to delete job %s", job_id);
    c->base = (struct command){.run = delete_run, .free = delete_free, .done = done, .arg = arg};
    memcpy(c->id, job_id, sizeof c->id);
    return writer_post(s, &c->base, e);
}
