/*
 * jobs_read.c: jobs as callers see them. The reader's thread.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "SELECT id, name, entry, kind, engine, style, state, priority, attempt, step, steps_done, steps_total, " \
    "version,"                                                                                               \
    " created_us, updated_us, started_us, finished_us, labels, result, usage, request_sha FROM jobs "

static const char SQL_GET[] = COLUMNS "WHERE id = ?";
/* Above every id: the cursor of the first page. */
static const char NEWEST[] = "job_~";
static const char SQL_LIST[] = COLUMNS "WHERE id < ? ORDER BY id DESC LIMIT ?";
static const char SQL_LIST_STATE[] = COLUMNS "WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?";
static const char SQL_COUNTS[] = "SELECT state, count(*) FROM jobs GROUP BY state";

static int read_word(const struct query *q, int col, int (*parse)(const char *), int *out, struct err *e)
{
    *out = parse(query_col_text(q, col));
    return *out >= 0 ? 0
                     : err_set(e, FERR_STORE, "a job has the unknown word \"%s\"", query_col_text(q, col));
}

static int read_words(const struct query *q, struct store_job *j, struct err *e)
{
    int kind = 0, engine = 0, style = 0, state = 0;
    int rc = read_word(q, 3, kind_parse, &kind, e);
    if (rc == 0)
        rc = read_word(q, 4, engine_parse, &engine, e);
    if (rc == 0)
        rc = read_word(q, 5, style_parse, &style, e);
    if (rc == 0)
        rc = read_word(q, 6, job_state_parse, &state, e);
    if (rc == 0) {
        j->kind = (enum job_kind)kind;
        j->engine = (enum engine)engine;
        j->style = (enum style)style;
        j->state = (enum job_state)state;
    }
    return rc;
}

static int read_text(const struct query *q, int col, char **out, struct err *e)
{
    const char *s = query_col_text(q, col);
    *out = s ? strdup(s) : NULL;
    return s && !*out ? err_set(e, FERR_NO_MEMORY, "no memory for a job") : 0;
}

static int read_json(const struct query *q, int col, json_t **out, struct err *e)
{
    const char *s = query_col_text(q, col);
    *out = s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
    return s && !*out ? err_set(e, FERR_STORE, "a job's JSON is damaged") : 0;
}

static int read_owned(const struct query *q, struct store_job *j, struct err *e)
{
    int rc = read_text(q, 1, &j->name, e);
    if (rc == 0)
        rc = read_text(q, 2, &j->entry, e);
    if (rc == 0)
        rc = read_json(q, 17, &j->labels, e);
    if (rc == 0)
        rc = read_json(q, 18, &j->result, e);
    if (rc == 0)
        rc = read_json(q, 19, &j->usage, e);
    return rc;
}

/* `*j` is to be freed only after success. */
static int job_read(const struct query *q, struct store_job *j, struct err *e)
{
    memset(j, 0, sizeof *j);
    query_col_copy(q, 0, j->id, sizeof j->id);
    j->priority = (int)query_col_int(q, 7);
    j->attempt = (int)query_col_int(q, 8);
    j->step = fold_step_parse(query_col_text(q, 9));
    j->steps_done = (int)query_col_int(q, 10);
    j->steps_total = (int)query_col_int(q, 11);
    j->version = query_col_int(q, 12);
    j->created_us = query_col_int(q, 13);
    j->updated_us = query_col_int(q, 14);
    j->started_us = query_col_int(q, 15);
    j->finished_us = query_col_int(q, 16);
    query_col_copy(q, 20, j->request_sha, sizeof j->request_sha);
    int rc = read_words(q, j, e);
    if (rc == 0)
        rc = read_owned(q, j, e);
    if (rc < 0)
        store_job_fini(j);
    return rc;
}

void store_job_fini(struct store_job *j)
{
    free(j->name);
    free(j->entry);
    json_decref(j->labels);
    json_decref(j->result);
    json_decref(j->usage);
    memset(j, 0, sizeof *j);
}

int store_job_get(struct store_reader *r, const char *id, struct store_job *out, struct err *e)
{
    struct query q;
    query_begin(&q, &r->db, SQL_GET);
    query_text(&q, id);
    bool found = query_row(&q);
    int rc = found ? job_read(&q, out, e) : 0;
    int ended = query_end(&q, rc == 0 ? e : NULL);
    if (rc == 0 && ended == 0 && !found)
        return err_set(e, FERR_JOB_NOT_FOUND, "there is no job \"%.80s\"", id);
    return rc < 0 ? rc : ended;
}

static void jobs_free(struct store_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
}

int store_job_list(struct store_reader *r, const struct store_job_filter *f, struct store_job **out,
                   size_t *n, struct err *e)
{
    if (f->limit < 1 || f->limit > 1000)
        return err_set(e, FERR_INTERNAL, "a list of %d jobs", f->limit);
    struct store_job *jobs = calloc((size_t)f->limit, sizeof *jobs);
    if (!jobs)
        return err_set(e, FERR_NO_MEMORY, "no memory for %d jobs", f->limit);
    struct query q;
    query_begin(&q, &r->db, f->state >= 0 ? SQL_LIST_STATE : SQL_LIST);
    if (f->state >= 0)
        query_text(&q, job_state_name((enum job_state)f->state));
    query_text(&q, f->before_id ? f->before_id : NEWEST);
    query_int(&q, f->limit);
    size_t count = 0;
    int rc = 0;
    while (rc == 0 && query_row(&q)) {
        rc = job_read(&q, &jobs[count], e);
        if (rc == 0)
            count++;
    }
    int ended = query_end(&q, rc == 0 ? e : NULL);
    rc = rc < 0 ? rc : ended;
    if (rc < 0) {
        jobs_free(jobs, count);
        return rc;
    }
    *out = jobs;
    *n = count;
    return 0;
}

int store_job_counts(struct store_reader *r, int64_t counts[JOB_STATE_COUNT], struct err *e)
{
    memset(counts, 0, JOB_STATE_COUNT * sizeof counts[0]);
    struct query q;
    query_begin(&q, &r->db, SQL_COUNTS);
    while (query_row(&q)) {
        int state = job_state_parse(query_col_text(&q, 0));
        if (state >= 0)
            counts[state] = query_col_int(&q, 1);
    }
    return query_end(&q, e);
}
